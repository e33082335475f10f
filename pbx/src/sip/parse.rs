//! Bytes to messages.

use super::headers::{Line, Span};
use super::{Headers, Message, Method, Name, Request, Response, StatusCode};
use smallvec::SmallVec;
use std::fmt;

/// How long things may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The whole message, bytes.
    pub message: usize,
    /// One header line, bytes, with its folds.
    pub line: usize,
    /// Header lines.
    pub lines: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { message: 65_535, line: 8_192, lines: 256 }
    }
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Only CR, LF or nothing: a keepalive (RFC 5626 section 3.5.1).
    Empty,
    /// The start line is neither a request's nor a response's.
    StartLine(String),
    /// A version other than `SIP/2.0`.
    Version(String),
    /// A header line without a colon or with a bad name.
    HeaderLine(String),
    /// The head does not end with an empty line.
    Incomplete,
    /// The head is not UTF-8.
    NotUtf8,
    /// Longer than the limit.
    TooLong(&'static str),
    /// A mandatory header is missing.
    Missing(Name),
    /// A header that may stand once stands twice.
    Repeated(Name),
    /// A header value that cannot be read.
    Value {
        /// The header.
        header: Name,
        /// What it says.
        text: String,
    },
    /// An address (From, To, Contact, ...) that cannot be read.
    Address(String),
    /// A URI that cannot be read.
    Uri(String),
    /// Content-Length is larger than what is there.
    Truncated {
        /// What Content-Length says.
        expected: usize,
        /// What is there.
        present: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Empty => f.write_str("there is no message"),
            ParseError::StartLine(line) => {
                write!(f, "the start line is neither a request nor a response: {line:?}")
            }
            ParseError::Version(version) => write!(f, "the version is {version:?}, expected SIP/2.0"),
            ParseError::HeaderLine(line) => write!(f, "not a header line: {line:?}"),
            ParseError::Incomplete => f.write_str("the header does not end with an empty line"),
            ParseError::NotUtf8 => f.write_str("the header is not UTF-8"),
            ParseError::TooLong(what) => write!(f, "the {what} is longer than allowed"),
            ParseError::Missing(name) => write!(f, "{} is missing", name.as_str()),
            ParseError::Repeated(name) => write!(f, "{} stands more than once", name.as_str()),
            ParseError::Value { header, text } => write!(f, "{} cannot be read: {text:?}", header.as_str()),
            ParseError::Address(text) => write!(f, "not an address: {text:?}"),
            ParseError::Uri(text) => write!(f, "not a URI: {text:?}"),
            ParseError::Truncated { expected, present } => {
                write!(f, "Content-Length is {expected} but only {present} bytes are there")
            }
        }
    }
}

impl std::error::Error for ParseError {}

impl Message {
    /// Reads one message from a datagram or from a frame of a stream.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Message, ParseError> {
        if bytes.len() > limits.message {
            return Err(ParseError::TooLong("message"));
        }
        let lead = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let bytes = &bytes[lead..];
        if bytes.is_empty() {
            return Err(ParseError::Empty);
        }
        let head_end = memchr::memmem::find(bytes, b"\r\n\r\n").ok_or(ParseError::Incomplete)? + 2;
        let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| ParseError::NotUtf8)?;
        let start_end = head.find("\r\n").unwrap_or(head.len());
        let lines = header_lines(head, start_end + 2, limits)?;
        let mut headers = Headers { arena: bytes.to_vec(), lines };
        let body = body_span(&headers, head_end + 2, bytes.len())?;
        headers.arena.truncate(body.end as usize);
        let start_line = &head[..start_end];
        let start = Span { start: 0, end: start_end as u32 };
        match start_line.strip_prefix("SIP/") {
            Some(rest) => response(start_line, rest, start, headers, body),
            None => request(start_line, start, headers, body),
        }
    }
}

fn request(line: &str, start: Span, headers: Headers, body: Span) -> Result<Message, ParseError> {
    let bad = || ParseError::StartLine(line.into());
    let (method, rest) = line.split_once(' ').ok_or_else(bad)?;
    let (uri, version) = rest.rsplit_once(' ').ok_or_else(bad)?;
    if method.is_empty() || !method.bytes().all(is_token) || uri.is_empty() || uri.contains(' ') {
        return Err(bad());
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(ParseError::Version(version.into()));
    }
    let uri_start = method.len() as u32 + 1;
    let uri = Span { start: uri_start, end: uri_start + uri.len() as u32 };
    Ok(Message::Request(Request { method: Method::new(method), uri, start, headers, body }))
}

fn response(
    line: &str,
    rest: &str,
    start: Span,
    headers: Headers,
    body: Span,
) -> Result<Message, ParseError> {
    let bad = || ParseError::StartLine(line.into());
    let (version, rest) = rest.split_once(' ').ok_or_else(bad)?;
    if version != "2.0" {
        return Err(ParseError::Version(format!("SIP/{version}")));
    }
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = code.parse().ok().and_then(StatusCode::new).filter(|_| code.len() == 3).ok_or_else(bad)?;
    let reason = Span { start: (line.len() - reason.len()) as u32, end: line.len() as u32 };
    Ok(Message::Response(Response { status, reason, start, headers, body }))
}

fn header_lines(head: &str, mut at: usize, limits: &Limits) -> Result<SmallVec<[Line; 20]>, ParseError> {
    let bytes = head.as_bytes();
    let mut lines = SmallVec::new();
    while at < bytes.len() {
        let mut end = at;
        loop {
            end += memchr::memmem::find(&bytes[end..], b"\r\n").unwrap_or(bytes.len() - end);
            // A line that begins with white space continues the one before it (RFC 3261 section 7.3.1).
            match bytes.get(end + 2) {
                Some(b' ' | b'\t') => end += 2,
                _ => break,
            }
        }
        if end - at > limits.line {
            return Err(ParseError::TooLong("header line"));
        }
        if lines.len() == limits.lines {
            return Err(ParseError::TooLong("header"));
        }
        lines.push(header_line(head, at, end)?);
        at = end + 2;
    }
    Ok(lines)
}

fn header_line(head: &str, start: usize, end: usize) -> Result<Line, ParseError> {
    let text = &head[start..end];
    let bad = || ParseError::HeaderLine(text.into());
    let (name, value) = text.split_once(':').ok_or_else(bad)?;
    let written = name.trim_end();
    if written.is_empty() || !written.bytes().all(is_token) {
        return Err(bad());
    }
    let value_start = start + name.len() + 1 + (value.len() - value.trim_start().len());
    let value_end = value_start + value.trim().len();
    Ok(Line {
        name: Name::of(written),
        name_length: written.len() as u16,
        whole: Span { start: start as u32, end: end as u32 },
        value: Span { start: value_start as u32, end: value_end as u32 },
    })
}

fn body_span(headers: &Headers, start: usize, end: usize) -> Result<Span, ParseError> {
    let present = end - start;
    let length = match headers.get(Name::ContentLength) {
        Some(text) => {
            let bad = || ParseError::Value { header: Name::ContentLength, text: text.into() };
            text.parse::<usize>().map_err(|_| bad())?
        }
        None => present,
    };
    if length > present {
        return Err(ParseError::Truncated { expected: length, present });
    }
    Ok(Span { start: start as u32, end: (start + length) as u32 })
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}
