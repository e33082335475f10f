//! What the header lines of a message mean, asked for one by one. Nothing is kept: who asks twice reads twice.

use super::values::{MALFORMED_EXPIRES, seconds};
use super::{CSeq, Contacts, Headers, Item, Name, NameAddr, ParseError, Request, Response, Via, quoted_list};

impl Headers {
    /// The values of all lines of a name that is a comma-separated list (Contact, Route, Require, Via, ...).
    pub fn list(&self, name: Name) -> impl Iterator<Item = &str> {
        self.all(name).flat_map(quoted_list)
    }

    /// The first value of a comma-separated list.
    fn first(&self, name: Name) -> Result<&str, ParseError> {
        let line = self.get(name).ok_or(ParseError::Missing(name))?;
        Ok(quoted_list(line).next().unwrap_or_default())
    }
}

macro_rules! fields {
    ($type:ident) => {
        impl $type {
            /// Call-ID, empty when there is none.
            pub fn call_id(&self) -> &str {
                self.headers.get(Name::CallId).unwrap_or_default()
            }

            /// CSeq.
            pub fn cseq(&self) -> Result<CSeq<'_>, ParseError> {
                CSeq::parse(self.headers.get(Name::CSeq).ok_or(ParseError::Missing(Name::CSeq))?)
            }

            /// The topmost Via value.
            pub fn via(&self) -> Result<Via<'_>, ParseError> {
                Via::parse(self.headers.first(Name::Via)?)
            }

            /// All Via values, topmost first.
            pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, ParseError>> {
                self.list(Name::Via).map(Via::parse)
            }

            /// From.
            pub fn from(&self) -> Result<NameAddr<'_>, ParseError> {
                NameAddr::parse(self.headers.get(Name::From).ok_or(ParseError::Missing(Name::From))?)
            }

            /// To.
            pub fn to_header(&self) -> Result<NameAddr<'_>, ParseError> {
                NameAddr::parse(self.headers.get(Name::To).ok_or(ParseError::Missing(Name::To))?)
            }

            /// The first Contact; `*` is not an address and an error.
            pub fn contact(&self) -> Result<NameAddr<'_>, ParseError> {
                NameAddr::parse(self.headers.first(Name::Contact)?)
            }

            /// All Contact values, or `*`.
            pub fn contacts(&self) -> Result<Contacts<'_>, ParseError> {
                Contacts::parse(self.list(Name::Contact))
            }

            /// The addresses of all lines of a name that is a list of them: Route, Record-Route, Path, ...
            pub fn addresses(&self, name: Name) -> impl Iterator<Item = Result<NameAddr<'_>, ParseError>> {
                self.list(name).map(NameAddr::parse)
            }

            /// The values of all lines of a name that is a comma-separated list (Contact, Route, Require, Via, ...).
            pub fn list(&self, name: Name) -> impl Iterator<Item = &str> {
                self.headers.list(name)
            }

            /// Whether a comma-separated list of tokens (Supported, Require, Allow) holds `token`, without case.
            pub fn lists(&self, name: Name, token: &str) -> bool {
                self.list(name).any(|value| value.eq_ignore_ascii_case(token))
            }

            /// Expires in seconds. What cannot be read counts as 3600 (RFC 3261 section 10.2.1.1).
            pub fn expires(&self) -> Option<u32> {
                self.headers.get(Name::Expires).map(|text| seconds(text).unwrap_or(MALFORMED_EXPIRES))
            }

            /// Content-Type without its parameters, empty when there is none.
            pub fn content_type(&self) -> &str {
                self.headers.get(Name::ContentType).map_or("", |text| Item::parse(text).value)
            }
        }
    };
}

fields!(Request);
fields!(Response);

impl Request {
    /// Max-Forwards, 0 to 255; `None` when there is none, as in requests that follow RFC 2543.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        let Some(text) = self.headers.get(Name::MaxForwards) else { return Ok(None) };
        let hops = seconds(text).and_then(|hops| u8::try_from(hops).ok());
        hops.map(Some).ok_or_else(|| ParseError::value(Name::MaxForwards, text))
    }

    /// The option tags of Require that are not among `supported`: what a 420 lists as Unsupported (RFC 3261 section 8.2.2.3).
    pub fn unsupported(&self, supported: &[&str]) -> Vec<&str> {
        let is_supported = |tag: &str| supported.iter().any(|known| known.eq_ignore_ascii_case(tag));
        self.list(Name::Require).filter(|tag| !is_supported(tag)).collect()
    }

    /// Whether the response may have a body of this type, such as `application/sdp`: without Accept, it may.
    pub fn accepts(&self, media_type: &str) -> bool {
        let kind = media_type.split('/').next().unwrap_or_default();
        let takes = |range: &str| match range.strip_suffix("/*") {
            Some(any) => any == "*" || any.eq_ignore_ascii_case(kind),
            None => range.eq_ignore_ascii_case(media_type),
        };
        !self.headers.has(Name::Accept)
            || self.list(Name::Accept).any(|range| takes(Item::parse(range).value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Method;

    #[test]
    fn lists_reach_over_lines() {
        let request = request(&[(Name::Require, "100rel, Timer"), (Name::Require, "path")]);
        assert!(request.lists(Name::Require, "timer"));
        assert_eq!(request.unsupported(&["100REL", "timer"]), ["path"]);
    }

    #[test]
    fn what_may_be_answered_says_accept() {
        for (accept, sdp) in [
            ("application/sdp;level=1, text/plain", true),
            ("Application/*", true),
            ("*/*;q=0.1", true),
            ("text/nobodyKnowsThis", false),
            ("text/*", false),
            ("", false),
        ] {
            assert_eq!(request(&[(Name::Accept, accept)]).accepts("application/sdp"), sdp, "{accept}");
        }
        assert!(request(&[]).accepts("application/sdp"));
    }

    #[test]
    fn hops_are_a_byte() {
        let hops = |text| request(&[(Name::MaxForwards, text)]).max_forwards();
        assert_eq!(hops("0068"), Ok(Some(68)));
        for text in ["256", "-1", "+1", "", "70 70"] {
            assert!(hops(text).is_err(), "{text}");
        }
        assert_eq!(request(&[]).max_forwards(), Ok(None));
    }

    #[test]
    fn a_route_set_has_its_order() {
        let request = request(&[(Name::Route, "<sip:a;lr>, <sip:b>"), (Name::Route, "<sip:c;lr>")]);
        let routes: Vec<_> = request.addresses(Name::Route).map(|route| route.expect("valid").uri).collect();
        assert_eq!(routes, ["sip:a;lr", "sip:b", "sip:c;lr"]);
    }

    fn request(headers: &[(Name, &str)]) -> Request {
        let mut request = Request::new(Method::Options, "sip:b");
        for (name, value) in headers {
            request.headers_mut().push(*name, value);
        }
        request
    }
}
