//! What is in a recording: tones by Goertzel's filter, silence, how pure it is.
//!
//! Samples are those of 16 bits at 8000 Hz, narrowband telephony.

use pbx::audio::NARROWBAND;
use pbx::tone::scan;
use std::f64::consts::TAU;
use std::ops::Range;

/// Below this root mean square nobody hears anything: about -60 dBm0.
const SILENCE: f64 = 25.0;

/// 20 ms.
const BLOCK: usize = 160;

/// 10 ms: a packet that is missing leaves at least one such block silent, wherever it stood.
const HOLE: usize = 80;

/// The share of the power that a tone has which is heard clearly; the rest is what the codec adds.
const CLEARLY: f64 = 0.6;

/// The share that it has when nothing is missing in it, though something may have been made up for.
const WHOLE: f64 = 0.985;

/// The root mean square.
pub fn loudness(samples: &[i16]) -> f64 {
    power(samples).sqrt()
}

/// Whether there is nothing to hear.
pub fn is_silent(samples: &[i16]) -> bool {
    loudness(samples) < SILENCE
}

/// The share of the power that a sine of `frequency` Hz explains, 0 to 1; 0 for silence.
pub fn share(samples: &[i16], frequency: f64) -> f64 {
    let power = power(samples);
    if power.sqrt() < SILENCE {
        return 0.0;
    }
    let (real, imaginary) = goertzel(samples, frequency);
    let amplitude = 2.0 * real.hypot(imaginary) / samples.len() as f64;
    amplitude * amplitude / 2.0 / power
}

/// The share of the time in which there is a sine of `frequency` Hz and hardly anything else, looked at 20 ms at a time:
/// a lost packet takes away its own time and no more.
pub fn presence(samples: &[i16], frequency: f64) -> f64 {
    let blocks = samples.chunks_exact(BLOCK);
    let count = blocks.len().max(1);
    blocks.filter(|block| share(block, frequency) > CLEARLY).count() as f64 / count as f64
}

/// The same for what may begin in the middle of a packet, where a lost one would take away of two: as the packets fit best.
pub fn presence_in_packets(samples: &[i16], frequency: f64) -> f64 {
    let begins = (0..BLOCK.min(samples.len())).step_by(BLOCK / 8);
    begins.map(|from| presence(&samples[from..], frequency)).fold(0.0, f64::max)
}

/// Where a sine of `frequency` Hz is heard, once and without a hole; else what is heard instead.
pub fn one_piece(samples: &[i16], frequency: f64) -> Result<Range<usize>, String> {
    let sound: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
    let tones = scan::tones(&sound);
    // Where something was made up for, a tone may seem to end and to begin again, though nobody hears a pause.
    let (Some(begin), Some(end)) =
        (tones.iter().map(|tone| tone.start).min(), tones.iter().map(|tone| tone.end).max())
    else {
        return Err("no tone is heard".to_owned());
    };
    let place = begin..end;
    let mut holes = samples[place.clone()].chunks_exact(HOLE).enumerate();
    if let Some((at, _)) = holes.find(|(_, block)| is_silent(block)) {
        return Err(format!("there is silence at sample {}: {tones:?}", begin + at * HOLE));
    }
    // What sounds otherwise for a while takes as much from the share as it lasted.
    let share = share(&samples[place.clone()], frequency);
    match share > WHOLE {
        true => Ok(place),
        false => Err(format!("{frequency} Hz have {share:.3} of the power from {place:?}: {tones:?}")),
    }
}

/// The frequency of the sine near `frequency`, by how far its phase moves from the first half to the second.
pub fn exact_frequency(samples: &[i16], frequency: f64) -> f64 {
    let half = samples.len() / 2;
    let phase = |samples| {
        let (real, imaginary) = goertzel(samples, frequency);
        imaginary.atan2(real)
    };
    let seconds = half as f64 / f64::from(NARROWBAND);
    let moved = phase(&samples[half..half * 2]) - phase(&samples[..half]);
    let expected = TAU * frequency * seconds;
    let off = (moved - expected).rem_euclid(TAU);
    let off = if off > TAU / 2.0 { off - TAU } else { off };
    frequency + off / TAU / seconds
}

