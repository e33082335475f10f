//! Where the bytes of packets are kept: one after the other in blocks, as most of them are small and all of them stay until
//! their world ends.

use bytes::{Bytes, BytesMut};

/// So many bytes of packets are kept in one piece.
const BLOCK: usize = 1 << 16;

/// The block that is being filled.
#[derive(Default)]
pub(super) struct Store {
    block: BytesMut,
}

impl Store {
    /// The same bytes, kept for whoever has them.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > self.block.capacity() - self.block.len() {
            self.block = BytesMut::with_capacity(BLOCK.max(bytes.len()));
        }
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_as_it_was() {
        let mut store = Store::default();
        let packet = |number: usize| vec![number as u8; 1 + number * 7 % 1_500];
        let kept: Vec<Bytes> = (0..1_000).map(|number| store.keep(&packet(number))).collect();
        assert!(kept.iter().enumerate().all(|(number, kept)| **kept == *packet(number)));
        assert_eq!(store.keep(&[7; BLOCK + 1])[..], [7; BLOCK + 1]);
        assert_eq!(store.keep(b""), Bytes::new());
    }
}
