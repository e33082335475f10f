//! From when to when a certificate holds: the one thing we want to know of our own that its library does not tell.
//!
//! RFC 5280 section 4.1: a certificate is a sequence in DER, its first part another one, and within that, before the
//! subject, a sequence of two dates.

/// Seconds since 1970, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// When the certificate holds; `None` where it cannot be read.
pub(super) fn validity(certificate: &[u8]) -> Option<Validity> {
    let (whole, _) = take(certificate, SEQUENCE)?;
    let (fields, _) = take(whole, SEQUENCE)?;
    let fields = take(fields, VERSION).map_or(fields, |(_, rest)| rest);
    let (_, fields) = take(fields, INTEGER)?;
    let (_, fields) = take(fields, SEQUENCE)?;
    let (_, fields) = take(fields, SEQUENCE)?;
    let (dates, _) = take(fields, SEQUENCE)?;
    let (not_before, dates) = date(dates)?;
    let (not_after, _) = date(dates)?;
    Some(Validity { not_before, not_after })
}

/// The content of the first value, which has this tag, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first().filter(|(found, _)| **found == tag)?;
    debug_assert_eq!(found, tag);
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// `260131235959Z` or `20500131235959Z`.
fn date(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest, century) = match take(bytes, UTC_TIME) {
        Some((text, rest)) => (text, rest, None),
        None => take(bytes, GENERALIZED_TIME).map(|(text, rest)| (text, rest, Some(())))?,
    };
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, text) = text.split_at_checked(if century.is_some() { 4 } else { 2 })?;
    let year: i64 = year.parse().ok()?;
    // Two digits below 50 are of this century (RFC 5280 section 4.1.2.5.1).
    let year = if century.is_some() { year } else { year + if year < 50 { 2000 } else { 1900 } };
    let two = |at: usize| text.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    let days = crate::time::days_since_1970(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    Some((((days * 24 + hour) * 60 + minute) * 60 + second, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dates_of_a_certificate_are_found() {
        let dates =
            [&[UTC_TIME, 13][..], b"260101000000Z", &[GENERALIZED_TIME, 15], b"20500101000000Z"].concat();
        let nothing: &[u8] = &[SEQUENCE, 0];
        let fields =
            [&[VERSION, 3, 2, 1, 2, INTEGER, 1, 7][..], nothing, nothing, &sequence(&dates)].concat();
        let certificate = sequence(&sequence(&fields));
        let found = validity(&certificate).expect("it is whole");
        assert_eq!(found, Validity { not_before: 1_767_225_600, not_after: 2_524_608_000 });
        for length in 0..certificate.len() {
            assert_eq!(validity(&certificate[..length]), None, "the first {length} bytes");
        }
    }

    fn sequence(content: &[u8]) -> Vec<u8> {
        [&[SEQUENCE, u8::try_from(content.len()).expect("short")], content].concat()
    }
}
