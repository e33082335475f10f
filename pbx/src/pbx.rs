//! The PBX as one state machine: what comes in, what goes out.

mod reception;

pub use crate::boundary::{Counters, Event, Input, Output, Survey, What};

use crate::auth::Authenticator;
use crate::boundary::ContactNow;
use crate::call::{Calls, Context};
use crate::config::{self, Config};
use crate::dialog::{self, Reply, Settings, UserAgent};
use crate::registrar::{Becomes, Binding, Change, Registrar};
use crate::rng::{Rng, Seed};
use crate::rwi::Desk;
use crate::sip::{self, Message, Method, ParseError, Path, StatusCode};
use crate::time::{Duration, Instant, WallClock};
use crate::watch::Watchers;
use reception::{Reception, Visitor};

/// The whole PBX.
pub struct Pbx {
    context: Context,
    calls: Calls,
    auth: Authenticator,
    reception: Reception,
    watchers: Watchers,
    desk: Desk,
    drain: Option<Drain>,
    limits: sip::Limits,
}

/// How a shutdown goes.
#[derive(Clone, Copy, Debug)]
enum Drain {
    /// Running calls may go on until then.
    Grace { until: Instant },
    /// All calls were hung up; their BYEs are answered until then.
    Farewell { until: Instant },
    /// It was told that nothing is left.
    Done,
}

/// How long the last BYEs are given to be answered.
const FAREWELL: Duration = Duration::from_millis(500);

impl Pbx {
    /// A PBX that has nothing to do yet.
    pub fn new(config: Config, seed: Seed, clock: WallClock) -> Pbx {
        let mut rng = Rng::new(seed);
        let settings = Settings {
            user_agent: config.sip.user_agent.clone(),
            t1: config.sip.t1,
            session_expires: config.sip.session_expires,
            min_se: config.sip.min_se,
            external_address: config.sip.external_address,
            max_transactions: 300_000,
        };
        let agent = UserAgent::new(settings, rng.fork());
        let registrar = Registrar::new(&config, clock);
        let auth = Authenticator::new(&config, rng.fork());
        let limits = sip::Limits { message: config.limits.message_bytes, ..sip::Limits::default() };
        let mut context = Context::new(config, clock, rng, agent, registrar);
        context.counters.ports_total = context.ports.total() as u64;
        context.list_messages();
        Pbx {
            context,
            calls: Calls::default(),
            auth,
            reception: Reception::default(),
            watchers: Watchers::default(),
            desk: Desk::default(),
            drain: None,
            limits,
        }
    }

    /// Something has come.
    pub fn receive(&mut self, input: Input, now: Instant) {
        self.context.now = now;
        match input {
            Input::Received { path, bytes } => self.on_bytes(path, &bytes),
            Input::PathFailed(path) => self.on_path_failed(path),
            Input::Media(event) => self.calls.on_media(event, &mut self.context),
            Input::Resolved { query, addresses } => {
                self.calls.on_resolved(query, addresses, &mut self.context)
            }
            Input::Routed { query, answer } => self.calls.on_routed(query, answer, &mut self.context),
            Input::SoundRead { file, sound } => self.calls.on_sound(&file, &sound, &mut self.context),
            Input::MessagesListed(messages) => self.context.on_messages_listed(messages),
            Input::RecordingFailed { recording, reason } => {
                self.context.on_recording_failed(recording, reason);
            }
            Input::Rwi(input) => self.desk.receive(input, &mut self.calls, &mut self.context),
            Input::Reconfigure(config) => self.reconfigure(*config),
            Input::Drain { grace } => self.drain = Some(Drain::Grace { until: now + grace }),
        }
        self.settle();
    }

