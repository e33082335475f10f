//! The story of a failure, in under 40 lines: the sentences, why, the ladder around the break, how to see it again.

use crate::play::{Failure, Outcome};
use crate::suite::Case;
use simulator::ladder::{Ladder, Style};
use std::fmt::Write as _;

/// Lines of the ladder that are shown.
const LADDER: usize = 14;
/// Lines of a reason.
const REASON: usize = 6;
/// Sentences that are shown.
const SENTENCES: usize = 8;

/// The story of a scenario that failed; `kept` is where its artefacts are, when there are any.
pub fn story(case: &Case, outcome: &Outcome, kept: Option<&str>, style: Style) -> String {
    let mut text = String::new();
    let Some(failure) = &outcome.failure else { return text };
    let left_out = outcome.said.len().saturating_sub(SENTENCES);
    if left_out > 0 {
        let _ = writeln!(text, "    ... {left_out} sentences before");
    }
    for said in &outcome.said[left_out..] {
        write_wrapped(&mut text, &said.text, "  ", style);
    }
    let why = reason(failure);
    let mut lines = String::new();
    why.lines().for_each(|line| write_wrapped(&mut lines, line, "  ", style));
    lines.lines().take(REASON).for_each(|line| {
        let _ = writeln!(text, "{}", red(line, style));
    });
    if lines.lines().count() > REASON {
        let _ = writeln!(text, "  ... the rest is in report.html");
    }
    if let Some(cascade) = cascade(outcome) {
        write_wrapped(&mut text, &cascade, "  ", style);
    }
    text.push_str(&ladder(outcome, style));
    text.push_str(&footer(case, outcome, kept));
    text
}

/// Why, in words.
pub fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Unknown(nearest) if nearest.is_empty() => "nobody knows this sentence".to_owned(),
        Failure::Unknown(nearest) => {
            format!("nobody knows this sentence; known are\n  {}", nearest.join("\n  "))
        }
        Failure::Ambiguous(which) => format!("several sentences fit: {which}"),
        Failure::Step(why) => format!("but {why}"),
        Failure::Unplayable(why) => format!("skipped: {why}"),
        Failure::Rule(rule) => format!("but at the end: {rule}"),
    }
}

/// The line that plays a scenario again.
pub fn replay(case: &Case, outcome: &Outcome) -> String {
    let net = case.weather.map(|weather| format!(" --net {weather}")).unwrap_or_default();
    format!("cargo run --bin simulate -- play {} --seed {}{net} --ladder", case.place(), outcome.seed)
}

/// What failed only because something else had before.
fn cascade(outcome: &Outcome) -> Option<String> {
    let checks = outcome.skipped.len();
    let (word, were) = if checks == 1 { ("sentence", "was") } else { ("sentences", "were") };
    (checks > 0).then(|| format!("{checks} later {word} {were} skipped, because this one does not hold"))
}

/// The ladder around the break.
fn ladder(outcome: &Outcome, style: Style) -> String {
    let Some(snapshot) = &outcome.snapshot else { return String::new() };
    let ladder = Ladder::of(&snapshot.packets, &snapshot.names);
    let around = ladder.around(outcome.moment, LADDER);
    if around.is_empty() {
        return String::new();
    }
    let (before, after) = (around.start, ladder.arrows.len() - around.end);
    // What is wrong at the end is wrong in all of it.
    let mark = Some(outcome.moment).filter(|moment| *moment < outcome.lasted);
    let drawn = ladder.draw(around, mark, style);
    let (head, arrows) = drawn.split_once('\n').unwrap_or((&drawn, ""));
    let mut text = format!("\n{head}\n");
    let left_out = |count: usize, where_: &str| match count {
        0 => String::new(),
        1 => format!("      ...  1 arrow {where_}\n"),
        count => format!("      ...  {count} arrows {where_}\n"),
    };
    text.push_str(&left_out(before, "before"));
    text.push_str(arrows);
    text.push_str(&left_out(after, "after"));
    text
}

fn footer(case: &Case, outcome: &Outcome, kept: Option<&str>) -> String {
    let mut text = format!(
        "\n  seed {}: {:.3} s of virtual time, played in {}\n",
        outcome.seed,
        outcome.lasted.as_nanos() as f64 / 1e9,
        span(outcome.took.as_secs_f64())
    );
    if let Some(folder) = kept {
        let _ = writeln!(text, "  kept:  {folder}/report.html");
    }
    let _ = writeln!(text, "  again: {}", replay(case, outcome));
    text
}

/// So many seconds as people say it.
pub fn span(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        ..100.0 => format!("{seconds:.1} s"),
        ..6_000.0 => format!("{:.0} minutes", seconds / 60.0),
        _ => format!("{:.1} hours", seconds / 3_600.0),
    }
}

/// Writes a text in lines that are no longer than the terminal is wide; those that follow stand a little further in.
pub fn write_wrapped(out: &mut String, text: &str, indent: &str, style: Style) {
    let own = text.len() - text.trim_start().len();
    let (mut line, mut length) = (format!("{indent}{}", " ".repeat(own)), indent.len() + own);
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let letters = word.chars().count();
        if !is_empty && length + 1 + letters > style.width {
            let _ = writeln!(out, "{line}");
            line = format!("{indent}{}    ", " ".repeat(own));
            (length, is_empty) = (line.len(), true);
        }
        if !is_empty {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        (length, is_empty) = (length + letters, false);
    }
    let _ = writeln!(out, "{line}");
}

fn red(text: &str, style: Style) -> String {
    if style.has_colours { format!("\x1b[31m{text}\x1b[0m") } else { text.to_owned() }
}
