//! All client transactions, and the ways to find one: by id, by the branch of a response, by the remote it went to.

use super::ClientId;
use super::client::{self, Client};
use super::context::Context;
use super::invite_client::{self, InviteClient, Reasons};
use super::matching::Branch;
use super::outgoing::Outgoing;
use super::timers::{Deadlines, Owner, Timer};
use crate::sip::{Method, Name, Path, Response, Transport, Via};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// All client transactions.
#[derive(Default)]
pub(super) struct Clients {
    entries: BTreeMap<ClientId, Entry>,
    by_branch: BTreeMap<(Branch, Kind), ClientId>,
    /// Those without a final response, by the remote they went to.
    pending: BTreeSet<(Transport, SocketAddr, ClientId)>,
}

struct Entry {
    machine: Machine,
    branch: Branch,
    method: Method,
    /// Host and port of our Via; a response that names others is not for us (RFC 3261 section 18.1.2).
    sent_by: SocketAddr,
    /// As it stands in the queue of deadlines.
    deadline: Option<Instant>,
    /// As it stands in [`Clients::pending`].
    pending: Option<Path>,
}

enum Machine {
    Invite(InviteClient),
    Other(Client),
}

/// A CANCEL shares its branch with the INVITE.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Cancel,
    Other,
}

impl Clients {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.by_branch.is_empty() && self.pending.is_empty()
    }

    /// Sends a request.
    pub(super) fn start(
        &mut self,
        id: ClientId,
        outgoing: Outgoing,
        deadlines: &mut Deadlines,
        cx: &mut Context<'_>,
    ) {
        let (branch, method, sent_by) = (outgoing.branch(), outgoing.method().clone(), outgoing.sent_by());
        self.by_branch.insert((branch, Kind::of(&method)), id);
        let machine = match method {
            Method::Invite => Machine::Invite(InviteClient::start(id, outgoing, cx)),
            _ => Machine::Other(Client::start(id, outgoing, cx)),
        };
        self.entries.insert(id, Entry { machine, branch, method, sent_by, deadline: None, pending: None });
        self.settle(id, deadlines);
    }

    /// The request that a response answers (RFC 3261 section 17.1.3).
    pub(super) fn find(&self, response: &Response) -> Option<ClientId> {
        // More than one Via: the response belongs to somebody behind us, and we are no proxy (section 8.1.3.3).
        let mut vias = response.list(Name::Via);
        let (via, None) = (Via::parse(vias.next()?).ok()?, vias.next()) else { return None };
        let method = response.cseq().ok()?.method();
        let id = *self.by_branch.get(&(Branch::of(&via)?, Kind::of(&method)))?;
        let entry = self.entries.get(&id)?;
        (entry.method == method && is_sent_by(&via, entry.sent_by)).then_some(id)
    }

    /// A response has come.
    pub(super) fn respond(
        &mut self,
        id: ClientId,
        response: Response,
        deadlines: &mut Deadlines,
        cx: &mut Context<'_>,
    ) -> Option<Outgoing> {
        let entry = self.entries.get_mut(&id)?;
        let cancel = match &mut entry.machine {
            Machine::Invite(invite) => invite.step(invite_client::Input::of(response), cx),
            Machine::Other(other) => {
                other.step(client::Input::of(response), cx);
                None
            }
        };
        self.settle(id, deadlines);
        cancel
    }

    /// The TU wants no answer to an INVITE any more. Returns the CANCEL when it may go now.
    pub(super) fn cancel(
        &mut self,
        id: ClientId,
        reasons: Reasons,
        deadlines: &mut Deadlines,
        cx: &mut Context<'_>,
    ) -> Option<Outgoing> {
        let cancel = match &mut self.entries.get_mut(&id)?.machine {
            Machine::Invite(invite) => invite.step(invite_client::Input::Cancel(reasons), cx),
            Machine::Other(_) => None,
        };
        self.settle(id, deadlines);
        cancel
    }

    /// A deadline has come.
    pub(super) fn handle_timeout(&mut self, id: ClientId, deadlines: &mut Deadlines, cx: &mut Context<'_>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(timer) = entry.machine.due(cx.now) {
            entry.machine.fire(timer, cx);
        }
        self.settle(id, deadlines);
    }

    /// A path has failed: what waits on it fails, or takes another.
    pub(super) fn path_failed(&mut self, failed: &Path, deadlines: &mut Deadlines, cx: &mut Context<'_>) {
        let (transport, remote) = (failed.transport, failed.remote);
        let all = (transport, remote, ClientId(0))..=(transport, remote, ClientId(u64::MAX));
        let waiting: Vec<ClientId> = self.pending.range(all).map(|&(_, _, id)| id).collect();
        for id in waiting {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            if entry.pending.is_some_and(|path| uses(&path, failed)) {
                entry.machine.path_failed(cx);
                self.settle(id, deadlines);
            }
        }
    }

    /// Brings what is known about a transaction up to date with its state.
    fn settle(&mut self, id: ClientId, deadlines: &mut Deadlines) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let deadline = entry.machine.next_timer().map(|(at, _)| at);
        deadlines.change(Owner::Client(id), entry.deadline, deadline);
        entry.deadline = deadline;
        let pending = entry.machine.pending_on();
        if pending != entry.pending {
            if let Some(path) = entry.pending {
                self.pending.remove(&(path.transport, path.remote, id));
            }
            if let Some(path) = pending {
                self.pending.insert((path.transport, path.remote, id));
            }
            entry.pending = pending;
        }
        if entry.machine.is_terminated() {
            self.by_branch.remove(&(entry.branch, Kind::of(&entry.method)));
            self.entries.remove(&id);
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

    fn due(&self, now: Instant) -> Option<Timer> {
        self.next_timer().filter(|&(at, _)| at <= now).map(|(_, timer)| timer)
    }

    fn fire(&mut self, timer: Timer, cx: &mut Context<'_>) {
        match self {
            // A timer never makes a CANCEL due.
            Machine::Invite(invite) => drop(invite.step(invite_client::Input::Timer(timer), cx)),
            Machine::Other(other) => other.step(client::Input::Timer(timer), cx),
        }
    }

    fn path_failed(&mut self, cx: &mut Context<'_>) {
        match self {
            Machine::Invite(invite) => drop(invite.step(invite_client::Input::PathFailed, cx)),
            Machine::Other(other) => other.step(client::Input::PathFailed, cx),
        }
    }

    fn pending_on(&self) -> Option<Path> {
        match self {
            Machine::Invite(invite) => invite.pending_on(),
            Machine::Other(other) => other.pending_on(),
        }
    }

    fn is_terminated(&self) -> bool {
        match self {
            Machine::Invite(invite) => invite.is_terminated(),
            Machine::Other(other) => other.is_terminated(),
        }
    }
}

impl Kind {
    fn of(method: &Method) -> Kind {
        if *method == Method::Cancel { Kind::Cancel } else { Kind::Other }
    }
}

fn is_sent_by(via: &Via<'_>, sent_by: SocketAddr) -> bool {
    let default_port = Transport::of(via.transport).map_or(5060, Transport::default_port);
    via.host.ip() == Some(sent_by.ip()) && via.port.unwrap_or(default_port) == sent_by.port()
}

/// Whether a request on `path` is hit when `failed` fails. A request that names no connection went over any that leads
/// to the remote.
fn uses(path: &Path, failed: &Path) -> bool {
    path.connection.is_none() || path.connection == failed.connection
}
