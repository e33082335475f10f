//! The INVITE client transaction (RFC 3261 section 17.1.1 as changed by RFC 6026, whose figure 5 this is).

use super::context::Context;
use super::outgoing::Outgoing;
use super::timers::{Repetition, Timer, earliest};
use super::{ClientId, Event, Failure};
use crate::sip::{Path, Response};
use crate::time::Instant;
use std::mem;

/// Header lines that ride along with a CANCEL.
pub(super) type Reasons = Vec<(String, String)>;

/// An INVITE we sent.
pub(super) struct InviteClient {
    id: ClientId,
    state: State,
}

enum State {
    /// The INVITE is out and goes out again unless it is answered in time.
    Calling(Calling),
    /// Somebody is ringing; we wait for as long as the TU lets us.
    Proceeding { invite: Box<Outgoing> },
    /// CANCEL is out; the INVITE ends by 487, or by itself when that does not come.
    Cancelling { invite: Box<Outgoing>, until: Instant },
    /// Refused. We repeat our ACK for as long as the refusal is repeated.
    Completed { ack: Vec<u8>, path: Path, d: Instant },
    /// A 2xx came (RFC 6026): the TU sends the ACK and hears of each that follows.
    Accepted { m: Instant },
    /// To be taken away.
    Terminated,
}

struct Calling {
    invite: Box<Outgoing>,
    a: Option<Repetition>,
    b: Instant,
    /// When UDP is tried although the INVITE is large.
    fallback: Option<Instant>,
    /// CANCEL is wished for and waits for a provisional response.
    cancel: Option<Reasons>,
}

/// What may happen to it.
pub(super) enum Input {
    /// A timer has fired.
    Timer(Timer),
    /// 1xx.
    Provisional(Response),
    /// 2xx.
    Success(Response),
    /// 300 to 699.
    Refusal(Response),
    /// The TU wants no answer any more.
    Cancel(Reasons),
    /// The INVITE could not be sent, or its connection broke.
    PathFailed,
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

impl InviteClient {
    /// Sends the INVITE.
    pub(super) fn start(id: ClientId, invite: Outgoing, cx: &mut Context<'_>) -> InviteClient {
        invite.send(cx);
        let calling = Calling {
            a: cx.repetition(Timer::A, invite.path.transport),
            b: cx.deadline(Timer::B, invite.path.transport),
            fallback: invite.fallback_at(cx),
            cancel: None,
            invite: Box::new(invite),
        };
        InviteClient { id, state: State::Calling(calling) }
    }

