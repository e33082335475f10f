//! CANCEL (RFC 3261 section 9).

use super::log::{Sip, Transaction};
use super::repeat::{PATIENCE, T1};
use super::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};

/// How long a BYE may wait that has nothing to wait for but the description of the other side.
const SOON: Duration = T1;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "T16",
        source: "RFC 3261 section 9.1",
        sentence: "an INVITE, and nothing else, is cancelled after a provisional response has come and before a final one has",
        find: cancels_wait,
    },
    Rule {
        id: "T17",
        source: "RFC 3261 section 9.2",
        sentence: "a CANCEL for what is there is answered 200, for what is not 481, and its INVITE ends 487 if it has not ended",
        find: cancels_work,
    },
    Rule {
        id: "T18",
        source: "RFC 3261 sections 9.1 and 13.2.2.4",
        sentence: "an answer that crosses CANCEL is acknowledged and ended by BYE",
        find: crossing_answers_end,
    },
];

fn cancels_wait(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, cancel) in evidence.log.transactions_of("CANCEL") {
        let Some(invite) = transaction.cancels.map(|at| &evidence.log.transactions[at]) else {
            findings.blame(cancel.from, cancel.at, "there is none of this branch");
            continue;
        };
        // What came damaged may still have been read.
        let heard = || evidence.log.at(&invite.responses).chain(evidence.log.at(&invite.ghosts));
        let by_then = |response: &Sip| response.perhaps().any(|arrived| arrived <= cancel.at);
        // To what came damaged the answers may name another sender.
        let is_blurred = evidence.log.at(&invite.requests).any(|request| request.damaged.is_some());
        if !is_blurred && !heard().any(|response| response.is_provisional() && by_then(response)) {
            findings.blame(cancel.from, cancel.at, "none had come");
        }
        let ended = evidence.log.at(&invite.responses).filter(|it| it.is_final() && it.is_sound());
        if let Some(end) = ended.flat_map(Sip::arrivals).min().filter(|end| *end < cancel.meant) {
            findings.blame(cancel.from, cancel.at, format!("a final one had come at {end}"));
        }
    }
}

fn cancels_work(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, cancel) in evidence.log.transactions_of("CANCEL") {
        let arrived = evidence.log.at(&transaction.requests).flat_map(Sip::arrivals).min();
        let is_answer = |response: &&Sip| response.is_final() && !evidence.log.is_to_damaged(response);
        let answer = evidence.log.at(&transaction.responses).find(is_answer);
        let (Some(arrived), Some(answer)) = (arrived, answer) else { continue };
        let server = answer.from;
        let invite = transaction.cancels.map(|at| &evidence.log.transactions[at]);
        let known_since = invite.and_then(|invite| arrival(evidence, invite, arrived));
        let code = answer.status.unwrap_or_default();
        let Some((invite, since)) = invite.zip(known_since) else {
            // What came damaged may have been read as one.
            let is_nothing = invite.is_none_or(|invite| evidence.log.at(&invite.ghosts).next().is_none());
            if code < 300 && is_nothing {
                findings.blame(server, answer.at, format!("the CANCEL for nothing was answered {code}"));
            }
            continue;
        };
        let is_final = |place: &&usize| is_answer(&&evidence.log.messages[**place]);
        let (end, told) =
            (invite.responses.iter().find(is_final), transaction.responses.iter().find(is_final));
        // What was sent before the CANCEL was answered was decided before.
        let had_ended = end.is_some_and(|end| told.is_some_and(|told| end < told));
        if had_ended || !evidence.ran(server, since, answer.at) {
            continue;
        }
        let end = end.map(|place| &evidence.log.messages[*place]);
        if code != 200 {
            findings.blame(server, answer.at, format!("{} was answered {code}", cancel.name()));
        }
        // What was said first may have been said to a copy that came damaged.
        let is_damaged = evidence.log.at(&invite.requests).any(|copy| copy.damaged.is_some());
        let mut others = evidence.log.at(&invite.responses).filter(|_| is_damaged);
        let is_487 =
            end.is_some_and(|end| end.status == Some(487)) || others.any(|other| other.status == Some(487));
        if !is_487 && evidence.run.end > arrived + PATIENCE && evidence.ran(server, since, arrived + PATIENCE)
        {
            let told = end.map_or("never ended".to_owned(), |end| format!("was answered {}", end.name()));
            findings.blame(server, answer.at, format!("the INVITE {told}"));
        }
    }
}

