//! Listens to one stream of samples for keys. Nothing is asked for while it listens: all its room is there from the start.

use super::bank::{Bank, HOP, Look, WINDOW, Windows};
use super::finder::{Desk, Finder, Heard, LONG};
use super::fit::Sines;
use super::highpass::{BLOCK, Highpass, Taps};
use super::keys::{CLEAN, Key, MARGIN};
use super::sound::Sound;

/// Looks that wait at most: the finder wants to see [`MARGIN`] samples beyond each.
const AHEAD: usize = MARGIN.div_ceil(HOP) + 2;

/// Filters and room to work in, which all listeners of one thread share.
pub struct Instruments {
    taps: Taps,
    bank: Bank,
    desk: Desk,
}

impl Default for Instruments {
    fn default() -> Instruments {
        let desk = Desk {
            sines: Sines::with_room(LONG + WINDOW + 2 * MARGIN + HOP),
            rest: Vec::with_capacity(2 * CLEAN),
        };
        Instruments { taps: Taps::new(), bank: Bank::new(), desk }
    }
}

impl std::fmt::Debug for Instruments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instruments").finish_non_exhaustive()
    }
}

/// Listens to samples at 8000 Hz, full scale 1.
#[derive(Clone)]
pub struct Listener {
    highpass: Highpass,
    sound: Sound,
    windows: Windows,
    /// Samples of which windows were made.
    looked_at: usize,
    /// The last looks, each in the place of its number.
    looks: [Look; AHEAD],
    /// How many there were.
    looked: usize,
    /// How many of them the finder has.
    told: usize,
    finder: Finder,
}

impl Default for Listener {
    /// Tells a key when it is certain, and again when it is over.
    fn default() -> Listener {
        Listener::new(true)
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("samples", &self.sound.end()).finish_non_exhaustive()
    }
}

impl Listener {
    fn new(is_early: bool) -> Listener {
        Listener {
            highpass: Highpass::new(),
            sound: Sound::new(),
            windows: Windows::new(),
            looked_at: 0,
            looks: [Look::NOTHING; AHEAD],
            looked: 0,
            told: 0,
            finder: Finder::new(is_early),
        }
    }

    /// Listens on; `heard` is told what is heard, in order.
    pub fn receive(
        &mut self,
        samples: impl IntoIterator<Item = f32>,
        instruments: &mut Instruments,
        mut heard: impl FnMut(Heard),
    ) {
        let mut samples = samples.into_iter().peekable();
        while samples.peek().is_some() {
            let mut block = [0.0; BLOCK];
            let mut count = 0;
            for (place, sample) in block.iter_mut().zip(&mut samples) {
                *place = sample;
                count += 1;
            }
            self.hear(&block[..count], instruments, &mut heard);
        }
    }

    /// Listens on to [`BLOCK`] samples at most.
    fn hear(&mut self, samples: &[f32], instruments: &mut Instruments, heard: &mut impl FnMut(Heard)) {
        self.take(samples, instruments);
        self.look(MARGIN, instruments, heard);
    }

    /// Nothing more comes: what is not over yet is over now.
    pub fn finish(&mut self, instruments: &mut Instruments, mut heard: impl FnMut(Heard)) {
        self.take(&[0.0; super::highpass::DELAY], instruments);
        self.look(0, instruments, &mut heard);
        self.finder.finish(&self.sound, &mut instruments.desk, &mut heard);
    }

    fn take(&mut self, samples: &[f32], instruments: &Instruments) {
        let mut filtered = [0.0; BLOCK];
        let count = self.highpass.take(&instruments.taps, samples, &mut filtered);
        self.sound.take(&filtered[..count]);
    }

    /// Whether the last 20 ms sound like a key, or one goes on that was told. That is known long before it is certain, and
    /// voices do so now and then.
    pub fn hears_key(&self) -> bool {
        let last = self.looked.checked_sub(1).map(|last| self.looks[last % AHEAD]);
        last.is_some_and(|last| last.is_clear()) || self.finder.holds_key()
    }

    /// Looks at what has come; the finder is told but the last samples.
    fn look(&mut self, but: usize, instruments: &mut Instruments, heard: &mut impl FnMut(Heard)) {
        while self.looked_at + HOP <= self.sound.end() {
            let block = self.sound.part(self.looked_at, self.looked_at + HOP).first_chunk();
            self.looked_at += HOP;
            if let Some(look) = block.and_then(|block| self.windows.take(&instruments.bank, block)) {
                self.looks[self.looked % AHEAD] = look;
                self.looked += 1;
                self.tell(but, instruments, heard);
            }
        }
        self.tell(but, instruments, heard);
    }

    fn tell(&mut self, but: usize, instruments: &mut Instruments, heard: &mut impl FnMut(Heard)) {
        while self.told < self.looked && self.told * HOP + WINDOW + but <= self.sound.end() {
            self.finder.take(&self.looks[self.told % AHEAD], &self.sound, &mut instruments.desk, heard);
            self.told += 1;
        }
    }
}