    /// Follows one arrow of the drawing. Returns the CANCEL, which is a transaction of its own, when it may go now.
    pub(super) fn step(&mut self, input: Input, cx: &mut Context<'_>) -> Option<Outgoing> {
        let mut cancel = None;
        self.state = match (mem::replace(&mut self.state, State::Terminated), input) {
            (State::Calling(calling), Input::Timer(Timer::A)) => State::Calling(calling.repeat(cx)),
            (State::Calling(_), Input::Timer(Timer::B)) => self.fail(Failure::TimedOut, cx),
            (State::Calling(calling), Input::Timer(Timer::Fallback) | Input::PathFailed) => {
                match calling.fall_back(cx) {
                    Some(calling) => State::Calling(calling),
                    None => self.fail(Failure::Transport, cx),
                }
            }
            (State::Calling(calling), Input::Cancel(reasons)) => State::Calling(calling.cancel(reasons)),
            (State::Calling(Calling { mut invite, cancel: reasons, .. }), Input::Provisional(response)) => {
                invite.forget_bytes();
                self.tell(response, cx);
                match reasons {
                    Some(reasons) => cancelling(invite, &reasons, &mut cancel, cx),
                    None => State::Proceeding { invite },
                }
            }
            (State::Calling(Calling { invite, .. }), Input::Refusal(response)) => {
                self.refused(&invite, response, cx)
            }
            (State::Calling(Calling { invite, .. }), Input::Success(response)) => {
                self.accepted(&invite, response, cx)
            }

            (State::Proceeding { invite }, Input::Cancel(reasons)) => {
                cancelling(invite, &reasons, &mut cancel, cx)
            }
            (state @ State::Proceeding { .. }, Input::Provisional(response))
            | (state @ State::Cancelling { .. }, Input::Provisional(response)) => {
                self.tell(response, cx);
                state
            }
            (State::Proceeding { invite } | State::Cancelling { invite, .. }, Input::Refusal(response)) => {
                self.refused(&invite, response, cx)
            }
            (State::Proceeding { invite } | State::Cancelling { invite, .. }, Input::Success(response)) => {
                self.accepted(&invite, response, cx)
            }
            (State::Proceeding { .. } | State::Cancelling { .. }, Input::PathFailed) => {
                self.fail(Failure::Transport, cx)
            }
            (State::Cancelling { .. }, Input::Timer(Timer::Cancelled)) => self.fail(Failure::TimedOut, cx),
            // It is out already.
            (state @ State::Cancelling { .. }, Input::Cancel(_)) => state,

            (State::Completed { ack, path, d }, Input::Refusal(_)) => {
                cx.transmit(path, ack.clone());
                State::Completed { ack, path, d }
            }
            (State::Completed { .. }, Input::Timer(Timer::D)) => State::Terminated,
            // Of a branch that lost, or too late: the TU has been told how it ended.
            (state @ State::Completed { .. }, Input::Provisional(_) | Input::Success(_)) => state,
            (state @ State::Completed { .. }, Input::Cancel(_) | Input::PathFailed) => state,

            (State::Accepted { m }, Input::Success(response)) => {
                self.tell(response, cx);
                State::Accepted { m }
            }
            (State::Accepted { .. }, Input::Timer(Timer::M)) => State::Terminated,
            (state @ State::Accepted { .. }, Input::Provisional(_) | Input::Refusal(_)) => state,
            (state @ State::Accepted { .. }, Input::Cancel(_) | Input::PathFailed) => state,

            (State::Terminated, Input::Provisional(_) | Input::Success(_) | Input::Refusal(_)) => {
                State::Terminated
            }
            (State::Terminated, Input::Cancel(_) | Input::PathFailed) => State::Terminated,
            // Only the timers that `next_timer` names for a state can fire in it.
            (state, Input::Timer(_)) => state,
        };
        cancel
    }

    /// The timer that fires next.
    pub(super) fn next_timer(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Calling(Calling { a, b, fallback, .. }) => {
                let a = a.as_ref().map(|a| a.at);
                earliest([(a, Timer::A), (*fallback, Timer::Fallback), (Some(*b), Timer::B)])
            }
            State::Proceeding { .. } => None,
            State::Cancelling { until, .. } => Some((*until, Timer::Cancelled)),
            State::Completed { d, .. } => Some((*d, Timer::D)),
            State::Accepted { m } => Some((*m, Timer::M)),
            State::Terminated => None,
        }
    }

    /// Where it went, for as long as it is not finally answered.
    pub(super) fn pending_on(&self) -> Option<Path> {
        match &self.state {
            State::Calling(Calling { invite, .. })
            | State::Proceeding { invite }
            | State::Cancelling { invite, .. } => Some(invite.path),
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => None,
        }
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    fn refused(&self, invite: &Outgoing, response: Response, cx: &mut Context<'_>) -> State {
        let ack = invite.ack(&response);
        cx.transmit(invite.path, ack.clone());
        self.tell(response, cx);
        match cx.lingering(Timer::D, invite.path.transport) {
            Some(d) => State::Completed { ack, path: invite.path, d },
            None => State::Terminated,
        }
    }

    fn accepted(&self, invite: &Outgoing, response: Response, cx: &mut Context<'_>) -> State {
        self.tell(response, cx);
        State::Accepted { m: cx.deadline(Timer::M, invite.path.transport) }
    }

    fn tell(&self, response: Response, cx: &mut Context<'_>) {
        cx.tell(Event::Response { id: self.id, response });
    }

    fn fail(&self, why: Failure, cx: &mut Context<'_>) -> State {
        cx.tell(Event::Failed { id: self.id, why });
        State::Terminated
    }
}

impl Calling {
    fn repeat(self, cx: &mut Context<'_>) -> Calling {
        self.invite.send(cx);
        Calling { a: self.a.map(|a| a.again(Timer::A, cx)), ..self }
    }

    /// A CANCEL that overtakes its INVITE finds nothing, so it waits (RFC 3261 section 9.1).
    fn cancel(self, reasons: Reasons) -> Calling {
        Calling { cancel: self.cancel.or(Some(reasons)), ..self }
    }

