//! What a session was told, each event once, and where it may have missed something.

use super::talk::{Said, Talk, Talks};
use crate::rules::Evidence;
use pbx::time::Instant;
use serde_json::Value;
use std::collections::BTreeMap;

/// Actions after which a session is told of other calls than before.
const TURNS: [&str; 5] = [
    "session.subscribe",
    "session.unsubscribe",
    "session.attach_call",
    "session.detach_call",
    "session.resume",
];

/// What one session was told.
#[derive(Default)]
pub(super) struct View<'a> {
    pub(super) items: Vec<Item<'a>>,
    /// It is told of some events only.
    pub(super) is_partial: bool,
}

/// Something in it.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    Event(Told<'a>),
    /// From here on it is told of other calls than before.
    Turn,
}

impl<'a> Item<'a> {
    pub(super) fn event(&self) -> Option<&Told<'a>> {
        match self {
            Item::Event(told) => Some(told),
            Item::Turn => None,
        }
    }
}

/// An event.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// When it happened, as it says.
    pub(super) at: Instant,
    /// When it was sent.
    pub(super) sent: Instant,
    pub(super) name: &'a str,
    /// The call it is about; empty for none.
    pub(super) call: &'a str,
    pub(super) data: &'a Value,
}

/// A session's name, and after how many ends of the PBX: names may come again then.
pub(super) type Name<'a> = (&'a str, usize);

/// All views, by session.
pub(super) fn views<'a>(evidence: &'a Evidence<'_>) -> BTreeMap<Name<'a>, View<'a>> {
    let mut views: BTreeMap<Name<'a>, View<'a>> = BTreeMap::new();
    let mut last: BTreeMap<Name<'a>, u64> = BTreeMap::new();
    for talk in Talks::with_pbx(evidence) {
        for (session, said) in by_session(talk, evidence) {
            let view = views.entry(session).or_default();
            if let Some(told) = Told::of(said, evidence) {
                let seq = said.what["seq"].as_u64().unwrap_or_default();
                let known = last.entry(session).or_default();
                // What was told before is told again to who comes back.
                if seq > *known {
                    *known = seq;
                    view.items.push(Item::Event(told));
                }
            } else if said.has_succeeded() && TURNS.contains(&said.action()) {
                view.items.push(Item::Turn);
            } else if !said.by_server && said.what["params"]["events"].is_array() {
                view.is_partial = true;
            }
        }
    }
    views
}

/// What was said over a connection, each with the session it belonged to then.
pub(super) fn by_session<'a>(
    talk: &'a Talk,
    evidence: &Evidence<'_>,
) -> impl Iterator<Item = (Name<'a>, &'a Said)> {
    let began = talk.said.first().map_or(Instant::START, |said| said.at);
    let ends = evidence.outages.iter().filter(|outage| outage.host == evidence.pbx && outage.from <= began);
    let (mut session, ends) = (talk.session.as_str(), ends.count());
    talk.said.iter().map(move |said| {
        if said.is_reply() && said.has_succeeded() && said.action() == "session.resume" {
            session = said.what["data"]["session_id"].as_str().unwrap_or(session);
        }
        ((session, ends), said)
    })
}

/// All events that anybody was told, each once, in the order in which they happened.
pub(super) fn events<'a>(views: &BTreeMap<Name<'a>, View<'a>>) -> Vec<Told<'a>> {
    let items = views.values().flat_map(|view| &view.items);
    let mut all: Vec<Told<'a>> = Vec::new();
    let told = items.filter_map(|item| match item {
        Item::Event(told) => Some(*told),
        Item::Turn => None,
    });
    all.extend(told);
    all.sort_by_key(|told| told.at);
    let mut events: Vec<Told<'a>> = Vec::new();
    for told in all {
        let is_same =
            |other: &Told<'_>| (other.name, other.call, other.data) == (told.name, told.call, told.data);
        let lately = events.iter().rev().take_while(|other| other.at == told.at);
        if !lately.into_iter().any(is_same) {
            events.push(told);
        }
    }
    events
}

impl<'a> Told<'a> {
    pub(super) fn of(said: &'a Said, evidence: &Evidence<'_>) -> Option<Told<'a>> {
        let name = said.event()?;
        let at = evidence.run.moment(&said.what["timestamp"]).unwrap_or(said.at);
        let call = said.what["call_id"].as_str().unwrap_or_default();
        Some(Told { at, sent: said.at, name, call, data: &said.what["data"] })
    }

    /// A fact.
    pub(super) fn fact(&self, name: &str) -> &'a str {
        self.data[name].as_str().unwrap_or_default()
    }

    /// All calls it is about.
    pub(super) fn calls(&self) -> impl Iterator<Item = &'a str> {
        let others = ["leg_a", "leg_b", "supervisor_call_id", "target_call_id"];
        let data = self.data;
        std::iter::once(self.call).chain(others.into_iter().filter_map(move |name| data[name].as_str()))
    }
}
