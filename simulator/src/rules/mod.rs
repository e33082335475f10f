//! What holds in every run, whatever it is about: rules on the packets that were sent.
//!
//! Each rule has an id, the section that says it, and the sentence it says when it is broken. A fault of the network may
//! excuse that something did not happen, never that something wrong did.
//!
//! | file | rules |
//! |---|---|
//! | `transaction.rs` | T: requests and the responses to them |
//! | `repeat.rs` | T: when they are repeated |
//! | `acknowledgement.rs`, `cancel.rs` | T: ACK and CANCEL |
//! | `server.rs` | T: what a server owes |
//! | `transport.rs` | T: how messages travel, how far and how many |
//! | `dialog.rs` | D: numbers within a dialog |
//! | `description.rs` | S: offers and answers |
//! | `media.rs` | R: RTP |
//! | `application.rs` | A: what the PBX writes down |
//! | `log/` | the packets as rules see them, sorted by transaction, dialog and call |

mod acknowledgement;
mod application;
mod cancel;
mod description;
mod dialog;
mod log;
mod media;
mod repeat;
mod server;
#[cfg(test)]
mod tale;
mod transaction;
mod transport;

use crate::network::{Books, Outage, Packet};
use log::Log;
use pbx::time::Instant;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

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
    find: fn(&Evidence<'_>, &mut Findings<'_>),
}

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        transaction::RULES,
        repeat::RULES,
        acknowledgement::RULES,
        cancel::RULES,
        server::RULES,
        transport::RULES,
        dialog::RULES,
        description::RULES,
        media::RULES,
        application::RULES,
    ]
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

/// A run that has come to rest.
pub struct Run<'a> {
    /// Everything that was sent.
    pub packets: &'a [Packet],
    /// Where the PBX is.
    pub pbx: IpAddr,
    /// When hosts were off.
    pub outages: &'a [Outage],
    /// Those who were told to do wrong. What they send is not judged.
    pub excused: &'a BTreeSet<IpAddr>,
    /// Those whom the PBX did not listen to for a while, as they guessed passwords.
    pub unheard: &'a BTreeSet<IpAddr>,
    /// The PBX's call records; `None` when it was told to keep none.
    pub records: Option<&'a [serde_json::Value]>,
    /// What the network says became of its datagrams; `None` when it was not asked.
    pub books: Option<Books>,
    /// What was left over when everything had had time to end.
    pub left_over: &'a [String],
    /// When it ended.
    pub end: Instant,
}

impl Run<'_> {
    /// Every rule that was broken, the first break of each, in the order of time.
    pub fn judge(&self) -> Vec<Break> {
        let evidence = Evidence { log: Log::of(self.packets), run: self };
        let mut breaks: Vec<Break> = rules().filter_map(|rule| evidence.first_break(rule)).collect();
        breaks.sort_by_key(|broken| broken.at);
        breaks
    }
}

/// What rules are asked about.
pub(crate) struct Evidence<'a> {
    log: Log,
    run: &'a Run<'a>,
}

/// What a rule has found.
pub(crate) struct Findings<'a> {
    found: Vec<(Instant, String)>,
    excused: &'a BTreeSet<IpAddr>,
}

impl Findings<'_> {
    /// Something is wrong, whoever has done it.
    fn add(&mut self, at: Instant, what: impl Into<String>) {
        self.found.push((at, what.into()));
    }

    /// The host `culprit` has done wrong; nothing, if it was told to.
    fn blame(&mut self, culprit: impl Into<SocketAddr>, at: Instant, what: impl Into<String>) {
        if !self.excused.contains(&culprit.into().ip()) {
            self.add(at, what);
        }
    }
}

impl Evidence<'_> {
    fn first_break(&self, rule: &'static Rule) -> Option<Break> {
        let mut findings = Findings { found: Vec::new(), excused: self.run.excused };
        (rule.find)(self, &mut findings);
        let (at, what) = findings.found.into_iter().min_by_key(|(at, _)| *at)?;
        Some(Break { rule, at, what })
    }

    /// Whether it is the PBX's address.
    fn is_pbx(&self, address: SocketAddr) -> bool {
        address.ip() == self.run.pbx
    }

    /// Whether a host was on all the time between two moments: what was begun may have ended with it otherwise.
    fn ran(&self, address: SocketAddr, from: Instant, to: Instant) -> bool {
        let overlaps = |outage: &&Outage| {
            outage.host == address.ip() && outage.from <= to && outage.to.is_none_or(|end| end >= from)
        };
        !self.run.outages.iter().any(|outage| overlaps(&outage))
    }

    /// Whether a request was for the PBX and from somebody it did not listen to.
    fn is_unheard(&self, request: &log::Sip) -> bool {
        self.is_pbx(request.to) && self.run.unheard.contains(&request.from.ip())
    }

    /// Whether the PBX ran from the first to the last packet.
    fn is_whole(&self) -> bool {
        self.run.outages.iter().all(|outage| outage.host != self.run.pbx)
    }
}
