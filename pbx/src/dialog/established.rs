//! A session that is answered: re-INVITE in both directions (RFC 3261 section 14), ACK, refresh, BYE.

use super::leaving::Leaving;
use super::offer::{Owed, Turn, Wanted};
use super::peer::{Fate, Peer, refuse_interval};
use super::prack;
use super::session_timer::SessionTimer;
use super::shared::{Cx, Outcome, Purpose, T2};
use super::stage::Stage;
use super::{Cause, Event, compose, inspect};
use crate::buggify::buggify;
use crate::sip::{Method, Name, Request, Response, StatusCode};
use crate::time::{Duration, Instant};
use crate::transaction::{ClientId, ServerId};

/// A session that is answered.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) peer: Peer,
    inviting: Inviting,
    /// CSeq and RSeq of the reliable response that had no PRACK when the INVITE was answered.
    late_prack: Option<(u32, u32)>,
}

/// The INVITE transaction that is under way; there is one at a time in a dialog. One that waits for our decision is what the
/// gate says we owe.
#[derive(Debug)]
enum Inviting {
    Idle,
    /// Ours is out.
    Sent {
        client: ClientId,
        why: Why,
    },
    /// Our 2xx is out, and no ACK yet.
    Accepted(Box<Accepted>),
}

/// What a re-INVITE of ours is for.
#[derive(Clone, Copy, Debug)]
enum Why {
    Offer { attempts: u8 },
    Refresh,
}

/// A 2xx to an INVITE, repeated until its ACK comes, on whatever transport (RFC 3261 section 13.3.1.4).
#[derive(Debug)]
pub(super) struct Accepted {
    server: ServerId,
    response: Response,
    cseq: u32,
    /// The INVITE that made the session.
    pub(super) is_first: bool,
    repeat_at: Instant,
    interval: Duration,
    give_up_at: Instant,
}

impl Accepted {
    /// A 2xx that has just been sent.
    pub(super) fn new(
        server: ServerId,
        invite: &Request,
        response: Response,
        is_first: bool,
        cx: &Cx<'_>,
    ) -> Accepted {
        let t1 = cx.ua.settings.t1;
        Accepted {
            server,
            response,
            cseq: invite.cseq().map_or(0, |cseq| cseq.number),
            is_first,
            repeat_at: cx.now + t1,
            interval: t1,
            give_up_at: cx.now + cx.ua.patience(),
        }
    }

    /// Whether this is its ACK.
    pub(super) fn is_acknowledged_by(&self, ack: &Request) -> bool {
        ack.cseq().is_ok_and(|cseq| cseq.number == self.cseq)
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Instant {
        self.repeat_at.min(self.give_up_at)
    }

    /// Sends it again when it is time. True when it is time to give up.
    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.give_up_at <= cx.now {
            return true;
        }
        if self.repeat_at <= cx.now {
            cx.respond(self.server, self.response.clone());
            self.interval = (self.interval * 2).min(T2);
            self.repeat_at = cx.now + self.interval;
        }
        false
    }
}

impl Established {
    /// We were called and have answered: the ACK is awaited.
    pub(super) fn accepted(peer: Peer, accepted: Accepted, late_prack: Option<(u32, u32)>) -> Established {
        Established { peer, inviting: Inviting::Accepted(Box::new(accepted)), late_prack }
    }

    /// We called and were answered.
    pub(super) fn answered(peer: Peer) -> Established {
        Established { peer, inviting: Inviting::Idle, late_prack: None }
    }

    /// Begins with what has waited for the answer.
    pub(super) fn start(self: Box<Self>, cx: &mut Cx<'_>) -> Stage {
        self.go_on(cx)
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let accepted = match &self.inviting {
            Inviting::Accepted(accepted) => Some(accepted.deadline()),
            Inviting::Idle | Inviting::Sent { .. } => None,
        };
        let wanted = self.peer.wanted.as_ref().and_then(|wanted| wanted.not_before);
        // An offer whose time has come waits for something else to end, not for the clock.
        let wanted = wanted.filter(|_| self.is_free());
        [accepted, wanted, self.peer.timer.deadline()].into_iter().flatten().min()
    }

    /// The earliest deadline has come.
    pub(super) fn handle_timeout(mut self: Box<Self>, cx: &mut Cx<'_>) -> Stage {
        if let Inviting::Accepted(accepted) = &mut self.inviting
            && accepted.handle_timeout(cx)
        {
            self.inviting = Inviting::Idle;
            return self.end(Some(Cause::NoAck), true, cx);
        }
        if self.peer.timer.is_expired(cx.now) {
            return self.end(Some(Cause::SessionExpired), true, cx);
        }
        self.go_on(cx)
    }

