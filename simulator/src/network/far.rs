//! Networks that are not ours, behind the same sockets: turmoil's and the loopback's.
//!
//! What a socket of turmoil does it does only within its host, and what one of the OS does only in time; a program here
//! sends and receives whenever it likes. So a datagram socket is a queue each way, and a task on the host carries them.
//! Streams are used by tasks of their host alone and are what they are. The tap is at the sockets: it sees what programs
//! wrote, and of those who are no programs of ours what was read from them.

use super::ground::{Claim, Ground};
use super::tap::{Kind, Packet};
use super::{Fate, Network};
use bytes::Bytes;
use pbx::shell::host::Udp;
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, mpsc, oneshot};

/// What a socket's buffer holds, as in our network.
const BUFFER: usize = 212_992;

/// The largest UDP datagram.
const DATAGRAM: usize = 65_536;

/// What links of turmoil take, and what is on record for a packet whose arrival nobody has seen.
pub(super) const LATENCY: Duration = Duration::from_millis(1);

pub(super) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a network that is not ours needs beside the state of ours.
pub(super) struct Far {
    ground: Ground,
    claim: Option<Claim>,
    hosts: Mutex<BTreeMap<IpAddr, Arc<Jobs>>>,
    /// What the one who steps turmoil has to do before the next step.
    commands: Mutex<Vec<Command>>,
    /// Hosts step one after the other, so what they send is told of a little out of order.
    told_until: Mutex<Instant>,
}

/// What is to be done with turmoil's simulation.
pub(super) enum Command {
    Host(IpAddr, Arc<Jobs>),
    Crash(IpAddr),
    Bounce(IpAddr),
    Partition(IpAddr, IpAddr),
    Repair(IpAddr, IpAddr),
    Hold(IpAddr, IpAddr),
    Release(IpAddr, IpAddr),
}

/// The tasks that a host of turmoil is to begin.
#[derive(Default)]
pub(super) struct Jobs {
    waiting: Mutex<VecDeque<Task>>,
    more: Notify,
}

impl Jobs {
    pub(super) fn push(&self, task: Task) {
        lock(&self.waiting).push_back(task);
        self.more.notify_one();
    }

    /// What was not begun will not be.
    pub(super) fn clear(&self) {
        lock(&self.waiting).clear();
    }

    /// The software of a host: it begins whatever task it is given.
    #[expect(clippy::disallowed_methods, reason = "this is the host through which tasks are spawned")]
    pub(super) async fn work(self: Arc<Self>) {
        loop {
            let next = lock(&self.waiting).pop_front();
            match next {
                Some(task) => drop(tokio::spawn(task)),
                None => self.more.notified().await,
            }
        }
    }
}

impl Far {
    pub(super) fn new(ground: Ground) -> Option<Far> {
        let claim = match ground {
            Ground::Own => return None,
            Ground::Turmoil => None,
            Ground::Real(_) => Some(Claim::stake()),
        };
        let (hosts, commands, told_until) = (Mutex::default(), Mutex::default(), Mutex::new(Instant::START));
        Some(Far { ground, claim, hosts, commands, told_until })
    }

    pub(super) fn ground(&self) -> &Ground {
        &self.ground
    }

    pub(super) fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    pub(super) fn is_turmoil(&self) -> bool {
        self.ground == Ground::Turmoil
    }

    /// The time since the start, where somebody else knows it better.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        if self.is_turmoil() { turmoil::sim_elapsed() } else { None }
    }

    /// The tasks of a host; there is one from now on.
    pub(super) fn jobs(&self, host: IpAddr) -> Arc<Jobs> {
        if let Some(jobs) = lock(&self.hosts).get(&host) {
            return jobs.clone();
        }
        let jobs = Arc::new(Jobs::default());
        lock(&self.hosts).insert(host, jobs.clone());
        self.command(Command::Host(host, jobs.clone()));
        jobs
    }

    pub(super) fn command(&self, command: Command) {
        if self.is_turmoil() {
            lock(&self.commands).push(command);
        }
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut lock(&self.commands))
    }
}

impl Network {
    /// Tells those who watch of a packet that a program wrote, or that came from no program of ours.
    fn tell(&self, from: SocketAddr, to: SocketAddr, kind: Kind, bytes: &[u8], has_come: bool) {
        let Some(far) = &self.shared.far else { return };
        let at = {
            let mut told_until = lock(&far.told_until);
            *told_until = self.elapsed().max(*told_until);
            *told_until
        };
        let mut state = self.state();
        let pair = (from.ip(), to.ip());
        let passes = has_come || !state.cuts.contains(&pair) && state.is_up_or_unknown(to.ip());
        let arrives = passes.then_some(if has_come { at } else { at + LATENCY });
        let number = state.count_packet(pair);
        let fate = Fate { lost: !passes, ..Fate::default() };
        let bytes = Bytes::copy_from_slice(bytes);
        let packet = Packet { at, from, to, kind, bytes, number, fate, arrives };
        state.tell(packet);
    }

