//! What happens every 20 ms between the streams of an engine: who is listened to is asked for a frame, mixes are made of
//! the frames, recordings go on. One clock for all, so that nobody is asked twice.

use super::engine::Engine;
use super::hearing::{Hearing, LATE_BY};
use super::mix::{Ear, Mix};
use super::recorder::{CHANNELS, Channels, Place, Recorder, Studio};
use super::stream::{Activity, Stream};
use super::{MixId, RecordingId, StreamId, Tap};
use crate::audio::{FRAME, Gain};
use crate::time::{Duration, Instant};
use smallvec::SmallVec;

/// Turns that are made up for when the program was kept from working: ten seconds. Longer pauses are left out.
const PATIENCE: u32 = 500;

/// The mixes and recordings of an engine.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// By place; a place is given away again.
    mixes: Vec<Option<Mix>>,
    recorders: Vec<Recorder>,
    due: Option<Instant>,
}

impl Exchange {
    pub(super) fn next(&self) -> Option<Instant> {
        self.due
    }

    /// Whether there is nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        self.mixes.iter().all(Option::is_none) && self.recorders.is_empty()
    }

    /// The mix at this place.
    pub(super) fn mix(&self, place: u32) -> Option<&Mix> {
        self.mixes.get(place as usize)?.as_ref()
    }

    /// It is no longer here.
    pub(super) fn take_mix(&mut self, place: u32) -> Option<Mix> {
        self.mixes.get_mut(place as usize)?.take()
    }

    /// One more; its place.
    pub(super) fn put_mix(&mut self, mix: Mix) -> u32 {
        let free = self.mixes.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.mixes.push(None);
            self.mixes.len() - 1
        });
        self.mixes[place] = Some(mix);
        place as u32
    }

    pub(super) fn recorders(&self) -> impl Iterator<Item = &Recorder> {
        self.recorders.iter()
    }

    /// Those of whom this holds are no longer here.
    pub(super) fn take_recorders(&mut self, wanted: impl Fn(&Recorder) -> bool) -> Vec<Recorder> {
        let (taken, left) = std::mem::take(&mut self.recorders).into_iter().partition(wanted);
        self.recorders = left;
        taken
    }

    /// One more.
    pub(super) fn put_recorder(&mut self, recorder: Recorder) {
        self.recorders.push(recorder);
    }
}

impl Engine {
    /// A stream hears a mix, and is heard in it.
    pub(super) fn join(&mut self, mix: MixId, id: StreamId, voice: Gain, now: Instant) {
        let Some(slot) = self.slot_of(id) else { return };
        let place = self.place_of(mix).unwrap_or_else(|| self.exchange.put_mix(Mix::new(mix)) as usize);
        let is_member = matches!(
            self.stream_in(slot).map(|stream| &stream.activity),
            Some(Activity::Mixed { place: current, .. }) if *current as usize == place
        );
        if !is_member {
            self.idle(slot);
            if let Some(stream) = self.stream_in(slot) {
                stream.activity = Activity::Mixed { place: place as u32, ear: Ear::new() };
                stream.talkspurt = None;
            }
        }
        // Whoever was alone in the old mix has left it, and with it the mix is gone.
        if let Some(mix) = &mut self.exchange.mixes[place] {
            mix.join(slot, voice);
        }
        self.listen_to(slot);
        self.start_turns(now);
        self.start_pacing(slot, now);
    }

    /// How loud one member of a mix is for another.
    pub(super) fn set_gain(&mut self, mix: MixId, from: StreamId, to: StreamId, gain: Gain) {
        let (Some(from), Some(to)) = (self.slot_of(from), self.slot_of(to)) else { return };
        if let Some(place) = self.place_of(mix)
            && let Some(mix) = &mut self.exchange.mixes[place]
        {
            mix.set(from, to, gain);
        }
    }

    /// A stream is no longer in the mix at this place.
    pub(super) fn leave_mix(&mut self, place: u32, slot: u32) {
        let Some(kept) = self.exchange.mixes.get_mut(place as usize) else { return };
        if let Some(mix) = kept {
            mix.leave(slot);
            if mix.is_empty() {
                *kept = None;
                self.forget_in_recordings(Place::Mix(place));
            }
        }
        self.listen_no_longer_to(slot);
    }

    /// Begins a recording; what is not there is silent in it.
    pub(super) fn record(&mut self, id: RecordingId, channels: &[Vec<Tap>], now: Instant) {
        if self.exchange.recorders.iter().any(|recorder| recorder.id == id) {
            return;
        }
        let channels = self.places(channels);
        if channels.is_empty() {
            return;
        }
        let recorder = Recorder::new(id, channels);
        let legs: SmallVec<[u32; 8]> = recorder.legs().collect();
        self.exchange.recorders.push(recorder);
        legs.into_iter().for_each(|slot| self.listen_to(slot));
        self.start_turns(now);
    }

