//! G.722 at 64 kbit/s: each byte is two samples of 16000 a second.
//!
//! Two mirror filters part the sound at 4 kHz. Of either half only the difference to what was expected is sent, in steps that
//! grow and shrink with it: six bits below, two above (ADPCM). Both sides work out by the same integers what to expect, so
//! all arithmetic is that of the recommendation, to the bit. The names of its blocks stand beside what they became.

/// The mirror filter (table 11): every second tap of one half, in thousandths of 8.192.
const MIRROR: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
/// Samples the mirror filters remember.
const TAPS: usize = 2 * MIRROR.len();

/// Where the 30 steps of the lower half end (table 14), for a scale of 4096.
const LOW_STEPS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219,
    1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// What a code of six bits stands for (table 17): first the upper half of the steps below zero, which no encoder sends in its
/// first four places, then those above, then the smallest of both.
const LOW_VALUES: [i32; 64] = low_values();
/// The same, so coarse that it is known even where the lowest two bits carry something else (table 16).
const LOW_COARSE: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
/// How much the scale grows or shrinks after a step of this size (table 13).
const LOW_GROWTH: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];
const LOW_MOST: i32 = 18_432;

/// The upper half: two bits (tables 18 to 20).
const HIGH_STEP: i32 = 564;
const HIGH_VALUES: [i32; 4] = [-7408, -1616, 7408, 1616];
const HIGH_GROWTH: [i32; 2] = [-214, 798];
const HIGH_MOST: i32 = 22_528;

/// 2048 times the nth of 32 steps of an octave (table 12).
const OCTAVE: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// A payload of such bytes is silence, whatever came before: each says that all is as expected, and what is expected fades.
pub(super) const SILENCE: u8 = 0xfd;

/// Payloads of one stream.
#[derive(Debug)]
pub(super) struct Decoder {
    low: Band,
    high: Band,
    mirror: [i32; TAPS],
}

/// Sound of one stream.
#[derive(Debug)]
pub(super) struct Encoder {
    low: Band,
    high: Band,
    mirror: [i32; TAPS],
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { low: Band::low(), high: Band::high(), mirror: [0; TAPS] }
    }
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder { low: Band::low(), high: Band::high(), mirror: [0; TAPS] }
    }
}

impl Decoder {
    /// Appends two samples for each byte.
    pub(super) fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        for code in payload {
            let (code, upper) = (usize::from(code & 0x3f), usize::from(code >> 6));
            let low = self.low.near(LOW_VALUES[code]);
            self.low.go_on_low(code >> 2);
            let high = self.high.near(HIGH_VALUES[upper]);
            self.high.go_on_high(upper);
            let [even, odd] = self.join(low, high);
            out.extend([even, odd]);
        }
    }

    /// The receive mirror filter (figure 17).
    fn join(&mut self, low: i32, high: i32) -> [i16; 2] {
        push(&mut self.mirror, [low + high, low - high]);
        let (mut first, mut second) = (0, 0);
        for (pair, at) in self.mirror.chunks_exact(2).zip(0..) {
            first += pair[1] * MIRROR[11 - at];
            second += pair[0] * MIRROR[at];
        }
        [clip(first >> 11) as i16, clip(second >> 11) as i16]
    }
}

impl Encoder {
    /// Appends a byte for every two samples.
    pub(super) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        for pair in samples.chunks_exact(2) {
            let [low, high] = self.part(i32::from(pair[0]), i32::from(pair[1]));
            let code = self.low.code_low(low);
            self.low.go_on_low(code >> 2);
            let upper = self.high.code_high(high);
            self.high.go_on_high(upper);
            out.push(((upper << 6) | code) as u8);
        }
    }

    /// The transmit mirror filter (figure 5).
    fn part(&mut self, first: i32, second: i32) -> [i32; 2] {
        push(&mut self.mirror, [first, second]);
        let (mut odd, mut even) = (0, 0);
        for (pair, at) in self.mirror.chunks_exact(2).zip(0..) {
            odd += pair[0] * MIRROR[at];
            even += pair[1] * MIRROR[11 - at];
        }
        [(even + odd) >> 14, (even - odd) >> 14]
    }
}

