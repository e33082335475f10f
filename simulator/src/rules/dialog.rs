//! Requests within a dialog (RFC 3261 sections 12 and 15).

use super::log::{Dialog, Sip};
use super::repeat::{PATIENCE, SLACK, T1};
use super::{Evidence, Findings, Rule};
use pbx::sip::{Name, NameAddr};
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "D1",
        source: "RFC 3261 sections 12.2.1.1 and 22.2",
        sentence: "each new request of one side in a dialog has the next CSeq",
        find: cseq_counts,
    },
    Rule {
        id: "D2",
        source: "RFC 3261 section 12.2.2",
        sentence: "a request whose CSeq is lower than that of an earlier one is refused",
        find: old_numbers_are_refused,
    },
    Rule {
        id: "D3",
        source: "RFC 3261 sections 12.1 and 12.2.1.1",
        sentence: "a request within a dialog goes to the Contact of the other side, by the route of the dialog",
        find: requests_go_to_the_contact,
    },
    Rule {
        id: "D4",
        source: "RFC 3261 section 12.2.2",
        sentence: "a request for a dialog that does not exist is answered 481, and its ACK not at all",
        find: unknown_dialogs_are_refused,
    },
    Rule {
        id: "D5",
        source: "RFC 3261 section 15",
        sentence: "the callee sends BYE only after its 2xx, and after the ACK or 64 T1",
        find: callees_wait_with_bye,
    },
    Rule {
        id: "D6",
        source: "RFC 3261 sections 15.1.1 and 15.1.2",
        sentence: "who has said BYE, or answered it, asks for nothing more in the dialog",
        find: nothing_after_bye,
    },
    Rule {
        id: "D7",
        source: "RFC 3261 section 15.1",
        sentence: "a BYE that crosses another is answered 200 or 481",
        find: crossing_byes_end,
    },
    Rule {
        id: "D8",
        source: "RFC 3261 section 12.2.1.2",
        sentence: "who is told 408 or 481 within a dialog asks for nothing more in it but BYE",
        find: nothing_after_481,
    },
    Rule {
        id: "D12",
        source: "RFC 3261 sections 8.1.1.8 and 12.1.1",
        sentence: "INVITE and its 2xx have one Contact, with sips where they were asked for by sips",
        find: invites_have_one_contact,
    },
    Rule {
        id: "D14",
        source: "a promise of the PBX",
        sentence: "when everything has come to rest nobody is in a call any more",
        find: nobody_talks_any_more,
    },
];

fn cseq_counts(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut last: BTreeMap<_, &Sip> = BTreeMap::new();
    let mut begins: BTreeMap<_, &Sip> = BTreeMap::new();
    for (_, request) in evidence.log.asked().filter(|(_, request)| request.method != "CANCEL") {
        let side = (request.call_id.as_str(), request.from_tag.as_str());
        let key = |to_tag| (side, to_tag);
        // Of one INVITE several dialogs may come, and each counts on from it; in one of them the other side may
        // have no tag, or none that can be read (section 12.1.2).
        let begun = begins.get(&side).copied().filter(|_| !last.contains_key(&key(&request.to_tag)));
        if request.to_tag.is_empty() && matches!(request.method.as_str(), "INVITE" | "SUBSCRIBE" | "REFER") {
            begins.insert(side, request);
        }
        match begun.or(last.insert(key(&request.to_tag), request)) {
            // The same request, sent to another place.
            Some(before) if before.cseq == request.cseq && before.method == request.method => {}
            // One that was to go over a connection which could not be had is nowhere to be seen.
            Some(before) if before.cseq < request.cseq && was_unreachable(evidence, before, request) => {}
            Some(before) if before.cseq + 1 != request.cseq => {
                let what = format!("{} has {} after {}", request.method, request.cseq, before.cseq);
                findings.blame(request.from, request.at, what);
            }
            Some(_) | None => {}
        }
    }
}

/// Whether somebody tried to open a stream between two requests that were to go over one.
fn was_unreachable(evidence: &Evidence<'_>, before: &Sip, request: &Sip) -> bool {
    let tried = evidence.log.opened.get(&(request.from.ip(), request.to.ip()));
    let between = |at: &Instant| *at > before.at && *at < request.at;
    !request.over_udp && tried.is_some_and(|tried| tried.iter().any(between))
}

