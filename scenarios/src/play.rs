//! One scenario, one seed, one outcome.

use crate::dictionary;
use crate::scene::Scene;
use crate::stopwatch::Stopwatch;
use crate::weather::Weather;
use cucumber::World as _;
use cucumber::gherkin::{Feature, Scenario, Step, StepType};
use cucumber::step::Collection;
use futures::FutureExt as _;
use futures::executor::block_on;
use pbx::time::{Duration, Instant};
use simulator::artefacts::Snapshot;
use simulator::faults::Plan;
use simulator::network::{Ground, Unplayable};
use simulator::stage::Stage;
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// How a scenario came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What everything followed from.
    pub seed: u64,
    /// The sentences that were said, as they stand in the feature, each with where it stands.
    pub said: Vec<Said>,
    /// Why it failed; `None` when it did not.
    pub failure: Option<Failure>,
    /// Why it was not played to its end: the network cannot do what it wants.
    pub unplayable: Option<String>,
    /// How much virtual time it took.
    pub lasted: Instant,
    /// Every packet, a line each, where the terms ask for it: equal texts are equal runs.
    pub trace: Option<String>,
    /// What the trace is known by: equal numbers are equal runs.
    pub hash: u64,
    /// What went wrong in the network.
    pub faults: Plan,
    /// Whom the plan that was followed names, and nobody has seen.
    pub strangers: BTreeSet<String>,
    /// The moment to look at when it failed, else the end.
    pub moment: Instant,
    /// When all was said, and everybody was to hang up.
    pub rest_at: Option<Instant>,
    /// What was not said any more, as it stands in the feature.
    pub skipped: Vec<String>,
    /// How long it took for whoever waited.
    pub took: Duration,
    /// The world at the end, of a scenario that failed or was to be kept.
    pub snapshot: Option<Arc<Snapshot>>,
}

/// A sentence that was said.
#[derive(Clone, Debug)]
pub struct Said {
    /// With its keyword.
    pub text: String,
    /// The line of the feature.
    pub line: usize,
    /// When it was said.
    pub at: Instant,
}

/// Why a scenario failed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Nobody knows this sentence; the nearest ones are these.
    Unknown(Vec<String>),
    /// Several sentences fit.
    Ambiguous(String),
    /// What somebody looked for was not so.
    Step(String),
    /// A rule was broken that every run is held against.
    Rule(String),
    /// It cannot be played on this network; then it is skipped and did not fail.
    Unplayable(String),
}

/// How far to play.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What everything follows from.
    pub seed: u64,
    /// Where to stop in virtual time; what follows is not said.
    pub until: Option<Duration>,
}

/// What else holds of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// What the network does from the start, until a sentence says otherwise.
    pub weather: Option<Weather>,
    /// The world at its end is kept even when all is well.
    pub keeps: bool,
    /// Every packet is written down, a line each.
    pub traces: bool,
    /// These faults happen and no others.
    pub faults: Option<&'a Plan>,
    /// What carries the packets; ours where nothing is said.
    pub ground: Option<&'a Ground>,
}

/// Plays a scenario of a feature in a world of its own.
pub fn play(feature: &Feature, scenario: &Scenario, settings: Settings) -> Outcome {
    play_on(feature, scenario, settings, Terms::default())
}

