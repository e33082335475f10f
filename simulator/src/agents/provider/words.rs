//! Events and actions as people write them into a table: `dtmf 1`, `prompt hello.wav interruptible=true, then transfer 2001`.

use super::super::notation::{self, is_json, json};
use serde_json::Value;

/// What stands behind the name of an event is the value of this.
const EVENTS: [(&str, &str); 8] = [
    ("dtmf", "digit"),
    ("dtmf_menu_invalid", "digit"),
    ("audio_complete", "interrupted"),
    ("api_response", "status"),
    ("phone_collected", "number"),
    ("recording_complete", "url"),
    ("input_voice", "text"),
    ("error", "reason"),
];

/// The same for actions.
const ACTIONS: [(&str, &str); 14] = [
    ("transfer", "target"),
    ("queue", "target"),
    ("voicemail", "target"),
    ("hangup", "prompt"),
    ("play_and_hangup", "prompt"),
    ("jump_ivr", "route_point"),
    ("route_to_agent", "target"),
    ("voip_bridge", "create_room_uri"),
    ("prompt", "file"),
    ("dtmf_menu", "greeting"),
    ("input_phone", "prompt"),
    ("input_voice", "scene"),
    ("api", "url"),
    ("torecord", "prompt"),
];

/// An event: its type, what it is about, more of it as `name=value`; or JSON.
pub fn event(text: &str) -> Result<Value, String> {
    notation::node(text, "type", &EVENTS)
}

/// An action, and what follows it without asking again behind `, then`; or JSON.
pub fn action(text: &str) -> Result<Value, String> {
    if is_json(text) {
        return json(text);
    }
    let mut following = None;
    for part in text.rsplit(", then ") {
        let mut action = notation::node(part, "type", &ACTIONS)?;
        if let Some(next) = following {
            action["next"] = next;
        }
        following = Some(action);
    }
    following.ok_or_else(|| "an action has a type".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_its_type_and_what_it_is_about() {
        assert_eq!(event("session_start"), Ok(json!({ "type": "session_start" })));
        assert_eq!(event("dtmf 1"), Ok(json!({ "type": "dtmf", "digit": "1" })));
        assert_eq!(
            event("audio_complete true"),
            Ok(json!({ "type": "audio_complete", "interrupted": true }))
        );
    }

    #[test]
    fn an_action_may_have_another_behind_it() {
        assert_eq!(
            action("prompt hello.wav interruptible=true, then transfer 2001"),
            Ok(json!({
                "type": "prompt", "file": "hello.wav", "interruptible": true,
                "next": { "type": "transfer", "target": "2001" },
            }))
        );
        assert_eq!(
            action(r#"{"type": "dtmf_menu", "entries": {}}"#),
            Ok(json!({ "type": "dtmf_menu", "entries": {} }))
        );
        assert!(action("dance wildly").is_err());
        assert!(action("").is_err());
    }
}
