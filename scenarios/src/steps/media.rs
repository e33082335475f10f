//! What the PBX plays: announcements.

use crate::scene::Scene;
use crate::words::{Actor, Span, Tone};
use cucumber::{given, then};
use pbx::audio::Law;
use pbx::pbx::What;
use pbx::time::Duration;
use simulator::stage::Stage;
use simulator::tape::{self, Kind};

/// The sample rate of a tape where nobody says.
const USUAL: u32 = 8_000;

#[given(expr = "an announcement of {tone} for {span} at {string}")]
async fn is_announced(scene: &mut Scene, tone: Tone, length: Span, number: String) {
    announce(scene, number, "", tape::tone(tone.0, length.0, USUAL, Kind::Pcm)).await;
}

#[given(expr = "an announcement of {tone} for {span} at {string}, played {int} times")]
async fn is_announced_again(scene: &mut Scene, tone: Tone, length: Span, number: String, times: u32) {
    let more = format!(", times = {times}");
    announce(scene, number, &more, tape::tone(tone.0, length.0, USUAL, Kind::Pcm)).await;
}

#[given(expr = "an announcement of {tone} for {span} at {string}, then {actor}")]
async fn is_announced_before(scene: &mut Scene, tone: Tone, length: Span, number: String, then: Actor) {
    let more = format!(", then = \"{}\"", then.0);
    announce(scene, number, &more, tape::tone(tone.0, length.0, USUAL, Kind::Pcm)).await;
}

#[given(expr = "an announcement of {tone} for {span} at {string}, then {actor}, until a key is pressed")]
async fn is_announced_until_key(scene: &mut Scene, tone: Tone, length: Span, number: String, then: Actor) {
    let more = format!(", then = \"{}\", until_key = true", then.0);
    announce(scene, number, &more, tape::tone(tone.0, length.0, USUAL, Kind::Pcm)).await;
}

#[given(
    expr = "an announcement of {tone} for {span} at {string}, from a file of {int} samples a second in {word}"
)]
async fn is_announced_from(
    scene: &mut Scene,
    tone: Tone,
    length: Span,
    number: String,
    rate: u32,
    kind: String,
) {
    let kind = match kind.as_str() {
        "PCM" => Kind::Pcm,
        name => Kind::G711(Law::named(name).unwrap_or_else(|| panic!("no file is in {name}"))),
    };
    announce(scene, number, "", tape::tone(tone.0, length.0, rate, kind)).await;
}

#[given(expr = "an announcement at {string} whose file is missing")]
async fn is_missing(scene: &mut Scene, number: String) {
    route(scene, number, String::new()).await;
}

#[given(expr = "an announcement at {string} whose file is missing, then {actor}")]
async fn is_missing_before(scene: &mut Scene, number: String, then: Actor) {
    route(scene, number, format!(", then = \"{}\"", then.0)).await;
}

#[given(expr = "an announcement at {string} whose file is cut off")]
async fn is_cut_off(scene: &mut Scene, number: String) {
    let mut tape = tape::tone(600.0, Duration::from_secs(1), USUAL, Kind::Pcm);
    tape.truncate(tape.len() / 2);
    announce(scene, number, "", tape).await;
}

#[given(expr = "an announcement at {string} whose file is a text")]
async fn is_a_text(scene: &mut Scene, number: String) {
    announce(scene, number, "", b"We are closed on Sundays.".to_vec()).await;
}

#[given(expr = "an announcement at {string} whose file is {int} MB long")]
async fn is_huge(scene: &mut Scene, number: String, size: usize) {
    announce(scene, number, "", vec![0; size << 20]).await;
}

#[then(expr = "{actor} has received {int} packets of sound")]
async fn has_received(scene: &mut Scene, actor: Actor, packets: u64) {
    assert_eq!(scene.phone(actor, |phone| phone.hearing().packets()).await, packets);
}

#[then(expr = "the PBX says that it cannot play the file: {string}")]
async fn cannot_play(scene: &mut Scene, expected: String) {
    let events = scene.world.with(|stage: &mut Stage| stage.office.events()).await;
    let reasons: Vec<String> = events
        .into_iter()
        .filter_map(|event| match event.what {
            What::NotPlayed { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert!(reasons.iter().any(|reason| reason.contains(&expected)), "it says {reasons:?}");
}

/// Who dials `number` hears this tape.
async fn announce(scene: &mut Scene, number: String, more: &str, tape: Vec<u8>) {
    let file = file_of(&number);
    scene.world.play(async move |stage: &mut Stage| stage.office.put(&file, tape).await).await;
    route(scene, number, more.to_owned()).await;
}

async fn route(scene: &mut Scene, number: String, more: String) {
    let file = file_of(&number);
    let build = async move |stage: &mut Stage| {
        let params = format!("file = \"{file}\"{more}");
        stage.replan(|plan| plan.route(&number, "announcement", &params)).await;
    };
    scene.world.play(build).await;
}

fn file_of(number: &str) -> String {
    format!("{number}.wav")
}
