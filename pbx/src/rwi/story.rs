//! What happened, as an event is written: its name, its facts; once for all who are told, whatever number they give it.

use super::flat::{About, Flat};
use crate::boundary::{Event, What};
use crate::config::Dialect;
use crate::time::WallClock;
use serde_json::{Value, json};

/// An event that can be told.
pub(super) struct Told {
    name: &'static str,
    /// What stands before the number and behind it.
    head: String,
    tail: String,
    /// The same in the other dialect, where anybody speaks that and it has such an event.
    flat: Option<Flat>,
}

impl Told {
    /// `None`: of no interest to applications.
    pub(super) fn new(event: &Event, context: Option<&str>, clock: &WallClock) -> Option<Told> {
        let (name, data) = story(&event.what)?;
        let mut head = format!("{{\"event\":{}", Value::from(name));
        if let Some(call_id) = &event.call_id {
            head.push_str(&format!(",\"call_id\":{}", Value::from(call_id.as_str())));
        }
        head.push_str(",\"seq\":");
        let mut tail = format!(",\"timestamp\":\"{}\"", clock.rfc3339(event.at));
        if let Some(context) = context {
            tail.push_str(&format!(",\"context\":{}", Value::from(context)));
        }
        tail.push_str(&format!(",\"data\":{data}}}"));
        Some(Told { name, head, tail, flat: None })
    }

    /// In the other dialect too.
    pub(super) fn and_flat(self, event: &Event, about: &About<'_>) -> Told {
        let flat = story(&event.what).and_then(|(name, data)| Flat::new(name, data, event, about));
        Told { flat, ..self }
    }

    /// What it is called.
    pub(super) fn name(&self, dialect: Dialect) -> &str {
        match (dialect, &self.flat) {
            (Dialect::RustPbx, Some(flat)) => flat.name(),
            (Dialect::RustPbx, None) | (Dialect::Tandem, _) => self.name,
        }
    }

    /// Whether there is such an event in this dialect.
    pub(super) fn is_told_in(&self, dialect: Dialect) -> bool {
        dialect == Dialect::Tandem || self.flat.is_some()
    }

    /// It in the other dialect.
    pub(super) fn flat(&self) -> Option<&Flat> {
        self.flat.as_ref()
    }

    /// The frame with this number.
    pub(super) fn frame(&self, seq: u64) -> String {
        format!("{}{seq}{}", self.head, self.tail)
    }

    /// As it is posted to a webhook, the first as number 1.
    pub(super) fn posted(&self, number: u64, dialect: Dialect) -> String {
        match dialect {
            Dialect::Tandem => self.frame(number),
            Dialect::RustPbx => self.flat.as_ref().map(|flat| flat.posted(number)).unwrap_or_default(),
        }
    }
}

