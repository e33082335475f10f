//! The keys of one channel: which is missing, too many, wrong, late.

use super::align::{Step, align};
use super::compare::Heard;
use super::sound::{Place, edges, instead_of, millis, strength};
use super::{Instead, Kind};
use crate::tone::dtmf;
use crate::tone::scan::{Key, Reason, Tone};
use crate::tone::schedule::{Channel, Schedule, Sound, What};

/// A key that is further from its time is another one, in milliseconds.
const FURTHEST: f64 = 1_500.0;
/// Another key this near is there instead of it, in milliseconds.
const NEAR: f64 = 40.0;
/// Frequencies that are further off are those of something else, in percent.
const OFF: f64 = 12.0;

pub(super) fn keys(schedule: &Schedule, expected: &Channel, heard: &Heard, free: &mut [bool]) -> Vec<Kind> {
    let is_key = |sound: &&Sound| matches!(sound.what, What::Key(_));
    let wanted: Vec<&Sound> = expected.sounds.iter().filter(is_key).collect();
    let counting: Vec<&Key> = heard.scan.keys.iter().filter(|key| key.rejected.is_none()).collect();
    let cost = |one: usize, other: usize| {
        let (sound, key) = (wanted[one], counting[other]);
        let aside = (sound.start - millis(key.start)).abs();
        if sound.what == What::Key(key.digit) {
            let is_there = aside <= schedule.tolerance;
            return (aside <= FURTHEST).then(|| if is_there { 0.0 } else { 0.1 + aside as f32 / 1_000.0 });
        }
        (aside <= schedule.tolerance.max(NEAR)).then_some(1.3)
    };
    let mut kinds = Vec::new();
    for step in align(wanted.len(), counting.len(), cost) {
        match step {
            Step::Both(one, other) if wanted[one].what == What::Key(counting[other].digit) => {
                kinds.extend(differences(schedule, wanted[one], counting[other], heard));
            }
            Step::Both(one, other) => {
                let instead = Instead::Other(What::Key(counting[other].digit));
                kinds.push(missing(wanted[one], instead));
            }
            Step::Expected(one) => kinds.push(missing(wanted[one], instead(wanted[one], heard, free))),
            Step::Heard(other) => {
                let key = counting[other];
                kinds.push(Kind::Extra { what: What::Key(key.digit), at: millis(key.start) });
            }
        }
    }
    kinds
}

fn missing(sound: &Sound, instead: Instead) -> Kind {
    Kind::Missing { what: sound.what.clone(), at: sound.start, instead }
}

fn differences(schedule: &Schedule, sound: &Sound, key: &Key, heard: &Heard) -> Vec<Kind> {
    let mut kinds = edges(schedule, sound, sound.end, millis(key.start), millis(key.end));
    let place = Place { start: key.start, end: key.end, frequencies: &key.frequencies, levels: &key.levels };
    kinds.extend(strength(schedule, sound, &place, heard));
    kinds
}

/// What is there where a key should be.
fn instead(sound: &Sound, heard: &Heard, free: &mut [bool]) -> Instead {
    let overlaps = |start: usize, end: usize| {
        millis(end.min(heard.samples.len())).min(sound.end) > millis(start).max(sound.start)
    };
    // A steady tone in the place of a key is explained with it, and not told again.
    let is_brief = |tone: &Tone| millis(tone.end - tone.start) < 2.0 * (sound.end - sound.start);
    let tone = heard
        .scan
        .tones
        .iter()
        .zip(free.iter_mut())
        .find(|(tone, free)| **free && overlaps(tone.start, tone.end) && is_brief(tone));
    let tone = tone.map(|(tone, free)| {
        *free = false;
        tone
    });
    let is_there = |key: &&Key| key.rejected.is_some() && overlaps(key.start, key.end);
    let rejected = heard.scan.keys.iter().filter(is_there).max_by_key(|key| key.end - key.start);
    match (rejected, tone) {
        (Some(key), _) if key.rejected == Some(Reason::OffFrequency) => off(sound, &key.frequencies),
        (_, Some(tone)) => off(sound, &tone.frequencies),
        (Some(key), None) => Instead::Rejected(key.rejected.unwrap_or(Reason::Speech)),
        (None, None) => instead_of(sound, heard),
    }
}

/// How far these frequencies are from those of the key.
fn off(sound: &Sound, frequencies: &[f64]) -> Instead {
    let What::Key(digit) = sound.what else { return Instead::Nothing };
    let nominal = dtmf::frequencies(digit).map_or([0.0; 2], |(row, column)| [row, column]);
    percent_off(frequencies, &nominal)
}

/// The frequencies as those that are off, when they are near enough to be meant.
pub(super) fn percent_off(frequencies: &[f64], nominal: &[f64]) -> Instead {
    let percent = |(own, nominal): (&f64, &f64)| (own / nominal - 1.0) * 100.0;
    let all: Vec<f64> = frequencies.iter().zip(nominal).map(percent).collect();
    let most = all.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    match most.filter(|most| most.abs() < OFF && frequencies.len() == nominal.len()) {
        Some(most) => Instead::Off(frequencies.to_vec(), most),
        None => Instead::Other(What::Tone(frequencies.to_vec())),
    }
}
