//! What somebody says into a telephone: nothing, a tone, tones by a schedule.

use pbx::audio::Law;
use pbx::time::Duration;
use pbx::tone::Wave;

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
}

impl Sound {
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
        }
    }
}

fn fill_tone(frequency: f64, from: u64, law: Law, out: &mut [u8]) {
    if let Some(wave) = Wave::new(frequency, LEVEL, law) {
        wave.fill(from, out);
    }
}
