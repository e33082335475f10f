//! What one side says, in the words of the other: decoded, made to fit, encoded anew, packet by packet of the listener's own
//! length. Only where the laws of G.711 are not all that differs, for it costs time: packets wait until their order is sure.

use crate::audio::conceal::Concealer;
use crate::audio::resample::Halfband;
use crate::audio::{Coding, Decoder, Encoder};
use crate::rtp::Header;
use crate::rtp::jitter::{Buffer, Next};
use crate::time::Duration;

/// After so much silence without a packet the other side is thought to pause, and nothing is sent.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Interpreter {
    from: Coding,
    to: Coding,
    buffer: Buffer,
    decoder: Decoder,
    concealer: Concealer,
    resampler: Halfband,
    encoder: Encoder,
    /// Decoded, and not yet said.
    heard: Vec<i16>,
    fitting: Vec<i16>,
    /// Samples of the packet that came last.
    length: usize,
    /// How long nothing has come.
    quiet: Duration,
}

impl Interpreter {
    /// From one codec into the other; `None` where the sound of one does not fit the other.
    pub(super) fn new(from: Coding, to: Coding) -> Option<Interpreter> {
        Some(Interpreter {
            from,
            to,
            buffer: Buffer::default(),
            decoder: Decoder::new(from),
            concealer: Concealer::new(from.rate()),
            resampler: Halfband::new(from.rate(), to.rate())?,
            encoder: Encoder::new(to),
            heard: Vec::new(),
            fitting: Vec::new(),
            length: from.frame(),
            quiet: PAUSE,
        })
    }

    pub(super) fn is_for(&self, from: Coding, to: Coding) -> bool {
        (self.from, self.to) == (from, to)
    }

    /// A packet has come.
    pub(super) fn hear(&mut self, header: &Header, payload: &[u8]) {
        self.buffer.put(header, payload);
        self.quiet = self.quiet.min(PAUSE - Duration::from_millis(1));
    }

    /// Whether there is, or may soon be, something to say.
    pub(super) fn is_awake(&self) -> bool {
        self.quiet < PAUSE
    }

    /// Appends the payload of the next packet time; `false` when the other side pauses.
    pub(super) fn say(&mut self, packet_time: Duration, out: &mut Vec<u8>) -> bool {
        let wanted = crate::rtp::units(packet_time, self.from.rate()) as usize;
        let mut came = false;
        while self.heard.len() < wanted {
            let start = self.heard.len();
            match self.buffer.take() {
                Next::Packet(payload) => {
                    self.decoder.decode(payload, &mut self.heard);
                    self.concealer.heard(&mut self.heard[start..]);
                    self.length = (self.heard.len() - start).max(1);
                    came = true;
                }
                Next::Lost => self.concealer.conceal(self.length, &mut self.heard),
                Next::Nothing => self.concealer.conceal(wanted - start, &mut self.heard),
            }
        }
        self.quiet = if came { Duration::ZERO } else { self.quiet + packet_time };
        self.fitting.clear();
        self.resampler.resample(&self.heard[..wanted], &mut self.fitting);
        self.heard.drain(..wanted);
        if self.quiet >= PAUSE {
            return false;
        }
        self.encoder.encode(&self.fitting, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Law;
    use crate::tone::Wave;

    const LAW: Coding = Coding::G711(Law::Mu);

    #[test]
    fn packets_of_thirty_milliseconds_become_packets_of_twenty() {
        let mut interpreter = Interpreter::new(LAW, Coding::G711(Law::A)).expect("the same rate");
        let wave = Wave::new(500.0, -10.0, Law::Mu).expect("a tone");
        let mut said = Vec::new();
        for turn in 0..300u64 {
            // In 60 ms two packets come and three go.
            if turn % 3 != 2 {
                let n = turn / 3 * 2 + turn % 3;
                let mut payload = [0; 240];
                wave.fill(n * 240, &mut payload);
                interpreter.hear(&header(n as u16), &payload);
            }
            let before = said.len();
            interpreter.say(Duration::from_millis(20), &mut said);
            assert!([0, 160].contains(&(said.len() - before)));
        }
        let expected = Wave::new(500.0, -10.0, Law::A).expect("a tone");
        let sound: Vec<i16> = said[8000..24_000].iter().map(|code| Law::A.decode(*code)).collect();
        let likeness = (0..16).map(|shift| {
            let mut codes = vec![0; sound.len()];
            expected.fill(shift, &mut codes);
            let off = |(a, b): (&i16, &u8)| (f64::from(*a) - f64::from(Law::A.decode(*b))).powi(2);
            sound.iter().zip(&codes).map(off).sum::<f64>() / sound.len() as f64
        });
        let error = likeness.fold(f64::MAX, f64::min).sqrt();
        assert!(error < 200.0, "off by {error:.0}");
    }

    #[test]
    fn who_pauses_is_not_spoken_for() {
        let mut interpreter = Interpreter::new(LAW, LAW).expect("the same rate");
        let mut said = Vec::new();
        assert!(!interpreter.say(Duration::from_millis(20), &mut said), "nothing was heard yet");
        for n in 0..10 {
            interpreter.hear(&header(n), &[0x55; 160]);
            interpreter.say(Duration::from_millis(20), &mut said);
        }
        let turns = (0..100).take_while(|_| interpreter.say(Duration::from_millis(20), &mut said)).count();
        assert!((10..15).contains(&turns), "{turns} more packets");
        assert!(!interpreter.is_awake());
        interpreter.hear(&header(10), &[0x55; 160]);
        assert!(interpreter.is_awake());
    }

    fn header(sequence: u16) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 1 }
    }
}