fn old_numbers_are_refused(evidence: &Evidence<'_>, findings: &mut Findings) {
    for dialog in &evidence.log.dialogs {
        let mut came: Vec<(Instant, &Sip)> = new_requests(evidence, dialog)
            .filter(|request| !["ACK", "CANCEL"].contains(&request.method.as_str()))
            // Who does not know the dialog yet has seen no number in it.
            .filter(|request| final_of(evidence, request).is_none_or(|told| told.status != Some(481)))
            .filter_map(|request| Some((request.arrived?, request)))
            .collect();
        came.sort_by_key(|(arrived, _)| *arrived);
        let mut highest: BTreeMap<bool, (Instant, u32)> = BTreeMap::new();
        for (arrived, request) in came {
            let (since, number) =
                *highest.entry(dialog.is_from_caller(request)).or_insert((arrived, request.cseq));
            if request.cseq < number && since < arrived && evidence.ran(request.to, since, arrived) {
                // What was said before was said to a copy that had come another way.
                let is_taken = |answer: &&Sip| answer.status < Some(300) && answer.at >= arrived;
                let answer = final_of(evidence, request).filter(is_taken);
                if let Some(answer) = answer {
                    let what = format!(
                        "{} of {} after {number} got {}",
                        request.method,
                        request.cseq,
                        answer.name()
                    );
                    findings.blame(answer.from, answer.at, what);
                }
            }
            if request.cseq > number {
                highest.insert(dialog.is_from_caller(request), (arrived, request.cseq));
            }
        }
    }
}

fn requests_go_to_the_contact(evidence: &Evidence<'_>, findings: &mut Findings) {
    for dialog in &evidence.log.dialogs {
        let Some(invite) = first_of(evidence, dialog) else { continue };
        let mut contacts: BTreeMap<bool, BTreeSet<&str>> = BTreeMap::new();
        contacts.entry(true).or_default().extend(contact(invite));
        contacts.entry(true).or_default().extend(damaged_contacts(evidence, dialog));
        let mut has_route = !invite.list(Name::RecordRoute).is_empty();
        for (place, message) in dialog.messages.iter().zip(evidence.log.at(&dialog.messages)) {
            let is_caller = dialog.is_from_caller(message);
            has_route |= !message.list(Name::RecordRoute).is_empty();
            // One that came damaged may have been understood.
            let said = [Some(message), evidence.log.ghost(*place)];
            contacts.entry(is_caller).or_default().extend(said.into_iter().flatten().filter_map(contact));
            // Where it cannot be read who was called is found where it was called.
            let stays = (message.damaged.is_some() && !is_caller).then(|| invite.uri());
            contacts.entry(is_caller).or_default().extend(stays);
            // CANCEL, and the ACK to a refusal, go where their INVITE went.
            let goes_by_itself =
                message.is_request() && message.method != "CANCEL" && !is_hop_by_hop(evidence, message);
            if !goes_by_itself {
                continue;
            }
            let targets = contacts.get(&!is_caller);
            if !targets.is_some_and(|targets| targets.contains(message.uri())) {
                findings.blame(
                    message.from,
                    message.at,
                    format!("{} went to {}", message.name(), message.uri()),
                );
            }
            if !has_route && !message.list(Name::Route).is_empty() {
                findings.blame(
                    message.from,
                    message.at,
                    format!("{} has a Route, the dialog none", message.name()),
                );
            }
        }
    }
}

fn unknown_dialogs_are_refused(evidence: &Evidence<'_>, findings: &mut Findings) {
    // The tags that hosts gave out, of which dialogs are made.
    let mut given: BTreeSet<(&str, &str)> = BTreeSet::new();
    for message in evidence.log.sent() {
        // Whose NOTIFY waits for a stream has said its tag all the same.
        if message.is_request() || ["INVITE", "SUBSCRIBE"].contains(&message.method.as_str()) {
            let own = if message.is_request() { &message.from_tag } else { &message.to_tag };
            given.insert((&message.call_id, own));
        }
    }
    let is_within = |request: &Sip| {
        !request.to_tag.is_empty() && !["ACK", "CANCEL", "REGISTER"].contains(&request.method.as_str())
    };
    for (transaction, request) in evidence.log.asked().filter(|(_, request)| is_within(request)) {
        let is_known = given.contains(&(request.call_id.as_str(), request.to_tag.as_str()));
        let answer = evidence.log.at(&transaction.responses).find(|response| response.is_final());
        if let Some(answer) = answer.filter(|answer| !is_known && answer.status < Some(300)) {
            findings.blame(answer.from, answer.at, format!("{} got {}", request.name(), answer.name()));
        }
    }
}

