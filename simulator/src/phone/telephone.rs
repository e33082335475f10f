//! A telephone as a machine: messages, packets, keys and the time go in; messages, packets and the next deadline come out.

use super::line::{Line, State};
use super::registration::{Account, Registration};
use super::sound::Sound;
use super::voice::Voice;
use super::{Answering, Habits};
use pbx::dialog::{
    Body, Description, Event, Invite, Output as AgentOutput, Reply, SessionId, Settings, UserAgent,
};
use pbx::rng::Rng;
use pbx::sdp::{Direction, Negotiation};
use pbx::sip::{Limits, Message, Method, Path, Request, StatusCode};
use pbx::time::{Duration, Instant};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The first RTP port; each call has the next pair.
const FIRST_PORT: u16 = 40_000;

/// What leaves a telephone.
pub(super) enum Output {
    /// A SIP message.
    Message { path: Path, bytes: Vec<u8> },
    /// RTP from one of our ports.
    Media { local: SocketAddr, remote: SocketAddr, bytes: Vec<u8> },
    /// RTP is to be received here and at the port above.
    Open(SocketAddr),
    /// And here no longer.
    Close(SocketAddr),
}

/// The machine.
pub(super) struct Telephone {
    pub(super) name: String,
    pub(super) habits: Habits,
    /// Whether it was ever told to do what no telephone should.
    pub(super) has_misbehaved: bool,
    pub(super) registration: Registration,
    /// All calls, the ended ones too, oldest first.
    pub(super) lines: Vec<Line>,
    /// Text messages that came.
    pub(super) texts: Vec<String>,
    agent: UserAgent,
    path: Path,
    domain: String,
    password: String,
    next_port: u16,
    rng: Rng,
    out: VecDeque<Output>,
}

impl Telephone {
    pub(super) fn new(account: Account, habits: Habits, path: Path, mut rng: Rng) -> Telephone {
        let settings = Settings {
            user_agent: "Telephone".into(),
            t1: Duration::from_millis(500),
            session_expires: None,
            min_se: Duration::from_secs(90),
            external_address: None,
            max_transactions: 1_000,
        };
        Telephone {
            name: account.user.clone(),
            domain: account.domain.clone(),
            password: account.password.clone(),
            agent: UserAgent::new(settings, rng.fork()),
            registration: Registration::new(account, path, rng.fork()),
            habits,
            has_misbehaved: false,
            lines: Vec::new(),
            texts: Vec::new(),
            path,
            next_port: FIRST_PORT,
            rng,
            out: VecDeque::new(),
        }
    }

    pub(super) fn register(&mut self, password: Option<&str>, now: Instant) {
        if let Some(password) = password {
            self.password = password.to_owned();
        }
        self.registration.start(password, now);
        self.settle(now);
    }

    pub(super) fn unregister(&mut self, now: Instant) {
        self.registration.end(now);
        self.settle(now);
    }

    /// Calls a number of the PBX.
    pub(super) fn call(&mut self, number: &str, now: Instant) {
        let Telephone { name, domain, .. } = self;
        let mut invite = Invite {
            uri: format!("sip:{number}@{domain}"),
            to: format!("<sip:{number}@{domain}>"),
            from: format!("<sip:{name}@{domain}>"),
            path: self.path,
            route: Vec::new(),
            max_forwards: 70,
            headers: Vec::new(),
            offer: None,
            credentials: Some((name.clone(), self.password.clone())),
            try_timeout: None,
        };
        let mut line = self.new_line(SessionId(0), number, State::Calling, now);
        if !self.habits.offers_late {
            invite.offer = Some(line.offer());
        }
        line.session = self.agent.invite(invite, now);
        self.lines.push(line);
        self.settle(now);
    }

    /// Answers what rings.
    pub(super) fn answer(&mut self, now: Instant) {
        let ringing = |line: &Line| matches!(line.state, State::Ringing { .. });
        if let Some(at) = self.lines.iter().rposition(ringing) {
            self.accept(at, now);
            self.settle(now);
        }
    }

    /// Refuses what rings.
    pub(super) fn reject(&mut self, status: StatusCode, now: Instant) {
        let ringing = |line: &&mut Line| matches!(line.state, State::Ringing { .. });
        if let Some(line) = self.current().filter(ringing) {
            let session = line.session;
            line.end(false, now);
            self.agent.reject(session, Reply::new(status), now);
            self.settle(now);
        }
    }

    /// Ends the current call whatever its state.
    pub(super) fn hang_up(&mut self, now: Instant) {
        if let Some(line) = self.current() {
            let session = line.session;
            line.end(false, now);
            self.agent.hang_up(session, None, now);
            self.settle(now);
        }
    }

