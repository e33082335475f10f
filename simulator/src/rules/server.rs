//! What a server owes (RFC 3261 section 8.2, RFC 4320).

use super::acknowledgement::AT_ONCE;
use super::log::Sip;
use super::repeat::{PATIENCE, SLACK};
use super::{Evidence, Findings, Rule};
use pbx::sip::Name;
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "T2",
        source: "RFC 3261 sections 8.1.3.1 and 17.1",
        sentence: "a request that comes has a final response before everything is over",
        find: requests_end,
    },
    Rule {
        id: "T19",
        source: "RFC 4320 sections 4.1 and 4.2",
        sentence: "a request other than INVITE is never answered 408, nor provisionally but by 100, over UDP not before 3.5 s",
        find: others_are_answered_at_once,
    },
    Rule {
        id: "T20",
        source: "RFC 3261 section 17.2.1",
        sentence: "an INVITE is answered something within 200 ms",
        find: invites_are_answered_soon,
    },
    Rule {
        id: "T21",
        source: "RFC 3261 section 16.7",
        sentence: "100 is said once and first, never passed on",
        find: trying_is_said_first,
    },
    Rule {
        id: "T23",
        source: "RFC 3261 section 8.2.2.2",
        sentence: "a request that comes once more under another branch is answered 482",
        find: merged_requests_are_refused,
    },
    Rule {
        id: "T28",
        source: "RFC 3261 sections 8.2.1 to 8.2.3",
        sentence: "who refuses a method, an extension or a body says what is taken, and unknown ones are refused",
        find: refusals_say_what_is_taken,
    },
    Rule {
        id: "T29",
        source: "RFC 4475 section 3",
        sentence: "what cannot be read begins no dialog",
        find: noise_begins_nothing,
    },
];

/// RFC 4320 section 4.1: before timer E has come to T2 there is no 100.
const NO_TRYING: Duration = Duration::from_millis(3_500);

const TRYING_WITHIN: Duration = Duration::from_millis(200);

const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "UPDATE",
    "INFO",
    "MESSAGE",
    "REFER",
    "NOTIFY",
    "SUBSCRIBE",
    "PUBLISH",
];

fn requests_end(evidence: &Evidence<'_>, findings: &mut Findings) {
    let speaking: BTreeSet<IpAddr> = evidence.log.sent().map(|message| message.from.ip()).collect();
    for (transaction, request) in evidence.log.asked() {
        let Some(arrived) = evidence.log.at(&transaction.requests).flat_map(Sip::arrivals).min() else {
            continue;
        };
        let is_over =
            arrived + PATIENCE <= evidence.run.end && evidence.ran(request.to, arrived, evidence.run.end);
        let ends = evidence.log.at(&transaction.responses).any(Sip::is_final);
        // Who works on it and is not done when the client gives up says nothing (RFC 4320 section 4.2).
        let works = evidence.log.at(&transaction.responses).any(Sip::is_provisional);
        let ends = ends || works && request.method != "INVITE";
        // Whoever never says anything is dead, or no SIP agent at all.
        if !evidence.is_pbx(request.to) && !speaking.contains(&request.to.ip()) {
            continue;
        }
        // On a connection that breaks the answer breaks off, too.
        let breaks = request.over.is_some_and(|over| over < arrived + PATIENCE);
        if is_over
            && !ends
            && !breaks
            && !evidence.log.was_taken_damaged(transaction)
            && !evidence.is_unheard(request)
        {
            findings.blame(request.to, arrived, format!("{} had none", request.name()));
        }
    }
}

fn others_are_answered_at_once(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (response, status) in evidence.log.responses().filter(|(response, _)| response.method != "INVITE") {
        let asked = evidence.log.transaction(response).and_then(|it| evidence.log.at(&it.requests).next());
        let is_early = asked.is_some_and(|asked| response.at < asked.at + NO_TRYING) && response.over_udp;
        let what = match status {
            408 => "was answered 408".to_owned(),
            100 if !is_early => continue,
            100 => "was answered 100 too soon".to_owned(),
            101..200 => format!("was answered {status}"),
            _ => continue,
        };
        findings.blame(response.from, response.at, format!("{} {what}", response.method));
    }
}

