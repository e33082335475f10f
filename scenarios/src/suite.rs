//! All features over all cores, as `cargo test` wants it: the arguments of libtest, a line a scenario, stories at the end.

use crate::ground;
use crate::play::{Outcome, Settings, play_over, play_under};
use crate::report;
use crate::scene::SEED;
use clap::Parser;
use cucumber::feature::Ext as _;
use cucumber::gherkin::tagexpr::TagOperation;
use cucumber::gherkin::{Feature, GherkinEnv, Scenario};
use cucumber::tag::Ext as _;
use simulator::faults::Plan;
use simulator::network::Ground;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// What may be asked of a suite: what libtest understands, tags and a seed.
#[derive(Debug, Parser)]
#[command(name = "features", about = "Plays the scenarios of the features", disable_version_flag = true)]
pub struct Arguments {
    /// Only scenarios whose name has one of these in it
    filters: Vec<String>,
    /// The whole name has to be the same
    #[arg(long)]
    exact: bool,
    /// Scenarios to leave out by name
    #[arg(long, value_name = "FILTER")]
    skip: Vec<String>,
    /// Only scenarios with these tags, e.g. "@CORE-05 and not @slow"
    #[arg(long, value_name = "EXPRESSION")]
    tags: Option<TagOperation>,
    /// Name them, play none
    #[arg(long)]
    list: bool,
    /// How many are played at a time
    #[arg(long, value_name = "NUMBER")]
    test_threads: Option<NonZero<usize>>,
    /// What everything follows from
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// A letter a scenario
    #[arg(short, long)]
    quiet: bool,
    /// Understood and of no consequence here
    #[arg(long)]
    nocapture: bool,
    /// Understood and of no consequence here
    #[arg(long)]
    no_capture: bool,
    /// Understood and of no consequence here
    #[arg(long)]
    show_output: bool,
    /// Only the slow ones, which have the tag @slow
    #[arg(long)]
    ignored: bool,
    /// The slow ones too, which have the tag @slow
    #[arg(long)]
    include_ignored: bool,
    /// Understood and of no consequence here
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Understood and of no consequence here
    #[arg(long, value_name = "WHEN")]
    color: Option<String>,
}

/// A scenario with what belongs to it.
#[derive(Clone, Debug)]
pub struct Case {
    /// `calls/hold: The other side waits`.
    pub name: String,
    /// The feature's file, as it was found.
    pub file: PathBuf,
    /// All of the feature.
    pub feature: Feature,
    /// The scenario, its outline filled in.
    pub scenario: Scenario,
    /// What carries its packets.
    pub ground: Ground,
}

impl Case {
    /// `FILE:LINE`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.scenario.position.line)
    }

    /// Whether it has this tag, or its feature has.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.feature.tags.iter().chain(&self.scenario.tags).any(|own| own == tag)
    }

    /// Plays it.
    pub fn play(&self, settings: Settings) -> Outcome {
        play_over(self.ground.clone(), &self.feature, &self.scenario, settings)
    }

    /// Plays it under these faults and no others.
    pub fn play_under(&self, settings: Settings, plan: &Plan) -> Outcome {
        play_under(&self.feature, &self.scenario, settings, Some(plan))
    }
}

/// Plays what the arguments of the process want of the features in `folder`.
pub fn main(folder: &str) -> ExitCode {
    let arguments = Arguments::parse();
    let cases = match cases(Path::new(folder)) {
        Ok(cases) => cases,
        Err(why) => {
            eprintln!("features: {why}");
            return ExitCode::FAILURE;
        }
    };
    let ground = match ground::from_environment() {
        Ok(ground) => ground,
        Err(why) => {
            eprintln!("features: {why}");
            return ExitCode::FAILURE;
        }
    };
    let wanted = cases.into_iter().filter(|case| arguments.want(case));
    let wanted: Vec<Case> = ground::those_for(wanted, &ground).collect();
    if arguments.list {
        wanted.iter().for_each(|case| println!("{}: test", case.name));
        println!("\n{} tests, 0 benchmarks", wanted.len());
        return ExitCode::SUCCESS;
    }
    hush();
    println!("\nrunning {} scenarios on {ground} with seed {}", wanted.len(), arguments.seed);
    let settings = Settings { seed: arguments.seed, until: None };
    let outcomes = play_all(&wanted, arguments.threads(), settings, |case, outcome| {
        let word = match (&outcome.failure, &outcome.skipped) {
            (Some(_), _) => "FAILED",
            (None, None) => "ok",
            (None, Some(why)) => &format!("ignored, {why}"),
        };
        if arguments.quiet {
            print!("{}", &word[..1].replace('o', "."));
        } else {
            println!("test {} ... {word}", case.name);
        }
    });
    conclude(&wanted, &outcomes)
}

