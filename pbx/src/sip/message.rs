//! Requests and responses: made, changed, written. What their header lines mean is in `fields`.

use super::escape::OneWord;
use super::headers::Span;
use super::{Headers, Method, Name, StatusCode};
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
    pub(super) body: Body,
}

/// A response: status, reason phrase, headers, body.
#[derive(Clone)]
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) reason: Span,
    pub(super) start: Span,
    pub(super) headers: Headers,
    pub(super) body: Body,
}

/// Where a body is kept. Nearly all bodies are text and lie behind the header lines in the same memory.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Text(Span),
    Binary(Vec<u8>),
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, uri: &str) -> Request {
        let mut request = Request {
            method,
            uri: Span::default(),
            start: Span::default(),
            headers: Headers::new(),
            body: Body::NONE,
        };
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

    /// Replaces the Request-URI. White space, quotes and angle brackets, which would end it, are escaped.
    pub fn set_uri(&mut self, uri: &str) {
        let method = self.headers.append(format_args!("{} ", self.method));
        self.uri = self.headers.append(OneWord(uri));
        let version = self.headers.append(" SIP/2.0");
        self.start = Span { start: method.start, end: version.end };
    }
}

impl Response {
    /// A response without headers, with the default reason phrase.
    pub fn new(status: StatusCode) -> Response {
        Response::with_reason(status, status.reason())
    }

    /// A response without headers, with a reason phrase of its own.
    pub fn with_reason(status: StatusCode, reason: &str) -> Response {
        let mut response = Response {
            status,
            reason: Span::default(),
            start: Span::default(),
            headers: Headers::new(),
            body: Body::NONE,
        };
        response.set_reason(reason);
        response
    }

    /// The response to `request`: its Via lines, From, To, Call-ID and CSeq are copied (RFC 3261 section 8.2.6.2), and
    /// `tag` is put on To when it has none.
    pub fn to(request: &Request, status: StatusCode, tag: Option<&str>) -> Response {
        let mut response = Response::new(status);
        for via in request.headers.all(Name::Via) {
            response.headers.push(Name::Via, via);
        }
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            let Some(value) = request.headers.get(name) else { continue };
            match tag.filter(|_| name == Name::To && !has_tag(value)) {
                Some(tag) => response.headers.push(name, format_args!("{value};tag={tag}")),
                None => response.headers.push(name, value),
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

    /// Replaces the reason phrase.
    pub fn set_reason(&mut self, reason: &str) {
        let code = self.headers.append(format_args!("SIP/2.0 {} ", self.status));
        self.reason = self.headers.append(reason);
        self.start = Span { start: code.start, end: self.reason.end };
    }
}

/// What cannot be read counts as tagged: nobody knows what a tag behind it would belong to.
fn has_tag(address: &str) -> bool {
    super::NameAddr::parse(address).map_or(true, |address| address.tag().is_some())
}

impl Body {
    pub(super) const NONE: Body = Body::Text(Span { start: 0, end: 0 });
}

macro_rules! message {
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
                match &self.body {
                    Body::Text(span) => self.headers.text(*span).as_bytes(),
                    Body::Binary(bytes) => bytes,
                }
            }

            /// Replaces the body and sets Content-Type and Content-Length.
            pub fn set_body(&mut self, content_type: &str, body: &[u8]) {
                self.headers.set(Name::ContentType, content_type);
                self.headers.set(Name::ContentLength, body.len());
                self.body = Body::Binary(body.to_vec());
            }

            /// Removes the body and Content-Type and sets Content-Length to 0.
            pub fn clear_body(&mut self) {
                self.headers.remove(Name::ContentType);
                self.headers.set(Name::ContentLength, 0);
                self.body = Body::NONE;
            }

            /// Writes the message as it goes over the wire.
            pub fn write(&self, out: &mut Vec<u8>) {
                let headers = &self.headers;
                for span in std::iter::once(self.start).chain(headers.lines.iter().map(|line| line.whole)) {
                    out.extend_from_slice(headers.text(span).as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(self.body());
            }

            /// The message as it goes over the wire.
            pub fn to_bytes(&self) -> Vec<u8> {
                let mut out = Vec::with_capacity(self.headers.arena.len() + self.body().len() + 64);
                self.write(&mut out);
                out
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
            }
        }
    };
}

message!(Request);
message!(Response);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Limits;

    #[test]
    fn a_request_is_written_in_the_order_it_was_made() {
        let mut request = Request::new(Method::Message, "sip:bob@example.com");
        request.headers_mut().push(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
        request.set_body("text/plain", b"\xff\0");
        request.set_uri("sip:bob@192.0.2.2");
        assert_eq!(
            request.to_bytes(),
            b"MESSAGE sip:bob@192.0.2.2 SIP/2.0\r\n\
              Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
              Content-Type: text/plain\r\n\
              Content-Length: 2\r\n\r\n\xff\0"
        );
    }

    #[test]
    fn a_request_uri_stays_one_word() {
        let request = Request::new(Method::Invite, "sip:bob\r\nEvil: 1 @example.com SIP/2.0");
        assert_eq!(request.uri(), "sip:bob%0D%0AEvil:%201%20@example.com%20SIP/2.0");
        assert_eq!(
            request.to_bytes(),
            b"INVITE sip:bob%0D%0AEvil:%201%20@example.com%20SIP/2.0 SIP/2.0\r\n\r\n"
        );
    }

    #[test]
    fn a_reason_phrase_stays_on_its_line() {
        let response = Response::with_reason(StatusCode::BAD_REQUEST, "No\r\nEvil: 1");
        assert_eq!(response.reason(), "No  Evil: 1");
    }

    #[test]
    fn a_response_copies_what_belongs_to_the_transaction() {
        let response = Response::to(&request("To: <sip:bob@example.com>"), StatusCode::RINGING, Some("b"));
        assert_eq!(
            String::from_utf8_lossy(&response.to_bytes()),
            "SIP/2.0 180 Ringing\r\n\
             Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK0\r\n\
             From: <sip:alice@example.com>;tag=a\r\n\
             To: <sip:bob@example.com>;tag=b\r\n\
             Call-ID: 1\r\n\
             CSeq: 1 INVITE\r\n\r\n"
        );
    }

    #[test]
    fn a_response_keeps_the_tag_that_is_there() {
        let response =
            Response::to(&request("To: <sip:bob@example.com>;tag=x"), StatusCode::RINGING, Some("b"));
        assert_eq!(response.headers().get(Name::To), Some("<sip:bob@example.com>;tag=x"));
    }

    #[test]
    fn headers_of_another_message_do_no_harm() {
        let mut small = Request::new(Method::Bye, "sip:a@b");
        let mut large = request("To: <sip:bob@example.com>");
        std::mem::swap(small.headers_mut(), large.headers_mut());
        small.to_bytes();
        large.to_bytes();
    }

    fn request(to: &str) -> Request {
        let text = format!(
            "INVITE sip:bob@example.com SIP/2.0\r\n\
             CSeq: 1 INVITE\r\nCall-ID: 1\r\n{to}\r\nFrom: <sip:alice@example.com>;tag=a\r\n\
             v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK0\r\n\
             Contact: <sip:alice@192.0.2.1>\r\n\r\n"
        );
        match Message::parse(text.as_bytes(), &Limits::default()) {
            Ok(Message::Request(request)) => request,
            other => panic!("no request: {other:?}"),
        }
    }
}
