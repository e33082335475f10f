//! The numbering of what a stream sends: one SSRC, sequence numbers that follow each other, a clock that never goes back
//! (RFC 3550 section 5.1), whoever it is that is heard: another stream, a tone, a key.

use crate::rng::Rng;
use crate::rtp::{self, Header};
use crate::time::{Duration, Instant};

/// Sequence numbers so far behind the highest are not passed on any longer.
const OLDEST: u16 = 100;
/// The least distance between the end of one source and the beginning of the next.
const LITTLE: Duration = Duration::from_millis(1);
/// So far ahead of the time no key begins.
const LEAP: Duration = Duration::from_secs(1);
/// The latest sequence numbers of ours by which a loop of our own packets is known.
const LOOP: u16 = 256;

#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) ssrc: u32,
    /// Sent with any SSRC.
    pub(super) packets: u64,
    pub(super) octets: u64,
    /// What had been sent when the SSRC changed (RFC 3550 section 6.4.1: the counts start over).
    before_ssrc: (u64, u64),
    next_sequence: u16,
    /// The newest timestamp and when it was sent first.
    timestamp: u32,
    at: Option<Instant>,
    mapping: Option<Mapping>,
    /// Whose packet was the last that went out, if it was one of a key.
    key: Option<Key>,
    /// Something was left out since the last packet.
    left_out: bool,
}

/// How the numbers of another source become ours. What the network lost stays a gap; what we leave out does not.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    ssrc: u32,
    highest: u16,
    /// Older ones belong to what was sent before this mapping.
    oldest: u16,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// The newest timestamp of audio.
    timestamp: u32,
}

/// A key that is passed on. All its packets have one timestamp (RFC 4733 section 2.5.1.2).
#[derive(Clone, Copy, Debug)]
struct Key {
    ssrc: u32,
    theirs: u32,
    ours: u32,
}

/// What a stream passes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing {
    pub(super) header: Header,
    pub(super) octets: usize,
    /// The payload type on this side.
    pub(super) payload_type: u8,
    pub(super) clock_rate: u32,
    /// A telephone event, whose timestamp stands still.
    pub(super) event: bool,
}

impl Outgoing {
    pub(super) fn new(dice: &mut Rng) -> Outgoing {
        Outgoing {
            ssrc: dice.u32(),
            packets: 0,
            octets: 0,
            before_ssrc: (0, 0),
            next_sequence: dice.u32() as u16,
            timestamp: dice.u32(),
            at: None,
            mapping: None,
            key: None,
            left_out: false,
        }
    }

    /// The timestamp of `now`, at least `step` after the newest one.
    pub(super) fn timestamp_at(&self, now: Instant, step: Duration, clock_rate: u32) -> u32 {
        let Some(at) = self.at else { return self.timestamp };
        self.timestamp.wrapping_add(rtp::units(now.since(at).max(step), clock_rate))
    }

    /// The header of a packet that we make ourselves.
    pub(super) fn number(
        &mut self,
        marker: bool,
        payload_type: u8,
        timestamp: u32,
        octets: usize,
        now: Instant,
    ) -> Header {
        self.mapping = None;
        self.key = None;
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        self.count(timestamp, octets, now);
        Header { marker, payload_type, sequence, timestamp, ssrc: self.ssrc }
    }

