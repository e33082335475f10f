//! Opening what comes in: whose it is, whether it is new, what it says.

use super::keys::SessionKeys;
use super::{ENCRYPTED, MasterKey, RTCP_CLEAR, RTCP_TAG, Suite, numbers, payload_start};
use std::fmt;
use subtle::ConstantTimeEq;

/// Sources whose count is kept at a time; a telephone has one, and another one after it has started over.
const SOURCES: usize = 4;

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not sealed with the key of the other side, or changed on the way.
    Forged,
    /// It has come before, or is older than what is remembered.
    Replayed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Forged => f.write_str("the packet is not sealed with the agreed key"),
            Refused::Replayed => f.write_str("the packet has come before"),
        }
    }
}

impl std::error::Error for Refused {}

/// Opens the packets of one direction.
#[derive(Clone, Debug)]
pub struct Receiver {
    suite: Suite,
    rtp: SessionKeys,
    rtcp: SessionKeys,
    /// Only of packets that were opened, the latest first.
    sources: [Option<Source>; SOURCES],
    reports: Window,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    window: Window,
}

/// Which indices have been seen (RFC 3711 section 3.3.2).
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    highest: u64,
    /// Bit n: the index n below the highest. Zero before the first packet.
    seen: u128,
}

impl Receiver {
    /// With the key of the other side.
    pub fn new(suite: Suite, key: &MasterKey) -> Receiver {
        let (rtp, rtcp) = (key.for_rtp(), key.for_rtcp());
        Receiver { suite, rtp, rtcp, sources: [None; SOURCES], reports: Window::default() }
    }

    /// Opens an RTP packet in place; how much of it is left.
    pub fn open(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let end = packet.len().checked_sub(self.suite.tag()).ok_or(Refused::Forged)?;
        let start = payload_start(&packet[..end]).ok_or(Refused::Forged)?;
        let (sequence, ssrc) = numbers(packet);
        let known = self.sources.iter().flatten().position(|source| source.ssrc == ssrc);
        let mut window =
            known.and_then(|at| self.sources[at]).map_or(Window::default(), |source| source.window);
        let index = window.index_of(sequence);
        if window.has_seen(index) {
            return Err(Refused::Replayed);
        }
        let (sealed, tag) = packet.split_at(end);
        let expected = self.rtp.tag(sealed, &((index >> 16) as u32).to_be_bytes());
        if !bool::from(expected[..tag.len()].ct_eq(tag)) {
            return Err(Refused::Forged);
        }
        window.see(index);
        self.remember(known, Source { ssrc, window });
        self.rtp.cover(ssrc, index, &mut packet[start..end]);
        Ok(end)
    }

    /// Opens an RTCP packet in place; how much of it is left.
    pub fn open_report(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let end =
            packet.len().checked_sub(RTCP_TAG + 4).filter(|end| *end >= RTCP_CLEAR).ok_or(Refused::Forged)?;
        let (sealed, tag) = packet.split_at(end + 4);
        let expected = self.rtcp.tag(sealed, &[]);
        if !bool::from(expected[..RTCP_TAG].ct_eq(tag)) {
            return Err(Refused::Forged);
        }
        let word =
            |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        let (ssrc, marked) = (word(4), word(end));
        let index = u64::from(marked & !ENCRYPTED);
        if self.reports.has_seen(index) {
            return Err(Refused::Replayed);
        }
        self.reports.see(index);
        if marked & ENCRYPTED != 0 {
            self.rtcp.cover(ssrc, index, &mut packet[RTCP_CLEAR..end]);
        }
        Ok(end)
    }

    fn remember(&mut self, known: Option<usize>, source: Source) {
        let at = known.unwrap_or(SOURCES - 1);
        self.sources[at] = Some(source);
        self.sources[..=at].rotate_right(1);
    }
}

impl Window {
    /// The index of a sequence number: that next to the highest one (RFC 3711 section 3.3.1).
    fn index_of(&self, sequence: u16) -> u64 {
        if self.seen == 0 {
            return u64::from(sequence);
        }
        let ahead = sequence.wrapping_sub(self.highest as u16).cast_signed();
        // Before the first round there is none.
        self.highest.checked_add_signed(i64::from(ahead)).unwrap_or(u64::from(sequence))
    }

    fn has_seen(&self, index: u64) -> bool {
        if self.seen == 0 || index > self.highest {
            return false;
        }
        let behind = self.highest - index;
        behind >= u64::from(u128::BITS) || self.seen >> behind & 1 == 1
    }

    fn see(&mut self, index: u64) {
        if self.seen == 0 || index > self.highest {
            let ahead = if self.seen == 0 { 0 } else { index - self.highest };
            self.seen =
                u32::try_from(ahead).ok().and_then(|ahead| self.seen.checked_shl(ahead)).unwrap_or(0) | 1;
            self.highest = index;
        } else {
            self.seen |= 1 << (self.highest - index);
        }
    }
}
