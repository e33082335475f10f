//! The recording of a schedule: every sine begins and ends at its sample, with phase 0 and at full strength.

use super::{Channel, Schedule, Sound, What};
use crate::audio::FULL_SCALE;
use crate::audio::recording::Recording;
use crate::rng::Rng;
use crate::tone::{Sine, dtmf};

/// One sound: its first sample, how many, its frequencies in Hz with the level of each in dBm0.
struct Part {
    start: usize,
    length: usize,
    sines: Vec<(f64, f64)>,
}

impl Schedule {
    /// The recording in which all of this is heard, and nothing else. What is louder than full scale is clipped.
    pub fn render(&self) -> Recording {
        let length = self.samples(self.length);
        let channel = |(number, channel): (usize, &Channel)| self.channel(channel, length, number as u64);
        Recording { rate: self.rate, channels: self.channels.iter().enumerate().map(channel).collect() }
    }

    fn channel(&self, channel: &Channel, length: usize, seed: u64) -> Vec<f32> {
        let mut samples = vec![0.0f32; length];
        for part in channel.sounds.iter().flat_map(|sound| self.parts(sound)) {
            let sine = |(frequency, level): &(f64, f64)| Sine::new(*frequency, *level, self.rate);
            let sines: Vec<Sine> = part.sines.iter().filter_map(sine).collect();
            let from = part.start.min(length);
            let to = (part.start + part.length).min(length);
            for (n, sample) in samples[from..to].iter_mut().enumerate() {
                *sample += (sines.iter().map(|sine| sine.sample(n as u64)).sum::<f64>() / 32_768.0) as f32;
            }
        }
        if let Some(level) = channel.noise {
            add_noise(&mut samples, level, seed);
        }
        samples.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
        samples
    }

    fn parts(&self, sound: &Sound) -> Vec<Part> {
        let part = |start: f64, end: f64, frequencies: &[f64]| {
            let last = frequencies.len() - 1;
            let level =
                |at: usize| if at == last && last > 0 { sound.level + sound.twist } else { sound.level };
            let sines = frequencies.iter().enumerate().map(|(at, f)| (f * sound.off, level(at))).collect();
            let start = self.samples(start);
            Part { start, length: self.samples(end).saturating_sub(start), sines }
        };
        match &sound.what {
            What::Key(key) => {
                let (row, column) = dtmf::frequencies(*key).expect("the reader knows the keys");
                vec![part(sound.start, sound.end, &[row, column])]
            }
            What::Tone(frequencies) => vec![part(sound.start, sound.end, frequencies)],
            What::Cadence(plan) => plan
                .tones(sound.end - sound.start)
                .into_iter()
                .map(|(from, to, frequencies)| part(sound.start + from, sound.start + to, frequencies))
                .collect(),
        }
    }

    fn samples(&self, millis: f64) -> usize {
        (millis * f64::from(self.rate) / 1_000.0).round() as usize
    }
}

/// White noise of this level in dBm0: the sum of four even spreads is nearly a bell.
fn add_noise(samples: &mut [f32], level: f64, seed: u64) {
    let mut dice = Rng::from_number(seed);
    let deviation = 10f64.powf((level - FULL_SCALE) / 20.0) / 2f64.sqrt();
    // Each spread over ±1/2 has the variance 1/12.
    let scale = deviation * 3f64.sqrt();
    for sample in samples {
        let sum: f64 = (0..4).map(|_| f64::from(dice.u32()) / f64::from(u32::MAX) - 0.5).sum();
        *sample += (scale * sum) as f32;
    }
}
