//! An IVR provider: an HTTP server that is told what happens in a call and says what to do next.
//!
//! For every call there is `POST {url}/start`, then `POST {url}` with an event and the action in the answer, as often as the
//! call goes on, and `POST {url}/end`. It says what its table says for the event, or plays a script of actions whatever
//! happens; it looks at every request as strictly as its documents allow and keeps what was wrong.

mod context;
mod words;

pub use words::{action, event};

use super::http::{Answers, Asked, Reply};
use super::notation::is_within;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Below this path it is asked.
pub const PATH: &str = "/ivr/step";

/// Where it listens.
pub const PORT: u16 = 8080;

/// The provider.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    table: Vec<(Value, Value)>,
    script: VecDeque<Value>,
    steps: Vec<Step>,
    notices: Vec<Notice>,
    complaints: Vec<String>,
}

/// One event that it was told, and what it said.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The whole request.
    pub context: Value,
    /// The action.
    pub action: Value,
}

/// What it was told without being asked: that a session starts or ends, that a menu was left.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// `start`, `end`, `dtmf-match`, `fail`.
    pub what: String,
    /// What was said of it.
    pub about: Value,
}

impl Provider {
    /// One that hangs up whatever happens.
    pub fn new() -> Provider {
        Provider::default()
    }

    /// When this event happens, this is to be done. An event that says less stands for all that say more; the first that
    /// fits is taken.
    pub fn on(&mut self, event: Value, action: Value) {
        self.table.push((event, action));
    }

    /// Whatever happens next, this is to be done; after what was told before. When there is nothing more, the table holds.
    pub fn then(&mut self, action: Value) {
        self.script.push_back(action);
    }

    /// What it was told and has said, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The events it was told, in order.
    pub fn events(&self) -> Vec<Value> {
        self.steps.iter().map(|step| step.context["event"].clone()).collect()
    }

    /// What it was told without being asked, in order.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// What was wrong with what it was told.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    fn complain(&mut self, what: String) -> Reply {
        let reply = Reply::json(&json!({ "error": what }));
        self.complaints.push(what);
        Reply { status: 400, ..reply }
    }

    fn decide(&mut self, event: &Value) -> Value {
        if let Some(action) = self.script.pop_front() {
            return action;
        }
        let fits = |(known, _): &&(Value, Value)| is_within(known, event);
        let line = self.table.iter().find(fits);
        line.map_or_else(|| json!({ "type": "hangup" }), |(_, action)| action.clone())
    }
}

impl Answers for Provider {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let Some(what) = asked.path().strip_prefix(PATH) else { return Reply::status(404) };
        if asked.method != "POST" {
            return Reply::status(405).with("allow", "POST");
        }
        let about = match context::read(asked) {
            Ok(about) => about,
            Err(wrong) => return self.complain(wrong),
        };
        match what {
            "" => match context::check(&about) {
                Ok(()) => {
                    let action = self.decide(&about["event"]);
                    self.steps.push(Step { context: about, action: action.clone() });
                    Reply::json(&action)
                }
                Err(wrong) => self.complain(wrong),
            },
            "/start" | "/end" | "/dtmf-match" | "/fail" => {
                self.notices.push(Notice { what: what[1..].to_owned(), about });
                Reply::json(&json!({ "status": "ok" }))
            }
            _ => Reply::status(404),
        }
    }
}
