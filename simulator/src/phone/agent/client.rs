//! Client transactions (RFC 3261 section 17.1, RFC 6026 section 7.2).

use super::again::{Again, T4};
use super::transactions::{ClientId, Event, Out};
use pbx::sip::{Method, Name, Path, Request, Response, StatusCode};
use pbx::time::{Duration, Instant};

/// A request of ours and what has come of it.
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) request: Request,
    pub(super) branch: String,
    pub(super) path: Path,
    bytes: Vec<u8>,
    t1: Duration,
    state: State,
}

enum State {
    /// An INVITE that nobody has answered.
    Calling { again: Option<Again>, until: Instant },
    /// An INVITE that somebody works on; in a call that is over nobody waits for ever.
    Proceeding { until: Option<Instant> },
    /// An INVITE that was refused: our ACK goes out once more for every copy of the refusal.
    Refused { ack: Vec<u8>, until: Instant },
    /// An INVITE that was accepted: every 2xx goes up (RFC 6026).
    Accepted { until: Instant },
    /// Any other request without a final response.
    Trying { again: Option<Again>, until: Instant },
    /// Any other request with one: copies are absorbed.
    Answered { until: Instant },
    /// Nothing is waited for.
    Over,
}

impl Client {
    pub(super) fn new(id: ClientId, request: Request, branch: String, path: Path, t1: Duration) -> Client {
        let bytes = request.to_bytes();
        Client { id, request, branch, path, bytes, t1, state: State::Over }
    }

    /// The request goes out.
    pub(super) fn start(&mut self, out: &mut Out, now: Instant) {
        let (is_reliable, until) = (self.path.transport.is_reliable(), now + self.t1 * 64);
        self.state = if self.is_invite() {
            State::Calling { again: (!is_reliable).then(|| Again::doubling(self.t1, now)), until }
        } else {
            State::Trying { again: (!is_reliable).then(|| Again::capped(self.t1, now)), until }
        };
        out.transmit(self.path, self.bytes.clone());
    }

    pub(super) fn receive(&mut self, response: Response, out: &mut Out, now: Instant) {
        let status = response.status();
        let (t1, is_reliable) = (self.t1, self.path.transport.is_reliable());
        match &mut self.state {
            State::Calling { .. } | State::Proceeding { .. } if status.is_provisional() => {
                let until = match self.state {
                    State::Proceeding { until } => until,
                    _ => None,
                };
                self.state = State::Proceeding { until };
            }
            State::Calling { .. } | State::Proceeding { .. } if status.is_success() => {
                self.state = State::Accepted { until: now + t1 * 64 };
            }
            State::Calling { .. } | State::Proceeding { .. } => {
                let ack = self.acknowledgement(&response);
                out.transmit(self.path, ack.clone());
                // Timer D is over at once where nothing comes twice.
                let until = if is_reliable { now } else { now + (t1 * 64).max(Duration::from_secs(32)) };
                self.state = State::Refused { ack, until };
            }
            State::Refused { ack, .. } => {
                if status.is_final() && !status.is_success() {
                    out.transmit(self.path, ack.clone());
                }
                return;
            }
            State::Accepted { .. } => {
                if !status.is_success() {
                    return;
                }
            }
            State::Trying { again, .. } if status.is_provisional() => {
                if let Some(again) = again {
                    again.slow_down();
                }
            }
            State::Trying { .. } => {
                self.state = State::Answered { until: if is_reliable { now } else { now + T4 } };
            }
            State::Answered { .. } | State::Over => return,
        }
        out.tell(Event::Response { client: self.id, response });
    }

    pub(super) fn handle_timeout(&mut self, out: &mut Out, now: Instant) {
        match &mut self.state {
            State::Calling { until, .. }
            | State::Trying { until, .. }
            | State::Proceeding { until: Some(until) }
                if *until <= now =>
            {
                self.fail(StatusCode::REQUEST_TIMEOUT, out);
            }
            State::Calling { again: Some(again), .. } | State::Trying { again: Some(again), .. } => {
                if again.is_due(now) {
                    out.transmit(self.path, self.bytes.clone());
                }
            }
            State::Refused { until, .. } | State::Accepted { until } | State::Answered { until } => {
                if *until <= now {
                    self.state = State::Over;
                }
            }
            State::Calling { .. } | State::Trying { .. } | State::Proceeding { .. } | State::Over => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { again, until } | State::Trying { again, until } => {
                Some(again.map_or(*until, |again| again.at.min(*until)))
            }
            State::Refused { until, .. } | State::Accepted { until } | State::Answered { until } => {
                Some(*until)
            }
            State::Proceeding { until } => *until,
            State::Over => None,
        }
    }

    /// The connection is gone: who waits for an answer waits in vain (RFC 3261 section 17.1.4).
    pub(super) fn path_failed(&mut self, out: &mut Out) {
        match self.state {
            State::Calling { .. } | State::Proceeding { .. } | State::Trying { .. } => {
                self.fail(StatusCode::SERVICE_UNAVAILABLE, out);
            }
            State::Refused { .. } | State::Accepted { .. } | State::Answered { .. } | State::Over => {}
        }
    }

    /// The request once more, as it was.
    pub(super) fn repeat(&self, out: &mut Out) {
        out.transmit(self.path, self.bytes.clone());
    }

    /// Its call is over: a final response may come for 64 * T1 and not for ever.
    pub(super) fn expire(&mut self, now: Instant) {
        if let State::Proceeding { until } = &mut self.state {
            until.get_or_insert(now + self.t1 * 64);
        }
    }

    pub(super) fn end(&mut self) {
        self.state = State::Over;
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(super) fn is_invite(&self) -> bool {
        *self.request.method() == Method::Invite
    }

    /// Whether a provisional and no final response has come, so that a CANCEL makes sense (RFC 3261 section 9.1).
    pub(super) fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// CANCEL for this INVITE (RFC 3261 section 9.1): all but method and CSeq's method as it was.
    pub(super) fn cancel(&self) -> Request {
        self.derived(Method::Cancel)
    }

    fn fail(&mut self, status: StatusCode, out: &mut Out) {
        self.state = State::Over;
        out.tell(Event::Failed { client: self.id, status });
    }

    /// ACK to a refusal (RFC 3261 section 17.1.1.3).
    fn acknowledgement(&self, response: &Response) -> Vec<u8> {
        let mut ack = self.derived(Method::Ack);
        if let Some(to) = response.headers().get(Name::To) {
            ack.headers_mut().set(Name::To, to);
        }
        ack.to_bytes()
    }

    fn derived(&self, method: Method) -> Request {
        let (original, number) = (&self.request, self.request.cseq().map_or(0, |cseq| cseq.number));
        let mut request = Request::new(method.clone(), original.uri());
        let headers = request.headers_mut();
        for name in [Name::Via, Name::MaxForwards, Name::From, Name::To, Name::CallId] {
            if let Some(value) = original.headers().get(name) {
                headers.push(name, value);
            }
        }
        headers.push(Name::CSeq, format_args!("{number} {method}"));
        for route in original.headers().all(Name::Route) {
            headers.push(Name::Route, route);
        }
        headers.push(Name::ContentLength, 0);
        request
    }
}