    /// The other side of the current call is to wait (RFC 3264 section 8.4), or no longer.
    pub(super) fn hold(&mut self, holds: bool, now: Instant) {
        // The key does nothing while nobody is there to wait, and while one change is still being agreed on.
        let can_change = |line: &&mut Line| line.state == State::Talking && line.negotiation.is_stable();
        if let Some(line) = self.current().filter(can_change) {
            line.direction = if holds { Direction::SendOnly } else { Direction::SendRecv };
            let (session, offer) = (line.session, line.offer());
            self.agent.offer(session, Some(offer), now);
            self.settle(now);
        }
    }

    pub(super) fn press(&mut self, keys: &str, now: Instant) {
        if let Some(line) = self.current() {
            line.voice.press(keys, now);
        }
    }

    /// Tells a key by INFO (application/dtmf-relay).
    pub(super) fn press_by_info(&mut self, keys: &str, now: Instant) {
        let Some(session) = self.current().map(|line| line.session) else { return };
        for key in keys.chars().filter(|key| !key.is_whitespace()) {
            let body = Body {
                content_type: "application/dtmf-relay".into(),
                bytes: format!("Signal={key}\r\nDuration=100\r\n").into_bytes(),
            };
            self.agent.request_within(session, Method::Info, Vec::new(), Some(body), now);
        }
        self.settle(now);
    }

    pub(super) fn play(&mut self, sound: Sound, now: Instant) {
        if let Some(line) = self.current() {
            line.voice.play(sound.clone(), now);
        }
        self.habits.voice = sound;
    }

    /// A SIP message has come.
    pub(super) fn receive(&mut self, bytes: &[u8], path: Path, now: Instant) {
        match Message::parse(bytes, &Limits::default()) {
            Ok(Message::Response(response))
                if response.cseq().is_ok_and(|cseq| cseq.method() == Method::Register) =>
            {
                self.registration.receive(response, now);
            }
            Ok(Message::Request(request))
                if self.habits.answering == Answering::IsDead && is_new_call(&request) => {}
            Ok(message) => self.agent.receive(message, path, now),
            // A stranger's noise.
            Err(_) => {}
        }
        self.settle(now);
    }

    /// RTP has come to one of our ports.
    pub(super) fn receive_media(&mut self, local: SocketAddr, bytes: &[u8], now: Instant) {
        if let Some(line) = self.lines.iter_mut().find(|line| line.voice.local == local && !line.is_over()) {
            line.voice.receive(bytes, now);
        }
    }

