//! What should have been a message and is none, or not quite.

use crate::wire::{Form, Message, end_of_head, header_lines};
use memchr::memmem;
use pbx::sip::{Limits, Message as Sip};
use pbx::time::Instant;
use std::net::SocketAddr;

/// Something on a SIP socket or stream that is no good message.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Noise {
    pub(in crate::rules) at: Instant,
    /// When it arrived, in whatever state.
    pub(in crate::rules) arrived: Option<Instant>,
    pub(in crate::rules) from: SocketAddr,
    pub(in crate::rules) fault: Fault,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Fault {
    /// It cannot be read.
    Unreadable,
    /// It says that its body has so many bytes, and has so many.
    Length { said: usize, really: usize },
    /// On a stream it ends where none can end, or where another begins.
    Framing,
}

impl Noise {
    pub(super) fn of(written: &Message<'_>) -> Option<Noise> {
        let fault = fault(written)?;
        let arrived = written.arrived.or(written.damaged.as_ref().map(|(at, _)| *at));
        Some(Noise { at: written.sent, arrived, from: written.from, fault })
    }
}

fn fault(written: &Message<'_>) -> Option<Fault> {
    let text = &written.bytes;
    match written.form {
        Form::Foreign | Form::Frame(_) => None,
        // The end of a stream may have come within a message.
        Form::Broken => (!begins_like_sip(text)).then_some(Fault::Framing),
        Form::Framed if swallows_another(text) => Some(Fault::Framing),
        Form::Framed | Form::Datagram if text.iter().all(u8::is_ascii_whitespace) => None,
        Form::Datagram if begins_like_sip(text) && length(text).is_some() => length(text),
        Form::Framed | Form::Datagram => is_unreadable(text).then_some(Fault::Unreadable),
    }
}

fn begins_like_sip(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let may_go_on = line.len() == text.len() && line.first().is_some_and(u8::is_ascii_uppercase);
    line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0") || may_go_on
}

/// Whether another message begins in the body of this one.
fn swallows_another(text: &[u8]) -> bool {
    let start = end_of_head(text).unwrap_or(text.len());
    memmem::find(&text[start..], b"\r\nVia: SIP/2.0/").is_some()
}

/// Content-Length, where it says something else than there is.
fn length(text: &[u8]) -> Option<Fault> {
    let head = end_of_head(text)?;
    let said =
        header_lines(std::str::from_utf8(&text[..head]).ok()?.as_bytes()).find_map(|(name, value)| {
            let is_length =
                [&b"content-length"[..], b"l"].into_iter().any(|known| name.eq_ignore_ascii_case(known));
            is_length.then(|| std::str::from_utf8(value).ok()?.parse::<usize>().ok()).flatten()
        })?;
    let really = text.len() - head - 4;
    (said != really).then_some(Fault::Length { said, really })
}

fn is_unreadable(text: &[u8]) -> bool {
    match Sip::parse(text, &Limits::default()) {
        Ok(Sip::Request(request)) => {
            request.cseq().is_err()
                || request.via().is_err()
                || request.from().is_err()
                || request.to_header().is_err()
        }
        Ok(Sip::Response(response)) => {
            response.cseq().is_err()
                || response.via().is_err()
                || response.from().is_err()
                || response.to_header().is_err()
        }
        Err(_) => true,
    }
}
