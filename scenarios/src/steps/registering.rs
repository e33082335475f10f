//! Telephones tell the PBX where they are.

use crate::scene::{PATIENCE, Scene};
use crate::words::{Actor, Carrier, Span, Status};
use cucumber::{given, then, when};
use pbx::sip::Transport;
use pbx::time::Duration;
use simulator::office::password;
use simulator::phone::Phone;
use simulator::stage::Stage;

#[given(expr = "{actor} has a telephone")]
#[when(expr = "{actor} has a telephone")]
async fn has_a_telephone(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |_| ()).await;
}

#[given(expr = "{actor} has a telephone that speaks {carrier}")]
async fn speaks(scene: &mut Scene, actor: Actor, carrier: Carrier) {
    scene.world.play(async move |stage: &mut Stage| drop(stage.phone_over(&actor.0, carrier.0).await)).await;
}

#[given(expr = "{actor} has a telephone that registers for {span}")]
async fn registers_for(scene: &mut Scene, actor: Actor, expires: Span) {
    scene.phone(actor, move |phone| phone.registers_for(expires.0)).await;
}

#[given(expr = "{actor} is another telephone of {actor}")]
async fn is_another(scene: &mut Scene, name: Actor, owner: Actor) {
    let add = async move |stage: &mut Stage| drop(stage.add_phone(&name.0, &owner.0, Transport::Udp).await);
    scene.world.play(add).await;
}

#[given(expr = "{actor} has registered")]
async fn has_registered(scene: &mut Scene, actor: Actor) {
    scene.phone(actor.clone(), Phone::register).await;
    let registered = scene.until(actor.clone(), PATIENCE, Phone::is_registered).await;
    assert!(registered, "{} could not register", actor.0);
}

#[given(expr = "{actor} and {actor} have registered")]
async fn two_have_registered(scene: &mut Scene, one: Actor, other: Actor) {
    has_registered(scene, one).await;
    has_registered(scene, other).await;
}

#[given(expr = "{actor}, {actor} and {actor} have registered")]
async fn three_have_registered(scene: &mut Scene, one: Actor, other: Actor, third: Actor) {
    two_have_registered(scene, one, other).await;
    has_registered(scene, third).await;
}

#[when(expr = "{actor} registers")]
async fn registers(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::register).await;
}

#[when(expr = "{actor} registers with a wrong password")]
async fn registers_wrongly(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.register_with("guessed")).await;
}

#[when(expr = "{actor} registers {int} times with a wrong password")]
async fn guesses(scene: &mut Scene, actor: Actor, times: usize) {
    for guess in 0..times {
        scene.phone(actor.clone(), move |phone| phone.register_with(&format!("guess {guess}"))).await;
        scene.world.pass(Duration::from_secs(2)).await;
    }
}

#[when(expr = "{actor} registers with the right password")]
async fn registers_rightly(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.register_with(&password(&phone.name()))).await;
}

#[when(expr = "the password of {actor} is changed")]
async fn password_changes(scene: &mut Scene, actor: Actor) {
    let change = async move |stage: &mut Stage| {
        stage.replan(move |plan| plan.extend(&actor.0, "password", "another secret")).await;
    };
    scene.world.play(change).await;
}

#[when(expr = "{actor} unregisters")]
async fn unregisters(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, Phone::unregister).await;
}

#[then(expr = "{actor} is registered")]
async fn is_registered(scene: &mut Scene, actor: Actor) {
    let registered = scene.phone(actor.clone(), Phone::is_registered).await;
    assert!(registered, "{} is not registered", actor.0);
}

#[then(expr = "{actor} is not registered")]
async fn is_not_registered(scene: &mut Scene, actor: Actor) {
    let registered = scene.phone(actor.clone(), Phone::is_registered).await;
    assert!(!registered, "{} is registered", actor.0);
}

#[then(expr = "the registration of {actor} was refused as {status}")]
async fn was_refused(scene: &mut Scene, actor: Actor, status: Status) {
    let told = scene.phone(actor, Phone::registrations).await;
    assert_eq!(told.last(), Some(&status.0), "all answers: {told:?}");
}