/// The names of all events, each with the facts it has and when it comes.
pub(super) const STORIES: [(&str, &str, &str); 48] = [
    ("call.incoming", "caller, dialled", "somebody has called a number of the context"),
    ("call.created", "caller, dialled", "a call was originated"),
    ("call.ringing", "", "the other side rings (180)"),
    ("call.early_media", "", "the other side can be heard before it answers"),
    ("call.answered", "by", "it was answered, by whom"),
    ("call.busy", "sip_status", "an originated call met a busy telephone (486, 600)"),
    ("call.no_answer", "sip_status", "nobody has answered an originated call in time (408, 480)"),
    ("call.failed", "sip_status", "an originated call was refused otherwise"),
    ("call.bridged", "leg_a, leg_b", "two calls hear each other"),
    ("call.unbridged", "leg_a, leg_b", "they no longer do; leg_a is still up"),
    ("call.transfer.accepted", "target", "a transfer is under way"),
    ("call.transferred", "target", "it was done"),
    ("call.transfer.failed", "sip_status, reason", "it was not; everything is as before"),
    ("call.dtmf", "digit, by", "a key was pressed: `rfc4733`, `info` or `inband`"),
    ("call.hangup", "reason, by, sip_status", "the call is over; nothing more comes of it"),
    ("dtmf.collected", "digits", "the keys that were to be gathered"),
    ("dtmf.collection_timeout", "digits", "fewer keys than there should be"),
    ("media.play.started", "track_id", "something is heard"),
    ("media.play.finished", "track_id, interrupted", "it is no longer heard"),
    ("media.play.failed", "file, reason", "a file of the dial plan cannot be played"),
    (
        "media.hold.started",
        "by",
        "the call is on hold: by an `application`, or by its `telephone`, which no longer listens",
    ),
    ("media.hold.stopped", "by", "it is on hold no longer"),
    ("record.started", "recording_id, file", "a recording began"),
    ("record.paused", "recording_id", "it pauses"),
    ("record.resumed", "recording_id", "it goes on"),
    ("record.stopped", "recording_id, duration_secs, file", "it is complete"),
    ("record.failed", "recording_id, reason, file", "it ended too early; what is in the file is whole"),
    ("voicemail.left", "mailbox, caller, file, duration_secs", "a message was left in a mailbox"),
    ("supervisor.listen.started", "supervisor_call_id, target_call_id", "a supervisor hears a talk"),
    ("supervisor.whisper.started", "supervisor_call_id, target_call_id", "it is heard by the target"),
    ("supervisor.barge.started", "supervisor_call_id, target_call_id", "it is heard by both"),
    (
        "supervisor.takeover.started",
        "supervisor_call_id, target_call_id",
        "it has taken the place of the target",
    ),
    ("supervisor.mode.stopped", "supervisor_call_id, target_call_id", "it takes part no longer"),
    ("queue.joined", "queue_id, position", "a call waits in a queue"),
    ("queue.position_changed", "queue_id, position", "it has moved up, or down"),
    (
        "queue.left",
        "queue_id, reason",
        "it waits no longer: `connected`, `dequeued`, `requeued`, `timeout`, `abandoned`",
    ),
    ("queue.hold", "queue_id", "it keeps its place and is given to nobody"),
    ("queue.unhold", "queue_id", "it is again"),
    ("queue.wait_timeout", "queue_id", "it has waited as long as it may"),
    ("queue.agent_offered", "queue_id, agent_id", "an agent is rung for it"),
    ("queue.agent_no_answer", "queue_id, agent_id", "the agent has not answered, or has refused"),
    ("queue.agent_connected", "queue_id, agent_id, wait_secs", "the agent has answered, and they talk"),
    ("conference.created", "conf_id", "there is a conference"),
    ("conference.destroyed", "conf_id", "it is over"),
    ("conference.member.joined", "conf_id", "a call came into it"),
    ("conference.member.left", "conf_id", "a call left it"),
    ("conference.member.muted", "conf_id", "a member is heard no longer"),
    ("conference.member.unmuted", "conf_id", "it is heard again"),
];

/// The names of what was received on a leg, which are told like [`STORIES`].
pub(super) const RECEIVED: [(&str, &str, &str); 2] = [
    ("sip.message.received", "content_type, body", "MESSAGE came on its leg"),
    ("sip.notify.received", "event, content_type, body", "NOTIFY came on its leg"),
];

