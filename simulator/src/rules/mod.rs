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
//! | `description.rs`, `negotiation.rs` | S: offers and answers, each by itself and one after the other |
//! | `permission.rs` | R, S: who may send what when |
//! | `source.rs`, `media.rs` | R: numbers, sound and keys of each source |
//! | `address.rs`, `port.rs` | R: where RTP goes, ports |
//! | `relay.rs` | R: what goes in on one leg comes out on the other |
//! | `report.rs` | R: RTCP |
//! | `application.rs`, `house.rs` | A: what the PBX writes down; the PBX as a program |
//! | `opinion.rs` | O: what others read in the same bytes |
//! | `log.rs`, `flow.rs` | SIP and RTP as rules see them |
//! | `sdp.rs`, `session.rs` | descriptions as rules read them; what was agreed when |
//! | `witness.rs` | what a world saw beside its packets |

mod address;
mod application;
mod description;
mod dialog;
mod flow;
mod house;
mod log;
mod media;
mod negotiation;
mod opinion;
mod permission;
mod port;
mod relay;
mod report;
mod response;
mod sdp;
mod session;
mod source;
#[cfg(test)]
mod tale;
mod transaction;
mod witness;

pub use witness::Witness;

use crate::network::{Books, Packet};
use crate::phone::SIP_PORT;
use flow::Flows;
use log::Log;
use pbx::time::Instant;
use permission::Wrong;
use session::Sessions;
use std::cell::OnceCell;
use std::collections::BTreeMap;
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
    let families = [
        transaction::RULES,
        response::RULES,
        dialog::RULES,
        description::RULES,
        negotiation::RULES,
        permission::RULES,
        source::RULES,
        media::RULES,
        address::RULES,
        port::RULES,
        relay::RULES,
        report::RULES,
        application::RULES,
        house::RULES,
        opinion::RULES,
    ];
    families.into_iter().flatten()
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
    packets: &'a [Packet],
    log: Log,
    sessions: Sessions,
    flows: Flows<'a>,
    /// By session: the one it is joined with.
    partners: Vec<Option<usize>>,
    calls: BTreeMap<String, usize>,
    wrongs: OnceCell<Vec<Wrong>>,
    /// Where the PBX is.
    pbx: IpAddr,
    /// Whether the PBX ran from the first to the last packet.
    is_whole: bool,
    records: &'a [serde_json::Value],
    /// What the network says became of its datagrams; `None` when it was not asked.
    books: Option<Books>,
    witness: Witness,
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
        packets: &'a [Packet],
        pbx: IpAddr,
        is_whole: bool,
        records: &'a [serde_json::Value],
        books: Option<Books>,
        witness: Witness,
    ) -> Evidence<'a> {
        let log = Log::of(packets);
        let sessions = Sessions::of(&log);
        let flows = Flows::of(packets, &sessions);
        let partners = relay::partners(&sessions.all, pbx);
        let calls =
            sessions.all.iter().enumerate().map(|(at, session)| (session.call_id.clone(), at)).collect();
        let wrongs = OnceCell::new();
        Evidence {
            packets,
            log,
            sessions,
            flows,
            partners,
            calls,
            wrongs,
            pbx,
            is_whole,
            records,
            books,
            witness,
        }
    }

    /// Every rule that was broken, the first break of each, in the order of time.
    pub fn judge(&self) -> Vec<Break> {
        let mut breaks: Vec<Break> = rules().filter_map(|rule| self.first_break(rule)).collect();
        breaks.sort_by_key(|broken| broken.at);
        breaks
    }

    /// The session that the PBX has joined with this one.
    fn partner_of(&self, session: usize) -> Option<usize> {
        self.partners[session]
    }

    /// The session of the caller of a call record.
    fn session_of(&self, record: &serde_json::Value) -> Option<usize> {
        self.calls.get(record["sip_call_id"].as_str()?).copied()
    }

    /// Whether a host has a session at that time.
    fn has_session(&self, host: IpAddr, at: Instant) -> bool {
        let has = |session: &session::Session| {
            let side = session.hosts.iter().position(|own| *own == host);
            let over = side.and_then(|side| session.over[side]);
            side.is_some() && session.invited_at <= at && over.is_none_or(|over| over >= at)
        };
        self.sessions.all.iter().any(has)
    }

    /// What was sent that its sender had no right to send.
    fn wrongs(&self) -> &[Wrong] {
        self.wrongs.get_or_init(|| permission::look(self))
    }

    fn first_break(&self, rule: &'static Rule) -> Option<Break> {
        let mut findings = Findings::default();
        (rule.find)(self, &mut findings);
        let (at, what) = findings.0.into_iter().min_by_key(|(at, _)| *at)?;
        Some(Break { rule, at, what })
    }
}
