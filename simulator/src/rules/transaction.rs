//! Requests, responses, and when they are repeated (RFC 3261 section 17).

use super::log::{Log, Sip};
use super::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "T1",
        source: "RFC 3261 sections 17.2.1 and 17.2.2",
        sentence: "a request has one final response",
        find: one_final_response,
    },
    Rule {
        id: "T4",
        source: "RFC 3261 section 8.1.1.7",
        sentence: "a branch begins with z9hG4bK and belongs to one request",
        find: branches_are_unique,
    },
    Rule {
        id: "T8",
        source: "RFC 3261 section 17.1.1.2",
        sentence: "an INVITE over UDP is repeated after T1, 2 T1, 4 T1, ..., at most 7 times sent, until anything comes",
        find: invites_are_repeated,
    },
    Rule {
        id: "T9",
        source: "RFC 3261 section 17.1.2.2",
        sentence: "a request other than INVITE over UDP is repeated at doubling intervals up to T2 until a final response comes",
        find: requests_are_repeated,
    },
    Rule {
        id: "T12",
        source: "RFC 3261 section 13.3.1.4",
        sentence: "a 2xx to INVITE is repeated at doubling intervals up to T2 until its ACK comes",
        find: answers_are_repeated,
    },
    Rule {
        id: "T13",
        source: "RFC 3261 sections 17.1.1.2 and 17.2.1",
        sentence: "what is repeated is the same, byte for byte",
        find: copies_are_alike,
    },
];

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// Timers go off at the next whole millisecond, and who is asked meanwhile answers first.
const SLACK: Duration = Duration::from_millis(3);

fn one_final_response(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut finals: BTreeMap<_, (u16, &Sip)> = BTreeMap::new();
    for (response, status) in evidence.log.responses().filter(|(_, status)| *status >= 200) {
        let key = (response.from, &response.branch, &response.method, response.cseq, &response.to_tag);
        let (first, _) = finals.entry(key).or_insert((status, response));
        if *first != status {
            findings.add(response.at, format!("{} was answered {first} and then {status}", response.method));
        }
    }
}

fn branches_are_unique(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut seen: BTreeMap<&str, &Sip> = BTreeMap::new();
    for request in evidence.log.requests() {
        if !request.branch.starts_with("z9hG4bK") {
            findings.add(request.at, format!("{} has the branch {:?}", request.method, request.branch));
        }
        // CANCEL, and the ACK to a refusal, are told from their INVITE by the method (sections 9.1 and 17.1.1.3).
        if ["ACK", "CANCEL"].contains(&request.method.as_str()) {
            continue;
        }
        let first = seen.entry(&request.branch).or_insert(request);
        let is_same = (first.from.ip(), &first.call_id, first.cseq, &first.method)
            == (request.from.ip(), &request.call_id, request.cseq, &request.method);
        if !is_same {
            findings.add(request.at, format!("{} has the branch of {}", request.method, first.method));
        }
    }
}

fn invites_are_repeated(evidence: &Evidence<'_>, findings: &mut Findings) {
    for sends in sends(&evidence.log, |request| request.method == "INVITE") {
        let heard = first_response(&evidence.log, sends[0], |_| true);
        check_gaps(&sends, Duration::MAX, findings);
        check_end(&sends, 7, heard, findings);
    }
}

fn requests_are_repeated(evidence: &Evidence<'_>, findings: &mut Findings) {
    for sends in sends(&evidence.log, |request| !["INVITE", "ACK"].contains(&request.method.as_str())) {
        let heard = first_response(&evidence.log, sends[0], |status| status >= 200);
        check_gaps(&sends, T2, findings);
        check_end(&sends, 11, heard, findings);
    }
}

fn answers_are_repeated(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut answers: BTreeMap<_, Vec<&Sip>> = BTreeMap::new();
    let is_answer = |sip: &Sip, status| sip.method == "INVITE" && (200..300).contains(&status);
    for (answer, _) in evidence.log.responses().filter(|(sip, status)| is_answer(sip, *status)) {
        answers.entry((answer.from, &answer.call_id, answer.cseq, &answer.to_tag)).or_default().push(answer);
    }
    for ((from, call_id, cseq, _), sends) in answers {
        let acks = evidence.log.requests().filter(|request| {
            request.method == "ACK" && (request.to, &request.call_id, request.cseq) == (from, call_id, cseq)
        });
        check_gaps(&sends, T2, findings);
        check_end(&sends, 11, acks.filter_map(|ack| ack.arrived).min(), findings);
    }
}

