//! Registrations and passwords (RFC 3261 sections 10 and 22).

use super::log::Sip;
use super::{Evidence, Findings, Rule};
use pbx::sip::{Name, NameAddr};
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "D20",
        source: "RFC 3261 sections 10.2 and 10.3",
        sentence: "a telephone registers under one Call-ID, is told its binding, and is called only while that holds",
        find: bindings_are_told_and_kept,
    },
    Rule {
        id: "D21",
        source: "RFC 3261 sections 22.1 to 22.4",
        sentence: "nc goes up with each use of a nonce, a password that was refused is not tried a third time, and without one nobody rings",
        find: passwords_are_used_well,
    },
];

/// A password that is tried again after this was typed in again.
const BY_ITSELF: Duration = Duration::from_secs(1);

fn bindings_are_told_and_kept(evidence: &Evidence<'_>, findings: &mut Findings) {
    one_call_id(evidence, findings);
    let mut until: BTreeMap<&str, Option<Instant>> = BTreeMap::new();
    for message in evidence.log.sent() {
        // A copy tells what was so before.
        let is_copy = || {
            let told =
                evidence.log.transaction(message).map(|it| it.responses.as_slice()).unwrap_or_default();
            evidence.log.at(told).find(|first| first.is_final()).is_some_and(|first| first.at < message.at)
        };
        if message.answers("REGISTER", |status| (200..300).contains(&status)) && !is_copy() {
            let told = addresses(message);
            check_told(evidence, message, &told, findings);
            for contact in told {
                let holds = Duration::from_secs(u64::from(contact.expires().unwrap_or(0)));
                until.insert(contact.uri, Some(message.at + holds));
            }
            let asked = evidence.log.transaction(message).and_then(|it| evidence.log.at(&it.requests).next());
            // Of what came damaged nobody knows what it wished for; its answer tells what holds.
            let asked = asked.filter(|_| !evidence.log.may_copy_damage(message));
            for gone in asked.into_iter().flat_map(wished).filter(|(_, expires)| *expires == 0) {
                until.insert(gone.0, Some(message.at));
            }
        }
        let is_first = message.asks("INVITE") && message.to_tag.is_empty() && evidence.is_pbx(message.from);
        if let Some(Some(until)) = until.get(message.uri()).filter(|_| is_first && is_new(evidence, message))
            // What waits for a stream was meant to go out before.
            && evidence.log.wanted_stream(message).unwrap_or(message.meant) > *until
        {
            findings.blame(
                message.from,
                message.at,
                format!("{} is called, which held until {until}", message.uri()),
            );
        }
    }
}

/// A telephone that is started anew may take another Call-ID.
fn one_call_id(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut first: BTreeMap<(IpAddr, &str), &Sip> = BTreeMap::new();
    for (_, request) in evidence.log.transactions_of("REGISTER") {
        let Some(to) = request.headers().get(Name::To) else { continue };
        let first = *first.entry((request.from.ip(), to)).or_insert(request);
        if first.call_id != request.call_id && evidence.ran(request.from, first.at, request.at) {
            findings.blame(
                request.from,
                request.at,
                format!("{} came after {}", request.call_id, first.call_id),
            );
        }
    }
}

fn check_told(evidence: &Evidence<'_>, response: &Sip, told: &[NameAddr<'_>], findings: &mut Findings) {
    if evidence.log.may_copy_damage(response) {
        return;
    }
    let asked = evidence.log.transaction(response).and_then(|it| evidence.log.at(&it.requests).next());
    for (uri, expires) in asked.into_iter().flat_map(wished) {
        let is_told =
            told.iter().any(|contact| contact.uri == uri && contact.expires().is_some_and(|left| left > 0));
        if is_told != (expires > 0) {
            let what = if is_told { "is still told" } else { "is not told" };
            findings.blame(response.from, response.at, format!("{uri} {what}"));
        }
    }
}

/// The bindings a REGISTER asks for, with how many seconds.
fn wished(request: &Sip) -> Vec<(&str, u32)> {
    let usual =
        request.headers().get(Name::Expires).and_then(|text| text.trim().parse().ok()).unwrap_or(3_600);
    addresses(request).into_iter().map(|contact| (contact.uri, contact.expires().unwrap_or(usual))).collect()
}

fn addresses(message: &Sip) -> Vec<NameAddr<'_>> {
    message.list(Name::Contact).into_iter().filter_map(|contact| NameAddr::parse(contact).ok()).collect()
}

/// Whether it is the first send of its request.
fn is_new(evidence: &Evidence<'_>, message: &Sip) -> bool {
    let first = evidence.log.transaction(message).and_then(|it| evidence.log.at(&it.requests).next());
    first.is_some_and(|first| std::ptr::eq(first, message))
}

