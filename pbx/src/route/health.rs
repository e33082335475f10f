//! Which targets of trunks have failed lately.

use super::Target;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// A target that failed goes last for so long.
const REST: Duration = Duration::from_secs(30);

/// So many targets are remembered; more than any configuration has.
const REMEMBERED: usize = 256;

/// Targets that have failed lately. They are tried last, not left out: when all fail, each still gets its chance.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    rests_until: BTreeMap<Target, Instant>,
}

impl Health {
    pub(super) fn failed(&mut self, target: &Target, now: Instant) {
        self.rests_until.retain(|_, until| *until > now);
        if self.rests_until.len() < REMEMBERED {
            self.rests_until.insert(target.clone(), now + REST);
        }
    }

    pub(super) fn works(&mut self, target: &Target) {
        self.rests_until.remove(target);
    }

    pub(super) fn is_resting(&self, target: &Target, now: Instant) -> bool {
        self.rests_until.get(target).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Transport;

    #[test]
    fn a_target_rests_for_half_a_minute_or_until_it_answers() {
        let (mut health, target) = (Health::default(), target("a"));
        health.failed(&target, Instant::START);
        assert!(health.is_resting(&target, Instant::from_millis(29_999)));
        assert!(!health.is_resting(&target, Instant::from_millis(30_000)));
        health.works(&target);
        assert!(!health.is_resting(&target, Instant::START));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut health = Health::default();
        for i in 0..1000 {
            health.failed(&target(&i.to_string()), Instant::START);
        }
        assert_eq!(health.rests_until.len(), REMEMBERED);
        health.failed(&target("later"), Instant::from_millis(30_000));
        assert_eq!(health.rests_until.len(), 1);
    }

    fn target(host: &str) -> Target {
        Target { trunk: "carrier".into(), host: host.into(), port: None, transport: Transport::Udp }
    }
}
