//! WAV files: 16 bits at 8000 Hz, as every player takes them.

use pbx::audio::NARROWBAND;

/// The length of a header.
const HEADER: usize = 44;

/// A file of one channel.
pub(super) fn mono(samples: &[i16]) -> Vec<u8> {
    file(1, samples.iter().copied(), samples.len())
}

/// A file of two channels, the first one left.
pub(super) fn stereo(left: &[i16], right: &[i16]) -> Vec<u8> {
    let length = left.len().max(right.len());
    let at = |channel: &[i16], place: usize| channel.get(place).copied().unwrap_or(0);
    file(2, (0..length).flat_map(|place| [at(left, place), at(right, place)]), 2 * length)
}

fn file(channels: u16, samples: impl Iterator<Item = i16>, count: usize) -> Vec<u8> {
    let size = u32::try_from(2 * count).expect("a recording of some minutes");
    let frame = 2 * channels;
    let mut file = Vec::with_capacity(HEADER + 2 * count);
    file.extend(b"RIFF");
    file.extend((size + 36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(NARROWBAND.to_le_bytes());
    file.extend((NARROWBAND * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    samples.for_each(|sample| file.extend(sample.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_channels_stand_side_by_side() {
        let file = stereo(&[1, 2], &[3]);
        assert_eq!(file[HEADER..], [1, 0, 3, 0, 2, 0, 0, 0]);
        assert_eq!(file[4..8], 44_u32.to_le_bytes());
        assert_eq!(file[32], 4);
    }
}
