//! Where a message goes, and what Via says about it (RFC 3261 section 18, RFC 3581).

use super::matching::Branch;
use crate::sip::{Name, Path, Request, Transport, Via, quoted_list};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// A request larger than this does not go over UDP (RFC 3261 section 18.1.1): the MTU of the path is not known, and the
/// response will be larger than the request.
const LARGEST_UDP_REQUEST: usize = 1300;

/// Whether a request of so many bytes has to change from `transport` to a stream (RFC 3261 section 18.1.1).
pub fn needs_stream(bytes: usize, transport: Transport) -> bool {
    bytes > LARGEST_UDP_REQUEST && !transport.is_reliable()
}

/// The address that responses to a request of ours on `path` come to, as Via names it.
pub(super) fn sent_by(path: &Path, external: Option<IpAddr>) -> SocketAddr {
    match external {
        Some(address) if address.is_ipv4() == path.local.is_ipv4() => {
            SocketAddr::new(address, path.local.port())
        }
        Some(_) | None => path.local,
    }
}

/// The value of our Via. `rport` asks for the response to come back through whatever translates addresses on the way;
/// on a stream it does so anyway.
pub(super) fn via(transport: Transport, sent_by: SocketAddr, branch: Branch) -> String {
    let rport = if transport.is_reliable() { "" } else { ";rport" };
    format!("SIP/2.0/{} {sent_by};branch={branch}{rport}", transport.via_token())
}

/// Notes on the top Via where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4).
pub(super) fn stamp(request: &mut Request, source: SocketAddr) {
    let Some(line) = request.headers().get(Name::Via) else { return };
    let top = quoted_list(line).next().unwrap_or_default();
    let Ok(via) = Via::parse(top) else { return };
    let rport = via.params.has("rport");
    if !rport && via.host.ip() == Some(source.ip()) && !via.params.has("received") {
        return;
    }
    let sent = top.split(';').next().unwrap_or_default();
    let mut stamped = String::with_capacity(line.len() + 40);
    stamped.push_str(sent);
    for (name, value) in via.params.iter() {
        match value {
            _ if name.eq_ignore_ascii_case("rport") || name.eq_ignore_ascii_case("received") => {}
            Some(value) => stamped.extend([";", name, "=", value]),
            None => stamped.extend([";", name]),
        }
    }
    if rport {
        let _ = write!(stamped, ";rport={}", source.port());
    }
    let _ = write!(stamped, ";received={}", source.ip());
    for below in quoted_list(line).skip(1) {
        stamped.extend([", ", below]);
    }
    request.headers_mut().set_first(Name::Via, stamped);
}

/// Where the responses to a request go (RFC 3261 section 18.2.2, RFC 3581 section 4).
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyPath {
    /// The way to take.
    pub(super) path: Path,
    /// Where the request came from.
    pub(super) source: SocketAddr,
    /// Where the client listens, should the connection break: the port of sent-by.
    listens_on: u16,
}

impl ReplyPath {
    /// For a request that came on `path` with this top Via.
    pub(super) fn new(path: Path, via: &Via<'_>) -> ReplyPath {
        let listens_on = via.port.unwrap_or(path.transport.default_port());
        let mut reply = ReplyPath { path, source: path.remote, listens_on };
        if !path.transport.is_reliable() {
            reply.path.remote = datagram_target(path.remote, listens_on, via);
        }
        reply
    }

    /// The connection is gone: responses go to where the client listens, over a new one.
    pub(super) fn connection_lost(&mut self) {
        self.path.connection = None;
        self.path.remote.set_port(self.listens_on);
    }
}

