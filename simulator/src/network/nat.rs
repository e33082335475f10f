//! NAT: a box between a few hosts and everybody else, of the kinds of RFC 4787 (section 4.1 mapping, section 5 filtering).
//!
//! Box number `n` is 203.0.113.n outside, and its hosts are 192.168.n.x. A packet from or to them makes two hops, one on
//! each side of the box, and each hop is in the trace. The hop inside is a good LAN; faults are those of the way outside.

use super::flow::{FlowId, Segment, Side};
use super::state::{Due, State};
use super::tap::{Kind, Packet};
use super::{Fate, Network, SimHost};
use bytes::Bytes;
use pbx::time::{Duration, Instant};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// How long the hop inside takes.
const LAN: Duration = Duration::from_millis(1);

/// The first port that a box gives out.
const FIRST_PORT: u16 = 20_000;

/// Bindings of one box; more are refused, as in a cheap one.
const BINDINGS: usize = 4_096;

/// How long TCP bindings hold at least without a packet (RFC 5382, REQ-5).
const TCP_TIMEOUT: Duration = Duration::from_secs(7_440);

/// What a box takes into account of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependence {
    /// Nothing.
    Independent,
    /// The address.
    Address,
    /// The address and the port.
    AddressAndPort,
}

/// How a box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// For whom one socket inside keeps one port outside.
    pub mapping: Dependence,
    /// From whom packets are let in: everybody, or those to whom something was sent.
    pub filtering: Dependence,
    /// How long a UDP binding holds when nothing is sent from inside.
    pub timeout: Duration,
    /// Whether hosts inside reach each other by their addresses outside.
    pub hairpins: bool,
}

impl Default for Nat {
    /// What RFC 4787 recommends for the sake of users, with the shortest timeout it allows.
    fn default() -> Nat {
        Nat {
            mapping: Dependence::Independent,
            filtering: Dependence::Address,
            timeout: Duration::from_secs(120),
            hairpins: true,
        }
    }
}

impl Dependence {
    fn key(self, remote: SocketAddr) -> Option<(IpAddr, Option<u16>)> {
        match self {
            Dependence::Independent => None,
            Dependence::Address => Some((remote.ip(), None)),
            Dependence::AddressAndPort => Some((remote.ip(), Some(remote.port()))),
        }
    }
}

/// The address of the box before a host; `None` for a host that stands outside.
pub fn box_of(host: IpAddr) -> Option<IpAddr> {
    match host {
        IpAddr::V4(v4) if v4.octets()[..2] == [192, 168] => Some(outside_of(v4.octets()[2])),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// Whether this is the address of a box.
pub fn is_box(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets()[..3] == [203, 0, 113])
}

/// The packets as those outside see them, for who judges what was sent and whether it arrived: without the hops inside,
/// but a packet to a box has arrived when the hop inside has.
pub fn seen_outside(packets: &[Packet]) -> Cow<'_, [Packet]> {
    if !packets.iter().any(|packet| is_box(packet.from.ip()) || is_box(packet.to.ip())) {
        return packets.into();
    }
    let is_inside = |packet: &Packet| {
        box_of(packet.from.ip()).is_some() || box_of(packet.to.ip()).is_some() && packet.arrives.is_some()
    };
    let inside: BTreeMap<(Instant, SocketAddr, &[u8]), Option<Instant>> = packets
        .iter()
        .filter(|packet| is_inside(packet))
        .map(|packet| ((packet.at, packet.from, &*packet.bytes), packet.arrives))
        .collect();
    let outside = packets.iter().filter(|packet| !is_inside(packet)).cloned();
    outside
        .map(|mut packet| {
            if is_box(packet.to.ip()) {
                let onward = packet.arrives.map(|at| inside.get(&(at, packet.from, &*packet.bytes)));
                packet.arrives = onward.flatten().copied().flatten();
            }
            packet
        })
        .collect()
}

fn outside_of(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, number))
}

/// All boxes, by their address outside.
#[derive(Default)]
pub(super) struct Boxes {
    boxes: BTreeMap<IpAddr, NatBox>,
}

struct NatBox {
    address: IpAddr,
    nat: Nat,
    next_port: u16,
    tables: [Table; 2],
}

/// A socket inside, and what counts of the other side.
type Key = (SocketAddr, Option<(IpAddr, Option<u16>)>);

/// The bindings of one protocol.
#[derive(Default)]
struct Table {
    ports: BTreeMap<Key, u16>,
    bindings: BTreeMap<u16, Binding>,
}

struct Binding {
    inside: SocketAddr,
    used: Instant,
    /// To whom something was sent, and when last.
    sent_to: BTreeMap<SocketAddr, Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Udp,
    Tcp,
}

