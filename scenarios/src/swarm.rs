//! Many cases over all cores, a line each that fails, the smallest case that fails like it, and how fast it went.

use crate::retell;
use serde_json::{Value, json};
use simulator::ladder;
use simulator::swarm::{Broken, Case, Run, Shrunk, Wishes, draw, play, play_and, shrink};
use std::fmt::Write as _;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

/// Which cases to play, and how.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// The first and the last seed.
    pub seeds: (u64, u64),
    /// Of every so many seeds, this one: (0, 4) are the first of four machines.
    pub shard: (u64, u64),
    /// How many are played at a time.
    pub jobs: NonZero<usize>,
    /// What every case has.
    pub wishes: Wishes,
    /// After so many failures no more are begun.
    pub enough: usize,
}

/// What became of one seed.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Which.
    pub seed: u64,
    /// Whether anything was wrong: the rules that were broken, or that it could not be played.
    pub result: Result<Run, String>,
}

/// What became of all.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Cases that were played.
    pub cases: u64,
    /// Packets that were sent in all.
    pub packets: u64,
    /// Virtual seconds in all.
    pub virtual_seconds: f64,
    /// The seeds that broke something, in order.
    pub failed: Vec<u64>,
    /// A number for all traces together: equal for equal swarms, whatever the number of jobs.
    pub hash: u64,
}

impl Swarm {
    /// Plays all and tells each as it ends, in no certain order.
    pub fn fly(&self, mut tell: impl FnMut(&Verdict)) -> Summary {
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let (done, verdicts) = mpsc::channel();
        let mut summary = Summary::default();
        thread::scope(|scope| {
            for _ in 0..self.jobs.get() {
                let (next, stop, done) = (&next, &stop, done.clone());
                let flight = thread::Builder::new().name("swarm".to_owned());
                let flown = flight.spawn_scoped(scope, move || {
                    while let Some(seed) = self.take(next).filter(|_| !stop.load(Ordering::Relaxed)) {
                        let result = play(&draw(seed, &self.wishes));
                        let _ = done.send(Verdict { seed, result });
                    }
                });
                flown.expect("the machine has room for another thread");
            }
            drop(done);
            for verdict in verdicts {
                summary.count(&verdict);
                tell(&verdict);
                stop.store(summary.failed.len() >= self.enough, Ordering::Relaxed);
            }
        });
        summary.failed.sort_unstable();
        summary
    }

    fn take(&self, next: &AtomicU64) -> Option<u64> {
        let (first, last) = self.seeds;
        let (shard, of) = self.shard;
        let step = next.fetch_add(1, Ordering::Relaxed);
        let seed = first.checked_add(shard)?.checked_add(step.checked_mul(of)?)?;
        (seed <= last).then_some(seed)
    }
}

impl Summary {
    fn count(&mut self, verdict: &Verdict) {
        self.cases += 1;
        match &verdict.result {
            Ok(run) => {
                self.packets += run.packets as u64;
                self.virtual_seconds += run.lasted.as_nanos() as f64 / 1e9;
                self.hash = self.hash.wrapping_add(run.hash.rotate_left((verdict.seed % 64) as u32));
                if !run.broken.is_empty() {
                    self.failed.push(verdict.seed);
                }
            }
            Err(_) => self.failed.push(verdict.seed),
        }
    }

    /// As one line of JSON.
    pub fn json(&self, cases_a_cpu_minute: Option<f64>) -> Value {
        let Summary { cases, packets, virtual_seconds, failed, hash } = self;
        json!({
            "cases": cases, "packets": packets, "virtual_seconds": virtual_seconds, "failed": failed,
            "hash": format!("{hash:016x}"), "cases_a_cpu_minute": cases_a_cpu_minute.map(f64::round),
        })
    }
}

impl Verdict {
    /// As one line of JSON.
    pub fn json(&self) -> Value {
        match &self.result {
            Ok(run) => json!({
                "seed": self.seed, "hash": format!("{:016x}", run.hash), "packets": run.packets,
                "virtual_seconds": run.lasted.as_nanos() as f64 / 1e9,
                "broken": run.broken.iter().map(|it| json!({ "rule": it.rule, "what": it.what })).collect::<Vec<_>>(),
            }),
            Err(why) => json!({ "seed": self.seed, "error": why }),
        }
    }

