//! Telephone events (RFC 4733): keys that travel as numbers, told once by the receiver, repeated by the sender.

use std::time::Duration;

/// The payload of an event packet (RFC 4733 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// 0 to 15 are keys (section 3.2), others something else.
    pub event: u8,
    /// The key has been released.
    pub end: bool,
    /// Power in -dBm0, 0 to 63.
    pub volume: u8,
    /// How long so far, in units of the clock rate.
    pub duration: u16,
}

impl Payload {
    /// Bytes of one event.
    pub const LENGTH: usize = 4;

    /// The first event of a payload; `None` when there is none whole.
    pub fn of(bytes: &[u8]) -> Option<Payload> {
        let [event, flags, high, low] = *bytes.first_chunk()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Payload { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
    }

    /// As it goes over the wire.
    pub fn to_bytes(&self) -> [u8; Payload::LENGTH] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | (self.volume & 0x3f), high, low]
    }
}

/// The keys by their event number (RFC 4733 section 3.2).
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// The key of an event number.
pub fn key(event: u8) -> Option<char> {
    KEYS.get(usize::from(event)).copied()
}

/// The event number of a key, small letters too.
pub fn number(key: char) -> Option<u8> {
    KEYS.iter().position(|known| *known == key.to_ascii_uppercase()).map(|at| at as u8)
}

/// Makes one press of the many packets that tell it.
///
/// A press is told at the first of its packets that arrives, whichever that is, so that it is known at any loss below
/// all of them. Its timestamp is its name (section 2.2.1): what comes later with the same one, or with an older one,
/// tells nothing new.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    event: u8,
    timestamp: u32,
    duration: u16,
    end: bool,
}

impl Receiver {
    /// The key that this packet is the first to tell.
    pub fn receive(&mut self, timestamp: u32, payload: Payload) -> Option<char> {
        let now = Last { event: payload.event, timestamp, duration: payload.duration, end: payload.end };
        let Some(last) = self.last else {
            self.last = Some(now);
            return key(payload.event);
        };
        if timestamp == last.timestamp {
            if payload.event == last.event {
                let duration = last.duration.max(payload.duration);
                self.last = Some(Last { duration, end: last.end || payload.end, ..last });
            }
            return None;
        }
        if timestamp.wrapping_sub(last.timestamp).cast_signed() < 0 {
            return None;
        }
        self.last = Some(now);
        if last.continues_as(&now) { None } else { key(payload.event) }
    }
}

impl Last {
    /// Whether `next` is another segment of this long event (section 2.5.1.3).
    fn continues_as(&self, next: &Last) -> bool {
        !self.end
            && self.event == next.event
            && next.timestamp.wrapping_sub(self.timestamp) == u32::from(u16::MAX)
    }
}

/// The packets of one press, one for each packet time: updates, then the end three times (section 2.5.1.4).
#[derive(Clone, Debug)]
pub struct Sender {
    event: u8,
    /// How long the key is held, in units of the clock rate.
    total: u16,
    /// Units that one packet time has.
    step: u16,
    told: u16,
    ends: u8,
}

/// What the next packet of a press is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The first of the press; its timestamp holds for all of them.
    pub first: bool,
    /// The four bytes.
    pub payload: Payload,
}

impl Sender {
    /// Power of our keys in -dBm0.
    const VOLUME: u8 = 10;

    /// A press of `key` for `held`, at most 8 s at 8000 Hz (one segment), told every `packet_time`.
    pub fn new(key: char, held: Duration, packet_time: Duration, clock_rate: u32) -> Option<Sender> {
        let units = |duration| super::units(duration, clock_rate).clamp(1, u32::from(u16::MAX) - 1) as u16;
        let event = number(key)?;
        Some(Sender { event, total: units(held), step: units(packet_time), told: 0, ends: 0 })
    }

    /// The next packet; `None` when the press has been told to its end.
    pub fn poll(&mut self) -> Option<Report> {
        if self.ends == 3 {
            return None;
        }
        let first = self.told == 0;
        self.told = self.told.saturating_add(self.step).min(self.total);
        let end = self.told == self.total && (!first || self.total <= self.step);
        self.ends += u8::from(end);
        let payload = Payload { event: self.event, end, volume: Sender::VOLUME, duration: self.told };
        Some(Report { first, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What goes over the wire when keys are pressed 100 ms each, as (timestamp, payload).
    fn pressed(keys: &str) -> Vec<(u32, Payload)> {
        let mut packets = Vec::new();
        for (n, key) in keys.chars().enumerate() {
            let timestamp = (u32::MAX - 1000).wrapping_add(1600 * n as u32);
            let mut sender =
                Sender::new(key, Duration::from_millis(100), Duration::from_millis(20), 8000).unwrap();
            packets.extend(std::iter::from_fn(|| sender.poll()).map(|report| (timestamp, report.payload)));
        }
        packets
    }

    fn told(packets: impl IntoIterator<Item = (u32, Payload)>) -> String {
        let mut receiver = Receiver::default();
        packets.into_iter().filter_map(|(timestamp, payload)| receiver.receive(timestamp, payload)).collect()
    }

    #[test]
    fn a_press_grows_and_ends_three_times() {
        let packets = pressed("5");
        let durations: Vec<u16> = packets.iter().map(|(_, payload)| payload.duration).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
        let ends: Vec<bool> = packets.iter().map(|(_, payload)| payload.end).collect();
        assert_eq!(ends, [false, false, false, false, true, true, true]);
        assert!(packets.iter().all(|(_, payload)| Payload::of(&payload.to_bytes()) == Some(*payload)));
    }

    #[test]
    fn the_same_key_twice_is_two_presses() {
        assert_eq!(told(pressed("1123#*AD0")), "1123#*AD0");
    }

    #[test]
    fn a_key_held_for_long_is_one_press() {
        let payload = |duration, end| Payload { event: 11, end, volume: 10, duration };
        let segments =
            [(100, payload(160, false)), (100, payload(65_535, false)), (65_635, payload(160, false))];
        assert_eq!(told(segments), "#");
    }

    #[test]
    fn what_is_no_key_is_not_told() {
        assert_eq!(told([(0, Payload { event: 16, end: true, volume: 0, duration: 800 })]), "", "hook flash");
        assert_eq!(Payload::of(&[1, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn a_press_is_told_once_at_any_loss_below_all_its_packets(
            keys in "[0-9*#A-D]{1,12}",
            fate in prop::collection::vec(any::<[bool; 7]>(), 12),
            spared in prop::collection::vec(0usize..7, 12),
        ) {
            let arrived = pressed(&keys).into_iter().enumerate().filter_map(|(n, packet)| {
                (spared[n / 7] == n % 7 || fate[n / 7][n % 7]).then_some(packet)
            });
            prop_assert_eq!(told(arrived), keys);
        }
    }
}
