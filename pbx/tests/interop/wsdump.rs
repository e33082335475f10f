//! wsdump: a WebSocket client that others have written (python3-websocket). It sends the lines it is told and prints what comes.

use crate::becomes;
use crate::network::OFFICE;
use crate::process::Process;
use crate::stage::Stage;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ChildStdin;

/// An application that controls calls.
pub(crate) struct Application {
    process: Process,
    input: ChildStdin,
    asked: u64,
}

impl Application {
    /// Connects with a token of the configuration.
    pub(crate) fn start(stage: &Stage, token: &str) -> Application {
        let url = format!("ws://{OFFICE}:8080/rwi/v1?token={token}");
        // Python keeps what it prints into a pipe until there is a lot of it, unless told otherwise.
        let mut command = stage.command("wsdump");
        command.env("PYTHONUNBUFFERED", "1").args(["-r", "--eof-wait", "5"]).arg(url);
        let (process, input) = Process::start_listening("wsdump", &mut command);
        Application { process, input, asked: 0 }
    }

    /// A command and its reply, whatever that is.
    pub(crate) fn asks(&mut self, action: &str, params: &Value) -> Value {
        self.asked += 1;
        let id = self.asked.to_string();
        self.says(&json!({ "action": action, "action_id": id, "params": params }).to_string());
        self.hears("the reply", |told| told["action_id"] == id.as_str())
    }

    /// A command that is done.
    pub(crate) fn commands(&mut self, action: &str, params: &Value) -> Value {
        let told = self.asks(action, params);
        assert_eq!(told["type"], "command_completed", "{action} {params}: {told}");
        told
    }

    /// A text as it stands.
    pub(crate) fn says(&mut self, text: &str) {
        writeln!(self.input, "{text}").expect("wsdump runs");
        self.input.flush().expect("wsdump runs");
    }

    /// An event of a call, now or before.
    pub(crate) fn is_told(&self, event: &str, call: &str) -> Value {
        self.hears(event, |told| told["event"] == event && told["call_id"] == call)
    }

    /// The first frame that is it, now or before.
    pub(crate) fn hears(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        let is_heard = becomes(|| {
            let lines = self.process.lines();
            let mut frames = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
            found = frames.find(|frame: &Value| is_it(frame));
            found.is_some()
        });
        assert!(is_heard, "the application was never told {what}");
        found.unwrap_or_default()
    }
}
