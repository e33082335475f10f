//! SIP over connections: who has one, how bytes become messages, when one is closed (RFC 3261 section 18).
//!
//! Every connection is a task that reads and writes; the driver owns the table and hears of them by [`Arrival`]s. A
//! reader waits while the driver is busy (TCP then slows the sender down); a writer that the other end does not read
//! from has a bounded queue, and is closed when that is full.

use super::host::Host;
use super::timer::{self, Deadline, timeout, timeout_at};
use super::tls::Tls;
use super::web_socket;
use crate::audio::Clip;
use crate::boundary::StoredMessage;
use crate::buggify::buggify;
use crate::media::RecordingId;
use crate::sip::{ConnectionId, Frame, FrameError, Framer, PONG, Path, Transport};
use crate::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};

/// Messages that wait for one connection; over it the other end counts as gone.
const QUEUE: usize = 512;
/// Names of others that are remembered.
const NAMES: usize = 4_096;
/// How long the other end may take to accept our connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a message may take from its first byte to its last, and the first message from the start of the
/// connection: 64 * T1, after which nobody waits for an answer any longer.
const MESSAGE_LIMIT: Duration = Duration::from_secs(32);
/// How long one write may take.
const WRITE_LIMIT: Duration = Duration::from_secs(32);
/// How long we go on answering somebody who has said that he sends nothing more.
const HALF_CLOSED_LIMIT: Duration = Duration::from_secs(32);
/// How long the rest of a message waits that a simulated world cuts in pieces.
const PIECE: Duration = Duration::from_millis(50);
/// How long the answer to what was no message may take to be written.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// What a connection tells the driver.
pub(super) enum Arrival<S> {
    /// Somebody has connected to the socket listening at `local`.
    Accepted { transport: Transport, local: SocketAddr, remote: SocketAddr, stream: S },
    /// A whole message.
    Message { path: Path, bytes: Vec<u8> },
    /// The other end sends nothing more, but may still read.
    HalfClosed(ConnectionId),
    /// It is gone.
    Closed(ConnectionId, Ending),
    /// Addresses of a name that was asked for.
    Resolved { query: u64, name: String, addresses: Vec<SocketAddr> },
    /// What a web service says, or why it says nothing.
    Routed { query: u64, answer: Result<String, String> },
    /// A sound that was asked for, or why there is none.
    SoundRead { file: PathBuf, sound: Result<Arc<Clip>, String> },
    /// The messages that there are.
    MessagesListed(Vec<StoredMessage>),
    /// The disk does not take a recording.
    RecordingFailed { recording: RecordingId, reason: String },
}

/// Why a connection is gone.
#[derive(Debug)]
pub(super) enum Ending {
    /// The other end, or we, closed it between messages.
    Finished,
    /// Nothing came for too long.
    Idle,
    /// A message was begun and not ended in time, or none came at all.
    Slow,
    /// What came was no SIP.
    Garbage(FrameError),
    /// It could not be opened.
    Unreachable(io::Error),
    /// The other end is not who it should be, or does not believe us.
    Untrusted(io::Error),
    /// It broke.
    Broken(io::Error),
}

/// What bounds connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections at a time.
    pub(super) connections: usize,
    /// Bytes of one message.
    pub(super) message_bytes: usize,
    /// How long a connection may be silent.
    pub(super) idle: Duration,
}

/// The open connections.
pub(super) struct Streams<H: Host> {
    host: H,
    arrivals: mpsc::Sender<Arrival<H::Stream>>,
    bounds: Bounds,
    tls: Tls,
    /// By which name an address was last asked for: the one that a certificate has to show.
    names: BTreeMap<SocketAddr, String>,
    open: BTreeMap<ConnectionId, Connection>,
    by_ends: BTreeMap<Ends, ConnectionId>,
    numbered: u64,
}

/// Transport, our listening address, the other end.
type Ends = (Transport, SocketAddr, SocketAddr);

struct Connection {
    path: Path,
    queue: mpsc::Sender<Vec<u8>>,
    /// Something was sent on it by a path that named no connection.
    taken_by_address: bool,
}

