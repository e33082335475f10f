//! Every action with its parameters and what it does, for people who read about it.

use super::story::{RECEIVED, STORIES};
use crate::call::Code;
use crate::config::Scope;
use std::fmt::Write as _;

/// An action: its name, the scope it needs, its parameters (those in brackets may be left out), what it does.
pub(super) type Entry = (&'static str, Option<Scope>, &'static str, &'static str);

const CALL: Option<Scope> = Some(Scope::Call);
const RECORD: Option<Scope> = Some(Scope::Record);
const SUPERVISOR: Option<Scope> = Some(Scope::Supervisor);
const QUEUE: Option<Scope> = Some(Scope::Queue);
const MESSAGE: Option<Scope> = Some(Scope::Message);
const CONFERENCE: Option<Scope> = Some(Scope::Conference);

pub(super) const ACTIONS: [Entry; 50] = [
    (
        "call.originate",
        CALL,
        "destination, [call_id], [caller_id], [timeout_secs: 1 to 3600, 60], [context: default], [extra_headers: {}], [record: {mode, beep, max_duration_secs, storage}], [hold_music]",
        "calls somebody: `sip:1001@local` by the dial plan, `sip:0301234@TRUNK` over that trunk",
    ),
    ("call.answer", CALL, "call_id", "answers a call that waits; whoever does so first holds it"),
    (
        "call.reject",
        CALL,
        "call_id, [reason: busy, forbidden, not_found, unavailable, decline]",
        "refuses a call that waits: 486, 403, 404, 480, 603 (where nothing is said)",
    ),
    ("call.ring", CALL, "call_id", "lets a caller who waits hear that it rings (180)"),
    (
        "call.hangup",
        CALL,
        "call_id, [reason], [code: 400 to 699]",
        "ends a call; a caller who waits is refused with `code`",
    ),
    ("call.bridge", CALL, "leg_a, leg_b", "two calls hear each other from now on"),
    ("call.unbridge", CALL, "call_id", "a call and the one it hears are parked; both stay up"),
    (
        "call.transfer",
        CALL,
        "call_id, target, [timeout_secs: 1 to 3600, 30], [method: bridge, refer]",
        "a call goes to somebody else, and whom it talks to is hung up; by `refer` its telephone goes there itself",
    ),
    (
        "call.transfer.attended",
        CALL,
        "call_id, target, [timeout_secs: 1 to 3600, 30]",
        "a call is put on hold, and whom it talks to talks to the target first",
    ),
    (
        "call.transfer.complete",
        CALL,
        "call_id, consultation_call_id",
        "the call and the target talk; whom it talked to before is hung up",
    ),
    ("call.transfer.cancel", CALL, "consultation_call_id", "the target is hung up, and the two talk again"),
    ("call.hold", CALL, "call_id, [music]", "puts a call on hold: its telephone is told, and it hears music"),
    ("call.unhold", CALL, "call_id", "takes it off hold"),
    ("call.send_dtmf", CALL, "call_id, digits", "presses keys, in the way the telephone takes them"),
    ("call.set_var", CALL, "call_id, key, value", "keeps a note with a call"),
    ("call.get_var", CALL, "call_id, key", "says what a note says"),
    (
        "dtmf.collect",
        CALL,
        "call_id, [min_digits: 0 to 64, 1], [max_digits: 1 to 64, 16], [timeout_ms: 1 to 600000, 10000], [terminator]",
        "gathers the keys a call presses; `dtmf.collected` or `dtmf.collection_timeout` tells",
    ),
    (
        "media.play",
        CALL,
        "call_id, source: {type: file, uri | tone, frequency, duration_ms | silence, duration_ms | ringback}, [loop], [interrupt_on_dtmf]",
        "lets a call hear something, on top of whom it talks to",
    ),
    ("media.stop", CALL, "call_id", "ends that"),
    (
        "record.start",
        RECORD,
        "call_id, [mode: mixed, separate_legs], [beep], [max_duration_secs: 1 to 86400], [storage: {path}]",
        "records a call and whom it talks to, whoever that is",
    ),
    ("record.pause", RECORD, "call_id", "leaves out what is said from now on"),
    ("record.resume", RECORD, "call_id", "goes on"),
    ("record.stop", RECORD, "call_id", "completes the recording"),
    (
        "queue.enqueue",
        QUEUE,
        "call_id, queue_id, [priority: 0 to 255, 0], [max_wait_secs: 1 to 86400]",
        "a call waits in a queue, hears its music, and gets the first agent; the higher the priority, the sooner",
    ),
    (
        "queue.dequeue",
        QUEUE,
        "call_id, [agent_id]",
        "a call leaves its queue and is parked; with an agent, that one is rung for it",
    ),
    ("queue.hold", QUEUE, "call_id", "a call keeps its place and is given to nobody"),
    ("queue.unhold", QUEUE, "call_id", "it is given to agents again"),
    ("queue.set_priority", QUEUE, "call_id, priority: 0 to 255", "moves a call up or down"),
    ("queue.assign_agent", QUEUE, "call_id, agent_id", "rings this agent for it, free or not"),
    (
        "queue.requeue",
        QUEUE,
        "call_id, queue_id, [priority: 0 to 255]",
        "a call waits in another queue, or anew in the same",
    ),
    (
        "supervisor.listen",
        SUPERVISOR,
        "supervisor_call_id, target_call_id, [agent_leg]",
        "a supervisor hears a talk, and is heard by nobody",
    ),
    (
        "supervisor.whisper",
        SUPERVISOR,
        "supervisor_call_id, target_call_id, [agent_leg]",
        "it is heard by the target alone",
    ),
    (
        "supervisor.barge",
        SUPERVISOR,
        "supervisor_call_id, target_call_id, [agent_leg]",
        "it is heard by both",
    ),
    (
        "supervisor.takeover",
        SUPERVISOR,
        "supervisor_call_id, target_call_id, [agent_leg]",
        "it takes the place of the target, which is parked",
    ),
    (
        "supervisor.stop",
        SUPERVISOR,
        "supervisor_call_id, target_call_id, [agent_leg]",
        "it takes part no longer, and is parked",
    ),
    (
        "sip.message",
        MESSAGE,
        "call_id, [content_type: text/plain], body",
        "sends MESSAGE on its leg; the answer is that of the telephone",
    ),
    (
        "sip.notify",
        MESSAGE,
        "call_id, event, [content_type: application/json], [body]",
        "sends NOTIFY on its leg; the answer is that of the telephone",
    ),
    ("sip.options_ping", MESSAGE, "call_id", "sends OPTIONS on its leg; the answer is that of the telephone"),
    (
        "conference.create",
        CONFERENCE,
        "[conf_id], [conference_id], [max_members: 1 to 10000, 1000]",
        "opens a conference",
    ),
    (
        "conference.add",
        CONFERENCE,
        "conf_id, [conference_id], call_id",
        "a call comes into it: it hears all, and all hear it",
    ),
    ("conference.remove", CONFERENCE, "conf_id, [conference_id], call_id", "a call leaves it, and is parked"),
    ("conference.mute", CONFERENCE, "conf_id, [conference_id], call_id", "a member is heard no longer"),
    ("conference.unmute", CONFERENCE, "conf_id, [conference_id], call_id", "it is heard again"),
    ("conference.destroy", CONFERENCE, "conf_id, [conference_id]", "all its members are parked"),
    (
        "session.subscribe",
        None,
        "[contexts: []], [events: []]",
        "tells of all calls of these contexts, from now on; with `events` of these alone",
    ),
    ("session.unsubscribe", None, "[contexts: []]", "no longer tells of these"),
    ("session.list_calls", CALL, "", "all calls, with their states and whose they are"),
    (
        "session.attach_call",
        CALL,
        "call_id, [mode: control, listen, whisper, barge]",
        "takes a call that nobody holds; with another mode (scope `supervisor.control`) only tells of it",
    ),
    ("session.detach_call", CALL, "call_id", "lets go of a call; it stays up"),
    (
        "session.resume",
        None,
        "[session_id], [last_seq: 0]",
        "takes up a session whose connection was lost, and tells what was missed after `last_seq`",
    ),
];

/// The tables of docs/rwi.md: actions, events, errors.
pub fn document() -> String {
    let mut text = String::from("| action | scope | parameters | what it does |\n|---|---|---|---|\n");
    for (name, scope, params, does) in &ACTIONS {
        let scope = scope.map_or("none".to_owned(), |scope| format!("`{}`", scope.name()));
        let params = if params.is_empty() { "none" } else { params };
        let _ = writeln!(text, "| `{name}` | {scope} | {params} | {does} |");
    }
    text.push_str("\n| event | facts in `data` | when |\n|---|---|---|\n");
    for (name, facts, when) in STORIES.iter().chain(&RECEIVED) {
        let facts = if facts.is_empty() { "none" } else { facts };
        let _ = writeln!(text, "| `{name}` | {facts} | {when} |");
    }
    text.push_str("\n| error | when |\n|---|---|\n");
    for code in Code::ALL {
        let _ = writeln!(text, "| `{}` | {} |", code.name(), code.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rwi::action::Action;
    use crate::rwi::params::Params;
    use serde_json::{Map, Value, json};

    /// Every value that any parameter may have, so that an action reads all it knows.
    fn everything() -> Map<String, Value> {
        let value = json!({
            "call_id": "a", "leg_a": "a", "leg_b": "b", "destination": "1", "target": "sip:1@local",
            "consultation_call_id": "c", "digits": "1", "key": "k", "value": "v", "body": "text",
            "event": "e", "conf_id": "c", "queue_id": "q", "agent_id": "1", "priority": 1, "supervisor_call_id": "s", "target_call_id": "t",
            "source": { "type": "silence" }
        });
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    #[test]
    fn the_list_names_the_parameters_that_are_read_and_the_scope_that_is_asked_for() {
        let config = Config::default();
        for (name, scope, params, does) in &ACTIONS {
            let mut reader = Params::new(everything(), false);
            let action =
                Action::of(name, &mut reader, &config).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(action.scope(), *scope, "{name}: {does}");
            let mut read: Vec<&str> = reader.known().to_vec();
            read.sort_unstable();
            read.dedup();
            let mut listed = names(params);
            listed.sort_unstable();
            // What is read only when something else is missing is listed all the same.
            listed.retain(|name| *name != "conference_id" || read.contains(name));
            assert_eq!(read, listed, "{name}");
        }
    }

    /// The names in a list of parameters, without what is said of them.
    fn names(params: &str) -> Vec<&str> {
        let mut depth = 0;
        let at_top = |c: char, depth: &mut i32| {
            match c {
                '{' => *depth += 1,
                '}' => *depth -= 1,
                _ => {}
            }
            *depth == 0
        };
        let mut names = Vec::new();
        let mut start = 0;
        let mut in_brackets = false;
        for (index, c) in params.char_indices().chain([(params.len(), ',')]) {
            let is_top = at_top(c, &mut depth);
            match c {
                '[' if is_top && depth == 0 && !in_brackets && params[start..index].trim().is_empty() => {
                    in_brackets = true
                }
                ']' if is_top && params[index + 1..].starts_with([','])
                    || c == ']' && index + 1 == params.len() =>
                {
                    in_brackets = false
                }
                ',' if is_top && !in_brackets => {
                    let name = params[start..index].trim().trim_start_matches('[').trim_end_matches(']');
                    let name = name.split(':').next().unwrap_or_default().trim();
                    if !name.is_empty() {
                        names.push(name);
                    }
                    start = index + 1;
                }
                _ => {}
            }
        }
        names
    }
}
