//! Which addresses are ours.

use crate::config::Config;
use crate::sip::{Host, Path, Uri};
use std::net::IpAddr;

/// Our domain: its name and all our own addresses.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    name: String,
    addresses: Vec<IpAddr>,
}

impl Domain {
    pub(super) fn new(config: &Config) -> Domain {
        let listen = config.sip.listen.iter().map(|(_, address)| address.ip());
        let addresses = listen.chain(config.sip.external_address).map(|ip| ip.to_canonical()).collect();
        Domain { name: config.sip.domain.clone(), addresses }
    }

    /// Whether a SIP URI in a request that came over `path` names our domain.
    pub(super) fn holds(&self, uri: &Uri<'_>, path: Path) -> bool {
        uri.is_sip()
            && (self.is_named(uri.host, path) || uri.host.ip().is_some_and(|ip| self.is_at(ip, path)))
    }

    fn is_named(&self, host: Host<'_>, path: Path) -> bool {
        let is_localhost = host.as_str().eq_ignore_ascii_case("localhost");
        host.is_same(&Host(&self.name)) || is_localhost && path.remote.ip().to_canonical().is_loopback()
    }

    fn is_at(&self, ip: IpAddr, path: Path) -> bool {
        let ip = ip.to_canonical();
        // A socket bound to all addresses does not know which one a datagram was sent to.
        let any = path.local.ip().is_unspecified();
        any || ip == path.local.ip().to_canonical() || self.addresses.contains(&ip)
    }
}
