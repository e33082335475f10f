//! A stream that has become a WebSocket (RFC 6455): the handshake, then what its frames carry, without their masks.

use super::{Form, Message, Piece, Reader, Said, end_of_head, stream_of};
use crate::agents::websocket::{Frame, Opcode};
use std::borrow::Cow;

/// The longest head of an HTTP message that is looked for.
const HEAD: usize = 16 << 10;

/// What a stream begins with that asks for a WebSocket, or agrees to be one.
pub(super) struct Handshake {
    length: usize,
    /// Its subprotocol is SIP (RFC 7118).
    pub(super) is_sip: bool,
}

/// What was said by one frame, or by several that belong together.
struct Spoken {
    length: usize,
    opcode: Opcode,
    payload: Vec<u8>,
}

pub(super) fn handshake(pieces: &[Piece<'_>]) -> Option<Handshake> {
    let head: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.iter()).take(HEAD).copied().collect();
    let length = end_of_head(&head)? + 4;
    let head = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
    let may_be = head.starts_with("get ") || head.starts_with("http/1.1 101 ");
    let says = |wanted: &str, what: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.any(|(name, value)| name == wanted && value.split(',').any(|one| one.trim() == what))
    };
    let is_sip = says("sec-websocket-protocol", "sip");
    (may_be && says("upgrade", "websocket")).then_some(Handshake { length, is_sip })
}

/// The SIP messages that were said over it. One that was not sent to its end was not sent.
pub(super) fn messages_of_sip(pieces: &[Piece<'_>], handshake: &Handshake) -> Vec<Said> {
    let head = Said { length: handshake.length, bytes: None };
    let said = spoken(&stream_of(pieces)[handshake.length..]).into_iter().map(|spoken| {
        let speaks = matches!(spoken.opcode, Opcode::Text | Opcode::Binary);
        Said { length: spoken.length, bytes: speaks.then_some(spoken.payload) }
    });
    std::iter::once(head).chain(said).collect()
}

/// What was said over it, whatever that is; what is no frame is left as it is.
pub(super) fn cut<'a>(pieces: &[Piece<'_>], handshake: &Handshake, whole: &Message<'a>) -> Vec<Message<'a>> {
    let bytes = stream_of(pieces);
    let mut reader = Reader { pieces, at: 0, within: 0 };
    let mut messages = Vec::new();
    let mut add = |length: usize, form: Form, bytes: Vec<u8>| {
        let (sent, arrived, packets) = reader.advance(length);
        let bytes = Cow::Owned(bytes);
        messages.push(Message { sent, meant: sent, arrived, packets, form, bytes, ..whole.clone() });
    };
    let (head, rest) = bytes.split_at(handshake.length);
    add(head.len(), Form::Foreign, head.to_vec());
    let mut told = 0;
    for Spoken { length, opcode, payload } in spoken(rest) {
        told += length;
        add(length, Form::Frame(opcode), payload);
    }
    if told < rest.len() {
        add(rest.len() - told, Form::Foreign, rest[told..].to_vec());
    }
    messages
}

/// Frames that belong together are put together; what comes between them is told with them.
fn spoken(mut bytes: &[u8]) -> Vec<Spoken> {
    let mut all = Vec::new();
    let mut begun: Option<Spoken> = None;
    while let Ok(Some((frame, length))) = Frame::read(bytes) {
        bytes = &bytes[length..];
        let now = match (frame.opcode, begun.take()) {
            (Opcode::Continuation, Some(mut before)) => {
                before.length += length;
                before.payload.extend(frame.payload);
                before
            }
            (opcode, Some(before)) if opcode.is_control() => {
                begun = Some(Spoken { length: before.length + length, ..before });
                continue;
            }
            (opcode, before) => {
                let left = before.map_or(0, |before| before.length);
                Spoken { length: left + length, opcode, payload: frame.payload }
            }
        };
        match frame.is_final {
            true => all.push(now),
            false => begun = Some(now),
        }
    }
    all
}
