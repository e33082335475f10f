//! Stories of the engine: keys, as events and in the audio.

use super::*;
use crate::audio::Law;
use crate::rtp::event;
use crate::tone::Sine;
use crate::tone::dtmf::{Detector, frequencies};
use crate::tone::scan::Instruments;

#[test]
fn who_did_not_list_events_hears_keys_as_tones() {
    let mut world = World::new();
    let (alice, bob) = (world.phone(), world.phone());
    world.agree(alice, |_| {});
    world.agree(bob, |a| a.telephone_event = None);
    world.order(Command::Bridge(alice, bob));
    world.says(alice, 1, &[1; 160]);
    world.sends(alice, Header { payload_type: 101, ..header(alice, 2) }, &[5, 10, 0, 160]);
    world.says(alice, 3, &[3; 160]);
    world.pass(300);
    world.order(Command::Press { stream: bob, digit: '1', duration: Duration::from_millis(100) });
    world.pass(300);
    let heard = world.heard(bob);
    assert!(heard.iter().all(|packet| packet.header.payload_type == 0));
    for (packet, next) in heard.iter().zip(&heard[1..]) {
        assert_eq!(
            next.header.sequence,
            packet.header.sequence.wrapping_add(1),
            "what was left out is no gap"
        );
        assert!(next.header.timestamp.wrapping_sub(packet.header.timestamp) >= 160);
    }
    assert_eq!(keys_in(&heard), "51");
}

#[test]
fn keys_in_the_audio_reach_who_knows_events_as_events_alone() {
    let mut world = World::new();
    let (alice, bob) = (world.phone(), world.phone());
    world.detect = true;
    world.agree(alice, |a| a.telephone_event = None);
    world.agree(bob, |_| {});
    world.order(Command::Bridge(alice, bob));
    for (n, frame) in pressed("15#").chunks(160).enumerate() {
        world.says(alice, n as u16, frame);
        world.pass(20);
    }
    let heard = world.heard(bob);
    let mut receiver = event::Receiver::default();
    let events = heard.iter().filter(|packet| packet.header.payload_type == 101);
    let told = events.filter_map(|packet| {
        receiver.receive(packet.header.timestamp, event::Payload::of(&packet.payload).unwrap())
    });
    assert_eq!(told.collect::<String>(), "15#");
    let sound: Vec<_> = heard.into_iter().filter(|packet| packet.header.payload_type == 0).collect();
    assert_eq!(keys_in(&sound), "", "no key is heard twice");
    assert!(sound.len() > 10, "what is no key is passed on");
}

#[test]
fn who_has_keys_by_messages_hears_none() {
    let mut world = World::new();
    let (alice, bob) = (world.phone(), world.phone());
    world.agree(alice, |_| {});
    world.agree(bob, |a| a.telephone_event = None);
    world.order(Command::KeepKeys(bob));
    world.order(Command::Bridge(alice, bob));
    world.sends(alice, Header { payload_type: 101, ..header(alice, 2) }, &[5, 10, 0, 160]);
    world.pass(300);
    assert!(world.heard(bob).is_empty());
}

/// Keys of 100 ms with pauses of 200 ms, as they sound.
fn pressed(keys: &str) -> Vec<u8> {
    let mut codes = Vec::new();
    for key in keys.chars() {
        let (row, column) = frequencies(key).unwrap();
        let sines = [row, column].map(|f| Sine::new(f, -8.0, 8000).unwrap());
        codes.extend(
            (0..800).map(|n| Law::Mu.encode(sines.iter().map(|sine| sine.sample(n)).sum::<f64>() as i16)),
        );
        codes.extend([0xff; 1600]);
    }
    codes
}

/// The keys that somebody hears in these packets; what is missing between them is silence.
fn keys_in(packets: &[Sent]) -> String {
    let (mut detector, mut instruments) = (Detector::default(), Instruments::default());
    let mut keys = String::new();
    let mut hear = |samples: Vec<i16>| detector.receive(samples, &mut instruments, |key| keys.push(key));
    let mut next = packets.first().map_or(0, |packet| packet.header.timestamp);
    for packet in packets {
        let missing = packet.header.timestamp.wrapping_sub(next).min(1600);
        hear(vec![0; missing as usize]);
        hear(packet.payload.iter().map(|code| Law::Mu.decode(*code)).collect());
        next = packet.header.timestamp.wrapping_add(packet.payload.len() as u32);
    }
    hear(vec![0; 800]);
    keys
}

