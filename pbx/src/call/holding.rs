//! Hold by command: the telephone is told by a re-INVITE that we only send (RFC 3264 section 8.4), and hears music.

use super::Context;
use super::away;
use super::call::{Call, Side, Stage};
use super::command::{Answer, Code, Refusal, Ticket, done};
use super::controlled::Wish;
use super::reoffer::Reoffer;
use crate::audio::Clip;
use crate::boundary::What;
use crate::sdp::Direction;
use crate::sip::StatusCode;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who says in events that a call is on hold.
const BY: &str = "application";

/// How far a call is with being put on hold.
#[derive(Debug)]
pub(super) enum Hold {
    /// The music is being read.
    Fetching { ticket: Option<Ticket>, file: PathBuf },
    /// The telephone is being asked.
    Asking { ticket: Option<Ticket>, music: Arc<Clip> },
    /// It is on hold.
    On { music: Arc<Clip> },
    /// The telephone is being asked to talk again.
    Ending { ticket: Option<Ticket>, music: Arc<Clip> },
}

impl Hold {
    /// Whether music is heard.
    pub(super) fn is_on(&self) -> bool {
        matches!(self, Hold::On { .. } | Hold::Ending { .. })
    }

    /// What is heard.
    pub(super) fn music(&self) -> Option<&Arc<Clip>> {
        match self {
            Hold::Asking { music, .. } | Hold::On { music } | Hold::Ending { music, .. } => Some(music),
            Hold::Fetching { .. } => None,
        }
    }

    fn ticket(self) -> Option<Ticket> {
        match self {
            Hold::Fetching { ticket, .. } | Hold::Asking { ticket, .. } | Hold::Ending { ticket, .. } => {
                ticket
            }
            Hold::On { .. } => None,
        }
    }
}

impl Call {
    /// Puts it on hold; the answer comes when the telephone has agreed.
    pub(super) fn hold(
        &mut self,
        music: Option<PathBuf>,
        ticket: Option<Ticket>,
        context: &mut Context,
    ) -> Option<Answer> {
        let is_changing = self.is_being_changed();
        let refusal = match self.in_hand() {
            Err(refusal) => Some(refusal),
            Ok(controlled) if controlled.hold.is_some() => {
                Some(Refusal::state("the call is on hold already"))
            }
            Ok(_) if is_changing => Some(busy()),
            Ok(_) => None,
        };
        if let Some(refusal) = refusal {
            return Some(Err(refusal));
        }
        let (clip, file) = match music.or_else(|| context.config.rwi.hold_music.clone()) {
            Some(file) => (context.want_sound(&file), file),
            None => (Some(Clip::music()), PathBuf::new()),
        };
        let controlled = self.controlled()?;
        controlled.hold = Some(Hold::Fetching { ticket, file });
        if let Some(clip) = clip {
            self.ask_to_hold(clip, context);
        }
        None
    }

    /// Ends it; the answer comes when the telephone has agreed.
    pub(super) fn unhold(&mut self, ticket: Option<Ticket>, context: &mut Context) -> Option<Answer> {
        let is_changing = self.is_being_changed();
        let controlled = match self.in_hand() {
            Ok(controlled) => controlled,
            Err(refusal) => return Some(Err(refusal)),
        };
        match controlled.hold.take() {
            Some(Hold::On { music }) if !is_changing => {
                controlled.hold = Some(Hold::Ending { ticket, music });
                self.reoffer = Some(Reoffer::Hold);
                self.offer_in_hand(Direction::SendRecv, context);
                None
            }
            Some(hold) => {
                controlled.hold = Some(hold);
                Some(Err(busy()))
            }
            None => Some(Err(Refusal::state("the call is not on hold"))),
        }
    }

    /// Takes it off hold, as soon as that can be: a telephone that is still being asked to hold is asked again after that.
    pub(super) fn release(&mut self, context: &mut Context) {
        if self.unhold(None, context).is_some_and(|answer| answer.is_err())
            && let Some(controlled) = self.controlled()
        {
            match controlled.hold.take() {
                Some(Hold::Fetching { .. }) | None => {}
                Some(Hold::Asking { ticket, music }) => {
                    controlled.hold = Some(Hold::Asking { ticket, music });
                    controlled.is_to_be_released = true;
                }
                hold => controlled.hold = hold,
            }
        }
    }

    /// Whether an application has put it on hold.
    pub(super) fn is_on_hold(&self) -> bool {
        match &self.stage {
            Stage::Controlled(controlled) => controlled.hold.as_ref().is_some_and(Hold::is_on),
            _ => false,
        }
    }

