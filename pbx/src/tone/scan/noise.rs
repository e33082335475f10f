//! Whether what is left beside sines is noise.

use super::fit;

/// How far the strongest frequency of samples at 8000 Hz stands out of them, as a ratio of powers; the frequencies in
/// `except` do not count. Of white noise the largest of a hundred is five to seven times the mean; voices have more.
pub(super) fn prominence(samples: &[f32], except: &[f64]) -> f64 {
    let width = 8_000.0 / samples.len().max(1) as f64;
    let counts = |frequency: &f64| except.iter().all(|own| (own.abs() - frequency).abs() > width);
    let mut frequencies =
        (0..).map(|n| 150.0 + f64::from(n) * width / 2.0).take_while(|f| *f < 3_700.0).filter(counts);
    let (mut most, mut all, mut count) = (0.0f64, 0.0, 0);
    loop {
        let mut some = [0.0; fit::LANES];
        let mut filled = 0;
        for (place, frequency) in some.iter_mut().zip(&mut frequencies) {
            *place = frequency;
            filled += 1;
        }
        for power in &fit::powers(samples, some)[..filled] {
            most = most.max(*power);
            all += power;
            count += 1;
        }
        if filled < fit::LANES {
            break;
        }
    }
    if all > 0.0 { most / (all / f64::from(count)) } else { 0.0 }
}
