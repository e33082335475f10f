//! What a listener would say: the E-model (ITU-T G.107) for G.711 with concealment (G.113 appendix I).

use crate::time::Duration;

/// The transmission rating of a narrowband connection that only its codec and the network disturb.
const BEST: f64 = 93.2;
/// How well G.711 with concealment stands random loss.
const LOSS_ROBUSTNESS: f64 = 25.1;
/// Milliseconds that packets and sound devices take at both ends.
const ENDS: f64 = 20.0;

/// The mean opinion score, 1.0 to 4.5, of a stream that lost the share `loss` of its packets. A listener smooths
/// `jitter` by waiting twice as long; without a known round trip the way is taken to be short.
pub(super) fn mean_opinion_score(loss: f64, jitter: Duration, round_trip: Option<Duration>) -> f64 {
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let delay = millis(round_trip.unwrap_or_default()) / 2.0 + 2.0 * millis(jitter) + ENDS;
    let delay_impairment = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let loss_impairment = 95.0 * percent / (percent + LOSS_ROBUSTNESS);
    let rating = BEST - delay_impairment - loss_impairment;
    if rating <= 0.0 {
        return 1.0;
    }
    let score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    score.clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_falls_with_loss_jitter_and_delay() {
        let score = |loss, jitter, round_trip| {
            mean_opinion_score(loss, Duration::from_millis(jitter), Some(Duration::from_millis(round_trip)))
        };
        let best = score(0.0, 0, 0);
        assert!((4.38..4.42).contains(&best), "undisturbed G.711 is {best}");
        assert!(score(0.01, 0, 0) < best && score(0.05, 0, 0) < score(0.01, 0, 0));
        assert!(score(0.0, 30, 0) < best);
        assert!(score(0.0, 0, 600) < 4.1);
        assert!((3.3..3.5).contains(&score(0.1, 0, 0)), "ten percent: {}", score(0.1, 0, 0));
        assert_eq!(score(1.0, 500, 5000), 1.0);
    }
}
