//! A trunk: another SIP system that takes calls for numbers and makes calls. It may ask for credentials, wants to stay on the
//! way of every request, and refuses in the ways carriers do.

use super::sip::{self, CallId, Desk, Event, Invitation, Listener, Output, Station, Talker, user_of};
use crate::network::SimHost;
use crate::phone::{Hearing, Listening, SIP_PORT};
use crate::secure::{self, Server};
use pbx::audio::Law;
use pbx::rng::Rng;
use pbx::sdp::{Codec, Direction, LocalAudio, Negotiation};
use pbx::shell::host::Host;
use pbx::sip::digest::Credentials;
use pbx::sip::{Method, Name, Path, Request, StatusCode, Transport};
use pbx::time::{Duration, Instant};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

/// Whose passwords it knows.
const REALM: &str = "trunk.example";

/// The first RTP port; each call has the next pair.
const FIRST_PORT: u16 = 50_000;

/// What a trunk does with a call.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Reaction {
    /// It rings and somebody answers.
    #[default]
    Answers,
    /// After so long; until then it rings.
    AnswersAfter(Duration),
    /// It refuses, and says when to come again if it says so.
    Refuses(StatusCode, Option<u32>),
    /// The number is elsewhere: 302.
    MovesTo(String),
    /// It takes the INVITE and answers no more than 100.
    NeverAnswers,
    /// It says nothing at all.
    IsDead,
}

impl FromStr for Reaction {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Reaction, &'static str> {
        let number = |text: &str| text.split(' ').next().and_then(|word| word.parse().ok());
        if let Some(time) = text.strip_prefix("answers after ").and_then(number) {
            return Ok(Reaction::AnswersAfter(Duration::from_secs_f64(time)));
        }
        if let Some(place) = text.strip_prefix("moves to ") {
            return Ok(Reaction::MovesTo(place.to_owned()));
        }
        if let Some(words) = text.strip_prefix("refuses with ") {
            let mut words = words.split(' ');
            let status = words.next().and_then(|status| status.parse().ok()).and_then(StatusCode::new);
            let status = status.ok_or("a status is from 100 to 699")?;
            return Ok(Reaction::Refuses(status, words.nth(1).and_then(|seconds| seconds.parse().ok())));
        }
        match text {
            "answers" => Ok(Reaction::Answers),
            "never answers" => Ok(Reaction::NeverAnswers),
            "is dead" => Ok(Reaction::IsDead),
            _ => Err("no reaction of a trunk has this name"),
        }
    }
}

/// How a trunk is.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// What it does with a call.
    pub reaction: Reaction,
    /// Who does not know this name and password is asked for them.
    pub credentials: Option<(String, String)>,
    /// Whether every request of a call is to come by it (RFC 3261 section 16.6, step 4).
    pub records_route: bool,
}

/// What it remembers of a call.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The number that was dialled.
    pub number: String,
    /// Who calls.
    pub caller: String,
    /// The INVITE that it took or sent.
    pub invite: String,
    /// When it was answered.
    pub answered_at: Option<Instant>,
    /// When it was over.
    pub ended_at: Option<Instant>,
    /// The final answer that it was told or told.
    pub status: Option<StatusCode>,
    /// What was heard.
    pub hearing: Hearing,
}

/// A trunk; clones are the same.
#[derive(Clone)]
pub struct Trunk {
    desk: Arc<Desk<Machine>>,
    voice: f64,
}

impl Trunk {
    /// A trunk on a host of its own, in which somebody says a tone of `voice` Hz.
    pub fn start(host: SimHost, name: &str, voice: f64) -> Trunk {
        let local = SocketAddr::new(host.address(), SIP_PORT);
        let machine = Machine::new(name, local, voice, Rng::new(host.seed()));
        Trunk { desk: Desk::start(host, local, machine), voice }
    }

