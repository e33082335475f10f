//! Sealing what goes out.

use super::keys::SessionKeys;
use super::{ENCRYPTED, MasterKey, RTCP_CLEAR, RTCP_TAG, Suite, numbers, payload_start};

/// Seals the packets of one direction.
#[derive(Clone, Debug)]
pub struct Sender {
    suite: Suite,
    rtp: SessionKeys,
    rtcp: SessionKeys,
    last: Option<Last>,
    /// The index of the next RTCP packet, 31 bits.
    report: u32,
}

/// The highest packet sent. With another SSRC the key stream is another one, so the count may start over.
#[derive(Clone, Copy, Debug)]
struct Last {
    ssrc: u32,
    sequence: u16,
    rollover: u32,
}

impl Sender {
    /// With our key, from the first packet on. A key has one sender in its life: two would use one key stream twice
    /// (RFC 3711 section 9.1).
    pub fn new(suite: Suite, key: &MasterKey) -> Sender {
        Sender { suite, rtp: key.for_rtp(), rtcp: key.for_rtcp(), last: None, report: 0 }
    }

    /// Seals the RTP packet that begins at `start` and is the last thing in the buffer. What is no RTP is taken out of it.
    pub fn seal(&mut self, buffer: &mut Vec<u8>, start: usize) {
        let Some(clear) = payload_start(&buffer[start..]) else { return buffer.truncate(start) };
        let (sequence, ssrc) = numbers(&buffer[start..]);
        let rollover = self.count(sequence, ssrc);
        let index = u64::from(rollover) << 16 | u64::from(sequence);
        self.rtp.cover(ssrc, index, &mut buffer[start + clear..]);
        let tag = self.rtp.tag(&buffer[start..], &rollover.to_be_bytes());
        buffer.extend_from_slice(&tag[..self.suite.tag()]);
    }

    /// Seals the RTCP packet that begins at `start` and is the last thing in the buffer.
    pub fn seal_report(&mut self, buffer: &mut Vec<u8>, start: usize) {
        let Some(header) = buffer[start..].first_chunk::<RTCP_CLEAR>() else { return buffer.truncate(start) };
        let ssrc = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let index = self.report;
        self.report = (index + 1) & !ENCRYPTED;
        self.rtcp.cover(ssrc, u64::from(index), &mut buffer[start + RTCP_CLEAR..]);
        buffer.extend_from_slice(&(index | ENCRYPTED).to_be_bytes());
        let tag = self.rtcp.tag(&buffer[start..], &[]);
        buffer.extend_from_slice(&tag[..RTCP_TAG]);
    }

    /// How often the sequence numbers have begun again, for this packet; one that is passed on late belongs to the round before.
    fn count(&mut self, sequence: u16, ssrc: u32) -> u32 {
        let last = self.last.filter(|last| last.ssrc == ssrc);
        let Some(last) = last else {
            self.last = Some(Last { ssrc, sequence, rollover: 0 });
            return 0;
        };
        let ahead = sequence.wrapping_sub(last.sequence).cast_signed();
        if ahead <= 0 {
            return last.rollover.wrapping_sub(u32::from(sequence > last.sequence));
        }
        let rollover = last.rollover.wrapping_add(u32::from(sequence < last.sequence));
        self.last = Some(Last { ssrc, sequence, rollover });
        rollover
    }
}