/// One half of the sound: what is expected next, and how large the steps are.
#[derive(Debug)]
struct Band {
    /// The logarithm of the scale (NABLA), and the scale (DET).
    growth: i32,
    scale: i32,
    /// What is expected (S), and the part of it that comes from the differences (SZ).
    expected: i32,
    from_differences: i32,
    /// The last two values (RLT) and the weights by which the next follows from them (AL).
    values: [i32; 2],
    poles: [i32; 2],
    /// Signs of the last two partial values (PLT).
    signs: [bool; 2],
    /// The last six differences (DLT), and their weights (BL).
    differences: [i32; 6],
    zeros: [i32; 6],
}

impl Band {
    fn low() -> Band {
        Band::of_scale(32)
    }

    fn high() -> Band {
        Band::of_scale(8)
    }

    fn of_scale(scale: i32) -> Band {
        Band {
            growth: 0,
            scale,
            expected: 0,
            from_differences: 0,
            values: [0; 2],
            poles: [0; 2],
            signs: [false; 2],
            differences: [0; 6],
            zeros: [0; 6],
        }
    }

    /// What is heard: what was expected, and a difference of so many steps (INVQBL, RECONS, LIMIT).
    fn near(&self, steps: i32) -> i32 {
        (self.expected + share(self.scale, steps)).clamp(-16_384, 16_383)
    }

    /// The code of six bits for a value of the lower half (SUBTRA, QUANTL).
    fn code_low(&self, value: i32) -> usize {
        let difference = clip(value - self.expected);
        let size = if difference < 0 { !difference } else { difference };
        let step = LOW_STEPS.iter().take_while(|step| size >= (**step * self.scale) >> 12).count();
        match (difference < 0, step) {
            // The smallest two below zero have the last codes.
            (true, 0 | 1) => 63 - step,
            (true, _) => 33 - step,
            (false, _) => 61 - step,
        }
    }

    /// The code of two bits for a value of the upper half (SUBTRA, QUANTH).
    fn code_high(&self, value: i32) -> usize {
        let difference = clip(value - self.expected);
        let size = if difference < 0 { !difference } else { difference };
        let is_large = size >= (HIGH_STEP * self.scale) >> 12;
        match (difference < 0, is_large) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        }
    }

    /// After a difference of the lower half, of which the upper four bits count.
    fn go_on_low(&mut self, coarse: usize) {
        let difference = share(self.scale, LOW_COARSE[coarse]);
        // Codes of one size stand opposite each other.
        let size = if coarse < 8 { (8 - coarse) % 8 } else { 15 - coarse };
        self.rescale(LOW_GROWTH[size], LOW_MOST, 8);
        self.predict(difference);
    }

    /// After one of the upper half.
    fn go_on_high(&mut self, code: usize) {
        let difference = share(self.scale, HIGH_VALUES[code]);
        self.rescale(HIGH_GROWTH[usize::from(code.is_multiple_of(2))], HIGH_MOST, 10);
        self.predict(difference);
    }

    /// The steps grow or shrink (LOGSCL, SCALEL).
    fn rescale(&mut self, growth: i32, most: i32, octaves: i32) {
        self.growth = (((self.growth * 127) >> 7) + growth).clamp(0, most);
        let (place, octave) = (OCTAVE[((self.growth >> 6) & 31) as usize], octaves - (self.growth >> 11));
        let scale = if octave < 0 { place << -octave } else { place >> octave };
        self.scale = scale << 2;
    }

    /// Learns from a difference what to expect next.
    fn predict(&mut self, difference: i32) {
        let value = clip(self.expected + difference);
        let sign = clip(self.from_differences + difference) < 0;
        self.turn_poles(sign);
        self.turn_zeros(difference);
        self.signs = [sign, self.signs[0]];
        self.values = [value, self.values[0]];
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        // FILTEP, FILTEZ, PREDIC.
        let twice = |value: i32| clip(2 * value);
        let from_values =
            self.values.iter().zip(&self.poles).map(|(value, pole)| share(*pole, twice(*value))).sum();
        let weighted = self.differences.iter().zip(&self.zeros);
        self.from_differences = clip(weighted.map(|(it, zero)| share(*zero, twice(*it))).sum());
        self.expected = clip(clip(from_values) + self.from_differences);
    }

    /// The weights of the last values follow the signs of what came (UPPOL1, UPPOL2).
    fn turn_poles(&mut self, sign: bool) {
        let [first, second] = self.poles;
        let towards = |is_same: bool, step: i32| if is_same { step } else { -step };
        let far = clip(4 * first);
        let pull = towards(sign != self.signs[0], far).min(32_767);
        let turned = (pull >> 7) + towards(sign == self.signs[1], 128) + share(second, 32_512);
        let second = turned.clamp(-12_288, 12_288);
        let most = clip(15_360 - second);
        let turned = clip(towards(sign == self.signs[0], 192) + share(first, 32_640));
        self.poles = [turned.clamp(-most, most), second];
    }

    /// The weights of the last differences do (UPZERO).
    fn turn_zeros(&mut self, difference: i32) {
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zeros.iter_mut().zip(&self.differences) {
            let is_same = (difference < 0) == (*before < 0);
            *zero = clip((if is_same { step } else { -step }) + share(*zero, 32_640));
        }
    }
}

