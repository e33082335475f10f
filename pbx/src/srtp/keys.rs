//! From the master key to what seals one packet (RFC 3711 sections 4.1 and 4.3).

use aes::Aes128;
use aes::cipher::{KeyIvInit, StreamCipher};
use ctr::Ctr128BE;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::fmt;

/// A master key of 16 bytes and its salt of 14, in the order in which SDP has them. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey([u8; MasterKey::LENGTH]);

impl MasterKey {
    /// Bytes of key and salt.
    pub const LENGTH: usize = 30;

    /// These bytes: the key, then the salt.
    pub const fn from_bytes(bytes: [u8; MasterKey::LENGTH]) -> MasterKey {
        MasterKey(bytes)
    }

    /// The key, then the salt.
    pub const fn as_bytes(&self) -> &[u8; MasterKey::LENGTH] {
        &self.0
    }

    /// What seals RTP.
    pub(super) fn for_rtp(&self) -> SessionKeys {
        self.session_keys(0)
    }

    /// What seals RTCP.
    pub(super) fn for_rtcp(&self) -> SessionKeys {
        self.session_keys(3)
    }

    /// The three keys whose labels begin at `label`: cipher, authentication, salt (section 4.3.2). They are derived once: the key
    /// derivation rate is zero.
    fn session_keys(&self, label: u8) -> SessionKeys {
        let (mut cipher, mut authentication, mut salt) = ([0; 16], [0; 20], [0; 14]);
        self.derive(label, &mut cipher);
        self.derive(label + 1, &mut authentication);
        self.derive(label + 2, &mut salt);
        let mac = Hmac::new_from_slice(&authentication).expect("HMAC takes a key of any length");
        SessionKeys { cipher, salt, mac }
    }

    fn derive(&self, label: u8, out: &mut [u8]) {
        let (key, salt) = self.0.split_at(16);
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(salt);
        iv[7] ^= label;
        out.fill(0);
        apply(key, &iv, out);
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// What seals the packets of one session, RTP or RTCP.
#[derive(Clone)]
pub(super) struct SessionKeys {
    cipher: [u8; 16],
    salt: [u8; 14],
    mac: Hmac<Sha1>,
}

impl SessionKeys {
    /// Encrypts or decrypts, which is the same: the key stream of this packet is laid over it (section 4.1.1).
    pub(super) fn cover(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        let lay = |iv: &mut [u8], bytes: &[u8]| iv.iter_mut().zip(bytes).for_each(|(at, byte)| *at ^= byte);
        lay(&mut iv[4..8], &ssrc.to_be_bytes());
        // 48 bits of it.
        lay(&mut iv[8..14], &index.to_be_bytes()[2..]);
        apply(&self.cipher, &iv, data);
    }

    /// The tag of what is authenticated: the packet, then what both sides know besides (section 4.2).
    pub(super) fn tag(&self, packet: &[u8], besides: &[u8]) -> [u8; 20] {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(besides);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(..)")
    }
}

fn apply(key: &[u8], iv: &[u8; 16], data: &mut [u8]) {
    let mut cipher = Ctr128BE::<Aes128>::new_from_slices(key, iv).expect("the key has 16 bytes");
    cipher.apply_keystream(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3711 appendix B.2.
    #[test]
    fn the_key_stream_is_that_of_the_rfc() {
        let keys = SessionKeys {
            cipher: bytes("2B7E151628AED2A6ABF7158809CF4F3C"),
            salt: bytes("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
            mac: Hmac::new_from_slice(&[]).unwrap(),
        };
        let mut stream = vec![0; 0xff02 * 16];
        keys.cover(0, 0, &mut stream);
        let expected = [
            (0x0000, "E03EAD0935C95E80E166B16DD92B4EB4"),
            (0x0001, "D23513162B02D0F72A43A2FE4A5F97AB"),
            (0x0002, "41E95B3BB0A2E8DD477901E4FCA894C0"),
            (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
            (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
            (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
        ];
        for (block, text) in expected {
            assert_eq!(stream[block * 16..][..16], bytes::<16>(text), "block {block:#x}");
        }
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn the_derived_keys_are_those_of_the_rfc() {
        let master: [u8; 30] = [
            bytes::<16>("E1F97A0D3E018BE0D64FA32C06DE4139").as_slice(),
            &bytes::<14>("0EC675AD498AFEEBB6960B3AABE6"),
        ]
        .concat()
        .try_into()
        .unwrap();
        let master = MasterKey::from_bytes(master);
        let keys = master.for_rtp();
        assert_eq!(keys.cipher, bytes("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(keys.salt, bytes("30CBBC08863D8C85D49DB34A9AE1"));
        let mut authentication = [0; 94];
        master.derive(1, &mut authentication);
        let expected = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF7227098\
                        6371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2";
        assert_eq!(authentication, bytes(expected));
    }

    #[test]
    fn keys_are_not_printed() {
        let master = MasterKey::from_bytes([0xab; 30]);
        let printed = format!("{master:?} {:?}", master.for_rtp()).to_lowercase();
        assert!(!printed.contains("ab") && !printed.contains("171"), "{printed}");
    }

    fn bytes<const LENGTH: usize>(hex: &str) -> [u8; LENGTH] {
        assert_eq!(hex.len(), 2 * LENGTH);
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }
}