fn power(samples: &[i16]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

/// The sum of sample n times e^(-jωn), where ω is that of `frequency`.
fn goertzel(samples: &[i16], frequency: f64) -> (f64, f64) {
    let omega = TAU * frequency / f64::from(NARROWBAND);
    let coefficient = 2.0 * omega.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        (last, before) = (f64::from(*sample) + coefficient * last - before, last);
    }
    // What the filter holds is turned by the length of the block; turned back, two blocks can be compared.
    let (real, imaginary) = (last - before * omega.cos(), before * omega.sin());
    let turn = -omega * (samples.len() as f64 - 1.0);
    (real * turn.cos() - imaginary * turn.sin(), real * turn.sin() + imaginary * turn.cos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbx::tone::Sine;

    #[test]
    fn a_sine_is_all_of_itself_and_nothing_of_another() {
        let samples = sine(440.0, 1_600);
        assert!(share(&samples, 440.0) > 0.999, "{}", share(&samples, 440.0));
        assert!(share(&samples, 500.0) < 0.01, "{}", share(&samples, 500.0));
    }

    #[test]
    fn two_voices_share_the_power() {
        let (one, other) = (sine(500.0, 1_600), sine(700.0, 1_600));
        let both: Vec<i16> = one.iter().zip(&other).map(|(a, b)| a / 2 + b / 2).collect();
        assert!((0.45..0.55).contains(&share(&both, 500.0)));
        assert!((0.45..0.55).contains(&share(&both, 700.0)));
    }

    #[test]
    fn a_frequency_is_measured_to_a_hundredth() {
        for frequency in [439.2, 440.0, 440.3] {
            let measured = exact_frequency(&sine(frequency, 1_600), 440.0);
            assert!((measured - frequency).abs() < 0.02, "{frequency} measured as {measured}");
        }
    }

    #[test]
    fn a_tone_is_in_one_piece_where_nothing_is_silent() {
        let whole = sine(500.0, 80_000);
        assert_eq!(one_piece(&whole, 500.0).map(|place| place.len() > 79_000), Ok(true));
        let mut made_up = whole.clone();
        made_up[8_000..8_160].iter_mut().for_each(|sample| *sample = -*sample);
        assert!(one_piece(&made_up, 500.0).is_ok());
        let mut hole = whole;
        hole[8_040..8_200].fill(0);
        assert!(one_piece(&hole, 500.0).is_err());
    }

    #[test]
    fn a_tone_with_holes_is_there_for_the_rest_of_the_time() {
        let mut samples = sine(440.0, 1_600);
        samples[320..640].fill(0);
        assert_eq!(presence(&samples, 440.0), 0.8);
        assert_eq!(presence(&samples, 500.0), 0.0);
        // Of nine packets two are missing, and a third seems to be, unless one looks where they begin.
        assert_eq!(presence(&samples[70..], 440.0), 6.0 / 9.0);
        assert_eq!(presence_in_packets(&samples[70..], 440.0), 7.0 / 9.0);
        assert_eq!(presence_in_packets(&samples[70..], 500.0), 0.0);
        assert_eq!(presence_in_packets(&[], 440.0), 0.0);
    }

    #[test]
    fn silence_is_no_tone() {
        assert!(is_silent(&[3; 800]));
        assert_eq!(share(&[3; 800], 440.0), 0.0);
    }

    fn sine(frequency: f64, length: u64) -> Vec<i16> {
        let sine = Sine::new(frequency, -10.0, NARROWBAND).expect("a frequency that can be heard");
        (0..length).map(|n| sine.sample(n).round() as i16).collect()
    }
}
