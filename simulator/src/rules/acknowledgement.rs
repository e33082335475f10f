//! ACK (RFC 3261 sections 13.2.2.4 and 17.1.1.3).

use super::application::LEAVES;
use super::log::{Sip, Transaction};
use super::repeat::PATIENCE;
use super::{Evidence, Findings, Rule};
use pbx::sip::Name;
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "T5",
        source: "RFC 3261 sections 9.1, 13.2.2.4 and 17.1.1.3",
        sentence: "CANCEL and the ACK to a refusal are of their INVITE in branch, Call-ID, From, Request-URI and CSeq number, and the ACK to a 2xx has a branch of its own",
        find: they_are_of_their_invite,
    },
    Rule {
        id: "T14",
        source: "RFC 3261 sections 13.2.2.4 and 17.1.1.2",
        sentence: "each copy of a final response to INVITE that comes is acknowledged",
        find: finals_are_acknowledged,
    },
    Rule {
        id: "T15",
        source: "RFC 3261 sections 13.2.2.4 and 17.1.1.3",
        sentence: "an ACK has the CSeq number of an INVITE, and nobody answers it",
        find: acks_are_of_invites,
    },
];

/// Who is asked answers within this, when nobody else has to be asked.
pub(super) const AT_ONCE: Duration = Duration::from_millis(5);

fn they_are_of_their_invite(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, invite) in evidence.log.transactions_of("INVITE") {
        let is_answered = |response: &Sip| response.answers("INVITE", |status| (200..300).contains(&status));
        let answered = evidence.log.at(&transaction.responses).find(|response| is_answered(response));
        let cancel = transaction.cancelled_by.map(|at| &evidence.log.transactions[at]);
        let cancels = cancel.into_iter().flat_map(|cancel| evidence.log.at(&cancel.requests));
        for request in evidence.log.at(&transaction.acks).chain(cancels) {
            if let Some(what) = difference(invite, request) {
                findings.blame(request.from, request.at, format!("{} has {what}", request.name()));
            }
        }
        // Within a dialog a refusal has the same tag, and one of a server that was off in between may follow a 2xx.
        let has_come = |response: &Sip, by: Instant| response.arrivals().any(|arrived| arrived <= by);
        let mut refusals =
            evidence.log.at(&transaction.responses).filter(|it| it.answers("INVITE", |s| s >= 300));
        let is_of_2xx = |ack: &&Sip| {
            answered.is_some_and(|it| it.to_tag == ack.to_tag && has_come(it, ack.at))
                && !refusals.any(|refusal| has_come(refusal, ack.at))
        };
        if let Some(ack) = evidence.log.at(&transaction.acks).find(is_of_2xx) {
            findings.blame(ack.from, ack.at, "the ACK to a 2xx has that of its INVITE");
        }
    }
}

fn difference(invite: &Sip, request: &Sip) -> Option<&'static str> {
    if request.call_id != invite.call_id {
        Some("another Call-ID")
    } else if request.headers().get(Name::From) != invite.headers().get(Name::From) {
        Some("another From")
    } else if request.uri() != invite.uri() {
        Some("another Request-URI")
    } else if request.cseq != invite.cseq {
        Some("another CSeq number")
    } else {
        None
    }
}

fn finals_are_acknowledged(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut acks: BTreeMap<(&str, &str, u32), Vec<&Sip>> = BTreeMap::new();
    for ack in evidence.log.requests().filter(|request| request.method == "ACK") {
        acks.entry((&ack.call_id, &ack.from_tag, ack.cseq)).or_default().push(ack);
    }
    for (transaction, invite) in evidence.log.transactions_of("INVITE") {
        let key = (invite.call_id.as_str(), invite.from_tag.as_str(), invite.cseq);
        check(evidence, transaction, invite, acks.get(&key).map_or(&[], Vec::as_slice), findings);
    }
}

