//! We are called: ringing, the answer until it is acknowledged, a caller who gives up (RFC 3261 sections 9.2 and 13.3).

use super::again::Again;
use super::call::{Accepted, Call, Stage, description, is_foreign};
use super::dialog::Dialog;
use super::offers::Exchange;
use super::reliable::Provisionals;
use super::timer;
use super::transactions::ServerId;
use super::{ALLOW, Agent, Event, Misbehaviour, Prack, SessionId, T1, Timer};
use pbx::sip::{Headers, Method, Name, Path, Replaces, Request, Response, StatusCode};
use pbx::time::Instant;

impl Agent {
    /// Tells the caller how it comes along: 180, 183 with what is heard before the answer, ...
    pub(in crate::phone) fn ring(
        &mut self,
        session: SessionId,
        status: StatusCode,
        early: Option<&[u8]>,
        now: Instant,
    ) {
        let Some((server, tag)) = self.ringing(session) else { return };
        let Some(mut response) = self.response(server, status, Some(&tag)) else { return };
        self.present(server, &mut response, early);
        if self.is_told_reliably(server) {
            self.ring_reliably(session, response, now);
        } else {
            self.transactions.respond(server, &response, now);
        }
        self.settle(now);
    }

    /// Answers the call; the description may have been given before, in a response that was acknowledged.
    pub(in crate::phone) fn accept(&mut self, session: SessionId, description: Option<&[u8]>, now: Instant) {
        self.try_accept(session, description, now);
        self.settle(now);
    }

    /// Refuses the call.
    pub(in crate::phone) fn reject(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        if let Some((server, tag)) = self.ringing(session)
            && let Some(response) = self.response(server, status, Some(&tag))
        {
            self.transactions.respond(server, &response, now);
            self.end(session);
        }
        self.settle(now);
    }

    /// Says nothing more to the call, neither yes nor no.
    pub(in crate::phone) fn abandon(&mut self, session: SessionId, now: Instant) {
        if let Some((server, _)) = self.ringing(session) {
            self.transactions.ignore(server);
            self.end(session);
        }
        self.settle(now);
    }

    pub(super) fn try_accept(&mut self, session: SessionId, sdp: Option<&[u8]>, now: Instant) {
        let Some(Call { stage: Stage::Ringing { provisionals, .. }, .. }) = self.call(session) else {
            return;
        };
        // What a provisional response describes is to be known before the answer (RFC 3262 section 3).
        if provisionals.waits() {
            provisionals.accept_later(sdp);
            return;
        }
        let Some((server, tag)) = self.ringing(session) else { return };
        let Some(mut response) = self.response(server, StatusCode::OK, Some(&tag)) else { return };
        self.present(server, &mut response, sdp);
        self.accept_invite(session, server, response, sdp.is_some(), now);
        if let Some(call) = self.call(session) {
            call.stage = Stage::Up { hangs_up: false };
        }
        if self.ways.has(Misbehaviour::HangsUpBeforeAck) {
            self.bye(session, now);
            self.tell(Event::Ended { session });
        }
    }

    /// A 2xx to an INVITE, at the beginning or within: it is sent until it is acknowledged.
    pub(super) fn accept_invite(
        &mut self,
        session: SessionId,
        server: ServerId,
        mut response: Response,
        is_described: bool,
        now: Instant,
    ) {
        let Some(invite) = self.transactions.server(server) else { return };
        let (path, number) = (invite.path, invite.request.cseq().map_or(0, |cseq| cseq.number));
        let has_offer = is_described && invite.request.body().is_empty();
        let request = invite.request.clone();
        let abilities = self.abilities.clone();
        let Some(call) = self.call(session) else { return };
        call.timer.answer(&abilities, &request, &mut response, now);
        call.gate.exchange = Exchange::AwaitsAck;
        let bytes = response.to_bytes();
        self.transactions.respond(server, &response, now);
        let (again, until) = (Again::capped(T1, now), now + T1 * 64);
        self.accepted.push(Accepted { session, number, path, bytes, again, until, has_offer });
    }

