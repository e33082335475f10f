//! The swarm: cases nobody thought of, those that once failed, and planted bugs that must be found (SIM-08, SIM-09).
//!
//! Every run plays other cases. When one fails its seed is printed, with the smallest case that fails like it and the line to play it
//! again; `SWARM_SEED=n cargo test --test swarm` plays the same cases again, and `SWARM_CASES=n` says how many.

use scenarios::play::{Failure, Settings};
use scenarios::suite;
use scenarios::swarm::{Found, Swarm, Verdict, reduce};
use simulator::swarm::{Case, Wishes, draw, play};
use simulator::world;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// How many cases that are the same each time: a few seconds.
const CASES: u64 = 400;

/// How many fresh ones each time.
const FRESH: u64 = 50;

/// How many fresh ones of applications.
const FRESH_APPLICATIONS: u64 = 20;

/// How many of applications, in which more happens.
const APPLICATIONS: u64 = 100;

/// Runs that may be spent to make a failure small.
const BUDGET: usize = 2_000;

/// What makes life harder for the PBX and is seen by nobody. With a slow disk, a short queue and messages in pieces things
/// come later than rules know: of a thousand cases about nine break one (A1, A2, T16, T17, D23).
const UNSEEN: [&str; 2] = ["the disk refuses", "a port is taken by others"];

/// A planted bug has to be found within so many seeds.
const SEEDS: u64 = 400;

#[test]
fn the_first_cases_break_no_rule() {
    find_nothing(1, CASES, &Wishes::default());
}

#[test]
fn fresh_cases_break_no_rule() {
    find_nothing_fresh(FRESH, &Wishes::default());
}

#[test]
fn a_pbx_with_a_hard_life_breaks_no_rule() {
    find_nothing_fresh(FRESH, &Wishes { buggify: true, ..Wishes::default() });
}

#[test]
fn the_first_applications_break_no_rule() {
    find_nothing(1, APPLICATIONS, &applications());
}

#[test]
fn fresh_applications_break_no_rule() {
    find_nothing_fresh(FRESH_APPLICATIONS, &applications());
}

#[test]
fn what_once_failed_fails_no_more() {
    quiet();
    let mut files: Vec<PathBuf> = fs::read_dir("tests/regressions")
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).expect("it can be read");
        let case = Case::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let run = play(&case).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let broken: Vec<_> = run.broken.iter().map(|broken| broken.what.as_str()).collect();
        println!("{}: {}", file.display(), broken.join("\n"));
        assert!(broken.is_empty());
    }
}

#[test]
fn a_swarm_is_the_same_on_one_thread_and_on_many() {
    quiet();
    let fly = |jobs, shard| Swarm { jobs, ..swarm(1, 40, Wishes::default(), shard) }.fly(|_| ());
    let one = std::num::NonZero::<usize>::MIN;
    let (alone, together) = (fly(one, (0, 1)), fly(one.saturating_add(3), (0, 1)));
    assert_eq!((alone.cases, alone.hash), (40, together.hash));
    let parts = [0, 1, 2].map(|part| fly(one, (part, 3)));
    assert_eq!(parts.iter().map(|part| part.cases).sum::<u64>(), 40);
    assert_eq!(parts.iter().fold(0, |hash: u64, part| hash.wrapping_add(part.hash)), alone.hash);
}

#[test]
fn a_forgotten_ack_is_found_and_becomes_one_lost_packet_in_one_call() {
    // Over UDP; a stream loses nothing, so there the smallest plan is another.
    let over_udp = |case: &Case| case.people.iter().all(|person| !person.tcp);
    let found = plant_among("the ACK to a repeated 200 is forgotten", over_udp);
    assert_eq!(found.rule, "T14");
    let case = &found.shrunk.case;
    let plan = case.faults.as_ref().expect("a case that was made small has a plan");
    assert_eq!((plan.packets.len(), plan.events.len()), (1, 0), "{}", case.write());
    let calls = case.actions.iter().filter(|action| format!("{:?}", action.does).starts_with("Call"));
    assert_eq!(calls.count(), 1, "{}", case.write());
    assert!(case.people.len() <= 2, "{}", case.write());
    assert!(case.actions.len() <= 4, "{}", case.write());
}

#[test]
fn a_call_that_cancel_left_up_is_found() {
    plant("a 200 that crosses CANCEL leaves the call up");
}

#[test]
fn a_port_that_is_not_given_back_is_found() {
    plant("a port is not given back");
}

#[test]
fn a_200_that_goes_on_is_found() {
    plant("a 200 is repeated after its ACK");
}

#[test]
fn a_bye_without_an_answer_is_found() {
    plant("a second BYE gets no answer");
}

#[test]
fn a_call_that_is_recorded_twice_is_found() {
    plant("a call is recorded twice");
}

