//! An exchange that an application controls, from a script: a WebSocket server that lets in who shows its token, says what
//! its script says, and answers commands by a table. It stands where a PBX will stand.

use super::websocket::{End, Frame, Message, Opcode, Writer, accept, split};
use crate::network::{SimHost, TcpStream};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pbx::rng::Rng;
use pbx::shell::host::{Host, Listener};
use pbx::shell::timer;
use pbx::time::Duration;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::AsyncWrite;

/// Where it listens.
pub const PORT: u16 = 8080;

/// Commands that are remembered.
const REMEMBERED: usize = 100_000;

/// What it says and to whom.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Who does not show it is refused; `None`: everybody may.
    pub token: Option<String>,
    /// What is said after a connection, each so long after the one before.
    pub says: Vec<(Duration, Value)>,
    /// By action: what a command is answered with, and the events that follow at once.
    pub answers: Vec<(String, Value, Vec<Value>)>,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

/// How it misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It masks what it sends, which only clients do.
    Masks,
    /// It sends every message in pieces of one byte, with a ping between them: odd, and right.
    SpeaksInPieces,
    /// It sends a text that is no UTF-8.
    Mumbles,
    /// It ends the connection without a goodbye when something is to be said.
    BreaksOff,
}

impl FromStr for Fault {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Fault, &'static str> {
        match text {
            "masks its words" => Ok(Fault::Masks),
            "speaks in pieces" => Ok(Fault::SpeaksInPieces),
            "mumbles" => Ok(Fault::Mumbles),
            "breaks off" => Ok(Fault::BreaksOff),
            _ => Err("no misbehaviour has this name"),
        }
    }
}

/// The exchange; clones are the same.
#[derive(Clone)]
pub struct Exchange {
    shared: Arc<Shared>,
}

struct Shared {
    host: SimHost,
    script: Mutex<Script>,
    commands: Mutex<Vec<Value>>,
}

impl Exchange {
    /// Listens on a host.
    pub fn start(host: SimHost) -> Exchange {
        let shared = Arc::new(Shared { host, script: Mutex::default(), commands: Mutex::default() });
        shared.host.spawn(listen(shared.clone()));
        Exchange { shared }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.shared.host.address(), PORT)
    }

    /// Changes what it says to those who connect from now on.
    pub fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut locked(&self.shared.script));
    }

    /// The commands it was given, in order.
    pub fn commands(&self) -> Vec<Value> {
        locked(&self.shared.commands).clone()
    }
}

impl Shared {
    /// What a command is answered with.
    fn obey(&self, text: &str) -> Vec<Value> {
        let Ok(command) = serde_json::from_str::<Value>(text) else {
            return vec![failed("", &Value::Null, "invalid_json", "the frame is no JSON")];
        };
        let mut commands = locked(&self.commands);
        if commands.len() < REMEMBERED {
            commands.push(command.clone());
        }
        let action = command["action"].as_str().unwrap_or_default();
        let script = locked(&self.script);
        let Some((_, data, events)) = script.answers.iter().find(|(known, ..)| known == action) else {
            return vec![failed(action, &command["action_id"], "unknown_action", "there is no such action")];
        };
        let reply = json!({
            "type": "command_completed", "response": "success",
            "action": action, "action_id": command["action_id"], "data": data,
        });
        std::iter::once(reply).chain(events.iter().cloned()).collect()
    }
}

fn failed(action: &str, id: &Value, code: &str, message: &str) -> Value {
    json!({
        "type": "command_failed", "response": "error", "action": action, "action_id": id,
        "error": { "code": code, "message": message },
    })
}

async fn listen(shared: Arc<Shared>) {
    let address = SocketAddr::new(shared.host.address(), PORT);
    let Ok(mut listener) = shared.host.listen(address).await else { return };
    while let Ok((stream, _)) = listener.accept().await {
        shared.host.spawn(serve(shared.clone(), stream));
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(let_in(shared, request)) }
    });
    let http = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    // How a connection ends is seen by who connected.
    let _ = http.with_upgrades().await;
}

fn let_in(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Empty<Bytes>> {
    let script = locked(&shared.script).clone();
    let shown = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let expected = script.token.as_ref().map(|token| format!("Bearer {token}"));
    if expected.as_ref().is_some_and(|expected| shown != Some(expected.as_bytes())) {
        let mut refusal = Response::new(Empty::new());
        *refusal.status_mut() = StatusCode::UNAUTHORIZED;
        refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refusal;
    }
    let response = accept(&request);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let host = shared.host.clone();
        host.spawn(async move {
            if let Ok(upgraded) = hyper::upgrade::on(request).await {
                // How a connection ends is seen by who connected.
                let _ = converse(&shared, TokioIo::new(upgraded), script).await;
            }
        });
    }
    response
}

async fn converse(
    shared: &Shared,
    stream: TokioIo<hyper::upgrade::Upgraded>,
    script: Script,
) -> io::Result<()> {
    let (mut reader, mut writer) = split(stream, End::Server, Rng::new(shared.host.seed()));
    let mut to_say = script.says.into_iter();
    let mut next = to_say.next();
    let mut pause = Box::pin(timer::sleep(next.as_ref().map_or(Duration::ZERO, |(pause, _)| *pause)));
    loop {
        tokio::select! {
            biased;
            message = reader.next() => match message? {
                Some(Message::Text(text)) => {
                    for line in shared.obey(&text) {
                        say(&mut writer, &line, script.fault).await?;
                    }
                }
                Some(Message::Ping(bytes)) => writer.send(&Message::Pong(bytes)).await?,
                Some(Message::Close(code, _)) => {
                    return writer.send(&Message::Close(code, String::new())).await;
                }
                Some(Message::Binary(_) | Message::Pong(_)) => {}
                None => return Ok(()),
            },
            () = &mut pause, if next.is_some() => {
                if let Some((_, line)) = next.take() {
                    say(&mut writer, &line, script.fault).await?;
                }
                next = to_say.next();
                let length = next.as_ref().map_or(Duration::ZERO, |(pause, _)| *pause);
                pause = Box::pin(timer::sleep(length));
            }
        }
    }
}

async fn say<S: AsyncWrite>(writer: &mut Writer<S>, line: &Value, fault: Option<Fault>) -> io::Result<()> {
    let text = line.to_string();
    match fault {
        None => writer.send(&Message::Text(text)).await,
        Some(Fault::Masks) => writer.send_frame(&Frame::whole(Opcode::Text, text, Some([1, 2, 3, 4]))).await,
        Some(Fault::SpeaksInPieces) => {
            let count = text.len();
            for (at, byte) in text.into_bytes().into_iter().enumerate() {
                let opcode = if at == 0 { Opcode::Text } else { Opcode::Continuation };
                let piece = Frame { is_final: at + 1 == count, ..Frame::whole(opcode, vec![byte], None) };
                writer.send_frame(&piece).await?;
                writer.send(&Message::Ping(vec![byte])).await?;
            }
            Ok(())
        }
        Some(Fault::Mumbles) => writer.send_frame(&Frame::whole(Opcode::Text, vec![0xff, 0xfe], None)).await,
        Some(Fault::BreaksOff) => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
