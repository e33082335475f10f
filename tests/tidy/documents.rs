//! What a document names exists: the target of every link, and every file of ours in backticks.

use crate::holds;
use crate::source::{Source, repository};
use std::collections::BTreeSet;

#[test]
fn links_lead_somewhere() {
    let sources = repository();
    holds("every link of a document leads to a file or heading", dead_links(&sources, &files_of(&sources)));
}

#[test]
fn named_files_exist() {
    let sources = repository();
    holds("every file a document names exists", missing_files(&sources, &files_of(&sources)));
}

/// Every file and, with a slash at the end, every folder.
fn files_of(sources: &[Source]) -> BTreeSet<String> {
    let folders =
        |path: &str| path.match_indices('/').map(|(at, _)| path[..=at].to_owned()).collect::<Vec<_>>();
    sources.iter().flat_map(|source| folders(&source.path).into_iter().chain([source.path.clone()])).collect()
}

fn dead_links(sources: &[Source], files: &BTreeSet<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_markdown()) {
        for (line, target) in links(&source.text) {
            if let Some(missing) = unresolved(source, target, sources, files) {
                findings.push(format!("{}:{line}: {missing}", source.path));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` outside code blocks, each with its line.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let targets =
            line.match_indices("](").filter_map(|(at, open)| line[at + open.len()..].split(')').next());
        found.extend(targets.map(|target| (number, target)));
    }
    found
}

/// The lines of a document that are not in a fenced block, counted from one.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then_some((number + 1, line))
    })
}

fn unresolved(source: &Source, target: &str, sources: &[Source], files: &BTreeSet<String>) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { source.path.clone() } else { beside(&source.path, file) };
    if !files.contains(&path) && !files.contains(&format!("{path}/")) {
        return Some(format!("{target} does not exist"));
    }
    let text = sources.iter().find(|source| source.path == path).map_or("", |source| &source.text);
    let known = heading.is_empty() || prose(text).any(|(_, line)| anchor(line).as_deref() == Some(heading));
    (!known).then(|| format!("{target}: {path} has no such heading"))
}

/// A path as seen from the folder of `from`.
fn beside(from: &str, target: &str) -> String {
    let mut parts = from.split('/').collect::<Vec<_>>();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchor a heading gets where Markdown is shown.
fn anchor(line: &str) -> Option<String> {
    let heading = line.starts_with('#').then(|| line.trim_start_matches('#').trim())?;
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

/// Where a name in backticks may start: at the root, in a crate, among the rooms, or in the document's own folder.
const STARTS: [&str; 4] = ["", "pbx/", "pbx/src/", "docs/"];

fn missing_files(sources: &[Source], files: &BTreeSet<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_markdown() && source.path != "CHANGELOG.md") {
        for (line, name) in named_files(&source.text) {
            let exists = STARTS.iter().any(|start| files.contains(&format!("{start}{name}")));
            if !exists && !files.contains(&beside(&source.path, name)) {
                findings.push(format!("{}:{line}: `{name}` does not exist", source.path));
            }
        }
    }
    findings
}

/// What stands in backticks and looks like a file or folder of ours: `call/leg.rs`, `sip/`, `clippy.toml`.
fn named_files(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let spans = line.split('`').skip(1).step_by(2);
        found.extend(spans.filter(|span| looks_like_a_file(span)).map(|span| (number, span)));
    }
    found
}

fn looks_like_a_file(span: &str) -> bool {
    let plain = span.chars().all(|character| character.is_ascii_alphanumeric() || "/._-".contains(character));
    let starts = span.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '.');
    let folder = span.ends_with('/');
    let file = span.ends_with(".rs")
        || (span.contains('/') && [".md", ".toml", ".feature"].iter().any(|end| span.ends_with(end)));
    plain && starts && (folder || file)
}

#[cfg(test)]
fn example(text: &str) -> ([Source; 2], BTreeSet<String>) {
    let sources = [Source::new("docs/a.md", text), Source::new("pbx/src/sip/uri.rs", "")];
    let files = files_of(&sources);
    (sources, files)
}

#[test]
fn a_dead_link_is_found() {
    let found = |text| {
        let (sources, files) = example(text);
        dead_links(&sources, &files).len()
    };

    assert_eq!(found("see [b](b.md)"), 1);
    assert_eq!(found("see [b](#no-such-heading)"), 1);
    assert_eq!(found("see [uri](../pbx/src/sip/uri.rs) and [rooms](../pbx/src)"), 0);
    assert_eq!(found("# A heading, here\nsee [it](#a-heading-here) and [the web](https://example.com/x)"), 0);
    assert_eq!(found("```\n[b](b.md)\n```"), 0);
}

#[test]
fn a_file_that_does_not_exist_is_found() {
    let found = |text| {
        let (sources, files) = example(text);
        missing_files(&sources, &files).len()
    };

    assert_eq!(found("| 17 | `sip/url.rs` |"), 1);
    assert_eq!(found("| 17 | `sop/` |"), 1);
    assert_eq!(found("`sip/uri.rs`, `pbx/src/sip/uri.rs`, `sip/`, `pbx/src/`"), 0);
    assert_eq!(found("`sip:bob@example.com` `a/b` `text/plain` `Cargo.toml`"), 0);
}
