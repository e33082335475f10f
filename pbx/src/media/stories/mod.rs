//! Stories of the engine in virtual time: telephones talk to it, the clock jumps to its next deadline.
//!
//! Here are the world they live in and what holds whatever happens.

mod codecs;
mod keys;
mod mixing;
mod moving;
mod playing;
mod relay;
mod reports;
mod sealed;

use super::*;
use crate::audio::Gain;
use crate::rtp::{Header, View};
use crate::sdp::{Agreement, Codec, Direction, RemoteAudio};
use crate::time::Instant;
use proptest::prelude::*;

#[test]
fn a_port_that_cannot_be_had_is_told_and_the_other_one_given_back() {
    let mut engine = Engine::new(settings());
    let local = "10.0.0.1:20000".parse().unwrap();
    let open = Command::Open { stream: StreamId(1), local, seed: 1, cname: "x".into() };
    engine.command(open, Instant::START);
    let mut ports = Vec::new();
    while let Some(output) = engine.poll_output() {
        if let Output::Bind { port, .. } = output {
            ports.push(port);
        }
    }
    engine.bound(ports[0], Ok(()));
    engine.bound(ports[1], Err("address in use".into()));
    engine.bound(ports[1], Ok(()));
    let mut told = Vec::new();
    while let Some(output) = engine.poll_output() {
        told.push(format!("{output:?}"));
    }
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[2].contains("OpenFailed") && told[2].contains("20001"), "{told:?}");
    assert_eq!(engine.streams().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_on_any_port_are_counted_and_never_panic(
        datagrams in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80), 0u8..4), 1..60),
    ) {
        let mut world = World::new();
        let (alice, bob) = world.call();
        for (rtcp, mut bytes, shape) in datagrams {
            if shape > 0 && bytes.len() > 2 {
                bytes[0] = 0x80 | (bytes[0] & 0x3f);
                bytes[1] = if rtcp { 200 + bytes[1] % 4 } else { [0, 101, 0x80][bytes[1] as usize % 3] };
            }
            let (channel, from) = if rtcp { (Channel::Rtcp, rtcp_of(alice)) } else { (Channel::Rtp, rtp_of(alice)) };
            world.arrives(alice, channel, bytes, from);
            world.pass(7);
        }
        prop_assert!(world.heard(bob).iter().all(|packet| packet.header.payload_type == 0 || packet.header.payload_type == 101));
    }

    #[test]
    fn any_order_of_commands_leaves_nothing_behind(orders in prop::collection::vec((0u8..14, 1u64..5, 1u64..5), 1..80)) {
        let mut world = World::new();
        for (order, a, b) in orders {
            let (stream, other) = (StreamId(a), StreamId(b));
            match order {
                0 | 1 if !world.has(stream) => world.open(stream),
                0..=2 if world.has(stream) => world.agree(stream, |_| {}),
                3 => world.order(Command::Bridge(stream, other)),
                4 => world.order(Command::Play { stream, source: tone(Some(Duration::from_millis(70))) }),
                5 => world.order(Command::Echo(stream)),
                6 => world.order(Command::Close(stream)),
                7 => world.order(Command::Press { stream, digit: '1', duration: Duration::from_millis(50) }),
                8 => world.order(Command::Stop(stream)),
                9 => world.order(Command::Join { mix: MixId(b % 2), stream, voice: Gain::UNITY }),
                10 => {
                    let mix = MixId(a % 2);
                    world.order(Command::Gain { mix, from: stream, to: other, gain: Gain::NOTHING });
                }
                11 => world.order(Command::Fork { from: stream, to: other }),
                12 => world.order(Command::Record {
                    recording: RecordingId(a),
                    channels: vec![vec![Tap::Leg(other), Tap::Mix(MixId(b % 2))], vec![Tap::Leg(stream)]],
                }),
                _ => world.order(Command::StopRecording(RecordingId(b))),
            }
            if world.has(stream) {
                world.says(stream, order.into(), &[1; 160]);
            }
            world.pass(33);
        }
        (1..5).for_each(|id| world.order(Command::StopRecording(RecordingId(id))));
        (1..5).for_each(|id| world.order(Command::Close(StreamId(id))));
        world.pass(20);
        prop_assert_eq!(world.engine.poll_timeout(), None);
        prop_assert_eq!(world.engine.streams().count(), 0);
        prop_assert_eq!(world.bound.len(), 0);
    }
}