fn callees_wait_with_bye(evidence: &Evidence<'_>, findings: &mut Findings) {
    for dialog in &evidence.log.dialogs {
        let Some(invite) = first_of(evidence, dialog) else { continue };
        let within = || evidence.log.at(&dialog.messages);
        let Some(bye) = within().find(|bye| bye.asks("BYE") && !dialog.is_from_caller(bye)) else { continue };
        let mut answers = within().filter(|answer| {
            answer.answers("INVITE", |status| (200..300).contains(&status)) && answer.cseq == invite.cseq
        });
        let Some(answer) = answers.find(|answer| answer.from.ip() == bye.from.ip() && answer.at <= bye.at)
        else {
            findings.blame(bye.from, bye.at, "nothing was answered yet");
            continue;
        };
        let acks = within().filter(|ack| ack.asks("ACK") && ack.cseq == invite.cseq);
        // Who changes the session has had the 2xx, though its ACK was lost (RFC 5407 section 3.1.4).
        let changes = within().filter(|change| {
            change.asks("INVITE") && change.from.ip() != bye.from.ip() && change.at > answer.at
        });
        let acked = acks.chain(changes).flat_map(Sip::perhaps).min();
        // On a stream that has just broken the first of them may never have been written.
        let unseen = if answer.over_udp { Duration::ZERO } else { T1 };
        let since = evidence.log.attempts(answer).into_iter().min().unwrap_or(answer.meant);
        let is_patient = bye.at + SLACK + unseen >= since + PATIENCE;
        if !is_patient && acked.is_none_or(|acked| acked > bye.at) {
            findings.blame(bye.from, bye.at, "no ACK had come");
        }
    }
}

fn nothing_after_bye(evidence: &Evidence<'_>, findings: &mut Findings) {
    for dialog in &evidence.log.dialogs {
        let mut over: BTreeMap<bool, &Sip> = BTreeMap::new();
        let mut seen: BTreeSet<usize> = BTreeSet::new();
        for message in evidence.log.at(&dialog.messages) {
            let is_caller = dialog.is_from_caller(message);
            let is_new = message.is_request() && message.transaction.is_some_and(|at| seen.insert(at));
            let asks = is_new && !["ACK", "CANCEL", "BYE"].contains(&message.method.as_str());
            // Who was asked to call somebody else says what becomes of it, the talk be over or not: BYE ends no subscription
            // (RFC 5057 section 4.1).
            let asks = asks && !(message.method == "NOTIFY" && is_referred(evidence, dialog, message));
            // What waited for its stream was asked before.
            if let Some(end) = over.get(&is_caller).filter(|end| asks && message.meant > end.at) {
                findings.blame(
                    message.from,
                    message.at,
                    format!("{} came after {}", message.name(), end.name()),
                );
            }
            if message.asks("BYE") || message.answers("BYE", |status| (200..300).contains(&status)) {
                over.entry(is_caller).or_insert(message);
            }
        }
    }
}

/// Whether somebody has taken a REFER in a dialog before he sends this.
fn is_referred(evidence: &Evidence<'_>, dialog: &Dialog, message: &Sip) -> bool {
    let is_taken = |answer: &Sip| answer.answers("REFER", |status| (200..300).contains(&status));
    let mut before = evidence.log.at(&dialog.messages).take_while(|other| other.at <= message.at);
    before.any(|answer| answer.from.ip() == message.from.ip() && is_taken(answer))
}

fn crossing_byes_end(evidence: &Evidence<'_>, findings: &mut Findings) {
    for dialog in &evidence.log.dialogs {
        let byes: Vec<&Sip> =
            new_requests(evidence, dialog).filter(|request| request.method == "BYE").collect();
        let cross = byes.iter().any(|bye| dialog.is_from_caller(bye))
            && byes.iter().any(|bye| !dialog.is_from_caller(bye));
        // One with a number that was left behind is refused with 500 (section 12.2.2).
        let is_late = |bye: &&Sip| {
            new_requests(evidence, dialog).any(|other| {
                dialog.is_from_caller(other) == dialog.is_from_caller(bye)
                    && other.at < bye.at
                    && other.cseq > bye.cseq
            })
        };
        for bye in byes.into_iter().filter(|bye| cross && !is_late(bye) && !is_astray(evidence, dialog, bye))
        {
            let answer = final_of(evidence, bye).filter(|answer| !evidence.log.is_to_damaged(answer));
            if let Some(answer) =
                answer.filter(|answer| !matches!(answer.status, Some(200 | 481 | 401 | 407)))
            {
                findings.blame(answer.from, answer.at, format!("it got {}", answer.name()));
            }
        }
    }
}

