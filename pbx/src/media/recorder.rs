//! Recording: what legs and mixes say, in a channel each or together, as samples of 16 bits in the order of a WAV file.
//!
//! What is said is heard [`LATE_BY`] frames later (`hearing.rs`), so a recording begins, pauses and goes on so much later
//! than it was told to: what is in it is what was said in between. Nothing is kept while it pauses, not even silence.

use super::hearing::LATE_BY;
use super::mix::Mix;
use super::outbox::Outbox;
use super::stream::Stream;
use super::{Event, RecordingId};
use crate::audio::{FRAME, Gain, Narrowband, Sum};
use crate::time::Duration;
use smallvec::SmallVec;

/// Frames that are handed over at a time: two seconds. So much is lost at most when the program is killed.
const PORTION: usize = 100;
/// The most channels of a recording.
pub(super) const CHANNELS: usize = 8;
/// Bytes of a sample.
const WIDTH: usize = 2;
/// The mean size of samples below which nobody says anything: some -45 dBm0.
const QUIET: u64 = 120;

/// Who is heard in each channel.
pub(super) type Channels = SmallVec<[SmallVec<[Place; 2]>; 2]>;

/// One recording.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) id: RecordingId,
    channels: Channels,
    runs: bool,
    /// What changes after how many turns.
    changes: SmallVec<[(u64, bool); 4]>,
    turns: u64,
    frames: u64,
    /// For how many frames nobody has said anything, and after how many that is told.
    quiet: u32,
    patience: Option<u32>,
    buffer: Vec<u8>,
}

/// Where a voice comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The stream in this slot.
    Leg(u32),
    /// The mix in this place.
    Mix(u32),
}

/// Everything that can be recorded.
#[derive(Clone, Copy)]
pub(super) struct Studio<'a> {
    pub(super) streams: &'a [Option<Box<Stream>>],
    pub(super) mixes: &'a [Option<Mix>],
}

impl Recorder {
    pub(super) fn new(id: RecordingId, channels: Channels) -> Recorder {
        let buffer = Vec::with_capacity(PORTION * channels.len() * Narrowband::SILENT.0.len() * WIDTH);
        let changes = SmallVec::from_slice(&[(u64::from(LATE_BY), true)]);
        let (turns, frames, quiet, patience) = (0, 0, 0, None);
        Recorder { id, channels, runs: false, changes, turns, frames, quiet, patience, buffer }
    }

    /// Others are heard in it from now on; a channel more or less than before there is not.
    pub(super) fn tap(&mut self, channels: Channels) {
        if channels.len() == self.channels.len() {
            self.channels = channels;
        }
    }

    /// Whether this stream is heard in it.
    pub(super) fn hears(&self, slot: u32) -> bool {
        self.channels.iter().flatten().any(|place| *place == Place::Leg(slot))
    }

    /// The streams that are heard in it.
    pub(super) fn legs(&self) -> impl Iterator<Item = u32> {
        self.channels.iter().flatten().filter_map(|place| match place {
            Place::Leg(slot) => Some(*slot),
            Place::Mix(_) => None,
        })
    }

    /// The mixes that are heard in it.
    pub(super) fn mixes(&self) -> impl Iterator<Item = u32> {
        self.channels.iter().flatten().filter_map(|place| match place {
            Place::Mix(at) => Some(*at),
            Place::Leg(_) => None,
        })
    }

    /// What is heard in it has other places; what has none is silent.
    pub(super) fn move_places(&mut self, new: impl Fn(Place) -> Option<Place>) {
        for places in &mut self.channels {
            *places = places.iter().filter_map(|place| new(*place)).collect();
        }
    }

    /// It pauses, or goes on, from now on.
    pub(super) fn set(&mut self, runs: bool) {
        let at = self.turns + u64::from(LATE_BY);
        self.changes.retain(|(change, _)| *change != at);
        self.changes.push((at, runs));
    }

    /// It is told as soon as nobody has said anything for so long.
    pub(super) fn watch_silence(&mut self, length: Duration) {
        self.quiet = 0;
        self.patience = u32::try_from(length.as_millis() / FRAME.as_millis()).ok();
    }

    /// 20 ms, which were said [`LATE_BY`] frames ago.
    pub(super) fn turn(&mut self, studio: Studio<'_>, out: &mut Outbox) {
        self.take(studio, 0, out);
    }

    /// It ends: what was said until now belongs into it.
    pub(super) fn end(mut self, studio: Studio<'_>, out: &mut Outbox) {
        for ahead in 1..=LATE_BY {
            self.take(studio, ahead, out);
        }
        self.hand_over(out);
        out.tell(Event::RecordingEnded { recording: self.id, length: FRAME * self.frames as u32 });
    }

    /// Who is heard in it leaves: silence in its place.
    pub(super) fn forget(&mut self, left: Place) {
        self.channels.iter_mut().for_each(|places| places.retain(|place| *place != left));
    }

    fn take(&mut self, studio: Studio<'_>, ahead: u32, out: &mut Outbox) {
        while let Some(at) = self.changes.iter().position(|(at, _)| *at <= self.turns) {
            self.runs = self.changes.remove(at).1;
        }
        self.turns += 1;
        if !self.runs {
            return;
        }
        self.frames += 1;
        let count = self.channels.len();
        let start = self.buffer.len();
        self.buffer.resize(start + count * Narrowband::SILENT.0.len() * WIDTH, 0);
        for (channel, places) in self.channels.iter().enumerate() {
            let frame = studio.together(places, ahead);
            let own = self.buffer[start + channel * WIDTH..].chunks_mut(count * WIDTH);
            for (bytes, sample) in own.zip(frame.0) {
                bytes[..WIDTH].copy_from_slice(&sample.to_le_bytes());
            }
        }
        self.notice_silence(start, out);
        if self.buffer.len() >= self.buffer.capacity() {
            self.hand_over(out);
        }
    }

    /// Looks at the frame that begins here.
    fn notice_silence(&mut self, start: usize, out: &mut Outbox) {
        let Some(patience) = self.patience else { return };
        let samples = self.buffer[start..].chunks_exact(WIDTH);
        let count = samples.len().max(1) as u64;
        let sum: u64 =
            samples.map(|bytes| u64::from(i16::from_le_bytes([bytes[0], bytes[1]]).unsigned_abs())).sum();
        self.quiet = if sum / count < QUIET { self.quiet + 1 } else { 0 };
        if self.quiet >= patience {
            self.patience = None;
            out.tell(Event::FellSilent(self.id));
        }
    }

    fn hand_over(&mut self, out: &mut Outbox) {
        if self.buffer.is_empty() {
            return;
        }
        let next = Vec::with_capacity(self.buffer.capacity());
        let samples = std::mem::replace(&mut self.buffer, next);
        out.tell(Event::Recorded { recording: self.id, samples });
    }
}

impl Studio<'_> {
    /// What these say together.
    fn together(self, places: &[Place], ahead: u32) -> Narrowband {
        let mut sum = Sum::EMPTY;
        for place in places {
            let frame = match place {
                Place::Leg(slot) => self.streams[*slot as usize].as_deref().and_then(|leg| leg.said(ahead)),
                Place::Mix(at) => self.mixes[*at as usize].as_ref().map(|mix| mix.all(self.streams, ahead)),
            };
            if let Some(frame) = frame {
                sum.add(&frame, Gain::UNITY);
            }
        }
        sum.saturate()
    }
}
