//! What everybody said and heard, taken from the packets: what left a host and what reached it.
//!
//! So it is the same whatever the host is, and a telephone that hears wrongly is heard to do so.

use super::Snapshot;
use crate::ear;
use crate::ladder::is_rtcp;
use crate::network::{Kind, Packet};
use crate::stage::PBX;
use pbx::audio::{Law, NARROWBAND};
use pbx::rtp::View;
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// At most so much of a run is kept, the last of it.
const LONGEST: i64 = 600 * NARROWBAND as i64;

/// 20 ms.
const BLOCK: usize = 160;

/// So many blocks of something else do not end a sound: a lost packet or two.
const GAP: usize = 3;

/// The share of a block's power that a voice has which is heard.
const CLEARLY: f64 = 0.6;

/// How far a timestamp may lead from the clock before the stream counts as a new one, in samples.
const JUMP: i64 = NARROWBAND as i64;

/// Somebody who said or heard something.
pub(super) struct Listener {
    /// Who.
    pub(super) name: String,
    /// What arrived there.
    pub(super) heard: Track,
    /// What left from there.
    pub(super) said: Track,
}

/// Samples on the timeline of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Track {
    /// The place of the first sample, counted from the start of the run.
    pub(super) begins: i64,
    pub(super) samples: Vec<i16>,
}

/// A stretch of a track that sounds alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// `bob (600 Hz)`, `440 Hz`, `something`.
    pub(super) what: String,
}

/// Everybody but the PBX, in the order of their addresses.
pub(super) fn listeners(snapshot: &Snapshot) -> Vec<Listener> {
    let mut pieces: BTreeMap<IpAddr, [Vec<Piece>; 2]> = BTreeMap::new();
    for packet in &snapshot.packets {
        let (said, heard) = (piece(packet, false), piece(packet, true));
        for (address, side, piece) in [(packet.to.ip(), 0, heard), (packet.from.ip(), 1, said)] {
            if let Some(piece) = piece.filter(|_| address != PBX) {
                pieces.entry(address).or_default()[side].push(piece);
            }
        }
    }
    let listener = |(address, [heard, said]): (IpAddr, [Vec<Piece>; 2])| Listener {
        name: snapshot.name(address),
        heard: Track::of(heard),
        said: Track::of(said),
    };
    pieces.into_iter().map(listener).collect()
}

/// The sound of one packet.
struct Piece {
    at: i64,
    ssrc: u32,
    timestamp: u32,
    samples: Vec<i16>,
}

/// What is in an RTP packet of G.711, as it was sent or as it arrived.
fn piece(packet: &Packet, arrived: bool) -> Option<Piece> {
    let is_sound = packet.kind == Kind::Datagram && !is_rtcp(&packet.bytes);
    let view = View::of(&packet.bytes).ok().filter(|_| is_sound)?;
    let law = match view.header.payload_type {
        0 => Law::Mu,
        8 => Law::A,
        _ => return None,
    };
    let at = if arrived { packet.arrives? } else { packet.at };
    let samples = packet.bytes[view.payload].iter().map(|code| law.decode(*code)).collect();
    let (ssrc, timestamp) = (view.header.ssrc, view.header.timestamp);
    Some(Piece { at: place_of(at), ssrc, timestamp, samples })
}

impl Track {
    fn of(mut pieces: Vec<Piece>) -> Track {
        pieces.sort_by_key(|piece| piece.at);
        let mut streams: BTreeMap<u32, (u32, i64)> = BTreeMap::new();
        let mut placed = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let expected = streams.get(&piece.ssrc).map(|(timestamp, place)| {
                place + i64::from(piece.timestamp.wrapping_sub(*timestamp).cast_signed())
            });
            let place = expected.filter(|place| (place - piece.at).abs() < JUMP).unwrap_or(piece.at);
            streams.insert(piece.ssrc, (piece.timestamp, place));
            placed.push((place, piece.samples));
        }
        let ends = placed.iter().map(|(place, samples)| place + samples.len() as i64).max().unwrap_or(0);
        let first = placed.iter().map(|(place, _)| *place).min().unwrap_or(0);
        let begins = first.max(ends - LONGEST);
        let mut samples = vec![0; usize::try_from(ends - begins).unwrap_or(0)];
        for (place, piece) in placed {
            // What lies before the part that is kept is left out.
            let Ok(at) = usize::try_from(place - begins) else { continue };
            samples[at..at + piece.len()].copy_from_slice(&piece);
        }
        Track { begins, samples }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// When its first sample is.
    pub(super) fn starts(&self) -> Instant {
        self.instant(0)
    }

