//! What the transactions report, and whom it is for: a session, whoever asked, or nobody.

use super::acks::Copy;
use super::inspect::Refusal;
use super::session::Session;
use super::shared::{Asked, Inbound, Owner};
use super::user_agent::UserAgent;
use super::{Event, challenge, compose, inspect};
use crate::buggify::buggify;
use crate::sip::{Method, Name, Path, Request, Response, StatusCode};
use crate::time::Instant;
use crate::transaction::{self, ClientId, Failure, ServerId};

impl UserAgent {
    pub(super) fn on_event(&mut self, event: transaction::Event, now: Instant) {
        match event {
            transaction::Event::Request { id, request, path } => self.on_request(id, request, path, now),
            transaction::Event::Ack { request, path } => {
                if let Some(session) = self.session_of(&request) {
                    self.within(session, |session, shared| session.on_ack(&request, path, shared, now));
                }
            }
            transaction::Event::Cancelled { invite, cancel } => {
                if let Some(session) = self.by_invite.get(&invite).copied() {
                    self.within(session, |session, shared| session.on_cancel(&cancel, shared, now));
                }
            }
            transaction::Event::Response { id, response } => self.on_response(id, response, now),
            transaction::Event::Failed { id, why } => {
                let status = match why {
                    Failure::TimedOut => StatusCode::REQUEST_TIMEOUT,
                    Failure::Transport => StatusCode::SERVICE_UNAVAILABLE,
                };
                if let Some(asked) = self.shared.asked.remove(&id) {
                    self.tell(id, asked, Err(status), now);
                }
            }
            transaction::Event::AckTimedOut { .. } => {}
        }
    }

    fn on_request(&mut self, server: ServerId, request: Request, path: Path, now: Instant) {
        let has_tag = request.to_header().is_ok_and(|to| to.tag().is_some());
        if let Some(subscription) = self.subscriptions.of(&request) {
            return self.on_request_of_subscriber(subscription, server, request, path, now);
        }
        match self.session_of(&request) {
            Some(session) => {
                self.within(session, |session, shared| {
                    session.on_request(server, request, path, shared, now)
                });
            }
            None if has_tag || belongs_to_dialog(request.method()) => {
                self.refuse(server, &request, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, now);
            }
            None => match inspect::outside(&request) {
                Ok(()) if *request.method() == Method::Invite => self.on_invite(server, request, path, now),
                Ok(()) => self.pass_on(server, request, path),
                Err(refusal) => self.refuse_by(server, &request, &refusal, now),
            },
        }
    }

    fn on_invite(&mut self, server: ServerId, invite: Request, path: Path, now: Instant) {
        if self.sessions.len() >= self.shared.settings.max_transactions {
            return self.refuse(server, &invite, StatusCode::SERVICE_UNAVAILABLE, now);
        }
        let id = self.next_session();
        if let Some(session) = Session::incoming(id, server, invite, path, &mut self.shared, now) {
            self.add(id, session);
        }
    }

    fn pass_on(&mut self, server: ServerId, request: Request, path: Path) {
        let id = self.shared.next_request();
        let tag = self.shared.rng.token(12);
        let event = Event::Request { id, session: None, request: request.clone(), path };
        self.shared.inbound.insert(id, Inbound { server, request, session: None, tag });
        self.shared.emit(event);
    }

    fn on_response(&mut self, client: ClientId, response: Response, now: Instant) {
        let is_invite = response.cseq().is_ok_and(|cseq| cseq.method() == Method::Invite);
        if is_invite && response.status().is_success() && self.is_copy(client, &response, now) {
            return;
        }
        if response.status().is_provisional() {
            let Some(Owner::Session(session, purpose)) =
                self.shared.asked.get(&client).map(|asked| asked.owner)
            else {
                return;
            };
            let outcome = Ok(response);
            return self.within(session, |session, shared| {
                session.on_outcome(client, purpose, outcome, None, shared, now);
            });
        }
        let Some(asked) = self.shared.asked.remove(&client) else { return };
        if is_invite && response.status().is_success() {
            let until = now + self.shared.patience();
            self.shared.acks.open(client, asked.authorization.clone(), until);
        }
        self.tell(client, asked, Ok(response), now);
    }

    /// Whether a 2xx was acknowledged before, and so again, or comes from a branch that was too late.
    fn is_copy(&mut self, client: ClientId, response: &Response, now: Instant) -> bool {
        let tag = response.to_header().ok().and_then(|to| to.tag()).unwrap_or_default();
        let branches = match self.shared.acks.look(client, tag) {
            Copy::First => return false,
            Copy::Ignored => return true,
            Copy::Repeated(_) if buggify!("the ACK to a repeated 200 is forgotten") => return true,
            Copy::Repeated(ack) => {
                self.shared.transactions.repeat(ack);
                return true;
            }
            Copy::Late(branches) => branches,
        };
        let cseq = branches.origin.cseq;
        if let Some(mut dialog) = branches.dialog(response) {
            self.shared.acknowledge(client, &dialog, cseq, None);
            self.shared.dismiss(&mut dialog, now);
        }
        true
    }

    /// Tells whoever waits how a request ended.
    fn tell(&mut self, client: ClientId, asked: Asked, outcome: Result<Response, StatusCode>, now: Instant) {
        match asked.owner {
            Owner::Session(session, purpose) => {
                self.within(session, |session, shared| {
                    session.on_outcome(client, purpose, outcome, Some(asked), shared, now);
                });
            }
            Owner::Outside(id) => {
                if !self.answers_challenge(asked, &outcome, now) {
                    self.shared.emit(Event::Response { id, session: None, response: outcome });
                }
            }
            Owner::Subscription(id) => self.on_notified(id, &outcome, now),
            Owner::Nobody => {}
        }
    }

    fn answers_challenge(
        &mut self,
        asked: Asked,
        outcome: &Result<Response, StatusCode>,
        now: Instant,
    ) -> bool {
        let (Ok(refusal), Some(mut retry)) = (outcome, asked.retry) else { return false };
        let is_challenge =
            matches!(refusal.status(), StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let request = &mut retry.request;
        if !is_challenge || !challenge::answer(request, refusal, &retry.credentials, &mut self.shared.rng) {
            return false;
        }
        let number = request.cseq().map_or(1, |cseq| cseq.number + 1);
        let value = format!("{number} {}", request.method());
        request.headers_mut().set(Name::CSeq, value);
        self.shared.resend(retry.request, retry.path, asked.owner, now);
        true
    }

    pub(super) fn refuse(&mut self, server: ServerId, request: &Request, status: StatusCode, now: Instant) {
        let tag = self.shared.rng.token(12);
        let mut response = compose::response(request, status, &tag, &self.shared.settings.user_agent);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().push(Name::RetryAfter, 5);
        }
        self.shared.transactions.respond(server, response, now);
    }

    fn refuse_by(&mut self, server: ServerId, request: &Request, refusal: &Refusal, now: Instant) {
        let tag = self.shared.rng.token(12);
        let response = refusal.response(request, &tag, &self.shared.settings.user_agent);
        self.shared.transactions.respond(server, response, now);
    }
}

/// Methods that mean nothing outside a dialog (RFC 3261 section 15.1.2, RFC 3262, RFC 3311, RFC 6086 section 4.2.1).
fn belongs_to_dialog(method: &Method) -> bool {
    matches!(method, Method::Bye | Method::Prack | Method::Update | Method::Info | Method::Cancel)
}
