//! The client transaction of every request but INVITE (RFC 3261 section 17.1.2, figure 6).

use super::context::Context;
use super::outgoing::Outgoing;
use super::timers::{Repetition, Timer, earliest};
use super::{ClientId, Event, Failure};
use crate::sip::{Method, Path, Response};
use crate::time::Instant;
use std::mem;

/// A request other than INVITE that we sent.
pub(super) struct Client {
    id: ClientId,
    whose: Whose,
    state: State,
}

/// Who asked for the request.
#[derive(Clone, Copy)]
enum Whose {
    /// The TU, which wants to know.
    User,
    /// We did: a CANCEL, whose fate shows in the INVITE.
    Ours,
}

enum State {
    /// The request is out and goes out again unless it is answered in time.
    Trying { request: Box<Outgoing>, e: Option<Repetition>, f: Instant, fallback: Option<Instant> },
    /// It arrived, but is not answered; it goes out again every T2.
    Proceeding { request: Box<Outgoing>, e: Option<Repetition>, f: Instant },
    /// Answered. We absorb repetitions of the answer.
    Completed { k: Instant },
    /// To be taken away.
    Terminated,
}

/// What may happen to it.
pub(super) enum Input {
    /// A timer has fired.
    Timer(Timer),
    /// 1xx.
    Provisional(Response),
    /// 200 to 699.
    Final(Response),
    /// The request could not be sent, or its connection broke.
    PathFailed,
}

impl Input {
    /// A response by its class.
    pub(super) fn of(response: Response) -> Input {
        if response.status().is_provisional() { Input::Provisional(response) } else { Input::Final(response) }
    }
}

impl Client {
    /// Sends the request.
    pub(super) fn start(id: ClientId, request: Outgoing, cx: &mut Context<'_>) -> Client {
        request.send(cx);
        let whose = if *request.method() == Method::Cancel { Whose::Ours } else { Whose::User };
        let state = State::Trying {
            e: cx.repetition(Timer::E, request.path.transport),
            f: cx.deadline(Timer::F, request.path.transport),
            fallback: request.fallback_at(cx),
            request: Box::new(request),
        };
        Client { id, whose, state }
    }

    /// Follows one arrow of the drawing.
    pub(super) fn step(&mut self, input: Input, cx: &mut Context<'_>) {
        self.state = match (mem::replace(&mut self.state, State::Terminated), input) {
            (State::Trying { request, e, f, fallback }, Input::Timer(Timer::E)) => {
                request.send(cx);
                State::Trying { request, e: e.map(|e| e.again(Timer::E, cx)), f, fallback }
            }
            (State::Trying { mut request, f, .. }, Input::Timer(Timer::Fallback) | Input::PathFailed) => {
                if request.fall_back(cx) {
                    let e = cx.repetition(Timer::E, request.path.transport);
                    State::Trying { request, e, f, fallback: None }
                } else {
                    self.fail(Failure::Transport, cx)
                }
            }
            (State::Trying { request, e, f, .. }, Input::Provisional(response)) => {
                self.tell(response, cx);
                State::Proceeding { request, e, f }
            }

            (State::Proceeding { request, e, f }, Input::Timer(Timer::E)) => {
                request.send(cx);
                State::Proceeding { request, e: e.map(|e| e.again_while_proceeding(cx)), f }
            }
            (state @ State::Proceeding { .. }, Input::Provisional(response)) => {
                self.tell(response, cx);
                state
            }
            (State::Proceeding { .. }, Input::PathFailed) => self.fail(Failure::Transport, cx),

            (State::Trying { .. } | State::Proceeding { .. }, Input::Timer(Timer::F)) => {
                self.fail(Failure::TimedOut, cx)
            }
            (State::Trying { request, .. } | State::Proceeding { request, .. }, Input::Final(response)) => {
                self.tell(response, cx);
                match cx.lingering(Timer::K, request.path.transport) {
                    Some(k) => State::Completed { k },
                    None => State::Terminated,
                }
            }

            (State::Completed { .. }, Input::Timer(Timer::K)) => State::Terminated,
            (state @ State::Completed { .. }, Input::Provisional(_) | Input::Final(_)) => state,
            (state @ State::Completed { .. }, Input::PathFailed) => state,

            (State::Terminated, Input::Provisional(_) | Input::Final(_) | Input::PathFailed) => {
                State::Terminated
            }
            // Only the timers that `next_timer` names for a state can fire in it.
            (state, Input::Timer(_)) => state,
        };
    }

