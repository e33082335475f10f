//! What people say, hear, press.

use crate::scene::Scene;
use crate::words::{Actor, Span, Tone};
use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use pbx::sdp::{Codec, Srtp};
use pbx::time::Duration;
use pbx::tone::dtmf::Detector;
use pbx::tone::scan::Instruments;
use simulator::ear;
use simulator::phone::{Phone, Sound};
use simulator::stage::Stage;

/// How long somebody listens before saying what there is to hear.
const LISTEN: Duration = Duration::from_millis(400);

/// The share of that time in which a tone is there that is heard; the rest the network may have lost.
const MOSTLY: f64 = 0.5;

#[given(expr = "{actor}'s telephone knows only {word}")]
async fn knows_only(scene: &mut Scene, actor: Actor, name: String) {
    let codec = Codec::by_name(&name).unwrap_or_else(|| panic!("no codec is called {name}"));
    scene.phone(actor, |phone| phone.habits(|habits| habits.codecs = vec![codec])).await;
}

#[given(expr = "{actor}'s telephone knows only {word} and keys")]
async fn knows_only_and_keys(scene: &mut Scene, actor: Actor, name: String) {
    let codec = Codec::by_name(&name).unwrap_or_else(|| panic!("no codec is called {name}"));
    let codecs = vec![codec, Codec::telephone_event(101)];
    scene.phone(actor, |phone| phone.habits(|habits| habits.codecs = codecs)).await;
}

#[when(expr = "{actor} puts {actor} on hold")]
async fn puts_on_hold(scene: &mut Scene, actor: Actor, _other: Actor) {
    scene.phone(actor, Phone::hold).await;
}

#[given(expr = "{actor} puts {actor} on hold for {span}")]
async fn puts_on_hold_for(scene: &mut Scene, actor: Actor, _other: Actor, time: Span) {
    scene.phone(actor, Phone::hold).await;
    scene.world.pass(time.0).await;
}

#[when(expr = "{actor} and {actor} put each other on hold at once")]
async fn put_each_other_on_hold(scene: &mut Scene, one: Actor, other: Actor) {
    let both = async move |stage: &mut Stage| {
        let (one, other) = (stage.phone(&one.0).await, stage.phone(&other.0).await);
        one.hold();
        other.hold();
    };
    scene.world.play(both).await;
}

#[when(expr = "{actor} takes {actor} off hold")]
async fn takes_off_hold(scene: &mut Scene, actor: Actor, _other: Actor) {
    scene.phone(actor, Phone::resume).await;
}

#[when(expr = "{actor} presses {string}")]
async fn presses(scene: &mut Scene, actor: Actor, keys: String) {
    scene.phone(actor, move |phone| phone.press(&keys)).await;
}

#[when(expr = "{actor} presses {string} by INFO")]
async fn presses_by_info(scene: &mut Scene, actor: Actor, keys: String) {
    scene.phone(actor, move |phone| phone.press_by_info(&keys)).await;
}

#[when(expr = "{actor} presses {string} in the audio")]
async fn presses_in_band(scene: &mut Scene, actor: Actor, keys: String) {
    scene.phone(actor, move |phone| phone.press_in_band(&keys)).await;
}

#[given(expr = "{actor} says, one after the other")]
#[when(expr = "{actor} says, one after the other")]
async fn says_by_schedule(scene: &mut Scene, actor: Actor, step: &Step) {
    let rows = step.table.as_ref().map(|table| table.rows.clone()).unwrap_or_default();
    let part = |row: &Vec<String>| {
        let [length, tone] = row.as_slice() else { panic!("a row is a time and a tone") };
        let length = length.parse::<Span>().unwrap_or_else(|why| panic!("{length}: {why}")).0;
        let tone = (tone != "nothing").then(|| tone.parse::<Tone>());
        let tone = tone.transpose().unwrap_or_else(|why| panic!("{why}"));
        (length, tone.map(|tone| tone.0))
    };
    // The first row says what the columns are.
    let parts = rows.iter().skip(1).map(part).collect();
    scene.phone(actor, |phone| phone.play(Sound::Schedule(parts))).await;
}

#[when(expr = "{actor} plays a recording of what {actor} has heard")]
async fn plays_recording(scene: &mut Scene, actor: Actor, listener: Actor) {
    let wav = scene.phone(listener, |phone| phone.hearing().wav()).await;
    let sound = Sound::from_wav(&wav).unwrap_or_else(|why| panic!("{why}"));
    scene.phone(actor, |phone| phone.play(sound)).await;
}

#[given(expr = "{actor} says nothing")]
#[when(expr = "{actor} says nothing")]
async fn says_nothing(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.play(Sound::Silence)).await;
}

#[then(expr = "{actor} hears {tone}")]
async fn hears_tone(scene: &mut Scene, actor: Actor, frequency: Tone) {
    let heard = scene.phone(actor.clone(), |phone| phone.heard_lately(LISTEN)).await;
    assert_hears(&actor, &heard, frequency.0);
}

#[then(expr = "{actor} hears {tone} within {span}")]
async fn hears_tone_within(scene: &mut Scene, actor: Actor, frequency: Tone, time: Span) {
    let hears =
        move |phone: &Phone| ear::presence_in_packets(&phone.heard_lately(LISTEN), frequency.0) >= MOSTLY;
    let heard = scene.until(actor.clone(), time.0, hears).await;
    assert!(heard, "{} does not hear it", actor.0);
}

