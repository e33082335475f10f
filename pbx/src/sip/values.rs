//! Typed values of the smaller headers, borrowed from the message.

use super::escape::unquote;
use super::{Method, Name, Params, ParseError};
use std::borrow::Cow;
use std::fmt;

/// What an expiry counts as that cannot be read (RFC 3261 section 10.2.1.1), seconds.
pub(super) const MALFORMED_EXPIRES: u32 = 3600;

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
        let [number, method_text] = words(text).ok_or_else(|| ParseError::value(Name::CSeq, text))?;
        let number = sequence(number).ok_or_else(|| ParseError::value(Name::CSeq, text))?;
        Ok(CSeq { number, method_text })
    }

    /// The method.
    pub fn method(&self) -> Method {
        Method::new(self.method_text)
    }
}

impl fmt::Display for CSeq<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method_text)
    }
}

/// `RAck: 776656 1 INVITE`: which provisional response a PRACK acknowledges (RFC 3262 section 7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    /// RSeq of the response.
    pub response: u32,
    /// The CSeq of the request it answers.
    pub cseq: CSeq<'a>,
}

impl<'a> RAck<'a> {
    /// Reads the value of a RAck line.
    pub fn parse(text: &'a str) -> Result<RAck<'a>, ParseError> {
        let bad = || ParseError::value(Name::Rack, text);
        let [response, number, method_text] = words(text).ok_or_else(bad)?;
        let cseq = CSeq { number: sequence(number).ok_or_else(bad)?, method_text };
        Ok(RAck { response: seconds(response).ok_or_else(bad)?, cseq })
    }
}

impl fmt::Display for RAck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.response, self.cseq)
    }
}

/// A word with parameters: Event, Subscription-State, Content-Disposition, Accept, Reason, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// What stands before the first `;`.
    pub value: &'a str,
    /// What follows it.
    pub params: Params<'a>,
}

impl<'a> Item<'a> {
    /// Splits one value; any text is one.
    pub fn parse(text: &'a str) -> Item<'a> {
        let (value, params) = text.split_once(';').unwrap_or((text, ""));
        Item { value: value.trim_ascii(), params: Params(params) }
    }

    /// Whether the word is this one, without case.
    pub fn is(&self, value: &str) -> bool {
        self.value.eq_ignore_ascii_case(value)
    }
}

/// Who refreshes a session (RFC 4028 section 4), by the role in the request that negotiates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// Who sent the request.
    Uac,
    /// Who answered it.
    Uas,
}

/// `Session-Expires: 1800;refresher=uac` (RFC 4028 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// The session interval.
    pub seconds: u32,
    /// Who refreshes, when it is said.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads the value of a Session-Expires line.
    pub fn parse(text: &str) -> Result<SessionExpires, ParseError> {
        let item = Item::parse(text);
        let seconds = seconds(item.value).ok_or_else(|| ParseError::value(Name::SessionExpires, text))?;
        let refresher = match item.params.get("refresher") {
            Some(role) if role.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(role) if role.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return Err(ParseError::value(Name::SessionExpires, text)),
            None => None,
        };
        Ok(SessionExpires { seconds, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// The dialog that a call takes the place of (RFC 3891 section 6.1); also what Join and Target-Dialog hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    /// Call-ID of the dialog.
    pub call_id: &'a str,
    /// The tag of whoever receives this.
    pub to_tag: &'a str,
    /// The tag of the other side.
    pub from_tag: &'a str,
    /// Only when the dialog is not answered yet.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// Reads the value of a Replaces line; each tag must be there once.
    pub fn parse(text: &'a str) -> Result<Replaces<'a>, ParseError> {
        let item = Item::parse(text);
        let once = |wanted: &str| {
            let mut tags = item.params.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            tags.next().and_then(|(_, tag)| tag).filter(|tag| !tag.is_empty() && tags.next().is_none())
        };
        match (once("to-tag"), once("from-tag")) {
            (Some(to_tag), Some(from_tag)) if !item.value.is_empty() => Ok(Replaces {
                call_id: item.value,
                to_tag,
                from_tag,
                early_only: item.params.has("early-only"),
            }),
            _ => Err(ParseError::value(Name::Replaces, text)),
        }
    }
}

impl fmt::Display for Replaces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}

/// `Reason: Q.850;cause=16;text="Normal call clearing"` (RFC 3326). One value of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850` or another token.
    pub protocol: &'a str,
    /// The code in that protocol.
    pub cause: Option<u16>,
    /// The text as written, quotes included.
    pub text: Option<&'a str>,
}

impl<'a> Reason<'a> {
    /// Reads one value; what is missing in it is `None`.
    pub fn parse(text: &'a str) -> Reason<'a> {
        let item = Item::parse(text);
        Reason {
            protocol: item.value,
            cause: item.params.get("cause").and_then(|cause| cause.parse().ok()),
            text: item.params.get("text"),
        }
    }

    /// The text without its quotes.
    pub fn plain_text(&self) -> Option<Cow<'a, str>> {
        self.text.map(unquote)
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        self.text.map_or(Ok(()), |text| write!(f, ";text={text}"))
    }
}

/// `Retry-After: 120 (in a meeting);duration=3600` (RFC 3261 section 20.33).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// Seconds until it may be tried again.
    pub seconds: u32,
    /// For how many seconds it will be possible then.
    pub duration: Option<u32>,
}

