//! What a link does to packets.

use crate::dice::Dice;
use pbx::time::{Duration, Instant};

/// Without options.
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// One direction between two hosts. The default is a good LAN: 1 ms, no fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// From end to end, at least.
    pub latency: Duration,
    /// Up to so much more, drawn evenly.
    pub jitter: Duration,
    /// Share of packets that are lost, independently of each other.
    pub loss: f64,
    /// Losses that come together.
    pub bursts: Option<Bursts>,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
    /// Share of packets that are held back by [`Link::reorder_by`], so that later ones overtake them.
    pub reorder: f64,
    /// How long a reordered packet is held back.
    pub reorder_by: Duration,
    /// Share of packets in which one bit is flipped.
    pub corrupt: f64,
    /// Bits a second; `None`: as fast as you like.
    pub rate: Option<u64>,
    /// How long a packet may wait for the rate before it is dropped.
    pub queue: Duration,
    /// The largest IP packet in bytes. A larger datagram goes out in fragments and is lost when one of them is; a stream
    /// cuts its segments to fit.
    pub mtu: usize,
    /// Whether fragments get nowhere, as behind a firewall that knows no ports in them: large datagrams never arrive.
    pub drops_fragments: bool,
}

/// Losses that come in bursts (Gilbert and Elliott): time is cut into slots, each of which is good or bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// How long a slot is.
    pub slot: Duration,
    /// Share of slots that are bad.
    pub bad: f64,
    /// Share of packets lost in a bad slot.
    pub loss: f64,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            loss: 0.0,
            bursts: None,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::from_millis(30),
            corrupt: 0.0,
            rate: None,
            queue: Duration::from_millis(200),
            mtu: 1_500,
            drops_fragments: false,
        }
    }
}

/// What happens to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Fate {
    /// It is lost.
    pub lost: bool,
    /// It arrives so much later than the latency says.
    pub delay: Duration,
    /// A second copy arrives so much later than the first.
    pub duplicate: Option<Duration>,
    /// This bit of its payload is flipped, counted modulo its length.
    pub flip: Option<u64>,
}

impl Fate {
    /// Whether anything at all happens to it beside a delay.
    pub fn is_fault(&self) -> bool {
        self.lost || self.duplicate.is_some() || self.flip.is_some()
    }
}

impl Link {
    /// What this link does to its packet of this number. The number of draws is fixed, each from a place of its own, so a
    /// change of one setting changes what that setting does and nothing else.
    pub fn fate(&self, dice: Dice, number: u64, now: Instant) -> Fate {
        let packet = dice.at(number);
        // Most links do little of this, and most packets are of such links.
        let happens = |draw, share| share > 0.0 && packet.at(draw).share() < share;
        let lost = happens(0, self.loss) || self.bursts.is_some_and(|bursts| bursts.lose(dice, packet, now));
        let jitter = u64::try_from(self.jitter.as_nanos()).unwrap_or(u64::MAX);
        let mut delay = Duration::from_nanos(packet.at(1).below(jitter));
        if happens(2, self.reorder) {
            delay += self.reorder_by;
        }
        let duplicate = happens(3, self.duplicate)
            .then(|| Duration::from_nanos(packet.at(4).below(jitter.max(1_000_000))));
        let flip = happens(5, self.corrupt).then(|| packet.at(6).bits());
        Fate { lost, delay, duplicate, flip }
    }

    /// In how many IP packets a datagram of so many bytes goes out.
    pub fn fragments(&self, bytes: usize) -> usize {
        // Each fragment has an IP header of its own, and carries a multiple of eight bytes (RFC 791).
        let room = (self.mtu.saturating_sub(IP_HEADER) & !7).max(8);
        let packet = bytes + UDP_HEADER;
        if packet + IP_HEADER <= self.mtu { 1 } else { packet.div_ceil(room) }
    }

