//! A telephone as a machine: messages, packets, keys and the time go in; messages, packets and the next deadline come out.
//! What its user agent tells it, it takes up in `reactions.rs`.

use super::agent::{Agent, Identity, Means, Output as AgentOutput, SessionId};
use super::line::{Line, State};
use super::news::News;
use super::registration::{Account, Registration};
use super::sound::Sound;
use super::voice::Voice;
use super::{Answering, Habits};
use pbx::rng::Rng;
use pbx::sdp::{Codec, Negotiation, Srtp};
use pbx::sip::{Limits, Message, Method, Path, Request, StatusCode};
use pbx::srtp::MasterKey;
use pbx::time::Instant;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The first RTP port; each call has the next pair.
const FIRST_PORT: u16 = 40_000;

/// What leaves a telephone.
pub(super) enum Output {
    /// A SIP message.
    Message { path: Path, bytes: Vec<u8> },
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
    pub(super) keys_told: String,
    pub(super) news: News,
    pub(super) agent: Agent,
    /// Which of the lines its owner talks on.
    pub(super) focus: usize,
    path: Path,
    next_port: u16,
    rng: Rng,
    pub(super) out: VecDeque<Output>,
}

impl Telephone {
    pub(super) fn new(account: Account, habits: Habits, path: Path, mut rng: Rng) -> Telephone {
        let Account { user, password, domain, .. } = account.clone();
        let identity = Identity { user, password, domain, path };
        Telephone {
            name: account.user.clone(),
            agent: Agent::new(identity, rng.fork()),
            registration: Registration::new(account, path, rng.fork()),
            habits,
            has_misbehaved: false,
            lines: Vec::new(),
            texts: Vec::new(),
            keys_told: String::new(),
            news: News::default(),
            focus: 0,
            path,
            next_port: FIRST_PORT,
            rng,
            out: VecDeque::new(),
        }
    }

