//! The heap, the hosts, the links.

use super::binding::{Bindings, Holdings};
use super::datagram::{Datagrams, Delivered};
use super::drive::Call;
use super::flow::{FlowId, Flows, Segment};
use super::forge::{Forger, Outgoing};
use super::hold::Held;
use super::link::{Fate, Link};
use super::lookup::{Lookup, Machine, Way, address_bits};
use super::nat::Boxes;
use super::pause::Paused;
use super::queue::Queue;
use super::scissors::Scissors;
use super::store::Store;
use super::tap::{Happening, Kind, Packet};
use super::timetable::Timetable;
use crate::dice::Dice;
use crate::disk::SimDisk;
use bytes::Bytes;
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use tokio::task::AbortHandle;

/// IP and UDP headers, which count against rate and MTU.
const HEADERS: usize = 28;

/// How long a packet of a host takes to itself.
const LOOPBACK: Duration = Duration::ZERO;

/// The first port that is handed out for port 0, and how many there are.
const EPHEMERAL: (u16, u16) = (49_152, 16_384);

/// Somebody who watches what is sent.
pub(super) type Tap = Box<dyn FnMut(Packet) + Send>;

/// All of a network.
pub(super) struct State {
    dice: Dice,
    queue: Queue<Due>,
    /// Room for those who are to be called in one moment.
    pub(super) calls: Vec<Call>,
    pub(super) timetable: Timetable,
    pub(super) default_link: Link,
    loopback: Link,
    pub(super) links: Lookup<Way, Link>,
    pub(super) cuts: BTreeSet<(IpAddr, IpAddr)>,
    pub(super) boxes: Boxes,
    pub(super) held: Held,
    pub(super) paused: Paused,
    pub(super) scissors: Scissors,
    pub(super) scripted: BTreeMap<(IpAddr, IpAddr, u64), Fate>,
    /// Nothing is drawn for packets: only what is scripted happens to them.
    pub(super) is_scripted: bool,
    /// What happened to machines and lines, in order.
    pub(super) happened: Vec<(Instant, Happening)>,
    traffic: Lookup<Way, Traffic>,
    hosts: Lookup<Machine, HostState>,
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    pub(super) taps: Vec<Tap>,
    pub(super) forgers: BTreeMap<IpAddr, Vec<Forger>>,
    pub(super) datagrams: Datagrams,
    pub(super) store: Store,
    pub(super) bindings: Bindings,
    pub(super) flows: Flows,
    disks: BTreeMap<IpAddr, SimDisk>,
    pub(super) books: Books,
    pub(super) outages: Vec<Outage>,
}

/// What has gone from one host to another.
struct Traffic {
    /// How many packets.
    packets: u64,
    /// Until when the link is busy sending.
    busy_until: Instant,
    /// For what happens to them.
    dice: Dice,
}

/// A machine.
#[derive(Default)]
struct HostState {
    name: String,
    up: bool,
    starts: u64,
    started_at: Instant,
    next_port: u16,
    tasks: Vec<AbortHandle>,
    #[cfg(feature = "buggify")]
    whims: Option<std::sync::Arc<pbx::buggify::Whims>>,
}

/// What became of datagrams; copies that the network made count as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// They reached a socket.
    pub delivered: u64,
    /// They reached a host that is off, or a port where nobody listens.
    pub undeliverable: u64,
    /// They have not arrived yet.
    pub under_way: u64,
}

/// A time in which a host was off. Whatever ran on it ended then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Which host.
    pub host: IpAddr,
    /// Since when.
    pub from: Instant,
    /// Until when; `None` when it is still off.
    pub to: Option<Instant>,
}

/// What is under way.
pub(super) enum Due {
    /// A datagram arrives.
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    },
    /// Somebody is told that nobody listens where a datagram went.
    Unreachable {
        sender: SocketAddr,
        about: SocketAddr,
    },
    /// Somebody is to read what has come to the socket of this number.
    Reading(usize),
    /// The entry of this number in the timetable has its turn, unless it has another by now.
    Turn(usize),
    /// What a forger has held back goes out.
    Forged(Outgoing),
    /// A segment of a stream arrives.
    Segment(Segment),
    /// A segment was lost: it goes out once more.
    Again {
        segment: Segment,
        attempt: u32,
    },
    /// From behind a box, a datagram or a segment has come to the box.
    Outward {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    },
    SegmentOutward {
        segment: Segment,
        attempt: u32,
    },
    /// A segment has passed a box and the LAN behind it.
    SegmentInside(Segment),
    /// A segment that was held back has waited for longer than its sender does.
    Overdue(Segment),
    /// An end that nobody holds any more has waited long enough for the other's FIN.
    Orphaned(FlowId),
}

