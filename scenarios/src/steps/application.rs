//! An application controls calls over a WebSocket: those of the PBX, or those of an exchange that answers from a script.

use crate::scene::{PATIENCE, Scene};
use crate::words::{Actor, Manner, Program, Span, Tone};
use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use pbx::audio::recording::Recording;
use pbx::audio::wav::Encoding;
use pbx::time::Duration;
use serde_json::{Value, json};
use simulator::agents::application::{self, Application, State};
use simulator::agents::exchange::Exchange;
use simulator::agents::notation::is_within;
use simulator::agents::websocket::Refused;
use simulator::network::{Ground, Unplayable};
use simulator::office::HTTP_PORT;
use simulator::stage::Stage;
use simulator::tape;
use std::net::SocketAddr;

/// What applications show where nobody says what.
const TOKEN: &str = "the-secret-of-the-application";

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
    connects(scene, first(), None).await;
    is_connected(scene, first()).await;
}

#[given(expr = "the PBX lets in the token {string}")]
async fn lets_in_token(scene: &mut Scene, token: String) {
    scene.world.play(async move |stage: &mut Stage| stage.replan(|plan| plan.let_in(&token, "")).await).await;
}

#[given(expr = "the PBX lets in the token {string} as {string}")]
async fn lets_in_token_as(scene: &mut Scene, token: String, dialect: String) {
    let more = format!("dialect = \"{dialect}\"\n");
    scene
        .world
        .play(async move |stage: &mut Stage| stage.replan(|plan| plan.let_in(&token, &more)).await)
        .await;
}

#[given(expr = "the PBX lets in the token {string} for {string}")]
async fn lets_in_token_for(scene: &mut Scene, token: String, scopes: String) {
    let scopes: Vec<String> = scopes.split(", ").map(|scope| format!("\"{scope}\"")).collect();
    let more = format!("scopes = [{}]\n", scopes.join(", "));
    scene
        .world
        .play(async move |stage: &mut Stage| stage.replan(|plan| plan.let_in(&token, &more)).await)
        .await;
}

#[given(expr = "an application that controls the PBX")]
async fn controls(scene: &mut Scene) {
    lets_in_token(scene, TOKEN.to_owned()).await;
    connects(scene, first(), Some(TOKEN.to_owned())).await;
    is_connected(scene, first()).await;
}

#[given(expr = "{application} controls the PBX too")]
async fn controls_too(scene: &mut Scene, program: Program) {
    connects(scene, program.clone(), Some(TOKEN.to_owned())).await;
    is_connected(scene, program).await;
}

#[given(expr = "a sound {string} of {tone} for {span}")]
async fn has_sound(scene: &mut Scene, name: String, tone: Tone, length: Span) {
    let sound = tape::tone(tone.0, length.0, 8_000, Encoding::Pcm16);
    scene.world.play(async move |stage: &mut Stage| stage.office.put(&name, sound).await).await;
}

#[given(expr = "the music of the PBX is {string}")]
async fn has_music(scene: &mut Scene, file: String) {
    let table = format!("\n[rwi]\nhold_music = \"{file}\"\n");
    let plan = async move |stage: &mut Stage| stage.replan(|plan| plan.tables.push_str(&table)).await;
    scene.world.play(plan).await;
}

#[given(expr = "a queue {string} with the agents {actor} and {actor}, who are rung {string}")]
async fn has_queue(scene: &mut Scene, name: String, one: Actor, other: Actor, strategy: String) {
    has_queue_with_rest(scene, name, one, other, strategy, Span(Duration::ZERO)).await;
}

#[given(
    expr = "a queue {string} with the agents {actor} and {actor}, who are rung {string} and left alone for {span}"
)]
async fn has_queue_with_rest(
    scene: &mut Scene,
    name: String,
    one: Actor,
    other: Actor,
    strategy: String,
    rest: Span,
) {
    let plan = async move |stage: &mut Stage| {
        stage.replan(|plan| plan.queue(&name, &[one.0, other.0], &strategy, rest.0)).await;
    };
    scene.world.play(plan).await;
}

#[given(expr = "the queue {string} says {string} every {span}")]
async fn announces(scene: &mut Scene, queue: String, file: String, every: Span) {
    let name = format!("name = \"{queue}\"\n");
    let more = format!("{name}announcement = \"{file}\"\nannounce_every_seconds = {}\n", every.0.as_secs());
    let plan = async move |stage: &mut Stage| {
        stage.replan(|plan| plan.tables = plan.tables.replace(&name, &more)).await;
    };
    scene.world.play(plan).await;
}

