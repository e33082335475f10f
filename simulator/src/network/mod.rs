//! The simulated network: hosts with addresses, links with faults, datagrams and streams, in virtual time.
//!
//! One heap of (due, sequence) holds all that is under way; what moves the time moves it as well (`drive.rs`). Sockets are
//! values in one state behind a lock that nobody ever waits for, as a world is one thread.
//!
//! | file | what is in it |
//! |---|---|
//! | `link.rs` | what a link does to packets |
//! | `state.rs` | the heap, the hosts, the links, the faults that were drawn |
//! | `datagram.rs` | UDP sockets |
//! | `binding.rs` | which of them were open when, and what else a host holds |
//! | `stream.rs`, `flow.rs` | TCP: listeners and streams; handshake, windows, loss as delay |
//! | `hold.rs`, `pause.rs`, `scissors.rs` | links that hold packets back, hosts that stand still, streams that are cut |
//! | `nat.rs` | boxes between a few hosts and everybody else |
//! | `drive.rs` | what moves everything |
//! | `queue.rs`, `timetable.rs` | what is due next; machines that have their turns |
//! | `lookup.rs`, `store.rs` | tables in which a packet is looked up; where its bytes are kept |
//! | `host.rs` | a host as the PBX's shell sees it |
//! | `ground.rs`, `far.rs`, `steps.rs` | turmoil and the loopback of this machine instead of our network |
//! | `socket.rs` | sockets of any of them |
//! | `tap.rs` | what passes, for those who watch |
//! | `forge.rs` | faults planted in what a host sends, to see that somebody notices |

mod binding;
mod datagram;
mod drive;
mod far;
mod flow;
mod forge;
mod ground;
mod hold;
mod host;
mod link;
mod lookup;
mod nat;
mod pause;
mod queue;
mod scissors;
mod socket;
mod state;
mod steps;
mod store;
mod stream;
mod tap;
mod timetable;

pub use binding::{Binding, Holdings};
pub(crate) use drive::Driven;
pub use forge::Outgoing;
pub use ground::{Ground, Unplayable};
pub(crate) use host::Attendance;
pub use host::SimHost;
pub use link::{Bursts, Fate, Link};
pub use nat::{Dependence, Nat, box_of, is_box, seen_outside};
pub use socket::{TcpListener, TcpStream, UdpSocket};
pub(crate) use steps::Steps;
pub use tap::{Happening, Kind, Packet, PacketNumber};
pub(crate) use timetable::Alarm;

use bytes::Bytes;
use far::{Command, Far, Task};
use lookup::Way;
use pause::Pausable;
use pbx::shell::timer::Deadline;
use pbx::time::{Instant, WallClock};
use state::State;
pub(crate) use state::flipped;
pub use state::{Books, Outage};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A network; clones are the same network.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Whether any host ever stood still, or a link held packets back.
    has_paused: AtomicBool,
    started: Deadline,
    clock: WallClock,
    seed: u64,
    /// What carries packets instead of us.
    far: Option<Far>,
}

/// The last byte of the PBX's address.
const PBX_NUMBER: u8 = 1;

/// How a network begins.
#[derive(Clone, Debug)]
pub struct Builder {
    seed: u64,
    clock: WallClock,
    link: Link,
    ground: Ground,
}

impl Builder {
    /// A network of good links, seed 0, on a fixed date.
    pub fn new() -> Builder {
        Builder {
            seed: 0,
            clock: WallClock { epoch_micros: 1_767_225_600_000_000 },
            link: Link::default(),
            ground: Ground::Own,
        }
    }

    /// What everything follows from.
    pub fn rng_seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
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

    /// What carries the packets; ours where nothing is said.
    pub fn over(mut self, ground: Ground) -> Builder {
        self.ground = ground;
        self
    }

