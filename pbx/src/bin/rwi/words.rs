//! Commands as people write them, and what the PBX says as people read it.

use serde_json::{Map, Value, json};

/// The frame of a line: JSON as it is, or `call.bridge leg_a=a leg_b=b`. What has a dot stands within the other:
/// `source.type=file`. The number is given where the line names none.
pub(super) fn frame(line: &str, number: u64) -> Result<Value, String> {
    let line = line.trim();
    if line.starts_with('{') {
        let mut frame: Value =
            serde_json::from_str(line).map_err(|error| format!("that is no JSON: {error}"))?;
        if frame["action_id"].is_null() {
            frame["action_id"] = number.to_string().into();
        }
        return Ok(frame);
    }
    let mut words = line.split_whitespace();
    let action = words.next().unwrap_or_default();
    let mut params = Map::new();
    for word in words {
        let (name, value) =
            word.split_once('=').ok_or_else(|| format!("{word:?} is no parameter: it has no `=`"))?;
        match name.split_once('.') {
            Some((outer, inner)) => {
                let within = params.entry(outer).or_insert_with(|| json!({}));
                match within.as_object_mut() {
                    Some(within) => drop(within.insert(inner.to_owned(), value_of(inner, value))),
                    None => return Err(format!("{outer:?} stands there twice")),
                }
            }
            None => drop(params.insert(name.to_owned(), value_of(name, value))),
        }
    }
    Ok(json!({ "action": action, "action_id": number.to_string(), "params": params }))
}

/// What counts is a number, what is so or not is a truth, lists have commas; numbers of telephones and keys are texts.
fn value_of(name: &str, text: &str) -> Value {
    const LISTS: [&str; 2] = ["contexts", "events"];
    let counts = ["_secs", "_ms", "_digits", "_seq"].iter().any(|end| name.ends_with(end))
        || matches!(name, "priority" | "code" | "max_members" | "frequency");
    if LISTS.contains(&name) {
        return text.split(',').filter(|part| !part.is_empty()).map(Value::from).collect();
    }
    match serde_json::from_str(text) {
        Ok(value @ Value::Bool(_)) => value,
        Ok(value @ Value::Number(_)) if counts => value,
        _ => Value::from(text),
    }
}

/// A frame of the PBX in a line: when, what, of which call, the facts.
pub(super) fn line(frame: &Value) -> String {
    let text = |name: &str| frame[name].as_str().unwrap_or_default();
    if let Some(event) = frame["event"].as_str() {
        let time = text("timestamp").split('T').nth(1).unwrap_or_default();
        let time = time.get(..12).unwrap_or(time);
        return format!("{time}  {event} {}{}", text("call_id"), facts(&frame["data"])).trim_end().to_owned();
    }
    let about = frame["call_id"].as_str().map(|call_id| format!(" {call_id}")).unwrap_or_default();
    match frame["error"].as_object() {
        Some(error) => {
            let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("refused: {}{about}: {} ({})", text("action"), part("message"), part("code"))
        }
        None if frame["response"] == "success" => {
            format!("done: {}{about}{}", text("action"), facts(&frame["data"]))
        }
        None => frame.to_string(),
    }
}

fn facts(data: &Value) -> String {
    let Some(data) = data.as_object() else { return String::new() };
    let fact = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!(" {name}={text}"),
        value => format!(" {name}={value}"),
    };
    data.iter().filter(|(name, _)| *name != "call_id").map(fact).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_words_is_a_frame() {
        let frame = frame("media.play call_id=a source.type=file source.uri=x.wav loop=true", 7);
        assert_eq!(
            frame,
            Ok(json!({
                "action": "media.play", "action_id": "7",
                "params": { "call_id": "a", "source": { "type": "file", "uri": "x.wav" }, "loop": true }
            }))
        );
    }

    #[test]
    fn json_is_sent_as_it_is() {
        let sent = frame(r#"{"action":"call.hangup","action_id":"x","params":{"call_id":"a"}}"#, 1);
        assert_eq!(sent.map(|frame| frame["action_id"].clone()), Ok(json!("x")));
        assert!(frame("{", 1).is_err_and(|why| why.starts_with("that is no JSON")));
        assert!(frame("call.hangup leg_a", 1).is_err_and(|why| why.contains("no `=`")));
    }

    #[test]
    fn what_the_pbx_says_is_a_line() {
        let event = json!({ "event": "call.answered", "call_id": "a", "seq": 3,
                            "timestamp": "2026-01-01T10:00:00.026000Z", "data": { "by": "1001" } });
        assert_eq!(line(&event), "10:00:00.026  call.answered a by=1001");
        let refused = json!({ "type": "command_failed", "response": "error", "action": "call.hangup", "call_id": "x",
                              "error": { "code": "call_not_found", "message": "there is no call \"x\"" } });
        assert_eq!(line(&refused), "refused: call.hangup x: there is no call \"x\" (call_not_found)");
    }
}
