//! The loop around the core: one task that owns it.
//!
//! A turn reads the clock once, gives the core what has come (datagrams, messages of connections, media events, orders),
//! tells it the time if it asked for it, and does what it wants done. Datagrams are read by this task itself, many a
//! turn: no channel and no task switch stands between the socket and the core. A turn is bounded, so that nobody is
//! starved by somebody else's flood.

use super::host::{Host, Udp};
use super::recordings::Recordings;
use super::records;
use super::rwi::{Admission, Lines};
use super::statistics::{Snapshot, Statistics};
use super::streams::{Arrival, Bounds, Ending, Streams};
use super::timer;
use super::tls::Tls;
use super::web_client::{Question, WebClient};
use super::webhook::Hook;
use super::{log, media_loop, messages, sounds};
use crate::boundary::FromClient;
use crate::cdr;
use crate::config::{self, Config, Limits};
use crate::media;
use crate::pbx::{Counters, Input, Output, Pbx};
use crate::sip::{ConnectionId, Path, Transport};
use crate::time::{Duration, Instant};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::{mpsc, oneshot};

/// Datagrams of one socket in one turn.
pub(super) const DATAGRAMS_A_TURN: usize = 32;
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
/// How long a question rests that was not answered.
const ASK_AGAIN: Duration = Duration::from_millis(100);
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

impl MediaPlane for media_loop::Media {
    fn send(&mut self, room: media::RoomId, command: media::Command) {
        media_loop::Media::send(self, room, command);
    }
}

/// What people and programs ask of a running PBX.
pub(super) enum Order {
    /// Another configuration holds from now on, and with it other certificates.
    Reconfigure(Box<Config>, Tls),
    /// No new calls; when the running ones are over, or the grace time, the loop ends.
    Drain { grace: Duration },
    /// The loop ends now.
    Stop,
    /// How things stand.
    Snapshot(oneshot::Sender<Snapshot>),
    /// A client of RWI shows its token.
    Knock { token: Option<String>, answer: oneshot::Sender<Admission> },
}

/// What the loop is made of.
pub(super) struct Parts<H: Host, C, M> {
    pub(super) host: H,
    pub(super) core: C,
    pub(super) media: M,
    pub(super) sockets: Vec<(SocketAddr, H::Udp)>,
    pub(super) limits: Limits,
    pub(super) tls: Tls,
    /// Whoever finds something out tells it by this.
    pub(super) arrive: mpsc::Sender<Arrival<H::Stream>>,
    pub(super) arrivals: mpsc::Receiver<Arrival<H::Stream>>,
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
    arrive: mpsc::Sender<Arrival<H::Stream>>,
    media_events: mpsc::Receiver<media::Event>,
    orders: mpsc::Receiver<Order>,
    records: records::Queue,
    recordings: Recordings,
    lines: Lines,
    hook: Hook,
    client: WebClient<H>,
    /// Questions to the web service that says where calls go.
    asking: usize,
    /// What clients of RWI have said.
    said: mpsc::Receiver<FromClient>,
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
    Client(FromClient),
}

