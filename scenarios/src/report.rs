//! The story of a failure, in under 40 lines: the sentences, why, the ladder, how to see it again.

use crate::play::{Failure, Outcome};
use std::fmt::Write as _;

/// Lines of the ladder that are shown; the ones before are left out.
const LADDER: usize = 20;
/// Lines of a reason.
const REASON: usize = 6;
/// Sentences that are shown.
const SENTENCES: usize = 9;

/// The story of a scenario that stands at `place` (`FILE:LINE`).
pub fn story(place: &str, outcome: &Outcome) -> String {
    let mut text = String::new();
    let Some(failure) = &outcome.failure else { return text };
    for said in &outcome.said[outcome.said.len().saturating_sub(SENTENCES)..] {
        let _ = writeln!(text, "  {}", said.text);
    }
    let _ = writeln!(text, "  {}", reason(failure).lines().take(REASON).collect::<Vec<_>>().join("\n  "));
    let lines: Vec<&str> = outcome.ladder.lines().collect();
    if let Some((head, arrows)) = lines.split_first().filter(|(_, arrows)| !arrows.is_empty()) {
        let left_out = arrows.len().saturating_sub(LADDER);
        let _ = writeln!(text, "\n{head}");
        if left_out > 0 {
            let _ = writeln!(text, "      ...  {left_out} lines before");
        }
        arrows[left_out..].iter().for_each(|line| {
            let _ = writeln!(text, "{line}");
        });
    }
    let _ = writeln!(
        text,
        "\n  again: cargo run --bin simulate -- play {place} --seed {} --ladder",
        outcome.seed
    );
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
