//! The sound and the keys in RTP: how much in a packet, how often, what is marked (RFC 3551, RFC 4733).

use super::flow::{Flow, Rtp};
use super::session::{End, Terms, in_force};
use super::source::{held, neighbours};
use super::{Evidence, Findings, Rule};
use crate::network::{Packet, is_box};
use pbx::rtp::event::Payload;
use pbx::time::{Duration, Instant};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R6",
        source: "RFC 3551 sections 4.2 and 4.5",
        sentence: "a packet of G.711 has a byte for each sample of its packet time",
        find: packets_are_full,
    },
    Rule {
        id: "R7",
        source: "RFC 3551 section 4.2",
        sentence: "packets of sound follow each other by their packet time, never in a burst",
        find: packets_keep_time,
    },
    Rule {
        id: "R8",
        source: "RFC 3551 section 4.1, RFC 4733 section 2.2.2",
        sentence: "the first packet after a silence and the first of a key are marked, and no others",
        find: beginnings_are_marked,
    },
    Rule {
        id: "R13",
        source: "RFC 4733 sections 2.5.1.2 to 2.5.1.4",
        sentence: "the packets of one key have its timestamp, grow longer, and say its end three times",
        find: keys_are_told_to_their_end,
    },
    Rule {
        id: "R15",
        source: "RFC 4733 section 3.1",
        sentence: "while a key is told as an event no sound is sent in which it might be heard again",
        find: keys_are_not_heard_twice,
    },
    Rule {
        id: "S15",
        source: "RFC 3264 section 6.1, RFC 8866 sections 6.4 and 6.6",
        sentence: "timestamps go by the clock of the codec, and packets are no longer than the receiver can take",
        find: clocks_are_right,
    },
];

/// Bytes of a millisecond of G.711.
const A_MILLISECOND: u32 = 8;
/// Where nobody says a packet time (RFC 3551 section 4.2).
const USUAL: u32 = 20;
/// A relay hands on at once, a sender sends when it is time.
const TOLERANCE: Duration = Duration::from_millis(1);
/// What says how a pause sounds begins nothing (RFC 3389 section 4).
pub(super) const NOISE: u8 = 13;
/// Two packets later.
const A_MOMENT: Duration = Duration::from_millis(40);
/// Further than that a clock does not lead away from the time, whatever the network holds back.
const DRIFT: i64 = 1_000;

fn packets_are_full(evidence: &Evidence<'_>, findings: &mut Findings) {
    for flow in evidence.judged() {
        let Some(end) = flow.end else { continue };
        let times = packet_times(evidence, end);
        let terms = evidence.sessions.terms(end);
        for packet in &flow.packets {
            let length = u32::try_from(packet.payload.len()).unwrap_or(u32::MAX);
            if times.contains(&(length / A_MILLISECOND)) && length.is_multiple_of(A_MILLISECOND) {
                continue;
            }
            if format_is(in_force(terms, packet.at), packet, |format| format.is_g711())
                && !passes_damage(evidence, flow, packet)
            {
                findings.add(packet.at, format!("{} sent {length} bytes; times are {times:?} ms", flow.from));
                break;
            }
        }
    }
}

/// Whether the PBX passes on what has just come damaged.
fn passes_damage(evidence: &Evidence<'_>, flow: &Flow<'_>, packet: &Rtp<'_>) -> bool {
    let came = |other: &Packet| {
        let lately = |came: Instant| came <= packet.at && packet.at <= came + TOLERANCE;
        other.fate.flip.is_some() && other.to.ip() == flow.from.ip() && other.arrives.is_some_and(lately)
    };
    evidence.is_pbx(flow.from) && evidence.packets.iter().any(came)
}

