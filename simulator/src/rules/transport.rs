//! How messages travel (RFC 3261 section 18, RFC 3581), how far and how many.

use super::log::{Fault, Sip};
use super::{Evidence, Findings, Rule};
use pbx::sip::Name;
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "T24",
        source: "RFC 3261 sections 8.1.1.6, 16.3 and 16.6",
        sentence: "every request says how far it may go, and at 0 it goes no further",
        find: requests_have_hops,
    },
    Rule {
        id: "T25",
        source: "RFC 3261 sections 18.2.1 and 18.2.2, RFC 3581 section 4",
        sentence: "a response says where its request came from, if that was asked for or differs, and goes there",
        find: responses_go_back,
    },
    Rule {
        id: "T26",
        source: "RFC 3261 sections 18.3 and 20.14",
        sentence: "Content-Length says how long the body is",
        find: lengths_are_right,
    },
    Rule {
        id: "T27",
        source: "RFC 3261 section 18.1.1",
        sentence: "a request of more than 1300 bytes goes over UDP only where no stream could be had",
        find: large_requests_go_by_stream,
    },
    Rule {
        id: "T30",
        source: "RFC 3261 appendix A",
        sentence: "when its last timer has gone off, nothing is left of a transaction",
        find: nothing_is_left,
    },
    Rule {
        id: "T31",
        source: "RFC 5393 section 3",
        sentence: "no call makes a storm: at most 60 messages of one Call-ID in a second",
        find: nobody_storms,
    },
];

/// The largest request that may go over UDP where the path's MTU is not known.
const LARGEST: usize = 1_300;

/// How long a host may remember that a stream could not be had.
const REMEMBERED: Duration = Duration::from_secs(600);

const SECOND: Duration = Duration::from_secs(1);
const STORM: usize = 60;

fn requests_have_hops(evidence: &Evidence<'_>, findings: &mut Findings) {
    for request in evidence.log.requests() {
        let hops = request.headers().get(Name::MaxForwards).and_then(|hops| hops.trim().parse::<u32>().ok());
        if hops.is_none() {
            findings.blame(request.from, request.at, format!("{} does not", request.name()));
        }
        let Some(transaction) = evidence.log.transaction(request).filter(|_| hops == Some(0)) else {
            continue;
        };
        let goes_on = |answer: &Sip| answer.answers("INVITE", |status| (101..300).contains(&status));
        if let Some(answer) = evidence.log.at(&transaction.responses).find(|answer| goes_on(answer)) {
            findings.blame(answer.from, answer.at, format!("it was answered {}", answer.name()));
        }
    }
}

fn responses_go_back(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (response, _) in evidence.log.responses() {
        let Some(transaction) = evidence.log.transaction(response) else { continue };
        let mut requests = evidence.log.at(&transaction.requests);
        if evidence.log.is_to_damaged(response) || requests.all(|request| request.arrived.is_none()) {
            continue;
        }
        // What came damaged may have been the first for its server.
        let ghosts = evidence.log.at(&transaction.ghosts).filter(|ghost| ghost.is_request());
        let asked: Vec<&Sip> = evidence.log.at(&transaction.requests).chain(ghosts).collect();
        let wrongs: Vec<Option<String>> = asked.iter().map(|request| astray(request, response)).collect();
        if let (Some(Some(what)), true) = (wrongs.first(), wrongs.iter().all(Option::is_some)) {
            findings.blame(response.from, response.at, format!("{} {what}", response.name()));
        }
    }
}

/// What is wrong with the way a response goes, if it answers this request.
fn astray(request: &Sip, response: &Sip) -> Option<String> {
    let (asked, said) = (request.via()?, response.via()?);
    let asks = asked.params.has("rport");
    let differs = asked.host.ip() != Some(request.from.ip());
    if (asks || differs) && said.received() != Some(request.from.ip()) {
        return Some(format!("says received={:?} of {}", said.received(), request.from));
    }
    if asks && said.rport() != Some(request.from.port()) {
        return Some(format!("says rport={:?} of {}", said.rport(), request.from));
    }
    let port = if asks { request.from.port() } else { asked.port.unwrap_or(5060) };
    let port = if response.over_udp { port } else { response.to.port() };
    let goes = (request.from.ip(), port) == (response.to.ip(), response.to.port());
    (!goes).then(|| format!("went to {} and not back to {}", response.to, request.from))
}

