//! A dialog (RFC 3261 section 12): two tags, two numbers, a way.

use super::Agent;
use pbx::sip::{Method, Name, NameAddr, Path, Request, Response, Transport, Uri};
use std::net::SocketAddr;

/// One side's end of a dialog; before the first tag has come it is what an INVITE says of itself.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// From of our requests, tag and all.
    local: String,
    pub(super) local_tag: String,
    /// To of our requests, with its tag once there is one.
    remote: String,
    pub(super) remote_tag: Option<String>,
    /// The number of our last request.
    pub(super) cseq: u32,
    /// The number of their last request.
    pub(super) remote_cseq: Option<u32>,
    /// Where they want requests.
    target: String,
    /// Over whom.
    routes: Vec<String>,
    /// Where requests go when neither a route nor the target says it in numbers.
    fallback: Path,
}

impl Dialog {
    /// The beginning of one that we want.
    pub(super) fn new(call_id: String, tag: String, from: &str, to: &str, path: Path) -> Dialog {
        Dialog {
            call_id,
            local: format!("<{from}>;tag={tag}"),
            local_tag: tag,
            remote: format!("<{to}>"),
            remote_tag: None,
            cseq: 0,
            remote_cseq: None,
            target: to.to_owned(),
            routes: Vec::new(),
            fallback: path,
        }
    }

    /// What an INVITE of ours says of it.
    pub(super) fn of_invite(request: &Request, path: Path) -> Dialog {
        let header = |name| request.headers().get(name).unwrap_or_default().to_owned();
        Dialog {
            call_id: request.call_id().to_owned(),
            local: header(Name::From),
            local_tag: tag_of(request.from().ok()).unwrap_or_default(),
            remote: header(Name::To),
            remote_tag: tag_of(request.to_header().ok()),
            cseq: request.cseq().map_or(0, |cseq| cseq.number),
            remote_cseq: None,
            target: request.uri().to_owned(),
            routes: Vec::new(),
            fallback: path,
        }
    }

    /// What a response makes of it (section 12.1.2).
    pub(super) fn established(&self, response: &Response) -> Dialog {
        let mut routes: Vec<String> = response.headers().list(Name::RecordRoute).map(str::to_owned).collect();
        routes.reverse();
        let mut dialog = self.clone();
        dialog.remote_tag = tag_of(response.to_header().ok());
        // Only the tag is theirs: whom we have called we know.
        if let Some(tag) = dialog.remote_tag.as_ref().filter(|_| self.remote_tag.is_none()) {
            dialog.remote = format!("{};tag={tag}", self.remote);
        }
        dialog.routes = routes;
        dialog.retarget(response.contact().ok());
        dialog
    }

    /// The dialog of a request that came (section 12.1.1).
    pub(super) fn of_request(request: &Request, tag: &str, path: Path) -> Dialog {
        let mut dialog = Dialog {
            call_id: request.call_id().to_owned(),
            local: format!("{};tag={tag}", request.headers().get(Name::To).unwrap_or_default()),
            local_tag: tag.to_owned(),
            remote: request.headers().get(Name::From).unwrap_or_default().to_owned(),
            remote_tag: tag_of(request.from().ok()),
            cseq: 0,
            remote_cseq: request.cseq().ok().map(|cseq| cseq.number),
            target: String::new(),
            routes: request.headers().list(Name::RecordRoute).map(str::to_owned).collect(),
            fallback: Path { connection: None, ..path },
        };
        dialog.retarget(request.contact().ok());
        dialog
    }

    /// The other side has moved (section 12.2.1.2).
    pub(super) fn retarget(&mut self, contact: Option<NameAddr<'_>>) {
        // What cannot be read leads nowhere.
        if let Some(contact) = contact.filter(|contact| contact.parse_uri().is_ok_and(|uri| uri.is_sip())) {
            contact.uri.clone_into(&mut self.target);
        }
    }

