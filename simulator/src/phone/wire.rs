//! A telephone's sockets: SIP over UDP and TCP at port 5060, over TLS and WebSockets by the connection it opens itself, RTP at
//! a port a call. It moves bytes and time and decides nothing.

use super::telephone::{Output, Telephone};
use crate::agents::websocket::{self, End, Message};
use crate::network::{Alarm, Attendance, SimHost, UdpSocket};
use crate::office::DOMAIN;
use crate::secure::{self, Client};
use pbx::rng::Rng;
use pbx::shell::host::{Host, Listener, Udp};
use pbx::shell::timer;
use pbx::sip::{ConnectionId, Frame, Framer, PONG, Path, Transport};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// The longest SIP message over a stream.
const LONGEST: usize = 65_535;

/// What the tasks of one telephone share; the lock is never contended, as a world is one thread.
pub(super) struct Shared {
    pub(super) host: SimHost,
    local: SocketAddr,
    desk: Mutex<Desk>,
    /// Whom it believes, once it has asked somebody.
    client: OnceLock<Client>,
}

struct Desk {
    telephone: Telephone,
    sip: Option<Socket>,
    /// Where calls are heard; `None` while there is no network.
    media: BTreeMap<SocketAddr, Option<Media>>,
    streams: BTreeMap<SocketAddr, Stream>,
    connections: u64,
    /// What was sent as it is.
    noise: Vec<Vec<u8>>,
    /// Why connections did not come about that were to be secure, or WebSockets.
    refusals: Vec<String>,
    /// When it wants to be told the time; `None` until it is plugged in.
    alarm: Option<Alarm>,
    /// When there is anything to be done but to speak.
    acts_at: Option<Instant>,
    /// For the sound that goes out.
    packet: Vec<u8>,
}

/// A socket, and who reads what comes there.
struct Socket {
    socket: Arc<UdpSocket>,
    _attended: Attendance,
}

/// The RTP socket of a call. RTCP is received and not looked at.
struct Media {
    rtp: Socket,
    _rtcp: Option<UdpSocket>,
}

struct Stream {
    id: ConnectionId,
    write: mpsc::UnboundedSender<Vec<u8>>,
}

impl Desk {
    fn next_due(&self) -> Option<Instant> {
        [self.acts_at, self.telephone.speaks_at()].into_iter().flatten().min()
    }
}

impl Shared {
    /// Binds what a telephone listens on and begins to serve it.
    pub(super) fn start(host: SimHost, local: SocketAddr, telephone: Telephone) -> Arc<Shared> {
        let desk = Desk {
            telephone,
            sip: None,
            media: BTreeMap::new(),
            streams: BTreeMap::new(),
            connections: 0,
            noise: Vec::new(),
            refusals: Vec::new(),
            alarm: None,
            acts_at: None,
            packet: Vec::new(),
        };
        let shared = Arc::new(Shared { host, local, desk: Mutex::new(desk), client: OnceLock::new() });
        shared.plug_in();
        shared
    }

    /// Listens, again after its network was gone.
    pub(super) fn plug_in(self: &Arc<Self>) {
        let Ok(socket) = self.host.bind(self.local).map(Arc::new) else { return };
        let shared = Arc::downgrade(self);
        let read = move |bytes: &[u8], from| {
            shared.upgrade().into_iter().for_each(|shared| shared.read_message(bytes, from));
        };
        {
            let mut desk = self.desk();
            desk.sip = Some(Socket { _attended: self.host.attend(&socket, read), socket });
            // A telephone keeps its calls while its network is gone, and with them where it hears.
            let hears: Vec<SocketAddr> = std::mem::take(&mut desk.media).into_keys().collect();
            hears.into_iter().for_each(|local| self.open_media(&mut desk, local));
        }
        self.host.spawn(accept_streams(self.clone()));
        let shared = Arc::downgrade(self);
        let alarm = self.host.keep_time(move |now| shared.upgrade()?.take_turn(now));
        self.desk().alarm = Some(alarm);
    }

    /// Does what is due; returns when something is due again.
    fn take_turn(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut desk = self.desk();
        // Most turns are for the next packet of sound alone.
        if desk.acts_at.is_some_and(|at| at <= now) {
            desk.telephone.handle_timeout(now);
            self.put_out(&mut desk);
            desk.acts_at = desk.telephone.poll_timeout();
        }
        let Desk { telephone, media, packet, .. } = &mut *desk;
        telephone.speak(now, packet, |local, remote, bytes| {
            if let Some(Some(media)) = media.get(&local) {
                let _ = media.rtp.socket.try_send_to(bytes, remote);
            }
        });
        self.put_out(&mut desk);
        desk.next_due()
    }

