//! Tables in which a packet is looked up, by the addresses in it. They are asked and never read through, so that their order
//! does not matter; their hash is the same on every machine.

use crate::digest::Digest;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// By a key that hashes to one word.
#[expect(clippy::disallowed_types, reason = "its hasher is fixed, and nobody reads it through")]
pub(super) type Lookup<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Digest>>;

/// A way from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way(pub(super) IpAddr, pub(super) IpAddr);

impl Hash for Way {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(address_bits(self.0).rotate_left(32) ^ address_bits(self.1));
    }
}

/// Where a socket is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) SocketAddr);

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(address_bits(self.0.ip()).rotate_left(16) ^ u64::from(self.0.port()));
    }
}

/// A host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine(pub(super) IpAddr);

impl Hash for Machine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(address_bits(self.0));
    }
}

/// An address of version 4 as it is; of version 6 both halves count.
pub(super) fn address_bits(address: IpAddr) -> u64 {
    let bits = match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    (bits >> 64) as u64 ^ bits as u64
}
