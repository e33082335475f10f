//! Via: where a message has been and where its response goes (RFC 3261 section 20.42, RFC 3581).

use super::host::{Host, split_host_port};
use super::line::{is_space, is_token};
use super::{Name, Params, ParseError};
use std::fmt;
use std::net::IpAddr;

/// One Via value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, `TLS`, `WS`, `WSS` or another token, as written.
    pub transport: &'a str,
    /// The host of sent-by.
    pub host: Host<'a>,
    /// The port of sent-by.
    pub port: Option<u16>,
    /// branch, received, rport, maddr, ttl, ...
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one value. Neither the version nor the parameters are judged: a refusal, be it 505, goes back in any case.
    pub fn parse(text: &'a str) -> Result<Via<'a>, ParseError> {
        Via::split(text).ok_or_else(|| ParseError::value(Name::Via, text))
    }

    /// The branch parameter.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.get("branch")
    }

    /// Where the message came from, when that is not what sent-by says. Brackets around an IPv6 address are taken too
    /// (RFC 5118 section 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        Host(text).ip().or_else(|| text.parse().ok())
    }

    /// The port of `rport`, once a server has filled it in. Whether it was asked for says `params.has("rport")`.
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }

    /// Where the client wants its responses, `host` or `host:port`.
    pub fn sent_by(&self) -> SentBy<'a> {
        SentBy { host: self.host, port: self.port }
    }

    fn split(text: &'a str) -> Option<Via<'a>> {
        let (protocol, rest) = word(text.trim_ascii())?;
        let (version, rest) = word(rest.strip_prefix('/')?.trim_ascii_start())?;
        let rest = rest.strip_prefix('/')?.trim_ascii_start();
        let transport_end = rest.bytes().position(is_space)?;
        let (transport, rest) = rest.split_at(transport_end);
        let are_tokens = [protocol, version, transport].iter().all(|word| word.bytes().all(is_token));
        if !are_tokens || transport.is_empty() || !protocol.eq_ignore_ascii_case("SIP") {
            return None;
        }
        let (sent_by, params) = match memchr::memchr(b';', rest.as_bytes()) {
            Some(at) => (&rest[..at], Params(&rest[at + 1..])),
            None => (rest, Params("")),
        };
        let (host, port) = split_host_port(sent_by.trim_ascii())?;
        Some(Via { transport, host, port, params })
    }
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}{}", self.transport, self.sent_by(), self.params)
    }
}

/// A host with or without a port, as Via names it. Two are equal when RFC 3261 section 18.1.2 takes them as equal.
#[derive(Clone, Copy, Debug)]
pub struct SentBy<'a> {
    /// The host.
    pub host: Host<'a>,
    /// The port.
    pub port: Option<u16>,
}

impl PartialEq for SentBy<'_> {
    fn eq(&self, other: &SentBy<'_>) -> bool {
        self.host.is_same(&other.host) && self.port == other.port
    }
}

impl fmt::Display for SentBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

/// What stands before a slash and the white space in front of it, and what follows from the slash on.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_at(memchr::memchr(b'/', text.as_bytes())?);
    Some((word.trim_ascii_end(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_via_has_its_parts() {
        let via = Via::parse("SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK1;rport").expect("valid");
        assert_eq!((via.transport, via.host, via.port), ("UDP", Host("[2001:db8::1]"), Some(5070)));
        assert_eq!((via.branch(), via.rport(), via.received()), (Some("z9hG4bK1"), None, None));
        assert_eq!(via.sent_by().to_string(), "[2001:db8::1]:5070");
    }

    #[test]
    fn white_space_may_stand_anywhere() {
        let via = Via::parse(
            "SIP  / 2.0\r\n / TCP     spindle.example.com : 5060  ;\r\n  branch  =   z9hG4bK9ikj8",
        )
        .expect("valid");
        assert_eq!(via.to_string(), "SIP/2.0/TCP spindle.example.com:5060;\r\n  branch  =   z9hG4bK9ikj8");
        assert_eq!(via.branch(), Some("z9hG4bK9ikj8"));
    }

    #[test]
    fn a_received_address_may_have_brackets() {
        for (text, received) in [
            ("192.0.2.5", Some("192.0.2.5")),
            ("[2001:db8::9:255]", Some("2001:db8::9:255")),
            ("2001:db8::9:255", Some("2001:db8::9:255")),
            ("example.com", None),
        ] {
            let text = format!("SIP/2.0/UDP a;rport=5061;received={text}");
            let via = Via::parse(&text).expect("valid");
            assert_eq!(via.received(), received.map(|ip| ip.parse().expect("an address")));
            assert_eq!(via.rport(), Some(5061));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 UDP a",
            "SIP/2.0/ a",
            "HTTP/1.1/TCP a",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP a:b",
            "SIP/2.0/UDP 2001:db8::1;branch=x",
        ] {
            assert!(Via::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sent_by_is_compared_without_case() {
        let sent_by = |text| Via::parse(text).expect("valid").sent_by();
        assert_eq!(sent_by("SIP/2.0/UDP A.example.com:5060"), sent_by("SIP/2.0/TCP a.example.COM:5060"));
        assert_ne!(sent_by("SIP/2.0/UDP a"), sent_by("SIP/2.0/UDP a:5060"));
    }
}
