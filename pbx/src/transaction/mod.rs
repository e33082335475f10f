//! Transactions (RFC 3261 section 17 with RFC 6026 and RFC 4320): four machines, one timer table.
//!
//! [`Transactions`] owns every transaction, client and server side. Messages, the wishes of the layer above (the RFC's
//! *transaction user*, TU) and the time go in; bytes to send and [`Event`]s come out. It repeats what may be lost, absorbs
//! what comes twice, answers 100, 482 and the 200 to CANCEL by itself and sends the ACK to a refusal.
//!
//! Not here: dialogs, the ACK to a 2xx and its repetition (the TU sends both), authentication, Max-Forwards, and what a
//! request means.

use crate::rng::Rng;
use crate::sip::{Message, Path, Request, Response};
use crate::time::{Duration, Instant};
use std::net::IpAddr;

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
pub struct Transactions {}

#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
impl Transactions {
    /// No transactions yet. The dice are for branches and tags.
    pub fn new(settings: Settings, rng: Rng) -> Transactions {
        todo!()
    }

    /// A message has arrived.
    pub fn receive(&mut self, message: Message, path: Path, now: Instant) {
        todo!()
    }

    /// What was sent to this remote could not be sent, or the connection broke.
    pub fn path_failed(&mut self, path: Path, now: Instant) {
        todo!()
    }

    /// Sends a request other than ACK and CANCEL, with a Via of ours in front, and repeats it until it is answered. Above
    /// 1300 bytes UDP becomes TCP (RFC 3261 section 18.1.1).
    pub fn send(&mut self, request: Request, path: Path, now: Instant) -> ClientId {
        todo!()
    }

    /// Cancels an INVITE: as soon as a provisional response has come, never after the final one (RFC 3261 section 9.1).
    /// `headers` (Reason) go into the CANCEL. The INVITE still ends by a final response or [`Event::Failed`].
    pub fn cancel(&mut self, invite: ClientId, headers: &[(String, String)], now: Instant) {
        todo!()
    }

    /// Answers a request, provisionally or finally. A 2xx to INVITE may be given again to repeat it (RFC 6026 section
    /// 7.1). What comes too late (a second final response, a provisional one after it) is not sent.
    pub fn respond(&mut self, id: ServerId, response: Response, now: Instant) {
        todo!()
    }

    /// Sends the ACK to a 2xx: a Via with a branch of its own, no transaction.
    pub fn transmit(&mut self, request: Request, path: Path) -> Sent {
        todo!()
    }

    /// Sends it again, byte for byte, because the 2xx came again.
    pub fn repeat(&mut self, sent: &Sent) {
        todo!()
    }

    /// The earliest deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    /// The earliest deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// What is to be done next; ask until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }

    /// How many transactions there are, finished ones that still absorb copies included.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there is no transaction, hence no timer.
    pub fn is_idle(&self) -> bool {
        todo!()
    }
}
