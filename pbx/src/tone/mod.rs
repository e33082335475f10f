//! Tones: sines made exactly, keys found in audio. No stream, no time: samples are counted, not seconds.

pub mod dtmf;
pub mod sine;

pub use sine::{Sine, Wave};
