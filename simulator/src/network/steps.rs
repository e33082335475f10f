//! Runs a story beside the hosts of turmoil, which move only when somebody steps them.

use super::far::{Command, Jobs, LATENCY};
use super::{Ground, Network};
use pbx::time::Duration;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Runtime;

/// How far one step goes; turmoil knows no shorter time.
const STEP: Duration = Duration::from_millis(1);

/// No run lasts longer.
const LONGEST: Duration = Duration::from_secs(100 * 3_600);

/// Messages that may wait in a socket of turmoil.
const CAPACITY: usize = 4_096;

/// turmoil's simulation of one world.
pub(crate) struct Steps {
    sim: turmoil::Sim<'static>,
}

impl Steps {
    pub(crate) fn new(seed: u64) -> Steps {
        let mut builder = turmoil::Builder::new();
        builder
            .rng_seed(seed)
            .tick_duration(STEP)
            .simulation_duration(LONGEST)
            .min_message_latency(LATENCY)
            .max_message_latency(LATENCY)
            .tcp_capacity(CAPACITY)
            .udp_capacity(CAPACITY);
        Steps { sim: builder.build() }
    }

    /// Polls the story, then all hosts move on by a millisecond, and so on until the story is told. `clock` is the time of
    /// the story; it goes with that of the hosts.
    pub(crate) fn tell<T>(
        &mut self,
        clock: &Runtime,
        network: &Network,
        story: impl Future<Output = T>,
    ) -> T {
        let mut story = pin!(story);
        loop {
            {
                let _inside = clock.enter();
                if let Poll::Ready(told) = story.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    return told;
                }
            }
            self.step(clock, network);
        }
    }

    fn step(&mut self, clock: &Runtime, network: &Network) {
        for command in network.take_commands() {
            self.obey(command);
        }
        if let Err(error) = self.sim.step() {
            panic!("a host of turmoil has ended: {error}");
        }
        clock.block_on(tokio::time::advance(STEP));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Host(address, jobs) => self.add_host(address, jobs),
            Command::Crash(address) => self.sim.crash(address),
            Command::Bounce(address) => self.sim.bounce(address),
            Command::Partition(from, to) => self.sim.partition_oneway(from, to),
            Command::Repair(from, to) => self.sim.repair_oneway(from, to),
            Command::Hold(a, b) => self.sim.hold(a, b),
            Command::Release(a, b) => self.sim.release(a, b),
        }
    }

    fn add_host(&mut self, address: IpAddr, jobs: Arc<Jobs>) {
        self.sim.host(address, move || {
            let jobs = jobs.clone();
            async move {
                jobs.work().await;
                Ok(())
            }
        });
    }
}

impl Network {
    pub(crate) fn is_turmoil(&self) -> bool {
        *self.ground() == Ground::Turmoil
    }

    fn take_commands(&self) -> Vec<Command> {
        self.shared.far.as_ref().map(|far| far.take_commands()).unwrap_or_default()
    }
}
