//! The order of offers and answers in a session, and what becomes of what was agreed (RFC 3264, RFC 6337).

use super::repeat::PATIENCE;
use super::sdp::{Description, Format};
use super::session::{Exchange, Session};
use super::{Evidence, Findings, Rule};
use pbx::sdp::Direction;
use pbx::time::{Duration, Instant};
use std::ops::RangeInclusive;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "S7",
        source: "RFC 3264 section 4, RFC 6337 sections 2.2 and 4.2",
        sentence: "who has an offer open, or owes an answer, makes no offer",
        find: |evidence, findings| irregular("S7", evidence, findings),
    },
    Rule {
        id: "S8",
        source: "RFC 3261 section 13.2.1, RFC 6337 section 3.1",
        sentence: "the answer to an INVITE is in a response that cannot get lost, and every copy of it is the same",
        find: |evidence, findings| irregular("S8", evidence, findings),
    },
    Rule {
        id: "S9",
        source: "RFC 3261 section 13.2.1, RFC 6337 section 3.1",
        sentence: "an INVITE without an offer is offered one in the first reliable response, and answers in ACK or PRACK",
        find: |evidence, findings| irregular("S9", evidence, findings),
    },
    Rule {
        id: "S11",
        source: "RFC 3264 section 8.4, RFC 6337 section 5.3",
        sentence: "a hold changes no codec and no payload type, and whoever ends it is talked to again",
        find: holds_end,
    },
];

/// An offer that was refused with 491 is made again within so long (RFC 3261 section 14.1).
const AGAIN: Duration = Duration::from_secs(4);
/// The next moment.
const TICK: Duration = Duration::from_nanos(1);

fn irregular(rule: &str, evidence: &Evidence<'_>, findings: &mut Findings) {
    let all = evidence.sessions.all.iter().flat_map(|session| &session.irregular);
    for it in all.filter(|it| it.rule == rule) {
        findings.blame(it.from, it.at, &it.what);
    }
}

fn holds_end(evidence: &Evidence<'_>, findings: &mut Findings) {
    let judged = (0..evidence.sessions.all.len()).filter(|session| !evidence.is_misled(*session));
    for (number, session) in judged.map(|session| (session, &evidence.sessions.all[session])) {
        let partner = evidence.partner_of(number).map(|partner| &evidence.sessions.all[partner]);
        for at in 1..session.exchanges.len() {
            let (past, now) = (&session.exchanges[..at], &session.exchanges[at]);
            keeps_its_codec(&past[at - 1], now, findings);
            // Who wanted it in vain just now wants it still, and the PBX says on one leg what it hears on the other.
            let refused = |session: &Session, side: Option<usize>, during: RangeInclusive<Instant>| {
                let mut refused =
                    session.refused.iter().filter(|(_, by, _)| side.is_none_or(|side| side == *by));
                refused.any(|(at, _, offer)| during.contains(at) && holds(offer))
            };
            let (by, lately) = (1 - now.offered_by, past[at - 1].at + TICK..=now.at);
            // Whoever was refused tries again within so long (RFC 3261 section 14.1), unless what it offered since was heard.
            let own = past
                .iter()
                .rev()
                .find(|past| past.offered_by == by)
                .map_or(Instant::START, |past| past.at + TICK);
            let own = own.max(now.at - AGAIN)..=now.at;
            let holds_still = refused(session, Some(by), own)
                || partner.is_some_and(|partner| refused(partner, None, lately));
            // So does whose own wish waits for its turn, even if it is another one by then.
            let soon = now.at..=now.at + PATIENCE;
            let is_next = |next: &Exchange| next.offered_by == by && soon.contains(&next.offered_at);
            let wishes_next = session.exchanges.get(at + 1).is_some_and(is_next)
                || session.refused.iter().any(|(at, who, _)| *who == by && soon.contains(at));
            if !holds_still && !wishes_next {
                comes_back(past, now, findings);
            }
        }
    }
}

/// Whether an offer lets somebody wait.
fn holds(offer: &Description) -> bool {
    offer.streams.iter().any(|stream| stream.direction != Direction::SendRecv)
}

