//! Timers of the shell. They are tokio's, except on a thread where virtual time has begun: there the time stands still until
//! [`advance`] moves it on, exactly to where it is told.
//!
//! tokio can pause its clock as well. It then counts in milliseconds, and to move on it parks the whole runtime: in a world with a
//! call that took a third of the time.

use crate::time::{Duration, Instant};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, IntoFuture, pending, poll_fn};
use std::ops::Add;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

thread_local! {
    /// What time it is; `None` where time is not virtual.
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Some moment that stands for the beginning of virtual time, for those who can count in no other.
    static EPOCH: Cell<Option<std::time::Instant>> = const { Cell::new(None) };
    static WAITING: RefCell<Waiting> = const { RefCell::new(Waiting { sequence: 0, wakers: BTreeMap::new() }) };
}

/// Who waits for what moment; of those who wait for the same, who came first comes first.
struct Waiting {
    sequence: u64,
    wakers: BTreeMap<(Instant, u64), Waker>,
}

/// The time of this thread is virtual for as long as there is one of these.
pub struct Virtual(());

/// From now on the time of this thread is virtual, and begins at [`Instant::START`].
pub fn begin() -> Virtual {
    EPOCH.set(Some(tokio::time::Instant::now().into_std()));
    NOW.set(Some(Instant::START));
    Virtual(())
}

impl Drop for Virtual {
    fn drop(&mut self) {
        NOW.set(None);
        EPOCH.set(None);
        WAITING.with_borrow_mut(|waiting| std::mem::take(&mut waiting.wakers));
    }
}

/// The next deadline somebody waits for in virtual time; it may have passed.
pub fn next_due() -> Option<Instant> {
    WAITING.with_borrow(|waiting| waiting.wakers.first_key_value().map(|((due, _), _)| *due))
}

/// It is `to` from now on, unless it is later already; all who wait for no longer are woken.
pub fn advance(to: Instant) {
    NOW.set(NOW.get().map(|now| now.max(to)));
    // Who is woken may set timers, and end others.
    while let Some(waker) = WAITING.with_borrow_mut(|waiting| {
        let entry = waiting.wakers.first_entry().filter(|entry| entry.key().0 <= to)?;
        Some(entry.remove())
    }) {
        waker.wake();
    }
}

/// A moment to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Moment);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Real(tokio::time::Instant),
    Virtual(Instant),
}

impl Deadline {
    /// This moment.
    pub fn now() -> Deadline {
        Deadline(match NOW.get() {
            Some(now) => Moment::Virtual(now),
            None => Moment::Real(tokio::time::Instant::now()),
        })
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Deadline) -> Duration {
        match (self.0, earlier.0) {
            (Moment::Real(now), Moment::Real(earlier)) => now.saturating_duration_since(earlier),
            (Moment::Virtual(now), Moment::Virtual(earlier)) => now.since(earlier),
            (Moment::Real(_), Moment::Virtual(_)) | (Moment::Virtual(_), Moment::Real(_)) => Duration::ZERO,
        }
    }
}

impl Add<Duration> for Deadline {
    type Output = Deadline;
    fn add(self, duration: Duration) -> Deadline {
        Deadline(match self.0 {
            Moment::Real(at) => Moment::Real(at + duration),
            Moment::Virtual(at) => Moment::Virtual(at + duration),
        })
    }
}

/// So much time passes.
pub async fn sleep(time: Duration) {
    sleep_until(Some(Deadline::now() + time)).await;
}

/// Until then; for ever where there is no deadline.
pub async fn sleep_until(deadline: Option<Deadline>) {
    match deadline.map(|deadline| deadline.0) {
        Some(Moment::Real(at)) => tokio::time::sleep_until(at).await,
        Some(Moment::Virtual(due)) => Nap { due, number: None }.await,
        None => pending().await,
    }
}

/// What a future comes to, if it does so within this time.
pub async fn timeout<F: IntoFuture>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    timeout_at(Deadline::now() + limit, future).await
}

/// What a future comes to, if it does so until then.
pub async fn timeout_at<F: IntoFuture>(deadline: Deadline, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future.into_future());
    let mut sleep = pin!(sleep_until(Some(deadline)));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => sleep.as_mut().poll(context).map(|()| Err(Elapsed)),
    })
    .await
}

/// It has taken too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it has taken too long")
    }
}

impl std::error::Error for Elapsed {}

/// A timer that can be set anew.
pub struct Timer(Kind);

enum Kind {
    Real(Pin<Box<tokio::time::Sleep>>),
    Virtual(Nap),
}

impl Timer {
    /// It goes off after so much time.
    pub fn new(time: Duration) -> Timer {
        let deadline = Deadline::now() + time;
        Timer(match deadline.0 {
            Moment::Real(at) => Kind::Real(Box::pin(tokio::time::sleep_until(at))),
            Moment::Virtual(due) => Kind::Virtual(Nap { due, number: None }),
        })
    }

