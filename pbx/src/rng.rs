//! Seeded dice: tags, branches, Call-IDs, SSRCs, nonces.
//!
//! The shell gives a seed from the OS, a simulated world gives its own. The generator is ChaCha12, because tags,
//! branches and nonces must not be guessed by somebody who has seen others (RFC 3261 section 19.3).

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// What all randomness of one run follows from.
pub type Seed = [u8; 32];

/// A stream of random numbers that is the same for the same seed.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha12Rng);

impl Rng {
    /// The dice of `seed`.
    pub fn new(seed: Seed) -> Rng {
        Rng(ChaCha12Rng::from_seed(seed))
    }

    /// The dice of a small number, as a scenario gives it.
    pub fn from_number(seed: u64) -> Rng {
        Rng(ChaCha12Rng::seed_from_u64(seed))
    }

    /// Dice of their own for one part, so that one part drawing more does not change what another draws.
    pub fn fork(&mut self) -> Rng {
        let mut seed = Seed::default();
        self.0.fill_bytes(&mut seed);
        Rng::new(seed)
    }

    /// 32 random bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 64 random bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of the remainder is below 2^-32 for the small bounds used here.
        self.0.next_u64() % bound.max(1)
    }

    /// `length` letters and digits, about five bits each: fit for tags, branches and Call-IDs.
    pub fn token(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut token = String::with_capacity(length);
        let mut bits = 0;
        for i in 0..length {
            if i % 12 == 0 {
                bits = self.u64();
            }
            token.push(char::from(LETTERS[(bits & 31) as usize]));
            bits >>= 5;
        }
        token
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream() {
        let (mut a, mut b, mut c) = (Rng::from_number(7), Rng::from_number(7), Rng::from_number(8));
        let token = a.token(16);
        assert_eq!(token.len(), 16);
        assert_eq!(token, b.token(16));
        assert_ne!(token, c.token(16));
    }
}
