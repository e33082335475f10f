//! A call that waits for an application: somebody dialled a number of a context, and whoever has subscribed to it is told.
//! It is answered, refused or rung by command; when nobody does, the context says what becomes of it.

use super::Context;
use super::application::Application;
use super::call::{Call, Stage, Timer};
use super::command::{Answer, Refusal, done};
use super::controlled::{Doing, Wish};
use crate::cdr::EndedBy;
use crate::config::Unanswered;
use crate::dialog::Reply;
use crate::route::Caller;
use crate::sdp::Direction;
use crate::sip::StatusCode;

impl Call {
    /// The caller waits, and applications have been told.
    pub(super) fn wait_for_application(&mut self, name: &str, context: &mut Context) {
        let patience = context.config.rwi.context(name).no_answer_timeout;
        self.stage = Stage::Waiting(name.to_owned());
        self.set_timer(Timer::Patience, patience, context);
    }

    /// The caller is answered.
    pub(super) fn answer_by_command(&mut self, context: &mut Context) -> Answer {
        if self.was_offered() {
            // It has been answered before, and is in the hand of who answers it now.
            self.cancel_timer(Timer::Patience, context);
            return done();
        }
        self.is_waiting()?;
        self.answer_in_hand("application", context)
    }

    /// The caller is answered, and the call does what it is told from then on.
    pub(super) fn answer_in_hand(&mut self, by: &str, context: &mut Context) -> Answer {
        let session = self.caller.session.ok_or_else(|| Refusal::state("the caller is gone"))?;
        let local = self.caller.local_audio(context.own_codecs(), Direction::SendRecv, context.advertised());
        let description = match (&self.answer, self.invitation.has_offer) {
            (Some(answer), _) => answer.clone(),
            (None, false) => self.caller.negotiation.offer(&local),
            (None, true) => match self.answer_or_refuse(&local, context) {
                Some((description, _)) => description,
                None => return Err(Refusal::state("the caller knows no codec that we know")),
            },
        };
        self.cancel_timer(Timer::Patience, context);
        context.agent.accept(session, description, Vec::new(), context.now);
        self.come_in_hand(context);
        self.was_answered(by.to_owned(), context);
        done()
    }

    /// The caller is answered at once, and waits in a queue.
    pub(super) fn answer_into_queue(&mut self, queue: &str, context: &mut Context) {
        self.stage = Stage::Waiting(queue.to_owned());
        if self.answer_by_command(context).is_ok() {
            context.wish(Wish::Enqueue(self.room, queue.to_owned()));
        }
    }

    /// The caller is refused.
    pub(super) fn reject_by_command(&mut self, status: StatusCode, context: &mut Context) -> Answer {
        if self.was_offered() {
            self.end(EndedBy::Callee, "rejected by an application", None, context);
            return done();
        }
        self.is_waiting()?;
        self.refuse(EndedBy::Callee, Reply::new(status), "rejected by an application", context);
        done()
    }

    /// The caller hears that it rings.
    pub(super) fn ring_by_command(&mut self, context: &mut Context) -> Answer {
        self.is_waiting()?;
        let session = self.caller.session.ok_or_else(|| Refusal::state("the caller is gone"))?;
        context.agent.ring(session, StatusCode::RINGING, None, false, Vec::new(), context.now);
        self.is_ringing(context);
        done()
    }

    /// No application wants it, or nobody has answered what an application has ordered.
    pub(super) fn on_patience_over(&mut self, context: &mut Context) {
        if let Stage::Controlled(controlled) = &mut self.stage {
            // Somebody may do something with it without having answered.
            let is_idle = controlled.doing == Doing::Parked && controlled.waits.is_none();
            if let Some(name) = controlled.offered.take().filter(|_| is_idle) {
                context.wish(Wish::Settle(self.room, name));
            }
            return;
        }
        let Stage::Waiting(name) = &self.stage else {
            let reply = Reply::new(StatusCode::REQUEST_TIMEOUT);
            return self.refuse(EndedBy::Callee, reply, "nobody has answered in time", context);
        };
        match context.config.rwi.context(name).no_answer.clone() {
            Unanswered::HangUp => {
                let reply = Reply::new(StatusCode::TEMPORARILY_UNAVAILABLE);
                self.refuse(EndedBy::Pbx, reply, "no application has answered", context);
            }
            Unanswered::Transfer(number) => {
                let source = self.caller.path.remote.ip();
                // Who has set this up has decided that the caller may go there.
                let on_behalf_of = Caller::Extension(number.clone());
                let routed = context.route(&number, &on_behalf_of, source);
                self.proceed(routed.decision, context);
            }
            Unanswered::Tone { frequency, duration } => {
                let answer_delay = crate::time::Duration::ZERO;
                self.alert(Application::Tone { frequency, duration, answer_delay }, context);
            }
        }
    }

    /// Whether it was put through to applications, and none has answered yet; that is over now.
    fn was_offered(&mut self) -> bool {
        self.controlled().is_some_and(|controlled| controlled.offered.take().is_some())
    }

    pub(super) fn is_waiting(&self) -> Result<(), Refusal> {
        match &self.stage {
            Stage::Waiting(_) => Ok(()),
            Stage::Over => Err(Refusal::state("the call is over")),
            _ => Err(Refusal::state("the call does not wait for an answer")),
        }
    }
}
