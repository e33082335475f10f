//! What is in a world beside telephones: machines that others have, of which a PBX knows only the protocol.
//!
//! Each is a good citizen that can be told to misbehave in ways that have names, keeps what it saw, and runs on a host of
//! its own, so that a crash ends what it does. [`crate::stage::Stage`] has one of a name from when it is first asked for.
//!
//! | room | what is in it |
//! |---|---|
//! | [`http`] | servers of HTTP/1.1, and how an answer can go wrong |
//! | [`notation`] | how JSON is written into a table |
//! | [`provider`] | says what is to be done in a call, step by step |
//! | [`sink`] | keeps what is posted |
//! | [`websocket`] | both ends of RFC 6455, right and wrong |
//! | [`application`] | controls calls over a WebSocket and keeps what it is told |
//! | [`exchange`] | what it talks to, from a script |

pub mod application;
pub mod exchange;
pub mod http;
pub mod notation;
pub mod provider;
pub mod sink;
pub mod websocket;

use crate::stage::Stage;
use crate::web::Page;
use application::Application;
use exchange::Exchange;
use http::Server;
use provider::Provider;
use sink::Sink;
use std::collections::BTreeMap;

/// The machines of a world by name.
#[derive(Default)]
pub struct Agents {
    providers: BTreeMap<String, Server<Provider>>,
    sinks: BTreeMap<String, Server<Sink>>,
    applications: BTreeMap<String, Application>,
    exchanges: BTreeMap<String, Exchange>,
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

    /// The application of this name.
    pub fn application(&mut self, name: &str) -> Application {
        if let Some(known) = self.agents.applications.get(name) {
            return known.clone();
        }
        let application = Application::new(self.host(name));
        self.agents.applications.insert(name.to_owned(), application.clone());
        application
    }

    /// The exchange of this name.
    pub fn exchange(&mut self, name: &str) -> Exchange {
        if let Some(known) = self.agents.exchanges.get(name) {
            return known.clone();
        }
        let exchange = Exchange::start(self.host(name));
        self.agents.exchanges.insert(name.to_owned(), exchange.clone());
        exchange
    }
}
