//! A fault planted in what a host sends, to see that somebody notices.
//!
//! A forger stands between the programs of a host and the wire: what it makes of what they send is what was sent, for
//! those who watch, for the links and for the dice. A program is not told.

use super::Network;
use super::state::{Due, State};
use pbx::time::{Duration, Instant};
use std::net::{IpAddr, SocketAddr};

/// What a program is about to send: a datagram, or the bytes of one write to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// When.
    pub at: Instant,
    /// Who sends it. Of a stream it cannot be changed.
    pub from: SocketAddr,
    /// Whom it is for. Of a stream it cannot be changed.
    pub to: SocketAddr,
    /// Whether it is a part of a stream.
    pub is_stream: bool,
    /// What it says.
    pub bytes: Vec<u8>,
    /// How much later than `at` it goes out. A stream has one order: there it does not hold.
    pub delay: Duration,
}

impl Outgoing {
    /// What it says, with each `old` become `new`. A length that stands in it is not corrected.
    pub fn replace(&mut self, old: &str, new: &str) {
        if let Ok(text) = std::str::from_utf8(&self.bytes) {
            self.bytes = text.replace(old, new).into_bytes();
        }
    }

    /// Whether it begins like this: `INVITE `, `SIP/2.0 200`.
    pub fn begins(&self, with: &str) -> bool {
        self.bytes.starts_with(with.as_bytes())
    }

    /// Whether these words stand in it.
    pub fn says(&self, words: &str) -> bool {
        self.bytes.windows(words.len().max(1)).any(|window| window == words.as_bytes())
    }

    /// The same, so much later.
    pub fn after(&self, delay: Duration) -> Outgoing {
        Outgoing { delay: self.delay + delay, ..self.clone() }
    }
}

/// Makes of what is to be sent what is sent.
pub(super) type Forger = Box<dyn FnMut(Outgoing) -> Vec<Outgoing> + Send>;

impl Network {
    /// What the host at `address` sends from now on is what `forger` makes of it: the same, changed, several, nothing.
    /// A later forger gets what an earlier one has made.
    pub fn forge(&self, address: IpAddr, forger: impl FnMut(Outgoing) -> Vec<Outgoing> + Send + 'static) {
        self.must_be_own("forge packets");
        self.state().forgers.entry(address).or_default().push(Box::new(forger));
    }
}

impl State {
    /// What is really sent.
    pub(super) fn forged(&mut self, outgoing: Outgoing) -> Vec<Outgoing> {
        let Some(forgers) = self.forgers.get_mut(&outgoing.from.ip()) else { return vec![outgoing] };
        let through = |all: Vec<Outgoing>, forger: &mut Forger| all.into_iter().flat_map(forger).collect();
        forgers.iter_mut().fold(vec![outgoing], through)
    }

    /// A datagram goes out, through the hands of forgers.
    pub(super) fn send_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8], now: Instant) {
        if !self.forgers.contains_key(&from.ip()) {
            return self.put_datagram(from, to, bytes, now);
        }
        let outgoing =
            Outgoing { at: now, from, to, is_stream: false, bytes: bytes.to_vec(), delay: Duration::ZERO };
        for forged in self.forged(outgoing) {
            if forged.delay.is_zero() {
                self.put_datagram(forged.from, forged.to, &forged.bytes, now);
            } else {
                self.schedule(now + forged.delay, Due::Forged(forged));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_replaced() {
        let mut bye = Outgoing {
            at: Instant::START,
            from: ([10, 0, 0, 1], 5060).into(),
            to: ([10, 0, 0, 2], 5060).into(),
            is_stream: false,
            bytes: b"BYE sip:a@b SIP/2.0\r\nCSeq: 2 BYE\r\n\r\n".to_vec(),
            delay: Duration::ZERO,
        };
        assert!(bye.begins("BYE ") && bye.says("CSeq: 2") && !bye.says("CSeq: 3"));
        bye.replace("CSeq: 2", "CSeq: 3");
        assert!(bye.says("CSeq: 3"));
    }
}
