//! Applications over WebSockets (RFC 6455): what they say goes to the core, what the core has for them goes out.
//!
//! Each connection is a task with a bounded queue. Who does not read is cut off when its queue is full: the core never waits
//! for it, and neither does anybody else.

use super::host::Host;
use super::http::{ended, refusal};
use super::program::Handle;
use super::timer::{self, Timer};
use crate::boundary::{ClientId, FromClient, ToClient};
use crate::time::Duration;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::SinkExt;
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// Frames that wait for a client; over it, it is cut off.
const QUEUE: usize = 1_024;
/// Frames of all clients that wait for the core; then their readers wait.
const SAID: usize = 256;
/// The longest frame a client may send.
const FRAME: usize = 128 << 10;
/// What is read of a client at once. Most say little and seldom, and each has so much of our memory for itself.
const READ: usize = 4 << 10;
/// Frames that are written at once where they wait.
const TOGETHER: usize = 32;
/// How often a client is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A client of which nothing has come for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What becomes of a client that knocks.
pub(super) type Admission = Result<Admitted, u16>;

/// A client that was let in.
pub(super) struct Admitted {
    client: ClientId,
    session: String,
    frames: mpsc::Receiver<String>,
    said: mpsc::Sender<FromClient>,
}

/// The driver's ends of all connections.
pub(super) struct Lines {
    clients: BTreeMap<ClientId, Line>,
    last: u64,
    said: mpsc::Sender<FromClient>,
}

enum Line {
    Knocking(oneshot::Sender<Admission>),
    Open(mpsc::Sender<String>),
}

impl Lines {
    pub(super) fn new() -> (Lines, mpsc::Receiver<FromClient>) {
        let (said, hears) = mpsc::channel(SAID);
        (Lines { clients: BTreeMap::new(), last: 0, said }, hears)
    }

    /// Somebody is at the door.
    pub(super) fn knock(&mut self, answer: oneshot::Sender<Admission>) -> ClientId {
        self.last += 1;
        let client = ClientId(self.last);
        self.clients.insert(client, Line::Knocking(answer));
        client
    }

    /// Whether a client is still there that says something; one that says goodbye is so no longer.
    pub(super) fn hears(&mut self, said: &FromClient) -> bool {
        match said {
            FromClient::Knock { client, .. } | FromClient::Frame { client, .. } => {
                self.clients.contains_key(client)
            }
            FromClient::Gone(client) => self.clients.remove(client).is_some(),
        }
    }

    /// Gives a client what there is for it. The client is returned when it is gone by that.
    pub(super) fn send(&mut self, output: ToClient) -> Option<ClientId> {
        match output {
            ToClient::Admitted { client, session } => {
                let Some(Line::Knocking(answer)) = self.clients.remove(&client) else { return None };
                let (line, frames) = mpsc::channel(QUEUE);
                let admitted = Admitted { client, session, frames, said: self.said.clone() };
                // Who has gone away before the door was opened.
                if answer.send(Ok(admitted)).is_err() {
                    return Some(client);
                }
                self.clients.insert(client, Line::Open(line));
                None
            }
            ToClient::Refused { client, status } => {
                if let Some(Line::Knocking(answer)) = self.clients.remove(&client) {
                    let _ = answer.send(Err(status));
                }
                None
            }
            ToClient::Frame { client, text } => {
                let Some(Line::Open(line)) = self.clients.get(&client) else { return None };
                match line.try_send(text) {
                    Ok(()) => None,
                    Err(error) => {
                        if matches!(error, mpsc::error::TrySendError::Full(_)) {
                            tracing::warn!(client = client.0, "an application does not read: it is cut off");
                        }
                        // Its queue ends, and with it its task.
                        self.clients.remove(&client);
                        Some(client)
                    }
                }
            }
        }
    }
}

