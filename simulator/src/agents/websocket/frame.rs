//! Frames of RFC 6455 section 5.2, read strictly and written as told, so that they can be written wrongly too.
//!
//! Written here because the libraries draw their masks from the OS; in a world they come from its dice.

use std::fmt;

/// The longest payload that is taken.
const LONGEST: usize = 16 << 20;

/// What a frame is for (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of a message.
    Continuation,
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// The end of it.
    Close,
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
}

/// A frame, its payload unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether the message ends with it.
    pub is_final: bool,
    /// What it is for.
    pub opcode: Opcode,
    /// What it was or is to be masked with: by clients, and only by them.
    pub mask: Option<[u8; 4]>,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAFrame {
    /// A bit is set that only extensions give a meaning.
    Reserved,
    /// No frame is for this.
    Opcode(u8),
    /// A ping, pong or close in several frames, or of more than 125 bytes.
    Control,
    /// A payload longer than is taken.
    TooLong,
}

impl fmt::Display for NotAFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAFrame::Reserved => f.write_str("a reserved bit is set"),
            NotAFrame::Opcode(opcode) => write!(f, "no frame has the opcode {opcode}"),
            NotAFrame::Control => f.write_str("a control frame is long or in pieces"),
            NotAFrame::TooLong => f.write_str("the payload is longer than is taken"),
        }
    }
}

impl Opcode {
    fn number(self) -> u8 {
        match self {
            Opcode::Continuation => 0,
            Opcode::Text => 1,
            Opcode::Binary => 2,
            Opcode::Close => 8,
            Opcode::Ping => 9,
            Opcode::Pong => 10,
        }
    }

    fn of(number: u8) -> Option<Opcode> {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        [Continuation, Text, Binary, Close, Ping, Pong].into_iter().find(|opcode| opcode.number() == number)
    }

    /// Whether it says something about the connection, and may come between the pieces of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

impl Frame {
    /// A whole message in one frame.
    pub fn whole(opcode: Opcode, payload: impl Into<Vec<u8>>, mask: Option<[u8; 4]>) -> Frame {
        Frame { is_final: true, opcode, mask, payload: payload.into() }
    }

    /// The frame as it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![u8::from(self.is_final) << 7 | self.opcode.number()];
        match self.payload.len() {
            length @ 0..=125 => bytes.push(masked | length as u8),
            length @ 126..=0xffff => {
                bytes.push(masked | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(masked | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(self.mask.iter().flatten());
        let begins = bytes.len();
        bytes.extend(&self.payload);
        apply(self.mask, &mut bytes[begins..]);
        bytes
    }

    /// The frame at the front of `bytes` and how many of them it takes; `None` when there is more to come.
    pub fn read(bytes: &[u8]) -> Result<Option<(Frame, usize)>, NotAFrame> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(NotAFrame::Reserved);
        }
        let opcode = Opcode::of(first & 0x0f).ok_or(NotAFrame::Opcode(first & 0x0f))?;
        let is_final = first & 0x80 != 0;
        let (width, short) = match second & 0x7f {
            126 => (2, 0),
            127 => (8, 0),
            length => (0, u64::from(length)),
        };
        if opcode.is_control() && (!is_final || width > 0) {
            return Err(NotAFrame::Control);
        }
        let Some((long, rest)) = rest.split_at_checked(width) else { return Ok(None) };
        let length = long.iter().fold(short, |length, byte| length << 8 | u64::from(*byte));
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or(NotAFrame::TooLong)?;
        let (mask, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => match rest.split_first_chunk() {
                Some((mask, rest)) => (Some(*mask), rest),
                None => return Ok(None),
            },
        };
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let mut payload = payload.to_vec();
        apply(mask, &mut payload);
        let taken = 2 + width + mask.map_or(0, |mask| mask.len()) + length;
        Ok(Some((Frame { is_final, opcode, mask, payload }, taken)))
    }
}

/// Masking and unmasking are the same (section 5.3).
fn apply(mask: Option<[u8; 4]>, payload: &mut [u8]) {
    let Some(mask) = mask else { return };
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of section 5.7.
    const HELLO: &[u8] = b"\x81\x05Hello";
    const MASKED_HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        let hello = Frame::whole(Opcode::Text, "Hello", None);
        let masked = Frame::whole(Opcode::Text, "Hello", Some([0x37, 0xfa, 0x21, 0x3d]));
        for (frame, bytes) in [(hello, HELLO), (masked, MASKED_HELLO)] {
            assert_eq!(frame.to_bytes(), bytes);
            assert_eq!(Frame::read(bytes), Ok(Some((frame, bytes.len()))));
        }
        let piece = Frame { is_final: false, ..Frame::whole(Opcode::Text, "Hel", None) };
        assert_eq!(piece.to_bytes(), b"\x01\x03Hel");
        assert_eq!(Frame::whole(Opcode::Binary, vec![0; 256], None).to_bytes()[..4], [0x82, 0x7e, 1, 0]);
        let long = Frame::whole(Opcode::Binary, vec![0; 65_536], None);
        assert_eq!(long.to_bytes()[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_frame_that_is_not_all_there_is_waited_for() {
        for length in [5, 300, 70_000] {
            let bytes = Frame::whole(Opcode::Text, vec![b'a'; length], Some([1, 2, 3, 4])).to_bytes();
            for cut in (0..bytes.len()).step_by(7) {
                assert_eq!(Frame::read(&bytes[..cut]), Ok(None), "{cut} of {}", bytes.len());
            }
            assert!(matches!(Frame::read(&bytes), Ok(Some((_, taken))) if taken == bytes.len()));
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(Frame::read(b"\xc1\x00"), Err(NotAFrame::Reserved));
        assert_eq!(Frame::read(b"\x83\x00"), Err(NotAFrame::Opcode(3)));
        assert_eq!(Frame::read(b"\x09\x00"), Err(NotAFrame::Control));
        assert_eq!(Frame::read(b"\x89\x7e\x00\x7e"), Err(NotAFrame::Control));
        assert_eq!(Frame::read(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), Err(NotAFrame::TooLong));
    }
}
