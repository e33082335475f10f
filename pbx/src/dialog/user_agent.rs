//! Everything of SIP below the calls: the wishes of those above, the table of sessions, the earliest deadline. What comes from
//! the transactions stands in `arrivals.rs`.

use super::prack::Provisional;
use super::session::Session;
use super::shared::{Inbound, Owner, Shared};
use super::subscription::Subscriptions;
use super::{
    Body, Event, ExtraHeaders, Invite, Outgoing, Output, Reply, RequestId, SessionId, Settings, Standing,
    compose, target,
};
use crate::rng::Rng;
use crate::sip::{ConnectionId, Message, Method, Name, Path, Refusal, Replaces, Request, StatusCode};
use crate::time::Instant;
use crate::transaction::{self, ServerId, Transactions};
use std::collections::{BTreeMap, BTreeSet};

/// Everything of SIP below the calls.
pub struct UserAgent {
    pub(super) shared: Shared,
    pub(super) sessions: BTreeMap<SessionId, Entry>,
    /// Sessions by our tag, which every request within a dialog carries.
    by_tag: BTreeMap<String, SessionId>,
    /// Sessions by the INVITE that a CANCEL may come for.
    pub(super) by_invite: BTreeMap<ServerId, SessionId>,
    /// Sessions by the stream their requests go over.
    by_connection: BTreeSet<(ConnectionId, SessionId)>,
    deadlines: BTreeSet<(Instant, SessionId)>,
    pub(super) subscriptions: Subscriptions,
    ids: u64,
}

/// A session, and how it stands in the tables.
pub(super) struct Entry {
    session: Box<Session>,
    deadline: Option<Instant>,
    open_invite: Option<ServerId>,
    connection: Option<ConnectionId>,
}

impl UserAgent {
    /// A user agent that has nothing to do yet.
    pub fn new(settings: Settings, mut rng: Rng) -> UserAgent {
        let transactions = Transactions::new(
            transaction::Settings {
                t1: settings.t1,
                max_transactions: settings.max_transactions,
                external_address: settings.external_address,
            },
            rng.fork(),
        );
        UserAgent {
            shared: Shared::new(settings, transactions, rng),
            sessions: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            by_invite: BTreeMap::new(),
            by_connection: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            subscriptions: Subscriptions::default(),
            ids: 0,
        }
    }

    /// A message has arrived.
    pub fn receive(&mut self, message: Message, path: Path, now: Instant) {
        self.shared.transactions.receive(message, path, now);
        self.drain(now);
    }

    /// Something has arrived that is no message, but of which [`crate::sip::salvage`] could save where to answer.
    pub fn receive_spoilt(&mut self, salvaged: Request, path: Path, refusal: &Refusal, now: Instant) {
        self.shared.transactions.receive_spoilt(salvaged, path, refusal);
        self.drain(now);
    }

    /// What was sent to this remote could not be sent, or its connection broke.
    pub fn path_failed(&mut self, path: Path, now: Instant) {
        if let Some(connection) = path.connection {
            // First, so that a BYE that follows from the failure takes another way.
            self.forget_connection(connection);
        }
        self.shared.transactions.path_failed(path, now);
        self.drain(now);
    }

