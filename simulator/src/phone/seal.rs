//! Secure RTP of a telephone (RFC 3711), written apart from that of the PBX so that one mistake is not made twice: no window, no
//! buffers, the whole key derivation for each packet.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use pbx::sdp::Protection;
use sha1::Sha1;
use std::collections::BTreeSet;

/// What a telephone seals and opens with.
pub(super) struct Seal {
    agreed: Protection,
    sent: Count,
    heard: Count,
    seen: BTreeSet<u64>,
}

/// The highest packet of a direction, rounds of its numbers included.
#[derive(Default)]
struct Count(Option<u64>);

impl Seal {
    pub(super) fn new(agreed: &Protection) -> Seal {
        Seal {
            agreed: agreed.clone(),
            sent: Count::default(),
            heard: Count::default(),
            seen: BTreeSet::new(),
        }
    }

    pub(super) fn is_of(&self, agreed: &Protection) -> bool {
        self.agreed == *agreed
    }

    /// A packet of ours as it goes out.
    pub(super) fn seal(&mut self, packet: &mut Vec<u8>) {
        let index = self.sent.index_of(number(packet));
        let master = *self.agreed.ours.as_bytes();
        self.sent.0 = self.sent.0.max(Some(index));
        lay(&master, index, packet);
        let tag = tag(&master, index, packet);
        packet.extend(&tag[..self.agreed.suite.tag()]);
    }

    /// A packet of the other side as it was; `None` when it is not sealed with its key, or came before.
    pub(super) fn open(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (sealed, theirs) = packet.split_at(packet.len().checked_sub(self.agreed.suite.tag())?);
        if sealed.len() < 12 {
            return None;
        }
        let index = self.heard.index_of(number(sealed));
        let master = *self.agreed.theirs.as_bytes();
        if tag(&master, index, sealed)[..theirs.len()] != *theirs || !self.seen.insert(index) {
            return None;
        }
        self.heard.0 = self.heard.0.max(Some(index));
        let mut plain = sealed.to_vec();
        lay(&master, index, &mut plain);
        Some(plain)
    }
}

impl Count {
    /// The index of a number: of the three rounds it may be in, that nearest to the highest one.
    fn index_of(&self, number: u16) -> u64 {
        let Some(highest) = self.0 else { return u64::from(number) };
        let round = highest >> 16;
        let rounds = round.saturating_sub(1)..=round + 1;
        let indices = rounds.map(|round| round << 16 | u64::from(number));
        indices.min_by_key(|index| index.abs_diff(highest)).unwrap_or(highest)
    }
}

fn number(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

/// Lays the key stream over the payload, which begins behind the fixed header.
fn lay(master: &[u8; 30], index: u64, packet: &mut [u8]) {
    let (cipher, salt) = (derived(master, 0, 16), derived(master, 2, 14));
    let mut start = 0u128;
    salt.iter().for_each(|byte| start = start << 8 | u128::from(*byte));
    let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
    let start = start << 16 ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16;
    let stream = stream(&cipher, start, packet.len() - 12);
    packet[12..].iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
}

fn tag(master: &[u8; 30], index: u64, packet: &[u8]) -> Vec<u8> {
    let mut mac =
        <Hmac<Sha1> as KeyInit>::new_from_slice(&derived(master, 1, 20)).expect("a key of any length");
    mac.update(packet);
    mac.update(&((index >> 16) as u32).to_be_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A session key (RFC 3711 section 4.3.1).
fn derived(master: &[u8; 30], label: u8, length: usize) -> Vec<u8> {
    let mut salt = 0u128;
    master[16..].iter().for_each(|byte| salt = salt << 8 | u128::from(*byte));
    stream(&master[..16], (salt ^ u128::from(label) << 48) << 16, length)
}

/// AES in counter mode.
fn stream(key: &[u8], start: u128, length: usize) -> Vec<u8> {
    let cipher = Aes128::new_from_slice(key).expect("a key of 16 bytes");
    let blocks = (0u128..).map(|n| {
        let mut block = start.wrapping_add(n).to_be_bytes().into();
        cipher.encrypt_block(&mut block);
        <[u8; 16]>::from(block)
    });
    blocks.take(length.div_ceil(16)).flatten().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbx::srtp::{MasterKey, Receiver, Sender, Suite};

    #[test]
    fn the_telephone_and_the_pbx_understand_each_other() {
        for suite in Suite::ALL {
            let [ours, theirs] = [1, 2].map(|fill| MasterKey::from_bytes([fill; 30]));
            let agreed = Protection { suite, ours: ours.clone(), theirs: theirs.clone() };
            let mut telephone = Seal::new(&agreed);
            let (mut sender, mut receiver) = (Sender::new(suite, &theirs), Receiver::new(suite, &ours));
            for n in 65_000..70_000u32 {
                let mut plain = vec![0x80, 0];
                plain.extend((n as u16).to_be_bytes());
                plain.extend([0, 0, 0, 9, 1, 2, 3, 4]);
                plain.extend([n as u8; 20]);
                let mut sealed = plain.clone();
                telephone.seal(&mut sealed);
                let length = receiver.open(&mut sealed).expect("sealed by a telephone");
                assert_eq!(sealed[..length], plain);
                let mut sealed = plain.clone();
                sender.seal(&mut sealed, 0);
                assert_eq!(telephone.open(&sealed), Some(plain));
                assert_eq!(telephone.open(&sealed), None, "it came before");
            }
        }
    }
}
