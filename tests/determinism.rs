//! One seed, one run: every scenario is played twice and every packet compared, byte for byte.

use scenarios::play::{Outcome, Settings};
use scenarios::suite::{Case, cases, cores, hush, play_all};
use std::num::NonZero;
use std::path::Path;

#[test]
fn every_scenario_is_played_alike_twice() {
    let (cases, settings) = (all(), Settings { seed: 7, until: None });
    let parallel = play_all(&cases, cores(), settings, |_, _| ());
    let alone = play_all(&cases, NonZero::<usize>::MIN, settings, |_, _| ());
    for (case, (one, other)) in cases.iter().zip(parallel.iter().zip(&alone)) {
        compare(case, one, other);
    }
}

#[test]
fn another_seed_is_another_run() {
    let cases: Vec<Case> = all().into_iter().filter(|case| case.name.starts_with("calls/talk")).collect();
    assert!(!cases.is_empty());
    let play = |seed| play_all(&cases, cores(), Settings { seed, until: None }, |_, _| ());
    for (case, (one, other)) in cases.iter().zip(play(1).iter().zip(&play(2))) {
        assert_ne!(one.trace, other.trace, "{} does not depend on its seed", case.name);
    }
}

fn all() -> Vec<Case> {
    hush();
    let cases = cases(Path::new("features")).expect("the features can be read");
    cases.into_iter().filter(|case| !case.has_tag("slow")).collect()
}

/// Says what the first packet is that differs.
fn compare(case: &Case, one: &Outcome, other: &Outcome) {
    let differs = one.trace.lines().zip(other.trace.lines()).position(|(one, other)| one != other);
    let (ones, others) = (one.trace.lines().count(), other.trace.lines().count());
    if let Some(at) = differs {
        let line = |outcome: &Outcome| outcome.trace.lines().nth(at).unwrap_or_default().to_owned();
        panic!("{}: packet {at} differs\n  {}\n  {}", case.name, line(one), line(other));
    }
    assert_eq!(ones, others, "{}: one run has more packets than the other", case.name);
}
