//! A program in a simulated world that reaches for the machine stops the world, and is told why (SIM-21); elsewhere nothing has
//! changed, least of all in the PBX as it is shipped.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is what the guards are shown")]

use pbx::shell::host::Host;
use pbx::time::Duration;
use simulator::guards;
use simulator::stage::Stage;
use simulator::world;
use std::collections::HashMap;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_clock_stops_the_world() {
    let told = told(|| _ = Instant::now());
    assert!(told.contains("read the clock of the machine"), "{told}");
}

#[test]
fn a_sleep_stops_the_world_and_takes_no_time() {
    let begins = Instant::now();
    let told = told(|| std::thread::sleep(Duration::from_secs(100)));
    assert!(told.contains("slept on the clock of the machine"), "{told}");
    assert!(begins.elapsed() < Duration::from_secs(50));
}

#[test]
fn randomness_stops_the_world() {
    let told = told(|| _ = random_bytes());
    assert!(told.contains("took randomness of the machine"), "{told}");
}

#[test]
fn a_socket_is_refused_and_stops_the_world() {
    let told = told(|| assert!(UdpSocket::bind("127.0.0.1:0").is_err()));
    assert!(told.contains("opened a socket of the machine"), "{told}");
}

#[test]
fn a_thread_is_refused_and_stops_the_world() {
    let told = told(|| assert!(std::thread::Builder::new().spawn(|| ()).is_err()));
    assert!(told.contains("started a thread"), "{told}");
}

#[test]
fn blocking_work_is_a_thread() {
    let told = told(|| drop(tokio::task::spawn_blocking(|| ())));
    assert!(told.contains("started a thread"), "{told}");
}

#[test]
fn who_did_it_is_told_with_the_place() {
    let told = told(|| _ = Instant::now());
    assert!(told.contains("tests/guards.rs:"), "{told}");
}

#[test]
fn a_task_stops_the_world_too_before_any_time_passes() {
    let failure = catch_unwind(|| {
        world::play(1, async |stage| {
            stage.host("fool").spawn(async {
                pbx::shell::timer::sleep(SECOND).await;
                _ = Instant::now();
            });
            stage.pass(SECOND).await;
            stage.pass(Duration::from_nanos(1)).await;
            unreachable!("the world goes on");
        });
    });
    let told = words(failure);
    assert!(told.contains("read the clock of the machine"), "{told}");
}

#[test]
fn a_task_that_panics_ends_its_world_and_no_other() {
    let failure = catch_unwind(|| {
        world::play(1, async |stage| {
            let (alice, bob) = (stage.phone("1001").await, stage.phone("1002").await);
            [&alice, &bob].into_iter().for_each(simulator::phone::Phone::register);
            // Whoever waits for another task is woken when it ends.
            let (tell, told) = tokio::sync::oneshot::channel::<()>();
            let host = stage.host("fool");
            host.spawn(async {
                let _ = told.await;
            });
            host.spawn(async {
                pbx::shell::timer::sleep(SECOND).await;
                let _end = tell;
                panic!("nobody expects this");
            });
            stage.pass(SECOND * 2).await;
            unreachable!("the world goes on");
        });
    });
    assert_eq!(words(failure), "nobody expects this");
}

#[test]
fn the_timers_of_tokio_stop_the_world() {
    let failure = catch_unwind(|| world::play(1, async |_| tokio::time::sleep(SECOND).await));
    let told = words(failure);
    assert!(told.contains("its timers are pbx::shell::timer"), "{told}");
}

#[test]
fn a_step_that_takes_no_time_is_watched() {
    let world = world::World::new(1);
    let step = world.with(|_: &mut Stage| _ = Instant::now());
    let told = words(catch_unwind(AssertUnwindSafe(|| futures::executor::block_on(step))));
    assert!(told.contains("read the clock of the machine"), "{told}");
    futures::executor::block_on(world.pass(SECOND));
}

#[test]
fn the_date_is_the_world_s() {
    let date = || {
        world::play(1, async |stage| {
            stage.pass(Duration::from_millis(1_500)).await;
            SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
        })
    };
    assert_eq!(date(), Duration::from_millis(1_767_225_601_500));
}

#[test]
fn hashes_follow_from_the_seed() {
    let order = |seed| {
        world::play(seed, async |_| {
            let map: HashMap<u32, ()> = (0..100).map(|number| (number, ())).collect();
            map.into_keys().collect::<Vec<_>>()
        })
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn what_is_not_part_of_the_world_can_be_let_pass() {
    world::play(1, async |_| {
        let real = guards::tolerate("a test", Instant::now);
        assert!(guards::tolerate("a test", || real.elapsed()) < Duration::from_secs(100));
        assert!(guards::tolerate("a test", || UdpSocket::bind("127.0.0.1:0")).is_ok());
    });
}

#[test]
fn outside_of_a_world_nothing_is_touched() {
    let (before, random) = (Instant::now(), random_bytes());
    std::thread::sleep(Duration::from_millis(2));
    assert!(before.elapsed() >= Duration::from_millis(2));
    assert_ne!(random, random_bytes());
    assert!(UdpSocket::bind("127.0.0.1:0").is_ok());
    assert_eq!(std::thread::spawn(|| 7).join().expect("it ends"), 7);
    let date = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    assert!(date > Duration::from_secs(1_767_225_600 + 24 * 3_600), "the world's date: {date:?}");
}

#[test]
fn the_program_has_no_guards() {
    let here = std::env::current_exe().expect("a test is a program");
    assert!(has_guards(&here), "the guards cannot be recognised in a program");
    // Where cargo puts programs: above the folder of the tests.
    let built = here.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("pbx");
    assert!(!built.exists() || !has_guards(&built), "{} has guards", built.display());
}

fn has_guards(program: &Path) -> bool {
    let bytes = std::fs::read(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    memchr::memmem::find(&bytes, b"a program in a simulated world ").is_some()
}

/// What somebody is told who does this in a world.
fn told(act: impl FnOnce() + Send + 'static) -> String {
    words(catch_unwind(AssertUnwindSafe(|| world::play(1, async |_| act()))))
}

fn words<T>(outcome: std::thread::Result<T>) -> String {
    let Err(panic) = outcome else { panic!("nobody was stopped") };
    let literal = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
    literal.unwrap_or_else(|| *panic.downcast::<String>().expect("a reason in words"))
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the machine has some");
    bytes
}
