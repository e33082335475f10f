//! Media costs no allocation: neither a packet that is passed on or copied, nor one that is made or mixed; a recording one
//! for every portion it hands over.

use crate::counting::allocations;
use pbx::audio::{Clip, Coding, Encoder, Gain};
use pbx::media::{
    Command, Engine, Latching, MixId, Output, Port, RecordingId, Settings, Source, StreamId, Tap,
};
use pbx::rtp::Header;
use pbx::rtp::jitter::{Buffer, Next};
use pbx::sdp::{Agreement, Codec, Direction, Protection, RemoteAudio};
use pbx::srtp::{MasterKey, Suite};
use pbx::time::{Duration, Instant, WallClock};
use std::net::SocketAddr;
use std::sync::Arc;

#[test]
fn a_relayed_packet_allocates_nothing() {
    let (mut engine, ports) = engine_with(100);
    for pair in ports.chunks(2) {
        engine.command(Command::Bridge(pair[0].stream(), pair[1].stream()), Instant::START);
    }
    let mut minute = |seconds: std::ops::Range<u64>| {
        let mut passed = 0;
        for n in seconds.start * 50..seconds.end * 50 {
            let now = Instant::from_millis(n * 20);
            engine.handle_timeout(now);
            while engine.poll_output().is_some() {}
            for port in &ports {
                let mut packet = [0x55; 172];
                packet[..12].copy_from_slice(&header(n as u16).to_bytes());
                let forward = engine.receive(*port, &mut packet, phone_of(port.stream()), now);
                passed += usize::from(forward.is_some());
            }
        }
        passed
    };
    minute(0..10);
    let before = allocations();
    let passed = minute(10..20);
    let allocated = allocations() - before;
    assert_eq!(passed, 10 * 50 * 100);
    assert_eq!(allocated, 0, "for {passed} packets and the reports of ten seconds");
}

#[test]
fn a_tone_allocates_nothing() {
    let (mut engine, ports) = engine_with(100);
    for port in &ports {
        let source = Source::Tone { frequency: 440.0, level: -10.0, duration: None };
        engine.command(Command::Play { stream: port.stream(), source }, Instant::START);
    }
    let mut play_until = |end: Instant| {
        let mut sent = 0;
        while let Some(now) = engine.poll_timeout().filter(|at| *at <= end) {
            engine.handle_timeout(now);
            sent += sent_by(&mut engine);
        }
        sent
    };
    play_until(Instant::from_millis(10_000));
    let before = allocations();
    let sent = play_until(Instant::from_millis(20_000));
    let allocated = allocations() - before;
    assert!(sent >= 10 * 50 * 100, "{sent} packets");
    assert_eq!(allocated, 0, "for {sent} packets");
}

#[test]
fn a_prompt_allocates_nothing() {
    let (mut engine, ports) = engine_with(100);
    let clip = Arc::new(Clip::new((0..8_000).map(|n| n as i16).collect()).expect("there are samples"));
    for port in &ports {
        let source = Source::Clip { clip: clip.clone(), times: None };
        engine.command(Command::Play { stream: port.stream(), source }, Instant::START);
    }
    assert_eq!(allocations_of_ten_seconds(&mut engine, &ports), 0);
}

#[test]
fn a_conference_allocates_nothing() {
    let (mut engine, ports) = engine_with(100);
    for port in &ports {
        let (mix, stream, voice) = (MixId(1), port.stream(), Gain::UNITY);
        engine.command(Command::Join { mix, stream, voice }, Instant::START);
    }
    assert_eq!(allocations_of_ten_seconds(&mut engine, &ports), 0);
}

#[test]
fn a_recording_allocates_a_portion_every_two_seconds() {
    let (mut engine, ports) = engine_with(100);
    for (n, pair) in ports.chunks(2).enumerate() {
        let (one, other) = (pair[0].stream(), pair[1].stream());
        engine.command(Command::Bridge(one, other), Instant::START);
        let (recording, channels) = (RecordingId(n as u64), vec![vec![Tap::Leg(one)], vec![Tap::Leg(other)]]);
        engine.command(Command::Record { recording, channels }, Instant::START);
    }
    let allocated = allocations_of_ten_seconds(&mut engine, &ports);
    assert!(allocated <= 5 * 50, "{allocated} for five portions of fifty recordings");
}

