//! The loop around the core: one task that owns it.
//!
//! A turn reads the clock once, gives the core what has come (datagrams, messages of connections, media events, orders),
//! tells it the time if it asked for it, and does what it wants done. Datagrams are read by this task itself, many a
//! turn: no channel and no task switch stands between the socket and the core. A turn is bounded, so that nobody is
//! starved by somebody else's flood.

use super::host::{Host, Udp};
use super::log;
use super::records;
use super::statistics::{Snapshot, Statistics};
use super::streams::{Arrival, Bounds, Ending, Streams};
use crate::cdr;
use crate::config::{Config, Limits};
use crate::media;
use crate::pbx::{Counters, Input, Output, Pbx};
use crate::sip::{ConnectionId, Path, Transport};
use crate::time::{Duration, Instant};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::{mpsc, oneshot};

/// Datagrams of one socket in one turn.
const DATAGRAMS_A_TURN: usize = 32;
/// Messages of connections, media events, orders in one turn.
const ARRIVALS_A_TURN: usize = 64;
/// The largest UDP datagram.
const DATAGRAM: usize = 65_536;
/// Deadlines of the core in one turn.
const TIMEOUTS_A_TURN: usize = 256;
/// Names that are being resolved at a time; over it a name counts as unknown.
const RESOLVING: usize = 256;
/// How long a name may take.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
/// How often the statistics are logged.
const STATISTICS_EVERY: Duration = Duration::from_secs(30);
/// How long connections may take to write what is left at the end.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// What the loop drives: [`Pbx`], or a stand-in in tests.
pub trait Core: Send + 'static {
    /// Something has come.
    fn receive(&mut self, input: Input, now: Instant);
    /// The earliest deadline has come.
    fn handle_timeout(&mut self, now: Instant);
    /// The earliest deadline.
    fn poll_timeout(&self) -> Option<Instant>;
    /// What is to be done next.
    fn poll_output(&mut self) -> Option<Output>;
    /// What has been counted.
    fn counters(&self) -> Counters;
}

impl Core for Pbx {
    fn receive(&mut self, input: Input, now: Instant) {
        Pbx::receive(self, input, now);
    }
    fn handle_timeout(&mut self, now: Instant) {
        Pbx::handle_timeout(self, now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        Pbx::poll_timeout(self)
    }
    fn poll_output(&mut self) -> Option<Output> {
        Pbx::poll_output(self)
    }
    fn counters(&self) -> Counters {
        Pbx::counters(self)
    }
}

/// Where media commands go; the events come back by the channel the driver was given.
pub trait MediaPlane: Send + 'static {
    /// All commands of one room reach one engine, in order.
    fn send(&mut self, room: media::RoomId, command: media::Command);
}

/// What people and programs ask of a running PBX.
pub(super) enum Order {
    /// Another configuration holds from now on.
    Reconfigure(Box<Config>),
    /// No new calls; when the running ones are over, or the grace time, the loop ends.
    Drain { grace: Duration },
    /// The loop ends now.
    Stop,
    /// How things stand.
    Snapshot(oneshot::Sender<Snapshot>),
}

/// What the loop is made of.
pub(super) struct Parts<H: Host, C, M> {
    pub(super) host: H,
    pub(super) core: C,
    pub(super) media: M,
    pub(super) sockets: Vec<(SocketAddr, H::Udp)>,
    pub(super) limits: Limits,
    pub(super) arrivals: (mpsc::Sender<Arrival<H::Stream>>, mpsc::Receiver<Arrival<H::Stream>>),
    pub(super) media_events: mpsc::Receiver<media::Event>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) records: records::Queue,
}

/// The loop.
pub(super) struct Driver<H: Host, C, M> {
    host: H,
    core: C,
    media: M,
    sockets: Vec<(SocketAddr, H::Udp)>,
    streams: Streams<H>,
    arrivals: mpsc::Receiver<Arrival<H::Stream>>,
    reply_to: mpsc::Sender<Arrival<H::Stream>>,
    media_events: mpsc::Receiver<media::Event>,
    orders: mpsc::Receiver<Order>,
    records: records::Queue,
    statistics: Statistics,
    report_at: Instant,
    resolving: usize,
    progress: Progress,
    buffer: Vec<u8>,
}

