//! Two user agents and the link between them, in virtual time. A story sets the scene, acts and looks; when it fails, the
//! ladder of what went over the wire is printed under it.

mod calls;
mod chaos;
mod forks;
mod offers;
mod races;
mod refresh;
mod reliable;
mod requests;
mod subscriptions;

use super::{Event, Invite, Output, SessionId, Settings, UserAgent};
use crate::rng::Rng;
use crate::sip::{Limits, Message, Path, Request, Response, StatusCode, Transport};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};

pub(super) const ALICE: usize = 0;
pub(super) const BOB: usize = 1;

const ADDRESSES: [&str; 2] = ["10.0.0.1:5060", "10.0.0.2:5060"];
const NAMES: [&str; 2] = ["alice", "bob"];

/// Descriptions are opaque here: any bytes will do.
pub(super) fn sdp(name: &str) -> Vec<u8> {
    format!("v=0\r\ns={name}\r\n").into_bytes()
}

/// The path between two addresses over UDP.
pub(super) fn path(local: &str, remote: &str) -> Path {
    let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
    Path { transport: Transport::Udp, local, remote, connection: None }
}

pub(super) fn parse_request(text: &str) -> Request {
    match Message::parse(text.as_bytes(), &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

pub(super) fn parse_response(text: &str) -> Response {
    match Message::parse(text.as_bytes(), &Limits::default()) {
        Ok(Message::Response(response)) => response,
        other => panic!("not a response: {other:?}"),
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        user_agent: "tandem".into(),
        t1: Duration::from_millis(500),
        session_expires: None,
        min_se: Duration::from_secs(90),
        external_address: None,
        max_transactions: 1_000,
    }
}

pub(super) fn status(code: u16) -> StatusCode {
    StatusCode::new(code).unwrap()
}

/// Two user agents, or one and a test that plays the other.
pub(super) struct Rig {
    pub(super) agents: [UserAgent; 2],
    pub(super) now: Instant,
    pub(super) events: [VecDeque<Event>; 2],
    /// What went over the wire: when, from whom, the message.
    pub(super) sent: Vec<(Instant, usize, Message)>,
    /// Where the user agents sent it.
    pub(super) paths: Vec<Path>,
    /// Bob is played by the test: nothing is delivered to him.
    pub(super) bob_is_played: bool,
    in_flight: BTreeMap<(Instant, u64), (usize, Message)>,
    losses: Vec<(usize, &'static str, usize)>,
    pub(super) link: Link,
    pub(super) dice: Rng,
    number: u64,
    ladder: Vec<String>,
}

/// How the link treats messages.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) lost_percent: u64,
    pub(super) doubled_percent: u64,
    pub(super) delay: Duration,
    /// On top of the delay, drawn for each message, so that one may overtake another.
    pub(super) jitter: Duration,
}

impl Link {
    const GOOD: Link = Link {
        lost_percent: 0,
        doubled_percent: 0,
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
    };
}

impl Rig {
    pub(super) fn new() -> Rig {
        Rig::with(settings(), settings())
    }

    pub(super) fn with(alice: Settings, bob: Settings) -> Rig {
        Rig {
            agents: [UserAgent::new(alice, Rng::from_number(1)), UserAgent::new(bob, Rng::from_number(2))],
            now: Instant::START,
            events: [VecDeque::new(), VecDeque::new()],
            sent: Vec::new(),
            paths: Vec::new(),
            bob_is_played: false,
            in_flight: BTreeMap::new(),
            losses: Vec::new(),
            link: Link::GOOD,
            dice: Rng::from_number(3),
            number: 0,
            ladder: Vec::new(),
        }
    }

    /// One user agent; the test plays bob.
    pub(super) fn alone() -> Rig {
        let mut rig = Rig::new();
        rig.bob_is_played = true;
        rig
    }

    /// The next `count` messages that begin so and come from `from` are lost.
    pub(super) fn lose(&mut self, from: usize, start: &'static str, count: usize) {
        self.losses.push((from, start, count));
    }

    /// Somebody does something.
    pub(super) fn act<R>(&mut self, who: usize, verb: impl FnOnce(&mut UserAgent, Instant) -> R) -> R {
        let result = verb(&mut self.agents[who], self.now);
        self.collect();
        result
    }

    /// Time passes.
    pub(super) fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.step(at);
        }
        self.now = until;
    }

    pub(super) fn pass_millis(&mut self, millis: u64) {
        self.pass(Duration::from_millis(millis));
    }

    /// Time passes until nothing happens any more by itself; at most an hour.
    pub(super) fn rest(&mut self) {
        let until = self.now + Duration::from_secs(3_600);
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.step(at);
        }
    }

    /// A message arrives at alice from bob's address, written by the test.
    pub(super) fn bob_sends(&mut self, text: &str) {
        let message = Message::parse(text.as_bytes(), &Limits::default()).expect("the test writes SIP");
        self.note(BOB, &message, "");
        self.deliver(ALICE, message);
        self.collect();
    }

    /// Bob, played by the test, answers a request of alice's.
    pub(super) fn bob_answers(&mut self, request: &Request, code: u16, tag: &str, lines: &str, body: &[u8]) {
        let mut response = Response::to(request, status(code), (!tag.is_empty()).then_some(tag));
        for line in lines.lines() {
            let (name, value) = line.split_once(": ").expect("name and value");
            response.headers_mut().push_named(name, value);
        }
        match body {
            [] => response.clear_body(),
            body => response.set_body("application/sdp", body),
        }
        self.bob_sends(&String::from_utf8(response.to_bytes()).unwrap());
    }

    /// The next event of somebody.
    pub(super) fn event(&mut self, who: usize) -> Event {
        self.events[who].pop_front().unwrap_or_else(|| panic!("{} was told nothing", NAMES[who]))
    }

    /// Nobody was told anything more.
    pub(super) fn assert_silent(&self) {
        assert!(self.events.iter().all(VecDeque::is_empty), "nobody expects {:?}", self.events);
    }

    /// Both have nothing left.
    pub(super) fn assert_idle(&self) {
        for (agent, name) in self.agents.iter().zip(NAMES) {
            assert!(agent.is_idle(), "{name} is not idle");
            assert_eq!(agent.poll_timeout(), None, "{name} still waits for something");
        }
    }

    /// How many messages from somebody begin so.
    pub(super) fn count(&self, from: usize, start: &str) -> usize {
        self.times(from, start).len()
    }

    /// When they went out, in milliseconds.
    pub(super) fn times(&self, from: usize, start: &str) -> Vec<u64> {
        let of_start =
            self.sent.iter().filter(|(_, who, m)| *who == from && start_line(m).starts_with(start));
        of_start.map(|(at, ..)| at.as_nanos() / 1_000_000).collect()
    }

    /// The last request of a method that somebody sent.
    pub(super) fn request(&self, from: usize, method: &str) -> Request {
        let found = self.sent.iter().rev().find_map(|(_, who, message)| match message {
            Message::Request(request) if *who == from && request.method().as_str() == method => Some(request),
            Message::Request(_) | Message::Response(_) => None,
        });
        found.unwrap_or_else(|| panic!("{} sent no {method}", NAMES[from])).clone()
    }

    /// The last response with this status that somebody sent.
    pub(super) fn response(&self, from: usize, code: u16, method: &str) -> Response {
        let found = self.sent.iter().rev().find_map(|(_, who, message)| match message {
            Message::Response(response)
                if *who == from
                    && response.status().code() == code
                    && response.cseq().unwrap().method_text == method =>
            {
                Some(response)
            }
            Message::Request(_) | Message::Response(_) => None,
        });
        found.unwrap_or_else(|| panic!("{} sent no {code} to {method}", NAMES[from])).clone()
    }

    /// Alice calls bob.
    pub(super) fn calls(&mut self, offer: Option<Vec<u8>>) -> SessionId {
        self.act(ALICE, |alice, now| alice.invite(Invite { offer, ..invite() }, now))
    }

    /// Bob hears of a call.
    pub(super) fn incoming(&mut self) -> SessionId {
        match self.event(BOB) {
            Event::Incoming { session, .. } => session,
            other => panic!("bob was told {other:?}"),
        }
    }

    /// Alice has called and bob has answered; both sessions, and no event left.
    pub(super) fn talking(&mut self) -> (SessionId, SessionId) {
        let a = self.calls(Some(sdp("a1")));
        self.pass_millis(20);
        let b = self.incoming();
        self.act(BOB, |bob, now| bob.accept(b, sdp("b1"), Vec::new(), now));
        self.pass_millis(100);
        assert!(matches!(self.event(ALICE), Event::Answered { .. }));
        assert!(matches!(self.event(BOB), Event::Confirmed { .. }));
        (a, b)
    }

    fn next(&self) -> Option<Instant> {
        let flight = self.in_flight.first_key_value().map(|((at, _), _)| *at);
        self.agents.iter().filter_map(UserAgent::poll_timeout).chain(flight).min()
    }

    fn step(&mut self, at: Instant) {
        assert!(at >= self.now, "a deadline of the past: {at} at {}", self.now);
        self.now = at;
        match self.in_flight.first_key_value() {
            Some(((due, _), _)) if *due <= at => {
                let (_, (to, message)) = self.in_flight.pop_first().expect("looked at above");
                self.deliver(to, message);
            }
            Some(_) | None => {
                for agent in &mut self.agents {
                    if agent.poll_timeout().is_some_and(|due| due <= at) {
                        agent.handle_timeout(at);
                        assert!(agent.poll_timeout().is_none_or(|due| due > at), "a deadline that stays due");
                    }
                }
            }
        }
        self.collect();
    }

    fn deliver(&mut self, to: usize, message: Message) {
        if to == BOB && self.bob_is_played {
            return;
        }
        self.agents[to].receive(message, path(ADDRESSES[to], ADDRESSES[1 - to]), self.now);
    }

    fn collect(&mut self) {
        for who in [ALICE, BOB] {
            while let Some(output) = self.agents[who].poll_output() {
                match output {
                    Output::Event(event) => self.events[who].push_back(event),
                    Output::Transmit { bytes, path } => {
                        self.paths.push(path);
                        self.transmit(who, &bytes);
                    }
                }
            }
        }
    }

    fn transmit(&mut self, from: usize, bytes: &[u8]) {
        let message = Message::parse(bytes, &Limits::default()).expect("what goes out is SIP");
        let (copies, mark) = self.fate(from, &message);
        self.note(from, &message, mark);
        for _ in 0..copies {
            let jitter = self.dice.below(self.link.jitter.as_nanos() as u64 + 1);
            let at = self.now + self.link.delay + Duration::from_nanos(jitter);
            self.number += 1;
            self.in_flight.insert((at, self.number), (1 - from, message.clone()));
        }
    }

    fn fate(&mut self, from: usize, message: &Message) -> (usize, &'static str) {
        let line = start_line(message);
        let scripted = self
            .losses
            .iter_mut()
            .find(|(who, start, left)| *who == from && *left > 0 && line.starts_with(start));
        if let Some((.., left)) = scripted {
            *left -= 1;
            return (0, "x");
        }
        let (loss, double) = (self.dice.below(100), self.dice.below(100));
        if loss < self.link.lost_percent {
            (0, "x")
        } else if double < self.link.doubled_percent {
            (2, "=")
        } else {
            (1, "")
        }
    }

    fn note(&mut self, from: usize, message: &Message, mark: &str) {
        let arrow = if from == ALICE { "alice --> bob" } else { "alice <-- bob" };
        let cseq = message.headers().get(crate::sip::Name::CSeq).unwrap_or_default();
        let line = start_line(message);
        self.ladder.push(format!("{:>12}  {arrow} {mark:1} {line}  ({cseq})", self.now.to_string()));
        self.sent.push((self.now, from, message.clone()));
    }
}

/// A failing story prints its ladder.
impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.ladder.join("\n"));
        }
    }
}

/// Alice's INVITE to bob, without an offer.
pub(super) fn invite() -> Invite {
    Invite {
        uri: "sip:bob@10.0.0.2".into(),
        to: "<sip:bob@10.0.0.2>".into(),
        from: "\"Alice\" <sip:alice@10.0.0.1>".into(),
        path: path(ADDRESSES[ALICE], ADDRESSES[BOB]),
        route: Vec::new(),
        max_forwards: 70,
        headers: Vec::new(),
        offer: None,
        credentials: None,
        try_timeout: None,
    }
}

fn start_line(message: &Message) -> String {
    match message {
        Message::Request(request) => format!("{} {}", request.method(), request.uri()),
        Message::Response(response) => response.status().code().to_string(),
    }
}
