//! How well keys and tones are found (DET-01, DET-04), class by class: sounds made here, by dice with a fixed seed, and what must be found
//! of them. The table for docs/performance.md is printed by
//! `cargo test --release -p pbx --test accuracy -- --nocapture`.

use pbx::audio::{FULL_SCALE, Law};
use pbx::rng::Rng;
use pbx::tone::scan::{self, Key, Reason};
use pbx::tone::{Sine, dtmf};
use std::ops::Range;

const DIGITS: &[u8] = b"0123456789*#ABCD";
/// Keys of each class.
const COUNT: usize = 160;

#[test]
fn digits_as_q24_wants_them() {
    let all = class(
        "Q.24: 40 ms and longer, ±1.5 %, twist -8 to +4 dB, to -25 dBm0",
        |_| {},
        |press, dice| {
            press.millis = dice.within(40.0..90.0);
            press.pause = dice.within(40.0..90.0);
            press.off = 1.0 + dice.within(-0.015..0.015);
            press.twist = dice.within(-8.0..4.0);
            press.level = dice.within(-25.0..-7.0);
        },
    );
    all.finds(1.0);
}

#[test]
fn digits_in_noise() {
    for (ratio, least) in [(15.0, 1.0), (0.0, 1.0), (-2.0, 0.95), (-4.0, 0.7)] {
        let name = format!("white noise, 40 to 100 ms, {ratio} dB");
        let noise = move |sound: &mut Sound| sound.noise(-12.0 + 3.0 - ratio);
        let all = class(&name, noise, |press, dice| {
            press.millis = dice.within(40.0..100.0);
            press.level = -12.0;
        });
        all.finds(least);
        if ratio >= 15.0 {
            all.edges(0.5, 1.5);
        }
    }
}

#[test]
fn twisted_faint_and_coded_digits() {
    class(
        "twist -12 to +12 dB",
        |_| {},
        |press, dice| {
            press.twist = dice.within(-12.0..12.0);
            press.level = -18.0;
        },
    )
    .finds(1.0);
    class("level -36 to -25 dBm0", |_| {}, |press, dice| press.level = dice.within(-36.0..-25.0)).finds(1.0);
    for law in [Law::A, Law::Mu] {
        let coded = move |sound: &mut Sound| sound.through(law);
        let all =
            class(&format!("G.711 {law:?}"), coded, |press, dice| press.level = dice.within(-25.0..-7.0));
        all.finds(1.0);
        all.edges(0.5, 1.5);
    }
}

#[test]
fn digits_over_a_dial_tone() {
    for (above, frequencies, least) in [
        (0.0, &[350.0, 440.0][..], 1.0),
        (10.0, &[350.0, 440.0][..], 1.0),
        (10.0, &[425.0][..], 1.0),
        (15.0, &[425.0][..], 0.9),
    ] {
        let name = format!("dial tone {frequencies:?} Hz, {above} dB above the digit");
        let under = move |sound: &mut Sound| sound.under(frequencies, -22.0 + above);
        class(&name, under, |press, _| press.level = -22.0).finds(least);
    }
}

#[test]
fn digits_of_which_packets_are_lost() {
    for percent in [1, 5, 10] {
        let lost = move |sound: &mut Sound| sound.lose(percent);
        let name = format!("packet loss {percent} %, 100 to 200 ms");
        class(&name, lost, |press, dice| press.millis = dice.within(100.0..200.0)).finds(1.0);
    }
}

#[test]
fn digits_with_an_echo() {
    let echo = |sound: &mut Sound| sound.echo(35.0, -14.0);
    class("echo after 35 ms, -14 dB", echo, |press, dice| press.millis = dice.within(60.0..120.0)).finds(1.0);
}

#[test]
fn what_is_no_digit_is_not_taken() {
    let short = |press: &mut Press, dice: &mut Dice| press.millis = dice.within(8.0..20.0);
    class("at most 20 ms long", |_| {}, short).takes_none();
    let short = |press: &mut Press, dice: &mut Dice| press.millis = dice.within(15.0..20.0);
    class("15 to 20 ms long", |_| {}, short).explains_each(Reason::TooShort);
    let off = |press: &mut Press, dice: &mut Dice| {
        press.off = 1.0 + dice.within(0.035..0.06) * if dice.within(0.0..1.0) < 0.5 { -1.0 } else { 1.0 };
    };
    class("3.5 to 6 % off", |_| {}, off).takes_none();
    let off = |press: &mut Press, dice: &mut Dice| {
        press.off = 1.0 + dice.within(0.035..0.04) * if dice.within(0.0..1.0) < 0.5 { -1.0 } else { 1.0 };
    };
    class("3.5 to 4 % off", |_| {}, off).explains_each(Reason::OffFrequency);
    let faint = |press: &mut Press, dice: &mut Dice| press.level = dice.within(-70.0..-55.0);
    class("at most -55 dBm0", |_| {}, faint).takes_none();
    let faint = |press: &mut Press, dice: &mut Dice| press.level = dice.within(-56.5..-55.0);
    class("-56.5 to -55 dBm0", |_| {}, faint).explains_each(Reason::TooWeak);
}

