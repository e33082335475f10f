//! Symmetric RTP: from whom a stream takes RTP and to whom it sends, and why that cannot be stolen.
//!
//! The other side said in its SDP where it receives RTP, and usually sends from there. Behind a NAT it sends from
//! elsewhere, so a stream *latches* on the address RTP really comes from (RFC 7362 names the risks). The rules:
//!
//! 1. The address of the SDP is always right: RTP from there is taken at once, and from then on sent there.
//! 2. Another address is taken only if it may be a NAT in front of the one in the SDP: it has the same IP and another
//!    port, or the SDP names a private address and the RTP comes from another network. A public address in the SDP is
//!    never left, nor is a private one for a neighbour in its own network.
//! 3. It is taken only after a probation: some packets of one SSRC with consecutive sequence numbers, within a moment.
//! 4. While the latched address is heard, all others are refused and counted.
//! 5. When it has been silent for a while, another one may follow it by the same rules, and only with the same SSRC: a
//!    NAT that gave the telephone another port does not change what the telephone sends, and who has not seen the
//!    stream does not know it.
//! 6. A new agreement with another address starts over; one with the same address only when the latched one is silent.

use super::Latching;
use crate::rtp::Header;
use crate::time::{Duration, Instant};
use std::net::{IpAddr, SocketAddr};

/// How many sources may be on probation at a time.
const CANDIDATES: usize = 4;
/// Between two packets of one that is on probation.
const PROBATION_GAP: Duration = Duration::from_millis(200);

/// Whether a packet is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// From where RTP is expected.
    Known,
    /// From somewhere new, which from now on is where RTP goes.
    Changed,
    /// Not.
    Refused,
}

#[derive(Clone, Debug)]
pub(super) struct Latch {
    expected: Option<SocketAddr>,
    state: State,
    /// Who is on probation; never more than [`CANDIDATES`], and mostly nobody.
    candidates: Vec<Candidate>,
}

#[derive(Clone, Debug)]
enum State {
    /// Nobody is heard; RTP goes to `last`, or where the SDP says.
    Open { last: Option<SocketAddr> },
    /// One is heard, and RTP goes there.
    Latched { source: SocketAddr, ssrc: u32, heard: Instant },
}

/// Somebody on probation.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    next_sequence: u16,
    packets: u8,
    heard: Instant,
}

impl Default for Latch {
    fn default() -> Latch {
        Latch { expected: None, state: State::Open { last: None }, candidates: Vec::new() }
    }
}

impl Latch {
    /// What the SDP says from now on.
    pub(super) fn agree(&mut self, expected: Option<SocketAddr>, now: Instant, rules: &Latching) {
        let same = self.expected == expected || expected.is_none();
        if !same {
            self.state = State::Open { last: None };
            self.candidates.clear();
        }
        if let State::Latched { source, heard, .. } = self.state
            && now.since(heard) >= rules.silence
        {
            self.state = State::Open { last: Some(source) };
        }
        // `c=0.0.0.0` is a hold and names nobody: who was expected is so again afterwards.
        self.expected = expected.or(self.expected);
    }

    /// Where RTP goes.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        match self.state {
            State::Open { last } => last.or(self.expected),
            State::Latched { source, .. } => Some(source),
        }
    }

    /// Whether this is the host RTP comes from or was promised from; RTCP is taken from it.
    pub(super) fn is_host(&self, ip: IpAddr) -> bool {
        let latched = match self.state {
            State::Latched { source, .. } => Some(source),
            State::Open { .. } => None,
        };
        latched.or(self.expected).is_some_and(|address| address.ip() == ip)
    }

    /// Judges one packet.
    pub(super) fn admit(
        &mut self,
        from: SocketAddr,
        header: &Header,
        now: Instant,
        rules: &Latching,
    ) -> Admission {
        if let State::Latched { source, ssrc, heard, .. } = &mut self.state
            && *source == from
        {
            *ssrc = header.ssrc;
            *heard = now;
            return Admission::Known;
        }
        if self.expected == Some(from) {
            return self.take(from, header.ssrc, now);
        }
        if self.may_follow(from, header.ssrc, now, rules) && self.passes_probation(from, header, now, rules) {
            return self.take(from, header.ssrc, now);
        }
        Admission::Refused
    }

    fn take(&mut self, source: SocketAddr, ssrc: u32, now: Instant) -> Admission {
        let changed = self.destination() != Some(source);
        self.state = State::Latched { source, ssrc, heard: now };
        self.candidates.clear();
        if changed { Admission::Changed } else { Admission::Known }
    }

    fn may_follow(&self, from: SocketAddr, header_ssrc: u32, now: Instant, rules: &Latching) -> bool {
        let Some(expected) = self.expected else { return false };
        let vacant = match self.state {
            State::Open { .. } => true,
            State::Latched { ssrc, heard, .. } => now.since(heard) >= rules.silence && ssrc == header_ssrc,
        };
        vacant && rules.behind_nat && may_be_nat_of(from.ip(), expected.ip())
    }

    fn passes_probation(
        &mut self,
        from: SocketAddr,
        header: &Header,
        now: Instant,
        rules: &Latching,
    ) -> bool {
        let known = self.candidates.iter().position(|candidate| candidate.source == from);
        let before = known.map(|at| self.candidates.swap_remove(at));
        let packets = match before {
            Some(known) if known.continues_with(header, now) => known.packets.saturating_add(1),
            Some(_) | None => 1,
        };
        if self.candidates.len() == CANDIDATES {
            // The one who was heard least lately makes room.
            self.candidates.sort_by_key(|candidate| candidate.heard);
            self.candidates.remove(0);
        }
        let next_sequence = header.sequence.wrapping_add(1);
        self.candidates.push(Candidate {
            source: from,
            ssrc: header.ssrc,
            next_sequence,
            packets,
            heard: now,
        });
        packets >= rules.probation
    }
}