    /// A re-INVITE has come (RFC 3261 section 14.2).
    pub(super) fn on_invite(
        mut self: Box<Self>,
        server: ServerId,
        request: Request,
        cx: &mut Cx<'_>,
    ) -> Stage {
        let ours_is_out = matches!(self.inviting, Inviting::Sent { .. })
            || matches!(self.peer.gate.turn(), Turn::Owed { to: Owed::Ack { .. }, .. });
        if ours_is_out {
            cx.refuse(server, &request, StatusCode::REQUEST_PENDING);
            return Stage::Established(self);
        }
        if let Some(min_se) = SessionTimer::too_small(&cx.ua.settings, &request) {
            refuse_interval(server, &request, min_se.as_secs(), cx);
            return Stage::Established(self);
        }
        if self.peer.gate.is_settled() {
            self.take_as_acknowledged(cx);
        }
        let offer = inspect::description(request.headers(), request.body());
        self.peer.on_offer(server, request, offer, cx);
        Stage::Established(self)
    }

    /// The ACK to a 2xx of ours has come, maybe with the answer to the offer in it.
    pub(super) fn on_ack(mut self: Box<Self>, ack: &Request, cx: &mut Cx<'_>) -> Stage {
        let Inviting::Accepted(accepted) = &self.inviting else { return Stage::Established(self) };
        if !accepted.is_acknowledged_by(ack) || buggify!("a 200 is repeated after its ACK") {
            return Stage::Established(self);
        }
        let is_first = accepted.is_first;
        self.inviting = Inviting::Idle;
        let is_awaited = matches!(self.peer.gate.turn(), Turn::Offered(_)) && self.peer.updating.is_none();
        let answer = inspect::description(ack.headers(), ack.body()).filter(|_| is_awaited);
        let session = cx.session;
        match answer {
            Some(answer) => {
                self.peer.gate.answered(answer.clone());
                cx.emit(match is_first {
                    true => Event::Confirmed { session, answer: Some(answer) },
                    false => Event::OfferAnswered { session, answer },
                });
            }
            None if is_awaited => {
                return self.end(Some(Cause::PeerMisbehaved("the ACK has no answer")), true, cx);
            }
            None if is_first => cx.emit(Event::Confirmed { session, answer: None }),
            None => {}
        }
        self.go_on(cx)
    }

    /// A PRACK that was still on its way when the INVITE was answered (RFC 3262 section 3), or one that matches nothing.
    pub(super) fn on_prack(&mut self, server: ServerId, request: &Request, cx: &mut Cx<'_>) {
        let matches = self.late_prack.is_some_and(|(cseq, rseq)| prack::matches_rack(request, rseq, cseq));
        let status = if matches { StatusCode::OK } else { StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST };
        if matches {
            self.late_prack = None;
        }
        cx.refuse(server, request, status);
    }

    /// The re-INVITE that waits for our decision was cancelled: 487, and everything stays as it was.
    pub(super) fn on_cancel(mut self: Box<Self>, cx: &mut Cx<'_>) -> Stage {
        self.peer.refuse(StatusCode::REQUEST_TERMINATED, cx);
        self.go_on(cx)
    }

    /// BYE has come and was answered.
    pub(super) fn on_bye(self: Box<Self>, reason: Option<String>, cx: &mut Cx<'_>) -> Stage {
        self.end(Some(Cause::Bye { reason }), false, cx)
    }

    /// A request of ours has ended.
    pub(super) fn on_outcome(
        mut self: Box<Self>,
        client: ClientId,
        purpose: Purpose,
        outcome: &Outcome,
        cx: &mut Cx<'_>,
    ) -> Stage {
        let fate = match purpose {
            Purpose::Reinvite => self.on_reinvite_outcome(client, outcome, cx),
            Purpose::Update => self.peer.on_update_outcome(outcome, cx),
            // A PRACK nobody answers is no reason to end a session that is answered by now.
            Purpose::Prack | Purpose::Invite | Purpose::Bye => Fate::GoesOn,
            Purpose::Within(_) => Fate::of(outcome),
        };
        match fate {
            Fate::GoesOn => self.go_on(cx),
            Fate::Lost => self.end(Some(Cause::Lost), true, cx),
            Fate::Misbehaved(what) => self.end(Some(Cause::PeerMisbehaved(what)), true, cx),
        }
    }

