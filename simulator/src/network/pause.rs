//! Hosts that stand still: their programs do nothing, while their kernels go on to take packets into socket buffers and to
//! shake hands. To their peers they are silent. Afterwards every deadline that has passed is due at once.

use super::Network;
use super::far::Task;
use super::state::{Due, State};
use crate::guards;
use pbx::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The hosts that stand still, and whose tasks wait for them to go on.
#[derive(Default)]
pub(super) struct Paused {
    hosts: BTreeSet<IpAddr>,
    waiting: BTreeMap<IpAddr, Vec<Waker>>,
    /// Entries of the timetable that have missed a turn.
    late: BTreeMap<IpAddr, Vec<usize>>,
}

impl Paused {
    pub(super) fn pause(&mut self, host: IpAddr) {
        self.hosts.insert(host);
    }

    /// An entry of the timetable has missed its turn.
    pub(super) fn misses(&mut self, host: IpAddr, number: usize) {
        self.late.entry(host).or_default().push(number);
    }

    pub(super) fn is_paused(&self, host: IpAddr) -> bool {
        self.hosts.contains(&host)
    }

    /// Those hosts.
    pub(super) fn hosts(&self) -> Vec<IpAddr> {
        self.hosts.iter().copied().collect()
    }

    /// Whether the task has to wait.
    fn waits(&mut self, host: IpAddr, waker: &Waker) -> bool {
        if !self.is_paused(host) {
            return false;
        }
        let waiting = self.waiting.entry(host).or_default();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        true
    }
}

impl State {
    /// A host goes on; the tasks are for the caller to wake, outside the lock.
    pub(super) fn resume(&mut self, host: IpAddr, now: Instant) -> Vec<Waker> {
        self.paused.hosts.remove(&host);
        for number in self.paused.late.remove(&host).unwrap_or_default() {
            self.set_turn(number, Some(now));
        }
        for number in self.datagrams.unread_at(host) {
            self.schedule(now, Due::Reading(number));
        }
        self.paused.waiting.remove(&host).unwrap_or_default()
    }
}

/// A task of a host, which does nothing while the host stands still.
pub(super) struct Pausable {
    network: Network,
    host: IpAddr,
    task: Task,
}

impl Pausable {
    pub(super) fn new(network: Network, host: IpAddr, task: Task) -> Pausable {
        Pausable { network, host, task }
    }
}

impl Future for Pausable {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let may_stand_still = self.network.has_ever_paused();
        if may_stand_still && self.network.state().paused.waits(self.host, context.waker()) {
            return Poll::Pending;
        }
        guards::poll_task(self.task.as_mut(), context)
    }
}
