//! Tones: sines made exactly, keys found in audio, and all that is heard in a recording. No stream, no time: samples are
//! counted, not seconds.

pub mod dtmf;
pub mod scan;
pub mod sine;

pub use crate::audio::recording;
pub use sine::{Sine, Wave};
