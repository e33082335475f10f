//! What becomes of a message that arrives: which transaction it belongs to, and what is answered without asking the TU.

use super::invite_server::AckFate;
use super::matching::{self, ServerKey};
use super::servers::Opening;
use super::via::{self, ReplyPath};
use super::{Event, Output, ServerId, Transactions, stateless};
use crate::sip::{Method, Path, Request, Response, StatusCode};
use crate::time::Instant;

/// A request that may start a transaction.
struct Arrival {
    request: Request,
    path: Path,
    key: ServerKey,
    reply: ReplyPath,
}

impl Transactions {
    pub(super) fn receive_request(&mut self, request: Request, path: Path, now: Instant) {
        let Ok(via) = request.via() else { return };
        let reply = ReplyPath::new(path, &via);
        if let Err(fault) = stateless::check(&request) {
            return self.refuse(request, &reply, StatusCode::BAD_REQUEST, Some(fault));
        }
        if *request.method() == Method::Ack {
            let key = ServerKey::of(&request, &via, &Method::Invite);
            return self.receive_ack(request, path, &key, now);
        }
        let key = ServerKey::of(&request, &via, request.method());
        if let Some(id) = self.servers.find(&key) {
            return self.repeated(id, request.method(), now);
        }
        let invite = (*request.method() == Method::Cancel)
            .then(|| self.servers.find(&ServerKey::of(&request, &via, &Method::Invite)));
        let mut arrival = Arrival { request, path, key, reply };
        via::stamp(&mut arrival.request, path.remote);
        match invite {
            Some(invite) => self.receive_cancel(arrival, invite, now),
            None => self.receive_new(arrival, now),
        }
    }

    pub(super) fn receive_response(&mut self, response: Response, now: Instant) {
        let Some(id) = self.clients.find(&response) else { return };
        let (clients, deadlines, mut cx) = self.clients(now);
        if let Some(cancel) = clients.respond(id, response, deadlines, &mut cx) {
            self.start_client(cancel, now);
        }
    }

    fn receive_ack(&mut self, request: Request, path: Path, key: &ServerKey, now: Instant) {
        match self.servers.find_acknowledged(key, &request) {
            Some((id, AckFate::Absorbed)) => self.repeated(id, &Method::Ack, now),
            Some((_, AckFate::Passed)) | None => {
                self.out.push_back(Output::Event(Event::Ack { request, path }));
            }
        }
    }

    /// CANCEL is answered here; that the INVITE is to be answered 487 is for the TU (RFC 3261 section 9.2).
    fn receive_cancel(&mut self, arrival: Arrival, invite: Option<ServerId>, now: Instant) {
        let (status, tag) = match invite {
            Some(invite) => (StatusCode::OK, self.servers.local_tag(invite)),
            None => (StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, None),
        };
        if self.has_room_for(&arrival.request) {
            let tag = tag.unwrap_or_else(|| self.rng.token(stateless::TAG_LENGTH));
            let response = stateless::response(&arrival.request, status, &tag);
            let id = self.start_server(&arrival, None, now);
            self.respond(id, response, now);
        } else {
            self.refuse(arrival.request.clone(), &arrival.reply, status, None);
        }
        if let Some(invite) = invite.filter(|&invite| self.servers.is_open(invite)) {
            self.out.push_back(Output::Event(Event::Cancelled { invite, cancel: arrival.request }));
        }
    }

    fn receive_new(&mut self, arrival: Arrival, now: Instant) {
        if !self.has_room_for(&arrival.request) {
            return self.refuse(arrival.request, &arrival.reply, StatusCode::SERVICE_UNAVAILABLE, None);
        }
        let origin = matching::origin(&arrival.request);
        if origin.as_ref().is_some_and(|origin| self.servers.knows_origin(origin)) {
            // The same request has come another way (RFC 3261 section 8.2.2.2).
            let tag = self.rng.token(stateless::TAG_LENGTH);
            let response = stateless::response(&arrival.request, StatusCode::LOOP_DETECTED, &tag);
            let id = self.start_server(&arrival, None, now);
            return self.respond(id, response, now);
        }
        let id = self.start_server(&arrival, origin, now);
        let Arrival { request, path, .. } = arrival;
        self.out.push_back(Output::Event(Event::Request { id, request, path }));
    }

    fn start_server(&mut self, arrival: &Arrival, origin: Option<matching::Key>, now: Instant) -> ServerId {
        let id = ServerId(self.next_id());
        let opening = Opening {
            method: arrival.request.method(),
            key: &arrival.key,
            origin,
            reply: arrival.reply,
            trying: stateless::trying(&arrival.request),
        };
        let (servers, deadlines, mut cx) = self.servers(now);
        servers.start(id, opening, deadlines, &mut cx);
        id
    }

    fn repeated(&mut self, id: ServerId, method: &Method, now: Instant) {
        let (servers, deadlines, mut cx) = self.servers(now);
        servers.repeated(id, method, deadlines, &mut cx);
    }

    /// Answers without state. An ACK is never answered (RFC 3261 section 17.1.1.3).
    fn refuse(&mut self, mut request: Request, reply: &ReplyPath, status: StatusCode, fault: Option<&str>) {
        if *request.method() == Method::Ack {
            return;
        }
        via::stamp(&mut request, reply.source);
        let tag = stateless::tag(&request, self.secret);
        let bytes = stateless::refusal(&request, status, fault, &tag).to_bytes();
        self.out.push_back(Output::Transmit { path: reply.path, bytes });
    }

    /// A request within a dialog (BYE) makes room in the end, so it is taken when others are not.
    fn has_room_for(&self, request: &Request) -> bool {
        let within_dialog = request.to_header().is_ok_and(|to| to.tag().is_some());
        let bound = self.settings.max_transactions;
        self.len() < if within_dialog { bound.saturating_mul(2) } else { bound }
    }
}
