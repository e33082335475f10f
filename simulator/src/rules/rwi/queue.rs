//! A22: queues.

use super::talk::{Asked, Talks};
use super::view::{Item, Told, views};
use crate::rules::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "A22",
    source: "a promise of the PBX",
    sentence: "a caller in a queue gets one agent, who is first in his turn, within the time he may wait, and not when he has gone",
    find: queues_are_just,
}];

/// Timers go off in the moment they are due.
const SLACK: Duration = Duration::from_millis(100);

/// Whoever rings in vain is let go by then.
const SOON: Duration = Duration::from_millis(500);

/// Somebody who waits.
struct Waiting<'a> {
    queue: &'a str,
    since: Instant,
    priority: u64,
    /// Which in the order of arrival.
    arrival: usize,
    held: bool,
    /// Agents that are rung for it.
    rung: usize,
    /// Their calls.
    agents: Vec<&'a str>,
    longest: Option<Duration>,
}

/// What is told of the queues to one session.
#[derive(Default)]
struct Queues<'a> {
    waiting: BTreeMap<&'a str, Waiting<'a>>,
    arrivals: usize,
    /// Callers whom nobody has waited with since, and why they left.
    left: BTreeMap<&'a str, &'a str>,
    /// The call to an agent that was made last.
    made: Option<&'a str>,
    /// Calls to agents that are needed no more, and since when.
    losers: BTreeMap<&'a str, Instant>,
}

fn queues_are_just(evidence: &Evidence<'_>, findings: &mut Findings) {
    let talks: Vec<_> = Talks::with_pbx(evidence).map(|talk| talk.commands().0).collect();
    let commands: Vec<&Asked<'_>> =
        talks.iter().flatten().filter(|asked| asked.said.action().starts_with("queue.")).collect();
    for view in views(evidence).into_values().filter(|view| !view.is_partial) {
        let mut queues = Queues::default();
        for item in &view.items {
            match item {
                Item::Turn => queues = Queues::default(),
                Item::Event(told) => {
                    if let Some(what) = queues.take(told, &commands) {
                        findings.add(told.at, format!("{} of {}: {what}", told.name, told.call));
                    }
                }
            }
        }
    }
}

