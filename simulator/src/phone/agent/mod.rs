//! A user agent of the telephones' own, written by the RFCs and not by what the PBX does: two ends that were the same code
//! would forgive each other the same mistakes. Of the PBX it uses values (messages, digest arithmetic), no machine.
//!
//! An [`Agent`] is told what its owner wants and what has come, and answers with messages and [`Event`]s. What is in a
//! description is its owner's business; whose turn it is to describe is its own.
//!
//! | file | what is in it |
//! |---|---|
//! | `again.rs`, `client.rs`, `server.rs`, `transactions.rs` | RFC 3261 section 17, RFC 6026 |
//! | `dialog.rs`, `call.rs` | RFC 3261 section 12: what a dialog and a call remember |
//! | `caller.rs`, `callee.rs` | an INVITE from either end: early dialogs, forks, CANCEL, ACK |
//! | `reliable.rs` | RFC 3262 |
//! | `offers.rs` | whose turn it is (RFC 3264, RFC 6337): re-INVITE, UPDATE, 491 |
//! | `timer.rs` | RFC 4028 |
//! | `within.rs` | everything else within a dialog, and its end |
//! | `transfer.rs` | REFER, its NOTIFY, Replaces |
//! | `subscriber.rs` | SUBSCRIBE and the NOTIFYs that come of it (RFC 6665) |
//! | `manners.rs` | what leaves a telephone that misbehaves |

mod again;
mod call;
mod callee;
mod caller;
mod client;
mod dialog;
mod manners;
mod offers;
mod reliable;
mod server;
mod subscriber;
mod timer;
mod transactions;
mod transfer;
mod within;

pub(super) use dialog::{place, token};
pub(super) use offers::Means;
pub(super) use transactions::{Event as TransactionEvent, Output as TransactionOutput, Transactions};

use super::misbehaviour::{Misbehaviour, Ways};
use super::{Abilities, Prack, Timer};
use call::{Accepted, Acknowledged, Call};
use pbx::rng::Rng;
use pbx::sip::{Message, Method, Name, Path, Replaces, Request, Response, StatusCode};
use pbx::time::{Duration, Instant};
use std::collections::VecDeque;
use transactions::{ClientId, ServerId};

/// RFC 3261 appendix A.
pub(super) const T1: Duration = Duration::from_millis(500);

/// So often a longer session interval is tried.
const LONGER: u32 = 3;

/// What we answer to.
const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, REFER, NOTIFY";

/// A call of this telephone; a number is never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionId(u64);

/// Who the telephone is, and where it finds its PBX.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) domain: String,
    pub(super) path: Path,
}

/// A description in the place the offer/answer model gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Description {
    /// To be answered.
    Offer(Vec<u8>),
    /// The answer to ours.
    Answer(Vec<u8>),
    /// What the answer to ours will be, in a response that may get lost.
    Preview(Vec<u8>),
}

/// What the owner is to know or to decide.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody calls; `replaces` is the call that this one takes the place of.
    Incoming { session: SessionId, caller: String, offer: Option<Vec<u8>>, replaces: Option<SessionId> },
    /// How our call comes along; 100 is not told.
    Provisional { session: SessionId, status: StatusCode, description: Option<Description> },
    /// Our call is answered. An offer in it is to be answered by [`Agent::answer`].
    Answered { session: SessionId, status: StatusCode, description: Option<Description> },
    /// Our call is refused.
    Refused { session: SessionId, status: StatusCode },
    /// Our 2xx has arrived; with the answer when it carried the offer.
    Confirmed { session: SessionId, answer: Option<Vec<u8>> },
    /// What was wished by [`Agent::wish`] can be offered now, by [`Agent::offer`].
    MayOffer { session: SessionId },
    /// The other side wants to change the session; without an offer we are to make it.
    Offered { session: SessionId, offer: Option<Vec<u8>> },
    /// The answer to our offer.
    OfferAnswered { session: SessionId, answer: Vec<u8> },
    /// Our offer was refused and everything is as it was.
    OfferRefused { session: SessionId, status: StatusCode },
    /// A text has come.
    Text(Vec<u8>),
    /// A key has come by INFO.
    Key(char),
    /// Somebody asks us to call somebody else: [`Agent::invite`], and [`Agent::report`] on it.
    Referred { session: SessionId, to: String, replaces: Option<String> },
    /// How a transfer of ours comes along.
    Transferred { session: SessionId, status: StatusCode },
    /// The final answer to a SUBSCRIBE of ours.
    SubscriptionAnswered { status: StatusCode },
    /// What we wanted to know, or were told without asking: the event, Subscription-State, the body.
    News { event: String, state: String, body: String },
    /// The final response to something else that we sent within a call.
    Told { session: SessionId, status: StatusCode },
    /// The caller gives up what rings here; [`Agent::reject`] with 487 is what is expected.
    Cancelled { session: SessionId },
    /// The call is over and not by our doing.
    Ended { session: SessionId },
}

