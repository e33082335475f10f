//! Schedules: which tones a recording holds, when, on which channel. Written by people as TOML, made into a recording, and
//! what a recording is held against ([`super::verdict`]).
//!
//! | file | what is in it |
//! |---|---|
//! | `read.rs` | the text that becomes a schedule or is refused with its place |
//! | `raw.rs` | the text as it is written, before anybody asks whether it makes sense |
//! | `render.rs` | the recording of a schedule |

mod raw;
mod read;
mod render;

pub use read::ScheduleError;

use super::scan::Plan;
use crate::audio::wav::Encoding;
use std::fmt;

/// What a recording holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// How far an edge may be from its place, in milliseconds.
    pub tolerance: f64,
    /// How far a level that was written down may be off, in dB.
    pub level_tolerance: f64,
    /// How long the recording is, in milliseconds.
    pub length: f64,
    /// Samples a second of a recording that is made.
    pub rate: u32,
    /// What its samples are written as.
    pub encoding: Encoding,
    /// The channels in order.
    pub channels: Vec<Channel>,
}

/// What one channel holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Whose it is.
    pub name: Option<String>,
    /// White noise over all of it, in dBm0.
    pub noise: Option<f64>,
    /// Its sounds in the order in which they begin.
    pub sounds: Vec<Sound>,
}

/// A key, a tone or a rhythm of tones.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// When it begins and ends, in milliseconds.
    pub start: f64,
    /// See `start`.
    pub end: f64,
    /// What it is.
    pub what: What,
    /// The level of each sine in dBm0.
    pub level: f64,
    /// Whether somebody wrote the level down, so that it is looked at.
    pub is_level_told: bool,
    /// How far the higher sine is above the lower, in dB.
    pub twist: f64,
    /// How far the frequencies are off, as a factor.
    pub off: f64,
}

/// What is heard.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A key of DTMF.
    Key(char),
    /// One or two sines, in Hz, the lower first.
    Tone(Vec<f64>),
    /// A rhythm of a tone plan.
    Cadence(Plan),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Key(key) => write!(f, "digit {key}"),
            What::Tone(frequencies) => write!(f, "a tone of {}", Hertz(frequencies)),
            What::Cadence(plan) => write!(f, "{plan}"),
        }
    }
}

/// Frequencies as people write them: `350 + 440 Hz`.
pub struct Hertz<'a>(pub &'a [f64]);

impl fmt::Display for Hertz<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, frequency) in self.0.iter().enumerate() {
            let joint = if at > 0 { " + " } else { "" };
            write!(f, "{joint}{}", (frequency * 10.0).round() / 10.0)?;
        }
        f.write_str(" Hz")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::scan;

    /// A schedule that has everything.
    const WHOLE: &str = r#"
        tolerance_ms = 10
        length_ms = 9000

        [[channel]]
        name = "alice"
        tones = [
          { at_ms = 500, digits = "159#", for_ms = 60, pause_ms = 70, level_dbm0 = -12 },
          { at_ms = 2000, frequencies = [1004], for_ms = 1000 },
        ]

        [[channel]]
        tones = [{ at_ms = 0, cadence = "us busy", for_ms = 4000 }]
    "#;

    #[test]
    fn digits_follow_each_other() {
        let schedule = Schedule::read(WHOLE).expect("a schedule");
        let alice = &schedule.channels[0];
        let keys: Vec<_> = alice.sounds[..4].iter().map(|key| (key.start, key.end)).collect();
        assert_eq!(keys, [(500.0, 560.0), (630.0, 690.0), (760.0, 820.0), (890.0, 950.0)]);
        assert_eq!(alice.sounds[3].what, What::Key('#'));
        assert!(alice.sounds[0].is_level_told && !alice.sounds[4].is_level_told);
    }

    #[test]
    fn what_is_made_of_it_is_heard() {
        let schedule = Schedule::read(WHOLE).expect("a schedule");
        let recording = schedule.render();
        assert_eq!((recording.channels.len(), recording.length()), (2, 72_000));
        let alice = scan::scan(&recording.channels[0]);
        let keys: String = alice.keys.iter().map(|key| key.digit).collect();
        assert_eq!(keys, "159#");
        assert!(alice.keys[0].start.abs_diff(4_000) <= 2 && (alice.keys[0].levels[0] + 12.0).abs() < 0.2);
        assert!((alice.tones[0].frequencies[0] - 1_004.0).abs() < 0.5);
        let other = scan::scan(&recording.channels[1]);
        assert_eq!(
            (other.cadences[0].plan, other.cadences[0].name, other.cadences[0].periods),
            ("us", "busy", 4)
        );
    }

    #[test]
    fn every_rhythm_of_every_plan_is_heard_as_itself() {
        for plan in scan::PLANS.iter().copied() {
            let text = format!(
                "length_ms = 14000\n[[channel]]\ntones = [{{ at_ms = 200, cadence = \"{plan}\", for_ms = 12000 }}]"
            );
            let schedule = Schedule::read(&text).unwrap_or_else(|error| panic!("{plan}: {error}"));
            let heard = scan::scan(&schedule.render().channels[0]);
            let [cadence] = heard.cadences.as_slice() else { panic!("{plan}: {heard:?}") };
            assert_eq!(cadence.name, plan.name, "{plan}: {} {}", cadence.plan, cadence.name);
        }
    }

    #[test]
    fn what_is_wrong_in_it_has_its_place() {
        let told = |text: &str| Schedule::read(text).expect_err("it is no schedule").to_string();
        assert_eq!(
            told("tolerence_ms = 1"),
            "line 1, column 1: unknown field `tolerence_ms`, expected one of \
            `tolerance_ms`, `level_tolerance_db`, `length_ms`, `rate`, `encoding`, `channel`"
        );
        assert_eq!(told("rate = 8000"), "line 1, column 1: there is no [[channel]]");
        let tone = |tone: &str| told(&format!("[[channel]]\ntones = [\n  {{ {tone} }},\n]"));
        assert_eq!(
            tone("at_ms = 1, digits = \"15x\""),
            "line 3, column 25: `x` is no digit; digits are 0 to 9, *, #, A to D"
        );
        assert_eq!(
            tone("at_ms = 1"),
            "line 3, column 3: a tone has one of `digits`, `frequencies` and `cadence`"
        );
        assert_eq!(
            tone("at_ms = 1, frequencies = [440], digits = \"1\""),
            "line 3, column 3: a tone has one of `digits`, `frequencies` and `cadence`"
        );
        assert_eq!(
            tone("at_ms = 1, frequencies = [440, 4000], for_ms = 5"),
            "line 3, column 30: expected one or two frequencies from 50 to 3900 Hz"
        );
        assert_eq!(
            tone("at_ms = 1, frequencies = [440]"),
            "line 3, column 3: how long it lasts is missing: `for_ms`"
        );
        assert_eq!(tone("at_ms = -1, digits = \"1\""), "line 3, column 13: expected 0 to 3600000 ms");
        assert!(
            tone("at_ms = 1, cadence = \"us bussy\", for_ms = 5").starts_with(
                "line 3, column 26: no plan has \"us bussy\"; known are \"us dial\", \"us busy\""
            )
        );
        assert_eq!(
            told("[[channel]]\ntones = [{ at_ms = \"x\" }]"),
            "line 2, column 20: invalid type: string \"x\", expected f64"
        );
    }
}