    /// It listens for TLS, too, and shows a certificate `that is good`, `that has expired` or `of another name`.
    pub fn shows(&self, what: &str) {
        let (certificate, key) = secure::certificate_of_trunk(what);
        self.desk.open_secure(Server::new(&self.desk.host, certificate, key));
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.desk.host.address(), SIP_PORT)
    }

    /// Changes how it is.
    pub fn habits(&self, change: impl FnOnce(&mut Habits)) {
        self.desk.act(|machine, _| change(&mut machine.habits));
    }

    /// Calls a number of a PBX.
    pub fn call(&self, pbx: SocketAddr, number: &str) {
        self.desk.act(|machine, now| machine.call(pbx, number, now));
    }

    /// Ends its calls.
    pub fn hang_up(&self) {
        self.desk.act(Machine::hang_up);
    }

    /// Its machine loses its power.
    pub fn crash(&self) {
        self.desk.crash();
        self.desk.look(Machine::forget);
    }

    /// Its machine is on again.
    pub fn restart(&self) {
        self.desk.restart();
    }

    /// What is to be heard of it, in Hz.
    pub fn voice(&self) -> f64 {
        self.voice
    }

    /// All its calls, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.desk.look(|machine, _| machine.lines.iter().map(Line::facts).collect())
    }

    /// What it hears in its last call in the time before now.
    pub fn heard_lately(&self, length: Duration) -> Vec<i16> {
        self.desk.look(|machine, now| match machine.lines.last() {
            Some(line) => line.listener.listening.lately(length, now),
            None => Listening::default().lately(length, now),
        })
    }

    /// Who has registered there, with the contacts.
    pub fn registrations(&self) -> Vec<(String, String)> {
        self.desk.look(|machine, _| machine.registrations.clone())
    }

    /// How often it has asked for credentials.
    pub fn challenges(&self) -> usize {
        self.desk.look(|machine, _| machine.challenges)
    }

    /// What was against the RFCs.
    pub fn complaints(&self) -> Vec<String> {
        self.desk.look(|machine, _| machine.complaints.clone())
    }

    /// Whether it was told to do what no trunk should.
    pub fn misbehaves(&self) -> bool {
        self.desk
            .look(|machine, _| matches!(machine.habits.reaction, Reaction::NeverAnswers | Reaction::IsDead))
    }

    /// Whether no call and no transaction is left.
    pub fn is_idle(&self) -> bool {
        self.desk.look(|machine, _| machine.station.is_idle())
    }
}

struct Machine {
    habits: Habits,
    station: Station,
    name: String,
    local: SocketAddr,
    voice: f64,
    rng: Rng,
    nonce: String,
    lines: Vec<Line>,
    registrations: Vec<(String, String)>,
    challenges: usize,
    complaints: Vec<String>,
    next_port: u16,
    out: VecDeque<Output>,
}

struct Line {
    call: CallId,
    facts: Call,
    local: SocketAddr,
    negotiation: Negotiation,
    talker: Talker,
    listener: Listener,
    answer_at: Option<Instant>,
}

impl Machine {
    fn new(name: &str, local: SocketAddr, voice: f64, mut rng: Rng) -> Machine {
        Machine {
            habits: Habits::default(),
            station: Station::new(name, "", local, rng.fork()),
            name: name.to_owned(),
            local,
            voice,
            nonce: rng.token(20),
            rng,
            lines: Vec::new(),
            registrations: Vec::new(),
            challenges: 0,
            complaints: Vec::new(),
            next_port: FIRST_PORT,
            out: VecDeque::new(),
        }
    }

    fn call(&mut self, pbx: SocketAddr, number: &str, now: Instant) {
        let (local, mut negotiation) = self.open_port();
        let offer = negotiation.offer(&audio(local));
        let invitation = Invitation {
            uri: format!("sip:{number}@{pbx}"),
            from: format!("<sip:{}@{}>", self.name, self.local),
            path: Path { transport: Transport::Udp, local: self.local, remote: pbx, connection: None },
            headers: Vec::new(),
            body: ("application/sdp".to_owned(), offer),
        };
        let call = self.station.invite(invitation, now);
        let facts = Call { number: number.to_owned(), caller: self.name.clone(), ..Call::default() };
        self.add(call, facts, local, negotiation, None);
    }

    fn hang_up(&mut self, now: Instant) {
        for at in 0..self.lines.len() {
            if self.lines[at].facts.ended_at.is_none() {
                self.station.hang_up(self.lines[at].call, now);
                self.end(at, now);
            }
        }
        self.settle(now);
    }

    /// The power is gone, and what was only in memory.
    fn forget(&mut self, now: Instant) {
        for line in &mut self.lines {
            line.facts.ended_at.get_or_insert(now);
            line.talker.stop();
            line.answer_at = None;
        }
        self.station.forget();
        self.out.clear();
    }

    fn settle(&mut self, now: Instant) {
        loop {
            while let Some((path, bytes)) = self.station.poll_transmit(now) {
                self.out.push_back(Output::Message { path, bytes });
            }
            let Some(event) = self.station.poll_event() else { return };
            self.on(event, now);
        }
    }

