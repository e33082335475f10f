//! What the tests of this room share: transactions with a clock, and short ways to say what comes and what went.

use super::{ClientId, Event, Failure, Output, ServerId, Settings, Transactions};
use crate::rng::Rng;
use crate::sip::{Limits, Message, Method, Name, Path, Request, Response, StatusCode, Transport};
use crate::time::{Duration, Instant};

/// Transactions, the time, and everything that has left them.
pub(super) struct Scene {
    pub(super) transactions: Transactions,
    pub(super) now: Instant,
    pub(super) sent: Vec<Sent>,
    pub(super) events: Vec<Event>,
}

/// A message that went out.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) path: Path,
    pub(super) bytes: Vec<u8>,
}

impl Scene {
    pub(super) fn new() -> Scene {
        Scene::with(Settings::default())
    }

    pub(super) fn with_t1(t1: Duration) -> Scene {
        Scene::with(Settings { t1, ..Settings::default() })
    }

    pub(super) fn with(settings: Settings) -> Scene {
        Scene {
            transactions: Transactions::new(settings, Rng::from_number(1)),
            now: Instant::START,
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    /// We send a request.
    pub(super) fn send(&mut self, method: Method, transport: Transport) -> ClientId {
        self.send_request(request(method), path(transport))
    }

    pub(super) fn send_request(&mut self, request: Request, path: Path) -> ClientId {
        let id = self.transactions.send(request, path, self.now);
        self.drain();
        id
    }

    /// The other side answers the request that went out first.
    pub(super) fn hear(&mut self, status: u16) {
        self.hear_tagged(status, "them");
    }

    pub(super) fn hear_tagged(&mut self, status: u16, tag: &str) {
        let Message::Request(request) = parse(&self.sent[0].bytes) else {
            panic!("a request went out first")
        };
        let path = self.sent[0].path;
        self.receive(Message::Response(answer(&request, status, tag)), path);
    }

    /// A request arrives.
    pub(super) fn arrives(&mut self, request: &Request, transport: Transport) {
        self.receive(Message::Request(request.clone()), path(transport));
    }

    pub(super) fn receive(&mut self, message: Message, path: Path) {
        self.transactions.receive(message, path, self.now);
        self.drain();
    }

    /// The TU answers the request that arrived first.
    pub(super) fn respond(&mut self, status: u16) {
        let (id, request) = self.asked();
        let response = answer(&request, status, "us");
        self.transactions.respond(id, response, self.now);
        self.drain();
    }

    pub(super) fn cancel(&mut self, id: ClientId) {
        let reason = ("Reason".to_owned(), "SIP ;cause=200".to_owned());
        self.transactions.cancel(id, &[reason], self.now);
        self.drain();
    }

    pub(super) fn path_fails(&mut self, path: Path) {
        self.transactions.path_failed(path, self.now);
        self.drain();
    }

    /// Time passes; each deadline is met in its moment.
    pub(super) fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.transactions.poll_timeout().filter(|&at| at <= until) {
            self.now = at;
            self.transactions.handle_timeout(at);
            self.drain();
        }
        self.now = until;
    }

    /// Time passes until nothing more happens by itself.
    pub(super) fn rest(&mut self) {
        while let Some(at) = self.transactions.poll_timeout() {
            self.pass(at.since(self.now));
        }
    }

    /// When messages with this beginning went out, in seconds since the start.
    pub(super) fn times(&self, start: &str) -> Vec<f64> {
        let of_start = self.sent.iter().filter(|sent| sent.bytes.starts_with(start.as_bytes()));
        of_start.map(|sent| sent.at.since(Instant::START).as_secs_f64()).collect()
    }

    pub(super) fn count(&self, start: &str) -> usize {
        self.times(start).len()
    }

    pub(super) fn last_sent(&self) -> Message {
        parse(&self.sent.last().expect("something went out").bytes)
    }

    /// The status of each response the TU was told, in order; 0 stands for a failure.
    pub(super) fn told(&self) -> Vec<u16> {
        let told = self.events.iter().filter_map(|event| match event {
            Event::Response { response, .. } => Some(response.status().code()),
            Event::Failed { .. } => Some(0),
            Event::Request { .. }
            | Event::Ack { .. }
            | Event::Cancelled { .. }
            | Event::AckTimedOut { .. } => None,
        });
        told.collect()
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.events.iter().find_map(|event| match event {
            Event::Failed { why, .. } => Some(*why),
            _ => None,
        })
    }

    /// How often the TU was told of a request, of an ACK.
    pub(super) fn requests(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Request { .. })).count()
    }

    pub(super) fn acks(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Ack { .. })).count()
    }

    pub(super) fn asked(&self) -> (ServerId, Request) {
        let asked = self.events.iter().find_map(|event| match event {
            Event::Request { id, request, .. } => Some((*id, request.clone())),
            _ => None,
        });
        asked.expect("a request was passed on")
    }

    fn drain(&mut self) {
        while let Some(output) = self.transactions.poll_output() {
            match output {
                Output::Transmit { path, bytes } => self.sent.push(Sent { at: self.now, path, bytes }),
                Output::Event(event) => self.events.push(event),
            }
        }
    }
}

/// Between us, 192.0.2.1:5060, and the other side.
pub(super) fn path(transport: Transport) -> Path {
    Path {
        transport,
        local: "192.0.2.1:5060".parse().expect("an address"),
        remote: "198.51.100.7:5060".parse().expect("an address"),
        connection: None,
    }
}

/// A request of ours as the TU makes it: no Via yet.
pub(super) fn request(method: Method) -> Request {
    let mut request = Request::new(method.clone(), "sip:bob@198.51.100.7");
    let headers = request.headers_mut();
    headers.push(Name::From, "<sip:alice@192.0.2.1>;tag=a1");
    headers.push(Name::To, "<sip:bob@198.51.100.7>");
    headers.push(Name::CallId, "call-1@192.0.2.1");
    headers.push(Name::CSeq, format_args!("7 {method}"));
    headers.push(Name::Contact, "<sip:alice@192.0.2.1>");
    request
}

/// A request of the other side, with this branch.
pub(super) fn arriving(method: Method, branch: &str) -> Request {
    let mut request = request(method);
    let via = format!("SIP/2.0/UDP 198.51.100.7:5060;branch={branch};rport");
    request.headers_mut().push_front(Name::Via, via);
    request
}

pub(super) fn answer(request: &Request, status: u16, tag: &str) -> Response {
    let status = StatusCode::new(status).expect("a status");
    Response::to(request, status, (status.code() != 100).then_some(tag))
}

pub(super) fn parse(bytes: &[u8]) -> Message {
    Message::parse(bytes, &Limits::default()).expect("what goes out is a message")
}

pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
