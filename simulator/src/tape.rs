//! WAV files as a studio delivers them, to be played by the PBX: any rate, PCM or G.711.

use pbx::audio::Law;
use pbx::time::Duration;
use pbx::tone::Sine;

/// How loud a studio delivers, in dBm0.
const LEVEL: f64 = -10.0;

/// What samples are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of 16 bits.
    Pcm,
    /// One byte a sample (formats 6 and 7).
    G711(Law),
}

/// A sine of one channel, as a WAV file of `rate` samples a second.
pub fn tone(frequency: f64, length: Duration, rate: u32, kind: Kind) -> Vec<u8> {
    let sine =
        Sine::new(frequency, LEVEL, rate).unwrap_or_else(|| panic!("{frequency} Hz do not fit {rate}"));
    let count = (length.as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
    let samples = (0..count).map(|n| sine.sample(n).round() as i16);
    match kind {
        Kind::Pcm => file(1, 16, rate, &samples.flat_map(i16::to_le_bytes).collect::<Vec<_>>()),
        Kind::G711(law) => {
            let format = if law == Law::A { 6 } else { 7 };
            file(format, 8, rate, &samples.map(|sample| law.encode(sample)).collect::<Vec<_>>())
        }
    }
}

fn file(format: u16, bits: u16, rate: u32, data: &[u8]) -> Vec<u8> {
    let block = bits / 8;
    let size = u32::try_from(data.len()).expect("a tape of some minutes");
    let mut file = Vec::with_capacity(44 + data.len());
    file.extend(b"RIFF");
    file.extend((size + 36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(format.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(block)).to_le_bytes());
    file.extend(block.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(data);
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbx::audio::Clip;

    #[test]
    fn a_tape_is_as_long_as_it_says() {
        for (rate, kind) in [(8_000, Kind::Pcm), (44_100, Kind::Pcm), (8_000, Kind::G711(Law::A))] {
            let tape = tone(600.0, Duration::from_millis(500), rate, kind);
            assert_eq!(Clip::read(&tape).expect("a WAV file").samples().len(), 4_000, "{rate} {kind:?}");
        }
    }
}
