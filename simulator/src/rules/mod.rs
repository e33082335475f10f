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
//! | `dialog.rs`, `reinvite.rs` | D: requests within a dialog, changes of a session |
//! | `extension.rs` | D: reliable responses, session timers, OPTIONS |
//! | `registration.rs` | D: registrations and passwords |
//! | `bridge.rs` | D: the sides of a call that the PBX has joined |
//! | `transfer.rs` | D: transfers, and who takes another's place |
//! | `subscription.rs` | D: who wants to know, and what it is told |
//! | `description.rs`, `negotiation.rs` | S: offers and answers, each by itself and one after the other |
//! | `permission.rs` | R, S: who may send what when |
//! | `source.rs`, `media.rs` | R: numbers, sound and keys of each source |
//! | `address.rs`, `port.rs` | R: where RTP goes, ports |
//! | `relay.rs`, `interpreted.rs`, `keys.rs` | R: what goes in on one leg comes out on the other |
//! | `report.rs` | R: RTCP |
//! | `application.rs`, `house.rs` | A: what the PBX writes down; the PBX as a program |
//! | `rwi/` | A: what applications are told, and what comes of what they command |
//! | `opinion.rs` | O: what others read in the same bytes |
//! | `log/` | SIP as rules see it, sorted by transaction, dialog and call |
//! | `flow.rs` | RTP as rules see it, sorted by who sent it |
//! | `sdp.rs`, `session.rs` | descriptions as rules read them; what was agreed when |
//! | `run.rs` | what is judged, and what a world saw beside its packets |

mod acknowledgement;
mod address;
mod application;
mod bridge;
mod cancel;
mod description;
mod dialog;
mod extension;
mod flow;
mod house;
mod interpreted;
mod keys;
mod log;
mod media;
mod negotiation;
mod opinion;
mod permission;
mod port;
mod registration;
mod reinvite;
mod relay;
mod repeat;
mod report;
mod run;
mod rwi;
mod sdp;
mod seal;
mod server;
mod session;
mod source;
mod subscription;
#[cfg(test)]
mod tale;
mod transaction;
mod transfer;
mod transport;

pub use run::Run;

use crate::network::{Books, Outage, Packet};
use crate::phone::SIP_PORT;
use flow::{Flow, Flows};
use log::Log;
use pbx::time::Instant;
use permission::Wrong;
use seal::Opened;
use session::Sessions;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use transfer::Transfers;

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
    [
        transaction::RULES,
        repeat::RULES,
        acknowledgement::RULES,
        cancel::RULES,
        server::RULES,
        transport::RULES,
        dialog::RULES,
        reinvite::RULES,
        extension::RULES,
        registration::RULES,
        bridge::RULES,
        transfer::RULES,
        subscription::RULES,
        description::RULES,
        negotiation::RULES,
        permission::RULES,
        source::RULES,
        media::RULES,
        address::RULES,
        port::RULES,
        relay::RULES,
        keys::RULES,
        report::RULES,
        seal::RULES,
        application::RULES,
        house::RULES,
        opinion::RULES,
    ]
    .into_iter()
    .chain(rwi::RULES.iter().copied())
    .flatten()
}

/// Rules that a scenario lets be broken, by id, each with its reason.
#[derive(Clone, Debug, Default)]
pub struct Waivers(BTreeMap<&'static str, (&'static Rule, String)>);

/// Why a rule cannot be waived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaiverError {
    /// No rule has this id.
    Unknown(String),
    /// There is no reason.
    NoReason,
}

impl fmt::Display for WaiverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaiverError::Unknown(id) => write!(f, "no rule is called {id}"),
            WaiverError::NoReason => f.write_str("a rule is waived for a reason, and there is none"),
        }
    }
}

impl std::error::Error for WaiverError {}

