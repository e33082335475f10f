//! Whether a request can be taken at all (RFC 3261 section 8.2), before anybody asks what it means.

use super::compose::{self, ALLOW, SDP, SUPPORTED};
use crate::sip::{Headers, Method, Name, Replaces, Request, Response, StatusCode, Uri};

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400, with what is wrong.
    Malformed(&'static str),
    /// 405: a method we know and do not serve.
    Method,
    /// 501: a method nobody has told us of (RFC 4475 section 3.1.1.2).
    UnknownMethod,
    /// 406: the caller takes no description that we could give.
    NotAcceptable,
    /// 415 for a body we do not look into.
    MediaType,
    /// 415 for a body that is compressed.
    Encoding,
    /// 416
    Scheme,
    /// 420, with the extensions.
    Extension(String),
    /// 483
    Hops,
}

impl Refusal {
    /// The response.
    pub(super) fn response(&self, request: &Request, tag: &str, server: &str) -> Response {
        let status = match self {
            Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::UnknownMethod => StatusCode::NOT_IMPLEMENTED,
            Refusal::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Refusal::MediaType | Refusal::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Scheme => StatusCode::UNSUPPORTED_URI_SCHEME,
            Refusal::Extension(_) => StatusCode::BAD_EXTENSION,
            Refusal::Hops => StatusCode::TOO_MANY_HOPS,
        };
        let mut response = compose::response(request, status, tag, server);
        let headers = response.headers_mut();
        match self {
            Refusal::Malformed(what) => headers.push(Name::Warning, format_args!("399 pbx {what:?}")),
            Refusal::Method | Refusal::UnknownMethod => headers.push(Name::Allow, ALLOW),
            Refusal::MediaType => headers.push(Name::Accept, SDP),
            Refusal::Encoding => headers.push(Name::AcceptEncoding, "identity"),
            Refusal::Extension(options) => headers.push(Name::Unsupported, options),
            Refusal::Scheme | Refusal::Hops | Refusal::NotAcceptable => {}
        }
        response
    }
}

/// A request outside any dialog.
pub(super) fn outside(request: &Request) -> Result<(), Refusal> {
    within(request)?;
    // Any scheme is fine for a REGISTER's body of contacts; the Request-URI is always SIP (or a number).
    let scheme =
        Uri::parse(request.uri()).map_err(|_| Refusal::Malformed("the Request-URI cannot be read"))?;
    if !scheme.is_sip() && !scheme.scheme.eq_ignore_ascii_case("tel") {
        return Err(Refusal::Scheme);
    }
    replaces(request)?;
    if *request.method() != Method::Invite {
        return Ok(());
    }
    // A B2BUA passes the call on, so it counts as a hop (RFC 3261 section 16.3; RFC 7092 section 3.1).
    if request.headers().get(Name::MaxForwards).and_then(compose::leading_number) == Some(0) {
        return Err(Refusal::Hops);
    }
    match request.list(Name::Contact).count() {
        1 => Ok(()),
        0 => Err(Refusal::Malformed("an INVITE needs a Contact")),
        _ => Err(Refusal::Malformed("an INVITE has one Contact")),
    }
}

/// A request within a dialog.
pub(super) fn within(request: &Request) -> Result<(), Refusal> {
    match request.method() {
        Method::Other(_) => return Err(Refusal::UnknownMethod),
        Method::Publish => return Err(Refusal::Method),
        // An INVITE is answered with a description, so that must be welcome (RFC 4475 section 3.3.15).
        Method::Invite if !request.accepts(SDP) => return Err(Refusal::NotAcceptable),
        _ => {}
    }
    let unknown: Vec<&str> = request
        .list(Name::Require)
        .filter(|option| !SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(option)))
        .collect();
    if !unknown.is_empty() {
        return Err(Refusal::Extension(unknown.join(", ")));
    }
    match request.method() {
        Method::Invite | Method::Update | Method::Prack => body(request),
        _ => Ok(()),
    }
}

