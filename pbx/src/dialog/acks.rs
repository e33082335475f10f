//! The 2xx responses we have acknowledged: each copy of one is acknowledged again, by the same bytes (RFC 3261 section
//! 13.2.2.4), and a 2xx of a branch that came too late is acknowledged and ended.
//!
//! This outlives the session: copies come for 64*T1 after the first, whatever has become of the call.

use super::dialog::Branches;
use crate::sip::{ConnectionId, Name, Path};
use crate::time::Instant;
use crate::transaction::{ClientId, Sent};
use std::collections::{BTreeMap, VecDeque};

/// How many branches of one INVITE are acknowledged.
pub(super) const FORKS: usize = 16;

/// The acknowledged INVITEs of the last 64*T1.
#[derive(Debug, Default)]
pub(super) struct Acks {
    invites: BTreeMap<ClientId, Answered>,
    /// All expire after the same time, so they do so in the order they came.
    expiry: VecDeque<(Instant, ClientId)>,
}

#[derive(Debug)]
struct Answered {
    /// The other branches; a re-INVITE has none.
    others: Option<Branches>,
    credentials: Vec<(Name, String)>,
    /// Those that have answered.
    branches: Vec<Branch>,
}

#[derive(Debug)]
struct Branch {
    tag: String,
    /// `None`: the 2xx carries an offer, and our answer is still being thought of.
    ack: Option<Sent>,
    /// Where the ACK goes when its connection is gone.
    detour: Option<Path>,
}

/// What is to be done with a 2xx.
#[derive(Debug)]
pub(super) enum Copy<'a> {
    /// The INVITE has not been answered before.
    First,
    /// Sent again: acknowledge it again.
    Repeated(&'a Sent),
    /// Acknowledged soon, or one branch too many.
    Ignored,
    /// Another branch was quicker: acknowledge it and end it.
    Late(&'a Branches),
}

impl Acks {
    /// Looks at a 2xx to `invite` from the branch with this To tag.
    pub(super) fn look(&self, invite: ClientId, tag: &str) -> Copy<'_> {
        let Some(answered) = self.invites.get(&invite) else { return Copy::First };
        match answered.branches.iter().find(|branch| branch.tag.eq_ignore_ascii_case(tag)) {
            Some(Branch { ack: Some(ack), .. }) => Copy::Repeated(ack),
            Some(Branch { ack: None, .. }) => Copy::Ignored,
            None if answered.branches.len() >= FORKS => Copy::Ignored,
            None => answered.others.as_ref().map_or(Copy::Ignored, Copy::Late),
        }
    }

    /// The first 2xx has come. The ACK carries the credentials of the INVITE (RFC 3261 section 13.2.2.4).
    pub(super) fn open(&mut self, invite: ClientId, credentials: Vec<(Name, String)>, until: Instant) {
        self.invites.insert(invite, Answered { others: None, credentials, branches: Vec::new() });
        self.expiry.push_back((until, invite));
    }

    /// Other branches may answer, too.
    pub(super) fn expect_branches(&mut self, invite: ClientId, others: Branches) {
        if let Some(answered) = self.invites.get_mut(&invite) {
            answered.others = Some(others);
        }
    }

    /// A branch is known, and acknowledged when `ack` is given.
    pub(super) fn keep(&mut self, invite: ClientId, tag: &str, ack: Option<Sent>, detour: Option<Path>) {
        let Some(answered) = self.invites.get_mut(&invite) else { return };
        match answered.branches.iter_mut().find(|branch| branch.tag.eq_ignore_ascii_case(tag)) {
            Some(branch) => (branch.ack, branch.detour) = (ack, detour),
            None => answered.branches.push(Branch { tag: tag.to_owned(), ack, detour }),
        }
    }

    /// A connection is gone: what was to go over it again takes the detour.
    pub(super) fn forget_connection(&mut self, connection: ConnectionId) {
        for branch in self.invites.values_mut().flat_map(|answered| &mut answered.branches) {
            if let (Some(ack), Some(detour)) = (&mut branch.ack, branch.detour)
                && ack.path.connection == Some(connection)
            {
                ack.path = detour;
            }
        }
    }

    /// The credentials of an INVITE, for its ACK.
    pub(super) fn credentials(&self, invite: ClientId) -> &[(Name, String)] {
        self.invites.get(&invite).map_or(&[], |answered| &answered.credentials)
    }

    /// When the oldest is forgotten.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.expiry.front().map(|(at, _)| *at)
    }

    /// Forgets what no copy comes of any more.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, invite)) = self.expiry.pop_front_if(|(at, _)| *at <= now) {
            self.invites.remove(&invite);
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.invites.is_empty()
    }
}
