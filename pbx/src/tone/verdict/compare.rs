//! A recording against its schedule.

use super::{Difference, Kind, keys, tones};
use crate::audio::recording::Recording;
use crate::tone::scan::{self, Scan};
use crate::tone::schedule::{Channel, Schedule};

/// Below this mean square in every 20 ms nobody hears anything: -60 dBm0.
const SILENT: f32 = 2.4e-7;
/// 20 ms at 8000 Hz.
const FRAME: usize = 160;

/// What was heard on a channel.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its samples at 8000 Hz, full scale 1.
    pub samples: Vec<f32>,
    /// What is in them.
    pub scan: Scan,
}

impl Heard {
    /// Listens to every channel of a recording.
    pub fn of(recording: &Recording) -> Vec<Heard> {
        (0..recording.channels.len())
            .map(|channel| Heard::in_channel(recording.narrowband(channel)))
            .collect()
    }

    /// Listens to samples at 8000 Hz.
    pub fn in_channel(samples: Vec<f32>) -> Heard {
        let scan = scan::scan(&samples);
        Heard { samples, scan }
    }

    /// Whether nobody hears anything at all.
    pub fn is_silent(&self) -> bool {
        self.samples
            .chunks(FRAME)
            .all(|frame| frame.iter().map(|x| x * x).sum::<f32>() < SILENT * FRAME as f32)
    }

    fn is_empty(&self) -> bool {
        self.scan.tones.is_empty() && self.scan.keys.iter().all(|key| key.rejected.is_some())
    }
}

/// In what a recording differs from its schedule; nothing when it is as expected. Channels in order, and each in time.
pub fn compare(schedule: &Schedule, heard: &[Heard]) -> Vec<Difference> {
    let mut order: Vec<usize> = (0..heard.len()).collect();
    let mut differences = Vec::new();
    let told = |channel: usize, kind| {
        let name = schedule.channels.get(channel).and_then(|channel| channel.name.clone());
        Difference { channel, name, kind }
    };
    for (one, other) in swapped(schedule, heard) {
        order.swap(one, other);
        differences.push(told(one, Kind::Swapped { with: other }));
    }
    for (number, expected) in schedule.channels.iter().enumerate() {
        match order.get(number).map(|own| &heard[*own]) {
            None => differences.push(told(number, Kind::NoChannel { has: heard.len() })),
            Some(heard) if heard.is_silent() && !expected.sounds.is_empty() => {
                let (expected, from) = (expected.sounds.len(), expected.sounds[0].start);
                differences.push(told(order[number], Kind::Silent { expected, from }));
            }
            Some(heard) => {
                let own = of_channel(schedule, expected, heard);
                differences.extend(own.into_iter().map(|kind| told(order[number], kind)));
            }
        }
    }
    for (number, more) in heard.iter().enumerate().skip(schedule.channels.len()) {
        if !more.is_empty() {
            differences.push(told(number, Kind::MoreChannels { expected: schedule.channels.len() }));
        }
    }
    differences
}

/// In what one channel differs, in time.
fn of_channel(schedule: &Schedule, expected: &Channel, heard: &Heard) -> Vec<Kind> {
    let mut free = vec![true; heard.scan.tones.len()];
    let mut kinds = tones::rhythms(schedule, expected, heard, &mut free);
    kinds.extend(keys::keys(schedule, expected, heard, &mut free));
    kinds.extend(tones::tones(schedule, expected, heard, &mut free));
    kinds.sort_by(|a, b| a.at().total_cmp(&b.at()));
    kinds
}

/// Pairs of channels each of which fits far better to what is expected of the other.
fn swapped(schedule: &Schedule, heard: &[Heard]) -> Vec<(usize, usize)> {
    let count = schedule.channels.len().min(heard.len());
    let wrong =
        |expected: usize, own: usize| of_channel(schedule, &schedule.channels[expected], &heard[own]).len();
    let straight: Vec<usize> = (0..count).map(|channel| wrong(channel, channel)).collect();
    let mut pairs = Vec::new();
    let mut taken = vec![false; count];
    for one in 0..count {
        for other in one + 1..count {
            let as_they_are = straight[one] + straight[other];
            let is_open = !taken[one] && !taken[other] && straight[one] > 0 && straight[other] > 0;
            if is_open && 2 * (wrong(one, other) + wrong(other, one)) < as_they_are {
                (taken[one], taken[other]) = (true, true);
                pairs.push((one, other));
            }
        }
    }
    pairs
}

impl Kind {
    /// When it was expected, or heard where nothing was.
    pub fn at(&self) -> f64 {
        match self {
            Kind::NoChannel { .. } | Kind::MoreChannels { .. } | Kind::Swapped { .. } => 0.0,
            Kind::Silent { from, .. } => *from,
            Kind::Missing { at, .. }
            | Kind::Extra { at, .. }
            | Kind::Ends { at, .. }
            | Kind::Clipped { at, .. }
            | Kind::Level { at, .. } => *at,
            Kind::Moved { expected, .. } | Kind::Begins { expected, .. } => *expected,
        }
    }
}
