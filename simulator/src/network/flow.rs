//! What a stream does on the wire: handshake, segments in order, loss as delay, windows.
//!
//! A lost segment is sent again after 200 ms, then 400 ms, ...; what was sent after it waits at the receiver until it
//! came. A segment that has not got through for 30 s breaks the stream for its sender; one that opens it, for 15 s.

use super::forge::Outgoing;
use super::state::{Due, State};
use super::tap::Kind;
use bytes::Bytes;
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Waker;

/// Bytes that may be under way or unread in one direction.
const WINDOW: usize = 65_536;

/// The headers of IP and TCP, which a segment leaves room for in an IP packet.
const HEADERS: usize = 40;

/// Connections that wait to be accepted.
const BACKLOG: usize = 128;

/// The first wait before a lost segment goes out again (RFC 6298 says 1 s for SYN, Linux 200 ms at least else).
const AGAIN: Duration = Duration::from_millis(200);
const SYN_AGAIN: Duration = Duration::from_secs(1);

/// After this a segment is given up.
const GIVE_UP: Duration = Duration::from_secs(30);
const SYN_GIVE_UP: Duration = Duration::from_secs(15);

/// How long an end that nobody holds any more waits in FIN_WAIT2 for the other's FIN (tcp_fin_timeout of Linux).
const ORPHAN: Duration = Duration::from_secs(60);

/// A stream; numbers are never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FlowId(u64);

/// One of its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// What travels.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    flow: FlowId,
    to: Side,
    index: u64,
    what: What,
    first_sent: Instant,
}

#[derive(Clone, Debug)]
enum What {
    Syn,
    SynAck,
    Reset,
    Data(Bytes),
    Fin,
    /// The application has read so many bytes.
    Credit(usize),
}

impl Segment {
    /// When its sender gives it up.
    pub(super) fn given_up_at(&self) -> Instant {
        let opens = matches!(self.what, What::Syn | What::SynAck);
        self.first_sent + if opens { SYN_GIVE_UP } else { GIVE_UP }
    }

    /// Its stream.
    pub(super) fn flow(&self) -> FlowId {
        self.flow
    }

    /// What it is on the wire, sent so often before.
    pub(super) fn kind(&self, attempt: u32) -> Kind {
        match self.what.kind() {
            Kind::Data if attempt > 0 => Kind::Again,
            kind => kind,
        }
    }

    /// What it carries.
    pub(super) fn bytes(&self) -> Bytes {
        self.what.bytes()
    }

    /// Whether it is the same one, be it a copy.
    pub(super) fn is_same(&self, other: &Segment) -> bool {
        (self.flow, self.to, self.index) == (other.flow, other.to, other.index)
            && self.what.kind() == other.what.kind()
    }

    /// The bytes it carries; `None` when it carries none.
    pub(super) fn data(&mut self) -> Option<&mut Bytes> {
        match &mut self.what {
            What::Data(bytes) => Some(bytes),
            What::Syn | What::SynAck | What::Reset | What::Fin | What::Credit(_) => None,
        }
    }
}

/// All streams and who listens.
#[derive(Default)]
pub(super) struct Flows {
    flows: BTreeMap<FlowId, Flow>,
    listeners: BTreeMap<SocketAddr, Listening>,
    last: u64,
}

#[derive(Default)]
struct Listening {
    backlog: VecDeque<FlowId>,
    waiting: Vec<Waker>,
}

struct Flow {
    client: SocketAddr,
    /// What the server takes the client for: the box before it, where there is one.
    seen_as: SocketAddr,
    server: SocketAddr,
    client_end: End,
    server_end: End,
}

/// What one end knows.
#[derive(Default)]
struct End {
    /// An application holds it, or will.
    open: bool,
    established: bool,
    broken: Option<io::ErrorKind>,
    /// The application has heard of it.
    told: bool,
    inbox: VecDeque<u8>,
    finished: bool,
    /// The index of the next segment to be taken, and those that came before their turn.
    expected: u64,
    early: BTreeMap<u64, What>,
    /// The index of the next segment to be sent.
    next: u64,
    under_way: usize,
    fin_sent: bool,
    /// When the last segment to this end arrives: none overtakes another.
    last_arrival: Instant,
    waiting: Vec<Waker>,
}

impl Flows {
    /// How many ends of streams a host holds, and of how many of them it was told that the other end is closed.
    pub(super) fn held_by(&self, host: IpAddr) -> (usize, usize) {
        let ends = self.flows.values().flat_map(|flow| {
            [
                (flow.client, &flow.client_end, &flow.server_end),
                (flow.server, &flow.server_end, &flow.client_end),
            ]
        });
        let held = ends.filter(|(address, own, _)| address.ip() == host && own.open && own.broken.is_none());
        held.fold((0, 0), |(held, deserted), (_, own, other)| {
            (held + 1, deserted + usize::from(own.finished && !other.open))
        })
    }
}

