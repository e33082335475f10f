//! The answer of who was rung becomes the answer to the caller, and both hear each other.

use super::Context;
use super::call::{Call, Origin, Stage};
use super::leg::Carries;
use crate::dialog::{Description, ExtraHeaders, SessionId};
use crate::media::Command;
use crate::sip::StatusCode;

impl Call {
    /// Takes the answer of a branch; `Err` is how the branch counts when it is of no use.
    pub(super) fn take_answer(
        &mut self,
        index: usize,
        description: Option<Description>,
    ) -> Result<(), StatusCode> {
        let Some(dial) = self.dial() else {
            return Err(StatusCode::SERVER_INTERNAL_ERROR);
        };
        let negotiation = &mut dial.branches[index].leg.negotiation;
        match description {
            Some(Description::Answer(answer)) => {
                negotiation.receive_answer(&answer).map(drop).map_err(|error| error.status())
            }
            // It was in a reliable provisional response.
            None if negotiation.agreed().is_some() => Ok(()),
            Some(Description::Offer(_)) | None => Err(StatusCode::NOT_ACCEPTABLE_HERE),
        }
    }

    /// Early media: the caller is answered in the provisional response, and both are joined.
    pub(super) fn hear_early_media(
        &mut self,
        session: SessionId,
        description: &Description,
        reliable: bool,
        context: &mut Context,
    ) -> Option<Vec<u8>> {
        let index = self.branch_of(session)?;
        let Description::Answer(answer) = description else {
            return None;
        };
        let (has_offer, answered) = (self.invitation.has_offer, self.answer.clone());
        let is_ordered = matches!(self.origin, Origin::Application(_));
        let branch = &mut self.dial()?.branches[index];
        let agreement = match reliable {
            true => branch.leg.negotiation.receive_answer(answer).ok()?,
            false => branch.leg.negotiation.preview_answer(answer).ok()?,
        };
        if is_ordered {
            // Nobody hears it, but it has come: it counts for the reports.
            branch.leg.agree(&agreement, Carries::Early, context);
            return None;
        }
        if !has_offer || (answered.is_some() && !branch.heard) {
            return None;
        }
        branch.heard = true;
        branch.leg.agree(&agreement, Carries::Early, context);
        let callee = branch.leg.stream()?;
        if answered.is_none() {
            let codecs = context.codecs_answered(&agreement, self.caller.negotiation.remote());
            let local = self.caller.local_audio(codecs, agreement.remote.direction, context.advertised());
            let (description, own) = self.caller.negotiation.answer(&local).ok()?;
            self.caller.agree(&own, Carries::Early, context);
            self.answer = Some(description);
        }
        let caller = self.caller.stream()?;
        context.media(Command::Bridge(caller, callee));
        self.answer.clone()
    }

    /// The callee has answered: 200 to the caller, and both are joined.
    pub(super) fn answer_caller(&mut self, headers: ExtraHeaders, context: &mut Context) {
        let Stage::Talking(callee) = &self.stage else {
            return;
        };
        let Some(agreement) = callee.negotiation.agreed().cloned() else {
            return;
        };
        let name = callee.name.clone();
        let codecs = context.codecs_answered(&agreement, self.caller.negotiation.remote());
        let local = self.caller.local_audio(codecs, agreement.remote.direction, context.advertised());
        let description = match (&self.answer, self.invitation.has_offer) {
            (Some(answer), _) => answer.clone(),
            (None, false) => self.caller.negotiation.offer(&local),
            (None, true) => match self.answer_or_refuse(&local, context) {
                Some((description, _)) => description,
                None => return,
            },
        };
        let Some(session) = self.caller.session else {
            return;
        };
        context.agent.accept(session, description, headers, context.now);
        self.was_answered(name, context);
        self.join(context);
    }

    /// What was agreed on both legs holds for their media, and they are joined.
    pub(super) fn join(&mut self, context: &mut Context) {
        let Stage::Talking(callee) = &self.stage else {
            return;
        };
        for leg in [&self.caller, callee] {
            if let Some(agreement) = leg.negotiation.agreed() {
                leg.agree(agreement, Carries::Talk, context);
            }
        }
        if let (Some(caller), Some(callee)) = (self.caller.stream(), callee.stream()) {
            context.media(Command::Bridge(caller, callee));
        }
        self.start_recording(context);
    }
}

/// A provisional response that carries no description promises no media.
pub(super) fn without_media(status: StatusCode) -> StatusCode {
    if status == StatusCode::SESSION_PROGRESS { StatusCode::RINGING } else { status }
}
