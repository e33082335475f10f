//! The loop around a core that sends everything back, on a host in memory whose time is paused.

use super::driver::*;
use crate::pbx::{Counters, Input, Output};
use crate::shell::host::Host;
use crate::shell::program::{self, Running};
use crate::shell::test_host::{NoMedia, TestHost};
use crate::sip::{ConnectionId, Path, Transport};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

const MESSAGE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_datagram_is_answered_from_where_it_came() {
    let world = World::new().await;
    world.host.deliver(address(PHONE), address(PBX), b"hello");
    world.passes(1).await;
    assert_eq!(world.host.sent(), [(address(PBX), address(PHONE), b"hello".to_vec())]);
}

#[tokio::test(start_paused = true)]
async fn keepalive_datagrams_do_not_reach_the_core() {
    let world = World::new().await;
    for bytes in [&b"\r\n\r\n"[..], b"\0\0\0\0", b""] {
        world.host.deliver(address(PHONE), address(PBX), bytes);
    }
    world.passes(1).await;
    assert_eq!(world.heard(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_on_the_socket_starves_nobody() {
    let world = World::new().await;
    for _ in 0..10 * DATAGRAMS_A_TURN {
        world.host.deliver(address(PHONE), address(PBX), b"flood");
    }
    let answered = world.running.handle.snapshot().await.is_some();
    let read = world.heard().len();
    assert!(answered && read < 10 * DATAGRAMS_A_TURN, "{read} datagrams were read before the order");
}

#[tokio::test(start_paused = true)]
async fn a_message_on_a_connection_is_answered_on_it() {
    let world = World::new().await;
    let mut phone = world.dial();
    let (first, second) = MESSAGE.split_at(9);
    phone.write_all(first).await.expect("open");
    world.passes(5).await;
    phone.write_all(second).await.expect("open");
    assert_eq!(read(&mut phone).await, MESSAGE);
    assert_eq!(world.heard(), ["received on 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_ping_gets_its_pong() {
    let world = World::new().await;
    let mut phone = world.dial();
    phone.write_all(b"\r\n\r\n").await.expect("open");
    assert_eq!(read(&mut phone).await, b"\r\n");
}

#[tokio::test(start_paused = true)]
async fn who_closes_his_half_still_gets_his_answer() {
    let world = World::new().await;
    let mut phone = world.dial();
    phone.write_all(MESSAGE).await.expect("open");
    phone.shutdown().await.expect("open");
    assert_eq!(read(&mut phone).await, MESSAGE);
}

#[tokio::test(start_paused = true)]
async fn who_begins_a_message_and_does_not_end_it_is_closed() {
    let world = World::new().await;
    let mut phone = world.dial();
    for _ in 0..40 {
        if phone.write_all(b"O").await.is_err() {
            break;
        }
        world.passes(1).await;
    }
    assert_eq!(read(&mut phone).await, b"", "32 seconds after the first byte it is over");
    assert_eq!(world.heard(), ["failed on 1"]);
}

#[tokio::test(start_paused = true)]
async fn who_sends_garbage_is_closed() {
    let world = World::new().await;
    let mut phone = world.dial();
    phone.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("open");
    assert_eq!(read(&mut phone).await, b"");
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_when_its_registration_is_long_over() {
    let world = World::new().await;
    let mut phone = world.dial();
    phone.write_all(MESSAGE).await.expect("open");
    assert_eq!(read(&mut phone).await, MESSAGE);
    world.passes(3_500).await;
    phone.write_all(MESSAGE).await.expect("still open");
    assert_eq!(read(&mut phone).await, MESSAGE);
    world.passes(3_700).await;
    assert_eq!(read(&mut phone).await, b"");
}

#[tokio::test(start_paused = true)]
async fn over_the_limit_a_connection_is_closed_at_once() {
    let world = World::new().await;
    let mut phones: Vec<DuplexStream> = (0..=CONNECTIONS).map(|_| world.dial()).collect();
    world.passes(1).await;
    let last = phones.last_mut().expect("there are some");
    assert_eq!(read(last).await, b"");
    phones[0].write_all(b"\r\n\r\n").await.expect("the others stay");
    assert_eq!(read(&mut phones[0]).await, b"\r\n");
}

#[tokio::test(start_paused = true)]
async fn two_messages_to_one_end_share_a_connection() {
    let world = World::new().await;
    let mut trunk = world.host.peer(address(TRUNK));
    world.say(Output::Transmit { path: to_trunk(), bytes: b"one ".to_vec() });
    world.say(Output::Transmit { path: to_trunk(), bytes: b"two".to_vec() });
    world.passes(1).await;

    let mut connection = trunk.try_recv().expect("connected");
    assert_eq!(read(&mut connection).await, b"one two");
    assert!(trunk.try_recv().is_err(), "there is no second connection");
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_told_by_its_name_and_by_its_end() {
    let world = World::new().await;
    let mut trunk = world.host.peer(address(TRUNK));
    world.say(Output::Transmit { path: to_trunk(), bytes: b"one".to_vec() });
    world.passes(1).await;
    drop(trunk.try_recv().expect("connected"));
    world.passes(60).await;
    assert_eq!(world.heard(), ["failed on 1", "failed"]);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_connected_is_told() {
    let world = World::new().await;
    world.say(Output::Transmit { path: to_trunk(), bytes: b"one".to_vec() });
    world.passes(1).await;
    assert_eq!(world.heard(), ["failed on 1", "failed"]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_given_up() {
    let world = World::new().await;
    let mut trunk = world.host.peer(address(TRUNK));
    world.say(Output::Transmit { path: to_trunk(), bytes: b"first".to_vec() });
    world.passes(1).await;
    let _asleep = trunk.try_recv().expect("connected");
    for _ in 0..100 {
        (0..10).for_each(|_| world.say(Output::Transmit { path: to_trunk(), bytes: vec![b'x'; 4096] }));
        tokio::task::yield_now().await;
    }
    world.passes(1).await;
    assert!(world.heard().contains(&"failed".into()), "{:?}", world.heard());
}

#[tokio::test(start_paused = true)]
async fn a_name_is_resolved() {
    let world = World::new().await;
    world.say(Output::Resolve { query: 7, host: "trunk.example".into(), port: 5080 });
    world.say(Output::Resolve { query: 8, host: "nobody.example".into(), port: 5060 });
    world.passes(1).await;
    assert_eq!(world.heard(), ["7 is [192.0.2.7:5080]", "8 is []"]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_comes_when_it_is_due() {
    let world = World::new().await;
    lock(&world.script).deadline = Some(world.host.now() + Duration::from_secs(90));
    world.wake().await;
    world.passes(89).await;
    assert_eq!(world.heard(), [""; 0]);
    world.passes(2).await;
    assert_eq!(world.heard(), ["timeout"]);
}

#[tokio::test(start_paused = true)]
async fn a_drained_core_ends_the_program() {
    let mut world = World::new().await;
    world.running.handle.drain(Duration::from_secs(5)).await;
    assert!(world.running.ended().await);
    assert!(world.running.handle.snapshot().await.is_none());
}

const PBX: &str = "192.0.2.1:5060";
const PHONE: &str = "192.0.2.2:5060";
const TRUNK: &str = "192.0.2.3:5060";
const CONNECTIONS: usize = 4;

/// A PBX whose core sends everything back and does what it is told.
struct World {
    host: TestHost,
    running: Running<TestHost>,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    heard: Vec<String>,
    outputs: VecDeque<Output>,
    deadline: Option<Instant>,
}

impl World {
    async fn new() -> World {
        let host = TestHost::new();
        let mut config = crate::shell::test_host::config();
        config.sip.listen = vec![(Transport::Udp, address(PBX)), (Transport::Tcp, address(PBX))];
        config.http = None;
        config.limits.connections = CONNECTIONS;
        config.limits.max_expires = Duration::from_secs(3_600);
        let bound = program::bind(host.clone(), config, None).await.expect("nothing else listens");
        let script = Arc::<Mutex<Script>>::default();
        let (_, events) = mpsc::channel(1);
        let core = Scripted(script.clone());
        let running = bound.start(|_, _, _| core, NoMedia, events);
        World { host, running, script }
    }

    fn dial(&self) -> DuplexStream {
        self.host.dial(address(PHONE), address(PBX)).expect("the PBX listens")
    }

    /// The core wants this done at its next turn.
    fn say(&self, output: Output) {
        lock(&self.script).outputs.push_back(output);
        self.host.deliver(address(PHONE), address(PBX), WAKE);
    }

    async fn wake(&self) {
        self.host.deliver(address(PHONE), address(PBX), WAKE);
        tokio::task::yield_now().await;
    }

    async fn passes(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    fn heard(&self) -> Vec<String> {
        lock(&self.script).heard.clone()
    }
}

/// A datagram by which the core is only woken.
const WAKE: &[u8] = b"wake";

struct Scripted(Arc<Mutex<Script>>);

impl Core for Scripted {
    fn receive(&mut self, input: Input, _: Instant) {
        let mut script = lock(&self.0);
        match input {
            Input::Received { bytes, .. } if bytes == WAKE => {}
            Input::Received { path, bytes } => {
                script.heard.push(format!("received{}", on(&path)));
                script.outputs.push_back(Output::Transmit { path, bytes });
            }
            Input::PathFailed(path) => script.heard.push(format!("failed{}", on(&path))),
            Input::Resolved { query, addresses } => script.heard.push(format!("{query} is {addresses:?}")),
            Input::Drain { .. } => script.outputs.push_back(Output::Drained),
            Input::Media(_)
            | Input::SoundRead { .. }
            | Input::RecordingFailed { .. }
            | Input::Routed { .. }
            | Input::MessagesListed(_)
            | Input::Rwi(_)
            | Input::Reconfigure(_) => {}
        }
    }

    fn handle_timeout(&mut self, _: Instant) {
        let mut script = lock(&self.0);
        script.deadline = None;
        script.heard.push("timeout".into());
    }

    fn poll_timeout(&self) -> Option<Instant> {
        lock(&self.0).deadline
    }

    fn poll_output(&mut self) -> Option<Output> {
        lock(&self.0).outputs.pop_front()
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}

fn on(path: &Path) -> String {
    path.connection.map(|ConnectionId(id)| format!(" on {id}")).unwrap_or_default()
}

fn to_trunk() -> Path {
    Path { transport: Transport::Tcp, local: address(PBX), remote: address(TRUNK), connection: None }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// What comes at once; nothing when it is closed.
async fn read(stream: &mut DuplexStream) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).await.expect("a pipe does not break");
    buffer[..length].to_vec()
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().expect("nobody panicked")
}
