//! How the power of a stretch is spread over frequencies.

use std::f64::consts::TAU;

/// A Fourier transform of a fixed length, a power of two.
#[derive(Clone, Debug)]
pub struct Transform {
    length: usize,
    /// e^(-2πik/length) for half a turn.
    turns: Vec<(f32, f32)>,
    window: Vec<f32>,
    work: Vec<(f32, f32)>,
}

impl Transform {
    /// For stretches of `window` samples, seen through Hann's window and filled up to `length`, a power of two.
    pub fn new(window: usize, length: usize) -> Transform {
        assert!(length.is_power_of_two() && window <= length, "a power of two that holds the window");
        let turn = |k| {
            let (sin, cos) = (TAU * k as f64 / length as f64).sin_cos();
            (cos as f32, -sin as f32)
        };
        let hann = |n| 0.5 - 0.5 * (TAU * (n as f64 + 0.5) / window as f64).cos();
        Transform {
            length,
            turns: (0..length / 2).map(turn).collect(),
            window: (0..window).map(|n| hann(n) as f32).collect(),
            work: vec![(0.0, 0.0); length],
        }
    }

    /// Samples in the window.
    pub fn window(&self) -> usize {
        self.window.len()
    }

    /// Writes the squares of the spectrum of `samples`, bin k at k / length of the sample rate, up to half of it;
    /// returns the energy in the window.
    pub fn power(&mut self, samples: &[f32], power: &mut Vec<f32>) -> f32 {
        self.work.fill((0.0, 0.0));
        let mut energy = 0.0;
        for ((slot, sample), window) in self.work.iter_mut().zip(samples).zip(&self.window) {
            slot.0 = sample * window;
            energy += slot.0 * slot.0;
        }
        self.transform();
        power.clear();
        power.extend(self.work[..=self.length / 2].iter().map(|(re, im)| re * re + im * im));
        energy
    }

    /// The same of two stretches at once, for the price of one: both are real, so one goes in as the imaginary part of the
    /// other and comes out apart from it.
    pub fn powers(
        &mut self,
        [one, other]: [&[f32]; 2],
        [one_power, other_power]: [&mut Vec<f32>; 2],
    ) -> [f32; 2] {
        self.work.fill((0.0, 0.0));
        let mut energies = [0.0; 2];
        for (((slot, one), other), window) in self.work.iter_mut().zip(one).zip(other).zip(&self.window) {
            *slot = (one * window, other * window);
            energies[0] += slot.0 * slot.0;
            energies[1] += slot.1 * slot.1;
        }
        self.transform();
        one_power.clear();
        other_power.clear();
        for bin in 0..=self.length / 2 {
            let (re, im) = self.work[bin];
            let (back_re, back_im) = self.work[(self.length - bin) % self.length];
            let square = |re: f32, im: f32| (re * re + im * im) / 4.0;
            one_power.push(square(re + back_re, im - back_im));
            other_power.push(square(im + back_im, back_re - re));
        }
        energies
    }

    /// Cooley and Tukey, in place: first the places are turned round, then twos are joined, then fours, ...
    fn transform(&mut self) {
        let bits = self.length.trailing_zeros();
        for n in 0..self.length {
            let turned = n.reverse_bits() >> (usize::BITS - bits);
            if n < turned {
                self.work.swap(n, turned);
            }
        }
        let mut half = 1;
        while half < self.length {
            let stride = self.length / (2 * half);
            for block in self.work.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(self.turns.iter().step_by(stride)) {
                    let turned = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
                    (*a, *b) = ((a.0 + turned.0, a.1 + turned.1), (a.0 - turned.0, a.1 - turned.1));
                }
            }
            half *= 2;
        }
    }
}
