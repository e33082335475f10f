//! How scenarios came out, for machines: JSON, and JUnit's XML as CI servers read it.

use crate::play::Outcome;
use crate::report;
use crate::suite::Case;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// A scenario that was played.
#[derive(Clone, Copy, Debug)]
pub struct Played<'a> {
    /// Which.
    pub case: &'a Case,
    /// How it came out.
    pub outcome: &'a Outcome,
    /// What is left of it.
    pub kept: &'a [PathBuf],
}

/// All of them as one value; `docs/scenarios.md` says what is in it.
pub fn json(played: &[Played<'_>], took: std::time::Duration) -> Value {
    let failed = played.iter().filter(|one| one.outcome.failure.is_some()).count();
    let unplayable = played.iter().filter(|one| one.outcome.unplayable.is_some()).count();
    json!({
        "format": 1,
        "passed": played.len() - failed - unplayable,
        "failed": failed,
        "real_secs": took.as_secs_f64(),
        "scenarios": played.iter().map(scenario).collect::<Vec<_>>(),
    })
}

fn scenario(played: &Played<'_>) -> Value {
    let Played { case, outcome, kept } = played;
    let failed = outcome.failure.as_ref();
    let sentence = failed.and_then(|_| outcome.said.last());
    json!({
        "name": case.name,
        "place": case.place(),
        "tags": case.tags(),
        "seed": outcome.seed,
        "net": case.weather.map(|weather| weather.name()),
        "outcome": match (failed, &outcome.unplayable) {
            (Some(_), _) => "failed",
            (None, Some(_)) => "ignored",
            (None, None) => "passed",
        },
        "reason": failed.map(report::reason),
        "sentence": sentence.map(|said| said.text.trim()),
        "sentence_line": sentence.map(|said| said.line),
        "moment_secs": failed.map(|_| outcome.moment.as_nanos() as f64 / 1e9),
        "skipped": outcome.skipped.len(),
        "virtual_secs": outcome.lasted.as_nanos() as f64 / 1e9,
        "real_secs": outcome.took.as_secs_f64(),
        "replay": report::replay(case, outcome),
        "artefacts": kept,
    })
}

/// All of them as JUnit's XML: a suite a feature, its time that of the machine.
pub fn junit(played: &[Played<'_>], took: std::time::Duration) -> String {
    let failed = |played: &[Played<'_>]| played.iter().filter(|one| one.outcome.failure.is_some()).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"features\" tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{:.3}\">\n",
        played.len(),
        failed(played),
        took.as_secs_f64()
    );
    for suite in played.chunk_by(|one, other| one.case.file == other.case.file) {
        let time: f64 = suite.iter().map(|one| one.outcome.took.as_secs_f64()).sum();
        let (file, count, failed) = (suite[0].case.file.display().to_string(), suite.len(), failed(suite));
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"{time:.3}\">",
            Xml(&file)
        );
        suite.iter().for_each(|one| test_case(&mut text, one));
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn test_case(text: &mut String, played: &Played<'_>) {
    let Played { case, outcome, kept } = played;
    let (feature, name) = case.name.split_once(": ").unwrap_or(("", &case.name));
    let _ = write!(
        text,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.3}\">\n      <properties>\n\
         \x20       <property name=\"seed\" value=\"{}\"/>\n\
         \x20       <property name=\"virtual_secs\" value=\"{:.6}\"/>\n\
         \x20       <property name=\"tags\" value=\"{}\"/>\n      </properties>\n",
        Xml(&feature.replace('/', ".")),
        Xml(name),
        Xml(&case.file.display().to_string()),
        case.scenario.position.line,
        outcome.took.as_secs_f64(),
        outcome.seed,
        outcome.lasted.as_nanos() as f64 / 1e9,
        Xml(&case.tags().join(" "))
    );
    if let Some(failure) = &outcome.failure {
        let reason = report::reason(failure);
        let first = reason.lines().next().unwrap_or_default();
        let said: String = outcome.said.iter().map(|said| format!("{}\n", said.text)).collect();
        let again = report::replay(case, outcome);
        let _ = writeln!(
            text,
            "      <failure message=\"{}\" type=\"scenario\">{}</failure>",
            Xml(first),
            Xml(&format!("{said}{reason}\n\n{again}\n"))
        );
    }
    // What a CI server shows beside the test: the attachments, as several of them read it.
    if !kept.is_empty() {
        let files: String = kept.iter().map(|path| format!("[[ATTACHMENT|{}]]\n", path.display())).collect();
        let _ = writeln!(text, "      <system-out>{}</system-out>", Xml(&files));
    }
    text.push_str("    </testcase>\n");
}

/// A text as it stands in XML 1.0, which has no place for most control characters.
struct Xml<'a>(&'a str);

impl std::fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' => f.write_str("&#10;")?,
                letter if letter.is_control() => f.write_str("?")?,
                letter => write!(f, "{letter}")?,
            }
        }
        Ok(())
    }
}
