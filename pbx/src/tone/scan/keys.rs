//! Keys in a recording: where each begins and ends, and why what looks like one is none.

use super::bank::{HOP, Look, NOMINAL, WINDOW, looks};
use super::fit::{self, Fit, Sines};
use super::{highpass, noise};

/// The names of the keys, by row and column.
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// A window in which two sines explain less than this holds no key.
const LEAST_SHARE: f32 = 0.2;
/// The weaker sine explains at least so much of a window: less is what noise has anywhere.
const LEAST_WEAKER: f32 = 0.012;
/// A window below this mean square is silent: about -58 dBm0.
const SILENT: f32 = 4e-7;
/// What is shorter is no key (Q.24: 40 ms are one, 20 ms are none).
const SHORTEST: usize = 29 * 8;
/// A hole that is shorter does not part two presses of one key.
const HOLE: usize = 25 * 8;
/// Further off than this share of its frequency a sine is not that of a key (Q.24: 1.5 % is, 3.5 % is not).
const OFF: f64 = 0.026;
/// A sine is looked for within so many Hz of its place.
const ASIDE: f64 = 70.0;
/// So far off nobody takes it for a key at all.
const NOWHERE: f64 = 0.06;
/// What leaves less than this share is clear enough.
const CLEAR: f64 = 0.1;
/// What is noisy has to be a key in every other respect.
const NOISY_OFF: f64 = 0.021;
const NOISY_TWIST: f64 = 9.0;
const NOISY_SHORTEST: usize = 34 * 8;
/// The share that may be noise: 4.5 dB more than the key.
const MOST_NOISE: f64 = 0.74;
/// The two may be off by different shares, at most so different: each has its own oscillator at most.
const APART: f64 = 0.031;
/// Within this time after a key the same key is its echo, ...
const ECHO: usize = 100 * 8;
/// ... when it is so many dB fainter.
const FAINTER: f64 = 5.0;
/// How far one sine may be above the other, in dB. Q.24 wants 4 and 8; recordings have more.
const TWIST: f64 = 14.0;
/// Each sine has this level at least, in dBm0.
const FAINTEST: f64 = -48.0;
/// The cleanest stretch that decides: 40 ms.
const CLEAN: usize = 320;

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

/// The keys in samples at 8000 Hz, full scale 1, in order; those that do not count as well.
pub fn keys(samples: &[f32]) -> Vec<Key> {
    let samples = &highpass::filter(samples)[..];
    let mut found: Vec<Key> = Vec::new();
    for run in runs(&looks(samples)) {
        let Some(key) = examine(samples, &run) else { continue };
        match found.iter_mut().rev().take(8).find(|earlier| continues(earlier, &key)) {
            Some(earlier) => join(earlier, key),
            None => found.push(key),
        }
    }
    found.sort_by_key(|key| (key.start, key.end));
    for key in &mut found {
        key.rejected = reason(samples, key);
    }
    part(&mut found);
    hush_echoes(&mut found);
    found
}

/// Windows in a row that agree on a key.
#[derive(Clone, Copy, Debug)]
struct Run {
    row: usize,
    column: usize,
    /// The first sample of the first window, the end of the last.
    from: usize,
    to: usize,
    /// The cleanest 40 ms: how clean, and their first sample.
    best: (f32, usize),
}

fn runs(looks: &[Look]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open = false;
    for (hop, look) in looks.iter().enumerate() {
        let is_key = look.energy > SILENT * WINDOW as f32
            && look.share > LEAST_SHARE
            && look.weaker > LEAST_WEAKER
            && look.weaker * 12.0 > (1.0 - look.share) / 10.0;
        let (row, column) = (usize::from(look.row), usize::from(look.column));
        let (from, to) = (hop * HOP, hop * HOP + WINDOW);
        // Of the window and the one before it that does not overlap.
        let before = hop.checked_sub(WINDOW / HOP).map(|hop| &looks[hop]);
        let both = before.filter(|before| (before.row, before.column) == (look.row, look.column));
        let clean = both.map_or(look.share / 2.0, |before| (look.share + before.share) / 2.0);
        let clean = (clean, from.saturating_sub(WINDOW));
        match runs.last_mut() {
            Some(run) if is_key && open && (run.row, run.column) == (row, column) => {
                run.to = to;
                if clean.0 > run.best.0 {
                    run.best = clean;
                }
            }
            _ if is_key => runs.push(Run { row, column, from, to, best: clean }),
            _ => {}
        }
        open = is_key;
    }
    runs
}

