//! The PBX as a program: what it leaves behind (SIM-11), what it complains about, what time it thinks it is.

use super::application::is_of_disk;
use super::dialog::is_astray;
use super::log::Sip;
use super::session::header;
use super::{Evidence, Findings, Rule};
use crate::network::Kind;
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "A24",
        source: "a promise of the PBX",
        sentence: "nothing is left over at the end",
        find: nothing_is_left,
    },
    Rule {
        id: "A25",
        source: "a promise of the PBX",
        sentence: "nothing happens that the PBX calls an error",
        find: nobody_complains,
    },
    Rule {
        id: "A27",
        source: "a promise of the PBX",
        sentence: "after the last fault whoever registers or hangs up is answered within 64 T1",
        find: everything_heals,
    },
    Rule {
        id: "A28",
        source: "a promise of the simulator",
        sentence: "whatever has a time has that of the world",
        find: times_are_of_the_world,
    },
];

/// 64 * T1.
const PATIENCE: Duration = Duration::from_secs(32);

fn nothing_is_left(evidence: &Evidence<'_>, findings: &mut Findings) {
    for what in evidence.run.left_over {
        findings.add(evidence.log.end, what);
    }
}

fn nobody_complains(evidence: &Evidence<'_>, findings: &mut Findings) {
    // A disk that was told to refuse is to be complained about.
    for (at, what) in evidence.run.complaints.iter().filter(|(_, what)| !is_of_disk(what)) {
        findings.add(*at, format!("it said: {what}"));
    }
}

fn everything_heals(evidence: &Evidence<'_>, findings: &mut Findings) {
    let is_fault = |packet: &&crate::network::Packet| packet.arrives.is_none() || packet.fate.is_fault();
    let faulty = evidence.log.faulty.iter().map(|at| &evidence.packets[*at]);
    let lost = faulty.rev().find(is_fault).map(|packet| packet.at);
    let off = evidence.outages.iter().map(|outage| outage.to.unwrap_or(evidence.run.end));
    let healed = off.chain(lost).max().unwrap_or(Instant::START);
    let mut answered: BTreeMap<(&str, &str), Instant> = BTreeMap::new();
    for (response, _) in evidence.log.responses().filter(|(_, status)| *status >= 200) {
        if let Some(arrived) = response.arrived {
            answered.entry((&response.branch, &response.method)).or_insert(arrived);
        }
    }
    let counts = |request: &&Sip| {
        ["REGISTER", "BYE"].contains(&request.method.as_str())
            && request.to.ip() == evidence.pbx
            && request.at > healed
            && request.at + PATIENCE < evidence.run.end
            && evidence.ran(request.to, request.at, request.at + PATIENCE)
            && request.over.is_none_or(|over| over > request.at + PATIENCE)
            // Who was refused often is not listened to for a while.
            && !evidence.run.unheard.contains(&request.from.ip())
            // Who had the Contact of the PBX damaged does not know where it is.
            && !evidence.log.dialog(request).is_some_and(|dialog| is_astray(evidence, dialog, request))
    };
    for request in evidence.log.requests().filter(counts).filter(|_| evidence.is_whole) {
        let at = answered.get(&(request.branch.as_str(), request.method.as_str()));
        if at.is_none_or(|at| at.since(request.at) > PATIENCE) {
            findings.add(request.at, format!("{} of {} was not", request.method, request.from));
        }
    }
}

fn times_are_of_the_world(evidence: &Evidence<'_>, findings: &mut Findings) {
    let run = evidence.run;
    let end = evidence.log.end + PATIENCE * 4;
    for record in evidence.records {
        for key in ["started_at", "ringing_at", "answered_at", "ended_at"] {
            let value = &record[key];
            if !value.is_null() && run.moment(value).is_none_or(|at| at > end) {
                findings.add(evidence.log.end, format!("a record says {key} {value}"));
            }
        }
    }
    let says = |bytes: &[u8], at: Instant| {
        let said = header(bytes, "date")?;
        let around = [Duration::ZERO, Duration::from_secs(1)].map(|ago| run.clock.http_date(at - ago));
        (!around.contains(&said)).then_some(said)
    };
    // A copy says what it said the first time.
    let mut sent = BTreeSet::new();
    let mut messages: Vec<(SocketAddr, Instant, &[u8])> = Vec::new();
    for message in evidence.log.sent() {
        if sent.insert((message.from, &message.branch, &message.method, message.status)) {
            messages.push((message.from, message.at, &message.bytes));
        }
    }
    let signalling = evidence.log.signalling.iter().map(|at| &evidence.packets[*at]);
    let pages = signalling.filter(|packet| packet.kind == Kind::Data);
    let pages = pages
        .filter(|packet| packet.bytes.starts_with(b"HTTP/"))
        .map(|page| (page.from, page.at, &page.bytes[..]));
    for (from, at, bytes) in messages.into_iter().chain(pages) {
        if let Some(said) = says(bytes, at) {
            findings.blame(from, at, format!("somebody said that it is {said}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};
    use pbx::time::Instant;
    use serde_json::json;

    #[test]
    fn what_is_left_breaks_a24() {
        assert_eq!(broken(&Tale::new().leaves("a port")), ["A24"]);
    }

    #[test]
    fn an_error_breaks_a25() {
        let complaint = (Instant::from_millis(7), "the disk is full".to_owned());
        assert_eq!(broken(&Tale::new().complains(complaint)), ["A25"]);
    }

    #[test]
    fn a_bye_that_is_never_answered_breaks_a27() {
        let tale = Tale::new().request(100, 2, 1, "BYE", "b1", 1).ends(40_000);
        assert_eq!(broken(&tale), ["A27"]);
    }

    #[test]
    fn another_date_breaks_a28() {
        let tale = Tale::new()
            .request(0, 2, 1, "REGISTER", "b1", 1)
            .response(5, 1, 2, 200, "REGISTER", "b1", 1)
            .but("Call-ID", "Date: Fri, 01 Jan 2027 00:00:00 GMT\r\nCall-ID");
        assert_eq!(broken(&tale), ["A28"]);
    }

    #[test]
    fn a_record_of_another_time_breaks_a28() {
        let tale = Tale::new().with_record(json!({ "ended_at": "2027-01-01T00:00:00.000000Z" }));
        assert_eq!(broken(&tale), ["A28"]);
    }
}
