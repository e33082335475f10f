//! All server transactions, and the ways to find one: by id, by what a repeated request shares with the first, by where a
//! request began, by connection.

use super::ServerId;
use super::context::Context;
use super::invite_server::{self, AckFate, InviteServer};
use super::matching::{Key, ServerKey};
use super::server::{self, Server};
use super::timers::{Deadlines, Owner, Timer};
use super::via::ReplyPath;
use crate::sip::{ConnectionId, Limits, Message, Method, Path, Request, Response};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All server transactions.
#[derive(Default)]
pub(super) struct Servers {
    entries: BTreeMap<ServerId, Entry>,
    by_key: BTreeMap<Arc<[u8]>, ServerId>,
    by_origin: BTreeMap<Arc<[u8]>, ServerId>,
    by_connection: BTreeSet<(ConnectionId, ServerId)>,
}

struct Entry {
    machine: Machine,
    reply: ReplyPath,
    key: Arc<[u8]>,
    /// See [`ServerKey::is_old`].
    is_old: bool,
    origin: Option<Arc<[u8]>>,
    /// As it stands in the queue of deadlines.
    deadline: Option<Instant>,
}

enum Machine {
    Invite(InviteServer),
    Other(Server),
}

/// A request that has no transaction yet.
pub(super) struct Opening<'a> {
    pub(super) method: &'a Method,
    pub(super) key: &'a ServerKey,
    pub(super) origin: Option<Key>,
    pub(super) reply: ReplyPath,
    /// The 100 for it.
    pub(super) trying: Vec<u8>,
}

