//! The program `simulate`: plays a scenario and shows what happened.

mod faults;
mod swarm;

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
        /// These faults happen and no others
        #[arg(long, value_name = "FILE")]
        faults: Option<PathBuf>,
        /// Write the faults that happened
        #[arg(long, value_name = "FILE")]
        write_faults: Option<PathBuf>,
    },
    /// Play calls that nobody thought of, by the thousand
    Swarm(Box<swarm::Arguments>),
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
        Command::Document => conclude(document(Path::new(".")).map(|()| ExitCode::SUCCESS)),
        Command::Swarm(arguments) => conclude(swarm::run(&arguments)),
        Command::Play { place, seed, until, ladder, trace, faults, write_faults } => {
            let show = Show { ladder, trace, faults, write_faults };
            conclude(play(&place, Settings { seed, until }, &show))
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

/// What could not even be tried is told apart from what failed.
fn conclude(result: Result<ExitCode, String>) -> ExitCode {
    result.unwrap_or_else(|why| {
        eprintln!("simulate: {why}");
        ExitCode::from(2)
    })
}

/// What to show of a run, and under which faults it is.
struct Show {
    ladder: bool,
    trace: bool,
    faults: Option<PathBuf>,
    write_faults: Option<PathBuf>,
}

fn play(place: &str, settings: Settings, show: &Show) -> Result<ExitCode, String> {
    let (file, line) = split(place);
    let plan = show.faults.as_deref().map(faults::read).transpose()?;
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
    if cases.len() > 1 && (show.faults.is_some() || show.write_faults.is_some()) {
        return Err(format!("faults are those of one scenario, and there are {} in {place}", cases.len()));
    }
    suite::hush();
    let mut code = ExitCode::SUCCESS;
    for case in &cases {
        let outcome = match &plan {
            Some(plan) => case.play_under(settings, plan),
            None => case.play(settings),
        };
        show.faults.iter().try_for_each(|file| faults::check(file, &outcome))?;
        show.write_faults.iter().try_for_each(|file| faults::write(file, &outcome))?;
        let word = if outcome.failure.is_none() { "ok" } else { "FAILED" };
        println!("{} ... {word}, {} of virtual time", case.name, outcome.lasted);
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