impl Waivers {
    /// This rule may be broken.
    pub fn add(&mut self, id: &str, reason: &str) -> Result<(), WaiverError> {
        let rule = rules().find(|rule| rule.id == id).ok_or_else(|| WaiverError::Unknown(id.to_owned()))?;
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(WaiverError::NoReason);
        }
        self.0.insert(rule.id, (rule, reason.to_owned()));
        Ok(())
    }

    /// What is left of these breaks: those of rules that are not waived, and the waivers that nobody needed.
    pub fn judge(&self, broken: Vec<Break>, end: Instant) -> Vec<Break> {
        let needless = self.0.values().filter(|(rule, _)| !broken.iter().any(|it| it.rule.id == rule.id));
        let needless =
            needless.map(|(rule, reason)| Break { rule, at: end, what: reason.clone(), is_needless: true });
        let needless: Vec<Break> = needless.collect();
        let stands = |it: &Break| !self.0.contains_key(it.rule.id);
        broken.into_iter().filter(stands).chain(needless).collect()
    }
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Break {
    /// Which.
    pub rule: &'static Rule,
    /// When.
    pub at: Instant,
    /// By what; for one that is waived and held, why it was waived.
    pub what: String,
    /// It was not broken, although it was waived: a waiver is to end with its reason.
    pub is_needless: bool,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { id, source, sentence, .. } = self.rule;
        if self.is_needless {
            return write!(f, "{id} is waived ({}) and was not broken: {sentence} ({source})", self.what);
        }
        write!(f, "{id} is broken at {}: {sentence} ({source}), but {}", self.at, self.what)
    }
}

/// What rules are asked about.
pub(crate) struct Evidence<'a> {
    /// The same packets, and what of them could not be opened.
    opened: &'a Opened<'a>,
    log: Log,
    run: &'a Run<'a>,
    outages: Vec<Outage>,
    packets: &'a [Packet],
    sessions: Sessions,
    flows: Flows<'a>,
    /// By session: the one it is joined with.
    partners: Vec<Option<usize>>,
    /// By session: the one it was joined with, and until when, where an application has parted them.
    split: BTreeMap<usize, (usize, Instant)>,
    calls: BTreeMap<String, usize>,
    transfers: Transfers,
    wrongs: OnceCell<Vec<Wrong>>,
    /// Where the PBX is.
    pbx: IpAddr,
    /// Whether the PBX ran from the first to the last packet and wrote down its calls.
    is_whole: bool,
    records: &'a [serde_json::Value],
    /// What the network says became of its datagrams; `None` when it was not asked.
    books: Option<Books>,
}

/// What a rule has found.
pub(crate) struct Findings {
    found: Vec<(Instant, String)>,
    excused: BTreeSet<IpAddr>,
}

impl Findings {
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

impl<'a> Evidence<'a> {
    fn of(run: &'a Run<'a>, log: Log, sessions: Sessions, opened: &'a Opened<'a>) -> Evidence<'a> {
        let was_on = run.outages.iter().all(|outage| outage.host != run.pbx);
        let flows = Flows::of(&opened.packets, &sessions);
        let calls = sessions.all.iter().enumerate().map(|(at, session)| (session.call_id.clone(), at));
        let mut partners = relay::partners(&sessions.all, run.pbx);
        let split = relay::part(&mut partners, &sessions.all, run);
        Evidence {
            run,
            outages: Evidence::outages(run),
            packets: &opened.packets,
            opened,
            partners,
            split,
            calls: calls.collect(),
            transfers: Transfers::of(&log),
            wrongs: OnceCell::new(),
            pbx: run.pbx,
            is_whole: was_on && run.records.is_some(),
            records: run.records.unwrap_or_default(),
            books: run.books,
            log,
            sessions,
            flows,
        }
    }

    /// When hosts were off, and when the PBX did not run on its own.
    fn outages(run: &Run<'_>) -> Vec<Outage> {
        let own = SocketAddr::new(run.pbx, SIP_PORT);
        let mut sockets =
            run.bindings.into_iter().flatten().filter(|binding| binding.address == own).peekable();
        let mut outages = run.outages.to_vec();
        while let Some(binding) = sockets.next() {
            let to = sockets.peek().map(|next| next.since);
            outages.extend(binding.until.map(|from| Outage { host: run.pbx, from, to }));
        }
        outages
    }