const fn low_values() -> [i32; 64] {
    // One value for each step, the largest first.
    const SIZES: [i32; 30] = [
        24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000,
        5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    ];
    let mut values = [-136; 64];
    let mut at = 0;
    while at < 30 {
        values[32 + at] = SIZES[at];
        if at < 28 {
            values[4 + at] = -SIZES[at];
        }
        at += 1;
    }
    values[62] = -432;
    values
}

/// The last samples, and two more.
fn push(mirror: &mut [i32; TAPS], pair: [i32; 2]) {
    mirror.copy_within(2.., 0);
    mirror[TAPS - 2..].copy_from_slice(&pair);
}

/// So many of 32768 parts of a value.
fn share(value: i32, parts: i32) -> i32 {
    (value * parts) >> 15
}

fn clip(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ezk_g722::libg722::{Bitrate, decoder, encoder};
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    proptest! {
        /// It begins with steps of no size, which the recommendation does not; from there on it is another judge.
        #[test]
        fn codes_and_sound_are_those_of_another_library(
            kind in 0..4u8,
            seed: u64,
            wild in prop::collection::vec(any::<u8>(), 0..800),
        ) {
            let mut dice = crate::rng::Rng::from_number(seed);
            let sample = |n: usize| match kind {
                0 => dice.u32() as i16,
                1 => (dice.u32() as i16) / 200,
                2 => (9_000.0 * (n as f64 / 7.0).sin()) as i16,
                _ => if (n / 40).is_multiple_of(2) { i16::MAX } else { i16::MIN },
            };
            let samples: Vec<i16> = (0..3_200).map(sample).collect();
            let mut others = encoder::Encoder::new(Bitrate::Mode1_64000, false, false);
            let mut ours = Encoder { low: Band::of_scale(0), high: Band::of_scale(0), mirror: [0; TAPS] };
            let mut payload = Vec::new();
            ours.encode(&samples, &mut payload);
            prop_assert_eq!(&payload, &others.encode(&samples));
            payload.extend(wild);
            let mut others = decoder::Decoder::new(Bitrate::Mode1_64000, false, false);
            let mut ours = Decoder { low: Band::of_scale(0), high: Band::of_scale(0), mirror: [0; TAPS] };
            let mut sound = Vec::new();
            ours.decode(&payload, &mut sound);
            prop_assert_eq!(sound, others.decode(&payload));
        }
    }

    #[test]
    fn the_first_steps_are_those_of_the_recommendation() {
        let mut payload = Vec::new();
        Encoder::default().encode(&[0; 40], &mut payload);
        assert!(payload.iter().all(|code| code >> 6 == 3), "nothing above 4 kHz: {payload:x?}");
        let mut sound = Vec::new();
        Decoder::default().decode(&payload, &mut sound);
        assert!(sound.iter().all(|sample| sample.abs() <= 4), "{sound:?}");
    }

    #[test]
    fn a_key_falls_silent_within_six_milliseconds_of_silence() {
        for [row, column] in
            [[697.0, 1209.0], [770.0, 1336.0], [852.0, 1477.0], [941.0, 1336.0], [941.0, 1633.0]]
        {
            for length in (1_600..1_640).step_by(2) {
                let sine = |n: usize, f: f64| 9_000.0 * (n as f64 * f / 16_000.0 * TAU).sin();
                let said: Vec<i16> = (0..length).map(|n| (sine(n, row) + sine(n, column)) as i16).collect();
                let (mut payload, mut sound) = (Vec::new(), Vec::new());
                Encoder::default().encode(&said, &mut payload);
                payload.extend([SILENCE; 160]);
                Decoder::default().decode(&payload, &mut sound);
                let rest = &sound[length + 96..];
                let loudest = rest.iter().map(|sample| sample.unsigned_abs()).max();
                assert!(loudest < Some(400), "{row} and {column} Hz: {loudest:?}");
            }
        }
    }
}
