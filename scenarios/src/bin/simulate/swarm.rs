//! `simulate swarm`: thousands of cases, or one again.

use clap::Args;
use scenarios::swarm::{Found, Swarm, Verdict, reduce};
use scenarios::{suite, terminal};
use simulator::ladder::Ladder;
use simulator::stage::Stage;
use simulator::swarm::{Case, Wishes, draw, play, play_and};
use simulator::world;
use std::fs;
use std::io::{IsTerminal, Write as _, stderr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

/// So many runs may be spent to make one failure small.
const BUDGET: usize = 3_000;

/// So many failures are made small; those of one rule are mostly one bug.
const RULES: usize = 5;

#[derive(Args)]
pub(super) struct Arguments {
    /// The first and the last seed: 1..10000
    #[arg(long, value_name = "FIRST..LAST", default_value = "1..1000", value_parser = seeds)]
    seeds: (u64, u64),
    /// How many are played at a time
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<NonZero<usize>>,
    /// The part of the seeds for this machine: 1/4, 2/4, ...
    #[arg(long, value_name = "I/N", default_value = "1/1", value_parser = shard)]
    shard: (u64, u64),
    /// A line of JSON for each case that fails, and one for the whole
    #[arg(long)]
    json: bool,
    /// With --json, a line for each case that does not fail, too
    #[arg(long, requires = "json")]
    all: bool,
    /// Make life harder for the PBX (needs --features buggify)
    #[arg(long)]
    buggify: bool,
    /// Routers, and connections that break in the middle of a message: not every rule knows them yet
    #[arg(long)]
    rough: bool,
    /// Applications that control calls
    #[arg(long)]
    applications: bool,
    /// Plant a bug in the PBX (needs --features buggify); --bug list shows what there is
    #[arg(long, value_name = "NAME")]
    bug: Vec<String>,
    /// Draw the ladder of each case that fails, and of one from a file, all of it
    #[arg(long, conflicts_with = "json")]
    ladder: bool,
    /// Do not make failures small
    #[arg(long)]
    no_shrink: bool,
    /// End after so many failures
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    enough: usize,
    /// Where small failures are written
    #[arg(long, value_name = "FOLDER", default_value = "target/swarm")]
    keep: PathBuf,
    /// Play this case again, and no others
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "shard", "bug", "buggify"])]
    case: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    if arguments.bug.iter().any(|bug| bug == "list") {
        pbx::buggify::BUGS.iter().for_each(|bug| println!("{bug}"));
        return Ok(ExitCode::SUCCESS);
    }
    suite::hush();
    world::remember_panics();
    match &arguments.case {
        Some(file) => again(file, arguments.ladder),
        None => swarm(arguments),
    }
}