/// What leaves the agent.
pub(super) enum Output {
    /// Bytes to send.
    Transmit { path: Path, bytes: Vec<u8> },
    /// Something for the owner.
    Event(Event),
}

/// What a request of ours is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The INVITE that makes the call.
    Invite(SessionId),
    /// An INVITE or UPDATE within a call. `refreshes`: it only says that we are still there.
    Change {
        session: SessionId,
        refreshes: bool,
    },
    Prack,
    Bye(SessionId),
    Cancel,
    Refer(SessionId),
    Subscribe(u64),
    /// INFO, MESSAGE, OPTIONS, NOTIFY within a call.
    Within(SessionId),
    /// The same outside of any, and what nobody waits for.
    Outside,
}

/// A request of ours that waits for its final response.
struct Pending {
    client: ClientId,
    purpose: Purpose,
    /// Whether it was tried with a password.
    is_trusted: bool,
    /// How often it was tried with a longer session interval.
    longer: u32,
}

/// Something to be said within a call.
struct Said {
    session: SessionId,
    method: Method,
    header: Option<(String, String)>,
    body: Option<(String, Vec<u8>)>,
}

/// The user agent of one telephone.
pub(super) struct Agent {
    pub(super) identity: Identity,
    pub(super) abilities: Abilities,
    pub(super) ways: Ways,
    /// Header lines that stand in its messages besides: of which method or status, and the line.
    pub(super) lines: Vec<(String, String)>,
    pub(super) hears_of_transfers: bool,
    transactions: Transactions,
    calls: Vec<Call>,
    wanted: Vec<subscriber::Wanted>,
    pending: Vec<Pending>,
    /// What is to be said within calls when what was said before has been answered.
    said: VecDeque<Said>,
    /// 2xx that we have acknowledged, as long as copies of them may come.
    acknowledged: Vec<Acknowledged>,
    /// 2xx of ours that wait for their ACK.
    accepted: Vec<Accepted>,
    next_session: u64,
    rng: Rng,
    out: VecDeque<Output>,
}

impl Agent {
    pub(super) fn new(identity: Identity, mut rng: Rng) -> Agent {
        Agent {
            identity,
            abilities: Abilities::default(),
            ways: Ways::default(),
            lines: Vec::new(),
            hears_of_transfers: true,
            transactions: Transactions::new(T1, rng.fork()),
            calls: Vec::new(),
            wanted: Vec::new(),
            pending: Vec::new(),
            said: VecDeque::new(),
            acknowledged: Vec::new(),
            accepted: Vec::new(),
            next_session: 0,
            rng,
            out: VecDeque::new(),
        }
    }

    /// A message has come.
    pub(super) fn receive(&mut self, message: Message, path: Path, now: Instant) {
        self.transactions.receive(message, path, now);
        self.settle(now);
    }

