//! What is printed: a table for people, JSON for programs, a verdict for both.

use crate::Listened;
use pbx::tone::scan::{Cadence, Key, Reason, Tone};
use pbx::tone::schedule::{Hertz, Schedule};
use pbx::tone::verdict::Heard;
use serde::Serialize;
use std::fmt::Write as _;

/// What all recordings hold, channel by channel: one object, or an array when there are several.
pub(crate) fn json(heard: &[Listened<'_>]) -> String {
    let channels = |listened| Channel::all(listened).into_iter().map(|channel| channel.text());
    let all: Vec<String> = heard.iter().flat_map(channels).collect();
    match all.as_slice() {
        [only] if heard.len() == 1 => format!("{only}\n"),
        _ => format!("[{}]\n", all.join(",\n")),
    }
}

/// Whether a recording is as expected; if not, a sentence for each difference.
pub(crate) fn verdict(listened: &Listened<'_>, schedule: &Schedule) -> String {
    let path = listened.path.display();
    let differences = listened.differences.as_deref().unwrap_or_default();
    if differences.is_empty() {
        let sounds: usize = schedule.channels.iter().map(|channel| channel.sounds.len()).sum();
        let channels = counted(schedule.channels.len(), "channel");
        return format!("{path}: as expected: {channels}, {}\n", counted(sounds, "tone"));
    }
    let mut text = format!("{path}: not as expected\n");
    for difference in differences {
        let _ = writeln!(text, "  {difference}");
    }
    text
}

/// What a recording holds, for people.
pub(crate) fn table(listened: &Listened<'_>) -> String {
    let recording = &listened.recording;
    let seconds = recording.length() as f64 / f64::from(recording.rate);
    let mut text = format!(
        "{}: {} Hz, {}, {seconds:.3} s\n",
        listened.path.display(),
        recording.rate,
        counted(recording.channels.len(), "channel")
    );
    for (number, heard) in listened.channels.iter().enumerate() {
        if listened.channels.len() > 1 {
            let _ = writeln!(text, "channel {}", number + 1);
        }
        let mut lines = lines(heard);
        if lines.is_empty() {
            text.push_str(if heard.is_silent() { "  silence\n" } else { "  no keys, no tones\n" });
            continue;
        }
        let _ = writeln!(
            text,
            "  {:>9} {:>9}  {:<15} {:<24} {:>12} {:>7}",
            "start s", "end s", "what", "Hz", "dBm0", "SNR dB"
        );
        lines.sort_by_key(|line| line.0);
        lines.iter().for_each(|line| text.push_str(&line.1));
    }
    text
}

/// A line for each thing that was heard, with the sample at which it begins.
fn lines(heard: &Heard) -> Vec<(usize, String)> {
    let line = |start: usize, end: usize, what: &str, rest: String| {
        let [from, to] = [start, end].map(|sample| sample as f64 / 8_000.0);
        (start, format!("  {from:>9.3} {to:>9.3}  {what:<15} {}\n", rest.trim_end()))
    };
    let measured = |frequencies: &[f64], levels: &[f64], snr: f64| {
        let levels: Vec<_> = levels.iter().map(|level| format!("{level:.1}")).collect();
        let hertz = Hertz(frequencies).to_string();
        format!("{:<24} {:>12} {snr:>7.0}", hertz.trim_end_matches(" Hz"), levels.join(" "))
    };
    let keys = heard.scan.keys.iter().map(|key| match key.rejected {
        None => line(
            key.start,
            key.end,
            &format!("digit {}", key.digit),
            measured(&key.frequencies, &key.levels, key.snr),
        ),
        Some(reason) => line(key.start, key.end, &format!("(no digit {})", key.digit), said(reason, key)),
    });
    let tones =
        heard.scan.tones.iter().map(|tone| {
            line(tone.start, tone.end, "tone", measured(&tone.frequencies, &tone.levels, tone.snr))
        });
    let cadences = heard.scan.cadences.iter().map(|cadence| {
        let what = format!("{} {}", cadence.plan, cadence.name);
        line(cadence.start, cadence.end, &what, counted(cadence.periods, "time"))
    });
    cadences.chain(keys).chain(tones).collect()
}

/// Why something counts as no key.
fn said(reason: Reason, key: &Key) -> String {
    let [low, high] = key.levels;
    match reason {
        Reason::TooShort => format!("too short: {:.0} ms", (key.end - key.start) as f64 / 8.0),
        Reason::Twist => format!("twist: its sines have {low:.1} and {high:.1} dBm0"),
        Reason::OffFrequency => format!("off frequency: {}", Hertz(&key.frequencies)),
        Reason::TooWeak => format!("too weak: {low:.1} and {high:.1} dBm0"),
        Reason::Speech => format!("speech: more than two sines (SNR {:.0} dB)", key.snr),
        Reason::Echo => "echo: the digit before comes again, fainter".to_owned(),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// One channel of one file, in the format `tones/1`.
#[derive(Serialize)]
struct Channel {
    format: &'static str,
    file: String,
    sample_rate: u32,
    channel: usize,
    duration_ms: f64,
    events: Vec<Event>,
    rejected: Vec<Rejected>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    Dtmf {
        digit: char,
        start_ms: f64,
        end_ms: f64,
        freqs: [f64; 2],
        levels_dbm0: [f64; 2],
        twist_db: f64,
        snr_db: f64,
    },
    Tone {
        freqs: Vec<f64>,
        start_ms: f64,
        end_ms: f64,
        levels_dbm0: Vec<f64>,
        snr_db: f64,
    },
    Cadence {
        name: &'static str,
        plan: &'static str,
        freqs: Vec<f64>,
        start_ms: f64,
        end_ms: f64,
        periods: usize,
    },
}

#[derive(Serialize)]
struct Rejected {
    #[serde(rename = "type")]
    kind: &'static str,
    digit: char,
    start_ms: f64,
    end_ms: f64,
    reason: &'static str,
}

impl Channel {
    fn all(listened: &Listened<'_>) -> Vec<Channel> {
        let rate = listened.recording.rate;
        let of = |(channel, heard): (usize, &Heard)| Channel {
            format: "tones/1",
            file: listened.path.display().to_string(),
            sample_rate: rate,
            channel,
            duration_ms: thousandths(listened.recording.length() as f64 * 1_000.0 / f64::from(rate)),
            events: Event::all(heard),
            rejected: heard.scan.keys.iter().filter_map(Rejected::of).collect(),
        };
        listened.channels.iter().enumerate().map(of).collect()
    }

    /// An event a line, so that two reports can be compared line by line.
    fn text(&self) -> String {
        let text = serde_json::to_string(self).expect("numbers and text can be written as JSON");
        text.replace(",\"events\":[", ",\n \"events\":[")
            .replace(",\"rejected\":[", ",\n \"rejected\":[")
            .replace("{\"type\":", "\n  {\"type\":")
    }
}

impl Event {
    /// In the order in which they begin.
    fn all(heard: &Heard) -> Vec<Event> {
        let keys = heard.scan.keys.iter().filter(|key| key.rejected.is_none());
        let mut events: Vec<(usize, Event)> = keys.map(|key| (key.start, Event::key(key))).collect();
        events.extend(heard.scan.tones.iter().map(|tone| (tone.start, Event::tone(tone))));
        events.extend(heard.scan.cadences.iter().map(|cadence| (cadence.start, Event::cadence(cadence))));
        events.sort_by_key(|event| event.0);
        events.into_iter().map(|event| event.1).collect()
    }

    fn key(key: &Key) -> Event {
        Event::Dtmf {
            digit: key.digit,
            start_ms: millis(key.start),
            end_ms: millis(key.end),
            freqs: key.frequencies.map(tenths),
            levels_dbm0: key.levels.map(tenths),
            twist_db: tenths(key.levels[1] - key.levels[0]),
            snr_db: tenths(key.snr),
        }
    }

    fn tone(tone: &Tone) -> Event {
        Event::Tone {
            freqs: tone.frequencies.iter().copied().map(tenths).collect(),
            start_ms: millis(tone.start),
            end_ms: millis(tone.end),
            levels_dbm0: tone.levels.iter().copied().map(tenths).collect(),
            snr_db: tenths(tone.snr),
        }
    }

    fn cadence(cadence: &Cadence) -> Event {
        Event::Cadence {
            name: cadence.name,
            plan: cadence.plan,
            freqs: cadence.frequencies.iter().copied().map(tenths).collect(),
            start_ms: millis(cadence.start),
            end_ms: millis(cadence.end),
            periods: cadence.periods,
        }
    }
}

impl Rejected {
    fn of(key: &Key) -> Option<Rejected> {
        let reason = match key.rejected? {
            Reason::TooShort => "too_short",
            Reason::Twist => "twist",
            Reason::OffFrequency => "off_frequency",
            Reason::TooWeak => "too_weak",
            Reason::Speech => "speech",
            Reason::Echo => "echo",
        };
        let (start_ms, end_ms) = (millis(key.start), millis(key.end));
        Some(Rejected { kind: "dtmf", digit: key.digit, start_ms, end_ms, reason })
    }
}

/// Milliseconds of a sample at 8000 Hz.
fn millis(sample: usize) -> f64 {
    sample as f64 / 8.0
}

/// Nothing is written as -0.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0 + 0.0
}

fn thousandths(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