/// An engine, the telephones at its streams, and a clock.
struct World {
    engine: Engine,
    now: Instant,
    next: u64,
    timeout: Option<Duration>,
    detect: bool,
    /// Samples that were said by those who talk.
    spoken: u64,
    bound: Vec<Port>,
    unbound: usize,
    sent: Vec<Datagram>,
    /// How much of `sent` each telephone has looked at.
    looked: std::collections::BTreeMap<StreamId, usize>,
    events: Vec<Event>,
}

struct Datagram {
    at: Instant,
    port: Port,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// RTP that was sent.
struct Sent {
    at: Instant,
    header: Header,
    payload: Vec<u8>,
}

impl World {
    fn new() -> World {
        World {
            engine: Engine::new(settings()),
            now: Instant::START,
            next: 0,
            timeout: None,
            detect: false,
            spoken: 0,
            bound: Vec::new(),
            unbound: 0,
            sent: Vec::new(),
            looked: Default::default(),
            events: Vec::new(),
        }
    }

    /// Two who talk to each other.
    fn call(&mut self) -> (StreamId, StreamId) {
        let (alice, bob) = (self.phone(), self.phone());
        self.agree(alice, |_| {});
        self.agree(bob, |_| {});
        self.order(Command::Bridge(alice, bob));
        (alice, bob)
    }

    /// A telephone and the stream that is open for it.
    fn phone(&mut self) -> StreamId {
        self.next += 1;
        let stream = StreamId(self.next);
        self.open(stream);
        stream
    }

    fn open(&mut self, stream: StreamId) {
        let local = SocketAddr::from(([10, 0, 0, 1], 20_000 + 2 * stream.0 as u16));
        self.order(Command::Open { stream, local, seed: stream.0, cname: "tandem@10.0.0.1".into() });
    }

    fn has(&self, stream: StreamId) -> bool {
        self.engine.streams().any(|open| open == stream)
    }

    /// Agrees on the usual with one thing changed.
    fn agree(&mut self, stream: StreamId, change: impl FnOnce(&mut Agreement)) {
        let mut agreement = Box::new(Agreement {
            remote: RemoteAudio {
                rtp: Some(rtp_of(stream)),
                rtcp: Some(rtcp_of(stream)),
                codecs: Vec::new(),
                direction: Direction::SendRecv,
                ptime: None,
                maxptime: None,
                sealing: Default::default(),
            },
            codecs: vec![codec("PCMU", 0)],
            telephone_event: Some(codec("telephone-event", 101)),
            renumbered: Vec::new(),
            direction: Direction::SendRecv,
            ptime: 20,
            protection: None,
        });
        change(&mut agreement);
        self.order(Command::Agree { stream, agreement, timeout: self.timeout, detect_dtmf: self.detect });
    }

    fn order(&mut self, command: Command) {
        self.engine.command(command, self.now);
        self.drain();
    }

    /// One packet of 20 ms PCMU.
    fn says(&mut self, stream: StreamId, n: u16, payload: &[u8]) {
        self.sends(stream, header(stream, n), payload);
    }

    fn sends(&mut self, stream: StreamId, header: Header, payload: &[u8]) {
        self.arrives(stream, Channel::Rtp, packet(header, payload), rtp_of(stream));
    }

    fn arrives(&mut self, stream: StreamId, channel: Channel, mut bytes: Vec<u8>, from: SocketAddr) {
        let port = self.bound.iter().find(|port| port.stream == stream && port.channel == channel);
        let Some(&port) = port else { return };
        if let Some(forward) = self.engine.receive(port, &mut bytes, from, self.now) {
            let bytes = bytes[forward.range].to_vec();
            self.sent.push(Datagram { at: self.now, port: forward.port, to: forward.to, bytes });
        }
        self.drain();
    }