    /// It goes off after so much time from now, and not when it was to before.
    pub fn reset(&mut self, time: Duration) {
        match (&mut self.0, (Deadline::now() + time).0) {
            (Kind::Real(sleep), Moment::Real(at)) => sleep.as_mut().reset(at),
            (Kind::Virtual(nap), Moment::Virtual(due)) => {
                nap.forget();
                nap.due = due;
            }
            (Kind::Real(_), Moment::Virtual(_)) | (Kind::Virtual(_), Moment::Real(_)) => {
                *self = Timer::new(time)
            }
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Kind::Real(sleep) => sleep.as_mut().poll(context),
            Kind::Virtual(nap) => Pin::new(nap).poll(context),
        }
    }
}

/// The same for hyper, which counts in the moments of the standard library.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl hyper::rt::Timer for HyperTimer {
    fn sleep(&self, time: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Timer::new(time))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        hyper::rt::Timer::sleep(self, deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> std::time::Instant {
        match (EPOCH.get(), NOW.get()) {
            (Some(epoch), Some(now)) => epoch + now.since(Instant::START),
            _ => tokio::time::Instant::now().into_std(),
        }
    }
}

impl hyper::rt::Sleep for Timer {}

/// A wait in virtual time.
struct Nap {
    due: Instant,
    /// Under which number it waits, if it does.
    number: Option<u64>,
}

impl Nap {
    fn forget(&mut self) {
        if let Some(number) = self.number.take() {
            let waker = WAITING.with_borrow_mut(|waiting| waiting.wakers.remove(&(self.due, number)));
            // With it a task may end, and with that other timers.
            drop(waker);
        }
    }
}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if NOW.get().is_none_or(|now| now >= self.due) {
            self.forget();
            return Poll::Ready(());
        }
        let (due, known) = (self.due, self.number);
        let before = WAITING.with_borrow_mut(|waiting| {
            let number = known.unwrap_or(waiting.sequence);
            waiting.sequence = waiting.sequence.max(number + 1);
            self.number = Some(number);
            match waiting.wakers.get_mut(&(due, number)) {
                Some(waker) if waker.will_wake(context.waker()) => None,
                Some(waker) => Some(std::mem::replace(waker, context.waker().clone())),
                None => waiting.wakers.insert((due, number), context.waker().clone()),
            }
        });
        drop(before);
        Poll::Pending
    }
}

impl Drop for Nap {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    const MS: Duration = Duration::from_millis(1);

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls it now and whenever time has moved on; returns what it comes to.
    fn run<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        let waker = Arc::new(Count::default()).into();
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
            advance(next_due().expect("somebody waits for something"));
        }
    }

    fn elapsed(since: Deadline) -> Duration {
        Deadline::now().since(since)
    }

    #[test]
    fn time_moves_on_to_the_next_deadline_and_no_further() {
        let _virtual = begin();
        let began = Deadline::now();
        run(sleep(Duration::from_nanos(1_500)));
        assert_eq!(elapsed(began), Duration::from_nanos(1_500));
        assert_eq!(run(timeout(MS, sleep(MS * 2))), Err(Elapsed));
        assert_eq!(run(timeout(MS * 2, sleep(MS))), Ok(()));
        assert_eq!(elapsed(began), MS * 2 + Duration::from_nanos(1_500));
        // What nobody waits for any more moves nothing.
        assert_eq!(next_due(), None);
    }

    #[test]
    fn who_waits_for_the_same_moment_is_woken_in_the_order_of_coming() {
        let _virtual = begin();
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let wakers = [&first, &second].map(|count| Waker::from(count.clone()));
        let mut timers = [Timer::new(MS * 5), Timer::new(MS * 5)];
        for (timer, waker) in timers.iter_mut().zip(&wakers) {
            assert!(Pin::new(timer).poll(&mut Context::from_waker(waker)).is_pending());
        }
        timers[0].reset(MS * 9);
        assert!(Pin::new(&mut timers[0]).poll(&mut Context::from_waker(&wakers[0])).is_pending());
        let woken = || [&first, &second].map(|count| count.0.load(Ordering::Relaxed));
        advance(Instant::from_millis(5));
        assert_eq!(woken(), [0, 1]);
        assert_eq!(next_due(), Some(Instant::from_millis(9)));
        advance(Instant::from_millis(9));
        assert_eq!(woken(), [1, 1]);
        assert_eq!(next_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn where_time_is_not_virtual_it_is_tokio_s() {
        let began = Deadline::now();
        let mut timer = Timer::new(MS * 10);
        timer.reset(MS * 30);
        assert_eq!(timeout(MS * 20, &mut timer).await, Err(Elapsed));
        timer.await;
        assert_eq!(elapsed(began), MS * 30);
        assert_eq!(timeout_at(Deadline::now() + MS, sleep(MS * 2)).await, Err(Elapsed));
    }
}