    /// The header of a packet that is passed on; `None` when it is too old to have a place.
    pub(super) fn pass(&mut self, passing: &Passing, step: Duration, now: Instant) -> Option<Header> {
        let theirs = &passing.header;
        let kept = self.mapping.filter(|mapping| mapping.fits(passing));
        let is_same = |key: &Key| passing.event && (key.ssrc, key.theirs) == (theirs.ssrc, theirs.timestamp);
        // Whoever hears a key hears one key, whatever has changed meanwhile.
        let resumed = self.key.filter(|key| kept.is_none() && is_same(key));
        let (mut mapping, fresh) = match kept {
            Some(mapping) => (mapping, false),
            None => (self.map_from(passing, step, now, resumed), true),
        };
        let ahead = theirs.sequence.wrapping_sub(mapping.highest).cast_signed();
        if ahead <= 0 && theirs.sequence.wrapping_sub(mapping.oldest).cast_signed() < 0 {
            return None;
        }
        let sequence = theirs.sequence.wrapping_add(mapping.sequence_offset);
        let timestamp = theirs.timestamp.wrapping_add(mapping.timestamp_offset);
        if ahead > 0 || fresh {
            mapping.advance(theirs.sequence);
            if !passing.event {
                mapping.timestamp = theirs.timestamp;
            }
            self.next_sequence = sequence.wrapping_add(1);
        }
        self.mapping = Some(mapping);
        let key = Key { ssrc: theirs.ssrc, theirs: theirs.timestamp, ours: timestamp };
        self.key = passing.event.then_some(key);
        let begins = self.begins_anew(fresh, timestamp, rtp::units(step, passing.clock_rate));
        // Who begins to speak where somebody else has just ended does not begin anew for who hears both; a key begins wherever it
        // is the first that is heard (RFC 4733 section 2.2.2).
        let marker = resumed.is_none() && (begins || if fresh { passing.event } else { theirs.marker });
        // What comes late tells nothing of the time.
        let is_late = ahead <= 0 && !fresh;
        match is_late || (passing.event && self.leaps(timestamp, passing.clock_rate, now)) {
            true => self.count_octets(passing.octets),
            false => self.count(timestamp, passing.octets, now),
        }
        Some(Header { marker, payload_type: passing.payload_type, sequence, timestamp, ssrc: self.ssrc })
    }

    /// Whether what is passed on is the beginning of something to hear.
    fn begins_anew(&mut self, fresh: bool, timestamp: u32, step: u32) -> bool {
        let left_out = std::mem::take(&mut self.left_out);
        (fresh || left_out) && !self.goes_on(timestamp, step)
    }

    /// Whether a packet with this timestamp goes on where the last one, of so many units, has ended: no talkspurt begins here.
    pub(super) fn goes_on(&self, timestamp: u32, step: u32) -> bool {
        self.at.is_some() && timestamp.wrapping_sub(self.timestamp) == step
    }

    /// When the last packet went out.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether packets of this source are being passed on, so that one more goes on where they were.
    pub(super) fn passes_on(&self, header: &Header) -> bool {
        self.mapping.is_some_and(|mapping| mapping.ssrc == header.ssrc)
    }

    /// A packet that could be passed on is left out: the ones behind it close up.
    pub(super) fn skip(&mut self, header: &Header) {
        self.left_out = true;
        let Some(mapping) = &mut self.mapping else { return };
        if mapping.ssrc == header.ssrc && header.sequence.wrapping_sub(mapping.highest).cast_signed() > 0 {
            mapping.highest = header.sequence;
            mapping.oldest = header.sequence.wrapping_add(1);
            mapping.sequence_offset = mapping.sequence_offset.wrapping_sub(1);
        }
    }

    /// The count of a seal starts at zero and both sides have to guess the same: numbers that soon begin again would make the
    /// first loss fatal (RFC 3711 section 3.3.1).
    pub(super) fn start_low(&mut self) {
        if self.packets == 0 {
            self.next_sequence &= 0x7fff;
        }
    }

    /// What follows is not a continuation of what was passed on.
    pub(super) fn interrupt(&mut self) {
        self.mapping = None;
    }

    /// Another SSRC from now on (RFC 3550 section 8.2).
    pub(super) fn change_ssrc(&mut self, dice: &mut Rng) {
        self.ssrc = dice.u32();
        self.before_ssrc = (self.packets, self.octets);
    }

    /// Packets and octets sent with this SSRC, for a sender report.
    pub(super) fn counted(&self) -> (u32, u32) {
        ((self.packets - self.before_ssrc.0) as u32, (self.octets - self.before_ssrc.1) as u32)
    }

    /// Whether this header is that of a packet we have sent of late: it was looped back.
    pub(super) fn is_own(&self, header: &Header) -> bool {
        header.ssrc == self.ssrc && self.next_sequence.wrapping_sub(header.sequence).wrapping_sub(1) < LOOP
    }

