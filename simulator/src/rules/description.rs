//! Offers and answers (RFC 3264).

use super::log::{Log, Sip};
use super::{Evidence, Findings, Rule};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "S1",
        source: "RFC 3264 section 6",
        sentence: "an answer has the streams of its offer, in their order",
        find: answers_have_the_streams,
    },
    Rule {
        id: "S3",
        source: "RFC 3264 section 8",
        sentence: "the o= line of one side stays the same but for its version, which goes up by one when something changed",
        find: origins_are_constant,
    },
    Rule {
        id: "S5",
        source: "RFC 3264 section 6.1",
        sentence: "an answer wants no more direction than its offer allows",
        find: directions_fit,
    },
];

/// An offer and the answer to it.
struct Exchange<'a> {
    offer: &'a str,
    answer: &'a str,
    answered_by: &'a Sip,
}

fn answers_have_the_streams(evidence: &Evidence<'_>, findings: &mut Findings) {
    for Exchange { offer, answer, answered_by } in exchanges(&evidence.log) {
        let (offered, answered) = (kinds(offer), kinds(answer));
        if offered != answered {
            let name = answered_by.name();
            findings.blame(
                answered_by.from,
                answered_by.at,
                format!("{name} has {answered:?} for {offered:?}"),
            );
        }
    }
}

fn directions_fit(evidence: &Evidence<'_>, findings: &mut Findings) {
    for Exchange { offer, answer, answered_by } in exchanges(&evidence.log) {
        let (offered, answered) = (direction(offer), direction(answer));
        let allowed: &[&str] = match offered {
            "sendonly" => &["recvonly", "inactive"],
            "recvonly" => &["sendonly", "inactive"],
            "inactive" => &["inactive"],
            _ => &["sendrecv", "sendonly", "recvonly", "inactive"],
        };
        if !allowed.contains(&answered) {
            findings.add(answered_by.at, format!("{offered} was answered {answered}"));
        }
    }
}

fn origins_are_constant(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut last: BTreeMap<_, (&str, &str)> = BTreeMap::new();
    for message in &evidence.log.messages {
        let Some((sdp, origin)) = message.sdp.as_deref().and_then(|sdp| Some((sdp, origin(sdp)?))) else {
            continue;
        };
        // Each telephone that one INVITE rings has an o= line of its own.
        let own_tag = if message.is_request() { &message.from_tag } else { &message.to_tag };
        let key = (message.from.ip(), &message.call_id, own_tag);
        let Some((before, origin_before)) = last.insert(key, (sdp, origin)) else { continue };
        let (then, version_then) = split(origin_before);
        let (now, version) = split(origin);
        let expected = version_then + u64::from(rest(before) != rest(sdp));
        if then != now {
            findings.add(message.at, format!("{} has o={origin} after {origin_before}", message.name()));
        } else if version != expected {
            findings.add(message.at, format!("{} has version {version}, not {expected}", message.name()));
        }
    }
}

/// The offers that were answered in the response, or, where the offer was in a 2xx, in its ACK.
fn exchanges(log: &Log) -> Vec<Exchange<'_>> {
    let mut offers: BTreeMap<_, &str> = BTreeMap::new();
    let mut late: BTreeMap<_, &str> = BTreeMap::new();
    let mut exchanges = Vec::new();
    for message in &log.messages {
        let request = (&message.branch, &message.method);
        let dialog = (&message.call_id, message.cseq);
        match (message.status, message.sdp.as_deref()) {
            (None, Some(answer)) if message.method == "ACK" => {
                if let Some(offer) = late.get(&dialog) {
                    exchanges.push(Exchange { offer, answer, answered_by: message });
                }
            }
            // PRACK carries an answer or an offer; which, is not told by the message alone.
            (_, Some(_)) if message.method == "PRACK" => {}
            (None, Some(offer)) => {
                offers.insert(request, offer);
            }
            (Some(_), Some(sdp)) => match offers.get(&request) {
                Some(offer) => exchanges.push(Exchange { offer, answer: sdp, answered_by: message }),
                None => {
                    late.insert(dialog, sdp);
                }
            },
            (_, None) => {}
        }
    }
    exchanges
}

fn kinds(sdp: &str) -> Vec<&str> {
    sdp.lines().filter_map(|line| line.strip_prefix("m=")?.split(' ').next()).collect()
}

/// The direction of the first stream.
fn direction(sdp: &str) -> &str {
    let names = ["sendrecv", "sendonly", "recvonly", "inactive"];
    let attributes = sdp.lines().filter_map(|line| line.strip_prefix("a="));
    attributes.rev().find(|attribute| names.contains(attribute)).unwrap_or("sendrecv")
}

fn origin(sdp: &str) -> Option<&str> {
    sdp.lines().find_map(|line| line.strip_prefix("o="))
}

/// The o= line without its version, and the version.
fn split(origin: &str) -> (String, u64) {
    let mut words: Vec<&str> = origin.split(' ').collect();
    let version = if words.len() > 2 { words.remove(2).parse().unwrap_or(0) } else { 0 };
    (words.join(" "), version)
}

/// Everything but the o= line.
fn rest(sdp: &str) -> Vec<&str> {
    sdp.lines().filter(|line| !line.starts_with("o=")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};

    const OFFER: &str = "v=0\r\no=a 1 1 IN IP4 h\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

    #[test]
    fn an_answer_without_the_stream_breaks_s1() {
        assert_eq!(broken(&exchange("v=0\r\no=b 1 1 IN IP4 h\r\na=recvonly\r\n")), ["S1"]);
    }

    #[test]
    fn a_wrong_direction_breaks_s5() {
        let answer = "v=0\r\no=b 1 1 IN IP4 h\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n";
        assert_eq!(broken(&exchange(answer)), ["S5"]);
    }

    #[test]
    fn a_change_without_a_new_version_breaks_s3() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(OFFER)
            .request(9_000, 2, 1, "INVITE", "b2", 2)
            .describes(&OFFER.replace("4000", "4002"));
        assert_eq!(broken(&tale), ["S3"]);
    }

    #[test]
    fn what_fits_breaks_nothing() {
        let answer = "v=0\r\no=b 1 1 IN IP4 h\r\nm=audio 4000 RTP/AVP 0\r\na=recvonly\r\n";
        assert_eq!(broken(&exchange(answer)), [""; 0]);
    }

    fn exchange(answer: &str) -> Tale {
        Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(OFFER)
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .describes(answer)
    }
}
