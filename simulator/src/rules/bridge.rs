//! Two sides of a call that the PBX has joined (a B2BUA, RFC 7092 section 3), and several that it has rung.

use super::acknowledgement::AT_ONCE;
use super::dialog::contact;
use super::log::{Sip, Transaction};
use super::repeat::{PATIENCE, SLACK, T1};
use super::{Evidence, Findings, Rule};
use pbx::sip::{Name, NameAddr};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "T22",
        source: "RFC 6026 sections 7.1 and 8.7",
        sentence: "an INVITE that comes again makes no second leg",
        find: copies_ring_nobody,
    },
    Rule {
        id: "D13",
        source: "RFC 3261 sections 13.2.2.4 and 16.7",
        sentence: "of several telephones that ring one wins; the others are cancelled, or hung up if they answer too",
        find: one_wins,
    },
    Rule {
        id: "D23",
        source: "a promise of the PBX",
        sentence: "a caller is answered when somebody has answered, and who hangs up ends the other side too",
        find: sides_follow_each_other,
    },
    Rule {
        id: "D24",
        source: "a promise of the PBX",
        sentence: "each call has an id of its own, and each leg is of one call",
        find: calls_have_ids,
    },
];

/// How long the PBX may take to pass on what one side has done.
const SOON: Duration = T1;

/// A call that came in, with the legs that the PBX made for it.
struct Bridge<'a> {
    caller: (&'a Transaction, &'a Sip),
    legs: Vec<(&'a Transaction, &'a Sip)>,
    /// Those that may as well be of another call of the same caller.
    perhaps: Vec<&'a Transaction>,
}

fn copies_ring_nobody(evidence: &Evidence<'_>, findings: &mut Findings) {
    for bridge in bridges(evidence) {
        // A name may have several addresses, which are tried one after the other.
        let mut ringing: BTreeMap<_, (&Transaction, &Sip)> = BTreeMap::new();
        for (transaction, leg) in bridge.legs {
            let Some((before, first)) = ringing.insert((leg.uri(), leg.to), (transaction, leg)) else {
                continue;
            };
            let ended = first_final(evidence, before).is_some_and(|(end, _)| end <= leg.at);
            if !ended && first.call_id != leg.call_id {
                findings.blame(leg.from, leg.at, format!("{} has two INVITEs", leg.uri()));
            }
        }
    }
}

fn one_wins(evidence: &Evidence<'_>, findings: &mut Findings) {
    for bridge in bridges(evidence) {
        let answer = |leg: &&(&Transaction, &Sip)| {
            let (end, answer) = first_final(evidence, leg.0)?;
            // With its connection a transaction fails (section 17.1.4).
            let is_heard = leg.1.over.is_none_or(|over| end < over);
            // One that came damaged may have been of no use: who sent it is hung up on at once.
            let is_useless =
                answer.arrived != Some(end) && over(evidence, answer).is_some_and(|over| over <= end + SLACK);
            (answer.status < Some(300) && is_heard && !is_useless).then_some(end)
        };
        let Some(won) = bridge.legs.iter().filter_map(|leg| answer(&leg)).min() else { continue };
        // Of two who answer in one instant either may win.
        let answers = |leg: &(&Transaction, &Sip)| answer(&leg) == Some(won);
        let stays = |leg: &(&Transaction, &Sip)| answers(leg) && !gives_up(evidence, *leg, won);
        let winner = bridge.legs.iter().position(stays).or_else(|| bridge.legs.iter().position(answers));
        for (at, leg) in bridge.legs.iter().enumerate().filter(|(at, _)| Some(*at) != winner) {
            if bridge.legs[at].1.at <= won && !gives_up(evidence, *leg, won) {
                findings.blame(leg.1.from, won, format!("{} still rings", leg.1.uri()));
            }
        }
    }
}

