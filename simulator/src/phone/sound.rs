//! What somebody says into a telephone: nothing, a tone, tones by a schedule.

use pbx::audio::{Law, NARROWBAND};
use pbx::time::Duration;
use pbx::tone::{Sine, Wave, dtmf};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Cursor;
use std::sync::Arc;

/// How loud people speak, in dBm0.
const LEVEL: f64 = -10.0;

/// Sounds from the first sample on.
#[derive(Clone, Debug, PartialEq)]
pub enum Sound {
    /// Not even silence: no packet is sent but those of keys.
    Off,
    /// Nothing.
    Silence,
    /// A sine of so many Hz.
    Tone(f64),
    /// One after the other, each so long (`None`: silence), then silence.
    Schedule(Vec<(Duration, Option<f64>)>),
    /// What was recorded, in 8000 samples a second, then silence.
    Recording(Arc<[i16]>),
}

impl Sound {
    /// What is in a WAV file: PCM of 16 bits, 8000 or 16000 samples a second, of which one channel is taken.
    pub fn from_wav(bytes: &[u8]) -> Result<Sound, NoSound> {
        let mut reader = hound::WavReader::new(Cursor::new(bytes)).map_err(|_| NoSound::NoWav)?;
        let spec = reader.spec();
        if spec.sample_format != hound::SampleFormat::Int || spec.bits_per_sample != 16 {
            return Err(NoSound::NoPcm);
        }
        let samples: Result<Vec<i16>, _> = reader.samples().step_by(usize::from(spec.channels)).collect();
        let samples = samples.map_err(|_| NoSound::NoWav)?;
        match spec.sample_rate {
            8_000 => Ok(Sound::Recording(samples.into())),
            // The mean of two neighbours keeps out most of what 8000 samples a second cannot tell.
            16_000 => Ok(Sound::Recording(samples.chunks(2).map(mean).collect())),
            rate => Err(NoSound::OtherRate(rate)),
        }
    }

    /// Whether nothing is said in the packet that begins with sample `from`.
    pub(super) fn is_silent(&self, from: u64) -> bool {
        match self {
            Sound::Silence | Sound::Off => true,
            Sound::Tone(_) => false,
            Sound::Schedule(parts) => {
                let mut begins = 0;
                !parts.iter().any(|(length, frequency)| {
                    let ends = begins + super::hearing::samples_in(*length);
                    let is_now = (begins..ends).contains(&from) && frequency.is_some();
                    begins = ends;
                    is_now
                })
            }
            Sound::Recording(samples) => from >= samples.len() as u64,
        }
    }

    /// Fills `out`, which holds silence, with what follows from sample `from` on.
    pub(super) fn fill(&self, from: u64, law: Law, out: &mut [u8]) {
        match self {
            Sound::Off | Sound::Silence => {}
            Sound::Tone(frequency) => fill_tone(*frequency, from, law, out),
            Sound::Schedule(parts) => {
                // The parts are as long as whole packets, so a packet has one sound.
                let mut begins = 0;
                for (length, frequency) in parts {
                    let ends = begins + super::hearing::samples_in(*length);
                    if (begins..ends).contains(&from)
                        && let Some(frequency) = frequency
                    {
                        fill_tone(*frequency, from, law, out);
                    }
                    begins = ends;
                }
            }
            Sound::Recording(samples) => {
                let from = usize::try_from(from).unwrap_or(usize::MAX).min(samples.len());
                for (byte, sample) in out.iter_mut().zip(&samples[from..]) {
                    *byte = law.encode(*sample);
                }
            }
        }
    }
}

/// Why a WAV file cannot be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSound {
    /// It is none, or ends too early.
    NoWav,
    /// It holds no PCM of 16 bits.
    NoPcm,
    /// So many samples a second are not played.
    OtherRate(u32),
}

impl fmt::Display for NoSound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoSound::NoWav => f.write_str("it is no WAV file"),
            NoSound::NoPcm => f.write_str("it is not PCM of 16 bits"),
            NoSound::OtherRate(rate) => write!(f, "it has {rate} samples a second, not 8000 or 16000"),
        }
    }
}

impl std::error::Error for NoSound {}

/// Fills `out` with the pair of tones of a key (ITU-T Q.23) from sample `from` of it on.
pub(super) fn fill_key(key: char, from: u64, law: Law, out: &mut [u8]) {
    let Some((low, high)) = dtmf::frequencies(key) else { return };
    let sine = |frequency| Sine::new(frequency, LEVEL, NARROWBAND);
    let (Some(low), Some(high)) = (sine(low), sine(high)) else { return };
    for (n, byte) in (from..).zip(out) {
        *byte = law.encode((low.sample(n) + high.sample(n)).round() as i16);
    }
}

fn mean(pair: &[i16]) -> i16 {
    let sum: i32 = pair.iter().map(|sample| i32::from(*sample)).sum();
    (sum / pair.len() as i32) as i16
}

/// So many waves are kept, more than there are people in nearly all worlds.
const KEPT: usize = 256;

/// The bits of a frequency, and how it is encoded.
type Pitch = (u64, Law);

thread_local! {
    /// The waves of this world: one costs as many sines as its period has samples, and a packet would need a new one.
    static WAVES: RefCell<BTreeMap<Pitch, Option<Wave>>> = const { RefCell::new(BTreeMap::new()) };
}

fn fill_tone(frequency: f64, from: u64, law: Law, out: &mut [u8]) {
    WAVES.with_borrow_mut(|waves| {
        let key = (frequency.to_bits(), law);
        if waves.len() >= KEPT && !waves.contains_key(&key) {
            waves.pop_first();
        }
        if let Some(wave) = waves.entry(key).or_insert_with(|| Wave::new(frequency, LEVEL, law)) {
            wave.fill(from, out);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_of_16000_is_heard_as_8000() {
        let samples: Vec<i16> = (0..320).map(|n| n / 2 * 100).collect();
        let Ok(Sound::Recording(heard)) = Sound::from_wav(&wav(16_000, &samples)) else { panic!("no sound") };
        assert_eq!(heard.len(), 160);
        assert_eq!(heard[7], 700);
    }

    #[test]
    fn a_wav_of_44100_is_refused_with_the_reason() {
        assert_eq!(Sound::from_wav(&wav(44_100, &[0; 10])), Err(NoSound::OtherRate(44_100)));
        assert_eq!(Sound::from_wav(b"RIFF"), Err(NoSound::NoWav));
    }

    #[test]
    fn a_schedule_is_silent_between_its_tones() {
        let half = Duration::from_millis(500);
        let sound = Sound::Schedule(vec![(half, Some(440.0)), (half, None), (half, Some(600.0))]);
        assert_eq!([0, 4_000, 8_000, 12_000].map(|at| sound.is_silent(at)), [false, true, false, true]);
    }

    fn wav(rate: u32, samples: &[i16]) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }
}
