//! Whose turn it is to describe the session (RFC 3264 section 4, RFC 3261 section 14, RFC 3311, RFC 6337).
//!
//! One offer is open at a time, whoever made it. What the owner wishes waits until the gate is open, and is offered as
//! things stand then; two wishes that meet are refused with 491 and tried again after a delay that differs.

use super::call::{Call, Stage, description, is_foreign};
use super::transactions::{ClientId, ServerId};
use super::{Agent, Event, Misbehaviour, Purpose, SessionId, timer};
use pbx::sip::{Method, Name, Request, Response, StatusCode};
use pbx::time::{Duration, Instant};

/// How a session is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::phone) enum Means {
    /// An INVITE with an offer.
    Reinvite,
    /// UPDATE with an offer, when the other side knows it; else an INVITE.
    Update,
    /// An INVITE without: the other side is to offer.
    AskForOffer,
}

/// What is open in a call, and what waits for it.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) exchange: Exchange,
    wish: Option<Means>,
    /// The owner was told to offer, in this way.
    asked: Option<Means>,
    not_before: Option<Instant>,
}

/// What is open.
#[derive(Default)]
pub(super) enum Exchange {
    #[default]
    Free,
    /// A request of ours that changes the session.
    Ours,
    /// The 2xx to our INVITE holds an offer; ACK is to hold the answer.
    OwesAck { client: ClientId, number: u32 },
    /// A provisional response to our INVITE holds an offer; PRACK is to hold the answer.
    OwesPrack { at: usize, rack: String },
    /// A request of theirs waits for our answer.
    Theirs { server: ServerId },
    /// Our 2xx waits for its ACK.
    AwaitsAck,
}

impl Gate {
    fn is_open(&self, now: Instant) -> bool {
        matches!(self.exchange, Exchange::Free)
            && self.wish.is_some()
            && self.not_before.is_none_or(|at| at <= now)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.wish.is_some() && matches!(self.exchange, Exchange::Free))
    }
}

impl Agent {
    /// The session is to be changed. [`Event::MayOffer`] tells when.
    pub(in crate::phone) fn wish(&mut self, session: SessionId, means: Means, now: Instant) {
        if let Some(call) = self.call(session) {
            call.gate.wish = Some(means);
        }
        self.settle(now);
    }

    /// What was wished, as things stand now.
    pub(in crate::phone) fn offer(&mut self, session: SessionId, offer: &[u8], now: Instant) {
        if let Some(means) = self.call(session).and_then(|call| call.gate.asked.take()) {
            self.send_change(session, means, Some(offer), now);
        }
        self.settle(now);
    }

    /// The answer to the offer that is open, or the offer that was asked for.
    pub(in crate::phone) fn answer(&mut self, session: SessionId, sdp: &[u8], now: Instant) {
        let Some(call) = self.call(session) else { return };
        match std::mem::take(&mut call.gate.exchange) {
            Exchange::OwesAck { client, number } => {
                let dialog = call.dialog.clone();
                self.acknowledge(&dialog, client, number, Some(sdp));
            }
            Exchange::OwesPrack { at, rack } => {
                call.gate.exchange = Exchange::Ours;
                self.send_prack(session, at, &rack, Some(sdp), now);
            }
            Exchange::Theirs { server } => self.grant(session, server, Some(sdp), now),
            open @ (Exchange::Free | Exchange::Ours | Exchange::AwaitsAck) => call.gate.exchange = open,
        }
        self.settle(now);
    }

    /// The offer that is open cannot be answered.
    pub(in crate::phone) fn refuse_offer(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        let Some(call) = self.call(session) else { return };
        match std::mem::take(&mut call.gate.exchange) {
            Exchange::Theirs { server } => self.respond(server, status, now),
            // An ACK cannot say no.
            Exchange::OwesAck { client, number } => {
                let dialog = call.dialog.clone();
                self.acknowledge(&dialog, client, number, None);
                self.is_lost(session, now);
            }
            open @ (Exchange::Free | Exchange::Ours | Exchange::OwesPrack { .. } | Exchange::AwaitsAck) => {
                call.gate.exchange = open
            }
        }
        self.settle(now);
    }

    /// Wishes come true where nothing is open; whether there were any.
    pub(super) fn open_gates(&mut self, now: Instant) -> bool {
        let is_ready =
            |call: &&mut Call| matches!(call.stage, Stage::Up { hangs_up: false }) && call.gate.is_open(now);
        let Some(call) = self.calls.iter_mut().find(|call| is_ready(call)) else { return false };
        let session = call.id;
        call.gate.not_before = None;
        let Some(means) = call.gate.wish.take() else { return false };
        if means == Means::AskForOffer {
            self.send_change(session, means, None, now);
        } else {
            call.gate.asked = Some(means);
            self.tell(Event::MayOffer { session });
        }
        true
    }

