//! Plays scenarios and shows of them what was asked for.

use crate::faults;
use pbx::time::Duration;
use scenarios::keep::{folder_of, keep};
use scenarios::play::{Outcome, Settings, Terms};
use scenarios::scene::SEED;
use scenarios::suite::{self, Case};
use scenarios::weather::Weather;
use scenarios::{report, terminal};
use simulator::ladder::Ladder;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to play, and what to show of it.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// FILE or FILE:LINE
    #[arg(required = true)]
    places: Vec<String>,
    /// What everything follows from
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// The weather: lossy, jittery, doubling, shuffling, far
    #[arg(long, value_name = "NAME", value_parser = weather)]
    net: Option<Weather>,
    /// Where to stop, in virtual time: 3.2s
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Duration>,
    /// Show the ladder, all of it
    #[arg(long)]
    ladder: bool,
    /// Show every packet
    #[arg(long)]
    trace: bool,
    /// Show the number that equal runs have in common
    #[arg(long)]
    hash: bool,
    /// Show how the PBX and the telephones are at the end
    #[arg(long)]
    state: bool,
    /// Write the artefacts into this folder: report.html, capture.pcapng, ...
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// These faults happen and no others
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Write the faults that happened
    #[arg(long, value_name = "FILE")]
    write_faults: Option<PathBuf>,
}

/// Plays everything that was named.
pub(super) fn play(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut cases = Vec::new();
    for place in &arguments.places {
        cases.extend(cases_at(place, arguments.net)?);
    }
    if cases.len() > 1 && (arguments.faults.is_some() || arguments.write_faults.is_some()) {
        return Err(format!("faults are those of one scenario, and there are {}", cases.len()));
    }
    let plan = arguments.faults.as_deref().map(faults::read).transpose()?;
    suite::hush();
    let mut code = ExitCode::SUCCESS;
    let is_alone = cases.len() == 1;
    for case in &cases {
        let settings = Settings { seed: arguments.seed, until: arguments.until };
        let outcome = case.play_on(
            settings,
            Terms { keeps: true, traces: arguments.trace, faults: plan.as_ref(), ..Terms::default() },
        );
        arguments.faults.iter().try_for_each(|file| faults::check(file, &outcome))?;
        arguments.write_faults.iter().try_for_each(|file| faults::write(file, &outcome))?;
        if outcome.failure.is_some() {
            code = ExitCode::FAILURE;
        }
        let kept = arguments.keep.as_deref().map(|root| write(case, &outcome, root, is_alone)).transpose()?;
        show(case, &outcome, arguments, kept.as_deref());
    }
    Ok(code)
}

fn show(case: &Case, outcome: &Outcome, arguments: &Arguments, kept: Option<&Path>) {
    let word = if outcome.failure.is_none() { "ok" } else { "FAILED" };
    let took = report::span(outcome.took.as_secs_f64());
    println!("{} ... {word}, {} of virtual time in {took}", case.name, outcome.lasted);
    let style = terminal::style();
    if arguments.hash {
        println!("trace {:016x}", outcome.hash);
    }
    if let Some(trace) = &outcome.trace {
        print!("{trace}");
    }
    if let Some(snapshot) = &outcome.snapshot {
        if arguments.ladder {
            let ladder = Ladder::of(&snapshot.packets, &snapshot.names);
            let mark = outcome.failure.as_ref().map(|_| outcome.moment).filter(|at| *at < outcome.lasted);
            println!("\n{}", ladder.draw(0..ladder.arrows.len(), mark, style));
        }
        if arguments.state {
            println!("{:#}", snapshot.state);
        }
    }
    let kept = kept.map(|folder| folder.display().to_string());
    match &outcome.failure {
        Some(failure) if arguments.ladder => println!("  {}", report::reason(failure)),
        Some(_) => println!("\n{}", report::story(case, outcome, kept.as_deref(), style)),
        None => {}
    }
    if let Some(folder) = kept.filter(|_| outcome.failure.is_none() || arguments.ladder) {
        println!("  kept: {folder}/report.html");
    }
}

/// Into the folder itself, or one below it for each where there are several.
fn write(case: &Case, outcome: &Outcome, root: &Path, is_alone: bool) -> Result<PathBuf, String> {
    let folder = if is_alone { root.to_owned() } else { folder_of(case, root) };
    keep(case, outcome, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// The scenarios at `FILE:LINE`, or all of `FILE`.
fn cases_at(place: &str, net: Option<Weather>) -> Result<Vec<Case>, String> {
    let (file, line) = split(place);
    // Names begin with the path from the folder of all features, wherever that is.
    let above = file.ancestors().find(|folder| folder.ends_with("features"));
    let folder = above.or_else(|| file.parent()).unwrap_or(Path::new("")).to_owned();
    let mut cases = suite::cases_of(&folder, &file)?;
    if let Some(line) = line {
        // The scenario in which the line stands.
        cases.retain(|case| case.scenario.position.line <= line);
        let last = cases.iter().map(|case| case.scenario.position.line).max();
        cases.retain(|case| Some(case.scenario.position.line) == last);
    }
    if let Some(net) = net {
        cases.retain(|case| case.weather.is_none());
        cases.iter_mut().for_each(|case| *case = case.under(net));
    }
    if cases.is_empty() {
        return Err(format!("there is no scenario at {place}"));
    }
    Ok(cases)
}

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

fn weather(text: &str) -> Result<Weather, String> {
    let known = Weather::ALL.map(Weather::name).join(", ");
    Weather::named(text).ok_or_else(|| format!("there are {known}"))
}
