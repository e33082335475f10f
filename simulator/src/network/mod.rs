//! The simulated network: hosts with addresses, links with faults, datagrams and streams, in virtual time.
//!
//! One heap of (due, sequence) holds all that is under way; one task ([`Network::drive`]) sleeps until the next of it is
//! due. Sockets are values in one state behind a lock that nobody ever waits for, as a world is one thread.
//!
//! | file | what is in it |
//! |---|---|
//! | `link.rs` | what a link does to packets |
//! | `state.rs` | the heap, the hosts, the links, the faults that were drawn |
//! | `datagram.rs` | UDP sockets |
//! | `stream.rs`, `flow.rs` | TCP: listeners and streams; handshake, windows, loss as delay |
//! | `host.rs` | a host as the PBX's shell sees it |
//! | `tap.rs` | what passes, for those who watch |
//! | `forge.rs` | faults planted in what a host sends, to see that somebody notices |

mod datagram;
mod flow;
mod forge;
mod host;
mod link;
mod state;
mod stream;
mod tap;

pub use datagram::UdpSocket;
pub use forge::Outgoing;
pub use host::SimHost;
pub use link::{Bursts, Fate, Link};
pub use stream::{TcpListener, TcpStream};
pub use tap::{Kind, Packet, PacketNumber};

use pbx::time::{Duration, Instant, WallClock};
pub use state::Books;
use state::State;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// A network; clones are the same network.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something is due earlier than what the driver sleeps for.
    earlier: Notify,
    started: tokio::time::Instant,
    clock: WallClock,
    seed: u64,
}

/// How a network begins.
#[derive(Clone, Debug)]
pub struct Builder {
    seed: u64,
    clock: WallClock,
    link: Link,
}

impl Builder {
    /// A network of good links, seed 0, on a fixed date.
    pub fn new() -> Builder {
        Builder { seed: 0, clock: WallClock { epoch_micros: 1_767_225_600_000_000 }, link: Link::default() }
    }

    /// What everything follows from.
    pub fn rng_seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// What o'clock it is at the start.
    pub fn epoch(mut self, clock: WallClock) -> Builder {
        self.clock = clock;
        self
    }

    /// What links do where nothing else is said.
    pub fn link(mut self, link: Link) -> Builder {
        self.link = link;
        self
    }

    /// The network. To be called within a tokio runtime whose time is paused.
    pub fn build(self) -> Network {
        Network {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(self.seed, self.link)),
                earlier: Notify::new(),
                started: tokio::time::Instant::now(),
                clock: self.clock,
                seed: self.seed,
            }),
        }
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Network {
    /// Virtual time since the start.
    pub fn elapsed(&self) -> Instant {
        let nanos = self.shared.started.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// What o'clock it was at the start.
    pub fn clock(&self) -> WallClock {
        self.shared.clock
    }

    /// A machine at an address. A second call with the same address gives the same machine.
    pub fn host(&self, name: &str, address: IpAddr) -> SimHost {
        self.state().add_host(address, name);
        SimHost::new(self.clone(), address)
    }

    /// A name that resolves to addresses; none: the name is taken away.
    pub fn name(&self, name: &str, addresses: &[IpAddr]) {
        self.state().names.insert(name.to_ascii_lowercase(), addresses.to_vec());
    }

    /// What the link between two hosts does from now on, both ways.
    pub fn set_link(&self, a: IpAddr, b: IpAddr, link: Link) {
        let mut state = self.state();
        state.links.insert((a, b), link.clone());
        state.links.insert((b, a), link);
    }

    /// What the link from one host to another does from now on, this way only.
    pub fn set_link_one_way(&self, from: IpAddr, to: IpAddr, link: Link) {
        self.state().links.insert((from, to), link);
    }

    /// What links do where nothing else is said, from now on.
    pub fn set_default_link(&self, link: Link) {
        self.state().default_link = link;
    }

    /// Nothing passes between two hosts, both ways.
    pub fn partition(&self, a: IpAddr, b: IpAddr) {
        self.partition_one_way(a, b);
        self.partition_one_way(b, a);
    }

    /// Nothing passes from one host to another.
    pub fn partition_one_way(&self, from: IpAddr, to: IpAddr) {
        self.state().cuts.insert((from, to));
    }

    /// Packets pass between two hosts again.
    pub fn repair(&self, a: IpAddr, b: IpAddr) {
        let mut state = self.state();
        state.cuts.remove(&(a, b));
        state.cuts.remove(&(b, a));
    }

    /// Whether the host is on.
    pub fn is_up(&self, address: IpAddr) -> bool {
        self.state().is_up(address)
    }

    /// The host is off from now on: its sockets are gone, its peers hear nothing. Its tasks are ended.
    pub fn crash(&self, address: IpAddr) {
        let tasks = self.state().crash(address);
        for task in tasks {
            task.abort();
        }
    }

    /// The host is on again, with nothing bound.
    pub fn bounce(&self, address: IpAddr) {
        self.crash(address);
        self.state().revive(address);
    }

    /// Gives every packet that is sent to `tap`, with what was drawn for it.
    pub fn watch(&self, tap: impl FnMut(&Packet) + Send + 'static) {
        self.state().taps.push(Box::new(tap));
    }

    /// Overrides what is drawn: this packet of this link has this fate.
    pub fn script(&self, from: IpAddr, to: IpAddr, number: u64, fate: Fate) {
        self.state().scripted.insert((from, to, number), fate);
    }

    /// What became of all datagrams so far.
    pub fn books(&self) -> Books {
        self.state().books()
    }

    /// Moves what is under way, for as long as the network is used. Runs beside whatever uses the network.
    pub async fn drive(&self) {
        loop {
            let next = {
                let now = self.elapsed();
                let mut state = self.state();
                state.run_until(now);
                state.next_due()
            };
            // All tasks of one instant write before time moves on.
            tokio::task::yield_now().await;
            let earlier = self.shared.earlier.notified();
            match next {
                Some(at) => {
                    let at = self.shared.started + Duration::from_nanos(at.as_nanos());
                    tokio::select! {
                        biased;
                        () = earlier => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => earlier.await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Acts on the state; wakes the driver when something is due earlier than before.
    fn with<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = self.elapsed();
        let mut state = self.state();
        let before = state.next_due();
        let result = act(&mut state, now);
        let after = state.next_due();
        if after.is_some() && (before.is_none() || after < before) {
            self.shared.earlier.notify_one();
        }
        result
    }
}
