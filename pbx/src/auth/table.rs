//! A table that stays small: when it is full, what was touched longest ago makes room.

use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// At most `capacity` values by key, each with the time it was last touched for.
pub(super) struct Table<K, V> {
    capacity: usize,
    values: BTreeMap<K, (Instant, V)>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone, V: Default> Table<K, V> {
    pub(super) fn new(capacity: usize) -> Table<K, V> {
        Table { capacity, values: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// The value of `key` and the time it stands for.
    pub(super) fn find(&self, key: &K) -> Option<(Instant, &V)> {
        self.values.get(key).map(|(at, value)| (*at, value))
    }

    /// The value of `key`, a new one if there was none, from now on standing for `at`.
    pub(super) fn touch(&mut self, key: &K, at: Instant) -> &mut V {
        let value = self.remove(key).unwrap_or_default();
        if self.values.len() >= self.capacity
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.values.remove(&oldest);
        }
        self.by_time.insert((at, key.clone()));
        &mut self.values.entry(key.clone()).insert_entry((at, value)).into_mut().1
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (at, value) = self.values.remove(key)?;
        self.by_time.remove(&(at, key.clone()));
        Some(value)
    }

    /// Forgets, from the oldest on, what stands for a time that is over.
    pub(super) fn forget(&mut self, is_over: impl Fn(Instant) -> bool) {
        while self.by_time.first().is_some_and(|(at, _)| is_over(*at)) {
            let Some((_, key)) = self.by_time.pop_first() else { return };
            self.values.remove(&key);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.values.len(), self.by_time.len());
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_touched_longest_ago_makes_room() {
        let mut table = Table::<_, u32>::new(2);
        *table.touch(&"a", Instant::from_millis(1)) = 1;
        table.touch(&"b", Instant::from_millis(2));
        assert_eq!(*table.touch(&"a", Instant::from_millis(3)), 1);
        table.touch(&"c", Instant::from_millis(4));
        assert_eq!((table.len(), table.find(&"b")), (2, None));
        assert_eq!(table.find(&"a"), Some((Instant::from_millis(3), &1)));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut table = Table::<_, ()>::new(9);
        for i in 1..=5 {
            table.touch(&i, Instant::from_millis(i));
        }
        table.forget(|at| at <= Instant::from_millis(3));
        assert_eq!(table.len(), 2);
        assert!(table.find(&3).is_none() && table.find(&4).is_some());
    }
}
