//! What one side says, as even sound: packets are put in as they come, samples taken out as they are needed. In between they
//! wait for those that come later ([`Buffer`]); what does not come is made up for ([`Concealer`]), or is the noise that was
//! announced for the pause (RFC 3389).
//!
//! Time is that of the speaker: where its timestamps leave something out, it is left out here, so that what is said a second
//! later is heard a second later, whatever was lost between.

use crate::audio::conceal::Concealer;
use crate::audio::resample::Halfband;
use crate::audio::{Coding, Decoder};
use crate::rtp::Header;
use crate::rtp::jitter::{Buffer, Next};

/// The sound of one stream.
#[derive(Debug)]
pub(super) struct Playout {
    /// Samples a second of what is taken.
    rate: u32,
    buffer: Buffer<Content>,
    source: Option<Source>,
    noise: Option<Noise>,
    /// Ready to be taken.
    ready: Vec<i16>,
}

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Sound(Coding),
    /// Sound that is not to be heard: silence takes its place.
    Hushed(Coding),
    /// A pause begins, with noise so many dB below the loudest there is (RFC 3389 section 3.1).
    Noise(u8),
    /// Nothing to hear: it only has its place among the others.
    Else,
}

/// What decodes one codec.
#[derive(Debug)]
struct Source {
    coding: Coding,
    decoder: Decoder,
    concealer: Concealer,
    fitting: Halfband,
    /// Decoded, at the rate of the codec.
    sound: Vec<i16>,
    /// Samples of the packet that came last.
    length: usize,
    /// The timestamp behind it.
    end: Option<u32>,
    /// Samples that were made up since.
    filled: usize,
}

/// The noise of a pause.
#[derive(Clone, Copy, Debug)]
struct Noise {
    amplitude: i32,
    state: u32,
}

impl Playout {
    /// Of one who has said nothing; 8000 or 16000 samples are taken in a second.
    pub(super) fn new(rate: u32) -> Playout {
        Playout { rate, buffer: Buffer::default(), source: None, noise: None, ready: Vec::new() }
    }

    /// A packet has come.
    pub(super) fn receive(&mut self, header: &Header, content: Content, payload: &[u8]) {
        self.buffer.put(header, content, payload);
    }

    /// Appends so many samples; whether any of them was said, or belongs to what was.
    pub(super) fn take(&mut self, count: usize, out: &mut Vec<i16>) -> bool {
        let mut was_said = !self.ready.is_empty();
        while self.ready.len() < count {
            was_said |= self.go_on(count - self.ready.len());
        }
        out.extend(self.ready.drain(..count));
        was_said
    }

    /// Makes what comes next ready; `wanted` samples where nothing has come. Whether it was said.
    fn go_on(&mut self, wanted: usize) -> bool {
        let next = self.buffer.take();
        if let Next::Packet { tag: Content::Sound(coding) | Content::Hushed(coding), .. } = next
            && self.source.as_ref().is_none_or(|source| source.coding != coding)
        {
            self.source = Source::new(coding, self.rate);
        }
        let Some(source) = &mut self.source else {
            match (next, &mut self.noise) {
                // Who begins with a pause has noise in it as well.
                (Next::Packet { tag: Content::Noise(level), .. }, before) => {
                    *before = Some(Noise::of_level(level, *before));
                }
                (Next::Packet { .. } | Next::LeftOut, _) => {}
                (Next::Lost | Next::Nothing, Some(noise)) => {
                    self.ready.extend((0..wanted).map(|_| noise.sample()));
                }
                (Next::Lost | Next::Nothing, None) => self.ready.resize(self.ready.len() + wanted, 0),
            }
            return false;
        };
        source.sound.clear();
        let mut was_said = false;
        match next {
            Next::Packet { tag: content @ (Content::Sound(_) | Content::Hushed(_)), timestamp, payload } => {
                self.noise = None;
                source.hear(timestamp, payload, matches!(content, Content::Hushed(_)));
                was_said = true;
            }
            Next::Packet { tag: Content::Noise(level), .. } => {
                self.noise = Some(Noise::of_level(level, self.noise));
            }
            Next::Packet { tag: Content::Else, .. } => {}
            Next::Lost => source.make_up(source.length),
            Next::LeftOut => source.filled += source.length,
            Next::Nothing => {
                let count = wanted * source.coding.rate() as usize / self.rate as usize;
                source.pause(count.max(1), self.noise.as_mut());
            }
        }
        source.fitting.resample(&source.sound, &mut self.ready);
        was_said
    }
}

