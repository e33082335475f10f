//! A memory for failed attempts: who failed too often waits, then is not heard for a while.

use super::table::Table;
use crate::config;
use crate::time::{Duration, Instant};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

/// So many sources and names are remembered, each.
const REMEMBERED: usize = 1 << 14;

/// So many replies are held back at a time; over it a reply goes at once.
const HELD: usize = 1024;

/// More failures of one name than this make it wait no longer.
const NAMED: usize = 8;

/// A name is remembered by so many of its bytes.
const NAME_LENGTH: usize = 64;

const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(4);

/// Counts failures per source, which leads to a block, and per name, which leads to delays only: otherwise anybody could
/// lock out anybody. An unknown name is counted like a known one, so that no difference tells which names exist.
pub(super) struct Failures {
    limits: config::Auth,
    sources: Table<Source, VecDeque<Instant>>,
    names: Table<String, VecDeque<Instant>>,
    /// Until when; apart from the sources, so that failing from many places does not end a block.
    blocked: Table<Source, ()>,
    held: BTreeSet<(Instant, u64)>,
    counted: u64,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Penalty {
    pub(super) answer_at: Instant,
    pub(super) blocks: bool,
}

/// Whoever has one address of an IPv6 /64 has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Source(IpAddr);

impl Failures {
    pub(super) fn new(limits: config::Auth) -> Failures {
        Failures {
            limits,
            sources: Table::new(REMEMBERED),
            names: Table::new(REMEMBERED),
            blocked: Table::new(REMEMBERED),
            held: BTreeSet::new(),
            counted: 0,
        }
    }

    pub(super) fn reconfigure(&mut self, limits: config::Auth) {
        self.limits = limits;
    }

    pub(super) fn is_blocked(&self, source: IpAddr, now: Instant) -> bool {
        self.blocked.find(&Source::of(source)).is_some_and(|(until, ())| now < until)
            && !self.is_allowed(source)
    }

    /// One more failure of `source` in the name of `name`.
    pub(super) fn count(&mut self, source: IpAddr, name: &str, now: Instant) -> Penalty {
        self.forget(now);
        let most = usize::try_from(self.limits.max_failures).unwrap_or(usize::MAX).max(1);
        let key = Source::of(source);
        let of_source = note(self.sources.touch(&key, now), most, self.limits.block_window, now);
        let name = name[..name.floor_char_boundary(NAME_LENGTH)].to_owned();
        let of_name = note(self.names.touch(&name, now), NAMED, self.limits.block_window, now);
        let blocks = of_source >= most && !self.is_allowed(source);
        if blocks {
            self.sources.remove(&key);
            self.blocked.touch(&key, now + self.limits.block_duration);
        }
        Penalty { answer_at: self.hold(delay(of_source.max(of_name)), now), blocks }
    }

    fn forget(&mut self, now: Instant) {
        let window = self.limits.block_window;
        self.sources.forget(|last| last + window <= now);
        self.names.forget(|last| last + window <= now);
        self.blocked.forget(|until| until <= now);
    }

    fn is_allowed(&self, source: IpAddr) -> bool {
        self.limits.allow.iter().any(|network| network.contains(source))
    }

    fn hold(&mut self, delay: Duration, now: Instant) -> Instant {
        while self.held.first().is_some_and(|(until, _)| *until <= now) {
            self.held.pop_first();
        }
        if delay.is_zero() || self.held.len() >= HELD {
            return now;
        }
        self.counted += 1;
        self.held.insert((now + delay, self.counted));
        now + delay
    }
}

impl Source {
    fn of(address: IpAddr) -> Source {
        match address.to_canonical() {
            IpAddr::V4(v4) => Source(v4.into()),
            IpAddr::V6(v6) => Source(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into()),
        }
    }
}

/// Notes a failure and says how many there were within the window, `most` at the most.
fn note(failures: &mut VecDeque<Instant>, most: usize, window: Duration, now: Instant) -> usize {
    failures.retain(|&at| now < at + window);
    if failures.len() >= most {
        failures.pop_front();
    }
    failures.push_back(now);
    failures.len()
}

/// Everybody mistypes once; from the second failure on the wait doubles.
fn delay(failures: usize) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => FIRST_DELAY.saturating_mul(1 << (more - 2).min(16)).min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::office;

    #[test]
    fn a_source_that_fails_five_times_in_a_minute_is_blocked_for_ten() {
        let mut failures = Failures::new(office::config().auth);
        for second in 0..4 {
            assert!(!failures.count(ip(1), "1001", at(second)).blocks);
        }
        assert!(failures.count(ip(1), "1001", at(5)).blocks);
        assert!(failures.is_blocked(ip(1), at(604)));
        assert!(!failures.is_blocked(ip(2), at(10)), "somebody else is not blocked");
        assert!(!failures.is_blocked(ip(1), at(605)), "the block ends");
    }

    #[test]
    fn failures_that_are_far_apart_do_not_add_up() {
        let mut failures = Failures::new(office::config().auth);
        for attempt in 0..20 {
            assert!(!failures.count(ip(1), "1001", at(attempt * 15)).blocks, "attempt {attempt}");
        }
    }

    #[test]
    fn a_network_on_the_list_is_never_blocked() {
        let mut failures = Failures::new(office::config().auth);
        let friend = "10.9.1.1".parse().unwrap();
        for _ in 0..20 {
            assert!(!failures.count(friend, "1001", at(0)).blocks);
        }
        assert!(!failures.is_blocked(friend, at(0)));
    }

    #[test]
    fn guessing_one_name_from_many_places_gets_slower_but_blocks_nobody() {
        let mut failures = Failures::new(office::config().auth);
        let waits: Vec<u128> =
            (0..8).map(|i| (failures.count(ip(i), "1001", at(0)).answer_at - at(0)).as_millis()).collect();
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
        assert!((0..8).all(|i| !failures.is_blocked(ip(i), at(0))));
    }

    #[test]
    fn all_addresses_of_an_ipv6_subscriber_are_one_source() {
        let mut failures = Failures::new(office::config().auth);
        for host in 1..=5 {
            failures.count(format!("2001:db8::{host}").parse().unwrap(), "1001", at(0));
        }
        assert!(failures.is_blocked("2001:db8::ffff".parse().unwrap(), at(1)));
        assert!(!failures.is_blocked("2001:db8:0:1::1".parse().unwrap(), at(1)));
    }

    #[test]
    fn a_flood_from_everywhere_stays_small_and_frees_nobody() {
        let mut failures = Failures::new(office::config().auth);
        for _ in 0..5 {
            failures.count(ip(1), "1001", at(0));
        }
        for i in 0..100_000 {
            failures.count(IpAddr::V4((0x0b00_0000 + i).into()), &format!("name{i}"), at(1));
        }
        assert!(failures.is_blocked(ip(1), at(2)));
        assert!(failures.sources.len() <= REMEMBERED && failures.names.len() <= REMEMBERED);
    }

    #[test]
    fn so_many_replies_are_held_back_and_not_more() {
        let mut failures = Failures::new(office::config().auth);
        let held = (0..3 * HELD as u32)
            .filter(|&i| {
                failures.count(IpAddr::V4((0x0b00_0000 + i).into()), "1001", at(0)).answer_at > at(0)
            })
            .count();
        assert_eq!(held, HELD);
        assert!(failures.count(ip(1), "1001", at(5)).answer_at > at(5), "later there is room again");
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }
}
