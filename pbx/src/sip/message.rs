//! Requests and responses.

use super::headers::Span;
use super::{Headers, Method, Name, ParseError, StatusCode};
use std::fmt;

/// A SIP message as it came or as it will go.
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// The header lines.
    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => request.headers(),
            Message::Response(response) => response.headers(),
        }
    }

    /// The body, as long as Content-Length says or, without one, up to the end of the datagram.
    pub fn body(&self) -> &[u8] {
        match self {
            Message::Request(request) => request.body(),
            Message::Response(response) => response.body(),
        }
    }

    /// The message as it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Message::Request(request) => request.to_bytes(),
            Message::Response(response) => response.to_bytes(),
        }
    }
}

/// A request: method, Request-URI, headers, body.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) uri: Span,
    pub(super) start: Span,
    pub(super) headers: Headers,
    pub(super) body: Span,
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, uri: &str) -> Request {
        let mut request = Request {
            method,
            uri: Span::default(),
            start: Span::default(),
            headers: Headers::default(),
            body: Span::default(),
        };
        request.headers.arena.reserve(1024);
        request.set_uri(uri);
        request
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI as it is written; [`Uri::parse`](super::Uri::parse) looks into it.
    pub fn uri(&self) -> &str {
        self.headers.text(self.uri)
    }

    /// Replaces the Request-URI.
    pub fn set_uri(&mut self, uri: &str) {
        self.start = self.headers.append_text(format_args!("{} {} SIP/2.0", self.method, uri));
        let start = self.start.start + self.method.as_str().len() as u32 + 1;
        self.uri = Span { start, end: start + uri.len() as u32 };
    }
}

/// A response: status, reason phrase, headers, body.
#[derive(Clone)]
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) reason: Span,
    pub(super) start: Span,
    pub(super) headers: Headers,
    pub(super) body: Span,
}

impl Response {
    /// A response without headers, with the default reason phrase.
    pub fn new(status: StatusCode) -> Response {
        Response::with_reason(status, status.reason())
    }

    /// A response without headers, with a reason phrase of its own.
    pub fn with_reason(status: StatusCode, reason: &str) -> Response {
        let mut headers = Headers::default();
        headers.arena.reserve(1024);
        let start = headers.append_text(format_args!("SIP/2.0 {status} {reason}"));
        let reason = Span { start: start.end - reason.len() as u32, end: start.end };
        Response { status, reason, start, headers, body: Span::default() }
    }

    /// The response to `request`: its Via lines, From, To, Call-ID and CSeq are copied (RFC 3261 section 8.2.6.2), and
    /// `tag` is put on To when it has none.
    pub fn to(request: &Request, status: StatusCode, tag: Option<&str>) -> Response {
        let mut response = Response::new(status);
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            for value in request.headers.all(name) {
                match (name, tag) {
                    (Name::To, Some(tag))
                        if super::NameAddr::parse(value).is_ok_and(|to| to.tag().is_none()) =>
                    {
                        response.headers.push(name, format_args!("{value};tag={tag}"));
                    }
                    _ => response.headers.push(name, value),
                }
            }
        }
        response
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase as it is written.
    pub fn reason(&self) -> &str {
        self.headers.text(self.reason)
    }
}

macro_rules! shared {
    ($type:ident) => {
        impl $type {
            /// The header lines.
            pub fn headers(&self) -> &Headers {
                &self.headers
            }

            /// The header lines, to change them.
            pub fn headers_mut(&mut self) -> &mut Headers {
                &mut self.headers
            }

            /// The body, as long as Content-Length says or, without one, up to the end of the datagram.
            pub fn body(&self) -> &[u8] {
                self.headers.bytes(self.body)
            }

            /// Replaces the body and sets Content-Type and Content-Length.
            pub fn set_body(&mut self, content_type: &str, body: &[u8]) {
                self.headers.set(Name::ContentType, content_type);
                self.headers.set(Name::ContentLength, body.len());
                self.body = self.headers.append(body);
            }

            /// Removes the body and Content-Type and sets Content-Length to 0.
            pub fn clear_body(&mut self) {
                self.headers.remove(Name::ContentType);
                self.headers.set(Name::ContentLength, 0);
                self.body = Span::default();
            }

            /// Call-ID, empty when there is none (which the parser refuses).
            pub fn call_id(&self) -> &str {
                self.headers.get(Name::CallId).unwrap_or_default()
            }

            /// CSeq.
            pub fn cseq(&self) -> Result<super::CSeq<'_>, ParseError> {
                self.headers
                    .get(Name::CSeq)
                    .ok_or(ParseError::Missing(Name::CSeq))
                    .and_then(super::CSeq::parse)
            }

            /// The topmost Via value.
            pub fn via(&self) -> Result<super::Via<'_>, ParseError> {
                let line = self.headers.get(Name::Via).ok_or(ParseError::Missing(Name::Via))?;
                super::Via::parse(super::quoted_list(line).next().unwrap_or_default())
            }

            /// From.
            pub fn from(&self) -> Result<super::NameAddr<'_>, ParseError> {
                self.address(Name::From)
            }

            /// To.
            pub fn to_header(&self) -> Result<super::NameAddr<'_>, ParseError> {
                self.address(Name::To)
            }

            /// The first Contact; `*` is not an address and an error.
            pub fn contact(&self) -> Result<super::NameAddr<'_>, ParseError> {
                self.address(Name::Contact)
            }

            /// The values of all lines of a name that is a comma-separated list (Contact, Route, Require, Via, ...).
            pub fn list(&self, name: Name) -> impl Iterator<Item = &str> {
                self.headers.all(name).flat_map(super::quoted_list)
            }

            /// Whether a comma-separated list of tokens (Supported, Require, Allow) holds `token`, without case.
            pub fn lists(&self, name: Name, token: &str) -> bool {
                self.list(name).any(|value| value.eq_ignore_ascii_case(token))
            }

            /// Writes the message as it goes over the wire.
            pub fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.headers.bytes(self.start));
                out.extend_from_slice(b"\r\n");
                for line in &self.headers.lines {
                    out.extend_from_slice(self.headers.bytes(line.whole));
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(self.body());
            }

            /// The message as it goes over the wire.
            pub fn to_bytes(&self) -> Vec<u8> {
                let mut out = Vec::with_capacity(self.headers.arena.len() + 64);
                self.write(&mut out);
                out
            }

            fn address(&self, name: Name) -> Result<super::NameAddr<'_>, ParseError> {
                let line = self.headers.get(name).ok_or(ParseError::Missing(name))?;
                super::NameAddr::parse(super::quoted_list(line).next().unwrap_or_default())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
            }
        }
    };
}

shared!(Request);
shared!(Response);