    /// We offer a change, or with `None` ask for one.
    pub(super) fn offer(mut self: Box<Self>, description: Option<Vec<u8>>, cx: &mut Cx<'_>) -> Stage {
        self.peer.want(description);
        self.go_on(cx)
    }

    /// We answer what was offered.
    pub(super) fn answer(mut self: Box<Self>, description: Vec<u8>, cx: &mut Cx<'_>) -> Stage {
        if let Some(accepted) = self.peer.give(description, cx) {
            self.inviting = Inviting::Accepted(Box::new(accepted));
        }
        self.go_on(cx)
    }

    /// We refuse what was offered. What came in a 2xx cannot be refused: that ends the session (RFC 6337 section 2.3).
    pub(super) fn refuse_offer(mut self: Box<Self>, status: StatusCode, cx: &mut Cx<'_>) -> Stage {
        if self.peer.refuse(status, cx) {
            return self.go_on(cx);
        }
        match self.peer.gate.turn() {
            Turn::Owed { .. } => self.end(None, true, cx),
            Turn::Settled | Turn::Asking | Turn::Offered(_) => Stage::Established(self),
        }
    }

    /// Ends the session: BYE, but not before the ACK to our 2xx (RFC 3261 section 15).
    pub(super) fn hang_up(mut self: Box<Self>, reason: Option<String>, cx: &mut Cx<'_>) -> Stage {
        match std::mem::replace(&mut self.inviting, Inviting::Idle) {
            Inviting::Accepted(accepted) => {
                self.peer.abandon(cx);
                Stage::Leaving(Box::new(Leaving::after_ack(self.peer, accepted, reason)))
            }
            inviting => {
                self.inviting = inviting;
                self.leave(reason, true, cx)
            }
        }
    }

    /// The request that carried our client id went out again under another.
    pub(super) fn renamed(&mut self, old: ClientId, new: ClientId) {
        let reinvite = match &mut self.inviting {
            Inviting::Sent { client, .. } => Some(client),
            Inviting::Idle | Inviting::Accepted(_) => None,
        };
        let update = self.peer.updating.as_mut().map(|updating| &mut updating.client);
        for client in [reinvite, update].into_iter().flatten().filter(|client| **client == old) {
            *client = new;
        }
    }

    /// The re-INVITE that waits for our decision.
    pub(super) fn open_invite(&self) -> Option<ServerId> {
        self.peer.gate.open_invite()
    }

    fn is_free(&self) -> bool {
        matches!(self.inviting, Inviting::Idle) && self.peer.gate.is_settled() && self.peer.updating.is_none()
    }

    /// Sends what has waited, if nothing else is under way.
    fn go_on(mut self: Box<Self>, cx: &mut Cx<'_>) -> Stage {
        if self.is_free() {
            if self.peer.wants_now(cx) {
                if let Some(Wanted { description, attempts, .. }) = self.peer.wanted.take() {
                    self.send_invite(description, Why::Offer { attempts }, cx);
                }
            } else if self.peer.timer.take_refresh() {
                self.refresh(cx);
            }
        }
        Stage::Established(self)
    }

    /// UPDATE where the other side takes it, else a re-INVITE that repeats our description (RFC 4028 section 7.4).
    fn refresh(&mut self, cx: &mut Cx<'_>) {
        if self.peer.allows_update {
            return self.peer.send_update(None, 0, cx);
        }
        if let Some(description) = self.peer.gate.local().map(<[u8]>::to_vec) {
            self.send_invite(Some(description), Why::Refresh, cx);
        }
    }

    fn send_invite(&mut self, description: Option<Vec<u8>>, why: Why, cx: &mut Cx<'_>) {
        let mut invite = self.peer.dialog.request(Method::Invite);
        self.peer.introduce(&mut invite, cx);
        invite.headers_mut().push(Name::Accept, compose::SDP);
        compose::describe_request(&mut invite, description.as_deref());
        let client = cx.send(&self.peer.dialog, invite, Purpose::Reinvite);
        self.peer.gate.send(description);
        self.inviting = Inviting::Sent { client, why };
    }

