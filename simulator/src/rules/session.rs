//! Which media belong to which dialog, and what each side may send at each time: worked out from the descriptions that
//! SIP carried, and from when they arrived.
//!
//! A side that answers is bound by its answer when it sends it, the other side when it arrives. BYE, and the refusal of
//! the first INVITE, end it all; the refusal of a later offer leaves everything as it was.

use super::log::{Log, Sip};
use super::sdp::{Description, Format, Stream};
use crate::wire::{end_of_head, header_lines};
use pbx::sip::Name;
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Who a packet under way may have crossed on its way, or who acts in the same instant.
pub(super) const SLACK: Duration = Duration::from_millis(3);

/// Nobody waits longer for the answer to an offer: 64 * T1.
const PATIENCE: Duration = Duration::from_secs(32);

/// All sessions of a run.
#[derive(Default)]
pub(super) struct Sessions {
    pub(super) all: Vec<Session>,
    /// Who has promised to receive, or to send from, an address, in the order of time.
    pub(super) ends: BTreeMap<SocketAddr, Vec<(Instant, End)>>,
}

/// The media of one dialog.
pub(super) struct Session {
    pub(super) call_id: String,
    /// Who sent the first INVITE, and to whom.
    pub(super) hosts: [IpAddr; 2],
    /// The user part of From in that INVITE.
    pub(super) caller: String,
    pub(super) invited_at: Instant,
    /// When the first 2xx to the first INVITE was sent, and when one arrived.
    pub(super) accepted: Option<(Instant, Option<Instant>)>,
    /// When a 2xx to it came damaged, which may have been understood.
    pub(super) accepted_damaged: Option<Instant>,
    /// When each side knew that it was over.
    pub(super) over: [Option<Instant>; 2],
    pub(super) exchanges: Vec<Exchange>,
    /// Offers that were refused, each with when it was and whose it was.
    pub(super) refused: Vec<(Instant, usize, Description)>,
    /// By side and stream: what holds, in the order of time.
    pub(super) terms: [Vec<Vec<Terms>>; 2],
    /// Whether a description came as another one: what was agreed then, nobody knows.
    pub(super) is_blurred: bool,
    /// What was wrong in the order of offers and answers, by rule.
    pub(super) irregular: Vec<Irregular>,
}

/// Something wrong in the order of offers and answers.
pub(super) struct Irregular {
    pub(super) rule: &'static str,
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) what: String,
}

impl Irregular {
    fn of(rule: &'static str, message: &Sip, what: String) -> Irregular {
        Irregular { rule, at: message.at, from: message.from, what }
    }
}

/// One end of one stream of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    pub(super) session: usize,
    /// 0: who called.
    pub(super) side: usize,
    pub(super) stream: usize,
}

/// An offer with its answer.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) offered_by: usize,
    pub(super) offer: Description,
    pub(super) answer: Description,
    /// When the offer was sent.
    pub(super) offered_at: Instant,
    /// When the answer was sent.
    pub(super) at: Instant,
    /// How people call what carried the answer.
    pub(super) carrier: String,
    /// Whether who answered may have had another offer.
    pub(super) is_blurred: bool,
}

/// What one side may send from a moment on.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) since: Instant,
    /// Where the other side wants it.
    pub(super) to: Option<SocketAddr>,
    /// Whether the direction allows it.
    pub(super) sends: bool,
    /// What the other side listed.
    pub(super) formats: Vec<Format>,
    /// What this side listed itself.
    pub(super) own: Vec<Format>,
    /// What the other side says of packet times.
    pub(super) ptime: Option<u32>,
    pub(super) maxptime: Option<u32>,
    /// What this side seals with, where both have a key.
    pub(super) key: Option<String>,
    /// The session is over.
    pub(super) over: bool,
}

impl Sessions {
    pub(super) fn of(log: &Log) -> Sessions {
        // What was said to a request that came damaged may be as unreadable.
        let murmured = log.asked().filter(|(transaction, _)| log.was_taken_damaged(transaction));
        let murmured = murmured.map(|(_, request)| key(request)).collect();
        let mut understood: BTreeMap<_, Instant> = BTreeMap::new();
        for bye in log.requests().filter(|request| request.method == "BYE") {
            if let Some(at) = log.understood(bye) {
                let first = understood.entry(key(bye)).or_insert(at);
                *first = at.min(*first);
            }
        }
        let mut reading = Reading { murmured, understood, ..Reading::default() };
        let sent = log.messages.iter().enumerate().filter(|(_, message)| !message.is_ghost);
        sent.for_each(|(place, message)| reading.read(message, log.ghost(place)));
        let mut sessions = Sessions { all: reading.sessions, ends: BTreeMap::new() };
        for (at, address, end) in reading.ends {
            sessions.ends.entry(address).or_default().push((at, end));
        }
        sessions
    }