fn passwords_are_used_well(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut counts: BTreeMap<(IpAddr, &str), u32> = BTreeMap::new();
    // The last challenge of each dialog: when it came, its nonce, and whether it was the answer to a password.
    let mut challenged: BTreeMap<(&str, &str), (Instant, &str, bool)> = BTreeMap::new();
    for (transaction, request) in evidence.log.asked().filter(|(_, request)| request.method != "CANCEL") {
        let credentials = credentials(request);
        let nonce = credentials.and_then(|credentials| parameter(credentials, "nonce")).unwrap_or_default();
        let count = credentials.and_then(|credentials| parameter(credentials, "nc"));
        if let Some(count) = count.and_then(|nc| u32::from_str_radix(nc, 16).ok()) {
            let last = counts.insert((request.from.ip(), nonce), count).unwrap_or(0);
            if count <= last {
                findings.blame(request.from, request.at, format!("nc {count} came after {last}"));
            }
        }
        // Who answers a challenge at once has not asked anybody for another password.
        let key = (request.call_id.as_str(), request.from_tag.as_str());
        let at_once = challenged
            .get(&key)
            .filter(|(told, new, _)| *new == nonce && (*told..*told + BY_ITSELF).contains(&request.at));
        if let Some((told, _, true)) = at_once {
            let what = format!("{} came after the refusal at {told}", request.name());
            findings.blame(request.from, request.at, what);
        }
        let is_password = at_once.is_some();
        let mut answers = evidence.log.at(&transaction.responses);
        let refusal = answers.find(|response| matches!(response.status, Some(401 | 407)));
        let refusal = refusal.filter(|refusal| challenge(refusal, "stale") != Some("true"));
        let new = refusal.and_then(|refusal| challenge(refusal, "nonce")).filter(|new| *new != nonce);
        match refusal.and_then(|refusal| refusal.arrived).zip(new) {
            Some((told, new)) => challenged.insert(key, (told, new, is_password)),
            None => challenged.remove(&key),
        };
    }
    nobody_rings_for_strangers(evidence, findings);
}

/// A call that is asked for its password rings nowhere before the one with it has come.
fn nobody_rings_for_strangers(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut asked: BTreeMap<&str, Instant> = BTreeMap::new();
    // Whoever has shown a password once may have several calls under way: which of them rings is not told.
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for message in evidence.log.sent().filter(|message| message.method == "INVITE") {
        let Some(from) = message.headers().get(Name::From).and_then(|from| NameAddr::parse(from).ok()) else {
            continue;
        };
        match message.status {
            Some(401 | 407) if evidence.is_pbx(message.from) && !known.contains(from.uri) => {
                asked.insert(from.uri, message.at);
            }
            None if evidence.is_pbx(message.to) && credentials(message).is_some() => {
                asked.remove(from.uri);
                known.insert(from.uri);
            }
            None if evidence.is_pbx(message.from)
                && message.to_tag.is_empty()
                // Who has come into a call in the place of another is sent on by its own name.
                && !evidence.transfers.are_under_way(message.meant)
                && is_new(evidence, message) =>
            {
                if let Some(since) = asked.get(from.uri) {
                    let what =
                        format!("{} was called for {}, who was asked at {since}", message.uri(), from.uri);
                    findings.blame(message.from, message.at, what);
                }
            }
            Some(_) | None => {}
        }
    }
}

fn credentials(request: &Sip) -> Option<&str> {
    let headers = request.headers();
    headers.named("Authorization").or_else(|| headers.named("Proxy-Authorization"))
}

/// A parameter of the first challenge that has it.
fn challenge<'a>(response: &'a Sip, name: &str) -> Option<&'a str> {
    let headers = response.headers();
    let challenges =
        ["WWW-Authenticate", "Proxy-Authenticate"].into_iter().flat_map(|name| headers.all_named(name));
    challenges.into_iter().find_map(|challenge| parameter(challenge, name))
}

/// `name="value"` or `name=value` in a list.
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let text = text.split_once(' ').map_or(text, |(_, parameters)| parameters);
    text.split(',').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_binding_that_is_not_told_breaks_d20() {
        let registers =
            || Tale::new().request(0, 2, 1, "REGISTER", "b1", 1).with("Contact: <sip:a@10.0.0.2>;expires=60");
        let granted = |contact: &str| registers().response(5, 1, 2, 200, "REGISTER", "b1", 1).with(contact);
        let told = || granted("Contact: <sip:a@10.0.0.2>;expires=60");
        assert!(!breaks("D20", &told()));
        assert!(breaks("D20", &granted("Contact: <sip:a@10.0.0.7>;expires=60")));
        let called = |at| told().request(at, 1, 2, "INVITE", "c1", 1).but("sip:x@10.0.0.2", "sip:a@10.0.0.2");
        assert!(!breaks("D20", &called(50_000)));
        assert!(breaks("D20", &called(70_000)));
        assert!(breaks("D20", &told().request(9, 2, 1, "REGISTER", "b2", 1).but("Call-ID: c", "Call-ID: d")));
    }

    #[test]
    fn a_count_that_stands_still_breaks_d21() {
        let uses = |tale: Tale, at, branch, nc| {
            let line = format!("Authorization: Digest username=\"a\", nonce=\"n\", nc={nc}");
            tale.request(at, 2, 1, "REGISTER", branch, 1).with(&line)
        };
        let twice = |nc| uses(uses(Tale::new(), 0, "b1", "00000001"), 5_000, "b2", nc);
        assert!(!breaks("D21", &twice("00000002")));
        assert!(breaks("D21", &twice("00000001")));
        let asked = |tale: Tale, at, branch, nonce| {
            let line = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\"");
            tale.response(at, 1, 2, 401, "REGISTER", branch, 1).with(&line)
        };
        let first = asked(Tale::new().request(0, 2, 1, "REGISTER", "b0", 1), 2, "b0", "n");
        let refused = asked(uses(first, 4, "b1", "00000001"), 6, "b1", "m");
        let third = |at| uses(refused.clone(), at, "b2", "00000001").but("nonce=\"n\"", "nonce=\"m\"");
        assert!(breaks("D21", &third(10)));
        assert!(!breaks("D21", &third(5_000)));
    }

    #[test]
    fn a_stranger_for_whom_it_rings_breaks_d21() {
        let asked = Tale::new().request(0, 2, 1, "INVITE", "b1", 1).response(5, 1, 2, 407, "INVITE", "b1", 1);
        assert!(breaks("D21", &asked.request(9, 1, 3, "INVITE", "c1", 1)));
    }
}
