//! A sink: an HTTP server that takes whatever is posted and keeps it: call records, events, recordings.

use super::http::{Answers, Asked, Flow, Reply, Server};

/// Where it listens.
pub const PORT: u16 = 8080;

/// What takes everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sink;

impl Answers for Sink {
    fn answer(&mut self, asked: &Asked) -> Reply {
        match asked.method.as_str() {
            "POST" | "PUT" => Reply::status(204),
            _ => Reply::status(405).with("allow", "POST, PUT"),
        }
    }
}

impl Server<Sink> {
    /// What it took and has said so, oldest first. What it refused is not among it, nor what it kept silent about.
    pub fn posted(&self) -> Vec<Asked> {
        let is_taken = |(_, reply): &(Asked, Reply)| {
            (200..300).contains(&reply.status) && !matches!(reply.flow, Flow::Never | Flow::HangsUp)
        };
        self.asked().into_iter().filter(is_taken).map(|(asked, _)| asked).collect()
    }

    /// How often somebody came in vain.
    pub fn refusals(&self) -> usize {
        self.asked().len() - self.posted().len()
    }
}
