//! Sound files: one tone written, the tone of a recording found.
//!
//! The measure is Goertzel's: how much of the energy of a piece of sound is at one frequency.

use std::f64::consts::TAU;
use std::path::Path;

/// Samples a second, in all files here.
const RATE: u32 = 8000;
/// What is measured at a time: 100 ms, so that neighbouring frequencies are 10 Hz apart.
const PIECE: usize = 800;

/// Writes a tone of that frequency.
pub(crate) fn write(path: &Path, frequency: f64, seconds: u32) {
    write_samples(path, sine(frequency, (seconds * RATE) as usize));
}

/// Writes keys (ITU-T Q.23), each 100 ms long and 100 ms before the next, and silence around them.
pub(crate) fn write_keys(path: &Path, keys: &str, seconds: u32) {
    let (rows, columns) = ([697.0, 770.0, 852.0, 941.0], [1209.0, 1336.0, 1477.0, 1633.0]);
    let silence = |millis: usize| vec![0i16; millis * RATE as usize / 1000];
    let mut samples = silence(1000);
    for key in keys.chars() {
        let place = "123A456B789C*0#D".find(key).unwrap_or_else(|| panic!("{key} is no key"));
        let length = RATE as usize / 10;
        let pair = sine(rows[place / 4], length).zip(sine(columns[place % 4], length));
        samples.extend(pair.map(|(low, high)| low / 2 + high / 2));
        samples.extend(silence(100));
    }
    samples.resize((seconds * RATE) as usize, 0);
    write_samples(path, samples);
}

fn write_samples(path: &Path, samples: impl IntoIterator<Item = i16>) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).expect("our folder can be written");
    for sample in samples {
        file.write_sample(sample).expect("our folder can be written");
    }
    file.finalize().expect("our folder can be written");
}

/// What was heard, in pieces of 100 ms.
pub(crate) struct Recording {
    samples: Vec<i16>,
    /// For each piece the frequency that was the most of it; none where there was no tone.
    pieces: Vec<Option<u32>>,
}

impl Recording {
    pub(crate) fn read(path: &Path) -> Recording {
        let mut channels = Recording::channels(path);
        assert_eq!(channels.len(), 1, "{}", path.display());
        channels.remove(0)
    }

    /// Each channel by itself.
    pub(crate) fn channels(path: &Path) -> Vec<Recording> {
        let mut file =
            hound::WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // A wideband telephone writes more samples; the tones are far below what the mean of a few of them takes away.
        let (rate, count) = (file.spec().sample_rate, usize::from(file.spec().channels));
        assert_eq!(rate % RATE, 0, "{}", path.display());
        let times = (rate / RATE) as usize;
        // A telephone that was killed leaves half a sample; what came before it counts.
        let samples: Vec<i16> = file.samples::<i16>().map_while(Result::ok).collect();
        let channel = |first: usize| {
            let own: Vec<i16> = samples.iter().skip(first).step_by(count).copied().collect();
            let sum = |some: &[i16]| some.iter().map(|sample| i32::from(*sample)).sum::<i32>();
            own.chunks_exact(times).map(|some| (sum(some) / times as i32) as i16).collect::<Vec<_>>()
        };
        (0..count).map(|first| Recording::of(&channel(first))).collect()
    }

    fn of(samples: &[i16]) -> Recording {
        Recording { samples: samples.to_vec(), pieces: samples.chunks_exact(PIECE).map(dominant).collect() }
    }

    /// Fails unless these tones were heard together for so many seconds: nearly all there was, and each a good part of it.
    pub(crate) fn holds_together(&self, frequencies: &[u32], seconds: f64) {
        let holds = |piece: &&[i16]| {
            let energy = piece.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>().max(1.0);
            let shares: Vec<f64> =
                frequencies.iter().map(|frequency| power(piece, f64::from(*frequency)) / energy).collect();
            shares.iter().sum::<f64>() > 0.9 && shares.iter().all(|share| *share > 0.2)
        };
        let heard = self.samples.chunks_exact(PIECE).filter(holds).count();
        assert!(
            heard as f64 >= seconds * 10.0,
            "{frequencies:?} together for {seconds} s were not heard: {self}"
        );
    }

    /// How long there was something to hear, whatever it was.
    pub(crate) fn loud_seconds(&self) -> f64 {
        let is_loud = |piece: &&[i16]| piece.iter().any(|sample| sample.unsigned_abs() > 500);
        self.samples.chunks_exact(PIECE).filter(is_loud).count() as f64 / 10.0
    }

