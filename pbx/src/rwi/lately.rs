//! What clients of RustPBX were told lately: they have no numbers of events and ask for all of it when they come back.

use super::flat::Flat;
use super::session::Session;
use super::story::Told;
use crate::config::Dialect;
use crate::time::{Duration, Instant};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// How long an event is kept.
const KEPT: Duration = Duration::from_secs(60);

/// How many are.
const MOST: usize = 1_000;

/// The events of the last minute, each with the tokens of those who were told of it.
#[derive(Default)]
pub(super) struct Lately(VecDeque<(Instant, Arc<Told>, BTreeSet<String>)>);

impl Lately {
    /// Keeps an event of which these sessions are told, where one of them speaks that dialect.
    pub(super) fn keep<'a>(
        &mut self,
        told: &Arc<Told>,
        sessions: impl Iterator<Item = &'a Session>,
        now: Instant,
    ) {
        while self.0.front().is_some_and(|(at, ..)| now.since(*at) >= KEPT) {
            self.0.pop_front();
        }
        let flat = sessions.filter(|session| session.dialect == Dialect::RustPbx);
        let tokens: BTreeSet<String> = flat.map(|session| session.token().to_owned()).collect();
        if tokens.is_empty() || told.flat().is_none() {
            return;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((now, told.clone(), tokens));
    }

    /// What those who have shown this token were told, of all calls or of one.
    pub(super) fn again(&self, token: &str, of_call: Option<&str>, now: Instant) -> Map<String, Value> {
        let events: Vec<Value> = self.flats(token, of_call, now).map(Flat::again).collect();
        let mut data = Map::new();
        data.insert("replayed_count".into(), events.len().into());
        data.insert("events".into(), events.into());
        if let Some(call_id) = of_call {
            data.insert("call_id".into(), call_id.into());
        }
        data
    }

    /// The same, one by one.
    pub(super) fn flats<'a>(
        &'a self,
        token: &'a str,
        of_call: Option<&'a str>,
        now: Instant,
    ) -> impl Iterator<Item = &'a Flat> {
        let is_its = move |(at, _, tokens): &&(Instant, Arc<Told>, BTreeSet<String>)| {
            now.since(*at) < KEPT && tokens.contains(token)
        };
        let flats = self.0.iter().filter(is_its).filter_map(|(_, told, _)| told.flat());
        flats.filter(move |flat| of_call.is_none_or(|call_id| flat.is_of(call_id)))
    }
}
