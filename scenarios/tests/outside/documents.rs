//! What follows from the code and the features, in a repository with two documents.

use scenarios::documents::current;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn the_dictionary_stands_behind_its_marker() {
    let root = repository("dictionary");
    write(&root, "docs/scenarios.md", "# Title\n\n<!-- sentences: of ours -->\n\n### Given\n\n- `old`\n");
    let text = current(&root, "docs/scenarios.md").expect("it has one");
    assert!(text.starts_with("# Title\n\n<!-- sentences: of ours -->\n\n### Given\n\n- `"), "{text}");
    assert!(text.contains("- `{actor} hears {actor}`") && !text.contains("- `old`"), "{text}");
}

#[test]
fn what_shows_a_capability_stands_below_it() {
    let root = repository("proofs");
    let (one, other) = (id("01"), id("02"));
    write(&root, "docs/features.md", &format!("- **{one}** One.\n  - old\n- **{other}** Two.\n"));
    write(&root, "features/calls/talk.feature", &feature(&one, &["B", "A"]));
    write(&root, "tests/x.rs", &format!("//! Shows {one}.\n"));
    let expected = format!(
        "- **{one}** One.\n  - [calls/talk](../features/calls/talk.feature): A · B\n  \
         - [tests/x.rs](../tests/x.rs)\n- **{other}** Two.\n  - nothing yet\n"
    );
    assert_eq!(current(&root, "docs/features.md"), Ok(expected));
}

#[test]
fn a_tag_that_nobody_explains_is_an_error() {
    let root = repository("unknown");
    write(&root, "docs/features.md", "# Nothing\n");
    write(&root, "features/a.feature", &feature(&id("99"), &["A"]));
    assert_eq!(current(&root, "docs/features.md"), Err(format!("no line says what {} is", id("99"))));
}

/// An id, put together so that this source shows nothing by it.
fn id(number: &str) -> String {
    format!("SIM-{number}")
}

fn feature(id: &str, names: &[&str]) -> String {
    let scenarios = names.iter().map(|name| format!("\n  Scenario: {name}\n    When 1 second passes\n"));
    format!("@{id}\nFeature: Something\n{}", scenarios.collect::<String>())
}

/// An empty repository.
fn repository(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("documents-{name}"));
    let _ = fs::remove_dir_all(&root);
    for folder in ["benches", "docs", "features/calls", "pbx", "scenarios", "simulator", "tests"] {
        fs::create_dir_all(root.join(folder)).expect("a folder of our own");
    }
    root
}

fn write(root: &Path, name: &str, text: &str) {
    fs::write(root.join(name), text).expect("a folder of our own");
}
