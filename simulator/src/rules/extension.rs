//! Reliable provisional responses (RFC 3262), session timers (RFC 4028), OPTIONS (RFC 3261 section 11).

use super::dialog::new_requests;
use super::log::{Dialog, Sip, Transaction};
use super::repeat::{PATIENCE, SLACK};
use super::{Evidence, Findings, Rule};
use pbx::sip::Name;
use pbx::time::{Duration, Instant};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "D15",
        source: "RFC 3262 sections 3 and 4",
        sentence: "reliable responses are numbered one by one, each waits for the PRACK of the one before, and PRACK names one that came",
        find: reliable_responses_wait,
    },
    Rule {
        id: "D18",
        source: "RFC 4028 sections 7 to 10",
        sentence: "a session with a timer is refreshed or ended in time, and 422 says what is long enough",
        find: sessions_are_refreshed,
    },
    Rule {
        id: "D22",
        source: "RFC 3261 section 11.2",
        sentence: "who answers OPTIONS says what is allowed, INVITE too if calls are taken",
        find: options_say_what_is_allowed,
    },
];

fn reliable_responses_wait(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, _) in evidence.log.transactions_of("INVITE") {
        let mut last: Option<(u32, &Sip)> = None;
        for response in evidence.log.at(&transaction.responses) {
            let Some((before, first)) = last else {
                last = rseq(response).map(|number| (number, response));
                continue;
            };
            let number = rseq(response);
            if number == Some(before) {
                continue;
            }
            // An answer may come before the PRACK unless a description is under way (section 3).
            let waits = number.is_some()
                || (response.answers("INVITE", |status| (200..300).contains(&status)) && first.sdp.is_some());
            let acked = pracks(evidence, first).filter(|(_, said)| *said == Some(before));
            let acked = acked.flat_map(|(prack, _)| prack.perhaps()).min();
            if waits && acked.is_none_or(|acked| acked > response.at) {
                let what = format!("{} came before the PRACK of {before}", response.name());
                findings.blame(response.from, response.at, what);
            }
            if let Some(number) = number {
                if number != before + 1 {
                    findings.blame(response.from, response.at, format!("{number} came after {before}"));
                }
                last = Some((number, response));
            }
        }
        check_pracks(evidence, transaction, findings);
    }
}

fn check_pracks(evidence: &Evidence<'_>, transaction: &Transaction, findings: &mut Findings) {
    let Some(first) = evidence.log.at(&transaction.responses).find(|response| rseq(response).is_some())
    else {
        return;
    };
    for (prack, said) in pracks(evidence, first) {
        let mut told = evidence.log.at(&transaction.responses).chain(evidence.log.at(&transaction.ghosts));
        let came = |response: &Sip| response.arrivals().any(|arrived| arrived <= prack.at);
        if !told.any(|response| rseq(response) == said && came(response)) {
            findings.blame(prack.from, prack.at, format!("PRACK names {said:?}, which had not come"));
        }
    }
}

/// The PRACKs of a dialog that are for the INVITE of this response, with the number each names.
fn pracks<'a>(evidence: &'a Evidence<'_>, response: &Sip) -> impl Iterator<Item = (&'a Sip, Option<u32>)> {
    let dialog = evidence.log.dialog(response).map(|dialog| dialog.messages.as_slice()).unwrap_or_default();
    let cseq = response.cseq;
    evidence.log.at(dialog).filter(|message| message.asks("PRACK")).filter_map(move |prack| {
        let mut words = prack.headers().get(Name::Rack)?.split_whitespace();
        let (number, of) = (words.next()?.parse().ok(), words.next()?.parse::<u32>().ok()?);
        (of == cseq).then_some((prack, number))
    })
}

fn rseq(response: &Sip) -> Option<u32> {
    response.headers().named("RSeq")?.trim().parse().ok().filter(|_| response.is_provisional())
}

