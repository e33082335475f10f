//! What a key is: where it begins and ends, and why what looks like one is none.

use super::bank::{HOP, NOMINAL};
use super::finder::{Desk, LONG};
use super::fit::{Fit, Sines};
use super::noise;
use super::pitch;
use super::sound::Sound;

/// The names of the keys, by row and column.
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// What is shorter is no key (Q.24: 40 ms are one, 20 ms are none).
const SHORTEST: usize = 29 * 8;
/// A hole that is shorter does not part two presses of one key.
pub(super) const HOLE: usize = 25 * 8;
/// Further off than this share of its frequency a sine is not that of a key (Q.24: 1.5 % is, 3.5 % is not).
const OFF: f64 = 0.026;
/// A sine is looked for within so many Hz of its place.
const ASIDE: f64 = 70.0;
/// So far off nobody takes it for a key at all.
const NOWHERE: f64 = 0.06;
/// What leaves less than this share is clear enough.
pub(super) const CLEAR: f64 = 0.1;
/// What is noisy has to be a key in every other respect.
const NOISY_OFF: f64 = 0.021;
const NOISY_TWIST: f64 = 9.0;
const NOISY_SHORTEST: usize = 34 * 8;
/// The share that may be noise: 4.5 dB more than the key.
const MOST_NOISE: f64 = 0.74;
/// The two may be off by different shares, at most so different: each has its own oscillator at most.
const APART: f64 = 0.031;
/// Within this time after a key the same key may be its echo.
pub(super) const ECHO: usize = 100 * 8;
/// How far one sine may be above the other, in dB. Q.24 wants 4 and 8; recordings have more.
const TWIST: f64 = 14.0;
/// Each sine has this level at least, in dBm0.
const FAINTEST: f64 = -48.0;
/// The cleanest stretch that decides: 40 ms.
pub(super) const CLEAN: usize = 320;
/// An edge lies at most so far outside of the windows that show the key.
pub(super) const MARGIN: usize = 80;
/// At the end of a long key this much is looked at.
const TAIL: usize = 1_200;

/// A key that was pressed.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Which.
    pub digit: char,
    /// Its first sample at 8000 Hz, and the one after its last.
    pub start: usize,
    /// See `start`.
    pub end: usize,
    /// The two frequencies in Hz, the lower first.
    pub frequencies: [f64; 2],
    /// Their levels in dBm0.
    pub levels: [f64; 2],
    /// What the sines explain over what they do not, in dB, where it is cleanest.
    pub snr: f64,
    /// Why it does not count; `None` when it does.
    pub rejected: Option<Reason>,
}

/// Why something that looks like a key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Too short.
    TooShort,
    /// One sine is too far above the other.
    Twist,
    /// A frequency is too far from that of the key.
    OffFrequency,
    /// Too faint.
    TooWeak,
    /// There is more in it than two sines, as in speech and music.
    Speech,
    /// It comes again from the far end of a line.
    Echo,
}

/// Windows in a row that agree on a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) column: usize,
    /// The first sample of the first window, the end of the last.
    pub(super) from: usize,
    pub(super) to: usize,
    /// The cleanest 40 ms: how clean, and their first sample.
    pub(super) best: (f32, usize),
}

/// The frequencies where the two sines of a run are cleanest; `None` when they are far from those of a key.
fn frequencies_of(sound: &Sound, run: &Run, sines: &mut Sines<2>) -> Option<[f64; 2]> {
    let nominal = [NOMINAL[run.row], NOMINAL[4 + run.column]];
    let mut measure = |from: usize| {
        let clean = sound.part(from, (from + CLEAN).min(run.to));
        let frequencies = pitch::frequencies(clean, nominal, ASIDE);
        sines.measure(clean, frequencies);
        (sines.fit(0, clean.len()).share(), frequencies)
    };
    let mut best = measure(run.best.1.max(run.from));
    // A lost packet turns the phase; what lies on both sides of it is no sine.
    let mut from = run.from + 40;
    while best.0 < 0.97 && from + CLEAN + 40 < run.to {
        let next = measure(from);
        if next.0 > best.0 {
            best = next;
        }
        from += 40;
    }
    let far = |i: usize| (best.1[i] / nominal[i] - 1.0).abs() > NOWHERE;
    (!far(0) && !far(1)).then_some(best.1)
}

/// The key of a run, not judged yet.
pub(super) fn examine(sound: &Sound, run: &Run, desk: &mut Desk) -> Option<Key> {
    let sines = &mut desk.sines;
    let frequencies = frequencies_of(sound, run, sines)?;
    // A window holds a key with a fifth of its length, so edges lie within the run or hardly beyond.
    let from = run.from.saturating_sub(MARGIN);
    sines.measure(sound.part(from, run.to + MARGIN), frequencies);
    let (start, end) = sines.edges(HOP, 40);
    let whole = sines.fit(start, end);
    Some(Key {
        digit: KEYS[run.row][run.column],
        start: from + start,
        end: from + end,
        frequencies,
        levels: whole.amplitudes().map(level),
        snr: 0.0,
        rejected: None,
    })
}

