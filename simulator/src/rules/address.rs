//! Where RTP goes and where it comes from (RFC 7362 names what can go wrong).

use super::flow::{Flow, Rtp};
use super::session::{End, SLACK, in_force};
use super::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};
use std::net::{IpAddr, SocketAddr};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R11",
        source: "a promise of the PBX",
        sentence: "every RTP packet goes from one end of a live session to its other end",
        find: nobody_else_hears,
    },
    Rule {
        id: "R12",
        source: "RFC 7362 section 4, a promise of the PBX",
        sentence: "RTP goes elsewhere than the SDP says only where a NAT may have moved it, after it has come from there",
        find: nobody_takes_a_stream,
    },
];

/// How many packets somebody must have sent from another address before RTP goes there.
const PROBATION: usize = 3;
/// How long the address of the SDP must have been silent before.
const SILENCE: Duration = Duration::from_secs(3);

fn nobody_else_hears(evidence: &Evidence<'_>, findings: &mut Findings) {
    for flow in evidence.judged() {
        let first = flow.packets[0].at;
        let Some(end) = flow.end else {
            // Strangers send what they like; who has a call sends from where he said.
            if evidence.has_session(flow.from.ip(), first) && !evidence.may_be_of_session(flow.from, first) {
                findings.add(first, format!("{} belongs to nobody", flow.from));
            }
            continue;
        };
        let other = End { side: 1 - end.side, ..end };
        let owner = evidence.sessions.end_at(flow.to, first);
        if owner.is_some_and(|owner| owner != other) && !is_expected(evidence, flow, end) {
            findings.add(first, format!("{} sent to {}, which is in another call", flow.from, flow.to));
        }
    }
}

fn nobody_takes_a_stream(evidence: &Evidence<'_>, findings: &mut Findings) {
    for flow in evidence.judged().filter(|flow| flow.from.ip() == evidence.pbx) {
        let Some(end) = flow.end else { continue };
        let Some(packet) = flow.packets.iter().find(|packet| !is_wanted(evidence, flow, end, packet)) else {
            continue;
        };
        let terms = in_force(evidence.sessions.terms(end), packet.at);
        let Some(wanted) = terms.last().and_then(|terms| terms.to) else { continue };
        if !may_be_nat_of(flow.to.ip(), wanted.ip()) {
            findings.add(packet.at, format!("{} is wanted at {wanted} and went to {}", flow.from, flow.to));
            continue;
        }
        let from_there = arrivals_before(evidence, flow.to, flow.from, packet.at);
        if from_there.len() < PROBATION {
            findings.add(packet.at, format!("{} had hardly been heard of", flow.to));
            continue;
        }
        let from_wanted = arrivals_before(evidence, wanted, flow.from, from_there[0]);
        if from_wanted.last().is_some_and(|at| *at + SILENCE > packet.at) {
            findings.add(packet.at, format!("{wanted} was heard, and RTP went to {}", flow.to));
        }
    }
}

/// Whether the flow goes where its session wants it.
fn is_expected(evidence: &Evidence<'_>, flow: &Flow<'_>, end: End) -> bool {
    is_wanted(evidence, flow, end, &flow.packets[0])
}

fn is_wanted(evidence: &Evidence<'_>, flow: &Flow<'_>, end: End, packet: &Rtp<'_>) -> bool {
    let terms = in_force(evidence.sessions.terms(end), packet.at);
    terms.is_empty() || terms.iter().any(|terms| terms.to == Some(flow.to) || terms.to.is_none())
}

/// When RTP from one address had come to the PBX at another.
fn arrivals_before(evidence: &Evidence<'_>, from: SocketAddr, to: SocketAddr, at: Instant) -> Vec<Instant> {
    let flows = evidence.flows.all.iter().filter(|flow| (flow.from, flow.to) == (from, to));
    let arrivals = flows.flat_map(|flow| &flow.packets).flat_map(Rtp::arrivals);
    let mut arrivals: Vec<Instant> = arrivals.filter(|arrived| *arrived <= at + SLACK).collect();
    arrivals.sort_unstable();
    arrivals
}

/// Whether what is promised from `expected` may come from `ip`: from the same host, or, where a private address was
/// promised, from another network.
fn may_be_nat_of(ip: IpAddr, expected: IpAddr) -> bool {
    ip == expected || is_private(expected) && !is_near(ip, expected)
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_link_local() || ip.octets()[0] == 100 && ip.octets()[1] >> 6 == 1
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_near(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.octets()[..8] == b.octets()[..8],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken, description};
    use super::may_be_nat_of;

    #[test]
    fn rtp_of_nobody_breaks_r11() {
        // A telephone that has a call, and sends before it has said from where.
        let tale = Tale::new().request(0, 2, 1, "INVITE", "b1", 1).rtp(20, 2, 1, 0, 0);
        assert_eq!(broken(&tale), ["R11"]);
    }

    #[test]
    fn rtp_from_where_one_has_said_breaks_nothing() {
        let answered = |text: &str| {
            Tale::talk()
                .response(15, 2, 1, 200, "INVITE", "of-something-damaged", 1)
                .describes(&description(2, 1, "sendrecv").replace("40000", text))
                .rtp(20, 2, 1, 0, 0)
                .sent_from(40_002)
        };
        assert!(!broken(&answered("40002")).contains(&"R11"));
        assert!(broken(&answered("40004")).contains(&"R11"), "another port");
    }

    #[test]
    fn a_stranger_breaks_nothing() {
        assert_eq!(broken(&Tale::talk().rtp(20, 9, 1, 0, 0)), [""; 0]);
    }

    #[test]
    fn rtp_to_who_was_never_heard_breaks_r12() {
        assert_eq!(broken(&Tale::talk().rtp(20, 1, 9, 0, 0)), ["R12"]);
    }

    #[test]
    fn only_a_private_address_may_be_behind_another() {
        let ip = |text: &str| text.parse().expect("an address");
        assert!(may_be_nat_of(ip("192.0.2.1"), ip("10.0.0.2")));
        assert!(!may_be_nat_of(ip("10.0.0.9"), ip("10.0.0.2")), "a neighbour");
        assert!(!may_be_nat_of(ip("192.0.2.1"), ip("198.51.100.1")), "a public one stays where it is");
    }
}