fn invites_are_answered_soon(evidence: &Evidence<'_>, findings: &mut Findings) {
    let speaking: BTreeSet<IpAddr> = evidence.log.sent().map(|message| message.from.ip()).collect();
    for (transaction, request) in evidence.log.transactions_of("INVITE") {
        let Some(arrived) = evidence.log.at(&transaction.requests).flat_map(Sip::arrivals).min() else {
            continue;
        };
        let by = arrived + TRYING_WITHIN + SLACK;
        let is_heard = evidence.log.at(&transaction.responses).any(|response| response.at <= by);
        let breaks = request.over.is_some_and(|over| over <= by);
        if !is_heard
            && !breaks
            && by < evidence.run.end
            && evidence.ran(request.to, arrived, by)
            && !evidence.log.was_taken_damaged(transaction)
            && !evidence.is_unheard(request)
            && (evidence.is_pbx(request.to) || speaking.contains(&request.to.ip()))
        {
            findings.blame(request.to, arrived, "the INVITE that came then was not");
        }
    }
}

fn trying_is_said_first(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, _) in evidence.log.transactions_of("INVITE") {
        let asked: Vec<Instant> = evidence.log.at(&transaction.requests).flat_map(Sip::perhaps).collect();
        let is_asked_for =
            |response: &Sip| asked.iter().any(|at| (*at..*at + AT_ONCE).contains(&response.at));
        let mut first: Option<&Sip> = None;
        // To a damaged copy something else was said, and the request came after that.
        let told = evidence.log.at(&transaction.responses);
        for response in told.filter(|response| !evidence.log.is_to_damaged(response)) {
            let before = *first.get_or_insert(response);
            let is_late = before.status != Some(100) || !is_asked_for(response);
            let is_another = !std::ptr::eq(before, response) && response.status == Some(100);
            if is_another && is_late && evidence.ran(response.from, before.at, response.at) {
                findings.blame(response.from, response.at, format!("it came after {}", before.name()));
            }
        }
    }
}

fn merged_requests_are_refused(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut first: BTreeMap<_, (usize, Instant)> = BTreeMap::new();
    for (at, transaction) in evidence.log.transactions.iter().enumerate() {
        let Some(request) = evidence.log.at(&transaction.requests).next() else { continue };
        if !request.to_tag.is_empty() || request.method == "CANCEL" {
            continue;
        }
        let Some(arrived) = evidence.log.at(&transaction.requests).flat_map(Sip::arrivals).min() else {
            continue;
        };
        let key = (request.to.ip(), &request.call_id, &request.from_tag, request.cseq, &request.method);
        let (first_at, since) = *first.entry(key).or_insert((at, arrived));
        // The earlier one may be forgotten 64 * T1 after it ended.
        let end = evidence
            .log
            .at(&evidence.log.transactions[first_at].responses)
            .find(|response| response.is_final());
        let is_known =
            end.is_none_or(|end| arrived < end.at + PATIENCE) && evidence.ran(request.to, since, arrived);
        let answer = evidence.log.at(&transaction.responses).find(|response| response.is_final());
        let is_refused = answer.is_none_or(|answer| matches!(answer.status, Some(482 | 503)));
        if first_at != at && arrived > since && is_known && !is_refused {
            let name = answer.map(Sip::name).unwrap_or_default();
            findings.blame(request.to, arrived, format!("it got {name}"));
        }
    }
}

fn refusals_say_what_is_taken(evidence: &Evidence<'_>, findings: &mut Findings) {
    let supported = supported(evidence);
    for (response, status) in evidence.log.responses() {
        let says = |names: &[Name]| names.iter().any(|name| response.headers().has(*name));
        let lacks = match status {
            405 if !says(&[Name::Allow]) => Some("Allow"),
            420 if !says(&[Name::Unsupported]) => Some("Unsupported"),
            415 if !says(&[Name::Accept, Name::AcceptEncoding]) => Some("Accept"),
            _ => None,
        };
        if let Some(lacks) = lacks {
            findings.blame(response.from, response.at, format!("{} has no {lacks}", response.name()));
        }
        let asked = evidence.log.transaction(response).and_then(|it| evidence.log.at(&it.requests).next());
        let Some(request) = asked.filter(|_| (200..300).contains(&status)) else { continue };
        if !METHODS.contains(&request.method.as_str()) {
            findings.blame(response.from, response.at, format!("{} was taken", request.method));
        }
        // Not every agent says what it supports; the PBX does.
        let known = supported.get(&response.from.ip());
        if !evidence.is_pbx(response.from) && known.is_none_or(BTreeSet::is_empty) {
            continue;
        }
        let is_strange =
            |option: &&&str| !known.is_some_and(|known| known.contains(&option.to_ascii_lowercase()));
        if let Some(option) = request.list(Name::Require).iter().find(is_strange) {
            let what = format!("{} that requires {option} was taken", request.name());
            findings.blame(response.from, response.at, what);
        }
    }
}