/// Where a long key begins, or ends.
pub(super) fn prolong(sound: &Sound, key: &Key, desk: &mut Desk, begins: bool) -> Option<usize> {
    let from = if begins { key.start.saturating_sub(MARGIN) } else { key.end.saturating_sub(TAIL) };
    desk.sines.measure(sound.part(from, from + TAIL), key.frequencies);
    Some(from + desk.sines.edge(HOP, begins))
}

/// Why it is no key, and what part of it the two sines leave where it is cleanest; its levels are those of that place.
pub(super) fn judge(sound: &Sound, key: &mut Key, desk: &mut Desk) -> (Option<Reason>, f64) {
    let stretch = sound.part(key.start, key.end.min(key.start + LONG));
    let Desk { sines, rest: left } = desk;
    sines.measure(stretch, key.frequencies);
    let length = stretch.len().min(CLEAN);
    let fits = (0..=stretch.len() - length).step_by(HOP).map(|from| (sines.fit(from, from + length), from));
    let Some((cleanest, place)) = fits.max_by(|a, b| a.0.share().total_cmp(&b.0.share())) else {
        return (Some(Reason::TooShort), 1.0);
    };
    let rest = (1.0 - cleanest.share()).max(1e-6);
    key.snr = 10.0 * (cleanest.share() / rest).log10();
    key.levels = cleanest.amplitudes().map(level);
    let nominal = frequencies(key.digit);
    let [low, high] = [0, 1].map(|i| key.frequencies[i] / nominal[i] - 1.0);
    let twist = (key.levels[1] - key.levels[0]).abs();
    let reason = if key.end - key.start < SHORTEST {
        Some(Reason::TooShort)
    } else if key.levels[0].min(key.levels[1]) < FAINTEST {
        Some(Reason::TooWeak)
    } else if low.abs() > OFF || high.abs() > OFF || (low - high).abs() > APART {
        Some(Reason::OffFrequency)
    } else if twist > TWIST {
        Some(Reason::Twist)
    } else if rest > MOST_NOISE {
        Some(Reason::Speech)
    } else if rest > CLEAR {
        let clean = &stretch[place..place + length];
        let is_likely =
            low.abs().max(high.abs()) < NOISY_OFF && twist < NOISY_TWIST && stretch.len() >= NOISY_SHORTEST;
        let peak = if rest < 0.18 && stretch.len() > CLEAN { 80.0 } else { 12.0 };
        let is_noisy = is_likely && prominence(clean, sines, place, &cleanest, key.frequencies, left) < peak;
        (!is_noisy && !is_before_a_background(sound, key, rest)).then_some(Reason::Speech)
    } else {
        None
    };
    (reason, rest)
}

/// Whether what the sines leave was there before them, or is there after them.
fn is_before_a_background(sound: &Sound, key: &Key, rest: f64) -> bool {
    let mean = |part: &[f32]| part.iter().map(|x| f64::from(x * x)).sum::<f64>() / part.len().max(1) as f64;
    let gap = 24;
    let before = sound.part(key.start.saturating_sub(gap + 240), key.start.saturating_sub(gap));
    let after = sound.part(key.end + gap, key.end + gap + 240);
    let within = mean(sound.part(key.start, key.end.min(key.start + LONG))) * rest;
    let around = mean(before).max(mean(after));
    rest < 0.2 && (0.4..2.5).contains(&(within / around.max(1e-12)))
}

/// How far anything stands out of what the sines leave, but what they themselves make in a bent line.
fn prominence(
    clean: &[f32],
    sines: &Sines<2>,
    place: usize,
    fit: &Fit<2>,
    [f, g]: [f64; 2],
    left: &mut Vec<f32>,
) -> f64 {
    let bent = [3.0 * f, 3.0 * g, 2.0 * f + g, 2.0 * g + f, 2.0 * f - g, 2.0 * g - f, g - f, f + g];
    sines.leave_in(fit, clean, place, left);
    noise::prominence(left, &bent)
}

fn frequencies(digit: char) -> [f64; 2] {
    let row = KEYS.iter().position(|row| row.contains(&digit)).unwrap_or(0);
    let column = KEYS[row].iter().position(|key| *key == digit).unwrap_or(0);
    [NOMINAL[row], NOMINAL[4 + column]]
}

/// dBm0 of an amplitude, full scale 1.
pub(super) fn level(amplitude: f64) -> f64 {
    20.0 * amplitude.max(1e-9).log10() + crate::audio::FULL_SCALE
}
