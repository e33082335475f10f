//! Twice as many samples a second, or half as many: between narrowband and wideband.

/// Taps of the half-band low-pass on either side of its middle.
const REACH: usize = 15;
/// The low-pass: a sinc of half the band under a Blackman window. Every second tap but the middle is zero.
const TAPS: usize = 2 * REACH + 1;

/// Makes the sound of one stream fit another rate.
#[derive(Clone, Debug)]
pub enum Resampler {
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

impl Resampler {
    /// From one rate to the other; `None` when they are not the same and neither is twice the other.
    pub fn new(from: u32, to: u32) -> Option<Resampler> {
        match (from, to) {
            _ if from == to => Some(Resampler::Same),
            _ if from * 2 == to => Some(Resampler::Double(Filter::new())),
            _ if to * 2 == from => Some(Resampler::Halve(Filter::new())),
            _ => None,
        }
    }

    /// Appends what follows.
    pub fn resample(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        match self {
            Resampler::Same => out.extend_from_slice(samples),
            Resampler::Double(filter) => {
                for sample in samples {
                    // Half the power is in what is put between.
                    let (one, other) = (filter.next(2.0 * f32::from(*sample)), filter.next(0.0));
                    out.extend([one, other].map(round));
                }
            }
            Resampler::Halve(filter) => {
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
                Resampler::new(from, to).unwrap().resample(&sine(frequency, from), &mut out);
                assert_eq!(out.len(), to as usize);
                let level = amplitude(&out, frequency, to);
                assert!((level / 8000.0 - 1.0).abs() < 0.1, "{frequency} Hz at {to}: {level:.0}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_tell_is_left_out() {
        let mut out = Vec::new();
        Resampler::new(16_000, 8_000).unwrap().resample(&sine(6000.0, 16_000), &mut out);
        assert!(amplitude(&out, 2000.0, 8_000) < 80.0);
        let mut up = Vec::new();
        Resampler::new(8_000, 16_000).unwrap().resample(&sine(1000.0, 8_000), &mut up);
        assert!(amplitude(&up, 7000.0, 16_000) < 80.0, "no image above");
    }

    #[test]
    fn other_rates_are_refused() {
        assert!(Resampler::new(8_000, 48_000).is_none());
    }
}
