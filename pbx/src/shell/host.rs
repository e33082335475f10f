//! The seam: what the shell asks of the world it runs in.
//!
//! For real it is the OS ([`super::real`]); a simulated world brings its own network, time, dice and disk. What stands
//! above this trait is the same code in both. Timers of the shell are those of [`super::timer`], which a
//! simulated world moves on.

use crate::rng::Seed;
use crate::time::{Instant, WallClock};
use rustls::crypto::CryptoProvider;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// One machine: its network, its clocks, its dice, its disk, its tasks.
pub trait Host: Clone + Send + Sync + 'static {
    /// A bound datagram socket.
    type Udp: Udp;
    /// A listening socket.
    type Listener: Listener<Stream = Self::Stream>;
    /// An ordered pipe of bytes to somebody.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// Where files are.
    type Disk: Disk;

    /// Binds a datagram socket; port 0 takes any.
    fn udp(&self, local: SocketAddr) -> impl Future<Output = io::Result<Self::Udp>> + Send;

    /// Listens for streams; port 0 takes any.
    fn listen(&self, local: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Opens a stream. How long that may take is the caller's to say.
    fn connect(&self, remote: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The addresses of a name, in the order to try; none when there is no such name.
    fn resolve(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;

    /// The address of ours that packets to `remote` leave from; `None` when there is no way there.
    fn local_ip(&self, remote: IpAddr) -> Option<IpAddr>;

    /// Runs `task` until it ends or the host crashes.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// The time since this host started.
    fn now(&self) -> Instant;

    /// What o'clock it was when this host started.
    fn clock(&self) -> WallClock;

    /// What the dice of this start follow from. Another one after each start: Call-IDs and tags must not come twice.
    fn seed(&self) -> Seed;

    /// What TLS is made of: ciphers, signatures, and dice that are this host's.
    fn crypto(&self) -> Arc<CryptoProvider>;

    /// The disk.
    fn disk(&self) -> Self::Disk;
}

/// A bound datagram socket. It is asked by `try_*` until it has nothing more, then awaited: so a busy socket costs one
/// call a datagram and no task switch.
pub trait Udp: Send + Sync + 'static {
    /// What it is bound to.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Waits until [`Udp::try_recv_from`] is worth asking. May be dropped and asked again.
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// The next datagram; `WouldBlock` when there is none.
    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)>;

    /// Sends a datagram; `WouldBlock` when the socket's buffer is full.
    fn try_send_to(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<usize>;

    /// Has `arrival` called with each datagram that comes, so that nobody has to wait for them. `false` where a socket calls
    /// nobody: then they are awaited.
    fn call_on_arrival(&self, arrival: Arrival) -> bool {
        drop(arrival);
        false
    }
}

/// What is done with a datagram that has come, and who sent it. Whoever holds the socket must not be held by it.
pub type Arrival = Box<dyn Fn(&[u8], SocketAddr) + Send + Sync>;

/// A listening socket.
pub trait Listener: Send + 'static {
    /// What it accepts.
    type Stream;

    /// What it listens on.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next connection. May be dropped and asked again.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

/// Files, by paths as the configuration names them. What was appended may be lost, wholly or in its tail, by a crash of
/// the machine until it was synced; a crash of the program alone loses nothing.
pub trait Disk: Clone + Send + Sync + 'static {
    /// The bytes from `offset` to the end; none beyond it. `NotFound` where there is no such file.
    fn read(&self, path: &Path, offset: u64) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// How long the file is. `NotFound` where there is none.
    fn length(&self, path: &Path) -> impl Future<Output = io::Result<u64>> + Send;

    /// Puts `bytes` at the end, in a new file where there is none. When it fails, nothing of them stays.
    fn append(&self, path: &Path, bytes: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;

    /// Writes `bytes` in the place of what is at `offset`, in one piece: a crash of the program leaves all or nothing of
    /// them. `NotFound` where there is no such file.
    fn overwrite(
        &self,
        path: &Path,
        offset: u64,
        bytes: Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Cuts off what is beyond `length`.
    fn truncate(&self, path: &Path, length: u64) -> impl Future<Output = io::Result<()>> + Send;

    /// Puts a file with these bytes in the place of the old one: after a crash there is the one or the other.
    fn replace(&self, path: &Path, bytes: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;

    /// The names of the files in a directory, in the order of their bytes. `NotFound` where there is no such directory.
    fn list(&self, directory: &Path) -> impl Future<Output = io::Result<Vec<String>>> + Send;

    /// There is no such file any longer; `NotFound` where there was none.
    fn remove(&self, path: &Path) -> impl Future<Output = io::Result<()>> + Send;

    /// Returns when what was appended outlasts a crash of the machine.
    fn sync(&self, path: &Path) -> impl Future<Output = io::Result<()>> + Send;
}