#[test]
fn noise_has_neither_digits_nor_tones() {
    let mut sound = Sound::new(11);
    sound.samples.resize(8_000 * 120, 0.0);
    sound.noise(-15.0);
    let heard = scan::scan(&sound.samples);
    let keys = heard.keys.iter().filter(|key| key.rejected.is_none()).count();
    println!("| noise of -15 dBm0, 2 min | {keys} digits, {} tones | 0 |", heard.tones.len());
    assert_eq!((keys, heard.tones.len()), (0, 0));
}

#[test]
fn single_tones() {
    let mut sound = Sound::new(12);
    let mut wanted = Vec::new();
    for _ in 0..60 {
        sound.pause(150.0);
        let (start, frequency) = (sound.samples.len(), sound.dice.within(300.0..3_300.0));
        let millis = sound.dice.within(100.0..800.0);
        sound.sines(millis, &[(frequency, -14.0)]);
        wanted.push((frequency, start, sound.samples.len()));
    }
    sound.pause(150.0);
    sound.through(Law::A);
    let found = scan::tones(&sound.samples);
    assert_eq!(found.len(), wanted.len(), "all tones and no other");
    let mut edges = Vec::new();
    for (tone, (frequency, start, end)) in found.iter().zip(wanted) {
        assert_eq!(tone.frequencies.len(), 1, "{tone:?}");
        assert!((tone.frequencies[0] / frequency - 1.0).abs() < 0.003, "{tone:?} is {frequency} Hz");
        edges.extend([tone.start.abs_diff(start), tone.end.abs_diff(end)]);
    }
    let (median, most) = spread(edges);
    println!("| single tones, 300 to 3300 Hz, A-law | all; edges {median:.2} / {most:.2} ms | all; 2 ms |");
    assert!(most <= 2.0, "95 of 100 edges are within {most} ms");
}

/// How one key is pressed.
struct Press {
    millis: f64,
    pause: f64,
    level: f64,
    twist: f64,
    off: f64,
}

struct Class {
    name: String,
    wanted: Vec<(char, usize, usize)>,
    found: Vec<Key>,
    /// What looked like keys and did not count.
    rejected: Vec<Key>,
}

/// Keys pressed as `vary` says, in a line that does what `line` does.
fn class(name: &str, line: impl Fn(&mut Sound), vary: impl Fn(&mut Press, &mut Dice)) -> Class {
    let mut sound = Sound::new(name.bytes().map(u64::from).sum());
    let mut wanted = Vec::new();
    sound.pause(100.0);
    for n in 0..COUNT {
        let mut press = Press { millis: 70.0, pause: 70.0, level: -10.0, twist: 0.0, off: 1.0 };
        vary(&mut press, &mut sound.dice);
        let digit = char::from(DIGITS[n % DIGITS.len()]);
        let (row, column) = dtmf::frequencies(digit).expect("a digit");
        let start = sound.samples.len();
        sound.sines(
            press.millis,
            &[(row * press.off, press.level), (column * press.off, press.level + press.twist)],
        );
        wanted.push((digit, start, sound.samples.len()));
        sound.pause(press.pause);
    }
    sound.pause(100.0);
    line(&mut sound);
    let (found, rejected) = scan::keys(&sound.samples).into_iter().partition(|key| key.rejected.is_none());
    Class { name: name.to_owned(), wanted, found, rejected }
}

impl Class {
    /// At least this share is found, and nothing else: neither another digit nor one twice.
    fn finds(&self, least: f64) {
        let is_it = |key: &&Key, (digit, start, end): (char, usize, usize)| {
            key.digit == digit && key.start < end && key.end > start
        };
        let found =
            self.wanted.iter().filter(|wanted| self.found.iter().any(|key| is_it(&key, **wanted))).count();
        let share = found as f64 / self.wanted.len() as f64;
        println!(
            "| {} | {:.1} %, {} false | {:.0} %, 0 |",
            self.name,
            share * 100.0,
            self.found.len() - found,
            least * 100.0
        );
        let missed = self.wanted.iter().find(|wanted| !self.found.iter().any(|key| is_it(&key, **wanted)));
        let instead = missed
            .map(|wanted| self.rejected.iter().filter(|key| key.start < wanted.2 && key.end > wanted.1));
        let instead: Vec<_> = instead.into_iter().flatten().collect();
        assert!(
            share >= least,
            "{}: {found} of {} are found, but not {missed:?}; there is {instead:?}",
            self.name,
            self.wanted.len()
        );
        assert_eq!(self.found.len(), found, "{}: no other and none twice", self.name);
    }

