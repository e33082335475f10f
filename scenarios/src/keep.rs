//! What is left of a run, as files in a folder.

use crate::play::{Failure, Outcome};
use crate::report;
use crate::suite::Case;
use simulator::artefacts::{Artefact, LIMIT, Run, Sentence, Trouble};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the artefacts of failed scenarios are, seen from the root of the repository.
pub const FOLDER: &str = "target/tandem";

/// The folder of a scenario: always the same, so that links to it last.
pub fn folder_of(case: &Case, root: &Path) -> PathBuf {
    let plain = |text: &str| -> String {
        let words = text
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    };
    let (file, scenario) = case.name.split_once(": ").unwrap_or(("", &case.name));
    file.split('/').fold(root.to_owned(), |path, part| path.join(plain(part))).join(plain(scenario))
}

/// Writes down what is known of a run, in place of what was there before; what was written.
pub fn keep(case: &Case, outcome: &Outcome, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(run) = run_of(case, outcome) else { return Ok(Vec::new()) };
    forget(folder)?;
    fs::create_dir_all(folder)?;
    let mut paths = Vec::new();
    for file in run.files(LIMIT) {
        let path = folder.join(&file.name);
        write(&path, &file)?;
        paths.push(path);
    }
    Ok(paths)
}

/// Takes away what was kept of a run, and nothing else.
pub fn forget(folder: &Path) -> io::Result<()> {
    // Whoever names a folder of their own keeps what else is in it.
    let is_ours = |path: &Path| {
        let names = [
            "report.html",
            "trace.jsonl",
            "capture.pcapng",
            "state.json",
            "pbx.log",
            "replay",
            "faults.toml",
        ];
        path.file_name().is_some_and(|name| names.iter().any(|ours| name == *ours))
            || path.extension().is_some_and(|extension| extension == "wav")
    };
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_ours(path)) {
        fs::remove_file(path)?;
    }
    // Not empty, not ours: it stays.
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// A run as those see it who look at what is left of it; `None` when nothing was kept.
pub fn run_of(case: &Case, outcome: &Outcome) -> Option<Run> {
    let snapshot = outcome.snapshot.as_ref()?;
    let failed_at = match &outcome.failure {
        Some(Failure::Rule(_) | Failure::Unplayable(_)) | None => None,
        Some(Failure::Unknown(_) | Failure::Ambiguous(_) | Failure::Step(_)) => {
            outcome.said.len().checked_sub(1)
        }
    };
    let said = outcome.said.iter().enumerate().map(|(at, said)| Sentence {
        text: said.text.clone(),
        at: Some(said.at),
        failed: failed_at == Some(at),
    });
    let skipped = outcome.skipped.iter().map(|text| Sentence { text: text.clone(), at: None, failed: false });
    let rest = outcome.rest_at.map(|at| Sentence {
        text: "      (the faults stop, everybody hangs up, and all comes to rest)".to_owned(),
        at: Some(at),
        failed: false,
    });
    let trouble = |failure: &Failure| Trouble {
        text: report::reason(failure),
        at: outcome.moment,
        is_rule: matches!(failure, Failure::Rule(_)),
    };
    Some(Run {
        title: case.name.clone(),
        place: case.place(),
        replay: report::replay(case, outcome),
        sentences: said.chain(skipped).chain(rest).collect(),
        trouble: outcome.failure.as_ref().map(trouble),
        faults: Some(outcome.faults.write()),
        snapshot: (**snapshot).clone(),
    })
}

fn write(path: &Path, file: &Artefact) -> io::Result<()> {
    fs::write(path, &file.bytes)?;
    #[cfg(unix)]
    if file.is_program {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