    /// Whether what comes from there is told of when it is read: its sender has no tap.
    fn is_foreign(&self, address: IpAddr) -> bool {
        self.program().is_some() && address == self.address(super::PBX_NUMBER)
    }
}

/// A datagram socket; closed when it is dropped.
pub struct FarUdp {
    network: Network,
    local: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    out: mpsc::UnboundedSender<(SocketAddr, Arc<[u8]>)>,
}

#[derive(Default)]
struct Desk {
    inbox: VecDeque<(SocketAddr, Arc<[u8]>)>,
    held: usize,
    is_closed: bool,
    waiting: Vec<Waker>,
}

impl Desk {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

/// When its task ends, whoever still has the socket is told.
struct Closing(Arc<Mutex<Desk>>);

impl Drop for Closing {
    fn drop(&mut self) {
        let mut desk = lock(&self.0);
        desk.is_closed = true;
        desk.wake();
    }
}

impl FarUdp {
    /// A socket that is bound as soon as its host gets to it.
    pub(super) fn bind_soon(network: &Network, host: IpAddr, local: SocketAddr) -> FarUdp {
        FarUdp::begin(network, host, local).0
    }

    /// A socket that is bound.
    pub(super) async fn bind(network: &Network, host: IpAddr, local: SocketAddr) -> io::Result<FarUdp> {
        let (mut socket, bound) = FarUdp::begin(network, host, local);
        socket.local = bound.await.unwrap_or_else(|_| Err(io::ErrorKind::NetworkDown.into()))?;
        Ok(socket)
    }

