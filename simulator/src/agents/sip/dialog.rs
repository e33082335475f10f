//! One dialog: who the two ends are, and the next request within it (RFC 3261 section 12.2.1.1).

use pbx::sip::{Method, Name, Path, Request, Response, Uri};
use std::net::SocketAddr;

/// A dialog, seen from us.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// From of our requests, with our tag.
    pub(super) local: String,
    /// To of our requests, with their tag as soon as there is one.
    pub(super) remote: String,
    pub(super) local_tag: String,
    pub(super) remote_tag: Option<String>,
    cseq: u32,
    target: String,
    route: Vec<String>,
    path: Path,
}

impl Dialog {
    /// Of an INVITE that came.
    pub(super) fn incoming(invite: &Request, tag: &str, path: Path) -> Dialog {
        let headers = invite.headers();
        let text = |name| headers.get(name).unwrap_or_default().to_owned();
        Dialog {
            call_id: invite.call_id().to_owned(),
            local: format!("{};tag={tag}", text(Name::To)),
            remote: text(Name::From),
            local_tag: tag.to_owned(),
            remote_tag: invite.from().ok().and_then(|from| from.tag().map(str::to_owned)),
            cseq: 0,
            target: contact(invite.contact().ok()),
            route: headers.all(Name::RecordRoute).map(str::to_owned).collect(),
            path,
        }
    }

    /// Of an INVITE that goes out with CSeq 1.
    pub(super) fn outgoing(from: &str, to: &str, uri: &str, tag: &str, call_id: &str, path: Path) -> Dialog {
        Dialog {
            call_id: call_id.to_owned(),
            local: format!("{from};tag={tag}"),
            remote: to.to_owned(),
            local_tag: tag.to_owned(),
            remote_tag: None,
            cseq: 0,
            target: uri.to_owned(),
            route: Vec::new(),
            path,
        }
    }

    /// The other side has answered ours.
    pub(super) fn answered(&mut self, response: &Response) {
        let headers = response.headers();
        self.remote = headers.get(Name::To).unwrap_or_default().to_owned();
        self.remote_tag = response.to_header().ok().and_then(|to| to.tag().map(str::to_owned));
        self.route = headers.all(Name::RecordRoute).map(str::to_owned).collect();
        self.route.reverse();
        self.refresh(response.contact().ok());
    }

    /// The other side is elsewhere from now on, if it says so.
    pub(super) fn refresh(&mut self, contact: Option<pbx::sip::NameAddr<'_>>) {
        if let Some(contact) = contact {
            self.target = contact.uri.to_owned();
        }
    }

    /// The next request, without Contact and body.
    pub(super) fn request(&mut self, method: Method) -> Request {
        self.cseq += 1;
        self.request_with(method, self.cseq)
    }

    /// A request with this CSeq: the ACK has that of its INVITE.
    pub(super) fn request_with(&self, method: Method, cseq: u32) -> Request {
        let mut request = Request::new(method.clone(), &self.target);
        let headers = request.headers_mut();
        for route in &self.route {
            headers.push(Name::Route, route);
        }
        headers.push(Name::MaxForwards, 70);
        headers.push(Name::From, &self.local);
        headers.push(Name::To, &self.remote);
        headers.push(Name::CallId, &self.call_id);
        headers.push(Name::CSeq, format_args!("{cseq} {method}"));
        request
    }

    /// The way to the next hop: the first route, else the target. A stream that is there is kept.
    pub(super) fn path(&self) -> Path {
        if self.path.transport.is_reliable() {
            return self.path;
        }
        let next = self.route.first().map_or(self.target.as_str(), |route| {
            route.trim_start_matches('<').split('>').next().unwrap_or_default()
        });
        let remote = Uri::parse(next).ok().and_then(|uri| {
            Some(SocketAddr::new(uri.host.ip()?, uri.port.unwrap_or(self.path.transport.default_port())))
        });
        Path { remote: remote.unwrap_or(self.path.remote), ..self.path }
    }

    /// Whether a message with these tags belongs to it.
    pub(super) fn is(&self, call_id: &str, local_tag: Option<&str>, remote_tag: Option<&str>) -> bool {
        self.call_id == call_id
            && Some(self.local_tag.as_str()) == local_tag
            && self.remote_tag.as_deref() == remote_tag
    }
}

fn contact(contact: Option<pbx::sip::NameAddr<'_>>) -> String {
    contact.map(|contact| contact.uri.to_owned()).unwrap_or_default()
}