    /// The timer that fires next.
    pub(super) fn next_timer(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Trying { e, f, fallback, .. } => {
                let e = e.as_ref().map(|e| e.at);
                earliest([(e, Timer::E), (*fallback, Timer::Fallback), (Some(*f), Timer::F)])
            }
            State::Proceeding { e, f, .. } => {
                earliest([(e.as_ref().map(|e| e.at), Timer::E), (Some(*f), Timer::F)])
            }
            State::Completed { k } => Some((*k, Timer::K)),
            State::Terminated => None,
        }
    }

    /// Where it went, for as long as it is not finally answered.
    pub(super) fn pending_on(&self) -> Option<Path> {
        match &self.state {
            State::Trying { request, .. } | State::Proceeding { request, .. } => Some(request.path),
            State::Completed { .. } | State::Terminated => None,
        }
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    fn tell(&self, response: Response, cx: &mut Context<'_>) {
        match self.whose {
            Whose::User => cx.tell(Event::Response { id: self.id, response }),
            Whose::Ours => {}
        }
    }

    fn fail(&self, why: Failure, cx: &mut Context<'_>) -> State {
        match self.whose {
            Whose::User => cx.tell(Event::Failed { id: self.id, why }),
            Whose::Ours => {}
        }
        State::Terminated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Name, Transport};
    use crate::transaction::scene::{Scene, path, request, seconds};
    use proptest::prelude::*;

    const UDP: Transport = Transport::Udp;
    const TCP: Transport = Transport::Tcp;

    #[test]
    fn an_unanswered_request_goes_out_eleven_times_and_not_less_often_than_t2() {
        let mut scene = Scene::new();
        scene.send(Method::Bye, UDP);
        scene.rest();
        let expected = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5];
        assert_eq!(scene.times("BYE"), expected);
        assert_eq!(scene.failure(), Some(Failure::TimedOut));
        assert_eq!(scene.now, Instant::from_millis(32_000));
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn a_request_over_tcp_goes_out_once() {
        let mut scene = Scene::new();
        scene.send(Method::Options, TCP);
        scene.rest();
        assert_eq!(scene.times("OPTIONS"), [0.0]);
        assert_eq!(scene.failure(), Some(Failure::TimedOut));
    }

    #[test]
    fn after_a_provisional_response_it_goes_out_every_t2() {
        let mut scene = Scene::new();
        scene.send(Method::Options, UDP);
        scene.pass(seconds(0.7));
        scene.hear(100);
        scene.rest();
        let expected = [0.0, 0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5];
        assert_eq!(scene.times("OPTIONS"), expected);
        assert_eq!(scene.told(), [100, 0]);
        assert_eq!(scene.now, Instant::from_millis(32_000), "timer F goes on");
    }

    #[test]
    fn the_answer_is_told_once_and_its_copies_are_absorbed_for_t4() {
        let mut scene = Scene::new();
        scene.send(Method::Register, UDP);
        scene.hear(200);
        scene.hear(200);
        scene.hear(100);
        assert_eq!(scene.told(), [200]);
        scene.rest();
        assert_eq!(scene.now, Instant::from_millis(5_000), "timer K");
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn an_answer_over_tcp_ends_it() {
        let mut scene = Scene::new();
        scene.send(Method::Register, TCP);
        scene.hear(401);
        assert_eq!(scene.told(), [401]);
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn a_path_that_fails_after_the_answer_changes_nothing() {
        let mut scene = Scene::new();
        scene.send(Method::Register, UDP);
        scene.hear(200);
        scene.path_fails(path(UDP));
        assert_eq!(scene.told(), [200]);
    }

    #[test]
    fn a_connection_that_breaks_fails_what_went_over_it() {
        let over = |connection| Path { connection: Some(crate::sip::ConnectionId(connection)), ..path(TCP) };
        let mut scene = Scene::new();
        scene.send_request(request(Method::Options), over(1));
        scene.path_fails(over(2));
        scene.path_fails(path(TCP));
        assert_eq!(scene.failure(), None, "another connection broke, another could not be made");
        scene.path_fails(over(1));
        assert_eq!(scene.failure(), Some(Failure::Transport));
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn a_request_that_named_no_connection_fails_with_any_to_its_remote() {
        let mut scene = Scene::new();
        scene.send(Method::Options, TCP);
        scene.path_fails(Path { connection: Some(crate::sip::ConnectionId(1)), ..path(TCP) });
        assert_eq!(scene.failure(), Some(Failure::Transport));
    }

    #[test]
    fn a_request_says_what_every_request_must() {
        let mut scene = Scene::new();
        scene.send(Method::Options, UDP);
        let headers = scene.last_sent().headers().clone();
        assert_eq!(headers.get(Name::MaxForwards), Some("70"));
        assert_eq!(headers.get(Name::ContentLength), Some("0"));
    }

    proptest! {
        /// Section 17.1.2.2, computed another way: gaps of T1 that double up to T2, from the first provisional response on T2.
        #[test]
        fn sends_follow_timer_e_until_the_answer(
            t1 in 1u64..8_000,
            provisional in 0u64..64_000,
            answered in 0u64..64_000,
        ) {
            // Odd microseconds, so that no response meets a timer.
            let t1 = t1 * 1_000;
            let scale = |moment: u64| moment * t1 / 1_000 / 2 * 2 + 1;
            let (provisional, answered) = (scale(provisional), scale(answered));
            let mut scene = Scene::with_t1(crate::time::Duration::from_micros(t1));
            scene.send(Method::Options, UDP);
            let micros = crate::time::Duration::from_micros;
            if provisional < answered {
                scene.pass(micros(provisional));
                scene.hear(100);
                scene.pass(micros(answered - provisional));
            } else {
                scene.pass(micros(answered));
            }
            scene.hear(200);
            scene.pass(micros(100 * t1));

            let (mut expected, mut at, mut gap) = (vec![0.0], 0, t1);
            loop {
                at += gap;
                if at >= answered {
                    break;
                }
                expected.push(micros(at).as_secs_f64());
                gap = if at > provisional { 4_000_000 } else { (2 * gap).min(4_000_000) };
            }
            prop_assert_eq!(scene.times("OPTIONS"), expected);
            prop_assert_eq!(scene.told().last().copied(), Some(200));
            prop_assert_eq!(scene.told().len(), if provisional < answered { 2 } else { 1 });
        }
    }
}
