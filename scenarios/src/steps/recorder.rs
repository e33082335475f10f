//! Recorders keep what is said in calls; the tap asks them to, with two voices of its own.

use crate::scene::{PATIENCE, Scene};
use crate::words::{Actor, RecorderReaction, Span, Status};
use cucumber::{given, then, when};
use pbx::sip::Transport;
use pbx::time::Duration;
use simulator::agents::recorder::{Client, Recorder, Recording};
use simulator::ear;
use simulator::stage::Stage;

/// How far a length may be off: what the network takes.
const TOLERANCE: Duration = Duration::from_millis(150);

#[given(expr = "the recorder {actor} {recorder_reaction}")]
async fn reacts(scene: &mut Scene, name: Actor, reaction: RecorderReaction) {
    with(scene, name, move |recorder| recorder.react(reaction.0)).await;
}

#[given(expr = "the tap records at {actor}")]
#[when(expr = "the tap records at {actor}")]
async fn records(scene: &mut Scene, name: Actor) {
    record(scene, name, Transport::Udp).await;
}

#[when(expr = "the tap records at {actor} over {word}")]
async fn records_over(scene: &mut Scene, name: Actor, transport: String) {
    let transport = Transport::of(&transport).unwrap_or_else(|| panic!("nothing is called {transport}"));
    record(scene, name, transport).await;
}

#[when(expr = "the tap pauses")]
async fn pauses(scene: &mut Scene) {
    tap(scene, Client::pause).await;
}

#[when(expr = "the tap goes on")]
async fn goes_on(scene: &mut Scene) {
    tap(scene, Client::resume).await;
}

#[when(expr = "the tap stops")]
async fn stops(scene: &mut Scene) {
    tap(scene, Client::stop).await;
}

#[when(expr = "the recorder {actor} ends the recording")]
async fn ends(scene: &mut Scene, name: Actor) {
    with(scene, name, Recorder::hang_up).await;
}

#[when(expr = "the recorder {actor} loses its power")]
async fn loses_power(scene: &mut Scene, name: Actor) {
    with(scene, name, Recorder::crash).await;
}

#[when(expr = "the recorder {actor} is on again")]
async fn is_on_again(scene: &mut Scene, name: Actor) {
    with(scene, name, Recorder::restart).await;
}

#[then(expr = "the recorder {actor} holds {actor} on channel {int} and {actor} on channel {int}")]
async fn holds(
    scene: &mut Scene,
    name: Actor,
    one: Actor,
    one_channel: usize,
    other: Actor,
    other_channel: usize,
) {
    let recording = last(scene, name).await;
    for (who, channel) in [(one, one_channel), (other, other_channel)] {
        let track = &recording.tracks[channel - 1];
        let metadata = recording.metadata.last().expect("a recording has metadata");
        let sender = metadata.sender_of(&track.label).map(|sender| sender.aor.clone());
        assert_eq!(sender, Some(format!("sip:{}@pbx.example", who.0)), "channel {channel}");
        let (_, voice) = tap(scene, move |tap| tap.voice_of(&who.0)).await.expect("somebody the tap plays");
        let presence = ear::presence(track.hearing.samples(), voice);
        assert!(presence > 0.9, "on channel {channel}, {voice} Hz are there for {presence:.2} of the time");
    }
}

#[then(expr = "the recorder {actor} holds {span} of each voice")]
async fn holds_span(scene: &mut Scene, name: Actor, expected: Span) {
    let recording = last(scene, name).await;
    for track in &recording.tracks {
        let blocks = track.hearing.samples().chunks_exact(160);
        let spoken = Duration::from_millis(20) * blocks.filter(|block| !ear::is_silent(block)).count() as u32;
        assert!(spoken.abs_diff(expected.0) < TOLERANCE, "channel {} holds {spoken:?}", track.label);
        assert_eq!(track.stray, 0, "packets came for {} while it was off", track.label);
    }
}

#[then(expr = "the recorder {actor} holds nothing")]
async fn holds_nothing(scene: &mut Scene, name: Actor) {
    let recordings = with(scene, name, Recorder::recordings).await;
    let tracks = recordings.iter().flat_map(|recording| &recording.tracks);
    let heard: u64 = tracks.map(|track| track.hearing.packets()).sum();
    assert_eq!(heard, 0);
}

#[then(expr = "the recorder {actor} is recording")]
async fn is_recording(scene: &mut Scene, name: Actor) {
    assert!(last(scene, name).await.is_on());
}

#[then(expr = "the recorder {actor} has stopped")]
async fn has_stopped(scene: &mut Scene, name: Actor) {
    assert!(last(scene, name).await.ended_at.is_some());
}

#[then(expr = "the tap is told {status}")]
async fn is_told(scene: &mut Scene, expected: Status) {
    let told = wait_for_answer(scene).await;
    assert_eq!(told.last(), Some(&expected.0), "all answers: {told:?}");
}

#[then(expr = "the tap is recorded")]
async fn is_recorded(scene: &mut Scene) {
    wait_for_answer(scene).await;
    assert!(tap(scene, Client::is_recording).await);
}

#[then(expr = "the tap is not recorded")]
async fn is_not_recorded(scene: &mut Scene) {
    wait_for_answer(scene).await;
    assert!(!tap(scene, Client::is_recording).await);
}

#[then(expr = "the recorder {actor} has nothing to complain of")]
async fn has_no_complaint(scene: &mut Scene, name: Actor) {
    assert_eq!(with(scene, name, Recorder::complaints).await, [""; 0]);
}

async fn record(scene: &mut Scene, name: Actor, transport: Transport) {
    let act = async move |stage: &mut Stage| {
        let recorder = stage.recorder(&name.0).address();
        stage.tap().record(recorder, transport);
    };
    scene.world.play(act).await;
}

async fn wait_for_answer(scene: &mut Scene) -> Vec<pbx::sip::StatusCode> {
    let wait = async move |stage: &mut Stage| {
        let tap = stage.tap();
        stage.until(PATIENCE, |_| !tap.told().is_empty()).await;
        tap.told()
    };
    scene.world.play(wait).await
}

async fn last(scene: &mut Scene, name: Actor) -> Recording {
    with(scene, name, Recorder::recordings).await.pop().expect("it was asked to record")
}

async fn with<T: Send + 'static>(
    scene: &mut Scene,
    name: Actor,
    act: impl FnOnce(&Recorder) -> T + Send + 'static,
) -> T {
    scene.world.play(async move |stage: &mut Stage| act(&stage.recorder(&name.0))).await
}

async fn tap<T: Send + 'static>(scene: &mut Scene, act: impl FnOnce(&Client) -> T + Send + 'static) -> T {
    scene.world.play(async move |stage: &mut Stage| act(&stage.tap())).await
}