fn sides_follow_each_other(evidence: &Evidence<'_>, findings: &mut Findings) {
    let is_parted = |bridge: &Bridge<'_>| {
        let legs = bridge.legs.iter().map(|(_, leg)| *leg);
        let is_apart = |it: &Sip| {
            let session = evidence.calls.get(&it.call_id);
            // An application has taken one of the two into its hand.
            let is_split = session.is_some_and(|session| evidence.split.contains_key(session));
            is_split || evidence.parted_at(&it.call_id).is_some()
        };
        [bridge.caller.1].into_iter().chain(legs).any(is_apart)
    };
    for bridge in bridges(evidence).into_iter().filter(|bridge| !bridge.legs.is_empty()) {
        if is_parted(&bridge) {
            continue;
        }
        let (transaction, invite) = bridge.caller;
        let is_answer = |response: &&Sip| response.answers("INVITE", |status| (200..300).contains(&status));
        let answered = evidence.log.at(&transaction.responses).find(is_answer);
        // What came damaged may have been read as an answer.
        let legs = bridge.legs.iter().map(|(leg, _)| *leg).chain(bridge.perhaps.iter().copied());
        let told = legs.flat_map(|leg| evidence.log.at(&leg.responses).chain(evidence.log.at(&leg.ghosts)));
        let mut answers =
            told.filter(|response| response.status.is_some_and(|status| (200..300).contains(&status)));
        // Where nobody rings any longer the PBX may answer itself: with a mailbox, an announcement.
        let answers_itself =
            |answer: &Sip| bridge.legs.iter().all(|leg| is_at_rest(evidence, *leg, answer.at));
        if let Some(answer) = answered
            && !answers.any(|it| it.perhaps().any(|came| came <= answer.at))
            && !answers_itself(answer)
        {
            findings.blame(answer.from, answer.at, "nobody had answered");
        }
        // A caller who gives up.
        let cancel = transaction.cancelled_by.map(|at| &evidence.log.transactions[at]);
        let gave_up =
            cancel.and_then(|cancel| evidence.log.at(&cancel.requests).flat_map(Sip::arrivals).min());
        // Of what is answered nothing can be cancelled.
        let told = evidence.log.at(&transaction.responses).find(|response| response.is_final());
        let is_cancelled = |since: &Instant| told.is_none_or(|told| told.at > *since);
        if let Some(since) = gave_up.filter(is_cancelled) {
            for leg in bridge.legs.iter().filter(|leg| leg.1.at <= since && !gives_up(evidence, **leg, since))
            {
                findings.blame(leg.1.from, since, format!("{} still rings", leg.1.uri()));
            }
        }
        let over_at = answered.and_then(|answer| over(evidence, answer));
        let won = |leg: &Transaction| {
            first_final(evidence, leg).filter(|(_, it)| it.status < Some(300)).map(|(at, _)| at)
        };
        let first = bridge.legs.iter().filter_map(|(leg, _)| won(leg)).min();
        // Of two who answer in one instant either may have won.
        let is_tie = bridge.legs.iter().filter(|(leg, _)| won(leg) == first).count() > 1;
        for (leg, request) in &bridge.legs {
            // Who answered too late is hung up, and the caller talks to somebody else.
            let is_winner = won(leg) == first && !is_tie;
            // What comes when the connection of its INVITE has broken is of nobody (RFC 3261 section 17.1.4).
            let comes =
                |answer: &&Sip| request.over.is_none_or(|over| answer.perhaps().any(|came| came < over));
            let joined = evidence.log.at(&leg.responses).filter(is_answer).find(comes);
            let leg_over_at = joined.and_then(|answer| over(evidence, answer));
            for (one, other) in [(over_at, leg_over_at), (leg_over_at.filter(|_| is_winner), over_at)] {
                let Some(since) = one.filter(|_| joined.is_some() && answered.is_some()) else { continue };
                let until = since + PATIENCE;
                let is_over = until < evidence.run.end && evidence.ran(request.from, invite.at, until);
                if is_over && other.is_none_or(|other| other > until) {
                    findings.blame(request.from, since, "the other side was left alone");
                }
            }
        }
    }
}