impl<'a> Queues<'a> {
    fn take(&mut self, told: &Told<'a>, commands: &[&Asked<'_>]) -> Option<String> {
        if let Some((call, _)) = self.losers.iter().find(|(_, since)| told.at > **since + SOON) {
            return Some(format!("{call} still rings"));
        }
        match told.name {
            "call.created" if told.call.starts_with("agent-") => self.made = Some(told.call),
            "call.answered" | "call.hangup" => {
                self.losers.remove(told.call);
                for waiting in self.waiting.values_mut() {
                    waiting.agents.retain(|agent| *agent != told.call);
                }
            }
            "queue.joined" => self.join(told, commands),
            "queue.hold" | "queue.unhold" => {
                if let Some(waiting) = self.waiting.get_mut(told.call) {
                    waiting.held = told.name == "queue.hold";
                    waiting.rung = if waiting.held { 0 } else { waiting.rung };
                }
            }
            "queue.position_changed" => self.hear_priorities(told.at, commands),
            "queue.agent_offered" => return self.offer(told, commands),
            "queue.agent_no_answer" => {
                if let Some(waiting) = self.waiting.get_mut(told.call) {
                    waiting.rung = waiting.rung.saturating_sub(1);
                }
            }
            "queue.left" => return self.leave(told),
            "queue.agent_connected" => {
                // The same moment: he has left the queue for it.
                return match self.left.remove(told.call) {
                    // Who is told late does not know that it has waited.
                    Some("connected") | None => None,
                    Some(why) => Some(format!("it had left ({why})")),
                };
            }
            _ => {}
        }
        None
    }

    fn join(&mut self, told: &Told<'a>, commands: &[&Asked<'_>]) {
        self.arrivals += 1;
        let asked = commands.iter().rev().find(|asked| {
            matches!(asked.said.action(), "queue.enqueue" | "queue.requeue")
                && asked.calls().any(|call| call == told.call)
                && asked.done() == Some(told.sent)
        });
        let number = |key: &str| asked.and_then(|asked| asked.said.what["params"][key].as_u64());
        let before = self.waiting.get(told.call).map_or(0, |waiting| waiting.priority);
        let waiting = Waiting {
            queue: told.fact("queue_id"),
            since: told.at,
            priority: number("priority").unwrap_or(before),
            arrival: self.arrivals,
            held: false,
            rung: 0,
            agents: Vec::new(),
            longest: number("max_wait_secs").map(Duration::from_secs),
        };
        self.left.remove(told.call);
        self.waiting.insert(told.call, waiting);
    }

    fn hear_priorities(&mut self, until: Instant, commands: &[&Asked<'_>]) {
        for (call, waiting) in &mut self.waiting {
            let set = commands.iter().filter(|asked| {
                asked.said.action() == "queue.set_priority"
                    && asked.calls().any(|named| named == *call)
                    && asked.done().is_some_and(|done| done >= waiting.since && done <= until)
            });
            let last = set.max_by_key(|asked| asked.done());
            if let Some(priority) = last.and_then(|asked| asked.said.what["params"]["priority"].as_u64()) {
                waiting.priority = priority;
            }
        }
    }

    /// An agent is rung for somebody: those before him are being rung already, or were passed over by command.
    fn offer(&mut self, told: &Told<'a>, commands: &[&Asked<'_>]) -> Option<String> {
        self.hear_priorities(told.at, commands);
        let by_command = commands.iter().any(|asked| {
            matches!(asked.said.action(), "queue.assign_agent" | "queue.dequeue")
                && asked.calls().any(|call| call == told.call)
                && asked.done().is_some_and(|done| done >= told.at && done <= told.sent)
        });
        let Some(own) = self.waiting.get(told.call) else {
            return self.left.get(told.call).map(|why| format!("it had left ({why})"));
        };
        let place = |waiting: &Waiting<'_>| (Reverse(waiting.priority), waiting.arrival);
        let passed_over = self.waiting.iter().find(|(_, other)| {
            other.queue == own.queue && place(other) < place(own) && !other.held && other.rung == 0
        });
        let passed_over = passed_over.filter(|_| !by_command).map(|(call, _)| format!("{call} is before it"));
        if let Some(own) = self.waiting.get_mut(told.call) {
            own.rung += 1;
            own.agents.extend(self.made.take());
        }
        passed_over
    }

    fn leave(&mut self, told: &Told<'a>) -> Option<String> {
        let waiting = self.waiting.remove(told.call)?;
        self.losers.extend(waiting.agents.iter().map(|agent| (*agent, told.at)));
        self.left.insert(told.call, told.fact("reason"));
        let waited = told.at.since(waiting.since);
        let longest = waiting.longest.filter(|longest| waited > *longest + SLACK)?;
        Some(format!("it has waited {waited:?} and may {longest:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tale::{Tale, breaks};
    use serde_json::json;

    #[test]
    fn who_came_first_is_served_first() {
        let joined = |tale: Tale, seq, call| tale.event(seq, 4, seq, "queue.joined", call, facts());
        let offered = |tale: Tale, seq, call| tale.event(seq, 4, seq, "queue.agent_offered", call, facts());
        let both = || joined(joined(Tale::new().connects(0, 4, "s_1"), 1, "a"), 2, "b");
        assert!(!breaks("A22", &offered(offered(both(), 3, "a"), 4, "b")));
        assert!(breaks("A22", &offered(both(), 3, "b")));
    }

    #[test]
    fn who_has_gone_gets_nobody() {
        let told = |reason: &str| {
            let tale = Tale::new().connects(0, 4, "s_1").event(1, 4, 1, "queue.joined", "a", facts());
            let left = json!({ "queue_id": "q", "reason": reason });
            let tale = tale.event(2, 4, 2, "queue.left", "a", left);
            tale.event(2, 4, 3, "queue.agent_connected", "a", facts())
        };
        assert!(!breaks("A22", &told("connected")));
        assert!(breaks("A22", &told("abandoned")));
    }

    fn facts() -> serde_json::Value {
        json!({ "queue_id": "q" })
    }
}
