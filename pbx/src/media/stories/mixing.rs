//! Stories of the engine: conferences, whispering, recordings, copies.

use super::*;
use crate::audio::Law;
use std::f64::consts::TAU;

/// What everybody says, in Hz: the voice of stream n.
const VOICES: [f64; 6] = [400.0, 600.0, 800.0, 1_000.0, 1_300.0, 1_700.0];
const MIX: MixId = MixId(1);
const TAPE: RecordingId = RecordingId(1);

#[test]
fn in_a_conference_all_hear_all_but_themselves() {
    let mut world = World::new();
    let members = world.conference(4, Gain::UNITY);
    world.talk(&members, 50);
    for listener in &members {
        let heard = world.hearing(*listener);
        for speaker in &members {
            let level = level_of(&heard, voice_of(*speaker));
            match speaker == listener {
                true => assert!(level < 100.0, "{listener:?} hears itself, {level:.0} loud"),
                false => {
                    assert!((level - 5_000.0).abs() < 400.0, "{listener:?} hears {speaker:?} {level:.0} loud")
                }
            }
        }
    }
}

#[test]
fn two_in_a_conference_hear_each_other_sample_by_sample() {
    let mut world = World::new();
    let members = world.conference(2, Gain::UNITY);
    world.talk(&members, 50);
    let heard = world.heard(members[0]);
    assert_numbers_follow(&heard, 160);
    let said: Vec<u8> = (0..50 * 160).map(|n| Law::Mu.encode(voice(members[1], n))).collect();
    let codes: Vec<u8> = heard.iter().flat_map(|packet| packet.payload.clone()).collect();
    let begins =
        codes.windows(160).position(|window| window == &said[..160]).expect("the first packet is heard");
    let length = (codes.len() - begins).min(said.len());
    assert!(length > 40 * 160);
    assert_eq!(codes[begins..begins + length], said[..length]);
}

#[test]
fn packets_of_any_length_leave_a_mix_with_the_same_sound() {
    for ptime in [10, 20, 30, 40, 60] {
        let mut world = World::new();
        let members = world.conference(2, Gain::UNITY);
        world.agree(members[0], |a| a.ptime = ptime);
        world.talk(&members, 100);
        let heard = world.heard(members[0]);
        assert!(heard[5..].iter().all(|packet| packet.payload.len() == usize::from(ptime) * 8));
        assert!(
            heard[5..].windows(2).all(|pair| pair[1].at - pair[0].at == Duration::from_millis(ptime.into()))
        );
        let samples: Vec<i16> =
            heard[10..].iter().flat_map(|packet| &packet.payload).map(|code| Law::Mu.decode(*code)).collect();
        let level = level_of(&samples, voice_of(members[1]));
        assert!((level - 5_000.0).abs() < 250.0, "{ptime} ms: {level:.0} loud");
    }
}

#[test]
fn who_is_too_loud_together_is_not_turned_over() {
    let mut world = World::new();
    let members = world.conference(3, Gain::MOST);
    world.talk(&members, 50);
    let heard = world.hearing(members[0]);
    // A sum that wrapped would jump from the top to the bottom.
    let jump = heard.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
    assert!(jump < Some(60_000), "{jump:?}");
    assert!(heard.iter().filter(|sample| sample.unsigned_abs() > 30_000).count() > heard.len() / 4);
}

#[test]
fn a_listener_a_whisper_and_a_barge_are_heard_by_whom_they_are_meant_for() {
    for (mode, customer_hears, agent_hears) in
        [("listen", false, false), ("whisper", false, true), ("barge", true, true)]
    {
        let mut world = World::new();
        let members = world.conference(2, Gain::UNITY);
        let [customer, agent] = members[..] else { panic!("two") };
        let supervisor = world.phone();
        world.agree(supervisor, |_| {});
        let voice = if mode == "barge" { Gain::UNITY } else { Gain::NOTHING };
        world.order(Command::Join { mix: MIX, stream: supervisor, voice });
        if mode == "whisper" {
            world.order(Command::Gain { mix: MIX, from: supervisor, to: agent, gain: Gain::UNITY });
        }
        world.talk(&[customer, agent, supervisor], 50);
        for (listener, hears) in [(customer, customer_hears), (agent, agent_hears)] {
            let level = level_of(&world.hearing(listener), voice_of(supervisor));
            assert_eq!(level > 2_500.0, hears, "{mode}: {listener:?} hears the supervisor {level:.0} loud");
        }
        let heard = world.hearing(supervisor);
        assert!(
            level_of(&heard, voice_of(customer)) > 4_000.0 && level_of(&heard, voice_of(agent)) > 4_000.0
        );
        assert!(level_of(&heard, voice_of(supervisor)) < 100.0, "nobody hears itself");
    }
}

