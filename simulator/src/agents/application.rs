//! An application that controls calls: a WebSocket client that sends commands in JSON and keeps what it is told, in order
//! and with the time.

use super::notation;
use super::websocket::{End, Message, Reader, Refused, Writer, connect, split};
use crate::network::SimHost;
use pbx::rng::Rng;
use pbx::shell::host::Host;
use pbx::time::Instant;
use serde_json::{Map, Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

/// Where calls are controlled.
pub const PATH: &str = "/rwi/v1";

/// Messages that are remembered; who is told more has lost its mind.
const REMEMBERED: usize = 100_000;

/// An event as people write it, its name, its call and its facts: `call.answered leg_a by=bob`.
pub fn event(text: &str) -> Result<Value, String> {
    let Value::Object(mut event) = notation::node(text, "event", &[("*", "call_id")])? else {
        return Err(format!("{text} is no event"));
    };
    if !notation::is_json(text) {
        let is_fact = |name: &str| !matches!(name, "event" | "call_id" | "seq" | "context");
        let names: Vec<String> = event.keys().filter(|name| is_fact(name)).cloned().collect();
        let facts: Map<String, Value> =
            names.into_iter().filter_map(|name| event.remove_entry(&name)).collect();
        if !facts.is_empty() {
            event.insert("data".to_owned(), Value::Object(facts));
        }
    }
    Ok(Value::Object(event))
}

/// A command as people write it, its action and its parameters: `media.play call_id=leg_a source.type=ringback`. What has a
/// dot stands within the other; commas make a list.
pub fn command(text: &str) -> Result<(String, Value), String> {
    match notation::words(text)? {
        (action, said, params) if said.is_empty() => Ok((action.to_owned(), nested(params))),
        (_, said, _) => Err(format!("{said} is no parameter: it has no name")),
    }
}

fn nested(params: Map<String, Value>) -> Value {
    let mut all = Map::new();
    for (name, value) in params {
        let value = match value {
            Value::String(text) if text.contains(',') => text.split(',').map(Value::from).collect(),
            Value::String(text) if text.starts_with('[') => {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
            value => value,
        };
        match name.split_once('.') {
            Some((outer, inner)) => {
                let within = all.entry(outer).or_insert_with(|| json!({}));
                within[inner] = value;
            }
            None => drop(all.insert(name, value)),
        }
    }
    Value::Object(all)
}

/// How its connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not tried, or waits for the server.
    Waiting,
    /// It was let in.
    Connected,
    /// It was not let in.
    Refused(Refused),
    /// The other side said goodbye, with a code and a reason.
    Closed(u16, String),
    /// The connection ended or made no sense.
    Lost(String),
}

/// A message that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When.
    pub at: Instant,
    /// What; a text that is no JSON is a JSON text.
    pub what: Value,
}

/// An application; clones are the same.
#[derive(Clone)]
pub struct Application {
    shared: Arc<Shared>,
}

struct Shared {
    host: SimHost,
    desk: Mutex<Desk>,
    reads: watch::Sender<bool>,
}

struct Desk {
    state: State,
    told: Vec<Told>,
    commands: u64,
    rng: Rng,
    line: Option<mpsc::UnboundedSender<Message>>,
}

impl Application {
    /// One that is not connected.
    pub fn new(host: SimHost) -> Application {
        let rng = Rng::new(host.seed());
        let desk = Desk { state: State::Waiting, told: Vec::new(), commands: 0, rng, line: None };
        let reads = watch::Sender::new(true);
        Application { shared: Arc::new(Shared { host, desk: Mutex::new(desk), reads }) }
    }

    /// Its host.
    pub fn host(&self) -> &SimHost {
        &self.shared.host
    }

    /// Connects to a server and shows this token, if any.
    pub fn connect(&self, server: SocketAddr, token: Option<&str>) {
        let token = token.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        let (line, waiting) = mpsc::unbounded_channel();
        let rng = {
            let mut desk = self.desk();
            desk.state = State::Waiting;
            desk.line = Some(line);
            desk.rng.fork()
        };
        self.shared.host.spawn(talk(self.shared.clone(), server, token, rng, waiting));
    }

    /// Sends a command; returns its `action_id`, by which the reply is found.
    pub fn command(&self, action: &str, params: &Value) -> String {
        let id = {
            let mut desk = self.desk();
            desk.commands += 1;
            format!("command-{}", desk.commands)
        };
        self.say(&json!({ "action": action, "action_id": id, "params": params }).to_string());
        id
    }

    /// Sends a text as it is.
    pub fn say(&self, text: &str) {
        self.send(Message::Text(text.to_owned()));
    }

    /// Sends any message: bytes, a ping.
    pub fn send(&self, message: Message) {
        if let Some(line) = &self.desk().line {
            // Where the connection is over, its state says so.
            let _ = line.send(message);
        }
    }

    /// Asks for what stands in a text, as [`command`] reads it, in what it was told: see [`Application::remember`].
    pub fn ask(&self, text: &str) -> Result<String, String> {
        let (action, params) = command(&self.remember(text))?;
        Ok(self.command(&action, &params))
    }