fn calls_have_ids(evidence: &Evidence<'_>, findings: &mut Findings) {
    // Who orders a call may give it the name of one that is over.
    let mut ids: BTreeMap<&str, Vec<[Instant; 2]>> = BTreeMap::new();
    for record in evidence.run.records.into_iter().flatten() {
        let id = record["call_id"].as_str().unwrap_or_default();
        let moment = |key: &str| evidence.run.moment(&record[key]);
        let times =
            [moment("started_at").unwrap_or(Instant::START), moment("ended_at").unwrap_or(evidence.run.end)];
        let known = ids.entry(id).or_default();
        if !id.is_empty() && known.iter().any(|other| other[0] < times[1] && times[0] < other[1]) {
            findings.add(evidence.run.end, format!("two calls are {id}"));
        }
        known.push(times);
    }
    let mut callers: BTreeMap<&str, &str> = BTreeMap::new();
    for bridge in bridges(evidence) {
        for (_, leg) in &bridge.legs {
            let caller = *callers.entry(&leg.call_id).or_insert(&bridge.caller.1.call_id);
            if caller != bridge.caller.1.call_id || leg.call_id == bridge.caller.1.call_id {
                findings.blame(leg.from, leg.at, format!("the leg {} is of two calls", leg.call_id));
            }
        }
    }
}

/// The calls that came to the PBX. Who has two that may both be meant is left out: the packets alone do not say which.
fn bridges<'a>(evidence: &'a Evidence<'_>) -> Vec<Bridge<'a>> {
    let begins = |(_, request): &(&Transaction, &Sip)| request.to_tag.is_empty();
    let mut bridges: Vec<Bridge<'a>> = Vec::new();
    let mut by_caller: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for caller in evidence.log.transactions_of("INVITE").filter(begins) {
        let (transaction, invite) = caller;
        if super::transfer::replaces(invite).is_some() {
            // It comes to where somebody is already.
        } else if evidence.is_pbx(invite.from) && evidence.may_be_transfer(invite) {
            // Somebody has asked for it, and the caller may have another call under way.
            let causes = causes(evidence, &bridges, by_caller.get(&from(invite)), invite);
            causes.into_iter().for_each(|cause| bridges[cause].perhaps.push(transaction));
        } else if evidence.is_pbx(invite.to) && !evidence.is_pbx(invite.from) {
            by_caller.entry(from(invite)).or_default().push(bridges.len());
            bridges.push(Bridge { caller, legs: Vec::new(), perhaps: Vec::new() });
        } else if evidence.is_pbx(invite.from) && !is_ordered(evidence, invite) {
            let causes = causes(evidence, &bridges, by_caller.get(&from(invite)), invite);
            // Whom the PBX answers itself in that moment may be in a queue, and it calls an agent for him.
            let is_answered =
                |cause: &usize| answered_at(evidence, bridges[*cause].caller.0) == Some(invite.at);
            match *causes {
                [cause] if !is_answered(&cause) => bridges[cause].legs.push((transaction, invite)),
                ref causes => causes.iter().for_each(|cause| bridges[*cause].perhaps.push(transaction)),
            }
        }
    }
    bridges
}

/// Whether an application, or a queue, has ordered this call: it has a record of its own, which names its Call-ID if somebody
/// has answered.
fn is_ordered(evidence: &Evidence<'_>, invite: &Sip) -> bool {
    let places = evidence.log.by_call_id.get(&invite.call_id).map_or(&[][..], Vec::as_slice);
    let mut begins =
        evidence.log.at(places).filter(|message| message.asks("INVITE") && message.to_tag.is_empty());
    if begins.any(|begins| evidence.is_pbx(begins.to)) {
        return false;
    }
    evidence.records.iter().any(|record| {
        let call_id = record["sip_call_id"].as_str().unwrap_or_default();
        let Some(started) = evidence.run.moment(&record["started_at"]) else { return false };
        let is_before = started <= invite.meant + SLACK;
        let is_then = is_before && invite.meant <= started + SLACK;
        (call_id == invite.call_id && is_before) || (call_id.is_empty() && is_then)
    })
}