impl Source {
    /// For one who is heard at so many samples a second; `None` where its sound does not fit.
    fn new(coding: Coding, rate: u32) -> Option<Source> {
        Some(Source {
            coding,
            decoder: Decoder::new(coding),
            concealer: Concealer::new(coding.rate()),
            fitting: Halfband::new(coding.rate(), rate)?,
            sound: Vec::new(),
            length: coding.frame(),
            end: None,
            filled: 0,
        })
    }

    /// What was said, and before it what its timestamp leaves out.
    fn hear(&mut self, timestamp: u32, payload: &[u8], is_hushed: bool) {
        let (rate, clock) = (self.coding.rate(), self.coding.clock_rate());
        let leap = self.end.map_or(0, |end| timestamp.wrapping_sub(end).cast_signed());
        // A leap of more than a second is no pause, but another clock.
        if (1..clock.cast_signed()).contains(&leap) {
            let samples = leap as usize * rate as usize / clock as usize;
            self.make_up(samples.saturating_sub(self.filled));
        }
        let start = self.sound.len();
        self.decoder.decode(payload, &mut self.sound);
        if is_hushed {
            self.sound[start..].fill(0);
        }
        self.concealer.heard(&mut self.sound[start..]);
        self.length = (self.sound.len() - start).max(1);
        self.end =
            Some(timestamp.wrapping_add((self.length as u64 * u64::from(clock) / u64::from(rate)) as u32));
        self.filled = 0;
    }

    /// Appends so many samples in place of what was lost.
    fn make_up(&mut self, count: usize) {
        self.filled = self.filled.saturating_add(count);
        self.concealer.conceal(count, &mut self.sound);
    }

    /// Appends so many samples in which nothing comes.
    fn pause(&mut self, count: usize, noise: Option<&mut Noise>) {
        self.filled = self.filled.saturating_add(count);
        match noise {
            Some(noise) => self.sound.extend((0..count).map(|_| noise.sample())),
            None => self.concealer.pause(count, &mut self.sound),
        }
    }
}

impl Noise {
    fn of_level(level: u8, before: Option<Noise>) -> Noise {
        // Even noise is softer than its peaks by the root of three.
        let amplitude = 32_767.0 * 10f64.powf(-f64::from(level & 0x7f) / 20.0) * 3f64.sqrt();
        Noise { amplitude: amplitude.min(32_767.0) as i32, state: before.map_or(1, |noise| noise.state) }
    }

