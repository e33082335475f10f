//! Servers that keep what they are given; what the operator is answered by any server.

use crate::scene::Scene;
use crate::words::{Misbehaviour, Span};
use cucumber::{given, then, when};
use pbx::time::Duration;
use serde_json::{Value, json};
use simulator::agents::application;
use simulator::agents::http::Server;
use simulator::agents::notation::is_within;
use simulator::agents::sink::Sink;
use simulator::stage::Stage;
use simulator::web::{Page, Question};

#[given(expr = "the sink {fault}")]
#[when(expr = "the sink {fault}")]
async fn misbehaves(scene: &mut Scene, what: Misbehaviour) {
    with(scene, move |sink| sink.misbehave(what.fault, what.times)).await;
}

#[given(expr = "events are posted to the sink")]
async fn are_posted(scene: &mut Scene) {
    are_posted_within(scene, Span(Duration::from_secs(5))).await;
}

#[given(expr = "events are posted to the sink over TLS")]
async fn are_posted_securely(scene: &mut Scene) {
    let plan = async move |stage: &mut Stage| {
        let sink = stage.sink("sink");
        sink.speaks_tls();
        stage.network.name("web.example", &[sink.address().ip()]);
        let url = format!("https://web.example:{}/events", sink.address().port());
        stage.replan(|plan| plan.tables.push_str(&format!("\n[rwi.webhook]\nurl = \"{url}\"\n"))).await;
    };
    scene.world.play(plan).await;
}

#[given(expr = "events are posted to the sink within {span}")]
async fn are_posted_within(scene: &mut Scene, patience: Span) {
    let plan = async move |stage: &mut Stage| {
        let server = stage.sink("sink").address();
        let millis = patience.0.as_millis();
        let table = format!("\n[rwi.webhook]\nurl = \"http://{server}/events\"\ntimeout_ms = {millis}\n");
        stage.replan(|plan| plan.tables.push_str(&table)).await;
    };
    scene.world.play(plan).await;
}

#[given(expr = "events are posted to the sink as to a webhook of RustPBX")]
async fn are_posted_flat(scene: &mut Scene) {
    let plan = async move |stage: &mut Stage| {
        let server = stage.sink("sink").address();
        let table = format!("\n[rwi.webhook]\nurl = \"http://{server}/events\"\ndialect = \"rustpbx\"\n");
        stage.replan(|plan| plan.tables.push_str(&table)).await;
    };
    scene.world.play(plan).await;
}

#[then(expr = "the PBX has opened {int} connection(s) to the sink")]
async fn has_opened(scene: &mut Scene, expected: usize) {
    let address = with(scene, Server::address).await;
    assert_eq!(scene.connections(move |_, to| to == address).await, expected);
}

#[then(expr = "the sink has been told of {string}")]
async fn has_been_told_of(scene: &mut Scene, text: String) {
    let expected = application::event(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
    holds_event(scene, expected).await;
}

#[then(expr = "the sink has been sent {string}")]
async fn has_been_sent(scene: &mut Scene, text: String) {
    let expected = serde_json::from_str(&text).unwrap_or_else(|wrong| panic!("{text} is no JSON: {wrong}"));
    holds_event(scene, expected).await;
}

async fn holds_event(scene: &mut Scene, expected: Value) {
    let posted = with(scene, Server::<Sink>::posted).await;
    let events: Vec<_> = posted.iter().filter_map(|asked| asked.json()).collect();
    assert!(events.iter().any(|event| is_within(&expected, event)), "it was told {events:?}");
}

#[when(expr = "the operator posts {int} report(s) to the sink")]
async fn posts(scene: &mut Scene, count: usize) {
    let post = async move |stage: &mut Stage| {
        let server = stage.sink("sink").address();
        let before = stage.answers().len();
        for number in before + 1..=before + count {
            let report = Question::new("POST", "/reports").json(&json!({ "report": number }));
            // What came of it is asked for later.
            drop(stage.ask(server, report).await);
        }
    };
    scene.world.play(post).await;
}

#[when(expr = "the sink loses its power")]
async fn loses_power(scene: &mut Scene) {
    with(scene, Server::crash).await;
}

#[when(expr = "the sink is on again")]
async fn is_on_again(scene: &mut Scene) {
    with(scene, Server::restart).await;
}

#[then(expr = "the sink holds {int} report(s), in order")]
async fn holds(scene: &mut Scene, expected: usize) {
    let posted = with(scene, Server::<Sink>::posted).await;
    let numbers: Vec<_> = posted.iter().filter_map(|asked| asked.json()?["report"].as_u64()).collect();
    assert_eq!(numbers.len(), expected, "it holds {numbers:?}");
    assert!(numbers.is_sorted_by(|a, b| a < b), "it holds {numbers:?}");
}

#[then(expr = "the operator is answered {int}")]
async fn is_answered(scene: &mut Scene, status: u16) {
    let page = answer(scene).await;
    assert_eq!(page.status, status, "{}", page.text());
}

#[then(expr = "the operator is not answered")]
async fn is_not_answered(scene: &mut Scene) {
    let last = last(scene).await;
    assert!(last.is_err(), "the operator is answered {last:?}");
}

/// The last answer that the operator had.
pub(super) async fn answer(scene: &mut Scene) -> Page {
    last(scene).await.unwrap_or_else(|why| panic!("the operator had no answer: {why}"))
}

async fn last(scene: &mut Scene) -> Result<Page, String> {
    let last = scene.world.with(|stage: &mut Stage| stage.answers().last().cloned()).await;
    last.expect("the operator has asked something")
}

async fn with<T: Send + 'static>(
    scene: &mut Scene,
    act: impl FnOnce(&Server<Sink>) -> T + Send + 'static,
) -> T {
    scene.world.play(async move |stage: &mut Stage| act(&stage.sink("sink"))).await
}