    /// The session that the PBX has joined with this one.
    fn partner_of(&self, session: usize) -> Option<usize> {
        self.partners[session]
    }

    /// Since when the two sides of a call, known by the Call-ID of either, are parted: one was sent on or replaced.
    fn parted_at(&self, call_id: &str) -> Option<Instant> {
        let since = [Some(call_id), self.other_side(call_id)].into_iter().flatten();
        since.filter_map(|call_id| self.transfers.parted_at(call_id)).min()
    }

    /// Since when somebody has the place of another in a call, known by the Call-ID of either side.
    fn taken_at(&self, call_id: &str) -> Option<Instant> {
        let since = [Some(call_id), self.other_side(call_id)].into_iter().flatten();
        since.filter_map(|call_id| self.transfers.taken_at(call_id)).min()
    }

    /// The Call-ID of the other side of a call.
    fn other_side(&self, call_id: &str) -> Option<&str> {
        let session = self.calls.get(call_id).copied()?;
        let other = self.partner_of(session).or(self.split.get(&session).map(|(other, _)| *other))?;
        Some(&self.sessions.all[other].call_id)
    }

    /// Whether an INVITE of the PBX may be on behalf of somebody who was sent on just then, and of no caller.
    fn may_be_transfer(&self, invite: &log::Sip) -> bool {
        self.transfers.may_ask_for(invite)
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

    /// Whether an address may be of a session that nobody knows of: its host has said that it is there, in answer to what came
    /// damaged perhaps, or there was no stream on which to say so.
    fn may_be_of_session(&self, address: SocketAddr, at: Instant) -> bool {
        let says_so = |message: &log::Sip| {
            let said = message.sdp.as_deref().map(sdp::Description::read);
            let port = address.port();
            said.is_some_and(|said| said.streams.iter().any(|stream| stream.port == port && port != 0))
        };
        let own = |message: &&log::Sip| message.from.ip() == address.ip() && message.meant <= at;
        self.log.sent().filter(own).any(says_so) || self.log.is_without_stream(address.ip(), self.pbx, at)
    }

    /// Whether the network has done nothing to those who talk in a session, nor to those it is joined with, from its first
    /// INVITE to its end; where nobody knows which it is joined with, to nobody at all.
    fn is_calm(&self, session: usize) -> bool {
        if self.run.stood_still {
            return false;
        }
        if self.log.faults.is_empty() && self.outages.is_empty() {
            return true;
        }
        let Some(partner) = self.partner_of(session) else { return false };
        let both = [session, partner].map(|session| &self.sessions.all[session]);
        let begin = both.map(|session| session.invited_at).into_iter().min();
        let end = both.iter().flat_map(|session| session.over).max().flatten();
        let hosts = both.iter().flat_map(|session| session.hosts).filter(|host| *host != self.pbx);
        let is_within = |at: &Instant| Some(*at) >= begin && end.is_none_or(|end| *at <= end);
        let was_off = |host: &IpAddr| {
            let mut off = self.outages.iter().filter(|outage| outage.host == *host);
            off.any(|outage| {
                end.is_none_or(|end| outage.from <= end) && outage.to.is_none_or(|to| Some(to) >= begin)
            })
        };
        let faults =
            |host: &IpAddr| self.log.faults.get(host).is_some_and(|faults| faults.iter().any(is_within));
        !hosts.into_iter().any(|host| faults(&host) || was_off(&host))
    }

    /// What was sent that its sender had no right to send.
    fn wrongs(&self) -> &[Wrong] {
        self.wrongs.get_or_init(|| permission::look(self))
    }

    /// Whether a description of it came damaged, or somebody who was told to do wrong has a part in a session, or in the one it is joined with: the PBX
    /// passes on what it gets.
    fn is_misled(&self, session: usize) -> bool {
        let is_blurred = |session: usize| self.sessions.all[session].is_blurred;
        if is_blurred(session) || self.partner_of(session).is_some_and(is_blurred) {
            return true;
        }
        if self.run.excused.is_empty() {
            return false;
        }
        // Where nobody knows which it is joined with, each of the same caller may be it.
        let (own, partner) = (&self.sessions.all[session], self.partner_of(session));
        let belongs = |(at, other): &(usize, &session::Session)| {
            *at == session || partner.map_or(other.caller == own.caller, |partner| partner == *at)
        };
        let joined = self.sessions.all.iter().enumerate().filter(belongs);
        joined.flat_map(|(_, session)| session.hosts).any(|host| self.run.excused.contains(&host))
    }

    /// The flows that are judged: not what comes from somebody who was told to do wrong, nor what the PBX makes of it, nor
    /// what it sent where something stood still.
    fn judged(&self) -> impl Iterator<Item = &Flow<'a>> {
        self.flows.all.iter().filter(|flow| {
            let is_late = self.run.stood_still && self.is_pbx(flow.from);
            let is_excused = self.run.excused.contains(&flow.from.ip());
            let is_misled = flow.end.is_some_and(|end| self.is_misled(end.session));
            !is_late && !is_excused && !is_misled
        })
    }

