//! How long to wait before an offer is made again (RFC 3261 sections 14.1 and 14.2, RFC 3311 section 5.3).

use super::compose::leading_number;
use crate::rng::Rng;
use crate::sip::{Name, Response, StatusCode};
use crate::time::Duration;

/// How often one offer is made before it counts as refused.
pub(super) const ATTEMPTS: u8 = 5;

/// The pause a refused re-INVITE or UPDATE asks for: that of a glare for 491, Retry-After for a 500 that says the other side
/// is not ready for a second offer; `None` when it is simply refused.
pub(super) fn pause(response: &Response, owns_call_id: bool, rng: &mut Rng) -> Option<Duration> {
    match response.status() {
        StatusCode::REQUEST_PENDING => Some(after_491(owns_call_id, rng)),
        StatusCode::SERVER_INTERNAL_ERROR => {
            let seconds = leading_number(response.headers().get(Name::RetryAfter)?)?;
            // Section 14.2 draws 0 to 10 s; somebody who asks for more does not want us back.
            (seconds <= 10).then(|| Duration::from_secs(seconds))
        }
        _ => None,
    }
}

/// 2.1 to 4 s for the one who made the Call-ID, 0 to 2 s for the other, in steps of 10 ms.
pub(super) fn after_491(owns_call_id: bool, rng: &mut Rng) -> Duration {
    let steps = if owns_call_id { 210 + rng.below(191) } else { rng.below(201) };
    Duration::from_millis(steps * 10)
}

/// What Retry-After says in our 500, in seconds.
pub(super) fn retry_after(rng: &mut Rng) -> u64 {
    rng.below(11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_the_call_id_waits_longer_in_steps_of_10_ms() {
        let mut rng = Rng::from_number(1);
        for _ in 0..1_000 {
            let (owner, other) = (after_491(true, &mut rng), after_491(false, &mut rng));
            assert!((2_100..=4_000).contains(&owner.as_millis()), "owner {owner:?}");
            assert!(other.as_millis() <= 2_000, "other {other:?}");
            assert_eq!((owner.as_millis() % 10, other.as_millis() % 10), (0, 0));
        }
    }
}
