//! What a telephone does about what its user agent tells it.

use super::Answering;
use super::agent::{Description, Event, SessionId};
use super::line::{Line, State};
use super::misbehaviour::Misbehaviour;
use super::telephone::Telephone;
use pbx::sip::StatusCode;
use pbx::time::Instant;

impl Telephone {
    pub(super) fn on_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Incoming { session, caller, offer, replaces } => {
                self.on_incoming(session, &caller, offer, replaces, now);
            }
            Event::Provisional { session, status, description } => {
                self.on_progress(session, status, description, now);
            }
            Event::Answered { session, status, description } => {
                self.on_answered(session, status, description, now);
            }
            Event::Refused { session, status } => self.on_refused(session, status, now),
            Event::Confirmed { session, answer } => {
                if let (Some(line), Some(answer)) = (self.line(session), answer) {
                    line.answered(&answer, now);
                }
            }
            Event::MayOffer { session } => {
                if let Some(line) = self.line(session) {
                    let offer = line.offer();
                    self.agent.offer(session, &offer, now);
                }
            }
            Event::Offered { session, offer } => self.on_offered(session, offer.as_deref(), now),
            Event::OfferAnswered { session, answer } => {
                if let Some(line) = self.line(session) {
                    line.answered(&answer, now);
                }
            }
            Event::OfferRefused { session, status } => {
                if let Some(line) = self.line(session) {
                    line.negotiation.rollback();
                    line.facts.changes_refused.push(status);
                }
            }
            Event::Key(key) => self.keys_told.push(key),
            Event::Text(text) => self.texts.push(String::from_utf8_lossy(&text).into_owned()),
            Event::Referred { session, to, replaces } => self.on_referred(session, &to, replaces, now),
            Event::Transferred { session, status } => self.on_transferred(session, status, now),
            Event::SubscriptionAnswered { status } => self.news.answers.push(status),
            Event::News { event, state, body } => self.news.hear(&event, state, body),
            Event::Told { session, status } => {
                if let Some(line) = self.line(session) {
                    line.facts.answers.push(status);
                }
            }
            Event::Cancelled { session } => self.on_cancelled(session, now),
            Event::Ended { session } => {
                if let Some(line) = self.line(session) {
                    line.end(true, now);
                }
            }
        }
    }

    fn on_incoming(
        &mut self,
        session: SessionId,
        caller: &str,
        offer: Option<Vec<u8>>,
        replaces: Option<SessionId>,
        now: Instant,
    ) {
        let is_busy = !self.habits.takes_second_call && self.lines.iter().any(|line| !line.is_over());
        let answer_at = match self.habits.answering {
            _ if replaces.is_some() => Some(now),
            _ if is_busy => return self.agent.reject(session, StatusCode::BUSY_HERE, now),
            Answering::After(patience) => Some(now + patience),
            Answering::ByHand | Answering::Never | Answering::IsDead => None,
            Answering::Rejects(status) => return self.agent.reject(session, status, now),
        };
        let mut line = self.new_line(caller, State::Ringing { answer_at }, now);
        line.session = session;
        line.offered = offer;
        self.lines.push(line);
        let at = self.lines.len() - 1;
        match replaces {
            Some(replaced) => self.take_the_place_of(replaced, at, now),
            None => self.ring(at, now),
        }
    }

    /// It rings, or the caller hears something else already.
    fn ring(&mut self, at: usize, now: Instant) {
        let early = self.habits.early.clone();
        let talks_early = self.habits.ways.has(Misbehaviour::SendsBeforeTheAnswer);
        let line = &mut self.lines[at];
        let session = line.session;
        if early.is_some() || talks_early {
            let answer = line.offered.take().and_then(|offer| line.answer(&offer, now));
            line.answered_early = answer;
        }
        match (early, &line.answered_early) {
            (Some(sound), Some(answer)) => {
                line.voice.play(sound, now);
                self.agent.ring(session, StatusCode::SESSION_PROGRESS, Some(answer), now);
            }
            (Some(_) | None, _) => self.agent.ring(session, StatusCode::RINGING, None, now),
        }
    }

    /// A call that somebody has made on behalf of the one whose place it takes (RFC 3891).
    fn take_the_place_of(&mut self, replaced: SessionId, at: usize, now: Instant) {
        self.accept(at, now);
        if let Some(line) = self.line(replaced) {
            line.end(true, now);
            self.agent.hang_up(replaced, now);
        }
    }

    fn on_progress(
        &mut self,
        session: SessionId,
        status: StatusCode,
        description: Option<Description>,
        now: Instant,
    ) {
        let Some(line) = self.line(session) else { return };
        line.facts.told.push(status);
        match description {
            Some(Description::Preview(answer)) => {
                if let Ok(agreement) = line.negotiation.preview_answer(&answer) {
                    line.voice.agree(&agreement, now);
                }
            }
            Some(Description::Answer(answer)) => {
                line.answered(&answer, now);
            }
            Some(Description::Offer(offer)) => {
                if let Some(answer) = line.answer(&offer, now) {
                    self.agent.answer(session, &answer, now);
                }
            }
            None => {}
        }
        self.report(session, status, now);
    }

    fn on_answered(
        &mut self,
        session: SessionId,
        status: StatusCode,
        description: Option<Description>,
        now: Instant,
    ) {
        let Some(line) = self.line(session) else { return };
        line.state = State::Talking;
        line.facts.told.push(status);
        line.facts.answered_at = Some(now);
        match description {
            Some(Description::Answer(answer) | Description::Preview(answer))
                if line.answered(&answer, now) => {}
            Some(Description::Answer(_) | Description::Preview(_)) => {
                line.end(false, now);
                self.agent.hang_up(session, now);
            }
            Some(Description::Offer(offer)) => self.on_offered(session, Some(&offer), now),
            // Told before, in a response that came reliably.
            None => {}
        }
        self.report(session, status, now);
    }

    fn on_refused(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        self.report(session, status, now);
        if let Some(line) = self.line(session) {
            line.facts.told.push(status);
            line.end(true, now);
        }
    }

    fn on_offered(&mut self, session: SessionId, offer: Option<&[u8]>, now: Instant) {
        let Some(line) = self.line(session) else {
            // Its owner has hung up, and BYE waits for an ACK.
            return self.agent.refuse_offer(session, StatusCode::REQUEST_TERMINATED, now);
        };
        let description = match offer {
            Some(offer) => line.answer(offer, now),
            None => Some(line.offer()),
        };
        match description {
            Some(description) => self.agent.answer(session, &description, now),
            None => self.agent.refuse_offer(session, StatusCode::NOT_ACCEPTABLE_HERE, now),
        }
    }

    fn on_cancelled(&mut self, session: SessionId, now: Instant) {
        let ways = &self.habits.ways;
        let at = self.lines.iter().position(|line| line.session == session && !line.is_over());
        match at {
            Some(at) if ways.has(Misbehaviour::AnswersAfterCancel) => self.accept(at, now),
            _ if ways.has(Misbehaviour::AnswersOnlyTheCancel) => self.agent.abandon(session, now),
            _ => self.agent.reject(session, StatusCode::REQUEST_TERMINATED, now),
        }
        if let Some(line) = self.line(session).filter(|line| line.is_ringing()) {
            line.end(true, now);
        }
    }

    /// Somebody asks us to call somebody else.
    fn on_referred(&mut self, session: SessionId, to: &str, replaces: Option<String>, now: Instant) {
        let call = self.place_call(to, replaces.as_deref(), now);
        if let Some(line) = self.line(call) {
            line.asked_by = Some(session);
        }
    }

    /// Whoever has asked for a call hears how it comes along.
    fn report(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        let asked_by = self.lines.iter().find(|line| line.session == session).and_then(|line| line.asked_by);
        if let Some(asked_by) = asked_by {
            self.agent.report(asked_by, status, now);
        }
    }

    /// When the other side talks to whom it was sent, we are not needed any more.
    fn on_transferred(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        let Some(line) = self.line(session) else { return };
        line.facts.transfer.push(status);
        if status.is_success() {
            line.end(false, now);
            self.agent.hang_up(session, now);
        }
    }

    pub(super) fn line(&mut self, session: SessionId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.session == session && !line.is_over())
    }
}
