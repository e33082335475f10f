//! The media loop on loopback: real threads, real sockets, real time.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test in real time, where failing is its answer"
)]

use pbx::audio::Gain;
use pbx::media::{Command, Event, Latching, MixId, RoomId, Settings, Source, Statistics, StreamId};
use pbx::sdp::{Agreement, Codec, Direction, RemoteAudio};
use pbx::shell::media_loop::{self, Media};
use pbx::time::{Instant, WallClock};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, TrySendError, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn a_call_is_relayed_both_ways() {
    let world = World::start();
    let (alice, bob) = (Phone::new(), Phone::new());
    let (a, b) = (world.open(1, &alice), world.open(2, &bob));
    world.order(Command::Bridge(StreamId(1), StreamId(2)));
    for n in 0..50u16 {
        alice.says(a, n, &[n as u8; 160]);
        bob.says(b, n, &[!n as u8; 160]);
        assert_eq!(bob.hears(), [n as u8; 160], "what alice said");
        assert_eq!(alice.hears(), [!n as u8; 160], "what bob said");
    }
    let counted = world.close(1);
    assert_eq!((counted.packets_received, counted.packets_sent, counted.packets_refused), (50, 50, 0));
}

#[test]
fn a_second_of_tone_is_fifty_packets_twenty_milliseconds_apart() {
    let world = World::start();
    let alice = Phone::new();
    world.open(1, &alice);
    let source = Source::Tone { frequency: 440.0, level: -10.0, duration: Some(Duration::from_secs(1)) };
    let start = std::time::Instant::now();
    world.order(Command::Play { stream: StreamId(1), source });
    for _ in 0..50 {
        assert_eq!(alice.hears().len(), 160);
    }
    let took = start.elapsed();
    assert!((960..1300).contains(&took.as_millis()), "the fiftieth came after {took:?}");
    world.expect(|event| matches!(event, Event::Finished(_)));
    assert_eq!(world.close(1).packets_sent, 50);
    assert!(alice.is_quiet());
}

#[test]
fn an_echo_comes_back_and_noise_does_not() {
    let world = World::start();
    let (alice, stranger) = (Phone::new(), Phone::new());
    let a = world.open(1, &alice);
    world.order(Command::Echo(StreamId(1)));
    alice.socket.send_to(b"OPTIONS sip:pbx SIP/2.0\r\n\r\n", a).unwrap();
    alice.socket.send_to(&[], a).unwrap();
    stranger.says(a, 7, &[3; 160]);
    alice.says(a, 1, &[5; 160]);
    assert_eq!(alice.hears(), [5; 160]);
    assert!(alice.is_quiet() && stranger.is_quiet());
    assert_eq!(world.close(1).packets_refused, 3);
}

#[test]
fn streams_of_two_workers_that_are_joined_hear_each_other() {
    let world = World::start();
    let (alice, bob) = (Phone::new(), Phone::new());
    let (a, b) = (world.open_in(RoomId(1), 1, &alice), world.open_in(RoomId(2), 2, &bob));
    world.media.send(RoomId(1), Command::Bridge(StreamId(1), StreamId(2)));
    for n in 0..50u16 {
        alice.says(a, n, &[n as u8; 160]);
        bob.says(b, n, &[!n as u8; 160]);
        assert_eq!(bob.hears(), [n as u8; 160], "what alice said");
        assert_eq!(alice.hears(), [!n as u8; 160], "what bob said");
    }
    // Commands of either room find them.
    world.media.send(RoomId(2), Command::Close(StreamId(2)));
    world.expect(|event| matches!(event, Event::Closed(StreamId(2), _)));
    assert_eq!(world.close(1).packets_received, 50);
}

#[test]
fn who_comes_from_another_worker_is_heard_in_a_conference() {
    let world = World::start();
    let phones = [Phone::new(), Phone::new(), Phone::new()];
    let mix = MixId(1);
    let ports: Vec<SocketAddr> = (1..)
        .zip(&phones)
        .map(|(id, phone)| {
            let local = world.open_in(RoomId(id), id, phone);
            let join = Command::Join { mix, stream: StreamId(id), voice: Gain::UNITY };
            world.media.send(RoomId(id), join);
            local
        })
        .collect();
    // The first two speak, loud and without a pause; the third one listens.
    let is_heard = (0..200u16).any(|n| {
        for (phone, port) in phones.iter().zip(&ports).take(2) {
            phone.says(*port, n, &[0x80; 160]);
        }
        std::thread::sleep(Duration::from_millis(20));
        // Both together are twice as loud as one: louder than any code but the loudest.
        phones[2].hears()[80] == 0x80 && phones[0].hears()[80] == 0x80 && phones[1].hears()[80] == 0x80
    });
    assert!(is_heard, "each hears the others, wherever they were");
}

#[test]
fn a_port_in_use_is_told_and_a_port_given_back_can_be_used() {
    let world = World::start();
    let alice = Phone::new();
    let local = world.open(1, &alice);
    world.order(open(2, local));
    let failed = world.expect(|event| matches!(event, Event::OpenFailed { .. }));
    assert!(matches!(failed, Event::OpenFailed { stream: StreamId(2), port, .. } if port == local.port()));
    world.close(1);
    world.order(open(3, local));
    world.expect(|event| matches!(event, Event::Opened(StreamId(3))));
}

