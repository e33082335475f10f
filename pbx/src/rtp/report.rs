//! RTCP (RFC 3550 section 6): compound packets written without allocation, read with `rtcp-types`.

use rtcp_types::{Compound, Packet};
use std::fmt;

/// What we tell of what we receive (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whose packets.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the beginning; 24 bits with sign.
    pub cumulative_lost: i32,
    /// The highest sequence number with the count of wraps above it.
    pub extended_highest: u32,
    /// In units of the clock rate.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of its last sender report; 0 when there was none.
    pub last_report: u32,
    /// Since that report, in 1/65536 s.
    pub delay: u32,
}

/// What we tell of what we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Seconds since 1900 in the upper half, 1/2^32 s in the lower.
    pub ntp: u64,
    /// The same moment on the RTP clock.
    pub timestamp: u32,
    /// Packets since the beginning.
    pub packets: u32,
    /// Payload bytes since the beginning.
    pub octets: u32,
}

/// One compound packet to send: a report, the CNAME, and BYE when we leave.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Us.
    pub ssrc: u32,
    /// When we have sent RTP of late: a sender report, else a receiver report.
    pub sender: Option<SenderInfo>,
    /// When we have received RTP.
    pub block: Option<Block>,
    /// The same for as long as the session lasts (section 6.5.1); at most 255 bytes are sent.
    pub cname: &'a str,
    /// Whether we leave.
    pub bye: bool,
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;

impl Report<'_> {
    /// Appends the packet.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_report(out);
        self.write_description(out);
        if self.bye {
            header(out, 1, BYE, 1);
            out.extend_from_slice(&self.ssrc.to_be_bytes());
        }
    }

    fn write_report(&self, out: &mut Vec<u8>) {
        let kind = if self.sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
        let words = 1 + if self.sender.is_some() { 5 } else { 0 } + if self.block.is_some() { 6 } else { 0 };
        header(out, u8::from(self.block.is_some()), kind, words);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some(sender) = self.sender {
            out.extend_from_slice(&sender.ntp.to_be_bytes());
            for word in [sender.timestamp, sender.packets, sender.octets] {
                out.extend_from_slice(&word.to_be_bytes());
            }
        }
        if let Some(block) = self.block {
            let lost =
                u32::from(block.fraction_lost) << 24 | (block.cumulative_lost.cast_unsigned() & 0xff_ffff);
            let words =
                [block.ssrc, lost, block.extended_highest, block.jitter, block.last_report, block.delay];
            words.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
        }
    }

    /// One chunk with one item, which ends with one to four zeros at a multiple of four bytes (section 6.5).
    fn write_description(&self, out: &mut Vec<u8>) {
        let cname = &self.cname.as_bytes()[..self.cname.len().min(255)];
        let zeros = 4 - (2 + cname.len()) % 4;
        header(out, 1, SOURCE_DESCRIPTION, (4 + 2 + cname.len() + zeros) / 4);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&[CNAME, cname.len() as u8]);
        out.extend_from_slice(cname);
        out.extend_from_slice(&[0; 4][..zeros]);
    }
}

fn header(out: &mut Vec<u8>, count: u8, kind: u8, words: usize) {
    let [high, low] = (words as u16).to_be_bytes();
    out.extend_from_slice(&[2 << 6 | count, kind, high, low]);
}

/// What the other side reported, as far as it concerns us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Who reports.
    pub ssrc: u32,
    /// The middle 32 bits of the NTP time of its sender report.
    pub last_report: Option<u32>,
    /// What it says of our packets.
    pub block: Option<Block>,
    /// It leaves.
    pub bye: bool,
}

/// A datagram that is no compound RTCP packet (RFC 3550 appendix A.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRtcp;

impl fmt::Display for NotRtcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the datagram is no compound RTCP packet")
    }
}

impl std::error::Error for NotRtcp {}

