//! The virtual clock, read once an instant: tokio keeps it behind a lock and asks which runtime it is, several times a packet.
//!
//! In a world the time moves only while its runtime is parked, which tells us. Elsewhere nobody tells us, and tokio is asked
//! each time.

use std::cell::Cell;
use tokio::runtime::Builder;
use tokio::time::Instant;

#[derive(Clone, Copy)]
enum Known {
    /// This thread has no runtime that tells when it was parked.
    Never,
    /// The time may have moved since it was looked at.
    Stale,
    /// It has not.
    Fresh(Instant),
}

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known::Never) };
}

/// The clock of this thread is remembered for as long as there is one of these.
pub(crate) struct Remembered(());

impl Drop for Remembered {
    fn drop(&mut self) {
        KNOWN.set(Known::Never);
    }
}

/// From now on the clock is remembered on this thread, on which the runtime will be that is built here.
pub(crate) fn remember(runtime: &mut Builder) -> Remembered {
    runtime.on_thread_unpark(|| KNOWN.set(Known::Stale));
    KNOWN.set(Known::Stale);
    Remembered(())
}

/// What `tokio::time::Instant::now` says.
pub(super) fn now() -> Instant {
    match KNOWN.get() {
        Known::Fresh(now) => now,
        Known::Stale => {
            let now = Instant::now();
            KNOWN.set(Known::Fresh(now));
            now
        }
        Known::Never => Instant::now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_remembered_is_what_tokio_says() {
        let mut builder = Builder::new_current_thread();
        let remembered = remember(builder.enable_time().start_paused(true));
        let runtime = builder.build().expect("a runtime");
        runtime.block_on(async {
            for millis in [1, 20, 0, 3_600_000] {
                let before = now();
                assert_eq!(before, Instant::now());
                tokio::time::sleep(Duration::from_millis(millis)).await;
                assert_eq!(now(), Instant::now());
                tokio::task::yield_now().await;
                assert_eq!(now(), before + Duration::from_millis(millis));
            }
        });
        drop(remembered);
        assert!(matches!(KNOWN.get(), Known::Never));
    }
}
