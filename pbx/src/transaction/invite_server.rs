//! The INVITE server transaction (RFC 3261 section 17.2.1 as changed by RFC 6026, whose figure 7 this is).

use super::context::Context;
use super::timers::{Repetition, Timer, earliest};
use super::via::ReplyPath;
use super::{Event, ServerId};
use crate::sip::Response;
use crate::time::Instant;
use std::mem;

/// An INVITE we received.
pub(super) struct InviteServer {
    id: ServerId,
    state: State,
}

enum State {
    /// The TU has said nothing yet: the first half of *Proceeding*. Our 100 goes when that lasts.
    Quiet { trying: Vec<u8>, at: Instant },
    /// The TU, or we by 100, said something provisional.
    Proceeding { last: Vec<u8> },
    /// Refused. The refusal is repeated until it is acknowledged.
    Completed { refusal: Vec<u8>, g: Option<Repetition>, h: Instant },
    /// Acknowledged. We absorb repetitions of the ACK.
    Confirmed { i: Instant },
    /// Accepted (RFC 6026). The TU repeats its 2xx; we absorb repetitions of the INVITE.
    Accepted { l: Instant },
    /// To be taken away.
    Terminated,
}

/// What may happen to it.
pub(super) enum Input {
    /// A timer has fired.
    Timer(Timer),
    /// The INVITE has come again.
    Invite,
    /// An ACK that matches the INVITE: to a refusal, or with the branch of the INVITE by mistake.
    Ack,
    /// The TU answers 1xx.
    Provisional(Response),
    /// The TU answers 2xx.
    Success(Response),
    /// The TU answers 300 to 699.
    Refusal(Response),
}

impl Input {
    /// A response by its class.
    pub(super) fn of(response: Response) -> Input {
        match response.status() {
            status if status.is_provisional() => Input::Provisional(response),
            status if status.is_success() => Input::Success(response),
            _ => Input::Refusal(response),
        }
    }
}

/// What becomes of an ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckFate {
    /// It was for us.
    Absorbed,
    /// It is for the TU.
    Passed,
}

impl InviteServer {
    /// A new INVITE, and the 100 to be said when the TU says nothing.
    pub(super) fn start(id: ServerId, trying: Vec<u8>, reply: &ReplyPath, cx: &Context<'_>) -> InviteServer {
        let at = cx.deadline(Timer::Trying, reply.path.transport);
        InviteServer { id, state: State::Quiet { trying, at } }
    }

    /// Follows one arrow of the drawing.
    pub(super) fn step(&mut self, input: Input, reply: &ReplyPath, cx: &mut Context<'_>) {
        let path = reply.path;
        self.state = match (mem::replace(&mut self.state, State::Terminated), input) {
            (State::Quiet { trying, .. }, Input::Timer(Timer::Trying) | Input::Invite) => {
                cx.transmit(path, trying.clone());
                State::Proceeding { last: trying }
            }
            (State::Proceeding { last }, Input::Invite) => {
                cx.transmit(path, last.clone());
                State::Proceeding { last }
            }
            (State::Quiet { .. } | State::Proceeding { .. }, Input::Provisional(response)) => {
                let last = response.to_bytes();
                cx.transmit(path, last.clone());
                State::Proceeding { last }
            }
            (State::Quiet { .. } | State::Proceeding { .. }, Input::Refusal(response)) => {
                let refusal = response.to_bytes();
                cx.transmit(path, refusal.clone());
                let g = cx.repetition(Timer::G, path.transport);
                State::Completed { refusal, g, h: cx.deadline(Timer::H, path.transport) }
            }
            (State::Quiet { .. } | State::Proceeding { .. }, Input::Success(response)) => {
                cx.transmit(path, response.to_bytes());
                State::Accepted { l: cx.deadline(Timer::L, path.transport) }
            }
            // Nothing was answered that it could acknowledge.
            (state @ (State::Quiet { .. } | State::Proceeding { .. }), Input::Ack) => state,

            (State::Completed { refusal, g, h }, Input::Timer(Timer::G)) => {
                cx.transmit(path, refusal.clone());
                State::Completed { refusal, g: g.map(|g| g.again(Timer::G, cx)), h }
            }
            (State::Completed { .. }, Input::Timer(Timer::H)) => {
                cx.tell(Event::AckTimedOut { id: self.id });
                State::Terminated
            }
            (State::Completed { refusal, g, h }, Input::Invite) => {
                cx.transmit(path, refusal.clone());
                State::Completed { refusal, g, h }
            }
            (State::Completed { .. }, Input::Ack) => match cx.lingering(Timer::I, path.transport) {
                Some(i) => State::Confirmed { i },
                None => State::Terminated,
            },

            (State::Confirmed { .. }, Input::Timer(Timer::I)) => State::Terminated,
            (state @ State::Confirmed { .. }, Input::Invite | Input::Ack) => state,

            (State::Accepted { l }, Input::Success(response)) => {
                cx.transmit(path, response.to_bytes());
                State::Accepted { l }
            }
            (State::Accepted { .. }, Input::Timer(Timer::L)) => State::Terminated,
            (state @ State::Accepted { .. }, Input::Invite | Input::Ack) => state,

            // One final response is all a request gets, and nothing provisional after it.
            (
                state @ (State::Completed { .. } | State::Confirmed { .. }),
                Input::Provisional(_) | Input::Success(_) | Input::Refusal(_),
            ) => state,
            (state @ State::Accepted { .. }, Input::Provisional(_) | Input::Refusal(_)) => state,

            (State::Terminated, Input::Invite | Input::Ack) => State::Terminated,
            (State::Terminated, Input::Provisional(_) | Input::Success(_) | Input::Refusal(_)) => {
                State::Terminated
            }
            // Only the timers that `next_timer` names for a state can fire in it.
            (state, Input::Timer(_)) => state,
        };
    }

    /// Whether an ACK that matches the INVITE is for the TU: it is when there was a 2xx (RFC 6026 section 7.1).
    pub(super) fn fate_of_ack(&self) -> AckFate {
        match self.state {
            State::Accepted { .. } => AckFate::Passed,
            State::Quiet { .. } | State::Proceeding { .. } => AckFate::Absorbed,
            State::Completed { .. } | State::Confirmed { .. } | State::Terminated => AckFate::Absorbed,
        }
    }

    /// The timer that fires next.
    pub(super) fn next_timer(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Quiet { at, .. } => Some((*at, Timer::Trying)),
            State::Proceeding { .. } => None,
            State::Completed { g, h, .. } => {
                earliest([(g.as_ref().map(|g| g.at), Timer::G), (Some(*h), Timer::H)])
            }
            State::Confirmed { i } => Some((*i, Timer::I)),
            State::Accepted { l } => Some((*l, Timer::L)),
            State::Terminated => None,
        }
    }

    /// Whether the TU still owes a final response.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Quiet { .. } | State::Proceeding { .. })
    }

    /// What was said last, as far as it is kept.
    pub(super) fn last_response(&self) -> Option<&[u8]> {
        match &self.state {
            State::Proceeding { last } => Some(last),
            State::Completed { refusal, .. } => Some(refusal),
            State::Quiet { .. } | State::Confirmed { .. } | State::Accepted { .. } => None,
            State::Terminated => None,
        }
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}