    /// A connection is gone, or could not be made.
    pub(super) fn path_failed(&mut self, path: Path, now: Instant) {
        self.transactions.path_failed(path);
        self.settle(now);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.transactions.handle_timeout(now);
        self.repeat_answers(now);
        self.repeat_reliable(now);
        self.give_up_cancelled(now);
        self.watch_sessions(now);
        self.refresh_subscriptions(now);
        self.settle(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let answers = self.accepted.iter().map(Accepted::poll_timeout);
        let calls = self.calls.iter().filter_map(Call::poll_timeout);
        answers.chain(calls).chain(self.transactions.poll_timeout()).chain(self.refresh_at()).min()
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Whether no call, dialog or transaction is left.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.accepted.is_empty()
            && self.wants_nothing()
            && self.transactions.is_idle()
    }

    /// Asks or says something outside of any call.
    pub(super) fn send_outside(&mut self, method: Method, number: &str, text: Option<&str>, now: Instant) {
        let mut dialog = self.new_dialog(number);
        let mut request = dialog.request(method);
        if *request.method() == Method::Options {
            request.headers_mut().push(Name::Accept, "application/sdp");
        }
        if let Some(text) = text {
            request.set_body("text/plain", text.as_bytes());
        }
        self.send(request, self.identity.path, Purpose::Outside, now);
        self.settle(now);
    }

    /// Brings what the transactions have produced to where it belongs.
    fn settle(&mut self, now: Instant) {
        loop {
            while let Some(output) = self.transactions.poll_output() {
                match output {
                    TransactionOutput::Transmit { path, bytes } => self.transmit(path, bytes),
                    TransactionOutput::Event(event) => self.on_transaction(event, now),
                }
            }
            if !self.open_gates(now) {
                break;
            }
        }
        let Agent { transactions, acknowledged, calls, pending, said, .. } = self;
        for call in calls.iter().filter(|call| call.is_over()) {
            let is_its = |pending: &&Pending| matches!(pending.purpose, Purpose::Change { session, .. } if session == call.id);
            pending.iter().filter(is_its).for_each(|pending| transactions.expire(pending.client, now));
        }
        acknowledged.retain(|ack| transactions.client(ack.client).is_some());
        calls.retain(|call| !call.is_over());
        said.retain(|said| calls.iter().any(|call| call.id == said.session));
    }

    fn on_transaction(&mut self, event: TransactionEvent, now: Instant) {
        match event {
            TransactionEvent::Response { client, response } => self.on_response(client, &response, now),
            TransactionEvent::Failed { client, status } => self.on_failed(client, status, now),
            TransactionEvent::Request { server } => self.on_request(server, now),
            TransactionEvent::Ack { request } => self.on_ack(&request, now),
        }
    }

    fn on_response(&mut self, client: ClientId, response: &Response, now: Instant) {
        let Some(at) = self.pending.iter().position(|pending| pending.client == client) else {
            // A 2xx to an INVITE comes as often as it is sent.
            return self.on_another_answer(client, response, now);
        };
        let status = response.status();
        let purpose = self.pending[at].purpose;
        if status.is_final() {
            let pending = self.pending.swap_remove(at);
            if self.ways.has(Misbehaviour::RepeatsAfterTheAnswer) {
                self.transactions.repeat(client);
            }
            if self.tries_again(&pending, response, now) {
                return;
            }
        }
        match purpose {
            Purpose::Invite(session) => self.on_invite_response(session, client, response, now),
            Purpose::Change { .. } if status.is_provisional() => {}
            Purpose::Change { session, refreshes } => {
                self.on_change_response(session, client, refreshes, response, now);
            }
            Purpose::Bye(session) if status.is_final() => self.end(session),
            Purpose::Refer(session) if status.is_final() => self.on_refer_response(session, status, now),
            Purpose::Subscribe(id) => self.on_subscribe_response(id, response, now),
            Purpose::Within(session) if status.is_final() => {
                self.tell(Event::Told { session, status });
                self.is_still_there(session, status, now);
                self.say_next(session, status, now);
            }
            Purpose::Bye(_)
            | Purpose::Cancel
            | Purpose::Prack
            | Purpose::Refer(_)
            | Purpose::Within(_)
            | Purpose::Outside => {}
        }
    }

    /// Nobody has answered.
    fn on_failed(&mut self, client: ClientId, status: StatusCode, now: Instant) {
        let Some(at) = self.pending.iter().position(|pending| pending.client == client) else { return };
        match self.pending.swap_remove(at).purpose {
            Purpose::Invite(session) => self.refused(session, status),
            Purpose::Bye(session) => self.end(session),
            Purpose::Subscribe(id) => self.on_subscribe_failed(id),
            // A dialog in which nobody answers is none (RFC 3261 section 12.2.1.2).
            Purpose::Change { session, .. } | Purpose::Refer(session) | Purpose::Within(session) => {
                self.is_lost(session, now);
            }
            Purpose::Prack | Purpose::Cancel | Purpose::Outside => {}
        }
    }

    /// Sends a request and remembers what for.
    fn send(&mut self, mut request: Request, path: Path, purpose: Purpose, now: Instant) -> ClientId {
        request.headers_mut().push(Name::UserAgent, "Telephone");
        if request.body().is_empty() {
            request.headers_mut().set(Name::ContentLength, 0);
        }
        let client = self.transactions.send(request, path, now);
        self.pending.push(Pending { client, purpose, is_trusted: false, longer: 0 });
        client
    }

    /// A request that was refused for want of a password goes out again with it (RFC 3261 section 22.2), and an INVITE
    /// with too short a session interval with a longer one (RFC 4028 section 7.3).
    fn tries_again(&mut self, pending: &Pending, response: &Response, now: Instant) -> bool {
        let Some(client) = self.transactions.client(pending.client) else { return false };
        let (mut request, path) = (client.request.clone(), client.path);
        let Pending { mut is_trusted, mut longer, .. } = *pending;
        let changed = match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                !std::mem::replace(&mut is_trusted, true) && self.add_credentials(&mut request, response)
            }
            StatusCode::SESSION_INTERVAL_TOO_SMALL => {
                longer += 1;
                longer <= LONGER && timer::take_longer(&mut request, response)
            }
            _ => false,
        };
        let Some(number) = changed.then(|| self.next_number(pending.purpose, &request)).flatten() else {
            return false;
        };
        request.headers_mut().remove_first(Name::Via);
        let method = request.method().clone();
        request.headers_mut().set(Name::CSeq, format_args!("{number} {method}"));
        let client = self.transactions.send(request, path, now);
        self.pending.push(Pending { client, purpose: pending.purpose, is_trusted, longer });
        self.replaced(pending.client, client);
        true
    }

    /// The next CSeq of what a request belongs to; none when that is over.
    fn next_number(&mut self, purpose: Purpose, request: &Request) -> Option<u32> {
        match purpose {
            Purpose::Outside => Some(request.cseq().ok()?.number + 1),
            Purpose::Subscribe(id) => self.next_subscribe(id),
            // A CANCEL has no number of its own, and a PRACK that of a dialog that may not come to be.
            Purpose::Cancel | Purpose::Prack => None,
            Purpose::Invite(session)
            | Purpose::Change { session, .. }
            | Purpose::Bye(session)
            | Purpose::Refer(session)
            | Purpose::Within(session) => {
                let call = self.call(session)?;
                call.dialog.cseq += 1;
                Some(call.dialog.cseq)
            }
        }
    }

    fn add_credentials(&mut self, request: &mut Request, response: &Response) -> bool {
        let Some((header, challenge)) = pbx::sip::digest::Challenge::of(response) else { return false };
        let cnonce = self.rng.token(12);
        let Identity { user, password, .. } = &self.identity;
        let credentials = challenge.answer(request, user, password, &cnonce, 1);
        request.headers_mut().push(header, credentials);
        true
    }

    /// Answers a request with nothing but a status.
    fn respond(&mut self, server: ServerId, status: StatusCode, now: Instant) {
        if let Some(response) = self.response(server, status, None) {
            self.transactions.respond(server, &response, now);
        }
    }

    /// A response with `tag`, or one of its own, on To.
    fn response(&mut self, server: ServerId, status: StatusCode, tag: Option<&str>) -> Option<Response> {
        let own = if tag.is_none() { self.rng.token(10) } else { String::new() };
        let request = &self.transactions.server(server)?.request;
        let mut response = Response::to(request, status, Some(tag.unwrap_or(&own)));
        response.headers_mut().push(Name::ContentLength, 0);
        Some(response)
    }

    fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Our place in a call, as Replaces names it to the other side.
    pub(super) fn place_in(&self, session: SessionId) -> Option<String> {
        let dialog = self.calls.iter().find(|call| call.id == session)?.latest_dialog()?;
        let replaces = Replaces {
            call_id: &dialog.call_id,
            to_tag: dialog.remote_tag.as_deref()?,
            from_tag: &dialog.local_tag,
            early_only: false,
        };
        Some(replaces.to_string())
    }

    fn call(&mut self, session: SessionId) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.id == session)
    }

    fn next_session(&mut self) -> SessionId {
        self.next_session += 1;
        SessionId(self.next_session)
    }
}
