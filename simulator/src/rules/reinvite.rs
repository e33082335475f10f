//! Changes of a running session (RFC 3261 section 14).

use super::dialog::{contact, final_of, first_of, new_requests};
use super::log::{Dialog, Sip};
use super::repeat::PATIENCE;
use super::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};
use std::collections::BTreeSet;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "D9",
        source: "RFC 3261 sections 14.1 and 14.2",
        sentence: "a dialog has one INVITE in progress; another is not sent, and refused when it comes",
        find: one_invite_at_a_time,
    },
    Rule {
        id: "D10",
        source: "RFC 3261 section 14.1",
        sentence: "after 491 the one who began the dialog waits 2.1 s or longer",
        find: the_owner_waits,
    },
    Rule {
        id: "D11",
        source: "RFC 3261 section 14.1, RFC 6141 section 3",
        sentence: "a change that was refused has changed nothing",
        find: refused_changes_are_none,
    },
];

/// RFC 3261 section 14.1: between 2.1 and 4 seconds, in units of 10 ms.
const OWNER_WAITS: Duration = Duration::from_millis(2_100);

fn one_invite_at_a_time(evidence: &Evidence<'_>, findings: &mut Findings) {
    for dialog in &evidence.log.dialogs {
        let invites = invites(evidence, dialog);
        for (at, invite) in invites.iter().enumerate() {
            for before in &invites[..at] {
                check_pair(evidence, before, invite, findings);
            }
        }
    }
}

/// One INVITE and an earlier one of the same dialog.
fn check_pair(evidence: &Evidence<'_>, before: &Sip, invite: &Sip, findings: &mut Findings) {
    let is_over =
        |since: Instant| invite.at >= since + PATIENCE || !evidence.ran(invite.from, since, invite.at);
    let told = final_of(evidence, before);
    if before.from.ip() == invite.from.ip() {
        let heard =
            responses(evidence, before).filter(|response| response.is_final()).flat_map(Sip::perhaps).min();
        // What was said to a damaged one may be as unreadable.
        let transaction = evidence.log.transaction(before);
        let was_heard = transaction.is_some_and(|transaction| evidence.log.was_taken_damaged(transaction));
        // With its connection a transaction fails (section 17.1.4).
        let was_heard = was_heard || before.over.is_some_and(|over| over <= invite.at);
        if !was_heard && !is_over(before.at) && heard.is_none_or(|heard| heard > invite.at) {
            findings.blame(invite.from, invite.at, "its own was not answered yet");
        }
        return;
    }
    let Some(arrived) = before.arrived.filter(|arrived| *arrived < invite.at) else {
        return check_crossing(evidence, before, invite, findings);
    };
    if !is_over(arrived) && told.is_none_or(|told| told.at > invite.at) {
        findings.blame(invite.from, invite.at, "it had not answered the one that had come");
    }
}

/// Both were under way at once: who has one of his own refuses the other.
fn check_crossing(evidence: &Evidence<'_>, before: &Sip, invite: &Sip, findings: &mut Findings) {
    for (own, other) in [(before, invite), (invite, before)] {
        let heard =
            responses(evidence, own).filter(|response| response.is_final()).flat_map(Sip::arrivals).min();
        let crosses = |arrived: Instant| own.at < arrived && heard.is_none_or(|heard| heard > arrived);
        let answer = final_of(evidence, other).filter(|answer| answer.status < Some(300));
        let is_one = other.arrived.is_some_and(crosses)
            && own.arrived.is_some()
            && other.arrived < Some(own.at + PATIENCE);
        if let Some(answer) = answer.filter(|_| is_one) {
            findings.blame(answer.from, answer.at, format!("it got {}", answer.name()));
        }
    }
}

fn the_owner_waits(evidence: &Evidence<'_>, findings: &mut Findings) {
    for dialog in &evidence.log.dialogs {
        let invites = invites(evidence, dialog);
        for pair in invites.iter().enumerate().filter(|(_, invite)| dialog.is_from_caller(invite)) {
            let (at, invite) = pair;
            let told = responses(evidence, invite).find(|response| response.status == Some(491));
            let next = invites[at + 1..].iter().find(|next| dialog.is_from_caller(next));
            let Some((arrived, next)) = told.and_then(|told| told.arrived).zip(next) else { continue };
            // Once the other side has had its turn nobody is left who might ask at the same time; something else may be wanted then.
            let mut theirs = invites.iter().filter(|other| !dialog.is_from_caller(other));
            let had_its_turn = theirs.any(|other| {
                let told = final_of(evidence, other).filter(|told| told.status < Some(300));
                told.is_some_and(|told| arrived <= told.at && told.at <= next.at)
            });
            let is_another = next.sdp.is_some() && wanted(invite) != wanted(next);
            if next.at < arrived + OWNER_WAITS && !(had_its_turn && is_another) {
                findings.blame(next.from, next.at, format!("it waited {:?}", next.at.since(arrived)));
            }
        }
    }
}