    /// The end that an address was at a moment: the last to have claimed it.
    pub(super) fn end_at(&self, address: SocketAddr, at: Instant) -> Option<End> {
        let claims = self.ends.get(&address)?;
        let claimed = claims.partition_point(|(since, _)| *since <= at);
        claims[..claimed].last().map(|(_, end)| *end)
    }

    /// Whether packets of any are sealed.
    pub(super) fn are_sealed(&self) -> bool {
        let terms = self.all.iter().flat_map(|session| session.terms.iter().flatten().flatten());
        terms.into_iter().any(|terms| terms.key.is_some())
    }

    pub(super) fn terms(&self, end: End) -> &[Terms] {
        self.all[end.session].terms[end.side].get(end.stream).map_or(&[], Vec::as_slice)
    }
}

impl Terms {
    /// Whether nothing may be sent at all.
    pub(super) fn forbid(&self) -> bool {
        self.over || !self.sends || self.to.is_none()
    }

    pub(super) fn format(&self, payload_type: u8) -> Option<&Format> {
        self.formats.iter().find(|format| format.payload_type == payload_type)
    }
}

/// What holds at a moment, and what held until a moment ago: who sends in the same instant may not know yet.
pub(super) fn in_force(terms: &[Terms], at: Instant) -> &[Terms] {
    let end = terms.partition_point(|terms| terms.since <= at);
    let fresh = terms[..end].iter().rev().take_while(|terms| terms.since + SLACK >= at).count();
    &terms[end.saturating_sub(fresh.max(1) + usize::from(fresh > 0))..end]
}

/// The messages are read in the order in which they were sent.
#[derive(Default)]
struct Reading {
    sessions: Vec<Session>,
    by_call: BTreeMap<String, usize>,
    open: BTreeMap<(String, String), Transaction>,
    ends: Vec<(Instant, SocketAddr, End)>,
    offers: BTreeMap<usize, Vec<Open>>,
    /// The last request of each session that was to begin it: with credentials it is another one.
    begun_by: BTreeMap<usize, (String, String)>,
    /// The INVITEs without an offer that were made one, by session and CSeq.
    late: BTreeMap<(usize, u32), (String, String)>,
    /// The offer in a provisional response that waits for PRACK.
    waits_for_prack: BTreeMap<usize, u32>,
    /// The requests that came damaged and were answered at once, by whatever they had become.
    murmured: BTreeSet<(String, String)>,
    /// The transactions in which a description came as another one, or as one of another session.
    blurred: BTreeSet<(String, String)>,
    /// When BYEs were understood, as those that came damaged may have been.
    understood: BTreeMap<(String, String), Instant>,
    /// When the message that is read came first, if only damaged in what its description does not depend on.
    came: Option<Instant>,
    /// Whether that was as it was sent: what is damaged where it does not matter may have been dropped all the same.
    is_sure: bool,
}

/// What the requests and responses of a transaction have in common.
fn key(message: &Sip) -> (String, String) {
    (message.branch.to_ascii_lowercase(), message.method.clone())
}

/// Whether what came of a message says something else, or belongs elsewhere.
fn is_another(message: &Sip, ghost: &Sip) -> bool {
    let says = |sip: &Sip| {
        let tags = (sip.from_tag.clone(), sip.to_tag.clone());
        let kind = sip.headers().get(Name::ContentType).map(str::to_owned);
        (sip.sdp.clone(), kind, sip.call_id.clone(), sip.branch.clone(), sip.cseq, tags)
    };
    says(message) != says(ghost)
}

/// A request that may carry an offer, or lead to one.
struct Transaction {
    session: usize,
    asked_by: usize,
    cseq: u32,
    initial: bool,
    offer: Option<Described>,
    answer: Option<Described>,
    /// The offer in the response to an INVITE that had none.
    late: Option<Described>,
    late_answered: bool,
    /// Whether the answer came in a response that may get lost for ever.
    only_preview: bool,
    refused: bool,
}

