//! One number for much: equal for what is equal, on every machine, and for no two others that anybody will see.
//!
//! A word is folded in by a multiplication of 64 by 64 bits, of whose 128 both halves count. The hash of the standard library
//! would do as well, but promises nothing from one release to the next; one byte at a time, as FNV has it, cost a third of
//! what it takes to play a call.

use std::hash::Hasher;

/// Odd, and without a pattern: the fraction of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// What was seen so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u64);

impl Default for Digest {
    fn default() -> Digest {
        // The fraction of pi; nothing at all is not nothing.
        Digest(0x243f_6a88_85a3_08d3)
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR);
        self.0 = (product as u64 ^ (product >> 64) as u64).wrapping_add(word.rotate_left(32));
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::hash::Hash;

    fn digest(bytes: &[u8]) -> u64 {
        let mut digest = Digest::default();
        bytes.hash(&mut digest);
        digest.finish()
    }

    #[test]
    fn what_differs_in_a_bit_a_place_or_its_length_has_another_number() {
        let packet = [0x80; 172];
        let mut numbers = BTreeSet::from([digest(&packet)]);
        for bit in 0..packet.len() * 8 {
            let mut other = packet;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(numbers.insert(digest(&other)), "bit {bit}");
        }
        for length in 0..packet.len() {
            assert!(numbers.insert(digest(&packet[..length])), "length {length}");
        }
        assert_ne!(digest(b"12345678abcdefgh"), digest(b"abcdefgh12345678"));
    }

    #[test]
    fn it_is_the_same_number_tomorrow() {
        assert_eq!(format!("{:016x}", digest(b"INVITE sip:bob@10.0.0.1 SIP/2.0")), "0810e8dae109ed39");
    }
}
