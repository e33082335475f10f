//! Whether what was heard where it should be sounds as it should.

use super::compare::Heard;
use super::{Instead, Kind};
use crate::tone::scan;
use crate::tone::schedule::{Schedule, Sound};

/// Overtones that are so many dB below a tone or less are heard as a fault; G.711 alone leaves 35 dB and more.
const BENT: f64 = 29.0;
/// The mean square above which something is heard beside the noise of a line: -40 dBm0.
const AUDIBLE: f32 = 2.4e-5;
/// Samples at an edge that do not count: 2 ms.
const EDGE: usize = 16;

/// Something that was heard, as far as it matters here. Times are samples at 8000 Hz.
pub(super) struct Place<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) frequencies: &'a [f64],
    pub(super) levels: &'a [f64],
}

/// The time of a sample at 8000 Hz, in milliseconds.
pub(super) fn millis(sample: usize) -> f64 {
    sample as f64 / 8.0
}

/// What is there where nothing was found of a sound.
pub(super) fn instead_of(sound: &Sound, heard: &Heard) -> Instead {
    let place = |at: f64| ((at * 8.0) as usize).min(heard.samples.len());
    let (from, to) = (place(sound.start), place(sound.end));
    let samples = &heard.samples[from..to.max(from)];
    let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32;
    let overlaps = |start: usize, end: usize| end.min(to) > start.max(from);
    let is_known = heard.scan.tones.iter().any(|tone| overlaps(tone.start, tone.end))
        || heard.scan.keys.iter().any(|key| key.rejected.is_none() && overlaps(key.start, key.end));
    if power > AUDIBLE && !is_known { Instead::Unclear } else { Instead::Nothing }
}

/// Whether it begins and ends where it should.
pub(super) fn edges(
    schedule: &Schedule,
    sound: &Sound,
    end: f64,
    start_heard: f64,
    end_heard: f64,
) -> Vec<Kind> {
    let what = || sound.what.clone();
    let (late, longer) = (start_heard - sound.start, end_heard - end);
    let is_off = |by: f64| by.abs() > schedule.tolerance;
    let moved = || Kind::Moved { what: what(), expected: sound.start, heard: start_heard };
    let begins = || Kind::Begins { what: what(), expected: sound.start, heard: start_heard };
    let ends = |at| Kind::Ends { what: what(), at, expected: end, heard: end_heard };
    match (is_off(late), is_off(longer)) {
        (false, false) => Vec::new(),
        (true, true) if !is_off(late - longer) => vec![moved()],
        (true, true) => vec![begins(), ends(start_heard)],
        (true, false) => vec![begins()],
        (false, true) => vec![ends(start_heard)],
    }
}

/// Whether it is clipped, and as loud as it should be.
pub(super) fn strength(schedule: &Schedule, sound: &Sound, place: &Place<'_>, heard: &Heard) -> Vec<Kind> {
    let (what, at) = (|| sound.what.clone(), millis(place.start));
    let mut kinds = Vec::new();
    let last = heard.samples.len();
    let inner = (place.start + EDGE).min(last)..place.end.saturating_sub(EDGE).min(last);
    let samples = heard.samples.get(inner).unwrap_or_default();
    if let Some(distortion) = scan::distortion(samples, place.frequencies).filter(|below| *below < BENT) {
        kinds.push(Kind::Clipped { what: what(), at, distortion });
    }
    if sound.is_level_told {
        let expected = [sound.level, sound.level + sound.twist];
        let off = |(heard, expected): (&f64, f64)| (*heard, expected);
        let furthest = place
            .levels
            .iter()
            .zip(expected)
            .map(off)
            .max_by(|a, b| (a.0 - a.1).abs().total_cmp(&(b.0 - b.1).abs()));
        if let Some((heard, expected)) =
            furthest.filter(|(heard, expected)| (heard - expected).abs() > schedule.level_tolerance)
        {
            kinds.push(Kind::Level { what: what(), at, expected, heard });
        }
    }
    kinds
}