#[given(expr = "calls to {string} wait in the queue {string}")]
async fn wait_in_queue(scene: &mut Scene, number: String, queue: String) {
    let params = format!("queue = \"{queue}\"");
    scene
        .world
        .play(async move |stage: &mut Stage| stage.replan(|plan| plan.route(&number, "queue", &params)).await)
        .await;
}

#[given(expr = "calls to {string} are offered to applications of {word}")]
async fn are_offered(scene: &mut Scene, number: String, context: String) {
    let params = format!("context = \"{context}\"");
    let plan = async move |stage: &mut Stage| {
        stage.replan(|plan| plan.route(&number, "application", &params)).await;
    };
    scene.world.play(plan).await;
}

#[given(expr = "{application} calls {actor} as {word}")]
#[when(expr = "{application} calls {actor} as {word}")]
async fn calls(scene: &mut Scene, program: Program, callee: Actor, call_id: String) {
    let text = format!("call.originate call_id={call_id} destination=sip:{}@local", callee.0);
    commands(scene, program, text).await;
    has_succeeded(scene).await;
}

#[given(expr = "{application} calls {actor} as {word}, who answers")]
#[when(expr = "{application} calls {actor} as {word}, who answers")]
async fn calls_who_answers(scene: &mut Scene, program: Program, callee: Actor, call_id: String) {
    calls(scene, program.clone(), callee.clone(), call_id.clone()).await;
    let answer = async move |stage: &mut Stage| {
        let phone = stage.phone(&callee.0).await;
        let rings = stage.until(PATIENCE, |_| phone.is_ringing()).await;
        assert!(rings, "{} does not ring", callee.0);
        phone.answer();
    };
    scene.world.play(answer).await;
    is_told(scene, program, format!("call.answered {call_id}")).await;
}

#[given(expr = "{application} lets {actor} as {word} talk to {actor} as {word}")]
#[when(expr = "{application} lets {actor} as {word} talk to {actor} as {word}")]
async fn lets_talk(
    scene: &mut Scene,
    program: Program,
    one: Actor,
    leg_a: String,
    other: Actor,
    leg_b: String,
) {
    calls_who_answers(scene, program.clone(), one, leg_a.clone()).await;
    calls_who_answers(scene, program.clone(), other, leg_b.clone()).await;
    commands(scene, program, format!("call.bridge leg_a={leg_a} leg_b={leg_b}")).await;
    has_succeeded(scene).await;
}

#[given(expr = "{application} connects with the token {string}")]
#[when(expr = "{application} connects with the token {string}")]
async fn connects_with(scene: &mut Scene, program: Program, token: String) {
    connects(scene, program, Some(token)).await;
}

#[given(expr = "{application} connects without a token")]
#[when(expr = "{application} connects without a token")]
async fn connects_without(scene: &mut Scene, program: Program) {
    connects(scene, program, None).await;
}

