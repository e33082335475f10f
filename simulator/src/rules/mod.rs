//! What holds in every run, whatever it is about: rules on the packets that were sent.
//!
//! Each rule has an id, the section that says it, and the sentence it says when it is broken. A fault of the network may
//! excuse that something did not happen, never that something wrong did.
//!
//! | file | rules |
//! |---|---|
//! | `transaction.rs` | T: requests, responses and when they are repeated |
//! | `response.rs` | T: what a response means |
//! | `dialog.rs` | D: numbers within a dialog |
//! | `description.rs` | S: offers and answers |
//! | `media.rs` | R: RTP |
//! | `application.rs` | A: what the PBX writes down |
//! | `log.rs` | the packets as rules see them |

mod application;
mod description;
mod dialog;
mod log;
mod media;
mod response;
#[cfg(test)]
mod tale;
mod transaction;

use crate::network::{Books, Packet};
use log::Log;
use pbx::time::Instant;
use std::fmt;
use std::net::IpAddr;

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// `T8`.
    pub id: &'static str,
    /// Where it is written.
    pub source: &'static str,
    /// What it says.
    pub sentence: &'static str,
    /// Finds where it is broken.
    find: fn(&Evidence<'_>, &mut Findings),
}

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [transaction::RULES, response::RULES, dialog::RULES, description::RULES, media::RULES, application::RULES]
        .into_iter()
        .flatten()
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Break {
    /// Which.
    pub rule: &'static Rule,
    /// When.
    pub at: Instant,
    /// By what.
    pub what: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { id, source, sentence, .. } = self.rule;
        write!(f, "{id} is broken at {}: {sentence} ({source}), but {}", self.at, self.what)
    }
}

/// What rules are asked about.
pub struct Evidence<'a> {
    log: Log,
    /// Where the PBX is.
    pbx: IpAddr,
    /// Whether the PBX ran from the first to the last packet.
    is_whole: bool,
    records: &'a [serde_json::Value],
    /// What the network says became of its datagrams; `None` when it was not asked.
    books: Option<Books>,
}

/// What rules have found.
#[derive(Default)]
pub(crate) struct Findings(Vec<(Instant, String)>);

impl Findings {
    fn add(&mut self, at: Instant, what: impl Into<String>) {
        self.0.push((at, what.into()));
    }
}

impl<'a> Evidence<'a> {
    /// The evidence of a run that has come to rest. `is_whole`: the PBX ran from its beginning to its end.
    pub fn new(
        packets: &[Packet],
        pbx: IpAddr,
        is_whole: bool,
        records: &'a [serde_json::Value],
        books: Option<Books>,
    ) -> Evidence<'a> {
        Evidence { log: Log::of(packets), pbx, is_whole, records, books }
    }

    /// Every rule that was broken, the first break of each, in the order of time.
    pub fn judge(&self) -> Vec<Break> {
        let mut breaks: Vec<Break> = rules().filter_map(|rule| self.first_break(rule)).collect();
        breaks.sort_by_key(|broken| broken.at);
        breaks
    }

    fn first_break(&self, rule: &'static Rule) -> Option<Break> {
        let mut findings = Findings::default();
        (rule.find)(self, &mut findings);
        let (at, what) = findings.0.into_iter().min_by_key(|(at, _)| *at)?;
        Some(Break { rule, at, what })
    }
}
