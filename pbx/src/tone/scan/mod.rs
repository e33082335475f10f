//! Tones in a whole recording: keys, steady tones and their rhythms, each with its edges; and what looked like a key and
//! is none, with the reason.
//!
//! Samples are those of one channel at 8000 Hz, full scale 1. What a file holds is read and brought to that by
//! [`crate::audio::recording`].
//!
//! | file | what is in it |
//! |---|---|
//! | `bank.rs` | how much of each key frequency there is, every 2.5 ms |
//! | `bent.rs` | overtones that a line adds which is too small for a tone |
//! | `fit.rs` | sines fitted to samples: strength, edges to the sample |
//! | `pitch.rs` | their frequencies |
//! | `highpass.rs` | dial tones and hum are taken away before keys are looked for |
//! | `noise.rs` | noise told from voices |
//! | `keys.rs` | the keys |
//! | `spectrum.rs` | Fourier's transform |
//! | `steady.rs` | tones of one or two sines |
//! | `cadence.rs` | dial tone, busy, ringback: tones in a rhythm |

mod bank;
mod bent;
mod cadence;
mod finder;
mod fit;
mod highpass;
mod keys;
mod listener;
mod noise;
mod pitch;
mod sound;
mod spectrum;
mod steady;

pub use bent::distortion;
pub use cadence::{Cadence, PLANS, Plan, SIT, cadences};
pub use finder::Heard;
pub use keys::{Key, Reason};
pub use listener::{Instruments, Listener, keys};
pub use spectrum::Transform;
pub use steady::{Tone, tones};

/// All that is heard in a channel.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Keys, those that do not count as well, in order.
    pub keys: Vec<Key>,
    /// Steady tones that are no keys, in order.
    pub tones: Vec<Tone>,
    /// Their rhythms.
    pub cadences: Vec<Cadence>,
}

/// Listens to all of a channel at 8000 Hz, full scale 1.
pub fn scan(samples: &[f32]) -> Scan {
    let mut keys = keys(samples);
    let mut tones = tones(samples);
    // Where a tone begins or ends it has all frequencies for a moment; nobody took that for a key.
    keys.retain(|key| key.rejected.is_none() || !tones.iter().any(|tone| is_edge(key, tone)));
    tones.retain(|tone| !keys.iter().any(|key| key.rejected.is_none() && covers(key, tone)));
    let cadences = cadences(&tones);
    Scan { keys, tones, cadences }
}

/// Whether what is no key is a small part of the tone.
fn is_edge(key: &Key, tone: &Tone) -> bool {
    let overlap = key.end.min(tone.end).saturating_sub(key.start.max(tone.start));
    2 * overlap > key.end - key.start && 3 * (key.end - key.start) < tone.end - tone.start
}