impl<H: Host> Streams<H> {
    pub(super) fn new(
        host: H,
        arrivals: mpsc::Sender<Arrival<H::Stream>>,
        bounds: Bounds,
        tls: Tls,
    ) -> Streams<H> {
        let (open, by_ends, names) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Streams { host, arrivals, bounds, tls, names, open, by_ends, numbered: 0 }
    }

    /// Other certificates hold from now on; open connections stay as they are.
    pub(super) fn set_tls(&mut self, tls: Tls) {
        self.tls = tls;
    }

    /// Whoever is at these addresses has to show this name from now on.
    pub(super) fn know_by_name(&mut self, addresses: &[SocketAddr], name: &str) {
        if self.names.len() > NAMES {
            self.names.clear();
        }
        self.names.extend(addresses.iter().map(|address| (*address, name.to_owned())));
    }

    /// From now on; open connections keep their bounds.
    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    /// Takes a connection in; false when there are too many, it is closed then.
    pub(super) fn accept(&mut self, ends: Ends, stream: H::Stream) -> bool {
        if self.open.len() >= self.bounds.connections {
            return false;
        }
        let (path, queue) = self.enter(ends);
        let (tls, arrivals, bounds) = (self.tls.clone(), self.arrivals.clone(), self.bounds);
        self.host.spawn(async move {
            let ending = welcome(&tls, stream, path, queue, &arrivals, bounds).await;
            report(&arrivals, id_of(&path), ending).await;
        });
        true
    }

    /// Whether it is in the table: what comes on others is late and nobody's.
    pub(super) fn is_open(&self, path: &Path) -> bool {
        path.connection.is_some_and(|id| self.open.contains_key(&id))
    }

    /// Sends on the connection of `path`, or on the one to its remote end, or on a new one. Returns the paths that do not
    /// work: the named connection is gone, its queue is full, or there are too many.
    pub(super) fn send(&mut self, path: Path, bytes: Vec<u8>) -> Result<(), Vec<Path>> {
        let ends = (path.transport, path.local, path.remote);
        let named = path.connection.filter(|id| self.open.contains_key(id));
        let id = match named.or_else(|| self.by_ends.get(&ends).copied()) {
            Some(id) => id,
            None if path.connection.is_some()
                || self.open.len() >= self.bounds.connections
                || matches!(path.transport, Transport::Ws | Transport::Wss) =>
            {
                return Err(vec![path]);
            }
            None => self.connect(ends),
        };
        let connection = self.open.get_mut(&id).ok_or_else(|| vec![path])?;
        connection.taken_by_address |= path.connection.is_none();
        // Its task ends when the queue does; what waits in it is written if the other end wakes up.
        connection.queue.try_send(bytes).map_err(|_| self.remove(id))
    }

    /// The other end sends nothing more: nothing new is started on this connection.
    pub(super) fn half_closed(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get(&id) {
            let path = connection.path;
            self.by_ends.remove(&(path.transport, path.local, path.remote));
        }
    }

