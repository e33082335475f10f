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
