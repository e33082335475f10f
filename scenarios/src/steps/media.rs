//! What the PBX plays, mixes and records: announcements, conferences, recordings.

use crate::scene::Scene;
use crate::words::{Actor, Span, Tone};
use cucumber::{given, then, when};
use pbx::audio::Law;
use pbx::audio::recording::Recording;
use pbx::audio::wav::Encoding;
use pbx::pbx::What;
use pbx::time::Duration;
use simulator::ear;
use simulator::office::Plan;
use simulator::phone::{Phone, Sound};
use simulator::stage::Stage;
use simulator::tape;
use std::ops::Range;

/// The sample rate of a tape where nobody says.
const USUAL: u32 = 8_000;

/// How long somebody listens to tell voices apart.
const LISTEN: Duration = Duration::from_millis(800);

/// How long somebody listens whether anything is missing.
const LONG: Duration = Duration::from_secs(5);

/// The share of the power that a voice among a few others has at least, and that one that is not there has at most.
const AMONG_OTHERS: f64 = 0.1;
const NOT_THERE: f64 = 0.02;

/// By how much a recording may begin or end beside what was wanted: a packet, and the way of two messages.
const TOLERANCE: Duration = Duration::from_millis(60);

#[given(expr = "an announcement of {tone} for {span} at {string}")]
async fn is_announced(scene: &mut Scene, tone: Tone, length: Span, number: String) {
    announce(scene, number, "", tape::tone(tone.0, length.0, USUAL, Encoding::Pcm16)).await;
}

#[given(expr = "an announcement of {tone} for {span} at {string}, played {int} times")]
async fn is_announced_again(scene: &mut Scene, tone: Tone, length: Span, number: String, times: u32) {
    let more = format!(", times = {times}");
    announce(scene, number, &more, tape::tone(tone.0, length.0, USUAL, Encoding::Pcm16)).await;
}

#[given(expr = "an announcement of {tone} for {span} at {string}, then {actor}")]
async fn is_announced_before(scene: &mut Scene, tone: Tone, length: Span, number: String, then: Actor) {
    let more = format!(", then = \"{}\"", then.0);
    announce(scene, number, &more, tape::tone(tone.0, length.0, USUAL, Encoding::Pcm16)).await;
}

#[given(expr = "an announcement of {tone} for {span} at {string}, then {actor}, until a key is pressed")]
async fn is_announced_until_key(scene: &mut Scene, tone: Tone, length: Span, number: String, then: Actor) {
    let more = format!(", then = \"{}\", until_key = true", then.0);
    announce(scene, number, &more, tape::tone(tone.0, length.0, USUAL, Encoding::Pcm16)).await;
}

#[given(expr = "an announcement of {tone} for {span} at {string}, of {int} samples a second in {word}")]
async fn is_announced_from(
    scene: &mut Scene,
    tone: Tone,
    length: Span,
    number: String,
    rate: u32,
    kind: String,
) {
    let kind = match kind.as_str() {
        "PCM" => Encoding::Pcm16,
        name => Encoding::G711(Law::named(name).unwrap_or_else(|| panic!("no file is in {name}"))),
    };
    announce(scene, number, "", tape::tone(tone.0, length.0, rate, kind)).await;
}

#[given(expr = "an announcement at {string} whose file is missing")]
async fn is_missing(scene: &mut Scene, number: String) {
    route(scene, number, String::new()).await;
}

#[given(expr = "an announcement at {string} whose file is missing, then {actor}")]
async fn is_missing_before(scene: &mut Scene, number: String, then: Actor) {
    route(scene, number, format!(", then = \"{}\"", then.0)).await;
}

#[given(expr = "an announcement at {string} whose file is cut off")]
async fn is_cut_off(scene: &mut Scene, number: String) {
    let mut tape = tape::tone(600.0, Duration::from_secs(1), USUAL, Encoding::Pcm16);
    tape.truncate(tape.len() / 2);
    announce(scene, number, "", tape).await;
}

#[given(expr = "an announcement at {string} whose file is a text")]
async fn is_a_text(scene: &mut Scene, number: String) {
    announce(scene, number, "", b"We are closed on Sundays.".to_vec()).await;
}

