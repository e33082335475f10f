//! Recordings that are not what they should be, and what is said of them.

use super::{Heard, compare};
use crate::audio::Law;
use crate::audio::recording::Recording;
use crate::audio::wav::Encoding;
use crate::tone::schedule::Schedule;

/// Two people press keys and hear a tone.
const CALL: &str = r#"
    length_ms = 4000

    [[channel]]
    name = "alice"
    tones = [
      { at_ms = 500, digits = "159#" },
      { at_ms = 2000, frequencies = [1000], for_ms = 500, level_dbm0 = -13 },
    ]

    [[channel]]
    name = "bob"
    tones = [{ at_ms = 800, digits = "42" }, { at_ms = 1500, cadence = "us busy", for_ms = 2000 }]
"#;

#[test]
fn what_is_as_expected_has_no_difference() {
    assert_eq!(told(|_| {}), [""; 0]);
}

#[test]
fn neither_a_codec_nor_another_rate_is_a_difference() {
    for encoding in Encoding::ALL {
        for rate in [8_000, 16_000, 48_000] {
            let schedule = Schedule { rate, encoding, ..schedule() };
            let file = schedule.render().to_wav(encoding);
            let heard = Heard::of(&Recording::read(&file).expect("a WAV file"));
            let differences = compare(&schedule, &heard);
            assert!(differences.is_empty(), "{encoding} at {rate}: {}", differences[0]);
        }
    }
}

#[test]
fn a_digit_that_is_missing() {
    assert_eq!(
        told(|call| call.channels[0][samples(660)..samples(740)].fill(0.0)),
        ["channel 1 (alice): digit 5 expected at 0.660 s, nothing heard"]
    );
}

#[test]
fn a_digit_too_many() {
    assert_eq!(
        told(|call| add(&mut call.channels[1], 3_600, &[852.0, 1_209.0], 80, -10.0)),
        ["channel 2 (bob): digit 7 heard at 3.600 s, where none was expected"]
    );
}

#[test]
fn another_digit() {
    assert_eq!(
        told(|call| {
            call.channels[0][samples(660)..samples(740)].fill(0.0);
            add(&mut call.channels[0], 660, &[770.0, 1_477.0], 80, -10.0);
        }),
        ["channel 1 (alice): digit 5 expected at 0.660 s, digit 6 heard"]
    );
}

#[test]
fn digits_that_come_late() {
    let late = told(|call| {
        call.channels[1].rotate_right(samples(100));
    });
    assert_eq!(
        late,
        [
            "channel 2 (bob): digit 4 expected at 0.800 s, heard at 0.900 s: 100 ms late",
            "channel 2 (bob): digit 2 expected at 0.960 s, heard at 1.060 s: 100 ms late",
            "channel 2 (bob): us busy expected at 1.500 s, heard at 1.600 s: 100 ms late",
        ]
    );
}

#[test]
fn a_tone_whose_beginning_is_cut_off() {
    assert_eq!(
        told(|call| call.channels[0][samples(2_000)..samples(2_060)].fill(0.0)),
        [
            "channel 1 (alice): a tone of 1000 Hz expected at 2.000 s begins at 2.060 s: its first 60 ms are cut off"
        ]
    );
}

#[test]
fn a_tone_that_breaks_off() {
    assert_eq!(
        told(|call| call.channels[0][samples(2_300)..].fill(0.0)),
        [
            "channel 1 (alice): a tone of 1000 Hz at 2.000 s ends at 2.300 s and not at 2.500 s: it is 200 ms too short"
        ]
    );
}

#[test]
fn wrong_frequencies() {
    let wrong = told(|call| {
        let alice = &mut call.channels[0];
        alice[samples(500)..samples(580)].fill(0.0);
        add(alice, 500, &[697.0 * 1.04, 1_209.0 * 1.04], 80, -10.0);
        alice[samples(2_000)..samples(2_500)].fill(0.0);
        add(alice, 2_000, &[1_050.0], 500, -13.0);
    });
    assert_eq!(
        wrong,
        [
            "channel 1 (alice): digit 1 expected at 0.500 s, its frequency is wrong: 724.3 + 1256.8 Hz heard, 4.0 % too high",
            "channel 1 (alice): a tone of 1000 Hz expected at 2.000 s, its frequency is wrong: 1050 Hz heard, 5.0 % too high",
        ]
    );
}

