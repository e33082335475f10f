//! Stories of streams that go from one engine into another in the middle of what they do.

use super::mixing::{voice, voice_of};
use super::*;
use crate::audio::Law;

#[test]
fn two_who_talk_do_not_notice() {
    let mut world = World::new();
    // Somebody else was here before, so that slots are others afterwards.
    let other = world.phone();
    let (alice, bob) = world.call();
    let tape = RecordingId(1);
    world.order(Command::Record {
        recording: tape,
        channels: vec![vec![Tap::Leg(alice)], vec![Tap::Leg(bob)]],
    });
    world.say(&[alice, bob], 0..50);
    world.moves(alice);
    assert!(!world.has(other), "who has nothing to do with them stays");
    world.say(&[alice, bob], 50..100);
    let (of_alice, of_bob) = (world.heard(alice), world.heard(bob));
    assert_eq!((of_alice.len(), of_bob.len()), (100, 100));
    assert_numbers_follow(&of_alice, 160);
    assert_numbers_follow(&of_bob, 160);
    world.order(Command::StopRecording(tape));
    let samples: usize = world.told(|event| matches!(event, Event::Recorded { .. })).iter().map(bytes).sum();
    assert_eq!(samples, 2 * 2 * 100 * 160, "two seconds of two channels");
    let statistics = world.statistics(alice);
    assert_eq!((statistics.packets_received, statistics.packets_lost), (100, 0));
}

#[test]
fn a_conference_moves_as_a_whole() {
    let mut world = World::new();
    let members: Vec<StreamId> = (0..3)
        .map(|_| {
            let stream = world.phone();
            world.agree(stream, |_| {});
            world.order(Command::Join { mix: MixId(1), stream, voice: Gain::UNITY });
            stream
        })
        .collect();
    world.order(Command::Gain { mix: MixId(1), from: members[0], to: members[2], gain: Gain::NOTHING });
    world.say(&members, 0..50);
    world.moves(members[1]);
    members.iter().for_each(|member| drop(world.heard(*member)));
    world.say(&members, 50..100);
    for (listener, speaker, is_heard) in [(1, 0, true), (1, 2, true), (2, 0, false), (2, 1, true)] {
        let samples: Vec<i16> = world
            .rtp_until(members[listener], world.now)
            .iter()
            .skip(60)
            .flat_map(|packet| &packet.payload)
            .map(|code| Law::Mu.decode(*code))
            .collect();
        let level = super::mixing::level_of(&samples, voice_of(members[speaker]));
        assert_eq!(level > 4_000.0, is_heard, "{listener} hears {speaker} {level:.0} loud");
    }
}

#[test]
fn who_plays_goes_on_playing_and_a_fork_is_taken_along() {
    let mut world = World::new();
    let (alice, archive, bob) = (world.phone(), world.phone(), world.phone());
    [alice, archive, bob].iter().for_each(|stream| world.agree(*stream, |_| {}));
    world.order(Command::Fork { from: alice, to: archive });
    world.order(Command::Play { stream: alice, source: tone(Some(Duration::from_secs(1))) });
    world.say(&[alice], 0..25);
    world.moves(archive);
    assert!(!world.has(bob));
    world.say(&[alice], 25..60);
    assert_eq!(world.heard(alice).len(), 50);
    assert_eq!(world.heard(archive).len(), 60);
    assert_eq!(world.told(|event| matches!(event, Event::Finished(_))).len(), 1);
}

impl World {
    /// Into another engine, in which somebody is already.
    fn moves(&mut self, stream: StreamId) {
        let household = self.engine.part_with(stream).expect("it is here");
        let mut engine = Engine::new(settings());
        let (stranger, local) = (StreamId(99), "10.0.0.1:30000".parse().unwrap());
        engine.command(Command::Open { stream: stranger, local, seed: 1, cname: "pbx".into() }, self.now);
        while engine.poll_output().is_some() {}
        let ports: std::collections::BTreeMap<Port, Port> =
            engine.take_in(household, self.now).into_iter().collect();
        self.bound = self.bound.iter().filter_map(|port| ports.get(port).copied()).collect();
        self.engine = engine;
    }

    /// Each of these says these packets with its own voice.
    fn say(&mut self, speakers: &[StreamId], packets: std::ops::Range<u16>) {
        for n in packets {
            for speaker in speakers {
                let payload: Vec<u8> =
                    (0..160).map(|k| Law::Mu.encode(voice(*speaker, u64::from(n) * 160 + k))).collect();
                self.says(*speaker, n, &payload);
            }
            self.pass(20);
        }
    }
}

fn bytes(event: &Event) -> usize {
    match event {
        Event::Recorded { samples, .. } => samples.len(),
        _ => 0,
    }
}
