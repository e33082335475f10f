//! What exchanges say by tones that come and go: dial tone, busy, ringback (ITU-T E.180 and its supplement 2).

use super::steady::Tone;
use std::fmt;

/// A tone of an exchange: whose plan has it, its name, its frequencies in Hz, and its rhythm: on, off, on, off ... in
/// milliseconds; on alone: for ever, and so long at least to be told from a voice that sings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// `us`, `uk`, `de`, ...
    pub plan: &'static str,
    /// `dial`, `busy`, ...
    pub name: &'static str,
    /// See above.
    pub frequencies: &'static [f64],
    /// See above.
    pub rhythm: &'static [f64],
}

const fn entry(
    plan: &'static str,
    name: &'static str,
    frequencies: &'static [f64],
    rhythm: &'static [f64],
) -> Plan {
    Plan { plan, name, frequencies, rhythm }
}

/// The special information tone: three that follow each other (E.180 section 8).
pub const SIT: Plan = entry("itu", "sit", &SPECIAL, &[330.0, 0.0, 330.0, 0.0, 330.0, 1_000.0]);

impl Plan {
    /// The one that is written like this: `us busy`.
    pub fn named(name: &str) -> Option<Plan> {
        PLANS.iter().copied().chain([SIT]).find(|plan| plan.to_string() == name)
    }

    /// The tones of this rhythm within so many milliseconds: when each begins and ends, and its frequencies. A tone that
    /// would not end in time is left out.
    pub fn tones(&self, millis: f64) -> Vec<(f64, f64, &'static [f64])> {
        if self.rhythm.len() == 1 {
            return vec![(0.0, millis, self.frequencies)];
        }
        let (mut tones, mut at) = (Vec::new(), 0.0);
        for (number, times) in self.rhythm.chunks_exact(2).cycle().enumerate() {
            if at + times[0] > millis {
                break;
            }
            let own = number % self.frequencies.len();
            let frequencies = if *self == SIT { &self.frequencies[own..=own] } else { self.frequencies };
            tones.push((at, at + times[0], frequencies));
            at += times[0] + times[1];
        }
        tones
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.plan, self.name)
    }
}

/// What is known, but for the special information tone.
pub const PLANS: &[Plan] = &[
    entry("us", "dial", &[350.0, 440.0], &[1_000.0]),
    entry("us", "busy", &[480.0, 620.0], &[500.0, 500.0]),
    entry("us", "reorder", &[480.0, 620.0], &[250.0, 250.0]),
    entry("us", "ringback", &[440.0, 480.0], &[2_000.0, 4_000.0]),
    entry("us", "call waiting", &[440.0], &[300.0, 9_700.0]),
    // The same as that of the US, which is what is told of it.
    entry("uk", "dial", &[350.0, 440.0], &[1_000.0]),
    entry("uk", "busy", &[400.0], &[375.0, 375.0]),
    entry("uk", "congestion", &[400.0], &[400.0, 350.0, 225.0, 525.0]),
    entry("uk", "ringback", &[400.0, 450.0], &[400.0, 200.0, 400.0, 2_000.0]),
    entry("de", "dial", &[425.0], &[1_000.0]),
    entry("de", "busy", &[425.0], &[480.0, 480.0]),
    entry("de", "congestion", &[425.0], &[240.0, 240.0]),
    entry("de", "ringback", &[425.0], &[1_000.0, 4_000.0]),
    entry("eu", "busy", &[425.0], &[500.0, 500.0]),
    entry("eu", "congestion", &[425.0], &[250.0, 250.0]),
    entry("fr", "dial", &[440.0], &[1_000.0]),
    entry("fr", "busy", &[440.0], &[500.0, 500.0]),
    entry("fr", "congestion", &[440.0], &[250.0, 250.0]),
    entry("fr", "ringback", &[440.0], &[1_500.0, 3_500.0]),
    entry("jp", "dial", &[400.0], &[1_000.0]),
    entry("jp", "busy", &[400.0], &[500.0, 500.0]),
    entry("jp", "ringback", &[385.0, 415.0], &[1_000.0, 2_000.0]),
    entry("cn", "dial", &[450.0], &[1_000.0]),
    entry("cn", "busy", &[450.0], &[350.0, 350.0]),
    entry("cn", "congestion", &[450.0], &[700.0, 700.0]),
    entry("cn", "ringback", &[450.0], &[1_000.0, 4_000.0]),
    entry("in", "busy", &[400.0], &[750.0, 750.0]),
    entry("in", "congestion", &[400.0], &[250.0, 250.0]),
    entry("in", "ringback", &[400.0], &[400.0, 200.0, 400.0, 2_000.0]),
];

