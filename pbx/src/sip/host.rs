//! Hosts and ports, as URIs and Via name them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host as written: a name, an IPv4 address, an IPv6 address in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a>(pub &'a str);

impl<'a> Host<'a> {
    /// The address, when the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(v6) => ipv6(v6).map(IpAddr::V6),
            None => self.0.parse().ok(),
        }
    }

    /// The host as written.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// Whether both name the same host: names without case, addresses by what they stand for.
    pub fn is_same(&self, other: &Host<'_>) -> bool {
        self.0.eq_ignore_ascii_case(other.0) || self.ip().is_some_and(|ip| Some(ip) == other.ip())
    }

    fn is_valid(&self) -> bool {
        match self.0.as_bytes().first() {
            Some(b'[') => self.ip().is_some(),
            // RFC 3261 has no underscores in names, but host names in the field do.
            Some(_) => self.0.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
            None => false,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port`; `None` when it is neither.
pub(super) fn split_host_port(text: &str) -> Option<(Host<'_>, Option<u16>)> {
    let name_end = match text.as_bytes().first()? {
        b'[' => memchr::memchr(b']', text.as_bytes())? + 1,
        _ => memchr::memchr(b':', text.as_bytes()).unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(name_end);
    // Via allows white space around the colon (RFC 3261 section 25.1, `COLON`); a URI has been checked not to have any.
    let host = Some(Host(host.trim_ascii_end())).filter(Host::is_valid)?;
    match rest.trim_ascii() {
        "" => Some((host, None)),
        rest => Some((host, Some(port(rest.strip_prefix(':')?.trim_ascii_start())?))),
    }
}

/// RFC 3261 has one colon too many before an IPv4 address that ends an IPv6 one (RFC 5118 section 4.10).
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| match text.split_once(":::") {
        Some((before, after)) if after.contains('.') => format!("{before}::{after}").parse().ok(),
        _ => None,
    })
}

fn port(digits: &str) -> Option<u16> {
    // The standard parser would take a sign too.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_follow_any_host() {
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("192.0.2.1:5070", "192.0.2.1", Some(5070)),
            ("[2001:db8::10:5070]", "[2001:db8::10:5070]", None),
            ("[2001:db8::10]:5070", "[2001:db8::10]", Some(5070)),
            ("host \t: 0005060", "host", Some(5060)),
        ] {
            assert_eq!(split_host_port(text), Some((Host(host), port)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_host() {
        for text in [
            "",
            ":5060",
            "a:",
            "a:+1",
            "a:65536",
            "a b",
            "[::1",
            "[1.2.3.4]",
            "[::1]x",
            "[::::1.2.3.4]",
            "[1:::2]",
            "2001:db8::10",
            "ä",
            "a@b",
        ] {
            assert_eq!(split_host_port(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_are_compared_by_what_they_stand_for() {
        assert!(Host("[2001:DB8::1]").is_same(&Host("[2001:db8:0:0::1]")));
        assert!(Host("Example.COM").is_same(&Host("example.com")));
        assert!(Host("[2001:db8:::192.0.2.1]").is_same(&Host("[2001:db8::192.0.2.1]")));
        assert!(!Host("192.0.2.1").is_same(&Host("192.0.2.10")));
    }
}