/// What each host says that it supports, in any message.
fn supported(evidence: &Evidence<'_>) -> BTreeMap<IpAddr, BTreeSet<String>> {
    let mut supported: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
    for message in evidence.log.sent() {
        let options = message.list(Name::Supported).into_iter().map(str::to_ascii_lowercase);
        supported.entry(message.from.ip()).or_default().extend(options);
    }
    supported
}

fn noise_begins_nothing(evidence: &Evidence<'_>, findings: &mut Findings) {
    let begins = |response: &Sip| {
        ["INVITE", "SUBSCRIBE"].contains(&response.method.as_str())
            && response.status.is_some_and(|status| (101..300).contains(&status))
    };
    for (response, status) in evidence.log.responses().filter(|(response, _)| begins(response)) {
        let asked = evidence.log.transaction(response).and_then(|it| evidence.log.at(&it.requests).next());
        let came =
            evidence.log.transaction(response).is_some_and(|transaction| !transaction.ghosts.is_empty());
        let is_noise = match asked {
            Some(request) => request.call_id.is_empty() || request.from_tag.is_empty(),
            // What came damaged may have been a good request for its receiver.
            None => !came && evidence.log.is_noisy(response.to),
        };
        if is_noise {
            findings.blame(response.from, response.at, format!("it was answered {status}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_request_that_nobody_answers_breaks_t2() {
        let asked = Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1);
        assert!(breaks("T2", &asked.clone().ends(40_000)));
        assert!(!breaks("T2", &asked.clone().lost().ends(40_000)));
        assert!(!breaks("T2", &asked.response(5, 1, 2, 200, "OPTIONS", "b1", 1).ends(40_000)));
    }

    #[test]
    fn a_bye_that_is_answered_408_breaks_t19() {
        let asked = || Tale::new().request(0, 2, 1, "BYE", "b1", 1);
        assert!(breaks("T19", &asked().response(5, 1, 2, 408, "BYE", "b1", 1)));
        assert!(breaks("T19", &asked().response(5, 1, 2, 100, "BYE", "b1", 1)));
        assert!(!breaks("T19", &asked().response(3_600, 1, 2, 100, "BYE", "b1", 1)));
    }

    #[test]
    fn an_invite_that_waits_for_its_first_answer_breaks_t20() {
        let asked = || Tale::new().request(0, 2, 1, "INVITE", "b1", 1);
        assert!(breaks("T20", &asked().response(300, 1, 2, 180, "INVITE", "b1", 1)));
        assert!(!breaks("T20", &asked().response(200, 1, 2, 100, "INVITE", "b1", 1).ends(1_000)));
    }

    #[test]
    fn a_100_that_is_passed_on_breaks_t21() {
        let tried = Tale::new().request(0, 2, 1, "INVITE", "b1", 1).response(1, 1, 2, 100, "INVITE", "b1", 1);
        assert!(!breaks("T21", &tried.clone()));
        assert!(breaks("T21", &tried.response(50, 1, 2, 100, "INVITE", "b1", 1)));
    }

    #[test]
    fn a_request_by_two_ways_breaks_t23() {
        let both = || Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1).request(1, 2, 1, "OPTIONS", "b2", 1);
        assert!(breaks("T23", &both().response(5, 1, 2, 200, "OPTIONS", "b2", 1)));
        assert!(!breaks("T23", &both().response(5, 1, 2, 482, "OPTIONS", "b2", 1)));
    }

    #[test]
    fn an_extension_that_nobody_knows_breaks_t28() {
        let asked = || Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1).with("Require: telepathy");
        assert!(breaks("T28", &asked().response(5, 1, 2, 200, "OPTIONS", "b1", 1)));
        assert!(breaks("T28", &asked().response(5, 1, 2, 420, "OPTIONS", "b1", 1)));
        let refused = asked().response(5, 1, 2, 420, "OPTIONS", "b1", 1).with("Unsupported: telepathy");
        assert!(!breaks("T28", &refused));
    }

    #[test]
    fn noise_that_is_answered_breaks_t29() {
        let noise =
            || Tale::new().request(0, 2, 1, "INVITE", "b1", 1).but("CSeq: 1 INVITE", "CSeq: one INVITE");
        assert!(breaks("T29", &noise().response(5, 1, 2, 200, "INVITE", "b1", 1)));
        assert!(!breaks("T29", &noise().response(5, 1, 2, 400, "INVITE", "b1", 1)));
    }
}
