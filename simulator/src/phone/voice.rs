//! The sound of one call at a telephone: RTP every 20 ms while it may send, what it hears while it listens, keys.

use super::hearing::Listening;
use super::misbehaviour::{Misbehaviour, Ways};
use super::seal::Seal;
use super::sound::{self, Sound};
use super::wideband::Wideband;
use pbx::audio::{Coding, Law, NARROWBAND};
use pbx::rng::Rng;
use pbx::rtp::event::{self, Payload};
use pbx::rtp::packet::{Header, View};
use pbx::sdp::{Agreement, Codec, Direction};
use pbx::time::{Duration, Instant};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;

const PACKET: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
/// How long a key is held, and how many packets it is let go before the next.
const KEY: Duration = Duration::from_millis(100);
const KEY_PACKETS: u32 = 5;
const KEY_PAUSE: u32 = 5;

/// How often somebody who pauses says what noise there is: ten times in five seconds.
const NOISE_EVERY: u32 = 25;

/// After so many packets a telephone that changes its stream does it.
const CHANGES_AFTER: u64 = 100;

/// How long a telephone that keeps talking does so.
const KEEPS_TALKING: Duration = Duration::from_secs(3);

/// How far the port is from the announced one, from which a telephone sends that sends from elsewhere.
pub(super) const ELSEWHERE: u16 = 10_000;

/// One call's RTP.
pub(super) struct Voice {
    /// Where RTP of this call is received.
    pub(super) local: SocketAddr,
    /// Whether it is received at all.
    pub(super) is_open: bool,
    pub(super) listening: Listening,
    pub(super) keys_heard: String,
    /// Whether nothing is sent while nothing is said.
    pub(super) pauses: bool,
    /// How far the noise of a pause is below the loudest that can be said, where it tells that (RFC 3389).
    pub(super) noise: Option<u8>,
    pub(super) ways: Ways,
    /// Packets that could not be opened.
    pub(super) unopened: u32,
    seal: Option<Seal>,
    /// What makes and reads a codec that is not G.711.
    wideband: Option<Wideband>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    sent: u64,
    agreed: Option<Agreed>,
    sound: Sound,
    position: u64,
    /// Whether the packet time before this one was sent: sound that goes on is not marked.
    goes_on: bool,
    /// How many packet times the pause has lasted.
    paused: u32,
    next_at: Option<Instant>,
    /// Nothing is sent since then; the clock of the stream goes on.
    quiet_since: Option<Instant>,
    /// Nothing is sent from then on.
    ends_at: Option<Instant>,
    keys: VecDeque<char>,
    pressing: Option<Pressing>,
    pause: u32,
    /// Keys that are pressed as tones in the audio.
    tones: VecDeque<char>,
    /// How many packets of the first of them have been sent.
    toned: u32,
    events: event::Receiver,
}

/// What the offer and the answer say.
struct Agreed {
    remote: Option<SocketAddr>,
    codec: Codec,
    coding: Coding,
    /// What may come: every codec that both have listed (RFC 3264 section 6.1).
    listed: Vec<(u8, Coding)>,
    event_type: Option<u8>,
    noise_type: Option<u8>,
    direction: Direction,
}

struct Pressing {
    sender: event::Sender,
    timestamp: u32,
}

impl Voice {
    pub(super) fn new(local: SocketAddr, sound: Sound, rng: &mut Rng) -> Voice {
        Voice {
            local,
            is_open: true,
            listening: Listening::default(),
            keys_heard: String::new(),
            pauses: false,
            noise: None,
            ways: Ways::default(),
            unopened: 0,
            seal: None,
            wideband: None,
            ssrc: rng.u32(),
            sequence: rng.u32() as u16,
            timestamp: rng.u32(),
            sent: 0,
            agreed: None,
            sound,
            position: 0,
            goes_on: false,
            paused: 0,
            next_at: None,
            quiet_since: None,
            ends_at: None,
            keys: VecDeque::new(),
            pressing: None,
            pause: 0,
            tones: VecDeque::new(),
            toned: 0,
            events: event::Receiver::default(),
        }
    }

    /// This holds from now on.
    pub(super) fn agree(&mut self, agreement: &Agreement, now: Instant) {
        let listed: Vec<(&Codec, Coding)> =
            agreement.codecs.iter().filter_map(|codec| Some((codec, coding(codec)?))).collect();
        let Some((codec, coding)) = listed.first().copied() else { return };
        let wide = listed.iter().map(|(_, coding)| *coding).find(|coding| coding.law().is_none());
        if self.wideband.as_ref().map(Wideband::coding) != wide {
            self.wideband = wide.and_then(Wideband::new);
        }
        let is_kept = |seal: &Seal| agreement.protection.as_ref().is_some_and(|agreed| seal.is_of(agreed));
        if !self.seal.as_ref().is_some_and(is_kept) {
            self.seal = agreement.protection.as_ref().map(Seal::new);
            if self.seal.is_some() && self.sent == 0 {
                // The first numbers of a sealed stream do not begin again soon (RFC 3711 section 3.3.1).
                self.sequence &= 0x7fff;
            }
        }
        self.agreed = Some(Agreed {
            remote: agreement.remote.rtp,
            codec: codec.clone(),
            coding,
            listed: listed.iter().map(|(codec, coding)| (codec.payload_type, *coding)).collect(),
            event_type: agreement.telephone_event.as_ref().map(|codec| codec.payload_type),
            noise_type: agreement
                .codecs
                .iter()
                .find(|codec| codec.is_comfort_noise())
                .map(|codec| codec.payload_type),
            direction: agreement.direction,
        });
        self.next_at.get_or_insert(now);
    }

