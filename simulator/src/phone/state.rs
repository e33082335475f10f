//! What a telephone says of itself, for people who look.

use super::Phone;
use super::line::{Line, State};
use pbx::time::Instant;
use serde_json::{Value, json};

impl Phone {
    /// Whether it is registered, and its calls, oldest first.
    pub fn state(&self) -> Value {
        let (is_plugged_in, is_registered) = (self.is_plugged_in(), self.is_registered());
        self.shared.look(|telephone, _| {
            json!({
                "extension": telephone.name,
                "is_plugged_in": is_plugged_in,
                "is_registered": is_registered,
                "registrations_answered":
                    telephone.registration.told.iter().map(|status| status.code()).collect::<Vec<_>>(),
                "habits": format!("{:?}", telephone.habits),
                "lines": telephone.lines.iter().map(line).collect::<Vec<_>>(),
            })
        })
    }
}

fn line(line: &Line) -> Value {
    let state = match line.state {
        State::Calling => "calling",
        State::Ringing { .. } => "ringing",
        State::Talking => "talking",
        State::Over => "over",
    };
    let seconds = |at: Instant| at.as_nanos() as f64 / 1e9;
    json!({
        "with": line.with,
        "state": state,
        "told": line.facts.told.iter().map(|status| status.code()).collect::<Vec<_>>(),
        "began_secs": seconds(line.facts.began_at),
        "answered_secs": line.facts.answered_at.map(seconds),
        "ended_secs": line.facts.ended_at.map(seconds),
        "ended_by_other": line.facts.ended_by_other,
        "is_held": line.facts.held,
        "codec": line.voice.codec(),
        "rtp_packets_heard": line.voice.listening.packets(),
        "keys_heard": line.voice.keys_heard,
    })
}
