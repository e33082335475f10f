//! The other end of one dialog: the dialog, what is agreed in it, what the other side can, and UPDATE (RFC 3311), which works
//! the same in early and confirmed dialogs.

use super::dialog::Dialog;
use super::established::Accepted;
use super::offer::{Conflict, Gate, Owed, Turn, Wanted};
use super::session_timer::SessionTimer;
use super::shared::{Cx, Outcome, Purpose};
use super::{Event, compose, glare, inspect};
use crate::sip::{Headers, Method, Name, Request, Response, StatusCode};
use crate::transaction::{ClientId, ServerId};

/// The other end of one dialog.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) dialog: Dialog,
    pub(super) gate: Gate,
    pub(super) timer: SessionTimer,
    /// Its Allow lists UPDATE.
    pub(super) allows_update: bool,
    /// Our UPDATE that is under way; one at a time.
    pub(super) updating: Option<Updating>,
    /// The offer of ours that waits.
    pub(super) wanted: Option<Wanted>,
}

/// An UPDATE of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Updating {
    pub(super) client: ClientId,
    /// It carries an offer; one without is a refresh.
    pub(super) is_offer: bool,
    attempts: u8,
}

/// What a response means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    GoesOn,
    /// The other side is gone. It is told BYE all the same (RFC 3261 section 12.2.1.2): it may have been asked before it knew.
    Lost,
    /// The other side broke the offer/answer model.
    Misbehaved(&'static str),
}

impl Fate {
    /// What a failed request within a dialog means: 408, 481 and silence end it. A connection that broke does not: whoever
    /// has changed its network may be reached by another.
    pub(super) fn of(outcome: &Outcome) -> Fate {
        match outcome.as_ref().map_or_else(|status| *status, Response::status) {
            StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST | StatusCode::REQUEST_TIMEOUT => Fate::Lost,
            _ => Fate::GoesOn,
        }
    }
}

impl Peer {
    /// The other end of a new dialog.
    pub(super) fn new(dialog: Dialog, gate: Gate, headers: &Headers, cx: &Cx<'_>) -> Peer {
        let timer = SessionTimer::new(&cx.ua.settings);
        let mut peer = Peer { dialog, gate, timer, allows_update: false, updating: None, wanted: None };
        peer.note(headers);
        peer
    }

    /// Learns from any message what the other side can. Without Allow nothing is learnt.
    pub(super) fn note(&mut self, headers: &Headers) {
        if headers.has(Name::Allow) {
            let mut methods = headers.all(Name::Allow).flat_map(|value| value.split(','));
            self.allows_update = methods.any(|method| method.trim() == "UPDATE");
        }
    }

    /// Lets an offer of ours wait for its turn; it takes the place of one that waits already.
    pub(super) fn want(&mut self, description: Option<Vec<u8>>) {
        self.wanted = Some(Wanted { description, not_before: None, attempts: 0 });
    }

    /// Whether an offer waits whose time has come.
    pub(super) fn wants_now(&self, cx: &Cx<'_>) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.not_before.is_none_or(|at| at <= cx.now))
    }

    /// The 2xx to a request of this dialog: Contact, what we can, the session interval.
    pub(super) fn success(&mut self, request: &Request, description: Option<&[u8]>, cx: &Cx<'_>) -> Response {
        let mut response = cx.response(request, StatusCode::OK);
        response.headers_mut().push(Name::Contact, cx.contact(&self.dialog));
        compose::add_abilities(response.headers_mut());
        if *request.method() != Method::Prack {
            self.timer.answer(request, &mut response, cx.now);
        }
        compose::describe_response(&mut response, description);
        response
    }

    /// An UPDATE has come (RFC 3311 section 5.2).
    pub(super) fn on_update(&mut self, server: ServerId, request: Request, cx: &mut Cx<'_>) {
        if let Some(min_se) = SessionTimer::too_small(&cx.ua.settings, &request) {
            return refuse_interval(server, &request, min_se.as_secs(), cx);
        }
        match inspect::description(request.headers(), request.body()) {
            Some(offer) => self.on_offer(server, request, Some(offer), cx),
            None => {
                self.dialog.refresh_target(request.contact().ok());
                let response = self.success(&request, None, cx);
                cx.respond(server, response);
            }
        }
    }

