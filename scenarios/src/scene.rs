//! The world of one scenario, as sentences see it.

use crate::desk::Desk;
use crate::words::Actor;
use pbx::time::Duration;
use simulator::network::{Ground, Kind, Packet};
use simulator::phone::Phone;
use simulator::stage::Stage;
use simulator::world::World;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

/// How long somebody waits for what must come soon: a registration, an answer.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The seed of a scenario that is given none.
pub const SEED: u64 = 1;

/// A world, and what the sentences of one scenario do in it.
#[derive(cucumber::World)]
#[world(init = Self::usual)]
pub struct Scene {
    /// The world.
    pub world: World,
    /// Why the configuration that was checked last is refused.
    pub refusal: Option<String>,
    /// The recording that is listened to, and what it should hold.
    pub desk: Desk,
}

impl Scene {
    /// An empty world, in which everything follows from `seed`.
    pub fn new(seed: u64) -> Scene {
        Scene::over(Ground::Own, seed)
    }

    /// The same, with something else that carries the packets.
    pub fn over(ground: Ground, seed: u64) -> Scene {
        Scene { world: World::over(ground, seed), refusal: None, desk: Desk::default() }
    }

    fn usual() -> Scene {
        Scene::new(SEED)
    }

    /// Somebody does something with a telephone, or says how it is.
    pub async fn phone<T: Send + 'static>(
        &mut self,
        actor: Actor,
        act: impl FnOnce(&Phone) -> T + Send + 'static,
    ) -> T {
        self.world.play(async move |stage: &mut Stage| act(&stage.phone(&actor.0).await)).await
    }

    /// How many connections were opened from and to such places.
    pub async fn connections(
        &mut self,
        is_meant: impl Fn(SocketAddr, SocketAddr) -> bool + Send + 'static,
    ) -> usize {
        let ends = self.world.with(move |stage: &mut Stage| {
            stage.trace().look(|packets| {
                let opens = |packet: &&Packet| packet.kind == Kind::Syn && is_meant(packet.from, packet.to);
                // One that is lost goes out again.
                packets.iter().filter(opens).map(|packet| (packet.from, packet.to)).collect::<BTreeSet<_>>()
            })
        });
        ends.await.len()
    }

    /// Waits until something holds of a telephone; whether it came to hold.
    pub async fn until(
        &mut self,
        actor: Actor,
        patience: Duration,
        holds: impl Fn(&Phone) -> bool + Send + 'static,
    ) -> bool {
        self.world
            .play(async move |stage: &mut Stage| {
                let phone = stage.phone(&actor.0).await;
                stage.until(patience, |_| holds(&phone)).await
            })
            .await
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("seed", &self.world.seed()).finish()
    }
}