#[test]
fn every_stream_is_closed_when_the_loop_ends() {
    let world = World::start();
    let phones = [Phone::new(), Phone::new(), Phone::new()];
    for (n, phone) in (1..).zip(&phones) {
        world.open(n, phone);
    }
    let World { media, events } = world;
    drop(media);
    let closed = events.iter().filter(|event| matches!(event, Event::Closed(..))).count();
    assert_eq!(closed, 3);
}

#[test]
fn events_that_find_no_room_come_later_in_order() {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let on_event = move |event| match tell.try_send(event) {
        Ok(()) => None,
        Err(TrySendError::Full(event) | TrySendError::Disconnected(event)) => Some(event),
    };
    let media = media_loop::spawn(1, settings(), clock(), on_event).unwrap();
    let local = free_ports();
    media.send(RoomId(0), open(1, local));
    for _ in 0..20 {
        media.send(RoomId(0), Command::Report(StreamId(1)));
    }
    media.send(RoomId(0), Command::Close(StreamId(1)));
    std::thread::yield_now();
    let events: Vec<Event> = (0..22).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
    assert!(matches!(events[0], Event::Opened(_)) && matches!(events[21], Event::Closed(..)));
}

/// A loop with two workers and what it tells.
struct World {
    media: Media,
    events: Receiver<Event>,
}

impl World {
    fn start() -> World {
        let (tell, events) = channel();
        let on_event = move |event| tell.send(event).err().map(|unheard| unheard.0);
        World { media: media_loop::spawn(2, settings(), clock(), on_event).unwrap(), events }
    }

    fn order(&self, command: Command) {
        self.media.send(RoomId(7), command);
    }

    /// A stream that has agreed with `phone`; where its RTP is.
    fn open(&self, id: u64, phone: &Phone) -> SocketAddr {
        self.open_in(RoomId(7), id, phone)
    }

    fn open_in(&self, room: RoomId, id: u64, phone: &Phone) -> SocketAddr {
        let local = free_ports();
        self.media.send(room, open(id, local));
        self.expect(|event| matches!(event, Event::Opened(opened) if opened.0 == id));
        self.order(Command::Agree {
            stream: StreamId(id),
            agreement: Box::new(agreement(phone)),
            timeout: None,
            detect_dtmf: false,
        });
        local
    }

    fn close(&self, id: u64) -> Statistics {
        self.order(Command::Close(StreamId(id)));
        match self.expect(|event| matches!(event, Event::Closed(closed, _) if closed.0 == id)) {
            Event::Closed(_, statistics) => statistics,
            other => panic!("{other:?}"),
        }
    }

    fn expect(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.events.recv_timeout(PATIENCE).expect("the event comes");
            if wanted(&event) {
                return event;
            }
        }
    }
}

/// A telephone: a socket that speaks G.711.
struct Phone {
    socket: UdpSocket,
}

impl Phone {
    fn new() -> Phone {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Phone { socket }
    }

    fn says(&self, to: SocketAddr, n: u16, payload: &[u8]) {
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&n.to_be_bytes());
        packet.extend_from_slice(&(u32::from(n) * 160).to_be_bytes());
        packet.extend_from_slice(&u32::from(self.socket.local_addr().unwrap().port()).to_be_bytes());
        packet.extend_from_slice(payload);
        self.socket.send_to(&packet, to).unwrap();
    }

    /// The payload of the next packet.
    fn hears(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).expect("a packet comes");
        buffer[12..length].to_vec()
    }

    fn is_quiet(&self) -> bool {
        self.socket.set_read_timeout(Some(Duration::from_millis(60))).unwrap();
        let heard = self.socket.recv(&mut [0; 2048]);
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        heard.is_err()
    }
}

fn settings() -> Settings {
    Settings { clock: WallClock { epoch_micros: 1_795_247_106_000_000 }, latching: Latching::default() }
}

fn clock() -> impl Fn() -> Instant + Clone + Send + 'static {
    let start = std::time::Instant::now();
    move || Instant::START + start.elapsed()
}

/// An even port that is free together with the one above it.
fn free_ports() -> SocketAddr {
    loop {
        let rtp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let above = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
        if rtp.port().is_multiple_of(2) && UdpSocket::bind(above).is_ok() {
            return rtp;
        }
    }
}

fn open(id: u64, local: SocketAddr) -> Command {
    Command::Open { stream: StreamId(id), local, seed: id, cname: format!("{id}@pbx") }
}

fn agreement(phone: &Phone) -> Agreement {
    let codec = Codec { payload_type: 0, name: "PCMU".into(), clock_rate: 8000, channels: 1, fmtp: None };
    let remote = RemoteAudio {
        rtp: Some(phone.socket.local_addr().unwrap()),
        rtcp: None,
        codecs: vec![codec.clone()],
        direction: Direction::SendRecv,
        ptime: Some(20),
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
