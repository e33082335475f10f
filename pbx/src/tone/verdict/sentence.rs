//! How each difference is said.

use super::{Difference, Instead, Kind};
use crate::tone::scan::Reason;
use crate::tone::schedule::Hertz;
use std::fmt;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {}", self.channel + 1)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        write!(f, "{}", self.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::NoChannel { has: 1 } => write!(f, " is missing: the recording has 1 channel"),
            Kind::NoChannel { has } => write!(f, " is missing: the recording has {has} channels"),
            Kind::MoreChannels { expected: 1 } => {
                write!(f, ": something is heard, but only 1 channel was expected")
            }
            Kind::MoreChannels { expected } => {
                write!(f, ": something is heard, but only {expected} channels were expected")
            }
            Kind::Silent { expected: 1, from } => {
                write!(f, " is silent: a tone was expected at {}", Seconds(*from))
            }
            Kind::Silent { expected, from } => {
                write!(f, " is silent: {expected} tones were expected, the first at {}", Seconds(*from))
            }
            Kind::Swapped { with } => write!(
                f,
                " holds what was expected on channel {}, and channel {} what was expected here: they are swapped",
                with + 1,
                with + 1
            ),
            Kind::Missing { what, at, instead } => {
                write!(f, ": {what} expected at {}, {instead}", Seconds(*at))
            }
            Kind::Extra { what, at } => {
                write!(f, ": {what} heard at {}, where none was expected", Seconds(*at))
            }
            Kind::Moved { what, expected, heard } => write!(
                f,
                ": {what} expected at {}, heard at {}: {} {}",
                Seconds(*expected),
                Seconds(*heard),
                Millis(heard - expected),
                if heard > expected { "late" } else { "early" }
            ),
            Kind::Begins { what, expected, heard } if heard > expected => write!(
                f,
                ": {what} expected at {} begins at {}: its first {} are cut off",
                Seconds(*expected),
                Seconds(*heard),
                Millis(heard - expected)
            ),
            Kind::Begins { what, expected, heard } => write!(
                f,
                ": {what} expected at {} begins {} too early",
                Seconds(*expected),
                Millis(heard - expected)
            ),
            Kind::Ends { what, at, expected, heard } => write!(
                f,
                ": {what} at {} ends at {} and not at {}: it is {} too {}",
                Seconds(*at),
                Seconds(*heard),
                Seconds(*expected),
                Millis(heard - expected),
                if heard > expected { "long" } else { "short" }
            ),
            Kind::Clipped { what, at, distortion } => write!(
                f,
                ": {what} at {} is clipped: its tops are cut off (the distortion is {distortion:.0} dB below it)",
                Seconds(*at)
            ),
            Kind::Level { what, at, expected, heard } => write!(
                f,
                ": {what} at {} is {:.1} dB too {}: {heard:.1} dBm0 and not {expected:.1}",
                Seconds(*at),
                (heard - expected).abs(),
                if heard > expected { "loud" } else { "faint" }
            ),
        }
    }
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Instead::Nothing => f.write_str("nothing heard"),
            Instead::Unclear => f.write_str("what is heard there is neither a key nor a tone"),
            Instead::Other(what) => write!(f, "{what} heard"),
            Instead::Off(frequencies, percent) => write!(
                f,
                "its frequency is wrong: {} heard, {:.1} % too {}",
                Hertz(frequencies),
                percent.abs(),
                if *percent > 0.0 { "high" } else { "low" }
            ),
            Instead::Rejected(reason) => write!(f, "what is heard there is no key: {}", said(*reason)),
        }
    }
}

/// A reason in words.
fn said(reason: Reason) -> &'static str {
    match reason {
        Reason::TooShort => "it is too short",
        Reason::Twist => "one of its sines is too far above the other",
        Reason::OffFrequency => "its frequencies are off",
        Reason::TooWeak => "it is too faint",
        Reason::Speech => "there is more in it than two sines, as in speech",
        Reason::Echo => "it is the echo of the key before",
    }
}

/// Milliseconds, shown as seconds.
struct Seconds(f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0 / 1_000.0)
    }
}

/// A span, without its sign.
struct Millis(f64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} ms", self.0.abs())
    }
}