impl RetryAfter {
    /// Reads the value of a Retry-After line; a comment is left out.
    pub fn parse(text: &str) -> Result<RetryAfter, ParseError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let seconds_ = seconds(&text[..digits]).ok_or_else(|| ParseError::value(Name::RetryAfter, text))?;
        let params =
            text.rsplit_once(')').map_or(text, |(_, rest)| rest).split_once(';').map_or("", |(_, rest)| rest);
        Ok(RetryAfter { seconds: seconds_, duration: Params(params).get("duration").and_then(seconds) })
    }
}

/// `Warning: 370 devnull "Choose a bigger pipe"` (RFC 3261 section 20.43). One value of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// Three digits.
    pub code: u16,
    /// Who warns.
    pub agent: &'a str,
    /// The text as written, quotes included.
    pub text: &'a str,
}

impl<'a> Warning<'a> {
    /// Reads one value.
    pub fn parse(text: &'a str) -> Result<Warning<'a>, ParseError> {
        let bad = || ParseError::value(Name::Warning, text);
        let (code, rest) = text.trim_ascii().split_once(' ').ok_or_else(bad)?;
        let (agent, text) = rest.trim_ascii_start().split_once(' ').ok_or_else(bad)?;
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        let code = code.parse().ok().filter(|_| is_code).ok_or_else(bad)?;
        Ok(Warning { code, agent, text: text.trim_ascii_start() })
    }
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {} {}", self.code, self.agent, self.text)
    }
}

/// `delta-seconds` (RFC 3261 section 25.1), or any other number below 2^32; `None` for anything else.
pub fn seconds(text: &str) -> Option<u32> {
    // The standard parser would take a sign too.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `qvalue` (RFC 3261 section 25.1) as thousandths; `None` when it is none.
pub(super) fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1")
        || fraction.len() > 3
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let value = format!("{whole}{fraction:0<3}").parse().ok()?;
    (value <= 1000).then_some(value)
}

/// A sequence number: below 2^31 (RFC 3261 section 8.1.1.5).
fn sequence(text: &str) -> Option<u32> {
    seconds(text).filter(|&number| number < 1 << 31)
}

