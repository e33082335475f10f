//! The parts of documents that follow from the code: the dictionary of sentences, and which scenarios show a capability.
//!
//! A document is written by people; what follows from the code is put into it and stays current, because a test compares
//! (`tests/documents.rs`). `simulate document` writes it.

use crate::dictionary;
use crate::suite::files;
use crate::transcripts;
use cucumber::gherkin::{Feature, GherkinEnv};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The documents that have such parts, from the root of the repository.
pub const DOCUMENTS: [&str; 4] =
    ["docs/scenarios.md", "docs/features.md", "docs/rwi.md", "docs/rwi-transcripts.md"];

/// Where the dictionary begins in its document; it goes on to the end.
const DICTIONARY: &str = "<!-- sentences";

/// Where the tables of RWI begin in their document; they go on to the end.
const TABLES: &str = "<!-- tables";

/// Where the transcripts begin in their document; they go on to the end.
const TRANSCRIPTS: &str = "<!-- transcripts";

/// Where sources may name a capability that they show.
const SOURCES: [&str; 5] = ["benches", "pbx", "scenarios", "simulator", "tests"];

/// What a document of the repository at `root` is to say.
pub fn current(root: &Path, document: &str) -> Result<String, String> {
    let path = root.join(document);
    let old = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match document {
        "docs/scenarios.md" => Ok(behind(DICTIONARY, &old, &sentences())),
        "docs/features.md" => with_proofs(&old, &proofs(root)?),
        "docs/rwi.md" => Ok(behind(TABLES, &old, &format!("\n{}", pbx::rwi::document()))),
        "docs/rwi-transcripts.md" => Ok(behind(TRANSCRIPTS, &old, &transcripts::all(root)?)),
        _ => Err(format!("{document} has no part that follows from the code")),
    }
}

/// The document up to this marker, which stays, and this behind it.
fn behind(marker: &str, old: &str, new: &str) -> String {
    let head: Vec<&str> = old.lines().take_while(|line| !line.starts_with(marker)).collect();
    let marker = old.lines().find(|line| line.starts_with(marker)).unwrap_or(marker);
    format!("{}\n{marker}\n{new}", head.join("\n"))
}

/// All sentences.
fn sentences() -> String {
    let (mut text, mut keyword) = (String::new(), "");
    for sentence in dictionary::sentences() {
        if sentence.keyword != keyword {
            keyword = sentence.keyword;
            let _ = write!(text, "\n### {keyword}\n\n");
        }
        let _ = writeln!(text, "- `{}`", sentence.text);
    }
    text
}

/// What shows one capability.
#[derive(Debug, Default)]
struct Proof {
    /// Names of scenarios by their feature.
    scenarios: BTreeMap<PathBuf, BTreeSet<String>>,
    /// Sources that name it.
    sources: BTreeSet<PathBuf>,
}

/// The document with what shows each capability below its line, which begins with the id in bold.
fn with_proofs(old: &str, proofs: &BTreeMap<String, Proof>) -> Result<String, String> {
    let mut text = String::new();
    let mut known = BTreeSet::new();
    for line in old.lines().filter(|line| !line.starts_with("  - ")) {
        let _ = writeln!(text, "{line}");
        let Some((id, _)) = line.strip_prefix("- **").and_then(|rest| rest.split_once("**")) else {
            continue;
        };
        known.insert(id);
        match proofs.get(id) {
            Some(proof) => text.push_str(&proof.lines()),
            None => text.push_str("  - nothing yet\n"),
        }
    }
    let has_scenario = |(_, proof): &(&String, &Proof)| !proof.scenarios.is_empty();
    let unknown: Vec<_> = proofs.iter().filter(has_scenario).map(|(id, _)| id.as_str()).collect();
    let unknown: Vec<_> = unknown.into_iter().filter(|id| !known.contains(id)).collect();
    if unknown.is_empty() { Ok(text) } else { Err(format!("no line says what {} is", unknown.join(", "))) }
}

impl Proof {
    fn lines(&self) -> String {
        let mut text = String::new();
        for (file, names) in &self.scenarios {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let name = file.with_extension("");
            let name = name.strip_prefix("features").unwrap_or(&name).display();
            let _ = writeln!(text, "  - [{name}](../{}): {}", file.display(), names.join(" · "));
        }
        let links: Vec<_> =
            self.sources.iter().map(|file| format!("[{0}](../{0})", file.display())).collect();
        if !links.is_empty() {
            let _ = writeln!(text, "  - {}", links.join(", "));
        }
        text
    }
}

fn proofs(root: &Path) -> Result<BTreeMap<String, Proof>, String> {
    let mut proofs: BTreeMap<String, Proof> = BTreeMap::new();
    let failed = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    for file in files(&root.join("features"), "feature").map_err(|error| failed(root, &error))? {
        let feature = Feature::parse_path(&file, GherkinEnv::default());
        let feature = feature.map_err(|error| failed(&file, &error))?;
        let within = file.strip_prefix(root).unwrap_or(&file);
        for scenario in &feature.scenarios {
            for id in feature.tags.iter().chain(&scenario.tags).filter(|tag| is_id(tag)) {
                let proof = proofs.entry(id.clone()).or_default();
                proof.scenarios.entry(within.to_owned()).or_default().insert(scenario.name.clone());
            }
        }
    }
    for source in SOURCES.map(|folder| root.join(folder)) {
        for file in rust_files(&source).map_err(|error| failed(&source, &error))? {
            let text = fs::read_to_string(&file).map_err(|error| failed(&file, &error))?;
            let within = file.strip_prefix(root).unwrap_or(&file);
            for id in ids(&text) {
                proofs.entry(id.to_owned()).or_default().sources.insert(within.to_owned());
            }
        }
    }
    Ok(proofs)
}

/// What is built is nobody's source.
fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = files(folder, "rs")?;
    let is_built = |file: &Path| {
        let within = file.strip_prefix(folder).unwrap_or(file);
        within.components().any(|part| part.as_os_str() == "target")
    };
    found.retain(|file| !is_built(file));
    Ok(found)
}

/// The ids that a source names in a comment or a text; its own examples are written so that they are none.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| is_id(word))
}

/// Two to four capitals, a dash, two digits.
fn is_id(word: &str) -> bool {
    const AREAS: [&str; 8] = ["CORE", "DET", "FLOW", "IVR", "REC", "RWI", "SIM", "SRV"];
    word.split_once('-').is_some_and(|(area, number)| {
        AREAS.contains(&area) && number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