    /// The same noise each time: a run can be repeated.
    fn sample(&mut self) -> i16 {
        // The numbers of a linear congruential generator as of Numerical Recipes.
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((i32::from((self.state >> 16) as i16) * self.amplitude) >> 15) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Law;
    use crate::rng::Rng;
    use crate::tone::{Sine, scan};

    const LAW: Law = Law::Mu;
    const SOUND: Content = Content::Sound(Coding::G711(LAW));
    /// Samples of 20 ms.
    const FRAME: usize = 160;

    #[test]
    fn what_is_said_is_heard_once_and_in_order_two_packets_later() {
        let heard = heard(&(0..100).map(|n| (n, n)).collect::<Vec<_>>(), 100);
        let numbers: Vec<i16> = heard.chunks(FRAME).map(|frame| frame[80]).collect();
        assert_eq!(numbers[..2], [0, 0]);
        assert_eq!(numbers[2..], (0..98).map(number).collect::<Vec<_>>());
    }

    #[test]
    fn packets_in_another_order_are_heard_in_theirs() {
        let heard = heard(&[(0, 0), (1, 2), (1, 1), (3, 3), (4, 5), (5, 4)], 9);
        let numbers: Vec<i16> = heard.chunks(FRAME).map(|frame| frame[80]).collect();
        // Three are there at once, so nothing has to be waited for.
        assert_eq!(numbers[1..7], (0..6).map(number).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_lost_is_made_up_for_and_the_rest_has_its_place() {
        let all = tone(3_000);
        let losing = |lost: fn(usize) -> bool| {
            let packets: Vec<_> = (0..150).filter(|n| !lost(*n)).map(|n| (n, n)).collect();
            sound_of(&all, &packets, 150)
        };
        let (whole, holed) = (losing(|_| false), losing(|n| n % 10 == 7));
        let difference: Vec<f64> =
            whole.iter().zip(&holed).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
        let power = |samples: &[f64]| samples.iter().map(|x| x * x).sum::<f64>() / samples.len() as f64;
        let said = power(&whole.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
        // A tenth is made up: silence in its place would be off by a tenth of the power.
        assert!(power(&difference) < said / 60.0, "off by {:.4} of the power", power(&difference) / said);
    }

    #[test]
    fn a_pause_lasts_as_long_as_it_lasted() {
        // Ten packets, 400 ms without any, ten packets; what lies behind the pause has other numbers or the next ones.
        let packets: Vec<_> = (0..10).map(|n| (n, n)).chain((30..40).map(|n| (n, n))).collect();
        let in_time = heard(&packets, 60);
        let loud: Vec<usize> =
            (0..60).filter(|n| in_time[n * FRAME + 80] == number(n.wrapping_sub(2))).collect();
        assert_eq!(loud, (2..12).chain(32..42).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_hushed_is_silence_of_the_same_length() {
        let (mut playout, mut out) = (Playout::new(8_000), Vec::new());
        for n in 0..20 {
            let content = if (8..12).contains(&n) { Content::Hushed(Coding::G711(LAW)) } else { SOUND };
            playout.receive(&header(n, n), content, &packet(5));
            playout.take(FRAME, &mut out);
        }
        let numbers: Vec<i16> = out.chunks(FRAME).map(|frame| frame[80]).collect();
        let wanted = |n: usize| if n < 2 || (10..14).contains(&n) { 0 } else { number(5) };
        assert_eq!(numbers, (0..20).map(wanted).collect::<Vec<_>>());
    }

    #[test]
    fn packets_between_that_hold_no_sound_take_no_time() {
        let mut playout = Playout::new(8_000);
        let mut out = Vec::new();
        for n in 0..50u16 {
            playout.receive(&header(2 * n, n), SOUND, &packet(usize::from(n)));
            playout.receive(&header(2 * n + 1, n), Content::Else, &[]);
            playout.take(FRAME, &mut out);
        }
        let numbers: Vec<i16> = out.chunks(FRAME).map(|frame| frame[80]).collect();
        assert_eq!(
            numbers[1..],
            (0..49).map(number).collect::<Vec<_>>(),
            "four packets of both kinds are two of time"
        );
    }

    #[test]
    fn packets_of_any_length_are_heard_whole() {
        for length in [80u32, 240, 480, 1_600] {
            let (mut playout, mut out) = (Playout::new(8_000), Vec::new());
            let count = 16_000 / length;
            for n in 0..count {
                let payload: Vec<u8> =
                    (0..length).map(|k| LAW.encode(number((n * length + k) as usize / 160 % 90))).collect();
                let header = Header { timestamp: n * length, ..header(n as u16, 0) };
                playout.receive(&header, SOUND, &payload);
                while out.len() + FRAME <= ((n + 1) * length) as usize {
                    playout.take(FRAME, &mut out);
                }
            }
            let begins = out.iter().position(|sample| *sample != 0).expect("it is heard");
            let wanted = (0..out.len() - begins).map(|n| number(n / 160 % 90));
            assert!(out[begins..].iter().copied().eq(wanted), "packets of {length}");
            assert!(
                begins <= 2 * length.max(160) as usize,
                "packets of {length} are heard {begins} samples later"
            );
        }
    }

    #[test]
    fn a_pause_with_noise_has_its_level_until_somebody_speaks() {
        let (mut playout, mut out) = (Playout::new(8_000), Vec::new());
        for n in 0..3 {
            playout.receive(&header(n, n), SOUND, &packet(0));
        }
        playout.receive(&header(3, 3), Content::Noise(40), &[]);
        playout.take(60 * FRAME, &mut out);
        assert!(
            out[..3 * FRAME].iter().all(|sample| *sample == number(0)),
            "what was said before goes first"
        );
        let noise = &out[10 * FRAME..];
        let power = noise.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / noise.len() as f64;
        let level = 20.0 * (power.sqrt() / 32_767.0).log10();
        assert!((level + 40.0).abs() < 1.0, "{level:.1} dB");
        out.clear();
        (4..8).for_each(|n| playout.receive(&header(n, 60 + n), SOUND, &packet(7)));
        playout.take(4 * FRAME, &mut out);
        assert_eq!(out[3 * FRAME + 80], number(7));
    }

    #[test]
    fn who_begins_with_a_pause_is_heard_pausing() {
        let (mut playout, mut out) = (Playout::new(8_000), Vec::new());
        for n in 0..4 {
            playout.receive(&header(n, 25 * n), Content::Noise(40), &[]);
            (0..25).for_each(|_| assert!(!playout.take(FRAME, &mut out), "nobody has spoken"));
        }
        let loudness = |samples: &[i16]| {
            let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
            20.0 * ((power / samples.len() as f64).sqrt() / 32_767.0).log10()
        };
        assert!(out[..2 * FRAME].iter().all(|sample| *sample == 0));
        assert!((loudness(&out[10 * FRAME..]) + 40.0).abs() < 1.0, "{:.1} dB", loudness(&out[10 * FRAME..]));
    }

    #[test]
    fn another_source_begins_anew() {
        let (mut playout, mut out) = (Playout::new(8_000), Vec::new());
        (0..3).for_each(|n| playout.receive(&header(n, n), SOUND, &packet(1)));
        playout.take(FRAME, &mut out);
        (0..3).for_each(|n| {
            playout.receive(&Header { ssrc: 2, ..header(n + 9_000, n + 70) }, SOUND, &packet(5))
        });
        playout.take(3 * FRAME, &mut out);
        assert_eq!([out[80], out[FRAME + 80], out[2 * FRAME + 80]], [number(1), number(5), number(5)]);
    }

    #[test]
    fn a_tone_over_a_bad_network_is_one_tone() {
        // 3 % are lost, the others take up to 20 ms longer, in whatever order.
        let (all, mut dice) = (tone(8_000), Rng::from_number(5));
        let mut packets: Vec<(usize, usize)> =
            (0..400).map(|n| (n + dice.u32() as usize % 2, n)).filter(|(_, n)| n % 33 != 20).collect();
        packets.sort_by_key(|(at, _)| *at);
        let heard = sound_of(&all, &packets, 400);
        let samples: Vec<f32> = heard[1_600..].iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        let tones = scan::tones(&samples);
        let [tone] = tones.as_slice() else { panic!("{tones:?}") };
        assert!((tone.frequencies[0] - 440.0).abs() < 1.5, "{tone:?}");
    }

    /// So many milliseconds of 440 Hz.
    fn tone(millis: usize) -> Vec<i16> {
        let sine = Sine::new(440.0, -10.0, 8_000).expect("a tone");
        (0..millis as u64 * 8).map(|n| LAW.decode(LAW.encode(sine.sample(n) as i16))).collect()
    }

    /// What is heard when packets (when, which) of this sound come.
    fn sound_of(all: &[i16], packets: &[(usize, usize)], turns: usize) -> Vec<i16> {
        let (mut playout, mut out) = (Playout::new(8_000), Vec::new());
        let mut packets = packets.iter().peekable();
        for turn in 0..turns {
            while let Some((_, n)) = packets.next_if(|(at, _)| *at <= turn) {
                let payload: Vec<u8> =
                    all[n * FRAME..(n + 1) * FRAME].iter().map(|sample| LAW.encode(*sample)).collect();
                playout.receive(&header(*n as u16, *n as u16), SOUND, &payload);
            }
            playout.take(FRAME, &mut out);
        }
        out
    }

    /// The same of packets that say their number.
    fn heard(packets: &[(usize, usize)], turns: usize) -> Vec<i16> {
        let all: Vec<i16> = (0..turns).flat_map(|n| [number(n); FRAME]).collect();
        sound_of(&all, packets, turns)
    }

    /// A sample that stands for a number, and comes through the law as it is.
    fn number(n: usize) -> i16 {
        LAW.decode(255 - (n % 100) as u8 - 1)
    }

    fn packet(n: usize) -> [u8; FRAME] {
        [LAW.encode(number(n)); FRAME]
    }

    fn header(sequence: u16, at: u16) -> Header {
        let timestamp = u32::from(at) * FRAME as u32;
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 1 }
    }
}
