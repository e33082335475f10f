//! A host as the PBX's shell sees it.

use super::{Network, TcpListener, TcpStream, UdpSocket};
use crate::dice::Dice;
use crate::disk::SimDisk;
use pbx::rng::Seed;
use pbx::shell::host::Host;
use pbx::time::{Instant, WallClock};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

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

    /// The network it is in.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Binds a datagram socket at once, for those who are no tasks; port 0 takes any.
    pub fn bind(&self, local: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind(&self.network, self.address, local)
    }
}

impl Host for SimHost {
    type Udp = UdpSocket;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Disk = SimDisk;

    async fn udp(&self, local: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind(&self.network, self.address, local)
    }

    async fn listen(&self, local: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(&self.network, self.address, local)
    }

    async fn connect(&self, remote: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(&self.network, self.address, remote).await
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

    #[expect(clippy::disallowed_methods, reason = "this is where tasks are spawned on behalf of a host")]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        #[cfg(feature = "buggify")]
        let whims = self.network.state().whims(self.address);
        #[cfg(feature = "buggify")]
        if let Some(whims) = whims {
            let task = tokio::spawn(whimsical(whims, task));
            return self.network.state().add_task(self.address, task.abort_handle());
        }
        let task = tokio::spawn(task);
        self.network.state().add_task(self.address, task.abort_handle());
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

    fn disk(&self) -> SimDisk {
        self.disk.clone()
    }
}

/// A task of a host on which life is hard.
#[cfg(feature = "buggify")]
async fn whimsical(whims: std::sync::Arc<pbx::buggify::Whims>, task: impl Future<Output = ()>) {
    let mut task = std::pin::pin!(task);
    std::future::poll_fn(|context| pbx::buggify::within(&whims, || task.as_mut().poll(context))).await;
}