fn nothing_after_481(evidence: &Evidence<'_>, findings: &mut Findings) {
    for dialog in &evidence.log.dialogs {
        let mut told: BTreeMap<bool, (Instant, &Sip)> = BTreeMap::new();
        for response in
            evidence.log.at(&dialog.messages).filter(|response| matches!(response.status, Some(408 | 481)))
        {
            // A PRACK may miss its response, a CANCEL its INVITE: no dialog ends with that.
            if let Some(arrived) =
                response.arrived.filter(|_| !["PRACK", "CANCEL"].contains(&response.method.as_str()))
            {
                told.entry(!dialog.is_from_caller(response)).or_insert((arrived, response));
            }
        }
        if told.is_empty() {
            continue;
        }
        for request in new_requests(evidence, dialog) {
            let harmless = ["BYE", "ACK", "CANCEL"].contains(&request.method.as_str());
            if let Some((since, end)) = told.get(&dialog.is_from_caller(request)).filter(|_| !harmless)
                && request.meant > *since
            {
                findings.blame(
                    request.from,
                    request.at,
                    format!("{} came after {}", request.name(), end.name()),
                );
            }
        }
    }
}

fn invites_have_one_contact(evidence: &Evidence<'_>, findings: &mut Findings) {
    let has_one = |message: &Sip| message.list(Name::Contact).len() == 1;
    for message in evidence.log.sent() {
        if !message.asks("INVITE") && !message.answers("INVITE", |status| (200..300).contains(&status)) {
            continue;
        }
        let count = message.list(Name::Contact).len();
        if !has_one(message) {
            findings.blame(message.from, message.at, format!("{} has {count}", message.name()));
        }
        let is_sips = contact(message).is_some_and(|uri| uri.starts_with("sips:"));
        if message.uri().starts_with("sips:") && !is_sips {
            findings.blame(message.from, message.at, format!("{} has one without", message.name()));
        }
    }
}

fn nobody_talks_any_more(evidence: &Evidence<'_>, findings: &mut Findings) {
    let is_call = |left: &&String| left.contains("calls") || left.contains("telephone");
    if let Some(left) = evidence.run.left_over.iter().find(is_call) {
        findings.add(evidence.run.end, left.clone());
    }
}

/// What came damaged of the INVITE that began a dialog says where its caller is.
fn damaged_contacts<'a>(evidence: &'a Evidence<'_>, dialog: &Dialog) -> impl Iterator<Item = &'a str> {
    let begun_by = dialog.begun_by.map(|at| &evidence.log.transactions[at]);
    let ghosts = begun_by.into_iter().flat_map(|begun_by| evidence.log.at(&begun_by.ghosts));
    ghosts.filter(|ghost| ghost.is_request()).filter_map(contact)
}

/// Whether a request goes to what came of a Contact of the other side that was damaged on its way.
pub(super) fn is_astray(evidence: &Evidence<'_>, dialog: &Dialog, request: &Sip) -> bool {
    let places = dialog.messages.iter().filter_map(|place| evidence.log.ghost(*place));
    let mut damaged = places.filter_map(contact).chain(damaged_contacts(evidence, dialog));
    let invite = first_of(evidence, dialog).into_iter();
    let mut given = invite.chain(evidence.log.at(&dialog.messages)).filter_map(contact);
    damaged.any(|target| target == request.uri()) && !given.any(|target| target == request.uri())
}

/// The INVITE that began a dialog.
pub(super) fn first_of<'a>(evidence: &'a Evidence<'_>, dialog: &Dialog) -> Option<&'a Sip> {
    let transaction = &evidence.log.transactions[dialog.begun_by?];
    evidence.log.at(&transaction.requests).next()
}

/// The requests within a dialog, without copies.
pub(super) fn new_requests<'a>(
    evidence: &'a Evidence<'_>,
    dialog: &'a Dialog,
) -> impl Iterator<Item = &'a Sip> {
    let mut seen = BTreeSet::new();
    let requests = evidence.log.at(&dialog.messages).filter(|message| message.is_request());
    requests.filter(move |request| seen.insert((request.transaction, &request.method)))
}

/// The final response to a request.
pub(super) fn final_of<'a>(evidence: &'a Evidence<'_>, request: &Sip) -> Option<&'a Sip> {
    let transaction = evidence.log.transaction(request)?;
    evidence.log.at(&transaction.responses).find(|response| response.is_final())
}

/// Whether it is the ACK to a refusal.
fn is_hop_by_hop(evidence: &Evidence<'_>, message: &Sip) -> bool {
    let transaction = evidence.log.transaction(message);
    message.method == "ACK" && transaction.is_some_and(|transaction| !transaction.requests.is_empty())
}

