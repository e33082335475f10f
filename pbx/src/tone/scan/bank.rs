//! How much of each key frequency there is, every 2.5 ms.

use std::f64::consts::TAU;

/// Samples between two looks: 2.5 ms at 8000 Hz.
pub(super) const HOP: usize = 20;
/// Hops in the window of one look: 20 ms.
pub(super) const SPAN: usize = 8;
/// Samples in a window.
pub(super) const WINDOW: usize = HOP * SPAN;

/// The frequencies of keys in Hz: four rows, four columns (ITU-T Q.23).
pub(super) const NOMINAL: [f64; 8] = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];
/// Each is looked for a little below and a little above, so that one that is off by 1.5 % is not between two stools.
const ASIDE: [f64; 2] = [0.99, 1.01];
const BINS: usize = NOMINAL.len() * ASIDE.len();

/// A window below this mean square is silent: about -58 dBm0.
pub(super) const SILENT: f32 = 4e-7;
/// What the two sines of a clear key explain, and the weaker of them.
const CLEAR_SHARE: f32 = 0.6;
const CLEAR_WEAKER: f32 = 0.06;

/// What one window holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The strongest row and column, 0 to 3.
    pub(super) row: u8,
    pub(super) column: u8,
    /// The share of the energy that the two explain, 0 to 1.
    pub(super) share: f32,
    /// The share of the weaker of the two.
    pub(super) weaker: f32,
    /// The sum of squares.
    pub(super) energy: f32,
}

impl Look {
    /// Of silence.
    pub(super) const NOTHING: Look = Look { row: 0, column: 0, share: 0.0, weaker: 0.0, energy: 0.0 };

    /// Whether there is a key in it to anybody who looks no further.
    pub(super) fn is_clear(&self) -> bool {
        self.energy > SILENT * WINDOW as f32 && self.share > CLEAR_SHARE && self.weaker > CLEAR_WEAKER
    }
}

/// The last hops of one stream of samples at 8000 Hz, full scale 1.
#[derive(Clone)]
pub(super) struct Windows {
    ring: [[(f32, f32); BINS]; SPAN],
    energies: [f32; SPAN],
    turns: [(f64, f64); BINS],
    hop: usize,
}

impl Windows {
    pub(super) fn new() -> Windows {
        let ring = [[(0.0, 0.0); BINS]; SPAN];
        Windows { ring, energies: [0.0; SPAN], turns: [(1.0, 0.0); BINS], hop: 0 }
    }

    /// Takes the next hop; what is in the window that ends with it, unless it is the first ones.
    pub(super) fn take(&mut self, bank: &Bank, block: &[f32]) -> Option<Look> {
        let place = self.hop % SPAN;
        self.ring[place] = bank.measure(block, &self.turns);
        self.energies[place] = block.iter().map(|sample| sample * sample).sum();
        bank.turn(&mut self.turns);
        if self.hop % 1_024 == 1_023 {
            // Rounding neither shrinks nor grows what only turns.
            self.turns.iter_mut().for_each(|turn| {
                let length = turn.0.hypot(turn.1);
                *turn = (turn.0 / length, turn.1 / length);
            });
        }
        self.hop += 1;
        (self.hop >= SPAN).then(|| look(&self.ring, self.energies.iter().sum()))
    }
}

/// The waves of one hop, and how far each has turned after it.
pub(super) struct Bank {
    cosines: Vec<[f32; BINS]>,
    sines: Vec<[f32; BINS]>,
    steps: [(f64, f64); BINS],
}

impl Bank {
    pub(super) fn new() -> Bank {
        let omega = |bin: usize| TAU * NOMINAL[bin / 2] * ASIDE[bin % 2] / 8_000.0;
        let wave = |f: fn(f64) -> f64| {
            (0..HOP).map(|n| std::array::from_fn(|bin| f(omega(bin) * n as f64) as f32)).collect()
        };
        let steps = std::array::from_fn(|bin| {
            let angle = omega(bin) * HOP as f64;
            (angle.cos(), angle.sin())
        });
        Bank { cosines: wave(f64::cos), sines: wave(f64::sin), steps }
    }

