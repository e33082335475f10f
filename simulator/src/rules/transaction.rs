//! What makes a transaction one, and its responses its own (RFC 3261 sections 8 and 17).

use super::log::{Sip, Transaction};
use super::{Evidence, Findings, Rule};
use pbx::sip::Name;
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "T1",
        source: "RFC 3261 sections 17.2.1 and 17.2.2",
        sentence: "a request has one final response",
        find: one_final_response,
    },
    Rule {
        id: "T3",
        source: "RFC 3261 sections 17.2.1 and 17.2.2",
        sentence: "after a final response there is no provisional one",
        find: nothing_provisional_after_the_end,
    },
    Rule {
        id: "T4",
        source: "RFC 3261 section 8.1.1.7",
        sentence: "a branch begins with z9hG4bK and belongs to one request",
        find: branches_are_unique,
    },
    Rule {
        id: "T6",
        source: "RFC 3261 sections 8.2.6.2 and 17.1.3",
        sentence: "a response has Via, From, To, Call-ID and CSeq of a request that waits for it",
        find: responses_are_of_their_requests,
    },
    Rule {
        id: "T7",
        source: "RFC 3261 section 8.2.6.2",
        sentence: "every response but 100 has a tag in To, one for all to a request",
        find: responses_have_tags,
    },
];

fn one_final_response(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, request) in evidence.log.asked() {
        let finals = evidence.log.at(&transaction.responses).filter(|response| response.is_final());
        let mut finals = finals.filter(|response| !evidence.log.is_to_damaged(response));
        let Some(first) = finals.next() else { continue };
        // Who was asked over a stream forgets it with its answer (section 17.2.2), and may be asked again over UDP.
        let forgets = |other: &&Sip| !first.over_udp && other.over_udp;
        for other in finals.filter(|other| other.status != first.status && !forgets(other)) {
            if evidence.ran(other.from, first.at, other.at) {
                let what =
                    format!("{} was answered {} and then {}", request.method, code(first), code(other));
                findings.blame(other.from, other.at, what);
            }
        }
    }
}

fn nothing_provisional_after_the_end(evidence: &Evidence<'_>, findings: &mut Findings) {
    for transaction in &evidence.log.transactions {
        let mut ended: Option<&Sip> = None;
        let told = evidence.log.at(&transaction.responses);
        for response in told.filter(|response| !evidence.log.is_to_damaged(response)) {
            match ended {
                Some(end)
                    if response.is_provisional() && evidence.ran(response.from, end.at, response.at) =>
                {
                    findings.blame(response.from, response.at, format!("{} came after it", response.name()));
                }
                None if response.is_final() => ended = Some(response),
                Some(_) | None => {}
            }
        }
    }
}

fn branches_are_unique(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut seen: BTreeMap<&str, &Sip> = BTreeMap::new();
    for request in evidence.log.requests() {
        if !request.branch.starts_with("z9hG4bK") {
            let what = format!("{} has the branch {:?}", request.method, request.branch);
            findings.blame(request.from, request.at, what);
        }
        // CANCEL, and the ACK to a refusal, are told from their INVITE by the method (sections 9.1 and 17.1.1.3).
        if ["ACK", "CANCEL"].contains(&request.method.as_str()) {
            continue;
        }
        let first = seen.entry(&request.branch).or_insert(request);
        let same = |one: &Sip| (one.call_id.clone(), one.cseq, one.method.clone(), one.from_tag.clone());
        if same(first) != same(request) {
            let what = format!("{} has the branch of {}", request.method, first.method);
            findings.blame(request.from, request.at, what);
        }
    }
}

fn responses_are_of_their_requests(evidence: &Evidence<'_>, findings: &mut Findings) {
    let is_judged = |response: &Sip| !evidence.log.may_copy_noise(response);
    for (response, _) in evidence.log.responses().filter(|(response, _)| is_judged(response)) {
        let what = match evidence.log.transaction(response) {
            Some(transaction) => difference(evidence, transaction, response),
            // Of what cannot be read, what can be made out is answered.
            None if evidence.log.is_to_noise(response) => None,
            None => Some("its branch".to_owned()),
        };
        if let Some(what) = what {
            let what = format!("{} has {what} of its own", response.name());
            findings.blame(response.from, response.at, what);
        }
    }
}

/// What a response has that its request, or what came of it, has not.
fn difference(evidence: &Evidence<'_>, transaction: &Transaction, response: &Sip) -> Option<String> {
    let asked = evidence.log.at(&transaction.requests).chain(evidence.log.at(&transaction.ghosts));
    differs(asked, response)
}

