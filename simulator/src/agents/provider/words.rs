//! Events and actions as people write them into a table: `dtmf 1`, `prompt hello.wav interruptible=true, then transfer 2001`.

use serde_json::{Map, Value};

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
    node(text, &EVENTS)
}

/// An action, and what follows it without asking again behind `, then`; or JSON.
pub fn action(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return json(text);
    }
    let mut following = None;
    for part in text.rsplit(", then ") {
        let mut action = node(part, &ACTIONS)?;
        if let Some(next) = following {
            action["next"] = next;
        }
        following = Some(action);
    }
    following.ok_or_else(|| "an action has a type".to_owned())
}

fn node(text: &str, about: &[(&str, &str)]) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return json(text);
    }
    let mut words = text.split_whitespace();
    let kind = words.next().ok_or("nothing stands here")?;
    let mut node = Map::from_iter([("type".to_owned(), Value::from(kind))]);
    let field = about.iter().find(|(known, _)| *known == kind).map(|(_, field)| *field);
    let mut said = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some((name, value)) => drop(node.insert(name.to_owned(), value_of(value))),
            None => said.push(word),
        }
    }
    match (field, said.is_empty()) {
        (_, true) => {}
        (Some("interrupted" | "status"), false) => {
            node.insert(field.unwrap_or_default().to_owned(), value_of(&said.join(" ")));
        }
        (Some(field), false) => drop(node.insert(field.to_owned(), Value::from(said.join(" ")))),
        (None, false) => return Err(format!("what does {kind} do with {}?", said.join(" "))),
    }
    Ok(Value::Object(node))
}

/// Numbers and truths are such, everything else is a text.
fn value_of(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::Null)) => value,
        _ => Value::from(text),
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{text} is no JSON: {error}"))
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