fn lengths_are_right(evidence: &Evidence<'_>, findings: &mut Findings) {
    for noise in &evidence.log.noise {
        let what = match noise.fault {
            Fault::Length { said, really } => format!("it says {said} and {really} bytes follow"),
            Fault::Framing => "a stream goes on with something that is no message".to_owned(),
            Fault::Unreadable => continue,
        };
        findings.blame(noise.from, noise.at, what);
    }
}

fn large_requests_go_by_stream(evidence: &Evidence<'_>, findings: &mut Findings) {
    for request in evidence.log.requests().filter(|request| request.over_udp && request.bytes.len() > LARGEST)
    {
        let tried = evidence.log.opened.get(&(request.from.ip(), request.to.ip()));
        let lately = |at: &Instant| *at <= request.at && request.at.since(*at) <= REMEMBERED;
        if !tried.is_some_and(|tried| tried.iter().any(lately)) {
            let what = format!("{} has {} and none was tried", request.name(), request.bytes.len());
            findings.blame(request.from, request.at, what);
        }
    }
}

fn nothing_is_left(evidence: &Evidence<'_>, findings: &mut Findings) {
    if let Some(left) = evidence.run.left_over.first() {
        findings.add(evidence.run.end, left.clone());
    }
}

fn nobody_storms(evidence: &Evidence<'_>, findings: &mut Findings) {
    for places in evidence.log.by_call_id.values() {
        let times: Vec<&Sip> = evidence.log.at(places).filter(|message| !message.is_ghost).collect();
        let full = times.windows(STORM + 1).find(|some| some[STORM].at < some[0].at + SECOND);
        if let Some(storm) = full {
            let mut by: BTreeMap<IpAddr, usize> = BTreeMap::new();
            storm.iter().for_each(|message| *by.entry(message.from.ip()).or_default() += 1);
            let loudest = by.iter().max_by_key(|(_, count)| **count).map(|(host, _)| *host);
            let culprit =
                storm.iter().find(|message| Some(message.from.ip()) == loudest).unwrap_or(&storm[0]);
            findings.blame(culprit.from, storm[STORM].at, format!("{} came faster", storm[0].call_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_request_without_hops_breaks_t24() {
        assert!(breaks("T24", &asked()));
        assert!(!breaks("T24", &asked().with("Max-Forwards: 70")));
        let far = || Tale::new().request(0, 2, 1, "INVITE", "b1", 1).with("Max-Forwards: 0");
        assert!(breaks("T24", &far().response(5, 1, 2, 180, "INVITE", "b1", 1)));
        assert!(!breaks("T24", &far().response(5, 1, 2, 483, "INVITE", "b1", 1)));
    }

    #[test]
    fn a_response_that_goes_elsewhere_breaks_t25() {
        let answered = |to| asked().response(5, 1, to, 200, "OPTIONS", "b1", 1).but("10.0.0.3", "10.0.0.2");
        assert!(!breaks("T25", &answered(2)));
        assert!(breaks("T25", &answered(3)));
        let rport = || Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1).but(";branch", ";rport;branch");
        assert!(breaks("T25", &rport().response(5, 1, 2, 200, "OPTIONS", "b1", 1)));
        let says = rport().response(5, 1, 2, 200, "OPTIONS", "b1", 1);
        assert!(!breaks("T25", &says.but(";branch", ";received=10.0.0.2;rport=5060;branch")));
    }

    #[test]
    fn a_length_that_is_wrong_breaks_t26() {
        let says = |length| asked().with(&format!("Content-Length: {length}")).describes("hello");
        assert!(!breaks("T26", &says(5)));
        assert!(breaks("T26", &says(4)));
        assert!(breaks("T26", &says(6)));
        let garbage = asked().over_tcp().describes("hello, world\r\n\r\n");
        assert!(breaks("T26", &garbage));
    }

    #[test]
    fn a_large_request_over_udp_breaks_t27() {
        assert!(!breaks("T27", &asked().describes(&"x".repeat(1_000))));
        assert!(breaks("T27", &asked().describes(&"x".repeat(1_300))));
    }

    #[test]
    fn what_is_left_breaks_t30() {
        assert!(!breaks("T30", &asked()));
        assert!(breaks("T30", &asked().leaves("the PBX has 1 calls")));
    }

    #[test]
    fn a_storm_breaks_t31() {
        let messages = |count: u64| {
            (0..count).fold(Tale::new(), |tale, at| {
                tale.request(at * 10, 2, 1, "OPTIONS", &format!("b{at}"), at as u32)
            })
        };
        assert!(!breaks("T31", &messages(60)));
        assert!(breaks("T31", &messages(61)));
        assert!(!breaks("T31", &messages(61).excuses(2)));
    }

    fn asked() -> Tale {
        Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1)
    }
}
