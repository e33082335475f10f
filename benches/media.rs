//! What media costs the processor, without the kernel: a packet passed on, what is played, mixed, recorded, a frame
//! listened to.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pbx::audio::{Clip, Gain, Law};
use pbx::media::{
    Command, Engine, Latching, MixId, Output, Port, RecordingId, Settings, Source, StreamId, Tap,
};
use pbx::rtp::{Header, View};
use pbx::sdp::{Agreement, Codec, Direction, Protection, RemoteAudio};
use pbx::srtp::{MasterKey, Suite};
use pbx::time::{Duration, Instant, WallClock};
use pbx::tone::dtmf::Detector;
use pbx::tone::scan::Instruments;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

/// Streams of the engine that is measured.
const STREAMS: u64 = 1000;

fn header(c: &mut Criterion) {
    let packet = packet(7);
    c.bench_function("rtp/read a header", |b| b.iter(|| View::of(black_box(&packet))));
}

fn relay(c: &mut Criterion) {
    pass(c, "media/relay a packet", ["PCMU", "PCMU"], false);
}

/// To be compared with the relay: it may cost 1.3 times as much.
fn transcode(c: &mut Criterion) {
    pass(c, "media/relay a packet into the other law", ["PCMU", "PCMA"], false);
}

fn seal(c: &mut Criterion) {
    pass(c, "media/relay a packet and seal it", ["PCMU", "PCMU"], true);
}

/// Every second stream has the second codec, and is sealed or not.
fn pass(c: &mut Criterion, name: &str, codecs: [&str; 2], sealed: bool) {
    let (mut engine, ports) = engine_of(codecs, sealed);
    // Only from the first to the second of each pair.
    let speakers: Vec<Port> = ports.iter().copied().step_by(2).collect();
    for pair in ports.chunks(2) {
        engine.command(Command::Bridge(pair[0].stream(), pair[1].stream()), Instant::START);
    }
    let (mut n, mut at) = (0u16, 0);
    c.bench_function(name, |b| {
        b.iter_batched_ref(
            || packet(0),
            |packet| {
                let port = speakers[at];
                packet[2..4].copy_from_slice(&n.to_be_bytes());
                at = (at + 1) % speakers.len();
                n = n.wrapping_add(u16::from(at == 0));
                let now = Instant::from_millis(20 * u64::from(n));
                let forward = engine.receive(port, packet, phone_of(port.stream()), now);
                let mut sent = usize::from(black_box(forward).is_some());
                while let Some(output) = engine.poll_output() {
                    sent += usize::from(matches!(black_box(output), Output::Send { .. }));
                }
                sent
            },
            BatchSize::SmallInput,
        );
    });
}

fn tone(c: &mut Criterion) {
    let (mut engine, ports) = engine();
    for port in &ports {
        let source = Source::Tone { frequency: 440.0, level: -10.0, duration: None };
        engine.command(Command::Play { stream: port.stream(), source }, Instant::START);
    }
    let mut now = Instant::START;
    c.bench_function("media/20 ms of 1000 tones", |b| {
        b.iter(|| {
            now += Duration::from_millis(20);
            engine.handle_timeout(now);
            let mut bytes = 0;
            while let Some(output) = engine.poll_output() {
                if let Output::Send { bytes: packet, .. } = output {
                    bytes += packet.len();
                }
            }
            bytes
        });
    });
}

fn prompt(c: &mut Criterion) {
    let (mut engine, ports) = engine();
    let clip =
        Arc::new(Clip::new((0..80_000).map(|n| (n * 97) as i16).collect()).expect("there are samples"));
    for port in &ports[..500] {
        let source = Source::Clip { clip: clip.clone(), times: None };
        engine.command(Command::Play { stream: port.stream(), source }, Instant::START);
    }
    let mut now = Instant::START;
    c.bench_function("media/20 ms of 500 prompts", |b| {
        b.iter(|| {
            now += Duration::from_millis(20);
            engine.handle_timeout(now);
            drain(&mut engine)
        });
    });
}

fn conference(c: &mut Criterion) {
    let (mut engine, ports) = engine();
    let members = &ports[..100];
    for port in members {
        let (mix, stream, voice) = (MixId(1), port.stream(), Gain::UNITY);
        engine.command(Command::Join { mix, stream, voice }, Instant::START);
    }
    let (mut n, mut now) = (0u16, Instant::START);
    c.bench_function("media/20 ms of a conference of 100", |b| {
        b.iter(|| {
            n = n.wrapping_add(1);
            now += Duration::from_millis(20);
            for port in members {
                let mut packet = packet(n);
                engine.receive(*port, &mut packet, phone_of(port.stream()), now);
            }
            engine.handle_timeout(now);
            drain(&mut engine)
        });
    });
}