fn copies_are_alike(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut first: BTreeMap<_, &Sip> = BTreeMap::new();
    for message in &evidence.log.messages {
        // Provisional responses of one status may say different things; ACKs to a 2xx are told apart by their branch.
        if message.status.is_some_and(|status| status < 200) {
            continue;
        }
        let key = (message.from, message.status, &message.branch, &message.method, &message.to_tag);
        let first = first.entry(key).or_insert(message);
        if first.bytes != message.bytes {
            findings.add(message.at, format!("{} was sent again in other words", message.name()));
        }
    }
}

/// The requests over UDP that `are` it, each with its copies.
fn sends(log: &Log, are: impl Fn(&Sip) -> bool) -> Vec<Vec<&Sip>> {
    let mut sends: BTreeMap<_, Vec<&Sip>> = BTreeMap::new();
    for request in log.requests().filter(|request| request.over_udp && are(request)) {
        sends.entry((request.from, &request.branch, &request.method)).or_default().push(request);
    }
    sends.into_values().collect()
}

/// When the sender first had such a response.
fn first_response(log: &Log, request: &Sip, counts: impl Fn(u16) -> bool) -> Option<Instant> {
    let answers = |response: &Sip| {
        (response.to, &response.branch, &response.method) == (request.from, &request.branch, &request.method)
    };
    let responses = log.responses().filter(|(response, status)| answers(response) && counts(*status));
    responses.filter_map(|(response, _)| response.arrived).min()
}

fn check_gaps(sends: &[&Sip], longest: Duration, findings: &mut Findings) {
    let mut expected = T1;
    for pair in sends.windows(2) {
        let gap = pair[1].at.since(pair[0].at);
        let fits = |expected: Duration| (expected..expected + SLACK).contains(&gap);
        // After a provisional response the longest interval may come early.
        if !fits(expected) && !fits(longest.min(T2)) {
            let name = pair[1].name();
            findings.add(pair[1].at, format!("{name} was repeated after {gap:?} and not {expected:?}"));
        }
        expected = (expected * 2).min(longest);
    }
}

fn check_end(sends: &[&Sip], most: usize, heard: Option<Instant>, findings: &mut Findings) {
    if let Some(send) = sends.get(most) {
        findings.add(send.at, format!("{} was sent {} times", send.name(), sends.len()));
    }
    let late = |send: &&&Sip| heard.is_some_and(|heard| send.at > heard + SLACK);
    if let Some(send) = sends.iter().skip(1).find(late) {
        findings.add(send.at, format!("{} was repeated although that had come", send.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};

    #[test]
    fn a_second_final_response_breaks_t1() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .response(5, 1, 2, 486, "INVITE", "b1", 1)
            .response(9, 1, 2, 480, "INVITE", "b1", 1);
        assert_eq!(broken(&tale), ["T1"]);
    }

    #[test]
    fn a_branch_used_twice_breaks_t4() {
        let tale = Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1).request(9, 3, 1, "OPTIONS", "b1", 1);
        assert_eq!(broken(&tale), ["T4"]);
    }

    #[test]
    fn an_invite_that_is_repeated_too_soon_breaks_t8() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .request(500, 2, 1, "INVITE", "b1", 1)
            .request(1_000, 2, 1, "INVITE", "b1", 1);
        assert_eq!(broken(&tale), ["T8"]);
    }

    #[test]
    fn an_invite_that_is_repeated_although_it_rings_breaks_t8() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .response(100, 1, 2, 180, "INVITE", "b1", 1)
            .request(500, 2, 1, "INVITE", "b1", 1);
        assert_eq!(broken(&tale), ["T8"]);
    }

    #[test]
    fn a_bye_that_is_repeated_after_its_answer_breaks_t9() {
        let tale = Tale::new()
            .request(0, 2, 1, "BYE", "b1", 1)
            .response(100, 1, 2, 200, "BYE", "b1", 1)
            .request(500, 2, 1, "BYE", "b1", 1);
        assert_eq!(broken(&tale), ["T9"]);
    }

    #[test]
    fn an_answer_that_is_repeated_after_its_ack_breaks_t12() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .response(100, 1, 2, 200, "INVITE", "b1", 1)
            .request(200, 2, 1, "ACK", "b2", 1)
            .response(600, 1, 2, 200, "INVITE", "b1", 1);
        assert_eq!(broken(&tale), ["T12"]);
    }

    #[test]
    fn a_copy_with_another_body_breaks_t13() {
        let tale = Tale::new()
            .request(0, 2, 1, "MESSAGE", "b1", 1)
            .describes("hello")
            .request(500, 2, 1, "MESSAGE", "b1", 1)
            .describes("hallo");
        assert_eq!(broken(&tale), ["T13"]);
    }

    #[test]
    fn what_the_timers_want_breaks_nothing() {
        let mut tale = Tale::new();
        for at in [0, 500, 1_500, 3_500, 7_500, 11_500] {
            tale = tale.request(at, 2, 1, "REGISTER", "b1", 1);
        }
        assert_eq!(broken(&tale), [""; 0]);
    }
}
