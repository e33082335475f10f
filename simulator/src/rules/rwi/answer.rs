//! A4: commands and their replies.

use super::talk::{Asked, Said, Talks};
use super::view::{Told, events, views};
use crate::rules::log::Sip;
use crate::rules::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};

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

/// Such commands do nothing.
const IDLE: [&str; 5] =
    ["session.subscribe", "session.unsubscribe", "session.list_calls", "session.resume", "call.get_var"];

/// Who says the same again so soon in the dialect of RustPBX is not heard.
const FORGETS: Duration = Duration::from_secs(60);

/// Times are told in microseconds.
const GRAIN: Duration = Duration::from_micros(1);

/// The PBX needs so long for what a message wants of it.
const MOMENT: Duration = Duration::from_millis(5);

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
            if asked.replies.is_empty() && must && !is_said_again(asked, commands) {
                findings.add(arrived, format!("{} was not answered", id(asked.said)));
            }
        }
    }
    let scene = Scene { evidence, told, asked: all.iter().flat_map(|(_, (commands, _))| commands).collect() };
    for refused in scene.asked.iter().filter(|asked| asked.replies.iter().any(|reply| !reply.has_succeeded()))
    {
        if let Some(effect) = scene.effect(refused) {
            findings
                .add(effect.at, format!("{} was refused, and {} came of it", id(refused.said), effect.name));
        }
    }
}

/// Whether a client of the other dialect has said the same shortly before, and was answered.
fn is_said_again(asked: &Asked<'_>, commands: &[Asked<'_>]) -> bool {
    let id = &asked.said.what["action_id"];
    let is_it = |before: &&Asked<'_>| {
        before.said.at < asked.said.at
            && asked.said.at.since(before.said.at) < FORGETS
            && before.said.what["action_id"] == *id
    };
    !id.is_null()
        && commands
            .iter()
            .filter(is_it)
            .any(|before| before.replies.first().is_some_and(|reply| reply.is_flat()))
}

/// What was told, and all who have asked for something.
struct Scene<'a, 'b> {
    evidence: &'a Evidence<'b>,
    told: Vec<Told<'a>>,
    asked: Vec<&'a Asked<'a>>,
}