/// Replaces stands once, in an INVITE, and can be read (RFC 3891 section 3).
fn replaces(request: &Request) -> Result<(), Refusal> {
    let mut lines = request.headers().all(Name::Replaces);
    match (lines.next(), lines.next(), request.method()) {
        (None, ..) => Ok(()),
        (Some(line), None, Method::Invite) if Replaces::parse(line).is_ok() => Ok(()),
        (Some(_), None, Method::Invite) => Err(Refusal::Malformed("Replaces cannot be read")),
        (Some(_), Some(_), _) => Err(Refusal::Malformed("there is one Replaces")),
        (Some(_), None, _) => Err(Refusal::Malformed("Replaces is for INVITE")),
    }
}

/// The description a message carries: a body of type application/sdp that is for the session.
pub(super) fn description(headers: &Headers, body: &[u8]) -> Option<Vec<u8>> {
    let usable = !body.is_empty() && is_sdp(headers) && is_for_session(headers) && !is_encoded(headers);
    usable.then(|| body.to_vec())
}

/// A body that we do not understand is refused unless it may be ignored (RFC 3261 sections 8.2.3 and 20.11).
fn body(request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    if request.body().is_empty() || is_optional(headers) {
        return Ok(());
    }
    if is_encoded(headers) {
        return Err(Refusal::Encoding);
    }
    if is_sdp(headers) && is_for_session(headers) { Ok(()) } else { Err(Refusal::MediaType) }
}

fn is_sdp(headers: &Headers) -> bool {
    let content_type = headers.get(Name::ContentType).unwrap_or_default();
    content_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(SDP))
}

fn is_for_session(headers: &Headers) -> bool {
    disposition(headers).next().is_none_or(|kind| kind.eq_ignore_ascii_case("session"))
}

fn is_optional(headers: &Headers) -> bool {
    disposition(headers).skip(1).any(|parameter| {
        parameter.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("handling") && value.trim().eq_ignore_ascii_case("optional")
        })
    })
}

fn is_encoded(headers: &Headers) -> bool {
    headers
        .get(Name::ContentEncoding)
        .is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity"))
}

/// The kind, then the parameters.
fn disposition(headers: &Headers) -> impl Iterator<Item = &str> {
    headers.get(Name::ContentDisposition).into_iter().flat_map(|value| value.split(';')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(lines: &[(Name, &str)]) -> Request {
        let mut request = Request::new(Method::Invite, "sip:100@10.0.0.1");
        request.headers_mut().push(Name::Contact, "<sip:a@10.0.0.2>");
        for (name, value) in lines {
            request.headers_mut().push(*name, value);
        }
        request
    }

    #[test]
    fn what_we_do_not_know_is_named() {
        let request = invite(&[(Name::Require, "100rel, path"), (Name::Require, "foo")]);
        let refusal = outside(&request).unwrap_err();
        assert_eq!(refusal, Refusal::Extension("path, foo".into()));
        let response = refusal.response(&request, "t", "pbx");
        assert_eq!(response.headers().get(Name::Unsupported), Some("path, foo"));
    }

    #[test]
    fn no_hop_is_left() {
        assert_eq!(outside(&invite(&[(Name::MaxForwards, "0")])), Err(Refusal::Hops));
        assert_eq!(outside(&invite(&[(Name::MaxForwards, "1")])), Ok(()));
    }

    #[test]
    fn replaces_stands_once_and_in_an_invite() {
        let line = (Name::Replaces, "a;to-tag=b;from-tag=c");
        assert_eq!(outside(&invite(&[line])), Ok(()));
        assert!(matches!(outside(&invite(&[line, line])), Err(Refusal::Malformed(_))));
        assert!(matches!(outside(&invite(&[(Name::Replaces, "a")])), Err(Refusal::Malformed(_))));
        let mut options = Request::new(Method::Options, "sip:100@10.0.0.1");
        options.headers_mut().push(line.0, line.1);
        assert!(matches!(outside(&options), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn a_strange_body_is_refused_unless_it_is_optional() {
        let mut request = invite(&[]);
        request.set_body("application/isup", b"x");
        assert_eq!(outside(&request), Err(Refusal::MediaType));
        request.headers_mut().push(Name::ContentDisposition, "signal;handling=optional");
        assert_eq!(outside(&request), Ok(()));
        assert_eq!(description(request.headers(), request.body()), None);
    }

    #[test]
    fn an_invite_has_one_contact() {
        let two = invite(&[(Name::Contact, "<sip:b@10.0.0.3>")]);
        assert!(matches!(outside(&two), Err(Refusal::Malformed(_))));
    }
}
