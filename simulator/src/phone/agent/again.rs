//! When something that may get lost is sent once more.

use pbx::time::{Duration, Instant};

/// RFC 3261 appendix A: the longest interval between two copies, where there is one.
pub(super) const T2: Duration = Duration::from_secs(4);

/// How long a message may stay in the network.
pub(super) const T4: Duration = Duration::from_secs(5);

/// The next copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again {
    pub(super) at: Instant,
    interval: Duration,
    longest: Duration,
}

impl Again {
    /// The first copy goes after T1, each later one after twice the time, without an end to it (timer A).
    pub(super) fn doubling(t1: Duration, now: Instant) -> Again {
        Again { at: now + t1, interval: t1, longest: Duration::MAX }
    }

    /// The same, but never later than T2 (timers E and G, and 2xx to INVITE).
    pub(super) fn capped(t1: Duration, now: Instant) -> Again {
        Again { longest: T2, ..Again::doubling(t1, now) }
    }

    /// Whether a copy is to be sent now; then the next one is planned.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        if self.at > now {
            return false;
        }
        self.interval = (self.interval * 2).min(self.longest);
        self.at += self.interval;
        true
    }

    /// From now on every T2: a server has said that it works on it (RFC 3261 section 17.1.2.2).
    pub(super) fn slow_down(&mut self) {
        self.interval = T2;
    }
}
