//! Pauses that telephones leave out, and the noise that is heard in them (RFC 3389).

use super::media;
use crate::scene::Scene;
use crate::words::{Actor, Span, Tone};
use cucumber::{given, then};
use pbx::sdp::Codec;
use pbx::time::Duration;
use simulator::ear;
use simulator::phone::Habits;

/// How long somebody listens to a noise.
const LISTEN: Duration = Duration::from_millis(800);

/// By how many dB a noise may be off that lasts so long.
const TOLERANCE: f64 = 1.5;

#[given(expr = "{actor}'s telephone leaves out pauses")]
async fn leaves_out_pauses(scene: &mut Scene, actor: Actor) {
    scene.phone(actor, |phone| phone.habits(|habits| habits.pauses = true)).await;
}

#[given(expr = "{actor}'s telephone leaves out pauses, with noise of {int} dB in them")]
async fn tells_noise(scene: &mut Scene, actor: Actor, decibels: i32) {
    let level = u8::try_from(-decibels).ok().filter(|level| *level < 128).expect("0 to -127 dB");
    let change = move |habits: &mut Habits| {
        habits.codecs.extend(Codec::of_static(NOISE));
        (habits.pauses, habits.noise) = (true, Some(level));
    };
    scene.phone(actor, move |phone| phone.habits(change)).await;
}

#[given(expr = "{actor}'s telephone knows the noise of pauses")]
async fn knows_noise(scene: &mut Scene, actor: Actor) {
    let change = |habits: &mut Habits| habits.codecs.extend(Codec::of_static(NOISE));
    scene.phone(actor, move |phone| phone.habits(change)).await;
}

#[then(expr = "{actor} hears noise of {int} dB")]
async fn hears_noise(scene: &mut Scene, actor: Actor, decibels: i32) {
    let heard = scene.phone(actor, |phone| phone.heard_lately(LISTEN)).await;
    assert_is_noise(&heard, decibels);
}

#[then(expr = "on channel {int} of the recording is noise of {int} dB from {span} to {span}")]
async fn is_recorded(scene: &mut Scene, channel: usize, decibels: i32, from: Span, to: Span) {
    let samples = media::channel_of(&media::recording(scene).await, channel);
    assert_is_noise(&samples[media::places(&samples, from, to)], decibels);
}

#[then(expr = "on channel {int} of the recording is nothing from {span} to {span}")]
async fn is_nothing(scene: &mut Scene, channel: usize, from: Span, to: Span) {
    let samples = media::channel_of(&media::recording(scene).await, channel);
    let part = &samples[media::places(&samples, from, to)];
    assert!(ear::is_silent(part), "something is there, {:.0} loud", ear::loudness(part));
}

#[then(expr = "{tone} is on channel {int} of the recording from {span} to {span}")]
async fn is_tone(scene: &mut Scene, tone: Tone, channel: usize, from: Span, to: Span) {
    let samples = media::channel_of(&media::recording(scene).await, channel);
    let presence = ear::presence(&samples[media::places(&samples, from, to)], tone.0);
    assert!(presence > 0.95, "it is there for {presence:.2} of that time");
}

/// The payload type of comfort noise (RFC 3551 section 6).
const NOISE: u8 = 13;

fn assert_is_noise(samples: &[i16], decibels: i32) {
    let level = 20.0 * (ear::loudness(samples) / 32_767.0).max(1e-6).log10();
    assert!((level - f64::from(decibels)).abs() < TOLERANCE, "what is heard is {level:.1} dB loud");
    // A sine would have all of the power.
    let loudest = (1..40).map(|n| ear::share(samples, 100.0 * f64::from(n))).fold(0.0, f64::max);
    assert!(loudest < 0.3, "that is no noise: one frequency has {loudest:.2} of it");
}
