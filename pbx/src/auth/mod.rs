//! Who may: digest authentication of requests, and a memory for those who try too often (RFC 3261 section 22, RFC 8760).
//!
//! Nonces cost nothing to make and are good for one source, for a while, with a count that only grows. What a request is
//! allowed to do once we know whose it is, is not decided here but in `route`.

use crate::config::Config;
use crate::dialog::Reply;
use crate::rng::Rng;
use crate::sip::{Method, Request};
use crate::time::Instant;
use std::net::{IpAddr, SocketAddr};

/// In which role we ask (RFC 3261 section 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// As registrar or for ourselves: 401, WWW-Authenticate, Authorization.
    Server,
    /// For a call to somebody else: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is this user's: the number of an extension.
    Granted {
        /// The number.
        user: String,
    },
    /// It is to be answered so.
    Refused(Refusal),
    /// Its source is blocked: no answer.
    Blocked,
}

/// How a request is refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// 401 or 407 with challenges; 400; 403.
    pub reply: Reply,
    /// The reply is held back until then: guessing takes time. Not later than a few seconds, mostly now.
    pub answer_at: Instant,
    /// Somebody tried and failed; `None`: nothing was shown that counts (no credentials, an old nonce).
    pub failed: Option<Failed>,
}

/// A wrong password or an unknown name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The name given.
    pub user: String,
    /// With this one the source is blocked.
    pub blocks: bool,
}

/// Whether a request may be challenged at all: ACK and CANCEL cannot be (RFC 3261 section 22.1), and within a dialog whoever
/// let it begin has asked.
pub fn may_challenge(request: &Request) -> bool {
    let within_dialog = request.to_header().is_ok_and(|to| to.tag().is_some());
    !matches!(request.method(), Method::Ack | Method::Cancel) && !within_dialog
}

/// Checks who sends a request.
pub struct Authenticator {}

#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
impl Authenticator {
    /// Nobody has failed yet.
    pub fn new(config: &Config, rng: Rng) -> Authenticator {
        todo!()
    }

    /// Other accounts and limits hold from now on; nonces and blocks stay.
    pub fn reconfigure(&mut self, config: &Config) {
        todo!()
    }

    /// Judges a request that [`may_challenge`].
    pub fn check(&mut self, request: &Request, source: SocketAddr, role: Role, now: Instant) -> Verdict {
        todo!()
    }

    /// Whether what comes from here is to be dropped unread, apart from what belongs to a call that is up.
    pub fn is_blocked(&self, source: IpAddr, now: Instant) -> bool {
        todo!()
    }
}