    fn begin(
        network: &Network,
        host: IpAddr,
        local: SocketAddr,
    ) -> (FarUdp, oneshot::Receiver<io::Result<SocketAddr>>) {
        let local = SocketAddr::new(host, local.port());
        let desk = Arc::new(Mutex::new(Desk::default()));
        let (out, outgoing) = mpsc::unbounded_channel();
        let (told, bound) = oneshot::channel();
        network.spawn_for(host, Box::pin(carry(network.clone(), local, desk.clone(), outgoing, told)));
        (FarUdp { network: network.clone(), local, desk, out }, bound)
    }
}

impl Udp for FarUdp {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| {
            let mut desk = lock(&self.desk);
            match (desk.inbox.is_empty(), desk.is_closed) {
                (false, _) => Poll::Ready(Ok(())),
                (true, true) => Poll::Ready(Err(io::ErrorKind::NetworkDown.into())),
                (true, false) => {
                    if !desk.waiting.iter().any(|known| known.will_wake(context.waker())) {
                        desk.waiting.push(context.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut desk = lock(&self.desk);
        let Some((from, bytes)) = desk.inbox.pop_front() else {
            let why = if desk.is_closed { io::ErrorKind::NetworkDown } else { io::ErrorKind::WouldBlock };
            return Err(why.into());
        };
        desk.held -= bytes.len();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok((length, from))
    }

    fn try_send_to(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<usize> {
        if bytes.len() > super::datagram::LARGEST {
            return Err(io::Error::from_raw_os_error(super::datagram::MESSAGE_TOO_LONG));
        }
        self.out.send((remote, bytes.into())).map_err(|_| io::ErrorKind::NetworkDown)?;
        self.network.tell(self.local, remote, Kind::Datagram, bytes, false);
        Ok(bytes.len())
    }
}

/// Carries the datagrams of one socket until it is closed.
async fn carry(
    network: Network,
    local: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    mut outgoing: mpsc::UnboundedReceiver<(SocketAddr, Arc<[u8]>)>,
    told: oneshot::Sender<io::Result<SocketAddr>>,
) {
    let _closing = Closing(desk.clone());
    let socket = match Socket::bind(&network, local).await {
        Ok(socket) => socket,
        Err(error) => return drop(told.send(Err(error))),
    };
    let local = SocketAddr::new(local.ip(), socket.local_addr().unwrap_or(local).port());
    let _ = told.send(Ok(local));
    let mut buffer = vec![0; DATAGRAM];
    loop {
        tokio::select! {
            biased;
            sent = outgoing.recv() => match sent {
                Some((remote, bytes)) => drop(socket.send_to(&bytes, remote).await),
                None => return,
            },
            received = socket.recv_from(&mut buffer) => {
                // An error is the news that nobody listened where something went.
                let Ok((length, from)) = received else { continue };
                let bytes = &buffer[..length];
                if network.is_foreign(from.ip()) {
                    network.tell(from, local, Kind::Datagram, bytes, true);
                }
                let mut desk = lock(&desk);
                if desk.held + length <= BUFFER {
                    desk.held += length;
                    desk.inbox.push_back((from, bytes.into()));
                    desk.wake();
                }
            }
        }
    }
}

enum Socket {
    Turmoil(turmoil::net::UdpSocket),
    Real(tokio::net::UdpSocket),
}

impl Socket {
    async fn bind(network: &Network, local: SocketAddr) -> io::Result<Socket> {
        match network.ground() {
            Ground::Turmoil => turmoil::net::UdpSocket::bind(anywhere(local)).await.map(Socket::Turmoil),
            Ground::Own | Ground::Real(_) => tokio::net::UdpSocket::bind(local).await.map(Socket::Real),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Socket::Turmoil(socket) => socket.local_addr(),
            Socket::Real(socket) => socket.local_addr(),
        }
    }

    async fn send_to(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<usize> {
        match self {
            Socket::Turmoil(socket) => socket.send_to(bytes, remote).await,
            Socket::Real(socket) => socket.send_to(bytes, remote).await,
        }
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Socket::Turmoil(socket) => socket.recv_from(buffer).await,
            Socket::Real(socket) => socket.recv_from(buffer).await,
        }
    }
}

/// A listening socket.
pub struct FarListener {
    network: Network,
    local: SocketAddr,
    listener: Listening,
}

enum Listening {
    Turmoil(turmoil::net::TcpListener),
    Real(tokio::net::TcpListener),
}

impl FarListener {
    pub(super) async fn bind(network: &Network, host: IpAddr, local: SocketAddr) -> io::Result<FarListener> {
        let local = SocketAddr::new(host, local.port());
        let listener = match network.ground() {
            Ground::Turmoil => Listening::Turmoil(turmoil::net::TcpListener::bind(anywhere(local)).await?),
            Ground::Own | Ground::Real(_) => Listening::Real(tokio::net::TcpListener::bind(local).await?),
        };
        let bound = match &listener {
            Listening::Turmoil(listener) => listener.local_addr(),
            Listening::Real(listener) => listener.local_addr(),
        };
        let local = SocketAddr::new(host, bound.unwrap_or(local).port());
        Ok(FarListener { network: network.clone(), local, listener })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) async fn accept(&mut self) -> io::Result<(FarStream, SocketAddr)> {
        let (pipe, peer): (Box<dyn Pipe>, _) = match &self.listener {
            Listening::Turmoil(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Box::new(stream), peer)
            }
            Listening::Real(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Box::new(stream), peer)
            }
        };
        if self.network.is_foreign(peer.ip()) {
            self.network.tell(peer, self.local, Kind::Syn, &[], true);
        }
        Ok((FarStream { network: self.network.clone(), local: self.local, peer, pipe, is_done: false }, peer))
    }
}

trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// A stream; closed when it is dropped.
pub struct FarStream {
    network: Network,
    local: SocketAddr,
    peer: SocketAddr,
    pipe: Box<dyn Pipe>,
    /// No more bytes of ours.
    is_done: bool,
}

impl FarStream {
    pub(super) async fn connect(network: &Network, host: IpAddr, peer: SocketAddr) -> io::Result<FarStream> {
        let (pipe, local): (Box<dyn Pipe>, _) = match network.ground() {
            Ground::Turmoil => {
                let stream = turmoil::net::TcpStream::connect(peer).await?;
                let local = stream.local_addr()?;
                (Box::new(stream), local)
            }
            Ground::Own | Ground::Real(_) => {
                let socket = tokio::net::TcpSocket::new_v4()?;
                socket.bind(SocketAddr::new(host, 0))?;
                let stream = socket.connect(peer).await?;
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?;
                (Box::new(stream), local)
            }
        };
        network.tell(local, peer, Kind::Syn, &[], false);
        Ok(FarStream { network: network.clone(), local, peer, pipe, is_done: false })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn done(&mut self) {
        if !self.is_done {
            self.is_done = true;
            self.network.tell(self.local, self.peer, Kind::Fin, &[], false);
        }
    }
}

impl AsyncRead for FarStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.pipe).poll_read(context, buffer);
        let bytes = &buffer.filled()[before..];
        if matches!(read, Poll::Ready(Ok(()))) && !bytes.is_empty() && self.network.is_foreign(self.peer.ip())
        {
            self.network.tell(self.peer, self.local, Kind::Data, bytes, true);
        }
        read
    }
}

impl AsyncWrite for FarStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.pipe).poll_write(context, bytes);
        if let Poll::Ready(Ok(length)) = written {
            self.network.tell(self.local, self.peer, Kind::Data, &bytes[..length], false);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.done();
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

impl Drop for FarStream {
    fn drop(&mut self) {
        self.done();
    }
}

/// A host of turmoil has one address and takes no other name for it.
fn anywhere(local: SocketAddr) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), local.port())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
