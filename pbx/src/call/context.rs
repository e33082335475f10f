//! What calls act upon: the rooms above, the way out, and the books of who owns what.

use super::Ports;
use super::call::Timer;
use super::command::{Answer, Ticket};
use super::conference::Conferences;
use super::controlled::Wish;
use super::mailboxes::Mailboxes;
use super::mixes::Mixes;
use super::recording::Recordings;
use super::sounds::Sounds;
use crate::boundary::{Counters, Event, Output, What};
use crate::config::Config;
use crate::dialog::{RequestId, SessionId, UserAgent};
use crate::media::{Command, RoomId, StreamId};
use crate::registrar::Registrar;
use crate::rng::Rng;
use crate::route::{Asked, Caller, Routed, Router};
use crate::time::{Instant, WallClock};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// Everything a call needs that is not its own.
pub(crate) struct Context {
    /// The time of the input that is being handled.
    pub(crate) now: Instant,
    /// The call that is being handled.
    pub(crate) room: RoomId,
    /// The room its media are in.
    pub(super) media_room: RoomId,
    pub(crate) config: Config,
    pub(crate) clock: WallClock,
    pub(crate) rng: Rng,
    /// CNAME of our RTCP: the same for all streams of one run (RFC 7022 section 4.2).
    pub(crate) cname: String,
    pub(crate) agent: UserAgent,
    pub(crate) registrar: Registrar,
    pub(crate) router: Router,
    pub(crate) ports: Ports,
    pub(crate) counters: Counters,
    pub(crate) out: VecDeque<Output>,
    pub(super) books: Books,
    pub(super) sounds: Sounds,
    pub(super) conferences: Conferences,
    pub(super) mixes: Mixes,
    pub(super) recordings: Recordings,
    pub(super) mailboxes: Mailboxes,
    /// Extensions whose dialogs somebody watches, and those of them in which something may have changed.
    pub(crate) watched: BTreeSet<String>,
    pub(super) stirred: BTreeSet<String>,
    /// What calls have to say to others.
    pub(super) wishes: VecDeque<Wish>,
    /// Answers to commands.
    pub(crate) answers: VecDeque<(Ticket, Answer)>,
    /// What happened, for applications.
    pub(crate) news: VecDeque<Event>,
}

/// Which call a thing belongs to.
#[derive(Default)]
pub(super) struct Books {
    pub(super) sessions: BTreeMap<SessionId, RoomId>,
    pub(super) streams: BTreeMap<StreamId, RoomId>,
    pub(super) requests: BTreeMap<RequestId, RoomId>,
    pub(super) queries: BTreeMap<u64, RoomId>,
    pub(super) timers: BTreeSet<(Instant, RoomId, Timer)>,
    /// Calls per extension; one may be there twice.
    busy: BTreeMap<String, Vec<RoomId>>,
    last_stream: u64,
    last_query: u64,
}

impl Books {
    pub(super) fn occupy(&mut self, number: &str, room: RoomId) {
        self.busy.entry(number.to_owned()).or_default().push(room);
    }

    pub(super) fn vacate(&mut self, number: &str, room: RoomId) {
        if let Some(calls) = self.busy.get_mut(number) {
            if let Some(at) = calls.iter().position(|call| *call == room) {
                calls.swap_remove(at);
            }
            if calls.is_empty() {
                self.busy.remove(number);
            }
        }
    }

    /// The calls that keep an extension busy.
    pub(super) fn calls_of(&self, number: &str) -> &[RoomId] {
        self.busy.get(number).map_or(&[], Vec::as_slice)
    }
}

impl Context {
    /// A context in which nothing has happened yet.
    pub(crate) fn new(
        config: Config,
        clock: WallClock,
        mut rng: Rng,
        agent: UserAgent,
        registrar: Registrar,
    ) -> Context {
        let media = &config.media;
        Context {
            now: Instant::START,
            room: RoomId(0),
            media_room: RoomId(0),
            ports: Ports::new(media.rtp_port_start, media.rtp_port_end, rng.fork()),
            config,
            clock,
            cname: rng.token(16),
            router: Router::new(rng.fork()),
            rng,
            agent,
            registrar,
            counters: Counters::default(),
            out: VecDeque::new(),
            books: Books::default(),
            sounds: Sounds::default(),
            conferences: Conferences::default(),
            mixes: Mixes::default(),
            recordings: Recordings::default(),
            mailboxes: Mailboxes::default(),
            watched: BTreeSet::new(),
            stirred: BTreeSet::new(),
            wishes: VecDeque::new(),
            answers: VecDeque::new(),
            news: VecDeque::new(),
        }
    }

