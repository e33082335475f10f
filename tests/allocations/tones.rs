//! Listening costs no allocation (DET-05): neither a frame of silence nor one of a key, of speech or of noise.

use crate::counting::allocations;
use pbx::tone::scan::{Heard, Instruments, Listener};
use pbx::tone::{Sine, dtmf};

/// 20 ms.
const FRAME: usize = 160;

#[test]
fn a_frame_that_is_listened_to_allocates_nothing() {
    let sound = sound();
    let (mut instruments, mut listener) = (Instruments::default(), Listener::default());
    let (mut pressed, mut released) = (0, 0);
    let before = allocations();
    for frame in sound.chunks(FRAME) {
        listener.receive(frame.iter().copied(), &mut instruments, |heard| match heard {
            Heard::Pressed(_) => pressed += 1,
            Heard::Released(_) => released += 1,
        });
    }
    let allocated = allocations() - before;
    assert_eq!(pressed, 32, "every key was told, also those in noise");
    assert!(released >= pressed, "{released} things that looked like keys are over");
    assert_eq!(allocated, 0, "for {} frames", sound.len() / FRAME);
}

/// All keys, one of them long, once clean and once in noise, and a voice that goes up and down.
fn sound() -> Vec<f32> {
    let mut samples = vec![0.0; 4_000];
    let mut dice = 1u32;
    for noise in [0.0f32, 0.08] {
        for digit in "0123456789*#ABCD".chars() {
            let (row, column) = dtmf::frequencies(digit).expect("a digit");
            let sines = [row, column].map(|f| Sine::new(f, -10.0, 8_000).expect("a sine"));
            let length = if digit == '7' { 16_000 } else { 600 };
            let key = |n| (sines.iter().map(|sine| sine.sample(n)).sum::<f64>() / 32_768.0) as f32;
            samples.extend((0..length).map(key));
            samples.resize(samples.len() + 600, 0.0);
        }
        for sample in &mut samples {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample += noise * (dice as f32 / u32::MAX as f32 - 0.5);
        }
    }
    let voice = |n: u32| {
        let time = n as f32 / 8_000.0;
        let pitch = 140.0 * time + 4.0 * (5.0 * time).sin();
        (1..16).map(|k| (std::f32::consts::TAU * pitch * k as f32).sin() / k as f32).sum::<f32>() * 0.1
    };
    samples.extend((0..40_000).map(voice));
    samples
}