    /// Asks to be told what it has missed since it was told last.
    pub fn catch_up(&self) -> String {
        let last =
            self.events().iter().filter_map(|told| told.what["seq"].as_u64()).max().unwrap_or_default();
        let session = self.remember("$session_id");
        self.command("session.resume", &json!({ "session_id": session, "last_seq": last }))
    }

    /// Says goodbye.
    pub fn disconnect(&self) {
        self.send(Message::Close(1_000, String::new()));
    }

    /// Its machine loses its power; nobody is told.
    pub fn crash(&self) {
        self.shared.host.network().crash(self.shared.host.address());
    }

    /// Its machine starts again, without any connection.
    pub fn restart(&self) {
        self.shared.host.network().bounce(self.shared.host.address());
    }

    /// It does not read any more what it is sent.
    pub fn stop_reading(&self) {
        self.shared.reads.send_replace(false);
    }

    /// It reads again.
    pub fn read_on(&self) {
        self.shared.reads.send_replace(true);
    }

    /// How its connection is.
    pub fn state(&self) -> State {
        self.desk().state.clone()
    }

    /// Whether it is connected.
    pub fn is_connected(&self) -> bool {
        self.desk().state == State::Connected
    }

    /// All it was told, in order.
    pub fn told(&self) -> Vec<Told> {
        self.desk().told.clone()
    }

    /// The events among it.
    pub fn events(&self) -> Vec<Told> {
        self.told().into_iter().filter(|told| told.what["event"].is_string()).collect()
    }

    /// The reply to a command, as soon as there is one.
    pub fn reply(&self, id: &str) -> Option<Value> {
        let is_reply = |told: &&Told| told.what["action_id"] == id && told.what["response"].is_string();
        self.desk().told.iter().find(is_reply).map(|told| told.what.clone())
    }

    /// The last reply to any command.
    pub fn last_told_reply(&self) -> Option<Told> {
        let desk = self.desk();
        desk.told.iter().rfind(|told| told.what["response"].is_string()).cloned()
    }

    /// What `$name` in a text stands for: what it was told last under that name; `$incoming` is the call that came in last.
    pub fn remember(&self, text: &str) -> String {
        let told = self.told();
        let mut text = text.to_owned();
        while let Some(at) = text.find('$') {
            let name: String =
                text[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let value = told.iter().rev().find_map(|told| match name.as_str() {
                "incoming" if is_new(&told.what) => told.what["call_id"].as_str(),
                _ => [&told.what["data"], &told.what["data"][0]]
                    .into_iter()
                    .find_map(|data| data[&name].as_str()),
            });
            text.replace_range(at..=at + name.len(), value.unwrap_or("unheard-of"));
        }
        text
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.shared.desk()
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, text: &str) {
        let what = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        let at = self.host.now();
        let told = &mut self.desk().told;
        if told.len() < REMEMBERED {
            told.push(Told { at, what });
        }
    }
}

/// Whether it tells of a call that came in, in either dialect.
fn is_new(told: &Value) -> bool {
    told["event"] == "call.incoming" || told["event_type"] == "call_created"
}

async fn talk(
    shared: Arc<Shared>,
    server: SocketAddr,
    token: Option<(String, String)>,
    mut rng: Rng,
    waiting: mpsc::UnboundedReceiver<Message>,
) {
    let connected = connect(&shared.host, server, PATH, token.as_slice(), &mut rng).await;
    let state = match connected {
        Ok(stream) => {
            shared.desk().state = State::Connected;
            let (reader, writer) = split(stream, End::Client, rng);
            let end = converse(&shared, reader, writer, waiting).await;
            end.unwrap_or_else(|error| State::Lost(error.to_string()))
        }
        Err(refused) => State::Refused(refused),
    };
    shared.desk().state = state;
}

async fn converse<S: AsyncRead + AsyncWrite>(
    shared: &Shared,
    mut reader: Reader<S>,
    mut writer: Writer<S>,
    mut waiting: mpsc::UnboundedReceiver<Message>,
) -> io::Result<State> {
    let mut reads = shared.reads.subscribe();
    loop {
        let may_read = *reads.borrow_and_update();
        tokio::select! {
            biased;
            message = waiting.recv() => match message {
                Some(message) => writer.send(&message).await?,
                None => return Ok(State::Lost("another connection took its place".to_owned())),
            },
            _ = reads.changed() => {}
            message = reader.next(), if may_read => match message? {
                Some(Message::Text(text)) => shared.hear(&text),
                Some(Message::Ping(bytes)) => writer.send(&Message::Pong(bytes)).await?,
                Some(Message::Close(code, reason)) => {
                    // Who was the first to say goodbye does not answer the answer; nobody minds one that comes too late.
                    let _ = writer.send(&Message::Close(code.clamp(1_000, 4_999), String::new())).await;
                    return Ok(State::Closed(code, reason));
                }
                Some(Message::Binary(_) | Message::Pong(_)) => {}
                None => return Ok(State::Lost("the connection ended without a goodbye".to_owned())),
            },
        }
    }
}