#[test]
fn who_leaves_a_conference_is_neither_heard_nor_hears() {
    let mut world = World::new();
    let members = world.conference(3, Gain::UNITY);
    world.talk(&members, 20);
    world.order(Command::Stop(members[2]));
    world.talk(&members, 10);
    for listener in &members {
        world.heard(*listener);
    }
    world.talk(&members, 30);
    assert!(world.heard(members[2]).is_empty());
    assert!(level_of(&world.hearing(members[0]), voice_of(members[2])) < 100.0);
}

#[test]
fn a_recording_of_two_legs_has_a_channel_for_each() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    world.record(vec![vec![Tap::Leg(alice)], vec![Tap::Leg(bob)]]);
    world.talk(&[alice, bob], 100);
    world.order(Command::StopRecording(TAPE));
    let [left, right] = &world.tape(2)[..] else { panic!("two channels") };
    assert_eq!(left.len(), 100 * 160);
    assert!(level_of(left, voice_of(alice)) > 4_700.0 && level_of(left, voice_of(bob)) < 100.0);
    assert!(level_of(right, voice_of(bob)) > 4_700.0 && level_of(right, voice_of(alice)) < 100.0);
}

#[test]
fn what_is_recorded_is_what_was_said_where_it_was_said() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    world.talk(&[alice, bob], 10);
    world.record(vec![vec![Tap::Leg(alice), Tap::Leg(bob)]]);
    world.pass(500);
    world.talk(&[alice], 50);
    world.pass(500);
    world.order(Command::StopRecording(TAPE));
    let tape = &world.tape(1)[0];
    assert_eq!(tape.len(), 2_000 * 8);
    let begins = tape.iter().position(|sample| sample.unsigned_abs() > 500).expect("alice is heard");
    let ends = tape.iter().rposition(|sample| sample.unsigned_abs() > 500).expect("alice is heard");
    assert!(begins.abs_diff(500 * 8) <= 20 * 8, "it begins at {} ms", begins / 8);
    // Whether more was to come cannot be known: what stands in for it has faded within 40 ms.
    assert!((1_480 * 8..=1_540 * 8).contains(&ends), "it ends at {} ms", ends / 8);
}

#[test]
fn a_pause_leaves_no_gap_and_no_sound() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    world.record(vec![vec![Tap::Leg(alice)], vec![Tap::Leg(bob)]]);
    world.talk(&[alice], 100);
    world.order(Command::PauseRecording(TAPE));
    world.talk(&[bob], 100);
    world.order(Command::ResumeRecording(TAPE));
    world.talk(&[alice], 50);
    world.order(Command::StopRecording(TAPE));
    let ended = world.told(|event| matches!(event, Event::RecordingEnded { .. }));
    let [Event::RecordingEnded { length, .. }] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!(*length, Duration::from_secs(3));
    let [left, right] = &world.tape(2)[..] else { panic!("two channels") };
    assert_eq!(left.len(), 150 * 160);
    let silent = right.iter().filter(|sample| sample.unsigned_abs() > 100).count();
    assert!(silent <= 2 * 160, "{silent} samples of the pause");
    let loud = left.iter().filter(|sample| sample.unsigned_abs() > 100).count();
    assert!(loud > 140 * 160 * 9 / 10);
}

#[test]
fn it_is_told_when_nobody_has_said_anything_for_a_while() {
    let mut world = World::new();
    let (alice, _) = world.call();
    world.record(vec![vec![Tap::Leg(alice)]]);
    world.order(Command::WatchSilence { recording: TAPE, length: Duration::from_secs(2) });
    world.talk(&[alice], 200);
    let silent = |event: &Event| matches!(event, Event::FellSilent(TAPE));
    assert!(world.told(silent).is_empty());
    world.pass(1_800);
    assert!(world.told(silent).is_empty());
    world.pass(500);
    assert_eq!(world.told(silent).len(), 1);
    // Once is enough.
    world.pass(5_000);
    assert!(world.told(silent).is_empty());
}

