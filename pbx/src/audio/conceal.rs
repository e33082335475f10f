//! What is heard where a packet is missing: the last period of the voice goes on, ever softer, until there is silence. Where it
//! is not known that anything is missing, because nothing follows, it is soon silent.

/// Samples that are remembered: 40 ms at 16000 samples a second.
const MEMORY: usize = 640;
/// The lowest and the highest voice that goes on, in Hz.
const LOWEST: u32 = 66;
const HIGHEST: u32 = 400;
/// How long it goes on in place of what was lost, and where nobody may have gone on speaking, in milliseconds.
const FADE: u32 = 60;
const PAUSE: u32 = 40;
/// How long what comes back is mixed with what would have gone on, in milliseconds.
const OVERLAP: u32 = 4;

/// Watches the sound of one stream and stands in for what is missing.
#[derive(Clone, Debug)]
pub struct Concealer {
    rate: u32,
    /// What was heard last, the latest at the end.
    memory: [i16; MEMORY],
    missing: Option<Missing>,
}

/// What stands in.
#[derive(Clone, Copy, Debug)]
struct Missing {
    /// Samples of one period.
    period: usize,
    /// Samples made so far.
    made: usize,
    /// Samples after which it is silent.
    fade: usize,
}

impl Concealer {
    /// For sound of so many samples a second, 8000 or 16000.
    pub fn new(rate: u32) -> Concealer {
        Concealer { rate, memory: [0; MEMORY], missing: None }
    }

    /// The sound that came. Where some was missing before it, its beginning is made to fit what was heard instead.
    pub fn heard(&mut self, samples: &mut [i16]) {
        // Who begins to speak in silence is heard from the first sample on.
        if let Some(missing) = self.missing.take().filter(|missing| missing.made < missing.fade) {
            let overlap = (OVERLAP * self.rate / 1000) as usize;
            let count = overlap.min(samples.len());
            for (n, sample) in samples.iter_mut().take(count).enumerate() {
                let before = i32::from(self.stand_in(missing, missing.made + n));
                let (old, new) = ((count - n) as i32, n as i32);
                *sample = ((before * old + i32::from(*sample) * new) / count as i32) as i16;
            }
        }
        self.remember(samples);
    }

    /// Appends so many samples in place of what was lost.
    pub fn conceal(&mut self, count: usize, out: &mut Vec<i16>) {
        self.stand_in_for(count, FADE, out);
    }

    /// Appends so many samples in which perhaps nobody speaks.
    pub fn pause(&mut self, count: usize, out: &mut Vec<i16>) {
        self.stand_in_for(count, PAUSE, out);
    }

    fn stand_in_for(&mut self, count: usize, fade: u32, out: &mut Vec<i16>) {
        let missing = self.missing.unwrap_or_else(|| match self.memory.iter().all(|sample| *sample == 0) {
            true => Missing { period: 1, made: 0, fade: 0 },
            false => Missing { period: self.period(), made: 0, fade: (fade * self.rate / 1000) as usize },
        });
        out.extend((0..count).map(|n| self.stand_in(missing, missing.made + n)));
        self.missing = Some(Missing { made: missing.made.saturating_add(count), ..missing });
    }

    /// Sample number `n` of what stands in.
    fn stand_in(&self, missing: Missing, n: usize) -> i16 {
        let left = missing.fade.saturating_sub(n);
        if left == 0 {
            return 0;
        }
        let sample = self.memory[MEMORY - missing.period + n % missing.period];
        (i32::from(sample) * left as i32 / missing.fade as i32) as i16
    }

    /// The period of the voice: the shift by which what was heard is most like itself.
    fn period(&self) -> usize {
        let (shortest, longest) = ((self.rate / HIGHEST) as usize, (self.rate / LOWEST) as usize);
        let window = longest.min(MEMORY - longest);
        let latest = &self.memory[MEMORY - window..];
        let likeness = |period: usize| {
            let before = &self.memory[MEMORY - window - period..MEMORY - period];
            let product = |a: &[i16], b: &[i16]| -> f32 {
                a.iter().zip(b).map(|(a, b)| f32::from(*a) * f32::from(*b)).sum()
            };
            let common = product(latest, before).max(0.0);
            common * common / product(before, before).max(1.0)
        };
        let best = (shortest..=longest).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b)));
        best.unwrap_or(longest)
    }

    fn remember(&mut self, samples: &[i16]) {
        let count = samples.len().min(MEMORY);
        self.memory.rotate_left(count);
        self.memory[MEMORY - count..].copy_from_slice(&samples[samples.len() - count..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn voice(from: usize, count: usize, rate: u32) -> Vec<i16> {
        let sine = |n: usize, frequency: f64| (n as f64 * frequency / f64::from(rate) * TAU).sin();
        (from..from + count).map(|n| (6000.0 * sine(n, 200.0) + 3000.0 * sine(n, 400.0)) as i16).collect()
    }

    #[test]
    fn a_voice_goes_on_where_a_packet_is_missing() {
        for rate in [8_000, 16_000] {
            let frame = rate as usize / 50;
            let mut concealer = Concealer::new(rate);
            for n in 0..10 {
                concealer.heard(&mut voice(n * frame, frame, rate));
            }
            let mut made = Vec::new();
            concealer.conceal(frame, &mut made);
            let wanted = voice(10 * frame, frame, rate);
            let error: f64 =
                made.iter().zip(&wanted).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
            let power: f64 = wanted.iter().map(|b| f64::from(*b).powi(2)).sum();
            assert!(error < power / 10.0, "at {rate}: {:.2} of the power is wrong", error / power);
        }
    }

    #[test]
    fn it_fades_to_silence_and_comes_back_without_a_click() {
        let mut concealer = Concealer::new(8_000);
        for n in 0..10 {
            concealer.heard(&mut voice(n * 160, 160, 8_000));
        }
        let mut made = Vec::new();
        for _ in 0..5 {
            concealer.conceal(160, &mut made);
        }
        assert!(made[500..].iter().all(|sample| *sample == 0));
        let mut back = voice(15 * 160, 160, 8_000);
        concealer.heard(&mut back);
        let steps = made.iter().chain(&back).zip(made[1..].iter().chain(&back));
        let steepest = steps.map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max().unwrap_or(0);
        assert!(steepest < 4000, "a step of {steepest}");
    }

    #[test]
    fn a_pause_is_silent_soon_and_what_follows_it_is_as_it_was_said() {
        let mut concealer = Concealer::new(8_000);
        for n in 0..10 {
            concealer.heard(&mut voice(n * 160, 160, 8_000));
        }
        let mut made = Vec::new();
        concealer.pause(480, &mut made);
        assert!(
            made[160..240].iter().any(|sample| *sample != 0) && made[320..].iter().all(|sample| *sample == 0)
        );
        let (mut next, said) = (voice(77, 160, 8_000), voice(77, 160, 8_000));
        concealer.heard(&mut next);
        assert_eq!(next, said);
    }

    #[test]
    fn who_has_heard_nothing_makes_nothing() {
        let mut made = Vec::new();
        Concealer::new(8_000).conceal(320, &mut made);
        assert_eq!(made, [0; 320]);
    }
}