    fn on_reinvite_outcome(&mut self, client: ClientId, outcome: &Outcome, cx: &mut Cx<'_>) -> Fate {
        let why = match &self.inviting {
            Inviting::Sent { client: sent, why } if *sent == client => *why,
            Inviting::Idle | Inviting::Sent { .. } | Inviting::Accepted(_) => return Fate::GoesOn,
        };
        self.inviting = Inviting::Idle;
        match outcome {
            Ok(response) if response.status().is_success() => {
                self.on_reinvite_success(client, why, response, cx)
            }
            Ok(response) if self.is_retried(why, response, cx) => Fate::GoesOn,
            _ => {
                self.peer.gate.withdraw();
                let status = outcome.as_ref().map_or_else(|status| *status, Response::status);
                if let Why::Offer { .. } = why {
                    cx.emit(Event::OfferRefused { session: cx.session, status, was_sent: true });
                }
                Fate::of(outcome)
            }
        }
    }

    fn on_reinvite_success(
        &mut self,
        client: ClientId,
        why: Why,
        response: &Response,
        cx: &mut Cx<'_>,
    ) -> Fate {
        let peer = &mut self.peer;
        peer.note(response.headers());
        peer.dialog.refresh_target(response.contact().ok());
        peer.timer.decided(response, cx.now);
        let cseq = response.cseq().map_or(0, |cseq| cseq.number);
        let description = inspect::description(response.headers(), response.body());
        let session = cx.session;
        match (peer.gate.turn(), description) {
            (Turn::Asking, Some(offer)) => {
                peer.gate.owe(Owed::Ack { client, cseq }, Some(offer.clone()));
                cx.ua.acks.keep(client, peer.dialog.remote_tag(), None, None);
                cx.emit(Event::Offered { session, offer: Some(offer) });
                return Fate::GoesOn;
            }
            (Turn::Offered(_), Some(answer)) => {
                let is_news = matches!(why, Why::Offer { .. }) || peer.gate.remote() != Some(&answer);
                peer.gate.answered(answer.clone());
                if is_news {
                    cx.emit(Event::OfferAnswered { session, answer });
                }
            }
            (Turn::Asking | Turn::Offered(_), None) => {
                peer.gate.withdraw();
                cx.ua.acknowledge(client, &peer.dialog, cseq, None);
                return Fate::Misbehaved("the 2xx to a re-INVITE has no description");
            }
            (Turn::Settled | Turn::Owed { .. }, _) => {}
        }
        cx.ua.acknowledge(client, &peer.dialog, cseq, None);
        Fate::GoesOn
    }

    /// Whether a refused re-INVITE is made again.
    fn is_retried(&mut self, why: Why, refusal: &Response, cx: &mut Cx<'_>) -> bool {
        let attempts = match why {
            Why::Offer { attempts } => attempts,
            Why::Refresh => 0,
        };
        let Some(pause) = self.peer.pause(refusal, attempts, cx) else { return false };
        let description = self.peer.gate.withdraw();
        let at = cx.now + pause;
        match why {
            Why::Offer { attempts } if self.peer.wanted.is_none() => {
                self.peer.wanted = Some(Wanted { description, not_before: Some(at), attempts: attempts + 1 });
            }
            // A newer offer waits already.
            Why::Offer { .. } => {}
            Why::Refresh => self.peer.timer.refresh_again(at),
        }
        true
    }

    /// A re-INVITE tells that our 2xx arrived, though its ACK was lost (RFC 5407 section 3.1.4).
    fn take_as_acknowledged(&mut self, cx: &mut Cx<'_>) {
        if let Inviting::Accepted(accepted) = std::mem::replace(&mut self.inviting, Inviting::Idle)
            && accepted.is_first
        {
            cx.emit(Event::Confirmed { session: cx.session, answer: None });
        }
    }

    /// The session is over by something other than [`hang_up`](Self::hang_up).
    fn end(self: Box<Self>, cause: Option<Cause>, say_bye: bool, cx: &mut Cx<'_>) -> Stage {
        if let Some(cause) = cause {
            cx.emit(Event::Ended { session: cx.session, cause });
        }
        if say_bye { self.hang_up(None, cx) } else { self.leave(None, false, cx) }
    }

    /// BYE, and patience for what is still under way.
    fn leave(mut self: Box<Self>, reason: Option<String>, say_bye: bool, cx: &mut Cx<'_>) -> Stage {
        if let Turn::Owed { to: Owed::Ack { client, cseq }, .. } = self.peer.gate.turn() {
            cx.ua.acknowledge(*client, &self.peer.dialog, *cseq, None);
            self.peer.gate.withdraw();
        }
        self.peer.abandon(cx);
        let reinvite = match &self.inviting {
            Inviting::Sent { client, .. } => Some(*client),
            Inviting::Idle | Inviting::Accepted(_) => None,
        };
        Leaving::now(self.peer, reinvite, say_bye, reason, cx)
    }
}
