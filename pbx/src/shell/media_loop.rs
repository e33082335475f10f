//! Media for real: worker threads, each with an engine and an epoll loop of its own.
//!
//! The rooms are dealt out to the workers by their number. A worker moves packets, calls its [`Engine`] and honours its
//! deadlines; it decides nothing. A packet that is passed on costs no lock, no allocation and no copy.
//!
//! Who is to hear somebody of another worker moves there, with sockets and all ([`Homes`] says who): the one who orders
//! waits until the streams are handed over, a turn of one loop, so that no order overtakes them.

use super::media_socket::{Bell, Epoll, Timer, be_punctual};
use crate::media::{Command, Engine, Event, Homes, Household, Output, Port, RoomId, Settings, StreamId};
use crate::time::Instant;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Commands that may wait for one worker.
const COMMANDS: usize = 4096;
/// Bytes of one socket that may wait for us: some seconds of one stream, since a worker may be kept from the processor.
const RECEIVE_BUFFER: usize = 256 << 10;
/// The longest datagram that is taken; what is longer is no telephone audio.
const LONGEST: usize = 2048;
/// Ready sockets between two looks at the clock, so that tones stay punctual under load.
const SOCKETS_A_LOOK: usize = 16;
/// How often the last events are offered when the loop ends.
const LAST_OFFERS: u32 = 50;
/// The token of the bell; sockets have their [`Port::index`].
const BELL: u64 = u64::MAX;
/// The token of the timer.
const TIMER: u64 = u64::MAX - 1;
/// How long events wait that found no room.
const EVENTS_AGAIN: Duration = Duration::from_millis(1);
/// Events that wait for room; beyond that only those are kept that say what has become of a command.
const EVENTS: usize = 16_384;
/// Expedited forwarding (RFC 3246), as the upper six bits of the TOS byte.
const EXPEDITED: u32 = 46 << 2;

/// The workers. When it is dropped, every stream is closed and the threads have ended.
pub struct Media {
    workers: Vec<Worker>,
    /// Only who orders asks it.
    homes: Mutex<Homes>,
}

struct Worker {
    orders: SyncSender<Order>,
    bell: Arc<Alarm>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Command(Command),
    /// This stream and all that have to do with it leave; they are handed over.
    Part(StreamId, SyncSender<Family>),
    /// They come from another worker.
    TakeIn(Family),
    Stop,
}

/// Streams on their way to another worker.
struct Family {
    household: Household,
    sockets: Vec<Bound>,
    /// What was not told of them yet.
    untold: VecDeque<Event>,
}

/// A bell that is rung once for many commands.
struct Alarm {
    bell: Bell,
    rung: AtomicBool,
}

/// Starts `workers` threads, at least one.
///
/// `clock` gives the time the core lives in. `on_event` is called on the workers and must not wait: when it has no room it
/// gives the event back, and is offered it again, in order, a moment later. The errors are those of the OS.
pub fn spawn<C, E>(workers: usize, settings: Settings, clock: C, on_event: E) -> io::Result<Media>
where
    C: Fn() -> Instant + Clone + Send + 'static,
    E: Fn(Event) -> Option<Event> + Clone + Send + 'static,
{
    let workers = workers.max(1);
    let mut media = Media { workers: Vec::new(), homes: Mutex::new(Homes::new(workers)) };
    for n in 0..workers {
        let (orders, waiting) = sync_channel(COMMANDS);
        let bell = Arc::new(Alarm { bell: Bell::new()?, rung: AtomicBool::new(false) });
        let epoll = Epoll::new()?;
        epoll.add(&bell.bell, BELL)?;
        let timer = Timer::new()?;
        epoll.add_timer(&timer, TIMER)?;
        let mut work = Loop {
            engine: Engine::new(settings),
            epoll,
            timer,
            alarm: None,
            sockets: Vec::new(),
            orders: waiting,
            bell: Arc::clone(&bell),
            clock: clock.clone(),
            on_event: on_event.clone(),
            untold: VecDeque::new(),
        };
        let thread = std::thread::Builder::new().name(format!("media-{n}")).spawn(move || work.run())?;
        media.workers.push(Worker { orders, bell, thread: Some(thread) });
    }
    Ok(media)
}