    fn first_break(&self, rule: &'static Rule) -> Option<Break> {
        let mut findings = Findings { found: Vec::new(), excused: self.run.excused.clone() };
        (rule.find)(self, &mut findings);
        let (at, what) = findings.found.into_iter().min_by_key(|(at, _)| *at)?;
        Some(Break { rule, at, what, is_needless: false })
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
        !self.outages.iter().any(|outage| overlaps(&outage))
    }

    /// Whether the PBX has run from when a session was answered until then.
    fn has_kept(&self, session: usize, at: Instant) -> bool {
        let since = self.sessions.all[session].accepted.map_or(at, |(accepted, _)| accepted);
        self.ran(SocketAddr::new(self.run.pbx, SIP_PORT), since, at)
    }

    /// Whether a request was for the PBX and from somebody it did not listen to.
    fn is_unheard(&self, request: &log::Sip) -> bool {
        self.is_pbx(request.to) && self.run.unheard.contains(&request.from.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::tale::{Tale, breaks};
    use super::*;

    #[test]
    fn a_rule_is_waived_by_its_id_for_a_reason() {
        let mut waivers = Waivers::default();
        assert_eq!(waivers.add("T99", "why not"), Err(WaiverError::Unknown("T99".to_owned())));
        assert_eq!(waivers.add("T8", "  "), Err(WaiverError::NoReason));
        assert_eq!(waivers.add("T8", "the telephone is from 1998"), Ok(()));
    }

    #[test]
    fn what_is_waived_is_let_pass_and_what_nobody_needs_is_told() {
        let (t8, t9) = (broken("T8"), broken("T9"));
        let mut waivers = Waivers::default();
        waivers.add("T8", "the telephone is from 1998").expect("a rule and a reason");
        let told = |broken: Vec<Break>| -> Vec<String> {
            waivers.judge(broken, Instant::START).iter().map(ToString::to_string).collect()
        };
        assert!(told(vec![t8.clone()]).is_empty());
        assert!(told(vec![t8, t9.clone()])[0].starts_with("T9 is broken"));
        let needless = &told(vec![t9])[1];
        assert!(
            needless.starts_with("T8 is waived (the telephone is from 1998) and was not broken"),
            "{needless}"
        );
    }

    #[test]
    fn who_was_told_to_do_wrong_is_not_blamed() {
        let tale = Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1).but("z9hG4bK", "");
        assert!(breaks("T4", &tale.clone()));
        assert!(!breaks("T4", &tale.excuses(2)));
    }

    fn broken(id: &str) -> Break {
        let rule = rules().find(|rule| rule.id == id).expect("a rule of this id");
        Break { rule, at: Instant::START, what: "something".to_owned(), is_needless: false }
    }
}