impl End {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    fn fail(&mut self, why: io::ErrorKind) {
        self.broken.get_or_insert(why);
        self.wake();
    }
}

impl Flow {
    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client_end,
            Side::Server => &mut self.server_end,
        }
    }

    /// The address of an end as the other one sees it.
    fn outside(&self, side: Side) -> SocketAddr {
        match side {
            Side::Client => self.seen_as,
            Side::Server => self.server,
        }
    }

    fn address(&self, side: Side) -> SocketAddr {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

impl Flows {
    /// Whence and whither a segment goes.
    pub(super) fn way(&self, segment: &Segment) -> Option<(IpAddr, IpAddr)> {
        let flow = self.flows.get(&segment.flow)?;
        Some((flow.outside(segment.to.other()).ip(), flow.outside(segment.to).ip()))
    }

    /// Client and server of a stream whose client is behind a box, when the segment goes to that side.
    pub(super) fn hidden_client(&self, segment: &Segment, to: Side) -> Option<(SocketAddr, SocketAddr)> {
        let flow = self.flows.get(&segment.flow).filter(|flow| flow.client != flow.seen_as)?;
        // What the applications have read is known at once on both sides of a box.
        let is_packet = !matches!(segment.what, What::Credit(_));
        (segment.to == to && is_packet).then_some((flow.client, flow.server))
    }

    /// Client and server.
    pub(super) fn ends(&self, id: FlowId) -> Option<(SocketAddr, SocketAddr)> {
        self.flows.get(&id).map(|flow| (flow.client, flow.server))
    }

    /// What the server takes the client for.
    pub(super) fn seen_as(&self, id: FlowId) -> Option<SocketAddr> {
        self.flows.get(&id).map(|flow| flow.seen_as)
    }

    pub(super) fn set_seen_as(&mut self, id: FlowId, seen_as: SocketAddr) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.seen_as = seen_as;
        }
    }

    /// The host is gone; its peers are told nothing.
    pub(super) fn drop_host(&mut self, address: IpAddr) {
        self.listeners.retain(|bound, listening| {
            let stays = bound.ip() != address;
            if !stays {
                listening.waiting.drain(..).for_each(Waker::wake);
            }
            stays
        });
        for flow in self.flows.values_mut() {
            for side in [Side::Client, Side::Server] {
                if flow.address(side).ip() == address {
                    let end = flow.end(side);
                    end.open = false;
                    end.fail(io::ErrorKind::NetworkDown);
                }
            }
        }
    }

    pub(super) fn listens(&self, address: SocketAddr) -> bool {
        self.listeners.contains_key(&address)
    }

    fn uses(&self, address: SocketAddr) -> bool {
        self.listens(address) || self.flows.values().any(|flow| flow.client == address)
    }

    pub(super) fn listen(&mut self, address: SocketAddr) {
        self.listeners.insert(address, Listening::default());
    }

    /// The next connection, or who is woken when there is one; `Err` when the host is gone.
    pub(super) fn accept(
        &mut self,
        address: SocketAddr,
        waker: &Waker,
    ) -> io::Result<Option<(FlowId, SocketAddr)>> {
        let listening = self.listeners.get_mut(&address).ok_or(io::ErrorKind::NetworkDown)?;
        while let Some(id) = listening.backlog.pop_front() {
            if let Some(flow) = self.flows.get(&id) {
                return Ok(Some((id, flow.seen_as)));
            }
        }
        listening.waiting.push(waker.clone());
        Ok(None)
    }

    /// Who was not accepted yet is reset by what arrives for it later.
    pub(super) fn close_listener(&mut self, address: SocketAddr) -> Vec<FlowId> {
        self.listeners.remove(&address).map(|listening| listening.backlog.into()).unwrap_or_default()
    }

    /// Whether the handshake is over, and how.
    pub(super) fn is_established(&mut self, id: FlowId, waker: &Waker) -> io::Result<bool> {
        let end = &mut self.flows.get_mut(&id).ok_or(io::ErrorKind::ConnectionAborted)?.client_end;
        match (end.broken, end.established) {
            (Some(why), _) => Err(why.into()),
            (None, true) => Ok(true),
            (None, false) => {
                end.wait(waker);
                Ok(false)
            }
        }
    }
}