    pub(super) fn length(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(NARROWBAND))
    }

    /// Both with as much silence before them that they begin together.
    pub(super) fn aligned(one: &Track, other: &Track) -> [Vec<i16>; 2] {
        let known = [one, other].into_iter().filter(|track| !track.is_empty());
        let begins = known.map(|track| track.begins).min().unwrap_or(0);
        [one, other].map(|track| {
            let silence = usize::try_from(track.begins - begins).unwrap_or(0);
            let silence = if track.is_empty() { 0 } else { silence };
            std::iter::repeat_n(0, silence).chain(track.samples.iter().copied()).collect()
        })
    }

    /// What sounds when, told by the voices that are known; silence is left out.
    pub(super) fn stretches(&self, voices: &BTreeMap<String, f64>) -> Vec<Stretch> {
        let blocks: Vec<Sounds> = self.samples.chunks(BLOCK).map(|block| Sounds::of(block, voices)).collect();
        let mut stretches: Vec<(usize, usize, Sounds)> = Vec::new();
        for (at, sounds) in blocks.into_iter().enumerate().filter(|(_, sounds)| *sounds != Sounds::Silence) {
            match stretches.last_mut() {
                Some((_, to, last)) if *last == sounds && at <= *to + GAP => *to = at + 1,
                _ => stretches.push((at, at + 1, sounds)),
            }
        }
        // One block of something else between two sounds is where one changes to the other.
        stretches.retain(|(from, to, sounds)| *sounds != Sounds::Else || to - from > 1);
        let stretch = |(from, to, sounds): (usize, usize, Sounds)| Stretch {
            from: self.instant(from * BLOCK),
            to: self.instant((to * BLOCK).min(self.samples.len())),
            what: match sounds {
                Sounds::Voice(name) => format!("{name} ({:.0} Hz)", voices[&name]),
                _ => tone_in(&self.samples[from * BLOCK..(to * BLOCK).min(self.samples.len())]),
            },
        };
        stretches.into_iter().map(stretch).collect()
    }

    fn instant(&self, sample: usize) -> Instant {
        let place = u64::try_from(self.begins).unwrap_or(0) + sample as u64;
        Instant::from_nanos(place * 1_000_000_000 / u64::from(NARROWBAND))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Sounds {
    Silence,
    Voice(String),
    Else,
}

impl Sounds {
    fn of(block: &[i16], voices: &BTreeMap<String, f64>) -> Sounds {
        if ear::is_silent(block) {
            return Sounds::Silence;
        }
        let clear = voices.iter().find(|(_, frequency)| ear::share(block, **frequency) > CLEARLY);
        clear.map_or(Sounds::Else, |(name, _)| Sounds::Voice(name.clone()))
    }
}

/// The tone in a stretch that is no known voice, to 10 Hz.
fn tone_in(samples: &[i16]) -> String {
    let sample = &samples[..samples.len().min(10 * BLOCK)];
    let tones = (20..340).map(|tens| f64::from(tens) * 10.0);
    match tones.map(|tone| (ear::share(sample, tone), tone)).max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((share, tone)) if share > CLEARLY => format!("{tone:.0} Hz"),
        _ => "something else".to_owned(),
    }
}

fn place_of(at: Instant) -> i64 {
    let samples = u128::from(at.as_nanos()) * u128::from(NARROWBAND) / 1_000_000_000;
    i64::try_from(samples).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbx::tone::Sine;

    #[test]
    fn who_is_heard_is_told_by_the_tone() {
        let voices = BTreeMap::from([("bob".to_owned(), 600.0)]);
        let mut samples = vec![0; 8_000];
        samples.extend(sine(600.0, 8_000));
        samples.extend(sine(440.0, 4_000));
        let stretches = Track { begins: 8_000, samples }.stretches(&voices);
        let told = stretches.iter().map(|one| (one.what.as_str(), millis(one.from), millis(one.to)));
        let told: Vec<_> = told.collect();
        assert_eq!(told, [("bob (600 Hz)", 2_000, 3_000), ("440 Hz", 3_000, 3_500)]);
    }

    #[test]
    fn a_lost_packet_is_a_hole_and_no_end() {
        let voices = BTreeMap::from([("bob".to_owned(), 600.0)]);
        let mut samples: Vec<i16> = sine(600.0, 8_000).collect();
        samples[1_600..1_760].fill(0);
        assert_eq!(Track { begins: 0, samples }.stretches(&voices).len(), 1);
    }

    #[test]
    fn packets_lie_where_their_timestamps_put_them() {
        let piece = |at, timestamp, sample| Piece { at, ssrc: 7, timestamp, samples: vec![sample; 160] };
        // The second comes late and the third before it.
        let track = Track::of(vec![piece(800, 0, 1), piece(1_500, 160, 2), piece(1_120, 320, 3)]);
        let heard: Vec<_> = track.samples.chunks(160).map(|packet| packet[0]).collect();
        assert_eq!((track.begins, heard), (800, vec![1, 2, 3]));
    }

    fn millis(at: Instant) -> u64 {
        at.as_nanos() / 1_000_000
    }

    fn sine(frequency: f64, length: u64) -> impl Iterator<Item = i16> {
        let sine = Sine::new(frequency, -10.0, NARROWBAND).expect("a frequency that can be heard");
        (0..length).map(move |n| sine.sample(n).round() as i16)
    }
}
