//! The numbers that each source of RTP gives to its packets (RFC 3550 section 5.1).

use super::flow::{Flow, Rtp};
use super::{Evidence, Findings, Rule};
use crate::network::Books;
use pbx::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R2",
        source: "RFC 3550 section 5.1",
        sentence: "the sequence number goes up by one with each packet of a source",
        find: sequences_count,
    },
    Rule {
        id: "R3",
        source: "RFC 3550 section 5.1, RFC 4733 section 2.2.1",
        sentence: "the timestamp of a source goes with the samples and never backwards",
        find: timestamps_go_on,
    },
    Rule {
        id: "R4",
        source: "RFC 3550 sections 5.1 and 8",
        sentence: "a stream has one source for as long as it lasts",
        find: sources_stay,
    },
    Rule {
        id: "R5",
        source: "RFC 3550 section 8.2",
        sentence: "the two sides of a session do not share an SSRC",
        find: sources_differ,
    },
    Rule {
        id: "R20",
        source: "a promise of the simulator",
        sentence: "what was sent was delivered, lost by a fault, or is under way",
        find: nothing_vanishes,
    },
];

/// How long two sides may share an SSRC before one has noticed.
const TO_NOTICE: Duration = Duration::from_secs(1);

fn sequences_count(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (flow, before, packet) in neighbours(evidence) {
        let step = packet.header.sequence.wrapping_sub(before.header.sequence);
        if step != 1 {
            let (now, then) = (packet.header.sequence, before.header.sequence);
            findings.add(packet.at, format!("{} sent {now} after {then}", flow.from));
        }
    }
}

fn timestamps_go_on(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (flow, before, packet) in neighbours(evidence) {
        let step = packet.header.timestamp.wrapping_sub(before.header.timestamp).cast_signed();
        // All packets of one key have one timestamp (RFC 4733 section 2.2.1); sound has as many samples as bytes, G.711.
        let is_key = before.header.payload_type != packet.header.payload_type || packet.payload.len() == 4;
        let least = if is_key { 0 } else { i32::try_from(before.payload.len()).unwrap_or(0) };
        if step < least {
            findings.add(packet.at, format!("{} went on by {step}", flow.from));
        }
    }
}

fn sources_stay(evidence: &Evidence<'_>, findings: &mut Findings) {
    for end in evidence.flows.by_end.keys().filter(|end| !evidence.is_misled(end.session)) {
        let mut flows = evidence.flows.from(*end);
        let Some(first) = flows.next() else { continue };
        let collides = |ssrc: u32| evidence.flows.to(*end).any(|theirs| theirs.ssrc == ssrc);
        let mut last = first;
        for flow in flows.filter(|flow| flow.ssrc != first.ssrc) {
            if flow.ssrc != last.ssrc && !collides(last.ssrc) {
                let at = flow.packets[0].at;
                findings.add(at, format!("{} was {:08x} and is {:08x}", flow.from, last.ssrc, flow.ssrc));
            }
            last = flow;
        }
    }
}

fn sources_differ(evidence: &Evidence<'_>, findings: &mut Findings) {
    for end in evidence.flows.by_end.keys().filter(|end| end.side == 0 && !evidence.is_misled(end.session)) {
        for ours in evidence.flows.from(*end) {
            for theirs in evidence.flows.to(*end).filter(|theirs| theirs.ssrc == ours.ssrc) {
                let begin = ours.packets[0].at.max(theirs.packets[0].at);
                let end = last(ours).at.min(last(theirs).at);
                if begin + TO_NOTICE < end {
                    findings
                        .add(begin, format!("{} and {} both are {:08x}", ours.from, theirs.from, ours.ssrc));
                }
            }
        }
    }
}

fn nothing_vanishes(evidence: &Evidence<'_>, findings: &mut Findings) {
    let Some(Books { delivered, undeliverable, under_way }) = evidence.books else { return };
    let (entered, left) = (evidence.log.datagrams, delivered + undeliverable + under_way);
    if entered != left {
        findings.add(
            evidence.log.end,
            format!("of {entered} datagrams that were not lost {left} are accounted for"),
        );
    }
}

fn last<'a, 'b>(flow: &'b Flow<'a>) -> &'b Rtp<'a> {
    flow.packets.last().expect("a flow has a packet")
}

/// Each packet with the one its source sent before.
pub(super) fn neighbours<'a>(
    evidence: &'a Evidence<'_>,
) -> impl Iterator<Item = (&'a Flow<'a>, &'a Rtp<'a>, &'a Rtp<'a>)> {
    held(evidence).flat_map(|flow| {
        let pairs = flow.packets.iter().zip(&flow.packets[1..]);
        pairs.map(move |(before, packet)| (flow, before, packet))
    })
}

/// The flows whose sender can be held to the order of its packets.
///
/// A relay passes on what it gets: what the network lost before it is lost behind it too. So the PBX is held to this
/// only where the network has done nothing wrong to who talks; telephones always.
pub(super) fn held<'a>(evidence: &'a Evidence<'_>) -> impl Iterator<Item = &'a Flow<'a>> {
    let is_calm = |flow: &Flow<'_>| match flow.end {
        Some(end) => evidence.is_calm(end.session),
        None => evidence.log.faults.is_empty() && !evidence.run.stood_still,
    };
    let is_held = move |flow: &&Flow<'_>| flow.from.ip() != evidence.pbx || is_calm(flow);
    evidence.judged().filter(is_held)
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};

    #[test]
    fn a_number_that_is_left_out_breaks_r2() {
        let tale = Tale::new().rtp(0, 2, 1, 65_535, 0).rtp(20, 2, 1, 0, 160).rtp(40, 2, 1, 2, 320);
        assert_eq!(broken(&tale), ["R2"]);
    }

    #[test]
    fn a_clock_that_goes_back_breaks_r3() {
        let tale = Tale::new().rtp(0, 2, 1, 1, 320).rtp(20, 2, 1, 2, 160);
        assert_eq!(broken(&tale), ["R3"]);
    }

    #[test]
    fn a_packet_that_vanishes_breaks_r20() {
        let tale = Tale::new().rtp(0, 2, 1, 1, 0).rtp(20, 2, 1, 2, 160).delivered(1);
        assert_eq!(broken(&tale), ["R20"]);
    }

    #[test]
    fn another_source_in_a_call_breaks_r4() {
        let tale = Tale::talk()
            .speech(3)
            .rtp(80, 2, 1, 9, 4_000)
            .forge(|packet| [&[0x80, 0x80], &packet[2..8], b"else", &packet[12..]].concat());
        assert_eq!(broken(&tale), ["R4"]);
    }

    #[test]
    fn one_source_on_both_sides_breaks_r5() {
        let both = (0..100u16).fold(Tale::talk(), |tale, n| {
            let (at, timestamp) = (20 + 20 * u64::from(n), 160 * u32::from(n));
            let mark = |packet: &[u8]| {
                [&packet[..1], &[if n == 0 { 0x80 } else { 0 }], &packet[2..8], b"same", &packet[12..]]
                    .concat()
            };
            tale.rtp(at, 2, 1, n, timestamp).forge(mark).rtp(at, 1, 2, n, timestamp).forge(mark)
        });
        assert_eq!(broken(&both), ["R5"]);
    }

    #[test]
    fn a_silence_breaks_nothing() {
        let marked = |packet: &[u8]| [&packet[..1], &[0x80], &packet[2..]].concat();
        let tale = Tale::new().rtp(0, 2, 1, 1, 0).rtp(2_000, 2, 1, 2, 16_000).forge(marked);
        assert_eq!(broken(&tale), [""; 0]);
    }
}