/// When the server had the request of a transaction, if by `then`.
fn arrival(evidence: &Evidence<'_>, transaction: &Transaction, then: Instant) -> Option<Instant> {
    evidence.log.at(&transaction.requests).flat_map(Sip::arrivals).filter(|arrived| *arrived <= then).min()
}

fn crossing_answers_end(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, invite) in evidence.log.transactions_of("INVITE") {
        let Some(cancel) = transaction.cancelled_by.map(|at| &evidence.log.transactions[at]) else {
            continue;
        };
        let Some(cancelled) = evidence.log.at(&cancel.requests).next() else { continue };
        let answers = evidence.log.at(&transaction.responses);
        let answer = answers
            .filter(|response| response.answers("INVITE", |status| (200..300).contains(&status)))
            .find_map(|answer| Some((answer, answer.arrived?)));
        let Some((answer, arrived)) = answer else { continue };
        // With its connection a transaction fails (section 17.1.4), and nothing waits for an answer.
        let has_failed = invite.over.is_some_and(|over| over < arrived);
        let is_awaited =
            arrived < invite.at + PATIENCE && evidence.run.end > arrived + PATIENCE && !has_failed;
        if !is_awaited || !evidence.ran(invite.from, cancelled.at, arrived + PATIENCE) {
            continue;
        }
        let dialog = evidence.log.dialog(answer).map(|dialog| dialog.messages.as_slice()).unwrap_or_default();
        // An answer to what came damaged may name another call than it is ended by.
        let same_call = evidence.log.by_call_id.get(&invite.call_id).map_or(&[][..], Vec::as_slice);
        let same_call = evidence.log.at(same_call).filter(|message| message.to_tag == answer.to_tag);
        let mut byes = evidence.log.at(dialog).chain(same_call).filter(|message| message.asks("BYE"));
        // Nobody hangs up what the other side has hung up.
        let ends = byes.any(|bye| match bye.from.ip() == invite.from.ip() {
            true => bye.at < arrived + SOON,
            false => bye.arrived.is_some_and(|over| over < arrived + SOON),
        });
        if !ends {
            findings.blame(invite.from, arrived, "there was no BYE");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_cancel_before_anything_came_breaks_t16() {
        let asked = Tale::new().request(0, 2, 1, "INVITE", "b1", 1);
        assert!(breaks("T16", &asked.clone().request(5, 2, 1, "CANCEL", "b1", 1)));
        assert!(!breaks("T16", &cancelled()));
        let refused = asked
            .response(2, 1, 2, 180, "INVITE", "b1", 1)
            .response(3, 1, 2, 486, "INVITE", "b1", 1)
            .request(9, 2, 1, "CANCEL", "b1", 1);
        assert!(breaks("T16", &refused));
    }

    #[test]
    fn an_invite_that_is_cancelled_and_refused_as_busy_breaks_t17() {
        let good =
            cancelled().response(8, 1, 2, 200, "CANCEL", "b1", 1).response(8, 1, 2, 487, "INVITE", "b1", 1);
        assert!(!breaks("T17", &good.ends(40_000)));
        assert!(breaks("T17", &cancelled().response(8, 1, 2, 481, "CANCEL", "b1", 1)));
        let busy =
            cancelled().response(8, 1, 2, 200, "CANCEL", "b1", 1).response(90, 1, 2, 486, "INVITE", "b1", 1);
        assert!(breaks("T17", &busy.ends(40_000)));
    }

    #[test]
    fn an_answer_that_crosses_and_goes_on_breaks_t18() {
        let crossed =
            cancelled().response(6, 1, 2, 200, "INVITE", "b1", 1).request(8, 2, 1, "ACK", "b2", 1).within();
        assert!(breaks("T18", &crossed.clone().ends(40_000)));
        assert!(!breaks("T18", &crossed.request(9, 2, 1, "BYE", "b3", 2).within().ends(40_000)));
    }

    fn cancelled() -> Tale {
        Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .response(2, 1, 2, 180, "INVITE", "b1", 1)
            .request(6, 2, 1, "CANCEL", "b1", 1)
    }
}