/// Whether a response has something of a damaged copy of its request that the request has not.
pub(super) fn copies_damage(evidence: &Evidence<'_>, response: &Sip) -> bool {
    let asked = evidence.log.transaction(response).map_or(&[][..], |it| &it.requests);
    let differs = || asked.is_empty() || differs(evidence.log.at(asked), response).is_some();
    evidence.log.may_copy_damage(response) && differs()
}

/// What a response has of its own, beside all of these.
fn differs<'a>(asked: impl Iterator<Item = &'a Sip>, response: &Sip) -> Option<String> {
    let mut differences = asked.filter(|asked| asked.is_request()).map(|request| {
        let headers = [(Name::From, "a From"), (Name::CallId, "a Call-ID"), (Name::CSeq, "a CSeq")];
        let other = headers
            .into_iter()
            .find(|(name, _)| request.headers().get(*name) != response.headers().get(*name));
        let untagged =
            |sip: &Sip| sip.headers().get(Name::To).map(|to| to.split(";tag=").next().map(str::to_owned));
        match other {
            Some((_, what)) => Some(what),
            None if vias(request) != vias(response) => Some("a Via"),
            None if untagged(request) != untagged(response) => Some("a To"),
            None if !request.to_tag.is_empty() && request.to_tag != response.to_tag => Some("a tag in To"),
            None => None,
        }
    });
    let first = differences.next()?;
    if differences.any(|difference| difference.is_none()) { None } else { first.map(str::to_owned) }
}

/// Via, without what the server adds to the first.
fn vias(sip: &Sip) -> Vec<String> {
    let added =
        |param: &&str| !["received", "rport"].contains(&param.split('=').next().unwrap_or_default().trim());
    let without = |via: &str| via.split(';').filter(added).map(str::trim).collect::<Vec<_>>().join(";");
    sip.list(Name::Via).into_iter().map(without).collect()
}

fn responses_have_tags(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut first: BTreeMap<usize, &Sip> = BTreeMap::new();
    for (response, _) in evidence.log.responses().filter(|(_, status)| *status > 100) {
        // Where a tag would belong to in what came damaged, nobody can tell.
        if response.to_tag.is_empty() && evidence.log.is_to_damaged(response) {
            continue;
        }
        if response.to_tag.is_empty() {
            findings.blame(response.from, response.at, format!("{} has none", response.name()));
            continue;
        }
        let Some(transaction) = response.transaction else { continue };
        if evidence.log.is_to_damaged(response) {
            continue;
        }
        let first = first.entry(transaction).or_insert(response);
        if first.to_tag != response.to_tag && evidence.ran(response.from, first.at, response.at) {
            let what = format!("{} has another than {}", response.name(), first.name());
            findings.blame(response.from, response.at, what);
        }
    }
}

fn code(response: &Sip) -> u16 {
    response.status.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_second_final_response_breaks_t1() {
        assert!(!breaks("T1", &refused()));
        assert!(breaks("T1", &refused().response(9, 1, 2, 480, "INVITE", "b1", 1)));
    }

    #[test]
    fn ringing_after_the_answer_breaks_t3() {
        assert!(!breaks("T3", &refused()));
        assert!(breaks("T3", &refused().response(9, 1, 2, 180, "INVITE", "b1", 1)));
    }

    #[test]
    fn a_branch_used_twice_breaks_t4() {
        let tale = Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1);
        assert!(!breaks("T4", &tale));
        assert!(breaks("T4", &tale.request(9, 3, 1, "OPTIONS", "b1", 2)));
    }

    #[test]
    fn a_response_with_another_from_breaks_t6() {
        assert!(!breaks("T6", &refused()));
        assert!(breaks("T6", &refused().but("From: <sip:a@x>", "From: <sip:z@x>")));
        assert!(breaks("T6", &refused().response(7, 1, 2, 486, "INVITE", "b7", 1)));
    }

    #[test]
    fn a_response_without_a_tag_breaks_t7() {
        assert!(!breaks("T7", &refused()));
        assert!(breaks("T7", &refused().without_tag()));
        let rang = Tale::new().request(0, 2, 1, "INVITE", "b1", 1).response(3, 1, 2, 180, "INVITE", "b1", 1);
        assert!(breaks("T7", &rang.but(";tag=b", ";tag=c").response(5, 1, 2, 486, "INVITE", "b1", 1)));
    }

    fn refused() -> Tale {
        Tale::new().request(0, 2, 1, "INVITE", "b1", 1).response(5, 1, 2, 486, "INVITE", "b1", 1)
    }
}
