//! One seed, one run, to the byte: whatever the process, its environment and its threads (SIM-02).
//!
//! Every scenario is played twice here, each time beside others, and every third one in another process too, which has
//! another environment, logs what the logbooks of its worlds leave, and plays one at a time. Of each the first seconds are
//! played, without the end and the rules: all of them whole would take minutes. Debug and release are compared whole, by
//!
//! ```sh
//! for profile in dev release; do
//!     for feature in features/*/*.feature; do
//!         cargo run -q --profile $profile --bin simulate -- play $feature --hash
//!     done > target/$profile.hashes
//! done; diff target/dev.hashes target/release.hashes
//! ```

use pbx::time::Duration;
use scenarios::play::{Outcome, Settings};
use scenarios::suite::{Case, cases, cores, hush, play_all};
use std::fs;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tracing_subscriber::filter::LevelFilter;

const SETTINGS: Settings = Settings { seed: 7, until: Some(Duration::from_secs(8)) };

/// Every so many scenarios one is played in the other process.
const SAMPLE: usize = 3;
const ONE: NonZero<usize> = NonZero::<usize>::MIN;

/// Where the other process is told to put its traces.
const TRACES: &str = "TRACES";

#[test]
fn every_scenario_is_played_alike_in_one_process() {
    let cases = all();
    let first = once(&cases);
    // The other way round, so each has other neighbours.
    let reversed: Vec<Case> = cases.iter().rev().cloned().collect();
    let second = play_all(&reversed, cores(), SETTINGS, |_, _| ());
    for (case, (one, other)) in cases.iter().zip(first.iter().zip(second.iter().rev())) {
        compare(&case.name, &one.trace, &other.trace);
        assert_eq!(one.hash, other.hash, "{}: equal traces have unequal hashes", case.name);
    }
}

#[test]
fn every_scenario_is_played_alike_in_another_process() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("determinism");
    let mut other = other_process(&folder);
    let cases = all();
    let here = once(&cases);
    assert!(other.wait().expect("it ends").success(), "the other process has failed");
    for (number, (case, outcome)) in cases.iter().zip(here).step_by(SAMPLE).enumerate() {
        let there = fs::read_to_string(place(&folder, number)).expect("a trace a scenario");
        compare(&case.name, &outcome.trace, &there);
    }
    fs::remove_dir_all(&folder).expect("nobody else uses it");
}

#[test]
#[ignore = "it is the other process of the story above"]
fn the_other_process() {
    let Some(folder) = std::env::var_os(TRACES).map(PathBuf::from) else { return };
    let log =
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).without_time().with_writer(io::sink);
    log.init();
    let cases: Vec<Case> = all().into_iter().step_by(SAMPLE).collect();
    for (number, outcome) in play_all(&cases, ONE, SETTINGS, |_, _| ()).iter().enumerate() {
        fs::write(place(&folder, number), &outcome.trace).expect("there is room for traces");
    }
}

#[test]
fn another_seed_is_another_run() {
    let cases: Vec<Case> = all().into_iter().filter(|case| case.name.starts_with("calls/talk")).collect();
    assert!(!cases.is_empty());
    let play = |seed| play_all(&cases, cores(), Settings { seed, until: None }, |_, _| ());
    for (case, (one, other)) in cases.iter().zip(play(1).iter().zip(&play(2))) {
        assert_ne!(one.trace, other.trace, "{} does not depend on its seed", case.name);
        assert_ne!(one.hash, other.hash, "{} has one hash for two traces", case.name);
    }
}

#[test]
#[should_panic(expected = "a story: packet 1 differs\n  b\n  c")]
fn the_first_difference_is_told() {
    compare("a story", "a\nb\nd\n", "a\nc\ne\n");
}

#[test]
#[should_panic(expected = "a story: packet 1 differs\n  b\n  (none)")]
fn the_end_of_one_run_is_a_difference() {
    compare("a story", "a\nb\n", "a\n");
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

/// This program again, in an environment of its own, which plays everything and leaves its traces in `folder`.
fn other_process(folder: &Path) -> Child {
    fs::create_dir_all(folder).expect("the target folder can be written");
    let mut command = Command::new(std::env::current_exe().expect("a test is a program"));
    command.args(["--ignored", "--exact", "the_other_process", "--test-threads=1"]).stdout(Stdio::null());
    command.env_clear().env(TRACES, folder).current_dir("/");
    command
        .env("LANG", "tr_TR.UTF-8")
        .env("TZ", "Pacific/Chatham")
        .env("HOME", "/nowhere")
        .env("RUST_LOG", "trace");
    command.spawn().expect("a program that runs can be started again")
}

fn place(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.trace"))
}

/// Says what the first packet is that differs.
fn compare(name: &str, one: &str, other: &str) {
    let (mut ones, mut others) = (one.lines(), other.lines());
    for number in 0.. {
        match (ones.next(), others.next()) {
            (None, None) => return,
            (one, other) if one == other => {}
            (one, other) => {
                let text = |line: Option<&str>| line.unwrap_or("(none)").to_owned();
                panic!("{name}: packet {number} differs\n  {}\n  {}", text(one), text(other));
            }
        }
    }
}
