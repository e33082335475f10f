//! What the PBX is told, what becomes of it, what it remembers.

use crate::scene::Scene;
use crate::words::{Actor, Span, Tone};
use cucumber::{given, then, when};
use pbx::pbx::What;
use pbx::time::Duration;
use serde_json::Value;
use simulator::office::Plan;
use simulator::stage::Stage;

#[given(expr = "the PBX takes {int} call(s) at a time")]
async fn takes_calls(scene: &mut Scene, calls: usize) {
    plan(scene, move |plan| plan.behave("max_concurrent_calls", calls)).await;
}

#[given(expr = "{actor} takes {int} call(s) at a time")]
async fn extension_takes_calls(scene: &mut Scene, number: Actor, calls: usize) {
    let limit = ("max_calls".to_owned(), calls.to_string());
    plan(scene, move |plan| plan.extension(&number.0).more.push(limit)).await;
}

#[given(expr = "keys reach {actor} as {string}")]
async fn keys_reach(scene: &mut Scene, number: Actor, way: String) {
    plan(scene, move |plan| plan.extend(&number.0, "dtmf", &way)).await;
}

#[given(expr = "calls of {actor} have to be encrypted")]
async fn have_to_be_encrypted(scene: &mut Scene, number: Actor) {
    plan(scene, move |plan| plan.extend(&number.0, "srtp", "required")).await;
}

#[given(expr = "calls of {actor} may be encrypted")]
async fn may_be_encrypted(scene: &mut Scene, number: Actor) {
    plan(scene, move |plan| plan.extend(&number.0, "srtp", "optional")).await;
}

#[given(expr = "the PBX has ports for {int} leg(s)")]
async fn has_ports(scene: &mut Scene, legs: u16) {
    plan(scene, move |plan| plan.talk("rtp_port_range_end", 20_000 + legs * 2 - 1)).await;
}

#[given(expr = "the PBX prefers {word}")]
async fn prefers(scene: &mut Scene, codec: String) {
    plan(scene, move |plan| plan.talk("preferred_codecs", format!("[\"{codec}\"]"))).await;
}

#[given(expr = "the PBX turns {word}, {word} and {word} into each other")]
async fn turns_codecs(scene: &mut Scene, one: String, other: String, third: String) {
    let known = format!("{:?}", [one, other, third]);
    plan(scene, move |plan| plan.talk("preferred_codecs", known)).await;
}

#[given(expr = "the PBX waits {span} for RTP")]
async fn waits_for_rtp(scene: &mut Scene, patience: Span) {
    plan(scene, move |plan| plan.talk("rtp_timeout_seconds", patience.0.as_secs())).await;
}

#[given(expr = "the tone is answered after {span}")]
async fn is_answered_after(scene: &mut Scene, delay: Span) {
    plan(scene, move |plan| plan.behave("auto_answer_delay_ms", delay.0.as_millis())).await;
}

#[given(expr = "the tone lasts {span}")]
async fn lasts(scene: &mut Scene, length: Span) {
    plan(scene, move |plan| plan.behave("tone_duration_seconds", length.0.as_secs_f64())).await;
}

#[given(expr = "the tone is {tone}")]
async fn is_tone(scene: &mut Scene, frequency: Tone) {
    plan(scene, move |plan| plan.behave("tone_frequency", format!("{:?}", frequency.0))).await;
}

#[given(expr = "unknown numbers are answered by the tone")]
async fn auto_answers(scene: &mut Scene) {
    plan(scene, |plan| plan.behave("auto_answer", true)).await;
}

#[given(expr = "calls to {actor} that are not answered go to {actor}")]
async fn forwards_no_answer(scene: &mut Scene, number: Actor, other: Actor) {
    plan(scene, move |plan| plan.extend(&number.0, "forward_no_answer", &other.0)).await;
}

#[given(expr = "calls to {actor} go to {actor} when busy")]
async fn forwards_busy(scene: &mut Scene, number: Actor, other: Actor) {
    plan(scene, move |plan| plan.extend(&number.0, "forward_busy", &other.0)).await;
}

#[given(expr = "a trunk for numbers that begin with 0, to {actor}, then to {actor}")]
async fn has_a_trunk(scene: &mut Scene, first: Actor, second: Actor) {
    let build = async move |stage: &mut Stage| {
        let (first, second) = (stage.phone(&first.0).await, stage.phone(&second.0).await);
        let targets = [first.address(), second.address()];
        stage.replan(|plan| plan.trunk("0*", &targets)).await;
    };
    scene.world.play(build).await;
}

#[given(expr = "whoever calls over the trunk may send callers outside")]
async fn transfers_out(scene: &mut Scene) {
    let name = "name = \"city\"\n";
    plan(scene, move |plan| {
        plan.tables = plan.tables.replace(name, &format!("{name}transfers_out = true\n"))
    })
    .await;
}

#[given(expr = "the trunk has {int} line(s)")]
async fn has_lines(scene: &mut Scene, lines: usize) {
    let name = "name = \"city\"\n";
    plan(scene, move |plan| plan.tables = plan.tables.replace(name, &format!("{name}max_calls = {lines}\n")))
        .await;
}

#[when(expr = "the PBX shuts down within {span}")]
async fn shuts_down(scene: &mut Scene, grace: Span) {
    scene.world.play(async move |stage: &mut Stage| stage.office.drain(grace.0).await).await;
}

#[when(expr = "the PBX loses its power")]
async fn loses_power(scene: &mut Scene) {
    scene.world.with(|stage: &mut Stage| stage.office.crash()).await;
}

