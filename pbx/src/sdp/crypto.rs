//! Keys for secure RTP in descriptions (RFC 4568): who demands them, and what an `a=crypto` line says.

use super::{NegotiationError, RemoteAudio};
use crate::srtp::{MasterKey, Suite};

/// Whether a session is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Srtp {
    /// Never: an offer of it is refused.
    #[default]
    Off,
    /// Where the other side wants it, or can.
    Optional,
    /// Always: without it there is no session.
    Required,
}

/// An `a=crypto` line: what its writer seals with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// What an answer refers to.
    pub tag: u32,
    /// How it seals.
    pub suite: Suite,
    /// The key of who wrote it.
    pub key: MasterKey,
}

/// What the other side says about sealing.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sealing {
    /// Whether its profile is `RTP/SAVP`: nothing goes unsealed.
    pub demanded: bool,
    /// Its keys, as far as they are of any use here, in its order.
    pub keys: Vec<Crypto>,
}

/// What both sides seal with from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// How.
    pub suite: Suite,
    /// What we seal with.
    pub ours: MasterKey,
    /// What the other side seals with.
    pub theirs: MasterKey,
}

/// Our side of it in one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Security {
    pub(super) policy: Srtp,
    keys: Vec<Crypto>,
}

impl Security {
    /// Two keys of our own, one for each suite: no key seals in two ways.
    pub(super) fn new(policy: Srtp, keys: [MasterKey; 2]) -> Security {
        let keys = (1..).zip(Suite::ALL).zip(keys).map(|((tag, suite), key)| Crypto { tag, suite, key });
        Security { policy, keys: if policy == Srtp::Off { Vec::new() } else { keys.collect() } }
    }

    /// The profile of an offer.
    pub(super) fn profile(&self) -> &'static str {
        match self.policy {
            // Who can will answer with a key, who cannot does not look at ours.
            Srtp::Off | Srtp::Optional => "RTP/AVP",
            Srtp::Required => "RTP/SAVP",
        }
    }

    /// The keys of an offer: the one in use, or all.
    pub(super) fn offered(&self, in_use: Option<&Protection>) -> Vec<Crypto> {
        let is_offered = |key: &&Crypto| in_use.is_none_or(|in_use| in_use.suite == key.suite);
        self.keys.iter().filter(is_offered).cloned().collect()
    }

    /// Whether what the other side offers may be taken.
    pub(super) fn admits(&self, remote: &RemoteAudio) -> Result<(), NegotiationError> {
        match (self.policy, remote.sealing.demanded, remote.sealing.keys.is_empty()) {
            (Srtp::Off, true, _) => Err(NegotiationError::Profile("RTP/SAVP".into())),
            (Srtp::Optional | Srtp::Required, true, true) => Err(NegotiationError::NoKey),
            (Srtp::Required, false, true) => Err(NegotiationError::Unsealed),
            (Srtp::Off | Srtp::Optional, false, _) | (_, _, false) => Ok(()),
        }
    }

    /// Our key in the answer to an offer, and what holds then; `None` for a session that is not sealed.
    pub(super) fn answer(&self, remote: &RemoteAudio) -> Option<(Crypto, Protection)> {
        let theirs = remote.sealing.keys.first()?;
        let own = self.keys.iter().find(|own| own.suite == theirs.suite)?;
        let protection = Protection { suite: own.suite, ours: own.key.clone(), theirs: theirs.key.clone() };
        Some((Crypto { tag: theirs.tag, ..own.clone() }, protection))
    }

    /// What holds when `remote` answers an offer of ours; it may take one of our keys, and must where sealing was demanded.
    pub(super) fn answered(
        &self,
        remote: &RemoteAudio,
        demanded: bool,
    ) -> Result<Option<Protection>, NegotiationError> {
        if remote.sealing.demanded != demanded {
            return Err(if demanded {
                NegotiationError::Unsealed
            } else {
                NegotiationError::Profile("RTP/SAVP".into())
            });
        }
        let is_taken =
            |theirs: &&Crypto| self.keys.iter().any(|own| own.tag == theirs.tag && own.suite == theirs.suite);
        let taken = remote.sealing.keys.iter().find(is_taken);
        let own = taken.and_then(|theirs| self.keys.iter().find(|own| own.suite == theirs.suite));
        match (taken, own) {
            (Some(theirs), Some(own)) => {
                let (ours, theirs) = (own.key.clone(), theirs.key.clone());
                Ok(Some(Protection { suite: own.suite, ours, theirs }))
            }
            _ if demanded || self.policy == Srtp::Required => Err(NegotiationError::NoKey),
            _ => Ok(None),
        }
    }
}

impl Crypto {
    /// `1 AES_CM_128_HMAC_SHA1_80 inline:...`; `None` for a suite, a key or a parameter that is not understood here, which
    /// makes the line void (RFC 4568 sections 5.1.2 and 6.3).
    pub(super) fn parse(value: &str) -> Option<Crypto> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next()?.parse().ok()?;
        let suite = Suite::named(words.next()?)?;
        let mut parameters = words.next()?.split('|');
        let key = parameters.next()?.strip_prefix("inline:")?;
        // A key may be named with each packet (MKI); those packets would be longer.
        let has_index = parameters.any(|parameter| parameter.contains(':'));
        // The hint of a window is ours to ignore; all other parameters change what packets look like.
        let is_plain = words.all(|parameter| parameter.starts_with("WSH="));
        let key = MasterKey::from_bytes(base64(key)?);
        (!has_index && is_plain).then_some(Crypto { tag, suite, key })
    }

    /// The value of the line.
    pub(super) fn value(&self) -> String {
        let mut text = format!("{} {} inline:", self.tag, self.suite.name());
        for three in self.key.as_bytes().chunks_exact(3) {
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            text.extend([18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize])));
        }
        text
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes of exactly one key, which needs no padding (RFC 4648 section 4).
fn base64(text: &str) -> Option<[u8; MasterKey::LENGTH]> {
    let mut key = [0; MasterKey::LENGTH];
    if text.len() != key.len() / 3 * 4 {
        return None;
    }
    for (four, three) in text.as_bytes().chunks_exact(4).zip(key.chunks_exact_mut(3)) {
        let mut bits = 0;
        for letter in four {
            bits = bits << 6 | ALPHABET.iter().position(|known| known == letter)? as u32;
        }
        three.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first example of RFC 4568 section 9.1 has this key.
    const LINE: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20";

    #[test]
    fn a_line_is_read_and_written() {
        let crypto = Crypto::parse(LINE).expect("a line of the RFC");
        assert_eq!((crypto.tag, crypto.suite), (1, Suite::Tag80));
        assert_eq!(format!("{}|2^20", crypto.value()), LINE);
    }

    #[test]
    fn what_would_make_packets_that_we_do_not_understand_is_void() {
        let void = |line: &str| assert_eq!(Crypto::parse(line), None, "{line}");
        void(&format!("{LINE}|1:4"));
        void(&format!("{LINE} UNENCRYPTED_SRTP"));
        void(&LINE.replace("_80", "_256"));
        void(&LINE.replace("inline:", "uri:"));
        void(&LINE.replace("WVNf", "WVN"));
        void(&LINE.replace("WVNf", "WVN*"));
        void("1 AES_CM_128_HMAC_SHA1_80");
        assert!(Crypto::parse(&format!("{LINE} WSH=128")).is_some());
    }
}
