//! Events as clients of RustPBX know them: one flat object, with the names they are used to, and with what is known of the
//! call besides.

use super::custom::OwnNames;
use crate::boundary::{Event, What};
use crate::call::{Profile, Root};
use crate::cdr::Why;
use crate::sip::escape_user;
use crate::time::WallClock;
use serde_json::{Map, Value, json};

/// An event in the dialect of RustPBX.
pub(super) struct Flat {
    call_id: Option<String>,
    /// When it was, as RFC 3339 writes it.
    at: String,
    facts: Map<String, Value>,
}

/// What is known of the call that an event is about.
pub(super) struct About<'a> {
    /// What its applications call the group it belongs to.
    pub(super) context: Option<&'a str>,
    pub(super) profile: Option<&'a Profile>,
    /// The status with which it was refused when it had been ordered, and nobody has answered.
    pub(super) unanswered: Option<u16>,
    pub(super) domain: &'a str,
    pub(super) clock: &'a WallClock,
}

impl Flat {
    /// `None`: such clients are not told of it.
    pub(super) fn new(name: &str, data: Value, event: &Event, about: &About<'_>) -> Option<Flat> {
        let event_type = event_type(name, about)?;
        let mut facts = Map::new();
        facts.insert("event_type".into(), event_type.into());
        if let Some(call_id) = &event.call_id {
            facts.insert("call_id".into(), call_id.clone().into());
        }
        if let Value::Object(data) = data {
            facts.extend(data);
        }
        rename(name, &mut facts, event, about);
        if facts.contains_key("call_id") {
            add_what_is_known(&mut facts, about);
        }
        Some(Flat { call_id: event.call_id.clone(), at: about.clock.rfc3339(event.at), facts })
    }

    pub(super) fn name(&self) -> &str {
        self.facts.get("event_type").and_then(Value::as_str).unwrap_or_default()
    }

    /// As a client is told of it that has such names for calls.
    pub(super) fn frame(&self, names: &OwnNames) -> String {
        let mut facts = self.facts.clone();
        names.theirs(&mut facts);
        Value::from(facts).to_string()
    }

    /// As a webhook is told of it: who gets the events of all calls is told of which one this is.
    pub(super) fn posted(&self, number: u64) -> String {
        json!({
            "rwi": "1.0",
            "sequence": number,
            "timestamp": self.at,
            "call_id": self.call_id.as_deref().unwrap_or_default(),
            "event_type": self.name(),
            "event": self.facts,
        })
        .to_string()
    }

    pub(super) fn is_of(&self, call_id: &str) -> bool {
        self.call_id.as_deref() == Some(call_id)
    }

    /// As it is told once more to who asks for what has been.
    pub(super) fn again(&self) -> Value {
        json!({
            "timestamp": self.at,
            "call_id": self.call_id,
            "event": { "event_type": self.name(), "call_id": self.call_id, "payload": self.facts },
        })
    }
}

/// The calls as such a client lists them; the latest first, and not more than it is used to.
pub(super) fn listed(mut calls: Vec<(Value, Option<&Profile>)>, domain: &str) -> Vec<Value> {
    const LISTED: usize = 100;
    calls.reverse();
    calls.truncate(LISTED);
    let one = |(call, profile): (Value, Option<&Profile>)| {
        let is_answered = !call["answered_at"].is_null();
        let mut listed = json!({
            "session_id": call["call_id"],
            "direction": profile.map_or("inbound", |profile| profile.direction.name()),
            "status": if is_answered { "talking" } else { "ringing" },
            "started_at": call["started_at"],
        });
        for (name, value) in [("caller", &call["caller"]), ("callee", &call["dialled"])] {
            listed[name] = address(value.as_str().unwrap_or_default(), domain).into();
        }
        if is_answered {
            listed["answered_at"] = call["answered_at"].clone();
        }
        listed
    };
    calls.into_iter().map(one).collect()
}

/// The name; `None` where there is no such event: who has met a busy telephone or nobody is told that, and no end.
fn event_type(name: &str, about: &About<'_>) -> Option<String> {
    Some(match (name, about.unanswered) {
        ("call.failed", _) => return None,
        ("call.hangup", Some(408 | 480 | 486 | 487 | 600)) => return None,
        ("call.incoming", _) => "call_created".to_owned(),
        ("call.dtmf", _) => "dtmf".to_owned(),
        ("queue.hold", _) => "media_hold_started".to_owned(),
        ("queue.unhold", _) => "media_hold_stopped".to_owned(),
        (name, _) => name.replace('.', "_"),
    })
}