    /// How long it is.
    pub(crate) fn seconds(&self) -> f64 {
        self.pieces.len() as f64 / 10.0
    }

    /// Fails unless that tone was heard for so many seconds, and no other tone.
    pub(crate) fn is(&self, frequency: u32, seconds: f64) {
        self.has(frequency, seconds);
        let others = self.pieces.iter().flatten().filter(|piece| **piece != frequency).count();
        // Where a tone begins or breaks off a piece may look like its neighbour.
        assert!(others <= 2, "more than {frequency} Hz was heard: {self}");
    }

    /// Fails unless that tone was heard for so many seconds, whatever else was.
    pub(crate) fn has(&self, frequency: u32, seconds: f64) {
        let heard = self.pieces.iter().filter(|piece| **piece == Some(frequency)).count();
        assert!(heard as f64 >= seconds * 10.0, "{frequency} Hz for {seconds} s was not heard: {self}");
    }

    /// Of the pieces from the first to the last with this tone, the share that has it: 1 when nothing was lost.
    pub(crate) fn continuity(&self, frequency: u32) -> f64 {
        let is_it = |piece: &Option<u32>| *piece == Some(frequency);
        let Some(first) = self.pieces.iter().position(is_it) else { return 0.0 };
        let last = self.pieces.iter().rposition(is_it).unwrap_or(first);
        let span = &self.pieces[first..=last];
        span.iter().filter(|piece| is_it(piece)).count() as f64 / span.len() as f64
    }
}

impl std::fmt::Display for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} s of sound:", self.seconds())?;
        for same in self.pieces.chunk_by(|a, b| a == b) {
            let time = same.len() as f64 / 10.0;
            match same[0] {
                Some(frequency) => write!(f, " {frequency} Hz for {time} s,")?,
                None => write!(f, " no tone for {time} s,")?,
            }
        }
        Ok(())
    }
}

/// The frequency, in steps of 10 Hz, that holds more than half of the energy.
fn dominant(samples: &[i16]) -> Option<u32> {
    let energy = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
    // Below this it is silence, or what a codec makes of it.
    if energy / (samples.len() as f64) < 100.0_f64.powi(2) {
        return None;
    }
    let loudest = (30..=340).map(|step| (step * 10, power(samples, f64::from(step * 10))));
    let (frequency, power) = loudest.max_by(|a, b| a.1.total_cmp(&b.1))?;
    (power > 0.5 * energy).then_some(frequency)
}

/// The energy at one frequency; that of a pure tone is all there is.
fn power(samples: &[i16], frequency: f64) -> f64 {
    let coefficient = 2.0 * (TAU * frequency / f64::from(RATE)).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for &sample in samples {
        (before, last) = (last, f64::from(sample) + coefficient * last - before);
    }
    2.0 * (last.powi(2) + before.powi(2) - coefficient * last * before) / samples.len() as f64
}

fn sine(frequency: f64, samples: usize) -> impl Iterator<Item = i16> {
    let step = TAU * frequency / f64::from(RATE);
    (0..samples).map(move |n| ((n as f64 * step).sin() * 8000.0) as i16)
}

#[test]
fn a_tone_is_found() {
    let recording = Recording::of(&sine(440.0, 8000).chain([0; 8000]).collect::<Vec<_>>());

    recording.is(440, 1.0);
    assert_eq!(recording.to_string(), "2 s of sound: 440 Hz for 1 s, no tone for 1 s,");
}

#[test]
#[should_panic(expected = "440 Hz for 1 s was not heard")]
fn another_tone_is_not_it() {
    Recording::of(&sine(1000.0, 16000).collect::<Vec<_>>()).is(440, 1.0);
}

#[test]
#[should_panic(expected = "more than 440 Hz was heard")]
fn a_second_tone_is_not_overheard() {
    Recording::of(&sine(440.0, 8000).chain(sine(1000.0, 4000)).collect::<Vec<_>>()).is(440, 1.0);
}

#[test]
fn noise_is_no_tone() {
    let mut state = 1_u32;
    let noise = (0..8000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 17) as i16
    });

    assert_eq!(Recording::of(&noise.collect::<Vec<_>>()).pieces, [None; 10]);
}

#[test]
fn a_gap_is_counted() {
    let sound = sine(440.0, 8000).chain([0; 1600]).chain(sine(440.0, 6400)).collect::<Vec<_>>();

    let continuity = Recording::of(&sound).continuity(440);

    assert!((0.85..0.92).contains(&continuity), "{continuity}");
}