impl<'a> Scene<'a, '_> {
    /// What came of a refused command, if nothing else may have done it: the next that is told of its calls, in the moment in
    /// which it was refused or later.
    fn effect(&self, refused: &Asked<'_>) -> Option<&Told<'a>> {
        let at = refused.replies.first()?.at;
        let (_, effect) = EFFECTS.iter().find(|(action, _)| *action == refused.said.action())?;
        // Telephones, clocks and whoever it talks to end a call and a talk, too.
        if *effect == "call.hangup" || *effect == "call.unbridged" {
            return None;
        }
        let subjects: Vec<&str> = refused.calls().collect();
        let named = refused.said.what["params"]["conf_id"].as_str();
        let is_about = |told: &&Told<'_>| match named.filter(|_| told.call.is_empty()) {
            Some(conference) => told.fact("conf_id") == conference,
            None => !subjects.is_empty() && told.calls().any(|call| subjects.contains(&call)),
        };
        let from = self.told.partition_point(|told| told.at < at);
        let about: Vec<&Told<'a>> = self.told[from..].iter().filter(is_about).collect();
        let next = about.first()?.at;
        let mut at_once = about.iter().take_while(|told| told.at == next);
        let found = *at_once.clone().find(|told| told.name == *effect)?;
        // By itself a context answers a call with a tone.
        if *effect == "call.answered" && found.fact("by") != "application" {
            return None;
        }
        let is_clear = match next == at {
            true => {
                let is_asked_by_telephone = *effect == "call.transfer.accepted" && self.is_referred(next);
                !self.is_done_by_another(next) && !is_asked_by_telephone
            }
            // Later it must come out of nowhere.
            false => {
                at_once.all(|told| told.name == *effect)
                    && !self.is_done_by_another(next)
                    && !self.is_touched(&subjects, named, at, next)
                    && !self.is_woken(next)
            }
        };
        is_clear.then_some(found)
    }

    /// Whether something else was done in this moment that may have caused it.
    fn is_done_by_another(&self, at: Instant) -> bool {
        self.asked.iter().any(|other| other.done() == Some(at) && !IDLE.contains(&other.said.action()))
    }

    /// Whether somebody has commanded something of these calls in between, or goes on doing so.
    fn is_touched(&self, calls: &[&str], named: Option<&str>, from: Instant, to: Instant) -> bool {
        let asks_for = |other: &&&Asked<'_>| {
            other.calls().any(|call| calls.contains(&call))
                || named.is_some_and(|name| other.said.what["params"]["conf_id"] == name)
        };
        let is_between = |other: &Asked<'_>| {
            let ends = other.replies.first().map_or(to, |reply| reply.at);
            other.said.at <= to && ends > from
        };
        self.asked.iter().filter(asks_for).any(|other| is_between(other))
    }

    /// Whether a telephone has asked for a transfer in this moment.
    fn is_referred(&self, at: Instant) -> bool {
        self.evidence.log.messages.iter().any(|message| message.asks("REFER") && self.has_come(message, at))
    }

    /// Whether a message of a telephone came to the PBX in this moment, or a connection of an application ended some time
    /// before: calls of those who do not come back go where their context says.
    fn is_woken(&self, at: Instant) -> bool {
        let mut talks = Talks::with_pbx(self.evidence);
        self.evidence.log.messages.iter().any(|message| self.has_come(message, at))
            || talks.any(|talk| talk.over.is_some_and(|over| over <= at))
    }

    /// Whether a message came to the PBX in this moment.
    fn has_come(&self, message: &Sip, at: Instant) -> bool {
        let just_now = |came: Instant| came < at + GRAIN && at.since(came) <= MOMENT;
        self.evidence.is_pbx(message.to) && message.perhaps().any(just_now)
    }
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

    #[test]
    fn what_was_refused_and_is_done_later_breaks_a4() {
        let refused = json!({ "response": "error", "action": "call.bridge", "action_id": "1", "error": {} });
        let params = json!({ "leg_a": "a", "leg_b": "b" });
        let asks = json!({ "action": "call.bridge", "action_id": "1", "params": params });
        let begins = || Tale::new().connects(0, 4, "s_1").frame(1, 4, 1, &asks).frame(2, 1, 4, &refused);
        let legs = json!({ "leg_a": "a", "leg_b": "b" });
        let bridged = |tale: Tale, seq| tale.event(900, 4, seq, "call.bridged", "a", legs.clone());
        assert!(breaks("A4", &bridged(begins(), 1).ends(2_000)));
        let other = begins().event(500, 4, 1, "call.dtmf", "a", json!({ "digit": "1", "by": "info" }));
        assert!(!breaks("A4", &bridged(other, 2).ends(2_000)), "something else was told of it before");
        let asks = json!({ "action": "call.bridge", "action_id": "2", "params": params });
        let done = json!({ "response": "success", "action": "call.bridge", "action_id": "2", "data": {} });
        let again = begins().frame(899, 4, 1, &asks).frame(900, 1, 4, &done);
        assert!(!breaks("A4", &bridged(again, 1).ends(2_000)), "it was asked for anew");
        let rung = bridged(begins().request(899, 2, 1, "INVITE", "b1", 1), 1);
        assert!(!breaks("A4", &rung.ends(2_000)), "a telephone may have done it");
    }

    #[test]
    fn who_says_the_same_again_in_the_other_dialect_is_not_answered() {
        let asks = json!({ "action": "call.hangup", "action_id": "1", "params": { "call_id": "c" } });
        let reply = json!({ "type": "command_completed", "status": "success", "action": "call.hangup", "action_id": "1" });
        let twice = |again: u64| {
            let tale = Tale::new().connects(0, 4, "s_1").frame(1, 4, 1, &asks).frame(2, 1, 4, &reply);
            tale.frame(again, 4, 1, &asks).ends(again + 60_000)
        };
        assert!(!breaks("A4", &twice(5_000)));
        assert!(breaks("A4", &twice(65_000)));
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
