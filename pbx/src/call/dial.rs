//! Who is rung: the contacts of an extension, the targets of trunks.

use super::Context;
use super::call::Invitation;
use super::facts::End;
use super::leg::{Leg, Port};
use super::replacing::PickUp;
use crate::cdr::EndedBy;
use crate::dialog::{ExtraHeaders, Invite, SessionId};
use crate::media::StreamId;
use crate::route::{self, Callee, Group, Outcome};
use crate::sip::{Path, StatusCode, Transport, escape_user};
use crate::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The ringing of one call.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) attempt: Attempt,
    pub(super) branches: Vec<Branch>,
    /// Those who are no longer rung, and what the caller would be told for them.
    pub(super) refusals: Vec<Refused>,
    /// Somebody who wants to answer in the place of those who ring (RFC 3891), and whose port is being opened.
    pub(super) pick_up: Option<PickUp>,
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

/// Somebody who is no longer rung.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    /// What the caller would be told.
    pub(super) told: StatusCode,
    /// How it really ended.
    pub(super) outcome: Outcome,
    /// Header lines of its response that the caller would be told too.
    pub(super) headers: ExtraHeaders,
}

impl Refused {
    pub(super) fn new(outcome: Outcome, callee: Callee, headers: ExtraHeaders) -> Refused {
        Refused { told: route::map_refusal(outcome, callee), outcome, headers }
    }
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
        let picks_up = self.pick_up.as_mut().map(|pick_up| &mut pick_up.leg);
        let all = self.branches.iter_mut().map(|branch| &mut branch.leg).chain(picks_up);
        all.into_iter().find(|leg| leg.has_stream(stream))
    }

    pub(super) fn leg_of_session(&mut self, session: SessionId) -> Option<&mut Leg> {
        self.branches.iter_mut().map(|branch| &mut branch.leg).find(|leg| leg.session == Some(session))
    }

    /// Whether it is going to be answered by this session, at this stream, or at one that could not be opened.
    pub(super) fn is_picked_up_by(&self, session: SessionId) -> bool {
        self.pick_up.as_ref().is_some_and(|pick_up| pick_up.leg.session == Some(session))
    }

    pub(super) fn is_picked_up_at(&self, stream: StreamId) -> bool {
        self.pick_up.as_ref().is_some_and(|pick_up| pick_up.leg.has_stream(stream))
    }

    pub(super) fn is_picked_up_at_nowhere(&self) -> bool {
        self.pick_up.as_ref().is_some_and(|pick_up| pick_up.leg.port == Port::Closed)
    }

    /// Those that it keeps busy.
    pub(super) fn occupied(&self) -> Vec<String> {
        match &self.attempt {
            Attempt::Extension { number } => vec![number.clone()],
            Attempt::Group { numbers, .. } => numbers.clone(),
            Attempt::Trunk { .. } => self.branches.iter().map(|branch| branch.leg.name.clone()).collect(),
        }
    }

    /// The call is over: nobody rings any longer.
    pub(super) fn give_up(self, end: &End, leaving: &mut Vec<Leg>, context: &mut Context) {
        let own = || (end.by == EndedBy::Caller).then(|| format!("SIP;cause={}", end.status));
        let reason = end.passed.clone().or_else(own);
        for branch in self.branches {
            branch.leave(reason.clone(), leaving, context);
        }
        if let Some(pick_up) = self.pick_up {
            pick_up.comes_too_late(leaving, context);
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

    /// Whether a trunk has as many calls as it may, whoever has made them.
    pub(super) fn trunk_is_full(&self, name: &str) -> bool {
        let most =
            self.config.trunks.iter().find(|trunk| trunk.name == name).and_then(|trunk| trunk.max_calls);
        most.is_some_and(|most| self.busy_with(&trunk_name(name)) >= most)
    }

    /// The socket from which this transport reaches this address.
    pub(super) fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let fits = |local: &SocketAddr| local.is_ipv4() == remote.is_ipv4();
        let of_transport =
            self.config.sip.listen.iter().filter(|(t, _)| *t == transport).map(|(_, local)| *local);
        of_transport.into_iter().find(fits)
    }
}

/// How many seconds somebody should wait who finds all lines of a trunk taken.
pub(super) const LINE_IS_FREE_IN: u32 = 10;

/// What a trunk is called where legs are: as one that is busy with calls, as one that has answered.
pub(super) fn trunk_name(trunk: &str) -> String {
    format!("{TRUNK}{trunk}")
}

/// The trunk that such a name is about; `None`: it is an extension's.
pub(super) fn trunk_of(name: &str) -> Option<&str> {
    name.strip_prefix(TRUNK)
}

/// What stands before its name; no number of an extension begins so.
const TRUNK: &str = "trunk:";

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
