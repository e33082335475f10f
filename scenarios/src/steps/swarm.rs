//! What a swarm says when it tells what it has found: faults by the packet, planted bugs, and that nobody is left alone.

use crate::scene::Scene;
use crate::words::{Actor, Ordinal, Party, Program, Span};
use cucumber::{given, then, when};
use simulator::faults::PacketFault;
use simulator::network::Fate;
use simulator::phone::Sound;
use simulator::stage::Stage;
use simulator::swarm::{Client, take_place};

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

#[given(expr = "{application} may control calls, for {string}")]
async fn may_control(scene: &mut Scene, program: Program, scopes: String) {
    let scopes = scopes.split(", ").filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    let client = Client { name: program.0, scopes };
    let introduce = async move |stage: &mut Stage| {
        stage.replan(|plan| plan.let_in(&client.token(), &client.rights())).await;
        stage.application(&client.name);
    };
    scene.world.play(introduce).await;
}

#[given(expr = "the PBX waits {span} for an application that is gone")]
async fn waits_for_application(scene: &mut Scene, patience: Span) {
    let wait = async move |stage: &mut Stage| {
        stage.replan(|plan| plan.wait_for_applications(patience.0)).await;
    };
    scene.world.play(wait).await;
}

#[when(expr = "{application} asks for {string}")]
async fn asks_for(scene: &mut Scene, program: Program, text: String) {
    let ask = move |stage: &mut Stage| stage.application(&program.0).ask(&text);
    let asked = scene.world.with(ask).await;
    asked.unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[when(expr = "{application} asks for what it has missed")]
async fn catches_up(scene: &mut Scene, program: Program) {
    scene.world.with(move |stage: &mut Stage| stage.application(&program.0).catch_up()).await;
}

#[when(expr = "{application} starts again")]
async fn starts_again(scene: &mut Scene, program: Program) {
    scene.world.with(move |stage: &mut Stage| stage.application(&program.0).restart()).await;
}

#[when(expr = "all applications are gone")]
async fn are_gone(scene: &mut Scene) {
    let go = |stage: &mut Stage| {
        for application in stage.applications().values() {
            application.read_on();
            application.disconnect();
        }
    };
    scene.world.with(go).await;
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

#[when(expr = "{actor} watches {string} for {span}")]
async fn watches_for(scene: &mut Scene, actor: Actor, number: String, time: Span) {
    let seconds = time.0.as_secs() as u32;
    scene.phone(actor, move |phone| phone.subscribe(&number, "dialog", seconds)).await;
}

#[when(expr = "{actor} calls in the place of {actor}, who may have none")]
async fn wants_place(scene: &mut Scene, actor: Actor, other: Actor) {
    wants_place_of(scene, actor, other, "").await;
}

#[when(expr = "{actor} calls for what rings at {actor}, if anything does")]
async fn wants_what_rings(scene: &mut Scene, actor: Actor, other: Actor) {
    wants_place_of(scene, actor, other, ";early-only").await;
}

#[given(expr = "registrations and subscriptions may be as short as {span}")]
async fn may_be_short(scene: &mut Scene, time: Span) {
    let allow = async move |stage: &mut Stage| {
        stage.replan(|plan| plan.limit("min_expires_seconds", time.0.as_secs())).await;
    };
    scene.world.play(allow).await;
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

async fn wants_place_of(scene: &mut Scene, actor: Actor, other: Actor, more: &'static str) {
    let take = async move |stage: &mut Stage| {
        let phone = stage.phone(&actor.0).await;
        take_place(stage, &phone, &other.0, more);
    };
    scene.world.play(take).await;
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