/// The packet times somebody wished for in this session, or in the one it is joined with.
fn packet_times(evidence: &Evidence<'_>, end: End) -> Vec<u32> {
    let joined = evidence.partner_of(end.session);
    let sessions = std::iter::once(end.session).chain(joined);
    let ends = sessions.flat_map(|session| [0, 1].map(|side| End { session, side, ..end }));
    let terms = ends.flat_map(|end| evidence.sessions.terms(end));
    let mut times: Vec<u32> = terms.filter_map(|terms| terms.ptime).collect();
    times.push(USUAL);
    times.sort_unstable();
    times.dedup();
    times
}

fn packets_keep_time(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (flow, before, packet) in neighbours(evidence) {
        let step = packet.header.timestamp.wrapping_sub(before.header.timestamp);
        let length = before.payload.len();
        // G.711, one packet right behind the other.
        if step as usize != length || length < 40 || before.header.payload_type != packet.header.payload_type
        {
            continue;
        }
        let due = Duration::from_micros(length as u64 * 125);
        let gap = packet.at.since(before.at);
        // Without its network nobody sends.
        let was_off = !evidence.ran(flow.from, before.at, packet.at);
        if !was_off && (gap + TOLERANCE < due || gap > due + TOLERANCE) {
            findings.add(packet.at, format!("{} sent the next packet after {gap:?}, not {due:?}", flow.from));
        }
    }
}

fn beginnings_are_marked(evidence: &Evidence<'_>, findings: &mut Findings) {
    // A box that forgets gives a flow that goes on another port.
    for flow in held(evidence).filter(|flow| !is_box(flow.from.ip())) {
        let begins = |first: &&Rtp<'_>| !first.header.marker && first.header.payload_type != NOISE;
        if let Some(first) = flow.packets.first().filter(begins) {
            findings.add(first.at, format!("{} did not mark its first", flow.from));
        }
    }
    for (flow, before, packet) in neighbours(evidence) {
        let (from, marker) = (flow.from, packet.header.marker);
        // A clock that goes back is somebody else's business.
        let step = packet.header.timestamp.wrapping_sub(before.header.timestamp).cast_signed();
        let step = usize::try_from(step).unwrap_or(0);
        match (key(before), key(packet)) {
            (before, Some(_)) => {
                let is_first = before.is_none() || step != 0;
                if is_first != marker {
                    let word = if marker { "marked" } else { "did not mark" };
                    findings.add(packet.at, format!("{from} {word} {} of a key", nth(is_first)));
                }
            }
            // Whether sound goes on behind a key or begins anew is its sender's to say.
            (Some(_), None) => {}
            (None, None) if step == before.payload.len() && marker => {
                findings.add(packet.at, format!("{from} marked a packet in the middle of its sound"));
            }
            (None, None) if packet.header.payload_type == NOISE => {}
            (None, None) if step > 2 * before.payload.len() && !marker => {
                findings.add(packet.at, format!("{from} did not mark the first packet after a silence"));
            }
            (None, None) => {}
        }
    }
}

fn nth(is_first: bool) -> &'static str {
    if is_first { "the first packet" } else { "another packet" }
}

fn keys_are_told_to_their_end(evidence: &Evidence<'_>, findings: &mut Findings) {
    for flow in held(evidence) {
        let mut packets = flow.packets.iter().filter_map(|packet| Some((packet, key(packet)?))).peekable();
        while let Some((first, told)) = packets.next() {
            let (mut last, mut ends) = (told, u32::from(told.end));
            let mut at = first.at;
            while let Some((packet, next)) =
                packets.next_if(|(packet, _)| packet.header.timestamp == first.header.timestamp)
            {
                if next.event != last.event || next.duration < last.duration || last.end && !next.end {
                    findings.add(packet.at, format!("{} told {last:?} and then {next:?}", flow.from));
                }
                (last, at) = (next, packet.at);
                ends += u32::from(next.end);
            }
            // Who hangs up lets go of all keys.
            let goes_on = flow.packets.last().is_some_and(|packet| packet.at > at);
            let falls_silent = |end: End| falls_silent(evidence, end, first.at, at + A_MOMENT);
            let is_let_go = flow.end.is_some_and(falls_silent);
            let is_let_go = is_let_go || pressed(evidence, flow, first, told).any(falls_silent);
            // With the other side goes whoever presses it.
            let is_parted = flow.end.is_some_and(|end| {
                let parted = evidence.parted_at(&evidence.sessions.all[end.session].call_id);
                parted.is_some_and(|parted| first.at <= parted + A_MOMENT && parted <= at + A_MOMENT)
            });
            if goes_on && ends != 3 && !is_let_go && !is_parted {
                findings.add(at, format!("{} said the end of a key {ends} times", flow.from));
            }
        }
    }
}