    /// Others are heard in a recording from now on.
    pub(super) fn tap(&mut self, id: RecordingId, channels: &[Vec<Tap>]) {
        let places = self.places(channels);
        let Some(at) = self.exchange.recorders.iter().position(|recorder| recorder.id == id) else { return };
        let before: SmallVec<[u32; 8]> = self.exchange.recorders[at].legs().collect();
        self.exchange.recorders[at].tap(places);
        let now: SmallVec<[u32; 8]> = self.exchange.recorders[at].legs().collect();
        before.into_iter().for_each(|slot| self.listen_no_longer_to(slot));
        now.into_iter().for_each(|slot| self.listen_to(slot));
    }

    fn places(&self, channels: &[Vec<Tap>]) -> Channels {
        let place = |tap: &Tap| match tap {
            Tap::Leg(stream) => self.slot_of(*stream).map(Place::Leg),
            Tap::Mix(mix) => self.place_of(*mix).map(|place| Place::Mix(place as u32)),
        };
        channels.iter().take(CHANNELS).map(|taps| taps.iter().filter_map(place).collect()).collect()
    }

    /// A recording pauses, or goes on.
    pub(super) fn set_recording(&mut self, id: RecordingId, runs: bool) {
        if let Some(recorder) = self.exchange.recorders.iter_mut().find(|recorder| recorder.id == id) {
            recorder.set(runs);
        }
    }

    /// It is told when nothing was said in a recording for so long.
    pub(super) fn watch_silence(&mut self, id: RecordingId, length: Duration) {
        if let Some(recorder) = self.exchange.recorders.iter_mut().find(|recorder| recorder.id == id) {
            recorder.watch_silence(length);
        }
    }

    /// A recording ends.
    pub(super) fn stop_recording(&mut self, id: RecordingId) {
        let Some(at) = self.exchange.recorders.iter().position(|recorder| recorder.id == id) else { return };
        let recorder = self.exchange.recorders.remove(at);
        let legs: SmallVec<[u32; 8]> = recorder.legs().collect();
        let mixes: SmallVec<[u32; 8]> = recorder.mixes().collect();
        for mix in mixes {
            let members = self.exchange.mixes[mix as usize].iter().flat_map(Mix::slots);
            members.for_each(|slot| look_ahead(&mut self.streams, slot));
        }
        legs.iter().for_each(|slot| look_ahead(&mut self.streams, *slot));
        recorder.end(Studio { streams: &self.streams, mixes: &self.exchange.mixes }, &mut self.outbox);
        legs.into_iter().for_each(|slot| self.listen_no_longer_to(slot));
    }

    /// The stream in this slot is gone: nobody hears it any longer.
    pub(super) fn forget_in_exchange(&mut self, slot: u32) {
        self.forget_in_recordings(Place::Leg(slot));
    }

    fn forget_in_recordings(&mut self, place: Place) {
        self.exchange.recorders.iter_mut().for_each(|recorder| recorder.forget(place));
    }

    /// Does what is due.
    pub(super) fn take_turns(&mut self, now: Instant) {
        let mut made_up_for = 0;
        while let Some(due) = self.exchange.due.filter(|due| *due <= now) {
            if self.exchange.is_idle() {
                self.exchange.due = None;
                return;
            }
            made_up_for += 1;
            self.exchange.due = Some(match made_up_for <= PATIENCE {
                true => due + FRAME,
                false => next_turn(now),
            });
            self.turn();
        }
    }

    fn turn(&mut self) {
        for stream in self.streams.iter_mut().flatten() {
            if let Some(hearing) = &mut stream.incoming.hearing {
                hearing.take();
            }
        }
        for mix in self.exchange.mixes.iter_mut().flatten() {
            mix.turn(&mut self.streams);
        }
        let studio = Studio { streams: &self.streams, mixes: &self.exchange.mixes };
        for recorder in &mut self.exchange.recorders {
            recorder.turn(studio, &mut self.outbox);
        }
    }

    pub(super) fn start_turns(&mut self, now: Instant) {
        self.exchange.due.get_or_insert_with(|| next_turn(now));
    }

    fn listen_to(&mut self, slot: u32) {
        if let Some(stream) = self.stream_in(slot) {
            stream.incoming.hearing.get_or_insert_with(|| Box::new(Hearing::new()));
        }
    }

    fn listen_no_longer_to(&mut self, slot: u32) {
        let is_recorded = self.exchange.recorders.iter().any(|recorder| recorder.hears(slot));
        if let Some(stream) = self.stream_in(slot)
            && !is_recorded
            && !matches!(stream.activity, Activity::Mixed { .. })
        {
            stream.incoming.hearing = None;
        }
    }

    fn place_of(&self, id: MixId) -> Option<usize> {
        self.exchange.mixes.iter().position(|mix| mix.as_ref().is_some_and(|mix| mix.id == id))
    }
}

/// What has come by now is heard, though its time has not come yet.
fn look_ahead(streams: &mut [Option<Box<Stream>>], slot: u32) {
    let stream = streams.get_mut(slot as usize).and_then(Option::as_deref_mut);
    if let Some(hearing) = stream.and_then(|stream| stream.incoming.hearing.as_deref_mut()) {
        hearing.look_ahead(LATE_BY);
    }
}

/// The turns of all engines are at whole multiples of a frame.
fn next_turn(now: Instant) -> Instant {
    Instant::from_nanos((now.as_nanos() + 1).next_multiple_of(FRAME.as_nanos() as u64))
}
