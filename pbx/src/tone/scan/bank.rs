//! How much of each key frequency there is, every 2.5 ms.

use std::f64::consts::TAU;

/// Samples between two looks: 2.5 ms at 8000 Hz.
pub(super) const HOP: usize = 20;
/// Hops in the window of one look: 20 ms.
const SPAN: usize = 8;
/// Samples in a window.
pub(super) const WINDOW: usize = HOP * SPAN;

/// The frequencies of keys in Hz: four rows, four columns (ITU-T Q.23).
pub(super) const NOMINAL: [f64; 8] = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];
/// Each is looked for a little below and a little above, so that one that is off by 1.5 % is not between two stools.
const ASIDE: [f64; 2] = [0.99, 1.01];
const BINS: usize = NOMINAL.len() * ASIDE.len();

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

/// Looks at samples at 8000 Hz, full scale 1.
pub(super) fn looks(samples: &[f32]) -> Vec<Look> {
    let bank = Bank::new();
    let hops: usize = samples.len() / HOP;
    let mut ring = [[(0.0f32, 0.0f32); BINS]; SPAN];
    let mut energies = [0.0f32; SPAN];
    let mut turns = [(1.0f64, 0.0f64); BINS];
    let mut looks = Vec::with_capacity(hops.saturating_sub(SPAN - 1));
    for (hop, block) in samples.chunks_exact(HOP).enumerate() {
        let place = hop % SPAN;
        ring[place] = bank.measure(block, &turns);
        energies[place] = block.iter().map(|sample| sample * sample).sum();
        bank.turn(&mut turns);
        if hop % 1_024 == 1_023 {
            // Rounding neither shrinks nor grows what only turns.
            turns.iter_mut().for_each(|turn| {
                let length = turn.0.hypot(turn.1);
                *turn = (turn.0 / length, turn.1 / length);
            });
        }
        if hop + 1 >= SPAN {
            looks.push(look(&ring, energies.iter().sum()));
        }
    }
    looks
}

/// The waves of one hop, and how far each has turned after it.
struct Bank {
    cosines: Vec<[f32; BINS]>,
    sines: Vec<[f32; BINS]>,
    steps: [(f64, f64); BINS],
}

impl Bank {
    fn new() -> Bank {
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
