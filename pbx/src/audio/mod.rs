//! Samples and the bytes they travel as. Here is G.711; [`codec`] is what every codec has in common. [`recording`] reads what
//! files hold, [`wav`] writes it, a [`Clip`] is played. What a stream does with samples is decided in [`crate::media`].

mod clip;
pub mod codec;
pub mod conceal;
mod frame;
#[cfg(feature = "g722")]
mod g722;
mod laws;
#[cfg(feature = "opus")]
mod opus;
pub mod recording;
pub mod resample;
pub mod wav;

pub use clip::{Clip, Conversion};
pub use codec::{Coding, Decoder, Encoder, FRAME};
pub use frame::{Frame, Gain, Narrowband, Sum};

use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

/// Samples a second of everything narrowband.
pub const NARROWBAND: u32 = 8000;

/// The level of a full-scale sine in dBm0 (G.711, the A-law figure).
#[expect(clippy::approx_constant, reason = "a level, not a circle")]
pub const FULL_SCALE: f64 = 3.14;

/// The amplitude of a sine of `level` dBm0 on the scale of 16-bit samples; never more than full scale.
pub fn amplitude(level: f64) -> f64 {
    f64::from(i16::MAX) * 10f64.powf((level - FULL_SCALE).min(0.0) / 20.0)
}

/// The two laws of G.711: one byte a sample, 8000 samples a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// µ-law, `PCMU`, payload type 0 (RFC 3551 section 4.5.14).
    Mu,
    /// A-law, `PCMA`, payload type 8.
    A,
}

impl Law {
    /// The law of an encoding name as in `a=rtpmap`.
    pub fn named(name: &str) -> Option<Law> {
        if name.eq_ignore_ascii_case("PCMU") {
            Some(Law::Mu)
        } else if name.eq_ignore_ascii_case("PCMA") {
            Some(Law::A)
        } else {
            None
        }
    }

    /// The nearest code of a sample.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Law::Mu => encode_ulaw(sample),
            Law::A => encode_alaw(sample),
        }
    }

    /// The sample of a code.
    pub fn decode(self, code: u8) -> i16 {
        match self {
            Law::Mu => decode_ulaw(code),
            Law::A => decode_alaw(code),
        }
    }

    /// The code of nothing to hear.
    pub fn silence(self) -> u8 {
        match self {
            Law::Mu => 0xff,
            Law::A => 0xd5,
        }
    }

    /// The other one.
    pub fn other(self) -> Law {
        match self {
            Law::Mu => Law::A,
            Law::A => Law::Mu,
        }
    }

    /// Rewrites codes of this law as codes of the other one (G.711 tables 3 and 4).
    pub fn convert_to_other(self, codes: &mut [u8]) {
        match self {
            Law::Mu => codes.iter_mut().for_each(|code| *code = laws::a_of_mu(*code)),
            Law::A => codes.iter_mut().for_each(|code| *code = laws::mu_of_a(*code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_being_decoded_and_encoded() {
        for law in [Law::Mu, Law::A] {
            for code in 0..=255u8 {
                let sample = law.decode(code);
                assert_eq!(law.decode(law.encode(sample)), sample, "{law:?} {code:#x}");
            }
        }
    }

    #[test]
    fn silence_is_silent() {
        assert_eq!(Law::Mu.decode(Law::Mu.silence()), 0);
        assert!(Law::A.decode(Law::A.silence()).unsigned_abs() <= 8, "A-law has no zero");
    }

    #[test]
    fn the_other_law_sounds_the_same() {
        for law in [Law::Mu, Law::A] {
            let other = law.other();
            for code in 0..=255u8 {
                let mut codes = [code];
                law.convert_to_other(&mut codes);
                let (before, after) = (i32::from(law.decode(code)), i32::from(other.decode(codes[0])));
                assert!((before - after).abs() <= 16 + before.abs() / 16, "{law:?} {before} became {after}");
            }
        }
    }

    #[test]
    fn levels_are_those_of_g_711() {
        assert!((amplitude(FULL_SCALE) - 32_767.0).abs() < 0.5);
        assert!((amplitude(FULL_SCALE - 20.0) - 3276.7).abs() < 0.1);
        assert!((amplitude(99.0) - 32_767.0).abs() < 0.5, "nothing is louder than full scale");
    }
}
