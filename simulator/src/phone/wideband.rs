//! A codec of 16000 samples a second at a telephone whose people say and hear 8000.

use pbx::audio::resample::Halfband;
use pbx::audio::{Coding, Decoder, Encoder, NARROWBAND};

/// What makes and reads it, both ways of one call.
pub(super) struct Wideband {
    coding: Coding,
    encoder: Encoder,
    decoder: Decoder,
    widening: Halfband,
    narrowing: Halfband,
    heard: Vec<i16>,
}

impl Wideband {
    /// `None` where its samples do not fit.
    pub(super) fn new(coding: Coding) -> Option<Wideband> {
        Some(Wideband {
            coding,
            encoder: Encoder::new(coding),
            decoder: Decoder::new(coding),
            widening: Halfband::new(NARROWBAND, coding.rate())?,
            narrowing: Halfband::new(coding.rate(), NARROWBAND)?,
            heard: Vec::new(),
        })
    }

    pub(super) fn coding(&self) -> Coding {
        self.coding
    }

    /// Appends the payload of these samples.
    pub(super) fn say(&mut self, samples: impl Iterator<Item = i16>, packet: &mut Vec<u8>) {
        let (narrow, mut wide) = (samples.collect::<Vec<i16>>(), Vec::new());
        self.widening.resample(&narrow, &mut wide);
        self.encoder.encode(&wide, packet);
    }

    /// The samples of a payload.
    pub(super) fn hear(&mut self, payload: &[u8]) -> &[i16] {
        let mut wide = Vec::new();
        self.decoder.decode(payload, &mut wide);
        self.heard.clear();
        self.narrowing.resample(&wide, &mut self.heard);
        &self.heard
    }
}
