//! Addresses: a URI with a name before it and parameters behind it (RFC 3261 sections 20.10, 20.20, 20.34, 20.39).

use super::escape::unquote;
use super::{Params, ParseError, Uri, scan, values};
use std::fmt;

/// An address with parameters: From, To, Contact, Route, Refer-To, ... `Display` puts it together again, always with
/// angle brackets.
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
    ///
    /// A display name without quotes may hold more than tokens, as long as it cannot be taken for something else:
    /// telephones send names with accents like that.
    pub fn parse(text: &'a str) -> Result<NameAddr<'a>, ParseError> {
        NameAddr::split(text.trim_ascii())
            .ok_or_else(|| ParseError::Address(super::parse::excerpt(text.as_bytes())))
    }

    /// The tag parameter; an empty one counts as none.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The URI, split.
    pub fn parse_uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri)
    }

    /// The display name without quotes and escapes.
    pub fn display_text(&self) -> Option<String> {
        self.display.map(|display| unquote(display).into_owned())
    }

    /// How much this contact is preferred, 0 to 1000 (RFC 3261 section 20.10, `q`); 1000 when it does not say.
    pub fn preference(&self) -> u16 {
        self.params.get("q").and_then(values::thousandths).unwrap_or(1000)
    }

    /// The parameter `expires` in seconds. What cannot be read counts as 3600 (RFC 3261 section 10.2.1.1).
    pub fn expires(&self) -> Option<u32> {
        self.params.get("expires").map(|text| values::seconds(text).unwrap_or(values::MALFORMED_EXPIRES))
    }

    fn split(text: &'a str) -> Option<NameAddr<'a>> {
        let bytes = text.as_bytes();
        if bytes.first() == Some(&b'"') {
            let (display, rest) = text.split_at(scan::quoted_end(bytes, 0)?);
            return NameAddr::in_brackets(Some(display), rest.trim_ascii_start());
        }
        // A display name without quotes cannot hold the colon that every URI has.
        match memchr::memchr2(b'<', b':', bytes) {
            Some(at) if bytes[at] == b'<' => {
                let (display, rest) = text.split_at(at);
                let display = display.trim_ascii_end();
                display.bytes().all(is_unquoted_name).then_some(())?;
                NameAddr::in_brackets(Some(display).filter(|display| !display.is_empty()), rest)
            }
            Some(_) => NameAddr::bare(text),
            None => None,
        }
    }

    fn in_brackets(display: Option<&'a str>, text: &'a str) -> Option<NameAddr<'a>> {
        let (uri, rest) = text.strip_prefix('<')?.split_once('>')?;
        is_one_word(uri).then_some(())?;
        let params = match rest.trim_ascii_start() {
            "" => Params(""),
            rest => Params::parse(rest.strip_prefix(';')?)?,
        };
        Some(NameAddr { display, uri, params })
    }

    fn bare(text: &'a str) -> Option<NameAddr<'a>> {
        let (uri, params) = match text.split_once(';') {
            Some((uri, params)) => (uri.trim_ascii_end(), Params::parse(params)?),
            None => (text, Params("")),
        };
        let is_clear = is_one_word(uri) && !uri.bytes().any(|byte| matches!(byte, b'?' | b','));
        is_clear.then_some(NameAddr { display: None, uri, params })
    }
}

impl fmt::Display for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = self.display {
            write!(f, "{display} ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// What the Contact lines of a message say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts<'a> {
    /// `*`: all bindings of the address-of-record, to be removed (RFC 3261 section 10.2.2).
    All,
    /// These, in their order; none when there is no Contact.
    These(Vec<NameAddr<'a>>),
}

impl<'a> Contacts<'a> {
    /// Reads the values of all Contact lines. `*` must be alone.
    pub fn parse(values: impl Iterator<Item = &'a str>) -> Result<Contacts<'a>, ParseError> {
        let mut addresses = Vec::new();
        let mut all = false;
        for value in values {
            match value {
                "*" => all = true,
                value => addresses.push(NameAddr::parse(value)?),
            }
        }
        match (all, addresses.is_empty()) {
            (false, _) => Ok(Contacts::These(addresses)),
            (true, true) => Ok(Contacts::All),
            (true, false) => Err(ParseError::Address("*".into())),
        }
    }
}

fn is_one_word(uri: &str) -> bool {
    !uri.is_empty() && !uri.bytes().any(|byte| byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 0x7f))
}

fn is_unquoted_name(byte: u8) -> bool {
    !matches!(byte, b'"' | b',' | b';' | b'@' | b'\\' | b'>' | 0..b'\t' | 0x0b | 0x0c | 0x0e..b' ' | 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_parts() {
        for (text, display, uri, params) in [
            ("sip:a@b", None, "sip:a@b", ""),
            ("sip:a@b ;\r\n tag = 1", None, "sip:a@b", "\r\n tag = 1"),
            ("<sip:a@b;lr>;tag=1", None, "sip:a@b;lr", "tag=1"),
            ("Alice  B.  <sip:a@b>", Some("Alice  B."), "sip:a@b", ""),
            ("caller<sip:a@b>", Some("caller"), "sip:a@b", ""),
            ("Jürgen (Büro) <sip:a@b>", Some("Jürgen (Büro)"), "sip:a@b", ""),
            (r#""<sip:x@y>, \"" <sip:a@b>"#, Some(r#""<sip:x@y>, \"""#), "sip:a@b", ""),
            ("sip:a@b;x=\"<\"", None, "sip:a@b", "x=\"<\""),
            ("\"\"<tel:+1>", Some("\"\""), "tel:+1", ""),
        ] {
            assert_eq!(
                NameAddr::parse(text),
                Ok(NameAddr { display, uri, params: Params(params) }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "*",
            "\"Mr. J. User <sip:a@b>",
            "\"A\" \"B\" <sip:a@b>",
            "\"A\" sip:a@b",
            "Bell, Alexander <sip:a@b>",
            "< sip:a@b >",
            "<sip:a@b",
            "<>",
            "<sip:a@b> x",
            "<sip:a@b>;;",
            "sip:a@b?Route=x",
            "sip:a@b, sip:c@d",
            "sip:a b@c",
        ] {
            assert!(NameAddr::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_display_name_is_read_without_its_quotes() {
        let address = NameAddr::parse(r#""J \\\"" <sip:a@b>"#).expect("valid");
        assert_eq!(address.display_text().as_deref(), Some(r#"J \""#));
    }

    #[test]
    fn an_overlarge_expiry_counts_as_an_hour() {
        let contact = NameAddr::parse("<sip:a@b>;expires=280297596632815;q=0.5").expect("valid");
        assert_eq!((contact.expires(), contact.preference()), (Some(3600), 500));
    }

    #[test]
    fn a_star_stands_alone() {
        assert_eq!(Contacts::parse(["*"].into_iter()), Ok(Contacts::All));
        assert_eq!(Contacts::parse([].into_iter()), Ok(Contacts::These(vec![])));
        assert!(Contacts::parse(["*", "<sip:a@b>"].into_iter()).is_err());
    }

    #[test]
    fn an_address_is_written_in_brackets() {
        let address = NameAddr::parse("Alice <sip:a@b>;tag=1").expect("valid");
        assert_eq!(address.to_string(), "Alice <sip:a@b>;tag=1");
        assert_eq!(NameAddr::parse("sip:a@b;tag=1").expect("valid").to_string(), "<sip:a@b>;tag=1");
    }
}
