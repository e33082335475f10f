//! Whether what is left beside sines is noise.

use super::fit;

/// How far the strongest frequency of samples at 8000 Hz stands out of them, as a ratio of powers; the frequencies in
/// `except` do not count. Of white noise the largest of a hundred is five to seven times the mean; voices have more.
pub(super) fn prominence(samples: &[f32], except: &[f64]) -> f64 {
    let width = 8_000.0 / samples.len().max(1) as f64;
    let (mut most, mut all, mut count) = (0.0f64, 0.0, 0);
    let mut frequency = 150.0;
    while frequency < 3_700.0 {
        if except.iter().all(|own| (own.abs() - frequency).abs() > width) {
            let power = fit::power(samples, frequency);
            most = most.max(power);
            all += power;
            count += 1;
        }
        frequency += width / 2.0;
    }
    if all > 0.0 { most / (all / f64::from(count)) } else { 0.0 }
}
