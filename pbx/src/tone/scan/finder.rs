//! Keys are found as the sound comes: windows in a row that agree on one are a run, a run is looked at closely, and what comes
//! of it waits until nothing that is still to come can belong to it.

use super::bank::{HOP, Look, SILENT, SPAN, WINDOW};
use super::fit::Sines;
use super::keys::{CLEAR, ECHO, HOLE, Key, MARGIN, Reason, Run, examine, judge, prolong};
use super::sound::Sound;

/// A window in which two sines explain less than this holds no key.
const LEAST_SHARE: f32 = 0.2;
/// The weaker sine explains at least so much of a window: less is what noise has anywhere.
const LEAST_WEAKER: f32 = 0.012;
/// A key that has lasted so long is judged by what there is; of the rest only its end is looked for: a quarter of a second.
pub(super) const LONG: usize = 2_000;
/// Behind the start of a key that waits: later its start is no longer there.
const LATEST: usize = 3_600;
/// A run as long as this may be a key of 40 ms, ...
const SURE: usize = 420;
/// ... and when it is none yet, it is looked at again after so many samples.
const AGAIN: usize = 80;
/// A key that lasted so long is told before it ends.
const CERTAIN: usize = 304;
/// Keys that wait at most; of more the first is settled as it is.
const WAITING: usize = 12;
/// A key that comes again so many dB fainter is an echo.
const FAINTER: f64 = 5.0;

/// What is heard of keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A key is pressed, and has been for 40 ms.
    Pressed(char),
    /// It is over, or was never one: everything about it.
    Released(Key),
}

/// What looking closely needs: lent, because many streams can share it.
pub(super) struct Desk {
    pub(super) sines: Sines<2>,
    pub(super) rest: Vec<f32>,
}

/// A key that is waiting.
#[derive(Clone)]
struct Waiting {
    key: Key,
    is_judged: bool,
    is_told: bool,
}

#[derive(Clone)]
pub(super) struct Finder {
    /// The last looks: row, column, share.
    looks: [(u8, u8, f32); SPAN],
    /// The number of the next look.
    hop: usize,
    run: Option<Open>,
    /// In the order of their runs.
    waiting: Vec<Waiting>,
    /// The last key that counted, for its echo.
    last: Option<Key>,
    /// Whether keys are told before they end.
    is_early: bool,
}

/// A run that goes on.
#[derive(Clone)]
struct Open {
    run: Run,
    /// What is known of it when it is long.
    long: Option<Waiting>,
    is_told: bool,
    /// The length at which it is looked at next.
    look_at: usize,
}

impl Finder {
    pub(super) fn new(is_early: bool) -> Finder {
        let looks = [(0, 0, 0.0); SPAN];
        Finder { looks, hop: 0, run: None, waiting: Vec::with_capacity(WAITING + 1), last: None, is_early }
    }

    /// Takes the next look; the sound reaches [`MARGIN`] samples beyond its window, unless it has ended.
    pub(super) fn take(
        &mut self,
        look: &Look,
        sound: &Sound,
        desk: &mut Desk,
        heard: &mut impl FnMut(Heard),
    ) {
        let is_key = look.energy > SILENT * WINDOW as f32
            && look.share > LEAST_SHARE
            && look.weaker > LEAST_WEAKER
            && look.weaker * 12.0 > (1.0 - look.share) / 10.0;
        let (row, column) = (usize::from(look.row), usize::from(look.column));
        let from = self.hop * HOP;
        let to = from + WINDOW;
        // Of the window and the one before it that does not overlap.
        let before = self.looks[self.hop % SPAN];
        let is_same = self.hop >= SPAN && (before.0, before.1) == (look.row, look.column);
        let clean = if is_same { (look.share + before.2) / 2.0 } else { look.share / 2.0 };
        let clean = (clean, from.saturating_sub(WINDOW));
        self.looks[self.hop % SPAN] = (look.row, look.column, look.share);
        self.hop += 1;
        match &mut self.run {
            Some(Open { run, .. }) if is_key && (run.row, run.column) == (row, column) => {
                run.to = to;
                if clean.0 > run.best.0 {
                    run.best = clean;
                }
            }
            _ => {
                self.close(sound, desk);
                let run = Run { row, column, from, to, best: clean };
                self.run = is_key.then_some(Open { run, long: None, is_told: false, look_at: SURE });
            }
        }
        self.look_early(sound, desk, heard);
        let horizon = match &self.run {
            None => self.hop * HOP,
            Some(Open { long: Some(long), .. }) => long.key.start + MARGIN,
            Some(open) => open.run.from,
        };
        self.settle(horizon.saturating_sub(MARGIN), sound, desk, heard);
    }

