//! Streams that go into another engine, with all that is between them, in the middle of their talk. Each engine is a thread of
//! its own, and only streams of one engine hear each other: who is to hear somebody in another one moves there.

use super::engine::Engine;
use super::exchange::Exchange;
use super::mix::Mix;
use super::recorder::{Place, Recorder};
use super::stream::{Activity, Stream};
use super::timers::Armed;
use super::{Channel, MixId, Port, RecordingId, StreamId};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// Streams that have to do with each other, their mixes and recordings.
#[derive(Debug)]
pub struct Household {
    /// With the slots and the deadlines they had.
    streams: Vec<(u32, Box<Stream>, Armed)>,
    /// With the places they had.
    mixes: Vec<(u32, Mix)>,
    recorders: Vec<Recorder>,
}

impl Household {
    /// Its streams.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.streams.iter().map(|(_, stream, _)| stream.id)
    }

    /// Its mixes.
    pub fn mixes(&self) -> impl Iterator<Item = MixId> {
        self.mixes.iter().map(|(_, mix)| mix.id)
    }

    /// Its recordings.
    pub fn recordings(&self) -> impl Iterator<Item = RecordingId> {
        self.recorders.iter().map(|recorder| recorder.id)
    }

    /// The ports of its streams, as the engine they come from knew them.
    pub fn ports(&self) -> impl Iterator<Item = Port> {
        self.streams
            .iter()
            .flat_map(|(_, stream, _)| [Channel::Rtp, Channel::Rtcp].map(|channel| stream.port(channel)))
    }
}

impl Engine {
    /// Gives this stream away, and all that have to do with it. Nobody who stays notices. `None` when it is not here.
    pub fn part_with(&mut self, stream: StreamId) -> Option<Household> {
        let (slots, places) = self.around(self.slot_of(stream)?);
        let streams = slots.iter().filter_map(|slot| self.take_out(*slot)).collect();
        let mixes =
            places.iter().filter_map(|place| Some((*place, self.exchange.take_mix(*place)?))).collect();
        let recorders = self.exchange.take_recorders(|recorder| {
            recorder.legs().any(|slot| slots.contains(&slot))
                || recorder.mixes().any(|mix| places.contains(&mix))
        });
        Some(Household { streams, mixes, recorders })
    }

    /// Takes in who was given away by another engine; they go on as if nothing had happened. Each port of theirs as it was
    /// known there, and as it is known here from now on.
    pub fn take_in(&mut self, household: Household, now: Instant) -> Vec<(Port, Port)> {
        let Household { streams, mixes, recorders } = household;
        let slots: BTreeMap<u32, u32> = streams.iter().map(|(old, ..)| (*old, self.vacant_slot())).collect();
        let new_slot = |old: u32| slots.get(&old).copied();
        let mut places = BTreeMap::new();
        for (old, mut mix) in mixes {
            mix.move_members(new_slot);
            places.insert(old, self.exchange.put_mix(mix));
        }
        let mut ports = Vec::new();
        for (old, mut stream, armed) in streams {
            let Some(slot) = new_slot(old) else { continue };
            let before = [Channel::Rtp, Channel::Rtcp].map(|channel| stream.port(channel));
            stream.slot = slot;
            stream.forks.iter_mut().for_each(|fork| *fork = new_slot(*fork).unwrap_or(*fork));
            match &mut stream.activity {
                Activity::Bridged(other) | Activity::Copying(other) => {
                    *other = new_slot(*other).unwrap_or(*other)
                }
                Activity::Mixed { place, .. } => *place = places.get(place).copied().unwrap_or(*place),
                Activity::Idle | Activity::Echo | Activity::Playing(_) => {}
            }
            ports.extend(before.map(|port| (port, stream.port(port.channel()))));
            self.put_in(slot, stream, armed);
        }
        for mut recorder in recorders {
            recorder.move_places(|place| match place {
                Place::Leg(slot) => new_slot(slot).map(Place::Leg),
                Place::Mix(place) => places.get(&place).copied().map(Place::Mix),
            });
            self.exchange.put_recorder(recorder);
        }
        if !self.exchange.is_idle() {
            self.start_turns(now);
        }
        ports
    }

    /// The slots of all streams and the places of all mixes that have to do with the stream in this slot.
    fn around(&self, slot: u32) -> (BTreeSet<u32>, BTreeSet<u32>) {
        let (mut slots, mut places) = (BTreeSet::new(), BTreeSet::new());
        let mut waiting = vec![slot];
        while let Some(slot) = waiting.pop() {
            let Some(stream) = self.streams.get(slot as usize).and_then(Option::as_deref) else { continue };
            if !slots.insert(slot) {
                continue;
            }
            waiting.extend(&stream.forks);
            match stream.activity {
                Activity::Bridged(other) | Activity::Copying(other) => waiting.push(other),
                Activity::Mixed { place, .. } => self.exchange.visit_mix(place, &mut places, &mut waiting),
                Activity::Idle | Activity::Echo | Activity::Playing(_) => {}
            }
            self.exchange.visit_recorders(slot, &mut places, &mut waiting);
        }
        (slots, places)
    }
}

impl Exchange {
    /// Who is in the mix at this place, and who is recorded with it.
    fn visit_mix(&self, place: u32, places: &mut BTreeSet<u32>, waiting: &mut Vec<u32>) {
        if !places.insert(place) {
            return;
        }
        if let Some(mix) = self.mix(place) {
            waiting.extend(mix.slots());
        }
        let with_it = self.recorders().filter(|recorder| recorder.mixes().any(|mix| mix == place));
        for recorder in with_it {
            self.visit(recorder, places, waiting);
        }
    }

    /// Who is recorded together with the stream in this slot.
    fn visit_recorders(&self, slot: u32, places: &mut BTreeSet<u32>, waiting: &mut Vec<u32>) {
        for recorder in self.recorders().filter(|recorder| recorder.hears(slot)) {
            self.visit(recorder, places, waiting);
        }
    }

    fn visit(&self, recorder: &Recorder, places: &mut BTreeSet<u32>, waiting: &mut Vec<u32>) {
        waiting.extend(recorder.legs());
        for mix in recorder.mixes() {
            self.visit_mix(mix, places, waiting);
        }
    }
}
