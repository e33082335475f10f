//! What holds of worlds as such.

use futures::FutureExt as _;
use futures::executor::block_on;
use pbx::shell::host::Host;
use pbx::shell::timer;
use pbx::time::{Duration, Instant};
use simulator::stage::Stage;
use simulator::world::World;
use std::panic::AssertUnwindSafe;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn nothing_moves_while_nobody_asks() {
    let world = World::new(1);
    block_on(world.pass(SECOND));
    let now = || block_on(world.with(|stage: &mut Stage| stage.now()));
    assert_eq!(now(), Instant::from_millis(1_000));
    assert_eq!(now(), Instant::from_millis(1_000));
}

#[test]
fn a_panic_of_a_task_is_told_and_the_world_can_still_be_looked_at() {
    let world = World::new(1);
    block_on(world.with(|stage: &mut Stage| {
        stage.host("fool").spawn(async {
            timer::sleep(SECOND).await;
            panic!("a planted panic");
        });
    }));
    let passed = block_on(AssertUnwindSafe(world.pass(2 * SECOND)).catch_unwind());
    assert!(passed.is_err(), "nobody was told of the panic");
    let at = block_on(world.with(|stage: &mut Stage| stage.now()));
    assert_eq!(at, Instant::from_millis(1_000));
}

#[test]
fn a_scene_that_waits_for_nothing_is_told_so() {
    let world = World::new(1);
    let waits = AssertUnwindSafe(world.play(async |_: &mut Stage| std::future::pending::<()>().await));
    let told = block_on(waits.catch_unwind()).expect_err("it waits for ever");
    assert_eq!(told.downcast_ref::<&str>(), Some(&"nothing is due any more, and the scene still waits"));
    block_on(world.pass(SECOND));
}

#[test]
fn a_panic_of_a_closure_comes_out_where_it_was_asked() {
    let world = World::new(1);
    let asked = world.with(|_: &mut Stage| panic!("a planted panic"));
    let told = block_on(AssertUnwindSafe(asked).catch_unwind()).expect_err("it panicked");
    assert_eq!(told.downcast_ref::<&str>(), Some(&"a planted panic"));
    block_on(world.pass(SECOND));
}

#[test]
fn a_world_that_stands_still_goes_no_further() {
    let world = World::new(1);
    block_on(world.with(|stage: &mut Stage| stage.stop_at(Instant::from_millis(300))));
    block_on(world.pass(SECOND));
    let (now, stopped) = block_on(world.with(|stage: &mut Stage| (stage.now(), stage.has_stopped())));
    assert_eq!((now, stopped), (Instant::from_millis(300), true));
}

#[test]
fn worlds_do_not_know_of_each_other() {
    let tell = |world: &World| block_on(world.with(|stage: &mut Stage| stage.trace().text()));
    let ring = |world: &World| {
        block_on(world.play(async |stage: &mut Stage| {
            stage.phone("alice").await.register();
            stage.pass(SECOND).await;
        }));
    };
    let alone = World::new(3);
    ring(&alone);
    let many: Vec<World> = (0..20).map(|_| World::new(3)).collect();
    many.iter().for_each(ring);
    assert!(many.iter().all(|world| tell(world) == tell(&alone)));
}
