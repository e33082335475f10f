//! Stories of two hosts in a network of their own, without a PBX.

use pbx::shell::host::Udp;
use pbx::time::Duration;
use simulator::network::{Builder, Network, SimHost};
use simulator::world;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};

pub(crate) const ALICE: &str = "10.0.0.2";
pub(crate) const BOB: &str = "10.0.0.3";

/// Plays a story in a network of two hosts.
pub(crate) fn world<F>(seed: u64, story: impl FnOnce(Network, SimHost, SimHost) -> F)
where
    F: Future<Output = std::io::Result<()>>,
{
    world::on_network(Builder::new().rng_seed(seed), async |network| {
        let (alice, bob) = (network.host("alice", ip(ALICE)), network.host("bob", ip(BOB)));
        story(network, alice, bob).await.expect("the story ends well");
    });
}

/// The next datagram, and who sent it.
pub(crate) async fn receive(socket: &impl Udp) -> std::io::Result<(Vec<u8>, SocketAddr)> {
    socket.readable().await?;
    let mut buffer = [0; 2_000];
    let (length, from) = socket.try_recv_from(&mut buffer)?;
    Ok((buffer[..length].to_vec(), from))
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn at(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(text), port)
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
