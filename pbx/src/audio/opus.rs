//! Opus (RFC 6716) as telephones use it: one channel, 16000 samples a second, whatever the other side has encoded.

use opus_rs::{Application, OpusDecoder, OpusEncoder};
use std::fmt;

/// Samples a second.
const RATE: u32 = 16_000;
/// Samples of the longest packet: 120 ms.
const LONGEST: usize = 1_920;
/// Bytes of the longest packet (section 3.4).
const MOST: usize = 1_276;
/// Bits a second, well above what speech needs (RFC 7587 section 3.1.1: 16 to 20 kbit/s), so that tones stay clean.
const BITRATE: i32 = 32_000;

/// Payloads of one stream.
pub(super) struct Decoder {
    decoder: Option<OpusDecoder>,
    sound: Box<[f32; LONGEST]>,
}

/// Sound of one stream.
pub(super) struct Encoder {
    encoder: Option<OpusEncoder>,
    sound: Vec<f32>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { decoder: OpusDecoder::new(RATE as i32, 1).ok(), sound: Box::new([0.0; LONGEST]) }
    }
}

impl Default for Encoder {
    fn default() -> Encoder {
        let mut encoder = OpusEncoder::new(RATE as i32, 1, Application::Voip).ok();
        if let Some(encoder) = &mut encoder {
            encoder.bitrate_bps = BITRATE;
        }
        Encoder { encoder, sound: Vec::new() }
    }
}

impl Decoder {
    /// Appends the sound of a payload; nothing where it is none.
    pub(super) fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        let Some(decoder) = &mut self.decoder else { return };
        let Ok(count) = decoder.decode(payload, LONGEST, &mut self.sound[..]) else { return };
        // A cast saturates.
        out.extend(self.sound.iter().take(count).map(|sample| (sample * 32_768.0).round() as i16));
    }
}

impl Encoder {
    /// Appends the payload of so many samples: 10, 20, 40 or 60 ms.
    pub(super) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let Some(encoder) = &mut self.encoder else { return };
        self.sound.clear();
        self.sound.extend(samples.iter().map(|sample| f32::from(*sample) / 32_768.0));
        let start = out.len();
        out.resize(start + MOST, 0);
        let written = encoder.encode(&self.sound, samples.len(), &mut out[start..]).unwrap_or(0);
        out.truncate(start + written);
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_a_stranger_sends_is_sound_or_nothing(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20)) {
            let (mut decoder, mut sound) = (Decoder::default(), Vec::new());
            for payload in payloads {
                sound.clear();
                decoder.decode(&payload, &mut sound);
                prop_assert!(sound.len() <= LONGEST);
            }
        }

        #[test]
        fn packets_that_were_damaged_are_sound_or_nothing(flips in prop::collection::vec((0usize..50, 0u32..400), 1..60)) {
            let (mut encoder, mut decoder, mut sound) = (Encoder::default(), Decoder::default(), Vec::new());
            for n in 0..50usize {
                let samples: Vec<i16> = (0..320).map(|k| (9_000.0 * ((n * 320 + k) as f64 / 9.0).sin()) as i16).collect();
                let mut payload = Vec::new();
                encoder.encode(&samples, &mut payload);
                for (_, bit) in flips.iter().filter(|(packet, _)| *packet == n) {
                    if let Some(byte) = payload.get_mut(*bit as usize / 8) {
                        *byte ^= 1 << (bit % 8);
                    }
                }
                decoder.decode(&payload, &mut sound);
            }
        }
    }
}
