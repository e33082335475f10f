//! What telephones can, and what people do with more than one call.

use crate::scene::Scene;
use crate::words::{Actor, Span, Status, Tone};
use cucumber::{given, then, when};
use pbx::sdp::Codec;
use pbx::sip::Refresher;
use simulator::phone::{Holding, Phone, Prack, Sound, Timer};

#[given(expr = "{actor}'s telephone plays {tone} until it is answered")]
async fn plays_early(scene: &mut Scene, actor: Actor, tone: Tone) {
    scene.phone(actor, move |phone| phone.habits(|habits| habits.early = Some(Sound::Tone(tone.0)))).await;
}

#[given(expr = "{actor}'s telephone knows no PRACK")]
async fn knows_no_prack(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.abilities.prack = Prack::Off)).await;
}

#[given(expr = "{actor}'s telephone wants PRACK")]
async fn wants_prack(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.abilities.prack = Prack::Uses)).await;
}

#[given(expr = "{actor}'s telephone knows no UPDATE")]
async fn knows_no_update(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.abilities.update = false)).await;
}

#[given(expr = "{actor}'s telephone changes calls by UPDATE")]
async fn changes_by_update(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.updates = true)).await;
}

#[given(expr = "{actor}'s telephone knows no session timer")]
async fn knows_no_timer(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.abilities.timer = Timer::Off)).await;
}

#[given(expr = "{actor}'s telephone wants a session of {span}, refreshed by itself")]
async fn refreshes_itself(scene: &mut Scene, actor: Actor, interval: Span) {
    wants_sessions(scene, actor, interval, Refresher::Uac).await;
}

#[given(expr = "{actor}'s telephone wants a session of {span}, refreshed by the PBX")]
async fn is_refreshed(scene: &mut Scene, actor: Actor, interval: Span) {
    wants_sessions(scene, actor, interval, Refresher::Uas).await;
}

#[given(expr = "{actor}'s telephone holds with {string}")]
async fn holds_with(scene: &mut Scene, actor: Actor, how: String) {
    let holding = match how.as_str() {
        "sendonly" => Holding::SendOnly,
        "inactive" => Holding::Inactive,
        "0.0.0.0" => Holding::ZeroAddress,
        other => panic!("no telephone holds with {other}; they do with sendonly, inactive and 0.0.0.0"),
    };
    scene.phone(actor, move |phone| phone.habits(|habits| habits.holding = holding)).await;
}

#[given(expr = "{actor}'s telephone has one line")]
async fn has_one_line(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.takes_second_call = false)).await;
}

#[when(expr = "{actor} goes on in {word}")]
async fn goes_on_in(scene: &mut Scene, actor: Actor, name: String) {
    let codec = Codec::by_name(&name).unwrap_or_else(|| panic!("no codec is called {name}"));
    scene.phone(actor, move |phone| phone.change_codecs(vec![codec])).await;
}

#[when(expr = "{actor}'s telephone asks for an offer")]
async fn asks_for_offer(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::ask_for_offer).await;
}

#[when(expr = "{actor} goes back to {actor}")]
async fn goes_back(scene: &mut Scene, actor: Actor, _other: Actor) {
    scene.phone(actor, Phone::swap).await;
}

#[when(expr = "{actor} writes {string} to {actor}")]
async fn writes(scene: &mut Scene, actor: Actor, text: String, other: Actor) {
    scene.phone(actor, move |phone| phone.write(&other.0, &text)).await;
}

#[then(expr = "{actor} has read {string}")]
async fn has_read(scene: &mut Scene, actor: Actor, text: String) {
    let texts = scene.phone(actor, Phone::texts).await;
    assert!(texts.contains(&text), "all that came: {texts:?}");
}

#[then(expr = "{actor}'s change of the call was refused as {status}")]
async fn change_was_refused(scene: &mut Scene, actor: Actor, status: Status) {
    let call = scene.phone(actor, Phone::last_call).await;
    let refused = call.map(|call| call.changes_refused).unwrap_or_default();
    assert!(refused.contains(&status.0), "what was said to all changes: {refused:?}");
}

#[then(expr = "{actor} is not on hold")]
async fn is_not_on_hold(scene: &mut Scene, actor: Actor) {
    let held = scene.phone(actor.clone(), |phone| phone.last_call().is_some_and(|call| call.held)).await;
    assert!(!held, "{} is on hold", actor.0);
}

async fn wants_sessions(scene: &mut Scene, actor: Actor, interval: Span, refresher: Refresher) {
    let timer = Timer::Asks { interval: interval.0, refresher: Some(refresher) };
    scene.phone(actor, move |phone| phone.habits(|habits| habits.abilities.timer = timer)).await;
}
