//! An INVITE we received and have not answered finally: ring, accept, reject, CANCEL, reliable provisional responses (RFC 3261
//! sections 9.2 and 13.3.1, RFC 3262 section 3).

use super::established::{Accepted, Established};
use super::offer::{Owed, Turn};
use super::peer::Peer;
use super::prack::{Due, Provisional, Reliable};
use super::shared::{Cx, Outcome, Purpose};
use super::stage::Stage;
use super::{Cause, Event, ExtraHeaders, Reply, compose, inspect};
use crate::sip::{Name, Request, Response, StatusCode};
use crate::time::{Duration, Instant};
use crate::transaction::ServerId;

/// Proxies forget an INVITE three minutes after the last provisional response; one a minute keeps it (RFC 3261 section
/// 13.3.1.1).
const EXTENSION: Duration = Duration::from_secs(60);

/// An INVITE that waits for our final response.
#[derive(Debug)]
pub(super) struct Ringing {
    server: ServerId,
    invite: Request,
    pub(super) peer: Peer,
    reliability: Reliability,
    reliable: Reliable,
    /// We have accepted; the 2xx waits for a PRACK or an answer.
    acceptance: Option<Provisional>,
    /// What was said last and when it is to be said again, so that proxies do not give up.
    extension: Option<(StatusCode, Instant)>,
    /// The Expires of the INVITE (RFC 3261 section 13.3.1).
    expires_at: Option<Instant>,
}

/// What the caller says of reliable provisional responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reliability {
    Unknown,
    Supported,
    Required,
}

impl Ringing {
    /// A new INVITE.
    pub(super) fn new(server: ServerId, invite: Request, peer: Peer, cx: &mut Cx<'_>) -> Ringing {
        let reliability = match () {
            () if invite.lists(Name::Require, "100rel") => Reliability::Required,
            () if invite.lists(Name::Supported, "100rel") => Reliability::Supported,
            () => Reliability::Unknown,
        };
        let expires = invite.headers().get(Name::Expires).and_then(compose::leading_number);
        let expires_at = expires.map(|seconds| cx.now + Duration::from_secs(seconds.min(86_400)));
        let reliable = Reliable::new(&mut cx.ua.rng);
        Ringing { server, invite, peer, reliability, reliable, acceptance: None, extension: None, expires_at }
    }

    /// The INVITE.
    pub(super) fn server(&self) -> ServerId {
        self.server
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let extension = self.extension.map(|(_, at)| at);
        let wanted =
            self.peer.wanted.as_ref().and_then(|wanted| wanted.not_before).filter(|_| self.may_update());
        [self.reliable.deadline(), extension, wanted, self.expires_at].into_iter().flatten().min()
    }

    /// The earliest deadline has come.
    pub(super) fn handle_timeout(mut self: Box<Self>, cx: &mut Cx<'_>) -> Stage {
        match self.reliable.due(cx.now) {
            Some(Due::Repeat(response)) => cx.respond(self.server, *response),
            Some(Due::GiveUp) => return self.end(StatusCode::SERVER_TIME_OUT, Some(Cause::NoPrack), cx),
            None => {}
        }
        if self.expires_at.is_some_and(|at| at <= cx.now) {
            let cause = Cause::Cancel { reason: None };
            return self.end(StatusCode::REQUEST_TERMINATED, Some(cause), cx);
        }
        if let Some((status, _)) = self.extension.filter(|(_, at)| *at <= cx.now) {
            self.send_plain(&Provisional { status, description: None, headers: ExtraHeaders::new() }, cx);
        }
        self.go_on(cx)
    }

    /// Answers provisionally.
    pub(super) fn ring(&mut self, provisional: Provisional, reliably: bool, cx: &mut Cx<'_>) {
        let is_sensible = provisional.status.is_provisional() && provisional.status != StatusCode::TRYING;
        if self.acceptance.is_some() || !is_sensible {
            return;
        }
        match self.reliability {
            Reliability::Required => self.ring_reliably(provisional, cx),
            Reliability::Supported if reliably => self.ring_reliably(provisional, cx),
            Reliability::Supported | Reliability::Unknown => self.send_plain(&provisional, cx),
        }
    }

    /// Answers 200, at once or when what has to come first has come.
    pub(super) fn accept(
        mut self: Box<Self>,
        description: Vec<u8>,
        headers: ExtraHeaders,
        cx: &mut Cx<'_>,
    ) -> Stage {
        if self.acceptance.is_none() {
            let description = Some(description);
            self.acceptance = Some(Provisional { status: StatusCode::OK, description, headers });
        }
        self.go_on(cx)
    }