impl Traffic {
    fn new(dice: Dice, (from, to): (IpAddr, IpAddr)) -> Traffic {
        let dice = dice.named("link").at(address_bits(from)).at(address_bits(to));
        Traffic { packets: 0, busy_until: Instant::START, dice }
    }
}

impl State {
    pub(super) fn new(seed: u64, link: Link) -> State {
        State {
            dice: Dice::new(seed),
            queue: Queue::new(),
            calls: Vec::new(),
            timetable: Timetable::default(),
            default_link: link,
            loopback: Link { latency: LOOPBACK, mtu: 65_536, ..Link::default() },
            links: Lookup::default(),
            cuts: BTreeSet::new(),
            boxes: Boxes::default(),
            held: Held::default(),
            paused: Paused::default(),
            scissors: Scissors::default(),
            scripted: BTreeMap::new(),
            is_scripted: false,
            happened: Vec::new(),
            traffic: Lookup::default(),
            hosts: Lookup::default(),
            names: BTreeMap::new(),
            taps: Vec::new(),
            forgers: BTreeMap::new(),
            datagrams: Datagrams::default(),
            store: Store::default(),
            bindings: Bindings::default(),
            flows: Flows::default(),
            disks: BTreeMap::new(),
            books: Books::default(),
            outages: Vec::new(),
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.next_due()
    }

    /// Everything that is due by `now` happens, in the order of time and, within one instant, of sending; `calls` says who is
    /// to be called for it.
    pub(super) fn run_until(&mut self, now: Instant, calls: &mut Vec<Call>) {
        while let Some((at, due)) = self.queue.pop_due(now) {
            let Some(due) = self.hold_back(due) else { continue };
            match due {
                Due::Datagram { from, to, bytes } => calls.extend(self.arrive(from, to, bytes, at)),
                Due::Reading(number) => self.call_reader(number, calls),
                Due::Turn(number) => calls.extend(self.call_machine(number, at)),
                Due::Forged(Outgoing { from, to, bytes, .. }) => self.put_datagram(from, to, &bytes, at),
                Due::Unreachable { sender, about } => self.datagrams.refuse(sender, about),
                Due::Segment(segment) => {
                    if let Some(segment) = self.segment_inward(segment, at) {
                        self.on_segment(segment, at);
                    }
                }
                Due::SegmentInside(segment) => self.on_segment(segment, at),
                Due::Outward { from, to, bytes } => self.go_outward(from, to, bytes, at),
                Due::SegmentOutward { segment, attempt } => self.transmit_outside(segment, attempt, at),
                Due::Again { segment, attempt } => self.transmit(segment, attempt, at),
                Due::Overdue(segment) => self.give_up_if_held(&segment),
                Due::Orphaned(flow) => self.forget_orphan(flow),
            }
        }
    }

    /// What became of all datagrams so far.
    pub(super) fn books(&self) -> Books {
        let is_datagram = |due: &&Due| matches!(due, Due::Datagram { .. });
        let under_way = self.queue.iter().chain(self.held.all()).filter(is_datagram).count() as u64;
        Books { under_way, ..self.books }
    }

    pub(super) fn schedule(&mut self, at: Instant, due: Due) {
        self.queue.push(at, due);
    }

    pub(super) fn add_host(&mut self, address: IpAddr, name: &str) {
        let host = self.hosts.entry(Machine(address)).or_default();
        if host.name.is_empty() {
            *host = HostState {
                name: name.to_owned(),
                up: true,
                starts: 1,
                started_at: Instant::START,
                next_port: EPHEMERAL.0,
                tasks: Vec::new(),
                #[cfg(feature = "buggify")]
                whims: None,
            };
        }
    }

    pub(super) fn is_up(&self, address: IpAddr) -> bool {
        self.hosts.get(&Machine(address)).is_some_and(|host| host.up)
    }

    /// Whether it is on, as far as we know.
    pub(super) fn is_up_or_unknown(&self, address: IpAddr) -> bool {
        self.hosts.get(&Machine(address)).is_none_or(|host| host.up)
    }

    /// The disk of a host, which outlasts its crashes.
    pub(super) fn disk(&mut self, address: IpAddr) -> SimDisk {
        let dice = self.dice.named("disk").at(address_bits(address));
        self.disks.entry(address).or_insert_with(|| SimDisk::new(dice)).clone()
    }

    /// How often this host was started: another seed each time.
    pub(super) fn starts(&self, address: IpAddr) -> u64 {
        self.hosts.get(&Machine(address)).map_or(0, |host| host.starts)
    }

    /// What makes life harder for the program on a host.
    #[cfg(feature = "buggify")]
    pub(super) fn whims(&self, address: IpAddr) -> Option<std::sync::Arc<pbx::buggify::Whims>> {
        self.hosts.get(&Machine(address))?.whims.clone()
    }

    #[cfg(feature = "buggify")]
    pub(super) fn set_whims(&mut self, address: IpAddr, whims: pbx::buggify::Whims) {
        if let Some(host) = self.hosts.get_mut(&Machine(address)) {
            host.whims = Some(std::sync::Arc::new(whims));
        }
    }

    pub(super) fn add_task(&mut self, address: IpAddr, task: AbortHandle) {
        if let Some(host) = self.hosts.get_mut(&Machine(address)) {
            host.tasks.retain(|task| !task.is_finished());
            host.tasks.push(task);
        }
    }

    /// What a host holds at this moment.
    pub(super) fn holdings(&self, address: IpAddr) -> Holdings {
        let tasks = self
            .hosts
            .get(&Machine(address))
            .map_or(0, |host| host.tasks.iter().filter(|task| !task.is_finished()).count());
        let (streams, deserted) = self.flows.held_by(address);
        Holdings { sockets: self.bindings.open_at(address), streams, deserted, tasks }
    }

    /// The host is gone without a word. What its tasks hold is for the caller to end, outside the lock.
    pub(super) fn crash(&mut self, address: IpAddr, now: Instant) -> Vec<AbortHandle> {
        if !self.is_up(address) {
            return Vec::new();
        }
        self.outages.push(Outage { host: address, from: now, to: None });
        self.datagrams.drop_host(address);
        self.timetable.drop_host(address);
        self.bindings.close_all_of(address, now);
        self.flows.drop_host(address);
        let crashes = self.starts(address);
        self.disk(address).crash(crashes);
        match self.hosts.get_mut(&Machine(address)) {
            Some(host) => {
                host.up = false;
                std::mem::take(&mut host.tasks)
            }
            None => Vec::new(),
        }
    }

    pub(super) fn revive(&mut self, address: IpAddr, now: Instant) {
        let is_its = |outage: &&mut Outage| outage.host == address && outage.to.is_none();
        if let Some(outage) = self.outages.iter_mut().find(is_its) {
            outage.to = Some(now);
        }
        if let Some(host) = self.hosts.get_mut(&Machine(address)) {
            host.up = true;
            host.starts += 1;
            host.started_at = now;
        }
    }

    /// Whether the host was started again at this very moment.
    pub(super) fn has_just_started(&self, address: IpAddr, now: Instant) -> bool {
        self.hosts
            .get(&Machine(address))
            .is_some_and(|host| host.up && host.starts > 1 && host.started_at == now)
    }

    /// A port that is free for `taken` to take.
    pub(super) fn ephemeral_port(
        &mut self,
        address: IpAddr,
        taken: impl Fn(&State, u16) -> bool,
    ) -> Option<u16> {
        for _ in 0..EPHEMERAL.1 {
            let host = self.hosts.get_mut(&Machine(address))?;
            let port = host.next_port;
            host.next_port = if port == u16::MAX { EPHEMERAL.0 } else { port + 1 };
            if !taken(self, port) {
                return Some(port);
            }
        }
        None
    }

    /// Draws what happens to a packet, tells those who watch, and says when it arrives and, if it does so twice, when again.
    /// It is sent now and does not arrive before the second time.
    pub(super) fn send(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        kind: Kind,
        bytes: &Bytes,
        (now, not_before): (Instant, Instant),
    ) -> (Fate, Option<Instant>, Option<Instant>) {
        let pair = (from.ip(), to.ip());
        let way = Way(pair.0, pair.1);
        let reaches = self.is_up(pair.1) && self.boxes.leads(pair);
        let passes = reaches && (self.cuts.is_empty() || !self.cuts.contains(&pair));
        let State { links, loopback, default_link, traffic, dice, .. } = self;
        let link = match links.get(&way) {
            Some(link) => link,
            None if pair.0 == pair.1 => loopback,
            None => default_link,
        };
        let traffic = traffic.entry(way).or_insert_with(|| Traffic::new(*dice, pair));
        let (number, dice) = (traffic.packets, traffic.dice);
        let fragments = if kind == Kind::Datagram { link.fragments(bytes.len()) } else { 1 };
        let mut fate = match self.scripted.get(&(pair.0, pair.1, number)) {
            Some(fate) => *fate,
            None if self.is_scripted => Fate::default(),
            None => {
                let mut drawn = link.fate(dice, number, now);
                drawn.lost |= link.loses_a_fragment(dice, number, now, fragments);
                drawn
            }
        };
        let begins = traffic.busy_until.max(now);
        let sent = begins + link.transmission(bytes.len() + HEADERS * fragments);
        if begins.since(now) > link.queue {
            fate.lost = true;
        }
        traffic.packets += 1;
        if !fate.lost {
            traffic.busy_until = sent;
        }
        let arrives = (passes && !fate.lost).then(|| not_before.max(sent + link.latency + fate.delay));
        let again = arrives.zip(fate.duplicate).map(|(at, later)| at + later);
        let bytes = bytes.clone();
        self.tell(Packet { at: now, from, to, kind, bytes, number, fate, arrives });
        (fate, arrives, again)
    }

    /// Those who watch are told of a packet.
    pub(super) fn tell(&mut self, packet: Packet) {
        if let Some((last, others)) = self.taps.split_last_mut() {
            others.iter_mut().for_each(|tap| tap(packet.clone()));
            last(packet);
        }
    }

    /// What the way from one host to another does to packets. A host's way to itself does nothing.
    pub(super) fn link(&self, pair: (IpAddr, IpAddr)) -> &Link {
        match self.links.get(&Way(pair.0, pair.1)) {
            Some(link) => link,
            None if pair.0 == pair.1 => &self.loopback,
            None => &self.default_link,
        }
    }

    /// Every link is as the default says, nothing is cut or held; those that still stand still are returned.
    pub(super) fn heal(&mut self, now: Instant) -> Vec<IpAddr> {
        self.links.clear();
        self.cuts.clear();
        self.scissors = Scissors::default();
        for (from, to) in self.held.links() {
            self.release(from, to, now);
        }
        self.paused.hosts()
    }

    /// The number of the next packet from one host to another.
    pub(super) fn count_packet(&mut self, pair: (IpAddr, IpAddr)) -> u64 {
        let dice = self.dice;
        let traffic = self.traffic.entry(Way(pair.0, pair.1)).or_insert_with(|| Traffic::new(dice, pair));
        traffic.packets += 1;
        traffic.packets - 1
    }

    /// Returns who is to be called to read it.
    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes, now: Instant) -> Option<Call> {
        if self.boxes.is_box(to.ip()) {
            self.come_inward(from, to, bytes, now);
            return None;
        }
        let is_up = self.is_up(to.ip());
        let stands_still = self.paused.is_paused(to.ip());
        let delivered = match is_up {
            true => self.datagrams.deliver(from, to, bytes, stands_still),
            false => Delivered::Nowhere,
        };
        match delivered {
            Delivered::Nowhere => {
                self.books.undeliverable += 1;
                if is_up {
                    self.refuse(from, to, now);
                }
                None
            }
            Delivered::Kept => {
                self.books.delivered += 1;
                None
            }
            Delivered::Read(call) => {
                self.books.delivered += 1;
                Some(call)
            }
        }
    }

