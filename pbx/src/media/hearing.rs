//! What somebody says, as frames in time: packets are put where their timestamps say, and taken a frame every 20 ms.
//!
//! A packet waits for [`DELAY`], so that one that comes a little late is still in time. What does not come is silence, or the
//! noise that was announced for the pause (RFC 3389).

use crate::audio::Narrowband;

/// Samples of a frame.
const FRAME: u64 = 160;
/// How long a packet waits, in samples: two frames.
const DELAY: u64 = 2 * FRAME;
/// Frames by which everything is heard later than it arrived.
pub(super) const LATE_BY: u32 = (DELAY / FRAME) as u32;
/// Samples that are kept, half a second; a packet that is further ahead begins anew.
const RING: usize = 4096;

/// The sound of one stream.
#[derive(Debug)]
pub(super) struct Hearing {
    ring: Box<[i16; RING]>,
    /// The place of the next sample that is taken.
    next: u64,
    source: Option<Source>,
    /// Behind the last sample that has come.
    end: u64,
    noise: Option<Noise>,
    frame: Narrowband,
}

/// The noise of a pause.
#[derive(Clone, Copy, Debug)]
struct Noise {
    amplitude: i32,
    state: u32,
}

/// Where the timestamps of a source have their place.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    timestamp: u32,
    place: u64,
}

impl Hearing {
    /// One that has heard nothing.
    pub(super) fn new() -> Hearing {
        // So that no place is before the first.
        let next = RING as u64;
        let ring = Box::new([0; RING]);
        Hearing { ring, next, source: None, end: next, noise: None, frame: Narrowband::SILENT }
    }

    /// A packet has come.
    pub(super) fn receive(&mut self, ssrc: u32, timestamp: u32, samples: impl Iterator<Item = i16>) {
        let fits = |place: &u64| (self.next..self.next + RING as u64 / 2).contains(place);
        let known = self.source.filter(|source| source.ssrc == ssrc).map(|source| source.place_of(timestamp));
        let place = match known.filter(fits) {
            Some(place) => place,
            // A packet that is late by no more than others may be early is lost; the others keep their places.
            None if known.is_some_and(|place| place < self.next && place + 4 * FRAME > self.next) => {
                self.shift();
                return;
            }
            None => self.next + DELAY,
        };
        self.source = Some(Source { ssrc, timestamp, place });
        self.noise = None;
        let last = self.next + RING as u64;
        for (place, sample) in (place..last).zip(samples) {
            self.ring[place as usize % RING] = sample;
            self.end = self.end.max(place + 1);
        }
    }

    /// A pause begins, with noise so many dB below the loudest there is (RFC 3389 section 3.1).
    pub(super) fn receive_noise(&mut self, level: u8) {
        // Even noise is softer than its peaks by the root of three.
        let amplitude = 32_767.0 * 10f64.powf(-f64::from(level & 0x7f) / 20.0) * 3f64.sqrt();
        let state = self.noise.map_or(1, |noise| noise.state);
        self.noise = Some(Noise { amplitude: amplitude.min(32_767.0) as i32, state });
    }

    /// The next frame; it can be looked at until the next one is taken.
    pub(super) fn take(&mut self) {
        let start = self.next as usize % RING;
        // A frame may go over the end of the ring.
        for (n, sample) in self.frame.0.iter_mut().enumerate() {
            *sample = std::mem::take(&mut self.ring[(start + n) % RING]);
        }
        if let Some(noise) = &mut self.noise {
            let said = self.end.saturating_sub(self.next).min(FRAME) as usize;
            self.frame.0[said..].fill_with(|| noise.sample());
        }
        self.next += FRAME;
    }

    /// The frame that was taken last.
    pub(super) fn frame(&self) -> &Narrowband {
        &self.frame
    }

    /// A frame that has come and is to be taken so many frames after the last one.
    pub(super) fn ahead(&self, frames: u32) -> Narrowband {
        let start = (self.next + u64::from(frames - 1) * FRAME) as usize;
        let mut frame = Narrowband::SILENT;
        for (n, sample) in frame.0.iter_mut().enumerate() {
            *sample = self.ring[(start + n) % RING];
        }
        frame
    }

