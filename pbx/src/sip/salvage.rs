//! What can be saved of a request that cannot be read, so that its sender is told.

use super::line::{self, Unended};
use super::parse::without_line_breaks;
use super::{Method, Name, Request};

/// The header lines that a response copies (RFC 3261 section 8.2.6.2).
const COPIED: [Name; 5] = [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];

/// More lines are not looked at.
const MOST_LINES: usize = 64;

/// Makes of bytes that [`Message::parse`](super::Message::parse) refused a request to which
/// [`Refusal::answer`](super::Refusal::answer) makes the response: the method, an empty Request-URI, and those of Via, From, To,
/// Call-ID and CSeq that are there.
///
/// `None` for a response, for ACK, for what does not begin like a request, and when the first Via does not say where to
/// answer: it is then dropped.
pub fn salvage(bytes: &[u8]) -> Option<Request> {
    let bytes = without_line_breaks(bytes);
    let method = method(bytes).filter(|method| *method != Method::Ack)?;
    let mut request = Request::new(method, "");
    for line in lines(bytes).skip(1).take(MOST_LINES) {
        let Some(parts) = line::split(line) else { continue };
        let name = parts.name;
        let is_wanted = COPIED.contains(&name) && (name == Name::Via || !request.headers().has(name));
        if let Ok(value) = std::str::from_utf8(&line[parts.value..parts.value_end])
            && is_wanted
        {
            request.headers_mut().push(name, value);
        }
    }
    request.via().is_ok().then_some(request)
}

/// The first word of a start line that ends, as far as one can tell, as a request does.
fn method(bytes: &[u8]) -> Option<Method> {
    let word = &bytes[..memchr::memchr(b' ', bytes)?];
    let start_line = lines(bytes).next()?;
    let speaks_sip = memchr::memmem::find(start_line, b" SIP/").is_some();
    let is_token = !word.is_empty() && word.iter().copied().all(line::is_token);
    std::str::from_utf8(word).ok().filter(|_| is_token && speaks_sip).map(Method::new)
}

/// The lines up to the first empty one, without those that hold a lone CR or LF.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let from = at;
            match line::end(bytes, from) {
                Ok(end) if end == from => return None,
                Ok(end) => {
                    at = end + 2;
                    return Some(&bytes[from..end]);
                }
                Err(Unended::LineBreak) => at = from + memchr::memmem::find(&bytes[from..], b"\r\n")? + 2,
                Err(Unended::NoEnd) => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Limits, Message, Refusal};
    use proptest::prelude::*;

    #[test]
    fn a_broken_request_is_told() {
        let answer = answer(
            "OPTIONS sip:b SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nt: sip:b\r\nbroken\r\n\
            f: sip:a;tag=1\r\ni: 1\r\nCSeq: 1 OPTIONS\r\nCSeq: 2 OPTIONS\r\nl: -1\r\n\r\n",
        );
        assert_eq!(
            answer.as_deref(),
            Some(
                "SIP/2.0 400 Malformed header\r\n\
                 Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
                 From: sip:a;tag=1\r\n\
                 To: sip:b;tag=t\r\n\
                 Call-ID: 1\r\n\
                 CSeq: 1 OPTIONS\r\n\r\n"
            )
        );
    }

    #[test]
    fn another_version_is_told() {
        let answer = answer("OPTIONS sip:b SIP/7.0\r\nVia: SIP/7.0/UDP a\r\n\r\n").expect("an answer");
        assert!(
            answer.starts_with("SIP/2.0 505 Version Not Supported\r\nVia: SIP/7.0/UDP a\r\n"),
            "{answer}"
        );
    }

    #[test]
    fn nobody_is_told_who_could_not_understand() {
        for text in [
            "SIP/2.0 4294967301 x\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "ACK sip:b  SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "GET / HTTP/1.1\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "OPTIONS sip:b  SIP/2.0\r\nTo: sip:b\r\n\r\n",
            "OPTIONS sip:b  SIP/2.0\r\nVia: nonsense\r\n\r\n",
            "OPTIONS sip:b  SIP/2.0",
            "",
        ] {
            assert_eq!(answer(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_line_with_a_lone_line_feed_is_left_out() {
        let answer =
            answer("BYE sip:b SIP/2.0\r\nTo: x\nVia: SIP/2.0/UDP evil\r\nVia: SIP/2.0/UDP a\r\n\r\n");
        assert_eq!(answer.as_deref(), Some("SIP/2.0 400 Malformed header\r\nVia: SIP/2.0/UDP a\r\n\r\n"));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_looked_through(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            salvage(&bytes);
        }
    }

    fn answer(text: &str) -> Option<String> {
        let error = Message::parse(text.as_bytes(), &Limits::default()).err()?;
        let response = Refusal::from(error).answer(&salvage(text.as_bytes())?, "t");
        Some(String::from_utf8_lossy(&response.to_bytes()).into_owned())
    }
}
