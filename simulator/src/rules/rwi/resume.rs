//! A6: events have numbers without a gap, also for who has lost the connection and comes back.

use super::talk::{Said, Talk, Talks};
use super::view::{Name, by_session};
use crate::rules::{Evidence, Findings, Rule};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "A6",
    source: "a promise of the PBX",
    sentence: "a session is told every event once, in the order of their numbers, and who comes back is told what was missed",
    find: nothing_is_missed,
}];

/// What a session was told.
#[derive(Default)]
struct Told<'a> {
    last: u64,
    events: BTreeMap<u64, &'a Value>,
}

fn nothing_is_missed(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut sessions: BTreeMap<Name<'_>, Told<'_>> = BTreeMap::new();
    for talk in Talks::with_pbx(evidence) {
        let mut next = 1;
        for (name, said) in by_session(talk, evidence) {
            let told = sessions.entry(name).or_default();
            // In the other dialect events have no numbers, and whoever asks is told of all that has been lately.
            let is_resumed = said.is_reply() && said.action() == "session.resume" && !said.is_flat();
            let wrong = if is_resumed {
                resumed(talk, said, told, &mut next)
            } else if said.event().is_some() {
                let wrong = told.hear(said, next);
                next = said.what["seq"].as_u64().unwrap_or_default() + 1;
                wrong
            } else {
                None
            };
            if let Some(wrong) = wrong {
                findings.add(said.at, format!("{}: {wrong}", name.0));
            }
        }
    }
}

impl<'a> Told<'a> {
    fn hear(&mut self, said: &'a Said, expected: u64) -> Option<String> {
        let seq = said.what["seq"].as_u64().unwrap_or_default();
        self.last = self.last.max(seq);
        let before = self.events.insert(seq, &said.what).filter(|before| **before != said.what);
        match before {
            Some(before) => Some(format!("{seq} was {} and is {}", before["event"], said.what["event"])),
            None if seq != expected => Some(format!("{seq} comes where {expected} was to come")),
            None => None,
        }
    }
}

/// From where on it is told, from now on.
fn resumed(talk: &Talk, said: &Said, told: &Told<'_>, next: &mut u64) -> Option<String> {
    if !said.has_succeeded() {
        return None;
    }
    let number = |key: &str| said.what["data"][key].as_u64().unwrap_or_default();
    let (last, oldest, count) = (number("last_seq"), number("oldest_seq"), number("replayed_count"));
    let asked = asked_for(talk, said).min(last);
    let from = (asked + 1).max(oldest.min(last + 1));
    *next = from;
    let is_complete = said.what["data"]["complete"] == true;
    match () {
        () if last < told.last => {
            Some(format!("{} was told already, and {last} is to be the last", told.last))
        }
        () if is_complete && from > asked + 1 => {
            Some(format!("{} is missing, and nothing is to be", asked + 1))
        }
        () if count != last + 1 - from => Some(format!("{count} are told again of {from} to {last}")),
        () => None,
    }
}

/// The number of the last event that a client says it knows.
fn asked_for(talk: &Talk, reply: &Said) -> u64 {
    let is_it = |said: &&Said| {
        !said.by_server
            && said.action() == "session.resume"
            && said.what["action_id"] == reply.what["action_id"]
    };
    let asked = talk.said.iter().rev().filter(|said| said.at <= reply.at).find(is_it);
    asked.and_then(|asked| asked.what["params"]["last_seq"].as_u64()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::super::tale::{Tale, breaks};
    use serde_json::{Value, json};

    #[test]
    fn numbers_without_a_gap_break_nothing() {
        assert!(!breaks("A6", &told(&[1, 2, 3])));
        assert!(breaks("A6", &told(&[1, 3])));
        assert!(breaks("A6", &told(&[1, 2, 2])));
    }

    #[test]
    fn who_comes_back_is_told_what_was_missed() {
        let back = |replayed: &[u64]| {
            let data = json!({
                "session_id": "s_1", "last_seq": 4, "oldest_seq": 1, "replayed_count": 2, "complete": true
            });
            let asks = json!({ "action": "session.resume", "action_id": "1", "params": { "last_seq": 2 } });
            let reply =
                json!({ "response": "success", "action": "session.resume", "action_id": "1", "data": data });
            let tale = told(&[1, 2]).connects(9, 5, "s_2").frame(9, 5, 1, &asks).frame(9, 1, 5, &reply);
            replayed.iter().fold(tale, |tale, seq| tale.event(9, 5, *seq, "call.dtmf", "c", Value::Null))
        };
        assert!(!breaks("A6", &back(&[3, 4, 5])));
        assert!(breaks("A6", &back(&[4, 5])));
        assert!(breaks("A6", &back(&[3, 4, 4])));
    }

    fn told(seqs: &[u64]) -> Tale {
        let tale = Tale::new().connects(0, 4, "s_1");
        seqs.iter().fold(tale, |tale, seq| tale.event(*seq, 4, *seq, "call.dtmf", "c", Value::Null))
    }
}
