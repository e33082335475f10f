//! In which of several engines a stream is, and who has to move before a command can be obeyed: only streams of one engine
//! hear each other.

use super::{Command, Household, MixId, RecordingId, RoomId, StreamId, Tap};
use std::collections::{BTreeMap, BTreeSet};

/// Where everything is. Engines are counted from 0.
#[derive(Debug)]
pub struct Homes {
    engines: usize,
    streams: BTreeMap<StreamId, usize>,
    /// With all who were ever in it and are still open.
    mixes: BTreeMap<MixId, (usize, BTreeSet<StreamId>)>,
    recordings: BTreeMap<RecordingId, usize>,
}

/// What has to be done for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The engine that obeys it.
    pub engine: usize,
    /// Streams that have to move there first, with their households, and where they are.
    pub moves: Vec<(StreamId, usize)>,
}

impl Homes {
    /// So many engines, at least one, without streams.
    pub fn new(engines: usize) -> Homes {
        let engines = engines.max(1);
        Homes { engines, streams: BTreeMap::new(), mixes: BTreeMap::new(), recordings: BTreeMap::new() }
    }

    /// Where a command of this room goes; a new stream goes where its room has its place.
    pub fn place(&mut self, room: RoomId, command: &Command) -> Placement {
        let usual = (room.0 % self.engines as u64) as usize;
        match command {
            Command::Open { stream, .. } => {
                self.streams.insert(*stream, usual);
                Placement { engine: usual, moves: Vec::new() }
            }
            Command::Bridge(one, other) | Command::Fork { from: one, to: other } => {
                self.together(self.home_of(*one, usual), &[*other])
            }
            Command::Join { mix, stream, .. } => {
                let home = self.home_of(*stream, usual);
                let (engine, members) = self.mixes.entry(*mix).or_insert_with(|| (home, BTreeSet::new()));
                members.insert(*stream);
                let engine = *engine;
                self.together(engine, &[*stream])
            }
            Command::Gain { mix, from, .. } => {
                let engine = self.mixes.get(mix).map(|(engine, _)| *engine);
                self.alone(engine.unwrap_or_else(|| self.home_of(*from, usual)))
            }
            Command::Record { recording, channels } | Command::Tap { recording, channels } => {
                let known = self.recordings.get(recording).copied();
                let first = || channels.iter().flatten().find_map(|tap| self.home_of_tap(tap));
                let engine = known.or_else(first).unwrap_or(usual);
                if matches!(command, Command::Record { .. }) {
                    self.recordings.insert(*recording, engine);
                }
                let legs = channels.iter().flatten().filter_map(|tap| match tap {
                    Tap::Leg(stream) => Some(*stream),
                    // Somebody who is in it brings the others along.
                    Tap::Mix(mix) => self.mixes.get(mix).and_then(|(_, members)| members.first().copied()),
                });
                self.together(engine, &legs.collect::<Vec<_>>())
            }
            Command::PauseRecording(recording)
            | Command::ResumeRecording(recording)
            | Command::WatchSilence { recording, .. } => {
                self.alone(self.recordings.get(recording).copied().unwrap_or(usual))
            }
            Command::StopRecording(recording) => {
                let engine = self.recordings.remove(recording).unwrap_or(usual);
                self.alone(engine)
            }
            Command::Close(stream) => {
                let engine = self.streams.remove(stream).unwrap_or(usual);
                self.mixes.retain(|_, (_, members)| {
                    members.remove(stream);
                    !members.is_empty()
                });
                self.alone(engine)
            }
            Command::Agree { stream, .. }
            | Command::Play { stream, .. }
            | Command::StopAtKey(stream)
            | Command::Press { stream, .. }
            | Command::KeepKeys(stream)
            | Command::Echo(stream)
            | Command::Stop(stream)
            | Command::Report(stream) => self.alone(self.home_of(*stream, usual)),
        }
    }