#[test]
fn a_copy_allocates_nothing() {
    let (mut engine, ports) = engine_with(100);
    for trio in ports.chunks_exact(3) {
        engine.command(Command::Bridge(trio[0].stream(), trio[1].stream()), Instant::START);
        engine.command(Command::Fork { from: trio[0].stream(), to: trio[2].stream() }, Instant::START);
    }
    assert_eq!(allocations_of_ten_seconds(&mut engine, &ports), 0);
}

#[test]
fn a_packet_in_the_other_law_or_sealed_allocates_nothing() {
    for (codecs, is_sealed) in [(["PCMU", "PCMA"], false), (["PCMU", "PCMU"], true)] {
        let (mut engine, ports) = engine_of(100, codecs, is_sealed);
        for pair in ports.chunks(2) {
            engine.command(Command::Bridge(pair[0].stream(), pair[1].stream()), Instant::START);
        }
        // Only from the first to the second of each pair, who alone is sent what is sealed.
        let speakers: Vec<Port> = ports.iter().copied().step_by(2).collect();
        talk(&mut engine, &speakers, 0..500);
        let before = allocations();
        let sent = talk(&mut engine, &speakers, 500..1000);
        let allocated = allocations() - before;
        assert!(sent >= 500 * speakers.len(), "{sent} packets, {codecs:?}, sealed: {is_sealed}");
        assert_eq!(allocated, 0, "for {sent} packets, {codecs:?}, sealed: {is_sealed}");
    }
}

#[test]
fn a_wide_band_allocates_nothing() {
    // Turned into a narrow one and back; hushed where a key is heard in it; in a conference.
    for (codecs, in_conference) in
        [(["G722", "PCMU"], false), (["G722", "G722"], false), (["G722", "PCMU"], true)]
    {
        let (mut engine, ports) = engine_of(10, codecs, false);
        let numbers = codecs.map(|codec| Codec::by_name(codec).expect("a codec").payload_type);
        for pair in ports.chunks(2) {
            let [one, other] = [pair[0].stream(), pair[1].stream()];
            if in_conference {
                for stream in [one, other] {
                    let join = Command::Join { mix: MixId(1), stream, voice: Gain::UNITY };
                    engine.command(join, Instant::START);
                }
            } else {
                engine.command(Command::Bridge(one, other), Instant::START);
            }
        }
        let talk = |packets: std::ops::Range<u64>| {
            let mut sent = 0;
            for n in packets {
                let now = Instant::from_millis(n * 20);
                while engine.poll_timeout().is_some_and(|at| at <= now) {
                    engine.handle_timeout(now);
                }
                for (port, payload_type) in ports.iter().zip(numbers.into_iter().cycle()) {
                    let mut packet = [(n / 7) as u8; 172];
                    packet[..12].copy_from_slice(&Header { payload_type, ..header(n as u16) }.to_bytes());
                    let forward = engine.receive(*port, &mut packet, phone_of(port.stream()), now);
                    sent += usize::from(forward.is_some());
                }
                sent += sent_by(&mut engine);
            }
            sent
        };
        let (sent, allocated) = counted(talk);
        assert!(sent >= 300 * ports.len(), "{sent} packets, {codecs:?}");
        assert_eq!(allocated, 0, "for {sent} packets, {codecs:?}, in a conference: {in_conference}");
    }
}

/// The packets that are ready to go.
fn sent_by(engine: &mut Engine) -> usize {
    let mut sent = 0;
    while let Some(output) = engine.poll_output() {
        sent += usize::from(matches!(output, Output::Send { .. }));
    }
    sent
}

/// What 300 packets ask for when as many have gone before: how many were sent, and the allocations.
fn counted(mut talk: impl FnMut(std::ops::Range<u64>) -> usize) -> (usize, usize) {
    talk(0..300);
    let before = allocations();
    let sent = talk(300..600);
    (sent, allocations() - before)
}

