//! An INVITE that takes the place of somebody in a talk (Replaces, RFC 3891): how an attended transfer arrives that a telephone
//! does by itself, and how a call that rings elsewhere is picked up.

use super::Context;
use super::call::{Call, Origin, Stage, Timer};
use super::calls::{Calls, Incoming};
use super::facts::End;
use crate::cdr::EndedBy;
use crate::dialog::{Reply, SessionId, Standing};
use crate::media::RoomId;
use crate::route::Caller;
use crate::sip::{Replaces, StatusCode};

impl Calls {
    /// A call begins that is to take the place of the dialog which it names; or it is refused, as RFC 3891 section 3 says.
    pub(crate) fn begin_in_place(&mut self, incoming: Incoming, replaces: &str, context: &mut Context) {
        match self.replaceable(&incoming.caller, replaces, context) {
            Ok(session) => self.begin_with(incoming, Stage::Replacing(session), context),
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
            Stage::Dialling(_) if matches!(call.origin, Origin::Caller) => Ok(session),
            Stage::Dialling(_) => Err(StatusCode::DECLINE),
            _ if is_being_transferred => Err(StatusCode::REQUEST_PENDING),
            _ => call.may_be_taken_apart().map(|()| session),
        }
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
        if let Stage::Dialling(dial) = std::mem::replace(&mut self.stage, Stage::Waiting(String::new())) {
            let end = End { at: context.now, by: EndedBy::Caller, status: 200, reason: String::new() };
            dial.give_up(&end, &mut self.leaving, context);
        }
        // A caller who is gone in this moment says so by itself.
        let _ = self.answer_in_hand(by, context);
    }
}