#[when(expr = "the PBX starts again")]
async fn starts_again(scene: &mut Scene) {
    scene.world.play(async |stage: &mut Stage| stage.open_office().await).await;
}

#[then(expr = "the PBX has ended")]
async fn has_ended(scene: &mut Scene) {
    let ended = scene.world.with(|stage: &mut Stage| stage.office.has_ended()).await;
    assert!(ended, "the PBX still runs");
}

#[then(expr = "the PBX has heard the keys {string}")]
async fn has_heard_keys(scene: &mut Scene, expected: String) {
    let events = scene.world.with(|stage: &mut Stage| stage.office.events()).await;
    let keys: String = events
        .iter()
        .filter_map(|event| match event.what {
            What::Dtmf { digit, .. } => Some(digit),
            _ => None,
        })
        .collect();
    assert_eq!(keys, expected);
}

#[then(expr = "there is/are {int} call record(s)")]
async fn are_records(scene: &mut Scene, expected: usize) {
    assert_eq!(records(scene).await.len(), expected);
}

#[then(expr = "the call record says {word}")]
async fn says(scene: &mut Scene, disposition: String) {
    let record = last_record(scene).await;
    assert_eq!(record["disposition"], Value::from(disposition), "{record}");
}

#[then(expr = "the call record says that the {word} hung up")]
async fn says_who_hung_up(scene: &mut Scene, who: String) {
    let record = last_record(scene).await;
    assert_eq!(record["ended_by"], Value::from(who), "{record}");
}

#[then(expr = "the call record gives {string} as the reason")]
async fn gives_reason(scene: &mut Scene, reason: String) {
    let record = last_record(scene).await;
    assert_eq!(record["reason"], Value::from(reason), "{record}");
}

#[then(
    expr = "of each leg the call record counts {int} to {int} % lost packets, and a quality from {word} to {word}"
)]
async fn says_how_good(scene: &mut Scene, least: u32, most: u32, worst: String, best: String) {
    let record = last_record(scene).await;
    let legs = record["media"].as_array().cloned().unwrap_or_default();
    assert_eq!(legs.len(), 2, "{record}");
    let quality = |word: &str| word.parse::<f64>().unwrap_or_else(|_| panic!("{word} is no number"));
    for leg in legs {
        let count = |key: &str| leg[key].as_f64().unwrap_or_default();
        let lost = count("packets_lost") * 100.0 / (count("packets_lost") + count("packets_received"));
        assert!((f64::from(least)..=f64::from(most)).contains(&lost), "{lost:.1} % are lost: {leg}");
        assert!((quality(&worst)..=quality(&best)).contains(&count("mos")), "{leg}");
    }
}

#[then(expr = "the call record tells how each quality came about")]
async fn says_why_so_good(scene: &mut Scene) {
    let record = last_record(scene).await;
    for leg in record["media"].as_array().into_iter().flatten() {
        let input = |key: &str| leg["quality"][key].as_f64().unwrap_or_else(|| panic!("no {key}: {leg}"));
        // ITU-T G.107: what is left of the best there is, and what people call that (annex B).
        let rating = 93.2 - input("delay_impairment") - input("loss_impairment");
        assert!((rating - input("rating")).abs() < 0.1, "{leg}");
        let called = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
        assert!((called - leg["mos"].as_f64().unwrap_or_default()).abs() < 0.02, "{leg}");
        assert!(input("loss_percent") >= 0.0 && input("delay_ms") > 0.0, "{leg}");
    }
}

#[then(expr = "the call record says {span}")]
async fn says_how_long(scene: &mut Scene, expected: Span) {
    let record = last_record(scene).await;
    let billed = Duration::from_secs_f64(record["billed_secs"].as_f64().unwrap_or_default());
    assert!(billed.abs_diff(expected.0) < Duration::from_millis(150), "it says {billed:?}");
}

#[then(expr = "the call record counts {int} packets each way")]
async fn counts_packets(scene: &mut Scene, expected: u64) {
    let record = last_record(scene).await;
    let counts = ["packets_sent", "packets_received"].map(|key| record["media"][0][key].as_u64());
    let is_about = |count: &Option<u64>| count.is_some_and(|count| count.abs_diff(expected) <= 5);
    assert!(counts.iter().all(is_about), "it says {counts:?}");
}

#[then(expr = "the page {string} says {string}")]
async fn page_says(scene: &mut Scene, path: String, text: String) {
    let page = scene.world.play(async move |stage: &mut Stage| stage.browse(&path).await).await;
    let page = page.unwrap_or_else(|error| panic!("the page does not come: {error}"));
    let body = page.text();
    assert!(body.contains(&text), "it answers {} and says {body}", page.status);
}

#[then(expr = "nothing is left over")]
async fn is_at_rest(scene: &mut Scene) {
    let left = scene.world.play(async |stage: &mut Stage| stage.come_to_rest().await).await;
    assert!(left.is_empty(), "{}", left.join(", "));
}

async fn plan(scene: &mut Scene, change: impl FnOnce(&mut Plan) + Send + 'static) {
    scene.world.play(async move |stage: &mut Stage| stage.replan(change).await).await;
}

async fn records(scene: &mut Scene) -> Vec<Value> {
    scene.world.with(|stage: &mut Stage| stage.office.records()).await
}

async fn last_record(scene: &mut Scene) -> Value {
    records(scene).await.pop().expect("there is a call record")
}
