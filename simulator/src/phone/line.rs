//! One call at a telephone, from the first ring to what is remembered of it.

use super::Holding;
use super::agent::SessionId;
use super::misbehaviour::{Misbehaviour, Ways};
use super::voice::Voice;
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
    /// As it was when our first offer went out: each telephone that answers it has a negotiation of its own.
    pub(super) offered_first: Option<Negotiation>,
    pub(super) voice: Voice,
    /// Whether the other side is to wait.
    pub(super) holds: bool,
    pub(super) holding: Holding,
    /// What we can, best first.
    pub(super) codecs: Vec<Codec>,
    /// The offer that rings here, until it is answered.
    pub(super) offered: Option<Vec<u8>>,
    /// What we have answered before the call was.
    pub(super) answered_early: Option<Vec<u8>>,
    /// Who has asked us to make this call and wants to hear of it.
    pub(super) asked_by: Option<SessionId>,
    pub(super) ways: Ways,
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
    /// What was said to changes of the call that we wanted, when it was not yes.
    pub changes_refused: Vec<StatusCode>,
    /// What was said to texts and keys that it sent within the call.
    pub answers: Vec<StatusCode>,
    /// How a transfer that we asked for came along.
    pub transfer: Vec<StatusCode>,
}

impl Line {
    /// Our part of an offer or an answer.
    pub(super) fn local(&self) -> LocalAudio {
        let direction = match (self.holds, self.holding) {
            (false, _) => Direction::SendRecv,
            (true, Holding::SendOnly) => Direction::SendOnly,
            (true, Holding::Inactive | Holding::ZeroAddress) => Direction::Inactive,
        };
        LocalAudio { address: self.voice.local, codecs: self.codecs.clone(), direction, ptime: Some(20) }
    }

    /// An offer of ours.
    pub(super) fn offer(&mut self) -> Vec<u8> {
        let local = self.local();
        let offer = self.negotiation.offer(&local);
        if self.offered_first.is_none() && self.negotiation.agreed().is_none() {
            self.offered_first = Some(self.negotiation.clone());
        }
        if self.holds && self.holding == Holding::ZeroAddress { with_zero_address(&offer) } else { offer }
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
        Some(spoiled(&self.ways, answer))
    }

    /// The other side's answer; `false` when it is none.
    pub(super) fn answered(&mut self, answer: &[u8], now: Instant) -> bool {
        // Another telephone may have answered the same offer before, and was not the one.
        if !self.negotiation.has_offered()
            && let Some(first) = &self.offered_first
        {
            self.negotiation = first.clone();
        }
        let is_one = self.negotiation.receive_answer(answer).is_ok();
        if !is_one {
            self.negotiation.rollback();
        }
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

    pub(super) fn is_ringing(&self) -> bool {
        matches!(self.state, State::Ringing { .. })
    }

    pub(super) fn end(&mut self, by_other: bool, now: Instant) {
        if !self.is_over() {
            self.state = State::Over;
            self.facts.ended_at = Some(now);
            self.facts.ended_by_other = by_other;
            self.voice.stop(now);
        }
    }
}

/// Hold as it was before RFC 3264 (its section 8.4).
fn with_zero_address(offer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(offer);
    let lines = text.lines().filter(|line| *line != "a=inactive");
    let line = |line: &str| match line.strip_prefix("c=IN IP4 ") {
        Some(_) => "c=IN IP4 0.0.0.0\r\n".to_owned(),
        None => format!("{line}\r\n"),
    };
    lines.map(line).collect::<String>().into_bytes()
}

/// An answer as it is given by somebody who does not care what was offered.
fn spoiled(ways: &Ways, answer: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&answer);
    let (session, media) = text.split_at(text.find("m=").unwrap_or(text.len()));
    if ways.has(Misbehaviour::AnswersWithNothing) {
        return session.as_bytes().to_vec();
    }
    if ways.has(Misbehaviour::AnswersUnasked) {
        let port = media.split(' ').nth(1).unwrap_or("9");
        return format!("{session}m=audio {port} RTP/AVP 98\r\na=rtpmap:98 speex/8000\r\n").into_bytes();
    }
    answer
}