    /// The earliest deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.context.now = now;
        self.context.agent.handle_timeout(now);
        self.calls.handle_timeout(&mut self.context);
        self.context.registrar.handle_timeout(now);
        self.reception.handle_timeout(&mut self.context);
        self.desk.handle_timeout(&mut self.calls, &mut self.context);
        self.settle();
    }

    /// The earliest deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let drain = match self.drain {
            Some(Drain::Grace { until } | Drain::Farewell { until }) => Some(until),
            Some(Drain::Done) | None => None,
        };
        [
            self.context.agent.poll_timeout(),
            self.calls.poll_timeout(&self.context),
            self.context.registrar.poll_timeout(),
            self.reception.poll_timeout(),
            self.desk.poll_timeout(),
            drain,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is to be done next; ask until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.context.out.pop_front()
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        Counters { registrations: self.context.registrar.count() as u64, ..self.context.counters.clone() }
    }

    /// What is in it now, for people who look.
    pub fn survey(&self, now: Instant) -> Survey {
        let contact = |(extension, binding): (&str, &Binding)| ContactNow {
            extension: extension.to_owned(),
            contact: binding.uri.clone(),
            target: binding.target.remote,
            expires_secs: binding.expires_at.since(now).as_secs_f64(),
        };
        let contacts = self.context.registrar.all(now).map(contact).collect();
        Survey { calls: self.calls.survey(), contacts }
    }

    /// Whether nothing is left over: no call, dialog, transaction, port.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.context.books_are_empty()
            && self.context.ports.in_use() == 0
            && self.context.agent.is_idle()
            && self.reception.is_empty()
            && self.watchers.is_empty()
            && self.desk.is_idle()
    }

    /// Whether new calls are refused.
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    fn on_bytes(&mut self, path: Path, bytes: &[u8]) {
        let context = &mut self.context;
        context.counters.messages_received += 1;
        let is_blocked = self.auth.is_blocked(path.remote.ip(), context.now);
        match Message::parse(bytes, &self.limits) {
            Ok(message) if is_blocked && is_from_a_stranger(&message) => {}
            Ok(message) => context.agent.receive(message, path, context.now),
            Err(ParseError::Empty) => {}
            Err(error) => {
                tracing::debug!(remote = %path.remote, %error, "bytes that are no message");
                context.counters.messages_malformed += 1;
                if let Some(request) = sip::salvage(bytes).filter(|_| !is_blocked) {
                    context.agent.receive_spoilt(request, path, &error.into(), context.now);
                }
            }
        }
    }

    fn on_path_failed(&mut self, path: Path) {
        if let Some(connection) = path.connection {
            self.context.registrar.connection_closed(connection, self.context.now);
        }
        self.context.agent.path_failed(path, self.context.now);
    }

    fn reconfigure(&mut self, config: Config) {
        let context = &mut self.context;
        context.ports.change_range(config.media.rtp_port_start, config.media.rtp_port_end);
        context.counters.ports_total = context.ports.total() as u64;
        context.registrar.reconfigure(&config, context.now);
        self.auth.reconfigure(&config);
        self.limits.message = config.limits.message_bytes;
        // Sockets, and what we call ourselves where we were not told, stay as they are until the next start.
        let (listen, external_address) =
            (context.config.sip.listen.clone(), context.config.sip.external_address);
        let external_address = config.sip.external_address.or(external_address);
        context.config = Config { sip: config::Sip { listen, external_address, ..config.sip }, ..config };
        context.list_messages();
        self.watchers.reconfigured(&self.calls, context);
    }

    /// Hands on what has been produced within, until nothing is left.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.context.agent.poll_output() {
                match output {
                    dialog::Output::Transmit { path, bytes } => {
                        self.context.counters.messages_sent += 1;
                        self.context.out.push_back(Output::Transmit { path, bytes });
                    }
                    dialog::Output::Event(event) => self.on_event(event),
                }
            }
            self.tell_of_registrations();
            self.calls.fulfil_wishes(&mut self.context);
            if !self.tell_news() {
                self.watchers.tell(&self.calls, &mut self.context);
                if !self.context.agent.has_output() {
                    break;
                }
            }
        }
        self.go_on_draining();
    }

    fn on_event(&mut self, event: dialog::Event) {
        let context = &mut self.context;
        match event {
            dialog::Event::Incoming { session, invite, path, offer } => {
                let draining = self.drain.is_some();
                let visitor = Visitor { session, invite, path, offer };
                self.reception.admit(visitor, draining, &mut self.auth, &mut self.calls, context);
            }
            dialog::Event::Request { id, session: None, request, path } => {
                let watching = (&mut self.watchers, &self.calls);
                self.reception.answer(id, &request, path, &mut self.auth, watching, context);
            }
            dialog::Event::Request { id, session: Some(session), .. } => {
                if !self.calls.on_session(session, event, context) {
                    let reply = Reply::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                    context.agent.reply(id, reply, context.now);
                }
            }
            dialog::Event::Response { id, ref response, .. } => {
                let passed = self.reception.pass_back(id, response, context);
                if !passed {
                    self.calls.on_response(id, event, context);
                }
            }
            dialog::Event::Offered { session, .. } => {
                if !self.calls.on_session(session, event, context) {
                    context.agent.refuse_offer(session, StatusCode::NOT_ACCEPTABLE_HERE, context.now);
                }
            }
            dialog::Event::Provisional { session, .. }
            | dialog::Event::Answered { session, .. }
            | dialog::Event::Refused { session, .. }
            | dialog::Event::Confirmed { session, .. }
            | dialog::Event::OfferAnswered { session, .. }
            | dialog::Event::OfferRefused { session, .. } => {
                self.calls.on_session(session, event, context);
            }
            dialog::Event::Renewal { subscription, id, request } => {
                self.watchers.renew(subscription, id, &request, &self.calls, context);
            }
            dialog::Event::SubscriptionExpired { subscription } => {
                self.watchers.end(subscription, "timeout", &self.calls, context);
            }
            dialog::Event::SubscriptionEnded { subscription } => {
                self.watchers.forget_gone(subscription, context);
            }
            dialog::Event::Ended { session, .. } => {
                self.reception.forget(session);
                self.calls.on_session(session, event, context);
            }
        }
    }

    /// What has happened is told to applications; commands are answered before what they have caused is told. `false`: nothing
    /// has happened.
    fn tell_news(&mut self) -> bool {
        let mut any = false;
        loop {
            while let Some((ticket, answer)) = self.context.answers.pop_front() {
                any = true;
                self.desk.on_answer(ticket, answer, &mut self.context);
            }
            let Some(event) = self.context.news.pop_front() else { return any };
            any = true;
            self.desk.on_event(&event, &mut self.calls, &mut self.context);
        }
    }

    fn tell_of_registrations(&mut self) {
        while let Some(change) = self.context.registrar.poll_change() {
            let Change { aor: extension, contact, what } = change;
            if what == Becomes::Registered {
                self.watchers.on_registered(&extension, &mut self.context);
            }
            let what = match what {
                Becomes::Registered | Becomes::Renewed => What::Registered { extension, contact },
                Becomes::Unregistered | Becomes::Expired | Becomes::Lost => {
                    What::Unregistered { extension, contact }
                }
            };
            self.context.out.push_back(Output::Event(Event { at: self.context.now, call_id: None, what }));
        }
    }

    fn go_on_draining(&mut self) {
        let now = self.context.now;
        match self.drain {
            Some(Drain::Grace { until }) if self.calls.is_empty() || now >= until => {
                self.calls.hang_up_all("the PBX is shutting down", &mut self.context);
                self.drain = Some(Drain::Farewell { until: now + FAREWELL });
                self.settle();
            }
            Some(Drain::Farewell { until }) if now >= until && self.calls.is_empty() => {
                self.drain = Some(Drain::Done);
                self.context.out.push_back(Output::Drained);
            }
            // The media engine still owes closed ports; a deadline of the call ends this.
            Some(Drain::Farewell { until }) if now >= until => {
                self.drain = Some(Drain::Farewell { until: now + FAREWELL });
            }
            Some(_) | None => {}
        }
    }
}

/// A request that begins something; a response or a request within a dialog is listened to even from a blocked source, as
/// a call of a neighbour behind the same address must go on.
fn is_from_a_stranger(message: &Message) -> bool {
    match message {
        Message::Request(request) => {
            !matches!(request.method(), Method::Ack | Method::Cancel)
                && request.to_header().is_ok_and(|to| to.tag().is_none())
        }
        Message::Response(_) => false,
    }
}
