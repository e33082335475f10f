//! Stories of the engine: tones and silence.

use super::*;
use crate::audio::{Law, amplitude};

#[test]
fn nothing_is_sent_before_the_agreement_and_nothing_after_the_end() {
    let mut world = World::new();
    let alice = world.phone();
    world.order(Command::Play { stream: alice, source: tone(None) });
    world.says(alice, 1, &[1; 160]);
    world.pass(500);
    assert!(world.heard(alice).is_empty());
    world.agree(alice, |_| {});
    world.pass(500);
    assert_eq!(world.heard(alice).len(), 26, "from the agreement on");
    world.order(Command::Close(alice));
    world.says(alice, 2, &[1; 160]);
    world.pass(10_000);
    assert!(world.heard(alice).is_empty());
    assert_eq!(world.engine.poll_timeout(), None, "nothing is left over");
}

#[test]
fn a_tone_is_its_sine_from_the_first_sample_to_the_last() {
    for (name, payload_type, law) in [("PCMU", 0, Law::Mu), ("PCMA", 8, Law::A)] {
        for ptime in [10, 20, 30, 40, 60] {
            let mut world = World::new();
            let alice = world.phone();
            world.agree(alice, |a| (a.codecs, a.ptime) = (vec![codec(name, payload_type)], ptime));
            world.order(Command::Play { stream: alice, source: tone(Some(Duration::from_millis(1200))) });
            world.pass(2000);
            let heard = world.heard(alice);
            assert_eq!(heard.len(), 1200 / usize::from(ptime));
            assert_numbers_follow(&heard, u32::from(ptime) * 8);
            for (packet, next) in heard.iter().zip(&heard[1..]) {
                assert_eq!(next.at - packet.at, Duration::from_millis(u64::from(ptime)));
            }
            let samples = heard.iter().flat_map(|packet| &packet.payload).map(|code| law.decode(*code));
            for (n, sample) in samples.enumerate() {
                let turn = std::f64::consts::TAU * 440.0 * n as f64 / 8000.0;
                let wanted = amplitude(-10.0) * turn.sin();
                let error = (f64::from(sample) - wanted).abs();
                assert!(error <= 9.0 + wanted.abs() / 32.0, "sample {n} of {name} is {sample}, not {wanted}");
            }
        }
    }
}

#[test]
fn a_tone_of_one_second_is_fifty_packets_and_then_finished() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: tone(Some(Duration::from_secs(1))) });
    world.pass(999);
    assert!(world.told(|event| matches!(event, Event::Finished(_))).is_empty());
    world.pass(1);
    assert_eq!(world.told(|event| matches!(event, Event::Finished(_))).len(), 1);
    world.pass(1000);
    assert_eq!(world.heard(alice).len(), 50);
    assert_eq!(world.statistics(alice).packets_sent, 50);
}

#[test]
fn what_is_played_next_begins_a_packet_time_after_the_last() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: tone(None) });
    world.pass(105);
    world.order(Command::Play {
        stream: alice,
        source: Source::Silence { duration: Some(Duration::from_millis(90)) },
    });
    world.pass(300);
    let heard = world.heard(alice);
    assert_eq!(heard.len(), 6 + 5, "90 ms take five packets");
    assert_numbers_follow(&heard, 160);
    assert!(heard[6..].iter().all(|packet| packet.payload == [0xff; 160]));
}

#[test]
fn a_tone_goes_on_in_another_law_after_a_new_agreement() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: tone(None) });
    world.pass(100);
    world.agree(alice, |a| a.codecs = vec![codec("PCMA", 8)]);
    world.pass(100);
    let heard = world.heard(alice);
    assert_numbers_follow(&heard, 160);
    let first_in_a = heard.iter().position(|packet| packet.header.payload_type == 8).unwrap();
    let sample = Law::A.decode(heard[first_in_a].payload[5]);
    let turn = std::f64::consts::TAU * 440.0 * (first_in_a * 160 + 5) as f64 / 8000.0;
    assert!((f64::from(sample) - amplitude(-10.0) * turn.sin()).abs() < 300.0, "the phase goes on");
}

#[test]
fn who_was_kept_from_sending_does_not_make_up_for_it() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: tone(None) });
    world.pass(100);
    let before = world.heard(alice).len();
    world.now += Duration::from_millis(500);
    world.pass(100);
    let heard = world.heard(alice);
    assert!(heard.len() <= before + 1, "{} packets in 100 ms", heard.len());
    assert!(heard[0].header.marker);
}