    /// These have moved.
    pub fn moved(&mut self, household: &Household, engine: usize) {
        for stream in household.streams() {
            self.streams.insert(stream, engine);
        }
        for mix in household.mixes() {
            if let Some((home, _)) = self.mixes.get_mut(&mix) {
                *home = engine;
            }
        }
        for recording in household.recordings() {
            self.recordings.insert(recording, engine);
        }
    }

    fn home_of(&self, stream: StreamId, usual: usize) -> usize {
        self.streams.get(&stream).copied().unwrap_or(usual)
    }

    /// Of a mix rather than of a leg: more people are in it.
    fn home_of_tap(&self, tap: &Tap) -> Option<usize> {
        match tap {
            Tap::Leg(stream) => self.streams.get(stream).copied(),
            Tap::Mix(mix) => self.mixes.get(mix).map(|(engine, _)| *engine),
        }
    }

    fn alone(&self, engine: usize) -> Placement {
        Placement { engine, moves: Vec::new() }
    }

    /// In this engine, where all of these are to be.
    fn together(&self, engine: usize, streams: &[StreamId]) -> Placement {
        let elsewhere = |stream: &StreamId| {
            let home = self.streams.get(stream).copied().filter(|home| *home != engine)?;
            Some((*stream, home))
        };
        Placement { engine, moves: streams.iter().filter_map(elsewhere).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Gain;

    #[test]
    fn a_stream_is_where_its_room_is() {
        let mut homes = Homes::new(3);
        let placed: Vec<usize> = (0..6).map(|n| homes.place(RoomId(n), &open(n)).engine).collect();
        assert_eq!(placed, [0, 1, 2, 0, 1, 2]);
        assert_eq!(homes.place(RoomId(0), &Command::Stop(StreamId(4))), stays(1), "whatever room asks");
    }

    #[test]
    fn who_is_to_hear_somebody_elsewhere_moves() {
        let mut homes = Homes::new(2);
        (0..4).for_each(|n| drop(homes.place(RoomId(n), &open(n))));
        let join = |n| Command::Join { mix: MixId(1), stream: StreamId(n), voice: Gain::UNITY };
        assert_eq!(homes.place(RoomId(1), &join(1)), stays(1));
        assert_eq!(homes.place(RoomId(0), &join(0)), Placement { engine: 1, moves: vec![(StreamId(0), 0)] });
        let bridge = Command::Bridge(StreamId(2), StreamId(3));
        assert_eq!(homes.place(RoomId(2), &bridge), Placement { engine: 0, moves: vec![(StreamId(3), 1)] });
        let channels = vec![vec![Tap::Mix(MixId(1))], vec![Tap::Leg(StreamId(2))]];
        let record = Command::Record { recording: RecordingId(1), channels };
        assert_eq!(
            homes.place(RoomId(2), &record),
            Placement { engine: 1, moves: vec![(StreamId(0), 0), (StreamId(2), 0)] }
        );
    }

    #[test]
    fn nothing_is_kept_of_who_is_gone() {
        let mut homes = Homes::new(2);
        for n in 0..100 {
            homes.place(RoomId(n), &open(n));
            homes.place(
                RoomId(n),
                &Command::Join { mix: MixId(n / 2), stream: StreamId(n), voice: Gain::UNITY },
            );
            let channels = vec![vec![Tap::Leg(StreamId(n))]];
            homes.place(RoomId(n), &Command::Record { recording: RecordingId(n), channels });
        }
        for n in 0..100 {
            homes.place(RoomId(n), &Command::StopRecording(RecordingId(n)));
            homes.place(RoomId(n), &Command::Close(StreamId(n)));
        }
        assert!(homes.streams.is_empty() && homes.mixes.is_empty() && homes.recordings.is_empty());
    }

    fn stays(engine: usize) -> Placement {
        Placement { engine, moves: Vec::new() }
    }

    fn open(n: u64) -> Command {
        let local = "10.0.0.1:20000".parse().expect("an address");
        Command::Open { stream: StreamId(n), local, seed: n, cname: "pbx".into() }
    }
}
