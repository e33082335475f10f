//! Secure RTP (RFC 3711): AES in counter mode and HMAC-SHA1, the two suites of RFC 4568 that everybody has.
//!
//! A [`Sender`] seals what goes out with our key, a [`Receiver`] opens what comes in with the other side's. Both work in
//! place and allocate nothing. How keys get to the other side is a matter of [`crate::sdp`].

mod keys;
mod receiver;
mod sender;

pub use keys::MasterKey;
pub use receiver::{Receiver, Refused};
pub use sender::Sender;

/// What seals a packet (RFC 4568 section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`: a tag of 80 bits.
    Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`: a tag of 32 bits on RTP; RTCP has one of 80 as well.
    Tag32,
}

impl Suite {
    /// All of them, the best first.
    pub const ALL: [Suite; 2] = [Suite::Tag80, Suite::Tag32];

    /// As SDP calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::Tag32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// The suite of a name; `None` for one that is not known here.
    pub fn named(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Bytes that sealing adds to an RTP packet.
    pub const fn tag(self) -> usize {
        match self {
            Suite::Tag80 => RTCP_TAG,
            Suite::Tag32 => 4,
        }
    }
}

/// Bytes of the tag of an RTCP packet (RFC 3711 section 5.2, RFC 4568 section 6.2.2).
const RTCP_TAG: usize = 10;

/// Bytes of the fixed RTCP header with the SSRC, which stay readable.
const RTCP_CLEAR: usize = 8;

/// The mark in the index of an RTCP packet that it is encrypted (RFC 3711 section 3.4).
const ENCRYPTED: u32 = 1 << 31;

/// Where the part of an RTP packet begins that is encrypted: behind CSRCs and extension; `None` when it is no RTP.
fn payload_start(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut start = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let extension = packet.get(start..start + 4)?;
        start += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
    }
    (first >> 6 == 2 && start <= packet.len()).then_some(start)
}

/// Sequence number and SSRC of an RTP packet that has its fixed header.
fn numbers(packet: &[u8]) -> (u16, u32) {
    let sequence = u16::from_be_bytes([packet[2], packet[3]]);
    (sequence, u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SSRC: u32 = 0xcafe_babe;

    fn key(fill: u8) -> MasterKey {
        MasterKey::from_bytes([fill; MasterKey::LENGTH])
    }

    fn pair(suite: Suite) -> (Sender, Receiver) {
        (Sender::new(suite, &key(7)), Receiver::new(suite, &key(7)))
    }

    fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 0, 0, 9]);
        packet.extend(SSRC.to_be_bytes());
        packet.extend(payload);
        packet
    }

    fn sealed(sender: &mut Sender, sequence: u16) -> Vec<u8> {
        let mut bytes = packet(sequence, b"some sound");
        sender.seal(&mut bytes, 0);
        bytes
    }

    fn opened(receiver: &mut Receiver, mut bytes: Vec<u8>) -> Result<Vec<u8>, Refused> {
        let length = receiver.open(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    #[test]
    fn what_is_sealed_is_opened_and_cannot_be_read_on_the_way() {
        for suite in Suite::ALL {
            let (mut sender, mut receiver) = pair(suite);
            let bytes = sealed(&mut sender, 1);
            assert_eq!(bytes.len(), packet(1, b"some sound").len() + suite.tag());
            assert!(!bytes.windows(4).any(|part| part == b"some"));
            assert_eq!(opened(&mut receiver, bytes), Ok(packet(1, b"some sound")));
        }
    }

    #[test]
    fn another_key_another_suite_and_a_changed_bit_are_refused() {
        let (mut sender, mut receiver) = pair(Suite::Tag80);
        let bytes = sealed(&mut sender, 1);
        let mut stranger = Receiver::new(Suite::Tag80, &key(8));
        assert_eq!(opened(&mut stranger, bytes.clone()), Err(Refused::Forged));
        let mut short = Receiver::new(Suite::Tag32, &key(7));
        assert_eq!(opened(&mut short, bytes.clone()), Err(Refused::Forged));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(opened(&mut receiver, changed).is_err(), "byte {at}");
        }
        assert!(opened(&mut receiver, bytes).is_ok(), "what was refused has left no trace");
        assert_eq!(opened(&mut receiver, packet(2, b"plain sound")), Err(Refused::Forged));
    }

    #[test]
    fn a_packet_that_comes_again_is_refused() {
        let (mut sender, mut receiver) = pair(Suite::Tag80);
        let packets: Vec<_> = (0..300).map(|n| sealed(&mut sender, n)).collect();
        assert!(opened(&mut receiver, packets[0].clone()).is_ok());
        assert_eq!(opened(&mut receiver, packets[0].clone()), Err(Refused::Replayed));
        assert!(opened(&mut receiver, packets[200].clone()).is_ok());
        assert!(opened(&mut receiver, packets[150].clone()).is_ok(), "late, but not seen before");
        assert_eq!(opened(&mut receiver, packets[150].clone()), Err(Refused::Replayed));
        assert_eq!(opened(&mut receiver, packets[10].clone()), Err(Refused::Replayed), "too old to be sure");
    }

    #[test]
    fn the_numbers_begin_again_and_the_count_of_it_is_part_of_the_seal() {
        let (mut sender, mut receiver) = pair(Suite::Tag32);
        let mut first_round = None;
        for n in 65_000..65_536u32 + 65_600 {
            let bytes = sealed(&mut sender, n as u16);
            if n == 65_636 {
                first_round = Some(bytes.clone());
            }
            // The network loses some, those at the turn as well.
            if n % 7 != 0 && !(65_530..65_540).contains(&n) {
                assert!(opened(&mut receiver, bytes).is_ok(), "number {n}");
            }
        }
        assert_eq!(opened(&mut receiver, first_round.unwrap()), Err(Refused::Forged), "of another round");
    }

    #[test]
    fn packets_that_change_places_at_the_turn_are_opened() {
        let (mut sender, mut receiver) = pair(Suite::Tag80);
        let packets: Vec<_> = [65_534, 65_535, 0, 1].map(|n| sealed(&mut sender, n)).into();
        for at in [0, 2, 1, 3] {
            assert!(opened(&mut receiver, packets[at].clone()).is_ok(), "packet {at}");
        }
    }

    #[test]
    fn reports_are_sealed_too() {
        let (mut sender, mut receiver) = pair(Suite::Tag32);
        let mut report = vec![0x80, 201, 0, 1];
        report.extend(SSRC.to_be_bytes());
        report.extend(b"a block of a report.....");
        let plain = report.clone();
        sender.seal_report(&mut report, 0);
        assert_eq!(report.len(), plain.len() + 4 + 10);
        assert_ne!(report[8..plain.len()], plain[8..]);
        let again = report.clone();
        assert_eq!(receiver.open_report(&mut report), Ok(plain.len()));
        assert_eq!(report[..plain.len()], plain);
        assert_eq!(receiver.open_report(&mut again.clone()), Err(Refused::Replayed));
        let mut second = plain.clone();
        sender.seal_report(&mut second, 0);
        assert_eq!(receiver.open_report(&mut second), Ok(plain.len()));
        assert_eq!(receiver.open_report(&mut plain.clone()), Err(Refused::Forged));
    }

    /// What libsrtp makes of four packets over the turn of the sequence numbers, and of two reports, with the master key and salt
    /// 00 01 02 ... 1d (by `pylibsrtp` 1.0: `Session.protect`, `Session.protect_rtcp`).
    #[test]
    fn another_implementation_seals_alike() {
        let own = std::array::from_fn(|n| n as u8);
        let theirs = [
            (65_534u16, "d70e73c47e10cdf91dca1cd2a72392803904230bf0f496cd31070d119a12"),
            (65_535, "4b946488c4024c604ddd8a6c77e268eebdb4d7dbba3f6e5d38d646e60f0a"),
            (0, "20d6b6b4b94c0b9b6220611183b43b6e71af403a6db5fff09cdd6b7a38c4"),
            (1, "991b5b11fdbe26496538ddfc1bcfaf069e37b3809d564303800fd008329e"),
        ];
        for suite in Suite::ALL {
            let mut sender = Sender::new(suite, &MasterKey::from_bytes(own));
            let mut receiver = Receiver::new(suite, &MasterKey::from_bytes(own));
            for (n, (sequence, sealed)) in theirs.iter().enumerate() {
                let mut plain = vec![0x80, 0];
                plain.extend(sequence.to_be_bytes());
                plain.extend((160 * n as u32).to_be_bytes());
                plain.extend(0xdeca_fbadu32.to_be_bytes());
                let header = plain.clone();
                plain.extend((0..20u8).map(|k| (*sequence as u8).wrapping_add(k)));
                let sealed = [header, hex(sealed)[..20 + suite.tag()].to_vec()].concat();
                let mut ours = plain.clone();
                sender.seal(&mut ours, 0);
                assert_eq!(ours, sealed, "packet {sequence}, {suite:?}");
                assert_eq!(opened(&mut receiver, sealed), Ok(plain), "packet {sequence}, {suite:?}");
            }
            for report in [
                "80c90001decafbad80000001d937ae048cf1193e9961",
                "80c90001decafbad80000002a04db087272f9ec0f021",
            ] {
                assert_eq!(receiver.open_report(&mut hex(report)), Ok(8), "{report}");
            }
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn what_stands_before_a_packet_in_the_buffer_is_left_alone() {
        let (mut sender, mut receiver) = pair(Suite::Tag80);
        let mut buffer = b"another packet".to_vec();
        let start = buffer.len();
        buffer.extend(packet(5, b"some sound"));
        sender.seal(&mut buffer, start);
        assert_eq!(&buffer[..start], b"another packet");
        assert!(receiver.open(&mut buffer[start..]).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_opened_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let (_, mut receiver) = pair(Suite::Tag80);
            prop_assert!(receiver.open(&mut bytes.clone()).is_err());
            prop_assert!(receiver.open_report(&mut bytes).is_err());
        }

        #[test]
        fn in_any_order_each_packet_is_opened_once(
            start: u16,
            order in Just((0..60u16).collect::<Vec<_>>()).prop_shuffle(),
            copies in prop::collection::vec(0usize..60, 0..60),
        ) {
            let (mut sender, mut receiver) = pair(Suite::Tag80);
            let packets: Vec<_> = (0..60).map(|n| sealed(&mut sender, start.wrapping_add(n))).collect();
            // The first of all says in which round the sender is.
            prop_assert!(opened(&mut receiver, packets[0].clone()).is_ok());
            for n in order.into_iter().filter(|n| *n > 0) {
                prop_assert!(opened(&mut receiver, packets[usize::from(n)].clone()).is_ok());
            }
            for n in copies {
                prop_assert_eq!(opened(&mut receiver, packets[n].clone()), Err(Refused::Replayed));
            }
        }
    }
}