    /// Lets time go by, from deadline to deadline.
    fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Bind { port, .. } => {
                    self.bound.push(port);
                    self.engine.bound(port, Ok(()));
                }
                Output::Unbind(port) => {
                    self.bound.retain(|bound| *bound != port);
                    self.unbound += 1;
                }
                Output::Send { port, to, bytes } => {
                    self.sent.push(Datagram { at: self.now, port, to, bytes: bytes.to_vec() });
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// RTP to this telephone since it last looked.
    fn heard(&mut self, stream: StreamId) -> Vec<Sent> {
        let from = self.looked.insert(stream, self.sent.len()).unwrap_or(0);
        rtp(&self.sent[from..], stream)
    }

    /// All RTP to this telephone up to a moment.
    fn rtp_until(&self, stream: StreamId, end: Instant) -> Vec<Sent> {
        rtp(&self.sent, stream).into_iter().filter(|sent| sent.at < end).collect()
    }

    /// RTCP to this telephone.
    fn reports(&self, stream: StreamId) -> Vec<(Instant, Vec<u8>)> {
        let of = |sent: &&Datagram| sent.port.stream == stream && sent.port.channel == Channel::Rtcp;
        self.sent.iter().filter(of).map(|sent| (sent.at, sent.bytes.clone())).collect()
    }

    /// The events told since somebody last asked, as far as they are wanted.
    fn told(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let (told, rest) = std::mem::take(&mut self.events).into_iter().partition(wanted);
        self.events = rest;
        told
    }

    fn statistics(&mut self, stream: StreamId) -> Statistics {
        self.order(Command::Report(stream));
        match self.told(|event| matches!(event, Event::Statistics(..))).pop() {
            Some(Event::Statistics(_, statistics)) => statistics,
            other => panic!("{other:?}"),
        }
    }
}

fn settings() -> Settings {
    Settings { clock: WallClock { epoch_micros: 0 }, latching: Latching::default() }
}

fn tone(duration: Option<Duration>) -> Source {
    Source::Tone { frequency: 440.0, level: -10.0, duration }
}

fn codec(name: &str, payload_type: u8) -> Codec {
    Codec { payload_type, name: name.into(), clock_rate: 8000, channels: 1, fmtp: None }
}

/// Each telephone is a host of its own in a private network.
fn rtp_of(stream: StreamId) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, stream.0 as u8], 4000))
}

fn rtcp_of(stream: StreamId) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, stream.0 as u8], 4001))
}

fn ssrc_of(stream: StreamId) -> u32 {
    0xa11c_e000 + stream.0 as u32
}

fn header(stream: StreamId, n: u16) -> Header {
    let timestamp = u32::from(n) * 160;
    Header { marker: false, payload_type: 0, sequence: n, timestamp, ssrc: ssrc_of(stream) }
}

fn packet(header: Header, payload: &[u8]) -> Vec<u8> {
    [&header.to_bytes()[..], payload].concat()
}

fn rtp(sent: &[Datagram], stream: StreamId) -> Vec<Sent> {
    let of = |sent: &&Datagram| sent.port.stream == stream && sent.port.channel == Channel::Rtp;
    let read = |sent: &Datagram| {
        let view = View::of(&sent.bytes).expect("we send RTP");
        Sent { at: sent.at, header: view.header, payload: sent.bytes[view.payload].to_vec() }
    };
    sent.iter().filter(of).map(read).collect()
}

/// One SSRC, sequence numbers up by one, timestamps by the samples of a packet.
fn assert_numbers_follow(packets: &[Sent], samples: u32) {
    for (packet, next) in packets.iter().zip(&packets[1..]) {
        assert_eq!(next.header.ssrc, packet.header.ssrc);
        assert_eq!(next.header.sequence, packet.header.sequence.wrapping_add(1));
        assert_eq!(next.header.timestamp, packet.header.timestamp.wrapping_add(samples));
    }
}