    /// Refuses.
    pub(super) fn reject(mut self: Box<Self>, reply: &Reply, cx: &mut Cx<'_>) -> Stage {
        self.peer.abandon(cx);
        let mut response = compose::reply(&self.invite, reply, cx.tag, &cx.ua.settings.user_agent);
        if reply.status == StatusCode::METHOD_NOT_ALLOWED {
            compose::add_missing(response.headers_mut(), Name::Allow, compose::ALLOW);
        }
        cx.respond(self.server, response);
        Stage::Over
    }

    /// CANCEL has come; its 200 is on the way.
    pub(super) fn on_cancel(self: Box<Self>, reason: Option<String>, cx: &mut Cx<'_>) -> Stage {
        self.end(StatusCode::REQUEST_TERMINATED, Some(Cause::Cancel { reason }), cx)
    }

    /// The caller ends its early dialog by BYE instead of CANCEL, which it may (RFC 3261 section 15).
    pub(super) fn on_bye(self: Box<Self>, reason: Option<String>, cx: &mut Cx<'_>) -> Stage {
        self.end(StatusCode::REQUEST_TERMINATED, Some(Cause::Bye { reason }), cx)
    }

    /// PRACK has come (RFC 3262 section 3), maybe with the answer to our offer or with another offer (section 5).
    pub(super) fn on_prack(
        mut self: Box<Self>,
        server: ServerId,
        request: Request,
        cx: &mut Cx<'_>,
    ) -> Stage {
        let cseq = self.invite.cseq().map_or(0, |cseq| cseq.number);
        let was_described = self.reliable.holds_description();
        if !self.reliable.acknowledge(&request, cseq) {
            cx.refuse(server, &request, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            return Stage::Ringing(self);
        }
        let description = inspect::description(request.headers(), request.body());
        let asked = was_described && matches!(self.peer.gate.turn(), Turn::Offered(_));
        match description {
            Some(answer) if asked => {
                self.peer.gate.answered(answer.clone());
                cx.emit(Event::OfferAnswered { session: cx.session, answer });
                cx.refuse(server, &request, StatusCode::OK);
            }
            None if asked => {
                cx.refuse(server, &request, StatusCode::OK);
                let cause = Cause::PeerMisbehaved("the PRACK has no answer");
                return self.end(StatusCode::BAD_REQUEST, Some(cause), cx);
            }
            Some(offer) if self.peer.gate.is_settled() => {
                self.peer.on_offer(server, request, Some(offer), cx);
            }
            // A description where none belongs is not looked at, and the PRACK is answered all the same.
            Some(_) | None => cx.refuse(server, &request, StatusCode::OK),
        }
        self.go_on(cx)
    }

    /// A request of ours has ended.
    pub(super) fn on_outcome(
        mut self: Box<Self>,
        purpose: Purpose,
        outcome: &Outcome,
        cx: &mut Cx<'_>,
    ) -> Stage {
        if purpose == Purpose::Update {
            // Whatever is wrong with it, the INVITE is still to be answered.
            self.peer.on_update_outcome(outcome, cx);
        }
        self.go_on(cx)
    }

    /// We offer a change while it rings: UPDATE, or after the answer when the other side does not know it.
    pub(super) fn offer(mut self: Box<Self>, description: Option<Vec<u8>>, cx: &mut Cx<'_>) -> Stage {
        self.peer.want(description);
        self.go_on(cx)
    }

    /// We answer an offer that came in PRACK or UPDATE.
    pub(super) fn answer(mut self: Box<Self>, description: Vec<u8>, cx: &mut Cx<'_>) -> Stage {
        self.peer.give(description, cx);
        self.go_on(cx)
    }

    /// We refuse an offer that came in UPDATE. One in the INVITE is refused by [`reject`](Self::reject).
    pub(super) fn refuse_offer(mut self: Box<Self>, status: StatusCode, cx: &mut Cx<'_>) -> Stage {
        self.peer.refuse(status, cx);
        self.go_on(cx)
    }

    /// We do not want it any more.
    pub(super) fn hang_up(self: Box<Self>, reason: Option<String>, cx: &mut Cx<'_>) -> Stage {
        let mut reply = Reply::new(StatusCode::TEMPORARILY_UNAVAILABLE);
        reply.headers.extend(reason.map(|reason| ("Reason".to_owned(), reason)));
        self.reject(&reply, cx)
    }

    /// Sends what has waited for a PRACK or for an answer.
    fn go_on(mut self: Box<Self>, cx: &mut Cx<'_>) -> Stage {
        if self.may_accept()
            && let Some(acceptance) = self.acceptance.take()
        {
            return self.send_success(acceptance, cx);
        }
        if let Some(provisional) = self.reliable.next() {
            self.send_reliably(provisional, cx);
        }
        if self.may_update() && self.peer.wants_now(cx) {
            self.peer.send_wanted_by_update(cx);
        }
        Stage::Ringing(self)
    }

    /// A 2xx waits for the PRACK to a description (RFC 3262 section 5) and for offers within the early dialog.
    fn may_accept(&self) -> bool {
        let is_open = matches!(self.peer.gate.turn(), Turn::Settled | Turn::Owed { to: Owed::Invite, .. });
        is_open && !self.reliable.holds_description() && self.peer.updating.is_none()
    }

    /// The callee may offer when its answer has been acknowledged (RFC 3311 section 5.1).
    fn may_update(&self) -> bool {
        self.peer.allows_update
            && self.peer.gate.is_settled()
            && self.peer.updating.is_none()
            && !self.reliable.holds_description()
            && self.acceptance.is_none()
            && self.peer.wanted.as_ref().is_some_and(|wanted| wanted.description.is_some())
    }

    fn ring_reliably(&mut self, provisional: Provisional, cx: &mut Cx<'_>) {
        if self.reliable.is_waiting() {
            return self.reliable.wait(provisional);
        }
        self.send_reliably(provisional, cx);
    }

    fn send_reliably(&mut self, provisional: Provisional, cx: &mut Cx<'_>) {
        let asked = matches!(self.peer.gate.turn(), Turn::Owed { to: Owed::Invite, offer: None });
        if asked && provisional.description.is_none() {
            // The first reliable response to an INVITE without offer has to make one (RFC 3262 section 5).
            if self.reliability != Reliability::Required {
                self.send_plain(&provisional, cx);
            }
            return;
        }
        let description = provisional.description.clone().filter(|_| self.owes_description());
        let mut response = self.response(&provisional, description.as_deref(), cx);
        self.reliable.start(&mut response, description.is_some(), cx.ua.settings.t1, cx.now);
        if let Some(description) = description {
            self.peer.gate.give(description);
        }
        cx.respond(self.server, response);
        self.extension = None;
    }

    /// Unreliably. Its description is a preview of the answer (RFC 6337 section 3.1.1); an offer cannot go this way.
    fn send_plain(&mut self, provisional: &Provisional, cx: &mut Cx<'_>) {
        let answers = matches!(self.peer.gate.turn(), Turn::Owed { to: Owed::Invite, offer: Some(_) });
        let description = provisional.description.as_deref().filter(|_| answers);
        let response = self.response(provisional, description, cx);
        cx.respond(self.server, response);
        self.extension = Some((provisional.status, cx.now + EXTENSION));
    }

    fn send_success(mut self: Box<Self>, acceptance: Provisional, cx: &mut Cx<'_>) -> Stage {
        let description = acceptance.description.filter(|_| self.owes_description());
        let mut response = self.peer.success(&self.invite, description.as_deref(), cx);
        copy_record_route(&self.invite, &mut response);
        response.headers_mut().push(Name::Accept, compose::SDP);
        compose::add_extra(response.headers_mut(), &acceptance.headers, false);
        cx.respond(self.server, response.clone());
        if let Some(description) = description {
            self.peer.gate.give(description);
        }
        let accepted = Accepted::new(self.server, &self.invite, response, true, cx);
        let cseq = self.invite.cseq().map_or(0, |cseq| cseq.number);
        let late_prack = self.reliable.waiting_for().map(|rseq| (cseq, rseq));
        Stage::Established(Box::new(Established::accepted(self.peer, accepted, late_prack)))
    }

    /// Once the answer went reliably, descriptions are left out of what follows (RFC 6337 section 3.1.1).
    fn owes_description(&self) -> bool {
        matches!(self.peer.gate.turn(), Turn::Owed { to: Owed::Invite, .. })
    }

    fn response(&self, provisional: &Provisional, description: Option<&[u8]>, cx: &Cx<'_>) -> Response {
        let mut response = cx.response(&self.invite, provisional.status);
        copy_record_route(&self.invite, &mut response);
        response.headers_mut().push(Name::Contact, cx.contact(&self.peer.dialog));
        compose::add_abilities(response.headers_mut());
        compose::add_extra(response.headers_mut(), &provisional.headers, false);
        compose::describe_response(&mut response, description);
        response
    }

    fn end(mut self: Box<Self>, status: StatusCode, cause: Option<Cause>, cx: &mut Cx<'_>) -> Stage {
        self.peer.abandon(cx);
        cx.refuse(self.server, &self.invite, status);
        if let Some(cause) = cause {
            cx.emit(Event::Ended { session: cx.session, cause });
        }
        Stage::Over
    }
}

/// The route set goes back to the caller (RFC 3261 section 12.1.1).
fn copy_record_route(invite: &Request, response: &mut Response) {
    for value in invite.headers().all(Name::RecordRoute) {
        response.headers_mut().push(Name::RecordRoute, value);
    }
}
