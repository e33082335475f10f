//! Who sends RTP to where the PBX hears somebody else.

use super::media;
use crate::scene::Scene;
use crate::words::{Actor, Span, Tone};
use cucumber::{then, when};
use pbx::time::Duration;
use simulator::ear;
use simulator::phone::Guise;
use simulator::stage::{PBX, Stage};

/// How long somebody listens for what should not be there.
const LISTEN: Duration = Duration::from_secs(2);

/// The share of the power that a tone has at most which is not there.
const NOT_THERE: f64 = 0.01;

#[when(expr = "{actor} says {tone} for {span} to where the PBX hears {actor}")]
async fn speaks_into(scene: &mut Scene, stranger: Actor, tone: Tone, length: Span, victim: Actor) {
    speak(scene, stranger, Guise::Own, (tone, length), victim).await;
}

#[when(expr = "{actor} says {tone} for {span} to where the PBX hears {actor}, in the numbers of that stream")]
async fn speaks_as(scene: &mut Scene, stranger: Actor, tone: Tone, length: Span, victim: Actor) {
    speak(scene, stranger, Guise::Forged, (tone, length), victim).await;
}

#[then(expr = "{actor} does not hear {tone}")]
async fn does_not_hear(scene: &mut Scene, actor: Actor, tone: Tone) {
    let heard = scene.phone(actor.clone(), |phone| phone.heard_lately(LISTEN)).await;
    let share = ear::share(&heard, tone.0);
    assert!(share < NOT_THERE, "it is {share:.3} of what {} hears", actor.0);
}

#[then(expr = "{tone} is on no channel of the recording")]
async fn is_not_recorded(scene: &mut Scene, tone: Tone) {
    let recording = media::recording(scene).await;
    for channel in 1..=recording.channels.len() {
        let share = ear::share(&media::channel_of(&recording, channel), tone.0);
        assert!(share < NOT_THERE, "it is {share:.3} of channel {channel}");
    }
}

#[then(expr = "the PBX has sent nothing to {actor}")]
async fn was_sent_nothing(scene: &mut Scene, actor: Actor) {
    let sent = async move |stage: &mut Stage| {
        let stranger = stage.phone(&actor.0).await.address();
        let packets = stage.trace().packets();
        packets.iter().filter(|packet| packet.from.ip() == PBX && packet.to.ip() == stranger).count()
    };
    assert_eq!(scene.world.play(sent).await, 0, "packets");
}

async fn speak(
    scene: &mut Scene,
    stranger: Actor,
    guise: Guise,
    (tone, length): (Tone, Span),
    victim: Actor,
) {
    let speak = async move |stage: &mut Stage| {
        let victim = stage.phone(&victim.0).await;
        stage.phone(&stranger.0).await.speaks_into_the_call_of(&victim, guise, tone.0, length.0);
    };
    scene.world.play(speak).await;
}
