//! Dialogs and the sessions that INVITE sets up (RFC 3261 sections 8 to 15), PRACK (RFC 3262), UPDATE (RFC 3311), session
//! timers (RFC 4028), and the offer/answer gate: which message carries which description, and when one may be sent.
//!
//! [`UserAgent`] is everything of SIP below the calls: it owns the transactions, answers by itself what needs no decision
//! (100, ACK, the 200 to CANCEL, PRACK and BYE, 481, 491, 405, 420, ...) and tells the rest as [`Event`]s. It does not know
//! that two sessions may belong to one call, and does not look into descriptions.
//!
//! Where to start reading: [`UserAgent`] takes wishes and messages (`user_agent.rs`, `arrivals.rs`) and hands them to a
//! session (`session.rs`), which is in one of four stages (`stage.rs`): we ring (`uas.rs`), we call (`uac.rs`), it is
//! answered (`established.rs`), it ends (`leaving.rs`). What the stages have in common is the other end of a dialog
//! (`peer.rs`): the dialog itself (`dialog.rs`, `target.rs`), the offer/answer gate (`offer.rs`), the session timer
//! (`session_timer.rs`). Beside sessions there are subscriptions of others at us (`subscription.rs`).

mod acks;
mod arrivals;
mod challenge;
mod compose;
#[expect(
    clippy::module_inception,
    reason = "the dialog is one of the things in this room, and its name is the RFC's"
)]
mod dialog;
mod established;
mod glare;
mod inspect;
mod leaving;
mod offer;
mod peer;
mod prack;
mod session;
mod session_timer;
mod shared;
mod stage;
mod subscription;
mod target;
#[cfg(test)]
mod tests;
mod uac;
mod uas;
mod user_agent;

pub use user_agent::UserAgent;

use crate::sip::{Method, Path, Request, Response, StatusCode};
use crate::time::Duration;

/// A session: what one INVITE, sent or received, sets up, from the INVITE to the end of its dialog. Where an INVITE we sent
/// is forked, its early dialogs belong to one session and the first 2xx decides which is it. Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A request other than INVITE, ACK, CANCEL, BYE, PRACK, UPDATE: received and to be answered, or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A subscription of somebody at us (RFC 6665). Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// What the user agent is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `Server` and `User-Agent`.
    pub user_agent: String,
    /// RFC 3261 T1; T2 and T4 are 4 s and 5 s.
    pub t1: Duration,
    /// The session interval we ask for; `None`: we only follow what others ask for.
    pub session_expires: Option<Duration>,
    /// The shortest session interval we accept.
    pub min_se: Duration,
    /// What Contact says instead of the local address of a path.
    pub external_address: Option<std::net::IpAddr>,
    /// Transactions and sessions at a time; over it requests are answered 503 without state.
    pub max_transactions: usize,
}

/// How a dialog stands that somebody has named (RFC 3891 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It rings, and we have called.
    EarlyByUs,
    /// It rings, and we were called.
    EarlyByThem,
    /// It is answered.
    Confirmed,
    /// It has ended.
    Over,
}

/// A body with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Content-Type.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Header lines that ride along: names and values as they are written.
pub type ExtraHeaders = Vec<(String, String)>;

/// An INVITE to be sent.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The Request-URI.
    pub uri: String,
    /// The value of To, without tag.
    pub to: String,
    /// The value of From, without tag.
    pub from: String,
    /// Where it goes first; `path.local` tells the socket.
    pub path: Path,
    /// Route lines, first to last.
    pub route: Vec<String>,
    /// Max-Forwards; one less than that of the call that causes it.
    pub max_forwards: u8,
    /// Subject, Diversion, P-Asserted-Identity, ...
    pub headers: ExtraHeaders,
    /// The offer (application/sdp); `None`: the other side is to make one.
    pub offer: Option<Vec<u8>>,
    /// User name and password to answer a 401 or 407 with.
    pub credentials: Option<(String, String)>,
    /// No response at all within this counts as 408; `None`: timer B.
    pub try_timeout: Option<Duration>,
}

/// A request other than INVITE to be sent outside a dialog.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// OPTIONS, MESSAGE, NOTIFY, REGISTER, ...
    pub method: Method,
    /// The Request-URI.
    pub uri: String,
    /// The value of To, without tag.
    pub to: String,
    /// The value of From, without tag.
    pub from: String,
    /// Where it goes first.
    pub path: Path,
    /// More header lines. Call-ID and CSeq, of which the number counts, are taken from here when they are given: a REGISTER
    /// that refreshes a binding keeps the one and counts on in the other.
    pub headers: ExtraHeaders,
    /// The body.
    pub body: Option<Body>,
    /// User name and password to answer a 401 or 407 with.
    pub credentials: Option<(String, String)>,
}

/// A final response to be sent.
#[derive(Clone, Debug)]
pub struct Reply {
    /// 200 to 699.
    pub status: StatusCode,
    /// The reason phrase, when not the default.
    pub reason: Option<String>,
    /// More header lines.
    pub headers: ExtraHeaders,
    /// The body.
    pub body: Option<Body>,
}

impl Reply {
    /// A reply with nothing but its status.
    pub fn new(status: StatusCode) -> Reply {
        Reply { status, reason: None, headers: ExtraHeaders::new(), body: None }
    }
}

/// A description in the place the offer/answer model gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description {
    /// An offer, to be answered.
    Offer(Vec<u8>),
    /// The answer to our offer.
    Answer(Vec<u8>),
}