    /// What it does from now on.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.habits);
        self.has_misbehaved |= self.habits.answering == Answering::IsDead;
        self.agent.abilities = self.habits.abilities.clone();
        self.agent.ways = self.habits.ways.clone();
        self.agent.lines = self.habits.lines.clone();
        self.agent.hears_of_transfers = self.habits.hears_of_transfers;
        self.registration.ways = self.habits.ways.clone();
        for line in self.lines.iter_mut().filter(|line| !line.is_over()) {
            line.ways = self.habits.ways.clone();
            line.voice.ways = self.habits.ways.clone();
            line.voice.pauses = self.habits.pauses;
            line.voice.noise = self.habits.noise;
            line.holding = self.habits.holding;
        }
    }

    pub(super) fn register(&mut self, password: Option<&str>, now: Instant) {
        if let Some(password) = password {
            password.clone_into(&mut self.agent.identity.password);
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
        self.place_call(number, None, now);
        self.settle(now);
    }

    /// Calls a number, in the place that somebody has in a call.
    pub(super) fn call_in_place_of(&mut self, number: &str, replaces: &str, now: Instant) {
        self.place_call(number, Some(replaces), now);
        self.settle(now);
    }

    /// Its place in its call, as Replaces names it to the other side.
    pub(super) fn place_in_call(&self) -> Option<String> {
        self.agent.place_in(self.shown()?.session)
    }

    /// Wants to be told of something of a number.
    pub(super) fn subscribe(&mut self, number: &str, event: &str, expires: u32, now: Instant) {
        self.agent.subscribe(number, event, expires, now);
        self.settle(now);
    }

    /// Does not want to be told any longer.
    pub(super) fn unsubscribe(&mut self, now: Instant) {
        self.agent.unsubscribe(now);
        self.settle(now);
    }

    /// Answers what rings; whoever it talks to has to wait meanwhile.
    pub(super) fn answer(&mut self, now: Instant) {
        if let Some(at) = self.lines.iter().rposition(Line::is_ringing) {
            self.park(at, now);
            self.accept(at, now);
            self.settle(now);
        }
    }

    /// Talks to the other one of two, while this one has to wait.
    pub(super) fn swap(&mut self, now: Instant) {
        let is_other = |at: &usize| *at != self.focus && self.lines[*at].state == State::Talking;
        if let Some(other) = (0..self.lines.len()).rev().find(is_other) {
            self.park(other, now);
            self.hold(false, now);
        }
    }

    /// Refuses what rings, or else ends what is up.
    pub(super) fn reject(&mut self, status: StatusCode, now: Instant) {
        let Some(at) = self.lines.iter().rposition(Line::is_ringing) else { return self.hang_up(now) };
        let line = &mut self.lines[at];
        let session = line.session;
        line.end(false, now);
        self.agent.reject(session, status, now);
        self.settle(now);
    }

    /// Ends the current call whatever its state.
    pub(super) fn hang_up(&mut self, now: Instant) {
        if let Some(line) = self.current() {
            let session = line.session;
            line.end(false, now);
            self.agent.hang_up(session, now);
            self.settle(now);
        }
    }

    /// The other side of the current call is to wait (RFC 3264 section 8.4), or no longer.
    pub(super) fn hold(&mut self, holds: bool, now: Instant) {
        // The key does nothing while nobody is there to wait.
        if let Some(line) = self.current().filter(|line| line.state == State::Talking) {
            line.holds = holds;
            let session = line.session;
            self.wish(session, now);
        }
    }

    /// The current call is to go on with these codecs.
    pub(super) fn change_codecs(&mut self, codecs: Vec<Codec>, now: Instant) {
        if let Some(line) = self.current() {
            line.codecs = codecs;
            let session = line.session;
            self.wish(session, now);
        }
    }

    /// The other side of the current call is to make an offer.
    pub(super) fn ask_for_offer(&mut self, now: Instant) {
        if let Some(session) = self.current().map(|line| line.session) {
            self.agent.wish(session, Means::AskForOffer, now);
            self.settle(now);
        }
    }

    /// The other side of the current call is to call this number.
    pub(super) fn transfer(&mut self, number: &str, now: Instant) {
        if let Some(session) = self.current().map(|line| line.session) {
            self.agent.transfer(session, number, now);
            self.settle(now);
        }
    }

    /// The other sides of its two calls are to talk to each other.
    pub(super) fn connect_lines(&mut self, now: Instant) {
        let Some(current) = self.current().map(|line| line.session) else { return };
        let is_other = |line: &&Line| line.state == State::Talking && line.session != current;
        let Some(other) = self.lines.iter().rev().find(is_other).map(|line| line.session) else { return };
        self.agent.transfer_to_call(other, current, now);
        self.settle(now);
    }

    pub(super) fn press(&mut self, keys: &str, now: Instant) {
        if let Some(line) = self.current() {
            line.voice.press(keys, now);
        }
    }

    pub(super) fn press_in_band(&mut self, keys: &str) {
        if let Some(line) = self.current() {
            line.voice.press_in_band(keys);
        }
    }

    /// Tells a key by INFO (application/dtmf-relay).
    pub(super) fn press_by_info(&mut self, keys: &str, now: Instant) {
        let Some(session) = self.current().map(|line| line.session) else { return };
        for key in keys.chars().filter(|key| !key.is_whitespace()) {
            let body = format!("Signal={key}\r\nDuration=100\r\n");
            let body = Some(("application/dtmf-relay", body.as_bytes()));
            self.agent.send_within(session, Method::Info, None, body, now);
        }
        self.settle(now);
    }

    /// Asks for the recording of the call to go on, or to pause.
    pub(super) fn record(&mut self, on: bool, now: Instant) {
        let Some(session) = self.current().map(|line| line.session) else { return };
        let header = Some(("Record", if on { "on" } else { "off" }));
        self.agent.send_within(session, Method::Info, header, None, now);
        self.settle(now);
    }

    /// Sends a text: within the call, when there is one, or to a number.
    pub(super) fn write(&mut self, number: &str, text: &str, now: Instant) {
        let is_up = |line: &&mut Line| line.state == State::Talking && line.with == number;
        match self.current().filter(is_up).map(|line| line.session) {
            Some(session) => {
                let body = Some(("text/plain", text.as_bytes()));
                self.agent.send_within(session, Method::Message, None, body, now);
            }
            None => self.agent.send_outside(Method::Message, number, Some(text), now),
        }
        self.settle(now);
    }

    /// Asks a number so often whether it is there.
    pub(super) fn ask(&mut self, number: &str, times: u32, now: Instant) {
        for _ in 0..times {
            self.agent.send_outside(Method::Options, number, None, now);
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
            // What lacks what every message says (RFC 3261 section 8.1.1), or says it so that it cannot be read, is dropped: a dialog
            // made of it would be one that the other side does not know.
            Ok(message) if !is_sound(&message) => {}
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

    /// When there is anything to be done but to speak.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let answers = self.lines.iter().filter(|line| line.voice.is_open).map(|line| match line.state {
            State::Ringing { answer_at } => answer_at,
            State::Calling | State::Talking | State::Over => None,
        });
        let machines = [self.agent.poll_timeout(), self.registration.poll_timeout()];
        answers.chain(machines).flatten().min()
    }

    /// When the next packet of sound goes out.
    pub(super) fn speaks_at(&self) -> Option<Instant> {
        let open = self.lines.iter().filter(|line| line.voice.is_open);
        open.filter_map(|line| line.voice.poll_timeout()).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        self.registration.handle_timeout(now);
        let is_due = |line: &Line| matches!(line.state, State::Ringing { answer_at: Some(at) } if at <= now);
        while let Some(at) = self.lines.iter().position(is_due) {
            self.accept(at, now);
        }
        self.settle(now);
    }

    /// The packets of sound that it is time for, from where and whereto. `packet` is where they are made.
    pub(super) fn speak(
        &mut self,
        now: Instant,
        packet: &mut Vec<u8>,
        mut send: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        let mut has_stopped = false;
        for line in self.lines.iter_mut().filter(|line| line.voice.is_open) {
            packet.clear();
            if let Some(remote) = line.voice.handle_timeout(now, packet) {
                send(line.voice.source(), remote, packet);
            }
            has_stopped |= line.voice.has_stopped();
        }
        if has_stopped {
            self.close_ended();
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The call that its owner talks on; when that is over, the last one that is not.
    pub(super) fn current(&mut self) -> Option<&mut Line> {
        let is_up = |at: &usize| self.lines.get(*at).is_some_and(|line| !line.is_over());
        let at =
            Some(self.focus).filter(is_up).or_else(|| self.lines.iter().rposition(|line| !line.is_over()));
        self.lines.get_mut(at?)
    }

    /// The call that its owner would tell about: the one that is talked on, or else the last.
    pub(super) fn shown(&self) -> Option<&Line> {
        self.lines.get(self.focus).filter(|line| !line.is_over()).or(self.lines.last())
    }

    /// Whether no call, dialog or transaction is left.
    pub(super) fn is_idle(&self) -> bool {
        self.agent.is_idle() && self.lines.iter().all(|line| line.is_over() && line.voice.has_stopped())
    }

    /// Calls a number or a whole URI, in the place of another call when `replaces` says which.
    pub(super) fn place_call(&mut self, number: &str, replaces: Option<&str>, now: Instant) -> SessionId {
        let mut line = self.new_line(number, State::Calling, now);
        let offer = (!self.habits.offers_late).then(|| line.offer());
        let session = self.agent.invite(number, offer.as_deref(), replaces, now);
        line.session = session;
        self.focus = self.lines.len();
        self.lines.push(line);
        session
    }

    pub(super) fn new_line(&mut self, with: &str, state: State, now: Instant) -> Line {
        let local = SocketAddr::new(self.path.local.ip(), self.next_port);
        self.next_port += 2;
        let mut voice = Voice::new(local, self.habits.voice.clone(), &mut self.rng);
        voice.ways = self.habits.ways.clone();
        voice.pauses = self.habits.pauses;
        voice.noise = self.habits.noise;
        self.out.push_back(Output::Open(local));
        if voice.source() != local {
            self.out.push_back(Output::Open(voice.source()));
        }
        let mut negotiation = Negotiation::new(self.rng.u64(), "-");
        if self.habits.srtp != Srtp::Off {
            let mut keys = [[0; MasterKey::LENGTH]; 2];
            keys.iter_mut().for_each(|key| self.rng.fill(key));
            negotiation = negotiation.sealed(self.habits.srtp, keys.map(MasterKey::from_bytes));
        }
        let mut line = Line {
            session: SessionId::default(),
            with: with.to_owned(),
            state,
            negotiation,
            offered_first: None,
            voice,
            holds: false,
            holding: self.habits.holding,
            codecs: self.habits.codecs.clone(),
            offered: None,
            answered_early: None,
            asked_by: None,
            ways: self.habits.ways.clone(),
            facts: super::Facts::default(),
        };
        line.facts.began_at = now;
        line
    }

    /// Answers line number `at`.
    pub(super) fn accept(&mut self, at: usize, now: Instant) {
        let line = &mut self.lines[at];
        let (session, early) = (line.session, line.answered_early.take());
        let description = match (early, line.offered.take()) {
            (Some(early), _) => Some(early),
            (None, Some(offer)) => line.answer(&offer, now),
            (None, None) => Some(line.offer()),
        };
        match description {
            Some(description) => {
                line.state = State::Talking;
                line.facts.answered_at = Some(now);
                line.voice.play(self.habits.voice.clone(), now);
                self.focus = at;
                self.agent.accept(session, Some(&description), now);
            }
            None => {
                line.end(false, now);
                self.agent.reject(session, StatusCode::NOT_ACCEPTABLE_HERE, now);
            }
        }
    }

    /// Hands on what was produced within.
    pub(super) fn settle(&mut self, now: Instant) {
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
        self.close_ended();
    }

    /// Who has nothing to say or to hear any more is not listened to.
    fn close_ended(&mut self) {
        for line in &mut self.lines {
            if line.is_over() && line.voice.is_open && line.voice.has_stopped() {
                line.voice.is_open = false;
                self.out.push_back(Output::Close(line.voice.local));
                self.out.push_back(Output::Close(line.voice.source()));
            }
        }
    }

    /// Line number `at` gets the attention; whoever had it has to wait.
    fn park(&mut self, at: usize, now: Instant) {
        let is_talking = |line: &&mut Line| line.state == State::Talking && !line.holds;
        if let Some(line) = self.lines.get_mut(self.focus).filter(is_talking)
            && self.focus != at
        {
            line.holds = true;
            let session = line.session;
            self.wish(session, now);
        }
        self.focus = at;
    }

    fn wish(&mut self, session: SessionId, now: Instant) {
        let means = if self.habits.updates { Means::Update } else { Means::Reinvite };
        self.agent.wish(session, means, now);
        self.settle(now);
    }
}

/// Whether a message says what it has to say (RFC 3261 sections 8.1.1 and 8.1.3.3).
fn is_sound(message: &Message) -> bool {
    match message {
        Message::Request(request) => request.validate().is_ok(),
        Message::Response(response) => response.validate().is_ok(),
    }
}

fn is_new_call(request: &Request) -> bool {
    *request.method() == Method::Invite && request.to_header().is_ok_and(|to| to.tag().is_none())
}