/// How far the program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Running,
    Draining,
    Over,
}

/// What ended the wait between two turns, and what came with it.
enum Wake<S> {
    /// A datagram or a deadline: the turn will find it.
    Look,
    Arrival(Arrival<S>),
    Media(media::Event),
    Order(Order),
}

impl<H: Host, C: Core, M: MediaPlane> Driver<H, C, M> {
    pub(super) fn new(parts: Parts<H, C, M>) -> Driver<H, C, M> {
        let (reply_to, arrivals) = parts.arrivals;
        let streams = Streams::new(parts.host.clone(), reply_to.clone(), bounds_of(&parts.limits));
        let report_at = parts.host.now() + STATISTICS_EVERY;
        Driver {
            host: parts.host,
            core: parts.core,
            media: parts.media,
            sockets: parts.sockets,
            streams,
            arrivals,
            reply_to,
            media_events: parts.media_events,
            orders: parts.orders,
            records: parts.records,
            statistics: Statistics::default(),
            report_at,
            resolving: 0,
            progress: Progress::Running,
            buffer: vec![0; DATAGRAM],
        }
    }

    /// Runs until it is told to stop, or has drained; then everything is written.
    pub(super) async fn run(mut self) {
        let mut wake = Wake::Look;
        while self.progress != Progress::Over {
            let more = self.turn(wake);
            wake = Wake::Look;
            if more {
                // What waits in the sockets can wait until the other tasks have had their turn.
                tokio::task::yield_now().await;
            } else if self.progress != Progress::Over {
                wake = self.wait().await;
            }
        }
        self.finish().await;
    }

    /// Returns whether there may be more to do at once.
    fn turn(&mut self, wake: Wake<H::Stream>) -> bool {
        let now = self.host.now();
        self.on_wake(wake, now);
        let mut more = self.take_datagrams(now);
        more |= self.take_arrivals(now);
        more |= self.take_media_events(now);
        while let Ok(order) = self.orders.try_recv() {
            self.on_order(order, now);
        }
        more |= self.take_timeouts(now);
        self.perform_outputs(now);
        self.report(now);
        more
    }

    fn on_wake(&mut self, wake: Wake<H::Stream>, now: Instant) {
        match wake {
            Wake::Look => {}
            Wake::Arrival(arrival) => self.on_arrival(arrival, now),
            Wake::Media(event) => self.on_media_event(event, now),
            Wake::Order(order) => self.on_order(order, now),
        }
    }