    fn map_from(&self, passing: &Passing, step: Duration, now: Instant, resumed: Option<Key>) -> Mapping {
        let theirs = &passing.header;
        let elapsed = self.at.map_or(step, |at| now.since(at));
        // Who is heard in the middle of a packet of the one before begins behind it, and a little later: nobody is to take
        // both for one talkspurt that was sent in a burst.
        let step = if elapsed < step { step + elapsed.max(LITTLE) } else { step };
        let timestamp = match resumed {
            Some(key) => key.ours,
            None => self.timestamp_at(now, step, passing.clock_rate),
        };
        Mapping {
            ssrc: theirs.ssrc,
            highest: theirs.sequence,
            oldest: theirs.sequence,
            sequence_offset: self.next_sequence.wrapping_sub(theirs.sequence),
            timestamp_offset: timestamp.wrapping_sub(theirs.timestamp),
            timestamp: theirs.timestamp,
        }
    }

    /// Whether a timestamp is far ahead of the time: a device counts its keys by a clock of their own, or the packet came damaged.
    /// The sound goes on by the old one, and so does what reports say.
    fn leaps(&self, timestamp: u32, clock_rate: u32, now: Instant) -> bool {
        let due = |at: Instant| rtp::units(now.since(at) + LEAP, clock_rate);
        let ahead = timestamp.wrapping_sub(self.timestamp).cast_signed();
        self.at.is_some_and(|at| i64::from(ahead) > i64::from(due(at)))
    }

    fn count_octets(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }

    fn count(&mut self, timestamp: u32, octets: usize, now: Instant) {
        self.count_octets(octets);
        // The packets of one event share the timestamp of its beginning.
        if self.at.is_none() || timestamp.wrapping_sub(self.timestamp).cast_signed() > 0 {
            self.timestamp = timestamp;
            self.at = Some(now);
        }
    }
}

impl Mapping {
    /// Whether a packet goes on where the mapped ones were: the same source, and no clock that went back.
    fn fits(&self, passing: &Passing) -> bool {
        let ahead = passing.header.sequence.wrapping_sub(self.highest).cast_signed();
        let later = passing.header.timestamp.wrapping_sub(self.timestamp).cast_signed();
        self.ssrc == passing.header.ssrc && (ahead <= 0 || passing.event || later >= 0)
    }

