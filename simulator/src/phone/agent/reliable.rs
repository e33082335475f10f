//! Provisional responses that are acknowledged (RFC 3262).

use super::again::Again;
use super::call::{Call, Stage};
use super::offers::Exchange;
use super::transactions::ServerId;
use super::{Agent, Event, Prack, Purpose, SessionId, T1};
use pbx::sip::{Method, Name, Path, RAck, Request, Response, StatusCode};
use pbx::time::Instant;
use std::collections::VecDeque;

/// How many may wait for the one before them.
const QUEUE: usize = 8;

/// What we have told a caller and what waits to be told.
pub(super) struct Provisionals {
    /// The number of the next one.
    next: u32,
    waiting: Option<Waiting>,
    queue: VecDeque<Response>,
    /// The answer that waits for an acknowledgement; its description.
    answer: Option<Option<Vec<u8>>>,
}

/// A response that is sent until its PRACK comes.
struct Waiting {
    number: u32,
    path: Path,
    bytes: Vec<u8>,
    again: Again,
    until: Instant,
    is_described: bool,
}

impl Provisionals {
    pub(super) fn new(first: u32) -> Provisionals {
        Provisionals { next: first, waiting: None, queue: VecDeque::new(), answer: None }
    }

    /// Whether an answer has to wait.
    pub(super) fn waits(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.is_described) || !self.queue.is_empty()
    }

    pub(super) fn accept_later(&mut self, description: Option<&[u8]>) {
        self.answer = Some(description.map(<[u8]>::to_vec));
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|waiting| waiting.again.at.min(waiting.until))
    }
}

impl Agent {
    /// Whether a caller is to acknowledge what we tell: it must know how, and want it or we do.
    pub(super) fn is_told_reliably(&self, server: ServerId) -> bool {
        let Some(server) = self.transactions.server(server) else { return false };
        let (knows, insists) =
            (server.request.lists(Name::Supported, "100rel"), server.request.lists(Name::Require, "100rel"));
        insists || (knows && self.abilities.prack == Prack::Uses)
    }

    /// One after the other: the next goes out when the one before is acknowledged (section 3).
    pub(super) fn ring_reliably(&mut self, session: SessionId, mut response: Response, now: Instant) {
        let Some(Call { stage: Stage::Ringing { server, provisionals }, .. }) =
            self.calls.iter_mut().find(|call| call.id == session)
        else {
            return;
        };
        if provisionals.waiting.is_some() {
            if provisionals.queue.len() < QUEUE {
                provisionals.queue.push_back(response);
            }
            return;
        }
        let number = provisionals.next;
        provisionals.next += 1;
        response.headers_mut().push(Name::Require, "100rel");
        response.headers_mut().push(Name::Rseq, number);
        let Some(path) = self.transactions.server(*server).map(|server| server.path) else { return };
        provisionals.waiting = Some(Waiting {
            number,
            path,
            bytes: response.to_bytes(),
            again: Again::doubling(T1, now),
            until: now + T1 * 64,
            is_described: !response.body().is_empty(),
        });
        self.transactions.respond(*server, &response, now);
    }

    /// Who never acknowledges is refused (section 3).
    pub(super) fn repeat_reliable(&mut self, now: Instant) {
        let mut unheard = Vec::new();
        for call in &mut self.calls {
            let Stage::Ringing { provisionals: Provisionals { waiting: Some(waiting), .. }, .. } =
                &mut call.stage
            else {
                continue;
            };
            if waiting.until <= now {
                unheard.push(call.id);
            } else if waiting.again.is_due(now) {
                self.transactions.transmit(waiting.path, waiting.bytes.clone());
            }
        }
        for session in unheard {
            self.reject(session, StatusCode::SERVER_TIME_OUT, now);
            self.tell(Event::Ended { session });
        }
    }

    /// PRACK has come.
    pub(super) fn on_prack(&mut self, session: SessionId, server: ServerId, prack: &Request, now: Instant) {
        let rack = prack.headers().get(Name::Rack).and_then(|text| RAck::parse(text).ok());
        let Some(Call { stage: Stage::Ringing { provisionals, server: invite }, gate, .. }) =
            self.calls.iter_mut().find(|call| call.id == session)
        else {
            return self.respond(server, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, now);
        };
        let number =
            self.transactions.server(*invite).and_then(|invite| Some(invite.request.cseq().ok()?.number));
        let is_it = |waiting: &Waiting| {
            rack.is_some_and(|rack| {
                rack.response == waiting.number
                    && Some(rack.cseq.number) == number
                    && rack.cseq.method() == Method::Invite
            })
        };
        if !provisionals.waiting.as_ref().is_some_and(is_it) {
            return self.respond(server, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, now);
        }
        let was_described = provisionals.waiting.take().is_some_and(|waiting| waiting.is_described);
        if was_described {
            gate.exchange = Exchange::Free;
        }
        let next = provisionals.queue.pop_front();
        let answer = provisionals.answer.take();
        self.take_change(session, server, prack, now);
        if let Some(next) = next {
            self.ring_reliably(session, next, now);
        }
        if let Some(answer) = answer {
            self.try_accept(session, answer.as_deref(), now);
        }
    }

    /// Whether a response is the next one of its early dialog; what comes too early or again is not looked at (section 4).
    pub(super) fn is_next_reliable(&mut self, session: SessionId, at: usize, response: &Response) -> bool {
        let number = response.headers().get(Name::Rseq).and_then(|text| text.trim().parse::<u32>().ok());
        let Some(Call { stage: Stage::Calling { early, .. }, .. }) = self.call(session) else { return false };
        let early = &mut early[at];
        let Some(number) = number.filter(|number| early.rseq.is_none_or(|last| *number == last + 1)) else {
            return false;
        };
        early.rseq = Some(number);
        true
    }

    /// PRACK goes out, at once or with the answer that is owed.
    pub(super) fn acknowledge_reliable(
        &mut self,
        session: SessionId,
        at: usize,
        response: &Response,
        owes_answer: bool,
        now: Instant,
    ) {
        let (Some(number), Ok(cseq)) = (response.headers().get(Name::Rseq), response.cseq()) else { return };
        let rack = format!("{} {cseq}", number.trim());
        if owes_answer {
            if let Some(call) = self.call(session) {
                call.gate.exchange = Exchange::OwesPrack { at, rack };
            }
            return;
        }
        self.send_prack(session, at, &rack, None, now);
    }

    pub(super) fn send_prack(
        &mut self,
        session: SessionId,
        at: usize,
        rack: &str,
        answer: Option<&[u8]>,
        now: Instant,
    ) {
        let Some(Call { stage: Stage::Calling { early, .. }, .. }) = self.call(session) else { return };
        let Some(early) = early.get_mut(at) else { return };
        let mut prack = early.dialog.request(Method::Prack);
        let path = early.dialog.path();
        prack.headers_mut().push(Name::Rack, rack);
        if let Some(answer) = answer {
            prack.set_body("application/sdp", answer);
        }
        self.send(prack, path, Purpose::Prack, now);
    }
}