pub(super) fn contact(message: &Sip) -> Option<&str> {
    NameAddr::parse(message.list(Name::Contact).into_iter().next()?).ok().map(|contact| contact.uri)
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_number_that_is_left_out_breaks_d1() {
        assert!(breaks("D1", &talk().bye(3)));
        assert!(!breaks("D1", &talk().bye(2)));
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

    #[test]
    fn an_old_number_that_is_taken_breaks_d2() {
        let old = || {
            talk().request(100, 2, 1, "INFO", "b3", 5).within().request(200, 2, 1, "INFO", "b4", 4).within()
        };
        assert!(breaks("D2", &old().response(205, 1, 2, 200, "INFO", "b4", 4)));
        assert!(!breaks("D2", &old().response(205, 1, 2, 500, "INFO", "b4", 4)));
    }

    #[test]
    fn a_request_that_goes_elsewhere_breaks_d3() {
        assert!(!breaks("D3", &talk().bye(2).but("sip:x@", "sip:b@")));
        assert!(breaks("D3", &talk().bye(2).but("sip:x@", "sip:c@")));
        assert!(breaks("D3", &talk().bye(2).but("sip:x@", "sip:b@").with("Route: <sip:p;lr>")));
    }

    #[test]
    fn an_unknown_dialog_that_is_ended_breaks_d4() {
        let bye = || Tale::new().request(0, 2, 1, "BYE", "b1", 1).within();
        assert!(breaks("D4", &bye().response(5, 1, 2, 200, "BYE", "b1", 1)));
        assert!(!breaks("D4", &bye().response(5, 1, 2, 481, "BYE", "b1", 1)));
    }

    #[test]
    fn a_callee_that_hangs_up_before_the_ack_breaks_d5() {
        let bye = |tale: Tale, at| tale.request(at, 1, 2, "BYE", "c1", 1).within_by_callee();
        assert!(breaks("D5", &bye(answered(), 900)));
        assert!(!breaks("D5", &bye(answered(), 32_010)));
        assert!(!breaks("D5", &bye(talk(), 900)));
    }

    #[test]
    fn a_request_after_bye_breaks_d6() {
        assert!(breaks("D6", &talk().bye(2).request(60, 2, 1, "INFO", "b9", 3).within()));
        assert!(!breaks("D6", &talk().request(40, 2, 1, "INFO", "b9", 2).within().bye(3)));
        let asked = talk().request(40, 1, 2, "REFER", "r1", 2).within_by_callee();
        let told = |tale: Tale| tale.bye(2).request(60, 2, 1, "NOTIFY", "b9", 3).within();
        assert!(!breaks("D6", &told(asked.clone().response(41, 2, 1, 202, "REFER", "r1", 2))));
        assert!(breaks("D6", &told(asked.response(41, 2, 1, 603, "REFER", "r1", 2))));
    }

    #[test]
    fn a_crossing_bye_that_is_refused_breaks_d7() {
        let both = || talk().bye(2).request(50, 1, 2, "BYE", "c1", 1).within_by_callee();
        assert!(breaks("D7", &both().response(55, 1, 2, 500, "BYE", "bye", 2)));
        assert!(!breaks("D7", &both().response(55, 1, 2, 200, "BYE", "bye", 2)));
    }

    #[test]
    fn a_request_after_481_breaks_d8() {
        let told =
            || talk().request(50, 2, 1, "INFO", "b5", 2).within().response(55, 1, 2, 481, "INFO", "b5", 2);
        assert!(breaks("D8", &told().request(90, 2, 1, "INFO", "b6", 3).within()));
        assert!(!breaks("D8", &told().bye(3)));
    }

    #[test]
    fn an_invite_with_two_contacts_breaks_d12() {
        let asked = |line| Tale::new().request(0, 2, 1, "INVITE", "b1", 1).with(line);
        assert!(!breaks("D12", &asked("Contact: <sip:a@h>")));
        assert!(breaks("D12", &asked("Contact: <sip:a@h>, <sip:a@i>")));
        assert!(breaks("D12", &asked("Contact: <sip:a@h>").but("INVITE sip:", "INVITE sips:")));
    }

    #[test]
    fn a_call_that_is_left_breaks_d14() {
        assert!(breaks("D14", &talk().leaves("the PBX has 1 calls")));
        assert!(!breaks("D14", &talk()));
    }

    fn answered() -> Tale {
        Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .with("Contact: <sip:a@10.0.0.2>")
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .with("Contact: <sip:b@10.0.0.1>")
    }

    fn talk() -> Tale {
        answered().request(7, 2, 1, "ACK", "b2", 1).within().but("sip:x@", "sip:b@")
    }

    impl Tale {
        fn bye(self, cseq: u32) -> Tale {
            self.request(50, 2, 1, "BYE", "bye", cseq).within()
        }
    }
}
