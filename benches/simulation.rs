//! What a simulated world costs the processor (SIM-03): a call with everything, a hundred of them, an hour in which nothing
//! happens, all features; and the network alone beside turmoil's.
//!
//! CPU time of the process, not the clock on the wall: a world is a thread of its own, and a machine has neighbours. The
//! throughput is virtual seconds a CPU-second; that of the features, scenarios.

#[path = "simulation/processor.rs"]
mod processor;
#[path = "simulation/relay.rs"]
mod relay;

use criterion::measurement::Measurement as _;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use pbx::time::Duration;
use processor::CpuTime;
use scenarios::play::Settings;
use scenarios::suite;
use simulator::phone::{Answering, Phone};
use simulator::stage::Stage;
use simulator::swarm::{Case, Deed, Wishes, draw, play};
use simulator::world;
use std::path::Path;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Worlds with the PBX in them, and every rule at the end.
fn worlds(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("world");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for calls in [1, 100] {
        group.throughput(Throughput::Elements(MINUTE.as_secs()));
        group.bench_function(format!("{calls} calls of a minute"), |b| b.iter(|| talk(calls, MINUTE)));
    }
    group.throughput(Throughput::Elements(HOUR.as_secs()));
    group.bench_function("an idle hour, 5 hosts", |b| b.iter(idle));
    group.finish();
}

/// So many calls at once, each between two telephones that hear each other.
fn talk(calls: usize, time: Duration) {
    world::play(7, async move |stage| {
        talk_on(stage, calls, time).await;
        come_to_its_end(stage).await;
    });
}

async fn talk_on(stage: &mut Stage, calls: usize, time: Duration) {
    let mut pairs = Vec::new();
    for call in 0..calls {
        let (caller, callee) = (format!("1{call:03}"), format!("2{call:03}"));
        pairs.push((registered(stage, &caller).await, registered(stage, &callee).await, callee));
    }
    stage.pass(SECOND).await;
    for (caller, callee, number) in &pairs {
        callee.habits(|habits| habits.answering = Answering::After(Duration::from_millis(100)));
        caller.call(number);
    }
    stage.pass(time).await;
    for (caller, callee, _) in &pairs {
        assert!(caller.is_talking() && callee.is_talking());
        assert!(caller.packets_heard() + 50 > 50 * time.as_secs());
    }
}

/// The PBX and four registered telephones, and nobody calls.
fn idle() {
    world::play(7, async |stage| {
        for number in ["1000", "1001", "1002", "1003"] {
            registered(stage, number).await;
        }
        stage.pass(HOUR).await;
        come_to_its_end(stage).await;
    });
}

async fn registered(stage: &mut Stage, number: &str) -> Phone {
    let phone = stage.phone(number).await;
    phone.register();
    phone
}

/// Every rule was kept, or there is nothing to measure.
async fn come_to_its_end(stage: &mut Stage) {
    assert_eq!(stage.come_to_rest().await, [""; 0]);
    let broken: Vec<String> = stage.judge().iter().map(ToString::to_string).collect();
    assert_eq!(broken, [""; 0]);
}

/// Every rule over what a hundred calls of a minute left: 1.2 million packets.
fn judging(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("judging");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function("100 calls of a minute", |b| {
        b.iter_custom(|times| {
            world::play(7, async move |stage| {
                talk_on(stage, 100, MINUTE).await;
                assert_eq!(stage.come_to_rest().await, [""; 0]);
                let before = CpuTime.start();
                for _ in 0..times {
                    assert!(stage.judge().is_empty());
                }
                CpuTime.end(before)
            })
        });
    });
    group.finish();
}

fn features(c: &mut Criterion<CpuTime>) {
    let cases = suite::cases(Path::new("features")).expect("the features can be read");
    let cases: Vec<_> = cases.into_iter().filter(|case| !case.has_tag("slow")).collect();
    let mut group = c.benchmark_group("features");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(cases.len() as u64));
    let settings = Settings { seed: 1, until: None };
    group.bench_function("all", |b| {
        b.iter(|| suite::play_all(&cases, suite::cores(), settings, |_, _| ()).len());
    });
    group.finish();
}

/// Cases of the swarm, on this thread alone: those that nobody chose, a part of which has sound; and those among them in which
/// nobody sends any. A case has two to four telephones and faults.
fn swarm(c: &mut Criterion<CpuTime>) {
    const CASES: usize = 500;
    let drawn = || (1..).map(|seed| draw(seed, &Wishes::default()));
    let mut group = c.benchmark_group("swarm");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(CASES as u64));
    for (name, cases) in [
        ("cases", drawn().take(CASES).collect::<Vec<_>>()),
        ("cases, signalling only", drawn().filter(is_silent).take(CASES).collect()),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                for case in &cases {
                    let run = play(case).expect("nobody has whims");
                    assert!(run.broken.is_empty(), "{:?}", run.broken);
                }
            });
        });
    }
    group.finish();
}

/// Whether no telephone has anything to say, and nobody is called who has.
fn is_silent(case: &Case) -> bool {
    let is_heard = |deed: &Deed| match deed {
        Deed::Call(number) | Deed::Transfer(number) => {
            !case.people.iter().any(|person| person.extension == *number)
        }
        Deed::Press(_) => true,
        _ => false,
    };
    !case.people.iter().any(|person| person.talks)
        && !case.actions.iter().any(|action| is_heard(&action.does))
}

/// A relay and two who send, without PBX and rules, on our network and on turmoil's.
fn networks(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("relay");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for calls in [1, 100] {
        group.throughput(Throughput::Elements(MINUTE.as_secs()));
        group.bench_function(format!("{calls} calls, our network"), |b| {
            b.iter(|| relay::on_our_network(calls, MINUTE));
        });
        group.bench_function(format!("{calls} calls, turmoil"), |b| {
            b.iter(|| relay::on_turmoil(calls, MINUTE));
        });
    }
    group.throughput(Throughput::Elements(HOUR.as_secs()));
    group.bench_function("an idle hour, 5 hosts, our network", |b| {
        b.iter(|| relay::idle_on_our_network(HOUR))
    });
    group.bench_function("an idle hour, 5 hosts, turmoil", |b| b.iter(|| relay::idle_on_turmoil(HOUR)));
    group.finish();
}

criterion_group! {
    name = simulation;
    config = Criterion::default().with_measurement(CpuTime);
    targets = worlds, judging, swarm, features, networks
}
criterion_main!(simulation);
