//! What of a message on one side is told on the other, and the replies that are the same everywhere.

use super::Context;
use crate::dialog::{Body, ExtraHeaders, Reply};
use crate::route::Caller;
use crate::sip::{Method, Name, NameAddr, Request, Response, StatusCode, Uri, escape_user};

/// The methods that this PBX understands.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, PRACK, UPDATE, INFO, MESSAGE, REFER, SUBSCRIBE, NOTIFY";

/// What OPTIONS is answered: what we understand (RFC 3261 section 11.2).
pub(crate) fn options_reply() -> Reply {
    let mut reply = Reply::new(StatusCode::OK);
    reply.headers = vec![
        ("Allow".into(), ALLOW.into()),
        ("Accept".into(), "application/sdp".into()),
        ("Accept-Encoding".into(), "identity".into()),
        ("Accept-Language".into(), "en".into()),
        ("Supported".into(), "100rel, timer, replaces, norefersub".into()),
    ];
    reply
}

/// What a method is answered that we do not understand here (RFC 3261 section 8.2.1).
pub(crate) fn not_allowed_reply() -> Reply {
    let mut reply = Reply::new(StatusCode::METHOD_NOT_ALLOWED);
    reply.headers.push(("Allow".into(), ALLOW.into()));
    reply
}

/// The user part of From.
pub(crate) fn from_user(request: &Request) -> String {
    request.from().ok().and_then(|from| Some(from.parse_uri().ok()?.user_text())).unwrap_or_default()
}

/// Max-Forwards of a request; 70 where it says none (RFC 3261 section 8.1.1.6).
pub(super) fn max_forwards(request: &Request) -> u8 {
    request.headers().get(Name::MaxForwards).and_then(|value| value.parse().ok()).unwrap_or(70)
}

/// The value of From for callees: the caller's number at our domain, with the name that we know or that it gives.
pub(super) fn from_for_callees(invite: &Request, caller: &Caller, context: &Context) -> String {
    // RFC 3323 section 4.1: who asks for privacy is not named.
    let wants_privacy = invite.headers().get(Name::Privacy).is_some_and(|privacy| {
        privacy.split(';').any(|value| matches!(value.trim(), "id" | "user" | "header"))
    });
    if wants_privacy {
        return "\"Anonymous\" <sip:anonymous@anonymous.invalid>".into();
    }
    let from = invite.from().ok();
    let known = match caller {
        Caller::Extension(number) => {
            context.config.extensions.iter().find(|e| e.number == *number).and_then(|e| e.name.clone())
        }
        _ => None,
    };
    let name = known.or_else(|| from.as_ref().and_then(NameAddr::display_text));
    let user =
        from.and_then(|from| Some(Uri::parse(from.uri).ok()?.user_text())).filter(|user| !user.is_empty());
    let user = escape_user(&user.unwrap_or_else(|| "anonymous".into()));
    let domain = &context.config.sip.domain;
    match name {
        Some(name) => format!("\"{}\" <sip:{user}@{domain}>", quoted(&name)),
        None => format!("<sip:{user}@{domain}>"),
    }
}

/// A text within quotes (RFC 3261 section 25.1, quoted-string).
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().filter(|c| !c.is_control()) {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Header lines of an INVITE that callees are told; who asserts an identity must be trusted to (RFC 3325 section 5).
pub(super) fn passing_headers(invite: &Request, caller: &Caller) -> ExtraHeaders {
    const LINES: usize = 32;
    const NAMES: [&str; 8] = [
        "Subject",
        "Priority",
        "Alert-Info",
        "Call-Info",
        "User-to-User",
        "Diversion",
        "History-Info",
        "Organization",
    ];
    let trusted = matches!(caller, Caller::Trunk(_));
    let passes = |name: &str| {
        NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
            || name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"))
            || (trusted && name.eq_ignore_ascii_case("P-Asserted-Identity"))
    };
    let all = invite.headers().iter().filter(|(name, _)| passes(name));
    all.take(LINES).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Lines of a callee's answer, or of what it says before, that the caller is told.
pub(super) fn headers_of_answer(response: &Response) -> ExtraHeaders {
    told_back(response, &["Alert-Info", "Call-Info", "Organization", "User-to-User"])
}

/// Lines of a callee's refusal that the caller is told: what is said to people, and why (RFC 3326, RFC 6432).
pub(super) fn headers_of_refusal(response: &Response) -> ExtraHeaders {
    told_back(response, &["Call-Info", "Error-Info", "Reason", "Retry-After", "User-to-User"])
}

fn told_back(response: &Response, names: &[&str]) -> ExtraHeaders {
    const LINES: usize = 32;
    let passes = |name: &str| {
        names.iter().any(|known| known.eq_ignore_ascii_case(name))
            || name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"))
    };
    let all = response.headers().iter().filter(|(name, _)| passes(name));
    all.take(LINES).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A request outside a session that is passed on to a telephone: MESSAGE.
pub(crate) fn passed_on(request: &Request) -> (Method, ExtraHeaders, Option<Body>) {
    (request.method().clone(), super::passage::passing_headers(request), super::passage::body_of(request))
}

/// What the one who sent a passed-on request is told.
pub(crate) fn passed_back(response: &Result<Response, StatusCode>) -> Reply {
    match response {
        Ok(response) => Reply::new(response.status()),
        Err(_) => Reply::new(StatusCode::TEMPORARILY_UNAVAILABLE),
    }
}
