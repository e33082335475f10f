//! Sound that is ready to be played: one channel at 8000 Hz, in memory, shared by all who play it.

use super::recording::{Recording, RecordingError};
use super::resample::Resampler;
use super::{NARROWBAND, amplitude};
use std::f64::consts::TAU;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Samples that are made at a time where a conversion must not take long: a tenth of a second.
const PORTION: usize = NARROWBAND as usize / 10;
/// The ringing tone of most of Europe (ITU-T E.180): Hz, dBm0, seconds of sound, seconds of pause.
const RINGBACK: (f64, f64, u32, u32) = (425.0, -13.0, 1, 4);

/// The music of our own: the notes of a chord going up and down (C5, E5, G5, C6), in Hz, each so many seconds, at so many dBm0.
const MUSIC: ([f64; 6], f64, f64) = ([523.25, 659.26, 783.99, 1_046.5, 783.99, 659.26], 0.5, -18.0);

/// Sound that is ready to be played; never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip {
    samples: Vec<i16>,
}

impl Clip {
    /// These samples, 8000 a second; `None` where there are none.
    pub fn new(samples: Vec<i16>) -> Option<Clip> {
        (!samples.is_empty()).then_some(Clip { samples })
    }

    /// What the bytes of a WAV file sound like. Several channels become one, each as loud as it can be without clipping.
    pub fn read(bytes: &[u8]) -> Result<Clip, RecordingError> {
        let mut conversion = Conversion::new(Recording::read(bytes)?);
        while !conversion.go_on() {}
        Ok(conversion.finish())
    }

    /// One turn of what a caller hears while it rings; played again and again it is the ringing tone. It is made once.
    pub fn ringback() -> Arc<Clip> {
        static CLIP: LazyLock<Arc<Clip>> = LazyLock::new(|| Arc::new(Clip::of_ringing()));
        CLIP.clone()
    }

    /// One turn of what who is put on hold hears where nobody has chosen other music. It is made once.
    pub fn music() -> Arc<Clip> {
        static CLIP: LazyLock<Arc<Clip>> = LazyLock::new(|| Arc::new(Clip::of_chord()));
        CLIP.clone()
    }

    fn of_ringing() -> Clip {
        let (frequency, level, sound, pause) = RINGBACK;
        let loudest = amplitude(level);
        let sample = |n: u32| {
            let turn = TAU * frequency * f64::from(n) / f64::from(NARROWBAND);
            if n < sound * NARROWBAND { (loudest * turn.sin()).round() as i16 } else { 0 }
        };
        Clip { samples: (0..(sound + pause) * NARROWBAND).map(sample).collect() }
    }

    fn of_chord() -> Clip {
        let (notes, seconds, level) = MUSIC;
        let loudest = amplitude(level);
        let length = (seconds * f64::from(NARROWBAND)) as u32;
        let note = |frequency: f64| {
            (0..length).map(move |n| {
                let turn = TAU * frequency * f64::from(n) / f64::from(NARROWBAND);
                // Struck and dying away, without a click at either end.
                let part = f64::from(n) / f64::from(length);
                let shape = (part * 40.0).min(1.0) * (1.0 - part);
                (loudest * shape * turn.sin()).round() as i16
            })
        };
        Clip { samples: notes.into_iter().flat_map(note).collect() }
    }

    /// All of it.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(NARROWBAND))
    }
}

/// Without the samples.
impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip({:?})", self.duration())
    }
}

/// A recording that becomes a clip, portion by portion, so that nobody waits for a long one.
#[derive(Debug)]
pub struct Conversion {
    /// All channels as one.
    samples: Vec<f32>,
    resampler: Option<Resampler>,
    converted: Vec<i16>,
    length: usize,
}

impl Conversion {
    /// Nothing is converted yet.
    pub fn new(recording: Recording) -> Conversion {
        let resampler = (recording.rate != NARROWBAND).then(|| Resampler::new(recording.rate, NARROWBAND));
        let samples = as_one(recording.channels);
        let length = resampler.as_ref().map_or(samples.len(), |resampler| resampler.length(samples.len()));
        Conversion { samples, resampler, converted: Vec::with_capacity(length), length }
    }

    /// Converts a tenth of a second; `true` when that was the last.
    pub fn go_on(&mut self) -> bool {
        let from = self.converted.len();
        for n in from..self.length.min(from + PORTION) {
            let sample = match &self.resampler {
                Some(resampler) => resampler.sample(&self.samples, n),
                None => self.samples[n],
            };
            // A cast of floating point saturates.
            self.converted.push((sample * 32_768.0).round() as i16);
        }
        self.converted.len() == self.length
    }

    /// What was converted.
    pub fn finish(self) -> Clip {
        Clip { samples: self.converted }
    }
}

fn as_one(mut channels: Vec<Vec<f32>>) -> Vec<f32> {
    let share = 1.0 / channels.len().max(1) as f32;
    let mut one = channels.pop().unwrap_or_default();
    if channels.is_empty() {
        return one;
    }
    for (n, sample) in one.iter_mut().enumerate() {
        *sample = (*sample + channels.iter().map(|channel| channel[n]).sum::<f32>()) * share;
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Law;
    use crate::audio::recording::wav;

    #[test]
    fn narrowband_samples_are_played_as_they_are() {
        let samples: Vec<i16> =
            (0..400).map(|n| (n * 163 - 32_600) as i16).chain([i16::MIN, i16::MAX]).collect();
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(Clip::read(&wav(1, 16, 1, 8_000, &bytes)).expect("a WAV file").samples(), samples);
    }

    #[test]
    fn codes_of_g711_come_out_as_they_went_in() {
        for (format, law) in [(6, Law::A), (7, Law::Mu)] {
            let codes: Vec<u8> = (0..=255).collect();
            let clip = Clip::read(&wav(format, 8, 1, 8_000, &codes)).expect("a WAV file");
            let heard: Vec<i16> =
                clip.samples().iter().map(|sample| law.decode(law.encode(*sample))).collect();
            let meant: Vec<i16> = codes.iter().map(|code| law.decode(*code)).collect();
            assert_eq!(heard, meant, "format {format}");
        }
    }

    #[test]
    fn a_second_at_any_rate_is_a_second() {
        for rate in [8_000u32, 11_025, 16_000, 22_050, 44_100, 48_000] {
            let clip = Clip::read(&wav(1, 16, 1, rate, &vec![1; 2 * rate as usize])).expect("a WAV file");
            assert_eq!(clip.samples().len(), 8_000, "{rate} Hz");
            assert_eq!(clip.duration(), Duration::from_secs(1));
        }
    }

    #[test]
    fn two_channels_are_heard_as_one() {
        let bytes: Vec<u8> =
            [1_000i16, 3_000, -400, 0].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let clip = Clip::read(&wav(1, 16, 2, 8_000, &bytes)).expect("a WAV file");
        assert_eq!(clip.samples(), [2_000, -200]);
    }

    #[test]
    fn the_ringing_tone_is_a_second_of_tone_and_four_of_nothing() {
        let clip = Clip::ringback();
        assert_eq!(clip.duration(), Duration::from_secs(5));
        assert!(clip.samples()[..8_000].iter().any(|sample| sample.unsigned_abs() > 5_000));
        assert!(clip.samples()[8_000..].iter().all(|sample| *sample == 0));
    }
}