/// Plants a bug in the PBX, finds it, makes it small, and plays what was written down again: the case, with the same
/// trace, and the feature, which breaks the same rule by the same packets.
fn plant(bug: &str) -> Found {
    plant_among(bug, |_| true)
}

/// The same, among the cases that `suits`.
fn plant_among(bug: &str, suits: impl Fn(&Case) -> bool) -> Found {
    quiet();
    let wishes = Wishes { bugs: vec![bug.to_owned()], ..Wishes::default() };
    let mut failed: Vec<Verdict> = Vec::new();
    Swarm { enough: 24, ..swarm(1, SEEDS, wishes.clone(), (0, 1)) }.fly(|verdict| {
        if verdict.first_break().is_some() {
            failed.push(verdict.clone());
        }
    });
    failed.retain(|verdict| suits(&draw(verdict.seed, &wishes)));
    failed.sort_by_key(|verdict| verdict.seed);
    let verdict = failed.first().unwrap_or_else(|| panic!("nobody found: {bug}"));
    println!("found in seed {}", verdict.seed);
    let rule = verdict.first_break().expect("it failed").rule.clone();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(bug.replace(' ', "-"));
    let found = reduce(&draw(verdict.seed, &wishes), &rule, BUDGET, &folder);
    let found = found.expect("the folder can be written").expect("what failed fails again");
    println!("{}", found.story);

    let [case, _, feature] = &found.files[..] else { panic!("three files are written") };
    let text = fs::read_to_string(case).expect("it was written");
    let again = play(&Case::parse(&text).expect("a case")).expect("a case that was played");
    assert_eq!(again.hash, found.shrunk.run.hash, "the file plays another run");

    let scenarios = suite::cases_of(&folder, feature).expect("a feature");
    let outcome = scenarios[0].play(Settings { seed: found.shrunk.case.seed, until: None });
    let Some(Failure::Rule(why) | Failure::Step(why)) = &outcome.failure else {
        panic!("as a scenario it does not fail: {:?}", outcome.failure)
    };
    assert!(why.contains(&format!("{rule} is broken")), "as a scenario it fails by {why}");
    assert_eq!(outcome.hash, found.shrunk.run.hash, "the scenario is another run");
    found
}

/// Other cases each time, unless somebody says which and how many.
fn find_nothing_fresh(cases: u64, wishes: &Wishes) {
    let (first, cases) = (seed(), number("SWARM_CASES").unwrap_or(cases));
    println!(
        "cases {first} to {}; SWARM_SEED={first} SWARM_CASES={cases} plays them again",
        first + cases - 1
    );
    find_nothing(first, cases, wishes);
}

fn find_nothing(first: u64, cases: u64, wishes: &Wishes) {
    quiet();
    let mut failed: Vec<Verdict> = Vec::new();
    swarm(first, cases, wishes.clone(), (0, 1)).fly(|verdict| {
        if verdict.result.as_ref().map_or(true, |run| !run.broken.is_empty()) {
            failed.push(verdict.clone());
        }
    });
    failed.retain(|verdict| {
        draw(verdict.seed, wishes).whims.iter().all(|whim| UNSEEN.contains(&whim.as_str()))
    });
    failed.sort_by_key(|verdict| verdict.seed);
    for verdict in &failed {
        let what = verdict.first_break().map(|broken| broken.what.as_str());
        println!("seed {}: {}", verdict.seed, what.unwrap_or_default());
    }
    let Some(verdict) = failed.first() else { return };
    let Some(broken) = verdict.first_break() else { panic!("{:?}", verdict.result) };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("found");
    let found = reduce(&draw(verdict.seed, wishes), &broken.rule, BUDGET, &folder);
    let story = found.ok().flatten().map(|found| found.story).unwrap_or_default();
    // The hook keeps panics quiet, as those of worlds are told in a story.
    println!("seed {}: {}\n\n{story}", verdict.seed, broken.what);
    panic!("seed {} breaks {}", verdict.seed, broken.rule);
}

fn swarm(first: u64, cases: u64, wishes: Wishes, shard: (u64, u64)) -> Swarm {
    Swarm { seeds: (first, first + cases - 1), shard, jobs: suite::cores(), wishes, enough: usize::MAX }
}

/// Cases with applications.
fn applications() -> Wishes {
    Wishes { applications: true, ..Wishes::default() }
}

/// Another one each time, so that every run of the tests looks somewhere else; or the one that is asked for.
fn seed() -> u64 {
    if let Some(seed) = number("SWARM_SEED") {
        return seed;
    }
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("it is later than 1970");
    // Seeds people can read aloud.
    since.as_millis() as u64 % 1_000_000_000
}

/// What somebody wants who looks for something.
#[expect(clippy::disallowed_methods, reason = "who looks says where")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Panics within a world are told in its story, once.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        suite::hush();
        world::remember_panics();
    });
}