/// For which of a caller's calls a leg may have been made, by their places.
fn causes(
    evidence: &Evidence<'_>,
    bridges: &[Bridge<'_>],
    of_caller: Option<&Vec<usize>>,
    leg: &Sip,
) -> Vec<usize> {
    let may_be = |bridge: &usize| is_cause(evidence, bridges[*bridge].caller, leg);
    of_caller.into_iter().flatten().copied().filter(may_be).collect()
}

/// Whether a leg may have been made for a caller: he had asked, and had not been told how it ends.
fn is_cause(evidence: &Evidence<'_>, (transaction, _): (&Transaction, &Sip), leg: &Sip) -> bool {
    let asked = evidence.log.at(&transaction.requests).flat_map(Sip::perhaps).min();
    // What was said to a damaged copy ends nothing: the next one comes as it was sent.
    let ends = |response: &&Sip| response.is_final() && !evidence.log.is_to_damaged(response);
    let told = evidence.log.at(&transaction.responses).find(ends);
    let is_open = told.is_none_or(|told| told.at > leg.at);
    let is_open = is_open || answered_at(evidence, transaction) == Some(leg.at);
    asked.is_some_and(|asked| asked <= leg.at) && is_open
}

/// When the PBX said 2xx to a caller.
fn answered_at(evidence: &Evidence<'_>, transaction: &Transaction) -> Option<Instant> {
    let mut told = evidence.log.at(&transaction.responses);
    told.find(|response| response.answers("INVITE", |status| (200..300).contains(&status))).map(|it| it.at)
}

/// Whether a leg that nobody needs any more is cancelled or, where it was answered, hung up.
fn gives_up(evidence: &Evidence<'_>, (transaction, leg): (&Transaction, &Sip), since: Instant) -> bool {
    let rang = evidence.log.at(&transaction.responses).filter(|response| response.is_provisional());
    let rang = rang.flat_map(Sip::arrivals).min();
    let end = first_final(evidence, transaction);
    let due = rang.map(|rang| rang.max(since) + SOON);
    let is_judged = due.is_some_and(|due| due < evidence.run.end && evidence.ran(leg.from, leg.at, due));
    let (true, Some(due)) = (is_judged, due) else { return true };
    // With its connection a transaction fails (RFC 3261 section 17.1.4), and nothing is left to be cancelled.
    if leg.over.is_some_and(|over| over <= due) {
        return true;
    }
    let cancel = transaction.cancelled_by.and_then(|at| evidence.log.transactions[at].requests.first());
    let is_cancelled = cancel.is_some_and(|cancel| evidence.log.messages[*cancel].at <= due);
    // What comes when the transaction has failed with its connection is for nobody.
    let is_heard = |end: Instant| leg.over.is_none_or(|over| end < over);
    match end {
        Some((end, answer))
            if answer.status < Some(300) && is_heard(end) && evidence.ran(leg.from, leg.at, end) =>
        {
            over(evidence, answer).is_some_and(|over| over <= end.max(since) + SOON + SLACK)
        }
        Some((end, _)) if end <= due => true,
        Some(_) | None => is_cancelled,
    }
}

/// Whether a leg was refused, cancelled, or given up for want of any response, by then.
fn is_at_rest(evidence: &Evidence<'_>, (transaction, leg): (&Transaction, &Sip), by: Instant) -> bool {
    let is_refused =
        first_final(evidence, transaction).is_some_and(|(at, answer)| at <= by && answer.status >= Some(300));
    let cancel = transaction.cancelled_by.and_then(|at| evidence.log.transactions[at].requests.first());
    let is_cancelled = cancel.is_some_and(|cancel| evidence.log.messages[*cancel].at <= by);
    let mut heard = evidence.log.at(&transaction.responses).flat_map(Sip::perhaps);
    let is_dead = !heard.any(|came| came <= by) && leg.at + SOON * 2 <= by;
    is_refused || is_cancelled || is_dead
}

/// When the first final response came that was understood, as one that came damaged may have been.
fn first_final<'a>(evidence: &'a Evidence<'_>, transaction: &'a Transaction) -> Option<(Instant, &'a Sip)> {
    let finals = evidence.log.at(&transaction.responses).filter(|response| response.is_final());
    let understood = |response: &'a Sip| {
        let damaged = response.damaged.filter(|came| is_acknowledged(evidence, response, *came));
        let came = response.arrived.into_iter().chain(damaged).min()?;
        Some((came, response))
    };
    finals.filter_map(understood).min_by_key(|(came, _)| *came)
}

