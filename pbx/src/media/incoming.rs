//! What arrives at a stream: counted, listened to for keys, and missed when it stays away.

use super::agreed::{Format, Meaning};
use super::hearing::Hearing;
use super::playout::Content;
use crate::audio::resample::Halfband;
use crate::audio::{Coding, Decoder, NARROWBAND};
use crate::rtp::{self, Arrival, Header, Receiver, event};
use crate::time::{Duration, Instant};
use crate::tone::dtmf::Detector;
use crate::tone::scan::Instruments;
use smallvec::SmallVec;

#[derive(Debug)]
pub(super) struct Incoming {
    receiver: Option<Receiver>,
    clock_rate: u32,
    events: event::Receiver,
    ear: Option<Box<Ear>>,
    heard_event: bool,
    last_heard: Option<Instant>,
    silence: Option<Silence>,
    counted: Counted,
    /// What is said, while somebody mixes or records it.
    pub(super) hearing: Option<Box<Hearing>>,
}

/// Listens for keys in the audio as it arrives.
#[derive(Debug, Default)]
struct Ear {
    detector: Detector,
    /// What makes narrowband sound of another codec than G.711.
    narrowing: Option<Narrowing>,
}

#[derive(Debug)]
struct Narrowing {
    coding: Coding,
    decoder: Decoder,
    fitting: Halfband,
    sound: Vec<i16>,
    narrow: Vec<i16>,
}

/// A key that was heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) digit: char,
    pub(super) held: Duration,
    pub(super) as_event: bool,
}

/// The keys that one packet is the first to tell.
pub(super) type Keys = SmallVec<[Key; 1]>;

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) refused: u64,
    lost_before: i64,
}

/// How long RTP may be missing.
#[derive(Clone, Copy, Debug)]
struct Silence {
    after: Duration,
    since: Instant,
    told: bool,
}

impl Incoming {
    pub(super) fn new() -> Incoming {
        Incoming {
            receiver: None,
            clock_rate: NARROWBAND,
            events: event::Receiver::default(),
            ear: None,
            heard_event: false,
            last_heard: None,
            silence: None,
            counted: Counted::default(),
            hearing: None,
        }
    }

    /// How long RTP may be missing from now on, and whether keys are listened for in the audio.
    pub(super) fn agree(&mut self, timeout: Option<Duration>, detect: bool, now: Instant) {
        self.silence = timeout.map(|after| Silence { after, since: now, told: false });
        if detect != self.ear.is_some() {
            self.ear = detect.then(Box::default);
        }
    }

    /// Something came that is not taken.
    pub(super) fn refuse(&mut self) {
        self.counted.refused += 1;
    }

    /// Counts a packet; `None` when it is far from its sequence.
    pub(super) fn count(
        &mut self,
        header: &Header,
        octets: usize,
        clock_rate: u32,
        now: Instant,
    ) -> Option<Arrival> {
        let receiver = match &mut self.receiver {
            Some(receiver) if receiver.ssrc() == header.ssrc => receiver,
            other => {
                if let Some(before) = other {
                    self.counted.lost_before += before.lost_in_all();
                    self.events = event::Receiver::default();
                }
                other.insert(Receiver::new(header))
            }
        };
        self.clock_rate = clock_rate;
        let arrival = receiver.receive(header, rtp::units(now.since(Instant::START), clock_rate));
        if arrival == Arrival::Refused {
            return None;
        }
        if arrival == Arrival::Restarted {
            self.events = event::Receiver::default();
        }
        self.counted.packets += 1;
        self.counted.bytes += octets as u64;
        Some(arrival)
    }

    /// RTP is there. When it was told missing, this is when it would be missing again.
    pub(super) fn is_back(&mut self, now: Instant) -> Option<Instant> {
        self.last_heard = Some(now);
        let silence = self.silence.as_mut().filter(|silence| silence.told)?;
        silence.told = false;
        Some(now + silence.after)
    }

