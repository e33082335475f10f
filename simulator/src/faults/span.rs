//! Spans of time as people write them, exact to the nanosecond: `12.5 ms`, `3 s`.

use pbx::time::Duration;

/// A second, a millisecond, ... in nanoseconds.
const UNITS: [(&str, u64); 4] = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

/// In seconds where that is whole, else in milliseconds.
pub fn write(span: Duration) -> String {
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    if nanos.is_multiple_of(1_000_000_000) && nanos > 0 {
        return format!("{} s", nanos / 1_000_000_000);
    }
    let decimals = format!("{:06}", nanos % 1_000_000);
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    format!("{}{point}{decimals} ms", nanos / 1_000_000)
}

/// A number and a unit.
pub(super) fn read(text: &str) -> Option<Duration> {
    let text = text.trim();
    let begins = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(begins);
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, part) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let whole: u64 = whole.parse().ok()?;
    if part.len() > 9 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part = format!("{part:0<9}").parse::<u64>().ok()? as u128 * u128::from(*scale) / 1_000_000_000;
    let nanos = whole.checked_mul(*scale)?.checked_add(u64::try_from(part).ok()?)?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nanosecond_is_kept() {
        for nanos in [0, 1, 999, 1_000_001, 12_345_678, 500_000_000, 3_000_000_000, 3_000_000_001] {
            let span = Duration::from_nanos(nanos);
            assert_eq!(read(&write(span)), Some(span), "{}", write(span));
        }
    }

    #[test]
    fn people_may_write_it_as_they_like() {
        assert_eq!(read("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(read("20 us"), Some(Duration::from_micros(20)));
        for nonsense in ["", "5", "ms", "-1 ms", "1.5.2 s", "5 apples"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
