//! X25519 (RFC 7748): two who have never met agree on a secret.
//!
//! For a simulated world only, where the secrets follow from a seed and nobody listens: it takes its time and may take more
//! of it for one secret than for another.

pub(super) type PublicKey = [u8; 32];

/// What the holder of `secret` tells the other one.
pub(super) fn public_key(secret: &[u8; 32]) -> PublicKey {
    let mut base = [0; 32];
    base[0] = 9;
    shared(secret, &base)
}

/// What both have in common: the ladder of section 5.
pub(super) fn shared(secret: &[u8; 32], theirs: &PublicKey) -> [u8; 32] {
    let mut secret = *secret;
    secret[0] &= 248;
    secret[31] = secret[31] & 127 | 64;
    let x1 = Field::read(theirs);
    let (mut x2, mut z2, mut x3, mut z3) = (Field::ONE, Field::ZERO, x1, Field::ONE);
    let mut swapped = false;
    for at in (0..255).rev() {
        let bit = secret[at / 8] >> (at % 8) & 1 == 1;
        if bit != swapped {
            std::mem::swap(&mut x2, &mut x3);
            std::mem::swap(&mut z2, &mut z3);
        }
        swapped = bit;
        let (a, b) = (x2.plus(z2), x2.minus(z2));
        let (aa, bb) = (a.times(a), b.times(b));
        let e = aa.minus(bb);
        let (da, cb) = (x3.minus(z3).times(a), x3.plus(z3).times(b));
        let (sum, difference) = (da.plus(cb), da.minus(cb));
        (x3, z3) = (sum.times(sum), x1.times(difference.times(difference)));
        (x2, z2) = (aa.times(bb), e.times(aa.plus(e.times(Field([121_665, 0, 0, 0, 0])))));
    }
    if swapped {
        (x2, z2) = (x3, z3);
    }
    x2.times(z2.inverse()).write()
}

/// A number modulo 2^255 - 19, in five digits of 51 bits, each of which may be a little too large.
#[derive(Clone, Copy)]
struct Field([u64; 5]);

const DIGIT: u64 = (1 << 51) - 1;

impl Field {
    const ZERO: Field = Field([0; 5]);
    const ONE: Field = Field([1, 0, 0, 0, 0]);

    /// The highest bit does not count.
    fn read(bytes: &[u8; 32]) -> Field {
        let mut digits = [0; 5];
        for bit in 0..255 {
            digits[bit / 51] |= u64::from(bytes[bit / 8] >> (bit % 8) & 1) << (bit % 51);
        }
        Field(digits)
    }

    fn write(self) -> [u8; 32] {
        // Three rounds of carrying leave less than 2^255 + 19; adding 19 shows whether it is the modulus or more.
        let Field(mut digits) = self.carried().carried().carried();
        let mut over = 19;
        for digit in digits {
            over = (digit + over) >> 51;
        }
        let mut carry = 19 * over;
        for digit in &mut digits {
            let sum = *digit + carry;
            (*digit, carry) = (sum & DIGIT, sum >> 51);
        }
        let mut bytes = [0; 32];
        for bit in 0..255 {
            bytes[bit / 8] |= ((digits[bit / 51] >> (bit % 51) & 1) as u8) << (bit % 8);
        }
        bytes
    }

    fn plus(self, other: Field) -> Field {
        Field(std::array::from_fn(|at| self.0[at] + other.0[at])).carried()
    }

    /// Four times the modulus is added first, so that no digit goes below zero.
    fn minus(self, other: Field) -> Field {
        let fours = |at: usize| 4 * if at == 0 { DIGIT - 18 } else { DIGIT };
        Field(std::array::from_fn(|at| self.0[at] + fours(at) - other.0[at])).carried()
    }

    fn times(self, other: Field) -> Field {
        let mut products = [0_u128; 5];
        for (at, one) in self.0.iter().enumerate() {
            for (with, two) in other.0.iter().enumerate() {
                // 2^255 is 19.
                let wraps = if at + with < 5 { 1 } else { 19 };
                products[(at + with) % 5] += u128::from(*one) * u128::from(*two) * wraps;
            }
        }
        let (mut digits, mut carry) = ([0; 5], 0_u128);
        for (digit, product) in digits.iter_mut().zip(products) {
            let sum = product + carry;
            *digit = sum as u64 & DIGIT;
            carry = sum >> 51;
        }
        // The carry has less than 70 bits, and 19 of it still goes into two digits.
        let first = u128::from(digits[0]) + carry * 19;
        digits[0] = first as u64 & DIGIT;
        digits[1] += (first >> 51) as u64;
        Field(digits).carried()
    }

    fn carried(self) -> Field {
        let mut digits = self.0;
        let mut carry = 0;
        for digit in &mut digits {
            let sum = *digit + carry;
            (*digit, carry) = (sum & DIGIT, sum >> 51);
        }
        digits[0] += 19 * carry;
        Field(digits)
    }

    /// To the power of 2^255 - 21 (Fermat): all bits are set but two.
    fn inverse(self) -> Field {
        let mut power = Field::ONE;
        for bit in (0..255).rev() {
            power = power.times(power);
            if bit != 2 && bit != 4 {
                power = power.times(self);
            }
        }
        power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc() {
        // Section 5.2.
        let vectors = [
            (
                "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
            ),
            (
                "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
            ),
        ];
        for (secret, theirs, expected) in vectors {
            assert_eq!(shared(&bytes(secret), &bytes(theirs)), bytes(expected));
        }
    }

    #[test]
    fn two_agree() {
        let alice = bytes("77076d0a7318a57d3c16c17251b26645df2c5fd4ccd6c6b6c5e5f0f3f9f5b1a0");
        let bob = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        assert_eq!(shared(&alice, &public_key(&bob)), shared(&bob, &public_key(&alice)));
    }

    fn bytes(hex: &str) -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
    }
}