/// The same on these terms.
pub fn play_on(feature: &Feature, scenario: &Scenario, settings: Settings, terms: Terms<'_>) -> Outcome {
    let watch = Stopwatch::start();
    let sentences = Scene::collection();
    let mut scene = Scene::over(terms.ground.cloned().unwrap_or(Ground::Own), settings.seed);
    if let Some(plan) = terms.faults.cloned() {
        block_on(scene.world.with(move |stage: &mut Stage| stage.follow(&plan)));
    }
    if let Some(weather) = terms.weather {
        block_on(scene.world.with(move |stage: &mut Stage| stage.set_weather(weather.link())));
    }
    if let Some(until) = settings.until {
        block_on(scene.world.with(move |stage: &mut Stage| stage.stop_at(Instant::START + until)));
    }
    let background = feature.background.iter().flat_map(|background| &background.steps);
    let (mut said, mut failure) = (Vec::new(), None);
    let mut steps = background.chain(&scenario.steps);
    for step in steps.by_ref() {
        let at = block_on(scene.world.with(|stage: &mut Stage| stage.now()));
        said.push(Said { text: text_of(step), line: step.position.line, at });
        let result = say(&sentences, &mut scene, step);
        // What the rest of the scenario would see is not there yet.
        if block_on(scene.world.with(|stage: &mut Stage| stage.has_stopped())) {
            break;
        }
        if let Err(why) = result {
            failure = Some(why);
            break;
        }
    }
    let skipped = steps.map(text_of).collect();
    let (mut moment, mut rest_at) = (None, None);
    if failure.is_none() && settings.until.is_none() {
        rest_at = Some(block_on(scene.world.with(|stage: &mut Stage| stage.now())));
        if let Err((why, at)) = look_back(&mut scene) {
            (failure, moment) = (Some(why), at);
        }
    }
    let unplayable = match &failure {
        Some(Failure::Unplayable(why)) => Some(why.clone()),
        _ => None,
    };
    if unplayable.is_some() {
        failure = None;
    }
    let (keeps, traces) = (terms.keeps || failure.is_some(), terms.traces);
    let see = scene.world.with(move |stage: &mut Stage| {
        let snapshot = keeps.then(|| Arc::new(Snapshot::of(stage)));
        let trace = traces.then(|| stage.trace().text());
        (stage.now(), stage.trace().hash(), trace, stage.faults(), stage.strangers(), snapshot)
    });
    // A world in which a task has panicked can still be looked at.
    let (lasted, hash, trace, faults, strangers, snapshot) = block_on(see);
    let (moment, took) = (moment.unwrap_or(lasted), watch.elapsed());
    let seed = settings.seed;
    Outcome {
        seed,
        said,
        failure,
        lasted,
        trace,
        hash,
        faults,
        strangers,
        moment,
        rest_at,
        skipped,
        unplayable,
        took,
        snapshot,
    }
}

/// Where two traces part, with both lines; `None` when they do not.
pub fn first_difference(one: &str, other: &str) -> Option<String> {
    let (mut ones, mut others) = (one.lines(), other.lines());
    for number in 0.. {
        match (ones.next(), others.next()) {
            (None, None) => break,
            (one, other) if one == other => {}
            (one, other) => {
                let text = |line: Option<&str>| line.unwrap_or("(none)").to_owned();
                return Some(format!("packet {number} differs\n  {}\n  {}", text(one), text(other)));
            }
        }
    }
    None
}

/// A sentence as it is read aloud.
fn text_of(step: &Step) -> String {
    format!("{:>5} {}", step.keyword.trim(), step.value)
}

fn say(sentences: &Collection<Scene>, scene: &mut Scene, step: &Step) -> Result<(), Failure> {
    let found = sentences.find(step).map_err(|ambiguous| Failure::Ambiguous(ambiguous.to_string()))?;
    let Some((act, _, _, context)) = found else {
        let keyword = match step.ty {
            StepType::Given => "Given",
            StepType::When => "When",
            StepType::Then => "Then",
        };
        let nearest = dictionary::nearest(&step.value, 20);
        let of_kind = nearest.iter().filter(|sentence| sentence.keyword == keyword).take(3);
        return Err(Failure::Unknown(of_kind.map(ToString::to_string).collect()));
    };
    block_on(AssertUnwindSafe(act(scene, context)).catch_unwind())
        .map_err(|panic| failure_of(panic.as_ref(), Failure::Step))
}

/// What holds after every scenario, whatever it was about; if not, why and when.
fn look_back(scene: &mut Scene) -> Result<(), (Failure, Option<Instant>)> {
    let rest = scene.world.play(async |stage: &mut Stage| stage.come_to_rest().await);
    block_on(AssertUnwindSafe(rest).catch_unwind())
        .map_err(|panic| (failure_of(panic.as_ref(), Failure::Rule), None))?;
    let broken = block_on(scene.world.with(|stage: &mut Stage| stage.judge()));
    let Some(first) = broken.first() else { return Ok(()) };
    let why = broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    Err((Failure::Rule(why), Some(first.at)))
}

/// What a panic means: that the network cannot do something, or whatever else it says.
fn failure_of(panic: &(dyn Any + Send), otherwise: fn(String) -> Failure) -> Failure {
    match panic.downcast_ref::<Unplayable>() {
        Some(Unplayable(why)) => Failure::Unplayable(why.clone()),
        None => otherwise(words_of(panic)),
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
