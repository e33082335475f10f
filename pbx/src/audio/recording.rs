//! Recordings as files hold them: WAV of any usual kind, a channel a leg, brought to 8000 Hz.
//!
//! PCM of 8, 16, 24 and 32 bits, floating point of 32 and 64 bits, and G.711 of both laws (formats 6 and 7). What is no such
//! file, damaged or cut off, is refused with the byte at which that shows.

use super::resample::resample;
use super::{Law, NARROWBAND};
use std::fmt;

/// The most channels that make sense in telephony.
const CHANNELS: u16 = 64;
/// Sample rates in Hz that are understood.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// A writer that was cut off, or that writes a stream, leaves this as length.
const UNKNOWN: u32 = u32::MAX;

/// A recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Samples a second of each channel.
    pub rate: u32,
    /// The samples of each channel, full scale 1; all are of one length.
    pub channels: Vec<Vec<f32>>,
}

/// Why bytes are no recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingError {
    /// The byte at which it shows.
    pub at: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin as a WAV file does.
    NoWav,
    /// A chunk that must be there is not.
    Missing(&'static str),
    /// It ends before a chunk does that says it has `wanted` bytes.
    CutOff {
        /// Bytes that are missing.
        missing: usize,
    },
    /// Its samples are of a kind that is not understood.
    Encoding {
        /// The format tag.
        format: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// So many channels are not understood.
    Channels(u16),
    /// This sample rate is not understood.
    Rate(u32),
    /// The description of its samples contradicts itself.
    Description,
    /// There is not one sample in it.
    Empty,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: ", self.at)?;
        match &self.fault {
            Fault::NoWav => write!(f, "this is no WAV file: it does not begin with RIFF ... WAVE"),
            Fault::Missing(chunk) => write!(f, "there is no chunk {chunk:?} up to here"),
            Fault::CutOff { missing } => write!(f, "the file is cut off: {missing} bytes are missing"),
            Fault::Encoding { format, bits } => {
                write!(
                    f,
                    "samples of format {format} with {bits} bits are not understood; PCM of 8 to 32 bits, floating point and G.711 are"
                )
            }
            Fault::Channels(count) => write!(f, "{count} channels, expected 1 to {CHANNELS}"),
            Fault::Rate(rate) => {
                write!(f, "{rate} samples a second, expected {} to {}", RATES.start(), RATES.end())
            }
            Fault::Description => write!(f, "the description of the samples contradicts itself"),
            Fault::Empty => write!(f, "there is no sound in it"),
        }
    }
}

impl std::error::Error for RecordingError {}

impl Recording {
    /// The recording in the bytes of a WAV file.
    pub fn read(bytes: &[u8]) -> Result<Recording, RecordingError> {
        if bytes.len() < 12 || &bytes[..4] != b"RIFF" || &bytes[8..12] != b"WAVE" {
            return Err(RecordingError { at: 0, fault: Fault::NoWav });
        }
        let mut description = None;
        let mut at = 12;
        while let Some(chunk) = Chunk::at(bytes, at)? {
            match &chunk.name {
                b"fmt " => description = Some(Description::of(&chunk)?),
                b"data" => {
                    let description = description.ok_or(missing(at, "fmt "))?;
                    return description.samples(&chunk);
                }
                _ => {}
            }
            at = chunk.end;
        }
        Err(missing(bytes.len(), if description.is_some() { "data" } else { "fmt " }))
    }

