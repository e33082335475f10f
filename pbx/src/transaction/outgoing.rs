//! A request of ours on its way: the Via in front, the transport its size asks for, and the ACK and CANCEL made of it.

use super::context::Context;
use super::matching::Branch;
use super::timers::Timer;
use super::via;
use crate::sip::{Method, Name, Path, Request, Response, Transport};
use crate::time::Instant;
use std::net::{IpAddr, SocketAddr};

/// What a request of ours says when the TU did not say it (RFC 3261 section 8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// A request with our Via, and where it goes.
pub(super) struct Outgoing {
    /// The way it takes.
    pub(super) path: Path,
    request: Request,
    /// What goes over the wire, to be sent again as it was.
    bytes: Vec<u8>,
    branch: Branch,
    external: Option<IpAddr>,
    /// UDP was asked for, but the request is too large for it; should the stream fail, UDP is tried after all.
    is_switched: bool,
}

impl Outgoing {
    /// Puts our Via in front and adds what every request must have.
    pub(super) fn new(
        mut request: Request,
        path: Path,
        branch: Branch,
        external: Option<IpAddr>,
    ) -> Outgoing {
        complete(&mut request);
        let via = via::via(path.transport, via::sent_by(&path, external), branch);
        request.headers_mut().push_front(Name::Via, via);
        let bytes = request.to_bytes();
        Outgoing { path, request, bytes, branch, external, is_switched: false }
    }

    /// Takes TCP instead of UDP when it is too large for UDP (RFC 3261 section 18.1.1).
    pub(super) fn take_stream_if_large(&mut self) {
        if via::needs_stream(self.bytes.len(), self.path.transport) {
            self.is_switched = true;
            self.change_transport(Transport::Tcp);
        }
    }

    /// Sends it, for the first time or again, byte for byte.
    pub(super) fn send(&self, cx: &mut Context<'_>) {
        cx.transmit(self.path, self.bytes.clone());
    }

    /// The method.
    pub(super) fn method(&self) -> &Method {
        self.request.method()
    }

    /// Host and port of our Via.
    pub(super) fn sent_by(&self) -> SocketAddr {
        via::sent_by(&self.path, self.external)
    }

    /// The branch of our Via.
    pub(super) fn branch(&self) -> Branch {
        self.branch
    }

    /// When to stop waiting for a stream that was taken because of the size.
    pub(super) fn fallback_at(&self, cx: &Context<'_>) -> Option<Instant> {
        self.is_switched.then(|| cx.deadline(Timer::Fallback, self.path.transport))
    }

    /// Sends over UDP what was too large for it, because the stream failed (RFC 3261 section 18.1.1). The branch stays: it is
    /// the same transaction. False when that is no way out.
    pub(super) fn fall_back(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.is_switched {
            return false;
        }
        self.is_switched = false;
        cx.streamless.note(self.path.remote, cx.now);
        self.change_transport(Transport::Udp);
        self.send(cx);
        true
    }

    /// It arrived and is not repeated any more.
    pub(super) fn forget_bytes(&mut self) {
        self.bytes = Vec::new();
    }

    /// What went over the wire.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The ACK to a refusal (RFC 3261 section 17.1.1.3).
    pub(super) fn ack(&self, refusal: &Response) -> Vec<u8> {
        let to = refusal.headers().get(Name::To).or(self.request.headers().get(Name::To));
        self.companion(Method::Ack, to).to_bytes()
    }

    /// The CANCEL of an INVITE (RFC 3261 section 9.1).
    pub(super) fn cancel(&self, headers: &[(String, String)]) -> Outgoing {
        let mut request = self.companion(Method::Cancel, self.request.headers().get(Name::To));
        for (name, value) in headers {
            request.headers_mut().push_named(name, value);
        }
        Outgoing { bytes: request.to_bytes(), request, is_switched: false, ..*self }
    }

    /// A request that shares with the INVITE its Request-URI, top Via, From, Call-ID, CSeq number and Route.
    fn companion(&self, method: Method, to: Option<&str>) -> Request {
        let invite = self.request.headers();
        let number = self.request.cseq().map_or(0, |cseq| cseq.number);
        let mut request = Request::new(method.clone(), self.request.uri());
        let headers = request.headers_mut();
        headers.push(Name::Via, invite.get(Name::Via).unwrap_or_default());
        for route in invite.all(Name::Route) {
            headers.push(Name::Route, route);
        }
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        headers.push(Name::From, invite.get(Name::From).unwrap_or_default());
        headers.push(Name::To, to.unwrap_or_default());
        headers.push(Name::CallId, self.request.call_id());
        headers.push(Name::CSeq, format_args!("{number} {method}"));
        headers.push(Name::ContentLength, 0);
        request
    }

    fn change_transport(&mut self, transport: Transport) {
        self.path = Path { transport, connection: None, ..self.path };
        let via = via::via(transport, self.sent_by(), self.branch);
        self.request.headers_mut().set_first(Name::Via, via);
        self.bytes = self.request.to_bytes();
    }
}

fn complete(request: &mut Request) {
    if !request.headers().has(Name::MaxForwards) {
        request.headers_mut().push(Name::MaxForwards, MAX_FORWARDS);
    }
    if !request.headers().has(Name::ContentLength) {
        let length = request.body().len();
        request.headers_mut().push(Name::ContentLength, length);
    }
}