/// GET /rwi/v1: the token is looked at before anything else.
pub(super) async fn connect<H: Host>(
    State(handle): State<Handle<H>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let token = token(&headers, query.as_deref());
    if token.is_none() {
        return unauthorized();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let admitted = match handle.knock(token).await {
        Some(Ok(admitted)) => admitted,
        Some(Err(401)) => return unauthorized(),
        Some(Err(_)) => {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "there are as many clients as there may be");
        }
        None => return ended(),
    };
    let session = HeaderValue::from_str(&admitted.session);
    let upgrade = upgrade.protocols(["rwi-v1"]).max_message_size(FRAME).max_frame_size(FRAME);
    let upgrade = upgrade.read_buffer_size(READ);
    let gone = Gone { host: handle.host().clone(), said: admitted.said.clone(), client: admitted.client };
    let mut response = upgrade.on_upgrade(move |socket| converse(socket, admitted, gone));
    if let Ok(session) = session {
        response.headers_mut().insert("x-rwi-session", session);
    }
    response
}

/// Tells that a client is gone, however it came to that.
struct Gone<H: Host> {
    host: H,
    said: mpsc::Sender<FromClient>,
    client: ClientId,
}

impl<H: Host> Drop for Gone<H> {
    fn drop(&mut self) {
        let said = self.said.clone();
        if let Err(mpsc::error::TrySendError::Full(gone)) = said.try_send(FromClient::Gone(self.client)) {
            self.host.spawn(async move {
                let _ = said.send(gone).await;
            });
        }
    }
}

async fn converse<H: Host>(mut socket: WebSocket, admitted: Admitted, gone: Gone<H>) {
    let Admitted { client, mut frames, said, .. } = admitted;
    let mut silent = Duration::ZERO;
    let mut ping = Timer::new(PING_EVERY);
    let goodbye = loop {
        tokio::select! {
            biased;
            frame = frames.recv() => match frame {
                Some(text) => if !write(&mut socket, Message::Text(text.into()), &mut frames).await { break None },
                None => break Some((1_008, "what you were told was not read in time")),
            },
            message = socket.recv() => {
                silent = Duration::ZERO;
                ping.reset(PING_EVERY);
                match message {
                    Some(Ok(Message::Text(text))) => {
                        let frame = FromClient::Frame { client, text: text.to_string() };
                        if said.send(frame).await.is_err() {
                            break Some((1_001, "the PBX ends"));
                        }
                    }
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                }
            }
            () = &mut ping => {
                ping.reset(PING_EVERY);
                silent += PING_EVERY;
                if silent >= SILENCE || !write(&mut socket, Message::Ping(Default::default()), &mut frames).await {
                    break None;
                }
            }
        }
    };
    drop(gone);
    if let Some((code, reason)) = goodbye {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let _ = timer::timeout(GOODBYE, socket.send(close)).await;
    }
}

/// Writes a message and what waits behind it; false: the connection is over, or the client was cut off while it did not read.
async fn write(socket: &mut WebSocket, message: Message, frames: &mut mpsc::Receiver<String>) -> bool {
    let waiting = std::iter::from_fn(|| frames.try_recv().ok()).take(TOGETHER - 1);
    let behind: Vec<Message> = waiting.map(|text| Message::Text(text.into())).collect();
    let mut sending = std::pin::pin!(async {
        socket.feed(message).await?;
        for message in behind {
            socket.feed(message).await?;
        }
        socket.flush().await
    });
    loop {
        tokio::select! {
            biased;
            sent = &mut sending => return sent.is_ok(),
            // Nobody is told when a queue ends whose messages are not taken out.
            () = timer::sleep(GOODBYE) => if frames.is_closed() { return false },
        }
    }
}

/// What a client shows: a header line goes before the query.
fn token(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(token) = shown.and_then(|value| value.strip_prefix("Bearer ")) {
        return Some(token.trim().to_owned());
    }
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, _)| *name == "token")
        .map(|(_, value)| crate::sip::unescape(value).into_owned())
        .next()
}

fn unauthorized() -> Response {
    let mut response = refusal(StatusCode::UNAUTHORIZED, "the token is missing or unknown");
    let challenge = HeaderValue::from_static("Bearer realm=\"rwi\", error=\"invalid_token\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}
