//! What a stream makes itself: tones and silence, frame by frame; keys as telephone events.

use super::Source;
use crate::audio::{Clip, Coding, Law, NARROWBAND};
use crate::rtp;
use crate::rtp::event;
use crate::time::Duration;
use crate::tone::{Sine, Wave, dtmf};
use std::collections::VecDeque;
use std::sync::Arc;

/// Waves that are kept although nobody plays them.
const WAVES_KEPT: usize = 64;
/// Keys that wait to be pressed.
const KEYS_WAITING: usize = 64;
/// Packet times between two keys (Q.24 asks for 40 ms).
const PAUSE: u8 = 4;
/// The shortest key that is surely heard as one, with room for a receiver that is slow.
const LEAST_TONE: Duration = Duration::from_millis(60);

/// The waves that streams play, so that 500 streams with one tone hold one table.
#[derive(Debug, Default)]
pub(super) struct Waves(Vec<(f64, f64, Law, Wave)>);

impl Waves {
    fn find(&mut self, frequency: f64, level: f64, law: Law) -> Option<Wave> {
        let known = self.0.iter().find(|(f, l, of, _)| *f == frequency && *l == level && *of == law);
        if let Some((.., wave)) = known {
            return Some(wave.clone());
        }
        let wave = Wave::new(frequency, level, law)?;
        if self.0.len() >= WAVES_KEPT {
            self.0.retain(|(.., wave)| wave.is_shared());
        }
        if self.0.len() < WAVES_KEPT {
            self.0.push((frequency, level, law, wave.clone()));
        }
        Some(wave)
    }
}

/// Plays one [`Source`].
#[derive(Clone, Debug)]
pub(super) struct Player {
    source: Source,
    sound: Option<(Coding, Sound)>,
    position: u64,
    /// Samples still to be played; `None`: for ever.
    left: Option<u64>,
    /// Whether the next key ends it.
    stops_at_key: bool,
}

#[derive(Clone, Debug)]
enum Sound {
    /// The second is the same in the law that was tuned for.
    Tone(Sine, Option<Wave>),
    Clip(Arc<Clip>),
    Silence,
}

impl Player {
    /// Nothing is heard before [`Player::tune`].
    pub(super) fn new(source: Source) -> Player {
        let samples = |duration: &Duration| {
            (duration.as_nanos() * u128::from(NARROWBAND)).div_ceil(1_000_000_000) as u64
        };
        let left = match &source {
            Source::Tone { duration, .. } | Source::Silence { duration } => duration.as_ref().map(samples),
            Source::Clip { clip, times } => times.map(|times| u64::from(times) * clip.samples().len() as u64),
        };
        Player { source, sound: None, position: 0, left, stops_at_key: false }
    }

    /// Ends at the next key.
    pub(super) fn stop_at_key(&mut self) {
        self.stops_at_key = true;
    }

    /// Whether a key ends it.
    pub(super) fn stops_at_key(&self) -> bool {
        self.stops_at_key
    }

    /// How much of it is over.
    pub(super) fn played(&self) -> Duration {
        Duration::from_secs_f64(self.position as f64 / f64::from(NARROWBAND))
    }

    /// Plays for this codec from now on.
    pub(super) fn tune(&mut self, coding: Coding, waves: &mut Waves) {
        if self.sound.as_ref().is_some_and(|(tuned, _)| *tuned == coding) {
            return;
        }
        let sound = match &self.source {
            Source::Tone { frequency, level, .. } => Sine::new(*frequency, *level, NARROWBAND).map(|sine| {
                let wave = coding.law().and_then(|law| waves.find(*frequency, *level, law));
                Sound::Tone(sine, wave)
            }),
            Source::Silence { .. } => None,
            Source::Clip { clip, .. } => Some(Sound::Clip(clip.clone())),
        };
        self.sound = Some((coding, sound.unwrap_or(Sound::Silence)));
    }

    /// Writes the codes of the next frame; what is beyond the end is silent.
    pub(super) fn fill(&self, law: Law, frame: &mut [u8]) {
        let left = self.left.map_or(frame.len(), |left| frame.len().min(left as usize));
        let (heard, beyond) = frame.split_at_mut(left);
        match &self.sound {
            Some((_, Sound::Tone(_, Some(wave)))) => wave.fill(self.position, heard),
            Some((_, Sound::Tone(sine, None))) => {
                let codes = (self.position..).map(|n| law.encode(sine.sample(n).round() as i16));
                heard.iter_mut().zip(codes).for_each(|(place, code)| *place = code);
            }
            Some((_, Sound::Clip(clip))) => {
                around(clip.samples(), self.position, heard, |sample| law.encode(sample));
            }
            Some((_, Sound::Silence)) | None => heard.fill(law.silence()),
        }
        beyond.fill(law.silence());
    }

    /// The same as samples.
    pub(super) fn sample(&self, frame: &mut [i16]) {
        let left = self.left.map_or(frame.len(), |left| frame.len().min(left as usize));
        let (heard, beyond) = frame.split_at_mut(left);
        match &self.sound {
            Some((_, Sound::Tone(sine, _))) => {
                for (n, place) in (self.position..).zip(heard) {
                    *place = sine.sample(n).round() as i16;
                }
            }
            Some((_, Sound::Clip(clip))) => around(clip.samples(), self.position, heard, |sample| sample),
            Some((_, Sound::Silence)) | None => heard.fill(0),
        }
        beyond.fill(0);
    }