    /// An offer has come in a re-INVITE, UPDATE or PRACK, or a re-INVITE that asks for one.
    ///
    /// An offer of ours that waits is given back: it was made before theirs, so it would undo what is agreed now.
    pub(super) fn on_offer(
        &mut self,
        server: ServerId,
        request: Request,
        offer: Option<Vec<u8>>,
        cx: &mut Cx<'_>,
    ) {
        match self.gate.admits() {
            Ok(()) => {}
            Err(Conflict::Glare) => return cx.refuse(server, &request, StatusCode::REQUEST_PENDING),
            Err(Conflict::Unanswered) => {
                return cx.refuse(server, &request, StatusCode::SERVER_INTERNAL_ERROR);
            }
        }
        if let Some(wanted) = self.wanted.take() {
            let (status, was_sent) = (StatusCode::REQUEST_PENDING, wanted.attempts > 0);
            cx.emit(Event::OfferRefused { session: cx.session, status, was_sent });
        }
        self.gate.owe(Owed::Response { server, request: Box::new(request) }, offer.clone());
        cx.emit(Event::Offered { session: cx.session, offer });
    }

    /// Gives what is owed in a 2xx, PRACK or ACK. Returns the 2xx to a re-INVITE, which waits for its ACK.
    pub(super) fn give(&mut self, description: Vec<u8>, cx: &mut Cx<'_>) -> Option<Accepted> {
        match self.gate.turn() {
            // That is for ring and accept.
            Turn::Owed { to: Owed::Invite, .. } | Turn::Settled | Turn::Asking | Turn::Offered(_) => {
                return None;
            }
            Turn::Owed { .. } => {}
        }
        let carrier = self.gate.give(description.clone())?;
        match carrier {
            Owed::Response { server, request } => {
                self.dialog.refresh_target(request.contact().ok());
                let response = self.success(&request, Some(&description), cx);
                cx.respond(server, response.clone());
                return (*request.method() == Method::Invite)
                    .then(|| Accepted::new(server, &request, response, false, cx));
            }
            Owed::Prack { rack } => self.send_prack(&rack, Some(&description), cx),
            Owed::Ack { client, cseq } => cx.ua.acknowledge(client, &self.dialog, cseq, Some(&description)),
            Owed::Invite => {}
        }
        None
    }

    /// Refuses the offer of a re-INVITE or UPDATE; false when it came in a message that cannot be refused.
    pub(super) fn refuse(&mut self, status: StatusCode, cx: &mut Cx<'_>) -> bool {
        let Some((server, request)) = self.gate.refuse() else { return false };
        cx.refuse(server, &request, status);
        true
    }

    /// The dialog ends: what waits for an answer of ours gets 487 (RFC 3261 section 15.1.2).
    pub(super) fn abandon(&mut self, cx: &mut Cx<'_>) {
        self.refuse(StatusCode::REQUEST_TERMINATED, cx);
    }

    /// Sends PRACK (RFC 3262 section 4).
    pub(super) fn send_prack(&mut self, rack: &str, description: Option<&[u8]>, cx: &mut Cx<'_>) {
        let mut prack = self.dialog.request(Method::Prack);
        prack.headers_mut().push(Name::Rack, rack);
        compose::describe_request(&mut prack, description);
        cx.send(&self.dialog, prack, Purpose::Prack);
    }

    /// Sends the waiting offer in an UPDATE.
    pub(super) fn send_wanted_by_update(&mut self, cx: &mut Cx<'_>) {
        if let Some(wanted) = self.wanted.take() {
            self.send_update(wanted.description, wanted.attempts, cx);
        }
    }

