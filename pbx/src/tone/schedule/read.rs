//! The text of a schedule: it becomes a schedule, or is refused with the line and column at which it is wrong.

use super::raw;
use super::{Channel, Schedule, Sound, What};
use crate::audio::wav::Encoding;
use crate::audio::{FULL_SCALE, NARROWBAND};
use crate::tone::dtmf;
use crate::tone::scan::{PLANS, Plan, SIT};
use std::fmt;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;

/// How far an edge may be from its place when nothing is said: a packet.
const TOLERANCE: f64 = 20.0;
/// How far a level may be off when nothing is said.
const LEVEL_TOLERANCE: f64 = 3.0;
/// A tone is as loud as this when nothing is said, in dBm0.
const LEVEL: f64 = -10.0;
/// How long a key is pressed, and released, when nothing is said.
const PRESS: f64 = 80.0;
/// An hour: longer recordings are nobody's test.
const LONGEST: f64 = 3_600_000.0;
/// The most sounds of a channel, and the most channels.
const SOUNDS: usize = 10_000;
const CHANNELS: usize = 64;
/// Silence behind the last sound when no length is given.
const TAIL: f64 = 100.0;

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleError {
    /// Where, counted from 1.
    pub line: usize,
    /// See `line`; in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ScheduleError {}

impl Schedule {
    /// The schedule in a text (TOML).
    pub fn read(text: &str) -> Result<Schedule, ScheduleError> {
        Reader { text }.schedule()
    }
}

type Result<T, E = ScheduleError> = std::result::Result<T, E>;

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn schedule(&self) -> Result<Schedule> {
        let raw: raw::Schedule = toml::from_str(self.text).map_err(|error| {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            self.wrong(error.span().unwrap_or(0..0), message)
        })?;
        if raw.channel.is_empty() || raw.channel.len() > CHANNELS {
            let message =
                if raw.channel.is_empty() { "there is no [[channel]]" } else { "more than 64 channels" };
            return Err(self.wrong(0..0, message));
        }
        let channels = raw.channel.iter().map(|channel| self.channel(channel)).collect::<Result<Vec<_>>>()?;
        let last = channels.iter().flat_map(|channel| &channel.sounds).map(|sound| sound.end);
        let needed = last.fold(0.0, f64::max);
        let length = match &raw.length_ms {
            None => needed + TAIL,
            Some(length) if *length.as_ref() < needed => {
                return Err(self.wrong(length.span(), format!("the last tone ends later, at {needed} ms")));
            }
            some => self.within(some.as_ref(), 1.0..=LONGEST, "ms", needed)?,
        };
        if length > LONGEST {
            return Err(self.wrong(0..0, "the last tone ends after more than an hour"));
        }
        let rate = match &raw.rate {
            None => NARROWBAND,
            Some(rate) if [8_000, 16_000, 32_000, 44_100, 48_000].contains(rate.as_ref()) => *rate.as_ref(),
            Some(rate) => {
                return Err(self.wrong(rate.span(), "expected 8000, 16000, 32000, 44100 or 48000"));
            }
        };
        let encoding = match &raw.encoding {
            None => Encoding::Pcm16,
            Some(name) => Encoding::named(name.as_ref()).ok_or_else(|| {
                let known = Encoding::ALL.map(|known| format!("`{known}`")).join(", ");
                self.wrong(name.span(), format!("expected one of {known}"))
            })?,
        };
        Ok(Schedule {
            tolerance: self.within(raw.tolerance_ms.as_ref(), 0.0..=10_000.0, "ms", TOLERANCE)?,
            level_tolerance: self.within(
                raw.level_tolerance_db.as_ref(),
                0.0..=100.0,
                "dB",
                LEVEL_TOLERANCE,
            )?,
            length,
            rate,
            encoding,
            channels,
        })
    }

    fn channel(&self, raw: &Spanned<raw::Channel>) -> Result<Channel> {
        let channel = raw.as_ref();
        let mut sounds = Vec::new();
        for tone in &channel.tones {
            self.sounds(tone, &mut sounds)?;
            if sounds.len() > SOUNDS {
                return Err(self.wrong(tone.span(), format!("more than {SOUNDS} tones on one channel")));
            }
        }
        sounds.sort_by(|a, b| a.start.total_cmp(&b.start));
        let noise = channel.noise_dbm0.as_ref();
        let noise = noise.map(|_| self.within(noise, -90.0..=FULL_SCALE, "dBm0", 0.0)).transpose()?;
        Ok(Channel { name: channel.name.clone(), noise, sounds })
    }

    /// What one line makes: several sounds when it has several digits.
    fn sounds(&self, raw: &Spanned<raw::Tone>, sounds: &mut Vec<Sound>) -> Result<()> {
        let tone = raw.as_ref();
        let start = self.within(Some(&tone.at_ms), 0.0..=LONGEST, "ms", 0.0)?;
        let length = |default| self.within(tone.for_ms.as_ref(), 1.0..=LONGEST, "ms", default);
        let sound = |start, length, what| -> Result<Sound> {
            Ok(Sound {
                start,
                end: start + length,
                what,
                level: self.within(tone.level_dbm0.as_ref(), -80.0..=FULL_SCALE, "dBm0", LEVEL)?,
                is_level_told: tone.level_dbm0.is_some(),
                twist: self.within(tone.twist_db.as_ref(), -40.0..=40.0, "dB", 0.0)?,
                off: 1.0 + self.within(tone.off_percent.as_ref(), -50.0..=50.0, "percent", 0.0)? / 100.0,
            })
        };
        match (&tone.digits, &tone.frequencies, &tone.cadence) {
            (Some(digits), None, None) => {
                let length = length(PRESS)?;
                let pause = self.within(tone.pause_ms.as_ref(), 0.0..=LONGEST, "ms", PRESS)?;
                for (at, digit) in self.digits(digits)?.into_iter().enumerate() {
                    sounds.push(sound(start + at as f64 * (length + pause), length, What::Key(digit))?);
                }
                return Ok(());
            }
            (None, Some(frequencies), None) if tone.for_ms.is_some() => {
                let what = What::Tone(self.frequencies(frequencies)?);
                sounds.push(sound(start, length(0.0)?, what)?);
            }
            (None, None, Some(name)) if tone.for_ms.is_some() => {
                let what = What::Cadence(self.cadence(name)?);
                sounds.push(sound(start, length(0.0)?, what)?);
            }
            (None, Some(_), None) | (None, None, Some(_)) => {
                return Err(self.wrong(raw.span(), "how long it lasts is missing: `for_ms`"));
            }
            _ => {
                let message = "a tone has one of `digits`, `frequencies` and `cadence`";
                return Err(self.wrong(raw.span(), message));
            }
        }
        match &tone.pause_ms {
            Some(pause) => Err(self.wrong(pause.span(), "only digits have a pause between them")),
            None => Ok(()),
        }
    }

    fn digits(&self, digits: &Spanned<String>) -> Result<Vec<char>> {
        if digits.as_ref().is_empty() || digits.as_ref().len() > SOUNDS {
            return Err(self.wrong(digits.span(), format!("expected 1 to {SOUNDS} digits")));
        }
        let digit =
            |key: char| match dtmf::frequencies(key) {
                Some(_) => Ok(key.to_ascii_uppercase()),
                None => Err(self
                    .wrong(digits.span(), format!("`{key}` is no digit; digits are 0 to 9, *, #, A to D"))),
            };
        digits.as_ref().chars().map(digit).collect()
    }

    fn frequencies(&self, frequencies: &Spanned<Vec<f64>>) -> Result<Vec<f64>> {
        let mut sorted = frequencies.as_ref().clone();
        sorted.sort_by(f64::total_cmp);
        let fits = sorted.iter().all(|frequency| (50.0..=3_900.0).contains(frequency));
        if !fits || !(1..=2).contains(&sorted.len()) {
            return Err(self.wrong(frequencies.span(), "expected one or two frequencies from 50 to 3900 Hz"));
        }
        Ok(sorted)
    }

    fn cadence(&self, name: &Spanned<String>) -> Result<Plan> {
        Plan::named(name.as_ref()).ok_or_else(|| {
            let known: Vec<_> = PLANS.iter().chain([&SIT]).map(|plan| format!("\"{plan}\"")).collect();
            let message = format!("no plan has \"{}\"; known are {}", name.as_ref(), known.join(", "));
            self.wrong(name.span(), message)
        })
    }

    /// A number within these bounds; what is not written is the default.
    fn within(
        &self,
        number: Option<&Spanned<f64>>,
        bounds: RangeInclusive<f64>,
        unit: &str,
        default: f64,
    ) -> Result<f64> {
        let Some(number) = number else { return Ok(default) };
        if bounds.contains(number.as_ref()) {
            return Ok(*number.as_ref());
        }
        let message = format!("expected {} to {} {unit}", bounds.start(), bounds.end());
        Err(self.wrong(number.span(), message))
    }

    fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> ScheduleError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ScheduleError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}