impl State {
    /// Begins the handshake.
    pub(super) fn connect(
        &mut self,
        from: IpAddr,
        to: SocketAddr,
        now: Instant,
    ) -> io::Result<(FlowId, SocketAddr)> {
        let taken = |state: &State, port| state.flows.uses(SocketAddr::new(from, port));
        let port = self.ephemeral_port(from, taken).ok_or(io::ErrorKind::AddrInUse)?;
        self.flows.last += 1;
        let id = FlowId(self.flows.last);
        let client = SocketAddr::new(from, port);
        let client_end = End { open: true, ..End::default() };
        let server_end = End::default();
        let flow = Flow { client, seen_as: client, server: to, client_end, server_end };
        self.flows.flows.insert(id, flow);
        self.name_outside(id, now);
        self.put(id, Side::Server, What::Syn, now);
        Ok((id, client))
    }

    /// Takes bytes that have arrived. `Ok(None)`: none yet; `Ok(Some(0))`: no more will come.
    pub(super) fn read(
        &mut self,
        id: FlowId,
        side: Side,
        buffer: &mut [u8],
        waker: &Waker,
        now: Instant,
    ) -> io::Result<Option<usize>> {
        let end = self.end(id, side)?;
        if end.inbox.is_empty() {
            return match end.broken {
                // It is told once; afterwards the stream is just over.
                Some(_) if end.told => Ok(Some(0)),
                Some(why) => {
                    end.told = why != io::ErrorKind::NetworkDown;
                    Err(why.into())
                }
                None if end.finished => Ok(Some(0)),
                None => {
                    end.wait(waker);
                    Ok(None)
                }
            };
        }
        let length = end.inbox.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(end.inbox.drain(..length)) {
            *place = byte;
        }
        self.put(id, side.other(), What::Credit(length), now);
        Ok(Some(length))
    }