    /// How long it is, in samples of one channel.
    pub fn length(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// A channel at 8000 Hz.
    pub fn narrowband(&self, channel: usize) -> Vec<f32> {
        resample(&self.channels[channel], self.rate, NARROWBAND)
    }
}

fn missing(at: usize, name: &'static str) -> RecordingError {
    RecordingError { at, fault: Fault::Missing(name) }
}

/// Bytes of [`header`].
pub const HEADER: usize = 44;

/// The header of a WAV file of 16-bit samples, of which `bytes` bytes follow.
pub fn header(channels: u16, rate: u32, bytes: u32) -> [u8; HEADER] {
    let block = 2 * channels;
    let mut header = *b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0data\0\0\0\0";
    header[4..8].copy_from_slice(&bytes.saturating_add(HEADER as u32 - 8).to_le_bytes());
    header[22..24].copy_from_slice(&channels.to_le_bytes());
    header[24..28].copy_from_slice(&rate.to_le_bytes());
    header[28..32].copy_from_slice(&(rate * u32::from(block)).to_le_bytes());
    header[32..34].copy_from_slice(&block.to_le_bytes());
    header[40..44].copy_from_slice(&bytes.to_le_bytes());
    header
}

/// A part of the file that says what it is.
struct Chunk<'a> {
    name: [u8; 4],
    /// Where its bytes begin, and where the next chunk does.
    at: usize,
    end: usize,
    bytes: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn at(file: &'a [u8], at: usize) -> Result<Option<Chunk<'a>>, RecordingError> {
        let Some(head) = file.get(at..at + 8) else { return Ok(None) };
        let name = [head[0], head[1], head[2], head[3]];
        let said = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let (from, left) = (at + 8, file.len() - at - 8);
        let length = if said == UNKNOWN { left } else { said as usize };
        if length > left {
            return Err(RecordingError { at: file.len(), fault: Fault::CutOff { missing: length - left } });
        }
        // Chunks begin at even places.
        let end = from + length + length % 2;
        Ok(Some(Chunk { name, at: from, end, bytes: &file[from..from + length] }))
    }
}

/// What samples are written as.
#[derive(Clone, Copy, Debug)]
struct Description {
    channels: u16,
    rate: u32,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    /// Whole numbers of so many bytes; of one byte without a sign.
    Whole(usize),
    Single,
    Double,
    G711(Law),
}

impl Description {
    fn of(chunk: &Chunk<'_>) -> Result<Description, RecordingError> {
        let fail = |fault| Err(RecordingError { at: chunk.at, fault });
        let bytes = chunk.bytes;
        if bytes.len() < 16 {
            return fail(Fault::Description);
        }
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let whole = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (channels, rate, block, bits) = (half(2), whole(4), half(12), half(14));
        // An extensible description has its format in the first two bytes of a GUID.
        let format = if half(0) == 0xfffe && bytes.len() >= 26 { half(24) } else { half(0) };
        let encoding = match (format, bits) {
            (1, 8 | 16 | 24 | 32) => Encoding::Whole(usize::from(bits / 8)),
            (3, 32) => Encoding::Single,
            (3, 64) => Encoding::Double,
            (6, 8) => Encoding::G711(Law::A),
            (7, 8) => Encoding::G711(Law::Mu),
            _ => return fail(Fault::Encoding { format, bits }),
        };
        if !(1..=CHANNELS).contains(&channels) {
            return fail(Fault::Channels(channels));
        }
        if !RATES.contains(&rate) {
            return fail(Fault::Rate(rate));
        }
        if usize::from(block) != usize::from(channels) * encoding.bytes() {
            return fail(Fault::Description);
        }
        Ok(Description { channels, rate, encoding })
    }

    fn samples(self, chunk: &Chunk<'_>) -> Result<Recording, RecordingError> {
        let width = self.encoding.bytes();
        let block = width * usize::from(self.channels);
        if chunk.bytes.len() < block {
            return Err(RecordingError { at: chunk.at, fault: Fault::Empty });
        }
        let channel = |number: usize| self.encoding.samples(chunk.bytes, block, number * width);
        let channels = (0..usize::from(self.channels)).map(channel).collect();
        Ok(Recording { rate: self.rate, channels })
    }
}

impl Encoding {
    fn bytes(self) -> usize {
        match self {
            Encoding::Whole(bytes) => bytes,
            Encoding::Single => 4,
            Encoding::Double => 8,
            Encoding::G711(_) => 1,
        }
    }

