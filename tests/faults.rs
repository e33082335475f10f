//! Faults are data: what went wrong in a run, replayed with the dice off, is the same run (SIM-07).

use scenarios::play::{Settings, Terms, first_difference};
use scenarios::suite::{Case, cases, cores, hush};
use simulator::faults::Plan;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const SETTINGS: Settings = Settings { seed: 7, until: None };

#[test]
fn every_run_comes_again_from_its_faults() {
    let (cases, next) = (all(), AtomicUsize::new(0));
    let (faulty, differing) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..cores().get() {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match comes_again(case) {
                        Ok(is_faulty) => drop(faulty.fetch_add(usize::from(is_faulty), Ordering::Relaxed)),
                        Err(why) => {
                            differing.lock().expect("nobody panics").push(format!("{}: {why}", case.name))
                        }
                    }
                }
            });
        }
    });
    let (faulty, differing) = (faulty.into_inner(), differing.into_inner().expect("nobody panics"));
    eprintln!("{}", differing.join("\n"));
    assert!(differing.is_empty());
    assert!(faulty > 10, "only in {faulty} scenarios does anything go wrong");
}

/// Whether anything goes wrong in a scenario, which is then the same again; what differs where it is not.
fn comes_again(case: &Case) -> Result<bool, String> {
    let drawn = case.play(SETTINGS);
    if drawn.faults.is_empty() {
        return Ok(false);
    }
    let text = drawn.faults.write();
    let plan = Plan::parse(&text).map_err(|error| format!("{error}\n{text}"))?;
    let replayed = case.play_under(SETTINGS, &plan);
    if drawn.hash != replayed.hash {
        let terms = |plan| Terms { traces: true, faults: plan, ..Terms::default() };
        let trace = |plan| case.play_on(SETTINGS, terms(plan)).trace.unwrap_or_default();
        let difference = first_difference(&trace(None), &trace(Some(&drawn.faults)));
        return Err(difference.unwrap_or_else(|| "no difference any more".to_owned()));
    }
    if drawn.failure.is_some() != replayed.failure.is_some() {
        return Err(format!("{:?} became {:?}", drawn.failure, replayed.failure));
    }
    if !replayed.strangers.is_empty() {
        return Err(format!("nobody has seen {:?}", replayed.strangers));
    }
    if replayed.faults != drawn.faults {
        return Err(format!("{:?} became {:?}", drawn.faults, replayed.faults));
    }
    Ok(true)
}

#[test]
fn a_fault_that_is_taken_away_does_not_happen() {
    let case = named("network/weather: Packets that come twice");
    let mut plan = case.play(SETTINGS).faults;
    let all = plan.packets.len();
    assert!(all > 3, "the weather did nothing");
    plan.packets.truncate(3);
    let replayed = case.play_under(SETTINGS, &plan);
    assert_eq!(replayed.faults.packets, plan.packets);
}

#[test]
fn a_machine_that_a_plan_switches_off_is_off() {
    let case = named("calls/talk: The caller hangs up");
    let plan = "events = [{ at = '100 ms', cut = ['bob', 'PBX'] }, { at = '100 ms', off = 'bob' }]";
    let outcome = case.play_under(SETTINGS, &Plan::parse(plan).expect("a plan"));
    assert!(outcome.failure.is_some(), "bob was called without a network");
    assert_eq!(outcome.faults.events.len(), 2, "{:?}", outcome.faults.events);
}

#[test]
fn a_plan_about_strangers_says_so() {
    let case = named("calls/talk: The caller hangs up");
    let plan = "packets = [{ from = 'zoe', to = 'PBX', number = 1, lost = true }]";
    let outcome = case.play_under(SETTINGS, &Plan::parse(plan).expect("a plan"));
    assert_eq!(outcome.strangers.iter().collect::<Vec<_>>(), ["zoe"]);
}

/// Tests switch the feature on by a dependency that only tests have, so that no other build has it.
#[test]
fn a_program_that_is_for_real_cannot_be_buggified() {
    let tree = |edges| {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        let output = cargo.args(["tree", "--offline", "--edges", edges, "--invert", "pbx"]).output();
        let output = output.expect("cargo runs where tests were built");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).contains("buggify")
    };
    assert!(!tree("normal,build,features"), "`cargo run` would have a PBX that can be buggified");
    assert!(tree("normal,build,dev,features"), "`cargo test` would have none");
}

fn all() -> Vec<Case> {
    hush();
    let cases = cases(Path::new("features")).expect("the features can be read");
    cases.into_iter().filter(|case| !case.has_tag("slow")).collect()
}

fn named(name: &str) -> Case {
    all().into_iter().find(|case| case.name.starts_with(name)).expect("there is such a scenario")
}
