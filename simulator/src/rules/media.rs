//! RTP (RFC 3550): numbers and timestamps of each sender.

use super::log::Rtp;
use super::{Evidence, Findings, Rule};
use crate::network::Books;
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R2",
        source: "RFC 3550 section 5.1",
        sentence: "the sequence number goes up by one with each packet of a source",
        find: sequences_count,
    },
    Rule {
        id: "R3",
        source: "RFC 3550 section 5.1",
        sentence: "the timestamp of a source goes with the samples and never backwards",
        find: timestamps_go_on,
    },
    Rule {
        id: "R20",
        source: "a promise of the simulator",
        sentence: "what was sent was delivered, lost by a fault, or is under way",
        find: nothing_vanishes,
    },
];

fn sequences_count(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (before, packet) in neighbours(evidence) {
        let step = packet.header.sequence.wrapping_sub(before.header.sequence);
        if step != 1 {
            let (now, then) = (packet.header.sequence, before.header.sequence);
            findings.add(packet.at, format!("{} sent {now} after {then}", packet.from));
        }
    }
}

fn timestamps_go_on(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (before, packet) in neighbours(evidence) {
        let step = packet.header.timestamp.wrapping_sub(before.header.timestamp).cast_signed();
        // All packets of one key have one timestamp (RFC 4733 section 2.2.1); sound has as many samples as bytes, G.711.
        let is_key = before.header.payload_type != packet.header.payload_type || packet.length == 4;
        let least = if is_key { 0 } else { i32::try_from(before.length).unwrap_or(0) };
        if step < least {
            findings.add(packet.at, format!("{} went on by {step}", packet.from));
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

/// Each packet with the one its source sent before.
///
/// A relay passes on what it gets: what the network lost before it is lost behind it too. So the PBX is held to this
/// only while the network has done nothing wrong; telephones always.
fn neighbours<'a>(evidence: &'a Evidence<'_>) -> Vec<(&'a Rtp, &'a Rtp)> {
    let mut last: BTreeMap<_, &Rtp> = BTreeMap::new();
    let is_held = |packet: &&Rtp| evidence.log.is_calm || packet.from.ip() != evidence.pbx;
    let packets = evidence.log.rtp.iter().filter(is_held);
    packets
        .filter_map(|packet| {
            let before = last.insert((packet.from, packet.to, packet.header.ssrc), packet)?;
            Some((before, packet))
        })
        .collect()
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
    fn a_silence_breaks_nothing() {
        let tale = Tale::new().rtp(0, 2, 1, 1, 0).rtp(2_000, 2, 1, 2, 16_000);
        assert_eq!(broken(&tale), [""; 0]);
    }
}
