//! Questions to web services: POST of JSON over HTTP/1.1, with or without TLS.
//!
//! Connections are kept and used again, as a handshake takes longer than a question. One that the other end has closed
//! meanwhile is found out by the question that it does not take; that one is asked anew over a fresh one.

use super::host::Host;
use super::tls::Tls;
use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};

/// Connections that are kept for one service, and services for which any are kept.
const KEPT: usize = 8;
const SERVICES: usize = 16;

/// The most bytes of an answer.
pub(super) const LARGEST: usize = 64 << 10;

/// Whoever asks; clones share their connections.
#[derive(Clone)]
pub(super) struct WebClient<H> {
    host: H,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    tls: Tls,
    /// By scheme, host and port.
    idle: BTreeMap<String, Vec<SendRequest<Body>>>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Question<'a> {
    pub(super) url: &'a str,
    pub(super) headers: &'a [(String, String)],
    pub(super) text: &'a str,
}

impl<H: Host> WebClient<H> {
    pub(super) fn new(host: H, tls: Tls) -> WebClient<H> {
        WebClient { host, shared: Arc::new(Mutex::new(Shared { tls, idle: BTreeMap::new() })) }
    }

    /// Other certificates hold from now on.
    pub(super) fn set_tls(&self, tls: Tls) {
        let mut shared = self.shared();
        shared.tls = tls;
        shared.idle.clear();
    }

    /// Asks, and reads the whole answer. How long that may take is the caller's to say.
    pub(super) async fn post(&self, question: Question<'_>) -> Result<String, Failed> {
        let uri: Uri = question.url.parse().map_err(|_| Failed::Address)?;
        let service =
            format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().ok_or(Failed::Address)?);
        while let Some(kept) = self.take(&service) {
            match self.ask(kept, &uri, &question, &service).await {
                Err(Failed::Closed) => {}
                answered => return answered,
            }
        }
        let fresh = self.connect(&uri).await?;
        self.ask(fresh, &uri, &question, &service).await
    }

    async fn ask(
        &self,
        mut sender: SendRequest<Body>,
        uri: &Uri,
        question: &Question<'_>,
        service: &str,
    ) -> Result<String, Failed> {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in question.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(question.text.to_owned())).map_err(|_| Failed::Address)?;
        sender.ready().await.map_err(|_| Failed::Closed)?;
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut error) => {
                let never_left = error.take_message().is_some();
                return Err(if never_left { Failed::Closed } else { Failed::Protocol });
            }
        };
        let status = response.status();
        let body = axum::body::to_bytes(Body::new(response.into_body()), LARGEST).await;
        let body = body.map_err(|_| Failed::Body)?;
        self.keep(service, sender);
        match status.is_success() {
            true => String::from_utf8(body.to_vec()).map_err(|_| Failed::Body),
            false => Err(Failed::Status(status)),
        }
    }

    async fn connect(&self, uri: &Uri) -> Result<SendRequest<Body>, Failed> {
        let is_secure = uri.scheme_str() == Some("https");
        let name = uri.host().ok_or(Failed::Address)?.trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let addresses = self.host.resolve(name).await.map_err(Failed::Network)?;
        let ip = *addresses.first().ok_or(Failed::Address)?;
        let stream = self.host.connect(SocketAddr::new(ip, port)).await.map_err(Failed::Network)?;
        let tls = self.shared().tls.clone();
        match is_secure {
            true => self.shake_hands(tls.connect(stream, name).await.map_err(Failed::Network)?).await,
            false => self.shake_hands(stream).await,
        }
    }

    async fn shake_hands<S>(&self, stream: S) -> Result<SendRequest<Body>, Failed>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failed::Protocol)?;
        // It ends when its sender is dropped, or the other end closes it.
        self.host.spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    fn take(&self, service: &str) -> Option<SendRequest<Body>> {
        let mut shared = self.shared();
        let idle = shared.idle.get_mut(service)?;
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, service: &str, sender: SendRequest<Body>) {
        let mut shared = self.shared();
        if !shared.idle.contains_key(service) && shared.idle.len() >= SERVICES {
            shared.idle.clear();
        }
        let idle = shared.idle.entry(service.to_owned()).or_default();
        if idle.len() < KEPT && !sender.is_closed() {
            idle.push(sender);
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The address leads nowhere.
    Address,
    /// The connection cannot be made.
    Network(io::Error),
    /// The connection was closed before anything was asked.
    Closed,
    /// What came is no HTTP, or it broke off.
    Protocol,
    /// The answer is too long, no text, or broke off.
    Body,
    /// It was refused.
    Status(StatusCode),
}

impl Failed {
    /// Whether the same may be answered another time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Failed::Network(_) | Failed::Closed | Failed::Protocol => true,
            Failed::Status(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Failed::Address | Failed::Body => false,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Address => f.write_str("the address leads nowhere"),
            Failed::Network(error) => write!(f, "{error}"),
            Failed::Closed => f.write_str("the connection was closed"),
            Failed::Protocol => f.write_str("the answer broke off or was no HTTP"),
            Failed::Body => f.write_str("the answer is too long, no text, or broke off"),
            Failed::Status(status) => write!(f, "the answer was {status}"),
        }
    }
}
