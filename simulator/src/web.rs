//! Somebody who asks HTTP servers: HTTP/1.1, one request a connection.

use crate::network::{SimHost, TcpStream};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper_util::rt::TokioIo;
use pbx::shell::host::Host;
use pbx::shell::timer;
use pbx::time::Duration;
use std::io;
use std::net::SocketAddr;

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest answer that is read.
const LARGEST: usize = 64 << 20;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// GET, POST, ...
    pub method: String,
    /// The path, with what is behind `?`.
    pub target: String,
    /// Header lines beside Host, Connection and Content-Length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Question {
    /// A question without headers and body.
    pub fn new(method: &str, target: &str) -> Question {
        Question {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// With one more header line.
    pub fn with(mut self, name: &str, value: &str) -> Question {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Question {
        self.body = body.into();
        self
    }

    /// With JSON.
    pub fn json(self, value: &serde_json::Value) -> Question {
        self.with("content-type", "application/json").body(value.to_string())
    }
}

/// A page as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// 200, 404, ...
    pub status: u16,
    /// The header lines in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What follows the head.
    pub body: Vec<u8>,
}

impl Page {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header line, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Asks a server for a page.
pub async fn get(host: &SimHost, server: SocketAddr, target: &str) -> io::Result<Page> {
    ask(host, server, Question::new("GET", target)).await
}

/// Asks a server and waits for its whole answer, a minute at most.
pub async fn ask(host: &SimHost, server: SocketAddr, question: Question) -> io::Result<Page> {
    let asking = host.clone();
    let answer =
        host.within(async move { timer::timeout(PATIENCE, exchange(&asking, server, question)).await });
    answer.await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "nobody answers")))
}

/// In a bad network a connection does not come about at once. Whoever asks has no patience without end.
async fn connect(host: &SimHost, server: SocketAddr) -> io::Result<TcpStream> {
    loop {
        match host.connect(server).await {
            Err(late) if late.kind() == io::ErrorKind::TimedOut => {}
            outcome => return outcome,
        }
    }
}

async fn exchange(host: &SimHost, server: SocketAddr, question: Question) -> io::Result<Page> {
    let stream = connect(host, server).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // How the connection fares is seen by what comes over it.
    host.spawn(async move { drop(connection.await) });
    let mut request = Request::builder()
        .method(question.method.as_str())
        .uri(&question.target)
        .header(HOST, server.to_string())
        .header(CONNECTION, "close");
    for (name, value) in question.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(question.body))).map_err(io::Error::other)?;
    let (head, body) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
    let body = Limited::new(body, LARGEST).collect().await.map_err(io::Error::other)?;
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    Ok(Page { status: head.status.as_u16(), headers: headers.collect(), body: body.to_bytes().to_vec() })
}