/// Why a session ended that was not ended by us.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The other side sent BYE; its Reason header.
    Bye {
        /// The value of Reason.
        reason: Option<String>,
    },
    /// The caller sent CANCEL; its Reason header. 487 is already on its way.
    Cancel {
        /// The value of Reason.
        reason: Option<String>,
    },
    /// Our 2xx was never acknowledged (64*T1); BYE has been sent (RFC 3261 section 13.3.1.4).
    NoAck,
    /// A reliable provisional response was never acknowledged by PRACK; the INVITE was answered 504 (RFC 3262 section 3).
    NoPrack,
    /// Nobody refreshed the session in time (RFC 4028); BYE has been sent.
    SessionExpired,
    /// 408 or 481 to a request in the dialog, or nothing at all; BYE has been sent (RFC 3261 section 12.2.1.2).
    Lost,
    /// The other side broke the offer/answer model, e.g. its 2xx has no answer; BYE has been sent.
    PeerMisbehaved(&'static str),
}

/// What happened that somebody above has to know or decide.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new INVITE outside any dialog. It is to be rung, accepted, rejected; 100 goes out by itself.
    Incoming {
        /// The new session.
        session: SessionId,
        /// The INVITE.
        invite: Request,
        /// Where it came from.
        path: Path,
        /// Its offer; `None`: we are to make one, in [`UserAgent::accept`].
        offer: Option<Vec<u8>>,
    },
    /// A provisional response other than 100 to our INVITE. A reliable one has been acknowledged (an answer owed in PRACK is
    /// asked for by [`Description::Offer`]).
    Provisional {
        /// The session.
        session: SessionId,
        /// The response.
        response: Response,
        /// Its description. One in an unreliable response is a preview of the answer.
        description: Option<Description>,
    },
    /// The first 2xx to our INVITE. ACK goes by itself unless the description is an offer: then [`UserAgent::answer`] sends it.
    Answered {
        /// The session.
        session: SessionId,
        /// The response.
        response: Response,
        /// What it says, when it says something new.
        description: Option<Description>,
    },
    /// Our INVITE came to nothing, or was cancelled (487). `None`: nothing came in time or it could not be sent (408, 503).
    Refused {
        /// The session, which is gone.
        session: SessionId,
        /// 300 to 699.
        status: StatusCode,
        /// The response, when there was one.
        response: Option<Response>,
    },
    /// ACK to our 2xx has come; with the answer when our 2xx carried the offer.
    Confirmed {
        /// The session.
        session: SessionId,
        /// The answer.
        answer: Option<Vec<u8>>,
    },
    /// The other side wants to change the session (re-INVITE or UPDATE): [`UserAgent::answer`] or
    /// [`UserAgent::refuse_offer`].
    Offered {
        /// The session.
        session: SessionId,
        /// The offer; `None`: we are to make it (re-INVITE without description), by [`UserAgent::answer`].
        offer: Option<Vec<u8>>,
    },
    /// The answer to what we offered by [`UserAgent::offer`], in PRACK, or in ACK to a re-INVITE's 2xx.
    OfferAnswered {
        /// The session.
        session: SessionId,
        /// The answer.
        answer: Vec<u8>,
    },
    /// What we offered by [`UserAgent::offer`] was refused; the session is as it was. 491 is tried again by itself, unless
    /// the other side's offer comes first: then ours, made before it, is out of date, and this event with 491 comes just
    /// before [`Event::Offered`]. Who still wants the change offers it anew.
    OfferRefused {
        /// The session.
        session: SessionId,
        /// Why.
        status: StatusCode,
        /// Whether it had gone out: one that has waited all the time was seen by nobody.
        was_sent: bool,
    },
    /// A request, within a session or outside, that is to be answered by [`UserAgent::reply`].
    Request {
        /// To answer it.
        id: RequestId,
        /// The session it belongs to.
        session: Option<SessionId>,
        /// REGISTER, OPTIONS, INFO, MESSAGE, ...
        request: Request,
        /// Where it came from.
        path: Path,
    },
    /// The final response to [`UserAgent::request`] or [`UserAgent::request_within`]; `Err` is 408 or 503 of our own making.
    Response {
        /// What was asked.
        id: RequestId,
        /// The session, when it was sent within one.
        session: Option<SessionId>,
        /// The response.
        response: Result<Response, StatusCode>,
    },
    /// A subscriber wants to know for longer, or, with `Expires: 0`, no more: [`UserAgent::renew_subscription`] or a reply.
    Renewal {
        /// The subscription.
        subscription: SubscriptionId,
        /// To answer it.
        id: RequestId,
        /// The SUBSCRIBE.
        request: Request,
    },
    /// Nobody has renewed it in time: [`UserAgent::end_subscription`].
    SubscriptionExpired {
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// The subscriber does not want to know, or is not there any more.
    SubscriptionEnded {
        /// The subscription, which is gone.
        subscription: SubscriptionId,
    },
    /// The session is over and not by our doing.
    Ended {
        /// The session, which is gone.
        session: SessionId,
        /// Why.
        cause: Cause,
    },
}

/// What leaves the user agent.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an output is taken apart as soon as it is polled")]
pub enum Output {
    /// Bytes to send.
    Transmit {
        /// Where.
        path: Path,
        /// A whole message.
        bytes: Vec<u8>,
    },
    /// Something for whoever is above.
    Event(Event),
}
