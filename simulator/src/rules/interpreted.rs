//! What is said in one codec and heard in another is the same sound, a little later. Which bytes it becomes nobody can say: both
//! codecs remember what they heard before, and lose something of it.

use super::flow::Rtp;
use super::keys::Turned;
use super::media::{NOISE, key};
use super::relay::{Passage, Reader};
use super::session::{End, SLACK, in_force};
use super::{Evidence, Findings};
use crate::ear;
use pbx::audio::Coding;
use pbx::time::{Duration, Instant};
use std::ops::{Range, RangeInclusive};

/// Packets that are looked at together.
const LOOK: usize = 10;
/// By how many samples what is heard may be later than what came: what waits for its order, and the filters.
const LATEST: usize = 1_200;
const LATEST_TIME: Duration = Duration::from_millis(150);
/// After they were joined, or something else was agreed on, codecs and buffers need so long until they do the same again.
const SETTLING: Duration = Duration::from_millis(500);
/// The part of the power that may be another one.
const OFF: f64 = 0.1;

/// What was sent from one end, as sound.
struct Track {
    samples: Vec<i16>,
    packets: Vec<Piece>,
}

/// The sound of one packet.
struct Piece {
    /// When it was there.
    at: Instant,
    /// Its first sample.
    from: usize,
    /// Whether it follows the one before without a gap.
    goes_on: bool,
}

/// Where the network takes nothing away, what is turned into another codec is still what was said.
pub(super) fn sounds_pass(
    evidence: &Evidence<'_>,
    passage: &Passage,
    turned: &Turned,
    findings: &mut Findings,
) {
    let Passage { speaker, relay, until } = *passage;
    if turned.hushes || !evidence.is_calm(speaker.session) {
        return;
    }
    let said = Track::of(evidence, speaker, |packet| packet.arrived);
    let heard = Track::of(evidence, relay, |packet| Some(packet.at));
    let (Some(said), Some(heard)) = (said, heard) else { return };
    let changes = [speaker, relay].into_iter().flat_map(|end| {
        let own = End { side: 1 - end.side, ..end };
        [end, own].into_iter().flat_map(|end| evidence.sessions.terms(end)).map(|terms| terms.since)
    });
    let accepted = [speaker, relay].map(|end| evidence.sessions.all[end.session].accepted);
    let changes: Vec<Instant> = changes.chain(accepted.into_iter().flatten().map(|(at, _)| at)).collect();
    let over = [speaker, relay].map(|end| evidence.sessions.all[end.session].over);
    let over = over.into_iter().flatten().flatten().chain([until]).min().unwrap_or(until);
    // The first place of a look that was heard, and how much later.
    let mut known: Option<(usize, usize)> = None;
    for first in (0..said.packets.len().saturating_sub(LOOK - 1)).step_by(LOOK) {
        let look = &said.packets[first..first + LOOK];
        let (begin, end) = (look[0].at, look[LOOK - 1].at + LATEST_TIME);
        if end + SLACK >= over {
            break;
        }
        let is_settling = changes.iter().any(|at| *at <= end && begin < *at + SETTLING);
        let is_whole = look[1..].iter().all(|piece| piece.goes_on);
        let is_held = [speaker, relay]
            .iter()
            .any(|end| in_force(evidence.sessions.terms(*end), begin).iter().any(|terms| terms.forbid()));
        let samples = said.of_packets(first..first + LOOK);
        let is_judged = !is_settling && is_whole && !is_held && !turned.touches(begin, end);
        if !is_judged || ear::is_silent(samples) || heard.from(begin, samples.len()).len() < samples.len() {
            known = None;
            continue;
        }
        // A steady tone is like itself in many places: another place has to do for the look before as well.
        let from = match known.filter(|_| look[0].goes_on) {
            Some((_, lag)) if heard.has(samples, begin, lag..=lag).is_some() => {
                known = Some((first, lag));
                continue;
            }
            Some((before, _)) => before,
            None => first,
        };
        let both = said.of_packets(from..first + LOOK);
        match heard.has(both, said.packets[from].at, 0..=LATEST) {
            Some(lag) => known = Some((first, lag)),
            None => return findings.add(begin, "what came out in another codec had not come in".to_owned()),
        }
    }
}

