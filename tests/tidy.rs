//! What no compiler checks and everybody relies on: rooms keep to their imports, the core touches nothing
//! outside, tests bind no fixed port, and what a document names exists.
//!
//! A rule is a function from sources to findings, so each is also shown a source that breaks it: a rule that
//! finds nothing there would find nothing here. What clippy can see stands in `clippy.toml` instead.

#[path = "tidy/core.rs"]
mod core_rules;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/rust.rs"]
mod rust;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/text.rs"]
mod text;

use source::{Source, repository};

/// Fails with everything a rule has found, one line each.
fn holds(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n  {}\n", findings.join("\n  "));
}

/// What one rule finds in a repository that holds this one file.
fn findings_in(path: &str, text: &str, rule: fn(&[Source]) -> Vec<String>) -> Vec<String> {
    rule(&[Source::new(path, text)])
}

#[test]
fn the_walk_sees_the_sources() {
    let sources = repository();
    for path in ["README.md", ".ci/run", "tests/tidy.rs", "pbx/src/lib.rs", "pbx/src/sip/parse.rs"] {
        assert!(sources.iter().any(|source| source.path == path), "{path} is not among the sources");
    }
    assert!(!sources.iter().any(|source| source.path.starts_with("target/")), "target is among the sources");
}