#[test]
fn a_key_is_told_once_though_packets_are_lost() {
    for kept in 0..7 {
        let mut world = World::new();
        let alice = world.phone();
        world.agree(alice, |_| {});
        let mut sender =
            event::Sender::new('7', Duration::from_millis(100), Duration::from_millis(20), 8000).unwrap();
        for n in 0..7 {
            let report = sender.poll().unwrap();
            if n == kept || n == 6 {
                let header = Header { payload_type: 101, timestamp: 1600, ..header(alice, 10 + n) };
                world.sends(alice, header, &report.payload.to_bytes());
            }
        }
        let keys = world.told(|event| matches!(event, Event::Dtmf { digit: '7', as_event: true, .. }));
        assert_eq!(keys.len(), 1, "packets {kept} and 6 arrived");
    }
}

#[test]
fn a_key_in_the_audio_is_heard_unless_it_comes_as_event_too() {
    let mut world = World::new();
    let alice = world.phone();
    world.detect = true;
    world.agree(alice, |_| {});
    let (row, column) = frequencies('5').unwrap();
    let sines = [row, column].map(|f| Sine::new(f, -8.0, 8000).unwrap());
    let code = |n: u64| Law::Mu.encode(sines.iter().map(|sine| sine.sample(n)).sum::<f64>() as i16);
    let press = |world: &mut World, start: u16| {
        for n in 0..5u16 {
            let frame: Vec<u8> = (0..160).map(|k| code(u64::from(n) * 160 + k)).collect();
            world.says(alice, start + n, &frame);
        }
        (5..8u16).for_each(|n| world.says(alice, start + n, &[0xff; 160]));
    };
    press(&mut world, 0);
    let heard = world.told(|event| matches!(event, Event::Dtmf { digit: '5', as_event: false, .. }));
    assert_eq!(heard.len(), 1);
    world.sends(alice, Header { payload_type: 101, ..header(alice, 8) }, &[5, 10, 0, 160]);
    press(&mut world, 9);
    let heard = world.told(|event| matches!(event, Event::Dtmf { .. }));
    assert_eq!(heard.len(), 1, "the event, and not its sound");
}

#[test]
fn a_key_that_comes_while_another_is_being_pressed_is_pressed_after_it() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    world.order(Command::Press { stream: bob, digit: '4', duration: Duration::from_millis(100) });
    let length = Duration::from_millis(100);
    let mut sender = event::Sender::new('2', length, Duration::from_millis(20), 8000).unwrap();
    world.pass(60);
    for n in 0..7 {
        let report = sender.poll().unwrap();
        let header = Header { payload_type: 101, timestamp: 1600, ..header(alice, 10 + n) };
        world.sends(alice, header, &report.payload.to_bytes());
        world.pass(20);
    }
    world.pass(300);
    let heard = world.heard(bob);
    let mut receiver = event::Receiver::default();
    let told = heard.iter().filter(|packet| packet.header.payload_type == 101).filter_map(|packet| {
        receiver.receive(packet.header.timestamp, event::Payload::of(&packet.payload).unwrap())
    });
    assert_eq!(told.collect::<String>(), "42");
}

#[test]
fn pressed_keys_go_out_as_events_and_nothing_else_meanwhile() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    for digit in "4*".chars() {
        world.order(Command::Press { stream: bob, digit, duration: Duration::from_millis(100) });
    }
    for n in 0..40 {
        world.says(alice, n, &[1; 160]);
        world.pass(20);
    }
    let heard = world.heard(bob);
    let events: Vec<_> = heard.iter().filter(|packet| packet.header.payload_type == 101).collect();
    assert_eq!(events.len(), 14);
    let mut receiver = event::Receiver::default();
    let told = events.iter().filter_map(|packet| {
        receiver.receive(packet.header.timestamp, event::Payload::of(&packet.payload).unwrap())
    });
    assert_eq!(told.collect::<String>(), "4*");
    assert_eq!(events.iter().filter(|packet| packet.header.marker).count(), 2);
    let first = heard.iter().position(|packet| packet.header.payload_type == 101).unwrap();
    assert!(
        heard[first..first + 7].iter().all(|packet| packet.header.payload_type == 101),
        "no audio between"
    );
    for (packet, next) in heard.iter().zip(&heard[1..]) {
        assert_eq!(next.header.sequence, packet.header.sequence.wrapping_add(1));
        assert!(next.header.timestamp.wrapping_sub(packet.header.timestamp).cast_signed() >= 0);
    }
    assert!(heard.iter().filter(|packet| packet.header.payload_type == 0).count() > 15);
}