/// Neither the library that makes and reads Opus nor what is around it.
#[test]
fn opus_allocates_nothing() {
    let (mut engine, ports) = engine_of(2, ["opus", "PCMU"], false);
    engine.command(Command::Bridge(ports[0].stream(), ports[1].stream()), Instant::START);
    let number = Codec::by_name("opus").expect("a codec").payload_type;
    let tone = |n: u64, rate: u64, count: u64| -> Vec<i16> {
        let sample = |k: u64| 9_000.0 * ((n * count + k) as f64 * 2_513.0 / rate as f64).sin();
        (0..count).map(|k| sample(k) as i16).collect()
    };
    let mut encoder = Encoder::new(Coding::Opus);
    let payloads: Vec<Vec<u8>> = (0..600)
        .map(|n| {
            let mut payload = Vec::new();
            encoder.encode(&tone(n, 16_000, 320), &mut payload);
            payload
        })
        .collect();
    let talk = |packets: std::ops::Range<u64>| {
        let mut sent = 0;
        for n in packets {
            let now = Instant::from_millis(n * 20);
            while engine.poll_timeout().is_some_and(|at| at <= now) {
                engine.handle_timeout(now);
            }
            let (mut wide, mut narrow) = ([0; 12 + 1_276], [0xff; 172]);
            let payload = &payloads[n as usize];
            let header = Header { timestamp: n as u32 * 960, payload_type: number, ..header(n as u16) };
            wide[..12].copy_from_slice(&header.to_bytes());
            wide[12..12 + payload.len()].copy_from_slice(payload);
            narrow[..12].copy_from_slice(&self::header(n as u16).to_bytes());
            for (n, code) in narrow[12..].iter_mut().enumerate() {
                *code = if n / 8 % 2 == 0 { 0x90 } else { 0x10 };
            }
            engine.receive(ports[0], &mut wide[..12 + payload.len()], phone_of(ports[0].stream()), now);
            engine.receive(ports[1], &mut narrow, phone_of(ports[1].stream()), now);
            sent += sent_by(&mut engine);
        }
        sent
    };
    let (sent, allocated) = counted(talk);
    assert!(sent >= 600, "{sent} packets");
    assert_eq!(allocated, 0, "for {sent} packets");
}

#[test]
fn a_jitter_buffer_allocates_nothing() {
    let mut buffer = Buffer::default();
    let mut play = |packets: std::ops::Range<u16>| {
        let mut played = 0;
        for n in packets {
            // One of seven is lost, of the others each third comes two packets late, and one of fifty far too late.
            let late = if n % 50 == 9 { 9 } else { 2 * u16::from(n % 3 == 0) };
            for late in [(n.wrapping_sub(late)), n] {
                if n % 7 != 3 {
                    buffer.put(&header(late), (), &[0x55; 160]);
                }
            }
            played += usize::from(matches!(buffer.take(), Next::Packet { .. }));
        }
        played
    };
    play(0..3_000);
    let before = allocations();
    let played = play(3_000..6_000);
    let allocated = allocations() - before;
    assert!(played > 2_000, "{played} packets");
    assert_eq!(allocated, 0, "for {played} packets");
}

#[test]
fn a_conference_over_a_bad_network_allocates_nothing() {
    let (mut engine, ports) = engine_with(100);
    for port in &ports {
        let (mix, stream, voice) = (MixId(1), port.stream(), Gain::UNITY);
        engine.command(Command::Join { mix, stream, voice }, Instant::START);
    }
    let lossy = |n: u64| if n % 7 == 3 { None } else { Some(n ^ u64::from(n % 5 < 2)) };
    talk_as(&mut engine, &ports, 0..500, lossy);
    let before = allocations();
    let sent = talk_as(&mut engine, &ports, 500..1000, lossy);
    let allocated = allocations() - before;
    assert!(sent >= 500 * ports.len(), "{sent} packets");
    assert_eq!(allocated, 0, "for {sent} packets");
}

#[test]
fn packets_that_are_cut_to_another_length_allocate_nothing() {
    let (mut engine, ports) = engine_with(100);
    for pair in ports.chunks(2) {
        let mut shorter = Box::new(agreement(pair[1].stream(), "PCMU"));
        (shorter.ptime, shorter.remote.maxptime) = (10, Some(10));
        let stream = pair[1].stream();
        let agree = Command::Agree { stream, agreement: shorter, timeout: None, detect_dtmf: false };
        engine.command(agree, Instant::START);
        engine.command(Command::Bridge(pair[0].stream(), stream), Instant::START);
    }
    let speakers: Vec<Port> = ports.iter().copied().step_by(2).collect();
    talk(&mut engine, &speakers, 0..500);
    let before = allocations();
    let sent = talk(&mut engine, &speakers, 500..1000);
    let allocated = allocations() - before;
    assert!(sent >= 2 * 500 * speakers.len(), "{sent} packets: twice as many as came");
    assert_eq!(allocated, 0, "for {sent} packets");
}