fn recording(c: &mut Criterion) {
    let (mut engine, ports) = engine();
    let talkers = &ports[..200];
    for (id, pair) in talkers.chunks(2).enumerate() {
        let (one, other) = (pair[0].stream(), pair[1].stream());
        engine.command(Command::Bridge(one, other), Instant::START);
        let (recording, channels) =
            (RecordingId(id as u64), vec![vec![Tap::Leg(one)], vec![Tap::Leg(other)]]);
        engine.command(Command::Record { recording, channels }, Instant::START);
    }
    let (mut n, mut now) = (0u16, Instant::START);
    c.bench_function("media/20 ms of 100 recorded calls", |b| {
        b.iter(|| {
            n = n.wrapping_add(1);
            now += Duration::from_millis(20);
            for port in talkers {
                let mut packet = packet(n);
                black_box(engine.receive(*port, &mut packet, phone_of(port.stream()), now));
            }
            engine.handle_timeout(now);
            drain(&mut engine)
        });
    });
}

fn drain(engine: &mut Engine) -> usize {
    let mut bytes = 0;
    while let Some(output) = engine.poll_output() {
        if let Output::Send { bytes: packet, .. } = output {
            bytes += packet.len();
        }
    }
    bytes
}

fn listen(c: &mut Criterion) {
    let (mut detector, mut instruments) = (Detector::default(), Instruments::default());
    // A second in which the pitch goes up and down.
    let sweep = |n: u32| {
        Law::Mu.encode((8_000.0 * (f64::from(n) / 20.0 + (f64::from(n) / 900.0).sin()).sin()) as i16)
    };
    let sound: Vec<u8> = (0..8_000).map(sweep).collect();
    let mut frames = sound.chunks(160).cycle();
    c.bench_function("tone/listen to 20 ms", |b| {
        b.iter(|| {
            let frame = black_box(frames.next().unwrap_or_default());
            let mut heard = 0;
            let samples = frame.iter().map(|code| Law::Mu.decode(*code));
            detector.receive(samples, &mut instruments, |_| heard += 1);
            heard
        });
    });
}

fn engine() -> (Engine, Vec<Port>) {
    engine_of(["PCMU", "PCMU"], false)
}

fn engine_of(codecs: [&str; 2], sealed: bool) -> (Engine, Vec<Port>) {
    let settings = Settings { clock: WallClock { epoch_micros: 0 }, latching: Latching::default() };
    let mut engine = Engine::new(settings);
    let mut ports = Vec::new();
    for stream in (0..STREAMS).map(StreamId) {
        let local = SocketAddr::from(([10, 0, 0, 1], 20_000 + 2 * stream.0 as u16));
        let open = Command::Open { stream, local, seed: stream.0, cname: "pbx".into() };
        engine.command(open, Instant::START);
        let (second, codec) = (stream.0 % 2 == 1, codecs[stream.0 as usize % 2]);
        let mut agreement = Box::new(agreement(phone_of(stream), codec));
        agreement.protection = (second && sealed).then(|| {
            let [ours, theirs] = [1, 2].map(|fill| MasterKey::from_bytes([fill; MasterKey::LENGTH]));
            Protection { suite: Suite::Tag80, ours, theirs }
        });
        let agree = Command::Agree { stream, agreement, timeout: None, detect_dtmf: false };
        engine.command(agree, Instant::START);
        let mut bound = Vec::new();
        while let Some(output) = engine.poll_output() {
            if let Output::Bind { port, .. } = output {
                bound.push(port);
            }
        }
        ports.push(bound[0]);
    }
    (engine, ports)
}

fn phone_of(stream: StreamId) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, 1], 4000 + 2 * stream.0 as u16))
}

fn packet(sequence: u16) -> [u8; 172] {
    let timestamp = u32::from(sequence) * 160;
    let header = Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 1 };
    let mut packet = [0x55; 172];
    packet[..Header::LENGTH].copy_from_slice(&header.to_bytes());
    packet
}

fn agreement(rtp: SocketAddr, name: &str) -> Agreement {
    let codec = Codec::by_name(name).expect("a codec");
    let remote = RemoteAudio {
        rtp: Some(rtp),
        rtcp: None,
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

criterion_group!(media, header, relay, transcode, seal, tone, prompt, conference, recording, listen);
criterion_main!(media);