/// Where a key came from that the PBX passes on: an application, or who picks up, joins others than those who have called each other.
fn pressed<'a>(
    evidence: &'a Evidence<'_>,
    flow: &Flow<'_>,
    first: &'a Rtp<'_>,
    told: Payload,
) -> impl Iterator<Item = End> + 'a {
    let is_passed = evidence.is_pbx(flow.from);
    let is_it = move |packet: &Rtp<'_>| {
        let lately = |came: Instant| came <= first.at && first.at <= came + TOLERANCE;
        key(packet).is_some_and(|key| key.event == told.event) && packet.arrivals().any(lately)
    };
    let came = evidence.flows.all.iter().filter(move |came| is_passed && evidence.is_pbx(came.to));
    came.filter(move |came| came.packets.iter().any(is_it)).filter_map(|came| came.end)
}

/// Whether one of two who talk was told meanwhile to say nothing: whoever is held lets go of all keys.
fn falls_silent(evidence: &Evidence<'_>, end: End, from: Instant, to: Instant) -> bool {
    let sessions = std::iter::once(end.session).chain(evidence.partner_of(end.session));
    let ends = sessions.flat_map(|session| [0, 1].map(|side| End { session, side, ..end }));
    // So does whoever is sent on to somebody else.
    let parted = evidence.parted_at(&evidence.sessions.all[end.session].call_id);
    let mut terms = ends.flat_map(|end| evidence.sessions.terms(end));
    parted.is_some_and(|at| from <= at && at <= to)
        || terms.any(|terms| terms.forbid() && from <= terms.since && terms.since <= to)
}

fn keys_are_not_heard_twice(evidence: &Evidence<'_>, findings: &mut Findings) {
    for flow in held(evidence) {
        for three in flow.packets.windows(3) {
            let [before, between, after] = three else { continue };
            let is_one_key = key(before).is_some()
                && key(after).is_some()
                && before.header.timestamp == after.header.timestamp;
            if is_one_key && key(between).is_none() {
                findings.add(between.at, format!("{} sent sound in the middle of a key", flow.from));
            }
        }
    }
}

fn clocks_are_right(evidence: &Evidence<'_>, findings: &mut Findings) {
    for flow in held(evidence) {
        let Some(end) = flow.end else { continue };
        let terms = evidence.sessions.terms(end);
        let Some(first) = flow.packets.first() else { continue };
        let (mut first, mut before) = (first, first);
        let (mut units, mut newest) = (0i64, first.header.timestamp);
        let mut rate = 0;
        for packet in &flow.packets {
            let step = i64::from(packet.header.timestamp.wrapping_sub(newest).cast_signed());
            (units, newest) = (units + step, packet.header.timestamp);
            // Whose network was away goes on where it was.
            if !evidence.ran(flow.from, before.at, packet.at) {
                (first, units) = (packet, 0);
            }
            before = packet;
            let holds = in_force(terms, packet.at);
            if rate == 0 {
                rate = holds
                    .last()
                    .and_then(|terms| terms.format(packet.header.payload_type))
                    .map_or(0, |f| f.rate);
            }
            let most = holds.last().and_then(|terms| terms.maxptime).unwrap_or(u32::MAX);
            let is_too_long = packet.payload.len() as u64 > u64::from(most) * u64::from(A_MILLISECOND);
            if is_too_long && format_is(holds, packet, |format| format.is_g711()) {
                findings.add(packet.at, format!("{} sent more than {most} ms at once", flow.from));
                break;
            }
            if rate == 0 || packet.payload.len() == Payload::LENGTH {
                continue;
            }
            let clock = units * 1_000 / i64::from(rate);
            let time = i64::try_from(packet.at.since(first.at).as_millis()).unwrap_or(i64::MAX);
            if (clock - time).abs() > DRIFT {
                let what = format!("after {time} ms the clock of {} is at {clock} ms", flow.from);
                findings.add(packet.at, what);
                break;
            }
        }
    }
}

