//! What we say ourselves, as payloads: 8000 samples a second in, packets of whatever codec was agreed on out.

use crate::audio::resample::Halfband;
use crate::audio::{Coding, Encoder, NARROWBAND};

/// Says what it is told in one codec.
#[derive(Debug)]
pub(super) struct Speaker {
    coding: Coding,
    encoder: Encoder,
    fitting: Halfband,
    /// At the rate of the codec.
    sound: Vec<i16>,
}

impl Speaker {
    /// In this codec; `None` where narrowband sound does not fit it.
    pub(super) fn new(coding: Coding) -> Option<Speaker> {
        let fitting = Halfband::new(NARROWBAND, coding.rate())?;
        Some(Speaker { coding, encoder: Encoder::new(coding), fitting, sound: Vec::new() })
    }

    pub(super) fn is_for(&self, coding: Coding) -> bool {
        self.coding == coding
    }

    /// Appends the payload of what is said next.
    pub(super) fn say(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        self.sound.clear();
        self.fitting.resample(samples, &mut self.sound);
        self.encoder.encode(&self.sound, out);
    }
}
