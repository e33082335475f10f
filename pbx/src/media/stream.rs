//! One stream: its port pair, the other side, what it hears and what it says.

use super::agreed::{Agreed, Format, Meaning};
use super::incoming::{self, Incoming};
use super::interpreter::Interpreter;
use super::latch::{Admission, Latch};
use super::mix::Ear;
use super::outbox::Outbox;
use super::outgoing::{Outgoing, Passing};
use super::player::{Keys, Player};
use super::reporting::{Context, Reporting};
use super::seal::Seal;
use super::speaker::Speaker;
use super::{Channel, Event, Port, Settings, Statistics, StreamId, quality};
use crate::audio::Narrowband;
use crate::rng::Rng;
use crate::rtp::report::Heard;
use crate::rtp::{Arrival, Header, View};
use crate::time::{Duration, Instant};
use crate::tone::scan::Instruments;
use smallvec::SmallVec;
use std::net::SocketAddr;
use std::ops::Range;

/// What is done with the media of a stream.
#[derive(Clone, Debug)]
pub(super) enum Activity {
    Idle,
    /// What arrives goes out at the stream in this slot.
    Bridged(u32),
    Echo,
    Playing(Player),
    /// Hears the mix in this place.
    Mixed {
        place: u32,
        ear: Ear,
    },
    /// What arrives at the stream in this slot goes out here as well.
    Copying(u32),
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) slot: u32,
    pub(super) local: SocketAddr,
    pub(super) bound: [bool; 2],
    pub(super) agreed: Option<Agreed>,
    pub(super) activity: Activity,
    pub(super) outgoing: Outgoing,
    pub(super) keys: Keys,
    /// Turns what the other one says into what is understood here, where that is needed.
    pub(super) interpreter: Option<Box<Interpreter>>,
    /// Says in another codec than G.711 what we make ourselves.
    pub(super) speaker: Option<Box<Speaker>>,
    /// Keys travel by messages.
    pub(super) keeps_keys: bool,
    /// When the last packet of our own making was due.
    pub(super) paced: Option<Instant>,
    /// The timestamp of the next packet of a talkspurt of our own making.
    pub(super) talkspurt: Option<u32>,
    pub(super) reporting: Reporting,
    pub(super) seal: Seal,
    /// Boxed, as it is large and seldom needed.
    pub(super) dice: Box<Rng>,
    /// What arrives.
    pub(super) incoming: Incoming,
    /// Where what arrives goes out as well.
    pub(super) forks: SmallVec<[u32; 2]>,
    latch: Latch,
    rtcp: Option<SocketAddr>,
    cname: String,
}

/// What a stream is lent while something happens to it.
pub(super) struct Lent<'a> {
    pub(super) now: Instant,
    pub(super) settings: &'a Settings,
    pub(super) instruments: &'a mut Instruments,
    pub(super) out: &'a mut Outbox,
}

/// RTP that was taken.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) header: Header,
    pub(super) format: Format,
    pub(super) payload: Range<usize>,
    /// The keys that it is the first to tell.
    pub(super) keys: incoming::Keys,
    /// A key is heard in it.
    pub(super) sounds_of_key: bool,
    /// Fit to be passed on: the other side may send, and this is no duplicate.
    pub(super) passes: bool,
    /// RTP is back after it was told missing: this is when it would be missing again.
    pub(super) missing_at: Option<Instant>,
}

impl Stream {
    pub(super) fn new(id: StreamId, slot: u32, local: SocketAddr, seed: u64, cname: String) -> Stream {
        let mut dice = Rng::from_number(seed);
        let outgoing = Outgoing::new(&mut dice);
        Stream {
            id,
            slot,
            local,
            bound: [false; 2],
            agreed: None,
            activity: Activity::Idle,
            outgoing,
            keys: Keys::default(),
            interpreter: None,
            speaker: None,
            keeps_keys: false,
            paced: None,
            talkspurt: None,
            reporting: Reporting::default(),
            seal: Seal::default(),
            dice: Box::new(dice),
            incoming: Incoming::new(),
            forks: SmallVec::new(),
            latch: Latch::default(),
            rtcp: None,
            cname,
        }
    }

    pub(super) fn port(&self, channel: Channel) -> Port {
        Port { stream: self.id, channel, slot: self.slot }
    }

    /// Takes up an agreement; the first or another one.
    pub(super) fn agree(
        &mut self,
        agreed: Agreed,
        timeout: Option<Duration>,
        detect: bool,
        now: Instant,
        settings: &Settings,
    ) {
        self.latch.agree(agreed.rtp, now, &settings.latching);
        let moved = self.agreed.as_ref().is_none_or(|before| before.rtcp != agreed.rtcp);
        if moved {
            self.rtcp = agreed.rtcp;
        }
        self.incoming.agree(timeout, detect, now);
        self.seal.agree(agreed.protection.as_ref());
        if self.seal.is_on() {
            self.outgoing.start_low();
        }
        self.agreed = Some(agreed);
    }

