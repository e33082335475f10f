//! One relay, many calls: each has two who send 50 packets a second to a port of the relay, which sends them on to the
//! other. The same programs on our network and on turmoil's.

use pbx::shell::host::{Host, Udp};
use pbx::shell::timer::{Deadline, sleep, sleep_until};
use simulator::network::{self, SimHost};
use simulator::world;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// 20 ms of G.711.
const PACKET: [u8; 172] = [0x80; 172];
const PACE: Duration = Duration::from_millis(20);
const LATENCY: Duration = Duration::from_millis(1);

/// The first port of each: at the relay on the left and on the right, at those who send.
const LEFT: u16 = 20_000;
const RIGHT: u16 = 30_000;
const SENDER: u16 = 40_000;

/// A machine in either network.
trait Machine {
    type Udp: Udp;
    fn bind(&self, local: SocketAddr) -> impl Future<Output = io::Result<Self::Udp>>;
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// All calls on our network.
pub(crate) fn on_our_network(calls: u16, time: Duration) {
    let [relay, left, right] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
    world::on_network(network::Builder::new(), async |network| {
        pass_all_on(calls, network.host("relay", relay), left, right).await;
        let [one, other] = [(left, LEFT), (right, RIGHT)].map(|(address, port)| {
            send_all(calls, time, network.host("sender", address), SocketAddr::new(relay, port))
        });
        tokio::join!(one, other);
    });
}

/// All calls on turmoil's, which wakes every host every millisecond.
pub(crate) fn on_turmoil(calls: u16, time: Duration) {
    let mut sim = simulation(time);
    let [relay, left, right] = ["relay", "left", "right"].map(|name| sim.lookup(name));
    sim.host("relay", move || async move {
        pass_all_on(calls, OfTurmoil, left, right).await;
        std::future::pending().await
    });
    for (name, port) in [("left", LEFT), ("right", RIGHT)] {
        sim.client(name, async move {
            send_all(calls, time, OfTurmoil, SocketAddr::new(relay, port)).await;
            Ok(())
        });
    }
    sim.run().expect("it runs to its end");
}

/// Five hosts that wait for packets which do not come, on our network.
pub(crate) fn idle_on_our_network(time: Duration) {
    world::on_network(network::Builder::new(), async |network| {
        for last in 1..=5 {
            let host = network.host("idle", IpAddr::from([10, 0, 0, last]));
            let socket = host.bind(any(LEFT)).expect("the port is free");
            Host::spawn(&host, async move { drop(socket.readable().await) });
        }
        sleep(time).await;
    });
}

/// The same on turmoil's.
pub(crate) fn idle_on_turmoil(time: Duration) {
    let mut sim = simulation(time);
    for name in ["one", "two", "three", "four"] {
        sim.host(name, || async {
            OfTurmoil.bind(any(LEFT)).await?.readable().await?;
            Ok(())
        });
    }
    sim.client("five", async move {
        sleep(time).await;
        Ok(())
    });
    sim.run().expect("it runs to its end");
}

impl Machine for SimHost {
    type Udp = network::UdpSocket;

    async fn bind(&self, local: SocketAddr) -> io::Result<network::UdpSocket> {
        self.udp(local).await
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        Host::spawn(self, task);
    }
}

/// The one whose program asks.
struct OfTurmoil;

impl Machine for OfTurmoil {
    type Udp = Turmoil;

    async fn bind(&self, local: SocketAddr) -> io::Result<Turmoil> {
        turmoil::net::UdpSocket::bind(local).await.map(Turmoil)
    }

    #[expect(clippy::disallowed_methods, reason = "turmoil's hosts spawn as tokio does")]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }
}

fn simulation(time: Duration) -> turmoil::Sim<'static> {
    turmoil::Builder::new()
        .rng_seed(7)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(LATENCY)
        .max_message_latency(LATENCY)
        .udp_capacity(1_000)
        .simulation_duration(time * 2)
        .build()
}

/// A socket of turmoil's behind our seam.
struct Turmoil(turmoil::net::UdpSocket);

impl Udp for Turmoil {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.try_recv_from(buffer)
    }

    fn try_send_to(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<usize> {
        self.0.try_send_to(bytes, remote)
    }
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

/// One side of all calls, to the ports of the relay from `to` on.
async fn send_all<M: Machine>(calls: u16, time: Duration, machine: M, to: SocketAddr)
where
    M::Udp: 'static,
{
    let (tell, mut told) = mpsc::unbounded_channel();
    for call in 0..calls {
        let socket = machine.bind(any(SENDER + call)).await.expect("the port is free");
        let (tell, to) = (tell.clone(), SocketAddr::new(to.ip(), to.port() + call));
        machine.spawn(async move {
            // Who does not wait for it any more does not want to know.
            let _ = tell.send(talk(socket, to, time).await);
        });
    }
    drop(tell);
    let mut heard = 0;
    while let Some(of_one) = told.recv().await {
        heard += of_one;
    }
    let sent = u64::from(calls) * (time.as_millis() / PACE.as_millis()) as u64;
    // The last ones are still on their way.
    assert!(heard + u64::from(calls) >= sent, "{heard} of {sent} packets arrived");
}

/// Sends for so long and returns how much was heard.
async fn talk<U: Udp>(socket: U, to: SocketAddr, time: Duration) -> u64 {
    let (mut buffer, mut heard) = ([0; 2_048], 0);
    let begins = Deadline::now();
    let mut next = begins;
    while next < begins + time {
        socket.try_send_to(&PACKET, to).expect("it is sent");
        next = next + PACE;
        loop {
            tokio::select! {
                biased;
                readable = socket.readable() => readable.expect("the host is up"),
                () = sleep_until(Some(next)) => break,
            }
            while socket.try_recv_from(&mut buffer).is_ok() {
                heard += 1;
            }
        }
    }
    heard
}

/// The relay of all calls begins.
async fn pass_all_on<M: Machine>(calls: u16, machine: M, left: IpAddr, right: IpAddr)
where
    M::Udp: 'static,
{
    for call in 0..calls {
        let [one, other] = [LEFT, RIGHT].map(|port| machine.bind(any(port + call)));
        let (one, other) = (one.await.expect("the port is free"), other.await.expect("the port is free"));
        let (one, other) = (Arc::new(one), Arc::new(other));
        machine.spawn(pass_on(one.clone(), other.clone(), SocketAddr::new(right, SENDER + call)));
        machine.spawn(pass_on(other, one, SocketAddr::new(left, SENDER + call)));
    }
}

/// What comes to one socket leaves from another.
async fn pass_on<U: Udp>(from: Arc<U>, out: Arc<U>, to: SocketAddr) {
    let mut buffer = [0; 2_048];
    while from.readable().await.is_ok() {
        while let Ok((length, _)) = from.try_recv_from(&mut buffer) {
            out.try_send_to(&buffer[..length], to).expect("it is sent");
        }
    }
}