    /// INVITE or UPDATE within the call.
    fn send_change(&mut self, session: SessionId, means: Means, offer: Option<&[u8]>, now: Instant) {
        let Some(call) = self.call(session) else { return };
        let method = match means {
            Means::Update if call.takes_update => Method::Update,
            Means::Update | Means::Reinvite | Means::AskForOffer => Method::Invite,
        };
        call.gate.exchange = Exchange::Ours;
        let mut request = call.dialog.request(method);
        let path = call.dialog.path();
        let headers = request.headers_mut();
        call.timer.ask_again(headers);
        self.introduce(&mut request, offer);
        self.send(request, path, Purpose::Change { session, refreshes: false }, now);
    }

    /// UPDATE that only says that we are still there, or an INVITE where UPDATE is not known (RFC 4028 section 7.4).
    pub(super) fn refresh(&mut self, session: SessionId, now: Instant) {
        let Some(call) = self.call(session) else { return };
        if !call.takes_update {
            call.gate.wish.get_or_insert(Means::Reinvite);
            return;
        }
        let mut request = call.dialog.request(Method::Update);
        let path = call.dialog.path();
        call.timer.ask_again(request.headers_mut());
        let contact = self.contact(self.identity.path);
        request.headers_mut().push(Name::Contact, contact);
        self.add_abilities(request.headers_mut());
        self.send(request, path, Purpose::Change { session, refreshes: true }, now);
    }

    pub(super) fn on_change_response(
        &mut self,
        session: SessionId,
        client: ClientId,
        refreshes: bool,
        response: &Response,
        now: Instant,
    ) {
        let status = response.status();
        if status.is_success() {
            return self.on_change_granted(session, client, refreshes, response, now);
        }
        if status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST {
            return self.is_lost(session, now);
        }
        let delay = self.delay_after(session, response);
        let sent = self.transactions.client(client).map(|client| client.request.clone());
        let Some(call) = self.call(session) else { return };
        if refreshes {
            return call.timer.try_again(now + delay.unwrap_or(Duration::from_secs(1)));
        }
        call.gate.exchange = Exchange::Free;
        if let (Some(delay), Some(sent)) = (delay, sent) {
            let again = match sent.method() {
                Method::Update => Means::Update,
                _ if sent.body().is_empty() => Means::AskForOffer,
                _ => Means::Reinvite,
            };
            call.gate.wish.get_or_insert(again);
            call.gate.not_before = Some(now + delay);
        }
        self.tell(Event::OfferRefused { session, status });
    }

    /// After 491 whoever owns the Call-ID waits longer (RFC 3261 section 14.1); 500 may say how long.
    fn delay_after(&mut self, session: SessionId, response: &Response) -> Option<Duration> {
        match response.status() {
            StatusCode::REQUEST_PENDING => {
                let is_ours = self.call(session).is_some_and(|call| call.is_ours);
                let (least, steps) = if is_ours { (2_100, 191) } else { (0, 201) };
                Some(Duration::from_millis(least + 10 * self.rng.below(steps)))
            }
            StatusCode::SERVER_INTERNAL_ERROR => {
                let text = response.headers().get(Name::RetryAfter)?;
                let after = pbx::sip::RetryAfter::parse(text).ok()?;
                Some(Duration::from_secs(u64::from(after.seconds.min(10))))
            }
            _ => None,
        }
    }

    fn on_change_granted(
        &mut self,
        session: SessionId,
        client: ClientId,
        refreshes: bool,
        response: &Response,
        now: Instant,
    ) {
        let Some(sent) = self.transactions.client(client).map(|client| client.request.clone()) else {
            return;
        };
        let (abilities, sdp) = (self.abilities.clone(), description(response.headers(), response.body()));
        let number = sent.cseq().map_or(0, |cseq| cseq.number);
        let is_invite = *sent.method() == Method::Invite;
        let Some(call) = self.call(session) else {
            // We have hung up meanwhile; the 2xx is acknowledged all the same.
            if is_invite {
                let dialog = super::dialog::Dialog::of_invite(&sent, self.identity.path);
                self.acknowledge(&dialog, client, number, None);
            }
            return;
        };
        call.dialog.retarget(response.contact().ok());
        call.timer.decided(&abilities, response, now);
        if refreshes {
            return;
        }
        let is_late = sent.body().is_empty();
        call.gate.exchange = if is_late { Exchange::OwesAck { client, number } } else { Exchange::Free };
        let dialog = call.dialog.clone();
        if is_invite && !is_late {
            self.acknowledge(&dialog, client, number, None);
        }
        match sdp {
            Some(offer) if is_late => self.tell(Event::Offered { session, offer: Some(offer) }),
            Some(answer) => self.tell(Event::OfferAnswered { session, answer }),
            None if is_late => self.refuse_offer(session, StatusCode::NOT_ACCEPTABLE_HERE, now),
            None => self.tell(Event::OfferRefused { session, status: response.status() }),
        }
    }

