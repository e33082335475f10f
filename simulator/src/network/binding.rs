//! Which UDP sockets were open when, for those who want to know whether somebody listened; what else a host holds.

use pbx::time::Instant;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A UDP socket, from its opening to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What it is bound to.
    pub address: SocketAddr,
    /// When it was opened.
    pub since: Instant,
    /// When it was closed; `None` while it is open.
    pub until: Option<Instant>,
}

/// What a host holds of its machine and its network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// UDP sockets.
    pub sockets: usize,
    /// Ends of TCP streams.
    pub streams: usize,
    /// Those of them whose other end is closed.
    pub deserted: usize,
    /// Tasks that have not ended.
    pub tasks: usize,
}

/// All of them, in the order in which they were opened.
#[derive(Default)]
pub(super) struct Bindings {
    all: Vec<Binding>,
    open: BTreeMap<SocketAddr, usize>,
}

impl Bindings {
    pub(super) fn open(&mut self, address: SocketAddr, now: Instant) {
        self.open.insert(address, self.all.len());
        self.all.push(Binding { address, since: now, until: None });
    }

    pub(super) fn close(&mut self, address: SocketAddr, now: Instant) {
        if let Some(at) = self.open.remove(&address) {
            self.all[at].until = Some(now);
        }
    }

    /// The host has lost its power.
    pub(super) fn close_all_of(&mut self, host: IpAddr, now: Instant) {
        let of_host: Vec<SocketAddr> =
            self.open.keys().copied().filter(|address| address.ip() == host).collect();
        of_host.into_iter().for_each(|address| self.close(address, now));
    }

    pub(super) fn open_at(&self, host: IpAddr) -> usize {
        self.open.keys().filter(|address| address.ip() == host).count()
    }

    pub(super) fn all(&self) -> &[Binding] {
        &self.all
    }
}
