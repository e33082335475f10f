//! What a provider is told: whether it is what the documents promise, name by name and type by type.

use super::super::http::Asked;
use serde_json::Value;

/// The body of a request, when it is what every request is: an object in JSON that says so.
pub(super) fn read(asked: &Asked) -> Result<Value, String> {
    let kind = asked.header("content-type").unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(format!("the content type is {kind:?} and not application/json"));
    }
    match asked.json() {
        Some(about @ Value::Object(_)) => Ok(about),
        _ => Err("the body is no object in JSON".to_owned()),
    }
}

/// Whether this is the whole context of a step.
pub(super) fn check(context: &Value) -> Result<(), String> {
    for name in ["session_id", "caller", "callee"] {
        expect(context, name, "a text", Value::is_string)?;
    }
    expect(context, "direction", "inbound or outbound", |value| {
        matches!(value.as_str(), Some("inbound" | "outbound"))
    })?;
    for name in ["tenant_id", "ivr_id"] {
        expect(context, name, "a text or null", |value| value.is_string() || value.is_null())?;
    }
    expect(context, "variables", "texts by name", |value| {
        value.as_object().is_some_and(|variables| variables.values().all(Value::is_string))
    })?;
    expect(context, "event", "an object with a type", |event| event["type"].is_string())?;
    check_event(&context["event"])
}

fn check_event(event: &Value) -> Result<(), String> {
    let (is_text, is_number) = (Value::is_string, Value::is_number);
    match event["type"].as_str().unwrap_or_default() {
        "session_start" | "dtmf_timeout" | "dtmf_menu_timeout" => Ok(()),
        "dtmf" | "dtmf_menu_invalid" => expect(event, "digit", "a key", |digit| {
            digit.as_str().is_some_and(|digit| digit.len() == 1 && "0123456789*#ABCD".contains(digit))
        }),
        "audio_complete" => expect(event, "interrupted", "true or false", Value::is_boolean),
        "api_response" => {
            expect(event, "status", "a status", Value::is_u64)?;
            expect(event, "body", "there", |_| true)
        }
        "phone_collected" => expect(event, "number", "a text", is_text),
        "recording_complete" => {
            expect(event, "url", "a text", is_text)?;
            expect(event, "duration_secs", "a whole number", Value::is_u64)
        }
        "input_voice" => {
            expect(event, "text", "a text", is_text)?;
            expect(event, "confidence", "a number", is_number)
        }
        "error" => expect(event, "reason", "a text", is_text),
        unknown => Err(format!("no event is called {unknown:?}")),
    }
}

fn expect(within: &Value, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Result<(), String> {
    match within.get(name) {
        None => Err(format!("{name} is missing")),
        Some(value) if holds(value) => Ok(()),
        Some(value) => Err(format!("{name} is {value} and not {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_whole_context_is_fine() {
        assert_eq!(check(&context()), Ok(()));
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_named() {
        for (name, value, wrong) in [
            ("session_id", json!(1), "session_id is 1 and not a text"),
            ("direction", json!("up"), "direction is \"up\" and not inbound or outbound"),
            ("variables", json!({ "a": 1 }), "variables is {\"a\":1} and not texts by name"),
            ("event", json!({ "type": "dtmf", "digit": "12" }), "digit is \"12\" and not a key"),
            ("event", json!({ "type": "sneeze" }), "no event is called \"sneeze\""),
        ] {
            let mut context = context();
            context[name] = value;
            assert_eq!(check(&context), Err(wrong.to_owned()));
        }
        let mut context = context();
        context.as_object_mut().expect("an object").remove("tenant_id");
        assert_eq!(check(&context), Err("tenant_id is missing".to_owned()));
    }

    fn context() -> Value {
        json!({
            "session_id": "1", "caller": "alice", "callee": "99", "direction": "inbound",
            "tenant_id": null, "ivr_id": "menu", "variables": {},
            "event": { "type": "session_start" },
        })
    }
}
