//! Links that carry little, nothing or only one way; machines that stand still; connections that are cut.

use super::network::change;
use crate::scene::Scene;
use crate::words::{Actor, Span};
use cucumber::{given, then, when};
use pbx::time::Duration;
use simulator::network::{Bursts, Link};
use simulator::phone::Phone;
use simulator::stage::{PBX, Stage};

/// A slot of bad weather in which bursts of losses are drawn.
const SLOT: Duration = Duration::from_millis(100);

#[given(expr = "a network that loses all packets for {int} % of the time")]
async fn loses_in_bursts(scene: &mut Scene, percent: u32) {
    let bursts = Bursts { slot: SLOT, bad: f64::from(percent) / 100.0, loss: 1.0 };
    change(scene, move |link| link.bursts = Some(bursts)).await;
}

#[given(expr = "a network that damages {int} % of the packets")]
#[when(expr = "the network damages {int} % of the packets")]
async fn damages(scene: &mut Scene, percent: u32) {
    change(scene, move |link| link.corrupt = f64::from(percent) / 100.0).await;
}

#[given(expr = "a network that carries {int} kbit a second")]
#[when(expr = "the network carries {int} kbit a second")]
async fn carries(scene: &mut Scene, kbits: u64) {
    change(scene, move |link| link.rate = Some(kbits * 1_000)).await;
}

#[given(expr = "a network that carries at most {int} bytes in a packet")]
async fn carries_at_most(scene: &mut Scene, bytes: usize) {
    change(scene, move |link| link.mtu = bytes).await;
}

#[given(expr = "a firewall that lets no fragments through")]
async fn drops_fragments(scene: &mut Scene) {
    change(scene, |link| link.drops_fragments = true).await;
}

#[given(expr = "{int} % of what {actor} sends is lost and the rest takes up to {span} longer")]
#[when(expr = "{int} % of what {actor} sends is lost and the rest takes up to {span} longer")]
async fn is_badly_heard(scene: &mut Scene, percent: u32, actor: Actor, jitter: Span) {
    scene
        .phone(actor, move |phone| {
            let (network, from) = (phone.host().network(), phone.address());
            let loss = f64::from(percent) / 100.0;
            let link = Link { loss, jitter: jitter.0, ..network.link(from, PBX) };
            network.set_link_one_way(from, PBX, link);
        })
        .await;
}

#[given(expr = "{actor} is cut off from the PBX")]
#[when(expr = "{actor} is cut off from the PBX")]
async fn is_cut_off(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.host().network().partition(phone.address(), PBX)).await;
}

#[when(expr = "nothing that {actor} sends reaches the PBX")]
async fn is_not_heard(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.host().network().partition_one_way(phone.address(), PBX)).await;
}

#[when(expr = "nothing that the PBX sends reaches {actor}")]
async fn hears_nothing(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.host().network().partition_one_way(PBX, phone.address())).await;
}

#[when(expr = "{actor} is no longer cut off")]
async fn is_no_longer_cut_off(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.host().network().repair(phone.address(), PBX)).await;
}

#[when(expr = "the packets of {actor} are held back")]
async fn are_held_back(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.host().network().hold(phone.address(), PBX)).await;
}

#[when(expr = "the packets of {actor} are let go")]
async fn are_let_go(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.host().network().release(phone.address(), PBX)).await;
}

#[when(expr = "the network heals")]
async fn heals(scene: &mut Scene) {
    scene.world.with(|stage: &mut Stage| stage.heal()).await;
}

#[when(expr = "the PBX stands still for {span}")]
async fn stands_still(scene: &mut Scene, time: Span) {
    scene.world.with(|stage: &mut Stage| stage.network.pause(PBX)).await;
    scene.world.pass(time.0).await;
    scene.world.with(|stage: &mut Stage| stage.network.resume(PBX)).await;
}

#[when(expr = "{actor}'s connection is cut")]
async fn is_cut(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.host().network().break_streams(phone.address(), PBX)).await;
}

#[given(expr = "{actor}'s connection breaks after {int} more bytes")]
#[when(expr = "{actor}'s connection breaks after {int} more bytes")]
async fn breaks_after(scene: &mut Scene, actor: Actor, bytes: usize) {
    let cut = move |phone: &Phone| {
        phone.host().network().break_streams_after(phone.address(), PBX, bytes);
    };
    scene.phone(actor, cut).await;
}

#[given(expr = "the name {string} leads to {actor}, then to {actor}")]
async fn leads_to(scene: &mut Scene, name: String, first: Actor, second: Actor) {
    let build = async move |stage: &mut Stage| {
        let (first, second) = (stage.phone(&first.0).await, stage.phone(&second.0).await);
        stage.network.name(&name, &[first.address(), second.address()]);
    };
    scene.world.play(build).await;
}

#[given(expr = "a trunk for numbers that begin with 0, to {string}")]
async fn has_a_trunk_by_name(scene: &mut Scene, name: String) {
    let build = async move |stage: &mut Stage| stage.replan(|plan| plan.trunk("0*", &[name])).await;
    scene.world.play(build).await;
}

#[then(expr = "{actor} heard nothing for {span} at most")]
async fn heard_nothing_for(scene: &mut Scene, actor: Actor, most: Span) {
    let hearing = scene.phone(actor.clone(), Phone::hearing).await;
    let mut longest = 0;
    let mut quiet = 0;
    for block in hearing.samples().chunks(80) {
        quiet = if simulator::ear::is_silent(block) { quiet + block.len() } else { 0 };
        longest = longest.max(quiet);
    }
    let longest = Duration::from_micros(longest as u64 * 125);
    assert!(longest <= most.0, "{} heard nothing for {longest:?}", actor.0);
}