    /// The network, whose time begins now. Within [`crate::world`], or on another ground within its runtime.
    pub fn build(self) -> Network {
        Network {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(self.seed, self.link)),
                has_paused: AtomicBool::new(false),
                started: Deadline::now(),
                clock: self.clock,
                seed: self.seed,
                far: Far::new(self.ground),
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
        let elsewhere = self.shared.far.as_ref().and_then(Far::elapsed);
        let nanos = elsewhere.unwrap_or_else(|| Deadline::now().since(self.shared.started)).as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// What o'clock it was at the start.
    pub fn clock(&self) -> WallClock {
        self.shared.clock
    }

    /// A machine at an address. A second call with the same address gives the same machine.
    pub fn host(&self, name: &str, address: IpAddr) -> SimHost {
        self.state().add_host(address, name);
        if let Some(far) = &self.shared.far {
            far.jobs(address);
        }
        SimHost::new(self.clone(), address)
    }

    /// A name that resolves to addresses; none: the name is taken away.
    pub fn name(&self, name: &str, addresses: &[IpAddr]) {
        self.state().names.insert(name.to_ascii_lowercase(), addresses.to_vec());
    }

    /// What the link between two hosts does from now on, both ways.
    pub fn set_link(&self, a: IpAddr, b: IpAddr, link: Link) {
        self.must_know(&link);
        let mut state = self.state();
        state.links.insert(Way(a, b), link.clone());
        state.links.insert(Way(b, a), link);
    }

    /// What the link from one host to another does from now on, this way only.
    pub fn set_link_one_way(&self, from: IpAddr, to: IpAddr, link: Link) {
        self.must_know(&link);
        self.state().links.insert(Way(from, to), link);
    }

    /// What links do where nothing else is said, from now on.
    pub fn set_default_link(&self, link: Link) {
        self.must_know(&link);
        self.state().default_link = link;
    }

    /// What the link from one host to another does.
    pub fn link(&self, from: IpAddr, to: IpAddr) -> Link {
        self.state().link((from, to)).clone()
    }

    /// All links do again what is said where nothing else is; nothing is cut, held or stands still.
    pub fn heal(&self) {
        let (cuts, held) = {
            let state = self.state();
            (state.cuts.clone(), state.held.links())
        };
        cuts.into_iter().for_each(|(from, to)| self.repair_one_way(from, to));
        if self.shared.far.is_some() {
            held.into_iter().filter(|(from, to)| from < to).for_each(|(from, to)| self.release(from, to));
        }
        let paused = self.with(|state, now| state.heal(now));
        paused.into_iter().for_each(|host| self.resume(host));
    }

    /// Nothing passes between two hosts, both ways.
    pub fn partition(&self, a: IpAddr, b: IpAddr) {
        self.partition_one_way(a, b);
        self.partition_one_way(b, a);
    }

    /// Nothing passes from one host to another.
    pub fn partition_one_way(&self, from: IpAddr, to: IpAddr) {
        self.command(Command::Partition(from, to), "cut links");
        let now = self.elapsed();
        let mut state = self.state();
        if state.cuts.insert((from, to)) {
            state.happened.push((now, Happening::Cut(from, to)));
        }
    }

    /// Packets pass between two hosts again.
    pub fn repair(&self, a: IpAddr, b: IpAddr) {
        self.repair_one_way(a, b);
        self.repair_one_way(b, a);
    }

    /// Packets pass from one host to another again.
    pub fn repair_one_way(&self, from: IpAddr, to: IpAddr) {
        let now = self.elapsed();
        let was_cut = self.state().cuts.remove(&(from, to));
        if was_cut {
            self.command(Command::Repair(from, to), "cut links");
            self.state().happened.push((now, Happening::Mend(from, to)));
        }
    }

    /// From now on no link does anything but take its time, and no line is cut. What is scripted holds.
    pub fn calm(&self) {
        self.state().default_link = Link::default();
        self.heal();
    }

    /// Packets between two hosts wait from now on, those under way too, both ways.
    pub fn hold(&self, a: IpAddr, b: IpAddr) {
        self.shared.has_paused.store(true, Ordering::Relaxed);
        self.command(Command::Hold(a, b), "hold packets back");
        let mut state = self.state();
        state.hold(a, b);
        state.hold(b, a);
    }

    /// Those that wait arrive, in their order.
    pub fn release(&self, a: IpAddr, b: IpAddr) {
        self.command(Command::Release(a, b), "hold packets back");
        self.with(|state, now| {
            state.release(a, b, now);
            state.release(b, a, now);
        });
    }

    /// Every stream between two hosts breaks: both ends are told by RST.
    pub fn break_streams(&self, a: IpAddr, b: IpAddr) {
        self.must_be_own("break streams");
        self.with(|state, now| state.break_streams(a, b, now));
    }

    /// The same, after so many bytes more have passed from one to the other: a message may be cut in the middle.
    pub fn break_streams_after(&self, from: IpAddr, to: IpAddr, bytes: usize) {
        self.must_be_own("break streams");
        self.state().cut_after(from, to, bytes);
    }

    /// The programs of a host stand still: it is silent, keeps all it has, and packets wait in its sockets.
    pub fn pause(&self, host: IpAddr) {
        self.must_be_own("let hosts stand still");
        self.shared.has_paused.store(true, Ordering::Relaxed);
        self.state().paused.pause(host);
    }

    /// They go on, late for everything that was due meanwhile.
    pub fn resume(&self, host: IpAddr) {
        let waiting = self.with(|state, now| state.resume(host, now));
        waiting.into_iter().for_each(std::task::Waker::wake);
    }

    /// Whether the programs of a host stand still.
    pub fn is_paused(&self, host: IpAddr) -> bool {
        self.state().paused.is_paused(host)
    }

    /// Whether any host ever stood still, or a link held packets back.
    pub fn has_ever_paused(&self) -> bool {
        self.shared.has_paused.load(Ordering::Relaxed)
    }

    /// Whether the host is on.
    pub fn is_up(&self, address: IpAddr) -> bool {
        self.state().is_up(address)
    }

    /// The host is off from now on: its sockets are gone, its peers hear nothing. Its tasks are ended.
    pub fn crash(&self, address: IpAddr) {
        if self.is_up(address) {
            let now = self.elapsed();
            self.state().happened.push((now, Happening::Off(address)));
        }
        self.switch_off(address);
    }

    /// The host is on again, with nothing bound. It starts once a moment, however often it is told to.
    pub fn bounce(&self, address: IpAddr) {
        let now = self.elapsed();
        if self.state().has_just_started(address, now) {
            return;
        }
        self.switch_off(address);
        self.command(Command::Bounce(address), "let hosts crash");
        let mut state = self.state();
        state.revive(address, now);
        state.happened.push((now, Happening::Restart(address)));
    }

    /// What has happened to machines and lines, in order.
    pub fn happenings(&self) -> Vec<(Instant, Happening)> {
        self.state().happened.clone()
    }

    /// How often the host was started.
    pub fn starts(&self, address: IpAddr) -> u64 {
        self.state().starts(address)
    }

    /// Makes life harder for the program on a host, from its next task on.
    #[cfg(feature = "buggify")]
    pub fn set_whims(&self, address: IpAddr, whims: pbx::buggify::Whims) {
        self.state().set_whims(address, whims);
    }

    /// When hosts were off.
    pub fn outages(&self) -> Vec<Outage> {
        self.state().outages.clone()
    }

    /// Gives every packet that is sent to `tap`, with what was drawn for it.
    pub fn watch(&self, tap: impl FnMut(Packet) + Send + 'static) {
        self.state().taps.push(Box::new(tap));
    }

    /// Tells those who watch something that is not sent.
    pub(crate) fn tell_watchers(&self, from: SocketAddr, to: SocketAddr, kind: Kind, bytes: &[u8]) {
        let at = self.elapsed();
        let (number, fate, arrives) = (0, Fate::default(), Some(at));
        let bytes = Bytes::copy_from_slice(bytes);
        let packet = Packet { at, from, to, kind, bytes, number, fate, arrives };
        self.state().tell(packet);
    }

    /// Overrides what is drawn: this packet of this link has this fate.
    pub fn script(&self, from: IpAddr, to: IpAddr, number: u64, fate: Fate) {
        self.must_be_own("script the fate of packets");
        self.state().scripted.insert((from, to, number), fate);
    }

    /// Nothing is drawn from now on: what was not scripted passes as on a good link.
    pub fn dice_off(&self) {
        self.state().is_scripted = true;
    }

    /// What became of all datagrams so far.
    pub fn books(&self) -> Books {
        self.state().books()
    }

    /// Which UDP sockets were open when, in the order in which they were opened.
    pub fn bindings(&self) -> Vec<Binding> {
        self.state().bindings.all().to_vec()
    }

    /// What a host holds at this moment.
    pub fn holdings(&self, address: IpAddr) -> Holdings {
        self.state().holdings(address)
    }

    /// What turmoil can do as well, the loopback cannot.
    fn command(&self, command: Command, what: &str) {
        match &self.shared.far {
            Some(far) if far.is_turmoil() => far.command(command),
            Some(_) => self.must_be_own(what),
            None => {}
        }
    }

    /// Begins a task of a host.
    #[expect(clippy::disallowed_methods, reason = "this is where tasks are spawned on behalf of a host")]
    fn spawn_for(&self, host: IpAddr, task: Task) {
        match &self.shared.far {
            Some(far) if far.is_turmoil() => far.jobs(host).push(task),
            Some(_) | None => {
                let task = Pausable::new(self.clone(), host, task);
                #[cfg(feature = "buggify")]
                let whims = self.state().whims(host);
                #[cfg(feature = "buggify")]
                if let Some(whims) = whims {
                    let task = tokio::spawn(host::whimsical(whims, task));
                    return self.state().add_task(host, task.abort_handle());
                }
                let task = tokio::spawn(task);
                self.state().add_task(host, task.abort_handle());
            }
        }
    }

    fn switch_off(&self, address: IpAddr) {
        self.command(Command::Crash(address), "let hosts crash");
        if let Some(far) = &self.shared.far {
            far.jobs(address).clear();
        }
        let now = self.elapsed();
        let tasks = self.state().crash(address, now);
        for task in tasks {
            task.abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Acts on the state, as it is now.
    fn with<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = self.elapsed();
        let mut state = self.state();
        act(&mut state, now)
    }
}
