//! Nonces: free to make, good for one source, for a while, with a count that only grows (RFC 7616 sections 3.3 and 3.4).

use crate::rng::Rng;
use crate::time::{Duration, Instant};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use subtle::ConstantTimeEq as _;

/// So many nonces that were used for something are remembered, about 2 MB.
const REMEMBERED: usize = 1 << 15;

/// Makes nonces and knows them again.
///
/// A nonce is its own record: when it was made, its number, and a keyed hash over both and over the source it was given to.
/// So a flood of requests that want a challenge costs no memory, and whoever shows a nonce of ours has received what we
/// sent to that source: nobody can fail in the name of another address. Only a nonce that was used with the right
/// password is remembered, for its count.
pub(super) struct Nonces {
    key: [u8; 32],
    made: u64,
    used: BTreeMap<Nonce, u32>,
    /// What is not after this is too old, whatever its age: its count has been forgotten to make room.
    forgotten: Nonce,
}

/// A nonce of ours, ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Nonce {
    made_at: Instant,
    number: u64,
}

impl Nonces {
    pub(super) fn new(rng: &mut Rng) -> Nonces {
        let mut key = [0; 32];
        rng.fill(&mut key);
        Nonces { key, made: 0, used: BTreeMap::new(), forgotten: Nonce::default() }
    }

    /// The text of a new nonce for `source`.
    pub(super) fn make(&mut self, source: IpAddr, now: Instant) -> String {
        self.made += 1;
        let nonce = Nonce { made_at: now, number: self.made };
        self.write(nonce, source)
    }

    /// The nonce of a text, if we gave it to this source less than `lifetime` ago.
    pub(super) fn recognise(
        &self,
        text: &str,
        source: IpAddr,
        lifetime: Duration,
        now: Instant,
    ) -> Option<Nonce> {
        let part = |i: usize| u64::from_str_radix(text.get(i * 16..(i + 1) * 16)?, 16).ok();
        let nonce = Nonce { made_at: Instant::from_nanos(part(0)?), number: part(1)? };
        let is_ours: bool = self.write(nonce, source).as_bytes().ct_eq(text.as_bytes()).into();
        let lives = nonce.made_at <= now && now < nonce.made_at + lifetime && nonce > self.forgotten;
        (is_ours && lives).then_some(nonce)
    }

    /// Notes that a nonce was used for the `count`th time; false when that has been before. Without a count (RFC 2069) a
    /// nonce is good once.
    pub(super) fn spend(
        &mut self,
        nonce: Nonce,
        count: Option<u32>,
        lifetime: Duration,
        now: Instant,
    ) -> bool {
        let spent = self.used.get(&nonce).copied().unwrap_or(0);
        let count = count.unwrap_or(u32::MAX);
        if count <= spent {
            return false;
        }
        self.used.insert(nonce, count);
        self.forget(lifetime, now);
        true
    }

    /// Forgets what has had its time, and the oldest when there are too many; a nonce whose count is forgotten is not taken
    /// again.
    fn forget(&mut self, lifetime: Duration, now: Instant) {
        while let Some(oldest) = self.used.first_entry() {
            let expired = now >= oldest.key().made_at + lifetime;
            if !expired && self.used.len() <= REMEMBERED {
                break;
            }
            if let Some((nonce, _)) = self.used.pop_first() {
                self.forgotten = self.forgotten.max(nonce);
            }
        }
    }

    fn write(&self, nonce: Nonce, source: IpAddr) -> String {
        let [high, low] = self.seal(nonce, source);
        format!("{:016x}{:016x}{high:016x}{low:016x}", nonce.made_at.as_nanos(), nonce.number)
    }

