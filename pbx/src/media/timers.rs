//! When a stream is to be looked after: a heap whose outdated entries are left in it until they surface.
//!
//! A `BTreeSet` would allocate for the 50 deadlines a second of each tone; this does not.

use crate::time::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The next packet of a tone or a key.
    Pace,
    /// The next RTCP report.
    Report,
    /// No RTP for so long.
    Silence,
}

const KINDS: usize = 3;

/// The deadlines of one slot, by kind.
pub(super) type Armed = [Option<Instant>; KINDS];

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u32, Kind)>>,
    /// The deadlines that hold, by slot and kind.
    armed: Vec<Armed>,
}

impl Timers {
    /// The one deadline of this kind is `at` from now on.
    pub(super) fn set(&mut self, slot: u32, kind: Kind, at: Option<Instant>) {
        let index = slot as usize;
        if self.armed.len() <= index {
            self.armed.resize(index + 1, [None; KINDS]);
        }
        let armed = &mut self.armed[index][kind as usize];
        if *armed == at {
            return;
        }
        *armed = at;
        if let Some(at) = at {
            self.heap.push(Reverse((at, slot, kind)));
        }
        self.sweep();
    }

    /// Whether there is a deadline of this kind.
    pub(super) fn is_set(&self, slot: u32, kind: Kind) -> bool {
        self.armed.get(slot as usize).is_some_and(|armed| armed[kind as usize].is_some())
    }

    /// Nothing of this slot is due any longer.
    pub(super) fn clear(&mut self, slot: u32) {
        if let Some(armed) = self.armed.get_mut(slot as usize) {
            *armed = [None; KINDS];
        }
        self.sweep();
    }

    /// All deadlines of this slot, which hold no longer.
    pub(super) fn take(&mut self, slot: u32) -> Armed {
        let armed = self.armed.get(slot as usize).copied().unwrap_or_default();
        self.clear(slot);
        armed
    }

    /// The deadlines of this slot from now on.
    pub(super) fn put(&mut self, slot: u32, armed: Armed) {
        for (kind, at) in [Kind::Pace, Kind::Report, Kind::Silence].into_iter().zip(armed) {
            self.set(slot, kind, at);
        }
    }

    /// The earliest deadline that has come; it holds no longer.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, u32, Kind)> {
        let Reverse(due) = *self.heap.peek()?;
        if due.0 > now {
            return None;
        }
        self.heap.pop();
        self.armed[due.1 as usize][due.2 as usize] = None;
        self.sweep();
        Some(due)
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Keeps the top of the heap true, and the heap not much larger than what holds.
    fn sweep(&mut self) {
        while let Some(Reverse(top)) = self.heap.peek()
            && !holds(&self.armed, top)
        {
            self.heap.pop();
        }
        if self.heap.len() > 64 + 2 * KINDS * self.armed.len() {
            let armed = &self.armed;
            self.heap.retain(|Reverse(entry)| holds(armed, entry));
        }
    }
}

fn holds(armed: &[Armed], (at, slot, kind): &(Instant, u32, Kind)) -> bool {
    armed.get(*slot as usize).is_some_and(|armed| armed[*kind as usize] == Some(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_deadline_holds() {
        let mut timers = Timers::default();
        let at = Instant::from_millis;
        timers.set(1, Kind::Pace, Some(at(20)));
        timers.set(0, Kind::Silence, Some(at(10)));
        timers.set(0, Kind::Silence, Some(at(30)));
        assert_eq!(timers.next(), Some(at(20)));
        assert_eq!(timers.pop(at(19)), None);
        assert_eq!(timers.pop(at(30)), Some((at(20), 1, Kind::Pace)));
        assert_eq!(timers.pop(at(30)), Some((at(30), 0, Kind::Silence)));
        assert_eq!((timers.pop(at(99)), timers.next()), (None, None));
    }

    #[test]
    fn a_deadline_set_again_and_again_does_not_pile_up() {
        let mut timers = Timers::default();
        for n in 0..100_000 {
            timers.set(n as u32 % 4, Kind::Silence, Some(Instant::from_millis(1_000_000 - n)));
        }
        assert!(timers.heap.len() <= 100, "{} entries", timers.heap.len());
        (0..4).for_each(|slot| timers.clear(slot));
        assert_eq!(timers.next(), None);
    }
}