impl<H: Host, C: Core, M: MediaPlane> Driver<H, C, M> {
    pub(super) fn new(parts: Parts<H, C, M>) -> Driver<H, C, M> {
        let streams = Streams::new(
            parts.host.clone(),
            parts.arrive.clone(),
            bounds_of(&parts.limits),
            parts.tls.clone(),
        );
        let (lines, said) = Lines::new();
        let client = WebClient::new(parts.host.clone(), parts.tls.clone());
        let hook = Hook::start(&parts.host, client.clone());
        let recordings = Recordings::start(&parts.host, parts.arrive.clone());
        let report_at = parts.host.now() + STATISTICS_EVERY;
        Driver {
            host: parts.host,
            core: parts.core,
            media: parts.media,
            sockets: parts.sockets,
            streams,
            arrive: parts.arrive,
            arrivals: parts.arrivals,
            media_events: parts.media_events,
            orders: parts.orders,
            records: parts.records,
            recordings,
            lines,
            hook,
            client,
            asking: 0,
            said,
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
        more |= self.take_clients(now);
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
            Wake::Client(said) => self.on_client(said, now),
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
                    Err(_) => {
                        self.statistics.traffic.socket_errors += 1;
                        break;
                    }
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
            Arrival::SoundRead { file, sound } => {
                self.core.receive(Input::SoundRead { file, sound }, now);
            }
            Arrival::RecordingFailed { recording, reason } => {
                self.recordings.close(recording);
                self.core.receive(Input::RecordingFailed { recording, reason }, now);
            }
            Arrival::Routed { query, answer } => {
                self.asking -= 1;
                self.core.receive(Input::Routed { query, answer }, now);
            }
            Arrival::MessagesListed(messages) => self.core.receive(Input::MessagesListed(messages), now),
            Arrival::Resolved { query, name, addresses } => {
                self.streams.know_by_name(&addresses, &name);
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

    fn take_clients(&mut self, now: Instant) -> bool {
        for _ in 0..ARRIVALS_A_TURN {
            match self.said.try_recv() {
                Ok(said) => self.on_client(said, now),
                Err(_) => return false,
            }
        }
        true
    }

    fn on_client(&mut self, said: FromClient, now: Instant) {
        // One that was cut off is gone already, whatever it still says.
        if self.lines.hears(&said) {
            self.core.receive(Input::Rwi(said), now);
        }
    }

    fn on_media_event(&mut self, event: media::Event, now: Instant) {
        self.statistics.on_media(&event);
        match event {
            media::Event::Recorded { recording, samples } => {
                let written = self.recordings.write(recording, samples);
                self.on_recording(recording, written, now);
            }
            media::Event::RecordingEnded { recording, .. } => {
                self.recordings.close(recording);
                self.core.receive(Input::Media(event), now);
            }
            event => self.core.receive(Input::Media(event), now),
        }
    }

    fn on_recording(&mut self, recording: media::RecordingId, done: Result<(), String>, now: Instant) {
        if let Err(reason) = done {
            self.core.receive(Input::RecordingFailed { recording, reason }, now);
        }
    }

    fn on_order(&mut self, order: Order, now: Instant) {
        match order {
            Order::Reconfigure(config, tls) => {
                self.client.set_tls(tls.clone());
                self.streams.set_tls(tls);
                self.streams.set_bounds(bounds_of(&config.limits));
                self.core.receive(Input::Reconfigure(config), now);
            }
            Order::Drain { grace } => {
                self.progress = Progress::Draining;
                self.core.receive(Input::Drain { grace }, now);
                tracing::info!(grace_secs = grace.as_secs(), "ending: no new calls from now on");
            }
            Order::Stop => self.progress = Progress::Over,
            Order::Snapshot(answer) => {
                let _ = answer.send(self.snapshot(now));
            }
            Order::Knock { token, answer } => {
                let client = self.lines.knock(answer);
                self.core.receive(Input::Rwi(FromClient::Knock { client, token }), now);
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
                Output::OpenRecording { recording, file, channels } => {
                    let opened = self.recordings.open(recording, file, channels);
                    self.on_recording(recording, opened, now);
                }
                Output::ReadSound { file } => self.read_sound(file),
                Output::SaveFile { file, bytes } => self.recordings.save(file, bytes),
                Output::RemoveFiles(files) => self.recordings.remove(files),
                Output::ListMessages { directory } => self.list_messages(directory),
                Output::Record(record) => self.keep(Arc::from(record)),
                Output::Journal(record) => self.records.journal(record),
                Output::Event(event) => log::event(&event),
                Output::Webhook { to, text } => self.hook.post(*to, text),
                Output::Ask { query, to, text } => self.ask(query, *to, text, now),
                Output::Rwi(output) => {
                    if let Some(gone) = self.lines.send(output) {
                        self.core.receive(Input::Rwi(FromClient::Gone(gone)), now);
                    }
                }
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
        let (host, arrive) = (self.host.clone(), self.arrive.clone());
        self.host.spawn(async move {
            let found = timer::timeout(RESOLVE_LIMIT, host.resolve(&name)).await;
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
            let _ = arrive.send(Arrival::Resolved { query, name, addresses }).await;
        });
    }

    /// Asks the web service that says where calls go, and again where that may help. Who finds too many waiting does not wait.
    fn ask(&mut self, query: u64, to: config::Router, text: String, now: Instant) {
        if self.asking >= to.max_pending {
            let answer = Err("too many calls wait for an answer".to_owned());
            return self.core.receive(Input::Routed { query, answer }, now);
        }
        self.asking += 1;
        let (client, arrive) = (self.client.clone(), self.arrive.clone());
        self.host.spawn(async move {
            let mut left = to.retries;
            let answer = loop {
                let question = Question { url: &to.url, headers: &to.headers, text: &text };
                let (why, may_pass) = match timer::timeout(to.timeout, client.post(question)).await {
                    Ok(Ok(answer)) => break Ok(answer),
                    Ok(Err(failed)) => (failed.to_string(), failed.may_pass()),
                    Err(_) => ("there is no answer in time".to_owned(), true),
                };
                if left == 0 || !may_pass {
                    break Err(why);
                }
                left -= 1;
                timer::sleep(ASK_AGAIN).await;
            };
            let _ = arrive.send(Arrival::Routed { query, answer }).await;
        });
    }

    fn read_sound(&mut self, file: PathBuf) {
        let (disk, arrive) = (self.host.disk(), self.arrive.clone());
        self.host.spawn(async move {
            let sound = sounds::read(&disk, &file).await;
            let _ = arrive.send(Arrival::SoundRead { file, sound }).await;
        });
    }

    fn list_messages(&mut self, directory: PathBuf) {
        let (disk, arrive) = (self.host.disk(), self.arrive.clone());
        self.host.spawn(async move {
            match messages::list(&disk, &directory).await {
                Ok(found) => drop(arrive.send(Arrival::MessagesListed(found)).await),
                Err(error) => {
                    tracing::warn!(directory = %directory.display(), %error, "messages: there are none to be read");
                }
            }
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
            Some(said) = self.said.recv() => Wake::Client(said),
            () = timer::sleep(patience) => Wake::Look,
        }
    }

    /// What connections and the disk still have to write is written, in bounded time.
    async fn finish(mut self) {
        let mut open = self.streams.finish();
        let _ = timer::timeout(FINISH_LIMIT, async {
            while open > 0 {
                match self.arrivals.recv().await {
                    Some(Arrival::Closed(..)) => open -= 1,
                    Some(_) => {}
                    None => break,
                }
            }
        })
        .await;
        self.recordings.finish().await;
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
    let mut waits: Vec<_> = sockets.iter().map(|(_, socket)| Box::pin(socket.readable())).collect();
    std::future::poll_fn(|context| {
        let ready = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