/// The keys in samples at 8000 Hz, full scale 1, in order; those that do not count as well.
pub fn keys(samples: &[f32]) -> Vec<Key> {
    let mut instruments = Instruments::default();
    let mut listener = Listener::new(false);
    let mut keys = Vec::new();
    let mut keep = |heard| {
        if let Heard::Released(key) = heard {
            keys.push(key);
        }
    };
    samples.chunks(BLOCK).for_each(|block| listener.hear(block, &mut instruments, &mut keep));
    listener.finish(&mut instruments, &mut keep);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Law;
    use crate::rng::Rng;
    use crate::tone::{Sine, dtmf};
    use proptest::prelude::*;

    #[test]
    fn a_key_is_told_while_it_is_held_and_once() {
        let mut instruments = Instruments::default();
        let mut listener = Listener::default();
        let samples = press(Press { digit: '5', millis: 3_000, ..Press::usual() });
        let mut told = Vec::new();
        for (frame, samples) in samples.chunks(160).enumerate() {
            listener.receive(samples.iter().copied(), &mut instruments, |heard| told.push((frame, heard)));
        }
        assert!(matches!(told[0], (0..=3, Heard::Pressed('5'))), "within 80 ms: {told:?}");
        listener.finish(&mut instruments, |heard| told.push((999, heard)));
        let (_, Heard::Released(key)) = &told[1] else { panic!("{told:?}") };
        assert_eq!((told.len(), key.rejected), (2, None));
        assert!(key.start <= 4 && key.end.abs_diff(24_000) <= 4, "{key:?}");
    }

    #[test]
    fn a_key_held_for_a_minute_with_holes_is_one() {
        let mut samples = press(Press { digit: '0', millis: 60_000, ..Press::usual() });
        for hole in (3_000..samples.len() - 3_000).step_by(1_900) {
            samples[hole..hole + 160].fill(0.0);
        }
        samples.resize(samples.len() + 800, 0.0);
        assert_eq!(told(&samples, |_| 160).0, "0");
        let keys = keys(&samples);
        let [key] = keys.as_slice() else { panic!("{keys:?}") };
        assert_eq!((key.digit, key.rejected), ('0', None));
        assert!(key.start <= 8 && key.end.abs_diff(480_000) <= 8, "{key:?}");
    }

    #[derive(Clone, Copy, Debug)]
    struct Press {
        digit: char,
        millis: usize,
        pause: usize,
        level: f64,
        twist: f64,
        off: f64,
    }

    impl Press {
        fn usual() -> Press {
            Press { digit: '1', millis: 60, pause: 60, level: -10.0, twist: 0.0, off: 1.0 }
        }
    }

    fn any_press() -> impl Strategy<Value = Press> {
        let digit = prop::sample::select("0123456789*#ABCD".chars().collect::<Vec<_>>());
        (digit, 40usize..400, 40usize..200, -25.0..0.0, -8.0..4.0, 0.985..1.015).prop_map(
            |(digit, millis, pause, level, twist, off)| Press { digit, millis, pause, level, twist, off },
        )
    }

    fn press(press: Press) -> Vec<f32> {
        let (row, column) = dtmf::frequencies(press.digit).expect("a key");
        let (low, high) = (press.level, press.level + press.twist);
        let sines = [(row, low), (column, high)]
            .map(|(f, level)| Sine::new(f * press.off, level.min(0.0), 8_000).expect("a sine"));
        (0..8 * press.millis as u64)
            .map(|n| (sines.iter().map(|sine| sine.sample(n)).sum::<f64>() / 32_768.0) as f32)
            .collect()
    }

    /// What a listener says as it goes: the keys that were told, and all that are over. Frames are as long as `length` says.
    fn told(samples: &[f32], mut length: impl FnMut(usize) -> usize) -> (String, Vec<Key>) {
        let (mut instruments, mut listener) = (Instruments::default(), Listener::default());
        let (mut digits, mut over) = (String::new(), Vec::new());
        let mut keep = |heard| match heard {
            Heard::Pressed(digit) => digits.push(digit),
            Heard::Released(key) => over.push(key),
        };
        let mut rest = samples;
        while !rest.is_empty() {
            let (frame, next) = rest.split_at(length(rest.len()).clamp(1, rest.len()));
            listener.receive(frame.iter().copied(), &mut instruments, &mut keep);
            rest = next;
        }
        listener.finish(&mut instruments, &mut keep);
        (digits, over)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn a_stream_and_a_whole_recording_are_heard_alike(
            presses in prop::collection::vec(any_press(), 1..8),
            seed in any::<u64>(),
            noise in -60.0..-34.0,
            coding in 0..3,
        ) {
            let mut dice = Rng::from_number(seed);
            let mut samples = vec![0.0; 400];
            for one in &presses {
                // The same digit so soon and fainter would be its echo.
                let Press { level, twist, .. } = presses[0];
                samples.extend(press(Press { level, twist, ..*one }));
                samples.resize(samples.len() + 8 * one.pause, 0.0);
            }
            let most = 10f64.powf((noise - crate::audio::FULL_SCALE) / 20.0) * 1.5f64.sqrt();
            for sample in &mut samples {
                *sample += (most * (f64::from(dice.u32()) / f64::from(u32::MAX) * 2.0 - 1.0)) as f32;
                let law = [Law::A, Law::Mu].get(coding as usize).copied();
                let coded = |law: Law| f32::from(law.decode(law.encode((*sample * 32_767.0) as i16))) / 32_768.0;
                *sample = law.map_or(*sample, coded);
            }
            let whole = keys(&samples);
            let wanted: String = presses.iter().map(|press| press.digit).collect();
            let counting = |keys: &[Key]| keys.iter().filter(|key| key.rejected.is_none()).map(|key| key.digit).collect::<String>();
            prop_assert_eq!(counting(&whole), wanted, "every key counts, and nothing else");
            let (digits, over) = told(&samples, |_| 160);
            prop_assert_eq!(digits, counting(&whole));
            prop_assert_eq!(&over, &whole);
            let (_, over) = told(&samples, |_| 1 + dice.u32() as usize % 700);
            prop_assert_eq!(&over, &whole, "however the sound comes");
        }
    }
}
