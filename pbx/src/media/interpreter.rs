//! What one side says, in the words of the other: decoded, made to fit, encoded anew, packet by packet of the listener's own
//! length. Only where the laws of G.711 are not all that differs, for it costs time: packets wait until their order is sure.

use super::playout::{Content, Playout};
use crate::audio::resample::Halfband;
use crate::audio::{Coding, Encoder};
use crate::rtp::Header;
use crate::time::Duration;

/// After so much silence without a packet the other side is thought to pause, and nothing is sent.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Interpreter {
    from: Coding,
    to: Coding,
    playout: Playout,
    encoder: Encoder,
    /// At the rate of the codec that is spoken.
    sound: Vec<i16>,
    /// How long nothing has come.
    quiet: Duration,
}

impl Interpreter {
    /// From one codec into the other; `None` where the sound of one does not fit the other.
    pub(super) fn new(from: Coding, to: Coding) -> Option<Interpreter> {
        Halfband::new(from.rate(), to.rate())?;
        let (playout, encoder) = (Playout::new(to.rate()), Encoder::new(to));
        Some(Interpreter { from, to, playout, encoder, sound: Vec::new(), quiet: PAUSE })
    }

    pub(super) fn is_for(&self, from: Coding, to: Coding) -> bool {
        (self.from, self.to) == (from, to)
    }

    /// A packet of sound has come, which is heard or hushed.
    pub(super) fn hear(&mut self, header: &Header, payload: &[u8], is_hushed: bool) {
        let content = if is_hushed { Content::Hushed(self.from) } else { Content::Sound(self.from) };
        self.playout.receive(header, content, payload);
        self.quiet = self.quiet.min(PAUSE - Duration::from_millis(1));
    }

    /// A packet has come that holds something else, and goes another way.
    pub(super) fn pass_over(&mut self, header: &Header) {
        self.playout.receive(header, Content::Else, &[]);
    }

    /// Whether there is, or may soon be, something to say.
    pub(super) fn is_awake(&self) -> bool {
        self.quiet < PAUSE
    }

    /// Appends the payload of the next packet time; `false` when the other side pauses.
    pub(super) fn say(&mut self, packet_time: Duration, out: &mut Vec<u8>) -> bool {
        self.sound.clear();
        let count = crate::rtp::units(packet_time, self.to.rate()) as usize;
        let was_said = self.playout.take(count, &mut self.sound);
        self.quiet = if was_said { Duration::ZERO } else { self.quiet + packet_time };
        if self.quiet >= PAUSE {
            return false;
        }
        self.encoder.encode(&self.sound, out);
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
                interpreter.hear(&header(n as u16), &payload, false);
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
            interpreter.hear(&header(n), &[0x55; 160], false);
            interpreter.say(Duration::from_millis(20), &mut said);
        }
        let turns = (0..100).take_while(|_| interpreter.say(Duration::from_millis(20), &mut said)).count();
        assert!((10..15).contains(&turns), "{turns} more packets");
        assert!(!interpreter.is_awake());
        interpreter.hear(&header(10), &[0x55; 160], false);
        assert!(interpreter.is_awake());
    }

    fn header(sequence: u16) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 1 }
    }
}
