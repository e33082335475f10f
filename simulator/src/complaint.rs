//! What programs of a world call an error in their log. Listens on the world's thread alone and changes nothing there.

use crate::network::Network;
use pbx::time::Instant;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest};
use tracing::{Event, Level, Metadata, Subscriber};

/// So many are kept; one is one too many.
const MOST: usize = 100;

/// All that was complained of; clones are the same list.
#[derive(Clone)]
pub(crate) struct Complaints {
    network: Network,
    heard: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Complaints {
    /// Nothing yet; times are those of the network.
    pub(crate) fn new(network: Network) -> Complaints {
        Complaints { network, heard: Arc::default() }
    }

    /// Listens to this thread for as long as the guard is kept.
    pub(crate) fn listen(&self) -> DefaultGuard {
        tracing::subscriber::set_default(self.clone())
    }

    /// What was heard so far.
    pub(crate) fn heard(&self) -> Vec<(Instant, String)> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, String)>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Complaints {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Not `never`: another thread may want to hear more of the same place.
        if self.enabled(metadata) { Interest::always() } else { Interest::sometimes() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        let now = self.network.elapsed();
        let mut heard = self.lock();
        if heard.len() < MOST {
            heard.push((now, words.0));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The message and its fields in one line.
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{space}{value:?}"),
            name => write!(self.0, "{space}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use crate::world;
    use pbx::time::{Duration, Instant};

    #[test]
    fn an_error_is_heard_with_its_time_and_anything_less_is_not() {
        let heard = world::play(1, async |stage| {
            stage.pass(Duration::from_secs(2)).await;
            tracing::warn!("it is late");
            tracing::error!(file = "calls.jsonl", "the disk is full");
            stage.complaints().heard()
        });
        assert_eq!(
            heard,
            [(Instant::from_millis(2_000), "the disk is full file=\"calls.jsonl\"".to_owned())]
        );
    }

    #[test]
    fn nobody_hears_another_world() {
        let heard = world::play(1, async |stage| {
            world::play(2, async |_| tracing::error!("elsewhere"));
            stage.complaints().heard()
        });
        assert_eq!(heard, []);
    }
}
