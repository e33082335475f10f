//! Many calls at once in the hands of one application: whoever is mixed up with somebody else hears a tone that is not his.

use crate::scene::{PATIENCE, Scene};
use cucumber::{given, then};
use pbx::time::Duration;
use serde_json::{Value, json};
use simulator::ear;
use simulator::network::{Ground, Unplayable};
use simulator::phone::{Answering, Phone, Sound};
use simulator::stage::Stage;

/// The application that is meant where nobody says which.
const APPLICATION: &str = "application";

/// How long is listened.
const LISTEN: Duration = Duration::from_millis(500);
/// The share of what is heard that is nothing but the voices that belong there.
const ALL: f64 = 0.9;
/// The share of a voice among two.
const ONE_OF_TWO: f64 = 0.3;
/// The share of a voice that is not there.
const NOT_THERE: f64 = 0.01;

/// What supervisors say, whom nobody is to hear.
const SUPERVISOR: f64 = 3_300.0;

#[given(expr = "{int} talks that the application has ordered, each with a supervisor who listens")]
async fn are_supervised(scene: &mut Scene, talks: usize) {
    let order = async move |stage: &mut Stage| {
        let names: Vec<String> = (0..talks)
            .flat_map(|n| [format!("customer-{n}"), format!("agent-{n}"), format!("supervisor-{n}")])
            .collect();
        let voices = (0..names.len()).map(|n| match n % 3 {
            2 => Sound::Tone(SUPERVISOR),
            side => Sound::Tone(voice(2 * (n / 3) + side)),
        });
        gather(stage, &names, voices).await;
        for name in &names {
            is_called(stage, name).await;
        }
        for n in 0..talks {
            let (customer, agent) = (format!("customer-{n}"), format!("agent-{n}"));
            command(stage, "call.bridge", json!({ "leg_a": customer, "leg_b": agent })).await;
            let listen = json!({ "supervisor_call_id": format!("supervisor-{n}"), "target_call_id": agent });
            command(stage, "supervisor.listen", listen).await;
        }
    };
    scene.world.play(order).await;
}

#[then(expr = "each of the {int} supervisors hears its own talk, and nobody hears a supervisor")]
async fn hear_their_own(scene: &mut Scene, talks: usize) {
    let listen = async move |stage: &mut Stage| {
        for n in 0..talks {
            let [customer, agent] = [voice(2 * n), voice(2 * n + 1)];
            let who = format!("supervisor-{n}");
            let heard = stage.phone(&who).await.heard_lately(LISTEN);
            let [one, other] = [customer, agent].map(|voice| ear::share(&heard, voice));
            let is_both = one > ONE_OF_TWO && other > ONE_OF_TWO && one + other > ALL;
            assert!(is_both, "{who} hears {one:.3} of the customer and {other:.3} of the agent");
            for (who, voice) in [(format!("customer-{n}"), agent), (format!("agent-{n}"), customer)] {
                let heard = stage.phone(&who).await.heard_lately(LISTEN);
                let (other, supervisor) = (ear::share(&heard, voice), ear::share(&heard, SUPERVISOR));
                assert!(other > ALL, "{who} hears {other:.3} of the other one");
                assert!(supervisor < NOT_THERE, "{who} hears {supervisor:.3} of a supervisor");
            }
        }
    };
    scene.world.play(listen).await;
}

#[given(expr = "a conference of {int} that the application has ordered, of whom two speak")]
async fn confer(scene: &mut Scene, members: usize) {
    let order = async move |stage: &mut Stage| {
        let names: Vec<String> = (0..members).map(|n| format!("member-{n}")).collect();
        let voices = (0..members).map(|n| if n < 2 { Sound::Tone(voice(n)) } else { Sound::Silence });
        gather(stage, &names, voices).await;
        command(stage, "conference.create", json!({ "conf_id": "crowd" })).await;
        for name in &names {
            is_called(stage, name).await;
            command(stage, "conference.add", json!({ "conf_id": "crowd", "call_id": name })).await;
        }
    };
    scene.world.play(order).await;
}

#[then(expr = "each of the {int} hears both who speak, and who speaks hears the other one alone")]
async fn hear_both(scene: &mut Scene, members: usize) {
    let listen = async move |stage: &mut Stage| {
        for n in 0..members {
            let heard = stage.phone(&format!("member-{n}")).await.heard_lately(LISTEN);
            let [one, other] = [voice(0), voice(1)].map(|voice| ear::share(&heard, voice));
            let is_right = match n {
                0 => other > ALL && one < NOT_THERE,
                1 => one > ALL && other < NOT_THERE,
                _ => one > ONE_OF_TWO && other > ONE_OF_TWO && one + other > ALL,
            };
            assert!(is_right, "member-{n} hears {one:.3} of the first and {other:.3} of the second");
        }
    };
    scene.world.play(listen).await;
}

/// A tone that nobody else in the crowd has.
fn voice(n: usize) -> f64 {
    400.0 + 25.0 * n as f64
}

/// Telephones that answer at once, registered; the application may have as many calls as there are.
async fn gather(stage: &mut Stage, names: &[String], voices: impl Iterator<Item = Sound>) {
    if *stage.ground() != Ground::Own {
        Unplayable::throw("so many machines are too many for it");
    }
    let numbers = names.to_vec();
    stage
        .replan(move |plan| {
            plan.tables.push_str("\n[rwi]\nmax_calls_per_connection = 1000\noriginate_rate_limit = 1000\n");
            numbers.iter().for_each(|number| {
                plan.extension(number);
            });
        })
        .await;
    let mut phones: Vec<Phone> = Vec::new();
    for (name, voice) in names.iter().zip(voices) {
        let phone = stage.phone(name).await;
        phone.habits(|habits| {
            habits.answering = Answering::After(Duration::from_millis(10));
            habits.voice = voice;
        });
        phone.register();
        phones.push(phone);
    }
    let all = stage.until(PATIENCE, |_| phones.iter().all(Phone::is_registered)).await;
    assert!(all, "not all could register");
}

async fn is_called(stage: &mut Stage, name: &str) {
    let destination = format!("sip:{name}@local");
    command(stage, "call.originate", json!({ "call_id": name, "destination": destination })).await;
    let application = stage.application(APPLICATION);
    let is_answer = |told: &Value| told["event"] == "call.answered" && told["call_id"] == name;
    let answered =
        stage.until(PATIENCE, |_| application.events().iter().any(|told| is_answer(&told.what))).await;
    assert!(answered, "{name} does not answer");
}

/// A command that is done.
async fn command(stage: &mut Stage, action: &str, params: Value) {
    let application = stage.application(APPLICATION);
    let id = application.command(action, &params);
    let answered = stage.until(PATIENCE, |_| application.reply(&id).is_some()).await;
    assert!(answered, "there is no reply to {action} {params}");
    let reply = application.reply(&id).unwrap_or_default();
    assert_eq!(reply["type"], "command_completed", "{action} {params}: {reply}");
}
