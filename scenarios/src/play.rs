//! One scenario, one seed, one outcome.

use crate::dictionary;
use crate::scene::Scene;
use cucumber::World as _;
use cucumber::gherkin::{Feature, Scenario, Step, StepType};
use cucumber::step::Collection;
use futures::FutureExt as _;
use futures::executor::block_on;
use pbx::time::{Duration, Instant};
use simulator::ladder;
use simulator::stage::Stage;
use std::any::Any;
use std::panic::AssertUnwindSafe;

/// How a scenario came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What everything followed from.
    pub seed: u64,
    /// The sentences that were said, as they stand in the feature, each with where it stands.
    pub said: Vec<Said>,
    /// Why it failed; `None` when it did not.
    pub failure: Option<Failure>,
    /// How much virtual time it took.
    pub lasted: Instant,
    /// Every packet, a line each: equal texts are equal runs.
    pub trace: String,
    /// What the trace is known by: equal numbers are equal runs.
    pub hash: u64,
    /// The ladder.
    pub ladder: String,
}

/// A sentence that was said.
#[derive(Clone, Debug)]
pub struct Said {
    /// With its keyword.
    pub text: String,
    /// The line of the feature.
    pub line: usize,
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
}

/// How far to play.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What everything follows from.
    pub seed: u64,
    /// Where to stop in virtual time; what follows is not said.
    pub until: Option<Duration>,
}

/// Plays a scenario of a feature in a world of its own.
pub fn play(feature: &Feature, scenario: &Scenario, settings: Settings) -> Outcome {
    let sentences = Scene::collection();
    let mut scene = Scene::new(settings.seed);
    if let Some(until) = settings.until {
        block_on(scene.world.with(move |stage: &mut Stage| stage.stop_at(Instant::START + until)));
    }
    let background = feature.background.iter().flat_map(|background| &background.steps);
    let (mut said, mut failure) = (Vec::new(), None);
    for step in background.chain(&scenario.steps) {
        said.push(Said {
            text: format!("{:>5} {}", step.keyword.trim(), step.value),
            line: step.position.line,
        });
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
    if failure.is_none() && settings.until.is_none() {
        failure = look_back(&mut scene).err().map(Failure::Rule);
    }
    let see = scene.world.with(|stage: &mut Stage| {
        let ladder = stage.trace().look(|packets| ladder::draw(packets, stage.names()));
        (stage.now(), stage.trace().hash(), stage.trace().text(), ladder)
    });
    // A world in which a task has panicked can still be looked at.
    let (lasted, hash, trace, ladder) = block_on(see);
    Outcome { seed: settings.seed, said, failure, lasted, trace, hash, ladder }
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
        .map_err(|panic| Failure::Step(words_of(panic.as_ref())))
}

/// What holds after every scenario, whatever it was about.
fn look_back(scene: &mut Scene) -> Result<(), String> {
    let rest = scene.world.play(async |stage: &mut Stage| stage.come_to_rest().await);
    let left = block_on(AssertUnwindSafe(rest).catch_unwind()).map_err(|panic| words_of(panic.as_ref()))?;
    if !left.is_empty() {
        return Err(format!("A24 is broken: nothing is left over at the end, but {}", left.join(", ")));
    }
    let broken = block_on(scene.world.with(|stage: &mut Stage| stage.judge()));
    if broken.is_empty() {
        return Ok(());
    }
    Err(broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
