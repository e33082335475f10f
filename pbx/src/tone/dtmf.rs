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

/// Listens to one stream of samples at 8000 Hz, with instruments that it shares with others; allocates nothing while it does.
#[derive(Debug, Default)]
pub struct Detector {
    listener: Listener,
}

impl Detector {
    /// How long a key is held at least when it is told.
    pub const CERTAIN_AFTER: Duration = Duration::from_millis(38);

    /// Listens on; `pressed` is told each key once, when it is certain: while it is held, or after its end when there is
    /// much noise.
    pub fn receive(
        &mut self,
        samples: impl IntoIterator<Item = i16>,
        instruments: &mut Instruments,
        mut pressed: impl FnMut(char),
    ) {
        let samples = samples.into_iter().map(|sample| f32::from(sample) / 32_768.0);
        self.listener.receive(samples, instruments, |heard| match heard {
            Heard::Pressed(digit) => pressed(digit),
            Heard::Released(_) => {}
        });
    }

    /// Whether a key is heard in the latest samples, certain or not yet.
    pub fn hears_key(&self) -> bool {
        self.listener.hears_key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Law, NARROWBAND};
    use crate::rng::Rng;
    use crate::tone::Sine;
    use proptest::prelude::*;

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
    fn several_keys_at_once_are_all_told() {
        let mut samples = Vec::new();
        for key in "159D".chars() {
            samples.extend(press(key, 60, -10.0, -8.0, 1.0));
            samples.extend(vec![0; 60 * 8]);
        }
        let (mut instruments, mut keys) = (Instruments::default(), String::new());
        Detector::default().receive(samples, &mut instruments, |key| keys.push(key));
        assert_eq!(keys, "159D");
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
        no_key("a voice", &voice(20_000));
        let mut dice = Rng::from_number(3);
        let noise: Vec<i16> = (0..80_000).map(|_| (dice.u32() >> 16) as u16 as i16 / 4).collect();
        no_key("noise", &noise);
    }

    #[test]
    fn a_key_is_known_soon_after_it_begins_and_until_it_ends() {
        for key in "1590#D".chars() {
            for start in (0..160).step_by(20) {
                let mut samples = vec![0; 800 + start];
                samples.extend(press(key, 200, -10.0, -8.0, 1.0));
                samples.extend(vec![0; 800]);
                let (begins, ends) = (800 + start, 800 + start + 1600);
                for (frame, hears) in suspected(&samples).enumerate() {
                    let end = (frame + 1) * 160;
                    if end < begins || end > ends + 320 {
                        assert!(!hears, "{key}: nothing is there at {end}, it lasts from {begins} to {ends}");
                    }
                    if end >= begins + 168 && end <= ends {
                        assert!(hears, "{key}: still not known at {end}, it lasts from {begins} to {ends}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_voice_is_seldom_taken_for_a_key_at_first_sight() {
        let suspicions = suspected(&voice(60_000)).filter(|hears| *hears).count();
        assert!(suspicions < 30, "{suspicions} of 3000 frames");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn keys_as_q_24_has_them_are_told_once_each_and_in_order(
            presses in prop::collection::vec(
                (prop::sample::select("0123456789*#ABCD".chars().collect::<Vec<_>>()), 40u64..300, 40usize..200),
                1..10,
            ),
            level in -25.0..-5.0,
            twist in -8.0..4.0,
            offset in 0.985..1.015,
            law in prop::sample::select(vec![Law::A, Law::Mu]),
            chunk in prop::sample::select(vec![80usize, 160, 240, 480, 1600]),
            before in 0usize..400,
        ) {
            let mut samples = vec![0; before];
            for (key, millis, pause) in &presses {
                samples.extend(press(*key, *millis, level, level + twist, offset));
                samples.resize(samples.len() + pause * 8, 0);
            }
            samples.resize(samples.len() + 800, 0);
            let mut detector = Detector::default();
            let (mut instruments, mut told) = (Instruments::default(), String::new());
            for part in samples.chunks(chunk) {
                let coded = part.iter().map(|sample| law.decode(law.encode(*sample)));
                detector.receive(coded, &mut instruments, |key| told.push(key));
            }
            let wanted: String = presses.iter().map(|(key, ..)| *key).collect();
            prop_assert_eq!(told, wanted);
            prop_assert!(!detector.hears_key(), "it is over");
        }

        #[test]
        fn sounds_that_are_no_keys_are_never_told(seed: u64, tones in prop::collection::vec((200.0..3600.0, -30.0..-3.0), 0..3)) {
            // Of tones that are none of a key, or of one alone, and of noise.
            let off = |f: f64| ROWS.iter().chain(&COLUMNS).all(|nominal| (f / nominal - 1.0).abs() > 0.05);
            prop_assume!(tones.iter().filter(|(f, _)| !off(*f)).count() < 2);
            let mut samples = sound(1_000, &tones);
            let mut dice = Rng::from_number(seed);
            for sample in &mut samples {
                *sample = sample.saturating_add((dice.u32() >> 16) as u16 as i16 / 64);
            }
            prop_assert_eq!(heard(&samples), "");
        }
    }

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

    /// A voice that goes up and down, with all overtones.
    fn voice(millis: usize) -> Vec<i16> {
        let sample = |n: usize| {
            let time = n as f64 / 8_000.0;
            let pitch = 140.0 * time + 4.0 * (5.0 * time).sin();
            let wave = (1..20)
                .map(|k| (std::f64::consts::TAU * (pitch * f64::from(k)).fract()).sin() / f64::from(k));
            (6_000.0 * wave.sum::<f64>()) as i16
        };
        (0..millis * 8).map(sample).collect()
    }

    /// The keys that are told of these samples and 100 ms of silence.
    fn heard(samples: &[i16]) -> String {
        let (mut detector, mut instruments) = (Detector::default(), Instruments::default());
        let mut samples = samples.to_vec();
        samples.resize(samples.len() + 800, 0);
        let mut keys = String::new();
        for frame in samples.chunks(160) {
            detector.receive(frame.iter().copied(), &mut instruments, |key| keys.push(key));
        }
        keys
    }

    /// Whether a key is heard, after each frame.
    fn suspected(samples: &[i16]) -> impl Iterator<Item = bool> {
        let (mut detector, mut instruments) = (Detector::default(), Instruments::default());
        samples.chunks(160).map(move |frame| {
            detector.receive(frame.iter().copied(), &mut instruments, |_| {});
            detector.hears_key()
        })
    }
}
