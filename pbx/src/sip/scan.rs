//! The few shapes that all header values are made of: quoted strings, and lists that know about them.

/// The values of a comma-separated list; commas in quotes and in angle brackets do not separate.
pub fn quoted_list(text: &str) -> impl Iterator<Item = &str> {
    split(text, b',').filter(|part| !part.is_empty())
}

/// Splits at `separator` outside quotes and angle brackets; the parts are trimmed.
pub(super) fn split<'a>(text: &'a str, separator: u8) -> impl Iterator<Item = &'a str> + use<'a> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let at = find(text.as_bytes(), separator);
        rest = at.map(|at| &text[at + 1..]);
        Some(text[..at.unwrap_or(text.len())].trim_ascii())
    })
}

/// Where `separator` stands for the first time outside quotes and angle brackets. What is opened and not closed reaches to
/// the end.
pub(super) fn find(text: &[u8], separator: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr3(b'"', b'<', separator, text.get(at..)?)?;
        at = match text[at] {
            byte if byte == separator => return Some(at),
            b'"' => quoted_end(text, at)?,
            _ => at + memchr::memchr(b'>', &text[at..])? + 1,
        };
    }
}

/// Where the quoted string that begins at `at` is over, behind its closing quote.
pub(super) fn quoted_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        let list = r#" "a, \"b" <sip:a,b@c>;x="<," , <sip:d@e>,, f"#;
        assert_eq!(
            quoted_list(list).collect::<Vec<_>>(),
            [r#""a, \"b" <sip:a,b@c>;x="<,""#, "<sip:d@e>", "f"]
        );
    }

    #[test]
    fn what_is_not_closed_reaches_to_the_end() {
        for open in [r#""a, b"#, r#""a, b\"#, r#""a, b\""#, "<a, b", "<\"a\", b"] {
            assert_eq!(quoted_list(open).collect::<Vec<_>>(), [open]);
        }
    }
}