/// The facts by the names that such clients know.
fn rename(name: &str, facts: &mut Map<String, Value>, event: &Event, about: &About<'_>) {
    let to = |facts: &mut Map<String, Value>, old: &str, new: &str| {
        if let Some(value) = facts.remove(old) {
            facts.insert(new.into(), value);
        }
    };
    let nothing = |facts: &mut Map<String, Value>, names: &[&str]| {
        facts.extend(names.iter().map(|name| ((*name).to_owned(), Value::Null)));
    };
    match name {
        "call.incoming" | "call.created" => {
            facts.remove("dialled");
            facts.remove("caller");
            facts.insert("context".into(), about.context.unwrap_or_default().into());
            let headers = about.profile.iter().flat_map(|profile| &profile.headers);
            let headers = headers.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
            facts.insert("sip_headers".into(), Value::Object(headers.collect()));
            let trunk = about.profile.and_then(|profile| profile.trunk.clone());
            facts.insert("trunk".into(), trunk.into());
            nothing(facts, &["called_phone", "app_id", "routing_target", "uuid", "routing_path"]);
            if about.profile.is_none()
                && let What::CallIncoming { caller, dialled, .. } | What::CallCreated { caller, dialled, .. } =
                    &event.what
            {
                facts.insert("caller".into(), address(caller, about.domain).into());
                facts.insert("callee".into(), address(dialled, about.domain).into());
            }
        }
        "call.hangup" => {
            let by = facts.remove("by").unwrap_or_default();
            let by = if by == "pbx" { "system".into() } else { by };
            let reason = match (&event.what, about.unanswered) {
                (_, Some(_)) => "originate_failed",
                (What::CallEnded { why, .. }, None) => reason(why, by.as_str().unwrap_or_default()),
                (_, None) => "",
            };
            facts.insert("reason".into(), reason.into());
            facts.insert("hangup_by".into(), by);
        }
        // It names its two calls and no other.
        "call.bridged" => drop(facts.remove("call_id")),
        "call.unbridged" => {
            facts.remove("leg_a");
            facts.remove("leg_b");
        }
        "call.transfer.accepted" | "call.transferred" => to(facts, "target", "transfer_target"),
        "call.dtmf" => {
            facts.remove("by");
            nothing(facts, &["leg_id", "extra"]);
        }
        "dtmf.collected" | "dtmf.collection_timeout" | "media.play.started" | "media.play.finished" => {
            nothing(facts, &["leg_id"]);
        }
        "media.hold.started" | "media.hold.stopped" => drop(facts.remove("by")),
        "record.stopped" => {
            to(facts, "file", "filename");
            to(facts, "recording_id", "unique_id");
            nothing(facts, &["file_size", "download_url", "call_type", "agent_id", "agent_name"]);
        }
        _ => {}
    }
}

/// Why a call ended, in the words of RustPBX where it has any.
fn reason<'a>(why: &'a Why, by: &'a str) -> &'a str {
    match why {
        Why::HungUp => by,
        Why::Cancelled => "canceled",
        Why::Application => "system",
        Why::NoRtp => "rtpTimeout",
        Why::Transferred => "refer",
        // What such a client says itself when it hangs up comes back as that PBX writes it.
        Why::Said(words) => match words.as_str() {
            "by_caller" => "caller",
            "by_callee" => "callee",
            "by_system" => "system",
            "no_answer" => "noAnswer",
            other => other,
        },
    }
}

/// What is known of a call stands in each of its events, unless the event says it itself.
fn add_what_is_known(facts: &mut Map<String, Value>, about: &About<'_>) {
    let Some(Profile { caller, dialled, direction, trunk, root, .. }) = about.profile else { return };
    let known = [
        ("session_id", Value::from(root.session_id.as_str())),
        ("caller", address(caller, about.domain).into()),
        ("caller_name", caller.as_str().into()),
        ("callee", address(dialled, about.domain).into()),
        ("callee_name", dialled.as_str().into()),
        ("direction", direction.name().into()),
        ("trunk", trunk.clone().into()),
        ("root", written(root, about)),
    ];
    for (name, value) in known.into_iter().filter(|(_, value)| !value.is_null()) {
        facts.entry(name).or_insert(value);
    }
}

fn written(root: &Root, about: &About<'_>) -> Value {
    json!({
        "call_id": root.call_id,
        "caller": address(&root.caller, about.domain),
        "caller_name": root.caller,
        "callee": address(&root.dialled, about.domain),
        "callee_name": root.dialled,
        "start_time": about.clock.rfc3339(root.started),
    })
}

/// A number as an address.
fn address(number: &str, domain: &str) -> String {
    format!("sip:{}@{domain}", escape_user(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_ends_for_a_reason_that_such_clients_know() {
        for (why, by, told) in [
            (Why::HungUp, "callee", "callee"),
            (Why::Cancelled, "caller", "canceled"),
            ("by_system".into(), "system", "system"),
            ("a reason of one's own".into(), "system", "a reason of one's own"),
        ] {
            assert_eq!(reason(&why, by), told);
        }
    }

    #[test]
    fn a_call_that_met_a_busy_telephone_has_no_end() {
        let clock = WallClock { epoch_micros: 0 };
        let about =
            |unanswered| About { context: None, profile: None, unanswered, domain: "x", clock: &clock };
        assert_eq!(event_type("call.hangup", &about(Some(486))), None);
        assert_eq!(event_type("call.failed", &about(Some(403))), None);
        assert_eq!(event_type("call.hangup", &about(Some(403))).as_deref(), Some("call_hangup"));
        assert_eq!(event_type("queue.hold", &about(None)).as_deref(), Some("media_hold_started"));
    }
}
