//! Calls as a machine: messages and the time go in, messages, events and the next deadline come out.

use super::dialog::Dialog;
use pbx::rng::Rng;
use pbx::sip::{Limits, Message, Method, Name, NameAddr, Path, Request, Response, StatusCode};
use pbx::time::{Duration, Instant};
use pbx::transaction::{ClientId, Event as Told, Output, Sent, ServerId, Settings, Transactions};
use std::collections::{BTreeMap, VecDeque};

/// T1 and T2 of RFC 3261 section 17, and how long a 2xx is repeated without an ACK.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(32);

const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE";
/// What requests may require of a machine (RFC 7866 section 5 for recorders).
const SUPPORTED: &str = "siprec";

/// A call of a station, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::agents) struct CallId(u64);

/// A body with its type.
pub(in crate::agents) type Body = (String, Vec<u8>);

/// What is to be sent to begin a call.
pub(in crate::agents) struct Invitation {
    pub(in crate::agents) uri: String,
    pub(in crate::agents) from: String,
    pub(in crate::agents) path: Path,
    pub(in crate::agents) headers: Vec<(Name, String)>,
    pub(in crate::agents) body: Body,
}

/// What happened that is to be decided or known.
pub(in crate::agents) enum Event {
    /// A call comes; to be answered by [`Station::respond`].
    Incoming { call: CallId, invite: Request },
    /// The other side wants to change it (re-INVITE, UPDATE with a body); to be answered by [`Station::respond`].
    Changing { call: CallId, request: Request },
    /// Any other request: in a call, or outside; to be answered by [`Station::reply`].
    Request { server: ServerId, request: Request },
    /// The other side's answer to our request in a call: INVITE, re-INVITE, anything.
    Response { call: CallId, method: Method, response: Response },
    /// Our request has no answer.
    Silence { call: CallId, method: Method },
    /// The other side has ended it, or it never began.
    Ended { call: CallId },
}

/// All calls of one machine.
pub(in crate::agents) struct Station {
    /// The user part of its Contact.
    user: String,
    /// What stands behind its Contact: `;+sip.srs`.
    feature: &'static str,
    transactions: Transactions,
    calls: BTreeMap<CallId, Call>,
    requests: BTreeMap<ClientId, (CallId, Method)>,
    local: std::net::SocketAddr,
    ids: u64,
    rng: Rng,
    sent: VecDeque<(Path, Vec<u8>)>,
    events: VecDeque<Event>,
}

struct Call {
    dialog: Dialog,
    /// Ours to answer: the INVITE or what changes it.
    owed: Option<(ServerId, Request)>,
    /// Our INVITE that has no final response.
    calling: Option<ClientId>,
    /// The CSeq of our last INVITE and the ACK to its 2xx, to be repeated with it.
    acknowledged: Option<Sent>,
    invite_cseq: u32,
    /// Our 2xx, until its ACK comes.
    repeated: Option<Repeated>,
    is_up: bool,
}

struct Repeated {
    server: ServerId,
    response: Response,
    at: Instant,
    interval: Duration,
    ends_at: Instant,
}

