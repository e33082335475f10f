//! RTCP of the PBX: what it says of what it sent and of what came, against what is known exactly (RFC 3550 section 6).

use super::flow::{Flow, Rtcp};
use super::session::End;
use super::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};
use rtcp_types::{Compound, Packet, ReportBlock};
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R16",
        source: "RFC 3550 section 6.4.1",
        sentence: "a sender report counts what was sent, and its two clocks tell one time",
        find: senders_count,
    },
    Rule {
        id: "R17",
        source: "RFC 3550 section 6.4.1 and appendix A.3",
        sentence: "a report of what was lost says what the network has taken away",
        find: losses_are_known,
    },
    Rule {
        id: "R18",
        source: "RFC 3550 section 6.4.1 and appendix A.8",
        sentence: "the jitter in a report is that of the packets that came",
        find: jitter_is_known,
    },
    Rule {
        id: "R19",
        source: "RFC 3550 sections 6.2, 6.3.7 and 6.5.1",
        sentence: "reports are 5 s apart give or take a half, an endpoint has one CNAME, and who leaves says so",
        find: reports_keep_time,
    },
];

/// Seconds from 1900 to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;
/// How far the two clocks of a sender report may be apart, in milliseconds: the packet before may have been late.
const APART: i64 = 1_000;
/// How far a sequence number leaps before a source counts as restarted.
const RESTART: u16 = 100;

/// What a compound packet says.
struct Report<'a> {
    at: Instant,
    from: SocketAddr,
    ssrc: u32,
    /// NTP time, RTP time, packets, octets.
    sender: Option<(u64, u32, u32, u32)>,
    blocks: Vec<Block>,
    cname: Option<&'a [u8]>,
    bye: bool,
}

/// What it says of one source.
struct Block {
    ssrc: u32,
    fraction_lost: u8,
    lost: i32,
    highest: u32,
    jitter: u32,
}

/// The reports of everybody who can be held to them: the PBX, in the order in which they were sent.
fn reports<'a>(evidence: &'a Evidence<'_>) -> impl Iterator<Item = Report<'a>> + 'a {
    let of_pbx = evidence.flows.rtcp.iter().filter(|packet| packet.from.ip() == evidence.pbx);
    let is_judged =
        |report: &Report<'_>| report.end(evidence).is_none_or(|end| !evidence.is_misled(end.session));
    of_pbx.filter(|_| !evidence.run.stood_still).filter_map(Report::read).filter(is_judged)
}