    /// The music was read, or cannot be.
    pub(super) fn on_music(&mut self, read: &Path, sound: &Result<Arc<Clip>, String>, context: &mut Context) {
        let Some(controlled) = self.controlled() else { return };
        let waits = |hold: &mut Hold| matches!(hold, Hold::Fetching { file, .. } if file == read);
        let Some(hold) = controlled.hold.take_if(waits) else { return };
        match sound {
            Ok(clip) => {
                controlled.hold = Some(hold);
                self.ask_to_hold(clip.clone(), context);
            }
            Err(reason) => {
                if let Some(ticket) = hold.ticket() {
                    context.answer(ticket, Err(super::sounds::not_playable(read, reason)));
                }
            }
        }
    }

    fn ask_to_hold(&mut self, music: Arc<Clip>, context: &mut Context) {
        if self.is_being_changed() {
            return self.fail_to_hold(busy(), context);
        }
        let Some(controlled) = self.controlled() else { return };
        let ticket = controlled.hold.take().and_then(Hold::ticket);
        controlled.hold = Some(Hold::Asking { ticket, music });
        self.reoffer = Some(Reoffer::Hold);
        self.offer_in_hand(Direction::SendOnly, context);
    }

    /// The telephone has agreed.
    pub(super) fn on_hold_agreed(&mut self, context: &mut Context) {
        self.agree_in_hand(context);
        let room = self.room;
        let Some(controlled) = self.controlled() else { return };
        let Some(hold) = controlled.hold.take() else { return };
        let what = match &hold {
            Hold::Asking { music, .. } => {
                controlled.hold = Some(Hold::On { music: music.clone() });
                What::HoldStarted { by: BY }
            }
            Hold::Ending { .. } => What::HoldStopped { by: BY },
            Hold::Fetching { .. } | Hold::On { .. } => {
                controlled.hold = Some(hold);
                return;
            }
        };
        if let Some(ticket) = hold.ticket() {
            context.answer(ticket, done());
        }
        let ended = matches!(what, What::HoldStopped { .. });
        context.tell(&self.facts.call_id, what);
        context.wish(Wish::Tune(room));
        if ended {
            self.follow_telephone(context);
        }
        if self.controlled().is_some_and(|controlled| std::mem::take(&mut controlled.is_to_be_released)) {
            self.release(context);
        }
    }

    /// The telephone has refused: everything is as before.
    pub(super) fn on_hold_refused(&mut self, status: StatusCode, context: &mut Context) {
        let message = format!("the telephone answered {} {}", status.code(), status.reason());
        self.fail_to_hold(Refusal::new(Code::Rejected, message), context);
    }

    fn fail_to_hold(&mut self, refusal: Refusal, context: &mut Context) {
        let Some(controlled) = self.controlled() else { return };
        let Some(hold) = controlled.hold.take() else { return };
        if let Hold::Ending { music, .. } = &hold {
            controlled.hold = Some(Hold::On { music: music.clone() });
        }
        if let Some(ticket) = hold.ticket() {
            context.answer(ticket, Err(refusal));
        }
    }

    /// The call is over.
    pub(super) fn stop_holding(&mut self, context: &mut Context) {
        if self.controlled().and_then(|controlled| controlled.away.take()).is_some() {
            context.tell(&self.facts.call_id, What::HoldStopped { by: away::BY });
        }
        let Some(hold) = self.controlled().and_then(|controlled| controlled.hold.take()) else { return };
        if hold.is_on() {
            context.tell(&self.facts.call_id, What::HoldStopped { by: BY });
        }
        if let Some(ticket) = hold.ticket() {
            context.answer(ticket, Err(Refusal::state("the call is over")));
        }
    }

    /// Its telephone is asked to talk again that was put on hold by the one it talked to.
    pub(super) fn offer_to_talk(&mut self, context: &mut Context) {
        self.reoffer = Some(Reoffer::Hold);
        self.offer_in_hand(Direction::SendRecv, context);
    }

    /// Whether an offer is under way, ours or theirs.
    fn is_being_changed(&self) -> bool {
        self.reoffer.is_some() || !self.caller.negotiation.is_stable()
    }

    /// Its leg was one of two until now: whoever was put on hold by the other is asked to talk, and who holds says so.
    pub(super) fn stand_alone(&mut self, context: &mut Context) {
        let direction = self.caller.negotiation.agreed().map(|agreed| agreed.direction);
        if direction.is_some_and(|direction| direction != Direction::SendRecv) && !self.is_being_changed() {
            self.reoffer = Some(Reoffer::Own { to: Side::Caller });
            self.offer_in_hand(Direction::SendRecv, context);
        }
    }

    /// A new offer to the telephone: the same, in this direction.
    fn offer_in_hand(&mut self, direction: Direction, context: &mut Context) {
        let Some(session) = self.caller.session else { return };
        let codecs = match self.caller.agreed_codecs() {
            Some(codecs) => codecs,
            None => context.own_codecs(),
        };
        let local = self.caller.local_audio(codecs, direction, context.advertised());
        let description = self.caller.negotiation.offer(&local);
        context.agent.offer(session, Some(description), context.now);
    }
}

fn busy() -> Refusal {
    Refusal::state("another change of the session is under way")
}
