//! Media on the sockets of a [`Host`], all in one thread: what a simulated world runs on, and any host that has no
//! threads of its own for media. It moves packets, calls the engine, honours its deadlines.
//!
//! The packets of a socket are carried through the engine when it calls with them, or else by a task that waits for them.
//! Whatever the engine wants sent leaves within the same step. The lock is never contended: all tasks share one thread.

use super::driver::MediaPlane;
use super::host::{Arrival, Host, Udp};
use super::timer;
use crate::buggify::buggify;
use crate::media::{Command, Engine, Event, Output, Port, RoomId, Settings, StreamId};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot};

/// Packets of one socket in one step, so that nobody is starved by a flood on one port.
const PACKETS_A_STEP: usize = 32;
/// The largest UDP datagram.
const DATAGRAM: usize = 65_536;
/// When events are told again for which there was no room.
const RETRY: Duration = Duration::from_millis(10);

/// One engine for all rooms.
pub struct HostMedia<H: Host>(Arc<Shared<H>>);

impl<H: Host> HostMedia<H> {
    /// An engine without streams; what happens is told by `events`.
    pub fn new(host: H, settings: Settings, events: mpsc::Sender<Event>) -> HostMedia<H> {
        let plane = Plane {
            engine: Engine::new(settings),
            sockets: Vec::new(),
            open: BTreeMap::new(),
            closed: BTreeMap::new(),
            waiting: VecDeque::new(),
            events,
            buffer: vec![0; DATAGRAM],
            wakes_at: None,
            retries: false,
        };
        let shared = Arc::new(Shared { host: host.clone(), plane: Mutex::new(plane), sooner: Notify::new() });
        host.spawn(keep_time(shared.clone()));
        HostMedia(shared)
    }
}

impl<H: Host> MediaPlane for HostMedia<H> {
    fn send(&mut self, _: RoomId, command: Command) {
        let now = self.0.host.now();
        let mut plane = self.0.plane();
        plane.engine.command(command, now);
        self.0.flush(&mut plane);
    }
}

impl<H: Host> Drop for HostMedia<H> {
    /// The tasks end: nobody has anything to tell them any longer.
    fn drop(&mut self) {
        self.0.plane().sockets.clear();
        self.0.sooner.notify_one();
    }
}

struct Shared<H: Host> {
    host: H,
    plane: Mutex<Plane<H>>,
    /// The next deadline is sooner than the one that is waited for.
    sooner: Notify,
}

struct Plane<H: Host> {
    engine: Engine,
    /// By [`Port::index`].
    sockets: Vec<Option<Open<H::Udp>>>,
    /// Tasks per stream.
    open: BTreeMap<StreamId, usize>,
    /// What is told of a stream when its last socket is really closed: only then its ports can be bound again.
    closed: BTreeMap<StreamId, Event>,
    /// Events the core had no room for yet.
    waiting: VecDeque<Event>,
    events: mpsc::Sender<Event>,
    buffer: Vec<u8>,
    wakes_at: Option<Instant>,
    /// What waits is told again soon.
    retries: bool,
}

/// A port that was asked for.
struct Open<U> {
    port: Port,
    /// `None` until it is bound.
    socket: Option<Arc<U>>,
    /// Dropped with this: its task ends.
    _ends: oneshot::Sender<()>,
}

impl<H: Host> Plane<H> {
    /// Carries the packet in the buffer through the engine.
    fn carry(&mut self, port: Port, length: usize, from: SocketAddr, now: Instant) {
        let Plane { engine, sockets, buffer, .. } = self;
        if let Some(forward) = engine.receive(port, &mut buffer[..length], from, now) {
            transmit(sockets, forward.port, forward.to, &buffer[forward.range]);
        }
    }
}