    /// Packets come later than they were thought to: from now on they wait for a frame longer.
    fn shift(&mut self) {
        if let Some(source) = &mut self.source {
            source.place += FRAME;
        }
    }
}

impl Noise {
    /// The same noise each time: a run can be repeated.
    fn sample(&mut self) -> i16 {
        // The numbers of a linear congruential generator as of Numerical Recipes.
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((i32::from((self.state >> 16) as i16) * self.amplitude) >> 15) as i16
    }
}

impl Source {
    fn place_of(&self, timestamp: u32) -> u64 {
        self.place.wrapping_add_signed(i64::from(timestamp.wrapping_sub(self.timestamp).cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_once_and_in_order_two_frames_later() {
        let mut hearing = Hearing::new();
        let mut heard = Vec::new();
        for n in 0..100u32 {
            hearing.receive(1, (u32::MAX - 800).wrapping_add(n * 160), packet(n));
            hearing.take();
            heard.push(hearing.frame().0[0]);
        }
        assert_eq!(heard[..4], [0, 0, 1, 2]);
        assert_eq!(heard[99], 98);
    }

    #[test]
    fn packets_in_another_order_are_heard_in_theirs() {
        let mut hearing = Hearing::new();
        for n in [0, 2, 1, 3] {
            hearing.receive(1, n * 160, packet(n));
        }
        let heard: Vec<i16> = (0..6).map(|_| take(&mut hearing)).collect();
        assert_eq!(heard, [0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_was_lost_is_silence_and_the_rest_has_its_place() {
        let mut hearing = Hearing::new();
        for n in [0, 1, 3] {
            hearing.receive(1, n * 160, packet(n));
        }
        let heard: Vec<i16> = (0..6).map(|_| take(&mut hearing)).collect();
        assert_eq!(heard, [0, 0, 1, 2, 0, 4]);
    }

    #[test]
    fn packets_of_any_length_are_heard_whole() {
        for length in [80u32, 240, 480] {
            let mut hearing = Hearing::new();
            let mut heard = Vec::new();
            for n in 0..6000 / length {
                let samples = (0..length).map(|k| (n * length + k) as i16 + 1);
                hearing.receive(1, n * length, samples);
                while heard.len() as u32 + 160 <= (n + 1) * length {
                    hearing.take();
                    heard.extend(hearing.frame().0);
                }
            }
            let said: Vec<i16> = heard.into_iter().filter(|sample| *sample != 0).collect();
            assert!(said.windows(2).all(|pair| pair[1] == pair[0] + 1), "{length}");
            assert!(said.len() > 4800, "{length}: {}", said.len());
        }
    }

    #[test]
    fn another_source_and_a_clock_that_jumps_begin_anew() {
        let mut hearing = Hearing::new();
        hearing.receive(1, 0, packet(0));
        hearing.receive(2, 77_777, packet(4));
        assert_eq!([take(&mut hearing), take(&mut hearing), take(&mut hearing)], [0, 0, 5]);
        hearing.receive(2, 7_000_000, packet(7));
        assert_eq!([take(&mut hearing), take(&mut hearing), take(&mut hearing)], [0, 0, 8]);
    }

    #[test]
    fn a_pause_with_noise_has_its_level_until_somebody_speaks() {
        let mut hearing = Hearing::new();
        hearing.receive(1, 0, packet(0));
        hearing.receive_noise(40);
        let heard: Vec<i16> = (0..50).flat_map(|_| (hearing.take(), hearing.frame().0).1).collect();
        assert!(heard[320..480].iter().all(|sample| *sample == 1), "what was said before goes first");
        let noise = &heard[480..];
        let power = noise.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / noise.len() as f64;
        let level = 20.0 * (power.sqrt() / 32_767.0).log10();
        assert!((level + 40.0).abs() < 1.0, "{level:.1} dB");
        hearing.receive(1, 8_000, packet(7));
        let heard: Vec<i16> = (0..3).map(|_| take(&mut hearing)).collect();
        assert_eq!(heard[2], 8);
    }

    fn packet(n: u32) -> impl Iterator<Item = i16> {
        std::iter::repeat_n(n as i16 + 1, 160)
    }

    fn take(hearing: &mut Hearing) -> i16 {
        hearing.take();
        hearing.frame().0[0]
    }
}