    /// What stands in SDP instead of a leg's own address.
    pub(super) fn advertised(&self) -> Option<IpAddr> {
        self.config.sip.external_address
    }

    /// Tells the media engine of this call something.
    pub(super) fn media(&mut self, command: Command) {
        self.out.push_back(Output::Media { room: self.media_room, command });
    }

    /// Tells people and programs something about a call.
    pub(super) fn tell(&mut self, call_id: &str, what: What) {
        self.tell_of(Some(call_id.to_owned()), what);
    }

    /// Tells them something that belongs to no call.
    pub(crate) fn tell_all(&mut self, what: What) {
        self.tell_of(None, what);
    }

    fn tell_of(&mut self, call_id: Option<String>, what: What) {
        let event = Event { at: self.now, call_id, what };
        self.news.push_back(event.clone());
        self.out.push_back(Output::Event(event));
    }

    /// A stream of this call.
    pub(super) fn new_stream(&mut self) -> StreamId {
        self.books.last_stream += 1;
        let stream = StreamId(self.books.last_stream);
        self.books.streams.insert(stream, self.room);
        stream
    }

    /// This session belongs to this call.
    pub(super) fn own_session(&mut self, session: SessionId) {
        self.books.sessions.insert(session, self.room);
    }

    /// Nothing more comes of this session.
    pub(super) fn forget_session(&mut self, session: SessionId) {
        self.books.sessions.remove(&session);
    }

    /// The answer to this request belongs to this call.
    pub(super) fn own_request(&mut self, request: RequestId) {
        self.books.requests.insert(request, self.room);
    }

    /// Asks for the addresses of a name.
    pub(super) fn resolve(&mut self, host: &str, port: u16) -> u64 {
        let query = self.new_query();
        self.out.push_back(Output::Resolve { query, host: host.to_owned(), port });
        query
    }

    /// The answer to a question of this number is for this call.
    pub(super) fn new_query(&mut self) -> u64 {
        self.books.last_query += 1;
        self.books.queries.insert(self.books.last_query, self.room);
        self.books.last_query
    }

    /// Wakes this call at `at`.
    pub(super) fn set_timer(&mut self, timer: Timer, at: Instant) {
        self.books.timers.insert((at, self.room, timer));
    }

    /// A timer of this call is not wanted any more.
    pub(super) fn cancel_timer(&mut self, timer: Timer, at: Instant) {
        self.books.timers.remove(&(at, self.room, timer));
    }

    /// What a dialled number leads to.
    pub(crate) fn route(&mut self, number: &str, caller: &Caller, source: IpAddr) -> Routed {
        let at = i64::try_from(self.clock.micros(self.now) / 1_000_000).unwrap_or(i64::MAX);
        self.router.decide(&self.config, &Asked { number, caller, source, at }, self.now)
    }

    /// How many calls an extension has, ringing ones among them.
    pub(super) fn busy_with(&self, number: &str) -> usize {
        self.books.calls_of(number).len()
    }

    /// Something may have changed in the dialogs of these.
    pub(super) fn stir(&mut self, numbers: &[String]) {
        if !self.watched.is_empty() {
            let watched = numbers.iter().filter(|number| self.watched.contains(*number));
            self.stirred.extend(watched.cloned());
        }
    }

    /// Those in whose dialogs something may have changed since it was asked last.
    pub(crate) fn changed_dialogs(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.stirred)
    }

    /// Whether no call owns anything any more.
    pub(crate) fn books_are_empty(&self) -> bool {
        let books = &self.books;
        books.sessions.is_empty()
            && books.streams.is_empty()
            && books.requests.is_empty()
            && books.queries.is_empty()
            && books.timers.is_empty()
            && books.busy.is_empty()
            && self.conferences.is_empty()
            && self.wishes.is_empty()
            && self.mixes.are_empty()
    }
}