impl<H: Host> Shared<H> {
    fn plane(&self) -> MutexGuard<'_, Plane<H>> {
        self.plane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the engine wants until it wants nothing more.
    fn flush(self: &Arc<Self>, plane: &mut Plane<H>) {
        let Plane { engine, sockets, open, closed, waiting, events, .. } = plane;
        while let Some(output) = engine.poll_output() {
            match output {
                Output::Send { port, to, bytes } => transmit(sockets, port, to, bytes),
                Output::Bind { port, address } => {
                    let (ends, ended) = oneshot::channel();
                    if sockets.len() <= port.index() {
                        sockets.resize_with(port.index() + 1, || None);
                    }
                    sockets[port.index()] = Some(Open { port, socket: None, _ends: ends });
                    *open.entry(port.stream()).or_default() += 1;
                    self.host.spawn(tend(self.clone(), port, address, ended));
                }
                Output::Unbind(port) => {
                    sockets.get_mut(port.index()).and_then(Option::take);
                }
                Output::Event(event) => match last_word_on(&event).filter(|stream| open.contains_key(stream))
                {
                    Some(stream) => {
                        closed.insert(stream, event);
                    }
                    None => waiting.push_back(event),
                },
            }
        }
        tell(waiting, events);
        let is_behind = !waiting.is_empty();
        let deadline = engine.poll_timeout();
        let is_sooner = deadline.is_some_and(|at| plane.wakes_at.is_none_or(|wakes| at < wakes));
        if is_sooner || is_behind && !plane.retries {
            plane.retries = is_behind;
            self.sooner.notify_one();
        }
    }
}

/// The stream of which nothing more is told after this.
fn last_word_on(event: &Event) -> Option<StreamId> {
    match event {
        Event::Closed(stream, _) | Event::OpenFailed { stream, .. } => Some(*stream),
        Event::Opened(_)
        | Event::FirstPacket(_)
        | Event::SourceChanged { .. }
        | Event::Dtmf { .. }
        | Event::Finished(_)
        | Event::Recorded { .. }
        | Event::FellSilent(_)
        | Event::RecordingEnded { .. }
        | Event::Interrupted { .. }
        | Event::TimedOut(_)
        | Event::Statistics(..) => None,
    }
}

fn tell(waiting: &mut VecDeque<Event>, events: &mpsc::Sender<Event>) {
    while let Some(event) = waiting.pop_front() {
        if let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event) {
            waiting.push_front(event);
            return;
        }
    }
}

fn transmit<U: Udp>(sockets: &[Option<Open<U>>], port: Port, to: SocketAddr, bytes: &[u8]) {
    if let Some(socket) = sockets.get(port.index()).and_then(|open| open.as_ref()?.socket.as_ref()) {
        // RTP that cannot be sent now is not worth sending later.
        let _ = socket.try_send_to(bytes, to);
    }
}

