//! A call goes to somebody else: by REFER of a telephone, or by one that takes another's place.

use crate::scene::Scene;
use crate::words::{Actor, Status};
use cucumber::{given, then, when};
use simulator::phone::Phone;
use simulator::stage::Stage;

#[when(expr = "{actor} transfers the call to {actor}")]
async fn transfers(scene: &mut Scene, actor: Actor, target: Actor) {
    scene.phone(actor, move |phone| phone.transfer(&target.0)).await;
}

#[when(expr = "{actor} transfers the call to {string}")]
async fn transfers_to_number(scene: &mut Scene, actor: Actor, number: String) {
    scene.phone(actor, move |phone| phone.transfer(&number)).await;
}

#[when(expr = "{actor} transfers the call to {actor} and hangs up")]
async fn transfers_and_leaves(scene: &mut Scene, actor: Actor, target: Actor) {
    let both = move |phone: &Phone| {
        phone.transfer(&target.0);
        phone.hang_up();
    };
    scene.phone(actor, both).await;
}

#[given(expr = "{actor} does not want to hear what becomes of a transfer")]
async fn wants_no_news(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.hears_of_transfers = false)).await;
}

#[when(expr = "{actor} connects his two calls")]
#[when(expr = "{actor} connects her two calls")]
async fn connects(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::connect_lines).await;
}

#[when(expr = "{actor} hangs up as {actor} connects his two calls")]
async fn target_leaves(scene: &mut Scene, target: Actor, actor: Actor) {
    let both = async move |stage: &mut Stage| {
        let (target, actor) = (stage.phone(&target.0).await, stage.phone(&actor.0).await);
        actor.connect_lines();
        target.hang_up();
    };
    scene.world.play(both).await;
}

#[when(expr = "{actor} takes {actor}'s place in the call")]
async fn takes_place(scene: &mut Scene, actor: Actor, other: Actor) {
    take_place(scene, actor, other, "").await;
}

#[when(expr = "{actor} picks up the call that rings at {actor}")]
async fn picks_up(scene: &mut Scene, actor: Actor, other: Actor) {
    take_place(scene, actor, other, ";early-only").await;
}

#[when(expr = "{actor} and {actor} pick up the call that rings at {actor} at once")]
async fn both_pick_up(scene: &mut Scene, one: Actor, another: Actor, other: Actor) {
    let take = async move |stage: &mut Stage| {
        let replaced = stage.phone(&other.0).await.place_in_call().expect("it rings");
        let phones = [stage.phone(&one.0).await, stage.phone(&another.0).await];
        for phone in phones {
            phone.call_in_place_of(&other.0, &format!("{replaced};early-only"));
        }
    };
    scene.world.play(take).await;
}

#[then(expr = "exactly one of {actor} and {actor} is in a call")]
async fn one_is_in_a_call(scene: &mut Scene, one: Actor, other: Actor) {
    let mut calls = Vec::new();
    for actor in [one, other] {
        calls.push(scene.phone(actor, Phone::is_talking).await);
    }
    assert!(calls[0] != calls[1], "whether they talk: {calls:?}");
}

#[when(expr = "{actor} wants to take the place of somebody in a call that does not exist")]
async fn takes_no_place(scene: &mut Scene, actor: Actor) {
    let replaces = "nowhere;to-tag=a;from-tag=b".to_owned();
    scene.phone(actor, move |phone| phone.call_in_place_of("9196", &replaces)).await;
}

#[then(expr = "{actor} is told of the transfer {string}")]
async fn is_told_of_transfer(scene: &mut Scene, actor: Actor, expected: String) {
    let told = scene.phone(actor, Phone::transfers).await;
    let told: Vec<String> = told.iter().map(|status| status.code().to_string()).collect();
    assert_eq!(told.join(", "), expected);
}

#[then(expr = "{actor} may not transfer: {status}")]
async fn may_not_transfer(scene: &mut Scene, actor: Actor, status: Status) {
    let told = scene.phone(actor, Phone::transfers).await;
    assert_eq!(told, [status.0]);
}

/// One calls in the place that the other has in its call, as the other's telephone knows it.
async fn take_place(scene: &mut Scene, actor: Actor, other: Actor, more: &'static str) {
    let take = async move |stage: &mut Stage| {
        let replaced = stage.phone(&other.0).await.place_in_call().expect("it is in a call");
        stage.phone(&actor.0).await.call_in_place_of(&other.0, &format!("{replaced}{more}"));
    };
    scene.world.play(take).await;
}