    /// The earliest deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.shared.transactions.handle_timeout(now);
        self.drain(now);
        self.shared.acks.handle_timeout(now);
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.within(id, |session, shared| session.handle_timeout(shared, now));
        }
        self.expire_subscriptions(now);
        self.drain(now);
    }

    /// The earliest deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let session = self.deadlines.first().map(|(at, _)| *at);
        let rest = [self.shared.acks.deadline(), self.subscriptions.deadline()];
        [session, self.shared.transactions.poll_timeout()].into_iter().chain(rest).flatten().min()
    }

    /// What is to be done next; ask until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.output.pop_front()
    }

    /// Whether [`UserAgent::poll_output`] has something.
    pub fn has_output(&self) -> bool {
        !self.shared.output.is_empty()
    }

    /// Sends an INVITE.
    pub fn invite(&mut self, invite: Invite, now: Instant) -> SessionId {
        let id = self.next_session();
        let session = Session::call(id, invite, &mut self.shared, now);
        self.add(id, session);
        self.drain(now);
        id
    }

    /// Answers an incoming INVITE provisionally (101 to 199). With a description it is early media; it goes reliably when
    /// the other side requires it or supports it and `reliably` is asked for. Without an offer in the INVITE a description
    /// is an offer and goes only reliably.
    pub fn ring(
        &mut self,
        session: SessionId,
        status: StatusCode,
        description: Option<Vec<u8>>,
        reliably: bool,
        headers: ExtraHeaders,
        now: Instant,
    ) {
        let provisional = Provisional { status, description, headers };
        self.within(session, |session, shared| session.ring(provisional, reliably, shared, now));
        self.drain(now);
    }

    /// Answers an incoming INVITE 200 with the answer, or with our offer when it had none. When a reliable provisional
    /// response has carried it already, the description is left out (RFC 6337 section 3.1.1).
    pub fn accept(&mut self, session: SessionId, description: Vec<u8>, headers: ExtraHeaders, now: Instant) {
        self.within(session, |session, shared| session.accept(description, headers, shared, now));
        self.drain(now);
    }

    /// Refuses an incoming INVITE (300 to 699); the session is gone.
    pub fn reject(&mut self, session: SessionId, reply: Reply, now: Instant) {
        self.within(session, |session, shared| session.reject(&reply, shared, now));
        self.drain(now);
    }

    /// Offers a change: re-INVITE, or UPDATE in an early dialog; `None` asks the other side for an offer (re-INVITE without
    /// description). Waits by itself while another offer is under way and tries again after 491; one offer waits, a later
    /// one takes its place. Answered by [`Event::OfferAnswered`], [`Event::OfferRefused`], or for `None`
    /// [`Event::Offered`]. When the other side's offer comes first, ours is out of date:
    /// [`Event::OfferRefused`] with 491, then [`Event::Offered`].
    pub fn offer(&mut self, session: SessionId, description: Option<Vec<u8>>, now: Instant) {
        self.within(session, |session, shared| session.offer(description, shared, now));
        self.drain(now);
    }

    /// Answers an offer where it is owed: in the 2xx to re-INVITE or UPDATE, in ACK, in PRACK. Nothing happens when none is
    /// owed (any more).
    pub fn answer(&mut self, session: SessionId, description: Vec<u8>, now: Instant) {
        self.within(session, |session, shared| session.answer(description, shared, now));
        self.drain(now);
    }

    /// Refuses an offer: 488 or 491 to a re-INVITE or UPDATE. An offer in a response cannot be refused, so that ends the
    /// session as [`hang_up`](Self::hang_up) does: ACK and BYE for a 2xx, CANCEL for a provisional response.
    pub fn refuse_offer(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        self.within(session, |session, shared| session.refuse_offer(status, shared, now));
        self.drain(now);
    }

    /// Ends a session whatever its state: CANCEL (as soon as it may be sent; a 2xx that crosses it is acknowledged and ended
    /// by BYE), a refusal (480) of what is not yet answered, BYE. `reason` becomes the Reason header (RFC 3326). No more
    /// events come of this session.
    pub fn hang_up(&mut self, session: SessionId, reason: Option<String>, now: Instant) {
        self.within(session, |session, shared| session.hang_up(reason, shared, now));
        self.drain(now);
    }

    /// Sends a request other than INVITE outside any session.
    pub fn request(&mut self, outgoing: Outgoing, now: Instant) -> RequestId {
        let id = self.shared.next_request();
        let tag = self.shared.rng.token(12);
        let request = compose_outside(&outgoing, &tag, &mut self.shared);
        let credentials = outgoing.credentials.as_ref();
        self.shared.send(request, outgoing.path, Owner::Outside(id), credentials, now);
        self.drain(now);
        id
    }

    /// Sends a request (INFO, MESSAGE, NOTIFY, ...) within a session. Where there is no dialog (yet, any more), the
    /// response is 481.
    pub fn request_within(
        &mut self,
        session: SessionId,
        method: Method,
        headers: ExtraHeaders,
        body: Option<Body>,
        now: Instant,
    ) -> RequestId {
        let id = self.shared.next_request();
        let mut is_sent = false;
        self.within(session, |session, shared| {
            is_sent = session.request(id, method, &headers, body.as_ref(), shared, now);
        });
        if !is_sent {
            let response = Err(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            self.shared.emit(Event::Response { id, session: Some(session), response });
        }
        self.drain(now);
        id
    }

    /// Answers [`Event::Request`].
    pub fn reply(&mut self, id: RequestId, reply: Reply, now: Instant) {
        let Some(Inbound { server, request, session, tag }) = self.shared.inbound.remove(&id) else { return };
        let mut response = compose::reply(&request, &reply, &tag, &self.shared.settings.user_agent);
        // What an INVITE would be told (RFC 3261 section 11.2).
        if *request.method() == Method::Options && reply.status.is_success() {
            compose::add_abilities(response.headers_mut());
            compose::add_missing(response.headers_mut(), Name::Accept, compose::SDP);
        }
        self.shared.transactions.respond(server, response, now);
        if let Some(session) = session {
            self.within(session, |session, _| session.answered(id));
        }
        self.drain(now);
    }

    /// Whether nothing is left: no transaction, dialog, timer.
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty()
            && self.shared.asked.is_empty()
            && self.shared.inbound.is_empty()
            && self.shared.acks.is_empty()
            && self.subscriptions.is_empty()
            && self.shared.transactions.is_idle()
    }

    /// The session with the dialog that Replaces means, and how that stands (RFC 3891 section 3).
    pub fn named(&self, replaces: &Replaces<'_>) -> Option<(SessionId, Standing)> {
        let find = |replaces: &Replaces<'_>| {
            let session = *self.by_tag.get(replaces.to_tag)?;
            let standing = self.sessions.get(&session)?.session.standing(replaces)?;
            Some((session, standing))
        };
        // Who was told of a dialog of a telephone names it as the telephone would, for which we stand.
        let other_way = Replaces { to_tag: replaces.from_tag, from_tag: replaces.to_tag, ..*replaces };
        find(replaces).or_else(|| find(&other_way))
    }

    /// Call-ID, our tag and theirs, of the dialog that a session is now; none before there is one.
    pub fn names(&self, session: SessionId) -> Option<[&str; 3]> {
        self.sessions.get(&session)?.session.names()
    }

    /// Whether there is anything left of a session, if only that its INVITE or its BYE has not ended.
    pub(crate) fn has(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// How many sessions there are, those that only wait for the end of their BYE included.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Hands over what the transactions have to say, until they are silent.
    pub(super) fn drain(&mut self, now: Instant) {
        while let Some(output) = self.shared.transactions.poll_output() {
            match output {
                transaction::Output::Transmit { path, bytes } => {
                    self.shared.output.push_back(Output::Transmit { path, bytes });
                }
                transaction::Output::Event(event) => self.on_event(event, now),
            }
        }
    }

    /// The session whose tag a request within a dialog carries.
    pub(super) fn session_of(&self, request: &Request) -> Option<SessionId> {
        self.by_tag.get(request.to_header().ok()?.tag()?).copied()
    }

    pub(super) fn next_session(&mut self) -> SessionId {
        self.ids += 1;
        SessionId(self.ids)
    }

    pub(super) fn add(&mut self, id: SessionId, session: Session) {
        self.by_tag.insert(session.tag().to_owned(), id);
        self.sessions.insert(
            id,
            Entry { session: Box::new(session), deadline: None, open_invite: None, connection: None },
        );
        self.settle(id);
    }

    fn forget_connection(&mut self, connection: ConnectionId) {
        self.shared.acks.forget_connection(connection);
        let all = (connection, SessionId(0))..=(connection, SessionId(u64::MAX));
        let over_it: Vec<SessionId> = self.by_connection.range(all).map(|(_, id)| *id).collect();
        for id in over_it {
            self.within(id, |session, _| session.forget_connection());
        }
    }

    /// Does something with a session and brings the tables up to date. A session that is gone hears nothing.
    pub(super) fn within(&mut self, id: SessionId, step: impl FnOnce(&mut Session, &mut Shared)) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        step(&mut entry.session, &mut self.shared);
        self.settle(id);
    }

    fn settle(&mut self, id: SessionId) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        let (deadline, open_invite) = (entry.session.deadline(), entry.session.open_invite());
        if deadline != entry.deadline {
            if let Some(at) = entry.deadline {
                self.deadlines.remove(&(at, id));
            }
            self.deadlines.extend(deadline.map(|at| (at, id)));
            entry.deadline = deadline;
        }
        if open_invite != entry.open_invite {
            if let Some(invite) = entry.open_invite {
                self.by_invite.remove(&invite);
            }
            self.by_invite.extend(open_invite.map(|invite| (invite, id)));
            entry.open_invite = open_invite;
        }
        let connection = entry.session.connection();
        if connection != entry.connection {
            if let Some(connection) = entry.connection {
                self.by_connection.remove(&(connection, id));
            }
            self.by_connection.extend(connection.map(|connection| (connection, id)));
            entry.connection = connection;
        }
        if entry.session.is_over() {
            self.by_tag.remove(entry.session.tag());
            self.sessions.remove(&id);
        }
    }
}