impl Boxes {
    fn before(&mut self, host: IpAddr) -> Option<&mut NatBox> {
        if self.boxes.is_empty() {
            return None;
        }
        self.boxes.get_mut(&box_of(host)?)
    }

    /// Whether packets from outside cannot be addressed to this host.
    pub(super) fn hide(&self, host: IpAddr) -> bool {
        !self.boxes.is_empty() && box_of(host).is_some_and(|outside| self.boxes.contains_key(&outside))
    }

    /// Whether there is a way from one host to another: none leads to a host behind a box but from its own LAN.
    pub(super) fn leads(&self, (from, to): (IpAddr, IpAddr)) -> bool {
        !self.hide(to) || box_of(from) == box_of(to)
    }

    pub(super) fn is_box(&self, address: IpAddr) -> bool {
        !self.boxes.is_empty() && self.boxes.contains_key(&address)
    }

    /// What a socket inside is seen as by `remote`; itself when there is no box before it.
    pub(super) fn seen_as(
        &mut self,
        inside: SocketAddr,
        remote: SocketAddr,
        protocol: Protocol,
        now: Instant,
    ) -> Option<SocketAddr> {
        match self.before(inside.ip()) {
            Some(nat) => nat.outward(protocol, inside, remote, now),
            None => Some(inside),
        }
    }
}

impl NatBox {
    fn timeout(&self, protocol: Protocol) -> Duration {
        match protocol {
            Protocol::Udp => self.nat.timeout,
            Protocol::Tcp => TCP_TIMEOUT,
        }
    }

    fn table(&mut self, protocol: Protocol) -> &mut Table {
        &mut self.tables[usize::from(protocol == Protocol::Tcp)]
    }

    /// A packet goes out: what it comes from outside. `None` when there is no room for another binding.
    fn outward(
        &mut self,
        protocol: Protocol,
        inside: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        self.forget(protocol, now);
        let key = (inside, self.nat.mapping.key(remote));
        let port = match self.table(protocol).ports.get(&key) {
            Some(port) => *port,
            None => self.bind(protocol, key, now)?,
        };
        let binding = self.table(protocol).bindings.get_mut(&port)?;
        binding.used = now;
        binding.sent_to.insert(remote, now);
        Some(SocketAddr::new(self.address, port))
    }

    /// A packet comes to a port of the box: whom it is for. `None` when it is not let in.
    fn inward(
        &mut self,
        protocol: Protocol,
        port: u16,
        remote: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        self.forget(protocol, now);
        let (filtering, timeout) = (self.nat.filtering, self.timeout(protocol));
        let binding = self.table(protocol).bindings.get(&port)?;
        let is_known = |(known, at): (&SocketAddr, &Instant)| {
            now.since(*at) < timeout && filtering.key(*known) == filtering.key(remote)
        };
        let lets_in = filtering == Dependence::Independent || binding.sent_to.iter().any(is_known);
        lets_in.then_some(binding.inside)
    }

    fn bind(&mut self, protocol: Protocol, key: Key, now: Instant) -> Option<u16> {
        if self.table(protocol).bindings.len() >= BINDINGS {
            return None;
        }
        // An even port stays even (RFC 4787, REQ-4): RTCP is believed to be one above RTP. Ports are not used again soon.
        let mut port = self.next_port;
        if port % 2 != key.0.port() % 2 {
            port += 1;
        }
        self.next_port = if port > u16::MAX - 2 { FIRST_PORT } else { port + 1 };
        let table = self.table(protocol);
        table.bindings.insert(port, Binding { inside: key.0, used: now, sent_to: BTreeMap::new() });
        table.ports.insert(key, port);
        Some(port)
    }

    /// Bindings that nobody has used are gone.
    fn forget(&mut self, protocol: Protocol, now: Instant) {
        let timeout = self.timeout(protocol);
        let table = self.table(protocol);
        table.bindings.retain(|_, binding| now.since(binding.used) < timeout);
        let bindings = &table.bindings;
        table.ports.retain(|_, port| bindings.contains_key(port));
    }
}

impl Network {
    /// A box of this number; whoever is [behind](Network::host_behind) it is seen at the address that is returned.
    pub fn nat(&self, number: u8, name: &str, nat: Nat) -> IpAddr {
        self.must_be_own("translate addresses");
        let address = outside_of(number);
        let mut state = self.state();
        state.add_host(address, name);
        let tables = [Table::default(), Table::default()];
        state.boxes.boxes.insert(address, NatBox { address, nat, next_port: FIRST_PORT, tables });
        address
    }