impl Media {
    /// Gives a command to the worker that has the streams it is about; new ones go to the worker of their room. Waits only
    /// while thousands of commands are waiting there, or while streams move from one worker to another.
    pub fn send(&self, room: RoomId, command: Command) {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        let placement = homes.place(room, &command);
        for (stream, from) in placement.moves {
            let (hand_over, handed_over) = sync_channel(1);
            self.workers[from].order(Order::Part(stream, hand_over));
            // Nothing comes of a stream that is not there any more, nor of a worker that is gone.
            if let Ok(family) = handed_over.recv() {
                homes.moved(&family.household, placement.engine);
                self.workers[placement.engine].order(Order::TakeIn(family));
            }
        }
        self.workers[placement.engine].order(Order::Command(command));
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.workers.iter().for_each(|worker| worker.order(Order::Stop));
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            // A worker that panicked has said so; there is nothing to save here.
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn order(&self, order: Order) {
        // A worker that is gone has no streams.
        if self.orders.send(order).is_ok() && !self.bell.rung.swap(true, Ordering::AcqRel) {
            self.bell.bell.ring();
        }
    }
}

/// What one worker has.
struct Loop<C, E> {
    engine: Engine,
    epoll: Epoll,
    timer: Timer,
    /// When the timer goes off.
    alarm: Option<Instant>,
    /// By [`Port::index`].
    sockets: Vec<Option<Bound>>,
    orders: Receiver<Order>,
    bell: Arc<Alarm>,
    clock: C,
    on_event: E,
    /// Events that found no room.
    untold: VecDeque<Event>,
}

struct Bound {
    port: Port,
    socket: UdpSocket,
}

impl<C, E> Loop<C, E>
where
    C: Fn() -> Instant,
    E: Fn(Event) -> Option<Event>,
{
    fn run(&mut self) {
        be_punctual();
        let mut buffer = [0; LONGEST + 1];
        let mut stopped = false;
        while !stopped {
            self.set_alarm();
            let ready = self.epoll.wait();
            self.do_what_is_due();
            for n in 0..ready {
                match self.epoll.token(n) {
                    BELL => stopped = self.take_orders(),
                    TIMER => self.alarm = None,
                    index => self.take_packet(index as usize, &mut buffer),
                }
                if n % SOCKETS_A_LOOK == SOCKETS_A_LOOK - 1 {
                    self.do_what_is_due();
                }
            }
            self.put_out();
        }
        self.close_all();
    }

    /// Sees to it that the loop wakes for the next deadline. A timer that goes off earlier than that is left alone.
    fn set_alarm(&mut self) {
        let again = (!self.untold.is_empty()).then(|| (self.clock)() + EVENTS_AGAIN);
        let Some(next) = self.engine.poll_timeout().into_iter().chain(again).min() else { return };
        if self.alarm.is_none_or(|alarm| next < alarm) {
            self.timer.set(next.since((self.clock)()));
            self.alarm = Some(next);
        }
    }

    fn do_what_is_due(&mut self) {
        let now = (self.clock)();
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
            self.put_out();
        }
    }

