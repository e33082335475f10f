//! What happens to packets, and what was sent.

use crate::scene::Scene;
use crate::words::{Actor, Span, Status};
use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use simulator::network::Link;
use simulator::phone::Phone;
use simulator::stage::Stage;

#[given(expr = "a network that loses {int} % of the packets")]
#[when(expr = "the network loses {int} % of the packets")]
async fn loses(scene: &mut Scene, percent: u32) {
    change(scene, move |link| link.loss = f64::from(percent) / 100.0).await;
}

#[given(expr = "a network that delivers {int} % of the packets twice")]
async fn duplicates(scene: &mut Scene, percent: u32) {
    change(scene, move |link| link.duplicate = f64::from(percent) / 100.0).await;
}

#[given(expr = "a network in which packets take up to {span} longer")]
async fn jitters(scene: &mut Scene, jitter: Span) {
    change(scene, move |link| link.jitter = jitter.0).await;
}

#[given(expr = "a network in which {int} % of the packets are overtaken")]
async fn reorders(scene: &mut Scene, percent: u32) {
    change(scene, move |link| link.reorder = f64::from(percent) / 100.0).await;
}

#[when(expr = "{actor}'s network is gone")]
async fn is_gone(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::loses_its_network).await;
}

#[when(expr = "{actor}'s network is back")]
async fn is_back(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::finds_its_network).await;
}

#[then(expr = "{word} was sent {int} time(s)")]
async fn was_sent(scene: &mut Scene, method: String, expected: usize) {
    let beginning = format!("{method} ");
    let sent = scene.world.with(move |stage| stage.trace().count_different(&beginning)).await;
    assert_eq!(sent, expected, "copies do not count");
}

#[then(expr = "{word} was sent {int} time(s), copies included")]
async fn was_sent_again(scene: &mut Scene, method: String, expected: usize) {
    let beginning = format!("{method} ");
    let sent = scene.world.with(move |stage| stage.trace().count(&beginning)).await;
    assert_eq!(sent, expected);
}

#[then(expr = "{word} to {actor} says {string}")]
async fn says(scene: &mut Scene, method: String, actor: Actor, line: String) {
    let is_said = async move |stage: &mut Stage| {
        let host = stage.phone(&actor.0).await.address();
        stage.trace().messages_to(host).iter().any(|text| text.starts_with(&method) && text.contains(&line))
    };
    assert!(scene.world.play(is_said).await, "no such message was sent");
}

#[then(expr = "{word} to {actor} does not say {string}")]
async fn says_not(scene: &mut Scene, method: String, actor: Actor, line: String) {
    let said = async move |stage: &mut Stage| {
        let host = stage.phone(&actor.0).await.address();
        let messages = stage.trace().messages_to(host);
        let of_method: Vec<_> = messages.iter().filter(|text| text.starts_with(&method)).collect();
        (of_method.len(), of_method.iter().any(|text| text.contains(&line)))
    };
    let (messages, is_said) = scene.world.play(said).await;
    assert!(messages > 0, "no such message was sent");
    assert!(!is_said, "it was said");
}

#[then(expr = "{string} was sent once")]
async fn was_sent_once(scene: &mut Scene, beginning: String) {
    let sent = scene.world.with(move |stage| stage.trace().count(&beginning)).await;
    assert_eq!(sent, 1);
}

#[when(expr = "{actor} sends")]
async fn sends(scene: &mut Scene, actor: Actor, step: &Step) {
    let text = step.docstring.as_deref().unwrap_or_default().trim_start();
    // What stands in a feature has no carriage returns; a message ends its head by an empty line.
    let message = format!("{}\r\n\r\n", text.trim_end().replace('\n', "\r\n"));
    scene.phone(actor, move |phone| phone.sends(message.as_bytes())).await;
}

#[then(expr = "the answer was {status}")]
async fn the_answer_was(scene: &mut Scene, status: Status) {
    let beginning = format!("SIP/2.0 {} ", status.0.code());
    let sent = scene.world.with(move |stage: &mut Stage| stage.trace().count(&beginning)).await;
    assert!(sent > 0, "nobody was answered {:?}", status.0);
}

pub(super) async fn change(scene: &mut Scene, change: impl FnOnce(&mut Link) + Send + 'static) {
    scene
        .world
        .with(|stage: &mut Stage| {
            let mut link = stage.weather().clone();
            change(&mut link);
            stage.set_weather(link);
        })
        .await;
}