fn check(
    evidence: &Evidence<'_>,
    transaction: &Transaction,
    invite: &Sip,
    acks: &[&Sip],
    findings: &mut Findings,
) {
    // An ACK that came as something else may have been answered, in the same transaction.
    let is_of_invite = |response: &&Sip| response.answers("INVITE", |status| status >= 200);
    // One that does not say what it has to is dropped (section 8.1.3.3).
    let is_taken = |response: &&Sip| is_of_invite(response) && response.is_sound();
    let finals = evidence.log.at(&transaction.responses).filter(is_taken);
    let arrivals: Vec<(Instant, &Sip)> =
        finals.flat_map(|response| response.arrivals().map(move |at| (at, response))).collect();
    // What came damaged may have been the first for its receiver, and may have told something else.
    let ghosts = || evidence.log.at(&transaction.ghosts).filter(|ghost| ghost.is_final());
    let ghosts = || ghosts().filter_map(|ghost| Some((ghost.arrived?, ghost)));
    let Some(first) = arrivals.iter().copied().chain(ghosts()).map(|(at, _)| at).min() else { return };
    // With its connection a transaction fails (section 17.1.4).
    if invite.over.is_some_and(|over| over < first) {
        return;
    }
    // After 64 * T1 nobody waits for an answer any more, nor for its copies.
    if first > invite.at + PATIENCE {
        return;
    }
    for (arrived, response) in arrivals {
        let is_awaited = arrived < first + PATIENCE && evidence.run.end > arrived + AT_ONCE;
        // A stream repeats no refusal, so nothing waits for one.
        let is_heard =
            arrived == first || response.over_udp || response.answers("INVITE", |status| status < 300);
        // The ACK to one that came damaged is made of what that one said.
        let mut finals = evidence.log.at(&transaction.responses).filter(|response| response.is_final());
        let is_settled = finals.any(|response| response.damaged.is_some_and(|at| at <= arrived));
        // For who was refused, by what was said to a damaged copy perhaps, a 2xx is none of its (section 17.1.1.2).
        let mut refused =
            evidence.log.at(&transaction.responses).filter(|it| it.answers("INVITE", |s| s >= 300));
        let was_refused = response.answers("INVITE", |status| status < 300)
            && (refused.any(|refusal| refusal.arrivals().any(|at| at < arrived))
                || ghosts().any(|(at, ghost)| at < arrived && ghost.answers("INVITE", |s| s >= 300)));
        // And for who was accepted a refusal, by a PBX that has forgotten it, is none.
        let accepts = |it: &&Sip| it.answers("INVITE", |status| (200..300).contains(&status));
        let mut accepted = evidence.log.at(&transaction.responses).filter(accepts).flat_map(Sip::arrivals);
        let was_accepted =
            response.answers("INVITE", |status| status >= 300) && accepted.any(|at| at < arrived);
        let is_settled = is_settled || was_refused || was_accepted;
        // A PBX that ends says goodbye, and hears nothing more.
        let is_there = evidence.ran(invite.from, invite.at, arrived + LEAVES);
        if !is_awaited || !is_heard || is_settled || !is_there {
            continue;
        }
        // The ACK to an answer that has the offer waits for the description of somebody else.
        let may_wait = acks.first().is_none_or(|first| first.at >= arrived)
            && response.sdp.is_some()
            && invite.sdp.is_none();
        let patience = if may_wait { PATIENCE } else { AT_ONCE };
        let is_over = evidence.run.end > arrived + patience;
        // One that has to wait for its stream was meant to go out when that was opened; without a stream it never does.
        let is_its = |ack: &&Sip| ack.meant < arrived + patience && ack.at >= arrived;
        let has_no_way = evidence.log.is_refused(invite.from.ip(), response.from.ip(), arrived);
        if is_over && !has_no_way && !acks.iter().any(is_its) {
            findings.blame(response.to, arrived, format!("{} that came then was not", response.name()));
        }
    }
}

fn acks_are_of_invites(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut invites: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for (_, invite) in evidence.log.transactions_of("INVITE") {
        invites.entry((&invite.call_id, &invite.from_tag)).or_default().push(invite.cseq);
    }
    for ack in evidence.log.requests().filter(|request| request.method == "ACK") {
        let numbers = invites.get(&(ack.call_id.as_str(), ack.from_tag.as_str()));
        if !numbers.is_some_and(|numbers| numbers.contains(&ack.cseq)) {
            findings.blame(ack.from, ack.at, format!("no INVITE has the number {}", ack.cseq));
        }
    }
    // One that came damaged may have been another request for who has received it.
    let was_another = |response: &Sip| {
        let mut acks = evidence.log.requests().filter(|request| request.method == "ACK");
        acks.any(|ack| {
            let came = ack.damaged.filter(|_| ack.to.ip() == response.from.ip());
            came.is_some_and(|came| (came..came + AT_ONCE).contains(&response.at))
        })
    };
    let answers = evidence.log.responses().filter(|(response, _)| response.method == "ACK");
    for (response, status) in answers.filter(|(response, _)| !was_another(response)) {
        findings.blame(response.from, response.at, format!("it was answered {status}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn an_ack_of_another_number_breaks_t5() {
        let refused =
            Tale::new().request(0, 2, 1, "INVITE", "b1", 1).response(5, 1, 2, 486, "INVITE", "b1", 1);
        let acked = refused.request(7, 2, 1, "ACK", "b1", 1).within();
        assert!(!breaks("T5", &acked.clone()));
        assert!(breaks("T5", &acked.clone().but("sip:x@", "sip:y@")));
        assert!(breaks("T5", &acked.but("CSeq: 1 ACK", "CSeq: 2 ACK")));
        assert!(breaks("T5", &answered().request(6, 2, 1, "ACK", "b1", 1).within()));
    }

    #[test]
    fn a_copy_that_is_not_acknowledged_breaks_t14() {
        let acked = answered().request(6, 2, 1, "ACK", "b2", 1).within().lost();
        assert!(!breaks("T14", &acked.clone().ends(2_000)));
        let again = acked.response(505, 1, 2, 200, "INVITE", "b1", 1);
        assert!(breaks("T14", &again.clone().ends(2_000)));
        assert!(!breaks("T14", &again.request(506, 2, 1, "ACK", "b2", 1).within().ends(2_000)));
    }

    #[test]
    fn who_was_refused_does_not_acknowledge_an_answer() {
        let asked = || Tale::new().request(0, 2, 1, "INVITE", "b1", 1);
        let refused = asked().response(5, 1, 2, 486, "INVITE", "b1", 1).request(7, 2, 1, "ACK", "b1", 1);
        let answered = |tale: Tale| tale.response(50, 1, 2, 200, "INVITE", "b1", 1).ends(2_000);
        assert!(!breaks("T14", &answered(refused.within())));
        assert!(breaks("T14", &answered(asked())));
    }

    #[test]
    fn an_ack_of_no_invite_breaks_t15() {
        let acked = |cseq| answered().request(6, 2, 1, "ACK", "b2", cseq).within();
        assert!(!breaks("T15", &acked(1)));
        assert!(breaks("T15", &acked(2)));
        assert!(breaks("T15", &acked(1).response(9, 1, 2, 200, "ACK", "b2", 1)));
    }

    fn answered() -> Tale {
        Tale::new().request(0, 2, 1, "INVITE", "b1", 1).response(5, 1, 2, 200, "INVITE", "b1", 1)
    }
}
