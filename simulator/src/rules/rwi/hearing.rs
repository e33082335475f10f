//! A5, A23: who hears whom is as applications are told.

use super::scene::Scene;
use super::view::Told;
use crate::rules::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "A5",
        source: "a promise of the PBX",
        sentence: "two calls that are bridged hear each other, and no longer when they are not",
        find: bridges_carry_sound,
    },
    Rule {
        id: "A23",
        source: "a promise of the PBX",
        sentence: "a supervisor who listens is heard by nobody, one who whispers by the agent, one who joins in by both",
        find: supervisors_are_heard_by_whom_they_are_to_be,
    },
];

/// Tones that are not further apart, in Hz, are one voice.
const ONE_VOICE: f64 = 10.0;

/// What is told at once is one change.
const AT_ONCE: Duration = Duration::from_millis(1);

fn bridges_carry_sound(evidence: &Evidence<'_>, findings: &mut Findings) {
    let scene = Scene::of(evidence);
    for told in &scene.events {
        let (one, other) = (told.fact("leg_a"), told.fact("leg_b"));
        let is_bridge = match told.name {
            "call.bridged" => true,
            "call.unbridged" => false,
            _ => continue,
        };
        let is_undone = |later: &&Told<'_>| {
            let same = |told: &Told<'_>| told.calls().any(|call| call == one || call == other);
            matches!(later.name, "call.bridged" | "call.unbridged") && later.name != told.name && same(later)
        };
        let mut at_once = scene.events.iter().filter(|it| it.at >= told.at && it.at <= told.at + AT_ONCE);
        if at_once.any(|later| is_undone(&later) && !std::ptr::eq(later, told)) {
            continue;
        }
        for at in scene.looks(told.at, &[one, other]) {
            for (listener, speaker) in [(one, other), (other, one)] {
                let Some(heard) = scene.hears(listener, speaker, at) else { continue };
                if is_bridge && !heard.is_there() {
                    findings
                        .add(at, format!("{listener} does not hear the {:.0} Hz of {speaker}", heard.tone));
                }
                if !is_bridge && !heard.is_not_there() {
                    findings.add(at, format!("{listener} still hears the {:.0} Hz of {speaker}", heard.tone));
                }
            }
        }
    }
}

fn supervisors_are_heard_by_whom_they_are_to_be(evidence: &Evidence<'_>, findings: &mut Findings) {
    let scene = Scene::of(evidence);
    let mut partners: BTreeMap<&str, &str> = BTreeMap::new();
    for told in &scene.events {
        match told.name {
            "call.bridged" => {
                let (one, other) = (told.fact("leg_a"), told.fact("leg_b"));
                partners.extend([(one, other), (other, one)]);
            }
            "call.unbridged" => {
                partners.remove(told.fact("leg_a"));
                partners.remove(told.fact("leg_b"));
            }
            name => {
                let part = name.strip_prefix("supervisor.").and_then(|name| name.strip_suffix(".started"));
                let (for_agent, for_customer) = match part {
                    Some("listen") => (false, false),
                    Some("whisper") => (true, false),
                    Some("barge") => (true, true),
                    _ => continue,
                };
                let (supervisor, agent) = (told.fact("supervisor_call_id"), told.fact("target_call_id"));
                let Some(customer) = partners.get(agent).copied() else { continue };
                for at in scene.looks(told.at, &[supervisor, agent, customer]) {
                    for (listener, other, is_to_hear) in
                        [(agent, customer, for_agent), (customer, agent, for_customer)]
                    {
                        let tone = |speaker: &str| scene.hears(listener, speaker, at).map(|heard| heard.tone);
                        // One telephone may be the supervisor and the one it supervises: it has one voice.
                        let voices = tone(supervisor).zip(tone(other));
                        let is_one = voices.is_some_and(|(one, other)| (one - other).abs() < ONE_VOICE);
                        if is_to_hear || !is_one {
                            judge(&scene, (listener, supervisor, is_to_hear), at, findings);
                        }
                    }
                }
            }
        }
    }
}

fn judge(
    scene: &Scene<'_, '_>,
    (listener, speaker, is_to_hear): (&str, &str, bool),
    at: Instant,
    findings: &mut Findings,
) {
    let Some(heard) = scene.hears(listener, speaker, at) else { return };
    if is_to_hear && !heard.is_there() {
        findings.add(at, format!("{listener} does not hear {speaker}"));
    }
    if !is_to_hear && !heard.is_not_there() {
        findings.add(at, format!("{listener} hears {speaker}"));
    }
}
