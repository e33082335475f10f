//! What a stream sends of its own making, packet time by packet time: what is played, what a mix says, what the other one says
//! in another codec, keys.

use super::Channel;
use super::agreed::{Agreed, Format};
use super::interpreter::Interpreter;
use super::outbox::Outbox;
use super::player::{Keys, samples};
use super::speaker::Speaker;
use super::stream::{Activity, Stream};
use crate::audio::Coding;
use crate::rtp::{self, Header, event};
use crate::time::{Duration, Instant};
use std::net::SocketAddr;

/// Samples of the longest packet, 200 ms.
const LONGEST: usize = 1600;

/// Whom a packet is for, and in what.
#[derive(Clone, Copy)]
struct Target {
    to: SocketAddr,
    format: Format,
    coding: Coding,
    packet_time: Duration,
}

/// What there is to say with.
struct Voices<'a> {
    activity: &'a Activity,
    interpreter: &'a mut Option<Box<Interpreter>>,
    speaker: &'a mut Option<Box<Speaker>>,
}

impl Stream {
    /// One packet time of what we make ourselves, as if it were made when it was due. Returns whether what was played
    /// is over: nothing is made, as the last packet has had its time.
    pub(super) fn pace(&mut self, due: Instant, out: &mut Outbox) -> bool {
        if !self.keys.is_empty() && self.press(due, out) {
            return false;
        }
        match &self.activity {
            Activity::Playing(player) if player.is_finished() => return true,
            Activity::Playing(_) | Activity::Mixed { .. } => self.make(due, out),
            Activity::Bridged(_) | Activity::Copying(_) if self.interpreter.is_some() => {
                self.interpret(due, out)
            }
            Activity::Idle | Activity::Bridged(_) | Activity::Echo | Activity::Copying(_) => {}
        }
        false
    }

    /// What is played, or what the mix says.
    fn make(&mut self, due: Instant, out: &mut Outbox) {
        let length = samples(self.packet_time());
        let continues = self.talkspurt.take();
        if let Some(target) = self.target() {
            self.say(target, continues, due, out, |mut voices, payload| {
                match (voices.activity, target.coding.law()) {
                    // A tone is ready in both laws, so that it costs no more than a copy.
                    (Activity::Playing(player), Some(law)) => {
                        let start = payload.len();
                        payload.resize(start + length, 0);
                        player.fill(law, &mut payload[start..]);
                    }
                    (activity, _) => {
                        let mut frame = [0; LONGEST];
                        let frame = &mut frame[..length.min(LONGEST)];
                        match activity {
                            Activity::Playing(player) => player.sample(frame),
                            Activity::Mixed { ear, .. } => ear.fill(frame),
                            Activity::Idle | Activity::Bridged(_) | Activity::Echo | Activity::Copying(_) => {
                            }
                        }
                        voices.speak(target.coding, frame, payload);
                    }
                }
                true
            });
        }
        match &mut self.activity {
            Activity::Playing(player) => player.advance(length),
            Activity::Mixed { ear, .. } => ear.advance(length),
            Activity::Idle | Activity::Bridged(_) | Activity::Echo | Activity::Copying(_) => {}
        }
    }

    /// What the other one says.
    fn interpret(&mut self, due: Instant, out: &mut Outbox) {
        let Some(target) = self.target() else { return self.interpreter = None };
        let continues = self.talkspurt.take();
        self.say(target, continues, due, out, |voices, payload| {
            voices.interpreter.as_mut().is_some_and(|own| own.say(target.packet_time, payload))
        });
    }

    /// Keys; `false` when none is pressed in this packet time.
    fn press(&mut self, due: Instant, out: &mut Outbox) -> bool {
        let format = self.agreed.as_ref().and_then(Agreed::event);
        let (Some(to), Some(format)) = (self.destination(), format) else { return self.sound_key(due, out) };
        let packet_time = self.packet_time();
        let timestamp = self.outgoing.timestamp_at(due, packet_time, format.clock_rate);
        let Some(press) = self.keys.poll(timestamp, packet_time, format.clock_rate) else { return false };
        let header = self.outgoing.number(
            press.report.first,
            format.payload_type,
            press.timestamp,
            event::Payload::LENGTH,
            due,
        );
        out.send(self.port(Channel::Rtp), to, |bytes| {
            let start = bytes.len();
            bytes.extend_from_slice(&header.to_bytes());
            bytes.extend_from_slice(&press.report.payload.to_bytes());
            self.seal.seal(bytes, start);
        });
        self.talkspurt = None;
        true
    }

    /// The same as tone in the audio, for those who know no events.
    fn sound_key(&mut self, due: Instant, out: &mut Outbox) -> bool {
        let Some(target) = self.target() else {
            // Nobody would hear them.
            self.keys = Keys::default();
            return false;
        };
        let mut frame = [0; LONGEST];
        let frame = &mut frame[..samples(target.packet_time).min(LONGEST)];
        if !self.keys.poll_tone(frame) {
            return false;
        }
        self.say(target, None, due, out, |mut voices, payload| {
            voices.speak(target.coding, frame, payload);
            true
        });
        true
    }

    /// Whom we may send sound to, and in which codec.
    fn target(&self) -> Option<Target> {
        let (to, packet_time) = (self.destination()?, self.packet_time());
        let (format, coding) = self.agreed.as_ref().and_then(Agreed::voice)?;
        Some(Target { to, format, coding, packet_time })
    }

    /// Sends one packet; `write` appends its payload, or says that there is none. Its timestamp is the one with which a
    /// talkspurt goes on, or the time.
    fn say(
        &mut self,
        target: Target,
        continues: Option<u32>,
        due: Instant,
        out: &mut Outbox,
        write: impl FnOnce(Voices<'_>, &mut Vec<u8>) -> bool,
    ) {
        let Target { to, format, packet_time, .. } = target;
        let port = self.port(Channel::Rtp);
        let units = rtp::units(packet_time, format.clock_rate);
        let timestamp =
            continues.unwrap_or_else(|| self.outgoing.timestamp_at(due, packet_time, format.clock_rate));
        let marker = continues.is_none() && !self.outgoing.goes_on(timestamp, units);
        let Stream { activity, interpreter, speaker, outgoing, seal, talkspurt, .. } = self;
        out.send_some(port, to, |bytes| {
            let start = bytes.len();
            bytes.resize(start + Header::LENGTH, 0);
            if !write(Voices { activity, interpreter, speaker }, bytes) {
                return false;
            }
            let octets = bytes.len() - start - Header::LENGTH;
            let header = outgoing.number(marker, format.payload_type, timestamp, octets, due);
            bytes[start..start + Header::LENGTH].copy_from_slice(&header.to_bytes());
            *talkspurt = Some(timestamp.wrapping_add(units));
            seal.seal(bytes, start);
            true
        });
    }
}

impl Voices<'_> {
    /// Appends the payload of narrowband sound.
    fn speak(&mut self, coding: Coding, frame: &[i16], payload: &mut Vec<u8>) {
        if let Some(law) = coding.law() {
            return payload.extend(frame.iter().map(|sample| law.encode(*sample)));
        }
        if !self.speaker.as_ref().is_some_and(|speaker| speaker.is_for(coding)) {
            *self.speaker = Speaker::new(coding).map(Box::new);
        }
        if let Some(speaker) = self.speaker {
            speaker.say(frame, payload);
        }
    }
}
