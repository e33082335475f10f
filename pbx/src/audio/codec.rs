//! The seam between the packets of a leg and its sound: payloads become linear samples, samples become payloads.
//!
//! Sound is `i16`, one channel, [`Coding::rate`] samples a second; whoever mixes, plays or records works in frames of
//! [`FRAME`]. A decoder and an encoder remember what came before, where the codec does. Both write behind what is in the
//! buffer that they are lent, so that nothing is allocated once it has grown to the size of a packet.

use super::{Law, NARROWBAND};
use std::time::Duration;

/// The time in which sound is mixed, played and recorded.
pub const FRAME: Duration = Duration::from_millis(20);

/// Samples a second of a wideband codec.
pub const WIDEBAND: u32 = 16_000;

/// The clock of Opus.
#[cfg(feature = "opus")]
const OPUS_CLOCK: u32 = 48_000;

/// A codec that is understood and made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `PCMU` or `PCMA`.
    G711(Law),
    /// `G722` at 64 kbit/s.
    #[cfg(feature = "g722")]
    G722,
    /// `opus` (RFC 7587).
    #[cfg(feature = "opus")]
    Opus,
}

impl Coding {
    /// The codec of an encoding name as in `a=rtpmap`, with its clock rate and channels; `None` when it is only passed on.
    pub fn named(name: &str, clock_rate: u32, channels: u8) -> Option<Coding> {
        // It is always announced with two channels, whatever it has (RFC 7587 section 7).
        #[cfg(feature = "opus")]
        if name.eq_ignore_ascii_case("opus") && (clock_rate, channels) == (OPUS_CLOCK, 2) {
            return Some(Coding::Opus);
        }
        if (clock_rate, channels) != (NARROWBAND, 1) {
            return None;
        }
        #[cfg(feature = "g722")]
        if name.eq_ignore_ascii_case("G722") {
            return Some(Coding::G722);
        }
        Law::named(name).map(Coding::G711)
    }

    /// Samples a second of its sound.
    pub const fn rate(self) -> u32 {
        match self {
            Coding::G711(_) => NARROWBAND,
            #[cfg(feature = "g722")]
            Coding::G722 => WIDEBAND,
            #[cfg(feature = "opus")]
            Coding::Opus => WIDEBAND,
        }
    }

    /// Units a second of its RTP timestamps. Those of G.722 are 8000, half its samples (RFC 3551 section 4.5.2), those of Opus
    /// 48000, whatever its samples (RFC 7587 section 4.1).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Coding::G711(_) => NARROWBAND,
            #[cfg(feature = "g722")]
            Coding::G722 => NARROWBAND,
            #[cfg(feature = "opus")]
            Coding::Opus => OPUS_CLOCK,
        }
    }

    /// The packet time that is nearest to the wanted one and not longer; the shortest there is, where all are longer. Opus knows
    /// only some (RFC 6716 section 2.1.4).
    pub fn packet_time(self, wanted: Duration) -> Duration {
        #[cfg(feature = "opus")]
        if self == Coding::Opus {
            let known = [60, 40, 20, 10].map(Duration::from_millis);
            return known.into_iter().find(|known| *known <= wanted).unwrap_or(known[3]);
        }
        wanted
    }

    /// The samples of one [`FRAME`].
    pub const fn frame(self) -> usize {
        self.rate() as usize / 50
    }

    /// Makes a payload one in which nothing is heard for as long as it lasts; so many bytes of it are left.
    pub fn hush(self, payload: &mut [u8]) -> usize {
        match self {
            Coding::G711(law) => payload.fill(law.silence()),
            #[cfg(feature = "g722")]
            Coding::G722 => payload.fill(super::g722::SILENCE),
            #[cfg(feature = "opus")]
            Coding::Opus => return super::opus::hush(payload),
        }
        payload.len()
    }

    /// The law, when it is G.711.
    pub const fn law(self) -> Option<Law> {
        match self {
            Coding::G711(law) => Some(law),
            #[cfg(feature = "g722")]
            Coding::G722 => None,
            #[cfg(feature = "opus")]
            Coding::Opus => None,
        }
    }
}

/// Payloads of one stream, one after the other.
#[derive(Debug)]
pub struct Decoder(Decoding);

#[derive(Debug)]
enum Decoding {
    G711(Law),
    #[cfg(feature = "g722")]
    G722(Box<super::g722::Decoder>),
    #[cfg(feature = "opus")]
    Opus(Box<super::opus::Decoder>),
}

