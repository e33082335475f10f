//! The program `simulate`: plays a scenario and shows what happened.

use clap::{Parser, Subcommand};
use pbx::time::Duration;
use scenarios::play::Settings;
use scenarios::scene::SEED;
use scenarios::{dictionary, documents, report, suite};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Plays scenarios in simulated worlds.
#[derive(Parser)]
#[command(name = "simulate", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play the scenarios of a feature, or the one at a line
    Play {
        /// FILE or FILE:LINE
        place: String,
        /// What everything follows from
        #[arg(long, default_value_t = SEED)]
        seed: u64,
        /// Where to stop, in virtual time: 3.2s
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Option<Duration>,
        /// Show the ladder
        #[arg(long)]
        ladder: bool,
        /// Show every packet
        #[arg(long)]
        trace: bool,
        /// Show the number that equal runs have in common
        #[arg(long)]
        hash: bool,
    },
    /// List the sentences that scenarios are made of
    Sentences,
    /// Write the parts of the documents that follow from the code
    Document,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Sentences => {
            dictionary::sentences().iter().for_each(|sentence| println!("{sentence}"));
            ExitCode::SUCCESS
        }
        Command::Document => match document(Path::new(".")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("simulate: {why}");
                ExitCode::from(2)
            }
        },
        Command::Play { place, seed, until, ladder, trace, hash } => {
            match play(&place, Settings { seed, until }, Show { ladder, trace, hash }) {
                Ok(code) => code,
                Err(why) => {
                    eprintln!("simulate: {why}");
                    ExitCode::from(2)
                }
            }
        }
    }
}

fn document(root: &Path) -> Result<(), String> {
    for document in documents::DOCUMENTS {
        let text = documents::current(root, document)?;
        std::fs::write(root.join(document), text).map_err(|error| format!("{document}: {error}"))?;
    }
    Ok(())
}

/// What is shown of a run.
struct Show {
    ladder: bool,
    trace: bool,
    hash: bool,
}

fn play(place: &str, settings: Settings, show: Show) -> Result<ExitCode, String> {
    let (file, line) = split(place);
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let mut cases = suite::cases_of(&folder, &file)?;
    if let Some(line) = line {
        // The scenario in which the line stands.
        cases.retain(|case| case.scenario.position.line <= line);
        let last = cases.iter().map(|case| case.scenario.position.line).max();
        cases.retain(|case| Some(case.scenario.position.line) == last);
    }
    if cases.is_empty() {
        return Err(format!("there is no scenario at {place}"));
    }
    suite::hush();
    let mut code = ExitCode::SUCCESS;
    for case in &cases {
        let outcome = case.play(settings);
        let word = if outcome.failure.is_none() { "ok" } else { "FAILED" };
        println!("{} ... {word}, {} of virtual time", case.name, outcome.lasted);
        if show.hash {
            println!("trace {:016x}", outcome.hash);
        }
        if show.trace {
            print!("{}", outcome.trace);
        }
        if show.ladder {
            println!("\n{}", outcome.ladder);
        }
        if let Some(failure) = &outcome.failure {
            code = ExitCode::FAILURE;
            if show.ladder {
                println!("  {}", report::reason(failure));
            } else {
                println!("\n{}", report::story(&case.place(), &outcome));
            }
        }
    }
    Ok(code)
}

/// `FILE:LINE` or `FILE`.
fn split(place: &str) -> (PathBuf, Option<usize>) {
    match place.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?))) {
        Some((file, line)) => (file.into(), Some(line)),
        None => (place.into(), None),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| format!("expected seconds like 3.2s, not {text}"))
}