    fn on(&mut self, event: Event, now: Instant) {
        match event {
            Event::Incoming { call, invite } => self.on_invite(call, &invite, now),
            Event::Changing { call, request } => self.on_change(call, &request, now),
            Event::Request { server, request, .. } if *request.method() == Method::Register => {
                self.on_register(server, &request, now);
            }
            Event::Request { server, request, .. } => {
                self.station.reply(server, &request, StatusCode::OK, &[], now);
            }
            Event::Response { call, method: Method::Invite, response } if response.status().is_final() => {
                let Some(at) = self.find(call) else { return };
                self.lines[at].facts.status = Some(response.status());
                if !response.status().is_success() {
                    self.end(at, now);
                } else if self.lines[at].facts.answered_at.is_none() {
                    self.lines[at].facts.answered_at = Some(now);
                    if self.lines[at].negotiation.receive_answer(response.body()).is_ok() {
                        self.lines[at].agree(now);
                    }
                }
            }
            Event::Silence { call, .. } | Event::Ended { call, .. } => {
                if let Some(at) = self.find(call) {
                    self.end(at, now);
                }
            }
            Event::Response { .. } => {}
        }
    }

    fn on_invite(&mut self, call: CallId, invite: &Request, now: Instant) {
        if !self.is_known(invite, Name::ProxyAuthorization) {
            self.challenges += 1;
            let challenge = [(Name::ProxyAuthenticate, self.challenge())];
            let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
            return self.station.respond(call, status, &challenge, None, now);
        }
        let (local, negotiation) = self.open_port();
        let facts = Call {
            number: pbx::sip::Uri::parse(invite.uri()).map(|uri| uri.user_text()).unwrap_or_default(),
            caller: user_of(invite.from()),
            invite: format!("{invite:?}"),
            ..Call::default()
        };
        let at = self.add(call, facts, local, negotiation, Some(now));
        match self.habits.reaction.clone() {
            Reaction::Answers => {}
            Reaction::AnswersAfter(time) => self.lines[at].answer_at = Some(now + time),
            Reaction::NeverAnswers | Reaction::IsDead => {
                self.lines[at].answer_at = None;
                return;
            }
            Reaction::Refuses(status, retry_after) => {
                let later = retry_after.map(|seconds| (Name::RetryAfter, seconds.to_string()));
                return self.refuse(at, status, later.as_slice(), now);
            }
            Reaction::MovesTo(place) => {
                let moved = StatusCode::new(302).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                return self.refuse(at, moved, &[(Name::Contact, format!("<{place}>"))], now);
            }
        }
        if self.lines[at].negotiation.receive_offer(invite.body()).is_err() {
            return self.refuse(at, StatusCode::NOT_ACCEPTABLE_HERE, &[], now);
        }
        let route = self.route();
        self.station.respond(call, StatusCode::RINGING, &route, None, now);
    }

    fn on_change(&mut self, call: CallId, request: &Request, now: Instant) {
        if self.habits.records_route && !request.headers().has(Name::Route) {
            self.complaints.push(format!("{} has no Route", request.method()));
        }
        let Some(at) = self.find(call) else { return };
        let line = &mut self.lines[at];
        let answer = match (request.body(), line.negotiation.receive_offer(request.body())) {
            ([], _) => Some(line.negotiation.offer(&audio(line.local))),
            (_, Ok(_)) => line.negotiation.answer(&audio(line.local)).ok().map(|(answer, _)| answer),
            (_, Err(_)) => None,
        };
        line.agree(now);
        match answer {
            Some(answer) => {
                let body = ("application/sdp".to_owned(), answer);
                self.station.respond(call, StatusCode::OK, &[], Some(body), now);
            }
            None => self.station.respond(call, StatusCode::NOT_ACCEPTABLE_HERE, &[], None, now),
        }
    }

    fn on_register(&mut self, server: pbx::transaction::ServerId, request: &Request, now: Instant) {
        if !self.is_known(request, Name::Authorization) {
            self.challenges += 1;
            let challenge = [(Name::WwwAuthenticate, self.challenge())];
            return self.station.reply(server, request, StatusCode::UNAUTHORIZED, &challenge, now);
        }
        let contact = request.headers().get(Name::Contact).unwrap_or_default().to_owned();
        self.registrations.push((user_of(request.to_header()), contact.clone()));
        let granted = [(Name::Contact, format!("{contact};expires=600"))];
        self.station.reply(server, request, StatusCode::OK, &granted, now);
    }

    fn answer_due(&mut self, now: Instant) {
        for at in 0..self.lines.len() {
            let line = &mut self.lines[at];
            if line.answer_at.is_none_or(|at| at > now) {
                continue;
            }
            line.answer_at = None;
            let Ok((answer, _)) = line.negotiation.answer(&audio(line.local)) else {
                self.refuse(at, StatusCode::NOT_ACCEPTABLE_HERE, &[], now);
                continue;
            };
            line.facts.answered_at = Some(now);
            line.facts.status = Some(StatusCode::OK);
            line.agree(now);
            let (call, body) = (line.call, ("application/sdp".to_owned(), answer));
            let route = self.route();
            self.station.respond(call, StatusCode::OK, &route, Some(body), now);
        }
    }