impl Decoder {
    /// One that has heard nothing.
    pub fn new(coding: Coding) -> Decoder {
        Decoder(match coding {
            Coding::G711(law) => Decoding::G711(law),
            #[cfg(feature = "g722")]
            Coding::G722 => Decoding::G722(Box::default()),
            #[cfg(feature = "opus")]
            Coding::Opus => Decoding::Opus(Box::default()),
        })
    }

    /// Appends the sound of the next payload.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        match &mut self.0 {
            Decoding::G711(law) => out.extend(payload.iter().map(|code| law.decode(*code))),
            #[cfg(feature = "g722")]
            Decoding::G722(decoder) => decoder.decode(payload, out),
            #[cfg(feature = "opus")]
            Decoding::Opus(decoder) => decoder.decode(payload, out),
        }
    }
}

/// Sound of one stream, one frame after the other.
#[derive(Debug)]
pub struct Encoder(Encoding);

#[derive(Debug)]
enum Encoding {
    G711(Law),
    #[cfg(feature = "g722")]
    G722(Box<super::g722::Encoder>),
    #[cfg(feature = "opus")]
    Opus(Box<super::opus::Encoder>),
}

impl Encoder {
    /// One that has said nothing.
    pub fn new(coding: Coding) -> Encoder {
        Encoder(match coding {
            Coding::G711(law) => Encoding::G711(law),
            #[cfg(feature = "g722")]
            Coding::G722 => Encoding::G722(Box::default()),
            #[cfg(feature = "opus")]
            Coding::Opus => Encoding::Opus(Box::default()),
        })
    }

    /// Appends the payload of what is said next: a packet time of it, as [`Coding::packet_time`] has them.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match &mut self.0 {
            Encoding::G711(law) => out.extend(samples.iter().map(|sample| law.encode(*sample))),
            #[cfg(feature = "g722")]
            Encoding::G722(encoder) => encoder.encode(samples, out),
            #[cfg(feature = "opus")]
            Encoding::Opus(encoder) => encoder.encode(samples, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::amplitude;

    #[test]
    fn a_codec_is_known_by_its_name_clock_and_channels() {
        assert_eq!(Coding::named("pcma", 8_000, 1), Some(Coding::G711(Law::A)));
        assert_eq!(Coding::named("PCMU", 16_000, 1), None);
        assert_eq!(Coding::named("PCMU", 8_000, 2), None);
        assert_eq!(Coding::named("G729", 8_000, 1), None);
    }

    #[test]
    fn what_is_said_is_heard() {
        let all = [
            Coding::G711(Law::Mu),
            Coding::G711(Law::A),
            #[cfg(feature = "g722")]
            Coding::G722,
            #[cfg(feature = "opus")]
            Coding::Opus,
        ];
        for coding in all {
            let (mut encoder, mut decoder) = (Encoder::new(coding), Decoder::new(coding));
            let (mut payload, mut heard) = (Vec::new(), Vec::new());
            let rate = f64::from(coding.rate());
            let said = |n: usize| {
                (amplitude(-10.0) * (n as f64 * 440.0 / rate * std::f64::consts::TAU).sin()) as i16
            };
            for frame in 0..50 {
                payload.clear();
                let samples: Vec<i16> =
                    (0..coding.frame()).map(|n| said(frame * coding.frame() + n)).collect();
                encoder.encode(&samples, &mut payload);
                match coding {
                    #[cfg(feature = "opus")]
                    Coding::Opus => assert!((20..160).contains(&payload.len()), "{} bytes", payload.len()),
                    _ => assert_eq!(payload.len(), 160, "{coding:?} has 64 kbit/s"),
                }
                decoder.decode(&payload, &mut heard);
            }
            // What the filters of a codec hold back is the same for all frequencies.
            let error = |late: usize| {
                let pairs = heard.iter().enumerate().skip(2000).take(4000);
                pairs.map(|(n, sample)| (f64::from(*sample) - f64::from(said(n - late))).powi(2)).sum::<f64>()
                    / 4000.0
            };
            let least = (0..256).map(error).fold(f64::MAX, f64::min).sqrt();
            assert!(least < amplitude(-10.0) / 20.0, "{coding:?} is off by {least:.0}");
            // And is not, as soon as it is hushed.
            heard.clear();
            let length = coding.hush(&mut payload);
            (0..2).for_each(|_| decoder.decode(&payload[..length], &mut heard));
            assert_eq!(heard.len(), 2 * coding.frame(), "{coding:?} lasts as long as before");
            let loudest = heard[coding.frame() / 2..].iter().map(|sample| sample.unsigned_abs()).max();
            assert!(loudest < Some(400), "{coding:?}: {loudest:?}");
        }
    }
}