    /// A message has come.
    fn read_message(self: &Arc<Self>, bytes: &[u8], remote: SocketAddr) {
        let path = Path { transport: Transport::Udp, local: self.local, remote, connection: None };
        self.act(|telephone, now| telephone.receive(bytes, path, now));
    }

    /// RTP has come.
    fn read_media(&self, local: SocketAddr, bytes: &[u8]) {
        self.desk().telephone.receive_media(local, bytes, self.host.now());
    }

    /// Looks at the telephone.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Telephone, Instant) -> T) -> T {
        look(&mut self.desk().telephone, self.host.now())
    }

    /// Acts on the telephone and sends what it wants sent.
    pub(super) fn act<T>(self: &Arc<Self>, act: impl FnOnce(&mut Telephone, Instant) -> T) -> T {
        let now = self.host.now();
        let mut desk = self.desk();
        let result = act(&mut desk.telephone, now);
        self.put_out(&mut desk);
        desk.acts_at = desk.telephone.poll_timeout();
        let due = desk.next_due();
        if let Some(alarm) = &desk.alarm {
            alarm.bring_forward(due);
        }
        result
    }

    /// Sends what the telephone wants sent.
    fn put_out(self: &Arc<Self>, desk: &mut Desk) {
        while let Some(output) = desk.telephone.poll_output() {
            self.perform(desk, output);
        }
    }

    /// Sends bytes as they are from the telephone's SIP socket.
    pub(super) fn send_raw(&self, bytes: &[u8], remote: SocketAddr) {
        let mut desk = self.desk();
        desk.noise.push(bytes.to_vec());
        if let Some(sip) = &desk.sip {
            let _ = sip.socket.try_send_to(bytes, remote);
        }
    }

    /// What was sent as it is.
    pub(super) fn noise(&self) -> Vec<Vec<u8>> {
        self.desk().noise.clone()
    }

    /// Sends bytes over a connection of their own, one at a time.
    pub(super) fn dribble(&self, bytes: Vec<u8>, remote: SocketAddr, pause: Duration) {
        self.desk().noise.push(bytes.clone());
        let host = self.host.clone();
        self.host.spawn(async move {
            let Ok(mut stream) = host.connect(remote).await else { return };
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                timer::sleep(pause).await;
            }
        });
    }

    /// Why connections did not come about.
    pub(super) fn refusals(&self) -> Vec<String> {
        self.desk().refusals.clone()
    }

    /// All connections are cut.
    pub(super) fn cut(&self) {
        self.desk().streams.clear();
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn perform(self: &Arc<Self>, desk: &mut Desk, output: Output) {
        match output {
            Output::Message { path, bytes } if path.transport == Transport::Udp => {
                if let Some(sip) = &desk.sip {
                    // A telephone without network talks to nobody and notices by silence.
                    let _ = sip.socket.try_send_to(&bytes, path.remote);
                }
            }
            Output::Message { path, bytes } => self.send_on_stream(desk, path, bytes),
            Output::Open(local) => self.open_media(desk, local),
            Output::Close(local) => {
                desk.media.remove(&local);
            }
        }
    }

    fn open_media(self: &Arc<Self>, desk: &mut Desk, local: SocketAddr) {
        let socket = self.host.bind(local).map(Arc::new).ok();
        let media = socket.map(|socket| {
            let rtcp = self.host.bind(SocketAddr::new(local.ip(), local.port() + 1)).ok();
            let shared = Arc::downgrade(self);
            let read = move |bytes: &[u8], _| {
                shared.upgrade().into_iter().for_each(|shared| shared.read_media(local, bytes));
            };
            Media { rtp: Socket { _attended: self.host.attend(&socket, read), socket }, _rtcp: rtcp }
        });
        desk.media.insert(local, media);
    }

    fn send_on_stream(self: &Arc<Self>, desk: &mut Desk, path: Path, bytes: Vec<u8>) {
        if let Some(stream) = desk.streams.get(&path.remote)
            && stream.write.send(bytes.clone()).is_ok()
        {
            return;
        }
        let (write, waiting) = mpsc::unbounded_channel();
        let _ = write.send(bytes);
        desk.connections += 1;
        let id = ConnectionId(desk.connections);
        desk.streams.insert(path.remote, Stream { id, write });
        let shared = self.clone();
        self.host.spawn(async move {
            let path = Path { connection: Some(id), ..path };
            match open(shared.clone(), path, waiting).await {
                Ok(()) => {}
                Err(why) => shared.desk().refusals.push(why.to_string()),
            }
            shared.lose(path, id);
        });
    }

    /// A connection is gone.
    fn lose(self: &Arc<Self>, path: Path, id: ConnectionId) {
        self.desk().streams.retain(|_, stream| stream.id != id);
        self.act(|telephone, now| {
            telephone.path_failed(Path { connection: Some(id), ..path }, now);
            telephone.path_failed(Path { connection: None, ..path }, now);
        });
    }
}

