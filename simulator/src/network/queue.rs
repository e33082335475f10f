//! What is under way, in the order in which it is due.

use pbx::time::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things that are due some time; of those that are due at the same time, what was put in first comes out first.
///
/// The heap has their times and places alone, so that to sort them moves three words and not a packet.
pub(super) struct Queue<T> {
    order: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    things: Vec<Option<T>>,
    /// Places nobody has.
    free: Vec<usize>,
    sequence: u64,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Queue<T> {
        Queue { order: BinaryHeap::new(), things: Vec::new(), free: Vec::new(), sequence: 0 }
    }

    pub(super) fn push(&mut self, at: Instant, thing: T) {
        self.sequence += 1;
        let place = match self.free.pop() {
            Some(place) => {
                self.things[place] = Some(thing);
                place
            }
            None => {
                self.things.push(Some(thing));
                self.things.len() - 1
            }
        };
        self.order.push(Reverse((at, self.sequence, place)));
    }

    /// When the first is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.order.peek().map(|Reverse((at, ..))| *at)
    }

    /// The first that is due by `now`, and when it was.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        self.next_due().filter(|at| *at <= now)?;
        let Reverse((at, _, place)) = self.order.pop()?;
        self.free.push(place);
        Some((at, self.things[place].take()?))
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.things.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_at_the_same_time_comes_in_the_order_of_its_coming() {
        let mut queue = Queue::new();
        let at = Instant::from_millis;
        for (millis, name) in [(20, "c"), (10, "a"), (20, "d"), (10, "b"), (30, "e")] {
            queue.push(at(millis), name);
        }
        let mut due = |millis| -> String {
            std::iter::from_fn(|| queue.pop_due(at(millis))).map(|(_, name)| name).collect()
        };
        assert_eq!([due(9), due(10), due(29), due(30)], ["", "ab", "cd", "e"]);
        // A place is used again.
        queue.push(at(40), "f");
        assert_eq!((queue.next_due(), queue.iter().count(), queue.things.len()), (Some(at(40)), 1, 5));
    }
}
