//! What a telephone hears: samples on a timeline, in the place their RTP timestamp gives them.

use pbx::audio::{Law, NARROWBAND};
use pbx::time::{Duration, Instant};
use std::io::Cursor;

/// At most this is kept of one call, the last of it.
const LONGEST: usize = 600 * NARROWBAND as usize;

/// For so much there is room from the beginning: what is not used costs nothing.
const ROOM: usize = 60 * NARROWBAND as usize;

/// How far a timestamp may lead away from the clock before the stream counts as a new one, in samples.
const JUMP: i64 = NARROWBAND as i64;

/// What was heard in one call; where nothing came there is silence.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    samples: Vec<i16>,
    packets: u64,
}

/// Somebody who listens, and keeps what comes. What was said in a law of G.711 is kept in it for as long as nobody asks: most of
/// what is heard is never listened to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listening {
    /// The place of the first sample, counted from the start of the world.
    begins: i64,
    samples: Vec<i16>,
    /// What follows the samples, one code a sample.
    codes: Vec<u8>,
    law: Option<Law>,
    stream: Option<Stream>,
    noise: Option<Noise>,
    packets: u64,
}

/// What a telephone makes of a pause of which only the noise was told (RFC 3389).
#[derive(Clone, Copy, Debug)]
struct Noise {
    /// Its first sample; it lasts until something else comes.
    begins: i64,
    amplitude: i64,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    /// What is to be added to a timestamp, modulo 2^32, to have its place.
    timestamp: u32,
    place: i64,
}

impl Listening {
    /// Samples have come.
    pub(crate) fn receive(&mut self, ssrc: u32, timestamp: u32, samples: &[i16], now: Instant) {
        let place = self.take(ssrc, timestamp, now);
        self.put(place, samples.iter().copied());
    }

    /// Codes of a law of G.711 have come.
    pub(crate) fn receive_codes(
        &mut self,
        ssrc: u32,
        timestamp: u32,
        (law, codes): (Law, &[u8]),
        now: Instant,
    ) {
        let place = self.take(ssrc, timestamp, now);
        let is_its_law = self.codes.is_empty() || self.law == Some(law);
        if place == self.end() && is_its_law && self.noise.is_none() {
            if self.codes.is_empty() {
                self.codes.reserve(ROOM);
            }
            self.law = Some(law);
            self.codes.extend_from_slice(codes);
            self.forget();
        } else {
            self.put(place, codes.iter().map(|code| law.decode(*code)));
        }
    }

    /// A packet has come: where it belongs.
    fn take(&mut self, ssrc: u32, timestamp: u32, now: Instant) -> i64 {
        self.packets += 1;
        let place = self.place(ssrc, timestamp, now);
        if self.end() == self.begins {
            self.begins = place;
        }
        place
    }

    fn put(&mut self, place: i64, samples: impl ExactSizeIterator<Item = i16>) {
        self.decode();
        if let Some(noise) = self.noise.take_if(|noise| noise.begins < place) {
            let from = self.end();
            self.samples.extend((from..place).map(|place| noise.at(place)));
        }
        // What comes before the first packet that was heard is not worth moving everything.
        let Ok(at) = usize::try_from(place - self.begins) else { return };
        if at >= self.samples.len() {
            self.samples.resize(at, 0);
            self.samples.extend(samples);
        } else {
            let end = at + samples.len();
            self.samples.resize(end.max(self.samples.len()), 0);
            self.samples[at..end].iter_mut().zip(samples).for_each(|(place, sample)| *place = sample);
        }
        self.forget();
    }

    /// All of it are samples.
    fn decode(&mut self) {
        if let Some(law) = self.law {
            self.samples.extend(self.codes.drain(..).map(|code| law.decode(code)));
        }
    }

    /// The place after the last of it.
    fn end(&self) -> i64 {
        self.begins + (self.samples.len() + self.codes.len()) as i64
    }

    /// RTP packets of sound so far.
    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    /// All of it from the first packet on; of a long call the last minutes.
    pub(crate) fn hearing(&self) -> Hearing {
        let codes = self.codes.iter().filter_map(|code| Some(self.law?.decode(*code)));
        Hearing { samples: self.samples.iter().copied().chain(codes).collect(), packets: self.packets }
    }

    /// From here on there is a pause, with noise so many dB below the loudest that can be said.
    pub(crate) fn pause(&mut self, ssrc: u32, timestamp: u32, level: u8, now: Instant) {
        let begins = self.place(ssrc, timestamp, now);
        let amplitude = 32_767.0 * 10f64.powf(-f64::from(level) / 20.0) * 3f64.sqrt();
        let begins = self.noise.map_or(begins, |before| before.begins.min(begins));
        self.noise = Some(Noise { begins, amplitude: amplitude as i64 });
    }

    /// Where the samples of a packet belong.
    fn place(&mut self, ssrc: u32, timestamp: u32, now: Instant) -> i64 {
        let clock = place_of(now);
        let known = self.stream.filter(|stream| stream.ssrc == ssrc).map(|stream| stream.place_of(timestamp));
        let place = known.filter(|place| (place - clock).abs() < JUMP).unwrap_or(clock);
        self.stream = Some(Stream { ssrc, timestamp, place });
        place
    }

