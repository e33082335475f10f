//! Calls begin and end.

use crate::scene::{PATIENCE, Scene};
use crate::words::{Actor, Span, Status};
use cucumber::{given, then, when};
use pbx::sip::StatusCode;
use pbx::time::Duration;
use simulator::phone::{Answering, Facts, Phone};
use simulator::stage::Stage;

/// How far a length of time may be off: what the network takes.
const TOLERANCE: Duration = Duration::from_millis(150);

#[given(expr = "{actor}'s telephone answers at once")]
async fn answers_at_once(scene: &mut Scene, actor: Actor) {
    answers_after(scene, actor, Span(Duration::ZERO)).await;
}

#[given(expr = "{actor}'s telephone answers after {span}")]
async fn answers_after(scene: &mut Scene, actor: Actor, patience: Span) {
    scene
        .phone(actor, move |phone| phone.habits(|habits| habits.answering = Answering::After(patience.0)))
        .await;
}

#[given(expr = "{actor}'s telephone is never answered")]
async fn is_never_answered(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::never_answers).await;
}

#[given(expr = "{actor}'s telephone refuses with {status}")]
async fn refuses_with(scene: &mut Scene, actor: Actor, status: Status) {
    scene
        .phone(actor, move |phone| phone.habits(|habits| habits.answering = Answering::Rejects(status.0)))
        .await;
}

#[given(expr = "{actor}'s telephone does not react")]
async fn does_not_react(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.answering = Answering::IsDead)).await;
}

#[given(expr = "{actor} calls without an offer")]
async fn calls_without_an_offer(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.offers_late = true)).await;
}

#[given(expr = "{actor} talks to {actor}")]
async fn talks_to(scene: &mut Scene, caller: Actor, callee: Actor) {
    for actor in [&caller, &callee] {
        scene.phone(actor.clone(), Phone::register).await;
        let registered = scene.until(actor.clone(), PATIENCE, Phone::is_registered).await;
        assert!(registered, "{} could not register", actor.0);
    }
    calls(scene, caller.clone(), callee.clone()).await;
    assert!(scene.until(callee.clone(), PATIENCE, Phone::is_ringing).await, "{} does not ring", callee.0);
    answers(scene, callee.clone()).await;
    assert!(scene.until(caller.clone(), PATIENCE, Phone::is_talking).await, "{} hears no answer", caller.0);
    // Both hear each other by now.
    scene.world.pass(Duration::from_millis(500)).await;
}

#[when(expr = "{actor} calls {actor}")]
async fn calls(scene: &mut Scene, caller: Actor, callee: Actor) {
    scene.phone(caller, move |phone| phone.call(&callee.0)).await;
}

#[when(expr = "{actor} calls {string}")]
async fn calls_number(scene: &mut Scene, caller: Actor, number: String) {
    scene.phone(caller, move |phone| phone.call(&number)).await;
}

#[given(expr = "{actor} calls the tone")]
#[when(expr = "{actor} calls the tone")]
async fn calls_the_tone(scene: &mut Scene, caller: Actor) {
    scene.phone(caller, |phone| phone.call("9197")).await;
}

#[when(expr = "{actor} calls the echo")]
async fn calls_the_echo(scene: &mut Scene, caller: Actor) {
    scene.phone(caller, |phone| phone.call("9196")).await;
}

#[when(expr = "{actor} answers")]
async fn answers(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::answer).await;
}

#[when(expr = "{actor} refuses the call")]
async fn refuses(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.reject(StatusCode::BUSY_HERE)).await;
}

#[when(expr = "{actor} hangs up")]
#[when(expr = "{actor} gives up")]
async fn hangs_up(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::hang_up).await;
}

#[when(expr = "{actor} and {actor} hang up at once")]
async fn both_hang_up(scene: &mut Scene, one: Actor, other: Actor) {
    let both = async move |stage: &mut Stage| {
        let (one, other) = (stage.phone(&one.0).await, stage.phone(&other.0).await);
        one.hang_up();
        other.hang_up();
    };
    scene.world.play(both).await;
}