    /// Returns whether it was told to stop.
    fn take_orders(&mut self) -> bool {
        self.bell.bell.hush();
        // Before the first look, so that whoever orders after the last one rings again.
        self.bell.rung.store(false, Ordering::Release);
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Command(command) => {
                    self.engine.command(command, (self.clock)());
                    self.put_out();
                }
                Order::Part(stream, hand_over) => {
                    if let Some(family) = self.part_with(stream) {
                        // Whoever asked waits for it.
                        let _ = hand_over.send(family);
                    }
                }
                Order::TakeIn(family) => self.take_in(family),
                Order::Stop => return true,
            }
        }
        false
    }

    /// Takes what has come at one socket and passes it on. If there is more, the socket is told again.
    fn take_packet(&mut self, index: usize, buffer: &mut [u8; LONGEST + 1]) {
        let Some(Some(bound)) = self.sockets.get(index) else { return };
        let Ok((length, source)) = bound.socket.recv_from(buffer) else { return };
        // What is too long has been cut: it is refused as an empty datagram would be.
        let length = if length > LONGEST { 0 } else { length };
        let now = (self.clock)();
        let Some(forward) = self.engine.receive(bound.port, &mut buffer[..length], source, now) else {
            return;
        };
        if let Some(Some(out)) = self.sockets.get(forward.port.index()) {
            // What the OS does not take is lost, as it would be on the way.
            let _ = out.socket.send_to(&buffer[forward.range], forward.to);
        }
    }

    /// Does what the engine wants.
    fn put_out(&mut self) {
        while let Some(event) = self.untold.pop_front() {
            if let Some(event) = (self.on_event)(event) {
                self.untold.push_front(event);
                break;
            }
        }
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Send { port, to, bytes } => {
                    if let Some(Some(bound)) = self.sockets.get(port.index()) {
                        // What the OS does not take is lost, as it would be on the way.
                        let _ = bound.socket.send_to(bytes, to);
                    }
                }
                Output::Event(event) => {
                    let left = if self.untold.is_empty() { (self.on_event)(event) } else { Some(event) };
                    let kept = left.filter(|event| self.untold.len() < EVENTS || is_answer(event));
                    self.untold.extend(kept);
                }
                Output::Bind { port, address } => self.bind(port, address),
                Output::Unbind(port) => {
                    if let Some(place) = self.sockets.get_mut(port.index()) {
                        *place = None;
                    }
                }
            }
        }
    }

    fn bind(&mut self, port: Port, address: SocketAddr) {
        let result = open(address).and_then(|socket| self.attend(Bound { port, socket }));
        self.engine.bound(port, result.map_err(|error| error.to_string()));
    }

    /// What comes at this socket is taken from now on.
    fn attend(&mut self, bound: Bound) -> io::Result<()> {
        let index = bound.port.index();
        self.epoll.add(&bound.socket, index as u64)?;
        if self.sockets.len() <= index {
            self.sockets.resize_with(index + 1, || None);
        }
        self.sockets[index] = Some(bound);
        Ok(())
    }

    /// A stream leaves with all that have to do with it, and their sockets.
    fn part_with(&mut self, stream: StreamId) -> Option<Family> {
        let household = self.engine.part_with(stream)?;
        let mut sockets = Vec::new();
        for port in household.ports() {
            let Some(bound) = self.sockets.get_mut(port.index()).and_then(Option::take) else { continue };
            // A socket that stays in two loops would wake the wrong one.
            if self.epoll.remove(&bound.socket).is_ok() {
                sockets.push(bound);
            }
        }
        let (streams, recordings) = (household.streams(), household.recordings());
        let (streams, recordings): (Vec<_>, Vec<_>) = (streams.collect(), recordings.collect());
        let is_theirs = |event: &Event| match event {
            Event::Recorded { recording, .. }
            | Event::FellSilent(recording)
            | Event::RecordingEnded { recording, .. } => recordings.contains(recording),
            other => other.stream().is_some_and(|stream| streams.contains(&stream)),
        };
        let (untold, kept) = std::mem::take(&mut self.untold).into_iter().partition(is_theirs);
        self.untold = kept;
        Some(Family { household, sockets, untold })
    }

    /// Streams of another worker go on here.
    fn take_in(&mut self, family: Family) {
        let Family { household, mut sockets, untold } = family;
        self.untold.extend(untold);
        for (before, port) in self.engine.take_in(household, (self.clock)()) {
            let Some(at) = sockets.iter().position(|bound| bound.port == before) else { continue };
            let bound = Bound { port, ..sockets.swap_remove(at) };
            if let Err(error) = self.attend(bound) {
                tracing::error!(stream = port.stream().0, %error, "a stream that moved cannot be heard any longer");
            }
        }
        self.put_out();
    }

    /// Says goodbye on every stream; the last events are offered for a moment.
    fn close_all(&mut self) {
        let streams: Vec<_> = self.engine.streams().collect();
        for stream in streams {
            self.engine.command(Command::Close(stream), (self.clock)());
            self.put_out();
        }
        for _ in 0..LAST_OFFERS {
            if self.untold.is_empty() {
                break;
            }
            std::thread::park_timeout(EVENTS_AGAIN);
            self.put_out();
        }
    }
}

/// Whether somebody waits for this event: there are no more of them than commands, and of recordings one in two seconds.
fn is_answer(event: &Event) -> bool {
    match event {
        Event::Opened(_)
        | Event::OpenFailed { .. }
        | Event::Finished(_)
        | Event::Recorded { .. }
        | Event::FellSilent(_)
        | Event::RecordingEnded { .. }
        | Event::Interrupted { .. }
        | Event::Statistics(..)
        | Event::Closed(..) => true,
        Event::FirstPacket(_) | Event::SourceChanged { .. } | Event::Dtmf { .. } | Event::TimedOut(_) => {
            false
        }
    }
}

/// A UDP socket that does not wait. IPv6 is IPv6 only, so that an IPv4 address never comes in IPv6 clothes.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    } else {
        // A wish, as is the buffer: the network may not honour it, the OS may refuse it.
        let _ = socket.set_tos_v4(EXPEDITED);
    }
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
