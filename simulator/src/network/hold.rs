//! Links that hold packets back: what is under way waits, and arrives when the link is released.

use super::flow::Segment;
use super::state::{Due, State};
use pbx::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Packets that wait on one link; more are lost.
const ROOM: usize = 65_536;

/// The links that are held, with what waits on each in the order of its coming.
#[derive(Default)]
pub(super) struct Held {
    links: BTreeMap<(IpAddr, IpAddr), Vec<Due>>,
}

impl Held {
    /// Those links.
    pub(super) fn links(&self) -> Vec<(IpAddr, IpAddr)> {
        self.links.keys().copied().collect()
    }

    /// Everything that waits.
    pub(super) fn all(&self) -> impl Iterator<Item = &Due> {
        self.links.values().flatten()
    }
}

impl State {
    /// From now on packets from one host to another wait, those under way too.
    pub(super) fn hold(&mut self, from: IpAddr, to: IpAddr) {
        self.held.links.entry((from, to)).or_default();
    }

    /// What waits arrives now, and nothing waits any more.
    pub(super) fn release(&mut self, from: IpAddr, to: IpAddr, now: Instant) {
        for due in self.held.links.remove(&(from, to)).into_iter().flatten() {
            self.schedule(now, due);
        }
    }

    /// Keeps what is due on a held link; gives back everything else.
    pub(super) fn hold_back(&mut self, due: Due) -> Option<Due> {
        if self.held.links.is_empty() {
            return Some(due);
        }
        let way = match &due {
            Due::Datagram { from, to, .. } => Some((from.ip(), to.ip())),
            Due::Unreachable { sender, about } => Some((about.ip(), sender.ip())),
            Due::Segment(segment) => self.flows.way(segment),
            Due::Again { .. }
            | Due::Outward { .. }
            | Due::SegmentOutward { .. }
            | Due::SegmentInside(_)
            | Due::Reading(_)
            | Due::Turn(_)
            | Due::Forged(_)
            | Due::Overdue(_)
            | Due::Orphaned(_) => None,
        };
        let Some(waiting) = way.and_then(|way| self.held.links.get_mut(&way)) else { return Some(due) };
        if waiting.len() == ROOM {
            self.books.undeliverable += u64::from(matches!(due, Due::Datagram { .. }));
            return None;
        }
        let overdue = match &due {
            Due::Segment(segment) => Some((segment.given_up_at(), Due::Overdue(segment.clone()))),
            _ => None,
        };
        waiting.push(due);
        if let Some((at, due)) = overdue {
            self.schedule(at, due);
        }
        None
    }

    /// Who has sent it does not wait for ever.
    pub(super) fn give_up_if_held(&mut self, segment: &Segment) {
        let is_it = |due: &Due| matches!(due, Due::Segment(held) if held.is_same(segment));
        if self.held.all().any(is_it) {
            self.give_up(segment);
        }
    }
}
