//! SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966), borrowed from their text.

use super::escape::unescape;
use super::host::{Host, split_host_port};
use super::{Params, ParseError, Transport};
use std::fmt;

/// A URI, split into its parts; nothing is unescaped. `Display` puts the parts together again:
///
/// ```
/// use pbx::sip::{Host, Uri};
/// let desk = Uri { user: Some("201"), port: Some(5070), ..Uri::sip(Host("192.0.2.1")) };
/// assert_eq!(desk.to_string(), "sip:201@192.0.2.1:5070");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// `sip`, `sips`, `tel` or another scheme, as written.
    pub scheme: &'a str,
    /// What stands before `@`, without the password; for `tel:` the number.
    pub user: Option<&'a str>,
    /// What stands between `:` and `@`.
    pub password: Option<&'a str>,
    /// The host; empty for `tel:`, and all that follows the scheme for a scheme that is not known here.
    pub host: Host<'a>,
    /// The port.
    pub port: Option<u16>,
    /// What follows the first `;` behind the host.
    pub params: Params<'a>,
    /// What follows `?`.
    pub headers: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Splits `text`.
    pub fn parse(text: &'a str) -> Result<Uri<'a>, ParseError> {
        Uri::split(text).ok_or_else(|| ParseError::Uri(super::parse::excerpt(text.as_bytes())))
    }

    /// A URI that is nothing but a host, to put more into.
    pub fn sip(host: Host<'a>) -> Uri<'a> {
        Uri { scheme: "sip", user: None, password: None, host, port: None, params: Params(""), headers: None }
    }

    /// Whether the scheme is `sip` or `sips`.
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sip") || self.is_sips()
    }

    /// Whether the scheme is `sips`.
    pub fn is_sips(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sips")
    }

    /// Whether the scheme is `tel`.
    pub fn is_tel(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("tel")
    }

    /// The user part with its `%` escapes resolved; empty when there is none.
    pub fn user_text(&self) -> String {
        unescape(self.user.unwrap_or_default()).into_owned()
    }

    /// What the URI says about how to reach it: `transport`, or TLS for `sips` (RFC 3261 section 26.2.2).
    pub fn transport(&self) -> Option<Transport> {
        match self.params.get("transport").and_then(Transport::of) {
            Some(Transport::Ws) if self.is_sips() => Some(Transport::Wss),
            Some(Transport::Udp | Transport::Tcp) | None if self.is_sips() => Some(Transport::Tls),
            named => named,
        }
    }

    /// Whether this Route or Record-Route is that of a loose router (RFC 3261 section 19.1.1, `lr`).
    pub fn is_loose_router(&self) -> bool {
        self.params.has("lr")
    }

    fn split(text: &'a str) -> Option<Uri<'a>> {
        let (scheme, rest) = text.split_at(memchr::memchr(b':', text.as_bytes())?);
        let rest = &rest[1..];
        if !is_scheme(scheme) || text.bytes().any(breaks_off) {
            return None;
        }
        let opaque = Uri { scheme, ..Uri::sip(Host("")) };
        if opaque.is_sip() {
            return opaque.with_userinfo(rest);
        }
        if opaque.is_tel() {
            let (number, params) = cut(rest, b';');
            return Some(Uri { user: Some(number), params: Params(params.unwrap_or_default()), ..opaque });
        }
        Some(Uri { host: Host(rest), ..opaque })
    }

    /// `@` stands nowhere else unescaped: neither hosts, nor parameters, nor headers may hold one.
    fn with_userinfo(self, text: &'a str) -> Option<Uri<'a>> {
        let (userinfo, rest) = match cut(text, b'@') {
            (userinfo, Some(rest)) => (Some(userinfo), rest),
            (rest, None) => (None, rest),
        };
        let (user, password) = match userinfo.map(|userinfo| cut(userinfo, b':')) {
            Some(("", _)) => return None,
            Some((user, password)) => (Some(user), password),
            None => (None, None),
        };
        let (rest, headers) = cut(rest, b'?');
        let (host_port, params) = cut(rest, b';');
        let (host, port) = split_host_port(host_port)?;
        let params = Params(params.unwrap_or_default());
        let has_second_at = params.0.contains('@') || headers.is_some_and(|headers| headers.contains('@'));
        (!has_second_at).then_some(Uri { user, password, host, port, params, headers, ..self })
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(user) = self.user {
            f.write_str(user)?;
            if let Some(password) = self.password {
                write!(f, ":{password}")?;
            }
            if !self.is_tel() {
                f.write_str("@")?;
            }
        }
        f.write_str(self.host.0)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)?;
        match self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// What stands before and behind the first `separator`.
fn cut(text: &str, separator: u8) -> (&str, Option<&str>) {
    match memchr::memchr(separator, text.as_bytes()) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

fn is_scheme(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// What would end a URI where it stands. Other characters that should be escaped are taken as they are: telephones dial
/// `*97#` unescaped.
fn breaks_off(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_has_its_parts() {
        let uri =
            Uri::parse("sip:alice:secret@[2001:db8::1]:5070;transport=tcp;lr?subject=x&to=y").expect("valid");
        assert_eq!(
            uri,
            Uri {
                scheme: "sip",
                user: Some("alice"),
                password: Some("secret"),
                host: Host("[2001:db8::1]"),
                port: Some(5070),
                params: Params("transport=tcp;lr"),
                headers: Some("subject=x&to=y"),
            }
        );
        assert_eq!(uri.transport(), Some(Transport::Tcp));
        assert!(uri.is_loose_router());
    }

    #[test]
    fn a_user_may_hold_what_separates_elsewhere() {
        let uri = Uri::parse("sip:user;par=u%40example.net@example.com").expect("valid");
        assert_eq!(uri.user, Some("user;par=u%40example.net"));
        assert_eq!(uri.user_text(), "user;par=u@example.net");
        let uri = Uri::parse("sip:a?b/c;d@example.com?x=y").expect("valid");
        assert_eq!((uri.user, uri.headers), (Some("a?b/c;d"), Some("x=y")));
    }

    #[test]
    fn a_number_is_a_user_without_host() {
        let uri = Uri::parse("tel:+49-30-1234;phone-context=example.com").expect("valid");
        assert_eq!(
            (uri.user, uri.host, uri.params.get("phone-context")),
            (Some("+49-30-1234"), Host(""), Some("example.com"))
        );
    }

    #[test]
    fn an_unknown_scheme_is_taken_as_it_is() {
        let uri = Uri::parse("soap.beep://192.0.2.103:3002").expect("valid");
        assert_eq!((uri.scheme, uri.host.as_str()), ("soap.beep", "//192.0.2.103:3002"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            ":a",
            "sip:@a",
            "sip::p@a",
            "sip:a@",
            "sip:a@b@c",
            "sip:a@b;x=@",
            "sip:a b@c",
            "<sip:a@b>",
            "sip:a@b:99999",
            "sip:a@b:",
            "sip:2001:db8::10",
            "1sip:a@b",
            "sip:a\"@b",
            "sip:a@b?x=@",
            "sip:a@b;x\r\n=1",
        ] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        for text in [
            "sip:alice:secret@[2001:db8::1]:5070;transport=tcp;lr?subject=x&to=y",
            "sips:example.com",
            "tel:+4930;phone-context=+49",
            "isbn:2983792873",
        ] {
            assert_eq!(Uri::parse(text).map(|uri| uri.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn sips_goes_over_tls() {
        for (text, transport) in [
            ("sip:a@b", None),
            ("sip:a@b;transport=UDP", Some(Transport::Udp)),
            ("sip:a@b;transport=sctp", None),
            ("sips:a@b", Some(Transport::Tls)),
            ("sips:a@b;transport=tcp", Some(Transport::Tls)),
            ("sips:a@b;transport=ws", Some(Transport::Wss)),
        ] {
            assert_eq!(Uri::parse(text).expect("valid").transport(), transport, "{text}");
        }
    }
}
