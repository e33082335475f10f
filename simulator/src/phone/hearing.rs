//! What a telephone hears: samples on a timeline, in the place their RTP timestamp gives them.

use pbx::audio::NARROWBAND;
use pbx::time::{Duration, Instant};
use std::io::Cursor;

/// At most this is kept of one call, the last of it.
const LONGEST: usize = 600 * NARROWBAND as usize;

/// How far a timestamp may lead away from the clock before the stream counts as a new one, in samples.
const JUMP: i64 = NARROWBAND as i64;

/// One call's recording; where nothing came there is silence.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    /// The place of the first sample, counted from the start of the world.
    begins: i64,
    samples: Vec<i16>,
    stream: Option<Stream>,
    packets: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    /// What is to be added to a timestamp, modulo 2^32, to have its place.
    timestamp: u32,
    place: i64,
}

impl Hearing {
    pub(crate) fn receive(
        &mut self,
        ssrc: u32,
        timestamp: u32,
        samples: impl ExactSizeIterator<Item = i16>,
        now: Instant,
    ) {
        self.packets += 1;
        let clock = place_of(now);
        let known = self.stream.filter(|stream| stream.ssrc == ssrc).map(|stream| stream.place_of(timestamp));
        let place = known.filter(|place| (place - clock).abs() < JUMP).unwrap_or(clock);
        self.stream = Some(Stream { ssrc, timestamp, place });
        if self.samples.is_empty() {
            self.begins = place;
        }
        // What comes before the first packet that was heard is not worth moving everything.
        let Ok(at) = usize::try_from(place - self.begins) else { return };
        let end = at + samples.len();
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        self.samples[at..end].iter_mut().zip(samples).for_each(|(place, sample)| *place = sample);
        self.forget();
    }

    /// RTP packets of sound so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// All of it from the first packet on; of a long call the last minutes.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// The same as a WAV file: one channel, 16 bits, 8000 samples a second.
    pub fn wav(&self) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: NARROWBAND,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut file = Cursor::new(Vec::new());
        let written = hound::WavWriter::new(&mut file, spec).and_then(|mut writer| {
            for sample in &self.samples {
                writer.write_sample(*sample)?;
            }
            writer.finalize()
        });
        written.expect("memory takes what a recording holds");
        file.into_inner()
    }

    /// What was heard in the time before `now`, silence where nothing came. The last 60 ms are left out: they may be on
    /// their way.
    pub fn lately(&self, length: Duration, now: Instant) -> Vec<i16> {
        let end = place_of(now) - place_of(Instant::from_millis(60));
        let begin = end - i64::try_from(samples_in(length)).unwrap_or(i64::MAX);
        (begin..end).map(|place| self.at(place)).collect()
    }

    fn forget(&mut self) {
        if self.samples.len() > 2 * LONGEST {
            let oldest = self.samples.len() - LONGEST;
            self.samples.drain(..oldest);
            self.begins += oldest as i64;
        }
    }

    fn at(&self, place: i64) -> i16 {
        let at = usize::try_from(place - self.begins).ok();
        at.and_then(|at| self.samples.get(at)).copied().unwrap_or(0)
    }
}

impl Stream {
    fn place_of(&self, timestamp: u32) -> i64 {
        self.place + i64::from(timestamp.wrapping_sub(self.timestamp).cast_signed())
    }
}

/// How many samples a time has.
pub(super) fn samples_in(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(NARROWBAND) / 1_000_000_000).unwrap_or(u64::MAX)
}

fn place_of(now: Instant) -> i64 {
    samples_in(now.since(Instant::START)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_out_of_order_are_heard_in_order() {
        let mut hearing = Hearing::default();
        for (timestamp, millis) in [(1_000, 20), (1_320, 60), (1_160, 61)] {
            let samples = std::iter::repeat_n(timestamp as i16, 160);
            hearing.receive(7, timestamp, samples, Instant::from_millis(millis));
        }
        let heard: Vec<_> = hearing.samples().chunks(160).map(|packet| packet[0]).collect();
        assert_eq!(heard, [1_000, 1_160, 1_320]);
    }

    #[test]
    fn what_was_heard_can_be_played_again() {
        let mut hearing = Hearing::default();
        hearing.receive(7, 0, (0..160).map(|n| n * 5), Instant::from_millis(20));
        let again = crate::phone::Sound::from_wav(&hearing.wav());
        assert_eq!(again, Ok(crate::phone::Sound::Recording(hearing.samples().into())));
    }

    #[test]
    fn what_did_not_come_is_silence() {
        let mut hearing = Hearing::default();
        hearing.receive(7, 0, std::iter::repeat_n(5, 160), Instant::from_millis(20));
        hearing.receive(7, 480, std::iter::repeat_n(5, 160), Instant::from_millis(80));
        assert_eq!(hearing.samples()[160..480], [0; 320]);
        assert_eq!(hearing.lately(Duration::from_millis(20), Instant::from_millis(1_000)), [0; 160]);
    }
}