/// A description and how it looked.
#[derive(Clone)]
struct Described {
    text: String,
    description: Description,
}

/// An offer from its sending to its answer or refusal.
struct Open {
    by: usize,
    key: (String, String),
    at: Instant,
    arrived: Option<Instant>,
    /// When the stream that carried it broke.
    over: Option<Instant>,
    /// When the other side sent what it makes of it, and when that came.
    resolved: Option<Instant>,
    resolution_arrived: Option<Instant>,
    /// When it was bound by that, and whether for sure.
    bound: Option<(Instant, bool)>,
}

impl Reading {
    fn read(&mut self, message: &Sip, ghost: Option<&Sip>) {
        // What cannot be read any more is dropped, or refused.
        let is_another = ghost.filter(|_| message.sdp.is_some()).is_some_and(|it| is_another(message, it));
        if is_another {
            self.blurred.insert(key(message));
        }
        let alike = message.damaged.filter(|_| ghost.is_some_and(|ghost| !self::is_another(message, ghost)));
        self.came = message.arrived.into_iter().chain(alike).min();
        self.is_sure = self.came.is_some() && self.came == message.arrived;
        match message.status {
            None => self.on_request(message),
            Some(status) => self.on_response(message, status),
        }
        if is_another {
            let session = self.by_call.get(&message.call_id);
            session.into_iter().for_each(|session| self.sessions[*session].is_blurred = true);
        }
    }

    fn on_request(&mut self, request: &Sip) {
        let key = key(request);
        if request.method == "INVITE" && request.to_tag.is_empty() {
            self.session_of_invite(request);
        }
        let Some(&session) = self.by_call.get(&request.call_id) else { return };
        let side = self.side_of(session, request);
        if self.open.contains_key(&key) {
            return self.on_copy_of_request(session, &key, request);
        }
        let sdp = request.sdp.as_deref().map(Described::read);
        match request.method.as_str() {
            "INVITE" | "UPDATE" | "PRACK" => self.on_offering(session, side, key, sdp, request),
            "ACK" => match sdp {
                Some(sdp) => self.on_late_answer(session, request.cseq, sdp, request),
                None => self.on_silent_ack(session, request),
            },
            "BYE" => self.on_bye(session, side, request),
            _ => {}
        }
    }

    fn session_of_invite(&mut self, invite: &Sip) {
        if self.by_call.contains_key(&invite.call_id) {
            return;
        }
        self.by_call.insert(invite.call_id.clone(), self.sessions.len());
        self.sessions.push(Session {
            call_id: invite.call_id.clone(),
            hosts: [invite.from.ip(), invite.to.ip()],
            caller: user_of_from(&invite.bytes),
            invited_at: invite.at,
            accepted: None,
            accepted_damaged: None,
            over: [None; 2],
            exchanges: Vec::new(),
            refused: Vec::new(),
            terms: [Vec::new(), Vec::new()],
            is_blurred: false,
            irregular: Vec::new(),
        });
    }

    fn side_of(&self, session: usize, message: &Sip) -> usize {
        usize::from(self.sessions[session].hosts[0] != message.from.ip())
    }

    fn on_copy_of_request(&mut self, session: usize, key: &(String, String), request: &Sip) {
        for open in self.offers.entry(session).or_default().iter_mut().filter(|open| open.key == *key) {
            open.arrived = open.arrived.or(request.arrived);
        }
    }

    fn on_offering(
        &mut self,
        session: usize,
        side: usize,
        key: (String, String),
        sdp: Option<Described>,
        request: &Sip,
    ) {
        // PRACK answers an offer that came in the response it acknowledges; else what it carries is an offer.
        let owed = self.waits_for_prack.get(&session).copied().filter(|_| request.method == "PRACK");
        if let (Some(cseq), Some(answer)) = (owed, &sdp) {
            return self.on_late_answer(session, cseq, answer.clone(), request);
        }
        let initial = request.method == "INVITE" && request.to_tag.is_empty();
        if initial {
            self.sessions[session].over = [None; 2];
            self.begun_by.insert(session, key.clone());
        }
        if let Some(offer) = &sdp {
            self.claim(session, side, &offer.description, request.meant, request.from.ip());
            self.on_offer(session, side, key.clone(), request);
        }
        self.open.insert(
            key,
            Transaction {
                session,
                asked_by: side,
                cseq: request.cseq,
                initial,
                offer: sdp,
                answer: None,
                late: None,
                late_answered: false,
                only_preview: false,
                refused: false,
            },
        );
    }

