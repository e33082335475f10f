//! Which URIs are the same (RFC 3261 section 19.1.4, RFC 3966 section 5).

use super::escape::{is_unreserved, next_byte};
use super::{Params, Uri};

/// More parameters or headers than this are compared with nobody: each is looked for among all others.
const MOST_COMPARED: usize = 32;

/// Parameters that have to be in both or in neither; others that only one URI has are ignored.
const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

impl Uri<'_> {
    /// Whether both URIs are equivalent. This is not transitive: parameters that only one of them has may be ignored.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        if !self.scheme.eq_ignore_ascii_case(other.scheme) {
            return false;
        }
        match (self.is_sip(), self.is_tel()) {
            (true, _) => {
                self.is_same_address(other)
                    && params_match(self.params, other.params)
                    && self.headers_match(other)
            }
            (_, true) => same_number(self.user, other.user) && same_set(self.params, other.params),
            _ => self.host == other.host,
        }
    }

    fn is_same_address(&self, other: &Uri<'_>) -> bool {
        same_text(self.user, other.user, Case::Matters)
            && same_text(self.password, other.password, Case::Matters)
            && self.host.is_same(&other.host)
            && self.port == other.port
    }

    fn headers_match(&self, other: &Uri<'_>) -> bool {
        let (ours, theirs) = (headers(self), headers(other));
        let is_among = |header: &(&str, &str), others: &[(&str, &str)]| {
            others.iter().any(|other| {
                same_text(Some(header.0), Some(other.0), Case::Ignored)
                    && same_text(Some(header.1), Some(other.1), Case::Ignored)
            })
        };
        ours.len() == theirs.len()
            && ours.len() <= MOST_COMPARED
            && ours.iter().all(|header| is_among(header, &theirs))
            && theirs.iter().all(|header| is_among(header, &ours))
    }
}

fn params_match(ours: Params<'_>, theirs: Params<'_>) -> bool {
    let are_few = |params: Params<'_>| params.iter().nth(MOST_COMPARED).is_none();
    are_few(ours)
        && are_few(theirs)
        && NEVER_IGNORED.iter().all(|name| ours.has(name) == theirs.has(name))
        && ours.iter().all(|(name, value)| {
            let other = theirs.iter().find(|(other, _)| same_text(Some(name), Some(other), Case::Ignored));
            other.is_none_or(|(_, other)| same_text(value, other, Case::Ignored))
        })
}

/// For `tel:` no parameter is ignored.
fn same_set(ours: Params<'_>, theirs: Params<'_>) -> bool {
    params_match(ours, theirs)
        && ours.iter().all(|(name, _)| theirs.has(name))
        && theirs.iter().all(|(name, _)| ours.has(name))
}

/// Visual separators in a number mean nothing.
fn same_number(ours: Option<&str>, theirs: Option<&str>) -> bool {
    let digits = |number: Option<&str>| {
        let number = number.unwrap_or_default().bytes().filter(|byte| !b"-.()".contains(byte));
        number.map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    digits(ours) == digits(theirs)
}

fn headers<'a>(uri: &Uri<'a>) -> Vec<(&'a str, &'a str)> {
    let headers = uri.headers.unwrap_or_default().split('&').filter(|header| !header.is_empty());
    headers.map(|header| header.split_once('=').unwrap_or((header, ""))).take(MOST_COMPARED + 1).collect()
}

#[derive(Clone, Copy)]
enum Case {
    Matters,
    Ignored,
}

/// Compares two texts with escapes: an unreserved character is the same as its escape, a reserved one is not.
fn same_text(ours: Option<&str>, theirs: Option<&str>, case: Case) -> bool {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return ours == theirs };
    let (mut ours, mut theirs) = (ours.as_bytes(), theirs.as_bytes());
    loop {
        match (next_byte(ours), next_byte(theirs)) {
            (None, None) => return true,
            (Some((our, our_rest)), Some((their, their_rest))) => {
                let same = match case {
                    Case::Matters => our == their,
                    Case::Ignored => our.eq_ignore_ascii_case(&their),
                };
                let both_escaped = (ours.len() - our_rest.len()) == (theirs.len() - their_rest.len());
                if !same || !(both_escaped || is_unreserved(our)) {
                    return false;
                }
                (ours, theirs) = (our_rest, their_rest);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_equivalent_uris_of_the_rfc_are() {
        for (one, other) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("tel:+49(30)1234-5", "tel:+493012345"),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"),
            ("isbn:1", "ISBN:1"),
        ] {
            assert!(equivalent(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn the_different_uris_of_the_rfc_are() {
        for (one, other) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@b", "sips:a@b"),
            ("sip:a@b", "sip:b"),
            ("sip:a:x@b", "sip:a@b"),
            ("sip:a%3Bx@b", "sip:a;x@b"),
            ("sip:a@b?x=1&x=1", "sip:a@b?x=1&y=2"),
            ("tel:+1;ext=1", "tel:+1"),
        ] {
            assert!(!equivalent(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn an_escape_within_a_parameter_is_not_resolved_twice() {
        // RFC 4475 section 3.1.1.3.
        assert!(equivalent("sip:a@b;%6C%72;n%61me=v%61lue%25%34%31", "sip:a@b;lr;name=value%2541"));
        assert!(!equivalent("sip:a@b;name=value%25%34%31", "sip:a@b;name=valueA"));
    }

    #[test]
    fn escaped_nulls_tell_contacts_apart() {
        assert!(!equivalent("sip:%00@host5.example.com", "sip:%00%00@host5.example.com"));
    }

    fn equivalent(one: &str, other: &str) -> bool {
        let (one, other) = (Uri::parse(one).expect("valid"), Uri::parse(other).expect("valid"));
        assert_eq!(one.equivalent(&other), other.equivalent(&one), "equivalence has no direction");
        one.equivalent(&other)
    }
}