/// What is allocated in ten seconds in which everybody talks, after ten others.
fn allocations_of_ten_seconds(engine: &mut Engine, ports: &[Port]) -> usize {
    talk(engine, ports, 0..500);
    let before = allocations();
    talk(engine, ports, 500..1000);
    allocations() - before
}

/// Everybody sends these packets; returns how many were sent on, made and reported.
fn talk(engine: &mut Engine, ports: &[Port], packets: std::ops::Range<u64>) -> usize {
    talk_as(engine, ports, packets, Some)
}

/// The same; the network brings another packet instead, or none.
fn talk_as(
    engine: &mut Engine,
    ports: &[Port],
    packets: std::ops::Range<u64>,
    fate: impl Fn(u64) -> Option<u64>,
) -> usize {
    let mut sent = 0;
    for n in packets {
        let now = Instant::from_millis(n * 20);
        while engine.poll_timeout().is_some_and(|at| at <= now) {
            engine.handle_timeout(now);
        }
        for port in ports {
            let Some(n) = fate(n) else { continue };
            let mut packet = [0x55; 172];
            packet[..12].copy_from_slice(&header(n as u16).to_bytes());
            let forward = engine.receive(*port, &mut packet, phone_of(port.stream()), now);
            sent += usize::from(forward.is_some());
        }
        sent += sent_by(engine);
    }
    sent
}

/// An engine with so many streams that have agreed, and their RTP ports.
fn engine_with(streams: u64) -> (Engine, Vec<Port>) {
    engine_of(streams, ["PCMU", "PCMU"], false)
}

/// The same; every second stream has the second codec, and is sealed or not.
fn engine_of(streams: u64, codecs: [&str; 2], is_sealed: bool) -> (Engine, Vec<Port>) {
    let settings = Settings { clock: WallClock { epoch_micros: 0 }, latching: Latching::default() };
    let mut engine = Engine::new(settings);
    let mut ports = Vec::new();
    for id in 0..streams {
        let stream = StreamId(id);
        let local = SocketAddr::from(([10, 0, 0, 1], 20_000 + 2 * id as u16));
        engine.command(Command::Open { stream, local, seed: id, cname: "pbx".into() }, Instant::START);
        let mut bound = Vec::new();
        while let Some(output) = engine.poll_output() {
            if let Output::Bind { port, .. } = output {
                bound.push(port);
            }
        }
        bound.iter().for_each(|port| engine.bound(*port, Ok(())));
        ports.push(bound[0]);
        let is_second = id % 2 == 1;
        let mut agreement = Box::new(agreement(stream, codecs[usize::from(is_second)]));
        agreement.protection = (is_second && is_sealed).then(|| {
            let [ours, theirs] = [1, 2].map(|fill| MasterKey::from_bytes([fill; MasterKey::LENGTH]));
            Protection { suite: Suite::Tag80, ours, theirs }
        });
        engine.command(
            Command::Agree { stream, agreement, timeout: Some(Duration::from_secs(30)), detect_dtmf: true },
            Instant::START,
        );
    }
    while engine.poll_output().is_some() {}
    (engine, ports)
}

fn phone_of(stream: StreamId) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, 1], 4000 + 2 * stream.0 as u16))
}

fn header(n: u16) -> Header {
    Header { marker: false, payload_type: 0, sequence: n, timestamp: u32::from(n) * 160, ssrc: 1 }
}

fn agreement(stream: StreamId, name: &str) -> Agreement {
    let codec = Codec::by_name(name).expect("a codec");
    let rtp = phone_of(stream);
    let remote = RemoteAudio {
        rtp: Some(rtp),
        rtcp: Some(SocketAddr::new(rtp.ip(), rtp.port() + 1)),
        codecs: vec![codec.clone()],
        direction: Direction::SendRecv,
        ptime: None,
        maxptime: None,
        sealing: Default::default(),
    };
    Agreement {
        remote,
        codecs: vec![codec],
        telephone_event: None,
        renumbered: Vec::new(),
        direction: Direction::SendRecv,
        ptime: 20,
        protection: None,
    }
}