/// The frequencies where the two sines of a run are cleanest; `None` when they are far from those of a key.
fn frequencies_of(samples: &[f32], run: &Run) -> Option<[f64; 2]> {
    let nominal = [NOMINAL[run.row], NOMINAL[4 + run.column]];
    let measure = |from: usize| {
        let clean = &samples[from..(from + CLEAN).min(run.to)];
        let frequencies = nominal.map(|nominal| fit::frequency(clean, nominal, ASIDE));
        let share = Sines::new(clean, frequencies).fit(0, clean.len()).share();
        (share, frequencies)
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

fn examine(samples: &[f32], run: &Run) -> Option<Key> {
    let frequencies = frequencies_of(samples, run)?;
    // A window holds a key with a fifth of its length, so edges lie within the run or hardly beyond.
    let margin = 80;
    let from = run.from.saturating_sub(margin);
    let to = (run.to + margin).min(samples.len());
    let sines = Sines::new(&samples[from..to], frequencies);
    let hop = if to - from > 4_000 { (to - from) / 200 } else { HOP };
    let (start, end) = sines.edges(hop, 40);
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

/// Whether this is the same press after a hole.
fn continues(earlier: &Key, next: &Key) -> bool {
    earlier.digit == next.digit && next.start < earlier.end + HOLE
}

fn join(earlier: &mut Key, next: Key) {
    if next.end.saturating_sub(next.start) > earlier.end - earlier.start {
        earlier.frequencies = next.frequencies;
    }
    earlier.start = earlier.start.min(next.start);
    earlier.end = earlier.end.max(next.end);
}

/// Of two keys at one time the clearer one counts.
fn part(keys: &mut Vec<Key>) {
    let weight = |key: &Key| key.snr.min(30.0) + 10.0 * ((key.end - key.start) as f64).log10();
    let mut drop = vec![false; keys.len()];
    for one in 0..keys.len() {
        for other in one + 1..keys.len() {
            if keys[other].start >= keys[one].end {
                break;
            }
            let counts = |at: usize| keys[at].rejected.is_none();
            let loses = match (counts(one), counts(other)) {
                (true, true) if weight(&keys[one]) < weight(&keys[other]) => one,
                (true, _) => other,
                (false, _) => one,
            };
            let overlap = keys[one].end.min(keys[other].end) - keys[other].start;
            let shorter = (keys[one].end - keys[one].start).min(keys[other].end - keys[other].start);
            drop[loses] |= 3 * overlap > shorter;
        }
    }
    let mut at = 0;
    keys.retain(|_| {
        at += 1;
        !drop[at - 1]
    });
}

/// The same key again, soon and fainter, comes from the far end of the line.
fn hush_echoes(keys: &mut [Key]) {
    let mut last: Option<Key> = None;
    for key in keys.iter_mut().filter(|key| key.rejected.is_none()) {
        if let Some(before) = last.as_ref().filter(|before| before.digit == key.digit) {
            let fainter = |i: usize| before.levels[i] - key.levels[i];
            let soon = key.start < before.end + ECHO;
            if soon && (fainter(0) + fainter(1)) / 2.0 > FAINTER {
                key.rejected = Some(Reason::Echo);
                continue;
            }
        }
        last = Some(key.clone());
    }
}

fn reason(samples: &[f32], key: &mut Key) -> Option<Reason> {
    let stretch = &samples[key.start..key.end.min(samples.len())];
    let sines = Sines::new(stretch, key.frequencies);
    let length = stretch.len().min(CLEAN);
    let fits = (0..=stretch.len() - length).step_by(HOP).map(|from| (sines.fit(from, from + length), from));
    let (cleanest, place) = fits.max_by(|a, b| a.0.share().total_cmp(&b.0.share()))?;
    let rest = (1.0 - cleanest.share()).max(1e-6);
    key.snr = 10.0 * (cleanest.share() / rest).log10();
    key.levels = cleanest.amplitudes().map(level);
    let nominal = frequencies(key.digit);
    let [low, high] = [0, 1].map(|i| key.frequencies[i] / nominal[i] - 1.0);
    if stretch.len() < SHORTEST {
        return Some(Reason::TooShort);
    }
    if key.levels[0].min(key.levels[1]) < FAINTEST {
        return Some(Reason::TooWeak);
    }
    if low.abs() > OFF || high.abs() > OFF || (low - high).abs() > APART {
        return Some(Reason::OffFrequency);
    }
    if (key.levels[1] - key.levels[0]).abs() > TWIST {
        return Some(Reason::Twist);
    }
    let clean = &stretch[place..place + length];
    if rest > MOST_NOISE {
        return Some(Reason::Speech);
    }
    if rest > CLEAR {
        let twist = (key.levels[1] - key.levels[0]).abs();
        let is_likely =
            low.abs().max(high.abs()) < NOISY_OFF && twist < NOISY_TWIST && stretch.len() >= NOISY_SHORTEST;
        let peak = if rest < 0.18 && stretch.len() > CLEAN { 80.0 } else { 12.0 };
        let is_noisy = is_likely && prominence(clean, &sines, place, &cleanest, key.frequencies) < peak;
        if !is_noisy && !is_before_a_background(samples, key, rest) {
            return Some(Reason::Speech);
        }
    }
    None
}

/// Whether what the sines leave was there before them, or is there after them.
fn is_before_a_background(samples: &[f32], key: &Key, rest: f64) -> bool {
    let mean = |part: &[f32]| part.iter().map(|x| f64::from(x * x)).sum::<f64>() / part.len().max(1) as f64;
    let gap = 24;
    let before = &samples[key.start.saturating_sub(gap + 240)..key.start.saturating_sub(gap)];
    let after = &samples[(key.end + gap).min(samples.len())..(key.end + gap + 240).min(samples.len())];
    let within = mean(&samples[key.start..key.end.min(samples.len())]) * rest;
    let around = mean(before).max(mean(after));
    rest < 0.2 && (0.4..2.5).contains(&(within / around.max(1e-12)))
}

/// How far anything stands out of what the sines leave, but what they themselves make in a bent line.
fn prominence(clean: &[f32], sines: &Sines<2>, place: usize, fit: &Fit<2>, [f, g]: [f64; 2]) -> f64 {
    let bent = [3.0 * f, 3.0 * g, 2.0 * f + g, 2.0 * g + f, 2.0 * f - g, 2.0 * g - f, g - f, f + g];
    noise::prominence(&sines.leave(fit, clean, place), &bent)
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
