//! An application controls calls over a WebSocket, and an exchange answers it from a script.

use crate::scene::{PATIENCE, Scene};
use crate::words::{Manner, Span};
use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use serde_json::{Value, json};
use simulator::agents::application::{self, Application, State};
use simulator::agents::exchange::Exchange;
use simulator::agents::notation::is_within;
use simulator::agents::websocket::Refused;
use simulator::stage::Stage;

#[given(expr = "an exchange that lets in the token {string}")]
async fn lets_in(scene: &mut Scene, token: String) {
    exchange(scene, move |exchange| exchange.script(|script| script.token = Some(token))).await;
}

#[given(expr = "the exchange says:")]
async fn says(scene: &mut Scene, #[step] step: &Step) {
    let lines: Vec<_> = rows(step)
        .map(|line| {
            let after: Span = line[0].parse().unwrap_or_else(|wrong| panic!("{wrong}"));
            (after.0, event(&line[1]))
        })
        .collect();
    exchange(scene, move |exchange| exchange.script(|script| script.says = lines)).await;
}

#[given(expr = "the exchange answers commands:")]
async fn answers(scene: &mut Scene, #[step] step: &Step) {
    let lines: Vec<_> = rows(step)
        .map(|line| (line[0].clone(), json!({}), line[1].split(", then ").map(event).collect()))
        .collect();
    exchange(scene, move |exchange| exchange.script(|script| script.answers = lines)).await;
}

#[given(expr = "the exchange {manner}")]
async fn misbehaves(scene: &mut Scene, manner: Manner) {
    exchange(scene, move |exchange| exchange.script(|script| script.fault = Some(manner.0))).await;
}

#[given(expr = "an application that is connected")]
async fn is_let_in(scene: &mut Scene) {
    connects(scene, None).await;
    is_connected(scene).await;
}

#[when(expr = "the application connects with the token {string}")]
async fn connects_with(scene: &mut Scene, token: String) {
    connects(scene, Some(token)).await;
}

#[when(expr = "the application connects without a token")]
async fn connects_without(scene: &mut Scene) {
    connects(scene, None).await;
}

#[when(expr = "the application commands {string}")]
async fn commands(scene: &mut Scene, text: String) {
    let (action, params) = application::command(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let act = async move |stage: &mut Stage| {
        let application = stage.application("application");
        let id = application.command(&action, &params);
        stage.until(PATIENCE, |_| application.reply(&id).is_some()).await
    };
    assert!(scene.world.play(act).await, "there is no reply");
}

#[when(expr = "the application says {string}")]
async fn says_raw(scene: &mut Scene, text: String) {
    with(scene, move |application| application.say(&text)).await;
}

#[when(expr = "the application stops reading")]
async fn stops_reading(scene: &mut Scene) {
    with(scene, Application::stop_reading).await;
}

#[when(expr = "the application reads on")]
async fn reads_on(scene: &mut Scene) {
    with(scene, Application::read_on).await;
}

#[when(expr = "the application disconnects")]
async fn disconnects(scene: &mut Scene) {
    with(scene, Application::disconnect).await;
}

#[then(expr = "the application is connected")]
async fn is_connected(scene: &mut Scene) {
    let state = settled(scene).await;
    assert_eq!(state, State::Connected);
}

#[then(expr = "the application is refused as {int}")]
async fn is_refused(scene: &mut Scene, status: u16) {
    match settled(scene).await {
        State::Refused(Refused::With(page)) => assert_eq!(page.status, status),
        state => panic!("it is {state:?}"),
    }
}

#[then(expr = "the application's connection has ended well")]
async fn has_ended(scene: &mut Scene) {
    let state = settled(scene).await;
    assert!(matches!(state, State::Closed(1_000, _)), "it is {state:?}");
}

#[then(expr = "the application's connection is lost because {string}")]
async fn is_lost(scene: &mut Scene, why: String) {
    assert_eq!(settled(scene).await, State::Lost(why));
}

#[then(expr = "the application has been told, in order:")]
async fn has_been_told(scene: &mut Scene, #[step] step: &Step) {
    let told = told(scene).await;
    let mut rest = told.iter();
    for line in rows(step) {
        let expected = event(&line[0]);
        let found = rest.any(|event| is_within(&expected, event));
        assert!(found, "{} is not there, or not in this order: {}", line[0], Value::from(told.clone()));
    }
}

#[then(expr = "the application has been told of {int} event(s)")]
async fn has_been_told_of(scene: &mut Scene, expected: usize) {
    let told = told(scene).await;
    assert_eq!(told.len(), expected, "{}", Value::from(told.clone()));
}

#[then(expr = "the command has succeeded")]
async fn has_succeeded(scene: &mut Scene) {
    let reply = reply(scene).await;
    assert_eq!(reply["response"], "success", "{reply}");
}

#[then(expr = "the command has failed as {word}")]
async fn has_failed(scene: &mut Scene, code: String) {
    let reply = reply(scene).await;
    assert_eq!(reply["error"]["code"], code, "{reply}");
}

async fn connects(scene: &mut Scene, token: Option<String>) {
    let connect = async move |stage: &mut Stage| {
        let server = stage.exchange("exchange").address();
        stage.application("application").connect(server, token.as_deref());
    };
    scene.world.play(connect).await;
}

/// How the connection is when the server has answered.
async fn settled(scene: &mut Scene) -> State {
    let wait = async move |stage: &mut Stage| {
        let application = stage.application("application");
        stage.until(PATIENCE, |_| application.state() != State::Waiting).await;
        application.state()
    };
    scene.world.play(wait).await
}

async fn told(scene: &mut Scene) -> Vec<Value> {
    let events = with(scene, Application::events).await;
    events.into_iter().map(|told| told.what).collect()
}

async fn reply(scene: &mut Scene) -> Value {
    with(scene, Application::last_reply).await.expect("there is a reply")
}

async fn with<T: Send + 'static>(
    scene: &mut Scene,
    act: impl FnOnce(&Application) -> T + Send + 'static,
) -> T {
    scene.world.play(async move |stage: &mut Stage| act(&stage.application("application"))).await
}

async fn exchange(scene: &mut Scene, act: impl FnOnce(&Exchange) + Send + 'static) {
    scene.world.play(async move |stage: &mut Stage| act(&stage.exchange("exchange"))).await;
}

/// The lines of a table below its heading.
fn rows(step: &Step) -> impl Iterator<Item = &Vec<String>> {
    step.table.as_ref().expect("a table follows").rows[1..].iter()
}

fn event(text: &str) -> Value {
    application::event(text).unwrap_or_else(|wrong| panic!("{wrong}"))
}