impl Heard {
    /// Reads a compound packet; `ours` are the SSRCs we send with.
    pub fn of(bytes: &[u8], ours: u32) -> Result<Heard, NotRtcp> {
        // A.2: version 2 and no padding, and a report comes first.
        if bytes.len() < 8 || bytes[0] & 0xe0 != 0x80 || !matches!(bytes[1], SENDER_REPORT | RECEIVER_REPORT)
        {
            return Err(NotRtcp);
        }
        let mut heard =
            Heard { ssrc: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]), ..Heard::default() };
        for packet in Compound::parse(bytes).map_err(|_| NotRtcp)? {
            match packet.map_err(|_| NotRtcp)? {
                Packet::Sr(report) => {
                    heard.last_report = Some((report.ntp_timestamp() >> 16) as u32);
                    heard.note(report.report_blocks(), ours);
                }
                Packet::Rr(report) => heard.note(report.report_blocks(), ours),
                Packet::Bye(bye) => heard.bye = heard.bye || bye.ssrcs().any(|ssrc| ssrc == heard.ssrc),
                Packet::Sdes(_)
                | Packet::App(_)
                | Packet::Xr(_)
                | Packet::Unknown(_)
                | Packet::TransportFeedback(_)
                | Packet::PayloadFeedback(_) => {}
            }
        }
        Ok(heard)
    }

    fn note<'a>(&mut self, blocks: impl Iterator<Item = rtcp_types::ReportBlock<'a>>, ours: u32) {
        let Some(block) = blocks.filter(|block| block.ssrc() == ours).last() else { return };
        self.block = Some(Block {
            ssrc: ours,
            fraction_lost: block.fraction_lost(),
            // 24 bits with sign.
            cumulative_lost: (block.cumulative_lost() << 8).cast_signed() >> 8,
            extended_highest: block.extended_sequence_number(),
            jitter: block.interarrival_jitter(),
            last_report: block.last_sender_report_timestamp(),
            delay: block.delay_since_last_sender_report_timestamp(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLOCK: Block = Block {
        ssrc: 2,
        fraction_lost: 25,
        cumulative_lost: -3,
        extended_highest: 70_000,
        jitter: 12,
        last_report: 0x1234_5678,
        delay: 65_536,
    };

    fn written(cname: &str, sender: bool, bye: bool) -> Vec<u8> {
        let info = SenderInfo { ntp: 0xaaaa_bbbb_cccc_dddd, timestamp: 5, packets: 6, octets: 7 };
        let mut bytes = Vec::new();
        Report { ssrc: 1, sender: sender.then_some(info), block: Some(BLOCK), cname, bye }.write(&mut bytes);
        bytes
    }

    #[test]
    fn the_other_side_reads_what_we_report() {
        let heard = Heard::of(&written("alice@pbx", true, true), 2).unwrap();
        let expected = Heard { ssrc: 1, last_report: Some(0xbbbb_cccc), block: Some(BLOCK), bye: true };
        assert_eq!(heard, expected);
        assert_eq!(
            Heard::of(&written("alice@pbx", false, false), 3).unwrap().block,
            None,
            "not of our packets"
        );
    }

    #[test]
    fn a_cname_of_any_length_is_read_by_others() {
        for length in 0..=300 {
            let cname = "n".repeat(length);
            let bytes = written(&cname, false, false);
            let found = Compound::parse(&bytes).unwrap().find_map(|packet| match packet.unwrap() {
                Packet::Sdes(sdes) => {
                    sdes.chunks().flat_map(|c| c.items()).next().map(|item| item.value().to_vec())
                }
                _ => None,
            });
            assert_eq!(found.unwrap_or_default(), &cname.as_bytes()[..length.min(255)], "{length} letters");
        }
    }

    #[test]
    fn rtp_and_noise_are_no_reports() {
        assert_eq!(Heard::of(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 1), Err(NotRtcp));
        assert_eq!(Heard::of(b"", 1), Err(NotRtcp));
        let whole = written("alice", true, false);
        assert!((1..whole.len()).any(|end| Heard::of(&whole[..end], 1) == Err(NotRtcp)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 198u8..208) {
            let _ = Heard::of(&bytes, 1);
            if bytes.len() > 8 {
                (bytes[0], bytes[1], bytes[2], bytes[3]) = (0x81, kind, 0, 1);
                let _ = Heard::of(&bytes, 1);
            }
        }

        #[test]
        fn a_damaged_report_never_panics(at in 0usize..100, value: u8) {
            let mut bytes = written("alice@pbx", true, true);
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = Heard::of(&bytes, 2);
        }
    }
}
