//! Recordings written as WAV files.

use super::Law;
use super::recording::Recording;
use std::fmt;

/// What samples are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// PCM, 16 bits.
    Pcm16,
    /// PCM, 24 bits.
    Pcm24,
    /// Floating point, 32 bits.
    Float,
    /// G.711, a byte a sample: formats 6 and 7.
    G711(Law),
}

impl Encoding {
    /// All of them.
    pub const ALL: [Encoding; 5] =
        [Encoding::Pcm16, Encoding::Pcm24, Encoding::Float, Encoding::G711(Law::A), Encoding::G711(Law::Mu)];

    /// The encoding of this name.
    pub fn named(name: &str) -> Option<Encoding> {
        Encoding::ALL.into_iter().find(|known| known.to_string() == name)
    }

    /// The format tag of a WAV file, and bits a sample.
    fn format(self) -> (u16, u16) {
        match self {
            Encoding::Pcm16 => (1, 16),
            Encoding::Pcm24 => (1, 24),
            Encoding::Float => (3, 32),
            Encoding::G711(Law::A) => (6, 8),
            Encoding::G711(Law::Mu) => (7, 8),
        }
    }

    fn put(self, sample: f32, out: &mut Vec<u8>) {
        let whole = |most: f64| (f64::from(sample.clamp(-1.0, 1.0)) * most).round() as i32;
        match self {
            Encoding::Pcm16 => out.extend(&whole(32_767.0).to_le_bytes()[..2]),
            Encoding::Pcm24 => out.extend(&whole(8_388_607.0).to_le_bytes()[..3]),
            Encoding::Float => out.extend(sample.to_le_bytes()),
            Encoding::G711(law) => out.push(law.encode(whole(32_767.0) as i16)),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Pcm16 => "pcm16",
            Encoding::Pcm24 => "pcm24",
            Encoding::Float => "float",
            Encoding::G711(Law::A) => "alaw",
            Encoding::G711(Law::Mu) => "ulaw",
        })
    }
}

impl Recording {
    /// The bytes of a WAV file of this recording.
    pub fn to_wav(&self, encoding: Encoding) -> Vec<u8> {
        let (format, bits) = encoding.format();
        let block = self.channels.len() * usize::from(bits / 8);
        let mut data = Vec::with_capacity(block * self.length());
        for n in 0..self.length() {
            for channel in &self.channels {
                encoding.put(channel[n], &mut data);
            }
        }
        let mut file = b"RIFF".to_vec();
        file.extend(((36 + data.len() + data.len() % 2) as u32).to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0");
        file.extend(format.to_le_bytes());
        file.extend((self.channels.len() as u16).to_le_bytes());
        file.extend(self.rate.to_le_bytes());
        file.extend((self.rate * block as u32).to_le_bytes());
        file.extend((block as u16).to_le_bytes());
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend((data.len() as u32).to_le_bytes());
        file.append(&mut data);
        if file.len() % 2 == 1 {
            file.push(0);
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let wave: Vec<f32> = (0..101).map(|n| (n as f32 / 5.0).sin() * 0.8).collect();
        let other: Vec<f32> = wave.iter().map(|sample| -sample / 2.0).collect();
        for channels in [vec![wave.clone()], vec![wave.clone(), other]] {
            let recording = Recording { rate: 16_000, channels };
            for encoding in Encoding::ALL {
                let read = Recording::read(&recording.to_wav(encoding)).expect("a WAV file");
                assert_eq!((read.rate, read.length()), (16_000, 101), "{encoding}");
                for (was, is) in recording.channels.iter().flatten().zip(read.channels.iter().flatten()) {
                    let most = if matches!(encoding, Encoding::G711(_)) { 0.03 } else { 1e-4 };
                    assert!((was - is).abs() < most, "{encoding}: {was} became {is}");
                }
            }
        }
    }

    #[test]
    fn every_encoding_has_a_name() {
        for encoding in Encoding::ALL {
            assert_eq!(Encoding::named(&encoding.to_string()), Some(encoding));
        }
        assert_eq!(Encoding::named("mp3"), None);
    }
}
