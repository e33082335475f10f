//! Faults from a file, and into one.

use scenarios::play::Outcome;
use simulator::faults::Plan;
use std::fs;
use std::path::Path;

/// The plan in a file.
pub(super) fn read(file: &Path) -> Result<Plan, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Plan::parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Writes what went wrong in a run.
pub(super) fn write(file: &Path, outcome: &Outcome) -> Result<(), String> {
    let head = format!(
        "# What went wrong in a run with seed {}. Take a line out and it does not happen:\n\
         # simulate play FILE:LINE --seed {0} --faults {}\n\n",
        outcome.seed,
        file.display()
    );
    fs::write(file, head + &outcome.faults.write()).map_err(|error| format!("{}: {error}", file.display()))
}

/// A plan about somebody who was never there is not the plan of this scenario.
pub(super) fn check(file: &Path, outcome: &Outcome) -> Result<(), String> {
    let Some(name) = outcome.strangers.first() else { return Ok(()) };
    Err(format!("{}: it names {name}, who is not in this scenario", file.display()))
}
