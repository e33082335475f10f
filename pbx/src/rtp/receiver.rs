//! What is known of one RTP source: RFC 3550 appendices A.1 (sequence), A.3 (loss) and A.8 (jitter).

use super::Header;

/// Ahead of the highest sequence number by so many and more: not in sequence (A.1).
const MAX_DROPOUT: u16 = 3000;
/// Behind it by more than so many: not merely late (A.1).
const MAX_MISORDER: u16 = 100;
/// No 16-bit sequence number, so that nothing equals it (A.1).
const NO_SEQUENCE: u32 = (1 << 16) + 1;

/// How a packet fits into what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Ahead of all others.
    InOrder,
    /// Behind another one, not seen before.
    Late,
    /// Seen before.
    Duplicate,
    /// The first one of a sequence that started over: the source restarted without telling.
    Restarted,
    /// Far from the sequence; not counted as received.
    Refused,
}

/// One source.
#[derive(Clone, Debug)]
pub struct Receiver {
    ssrc: u32,
    base_seq: u32,
    max_seq: u16,
    cycles: u32,
    bad_seq: u32,
    received: u32,
    expected_prior: u32,
    received_prior: u32,
    transit: Option<u32>,
    /// Scaled by 16 as in A.8.
    jitter: u32,
    /// Lost before the source restarted.
    lost_before: i64,
    /// Bit n: the sequence number n below the highest has come.
    seen: u128,
}

impl Receiver {
    /// The source of a first packet, which is still to be given to [`Receiver::receive`].
    ///
    /// There is no probation as in A.1: whose packets count is decided by their address before they come here.
    pub fn new(first: &Header) -> Receiver {
        Receiver {
            ssrc: first.ssrc,
            base_seq: u32::from(first.sequence),
            max_seq: first.sequence,
            cycles: 0,
            bad_seq: NO_SEQUENCE,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter: 0,
            lost_before: 0,
            seen: 0,
        }
    }

    /// Counts a packet that arrived at `arrival`, in units of its own clock rate.
    pub fn receive(&mut self, header: &Header, arrival: u32) -> Arrival {
        let found = self.update_sequence(header.sequence);
        if found != Arrival::Refused {
            self.received = self.received.wrapping_add(1);
            self.update_jitter(header.timestamp, arrival);
        }
        found
    }

    /// Whose packets these are.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The highest sequence number, extended by the count of wraps (RFC 3550 section 6.4.1).
    pub fn extended_highest(&self) -> u32 {
        self.cycles.wrapping_add(u32::from(self.max_seq))
    }

    /// Packets received, duplicates and late ones among them.
    pub fn received(&self) -> u32 {
        self.received
    }

    /// Packets expected by sequence number, as of A.3.
    pub fn expected(&self) -> u32 {
        if self.received == 0 {
            0
        } else {
            self.extended_highest().wrapping_sub(self.base_seq).wrapping_add(1)
        }
    }

    /// Expected less received; negative when there were duplicates.
    pub fn lost(&self) -> i64 {
        i64::from(self.expected()) - i64::from(self.received)
    }

    /// As [`Receiver::lost`], with what was lost before the source restarted.
    pub fn lost_in_all(&self) -> i64 {
        self.lost_before + self.lost()
    }

    /// The lost packets of the 24 bits in a report block, clamped as A.3 demands.
    pub fn cumulative_lost(&self) -> i32 {
        self.lost().clamp(-0x80_0000, 0x7f_ffff) as i32
    }

    /// Interarrival jitter in units of the clock rate.
    pub fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// The share lost since the last call, in 1/256; to be called once for each report (A.3).
    pub fn take_fraction_lost(&mut self) -> u8 {
        let expected = self.expected().wrapping_sub(self.expected_prior);
        let received = self.received.wrapping_sub(self.received_prior);
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        let lost = i64::from(expected) - i64::from(received);
        if expected == 0 || lost <= 0 { 0 } else { (lost * 256 / i64::from(expected)).min(255) as u8 }
    }

    /// `update_seq` of A.1, which besides tells late packets from duplicates.
    fn update_sequence(&mut self, sequence: u16) -> Arrival {
        let ahead = sequence.wrapping_sub(self.max_seq);
        if ahead == 0 && self.received == 0 {
            self.seen = 1;
            return Arrival::InOrder;
        }
        if ahead == 0 {
            return Arrival::Duplicate;
        }
        if ahead < MAX_DROPOUT {
            self.cycles = self.cycles.wrapping_add(u32::from(sequence < self.max_seq) << 16);
            self.max_seq = sequence;
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            return Arrival::InOrder;
        }
        if ahead <= 0u16.wrapping_sub(MAX_MISORDER) {
            return self.update_after_jump(sequence);
        }
        let bit = 1u128 << ahead.wrapping_neg();
        let found = if self.seen & bit == 0 { Arrival::Late } else { Arrival::Duplicate };
        self.seen |= bit;
        found
    }