    /// The fields have fixed lengths and half of the hash is kept, so that nothing can be put behind them.
    fn seal(&self, nonce: Nonce, source: IpAddr) -> [u64; 2] {
        let source = match source.to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let hash = Sha256::new()
            .chain_update(self.key)
            .chain_update(nonce.made_at.as_nanos().to_be_bytes())
            .chain_update(nonce.number.to_be_bytes())
            .chain_update(Ipv6Addr::octets(&source))
            .finalize();
        [0, 8].map(|at| hash[at..at + 8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;

    const LIFETIME: Duration = Duration::from_secs(60);
    const PHONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

    #[test]
    fn a_nonce_is_known_again_until_its_time_is_over() {
        let mut nonces = Nonces::new(&mut Rng::from_number(1));
        let text = nonces.make(PHONE, Instant::START);
        assert!(nonces.recognise(&text, PHONE, LIFETIME, Instant::from_millis(59_999)).is_some());
        assert!(nonces.recognise(&text, PHONE, LIFETIME, Instant::from_millis(60_000)).is_none());
    }

    #[test]
    fn a_nonce_is_good_for_the_source_it_was_given_to() {
        let mut nonces = Nonces::new(&mut Rng::from_number(1));
        let text = nonces.make(PHONE, Instant::START);
        let other = "10.0.0.8".parse().unwrap();
        assert!(nonces.recognise(&text, other, LIFETIME, Instant::START).is_none());
        let mapped = "::ffff:10.0.0.7".parse().unwrap();
        assert!(nonces.recognise(&text, mapped, LIFETIME, Instant::START).is_some());
    }

    #[test]
    fn without_a_count_a_nonce_is_good_once() {
        let (mut nonces, nonce) = fresh();
        assert!(nonces.spend(nonce, None, LIFETIME, Instant::START));
        assert!(!nonces.spend(nonce, None, LIFETIME, Instant::START));
        assert!(!nonces.spend(nonce, Some(7), LIFETIME, Instant::START));
    }

    #[test]
    fn what_was_forgotten_to_make_room_is_not_taken_again() {
        let mut nonces = Nonces::new(&mut Rng::from_number(1));
        let first = nonces.make(PHONE, Instant::START);
        let mut texts = vec![first.clone()];
        texts.extend((0..REMEMBERED).map(|_| nonces.make(PHONE, Instant::START)));
        for text in &texts {
            let nonce = nonces.recognise(text, PHONE, LIFETIME, Instant::START).unwrap();
            assert!(nonces.spend(nonce, Some(1), LIFETIME, Instant::START));
        }
        assert_eq!(nonces.used.len(), REMEMBERED);
        assert!(nonces.recognise(&first, PHONE, LIFETIME, Instant::START).is_none());
        assert!(nonces.recognise(&texts[1], PHONE, LIFETIME, Instant::START).is_some());
    }

    proptest! {
        #[test]
        fn no_text_but_ours_is_a_nonce(at in 0..64_usize, digit in "[0-9a-fA-F+ é-]") {
            let mut nonces = Nonces::new(&mut Rng::from_number(1));
            let text = nonces.make(PHONE, Instant::from_millis(5));
            let mut changed = text.clone();
            changed.replace_range(at..=at, &digit);
            let known = nonces.recognise(&changed, PHONE, LIFETIME, Instant::from_millis(5)).is_some();
            prop_assert_eq!(known, changed == text);
        }

        #[test]
        fn a_count_only_grows(counts in prop::collection::vec(1..9_u32, 1..20)) {
            let (mut nonces, nonce) = fresh();
            let mut highest = 0;
            for count in counts {
                prop_assert_eq!(nonces.spend(nonce, Some(count), LIFETIME, Instant::START), count > highest);
                highest = highest.max(count);
            }
        }
    }

    fn fresh() -> (Nonces, Nonce) {
        let mut nonces = Nonces::new(&mut Rng::from_number(1));
        let text = nonces.make(PHONE, Instant::START);
        let nonce = nonces.recognise(&text, PHONE, LIFETIME, Instant::START).unwrap();
        (nonces, nonce)
    }
}
