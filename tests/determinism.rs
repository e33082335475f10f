//! One seed, one run, to the byte: whatever the process, its environment and its threads (SIM-02).
//!
//! Every scenario is played twice here, each time beside others, and once in another process, which has another environment,
//! logs what the logbooks of its worlds leave, and plays one at a time. All are played whole, and known by the hash of their
//! traces; of those that differ the first packet is shown. Debug and release are compared by
//!
//! ```sh
//! for profile in dev release; do
//!     for feature in features/*/*.feature; do
//!         cargo run -q --profile $profile --bin simulate -- play $feature --hash
//!     done | sed 's/ in .*//' > target/$profile.hashes
//! done; diff target/dev.hashes target/release.hashes
//! ```

use scenarios::play::{Outcome, Settings, Terms, first_difference};
use scenarios::suite::{Case, cases, cores, hush, play_all};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tracing_subscriber::filter::LevelFilter;

const SETTINGS: Settings = Settings { seed: 7, until: None };
const ONE: NonZero<usize> = NonZero::<usize>::MIN;

/// Where the other process is told to put what it finds.
const FOUND: &str = "FOUND";

/// Which scenario it is to write the trace of, instead of the hashes of all.
const WANTED: &str = "WANTED";

#[test]
fn every_scenario_is_played_alike_in_one_process() {
    let cases = all();
    let first = once(&cases);
    // The other way round, so each has other neighbours.
    let reversed: Vec<Case> = cases.iter().rev().cloned().collect();
    let second = play_all(&reversed, cores(), SETTINGS, |_, _| ());
    for (case, (one, other)) in cases.iter().zip(first.iter().zip(second.iter().rev())) {
        if one.hash != other.hash {
            tell(case, &traced(case), &traced(case));
        }
    }
}

#[test]
fn every_scenario_is_played_alike_in_another_process() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("determinism.hashes");
    let mut other = other_process(&file, None);
    let cases = all();
    let here = once(&cases);
    assert!(other.wait().expect("it ends").success(), "the other process has failed");
    let there = fs::read_to_string(&file).expect("it wrote them down");
    assert_eq!(there.lines().count(), cases.len());
    for ((case, outcome), line) in cases.iter().zip(here).zip(there.lines()) {
        if line != line_of(case, outcome) {
            let mut other = other_process(&file, Some(&case.name));
            assert!(other.wait().expect("it ends").success(), "the other process has failed");
            tell(case, &traced(case), &fs::read_to_string(&file).expect("a trace"));
        }
    }
}

#[test]
#[ignore = "it is the other process of the story above"]
fn the_other_process() {
    let Some(file) = std::env::var_os(FOUND).map(PathBuf::from) else { return };
    let log =
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).without_time().with_writer(io::sink);
    log.init();
    let cases = all();
    let text = match std::env::var_os(WANTED) {
        Some(name) => traced(cases.iter().find(|case| *case.name == *name).expect("a scenario")),
        None => {
            let outcomes = play_all(&cases, ONE, SETTINGS, |_, _| ());
            cases.iter().zip(&outcomes).fold(String::new(), |mut text, (case, outcome)| {
                let _ = writeln!(text, "{}", line_of(case, outcome));
                text
            })
        }
    };
    fs::write(file, text).expect("the target folder can be written");
}

#[test]
fn another_seed_is_another_run() {
    let cases: Vec<Case> = all().into_iter().filter(|case| case.name.starts_with("calls/talk")).collect();
    assert!(!cases.is_empty());
    let play = |seed| play_all(&cases, cores(), Settings { seed, until: None }, |_, _| ());
    for (case, (one, other)) in cases.iter().zip(play(1).iter().zip(&play(2))) {
        assert_ne!(one.hash, other.hash, "{} does not depend on its seed", case.name);
    }
}

#[test]
#[should_panic(expected = "a story: packet 1 differs\n  b\n  c")]
fn the_first_difference_is_told() {
    differ("a story", "a\nb\nd\n", "a\nc\ne\n");
}

#[test]
#[should_panic(expected = "a story: packet 1 differs\n  b\n  (none)")]
fn the_end_of_one_run_is_a_difference() {
    differ("a story", "a\nb\n", "a\n");
}

/// What both stories compare with; played once.
fn once(cases: &[Case]) -> &'static [Outcome] {
    static PLAYED: OnceLock<Vec<Outcome>> = OnceLock::new();
    PLAYED.get_or_init(|| play_all(cases, cores(), SETTINGS, |_, _| ()))
}

fn all() -> Vec<Case> {
    hush();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("features");
    let cases = cases(&folder).expect("the features can be read");
    cases.into_iter().filter(|case| !case.has_tag("slow")).collect()
}

/// What a scenario is known by in the other process.
fn line_of(case: &Case, outcome: &Outcome) -> String {
    format!("{:016x} {}", outcome.hash, case.name)
}

/// Plays a scenario once more, with its trace written down.
fn traced(case: &Case) -> String {
    let terms = Terms { traces: true, ..Terms::default() };
    case.play_on(SETTINGS, terms).trace.expect("it was asked for")
}

/// This program again, in an environment of its own, which plays everything and writes down what it found.
fn other_process(file: &Path, wanted: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("a test is a program"));
    command.args(["--ignored", "--exact", "the_other_process", "--test-threads=1"]).stdout(Stdio::null());
    command.env_clear().env(FOUND, file).envs(wanted.map(|name| (WANTED, name))).current_dir("/");
    command
        .env("LANG", "tr_TR.UTF-8")
        .env("TZ", "Pacific/Chatham")
        .env("HOME", "/nowhere")
        .env("RUST_LOG", "trace");
    command.spawn().expect("a program that runs can be started again")
}

/// Two runs had two hashes: here is where they part.
fn tell(case: &Case, one: &str, other: &str) {
    differ(&case.name, one, other);
    panic!("{}: its hashes differed, and its traces do not when it is played alone", case.name);
}

fn differ(name: &str, one: &str, other: &str) {
    if let Some(difference) = first_difference(one, other) {
        panic!("{name}: {difference}");
    }
}
