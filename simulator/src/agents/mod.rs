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
//! | [`recorder`] | records calls for others (RFC 7866), and who asks it to |
//! | [`trunk`] | another SIP system that takes calls for numbers |
//! | [`sink`] | keeps what is posted |
//! | [`bucket`] | storage that speaks S3 and looks at signatures |
//! | [`stun`] | tells who asks from where it is seen |
//! | [`websocket`] | both ends of RFC 6455, right and wrong |
//! | [`application`] | controls calls over a WebSocket and keeps what it is told |
//! | [`exchange`] | what it talks to, from a script |

pub mod application;
pub mod bucket;
pub mod dispatcher;
pub mod exchange;
pub mod http;
pub mod notation;
pub mod provider;
pub mod recorder;
pub mod sink;
mod sip;
pub mod stun;
pub mod trunk;
pub mod websocket;

use crate::stage::Stage;
use crate::web::Page;
use application::Application;
use bucket::{Bucket, Credentials};
use dispatcher::Dispatcher;
use exchange::Exchange;
use http::Server;
use pbx::shell::host::Host;
use provider::Provider;
use recorder::{Client, Recorder};
use sink::Sink;
use std::collections::BTreeMap;
use std::net::IpAddr;
use stun::StunServer;
use trunk::Trunk;

/// What the first trunk says, in Hz: far from what telephones say.
const TRUNK_VOICE: f64 = 2_050.0;

/// The machines of a world by name.
#[derive(Default)]
pub struct Agents {
    providers: BTreeMap<String, Server<Provider>>,
    sinks: BTreeMap<String, Server<Sink>>,
    dispatcher: Option<Server<Dispatcher>>,
    buckets: BTreeMap<String, Server<Bucket>>,
    applications: BTreeMap<String, Application>,
    exchanges: BTreeMap<String, Exchange>,
    recorders: BTreeMap<String, Recorder>,
    tap: Option<Client>,
    trunks: BTreeMap<String, Trunk>,
    stun: Option<StunServer>,
    /// What the operator was answered.
    pub(crate) answers: Vec<Result<Page, String>>,
}

impl Agents {
    /// They end what they do.
    pub(crate) fn rest(&self) {
        self.trunks.values().for_each(Trunk::hang_up);
        self.recorders.values().for_each(Recorder::hang_up);
        self.tap.iter().for_each(Client::stop);
        self.applications.values().for_each(Application::disconnect);
    }

    /// Those that were told to do wrong.
    pub(crate) fn unruly(&self) -> impl Iterator<Item = IpAddr> {
        let trunks = self.trunks.values().filter(|trunk| trunk.misbehaves()).map(Trunk::address);
        let recorders = self.recorders.values().filter(|recorder| recorder.misbehaves());
        trunks.chain(recorders.map(Recorder::address)).map(|address| address.ip())
    }

    /// What is left over in them, in words.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let trunks = self.trunks.iter().filter(|(_, trunk)| !trunk.is_idle()).map(|(name, _)| name);
        let recorders =
            self.recorders.iter().filter(|(_, recorder)| !recorder.is_idle()).map(|(name, _)| name);
        trunks.chain(recorders).map(|name| format!("{name} is not idle")).collect()
    }
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

    /// The web service that says where calls go.
    pub fn dispatcher(&mut self) -> Server<Dispatcher> {
        if let Some(known) = &self.agents.dispatcher {
            return known.clone();
        }
        let dispatcher = Server::start(self.host("dispatcher"), dispatcher::PORT, Dispatcher::default());
        self.agents.dispatcher = Some(dispatcher.clone());
        dispatcher
    }

    /// The applications by name.
    pub fn applications(&self) -> &BTreeMap<String, Application> {
        &self.agents.applications
    }

    /// The application of this name. The first time it is asked for there is one, which is not connected.
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

    /// The recorder of this name.
    pub fn recorder(&mut self, name: &str) -> Recorder {
        if let Some(known) = self.agents.recorders.get(name) {
            return known.clone();
        }
        let recorder = Recorder::start(self.host(name), name);
        self.agents.recorders.insert(name.to_owned(), recorder.clone());
        recorder
    }

    /// Who asks recorders to record.
    pub fn tap(&mut self) -> Client {
        if let Some(known) = &self.agents.tap {
            return known.clone();
        }
        let tap = Client::start(self.host("tap"));
        self.agents.tap = Some(tap.clone());
        tap
    }

    /// The trunk of this name, with a voice of its own.
    pub fn trunk(&mut self, name: &str) -> Trunk {
        if let Some(known) = self.agents.trunks.get(name) {
            return known.clone();
        }
        let voice = TRUNK_VOICE + 100.0 * self.agents.trunks.len() as f64;
        let trunk = Trunk::start(self.host(name), name, voice);
        self.agents.trunks.insert(name.to_owned(), trunk.clone());
        trunk
    }

    /// The bucket of this name; who may use it stands in [`Bucket::credentials`].
    pub fn bucket(&mut self, name: &str) -> Server<Bucket> {
        if let Some(known) = self.agents.buckets.get(name) {
            return known.clone();
        }
        let credentials = Credentials {
            access_key: "OFFICE".to_owned(),
            secret: format!("the secret of {name}"),
            region: "local".to_owned(),
        };
        let host = self.host(name);
        let clock = host.clock();
        let bucket = Server::start(host, bucket::PORT, Bucket::new(credentials, clock));
        self.agents.buckets.insert(name.to_owned(), bucket.clone());
        bucket
    }

    /// The STUN server.
    pub fn stun(&mut self) -> StunServer {
        if let Some(known) = &self.agents.stun {
            return known.clone();
        }
        let stun = StunServer::start(self.host("stun"));
        self.agents.stun = Some(stun.clone());
        stun
    }
}
