//! A machine's sockets: SIP over UDP and TCP at one port, RTP at ports as they are opened. It moves bytes and time and
//! decides nothing.

use crate::network::{Alarm, Attendance, SimHost, UdpSocket};
use crate::secure::Server;
use pbx::shell::host::{Host, Listener, Udp};
use pbx::sip::{ConnectionId, Frame, Framer, PONG, Path, Transport};
use pbx::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// The longest SIP message over a stream.
const LONGEST: usize = 65_535;

/// What leaves a machine.
pub(in crate::agents) enum Output {
    /// A SIP message.
    Message { path: Path, bytes: Vec<u8> },
    /// RTP from one of its ports.
    Media { local: SocketAddr, remote: SocketAddr, bytes: Vec<u8> },
    /// RTP is to be received here.
    Open(SocketAddr),
    /// And here no longer.
    Close(SocketAddr),
}

/// What is moved.
pub(in crate::agents) trait Machine: Send + 'static {
    fn receive(&mut self, bytes: &[u8], path: Path, now: Instant);
    fn receive_media(&mut self, local: SocketAddr, bytes: &[u8], now: Instant);
    fn path_failed(&mut self, path: Path, now: Instant);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    fn poll_output(&mut self, now: Instant) -> Option<Output>;
}

/// A machine on its host.
pub(in crate::agents) struct Desk<M> {
    pub(in crate::agents) host: SimHost,
    local: SocketAddr,
    papers: Mutex<Papers<M>>,
}

struct Papers<M> {
    machine: M,
    sip: Option<(Arc<UdpSocket>, Attendance)>,
    media: BTreeMap<SocketAddr, (Arc<UdpSocket>, Attendance)>,
    streams: BTreeMap<SocketAddr, (ConnectionId, mpsc::UnboundedSender<Vec<u8>>)>,
    connections: u64,
    /// When it wants to be told the time; `None` until its host is on.
    alarm: Option<Alarm>,
}

impl<M: Machine> Desk<M> {
    /// Binds what the machine listens on and begins to serve it.
    pub(in crate::agents) fn start(host: SimHost, local: SocketAddr, machine: M) -> Arc<Desk<M>> {
        let papers = Papers {
            machine,
            sip: None,
            media: BTreeMap::new(),
            streams: BTreeMap::new(),
            connections: 0,
            alarm: None,
        };
        let desk = Arc::new(Desk { host, local, papers: Mutex::new(papers) });
        desk.open();
        desk
    }

    /// Listens, again after the host has crashed.
    pub(in crate::agents) fn open(self: &Arc<Self>) {
        let Ok(socket) = self.host.bind(self.local).map(Arc::new) else { return };
        let desk = Arc::downgrade(self);
        let read = move |bytes: &[u8], from| {
            desk.upgrade().into_iter().for_each(|desk| desk.read_message(bytes, from));
        };
        let attended = self.host.attend(&socket, read);
        {
            let mut papers = self.papers();
            papers.sip = Some((socket, attended));
            papers.media.clear();
            papers.streams.clear();
        }
        self.host.spawn(accept_streams(self.clone()));
        let desk = Arc::downgrade(self);
        let alarm = self.host.keep_time(move |now| desk.upgrade()?.take_turn(now));
        self.papers().alarm = Some(alarm);
    }

    /// Does what is due; returns when something is due again.
    fn take_turn(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut papers = self.papers();
        let due = papers.machine.poll_timeout();
        if due.is_none_or(|due| due > now) {
            return due;
        }
        papers.machine.handle_timeout(now);
        self.put_out(&mut papers, now);
        papers.machine.poll_timeout()
    }

    /// A message has come.
    fn read_message(self: &Arc<Self>, bytes: &[u8], remote: SocketAddr) {
        let path = Path { transport: Transport::Udp, local: self.local, remote, connection: None };
        self.act(|machine, now| machine.receive(bytes, path, now));
    }

    /// RTP has come.
    fn read_media(&self, local: SocketAddr, bytes: &[u8]) {
        self.papers().machine.receive_media(local, bytes, self.host.now());
    }

    /// Listens for TLS, too.
    pub(in crate::agents) fn open_secure(self: &Arc<Self>, server: Server) {
        self.host.spawn(accept_secure_streams(self.clone(), server));
    }

    /// The host loses its power: nobody is told.
    pub(in crate::agents) fn crash(&self) {
        self.host.network().crash(self.host.address());
    }

    /// The host is on again.
    pub(in crate::agents) fn restart(self: &Arc<Self>) {
        self.host.network().bounce(self.host.address());
        self.open();
    }

    /// Looks at the machine.
    pub(in crate::agents) fn look<T>(&self, look: impl FnOnce(&mut M, Instant) -> T) -> T {
        look(&mut self.papers().machine, self.host.now())
    }

    /// Acts on the machine and sends what it wants sent.
    pub(in crate::agents) fn act<T>(self: &Arc<Self>, act: impl FnOnce(&mut M, Instant) -> T) -> T {
        let now = self.host.now();
        let mut papers = self.papers();
        let result = act(&mut papers.machine, now);
        self.put_out(&mut papers, now);
        let due = papers.machine.poll_timeout();
        if let Some(alarm) = &papers.alarm {
            alarm.bring_forward(due);
        }
        result
    }