#[given(expr = "{application} commands {string}")]
#[when(expr = "{application} commands {string}")]
async fn commands(scene: &mut Scene, program: Program, text: String) {
    let act = async move |stage: &mut Stage| {
        let application = stage.application(&program.0);
        let text = application.remember(&text);
        let (action, params) = application::command(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
        let id = application.command(&action, &params);
        stage.until(PATIENCE, |_| application.reply(&id).is_some()).await
    };
    assert!(scene.world.play(act).await, "there is no reply");
}

#[given(expr = "{application} says {string}")]
#[when(expr = "{application} says {string}")]
async fn says_raw(scene: &mut Scene, program: Program, text: String) {
    with(scene, program, move |application| application.say(&application.remember(&text))).await;
}

#[when(expr = "{application} stops reading")]
async fn stops_reading(scene: &mut Scene, program: Program) {
    with(scene, program, Application::stop_reading).await;
}

#[when(expr = "{application} reads on")]
async fn reads_on(scene: &mut Scene, program: Program) {
    with(scene, program, Application::read_on).await;
}

#[when(expr = "{application} disconnects")]
async fn disconnects(scene: &mut Scene, program: Program) {
    with(scene, program, Application::disconnect).await;
}

#[given(expr = "{application} is connected")]
#[then(expr = "{application} is connected")]
async fn is_connected(scene: &mut Scene, program: Program) {
    let state = settled(scene, program).await;
    assert_eq!(state, State::Connected);
}

#[then(expr = "{application} is refused as {int}")]
async fn is_refused(scene: &mut Scene, program: Program, status: u16) {
    match settled(scene, program).await {
        State::Refused(Refused::With(page)) => assert_eq!(page.status, status),
        state => panic!("it is {state:?}"),
    }
}

#[then(expr = "{application}'s connection has ended well")]
async fn has_ended(scene: &mut Scene, program: Program) {
    let state = settled(scene, program).await;
    assert!(matches!(state, State::Closed(1_000, _)), "it is {state:?}");
}

#[then(expr = "{application}'s connection is lost because {string}")]
async fn is_lost(scene: &mut Scene, program: Program, why: String) {
    assert_eq!(settled(scene, program).await, State::Lost(why));
}

#[then(expr = "{application} has been told, in order:")]
async fn has_been_told(scene: &mut Scene, program: Program, #[step] step: &Step) {
    let told = told(scene, program).await;
    let mut rest = told.iter();
    for line in rows(step) {
        let expected = event(&line[0]);
        let found = rest.any(|event| is_within(&expected, event));
        assert!(found, "{} is not there, or not in this order: {}", line[0], Value::from(told.clone()));
    }
}

#[then(expr = "{application} is told {string}")]
async fn is_told(scene: &mut Scene, program: Program, text: String) {
    let wait = async move |stage: &mut Stage| {
        let application = stage.application(&program.0);
        let is_there = |application: &Application| {
            let expected = event(&application.remember(&text));
            application.events().iter().any(|told| is_within(&expected, &told.what))
        };
        if !stage.until(PATIENCE, |_| is_there(&application)).await {
            let told: Vec<Value> = application.events().into_iter().map(|told| told.what).collect();
            panic!("{text} is not among {}", Value::from(told));
        }
    };
    scene.world.play(wait).await;
}

#[then(expr = "{application} has heard:")]
async fn has_heard(scene: &mut Scene, program: Program, #[step] step: &Step) {
    let heard = with(scene, program, Application::told).await;
    let heard: Vec<Value> = heard.into_iter().map(|told| told.what).collect();
    let mut rest = heard.iter();
    for line in rows(step) {
        let expected: Value = serde_json::from_str(&line[0]).expect("a frame is JSON");
        let found = rest.any(|frame| is_within(&expected, frame));
        assert!(found, "{} is not there, or not in this order: {}", line[0], Value::from(heard.clone()));
    }
}

#[then(expr = "{application} has not heard {string}")]
async fn has_not_heard(scene: &mut Scene, program: Program, frame: String) {
    let heard = with(scene, program, Application::told).await;
    let heard: Vec<Value> = heard.into_iter().map(|told| told.what).collect();
    let expected: Value = serde_json::from_str(&frame).expect("a frame is JSON");
    assert!(!heard.iter().any(|frame| is_within(&expected, frame)), "{}", Value::from(heard.clone()));
}

#[then(expr = "{application} has not been told {string}")]
async fn has_not_been_told(scene: &mut Scene, program: Program, text: String) {
    let text = with(scene, program.clone(), move |application| application.remember(&text)).await;
    let expected = event(&text);
    let told = told(scene, program).await;
    assert!(
        !told.iter().any(|event| is_within(&expected, event)),
        "{text} is among {}",
        Value::from(told.clone())
    );
}

#[given(expr = "the PBX keeps recordings")]
async fn keeps_recordings(scene: &mut Scene) {
    scene.world.play(async |stage: &mut Stage| stage.replan(|plan| plan.keep_recordings()).await).await;
}

#[when(expr = "{application} commands {string} {int} times")]
async fn commands_again(scene: &mut Scene, program: Program, text: String, times: usize) {
    for _ in 0..times {
        commands(scene, program.clone(), text.clone()).await;
    }
}

#[then(expr = "{application} has been cut off")]
async fn is_cut_off(scene: &mut Scene, program: Program) {
    let has_credit = |stage: &mut Stage| {
        if *stage.ground() == Ground::Turmoil {
            Unplayable::throw("on turmoil a stream takes all that it is given");
        }
    };
    scene.world.with(has_credit).await;
    let state = settled(scene, program).await;
    assert!(matches!(state, State::Closed(1_008, _) | State::Lost(_)), "it is {state:?}");
}

#[when(expr = "{application} loses its power")]
async fn loses_power(scene: &mut Scene, program: Program) {
    with(scene, program, Application::crash).await;
}

#[given(expr = "{application} resumes the session of {application}")]
#[when(expr = "{application} resumes the session of {application}")]
async fn resumes(scene: &mut Scene, program: Program, other: Program) {
    let told = with(scene, other, |application| {
        let last = application.events().iter().filter_map(|told| told.what["seq"].as_u64()).max();
        (application.remember("$session_id"), last.unwrap_or_default())
    })
    .await;
    let (session, last) = told;
    commands(scene, program, format!("session.resume session_id={session} last_seq={last}")).await;
}

#[when(expr = "{application} completes the transfer of {word}")]
async fn completes(scene: &mut Scene, program: Program, call_id: String) {
    // Whichever application has begun it, its answer has named the consultation.
    let begun = |stage: &mut Stage| {
        let all = stage.applications().values().flat_map(Application::told);
        let mut named =
            all.filter_map(|told| told.what["data"]["consultation_call_id"].as_str().map(str::to_owned));
        named.next_back()
    };
    let consultation = scene.world.with(begun).await.expect("a transfer was begun");
    let text = format!("call.transfer.complete call_id={call_id} consultation_call_id={consultation}");
    commands(scene, program, text).await;
}

#[then(expr = "the length that {application} was told is that of the recording")]
async fn is_told_the_length(scene: &mut Scene, program: Program) {
    let told = told(scene, program).await;
    let stopped = told.iter().rfind(|event| event["event"] == "record.stopped").expect("it was told");
    let length = stopped["data"]["duration_secs"].as_f64().expect("with its length");
    let files = scene.world.with(|stage: &mut Stage| stage.office.recordings()).await;
    let file = Recording::read(files.last().expect("there is one")).expect("it is a recording");
    let seconds = file.length() as f64 / 8_000.0;
    assert!((length - seconds).abs() < 0.001, "it was told {length} s, the file is {seconds} s long");
}

#[then(expr = "the answer to the command says {string}")]
async fn says_in_answer(scene: &mut Scene, text: String) {
    let reply = reply(scene).await;
    let (_, expected) =
        application::command(&format!("reply {text}")).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(is_within(&expected, &reply["data"]), "{reply}");
}

#[then(expr = "the answer to the command lists {int} call(s)")]
async fn lists(scene: &mut Scene, expected: usize) {
    let reply = reply(scene).await;
    assert_eq!(reply["data"]["calls"].as_array().map(Vec::len), Some(expected), "{reply}");
}

#[then(expr = "the refusal says {string}")]
async fn says_in_refusal(scene: &mut Scene, text: String) {
    let reply = reply(scene).await;
    let message = reply["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(&text), "{reply}");
}

#[then(expr = "{application} has been told of {int} event(s)")]
async fn has_been_told_of(scene: &mut Scene, program: Program, expected: usize) {
    let told = told(scene, program).await;
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

async fn connects(scene: &mut Scene, program: Program, token: Option<String>) {
    let connect = async move |stage: &mut Stage| {
        // Whoever has the PBX let applications in means that.
        let server = match stage.plan.lets_applications_in() {
            true => {
                stage.open_office().await;
                SocketAddr::new(stage.pbx(), HTTP_PORT)
            }
            false => stage.exchange("exchange").address(),
        };
        stage.application(&program.0).connect(server, token.as_deref());
    };
    scene.world.play(connect).await;
}

/// How the connection is when the server has answered.
async fn settled(scene: &mut Scene, program: Program) -> State {
    let wait = async move |stage: &mut Stage| {
        let application = stage.application(&program.0);
        stage.until(PATIENCE, |_| application.state() != State::Waiting).await;
        application.state()
    };
    scene.world.play(wait).await
}

async fn told(scene: &mut Scene, program: Program) -> Vec<Value> {
    let events = with(scene, program, Application::events).await;
    events.into_iter().map(|told| told.what).collect()
}

/// The last reply to any application.
async fn reply(scene: &mut Scene) -> Value {
    let last = |stage: &mut Stage| {
        let all = stage.applications().values().filter_map(Application::last_told_reply);
        all.max_by_key(|told| told.at).map(|told| told.what)
    };
    scene.world.with(last).await.expect("there is a reply")
}

async fn with<T: Send + 'static>(
    scene: &mut Scene,
    program: Program,
    act: impl FnOnce(&Application) -> T + Send + 'static,
) -> T {
    scene.world.play(async move |stage: &mut Stage| act(&stage.application(&program.0))).await
}

async fn exchange(scene: &mut Scene, act: impl FnOnce(&Exchange) + Send + 'static) {
    scene.world.play(async move |stage: &mut Stage| act(&stage.exchange("exchange"))).await;
}

/// The one application where there is only one.
pub(super) fn first() -> Program {
    Program("application".to_owned())
}

/// The lines of a table below its heading.
fn rows(step: &Step) -> impl Iterator<Item = &Vec<String>> {
    step.table.as_ref().expect("a table follows").rows[1..].iter()
}

fn event(text: &str) -> Value {
    application::event(text).unwrap_or_else(|wrong| panic!("{wrong}"))
}
