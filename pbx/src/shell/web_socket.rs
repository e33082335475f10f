//! SIP over WebSockets (RFC 7118): one message a frame, and nothing to be framed by us.
//!
//! Who has come this way is reached this way only. It may say that it is there by line breaks (RFC 5626 section 3.5.1); we
//! ask by pings of the WebSocket, since a browser answers these without its page.

use super::streams::{Arrival, Bounds, Ending};
use super::timer::{self, timeout};
use crate::sip::{FrameError, PONG, Path};
use crate::time::Duration;
use axum::http::{HeaderValue, StatusCode, header};
use futures_util::{SinkExt, StreamExt};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The name of SIP among the subprotocols (RFC 7118 section 4.1).
const SUBPROTOCOL: &str = "sip";
/// What is read at once: most messages are shorter, and each connection has so much of our memory for itself.
const READ: usize = 4 << 10;
/// How long the handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long one write may take.
const WRITE_LIMIT: Duration = Duration::from_secs(32);
/// How often the other end is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Of whom nothing has come for so long is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// The other end asks whether we are there.
const PING: &[u8] = b"\r\n\r\n";

/// Makes a WebSocket of a stream and talks over it until either end is over.
pub(super) async fn converse<S, T>(
    stream: T,
    path: Path,
    queue: mpsc::Receiver<Vec<u8>>,
    arrivals: &mpsc::Sender<Arrival<S>>,
    bounds: Bounds,
) -> Ending
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(bounds.message_bytes);
    config.max_frame_size = Some(bounds.message_bytes);
    config.read_buffer_size = READ;
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, admit, Some(config));
    match timeout(HANDSHAKE_LIMIT, accepted).await {
        Ok(Ok(socket)) => talk(socket, path, queue, arrivals, bounds).await,
        Ok(Err(error)) => ending(error, bounds),
        Err(_) => Ending::Slow,
    }
}

/// Who does not speak SIP is told so.
#[expect(clippy::result_large_err, reason = "the library wants it so")]
fn admit(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut names = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if names.any(|name| name.trim().eq_ignore_ascii_case(SUBPROTOCOL)) {
        let name = HeaderValue::from_static(SUBPROTOCOL);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, name);
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some("the subprotocol is `sip` (RFC 7118)\n".to_owned()));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    Err(refusal)
}

async fn talk<S, T>(
    mut socket: WebSocketStream<T>,
    path: Path,
    mut queue: mpsc::Receiver<Vec<u8>>,
    arrivals: &mpsc::Sender<Arrival<S>>,
    bounds: Bounds,
) -> Ending
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut silent = Duration::ZERO;
    loop {
        let to_send = tokio::select! {
            biased;
            message = queue.recv() => match message {
                Some(bytes) => frame(bytes),
                None => {
                    let _ = timeout(WRITE_LIMIT, socket.close(None)).await;
                    return Ending::Finished;
                }
            },
            came = socket.next() => {
                silent = Duration::ZERO;
                let bytes = match came {
                    Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
                    Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
                    Some(Ok(Message::Close(_))) | None => return Ending::Finished,
                    // The library has answered; what it has written goes out with the next look.
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Err(error)) => return ending(error, bounds),
                };
                if bytes == PING {
                    Message::text("\r\n")
                } else if bytes == PONG {
                    continue;
                } else if arrivals.send(Arrival::Message { path, bytes }).await.is_err() {
                    return Ending::Finished;
                } else {
                    continue;
                }
            }
            () = timer::sleep(PING_EVERY) => {
                silent += PING_EVERY;
                if silent >= SILENCE {
                    return Ending::Broken(io::Error::new(io::ErrorKind::TimedOut, "nothing is heard of it"));
                }
                Message::Ping(Default::default())
            }
        };
        match timeout(WRITE_LIMIT, socket.send(to_send)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return ending(error, bounds),
            Err(_) => return Ending::Broken(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// A text where it is one (RFC 7118 section 4.2).
fn frame(bytes: Vec<u8>) -> Message {
    match String::from_utf8(bytes) {
        Ok(text) => Message::text(text),
        Err(error) => Message::binary(error.into_bytes()),
    }
}

fn ending(error: Error, bounds: Bounds) -> Ending {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Ending::Finished,
        Error::Capacity(_) => Ending::Garbage(FrameError::TooLong(bounds.message_bytes)),
        Error::Io(error) => Ending::Broken(error),
        other => Ending::Broken(io::Error::other(other)),
    }
}
