//! The real world: tokio's sockets, the OS clock read once, OS entropy read once, a directory.

use super::host::{Disk, Host, Listener, Udp};
use crate::rng::Seed;
use crate::time::{Instant, WallClock};
use socket2::{Domain, Protocol, Socket, Type};
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::SystemTime;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;

/// Bytes a socket may hold for us while we are busy; the OS may grant less.
const SOCKET_BUFFER: usize = 4 << 20;

/// Connections the OS may hold for us until we accept them.
const BACKLOG: u32 = 1024;

/// This machine. Lives within a tokio runtime.
#[derive(Clone)]
pub struct RealHost {
    start: tokio::time::Instant,
    clock: WallClock,
    seed: Seed,
    disk: RealDisk,
}

impl RealHost {
    /// Reads the clocks and the entropy of the OS, for the only time. Fails where the OS gives no entropy.
    pub fn new() -> io::Result<RealHost> {
        Ok(RealHost {
            start: tokio::time::Instant::now(),
            clock: read_wall_clock(),
            seed: read_entropy()?,
            disk: RealDisk::start()?,
        })
    }
}

impl Host for RealHost {
    type Udp = UdpSocket;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Disk = RealDisk;

    async fn udp(&self, local: SocketAddr) -> io::Result<UdpSocket> {
        let socket = new_socket(local, Type::DGRAM, Protocol::UDP)?;
        // A wish: without the privilege the OS grants what net.core.rmem_max allows.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.bind(&local.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        // tokio refuses `try_send_to` until it has once heard that the socket is writable.
        socket.writable().await?;
        Ok(socket)
    }

    async fn listen(&self, local: SocketAddr) -> io::Result<TcpListener> {
        let socket = new_socket(local, Type::STREAM, Protocol::TCP)?;
        // Connections of an earlier run that linger in TIME_WAIT do not keep the port; a listener does.
        socket.set_reuse_address(true)?;
        socket.bind(&local.into())?;
        socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
        TcpListener::from_std(socket.into())
    }

    async fn connect(&self, remote: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(remote).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for address in tokio::net::lookup_host((name, 0)).await? {
            if !addresses.contains(&address.ip()) {
                addresses.push(address.ip());
            }
        }
        Ok(addresses)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the host through which tasks are spawned")]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    fn now(&self) -> Instant {
        Instant::START + self.start.elapsed()
    }

    fn clock(&self) -> WallClock {
        self.clock
    }

    fn seed(&self) -> Seed {
        self.seed
    }

    fn disk(&self) -> RealDisk {
        self.disk.clone()
    }
}

/// A socket of the family of `local` that does not block. IPv6 is IPv6 only, so that `[::]` and `0.0.0.0` can have one
/// port and nobody sees an IPv4 address in IPv6 clothes.
fn new_socket(local: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), kind, Some(protocol))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[expect(clippy::disallowed_methods, reason = "this is where the wall clock is read, once")]
fn read_wall_clock() -> WallClock {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallClock { epoch_micros: u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX) }
}

fn read_entropy() -> io::Result<Seed> {
    let mut seed = Seed::default();
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}

impl Udp for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        UdpSocket::local_addr(self)
    }

    async fn readable(&self) -> io::Result<()> {
        UdpSocket::readable(self).await
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        UdpSocket::try_recv_from(self, buffer)
    }

    fn try_send_to(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<usize> {
        UdpSocket::try_send_to(self, bytes, remote)
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, remote) = TcpListener::accept(self).await?;
        // A SIP message is written at once and waits for nothing.
        stream.set_nodelay(true)?;
        Ok((stream, remote))
    }
}

/// The files of this machine, by a thread of their own, so that a slow disk delays nobody else.
#[derive(Clone)]
pub struct RealDisk {
    jobs: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl RealDisk {
    #[expect(
        clippy::disallowed_methods,
        reason = "the disk has a thread of its own; a simulated one needs none"
    )]
    fn start() -> io::Result<RealDisk> {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("pbx-disk".into()).spawn(move || {
            for job in queue {
                job();
            }
        })?;
        Ok(RealDisk { jobs })
    }

    /// Does `work` on the disk's thread. Each caller waits for its answer, so the queue is as long as there are callers.
    async fn perform<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            let _ = answer.send(work());
        });
        let gone = || io::Error::other("the disk thread has ended");
        self.jobs.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Disk for RealDisk {
    async fn read(&self, path: &Path, offset: u64) -> io::Result<Vec<u8>> {
        let path = path.to_owned();
        self.perform(move || {
            let mut file = std::fs::File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .await
    }

    async fn length(&self, path: &Path) -> io::Result<u64> {
        let path = path.to_owned();
        self.perform(move || Ok(std::fs::metadata(path)?.len())).await
    }

    async fn append(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let path = path.to_owned();
        self.perform(move || {
            // Opened each time: when a file is rotated away under us, the next record is in the new one.
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
            let length = file.metadata()?.len();
            file.write_all(&bytes).inspect_err(|_| {
                // A full disk takes half a line; the other half must not follow later.
                let _ = file.set_len(length);
            })
        })
        .await
    }

    async fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let path = path.to_owned();
        self.perform(move || {
            let file = std::fs::OpenOptions::new().write(true).open(path)?;
            file.set_len(length)?;
            file.sync_data()
        })
        .await
    }

    async fn replace(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let path = path.to_owned();
        self.perform(move || {
            let fresh = beside(&path);
            let mut file = std::fs::File::create(&fresh)?;
            file.write_all(&bytes)?;
            file.sync_data()?;
            std::fs::rename(&fresh, &path)?;
            sync_directory(&path)
        })
        .await
    }

    async fn sync(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        self.perform(move || std::fs::File::open(path)?.sync_data()).await
    }
}

/// `records.json.new` for `records.json`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// A rename outlasts a crash when its directory was synced.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
