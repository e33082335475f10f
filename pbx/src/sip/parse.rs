//! Bytes to messages. What can be wrong with the values in it, [`Request::validate`](super::Request::validate) says.

use super::error::ParseError;
use super::headers::{Line, Lines, Span};
use super::line::{self, Parts, Unended};
use super::message::Body;
use super::{Headers, Message, Method, Name, Request, Response, StatusCode};

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

impl Message {
    /// Reads one message from a datagram or from a frame of a stream. What follows the body is noise and left out
    /// (RFC 3261 section 18.3).
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Message, ParseError> {
        if bytes.len() > limits.message.min(u32::MAX as usize) {
            return Err(ParseError::TooLong("message"));
        }
        let bytes = without_line_breaks(bytes);
        if bytes.is_empty() {
            return Err(ParseError::Empty);
        }
        let head = Head::read(bytes, limits)?;
        let end = head.body_end(bytes.len())?;
        let (arena, body) = keep(&bytes[..end], head.end)?;
        StartLine::read(&arena[..head.start_end]).map(|start_line| {
            let start = span(0, head.start_end);
            let headers = |arena| Headers { arena, lines: head.lines };
            match start_line {
                StartLine::Request { method, uri } => {
                    Message::Request(Request { method, uri, start, headers: headers(arena), body })
                }
                StartLine::Response { status, reason } => {
                    Message::Response(Response { status, reason, start, headers: headers(arena), body })
                }
            }
        })
    }
}

/// The beginning of what could not be read, for whoever looks for the reason: the whole may be long.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 120;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]);
    if bytes.len() > LONGEST { format!("{text}...") } else { text.into_owned() }
}

/// Line breaks before a message are keepalives or left over from the one before (RFC 3261 section 7.5).
pub(super) fn without_line_breaks(bytes: &[u8]) -> &[u8] {
    let lead = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    &bytes[lead..]
}

/// The head of a message, cut into lines.
struct Head {
    /// Where the start line ends.
    start_end: usize,
    lines: Lines,
    /// Where the body begins.
    end: usize,
    content_length: Option<usize>,
}

impl Head {
    fn read(bytes: &[u8], limits: &Limits) -> Result<Head, ParseError> {
        let start_end = line_end(bytes, 0, limits)?;
        let mut head = Head { start_end, lines: Lines::new(), end: start_end + 2, content_length: None };
        while !bytes[head.end..].starts_with(b"\r\n") {
            let end = line_end(bytes, head.end, limits)?;
            if head.lines.len() == limits.lines {
                return Err(ParseError::TooLong("header"));
            }
            head.push(bytes, head.end, end)?;
            head.end = end + 2;
        }
        head.end += 2;
        Ok(head)
    }

    fn push(&mut self, bytes: &[u8], start: usize, end: usize) -> Result<(), ParseError> {
        let text = &bytes[start..end];
        let bad = || ParseError::HeaderLine(excerpt(text));
        let Parts { name, name_length, value, value_end } = line::split(text).ok_or_else(bad)?;
        if name == Name::ContentLength {
            self.note_length(&text[value..value_end])?;
        }
        let name_length = u16::try_from(name_length).map_err(|_| bad())?;
        self.lines.push(Line {
            name,
            name_length,
            whole: span(start, end),
            value: span(start + value, start + value_end),
        });
        Ok(())
    }

    /// Two lengths that differ are as good as none, and none of them can be trusted (RFC 4475 section 3.3.9).
    fn note_length(&mut self, value: &[u8]) -> Result<(), ParseError> {
        let length = line::length(value).filter(|&new| self.content_length.is_none_or(|old| old == new));
        let bad = || ParseError::Value { header: Name::ContentLength, text: excerpt(value) };
        self.content_length = Some(length.ok_or_else(bad)?);
        Ok(())
    }

    fn body_end(&self, end: usize) -> Result<usize, ParseError> {
        let present = end - self.end;
        match self.content_length {
            Some(expected) if expected > present => Err(ParseError::Truncated { expected, present }),
            Some(expected) => Ok(self.end + expected),
            None => Ok(end),
        }
    }
}

