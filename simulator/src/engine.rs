//! What moves a world: a runtime of one thread, and the time, which goes on when nobody has anything to do.
//!
//! Time goes from one thing that is due to the next, until a task or the scene is woken by one. Most moments of a call wake
//! nobody: a packet is sent, relayed, heard by those whom the network calls, and the runtime hears nothing of it.

use crate::guards::{self, Entered};
use crate::network::{Driven, Ground, Network, Steps};
use crate::stage::Stage;
use pbx::shell::timer;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, EnterGuard, Handle, RngSeed, Runtime, UnhandledPanic};

pub(crate) struct Engine {
    /// Where the story is told; and all tasks run, unless turmoil has them.
    runtime: Runtime,
    steps: Option<Steps>,
    /// What is moved, where it is our network.
    driven: Arc<OnceLock<Driven>>,
    _time: Option<timer::Virtual>,
    /// On other grounds a world has to reach for the machine. The last to go: tasks end with the runtime.
    _guards: Option<Entered>,
}

impl Engine {
    pub(crate) fn new(ground: &Ground, seed: u64) -> Engine {
        let guards = (*ground == Ground::Own).then(|| guards::enter(seed));
        let mut builder = Builder::new_current_thread();
        let time = (*ground == Ground::Own).then(timer::begin);
        let driven = Arc::new(OnceLock::new());
        match ground {
            Ground::Own => {
                let driven = driven.clone();
                guards::watch_tasks(&mut builder)
                    .on_thread_park(move || move_on(driven.get().and_then(Driven::network).as_ref()))
            }
            Ground::Turmoil => builder.enable_time().start_paused(true),
            Ground::Real(_) => builder.enable_all(),
        };
        let runtime = builder
            .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
            .unhandled_panic(UnhandledPanic::ShutdownRuntime)
            .build()
            .expect("a runtime needs nothing of the machine, or a descriptor or two");
        let steps = (*ground == Ground::Turmoil).then(|| Steps::new(seed));
        Engine { runtime, steps, driven, _time: time, _guards: guards }
    }

    /// A world with a network that is moved from now on.
    pub(crate) fn raise(&mut self, ground: Ground, seed: u64) -> Stage {
        let stage = self.runtime.block_on(async { Stage::new(ground, seed) });
        self.drive(&stage.network);
        stage
    }

    /// Moves this network from now on, and no other.
    pub(crate) fn drive(&mut self, network: &Network) {
        // There is no other: an engine moves one world.
        let _ = self.driven.set(network.driven());
    }

    /// Tasks may be spawned while there is one of these; they do not run.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    pub(crate) fn tell<T>(&mut self, network: Network, story: impl Future<Output = T>) -> T {
        let story = guards::watch(story);
        match &mut self.steps {
            Some(steps) => steps.tell(&self.runtime, &network, story),
            None => self.runtime.block_on(story),
        }
    }
}

/// Nobody has anything to do: time goes on until somebody has.
fn move_on(network: Option<&Network>) {
    let runtime = Handle::current().metrics();
    while runtime.worker_local_queue_depth(0) == 0 && !guards::is_scene_awake() {
        let due = [timer::next_due(), network.and_then(Network::next_due)];
        let Some(due) = due.into_iter().flatten().min() else {
            return guards::stop("nothing is due any more, and the scene still waits");
        };
        timer::advance(due);
        network.into_iter().for_each(|network| guards::take_turn(|| network.take_turn()));
    }
}
