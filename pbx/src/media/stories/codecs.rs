//! Stories of the engine: two who do not know one codec, or packets of one length.

use super::*;
use crate::audio::Law;
#[cfg(any(feature = "g722", feature = "opus"))]
use crate::audio::{Coding, Decoder, Encoder};
use crate::tone::Wave;
#[cfg(any(feature = "g722", feature = "opus"))]
use crate::tone::dtmf::Detector;
#[cfg(any(feature = "g722", feature = "opus"))]
use crate::tone::scan::Instruments;

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
#[cfg(any(feature = "g722", feature = "opus"))]
fn wideband_and_narrowband_hear_each_other() {
    for mut wide in Wideband::all() {
        let mut world = World::new();
        let (alice, bob) = (world.phone(), world.phone());
        world.agree(alice, |a| a.codecs = vec![wide.codec.clone()]);
        world.agree(bob, |_| {});
        world.order(Command::Bridge(alice, bob));
        let wave = Wave::new(500.0, -10.0, Law::Mu).unwrap();
        for n in 0..100u64 {
            let payload = wide.says(&[700.0], 320);
            world.sends(alice, wide.header(alice, n as u16), &payload);
            let mut payload = [0; 160];
            wave.fill(n * 160, &mut payload);
            world.says(bob, n as u16, &payload);
            world.pass(20);
        }
        let (of_alice, of_bob) = (world.heard(alice), world.heard(bob));
        assert_numbers_follow(&of_alice, wide.step());
        assert_numbers_follow(&of_bob, 160);
        assert!(of_alice.iter().all(|packet| packet.header.payload_type == wide.codec.payload_type));
        let sound = wide.hears(&of_alice);
        assert!(share(&sound[3200..], 500.0, 16_000.0) > 0.9);
        let sound: Vec<i16> =
            of_bob.iter().flat_map(|packet| &packet.payload).map(|code| Law::Mu.decode(*code)).collect();
        assert!(share(&sound[1600..], 700.0, 8_000.0) > 0.9);
    }
}

#[test]
#[cfg(any(feature = "g722", feature = "opus"))]
fn wideband_is_mixed_recorded_and_played_to_like_others() {
    for mut wide in Wideband::all() {
        let mut world = World::new();
        let (alice, bob) = (world.phone(), world.phone());
        world.agree(alice, |a| a.codecs = vec![wide.codec.clone()]);
        world.agree(bob, |_| {});
        let mix = MixId(1);
        for stream in [alice, bob] {
            world.order(Command::Join { mix, stream, voice: Gain::UNITY });
        }
        let tape = RecordingId(1);
        world.order(Command::Record {
            recording: tape,
            channels: vec![vec![Tap::Leg(alice)], vec![Tap::Mix(mix)]],
        });
        let wave = Wave::new(500.0, -10.0, Law::Mu).unwrap();
        for n in 0..100u64 {
            let payload = wide.says(&[700.0], 320);
            world.sends(alice, wide.header(alice, n as u16), &payload);
            let mut payload = [0; 160];
            wave.fill(n * 160, &mut payload);
            world.says(bob, n as u16, &payload);
            world.pass(20);
        }
        world.order(Command::StopRecording(tape));
        let (of_alice, of_bob) = (world.heard(alice), world.heard(bob));
        assert_numbers_follow(&of_alice, wide.step());
        assert!(of_alice.iter().all(|packet| packet.header.payload_type == wide.codec.payload_type));
        assert!(share(&wide.hears(&of_alice)[6400..], 500.0, 16_000.0) > 0.9);
        let heard: Vec<i16> =
            of_bob.iter().flat_map(|packet| &packet.payload).map(|code| Law::Mu.decode(*code)).collect();
        assert!(share(&heard[3200..], 700.0, 8_000.0) > 0.9);
        let taped: Vec<i16> = world
            .told(|event| matches!(event, Event::Recorded { .. }))
            .iter()
            .flat_map(|event| match event {
                Event::Recorded { samples, .. } => {
                    samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
                }
                _ => Vec::new(),
            })
            .collect();
        let channel = |first: usize| taped[first..].iter().step_by(2).copied().skip(1600).collect::<Vec<_>>();
        assert!(share(&channel(0), 700.0, 8_000.0) > 0.9);
        assert!(share(&channel(1), 700.0, 8_000.0) > 0.3 && share(&channel(1), 500.0, 8_000.0) > 0.3);
        world.heard(alice);
        world.order(Command::Play { stream: alice, source: tone(Some(Duration::from_secs(1))) });
        world.pass(2_000);
        let played = world.heard(alice);
        assert_eq!(played.len(), 50, "a second is fifty packets");
        assert!(share(&wide.hears(&played)[3200..], 440.0, 16_000.0) > 0.9);
    }
}