    /// Whether a key goes on that was told.
    pub(super) fn holds_key(&self) -> bool {
        self.run.as_ref().is_some_and(|open| open.is_told)
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, sound: &Sound, desk: &mut Desk, heard: &mut impl FnMut(Heard)) {
        self.close(sound, desk);
        self.settle(usize::MAX, sound, desk, heard);
    }

    /// A run that goes on is told when it is clearly a key, and judged when it is long.
    fn look_early(&mut self, sound: &Sound, desk: &mut Desk, heard: &mut impl FnMut(Heard)) {
        let Some(open) = &mut self.run else { return };
        let length = open.run.to - open.run.from;
        if open.long.is_some() {
            return;
        }
        if length >= LONG {
            let Some(mut key) = examine(sound, &open.run, desk) else { return };
            key.start = prolong(sound, &key, desk, true).unwrap_or(key.start);
            let (reason, _) = judge(sound, &mut key, desk);
            key.rejected = reason;
            let is_told = open.is_told;
            let mut long = Waiting { key, is_judged: true, is_told };
            // What goes on after a hole is part of it.
            while let Some(at) = self.waiting.iter().position(|waiting| continues(&waiting.key, &long.key)) {
                let earlier = self.waiting.remove(at);
                long = join(earlier, long);
            }
            if self.is_early
                && long.key.rejected.is_none()
                && !long.is_told
                && !is_echo(&self.waiting, self.last.as_ref(), &long.key)
            {
                long.is_told = true;
                heard(Heard::Pressed(long.key.digit));
            }
            open.is_told = long.is_told;
            open.long = Some(long);
            return;
        }
        if !self.is_early || open.is_told || length < open.look_at {
            return;
        }
        open.look_at = length + AGAIN;
        let Some(mut key) = examine(sound, &open.run, desk) else { return };
        if self.waiting.iter().any(|waiting| waiting.is_told && continues(&waiting.key, &key)) {
            open.is_told = true;
            return;
        }
        let (reason, rest) = judge(sound, &mut key, desk);
        let is_certain = key.end - key.start >= CERTAIN && reason.is_none() && rest <= CLEAR;
        if is_certain && !is_echo(&self.waiting, self.last.as_ref(), &key) {
            open.is_told = true;
            heard(Heard::Pressed(key.digit));
        }
    }

    /// The run is over: what was it?
    fn close(&mut self, sound: &Sound, desk: &mut Desk) {
        let Some(open) = self.run.take() else { return };
        let next = match open.long {
            Some(mut long) => {
                long.key.end = (open.run.to + MARGIN).min(sound.end());
                long.key.end = prolong(sound, &long.key, desk, false).unwrap_or(long.key.end);
                long
            }
            None => {
                let Some(key) = examine(sound, &open.run, desk) else { return };
                Waiting { key, is_judged: false, is_told: open.is_told }
            }
        };
        match self.waiting.iter().rposition(|earlier| continues(&earlier.key, &next.key)) {
            Some(at) => {
                let earlier = self.waiting[at].clone();
                self.waiting[at] = join(earlier, next);
            }
            None => self.waiting.push(next),
        }
    }

