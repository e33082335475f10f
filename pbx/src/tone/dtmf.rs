//! Keys in the audio: pairs of sines (ITU-T Q.23), accepted by the rules of Q.24.
//!
//! Blocks of 102 samples (12.75 ms) are measured by [`goertzel_nostd`]; a key is one that two blocks in a row agree on,
//! so that 40 ms are always enough, and it is over after two blocks without it, so that a pause of 40 ms is one.

use crate::audio::{NARROWBAND, amplitude};
use goertzel_nostd::Parameters;
use std::time::Duration;

const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Samples in a block.
const BLOCK: usize = 102;
/// Each of the two sines has at least this level, in dBm0.
const FAINTEST: f64 = -36.0;
/// The higher sine is at most 4 dB above the lower one, as a power ratio ...
const TWIST: f32 = 2.51;
/// ... and at most 8 dB below it.
const REVERSE_TWIST: f32 = 6.31;
/// A sine stands out by 8 dB from the others of its group.
const PEAK: f32 = 6.31;
/// The share of the power in a block that the two sines have. Speech has more beside them; a key off by more than
/// 3.5 % leaves too little in its bins.
const SHARE: f32 = 0.6;

/// The frequencies of a key: row, column, in Hz.
pub fn frequencies(key: char) -> Option<(f64, f64)> {
    let key = key.to_ascii_uppercase();
    let row = KEYS.iter().position(|row| row.contains(&key))?;
    let column = KEYS[row].iter().position(|known| *known == key)?;
    Some((f64::from(ROWS[row]), f64::from(COLUMNS[column])))
}

/// Listens to one stream of samples at 8000 Hz.
#[derive(Clone)]
pub struct Detector {
    bins: [Parameters; 8],
    block: [f32; BLOCK],
    filled: usize,
    state: State,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Silent,
    /// One block had it.
    Suspected(char),
    /// It was told.
    Pressed(char),
    /// It was told, and one block was without it.
    Fading(char),
}

impl Default for Detector {
    fn default() -> Detector {
        let bin = |n: usize| {
            let frequency = if n < 4 { ROWS[n] } else { COLUMNS[n - 4] };
            Parameters::new(frequency, NARROWBAND, BLOCK)
        };
        let bins = std::array::from_fn(bin);
        Detector { bins, block: [0.0; BLOCK], filled: 0, state: State::Silent }
    }
}

impl Detector {
    /// How long a key is held at least when it is told.
    pub const CERTAIN_AFTER: Duration =
        Duration::from_micros(2 * BLOCK as u64 * 1_000_000 / NARROWBAND as u64);

    /// Listens on; a key is told once, when it is certain. One call should bring no more than one key: of several only
    /// the last is told.
    pub fn receive(&mut self, samples: impl IntoIterator<Item = i16>) -> Option<char> {
        let mut told = None;
        for sample in samples {
            self.block[self.filled] = f32::from(sample);
            self.filled += 1;
            if self.filled == BLOCK {
                self.filled = 0;
                told = self.on_block().or(told);
            }
        }
        told
    }

    /// Whether a key was heard in the latest samples, certain or not yet.
    pub fn hears_key(&self) -> bool {
        self.state != State::Silent
    }

    fn on_block(&mut self) -> Option<char> {
        let heard = self.key_in_block();
        let (state, told) = match (self.state, heard) {
            (State::Silent, None) | (State::Suspected(_) | State::Fading(_), None) => (State::Silent, None),
            (State::Silent, Some(key)) => (State::Suspected(key), None),
            (State::Suspected(before), Some(key)) if key == before => (State::Pressed(key), Some(key)),
            (State::Suspected(_), Some(key)) => (State::Suspected(key), None),
            (State::Pressed(before), None) => (State::Fading(before), None),
            (State::Pressed(before) | State::Fading(before), Some(key)) if key == before => {
                (State::Pressed(key), None)
            }
            (State::Pressed(_) | State::Fading(_), Some(key)) => (State::Suspected(key), None),
        };
        self.state = state;
        told
    }

