//! What a response means for the one who sent it and the one who gets it (RFC 3261 sections 8, 9, 13 and 17).

use super::log::Sip;
use super::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "T3",
        source: "RFC 3261 sections 17.2.1 and 17.2.2",
        sentence: "after a final response there is no provisional one",
        find: nothing_provisional_after_the_end,
    },
    Rule {
        id: "T7",
        source: "RFC 3261 section 8.2.6.2",
        sentence: "every response but 100 has a tag in To",
        find: responses_have_tags,
    },
    Rule {
        id: "T14",
        source: "RFC 3261 section 13.2.2.4",
        sentence: "each copy of a 2xx to INVITE that comes is acknowledged",
        find: copies_are_acknowledged,
    },
    Rule {
        id: "T16",
        source: "RFC 3261 section 9.1",
        sentence: "an INVITE is cancelled only after a provisional response has come",
        find: cancels_wait,
    },
];

/// Who is asked answers within this, when nobody else has to be asked.
const AT_ONCE: Duration = Duration::from_millis(5);

fn nothing_provisional_after_the_end(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut ended = BTreeSet::new();
    for (response, status) in evidence.log.responses() {
        let key = (response.from, &response.branch, &response.method);
        if status >= 200 {
            ended.insert(key);
        } else if ended.contains(&key) {
            findings.add(response.at, format!("{} came after it", response.name()));
        }
    }
}

fn responses_have_tags(evidence: &Evidence<'_>, findings: &mut Findings) {
    let lacks = |(response, status): &(&Sip, u16)| *status > 100 && response.to_tag.is_empty();
    for (response, _) in evidence.log.responses().filter(lacks) {
        findings.add(response.at, format!("{} has none", response.name()));
    }
}

fn copies_are_acknowledged(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut acks: BTreeMap<_, Vec<Instant>> = BTreeMap::new();
    for ack in evidence.log.requests().filter(|request| request.method == "ACK") {
        acks.entry((ack.from.ip(), &ack.call_id, ack.cseq)).or_default().push(ack.at);
    }
    for (answer, status) in evidence.log.responses() {
        let is_answer = answer.method == "INVITE" && (200..300).contains(&status) && answer.over_udp;
        let Some(arrived) = answer.arrived.filter(|_| is_answer) else { continue };
        let Some(acks) = acks.get(&(answer.to.ip(), &answer.call_id, answer.cseq)) else {
            continue;
        };
        // The first ACK may wait for the answer of somebody else.
        let is_copy = acks[0] < arrived;
        let is_alive = evidence
            .log
            .messages
            .iter()
            .any(|message| message.from.ip() == answer.to.ip() && message.at > arrived + AT_ONCE);
        if is_copy && is_alive && !acks.iter().any(|at| (arrived..arrived + AT_ONCE).contains(at)) {
            findings.add(arrived, format!("{} that came then was not", answer.name()));
        }
    }
}

fn cancels_wait(evidence: &Evidence<'_>, findings: &mut Findings) {
    for cancel in evidence.log.requests().filter(|request| request.method == "CANCEL") {
        let rang = evidence.log.responses().any(|(response, status)| {
            status < 200
                && (response.to, &response.branch) == (cancel.from, &cancel.branch)
                && response.method == "INVITE"
                && response.arrived.is_some_and(|arrived| arrived <= cancel.at)
        });
        if !rang {
            findings.add(cancel.at, "none had come");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};

    #[test]
    fn ringing_after_the_answer_breaks_t3() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .response(5, 1, 2, 486, "INVITE", "b1", 1)
            .response(9, 1, 2, 180, "INVITE", "b1", 1);
        assert_eq!(broken(&tale), ["T3"]);
    }

    #[test]
    fn a_response_without_a_tag_breaks_t7() {
        let tale = Tale::new()
            .request(0, 2, 1, "OPTIONS", "b1", 1)
            .response(5, 1, 2, 200, "OPTIONS", "b1", 1)
            .without_tag();
        assert_eq!(broken(&tale), ["T7"]);
    }

    #[test]
    fn a_copy_that_is_not_acknowledged_breaks_t14() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .request(6, 2, 1, "ACK", "b2", 1)
            .lost()
            .response(505, 1, 2, 200, "INVITE", "b1", 1)
            .request(900, 2, 1, "BYE", "b3", 2);
        assert_eq!(broken(&tale), ["T14"]);
    }

    #[test]
    fn a_cancel_before_anything_came_breaks_t16() {
        let tale = Tale::new().request(0, 2, 1, "INVITE", "b1", 1).request(5, 2, 1, "CANCEL", "b1", 1);
        assert_eq!(broken(&tale), ["T16"]);
    }
}