#[then(expr = "{actor} hears {actor}")]
async fn hears(scene: &mut Scene, listener: Actor, speaker: Actor) {
    let Sound::Tone(voice) = scene.phone(speaker.clone(), Phone::voice).await else {
        panic!("{} says nothing", speaker.0)
    };
    let heard = scene.phone(listener.clone(), |phone| phone.heard_lately(LISTEN)).await;
    assert_hears(&listener, &heard, voice);
}

#[then(expr = "{actor} hears an echo")]
async fn hears_echo(scene: &mut Scene, actor: Actor) {
    hears(scene, actor.clone(), actor).await;
}

#[then(expr = "{actor} and {actor} hear each other")]
async fn hear_each_other(scene: &mut Scene, one: Actor, other: Actor) {
    hears(scene, one.clone(), other.clone()).await;
    hears(scene, other, one).await;
}

#[then(expr = "{actor}'s telephone is silent")]
async fn is_silent(scene: &mut Scene, actor: Actor) {
    let heard = scene.phone(actor.clone(), |phone| phone.heard_lately(LISTEN)).await;
    let loudness = ear::loudness(&heard);
    assert!(ear::is_silent(&heard), "{} hears something, {loudness:.0} loud", actor.0);
}

#[then(expr = "{actor} has heard {tone} for {span} without a click")]
async fn has_heard_purely(scene: &mut Scene, actor: Actor, frequency: Tone, length: Span) {
    let hearing = scene.phone(actor, Phone::hearing).await;
    let samples = hearing.samples();
    let expected = length.0.as_secs_f64() * 8_000.0;
    let (least, most) = (expected - 400.0, expected + 400.0);
    let count = samples.len() as f64;
    assert!((least..most).contains(&count), "{} samples, which is {:.3} s", samples.len(), count / 8_000.0);
    // In every 20 ms it is this tone and nothing else: a click would be something else.
    for (number, block) in samples.chunks_exact(160).enumerate() {
        let share = ear::share(block, frequency.0);
        assert!(share > 0.98, "in block {number} the tone has {share:.4} of the power");
    }
    let measured = ear::exact_frequency(samples, frequency.0);
    assert!((measured - frequency.0).abs() < 0.01, "the tone has {measured:.4} Hz");
}

#[then(expr = "{actor} is on hold")]
async fn is_on_hold(scene: &mut Scene, actor: Actor) {
    let held = scene.phone(actor.clone(), |phone| phone.last_call().is_some_and(|call| call.held)).await;
    assert!(held, "{} is not on hold", actor.0);
}

#[then(expr = "{actor} has heard the keys {string}")]
async fn has_heard_keys(scene: &mut Scene, actor: Actor, keys: String) {
    assert_eq!(scene.phone(actor, Phone::keys_heard).await, keys);
}

#[then(expr = "{actor} has heard the keys {string} in the audio")]
async fn has_heard_keys_in_audio(scene: &mut Scene, actor: Actor, keys: String) {
    let hearing = scene.phone(actor, Phone::hearing).await;
    let mut heard = String::new();
    // A key may be certain only a little after its end.
    let samples = hearing.samples().iter().copied().chain([0; 800]);
    Detector::default().receive(samples, &mut Instruments::default(), |key| heard.push(key));
    assert_eq!(heard, keys);
}

#[then(expr = "{actor} has been told the keys {string} by INFO")]
async fn has_been_told_keys(scene: &mut Scene, actor: Actor, keys: String) {
    assert_eq!(scene.phone(actor, Phone::keys_told).await, keys);
}

#[given(expr = "{actor}'s telephone encrypts its calls")]
async fn encrypts(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.srtp = Srtp::Required)).await;
}

#[given(expr = "{actor}'s telephone can encrypt its calls")]
async fn can_encrypt(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.srtp = Srtp::Optional)).await;
}

#[then(expr = "{actor}'s call is encrypted")]
async fn is_encrypted(scene: &mut Scene, actor: Actor) {
    let (sealed, unopened) = scene.phone(actor.clone(), |phone| (phone.is_sealed(), phone.unopened())).await;
    assert!(sealed, "{}'s call goes in the clear", actor.0);
    assert_eq!(unopened, 0, "packets that {} could not open", actor.0);
}

#[then(expr = "{actor}'s call is not encrypted")]
async fn is_not_encrypted(scene: &mut Scene, actor: Actor) {
    assert!(!scene.phone(actor, Phone::is_sealed).await);
}

#[then(expr = "{actor}'s call is in {word}")]
async fn is_in_codec(scene: &mut Scene, actor: Actor, name: String) {
    assert_eq!(scene.phone(actor, Phone::codec).await.as_deref(), Some(name.as_str()));
}

fn assert_hears(actor: &Actor, heard: &[i16], frequency: f64) {
    let (presence, loudness) = (ear::presence_in_packets(heard, frequency), ear::loudness(heard));
    assert!(
        presence >= MOSTLY,
        "{} does not hear {frequency} Hz: it is there for {presence:.2} of the time, loudness {loudness:.0}",
        actor.0
    );
}