impl Servers {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        let found_by = self.by_key.is_empty() && self.by_origin.is_empty() && self.by_connection.is_empty();
        self.entries.is_empty() && found_by
    }

    /// Makes a transaction.
    pub(super) fn start(
        &mut self,
        id: ServerId,
        opening: Opening<'_>,
        deadlines: &mut Deadlines,
        cx: &mut Context<'_>,
    ) {
        let Opening { method, key, origin, reply, trying } = opening;
        let machine = match method {
            Method::Invite => Machine::Invite(InviteServer::start(id, trying, &reply, cx)),
            _ => Machine::Other(Server::start(trying, &reply, cx)),
        };
        let is_old = key.is_old;
        let key: Arc<[u8]> = key.key.as_slice().into();
        let origin: Option<Arc<[u8]>> = origin.map(|origin| origin.as_slice().into());
        self.by_key.insert(key.clone(), id);
        if let Some(origin) = &origin {
            self.by_origin.insert(origin.clone(), id);
        }
        if let Some(connection) = reply.path.connection {
            self.by_connection.insert((connection, id));
        }
        self.entries.insert(id, Entry { machine, reply, key, is_old, origin, deadline: None });
        self.settle(id, deadlines);
    }

    /// The transaction of a request that has come before (RFC 3261 section 17.2.3).
    pub(super) fn find(&self, key: &ServerKey) -> Option<ServerId> {
        self.by_key.get(key.key.as_slice()).copied()
    }

    /// The INVITE that an ACK belongs to, and whether the TU is to know of it.
    pub(super) fn find_acknowledged(&self, key: &ServerKey, ack: &Request) -> Option<(ServerId, AckFate)> {
        let id = self.find(key)?;
        let entry = self.entries.get(&id)?;
        let Machine::Invite(invite) = &entry.machine else { return None };
        // Without a branch to tell them apart, only the tag says which response is acknowledged (section 17.2.3).
        let acknowledged = || ack.to_header().ok().and_then(|to| to.tag()).map(str::to_owned);
        if entry.is_old && to_tag(invite.last_response()) != acknowledged() {
            return None;
        }
        Some((id, invite.fate_of_ack()))
    }

    /// Whether a request that began in the same place is known, which came another way.
    pub(super) fn knows_origin(&self, origin: &Key) -> bool {
        self.by_origin.contains_key(origin.as_slice())
    }

    /// Whether an INVITE has no final response yet.
    pub(super) fn is_open(&self, id: ServerId) -> bool {
        match self.entries.get(&id).map(|entry| &entry.machine) {
            Some(Machine::Invite(invite)) => invite.is_open(),
            Some(Machine::Other(_)) | None => false,
        }
    }

    /// The tag that the TU has put on To in what it said last to an INVITE.
    pub(super) fn local_tag(&self, id: ServerId) -> Option<String> {
        match &self.entries.get(&id)?.machine {
            Machine::Invite(invite) => to_tag(invite.last_response()),
            Machine::Other(_) => None,
        }
    }

    /// The request, or the ACK to the INVITE, has come again.
    pub(super) fn repeated(
        &mut self,
        id: ServerId,
        method: &Method,
        deadlines: &mut Deadlines,
        cx: &mut Context<'_>,
    ) {
        let Some(Entry { machine, reply, .. }) = self.entries.get_mut(&id) else { return };
        match (machine, method) {
            (Machine::Invite(invite), Method::Ack) => invite.step(invite_server::Input::Ack, reply, cx),
            (Machine::Invite(invite), _) => invite.step(invite_server::Input::Invite, reply, cx),
            (Machine::Other(other), _) => other.step(server::Input::Request, reply, cx),
        }
        self.settle(id, deadlines);
    }

    /// The TU answers.
    pub(super) fn respond(
        &mut self,
        id: ServerId,
        response: Response,
        deadlines: &mut Deadlines,
        cx: &mut Context<'_>,
    ) {
        let Some(Entry { machine, reply, .. }) = self.entries.get_mut(&id) else { return };
        match machine {
            Machine::Invite(invite) => invite.step(invite_server::Input::of(response), reply, cx),
            Machine::Other(other) => other.step(server::Input::of(response), reply, cx),
        }
        self.settle(id, deadlines);
    }

    /// A deadline has come.
    pub(super) fn handle_timeout(&mut self, id: ServerId, deadlines: &mut Deadlines, cx: &mut Context<'_>) {
        let Some(Entry { machine, reply, .. }) = self.entries.get_mut(&id) else { return };
        if let Some((_, timer)) = machine.next_timer().filter(|&(at, _)| at <= cx.now) {
            match machine {
                Machine::Invite(invite) => invite.step(invite_server::Input::Timer(timer), reply, cx),
                Machine::Other(other) => other.step(server::Input::Timer(timer), reply, cx),
            }
        }
        self.settle(id, deadlines);
    }

    /// A connection is gone: what is still to be said goes to where the client listens (RFC 3261 section 18.2.2). No
    /// transaction ends by it (RFC 6026 section 7.1).
    pub(super) fn path_failed(&mut self, failed: &Path) {
        let Some(connection) = failed.connection else { return };
        let all = (connection, ServerId(0))..=(connection, ServerId(u64::MAX));
        let over_it: Vec<ServerId> = self.by_connection.range(all).map(|&(_, id)| id).collect();
        for id in over_it {
            self.by_connection.remove(&(connection, id));
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.reply.connection_lost();
            }
        }
    }

    /// Brings what is known about a transaction up to date with its state.
    fn settle(&mut self, id: ServerId, deadlines: &mut Deadlines) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let deadline = entry.machine.next_timer().map(|(at, _)| at);
        deadlines.change(Owner::Server(id), entry.deadline, deadline);
        entry.deadline = deadline;
        if entry.machine.is_terminated() {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ServerId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.by_key.remove(&entry.key);
        if let Some(origin) = &entry.origin {
            self.by_origin.remove(origin);
        }
        if let Some(connection) = entry.reply.path.connection {
            self.by_connection.remove(&(connection, id));
        }
    }
}

impl Machine {
    fn next_timer(&self) -> Option<(Instant, Timer)> {
        match self {
            Machine::Invite(invite) => invite.next_timer(),
            Machine::Other(other) => other.next_timer(),
        }
    }

    fn is_terminated(&self) -> bool {
        match self {
            Machine::Invite(invite) => invite.is_terminated(),
            Machine::Other(other) => other.is_terminated(),
        }
    }
}

/// Asked for rarely (CANCEL, and clients of RFC 2543), so it is read when it is asked for.
fn to_tag(response: Option<&[u8]>) -> Option<String> {
    match Message::parse(response?, &Limits::default()).ok()? {
        Message::Response(response) => response.to_header().ok()?.tag().map(str::to_owned),
        Message::Request(_) => None,
    }
}
