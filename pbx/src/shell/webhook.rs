//! Events for whoever has asked to be told by HTTP: one POST each, in order, tried again for a while when it fails.
//!
//! It is a task with a bounded queue of its own: a server that is slow or gone holds nobody up, and costs events that find
//! no room any more, which are counted.

use super::host::Host;
use crate::config::Webhook;
use crate::time::Duration;
use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use tokio::sync::mpsc;

/// Events that wait to be sent.
const QUEUE: usize = 1_024;
/// How often an event is tried.
const ATTEMPTS: u32 = 4;
/// How long the second attempt waits; the next ones twice as long each.
const PAUSE: Duration = Duration::from_secs(1);

/// The driver's end.
pub(super) struct Hook {
    events: mpsc::Sender<Post>,
    lost: u64,
}

struct Post {
    to: Webhook,
    text: String,
}

impl Hook {
    /// Begins the task that sends.
    pub(super) fn start<H: Host>(host: &H) -> Hook {
        let (events, posts) = mpsc::channel(QUEUE);
        host.spawn(post_all(host.clone(), posts));
        Hook { events, lost: 0 }
    }

    /// Another event. Where it goes is taken from the configuration that holds now.
    pub(super) fn post(&mut self, to: Webhook, text: String) {
        if self.events.try_send(Post { to, text }).is_err() {
            self.lost += 1;
            if self.lost.is_power_of_two() {
                tracing::warn!(lost = self.lost, "the webhook does not keep up: events are lost");
            }
        }
    }
}

async fn post_all<H: Host>(host: H, mut posts: mpsc::Receiver<Post>) {
    while let Some(Post { to, text }) = posts.recv().await {
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let sent = tokio::time::timeout(to.timeout, post(&host, &to, &text)).await;
            let why = match sent {
                Ok(Ok(())) => break,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "there is no answer in time".to_owned(),
            };
            if attempt == ATTEMPTS {
                tracing::warn!(url = %to.url, %why, "an event could not be sent");
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

async fn post<H: Host>(host: &H, to: &Webhook, text: &str) -> Result<(), Failed> {
    let uri: Uri = to.url.parse().map_err(|_| Failed::Address)?;
    let name = uri.host().ok_or(Failed::Address)?;
    let port = uri.port_u16().unwrap_or(80);
    let addresses = host.resolve(name.trim_matches(['[', ']'])).await.map_err(Failed::Network)?;
    let ip = *addresses.first().ok_or(Failed::Address)?;
    let stream = host.connect(SocketAddr::new(ip, port)).await.map_err(Failed::Network)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failed::Protocol)?;
    let authority = uri.authority().map_or(name, |authority| authority.as_str());
    let mut request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close");
    for (name, value) in &to.headers {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(text.to_owned())).map_err(|_| Failed::Address)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|_| Failed::Protocol)?;
        match response.status().is_success() {
            true => Ok(()),
            false => Err(Failed::Status(response.status())),
        }
    };
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

/// Why an event was not taken.
enum Failed {
    /// The address leads nowhere.
    Address,
    /// The connection cannot be made.
    Network(io::Error),
    /// What came is no HTTP, or it broke off.
    Protocol,
    /// It was refused.
    Status(StatusCode),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Address => f.write_str("the address leads nowhere"),
            Failed::Network(error) => write!(f, "{error}"),
            Failed::Protocol => f.write_str("the answer broke off or was no HTTP"),
            Failed::Status(status) => write!(f, "the answer was {status}"),
        }
    }
}
