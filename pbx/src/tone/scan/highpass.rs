//! What is below the keys is taken away: dial tones, hum, the pitch of voices.

use std::f64::consts::{PI, TAU};

/// Half the length of the filter, less its middle.
const HALF: usize = 52;
/// In Hz at 8000: half of a sine passes here.
const CUT: f64 = 585.0;
/// Of the window by Kaiser: 45 dB.
const BETA: f64 = 3.98;

/// The samples without what is below about 500 Hz; nothing above 680 Hz is changed or delayed.
pub(super) fn filter(samples: &[f32]) -> Vec<f32> {
    let taps = taps();
    let mut padded = vec![0.0; HALF];
    padded.extend_from_slice(samples);
    padded.resize(samples.len() + 2 * HALF, 0.0);
    let sum = |window: &[f32]| {
        let mut lanes = [0.0f32; 8];
        for (x, t) in window.chunks_exact(8).zip(taps.chunks_exact(8)) {
            for lane in 0..8 {
                lanes[lane] += x[lane] * t[lane];
            }
        }
        let rest = window.len() / 8 * 8;
        let tail: f32 = window[rest..].iter().zip(&taps[rest..]).map(|(x, t)| x * t).sum();
        lanes.iter().sum::<f32>() + tail
    };
    padded.windows(2 * HALF + 1).map(sum).collect()
}

fn taps() -> Vec<f32> {
    let tap = |n: usize| {
        let at = n as f64 - HALF as f64;
        let low = if n == HALF { 2.0 * CUT / 8_000.0 } else { (TAU * CUT / 8_000.0 * at).sin() / (PI * at) };
        let place = at / HALF as f64;
        let window = bessel(BETA * (1.0 - place * place).max(0.0).sqrt()) / bessel(BETA);
        let through = if n == HALF { 1.0 } else { 0.0 };
        (through - low * window) as f32
    };
    (0..=2 * HALF).map(tap).collect()
}

/// The modified Bessel function of order 0.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..30 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}
