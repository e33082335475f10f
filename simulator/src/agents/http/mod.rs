//! HTTP/1.1 servers: what was asked, what is answered, and how an answer can go wrong.
//!
//! [`Server`] carries requests and replies over the streams of a host. What it says is decided by whoever implements
//! [`Answers`], a value that is told and answers at once; when and how that reaches the client stands in the [`Reply`], and
//! a [`Fault`] spoils it in a way that has a name.

mod body;
mod fault;
mod script;
mod server;

pub use fault::Fault;
pub use script::Script;
pub use server::Server;

use pbx::time::{Duration, Instant};
use serde_json::Value;
use std::net::SocketAddr;

/// Who decides what a server says.
pub trait Answers: Send + 'static {
    /// The answer to a request.
    fn answer(&mut self, asked: &Asked) -> Reply;
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When it was there as a whole.
    pub at: Instant,
    /// Who asks.
    pub from: SocketAddr,
    /// GET, POST, ...
    pub method: String,
    /// The path, with what is behind `?`.
    pub target: String,
    /// The header lines in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The path.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// What is behind `?`, empty when nothing is.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The value of a header line, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body, when it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What is said to a request, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Header lines beside Date and Content-Length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long it is thought about.
    pub after: Duration,
    /// How it comes.
    pub flow: Flow,
}

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// As fast as the network takes it.
    AtOnce,
    /// So many bytes, a pause, the next ones.
    Slowly {
        /// Bytes at a time.
        piece: usize,
        /// Between two pieces.
        pause: Duration,
    },
    /// The connection ends after so many bytes of the body.
    BreaksOff {
        /// So many of them come.
        after: usize,
    },
    /// The connection ends and there is no answer.
    HangsUp,
    /// The connection stays and there is no answer.
    Never,
}

impl Reply {
    /// A status and nothing else.
    pub fn status(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Vec::new(), after: Duration::ZERO, flow: Flow::AtOnce }
    }

    /// 200 with JSON.
    pub fn json(value: &Value) -> Reply {
        Reply::status(200).with("content-type", "application/json").body(value.to_string())
    }

    /// With one more header line.
    pub fn with(mut self, name: &str, value: impl ToString) -> Reply {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Reply {
        self.body = body.into();
        self
    }
}
