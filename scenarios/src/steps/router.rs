//! Telephones behind routers that do NAT.

use crate::scene::Scene;
use crate::words::{Actor, Span};
use cucumber::{Parameter, given, then, when};
use pbx::sip::Transport;
use simulator::network::{self, Nat};
use simulator::phone::Phone;
use simulator::stage::Stage;
use std::str::FromStr;

/// What a router that does NAT takes into account of the other side (RFC 4787).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Parameter)]
#[param(name = "dependence", regex = "nothing|address and port|address")]
pub(super) struct Dependence(network::Dependence);

impl FromStr for Dependence {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Dependence, &'static str> {
        match text {
            "nothing" => Ok(Dependence(network::Dependence::Independent)),
            "address" => Ok(Dependence(network::Dependence::Address)),
            "address and port" => Ok(Dependence(network::Dependence::AddressAndPort)),
            _ => Err("a router looks at nothing, the address, or the address and port"),
        }
    }
}

#[given(expr = "{actor} has a telephone behind a router")]
async fn is_behind_a_router(scene: &mut Scene, actor: Actor) {
    put_behind(scene, actor, Transport::Udp).await;
}

#[given(expr = "{actor} has a telephone that speaks TCP behind a router")]
async fn is_behind_a_router_over_tcp(scene: &mut Scene, actor: Actor) {
    put_behind(scene, actor, Transport::Tcp).await;
}

#[given(expr = "{actor}'s router maps by {dependence} and filters by {dependence}")]
async fn is_a_kind_of_router(scene: &mut Scene, actor: Actor, mapping: Dependence, filtering: Dependence) {
    let change = move |phone: &Phone| {
        phone.host().network().change_nat(phone.address(), |nat| {
            *nat = Nat { mapping: mapping.0, filtering: filtering.0, ..*nat };
        });
    };
    scene.phone(actor, change).await;
}

#[given(expr = "{actor} has a telephone behind the router of {actor}")]
async fn is_behind_the_same_router(scene: &mut Scene, actor: Actor, other: Actor) {
    let put = async move |stage: &mut Stage| {
        let other = stage.phone(&other.0).await;
        stage.phone_beside(&actor.0, &other).await;
    };
    scene.world.play(put).await;
}

#[given(expr = "{actor}'s router forgets after {span}")]
async fn forgets_after(scene: &mut Scene, actor: Actor, timeout: Span) {
    let change = move |phone: &Phone| {
        phone.host().network().change_nat(phone.address(), |nat| nat.timeout = timeout.0);
    };
    scene.phone(actor, change).await;
}

#[given(expr = "{actor}'s telephone is heard of every {span}")]
async fn keeps_its_binding(scene: &mut Scene, actor: Actor, every: Span) {
    // It is a task of the telephone's host, so it needs the world to run.
    scene.phone(actor, move |phone| phone.keeps_its_binding(every.0)).await;
}

#[when(expr = "{actor}'s router restarts")]
async fn restarts(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.host().network().forget_bindings(phone.address())).await;
}

#[then(expr = "the PBX has told {actor} where the router is")]
async fn was_told_its_address(scene: &mut Scene, actor: Actor) {
    let (inside, outside) =
        scene.phone(actor.clone(), |phone| (phone.host().address(), phone.address())).await;
    let received = format!("received={outside}");
    let told = scene.world.with(move |stage: &mut Stage| {
        let is_told = |text: &str| text.contains(&received) && text.contains("rport=");
        let packets = stage.trace().packets();
        packets
            .iter()
            .filter(|packet| packet.to.ip() == inside)
            .any(|packet| is_told(&String::from_utf8_lossy(&packet.bytes)))
    });
    assert!(told.await, "{} was not told that the PBX sees the router", actor.0);
}

async fn put_behind(scene: &mut Scene, actor: Actor, transport: Transport) {
    let put = async move |stage: &mut Stage| {
        stage.phone_behind(&actor.0, Nat::default(), transport).await;
    };
    scene.world.play(put).await;
}
