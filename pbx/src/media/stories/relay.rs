//! Stories of the engine: who hears whom.

use super::*;
use crate::audio::Law;

#[test]
fn what_one_says_the_other_hears_byte_for_byte() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    for n in 0..100u16 {
        world.says(alice, n, &[n as u8; 160]);
        world.says(bob, 500 + n, &[!n as u8; 160]);
        world.pass(20);
    }
    let heard = world.heard(bob);
    assert_eq!(heard.len(), 100);
    assert!(heard.iter().zip(0..).all(|(packet, n): (_, u8)| packet.payload == [n; 160]));
    assert_numbers_follow(&heard, 160);
    assert_eq!(heard.iter().filter(|packet| packet.header.marker).count(), 1, "one talkspurt");
    assert_numbers_follow(&world.heard(alice), 160);
    assert_ne!(heard[0].header.ssrc, ssrc_of(alice), "we are the source of what we send");
}

#[test]
fn a_talk_goes_on_unbroken_when_the_two_are_joined_again() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    for n in [0, 1, 3] {
        world.says(alice, n, &[n as u8; 160]);
        world.pass(20);
    }
    // As after every new agreement, a hold or a refresh, whatever has changed.
    world.order(Command::Bridge(alice, bob));
    for n in [4, 2, 5] {
        world.says(alice, n, &[n as u8; 160]);
    }
    let heard = world.heard(bob);
    let marked: Vec<_> = heard.iter().map(|packet| packet.header.marker).collect();
    assert_eq!(
        marked,
        [true, false, false, false, false, false],
        "one talkspurt, and the late one has a place"
    );
}

#[test]
fn a_late_packet_finds_its_place_and_a_duplicate_is_heard_once() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    for n in [1, 2, 4, 3, 3, 4, 7] {
        world.says(alice, n, &[n as u8; 160]);
    }
    let heard = world.heard(bob);
    let first = heard[0].header.sequence;
    let places: Vec<_> =
        heard.iter().map(|packet| (packet.payload[0], packet.header.sequence.wrapping_sub(first))).collect();
    assert_eq!(places, [(1, 0), (2, 1), (4, 3), (3, 2), (7, 6)], "what was lost stays a gap");
}

#[test]
fn a_telephone_that_starts_over_is_heard_with_one_ssrc() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    (0..5).for_each(|n| world.says(alice, n, &[1; 160]));
    world.pass(20);
    for n in 0..5 {
        let other = Header { ssrc: 77, timestamp: 9_000_000, ..header(alice, 40_000 + n) };
        world.sends(alice, Header { timestamp: other.timestamp + u32::from(n) * 160, ..other }, &[2; 160]);
    }
    assert_numbers_follow(&world.heard(bob), 160);
    assert_eq!(world.statistics(alice).packets_lost, 0);
}

#[test]
fn payload_types_differ_on_the_two_sides() {
    let mut world = World::new();
    let (alice, bob) = (world.phone(), world.phone());
    world.agree(alice, |a| a.codecs[0] = codec("iLBC", 97));
    world.agree(bob, |a| {
        a.codecs[0] = codec("ilbc", 110);
        a.telephone_event = Some(codec("telephone-event", 96));
    });
    world.order(Command::Bridge(alice, bob));
    world.sends(alice, Header { payload_type: 97, ..header(alice, 1) }, b"frame");
    world.sends(alice, Header { payload_type: 101, ..header(alice, 2) }, &[5, 10, 0, 160]);
    world.sends(alice, Header { payload_type: 110, ..header(alice, 3) }, b"not agreed with alice");
    let heard = world.heard(bob);
    assert_eq!(heard.iter().map(|p| p.header.payload_type).collect::<Vec<_>>(), [110, 96]);
    assert_eq!((&heard[0].payload[..], &heard[1].payload[..]), (&b"frame"[..], &[5, 10, 0, 160][..]));
    assert_eq!(world.statistics(alice).packets_refused, 1);
}

#[test]
fn what_is_left_of_a_key_when_a_hold_is_over_is_no_other_key() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    let event = |n: u16| Header { payload_type: 101, timestamp: 8_000, ..header(alice, n) };
    world.sends(alice, event(1), &[9, 10, 0, 160]);
    world.sends(alice, event(2), &[9, 10, 1, 64]);
    assert_eq!(world.heard(bob).len(), 2);
    world.agree(bob, |a| a.direction = Direction::Inactive);
    world.sends(alice, event(3), &[9, 0x8a, 3, 32]);
    world.agree(bob, |a| a.direction = Direction::SendRecv);
    world.sends(alice, event(4), &[9, 0x8a, 3, 32]);
    assert!(world.heard(bob).is_empty(), "bob would take it for another press");
    world.sends(alice, Header { timestamp: 16_000, ..event(5) }, &[9, 10, 0, 160]);
    assert_eq!(world.heard(bob).len(), 1, "the next press");
}

#[test]
fn the_two_laws_understand_each_other() {
    let mut world = World::new();
    let (alice, bob) = (world.phone(), world.phone());
    world.agree(alice, |_| {});
    world.agree(bob, |a| a.codecs = vec![codec("PCMA", 8)]);
    world.order(Command::Bridge(alice, bob));
    world.says(alice, 1, &[Law::Mu.encode(8000); 160]);
    let heard = world.heard(bob);
    assert_eq!(heard[0].header.payload_type, 8);
    assert!((i32::from(Law::A.decode(heard[0].payload[0])) - 8000).abs() < 300);
}

