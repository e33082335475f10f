//! Packets that come in any order, some twice and some not at all, taken out in order and in time: a jitter buffer.
//!
//! Whoever plays asks for a packet each time it needs one ([`Buffer::take`]). The buffer holds back as much as the network
//! lately scattered packets: it holds one packet longer as soon as one comes too late, and leaves one out when for two seconds
//! more was held than had to be. It is bounded: what is too far ahead begins anew.

use super::Header;

/// Packets that are held at most; a power of two.
const PLACES: usize = 64;
/// Bytes of the longest payload that is held: 200 ms of G.711.
const LONGEST: usize = 1600;
/// Bytes of room that is asked for at a time.
const ROOM: usize = 256;
/// Packets that are held back at the beginning and at least, and at most.
const FIRST: u16 = 2;
const MOST: u16 = 10;
/// So long, in packets, all have to come earlier than they had to before one is left out.
const PATIENCE: u16 = 100;

/// What there is to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a, T> {
    /// This payload.
    Packet {
        /// What it was put in with.
        tag: T,
        /// Of its header.
        timestamp: u32,
        /// Its payload.
        payload: &'a [u8],
    },
    /// It was lost, or comes too late.
    Lost,
    /// It was there, and is left out: too much was held. Its time is saved.
    LeftOut,
    /// Nothing is there: the other side pauses, everything is late, or is to wait longer from now on.
    Nothing,
}

/// What one source sent. Each packet has a tag, so that whoever takes it knows what it is.
#[derive(Clone, Debug)]
pub struct Buffer<T> {
    places: Box<[Place<T>]>,
    ssrc: Option<u32>,
    state: State,
    /// Packets that are held back.
    depth: u16,
    /// What is there is to wait for one packet longer.
    waits: bool,
    /// How many packets were to be played before the one that came latest of all, of late; `None`: none came.
    least: Option<u16>,
    /// Packets that were played meanwhile.
    looked: u16,
    late: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Held back until there is enough; the first number that was ever there, and the last.
    Filling { first: u16, last: u16, waited: u16 },
    /// This number is next.
    Playing { next: u16, last: u16 },
    /// Nothing is there. What is before `next` comes too late. So often was it asked for since.
    Empty { next: Option<u16>, asked: u16 },
}

#[derive(Clone, Debug)]
struct Place<T> {
    held: Option<Held<T>>,
    /// Used again and again.
    payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Held<T> {
    sequence: u16,
    timestamp: u32,
    tag: T,
}

impl<T: Copy> Default for Buffer<T> {
    fn default() -> Buffer<T> {
        let places = (0..PLACES).map(|_| Place { held: None, payload: Vec::new() }).collect();
        let state = State::Empty { next: None, asked: 0 };
        Buffer { places, ssrc: None, state, depth: FIRST, waits: false, least: None, looked: 0, late: 0 }
    }
}

impl<T: Copy> Buffer<T> {
    /// A packet has come. One that is longer than any codec makes them counts as lost.
    pub fn put(&mut self, header: &Header, tag: T, payload: &[u8]) {
        if payload.len() > LONGEST {
            return;
        }
        if self.ssrc != Some(header.ssrc) {
            self.ssrc = Some(header.ssrc);
            self.begin_anew();
        }
        let sequence = header.sequence;
        if let Some(next) = self.next() {
            let ahead = sequence.wrapping_sub(next).cast_signed();
            if ahead < -(PLACES as i16) || ahead >= PLACES as i16 {
                self.begin_anew();
            } else if ahead < 0 && !self.may_precede() {
                return self.on_late();
            }
        }
        let place = &mut self.places[usize::from(sequence) % PLACES];
        place.held = Some(Held { sequence, timestamp: header.timestamp, tag });
        place.payload.clear();
        // Packets of one codec may have many lengths: the longest of them is not waited for.
        if place.payload.capacity() < payload.len() {
            place.payload.reserve_exact(payload.len().next_multiple_of(ROOM));
        }
        place.payload.extend_from_slice(payload);
        self.state = match self.state {
            // What nothing was played for has had its turn; a pause that is longer than any delay is the end of a sentence.
            State::Empty { next: Some(next), asked } if asked <= MOST => {
                let gone = asked.min(sequence.wrapping_sub(next));
                self.depth = (self.depth + asked - gone).min(MOST);
                State::Playing { next: next.wrapping_add(gone), last: sequence }
            }
            State::Empty { .. } => State::Filling { first: sequence, last: sequence, waited: 0 },
            State::Filling { first, last, waited } => {
                let first = if is_before(sequence, first) { sequence } else { first };
                State::Filling { first, last: later(last, sequence), waited }
            }
            State::Playing { next, last } => {
                let before = sequence.wrapping_sub(next);
                self.least = Some(self.least.map_or(before, |least| least.min(before)));
                State::Playing { next, last: later(last, sequence) }
            }
        };
    }