    /// Sends bytes, as many as the window takes. `Ok(None)`: none now.
    pub(super) fn write(
        &mut self,
        id: FlowId,
        side: Side,
        bytes: &[u8],
        waker: &Waker,
        now: Instant,
    ) -> io::Result<Option<usize>> {
        let end = self.end(id, side)?;
        if let Some(why) = end.broken.filter(|_| !end.told) {
            end.told = why != io::ErrorKind::NetworkDown;
            return Err(why.into());
        }
        if end.fin_sent || end.told {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let length = bytes.len().min(WINDOW - end.under_way.min(WINDOW));
        if length == 0 && !bytes.is_empty() {
            end.wait(waker);
            return Ok(None);
        }
        self.write_forged(id, side, &bytes[..length], now);
        Ok(Some(length))
    }

    /// The bytes of one write go out, through the hands of forgers.
    fn write_forged(&mut self, id: FlowId, side: Side, bytes: &[u8], now: Instant) {
        let Some(flow) = self.flows.flows.get(&id) else { return };
        let (from, to) = (flow.address(side), flow.address(side.other()));
        let written =
            Outgoing { at: now, from, to, is_stream: true, bytes: bytes.to_vec(), delay: Duration::ZERO };
        for forged in self.forged(written) {
            if let Ok(end) = self.end(id, side) {
                end.under_way += forged.bytes.len();
            }
            for piece in forged.bytes.chunks(self.segment(id, side)) {
                self.put(id, side.other(), What::Data(Bytes::copy_from_slice(piece)), now);
            }
        }
    }

    /// Bytes of one segment.
    fn segment(&self, id: FlowId, side: Side) -> usize {
        let Some(flow) = self.flows.flows.get(&id) else { return 1 };
        let pair = (flow.outside(side).ip(), flow.outside(side.other()).ip());
        self.link(pair).mtu.saturating_sub(HEADERS).max(1)
    }

    /// No more bytes of this side.
    pub(super) fn finish(&mut self, id: FlowId, side: Side, now: Instant) {
        let Ok(end) = self.end(id, side) else {
            return;
        };
        if !end.fin_sent && end.broken.is_none() {
            end.fin_sent = true;
            self.put(id, side.other(), What::Fin, now);
        }
    }

    /// The application lets go of its end: FIN, or RST when it leaves bytes unread (RFC 2525 section 2.17).
    pub(super) fn let_go(&mut self, id: FlowId, side: Side, now: Instant) {
        let Ok(end) = self.end(id, side) else {
            return;
        };
        end.open = false;
        let unread = !end.inbox.is_empty();
        if unread {
            self.put(id, side.other(), What::Reset, now);
        } else {
            self.finish(id, side, now);
        }
        self.forget_if_closed(id);
        if self.flows.flows.contains_key(&id) {
            self.schedule(now + ORPHAN, Due::Orphaned(id));
        }
    }

    /// A segment goes out, for the first time or once more.
    pub(super) fn transmit(&mut self, segment: Segment, attempt: u32, now: Instant) {
        if let Some(segment) = self.segment_from_behind(segment, attempt, now) {
            self.transmit_outside(segment, attempt, now);
        }
    }

    /// The same from where no box is before it any more.
    pub(super) fn transmit_outside(&mut self, segment: Segment, attempt: u32, now: Instant) {
        let Some(flow) = self.flows.flows.get(&segment.flow) else {
            return;
        };
        let (from, to) = (flow.outside(segment.to.other()), flow.outside(segment.to));
        let opens = matches!(segment.what, What::Syn | What::SynAck);
        let wait = if opens { SYN_AGAIN } else { AGAIN };
        if now >= segment.given_up_at() {
            return self.give_up(&segment);
        }
        let Some(segment) = self.cut_short(segment, (from.ip(), to.ip()), now) else { return };
        // What is sent later over the same flow overtakes nothing.
        let last = self.end(segment.flow, segment.to).map_or(now, |end| end.last_arrival);
        let (fate, arrives, _) = self.send(from, to, segment.kind(attempt), &segment.bytes(), (now, last));
        // A box has no answer for who calls it from outside.
        let is_ignored = matches!(segment.what, What::Syn) && self.boxes.is_box(to.ip());
        // A flipped bit fails the checksum; a reset is not repeated, as nobody waits for it.
        match arrives.filter(|_| fate.flip.is_none() && !is_ignored) {
            Some(at) => {
                if let Ok(end) = self.end(segment.flow, segment.to) {
                    end.last_arrival = at;
                }
                self.schedule(at, Due::Segment(segment));
            }
            None if matches!(segment.what, What::Reset) => {}
            None => self.schedule(
                now + wait * 2_u32.pow(attempt.min(16)),
                Due::Again { segment, attempt: attempt + 1 },
            ),
        }
    }

    /// A segment has arrived.
    pub(super) fn on_segment(&mut self, segment: Segment, now: Instant) {
        let (id, side) = (segment.flow, segment.to);
        let Some(flow) = self.flows.flows.get(&id) else {
            return;
        };
        if !self.is_up(flow.address(side).ip()) {
            return;
        }
        match segment.what {
            What::Syn => self.on_syn(id, segment.first_sent, now),
            What::SynAck => {
                if let Ok(end) = self.end(id, Side::Client) {
                    end.established = true;
                    end.wake();
                }
            }
            What::Reset => self.on_reset(id, side),
            What::Credit(length) => {
                if let Ok(end) = self.end(id, side) {
                    end.under_way = end.under_way.saturating_sub(length);
                    end.wake();
                }
            }
            What::Data(_) | What::Fin => self.on_ordered(id, side, segment.index, segment.what, now),
        }
        self.forget_if_closed(id);
    }

    fn on_syn(&mut self, id: FlowId, first_sent: Instant, now: Instant) {
        let Some(flow) = self.flows.flows.get_mut(&id) else {
            return;
        };
        let listening = self.flows.listeners.get_mut(&flow.server);
        match listening {
            Some(listening) if listening.backlog.len() < BACKLOG => {
                if !flow.server_end.established {
                    flow.server_end.open = true;
                    flow.server_end.established = true;
                    listening.backlog.push_back(id);
                    listening.waiting.drain(..).for_each(Waker::wake);
                }
                self.put(id, Side::Client, What::SynAck, now);
            }
            // Linux drops what does not fit into the backlog; the SYN comes again.
            Some(_) => {
                let segment = Segment { flow: id, to: Side::Server, index: 0, what: What::Syn, first_sent };
                // So long has it been tried already, and so long again is waited: 1 s, 2 s, 4 s, ...
                let wait = now.since(first_sent).max(SYN_AGAIN);
                self.schedule(now + wait, Due::Again { segment, attempt: 1 });
            }
            None => self.put(id, Side::Client, What::Reset, now),
        }
    }

    fn on_reset(&mut self, id: FlowId, side: Side) {
        if let Ok(end) = self.end(id, side) {
            let why = match (end.established, end.finished) {
                (false, _) => io::ErrorKind::ConnectionRefused,
                // Who knows already that the other side has ended has a broken pipe.
                (true, true) => io::ErrorKind::BrokenPipe,
                (true, false) => io::ErrorKind::ConnectionReset,
            };
            end.fail(why);
        }
    }

    fn on_ordered(&mut self, id: FlowId, side: Side, index: u64, what: What, now: Instant) {
        let Ok(end) = self.end(id, side) else {
            return;
        };
        if !end.open {
            // Bytes for an application that is gone are answered by RST; its FIN needs no answer.
            if matches!(what, What::Data(_)) {
                self.put(id, side.other(), What::Reset, now);
            }
            if let Ok(end) = self.end(id, side) {
                end.finished = true;
            }
            return;
        }
        end.early.insert(index, what);
        while let Some(what) = end.early.remove(&end.expected) {
            end.expected += 1;
            match what {
                What::Data(bytes) => end.inbox.extend(bytes.iter()),
                What::Fin => end.finished = true,
                What::Syn | What::SynAck | What::Reset | What::Credit(_) => {}
            }
        }
        end.wake();
    }

    /// Sends something to one end.
    fn put(&mut self, id: FlowId, to: Side, what: What, now: Instant) {
        let Ok(sender) = self.end(id, to.other()) else {
            return;
        };
        let index = sender.next;
        if matches!(what, What::Data(_) | What::Fin) {
            sender.next += 1;
        }
        if let What::Credit(_) = what {
            // Acknowledgements are not packets of their own here: they take the latency and are never lost.
            return self.credit(id, to, what, now);
        }
        self.transmit(Segment { flow: id, to, index, what, first_sent: now }, 0, now);
    }

    fn credit(&mut self, id: FlowId, to: Side, what: What, now: Instant) {
        let Some(flow) = self.flows.flows.get(&id) else {
            return;
        };
        let pair = (flow.outside(to.other()).ip(), flow.outside(to).ip());
        let latency = self.link(pair).latency;
        self.schedule(now + latency, Due::Segment(Segment { flow: id, to, index: 0, what, first_sent: now }));
    }

    fn end(&mut self, id: FlowId, side: Side) -> io::Result<&mut End> {
        let flow = self.flows.flows.get_mut(&id).ok_or(io::ErrorKind::ConnectionAborted)?;
        Ok(flow.end(side))
    }

    /// Both applications are gone and both know it, or one is and the other will never hear more.
    fn forget_if_closed(&mut self, id: FlowId) {
        let Some(flow) = self.flows.flows.get(&id) else {
            return;
        };
        let is_over = |end: &End| !end.open && (end.finished || end.broken.is_some());
        if is_over(&flow.client_end) && is_over(&flow.server_end) {
            self.flows.flows.remove(&id);
        }
    }

    /// Nobody holds one of the ends and the other still has not said that it is done: it is never heard again.
    pub(super) fn forget_orphan(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.flows.get_mut(&id) {
            for end in [&mut flow.client_end, &mut flow.server_end] {
                end.finished |= !end.open;
            }
            self.forget_if_closed(id);
        }
    }

    /// The sender of a segment gives it up, and its stream with it. Whose SYN was never answered gives up, too.
    pub(super) fn give_up(&mut self, segment: &Segment) {
        let unanswered = matches!(segment.what, What::SynAck).then_some(segment.to);
        for side in [Some(segment.to.other()), unanswered].into_iter().flatten() {
            if let Ok(end) = self.end(segment.flow, side) {
                end.fail(io::ErrorKind::TimedOut);
            }
        }
    }

    /// Both ends of every stream between two hosts learn that it is broken: something between them has sent RST to each.
    pub(super) fn break_streams(&mut self, a: IpAddr, b: IpAddr, now: Instant) {
        let is_between = |flow: &Flow| {
            let pair = (flow.seen_as.ip(), flow.server.ip());
            pair == (a, b) || pair == (b, a)
        };
        let broken = self.flows.flows.iter().filter(|(_, flow)| is_between(flow)).map(|(id, _)| *id);
        for id in broken.collect::<Vec<_>>() {
            for side in [Side::Client, Side::Server] {
                self.put(id, side, What::Reset, now);
            }
        }
    }

    /// Those who were not accepted are reset.
    pub(super) fn close_listener(&mut self, address: SocketAddr, now: Instant) {
        for id in self.flows.close_listener(address) {
            self.put(id, Side::Client, What::Reset, now);
            if let Ok(end) = self.end(id, Side::Server) {
                end.open = false;
                end.fail(io::ErrorKind::ConnectionAborted);
            }
        }
    }
}

impl What {
    fn kind(&self) -> Kind {
        match self {
            What::Syn => Kind::Syn,
            What::SynAck => Kind::SynAck,
            What::Reset => Kind::Reset,
            What::Data(_) | What::Credit(_) => Kind::Data,
            What::Fin => Kind::Fin,
        }
    }

    fn bytes(&self) -> Bytes {
        match self {
            What::Data(bytes) => bytes.clone(),
            What::Syn | What::SynAck | What::Reset | What::Fin | What::Credit(_) => Bytes::new(),
        }
    }
}
