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

/// Sums that are made side by side.
const LANES: usize = 8;
/// Of each bin the real part, then of each the imaginary part.
const PARTS: usize = 2 * BINS;

/// The last hops of one stream of samples at 8000 Hz, full scale 1.
#[derive(Clone)]
pub(super) struct Windows {
    ring: [[f32; PARTS]; SPAN],
    energies: [f32; SPAN],
    turns: Turns,
    hop: usize,
}

impl Windows {
    pub(super) fn new() -> Windows {
        let turns = Turns { cosines: [1.0; BINS], sines: [0.0; BINS] };
        Windows { ring: [[0.0; PARTS]; SPAN], energies: [0.0; SPAN], turns, hop: 0 }
    }

    /// Takes the next hop; what is in the window that ends with it, unless it is the first ones.
    pub(super) fn take(&mut self, bank: &Bank, block: &[f32; HOP]) -> Option<Look> {
        let place = self.hop % SPAN;
        self.ring[place] = self.turns.back(&bank.measure(block));
        self.energies[place] = block.iter().map(|sample| sample * sample).sum();
        self.turns.go_on(&bank.steps);
        if self.hop % 1_024 == 1_023 {
            self.turns.round();
        }
        self.hop += 1;
        (self.hop >= SPAN).then(|| look(&self.ring, self.energies.iter().sum()))
    }
}

/// How far each wave has turned since the first sample.
#[derive(Clone)]
struct Turns {
    cosines: [f64; BINS],
    sines: [f64; BINS],
}

impl Turns {
    /// What was measured as if its hop began at the common zero of time, turned there.
    fn back(&self, measured: &[f32; PARTS]) -> [f32; PARTS] {
        let mut turned = [0.0; PARTS];
        let (reals, imaginaries) = turned.split_at_mut(BINS);
        let (real, imaginary) = measured.split_at(BINS);
        for bin in 0..BINS {
            let (c, s) = (self.cosines[bin] as f32, self.sines[bin] as f32);
            reals[bin] = real[bin] * c + imaginary[bin] * s;
            imaginaries[bin] = imaginary[bin] * c - real[bin] * s;
        }
        turned
    }

    fn go_on(&mut self, steps: &Turns) {
        for bin in 0..BINS {
            let (c, s) = (self.cosines[bin], self.sines[bin]);
            self.cosines[bin] = c * steps.cosines[bin] - s * steps.sines[bin];
            self.sines[bin] = c * steps.sines[bin] + s * steps.cosines[bin];
        }
    }

    /// Rounding neither shrinks nor grows what only turns.
    fn round(&mut self) {
        for (cosine, sine) in self.cosines.iter_mut().zip(&mut self.sines) {
            let length = cosine.hypot(*sine);
            (*cosine, *sine) = (*cosine / length, *sine / length);
        }
    }
}

/// The waves of one hop, and how far each has turned after it.
pub(super) struct Bank {
    /// e^(-jωn) of each, for one part of them after the other.
    waves: [[[f32; LANES]; HOP]; PARTS / LANES],
    steps: Turns,
}

impl Bank {
    pub(super) fn new() -> Bank {
        let omega = |bin: usize| TAU * NOMINAL[bin / 2] * ASIDE[bin % 2] / 8_000.0;
        let wave = |part: usize, n: usize| {
            let angle = omega(part % BINS) * n as f64;
            if part < BINS { angle.cos() as f32 } else { -(angle.sin() as f32) }
        };
        let lanes = |from: usize, n: usize| std::array::from_fn(|lane| wave(from + lane, n));
        let waves = std::array::from_fn(|some| std::array::from_fn(|n| lanes(some * LANES, n)));
        let step = |f: fn(f64) -> f64| std::array::from_fn(|bin| f(omega(bin) * HOP as f64));
        Bank { waves, steps: Turns { cosines: step(f64::cos), sines: step(f64::sin) } }
    }

    /// The sums of x(n) e^(-jωn) over a block.
    fn measure(&self, block: &[f32; HOP]) -> [f32; PARTS] {
        let mut measured = [0.0; PARTS];
        for (sums, waves) in measured.as_chunks_mut::<LANES>().0.iter_mut().zip(&self.waves) {
            *sums = correlate(block, waves);
        }
        measured
    }
}

/// The sums of samples times waves. One part of the waves at a time stays in the registers of any processor.
fn correlate(block: &[f32; HOP], waves: &[[f32; LANES]; HOP]) -> [f32; LANES] {
    let mut sums = [0.0f32; LANES];
    for (sample, waves) in block.iter().zip(waves) {
        for lane in 0..LANES {
            sums[lane] += sample * waves[lane];
        }
    }
    sums
}

fn look(ring: &[[f32; PARTS]; SPAN], energy: f32) -> Look {
    let mut sums = [0.0f32; PARTS];
    for (some, sums) in sums.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        for hop in ring {
            let hop = &hop.as_chunks::<LANES>().0[some];
            for lane in 0..LANES {
                sums[lane] += hop[lane];
            }
        }
    }
    let mut powers = [0.0f32; BINS];
    let (real, imaginary) = sums.split_at(BINS);
    for bin in 0..BINS {
        powers[bin] = real[bin] * real[bin] + imaginary[bin] * imaginary[bin];
    }
    let of = |tone: usize| powers[2 * tone].max(powers[2 * tone + 1]);
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
        let looks: Vec<Look> =
            samples.as_chunks().0.iter().filter_map(|block| windows.take(&bank, block)).collect();
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