    /// Whether a request from the other side is in this dialog.
    pub(super) fn has(&self, request: &Request) -> bool {
        self.call_id == request.call_id()
            && is_same_tag(tag_of(request.to_header().ok()).as_deref(), Some(&self.local_tag))
            && is_same_tag(tag_of(request.from().ok()).as_deref(), self.remote_tag.as_deref())
    }

    /// The next request in it (section 12.2.1.1). All routers of this world are loose.
    pub(super) fn request(&mut self, method: Method) -> Request {
        self.cseq += 1;
        self.numbered(method, self.cseq)
    }

    /// The ACK to a 2xx has the number of its INVITE (section 13.2.2.4).
    pub(super) fn ack(&self, number: u32) -> Request {
        let mut ack = self.numbered(Method::Ack, number);
        ack.headers_mut().push(Name::ContentLength, 0);
        ack
    }

    /// Where requests go first.
    pub(super) fn path(&self) -> Path {
        let first = self.routes.first().map(|route| NameAddr::parse(route).map_or("", |route| route.uri));
        let uri = Uri::parse(first.unwrap_or(&self.target));
        let Some((ip, uri)) = uri.ok().and_then(|uri| Some((uri.host.ip()?, uri))) else {
            return self.fallback;
        };
        let transport = uri.transport().unwrap_or(Transport::Udp);
        let port = uri.port.unwrap_or(transport.default_port());
        Path { transport, remote: SocketAddr::new(ip, port), ..self.fallback }
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    fn numbered(&self, method: Method, number: u32) -> Request {
        let mut request = Request::new(method.clone(), &self.target);
        let headers = request.headers_mut();
        for route in &self.routes {
            headers.push(Name::Route, route);
        }
        headers.push(Name::MaxForwards, 70);
        headers.push(Name::From, &self.local);
        headers.push(Name::To, &self.remote);
        headers.push(Name::CallId, &self.call_id);
        headers.push(Name::CSeq, format_args!("{number} {method}"));
        request
    }
}

impl Agent {
    /// The beginning of a dialog with a number of the PBX.
    pub(super) fn new_dialog(&mut self, number: &str) -> Dialog {
        let (call_id, tag) = (self.rng.token(22), self.rng.token(10));
        let domain = &self.identity.domain;
        let from = format!("sip:{}@{domain}", self.identity.user);
        let to = if number.contains(':') { number.to_owned() } else { format!("sip:{number}@{domain}") };
        Dialog::new(call_id, tag, &from, &to, self.identity.path)
    }

    /// Where we want requests, over this path.
    pub(super) fn contact(&self, path: Path) -> String {
        let user = &self.identity.user;
        if self.ways.has(super::Misbehaviour::NamesItself) {
            return format!("<sip:{user}@{}>", super::super::misbehaviour::UNKNOWN_NAME);
        }
        match path.transport {
            Transport::Udp => format!("<sip:{user}@{}>", path.local),
            stream => format!("<sip:{user}@{};transport={}>", place(&path), token(stream)),
        }
    }
}

/// What we call where we are. Who has come by a WebSocket listens nowhere (RFC 7118 section 5), and says so.
pub(in crate::phone) fn place(path: &Path) -> String {
    match path.transport {
        Transport::Ws | Transport::Wss => {
            format!("{}.invalid", path.local.ip().to_string().replace(['.', ':'], "-"))
        }
        Transport::Udp | Transport::Tcp | Transport::Tls => path.local.to_string(),
    }
}

/// The value of the parameter `transport`: one for both kinds of WebSockets.
pub(in crate::phone) fn token(transport: Transport) -> &'static str {
    match transport {
        Transport::Wss => Transport::Ws.uri_token(),
        other => other.uri_token(),
    }
}

/// Tags are the same in whatever case (section 7.3.1).
pub(super) fn is_same_tag(one: Option<&str>, other: Option<&str>) -> bool {
    one.unwrap_or_default().eq_ignore_ascii_case(other.unwrap_or_default())
}

/// The tag of an address.
pub(super) fn tag_of(address: Option<NameAddr<'_>>) -> Option<String> {
    address.and_then(|address| address.tag().map(str::to_owned))
}