    /// RFC 3264 section 4: who has an offer open, or owes an answer, makes none.
    fn on_offer(&mut self, session: usize, by: usize, key: (String, String), carrier: &Sip) {
        let (now, offers) = (carrier.at, self.offers.entry(session).or_default());
        let is_pending = |open: &&Open| match open.by == by {
            true if self.murmured.contains(&open.key) => false,
            // With its connection a transaction fails (RFC 3261 section 17.1.4).
            true if open.over.is_some_and(|over| over <= now) => false,
            true => open.resolution_arrived.is_none_or(|at| at > now) && now.since(open.at) < PATIENCE,
            false => open.arrived.is_some_and(|at| at < now) && open.resolved.is_none_or(|at| at > now),
        };
        if let Some(open) = offers.iter().find(is_pending) {
            let whose = if open.by == by { "its own" } else { "that of the other side" };
            let what = format!("{} has another while {whose} of {} is open", carrier.name(), open.at);
            self.sessions[session].irregular.push(Irregular::of("S7", carrier, what));
        }
        offers.push(Open {
            by,
            key,
            at: now,
            arrived: carrier.arrived,
            over: carrier.over,
            resolved: None,
            resolution_arrived: None,
            bound: None,
        });
    }

    /// When the answer that is read binds who has made the offer, if it does: the first copy that comes, and the first that comes
    /// as it was sent.
    fn binds(&mut self, session: usize, key: &(String, String)) -> Option<Instant> {
        let came = self.came?;
        let mut open = self.offers.get_mut(&session)?.iter_mut().filter(|open| open.key == *key);
        let bound = &mut open.next()?.bound;
        let is_first = bound.is_none_or(|(bound, was_sure)| came < bound || (self.is_sure && !was_sure));
        is_first.then(|| bound.insert((came, self.is_sure)).0)
    }

    /// When the offer of a transaction was made.
    fn offered_at(&self, session: usize, key: &(String, String)) -> Option<Instant> {
        self.offers.get(&session)?.iter().find(|open| open.key == *key).map(|open| open.at)
    }

    fn resolve(&mut self, session: usize, key: &(String, String), at: Instant, arrived: Option<Instant>) {
        for open in self.offers.entry(session).or_default().iter_mut().filter(|open| open.key == *key) {
            open.resolved.get_or_insert(at);
            open.resolution_arrived = open.resolution_arrived.into_iter().chain(arrived).min();
        }
    }

    fn on_response(&mut self, response: &Sip, status: u16) {
        let key = key(response);
        let Some(mut transaction) = self.open.remove(&key) else { return };
        let session = transaction.session;
        let side = self.side_of(session, response);
        if response.method == "INVITE" && transaction.initial && (200..300).contains(&status) {
            let accepted = self.sessions[session].accepted.get_or_insert((response.at, response.arrived));
            accepted.1 = accepted.1.or(response.arrived);
            let damaged = &mut self.sessions[session].accepted_damaged;
            *damaged = damaged.or(response.damaged);
        }
        let sdp = response.sdp.as_deref().map(Described::read);
        match sdp {
            Some(sdp) if status < 300 => {
                self.claim(session, side, &sdp.description, response.meant, response.from.ip());
                self.on_description(&mut transaction, &key, side, sdp, response, status);
            }
            Some(_) | None if status >= 300 => self.on_refusal(&mut transaction, &key, side, response),
            Some(_) | None => self.on_silence(&transaction, response, status),
        }
        self.open.insert(key, transaction);
    }

