//! The engine: commands and datagrams in, datagrams and events out.

use super::agreed::{Agreed, Meaning};
use super::exchange::Exchange;
use super::incoming::Key;
use super::outbox::Outbox;
use super::outgoing::Passing;
use super::player::{Player, Waves};
use super::stream::{Accepted, Activity, Lent, Stream};
use super::timers::{Armed, Kind, Timers};
use super::{Channel, Command, Event, Forward, Output, Port, Settings, Source, StreamId};
use crate::rtp::Header;
use crate::sdp::Agreement;
use crate::time::{Duration, Instant};
use crate::tone::scan::Instruments;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Streams that start at any time are paced on one grid, so that many packets are sent at one waking.
const GRID: u64 = 1_000_000;
/// Packet times that a tone may be late before its schedule is given up for a new one.
const PATIENCE: u32 = 3;
/// How long a key is held that came in another way: when it is told nobody knows yet for how long.
const CONVERTED: Duration = Duration::from_millis(100);

/// All streams of some rooms.
///
/// It is told what arrives ([`Engine::receive`]), what is wanted ([`Engine::command`]) and when a deadline has come
/// ([`Engine::handle_timeout`]); whoever tells it asks [`Engine::poll_output`] afterwards until there is nothing.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    /// By slot; a slot is given away again.
    pub(super) streams: Vec<Option<Box<Stream>>>,
    slots: BTreeMap<StreamId, u32>,
    vacant: Vec<u32>,
    timers: Timers,
    waves: Waves,
    /// What all streams listen with.
    instruments: Instruments,
    pub(super) outbox: Outbox,
    pub(super) exchange: Exchange,
}

impl Engine {
    /// An engine without streams.
    pub fn new(settings: Settings) -> Engine {
        Engine {
            settings,
            streams: Vec::new(),
            slots: BTreeMap::new(),
            vacant: Vec::new(),
            timers: Timers::default(),
            waves: Waves::default(),
            instruments: Instruments::default(),
            outbox: Outbox::default(),
            exchange: Exchange::default(),
        }
    }