    /// A connection broke, or could not be made.
    pub(super) fn path_failed(&mut self, path: Path, now: Instant) {
        self.registration.path_failed(path, now);
        self.agent.path_failed(path, now);
        self.settle(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let lines = self.lines.iter().filter(|line| !line.is_over()).flat_map(|line| {
            let answer_at = match line.state {
                State::Ringing { answer_at } => answer_at,
                State::Calling | State::Talking | State::Over => None,
            };
            [answer_at, line.voice.poll_timeout()]
        });
        let machines = [self.agent.poll_timeout(), self.registration.poll_timeout()];
        lines.chain(machines).flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        self.registration.handle_timeout(now);
        let is_due = |line: &Line| matches!(line.state, State::Ringing { answer_at: Some(at) } if at <= now);
        while let Some(at) = self.lines.iter().position(is_due) {
            self.accept(at, now);
        }
        for line in self.lines.iter_mut().filter(|line| !line.is_over()) {
            if let Some((remote, bytes)) = line.voice.handle_timeout(now) {
                self.out.push_back(Output::Media { local: line.voice.local, remote, bytes });
            }
        }
        self.settle(now);
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The call that is up, the last one when there are several.
    pub(super) fn current(&mut self) -> Option<&mut Line> {
        self.lines.iter_mut().rev().find(|line| !line.is_over())
    }

    /// Whether no call, dialog or transaction is left.
    pub(super) fn is_idle(&self) -> bool {
        self.agent.is_idle() && self.lines.iter().all(Line::is_over)
    }

    fn new_line(&mut self, session: SessionId, with: &str, state: State, now: Instant) -> Line {
        let local = SocketAddr::new(self.path.local.ip(), self.next_port);
        self.next_port += 2;
        self.out.push_back(Output::Open(local));
        let mut line = Line {
            session,
            with: with.to_owned(),
            state,
            negotiation: Negotiation::new(self.rng.u64(), "-"),
            voice: Voice::new(local, self.habits.voice.clone(), &mut self.rng),
            direction: Direction::SendRecv,
            codecs: self.habits.codecs.clone(),
            offered: None,
            facts: super::Facts::default(),
        };
        line.facts.began_at = now;
        line
    }

    fn line(&mut self, session: SessionId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.session == session && !line.is_over())
    }

    /// Hands on what was produced within.
    fn settle(&mut self, now: Instant) {
        while let Some((path, bytes)) = self.registration.poll_transmit(now) {
            self.out.push_back(Output::Message { path, bytes });
        }
        while let Some(output) = self.agent.poll_output() {
            match output {
                AgentOutput::Transmit { path, bytes } => {
                    self.out.push_back(Output::Message { path, bytes });
                }
                AgentOutput::Event(event) => self.on_event(event, now),
            }
        }
        for line in &mut self.lines {
            if line.is_over() && line.voice.is_open {
                line.voice.is_open = false;
                self.out.push_back(Output::Close(line.voice.local));
            }
        }
    }

    fn on_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Incoming { session, invite, offer, .. } => self.on_incoming(session, &invite, offer, now),
            Event::Provisional { session, response, description } => {
                if let Some(line) = self.line(session) {
                    line.facts.told.push(response.status());
                    if let Some(Description::Answer(answer)) = description
                        && let Ok(agreement) = line.negotiation.preview_answer(&answer)
                    {
                        line.voice.agree(&agreement, now);
                    }
                }
            }
            Event::Answered { session, response, description } => {
                self.on_answered(session, response.status(), description, now);
            }
            Event::Refused { session, status, .. } => {
                if let Some(line) = self.line(session) {
                    line.facts.told.push(status);
                    line.end(true, now);
                }
            }
            Event::Confirmed { session, answer } => {
                if let (Some(line), Some(answer)) = (self.line(session), answer) {
                    line.answered(&answer, now);
                }
            }
            Event::Offered { session, offer } => self.on_offered(session, offer.as_deref(), now),
            Event::OfferAnswered { session, answer } => {
                if let Some(line) = self.line(session) {
                    line.answered(&answer, now);
                }
            }
            Event::OfferRefused { session, .. } => {
                if let Some(line) = self.line(session) {
                    line.negotiation.rollback();
                }
            }
            Event::Request { id, request, .. } => {
                if *request.method() == Method::Message {
                    self.texts.push(String::from_utf8_lossy(request.body()).into_owned());
                }
                self.agent.reply(id, Reply::new(StatusCode::OK), now);
            }
            Event::Response { .. } => {}
            Event::Ended { session, .. } => {
                if let Some(line) = self.line(session) {
                    line.end(true, now);
                }
            }
        }
    }

    fn on_incoming(&mut self, session: SessionId, invite: &Request, offer: Option<Vec<u8>>, now: Instant) {
        let caller = invite.from().ok().and_then(|from| from.parse_uri().ok().map(|uri| uri.user_text()));
        let answer_at = match self.habits.answering {
            Answering::After(patience) => Some(now + patience),
            Answering::ByHand | Answering::Never | Answering::IsDead => None,
            Answering::Rejects(status) => {
                return self.agent.reject(session, Reply::new(status), now);
            }
        };
        let state = State::Ringing { answer_at };
        let mut line = self.new_line(session, &caller.unwrap_or_default(), state, now);
        line.offered = offer;
        self.lines.push(line);
        self.agent.ring(session, StatusCode::RINGING, None, false, Vec::new(), now);
    }

    fn accept(&mut self, at: usize, now: Instant) {
        let line = &mut self.lines[at];
        let session = line.session;
        let description = match line.offered.take() {
            Some(offer) => line.answer(&offer, now),
            None => Some(line.offer()),
        };
        match description {
            Some(description) => {
                line.state = State::Talking;
                line.facts.answered_at = Some(now);
                self.agent.accept(session, description, Vec::new(), now);
            }
            None => {
                line.end(false, now);
                self.agent.reject(session, Reply::new(StatusCode::NOT_ACCEPTABLE_HERE), now);
            }
        }
    }

    fn on_answered(
        &mut self,
        session: SessionId,
        status: StatusCode,
        description: Option<Description>,
        now: Instant,
    ) {
        let Some(line) = self.line(session) else { return };
        line.state = State::Talking;
        line.facts.told.push(status);
        line.facts.answered_at = Some(now);
        match description {
            Some(Description::Answer(answer)) if line.answered(&answer, now) => {}
            Some(Description::Answer(_)) => {
                line.end(false, now);
                self.agent.hang_up(session, None, now);
            }
            Some(Description::Offer(offer)) => match line.answer(&offer, now) {
                Some(answer) => self.agent.answer(session, answer, now),
                None => self.agent.refuse_offer(session, StatusCode::NOT_ACCEPTABLE_HERE, now),
            },
            // Told before, in a response that came reliably.
            None => {}
        }
    }

    fn on_offered(&mut self, session: SessionId, offer: Option<&[u8]>, now: Instant) {
        let Some(line) = self.line(session) else { return };
        let description = match offer {
            Some(offer) => line.answer(offer, now),
            None => Some(line.offer()),
        };
        match description {
            Some(description) => self.agent.answer(session, description, now),
            None => self.agent.refuse_offer(session, StatusCode::NOT_ACCEPTABLE_HERE, now),
        }
    }
}

fn is_new_call(request: &Request) -> bool {
    *request.method() == Method::Invite && request.to_header().is_ok_and(|to| to.tag().is_none())
}