/// Whether most of the tone is the key.
fn covers(key: &Key, tone: &Tone) -> bool {
    let overlap = key.end.min(tone.end).saturating_sub(key.start.max(tone.start));
    2 * overlap > tone.end - tone.start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tone::{Sine, dtmf};

    #[test]
    fn keys_are_found_where_they_are() {
        let mut sound = Sound::default();
        let mut places = Vec::new();
        for (at, key) in "1234567890*#ABCD".chars().enumerate() {
            sound.silence(50 + 7 * at);
            let start = sound.0.len();
            sound.press(key, 40 + 5 * at, -12.0);
            places.push((key, start, sound.0.len()));
        }
        sound.silence(60);
        let found = keys(&sound.0);
        assert!(found.iter().all(|key| key.rejected.is_none()), "{found:?}");
        assert_eq!(found.len(), places.len());
        for (key, (digit, start, end)) in found.iter().zip(places) {
            assert_eq!(key.digit, digit);
            assert!(
                key.start.abs_diff(start) <= 8 && key.end.abs_diff(end) <= 8,
                "{key:?} at {start}..{end}"
            );
        }
    }

    #[test]
    fn the_same_key_twice_is_two_and_a_key_with_a_hole_is_one() {
        let told = |pause| {
            let mut sound = Sound::default();
            sound.silence(40);
            sound.press('5', 60, -12.0);
            sound.silence(pause);
            sound.press('5', 60, -12.0);
            sound.silence(40);
            digits(&sound.0)
        };
        assert_eq!((told(40).as_str(), told(10).as_str()), ("55", "5"));
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        let reason = |make: &dyn Fn(&mut Sound)| {
            let mut sound = Sound::default();
            sound.silence(60);
            make(&mut sound);
            sound.silence(60);
            keys(&sound.0).first().and_then(|key| key.rejected)
        };
        assert_eq!(reason(&|sound| sound.press('5', 18, -12.0)), Some(Reason::TooShort));
        assert_eq!(reason(&|sound| sound.press('5', 80, -53.0)), Some(Reason::TooWeak));
        assert_eq!(
            reason(&|sound| sound.sines(80, &[(770.0 * 1.035, -12.0), (1_336.0, -12.0)])),
            Some(Reason::OffFrequency)
        );
        assert_eq!(reason(&|sound| sound.sines(80, &[(770.0, -8.0), (1_336.0, -24.0)])), Some(Reason::Twist));
        let three = [(770.0, -12.0), (1_336.0, -12.0), (1_000.0, -13.0)];
        assert_eq!(reason(&|sound| sound.sines(80, &three)), Some(Reason::Speech));
        assert_eq!(reason(&|sound| sound.press('5', 80, -12.0)), None);
    }

    #[test]
    fn keys_are_heard_through_noise_as_loud_as_they_are() {
        let mut sound = Sound::default();
        for key in "147*2580369#".chars() {
            sound.silence(80);
            sound.press(key, 60, -15.0);
        }
        sound.silence(80);
        // Two sines of -15 dBm0 have the power of noise of -12.
        sound.noise(-12.0, 5);
        assert_eq!(digits(&sound.0), "147*2580369#");
    }

    #[test]
    fn noise_alone_says_nothing() {
        let mut sound = Sound::default();
        sound.silence(20_000);
        sound.noise(-15.0, 9);
        let heard = scan(&sound.0);
        let counts = |key: &Key| key.rejected.is_none();
        assert!(!heard.keys.iter().any(counts) && heard.tones.is_empty(), "{heard:?}");
    }

    #[test]
    fn every_key_that_is_off_frequency_is_told_so_and_at_its_place() {
        for off in [0.965, 1.035] {
            for key in "1234567890*#ABCD".chars() {
                for start in (0..160).step_by(13) {
                    let (row, column) = dtmf::frequencies(key).expect("a key");
                    let mut sound = Sound::default();
                    sound.silence(60);
                    sound.0.resize(480 + start, 0.0);
                    sound.sines(70, &[(row * off, -12.0), (column * off, -12.0)]);
                    sound.silence(60);
                    let (from, to) = (480 + start, 480 + start + 560);
                    let told = keys(&sound.0);
                    let is_told = told.iter().any(|told| {
                        let is_there = told.start.abs_diff(from) < 40 && told.end.abs_diff(to) < 40;
                        told.digit == key && told.rejected == Some(Reason::OffFrequency) && is_there
                    });
                    assert!(is_told, "{key}, {off} times, {start} samples later: {told:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_over_a_dial_tone_is_heard() {
        let mut sound = Sound::default();
        sound.sines(300, &[(350.0, -13.0), (440.0, -13.0)]);
        sound.sines(60, &[(350.0, -13.0), (440.0, -13.0), (852.0, -16.0), (1_477.0, -16.0)]);
        sound.sines(200, &[(350.0, -13.0), (440.0, -13.0)]);
        assert_eq!(digits(&sound.0), "9");
    }

    #[test]
    fn a_steady_tone_has_its_pitch_level_and_edges() {
        let mut sound = Sound::default();
        sound.silence(200);
        sound.sines(300, &[(1_004.0, -10.0)]);
        sound.silence(200);
        let heard = scan(&sound.0);
        assert!(heard.keys.is_empty(), "its edges are no keys: {heard:?}");
        let [tone] = heard.tones.as_slice() else { panic!("{heard:?}") };
        assert!(
            (tone.frequencies[0] - 1_004.0).abs() < 0.5 && (tone.levels[0] + 10.0).abs() < 0.3,
            "{tone:?}"
        );
        assert!(tone.start.abs_diff(1_600) <= 8 && tone.end.abs_diff(4_000) <= 8, "{tone:?}");
    }

    #[test]
    fn busy_is_told_from_congestion_and_ringback() {
        let heard = |frequencies: &[f64], on, off, times| {
            let mut sound = Sound::default();
            let sines: Vec<_> = frequencies.iter().map(|frequency| (*frequency, -15.0)).collect();
            for _ in 0..times {
                sound.silence(off);
                sound.sines(on, &sines);
            }
            sound.silence(off);
            scan(&sound.0).cadences.iter().map(|it| format!("{} {}", it.plan, it.name)).collect::<Vec<_>>()
        };
        assert_eq!(heard(&[480.0, 620.0], 500, 500, 4), ["us busy"]);
        assert_eq!(heard(&[480.0, 620.0], 250, 250, 6), ["us reorder"]);
        assert_eq!(heard(&[425.0], 480, 480, 4), ["de busy"]);
        assert_eq!(heard(&[440.0, 480.0], 2_000, 4_000, 2), ["us ringback"]);
    }

    fn digits(samples: &[f32]) -> String {
        keys(samples).iter().filter(|key| key.rejected.is_none()).map(|key| key.digit).collect()
    }

    /// Samples that are put together.
    #[derive(Default)]
    struct Sound(Vec<f32>);

    impl Sound {
        fn silence(&mut self, millis: usize) {
            self.0.resize(self.0.len() + 8 * millis, 0.0);
        }

        fn press(&mut self, key: char, millis: usize, level: f64) {
            let (row, column) = dtmf::frequencies(key).expect("a key");
            self.sines(millis, &[(row, level), (column, level)]);
        }

        fn sines(&mut self, millis: usize, sines: &[(f64, f64)]) {
            let sines: Vec<Sine> =
                sines.iter().map(|(f, level)| Sine::new(*f, *level, 8_000).expect("a sine")).collect();
            let sample = |n| sines.iter().map(|sine| sine.sample(n)).sum::<f64>() / 32_768.0;
            self.0.extend((0..8 * millis as u64).map(|n| sample(n) as f32));
        }

        /// White noise of this level over everything.
        fn noise(&mut self, level: f64, seed: u64) {
            let mut dice = Rng::from_number(seed);
            // An even spread over ±a has the power a²/3, a sine of amplitude a the power a²/2.
            let most = 10f64.powf((level - crate::audio::FULL_SCALE) / 20.0) * 1.5f64.sqrt();
            for sample in &mut self.0 {
                *sample += (most * (f64::from(dice.u32()) / f64::from(u32::MAX) * 2.0 - 1.0)) as f32;
            }
        }
    }
}