impl Station {
    pub(in crate::agents) fn new(
        user: &str,
        feature: &'static str,
        local: std::net::SocketAddr,
        mut rng: Rng,
    ) -> Station {
        Station {
            user: user.to_owned(),
            feature,
            transactions: Transactions::new(Settings::default(), rng.fork()),
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
            local,
            ids: 0,
            rng,
            sent: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Calls somebody.
    pub(in crate::agents) fn invite(&mut self, invitation: Invitation, now: Instant) -> CallId {
        let Invitation { uri, from, path, headers, body } = invitation;
        let (tag, call_id) = (self.rng.token(10), self.rng.token(22));
        let to = format!("<{uri}>");
        let mut dialog = Dialog::outgoing(&from, &to, &uri, &tag, &call_id, path);
        let mut request = dialog.request(Method::Invite);
        for (name, value) in headers {
            request.headers_mut().push(name, value);
        }
        self.describe(&mut request, path, Some(body));
        let client = self.transactions.send(request, path, now);
        let call = self.add(dialog);
        self.requests.insert(client, (call, Method::Invite));
        if let Some(call) = self.calls.get_mut(&call) {
            call.calling = Some(client);
            call.invite_cseq = 1;
        }
        call
    }

    /// Answers what is owed in a call: the INVITE, or what changes it.
    pub(in crate::agents) fn respond(
        &mut self,
        id: CallId,
        status: StatusCode,
        headers: &[(Name, String)],
        body: Option<Body>,
        now: Instant,
    ) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some((server, request)) = call.owed.clone() else { return };
        let path = call.dialog.path();
        let mut response = Response::to(&request, status, Some(&call.dialog.local_tag));
        for route in request.headers().all(Name::RecordRoute) {
            response.headers_mut().push(Name::RecordRoute, route);
        }
        for (name, value) in headers {
            response.headers_mut().push(*name, value);
        }
        if status.is_success() {
            self.describe_response(&mut response, path, body);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        self.transactions.respond(server, response.clone(), now);
        if status.is_provisional() {
            return;
        }
        call.owed = None;
        if status.is_success() {
            call.is_up = true;
            if *request.method() == Method::Invite {
                let (at, ends_at) = (now + T1, now + GIVE_UP);
                call.repeated = Some(Repeated { server, response, at, interval: T1, ends_at });
            }
        } else if !call.is_up {
            self.calls.remove(&id);
        }
    }

    /// Answers any other request.
    pub(in crate::agents) fn reply(
        &mut self,
        server: ServerId,
        request: &Request,
        status: StatusCode,
        headers: &[(Name, String)],
        now: Instant,
    ) {
        let tag = self.rng.token(10);
        let mut response = Response::to(request, status, Some(&tag));
        response.headers_mut().push(Name::Allow, ALLOW);
        response.headers_mut().push(Name::Supported, SUPPORTED);
        for (name, value) in headers {
            response.headers_mut().push(*name, value);
        }
        self.transactions.respond(server, response, now);
    }

    /// Sends a request within a call.
    pub(in crate::agents) fn request(
        &mut self,
        id: CallId,
        method: Method,
        headers: &[(Name, String)],
        body: Option<Body>,
        now: Instant,
    ) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.is_up) else { return };
        let path = call.dialog.path();
        let mut request = call.dialog.request(method.clone());
        if method == Method::Invite {
            call.invite_cseq = request.cseq().map_or(0, |cseq| cseq.number);
        }
        for (name, value) in headers {
            request.headers_mut().push(*name, value);
        }
        self.describe(&mut request, path, body);
        let client = self.transactions.send(request, path, now);
        self.requests.insert(client, (id, method));
    }

    /// Ends a call whatever its state.
    pub(in crate::agents) fn hang_up(&mut self, id: CallId, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(client) = call.calling {
            return self.transactions.cancel(client, &[], now);
        }
        if !call.is_up {
            return self.respond(id, StatusCode::TEMPORARILY_UNAVAILABLE, &[], None, now);
        }
        let path = call.dialog.path();
        let request = call.dialog.request(Method::Bye);
        self.transactions.send(request, path, now);
        self.calls.remove(&id);
    }

    pub(in crate::agents) fn receive(&mut self, bytes: &[u8], path: Path, now: Instant) {
        // What is no message is a stranger's noise.
        if let Ok(message) = Message::parse(bytes, &Limits::default()) {
            self.transactions.receive(message, path, now);
            self.settle(now);
        }
    }

    pub(in crate::agents) fn path_failed(&mut self, path: Path, now: Instant) {
        self.transactions.path_failed(path, now);
    }

