//! From a target to a path, and from a path to our Contact.
//!
//! Decided: a dialog keeps sending to where its peer's messages come from, over the same stream when there is one. RFC 3261
//! sends to the host of the remote target, but a telephone behind a NAT writes an address nobody else can reach, and its
//! stream is the only way back (RFC 3581 section 4 and RFC 5626 section 5.3 do the same for responses and flows). The target
//! decides in three cases: there is a route set, whose first hop is a proxy that says the truth about itself; it names
//! another port or transport of the very host the messages come from; the stream is gone. Host names are not resolved here:
//! a name leads to where the messages come from, too.

use crate::sip::{NameAddr, Path, Transport, Uri};
use std::net::{IpAddr, SocketAddr};

/// Where a request within a dialog goes, when the peer's messages come over `path`.
pub(super) fn next_hop(first_route: Option<&str>, remote_target: &str, path: Path) -> Path {
    if is_web_socket(&path) {
        return path;
    }
    match first_route {
        Some(route) => match NameAddr::parse(route).ok().and_then(|route| place(route.uri, &path)) {
            Some(place) if place.remote.ip() != path.remote.ip() => place,
            Some(place) => same_host(place, path),
            None => path,
        },
        None => match place(remote_target, &path) {
            Some(place) if place.remote.ip() == path.remote.ip() => same_host(place, path),
            Some(_) | None => path,
        },
    }
}

/// The path when its stream is gone: the target's address where it names one, the old one otherwise.
pub(super) fn without_connection(remote_target: &str, path: Path) -> Path {
    if is_web_socket(&path) {
        return Path { connection: None, ..path };
    }
    place(remote_target, &path).unwrap_or(Path { connection: None, ..path })
}

/// Contact for messages on `path`: `<sip:10.0.0.1:5060;transport=tcp>`. UDP is not written, it is what everybody takes.
pub(super) fn contact(path: &Path, external: Option<IpAddr>, is_secure: bool) -> String {
    let ip = external.filter(|ip| ip.is_ipv4() == path.local.is_ipv4()).unwrap_or(path.local.ip());
    let address = SocketAddr::new(ip, path.local.port());
    let scheme = if is_secure { "sips" } else { "sip" };
    match path.transport {
        Transport::Udp => format!("<{scheme}:{address}>"),
        // A SIPS URI says TLS already (RFC 3261 section 26.2.2).
        Transport::Tls if is_secure => format!("<{scheme}:{address}>"),
        // There is one token for both (RFC 7118 section 5.2.4).
        Transport::Ws | Transport::Wss => format!("<{scheme}:{address};transport=ws>"),
        other => format!("<{scheme}:{address};transport={}>", other.uri_token()),
    }
}

/// Who has come by a WebSocket is reached by it and by nothing else, whatever it says (RFC 7118 section 5).
fn is_web_socket(path: &Path) -> bool {
    matches!(path.transport, Transport::Ws | Transport::Wss)
}

/// A stream is kept: a port in the URI is where somebody listens, not where the stream ends.
fn same_host(place: Path, path: Path) -> Path {
    if path.transport.is_reliable() && place.transport == path.transport { path } else { place }
}

/// The address of a URI whose host is one; `transport` decides, else the transport of `path` stays.
fn place(uri: &str, path: &Path) -> Option<Path> {
    let uri = Uri::parse(uri).ok()?;
    let ip = uri.params.get("maddr").and_then(|maddr| maddr.parse().ok()).or_else(|| uri.host.ip())?;
    let transport = match uri.params.get("transport").and_then(Transport::of) {
        Some(transport) => transport,
        None if uri.is_sips() => Transport::Tls,
        None => path.transport,
    };
    if ip.is_ipv4() != path.local.is_ipv4() {
        return None;
    }
    let port = uri.port.unwrap_or(transport.default_port());
    Some(Path { transport, local: path.local, remote: SocketAddr::new(ip, port), connection: None })
}

#[cfg(test)]
mod tests {
    use super::super::tests::path;
    use super::*;
    use crate::sip::ConnectionId;

    #[test]
    fn a_telephone_behind_a_nat_is_reached_where_it_comes_from() {
        let seen = path("10.0.0.1:5060", "203.0.113.5:40123");
        assert_eq!(next_hop(None, "sip:alice@192.168.1.7:5060", seen), seen);
    }

    #[test]
    fn another_port_of_the_same_host_is_taken_from_the_target() {
        let seen = path("10.0.0.1:5060", "10.0.0.2:40123");
        assert_eq!(next_hop(None, "sip:alice@10.0.0.2", seen).remote.to_string(), "10.0.0.2:5060");
        let tcp = next_hop(None, "sip:alice@10.0.0.2:5070;transport=tcp", seen);
        assert_eq!((tcp.transport, tcp.remote.to_string()), (Transport::Tcp, "10.0.0.2:5070".to_owned()));
    }

    #[test]
    fn a_stream_is_kept_until_it_is_gone() {
        let mut seen = path("10.0.0.1:5060", "10.0.0.2:40123");
        seen.transport = Transport::Tcp;
        seen.connection = Some(ConnectionId(3));
        let target = "sip:alice@10.0.0.2:5060;transport=tcp";
        assert_eq!(next_hop(None, target, seen), seen);
        let reopened = without_connection(target, seen);
        assert_eq!((reopened.remote.to_string(), reopened.connection), ("10.0.0.2:5060".to_owned(), None));
    }

    #[test]
    fn a_proxy_in_the_route_set_is_believed() {
        let seen = path("10.0.0.1:5060", "10.0.0.9:5060");
        let hop = next_hop(Some("<sip:10.0.0.8:5080;lr>"), "sip:alice@192.168.1.7", seen);
        assert_eq!(hop.remote.to_string(), "10.0.0.8:5080");
        assert_eq!(next_hop(Some("<sip:proxy.example.com;lr>"), "sip:a@b", seen), seen);
    }

    #[test]
    fn contact_names_the_transport_and_brackets_ipv6() {
        let mut six = path("[2001:db8::1]:5060", "[2001:db8::2]:5060");
        six.transport = Transport::Tcp;
        assert_eq!(contact(&six, None, false), "<sip:[2001:db8::1]:5060;transport=tcp>");
        let four = path("10.0.0.1:5060", "10.0.0.2:5060");
        assert_eq!(contact(&four, Some("203.0.113.1".parse().unwrap()), false), "<sip:203.0.113.1:5060>");
    }
}
