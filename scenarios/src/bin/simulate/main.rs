//! The program `simulate`: plays scenarios and shows what happened.

mod faults;
mod play;
mod swarm;

use clap::{Parser, Subcommand};
use scenarios::{dictionary, documents, terminal};
use simulator::artefacts;
use simulator::ladder::Ladder;
use std::fs;
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
    /// Play the scenarios of features, or those at lines
    Play(play::Arguments),
    /// Play calls that nobody thought of, by the thousand
    Swarm(Box<swarm::Arguments>),
    /// Draw the ladder of a trace.jsonl
    Ladder {
        /// The file
        file: PathBuf,
    },
    /// List the sentences that scenarios are made of
    Sentences,
    /// Write the parts of the documents that follow from the code
    Document,
}

fn main() -> ExitCode {
    conclude(match Arguments::parse().command {
        Command::Sentences => {
            dictionary::sentences().iter().for_each(|sentence| println!("{sentence}"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Document => document(Path::new(".")),
        Command::Play(arguments) => play::play(&arguments),
        Command::Swarm(arguments) => swarm::run(&arguments),
        Command::Ladder { file } => draw(&file),
    })
}

/// What could not even be tried is told apart from what failed.
fn conclude(result: Result<ExitCode, String>) -> ExitCode {
    result.unwrap_or_else(|why| {
        eprintln!("simulate: {why}");
        ExitCode::from(2)
    })
}

fn document(root: &Path) -> Result<ExitCode, String> {
    for document in documents::DOCUMENTS {
        let text = documents::current(root, document)?;
        fs::write(root.join(document), text).map_err(|error| format!("{document}: {error}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The ladder of what was written down of a run.
fn draw(file: &Path) -> Result<ExitCode, String> {
    let wrong = |why: String| format!("{}: {why}", file.display());
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let (packets, names) = artefacts::read_trace(&text).map_err(wrong)?;
    let ladder = Ladder::of(&packets, &names);
    print!("{}", ladder.draw(0..ladder.arrows.len(), None, terminal::style()));
    Ok(ExitCode::SUCCESS)
}