    fn fall_back(mut self, cx: &mut Context<'_>) -> Option<Calling> {
        if !self.invite.fall_back(cx) {
            return None;
        }
        let a = cx.repetition(Timer::A, self.invite.path.transport);
        Some(Calling { a, fallback: None, ..self })
    }
}

fn cancelling(
    invite: Box<Outgoing>,
    reasons: &Reasons,
    due: &mut Option<Outgoing>,
    cx: &Context<'_>,
) -> State {
    *due = Some(invite.cancel(reasons));
    State::Cancelling { until: cx.deadline(Timer::Cancelled, invite.path.transport), invite }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Message, Method, Name, Transport};
    use crate::transaction::scene::{Scene, parse, path, request, seconds};
    use proptest::prelude::*;

    const UDP: Transport = Transport::Udp;
    const TCP: Transport = Transport::Tcp;

    #[test]
    fn an_unanswered_invite_goes_out_seven_times_with_doubling_gaps() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, UDP);
        scene.rest();
        assert_eq!(scene.times("INVITE"), [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]);
        assert_eq!(scene.failure(), Some(Failure::TimedOut));
        assert_eq!(scene.now, Instant::from_millis(32_000));
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn an_invite_over_tcp_goes_out_once() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, TCP);
        scene.rest();
        assert_eq!(scene.times("INVITE"), [0.0]);
        assert_eq!(scene.failure(), Some(Failure::TimedOut));
        assert_eq!(scene.now, Instant::from_millis(32_000));
    }

    #[test]
    fn repetitions_are_the_same_bytes() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, UDP);
        scene.pass(seconds(20.0));
        assert!(scene.sent.len() > 3);
        assert!(scene.sent.iter().all(|sent| sent.bytes == scene.sent[0].bytes));
    }

    #[test]
    fn a_ringing_invite_is_not_repeated_and_waits_for_ever() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, UDP);
        scene.hear(180);
        scene.hear(180);
        assert_eq!(scene.transactions.poll_timeout(), None);
        scene.hear(200);
        assert_eq!(scene.told(), [180, 180, 200]);
        assert_eq!(scene.count("INVITE"), 1);
    }

    #[test]
    fn a_refusal_is_acknowledged_each_time_and_told_once() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, UDP);
        scene.hear(486);
        scene.pass(seconds(31.0));
        scene.hear(486);
        assert_eq!(scene.count("ACK"), 2);
        assert_eq!(scene.sent[1].bytes, scene.sent[2].bytes);
        assert_eq!(scene.told(), [486]);
        scene.rest();
        assert_eq!(scene.now, Instant::from_millis(32_000), "timer D");
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn a_refusal_over_tcp_is_acknowledged_and_over() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, TCP);
        scene.hear(486);
        assert_eq!(scene.count("ACK"), 1);
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn the_ack_shares_with_the_invite_what_section_17_1_1_3_says() {
        let mut scene = Scene::new();
        let mut invite = request(Method::Invite);
        invite.headers_mut().push(Name::Route, "<sip:proxy.example;lr>");
        scene.send_request(invite, path(UDP));
        scene.hear(404);
        let (Message::Request(invite), Message::Request(ack)) =
            (parse(&scene.sent[0].bytes), scene.last_sent())
        else {
            panic!("two requests went out")
        };
        assert_eq!(*ack.method(), Method::Ack);
        assert_eq!(ack.uri(), invite.uri());
        for name in [Name::Via, Name::From, Name::CallId, Name::Route] {
            assert_eq!(ack.headers().get(name), invite.headers().get(name), "{}", name.as_str());
            assert_eq!(ack.headers().count(name), 1, "{}", name.as_str());
        }
        assert_eq!(ack.headers().get(Name::CSeq), Some("7 ACK"));
        assert_eq!(ack.to_header().expect("an address").tag(), Some("them"));
        assert_eq!(ack.headers().get(Name::MaxForwards), Some("70"));
    }

    #[test]
    fn every_2xx_is_passed_on_until_timer_m_and_nothing_else() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, UDP);
        scene.hear(200);
        scene.hear_tagged(200, "another-branch");
        scene.hear(486);
        scene.hear(180);
        scene.pass(seconds(31.0));
        scene.hear(200);
        assert_eq!(scene.told(), [200, 200, 200]);
        assert_eq!(scene.count("ACK"), 0, "the ACK to a 2xx is the dialog's");
        scene.rest();
        scene.hear(200);
        assert_eq!(scene.told(), [200, 200, 200]);
        assert_eq!(scene.now, Instant::from_millis(32_000));
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn a_cancel_waits_for_a_provisional_response() {
        let mut scene = Scene::new();
        let id = scene.send(Method::Invite, UDP);
        scene.cancel(id);
        scene.pass(seconds(1.0));
        assert_eq!((scene.count("CANCEL"), scene.count("INVITE")), (0, 2));
        scene.hear(100);
        assert_eq!(scene.count("CANCEL"), 1);
        scene.hear(487);
        assert_eq!(scene.told(), [100, 487]);
        assert_eq!(scene.count("ACK"), 1);
    }

    #[test]
    fn a_cancel_is_the_invite_with_another_method() {
        let mut scene = Scene::new();
        let id = scene.send(Method::Invite, UDP);
        scene.hear(180);
        scene.cancel(id);
        let (Message::Request(invite), Message::Request(cancel)) =
            (parse(&scene.sent[0].bytes), scene.last_sent())
        else {
            panic!("two requests went out")
        };
        assert_eq!(*cancel.method(), Method::Cancel);
        assert_eq!(cancel.uri(), invite.uri());
        for name in [Name::Via, Name::From, Name::To, Name::CallId] {
            assert_eq!(cancel.headers().get(name), invite.headers().get(name), "{}", name.as_str());
        }
        assert_eq!(cancel.headers().get(Name::CSeq), Some("7 CANCEL"));
        assert_eq!(cancel.headers().get(Name::Reason), Some("SIP ;cause=200"));
    }

    #[test]
    fn a_final_response_is_not_cancelled() {
        for status in [200, 486] {
            let mut scene = Scene::new();
            let id = scene.send(Method::Invite, UDP);
            scene.cancel(id);
            scene.hear(status);
            scene.cancel(id);
            scene.rest();
            assert_eq!(scene.count("CANCEL"), 0, "after {status}");
        }
    }

    #[test]
    fn a_cancelled_invite_that_stays_silent_times_out() {
        let mut scene = Scene::new();
        let id = scene.send(Method::Invite, UDP);
        scene.hear(180);
        scene.pass(seconds(10.0));
        scene.cancel(id);
        scene.cancel(id);
        scene.rest();
        assert_eq!(scene.count("CANCEL"), 11, "a transaction of its own, and one only");
        assert_eq!(scene.told(), [180, 0]);
        assert_eq!(scene.failure(), Some(Failure::TimedOut));
        assert_eq!(scene.now, Instant::from_millis(42_000));
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn a_path_that_fails_ends_it() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, UDP);
        scene.path_fails(path(TCP));
        assert_eq!(scene.failure(), None, "that was another transport");
        scene.path_fails(path(UDP));
        assert_eq!(scene.failure(), Some(Failure::Transport));
        assert!(scene.transactions.is_idle());
    }

    proptest! {
        /// Section 17.1.1.2: sends at 0, T1, 3*T1, 7*T1, ..., before 64*T1, whatever T1 is and whenever an answer comes.
        #[test]
        fn sends_follow_timer_a_until_the_answer(t1 in 1u64..10_000, answered in 0.0f64..70.0, status in 100u16..700) {
            let t1 = crate::time::Duration::from_millis(t1);
            let mut scene = Scene::with_t1(t1);
            scene.send(Method::Invite, UDP);
            // Between two moments of the table, so that no answer meets a timer.
            let answered = answered.floor() + 0.5;
            scene.pass(t1.mul_f64(answered));
            scene.hear(status);
            scene.pass(t1 * 100);
            let expected: Vec<f64> = [0u32, 1, 3, 7, 15, 31, 63]
                .into_iter()
                .filter(|&at| f64::from(at) < answered)
                .map(|at| (t1 * at).as_secs_f64())
                .collect();
            prop_assert_eq!(scene.times("INVITE"), expected);
            let told = if answered < 64.0 { status } else { 0 };
            prop_assert_eq!(scene.told(), vec![told]);
        }
    }
}
