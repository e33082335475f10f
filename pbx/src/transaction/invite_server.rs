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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, Transport};
    use crate::transaction::scene::{Scene, arriving, parse, path, seconds};
    use proptest::prelude::*;

    const UDP: Transport = Transport::Udp;
    const TCP: Transport = Transport::Tcp;

    fn invited(transport: Transport) -> Scene {
        let mut scene = Scene::new();
        scene.arrives(&arriving(Method::Invite, "z9hG4bKa"), transport);
        scene
    }

    fn acknowledged(scene: &mut Scene, transport: Transport) {
        scene.arrives(&arriving(Method::Ack, "z9hG4bKa"), transport);
    }

    #[test]
    fn silence_of_the_user_becomes_100_within_200_milliseconds() {
        let mut scene = invited(UDP);
        assert_eq!(scene.count("SIP/2.0"), 0);
        scene.pass(seconds(0.2));
        assert_eq!(scene.times("SIP/2.0 100"), [0.1]);
        let crate::sip::Message::Response(trying) = scene.last_sent() else { panic!("a response") };
        assert_eq!(trying.to_header().expect("an address").tag(), None);
    }

    #[test]
    fn a_user_who_answers_at_once_needs_no_100() {
        let mut scene = invited(UDP);
        scene.respond(180);
        scene.pass(seconds(60.0));
        assert_eq!(scene.count("SIP/2.0 100"), 0);
        assert_eq!(scene.count("SIP/2.0 180"), 1);
    }

    #[test]
    fn a_repeated_invite_is_answered_by_what_was_said_last() {
        let mut scene = invited(UDP);
        for status in [0, 180, 183, 486] {
            if status > 0 {
                scene.respond(status);
            }
            scene.arrives(&arriving(Method::Invite, "z9hG4bKa"), UDP);
        }
        let statuses: Vec<u16> = scene
            .sent
            .iter()
            .map(|sent| match parse(&sent.bytes) {
                crate::sip::Message::Response(response) => response.status().code(),
                crate::sip::Message::Request(_) => 0,
            })
            .collect();
        assert_eq!(statuses, [100, 180, 180, 183, 183, 486, 486]);
        assert_eq!(scene.requests(), 1);
    }

    #[test]
    fn a_refusal_is_repeated_until_it_is_acknowledged() {
        let mut scene = invited(UDP);
        scene.respond(486);
        scene.pass(seconds(10.0));
        assert_eq!(scene.times("SIP/2.0 486"), [0.0, 0.5, 1.5, 3.5, 7.5]);
        assert!(scene.sent.iter().all(|sent| sent.bytes == scene.sent[0].bytes));
        acknowledged(&mut scene, UDP);
        acknowledged(&mut scene, UDP);
        scene.rest();
        assert_eq!(scene.count("SIP/2.0 486"), 5);
        assert_eq!(scene.acks(), 0, "the ACK to a refusal is not for the dialog");
        assert_eq!(scene.now, Instant::from_millis(15_000), "timer I");
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn a_refusal_that_is_never_acknowledged_ends_by_timer_h() {
        let mut scene = invited(UDP);
        scene.respond(486);
        scene.rest();
        let expected = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5];
        assert_eq!(scene.times("SIP/2.0 486"), expected);
        assert!(matches!(scene.events.last(), Some(Event::AckTimedOut { .. })));
        assert_eq!(scene.now, Instant::from_millis(32_000));
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn a_refusal_over_tcp_goes_out_once_and_ends_with_its_ack() {
        let mut scene = invited(TCP);
        scene.respond(486);
        scene.pass(seconds(20.0));
        assert_eq!(scene.count("SIP/2.0 486"), 1);
        acknowledged(&mut scene, TCP);
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn an_accepted_invite_absorbs_copies_and_leaves_repeating_to_the_user() {
        let mut scene = invited(UDP);
        scene.respond(200);
        scene.arrives(&arriving(Method::Invite, "z9hG4bKa"), UDP);
        assert_eq!(scene.count("SIP/2.0 200"), 1);
        scene.pass(seconds(0.5));
        scene.respond(200);
        assert_eq!(scene.count("SIP/2.0 200"), 2);
        assert_eq!(scene.sent[0].bytes, scene.sent[1].bytes);
        scene.rest();
        assert_eq!(scene.requests(), 1);
        assert_eq!(scene.now, Instant::from_millis(32_000), "timer L");
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn an_ack_to_a_2xx_is_passed_on_whatever_its_branch() {
        let mut scene = invited(UDP);
        scene.respond(200);
        scene.arrives(&arriving(Method::Ack, "z9hG4bKother"), UDP);
        acknowledged(&mut scene, UDP);
        assert_eq!(scene.acks(), 2);
    }

    #[test]
    fn an_ack_to_nothing_final_is_absorbed() {
        let mut scene = invited(UDP);
        acknowledged(&mut scene, UDP);
        scene.respond(180);
        acknowledged(&mut scene, UDP);
        assert_eq!(scene.acks(), 0);
        scene.respond(200);
        assert_eq!(scene.count("SIP/2.0 200"), 1);
    }

    #[test]
    fn a_connection_that_breaks_takes_no_transaction_with_it() {
        let mut scene = Scene::new();
        let connection = Some(crate::sip::ConnectionId(3));
        let ephemeral = "198.51.100.7:40000".parse().expect("an address");
        let over = crate::sip::Path { connection, remote: ephemeral, ..path(TCP) };
        scene.receive(crate::sip::Message::Request(arriving(Method::Invite, "z9hG4bKa")), over);
        scene.respond(180);
        assert_eq!(scene.sent[0].path, over);
        scene.path_fails(over);
        scene.respond(200);
        assert_eq!(scene.sent[1].path, path(TCP), "to the port of sent-by, over a new connection");
    }

    proptest! {
        /// Whatever the TU says in whatever order: nothing provisional after a final response, one final response only, except
        /// that a 2xx may be repeated.
        #[test]
        fn the_user_cannot_say_too_much(statuses in prop::collection::vec(101u16..700, 1..8)) {
            let mut scene = invited(UDP);
            for &status in &statuses {
                scene.respond(status);
            }
            let end = statuses.iter().position(|&status| status >= 200).unwrap_or(statuses.len());
            let accepted = statuses.get(end).is_some_and(|&status| status < 300);
            let more = statuses.iter().skip(end + 1).filter(|&&status| accepted && (200..300).contains(&status));
            let expected = (end + 1).min(statuses.len()) + more.count();
            prop_assert_eq!(scene.sent.len(), expected);
        }

        /// Section 17.2.1: the refusal goes at 0, T1, 3*T1, ... with gaps of at most T2, until the ACK.
        #[test]
        fn refusals_follow_timer_g(t1 in 1u64..8_000, acknowledged_after in 1u64..64_000) {
            let (t1, ack_at) = (t1 * 1_000, acknowledged_after * t1 / 2 * 2 + 1);
            let micros = crate::time::Duration::from_micros;
            let mut scene = Scene::with_t1(micros(t1));
            scene.arrives(&arriving(Method::Invite, "z9hG4bKa"), UDP);
            scene.respond(503);
            scene.pass(micros(ack_at));
            acknowledged(&mut scene, UDP);
            scene.rest();
            let (mut expected, mut at, mut gap) = (vec![0.0], 0, t1);
            loop {
                at += gap;
                if at >= ack_at || at > 64 * t1 {
                    break;
                }
                expected.push(micros(at).as_secs_f64());
                gap = (2 * gap).min(4_000_000);
            }
            prop_assert_eq!(scene.times("SIP/2.0 503"), expected);
            prop_assert!(scene.transactions.is_idle());
        }
    }
}
