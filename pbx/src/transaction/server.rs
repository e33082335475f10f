//! The server transaction of every request but INVITE (RFC 3261 section 17.2.2, figure 8, with RFC 4320).

use super::context::Context;
use super::timers::{Timer, earliest};
use super::via::ReplyPath;
use crate::sip::{Response, StatusCode};
use crate::time::Instant;
use std::mem;

/// A request other than INVITE that we received.
pub(super) struct Server {
    state: State,
}

enum State {
    /// Nothing is said yet. Our 100 goes when that lasts long (RFC 4320 section 4.1).
    Trying { trying: Vec<u8>, at: Instant, until: Instant },
    /// 100 is said.
    Proceeding { last: Vec<u8>, until: Instant },
    /// Answered. Repetitions of the request are answered the same again.
    Completed { answer: Vec<u8>, j: Instant },
    /// To be taken away.
    Terminated,
}

/// What may happen to it.
#[expect(clippy::large_enum_variant, reason = "it lives for one step; a box would cost more")]
pub(super) enum Input {
    /// A timer has fired.
    Timer(Timer),
    /// The request has come again.
    Request,
    /// The TU answers 1xx. RFC 4320 section 4.1 leaves only 100, and that goes by itself.
    Provisional,
    /// The TU answers 408, which nobody may say (RFC 4320 section 4.2): when it arrives the client has given up, or a
    /// proxy on the way takes us for dead.
    TimedOut,
    /// The TU answers 200 to 699.
    Final(Response),
}

impl Input {
    /// A response by its class.
    pub(super) fn of(response: Response) -> Input {
        match response.status() {
            status if status.is_provisional() => Input::Provisional,
            StatusCode::REQUEST_TIMEOUT => Input::TimedOut,
            _ => Input::Final(response),
        }
    }
}

impl Server {
    /// A new request, and the 100 to be said when the TU says nothing for long.
    pub(super) fn start(trying: Vec<u8>, reply: &ReplyPath, cx: &Context<'_>) -> Server {
        let transport = reply.path.transport;
        let until = cx.deadline(Timer::Unanswered, transport);
        Server { state: State::Trying { trying, at: cx.deadline(Timer::LateTrying, transport), until } }
    }

    /// Follows one arrow of the drawing.
    pub(super) fn step(&mut self, input: Input, reply: &ReplyPath, cx: &mut Context<'_>) {
        let path = reply.path;
        self.state = match (mem::replace(&mut self.state, State::Terminated), input) {
            (State::Trying { trying, until, .. }, Input::Timer(Timer::LateTrying)) => {
                cx.transmit(path, trying.clone());
                State::Proceeding { last: trying, until }
            }
            (state @ State::Trying { .. }, Input::Request) => state,

            (State::Proceeding { last, until }, Input::Request) => {
                cx.transmit(path, last.clone());
                State::Proceeding { last, until }
            }

            (State::Trying { .. } | State::Proceeding { .. }, Input::Final(response)) => {
                let answer = response.to_bytes();
                match cx.lingering(Timer::J, path.transport) {
                    Some(j) => {
                        cx.transmit(path, answer.clone());
                        State::Completed { answer, j }
                    }
                    None => {
                        cx.transmit(path, answer);
                        State::Terminated
                    }
                }
            }
            (State::Trying { .. } | State::Proceeding { .. }, Input::Timer(Timer::Unanswered)) => {
                State::Terminated
            }
            (
                state @ (State::Trying { .. } | State::Proceeding { .. }),
                Input::Provisional | Input::TimedOut,
            ) => state,

            (State::Completed { answer, j }, Input::Request) => {
                cx.transmit(path, answer.clone());
                State::Completed { answer, j }
            }
            (State::Completed { .. }, Input::Timer(Timer::J)) => State::Terminated,
            // One final response is all a request gets.
            (state @ State::Completed { .. }, Input::Provisional | Input::TimedOut | Input::Final(_)) => {
                state
            }

            (State::Terminated, Input::Request | Input::Provisional | Input::TimedOut | Input::Final(_)) => {
                State::Terminated
            }
            // Only the timers that `next_timer` names for a state can fire in it.
            (state, Input::Timer(_)) => state,
        };
    }

    /// The timer that fires next.
    pub(super) fn next_timer(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Trying { at, until, .. } => {
                earliest([(Some(*at), Timer::LateTrying), (Some(*until), Timer::Unanswered)])
            }
            State::Proceeding { until, .. } => Some((*until, Timer::Unanswered)),
            State::Completed { j, .. } => Some((*j, Timer::J)),
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
    use crate::transaction::scene::{Scene, arriving, seconds};

    const UDP: Transport = Transport::Udp;
    const TCP: Transport = Transport::Tcp;

    fn asked(transport: Transport) -> Scene {
        let mut scene = Scene::new();
        again(&mut scene, transport);
        scene
    }

    fn again(scene: &mut Scene, transport: Transport) {
        scene.arrives(&arriving(Method::Options, "z9hG4bKo"), transport);
    }

    #[test]
    fn a_repeated_request_is_answered_the_same_again_until_timer_j() {
        let mut scene = asked(UDP);
        again(&mut scene, UDP);
        assert_eq!(scene.sent.len(), 0, "nothing was said yet");
        scene.respond(200);
        scene.pass(seconds(31.9));
        again(&mut scene, UDP);
        assert_eq!(scene.times("SIP/2.0 200"), [0.0, 31.9]);
        assert_eq!(scene.sent[0].bytes, scene.sent[1].bytes);
        scene.rest();
        assert_eq!(scene.now, Instant::from_millis(32_000));
        assert_eq!(scene.requests(), 1);
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn an_answer_over_tcp_ends_it() {
        let mut scene = asked(TCP);
        scene.respond(200);
        assert_eq!(scene.count("SIP/2.0 200"), 1);
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn silence_becomes_100_when_timer_e_is_t2_and_not_before() {
        for transport in [UDP, TCP] {
            let mut scene = asked(transport);
            scene.pass(seconds(3.49));
            again(&mut scene, transport);
            scene.pass(seconds(1.0));
            again(&mut scene, transport);
            assert_eq!(scene.times("SIP/2.0 100"), [3.5, 4.49], "{transport}");
        }
    }

    #[test]
    fn what_rfc_4320_forbids_is_not_sent() {
        let mut scene = asked(UDP);
        for status in [100, 180, 183, 408] {
            scene.respond(status);
        }
        assert_eq!(scene.sent.len(), 0);
        scene.respond(200);
        assert_eq!(scene.count("SIP/2.0 200"), 1);
    }

    #[test]
    fn one_final_response_is_all_it_gets() {
        let mut scene = asked(UDP);
        for status in [404, 200, 100, 408] {
            scene.respond(status);
        }
        assert_eq!(scene.sent.len(), 1);
        assert_eq!(scene.count("SIP/2.0 404"), 1);
    }

    #[test]
    fn a_user_who_never_answers_leaves_nothing_behind() {
        let mut scene = asked(UDP);
        scene.rest();
        scene.respond(200);
        assert_eq!(scene.now, Instant::from_millis(32_000));
        assert_eq!(scene.sent.len(), 1, "the 100 and no late answer");
        assert!(scene.transactions.is_idle());
    }
}