/// A special information tone is three that follow each other, near these frequencies in Hz (E.180 section 8).
const SPECIAL: [f64; 3] = [950.0, 1_400.0, 1_800.0];
/// Each within this share of its frequency; North America has 913.8 to 985.2, 1370.6 to 1428.5, 1776.7.
const SPECIAL_OFF: f64 = 0.05;
/// And after the one before it within so many samples.
const SPECIAL_GAP: usize = 50 * 8;
/// Frequencies of a plan are met within this share.
const OFF: f64 = 0.03;
/// Times of a plan are met within this share and so many milliseconds.
const TIME: f64 = 0.12;
const MOMENT: f64 = 15.0;
/// A pause longer than this ends a rhythm, in samples.
const LONGEST_PAUSE: usize = 11 * 8_000;

/// A rhythm that was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Cadence {
    /// `busy`, `dial`, `ringback`, ...; `sit` for a special information tone.
    pub name: &'static str,
    /// Whose: `us`, `uk`, `de`, ...; `itu` for a special information tone.
    pub plan: &'static str,
    /// Its frequencies in Hz.
    pub frequencies: Vec<f64>,
    /// The first sample of its first tone at 8000 Hz, and the one after the last of its last.
    pub start: usize,
    /// See `start`.
    pub end: usize,
    /// How often the rhythm came, counted in tones that begin one.
    pub periods: usize,
}

/// The rhythms in tones that are in order.
pub fn cadences(tones: &[Tone]) -> Vec<Cadence> {
    let mut cadences = special(tones);
    let mut rest: Vec<&Tone> = tones.iter().collect();
    while let Some(first) = rest.first().copied() {
        let mut group = vec![first];
        for tone in &rest[1..] {
            let is_next = tone.start < group[group.len() - 1].end + LONGEST_PAUSE;
            if is_next && is_alike(&tone.frequencies, &first.frequencies, 0.02) {
                group.push(tone);
            }
        }
        rest.retain(|tone| !group.iter().any(|own| std::ptr::eq(*own, *tone)));
        cadences.extend(recognise(&group));
    }
    cadences.sort_by_key(|cadence| cadence.start);
    cadences
}

fn special(tones: &[Tone]) -> Vec<Cadence> {
    let mut found: Vec<Cadence> = Vec::new();
    for three in tones.windows(3) {
        let follows = three.windows(2).all(|pair| pair[1].start < pair[0].end + SPECIAL_GAP);
        let fits = three
            .iter()
            .zip(SPECIAL)
            .all(|(tone, special)| is_alike(&tone.frequencies, &[special], SPECIAL_OFF));
        if !follows || !fits {
            continue;
        }
        match found.last_mut().filter(|last| three[0].start < last.end + LONGEST_PAUSE) {
            Some(last) => {
                last.end = three[2].end;
                last.periods += 1;
            }
            None => found.push(Cadence {
                name: "sit",
                plan: "itu",
                frequencies: three.iter().map(|tone| tone.frequencies[0]).collect(),
                start: three[0].start,
                end: three[2].end,
                periods: 1,
            }),
        }
    }
    found
}

/// The entry that fits these tones best; they have the same frequencies.
fn recognise(group: &[&Tone]) -> Option<Cadence> {
    let fits = |entry: &&Plan| is_alike(&group[0].frequencies, entry.frequencies, OFF);
    let rated = PLANS.iter().filter(fits).filter_map(|entry| {
        let (miss, periods) = miss(entry, group)?;
        let detuned: f64 = group[0]
            .frequencies
            .iter()
            .zip(entry.frequencies)
            .map(|(own, planned)| (own / planned - 1.0).abs())
            .sum();
        Some((miss + detuned, entry, periods))
    });
    let (_, entry, periods) = rated.min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Cadence {
        name: entry.name,
        plan: entry.plan,
        frequencies: group[0].frequencies.clone(),
        start: group[0].start,
        end: group[group.len() - 1].end,
        periods,
    })
}

/// How far the tones are from the rhythm on the average, and how often it came; `None` when they do not keep it.
fn miss(entry: &Plan, group: &[&Tone]) -> Option<(f64, usize)> {
    let millis = |samples: usize| samples as f64 / 8.0;
    if let [least] = entry.rhythm {
        return (group.len() == 1 && millis(group[0].end - group[0].start) >= *least).then_some((0.0, 1));
    }
    let mut worst = 0.0f64;
    let mut total = 0.0;
    let mut count = 0;
    let mut check = |measured: f64, planned: f64| {
        let off = (measured - planned).abs();
        worst = worst.max(off / (planned * TIME + MOMENT));
        total += off / planned;
        count += 1;
    };
    for (at, tone) in group.iter().enumerate() {
        check(millis(tone.end - tone.start), entry.rhythm[2 * at % entry.rhythm.len()]);
        if let Some(next) = group.get(at + 1) {
            check(
                millis(next.start.saturating_sub(tone.end)),
                entry.rhythm[(2 * at + 1) % entry.rhythm.len()],
            );
        }
    }
    (worst <= 1.0).then_some((total / f64::from(count), (2 * group.len()).div_ceil(entry.rhythm.len())))
}

fn is_alike(own: &[f64], planned: &[f64], share: f64) -> bool {
    own.len() == planned.len()
        && own.iter().zip(planned).all(|(own, planned)| (own - planned).abs() < planned * share)
}
