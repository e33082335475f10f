//! How an HTTP connection becomes a WebSocket (RFC 6455 section 4).

use crate::network::SimHost;
use crate::web::Page;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pbx::rng::Rng;
use pbx::shell::host::Host;
use sha1::{Digest, Sha1};
use std::fmt;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// What a server puts behind the key (section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The longest refusal that is read.
const LONGEST: usize = 1 << 20;

/// Why there is no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The server says something else than 101.
    With(Page),
    /// It says 101 and proves nothing (section 4.1).
    Unproven,
    /// There is no server, or it has nothing to say in HTTP.
    Unreachable(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::With(page) => write!(f, "the server says {}", page.status),
            Refused::Unproven => f.write_str("the server does not prove that it has read the key"),
            Refused::Unreachable(why) => f.write_str(why),
        }
    }
}

/// Asks a server for a WebSocket.
pub async fn connect(
    host: &SimHost,
    server: SocketAddr,
    target: &str,
    headers: &[(String, String)],
    rng: &mut Rng,
) -> Result<TokioIo<Upgraded>, Refused> {
    let stream = host.connect(server).await.map_err(|error| Refused::Unreachable(error.to_string()))?;
    upgrade(host, stream, &server.to_string(), target, headers, rng).await
}

/// Asks whoever is at the other end of a stream for a WebSocket.
pub async fn upgrade<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    host: &SimHost,
    stream: S,
    authority: &str,
    target: &str,
    headers: &[(String, String)],
    rng: &mut Rng,
) -> Result<TokioIo<Upgraded>, Refused> {
    let mut key = [0; 16];
    rng.fill(&mut key);
    let key = STANDARD.encode(key);
    let unreachable = |error: &dyn fmt::Display| Refused::Unreachable(error.to_string());
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| unreachable(&error))?;
    // How the connection fares is seen by what comes over it.
    host.spawn(async move { drop(connection.with_upgrades().await) });
    let mut request = Request::get(target)
        .header(HOST, authority)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| unreachable(&error))?;
    let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(response).await);
    }
    let proof = response.headers().get(SEC_WEBSOCKET_ACCEPT).and_then(|proof| proof.to_str().ok());
    if proof != Some(&proof_of(&key)) {
        return Err(Refused::Unproven);
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(|error| unreachable(&error))?;
    Ok(TokioIo::new(upgraded))
}

/// The answer to a client that asks for a WebSocket: 101, or 400 when it does not ask well (section 4.2.1).
pub fn accept<B>(request: &Request<B>) -> Response<Empty<Bytes>> {
    let headers = request.headers();
    let value = |name| headers.get(name).and_then(|value: &hyper::header::HeaderValue| value.to_str().ok());
    let lists = |name, token: &str| {
        value(name).is_some_and(|list| list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
    };
    let mut response = Response::new(Empty::new());
    let key = value(SEC_WEBSOCKET_KEY).filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16));
    let is_asked = lists(UPGRADE, "websocket") && lists(CONNECTION, "upgrade");
    let Some(key) = key.filter(|_| is_asked && value(SEC_WEBSOCKET_VERSION) == Some("13")) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let lines = [(CONNECTION, "Upgrade".into()), (UPGRADE, "websocket".into())];
    let proof = (SEC_WEBSOCKET_ACCEPT, proof_of(key));
    for (name, value) in lines.into_iter().chain([proof]) {
        if let Ok(value) = hyper::header::HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn refusal(response: Response<Incoming>) -> Refused {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LONGEST).collect().await;
    let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    Refused::With(Page { status: head.status.as_u16(), headers: headers.collect(), body })
}

fn proof_of(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_proven() {
        assert_eq!(proof_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
