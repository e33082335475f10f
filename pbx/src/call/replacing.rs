//! An INVITE that takes the place of somebody in a talk (Replaces, RFC 3891): how an attended transfer arrives that a telephone
//! does by itself, and how a call that rings elsewhere is picked up.

use super::Context;
use super::call::{Call, Origin, Stage, Timer};
use super::calls::{Calls, Incoming};
use super::dial::trunk_name;
use super::facts::End;
use super::leg::Leg;
use super::ring::ELSEWHERE;
use crate::cdr::EndedBy;
use crate::dialog::{Reply, SessionId, Standing};
use crate::media::RoomId;
use crate::route::Caller;
use crate::sdp::Direction;
use crate::sip::{Replaces, StatusCode};

/// Somebody who answers what an application or a queue has ordered, in the place of those who ring, as soon as its port is
/// open. It is one more of those who were called, and no call of its own.
#[derive(Debug)]
pub(super) struct PickUp {
    pub(super) leg: Leg,
    has_offer: bool,
}

impl PickUp {
    /// Somebody else has answered, or nobody is to any more.
    pub(super) fn comes_too_late(self, leaving: &mut Vec<Leg>, context: &mut Context) {
        self.refuse(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, leaving, context);
    }

    fn refuse(mut self, status: StatusCode, leaving: &mut Vec<Leg>, context: &mut Context) {
        if let Some(session) = self.leg.session.take() {
            context.forget_session(session);
            context.agent.reject(session, Reply::new(status), context.now);
        }
        self.leg.close_port(context);
        leaving.push(self.leg);
    }
}

impl Calls {
    /// A call begins that is to take the place of the dialog which it names; or it is refused, as RFC 3891 section 3 says.
    pub(crate) fn begin_in_place(&mut self, incoming: Incoming, replaces: &str, context: &mut Context) {
        match self.replaceable(&incoming.caller, replaces, context) {
            Ok(session) => match self.ordered_that_rings(session, context) {
                Some(room) => {
                    self.with(room, context, |call, context| call.take_pick_up(incoming, context));
                    self.fulfil_wishes(context);
                }
                None => self.begin_with(incoming, Stage::Replacing(session), context),
            },
            Err(status) => context.agent.reject(incoming.session, Reply::new(status), context.now),
        }
    }

    fn replaceable(
        &mut self,
        caller: &Caller,
        replaces: &str,
        context: &mut Context,
    ) -> Result<SessionId, StatusCode> {
        const NONE: StatusCode = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        let replaces = Replaces::parse(replaces).map_err(|_| StatusCode::BAD_REQUEST)?;
        let (session, standing) = context.agent.named(&replaces).ok_or(NONE)?;
        match standing {
            Standing::Over => return Err(StatusCode::DECLINE),
            Standing::Confirmed if replaces.early_only => return Err(StatusCode::BUSY_HERE),
            // What rings at us is not ours to give away.
            Standing::EarlyByThem => return Err(NONE),
            Standing::Confirmed | Standing::EarlyByUs => {}
        }
        let room = context.books.sessions.get(&session).copied().ok_or(NONE)?;
        let is_being_transferred = self.is_being_transferred(room);
        let call = self.call(room).ok_or(NONE)?;
        // Who knows the three names of a dialog was told them (section 8); somebody from outside replaces only itself.
        match caller {
            Caller::Extension(_) => {}
            Caller::Trunk(_) if call.party(session) == *caller => {}
            Caller::Trunk(_) | Caller::Anonymous => return Err(StatusCode::FORBIDDEN),
        }
        match &call.stage {
            Stage::Dialling(_) => Ok(session),
            _ if is_being_transferred => Err(StatusCode::REQUEST_PENDING),
            _ => call.may_be_taken_apart().map(|()| session),
        }
    }

    /// The call of this session, when somebody has ordered it and nobody has answered.
    fn ordered_that_rings(&mut self, session: SessionId, context: &Context) -> Option<RoomId> {
        let room = context.books.sessions.get(&session).copied()?;
        let call = self.call(room)?;
        let rings = matches!(call.stage, Stage::Dialling(_));
        (rings && matches!(call.origin, Origin::Application(_))).then_some(room)
    }