    /// What is to be played next.
    pub fn take(&mut self) -> Next<'_, T> {
        if let State::Filling { first, last, waited } = self.state {
            let held = last.wrapping_sub(first).wrapping_add(1).max(waited + 1);
            if held <= self.depth {
                self.state = State::Filling { first, last, waited: waited + 1 };
                return Next::Nothing;
            }
            self.waits = false;
            self.state = State::Playing { next: first, last };
        }
        if let State::Empty { asked, .. } = &mut self.state {
            *asked = asked.saturating_add(1);
        }
        let State::Playing { next, last } = self.state else { return Next::Nothing };
        if std::mem::take(&mut self.waits) {
            return Next::Nothing;
        }
        let is_too_much = self.holds_too_much();
        let following = next.wrapping_add(1);
        self.state = if next == last {
            State::Empty { next: Some(following), asked: 0 }
        } else {
            State::Playing { next: following, last }
        };
        let place = &mut self.places[usize::from(next) % PLACES];
        match place.held.take().filter(|held| held.sequence == next) {
            _ if is_too_much => Next::LeftOut,
            Some(Held { timestamp, tag, .. }) => Next::Packet { tag, timestamp, payload: &place.payload },
            None => Next::Lost,
        }
    }

    /// Packets that are held back at the moment.
    pub fn depth(&self) -> u16 {
        self.depth
    }

    /// Packets that came too late.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// The number that is played next, where it is known.
    fn next(&self) -> Option<u16> {
        match self.state {
            State::Filling { first, .. } => Some(first),
            State::Playing { next, .. } => Some(next),
            State::Empty { next, .. } => next,
        }
    }

    /// Whether a packet before the first one is still in time: nothing was played yet.
    fn may_precede(&self) -> bool {
        matches!(self.state, State::Filling { .. }) && self.late == 0 && self.looked == 0
    }

    /// A packet has missed its turn: more is held back from now on.
    fn on_late(&mut self) {
        self.late += 1;
        (self.least, self.looked) = (None, 0);
        if self.depth < MOST {
            self.depth += 1;
            self.waits = true;
        }
    }

    /// Whether for long no packet came so late that it was needed to hold so many.
    fn holds_too_much(&mut self) -> bool {
        self.looked += 1;
        if self.looked < PATIENCE {
            return false;
        }
        let is_too_much = self.least.is_some_and(|least| least > FIRST);
        (self.least, self.looked) = (None, 1);
        if is_too_much {
            self.depth = (self.depth - 1).max(FIRST);
        }
        is_too_much
    }

    fn begin_anew(&mut self) {
        self.places.iter_mut().for_each(|place| place.held = None);
        self.state = State::Empty { next: None, asked: 0 };
        (self.least, self.looked, self.waits) = (None, 0, false);
    }
}

fn is_before(one: u16, other: u16) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}