/// Where the direction is another, the codec in use stays the one in use, with its number.
fn keeps_its_codec(before: &Exchange, after: &Exchange, findings: &mut Findings) {
    for (place, (then, now)) in before.offer.streams.iter().zip(&after.offer.streams).enumerate() {
        let in_use = |exchange: &Exchange| exchange.answer.streams.get(place)?.voice().cloned();
        let (Some(was), Some(is)) = (in_use(before), in_use(after)) else { continue };
        let could_stay = lists(&after.offer, place, &was) && lists(&after.answer, place, &was);
        if then.direction == now.direction || !could_stay {
            continue;
        }
        let with = now.direction.attribute();
        if !was.is_same_codec(&is) {
            findings.add(after.at, format!("{} became {} with {with}", was.name, is.name));
        } else if before.offered_by == after.offered_by && was.payload_type != is.payload_type {
            let (name, was, is) = (is.name, was.payload_type, is.payload_type);
            findings.add(after.at, format!("{name} had the number {was} and has {is} with {with}"));
        }
    }
}

/// Who let the other side wait and wants to talk again is answered as before, unless the other side lets it wait itself.
fn comes_back(past: &[Exchange], resume: &Exchange, findings: &mut Findings) {
    let by = resume.offered_by;
    for (place, (offered, answered)) in resume.offer.streams.iter().zip(&resume.answer.streams).enumerate() {
        let was_hold = last_wish(past, by, place).is_some_and(|wish| !wish.receives());
        let is_resume = was_hold && offered.direction == Direction::SendRecv && offered.port != 0;
        let holds_too = last_wish(past, 1 - by, place).is_some_and(|wish| wish != Direction::SendRecv);
        if is_resume && !holds_too && answered.direction != Direction::SendRecv {
            let (carrier, answered) = (&resume.carrier, answered.direction.attribute());
            findings.add(resume.at, format!("{carrier} says {answered} to who talks again"));
        }
    }
}

/// The direction a side last wanted: what it offered, or what it answered when it might have had more.
fn last_wish(past: &[Exchange], side: usize, place: usize) -> Option<Direction> {
    past.iter().rev().find_map(|exchange| {
        let offered = exchange.offer.streams.get(place)?.direction;
        match exchange.offered_by == side {
            true => Some(offered),
            false => {
                let answered = exchange.answer.streams.get(place)?.direction;
                // Who takes less than was allowed wants no more.
                let is_wish =
                    offered == Direction::SendRecv || answered != Direction::SendRecv.limited_by(offered);
                is_wish.then_some(answered)
            }
        }
    })
}

fn lists(description: &Description, place: usize, format: &Format) -> bool {
    let stream = description.streams.get(place);
    stream.is_some_and(|stream| stream.formats.iter().any(|listed| listed.is_same_codec(format)))
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken, description};

    #[test]
    fn an_offer_while_another_is_open_breaks_s7() {
        let tale = Tale::talk()
            .request(1_000, 2, 1, "INVITE", "b3", 2)
            .within()
            .describes(&description(2, 2, "sendonly"))
            .request(1_001, 2, 1, "UPDATE", "b4", 3)
            .within()
            .describes(&description(2, 3, "sendrecv"));
        assert_eq!(broken(&tale), ["S7"]);
    }

    #[test]
    fn offers_that_cross_break_nothing() {
        let tale = Tale::talk()
            .request(1_000, 2, 1, "INVITE", "b3", 2)
            .within()
            .describes(&description(2, 2, "sendonly"))
            .request(1_000, 1, 2, "INVITE", "b4", 1)
            .within()
            .describes(&description(1, 2, "sendonly"))
            .response(1_001, 1, 2, 491, "INVITE", "b3", 2)
            .response(1_001, 2, 1, 491, "INVITE", "b4", 1);
        assert_eq!(broken(&tale), [""; 0]);
    }

    #[test]
    fn an_answer_that_is_missing_breaks_s8() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(&description(2, 1, "sendrecv"))
            .response(5, 1, 2, 200, "INVITE", "b1", 1);
        assert_eq!(broken(&tale), ["S8"]);
    }

    #[test]
    fn an_offer_that_is_not_answered_breaks_s9() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .describes(&description(1, 1, "sendrecv"))
            .request(7, 2, 1, "ACK", "b2", 1)
            .within();
        assert_eq!(broken(&tale), ["S9"]);
    }

    #[test]
    fn another_codec_after_the_hold_breaks_s11() {
        let both = |text: String| text.replace("AVP 0 101", "AVP 0 8 101");
        let turned = |text: String| text.replace("AVP 0 101", "AVP 8 0 101");
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(&both(description(2, 1, "sendrecv")))
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .describes(&both(description(1, 1, "sendrecv")))
            .request(1_000, 2, 1, "INVITE", "b3", 2)
            .within()
            .describes(&both(description(2, 2, "sendonly")))
            .response(1_005, 1, 2, 200, "INVITE", "b3", 2)
            .describes(&turned(description(1, 2, "recvonly")));
        assert_eq!(broken(&tale), ["S11"]);
    }
}