    /// The rule that was broken first.
    pub fn first_break(&self) -> Option<&Broken> {
        self.result.as_ref().ok()?.broken.first()
    }
}

/// A failure that was made as small as it goes, and where it is written down.
#[derive(Clone, Debug)]
pub struct Found {
    /// The rule.
    pub rule: String,
    /// The case and what becomes of it.
    pub shrunk: Shrunk,
    /// The story for a terminal.
    pub story: String,
    /// `NAME.case.toml`, `NAME.faults.toml` and `NAME.feature`.
    pub files: Vec<PathBuf>,
}

/// Makes a failing case small and writes it into `folder`.
pub fn reduce(case: &Case, rule: &str, budget: usize, folder: &Path) -> Result<Option<Found>, String> {
    let Some(shrunk) = shrink(case, rule, budget) else { return Ok(None) };
    let name = format!("{}-{}", rule.to_lowercase(), case.seed);
    let feature = retell::feature(&shrunk.case, rule, &name);
    let faults = shrunk.case.faults.clone().unwrap_or_default();
    let files = [
        (format!("{name}.case.toml"), head(&shrunk, rule) + &shrunk.case.write()),
        (format!("{name}.faults.toml"), faults.write()),
        (format!("{name}.feature"), feature),
    ];
    let write = |(name, text): (String, String)| {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file)
    };
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let files = files.into_iter().map(write).collect::<Result<Vec<_>, String>>()?;
    let story = story(&shrunk, rule, case.seed, &files);
    Ok(Some(Found { rule: rule.to_owned(), shrunk, story, files }))
}

/// How to begin the program that plays this case.
pub fn program(case: &Case) -> &'static str {
    match case.whims.is_empty() {
        true => "cargo run --bin simulate --",
        false => "cargo run --features buggify --bin simulate --",
    }
}

fn head(shrunk: &Shrunk, rule: &str) -> String {
    let what = shrunk.run.broken.iter().find(|broken| broken.rule == rule).map_or("", |it| it.what.as_str());
    let what = what.replace('\n', "\n# ");
    format!("# {what}\n# rule {rule}, trace {:016x}\n\n", shrunk.run.hash)
}

/// The failure, the ladder and how to see it again.
fn story(shrunk: &Shrunk, rule: &str, seed: u64, files: &[PathBuf]) -> String {
    let Shrunk { case, run, tries } = shrunk;
    let mut text = format!("seed {seed} breaks {rule}; the smallest case that does, after {tries} runs:\n\n");
    for sentence in retell::sentences(case, rule) {
        let _ = writeln!(text, "  {}", sentence.lines().next().unwrap_or_default());
    }
    for broken in run.broken.iter().filter(|broken| broken.rule == rule) {
        let _ = writeln!(text, "\n  but {}", broken.what);
    }
    let ladder = play_and(case, |stage| ladder::draw(&stage.trace().packets(), stage.names()));
    if let Ok((_, Some(ladder))) = ladder {
        const LINES: usize = 24;
        let lines: Vec<&str> = ladder.lines().collect();
        let _ = writeln!(text, "\n{}", lines[..lines.len().min(LINES)].join("\n"));
        if lines.len() > LINES {
            let _ = writeln!(text, "      ...  {} lines more", lines.len() - LINES);
        }
    }
    let program = program(case);
    let _ = writeln!(text, "\n  trace {:016x}", run.hash);
    for file in files {
        let file = file.display();
        match file.to_string() {
            name if name.ends_with(".case.toml") => {
                let _ = writeln!(text, "  again: {program} swarm --case {file}");
            }
            name if name.ends_with(".feature") => {
                let _ = writeln!(text, "  as a scenario: {program} play {file} --seed {}", case.seed);
            }
            _ => {}
        }
    }
    text
}