    /// Where our RTP goes; `None` while we may not send.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.agreed.as_ref().filter(|agreed| agreed.sends).and_then(|_| self.latch.destination())
    }

    pub(super) fn packet_time(&self) -> Duration {
        self.agreed.as_ref().map_or(Duration::from_millis(20), |agreed| agreed.packet_time)
    }

    /// A datagram on the RTP port, which is opened in place where it is sealed. Whatever is not taken is counted as refused.
    pub(super) fn receive_rtp(
        &mut self,
        bytes: &mut [u8],
        from: SocketAddr,
        lent: &mut Lent<'_>,
    ) -> Option<Accepted> {
        let opened = self.seal.open(bytes);
        let accepted = opened.and_then(|length| self.take(&bytes[..length], from, lent));
        if accepted.is_none() {
            self.incoming.refuse();
        }
        accepted
    }

    fn take(&mut self, bytes: &[u8], from: SocketAddr, lent: &mut Lent<'_>) -> Option<Accepted> {
        let View { header, payload } = View::of(bytes).ok()?;
        let agreed = self.agreed.as_ref()?;
        let format = agreed.format(header.payload_type)?;
        let receives = agreed.receives;
        match self.latch.admit(from, &header, lent.now, &lent.settings.latching) {
            Admission::Known => {}
            Admission::Changed => lent.out.tell(Event::SourceChanged { stream: self.id, source: from }),
            Admission::Refused => return None,
        }
        if header.ssrc == self.outgoing.ssrc && !self.outgoing.is_own(&header) {
            self.on_collision(lent);
        }
        let arrival = self.incoming.count(&header, payload.len(), format.clock_rate, lent.now)?;
        if self.incoming.counted().packets == 1 {
            lent.out.tell(Event::FirstPacket(self.id));
        }
        let missing_at = self.incoming.is_back(lent.now);
        let passes = receives && arrival != Arrival::Duplicate;
        let keys = match passes {
            true => self.incoming.listen(&header, format, &bytes[payload.clone()], lent.instruments),
            false => incoming::Keys::new(),
        };
        for key in &keys {
            let (digit, duration, as_event) = (key.digit, key.held, key.as_event);
            lent.out.tell(Event::Dtmf { stream: self.id, digit, duration, as_event });
            self.interrupt(lent.out);
        }
        let sounds_of_key = format.meaning != Meaning::Event && self.incoming.sounds_of_key();
        Some(Accepted { header, format, payload, keys, sounds_of_key, passes, missing_at })
    }

    /// Another source has our SSRC (RFC 3550 section 8.2): we leave with the old one and go on with another.
    ///
    /// Our own packets looped back, as an echo test does it, are no collision: another SSRC would not help.
    fn on_collision(&mut self, lent: &mut Lent<'_>) {
        self.report(lent.settings, true, lent.now, lent.out);
        self.outgoing.change_ssrc(&mut self.dice);
    }

    /// Whether keys of the stream it is bridged with are pressed here, when they come like this: as event for whom knows no
    /// events, or in the audio for whom does.
    pub(super) fn converts(&self, as_event: bool) -> bool {
        let has_events = self.agreed.as_ref().is_some_and(|agreed| agreed.event().is_some());
        !self.keeps_keys && has_events != as_event
    }

    /// Whether a key is not to be heard here in the audio: it comes otherwise.
    pub(super) fn wants_no_tones(&self) -> bool {
        self.keeps_keys || self.agreed.as_ref().is_some_and(|agreed| agreed.event().is_some())
    }

    /// A key was heard: what is played may end with it.
    fn interrupt(&mut self, out: &mut Outbox) {
        if let Activity::Playing(player) = &self.activity
            && player.stops_at_key()
        {
            out.tell(Event::Interrupted { stream: self.id, played: player.played() });
            self.activity = Activity::Idle;
        }
    }

    /// A datagram on the RTCP port.
    pub(super) fn receive_rtcp(
        &mut self,
        bytes: &mut [u8],
        from: SocketAddr,
        now: Instant,
        settings: &Settings,
    ) {
        let Some(length) = self.seal.open_report(bytes) else {
            self.incoming.refuse();
            return;
        };
        let bytes = &bytes[..length];
        let expected = self.agreed.as_ref().is_some_and(|agreed| agreed.rtcp == Some(from));
        let heard = Heard::of(bytes, self.outgoing.ssrc);
        match heard {
            Ok(heard) if expected || (self.agreed.is_some() && self.latch.is_host(from.ip())) => {
                self.reporting.on_report(&heard, bytes.len(), settings.clock, now);
                // Symmetric RTCP: a NAT has given this port another number as well.
                self.rtcp = self.rtcp.map(|_| from);
            }
            Ok(_) | Err(_) => self.incoming.refuse(),
        }
    }

    /// Sends a report, if there is somebody to send it to.
    pub(super) fn report(&mut self, settings: &Settings, bye: bool, now: Instant, out: &mut Outbox) {
        let Some(to) = self.rtcp else { return };
        let context = Context {
            outgoing: &self.outgoing,
            clock_rate: self.incoming.clock_rate(),
            receiver: self.incoming.receiver(),
            cname: &self.cname,
            clock: settings.clock,
            now,
            bye,
        };
        let port = Port { stream: self.id, channel: Channel::Rtcp, slot: self.slot };
        out.send(port, to, |bytes| {
            let start = bytes.len();
            self.reporting.write(context, bytes);
            self.seal.seal_report(bytes, start);
        });
    }

    /// Says goodbye, when we ever said anything (RFC 3550 section 6.3.7).
    pub(super) fn leave(&mut self, settings: &Settings, now: Instant, out: &mut Outbox) {
        if self.outgoing.packets > 0 || self.reporting.has_reported() {
            self.report(settings, true, now, out);
        }
    }

    /// Whether it makes packets itself, and has a pace.
    pub(super) fn makes_something(&self) -> bool {
        matches!(self.activity, Activity::Playing(_) | Activity::Mixed { .. })
            || !self.keys.is_empty()
            || self.interpreter.as_ref().is_some_and(|interpreter| interpreter.is_awake())
    }

    /// What it is to be sent of its mix.
    pub(super) fn hear(&mut self, frame: &Narrowband) {
        if let Activity::Mixed { ear, .. } = &mut self.activity {
            ear.push(frame);
        }
    }

    /// The frame it has said last; `ahead`: one that was made ready, so many frames later.
    pub(super) fn said(&self, ahead: u32) -> Option<Narrowband> {
        self.incoming.hearing.as_deref().map(|hearing| *hearing.frame(ahead))
    }

    /// Lets what has come elsewhere be said here in another codec; `false` where it can go as it is, or not at all.
    pub(super) fn interpret_for(&mut self, accepted: &Accepted, payload: &[u8]) -> bool {
        let Some(agreed) = &self.agreed else { return false };
        let passes = agreed.translate(accepted.format).is_some() && !agreed.is_too_long(payload.len());
        let Some((from, to)) = agreed.interprets(accepted.format).filter(|_| !passes) else { return false };
        if !self.interpreter.as_ref().is_some_and(|known| known.is_for(from, to)) {
            self.interpreter = Interpreter::new(from, to).map(Box::new);
        }
        let is_hushed = accepted.sounds_of_key && self.wants_no_tones();
        if let Some(interpreter) = &mut self.interpreter {
            interpreter.hear(&accepted.header, payload, is_hushed);
        }
        true
    }

    /// Sends a copy of what has arrived elsewhere, in its own numbers; nothing where the other side does not know the codec.
    pub(super) fn copy(&mut self, accepted: &Accepted, payload: &[u8], now: Instant, out: &mut Outbox) {
        let Some(to) = self.destination() else { return self.outgoing.interrupt() };
        let Some(agreed) = &self.agreed else { return };
        let (translation, packet_time) = (agreed.translate(accepted.format), agreed.packet_time);
        if let Some(interpreter) = &mut self.interpreter {
            interpreter.pass_over(&accepted.header);
        }
        let Some(translation) = translation else { return self.outgoing.skip(&accepted.header) };
        let passing = Passing {
            header: accepted.header,
            octets: payload.len(),
            payload_type: translation.payload_type,
            clock_rate: accepted.format.clock_rate,
            event: accepted.format.meaning == Meaning::Event,
        };
        let Some(header) = self.outgoing.pass(&passing, packet_time, now) else { return };
        out.send(self.port(Channel::Rtp), to, |bytes| {
            let start = bytes.len();
            bytes.extend_from_slice(&header.to_bytes());
            bytes.extend_from_slice(payload);
            if let Some(law) = translation.convert {
                law.convert_to_other(&mut bytes[start + Header::LENGTH..]);
            }
            self.seal.seal(bytes, start);
        });
    }

    pub(super) fn statistics(&self) -> Statistics {
        let (counted, lost, jitter) = (self.incoming.counted(), self.incoming.lost(), self.incoming.jitter());
        let round_trip = self.reporting.round_trip;
        let share = lost.max(0) as f64 / (lost.max(0) as f64 + counted.packets as f64).max(1.0);
        let quality = (counted.packets > 0).then(|| quality::judge(share, jitter, round_trip));
        Statistics {
            packets_sent: self.outgoing.packets,
            bytes_sent: self.outgoing.octets,
            packets_received: counted.packets,
            bytes_received: counted.bytes,
            packets_lost: lost,
            packets_refused: counted.refused,
            jitter,
            round_trip,
            remote_loss: self.reporting.remote_loss,
            mos: quality.map(|quality| quality.mos),
            quality,
        }
    }
}