#[test]
fn whoever_is_turned_down_by_six_decibels_is_heard_half_as_loud_and_only_by_those_for_whom() {
    let mut world = World::new();
    let members = world.conference(3, Gain::UNITY);
    let [alice, bob, sam] = members[..] else { panic!("three") };
    let half = Gain::of_decibels(-6.0206);
    world.order(Command::Gain { mix: MIX, from: sam, to: bob, gain: half });
    world.talk(&members, 60);
    let (at_bob, at_alice) = (world.hearing(bob), world.hearing(alice));
    let levels = [(&at_bob, sam), (&at_bob, alice), (&at_alice, sam)]
        .map(|(heard, speaker)| level_of(heard, voice_of(speaker)));
    for (level, wanted) in levels.into_iter().zip([2_500.0, 5_000.0, 5_000.0]) {
        assert!((level / wanted - 1.0).abs() < 0.03, "{levels:?}");
    }
}

#[test]
fn a_conference_is_recorded_as_one() {
    let mut world = World::new();
    let members = world.conference(3, Gain::UNITY);
    world.record(vec![vec![Tap::Mix(MIX)]]);
    world.talk(&members, 100);
    world.order(Command::StopRecording(TAPE));
    let tape = &world.tape(1)[0];
    assert_eq!(tape.len(), 100 * 160);
    assert!(members.iter().all(|member| level_of(tape, voice_of(*member)) > 4_500.0));
}

#[test]
fn on_a_bad_network_a_voice_is_one_in_a_recording_and_a_conference() {
    let mut world = World::new();
    let members = world.conference(2, Gain::UNITY);
    let [alice, bob] = members[..] else { panic!("two") };
    world.record(vec![vec![Tap::Leg(alice)], vec![Tap::Leg(bob)]]);
    let mut dice = crate::rng::Rng::from_number(11);
    let mut waiting: Vec<(u64, u16)> = Vec::new();
    for n in 0..500u64 {
        // One of thirty is lost, the others take up to 20 ms longer, so that some overtake others.
        if n % 30 != 17 {
            waiting.push((n + u64::from(dice.u32() % 2), n as u16));
        }
        let due: Vec<u16> = waiting.extract_if(.., |(at, _)| *at <= n).map(|(_, n)| n).collect();
        for n in due.into_iter().rev() {
            let payload: Vec<u8> =
                (0..160).map(|k| Law::Mu.encode(voice(alice, u64::from(n) * 160 + k))).collect();
            world.says(alice, n, &payload);
        }
        world.pass(20);
    }
    world.order(Command::StopRecording(TAPE));
    let tape = world.tape(2).swap_remove(0);
    for (what, samples) in [("the recording", tape), ("what bob hears", world.hearing(bob))] {
        let end = samples.len() - 800;
        let samples: Vec<f32> =
            samples[1_600..end].iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        let tones = crate::tone::scan::tones(&samples);
        let [tone] = tones.as_slice() else { panic!("{what}: {tones:?}") };
        assert!(tone.start < 80 && tone.end + 80 > samples.len(), "{what}: {tone:?} of {}", samples.len());
    }
}

#[test]
fn a_copy_has_the_same_sound_in_numbers_of_its_own() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    let archive = world.phone();
    world.agree(archive, |a| a.direction = Direction::SendOnly);
    world.order(Command::Fork { from: alice, to: archive });
    for n in 0..20u16 {
        world.says(alice, 700 + n, &[n as u8; 160]);
        world.says(bob, n, &[99; 160]);
        world.pass(20);
    }
    let copied = world.heard(archive);
    assert_eq!(
        copied.iter().map(|packet| packet.payload[0]).collect::<Vec<_>>(),
        (0..20).collect::<Vec<_>>()
    );
    assert_numbers_follow(&copied, 160);
    assert_eq!(world.heard(bob).len(), 20, "the other side hears it all the same");
    world.order(Command::Close(archive));
    world.says(alice, 720, &[1; 160]);
    assert_eq!(world.heard(bob).len(), 1);
    assert!(world.heard(archive).is_empty());
}