#[test]
#[cfg(any(feature = "g722", feature = "opus"))]
fn keys_in_wideband_sound_are_heard_and_made() {
    for mut wide in Wideband::all() {
        let mut world = World::new();
        world.detect = true;
        let (alice, bob) = (world.phone(), world.phone());
        world.agree(alice, |a| (a.codecs, a.telephone_event) = (vec![wide.codec.clone()], None));
        world.agree(bob, |_| {});
        world.order(Command::Bridge(alice, bob));
        for (n, tones) in
            [&[] as &[f64], &[770.0, 1336.0], &[]].into_iter().flat_map(|tones| [tones; 6]).enumerate()
        {
            let payload = wide.says(tones, 320);
            world.sends(alice, wide.header(alice, n as u16), &payload);
            world.pass(20);
        }
        let told = world.told(|event| matches!(event, Event::Dtmf { digit: '5', as_event: false, .. }));
        assert_eq!(told.len(), 1);
        world.pass(500);
        assert!(
            world.heard(bob).iter().any(|packet| packet.header.payload_type == 101),
            "bob is told as event"
        );
        world.order(Command::Press { stream: alice, digit: '9', duration: Duration::from_millis(100) });
        world.pass(500);
        let pressed = wide.hears(&world.heard(alice));
        let loud: Vec<i16> = pressed
            .chunks(320)
            .filter(|frame| frame.iter().any(|s| s.unsigned_abs() > 3_000))
            .flatten()
            .copied()
            .collect();
        assert!(
            share(&loud, 852.0, 16_000.0) > 0.3 && share(&loud, 1477.0, 16_000.0) > 0.3,
            "{}",
            loud.len()
        );
    }
}

#[test]
#[cfg(any(feature = "g722", feature = "opus"))]
fn a_key_that_is_told_is_not_heard_as_well_where_both_speak_in_a_wide_band() {
    for mut wide in Wideband::all() {
        let mut world = World::new();
        world.detect = true;
        let (alice, bob) = (world.phone(), world.phone());
        world.agree(alice, |a| (a.codecs, a.telephone_event) = (vec![wide.codec.clone()], None));
        world.agree(bob, |a| a.codecs = vec![wide.codec.clone()]);
        world.order(Command::Bridge(alice, bob));
        let said = [&[300.0] as &[f64], &[770.0, 1336.0], &[300.0]];
        for (n, tones) in said.into_iter().flat_map(|tones| [tones; 10]).enumerate() {
            let payload = wide.says(tones, 320);
            world.sends(alice, wide.header(alice, n as u16), &payload);
            world.pass(20);
        }
        world.pass(500);
        let heard = world.heard(bob);
        let is_event = |packet: &&Sent| packet.header.payload_type == 101;
        assert!(heard.iter().any(|packet| is_event(&packet)), "{}: bob is told as event", wide.codec.name);
        let (sound, rest): (Vec<Sent>, Vec<Sent>) =
            heard.into_iter().partition(|packet| packet.header.payload_type == wide.codec.payload_type);
        assert!(rest.iter().all(|packet| is_event(&packet)), "everything else is passed on as it came");
        let sound = wide.hears(&sound);
        let (mut detector, mut instruments) = (Detector::default(), Instruments::default());
        let mut keys = String::new();
        // Every second sample is enough for what is below 4000 Hz, as all of this is.
        let narrow = sound.iter().step_by(2).copied().chain([0; 800]);
        detector.receive(narrow, &mut instruments, |key| keys.push(key));
        assert_eq!(keys, "", "{}", wide.codec.name);
        assert!(
            share(&sound[sound.len() - 1_600..], 300.0, 16_000.0) > 0.9,
            "what is said after it is heard"
        );
    }
}

/// A telephone that knows one wideband codec.
#[cfg(any(feature = "g722", feature = "opus"))]
struct Wideband {
    codec: Codec,
    coding: Coding,
    encoder: Encoder,
    decoder: Decoder,
    said: u64,
}

#[cfg(any(feature = "g722", feature = "opus"))]
impl Wideband {
    /// One for each that is understood here.
    fn all() -> Vec<Wideband> {
        let known = ["G722", "opus"].into_iter().filter_map(|name| {
            let codec = Codec::by_name(name)?;
            let coding = Coding::named(&codec.name, codec.clock_rate, codec.channels)?;
            let (encoder, decoder) = (Encoder::new(coding), Decoder::new(coding));
            Some(Wideband { codec, coding, encoder, decoder, said: 0 })
        });
        known.collect()
    }

    /// Units of its clock in 20 ms.
    fn step(&self) -> u32 {
        self.coding.clock_rate() / 50
    }

    fn header(&self, stream: StreamId, n: u16) -> Header {
        let timestamp = u32::from(n) * self.step();
        Header { payload_type: self.codec.payload_type, timestamp, ..header(stream, n) }
    }

    /// The next samples of these sines.
    fn says(&mut self, tones: &[f64], count: u64) -> Vec<u8> {
        let sample = |n: u64| {
            let sine = |f: &f64| 6_000.0 * ((n as f64 * f / 16_000.0) * std::f64::consts::TAU).sin();
            tones.iter().map(sine).sum::<f64>() as i16
        };
        let samples: Vec<i16> = (self.said..self.said + count).map(sample).collect();
        self.said += count;
        let mut payload = Vec::new();
        self.encoder.encode(&samples, &mut payload);
        payload
    }

    fn hears(&mut self, packets: &[Sent]) -> Vec<i16> {
        let mut sound = Vec::new();
        packets.iter().for_each(|packet| self.decoder.decode(&packet.payload, &mut sound));
        sound
    }
}

/// The share of the power that a frequency has.
#[cfg(any(feature = "g722", feature = "opus"))]
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
