//! Trunks: other SIP systems that take calls for numbers and make calls.

use crate::scene::Scene;
use crate::words::{Actor, TrunkReaction};
use cucumber::{given, then, when};
use pbx::time::Duration;
use simulator::agents::trunk::Trunk;
use simulator::ear;
use simulator::phone::{Phone, SIP_PORT, Sound};
use simulator::stage::{PBX, Stage};
use std::net::SocketAddr;

/// How long somebody listens before saying what there is to hear.
const LISTEN: Duration = Duration::from_millis(400);

#[given(expr = "{actor} is a trunk for numbers that begin with {int}")]
async fn is_a_trunk(scene: &mut Scene, name: Actor, first: u8) {
    build(scene, name, first, None).await;
}

#[given(expr = "{actor} is a trunk for numbers that begin with {int}, with the password {string}")]
async fn is_a_trunk_with(scene: &mut Scene, name: Actor, first: u8, password: String) {
    build(scene, name, first, Some(password)).await;
}

#[given(expr = "the trunk {actor} wants the password {string}")]
async fn wants(scene: &mut Scene, name: Actor, password: String) {
    let credentials = Some(("office".to_owned(), password));
    with(scene, name, move |trunk| trunk.habits(|habits| habits.credentials = credentials)).await;
}

#[given(expr = "the trunk {actor} stays on the way of every request")]
async fn stays_on_the_way(scene: &mut Scene, name: Actor) {
    with(scene, name, |trunk| trunk.habits(|habits| habits.records_route = true)).await;
}

#[given(expr = "the trunk {actor} {trunk_reaction}")]
async fn reacts(scene: &mut Scene, name: Actor, reaction: TrunkReaction) {
    with(scene, name, move |trunk| trunk.habits(|habits| habits.reaction = reaction.0)).await;
}

#[when(expr = "the trunk {actor} calls {actor}")]
async fn calls(scene: &mut Scene, name: Actor, callee: Actor) {
    with(scene, name, move |trunk| trunk.call(SocketAddr::new(PBX, SIP_PORT), &callee.0)).await;
}

#[when(expr = "the trunk {actor} hangs up")]
async fn hangs_up(scene: &mut Scene, name: Actor) {
    with(scene, name, Trunk::hang_up).await;
}

#[when(expr = "the trunk {actor} loses its power")]
async fn loses_power(scene: &mut Scene, name: Actor) {
    with(scene, name, Trunk::crash).await;
}

#[then(expr = "the trunk {actor} has had {int} call(s)")]
async fn has_had(scene: &mut Scene, name: Actor, expected: usize) {
    assert_eq!(with(scene, name, Trunk::calls).await.len(), expected);
}

#[then(expr = "the trunk {actor} was asked for {string}")]
async fn was_asked_for(scene: &mut Scene, name: Actor, number: String) {
    let calls = with(scene, name, Trunk::calls).await;
    assert_eq!(calls.last().map(|call| call.number.clone()), Some(number));
}

#[then(expr = "the trunk {actor} has asked for a password {int} time(s)")]
async fn has_asked(scene: &mut Scene, name: Actor, expected: usize) {
    assert_eq!(with(scene, name, Trunk::challenges).await, expected);
}

#[then(expr = "the trunk {actor}'s call is over")]
async fn is_over(scene: &mut Scene, name: Actor) {
    let calls = with(scene, name, Trunk::calls).await;
    assert!(calls.last().is_some_and(|call| call.ended_at.is_some()));
}

#[then(expr = "the trunk {actor} has nothing to complain of")]
async fn has_no_complaint(scene: &mut Scene, name: Actor) {
    assert_eq!(with(scene, name, Trunk::complaints).await, [""; 0]);
}

#[then(expr = "{actor} and the trunk {actor} hear each other")]
async fn hear_each_other(scene: &mut Scene, person: Actor, name: Actor) {
    let voice = with(scene, name.clone(), Trunk::voice).await;
    let heard = scene.phone(person.clone(), |phone| phone.heard_lately(LISTEN)).await;
    assert_hears(&person, &heard, voice);
    let Sound::Tone(voice) = scene.phone(person, Phone::voice).await else { panic!("nobody says anything") };
    let heard = with(scene, name.clone(), |trunk| trunk.heard_lately(LISTEN)).await;
    assert_hears(&name, &heard, voice);
}

fn assert_hears(who: &Actor, heard: &[i16], voice: f64) {
    let presence = ear::presence(heard, voice);
    assert!(presence > 0.5, "{} hears {voice} Hz for {presence:.2} of the time", who.0);
}

async fn build(scene: &mut Scene, name: Actor, first: u8, password: Option<String>) {
    let build = async move |stage: &mut Stage| {
        let trunk = stage.trunk(&name.0);
        let credentials = password.map(|password| ("office".to_owned(), password));
        trunk.habits(|habits| habits.credentials = credentials.clone());
        let shown = credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        let host = trunk.address().ip();
        stage.replan(|plan| plan.carrier(&name.0, &format!("{first}*"), host, shown)).await;
    };
    scene.world.play(build).await;
}

async fn with<T: Send + 'static>(
    scene: &mut Scene,
    name: Actor,
    act: impl FnOnce(&Trunk) -> T + Send + 'static,
) -> T {
    scene.world.play(async move |stage: &mut Stage| act(&stage.trunk(&name.0))).await
}
