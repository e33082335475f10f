//! Messages that callers leave.

use crate::scene::Scene;
use crate::words::{Actor, Span};
use cucumber::{given, then, when};
use pbx::audio::recording::Recording;
use pbx::time::Duration;
use serde_json::Value;
use simulator::phone::Phone;
use simulator::stage::Stage;

/// How far the length of a message may be off: a packet, and the way of two messages.
const TOLERANCE: Duration = Duration::from_millis(150);

#[given(expr = "{actor} has a mailbox")]
async fn has_a_mailbox(scene: &mut Scene, owner: Actor) {
    give(scene, owner, "").await;
}

#[given(expr = "{actor} has a mailbox with the PIN {string}")]
async fn has_a_mailbox_with_a_pin(scene: &mut Scene, owner: Actor, pin: String) {
    give(scene, owner, &format!("pin = \"{pin}\"\n")).await;
}

#[given(expr = "{actor} has a mailbox with the greeting {string}")]
async fn has_a_mailbox_with_a_greeting(scene: &mut Scene, owner: Actor, file: String) {
    give(scene, owner, &format!("greeting = \"{file}\"\n")).await;
}

#[given(expr = "of mailboxes the configuration says {string}")]
async fn says_of_mailboxes(scene: &mut Scene, line: String) {
    let say = async move |stage: &mut Stage| {
        stage
            .replan(|plan| {
                plan.keep_messages();
                plan.tables = plan.tables.replacen("[voicemail]\n", &format!("[voicemail]\n{line}\n"), 1);
            })
            .await;
    };
    scene.world.play(say).await;
}

#[given(
    expr = "calls to {actor} that are not answered, and those that come while it is busy, go to the mailbox"
)]
async fn go_to_the_mailbox(scene: &mut Scene, number: Actor) {
    let forward = async move |stage: &mut Stage| {
        stage
            .replan(|plan| {
                plan.extend(&number.0, "forward_no_answer", "voicemail");
                plan.extend(&number.0, "forward_busy", "voicemail");
                plan.extension(&number.0).more.push(("ring_timeout_seconds".to_owned(), "5".to_owned()));
            })
            .await;
    };
    scene.world.play(forward).await;
}

#[when(expr = "{actor} leaves a message of {span} for {actor}")]
async fn leaves_a_message(scene: &mut Scene, caller: Actor, length: Span, owner: Actor) {
    scene.phone(caller.clone(), move |phone| phone.call(&format!("*{}", owner.0))).await;
    // The greeting, and the beep.
    scene.world.pass(Duration::from_millis(1_300) + length.0).await;
    scene.phone(caller, Phone::hang_up).await;
    scene.world.pass(Duration::from_secs(1)).await;
}

#[then(expr = "there is/are {int} message(s) for {actor}")]
async fn are_messages(scene: &mut Scene, expected: usize, owner: Actor) {
    let messages = messages_for(scene, owner).await;
    assert_eq!(messages.len(), expected, "{messages:?}");
}

#[then(expr = "the last message for {actor} is from {actor} and {span} long")]
async fn is_from(scene: &mut Scene, owner: Actor, caller: Actor, length: Span) {
    let messages = messages_for(scene, owner).await;
    let last = messages.last().expect("there is a message");
    assert_eq!(last["caller"], Value::from(caller.0), "{last}");
    let seconds = last["duration_secs"].as_f64().unwrap_or_default();
    assert!((seconds - length.0.as_secs_f64()).abs() <= TOLERANCE.as_secs_f64(), "{last}");
}

#[then(expr = "the recording is whole")]
async fn is_whole(scene: &mut Scene) {
    let recordings = scene.world.with(|stage: &mut Stage| stage.office.recordings()).await;
    let last = recordings.last().expect("there is a recording");
    Recording::read(last).unwrap_or_else(|error| panic!("the recording is not whole: {error}"));
}

async fn messages_for(scene: &mut Scene, owner: Actor) -> Vec<Value> {
    let all = scene.world.with(|stage: &mut Stage| stage.office.messages()).await;
    let is_its = |message: &Value| message["mailbox"] == owner.0.as_str();
    all.into_iter().filter(|message| is_its(message) && message["complete"] == true).collect()
}

/// The extension has a mailbox, with these further lines of its table.
async fn give(scene: &mut Scene, owner: Actor, more: &str) {
    let more = more.to_owned();
    let build = async move |stage: &mut Stage| stage.replan(|plan| plan.mailbox(&owner.0, &more)).await;
    scene.world.play(build).await;
}
