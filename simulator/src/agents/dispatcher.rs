//! A dispatcher: a web service that says where calls go.

use super::http::{Answers, Asked, Reply};
use serde_json::Value;

/// Where it listens.
pub const PORT: u16 = 8090;

/// What says where calls go.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    /// What it says, whatever it is asked: JSON, or what it takes for that.
    pub says: String,
}

impl Default for Dispatcher {
    fn default() -> Dispatcher {
        Dispatcher { says: r#"{"action":"not_handled"}"#.to_owned() }
    }
}

impl Answers for Dispatcher {
    fn answer(&mut self, asked: &Asked) -> Reply {
        match (asked.method.as_str(), asked.json()) {
            ("POST", Some(Value::Object(_))) => {
                Reply::status(200).with("content-type", "application/json").body(self.says.clone())
            }
            ("POST", _) => Reply::status(400),
            _ => Reply::status(405).with("allow", "POST"),
        }
    }
}
