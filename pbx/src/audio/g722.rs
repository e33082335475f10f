//! G.722 at 64 kbit/s: each byte is two samples of 16000 a second.
//!
//! [`ezk_g722`] returns a buffer of its own for each payload: alone of all codecs this one allocates.

use ezk_g722::libg722::{Bitrate, decoder, encoder};
use std::fmt;

/// Payloads of one stream.
pub(super) struct Decoder(decoder::Decoder);

/// Sound of one stream.
pub(super) struct Encoder(encoder::Encoder);

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder(decoder::Decoder::new(Bitrate::Mode1_64000, false, false))
    }
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder(encoder::Encoder::new(Bitrate::Mode1_64000, false, false))
    }
}

impl Decoder {
    pub(super) fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.extend(self.0.decode(payload));
    }
}

impl Encoder {
    pub(super) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(self.0.encode(samples));
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoder")
    }
}
