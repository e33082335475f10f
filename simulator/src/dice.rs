//! Draws that depend on what they are for, not on what was drawn before.
//!
//! A draw is a hash of the seed and of the place it is made for (link, packet number, which of its draws). There is no
//! stream that is used up, so one draw more or less here changes none there.

/// A seed from which draws are made by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    pub const fn new(seed: u64) -> Dice {
        Dice(mix(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// Dice of their own for one place.
    pub const fn at(self, place: u64) -> Dice {
        Dice(mix(self.0 ^ mix(place.wrapping_add(0x2545_f491_4f6c_dd1d))))
    }

    /// Dice of their own for a place with a name.
    pub fn named(self, name: &str) -> Dice {
        name.bytes().fold(self, |dice, byte| dice.at(u64::from(byte)))
    }

    /// 64 bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// A number from 0.0 up to but not 1.0.
    pub fn share(self) -> f64 {
        // 53 bits are what a double holds.
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `bound`; 0 when that is 0.
    pub const fn below(self, bound: u64) -> u64 {
        ((self.0 as u128 * bound as u128) >> 64) as u64
    }
}

/// The finisher of SplitMix64: every bit of the result depends on every bit of `bits`.
const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_its_place_alone() {
        let dice = Dice::new(7);
        assert_eq!(dice.at(3).at(1).bits(), Dice::new(7).at(3).at(1).bits());
        assert_ne!(dice.at(3).at(1), dice.at(1).at(3));
        assert_ne!(dice.named("loss"), dice.named("jitter"));
        assert_ne!(Dice::new(7).at(0), Dice::new(8).at(0));
    }

    #[test]
    fn shares_are_spread_evenly() {
        let dice = Dice::new(42);
        let mut tenths = [0_u32; 10];
        for packet in 0..100_000 {
            tenths[(dice.at(packet).share() * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (9_500..10_500).contains(count)), "{tenths:?}");
    }
}
