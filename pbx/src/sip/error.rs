//! Why bytes are not a message, and what is answered then.

use super::parse::excerpt;
use super::{Name, Request, Response, StatusCode};
use std::borrow::Cow;
use std::fmt;

/// Why bytes are not a message, or a value in one cannot be read.
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
    /// A CR or LF stands alone in the head.
    LineBreak,
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
        /// What it says, or how that begins.
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

impl ParseError {
    /// The value of `header` cannot be read.
    pub(super) fn value(header: Name, text: &str) -> ParseError {
        ParseError::Value { header, text: excerpt(text.as_bytes()) }
    }
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
            ParseError::LineBreak => f.write_str("a line break in the header is not CRLF"),
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

/// A request that is answered at once, before anybody looks at what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 416, 501, 505, 513.
    pub status: StatusCode,
    /// A reason phrase that names the problem (RFC 3261 section 21.4.1). It repeats nothing that was received.
    pub reason: Cow<'static, str>,
}

impl Refusal {
    /// The default reason phrase.
    pub fn new(status: StatusCode) -> Refusal {
        Refusal { status, reason: status.reason().into() }
    }

    /// The response that says so; `tag` is put on To when it has none.
    pub fn answer(&self, request: &Request, tag: &str) -> Response {
        let mut response = Response::to(request, self.status, Some(tag));
        response.set_reason(&self.reason);
        response
    }

    fn bad_request(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)
    }
}

impl std::error::Error for Refusal {}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Refusal {
        match error {
            ParseError::Version(_) => Refusal::new(StatusCode::VERSION_NOT_SUPPORTED),
            ParseError::TooLong(_) => Refusal::new(StatusCode::MESSAGE_TOO_LARGE),
            ParseError::Missing(name) => {
                Refusal::bad_request(format!("Missing {} header field", name.as_str()))
            }
            ParseError::Repeated(name) => {
                Refusal::bad_request(format!("Repeated {} header field", name.as_str()))
            }
            ParseError::Value { header, .. } => {
                Refusal::bad_request(format!("Malformed {} header field", header.as_str()))
            }
            ParseError::Address(_) => Refusal::bad_request("Malformed address"),
            ParseError::Uri(_) => Refusal::bad_request("Malformed Request-URI"),
            ParseError::Truncated { .. } => Refusal::bad_request("Content-Length exceeds message"),
            ParseError::StartLine(_) => Refusal::bad_request("Malformed start line"),
            ParseError::HeaderLine(_)
            | ParseError::LineBreak
            | ParseError::Incomplete
            | ParseError::NotUtf8 => Refusal::bad_request("Malformed header"),
            ParseError::Empty => Refusal::bad_request("Empty message"),
        }
    }
}