    /// Tells what nothing can belong to that begins at the horizon or later.
    fn settle(&mut self, horizon: usize, sound: &Sound, desk: &mut Desk, heard: &mut impl FnMut(Heard)) {
        for waiting in &mut self.waiting {
            if !waiting.is_judged && sound.end() > waiting.key.start + LATEST {
                waiting.judge(sound, desk);
            }
        }
        let is_over = |waiting: &Waiting| waiting.key.end.saturating_add(HOLE) <= horizon;
        while !self.waiting.is_empty() {
            // In the order in which they begin, those that overlap together.
            self.waiting.sort_unstable_by_key(|waiting| (waiting.key.start, waiting.key.end));
            let mut count = 1;
            let mut end = self.waiting[0].key.end;
            while let Some(next) = self.waiting.get(count).filter(|next| next.key.start < end) {
                end = end.max(next.key.end);
                count += 1;
            }
            let is_full = self.waiting.len() > WAITING;
            if !is_full && !self.waiting[..count].iter().all(is_over) {
                return;
            }
            self.waiting[..count].iter_mut().for_each(|waiting| waiting.judge(sound, desk));
            drop_overlapping(&mut self.waiting, &mut count);
            for waiting in self.waiting.drain(..count) {
                let mut key = waiting.key;
                if key.rejected.is_none() && !waiting.is_told {
                    if self.last.as_ref().is_some_and(|last| comes_from(last, &key)) {
                        key.rejected = Some(Reason::Echo);
                    } else if self.is_early {
                        heard(Heard::Pressed(key.digit));
                    }
                }
                if waiting.is_told {
                    key.rejected = None;
                }
                if key.rejected.is_none() {
                    self.last = Some(key.clone());
                }
                heard(Heard::Released(key));
            }
        }
    }
}

impl Waiting {
    fn judge(&mut self, sound: &Sound, desk: &mut Desk) {
        if !self.is_judged {
            self.is_judged = true;
            self.key.rejected = judge(sound, &mut self.key, desk).0;
        }
    }
}

/// Whether this is the same press after a hole.
fn continues(earlier: &Key, next: &Key) -> bool {
    earlier.digit == next.digit && next.start < earlier.end + HOLE && earlier.start <= next.end
}

fn join(earlier: Waiting, next: Waiting) -> Waiting {
    let start = earlier.key.start.min(next.key.start);
    let end = earlier.key.end.max(next.key.end);
    let is_told = earlier.is_told || next.is_told;
    let counts = |waiting: &Waiting| waiting.is_judged && waiting.key.rejected.is_none();
    let is_longer = next.key.end.saturating_sub(next.key.start) > earlier.key.end - earlier.key.start;
    let is_judged = counts(&earlier) || counts(&next);
    let taken = if counts(&next) || (!counts(&earlier) && is_longer) { next } else { earlier };
    Waiting { key: Key { start, end, ..taken.key }, is_judged, is_told }
}

/// Of two keys at one time the clearer one counts.
fn drop_overlapping(keys: &mut Vec<Waiting>, count: &mut usize) {
    let weight = |key: &Key| key.snr.min(30.0) + 10.0 * ((key.end - key.start) as f64).log10();
    let mut drop = 0u32;
    for one in 0..*count {
        for other in one + 1..*count {
            let (first, second) = (&keys[one].key, &keys[other].key);
            if second.start >= first.end {
                break;
            }
            let loses = match (first.rejected.is_none(), second.rejected.is_none()) {
                (true, false) => other,
                (false, true) => one,
                // Of what was no key the clearer one says why.
                (true, true) | (false, false) if weight(first) < weight(second) => one,
                (true, true) | (false, false) => other,
            };
            let overlap = first.end.min(second.end) - second.start;
            let shorter = (first.end - first.start).min(second.end - second.start);
            if 3 * overlap > shorter && !keys[loses].is_told {
                drop |= 1 << loses;
            }
        }
    }
    for at in (0..*count).rev().filter(|at| drop >> at & 1 == 1) {
        keys.remove(at);
        *count -= 1;
    }
}

/// Whether it comes again from the far end of the line: the same key, soon and fainter.
fn comes_from(before: &Key, key: &Key) -> bool {
    let fainter = |i: usize| before.levels[i] - key.levels[i];
    before.digit == key.digit && key.start < before.end + ECHO && (fainter(0) + fainter(1)) / 2.0 > FAINTER
}

fn is_echo(waiting: &[Waiting], last: Option<&Key>, key: &Key) -> bool {
    waiting.iter().map(|waiting| &waiting.key).chain(last).any(|before| comes_from(before, key))
}