    /// Its port is open: it is answered, and comes in the place of who has this session, if that is still there.
    pub(super) fn take_place(&mut self, new: RoomId, session: SessionId, context: &mut Context) {
        let replaced = context.books.sessions.get(&session).copied();
        let taken =
            match replaced.map(|room| (room, self.call(room).is_some_and(|call| call.dial().is_some()))) {
                Some((room, true)) => self.pick_up(new, room, context),
                Some((room, false)) => self.replace(new, room, session, context),
                None => Err(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
            };
        if let Err(status) = taken {
            self.with(new, context, |call, context| {
                if !call.has_ended() {
                    call.refuse(EndedBy::Pbx, Reply::new(status), "there is nobody to be replaced", context);
                }
            });
        }
    }

    fn replace(
        &mut self,
        new: RoomId,
        room: RoomId,
        session: SessionId,
        context: &mut Context,
    ) -> Result<(), StatusCode> {
        self.call(room).ok_or(StatusCode::DECLINE)?.may_be_taken_apart()?;
        let (replaced, stays) = self.both_of(room, session, context)?;
        let by = self.call(stays).map(|call| call.number()).unwrap_or_default();
        self.answer_new(new, &by, context)?;
        self.bridge(stays, new, context).map_err(|_| StatusCode::DECLINE)?;
        self.with(stays, context, |call, context| call.listen_again(context));
        self.with(replaced, context, |call, context| {
            call.end(EndedBy::Pbx, "somebody has taken its place", None, context);
        });
        Ok(())
    }

    /// The caller of a call that rings is answered, by somebody at whom it did not ring.
    fn pick_up(&mut self, new: RoomId, room: RoomId, context: &mut Context) -> Result<(), StatusCode> {
        let by = self.call(new).map(|call| call.number()).unwrap_or_default();
        let caller = self.call(room).map(|call| call.number()).unwrap_or_default();
        self.answer_new(new, &caller, context)?;
        self.with(room, context, |call, context| call.be_picked_up(&by, context));
        self.bridge(room, new, context).map_err(|_| StatusCode::DECLINE)?;
        Ok(())
    }

    fn answer_new(&mut self, new: RoomId, by: &str, context: &mut Context) -> Result<(), StatusCode> {
        let answered = self.with(new, context, |call, context| call.answer_in_hand(by, context));
        answered.ok_or(StatusCode::DECLINE)?.map(drop).map_err(|_| StatusCode::DECLINE)
    }
}

impl Call {
    /// Somebody else has taken it while it rang: nobody rings any longer, and the caller is answered.
    fn be_picked_up(&mut self, by: &str, context: &mut Context) {
        self.cancel_timer(Timer::Ring, context);
        self.stop_ringing_elsewhere(Stage::Waiting(String::new()), context);
        // A caller who is gone in this moment says so by itself.
        let _ = self.answer_in_hand(by, context);
    }

    /// Somebody wants to answer it in the place of those who ring, and gets a port for that.
    fn take_pick_up(&mut self, incoming: Incoming, context: &mut Context) {
        let Incoming { session, invite, path, offer, caller, .. } = incoming;
        let manners = context.manners_of(&caller);
        let mut negotiation = context.new_negotiation(manners);
        let understood = offer.as_ref().map_or(Ok(()), |offer| negotiation.receive_offer(offer).map(drop));
        if let Err(error) = understood {
            return context.agent.reject(session, Reply::new(error.status()), context.now);
        }
        let name = match caller {
            Caller::Extension(number) => number,
            Caller::Trunk(trunk) => trunk_name(&trunk),
            Caller::Anonymous => String::new(),
        };
        let mut leg = Leg::new(name, Some(session), path, negotiation, manners);
        invite.call_id().clone_into(&mut leg.call_id);
        let is_first = self.dial().is_some_and(|dial| dial.pick_up.is_none());
        if !is_first {
            return context.agent.reject(session, Reply::new(StatusCode::BUSY_HERE), context.now);
        }
        context.own_session(session);
        let is_opening = leg.open(context, 0);
        let pick_up = PickUp { leg, has_offer: offer.is_some() };
        match self.dial() {
            Some(dial) if is_opening => dial.pick_up = Some(pick_up),
            _ => pick_up.refuse(StatusCode::SERVICE_UNAVAILABLE, &mut self.leaving, context),
        }
    }

    /// The one who picks it up has its port: it is answered, and the call is its own from now on.
    pub(super) fn be_answered_by_pick_up(&mut self, context: &mut Context) {
        let Some(mut pick_up) = self.dial().and_then(|dial| dial.pick_up.take()) else { return };
        let leg = &mut pick_up.leg;
        let local = leg.local_audio(context.own_codecs(), Direction::SendRecv, context.advertised());
        let described = match pick_up.has_offer {
            true => leg.negotiation.answer(&local).map(|(answer, _)| answer),
            false => Ok(leg.negotiation.offer(&local)),
        };
        let (description, session) = match (described, leg.session) {
            (Ok(description), Some(session)) => (description, session),
            (Err(error), _) => return pick_up.refuse(error.status(), &mut self.leaving, context),
            (Ok(_), None) => return pick_up.comes_too_late(&mut self.leaving, context),
        };
        self.cancel_timer(Timer::Ring, context);
        self.stop_ringing_elsewhere(Stage::Over, context);
        context.agent.accept(session, description, Vec::new(), context.now);
        self.occupy(pick_up.leg.name.clone(), context);
        self.was_reached(pick_up.leg, context);
    }

    /// Who wanted to pick it up does not any more, or cannot.
    pub(super) fn drop_pick_up(&mut self, context: &mut Context) {
        if let Some(pick_up) = self.dial().and_then(|dial| dial.pick_up.take()) {
            pick_up.refuse(StatusCode::SERVICE_UNAVAILABLE, &mut self.leaving, context);
        }
    }

    /// Nobody rings any longer: somebody has answered at whom it did not ring.
    fn stop_ringing_elsewhere(&mut self, then: Stage, context: &mut Context) {
        if let Stage::Dialling(dial) = std::mem::replace(&mut self.stage, then) {
            let occupied = dial.occupied();
            let end = End {
                at: context.now,
                by: EndedBy::Caller,
                status: 200,
                why: "".into(),
                passed: Some(ELSEWHERE.to_owned()),
            };
            dial.give_up(&end, &mut self.leaving, context);
            for number in occupied {
                self.vacate(&number, context);
            }
        }
    }
}