#[test]
fn a_copy_goes_to_its_own_address_and_has_the_holes_of_the_network_and_no_others() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    let archive = world.phone();
    world.agree(archive, |a| {
        (a.direction, a.codecs) = (Direction::SendOnly, vec![codec("PCMA", 8)]);
    });
    world.order(Command::Fork { from: alice, to: archive });
    let lost = |n: u64| n % 9 == 4;
    for n in (0..90u64).filter(|n| !lost(*n)) {
        let payload: Vec<u8> = (0..160).map(|k| Law::Mu.encode(voice(alice, n * 160 + k))).collect();
        world.says(alice, n as u16, &payload);
        world.says(bob, n as u16, &[0xff; 160]);
        world.pass(20);
    }
    let copied = world.heard(archive);
    assert!(copied.iter().all(|packet| packet.header.payload_type == 8));
    let first = copied[0].header.timestamp;
    let mut sound = vec![0i16; 90 * 160];
    for packet in &copied {
        let at = packet.header.timestamp.wrapping_sub(first) as usize;
        sound[at..at + 160].iter_mut().zip(&packet.payload).for_each(|(to, code)| *to = Law::A.decode(*code));
    }
    for n in 0..90u64 {
        let part = &sound[n as usize * 160..][..160];
        let level = level_of(part, voice_of(alice));
        assert_eq!(level > 4_000.0, !lost(n), "packet {n} has the level {level:.0}");
    }
}

#[test]
fn a_mix_without_members_and_a_recording_that_has_ended_keep_nobody_awake() {
    let mut world = World::new();
    let members = world.conference(2, Gain::UNITY);
    world.record(vec![vec![Tap::Mix(MIX)]]);
    world.talk(&members, 20);
    world.order(Command::StopRecording(TAPE));
    members.iter().for_each(|member| world.order(Command::Close(*member)));
    world.pass(100);
    assert_eq!(world.engine.poll_timeout(), None);
}

impl World {
    fn conference(&mut self, count: usize, voice: Gain) -> Vec<StreamId> {
        let join = |_| {
            let stream = self.phone();
            self.agree(stream, |_| {});
            self.order(Command::Join { mix: MIX, stream, voice });
            stream
        };
        (0..count).map(join).collect()
    }

    fn record(&mut self, channels: Vec<Vec<Tap>>) {
        self.order(Command::Record { recording: TAPE, channels });
    }

    /// All of these say so many packets, each with its own voice.
    fn talk(&mut self, speakers: &[StreamId], packets: u64) {
        for _ in 0..packets {
            for speaker in speakers {
                let n = (self.now.as_nanos() / 20_000_000) as u16;
                let payload: Vec<u8> =
                    (0..160).map(|k| Law::Mu.encode(voice(*speaker, self.spoken + k))).collect();
                self.says(*speaker, n, &payload);
            }
            self.spoken += 160;
            self.pass(20);
        }
    }

    /// What somebody has heard since it last listened, without the beginning.
    fn hearing(&mut self, listener: StreamId) -> Vec<i16> {
        let packets = self.heard(listener);
        let codes = packets.iter().skip(10).flat_map(|packet| &packet.payload);
        codes.map(|code| Law::Mu.decode(*code)).collect()
    }

    /// The channels of what was recorded.
    fn tape(&mut self, channels: usize) -> Vec<Vec<i16>> {
        let portions = self.told(|event| matches!(event, Event::Recorded { .. }));
        let mut tape = vec![Vec::new(); channels];
        for portion in portions {
            let Event::Recorded { samples, .. } = portion else { continue };
            for (n, sample) in samples.chunks_exact(2).enumerate() {
                tape[n % channels].push(i16::from_le_bytes([sample[0], sample[1]]));
            }
        }
        tape
    }
}

pub(super) fn voice_of(stream: StreamId) -> f64 {
    VOICES[stream.0 as usize]
}

pub(super) fn voice(stream: StreamId, n: u64) -> i16 {
    (5_000.0 * (TAU * voice_of(stream) * n as f64 / 8_000.0).sin()) as i16
}

/// The amplitude of a sine in these samples.
pub(super) fn level_of(samples: &[i16], frequency: f64) -> f64 {
    let turn = |n: usize| TAU * frequency * n as f64 / 8_000.0;
    let part = |wave: fn(f64) -> f64| -> f64 {
        samples.iter().enumerate().map(|(n, sample)| f64::from(*sample) * wave(turn(n))).sum()
    };
    2.0 * part(f64::sin).hypot(part(f64::cos)) / samples.len().max(1) as f64
}
