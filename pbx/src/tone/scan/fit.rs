//! Sines fitted to samples by least squares.

use std::f64::consts::TAU;

/// The most sines of one fit.
const MOST: usize = 3;

/// Real and imaginary part.
pub(super) type Complex = (f64, f64);

/// `K` sines over a stretch of samples at 8000 Hz, prepared so that a fit over any part of it costs the same.
pub(super) struct Sines<const K: usize> {
    omegas: [f64; K],
    /// Before each sample, and behind the last.
    marks: Vec<Mark<K>>,
    /// 1 / (e^(jω) - 1) for ω the sum, and the difference, of two.
    over_sum: [[Complex; K]; K],
    over_difference: [[Complex; K]; K],
}

/// What is known before a sample. The parts of all sines stand side by side, so that they are counted at once.
#[derive(Clone, Copy)]
struct Mark<const K: usize> {
    /// e^(jωn) of each.
    wave: Pairs<K>,
    /// The sum of x(n) e^(jωn) of each.
    sum: Pairs<K>,
    /// The sum of x(n)^2.
    energy: f64,
}

/// Real and imaginary parts.
pub(super) type Pairs<const K: usize> = ([f64; K], [f64; K]);

impl<const K: usize> Mark<K> {
    const BEGIN: Mark<K> = Mark { wave: ([1.0; K], [0.0; K]), sum: ([0.0; K], [0.0; K]), energy: 0.0 };

    /// Behind the next sample.
    fn go_on(&mut self, sample: f64, steps: &Pairs<K>) {
        let Mark { wave, sum, energy } = self;
        for k in 0..K {
            sum.0[k] += sample * wave.0[k];
            sum.1[k] += sample * wave.1[k];
        }
        turn(wave, steps);
        *energy += sample * sample;
    }

    fn wave(&self, k: usize) -> Complex {
        (self.wave.0[k], self.wave.1[k])
    }

    /// What one of the sums has grown by since another mark.
    fn sum_since(&self, other: &Mark<K>, k: usize) -> Complex {
        (self.sum.0[k] - other.sum.0[k], self.sum.1[k] - other.sum.1[k])
    }
}

/// The fit of `K` sines over a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit<const K: usize> {
    /// The energy that the sines explain.
    pub(super) explained: f64,
    /// The energy there is.
    pub(super) energy: f64,
    /// How much cosine and sine of each.
    waves: [Complex; K],
}

impl<const K: usize> Fit<K> {
    /// What part the sines explain, 0 to 1.
    pub(super) fn share(&self) -> f64 {
        if self.energy > 0.0 { self.explained / self.energy } else { 0.0 }
    }

    /// As if there were nothing of this one.
    pub(super) fn keep_out(&mut self, one: usize) {
        self.waves[one] = (0.0, 0.0);
    }

    /// The amplitude of each.
    pub(super) fn amplitudes(&self) -> [f64; K] {
        self.waves.map(|(cosine, sine)| cosine.hypot(sine))
    }
}

impl<const K: usize> Sines<K> {
    pub(super) fn new(samples: &[f32], frequencies: [f64; K]) -> Sines<K> {
        let mut sines = Sines::with_room(samples.len());
        sines.measure(samples, frequencies);
        sines
    }

    /// Room for so many samples, which are still to come.
    pub(super) fn with_room(samples: usize) -> Sines<K> {
        Sines {
            omegas: [0.0; K],
            marks: Vec::with_capacity(samples + 1),
            over_sum: [[(0.0, 0.0); K]; K],
            over_difference: [[(0.0, 0.0); K]; K],
        }
    }

