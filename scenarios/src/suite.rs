//! All features over all cores, as `cargo test` wants it: the arguments of libtest, a line a scenario, stories at the end.

mod arguments;

pub use arguments::Arguments;

use crate::dictionary;
use crate::ground;
use crate::keep::{self, folder_of};
use crate::play::{Outcome, Settings, Terms, play_on};
use crate::report;
use crate::results::{self, Played};
use crate::stopwatch::Stopwatch;
use crate::terminal;
use crate::weather::Weather;
use clap::Parser;
use cucumber::feature::Ext as _;
use cucumber::gherkin::{Feature, GherkinEnv, Scenario};
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
use std::time::Duration;

/// Of so many failed scenarios the artefacts are kept: nobody looks at more.
const KEPT: usize = 20;

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
    /// Under which weather it is played: `@net(lossy)`.
    pub weather: Option<Weather>,
    /// With how many seeds a suite plays it: `@seeds(50)`.
    pub seeds: u64,
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

    /// Its tags and those of its feature.
    pub fn tags(&self) -> Vec<String> {
        self.feature.tags.iter().chain(&self.scenario.tags).map(|tag| format!("@{tag}")).collect()
    }

    /// Plays it.
    pub fn play(&self, settings: Settings) -> Outcome {
        self.play_on(settings, Terms::default())
    }

    /// Plays it on these terms; its own weather and ground hold.
    pub fn play_on(&self, settings: Settings, terms: Terms<'_>) -> Outcome {
        let (weather, ground) = (self.weather.or(terms.weather), Some(&self.ground));
        play_on(&self.feature, &self.scenario, settings, Terms { weather, ground, ..terms })
    }

    /// Plays it under these faults and no others.
    pub fn play_under(&self, settings: Settings, plan: &Plan) -> Outcome {
        self.play_on(settings, Terms { faults: Some(plan), ..Terms::default() })
    }

    /// Plays it with all its seeds, until one fails.
    fn play_seeds(&self, settings: Settings) -> Outcome {
        let mut took = Duration::ZERO;
        let mut seed = settings.seed;
        loop {
            let mut outcome = self.play(Settings { seed, ..settings });
            took += outcome.took;
            seed += 1;
            if outcome.failure.is_some() || seed >= settings.seed + self.seeds {
                outcome.took = took;
                return outcome;
            }
        }
    }

    /// The same scenario under another weather.
    pub fn under(&self, weather: Weather) -> Case {
        let name = match self.weather {
            None => self.name.clone(),
            Some(own) => self.name.replace(&suffix(own), ""),
        };
        Case { name: name + &suffix(weather), weather: Some(weather), ..self.clone() }
    }
}

fn suffix(weather: Weather) -> String {
    format!(" (net {weather})")
}

