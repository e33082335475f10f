//! A3: the life of a call, as an application is told of it.

use super::view::{Item, Told, View, views};
use crate::rules::{Evidence, Findings, Rule};
use pbx::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const RULES: &[Rule] = &[Rule {
    id: "A3",
    source: "a promise of the PBX",
    sentence: "a call begins, rings, is answered at most once and is hung up once; nothing comes after that, and what has begun has ended",
    find: lives_are_whole,
}];

/// What begins, and what ends it. Which of several it is, is said by the fact that is named.
const PAIRS: [(&str, &[&str], &str); 8] = [
    ("media.play.started", &["media.play.finished"], "track_id"),
    ("media.hold.started", &["media.hold.stopped"], "by"),
    ("queue.joined", &["queue.left"], "queue_id"),
    ("conference.member.joined", &["conference.member.left"], "conf_id"),
    ("supervisor.listen.started", ENDS, "target_call_id"),
    ("supervisor.whisper.started", ENDS, "target_call_id"),
    ("supervisor.barge.started", ENDS, "target_call_id"),
    ("supervisor.takeover.started", &[], ""),
];
const ENDS: &[&str] = &["supervisor.mode.stopped", "supervisor.takeover.started"];

/// How far a call is.
#[derive(Default)]
struct Life<'a> {
    has_begun: bool,
    answered: bool,
    over: Option<Instant>,
    /// What has begun: by which event, and which of several.
    open: BTreeSet<(&'a str, String)>,
}

fn lives_are_whole(evidence: &Evidence<'_>, findings: &mut Findings) {
    let views = views(evidence);
    let begins = |told: &&Told<'_>| matches!(told.name, "call.created" | "call.incoming");
    let mut begun: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
    for told in views.values().flat_map(|view| &view.items).filter_map(Item::event).filter(begins) {
        begun.entry(told.call).or_default().push(told.at);
    }
    for view in views.values() {
        let mut lives: BTreeMap<&str, Life<'_>> = BTreeMap::new();
        for item in &view.items {
            match item {
                // What it was told no longer may be anything by now.
                Item::Turn => lives.retain(|_, life| life.over.is_some()),
                // A file of a recording is closed when all of it is written, whatever its call does.
                Item::Event(told) if told.call.is_empty() || told.name.starts_with("record.") => {}
                Item::Event(told) => {
                    let life = lives.entry(told.call).or_default();
                    // Its name is somebody else's now, of which others may have been told only.
                    let begun = begun.get(told.call).map_or(&[][..], Vec::as_slice);
                    if life.over.is_some_and(|over| begun.iter().any(|at| over < *at && *at <= told.at)) {
                        *life = Life::default();
                    }
                    if let Some(what) = life.take(told, view) {
                        findings.add(told.at, format!("{} of {}: {what}", told.name, told.call));
                    }
                }
            }
        }
    }
}

impl<'a> Life<'a> {
    /// What is wrong with an event.
    fn take(&mut self, told: &Told<'a>, view: &View<'_>) -> Option<String> {
        let begins = matches!(told.name, "call.created" | "call.incoming");
        if begins && self.over.is_some() {
            // In the same moment.
            *self = Life::default();
        }
        if self.over.is_some() {
            return Some("the call was over".to_owned());
        }
        match told.name {
            // Who is sent on to the applications of another context comes in there.
            "call.created" if self.has_begun => return Some("it was there already".to_owned()),
            "call.created" | "call.incoming" => self.has_begun = true,
            "call.ringing" | "call.early_media" if self.answered => {
                return Some("it was answered already".to_owned());
            }
            "call.answered" if std::mem::replace(&mut self.answered, true) => {
                return Some("it was answered already".to_owned());
            }
            "call.busy" | "call.no_answer" | "call.failed" if self.answered => {
                return Some("it was answered".to_owned());
            }
            "call.hangup" => {
                self.over = Some(told.at);
                let open = self.open.first().filter(|_| !view.is_partial);
                return open.map(|(name, which)| format!("{name} {which} has not ended"));
            }
            _ => {}
        }
        self.pair(told)
    }

    fn pair(&mut self, told: &Told<'a>) -> Option<String> {
        if let Some((name, ends, key)) = PAIRS.iter().find(|(name, ..)| *name == told.name)
            && !ends.is_empty()
        {
            let which = told.fact(key).to_owned();
            // A supervisor goes from one part to the next.
            let is_other =
                |(open, other): &(&str, String)| !(open.starts_with("supervisor.") && *other == which);
            if name.starts_with("supervisor.") {
                self.open.retain(is_other);
            }
            if !self.open.insert((told.name, which.clone())) {
                return Some(format!("{which} had begun already"));
            }
        }
        for (name, _, key) in PAIRS.iter().filter(|(_, ends, _)| ends.contains(&told.name)) {
            self.open.remove(&(*name, told.fact(key).to_owned()));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tale::{Tale, breaks};
    use serde_json::json;

    #[test]
    fn a_whole_life_breaks_nothing() {
        assert!(!breaks("A3", &told(&["call.created", "call.ringing", "call.answered", "call.hangup"])));
        assert!(!breaks("A3", &told(&["call.created", "call.hangup", "call.created", "call.hangup"])));
    }

    #[test]
    fn what_comes_after_the_end_or_twice_breaks_a3() {
        assert!(breaks("A3", &told(&["call.created", "call.hangup", "call.answered"])));
        assert!(breaks("A3", &told(&["call.created", "call.answered", "call.answered"])));
        assert!(breaks("A3", &told(&["call.hangup", "call.hangup"])));
        assert!(breaks("A3", &told(&["call.created", "call.answered", "call.ringing"])));
    }

    #[test]
    fn what_has_begun_and_not_ended_breaks_a3() {
        assert!(breaks("A3", &told(&["media.play.started", "call.hangup"])));
        assert!(!breaks("A3", &told(&["media.play.started", "media.play.finished", "call.hangup"])));
    }

    fn told(names: &[&str]) -> Tale {
        let tale = Tale::new().connects(0, 4, "s_1");
        (1..)
            .zip(names)
            .fold(tale, |tale, (seq, name)| tale.event(seq, 4, seq, name, "c1", json!({ "track_id": "t_1" })))
    }
}
