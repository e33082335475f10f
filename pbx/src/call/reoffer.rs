//! Changes of a session in mid-call: hold and resume, another codec, another address (RFC 3264 section 8).
//!
//! Who wants a change asks for it on its own leg. The other leg is asked the same; what it answers is the answer. So a
//! telephone that is put on hold knows it, and a change that one of the two refuses changes nothing (RFC 6141).

use super::Context;
use super::call::{Call, Side, Stage};
use super::codecs::in_line;
use super::leg::Carries;
use crate::dialog::SessionId;
use crate::sdp::{Codec, Direction, RemoteAudio};
use crate::sip::StatusCode;

/// A change that is under way; there is one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reoffer {
    /// This side has offered; the other one has been asked.
    Forwarded { from: Side },
    /// This side wanted our offer (re-INVITE without description) and owes us an answer.
    Solicited { from: Side },
    /// We have offered to this side of our own accord, to bring it in line with the other.
    Own { to: Side },
    /// We put the one leg on hold, or take it off.
    Hold,
}

impl Call {
    /// One of the two wants a change.
    pub(super) fn on_offered(&mut self, session: SessionId, offer: Option<Vec<u8>>, context: &mut Context) {
        let Some(side) = self.side_of(session) else {
            return self.answer_who_rings(session, offer, context);
        };
        // Of the other leg the answer may still be awaited, from before there was anything to change: in the ACK of a caller
        // who made no offer.
        if self.reoffer.is_some() || self.other_has_to_answer(side) {
            return context.agent.refuse_offer(session, StatusCode::REQUEST_PENDING, context.now);
        }
        match offer {
            Some(offer) => self.take_offer(side, session, &offer, context),
            None => self.make_offer(side, session, context),
        }
    }

    /// The one who was asked has answered.
    pub(super) fn on_offer_answered(&mut self, session: SessionId, answer: &[u8], context: &mut Context) {
        let (Some(side), Some(reoffer)) = (self.side_of(session), self.reoffer.take()) else {
            return;
        };
        let Some(leg) = self.leg(side) else {
            return;
        };
        if let Err(error) = leg.negotiation.receive_answer(answer) {
            // Nothing was agreed on: what was before goes on, and the next offer may be made.
            leg.negotiation.rollback();
            if reoffer == Reoffer::Hold {
                return self.on_hold_refused(error.status(), context);
            }
            return self.on_unusable_answer(&reoffer, error.status(), context);
        }
        match reoffer {
            Reoffer::Forwarded { from } => self.answer_forwarded(from, context),
            Reoffer::Solicited { .. } | Reoffer::Own { .. } if self.controlled().is_some() => {
                self.agree_in_hand(context);
                if !self.is_on_hold() {
                    self.follow_telephone(context);
                }
            }
            Reoffer::Solicited { from } => {
                self.follow_agreement(context);
                self.align(other(from), context);
            }
            Reoffer::Own { .. } => self.follow_agreement(context),
            Reoffer::Hold => self.on_hold_agreed(context),
        }
    }

    /// The one who was asked has refused: everything is as before.
    pub(super) fn on_offer_refused(
        &mut self,
        session: SessionId,
        (status, was_sent): (StatusCode, bool),
        context: &mut Context,
    ) {
        let (Some(side), Some(reoffer)) = (self.side_of(session), self.reoffer.take()) else {
            return;
        };
        if let Some(leg) = self.leg(side) {
            match was_sent {
                true => leg.negotiation.rollback(),
                false => leg.negotiation.withdraw(),
            }
        }
        if reoffer == Reoffer::Hold {
            return self.on_hold_refused(status, context);
        }
        self.on_unusable_answer(&reoffer, status, context);
    }

    /// ACK of the caller: its answer when our 2xx carried the offer; then the application begins.
    pub(super) fn on_confirmed(&mut self, answer: Option<Vec<u8>>, context: &mut Context) {
        if let Some(answer) = answer {
            if let Err(error) = self.caller.negotiation.receive_answer(&answer) {
                return self.end(crate::cdr::EndedBy::Pbx, error.to_string(), None, context);
            }
            if let (Stage::Served(application), Some(agreement)) =
                (&self.stage, self.caller.negotiation.agreed())
            {
                self.caller.agree(agreement, application.carries(), context);
            }
            if self.controlled().is_some() {
                self.agree_in_hand(context);
            }
            self.join(context);
        }
        self.start_application(context);
        if matches!(self.stage, Stage::Talking(_)) && !self.codecs_match() {
            self.align(Side::Caller, context);
        }
    }

