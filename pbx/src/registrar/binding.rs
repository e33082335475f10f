//! One contact of an address-of-record, and the way to it.

use crate::sip::{ConnectionId, Name, NameAddr, Path, Request, Transport, Uri, quote, seconds, unquote};
use crate::time::{Duration, Instant};
use std::fmt;
use std::net::SocketAddr;

/// One contact of an address-of-record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The contact URI as it was registered.
    pub uri: String,
    /// Where calls to it go first.
    pub target: Path,
    /// Route lines of calls to it, first to last (RFC 3327 section 5.3).
    pub route: Vec<String>,
    /// Preference in thousandths; 1000 where the telephone gave none.
    pub q: u16,
    /// From then on it is not there.
    pub expires_at: Instant,
    /// `+sip.instance` (RFC 5626 section 4.1).
    pub instance: Option<String>,
    /// `reg-id` (RFC 5626 section 4.2).
    pub reg_id: Option<u32>,
    /// What the device says it is.
    pub user_agent: Option<String>,
    /// When it was last renewed.
    pub renewed_at: Instant,
    /// Of the REGISTER that renewed it last.
    pub(super) call_id: String,
    /// Of the REGISTER that renewed it last.
    pub(super) cseq: u32,
    /// Where it can be reached when the stream it came over is gone.
    pub(super) listens_at: Option<SocketAddr>,
}

impl Binding {
    /// What `contact` of a REGISTER that came over `path` asks for.
    pub(super) fn new(
        request: &Request,
        contact: &NameAddr<'_>,
        path: Path,
        lasts: Duration,
        now: Instant,
    ) -> Binding {
        let route: Vec<String> = request.list(Name::Path).map(str::to_owned).collect();
        let first_hop = route.first().and_then(|hop| NameAddr::parse(hop).ok());
        let listens_at = listens_at(first_hop.as_ref().unwrap_or(contact), path);
        let instance = contact.params.get("+sip.instance").map(|text| unquote(text).into_owned());
        Binding {
            uri: contact.uri.to_owned(),
            target: target(request, path, listens_at),
            q: contact.preference(),
            expires_at: now + lasts,
            instance,
            reg_id: contact.params.get("reg-id").and_then(seconds),
            user_agent: request.headers().get(Name::UserAgent).map(str::to_owned),
            renewed_at: now,
            call_id: request.call_id().to_owned(),
            cseq: request.cseq().map_or(0, |cseq| cseq.number),
            listens_at,
            route,
        }
    }

    /// The Request-URI of calls to it: the contact URI without headers, which may not stand there (RFC 3261 section 19.1.5).
    pub fn request_uri(&self) -> &str {
        self.uri.split('?').next().unwrap_or_default()
    }

    /// Whether it is there at `now`.
    pub fn is_live(&self, now: Instant) -> bool {
        now < self.expires_at
    }

    /// Whether a REGISTER for `other` is about this contact: the same URI, or the same registration of the same device
    /// (RFC 5626 section 6).
    pub(super) fn is_same(&self, other: &Binding) -> bool {
        let same_device = self.instance.is_some()
            && self.reg_id.is_some()
            && (&self.instance, self.reg_id) == (&other.instance, other.reg_id);
        same_device
            || match (Uri::parse(&self.uri), Uri::parse(&other.uri)) {
                (Ok(ours), Ok(theirs)) => ours.equivalent(&theirs),
                _ => self.uri == other.uri,
            }
    }

    /// The stream `connection` is gone: true when there is another way to it.
    pub(super) fn loses(&mut self, connection: ConnectionId) -> bool {
        if self.target.connection != Some(connection) {
            return true;
        }
        self.target.connection = None;
        self.listens_at.inspect(|&address| self.target.remote = address).is_some()
    }

    /// As a Contact of the 200 to REGISTER lists it.
    pub(super) fn listed(&self, now: Instant) -> impl fmt::Display {
        // What is left of a second counts as one: a contact that is there does not say 0, which means that it is gone.
        let left = (self.expires_at - now).as_nanos().div_ceil(1_000_000_000);
        let mut text = format!("<{}>;expires={left}", self.uri);
        if self.q < 1000 {
            text += &format!(";q=0.{:03}", self.q);
        }
        if let Some(instance) = &self.instance {
            text += &format!(";+sip.instance={}", quote(instance));
        }
        if let Some(reg_id) = self.reg_id {
            text += &format!(";reg-id={reg_id}");
        }
        text
    }
}

/// Where calls go first: back over the stream or to the address the REGISTER came from, unless the telephone listens
/// elsewhere on the same host. What a Contact says about another host is not believed: behind NAT it is an address that
/// we cannot reach, and otherwise it would make us call whom the telephone wants called.
fn target(request: &Request, path: Path, listens_at: Option<SocketAddr>) -> Path {
    match listens_at {
        // With rport the telephone says that it listens where it sends from (RFC 3581 section 4).
        Some(address) if path.transport == Transport::Udp && !asks_for_rport(request) => {
            Path { remote: address, ..path }
        }
        _ => path,
    }
}

/// The address in the Contact, or of the last proxy in Path, if the host is the one that the REGISTER came from and the
/// transport the same, one by which somebody can be reached.
fn listens_at(hop: &NameAddr<'_>, path: Path) -> Option<SocketAddr> {
    let uri = hop.parse_uri().ok()?;
    let ip = uri.host.ip().filter(|ip| *ip == path.remote.ip().to_canonical())?;
    let transport = uri.transport().unwrap_or(Transport::Udp);
    if path.transport.is_one_way() {
        return None;
    }
    (transport == path.transport).then(|| SocketAddr::new(ip, uri.port.unwrap_or(transport.default_port())))
}

fn asks_for_rport(request: &Request) -> bool {
    request.via().is_ok_and(|via| via.params.has("rport"))
}
