//! What a stream does on the wire: handshake, segments in order, loss as delay, windows.
//!
//! A lost segment is sent again after 200 ms, then 400 ms, ...; what was sent after it waits at the receiver until it
//! came. A segment that has not got through for 30 s breaks the stream for its sender; one that opens it, for 15 s.

use super::forge::Outgoing;
use super::state::{Due, State};
use super::tap::Kind;
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;

/// Bytes that may be under way or unread in one direction.
const WINDOW: usize = 65_536;

/// Bytes of one segment: an Ethernet frame less the headers of IP and TCP.
const SEGMENT: usize = 1_460;

/// Connections that wait to be accepted.
const BACKLOG: usize = 128;

/// The first wait before a lost segment goes out again (RFC 6298 says 1 s for SYN, Linux 200 ms at least else).
const AGAIN: Duration = Duration::from_millis(200);
const SYN_AGAIN: Duration = Duration::from_secs(1);

/// After this a segment is given up.
const GIVE_UP: Duration = Duration::from_secs(30);
const SYN_GIVE_UP: Duration = Duration::from_secs(15);

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
    Data(Arc<[u8]>),
    Fin,
    /// The application has read so many bytes.
    Credit(usize),
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
                return Ok(Some((id, flow.client)));
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
        self.flows.flows.insert(id, Flow { client, server: to, client_end, server_end: End::default() });
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
                Some(why) => Err(why.into()),
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
        if let Some(why) = end.broken {
            return Err(why.into());
        }
        if end.fin_sent {
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
            for piece in forged.bytes.chunks(SEGMENT) {
                self.put(id, side.other(), What::Data(piece.into()), now);
            }
        }
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
    }

    /// A segment goes out, for the first time or once more.
    pub(super) fn transmit(&mut self, segment: Segment, attempt: u32, now: Instant) {
        let Some(flow) = self.flows.flows.get(&segment.flow) else {
            return;
        };
        let (from, to) = (flow.address(segment.to.other()), flow.address(segment.to));
        let opens = matches!(segment.what, What::Syn | What::SynAck);
        let (wait, limit) = if opens { (SYN_AGAIN, SYN_GIVE_UP) } else { (AGAIN, GIVE_UP) };
        if now.since(segment.first_sent) >= limit {
            if let Ok(end) = self.end(segment.flow, segment.to.other()) {
                end.fail(io::ErrorKind::TimedOut);
            }
            return;
        }
        let kind = match segment.what.kind() {
            Kind::Data if attempt > 0 => Kind::Again,
            kind => kind,
        };
        let (fate, arrives, _) = self.send(from, to, kind, &segment.what.bytes(), now);
        // A flipped bit fails the checksum; a reset is not repeated, as nobody waits for it.
        match arrives.filter(|_| fate.flip.is_none()) {
            Some(at) => {
                let at = match self.end(segment.flow, segment.to) {
                    Ok(end) => {
                        end.last_arrival = end.last_arrival.max(at);
                        end.last_arrival
                    }
                    Err(_) => at,
                };
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
            What::Syn => self.on_syn(id, now),
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

    fn on_syn(&mut self, id: FlowId, now: Instant) {
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
                let segment =
                    Segment { flow: id, to: Side::Server, index: 0, what: What::Syn, first_sent: now };
                self.schedule(now + SYN_AGAIN, Due::Again { segment, attempt: 1 });
            }
            None => self.put(id, Side::Client, What::Reset, now),
        }
    }

    fn on_reset(&mut self, id: FlowId, side: Side) {
        if let Ok(end) = self.end(id, side) {
            let why = if end.established {
                io::ErrorKind::ConnectionReset
            } else {
                io::ErrorKind::ConnectionRefused
            };
            end.inbox.clear();
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
        let pair = (flow.address(to.other()).ip(), flow.address(to).ip());
        let latency = self.links.get(&pair).unwrap_or(&self.default_link).latency;
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

    fn bytes(&self) -> Arc<[u8]> {
        match self {
            What::Data(bytes) => bytes.clone(),
            What::Syn | What::SynAck | What::Reset | What::Fin | What::Credit(_) => Arc::default(),
        }
    }
}
