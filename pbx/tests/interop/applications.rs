//! A WebSocket client that others have written controls calls of telephones that others have written (RWI).

use crate::baresip::telephone;
use crate::stage::{BARESIP, WSDUMP, office, play};
use crate::talk;
use crate::tone::Recording;
use crate::wsdump::Application;
use serde_json::json;
use std::time::Duration;

/// Long enough to tell a tone from a click.
const A_WHILE: Duration = Duration::from_millis(2500);

const TOKEN: &str = "a-token-of-the-story";

#[test]
fn a_customer_and_an_agent_are_called_and_talk() {
    play(&[BARESIP, WSDUMP], |stage| {
        let _pbx = stage.pbx(&office_with_applications("tandem"));
        let mut customer = telephone(stage, "1001").says(440).start();
        let mut agent = telephone(stage, "1002").says(1000).start();
        let mut application = Application::start(stage, TOKEN);

        application.commands(
            "call.originate",
            &json!({ "call_id": "leg_a", "destination": "sip:1001@local", "timeout_secs": 10 }),
        );
        application.is_told("call.answered", "leg_a");
        application
            .commands("call.originate", &json!({ "call_id": "leg_b", "destination": "sip:1002@local" }));
        application.is_told("call.answered", "leg_b");
        let file = stage.path("talk.wav");
        application.commands("call.bridge", &json!({ "leg_a": "leg_a", "leg_b": "leg_b" }));
        application
            .commands("record.start", &json!({ "call_id": "leg_a", "storage": { "path": "talk.wav" } }));
        talk(A_WHILE);
        application.commands("record.stop", &json!({ "call_id": "leg_a" }));
        application.commands("call.hangup", &json!({ "call_id": "leg_a" }));
        application.commands("call.hangup", &json!({ "call_id": "leg_b" }));
        customer.is_disconnected();
        agent.is_disconnected();

        customer.recording().is(1000, 2.0);
        agent.recording().is(440, 2.0);
        let both = Recording::read(&file);
        both.holds_together(&[440, 1000], 2.0);
    });
}

#[test]
fn a_customer_on_hold_is_taken_to_another_agent() {
    play(&[BARESIP, WSDUMP], |stage| {
        let _pbx = stage.pbx(&office_with_applications("tandem"));
        let mut customer = telephone(stage, "1001").says(440).start();
        let mut first = telephone(stage, "1002").says(1000).start();
        let mut second = telephone(stage, "1003").says(1500).start();
        let mut application = Application::start(stage, TOKEN);
        for (call, number) in [("leg_a", 1001), ("leg_b", 1002)] {
            let destination = format!("sip:{number}@local");
            application.commands("call.originate", &json!({ "call_id": call, "destination": destination }));
            application.is_told("call.answered", call);
        }
        application.commands("call.bridge", &json!({ "leg_a": "leg_a", "leg_b": "leg_b" }));

        let told = application
            .commands("call.transfer.attended", &json!({ "call_id": "leg_a", "target": "sip:1003@local" }));
        let consultation = told["data"]["consultation_call_id"].clone();
        application.is_told("call.answered", consultation.as_str().expect("it has a name"));
        customer.is_offered_a_change();
        application.commands(
            "call.transfer.complete",
            &json!({ "call_id": "leg_a", "consultation_call_id": consultation }),
        );
        first.is_disconnected();
        // baresip begins its own file anew with each change of the session.
        let recorded = json!({ "call_id": "leg_a", "storage": { "path": "talk.wav" } });
        application.commands("record.start", &recorded);
        talk(A_WHILE);
        application.commands("record.stop", &json!({ "call_id": "leg_a" }));
        // Who is left stays in the hands of the application.
        customer.hangs_up();
        application.is_told("call.hangup", "leg_a");
        application.commands("call.hangup", &json!({ "call_id": consultation }));
        second.is_disconnected();

        second.recording().has(440, 2.0);
        Recording::read(&stage.path("talk.wav")).holds_together(&[440, 1500], 2.0);
        let told = application.asks("call.hangup", &json!({ "call_id": "leg_a" }));
        assert_eq!(told["error"]["code"], "call_not_found", "{told}");
    });
}