    pub(in crate::agents) fn handle_timeout(&mut self, now: Instant) {
        self.transactions.handle_timeout(now);
        let mut unheard = Vec::new();
        for (id, call) in &mut self.calls {
            let Some(repeated) = call.repeated.as_mut().filter(|repeated| repeated.at <= now) else {
                continue;
            };
            if repeated.ends_at <= now {
                call.repeated = None;
                unheard.push(*id);
                continue;
            }
            repeated.interval = (repeated.interval * 2).min(T2);
            repeated.at = (now + repeated.interval).min(repeated.ends_at);
            self.transactions.respond(repeated.server, repeated.response.clone(), now);
        }
        for id in unheard {
            self.hang_up(id, now);
            self.events.push_back(Event::Ended { call: id });
        }
        self.settle(now);
    }

    pub(in crate::agents) fn poll_timeout(&self) -> Option<Instant> {
        let repeated = self.calls.values().filter_map(|call| Some(call.repeated.as_ref()?.at));
        repeated.chain(self.transactions.poll_timeout()).min()
    }

    /// What is to be sent.
    pub(in crate::agents) fn poll_transmit(&mut self, now: Instant) -> Option<(Path, Vec<u8>)> {
        self.settle(now);
        self.sent.pop_front()
    }

    pub(in crate::agents) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The power is gone: no dialog and no transaction is left.
    pub(in crate::agents) fn forget(&mut self) {
        self.transactions = Transactions::new(Settings::default(), self.rng.fork());
        self.calls.clear();
        self.requests.clear();
        self.sent.clear();
        self.events.clear();
    }

    /// Whether no call and no transaction is left.
    pub(in crate::agents) fn is_idle(&self) -> bool {
        self.transactions.is_idle() && self.calls.is_empty()
    }