/// Calls the engine at its deadlines.
async fn keep_time<H: Host>(shared: Arc<Shared<H>>) {
    loop {
        let now = shared.host.now();
        let deadline = {
            let mut plane = shared.plane();
            if plane.events.is_closed() {
                return;
            }
            if plane.engine.poll_timeout().is_some_and(|at| at <= now) {
                plane.engine.handle_timeout(now);
            }
            shared.flush(&mut plane);
            plane.retries = !plane.waiting.is_empty();
            let retry = plane.retries.then_some(now + RETRY);
            plane.wakes_at = plane.engine.poll_timeout().into_iter().chain(retry).min();
            plane.wakes_at
        };
        let patience = deadline.map(|at| at.since(now));
        tokio::select! {
            biased;
            () = shared.sooner.notified() => {}
            () = async {
                match patience {
                    Some(patience) => timer::sleep(patience).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }
}

/// Binds one port and carries its packets until it is closed.
async fn tend<H: Host>(
    shared: Arc<Shared<H>>,
    port: Port,
    address: SocketAddr,
    mut ended: oneshot::Receiver<()>,
) {
    if let Some(socket) = bind(&shared, port, address).await {
        if socket.call_on_arrival(carrier(&shared, port, &socket)) {
            let _ = ended.await;
        } else {
            carry_until(&shared, port, &socket, &mut ended).await;
        }
    }
    let mut plane = shared.plane();
    let left = plane.open.get_mut(&port.stream()).map_or(0, |count| {
        *count -= 1;
        *count
    });
    if left == 0 {
        plane.open.remove(&port.stream());
        if let Some(event) = plane.closed.remove(&port.stream()) {
            plane.waiting.push_back(event);
        }
        shared.flush(&mut plane);
    }
}

/// Carries what a socket calls with, as long as it is open.
fn carrier<H: Host>(shared: &Arc<Shared<H>>, port: Port, socket: &Arc<H::Udp>) -> Arrival {
    let (shared, socket) = (Arc::downgrade(shared), Arc::downgrade(socket));
    Box::new(move |bytes, from| {
        let Some(shared) = shared.upgrade().filter(|_| socket.strong_count() > 0) else { return };
        let now = shared.host.now();
        let mut plane = shared.plane();
        if let Some(place) = plane.buffer.get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
            plane.carry(port, bytes.len(), from, now);
        }
        shared.flush(&mut plane);
    })
}

/// Waits for what comes at a socket and carries it, until it is closed.
async fn carry_until<H: Host>(
    shared: &Arc<Shared<H>>,
    port: Port,
    socket: &H::Udp,
    ended: &mut oneshot::Receiver<()>,
) {
    loop {
        tokio::select! {
            biased;
            _ = &mut *ended => return,
            readable = socket.readable() => if readable.is_err() { return },
        }
        if !carry(shared, port, socket) {
            // More waits; the others first.
            tokio::task::yield_now().await;
        }
    }
}

async fn bind<H: Host>(shared: &Arc<Shared<H>>, port: Port, address: SocketAddr) -> Option<Arc<H::Udp>> {
    let result = match buggify!("a port is taken by others") {
        true => Err(std::io::ErrorKind::AddrInUse.into()),
        false => shared.host.udp(address).await.map(Arc::new),
    };
    let mut plane = shared.plane();
    // Meanwhile it may have been closed, and the place given to another.
    let place = plane.sockets.get_mut(port.index())?.as_mut().filter(|open| open.port == port)?;
    let bound = match result {
        Ok(socket) => {
            place.socket = Some(socket.clone());
            Ok(socket)
        }
        Err(error) => Err(error.to_string()),
    };
    plane.engine.bound(port, bound.as_ref().map(|_| ()).map_err(String::clone));
    shared.flush(&mut plane);
    bound.ok()
}

/// Carries what has come through the engine; false when there may be more.
fn carry<H: Host>(shared: &Arc<Shared<H>>, port: Port, socket: &H::Udp) -> bool {
    let now = shared.host.now();
    let mut plane = shared.plane();
    let mut drained = false;
    for _ in 0..PACKETS_A_STEP {
        match socket.try_recv_from(&mut plane.buffer) {
            Ok((length, from)) => plane.carry(port, length, from, now),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NetworkDown) => {
                drained = true;
                break;
            }
            // What the OS has to say about an earlier packet of ours.
            Err(_) => {}
        }
    }
    shared.flush(&mut plane);
    drained
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Latching;
    use crate::sdp::{Agreement, Codec, Direction, RemoteAudio};
    use crate::shell::test_host::TestHost;

    #[tokio::test(start_paused = true)]
    async fn what_arrives_goes_back() {
        let mut world = World::new();
        world.open(1, 20_000).await;
        world.media.send(ROOM, agree(1, 30_000));
        world.media.send(ROOM, Command::Echo(StreamId(1)));
        for sequence in 0..3 {
            world.host.deliver(address(30_000), address(20_000), &packet(sequence));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let echoed: Vec<_> =
            world.host.sent().into_iter().filter(|(from, ..)| from.port() == 20_000).collect();
        assert_eq!(echoed.len(), 3);
        for (_, to, bytes) in echoed {
            assert_eq!((to, &bytes[12..]), (address(30_000), &[0x55; 160][..]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tone_is_sent_every_twenty_milliseconds() {
        let mut world = World::new();
        world.open(1, 20_000).await;
        world.media.send(ROOM, agree(1, 30_000));
        let source = crate::media::Source::Tone { frequency: 440.0, level: -10.0, duration: None };
        world.media.send(ROOM, Command::Play { stream: StreamId(1), source });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sent = world.host.sent().into_iter().filter(|(from, ..)| from.port() == 20_000).count();
        assert!((50..=51).contains(&sent), "{sent} packets in a second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_taken_port_is_told() {
        let mut world = World::new();
        let _other = world.host.udp(address(20_001)).await.expect("free");
        world.media.send(ROOM, open(1, 20_000));
        let Some(Event::OpenFailed { stream, port, .. }) = world.events.recv().await else {
            panic!("the port cannot be had")
        };
        assert_eq!((stream, port), (StreamId(1), 20_001));
    }

    #[tokio::test(start_paused = true)]
    async fn closed_ports_can_be_bound_as_soon_as_it_is_told() {
        let mut world = World::new();
        for stream in 1..5 {
            world.open(stream, 20_000).await;
            world.media.send(ROOM, Command::Close(StreamId(stream)));
            let told = world.events.recv().await;
            assert!(matches!(told, Some(Event::Closed(StreamId(id), _)) if id == stream), "{told:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_closed_while_its_ports_are_bound_leaves_nothing_bound() {
        let mut world = World::new();
        world.media.send(ROOM, open(1, 20_000));
        world.media.send(ROOM, Command::Close(StreamId(1)));
        assert!(matches!(world.events.recv().await, Some(Event::Closed(..))));
        world.host.udp(address(20_000)).await.expect("free again");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_lost_when_the_core_is_slow() {
        let mut world = World::new();
        for stream in 0..2 * EVENTS as u16 {
            world.media.send(ROOM, open(u64::from(stream), 20_000 + 2 * stream));
        }
        let mut opened = 0;
        while opened < 2 * EVENTS {
            let event = tokio::time::timeout(Duration::from_secs(1), world.events.recv()).await;
            assert!(matches!(event, Ok(Some(Event::Opened(_)))), "{event:?} after {opened}");
            opened += 1;
        }
    }

    const ROOM: RoomId = RoomId(1);
    const EVENTS: usize = 4;

    struct World {
        host: TestHost,
        media: HostMedia<TestHost>,
        events: mpsc::Receiver<Event>,
    }

    impl World {
        fn new() -> World {
            let host = TestHost::new();
            let (told, events) = mpsc::channel(EVENTS);
            let settings = Settings { clock: host.clock(), latching: Latching::default() };
            World { media: HostMedia::new(host.clone(), settings, told), host, events }
        }

        async fn open(&mut self, stream: u64, port: u16) {
            self.media.send(ROOM, open(stream, port));
            let told = self.events.recv().await;
            assert!(matches!(told, Some(Event::Opened(StreamId(id))) if id == stream), "{told:?}");
        }
    }

    fn open(stream: u64, port: u16) -> Command {
        Command::Open { stream: StreamId(stream), local: address(port), seed: stream, cname: "pbx".into() }
    }

    fn agree(stream: u64, remote: u16) -> Command {
        let pcma = Codec { payload_type: 8, name: "PCMA".into(), clock_rate: 8000, channels: 1, fmtp: None };
        let remote = RemoteAudio {
            rtp: Some(address(remote)),
            rtcp: Some(address(remote + 1)),
            codecs: vec![pcma.clone()],
            direction: Direction::SendRecv,
            ptime: Some(20),
            maxptime: None,
            sealing: Default::default(),
        };
        let agreement = Agreement {
            remote,
            codecs: vec![pcma],
            telephone_event: None,
            renumbered: Vec::new(),
            direction: Direction::SendRecv,
            ptime: 20,
            protection: None,
        };
        Command::Agree {
            stream: StreamId(stream),
            agreement: Box::new(agreement),
            timeout: None,
            detect_dtmf: false,
        }
    }

    /// 20 ms of PCMA.
    fn packet(sequence: u16) -> Vec<u8> {
        let mut bytes = vec![0x80, 8];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend((u32::from(sequence) * 160).to_be_bytes());
        bytes.extend([1, 2, 3, 4]);
        bytes.extend([0x55; 160]);
        bytes
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }
}
