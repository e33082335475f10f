//! The tones of one channel and their rhythms.

use super::align::{Step, align};
use super::compare::Heard;
use super::keys::percent_off;
use super::sound::{Place, edges, instead_of, millis, strength};
use super::{Instead, Kind};
use crate::tone::scan::{Cadence, Plan, Tone};
use crate::tone::schedule::{Channel, Schedule, Sound, What};

/// Frequencies are the same within this share, and so many Hz.
const SAME: f64 = 0.01;
const HERTZ: f64 = 3.0;
/// A tone that is further from its time is another one, in milliseconds.
const FURTHEST: f64 = 1_500.0;

/// The rhythms that were expected. The tones of which they are made are free no longer.
pub(super) fn rhythms(
    schedule: &Schedule,
    expected: &Channel,
    heard: &Heard,
    free: &mut [bool],
) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for sound in &expected.sounds {
        let What::Cadence(plan) = &sound.what else { continue };
        let end = sound.start + plan.tones(sound.end - sound.start).last().map_or(0.0, |last| last.1);
        let overlaps =
            |start: usize, end_heard: usize| millis(end_heard).min(end) > millis(start).max(sound.start);
        let near: Vec<&Cadence> =
            heard.scan.cadences.iter().filter(|cadence| overlaps(cadence.start, cadence.end)).collect();
        let is_it = |cadence: &&&Cadence| {
            cadence.name == plan.name
                && (plan.name == "sit" || are_alike(&cadence.frequencies, plan.frequencies, 0.03))
        };
        let found = near.iter().find(is_it).or(near.first()).copied();
        let (from, to) = found.map_or((sound.start, end), |cadence| {
            (millis(cadence.start).min(sound.start), millis(cadence.end).max(end))
        });
        let mut first = None;
        for (tone, free) in heard.scan.tones.iter().zip(free.iter_mut()) {
            if *free && millis(tone.end) > from && millis(tone.start) < to {
                *free = false;
                first = first.or(Some(tone));
            }
        }
        let missing = |instead| Kind::Missing { what: sound.what.clone(), at: sound.start, instead };
        match (found, first) {
            (Some(cadence), _) if is_it(&&cadence) => {
                kinds.extend(edges(schedule, sound, end, millis(cadence.start), millis(cadence.end)));
            }
            (Some(cadence), _) => {
                let other = Plan::named(&format!("{} {}", cadence.plan, cadence.name));
                let other = other.map_or(What::Tone(cadence.frequencies.clone()), What::Cadence);
                kinds.push(missing(Instead::Other(other)));
            }
            (None, Some(tone)) => kinds.push(missing(percent_off(&tone.frequencies, plan.frequencies))),
            (None, None) => kinds.push(missing(instead_of(sound, heard))),
        }
    }
    kinds
}

/// The tones that were expected, and those that were not.
pub(super) fn tones(schedule: &Schedule, expected: &Channel, heard: &Heard, free: &mut [bool]) -> Vec<Kind> {
    let frequencies = |sound: &Sound| match &sound.what {
        What::Tone(frequencies) => frequencies.clone(),
        What::Key(_) | What::Cadence(_) => Vec::new(),
    };
    let wanted: Vec<(&Sound, Vec<f64>)> = expected
        .sounds
        .iter()
        .map(|sound| (sound, frequencies(sound)))
        .filter(|(_, f)| !f.is_empty())
        .collect();
    let open: Vec<&Tone> =
        heard.scan.tones.iter().zip(free.iter()).filter(|(_, free)| **free).map(|(tone, _)| tone).collect();
    let cost = |one: usize, other: usize| {
        let ((sound, frequencies), tone) = (&wanted[one], open[other]);
        let aside = (sound.start - millis(tone.start)).abs();
        if are_alike(&tone.frequencies, frequencies, SAME) {
            let is_there = aside <= schedule.tolerance;
            return (aside <= FURTHEST).then(|| if is_there { 0.0 } else { 0.1 + aside as f32 / 1_000.0 });
        }
        let overlap = millis(tone.end).min(sound.end) - millis(tone.start).max(sound.start);
        (2.0 * overlap > sound.end - sound.start).then_some(1.3)
    };
    let mut kinds = Vec::new();
    let mut extra = Vec::new();
    for step in align(wanted.len(), open.len(), cost) {
        let missing = |one: usize, instead| {
            let sound = wanted[one].0;
            Kind::Missing { what: sound.what.clone(), at: sound.start, instead }
        };
        match step {
            Step::Both(one, other) if are_alike(&open[other].frequencies, &wanted[one].1, SAME) => {
                kinds.extend(differences(schedule, wanted[one].0, open[other], heard));
            }
            Step::Both(one, other) => {
                kinds.push(missing(one, percent_off(&open[other].frequencies, &wanted[one].1)));
            }
            Step::Expected(one) => kinds.push(missing(one, instead_of(wanted[one].0, heard))),
            Step::Heard(other) => extra.push(open[other]),
        }
    }
    kinds.extend(extras(&extra, heard));
    kinds
}

fn differences(schedule: &Schedule, sound: &Sound, tone: &Tone, heard: &Heard) -> Vec<Kind> {
    let mut kinds = edges(schedule, sound, sound.end, millis(tone.start), millis(tone.end));
    let place =
        Place { start: tone.start, end: tone.end, frequencies: &tone.frequencies, levels: &tone.levels };
    kinds.extend(strength(schedule, sound, &place, heard));
    kinds
}

/// What was heard without being expected: a rhythm is told once, whatever tones it has.
fn extras(tones: &[&Tone], heard: &Heard) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    let mut told: Option<&Cadence> = None;
    for tone in tones {
        let holds = |cadence: &&Cadence| cadence.start <= tone.start && tone.end <= cadence.end;
        if told.as_ref().is_some_and(holds) {
            continue;
        }
        told = heard.scan.cadences.iter().filter(|cadence| cadence.periods > 1).find(holds);
        let plan = told.and_then(|cadence| Plan::named(&format!("{} {}", cadence.plan, cadence.name)));
        let what = plan.map_or(What::Tone(tone.frequencies.clone()), What::Cadence);
        kinds.push(Kind::Extra { what, at: millis(tone.start) });
    }
    kinds
}

fn are_alike(own: &[f64], wanted: &[f64], share: f64) -> bool {
    let is_near = |(own, wanted): (&f64, &f64)| (own - wanted).abs() <= (wanted * share).max(HERTZ);
    own.len() == wanted.len() && own.iter().zip(wanted).all(is_near)
}
