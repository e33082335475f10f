//! RTP ports: pairs out of the configured range, each in one hand at a time.

use crate::dialog::SessionId;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long a pair rests after use, so that late packets of the last call do not reach the next one.
const QUARANTINE: Duration = Duration::from_secs(2);

/// How long a pair that another program holds is left alone.
const TAKEN_BY_OTHERS: Duration = Duration::from_secs(60);

/// The pairs of a range: RTP on the even port, RTCP on the odd one after it (RFC 3550 section 11).
#[derive(Debug)]
pub(crate) struct Ports {
    first: u16,
    last: u16,
    /// The next pair that was never handed out, counted from the first, and how many of those there are.
    fresh: (usize, usize),
    rng: Rng,
    /// Given back, in the order of when they may be used again, each with the session that promised it.
    resting: BTreeMap<(Instant, u64), (u16, Option<SessionId>)>,
    sequence: u64,
    /// Rested enough.
    ready: VecDeque<u16>,
    in_use: BTreeSet<u16>,
}

impl Ports {
    /// All pairs within `start..=end`, in their order from any of them on: after a restart, whoever still sends to a call of
    /// before is not heard in a new one, and nobody outside knows where the next call is (RFC 6056 section 3.1).
    pub(crate) fn new(start: u16, end: u16, mut rng: Rng) -> Ports {
        let first = start.saturating_add(start % 2);
        let total = pairs(first, end);
        Ports {
            first,
            last: end,
            fresh: (rng.below(total as u64) as usize, total),
            rng,
            resting: BTreeMap::new(),
            sequence: 0,
            ready: VecDeque::new(),
            in_use: BTreeSet::new(),
        }
    }

    /// The even port of a free pair; `None` when all are in use or resting. A pair that has rested longest goes first
    /// only after every pair was used once. While a session `is_open` that promised a pair, the other side may still
    /// answer and send there: such a pair rests on.
    pub(crate) fn take(&mut self, now: Instant, is_open: impl Fn(SessionId) -> bool) -> Option<u16> {
        while let Some(entry) = self.resting.first_entry().filter(|entry| entry.key().0 <= now) {
            let (port, session) = entry.remove();
            if session.is_some_and(&is_open) {
                self.rest(port, session, now + QUARANTINE);
            } else {
                self.ready.push_back(port);
            }
        }
        // After a change of range a pair of the old one may still be in use.
        let port = loop {
            let port = self.next_fresh().or_else(|| self.ready.pop_front())?;
            if !self.in_use.contains(&port) {
                break port;
            }
        };
        self.in_use.insert(port);
        Some(port)
    }

    /// Takes a pair back after its sockets were closed, with the session in which it was promised.
    pub(crate) fn give_back(&mut self, port: u16, session: Option<SessionId>, now: Instant) {
        self.rest_until(port, session, now + QUARANTINE);
    }

    /// Takes a pair back that could not be bound.
    pub(crate) fn taken_by_others(&mut self, port: u16, now: Instant) {
        self.rest_until(port, None, now + TAKEN_BY_OTHERS);
    }

    /// Pairs in use.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.len()
    }

    /// Pairs in the range.
    pub(crate) fn total(&self) -> usize {
        pairs(self.first, self.last)
    }

    /// Another range holds from now on; pairs in use stay in use until they are given back.
    pub(crate) fn change_range(&mut self, start: u16, end: u16) {
        if (start.saturating_add(start % 2), end) != (self.first, self.last) {
            let in_use = std::mem::take(&mut self.in_use);
            *self = Ports { in_use, ..Ports::new(start, end, self.rng.fork()) };
        }
    }

    fn rest_until(&mut self, port: u16, session: Option<SessionId>, until: Instant) {
        if self.in_use.remove(&port) && port >= self.first && port < self.last {
            self.rest(port, session, until);
        }
    }

    fn rest(&mut self, port: u16, session: Option<SessionId>, until: Instant) {
        self.sequence += 1;
        self.resting.insert((until, self.sequence), (port, session));
    }

    fn next_fresh(&mut self) -> Option<u16> {
        let (next, left) = self.fresh;
        let left = left.checked_sub(1)?;
        self.fresh = ((next + 1) % self.total(), left);
        u16::try_from(usize::from(self.first) + 2 * next).ok()
    }
}

/// Pairs from an even port up to the last one.
fn pairs(first: u16, last: u16) -> usize {
    (usize::from(last) + 1).saturating_sub(usize::from(first)) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_handed_out_once_then_none() {
        let mut ports = all(10_001, 10_007);
        assert_eq!(ports.total(), 3);
        let mut taken: Vec<_> = std::iter::from_fn(|| ports.take(Instant::START, nobody)).collect();
        taken.sort_unstable();
        assert_eq!(taken, [10_002, 10_004, 10_006]);
        assert_eq!(ports.in_use(), 3);
    }

    #[test]
    fn who_starts_again_begins_elsewhere() {
        let first = |seed| {
            Ports::new(10_000, 19_999, Rng::from_number(seed))
                .take(Instant::START, nobody)
                .expect("all are free")
        };
        let mut begun: Vec<u16> = (0..100).map(first).collect();
        assert_eq!(first(7), first(7), "one seed, one port");
        begun.sort_unstable();
        begun.dedup();
        assert!(begun.len() > 95, "{begun:?}");
        assert!(begun.iter().all(|port| port % 2 == 0 && (10_000..20_000).contains(port)));
    }

    #[test]
    fn a_pair_rests_before_it_is_used_again() {
        let mut ports = all(10_000, 10_001);
        let port = ports.take(Instant::START, nobody).expect("one pair is free");
        ports.give_back(port, None, Instant::START);
        assert_eq!(ports.take(Instant::START + QUARANTINE - Duration::from_millis(1), nobody), None);
        assert_eq!(ports.take(Instant::START + QUARANTINE, nobody), Some(port));
    }

    #[test]
    fn a_pair_rests_as_long_as_somebody_may_answer_who_was_offered_it() {
        let mut ports = all(10_000, 10_001);
        let port = ports.take(Instant::START, nobody).expect("one pair is free");
        ports.give_back(port, Some(SessionId(1)), Instant::START);
        let later = Instant::START + QUARANTINE * 3;
        assert_eq!(ports.take(later, |session| session == SessionId(1)), None);
        assert_eq!(ports.take(later + Duration::from_millis(1), nobody), None);
        assert_eq!(ports.take(later + QUARANTINE, nobody), Some(port));
    }

    #[test]
    fn a_range_up_to_the_last_port_ends_there() {
        let mut ports = all(65_532, 65_535);
        let mut taken: Vec<_> = std::iter::from_fn(|| ports.take(Instant::START, nobody)).collect();
        taken.sort_unstable();
        assert_eq!(taken, [65_532, 65_534]);
    }

    #[test]
    fn a_pair_of_an_older_range_does_not_come_back() {
        let mut ports = all(10_000, 10_001);
        let old = ports.take(Instant::START, nobody).expect("one pair is free");
        ports.change_range(20_000, 20_001);
        ports.give_back(old, None, Instant::START);
        assert_eq!(ports.take(Instant::START + Duration::from_secs(60), nobody), Some(20_000));
        assert_eq!(ports.take(Instant::START + Duration::from_secs(60), nobody), None);
        assert_eq!(ports.in_use(), 1);
    }

    fn all(start: u16, end: u16) -> Ports {
        Ports::new(start, end, Rng::from_number(7))
    }

    fn nobody(_: SessionId) -> bool {
        false
    }
}