/// The frames are those that clients of RustPBX send today.
#[test]
fn a_client_of_rustpbx_needs_no_change() {
    play(&[BARESIP, WSDUMP], |stage| {
        let _pbx = stage.pbx(&office_with_applications("rustpbx"));
        let mut customer = telephone(stage, "1001").says(440).start();
        let mut agent = telephone(stage, "1002").says(1000).start();
        let mut application = Application::start(stage, TOKEN);

        for (id, call, number) in [("a1", "leg_a", 1001), ("a2", "leg_b", 1002)] {
            application.says(&format!(
                r#"{{"rwi":"1.0","action_id":"{id}","action":"call.originate","params":{{"call_id":"{call}","destination":"sip:{number}@local","caller_id":"2000","timeout_secs":30,"context":"default"}}}}"#
            ));
            application.hears("the reply", |told| {
                told["type"] == "command_completed" && told["action_id"] == id && told["status"] == "success"
            });
            application.hears("the answer", |told| {
                told["event_type"] == "call_answered"
                    && told["call_id"] == call
                    && told.get("event").is_none()
            });
        }
        application
            .says(r#"{"action_id":"a3","action":"call.bridge","params":{"leg_a":"leg_a","leg_b":"leg_b"}}"#);
        application.hears("the bridge", |told| {
            told["event_type"] == "call_bridged" && told["leg_a"] == "leg_a" && told["leg_b"] == "leg_b"
        });
        application.hears("what is known of a call", |told| {
            told["event_type"] == "call_answered"
                && told["session_id"] == "leg_b"
                && told["callee_name"] == "1002"
                && told["root"]["call_id"] == "leg_b"
        });
        talk(A_WHILE);
        application.says(r#"{"rwi":"1.0","action_id":"l1","action":"ListCalls"}"#);
        let told = application.hears("the list", |told| told["action_id"] == "l1");
        let list = told["data"].as_array().expect("it is a list");
        let ours = list.iter().find(|call| call["session_id"] == "leg_a").expect("leg_a is listed");
        assert_eq!((&ours["status"], &ours["direction"]), (&json!("talking"), &json!("outbound")), "{told}");
        // Who comes back has no numbers of events: it asks for all that has been.
        let mut returned = Application::start(stage, TOKEN);
        returned.says(r#"{"action_id":"r1","action":"call.resume","params":{"call_id":"leg_a"}}"#);
        let told = returned.hears("what has been", |told| told["action_id"] == "r1");
        let events = told["data"]["events"].as_array().expect("they are a list");
        let names: Vec<_> = events.iter().filter_map(|event| event["event"]["event_type"].as_str()).collect();
        assert!(names.starts_with(&["call_created", "call_ringing", "call_answered"]), "{told}");
        // The same question again is not heard, whatever it is about.
        application.says(r#"{"action_id":"a3","action":"call.hangup","params":{"call_id":"leg_a"}}"#);
        application.says(
            r#"{"action_id":"a4","action":"call.hangup","params":{"call_id":"leg_a","reason":"by_system"}}"#,
        );
        application
            .hears("the end", |told| told["event_type"] == "call_hangup" && told["call_id"] == "leg_a");
        application.says(r#"{"action_id":"a5","action":"call.hangup","params":{"call_id":"nobody"}}"#);
        application.hears("a refusal", |told| {
            told["type"] == "command_failed" && told["error"] == "Call not found: nobody"
        });
        customer.is_disconnected();
        agent.hangs_up();
        agent.is_disconnected();

        customer.recording().is(1000, 2.0);
        agent.recording().has(440, 2.0);
    });
}

fn office_with_applications(dialect: &str) -> String {
    let office = office();
    format!(
        "{office}\n[recording]\ndirectory = \".\"\n[[rwi.tokens]]\ntoken = \"{TOKEN}\"\ndialect = \"{dialect}\"\n"
    )
}