    fn advance(&mut self, highest: u16) {
        self.highest = highest;
        if highest.wrapping_sub(self.oldest) > OLDEST {
            self.oldest = highest.wrapping_sub(OLDEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;

    const STEP: Duration = Duration::from_millis(20);

    fn passing(sequence: u16, timestamp: u32) -> Passing {
        let header = Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 9 };
        Passing { header, octets: 160, payload_type: 0, clock_rate: 8000, event: false }
    }

    fn outgoing() -> Outgoing {
        Outgoing::new(&mut Rng::from_number(1))
    }

    #[test]
    fn what_the_network_lost_stays_a_gap_and_what_is_left_out_does_not() {
        let mut out = outgoing();
        let mut sent = |sequence: u16, skip: bool| {
            let passing = passing(sequence, u32::from(sequence.wrapping_sub(65_534)) * 160);
            if skip {
                out.skip(&passing.header);
                return None;
            }
            out.pass(&passing, STEP, Instant::START).map(|header| header.sequence)
        };
        let first = sent(65_534, false).unwrap();
        assert_eq!(sent(0, false), Some(first.wrapping_add(2)), "65535 was lost");
        assert_eq!(sent(1, true), None);
        assert_eq!(sent(2, false), Some(first.wrapping_add(3)));
        assert_eq!(sent(0, false), None, "older than what was left out");
    }

    #[test]
    fn what_is_marked_behind_something_left_out_is_marked_once() {
        let mut out = outgoing();
        out.pass(&passing(1, 160), STEP, Instant::START).unwrap();
        out.skip(&passing(2, 320).header);
        let next = passing(3, 4_800);
        let marked = Passing { header: Header { marker: true, ..next.header }, ..next };
        assert!(out.pass(&marked, STEP, Instant::START).unwrap().marker);
        let later = Passing { event: true, ..passing(4, 4_800) };
        assert!(!out.pass(&later, STEP, Instant::START).unwrap().marker);
    }

    #[test]
    fn a_key_is_marked_though_it_begins_where_somebody_else_has_ended() {
        let mut out = outgoing();
        out.pass(&passing(500, 77), STEP, Instant::START).unwrap();
        out.interrupt();
        let key = Passing { event: true, ..passing(9, 4_000) };
        assert!(out.pass(&key, STEP, Instant::from_millis(20)).unwrap().marker);
        let later = Passing { event: true, ..passing(10, 4_000) };
        assert!(!out.pass(&later, STEP, Instant::from_millis(40)).unwrap().marker);
    }

    #[test]
    fn a_key_is_one_key_though_it_is_interrupted() {
        let mut out = outgoing();
        let key = |sequence, timestamp| Passing { event: true, ..passing(sequence, timestamp) };
        let at = Instant::from_millis;
        let first = out.pass(&key(9, 4_000), STEP, at(0)).unwrap();
        out.interrupt();
        let second = out.pass(&key(10, 4_000), STEP, at(20)).unwrap();
        assert_eq!(second, Header { marker: false, sequence: first.sequence.wrapping_add(1), ..first });
        // The next key is another, and so is one after which something else was sent.
        out.interrupt();
        let next = out.pass(&key(11, 5_000), STEP, at(200)).unwrap();
        assert!(next.marker && next.timestamp != first.timestamp);
        out.number(true, 0, next.timestamp.wrapping_add(160), 160, at(220));
        let again = out.pass(&key(12, 5_000), STEP, at(240)).unwrap();
        assert!(again.marker && again.timestamp.wrapping_sub(next.timestamp).cast_signed() > 0);
    }

    #[test]
    fn a_key_by_a_clock_of_its_own_does_not_take_ours_along() {
        let mut out = outgoing();
        let first = out.pass(&passing(1, 160), STEP, Instant::START).unwrap();
        let now = Instant::from_millis(20);
        out.pass(&Passing { event: true, ..passing(2, 1 << 28) }, STEP, now).unwrap();
        assert_eq!(out.timestamp_at(now, STEP, 8000), first.timestamp.wrapping_add(160));
        assert_eq!(out.counted().0, 2);
    }

    #[test]
    fn a_tone_after_a_talk_goes_on_in_number_and_time() {
        let mut out = outgoing();
        let talk = out.pass(&passing(500, 77), STEP, Instant::START).unwrap();
        let now = Instant::from_millis(1000);
        let tone = out.number(true, 0, out.timestamp_at(now, STEP, 8000), 160, now);
        assert_eq!(tone.sequence, talk.sequence.wrapping_add(1));
        assert_eq!(tone.timestamp, talk.timestamp.wrapping_add(8000), "a second later");
        let again = out.pass(&passing(501, 237), STEP, now).unwrap();
        assert_eq!(again.timestamp, tone.timestamp.wrapping_add(168), "one packet and a little later");
        assert!(again.marker && again.sequence == tone.sequence.wrapping_add(1));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_take_ours_along() {
        let mut out = outgoing();
        let first = out.pass(&passing(1, 100_000), STEP, Instant::START).unwrap();
        let second = out.pass(&passing(2, 5), STEP, Instant::from_millis(20)).unwrap();
        assert_eq!(second.timestamp, first.timestamp.wrapping_add(160));
    }

    proptest! {
        #[test]
        fn numbers_keep_their_distances_under_loss_and_disorder(
            start: u16,
            clock: u32,
            fates in prop::collection::vec((0u8..10, 0usize..4), 1..300),
        ) {
            let mut order: Vec<(usize, u16)> = fates.iter().enumerate()
                .filter(|(_, (fate, _))| *fate > 0)
                .map(|(n, (_, delay))| (n + delay, n as u16)).collect();
            order.sort();
            prop_assume!(!order.is_empty());
            let (mut out, base) = (outgoing(), order[0].1);
            let mut first = None;
            for (arrival, n) in order {
                let now = Instant::from_millis(20 * arrival as u64);
                let input = passing(start.wrapping_add(n), clock.wrapping_add(u32::from(n) * 160));
                let Some(header) = out.pass(&input, STEP, now) else {
                    prop_assert!(n < base, "only what came before the first is left out");
                    continue;
                };
                let first = *first.get_or_insert(header);
                prop_assert_eq!(header.sequence.wrapping_sub(first.sequence), n - base);
                prop_assert_eq!(header.timestamp.wrapping_sub(first.timestamp), u32::from(n - base) * 160);
                prop_assert_eq!(header.ssrc, first.ssrc);
            }
        }
    }
}