    fn takes_none(&self) {
        println!("| {} | {} taken of {} | 0 |", self.name, self.found.len(), self.wanted.len());
        assert_eq!(self.found.len(), 0, "{}: {:?}", self.name, self.found.first());
    }

    /// None is taken, and of each it is said why.
    fn explains_each(&self, reason: Reason) {
        let is_told = |(_, start, end): &&(char, usize, usize)| {
            self.rejected
                .iter()
                .any(|key| key.rejected == Some(reason) && key.start < end + 80 && key.end + 80 > *start)
        };
        let told = self.wanted.iter().filter(is_told).count();
        println!("| {} | {} of {} told as {reason:?} | all |", self.name, told, self.wanted.len());
        let silent = self.wanted.iter().find(|wanted| !is_told(wanted));
        assert_eq!(told, self.wanted.len(), "{}: nothing is said of {silent:?}", self.name);
        assert_eq!(self.found.len(), 0, "{}: {:?}", self.name, self.found.first());
    }

    /// Beginnings and ends are this near, in ms: half of them, and 95 of 100.
    fn edges(&self, half: f64, most: f64) {
        let off = |(key, wanted): (&Key, &(char, usize, usize))| {
            [key.start.abs_diff(wanted.1), key.end.abs_diff(wanted.2)]
        };
        let (median, nearly_all) = spread(self.found.iter().zip(&self.wanted).flat_map(off).collect());
        println!("| {}: edges | {median:.2} / {nearly_all:.2} ms | {half} / {most} ms |", self.name);
        assert!(median <= half && nearly_all <= most, "{}: {median} and {nearly_all} ms", self.name);
    }
}

/// The middle one, and that which 95 of 100 do not exceed, in ms.
fn spread(mut samples: Vec<usize>) -> (f64, f64) {
    samples.sort_unstable();
    let at = |share: f64| samples[(samples.len() as f64 * share) as usize] as f64 / 8.0;
    (at(0.5), at(0.95))
}

struct Dice(Rng);

impl Dice {
    fn within(&mut self, range: Range<f64>) -> f64 {
        range.start + (range.end - range.start) * f64::from(self.0.u32()) / f64::from(u32::MAX)
    }
}

struct Sound {
    samples: Vec<f32>,
    dice: Dice,
}

impl Sound {
    fn new(seed: u64) -> Sound {
        Sound { samples: Vec::new(), dice: Dice(Rng::from_number(seed)) }
    }

    fn pause(&mut self, millis: f64) {
        self.samples.resize(self.samples.len() + (8.0 * millis) as usize, 0.0);
    }

    /// Sines of these frequencies and levels.
    fn sines(&mut self, millis: f64, sines: &[(f64, f64)]) {
        let sines: Vec<Sine> =
            sines.iter().map(|(f, level)| Sine::new(*f, *level, 8_000).expect("a sine")).collect();
        let sample = |n| sines.iter().map(|sine| sine.sample(n)).sum::<f64>() / 32_768.0;
        self.samples.extend((0..(8.0 * millis) as u64).map(|n| sample(n) as f32));
    }

    fn under(&mut self, frequencies: &[f64], level: f64) {
        let sines: Vec<Sine> =
            frequencies.iter().map(|f| Sine::new(*f, level, 8_000).expect("a sine")).collect();
        for (n, sample) in self.samples.iter_mut().enumerate() {
            *sample += (sines.iter().map(|sine| sine.sample(n as u64)).sum::<f64>() / 32_768.0) as f32;
        }
    }

    /// White noise of this level in dBm0: four even spreads are nearly a bell.
    fn noise(&mut self, level: f64) {
        let scale = 10f64.powf((level - FULL_SCALE) / 20.0) / 2f64.sqrt() * 3f64.sqrt();
        for sample in &mut self.samples {
            *sample += (scale * (0..4).map(|_| self.dice.within(-0.5..0.5)).sum::<f64>()) as f32;
        }
    }

    fn through(&mut self, law: Law) {
        for sample in &mut self.samples {
            *sample = f32::from(law.decode(law.encode((*sample * 32_767.0) as i16))) / 32_768.0;
        }
    }

    /// So many of 100 packets of 20 ms are silent, but two are whole between any two that are: 40 ms of a key are left.
    fn lose(&mut self, percent: u32) {
        let mut whole = 2;
        for packet in self.samples.chunks_mut(160) {
            if whole >= 2 && self.dice.0.u32() % 100 < percent {
                packet.fill(0.0);
                whole = 0;
            } else {
                whole += 1;
            }
        }
    }

    fn echo(&mut self, millis: f64, level: f64) {
        let (late, factor) = ((8.0 * millis) as usize, 10f64.powf(level / 20.0) as f32);
        for n in (late..self.samples.len()).rev() {
            self.samples[n] += factor * self.samples[n - late];
        }
    }
}
