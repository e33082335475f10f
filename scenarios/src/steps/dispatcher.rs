//! A web service says where calls go.

use crate::scene::Scene;
use crate::words::Misbehaviour;
use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use serde_json::Value;
use simulator::agents::dispatcher::{Dispatcher, PORT};
use simulator::agents::http::Server;
use simulator::agents::notation::is_within;
use simulator::stage::Stage;

/// The name of web services that speak TLS.
const NAME: &str = "web.example";

#[given(expr = "calls to {string} go where the dispatcher says")]
async fn is_asked(scene: &mut Scene, number: String) {
    plan(scene, number, "http", "").await;
}

#[given(expr = "calls to {string} go where the dispatcher says, or to {string}")]
async fn is_asked_or(scene: &mut Scene, number: String, fallback: String) {
    plan(scene, number, "http", &format!("app_params = {{ fallback = \"{fallback}\" }}\n")).await;
}

#[given(expr = "calls to {string} go where the dispatcher says over TLS")]
async fn is_asked_securely(scene: &mut Scene, number: String) {
    with(scene, Server::speaks_tls).await;
    plan(scene, number, "https", "").await;
}

#[given(expr = "the dispatcher says")]
#[when(expr = "the dispatcher says")]
async fn says(scene: &mut Scene, step: &Step) {
    let text = step.docstring.as_deref().unwrap_or_default().trim().to_owned();
    with(scene, move |server| server.with(|dispatcher| dispatcher.says = text)).await;
}

#[given(expr = "the dispatcher {fault}")]
#[when(expr = "the dispatcher {fault}")]
async fn misbehaves(scene: &mut Scene, what: Misbehaviour) {
    with(scene, move |server| server.misbehave(what.fault, what.times)).await;
}

#[when(expr = "the dispatcher loses its power")]
async fn loses_power(scene: &mut Scene) {
    with(scene, Server::crash).await;
}

#[then(expr = "the dispatcher was asked {int} time(s)")]
async fn was_asked(scene: &mut Scene, expected: usize) {
    assert_eq!(with(scene, Server::asked).await.len(), expected);
}

#[then(expr = "the dispatcher was told")]
async fn was_told(scene: &mut Scene, step: &Step) {
    let text = step.docstring.as_deref().unwrap_or_default();
    let expected: Value = serde_json::from_str(text).expect("what stands below the sentence is JSON");
    let asked = with(scene, Server::asked).await;
    let told = asked.last().and_then(|(asked, _)| asked.json()).unwrap_or_default();
    assert!(is_within(&expected, &told), "it was told {told:#}");
}

#[then(expr = "the PBX has opened {int} connection(s) to the dispatcher")]
async fn has_opened(scene: &mut Scene, expected: usize) {
    let address = with(scene, Server::address).await;
    assert_eq!(scene.connections(move |_, to| to == address).await, expected);
}

async fn plan(scene: &mut Scene, number: String, scheme: &'static str, params: &str) {
    let route = format!("[[routes]]\nname = \"asked\"\nto_user = \"{number}\"\napp = \"router\"\n{params}");
    let plan = async move |stage: &mut Stage| {
        let address = stage.dispatcher().address().ip();
        stage.network.name(NAME, &[address]);
        let host = if scheme == "https" { NAME.to_owned() } else { address.to_string() };
        let table = format!("\n[router]\nurl = \"{scheme}://{host}:{PORT}/calls\"\n\n{route}");
        stage.replan(|plan| plan.tables.push_str(&table)).await;
    };
    scene.world.play(plan).await;
}

async fn with<T: Send + 'static>(
    scene: &mut Scene,
    act: impl FnOnce(&Server<Dispatcher>) -> T + Send + 'static,
) -> T {
    scene.world.play(async move |stage: &mut Stage| act(&stage.dispatcher())).await
}
