//! What a swarm says when it tells what it has found: faults by the packet, planted bugs, and that nobody is left alone.

use crate::scene::Scene;
use crate::words::{Actor, Ordinal, Party, Span};
use cucumber::{given, then, when};
use simulator::faults::PacketFault;
use simulator::network::Fate;
use simulator::phone::Sound;
use simulator::stage::Stage;

#[given(expr = "a PBX with {string}")]
async fn has_whim(scene: &mut Scene, name: String) {
    let known = scene.world.with(move |stage: &mut Stage| stage.buggify(&name)).await;
    known.unwrap_or_else(|why| panic!("{why}"));
}

#[given(expr = "{actor}'s microphone is off")]
async fn is_off(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.voice = Sound::Off)).await;
}

#[given(expr = "the {ordinal} packet from {party} to {party} is lost")]
async fn is_lost(scene: &mut Scene, number: Ordinal, from: Party, to: Party) {
    let fate = |fate: &mut Fate| fate.lost = true;
    script(scene, number, from, to, fate).await;
}

#[given(expr = "the {ordinal} packet from {party} to {party} comes {span} late")]
async fn is_late(scene: &mut Scene, number: Ordinal, from: Party, to: Party, delay: Span) {
    script(scene, number, from, to, move |fate| fate.delay = delay.0).await;
}

#[given(expr = "the {ordinal} packet from {party} to {party} comes again {span} later")]
async fn comes_again(scene: &mut Scene, number: Ordinal, from: Party, to: Party, later: Span) {
    script(scene, number, from, to, move |fate| fate.duplicate = Some(later.0)).await;
}

#[given(expr = "the {ordinal} packet from {party} to {party} arrives with bit {int} flipped")]
async fn is_flipped(scene: &mut Scene, number: Ordinal, from: Party, to: Party, bit: u64) {
    script(scene, number, from, to, move |fate| fate.flip = Some(bit)).await;
}

#[when(expr = "{actor} puts the other side on hold")]
async fn holds(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, simulator::phone::Phone::hold).await;
}

#[when(expr = "{actor} takes the other side off hold")]
async fn resumes(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, simulator::phone::Phone::resume).await;
}

#[when(expr = "{actor} sends the other side to {string}")]
async fn sends_the_other_side(scene: &mut Scene, actor: Actor, number: String) {
    scene.phone(actor, move |phone| phone.transfer(&number)).await;
}

#[when(expr = "the faults stop")]
async fn faults_stop(scene: &mut Scene) {
    let stop = |stage: &mut Stage| {
        stage.calm();
        stage.plug_all_in();
    };
    scene.world.with(stop).await;
}

#[then(expr = "nobody is left alone on the line")]
async fn nobody_is_alone(scene: &mut Scene) {
    let alone = scene.world.with(|stage: &mut Stage| stage.left_alone()).await;
    if let Some(what) = alone {
        panic!("A27 is broken: when the faults have stopped nobody talks to nobody, but {what}");
    }
}

/// Several faults of one packet come together.
async fn script(
    scene: &mut Scene,
    number: Ordinal,
    from: Party,
    to: Party,
    change: impl FnOnce(&mut Fate) + Send + 'static,
) {
    let Ordinal(number) = number;
    let fault = PacketFault { from: from.0, to: to.0, number, fate: Fate::default(), note: String::new() };
    scene.world.with(move |stage: &mut Stage| stage.script(fault, change)).await;
}