    /// The samples that stand at `at` in each block of so many bytes.
    fn samples(self, bytes: &[u8], block: usize, at: usize) -> Vec<f32> {
        match self {
            Encoding::Whole(1) => each(bytes, block, at, |[byte]| (f32::from(byte) - 128.0) / 128.0),
            Encoding::Whole(2) => each(bytes, block, at, |own| f32::from(i16::from_le_bytes(own)) / 32_768.0),
            // The highest byte has the sign; what is below it fills up from there.
            Encoding::Whole(3) => each(bytes, block, at, |[a, b, c]| whole([0, a, b, c])),
            Encoding::Whole(_) => each(bytes, block, at, whole),
            Encoding::Single => each(bytes, block, at, |own| finite(f32::from_le_bytes(own))),
            Encoding::Double => each(bytes, block, at, |own| finite(f64::from_le_bytes(own) as f32)),
            Encoding::G711(law) => each(bytes, block, at, |[code]| f32::from(law.decode(code)) / 32_768.0),
        }
    }
}

/// One sample of each block, the bytes of which are there.
fn each<const N: usize>(bytes: &[u8], block: usize, at: usize, sample: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    if block == N {
        return bytes.as_chunks().0.iter().map(|own| sample(*own)).collect();
    }
    let own = |block: &[u8]| block[at..].first_chunk().map_or(0.0, |own| sample(*own));
    bytes.chunks_exact(block).map(own).collect()
}

fn whole(bytes: [u8; 4]) -> f32 {
    i32::from_le_bytes(bytes) as f32 / 2_147_483_648.0
}

/// What is no number is silence.
fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-8.0, 8.0) } else { 0.0 }
}

/// A file of this format, bits a sample, channels and rate.
#[cfg(test)]
pub(super) fn wav(format: u16, bits: u16, channels: u16, rate: u32, data: &[u8]) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(block)).to_le_bytes());
    file.extend(block.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_sample_is_the_same_sound() {
        let half = 0.5f32;
        let kinds: [(u16, u16, Vec<u8>); 6] = [
            (1, 8, vec![192]),
            (1, 16, 16_384i16.to_le_bytes().to_vec()),
            (1, 24, vec![0, 0, 64]),
            (1, 32, (1i32 << 30).to_le_bytes().to_vec()),
            (3, 32, half.to_le_bytes().to_vec()),
            (3, 64, 0.5f64.to_le_bytes().to_vec()),
        ];
        for (format, bits, sample) in kinds {
            let recording =
                Recording::read(&wav(format, bits, 2, 8_000, &sample.repeat(4))).expect("a WAV file");
            assert_eq!(recording.channels, [[half, half], [half, half]], "format {format}, {bits} bits");
        }
        for (format, law) in [(6, Law::A), (7, Law::Mu)] {
            let recording =
                Recording::read(&wav(format, 8, 1, 8_000, &[law.encode(16_384)])).expect("a WAV file");
            assert!((recording.channels[0][0] - half).abs() < 0.02, "format {format}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let good = wav(1, 16, 1, 8_000, &[0; 100]);
        let told = |bytes: &[u8]| Recording::read(bytes).expect_err("it is no recording").to_string();
        assert_eq!(told(b"OggS"), "byte 0: this is no WAV file: it does not begin with RIFF ... WAVE");
        assert_eq!(told(&good[..84]), "byte 84: the file is cut off: 60 bytes are missing");
        assert_eq!(told(&good[..36]), "byte 36: there is no chunk \"data\" up to here");
        assert_eq!(told(&wav(1, 16, 1, 8_000, &[])), "byte 44: there is no sound in it");
        assert_eq!(
            told(&wav(1, 16, 1, 4_000, &[0; 4])),
            "byte 20: 4000 samples a second, expected 8000 to 192000"
        );
        assert_eq!(told(&wav(1, 16, 0, 8_000, &[0; 4])), "byte 20: 0 channels, expected 1 to 64");
        assert!(
            told(&wav(85, 16, 1, 8_000, &[0; 4])).starts_with("byte 20: samples of format 85 with 16 bits")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let _ = Recording::read(&bytes);
            let mut file = wav(1, 16, 1, 8_000, &bytes);
            file.truncate(cut);
            let _ = Recording::read(&file);
        }
    }
}