    fn other_has_to_answer(&mut self, side: Side) -> bool {
        matches!(self.stage, Stage::Talking(_))
            && self.leg(other(side)).is_some_and(|leg| !leg.negotiation.is_stable())
    }

    fn take_offer(&mut self, side: Side, session: SessionId, offer: &[u8], context: &mut Context) {
        let Some(leg) = self.leg(side) else {
            return;
        };
        let remote = match leg.negotiation.receive_offer(offer) {
            Ok(remote) => remote,
            Err(error) => return context.agent.refuse_offer(session, error.status(), context.now),
        };
        if matches!(self.stage, Stage::Talking(_)) {
            return self.forward_offer(side, &remote, context);
        }
        let codecs = match &self.stage {
            Stage::Served(_) | Stage::Controlled(_) => context.own_codecs(),
            _ => self.caller.agreed_codecs().unwrap_or_else(|| context.own_codecs()),
        };
        self.answer_offer(side, codecs, self.own_direction(), context);
        self.follow_telephone(context);
    }

    /// What we do ourselves on a leg that has no other.
    fn own_direction(&self) -> Direction {
        if self.is_on_hold() { Direction::SendOnly } else { Direction::SendRecv }
    }

    /// Somebody who still rings changes its early media (UPDATE, RFC 3311): what was agreed stays possible.
    fn answer_who_rings(&mut self, session: SessionId, offer: Option<Vec<u8>>, context: &mut Context) {
        let leg = match &mut self.stage {
            Stage::Dialling(dial) => dial.leg_of_session(session),
            _ => None,
        };
        let (Some(leg), Some(offer)) = (leg, offer) else {
            return context.agent.refuse_offer(session, StatusCode::NOT_ACCEPTABLE_HERE, context.now);
        };
        let codecs = leg.agreed_codecs().unwrap_or_else(|| context.own_codecs());
        let local = leg.local_audio(codecs, Direction::SendRecv, context.advertised());
        match leg.negotiation.receive_offer(&offer).and_then(|_| leg.negotiation.answer(&local)) {
            Ok((description, agreement)) => {
                leg.agree(&agreement, Carries::Early, context);
                context.agent.answer(session, description, context.now);
            }
            Err(error) => {
                leg.negotiation.rollback();
                context.agent.refuse_offer(session, error.status(), context.now);
            }
        }
    }

    fn forward_offer(&mut self, from: Side, remote: &RemoteAudio, context: &mut Context) {
        let known = self.leg(other(from)).and_then(|leg| leg.negotiation.remote());
        let codecs = context.codecs_reoffered(remote, known);
        self.reoffer = Some(Reoffer::Forwarded { from });
        self.offer_to(other(from), codecs, remote.direction, context);
    }

    /// The other side has answered what was forwarded: this is the answer to who asked.
    fn answer_forwarded(&mut self, from: Side, context: &mut Context) {
        let Some(agreement) = self.leg(other(from)).and_then(|leg| leg.negotiation.agreed()).cloned() else {
            return;
        };
        let codecs = match self.leg(from) {
            Some(leg) => context.codecs_answered(&agreement, leg.negotiation.remote()),
            None => return,
        };
        self.answer_offer(from, codecs, agreement.remote.direction, context);
        self.join(context);
    }

    /// Answers an outstanding offer of a side with what is told, or refuses it.
    fn answer_offer(&mut self, side: Side, codecs: Vec<Codec>, direction: Direction, context: &mut Context) {
        let advertised = context.advertised();
        let carries = self.carries();
        let Some(leg) = self.leg(side) else {
            return;
        };
        let Some(session) = leg.session else {
            return;
        };
        let local = leg.local_audio(codecs, direction, advertised);
        match leg.negotiation.answer(&local) {
            Ok((description, agreement)) => {
                leg.agree(&agreement, carries, context);
                context.agent.answer(session, description, context.now);
            }
            Err(error) => {
                leg.negotiation.rollback();
                context.agent.refuse_offer(session, error.status(), context.now);
            }
        }
    }

