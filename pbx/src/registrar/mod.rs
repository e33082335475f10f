//! Who is where: the registrar of our domain (RFC 3261 section 10.3) with Path (RFC 3327), and the way back to telephones
//! behind NAT.
//!
//! Who may register for whom has been asked before (room `auth`); where a call goes is asked after (room `route`).

#[cfg(test)]
pub(crate) mod office;

use crate::config::Config;
use crate::dialog::Reply;
use crate::sip::{ConnectionId, Path, Request};
use crate::time::{Instant, WallClock};

/// One contact of an address-of-record.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The contact URI as it was registered: the Request-URI of calls to it.
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
}

/// A contact came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which address-of-record.
    pub aor: String,
    /// The contact URI.
    pub contact: String,
    /// What became of it.
    pub what: Becomes,
}

/// What becomes of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It is new.
    Registered,
    /// It was there and stays longer.
    Renewed,
    /// It was taken away by REGISTER.
    Unregistered,
    /// Nobody renewed it in time.
    Expired,
    /// The connection that led to it is closed and there is no other way.
    Lost,
}

/// All bindings.
pub struct Registrar {}

#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
impl Registrar {
    /// Nobody is registered.
    pub fn new(config: &Config, clock: WallClock) -> Registrar {
        todo!()
    }

    /// Other limits, domains and extensions hold from now on; contacts of extensions that are gone are taken away.
    pub fn reconfigure(&mut self, config: &Config, now: Instant) {
        todo!()
    }

    /// The address-of-record a REGISTER is for: the user part of To, when To and Request-URI are in our domain and there is
    /// such an extension; otherwise how it is refused (RFC 3261 section 10.3 steps 1 and 5).
    pub fn aor(&self, request: &Request, path: Path) -> Result<String, Reply> {
        todo!()
    }

    /// Does all that a REGISTER asks for, or nothing of it. Its sender has been authenticated for `aor`.
    pub fn register(&mut self, aor: &str, request: &Request, path: Path, now: Instant) -> Reply {
        todo!()
    }

    /// Where somebody can be reached now: highest q first, then the one renewed last.
    pub fn contacts(&self, aor: &str, now: Instant) -> Vec<&Binding> {
        todo!()
    }

    /// A stream is gone, and with it the contacts that could be reached only over it.
    pub fn connection_closed(&mut self, connection: ConnectionId, now: Instant) {
        todo!()
    }

    /// How many contacts there are.
    pub fn count(&self) -> usize {
        todo!()
    }

    /// The earliest deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    /// The earliest deadline: a contact expires.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// What has changed; ask until there is nothing.
    pub fn poll_change(&mut self) -> Option<Change> {
        todo!()
    }
}
