//! Connections between applications and the PBX, and what was said over them.

use crate::agents::websocket::Opcode;
use crate::rules::Evidence;
use crate::wire::{Form, Message};
use pbx::time::Instant;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The header line of a handshake that names the session.
const SESSION: &str = "x-rwi-session:";

/// All connections that became WebSockets, in the order in which they were opened.
#[derive(Default)]
pub(in crate::rules) struct Talks {
    all: Vec<Talk>,
}

/// One of them.
pub(super) struct Talk {
    client: SocketAddr,
    pub(super) server: SocketAddr,
    /// As the server has named it.
    pub(super) session: String,
    /// In the order in which it was sent.
    pub(super) said: Vec<Said>,
    /// From when on one of the two reads nothing.
    pub(super) over: Option<Instant>,
}

/// A text that went over it.
pub(super) struct Said {
    pub(super) at: Instant,
    pub(super) arrived: Option<Instant>,
    pub(super) by_server: bool,
    /// What it says; `Null` for what is no JSON.
    pub(super) what: Value,
}

/// A command, and what was said to it.
pub(super) struct Asked<'a> {
    pub(super) said: &'a Said,
    /// The replies to it.
    pub(super) replies: Vec<&'a Said>,
}

impl Talks {
    /// Sorts what was written by connection.
    pub(in crate::rules) fn of(written: &[Message<'_>]) -> Talks {
        let (mut talks, mut open) = (Talks::default(), BTreeMap::new());
        for message in written {
            match message.form {
                Form::Foreign if message.bytes.starts_with(b"GET ") => {
                    open.remove(&(message.from, message.to));
                }
                Form::Foreign if message.bytes.starts_with(b"HTTP/1.1 101 ") => {
                    open.insert((message.to, message.from), talks.all.len());
                    talks.all.push(Talk::begins(message));
                }
                Form::Frame(opcode) => {
                    let (there, back) = ((message.from, message.to), (message.to, message.from));
                    if let Some(at) = open.get(&there).or_else(|| open.get(&back)) {
                        talks.all[*at].take(opcode, message);
                    }
                }
                Form::Foreign | Form::Datagram | Form::Framed | Form::Broken => {}
            }
        }
        talks
    }

    /// Those with the PBX.
    pub(super) fn with_pbx<'a>(evidence: &'a Evidence<'_>) -> impl Iterator<Item = &'a Talk> {
        evidence.log.talks.all.iter().filter(|talk| evidence.is_pbx(talk.server))
    }
}

impl Talk {
    fn begins(handshake: &Message<'_>) -> Talk {
        let head = String::from_utf8_lossy(&handshake.bytes).to_ascii_lowercase();
        let session = head.lines().find_map(|line| line.strip_prefix(SESSION)).unwrap_or_default();
        // Names are told apart by their case.
        let at = head.find(SESSION).map_or(0, |at| at + SESSION.len());
        let text = String::from_utf8_lossy(&handshake.bytes).into_owned();
        let session = text.get(at..at + session.len()).unwrap_or_default().trim().to_owned();
        let (client, server) = (handshake.to, handshake.from);
        Talk { client, server, session, said: Vec::new(), over: handshake.over }
    }

    fn take(&mut self, opcode: Opcode, message: &Message<'_>) {
        let ends = (opcode == Opcode::Close).then_some(message.sent);
        self.over = self.over.into_iter().chain(message.over).chain(ends).min();
        if opcode == Opcode::Text {
            let what = serde_json::from_slice(&message.bytes).unwrap_or(Value::Null);
            let by_server = message.from == self.server;
            self.said.push(Said { at: message.sent, arrived: message.arrived, by_server, what });
        }
    }

    /// The commands, each with its replies; and replies that are to nothing.
    pub(super) fn commands(&self) -> (Vec<Asked<'_>>, Vec<&Said>) {
        let (mut asked, mut strays): (Vec<Asked<'_>>, Vec<&Said>) = (Vec::new(), Vec::new());
        for said in &self.said {
            if !said.by_server {
                asked.push(Asked { said, replies: Vec::new() });
                continue;
            }
            if !said.is_reply() {
                continue;
            }
            let is_its = |asked: &Asked<'_>| said.may_answer(asked.said);
            let first = asked.iter().position(|asked| asked.replies.is_empty() && is_its(asked));
            match first.or_else(|| asked.iter().position(is_its)) {
                Some(at) => asked[at].replies.push(said),
                None => strays.push(said),
            }
        }
        (asked, strays)
    }

    /// How people call who is connected.
    pub(super) fn who(&self) -> SocketAddr {
        self.client
    }
}

impl Said {
    /// The event it tells of, in the dialect that has numbers.
    pub(super) fn event(&self) -> Option<&str> {
        self.what["event"].as_str().filter(|_| self.by_server && self.what["seq"].is_u64())
    }

    pub(super) fn is_reply(&self) -> bool {
        self.by_server && (self.what["response"].is_string() || self.what["status"].is_string())
    }

    /// Whether it is a reply in the dialect of RustPBX.
    pub(super) fn is_flat(&self) -> bool {
        self.what["status"].is_string()
    }

    pub(super) fn has_succeeded(&self) -> bool {
        self.what["response"] == "success" || self.what["status"] == "success"
    }

    pub(super) fn action(&self) -> &str {
        self.what["action"].as_str().unwrap_or_default()
    }

    /// Whether this reply fits that command.
    fn may_answer(&self, command: &Said) -> bool {
        // The other dialect has other words for the same.
        let names_it = self.what["status"].is_string()
            || self.what["action"].is_null()
            || self.what["action"] == command.what["action"];
        self.what["action_id"] == command.what["action_id"] && names_it
    }
}

impl Asked<'_> {
    /// The calls it names.
    pub(super) fn calls(&self) -> impl Iterator<Item = &str> {
        const NAMES: [&str; 6] =
            ["call_id", "leg_a", "leg_b", "supervisor_call_id", "target_call_id", "consultation_call_id"];
        NAMES.into_iter().filter_map(|name| self.said.what["params"][name].as_str())
    }

    /// When it did what it does: when it was answered well.
    pub(super) fn done(&self) -> Option<Instant> {
        self.replies.iter().find(|reply| reply.has_succeeded()).map(|reply| reply.at)
    }
}