    /// Nothing is sent or heard any more.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.ways.has(Misbehaviour::KeepsTalking) && self.next_at.is_some() {
            self.ends_at = Some(now + KEEPS_TALKING);
            return;
        }
        self.agreed = None;
        self.next_at = None;
        self.quiet_since = None;
    }

    /// Whether nothing is left to be sent.
    pub(super) fn has_stopped(&self) -> bool {
        self.next_at.is_none()
    }

    pub(super) fn play(&mut self, sound: Sound, now: Instant) {
        self.sound = sound;
        self.position = 0;
        self.speak_up(now);
    }

    pub(super) fn press(&mut self, keys: &str, now: Instant) {
        self.keys.extend(keys.chars().filter(|key| !key.is_whitespace()));
        self.speak_up(now);
    }

    /// The same as tones in the audio (ITU-T Q.23).
    pub(super) fn press_in_band(&mut self, keys: &str) {
        self.tones.extend(keys.chars().filter(|key| !key.is_whitespace()));
    }

    /// Where it sends to, and the number that its next packet has: source, sequence, timestamp.
    pub(super) fn stream(&self) -> Option<(SocketAddr, Header)> {
        let agreed = self.agreed.as_ref()?;
        Some((agreed.remote?, self.header(false, agreed.codec.payload_type, self.timestamp)))
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.agreed.is_some() && self.seal.is_some()
    }

    /// The name of the codec it speaks in.
    pub(super) fn codec(&self) -> Option<&str> {
        self.agreed.as_ref().map(|agreed| agreed.codec.name.as_str())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next_at
    }

    /// Where packets come from: usually from where they are to be sent to.
    pub(super) fn source(&self) -> SocketAddr {
        let mut source = self.local;
        if self.ways.has(Misbehaviour::SendsFromElsewhere) {
            source.set_port(source.port() + ELSEWHERE);
        }
        source
    }

    /// Puts the next packet into `packet`, when it is time for one; returns whereto it goes.
    pub(super) fn handle_timeout(&mut self, now: Instant, packet: &mut Vec<u8>) -> Option<SocketAddr> {
        let at = self.next_at.filter(|at| *at <= now)?;
        if self.sound == Sound::Off
            && self.keys.is_empty()
            && self.pressing.is_none()
            && self.pause == 0
            && self.tones.is_empty()
        {
            self.next_at = None;
            self.quiet_since = Some(at);
            self.goes_on = false;
            return None;
        }
        if self.ends_at.is_some_and(|end| end <= now) {
            self.agreed = None;
            self.next_at = None;
            return None;
        }
        let is_fast = self.ways.has(Misbehaviour::ClockTooFast);
        self.next_at = Some(at + if is_fast { PACKET * 99 / 100 } else { PACKET });
        self.change_stream();
        let (timestamp, position) = (self.timestamp, self.position);
        // The clock of the stream goes on whether anything is sent or not.
        self.timestamp = timestamp.wrapping_add(SAMPLES as u32);
        self.position += SAMPLES as u64;
        let went_on = std::mem::take(&mut self.goes_on);
        let agreed = self.agreed.as_ref()?;
        let remote = agreed.remote?;
        if !agreed.direction.sends() {
            return None;
        }
        if self.key_packet(timestamp, packet).is_none() {
            self.sound_packet(!went_on, timestamp, position, packet)?;
        }
        if let Some(seal) = &mut self.seal {
            seal.seal(packet);
        }
        // What follows the noise of a pause is the first of what is said.
        self.goes_on = self.paused == 0;
        self.sent += 1;
        Some(remote)
    }

    /// RTP has come.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        let opened = match &mut self.seal {
            Some(seal) => seal.open(bytes).map(Cow::Owned),
            None => Some(Cow::Borrowed(bytes)),
        };
        let Some(bytes) = opened else {
            self.unopened += 1;
            return;
        };
        let bytes = &*bytes;
        let (Some(agreed), Ok(view)) = (&self.agreed, View::of(bytes)) else { return };
        let payload = &bytes[view.payload];
        let Header { payload_type, timestamp, ssrc, .. } = view.header;
        let listed = agreed.listed.iter().find(|(listed, _)| *listed == payload_type);
        if let Some((_, coding)) = listed.copied() {
            if let Some(law) = coding.law() {
                self.listening.receive_codes(ssrc, timestamp, (law, payload), now);
            } else if let Some(wideband) = &mut self.wideband {
                self.listening.receive(ssrc, timestamp, wideband.hear(payload), now);
            }
        } else if let (true, [level, ..]) = (Some(payload_type) == agreed.noise_type, payload) {
            self.listening.pause(ssrc, timestamp, *level & 0x7f, now);
        } else if Some(payload_type) == agreed.event_type
            && let Some(key) =
                Payload::of(payload).and_then(|payload| self.events.receive(timestamp, payload))
        {
            self.keys_heard.push(key);
        }
    }

    /// Packets go out again after a time without any, on the clock of the stream.
    fn speak_up(&mut self, now: Instant) {
        let Some(since) = self.quiet_since.take() else { return };
        let packets = now.since(since).as_nanos().div_ceil(PACKET.as_nanos()) as u32;
        self.timestamp = self.timestamp.wrapping_add(packets * SAMPLES as u32);
        self.next_at = Some(since + PACKET * packets);
    }

    /// The packet of what is said; none in a pause of somebody who leaves pauses out (RFC 3551 section 4.1).
    fn sound_packet(
        &mut self,
        marker: bool,
        timestamp: u32,
        position: u64,
        packet: &mut Vec<u8>,
    ) -> Option<()> {
        let agreed = self.agreed.as_ref().filter(|_| self.sound != Sound::Off || !self.tones.is_empty())?;
        // Who lets the other side wait does not want to be overheard.
        let is_speaking = agreed.direction == Direction::SendRecv;
        let key = self.tones.front().copied().filter(|_| is_speaking);
        let is_silent = key.is_none() && (!is_speaking || self.sound.is_silent(position));
        if is_silent && self.pauses {
            return self.noise_packet(timestamp, packet);
        }
        self.paused = 0;
        let header = self.header(marker, agreed.codec.payload_type, timestamp);
        let law = agreed.coding.law().unwrap_or(Law::Mu);
        let mut samples = [law.silence(); SAMPLES];
        match key {
            Some(key) if self.toned < KEY_PACKETS => {
                sound::fill_key(key, u64::from(self.toned) * SAMPLES as u64, law, &mut samples);
            }
            // The pause after a key.
            Some(_) => {}
            None if is_speaking => self.sound.fill(position, law, &mut samples),
            None => {}
        }
        packet.extend(header.to_bytes());
        match self.wideband.as_mut().filter(|wideband| wideband.coding() == agreed.coding) {
            Some(wideband) => wideband.say(samples.iter().map(|code| law.decode(*code)), packet),
            None => packet.extend(samples),
        }
        if key.is_some() {
            self.toned += 1;
            if self.toned == KEY_PACKETS + KEY_PAUSE {
                self.toned = 0;
                self.tones.pop_front();
            }
        }
        self.sequence = self.sequence.wrapping_add(1);
        Some(())
    }

    /// What noise is to be heard in a pause: at its beginning, and again now and then.
    fn noise_packet(&mut self, timestamp: u32, packet: &mut Vec<u8>) -> Option<()> {
        let (level, number) = self.noise.zip(self.agreed.as_ref()?.noise_type)?;
        let is_due = self.paused.is_multiple_of(NOISE_EVERY);
        self.paused += 1;
        if !is_due {
            return None;
        }
        packet.extend(self.header(false, number, timestamp).to_bytes());
        packet.push(level);
        self.sequence = self.sequence.wrapping_add(1);
        Some(())
    }

    /// The next packet of a key that is pressed (RFC 4733), when one is.
    fn key_packet(&mut self, timestamp: u32, packet: &mut Vec<u8>) -> Option<()> {
        let event_type = self.agreed.as_ref()?.event_type?;
        if self.pressing.is_none() && self.pause == 0 {
            let key = self.keys.pop_front()?;
            let sender = event::Sender::new(key, KEY, PACKET, NARROWBAND)?;
            self.pressing = Some(Pressing { sender, timestamp });
        }
        let Some(pressing) = &mut self.pressing else {
            self.pause -= 1;
            return None;
        };
        let Some(report) = pressing.sender.poll() else {
            self.pressing = None;
            self.pause = KEY_PAUSE;
            return None;
        };
        let timestamp = pressing.timestamp;
        packet.extend(self.header(report.first, event_type, timestamp).to_bytes());
        packet.extend(report.payload.to_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        Some(())
    }

    /// Another source, number and time from one packet to the next, as after a restart of its sound card.
    fn change_stream(&mut self) {
        if self.sent == CHANGES_AFTER && self.ways.has(Misbehaviour::ChangesItsStream) {
            self.ssrc = self.ssrc.wrapping_mul(0x9E37_79B1) ^ 0x5bd1_e995;
            self.sequence = self.sequence.wrapping_add(30_000);
            self.timestamp = self.timestamp.wrapping_add(0x4000_0000);
        }
    }

    fn header(&self, marker: bool, payload_type: u8, timestamp: u32) -> Header {
        Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc }
    }
}

/// What a telephone here can say and hear: all whose timestamps count 8000 in a second.
fn coding(codec: &Codec) -> Option<Coding> {
    Coding::named(&codec.name, codec.clock_rate, codec.channels)
        .filter(|coding| coding.clock_rate() == NARROWBAND)
}
