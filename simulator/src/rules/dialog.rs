//! Numbers within a dialog (RFC 3261 section 12).

use super::log::Sip;
use super::{Evidence, Findings, Rule};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "D1",
    source: "RFC 3261 sections 12.2.1.1 and 22.2",
    sentence: "each new request of one side in a dialog has the next CSeq",
    find: cseq_counts,
}];

fn cseq_counts(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut last: BTreeMap<_, &Sip> = BTreeMap::new();
    let counts = |request: &&Sip| !["ACK", "CANCEL"].contains(&request.method.as_str());
    for request in evidence.log.requests().filter(counts) {
        let key = (request.from.ip(), &request.call_id, &request.from_tag);
        match last.insert(key, request) {
            // A copy, or the same request sent to another place.
            Some(before) if before.cseq == request.cseq && before.method == request.method => {}
            Some(before) if before.cseq + 1 != request.cseq => {
                // A copy of an older one: the timers of two requests run beside each other.
                let is_copy = evidence.log.requests().any(|other| {
                    other.at < request.at && other.branch == request.branch && other.from == request.from
                });
                if !is_copy {
                    let (method, number) = (&request.method, request.cseq);
                    findings.add(request.at, format!("{method} has {number} after {}", before.cseq));
                } else {
                    last.insert((request.from.ip(), &request.call_id, &request.from_tag), before);
                }
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};

    #[test]
    fn a_number_that_is_left_out_breaks_d1() {
        let tale = Tale::new().request(0, 2, 1, "INVITE", "b1", 1).request(9_000, 2, 1, "BYE", "b2", 3);
        assert_eq!(broken(&tale), ["D1"]);
    }

    #[test]
    fn a_copy_of_an_older_request_breaks_nothing() {
        let tale = Tale::new()
            .request(0, 2, 1, "INFO", "b1", 1)
            .request(400, 2, 1, "BYE", "b2", 2)
            .request(500, 2, 1, "INFO", "b1", 1)
            .request(900, 2, 1, "BYE", "b2", 2);
        assert_eq!(broken(&tale), [""; 0]);
    }
}