    fn take_datagrams(&mut self, now: Instant) -> bool {
        let mut more = false;
        for (local, socket) in &self.sockets {
            let mut left = DATAGRAMS_A_TURN;
            while left > 0 {
                left -= 1;
                match socket.try_recv_from(&mut self.buffer) {
                    Ok((length, remote)) => {
                        let bytes = &self.buffer[..length];
                        if is_keepalive(bytes) {
                            self.statistics.traffic.keepalives += 1;
                            continue;
                        }
                        let path =
                            Path { transport: Transport::Udp, local: *local, remote, connection: None };
                        self.core.receive(Input::Received { path, bytes: bytes.to_vec() }, now);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // What the OS has to say about an earlier datagram of ours; it is said once and gone.
                    Err(_) => self.statistics.traffic.socket_errors += 1,
                }
            }
            more |= left == 0;
        }
        more
    }

    fn take_arrivals(&mut self, now: Instant) -> bool {
        for _ in 0..ARRIVALS_A_TURN {
            match self.arrivals.try_recv() {
                Ok(arrival) => self.on_arrival(arrival, now),
                Err(_) => return false,
            }
        }
        true
    }

    fn on_arrival(&mut self, arrival: Arrival<H::Stream>, now: Instant) {
        match arrival {
            Arrival::Message { path, bytes } if self.streams.is_open(&path) => {
                self.core.receive(Input::Received { path, bytes }, now);
            }
            Arrival::Message { .. } => {}
            Arrival::Accepted { transport, local, remote, stream } => {
                let taken = self.streams.accept((transport, local, remote), stream);
                let traffic = &mut self.statistics.traffic;
                if taken { traffic.connections_accepted += 1 } else { traffic.connections_refused += 1 }
            }
            Arrival::HalfClosed(id) => self.streams.half_closed(id),
            Arrival::Closed(id, ending) => self.on_closed(id, ending, now),
            Arrival::Resolved { query, addresses } => {
                self.resolving -= 1;
                self.core.receive(Input::Resolved { query, addresses }, now);
            }
        }
    }

    fn on_closed(&mut self, id: ConnectionId, ending: Ending, now: Instant) {
        let paths = self.streams.remove(id);
        if let Some(path) = paths.first() {
            log::connection_ended(path, &ending);
        }
        if !matches!(ending, Ending::Finished | Ending::Idle) {
            self.statistics.traffic.connections_failed += 1;
        }
        for path in paths {
            self.core.receive(Input::PathFailed(path), now);
        }
    }

    fn take_media_events(&mut self, now: Instant) -> bool {
        for _ in 0..ARRIVALS_A_TURN {
            match self.media_events.try_recv() {
                Ok(event) => self.on_media_event(event, now),
                Err(_) => return false,
            }
        }
        true
    }

    fn on_media_event(&mut self, event: media::Event, now: Instant) {
        self.statistics.on_media(&event);
        self.core.receive(Input::Media(event), now);
    }

    fn on_order(&mut self, order: Order, now: Instant) {
        match order {
            Order::Reconfigure(config) => {
                self.streams.set_bounds(bounds_of(&config.limits));
                self.core.receive(Input::Reconfigure(config), now);
            }
            Order::Drain { grace } => {
                self.progress = Progress::Draining;
                self.core.receive(Input::Drain { grace }, now);
            }
            Order::Stop => self.progress = Progress::Over,
            Order::Snapshot(answer) => {
                let _ = answer.send(self.snapshot(now));
            }
        }
    }

    fn take_timeouts(&mut self, now: Instant) -> bool {
        for _ in 0..TIMEOUTS_A_TURN {
            match self.core.poll_timeout() {
                Some(at) if at <= now => self.core.handle_timeout(now),
                Some(_) | None => return false,
            }
        }
        true
    }

    fn perform_outputs(&mut self, now: Instant) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit { path, bytes } => {
                    if let Err(paths) = self.transmit(path, bytes) {
                        paths.into_iter().for_each(|path| self.core.receive(Input::PathFailed(path), now));
                    }
                }
                Output::Media { room, command } => self.media.send(room, command),
                Output::Resolve { query, host, port } => self.resolve(query, host, port, now),
                Output::Record(record) => self.keep(Arc::from(record)),
                Output::Journal(record) => self.records.journal(record),
                Output::Event(event) => log::event(&event),
                Output::Drained => self.progress = Progress::Over,
            }
        }
    }

    fn keep(&mut self, record: Arc<cdr::Record>) {
        log::call_record(&record);
        self.statistics.on_record(&record);
        self.records.write(record);
    }

    fn transmit(&mut self, path: Path, bytes: Vec<u8>) -> Result<(), Vec<Path>> {
        if path.transport != Transport::Udp {
            return self.streams.send(path, bytes);
        }
        let (_, socket) =
            self.sockets.iter().find(|(local, _)| *local == path.local).ok_or_else(|| vec![path])?;
        match socket.try_send_to(&bytes, path.remote) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // As if the network had lost it: whoever needs it repeats it.
                self.statistics.traffic.datagrams_dropped += 1;
                Ok(())
            }
            Err(_) => {
                self.statistics.traffic.socket_errors += 1;
                Err(vec![path])
            }
        }
    }

    fn resolve(&mut self, query: u64, name: String, port: u16, now: Instant) {
        if self.resolving >= RESOLVING {
            self.core.receive(Input::Resolved { query, addresses: Vec::new() }, now);
            return;
        }
        self.resolving += 1;
        let (host, reply_to) = (self.host.clone(), self.reply_to.clone());
        self.host.spawn(async move {
            let found = tokio::time::timeout(RESOLVE_LIMIT, host.resolve(&name)).await;
            let addresses = match found {
                Ok(Ok(addresses)) => addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(),
                Ok(Err(error)) => {
                    tracing::warn!(%name, %error, "name not resolved");
                    Vec::new()
                }
                Err(_) => {
                    tracing::warn!(%name, "name not resolved in time");
                    Vec::new()
                }
            };
            let _ = reply_to.send(Arrival::Resolved { query, addresses }).await;
        });
    }

    fn report(&mut self, now: Instant) {
        if now < self.report_at {
            return;
        }
        self.report_at = now + STATISTICS_EVERY;
        log::statistics(&self.snapshot(now));
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        Snapshot {
            at: now,
            draining: self.progress != Progress::Running,
            counters: self.core.counters(),
            connections: self.streams.count(),
            statistics: self.statistics.clone(),
            records: self.records.counts(),
        }
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self) -> Wake<H::Stream> {
        let deadline = self.core.poll_timeout().map_or(self.report_at, |at| at.min(self.report_at));
        let patience = deadline.since(self.host.now());
        tokio::select! {
            biased;
            () = any_readable(&self.sockets) => Wake::Look,
            Some(event) = self.media_events.recv() => Wake::Media(event),
            Some(arrival) = self.arrivals.recv() => Wake::Arrival(arrival),
            Some(order) = self.orders.recv() => Wake::Order(order),
            () = tokio::time::sleep(patience) => Wake::Look,
        }
    }

    /// What connections and the disk still have to write is written, in bounded time.
    async fn finish(mut self) {
        let mut open = self.streams.finish();
        let _ = tokio::time::timeout(FINISH_LIMIT, async {
            while open > 0 {
                match self.arrivals.recv().await {
                    Some(Arrival::Closed(..)) => open -= 1,
                    Some(_) => {}
                    None => break,
                }
            }
        })
        .await;
        self.records.finish().await;
    }
}

