//! SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966), borrowed from their text.

use super::ParseError;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A URI, split into its parts; nothing is unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// `sip`, `sips`, `tel` or another scheme, as written.
    pub scheme: &'a str,
    /// What stands before `@`, without the password; for `tel:` the number.
    pub user: Option<&'a str>,
    /// What stands between `:` and `@`.
    pub password: Option<&'a str>,
    /// The host; empty for schemes without one.
    pub host: Host<'a>,
    /// The port.
    pub port: Option<u16>,
    /// What follows the first `;`.
    pub params: Params<'a>,
    /// What follows `?`.
    pub headers: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Splits `text`.
    pub fn parse(text: &'a str) -> Result<Uri<'a>, ParseError> {
        let bad = || ParseError::Uri(text.into());
        let (scheme, rest) = text.split_once(':').ok_or_else(bad)?;
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return Err(bad());
        }
        if text.bytes().any(|b| b <= b' ' || b == b'<' || b == b'>' || b == b'"') {
            return Err(bad());
        }
        let none = Params("");
        if scheme.eq_ignore_ascii_case("tel") {
            let (number, params) = rest.split_once(';').unwrap_or((rest, ""));
            let params = Params(params);
            return Ok(Uri {
                scheme,
                user: Some(number),
                password: None,
                host: Host(""),
                port: None,
                params,
                headers: None,
            });
        }
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return Ok(Uri {
                scheme,
                user: None,
                password: None,
                host: Host(rest),
                port: None,
                params: none,
                headers: None,
            });
        }
        let (userinfo, rest) = match rest.rfind('@') {
            Some(at) if !rest[..at].contains('?') || rest[..at].find('?') < rest.find('@') => {
                let at = rest.find('@').unwrap_or(at);
                (Some(&rest[..at]), &rest[at + 1..])
            }
            _ => (None, rest),
        };
        let (user, password) = match userinfo {
            Some(info) => match info.split_once(':') {
                Some((user, password)) => (Some(user), Some(password)),
                None => (Some(info), None),
            },
            None => (None, None),
        };
        if user == Some("") {
            return Err(bad());
        }
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        let (hostport, params) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = split_host_port(hostport).ok_or_else(bad)?;
        Ok(Uri { scheme, user, password, host, port, params: Params(params), headers })
    }

    /// Whether the scheme is `sip` or `sips`.
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sip") || self.is_sips()
    }

    /// Whether the scheme is `sips`.
    pub fn is_sips(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sips")
    }

    /// The user part with its `%` escapes resolved; empty when there is none.
    pub fn user_text(&self) -> String {
        unescape(self.user.unwrap_or_default())
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
pub(super) fn split_host_port(text: &str) -> Option<(Host<'_>, Option<u16>)> {
    let (host, port) = match text.rfind(']') {
        Some(end) => (&text[..=end], text[end + 1..].strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return None;
    }
    let port = match port {
        Some(port) => Some(port.trim().parse().ok()?),
        None => None,
    };
    let host = Host(host.trim());
    host.is_valid().then_some((host, port))
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| tail.get(..2)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(value) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A host as written: a name, an IPv4 address, an IPv6 address in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a>(pub &'a str);

impl<'a> Host<'a> {
    /// The address, when the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => self.0.parse().ok(),
        }
    }

    /// The host as written.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    fn is_valid(&self) -> bool {
        match self.0.strip_prefix('[') {
            Some(_) => self.ip().is_some(),
            None => self.0.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Parameters as written after the first `;`: `a=1;b;c="x;y"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Params<'a>(pub &'a str);

impl<'a> Params<'a> {
    /// All of them; the value is `None` for a parameter without `=`. Quotes are left on.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        super::values::split_outside_quotes(self.0, b';').filter(|part| !part.is_empty()).map(|part| {
            match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (part, None),
            }
        })
    }

    /// Whether the parameter is there, with or without a value; names are compared without case.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// The value of a parameter; empty for one without a value.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.unwrap_or(""))
    }
}