    fn refuse(&mut self, at: usize, status: StatusCode, headers: &[(Name, String)], now: Instant) {
        self.lines[at].facts.status = Some(status);
        self.station.respond(self.lines[at].call, status, headers, None, now);
        self.end(at, now);
    }

    /// What makes every request of a call come by us.
    fn route(&self) -> Vec<(Name, String)> {
        let route =
            self.habits.records_route.then(|| (Name::RecordRoute, format!("<sip:{};lr>", self.local)));
        route.into_iter().collect()
    }

    fn challenge(&self) -> String {
        format!("Digest realm=\"{REALM}\", nonce=\"{}\", qop=\"auth\", algorithm=MD5", self.nonce)
    }

    fn is_known(&mut self, request: &Request, header: Name) -> bool {
        let Some((user, password)) = &self.habits.credentials else { return true };
        let Some(shown) = request.headers().get(header).and_then(|line| Credentials::parse(line).ok()) else {
            return false;
        };
        if shown.uri != request.uri() {
            self.complaints.push(format!("the credentials are for {} and not {}", shown.uri, request.uri()));
        }
        let secret = shown.algorithm.secret(user, REALM, password);
        shown.username == *user && shown.nonce == self.nonce && shown.prove(request, &secret)
    }

    fn open_port(&mut self) -> (SocketAddr, Negotiation) {
        let local = SocketAddr::new(self.local.ip(), self.next_port);
        self.next_port += 2;
        self.out.push_back(Output::Open(local));
        (local, Negotiation::new(self.rng.u64(), "-"))
    }

    fn add(
        &mut self,
        call: CallId,
        facts: Call,
        local: SocketAddr,
        negotiation: Negotiation,
        answer_at: Option<Instant>,
    ) -> usize {
        let talker = Talker::new(self.voice, &mut self.rng);
        let listener = Listener::default();
        self.lines.push(Line { call, facts, local, negotiation, talker, listener, answer_at });
        self.lines.len() - 1
    }

    fn end(&mut self, at: usize, now: Instant) {
        let line = &mut self.lines[at];
        line.facts.ended_at.get_or_insert(now);
        line.answer_at = None;
        line.talker.stop();
        self.out.push_back(Output::Close(line.local));
    }

    fn find(&self, call: CallId) -> Option<usize> {
        self.lines.iter().position(|line| line.call == call)
    }
}

impl Line {
    fn facts(&self) -> Call {
        Call { hearing: self.listener.listening.hearing(), ..self.facts.clone() }
    }

    /// Sound follows what was agreed.
    fn agree(&mut self, now: Instant) {
        let Some(agreement) = self.negotiation.agreed() else { return };
        let codec =
            agreement.codecs.iter().find_map(|codec| Some((codec.payload_type, Law::named(&codec.name)?)));
        let Some((payload_type, law)) = codec else { return };
        self.listener.listen(payload_type, law);
        let may_send = matches!(agreement.direction, Direction::SendRecv | Direction::SendOnly);
        match agreement.remote.rtp.filter(|_| may_send) {
            Some(to) => self.talker.send_to(to, payload_type, law, now),
            None => self.talker.stop(),
        }
    }
}

impl sip::Machine for Machine {
    fn receive(&mut self, bytes: &[u8], path: Path, now: Instant) {
        if self.habits.reaction != Reaction::IsDead {
            self.station.receive(bytes, path, now);
            self.settle(now);
        }
    }

    fn receive_media(&mut self, local: SocketAddr, bytes: &[u8], now: Instant) {
        let lines = self.lines.iter_mut().filter(|line| line.facts.ended_at.is_none());
        if let Some(line) = lines.into_iter().find(|line| line.local == local) {
            line.listener.receive(bytes, now);
        }
    }

    fn path_failed(&mut self, path: Path, now: Instant) {
        self.station.path_failed(path, now);
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.station.handle_timeout(now);
        self.answer_due(now);
        for line in &mut self.lines {
            if let Some((remote, bytes)) = line.talker.handle_timeout(now) {
                self.out.push_back(Output::Media { local: line.local, remote, bytes });
            }
        }
        self.settle(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let lines = self.lines.iter().flat_map(|line| [line.answer_at, line.talker.poll_timeout()]);
        lines.chain([self.station.poll_timeout()]).flatten().min()
    }

    fn poll_output(&mut self, now: Instant) -> Option<Output> {
        self.settle(now);
        self.out.pop_front()
    }
}

fn audio(address: SocketAddr) -> LocalAudio {
    let codecs = vec![Codec::pcma(), Codec::pcmu()];
    LocalAudio { address, codecs, direction: Direction::SendRecv, ptime: Some(20) }
}