    fn on_description(
        &mut self,
        transaction: &mut Transaction,
        key: &(String, String),
        side: usize,
        sdp: Described,
        response: &Sip,
        status: u16,
    ) {
        let session = transaction.session;
        let is_reliable = status >= 200 || says_rseq(&response.bytes);
        let Some(offer) = transaction.offer.clone() else {
            return self.on_late_offer(transaction, key, side, sdp, is_reliable, response);
        };
        if let Some(before) = &transaction.answer {
            if before.text != sdp.text {
                let what = format!("{} has another answer than before", response.name());
                self.sessions[session].irregular.push(Irregular::of("S8", response, what));
            }
        } else {
            transaction.answer = Some(sdp.clone());
            transaction.only_preview = true;
            let offered_at = self.offered_at(session, key).unwrap_or(response.at);
            self.sessions[session].exchanges.push(Exchange {
                offered_by: transaction.asked_by,
                offer: offer.description.clone(),
                answer: sdp.description.clone(),
                offered_at,
                at: response.at,
                carrier: response.name(),
                is_blurred: self.blurred.contains(key),
            });
            self.agree(session, side, &sdp.description, &offer.description, response.meant);
        }
        if is_reliable {
            transaction.only_preview = false;
        }
        self.resolve(session, key, response.at, response.perhaps().min());
        if let Some(arrived) = self.binds(session, key) {
            self.agree(session, 1 - side, &offer.description, &sdp.description, arrived);
        }
    }

    /// An INVITE without an offer has one in its first reliable response (RFC 3261 section 13.2.1).
    fn on_late_offer(
        &mut self,
        transaction: &mut Transaction,
        key: &(String, String),
        side: usize,
        sdp: Described,
        is_reliable: bool,
        response: &Sip,
    ) {
        let session = transaction.session;
        match &transaction.late {
            Some(before) if before.text != sdp.text => {
                let what = format!("{} has another offer than before", response.name());
                self.sessions[session].irregular.push(Irregular::of("S8", response, what));
            }
            Some(_) => {}
            None if !is_reliable => {
                let what = format!("{} carries an offer and may get lost", response.name());
                self.sessions[session].irregular.push(Irregular::of("S9", response, what));
            }
            None => {
                transaction.late = Some(sdp);
                self.late.insert((session, transaction.cseq), key.clone());
                if response.status.is_some_and(|status| status < 200) {
                    self.waits_for_prack.insert(session, transaction.cseq);
                }
                self.on_offer(session, side, key.clone(), response);
            }
        }
        self.on_copy_of_request(session, key, response);
    }

    fn on_late_answer(&mut self, session: usize, cseq: u32, answer: Described, carrier: &Sip) {
        let side = self.side_of(session, carrier);
        self.claim(session, side, &answer.description, carrier.meant, carrier.from.ip());
        let Some(key) = self.late.get(&(session, cseq)).cloned() else { return };
        let Some(transaction) = self.open.get_mut(&key) else { return };
        self.waits_for_prack.remove(&session);
        let offer = transaction.late.clone().expect("that is who waits").description;
        let is_first = !std::mem::replace(&mut transaction.late_answered, true);
        self.resolve(session, &key, carrier.at, carrier.perhaps().min());
        if is_first {
            let offered_at = self.offered_at(session, &key).unwrap_or(carrier.at);
            self.sessions[session].exchanges.push(Exchange {
                offered_by: 1 - side,
                offer: offer.clone(),
                answer: answer.description.clone(),
                offered_at,
                at: carrier.at,
                carrier: carrier.name(),
                is_blurred: self.blurred.contains(&key),
            });
            self.agree(session, side, &answer.description, &offer, carrier.meant);
        }
        if let Some(arrived) = self.binds(session, &key) {
            self.agree(session, 1 - side, &offer, &answer.description, arrived);
        }
    }

    /// An ACK without a description to a 2xx that made an offer.
    fn on_silent_ack(&mut self, session: usize, ack: &Sip) {
        // One that came damaged may have been none.
        let key = self.late.get(&(session, ack.cseq)).filter(|key| !self.blurred.contains(*key));
        let asked = key.and_then(|key| self.open.get(key));
        if asked.is_some_and(|asked| !asked.late_answered && !asked.refused) {
            let what = format!("{} does not answer the offer", ack.name());
            self.sessions[session].irregular.push(Irregular::of("S9", ack, what));
        }
    }

    fn on_refusal(
        &mut self,
        transaction: &mut Transaction,
        key: &(String, String),
        side: usize,
        response: &Sip,
    ) {
        let session = transaction.session;
        self.resolve(session, key, response.at, response.perhaps().min());
        if !transaction.refused
            && !transaction.initial
            && let Some(offer) = &transaction.offer
        {
            let refused = (response.at, transaction.asked_by, offer.description.clone());
            self.sessions[session].refused.push(refused);
        }
        transaction.refused = true;
        if self.begun_by.get(&session) == Some(key) {
            self.end(session, side, response.at);
            if let Some(arrived) = response.arrived {
                self.end(session, 1 - side, arrived);
            }
        }
    }

