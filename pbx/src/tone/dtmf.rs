//! Keys in the audio of a stream: pairs of sines (ITU-T Q.23), accepted by the rules of Q.24. How they are found is in
//! [`super::scan`]; here is what a stream that plays and passes on needs of it: which key, once, as soon as it is certain.

use super::scan::{Heard, Instruments, Listener};
use std::time::Duration;

const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// The frequencies of a key: row, column, in Hz.
pub fn frequencies(key: char) -> Option<(f64, f64)> {
    let key = key.to_ascii_uppercase();
    let row = KEYS.iter().position(|row| row.contains(&key))?;
    let column = KEYS[row].iter().position(|known| *known == key)?;
    Some((ROWS[row], COLUMNS[column]))
}

/// Listens to one stream of samples at 8000 Hz, without allocating while it does.
#[derive(Debug, Default)]
pub struct Detector {
    listener: Listener,
    instruments: Instruments,
}

impl Detector {
    /// How long a key is held at least when it is told.
    pub const CERTAIN_AFTER: Duration = Duration::from_millis(38);

    /// Listens on; a key is told once, when it is certain: while it is held, or after its end when there is much noise. One
    /// call should bring no more than one key: of several only the last is told.
    pub fn receive(&mut self, samples: impl IntoIterator<Item = i16>) -> Option<char> {
        let mut told = None;
        let samples = samples.into_iter().map(|sample| f32::from(sample) / 32_768.0);
        self.listener.receive(samples, &mut self.instruments, |heard| {
            if let Heard::Pressed(digit) = heard {
                told = Some(digit);
            }
        });
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::NARROWBAND;
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
        let mut samples = samples.to_vec();
        samples.resize(samples.len() + 800, 0);
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
        no_key("far too faint", &press('5', 200, -53.0, -53.0, 1.0));
        no_key("too much twist", &press('5', 200, -26.0, -8.0, 1.0));
        no_key("detuned", &press('5', 200, -10.0, -10.0, 1.04));
        let mut dice = crate::rng::Rng::from_number(3);
        let noise: Vec<i16> = (0..80_000).map(|_| (dice.u32() >> 16) as u16 as i16 / 4).collect();
        no_key("noise", &noise);
    }
}