    /// Prepares these samples instead of those before.
    pub(super) fn measure(&mut self, samples: &[f32], frequencies: [f64; K]) {
        let omegas = frequencies.map(|frequency| TAU * frequency / 8_000.0);
        let steps = units(omegas);
        let over = |omega: f64| {
            let (re, im) = unit(omega);
            let square = (re - 1.0).powi(2) + im * im;
            if square < 1e-12 { (0.0, 0.0) } else { ((re - 1.0) / square, -im / square) }
        };
        let table = |f: fn(f64, f64) -> f64| {
            std::array::from_fn(|i| std::array::from_fn(|j| over(f(omegas[i], omegas[j]))))
        };
        self.omegas = omegas;
        self.over_sum = table(|a, b| a + b);
        self.over_difference = table(|a, b| a - b);
        let mut mark = Mark::BEGIN;
        self.marks.clear();
        self.marks.extend(samples.iter().map(|sample| {
            let before = mark;
            mark.go_on(f64::from(*sample), &steps);
            before
        }));
        self.marks.push(mark);
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> usize {
        self.marks.len() - 1
    }

    /// The fit over samples `from` up to but not `to`.
    #[expect(clippy::needless_range_loop, reason = "rows and columns of a matrix")]
    pub(super) fn fit(&self, from: usize, to: usize) -> Fit<K> {
        let (from, to, length) = (&self.marks[from], &self.marks[to], (to - from) as f64);
        let mut right = [0.0; 2 * MOST];
        let mut matrix = [[0.0; 2 * MOST]; 2 * MOST];
        for i in 0..K {
            (right[2 * i], right[2 * i + 1]) = to.sum_since(from, i);
            for j in i..K {
                let up = self.turned(to, from, i, j, true);
                let down = if i == j { (length, 0.0) } else { self.turned(to, from, i, j, false) };
                // cos a cos b = (cos(a - b) + cos(a + b)) / 2, and so on.
                matrix[2 * i][2 * j] = (down.0 + up.0) / 2.0;
                matrix[2 * i + 1][2 * j + 1] = (down.0 - up.0) / 2.0;
                matrix[2 * i][2 * j + 1] = (up.1 - down.1) / 2.0;
                matrix[2 * i + 1][2 * j] = (up.1 + down.1) / 2.0;
            }
        }
        for i in 0..2 * K {
            // A stretch shorter than a turn has no answer; this gives it a small one.
            matrix[i][i] += 1e-3;
            for j in 0..i {
                matrix[i][j] = matrix[j][i];
            }
        }
        let mut solution = right;
        solve(&mut matrix, &mut solution, 2 * K);
        let explained = solution.iter().zip(&right).map(|(a, b)| a * b).sum();
        let waves = std::array::from_fn(|k| (solution[2 * k], solution[2 * k + 1]));
        Fit { explained, energy: to.energy - from.energy, waves }
    }

    /// The sum of e^(jωn) over a part, ω the sum or the difference of two.
    fn turned(&self, to: &Mark<K>, from: &Mark<K>, i: usize, j: usize, sum: bool) -> Complex {
        let at = |mark: &Mark<K>| {
            let (a, b) = (mark.wave(i), mark.wave(j));
            if sum { times(a, b) } else { times(a, (b.0, -b.1)) }
        };
        let over = if sum { self.over_sum[i][j] } else { self.over_difference[i][j] };
        times(less(at(to), at(from)), over)
    }

    /// What a fit leaves of samples from sample `from` on.
    pub(super) fn leave(&self, fit: &Fit<K>, samples: &[f32], from: usize) -> Vec<f32> {
        let mut rest = Vec::with_capacity(samples.len());
        self.leave_in(fit, samples, from, &mut rest);
        rest
    }

    /// The same, into room that is there.
    pub(super) fn leave_in(&self, fit: &Fit<K>, samples: &[f32], from: usize, left: &mut Vec<f32>) {
        let steps = self.omegas.map(unit);
        let mut wave = self.omegas.map(|omega| unit(omega * from as f64));
        let rest = |sample: &f32| {
            let mut rest = f64::from(*sample);
            for k in 0..K {
                rest -= fit.waves[k].0 * wave[k].0 + fit.waves[k].1 * wave[k].1;
                wave[k] = times(wave[k], steps[k]);
            }
            rest as f32
        };
        left.clear();
        left.extend(samples.iter().map(rest));
    }

    /// The part that sines of constant strength explain best: its first sample and its end. First by whole hops
    /// anywhere, with `least` samples at least, then to the sample.
    pub(super) fn edges(&self, hop: usize, least: usize) -> (usize, usize) {
        let last = self.len() / hop;
        let mut best = (0.0, 0, last);
        for start in 0..last {
            let from = &self.marks[start * hop];
            let least = (least / hop).max(1);
            let ends = self.marks[start * hop..=last * hop].iter().step_by(hop).enumerate().skip(least);
            for (hops, to) in ends {
                let gain = rough(from, to, hops * hop);
                if gain > best.0 {
                    best = (gain, start, start + hops);
                }
            }
        }
        let (mut start, mut end) = (best.1 * hop, best.2 * hop);
        for step in [5, 1] {
            for _ in 0..2 {
                start = self.best(start, 4 * step, step, |at| (at, end));
                end = self.best(end, 4 * step, step, |at| (start, at));
            }
        }
        (start, end)
    }

    /// Where sines that go on to the end begin, or, backwards, that begin at the start end.
    pub(super) fn edge(&self, hop: usize, begins: bool) -> usize {
        let last = self.len();
        let part = |at: usize| if begins { (at, last) } else { (0, at) };
        let gain = |at: &usize| {
            let (from, to) = part(*at);
            if from + 40 <= to { self.fit(from, to).explained } else { f64::MIN }
        };
        let rough = (0..=last).step_by(hop).max_by(|a, b| gain(a).total_cmp(&gain(b))).unwrap_or(0);
        self.best(rough, hop, 1, part)
    }

    /// The place within `reach` of `around` where the part it makes is explained best.
    fn best(
        &self,
        around: usize,
        reach: usize,
        step: usize,
        part: impl Fn(usize) -> (usize, usize),
    ) -> usize {
        let mut best = (f64::MIN, around);
        for at in (around.saturating_sub(reach)..=(around + reach).min(self.len())).step_by(step) {
            let (from, to) = part(at);
            if from + 40 <= to {
                let gain = self.fit(from, to).explained;
                if gain > best.0 {
                    best = (gain, at);
                }
            }
        }
        best.1
    }
}

/// About the energy that the sines explain between two marks so many samples apart: as if they had nothing in common.
fn rough<const K: usize>(from: &Mark<K>, to: &Mark<K>, samples: usize) -> f64 {
    let power: f64 = (0..K).map(|k| square(to.sum_since(from, k))).sum();
    power * 2.0 / samples as f64
}

/// How many frequencies are measured side by side: each alone waits for its own last step.
pub(super) const LANES: usize = 8;

/// The power of sines of these frequencies over the samples, as |sum|^2 2 / n.
pub(super) fn powers(samples: &[f32], frequencies: [f64; LANES]) -> [f64; LANES] {
    let coefficients = frequencies.map(|frequency| 2.0 * (TAU * frequency / 8_000.0).cos());
    let (mut last, mut before) = ([0.0f64; LANES], [0.0f64; LANES]);
    for sample in samples {
        let x = f64::from(*sample);
        for lane in 0..LANES {
            let next = x + coefficients[lane] * last[lane] - before[lane];
            before[lane] = last[lane];
            last[lane] = next;
        }
    }
    std::array::from_fn(|lane| {
        let (last, before) = (last[lane], before[lane]);
        let magnitude = last * last + before * before - coefficients[lane] * last * before;
        2.0 * magnitude / samples.len().max(1) as f64
    })
}

/// The power of one.
pub(super) fn power(samples: &[f32], frequency: f64) -> f64 {
    powers(samples, [frequency; LANES])[0]
}

/// Each turned on by its step.
pub(super) fn turn<const K: usize>(waves: &mut Pairs<K>, steps: &Pairs<K>) {
    for k in 0..K {
        let (re, im) = (waves.0[k], waves.1[k]);
        waves.0[k] = re * steps.0[k] - im * steps.1[k];
        waves.1[k] = re * steps.1[k] + im * steps.0[k];
    }
}

pub(super) fn units<const K: usize>(angles: [f64; K]) -> Pairs<K> {
    let units = angles.map(unit);
    (units.map(|unit| unit.0), units.map(|unit| unit.1))
}

pub(super) fn unit(angle: f64) -> Complex {
    let (sin, cos) = angle.sin_cos();
    (cos, sin)
}

fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn less(a: Complex, b: Complex) -> Complex {
    (a.0 - b.0, a.1 - b.1)
}

pub(super) fn square(a: Complex) -> f64 {
    a.0 * a.0 + a.1 * a.1
}

/// The first `n` equations solved, the answer in the place of their right sides; the matrix is symmetric and positive.
#[expect(clippy::needless_range_loop, reason = "rows and columns of a matrix")]
fn solve(matrix: &mut [[f64; 2 * MOST]; 2 * MOST], right: &mut [f64; 2 * MOST], n: usize) {
    for i in 0..n {
        for j in i + 1..n {
            let factor = matrix[j][i] / matrix[i][i];
            for k in i..n {
                matrix[j][k] -= factor * matrix[i][k];
            }
            right[j] -= factor * right[i];
        }
    }
    for i in (0..n).rev() {
        for j in i + 1..n {
            right[i] -= matrix[i][j] * right[j];
        }
        right[i] /= matrix[i][i];
    }
}
