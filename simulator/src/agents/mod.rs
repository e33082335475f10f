//! What is in a world beside telephones: machines that others have, of which a PBX knows only the protocol.
//!
//! Each is a good citizen that can be told to misbehave in ways that have names, keeps what it saw, and runs on a host of
//! its own, so that a crash ends what it does. [`crate::stage::Stage`] has one of a name from when it is first asked for.
//!
//! | room | what is in it |
//! |---|---|
//! | [`http`] | servers of HTTP/1.1, and how an answer can go wrong |
//! | [`provider`] | says what is to be done in a call, step by step |
//! | [`sink`] | keeps what is posted |

pub mod http;
pub mod provider;
pub mod sink;

use crate::stage::Stage;
use crate::web::Page;
use http::Server;
use provider::Provider;
use sink::Sink;
use std::collections::BTreeMap;

/// The machines of a world by name.
#[derive(Default)]
pub struct Agents {
    providers: BTreeMap<String, Server<Provider>>,
    sinks: BTreeMap<String, Server<Sink>>,
    /// What the operator was answered.
    pub(crate) answers: Vec<Result<Page, String>>,
}

impl Stage {
    /// The IVR provider of this name.
    pub fn provider(&mut self, name: &str) -> Server<Provider> {
        if let Some(known) = self.agents.providers.get(name) {
            return known.clone();
        }
        let provider = Server::start(self.host(name), provider::PORT, Provider::new());
        self.agents.providers.insert(name.to_owned(), provider.clone());
        provider
    }

    /// The sink of this name.
    pub fn sink(&mut self, name: &str) -> Server<Sink> {
        if let Some(known) = self.agents.sinks.get(name) {
            return known.clone();
        }
        let sink = Server::start(self.host(name), sink::PORT, Sink);
        self.agents.sinks.insert(name.to_owned(), sink.clone());
        sink
    }
}
