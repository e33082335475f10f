//! Reliable provisional responses (RFC 3262): at the UAS one at a time until its PRACK has come, at the UAC in order.

use super::ExtraHeaders;
use crate::rng::Rng;
use crate::sip::{Name, Request, Response, StatusCode};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// How many provisional responses wait for the PRACK of the one before.
const QUEUE: usize = 8;

/// The reliable provisional responses of one INVITE we received.
#[derive(Debug)]
pub(super) struct Reliable {
    next_rseq: u32,
    out: Option<Unacknowledged>,
    queue: VecDeque<Provisional>,
}

#[derive(Debug)]
struct Unacknowledged {
    rseq: u32,
    response: Response,
    is_described: bool,
    repeat_at: Instant,
    interval: Duration,
    give_up_at: Instant,
}

/// A provisional response to be sent.
#[derive(Clone, Debug)]
pub(super) struct Provisional {
    pub(super) status: StatusCode,
    pub(super) description: Option<Vec<u8>>,
    pub(super) headers: ExtraHeaders,
}

/// What the time has brought.
#[derive(Debug)]
pub(super) enum Due {
    /// Send it again.
    Repeat(Box<Response>),
    /// No PRACK in 64*T1: the INVITE is to be refused.
    GiveUp,
}

impl Reliable {
    /// Nothing sent yet. The first number is drawn (RFC 3262 section 3), small enough never to wrap.
    pub(super) fn new(rng: &mut Rng) -> Reliable {
        Reliable { next_rseq: 1 + rng.below(1 << 30) as u32, out: None, queue: VecDeque::new() }
    }

    /// Whether the PRACK to the last one has not come yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.out.is_some()
    }

    /// Whether the one that waits for its PRACK carries a description: then no 2xx may go (section 3).
    pub(super) fn holds_description(&self) -> bool {
        self.out.as_ref().is_some_and(|out| out.is_described)
    }

    /// Its number, for a PRACK that comes after the final response.
    pub(super) fn waiting_for(&self) -> Option<u32> {
        self.out.as_ref().map(|out| out.rseq)
    }

    /// Lets one wait for its turn; more than a few are left out, for the last state is what counts.
    pub(super) fn wait(&mut self, provisional: Provisional) {
        if self.queue.len() < QUEUE {
            self.queue.push_back(provisional);
        }
    }

    /// The next that waits, when nothing is out.
    pub(super) fn next(&mut self) -> Option<Provisional> {
        if self.is_waiting() { None } else { self.queue.pop_front() }
    }

    /// Numbers a response and keeps it to be repeated.
    pub(super) fn start(&mut self, response: &mut Response, is_described: bool, t1: Duration, now: Instant) {
        let rseq = self.next_rseq;
        self.next_rseq += 1;
        response.headers_mut().push(Name::Require, "100rel");
        response.headers_mut().push(Name::Rseq, rseq);
        self.out = Some(Unacknowledged {
            rseq,
            response: response.clone(),
            is_described,
            repeat_at: now + t1,
            interval: t1,
            give_up_at: now + t1 * 64,
        });
    }

    /// A PRACK has come; whether it is for what is out.
    pub(super) fn acknowledge(&mut self, prack: &Request, invite_cseq: u32) -> bool {
        let Some(rseq) = self.waiting_for() else { return false };
        let matches = matches_rack(prack, rseq, invite_cseq);
        if matches {
            self.out = None;
        }
        matches
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.out.as_ref().map(|out| out.repeat_at.min(out.give_up_at))
    }

    /// What is due at `now`. The interval doubles without an upper bound (section 3).
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        let out = self.out.as_mut()?;
        if out.give_up_at <= now {
            self.out = None;
            return Some(Due::GiveUp);
        }
        if out.repeat_at > now {
            return None;
        }
        out.interval *= 2;
        out.repeat_at = now + out.interval;
        Some(Due::Repeat(Box::new(out.response.clone())))
    }
}

/// Whether `RAck: rseq cseq INVITE` names this response.
pub(super) fn matches_rack(prack: &Request, rseq: u32, invite_cseq: u32) -> bool {
    let Some(rack) = prack.headers().get(Name::Rack) else { return false };
    let mut words = rack.split_ascii_whitespace();
    words.next().and_then(|word| word.parse().ok()) == Some(rseq)
        && words.next().and_then(|word| word.parse().ok()) == Some(invite_cseq)
        && words.next() == Some("INVITE")
}

/// RSeq of a reliable provisional response; `None` for one that needs no PRACK.
pub(super) fn rseq(response: &Response) -> Option<u32> {
    let is_reliable = response.status() != StatusCode::TRYING && response.lists(Name::Require, "100rel");
    response.headers().get(Name::Rseq).filter(|_| is_reliable)?.trim().parse().ok()
}

/// Whether a reliable provisional response is the next in order; a copy or one that runs ahead is to be ignored (section 4).
pub(super) fn is_next(last: Option<u32>, rseq: u32) -> bool {
    last.is_none_or(|last| last.checked_add(1) == Some(rseq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_repeated_with_doubled_pauses_until_nobody_waits() {
        let t1 = Duration::from_millis(500);
        let mut reliable = Reliable::new(&mut Rng::from_number(1));
        reliable.start(&mut Response::new(StatusCode::RINGING), false, t1, Instant::START);
        let mut sent = Vec::new();
        while let Some(at) = reliable.deadline() {
            match reliable.due(at) {
                Some(Due::Repeat(_)) => sent.push(at.as_nanos() / 1_000_000),
                Some(Due::GiveUp) => sent.push(0),
                None => panic!("a deadline at {at} without a reason"),
            }
        }
        assert_eq!(sent, [500, 1_500, 3_500, 7_500, 15_500, 31_500, 0]);
    }

    #[test]
    fn numbers_go_up_by_one() {
        let mut reliable = Reliable::new(&mut Rng::from_number(1));
        let mut numbers = Vec::new();
        for _ in 0..3 {
            let mut response = Response::new(StatusCode::RINGING);
            reliable.start(&mut response, false, Duration::from_millis(500), Instant::START);
            numbers.push(rseq(&response).unwrap());
        }
        assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
        assert!(is_next(Some(numbers[0]), numbers[1]) && !is_next(Some(numbers[0]), numbers[2]));
    }
}