impl<'a> Report<'a> {
    fn read(packet: &Rtcp<'a>) -> Option<Report<'a>> {
        let mut report = Report {
            at: packet.at,
            from: packet.from,
            ssrc: 0,
            sender: None,
            blocks: Vec::new(),
            cname: None,
            bye: false,
        };
        for part in Compound::parse(packet.bytes).ok()? {
            match part.ok()? {
                Packet::Sr(sr) => {
                    report.ssrc = sr.ssrc();
                    report.sender =
                        Some((sr.ntp_timestamp(), sr.rtp_timestamp(), sr.packet_count(), sr.octet_count()));
                    report.blocks = sr.report_blocks().map(Block::of).collect();
                }
                Packet::Rr(rr) => {
                    report.ssrc = rr.ssrc();
                    report.blocks = rr.report_blocks().map(Block::of).collect();
                }
                Packet::Sdes(_) => report.cname = cname(packet.bytes),
                Packet::Bye(_) => report.bye = true,
                _ => {}
            }
        }
        Some(report)
    }

    /// The RTP end it speaks for: that of the port below.
    fn end(&self, evidence: &Evidence<'_>) -> Option<End> {
        let rtp = SocketAddr::new(self.from.ip(), self.from.port().checked_sub(1)?);
        evidence.sessions.end_at(rtp, self.at)
    }
}

impl Block {
    fn of(block: ReportBlock<'_>) -> Block {
        Block {
            ssrc: block.ssrc(),
            fraction_lost: block.fraction_lost(),
            // 24 bits with sign.
            lost: (block.cumulative_lost() << 8).cast_signed() >> 8,
            highest: block.extended_sequence_number(),
            jitter: block.interarrival_jitter(),
        }
    }
}

/// The first item of a source description is the CNAME, which everybody has to send.
fn cname(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    while let [_, kind, high, low, ..] = rest {
        let length = 4 * (usize::from(u16::from_be_bytes([*high, *low])) + 1);
        if *kind == 202 {
            let item = rest.get(8..)?;
            return (item.first() == Some(&1)).then(|| item.get(2..2 + usize::from(*item.get(1)?)))?;
        }
        rest = rest.get(length..)?;
    }
    None
}

fn senders_count(evidence: &Evidence<'_>, findings: &mut Findings) {
    for report in reports(evidence) {
        let (Some((ntp, clock, packets, octets)), Some(end)) = (report.sender, report.end(evidence)) else {
            continue;
        };
        let flows: Vec<&Flow<'_>> =
            evidence.flows.from(end).filter(|flow| flow.ssrc == report.ssrc).collect();
        let count = |until: &dyn Fn(Instant) -> bool| {
            let sent = flows
                .iter()
                .flat_map(|flow| &flow.packets[..flow.packets.partition_point(|packet| until(packet.at))]);
            sent.fold((0u32, 0u32), |(packets, octets), packet| {
                (packets + 1, octets + packet.payload.len() as u32)
            })
        };
        // What is sent in this very instant may stand before or behind the report.
        let (least, most) = (count(&|at| at < report.at), count(&|at| at <= report.at));
        if !(least.0..=most.0).contains(&packets) || !(least.1..=most.1).contains(&octets) {
            let what = format!("{} says {packets} packets, {octets} octets and sent {most:?}", report.from);
            findings.add(report.at, what);
        }
        check_clocks(evidence, &report, ntp, clock, &flows, findings);
    }
}

fn check_clocks(
    evidence: &Evidence<'_>,
    report: &Report<'_>,
    ntp: u64,
    clock: u32,
    flows: &[&Flow<'_>],
    findings: &mut Findings,
) {
    let nanos = evidence.run.epoch_nanos() + u128::from(report.at.as_nanos());
    let seconds = (nanos / 1_000_000_000) as u64 + NTP_EPOCH;
    if (ntp >> 32).abs_diff(seconds) > 1 {
        findings.add(report.at, format!("{} says it is {}, not {seconds}", report.from, ntp >> 32));
    }
    let before = flows.iter().flat_map(|flow| {
        flow.packets[..flow.packets.partition_point(|packet| packet.at <= report.at)].last()
    });
    let Some(last) = before.max_by_key(|packet| packet.at) else { return };
    let units = i64::from(clock.wrapping_sub(last.header.timestamp).cast_signed());
    let time = i64::try_from(report.at.since(last.at).as_millis()).unwrap_or(i64::MAX);
    // Only codecs of 8000 Hz are made here; what is passed on may have another clock.
    if last.payload.len() != 4 && last.header.payload_type < 96 && (units / 8 - time).abs() > APART {
        let what = format!("{} says {} ms after its last packet and it was {time}", report.from, units / 8);
        findings.add(report.at, what);
    }
}

fn losses_are_known(evidence: &Evidence<'_>, findings: &mut Findings) {
    receivers(evidence, |report, block, heard| {
        let (expected, received) = (heard.expected(), heard.received);
        let lost = expected as i64 - received as i64;
        if i64::from(block.lost) != lost {
            findings.add(report.at, format!("{} says {} lost and it was {lost}", report.from, block.lost));
        }
        let fraction = heard.fraction();
        if block.fraction_lost != fraction {
            let said = block.fraction_lost;
            findings
                .add(report.at, format!("{} says {said}/256 lost and it was {fraction}/256", report.from));
        }
    });
}

fn jitter_is_known(evidence: &Evidence<'_>, findings: &mut Findings) {
    receivers(evidence, |report, block, heard| {
        let jitter = heard.jitter >> 4;
        if block.jitter.abs_diff(jitter) > 1 {
            findings.add(report.at, format!("{} says {} and it was {jitter}", report.from, block.jitter));
        }
    });
}

/// What came from one source up to a moment.
#[derive(Clone, Copy, Default)]
struct Heard {
    base: u64,
    highest: u64,
    received: u64,
    transit: Option<u32>,
    /// Times 16.
    jitter: u32,
    /// At the last report.
    expected_before: u64,
    received_before: u64,
}

impl Heard {
    fn take(&mut self, sequence: u16, timestamp: u32, at: Instant) {
        let extended = if self.received == 0 {
            self.base = u64::from(sequence) + (1 << 16);
            self.base
        } else {
            let ahead = sequence.wrapping_sub(self.highest as u16).cast_signed();
            self.highest.wrapping_add_signed(i64::from(ahead))
        };
        self.highest = self.highest.max(extended);
        self.received += 1;
        // In units of 8000 Hz, the clock of what is measured here.
        let arrival = (at.as_nanos() / 125_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            self.jitter = self.jitter.wrapping_add(difference).wrapping_sub((self.jitter + 8) >> 4);
        }
    }

    fn agrees_with(&self, block: &Block) -> bool {
        self.expected() as i64 - self.received as i64 == i64::from(block.lost)
            && block.jitter.abs_diff(self.jitter >> 4) <= 1
            && block.fraction_lost == self.fraction()
    }

    fn expected(&self) -> u64 {
        if self.received == 0 { 0 } else { self.highest - self.base + 1 }
    }

    fn fraction(&self) -> u8 {
        let expected = self.expected() - self.expected_before;
        let received = self.received - self.received_before;
        if expected == 0 || received >= expected {
            0
        } else {
            ((expected - received) * 256 / expected).min(255) as u8
        }
    }
}

/// Tells of each report block what had really come, wherever that is known beyond doubt.
fn receivers(evidence: &Evidence<'_>, mut tell: impl FnMut(&Report<'_>, &Block, &Heard)) {
    let mut by_source: BTreeMap<(End, u32), Vec<(Report<'_>, Block)>> = BTreeMap::new();
    for mut report in reports(evidence) {
        let Some(end) = report.end(evidence) else { continue };
        for block in std::mem::take(&mut report.blocks) {
            let report = Report { blocks: Vec::new(), ..report };
            by_source.entry((end, block.ssrc)).or_default().push((report, block));
        }
    }
    for ((end, ssrc), reports) in by_source {
        let variants = arrivals(evidence, end, ssrc);
        let fits = |came: &&Vec<Arrived>| {
            let mut heard = Heard::default();
            let (report, block) = &reports[0];
            listen(&mut heard, came, 0, report, block);
            heard.agrees_with(block)
        };
        let Some(came) = variants.iter().find(fits).or(variants.first()) else { continue };
        let (mut heard, mut next) = (Heard::default(), 0);
        for (report, block) in &reports {
            next = listen(&mut heard, came, next, report, block);
            tell(report, block, &heard);
            heard.expected_before = heard.expected();
            heard.received_before = heard.received;
        }
    }
}

/// When a packet was seen, its number and its timestamp.
type Arrived = (Instant, u16, u32);

/// Takes what had come when a report was made. What it says of the highest number and of what was lost tells which of the
/// packets of this very instant had been counted.
fn listen(heard: &mut Heard, came: &[Arrived], from: usize, report: &Report<'_>, block: &Block) -> usize {
    let mut next = from;
    while let Some((at, sequence, timestamp)) = came.get(next) {
        let is_counted = heard.received > 0
            && heard.highest as u16 == block.highest as u16
            && heard.expected() as i64 - heard.received as i64 == i64::from(block.lost);
        if *at > report.at || (*at == report.at && is_counted) {
            break;
        }
        heard.take(*sequence, *timestamp, *at);
        next += 1;
    }
    next
}

/// The packets of a source that came to an end of the PBX, as its program saw them. Where some came in the very instant
/// in which it agreed on anything, it has heard them or not: two lists. None where nothing is certain: damaged packets, a
/// source that began anew.
fn arrivals(evidence: &Evidence<'_>, end: End, ssrc: u32) -> Vec<Vec<Arrived>> {
    let Some(agreed) = evidence.sessions.terms(end).first().map(|terms| terms.since) else {
        return Vec::new();
    };
    let mut flows = evidence.flows.to(end).filter(|flow| flow.ssrc == ssrc);
    let (Some(flow), None) = (flows.next(), flows.next()) else { return Vec::new() };
    let terms = evidence.sessions.terms(end);
    let listed = |number: u8| {
        let formats = terms.iter().flat_map(|terms| terms.own.iter().chain(&terms.formats));
        formats.into_iter().any(|format| format.payload_type == number)
    };
    let mut arrivals: Vec<Arrived> = Vec::with_capacity(flow.packets.len());
    for packet in &flow.packets {
        if packet.damaged || !listed(packet.header.payload_type) {
            return Vec::new();
        }
        for at in packet.arrivals() {
            if at >= agreed {
                arrivals.push((at, packet.header.sequence, packet.header.timestamp));
            }
        }
    }
    arrivals.sort_by_key(|(at, ..)| *at);
    if arrivals
        .windows(2)
        .any(|pair| pair[1].1.wrapping_sub(pair[0].1).cast_signed().unsigned_abs() > RESTART)
    {
        return Vec::new();
    }
    let heard = arrivals.iter().position(|(at, ..)| *at > agreed).unwrap_or(arrivals.len());
    let later = arrivals[heard..].to_vec();
    if heard == 0 { vec![arrivals] } else { vec![arrivals, later] }
}

fn reports_keep_time(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut names: Option<&[u8]> = None;
    let mut last: BTreeMap<SocketAddr, (u32, Instant)> = BTreeMap::new();
    let mut left: BTreeMap<End, Instant> = BTreeMap::new();
    let seconds = Duration::from_secs_f64;
    for report in reports(evidence) {
        let (at, from) = (report.at, report.from);
        match (report.cname, names) {
            (None, _) => findings.add(at, format!("{from} has none")),
            (Some(name), Some(known)) if name != known && evidence.is_whole => {
                findings.add(at, format!("{from} has another than before"));
            }
            (Some(name), _) => names = Some(name),
        }
        let Some(end) = report.end(evidence) else {
            // RTCP has the port above that of its RTP (RFC 3550 section 11).
            let media = SocketAddr::new(from.ip(), from.port() & !1);
            if evidence.may_be_of_session(media, at) {
                continue;
            }
            findings.add(at, format!("{from} reports and is in no session"));
            continue;
        };
        if report.bye {
            left.insert(end, at);
        }
        // An answer that came damaged may have counted, or the one that came again.
        let began: Vec<Instant> =
            evidence.sessions.terms(end).iter().map(|terms| terms.since).take(2).collect();
        let before = last.insert(from, (report.ssrc, at)).filter(|(ssrc, _)| *ssrc == report.ssrc);
        let (since, least, most) = match before {
            Some((_, before)) => (vec![before], seconds(2.5), seconds(7.5)),
            None => (began, seconds(1.25), seconds(3.75)),
        };
        let fits =
            |gap: Duration| gap + Duration::from_millis(2) >= least && gap <= most + Duration::from_millis(2);
        let gaps: Vec<Duration> = since.into_iter().map(|since| at.since(since)).collect();
        if let Some(gap) = gaps.first()
            && !report.bye
            && !gaps.iter().any(|gap| fits(*gap))
        {
            findings.add(at, format!("{from} reports after {gap:?}"));
        }
    }
    says_goodbye(evidence, &left, findings);
}

/// Who has sent RTP and leaves says so.
fn says_goodbye(evidence: &Evidence<'_>, left: &BTreeMap<End, Instant>, findings: &mut Findings) {
    for end in evidence
        .flows
        .by_end
        .keys()
        .filter(|end| evidence.is_whole && !evidence.run.stood_still && !evidence.is_misled(end.session))
    {
        let session = &evidence.sessions.all[end.session];
        let over = session.over[end.side].filter(|_| session.hosts[end.side] == evidence.pbx);
        let has_talked = evidence.flows.from(*end).next().is_some();
        let has_time = over.filter(|over| *over + Duration::from_secs(1) < evidence.log.end);
        if let (Some(over), true, None) = (has_time, has_talked, left.get(end)) {
            findings.add(over, format!("the PBX left the session of {} without a word", session.call_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};
    use pbx::rtp::report::{Block, Report, SenderInfo};

    const HEARD: Block = Block {
        ssrc: 8,
        fraction_lost: 0,
        cumulative_lost: 0,
        extended_highest: 89,
        jitter: 0,
        last_report: 0,
        delay: 0,
    };

    #[test]
    fn what_came_breaks_nothing() {
        assert_eq!(broken(&reported(2_000, None, HEARD)), [""; 0]);
    }

    #[test]
    fn packets_that_were_not_sent_break_r16() {
        let sender = SenderInfo { ntp: 3_976_214_402 << 32, timestamp: 0, packets: 5, octets: 800 };
        assert_eq!(broken(&reported(2_000, Some(sender), HEARD)), ["R16"]);
    }

    #[test]
    fn packets_that_came_and_are_lost_break_r17() {
        assert_eq!(broken(&reported(2_000, None, Block { cumulative_lost: 1, ..HEARD })), ["R17"]);
        assert_eq!(broken(&reported(2_000, None, Block { fraction_lost: 9, ..HEARD })), ["R17"]);
    }

    #[test]
    fn jitter_where_there_is_none_breaks_r18() {
        assert_eq!(broken(&reported(2_000, None, Block { jitter: 9, ..HEARD })), ["R18"]);
    }

    #[test]
    fn a_report_that_is_late_or_of_another_name_breaks_r19() {
        assert_eq!(broken(&reported(4_000, None, HEARD)), ["R19"]);
        let other = report(None, HEARD, "other");
        let two = reported(2_000, None, HEARD).packet(6_000, (1, 20_001), (2, 40_001), other);
        assert_eq!(broken(&two), ["R19"]);
    }

    /// alice talks for 1.8 s, and the PBX reports at that time.
    fn reported(at: u64, sender: Option<SenderInfo>, block: Block) -> Tale {
        Tale::talk().speech(90).packet(at, (1, 20_001), (2, 40_001), report(sender, block, "pbx"))
    }

    fn report(sender: Option<SenderInfo>, block: Block, cname: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        Report { ssrc: 1, sender, block: Some(block), cname, bye: false }.write(&mut bytes);
        bytes
    }
}