    /// What the media of its legs are for.
    fn carries(&self) -> Carries {
        match &self.stage {
            Stage::Talking(_) | Stage::Controlled(_) => Carries::Talk,
            Stage::Served(application) => application.carries(),
            _ => Carries::Early,
        }
    }

    /// What was agreed on holds from now on, for whoever talks, and for whoever is alone and hears something from us.
    fn follow_agreement(&mut self, context: &mut Context) {
        match (&self.stage, self.caller.negotiation.agreed()) {
            (Stage::Talking(_), _) => self.join(context),
            (_, Some(agreement)) => self.caller.agree(agreement, self.carries(), context),
            (_, None) => {}
        }
    }

    /// A re-INVITE without description: what the other side can do is our offer.
    fn make_offer(&mut self, side: Side, session: SessionId, context: &mut Context) {
        let (codecs, direction) = (self.codecs_for(side, context), self.own_direction());
        let advertised = context.advertised();
        let Some(leg) = self.leg(side) else {
            return;
        };
        let local = leg.local_audio(codecs, direction, advertised);
        let description = leg.negotiation.offer(&local);
        self.reoffer = Some(Reoffer::Solicited { from: side });
        context.agent.answer(session, description, context.now);
    }

    /// Offers to `side` what the other one has agreed on, where the two differ.
    fn align(&mut self, side: Side, context: &mut Context) {
        let Some(agreement) = self.leg(other(side)).and_then(|leg| leg.negotiation.agreed()).cloned() else {
            return;
        };
        let is_in_line = self.codecs_match()
            && self
                .leg(side)
                .and_then(|leg| leg.negotiation.agreed())
                .is_none_or(|own| own.direction == agreement.remote.direction);
        if is_in_line {
            return;
        }
        let codecs = self.codecs_for(side, context);
        self.reoffer = Some(Reoffer::Own { to: side });
        self.offer_to(side, codecs, agreement.remote.direction, context);
    }

    fn offer_to(&mut self, side: Side, codecs: Vec<Codec>, direction: Direction, context: &mut Context) {
        let advertised = context.advertised();
        let Some(leg) = self.leg(side) else {
            return;
        };
        let Some(session) = leg.session else {
            return;
        };
        let local = leg.local_audio(codecs, direction, advertised);
        let description = leg.negotiation.offer(&local);
        context.agent.offer(session, Some(description), context.now);
    }

    /// What we can offer to `side`: what the other one has agreed on; for an application what we can do ourselves.
    fn codecs_for(&mut self, side: Side, context: &Context) -> Vec<Codec> {
        let remote = self.leg(side).and_then(|leg| leg.negotiation.remote()).cloned();
        match self.leg(other(side)).and_then(|leg| leg.negotiation.agreed()) {
            Some(agreed) => context.codecs_answered(agreed, remote.as_ref()),
            None => context.own_codecs(),
        }
    }

    fn on_unusable_answer(&mut self, reoffer: &Reoffer, status: StatusCode, context: &mut Context) {
        let Reoffer::Forwarded { from } = *reoffer else {
            return;
        };
        let Some(leg) = self.leg(from) else {
            return;
        };
        leg.negotiation.rollback();
        if let Some(session) = leg.session {
            // The other side's own troubles (401, 408, 5xx) are not those of who asked.
            let status = if matches!(status.code(), 488 | 491 | 606) {
                status
            } else {
                StatusCode::NOT_ACCEPTABLE_HERE
            };
            context.agent.refuse_offer(session, status, context.now);
        }
    }

    fn codecs_match(&self) -> bool {
        let Stage::Talking(callee) = &self.stage else {
            return true;
        };
        match (self.caller.negotiation.agreed(), callee.negotiation.agreed()) {
            (Some(a), Some(b)) => in_line(&a.codecs, &b.codecs),
            _ => true,
        }
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Caller => Side::Callee,
        Side::Callee => Side::Caller,
    }
}
