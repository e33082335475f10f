//! Transactions (RFC 3261 section 17 with RFC 6026 and RFC 4320): four machines, one timer table.
//!
//! [`Transactions`] owns every transaction, client and server side. Messages, the wishes of the layer above (the RFC's
//! *transaction user*, TU) and the time go in; bytes to send and [`Event`]s come out. It repeats what may be lost, absorbs
//! what comes twice, answers 100, 482 and the 200 to CANCEL by itself and sends the ACK to a refusal.
//!
//! Not here: dialogs, the ACK to a 2xx and its repetition (the TU sends both), authentication, Max-Forwards, and what a
//! request means.

mod client;
mod clients;
mod context;
mod invite_client;
mod invite_server;
#[cfg(test)]
mod lossy;
mod matching;
mod outgoing;
mod receive;
#[cfg(test)]
mod scene;
mod server;
mod servers;
mod stateless;
mod streamless;
mod timers;
mod via;

pub use via::needs_stream;

use crate::rng::Rng;
use crate::sip::{Message, Name, Path, Refusal, Request, Response};
use crate::time::{Duration, Instant};
use clients::Clients;
use context::Context;
use matching::Branch;
use outgoing::Outgoing;
use servers::Servers;
use std::collections::VecDeque;
use std::net::IpAddr;
use streamless::Streamless;
use timers::{Deadlines, Owner, Table};

/// What the transactions are told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// RFC 3261 T1, the estimate of the round trip; T2 and T4 are 4 s and 5 s.
    pub t1: Duration,
    /// Transactions at a time. At the bound new requests are answered 503 without state; requests within a dialog are
    /// still taken up to twice the bound, so that running calls can end.
    pub max_transactions: usize,
    /// What Via says instead of the address of `path.local`, when it is of the same family.
    pub external_address: Option<IpAddr>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { t1: Duration::from_millis(500), max_transactions: 200_000, external_address: None }
    }
}

/// A request we sent. Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// A request we received and are to answer. Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u64);

/// Why a client transaction ended without a final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Timer B or F, or no final response 64*T1 after CANCEL: to be taken as 408 (RFC 3261 section 8.1.3.1).
    TimedOut,
    /// It could not be sent, or the connection broke: to be taken as 503.
    Transport,
}

/// What happened that the layer above has to know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new request other than ACK and CANCEL; its top Via holds `received` and `rport`. To be answered by
    /// [`Transactions::respond`]. 100 goes out by itself when that takes long.
    Request {
        /// To answer it.
        id: ServerId,
        /// The request.
        request: Request,
        /// Where it came from.
        path: Path,
    },
    /// An ACK that belongs to a 2xx, or to nothing.
    Ack {
        /// The ACK.
        request: Request,
        /// Where it came from.
        path: Path,
    },
    /// A CANCEL for an INVITE that has no final response yet. Its 200 has been sent; the INVITE is to be answered 487.
    Cancelled {
        /// The INVITE.
        invite: ServerId,
        /// The CANCEL, for its Reason.
        cancel: Request,
    },
    /// A response: every provisional one (100 too), the final one once, and for INVITE every 2xx that comes within
    /// 64*T1 of the first, repeated or of another branch (RFC 6026 section 7.2).
    Response {
        /// The request.
        id: ClientId,
        /// The response.
        response: Response,
    },
    /// There will be no final response; comes at most once and not after a final response.
    Failed {
        /// The request.
        id: ClientId,
        /// Why.
        why: Failure,
    },
    /// Our refusal (300 to 699) of an INVITE was never acknowledged (timer H); nothing needs to be done.
    AckTimedOut {
        /// The INVITE.
        id: ServerId,
    },
}

/// What leaves the transactions.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an event is moved once and not kept; a box would cost more")]
pub enum Output {
    /// Bytes to send.
    Transmit {
        /// Where.
        path: Path,
        /// A whole message.
        bytes: Vec<u8>,
    },
    /// Something for the layer above.
    Event(Event),
}

/// A request that was sent without a transaction, to be sent again as it was: the ACK to a 2xx.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where it went.
    pub path: Path,
    /// The whole message.
    pub bytes: Vec<u8>,
}

/// All transactions of one user agent.
pub struct Transactions {
    settings: Settings,
    table: Table,
    rng: Rng,
    /// What only we know, for tags that are computed and not remembered.
    secret: u64,
    ids: u64,
    clients: Clients,
    servers: Servers,
    deadlines: Deadlines,
    streamless: Streamless,
    out: VecDeque<Output>,
}

impl Transactions {
    /// No transactions yet. The dice are for branches and tags.
    pub fn new(settings: Settings, mut rng: Rng) -> Transactions {
        Transactions {
            table: Table::new(settings.t1),
            settings,
            secret: rng.u64(),
            rng,
            ids: 0,
            clients: Clients::default(),
            servers: Servers::default(),
            deadlines: Deadlines::default(),
            streamless: Streamless::default(),
            out: VecDeque::new(),
        }
    }

    /// A message has arrived.
    pub fn receive(&mut self, message: Message, path: Path, now: Instant) {
        match message {
            Message::Request(request) => self.receive_request(request, path, now),
            Message::Response(response) => self.receive_response(response, now),
        }
    }