impl Track {
    /// `None` where it is not one stream in codecs that can be read.
    fn of<'a>(
        evidence: &'a Evidence<'_>,
        end: End,
        time: impl Fn(&Rtp<'a>) -> Option<Instant>,
    ) -> Option<Track> {
        let mut flows = evidence.flows.from(end);
        let (flow, None) = (flows.next()?, flows.next()) else { return None };
        let (mut track, mut reader, mut next) =
            (Track { samples: Vec::new(), packets: Vec::new() }, None, None);
        for packet in &flow.packets {
            let number = packet.header.payload_type;
            if key(packet).is_some() || number == NOISE {
                next = None;
                continue;
            }
            let holds = in_force(evidence.sessions.terms(end), packet.at);
            let format = holds.iter().rev().find_map(|terms| terms.format(number))?;
            let from = track.samples.len();
            let coding = Coding::named(&format.name, format.rate, 1)?;
            Reader::of(coding, &mut reader)?.read(packet.payload, &mut track.samples);
            let Some(at) = time(packet) else {
                // The last ones may find nobody there any more.
                next = None;
                continue;
            };
            track.packets.push(Piece { at, from, goes_on: next == Some(packet.header.timestamp) });
            let length = (track.samples.len() - from) as u32;
            next = Some(packet.header.timestamp.wrapping_add(length));
        }
        Some(track)
    }

    /// The sound of some of its packets.
    fn of_packets(&self, packets: Range<usize>) -> &[i16] {
        let from = self.packets[packets.start].from;
        &self.samples[from..self.packets.get(packets.end).map_or(self.samples.len(), |next| next.from)]
    }

    /// The sound from a moment on, up to the next gap, and no more than this and [`LATEST`].
    fn from(&self, at: Instant, samples: usize) -> &[i16] {
        let first = self.packets.partition_point(|piece| piece.at < at);
        let Some(begin) = self.packets.get(first) else { return &[] };
        let gap = self.packets[first + 1..].iter().find(|piece| !piece.goes_on);
        let end = gap.map_or(self.samples.len(), |gap| gap.from);
        &self.samples[begin.from..end.min(begin.from + samples + LATEST)]
    }

    /// By how many samples later than this moment it has this sound.
    fn has(&self, samples: &[i16], at: Instant, lags: RangeInclusive<usize>) -> Option<usize> {
        let later = self.from(at, samples.len());
        let most = later.len().checked_sub(samples.len())?;
        lags.take_while(|lag| *lag <= most).find(|lag| is_like(samples, &later[*lag..][..samples.len()]))
    }
}

/// Whether one sound is another one, but for what codecs lose.
fn is_like(samples: &[i16], others: &[i16]) -> bool {
    let pairs = samples.iter().zip(others).map(|(one, other)| (i64::from(*one), i64::from(*other)));
    let (all, off) =
        pairs.fold((0, 0), |(all, off), (one, other)| (all + one * one, off + (one - other).pow(2)));
    off as f64 <= OFF * all as f64
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn a_sound_is_like_itself_and_unlike_another() {
        let sine = |frequency: f64| -> Vec<i16> {
            (0..1_600).map(|n| (9_000.0 * (f64::from(n) * frequency / 1_273.2).sin()) as i16).collect()
        };
        let (one, other) = (sine(440.0), sine(460.0));
        let rough: Vec<i16> = one.iter().map(|sample| sample / 512 * 512).collect();
        assert!(is_like(&one, &rough));
        assert!(!is_like(&one, &other));
        assert!(!is_like(&one, &[0; 1_600]));
    }
}
