//! Where header lines end, and how long the body is: what the parser of messages and the framer of streams share, so that
//! they can never differ about where a message ends.

use super::Name;

/// Why a line has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unended {
    /// The bytes are over before it.
    NoEnd,
    /// A CR or LF stands alone in it: some read that as the end of the line and some do not, so that two programs would see
    /// two messages.
    LineBreak,
}

/// The end of the line that begins at `at`, without its CRLF, its folds included (RFC 3261 section 7.3.1).
pub(super) fn end(bytes: &[u8], at: usize) -> Result<usize, Unended> {
    let mut from = at;
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        let end = from + memchr::memchr2(b'\r', b'\n', rest).ok_or(Unended::NoEnd)?;
        match bytes[end..] {
            [b'\r', b'\n', b' ' | b'\t', ..] => from = end + 2,
            [b'\r', b'\n', ..] => return Ok(end),
            [b'\r'] => return Err(Unended::NoEnd),
            _ => return Err(Unended::LineBreak),
        }
    }
}

/// A header line, split: lengths and places are bytes from the beginning of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) name: Name,
    pub(super) name_length: usize,
    pub(super) value: usize,
    pub(super) value_end: usize,
}

/// Splits a header line at its colon; `None` when there is none or the name is no token.
pub(super) fn split(line: &[u8]) -> Option<Parts> {
    let colon = memchr::memchr(b':', line)?;
    let trailing = line[..colon].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let written = &line[..colon - trailing];
    let name = Name::of_bytes(written);
    let is_name = name != Name::Other || (!written.is_empty() && written.iter().copied().all(is_token));
    let value = colon + 1 + line[colon + 1..].iter().take_while(|&&byte| is_space(byte)).count();
    let trailing = line[value..].iter().rev().take_while(|&&byte| is_space(byte)).count();
    is_name.then_some(Parts { name, name_length: written.len(), value, value_end: line.len() - trailing })
}

/// The number in the value of Content-Length: digits and nothing else (RFC 3261 section 20.14).
pub(super) fn length(value: &[u8]) -> Option<usize> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_usize, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| usize::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// RFC 3261 section 25.1, `token`.
pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// White space within a line: a fold is white space too.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
            | b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_no_fold_follows() {
        assert_eq!(end(b"Subject: a\r\n b\r\n\tc\r\nTo: x\r\n", 0), Ok(18));
    }

    #[test]
    fn a_lone_carriage_return_or_line_feed_ends_nothing() {
        assert_eq!(end(b"Subject: a\nEvil: b\r\n", 0), Err(Unended::LineBreak));
        assert_eq!(end(b"Subject: a\rEvil: b\r\n", 0), Err(Unended::LineBreak));
    }

    #[test]
    fn a_name_may_be_followed_by_spaces_but_not_by_a_fold() {
        assert_eq!(
            split(b"l \t:  5 "),
            Some(Parts { name: Name::ContentLength, name_length: 1, value: 6, value_end: 7 })
        );
        assert_eq!(split(b"l\r\n : 5"), None);
        assert_eq!(split(b": 5"), None);
        assert_eq!(split(b"l 5"), None);
    }

    #[test]
    fn a_length_is_digits() {
        assert_eq!(length(b"0150"), Some(150));
        for nonsense in [&b""[..], b"-1", b"+1", b"five", b"1 2", b"18446744073709551616"] {
            assert_eq!(length(nonsense), None, "{nonsense:?}");
        }
    }
}
