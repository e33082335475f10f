//! The same sound with another number of samples a second: all of it at once, by [`Resampler`] from any rate to any, or as a
//! stream comes, by [`Halfband`] between narrowband and wideband.

use std::f64::consts::PI;

/// Taps of the half-band low-pass on either side of its middle.
const REACH: usize = 15;
/// The low-pass: a sinc of half the band under a Blackman window. Every second tap but the middle is zero.
const TAPS: usize = 2 * REACH + 1;

/// Makes the sound of one stream fit another rate: twice as many samples, or half as many.
#[derive(Clone, Debug)]
pub enum Halfband {
    /// As it is.
    Same,
    /// 8000 samples a second become 16000.
    Double(Filter),
    /// 16000 become 8000.
    Halve(Filter),
}

/// What came before, and the low-pass.
#[derive(Clone, Debug)]
pub struct Filter {
    taps: [f32; TAPS],
    memory: [f32; TAPS],
    /// Whether the next sample is one that stays.
    stays: bool,
}

impl Halfband {
    /// From one rate to the other; `None` when they are not the same and neither is twice the other.
    pub fn new(from: u32, to: u32) -> Option<Halfband> {
        match (from, to) {
            _ if from == to => Some(Halfband::Same),
            _ if from * 2 == to => Some(Halfband::Double(Filter::new())),
            _ if to * 2 == from => Some(Halfband::Halve(Filter::new())),
            _ => None,
        }
    }

    /// Appends what follows.
    pub fn resample(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        match self {
            Halfband::Same => out.extend_from_slice(samples),
            Halfband::Double(filter) => {
                for sample in samples {
                    // Half the power is in what is put between.
                    let (one, other) = (filter.next(2.0 * f32::from(*sample)), filter.next(0.0));
                    out.extend([one, other].map(round));
                }
            }
            Halfband::Halve(filter) => {
                for sample in samples {
                    let filtered = filter.next(f32::from(*sample));
                    filter.stays = !filter.stays;
                    if filter.stays {
                        out.push(round(filtered));
                    }
                }
            }
        }
    }
}

impl Filter {
    fn new() -> Filter {
        let mut taps = [0.0; TAPS];
        for (n, tap) in taps.iter_mut().enumerate() {
            let x = n as f64 - REACH as f64;
            let sinc = if x == 0.0 {
                0.5
            } else {
                (x * std::f64::consts::FRAC_PI_2).sin() / (x * std::f64::consts::PI)
            };
            let turn = std::f64::consts::TAU * (n + 1) as f64 / (TAPS + 1) as f64;
            *tap = (sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())) as f32;
        }
        Filter { taps, memory: [0.0; TAPS], stays: false }
    }

    fn next(&mut self, sample: f32) -> f32 {
        self.memory.rotate_left(1);
        self.memory[TAPS - 1] = sample;
        self.memory.iter().zip(&self.taps).map(|(sample, tap)| sample * tap).sum()
    }
}

fn round(sample: f32) -> i16 {
    // A cast saturates.
    sample.round() as i16
}

/// The samples at another rate; nothing is delayed, and what the new rate cannot hold is taken away.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to {
        return samples.to_vec();
    }
    let resampler = Resampler::new(from, to);
    (0..resampler.length(samples.len())).map(|n| resampler.sample(samples, n)).collect()
}

/// Brings samples to another rate, one at a time, so that a long recording need not be done at once.
#[derive(Debug)]
pub struct Resampler {
    from: u32,
    to: u32,
    /// Samples of the input on each side that one of the output is made of.
    reach: usize,
    /// The weights of the inputs; few places between two of them come up again and again: as many as the rates have in no
    /// common measure.
    table: Vec<f32>,
}

impl Resampler {
    /// From so many samples a second to so many.
    pub fn new(from: u32, to: u32) -> Resampler {
        /// Zeros of the kernel on each side.
        const ZEROS: f64 = 24.0;
        let step = f64::from(from) / f64::from(to);
        // Relative to the rate of the input; a little below half of the lower rate.
        let cut = 0.94 * (1.0 / step).min(1.0);
        let reach = ZEROS / cut;
        let kernel = |distance: f64| {
            let place = distance / reach;
            if place.abs() >= 1.0 {
                return 0.0;
            }
            let x = PI * distance * cut;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
            // Blackman's window.
            cut * sinc * (0.42 + 0.5 * (PI * place).cos() + 0.08 * (2.0 * PI * place).cos())
        };
        let phases = to / common_measure(from, to);
        let taps = 2 * reach.ceil() as usize + 1;
        let place = |phase: u32, tap: usize| {
            let aside = (u64::from(phase) * u64::from(from) % u64::from(to)) as f64 / f64::from(to);
            tap as f64 - reach.ceil() - aside
        };
        let weights = |phase| (0..taps).map(move |tap| kernel(place(phase, tap)) as f32);
        let table = (0..phases).flat_map(weights).collect();
        Resampler { from, to, reach: reach.ceil() as usize, table }
    }

