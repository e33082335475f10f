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

fn cseq_counts(evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    let mut last: BTreeMap<_, &Sip> = BTreeMap::new();
    for (_, request) in evidence.log.asked().filter(|(_, request)| request.method != "CANCEL") {
        match last.insert((&request.call_id, &request.from_tag), request) {
            // The same request, sent to another place.
            Some(before) if before.cseq == request.cseq && before.method == request.method => {}
            Some(before) if before.cseq + 1 != request.cseq => {
                let what = format!("{} has {} after {}", request.method, request.cseq, before.cseq);
                findings.blame(request.from, request.at, what);
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_number_that_is_left_out_breaks_d1() {
        let tale = Tale::new().request(0, 2, 1, "INVITE", "b1", 1).request(9_000, 2, 1, "BYE", "b2", 3);
        assert!(breaks("D1", &tale));
    }

    #[test]
    fn a_copy_of_an_older_request_breaks_nothing() {
        let tale = Tale::new()
            .request(0, 2, 1, "INFO", "b1", 1)
            .request(400, 2, 1, "BYE", "b2", 2)
            .request(500, 2, 1, "INFO", "b1", 1)
            .request(900, 2, 1, "BYE", "b2", 2);
        assert!(!breaks("D1", &tale));
    }
}