    /// Sends an UPDATE, without an offer to refresh the session (RFC 4028 section 7.4).
    pub(super) fn send_update(&mut self, offer: Option<Vec<u8>>, attempts: u8, cx: &mut Cx<'_>) {
        let mut update = self.dialog.request(Method::Update);
        self.introduce(&mut update, cx);
        compose::describe_request(&mut update, offer.as_deref());
        let client = cx.send(&self.dialog, update, Purpose::Update);
        self.updating = Some(Updating { client, is_offer: offer.is_some(), attempts });
        if offer.is_some() {
            self.gate.send(offer);
        }
    }

    /// The lines that every re-INVITE and UPDATE has: Contact, what we can, the session interval.
    pub(super) fn introduce(&self, request: &mut Request, cx: &Cx<'_>) {
        let headers = request.headers_mut();
        headers.push(Name::Contact, cx.contact(&self.dialog));
        headers.push(Name::Allow, compose::ALLOW);
        // A re-INVITE rings nobody, so nothing in it needs reliable provisional responses.
        headers.push(Name::Supported, "timer");
        self.timer.ask(headers);
    }

    /// Our UPDATE was answered or came to nothing (RFC 3311 section 5.3).
    pub(super) fn on_update_outcome(&mut self, outcome: &Outcome, cx: &mut Cx<'_>) -> Fate {
        let Some(updating) = self.updating.take() else { return Fate::GoesOn };
        match outcome {
            Ok(response) if response.status().is_success() => self.on_update_success(updating, response, cx),
            Ok(response) if self.is_retried(updating, response, cx) => Fate::GoesOn,
            _ => {
                let status = outcome.as_ref().map_or_else(|status| *status, Response::status);
                if updating.is_offer {
                    self.gate.withdraw();
                    cx.emit(Event::OfferRefused { session: cx.session, status, was_sent: true });
                }
                Fate::of(outcome)
            }
        }
    }

    fn on_update_success(&mut self, updating: Updating, response: &Response, cx: &mut Cx<'_>) -> Fate {
        self.note(response.headers());
        self.dialog.refresh_target(response.contact().ok());
        self.timer.decided(response, cx.now);
        if !updating.is_offer {
            return Fate::GoesOn;
        }
        match inspect::description(response.headers(), response.body()) {
            Some(answer) => {
                self.gate.answered(answer.clone());
                cx.emit(Event::OfferAnswered { session: cx.session, answer });
                Fate::GoesOn
            }
            None => {
                self.gate.withdraw();
                Fate::Misbehaved("the 2xx to UPDATE has no answer")
            }
        }
    }

    /// Whether the UPDATE is made again: later, or in another shape.
    fn is_retried(&mut self, updating: Updating, refusal: &Response, cx: &mut Cx<'_>) -> bool {
        let pause = self.pause(refusal, updating.attempts, cx);
        let not_update =
            matches!(refusal.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        if not_update {
            self.allows_update = false;
        }
        let Some(pause) = pause.or(not_update.then_some(crate::time::Duration::ZERO)) else { return false };
        if updating.is_offer {
            let description = self.gate.withdraw();
            let not_before = Some(cx.now + pause);
            self.wanted = Some(Wanted { description, not_before, attempts: updating.attempts + 1 });
        } else {
            self.timer.refresh_again(cx.now + pause);
        }
        true
    }

    /// How long to wait before a refused re-INVITE or UPDATE is made again; `None`: it is not.
    pub(super) fn pause(
        &mut self,
        refusal: &Response,
        attempts: u8,
        cx: &mut Cx<'_>,
    ) -> Option<crate::time::Duration> {
        if attempts + 1 >= glare::ATTEMPTS {
            return None;
        }
        if refusal.status() == StatusCode::SESSION_INTERVAL_TOO_SMALL {
            return self.timer.on_422(refusal).then_some(crate::time::Duration::ZERO);
        }
        glare::pause(refusal, self.dialog.owns_call_id(), &mut cx.ua.rng)
    }
}

/// 422 with the interval we would take (RFC 4028 section 9).
pub(super) fn refuse_interval(server: ServerId, request: &Request, min_se: u64, cx: &mut Cx<'_>) {
    let mut response = cx.response(request, StatusCode::SESSION_INTERVAL_TOO_SMALL);
    response.headers_mut().push(Name::MinSe, min_se);
    cx.respond(server, response);
}
