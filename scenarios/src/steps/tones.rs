//! Recordings, and what they should hold.

use crate::scene::Scene;
use crate::words::Span;
use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use pbx::tone::scan::{Key, Reason};

#[given(expr = "the schedule")]
async fn schedule(scene: &mut Scene, step: &Step) {
    scene.desk.expect(text_of(step));
}

#[given(expr = "a recording of the schedule")]
async fn as_expected(scene: &mut Scene) {
    scene.desk.record_as_expected();
}

#[given(expr = "a recording of the schedule in {word} with {int} samples a second")]
async fn written_in(scene: &mut Scene, encoding: String, rate: u32) {
    scene.desk.record_in(&encoding, rate);
}

#[given(expr = "a recording of")]
async fn recording_of(scene: &mut Scene, step: &Step) {
    scene.desk.record(text_of(step));
}

#[when(expr = "channel {int} is silent from {span} for {span}")]
async fn is_silent_for(scene: &mut Scene, channel: usize, from: Span, length: Span) {
    let at = |span: Span, rate: f64| (span.0.as_secs_f64() * rate).round() as usize;
    let rate = scene.desk.rate();
    let (from, length) = (at(from, rate), at(length, rate));
    scene.desk.spoil(channel, |samples| samples[from..from + length].fill(0.0));
}

#[when(expr = "channel {int} falls silent")]
async fn falls_silent(scene: &mut Scene, channel: usize) {
    scene.desk.spoil(channel, |samples| samples.fill(0.0));
}

#[when(expr = "digit {word} is pressed on channel {int} at {span}")]
async fn is_pressed(scene: &mut Scene, digit: String, channel: usize, at: Span) {
    let digit = digit.chars().next().expect("a word has a letter");
    scene.desk.press(channel, digit, at.0.as_secs_f64());
}

#[when(expr = "channel {int} comes {span} late")]
async fn comes_late(scene: &mut Scene, channel: usize, late: Span) {
    let shift = (late.0.as_secs_f64() * scene.desk.rate()).round() as usize;
    scene.desk.spoil(channel, |samples| {
        samples.rotate_right(shift);
        samples[..shift].fill(0.0);
    });
}

#[when(expr = "channel {int} is clipped at {int} % of its peak")]
async fn is_clipped(scene: &mut Scene, channel: usize, percent: u8) {
    scene.desk.spoil(channel, |samples| {
        let peak = samples.iter().fold(0.0f32, |most, sample| most.max(sample.abs()));
        let most = peak * f32::from(percent) / 100.0;
        samples.iter_mut().for_each(|sample| *sample = sample.clamp(-most, most));
    });
}

#[when(expr = "channels {int} and {int} are swapped")]
async fn are_swapped(scene: &mut Scene, one: usize, other: usize) {
    scene.desk.swap(one, other);
}

#[when(expr = "the file breaks off after {int} bytes")]
async fn breaks_off(scene: &mut Scene, bytes: usize) {
    scene.desk.break_off_after(bytes);
}

#[then(expr = "the recording is as expected")]
async fn is_as_expected(scene: &mut Scene) {
    assert_eq!(scene.desk.differences(), [""; 0]);
}

#[then(expr = "the recording is not as expected")]
async fn is_not_as_expected(scene: &mut Scene, step: &Step) {
    let said = scene.desk.differences().join("\n");
    assert_eq!(said, text_of(step).trim(), "other things are said of it");
}

#[then(expr = "it is said of digit {word}: {string}")]
async fn is_said_of(scene: &mut Scene, digit: String, part: String) {
    let said = scene.desk.differences();
    let own = format!(": digit {digit} ");
    assert!(said.iter().any(|said| said.contains(&own) && said.contains(&part)), "what is said is {said:#?}");
}

#[then(expr = "channel {int} holds the digits {string}")]
async fn holds_digits(scene: &mut Scene, channel: usize, digits: String) {
    let keys = scene.desk.hear(channel).scan.keys;
    let heard: String = keys.iter().filter(|key| key.rejected.is_none()).map(|key| key.digit).collect();
    assert_eq!(heard, digits);
}

#[then(expr = "channel {int} holds {string} {int} time(s)")]
async fn holds_rhythm(scene: &mut Scene, channel: usize, name: String, times: usize) {
    let cadences = scene.desk.hear(channel).scan.cadences;
    let said =
        |cadence: &pbx::tone::scan::Cadence| (format!("{} {}", cadence.plan, cadence.name), cadence.periods);
    assert_eq!(cadences.iter().map(said).collect::<Vec<_>>(), [(name, times)]);
}

#[then(expr = "channel {int} holds {int} Hz from {span} to {span}")]
async fn holds_tone(scene: &mut Scene, channel: usize, hertz: u32, from: Span, to: Span) {
    let tones = scene.desk.hear(channel).scan.tones;
    let is_there = |sample: usize, span: Span| (sample as f64 / 8_000.0 - span.0.as_secs_f64()).abs() < 0.002;
    let is_it = |tone: &&pbx::tone::scan::Tone| {
        tone.frequencies.len() == 1 && (tone.frequencies[0] / f64::from(hertz) - 1.0).abs() < 0.003
    };
    let tone = tones.iter().find(is_it).unwrap_or_else(|| panic!("what is heard is {tones:?}"));
    assert!(is_there(tone.start, from) && is_there(tone.end, to), "{tone:?}");
}

#[then(expr = "channel {int} is silent throughout")]
async fn is_silent(scene: &mut Scene, channel: usize) {
    let scan = scene.desk.hear(channel).scan;
    assert!(scan.keys.is_empty() && scan.tones.is_empty(), "{scan:?}");
}

#[then(expr = "digit {word} does not count, because it is {string}")]
async fn does_not_count(scene: &mut Scene, digit: String, reason: String) {
    let keys = scene.desk.hear(1).scan.keys;
    let said = |key: &Key| {
        let reason = match key.rejected {
            None => "a digit",
            Some(Reason::TooShort) => "too short",
            Some(Reason::Twist) => "twisted",
            Some(Reason::OffFrequency) => "off frequency",
            Some(Reason::TooWeak) => "too weak",
            Some(Reason::Speech) => "speech",
            Some(Reason::Echo) => "an echo",
        };
        (key.digit.to_string(), reason.to_owned())
    };
    assert_eq!(keys.iter().map(said).collect::<Vec<_>>(), [(digit, reason)]);
}

#[then(expr = "the file is refused: {string}")]
async fn is_refused(scene: &mut Scene, why: String) {
    let error = scene.desk.listen().expect_err("it is a recording");
    assert_eq!(error.to_string(), why);
}

/// The text that stands below the sentence.
fn text_of(step: &Step) -> &str {
    step.docstring.as_deref().unwrap_or_default()
}
