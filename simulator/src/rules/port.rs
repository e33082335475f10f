//! RTP ports of the PBX, and the patience it has with silence.

use super::log::Sip;
use super::repeat::PATIENCE;
use super::session::SLACK;
use super::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R23",
        source: "a promise of the PBX",
        sentence: "an RTP port is in one hand at a time, rests before it is in another, and comes back in the end",
        find: ports_come_back,
    },
    Rule {
        id: "R24",
        source: "a promise of the PBX",
        sentence: "a call from which no RTP comes any more ends after the time that is configured, and says why",
        find: silence_ends_calls,
    },
];

/// How long a pair rests.
const REST: Duration = Duration::from_secs(2);
/// What the PBX says of a call that ended for this reason.
const REASON: &str = "no RTP came any more";

fn ports_come_back(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut last: BTreeMap<SocketAddr, Option<Instant>> = BTreeMap::new();
    let of_pbx = |address: &SocketAddr| address.ip() == evidence.pbx && address.port() != super::SIP_PORT;
    for binding in evidence.run.bindings.into_iter().flatten().filter(|binding| of_pbx(&binding.address)) {
        let before = last.insert(binding.address, binding.until);
        let rested = before.flatten().map(|until| binding.since.since(until));
        if let Some(rested) = rested.filter(|rested| *rested < REST && evidence.is_whole) {
            findings.add(binding.since, format!("{} has rested for {rested:?}", binding.address));
        }
    }
    if let Some((address, _)) = last.iter().find(|(_, until)| until.is_none()) {
        findings.add(evidence.log.end, format!("{address} is still open"));
    }
    for (address, claims) in evidence.sessions.ends.iter().filter(|(address, _)| of_pbx(address)) {
        for pair in claims.windows(2) {
            let [(_, before), (at, now)] = pair else { continue };
            let session = &evidence.sessions.all[before.session];
            let over = session.over[before.side].into_iter().chain(failed(evidence, &session.call_id)).min();
            if before.session != now.session && over.is_none_or(|over| over > *at) && evidence.is_whole {
                findings.add(*at, format!("{address} is promised in two calls"));
            }
        }
    }
}

/// When the INVITE that was to begin a session failed: its connection broke before it was answered, a refusal of it was
/// acknowledged, in whatever shape that had come, or nothing came at all.
fn failed(evidence: &Evidence<'_>, call_id: &str) -> Option<Instant> {
    let within = evidence.log.by_call_id.get(call_id)?;
    let begins = |message: &&Sip| message.asks("INVITE") && message.to_tag.is_empty() && !message.is_ghost;
    let invite = evidence.log.at(within).rfind(begins)?;
    let transaction = evidence.log.transaction(invite)?;
    let mut answers = evidence.log.at(&transaction.responses);
    let broke = invite
        .over
        .filter(|over| !answers.any(|answer| answer.is_final() && answer.arrivals().any(|at| at < *over)));
    let refused = evidence.log.at(&transaction.acks).map(|ack| ack.meant);
    let is_heard = evidence.log.at(&transaction.responses).any(|answer| answer.perhaps().next().is_some());
    let asked = evidence.log.at(&transaction.requests).next().filter(|_| !is_heard);
    let given_up = asked.map(|asked| asked.at + PATIENCE);
    broke.into_iter().chain(refused).chain(given_up).min()
}

fn silence_ends_calls(evidence: &Evidence<'_>, findings: &mut Findings) {
    let Some(patience) = evidence.run.rtp_timeout else { return };
    for record in evidence.records.iter().filter(|record| record["reason"] == REASON) {
        let Some(session) = evidence.session_of(record) else { continue };
        let Some(ended) = evidence.run.moment(&record["ended_at"]) else { continue };
        let sessions = std::iter::once(session).chain(evidence.partner_of(session));
        let silences: Vec<Duration> =
            sessions.filter_map(|session| Some(ended.since(last_heard(evidence, session)?))).collect();
        let is_due = |silence: &Duration| *silence + SLACK >= patience && *silence <= patience + SLACK;
        if !silences.iter().any(is_due) {
            findings
                .add(ended, format!("a call ended by it after a silence of {silences:?}, not {patience:?}"));
        }
    }
}

/// When RTP last came to the PBX in a session, or was agreed on.
fn last_heard(evidence: &Evidence<'_>, session: usize) -> Option<Instant> {
    let side = usize::from(evidence.sessions.all[session].hosts[1] == evidence.pbx);
    let end = super::session::End { session, side, stream: 0 };
    let came =
        evidence.flows.to(end).flat_map(|flow| &flow.packets).flat_map(super::flow::Rtp::arrivals).max();
    let agreed =
        evidence.sessions.terms(end).iter().filter(|terms| !terms.over).map(|terms| terms.since).max();
    came.max(agreed)
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};
    use crate::network::Binding;
    use pbx::time::{Duration, Instant};
    use serde_json::json;

    #[test]
    fn a_port_that_is_not_closed_breaks_r23() {
        assert_eq!(broken(&opened(&[(0, None)])), ["R23"]);
        assert_eq!(broken(&opened(&[(0, Some(1_000))])), [""; 0]);
    }

    #[test]
    fn a_port_that_has_not_rested_breaks_r23() {
        assert_eq!(broken(&opened(&[(0, Some(1_000)), (2_500, Some(3_000))])), ["R23"]);
        assert_eq!(broken(&opened(&[(0, Some(1_000)), (3_000, Some(4_000))])), [""; 0]);
    }

    #[test]
    fn an_end_for_lack_of_rtp_that_is_there_breaks_r24() {
        let silent = |patience| {
            let record = json!({
                "sip_call_id": "c", "reason": "no RTP came any more", "ended_at": "2026-01-01T00:00:10.221000Z",
            });
            let patience = Duration::from_secs(patience);
            Tale::talk().speech(11).with_record(record).waits_for_rtp(patience)
        };
        assert_eq!(broken(&silent(10)), [""; 0]);
        assert_eq!(broken(&silent(60)), ["R24"]);
    }

    fn opened(times: &[(u64, Option<u64>)]) -> Tale {
        let binding = |(since, until): &(u64, Option<u64>)| Binding {
            address: ([10, 0, 0, 1], 20_000).into(),
            since: Instant::from_millis(*since),
            until: until.map(Instant::from_millis),
        };
        Tale::new().bound(times.iter().map(binding).collect())
    }
}