    /// What has come to a socket is read, unless the host stands still.
    fn call_reader(&mut self, number: usize, calls: &mut Vec<Call>) {
        if self.datagrams.unread(number).is_some_and(|host| !self.paused.is_paused(host)) {
            calls.extend(self.datagrams.read_all(number));
        }
    }

    /// Whose turn it is; nobody's, as long as the host stands still.
    fn call_machine(&mut self, number: usize, at: Instant) -> Option<Call> {
        let (host, turn) = self.timetable.take_turn(number, at)?;
        if self.paused.is_paused(host) {
            self.paused.misses(host, number);
            return None;
        }
        Some(Call::Turn { number, turn: turn.clone() })
    }

    /// Nobody listens there: ICMP port unreachable, which goes the way back like any packet.
    fn refuse(&mut self, from: SocketAddr, to: SocketAddr, now: Instant) {
        if self.boxes.hide(to.ip()) {
            return;
        }
        let (_, arrives, _) = self.send(to, from, Kind::Reset, &Bytes::new(), (now, now));
        if let Some(at) = arrives {
            self.schedule(at, Due::Unreachable { sender: from, about: to });
        }
    }
}

/// The same bytes with one bit flipped, as the fate says.
pub(crate) fn flipped(bytes: &[u8], bit: u64) -> Bytes {
    let mut bytes = bytes.to_vec();
    if !bytes.is_empty() {
        let bit = bit % (bytes.len() as u64 * 8);
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
    bytes.into()
}