#[test]
fn sound_that_is_clipped() {
    for (of_peak, codec) in [(0.7, None), (0.5, Some(Law::A)), (0.7, Some(Law::Mu))] {
        let clipped = told(|call| {
            let alice = &mut call.channels[0];
            let peak = alice.iter().fold(0.0f32, |most, sample| most.max(sample.abs())) * of_peak;
            alice.iter_mut().for_each(|sample| *sample = sample.clamp(-peak, peak));
            let through =
                |law: Law, x: f32| f32::from(law.decode(law.encode((x * 32_767.0) as i16))) / 32_768.0;
            if let Some(law) = codec {
                alice.iter_mut().for_each(|sample| *sample = through(law, *sample));
            }
        });
        assert!(clipped.len() >= 4, "{clipped:?}");
        assert!(
            clipped[0].starts_with(
                "channel 1 (alice): digit 1 at 0.500 s is clipped: its tops are cut off (the distortion is "
            ),
            "{clipped:?}"
        );
    }
}

#[test]
fn something_in_which_there_is_no_tone() {
    let noisy = told(|call| {
        let (alice, mut dice) = (&mut call.channels[0], crate::rng::Rng::from_number(4));
        for sample in &mut alice[samples(1_900)..samples(2_600)] {
            *sample = (f64::from(dice.u32()) / f64::from(u32::MAX) - 0.5) as f32 * 0.2;
        }
    });
    let noise = "a tone of 1000 Hz expected at 2.000 s, what is heard there is neither a key nor a tone";
    assert_eq!(noisy, [format!("channel 1 (alice): {noise}")]);
}

#[test]
fn another_level() {
    assert_eq!(
        told(|call| call.channels[0].iter_mut().for_each(|sample| *sample *= 0.5)),
        ["channel 1 (alice): a tone of 1000 Hz at 2.000 s is 6.0 dB too faint: -19.0 dBm0 and not -13.0"],
        "only where a level was written down"
    );
}

#[test]
fn a_channel_that_is_silent() {
    assert_eq!(
        told(|call| call.channels[1].fill(0.0)),
        ["channel 2 (bob) is silent: 3 tones were expected, the first at 0.800 s"]
    );
}

#[test]
fn channels_that_are_swapped() {
    assert_eq!(
        told(|call| call.channels.swap(0, 1)),
        [
            "channel 1 (alice) holds what was expected on channel 2, and channel 2 what was expected here: they are swapped"
        ]
    );
}

#[test]
fn a_channel_that_is_not_there_and_one_too_many() {
    assert_eq!(
        told(|call| drop(call.channels.pop())),
        ["channel 2 (bob) is missing: the recording has 1 channel"]
    );
    assert_eq!(
        told(|call| call.channels.push(call.channels[0].clone())),
        ["channel 3: something is heard, but only 2 channels were expected"]
    );
}

#[test]
fn another_rhythm() {
    let reorder = CALL.replace("us busy", "us reorder");
    let recording = Schedule::read(&reorder).expect("a schedule").render();
    let differences = compare(&schedule(), &Heard::of(&recording));
    let said: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["channel 2 (bob): us busy expected at 1.500 s, us reorder heard"]);
}

fn schedule() -> Schedule {
    Schedule::read(CALL).expect("a schedule")
}

/// What is said of the call when this was done to its recording.
fn told(spoil: impl FnOnce(&mut Recording)) -> Vec<String> {
    let mut recording = schedule().render();
    spoil(&mut recording);
    compare(&schedule(), &Heard::of(&recording)).iter().map(ToString::to_string).collect()
}

fn samples(millis: usize) -> usize {
    8 * millis
}

fn add(channel: &mut [f32], at: usize, frequencies: &[f64], millis: usize, level: f64) {
    for frequency in frequencies {
        let sine = crate::tone::Sine::new(*frequency, level, 8_000).expect("a sine");
        for n in 0..samples(millis) {
            channel[samples(at) + n] += (sine.sample(n as u64) / 32_768.0) as f32;
        }
    }
}
