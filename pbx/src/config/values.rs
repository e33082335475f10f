//! Values that cannot hold nonsense: networks, patterns of numbers; and how secrets are shown.

use super::{Extension, Network, Trunk};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

impl Network {
    /// Whether an address lies in it. An IPv4 address mapped into IPv6 counts as the IPv4 address that it is.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let bits = 32 - u32::from(self.prefix.min(32));
                (u64::from(u32::from(network)) >> bits) == (u64::from(u32::from(ip)) >> bits)
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let bits = 128 - u32::from(self.prefix.min(128));
                u128::from(network).checked_shr(bits) == u128::from(ip).checked_shr(bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Network, &'static str> {
        const EXPECTED: &str = "expected a network like 10.0.0.0/8 or an address";
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), |prefix| prefix.parse::<u8>().map_err(|_| EXPECTED))?;
        if prefix > bits {
            return Err(EXPECTED);
        }
        Ok(Network { address: without_host_bits(address, prefix), prefix })
    }
}

fn without_host_bits(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// What a dialled number looks like: `9197`, `91??` (any one character each), `0[1-9]*` (any rest). A backslash takes the
/// meaning from what follows: `\*99`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
    open_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Exactly(char),
    Any,
    OneOf(Vec<(char, char)>),
}

impl Pattern {
    /// The pattern of a text.
    pub fn new(text: &str) -> Result<Pattern, &'static str> {
        if text.is_empty() || text.len() > 64 {
            return Err("expected a number or a pattern, at most 64 characters");
        }
        let (mut parts, mut open_ended) = (Vec::new(), false);
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if open_ended {
                return Err("`*` stands for any rest and goes last; a star on the keypad is `\\*`");
            }
            match character {
                '*' => open_ended = true,
                '?' => parts.push(Part::Any),
                '[' => parts.push(Part::OneOf(one_of(&mut characters)?)),
                '\\' => parts.push(Part::Exactly(characters.next().ok_or("`\\` stands before a character")?)),
                other => parts.push(Part::Exactly(other)),
            }
        }
        Ok(Pattern { text: text.to_owned(), parts, open_ended })
    }

    /// Whether a dialled number looks like it.
    pub fn matches(&self, number: &str) -> bool {
        let mut characters = number.chars();
        let begins = self.parts.iter().all(|part| characters.next().is_some_and(|c| part.matches(c)));
        begins && (self.open_ended || characters.next().is_none())
    }

    /// Whether it surely takes every number that `other` takes; `false` also where that takes a longer look.
    pub(super) fn covers(&self, other: &Pattern) -> bool {
        let takes_anything = self.open_ended && self.parts.is_empty();
        takes_anything || self == other || other.only_number().is_some_and(|number| self.matches(&number))
    }

    /// The number, where it takes exactly one.
    fn only_number(&self) -> Option<String> {
        let character = |part: &Part| match part {
            Part::Exactly(character) => Some(*character),
            Part::Any | Part::OneOf(_) => None,
        };
        if self.open_ended { None } else { self.parts.iter().map(character).collect() }
    }
}

fn one_of(characters: &mut std::str::Chars<'_>) -> Result<Vec<(char, char)>, &'static str> {
    let mut ranges = Vec::new();
    loop {
        match characters.next().ok_or("`[` is closed by `]`")? {
            ']' if ranges.is_empty() => return Err("`[]` stands for nothing"),
            ']' => return Ok(ranges),
            first => {
                let mut rest = characters.clone();
                let last = match (rest.next(), rest.next()) {
                    (Some('-'), Some(last)) if last != ']' => {
                        *characters = rest;
                        last
                    }
                    _ => first,
                };
                if last < first {
                    return Err("a range goes from the lower to the higher, like `[1-9]`");
                }
                ranges.push((first, last));
            }
        }
    }
}

impl Part {
    fn matches(&self, character: char) -> bool {
        match self {
            Part::Exactly(expected) => *expected == character,
            Part::Any => true,
            Part::OneOf(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Without the password.
impl fmt::Debug for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extension")
            .field("number", &self.number)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Without the password.
impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trunk")
            .field("name", &self.name)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses() {
        let network: Network = "10.1.0.0/16".parse().expect("a network");
        let holds = |ip: &str| network.contains(ip.parse().expect("an address"));
        assert!(holds("10.1.255.255") && holds("::ffff:10.1.2.3"));
        assert!(!holds("10.2.0.0") && !holds("fe80::1"));
        let all: Network = "::/0".parse().expect("a network");
        assert!(all.contains("2001:db8::1".parse().expect("an address")));
        let v4: Network = "0.0.0.0/0".parse().expect("a network");
        assert!(v4.contains("203.0.113.9".parse().expect("an address")));
        assert_eq!("10.1.2.3/8".parse::<Network>().expect("a network").to_string(), "10.0.0.0/8");
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "ten/8".parse::<Network>().is_err());
    }

    #[test]
    fn a_pattern_takes_what_it_says() {
        let matches = |pattern: &str, number: &str| Pattern::new(pattern).expect("a pattern").matches(number);
        assert!(matches("9197", "9197") && !matches("9197", "91977") && !matches("9197", "919"));
        assert!(matches("91??", "9199") && !matches("91??", "919"));
        assert!(matches("0[1-9]*", "0123") && !matches("0[1-9]*", "0023"));
        assert!(matches("*", "") && matches("*", "anything") && matches("\\*99", "*99"));
        assert!(Pattern::new("9*9").is_err() && Pattern::new("[").is_err() && Pattern::new("[9-1]").is_err());
    }
}
