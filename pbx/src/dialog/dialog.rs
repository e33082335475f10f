//! The dialog (RFC 3261 section 12): who talks to whom, which number comes next, and the way there.
//!
//! A [`Dialog`] is the same early and confirmed, at the UAC and at the UAS; which it is, is for the session to know. The way
//! from a target to a [`Path`] stands in `target.rs`.

use super::target;
use crate::sip::{ConnectionId, Method, Name, NameAddr, Path, Replaces, Request, Response, Uri};
use std::net::IpAddr;

/// What an INVITE of ours fixes for every dialog that may come of it.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) call_id: String,
    /// From, with our tag.
    pub(super) from: String,
    /// To, without a tag.
    pub(super) to: String,
    /// The CSeq of the INVITE.
    pub(super) cseq: u32,
    /// The Request-URI: the target where a response names none.
    pub(super) uri: String,
    pub(super) path: Path,
}

/// The branches of an INVITE that nobody follows any more, should one of them answer all the same.
#[derive(Clone, Debug)]
pub(super) struct Branches {
    pub(super) origin: Origin,
    /// Early dialogs, which have numbers of their own.
    pub(super) early: Vec<Dialog>,
}

impl Branches {
    /// The dialog of the branch that has answered.
    pub(super) fn dialog(&self, success: &Response) -> Option<Dialog> {
        let tag = success.to_header().ok()?.tag().unwrap_or_default();
        match self.early.iter().find(|dialog| dialog.remote_tag.eq_ignore_ascii_case(tag)) {
            Some(early) => {
                let mut dialog = early.clone();
                dialog.refresh_target(success.contact().ok());
                Some(dialog)
            }
            None => Dialog::of_response(&self.origin, success),
        }
    }
}

/// One peer-to-peer relation, early or confirmed.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    call_id: String,
    /// What From says in our requests, with our tag.
    local: String,
    /// What To says in our requests, with their tag.
    remote: String,
    remote_tag: String,
    local_cseq: u32,
    /// Unknown until the other side has sent a request (RFC 3261 section 12.1.2).
    remote_cseq: Option<u32>,
    route_set: Vec<String>,
    remote_target: String,
    path: Path,
    owns_call_id: bool,
    /// Contact is a SIPS URI (RFC 3261 sections 8.1.1.8 and 12.1.1).
    is_secure: bool,
}

/// A request came with a lower number than one before (RFC 3261 section 12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfOrder;

impl Dialog {
    /// The dialog of an INVITE we received and give `tag` (RFC 3261 section 12.1.1); `None` when it has no usable Contact.
    pub(super) fn of_request(invite: &Request, tag: &str, path: Path) -> Option<Dialog> {
        let from = invite.from().ok()?;
        Some(Dialog {
            call_id: invite.call_id().to_owned(),
            local: format!("{};tag={tag}", invite.headers().get(Name::To)?),
            remote: invite.headers().get(Name::From)?.to_owned(),
            remote_tag: from.tag().unwrap_or_default().to_owned(),
            // Chosen at will; one is easy to read in a ladder.
            local_cseq: 0,
            remote_cseq: invite.cseq().ok().map(|cseq| cseq.number),
            route_set: invite.list(Name::RecordRoute).map(str::to_owned).collect(),
            remote_target: contact_uri(invite.contact().ok())?,
            path,
            owns_call_id: false,
            is_secure: is_sips(invite.uri()),
        })
    }

    /// The dialog that a response makes of our INVITE (RFC 3261 section 12.1.2). Without a To tag it is that of somebody who
    /// knows none.
    pub(super) fn of_response(origin: &Origin, response: &Response) -> Option<Dialog> {
        let tag = response.to_header().ok()?.tag().unwrap_or_default().to_owned();
        let mut route_set: Vec<String> = response.list(Name::RecordRoute).map(str::to_owned).collect();
        route_set.reverse();
        Some(Dialog {
            call_id: origin.call_id.clone(),
            local: origin.from.clone(),
            // Only the tag is theirs: whom we have called we know.
            remote: if tag.is_empty() { origin.to.clone() } else { format!("{};tag={tag}", origin.to) },
            remote_tag: tag,
            local_cseq: origin.cseq,
            remote_cseq: None,
            route_set,
            remote_target: contact_uri(response.contact().ok()).unwrap_or_else(|| origin.uri.clone()),
            path: origin.path,
            owns_call_id: true,
            is_secure: is_sips(&origin.uri),
        })
    }