    /// Forgets a connection; says which paths no longer work.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Vec<Path> {
        let Some(connection) = self.open.remove(&id) else { return Vec::new() };
        let path = connection.path;
        let ends = (path.transport, path.local, path.remote);
        if self.by_ends.get(&ends) == Some(&id) {
            self.by_ends.remove(&ends);
        }
        let unnamed = connection.taken_by_address.then_some(Path { connection: None, ..path });
        std::iter::once(path).chain(unnamed).collect()
    }

    /// Nothing more is sent: each connection writes what waits and closes.
    pub(super) fn finish(&mut self) -> usize {
        let count = self.open.len();
        self.open.clear();
        self.by_ends.clear();
        count
    }

    fn connect(&mut self, ends: Ends) -> ConnectionId {
        let (path, queue) = self.enter(ends);
        let (host, arrivals, bounds) = (self.host.clone(), self.arrivals.clone(), self.bounds);
        let name = self.names.get(&path.remote).cloned().unwrap_or_else(|| path.remote.ip().to_string());
        let tls = self.tls.clone();
        self.host.spawn(async move {
            let ending = match timeout(CONNECT_LIMIT, host.connect(path.remote)).await {
                Ok(Ok(stream)) => visit(&tls, &name, stream, path, queue, &arrivals, bounds).await,
                Ok(Err(error)) => Ending::Unreachable(error),
                Err(_) => Ending::Unreachable(io::ErrorKind::TimedOut.into()),
            };
            report(&arrivals, id_of(&path), ending).await;
        });
        id_of(&path)
    }

    fn enter(&mut self, ends: Ends) -> (Path, mpsc::Receiver<Vec<u8>>) {
        self.numbered += 1;
        let id = ConnectionId(self.numbered);
        let (transport, local, remote) = ends;
        let path = Path { transport, local, remote, connection: Some(id) };
        let (queue, queued) =
            mpsc::channel(if buggify!("the queue of a connection is short") { 1 } else { QUEUE });
        self.open.insert(id, Connection { path, queue, taken_by_address: false });
        self.by_ends.insert(ends, id);
        (path, queued)
    }
}

fn id_of(path: &Path) -> ConnectionId {
    path.connection.expect("a connection's own path names it")
}

async fn report<S>(arrivals: &mpsc::Sender<Arrival<S>>, id: ConnectionId, ending: Ending) {
    // Nobody listens any longer: the program has ended.
    let _ = arrivals.send(Arrival::Closed(id, ending)).await;
}

/// Somebody has connected to us.
async fn welcome<S: AsyncRead + AsyncWrite + Send + Unpin>(
    tls: &Tls,
    stream: S,
    path: Path,
    queue: mpsc::Receiver<Vec<u8>>,
    arrivals: &mpsc::Sender<Arrival<S>>,
    bounds: Bounds,
) -> Ending {
    if !path.transport.is_secure() {
        return match path.transport {
            Transport::Ws => web_socket::converse(stream, path, queue, arrivals, bounds).await,
            _ => converse(stream, path, queue, arrivals, bounds).await,
        };
    }
    match tls.accept(stream).await {
        Ok(stream) if path.transport == Transport::Wss => {
            web_socket::converse(stream, path, queue, arrivals, bounds).await
        }
        Ok(stream) => converse(stream, path, queue, arrivals, bounds).await,
        Err(error) => Ending::Untrusted(error),
    }
}

/// We have connected to somebody.
async fn visit<S: AsyncRead + AsyncWrite + Send + Unpin>(
    tls: &Tls,
    name: &str,
    stream: S,
    path: Path,
    queue: mpsc::Receiver<Vec<u8>>,
    arrivals: &mpsc::Sender<Arrival<S>>,
    bounds: Bounds,
) -> Ending {
    if !path.transport.is_secure() {
        return converse(stream, path, queue, arrivals, bounds).await;
    }
    match tls.connect(stream, name).await {
        Ok(stream) => converse(stream, path, queue, arrivals, bounds).await,
        Err(error) => Ending::Untrusted(error),
    }
}

/// Reads and writes until either is over.
async fn converse<S, T: AsyncRead + AsyncWrite + Send + Unpin>(
    stream: T,
    path: Path,
    queue: mpsc::Receiver<Vec<u8>>,
    arrivals: &mpsc::Sender<Arrival<S>>,
    bounds: Bounds,
) -> Ending {
    let (reader, writer) = tokio::io::split(stream);
    let pinged = Arc::new(Notify::new());
    tokio::select! {
        biased;
        ending = write_messages(writer, queue, &pinged) => ending,
        ending = read_messages(reader, path, arrivals, &pinged, bounds) => ending,
    }
}