fn later(one: u16, other: u16) -> u16 {
    if is_before(one, other) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(sequence: u16) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 1 }
    }

    /// What is played when packets come at these times, in packet times; a packet is its own number.
    fn played(mut arrivals: Vec<(usize, u16)>, turns: usize) -> Vec<Option<u16>> {
        let mut buffer = Buffer::<()>::default();
        arrivals.sort_by_key(|(at, _)| *at);
        let mut arrivals = arrivals.into_iter().peekable();
        let mut heard = Vec::new();
        for turn in 0..turns {
            while let Some((_, sequence)) = arrivals.next_if(|(at, _)| *at <= turn) {
                buffer.put(&header(sequence), (), &sequence.to_be_bytes());
            }
            loop {
                match buffer.take() {
                    Next::Packet { payload, .. } => {
                        heard.push(Some(u16::from_be_bytes([payload[0], payload[1]])));
                    }
                    Next::Lost => heard.push(None),
                    Next::LeftOut => continue,
                    Next::Nothing => {}
                }
                break;
            }
        }
        heard
    }

    #[test]
    fn what_comes_in_time_is_played_two_packets_later() {
        let heard = played((0..100).map(|n| (n, n as u16)).collect(), 100);
        assert_eq!(heard, (0..98).map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_lost_is_told_in_its_place() {
        let arrivals = (0..20).filter(|n| n % 5 != 3).map(|n| (n, n as u16)).collect();
        let heard = played(arrivals, 18);
        let told = |n: u16| (n % 5 != 3).then_some(n);
        assert_eq!(heard, (0..16).map(told).collect::<Vec<_>>());
    }

    #[test]
    fn when_packets_come_later_more_is_held_back() {
        let mut buffer = Buffer::<()>::default();
        for n in 0..200u16 {
            // From the fiftieth on every third is four packet times late.
            if n >= 54 && (n - 4) % 3 == 0 {
                buffer.put(&header(n - 4), (), &[1]);
            }
            if n < 50 || n % 3 != 0 {
                buffer.put(&header(n), (), &[1]);
            }
            buffer.take();
        }
        assert!(buffer.late() > 0 && buffer.depth() > FIRST, "{} late", buffer.late());
        assert!(buffer.depth() <= MOST);
    }

    #[test]
    fn who_comes_too_late_makes_the_others_wait_and_nobody_is_lost_for_it() {
        // From the hundredth on everything takes 60 ms longer than before: the buffer runs dry once, and goes on.
        let arrivals = (0..300).map(|n| (if n < 100 { n } else { n + 3 }, n as u16)).collect();
        let heard = played(arrivals, 400);
        assert_eq!(heard.iter().flatten().copied().collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());
        // One of ten comes 60 ms late: that is too late twice at most.
        let late = |n: usize| if n > 50 && n.is_multiple_of(10) { n + 3 } else { n };
        let heard = played((0..500).map(|n| (late(n), n as u16)).collect(), 600);
        let missing = heard.iter().filter(|packet| packet.is_none()).count();
        assert!((1..=2).contains(&missing), "{missing} of 500");
    }

    #[test]
    fn nothing_is_waited_for_when_one_is_lost_and_the_next_one_is_late() {
        // The tenth is lost, and the eleventh comes two packet times late: when it is the turn of the tenth, nothing is there.
        let late = [(13, 11), (14, 12), (14, 13)];
        let arrivals = late.into_iter().chain((0..10).chain(14..40).map(|n| (n, n as u16)));
        let heard = played(arrivals.collect(), 40);
        assert_eq!(heard, (0..10).chain(11..38).map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn a_packet_has_what_it_was_put_in_with() {
        let mut buffer = Buffer::default();
        for n in 0..3u16 {
            buffer.put(
                &Header { timestamp: 900 + u32::from(n), ..header(n) },
                char::from(b'a' + n as u8),
                &[1],
            );
        }
        assert_eq!(buffer.take(), Next::Packet { tag: 'a', timestamp: 900, payload: &[1] });
    }

    #[test]
    fn what_is_held_too_long_becomes_less() {
        let mut buffer = Buffer::<()>::default();
        for n in 0..20 {
            buffer.put(&header(n), (), &[1]);
        }
        for n in 20..3020 {
            buffer.put(&header(n), (), &[1]);
            while buffer.take() == Next::LeftOut {}
        }
        let mut left = 0;
        while buffer.take() != Next::Nothing {
            left += 1;
        }
        assert!(left <= FIRST + 2, "{left} are still held");
    }

    #[test]
    fn a_pause_and_another_source_begin_anew() {
        let mut arrivals: Vec<_> = (0..10).map(|n| (n, n as u16)).collect();
        arrivals.extend((0..10).map(|n| (100 + n, 10 + n as u16)));
        let heard = played(arrivals, 200);
        assert_eq!(heard, (0..20).map(Some).collect::<Vec<_>>());

        let mut buffer = Buffer::<()>::default();
        buffer.put(&header(9), (), &[1]);
        buffer.put(&Header { ssrc: 2, ..header(40_000) }, (), &[2]);
        let heard: Vec<_> =
            (0..5).map(|_| matches!(buffer.take(), Next::Packet { payload: [2], .. })).collect();
        assert_eq!(heard.iter().filter(|is_it| **is_it).count(), 1);
    }

    #[test]
    fn a_payload_of_any_length_is_taken_or_left() {
        let mut buffer = Buffer::<()>::default();
        buffer.put(&header(0), (), &[7; LONGEST]);
        buffer.put(&header(1), (), &[7; LONGEST + 1]);
        buffer.put(&header(2), (), &[]);
        buffer.put(&header(3), (), &[1]);
        let lengths: Vec<_> = (0..4)
            .map(|_| match buffer.take() {
                Next::Packet { payload, .. } => Some(payload.len()),
                Next::Lost | Next::LeftOut | Next::Nothing => None,
            })
            .collect();
        assert_eq!(lengths, [Some(LONGEST), None, Some(0), Some(1)]);
    }

    proptest! {
        #[test]
        fn whatever_happens_within_its_depth_comes_out_right(
            start: u16,
            fates in prop::collection::vec((0u8..10, 0usize..2, any::<bool>()), 10..300),
        ) {
            // The first two come in time, so that it is known where the stream begins.
            let fate = |n: usize| if n < 2 { (9, 0, false) } else { fates[n] };
            let number = |n: usize| start.wrapping_add(n as u16);
            let is_lost = |n: usize| fate(n).0 == 0;
            let mut arrivals = Vec::new();
            for n in 0..fates.len() {
                let (_, delay, twice) = fate(n);
                if !is_lost(n) {
                    arrivals.push((n + delay, number(n)));
                    arrivals.extend(twice.then_some((n + 1, number(n))));
                }
            }
            let last = (0..fates.len()).rev().find(|n| !is_lost(*n)).unwrap_or(0);
            let heard = played(arrivals, fates.len() + 20);
            // Where so many are lost in a row that nothing is left, it waits instead of telling each.
            let told: Vec<_> = heard.iter().flatten().copied().collect();
            let sent: Vec<_> = (0..=last).filter(|n| !is_lost(*n)).map(number).collect();
            prop_assert_eq!(told, sent);
        }

        #[test]
        fn any_packets_in_any_order_never_go_back(
            numbers in prop::collection::vec((any::<u16>(), 0u8..3), 1..400),
        ) {
            let mut buffer = Buffer::<()>::default();
            for (number, takes) in numbers {
                buffer.put(&header(number), (), &number.to_be_bytes());
                for _ in 0..takes {
                    buffer.take();
                }
                prop_assert!(buffer.depth() <= MOST);
            }
        }
    }
}