fn story(what: &What) -> Option<(&'static str, Value)> {
    let pair = |supervisor: &str, target: &str| json!({ "supervisor_call_id": supervisor, "target_call_id": target });
    Some(match what {
        What::CallIncoming { caller, dialled, .. } => {
            ("call.incoming", json!({ "caller": caller, "dialled": dialled }))
        }
        What::CallCreated { caller, dialled, .. } => {
            ("call.created", json!({ "caller": caller, "dialled": dialled }))
        }
        What::CallRinging => ("call.ringing", json!({})),
        What::CallEarlyMedia => ("call.early_media", json!({})),
        What::CallAnswered { by } => ("call.answered", json!({ "by": by })),
        What::CallUnanswered { status } => {
            let name = match status {
                486 | 600 => "call.busy",
                408 | 480 => "call.no_answer",
                _ => "call.failed",
            };
            (name, json!({ "sip_status": status }))
        }
        What::CallBridged { leg_a, leg_b } => ("call.bridged", json!({ "leg_a": leg_a, "leg_b": leg_b })),
        What::CallUnbridged { leg_a, leg_b } => ("call.unbridged", json!({ "leg_a": leg_a, "leg_b": leg_b })),
        What::TransferAccepted { target } => ("call.transfer.accepted", json!({ "target": target })),
        What::Transferred { target } => ("call.transferred", json!({ "target": target })),
        What::TransferFailed { status, reason } => {
            ("call.transfer.failed", json!({ "sip_status": status, "reason": reason }))
        }
        What::Dtmf { digit, by } => ("call.dtmf", json!({ "digit": digit, "by": by })),
        What::CallEnded { by, status, why } => {
            ("call.hangup", json!({ "reason": why.to_string(), "by": by, "sip_status": status }))
        }
        What::KeysCollected { keys } => ("dtmf.collected", json!({ "digits": keys })),
        What::KeysMissing { keys } => ("dtmf.collection_timeout", json!({ "digits": keys })),
        What::PlayStarted { track } => ("media.play.started", json!({ "track_id": track })),
        What::PlayFinished { track, interrupted } => {
            ("media.play.finished", json!({ "track_id": track, "interrupted": interrupted }))
        }
        What::MessageLeft { mailbox, caller, file, length } => (
            "voicemail.left",
            json!({
                "mailbox": mailbox,
                "caller": caller,
                "file": file,
                "duration_secs": length.as_secs_f64(),
            }),
        ),
        What::NotPlayed { file, reason } => ("media.play.failed", json!({ "file": file, "reason": reason })),
        What::HoldStarted { by } => ("media.hold.started", json!({ "by": by })),
        What::HoldStopped { by } => ("media.hold.stopped", json!({ "by": by })),
        What::RecordingStarted { recording, file } => {
            ("record.started", json!({ "recording_id": recording, "file": file }))
        }
        What::RecordingPaused { recording } => ("record.paused", json!({ "recording_id": recording })),
        What::RecordingResumed { recording } => ("record.resumed", json!({ "recording_id": recording })),
        What::RecordingEnded { recording, file, length } => (
            "record.stopped",
            json!({ "recording_id": recording, "duration_secs": length.as_secs_f64(), "file": file }),
        ),
        What::RecordingFailed { recording, file, reason } => {
            ("record.failed", json!({ "recording_id": recording, "reason": reason, "file": file }))
        }
        What::SupervisionStarted { supervisor, target, part } => {
            let name = match *part {
                "listen" => "supervisor.listen.started",
                "whisper" => "supervisor.whisper.started",
                _ => "supervisor.barge.started",
            };
            (name, pair(supervisor, target))
        }
        What::SupervisorTookOver { supervisor, target } => {
            ("supervisor.takeover.started", pair(supervisor, target))
        }
        What::SupervisionStopped { supervisor, target } => {
            ("supervisor.mode.stopped", pair(supervisor, target))
        }
        What::ConferenceCreated { conference } => ("conference.created", json!({ "conf_id": conference })),
        What::ConferenceDestroyed { conference } => {
            ("conference.destroyed", json!({ "conf_id": conference }))
        }
        What::ConferenceJoined { conference } => {
            ("conference.member.joined", json!({ "conf_id": conference }))
        }
        What::ConferenceLeft { conference } => ("conference.member.left", json!({ "conf_id": conference })),
        What::ConferenceMuted { conference, muted: true } => {
            ("conference.member.muted", json!({ "conf_id": conference }))
        }
        What::ConferenceMuted { conference, muted: false } => {
            ("conference.member.unmuted", json!({ "conf_id": conference }))
        }
        What::QueueJoined { queue, position } => {
            ("queue.joined", json!({ "queue_id": queue, "position": position }))
        }
        What::QueuePosition { queue, position } => {
            ("queue.position_changed", json!({ "queue_id": queue, "position": position }))
        }
        What::QueueLeft { queue, reason } => ("queue.left", json!({ "queue_id": queue, "reason": reason })),
        What::QueueHeld { queue, held: true } => ("queue.hold", json!({ "queue_id": queue })),
        What::QueueHeld { queue, held: false } => ("queue.unhold", json!({ "queue_id": queue })),
        What::QueueWaitTimeout { queue } => ("queue.wait_timeout", json!({ "queue_id": queue })),
        What::QueueAgentOffered { queue, agent } => {
            ("queue.agent_offered", json!({ "queue_id": queue, "agent_id": agent }))
        }
        What::QueueAgentDeclined { queue, agent } => {
            ("queue.agent_no_answer", json!({ "queue_id": queue, "agent_id": agent }))
        }
        What::QueueAgentConnected { queue, agent, waited } => (
            "queue.agent_connected",
            json!({ "queue_id": queue, "agent_id": agent, "wait_secs": waited.as_secs_f64() }),
        ),
        What::MessageReceived { content_type, body } => {
            ("sip.message.received", json!({ "content_type": content_type, "body": body }))
        }
        What::NotifyReceived { event, content_type, body } => {
            ("sip.notify.received", json!({ "event": event, "content_type": content_type, "body": body }))
        }
        What::Registered { .. }
        | What::Unregistered { .. }
        | What::AuthenticationFailed { .. }
        | What::NotRouted { .. }
        | What::Blocked { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdr::{EndedBy, Why};
    use crate::time::Duration;
    use std::collections::{BTreeMap, BTreeSet};

    /// One of each, and of those that have several names, one of each name.
    fn all() -> Vec<What> {
        let text = || "x".to_owned();
        let mut all = vec![
            What::CallIncoming { caller: text(), dialled: text(), context: text() },
            What::CallCreated { caller: text(), dialled: text(), context: text() },
            What::CallRinging,
            What::CallEarlyMedia,
            What::CallAnswered { by: text() },
            What::CallBridged { leg_a: text(), leg_b: text() },
            What::CallUnbridged { leg_a: text(), leg_b: text() },
            What::TransferAccepted { target: text() },
            What::Transferred { target: text() },
            What::TransferFailed { status: 486, reason: text() },
            What::Dtmf { digit: '1', by: "info" },
            What::CallEnded { by: EndedBy::Pbx, status: 200, why: Why::HungUp },
            What::KeysCollected { keys: text() },
            What::KeysMissing { keys: text() },
            What::PlayStarted { track: text() },
            What::PlayFinished { track: text(), interrupted: true },
            What::MessageLeft { mailbox: text(), caller: text(), file: "x".into(), length: Duration::ZERO },
            What::NotPlayed { file: "x".into(), reason: text() },
            What::HoldStarted { by: "telephone" },
            What::HoldStopped { by: "telephone" },
            What::RecordingStarted { recording: text(), file: "x".into() },
            What::RecordingPaused { recording: text() },
            What::RecordingResumed { recording: text() },
            What::RecordingEnded { recording: text(), file: "x".into(), length: Duration::ZERO },
            What::RecordingFailed { recording: text(), file: "x".into(), reason: text() },
            What::SupervisorTookOver { supervisor: text(), target: text() },
            What::SupervisionStopped { supervisor: text(), target: text() },
            What::ConferenceCreated { conference: text() },
            What::ConferenceDestroyed { conference: text() },
            What::ConferenceJoined { conference: text() },
            What::ConferenceLeft { conference: text() },
            What::QueueJoined { queue: text(), position: 1 },
            What::QueuePosition { queue: text(), position: 1 },
            What::QueueLeft { queue: text(), reason: "timeout" },
            What::QueueWaitTimeout { queue: text() },
            What::QueueAgentOffered { queue: text(), agent: text() },
            What::QueueAgentDeclined { queue: text(), agent: text() },
            What::QueueAgentConnected { queue: text(), agent: text(), waited: Duration::ZERO },
            What::MessageReceived { content_type: text(), body: text() },
            What::NotifyReceived { event: text(), content_type: text(), body: text() },
        ];
        all.extend([486, 408, 403].map(|status| What::CallUnanswered { status }));
        let parts = ["listen", "whisper", "barge"];
        all.extend(parts.map(|part| What::SupervisionStarted { supervisor: text(), target: text(), part }));
        for so in [true, false] {
            all.push(What::ConferenceMuted { conference: text(), muted: so });
            all.push(What::QueueHeld { queue: text(), held: so });
        }
        all
    }

    #[test]
    fn the_list_names_every_event_with_its_facts() {
        let listed: BTreeMap<&str, BTreeSet<&str>> = STORIES
            .iter()
            .chain(&RECEIVED)
            .map(|(name, facts, _)| (*name, facts.split(", ").filter(|fact| !fact.is_empty()).collect()))
            .collect();
        let told: Vec<(&str, Value)> = all().iter().filter_map(story).collect();
        for (name, data) in &told {
            let facts: BTreeSet<&str> =
                data.as_object().into_iter().flatten().map(|(fact, _)| fact.as_str()).collect();
            assert_eq!(listed.get(name), Some(&facts), "{name}");
        }
        let named: BTreeSet<&str> = told.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, listed.keys().copied().collect());
    }
}
