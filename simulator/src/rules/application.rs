//! What the PBX writes down.

use super::{Evidence, Findings, Rule};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "A1",
    source: "a promise of the PBX",
    sentence: "a call has one call record",
    find: one_record_a_call,
}];

fn one_record_a_call(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut records: BTreeMap<&str, usize> = BTreeMap::new();
    for record in evidence.records {
        *records.entry(record["sip_call_id"].as_str().unwrap_or_default()).or_default() += 1;
    }
    let end = evidence.log.end;
    for (call_id, count) in &records {
        if *count > 1 {
            findings.add(end, format!("the call {call_id} has {count}"));
        }
    }
    // A PBX that lost its power may have lost what it was about to write.
    let answered = evidence.log.responses().filter(|(response, status)| {
        evidence.is_whole
            && response.from.ip() == evidence.pbx
            && response.method == "INVITE"
            && *status == 200
    });
    for (response, _) in answered {
        // A call the PBX made itself, and a change of a running call, were not begun by this INVITE.
        let transaction = evidence.log.transaction(response);
        let first = transaction.and_then(|transaction| evidence.log.at(&transaction.requests).next());
        let begins = first.is_some_and(|request| request.to_tag.is_empty());
        if begins && !records.contains_key(response.call_id.as_str()) {
            findings.add(response.at, format!("the call {} was answered and has none", response.call_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};

    #[test]
    fn an_answered_call_without_a_record_breaks_a1() {
        assert_eq!(broken(&answered_call()), ["A1"]);
    }

    #[test]
    fn two_records_of_one_call_break_a1() {
        assert_eq!(broken(&answered_call().recorded().recorded()), ["A1"]);
    }

    #[test]
    fn a_record_for_a_call_breaks_nothing() {
        assert_eq!(broken(&answered_call().recorded()), [""; 0]);
    }

    fn answered_call() -> Tale {
        Tale::new().request(0, 2, 1, "INVITE", "b1", 1).response(5, 1, 2, 200, "INVITE", "b1", 1).unrecorded()
    }
}
