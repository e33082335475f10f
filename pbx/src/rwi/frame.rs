//! Frames: what a client says, and what it is answered, in either dialect.

use crate::call::{Answer, Code, Refusal};
use crate::config::Dialect;
use serde_json::{Map, Value, json};

/// What a client has asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) action: String,
    /// As it was given: a text or a number.
    pub(super) action_id: Option<Value>,
    pub(super) params: Map<String, Value>,
}

/// To what an answer belongs.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    pub(super) action: Option<String>,
    pub(super) action_id: Option<Value>,
    pub(super) call_id: Option<String>,
}

/// Reads a frame; what is wrong is said to whom it can be said.
pub(super) fn read(text: &str, dialect: Dialect) -> Result<Asked, Box<(Question, Refusal)>> {
    let nobody = Question::default;
    let mut map = match serde_json::from_str(text) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return wrong(nobody(), Code::InvalidJson, "expected a JSON object"),
        Err(error) => return wrong(nobody(), Code::InvalidJson, error.to_string()),
    };
    let action_id = map.remove("action_id").filter(|id| id.is_string() || id.is_number());
    let action = match map.remove("action") {
        Some(Value::String(action)) => action,
        _ => {
            let question = Question { action_id, ..nobody() };
            return wrong(question, Code::UnknownAction, "action: expected the name of an action");
        }
    };
    let action = match dialect {
        Dialect::Tandem => action,
        Dialect::RustPbx => alias(action),
    };
    let params = match map.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => {
            let question = Question { action: Some(action), action_id, call_id: None };
            return wrong(question, Code::InvalidParams, "params: expected an object");
        }
    };
    Ok(Asked { action, action_id, params })
}

fn wrong(question: Question, code: Code, why: impl Into<String>) -> Result<Asked, Box<(Question, Refusal)>> {
    Err(Box::new((question, Refusal::new(code, why))))
}

/// The names that clients of RustPBX may use as well.
fn alias(action: String) -> String {
    match action.as_str() {
        "Subscribe" => "session.subscribe",
        "Unsubscribe" => "session.unsubscribe",
        "ListCalls" => "session.list_calls",
        "Originate" => "call.originate",
        "Answer" => "call.answer",
        "MediaPlay" => "media.play",
        _ => return action,
    }
    .to_owned()
}

/// The answer as it goes out.
pub(super) fn written(question: &Question, answer: Answer, dialect: Dialect) -> String {
    let mut frame = Map::new();
    let kind = if answer.is_ok() { "command_completed" } else { "command_failed" };
    let outcome = if answer.is_ok() { "success" } else { "error" };
    frame.insert("type".into(), kind.into());
    match dialect {
        Dialect::Tandem => frame.insert("response".into(), outcome.into()),
        Dialect::RustPbx => frame.insert("status".into(), outcome.into()),
    };
    if let Some(action) = &question.action {
        frame.insert("action".into(), action.clone().into());
    }
    if let Some(id) = &question.action_id {
        frame.insert("action_id".into(), id.clone());
    }
    match answer {
        Ok(mut data) => {
            // What everybody wants to know stands where everybody looks for it.
            let about = data.get("call_id").cloned().or_else(|| question.call_id.clone().map(Value::from));
            if let Some(call_id) = about {
                frame.insert("call_id".into(), call_id);
            }
            let list = if dialect == Dialect::RustPbx { data.remove("calls") } else { None };
            if let Some(list) = list {
                frame.insert("data".into(), list);
            } else if dialect == Dialect::Tandem || !data.is_empty() {
                frame.insert("data".into(), data.into());
            }
        }
        Err(refusal) => {
            if let Some(call_id) = &question.call_id {
                frame.insert("call_id".into(), call_id.clone().into());
            }
            frame.insert(
                "error".into(),
                match dialect {
                    Dialect::Tandem => json!({ "code": refusal.code.name(), "message": refusal.message }),
                    Dialect::RustPbx => in_words(&refusal, question).into(),
                },
            );
        }
    }
    Value::Object(frame).to_string()
}

/// As clients of RustPBX expect to be told.
fn in_words(refusal: &Refusal, question: &Question) -> String {
    match refusal.code {
        Code::InvalidJson => format!("parse_error: {}", refusal.message),
        Code::UnknownAction if question.action.is_none() => "missing_action".to_owned(),
        Code::UnknownAction | Code::InvalidParams => format!("unknown_action: {}", refusal.message),
        Code::CallNotFound => {
            // Of two calls it may be the other one that is not there.
            let named = refusal.missing.as_deref().or(question.call_id.as_deref());
            format!("Call not found: {}", named.unwrap_or_default())
        }
        Code::AlreadyOwned => "Command failed: cannot claim call ownership: AlreadyOwned".to_owned(),
        _ => format!("Command failed: {}", refusal.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_the_question() {
        let question = Question {
            action: Some("call.hangup".into()),
            action_id: Some("7".into()),
            call_id: Some("leg_a".into()),
        };
        let frame: Value =
            serde_json::from_str(&written(&question, Ok(Map::new()), Dialect::Tandem)).expect("JSON");
        assert_eq!(
            frame,
            json!({ "type": "command_completed", "response": "success", "action": "call.hangup",
                    "action_id": "7", "call_id": "leg_a", "data": {} })
        );
        let refusal = Refusal::no_call("leg_a");
        let frame = written(&question, Err(refusal), Dialect::RustPbx);
        let frame: Value = serde_json::from_str(&frame).expect("JSON");
        assert_eq!(
            frame,
            json!({ "type": "command_failed", "status": "error", "action": "call.hangup", "action_id": "7",
                    "call_id": "leg_a", "error": "Call not found: leg_a" })
        );
    }

    #[test]
    fn what_is_no_question_is_told_why() {
        let code = |text: &str| read(text, Dialect::Tandem).expect_err("no question").1.code;
        assert_eq!(code("good morning"), Code::InvalidJson);
        assert_eq!(code("[]"), Code::InvalidJson);
        assert_eq!(code("{}"), Code::UnknownAction);
        assert_eq!(code(r#"{"action":"call.hangup","params":7}"#), Code::InvalidParams);
    }
}