    /// A machine behind the box of this number.
    pub fn host_behind(&self, number: u8, name: &str, last: u8) -> SimHost {
        self.host(name, IpAddr::V4(Ipv4Addr::new(192, 168, number, last)))
    }

    /// Changes how a box is, for what it does from now on.
    pub fn change_nat(&self, address: IpAddr, change: impl FnOnce(&mut Nat)) {
        if let Some(nat) = self.state().boxes.boxes.get_mut(&address) {
            change(&mut nat.nat);
        }
    }

    /// A box forgets all its bindings, as after a restart.
    pub fn forget_bindings(&self, address: IpAddr) {
        if let Some(nat) = self.state().boxes.boxes.get_mut(&address) {
            nat.tables = [Table::default(), Table::default()];
        }
    }
}

impl State {
    /// A datagram from behind a box begins its way; `false` when its sender does not stand behind one.
    pub(super) fn send_from_behind(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> bool {
        // Who is in the same LAN needs no box.
        if !self.boxes.hide(from.ip()) || box_of(from.ip()) == box_of(to.ip()) {
            return false;
        }
        let at = self.hop_inside(from, to, Kind::Datagram, bytes, now);
        let bytes = self.store.keep(bytes);
        self.schedule(at, Due::Outward { from, to, bytes });
        true
    }

    /// A datagram from inside has come to the box.
    pub(super) fn go_outward(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes, now: Instant) {
        let Some(nat) = self.boxes.before(from.ip()) else { return };
        let (address, hairpins) = (nat.address, nat.nat.hairpins);
        let Some(public) = nat.outward(Protocol::Udp, from, to, now) else { return };
        if to.ip() == address {
            if hairpins {
                self.come_inward(public, to, bytes, now);
            }
            return;
        }
        if self.is_up(address) {
            self.put_datagram(public, to, &bytes, now);
        }
    }

    /// A datagram has come to a box from outside.
    pub(super) fn come_inward(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes, now: Instant) {
        let Some(nat) = self.boxes.boxes.get_mut(&to.ip()) else { return };
        let Some(inside) = nat.inward(Protocol::Udp, to.port(), from, now) else { return };
        if self.is_up(inside.ip()) {
            let at = self.hop_inside(from, inside, Kind::Datagram, &bytes, now);
            self.schedule(at, Due::Datagram { from, to: inside, bytes });
        }
    }

    /// A segment of a stream from behind a box goes as far as the box; gives it back when it has no such way to go.
    pub(super) fn segment_from_behind(
        &mut self,
        segment: Segment,
        attempt: u32,
        now: Instant,
    ) -> Option<Segment> {
        let Some((inside, remote)) = self.flows.hidden_client(&segment, Side::Server) else {
            return Some(segment);
        };
        let at = self.hop_inside(inside, remote, segment.kind(attempt), &segment.bytes(), now);
        self.schedule(at, Due::SegmentOutward { segment, attempt });
        None
    }

    /// A segment for a stream from behind a box has come to the box; gives it back when there is none on its way.
    pub(super) fn segment_inward(&mut self, segment: Segment, now: Instant) -> Option<Segment> {
        let Some((inside, remote)) = self.flows.hidden_client(&segment, Side::Client) else {
            return Some(segment);
        };
        let seen_as = self.flows.seen_as(segment.flow())?;
        let nat = self.boxes.boxes.get_mut(&seen_as.ip())?;
        nat.inward(Protocol::Tcp, seen_as.port(), remote, now).filter(|known| *known == inside)?;
        let at = self.hop_inside(remote, inside, segment.kind(0), &segment.bytes(), now);
        self.schedule(at, Due::SegmentInside(segment));
        None
    }

    /// What the server of a stream sees of a client: the address of the box before it.
    pub(super) fn name_outside(&mut self, id: FlowId, now: Instant) {
        let Some((inside, remote)) = self.flows.ends(id) else { return };
        if let Some(seen_as) = self.boxes.seen_as(inside, remote, Protocol::Tcp, now) {
            self.flows.set_seen_as(id, seen_as);
        }
    }

    /// A packet passes the LAN of a box: when it is at the other end.
    fn hop_inside(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        kind: Kind,
        bytes: &[u8],
        now: Instant,
    ) -> Instant {
        let at = now + LAN;
        if !self.taps.is_empty() {
            let number = self.count_packet((from.ip(), to.ip()));
            let packet = Packet {
                at: now,
                from,
                to,
                kind,
                bytes: Bytes::copy_from_slice(bytes),
                number,
                fate: Fate::default(),
                arrives: Some(at),
            };
            self.tell(packet);
        }
        at
    }
}