    /// Whether RTP is missing at `now`; else when it would be.
    pub(super) fn missing_at(&mut self, now: Instant) -> Option<Instant> {
        let silence = self.silence.as_mut()?;
        let at = self.last_heard.map_or(silence.since, |heard| heard.max(silence.since)) + silence.after;
        if at > now {
            return Some(at);
        }
        silence.told = true;
        None
    }

    /// Keys, as events or in the audio. Where events come, the audio is not listened to: no key is heard twice.
    pub(super) fn listen(
        &mut self,
        header: &Header,
        format: Format,
        payload: &[u8],
        instruments: &mut Instruments,
    ) -> Keys {
        let mut keys = Keys::new();
        if let Some(hearing) = &mut self.hearing {
            let content = match (format.meaning, payload.first()) {
                (Meaning::Sound(coding), _) => Content::Sound(coding),
                (Meaning::Noise, Some(level)) => Content::Noise(*level),
                (Meaning::Noise | Meaning::Event | Meaning::Other(_), _) => Content::Else,
            };
            hearing.receive(header, content, payload);
        }
        match format.meaning {
            Meaning::Event => {
                self.heard_event = true;
                let Some(payload) = event::Payload::of(payload) else { return keys };
                if let Some(digit) = self.events.receive(header.timestamp, payload) {
                    let seconds = f64::from(payload.duration) / f64::from(format.clock_rate);
                    keys.push(Key { digit, held: Duration::from_secs_f64(seconds), as_event: true });
                }
            }
            Meaning::Sound(coding) => {
                if let Some(ear) = self.ear.as_mut().filter(|_| !self.heard_event) {
                    ear.listen(coding, payload, instruments, |digit| {
                        keys.push(Key { digit, held: Detector::CERTAIN_AFTER, as_event: false });
                    });
                }
            }
            Meaning::Noise | Meaning::Other(_) => {}
        }
        keys
    }

    /// Whether a key sounds in the audio that came last.
    pub(super) fn sounds_of_key(&self) -> bool {
        !self.heard_event && self.ear.as_ref().is_some_and(|ear| ear.detector.hears_key())
    }

    /// What a report says of it.
    pub(super) fn receiver(&mut self) -> Option<&mut Receiver> {
        self.receiver.as_mut()
    }

    /// Units a second of its timestamps.
    pub(super) fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    pub(super) fn counted(&self) -> Counted {
        self.counted
    }

    /// Packets that were expected and did not come.
    pub(super) fn lost(&self) -> i64 {
        self.counted.lost_before + self.receiver.as_ref().map_or(0, Receiver::lost_in_all)
    }

    /// Interarrival jitter.
    pub(super) fn jitter(&self) -> Duration {
        self.receiver.as_ref().map_or(Duration::ZERO, |receiver| {
            Duration::from_secs_f64(f64::from(receiver.jitter()) / f64::from(self.clock_rate))
        })
    }
}

impl Ear {
    fn listen(
        &mut self,
        coding: Coding,
        payload: &[u8],
        instruments: &mut Instruments,
        pressed: impl FnMut(char),
    ) {
        if let Some(law) = coding.law() {
            let samples = payload.iter().map(|code| law.decode(*code));
            return self.detector.receive(samples, instruments, pressed);
        }
        if self.narrowing.as_ref().is_none_or(|narrowing| narrowing.coding != coding) {
            self.narrowing = Narrowing::new(coding);
        }
        let Some(narrowing) = &mut self.narrowing else { return };
        self.detector.receive(narrowing.narrow(payload).iter().copied(), instruments, pressed);
    }
}

impl Narrowing {
    fn new(coding: Coding) -> Option<Narrowing> {
        let (decoder, fitting) = (Decoder::new(coding), Halfband::new(coding.rate(), NARROWBAND)?);
        Some(Narrowing { coding, decoder, fitting, sound: Vec::new(), narrow: Vec::new() })
    }

    fn narrow(&mut self, payload: &[u8]) -> &[i16] {
        self.sound.clear();
        self.narrow.clear();
        self.decoder.decode(payload, &mut self.sound);
        self.fitting.resample(&self.sound, &mut self.narrow);
        &self.narrow
    }
}