/// Plays what the arguments of the process want of the features in `folder`.
pub fn main(folder: &str) -> ExitCode {
    match run(Path::new(folder), &Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(101),
        Err(why) => {
            eprintln!("features: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Plays what is asked for of the features in `folder`; whether all went well.
pub fn run(folder: &Path, arguments: &Arguments) -> Result<bool, String> {
    dictionary::check()?;
    let cases = cases(folder)?;
    let slow = cases.iter().filter(|case| arguments.passes_over(case)).count();
    let all = cases.len();
    let ground = ground::from_environment()?;
    let wanted = cases.into_iter().filter(|case| arguments.want(case));
    let wanted: Vec<Case> = ground::those_for(wanted, &ground).collect();
    if arguments.list {
        wanted.iter().for_each(|case| println!("{}: test", case.name));
        if !arguments.is_terse() {
            println!("\n{} tests, 0 benchmarks", wanted.len());
        }
        return Ok(true);
    }
    hush();
    let watch = Stopwatch::start();
    let tests = if wanted.len() == 1 { "test" } else { "tests" };
    println!("\nrunning {} {tests} on {ground} with seed {}", wanted.len(), arguments.seed);
    let settings = Settings { seed: arguments.seed, until: None };
    let play = |case: &Case| case.play_seeds(settings);
    let outcomes = play_each(&wanted, arguments.threads(), play, |case, outcome| {
        let word = match (&outcome.failure, &outcome.unplayable) {
            (Some(_), _) => "FAILED",
            (None, None) => "ok",
            (None, Some(why)) => &format!("ignored, {why}"),
        };
        if arguments.is_terse() {
            print!(
                "{}",
                match word {
                    "ok" => ".",
                    "FAILED" => "F",
                    _ => "i",
                }
            );
        } else {
            println!("test {} ... {word}", case.name);
        }
    });
    let took = watch.elapsed();
    let kept = keep_failed(&wanted, &outcomes, &arguments.keep)?;
    let played = wanted.iter().zip(&outcomes).zip(&kept);
    let played: Vec<Played<'_>> =
        played.map(|((case, outcome), kept)| Played { case, outcome, kept }).collect();
    if let Some(file) = &arguments.junit {
        write(file, &results::junit(&played, took))?;
    }
    if let Some(file) = &arguments.json {
        write(file, &format!("{:#}\n", results::json(&played, took)))?;
    }
    Ok(conclude(&played, slow, all - wanted.len() - slow, took))
}

/// Writes down what is left of those that failed, and takes away what was left of the others before.
fn keep_failed(cases: &[Case], outcomes: &[Outcome], root: &Path) -> Result<Vec<Vec<PathBuf>>, String> {
    let mut failed = 0;
    let keep_one = |(case, outcome): (&Case, &Outcome)| {
        let folder = folder_of(case, root);
        let has_failed = outcome.failure.is_some();
        failed += usize::from(has_failed);
        let kept = if has_failed && failed <= KEPT {
            keep::keep(case, outcome, &folder)
        } else {
            keep::forget(&folder).map(|()| Vec::new())
        };
        kept.map_err(|error| format!("{}: {error}", folder.display()))
    };
    cases.iter().zip(outcomes).map(keep_one).collect()
}

/// Tells how it came out; whether all went well.
fn conclude(played: &[Played<'_>], slow: usize, left_out: usize, took: Duration) -> bool {
    let failed: Vec<_> = played.iter().filter(|played| played.outcome.failure.is_some()).collect();
    for Played { case, outcome, kept } in &failed {
        let folder = kept.first().and_then(|file| file.parent()).map(|folder| folder.display().to_string());
        let story = report::story(case, outcome, folder.as_deref(), terminal::style());
        println!("\n---- {}\n\n{story}", case.name);
    }
    if failed.len() > 1 {
        println!("\nfailures:");
        failed.iter().for_each(|played| println!("    {}", played.case.name));
    }
    let virtual_secs: f64 = played.iter().map(|played| played.outcome.lasted.as_nanos() as f64 / 1e9).sum();
    println!("\n{} of virtual time in {}", report::span(virtual_secs), report::span(took.as_secs_f64()));
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    let unplayable = played.iter().filter(|played| played.outcome.unplayable.is_some()).count();
    println!(
        "\ntest result: {word}. {} passed; {} failed; {} ignored; 0 measured; {left_out} filtered out; \
         finished in {:.2}s\n",
        played.len() - failed.len() - unplayable,
        failed.len(),
        slow + unplayable,
        took.as_secs_f64()
    );
    failed.is_empty()
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
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

/// All scenarios of one feature; their names begin with its path from `folder`. One that has the tag of a weather comes
/// again for it.
pub fn cases_of(folder: &Path, file: &Path) -> Result<Vec<Case>, String> {
    let feature = Feature::parse_path(file, GherkinEnv::default());
    let feature = feature.map_err(|error| format!("{}: {error}", file.display()))?;
    let feature = feature.expand_examples().map_err(|error| format!("{}: {error}", file.display()))?;
    let within = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let mut cases: Vec<Case> = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for scenario in &feature.scenarios {
        let name = format!("{}: {}", within.display(), scenario.name);
        let namesakes = names.entry(name.clone()).or_default();
        *namesakes += 1;
        let case = Case {
            // Rows of an outline whose title does not tell them apart are told apart by their number.
            name: if *namesakes > 1 { format!("{name} #{namesakes}") } else { name },
            file: file.to_owned(),
            feature: feature.clone(),
            scenario: scenario.clone(),
            weather: None,
            seeds: 1,
            ground: Ground::Own,
        };
        let wrong = |why: String| format!("{}: {why}", case.place());
        let (seeds, weathers) = variants(&case).map_err(wrong)?;
        let case = Case { seeds, ..case };
        cases.push(case.clone());
        cases.extend(weathers.into_iter().map(|weather| case.under(weather)));
    }
    Ok(cases)
}

/// With how many seeds a scenario is played, and under which weathers again, as its tags say.
fn variants(case: &Case) -> Result<(u64, Vec<Weather>), String> {
    let (mut seeds, mut weathers) = (1, Vec::new());
    for tag in case.feature.tags.iter().chain(&case.scenario.tags) {
        let Some((name, value)) = tag.strip_suffix(')').and_then(|tag| tag.split_once('(')) else { continue };
        match name {
            "seeds" => {
                let number = value.parse().ok().filter(|seeds| (1..=100_000).contains(seeds));
                seeds =
                    number.ok_or_else(|| format!("@{tag}: expected a number of seeds from 1 to 100000"))?;
            }
            "net" => {
                let known = Weather::ALL.map(Weather::name).join(", ");
                let weather = Weather::named(value);
                weathers.push(weather.ok_or_else(|| format!("@{tag}: no such weather; there are {known}"))?);
            }
            _ => {}
        }
    }
    Ok((seeds, weathers))
}

/// Plays cases over so many threads and tells each outcome as it comes; returns them in the order of the cases.
pub fn play_all(
    cases: &[Case],
    threads: NonZero<usize>,
    settings: Settings,
    tell: impl FnMut(&Case, &Outcome),
) -> Vec<Outcome> {
    play_each(cases, threads, |case| case.play(settings), tell)
}

fn play_each(
    cases: &[Case],
    threads: NonZero<usize>,
    play: impl Fn(&Case) -> Outcome + Sync,
    mut tell: impl FnMut(&Case, &Outcome),
) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let (done, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.get().min(cases.len()) {
            let (next, done, play) = (&next, done.clone(), &play);
            scope.spawn(move || {
                while let Some((at, case)) = take(next, cases) {
                    let _ = done.send((at, play(case)));
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