    /// The sums of x(n) e^(-jωn) over a block, turned to the common zero of time.
    fn measure(&self, block: &[f32], turns: &[(f64, f64); BINS]) -> [(f32, f32); BINS] {
        let (mut real, mut imaginary) = ([0.0f32; BINS], [0.0f32; BINS]);
        for ((sample, cosines), sines) in block.iter().zip(&self.cosines).zip(&self.sines) {
            for bin in 0..BINS {
                real[bin] += sample * cosines[bin];
                imaginary[bin] -= sample * sines[bin];
            }
        }
        std::array::from_fn(|bin| {
            let (c, s) = (turns[bin].0 as f32, turns[bin].1 as f32);
            (real[bin] * c + imaginary[bin] * s, imaginary[bin] * c - real[bin] * s)
        })
    }

    fn turn(&self, turns: &mut [(f64, f64); BINS]) {
        for (turn, step) in turns.iter_mut().zip(&self.steps) {
            *turn = (turn.0 * step.0 - turn.1 * step.1, turn.0 * step.1 + turn.1 * step.0);
        }
    }
}

fn look(ring: &[[(f32, f32); BINS]; SPAN], energy: f32) -> Look {
    let (mut real, mut imaginary) = ([0.0f32; BINS], [0.0f32; BINS]);
    for hop in ring {
        for bin in 0..BINS {
            real[bin] += hop[bin].0;
            imaginary[bin] += hop[bin].1;
        }
    }
    let power = |bin: usize| real[bin] * real[bin] + imaginary[bin] * imaginary[bin];
    let of = |tone: usize| power(2 * tone).max(power(2 * tone + 1));
    let strongest = |tones: std::ops::Range<usize>| {
        let first = tones.start;
        tones
            .map(|tone| (tone, of(tone)))
            .fold((first, -1.0), |best, next| if next.1 > best.1 { next } else { best })
    };
    let ((row, low), (column, high)) = (strongest(0..4), strongest(4..8));
    let scale = 2.0 / WINDOW as f32 / energy.max(1e-12);
    Look {
        row: row as u8,
        column: (column - 4) as u8,
        share: (low + high) * scale,
        weaker: low.min(high) * scale,
        energy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use goertzel_nostd::Parameters;

    #[test]
    fn a_window_holds_what_goertzel_finds_in_it() {
        let wave = |n: usize| {
            let sine = |f: f64, a: f64| a * (TAU * f * n as f64 / 8_000.0 + f).sin();
            (sine(852.0, 0.3) + sine(1_336.0, 0.2) + sine(431.0, 0.1)) as f32
        };
        let samples: Vec<f32> = (0..2_000).map(wave).collect();
        let (bank, mut windows) = (Bank::new(), Windows::new());
        let looks: Vec<Look> = samples.chunks(HOP).filter_map(|block| windows.take(&bank, block)).collect();
        assert_eq!(looks.len(), samples.len() / HOP - SPAN + 1);
        for (hop, look) in looks.iter().enumerate() {
            let window = &samples[hop * HOP..hop * HOP + WINDOW];
            assert_eq!((look.row, look.column), (2, 1));
            let power = |tone: usize| {
                let near = ASIDE.map(|aside| (NOMINAL[tone] * aside) as f32);
                near.map(|f| Parameters::new(f, 8_000, WINDOW).mag_squared(window.iter()))
                    .into_iter()
                    .fold(0.0, f32::max)
            };
            let energy: f32 = window.iter().map(|sample| sample * sample).sum();
            let share = (power(2) + power(5)) * 2.0 / WINDOW as f32 / energy;
            assert!((look.share - share).abs() < 1e-3, "hop {hop}: {} and {share}", look.share);
        }
    }
}