impl Candidate {
    fn continues_with(&self, header: &Header, now: Instant) -> bool {
        self.ssrc == header.ssrc
            && self.next_sequence == header.sequence
            && now.since(self.heard) <= PROBATION_GAP
    }
}

/// Whether what `expected` sends may seem to come from `ip`.
fn may_be_nat_of(ip: IpAddr, expected: IpAddr) -> bool {
    ip == expected || (is_private(expected) && !are_neighbours(ip, expected))
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64; // RFC 6598
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Whether there is hardly a NAT between the two: the same /24, or /64.
fn are_neighbours(a: IpAddr, b: IpAddr) -> bool {
    match (a.to_canonical(), b.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.octets()[..8] == b.octets()[..8],
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "203.0.113.5:4000";
    const PRIVATE: &str = "192.168.1.20:4000";
    const NAT: &str = "203.0.113.9:61000";
    const THIEF: &str = "198.51.100.66:4000";

    /// A stream whose other side said it is at an address.
    struct Stream {
        latch: Latch,
        now: Instant,
    }

    fn promised(address: &str) -> Stream {
        let mut stream = Stream { latch: Latch::default(), now: Instant::START };
        stream.agrees(address);
        stream
    }

    impl Stream {
        fn agrees(&mut self, address: &str) {
            self.latch.agree(Some(address.parse().unwrap()), self.now, &Latching::default());
        }

        /// So many packets, 20 ms apart; how many were taken.
        fn hears(&mut self, from: &str, ssrc: u32, packets: u16) -> usize {
            let from = from.parse().unwrap();
            let mut taken = 0;
            for sequence in 0..packets {
                self.now += Duration::from_millis(20);
                let header = Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc };
                let admission = self.latch.admit(from, &header, self.now, &Latching::default());
                taken += usize::from(admission != Admission::Refused);
            }
            taken
        }

        fn sends_to(&self) -> String {
            self.latch.destination().unwrap().to_string()
        }
    }

    #[test]
    fn the_address_of_the_sdp_is_taken_at_once() {
        let mut stream = promised(PUBLIC);
        assert_eq!(stream.sends_to(), PUBLIC);
        assert_eq!(stream.hears(PUBLIC, 1, 1), 1);
    }

    #[test]
    fn a_telephone_behind_a_nat_is_taken_after_its_probation() {
        let mut stream = promised(PRIVATE);
        assert_eq!(stream.hears(NAT, 1, 10), 8, "two were on probation");
        assert_eq!(stream.sends_to(), NAT);
        assert_eq!(promised(PUBLIC).hears("203.0.113.5:61000", 1, 10), 8, "another port of the same host");
    }

    #[test]
    fn a_thief_gets_nothing_while_the_telephone_is_heard() {
        for (said, real) in [(PUBLIC, PUBLIC), (PRIVATE, NAT)] {
            let mut stream = promised(said);
            stream.hears(real, 1, 10);
            for _ in 0..50 {
                assert_eq!(stream.hears(THIEF, 1, 3), 0);
                stream.hears(real, 1, 1);
            }
            assert_eq!(stream.sends_to(), real);
        }
    }

    #[test]
    fn a_thief_gets_nothing_before_the_telephone_is_heard_where_no_nat_can_be() {
        assert_eq!(promised(PUBLIC).hears(THIEF, 1, 50), 0, "the SDP has a public address");
        assert_eq!(promised(PRIVATE).hears("192.168.1.66:4000", 1, 50), 0, "a neighbour is no NAT");
    }

    #[test]
    fn a_nat_that_forgot_is_followed_only_with_the_same_stream() {
        let mut stream = promised(PRIVATE);
        stream.hears(NAT, 1, 10);
        stream.now += Duration::from_secs(4);
        assert_eq!(stream.hears(THIEF, 99, 50), 0, "the thief does not know the SSRC");
        assert_eq!(stream.hears("203.0.113.9:61001", 1, 10), 8);
        assert_eq!(stream.sends_to(), "203.0.113.9:61001");
    }

    #[test]
    fn two_who_mix_their_packets_do_not_disturb_each_others_probation() {
        let mut stream = promised(PRIVATE);
        let header = |sequence, ssrc| Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc };
        let mut admit = |from: &str, sequence: u16, ssrc| {
            stream.latch.admit(
                from.parse().unwrap(),
                &header(sequence, ssrc),
                stream.now,
                &Latching::default(),
            )
        };
        for sequence in 0..2 {
            assert_eq!(admit(NAT, sequence, 1), Admission::Refused);
            assert_eq!(admit(THIEF, sequence * 7, 2), Admission::Refused);
        }
        assert_eq!(admit(NAT, 2, 1), Admission::Changed);
    }

    #[test]
    fn a_new_agreement_starts_over_and_a_hold_does_not() {
        let mut stream = promised(PRIVATE);
        stream.hears(NAT, 1, 10);
        stream.latch.agree(None, stream.now, &Latching::default());
        stream.agrees(PRIVATE);
        assert_eq!(stream.sends_to(), NAT, "held and resumed");
        stream.agrees(PUBLIC);
        assert_eq!(stream.sends_to(), PUBLIC);
        assert_eq!(stream.hears(NAT, 1, 10), 0);
    }
}