/// Plays a case from a file.
fn again(file: &Path, ladder: bool) -> Result<ExitCode, String> {
    let place = |error: String| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| place(error.to_string()))?;
    let case = Case::parse(&text).map_err(|error| place(error.to_string()))?;
    // A thread with the name of worlds: a panic in there is told with its place.
    let world = thread::Builder::new().name("world".to_owned()).spawn(move || play_and(&case, draw_ladder));
    let run = world.map_err(|error| place(error.to_string()))?.join();
    let (run, drawn) = run.map_err(|_| place("the world has ended".to_owned()))?.map_err(place)?;
    drawn.iter().filter(|_| ladder).for_each(|drawn| println!("{drawn}"));
    println!("{} packets, {} of virtual time, trace {:016x}", run.packets, run.lasted, run.hash);
    run.broken.iter().for_each(|broken| println!("{}", broken.what));
    Ok(if run.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn swarm(arguments: &Arguments) -> Result<ExitCode, String> {
    let Arguments { buggify, rough, applications, .. } = *arguments;
    let wishes = Wishes { buggify, rough, applications, bugs: arguments.bug.clone() };
    // Whatever cannot be played at all is told once, not for every seed.
    play(&draw(arguments.seeds.0, &wishes))?;
    let swarm = Swarm {
        seeds: arguments.seeds,
        shard: arguments.shard,
        jobs: arguments.jobs.unwrap_or_else(suite::cores),
        wishes,
        enough: arguments.enough.max(1),
    };
    let mut progress = Progress { cases: 0, shown: !arguments.json && stderr().is_terminal() };
    let mut failures: Vec<Verdict> = Vec::new();
    let before = cpu_seconds();
    let summary = swarm.fly(|verdict| {
        let is_fine = verdict.result.as_ref().is_ok_and(|run| run.broken.is_empty());
        progress.count(failures.len());
        if arguments.json && (arguments.all || !is_fine) {
            println!("{}", verdict.json());
        }
        if !is_fine {
            failures.push(verdict.clone());
        }
    });
    progress.end();
    let spent = cpu_seconds().zip(before).map(|(after, before)| after - before);
    let speed = spent.filter(|spent| *spent > 0.0).map(|spent| summary.cases as f64 / spent * 60.0);
    failures.sort_by_key(|verdict| verdict.seed);
    if arguments.json {
        println!("{}", summary.json(speed));
    } else {
        for verdict in &failures {
            tell(verdict);
            if arguments.ladder {
                let (_, drawn) = play_and(&draw(verdict.seed, &swarm.wishes), draw_ladder)?;
                println!("{}", drawn.unwrap_or_default());
            }
        }
    }
    if !arguments.no_shrink {
        for found in small(&failures, &swarm.wishes, &arguments.keep)? {
            eprintln!("\n{}", found.story);
        }
    }
    if !arguments.json {
        let speed = speed.map(|speed| format!(", {speed:.0} cases a CPU minute")).unwrap_or_default();
        let (cases, failed) = (summary.cases, summary.failed.len());
        println!(
            "\n{cases} cases, {failed} failed; {} packets in {:.0} virtual hours{speed}; all traces {:016x}",
            summary.packets,
            summary.virtual_seconds / 3_600.0,
            summary.hash
        );
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(verdict: &Verdict) {
    match &verdict.result {
        Ok(run) => run.broken.iter().for_each(|broken| println!("seed {}: {}", verdict.seed, broken.what)),
        Err(why) => println!("seed {}: {why}", verdict.seed),
    }
}

fn draw_ladder(stage: &Stage) -> String {
    let snapshot = (stage.trace().packets(), stage.names());
    let ladder = Ladder::of(&snapshot.0, snapshot.1);
    ladder.draw(0..ladder.arrows.len(), None, terminal::style())
}

/// The first failure of each rule, made small.
fn small(failures: &[Verdict], wishes: &Wishes, folder: &Path) -> Result<Vec<Found>, String> {
    let mut found: Vec<Found> = Vec::new();
    for verdict in failures {
        let Some(broken) = verdict.first_break() else { continue };
        if found.len() < RULES && found.iter().all(|found| found.rule != broken.rule) {
            found.extend(reduce(&draw(verdict.seed, wishes), &broken.rule, BUDGET, folder)?);
        }
    }
    Ok(found)
}

/// A line that changes while it goes on, for people.
struct Progress {
    cases: u64,
    shown: bool,
}

impl Progress {
    fn count(&mut self, failures: usize) {
        self.cases += 1;
        if self.shown && self.cases.is_multiple_of(100) {
            eprint!("\r{} cases, {failures} failed", self.cases);
            let _ = stderr().flush();
        }
    }

    fn end(&self) {
        if self.shown {
            eprintln!();
        }
    }
}

/// What this process has used of the processors so far; `None` where there is no /proc.
fn cpu_seconds() -> Option<f64> {
    /// What Linux counts in, on every machine it runs on.
    const TICKS_A_SECOND: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in parentheses and may have spaces.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_A_SECOND)
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let range = first.parse().ok().zip(last.trim_start_matches('=').parse().ok());
    range
        .filter(|(first, last)| first <= last)
        .ok_or_else(|| format!("expected seeds like 1..10000, not {text}"))
}

fn shard(text: &str) -> Result<(u64, u64), String> {
    let parts =
        text.split_once('/').and_then(|(part, of)| Some((part.parse::<u64>().ok()?, of.parse().ok()?)));
    let shard = parts.filter(|(part, of)| (1..=*of).contains(part)).map(|(part, of)| (part - 1, of));
    shard.ok_or_else(|| format!("expected a part like 1/4, not {text}"))
}
