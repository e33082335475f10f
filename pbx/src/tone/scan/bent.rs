//! What a line that is too small for a tone adds to it: overtones of odd order.

use super::fit::{self, Sines};

/// What is measured at most: 100 ms.
const MOST: usize = 800;
/// What is needed at least: 20 ms.
const LEAST: usize = 160;
/// Of what the sines leave, this part is such overtones: noise and voices have them too, among others.
const OWN: f64 = 0.4;

/// How far below one or two sines the overtones are that a bent line makes of them, in dB; `None` when the samples (8000 Hz)
/// are too few, or when there is more of something else beside the sines.
pub fn distortion(samples: &[f32], frequencies: &[f64]) -> Option<f64> {
    if samples.len() < LEAST {
        return None;
    }
    let from = (samples.len() - samples.len().min(MOST)) / 2;
    let samples = &samples[from..from + samples.len().min(MOST)];
    match *frequencies {
        [f] => {
            let order = [3.0, 5.0, 7.0].map(|n| n * f);
            below(samples, [f], &order)
        }
        [f, g] => {
            let third = [3.0 * f, 3.0 * g, 2.0 * f + g, 2.0 * g + f, 2.0 * f - g, 2.0 * g - f];
            let fifth = [3.0 * f - 2.0 * g, 3.0 * g - 2.0 * f, 3.0 * f + 2.0 * g, 3.0 * g + 2.0 * f];
            below(samples, [f, g], &[&third[..], &fifth[..]].concat())
        }
        _ => None,
    }
}

fn below<const K: usize>(samples: &[f32], frequencies: [f64; K], overtones: &[f64]) -> Option<f64> {
    let sines = Sines::new(samples, frequencies);
    let fit = sines.fit(0, samples.len());
    let rest = sines.leave(&fit, samples, 0);
    let bent: f64 = overtones.iter().map(|overtone| fit::power(&rest, folded(*overtone))).sum();
    let left = (fit.energy - fit.explained).max(1e-12);
    (bent > OWN * left && fit.explained > 0.0).then(|| 10.0 * (fit.explained / bent).log10())
}

/// Where a frequency shows at 8000 samples a second.
fn folded(frequency: f64) -> f64 {
    let within = frequency.abs() % 8_000.0;
    if within > 4_000.0 { 8_000.0 - within } else { within }
}
