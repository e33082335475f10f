//! A session: what is told to one client, with a number each, kept for a while in case its connection is lost.

use super::custom::OwnNames;
use super::story::Told;
use crate::boundary::ClientId;
use crate::config::{Dialect, Scope, Token};
use crate::time::{Duration, Instant};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Events that are kept for who comes back.
pub(super) const KEPT: usize = 1_000;

/// One of them.
pub(super) struct Session {
    /// Where its frames go; `None` while nobody is connected.
    pub(super) client: Option<ClientId>,
    /// When it is given up, while nobody is connected.
    pub(super) expires: Option<Instant>,
    token: String,
    scopes: Vec<Scope>,
    pub(super) dialect: Dialect,
    pub(super) contexts: BTreeSet<String>,
    /// The events it wants; `None`: all.
    pub(super) wanted: Option<BTreeSet<String>>,
    /// How many calls it holds.
    pub(super) held: usize,
    seq: u64,
    kept: VecDeque<(u64, Arc<Told>)>,
    /// What it calls calls otherwise than we do.
    pub(super) names: OwnNames,
    /// When it last originated calls.
    originated: VecDeque<Instant>,
    /// Questions that were answered lately, by their ids, where one that is asked again is not heard.
    answered: VecDeque<(Instant, String)>,
}

/// How long the answer to a question is remembered.
const REMEMBERS: Duration = Duration::from_secs(60);

/// The most questions that are remembered.
const ANSWERED: usize = 1_000;

impl Session {
    pub(super) fn new(token: &Token, client: ClientId) -> Session {
        Session {
            client: Some(client),
            expires: None,
            token: token.token.clone(),
            scopes: token.scopes.clone(),
            dialect: token.dialect,
            contexts: BTreeSet::new(),
            wanted: None,
            held: 0,
            seq: 0,
            kept: VecDeque::new(),
            names: OwnNames::default(),
            originated: VecDeque::new(),
            answered: VecDeque::new(),
        }
    }

    /// Whether its token may do this.
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether both have shown the same token.
    pub(super) fn is_of(&self, other: &Session) -> bool {
        self.token == other.token
    }

    /// The token that it has shown.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Whether a question of this id was answered lately.
    pub(super) fn has_answered(&mut self, id: &str, now: Instant) -> bool {
        while self.answered.front().is_some_and(|(at, _)| now.since(*at) >= REMEMBERS) {
            self.answered.pop_front();
        }
        self.answered.iter().any(|(_, answered)| answered == id)
    }

    /// A question of this id was answered.
    pub(super) fn note_answered(&mut self, id: &str, now: Instant) {
        if self.answered.len() >= ANSWERED {
            self.answered.pop_front();
        }
        self.answered.push_back((now, id.to_owned()));
    }

    /// The number of the last event.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// The number of the first event that is still kept.
    pub(super) fn oldest(&self) -> u64 {
        self.kept.front().map_or(self.seq + 1, |(seq, _)| *seq)
    }

    /// Tells it something; the frame that goes out now, when somebody is connected.
    pub(super) fn tell(&mut self, told: &Arc<Told>) -> Option<(ClientId, String)> {
        let is_wanted = self.wanted.as_ref().is_none_or(|wanted| wanted.contains(told.name(self.dialect)));
        if !is_wanted || !told.is_told_in(self.dialect) {
            return None;
        }
        self.seq += 1;
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((self.seq, told.clone()));
        self.client.map(|client| (client, self.frame(self.seq, told)))
    }

    /// What it was told after this number, as it was told then.
    pub(super) fn after(&self, last: u64) -> Vec<String> {
        let missed = self.kept.iter().filter(|(seq, _)| *seq > last);
        missed.map(|(seq, told)| self.frame(*seq, told)).collect()
    }

    fn frame(&self, seq: u64, told: &Told) -> String {
        match (self.dialect, told.flat()) {
            (Dialect::RustPbx, Some(flat)) => flat.frame(&self.names),
            (Dialect::RustPbx, None) => String::new(),
            (Dialect::Tandem, _) => told.frame(seq),
        }
    }

    /// Whether it may originate a call now, of `limit` a second; it is counted.
    pub(super) fn may_originate(&mut self, limit: usize, now: Instant) -> bool {
        const WINDOW: Duration = Duration::from_secs(1);
        while self.originated.front().is_some_and(|at| now.since(*at) >= WINDOW) {
            self.originated.pop_front();
        }
        let may = self.originated.len() < limit;
        if may {
            self.originated.push_back(now);
        }
        may
    }
}
