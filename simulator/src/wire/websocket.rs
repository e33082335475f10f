//! A stream that has become a WebSocket (RFC 6455): the handshake, then what its frames carry, without their masks.

use super::{Form, Message, Piece, Reader, stream_of};
use crate::agents::websocket::{Frame, Opcode};
use std::borrow::Cow;

/// The longest head of an HTTP message that is looked for.
const HEAD: usize = 16 << 10;

/// Whether a stream asks for a WebSocket, or agrees to be one.
pub(super) fn is_one(pieces: &[Piece<'_>]) -> bool {
    let head: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.iter()).take(HEAD).copied().collect();
    let Some(end) = end_of_head(&head) else { return false };
    let head = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let may_be = first.starts_with("get ") || first.starts_with("http/1.1 101 ");
    may_be && lines.any(|line| line.starts_with("upgrade:") && line.contains("websocket"))
}

/// What was said over it. Pieces of a text are put together; what is no frame is left as it is.
pub(super) fn cut<'a>(pieces: &[Piece<'_>], whole: &Message<'a>) -> Vec<Message<'a>> {
    let bytes = stream_of(pieces);
    let mut reader = Reader { pieces, at: 0, within: 0 };
    let mut messages = Vec::new();
    let mut add = |reader: &mut Reader<'_, '_>, length: usize, form: Form, bytes: Vec<u8>| {
        let (sent, arrived, packets) = reader.advance(length);
        let bytes = Cow::Owned(bytes);
        messages.push(Message { sent, meant: sent, arrived, packets, form, bytes, ..whole.clone() });
    };
    let mut at = end_of_head(&bytes).unwrap_or(bytes.len());
    add(&mut reader, at, Form::Foreign, bytes[..at].to_vec());
    let mut begun: Option<(usize, Opcode, Vec<u8>)> = None;
    while let Ok(Some((frame, taken))) = Frame::read(&bytes[at..]) {
        at += taken;
        let (length, opcode, payload) = match (frame.opcode, begun.take()) {
            (Opcode::Continuation, Some((length, opcode, mut payload))) => {
                payload.extend(frame.payload);
                (length + taken, opcode, payload)
            }
            // What comes between the pieces of another is told with it.
            (opcode, Some((length, before, payload))) => {
                begun = Some((length + taken, before, payload));
                if opcode.is_control() {
                    continue;
                }
                (taken, opcode, frame.payload)
            }
            (opcode, None) => (taken, opcode, frame.payload),
        };
        match frame.is_final {
            true => add(&mut reader, length, Form::Frame(opcode), payload),
            false => begun = Some((length, opcode, payload)),
        }
    }
    if at < bytes.len() {
        add(&mut reader, bytes.len() - at, Form::Foreign, bytes[at..].to_vec());
    }
    messages
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).take(HEAD).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}