fn datagram_target(source: SocketAddr, listens_on: u16, via: &Via<'_>) -> SocketAddr {
    let maddr = via.params.get("maddr").and_then(|maddr| crate::sip::Host(maddr).ip());
    match maddr {
        Some(address) if address.is_ipv4() == source.is_ipv4() => SocketAddr::new(address, listens_on),
        Some(_) | None if via.params.has("rport") => source,
        Some(_) | None => SocketAddr::new(source.ip(), listens_on),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, Response, StatusCode};
    use crate::transaction::scene::{Scene, path, request, seconds};
    use crate::transaction::{Failure, Settings};

    const UDP: Transport = Transport::Udp;
    const TCP: Transport = Transport::Tcp;

    /// What becomes of a top Via, and where the response to it goes, when it comes from 198.51.100.7:41000.
    fn answered(via: &str) -> (String, String) {
        let mut options = request(Method::Options);
        options.headers_mut().push_front(Name::Via, via);
        let mut scene = Scene::new();
        let from = Path { remote: "198.51.100.7:41000".parse().expect("an address"), ..path(UDP) };
        scene.receive(crate::sip::Message::Request(options), from);
        scene.respond(200);
        let crate::sip::Message::Response(response) = scene.last_sent() else { panic!("a response") };
        let via = response.headers().get(Name::Via).unwrap_or_default().to_owned();
        (via, scene.sent[0].path.remote.to_string())
    }

    #[test]
    fn a_response_finds_its_way_back() {
        let table = [
            (
                "SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1",
                "SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1",
                "198.51.100.7:5060",
            ),
            (
                "SIP/2.0/UDP 198.51.100.7:5080;branch=z9hG4bK1",
                "SIP/2.0/UDP 198.51.100.7:5080;branch=z9hG4bK1",
                "198.51.100.7:5080",
            ),
            (
                "SIP/2.0/UDP 10.1.1.1:5080;rport;branch=z9hG4bK1",
                "SIP/2.0/UDP 10.1.1.1:5080;branch=z9hG4bK1;rport=41000;received=198.51.100.7",
                "198.51.100.7:41000",
            ),
            (
                "SIP/2.0/UDP 198.51.100.7:5080;rport;branch=z9hG4bK1",
                "SIP/2.0/UDP 198.51.100.7:5080;branch=z9hG4bK1;rport=41000;received=198.51.100.7",
                "198.51.100.7:41000",
            ),
            (
                "SIP/2.0/UDP host.example:5080;branch=z9hG4bK1",
                "SIP/2.0/UDP host.example:5080;branch=z9hG4bK1;received=198.51.100.7",
                "198.51.100.7:5080",
            ),
            (
                "SIP/2.0/UDP 10.1.1.1;received=203.0.113.9;rport=9;branch=z9hG4bK1;x",
                "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bK1;x;rport=41000;received=198.51.100.7",
                "198.51.100.7:41000",
            ),
            (
                "SIP/2.0/UDP 198.51.100.7;maddr=198.51.100.99;branch=z9hG4bK1",
                "SIP/2.0/UDP 198.51.100.7;maddr=198.51.100.99;branch=z9hG4bK1",
                "198.51.100.99:5060",
            ),
            (
                "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bK1, SIP/2.0/UDP 10.2.2.2;branch=z9hG4bK2",
                "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bK1;received=198.51.100.7, SIP/2.0/UDP 10.2.2.2;branch=z9hG4bK2",
                "198.51.100.7:5060",
            ),
        ];
        for (sent, stamped, target) in table {
            assert_eq!(answered(sent), (stamped.to_owned(), target.to_owned()), "{sent}");
        }
    }

    #[test]
    fn our_via_names_the_address_others_see() {
        let external = Some("203.0.113.5".parse().expect("an address"));
        let mut scene = Scene::with(Settings { external_address: external, ..Settings::default() });
        scene.send(Method::Options, UDP);
        let via = scene.last_sent().headers().get(Name::Via).unwrap_or_default().to_owned();
        assert!(via.starts_with("SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bK"), "{via}");
        assert!(via.ends_with(";rport"), "{via}");
        scene.hear(200);
        assert_eq!(scene.told(), [200]);
        let v6 = Path { local: "[2001:db8::1]:5060".parse().expect("an address"), ..path(UDP) };
        assert_eq!(sent_by(&v6, external).to_string(), "[2001:db8::1]:5060", "of the other family");
    }

    fn large(method: Method) -> Request {
        let mut request = request(method);
        request.set_body("text/plain", &[b'x'; 1200]);
        request
    }

    #[test]
    fn a_large_request_takes_a_stream() {
        assert!(!needs_stream(1300, UDP));
        assert!(needs_stream(1301, UDP));
        assert!(!needs_stream(1301, TCP));
        let mut scene = Scene::new();
        scene.send_request(large(Method::Message), path(UDP));
        assert_eq!(scene.sent[0].path, path(TCP));
        let via = scene.last_sent().headers().get(Name::Via).unwrap_or_default().to_owned();
        assert!(via.starts_with("SIP/2.0/TCP 192.0.2.1:5060;branch="), "{via}");
        scene.hear(200);
        assert_eq!(scene.told(), [200]);
        assert!(scene.transactions.is_idle(), "timer K is zero on a stream");
    }

    #[test]
    fn a_stream_that_is_refused_leaves_udp_once() {
        for method in [Method::Invite, Method::Message] {
            let mut scene = Scene::new();
            scene.send_request(large(method), path(UDP));
            scene.path_fails(path(TCP));
            assert_eq!(scene.failure(), None);
            assert_eq!(scene.sent[1].path, path(UDP));
            let branch = |sent: &crate::transaction::scene::Sent| {
                let message = crate::transaction::scene::parse(&sent.bytes);
                let via = message.headers().get(Name::Via).unwrap_or_default().to_owned();
                (via.contains("/UDP "), Via::parse(&via).expect("a Via").branch().map(str::to_owned))
            };
            assert_eq!(branch(&scene.sent[0]).1, branch(&scene.sent[1]).1, "the same transaction");
            assert!(branch(&scene.sent[1]).0);
            scene.pass(seconds(2.0));
            assert_eq!(scene.sent.len(), 4, "repeated as UDP asks");
            scene.path_fails(path(UDP));
            assert_eq!(scene.failure(), Some(Failure::Transport));
            assert!(scene.transactions.is_idle());
        }
    }

    #[test]
    fn a_stream_that_failed_is_not_tried_again_soon() {
        let mut scene = Scene::new();
        scene.send_request(large(Method::Message), path(UDP));
        scene.path_fails(path(TCP));
        scene.send_request(large(Method::Message), path(UDP));
        let transports: Vec<Transport> = scene.sent.iter().map(|sent| sent.path.transport).collect();
        assert_eq!(transports, [TCP, UDP, UDP]);
    }

    #[test]
    fn a_stream_that_swallows_everything_leaves_udp_after_a_while() {
        let mut scene = Scene::new();
        scene.send_request(large(Method::Invite), path(UDP));
        scene.rest();
        assert_eq!(scene.times("INVITE"), [0.0, 4.0, 4.5, 5.5, 7.5, 11.5, 19.5]);
        assert_eq!(scene.failure(), Some(Failure::TimedOut));
        assert_eq!(scene.now, crate::time::Instant::from_millis(32_000), "timer B goes on");
    }

    #[test]
    fn an_ack_to_a_2xx_has_a_branch_of_its_own_and_is_repeated_as_it_was() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, UDP);
        let ack = scene.transactions.transmit(request(Method::Ack), path(UDP));
        scene.transactions.repeat(&ack);
        scene.pass(seconds(0.1));
        let invite = scene.sent[0].bytes.clone();
        let sent: Vec<_> = std::iter::from_fn(|| scene.transactions.poll_output()).collect();
        assert_eq!(sent.len(), 2);
        let branch = |bytes: &[u8]| {
            let message = crate::transaction::scene::parse(bytes);
            let via = message.headers().get(Name::Via).unwrap_or_default().to_owned();
            Via::parse(&via).expect("a Via").branch().map(str::to_owned)
        };
        assert_ne!(branch(&ack.bytes), branch(&invite));
        assert_eq!(scene.transactions.count(), 1, "no transaction for the ACK");
    }

    #[test]
    fn a_stateless_response_goes_the_same_way() {
        let mut options = request(Method::Options);
        options.headers_mut().push_front(Name::Via, "SIP/2.0/UDP 10.1.1.1:5080;rport;branch=z9hG4bK1");
        options.headers_mut().remove(Name::From);
        let mut scene = Scene::new();
        let from = Path { remote: "198.51.100.7:41000".parse().expect("an address"), ..path(UDP) };
        scene.receive(crate::sip::Message::Request(options), from);
        let crate::sip::Message::Response(response) = scene.last_sent() else { panic!("a response") };
        assert_eq!(scene.sent[0].path.remote.to_string(), "198.51.100.7:41000");
        assert_eq!(Response::status(&response), StatusCode::BAD_REQUEST);
        assert_eq!(response.via().expect("a Via").params.get("rport"), Some("41000"));
    }
}
