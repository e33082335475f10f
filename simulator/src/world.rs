//! A world on a thread of its own: virtual time, a network, the PBX, telephones.
//!
//! The thread owns everything. Who stands outside sends it closures and awaits what they return; between two closures
//! nothing moves, not even the time. Nothing is shared with another world, so hundreds may run in one process.

use crate::engine::Engine;
use crate::guards;
use crate::ladder::{Ladder, Style};
use crate::network::{self, Ground, Network};
use crate::stage::Stage;
use pbx::time::Duration;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// Arrows that are shown of a scene that failed.
const SHOWN: usize = 20;

/// What a world is asked to do.
type Job = Box<dyn FnOnce(&mut Engine, &mut Stage) + Send>;

/// A world, seen from outside; it ends when this is dropped.
pub struct World {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    seed: u64,
}

impl World {
    /// An empty world, in which everything follows from `seed`.
    pub fn new(seed: u64) -> World {
        World::over(Ground::Own, seed)
    }

    /// The same, with something else that carries the packets.
    pub fn over(ground: Ground, seed: u64) -> World {
        let (jobs, asked) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(format!("world {seed}"))
            .spawn(move || run(ground, seed, &asked))
            .expect("the machine has room for another thread");
        World { jobs: Some(jobs), thread: Some(thread), seed }
    }

    /// What everything follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Acts on what is there; no time passes. A panic within comes out here.
    pub async fn with<T: Send + 'static>(&self, act: impl FnOnce(&mut Stage) -> T + Send + 'static) -> T {
        self.ask(move |engine, stage| {
            // The runtime is known, for tasks that are spawned, but does not run: even one that a panic of a task has
            // shut down can be looked at.
            let _inside = engine.enter();
            guards::watch_step(|| act(stage))
        })
        .await
    }

    /// Acts on what is there, for as long as it takes in virtual time. A panic within comes out here.
    pub async fn play<T: Send + 'static>(
        &self,
        act: impl AsyncFnOnce(&mut Stage) -> T + Send + 'static,
    ) -> T {
        self.ask(move |engine, stage| engine.tell(stage.network.clone(), act(stage))).await
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
        act: impl FnOnce(&mut Engine, &mut Stage) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |engine, stage| {
            let outcome = guarded(|| act(engine, stage));
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
        let mut engine = Engine::new(&Ground::Own, seed);
        let mut stage = engine.raise(Ground::Own, seed);
        let outcome = guarded(|| {
            engine.tell(stage.network.clone(), async {
                let result = scene(&mut stage).await;
                stage.conclude().await;
                result
            })
        });
        if outcome.is_err() {
            let ladder = stage.trace().look(|packets| last_arrows(&Ladder::of(packets, stage.names())));
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

fn last_arrows(ladder: &Ladder) -> String {
    let all = ladder.arrows.len();
    ladder.draw(all.saturating_sub(SHOWN)..all, None, Style::default())
}

/// The same on this thread, without one of its own: for those who play thousands of worlds one after the other, and judge
/// them themselves. `Err`: a panic, in the scene or in a task.
pub fn play_here<T>(seed: u64, scene: impl AsyncFnOnce(&mut Stage) -> T) -> Result<T, Box<dyn Any + Send>> {
    guarded(|| {
        let mut engine = Engine::new(&Ground::Own, seed);
        let mut stage = engine.raise(Ground::Own, seed);
        let result = engine.tell(stage.network.clone(), scene(&mut stage));
        // Tasks of the runtime hold parts of the stage and end with it.
        drop(engine);
        result
    })
}

/// Plays a scene in a network alone, on this thread: no PBX, nobody who judges.
pub fn on_network<T>(network: network::Builder, scene: impl AsyncFnOnce(Network) -> T) -> T {
    let outcome = guarded(|| {
        let mut engine = Engine::new(&Ground::Own, network.seed());
        let network = network.build();
        engine.drive(&network);
        let result = engine.tell(network.clone(), scene(network));
        // Tasks of the runtime hold sockets and end with it.
        drop(engine);
        result
    });
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Whoever reached for the machine is the reason, whatever else came of it.
fn guarded<T>(act: impl FnOnce() -> T) -> thread::Result<T> {
    let outcome = catch_unwind(AssertUnwindSafe(act));
    match guards::offence() {
        Some(reason) => Err(Box::new(reason)),
        None => outcome,
    }
}

/// From now on the last panic of each thread is remembered, with its place; what is done with panics otherwise stays.
pub fn remember_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.to_string();
        // The first one is the cause of those that follow.
        LAST_PANIC.with_borrow_mut(|last| {
            last.get_or_insert(text);
        });
        before(panic);
    }));
}

/// The first panic on this thread since it was asked last, where they are remembered.
pub fn last_panic() -> Option<String> {
    LAST_PANIC.take()
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn run(ground: Ground, seed: u64, asked: &mpsc::Receiver<Job>) {
    let mut engine = Engine::new(&ground, seed);
    let mut stage = engine.raise(ground, seed);
    // Outside of a job the runtime does not run, so the time stands still however long nobody asks for anything.
    while let Ok(job) = asked.recv() {
        job(&mut engine, &mut stage);
    }
    // Tasks of the runtime hold parts of the stage and end with it.
    drop(engine);
}
