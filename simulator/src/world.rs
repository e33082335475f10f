//! A world on a thread of its own: virtual time, a network, the PBX, telephones.
//!
//! The thread owns everything. Who stands outside sends it closures and awaits what they return; between two closures
//! nothing moves, not even the time. Nothing is shared with another world, so hundreds may run in one process.

use crate::guards;
use crate::ladder;
use crate::stage::Stage;
use pbx::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, RngSeed, Runtime, UnhandledPanic};
use tokio::sync::oneshot;

/// Arrows that are shown of a scene that failed.
const SHOWN: usize = 20;

/// What a world is asked to do.
type Job = Box<dyn FnOnce(&Runtime, &mut Stage) + Send>;

/// A world, seen from outside; it ends when this is dropped.
pub struct World {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    seed: u64,
}

impl World {
    /// An empty world, in which everything follows from `seed`.
    pub fn new(seed: u64) -> World {
        let (jobs, asked) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(format!("world {seed}"))
            .spawn(move || run(seed, &asked))
            .expect("the machine has room for another thread");
        World { jobs: Some(jobs), thread: Some(thread), seed }
    }

    /// What everything follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Acts on what is there; no time passes. A panic within comes out here.
    pub async fn with<T: Send + 'static>(&self, act: impl FnOnce(&mut Stage) -> T + Send + 'static) -> T {
        self.ask(move |runtime, stage| {
            // The runtime is known, for tasks that are spawned, but does not run: even one that a panic of a task has
            // shut down can be looked at.
            let _inside = runtime.enter();
            guards::watch_step(|| act(stage))
        })
        .await
    }

    /// Acts on what is there, for as long as it takes in virtual time. A panic within comes out here.
    pub async fn play<T: Send + 'static>(
        &self,
        act: impl AsyncFnOnce(&mut Stage) -> T + Send + 'static,
    ) -> T {
        self.ask(move |runtime, stage| runtime.block_on(guards::watch(act(stage)))).await
    }

    /// Virtual time passes.
    pub async fn pass(&self, time: Duration) {
        self.play(async move |stage: &mut Stage| stage.pass(time).await).await;
    }

    /// Everything comes to rest and every rule is asked, as by [`Stage::conclude`].
    pub async fn conclude(&self) {
        self.play(async |stage: &mut Stage| stage.conclude().await).await;
    }

    async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Runtime, &mut Stage) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |runtime, stage| {
            let outcome = guarded(|| act(runtime, stage));
            // Who asked may have given up waiting.
            let _ = answer.send(outcome);
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        assert!(sent, "the world has ended");
        match answered.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => panic!("the world has ended"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // What went wrong in there was told to the one who asked.
            let _ = thread.join();
        }
    }
}

/// Plays one scene in a world of its own and returns what it returns; for tests that need no world beyond that.
///
/// When the scene is over, everything comes to rest and every rule is asked, as by [`Stage::conclude`]. A failure says the
/// seed; the ladder up to it goes to stderr.
pub fn play<T: Send + 'static>(seed: u64, scene: impl AsyncFnOnce(&mut Stage) -> T + Send + 'static) -> T {
    let scene = move || {
        guards::enter(seed);
        let runtime = runtime(seed);
        let mut stage = raise(&runtime, seed);
        let outcome = guarded(|| {
            runtime.block_on(guards::watch(async {
                let result = scene(&mut stage).await;
                stage.conclude().await;
                result
            }))
        });
        if outcome.is_err() {
            let ladder = stage.trace().look(|packets| ladder::last(packets, stage.names(), SHOWN));
            eprintln!("\n{ladder}\n  seed {seed}\n");
        }
        outcome
    };
    let thread = thread::Builder::new().name(format!("world {seed}")).spawn(scene);
    match thread.expect("the machine has room for another thread").join() {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) | Err(panic) => resume_unwind(panic),
    }
}

/// Whoever reached for the machine is the reason, whatever else came of it.
fn guarded<T>(act: impl FnOnce() -> T) -> thread::Result<T> {
    let outcome = catch_unwind(AssertUnwindSafe(act));
    match guards::offence() {
        Some(reason) => Err(Box::new(reason)),
        None => outcome,
    }
}

fn run(seed: u64, asked: &mpsc::Receiver<Job>) {
    guards::enter(seed);
    let runtime = runtime(seed);
    let mut stage = raise(&runtime, seed);
    // Outside of a job the runtime does not run, so the time stands still however long nobody asks for anything.
    while let Ok(job) = asked.recv() {
        job(&runtime, &mut stage);
    }
    // Tasks of the runtime hold parts of the stage and end with it.
    drop(runtime);
}

fn raise(runtime: &Runtime, seed: u64) -> Stage {
    runtime.block_on(async { Stage::new(seed) })
}

fn runtime(seed: u64) -> Runtime {
    guards::watch_tasks(&mut Builder::new_current_thread())
        .enable_time()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
        .unhandled_panic(UnhandledPanic::ShutdownRuntime)
        .build()
        .expect("a runtime without I/O needs nothing of the machine")
}