    pub(super) fn on_request(&mut self, server: ServerId, now: Instant) {
        let Some(found) = self.transactions.server(server) else { return };
        let (request, path) = (found.request.clone(), found.path);
        let is_within = request.to_header().is_ok_and(|to| to.tag().is_some());
        match request.method() {
            Method::Cancel => self.on_cancel(server, &request, now),
            _ if is_within => self.on_request_within(server, &request, now),
            Method::Invite => self.on_invite(server, &request, path, now),
            Method::Message => {
                self.tell(Event::Text(request.body().to_vec()));
                self.respond(server, StatusCode::OK, now);
            }
            Method::Notify => {
                self.tell_news(&request, "unsolicited".to_owned());
                self.respond(server, StatusCode::OK, now);
            }
            Method::Options => self.on_options(server, now),
            Method::Bye | Method::Prack | Method::Update | Method::Info | Method::Refer => {
                self.respond(server, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, now);
            }
            Method::Ack | Method::Register | Method::Subscribe | Method::Publish | Method::Other(_) => {
                self.disallow(server, now);
            }
        }
    }

    pub(super) fn on_options(&mut self, server: ServerId, now: Instant) {
        if let Some(mut response) = self.response(server, StatusCode::OK, None) {
            response.headers_mut().push(Name::Accept, "application/sdp");
            self.add_abilities(response.headers_mut());
            self.transactions.respond(server, &response, now);
        }
    }

    pub(super) fn disallow(&mut self, server: ServerId, now: Instant) {
        if let Some(mut response) = self.response(server, StatusCode::METHOD_NOT_ALLOWED, None) {
            response.headers_mut().push(Name::Allow, ALLOW);
            self.transactions.respond(server, &response, now);
        }
    }

    /// ACK to a 2xx of ours.
    pub(super) fn on_ack(&mut self, ack: &Request, now: Instant) {
        let Some(call) = self.calls.iter_mut().find(|call| call.dialog.has(ack)) else { return };
        let (session, number) = (call.id, ack.cseq().map_or(0, |cseq| cseq.number));
        let is_it = |accepted: &Accepted| accepted.session == session && accepted.number == number;
        let Some(at) = self.accepted.iter().position(is_it) else { return };
        let accepted = self.accepted.swap_remove(at);
        if matches!(call.gate.exchange, Exchange::AwaitsAck) {
            call.gate.exchange = Exchange::Free;
        }
        let hangs_up = matches!(call.stage, Stage::Up { hangs_up: true });
        let answer = description(ack.headers(), ack.body()).filter(|_| accepted.has_offer);
        self.tell(Event::Confirmed { session, answer });
        if hangs_up {
            self.bye(session, now);
        }
    }

    /// Our 2xx are sent until they are acknowledged; who never does is hung up on (RFC 3261 section 13.3.1.4).
    pub(super) fn repeat_answers(&mut self, now: Instant) {
        let mut unheard = Vec::new();
        for accepted in &mut self.accepted {
            if accepted.until <= now {
                unheard.push(accepted.session);
            } else if accepted.again.is_due(now) {
                self.transactions.transmit(accepted.path, accepted.bytes.clone());
            }
        }
        for session in unheard {
            self.is_lost(session, now);
        }
    }

    fn on_invite(&mut self, server: ServerId, invite: &Request, path: Path, now: Instant) {
        if let Err(status) = self.inspect(server, invite) {
            return self.refuse_invite(server, invite, status, now);
        }
        let replaces = invite.headers().get(Name::Replaces).map(|text| self.find_replaced(text));
        let replaces = match replaces.transpose() {
            Ok(replaces) => replaces,
            Err(status) => return self.respond(server, status, now),
        };
        let tag = self.rng.token(10);
        let id = self.next_session();
        let first = 1 + self.rng.below(1 << 30) as u32;
        let stage = Stage::Ringing { server, provisionals: Provisionals::new(first) };
        let mut call = Call::new(id, Dialog::of_request(invite, &tag, path), stage, false);
        call.gate.exchange = Exchange::Theirs { server };
        call.learn(invite.headers());
        self.calls.push(call);
        let offer = description(invite.headers(), invite.body());
        let caller = invite.from().ok().and_then(|from| Some(from.parse_uri().ok()?.user_text()));
        self.tell(Event::Incoming { session: id, caller: caller.unwrap_or_default(), offer, replaces });
    }

