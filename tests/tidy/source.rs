//! The files of the repository, as text with a path.

use std::fs;
use std::path::Path;

/// A text file of the repository.
pub(crate) struct Source {
    /// Relative to the root, with slashes.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }
}

/// Where the repository is.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file that is ours, in the order of their paths; what is built, captured or not UTF-8 is left out.
pub(crate) fn repository() -> Vec<Source> {
    let mut sources = Vec::new();
    collect(root(), "", &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

const NOT_OURS: [&str; 5] = [".git", "target", "out", "corpus", "artifacts"];

fn collect(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
        let name = entry.file_name().to_string_lossy().into_owned();
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{path}/"), sources);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            sources.push(Source { path, text });
        }
    }
}