async fn read_messages<S>(
    mut reader: impl AsyncRead + Unpin,
    path: Path,
    arrivals: &mpsc::Sender<Arrival<S>>,
    pinged: &Notify,
    bounds: Bounds,
) -> Ending {
    let mut framer = Framer::new(bounds.message_bytes);
    let mut buffer = vec![0; 4096];
    let mut patience = Patience::new(bounds.idle);
    loop {
        let count = match timeout_at(patience.until, reader.read(&mut buffer)).await {
            Err(_) => return patience.ending(),
            Ok(Err(error)) => return Ending::Broken(error),
            Ok(Ok(0)) => return linger(path, arrivals).await,
            Ok(Ok(count)) => count,
        };
        framer.push(&buffer[..count]);
        loop {
            match framer.next() {
                Err(error) => return refuse(&framer, error, path, arrivals).await,
                Ok(None) => break,
                Ok(Some(Frame::Ping)) => pinged.notify_one(),
                Ok(Some(Frame::Pong)) => {}
                Ok(Some(Frame::Message(bytes))) => {
                    patience.has_spoken = true;
                    if arrivals.send(Arrival::Message { path, bytes }).await.is_err() {
                        return Ending::Finished;
                    }
                }
            }
        }
        patience.after_read(framer.is_within_message());
    }
}

/// Somebody who sends a request and closes his half still wants the answer.
async fn linger<S>(path: Path, arrivals: &mpsc::Sender<Arrival<S>>) -> Ending {
    let _ = arrivals.send(Arrival::HalfClosed(id_of(&path))).await;
    timer::sleep(HALF_CLOSED_LIMIT).await;
    Ending::Finished
}

/// What follows is not known to be a message. A head whose length is nonsense goes to the core, which answers 400.
async fn refuse<S>(
    framer: &Framer,
    error: FrameError,
    path: Path,
    arrivals: &mpsc::Sender<Arrival<S>>,
) -> Ending {
    if matches!(error, FrameError::BadLength(_)) {
        let _ = arrivals.send(Arrival::Message { path, bytes: framer.head().to_vec() }).await;
        timer::sleep(REFUSAL_LIMIT).await;
    }
    Ending::Garbage(error)
}

/// How long we wait for the next bytes.
struct Patience {
    idle: Duration,
    /// Whether a whole message has come.
    has_spoken: bool,
    within_message: bool,
    until: Deadline,
}

impl Patience {
    fn new(idle: Duration) -> Patience {
        Patience { idle, has_spoken: false, within_message: false, until: now() + MESSAGE_LIMIT }
    }

    /// A message has its time from its first byte on, however many bytes trickle in; silence is counted anew each time.
    fn after_read(&mut self, within_message: bool) {
        match (self.within_message, within_message) {
            (true, true) => {}
            (false, true) => self.until = now() + MESSAGE_LIMIT,
            (_, false) if self.has_spoken => self.until = now() + self.idle,
            (_, false) => {}
        }
        self.within_message = within_message;
    }

    fn ending(&self) -> Ending {
        if self.has_spoken && !self.within_message { Ending::Idle } else { Ending::Slow }
    }
}

fn now() -> Deadline {
    Deadline::now()
}

/// Writes what is queued, several messages at once where they wait; ends when the driver lets go of the queue.
async fn write_messages(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    pinged: &Notify,
) -> Ending {
    let mut waiting = Vec::new();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        tokio::select! {
            biased;
            count = queue.recv_many(&mut waiting, 32) => match count {
                0 => {
                    let _ = timeout(WRITE_LIMIT, writer.shutdown()).await;
                    return Ending::Finished;
                }
                _ => waiting.drain(..).for_each(|message| bytes.extend_from_slice(&message)),
            },
            () = pinged.notified() => bytes.extend_from_slice(PONG),
        }
        if buggify!("a message is written in pieces") {
            let _ = writer.write(&bytes[..bytes.len() / 3]).await.map(|written| bytes.drain(..written));
            timer::sleep(PIECE).await;
        }
        let written = async {
            writer.write_all(&bytes).await?;
            // What TLS has sealed and not yet written.
            writer.flush().await
        };
        match timeout(WRITE_LIMIT, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Ending::Broken(error),
            Err(_) => return Ending::Broken(io::ErrorKind::TimedOut.into()),
        }
    }
}
