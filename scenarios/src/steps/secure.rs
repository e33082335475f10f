//! Certificates: who shows which, who believes whom.

use crate::scene::Scene;
use crate::words::{Actor, Certificate};
use cucumber::{given, then, when};
use simulator::network::Kind;
use simulator::phone::Phone;
use simulator::stage::Stage;

#[given(expr = "the PBX shows a certificate {certificate}")]
async fn shows(scene: &mut Scene, what: Certificate) {
    scene.world.play(async move |stage: &mut Stage| stage.replan(|plan| plan.shows(what.0)).await).await;
}

#[when(expr = "the PBX is given a certificate {certificate}")]
async fn is_given(scene: &mut Scene, what: Certificate) {
    let give = async move |stage: &mut Stage| stage.try_replan(|plan| plan.shows(what.0)).await.err();
    scene.refusal = scene.world.play(give).await;
}

#[then(expr = "it is refused because {string}")]
async fn is_refused(scene: &mut Scene, why: String) {
    let refusal = scene.refusal.as_deref().expect("it is taken");
    assert!(refusal.contains(&why), "it is refused because {refusal}");
}

#[given(expr = "{actor} is a trunk over TLS for numbers that begin with {int}")]
async fn is_a_secure_trunk(scene: &mut Scene, name: Actor, first: u8) {
    is_a_trunk_with(scene, name, first, Certificate("that is good")).await;
}

#[given(
    expr = "{actor} is a trunk over TLS for numbers that begin with {int}, with a certificate {certificate}"
)]
async fn is_a_trunk_with(scene: &mut Scene, name: Actor, first: u8, what: Certificate) {
    let build = async move |stage: &mut Stage| {
        let trunk = stage.trunk(&name.0);
        trunk.shows(what.0);
        let address = trunk.address().ip();
        stage.network.name(TRUNK, &[address]);
        let pattern = format!("{first}*");
        stage.replan(|plan| plan.secure_carrier(&name.0, &pattern, TRUNK, address)).await;
    };
    scene.world.play(build).await;
}

/// The name of a trunk that speaks TLS.
const TRUNK: &str = "trunk.example";

#[then(expr = "{actor}'s telephone does not trust the PBX because {string}")]
async fn does_not_trust(scene: &mut Scene, actor: Actor, why: String) {
    let refusals = scene.phone(actor, Phone::refusals).await;
    assert!(refusals.iter().any(|known| known.contains(&why)), "what went wrong: {refusals:?}");
}

#[then(expr = "{actor}'s telephone has opened {int} connection(s)")]
async fn has_opened(scene: &mut Scene, actor: Actor, expected: usize) {
    let address = scene.phone(actor, Phone::address).await;
    assert_eq!(scene.connections(move |from, _| from.ip() == address).await, expected);
}

#[then(expr = "nothing readable was sent between {actor} and the PBX")]
async fn nothing_readable(scene: &mut Scene, actor: Actor) {
    let address = scene.phone(actor.clone(), Phone::address).await;
    let readable = scene.world.with(move |stage: &mut Stage| {
        stage.trace().look(|packets| {
            let carries = |packet: &&simulator::network::Packet| {
                packet.kind == Kind::Data && [packet.from.ip(), packet.to.ip()].contains(&address)
            };
            let texts = packets.iter().filter(carries).map(|packet| packet.bytes.clone());
            texts.filter(|bytes| bytes.windows(4).any(|window| window == b"SIP/")).count()
        })
    });
    assert_eq!(readable.await, 0, "packets in which SIP can be read");
}

#[then(expr = "the log says {string}")]
async fn log_says(scene: &mut Scene, text: String) {
    let lines = scene.world.with(|stage: &mut Stage| {
        stage.logbook().lines().iter().map(|line| format!("{line:?}")).collect::<Vec<_>>()
    });
    let lines = lines.await;
    assert!(lines.iter().any(|line| line.replace("\\\"", "\"").contains(&text)), "all lines: {lines:#?}");
}