fn line_end(bytes: &[u8], at: usize, limits: &Limits) -> Result<usize, ParseError> {
    match line::end(bytes, at) {
        Ok(end) if end - at > limits.line => Err(ParseError::TooLong("header line")),
        Ok(end) => Ok(end),
        Err(Unended::NoEnd) => Err(ParseError::Incomplete),
        Err(Unended::LineBreak) => Err(ParseError::LineBreak),
    }
}

/// Copies a message: as one text, which nearly every message is, or as a head and a binary body.
fn keep(message: &[u8], head: usize) -> Result<(String, Body), ParseError> {
    match std::str::from_utf8(message) {
        Ok(text) => Ok((text.to_owned(), Body::Text(span(head, message.len())))),
        Err(error) if error.valid_up_to() < head => Err(ParseError::NotUtf8),
        Err(_) => {
            let (head, body) = message.split_at(head);
            let head = std::str::from_utf8(head).map_err(|_| ParseError::NotUtf8)?;
            Ok((head.to_owned(), Body::Binary(body.to_vec())))
        }
    }
}

enum StartLine {
    Request { method: Method, uri: Span },
    Response { status: StatusCode, reason: Span },
}

impl StartLine {
    fn read(line: &str) -> Result<StartLine, ParseError> {
        let bad = || ParseError::StartLine(excerpt(line.as_bytes()));
        let is_response = line.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
        let (version, start_line) = match is_response {
            true => StartLine::response(line).ok_or_else(bad)?,
            false => StartLine::request(line).ok_or_else(bad)?,
        };
        match version {
            version if version.eq_ignore_ascii_case("SIP/2.0") => start_line.ok_or_else(bad),
            version if is_version(version) => Err(ParseError::Version(excerpt(version.as_bytes()))),
            _ => Err(bad()),
        }
    }

    /// `INVITE sip:bob@example.com SIP/2.0`, with single spaces (RFC 3261 section 7.1).
    fn request(line: &str) -> Option<(&str, Option<StartLine>)> {
        let (method, rest) = line.split_once(' ')?;
        let (uri, version) = rest.rsplit_once(' ')?;
        let is_uri = !uri.is_empty() && uri.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        let is_method = !method.is_empty() && method.bytes().all(line::is_token);
        let start = method.len() + 1;
        let request = StartLine::Request { method: Method::new(method), uri: span(start, start + uri.len()) };
        Some((version, (is_method && is_uri).then_some(request)))
    }

    /// `SIP/2.0 200 OK` (RFC 3261 section 7.2). The reason may be missing, and the space before it.
    fn response(line: &str) -> Option<(&str, Option<StartLine>)> {
        let (version, rest) = line.split_once(' ')?;
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        let status = code.parse().ok().filter(|_| is_code).and_then(StatusCode::new);
        let is_one_line = !reason.contains('\r');
        let reason = span(line.len() - reason.len(), line.len());
        Some((version, status.filter(|_| is_one_line).map(|status| StartLine::Response { status, reason })))
    }
}