    /// Time goes on by one frame, heard or not.
    pub(super) fn advance(&mut self, samples: usize) {
        self.position += samples as u64;
        self.left = self.left.map(|left| left.saturating_sub(samples as u64));
    }

    pub(super) fn is_finished(&self) -> bool {
        self.left == Some(0)
    }
}

/// Fills `out` with what follows from sample `from` on in samples that are played again and again.
fn around<T>(samples: &[i16], from: u64, out: &mut [T], made: impl Fn(i16) -> T) {
    let mut from = (from % samples.len() as u64) as usize;
    let mut out = out.iter_mut();
    while out.len() > 0 {
        let rest = &samples[from..];
        rest.iter().zip(&mut out).for_each(|(sample, place)| *place = made(*sample));
        from = 0;
    }
}

/// Presses keys one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    waiting: VecDeque<(char, Duration)>,
    pressed: Option<Pressed>,
    tone: Option<KeyTone>,
    pause: u8,
}

/// A key as it sounds, sample by sample.
#[derive(Clone, Copy, Debug)]
struct KeyTone {
    sines: [Sine; 2],
    position: u64,
    end: u64,
}

/// The level of each of the two sines of a key, in dBm0 (ITU-T Q.24 has -3 to -24 as the levels that are heard).
const KEY_LEVEL: f64 = -9.0;

#[derive(Clone, Debug)]
struct Pressed {
    sender: event::Sender,
    timestamp: u32,
}

/// One packet of a press.
#[derive(Clone, Copy, Debug)]
pub(super) struct Press {
    pub(super) report: event::Report,
    pub(super) timestamp: u32,
}

impl Keys {
    /// One more; `false` when too many wait.
    pub(super) fn press(&mut self, key: char, held: Duration) -> bool {
        let room = self.waiting.len() < KEYS_WAITING && event::number(key).is_some();
        if room {
            self.waiting.push_back((key, held));
        }
        room
    }

    /// Whether a key is being pressed: nothing else is heard meanwhile (RFC 4733 section 3.1 wants no key twice).
    pub(super) fn is_pressed(&self) -> bool {
        self.pressed.is_some() || self.tone.is_some()
    }

    /// Whether nothing else is to be sent: a key is being pressed, or the next packet is the first of one.
    pub(super) fn take_over(&self) -> bool {
        self.is_pressed() || (self.pause <= 1 && !self.waiting.is_empty())
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.is_pressed()
    }

    /// The sound of a key in this packet time, if any: fills the frame. A key is held for at least 40 ms (Q.24).
    pub(super) fn poll_tone(&mut self, frame: &mut [i16]) -> bool {
        // Its last packet has the whole packet time for itself.
        if self.tone.is_some_and(|tone| tone.position >= tone.end) {
            self.tone = None;
            self.pause = PAUSE;
        }
        if self.tone.is_none() {
            self.pause = self.pause.saturating_sub(1);
            if self.pause > 0 {
                return false;
            }
            let Some((key, held)) = self.waiting.pop_front() else { return false };
            self.tone = KeyTone::new(key, held.max(LEAST_TONE));
        }
        let Some(tone) = &mut self.tone else { return false };
        for sample in frame {
            *sample = if tone.position < tone.end { tone.sample() } else { 0 };
            tone.position += 1;
        }
        true
    }

    /// What to send in this packet time, if anything; a press that begins has the timestamp `now`.
    pub(super) fn poll(&mut self, now: u32, packet_time: Duration, clock_rate: u32) -> Option<Press> {
        if let Some(pressed) = &mut self.pressed {
            if let Some(report) = pressed.sender.poll() {
                return Some(Press { report, timestamp: pressed.timestamp });
            }
            self.pressed = None;
            self.pause = PAUSE;
        }
        self.pause = self.pause.saturating_sub(1);
        if self.pause > 0 {
            return None;
        }
        let (key, held) = self.waiting.pop_front()?;
        let mut sender = event::Sender::new(key, held, packet_time, clock_rate)?;
        let report = sender.poll()?;
        self.pressed = Some(Pressed { sender, timestamp: now });
        Some(Press { report, timestamp: now })
    }
}

impl KeyTone {
    fn new(key: char, held: Duration) -> Option<KeyTone> {
        let (row, column) = dtmf::frequencies(key)?;
        let sine = |frequency| Sine::new(frequency, KEY_LEVEL, NARROWBAND);
        Some(KeyTone {
            sines: [sine(row)?, sine(column)?],
            position: 0,
            end: rtp::units(held, NARROWBAND).into(),
        })
    }

    fn sample(&self) -> i16 {
        self.sines.iter().map(|sine| sine.sample(self.position)).sum::<f64>().round() as i16
    }
}

/// Samples of a frame at 8000 Hz.
pub(super) fn samples(packet_time: Duration) -> usize {
    rtp::units(packet_time, NARROWBAND) as usize
}
