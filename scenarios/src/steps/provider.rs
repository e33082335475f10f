//! An IVR provider is asked what is to be done in a call.

use crate::scene::Scene;
use crate::words::Misbehaviour;
use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use serde_json::{Value, json};
use simulator::agents::http::Server;
use simulator::agents::provider::{self, PATH, Provider};
use simulator::stage::Stage;
use simulator::web::Question;

#[given(expr = "an IVR provider that answers:")]
async fn answers(scene: &mut Scene, #[step] step: &Step) {
    let lines = rows(step);
    with(scene, move |server| {
        for line in lines {
            let (event, action) = (event(&line[0]), action(&line[1]));
            server.with(|provider| provider.on(event, action));
        }
    })
    .await;
}

#[given(expr = "an IVR provider that says, whatever happens:")]
async fn says_whatever_happens(scene: &mut Scene, #[step] step: &Step) {
    let lines = rows(step);
    with(scene, move |server| {
        for line in lines {
            let action = action(&line[0]);
            server.with(|provider| provider.then(action));
        }
    })
    .await;
}

#[given(expr = "the provider {fault}")]
#[when(expr = "the provider {fault}")]
async fn misbehaves(scene: &mut Scene, what: Misbehaviour) {
    with(scene, move |server| server.misbehave(what.fault, what.times)).await;
}

#[when(expr = "the operator tells the provider {string}")]
async fn is_told(scene: &mut Scene, text: String) {
    let context = json!({
        "session_id": "rehearsal", "caller": "operator", "callee": "99", "direction": "inbound",
        "tenant_id": null, "ivr_id": null, "variables": {}, "event": event(&text),
    });
    post(scene, PATH, context).await;
}

#[when(expr = "the operator tells the provider that the call is over")]
async fn is_told_of_the_end(scene: &mut Scene) {
    post(scene, &format!("{PATH}/end"), json!({ "session_id": "rehearsal", "reason": "normal" })).await;
}

#[then(expr = "the operator is told to {string}")]
async fn told_to(scene: &mut Scene, expected: String) {
    let said = super::sinks::answer(scene).await;
    assert_eq!(serde_json::from_slice::<Value>(&said.body).ok(), Some(action(&expected)), "{}", said.text());
}

#[then(expr = "the provider was asked {int} time(s)")]
async fn was_asked(scene: &mut Scene, expected: usize) {
    let asked = with(scene, |server| server.asked().len()).await;
    assert_eq!(asked, expected);
}

#[then(expr = "the provider has been told:")]
async fn has_been_told(scene: &mut Scene, #[step] step: &Step) {
    let expected: Vec<Value> = rows(step).iter().map(|line| event(&line[0])).collect();
    let told = with(scene, |server| server.with(|provider| provider.events())).await;
    assert_eq!(told, expected);
}

#[then(expr = "the provider knows that the call is over")]
async fn knows_of_the_end(scene: &mut Scene) {
    let notices = with(scene, |server| server.with(|provider| provider.notices().to_vec())).await;
    let ends = notices.iter().filter(|notice| notice.what == "end").count();
    assert_eq!(ends, 1, "it was told {notices:?}");
}

#[then(expr = "the provider complains that {string}")]
async fn complains(scene: &mut Scene, expected: String) {
    let complaints = with(scene, |server| server.with(|provider| provider.complaints().to_vec())).await;
    assert_eq!(complaints.last(), Some(&expected), "all complaints: {complaints:?}");
}

async fn post(scene: &mut Scene, path: &str, about: Value) {
    let path = path.to_owned();
    let ask = async move |stage: &mut Stage| {
        let server = stage.provider("provider").address();
        // What came of it is asked for later.
        drop(stage.ask(server, Question::new("POST", &path).json(&about)).await);
    };
    scene.world.play(ask).await;
}

async fn with<T: Send + 'static>(
    scene: &mut Scene,
    act: impl FnOnce(&Server<Provider>) -> T + Send + 'static,
) -> T {
    scene.world.play(async move |stage: &mut Stage| act(&stage.provider("provider"))).await
}

/// The lines of a table below its heading.
fn rows(step: &Step) -> Vec<Vec<String>> {
    step.table.as_ref().expect("a table follows").rows[1..].to_vec()
}

fn event(text: &str) -> Value {
    provider::event(text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn action(text: &str) -> Value {
    provider::action(text).unwrap_or_else(|wrong| panic!("{wrong}"))
}