fn compose_outside(outgoing: &Outgoing, tag: &str, shared: &mut Shared) -> Request {
    let method = &outgoing.method;
    let mut request = Request::new(method.clone(), &compose::clean_uri(&outgoing.uri));
    let given =
        |name| outgoing.headers.iter().find(|(given, _)| Name::of(given) == name).map(|(_, value)| value);
    // Who registers again keeps the Call-ID and counts on (RFC 3261 section 10.2).
    let call_id = given(Name::CallId).cloned().unwrap_or_else(|| shared.rng.token(22));
    let number = given(Name::CSeq).and_then(|value| compose::leading_number(value)).unwrap_or(1);
    let headers = request.headers_mut();
    headers.push(Name::MaxForwards, 70);
    headers.push(Name::From, format_args!("{};tag={tag}", outgoing.from));
    headers.push(Name::To, &outgoing.to);
    headers.push(Name::CallId, call_id);
    headers.push(Name::CSeq, format_args!("{number} {method}"));
    // MESSAGE must not have one (RFC 3428 section 4).
    if given(Name::Contact).is_none() && *method != Method::Message {
        let contact = target::contact(&outgoing.path, shared.settings.external_address, false);
        headers.push(Name::Contact, contact);
    }
    headers.push(Name::Allow, compose::ALLOW);
    compose::add_extra(headers, &outgoing.headers, true);
    compose::set_body(&mut request, outgoing.body.as_ref());
    request
}