/// All scenarios of all features below `folder`, by file and line.
pub fn cases(folder: &Path) -> Result<Vec<Case>, String> {
    let files = files(folder, "feature").map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut cases = Vec::new();
    for file in files {
        cases.extend(cases_of(folder, &file)?);
    }
    Ok(cases)
}

/// All scenarios of one feature; their names begin with its path from `folder`.
pub fn cases_of(folder: &Path, file: &Path) -> Result<Vec<Case>, String> {
    let feature = Feature::parse_path(file, GherkinEnv::default());
    let feature = feature.map_err(|error| format!("{}: {error}", file.display()))?;
    let feature = feature.expand_examples().map_err(|error| format!("{}: {error}", file.display()))?;
    let within = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let case = |scenario: &Scenario| Case {
        name: format!("{}: {}", within.display(), scenario.name),
        file: file.to_owned(),
        feature: feature.clone(),
        scenario: scenario.clone(),
        ground: Ground::Own,
    };
    Ok(feature.scenarios.iter().map(case).collect())
}

/// Plays cases over so many threads and tells each outcome as it comes; returns them in the order of the cases.
pub fn play_all(
    cases: &[Case],
    threads: NonZero<usize>,
    settings: Settings,
    mut tell: impl FnMut(&Case, &Outcome),
) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let (done, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.get().min(cases.len()) {
            let (next, done) = (&next, done.clone());
            scope.spawn(move || {
                while let Some((at, case)) = take(next, cases) {
                    let _ = done.send((at, case.play(settings)));
                }
            });
        }
        drop(done);
        let mut sorted = BTreeMap::new();
        for (at, outcome) in outcomes {
            tell(&cases[at], &outcome);
            sorted.insert(at, outcome);
        }
        sorted.into_values().collect()
    })
}

fn take<'a>(next: &AtomicUsize, cases: &'a [Case]) -> Option<(usize, &'a Case)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, cases.get(at)?))
}

/// How many scenarios the machine plays at a time.
pub fn cores() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// A panic in a world is told in its story, once.
pub fn hush() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // What is wrong in the PBX or the simulator itself has a place in the code that is worth knowing.
        if thread::current().name().is_some_and(|name| name.starts_with("world")) {
            loud(panic);
        }
    }));
}

impl Arguments {
    fn want(&self, case: &Case) -> bool {
        let fits = |filter: &String| {
            if self.exact { case.name == *filter } else { case.name.contains(filter.as_str()) }
        };
        let is_slow = case.has_tag("slow");
        let tags = || case.feature.tags.iter().chain(&case.scenario.tags);
        (self.filters.is_empty() || self.filters.iter().any(fits))
            && !self.skip.iter().any(fits)
            && self.tags.as_ref().is_none_or(|expression| expression.eval(tags()))
            && (self.include_ignored || is_slow == self.ignored)
    }

    fn threads(&self) -> NonZero<usize> {
        self.test_threads.unwrap_or_else(cores)
    }
}

fn conclude(cases: &[Case], outcomes: &[Outcome]) -> ExitCode {
    let failed: Vec<_> =
        cases.iter().zip(outcomes).filter(|(_, outcome)| outcome.failure.is_some()).collect();
    for (case, outcome) in &failed {
        println!("\n---- {}\n\n{}", case.name, report::story(&case.place(), outcome));
    }
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    let skipped = outcomes.iter().filter(|outcome| outcome.skipped.is_some()).count();
    let passed = outcomes.len() - failed.len() - skipped;
    println!("\ntest result: {word}. {passed} passed; {} failed; {skipped} ignored\n", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// All files below `folder` with this extension, in order.
pub fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