/// A datagram of nothing but line ends or zeros keeps a NAT binding open (RFC 5626 section 3.5.1, and what telephones
/// really send); nobody wants an answer.
fn is_keepalive(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0))
}

fn bounds_of(limits: &Limits) -> Bounds {
    Bounds {
        connections: limits.connections,
        message_bytes: limits.message_bytes,
        // Who is registered by a connection renews it before it expires; who does not is gone.
        idle: limits.max_expires + Duration::from_secs(60),
    }
}

/// Waits until one of the sockets has something to read.
async fn any_readable<U: Udp>(sockets: &[(SocketAddr, U)]) {
    let mut waits: Vec<Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>>> = Vec::new();
    for (_, socket) in sockets {
        waits.push(Box::pin(socket.readable()));
    }
    std::future::poll_fn(|context| {
        let ready = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::program::{self, Running};
    use crate::shell::test_host::{NoMedia, TestHost};
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    const MESSAGE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_datagram_is_answered_from_where_it_came() {
        let world = World::new().await;
        world.host.deliver(address(PHONE), address(PBX), b"hello");
        world.passes(1).await;
        assert_eq!(world.host.sent(), [(address(PBX), address(PHONE), b"hello".to_vec())]);
    }

    #[tokio::test(start_paused = true)]
    async fn keepalive_datagrams_do_not_reach_the_core() {
        let world = World::new().await;
        for bytes in [&b"\r\n\r\n"[..], b"\0\0\0\0", b""] {
            world.host.deliver(address(PHONE), address(PBX), bytes);
        }
        world.passes(1).await;
        assert_eq!(world.heard(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_on_the_socket_starves_nobody() {
        let world = World::new().await;
        for _ in 0..10 * DATAGRAMS_A_TURN {
            world.host.deliver(address(PHONE), address(PBX), b"flood");
        }
        let answered = world.running.handle.snapshot().await.is_some();
        let read = world.heard().len();
        assert!(answered && read < 10 * DATAGRAMS_A_TURN, "{read} datagrams were read before the order");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_on_a_connection_is_answered_on_it() {
        let world = World::new().await;
        let mut phone = world.dial();
        let (first, second) = MESSAGE.split_at(9);
        phone.write_all(first).await.expect("open");
        world.passes(5).await;
        phone.write_all(second).await.expect("open");
        assert_eq!(read(&mut phone).await, MESSAGE);
        assert_eq!(world.heard(), ["received on 1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_gets_its_pong() {
        let world = World::new().await;
        let mut phone = world.dial();
        phone.write_all(b"\r\n\r\n").await.expect("open");
        assert_eq!(read(&mut phone).await, b"\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn who_closes_his_half_still_gets_his_answer() {
        let world = World::new().await;
        let mut phone = world.dial();
        phone.write_all(MESSAGE).await.expect("open");
        phone.shutdown().await.expect("open");
        assert_eq!(read(&mut phone).await, MESSAGE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_a_message_and_does_not_end_it_is_closed() {
        let world = World::new().await;
        let mut phone = world.dial();
        for _ in 0..40 {
            if phone.write_all(b"O").await.is_err() {
                break;
            }
            world.passes(1).await;
        }
        assert_eq!(read(&mut phone).await, b"", "32 seconds after the first byte it is over");
        assert_eq!(world.heard(), ["failed on 1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_garbage_is_closed() {
        let world = World::new().await;
        let mut phone = world.dial();
        phone.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("open");
        assert_eq!(read(&mut phone).await, b"");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed_when_its_registration_is_long_over() {
        let world = World::new().await;
        let mut phone = world.dial();
        phone.write_all(MESSAGE).await.expect("open");
        assert_eq!(read(&mut phone).await, MESSAGE);
        world.passes(3_500).await;
        phone.write_all(MESSAGE).await.expect("still open");
        assert_eq!(read(&mut phone).await, MESSAGE);
        world.passes(3_700).await;
        assert_eq!(read(&mut phone).await, b"");
    }

    #[tokio::test(start_paused = true)]
    async fn over_the_limit_a_connection_is_closed_at_once() {
        let world = World::new().await;
        let mut phones: Vec<DuplexStream> = (0..=CONNECTIONS).map(|_| world.dial()).collect();
        world.passes(1).await;
        let last = phones.last_mut().expect("there are some");
        assert_eq!(read(last).await, b"");
        phones[0].write_all(b"\r\n\r\n").await.expect("the others stay");
        assert_eq!(read(&mut phones[0]).await, b"\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn two_messages_to_one_end_share_a_connection() {
        let world = World::new().await;
        let mut trunk = world.host.peer(address(TRUNK));
        world.say(Output::Transmit { path: to_trunk(), bytes: b"one ".to_vec() });
        world.say(Output::Transmit { path: to_trunk(), bytes: b"two".to_vec() });
        world.passes(1).await;

        let mut connection = trunk.try_recv().expect("connected");
        assert_eq!(read(&mut connection).await, b"one two");
        assert!(trunk.try_recv().is_err(), "there is no second connection");
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_connection_is_told_by_its_name_and_by_its_end() {
        let world = World::new().await;
        let mut trunk = world.host.peer(address(TRUNK));
        world.say(Output::Transmit { path: to_trunk(), bytes: b"one".to_vec() });
        world.passes(1).await;
        drop(trunk.try_recv().expect("connected"));
        world.passes(60).await;
        assert_eq!(world.heard(), ["failed on 1", "failed"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_connected_is_told() {
        let world = World::new().await;
        world.say(Output::Transmit { path: to_trunk(), bytes: b"one".to_vec() });
        world.passes(1).await;
        assert_eq!(world.heard(), ["failed on 1", "failed"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_given_up() {
        let world = World::new().await;
        let mut trunk = world.host.peer(address(TRUNK));
        world.say(Output::Transmit { path: to_trunk(), bytes: b"first".to_vec() });
        world.passes(1).await;
        let _asleep = trunk.try_recv().expect("connected");
        for _ in 0..100 {
            (0..10).for_each(|_| world.say(Output::Transmit { path: to_trunk(), bytes: vec![b'x'; 4096] }));
            tokio::task::yield_now().await;
        }
        world.passes(1).await;
        assert!(world.heard().contains(&"failed".into()), "{:?}", world.heard());
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_resolved() {
        let world = World::new().await;
        world.say(Output::Resolve { query: 7, host: "trunk.example".into(), port: 5080 });
        world.say(Output::Resolve { query: 8, host: "nobody.example".into(), port: 5060 });
        world.passes(1).await;
        assert_eq!(world.heard(), ["7 is [192.0.2.7:5080]", "8 is []"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_comes_when_it_is_due() {
        let world = World::new().await;
        lock(&world.script).deadline = Some(world.host.now() + Duration::from_secs(90));
        world.wake().await;
        world.passes(89).await;
        assert_eq!(world.heard(), [""; 0]);
        world.passes(2).await;
        assert_eq!(world.heard(), ["timeout"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drained_core_ends_the_program() {
        let mut world = World::new().await;
        world.running.handle.drain(Duration::from_secs(5)).await;
        assert!(world.running.ended().await);
        assert!(world.running.handle.snapshot().await.is_none());
    }

    const PBX: &str = "192.0.2.1:5060";
    const PHONE: &str = "192.0.2.2:5060";
    const TRUNK: &str = "192.0.2.3:5060";
    const CONNECTIONS: usize = 4;

    /// A PBX whose core sends everything back and does what it is told.
    struct World {
        host: TestHost,
        running: Running<TestHost>,
        script: Arc<Mutex<Script>>,
    }

    #[derive(Default)]
    struct Script {
        heard: Vec<String>,
        outputs: VecDeque<Output>,
        deadline: Option<Instant>,
    }

    impl World {
        async fn new() -> World {
            let host = TestHost::new();
            let mut config = crate::shell::interim::embedded();
            config.sip.listen = vec![(Transport::Udp, address(PBX)), (Transport::Tcp, address(PBX))];
            config.http = None;
            config.limits.connections = CONNECTIONS;
            config.limits.max_expires = Duration::from_secs(3_600);
            let bound = program::bind(host.clone(), config, None).await.expect("nothing else listens");
            let script = Arc::<Mutex<Script>>::default();
            let (_, events) = mpsc::channel(1);
            let core = Scripted(script.clone());
            let running = bound.start(|_, _, _| core, NoMedia, events);
            World { host, running, script }
        }

        fn dial(&self) -> DuplexStream {
            self.host.dial(address(PHONE), address(PBX)).expect("the PBX listens")
        }

        /// The core wants this done at its next turn.
        fn say(&self, output: Output) {
            lock(&self.script).outputs.push_back(output);
            self.host.deliver(address(PHONE), address(PBX), WAKE);
        }

        async fn wake(&self) {
            self.host.deliver(address(PHONE), address(PBX), WAKE);
            tokio::task::yield_now().await;
        }

        async fn passes(&self, seconds: u64) {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }

        fn heard(&self) -> Vec<String> {
            lock(&self.script).heard.clone()
        }
    }

    /// A datagram by which the core is only woken.
    const WAKE: &[u8] = b"wake";

    struct Scripted(Arc<Mutex<Script>>);

    impl Core for Scripted {
        fn receive(&mut self, input: Input, _: Instant) {
            let mut script = lock(&self.0);
            match input {
                Input::Received { bytes, .. } if bytes == WAKE => {}
                Input::Received { path, bytes } => {
                    script.heard.push(format!("received{}", on(&path)));
                    script.outputs.push_back(Output::Transmit { path, bytes });
                }
                Input::PathFailed(path) => script.heard.push(format!("failed{}", on(&path))),
                Input::Resolved { query, addresses } => {
                    script.heard.push(format!("{query} is {addresses:?}"))
                }
                Input::Drain { .. } => script.outputs.push_back(Output::Drained),
                Input::Media(_) | Input::Reconfigure(_) => {}
            }
        }

        fn handle_timeout(&mut self, _: Instant) {
            let mut script = lock(&self.0);
            script.deadline = None;
            script.heard.push("timeout".into());
        }

        fn poll_timeout(&self) -> Option<Instant> {
            lock(&self.0).deadline
        }

        fn poll_output(&mut self) -> Option<Output> {
            lock(&self.0).outputs.pop_front()
        }

        fn counters(&self) -> Counters {
            Counters::default()
        }
    }

    fn on(path: &Path) -> String {
        path.connection.map(|ConnectionId(id)| format!(" on {id}")).unwrap_or_default()
    }

    fn to_trunk() -> Path {
        Path { transport: Transport::Tcp, local: address(PBX), remote: address(TRUNK), connection: None }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// What comes at once; nothing when it is closed.
    async fn read(stream: &mut DuplexStream) -> Vec<u8> {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.expect("a pipe does not break");
        buffer[..length].to_vec()
    }

    fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        shared.lock().expect("nobody panicked")
    }
}
