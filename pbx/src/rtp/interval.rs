//! When RTCP is due (RFC 3550 section 6.3.1 and appendix A.7), for a session of two.

use crate::rng::Rng;
use std::time::Duration;

/// The bandwidth RTCP may take, in bytes a second: 5 % of G.711 at 20 ms with its headers (80 kbit/s).
const RTCP_BANDWIDTH: f64 = 500.0;
/// What our first compound packet has, with UDP and IP headers.
const FIRST_PACKET: f64 = 128.0;
/// Headers of UDP and IP (section 6.2 counts them).
const LOWER_HEADERS: f64 = 28.0;
/// Both of us.
const MEMBERS: f64 = 2.0;

/// The state that section 6.3 keeps, as far as a session of two has it.
///
/// Two members that do not change need no timer reconsideration, so the division by e - 3/2, which makes up for it, is
/// left out: the interval is 2.5 s to 7.5 s, the first one half of that.
#[derive(Clone, Debug)]
pub struct Interval {
    average_size: f64,
    initial: bool,
}

impl Default for Interval {
    fn default() -> Interval {
        Interval { average_size: FIRST_PACKET, initial: true }
    }
}

impl Interval {
    /// A compound packet of `size` bytes was sent or received (section 6.3.3).
    pub fn observe(&mut self, size: usize) {
        self.average_size += (size as f64 + LOWER_HEADERS - self.average_size) / 16.0;
    }

    /// How long to wait for the next report.
    pub fn next(&mut self, dice: &mut Rng) -> Duration {
        let minimum = if std::mem::take(&mut self.initial) { 2.5 } else { 5.0 };
        // With two members the senders are none, or more than a quarter: both share the whole bandwidth.
        let deterministic = (MEMBERS * self.average_size / RTCP_BANDWIDTH).max(minimum);
        let factor = 0.5 + dice.below(1_000_001) as f64 / 1_000_000.0;
        Duration::from_secs_f64(deterministic * factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_five_seconds_apart_give_or_take_a_half() {
        let (mut dice, mut interval) = (Rng::from_number(1), Interval::default());
        let first = interval.next(&mut dice).as_secs_f64();
        assert!((1.25..=3.75).contains(&first), "the first after {first}");
        let later: Vec<f64> = (0..1000).map(|_| interval.next(&mut dice).as_secs_f64()).collect();
        assert!(later.iter().all(|seconds| (2.5..=7.5).contains(seconds)));
        let mean = later.iter().sum::<f64>() / 1000.0;
        assert!((4.8..=5.2).contains(&mean), "the mean is {mean}");
    }

    #[test]
    fn long_reports_come_more_rarely() {
        let (mut dice, mut interval) = (Rng::from_number(1), Interval::default());
        interval.next(&mut dice);
        (0..200).for_each(|_| interval.observe(10_000));
        assert!(
            interval.next(&mut dice) > Duration::from_secs(19),
            "two of 10,000 bytes at 500 bytes a second"
        );
    }
}
