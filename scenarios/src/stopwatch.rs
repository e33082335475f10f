//! How long a run takes for whoever waits. No world sees it, and nothing in one depends on it.
#![expect(clippy::disallowed_methods, reason = "this is where the time is taken that people wait")]

use std::time::{Duration, Instant};

/// A watch that runs.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// One that begins now.
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// How long it has run.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
