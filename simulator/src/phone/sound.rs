//! What somebody says into a telephone: nothing, a tone, tones by a schedule.

use pbx::audio::Law;
use pbx::time::Duration;
use pbx::tone::Wave;
use std::cell::RefCell;

/// How loud people speak, in dBm0.
const LEVEL: f64 = -10.0;

/// Sounds from the first sample on.
#[derive(Clone, Debug, PartialEq)]
pub enum Sound {
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
            Sound::Silence => {}
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

/// So many waves are kept, more than there are people in most worlds.
const KEPT: usize = 64;

thread_local! {
    /// The waves of this world: one costs as many sines as its period has samples, and a packet would need a new one.
    static WAVES: RefCell<Vec<((u64, Law), Option<Wave>)>> = const { RefCell::new(Vec::new()) };
}

fn fill_tone(frequency: f64, from: u64, law: Law, out: &mut [u8]) {
    WAVES.with_borrow_mut(|waves| {
        let key = (frequency.to_bits(), law);
        let known = waves.iter().position(|(known, _)| *known == key);
        let at = known.unwrap_or_else(|| {
            waves.truncate(KEPT - 1);
            waves.push((key, Wave::new(frequency, LEVEL, law)));
            waves.len() - 1
        });
        if let Some(wave) = &waves[at].1 {
            wave.fill(from, out);
        }
    });
}
