//! What our messages say of us: the headers that are the same in every dialog.

use super::{Body, ExtraHeaders, Reply};
use crate::sip::{Headers, Name, Request, Response, StatusCode};

/// The methods we invite others to use. Others are passed on all the same, to be answered by whoever is above.
pub(super) const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, PRACK, UPDATE, INFO, MESSAGE, REFER, SUBSCRIBE, NOTIFY";

/// The extensions we know.
pub(super) const SUPPORTED: [&str; 4] = ["100rel", "timer", "replaces", "norefersub"];

/// The only description we look at.
pub(super) const SDP: &str = "application/sdp";

/// Header names that a layer above must not write: the dialog, the transaction and the body own them.
const OURS: [Name; 15] = [
    Name::Via,
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::Contact,
    Name::MaxForwards,
    Name::ContentLength,
    Name::ContentType,
    Name::Route,
    Name::RecordRoute,
    Name::Rseq,
    Name::Rack,
    Name::SessionExpires,
    Name::MinSe,
];

/// How many extra lines one message takes along; more are left out.
const EXTRA_LINES: usize = 64;

/// Adds the lines that ride along. Outside a dialog, who sends REGISTER or answers it names contacts and routes.
pub(super) fn add_extra(headers: &mut Headers, extra: &ExtraHeaders, is_outside: bool) {
    for (name, value) in extra.iter().take(EXTRA_LINES) {
        let known = Name::of(name);
        let is_token =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
        if is_token
            && (!OURS.contains(&known) || (is_outside && matches!(known, Name::Contact | Name::Route)))
        {
            headers.push_named(name, value);
        }
    }
}

/// `Allow` and `Supported` (RFC 3261 section 13.2.1).
pub(super) fn add_abilities(headers: &mut Headers) {
    add_missing(headers, Name::Allow, ALLOW);
    add_missing(headers, Name::Supported, &SUPPORTED.join(", "));
}

/// Adds a line unless somebody above has said it better.
pub(super) fn add_missing(headers: &mut Headers, name: Name, value: &str) {
    if !headers.has(name) {
        headers.push(name, value);
    }
}

/// The answer to `request` with our name on it and no body yet.
pub(super) fn response(request: &Request, status: StatusCode, tag: &str, server: &str) -> Response {
    let mut response = Response::to(request, status, (status != StatusCode::TRYING).then_some(tag));
    response.headers_mut().push(Name::Server, server);
    response
}

/// The answer somebody above wants given.
pub(super) fn reply(request: &Request, reply: &Reply, tag: &str, server: &str) -> Response {
    let mut response = match &reply.reason {
        Some(reason) => with_reason(request, reply.status, reason, tag, server),
        None => self::response(request, reply.status, tag, server),
    };
    add_extra(response.headers_mut(), &reply.headers, true);
    match &reply.body {
        Some(body) => response.set_body(&body.content_type, &body.bytes),
        None => response.clear_body(),
    }
    response
}

/// Puts a body of any type into a request.
pub(super) fn set_body(request: &mut Request, body: Option<&Body>) {
    match body {
        Some(body) => request.set_body(&body.content_type, &body.bytes),
        None => request.clear_body(),
    }
}

/// Puts a description into a request.
pub(super) fn describe_request(request: &mut Request, description: Option<&[u8]>) {
    match description {
        Some(description) => request.set_body(SDP, description),
        None => request.clear_body(),
    }
}

/// Puts a description into a response.
pub(super) fn describe_response(response: &mut Response, description: Option<&[u8]>) {
    match description {
        Some(description) => response.set_body(SDP, description),
        None => response.clear_body(),
    }
}

/// The number a header begins with: `Retry-After: 5 (busy)`, `Expires: 60`, `Session-Expires: 90;refresher=uac`.
pub(super) fn leading_number(value: &str) -> Option<u64> {
    let digits = value.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// A text that can stand in a request line: no blanks, no line ends.
pub(super) fn clean_uri(uri: &str) -> String {
    uri.chars().filter(|c| *c > ' ' && *c != '\u{7f}').collect()
}

fn with_reason(request: &Request, status: StatusCode, reason: &str, tag: &str, server: &str) -> Response {
    let plain = self::response(request, status, tag, server);
    let reason: String = reason.chars().map(|c| if c < ' ' { ' ' } else { c }).collect();
    let mut response = Response::with_reason(status, &reason);
    for (name, value) in plain.headers().iter() {
        response.headers_mut().push_named(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_headers_cannot_replace_ours_or_break_a_line() {
        let mut request = Request::new(crate::sip::Method::Info, "sip:a@b");
        let extra = vec![
            ("Call-ID".to_owned(), "other".to_owned()),
            ("Sub\r\nject".to_owned(), "x".to_owned()),
            ("Subject".to_owned(), "hello\r\nVia: SIP/2.0/UDP evil".to_owned()),
        ];
        add_extra(request.headers_mut(), &extra, false);
        assert_eq!(String::from_utf8(request.to_bytes()).unwrap().matches("\r\n").count(), 3);
        assert!(!request.headers().has(Name::CallId));
    }

    #[test]
    fn a_number_is_read_up_to_what_follows_it() {
        assert_eq!(leading_number("90;refresher=uac"), Some(90));
        assert_eq!(leading_number(" 5 (busy)"), Some(5));
        assert_eq!(leading_number("soon"), None);
    }
}