fn is_version(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
        && text[4..].split_once('.').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

/// The parser refuses messages that a span cannot measure.
fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_parts() {
        let Ok(Message::Request(request)) =
            parse("\r\n\r\nINVITE sip:b SIP/2.0\r\nt : x\r\n y\r\nl:2\r\n\r\nhimore")
        else {
            panic!("a request")
        };
        assert_eq!((request.method(), request.uri()), (&Method::Invite, "sip:b"));
        assert_eq!(request.headers().iter().collect::<Vec<_>>(), [("t", "x\r\n y"), ("l", "2")]);
        assert_eq!(request.body(), b"hi");
    }

    #[test]
    fn a_response_may_lack_its_reason() {
        for (text, code, reason) in [
            ("SIP/2.0 200 Well done\r\n\r\n", 200, "Well done"),
            ("SIP/2.0 404 \r\n\r\n", 404, ""),
            ("sip/2.0 699\r\n\r\n", 699, ""),
        ] {
            let Ok(Message::Response(response)) = parse(text) else { panic!("a response: {text}") };
            assert_eq!((response.status().code(), response.reason()), (code, reason));
        }
    }

    #[test]
    fn without_a_length_the_body_reaches_to_the_end() {
        let message = parse("BYE sip:b SIP/2.0\r\nX: \r\n\r\n body\r\n").expect("a message");
        assert_eq!(message.body(), b" body\r\n");
    }

    #[test]
    fn a_body_need_not_be_text() {
        let bytes = b"BYE sip:b SIP/2.0\r\nl: 3\r\n\r\n\xff\0\xfe...";
        let message = Message::parse(bytes, &Limits::default()).expect("a message");
        assert_eq!(message.body(), b"\xff\0\xfe");
        assert_eq!(message.to_bytes(), &bytes[..bytes.len() - 3]);
    }

    #[test]
    fn what_is_no_message_is_refused_by_what_is_wrong() {
        for (text, error) in [
            ("\r\n\r\n", ParseError::Empty),
            ("BYE sip:b SIP/2.0\r\nTo: x\r\n", ParseError::Incomplete),
            ("BYE sip:b SIP/2.0", ParseError::Incomplete),
            ("BYE sip:b SIP/2.0\nTo: x\n\n", ParseError::LineBreak),
            ("BYE sip:b SIP/3.0\r\n\r\n", ParseError::Version("SIP/3.0".into())),
            ("SIP/1.0 200 OK\r\n\r\n", ParseError::Version("SIP/1.0".into())),
            ("BYE sip:b HTTP/1.1\r\n\r\n", ParseError::StartLine("BYE sip:b HTTP/1.1".into())),
            ("BYE sip:b\r\n\tSIP/2.0\r\n\r\n", ParseError::StartLine("BYE sip:b\r\n\tSIP/2.0".into())),
            ("B,E sip:b SIP/2.0\r\n\r\n", ParseError::StartLine("B,E sip:b SIP/2.0".into())),
            ("SIP/2.0 099 x\r\n\r\n", ParseError::StartLine("SIP/2.0 099 x".into())),
            ("SIP/2.0 200 O\r\n K\r\n\r\n", ParseError::StartLine("SIP/2.0 200 O\r\n K".into())),
            ("BYE sip:b SIP/2.0\r\nTo x\r\n\r\n", ParseError::HeaderLine("To x".into())),
            ("BYE sip:b SIP/2.0\r\nl: 9\r\n\r\nx", ParseError::Truncated { expected: 9, present: 1 }),
            ("BYE sip:b SIP/2.0\r\nl: 1\r\nl: 0\r\n\r\nx", ParseError::value(Name::ContentLength, "0")),
        ] {
            assert_eq!(parse(text).err(), Some(error), "{text:?}");
        }
        let latin = b"BYE sip:b SIP/2.0\r\nSubject: \xfc\r\n\r\n";
        assert_eq!(Message::parse(latin, &Limits::default()).err(), Some(ParseError::NotUtf8));
    }

    #[test]
    fn a_limit_may_be_reached_but_not_passed() {
        let text = "BYE sip:b SIP/2.0\r\nA: 1\r\nBcdefghijklmnop: 1\r\n\r\n";
        let exact = Limits { message: text.len(), line: 18, lines: 2 };
        assert!(Message::parse(text.as_bytes(), &exact).is_ok());
        for limits in [
            Limits { message: exact.message - 1, ..exact },
            Limits { line: exact.line - 1, ..exact },
            Limits { lines: exact.lines - 1, ..exact },
        ] {
            let error = Message::parse(text.as_bytes(), &limits).err();
            assert!(matches!(error, Some(ParseError::TooLong(_))), "{limits:?}: {error:?}");
        }
    }

    #[test]
    fn an_error_repeats_only_the_beginning_of_what_was_wrong() {
        let error = parse(&format!("BYE sip:b SIP/2.0\r\n{}\r\n\r\n", "x".repeat(8000))).err();
        assert_eq!(error, Some(ParseError::HeaderLine(format!("{}...", "x".repeat(120)))));
    }

    fn parse(text: &str) -> Result<Message, ParseError> {
        Message::parse(text.as_bytes(), &Limits::default())
    }
}
