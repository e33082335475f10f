//! Who is rung: the contacts of an extension, the targets of trunks.

use super::Context;
use super::call::Invitation;
use super::facts::End;
use super::leg::Leg;
use crate::cdr::EndedBy;
use crate::dialog::{Invite, SessionId};
use crate::media::StreamId;
use crate::route::{self, Callee, Group};
use crate::sip::{Path, StatusCode, Transport, escape_user};
use crate::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The ringing of one call.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) attempt: Attempt,
    pub(super) branches: Vec<Branch>,
    /// What the caller would be told for those who are no longer rung.
    pub(super) refusals: Vec<StatusCode>,
    /// The numbers that were dialled on behalf of the caller, the first one first.
    pub(super) tried: Vec<String>,
    /// Diversion lines (RFC 5806), the latest first.
    pub(super) diversions: Vec<String>,
}

/// Who is rung.
#[derive(Debug)]
pub(super) enum Attempt {
    /// An extension at all its contacts.
    Extension { number: String },
    /// Some extensions at all their contacts, and others when none of them answers.
    Group {
        /// Those that ring.
        numbers: Vec<String>,
        /// Those that ring next, and how long each round rings.
        next: Group,
    },
    /// The targets of trunks, in order.
    Trunk {
        number: String,
        /// Those to come; the first one is being tried.
        targets: VecDeque<route::Target>,
        /// The name that is being resolved.
        waiting: Option<u64>,
        /// Of the first target, still to be tried.
        addresses: VecDeque<SocketAddr>,
    },
}

/// One INVITE that is or will be out.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) leg: Leg,
    pub(super) target: Target,
    /// Whether its early media is heard by the caller.
    pub(super) heard: bool,
}

/// Where an INVITE goes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) uri: String,
    pub(super) to: String,
    pub(super) path: Path,
    pub(super) route: Vec<String>,
    pub(super) credentials: Option<(String, String)>,
    pub(super) try_timeout: Option<Duration>,
    /// When it is one of a trunk.
    pub(super) trunk: Option<route::Target>,
}

impl Dial {
    pub(super) fn leg_of_stream(&mut self, stream: StreamId) -> Option<&mut Leg> {
        self.branches.iter_mut().map(|branch| &mut branch.leg).find(|leg| leg.has_stream(stream))
    }

    pub(super) fn leg_of_session(&mut self, session: SessionId) -> Option<&mut Leg> {
        self.branches.iter_mut().map(|branch| &mut branch.leg).find(|leg| leg.session == Some(session))
    }

    /// The call is over: nobody rings any longer.
    pub(super) fn give_up(self, end: &End, leaving: &mut Vec<Leg>, context: &mut Context) {
        let reason = (end.by == EndedBy::Caller).then(|| format!("SIP;cause={}", end.status));
        for branch in self.branches {
            branch.leave(reason.clone(), leaving, context);
        }
    }
}

impl Branch {
    /// Stops ringing and gives its port back.
    pub(super) fn leave(mut self, reason: Option<String>, leaving: &mut Vec<Leg>, context: &mut Context) {
        self.leg.hang_up(reason, context);
        self.leg.close_port(context);
        leaving.push(self.leg);
    }
}

impl Attempt {
    pub(super) fn callee(&self) -> Callee {
        match self {
            Attempt::Extension { .. } | Attempt::Group { .. } => Callee::Extension,
            Attempt::Trunk { .. } => Callee::Trunk,
        }
    }
}

impl Target {
    pub(super) fn invite(&self, invitation: &Invitation, diversions: &[String], offer: Vec<u8>) -> Invite {
        let mut headers: Vec<_> =
            diversions.iter().map(|value| ("Diversion".to_owned(), value.clone())).collect();
        headers.extend(invitation.headers.iter().cloned());
        Invite {
            uri: self.uri.clone(),
            to: self.to.clone(),
            from: invitation.from.clone(),
            path: self.path,
            route: self.route.clone(),
            max_forwards: invitation.max_forwards,
            headers,
            offer: Some(offer),
            credentials: self.credentials.clone(),
            try_timeout: self.try_timeout,
        }
    }
}

impl Context {
    /// Where an extension can be reached now.
    pub(super) fn contacts_of(&self, number: &str) -> Vec<Target> {
        let to = format!("<sip:{number}@{}>", self.config.sip.domain);
        self.registrar
            .contacts(number, self.now)
            .into_iter()
            .map(|binding| Target {
                uri: binding.request_uri().to_owned(),
                to: to.clone(),
                path: binding.target,
                route: binding.route.clone(),
                credentials: None,
                try_timeout: None,
                trunk: None,
            })
            .collect()
    }

    /// The socket from which this transport reaches this address.
    pub(super) fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let fits = |local: &SocketAddr| local.is_ipv4() == remote.is_ipv4();
        let of_transport =
            self.config.sip.listen.iter().filter(|(t, _)| *t == transport).map(|(_, local)| *local);
        of_transport.into_iter().find(fits)
    }
}

/// The Request-URI of a call to a trunk target.
pub(super) fn trunk_uri(number: &str, target: &route::Target) -> String {
    let user = escape_user(number);
    let port = target.port.map(|port| format!(":{port}")).unwrap_or_default();
    let host = match target.host.parse::<std::net::Ipv6Addr>() {
        Ok(v6) => format!("[{v6}]"),
        Err(_) => target.host.clone(),
    };
    match target.transport {
        Transport::Udp => format!("sip:{user}@{host}{port}"),
        other => format!("sip:{user}@{host}{port};transport={other}"),
    }
}