    /// Sends what the machine wants sent.
    fn put_out(self: &Arc<Self>, papers: &mut Papers<M>, now: Instant) {
        while let Some(output) = papers.machine.poll_output(now) {
            self.perform(papers, output);
        }
    }

    fn papers(&self) -> MutexGuard<'_, Papers<M>> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn perform(self: &Arc<Self>, papers: &mut Papers<M>, output: Output) {
        match output {
            Output::Message { path, bytes } if path.transport == Transport::Udp => {
                if let Some((socket, _)) = &papers.sip {
                    // Who has no network talks to nobody and notices by silence.
                    let _ = socket.try_send_to(&bytes, path.remote);
                }
            }
            Output::Message { path, bytes } => self.send_on_stream(papers, path, bytes),
            Output::Media { local, remote, bytes } => {
                if let Some((socket, _)) = papers.media.get(&local) {
                    let _ = socket.try_send_to(&bytes, remote);
                }
            }
            Output::Open(local) => {
                let Ok(socket) = self.host.bind(local).map(Arc::new) else { return };
                let desk = Arc::downgrade(self);
                let read = move |bytes: &[u8], _| {
                    desk.upgrade().into_iter().for_each(|desk| desk.read_media(local, bytes));
                };
                let attended = self.host.attend(&socket, read);
                papers.media.insert(local, (socket, attended));
            }
            Output::Close(local) => drop(papers.media.remove(&local)),
        }
    }

    fn send_on_stream(self: &Arc<Self>, papers: &mut Papers<M>, path: Path, bytes: Vec<u8>) {
        let open = papers.streams.get(&path.remote);
        if open.is_some_and(|(_, write)| write.send(bytes.clone()).is_ok()) {
            return;
        }
        let (write, waiting) = mpsc::unbounded_channel();
        let _ = write.send(bytes);
        papers.connections += 1;
        let id = ConnectionId(papers.connections);
        papers.streams.insert(path.remote, (id, write));
        let desk = self.clone();
        self.host.spawn(async move {
            match desk.host.connect(path.remote).await {
                Ok(stream) => carry(desk, stream, Path { connection: Some(id), ..path }, waiting).await,
                Err(_) => desk.lose(path, id),
            }
        });
    }

    /// A connection is gone.
    fn lose(self: &Arc<Self>, path: Path, id: ConnectionId) {
        self.papers().streams.retain(|_, (known, _)| *known != id);
        self.act(|machine, now| {
            machine.path_failed(Path { connection: Some(id), ..path }, now);
            machine.path_failed(Path { connection: None, ..path }, now);
        });
    }
}

async fn accept_streams<M: Machine>(desk: Arc<Desk<M>>) {
    let Ok(mut listener) = desk.host.listen(desk.local).await else { return };
    while let Ok((stream, remote)) = listener.accept().await {
        let (write, waiting) = mpsc::unbounded_channel();
        let id = {
            let mut papers = desk.papers();
            papers.connections += 1;
            let id = ConnectionId(papers.connections);
            papers.streams.insert(remote, (id, write));
            id
        };
        let path = Path { transport: Transport::Tcp, local: desk.local, remote, connection: Some(id) };
        desk.host.spawn(carry(desk.clone(), stream, path, waiting));
    }
}

async fn accept_secure_streams<M: Machine>(desk: Arc<Desk<M>>, server: Server) {
    let local = SocketAddr::new(desk.local.ip(), Transport::Tls.default_port());
    let Ok(mut listener) = desk.host.listen(local).await else { return };
    while let Ok((stream, remote)) = listener.accept().await {
        let (desk, server) = (desk.clone(), server.clone());
        desk.host.clone().spawn(async move {
            let Ok(stream) = server.accept(&desk.host, stream, (local, remote)).await else { return };
            let (write, waiting) = mpsc::unbounded_channel();
            let id = {
                let mut papers = desk.papers();
                papers.connections += 1;
                let id = ConnectionId(papers.connections);
                papers.streams.insert(remote, (id, write));
                id
            };
            let path = Path { transport: Transport::Tls, local, remote, connection: Some(id) };
            carry(desk, stream, path, waiting).await;
        });
    }
}

/// Carries messages both ways until the connection ends.
async fn carry<M: Machine, S: AsyncRead + AsyncWrite + Send + Unpin>(
    desk: Arc<Desk<M>>,
    stream: S,
    path: Path,
    mut waiting: mpsc::UnboundedReceiver<Vec<u8>>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut framer = Framer::new(LONGEST);
    let mut buffer = vec![0; 4_096];
    'open: loop {
        tokio::select! {
            biased;
            bytes = waiting.recv() => {
                let Some(bytes) = bytes else { break };
                if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() { break }
            }
            read = reader.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { break };
                framer.push(&buffer[..length]);
                loop {
                    match framer.next() {
                        Ok(Some(Frame::Message(bytes))) => {
                            desk.act(|machine, now| machine.receive(&bytes, path, now));
                        }
                        Ok(Some(Frame::Ping)) => {
                            if writer.write_all(PONG).await.is_err() || writer.flush().await.is_err() { break 'open }
                        }
                        Ok(Some(Frame::Pong)) => {}
                        Ok(None) => break,
                        Err(_) => break 'open,
                    }
                }
            }
        }
    }
    if let Some(id) = path.connection {
        desk.lose(path, id);
    }
}
