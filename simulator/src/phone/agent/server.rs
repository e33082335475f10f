//! Server transactions (RFC 3261 section 17.2, RFC 6026 section 7.1).

use super::again::{Again, T4};
use super::transactions::{Event, Out, ServerId};
use pbx::sip::{Method, Name, Path, Request, Response, StatusCode};
use pbx::time::{Duration, Instant};
use std::net::SocketAddr;

/// An INVITE that was not answered for so long is at least being tried (RFC 3261 section 17.2.1).
const TRYING: Duration = Duration::from_millis(200);

/// A request that came and what was said to it.
pub(super) struct Server {
    pub(super) id: ServerId,
    pub(super) request: Request,
    pub(super) path: Path,
    branch: String,
    sent_by: String,
    t1: Duration,
    state: State,
}

enum State {
    /// An INVITE without final response; the last provisional one is repeated with it.
    Proceeding { trying_at: Option<Instant>, last: Option<Vec<u8>> },
    /// An INVITE that was refused: repeated until ACK.
    Refused { last: Vec<u8>, again: Option<Again>, until: Instant },
    /// An INVITE whose refusal was acknowledged.
    Confirmed { until: Instant },
    /// An INVITE that was accepted: copies of it are absorbed, copies of the 2xx are the dialog's business (RFC 6026).
    Accepted { until: Instant },
    /// Any other request, not answered yet.
    Trying,
    /// Any other request, answered.
    Answered { last: Vec<u8>, until: Instant },
    /// Nothing is waited for.
    Over,
}

impl Server {
    pub(super) fn new(id: ServerId, request: Request, path: Path, t1: Duration, now: Instant) -> Server {
        let state = if *request.method() == Method::Invite {
            State::Proceeding { trying_at: Some(now + TRYING), last: None }
        } else {
            State::Trying
        };
        let (branch, sent_by) = key(&request).unwrap_or_default();
        let path = Path { remote: way_back(&request, path), ..path };
        Server { id, request, path, branch, sent_by, t1, state }
    }

    /// Whether `request` belongs here (RFC 3261 section 17.2.3): an ACK belongs to its INVITE.
    pub(super) fn matches(&self, request: &Request, branch: &str, sent_by: &str) -> bool {
        let method = match request.method() {
            Method::Ack => &Method::Invite,
            method => method,
        };
        self.is_at(branch, sent_by) && self.request.method() == method
    }

    pub(super) fn is_at(&self, branch: &str, sent_by: &str) -> bool {
        self.branch.eq_ignore_ascii_case(branch) && self.sent_by == sent_by
    }

    /// A copy of the request has come, or its ACK.
    pub(super) fn receive(&mut self, request: Request, out: &mut Out, now: Instant) {
        let is_ack = *request.method() == Method::Ack;
        match &mut self.state {
            State::Proceeding { last: Some(last), .. } | State::Answered { last, .. } if !is_ack => {
                out.transmit(self.path, last.clone());
            }
            State::Refused { .. } if is_ack => {
                let is_reliable = self.path.transport.is_reliable();
                self.state = State::Confirmed { until: if is_reliable { now } else { now + T4 } };
            }
            State::Refused { last, .. } => out.transmit(self.path, last.clone()),
            // Some acknowledge a 2xx with the INVITE's branch: the dialog is to know.
            State::Accepted { .. } if is_ack => out.tell(Event::Ack { request }),
            State::Proceeding { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Trying
            | State::Answered { .. }
            | State::Over => {}
        }
    }

    /// What is said to it.
    pub(super) fn respond(&mut self, response: &Response, out: &mut Out, now: Instant) {
        let (status, bytes) = (response.status(), response.to_bytes());
        let (until, is_reliable) = (now + self.t1 * 64, self.path.transport.is_reliable());
        self.state = match &self.state {
            State::Proceeding { .. } if status.is_provisional() => {
                State::Proceeding { trying_at: None, last: Some(bytes.clone()) }
            }
            State::Proceeding { .. } if status.is_success() => State::Accepted { until },
            State::Proceeding { .. } => {
                let again = (!is_reliable).then(|| Again::capped(self.t1, now));
                State::Refused { last: bytes.clone(), again, until }
            }
            State::Trying => {
                State::Answered { last: bytes.clone(), until: if is_reliable { now } else { until } }
            }
            // It has had its final response.
            State::Refused { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Answered { .. }
            | State::Over => return,
        };
        out.transmit(self.path, bytes);
    }

    pub(super) fn handle_timeout(&mut self, out: &mut Out, now: Instant) {
        match &mut self.state {
            State::Proceeding { trying_at: Some(at), .. } if *at <= now => {
                let trying = Response::to(&self.request, StatusCode::TRYING, None);
                self.respond(&trying, out, now);
            }
            State::Refused { until, .. }
            | State::Confirmed { until }
            | State::Accepted { until }
            | State::Answered { until, .. }
                if *until <= now =>
            {
                self.state = State::Over;
            }
            State::Refused { last, again: Some(again), .. } => {
                if again.is_due(now) {
                    out.transmit(self.path, last.clone());
                }
            }
            State::Proceeding { .. }
            | State::Refused { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Trying
            | State::Answered { .. }
            | State::Over => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Proceeding { trying_at, .. } => *trying_at,
            State::Refused { again, until, .. } => Some(again.map_or(*until, |again| again.at.min(*until))),
            State::Confirmed { until } | State::Accepted { until } | State::Answered { until, .. } => {
                Some(*until)
            }
            State::Trying | State::Over => None,
        }
    }

    /// Nothing will be said to it; what it asks is forgotten.
    pub(super) fn end(&mut self) {
        self.state = State::Over;
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

/// What a server transaction is known by: the branch and who has made it.
pub(super) fn key(request: &Request) -> Option<(String, String)> {
    let via = request.via().ok()?;
    Some((via.branch()?.to_owned(), via.sent_by().to_string()))
}

/// Writes into the topmost Via where the request came from (RFC 3261 section 18.2.1, RFC 3581 section 4).
pub(super) fn stamp(request: &mut Request, source: SocketAddr) {
    let Ok(via) = request.via() else { return };
    let asks = via.params.has("rport");
    if !asks && via.host.ip() == Some(source.ip()) {
        return;
    }
    let mut stamped = format!("SIP/2.0/{} {}", via.transport, via.sent_by());
    for (name, value) in via.params.iter() {
        match (name, value) {
            ("rport" | "received", _) => {}
            (name, Some(value)) => stamped.push_str(&format!(";{name}={value}")),
            (name, None) => stamped.push_str(&format!(";{name}")),
        }
    }
    stamped.push_str(&format!(";received={}", source.ip()));
    if asks {
        stamped.push_str(&format!(";rport={}", source.port()));
    }
    request.headers_mut().set_first(Name::Via, stamped);
}

/// Where the response goes (RFC 3261 section 18.2.2): back through the connection, or to where the datagram came from,
/// at the port that Via names unless `rport` asks for the real one.
fn way_back(request: &Request, path: Path) -> SocketAddr {
    let Ok(via) = request.via() else { return path.remote };
    if path.transport.is_reliable() || via.params.has("rport") {
        return path.remote;
    }
    SocketAddr::new(path.remote.ip(), via.port.unwrap_or(path.transport.default_port()))
}
