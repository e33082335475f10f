//! One relay, many calls: each has two who send 50 packets a second to a port of the relay, which sends them on to the
//! other. The same programs on our network and on turmoil's.

use pbx::shell::host::{Host, Udp};
use simulator::network;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// 20 ms of G.711.
const PACKET: [u8; 172] = [0x80; 172];
const PACE: Duration = Duration::from_millis(20);
const LATENCY: Duration = Duration::from_millis(1);

/// The first port of each: at the relay on the left and on the right, at those who send.
const LEFT: u16 = 20_000;
const RIGHT: u16 = 30_000;
const SENDER: u16 = 40_000;

/// All calls on our network.
pub(crate) fn on_our_network(calls: u16, time: Duration) {
    let [relay, left, right] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
    paused().block_on(async move {
        let network = network::Builder::new().build();
        let ends = [(left, LEFT), (right, RIGHT)].map(|(address, port)| {
            let host = network.host("sender", address);
            async move {
                send_all(calls, time, |local| host.udp(local), SocketAddr::new(relay, port)).await;
            }
        });
        let host = network.host("relay", relay);
        let binder = host.clone();
        host.spawn(async move { pass_all_on(calls, |local| binder.udp(local), left, right).await });
        let [one, other] = ends;
        tokio::select! {
            biased;
            () = async { tokio::join!(one, other); } => {}
            () = network.drive() => {}
        }
    });
}

/// All calls on turmoil's, which wakes every host every millisecond.
pub(crate) fn on_turmoil(calls: u16, time: Duration) {
    let mut sim = simulation(time);
    let [relay, left, right] = ["relay", "left", "right"].map(|name| sim.lookup(name));
    sim.host("relay", move || async move {
        pass_all_on(calls, bind, left, right).await;
        Ok(())
    });
    for (name, port) in [("left", LEFT), ("right", RIGHT)] {
        sim.client(name, async move {
            send_all(calls, time, bind, SocketAddr::new(relay, port)).await;
            Ok(())
        });
    }
    sim.run().expect("it runs to its end");
}

/// Five hosts that wait for packets which do not come, on our network.
pub(crate) fn idle_on_our_network(time: Duration) {
    paused().block_on(async move {
        let network = network::Builder::new().build();
        for last in 1..=5 {
            let host = network.host("idle", IpAddr::from([10, 0, 0, last]));
            let socket = host.bind(any(LEFT)).expect("the port is free");
            host.spawn(async move { drop(socket.readable().await) });
        }
        tokio::select! {
            biased;
            () = sleep(time) => {}
            () = network.drive() => {}
        }
    });
}

/// The same on turmoil's.
pub(crate) fn idle_on_turmoil(time: Duration) {
    let mut sim = simulation(time);
    for name in ["one", "two", "three", "four"] {
        sim.host(name, || async {
            bind(any(LEFT)).await?.readable().await?;
            Ok(())
        });
    }
    sim.client("five", async move {
        sleep(time).await;
        Ok(())
    });
    sim.run().expect("it runs to its end");
}

fn paused() -> runtime::Runtime {
    let mut builder = runtime::Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the machine")
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

async fn bind(local: SocketAddr) -> io::Result<Turmoil> {
    turmoil::net::UdpSocket::bind(local).await.map(Turmoil)
}

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
async fn send_all<U: Udp, B: Future<Output = io::Result<U>>>(
    calls: u16,
    time: Duration,
    bind: impl Fn(SocketAddr) -> B,
    to: SocketAddr,
) {
    let mut talks = JoinSet::new();
    for call in 0..calls {
        let socket = bind(any(SENDER + call)).await.expect("the port is free");
        talks.spawn(talk(socket, SocketAddr::new(to.ip(), to.port() + call), time));
    }
    let heard: u64 = talks.join_all().await.iter().sum();
    let sent = u64::from(calls) * (time.as_millis() / PACE.as_millis()) as u64;
    // The last ones are still on their way.
    assert!(heard + u64::from(calls) >= sent, "{heard} of {sent} packets arrived");
}

/// Sends for so long and returns how much was heard.
async fn talk<U: Udp>(socket: U, to: SocketAddr, time: Duration) -> u64 {
    let (mut buffer, mut heard) = ([0; 2_048], 0);
    let begins = Instant::now();
    let mut next = begins;
    while next < begins + time {
        socket.try_send_to(&PACKET, to).expect("it is sent");
        next += PACE;
        loop {
            tokio::select! {
                biased;
                readable = socket.readable() => readable.expect("the host is up"),
                () = sleep_until(next) => break,
            }
            while socket.try_recv_from(&mut buffer).is_ok() {
                heard += 1;
            }
        }
    }
    heard
}

/// The relay of all calls.
async fn pass_all_on<U: Udp, B: Future<Output = io::Result<U>>>(
    calls: u16,
    bind: impl Fn(SocketAddr) -> B,
    left: IpAddr,
    right: IpAddr,
) {
    let mut ways = JoinSet::new();
    for call in 0..calls {
        let [one, other] = [LEFT, RIGHT].map(|port| bind(any(port + call)));
        let (one, other) = (one.await.expect("the port is free"), other.await.expect("the port is free"));
        let (one, other) = (Arc::new(one), Arc::new(other));
        ways.spawn(pass_on(one.clone(), other.clone(), SocketAddr::new(right, SENDER + call)));
        ways.spawn(pass_on(other, one, SocketAddr::new(left, SENDER + call)));
    }
    ways.join_all().await;
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