    /// Whether a request with this Call-ID and From tag, in whatever case (RFC 3261 section 7.3.1), belongs here; our own tag
    /// led to the session already.
    pub(super) fn matches(&self, request: &Request) -> bool {
        let tag = request.from().ok().and_then(|from| from.tag()).unwrap_or_default();
        self.remote_tag.eq_ignore_ascii_case(tag) && self.call_id == request.call_id()
    }

    /// Whether Replaces means this dialog; our own tag led here already (RFC 3891 section 3).
    pub(super) fn is_named_by(&self, replaces: &Replaces<'_>) -> bool {
        let knows_no_tags = self.remote_tag.is_empty() && replaces.from_tag == "0";
        self.call_id == replaces.call_id && (self.remote_tag == replaces.from_tag || knows_no_tags)
    }

    /// Call-ID and the tag of the other side.
    pub(super) fn names(&self) -> (&str, &str) {
        (&self.call_id, &self.remote_tag)
    }

    /// The tag of the other side; empty for one that knows no tags (RFC 2543).
    pub(super) fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// Whether we made the Call-ID, which decides who waits longer after a glare.
    pub(super) fn owns_call_id(&self) -> bool {
        self.owns_call_id
    }

    /// The stream that requests go over, when the peer opened one.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.path.connection
    }

    /// Whether its requests go over a stream, unless they are too large for a datagram.
    pub(super) fn goes_over_stream(&self) -> bool {
        self.path.transport.is_reliable()
    }

    /// Contact as we write it in this dialog.
    pub(super) fn contact(&self, external: Option<IpAddr>) -> String {
        target::contact(&self.path, external, self.is_secure)
    }

    /// The next request within the dialog (RFC 3261 section 12.2.1.1), CSeq one up.
    pub(super) fn request(&mut self, method: Method) -> Request {
        self.local_cseq += 1;
        self.compose(method, self.local_cseq)
    }

    /// The ACK to the 2xx of the INVITE with this CSeq (RFC 3261 section 13.2.2.4).
    pub(super) fn ack(&self, cseq: u32) -> Request {
        self.compose(Method::Ack, cseq)
    }

    /// Gives a request that is sent once more (after 401, 422) the next number.
    pub(super) fn renumber(&mut self, request: &mut Request) {
        self.local_cseq += 1;
        let value = format!("{} {}", self.local_cseq, request.method());
        request.headers_mut().set(Name::CSeq, value);
    }

    /// Where the next request goes.
    pub(super) fn next_hop(&self) -> Path {
        target::next_hop(self.route_set.first().map(String::as_str), &self.remote_target, self.path)
    }

    /// Takes the number of a request that came, any but ACK and CANCEL.
    pub(super) fn count(&mut self, request: &Request) -> Result<(), OutOfOrder> {
        let number = request.cseq().map_err(|_| OutOfOrder)?.number;
        if self.remote_cseq.is_some_and(|last| number < last) {
            return Err(OutOfOrder);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// The peer has sent from here: our next request goes there (see `target.rs`). Behind a proxy it is the route set
    /// that says where requests go, and a request that took TCP only because it is long (RFC 3261 section 18.1.1) moves
    /// nothing.
    pub(super) fn follow(&mut self, path: Path) {
        let is_theirs = self.route_set.is_empty() || path.remote.ip() == self.path.remote.ip();
        if is_theirs && path.transport == self.path.transport {
            self.path = path;
        }
    }

    /// Takes the Contact of a target refresh request or of its 2xx (RFC 3261 section 12.2).
    pub(super) fn refresh_target(&mut self, contact: Option<NameAddr<'_>>) {
        if let Some(uri) = contact_uri(contact) {
            self.remote_target = uri;
        }
    }

    /// The way when the connection is gone over which the peer's messages come.
    pub(super) fn detour(&self) -> Path {
        target::without_connection(&self.remote_target, self.next_hop())
    }

    /// The stream is gone: the next request opens one to where the peer says it listens.
    pub(super) fn forget_connection(&mut self) {
        self.path = target::without_connection(&self.remote_target, self.path);
    }

    fn compose(&self, method: Method, cseq: u32) -> Request {
        let strict = self.route_set.first().filter(|route| !is_loose(route));
        let uri = match strict {
            // The first hop is a strict router: it finds the target at the end of Route.
            Some(route) => NameAddr::parse(route).map(|route| route.uri).unwrap_or(&self.remote_target),
            None => &self.remote_target,
        };
        let mut request = Request::new(method.clone(), uri);
        let headers = request.headers_mut();
        headers.push(Name::MaxForwards, 70);
        headers.push(Name::From, &self.local);
        headers.push(Name::To, &self.remote);
        headers.push(Name::CallId, &self.call_id);
        headers.push(Name::CSeq, format_args!("{cseq} {method}"));
        for route in self.route_set.iter().skip(usize::from(strict.is_some())) {
            headers.push(Name::Route, route);
        }
        if strict.is_some() {
            headers.push(Name::Route, format_args!("<{}>", self.remote_target));
        }
        request
    }
}

/// The URI of a Contact that can become a Request-URI: its `?headers` may not (RFC 3261 section 19.1.1).
fn contact_uri(contact: Option<NameAddr<'_>>) -> Option<String> {
    let contact = contact?;
    let uri = contact.parse_uri().ok()?;
    let text = contact.uri.split_once('?').map_or(contact.uri, |(text, _)| text);
    uri.is_sip().then(|| text.to_owned())
}

fn is_sips(uri: &str) -> bool {
    Uri::parse(uri).is_ok_and(|uri| uri.is_sips())
}

fn is_loose(route: &str) -> bool {
    NameAddr::parse(route)
        .and_then(|route| route.parse_uri().map(|uri| uri.params.has("lr")))
        // What cannot be read is passed on as it is, in Route.
        .unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parse_request, parse_response, path};
    use super::*;

    fn invite(record_route: &str) -> Request {
        parse_request(&format!(
            "INVITE sip:100@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\n{record_route}\
             From: <sip:alice@10.0.0.2>;tag=a\r\nTo: <sip:100@10.0.0.1>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n\
             Contact: <sip:alice@10.0.0.2:5070>\r\nContent-Length: 0\r\n\r\n"
        ))
    }

    fn origin() -> Origin {
        Origin {
            call_id: "c1".into(),
            from: "<sip:us@10.0.0.1>;tag=u".into(),
            to: "<sip:bob@10.0.0.2>".into(),
            cseq: 4,
            uri: "sip:bob@10.0.0.2".into(),
            path: path("10.0.0.1:5060", "10.0.0.2:5060"),
        }
    }

    fn routes(request: &Request) -> Vec<&str> {
        request.list(Name::Route).collect()
    }

    #[test]
    fn the_uas_takes_the_route_set_in_order() {
        let invite = invite("Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n");
        let mut dialog = Dialog::of_request(&invite, "b", path("10.0.0.1:5060", "10.0.0.9:5060")).unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri(), "sip:alice@10.0.0.2:5070");
        assert_eq!(routes(&bye), ["<sip:p1;lr>", "<sip:p2;lr>"]);
        assert_eq!(bye.headers().get(Name::From), Some("<sip:100@10.0.0.1>;tag=b"));
        assert_eq!(bye.headers().get(Name::To), Some("<sip:alice@10.0.0.2>;tag=a"));
    }

    #[test]
    fn the_uac_reverses_the_route_set() {
        let response = parse_response(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n\
             Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\nFrom: <sip:us@10.0.0.1>;tag=u\r\n\
             To: <sip:bob@10.0.0.2>;tag=b\r\nCall-ID: c1\r\nCSeq: 4 INVITE\r\nContact: <sip:bob@10.0.0.2>\r\n\
             Content-Length: 0\r\n\r\n",
        );
        let mut dialog = Dialog::of_response(&origin(), &response).unwrap();
        assert_eq!(routes(&dialog.ack(4)), ["<sip:p2;lr>", "<sip:p1;lr>"]);
        assert_eq!(dialog.request(Method::Bye).cseq().unwrap().number, 5);
        assert_eq!(dialog.request(Method::Info).cseq().unwrap().number, 6);
    }

    #[test]
    fn a_strict_router_gets_the_target_at_the_end_of_route() {
        let invite = invite("Record-Route: <sip:10.0.0.9>, <sip:p2;lr>\r\n");
        let mut dialog = Dialog::of_request(&invite, "b", path("10.0.0.1:5060", "10.0.0.9:5060")).unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri(), "sip:10.0.0.9");
        assert_eq!(routes(&bye), ["<sip:p2;lr>", "<sip:alice@10.0.0.2:5070>"]);
    }

    #[test]
    fn a_lower_number_is_out_of_order() {
        let first = invite("");
        let mut dialog = Dialog::of_request(&first, "b", path("10.0.0.1:5060", "10.0.0.2:5060")).unwrap();
        let mut later = first.clone();
        later.headers_mut().set(Name::CSeq, "9 INVITE");
        assert_eq!(dialog.count(&later), Ok(()));
        assert_eq!(dialog.count(&first), Err(OutOfOrder));
    }
}