fn format_is(holds: &[Terms], packet: &Rtp<'_>, is: impl Fn(&super::sdp::Format) -> bool) -> bool {
    let number = packet.header.payload_type;
    holds.last().and_then(|terms| terms.format(number)).is_some_and(is)
}

/// The key a packet tells: four bytes are no sound that anybody sends.
pub(super) fn key(packet: &Rtp<'_>) -> Option<Payload> {
    (packet.payload.len() == Payload::LENGTH).then(|| Payload::of(packet.payload))?
}

/// The packets of sound and of keys that a flow tells to its end.
pub(super) fn keys_in(flow: &Flow<'_>) -> Vec<(u32, u8, Vec<usize>)> {
    let mut keys: Vec<(u32, u8, Vec<usize>)> = Vec::new();
    for (at, packet) in flow.packets.iter().enumerate() {
        let Some(told) = key(packet) else { continue };
        let name = (packet.header.timestamp, told.event);
        match keys.iter_mut().rev().take(3).find(|(timestamp, event, _)| (*timestamp, *event) == name) {
            Some((.., packets)) => packets.push(at),
            None => keys.push((name.0, name.1, vec![at])),
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};

    #[test]
    fn a_packet_that_is_cut_off_breaks_r6() {
        assert_eq!(broken(&Tale::talk().rtp(20, 2, 1, 0, 0).forge(|packet| packet[..100].to_vec())), ["R6"]);
    }

    #[test]
    fn a_packet_that_is_late_breaks_r7() {
        assert_eq!(broken(&Tale::talk().speech(3).rtp(95, 2, 1, 3, 480)), ["R7"]);
    }

    #[test]
    fn a_burst_breaks_r7() {
        assert_eq!(broken(&Tale::talk().speech(3).rtp(61, 2, 1, 3, 480)), ["R7"]);
    }

    #[test]
    fn a_mark_in_the_middle_breaks_r8() {
        let marked = |packet: &[u8]| [&packet[..1], &[0x80], &packet[2..]].concat();
        assert_eq!(broken(&Tale::talk().speech(3).rtp(80, 2, 1, 3, 480).forge(marked)), ["R8"]);
    }

    #[test]
    fn a_key_that_becomes_shorter_breaks_r13() {
        let told = [(320, false), (160, false), (480, true), (480, true), (480, true)];
        assert_eq!(broken(&Tale::talk().key(20, 0, 0, &told).rtp(120, 2, 1, 5, 800)), ["R13"]);
    }

    #[test]
    fn a_key_without_its_three_ends_breaks_r13() {
        let told = [(160, false), (320, false), (320, true)];
        assert_eq!(broken(&Tale::talk().key(20, 0, 0, &told).rtp(80, 2, 1, 3, 480)), ["R13"]);
    }

    #[test]
    fn sound_in_the_middle_of_a_key_breaks_r15() {
        let tale =
            Tale::talk().key(20, 0, 0, &[(160, false)]).rtp(40, 2, 1, 1, 0).key(60, 2, 0, &[(320, false)]);
        assert!(broken(&tale).contains(&"R15"), "{:?}", broken(&tale));
    }

    #[test]
    fn a_clock_of_double_speed_breaks_s15() {
        let tale = (0..100u16)
            .fold(Tale::talk(), |tale, n| tale.rtp(20 + 20 * u64::from(n), 2, 1, n, 320 * u32::from(n)));
        assert!(broken(&tale).contains(&"S15"), "{:?}", broken(&tale));
    }
}
