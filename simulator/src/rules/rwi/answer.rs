//! A4: commands and their replies.

use super::talk::{Asked, Said, Talks};
use super::view::{Told, events, views};
use crate::rules::{Evidence, Findings, Rule};
use pbx::time::Duration;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "A4",
    source: "a promise of the PBX",
    sentence: "a command is answered once, by its id, and what is refused is not done",
    find: commands_are_answered,
}];

/// Some commands ask a telephone first, which may take 64 * T1.
const PATIENCE: Duration = Duration::from_secs(45);

/// What a command does, as it is told.
const EFFECTS: [(&str, &str); 16] = [
    ("call.originate", "call.created"),
    ("call.answer", "call.answered"),
    ("call.bridge", "call.bridged"),
    ("call.unbridge", "call.unbridged"),
    ("call.hangup", "call.hangup"),
    ("call.reject", "call.hangup"),
    ("call.transfer", "call.transfer.accepted"),
    ("media.play", "media.play.started"),
    ("record.start", "record.started"),
    ("queue.enqueue", "queue.joined"),
    ("conference.create", "conference.created"),
    ("conference.add", "conference.member.joined"),
    ("supervisor.listen", "supervisor.listen.started"),
    ("supervisor.whisper", "supervisor.whisper.started"),
    ("supervisor.barge", "supervisor.barge.started"),
    ("supervisor.takeover", "supervisor.takeover.started"),
];

fn commands_are_answered(evidence: &Evidence<'_>, findings: &mut Findings) {
    let told = events(&views(evidence));
    let all: Vec<_> = Talks::with_pbx(evidence).map(|talk| (talk, talk.commands())).collect();
    for (talk, (commands, strays)) in &all {
        for stray in strays {
            findings.add(stray.at, format!("{} was told {} and has not asked", talk.who(), id(stray)));
        }
        for asked in commands {
            if let Some(again) = asked.replies.get(1) {
                findings.add(again.at, format!("{} was answered twice", id(asked.said)));
            }
            let Some(arrived) = asked.said.arrived else { continue };
            let until = arrived + PATIENCE;
            let must = until < evidence.run.end
                && talk.over.is_none_or(|over| over > until)
                && evidence.ran(talk.server, arrived, until);
            if asked.replies.is_empty() && must {
                findings.add(arrived, format!("{} was not answered", id(asked.said)));
            }
        }
    }
    let others: Vec<&Asked<'_>> = all.iter().flat_map(|(_, (commands, _))| commands).collect();
    for refused in others.iter().filter(|asked| asked.replies.iter().any(|reply| !reply.has_succeeded())) {
        if let Some(effect) = effect(refused, &told, &others) {
            findings
                .add(effect.at, format!("{} was refused, and {} came of it", id(refused.said), effect.name));
        }
    }
}

/// What came of a refused command in the moment in which it was refused, if nothing else may have done it.
fn effect<'a>(refused: &Asked<'_>, told: &'a [Told<'a>], others: &[&Asked<'_>]) -> Option<&'a Told<'a>> {
    let at = refused.replies.first()?.at;
    let (_, effect) = EFFECTS.iter().find(|(action, _)| *action == refused.said.action())?;
    let from = told.partition_point(|told| told.at < at);
    let now = told[from..].iter().take_while(|told| told.at == at);
    let subjects: Vec<&str> = refused.calls().collect();
    let named = refused.said.what["params"]["conf_id"].as_str();
    let is_about = |told: &&Told<'_>| {
        told.name == *effect
            && match named.filter(|_| told.call.is_empty()) {
                Some(conference) => told.fact("conf_id") == conference,
                None => !subjects.is_empty() && told.calls().any(|call| subjects.contains(&call)),
            }
    };
    // Whatever else was done in this moment, or came over the wire to its call, may have done it.
    let alone = |other: &&&Asked<'_>| other.done() == Some(at);
    if others.iter().any(|other| alone(&other)) || *effect == "call.hangup" || *effect == "call.unbridged" {
        return None;
    }
    now.into_iter().find(is_about)
}

fn id(said: &Said) -> String {
    format!("{} {}", said.action(), said.what["action_id"].as_str().unwrap_or("without an id"))
}

#[cfg(test)]
mod tests {
    use super::super::super::tale::{Tale, breaks};
    use serde_json::json;

    #[test]
    fn a_command_that_is_answered_once_breaks_nothing() {
        assert!(!breaks("A4", &asked().then(answers(2, "1")).ends(60_000)));
    }

    #[test]
    fn a_command_that_is_not_answered_or_twice_breaks_a4() {
        assert!(breaks("A4", &asked().ends(60_000)));
        assert!(!breaks("A4", &asked().ends(6_000)), "it may take a while");
        assert!(breaks("A4", &asked().then(answers(2, "1")).then(answers(3, "1"))));
        assert!(breaks("A4", &asked().then(answers(2, "2"))));
    }

    #[test]
    fn what_was_refused_and_done_breaks_a4() {
        let refused = json!({ "response": "error", "action": "call.bridge", "action_id": "1", "error": {} });
        let bridged =
            |tale: Tale| tale.event(2, 4, 1, "call.bridged", "a", json!({ "leg_a": "a", "leg_b": "b" }));
        let params = json!({ "leg_a": "a", "leg_b": "b" });
        let asks = json!({ "action": "call.bridge", "action_id": "1", "params": params });
        let tale = Tale::new().connects(0, 4, "s_1").frame(1, 4, 1, &asks).frame(2, 1, 4, &refused);
        assert!(!breaks("A4", &tale.clone()));
        assert!(breaks("A4", &bridged(tale)));
    }

    fn asked() -> Tale {
        let asks = json!({ "action": "call.hangup", "action_id": "1", "params": { "call_id": "c" } });
        Tale::new().connects(0, 4, "s_1").frame(1, 4, 1, &asks)
    }

    fn answers(at: u64, id: &str) -> Tale {
        let reply = json!({ "response": "success", "action": "call.hangup", "action_id": id, "data": {} });
        Tale::new().frame(at, 1, 4, &reply)
    }
}
