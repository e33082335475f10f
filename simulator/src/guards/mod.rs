//! What no program in a world may touch: the clock of the machine, its dice, its sockets, its threads.
//!
//! A run that asks the machine for anything is another run tomorrow. Our own sources are kept from it by `clippy.toml` and
//! `tests/tidy.rs`; this room watches what dependencies do behind our back. Beneath it the functions of the C library by
//! which a program reaches the machine are ours (`os.rs`; Linux with glibc alone; elsewhere nothing is watched). On a thread
//! without a world they are as they always were. On the thread of a world
//!
//! | a program that | has |
//! |---|---|
//! | reads a monotonic clock, or sleeps | the world stopped, with the reason |
//! | opens a socket, starts a thread | a refusal (EPERM), and the world stopped |
//! | wants random bytes | bytes that follow from the seed, and the world stopped |
//! | asks for the date | the world's date: hyper asks with every answer, whether it sends a Date header or not |
//! | makes a `HashMap` | keys that follow from the seed; they are drawn once a thread, as the world begins |
//!
//! The runtime itself looks at the clock between two tasks, for figures that nobody reads; there the clock stands still.
//!
//! Nothing unwinds through the C library. What happened is written down, and the world stops with it as soon as the step
//! that did it is over: a panic in the scene, whoever did it.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod os;

use crate::dice::Dice;
use pbx::shell::timer::Deadline;
use pbx::time::WallClock;
use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio::runtime::Builder;

thread_local! {
    static WATCH: Cell<Watch> = const { Cell::new(Watch::NoWorld) };
    static OFFENCE: RefCell<Option<Offence>> = const { RefCell::new(None) };
    /// Who plays the scene and is to hear of an offence.
    static SCENE: RefCell<Option<Waker>> = const { RefCell::new(None) };
    static DICE: Cell<Dice> = const { Cell::new(Dice::new(0)) };
    /// What a task of the world has panicked with, until the scene has heard of it.
    static FALLEN: RefCell<Option<Box<dyn Any + Send>>> = const { RefCell::new(None) };
    /// How often random bytes were taken.
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    /// Whether the scene was woken and has not been polled since.
    static IS_SCENE_AWAKE: Cell<bool> = const { Cell::new(false) };
    static BEGAN: Cell<Option<(Deadline, WallClock)>> = const { Cell::new(None) };
}

/// What runs on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// No world.
    NoWorld,
    /// What a world is made of: the runtime, this crate.
    Machinery,
    /// A program of a world.
    Program,
}

/// What a program reached for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Clock,
    Sleep,
    Randomness,
    Socket,
    Thread,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reach::Clock => {
                "read the clock of the machine; the time of a world is Host::now, its timers are pbx::shell::timer"
            }
            Reach::Sleep => "slept on the clock of the machine; the timers of a world are pbx::shell::timer",
            Reach::Randomness => {
                "took randomness of the machine; everything in a world follows from its seed: Host::seed"
            }
            Reach::Socket => {
                "opened a socket of the machine; those of a world are Host::udp, listen, connect"
            }
            Reach::Thread => "started a thread; a world has one, and its tasks are spawned by Host::spawn",
        })
    }
}

struct Offence {
    reach: Reach,
    trace: Backtrace,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a program in a simulated world {}", self.reach)?;
        match culprit(&self.trace.to_string()) {
            Some(culprit) => write!(f, " ({culprit})"),
            None => Ok(()),
        }
    }
}

/// This thread belongs to a world for as long as there is one of these.
pub(crate) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        WATCH.set(Watch::NoWorld);
        SCENE.set(None);
        FALLEN.set(None);
        BEGAN.set(None);
    }
}

/// This thread belongs to a world of its own network from now on. On other grounds a world needs the machine, and nobody
/// enters.
pub(crate) fn enter(seed: u64) -> Entered {
    OFFENCE.set(None);
    DICE.set(Dice::new(seed).named("machine"));
    TAKEN.set(0);
    WATCH.set(Watch::Machinery);
    seed_hashing();
    Entered(())
}

/// It is `clock` in the world now.
pub(crate) fn begin(clock: WallClock) {
    BEGAN.set(Some((Deadline::now(), clock)));
}

/// The tasks of this runtime are programs of a world.
pub(crate) fn watch_tasks(runtime: &mut Builder) -> &mut Builder {
    runtime.on_before_task_poll(|_| WATCH.set(Watch::Program)).on_after_task_poll(|_| {
        WATCH.set(Watch::Machinery);
        tell_offence();
    })
}

/// The scene is to hear of an offence.
fn tell_offence() {
    OFFENCE.with_borrow(|offence| {
        if offence.is_some() {
            wake_scene();
        }
    });
}

fn wake_scene() {
    SCENE.with_borrow(|scene| scene.iter().for_each(Waker::wake_by_ref));
}

/// Wakes a scene, and tells that it was woken.
struct Bell {
    scene: Waker,
    /// The scene has ended: nobody wakes.
    is_over: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Bell>) {
        if !self.is_over.load(Ordering::Relaxed) {
            IS_SCENE_AWAKE.set(true);
            self.scene.wake_by_ref();
        }
    }
}

