//! One call at a telephone, from the first ring to what is remembered of it.

use super::voice::Voice;
use pbx::dialog::SessionId;
use pbx::sdp::{Codec, Direction, LocalAudio, Negotiation};
use pbx::sip::StatusCode;
use pbx::time::Instant;

/// One call at a telephone.
pub(super) struct Line {
    pub(super) session: SessionId,
    /// The other side: what was dialled, or the user part of From.
    pub(super) with: String,
    pub(super) state: State,
    pub(super) negotiation: Negotiation,
    pub(super) voice: Voice,
    /// Whom we want to send and to hear: changed by hold.
    pub(super) direction: Direction,
    /// What we can, best first.
    pub(super) codecs: Vec<Codec>,
    /// The offer that rings here, until it is answered.
    pub(super) offered: Option<Vec<u8>>,
    pub(super) facts: Facts,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// We have called and wait.
    Calling,
    /// It rings here.
    Ringing {
        /// When we answer, if by ourselves.
        answer_at: Option<Instant>,
    },
    /// Answered.
    Talking,
    /// We wait for nothing any more.
    Over,
}

/// What is remembered of a call.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What the PBX told the caller: provisional and final statuses in order, 100 left out.
    pub told: Vec<StatusCode>,
    /// When it began.
    pub began_at: Instant,
    /// When it was answered.
    pub answered_at: Option<Instant>,
    /// When it was over.
    pub ended_at: Option<Instant>,
    /// Whether the other side ended it.
    pub ended_by_other: bool,
    /// Whether the other side holds us now.
    pub held: bool,
}

impl Line {
    /// Our part of an offer or an answer.
    pub(super) fn local(&self) -> LocalAudio {
        LocalAudio {
            address: self.voice.local,
            codecs: self.codecs.clone(),
            direction: self.direction,
            ptime: Some(20),
        }
    }

    /// An offer of ours.
    pub(super) fn offer(&mut self) -> Vec<u8> {
        let local = self.local();
        self.negotiation.offer(&local)
    }

    /// The answer to `offer`; `None` when there is nothing to agree on.
    pub(super) fn answer(&mut self, offer: &[u8], now: Instant) -> Option<Vec<u8>> {
        self.negotiation.receive_offer(offer).ok()?;
        let local = self.local();
        let Ok((answer, _)) = self.negotiation.answer(&local) else {
            self.negotiation.rollback();
            return None;
        };
        self.settle(now);
        Some(answer)
    }

    /// The other side's answer; `false` when it is none.
    pub(super) fn answered(&mut self, answer: &[u8], now: Instant) -> bool {
        let is_one = self.negotiation.receive_answer(answer).is_ok();
        self.settle(now);
        is_one
    }

    /// The voice follows what was agreed.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Some(agreement) = self.negotiation.agreed() {
            self.facts.held = matches!(agreement.remote.direction, Direction::SendOnly | Direction::Inactive);
            self.voice.agree(agreement, now);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(super) fn end(&mut self, by_other: bool, now: Instant) {
        if !self.is_over() {
            self.state = State::Over;
            self.facts.ended_at = Some(now);
            self.facts.ended_by_other = by_other;
            self.voice.stop();
        }
    }
}