fn refused_changes_are_none(evidence: &Evidence<'_>, findings: &mut Findings) {
    for dialog in &evidence.log.dialogs {
        let Some(first) = first_of(evidence, dialog) else { continue };
        let is_refused = |message: &Sip| {
            let told = final_of(evidence, message);
            let is_change = !std::ptr::eq(message, first);
            message.is_request() && is_change && told.is_some_and(|told| told.status >= Some(300))
        };
        let said = |refused: bool, caller: bool| -> BTreeSet<&str> {
            let all = std::iter::once(first).filter(|_| caller).chain(evidence.log.at(&dialog.messages));
            let own = all
                .filter(|message| std::ptr::eq(*message, first) || dialog.is_from_caller(message) == caller);
            own.filter(|message| is_refused(message) == refused).filter_map(contact).collect()
        };
        for caller in [true, false] {
            let (refused, holds) = (said(true, caller), said(false, caller));
            let only_refused: BTreeSet<&&str> = refused.difference(&holds).collect();
            let mut requests =
                new_requests(evidence, dialog).filter(|request| dialog.is_from_caller(request) != caller);
            if let Some(request) = requests.find(|request| only_refused.contains(&request.uri())) {
                findings.blame(
                    request.from,
                    request.at,
                    format!("{} went to {}", request.name(), request.uri()),
                );
            }
        }
    }
}

/// What a change asks for: its description, without the line that names it.
fn wanted(invite: &Sip) -> Vec<&str> {
    invite.sdp.iter().flat_map(|sdp| sdp.lines()).filter(|line| !line.starts_with("o=")).collect()
}

/// The INVITEs within a dialog, without the one that began it.
fn invites<'a>(evidence: &'a Evidence<'_>, dialog: &'a Dialog) -> Vec<&'a Sip> {
    new_requests(evidence, dialog).filter(|request| request.method == "INVITE").collect()
}

fn responses<'a>(evidence: &'a Evidence<'_>, request: &Sip) -> impl Iterator<Item = &'a Sip> {
    let places = evidence.log.transaction(request).map(|transaction| transaction.responses.as_slice());
    evidence.log.at(places.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn two_invites_at_once_break_d9() {
        let two = talk().reinvite(100, "b3", 2).reinvite(150, "b4", 3);
        assert!(breaks("D9", &two));
        let one =
            talk().reinvite(100, "b3", 2).response(110, 1, 2, 488, "INVITE", "b3", 2).reinvite(150, "b4", 3);
        assert!(!breaks("D9", &one));
    }

    #[test]
    fn an_invite_that_is_taken_although_it_crosses_breaks_d9() {
        let both = || talk().reinvite(100, "b3", 2).request(100, 1, 2, "INVITE", "c1", 1).within_by_callee();
        assert!(breaks("D9", &both().response(105, 1, 2, 200, "INVITE", "b3", 2)));
        assert!(!breaks("D9", &both().response(105, 1, 2, 491, "INVITE", "b3", 2)));
    }

    #[test]
    fn an_owner_that_does_not_wait_breaks_d10() {
        let told = || talk().reinvite(100, "b3", 2).response(110, 1, 2, 491, "INVITE", "b3", 2);
        assert!(breaks("D10", &told().reinvite(1_000, "b4", 3)));
        assert!(!breaks("D10", &told().reinvite(2_300, "b4", 3)));
        let turn = told().request(500, 1, 2, "INVITE", "c1", 1).within_by_callee();
        let other = |tale: Tale| tale.reinvite(1_000, "b4", 3).describes("v=0\r\na=sendonly\r\n");
        assert!(breaks("D10", &other(turn.clone())), "the other side is not done");
        let turn = turn.response(505, 2, 1, 200, "INVITE", "c1", 1);
        assert!(!breaks("D10", &other(turn.clone())));
        assert!(breaks("D10", &turn.reinvite(1_000, "b4", 3)), "it wants the same again");
    }

    #[test]
    fn a_contact_that_was_refused_and_is_used_breaks_d11() {
        let refused = talk()
            .reinvite(100, "b3", 2)
            .with("Contact: <sip:elsewhere>")
            .response(110, 1, 2, 488, "INVITE", "b3", 2)
            .request(200, 1, 2, "BYE", "c1", 1)
            .within_by_callee();
        assert!(!breaks("D11", &refused.clone()));
        assert!(breaks("D11", &refused.but("BYE sip:x@10.0.0.2", "BYE sip:elsewhere")));
    }

    fn talk() -> Tale {
        Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .with("Contact: <sip:x@10.0.0.2>")
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .request(7, 2, 1, "ACK", "b2", 1)
            .within()
    }

    impl Tale {
        fn reinvite(self, at: u64, branch: &str, cseq: u32) -> Tale {
            self.request(at, 2, 1, "INVITE", branch, cseq).within()
        }
    }
}
