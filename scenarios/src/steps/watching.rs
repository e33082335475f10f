//! Telephones that show what waits, and what others do.

use crate::scene::{PATIENCE, Scene};
use crate::words::{Actor, Span, Status};
use cucumber::{given, then, when};
use simulator::phone::Phone;

/// How long a telephone asks to be told.
const USUAL: u32 = 3_600;

#[given(expr = "{actor}'s telephone wants to know of messages")]
#[when(expr = "{actor}'s telephone wants to know of messages")]
async fn wants_messages(scene: &mut Scene, actor: Actor) {
    let own = actor.0.clone();
    scene.phone(actor, move |phone| phone.subscribe(&own, "message-summary", USUAL)).await;
}

#[when(expr = "{actor}'s telephone wants to know of messages for {span}")]
async fn wants_messages_for(scene: &mut Scene, actor: Actor, time: Span) {
    let (own, seconds) = (actor.0.clone(), time.0.as_secs() as u32);
    scene.phone(actor, move |phone| phone.subscribe(&own, "message-summary", seconds)).await;
}

#[when(expr = "{actor}'s telephone wants to know of messages of {actor}")]
async fn wants_messages_of(scene: &mut Scene, actor: Actor, other: Actor) {
    scene.phone(actor, move |phone| phone.subscribe(&other.0, "message-summary", USUAL)).await;
}

#[given(expr = "{actor} watches {actor}")]
#[when(expr = "{actor} watches {actor}")]
async fn watches(scene: &mut Scene, actor: Actor, other: Actor) {
    scene.phone(actor.clone(), move |phone| phone.subscribe(&other.0, "dialog", USUAL)).await;
    let told = scene.until(actor.clone(), PATIENCE, |phone| !phone.news().states.is_empty()).await;
    assert!(told, "{} is told nothing", actor.0);
}

#[when(expr = "{actor} looks what {actor} does")]
async fn looks(scene: &mut Scene, actor: Actor, other: Actor) {
    scene.phone(actor, move |phone| phone.subscribe(&other.0, "dialog", 0)).await;
}

#[when(expr = "{actor} wants to know of the presence of {actor}")]
async fn wants_presence(scene: &mut Scene, actor: Actor, other: Actor) {
    scene.phone(actor, move |phone| phone.subscribe(&other.0, "presence", USUAL)).await;
}

#[when(expr = "{actor}'s telephone does not want to be told any longer")]
async fn wants_no_more(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::unsubscribe).await;
}

#[when(expr = "{actor}'s telephone forgets what it wanted to know")]
async fn forgets(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::forgets_what_it_wanted).await;
}

#[when(expr = "{actor} picks up what rings at whom he watches")]
#[when(expr = "{actor} picks up what rings at whom she watches")]
async fn picks_up(scene: &mut Scene, actor: Actor) {
    let pick_up = |phone: &Phone| {
        let dialogs = phone.news().dialogs;
        let replaces = dialogs.values().find_map(|dialog| dialog.replaces.clone());
        phone.call_in_place_of("pickup", &replaces.expect("something rings there"));
    };
    scene.phone(actor, pick_up).await;
}

#[then(expr = "{actor}'s telephone shows {int} new message(s) and {int} old")]
async fn shows_messages(scene: &mut Scene, actor: Actor, new: u32, old: u32) {
    assert_eq!(scene.phone(actor, |phone| phone.news().messages).await, Some((new, old)));
}

#[then(expr = "{actor}'s telephone shows nothing of messages")]
async fn shows_no_messages(scene: &mut Scene, actor: Actor) {
    assert_eq!(scene.phone(actor, |phone| phone.news().messages).await, None);
}

#[then(expr = "{actor} is told of the subscription: {status}")]
async fn is_told(scene: &mut Scene, actor: Actor, status: Status) {
    let answers = scene.phone(actor, |phone| phone.news().answers).await;
    assert_eq!(answers.last(), Some(&status.0), "{answers:?}");
}

#[then(expr = "{actor} sees a call with {actor} that is {word}")]
async fn sees_call(scene: &mut Scene, actor: Actor, with: Actor, state: String) {
    let news = scene.phone(actor, |phone| phone.news()).await;
    let is_it = |dialog: &simulator::phone::Watched| dialog.with == with.0 && dialog.state == state;
    assert!(news.dialogs.values().any(is_it), "it sees {:?}", news.dialogs);
    assert!(!news.has_missed, "a document is missing");
}

#[then(expr = "{actor} sees no call")]
async fn sees_none(scene: &mut Scene, actor: Actor) {
    let news = scene.phone(actor, |phone| phone.news()).await;
    assert!(news.dialogs.is_empty(), "it sees {:?}", news.dialogs);
}

#[then(expr = "{actor} was told so for the last time: {string}")]
async fn last_word(scene: &mut Scene, actor: Actor, state: String) {
    let states = scene.phone(actor, |phone| phone.news().states).await;
    assert_eq!(states.last(), Some(&state), "{states:?}");
}

#[then(expr = "{actor} was told {int} time(s)")]
async fn was_told(scene: &mut Scene, actor: Actor, times: usize) {
    assert_eq!(scene.phone(actor, |phone| phone.news().states.len()).await, times);
}
