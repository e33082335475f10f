//! The RTP header (RFC 3550 section 5.1), read in place and written in place.

use std::fmt;
use std::ops::Range;

/// The fixed part of an RTP header, without what we never send (CSRC, extension, padding).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The first packet after a silence; the first of a telephone event.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Up by one with each packet.
    pub sequence: u16,
    /// In units of the clock rate of the payload type.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl Header {
    /// Bytes of the fixed header.
    pub const LENGTH: usize = 12;

    /// The header as it goes over the wire: version 2, no padding, no extension, no CSRC.
    pub fn to_bytes(&self) -> [u8; Header::LENGTH] {
        let mut bytes = [0; Header::LENGTH];
        bytes[0] = 2 << 6;
        bytes[1] = u8::from(self.marker) << 7 | (self.payload_type & 0x7f);
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// What a datagram holds when it is RTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The fixed header.
    pub header: Header,
    /// Where in the datagram the payload is: behind CSRCs and extension, before padding. Never starts before
    /// [`Header::LENGTH`], so that our own header always fits in front of it.
    pub payload: Range<usize>,
}

/// Why a datagram is not RTP (RFC 3550 appendix A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRtp {
    /// Shorter than its header says.
    Short,
    /// Another version than 2: STUN, ZRTP, noise.
    Version(u8),
    /// More padding than packet, or none although there should be.
    Padding,
}

impl fmt::Display for NotRtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotRtp::Short => f.write_str("the datagram is shorter than its RTP header"),
            NotRtp::Version(version) => write!(f, "the RTP version is {version}, not 2"),
            NotRtp::Padding => f.write_str("the RTP padding does not fit into the packet"),
        }
    }
}

impl std::error::Error for NotRtp {}

impl View {
    /// Reads a datagram; touches nothing but header and last byte, allocates nothing.
    pub fn of(bytes: &[u8]) -> Result<View, NotRtp> {
        let Some(fixed) = bytes.first_chunk::<{ Header::LENGTH }>() else { return Err(NotRtp::Short) };
        if fixed[0] >> 6 != 2 {
            return Err(NotRtp::Version(fixed[0] >> 6));
        }
        let header = Header {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        // The usual packet has neither CSRC, extension nor padding.
        if fixed[0] == 2 << 6 {
            return Ok(View { header, payload: Header::LENGTH..bytes.len() });
        }
        let start = payload_start(bytes, fixed[0])?;
        let end = payload_end(bytes, fixed[0], start)?;
        Ok(View { header, payload: start..end })
    }
}

fn payload_start(bytes: &[u8], first: u8) -> Result<usize, NotRtp> {
    let mut start = Header::LENGTH + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let extension = bytes.get(start..start + 4).ok_or(NotRtp::Short)?;
        start += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
    }
    if start > bytes.len() { Err(NotRtp::Short) } else { Ok(start) }
}

fn payload_end(bytes: &[u8], first: u8, start: usize) -> Result<usize, NotRtp> {
    if first & 0x20 == 0 {
        return Ok(bytes.len());
    }
    // `start` is behind the header, so there is a last byte.
    let padding = usize::from(bytes[bytes.len() - 1]);
    if padding == 0 || padding > bytes.len() - start {
        Err(NotRtp::Padding)
    } else {
        Ok(bytes.len() - padding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 101,
        sequence: 0xfffe,
        timestamp: 0x8000_0001,
        ssrc: 0xdead_beef,
    };

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes.extend_from_slice(b"audio");
        let view = View::of(&bytes).unwrap();
        assert_eq!(view.header, HEADER);
        assert_eq!(&bytes[view.payload], b"audio");
    }

    #[test]
    fn csrcs_extension_and_padding_are_not_payload() {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes[0] |= 0x20 | 0x10 | 2;
        bytes.extend_from_slice(&[1; 8]);
        bytes.extend_from_slice(&[0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        bytes.extend_from_slice(b"audio\0\0\x03");
        assert_eq!(&bytes[View::of(&bytes).unwrap().payload], b"audio");
    }

    #[test]
    fn lies_about_lengths_are_refused() {
        let plain = HEADER.to_bytes();
        assert_eq!(View::of(&plain[..11]), Err(NotRtp::Short));
        let with = |first: u8, tail: &[u8]| {
            let mut bytes = plain.to_vec();
            bytes[0] = first;
            bytes.extend_from_slice(tail);
            View::of(&bytes).map(|view| view.payload)
        };
        assert_eq!(with(0x00, b""), Err(NotRtp::Version(0)), "STUN");
        assert_eq!(with(0x8f, b"audio"), Err(NotRtp::Short), "fifteen CSRCs");
        assert_eq!(with(0x90, &[0, 0, 0xff, 0xff]), Err(NotRtp::Short), "a long extension");
        assert_eq!(with(0x90, &[0, 0]), Err(NotRtp::Short), "half an extension header");
        assert_eq!(with(0xa0, &[1, 2, 0]), Err(NotRtp::Padding), "padding of nothing");
        assert_eq!(with(0xa0, &[1, 2, 4]), Err(NotRtp::Padding), "more padding than packet");
        assert_eq!(with(0xa0, &[1, 2, 3]), Ok(12..12), "nothing but padding");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(view) = View::of(&bytes) {
                prop_assert!(view.payload.start >= Header::LENGTH);
                prop_assert!(view.payload.end <= bytes.len());
            }
        }
    }
}