/// Whether the scene has something to do.
pub(crate) fn is_scene_awake() -> bool {
    IS_SCENE_AWAKE.get()
}

/// Programs of a world are called, and are none of its tasks. When one panics, the world stops with it.
pub(crate) fn take_turn(turn: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| as_program(turn))) {
        stop_with(panic);
    }
    tell_offence();
}

/// Plays a scene as a program of the world; panics when anybody in the world has reached for the machine.
pub(crate) async fn watch<T>(scene: impl Future<Output = T>) -> T {
    Watched { scene: pin!(scene), bell: None }.await
}

/// The same for what takes no time.
pub(crate) fn watch_step<T>(step: impl FnOnce() -> T) -> T {
    let result = as_program(step);
    stop_at_offence();
    result
}

/// What the world is stopped with, when somebody has reached for the machine.
pub(crate) fn offence() -> Option<String> {
    OFFENCE.take().map(|offence| offence.to_string())
}

/// Does something that is not part of the world, though a program of the world asks for it: nobody is stopped. It must
/// have no influence on the run; `why` is for who reads it.
pub fn tolerate<T>(why: &str, act: impl FnOnce() -> T) -> T {
    debug_assert!(!why.is_empty());
    let _back = Back(WATCH.replace(Watch::NoWorld));
    act()
}

/// Polls a task of a world. When it panics it is over, and the world stops with it: the scene panics with the same.
pub(crate) fn poll_task<F: Future<Output = ()> + ?Sized>(
    task: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<()> {
    catch_unwind(AssertUnwindSafe(|| task.poll(context))).unwrap_or_else(|panic| {
        stop_with(panic);
        Poll::Ready(())
    })
}

/// The world stops: the scene panics with these words.
pub(crate) fn stop(why: &'static str) {
    stop_with(Box::new(why));
}

fn stop_with(panic: Box<dyn Any + Send>) {
    FALLEN.with_borrow_mut(|fallen| {
        fallen.get_or_insert(panic);
    });
    wake_scene();
}

struct Watched<'a, F> {
    scene: Pin<&'a mut F>,
    bell: Option<Arc<Bell>>,
}

impl<F> Watched<'_, F> {
    fn waker(&mut self, scene: &Waker) -> Waker {
        self.bell.take_if(|bell| !bell.scene.will_wake(scene));
        let is_over = AtomicBool::new(false);
        let bell = self.bell.get_or_insert_with(|| Arc::new(Bell { scene: scene.clone(), is_over }));
        bell.clone().into()
    }
}

impl<F> Drop for Watched<'_, F> {
    fn drop(&mut self) {
        self.bell.iter().for_each(|bell| bell.is_over.store(true, Ordering::Relaxed));
    }
}

impl<F: Future> Future for Watched<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let waker = self.waker(context.waker());
        SCENE.set(Some(waker.clone()));
        IS_SCENE_AWAKE.set(false);
        stop_at_offence();
        stop_at_fall();
        let polled = as_program(|| self.scene.as_mut().poll(&mut Context::from_waker(&waker)));
        stop_at_offence();
        polled
    }
}

/// Where no world is entered nothing is watched.
fn as_program<T>(act: impl FnOnce() -> T) -> T {
    let watch = if WATCH.get() == Watch::NoWorld { Watch::NoWorld } else { Watch::Program };
    let _back = Back(WATCH.replace(watch));
    act()
}

/// Sets things as they were, after a panic too.
struct Back(Watch);

impl Drop for Back {
    fn drop(&mut self) {
        WATCH.set(self.0);
    }
}

fn stop_at_offence() {
    if let Some(offence) = offence() {
        panic!("{offence}");
    }
}

fn stop_at_fall() {
    if let Some(panic) = FALLEN.take() {
        resume_unwind(panic);
    }
}

/// `HashMap`s draw the keys of their hashes once a thread; on one that plays several worlds they are those of the first.
#[expect(clippy::disallowed_types, reason = "here its keys are made to follow from the seed")]
fn seed_hashing() {
    let _ = std::hash::RandomState::new();
}

/// A program has reached for the machine. Only the first time is of interest.
fn offend(reach: Reach) {
    let _back = Back(WATCH.replace(Watch::NoWorld));
    OFFENCE.with_borrow_mut(|offence| {
        offence.get_or_insert_with(|| Offence { reach, trace: Backtrace::force_capture() });
    });
}

/// The first function outside of the standard library and this room, with its place.
fn culprit(trace: &str) -> Option<String> {
    let mut lines = trace.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let Some((number, function)) = line.split_once(": ") else { continue };
        let place = lines.next_if(|line| line.starts_with("at ")).and_then(|line| line.strip_prefix("at "));
        let is_frame = number.bytes().all(|byte| byte.is_ascii_digit());
        let is_ours = place.is_some_and(|place| place.contains("simulator/src/guards/"));
        // The sources of the standard library, and what stands in its name without a source.
        let is_std = place.is_none_or(|place| place.contains("/rustc/") || place.contains("/library/std/"));
        if is_frame && !is_ours && !is_std {
            return Some(place.map_or(function.to_owned(), |place| format!("{function} at {place}")));
        }
    }
    None
}
