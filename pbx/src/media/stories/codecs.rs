//! Stories of the engine: two who do not know one codec, or packets of one length.

use super::*;
use crate::audio::Law;
#[cfg(feature = "g722")]
use crate::audio::{Coding, Decoder, Encoder};
use crate::tone::Wave;

#[test]
fn one_law_becomes_the_other_at_once() {
    let mut world = World::new();
    let (alice, bob) = (world.phone(), world.phone());
    world.agree(alice, |_| {});
    world.agree(bob, |a| a.codecs = vec![codec("PCMA", 8)]);
    world.order(Command::Bridge(alice, bob));
    for n in 0..10 {
        world.says(alice, n, &[0x80 + n as u8; 160]);
        let heard = world.heard(bob);
        assert_eq!(heard.len(), 1, "without delay");
        assert_eq!(heard[0].header.payload_type, 8);
        let (said, told) = (Law::Mu.decode(0x80 + n as u8), Law::A.decode(heard[0].payload[0]));
        assert!((said - told).abs() <= said.abs() / 16 + 16, "{said} became {told}");
        world.pass(20);
    }
}

#[test]
fn packets_that_are_too_long_are_cut_to_what_the_other_side_takes() {
    let mut world = World::new();
    let (alice, bob) = (world.phone(), world.phone());
    world.agree(alice, |_| {});
    world.agree(bob, |a| a.remote.maxptime = Some(20));
    world.order(Command::Bridge(alice, bob));
    let wave = Wave::new(500.0, -10.0, Law::Mu).unwrap();
    for n in 0..50u16 {
        let mut payload = [0; 480];
        wave.fill(u64::from(n) * 480, &mut payload);
        world.sends(alice, Header { timestamp: u32::from(n) * 480, ..header(alice, n) }, &payload);
        world.pass(60);
    }
    let heard = world.heard(bob);
    assert!((140..=150).contains(&heard.len()), "{} packets", heard.len());
    assert!(heard.iter().all(|packet| packet.payload.len() == 160));
    assert_numbers_follow(&heard, 160);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].at.since(pair[0].at), Duration::from_millis(20));
    }
    assert!(heard[0].header.marker && heard.iter().filter(|packet| packet.header.marker).count() == 1);
}

#[test]
#[cfg(feature = "g722")]
fn wideband_and_narrowband_hear_each_other() {
    let mut world = World::new();
    let (alice, bob) = (world.phone(), world.phone());
    world.agree(alice, |a| a.codecs = vec![codec("G722", 9)]);
    world.agree(bob, |_| {});
    world.order(Command::Bridge(alice, bob));
    let wide = Coding::named("G722", 8000, 1).unwrap();
    let mut encoder = Encoder::new(wide);
    let wave = Wave::new(500.0, -10.0, Law::Mu).unwrap();
    for n in 0..100u64 {
        let tone = |k: u64| {
            (9000.0 * ((n * 320 + k) as f64 * 700.0 / 16_000.0 * std::f64::consts::TAU).sin()) as i16
        };
        let mut payload = Vec::new();
        encoder.encode(&(0..320).map(tone).collect::<Vec<_>>(), &mut payload);
        world.sends(alice, Header { payload_type: 9, ..header(alice, n as u16) }, &payload);
        let mut payload = [0; 160];
        wave.fill(n * 160, &mut payload);
        world.says(bob, n as u16, &payload);
        world.pass(20);
    }
    let (of_alice, of_bob) = (world.heard(alice), world.heard(bob));
    assert_numbers_follow(&of_alice, 160);
    assert_numbers_follow(&of_bob, 160);
    assert!(of_alice.iter().all(|packet| packet.header.payload_type == 9 && packet.payload.len() == 160));
    let (mut decoder, mut sound) = (Decoder::new(wide), Vec::new());
    of_alice.iter().for_each(|packet| decoder.decode(&packet.payload, &mut sound));
    assert!(share(&sound[3200..], 500.0, 16_000.0) > 0.9);
    let sound: Vec<i16> =
        of_bob.iter().flat_map(|packet| &packet.payload).map(|code| Law::Mu.decode(*code)).collect();
    assert!(share(&sound[1600..], 700.0, 8_000.0) > 0.9);
}

/// The share of the power that a frequency has.
#[cfg(feature = "g722")]
fn share(samples: &[i16], frequency: f64, rate: f64) -> f64 {
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().map(|sample| f64::from(*sample)).enumerate() {
        let turn = n as f64 * frequency / rate * std::f64::consts::TAU;
        re += sample * turn.cos();
        im += sample * turn.sin();
        power += sample * sample;
    }
    2.0 * (re * re + im * im) / (power * samples.len() as f64)
}