async fn accept_streams(shared: Arc<Shared>) {
    let Ok(mut listener) = shared.host.listen(shared.local).await else { return };
    while let Ok((stream, remote)) = listener.accept().await {
        let (write, waiting) = mpsc::unbounded_channel();
        let id = {
            let mut desk = shared.desk();
            desk.connections += 1;
            let id = ConnectionId(desk.connections);
            desk.streams.insert(remote, Stream { id, write });
            id
        };
        let path = Path { transport: Transport::Tcp, local: shared.local, remote, connection: Some(id) };
        let shared = shared.clone();
        shared.clone().host.spawn(async move {
            carry(shared.clone(), stream, path, waiting).await;
            shared.lose(path, id);
        });
    }
}

/// Opens a connection as the transport wants it, and carries messages until it ends.
async fn open(shared: Arc<Shared>, path: Path, waiting: mpsc::UnboundedReceiver<Vec<u8>>) -> io::Result<()> {
    let stream = shared.host.connect(path.remote).await?;
    let ends = (stream.local_addr(), path.remote);
    let client = shared.client.get_or_init(|| {
        Client::new(&shared.host, secure::AUTHORITY, Some((secure::PHONE, secure::PHONE_KEY)))
    });
    match path.transport {
        Transport::Tls => {
            carry(shared.clone(), client.connect(stream, DOMAIN, ends).await?, path, waiting).await
        }
        Transport::Ws => carry_frames(shared, stream, path, waiting).await?,
        Transport::Wss => {
            let stream = client.connect(stream, DOMAIN, ends).await?;
            carry_frames(shared, stream, path, waiting).await?;
        }
        Transport::Udp | Transport::Tcp => carry(shared, stream, path, waiting).await,
    }
    Ok(())
}

/// Makes a WebSocket of a stream (RFC 7118) and carries messages both ways until it ends.
async fn carry_frames<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    shared: Arc<Shared>,
    stream: S,
    path: Path,
    mut waiting: mpsc::UnboundedReceiver<Vec<u8>>,
) -> io::Result<()> {
    let mut rng = Rng::new(shared.host.seed()).fork();
    let protocol = [("Sec-WebSocket-Protocol".to_owned(), "sip".to_owned())];
    let upgraded =
        websocket::upgrade(&shared.host, stream, &path.remote.to_string(), "/", &protocol, &mut rng).await;
    let upgraded = upgraded.map_err(|refused| io::Error::other(refused.to_string()))?;
    let (mut reader, mut writer) = websocket::split(upgraded, End::Client, rng);
    loop {
        tokio::select! {
            biased;
            bytes = waiting.recv() => {
                let Some(bytes) = bytes else { return Ok(()) };
                let message = match String::from_utf8(bytes) {
                    Ok(text) => Message::Text(text),
                    Err(error) => Message::Binary(error.into_bytes()),
                };
                writer.send(&message).await?;
            }
            message = reader.next() => match message? {
                Some(Message::Text(text)) => hear(&shared, text.as_bytes(), path),
                Some(Message::Binary(bytes)) => hear(&shared, &bytes, path),
                Some(Message::Ping(bytes)) => writer.send(&Message::Pong(bytes)).await?,
                Some(Message::Pong(_)) => {}
                Some(Message::Close(..)) | None => return Ok(()),
            }
        }
    }
}

/// A frame is a message, or says that somebody is there.
fn hear(shared: &Arc<Shared>, bytes: &[u8], path: Path) {
    if bytes != PONG {
        shared.act(|telephone, now| telephone.receive(bytes, path, now));
    }
}

/// Carries messages both ways until the connection ends.
async fn carry<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    shared: Arc<Shared>,
    stream: S,
    path: Path,
    mut waiting: mpsc::UnboundedReceiver<Vec<u8>>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut framer = Framer::new(LONGEST);
    let mut buffer = vec![0; 4_096];
    loop {
        tokio::select! {
            biased;
            bytes = waiting.recv() => {
                let Some(bytes) = bytes else { break };
                if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() { break }
            }
            read = reader.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { break };
                framer.push(&buffer[..length]);
                if take_frames(&shared, &mut framer, path, &mut writer).await.is_err() { break }
            }
        }
    }
}

async fn take_frames(
    shared: &Arc<Shared>,
    framer: &mut Framer,
    path: Path,
    writer: &mut (impl AsyncWriteExt + Unpin),
) -> io::Result<()> {
    while let Some(frame) = framer.next().map_err(io::Error::other)? {
        match frame {
            Frame::Message(bytes) => shared.act(|telephone, now| telephone.receive(&bytes, path, now)),
            Frame::Ping => {
                writer.write_all(PONG).await?;
                writer.flush().await?;
            }
            Frame::Pong => {}
        }
    }
    Ok(())
}