    /// Two sequential packets after a large jump: the source has restarted, so start over as well.
    fn update_after_jump(&mut self, sequence: u16) -> Arrival {
        if u32::from(sequence) != self.bad_seq {
            self.bad_seq = u32::from(sequence.wrapping_add(1));
            return Arrival::Refused;
        }
        self.lost_before = self.lost_in_all();
        self.base_seq = u32::from(sequence);
        self.max_seq = sequence;
        self.bad_seq = NO_SEQUENCE;
        self.cycles = 0;
        self.received = 0;
        self.received_prior = 0;
        self.expected_prior = 0;
        self.transit = None;
        self.seen = 1;
        Arrival::Restarted
    }

    /// A.8 in integers. All packets count, those of a telephone event too (RFC 4733 section 2.5.2.2).
    fn update_jitter(&mut self, timestamp: u32, arrival: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            self.jitter = self.jitter.wrapping_add(difference).wrapping_sub(self.jitter.wrapping_add(8) >> 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 7 }
    }

    fn receiver_of(sequences: &[u16]) -> Receiver {
        let mut receiver = Receiver::new(&packet(sequences[0], 0));
        for sequence in sequences {
            receiver.receive(&packet(*sequence, 0), 0);
        }
        receiver
    }

    #[test]
    fn lost_packets_are_counted_over_the_wrap() {
        let mut receiver = receiver_of(&[65_533, 65_534, 1, 2]);
        assert_eq!((receiver.expected(), receiver.received(), receiver.lost()), (6, 4, 2));
        assert_eq!(receiver.extended_highest(), 65_536 + 2);
        assert_eq!(receiver.take_fraction_lost(), (2 * 256 / 6) as u8);
        assert_eq!(receiver.take_fraction_lost(), 0, "nothing was expected since");
    }

    #[test]
    fn a_late_packet_is_not_lost_and_a_duplicate_is_told() {
        let mut receiver = receiver_of(&[10, 12]);
        assert_eq!(receiver.receive(&packet(11, 0), 0), Arrival::Late);
        assert_eq!(receiver.receive(&packet(11, 0), 0), Arrival::Duplicate);
        assert_eq!(receiver.receive(&packet(12, 0), 0), Arrival::Duplicate);
        assert_eq!(receiver.lost(), -2, "RFC 3550 counts duplicates as received");
        assert_eq!(receiver.cumulative_lost(), -2);
        assert_eq!(receiver.take_fraction_lost(), 0);
    }

    #[test]
    fn a_restarted_source_is_followed_at_its_second_packet() {
        let mut receiver = receiver_of(&[10, 11]);
        assert_eq!(receiver.receive(&packet(40_000, 0), 0), Arrival::Refused);
        assert_eq!(receiver.receive(&packet(40_001, 0), 0), Arrival::Restarted);
        assert_eq!((receiver.expected(), receiver.received(), receiver.lost_in_all()), (1, 1, 0));
    }

    #[test]
    fn jitter_follows_the_formula_of_a_8() {
        let mut receiver = Receiver::new(&packet(0, 0));
        let (mut exact, mut before) = (0.0f64, 0i64);
        for n in 0..500u16 {
            let delay = i64::from(n * 37 % 50);
            receiver.receive(&packet(n, u32::from(n) * 160), u32::from(n) * 160 + delay as u32);
            if n > 0 {
                exact += ((delay - before).abs() as f64 - exact) / 16.0;
            }
            before = delay;
        }
        assert!((f64::from(receiver.jitter()) - exact).abs() <= 1.0, "{} for {exact}", receiver.jitter());
    }

    proptest! {
        #[test]
        fn loss_is_what_was_lost(start: u16, lost in prop::collection::vec(any::<bool>(), 1..400)) {
            let mut receiver = Receiver::new(&packet(start, 0));
            receiver.receive(&packet(start, 0), 0);
            for (n, _) in lost.iter().enumerate().filter(|(_, lost)| !**lost) {
                receiver.receive(&packet(start.wrapping_add(n as u16 + 1), 0), 0);
            }
            let heard = lost.iter().rposition(|lost| !lost).map_or(0, |last| last + 1);
            let missing = lost[..heard].iter().filter(|lost| **lost).count();
            prop_assert_eq!(receiver.lost(), missing as i64);
        }
    }
}