#[given(expr = "an announcement at {string} whose file is in a codec that nobody here knows")]
async fn is_in_strange_codec(scene: &mut Scene, number: String) {
    let mut tape = tape::tone(600.0, Duration::from_secs(1), USUAL, Encoding::Pcm16);
    // The format of the header: ADPCM by Microsoft.
    tape[20..22].copy_from_slice(&2u16.to_le_bytes());
    announce(scene, number, "", tape).await;
}

#[given(expr = "an announcement at {string} whose file is {int} MB long")]
async fn is_huge(scene: &mut Scene, number: String, size: usize) {
    announce(scene, number, "", vec![0; size << 20]).await;
}

#[then(expr = "{actor} has received {int} packets of sound")]
async fn has_received(scene: &mut Scene, actor: Actor, packets: u64) {
    assert_eq!(scene.phone(actor, Phone::packets_heard).await, packets);
}

#[then(expr = "the PBX says that it cannot play the file: {string}")]
async fn cannot_play(scene: &mut Scene, expected: String) {
    let events = scene.world.with(|stage: &mut Stage| stage.office.events()).await;
    let reasons: Vec<String> = events
        .into_iter()
        .filter_map(|event| match event.what {
            What::NotPlayed { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert!(reasons.iter().any(|reason| reason.contains(&expected)), "it says {reasons:?}");
}

#[given(expr = "a conference at {string}")]
async fn is_conference(scene: &mut Scene, number: String) {
    come_in(scene, number, "").await;
}

#[given(expr = "a recorded conference at {string}")]
async fn is_recorded_conference(scene: &mut Scene, number: String) {
    plan(scene, Plan::keep_recordings).await;
    come_in(scene, number, ", record = true").await;
}

#[given(expr = "who dials {string} comes into the conference and is heard by nobody")]
async fn comes_in_silently(scene: &mut Scene, number: String) {
    come_in(scene, number, ", heard_by = []").await;
}

#[given(expr = "who dials {string} comes into the conference and is heard by {actor} alone")]
async fn comes_in_whispering(scene: &mut Scene, number: String, listener: Actor) {
    come_in(scene, number, &format!(", heard_by = [\"{}\"]", listener.0)).await;
}

#[given(expr = "who dials {string} comes into the conference {int} dB softer")]
async fn comes_in_softly(scene: &mut Scene, number: String, decibels: i32) {
    come_in(scene, number, &format!(", volume_db = {}", -decibels)).await;
}

#[given(expr = "who dials {string} comes into the conference {int} dB louder")]
async fn comes_in_loudly(scene: &mut Scene, number: String, decibels: i32) {
    come_in(scene, number, &format!(", volume_db = {decibels}")).await;
}

#[given(expr = "who dials {string} comes into the conference {int} dB softer and is heard by {actor} alone")]
async fn comes_in_whispering_softly(scene: &mut Scene, number: String, decibels: i32, listener: Actor) {
    let params = format!(", volume_db = {}, heard_by = [\"{}\"]", -decibels, listener.0);
    come_in(scene, number, &params).await;
}

#[given(expr = "the calls of {actor} are recorded")]
async fn is_recorded(scene: &mut Scene, actor: Actor) {
    let record = move |plan: &mut Plan| {
        plan.keep_recordings();
        plan.extension(&actor.0).more.push(("record".to_owned(), "true".to_owned()));
    };
    plan(scene, record).await;
}

#[when(expr = "{actor} pauses the recording")]
async fn pauses_recording(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.record(false)).await;
}

#[when(expr = "{actor} lets the recording go on")]
async fn resumes_recording(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.record(true)).await;
}

#[then(expr = "{actor} hears {actor} among others")]
async fn hears_among_others(scene: &mut Scene, listener: Actor, speaker: Actor) {
    let share = share_of(scene, &listener, &speaker).await;
    assert!(share > AMONG_OTHERS, "{} is {share:.3} of what {} hears", speaker.0, listener.0);
}

#[then(expr = "{actor} does not hear {actor}")]
async fn does_not_hear(scene: &mut Scene, listener: Actor, speaker: Actor) {
    let share = share_of(scene, &listener, &speaker).await;
    assert!(share < NOT_THERE, "{} is {share:.3} of what {} hears", speaker.0, listener.0);
}

#[then(expr = "{actor} hears {actor} as loud as {actor}")]
async fn hears_as_loud(scene: &mut Scene, listener: Actor, speaker: Actor, other: Actor) {
    assert_louder(scene, (&listener, &speaker, &other), 0.0).await;
}

#[then(expr = "{actor} hears {actor} {int} dB softer than {actor}")]
async fn hears_softer(scene: &mut Scene, listener: Actor, speaker: Actor, decibels: i32, other: Actor) {
    assert_louder(scene, (&listener, &speaker, &other), -f64::from(decibels)).await;
}

#[then(expr = "{actor} hears {actor} {int} dB louder than {actor}")]
async fn hears_louder(scene: &mut Scene, listener: Actor, speaker: Actor, decibels: i32, other: Actor) {
    assert_louder(scene, (&listener, &speaker, &other), decibels.into()).await;
}

#[then(expr = "{actor} hears {actor} in one piece")]
async fn hears_in_one_piece(scene: &mut Scene, listener: Actor, speaker: Actor) {
    let voice = voice_of(scene, &speaker).await;
    let heard = scene.phone(listener, |phone| phone.heard_lately(LONG)).await;
    ear::one_piece(&heard, voice).unwrap_or_else(|heard| panic!("{heard}"));
}

#[then(expr = "{actor} is heard on channel {int} of the recording in one piece")]
async fn is_on_channel_in_one_piece(scene: &mut Scene, actor: Actor, channel: usize) {
    let samples = channel_of(&recording(scene).await, channel);
    ear::one_piece(&samples, voice_of(scene, &actor).await).unwrap_or_else(|heard| panic!("{heard}"));
}

#[then(expr = "the recording is {span} long")]
async fn is_long(scene: &mut Scene, expected: Span) {
    let length = Duration::from_secs_f64(recording(scene).await.length() as f64 / f64::from(USUAL));
    assert!(length.abs_diff(expected.0) < TOLERANCE, "it is {length:?} long");
}

#[then(expr = "the recording is at least {span} long")]
async fn is_at_least_long(scene: &mut Scene, least: Span) {
    let length = Duration::from_secs_f64(recording(scene).await.length() as f64 / f64::from(USUAL));
    assert!(length >= least.0, "it is {length:?} long");
}

#[then(expr = "the recording is at most {span} long")]
async fn is_at_most_long(scene: &mut Scene, most: Span) {
    let length = Duration::from_secs_f64(recording(scene).await.length() as f64 / f64::from(USUAL));
    assert!(length <= most.0, "it is {length:?} long");
}

#[then(expr = "on channel {int} of the recording is {tone} from {span} to {span}, and nothing else")]
async fn is_on_channel(scene: &mut Scene, channel: usize, tone: Tone, from: Span, to: Span) {
    let samples = channel_of(&recording(scene).await, channel);
    let piece = ear::one_piece(&samples, tone.0).unwrap_or_else(|heard| panic!("{heard}"));
    let time = |sample: usize| Duration::from_secs_f64(sample as f64 / f64::from(USUAL));
    let (begins, ends) = (time(piece.start), time(piece.end));
    let is_there = begins.abs_diff(from.0) < TOLERANCE && ends.abs_diff(to.0) < TOLERANCE;
    assert!(is_there, "it is there from {begins:?} to {ends:?}");
    let beside = [&samples[..piece.start], &samples[piece.end..]]
        .map(|rest| rest.chunks_exact(160).filter(|block| !ear::is_silent(block)).count());
    // Where a tone begins and ends within a block, that block is not silent.
    assert!(
        beside.iter().all(|blocks| *blocks <= 3),
        "frames in which there is something before and behind: {beside:?}"
    );
}

#[then(expr = "{actor} is heard on channel {int} of the recording and {actor} on channel {int}")]
async fn are_on_channels(scene: &mut Scene, one: Actor, first: usize, other: Actor, second: usize) {
    let recording = recording(scene).await;
    for (who, own, foreign) in [(&one, first, second), (&other, second, first)] {
        let voice = voice_of(scene, who).await;
        let presence = ear::presence(&channel_of(&recording, own), voice);
        assert!(presence > 0.8, "{} is on channel {own} for {presence:.2} of the time", who.0);
        let leak = ear::share(&channel_of(&recording, foreign), voice);
        assert!(leak < NOT_THERE, "{} is {leak:.3} of channel {foreign}", who.0);
    }
}

#[then(expr = "{actor} is heard on channel {int} of the recording from {span} to {span}")]
async fn is_on_channel_then(scene: &mut Scene, actor: Actor, channel: usize, from: Span, to: Span) {
    let samples = channel_of(&recording(scene).await, channel);
    let presence = ear::presence(&samples[places(&samples, from, to)], voice_of(scene, &actor).await);
    assert!(presence > 0.8, "{} is there for {presence:.2} of that time", actor.0);
}

#[then(expr = "there is/are {int} recording(s)")]
async fn are_recordings(scene: &mut Scene, expected: usize) {
    let recordings = scene.world.with(|stage: &mut Stage| stage.office.recordings()).await;
    assert_eq!(recordings.len(), expected);
}

#[then(expr = "{actor} is heard in the recording")]
async fn is_in_recording(scene: &mut Scene, actor: Actor) {
    let samples = channel_of(&recording(scene).await, 1);
    let share = ear::share(&samples, voice_of(scene, &actor).await);
    assert!(share > AMONG_OTHERS, "{} is {share:.3} of the recording", actor.0);
}

async fn plan(scene: &mut Scene, change: impl FnOnce(&mut Plan) + Send + 'static) {
    scene.world.play(async move |stage: &mut Stage| stage.replan(change).await).await;
}

/// Who dials `number` comes into the conference.
async fn come_in(scene: &mut Scene, number: String, more: &str) {
    let params = format!("name = \"conference\"{more}");
    plan(scene, move |plan| plan.route(&number, "conference", &params)).await;
}

/// Of two who are heard, all say as much, one is so many dB louder than the other.
async fn assert_louder(
    scene: &mut Scene,
    (listener, speaker, other): (&Actor, &Actor, &Actor),
    decibels: f64,
) {
    let shares = [share_of(scene, listener, speaker).await, share_of(scene, listener, other).await];
    assert!(shares.iter().all(|share| *share > NOT_THERE), "{} hears {shares:.3?} of them", listener.0);
    let louder = 10.0 * (shares[0] / shares[1]).log10();
    assert!((louder - decibels).abs() < 0.5, "{} is {louder:.1} dB louder than {}", speaker.0, other.0);
}

/// Which samples of a recording are of this time.
pub(super) fn places(samples: &[i16], from: Span, to: Span) -> Range<usize> {
    let place = |time: Duration| ((time.as_secs_f64() * f64::from(USUAL)) as usize).min(samples.len());
    place(from.0)..place(to.0)
}

pub(super) async fn recording(scene: &mut Scene) -> Recording {
    let recordings = scene.world.with(|stage: &mut Stage| stage.office.recordings()).await;
    let last = recordings.last().expect("there is a recording");
    Recording::read(last).unwrap_or_else(|error| panic!("the recording is not whole: {error}"))
}

pub(super) fn channel_of(recording: &Recording, channel: usize) -> Vec<i16> {
    recording.channels[channel - 1].iter().map(|sample| (sample * 32_768.0) as i16).collect()
}

async fn voice_of(scene: &mut Scene, actor: &Actor) -> f64 {
    match scene.phone(actor.clone(), Phone::voice).await {
        Sound::Tone(voice) => voice,
        _ => panic!("{} has no voice", actor.0),
    }
}

/// The share that the voice of one has in what another hears.
async fn share_of(scene: &mut Scene, listener: &Actor, speaker: &Actor) -> f64 {
    let voice = voice_of(scene, speaker).await;
    let heard = scene.phone(listener.clone(), |phone| phone.heard_lately(LISTEN)).await;
    assert!(!ear::is_silent(&heard), "{} hears nothing at all", listener.0);
    ear::share(&heard, voice)
}

/// Who dials `number` hears this tape.
async fn announce(scene: &mut Scene, number: String, more: &str, tape: Vec<u8>) {
    let file = file_of(&number);
    scene.world.play(async move |stage: &mut Stage| stage.office.put(&file, tape).await).await;
    route(scene, number, more.to_owned()).await;
}

async fn route(scene: &mut Scene, number: String, more: String) {
    let file = file_of(&number);
    let params = format!("file = \"{file}\"{more}");
    plan(scene, move |plan| plan.route(&number, "announcement", &params)).await;
}

fn file_of(number: &str) -> String {
    format!("{number}.wav")
}
