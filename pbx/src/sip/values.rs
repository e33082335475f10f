//! Typed header values, borrowed from the message.

use super::uri::{Host, Params, split_host_port};
use super::{Method, ParseError, Uri};

/// `CSeq: 4711 INVITE` (RFC 3261 section 20.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Below 2^31.
    pub number: u32,
    /// The method as written.
    pub method_text: &'a str,
}

impl<'a> CSeq<'a> {
    /// Reads the value of a CSeq line.
    pub fn parse(text: &'a str) -> Result<CSeq<'a>, ParseError> {
        let bad = || ParseError::Value { header: super::Name::CSeq, text: text.into() };
        let mut words = text.split_ascii_whitespace();
        let (number, method) = (words.next().ok_or_else(bad)?, words.next().ok_or_else(bad)?);
        let number: u32 = number.parse().map_err(|_| bad())?;
        if number >= 1 << 31 || words.next().is_some() {
            return Err(bad());
        }
        Ok(CSeq { number, method_text: method })
    }

    /// The method.
    pub fn method(&self) -> Method {
        Method::new(self.method_text)
    }
}

/// One Via value (RFC 3261 section 20.42).
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
    /// Reads one value.
    pub fn parse(text: &'a str) -> Result<Via<'a>, ParseError> {
        let bad = || ParseError::Value { header: super::Name::Via, text: text.into() };
        let (protocol, rest) = text.split_once('/').ok_or_else(bad)?;
        let (version, rest) = rest.split_once('/').ok_or_else(bad)?;
        if !protocol.trim().eq_ignore_ascii_case("SIP") || version.trim() != "2.0" {
            return Err(bad());
        }
        let rest = rest.trim_start();
        let (transport, rest) = rest.split_once(|c: char| c.is_ascii_whitespace()).ok_or_else(bad)?;
        let (sent_by, params) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = split_host_port(sent_by.trim()).ok_or_else(bad)?;
        Ok(Via { transport, host, port, params: Params(params) })
    }

    /// The branch parameter.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.get("branch")
    }
}

/// An address with parameters: From, To, Contact, Route, Refer-To, ... (RFC 3261 section 20.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as written, quotes included.
    pub display: Option<&'a str>,
    /// The URI as written, without its angle brackets.
    pub uri: &'a str,
    /// The header parameters (tag, expires, q, ...).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value. Without angle brackets, what follows `;` belongs to the header (RFC 3261 section 20.10).
    pub fn parse(text: &'a str) -> Result<NameAddr<'a>, ParseError> {
        let bad = || ParseError::Address(text.into());
        let text = text.trim();
        let open = split_outside_quotes(text, b'<').next().map(str::len).filter(|&at| at < text.len());
        // The length of the first piece is that of the trimmed text before the bracket; find the bracket itself.
        let open = open.and_then(|at| text[at..].find('<').map(|more| at + more));
        match open {
            Some(open) => {
                let display = text[..open].trim();
                let close = open + text[open..].find('>').ok_or_else(bad)?;
                let rest = text[close + 1..].trim_start();
                let params = match rest.strip_prefix(';') {
                    Some(params) => params,
                    None if rest.is_empty() => "",
                    None => return Err(bad()),
                };
                let display = (!display.is_empty()).then_some(display);
                Ok(NameAddr { display, uri: text[open + 1..close].trim(), params: Params(params) })
            }
            None => {
                let (uri, params) = text.split_once(';').unwrap_or((text, ""));
                if uri.contains('"') || uri.trim().is_empty() || uri.contains('?') || uri.contains(',') {
                    return Err(bad());
                }
                Ok(NameAddr { display: None, uri: uri.trim(), params: Params(params) })
            }
        }
    }

    /// The tag parameter.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The URI, split.
    pub fn parse_uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri)
    }

    /// The display name without quotes and escapes.
    pub fn display_text(&self) -> Option<String> {
        let display = self.display?;
        match display.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => {
                let mut text = String::with_capacity(quoted.len());
                let mut characters = quoted.chars();
                while let Some(character) = characters.next() {
                    match character {
                        '\\' => text.extend(characters.next()),
                        other => text.push(other),
                    }
                }
                Some(text)
            }
            None => Some(display.to_owned()),
        }
    }
}

/// The values of a comma-separated list; commas in quotes and in angle brackets do not separate.
pub fn quoted_list(text: &str) -> impl Iterator<Item = &str> {
    split_outside_quotes(text, b',').filter(|part| !part.is_empty())
}

/// Splits at `separator` outside quotes and angle brackets; the parts are trimmed.
pub(super) fn split_outside_quotes(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped, mut angle) = (false, false, false);
        for (i, byte) in text.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b if b == separator && !angle => {
                    rest = Some(&text[i + 1..]);
                    return Some(text[..i].trim());
                }
                b'<' => angle = true,
                b'>' => angle = false,
                _ => {}
            }
        }
        rest = None;
        Some(text.trim())
    })
}
