//! Each rule bites: a fault is planted, and the rule that is there for it says so (SIM-10).
//!
//! A mutant is a rule, a fault in words, a scene and the hand that plants the fault, mostly by forging what a host sends
//! (`simulator::network::Outgoing`). Every scene is played without a fault first, and breaks nothing.

#[path = "mutants/application.rs"]
mod application;
#[path = "mutants/description.rs"]
mod description;
#[path = "mutants/dialog.rs"]
mod dialog;
#[path = "mutants/media.rs"]
mod media;
#[path = "mutants/plant.rs"]
mod plant;
#[path = "mutants/repeat.rs"]
mod repeat;
#[path = "mutants/rwi.rs"]
mod rwi;
#[path = "mutants/scene.rs"]
mod scene;
#[path = "mutants/server.rs"]
mod server;
#[path = "mutants/session.rs"]
mod session;
#[path = "mutants/transaction.rs"]
mod transaction;

use scene::Scene;
use simulator::rules::{Break, rules};
use simulator::stage::{PBX, Stage};
use simulator::world::play;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Rules that nobody has shown to bite yet.
const UNPROVED: &[&str] = &["R20", "O2"];

/// A planted fault that a rule has to find.
struct Mutant {
    /// The rule.
    rule: &'static str,
    /// What is wrong, in words.
    wrong: &'static str,
    /// What is played.
    scene: Scene,
    /// Plants the fault, before anything happens.
    plant: fn(&mut Stage),
}

#[test]
fn each_rule_has_a_mutant() {
    let proved: BTreeSet<&str> = mutants().map(|mutant| mutant.rule).collect();
    let known: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
    let unproved: BTreeSet<&str> = UNPROVED.iter().copied().collect();
    let missing: Vec<_> = known.difference(&proved).filter(|id| !unproved.contains(*id)).collect();
    assert!(missing.is_empty(), "no mutant shows that these rules bite: {missing:?}");
    let strange: Vec<_> = proved.union(&unproved).filter(|id| !known.contains(*id)).collect();
    assert!(strange.is_empty(), "no rule has these ids: {strange:?}");
    let done: Vec<_> = proved.intersection(&unproved).collect();
    assert!(done.is_empty(), "these rules are shown to bite: {done:?}");
}

#[test]
fn a_scene_without_a_fault_breaks_nothing() {
    let wrong = over_all_cores(Scene::ALL, |scene| {
        let broken = watch(*scene, |_| {});
        let told: Vec<_> = broken.iter().map(ToString::to_string).collect();
        (!told.is_empty()).then(|| format!("{scene:?}: {}", told.join("\n  ")))
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_mutant_is_found() {
    let mutants: Vec<&Mutant> = mutants().collect();
    let survived = over_all_cores(&mutants, |mutant| {
        let Mutant { rule, wrong, scene, plant } = mutant;
        let broken = watch(*scene, *plant);
        match broken.iter().find(|broken| broken.rule.id == *rule) {
            Some(found) => {
                let others: Vec<_> =
                    broken.iter().map(|broken| broken.rule.id).filter(|id| id != rule).collect();
                let others =
                    if others.is_empty() { String::new() } else { format!(" (and {})", others.join(", ")) };
                println!("{rule}: {wrong}: {}{others}", found.what);
                None
            }
            None => {
                let told: Vec<_> = broken.iter().map(ToString::to_string).collect();
                Some(format!("{rule} says nothing of this: {wrong}. {}", told.join("\n  ")))
            }
        }
    });
    assert!(survived.is_empty(), "\n{}", survived.join("\n"));
}

#[test]
fn a_rule_that_is_waived_is_let_pass_and_one_that_holds_is_not_waived() {
    let waived = |plant: fn(&mut Stage)| watch(Scene::Registration, plant);
    let told = waived(|stage| {
        plant::rewrite(stage, PBX, "SIP/2.0 200", "received=10.0.0.2", "received=10.0.0.9");
        stage.waive("T25", "this PBX is behind a mirror").expect("a rule and a reason");
    });
    assert!(told.is_empty(), "{told:?}");
    let told = waived(|stage| stage.waive("T25", "it might be").expect("a rule and a reason"));
    assert!(told.iter().any(|told| told.is_needless && told.rule.id == "T25"), "{told:?}");
}

/// All mutants of all families.
fn mutants() -> impl Iterator<Item = &'static Mutant> {
    [
        transaction::MUTANTS,
        repeat::MUTANTS,
        server::MUTANTS,
        dialog::MUTANTS,
        session::MUTANTS,
        description::MUTANTS,
        media::MUTANTS,
        application::MUTANTS,
        rwi::MUTANTS,
    ]
    .into_iter()
    .flatten()
}

/// Plays a scene with what is planted in it; the rules it has broken.
fn watch(scene: Scene, plant: fn(&mut Stage)) -> Vec<Break> {
    play(1, async move |stage| {
        plant(stage);
        scene.play(stage).await;
        stage.come_to_rest().await;
        stage.judge()
    })
}

/// What `tell` says of each, where it says anything; in the order of `all`.
fn over_all_cores<T: Sync>(all: &[T], tell: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let (next, told) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(at) else { return };
                    if let Some(words) = tell(one) {
                        told.lock().unwrap_or_else(PoisonError::into_inner).push((at, words));
                    }
                }
            });
        }
    });
    let mut told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    told.sort();
    told.into_iter().map(|(_, words)| words).collect()
}