#[when(expr = "{actor} answers as {actor} gives up")]
async fn answer_crosses_cancel(scene: &mut Scene, callee: Actor, caller: Actor) {
    let both = async move |stage: &mut Stage| {
        let (callee, caller) = (stage.phone(&callee.0).await, stage.phone(&caller.0).await);
        callee.answer();
        caller.hang_up();
    };
    scene.world.play(both).await;
}

#[then(expr = "{actor}'s telephone rings")]
async fn rings(scene: &mut Scene, actor: Actor) {
    let rings = scene.phone(actor.clone(), Phone::is_ringing).await;
    assert!(rings, "{}'s telephone does not ring", actor.0);
}

#[then(expr = "{actor}'s telephone does not ring")]
async fn does_not_ring(scene: &mut Scene, actor: Actor) {
    let rings = scene.phone(actor.clone(), Phone::is_ringing).await;
    assert!(!rings, "{}'s telephone rings", actor.0);
}

#[then(expr = "{actor} is told {status}")]
async fn is_told(scene: &mut Scene, actor: Actor, status: Status) {
    let told = facts(scene, actor.clone()).await.told;
    let numbers: Vec<_> = told.iter().map(|told| told.code()).collect();
    assert!(told.contains(&status.0), "{} was told {numbers:?}", actor.0);
}

#[then(expr = "{actor} is talking to {actor}")]
async fn is_talking_to(scene: &mut Scene, actor: Actor, other: Actor) {
    let talks = scene.phone(actor.clone(), |phone| (phone.is_talking(), phone.talks_with())).await;
    assert_eq!(talks, (true, Some(other.0)), "whether {} talks, and with whom", actor.0);
}

#[then(expr = "{actor}'s call is over")]
async fn is_over(scene: &mut Scene, actor: Actor) {
    let calls = scene.phone(actor.clone(), Phone::is_in_call).await;
    assert!(!calls, "{} is still in a call", actor.0);
}

#[then(expr = "{actor}'s call is not answered yet")]
async fn is_not_answered(scene: &mut Scene, actor: Actor) {
    let waits = scene.phone(actor.clone(), |phone| phone.is_in_call() && !phone.is_talking()).await;
    assert!(waits, "{} does not wait for an answer", actor.0);
}

#[then(expr = "{actor}'s call is still up")]
async fn is_still_up(scene: &mut Scene, actor: Actor) {
    let talks = scene.phone(actor.clone(), Phone::is_talking).await;
    assert!(talks, "{} talks to nobody any more", actor.0);
}

#[then(expr = "{actor}'s call lasted {span}")]
async fn lasted(scene: &mut Scene, actor: Actor, expected: Span) {
    let facts = facts(scene, actor).await;
    let (Some(answered), Some(ended)) = (facts.answered_at, facts.ended_at) else {
        panic!("the call was not answered, or is not over")
    };
    assert_about(ended.since(answered), expected.0);
}

#[then(expr = "{actor} was answered after {span}")]
async fn was_answered_after(scene: &mut Scene, actor: Actor, expected: Span) {
    let facts = facts(scene, actor).await;
    let answered = facts.answered_at.expect("the call was answered");
    assert_about(answered.since(facts.began_at), expected.0);
}

#[then(expr = "{actor} has had {int} call(s)")]
async fn has_had_calls(scene: &mut Scene, actor: Actor, expected: usize) {
    assert_eq!(scene.phone(actor, Phone::calls).await, expected);
}

async fn facts(scene: &mut Scene, actor: Actor) -> Facts {
    let facts = scene.phone(actor.clone(), Phone::last_call).await;
    facts.unwrap_or_else(|| panic!("{} has had no call", actor.0))
}

fn assert_about(measured: Duration, expected: Duration) {
    assert!(measured.abs_diff(expected) <= TOLERANCE, "it was {measured:?}");
}