#[test]
fn nothing_goes_to_who_does_not_listen() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    world.says(alice, 1, &[1; 160]);
    world.heard(bob);
    for hold in [Direction::RecvOnly, Direction::Inactive] {
        world.agree(bob, |a| a.direction = hold);
        world.says(alice, 2, &[2; 160]);
        assert!(world.heard(bob).is_empty(), "bob is {hold:?} as seen from us");
    }
    world.agree(bob, |a| (a.remote.rtp, a.remote.rtcp) = (None, None));
    world.says(alice, 3, &[3; 160]);
    assert!(world.heard(bob).is_empty(), "c=0.0.0.0");
    world.agree(bob, |a| a.direction = Direction::SendOnly);
    world.says(bob, 1, &[9; 160]);
    assert!(world.heard(alice).is_empty(), "bob talks although he may not");
    world.says(alice, 4, &[4; 160]);
    assert_eq!(world.heard(bob).len(), 1, "music on hold may go to bob");
}

#[test]
fn a_talk_goes_on_after_a_hold_with_one_ssrc_and_a_clock_that_went_on() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    world.says(alice, 1, &[1; 160]);
    world.agree(bob, |a| a.direction = Direction::Inactive);
    for n in 2..50 {
        world.pass(20);
        world.says(alice, n, &[2; 160]);
    }
    world.agree(bob, |_| {});
    world.pass(20);
    world.says(alice, 50, &[3; 160]);
    let heard = world.heard(bob);
    let [before, after] = &heard[..] else { panic!("bob heard {} packets", heard.len()) };
    assert_eq!(after.header.ssrc, before.header.ssrc);
    assert_eq!(after.header.sequence, before.header.sequence.wrapping_add(1));
    assert_eq!(after.header.timestamp.wrapping_sub(before.header.timestamp), 49 * 160);
    assert!(after.header.marker);
}

#[test]
fn an_echo_brings_back_what_was_said() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Echo(alice));
    (0..10).for_each(|n| world.says(alice, n, &[n as u8; 160]));
    let heard = world.heard(alice);
    assert_eq!(heard.len(), 10);
    assert_eq!(heard[9].payload, [9; 160]);
    assert_ne!(heard[9].header.ssrc, ssrc_of(alice));
    world.order(Command::Stop(alice));
    world.says(alice, 11, &[1; 160]);
    assert!(world.heard(alice).is_empty());
}

#[test]
fn a_third_stream_ends_the_bridge_of_the_first_two() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    let carol = world.phone();
    world.agree(carol, |_| {});
    world.order(Command::Bridge(alice, carol));
    world.says(alice, 1, &[1; 160]);
    world.says(bob, 1, &[2; 160]);
    assert_eq!((world.heard(carol).len(), world.heard(bob).len(), world.heard(alice).len()), (1, 0, 0));
    world.order(Command::Close(carol));
    world.says(alice, 2, &[1; 160]);
    world.order(Command::Bridge(alice, alice));
    world.order(Command::Bridge(alice, carol));
    world.says(alice, 3, &[1; 160]);
    assert!(world.heard(alice).is_empty() && world.heard(bob).is_empty());
}

#[test]
fn a_thief_neither_talks_nor_listens() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    world.says(alice, 1, &[1; 160]);
    world.says(bob, 1, &[1; 160]);
    let thief = "10.9.9.9:4000".parse().unwrap();
    for n in 0..200 {
        world.arrives(bob, Channel::Rtp, packet(Header { ssrc: 66, ..header(bob, n) }, &[6; 160]), thief);
        world.pass(20);
        if n % 50 == 0 {
            world.says(bob, 2 + n / 50, &[1; 160]);
        }
    }
    world.says(alice, 2, &[2; 160]);
    assert!(world.sent.iter().all(|sent| sent.to != thief));
    assert!(world.heard(alice).iter().all(|packet| packet.payload != [6; 160]));
    assert_eq!(world.statistics(bob).packets_refused, 200);
    assert_eq!(world.heard(bob).len(), 2);
}

#[test]
fn a_telephone_behind_a_nat_is_followed() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    let nat = "203.0.113.7:61000".parse().unwrap();
    for n in 0..5 {
        world.arrives(bob, Channel::Rtp, packet(header(bob, n), &[n as u8; 160]), nat);
    }
    world.says(alice, 1, &[1; 160]);
    assert_eq!(
        world.told(|event| matches!(event, Event::SourceChanged { source, .. } if *source == nat)).len(),
        1
    );
    assert_eq!(world.sent.iter().filter(|sent| sent.to == nat).count(), 1);
}

#[test]
fn the_first_packet_is_told_once_and_a_silence_once_each_time() {
    let mut world = World::new();
    let alice = world.phone();
    world.timeout = Some(Duration::from_secs(30));
    world.agree(alice, |_| {});
    world.pass(29_999);
    let timeouts = |world: &mut World| world.told(|event| matches!(event, Event::TimedOut(_))).len();
    assert_eq!(timeouts(&mut world), 0);
    world.pass(1);
    assert_eq!(timeouts(&mut world), 1, "nothing came since the agreement");
    world.pass(100_000);
    assert_eq!(timeouts(&mut world), 0);
    world.says(alice, 1, &[1; 160]);
    world.pass(20_000);
    world.says(alice, 2, &[1; 160]);
    world.pass(29_999);
    assert_eq!(timeouts(&mut world), 0);
    world.pass(1);
    assert_eq!(timeouts(&mut world), 1);
    assert_eq!(world.told(|event| matches!(event, Event::FirstPacket(_))).len(), 1);
    world.says(alice, 3, &[1; 160]);
    world.timeout = None;
    world.agree(alice, |a| a.direction = Direction::SendOnly);
    world.pass(100_000);
    assert_eq!(timeouts(&mut world), 0, "held: nothing is expected");
}
