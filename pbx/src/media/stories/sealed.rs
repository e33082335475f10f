//! Stories of the engine: streams whose packets are sealed (RFC 3711).

use super::*;
use crate::sdp::Protection;
use crate::srtp::{MasterKey, Receiver, Sender, Suite};

const SUITE: Suite = Suite::Tag80;

#[test]
fn one_side_is_sealed_and_the_other_is_not() {
    let mut world = World::new();
    let (alice, bob) = sealed_call(&mut world);
    let (mut sender, mut receiver) = telephone();
    for n in 0..50 {
        let mut said = packet(header(alice, n), &[n as u8; 160]);
        sender.seal(&mut said, 0);
        world.arrives(alice, Channel::Rtp, said, rtp_of(alice));
        world.says(bob, n, &[100 + n as u8; 160]);
        world.pass(20);
    }
    let bob_heard = world.heard(bob);
    assert_eq!(bob_heard.len(), 50);
    assert!(bob_heard.iter().enumerate().all(|(n, packet)| packet.payload == [n as u8; 160]));
    let alice_heard = sealed_to(&world, alice);
    assert_eq!(alice_heard.len(), 50);
    for (n, mut bytes) in alice_heard.into_iter().enumerate() {
        let length = receiver.open(&mut bytes).expect("sealed with our key");
        assert_eq!(bytes[12..length], [100 + n as u8; 160]);
    }
}

#[test]
fn what_is_not_sealed_or_comes_again_is_refused() {
    let mut world = World::new();
    let (alice, bob) = sealed_call(&mut world);
    let (mut sender, _) = telephone();
    world.says(alice, 1, &[1; 160]);
    let mut said = packet(header(alice, 2), &[2; 160]);
    sender.seal(&mut said, 0);
    let mut stranger = Sender::new(SUITE, &MasterKey::from_bytes([9; 30]));
    let mut forged = packet(header(alice, 3), &[3; 160]);
    stranger.seal(&mut forged, 0);
    for bytes in [&said, &said, &forged] {
        world.arrives(alice, Channel::Rtp, bytes.clone(), rtp_of(alice));
    }
    assert_eq!(world.heard(bob).len(), 1);
    assert_eq!(world.statistics(alice).packets_refused, 3);
}

#[test]
fn what_we_make_ourselves_and_report_is_sealed() {
    let mut world = World::new();
    let (alice, _) = sealed_call(&mut world);
    let (_, mut receiver) = telephone();
    world.order(Command::Press { stream: alice, digit: '7', duration: Duration::from_millis(100) });
    world.pass(1000);
    world.order(Command::Play { stream: alice, source: tone(None) });
    world.pass(10_000);
    let heard = sealed_to(&world, alice);
    assert!(heard.len() > 400);
    for mut bytes in heard {
        receiver.open(&mut bytes).expect("sealed");
    }
    let reports = world.reports(alice);
    assert!(!reports.is_empty());
    for (_, mut report) in reports {
        let length = receiver.open_report(&mut report).expect("sealed");
        assert_eq!(report[1] & 0xfe, 200, "a report of {length} bytes");
    }
}

#[test]
fn an_agreement_with_the_same_keys_goes_on_counting() {
    let mut world = World::new();
    let (alice, bob) = sealed_call(&mut world);
    let (mut sender, mut receiver) = telephone();
    for n in 0..20 {
        if n == 10 {
            world.agree(alice, |a| a.protection = Some(protection()));
        }
        let mut said = packet(header(alice, n), &[1; 160]);
        sender.seal(&mut said, 0);
        world.arrives(alice, Channel::Rtp, said.clone(), rtp_of(alice));
        world.arrives(alice, Channel::Rtp, said, rtp_of(alice));
        world.says(bob, n, &[2; 160]);
        world.pass(20);
    }
    assert_eq!(world.heard(bob).len(), 20, "and no copy of the first ones later");
    let opened =
        sealed_to(&world, alice).into_iter().filter(|bytes| receiver.open(&mut bytes.clone()).is_ok());
    assert_eq!(opened.count(), 20);
}

fn sealed_call(world: &mut World) -> (StreamId, StreamId) {
    let (alice, bob) = (world.phone(), world.phone());
    world.agree(alice, |a| a.protection = Some(protection()));
    world.agree(bob, |_| {});
    world.order(Command::Bridge(alice, bob));
    (alice, bob)
}

fn protection() -> Protection {
    let [ours, theirs] = [1, 2].map(|fill| MasterKey::from_bytes([fill; 30]));
    Protection { suite: SUITE, ours, theirs }
}

/// What a telephone seals and opens with.
fn telephone() -> (Sender, Receiver) {
    let Protection { suite, ours, theirs } = protection();
    (Sender::new(suite, &theirs), Receiver::new(suite, &ours))
}

fn sealed_to(world: &World, stream: StreamId) -> Vec<Vec<u8>> {
    let of = |sent: &&Datagram| sent.port.stream == stream && sent.port.channel == Channel::Rtp;
    world.sent.iter().filter(of).map(|sent| sent.bytes.clone()).collect()
}