    /// Whether a datagram in so many fragments is lost because one of those after the first is. Each is drawn at a place
    /// of its own, so that small datagrams have the fates they always had.
    pub fn loses_a_fragment(&self, dice: Dice, number: u64, now: Instant, fragments: usize) -> bool {
        let is_lost = |fragment: u64| {
            let packet = dice.at(number).named("fragment").at(fragment);
            packet.at(0).share() < self.loss
                || self.bursts.is_some_and(|bursts| bursts.lose(dice, packet, now))
        };
        fragments > 1 && (self.drops_fragments || (1..fragments as u64).any(is_lost))
    }

    /// How long `bytes` take to go out at the link's rate.
    pub fn transmission(&self, bytes: usize) -> Duration {
        match self.rate {
            Some(rate) if rate > 0 => {
                Duration::from_nanos((bytes as u64 * 8).saturating_mul(1_000_000_000) / rate)
            }
            _ => Duration::ZERO,
        }
    }
}

impl Bursts {
    fn lose(self, dice: Dice, packet: Dice, now: Instant) -> bool {
        let slot = now.as_nanos() / u64::try_from(self.slot.as_nanos()).unwrap_or(u64::MAX).max(1);
        dice.named("slot").at(slot).share() < self.bad && packet.at(7).share() < self.loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_one_fault_away_shifts_no_other() {
        let dice = Dice::new(1);
        let both = Link { loss: 0.1, jitter: Duration::from_millis(20), duplicate: 0.1, ..Link::default() };
        let calm = Link { loss: 0.0, ..both.clone() };
        for number in 0..10_000 {
            let (with, without) =
                (both.fate(dice, number, Instant::START), calm.fate(dice, number, Instant::START));
            assert_eq!((with.delay, with.duplicate), (without.delay, without.duplicate));
            assert!(!without.lost);
        }
    }

    #[test]
    fn shares_are_what_was_asked_for() {
        let (dice, link) = (Dice::new(2), Link { loss: 0.3, corrupt: 0.01, ..Link::default() });
        let fates: Vec<_> = (0..100_000).map(|number| link.fate(dice, number, Instant::START)).collect();
        let lost = fates.iter().filter(|fate| fate.lost).count();
        let flipped = fates.iter().filter(|fate| fate.flip.is_some()).count();
        assert!((29_500..30_500).contains(&lost), "{lost}");
        assert!((900..1_100).contains(&flipped), "{flipped}");
    }

    #[test]
    fn a_large_datagram_is_lost_when_a_fragment_is() {
        let (dice, link) = (Dice::new(4), Link { loss: 0.1, ..Link::default() });
        assert_eq!([1_472, 1_473, 2_952, 2_953].map(|bytes| link.fragments(bytes)), [1, 2, 2, 3]);
        let lost = |fragments| {
            let is_lost = |number: &u64| {
                link.fate(dice, *number, Instant::START).lost
                    || link.loses_a_fragment(dice, *number, Instant::START, fragments)
            };
            (0..10_000).filter(is_lost).count()
        };
        // One packet in ten, and with three of them 1 - 0.9^3.
        assert!((900..1_100).contains(&lost(1)), "{}", lost(1));
        assert!((2_500..2_920).contains(&lost(3)), "{}", lost(3));
        let firewall = Link { drops_fragments: true, ..Link::default() };
        assert!(firewall.loses_a_fragment(dice, 0, Instant::START, 2));
        assert!(!firewall.loses_a_fragment(dice, 0, Instant::START, 1));
    }

    #[test]
    fn bursts_come_together() {
        let bursts = Bursts { slot: Duration::from_millis(100), bad: 0.1, loss: 1.0 };
        let (dice, link) = (Dice::new(3), Link { bursts: Some(bursts), ..Link::default() });
        let lost: Vec<_> =
            (0..10_000).map(|i| link.fate(dice, i, Instant::from_millis(i * 20)).lost).collect();
        let changes = lost.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let total = lost.iter().filter(|lost| **lost).count();
        assert!((700..1_300).contains(&total), "{total}");
        assert!(changes * 2 < total, "{changes} changes for {total} losses");
    }
}
