//! What all sessions of a user agent share: the transactions, the dice, the acknowledged INVITEs, the queue of what goes out.

use super::acks::Acks;
use super::dialog::Dialog;
use super::{Event, Output, RequestId, SessionId, Settings, SubscriptionId, compose};
use crate::rng::Rng;
use crate::sip::{Method, Name, Path, Request, Response, StatusCode};
use crate::time::{Duration, Instant};
use crate::transaction::{ClientId, ServerId, Transactions};
use std::collections::{BTreeMap, VecDeque};

/// RFC 3261 T2.
pub(super) const T2: Duration = Duration::from_secs(4);

/// A user name and a password.
pub(super) type Credentials = (String, String);

/// What all sessions share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) rng: Rng,
    pub(super) transactions: Transactions,
    pub(super) acks: Acks,
    /// Requests of ours without a final response.
    pub(super) asked: BTreeMap<ClientId, Asked>,
    /// Requests that somebody above is to answer.
    pub(super) inbound: BTreeMap<RequestId, Inbound>,
    pub(super) output: VecDeque<Output>,
    requests: u64,
}

/// A request of ours, and who waits for the response.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) owner: Owner,
    /// The credentials it carries, for an ACK.
    pub(super) authorization: Vec<(Name, String)>,
    /// The request, to be sent again with credentials when it is challenged; `None` when there are none or they were
    /// used: nobody is told the same password twice (RFC 3261 section 22.1).
    pub(super) retry: Option<Box<Retry>>,
}

/// A request that may be sent again with credentials.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) request: Request,
    pub(super) path: Path,
    pub(super) credentials: Credentials,
}

/// Who waits for a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A session.
    Session(SessionId, Purpose),
    /// Whoever sent a request outside any session.
    Outside(RequestId),
    /// A subscription that was told something.
    Subscription(SubscriptionId),
    /// Nobody: the BYE to a branch that was too late.
    Nobody,
}

/// What a session asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The INVITE that makes the session.
    Invite,
    /// One within it.
    Reinvite,
    /// UPDATE, with or without an offer.
    Update,
    /// PRACK.
    Prack,
    /// BYE.
    Bye,
    /// What somebody above wants to know.
    Within(RequestId),
}

/// A request that somebody above is to answer.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) server: ServerId,
    pub(super) request: Request,
    pub(super) session: Option<SessionId>,
    /// For To, when it has no tag.
    pub(super) tag: String,
}

/// How a request of ours ended: a response, or the status of our own making (408, 503).
pub(super) type Outcome = Result<Response, StatusCode>;

/// What a session works with: what all share, who it is, and the time.
pub(super) struct Cx<'a> {
    pub(super) ua: &'a mut Shared,
    pub(super) session: SessionId,
    /// Our tag.
    pub(super) tag: &'a str,
    pub(super) credentials: Option<&'a Credentials>,
    pub(super) now: Instant,
}

impl Shared {
    pub(super) fn new(settings: Settings, transactions: Transactions, rng: Rng) -> Shared {
        Shared {
            settings,
            rng,
            transactions,
            acks: Acks::default(),
            asked: BTreeMap::new(),
            inbound: BTreeMap::new(),
            output: VecDeque::new(),
            requests: 0,
        }
    }

    /// 64*T1, the time after which nobody waits any more.
    pub(super) fn patience(&self) -> Duration {
        self.settings.t1 * 64
    }

    /// A number for a request, sent or received.
    pub(super) fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Tells whoever is above.
    pub(super) fn emit(&mut self, event: Event) {
        self.output.push_back(Output::Event(event));
    }

    /// Sends a request and remembers who waits. With credentials it is kept to answer a challenge.
    pub(super) fn send(
        &mut self,
        mut request: Request,
        path: Path,
        owner: Owner,
        credentials: Option<&Credentials>,
        now: Instant,
    ) -> ClientId {
        request.headers_mut().push(Name::UserAgent, &self.settings.user_agent);
        let retry = credentials.map(|credentials| {
            Box::new(Retry { request: request.clone(), path, credentials: credentials.clone() })
        });
        let client = self.transactions.send(request, path, now);
        self.asked.insert(client, Asked { owner, authorization: Vec::new(), retry });
        client
    }

    /// Sends the INVITE that is to make a session, for the first time or again; the session keeps it.
    pub(super) fn send_first(
        &mut self,
        request: Request,
        path: Path,
        session: SessionId,
        now: Instant,
    ) -> ClientId {
        self.resend(request, path, Owner::Session(session, Purpose::Invite), now)
    }

    /// Sends a request with the credentials it carries, and no more chances to be challenged.
    pub(super) fn resend(&mut self, request: Request, path: Path, owner: Owner, now: Instant) -> ClientId {
        let authorization = [Name::Authorization, Name::ProxyAuthorization]
            .into_iter()
            .flat_map(|name| request.headers().all(name).map(move |value| (name, value.to_owned())))
            .collect();
        let client = self.transactions.send(request, path, now);
        self.asked.insert(client, Asked { owner, authorization, retry: None });
        client
    }

    /// Sends the ACK to a 2xx of `invite` and keeps it for the copies of that 2xx.
    pub(super) fn acknowledge(
        &mut self,
        invite: ClientId,
        dialog: &Dialog,
        cseq: u32,
        answer: Option<&[u8]>,
    ) {
        let mut ack = dialog.ack(cseq);
        for (name, value) in self.acks.credentials(invite) {
            ack.headers_mut().push(*name, value);
        }
        compose::describe_request(&mut ack, answer);
        let sent = self.transactions.transmit(ack, dialog.next_hop());
        self.acks.keep(invite, dialog.remote_tag(), Some(sent), Some(dialog.detour()));
    }

    /// Sends BYE; nobody waits for what comes back.
    pub(super) fn dismiss(&mut self, dialog: &mut Dialog, now: Instant) {
        let bye = dialog.request(Method::Bye);
        let path = dialog.next_hop();
        self.send(bye, path, Owner::Nobody, None, now);
    }
}

impl Cx<'_> {
    /// Tells whoever is above.
    pub(super) fn emit(&mut self, event: Event) {
        self.ua.emit(event);
    }

    /// Sends a request within a dialog.
    pub(super) fn send(&mut self, dialog: &Dialog, request: Request, purpose: Purpose) -> ClientId {
        let owner = Owner::Session(self.session, purpose);
        self.ua.send(request, dialog.next_hop(), owner, self.credentials, self.now)
    }

    /// The response to a request in this session, with our name and tag on it.
    pub(super) fn response(&self, request: &Request, status: StatusCode) -> Response {
        compose::response(request, status, self.tag, &self.ua.settings.user_agent)
    }

    /// Answers with nothing but a status.
    pub(super) fn refuse(&mut self, server: ServerId, request: &Request, status: StatusCode) {
        let mut response = self.response(request, status);
        if status == StatusCode::SERVER_INTERNAL_ERROR {
            // RFC 3261 section 14.2: it is our turn first.
            let seconds = super::glare::retry_after(&mut self.ua.rng);
            response.headers_mut().push(Name::RetryAfter, seconds);
        }
        self.respond(server, response);
    }

    /// Answers.
    pub(super) fn respond(&mut self, server: ServerId, response: Response) {
        self.ua.transactions.respond(server, response, self.now);
    }

    /// Contact for messages of this dialog.
    pub(super) fn contact(&self, dialog: &Dialog) -> String {
        dialog.contact(self.ua.settings.external_address)
    }
}
