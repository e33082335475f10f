//! Remotes that did not take a large request over a stream, so that the next one goes over UDP at once.
//!
//! RFC 3261 section 18.1.1 wants a stream tried for each large request. Many telephones have none, and where a firewall
//! swallows the attempt every call would ring seconds late. So one attempt holds for a while.

use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How long an attempt holds.
const REMEMBERED: Duration = Duration::from_secs(600);

/// How many remotes are remembered; of more each request makes its own attempt.
const AT_MOST: usize = 4096;

/// Remotes to which streams failed.
#[derive(Debug, Default)]
pub(super) struct Streamless {
    until: BTreeMap<SocketAddr, Instant>,
}

impl Streamless {
    /// A stream to `remote` has failed.
    pub(super) fn note(&mut self, remote: SocketAddr, now: Instant) {
        if self.until.len() >= AT_MOST {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() < AT_MOST {
            self.until.insert(remote, now + REMEMBERED);
        }
    }

    /// Whether a stream to `remote` has failed lately.
    pub(super) fn knows(&self, remote: SocketAddr, now: Instant) -> bool {
        self.until.get(&remote).is_some_and(|&until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(number: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, (number / 256) as u8, (number % 256) as u8], 5060))
    }

    #[test]
    fn an_attempt_holds_for_ten_minutes() {
        let mut streamless = Streamless::default();
        streamless.note(remote(1), Instant::START);
        assert!(streamless.knows(remote(1), Instant::from_millis(599_999)));
        assert!(!streamless.knows(remote(1), Instant::from_millis(600_000)));
        assert!(!streamless.knows(remote(2), Instant::START));
    }

    #[test]
    fn memory_is_bounded_and_the_old_makes_room() {
        let mut streamless = Streamless::default();
        for number in 0..2 * AT_MOST {
            streamless.note(remote(number), Instant::START);
        }
        assert_eq!(streamless.until.len(), AT_MOST);
        let later = Instant::START + REMEMBERED;
        streamless.note(remote(2 * AT_MOST), later);
        assert!(streamless.knows(remote(2 * AT_MOST), later));
        assert_eq!(streamless.until.len(), 1);
    }
}
