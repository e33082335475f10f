//! Escapes: `%41` in URIs (RFC 3261 section 19.1.2), `\"` in quoted strings (section 25.1).

use std::borrow::Cow;
use std::fmt;

/// A text as the user part of a URI: what may not stand there is escaped (RFC 3261 section 25.1, `user`).
pub fn escape_user(text: &str) -> String {
    escape(text, |byte| is_unreserved(byte) || b"&=+$,;?/".contains(&byte))
}

/// A text as a quoted string: in quotes, with what needs it escaped. Line breaks become spaces.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\r' | '\n' | '\0' => quoted.push(' '),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A quoted string without its quotes and escapes; any other text as it is.
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            _ => plain.push(character),
        }
    }
    Cow::Owned(plain)
}

/// A text with its `%` escapes resolved, once; what is no escape stays.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = next_byte(rest) {
        bytes.push(byte);
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first byte of a text with escapes, and what follows it.
pub(super) fn next_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, after) = text.split_first()?;
    let escaped = match (first, after) {
        (b'%', [high, low, rest @ ..]) => {
            hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, rest))
        }
        _ => None,
    };
    Some(escaped.unwrap_or((first, after)))
}

/// RFC 3261 section 25.1, `unreserved`.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

fn escape(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        match is_plain(byte) {
            true => escaped.push(char::from(byte)),
            false => escaped.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]),
        }
    }
    escaped
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn hex_digit(value: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(value & 15)])
}

/// Writes a text as one word that can stand in a start line and between angle brackets.
pub(super) struct OneWord<'a>(pub(super) &'a str);

impl fmt::Display for OneWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaks_out = |byte: u8| byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 0x7f);
        let mut rest = self.0;
        while let Some(at) = rest.bytes().position(breaks_out) {
            let byte = rest.as_bytes()[at];
            write!(f, "{}%{byte:02X}", &rest[..at])?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_resolved_once() {
        assert_eq!(unescape("%75se%72%25%34%31%"), "user%41%");
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%+5%zz"), "%+5%zz");
    }

    #[test]
    fn a_null_does_not_end_a_name() {
        assert_eq!(unescape("null-%00-null"), "null-\0-null");
    }

    #[test]
    fn a_user_may_be_any_text() {
        assert_eq!(escape_user("*97#"), "*97%23");
        assert_eq!(escape_user("sips:a@b"), "sips%3Aa%40b");
        assert_eq!(escape_user("Jürgen;x"), "J%C3%BCrgen;x");
    }

    #[test]
    fn quotes_are_taken_off_once() {
        assert_eq!(unquote(r#""J \"R\" \\""#), r#"J "R" \"#);
        assert_eq!(unquote("token"), "token");
        assert_eq!(unquote("\""), "\"");
    }

    proptest! {
        #[test]
        fn what_was_escaped_comes_back(text: String) {
            let escaped = escape_user(&text);
            prop_assert_eq!(unescape(&escaped), text);
        }

        #[test]
        fn what_was_quoted_comes_back(text in "[^\r\n\0]*") {
            let quoted = quote(&text);
            prop_assert_eq!(crate::sip::scan::quoted_end(quoted.as_bytes(), 0), Some(quoted.len()));
            prop_assert_eq!(unquote(&quoted), text);
        }
    }
}