fn sessions_are_refreshed(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (refusal, _) in evidence.log.responses().filter(|(_, status)| *status == 422) {
        if refusal.headers().named("Min-SE").is_none() {
            findings.blame(refusal.from, refusal.at, "422 has no Min-SE");
        }
    }
    for dialog in &evidence.log.dialogs {
        let over =
            new_requests(evidence, dialog).filter(|request| request.method == "BYE").map(|bye| bye.at).min();
        let refreshes = refreshes(evidence, dialog);
        for (at, (response, interval)) in refreshes.iter().enumerate() {
            let expires = response.at + *interval + SLACK;
            let next = refreshes.get(at + 1).map(|(next, _)| next.at).into_iter().chain(over).min();
            let refresher = if is_by_asker(response) { response.to } else { response.from };
            let ran = expires < evidence.run.end && evidence.ran(refresher, response.at, expires);
            if ran && next.is_none_or(|next| next > expires + PATIENCE) {
                findings.blame(refresher, expires, format!("nothing had come since {}", response.at));
            }
        }
    }
}

/// The answers that begin or refresh the session of a dialog, each with how long that holds.
fn refreshes<'a>(evidence: &'a Evidence<'_>, dialog: &'a Dialog) -> Vec<(&'a Sip, Duration)> {
    let mut refreshes: Vec<(&Sip, Duration)> = Vec::new();
    let mut last: Option<Instant> = None;
    for response in evidence.log.at(&dialog.messages) {
        let is_one = |method: &str| response.answers(method, |status| (200..300).contains(&status));
        if !is_one("INVITE") && !is_one("UPDATE") {
            continue;
        }
        let expires = response.headers().named("Session-Expires").or_else(|| response.headers().named("x"));
        let seconds = expires.and_then(|text| text.split(';').next()?.trim().parse::<u64>().ok());
        if let Some(seconds) = seconds.filter(|_| last != Some(response.at)) {
            last = Some(response.at);
            refreshes.push((response, Duration::from_secs(seconds)));
        }
    }
    refreshes
}

fn is_by_asker(response: &Sip) -> bool {
    let expires = response.headers().named("Session-Expires").unwrap_or_default();
    expires.to_ascii_lowercase().contains("refresher=uac")
}

fn options_say_what_is_allowed(evidence: &Evidence<'_>, findings: &mut Findings) {
    let callable: std::collections::BTreeSet<_> = evidence
        .log
        .responses()
        .filter(|(response, status)| response.method == "INVITE" && (200..300).contains(status))
        .map(|(response, _)| response.from.ip())
        .collect();
    let is_good = |status: u16| (200..300).contains(&status);
    for (response, _) in
        evidence.log.responses().filter(|(it, status)| it.method == "OPTIONS" && is_good(*status))
    {
        let allowed = response.list(Name::Allow);
        if allowed.is_empty() || (callable.contains(&response.from.ip()) && !allowed.contains(&"INVITE")) {
            findings.blame(response.from, response.at, format!("{} allows {allowed:?}", response.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_reliable_response_that_does_not_wait_breaks_d15() {
        let rings = |tale: Tale, at, number| {
            tale.response(at, 1, 2, 183, "INVITE", "b1", 1).with(&format!("RSeq: {number}"))
        };
        let first = || rings(Tale::new().request(0, 2, 1, "INVITE", "b1", 1), 5, 7);
        let prack = |tale: Tale, number| {
            tale.request(10, 2, 1, "PRACK", "b2", 2).within().with(&format!("RAck: {number} 1 INVITE"))
        };
        assert!(breaks("D15", &rings(first(), 8, 8)));
        assert!(breaks("D15", &rings(prack(first(), 7), 20, 9)));
        assert!(breaks("D15", &prack(first(), 6)));
        assert!(!breaks("D15", &rings(prack(first(), 7), 20, 8)));
    }

    #[test]
    fn a_session_that_is_not_refreshed_breaks_d18() {
        let talk = || {
            Tale::new()
                .request(0, 2, 1, "INVITE", "b1", 1)
                .response(5, 1, 2, 200, "INVITE", "b1", 1)
                .with("Session-Expires: 90;refresher=uac")
        };
        assert!(breaks("D18", &talk().ends(130_000)));
        assert!(!breaks("D18", &talk().ends(80_000)));
        assert!(!breaks("D18", &talk().request(70_000, 2, 1, "BYE", "b3", 2).within().ends(130_000)));
    }

    #[test]
    fn options_without_allow_break_d22() {
        let asked =
            || Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1).response(5, 1, 2, 200, "OPTIONS", "b1", 1);
        assert!(breaks("D22", &asked()));
        assert!(!breaks("D22", &asked().with("Allow: INVITE, ACK")));
    }
}
