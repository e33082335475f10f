//! What is below the keys is taken away: dial tones, hum, the pitch of voices.

use std::f64::consts::{PI, TAU};

/// Half the length of the filter, less its middle.
const HALF: usize = 52;
/// In Hz at 8000: half of a sine passes here.
const CUT: f64 = 585.0;
/// Of the window by Kaiser: 45 dB.
const BETA: f64 = 3.98;

/// The filter.
pub(super) struct Taps([f32; HALF + 1]);

/// What has come in and is still needed: nothing above 680 Hz is changed, all of it is later by [`DELAY`] samples.
#[derive(Clone)]
pub(super) struct Highpass {
    /// The last samples, and behind them the block that came.
    samples: [f32; 2 * HALF + BLOCK],
    filled: usize,
}

/// The most samples that are taken at once.
pub(super) const BLOCK: usize = 160;
/// So many samples come out less than have gone in.
pub(super) const DELAY: usize = HALF;
/// Sums that are made side by side.
const LANES: usize = 16;

impl Highpass {
    /// Before the first sample it was silent.
    pub(super) fn new() -> Highpass {
        Highpass { samples: [0.0; 2 * HALF + BLOCK], filled: HALF }
    }

    /// Takes up to [`BLOCK`] samples; what comes out is written to the front of `out`, and its number returned.
    pub(super) fn take(&mut self, taps: &Taps, samples: &[f32], out: &mut [f32; BLOCK]) -> usize {
        self.samples[self.filled..self.filled + samples.len()].copy_from_slice(samples);
        self.filled += samples.len();
        let count = self.filled.saturating_sub(2 * HALF);
        for from in (0..count).step_by(LANES) {
            let lanes = LANES.min(count - from);
            out[from..from + lanes].copy_from_slice(&taps.sums(&self.samples, from)[..lanes]);
        }
        self.samples.copy_within(count..self.filled, 0);
        self.filled -= count;
        count
    }
}

impl Taps {
    /// What comes out at these places; the filter is the same forwards and backwards.
    fn sums(&self, samples: &[f32; 2 * HALF + BLOCK], from: usize) -> [f32; LANES] {
        let mut sums = [0.0f32; LANES];
        for tap in 0..HALF {
            let early: &[f32; LANES] = samples[from + tap..][..LANES].try_into().expect("so many lanes");
            let late: &[f32; LANES] =
                samples[from + 2 * HALF - tap..][..LANES].try_into().expect("so many lanes");
            for lane in 0..LANES {
                sums[lane] += self.0[tap] * (early[lane] + late[lane]);
            }
        }
        for lane in 0..LANES {
            sums[lane] += self.0[HALF] * samples[from + HALF + lane];
        }
        sums
    }

    /// The filter of this file.
    pub(super) fn new() -> Taps {
        let tap = |n: usize| {
            let at = n as f64 - HALF as f64;
            let low =
                if n == HALF { 2.0 * CUT / 8_000.0 } else { (TAU * CUT / 8_000.0 * at).sin() / (PI * at) };
            let place = at / HALF as f64;
            let window = bessel(BETA * (1.0 - place * place).max(0.0).sqrt()) / bessel(BETA);
            let through = if n == HALF { 1.0 } else { 0.0 };
            (through - low * window) as f32
        };
        Taps(std::array::from_fn(tap))
    }
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