    /// How many samples so many become; the time is the same.
    pub fn length(&self, samples: usize) -> usize {
        (samples as u64 * u64::from(self.to)).div_ceil(u64::from(self.from)) as usize
    }

    /// Sample `n` of what `samples` become.
    pub fn sample(&self, samples: &[f32], n: usize) -> f32 {
        let place = (n as u64 * u64::from(self.from) / u64::from(self.to)) as usize;
        let taps = 2 * self.reach + 1;
        let kernel = &self.table[n * taps % self.table.len()..][..taps];
        let skipped = self.reach.saturating_sub(place);
        let inputs = &samples[place.saturating_sub(self.reach).min(samples.len())..];
        kernel.iter().skip(skipped).zip(inputs).map(|(weight, sample)| weight * sample).sum()
    }
}

fn common_measure(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_measure(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn sine(frequency: f64, rate: u32) -> Vec<i16> {
        (0..rate)
            .map(|n| (8000.0 * (f64::from(n) * frequency / f64::from(rate) * TAU).sin()) as i16)
            .collect()
    }

    /// The amplitude of a frequency in the middle of a sound.
    fn amplitude(samples: &[i16], frequency: f64, rate: u32) -> f64 {
        let middle = &samples[1000..samples.len() - 1000];
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in middle.iter().enumerate() {
            let turn = n as f64 * frequency / f64::from(rate) * TAU;
            re += f64::from(*sample) * turn.cos();
            im += f64::from(*sample) * turn.sin();
        }
        2.0 * re.hypot(im) / middle.len() as f64
    }

    #[test]
    fn a_tone_stays_what_it_is_at_the_other_rate() {
        for (from, to) in [(8_000, 16_000), (16_000, 8_000), (8_000, 8_000)] {
            for frequency in [300.0, 1000.0, 3000.0] {
                let mut out = Vec::new();
                Halfband::new(from, to).unwrap().resample(&sine(frequency, from), &mut out);
                assert_eq!(out.len(), to as usize);
                let level = amplitude(&out, frequency, to);
                assert!((level / 8000.0 - 1.0).abs() < 0.1, "{frequency} Hz at {to}: {level:.0}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_tell_is_left_out() {
        let mut out = Vec::new();
        Halfband::new(16_000, 8_000).unwrap().resample(&sine(6000.0, 16_000), &mut out);
        assert!(amplitude(&out, 2000.0, 8_000) < 80.0);
        let mut up = Vec::new();
        Halfband::new(8_000, 16_000).unwrap().resample(&sine(1000.0, 8_000), &mut up);
        assert!(amplitude(&up, 7000.0, 16_000) < 80.0, "no image above");
    }

    #[test]
    fn other_rates_are_refused() {
        assert!(Halfband::new(8_000, 48_000).is_none());
    }

    #[test]
    fn a_tone_keeps_its_pitch_strength_and_place_at_another_rate() {
        for from in [16_000, 44_100, 48_000, 11_025] {
            let sine = |rate: u32, n: usize| (2.0 * PI * 1_000.0 * n as f64 / f64::from(rate)).sin() as f32;
            let samples: Vec<f32> = (0..from as usize / 2).map(|n| sine(from, n)).collect();
            let resampled = resample(&samples, from, 8_000);
            assert_eq!(resampled.len(), 4_000, "{from} Hz");
            for (n, sample) in resampled.iter().enumerate().take(3_900).skip(100) {
                assert!((sample - sine(8_000, n)).abs() < 2e-3, "{from} Hz, sample {n}: {sample}");
            }
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_gone() {
        let samples: Vec<f32> =
            (0..16_000).map(|n| (2.0 * PI * 5_000.0 * f64::from(n) / 16_000.0).sin() as f32).collect();
        let left = resample(&samples, 16_000, 8_000);
        assert!(left[100..7_900].iter().all(|sample| sample.abs() < 1e-3));
    }
}