    fn add(&mut self, dialog: Dialog) -> CallId {
        self.ids += 1;
        let id = CallId(self.ids);
        let call = Call {
            dialog,
            owed: None,
            calling: None,
            acknowledged: None,
            invite_cseq: 0,
            repeated: None,
            is_up: false,
        };
        self.calls.insert(id, call);
        id
    }

    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.transactions.poll_output() {
            match output {
                Output::Transmit { path, bytes } => self.sent.push_back((path, bytes)),
                Output::Event(event) => self.on(event, now),
            }
        }
    }

    fn on(&mut self, event: Told, now: Instant) {
        match event {
            Told::Request { id, request, path } => self.on_request(id, request, path, now),
            Told::Ack { request, .. } => {
                if let Some(call) = self.find(&request).and_then(|id| self.calls.get_mut(&id)) {
                    call.repeated = None;
                }
            }
            Told::Cancelled { invite, .. } => {
                let owes = |call: &Call| call.owed.as_ref().is_some_and(|(server, _)| *server == invite);
                let found = self.calls.iter().find(|(_, call)| owes(call)).map(|(id, _)| *id);
                if let Some(call) = found {
                    self.respond(call, StatusCode::REQUEST_TERMINATED, &[], None, now);
                    self.events.push_back(Event::Ended { call });
                }
            }
            Told::Response { id, response } => self.on_response(id, response),
            Told::Failed { id, .. } => {
                let Some((call, method)) = self.requests.remove(&id) else { return };
                let known = self.calls.get(&call);
                if known.is_some_and(|known| known.calling == Some(id)) {
                    self.calls.remove(&call);
                }
                self.events.push_back(Event::Silence { call, method });
            }
            Told::AckTimedOut { .. } => {}
        }
    }

    fn on_request(&mut self, server: ServerId, request: Request, path: Path, now: Instant) {
        let is_within = request.to_header().is_ok_and(|to| to.tag().is_some());
        let found = self.find(&request);
        let Some(id) = found.filter(|_| is_within) else {
            if is_within {
                let gone = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
                return self.reply(server, &request, gone, &[], now);
            }
            return self.on_stranger(server, request, path);
        };
        let Some(call) = self.calls.get_mut(&id) else { return };
        match request.method() {
            Method::Bye => {
                self.calls.remove(&id);
                self.reply(server, &request, StatusCode::OK, &[], now);
                self.events.push_back(Event::Ended { call: id });
            }
            Method::Invite | Method::Update if call.owed.is_some() => {
                let later = [(Name::RetryAfter, "1".to_owned())];
                self.reply(server, &request, StatusCode::SERVER_INTERNAL_ERROR, &later, now);
            }
            Method::Invite | Method::Update => {
                call.dialog.refresh(request.contact().ok());
                call.owed = Some((server, request.clone()));
                self.events.push_back(Event::Changing { call: id, request });
            }
            _ => self.events.push_back(Event::Request { server, request }),
        }
    }

    fn on_stranger(&mut self, server: ServerId, request: Request, path: Path) {
        if *request.method() != Method::Invite {
            return self.events.push_back(Event::Request { server, request });
        }
        let tag = self.rng.token(10);
        let call = self.add(Dialog::incoming(&request, &tag, path));
        if let Some(call) = self.calls.get_mut(&call) {
            call.owed = Some((server, request.clone()));
        }
        self.events.push_back(Event::Incoming { call, invite: request });
    }

    fn on_response(&mut self, client: ClientId, response: Response) {
        let Some((id, method)) = self.requests.get(&client).cloned() else { return };
        let status = response.status();
        let is_known = self.calls.contains_key(&id);
        if method == Method::Invite && status.is_success() {
            self.acknowledge(id, &response);
        } else if status.is_final() {
            self.requests.remove(&client);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        if status.is_final() && call.calling == Some(client) {
            call.calling = None;
            if !status.is_success() {
                self.calls.remove(&id);
            }
        }
        if is_known && status != StatusCode::TRYING {
            self.events.push_back(Event::Response { call: id, method, response });
        }
    }

    /// The ACK to a 2xx, again when the 2xx comes again (RFC 3261 section 13.2.2.4).
    fn acknowledge(&mut self, id: CallId, response: &Response) {
        let cseq = response.cseq().map_or(0, |cseq| cseq.number);
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(sent) = call.acknowledged.as_ref().filter(|_| call.is_up && cseq < call.invite_cseq) {
            return self.transactions.repeat(sent);
        }
        if call.is_up {
            call.dialog.refresh(response.contact().ok());
        } else {
            call.dialog.answered(response);
            call.is_up = true;
        }
        let ack = call.dialog.request_with(Method::Ack, cseq);
        let path = call.dialog.path();
        call.acknowledged = Some(self.transactions.transmit(ack, path));
    }

    fn find(&self, request: &Request) -> Option<CallId> {
        let (to, from) = (request.to_header().ok()?, request.from().ok()?);
        let fits = |call: &Call| call.dialog.is(request.call_id(), to.tag(), from.tag());
        self.calls.iter().find(|(_, call)| fits(call)).map(|(id, _)| *id)
    }

    fn describe(&self, request: &mut Request, path: Path, body: Option<Body>) {
        request.headers_mut().push(Name::Contact, self.contact(path));
        request.headers_mut().push(Name::Allow, ALLOW);
        if let Some((kind, bytes)) = body {
            request.set_body(&kind, &bytes);
        }
    }

    fn describe_response(&self, response: &mut Response, path: Path, body: Option<Body>) {
        response.headers_mut().push(Name::Contact, self.contact(path));
        response.headers_mut().push(Name::Allow, ALLOW);
        response.headers_mut().push(Name::Supported, SUPPORTED);
        if let Some((kind, bytes)) = body {
            response.set_body(&kind, &bytes);
        }
    }

    fn contact(&self, path: Path) -> String {
        let transport = if path.transport.is_reliable() {
            format!(";transport={}", path.transport)
        } else {
            String::new()
        };
        format!("<sip:{}@{}{transport}>{}", self.user, self.local, self.feature)
    }
}

/// The user part of an address, empty when there is none.
pub(in crate::agents) fn user_of(address: Result<NameAddr<'_>, pbx::sip::ParseError>) -> String {
    address.ok().and_then(|address| address.parse_uri().ok().map(|uri| uri.user_text())).unwrap_or_default()
}