/// Whether a final response that came then, damaged, was acknowledged at once as what it was sent as.
fn is_acknowledged(evidence: &Evidence<'_>, response: &Sip, came: Instant) -> bool {
    let places = evidence.log.by_call_id.get(&response.call_id).map_or(&[][..], Vec::as_slice);
    evidence.log.at(places).any(|ack| {
        let is_its = ack.cseq == response.cseq && ack.to_tag == response.to_tag;
        ack.asks("ACK") && !ack.is_ghost && is_its && (came..came + AT_ONCE).contains(&ack.meant)
    })
}

/// When the dialog of an answer is over for the PBX: it has said BYE, or one has come to it.
fn over(evidence: &Evidence<'_>, answer: &Sip) -> Option<Instant> {
    // The tag of the answer is in one dialog only; that of the caller may have come damaged, and be repeated so.
    let places = evidence.log.by_call_id.get(&answer.call_id).map_or(&[][..], Vec::as_slice);
    let of_it = |it: &&Sip| !it.is_ghost && [&it.from_tag, &it.to_tag].contains(&&answer.to_tag);
    let within = || evidence.log.at(places).filter(of_it);
    let ends = |bye: &Sip| match evidence.is_pbx(bye.from) {
        true => Some(bye.at),
        false => evidence.log.understood(bye),
    };
    let byes = within().filter(|it| it.asks("BYE")).filter_map(ends);
    // Who is told that there is no such call has nobody to hang up on (RFC 3261 section 12.2.1.2). A response is of its request,
    // though that came damaged and it repeats what had become of that (section 17.1.3).
    let asked = within().filter(|it| it.is_request() && evidence.is_pbx(it.from));
    let told =
        asked.filter_map(|it| evidence.log.transaction(it)).flat_map(|it| evidence.log.at(&it.responses));
    let denied = told.filter(|it| matches!(it.status, Some(408 | 481))).filter_map(|it| it.arrived);
    byes.chain(denied).min()
}

