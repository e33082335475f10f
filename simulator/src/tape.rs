//! WAV files as a studio delivers them, to be played by the PBX: any rate, PCM or G.711.

use pbx::audio::recording::Recording;
use pbx::audio::wav::Encoding;
use pbx::time::Duration;
use pbx::tone::Sine;

/// How loud a studio delivers, in dBm0.
const LEVEL: f64 = -10.0;

/// A sine of one channel, as a WAV file of `rate` samples a second.
pub fn tone(frequency: f64, length: Duration, rate: u32, encoding: Encoding) -> Vec<u8> {
    let sine =
        Sine::new(frequency, LEVEL, rate).unwrap_or_else(|| panic!("{frequency} Hz do not fit {rate}"));
    let count = (length.as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
    let samples = (0..count).map(|n| (sine.sample(n).round() / 32_767.0) as f32).collect();
    Recording { rate, channels: vec![samples] }.to_wav(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbx::audio::{Clip, Law};

    #[test]
    fn a_tape_is_as_long_as_it_says() {
        for (rate, encoding) in
            [(8_000, Encoding::Pcm16), (44_100, Encoding::Pcm16), (8_000, Encoding::G711(Law::A))]
        {
            let tape = tone(600.0, Duration::from_millis(500), rate, encoding);
            assert_eq!(Clip::read(&tape).expect("a WAV file").samples().len(), 4_000, "{rate} {encoding}");
        }
    }
}
