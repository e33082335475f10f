//! Who is meant: from what was dialled to what answers, who may dial it, and what the caller hears when it comes to nothing.
//!
//! Nothing here sends anything; `call` acts on what is decided here.

mod refusal;

pub use refusal::{Callee, Outcome, best, map_refusal, redirected_to, tries_next};

use crate::config::Config;
use crate::rng::Rng;
use crate::sip::{StatusCode, Transport};
use crate::time::{Duration, Instant};
use std::net::IpAddr;

/// Who calls, as far as we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who has shown the password of this extension.
    Extension(String),
    /// A trunk of this name, known by its source address.
    Trunk(String),
    /// Somebody else.
    Anonymous,
}

/// What somebody dials.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The dialled number: [`dialled`] of the Request-URI.
    pub number: &'a str,
    /// Who dials.
    pub caller: &'a Caller,
    /// From where.
    pub source: IpAddr,
}

/// What is to be done with a call, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// What is to be done.
    pub decision: Decision,
    /// The name of the route that said so; `None`: no route but an extension of that number, or the tone of `[behavior]`.
    pub route: Option<String>,
    /// The configuration opens it to this source, whoever it is.
    pub open: bool,
}

/// What is to be done with a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// All contacts of this extension ring.
    Extension {
        /// Its number.
        number: String,
    },
    /// Out: the first of these that takes it.
    Trunk {
        /// What is dialled there.
        number: String,
        /// In the order to try; not empty.
        targets: Vec<Target>,
    },
    /// A tone.
    Tone {
        /// Hz.
        frequency: f64,
        /// How long.
        duration: Duration,
        /// From INVITE to 200.
        answer_delay: Duration,
    },
    /// What the caller says comes back.
    Echo,
    /// No.
    Reject {
        /// 400 to 699.
        status: StatusCode,
        /// The reason phrase, when not the default.
        reason: Option<String>,
    },
    /// There is no such number.
    NotFound,
}

/// One place of a trunk where a call may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The name of the trunk.
    pub trunk: String,
    /// A name or an address.
    pub host: String,
    /// The port; the transport's default when `None`.
    pub port: Option<u16>,
    /// What carries it.
    pub transport: Transport,
}

/// Whether a call may go where it is routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Open,
    /// Not before the caller has shown a password: 407.
    NeedsAuthentication,
    /// Not for this caller: 403.
    Forbidden,
}

/// Decides, and remembers which targets have failed lately.
pub struct Router {}

#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
impl Router {
    /// A router that has seen nothing fail.
    pub fn new(rng: Rng) -> Router {
        todo!()
    }

    /// What is to be done: the first route that fits, then the extension of that number, then the tone of `[behavior]`.
    pub fn decide(&mut self, config: &Config, asked: &Asked<'_>, now: Instant) -> Routed {
        todo!()
    }

    /// A target did not answer or said that it cannot: it goes last for a while.
    pub fn target_failed(&mut self, target: &Target, now: Instant) {
        todo!()
    }

    /// A target answered.
    pub fn target_works(&mut self, target: &Target) {
        todo!()
    }
}

/// Who calls from this source, before anybody has shown a password.
#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
pub fn caller(config: &Config, source: IpAddr) -> Caller {
    todo!()
}

/// Whether `caller` may have what was decided (docs/decisions/0003).
#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
pub fn access(routed: &Routed, caller: &Caller) -> Access {
    todo!()
}

/// The dialled number of a Request-URI: the user part (or the number of `tel:`) unescaped, without its parameters and, when
/// it is a telephone number, without visual separators (RFC 3966 section 5.1.1). Empty when there is none.
#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
pub fn dialled(request_uri: &str) -> String {
    todo!()
}