/// Who calls.
fn from(invite: &Sip) -> String {
    let from = invite.headers().get(Name::From).and_then(|from| NameAddr::parse(from).ok());
    from.map(|from| from.uri.to_owned()).or_else(|| contact(invite).map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_second_leg_breaks_t22() {
        assert!(!breaks("T22", &rings(&[(3, "c")])));
        assert!(!breaks("T22", &rings(&[(3, "c"), (4, "d")])));
        assert!(breaks("T22", &rings(&[(3, "c"), (3, "d")])));
    }

    #[test]
    fn a_telephone_that_rings_on_breaks_d13() {
        let won = || {
            rings(&[(3, "c"), (4, "d")])
                .response(5, 4, 1, 180, "INVITE", "d", 1)
                .but("Call-ID: c", "Call-ID: d")
                .response(9, 3, 1, 200, "INVITE", "c", 1)
                .but("Call-ID: c", "Call-ID: leg-c")
        };
        assert!(breaks("D13", &won().ends(2_000)));
        assert!(!breaks("D13", &won().request(11, 1, 4, "CANCEL", "d", 1).ends(2_000)));
    }

    #[test]
    fn who_answers_first_wins_though_that_came_damaged() {
        // One bit of a header that nobody needs: it is understood.
        let answered = || {
            rings(&[(3, "c"), (4, "d")])
                .response(5, 3, 1, 180, "INVITE", "c", 1)
                .but("Call-ID: c", "Call-ID: leg-c")
                .response(9, 3, 1, 200, "INVITE", "c", 1)
                .but("Call-ID: c", "Call-ID: leg-c")
                .with("Subject: hello")
                .damaged("hello")
        };
        let late = |tale: Tale| {
            tale.response(900, 4, 1, 200, "INVITE", "d", 1)
                .but("Call-ID: c", "Call-ID: leg-d")
                .request(901, 1, 4, "ACK", "e", 1)
                .but("Call-ID: c", "Call-ID: leg-d")
                .request(901, 1, 4, "BYE", "f", 2)
                .but("Call-ID: c", "Call-ID: leg-d")
                .ends(3_000)
        };
        let acked = answered().request(11, 1, 3, "ACK", "g", 1).within().but("Call-ID: c", "Call-ID: leg-c");
        assert!(!breaks("D13", &late(acked)));
        assert!(breaks("D13", &late(answered())), "it was not understood, and rings on");
    }

    #[test]
    fn an_answer_that_nobody_gave_breaks_d23() {
        let rung = || rings(&[(3, "c")]);
        let answered = |tale: Tale| tale.response(20, 1, 2, 200, "INVITE", "a", 1);
        assert!(breaks("D23", &answered(rung())));
        assert!(!breaks("D23", &answered(rung().response(9, 3, 1, 200, "INVITE", "c", 1))));
        // It was refused, and the PBX answers itself.
        assert!(!breaks("D23", &answered(rung().response(9, 3, 1, 486, "INVITE", "c", 1))));
    }

    #[test]
    fn who_is_told_that_there_is_no_such_call_hangs_up_on_nobody() {
        let talks = || {
            rings(&[(3, "c")])
                .response(9, 3, 1, 200, "INVITE", "c", 1)
                .but("Call-ID: c", "Call-ID: leg-c")
                .response(20, 1, 2, 200, "INVITE", "a", 1)
                .request(100, 1, 3, "INVITE", "r", 2)
                .within()
                .but("Call-ID: c", "Call-ID: leg-c")
        };
        let ended = |tale: Tale| tale.request(110, 1, 2, "BYE", "e", 1).within_by_callee().ends(60_000);
        assert!(breaks("D23", &ended(talks())));
        // The request came damaged, so that its answer names another tag.
        let told = talks()
            .response(105, 3, 1, 481, "INVITE", "r", 2)
            .but("Call-ID: c", "Call-ID: leg-c")
            .but(";tag=b", ";tag=c");
        assert!(!breaks("D23", &ended(told)));
    }

    #[test]
    fn who_is_answered_as_somebody_is_rung_may_be_in_a_queue() {
        let queued = Tale::new()
            .request(0, 2, 1, "INVITE", "q", 1)
            .but("Call-ID: c", "Call-ID: q")
            .response(2, 1, 2, 200, "INVITE", "q", 1)
            .but("Call-ID: c", "Call-ID: q")
            .then(rings(&[(3, "c"), (4, "d")]))
            .response(5, 3, 1, 180, "INVITE", "c", 1)
            .but("Call-ID: c", "Call-ID: leg-c")
            .response(9, 4, 1, 200, "INVITE", "d", 1)
            .but("Call-ID: c", "Call-ID: leg-d");
        assert!(!breaks("D13", &queued.ends(2_000)), "one of the two may be an agent");
    }

    #[test]
    fn a_leg_with_the_id_of_its_caller_breaks_d24() {
        assert!(!breaks("D24", &rings(&[(3, "c")])));
        assert!(breaks("D24", &rings(&[(3, "c")]).but("Call-ID: leg-c", "Call-ID: c")));
    }

    /// Somebody calls, and the PBX rings these.
    fn rings(legs: &[(u8, &str)]) -> Tale {
        legs.iter().fold(Tale::new().request(0, 2, 1, "INVITE", "a", 1), |tale, (to, branch)| {
            let tale = tale.request(2, 1, *to, "INVITE", branch, 1);
            tale.but("Call-ID: c", &format!("Call-ID: leg-{branch}"))
        })
    }
}