    /// INVITE, UPDATE or PRACK within a call: an offer, or only a sign of life.
    pub(super) fn take_change(
        &mut self,
        session: SessionId,
        server: ServerId,
        request: &Request,
        now: Instant,
    ) {
        let is_invite = *request.method() == Method::Invite;
        let offer = description(request.headers(), request.body());
        if self.ways.has(Misbehaviour::NeverAnswersOffers) && (is_invite || offer.is_some()) {
            return self.transactions.ignore(server);
        }
        if is_invite && is_foreign(request) {
            return self.refuse_invite(server, request, StatusCode::UNSUPPORTED_MEDIA_TYPE, now);
        }
        if *request.method() != Method::Prack && timer::is_too_short(&self.abilities, request) {
            return self.refuse_invite(server, request, StatusCode::SESSION_INTERVAL_TOO_SMALL, now);
        }
        let waits_for_answer =
            self.accepted.iter().any(|accepted| accepted.session == session && accepted.has_offer);
        let Some(call) = self.call(session) else { return };
        call.dialog.retarget(request.contact().ok());
        call.learn(request.headers());
        if offer.is_none() && !is_invite {
            return self.grant(session, server, None, now);
        }
        // Before the answer is known, nothing can be offered (RFC 3311 section 5.2); an early dialog has had its own when
        // the caller's INVITE was answered in it.
        let is_early_and_open = match &call.stage {
            Stage::Calling { early, .. } => {
                !early.iter().any(|early| early.is_answered && early.dialog.has(request))
            }
            Stage::Ringing { .. } | Stage::Up { .. } | Stage::Leaving | Stage::Over => false,
        };
        let is_calling = matches!(call.stage, Stage::Calling { .. });
        let refusal = match call.gate.exchange {
            _ if is_early_and_open || waits_for_answer => Some(StatusCode::REQUEST_PENDING),
            Exchange::Ours if is_calling => None,
            Exchange::Ours | Exchange::OwesAck { .. } | Exchange::OwesPrack { .. } => {
                Some(StatusCode::REQUEST_PENDING)
            }
            Exchange::Theirs { .. } => Some(StatusCode::SERVER_INTERNAL_ERROR),
            Exchange::Free | Exchange::AwaitsAck => None,
        };
        match refusal {
            Some(StatusCode::SERVER_INTERNAL_ERROR) => {
                let after = self.rng.below(11);
                if let Some(mut response) = self.response(server, StatusCode::SERVER_INTERNAL_ERROR, None) {
                    response.headers_mut().push(Name::RetryAfter, after);
                    self.transactions.respond(server, &response, now);
                }
            }
            Some(status) => self.respond(server, status, now),
            None => {
                call.gate.exchange = Exchange::Theirs { server };
                self.tell(Event::Offered { session, offer });
            }
        }
    }

    /// 2xx to INVITE, UPDATE or PRACK within a call.
    fn grant(&mut self, session: SessionId, server: ServerId, sdp: Option<&[u8]>, now: Instant) {
        let Some(request) = self.transactions.server(server).map(|server| server.request.clone()) else {
            return;
        };
        let Some(mut response) = self.response(server, StatusCode::OK, None) else { return };
        let abilities = self.abilities.clone();
        match request.method() {
            Method::Invite => {
                self.present(server, &mut response, sdp);
                self.accept_invite(session, server, response, sdp.is_some(), now);
                return;
            }
            Method::Prack => {
                if let Some(sdp) = sdp {
                    response.set_body("application/sdp", sdp);
                }
            }
            _ => {
                self.present(server, &mut response, sdp);
                if let Some(call) = self.call(session).filter(|call| call.is_up()) {
                    call.timer.answer(&abilities, &request, &mut response, now);
                }
            }
        }
        self.transactions.respond(server, &response, now);
    }
}