/// Exactly so many words.
fn words<const N: usize>(text: &str) -> Option<[&str; N]> {
    let mut words = text.split_ascii_whitespace();
    let mut found = [""; N];
    for word in &mut found {
        *word = words.next()?;
    }
    words.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_may_be_written_with_zeros_and_folds() {
        let cseq = CSeq::parse("0009\r\n  INVITE").expect("valid");
        assert_eq!((cseq.number, cseq.method()), (9, Method::Invite));
    }

    #[test]
    fn a_sequence_number_stays_below_two_to_the_31() {
        assert_eq!(CSeq::parse("2147483647 BYE").map(|cseq| cseq.number), Ok(2_147_483_647));
        for text in
            ["2147483648 BYE", "36893488147419103232 BYE", "-1 BYE", "+1 BYE", "1", "BYE", "1 BYE BYE", ""]
        {
            assert!(CSeq::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_prack_names_its_response() {
        let rack = RAck::parse("776656 1 INVITE").expect("valid");
        assert_eq!((rack.response, rack.cseq.number, rack.cseq.method_text), (776_656, 1, "INVITE"));
        assert_eq!(rack.to_string(), "776656 1 INVITE");
        assert!(RAck::parse("1 INVITE").is_err());
    }

    #[test]
    fn a_session_interval_may_name_who_refreshes() {
        for (text, seconds, refresher) in [
            ("1800", 1800, None),
            ("1800 ; refresher = UAC", 1800, Some(Refresher::Uac)),
            ("90;x;refresher=uas", 90, Some(Refresher::Uas)),
        ] {
            assert_eq!(SessionExpires::parse(text), Ok(SessionExpires { seconds, refresher }));
        }
        assert!(SessionExpires::parse("soon").is_err());
        assert!(SessionExpires::parse("90;refresher=me").is_err());
    }

    #[test]
    fn a_replaced_dialog_has_both_tags_once() {
        let replaces = Replaces::parse("98732@sip.example.com\r\n ;from-tag=r33th4x0r\r\n ;to-tag=ff87ff")
            .expect("valid");
        assert_eq!(
            replaces,
            Replaces {
                call_id: "98732@sip.example.com",
                to_tag: "ff87ff",
                from_tag: "r33th4x0r",
                early_only: false
            }
        );
        assert!(
            Replaces::parse("1;to-tag=a;from-tag=b;early-only").is_ok_and(|replaces| replaces.early_only)
        );
        for text in [
            "1",
            "1;to-tag=a",
            "1;to-tag=a;from-tag=b;to-tag=c",
            ";to-tag=a;from-tag=b",
            "1;to-tag;from-tag=b",
        ] {
            assert!(Replaces::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_reason_says_what_it_knows() {
        let reason = Reason::parse("Q.850 ;cause=16 ;text=\"Normal; clearing\"");
        assert_eq!((reason.protocol, reason.cause), ("Q.850", Some(16)));
        assert_eq!(reason.plain_text().as_deref(), Some("Normal; clearing"));
        assert_eq!(Reason::parse("SIP;cause=99999").cause, None);
        assert_eq!(reason.to_string(), "Q.850;cause=16;text=\"Normal; clearing\"");
    }

    #[test]
    fn a_retry_may_have_a_comment_and_a_duration() {
        for (text, seconds, duration) in [
            ("5", 5, None),
            ("18000;duration=3600", 18_000, Some(3600)),
            ("120 (I'm in a meeting; really)", 120, None),
            ("120 (x) ;duration=9", 120, Some(9)),
        ] {
            assert_eq!(RetryAfter::parse(text), Ok(RetryAfter { seconds, duration }), "{text}");
        }
        assert!(RetryAfter::parse("949302838503028349304023988").is_err());
        assert!(RetryAfter::parse("soon").is_err());
    }

    #[test]
    fn a_warning_has_three_digits() {
        let warning = Warning::parse("370 devnull \"Choose a bigger pipe\"").expect("valid");
        assert_eq!((warning.code, warning.agent, warning.text), (370, "devnull", "\"Choose a bigger pipe\""));
        assert!(Warning::parse("1812 overture \"In Progress\"").is_err());
    }

    #[test]
    fn a_preference_is_between_zero_and_one() {
        for (text, value) in
            [("0", Some(0)), ("1", Some(1000)), ("0.33", Some(330)), ("1.000", Some(1000)), ("0.", Some(0))]
        {
            assert_eq!(thousandths(text), value, "{text}");
        }
        for text in ["1.001", "2", "0.1234", "-0.1", ".5", "", "0.x"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
