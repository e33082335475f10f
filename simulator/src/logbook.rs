//! What the programs of a world log, with the virtual time.
//!
//! A logbook belongs to the thread of its world, so hundreds of worlds do not read each other's.

use crate::network::Network;
use pbx::time::Instant;
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// So many lines are kept, the last ones.
const LINES: usize = 4_000;

/// So many errors are kept, the first ones; one is one too many.
const ERRORS: usize = 100;

/// The log of a world; clones are the same.
#[derive(Clone, Default)]
pub struct Logbook {
    written: Arc<Mutex<Written>>,
}

#[derive(Default)]
struct Written {
    lines: VecDeque<Line>,
    errors: Vec<(Instant, String)>,
}

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// How grave it is.
    pub level: Level,
    /// What it says, with its fields.
    pub text: String,
}

impl Logbook {
    /// From now on everything that is logged on this thread stands in it, until the guard is dropped.
    pub(crate) fn open(&self, network: Network) -> DefaultGuard {
        tracing::subscriber::set_default(Scribe { book: self.clone(), network })
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lock().lines.iter().cloned().collect()
    }

    /// What programs called an error, and when.
    pub fn errors(&self) -> Vec<(Instant, String)> {
        self.lock().errors.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_nanos() as f64 / 1e9;
        write!(f, "{seconds:>9.3}s {:>5} {}", self.level, self.text)
    }
}

/// Who writes it.
struct Scribe {
    book: Logbook,
    network: Network,
}

impl Subscriber for Scribe {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        let text = format!("{}{}", words.message, words.fields);
        let line = Line { at: self.network.elapsed(), level: *event.metadata().level(), text };
        let mut written = self.book.lock();
        if line.level == Level::ERROR && written.errors.len() < ERRORS {
            written.errors.push((line.at, line.text.clone()));
        }
        if written.lines.len() == LINES {
            written.lines.pop_front();
        }
        written.lines.push_back(line);
    }

    // Nobody asks which span a line stands in.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use crate::stage::Stage;
    use crate::world::{self, World};
    use futures::executor::block_on;
    use pbx::time::{Duration, Instant};

    #[test]
    fn an_error_is_kept_with_its_time_and_anything_less_is_not() {
        let errors = world::play(1, async |stage| {
            stage.pass(Duration::from_secs(2)).await;
            tracing::warn!("it is late");
            tracing::error!(file = "calls.jsonl", "the disk is full");
            // It is told as a broken rule, which is not what this is about.
            assert!(stage.judge().iter().any(|broken| broken.rule.id == "A25"));
            stage.logbook().errors()
        });
        assert_eq!(errors, [(Instant::from_millis(2_000), "the disk is full file=calls.jsonl".to_owned())]);
    }

    #[test]
    fn nobody_writes_in_the_book_of_another_world() {
        let one = World::new(1);
        let other = World::new(2);
        block_on(other.with(|_| tracing::error!("elsewhere")));
        let errors = block_on(one.with(|stage: &mut Stage| stage.logbook().errors()));
        assert_eq!(errors, []);
    }
}
