//! A2 of calls that an application has ordered, or that became calls of their own when one attached to them.

use super::sums;
use crate::rules::Evidence;
use crate::rules::log::Sip;
use crate::rules::session::SLACK;
use pbx::time::Instant;
use serde_json::Value;

/// What the record of a call says otherwise than it was: when it was answered, when and by whom it ended.
pub(super) fn differences(evidence: &Evidence<'_>, record: &Value, messages: &[&Sip]) -> Vec<String> {
    let moment = |key: &str| evidence.run.moment(&record[key]);
    let [started, answered, ended] = ["started_at", "answered_at", "ended_at"].map(moment);
    let (Some(started), Some(ended)) = (started, ended) else { return Vec::new() };
    let mut all: Vec<String> = sums(record, Some(started), answered, Some(ended)).into_iter().collect();
    let Some(answered) = answered else { return all };
    let begins = messages.iter().find(|message| message.asks("INVITE") && evidence.is_pbx(message.from));
    let answers = |message: &&&Sip| message.answers("INVITE", |status| (200..300).contains(&status));
    let accepted: Vec<Instant> =
        messages.iter().filter(answers).flat_map(|message| message.perhaps().chain([message.at])).collect();
    // Who comes into somebody's hand in the middle of a talk begins then, answered.
    let is_half = started == answered;
    if !is_half && !accepted.iter().any(|at| is_near(*at, answered)) {
        all.push(format!("it says answered_at {answered:?} and it was {:?}", accepted.first()));
    }
    // While its stream is being opened an INVITE waits, and others with it: it is ordered before it goes out.
    let ordered = begins.map(|invite| evidence.log.decided(invite, Some(started)));
    if let Some(ordered) = ordered.filter(|ordered| !is_half && *ordered + SLACK < started) {
        all.push(format!("it says started_at {started:?} and it was {ordered:?}"));
    }
    all.extend(end(evidence, record, messages, ended));
    all
}

/// What is wrong with its end: it is over when either side has said BYE.
fn end(evidence: &Evidence<'_>, record: &Value, messages: &[&Sip], ended: Instant) -> Option<String> {
    let byes = || messages.iter().filter(|message| message.asks("BYE"));
    let theirs: Vec<Instant> =
        byes().filter(|bye| !evidence.is_pbx(bye.from)).flat_map(|bye| bye.perhaps()).collect();
    // Who knows nothing of the call any more says so to whatever is asked (RFC 3261 section 12.2.1.2).
    let unknown = messages.iter().filter(|it| it.status.is_some_and(|status| matches!(status, 408 | 481)));
    if unknown.flat_map(|it| it.perhaps()).any(|at| is_near(at, ended)) {
        return None;
    }
    // The BYE waited for an ACK, and why it was to be sent is not to be seen here.
    let is_held = |bye: &&&Sip| {
        let since = evidence.log.held_back(bye, evidence.pbx);
        let until = bye.perhaps().chain([bye.meant]).max();
        since.is_some_and(|since| since <= ended && until.is_some_and(|until| ended <= until))
    };
    if theirs.iter().all(|left| *left >= ended) && byes().any(|bye| is_held(&bye)) {
        return None;
    }
    let ours = byes().filter(|bye| evidence.is_pbx(bye.from));
    let ours: Vec<Instant> = ours.map(|bye| evidence.log.decided(bye, Some(ended))).collect();
    if theirs.is_empty() && ours.is_empty() {
        // It ended without a word: a telephone that is gone.
        return None;
    }
    let is_then = |at: &Instant| is_near(*at, ended);
    if !theirs.iter().chain(&ours).any(is_then) {
        let first = theirs.iter().chain(&ours).min();
        return Some(format!("it says ended_at {ended:?} and it was {first:?}"));
    }
    let by_pbx = record["ended_by"] == "pbx";
    match (theirs.iter().any(is_then), ours.iter().any(is_then)) {
        (true, false) if by_pbx => {
            Some("it says that the PBX ended it, and the telephone has hung up".to_owned())
        }
        // To whom there was no stream any more nothing could be said: it was gone (RFC 3261 section 8.1.3.1).
        (false, true) if byes().any(|bye| evidence.log.is_refused(bye.from.ip(), bye.to.ip(), ended)) => None,
        (false, true) if theirs.is_empty() && !by_pbx => {
            Some(format!("it says that {} ended it, and it was the PBX", record["ended_by"]))
        }
        _ => None,
    }
}

fn is_near(one: Instant, other: Instant) -> bool {
    one.since(other).max(other.since(one)) <= SLACK
}

#[cfg(test)]
mod tests {
    use super::super::super::tale::{Tale, breaks};
    use serde_json::json;

    #[test]
    fn a_record_of_an_ordered_call_tells_what_happened() {
        assert!(!breaks("A2", &ordered("05", "01.001", "callee")));
        assert!(breaks("A2", &ordered("50", "01.001", "callee")), "it was answered after 5 ms");
        assert!(breaks("A2", &ordered("05", "01.501", "callee")), "it ended after a second");
        assert!(breaks("A2", &ordered("05", "01.001", "pbx")), "the telephone has hung up");
    }

    /// The PBX calls, the telephone answers after 5 ms and hangs up after a second.
    fn ordered(answered: &str, ended: &str, by: &str) -> Tale {
        let seconds = |text: &str| text.parse::<f64>().expect("a number");
        let (began, answer, end) = (0.0, seconds(&format!("0.0{answered}")), seconds(ended));
        let record = json!({
            "call_id": "c1",
            "sip_call_id": "c",
            "started_at": "2026-01-01T00:00:00.000000Z",
            "answered_at": format!("2026-01-01T00:00:00.0{answered}000Z"),
            "ended_at": format!("2026-01-01T00:00:{ended}000Z"),
            "duration_secs": end - began,
            "billed_secs": end - answer,
            "disposition": "answered",
            "status": 200,
            "ended_by": by,
        });
        Tale::new()
            .request(0, 1, 2, "INVITE", "b1", 1)
            .response(5, 2, 1, 200, "INVITE", "b1", 1)
            .request(1_000, 2, 1, "BYE", "b3", 2)
            .within_by_callee()
            .with_record(record)
    }
}