#[test]
fn what_is_played_at_once_after_the_end_keeps_the_distance() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    for _ in 0..3 {
        let source = tone(Some(Duration::from_millis(100)));
        world.order(Command::Play { stream: alice, source });
        while world.told(|event| matches!(event, Event::Finished(_))).is_empty() {
            world.pass(1);
        }
    }
    let heard = world.heard(alice);
    assert_eq!(heard.len(), 15);
    assert_numbers_follow(&heard, 160);
    assert!(heard.windows(2).all(|pair| pair[1].at - pair[0].at == Duration::from_millis(20)));
}

#[test]
fn a_prompt_of_a_second_is_fifty_packets_with_its_first_and_its_last_sample() {
    for (name, payload_type, law) in [("PCMU", 0, Law::Mu), ("PCMA", 8, Law::A)] {
        let mut world = World::new();
        let alice = world.phone();
        world.agree(alice, |a| a.codecs = vec![codec(name, payload_type)]);
        let samples = speech(8_000);
        world.order(Command::Play { stream: alice, source: clip(&samples, Some(1)) });
        world.pass(2_000);
        let heard = world.heard(alice);
        assert_eq!(heard.len(), 50);
        assert_numbers_follow(&heard, 160);
        assert!(heard[0].header.marker, "a talkspurt begins");
        let codes: Vec<u8> = heard.iter().flat_map(|packet| packet.payload.clone()).collect();
        assert_eq!(codes, samples.iter().map(|sample| law.encode(*sample)).collect::<Vec<_>>());
        assert_eq!(world.told(|event| matches!(event, Event::Finished(_))).len(), 1);
    }
}

#[test]
fn what_is_played_again_has_no_seam() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    // Its length is no multiple of a packet's.
    let samples = speech(333);
    world.order(Command::Play { stream: alice, source: clip(&samples, Some(5)) });
    world.pass(2_000);
    let heard = world.heard(alice);
    assert_eq!(heard.len(), (5 * 333usize).div_ceil(160));
    let codes: Vec<u8> = heard.iter().flat_map(|packet| packet.payload.clone()).collect();
    for (n, code) in codes.iter().enumerate() {
        let meant = if n < 5 * 333 { Law::Mu.encode(samples[n % 333]) } else { Law::Mu.silence() };
        assert_eq!(*code, meant, "sample {n}");
    }
}

#[test]
fn a_prompt_without_end_goes_on_until_it_is_stopped() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: clip(&speech(1_600), None) });
    world.pass(10_000);
    assert_eq!(world.heard(alice).len(), 501);
    world.order(Command::Stop(alice));
    world.pass(1_000);
    assert!(world.heard(alice).is_empty());
    assert!(world.told(|event| matches!(event, Event::Finished(_))).is_empty(), "it did not end by itself");
}

#[test]
fn a_key_ends_a_prompt_that_listens_for_it() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: clip(&speech(8_000), None) });
    world.order(Command::StopAtKey(alice));
    world.pass(300);
    press(&mut world, alice, 5);
    world.pass(1_000);
    assert_eq!(world.heard(alice).len(), 16);
    let told = world.told(|event| matches!(event, Event::Interrupted { .. } | Event::Finished(_)));
    let [Event::Interrupted { stream, played }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((*stream, *played), (alice, Duration::from_millis(320)));
}

#[test]
fn a_key_does_not_end_a_prompt_that_does_not_listen() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: clip(&speech(8_000), Some(1)) });
    world.pass(300);
    press(&mut world, alice, 5);
    world.pass(1_000);
    assert_eq!(world.heard(alice).len(), 50);
    assert_eq!(world.told(|event| matches!(event, Event::Finished(_))).len(), 1);
}

/// The last packet of an event.
fn press(world: &mut World, stream: StreamId, event: u8) {
    let header = Header { payload_type: 101, marker: true, ..header(stream, 1) };
    world.sends(stream, header, &[event, 0x8a, 3, 0x20]);
}

fn clip(samples: &[i16], times: Option<u32>) -> Source {
    let clip = crate::audio::Clip::new(samples.to_vec()).expect("there are samples");
    Source::Clip { clip: std::sync::Arc::new(clip), times }
}

/// No two of its samples that follow each other are alike.
fn speech(length: usize) -> Vec<i16> {
    (0..length).map(|n| (n as i32 * 7_919 % 40_000 - 20_000) as i16).collect()
}
