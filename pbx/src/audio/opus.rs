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

/// Makes a packet one of silence that lasts as long (RFC 6716 sections 3.1 and 3.2); so many bytes of it are left. One so short
/// that it holds no sound stays as it is.
pub(super) fn hush(packet: &mut [u8]) -> usize {
    let Some(quarters) = length(packet) else { return packet.len() };
    // In the codec for music, which says silence in a bit: frames of 20 ms, of 10 ms or of 2.5 ms, whichever fit.
    let (config, each) = [(31, 8), (30, 4), (28, 1)]
        .into_iter()
        .find(|(_, each)| quarters.is_multiple_of(*each))
        .unwrap_or((28, 1));
    let count = quarters / each;
    let wanted = 2 + count * SILENT.len();
    if count == 0 || packet.len() < wanted {
        return packet.len();
    }
    // Any number of frames of one size.
    (packet[0], packet[1]) = ((config << 3) | 3, count as u8);
    packet[2..wanted].as_chunks_mut().0.fill(SILENT);
    wanted
}

/// A frame of which nothing is heard.
const SILENT: [u8; 2] = [0xff, 0xfe];

/// How long a packet lasts, in units of 2.5 ms; `None` where it is none.
fn length(packet: &[u8]) -> Option<usize> {
    let first = packet.first()?;
    let config = usize::from(first >> 3);
    let each = match config {
        0..12 => [4, 8, 16, 24][config % 4],
        12..16 => [4, 8][config % 2],
        _ => [1, 2, 4, 8][config % 4],
    };
    let count = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(packet.get(1)? & 0x3f),
    };
    Some(each * count)
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

    #[test]
    fn a_packet_is_hushed_for_as_long_as_it_lasts() {
        for frame in [160, 320, 640, 960] {
            let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
            for n in 0..10 {
                let (mut payload, mut sound) = (Vec::new(), Vec::new());
                let samples: Vec<i16> =
                    (0..frame).map(|k| (9_000.0 * ((n * frame + k) as f64 / 4.0).sin()) as i16).collect();
                encoder.encode(&samples, &mut payload);
                if n >= 5 {
                    let length = hush(&mut payload);
                    payload.truncate(length);
                }
                decoder.decode(&payload, &mut sound);
                assert_eq!(sound.len(), frame, "packet {n}");
                let loudest = sound.iter().map(|sample| sample.unsigned_abs()).max();
                assert!(
                    if n > 5 { loudest < Some(100) } else { loudest > Some(500) },
                    "packet {n} of {frame}: {loudest:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn hushing_whatever_a_stranger_sends_leaves_no_more_than_came(mut packet in prop::collection::vec(any::<u8>(), 0..100)) {
            let before = length(&packet);
            let left = hush(&mut packet);
            prop_assert!(left <= packet.len());
            prop_assert_eq!(length(&packet[..left]), before);
        }

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