    /// Something has arrived that is no message, but of which [`crate::sip::salvage`] could save where to answer.
    pub fn receive_spoilt(&mut self, salvaged: Request, path: Path, refusal: &Refusal) {
        self.refuse_spoilt(salvaged, path, refusal);
    }

    /// What was sent to this remote could not be sent, or the connection broke.
    pub fn path_failed(&mut self, path: Path, now: Instant) {
        self.servers.path_failed(&path);
        let (clients, deadlines, mut cx) = self.clients(now);
        clients.path_failed(&path, deadlines, &mut cx);
    }

    /// Sends a request other than ACK and CANCEL, with a Via of ours in front, and repeats it until it is answered. Above
    /// 1300 bytes UDP becomes TCP, and UDP again when that fails (RFC 3261 section 18.1.1). Max-Forwards and Content-Length
    /// are added when missing. An INVITE that rings is waited for without end: to stop waiting is for the TU.
    pub fn send(&mut self, request: Request, path: Path, now: Instant) -> ClientId {
        let mut outgoing = self.outgoing(request, path);
        if !self.streamless.knows(path.remote, now) {
            outgoing.take_stream_if_large();
        }
        self.start_client(outgoing, now)
    }

    /// Cancels an INVITE: as soon as a provisional response has come, never after the final one (RFC 3261 section 9.1).
    /// `headers` (Reason) go into the CANCEL. The INVITE still ends by a final response or [`Event::Failed`].
    pub fn cancel(&mut self, invite: ClientId, headers: &[(String, String)], now: Instant) {
        let (clients, deadlines, mut cx) = self.clients(now);
        if let Some(cancel) = clients.cancel(invite, headers.to_vec(), deadlines, &mut cx) {
            self.start_client(cancel, now);
        }
    }

    /// Answers a request, provisionally or finally. A 2xx to INVITE may be given again to repeat it (RFC 6026 section
    /// 7.1). What comes too late (a second final response, a provisional one after it) is not sent, nor is what RFC 4320
    /// forbids in answer to another request than INVITE: 408, and provisional responses, for 100 goes by itself.
    pub fn respond(&mut self, id: ServerId, mut response: Response, now: Instant) {
        if !response.headers().has(Name::ContentLength) {
            let length = response.body().len();
            response.headers_mut().push(Name::ContentLength, length);
        }
        let (servers, deadlines, mut cx) = self.servers(now);
        servers.respond(id, response, deadlines, &mut cx);
    }

    /// Sends the ACK to a 2xx: a Via with a branch of its own, no transaction. It keeps its transport whatever its size, for
    /// nobody would notice that a stream failed.
    pub fn transmit(&mut self, request: Request, path: Path) -> Sent {
        let outgoing = self.outgoing(request, path);
        let sent = Sent { path: outgoing.path, bytes: outgoing.into_bytes() };
        self.repeat(&sent);
        sent
    }

    /// Sends it again, byte for byte, because the 2xx came again.
    pub fn repeat(&mut self, sent: &Sent) {
        self.out.push_back(Output::Transmit { path: sent.path, bytes: sent.bytes.clone() });
    }

    /// The earliest deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(owner) = self.deadlines.due(now) {
            match owner {
                Owner::Client(id) => {
                    let (clients, deadlines, mut cx) = self.clients(now);
                    clients.handle_timeout(id, deadlines, &mut cx);
                }
                Owner::Server(id) => {
                    let (servers, deadlines, mut cx) = self.servers(now);
                    servers.handle_timeout(id, deadlines, &mut cx);
                }
            }
        }
    }

    /// The earliest deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.earliest()
    }

    /// What is to be done next; ask until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// How many transactions there are, finished ones that still absorb copies included.
    pub fn count(&self) -> usize {
        self.clients.count() + self.servers.count()
    }

    /// Whether nothing is left: no transaction, no timer, no entry by which one would be found.
    pub fn is_idle(&self) -> bool {
        self.clients.is_empty() && self.servers.is_empty() && self.deadlines.earliest().is_none()
    }

    fn outgoing(&mut self, request: Request, path: Path) -> Outgoing {
        Outgoing::new(request, path, Branch::new(&mut self.rng), self.settings.external_address)
    }

    fn start_client(&mut self, outgoing: Outgoing, now: Instant) -> ClientId {
        let id = ClientId(self.next_id());
        let (clients, deadlines, mut cx) = self.clients(now);
        clients.start(id, outgoing, deadlines, &mut cx);
        id
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The client side, and what is lent to it.
    fn clients(&mut self, now: Instant) -> (&mut Clients, &mut Deadlines, Context<'_>) {
        let cx = Context { now, table: &self.table, streamless: &mut self.streamless, out: &mut self.out };
        (&mut self.clients, &mut self.deadlines, cx)
    }

    /// The server side, and what is lent to it.
    fn servers(&mut self, now: Instant) -> (&mut Servers, &mut Deadlines, Context<'_>) {
        let cx = Context { now, table: &self.table, streamless: &mut self.streamless, out: &mut self.out };
        (&mut self.servers, &mut self.deadlines, cx)
    }
}
