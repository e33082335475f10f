//! 20 ms of sound: what is mixed, played and recorded at a time. How many samples that is says the type, so nobody mixes
//! sound of two rates.

/// A [`FRAME`](super::FRAME) of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<const SAMPLES: usize>(pub [i16; SAMPLES]);

/// 20 ms at 8000 Hz.
pub type Narrowband = Frame<160>;

impl<const SAMPLES: usize> Frame<SAMPLES> {
    /// Nothing to hear.
    pub const SILENT: Frame<SAMPLES> = Frame([0; SAMPLES]);
    /// Samples a second.
    pub const RATE: u32 = SAMPLES as u32 * 50;
}

/// How loud somebody is for somebody else, as a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gain(i32);

/// Bits of a [`Gain`] behind the point.
const POINT: u32 = 12;

impl Gain {
    /// Not at all.
    pub const NOTHING: Gain = Gain(0);
    /// As loud as it came.
    pub const UNITY: Gain = Gain(1 << POINT);
    /// Eight times as loud, +18 dB.
    pub const MOST: Gain = Gain(8 << POINT);

    /// So many dB louder, or softer; never above [`Gain::MOST`].
    pub fn of_decibels(decibels: f64) -> Gain {
        // A cast of floating point saturates.
        let factor = (10f64.powf(decibels / 20.0) * f64::from(1 << POINT)).round() as i32;
        Gain(factor.clamp(0, Gain::MOST.0))
    }

    /// A sample so much louder; it may be beyond 16 bits.
    pub fn apply(self, sample: i16) -> i32 {
        (i32::from(sample) * self.0 + (1 << (POINT - 1))) >> POINT
    }
}

/// The sum of many voices, before it is made fit for 16 bits.
#[derive(Clone, Copy, Debug)]
pub struct Sum<const SAMPLES: usize>([i32; SAMPLES]);

impl<const SAMPLES: usize> Sum<SAMPLES> {
    /// Nobody.
    pub const EMPTY: Sum<SAMPLES> = Sum([0; SAMPLES]);

    /// One voice more.
    pub fn add(&mut self, frame: &Frame<SAMPLES>, gain: Gain) {
        if gain == Gain::UNITY {
            self.0.iter_mut().zip(&frame.0).for_each(|(sum, sample)| *sum += i32::from(*sample));
        } else if gain != Gain::NOTHING {
            self.0.iter_mut().zip(&frame.0).for_each(|(sum, sample)| *sum += gain.apply(*sample));
        }
    }

    /// One voice less, which was added as loud as that.
    pub fn take_away(&mut self, frame: &Frame<SAMPLES>, gain: Gain) {
        if gain == Gain::UNITY {
            self.0.iter_mut().zip(&frame.0).for_each(|(sum, sample)| *sum -= i32::from(*sample));
        } else if gain != Gain::NOTHING {
            self.0.iter_mut().zip(&frame.0).for_each(|(sum, sample)| *sum -= gain.apply(*sample));
        }
    }

    /// What is heard: where it is louder than 16 bits can be, it is as loud as they can.
    pub fn saturate(&self) -> Frame<SAMPLES> {
        Frame(self.0.map(|sum| sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gain_is_what_its_decibels_say() {
        assert_eq!(Gain::of_decibels(0.0), Gain::UNITY);
        assert_eq!(Gain::of_decibels(f64::NEG_INFINITY), Gain::NOTHING);
        assert_eq!(Gain::of_decibels(90.0), Gain::MOST);
        assert_eq!(Gain::of_decibels(-6.0206).apply(10_000), 5_000);
        assert_eq!(Gain::of_decibels(6.0206).apply(i16::MIN), -65_536);
    }

    #[test]
    fn who_is_too_loud_together_is_as_loud_as_can_be() {
        let mut sum = Sum::<2>::EMPTY;
        (0..3).for_each(|_| sum.add(&Frame([20_000, -20_000]), Gain::UNITY));
        assert_eq!(sum.saturate(), Frame([i16::MAX, i16::MIN]));
    }

    proptest! {
        #[test]
        fn who_is_taken_away_leaves_no_trace(voices in prop::collection::vec((any::<[i16; 4]>(), 0i32..32_768), 1..40)) {
            let voices: Vec<_> = voices.into_iter().map(|(samples, gain)| (Frame(samples), Gain(gain))).collect();
            let mut all = Sum::<4>::EMPTY;
            voices.iter().for_each(|(frame, gain)| all.add(frame, *gain));
            let mut without = Sum::<4>::EMPTY;
            voices[1..].iter().for_each(|(frame, gain)| without.add(frame, *gain));
            all.take_away(&voices[0].0, voices[0].1);
            prop_assert_eq!(all.saturate(), without.saturate());
        }
    }
}
