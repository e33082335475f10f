//! The real world: tokio's sockets, the OS clock read once, OS entropy read once, a directory.

use super::host::{Disk, Host, Listener, Udp};
use crate::rng::Seed;
use crate::time::{Instant, WallClock};
use rustls::crypto::CryptoProvider;
use socket2::{Domain, Protocol, Socket, Type};
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
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
        raise_descriptor_limit();
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
        enlarge_buffers(&socket);
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

    fn local_ip(&self, remote: IpAddr) -> Option<IpAddr> {
        // To connect a datagram socket sends nothing: the OS only looks up the way.
        let any: IpAddr = if remote.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
        let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
        socket.connect((remote, 9)).ok()?;
        socket.local_addr().ok().map(|local| local.ip())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the host through which tasks are spawned")]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // All are of one kind, for which tokio is compiled once.
        let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
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

    fn crypto(&self) -> Arc<CryptoProvider> {
        Arc::new(rustls::crypto::ring::default_provider())
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

/// What arrives while we are busy waits in the socket. A privileged process gets what it asks for, another one what
/// net.core.rmem_max allows; both will do.
fn enlarge_buffers(socket: &Socket) {
    let size = SOCKET_BUFFER as libc::c_int;
    for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE] {
        // SAFETY: the descriptor is open, and the option is an int that lives until the call returns.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const size).cast(),
                size_of_val(&size) as libc::socklen_t,
            )
        };
    }
    if socket.recv_buffer_size().is_ok_and(|granted| granted < SOCKET_BUFFER) {
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    }
}

/// A call takes four sockets for its media; the soft limit of 1024 descriptors is for programs that use select(2).
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write one rlimit, which is ours.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
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

    async fn overwrite(&self, path: &Path, offset: u64, bytes: Vec<u8>) -> io::Result<()> {
        let path = path.to_owned();
        self.perform(move || {
            let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&bytes)
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

    async fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let directory = directory.to_owned();
        self.perform(move || {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    names.extend(entry.file_name().into_string());
                }
            }
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        self.perform(move || std::fs::remove_file(path)).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_datagram_can_be_sent_as_soon_as_the_socket_is_bound() {
        let host = RealHost::new().expect("the OS has clocks and entropy");
        let (one, other) = (host.udp(any()).await.expect("a port"), host.udp(any()).await.expect("a port"));
        let from = Udp::local_addr(&one).expect("bound");

        Udp::try_send_to(&one, b"hello", Udp::local_addr(&other).expect("bound")).expect("there is room");

        Udp::readable(&other).await.expect("it arrives");
        let mut buffer = [0; 16];
        assert_eq!(Udp::try_recv_from(&other, &mut buffer).expect("it is there"), (5, from));
        let nothing = Udp::try_recv_from(&other, &mut buffer).expect_err("it was the only one");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn a_taken_port_is_refused() {
        let host = RealHost::new().expect("the OS has clocks and entropy");
        let first = host.udp(any()).await.expect("a port");
        let second = host.udp(Udp::local_addr(&first).expect("bound")).await;
        assert_eq!(second.expect_err("it is taken").kind(), io::ErrorKind::AddrInUse);

        let first = host.listen(any()).await.expect("a port");
        let second = host.listen(Listener::local_addr(&first).expect("bound")).await;
        assert_eq!(second.expect_err("it is taken").kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn ipv4_and_ipv6_share_a_port() {
        let host = RealHost::new().expect("the OS has clocks and entropy");
        let Ok(six) = host.udp(SocketAddr::from(([0u16; 8], 0))).await else {
            return eprintln!("skipped: this machine has no IPv6");
        };
        let port = Udp::local_addr(&six).expect("bound").port();
        let four = host.udp(SocketAddr::from(([0, 0, 0, 0], port))).await;
        assert!(four.is_ok(), "{four:?}");
    }

    #[tokio::test]
    async fn a_stream_carries_bytes_both_ways() {
        let host = RealHost::new().expect("the OS has clocks and entropy");
        let mut listener = host.listen(any()).await.expect("a port");
        let address = Listener::local_addr(&listener).expect("bound");
        let (ours, theirs) = tokio::join!(host.connect(address), Listener::accept(&mut listener));
        let (mut ours, (mut theirs, _)) = (ours.expect("it listens"), theirs.expect("it comes"));
        let mut buffer = [0; 4];
        ours.write_all(b"ping").await.expect("open");
        theirs.read_exact(&mut buffer).await.expect("open");
        theirs.write_all(b"pong").await.expect("open");
        ours.read_exact(&mut buffer).await.expect("open");
        assert_eq!(&buffer, b"pong");
    }

    #[tokio::test]
    async fn the_loopback_has_a_name_and_nonsense_has_none() {
        let host = RealHost::new().expect("the OS has clocks and entropy");
        let addresses = host.resolve("localhost").await.expect("every machine has it");
        assert!(addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty(), "{addresses:?}");
        assert!(host.resolve("no such name").await.is_err());
    }

    #[tokio::test]
    async fn a_file_grows_is_cut_and_replaced() {
        let disk = RealHost::new().expect("the OS has clocks and entropy").disk();
        let directory = std::env::temp_dir().join(format!("tandem-disk-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("temporary files can be written");
        let file = directory.join("file");

        let missing = disk.read(&file, 0).await.expect_err("it is not there yet");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        disk.append(&file, b"one\n".to_vec()).await.expect("written");
        disk.append(&file, b"two\n".to_vec()).await.expect("written");
        disk.sync(&file).await.expect("synced");
        assert_eq!(disk.read(&file, 4).await.expect("read"), b"two\n");
        assert_eq!(disk.read(&file, 100).await.expect("read"), b"");
        disk.truncate(&file, 4).await.expect("cut");
        assert_eq!(disk.length(&file).await.expect("it is there"), 4);
        disk.replace(&file, b"new\n".to_vec()).await.expect("replaced");
        assert_eq!(disk.read(&file, 0).await.expect("read"), b"new\n");
        assert_eq!(disk.list(&directory).await.expect("it is there"), ["file"]);
        let left: Vec<_> = std::fs::read_dir(&directory).expect("ours").collect();
        assert_eq!(left.len(), 1, "nothing lies beside it: {left:?}");

        disk.remove(&file).await.expect("it was there");
        assert!(disk.list(&directory).await.expect("it is there").is_empty());
        std::fs::remove_dir_all(&directory).expect("ours");
    }

    fn any() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }
}
