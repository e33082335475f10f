//! A host as the PBX's shell sees it.

use super::datagram::Reader;
use super::far::{FarListener, FarStream, FarUdp};
use super::timetable::Turn;
use super::{Network, TcpListener, TcpStream, UdpSocket, box_of, datagram, stream};
use crate::dice::Dice;
use crate::disk::SimDisk;
use pbx::rng::Seed;
use pbx::shell::host::{Arrival, Host, Udp};
use pbx::time::{Instant, WallClock};
use rustls::crypto::CryptoProvider;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A machine in the simulated network; clones are the same machine.
#[derive(Clone)]
pub struct SimHost {
    network: Network,
    address: IpAddr,
    disk: SimDisk,
}

impl SimHost {
    pub(super) fn new(network: Network, address: IpAddr) -> SimHost {
        let disk = network.state().disk(address);
        SimHost { network, address, disk }
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Where those outside see it: its own address, or that of the box before it.
    pub fn seen_at(&self) -> IpAddr {
        box_of(self.address).unwrap_or(self.address)
    }

    /// The network it is in.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Binds a datagram socket at once, for those who are no tasks; port 0 takes any.
    pub fn bind(&self, local: SocketAddr) -> io::Result<UdpSocket> {
        match &self.network.shared.far {
            Some(_) => Ok(UdpSocket::Far(FarUdp::bind_soon(&self.network, self.address, local))),
            None => datagram::UdpSocket::bind(&self.network, self.address, local).map(UdpSocket::Own),
        }
    }

    /// Does something as a program of this host would, for those who stand outside.
    pub async fn within<T: Send + 'static>(&self, act: impl Future<Output = T> + Send + 'static) -> T {
        if !self.network.is_turmoil() {
            return act.await;
        }
        let (tell, told) = oneshot::channel();
        self.spawn(async move {
            let _ = tell.send(act.await);
        });
        told.await.expect("the host runs until it is done")
    }
}

impl Host for SimHost {
    type Udp = UdpSocket;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Disk = SimDisk;

    async fn udp(&self, local: SocketAddr) -> io::Result<UdpSocket> {
        match &self.network.shared.far {
            Some(_) => FarUdp::bind(&self.network, self.address, local).await.map(UdpSocket::Far),
            None => self.bind(local),
        }
    }

    async fn listen(&self, local: SocketAddr) -> io::Result<TcpListener> {
        match &self.network.shared.far {
            Some(_) => FarListener::bind(&self.network, self.address, local).await.map(TcpListener::Far),
            None => stream::TcpListener::bind(&self.network, self.address, local).map(TcpListener::Own),
        }
    }

    async fn connect(&self, remote: SocketAddr) -> io::Result<TcpStream> {
        match &self.network.shared.far {
            Some(_) => FarStream::connect(&self.network, self.address, remote).await.map(TcpStream::Far),
            None => stream::TcpStream::connect(&self.network, self.address, remote).await.map(TcpStream::Own),
        }
    }

    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        Ok(self.network.state().names.get(&name.to_ascii_lowercase()).cloned().unwrap_or_default())
    }

    fn local_ip(&self, _: IpAddr) -> Option<IpAddr> {
        Some(self.address)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.network.spawn_for(self.address, Box::pin(task));
    }

    fn now(&self) -> Instant {
        self.network.elapsed()
    }

    fn clock(&self) -> WallClock {
        self.network.shared.clock
    }

    fn seed(&self) -> Seed {
        let starts = self.network.state().starts(self.address);
        let dice =
            Dice::new(self.network.shared.seed).named("host").named(&self.address.to_string()).at(starts);
        let mut seed = Seed::default();
        for (place, chunk) in seed.chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&dice.at(place as u64).bits().to_le_bytes());
        }
        seed
    }

    fn crypto(&self) -> Arc<CryptoProvider> {
        Arc::new(crate::secure::provider(self.seed()))
    }

    fn disk(&self) -> SimDisk {
        self.disk.clone()
    }
}

/// For as long as there is one of these, somebody is there to read what comes at a socket.
pub(crate) struct Attendance {
    _ends: Option<oneshot::Sender<()>>,
}

impl SimHost {
    /// Calls `read` with each datagram that comes to a socket, until it is closed. Whoever keeps the socket must not be kept by
    /// it.
    pub(crate) fn attend(
        &self,
        socket: &Arc<UdpSocket>,
        read: impl Fn(&[u8], SocketAddr) + Clone + Send + Sync + 'static,
    ) -> Attendance {
        let (called, reads) = (Arc::downgrade(socket), read.clone());
        let arrival = move |bytes: &[u8], from| {
            if called.strong_count() > 0 {
                reads(bytes, from);
            }
        };
        if socket.call_on_arrival(Box::new(arrival)) {
            return Attendance { _ends: None };
        }
        let (ends, mut ended) = oneshot::channel();
        let socket = socket.clone();
        self.spawn(async move {
            let mut buffer = vec![0; datagram::LARGEST];
            loop {
                tokio::select! {
                    biased;
                    readable = socket.readable() => if readable.is_err() { return },
                    _ = &mut ended => return,
                }
                while let Ok((length, from)) = socket.try_recv_from(&mut buffer) {
                    read(&buffer[..length], from);
                }
            }
        });
        Attendance { _ends: Some(ends) }
    }
}

impl Network {
    /// A turn of a program on a host, with the life it has there.
    pub(super) fn turn_of(
        &self,
        host: IpAddr,
        turn: impl Fn(Instant) -> Option<Instant> + Send + Sync + 'static,
    ) -> Turn {
        #[cfg(feature = "buggify")]
        if let Some(whims) = self.state().whims(host) {
            return Arc::new(move |now| pbx::buggify::within(&whims, || turn(now)));
        }
        #[cfg(not(feature = "buggify"))]
        let _ = host;
        Arc::new(turn)
    }

    /// What a program on a host does with what comes, with the life it has there.
    pub(super) fn reader_of(&self, host: IpAddr, read: Arrival) -> Reader {
        #[cfg(feature = "buggify")]
        if let Some(whims) = self.state().whims(host) {
            return Arc::new(move |bytes, from| pbx::buggify::within(&whims, || read(bytes, from)));
        }
        #[cfg(not(feature = "buggify"))]
        let _ = host;
        read.into()
    }
}

/// A task of a host on which life is hard.
#[cfg(feature = "buggify")]
pub(super) async fn whimsical(whims: std::sync::Arc<pbx::buggify::Whims>, task: super::pause::Pausable) {
    let mut task = std::pin::pin!(task);
    std::future::poll_fn(|context| pbx::buggify::within(&whims, || task.as_mut().poll(context))).await;
}
