//! Tones: sines made exactly, keys found in audio, all that is heard in a recording, and whether that is what was to be
//! heard. No stream, no time: samples are counted, not seconds.

pub mod dtmf;
pub mod scan;
pub mod schedule;
pub mod sine;
pub mod verdict;

pub use sine::{Sine, Wave};