    /// Whether an INVITE can be taken at all (RFC 3261 section 8.2).
    fn inspect(&self, server: ServerId, invite: &Request) -> Result<(), StatusCode> {
        if self.transactions.is_merged(server) {
            return Err(StatusCode::LOOP_DETECTED);
        }
        if !invite.unsupported(&self.extensions()).is_empty() {
            return Err(StatusCode::BAD_EXTENSION);
        }
        if invite.contact().is_err() {
            return Err(StatusCode::BAD_REQUEST);
        }
        if is_foreign(invite) {
            return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        if timer::is_too_short(&self.abilities, invite) {
            return Err(StatusCode::SESSION_INTERVAL_TOO_SMALL);
        }
        Ok(())
    }

    pub(super) fn refuse_invite(
        &mut self,
        server: ServerId,
        invite: &Request,
        status: StatusCode,
        now: Instant,
    ) {
        let Some(mut response) = self.response(server, status, None) else { return };
        if status == StatusCode::BAD_EXTENSION {
            let unknown = invite.unsupported(&self.extensions()).join(", ");
            response.headers_mut().push(Name::Unsupported, unknown);
        }
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            response.headers_mut().push(Name::Accept, "application/sdp");
        }
        if status == StatusCode::SESSION_INTERVAL_TOO_SMALL {
            response.headers_mut().push(Name::MinSe, timer::SHORTEST.as_secs());
        }
        self.transactions.respond(server, &response, now);
    }

    /// The call that another one takes the place of (RFC 3891 section 3).
    fn find_replaced(&self, text: &str) -> Result<SessionId, StatusCode> {
        let replaces = Replaces::parse(text).map_err(|_| StatusCode::BAD_REQUEST)?;
        let is_it = |call: &&Call| {
            call.dialog.call_id == replaces.call_id
                && call.dialog.local_tag == replaces.to_tag
                && call.dialog.remote_tag.as_deref() == Some(replaces.from_tag)
        };
        let unknown = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        let call = self.calls.iter().find(is_it).ok_or(unknown)?;
        match call.stage {
            Stage::Up { .. } if replaces.early_only => Err(StatusCode::BUSY_HERE),
            Stage::Up { .. } | Stage::Calling { .. } => Ok(call.id),
            // Only who has called may be given another callee before the answer.
            Stage::Ringing { .. } => Err(unknown),
            Stage::Leaving | Stage::Over => Err(StatusCode::DECLINE),
        }
    }

    fn on_cancel(&mut self, server: ServerId, cancel: &Request, now: Instant) {
        if self.ways.has(Misbehaviour::IgnoresCancel) {
            return self.transactions.ignore(server);
        }
        let Some(invite) = self.transactions.invite_of(cancel) else {
            return self.respond(server, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, now);
        };
        let rings = |call: &&Call| matches!(call.stage, Stage::Ringing { server, .. } if server == invite);
        let call = self.calls.iter().find(rings);
        let (session, tag) = (call.map(|call| call.id), call.map(|call| call.dialog.local_tag.clone()));
        if let Some(response) = self.response(server, StatusCode::OK, tag.as_deref()) {
            self.transactions.respond(server, &response, now);
        }
        if let Some(session) = session {
            self.tell(Event::Cancelled { session });
        }
    }

    /// The INVITE that rings, and our tag.
    fn ringing(&mut self, session: SessionId) -> Option<(ServerId, String)> {
        let call = self.call(session)?;
        match call.stage {
            Stage::Ringing { server, .. } => Some((server, call.dialog.local_tag.clone())),
            Stage::Calling { .. } | Stage::Up { .. } | Stage::Leaving | Stage::Over => None,
        }
    }

    /// What a response to INVITE says of us.
    pub(super) fn present(&self, server: ServerId, response: &mut Response, description: Option<&[u8]>) {
        let Some(path) = self.transactions.server(server).map(|server| server.path) else { return };
        let contact = self.contact(path);
        let headers = response.headers_mut();
        // The way of the dialog (RFC 3261 section 12.1.1).
        if let Some(invite) = self.transactions.server(server) {
            for route in invite.request.headers().all(Name::RecordRoute) {
                headers.push(Name::RecordRoute, route);
            }
        }
        headers.push(Name::Contact, contact);
        self.add_abilities(headers);
        match description {
            Some(description) => response.set_body("application/sdp", description),
            None => headers.set(Name::ContentLength, 0),
        }
    }

    pub(super) fn add_abilities(&self, headers: &mut Headers) {
        let allow = if self.abilities.update { ALLOW.to_owned() } else { ALLOW.replace(" UPDATE,", "") };
        headers.push(Name::Allow, allow);
        headers.push(Name::Supported, self.extensions().join(", "));
    }

    pub(super) fn extensions(&self) -> Vec<&'static str> {
        let mut known = vec!["replaces"];
        if self.abilities.prack != Prack::Off {
            known.push("100rel");
        }
        if self.abilities.timer != Timer::Off {
            known.push("timer");
        }
        known
    }
}