    /// A response without a description.
    fn on_silence(&mut self, transaction: &Transaction, response: &Sip, status: u16) {
        let session = transaction.session;
        let is_answer = response.method == "INVITE" && (200..300).contains(&status);
        if !is_answer || transaction.refused {
            return;
        }
        let irregular = &mut self.sessions[session].irregular;
        if transaction.offer.is_some() && (transaction.answer.is_none() || transaction.only_preview) {
            irregular.push(Irregular::of("S8", response, format!("{} has none", response.name())));
        }
        if transaction.offer.is_none() && transaction.late.is_none() {
            irregular.push(Irregular::of("S9", response, format!("{} has no offer either", response.name())));
        }
    }

    fn on_bye(&mut self, session: usize, side: usize, bye: &Sip) {
        self.end(session, side, bye.at);
        if let Some(understood) = self.understood.get(&key(bye)).copied() {
            self.end(session, 1 - side, understood);
        }
    }

    fn end(&mut self, session: usize, side: usize, at: Instant) {
        let session = &mut self.sessions[session];
        if session.over[side].is_some_and(|over| over <= at) {
            return;
        }
        session.over[side] = Some(at);
        for terms in &mut session.terms[side] {
            let last = terms.last().cloned();
            terms.extend(last.map(|last| Terms { since: at, over: true, ..last }));
        }
    }

    /// From now on `own` and `theirs` say what this side may send.
    fn agree(
        &mut self,
        session: usize,
        side: usize,
        own: &Description,
        theirs: &Description,
        since: Instant,
    ) {
        let terms = &mut self.sessions[session].terms[side];
        terms.resize_with(terms.len().max(own.streams.len()), Vec::new);
        let streams = own.streams.iter().zip(&theirs.streams);
        for (terms, (own, theirs)) in terms.iter_mut().zip(streams) {
            let at = terms.partition_point(|terms| terms.since <= since);
            // What is told late of an old exchange does not replace what was agreed since.
            terms.insert(at, Terms::of(own, theirs, since));
        }
    }

    /// The sender of a description has its streams at the addresses it says.
    fn claim(&mut self, session: usize, side: usize, said: &Description, at: Instant, host: IpAddr) {
        for (stream, target) in said.streams.iter().enumerate() {
            if target.port == 0 {
                continue;
            }
            let end = End { session, side, stream };
            // Behind an address that is known outside only, the port is the same.
            let addresses = [Some(host), target.address.filter(|address| *address != host)];
            for address in addresses.into_iter().flatten().filter(|address| !address.is_unspecified()) {
                self.ends.push((at, SocketAddr::new(address, target.port), end));
            }
        }
    }
}

impl Described {
    fn read(text: &str) -> Described {
        Described { text: text.to_owned(), description: Description::read(text) }
    }
}

impl Terms {
    fn of(own: &Stream, theirs: &Stream, since: Instant) -> Terms {
        Terms {
            since,
            to: theirs.target(),
            sends: own.port != 0 && own.direction.sends() && theirs.direction.receives(),
            formats: theirs.formats.clone(),
            own: own.formats.clone(),
            ptime: theirs.ptime,
            maxptime: theirs.maxptime,
            key: own.keys_with(theirs),
            over: false,
        }
    }
}

/// Whether a provisional response is to be acknowledged (RFC 3262).
fn says_rseq(bytes: &[u8]) -> bool {
    header(bytes, "rseq").is_some()
}

fn user_of_from(bytes: &[u8]) -> String {
    let from = header(bytes, "from").unwrap_or_default();
    let uri = from.split_once("sip:").map_or("", |(_, uri)| uri);
    uri.split(['@', '>', ';']).next().unwrap_or_default().to_owned()
}

/// The value of a header line.
pub(super) fn header(bytes: &[u8], name: &str) -> Option<String> {
    let end = end_of_head(bytes).unwrap_or(bytes.len());
    let (_, value) =
        header_lines(&bytes[..end]).find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(String::from_utf8_lossy(value).trim().to_owned())
}
