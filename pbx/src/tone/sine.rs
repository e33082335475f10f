//! Sines: sample n is sin(2πfn / rate), the first as exact as the last.

use crate::audio::{Law, NARROWBAND, amplitude};
use std::f64::consts::TAU;
use std::sync::Arc;

/// The longest period that is kept as a table, in samples. Every whole number of Hz has one of at most 8000.
const LONGEST_TABLE: u64 = 16_000;

/// A sine, sample by sample. The phase is an integer, 2^64 to the turn: it neither drifts nor loses precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sine {
    increment: u64,
    amplitude: f64,
}

impl Sine {
    /// A sine of `frequency` Hz at `level` dBm0; `None` when the frequency is not above 0 and below half of `rate`.
    pub fn new(frequency: f64, level: f64, rate: u32) -> Option<Sine> {
        let turns = frequency / f64::from(rate);
        if !(turns > 0.0 && turns < 0.5 && level.is_finite()) {
            return None;
        }
        // 2^64 to the turn; below half a turn it fits.
        let increment = (turns * 18_446_744_073_709_551_616.0) as u64;
        Some(Sine { increment, amplitude: amplitude(level) })
    }

    /// Sample `n`, before it is rounded.
    pub fn sample(&self, n: u64) -> f64 {
        let phase = n.wrapping_mul(self.increment);
        self.amplitude * (phase as f64 / 18_446_744_073_709_551_616.0 * TAU).sin()
    }
}

/// A sine in G.711 bytes. Where its period is a whole number of samples the period is kept, so that a tone costs a copy
/// and all streams that play it share the table.
#[derive(Clone, Debug)]
pub struct Wave(Form);

#[derive(Clone, Debug)]
enum Form {
    /// One whole period, or several.
    Table(Arc<[u8]>),
    Computed(Sine, Law),
}

impl Wave {
    /// The bytes of [`Sine::new`] at 8000 Hz.
    pub fn new(frequency: f64, level: f64, law: Law) -> Option<Wave> {
        let sine = Sine::new(frequency, level, NARROWBAND)?;
        let Some(period) = period(frequency) else { return Some(Wave(Form::Computed(sine, law))) };
        // Within the table the turns are exact fractions of it, so that its end meets its beginning.
        let cycles = (frequency * period as f64 / f64::from(NARROWBAND)).round() as u64;
        let exact = |n: u64| (n * cycles % period) as f64 / period as f64;
        let code = |n| law.encode((sine.amplitude * (exact(n) * TAU).sin()).round() as i16);
        Some(Wave(Form::Table((0..period).map(code).collect())))
    }

    /// Fills `out` with what follows from sample `from` on.
    pub fn fill(&self, from: u64, out: &mut [u8]) {
        match &self.0 {
            Form::Table(table) => copy_around(table, (from % table.len() as u64) as usize, out),
            Form::Computed(sine, law) => {
                for (n, byte) in (from..).zip(out) {
                    *byte = law.encode(sine.sample(n).round() as i16);
                }
            }
        }
    }

    /// Whether somebody else holds the same table.
    pub fn is_shared(&self) -> bool {
        matches!(&self.0, Form::Table(table) if Arc::strong_count(table) > 1)
    }
}

/// Samples in the shortest whole number of turns; `None` for more than [`LONGEST_TABLE`]. Thousandths of a Hz count.
fn period(frequency: f64) -> Option<u64> {
    let thousandths = (frequency * 1000.0).round();
    if (frequency * 1000.0 - thousandths).abs() > 1e-9 {
        return None;
    }
    let rate = u64::from(NARROWBAND) * 1000;
    let period = rate / greatest_common_divisor(thousandths as u64, rate);
    (period <= LONGEST_TABLE).then_some(period)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

fn copy_around(table: &[u8], mut from: usize, mut out: &mut [u8]) {
    while !out.is_empty() {
        let length = out.len().min(table.len() - from);
        let (now, later) = out.split_at_mut(length);
        now.copy_from_slice(&table[from..from + length]);
        out = later;
        from = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest distance between a wave and the sine it should be, over a second that starts at `from`, less what
    /// the law itself may be off.
    fn worst_error(frequency: f64, law: Law, from: u64) -> f64 {
        let wave = Wave::new(frequency, -6.0, law).unwrap();
        let mut bytes = [0; 8000];
        wave.fill(from, &mut bytes);
        let error = |(n, byte): (u64, &u8)| {
            let turns = (n as f64 * frequency / 8000.0).fract();
            let wanted = amplitude(-6.0) * (turns * TAU).sin();
            (f64::from(law.decode(*byte)) - wanted).abs() - wanted.abs() / 32.0 - 9.0
        };
        (from..).zip(&bytes).map(error).fold(f64::MIN, f64::max)
    }

    #[test]
    fn every_sample_is_that_of_the_sine() {
        for law in [Law::Mu, Law::A] {
            for frequency in [440.0, 1.0, 3999.0, 1004.5, 440.123, std::f64::consts::E * 100.0] {
                for from in [0, 7, 8000 * 3600] {
                    let error = worst_error(frequency, law, from);
                    assert!(
                        error <= 0.0,
                        "{frequency} Hz in {law:?} at sample {from} is off by {error} more"
                    );
                }
            }
        }
    }

    #[test]
    fn pieces_join_without_a_click() {
        let wave = Wave::new(440.0, -6.0, Law::Mu).unwrap();
        let (mut whole, mut pieces) = ([0; 1600], [0; 1600]);
        wave.fill(0, &mut whole);
        for (n, piece) in pieces.chunks_mut(160).enumerate() {
            wave.fill(n as u64 * 160, piece);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn the_table_of_440_hz_has_eleven_turns_in_200_samples() {
        assert_eq!(period(440.0), Some(200));
        assert_eq!(period(1.0), Some(8000));
        assert_eq!(period(440.123), None);
        let wave = Wave::new(440.0, 0.0, Law::A).unwrap();
        let other = wave.clone();
        assert!(wave.is_shared());
        drop(other);
        assert!(!wave.is_shared());
    }

    #[test]
    fn what_cannot_be_heard_is_refused() {
        for frequency in [0.0, -440.0, 4000.0, f64::NAN, f64::INFINITY] {
            assert!(Wave::new(frequency, 0.0, Law::Mu).is_none(), "{frequency}");
        }
        assert!(Wave::new(440.0, f64::NAN, Law::Mu).is_none());
    }
}