    fn key_in_block(&self) -> Option<char> {
        let energy: f32 = self.block.iter().map(|sample| sample * sample).sum();
        let half = BLOCK as f32 / 2.0;
        // A sine of amplitude a shows as (a * BLOCK / 2)^2 in its bin, and as BLOCK * a^2 / 2 in the energy.
        let faintest = (amplitude(FAINTEST) as f32 * half).powi(2);
        if energy * half < faintest {
            return None;
        }
        let power: [f32; 8] = std::array::from_fn(|n| self.bins[n].mag_squared(self.block.iter()));
        let (row, low) = peak(&power[..4])?;
        let (column, high) = peak(&power[4..])?;
        let loud = low >= faintest && high >= faintest;
        let balanced = high <= low * TWIST && low <= high * REVERSE_TWIST;
        let pure = low + high >= SHARE * half * energy;
        (loud && balanced && pure).then_some(KEYS[row][column])
    }
}

/// The strongest of a group, when it stands out from the others.
fn peak(group: &[f32]) -> Option<(usize, f32)> {
    let (at, strongest) = group.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let alone = group.iter().enumerate().all(|(n, power)| n == at || power * PEAK < strongest);
    alone.then_some((at, strongest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Sine;

    /// So many milliseconds of sines, each as (Hz, dBm0).
    fn sound(millis: u64, sines: &[(f64, f64)]) -> Vec<i16> {
        let sines: Vec<Sine> =
            sines.iter().map(|(f, level)| Sine::new(*f, *level, NARROWBAND).unwrap()).collect();
        (0..millis * 8).map(|n| sines.iter().map(|sine| sine.sample(n)).sum::<f64>() as i16).collect()
    }

    fn press(key: char, millis: u64, low: f64, high: f64, offset: f64) -> Vec<i16> {
        let (row, column) = frequencies(key).unwrap();
        sound(millis, &[(row * offset, low), (column * offset, high)])
    }

    fn heard(samples: &[i16]) -> String {
        let mut detector = Detector::default();
        samples.chunks(160).filter_map(|frame| detector.receive(frame.iter().copied())).collect()
    }

    #[test]
    fn every_key_of_forty_milliseconds_is_told_once_wherever_it_starts() {
        for shift in 0..13 {
            let mut samples = vec![0; shift * 8];
            for key in "1234567890*#ABCD11".chars() {
                samples.extend(press(key, 40, -10.0, -8.0, 1.0));
                samples.extend(vec![0; 40 * 8]);
            }
            assert_eq!(heard(&samples), "1234567890*#ABCD11", "{shift} ms later");
        }
    }

    #[test]
    fn a_key_held_is_one_key() {
        assert_eq!(heard(&press('5', 2000, -10.0, -10.0, 1.0)), "5");
    }

    #[test]
    fn faint_twisted_and_detuned_keys_are_accepted() {
        for key in "159D".chars() {
            assert_eq!(heard(&press(key, 60, -30.0, -30.0, 1.0)), key.to_string(), "faint");
            assert_eq!(heard(&press(key, 60, -13.0, -10.0, 1.0)), key.to_string(), "high above low");
            assert_eq!(heard(&press(key, 60, -10.0, -17.0, 1.0)), key.to_string(), "low above high");
            for offset in [0.985, 1.015] {
                assert_eq!(heard(&press(key, 60, -10.0, -10.0, offset)), key.to_string(), "off by {offset}");
            }
        }
    }

    #[test]
    fn what_is_no_key_is_not_told() {
        let no_key = |what: &str, samples: &[i16]| assert_eq!(heard(samples), "", "{what}");
        no_key("dial tone", &sound(2000, &[(350.0, -13.0), (440.0, -13.0)]));
        no_key("one row alone", &sound(2000, &[(697.0, -10.0)]));
        no_key("two rows", &sound(2000, &[(697.0, -10.0), (852.0, -10.0), (1209.0, -10.0)]));
        no_key("too short", &press('5', 12, -10.0, -10.0, 1.0));
        no_key("far too faint", &press('5', 200, -45.0, -45.0, 1.0));
        no_key("too much twist", &press('5', 200, -20.0, -10.0, 1.0));
        no_key("detuned", &press('5', 200, -10.0, -10.0, 1.04));
        let mut dice = crate::rng::Rng::from_number(3);
        let noise: Vec<i16> = (0..80_000).map(|_| (dice.u32() >> 16) as u16 as i16 / 4).collect();
        no_key("noise", &noise);
    }
}
