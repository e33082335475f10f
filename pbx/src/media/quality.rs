//! What a listener would say: the E-model (ITU-T G.107) for G.711 with concealment (G.113 appendix I).

use super::Quality;
use crate::time::Duration;

/// The transmission rating of a narrowband connection that only its codec and the network disturb.
const BEST: f64 = 93.2;
/// How well G.711 with concealment stands random loss.
const LOSS_ROBUSTNESS: f64 = 25.1;
/// What packets and sound devices take at both ends.
const ENDS: Duration = Duration::from_millis(20);

/// The quality of a stream that lost the share `loss` of its packets. A listener smooths `jitter` by waiting twice as long;
/// without a known round trip the way is taken to be short.
pub(super) fn judge(loss: f64, jitter: Duration, round_trip: Option<Duration>) -> Quality {
    let loss = loss.clamp(0.0, 1.0);
    let delay = round_trip.unwrap_or_default() / 2 + jitter * 2 + ENDS;
    let millis = delay.as_secs_f64() * 1000.0;
    let delay_impairment = 0.024 * millis + 0.11 * (millis - 177.3).max(0.0);
    let percent = loss * 100.0;
    let loss_impairment = 95.0 * percent / (percent + LOSS_ROBUSTNESS);
    let rating = (BEST - delay_impairment - loss_impairment).max(0.0);
    let mos = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    Quality { loss, delay, delay_impairment, loss_impairment, rating, mos: mos.clamp(1.0, 4.5) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_falls_with_loss_jitter_and_delay() {
        let score = |loss, jitter, round_trip| {
            judge(loss, Duration::from_millis(jitter), Some(Duration::from_millis(round_trip))).mos
        };
        let best = score(0.0, 0, 0);
        assert!((4.38..4.42).contains(&best), "undisturbed G.711 is {best}");
        assert!(score(0.01, 0, 0) < best && score(0.05, 0, 0) < score(0.01, 0, 0));
        assert!(score(0.0, 30, 0) < best);
        assert!(score(0.0, 0, 600) < 4.1);
        assert!((3.3..3.5).contains(&score(0.1, 0, 0)), "ten percent: {}", score(0.1, 0, 0));
        assert_eq!(score(1.0, 500, 5000), 1.0);
    }

    #[test]
    fn the_inputs_are_shown() {
        let quality = judge(0.02, Duration::from_millis(10), Some(Duration::from_millis(100)));
        assert_eq!((quality.loss, quality.delay), (0.02, Duration::from_millis(90)));
        assert!((quality.delay_impairment - 2.16).abs() < 1e-9);
        assert!((quality.loss_impairment - 95.0 * 2.0 / 27.1).abs() < 1e-9);
        let rating = 93.2 - quality.delay_impairment - quality.loss_impairment;
        assert!((quality.rating - rating).abs() < 1e-9);
    }
}