    /// Does what the core wants. What concerns a stream that is not open is ignored: it may just have failed to open.
    pub fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Open { stream, local, seed, cname } => self.open(stream, local, seed, cname),
            Command::Agree { stream, agreement, timeout, detect_dtmf } => {
                self.agree(stream, &agreement, timeout, detect_dtmf, now);
            }
            Command::Bridge(a, b) => self.bridge(a, b),
            Command::Play { stream, source } => self.play(stream, source, now),
            Command::StopAtKey(stream) => self.stop_at_key(stream),
            Command::Press { stream, digit, duration } => self.press(stream, digit, duration, now),
            Command::KeepKeys(stream) => self.keep_keys(stream),
            Command::Join { mix, stream, voice } => self.join(mix, stream, voice, now),
            Command::Gain { mix, from, to, gain } => self.set_gain(mix, from, to, gain),
            Command::Fork { from, to } => self.fork(from, to),
            Command::Record { recording, channels } => self.record(recording, &channels, now),
            Command::Tap { recording, channels } => self.tap(recording, &channels),
            Command::PauseRecording(recording) => self.set_recording(recording, false),
            Command::ResumeRecording(recording) => self.set_recording(recording, true),
            Command::WatchSilence { recording, length } => self.watch_silence(recording, length),
            Command::StopRecording(recording) => self.stop_recording(recording),
            Command::Echo(stream) => self.echo(stream),
            Command::Stop(stream) => self.stop(stream),
            Command::Report(stream) => self.tell_statistics(stream),
            Command::Close(stream) => self.close(stream, now),
        }
    }

    /// What became of an [`Output::Bind`].
    pub fn bound(&mut self, port: Port, result: Result<(), String>) {
        let Some(stream) = self.stream_at(port) else { return };
        let id = stream.id;
        match result {
            Ok(()) => {
                stream.bound[port.channel as usize] = true;
                if stream.bound == [true; 2] {
                    self.outbox.tell(Event::Opened(id));
                }
            }
            Err(reason) => {
                let number = stream.local.port() + port.channel as u16;
                self.remove(id);
                self.outbox.tell(Event::OpenFailed { stream: id, port: number, reason });
            }
        }
    }

    /// A datagram has come at `port`. When it is to be passed on, it has been rewritten in place and the answer says
    /// which part of it goes where. Whatever is not RTP or RTCP of the right side is counted and dropped.
    pub fn receive(
        &mut self,
        port: Port,
        bytes: &mut [u8],
        from: SocketAddr,
        now: Instant,
    ) -> Option<Forward> {
        let stream = self.streams.get_mut(port.slot as usize)?.as_deref_mut()?;
        if stream.id != port.stream {
            return None;
        }
        if port.channel == Channel::Rtcp {
            stream.receive_rtcp(bytes, from, now, &self.settings);
            return None;
        }
        let (settings, instruments, out) = (&self.settings, &mut self.instruments, &mut self.outbox);
        let accepted = stream.receive_rtp(bytes, from, &mut Lent { now, settings, instruments, out })?;
        let target = match stream.activity {
            Activity::Bridged(other) => Some(other),
            Activity::Echo => Some(port.slot),
            Activity::Idle | Activity::Playing(_) | Activity::Mixed { .. } | Activity::Copying(_) => None,
        };
        let forks = if accepted.passes { stream.forks.len() } else { 0 };
        if accepted.missing_at.is_some() {
            self.timers.set(port.slot, Kind::Silence, accepted.missing_at);
        }
        if let Activity::Bridged(other) = stream.activity {
            accepted.keys.iter().for_each(|key| self.convert_key(other, *key, now));
        }
        for n in 0..forks {
            self.copy(n, port.slot, &accepted, bytes, now);
        }
        if accepted.passes { self.pass(target?, &accepted, bytes, now) } else { None }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        // First what is said, then what is sent of it.
        self.take_turns(now);
        while let Some((due, slot, kind)) = self.timers.pop(now) {
            match kind {
                Kind::Pace => self.on_pace(slot, due, now),
                Kind::Report => self.on_report_due(slot, now),
                Kind::Silence => self.on_silence(slot, now),
            }
        }
    }

    /// The next deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.exchange.next()).min()
    }

    /// What is to be done or told next; ask until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outbox.poll()
    }

    /// Streams that are open or opening.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.slots.keys().copied()
    }

    fn open(&mut self, id: StreamId, local: SocketAddr, seed: u64, cname: String) {
        if self.slots.contains_key(&id) {
            return;
        }
        let Some(rtcp) = local.port().checked_add(1) else {
            let reason = "there is no port above it for RTCP".to_owned();
            return self.outbox.tell(Event::OpenFailed { stream: id, port: local.port(), reason });
        };
        let slot = self.vacant_slot();
        let stream = Box::new(Stream::new(id, slot, local, seed, cname));
        self.outbox.bind(stream.port(Channel::Rtp), local);
        self.outbox.bind(stream.port(Channel::Rtcp), SocketAddr::new(local.ip(), rtcp));
        self.streams[slot as usize] = Some(stream);
        self.slots.insert(id, slot);
    }

    /// A slot that nobody has.
    pub(super) fn vacant_slot(&mut self) -> u32 {
        self.vacant.pop().unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() as u32 - 1
        })
    }

    /// The stream in this slot is no longer here, with its deadlines; who has to do with it is not told.
    pub(super) fn take_out(&mut self, slot: u32) -> Option<(u32, Box<Stream>, Armed)> {
        let stream = self.streams.get_mut(slot as usize)?.take()?;
        self.slots.remove(&stream.id);
        self.vacant.push(slot);
        Some((slot, stream, self.timers.take(slot)))
    }

    /// A stream that was elsewhere lives in this slot from now on.
    pub(super) fn put_in(&mut self, slot: u32, stream: Box<Stream>, armed: Armed) {
        self.slots.insert(stream.id, slot);
        self.streams[slot as usize] = Some(stream);
        self.timers.put(slot, armed);
    }

    fn agree(
        &mut self,
        id: StreamId,
        agreement: &Agreement,
        timeout: Option<Duration>,
        detect: bool,
        now: Instant,
    ) {
        let Some(&slot) = self.slots.get(&id) else { return };
        let Some(stream) = self.streams[slot as usize].as_deref_mut() else { return };
        let first = stream.agreed.is_none();
        stream.agree(Agreed::of(agreement), timeout, detect, now, &self.settings);
        if stream.destination().is_none() {
            // What is sent after a hold is not a continuation of what was sent before it.
            stream.outgoing.interrupt();
        }
        tune(stream, &mut self.waves);
        if first {
            let wait = stream.reporting.next_interval(&mut stream.dice);
            self.timers.set(slot, Kind::Report, Some(now + wait));
        }
        self.timers.set(slot, Kind::Silence, timeout.map(|timeout| now + timeout));
        self.start_pacing(slot, now);
    }

    fn bridge(&mut self, a: StreamId, b: StreamId) {
        let (Some(&one), Some(&other)) = (self.slots.get(&a), self.slots.get(&b)) else { return };
        // Who hear each other go on doing so, without a break.
        if one == other || (self.hears(one, other) && self.hears(other, one)) {
            return;
        }
        self.idle(one);
        self.idle(other);
        for (slot, peer) in [(one, other), (other, one)] {
            if let Some(stream) = self.stream_in(slot) {
                stream.activity = Activity::Bridged(peer);
            }
        }
    }

    fn hears(&self, slot: u32, other: u32) -> bool {
        let stream = self.streams.get(slot as usize).and_then(Option::as_deref);
        stream.is_some_and(|stream| matches!(stream.activity, Activity::Bridged(peer) if peer == other))
    }

    fn play(&mut self, id: StreamId, source: Source, now: Instant) {
        let Some(&slot) = self.slots.get(&id) else { return };
        self.idle(slot);
        let Some(stream) = self.streams[slot as usize].as_deref_mut() else { return };
        stream.activity = Activity::Playing(Player::new(source));
        stream.talkspurt = None;
        tune(stream, &mut self.waves);
        self.start_pacing(slot, now);
    }

    /// What arrives at one goes out at the other as well.
    fn fork(&mut self, from: StreamId, to: StreamId) {
        let (Some(from), Some(to)) = (self.slot_of(from), self.slot_of(to)) else { return };
        if from == to {
            return;
        }
        self.idle(to);
        if let Some(stream) = self.stream_in(to) {
            stream.activity = Activity::Copying(from);
        }
        if let Some(stream) = self.stream_in(from) {
            stream.forks.push(to);
        }
    }

    fn stop_at_key(&mut self, id: StreamId) {
        let Some(&slot) = self.slots.get(&id) else { return };
        if let Some(Activity::Playing(player)) = self.stream_in(slot).map(|stream| &mut stream.activity) {
            player.stop_at_key();
        }
    }

    fn press(&mut self, id: StreamId, digit: char, held: Duration, now: Instant) {
        let Some(&slot) = self.slots.get(&id) else { return };
        let Some(stream) = self.stream_in(slot) else { return };
        if stream.keys.press(digit, held) {
            self.start_pacing(slot, now);
        }
    }

    fn keep_keys(&mut self, id: StreamId) {
        let Some(&slot) = self.slots.get(&id) else { return };
        if let Some(stream) = self.stream_in(slot) {
            stream.keeps_keys = true;
        }
    }

    /// A key that came in one way goes out in the other, where the two sides know different ones.
    fn convert_key(&mut self, slot: u32, key: Key, now: Instant) {
        let Some(stream) = self.stream_in(slot).filter(|stream| stream.converts(key.as_event)) else {
            return;
        };
        if stream.keys.press(key.digit, key.held.max(CONVERTED)) {
            self.start_pacing(slot, now);
        }
    }

    fn echo(&mut self, id: StreamId) {
        let Some(&slot) = self.slots.get(&id) else { return };
        self.idle(slot);
        if let Some(stream) = self.stream_in(slot) {
            stream.activity = Activity::Echo;
        }
    }

    fn stop(&mut self, id: StreamId) {
        if let Some(&slot) = self.slots.get(&id) {
            self.idle(slot);
        }
    }

    fn tell_statistics(&mut self, id: StreamId) {
        let Some(&slot) = self.slots.get(&id) else { return };
        let Some(statistics) = self.stream_in(slot).map(|stream| stream.statistics()) else { return };
        self.outbox.tell(Event::Statistics(id, statistics));
    }

    fn close(&mut self, id: StreamId, now: Instant) {
        let Some(&slot) = self.slots.get(&id) else { return };
        let Some(stream) = self.streams[slot as usize].as_deref_mut() else { return };
        stream.leave(&self.settings, now, &mut self.outbox);
        let statistics = stream.statistics();
        self.remove(id);
        self.outbox.tell(Event::Closed(id, statistics));
    }

    /// The stream and its ports are gone; nobody is bridged with it.
    fn remove(&mut self, id: StreamId) {
        let Some(slot) = self.slots.remove(&id) else { return };
        self.idle(slot);
        self.forget_in_exchange(slot);
        let forks = self.stream_in(slot).map(|stream| std::mem::take(&mut stream.forks));
        forks.into_iter().flatten().for_each(|fork| self.idle(fork));
        self.timers.clear(slot);
        if let Some(stream) = self.streams[slot as usize].take() {
            self.outbox.unbind(stream.port(Channel::Rtp));
            self.outbox.unbind(stream.port(Channel::Rtcp));
        }
        self.vacant.push(slot);
    }

    /// The stream does nothing; one that was bridged with it neither.
    pub(super) fn idle(&mut self, slot: u32) {
        self.leave_off(slot);
        // What is to be sent next has a pace of its own.
        if self.stream_in(slot).is_some_and(|stream| !stream.makes_something()) {
            self.timers.set(slot, Kind::Pace, None);
        }
    }

    fn leave_off(&mut self, slot: u32) {
        let Some(stream) = self.stream_in(slot) else { return };
        stream.outgoing.interrupt();
        stream.interpreter = None;
        let other = match std::mem::replace(&mut stream.activity, Activity::Idle) {
            Activity::Idle | Activity::Echo | Activity::Playing(_) => return,
            Activity::Mixed { place, .. } => return self.leave_mix(place, slot),
            Activity::Copying(from) => {
                if let Some(from) = self.stream_in(from) {
                    from.forks.retain(|fork| *fork != slot);
                }
                return;
            }
            Activity::Bridged(other) => other,
        };
        if let Some(peer) = self.stream_in(other)
            && matches!(peer.activity, Activity::Bridged(back) if back == slot)
        {
            peer.outgoing.interrupt();
            peer.interpreter = None;
            peer.activity = Activity::Idle;
        }
    }

    /// Passes RTP on to the stream in `slot`: its payload type, its numbers, the same payload.
    fn pass(&mut self, slot: u32, accepted: &Accepted, bytes: &mut [u8], now: Instant) -> Option<Forward> {
        let stream = self.streams[slot as usize].as_deref_mut()?;
        let Some(to) = stream.destination() else {
            stream.outgoing.interrupt();
            return None;
        };
        let agreed = stream.agreed.as_ref()?;
        let (translation, packet_time) = (agreed.translate(accepted.format), agreed.packet_time);
        if stream.interpret_for(accepted, &bytes[accepted.payload.clone()]) {
            self.start_pacing(slot, now);
            return None;
        }
        if let Some(interpreter) = &mut stream.interpreter {
            interpreter.pass_over(&accepted.header);
        }
        let is_event = accepted.format.meaning == Meaning::Event;
        // What is left of a key that was told already, or was pressed before a hold, would be another key here.
        let is_rest = is_event && accepted.keys.is_empty() && !stream.outgoing.passes_on(&accepted.header);
        // A key that begins while others are being pressed here, or wait for that, is pressed after them.
        let is_next =
            is_event && !accepted.keys.is_empty() && !stream.keys.is_empty() && translation.is_some();
        let Some(translation) = translation.filter(|_| !is_rest && !is_next && !stream.keys.take_over())
        else {
            stream.outgoing.skip(&accepted.header);
            if is_next {
                for key in &accepted.keys {
                    stream.keys.press(key.digit, key.held.max(CONVERTED));
                }
            }
            return None;
        };
        let passing = Passing {
            header: accepted.header,
            octets: accepted.payload.len(),
            payload_type: translation.payload_type,
            clock_rate: accepted.format.clock_rate,
            event: is_event,
        };
        let header = stream.outgoing.pass(&passing, packet_time, now)?;
        let mut end = accepted.payload.end;
        if let Meaning::Sound(coding) = accepted.format.meaning
            && accepted.sounds_of_key
            && stream.wants_no_tones()
        {
            end = accepted.payload.start + coding.hush(&mut bytes[accepted.payload.clone()]);
        }
        if let Some(law) = translation.convert {
            law.convert_to_other(&mut bytes[accepted.payload.start..end]);
        }
        let start = accepted.payload.start - Header::LENGTH;
        bytes[start..accepted.payload.start].copy_from_slice(&header.to_bytes());
        if stream.seal.is_on() {
            // Sealed it is longer than it came.
            let (port, seal) = (stream.port(Channel::Rtp), &mut stream.seal);
            self.outbox.send(port, to, |out| {
                let begin = out.len();
                out.extend_from_slice(&bytes[start..end]);
                seal.seal(out, begin);
            });
            return None;
        }
        Some(Forward { port: stream.port(Channel::Rtp), to, range: start..end })
    }

    /// Sends the nth copy of RTP that has arrived at the stream in slot `from`.
    fn copy(&mut self, n: usize, from: u32, accepted: &Accepted, bytes: &[u8], now: Instant) {
        let fork = self.stream_in(from).and_then(|stream| stream.forks.get(n).copied());
        let Some(slot) = fork else { return };
        let Some(stream) = self.streams[slot as usize].as_deref_mut() else { return };
        if matches!(stream.activity, Activity::Copying(source) if source == from) {
            let payload = &bytes[accepted.payload.clone()];
            if stream.destination().is_some() && stream.interpret_for(accepted, payload) {
                return self.start_pacing(slot, now);
            }
            stream.copy(accepted, payload, now, &mut self.outbox);
        }
    }

    /// Arms the pace of a stream that makes something itself, a packet time after the last one at the earliest.
    pub(super) fn start_pacing(&mut self, slot: u32, now: Instant) {
        let Some(stream) = self.stream_in(slot) else { return };
        if !stream.makes_something() || stream.agreed.is_none() || self.timers.is_set(slot, Kind::Pace) {
            return;
        }
        let Some(stream) = self.stream_in(slot) else { return };
        // What was passed on is heard to its end as well.
        let last = stream.paced.max(stream.outgoing.at());
        let free = last.map_or(now, |last| now.max(last + stream.packet_time()));
        let due = Instant::from_nanos(free.as_nanos().next_multiple_of(GRID));
        self.timers.set(slot, Kind::Pace, Some(due));
    }

    fn on_pace(&mut self, slot: u32, due: Instant, now: Instant) {
        let Some(stream) = self.streams[slot as usize].as_deref_mut() else { return };
        let packet_time = stream.packet_time();
        // Who was kept from sending does not make up for it in a burst: the schedule moves.
        let due = if now.since(due) > packet_time * PATIENCE {
            stream.talkspurt = None;
            now
        } else {
            due
        };
        if stream.pace(due, &mut self.outbox) {
            // What follows at once begins here.
            stream.activity = Activity::Idle;
            self.outbox.tell(Event::Finished(stream.id));
        } else {
            stream.paced = Some(due);
        }
        let goes_on = stream.makes_something();
        self.timers.set(slot, Kind::Pace, goes_on.then(|| due + packet_time));
    }

    fn on_report_due(&mut self, slot: u32, now: Instant) {
        let Some(stream) = self.streams[slot as usize].as_deref_mut() else { return };
        stream.report(&self.settings, false, now, &mut self.outbox);
        let wait = stream.reporting.next_interval(&mut stream.dice);
        self.timers.set(slot, Kind::Report, Some(now + wait));
    }

    fn on_silence(&mut self, slot: u32, now: Instant) {
        let Some(stream) = self.streams[slot as usize].as_deref_mut() else { return };
        let again = stream.incoming.missing_at(now);
        if again.is_none() {
            self.outbox.tell(Event::TimedOut(stream.id));
        }
        self.timers.set(slot, Kind::Silence, again);
    }

    pub(super) fn slot_of(&self, id: StreamId) -> Option<u32> {
        self.slots.get(&id).copied()
    }

    pub(super) fn stream_in(&mut self, slot: u32) -> Option<&mut Stream> {
        self.streams.get_mut(slot as usize)?.as_deref_mut()
    }

    fn stream_at(&mut self, port: Port) -> Option<&mut Stream> {
        self.stream_in(port.slot).filter(|stream| stream.id == port.stream)
    }
}

/// Lets a player play for the codec that was agreed on.
fn tune(stream: &mut Stream, waves: &mut Waves) {
    let voice = stream.agreed.as_ref().and_then(Agreed::voice);
    if let (Activity::Playing(player), Some((_, coding))) = (&mut stream.activity, voice) {
        player.tune(coding, waves);
    }
}
