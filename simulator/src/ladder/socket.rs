//! What people call what goes over a WebSocket: a command, a reply or an event in a line, with the call it is about.

use super::name::LONGEST;
use crate::agents::websocket::Opcode;
use serde_json::Value;

/// What names a call, a conference, a queue: the first of these that is there.
const ABOUT: [&str; 6] =
    ["call_id", "leg_a", "supervisor_call_id", "consultation_call_id", "conf_id", "session_id"];

/// What it is about beside that.
const WITH: [&str; 7] =
    ["destination", "target", "leg_b", "target_call_id", "agent_id", "queue_id", "consultation_call_id"];

/// What a frame is called.
pub(super) fn name(opcode: Opcode, payload: &[u8]) -> String {
    let name = match opcode {
        Opcode::Ping => "ping".to_owned(),
        Opcode::Pong => "pong".to_owned(),
        Opcode::Close => match payload {
            [high, low, ..] => format!("close {}", u16::from_be_bytes([*high, *low])),
            _ => "close".to_owned(),
        },
        Opcode::Text => match serde_json::from_slice(payload) {
            Ok(Value::Object(object)) => said(&Value::Object(object)),
            _ => format!("{:?}", String::from_utf8_lossy(payload)),
        },
        Opcode::Binary | Opcode::Continuation => format!("{} bytes", payload.len()),
    };
    name.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
}

fn said(frame: &Value) -> String {
    let text = |key: &str| frame[key].as_str();
    let action = text("action").unwrap_or("a command");
    if let Some(event) = text("event").or_else(|| text("event_type")) {
        return format!("event {event}{}", about(frame, &frame["data"]));
    }
    match text("response").or_else(|| text("status")) {
        Some("success") => format!("done: {action}{}", about(frame, &frame["data"])),
        Some(_) => {
            let code = frame["error"]["code"].as_str().or_else(|| frame["error"].as_str());
            format!("refused: {action}{}, {}", about(frame, &Value::Null), code.unwrap_or("nobody says why"))
        }
        None => format!("{action}{}", about(&frame["params"], &Value::Null)),
    }
}

/// Its call, and where that goes.
fn about(frame: &Value, data: &Value) -> String {
    let find = |keys: &[&'static str]| {
        let found = keys.iter().find_map(|key| Some((*key, frame[*key].as_str().or(data[*key].as_str())?)));
        found.filter(|(_, value)| !value.is_empty())
    };
    let own = find(&ABOUT);
    let with = find(&WITH).filter(|with| own.is_none_or(|own| own.1 != with.1));
    let own = own.map(|(_, own)| format!(" {own}")).unwrap_or_default();
    own + &with.map(|(_, with)| format!(" → {with}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_replies_and_events_are_a_line_each() {
        let name = |text: &str| name(Opcode::Text, text.as_bytes());
        let originate = r#"{"action":"call.originate","params":{"call_id":"c1","destination":"sip:bob"}}"#;
        assert_eq!(name(originate), "call.originate c1 → sip:bob");
        assert_eq!(
            name(r#"{"action":"call.bridge","params":{"leg_a":"a","leg_b":"b"}}"#),
            "call.bridge a → b"
        );
        let bridged = r#"{"event":"call.bridged","call_id":"a","seq":4,"data":{"leg_a":"a","leg_b":"b"}}"#;
        assert_eq!(name(bridged), "event call.bridged a → b");
        let done = r#"{"response":"success","action":"call.hangup","call_id":"a","data":{}}"#;
        assert_eq!(name(done), "done: call.hangup a");
        let refused = r#"{"response":"error","action":"call.hangup","error":{"code":"call_not_found"}}"#;
        assert_eq!(name(refused), "refused: call.hangup, call_not_found");
        assert_eq!(name(r#"{"event_type":"call_answered","call_id":"a"}"#), "event call_answered a");
        assert_eq!(name("good morning"), "\"good morning\"");
    }

    #[test]
    fn the_others_are_named_by_what_they_are() {
        assert_eq!(super::name(Opcode::Close, &[3, 232]), "close 1000");
        assert_eq!(super::name(Opcode::Ping, b""), "ping");
    }
}