    /// What was heard in the time before `now`, silence where nothing came. The last 60 ms are left out: they may be on
    /// their way.
    pub(crate) fn lately(&self, length: Duration, now: Instant) -> Vec<i16> {
        let end = place_of(now) - place_of(Instant::from_millis(60));
        let begin = end - i64::try_from(samples_in(length)).unwrap_or(i64::MAX);
        (begin..end).map(|place| self.at(place)).collect()
    }

    fn forget(&mut self) {
        if self.samples.len() + self.codes.len() > 2 * LONGEST {
            self.decode();
            let oldest = self.samples.len() - LONGEST;
            self.samples.drain(..oldest);
            self.begins += oldest as i64;
        }
    }

    fn at(&self, place: i64) -> i16 {
        let at = usize::try_from(place - self.begins).ok();
        let code = |at: usize| self.codes.get(at.checked_sub(self.samples.len())?);
        let coded = |at: usize| Some(self.law?.decode(*code(at)?));
        let said = at.and_then(|at| self.samples.get(at).copied().or_else(|| coded(at)));
        said.unwrap_or_else(|| self.noise.map_or(0, |noise| noise.at(place)))
    }
}

impl Hearing {
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
}

impl Noise {
    /// The same at each place, whenever it is asked for; even, so softer than its peaks by the root of three.
    fn at(&self, place: i64) -> i16 {
        if place < self.begins {
            return 0;
        }
        // The end of splitmix64.
        let mut bits = place.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sample = (i64::from((bits >> 48) as i16) * self.amplitude) >> 15;
        sample.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
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
        let mut heard = Listening::default();
        for (timestamp, millis) in [(1_000, 20), (1_320, 60), (1_160, 61)] {
            heard.receive(7, timestamp, &[timestamp as i16; 160], Instant::from_millis(millis));
        }
        let heard: Vec<_> = heard.hearing().samples().chunks(160).map(|packet| packet[0]).collect();
        assert_eq!(heard, [1_000, 1_160, 1_320]);
    }

    #[test]
    fn what_was_heard_can_be_played_again() {
        let mut heard = Listening::default();
        let samples: Vec<i16> = (0..160).map(|n| n * 5).collect();
        heard.receive(7, 0, &samples, Instant::from_millis(20));
        let again = crate::phone::Sound::from_wav(&heard.hearing().wav());
        assert_eq!(again, Ok(crate::phone::Sound::Recording(heard.hearing().samples().into())));
    }

    #[test]
    fn a_pause_has_its_noise_until_something_is_said() {
        let mut heard = Listening::default();
        heard.receive(7, 0, &[5; 160], Instant::from_millis(20));
        heard.pause(7, 160, 40, Instant::from_millis(40));
        let is_noise = |samples: &[i16]| {
            let loudness = crate::ear::loudness(samples);
            assert!((20.0 * (loudness / 32_767.0).log10() + 40.0).abs() < 1.0, "{loudness}");
        };
        is_noise(&heard.lately(Duration::from_millis(800), Instant::from_millis(1_000)));
        heard.receive(7, 160 + 8_000, &[5; 160], Instant::from_millis(1_040));
        assert_eq!(heard.hearing().samples().len(), 8_320);
        is_noise(&heard.hearing().samples()[160..8_160]);
        assert_eq!(heard.hearing().samples()[8_160..], [5; 160]);
    }

    #[test]
    fn what_is_kept_in_a_law_is_heard_as_if_it_were_not() {
        let (mut coded, mut plain) = (Listening::default(), Listening::default());
        // In order, one late, one lost, another law, a pause with its noise.
        let packets = [0, 1, 2, 4, 3, 6, 7, 8, 9, 20, 21];
        for (at, packet) in packets.into_iter().enumerate() {
            let law = if packet < 8 { Law::Mu } else { Law::A };
            let codes: Vec<u8> = (0..160).map(|n| (packet * 31 + n) as u8).collect();
            let now = Instant::from_millis(20 * (at as u64 + 1));
            let samples: Vec<i16> = codes.iter().map(|code| law.decode(*code)).collect();
            coded.receive_codes(7, packet * 160, (law, &codes), now);
            plain.receive(7, packet * 160, &samples, now);
            if packet == 9 {
                coded.pause(7, 10 * 160, 40, now);
                plain.pause(7, 10 * 160, 40, now);
            }
            assert_eq!(coded.hearing().samples(), plain.hearing().samples(), "packet {packet}");
            let lately = |one: &Listening| one.lately(Duration::from_millis(200), now);
            assert_eq!(lately(&coded), lately(&plain), "packet {packet}");
        }
        assert_eq!((coded.packets(), coded.codes.is_empty()), (11, false));
    }

    #[test]
    fn what_did_not_come_is_silence() {
        let mut heard = Listening::default();
        heard.receive(7, 0, &[5; 160], Instant::from_millis(20));
        heard.receive(7, 480, &[5; 160], Instant::from_millis(80));
        assert_eq!(heard.hearing().samples()[160..480], [0; 320]);
        assert_eq!(heard.lately(Duration::from_millis(20), Instant::from_millis(1_000)), [0; 160]);
    }
}
