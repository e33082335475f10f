//! Whether a recording holds what its schedule says, and each difference as a sentence.
//!
//! | file | what is in it |
//! |---|---|
//! | `compare.rs` | a recording against a schedule: channels that are silent, swapped, missing; then each by itself |
//! | `keys.rs` | the keys of one channel |
//! | `tones.rs` | its tones and rhythms |
//! | `align.rs` | which of what was heard is which of what was expected |
//! | `sound.rs` | whether what was heard is clipped, or too loud, or too faint |
//! | `sentence.rs` | how each difference is said |

mod align;
mod compare;
mod keys;
mod sentence;
mod sound;
#[cfg(test)]
mod tests;
mod tones;

pub use compare::{Heard, compare};

use super::scan::Reason;
use super::schedule::What;

/// One thing in which a recording is not as expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// On which channel, counted from 0.
    pub channel: usize,
    /// Whose channel that is.
    pub name: Option<String>,
    /// In what.
    pub kind: Kind,
}

/// What is not as expected. Times are milliseconds in the recording.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The recording has no such channel.
    NoChannel {
        /// How many it has.
        has: usize,
    },
    /// The recording has a channel more, on which something is heard.
    MoreChannels {
        /// How many are expected.
        expected: usize,
    },
    /// Nothing at all is heard on this channel.
    Silent {
        /// How many keys, tones and rhythms were expected.
        expected: usize,
        /// When the first of them was.
        from: f64,
    },
    /// This channel holds what was expected of the other one, and the other way round.
    Swapped {
        /// Which, counted from 0.
        with: usize,
    },
    /// Something was not heard.
    Missing {
        /// What.
        what: What,
        /// When it was expected.
        at: f64,
        /// What was there instead.
        instead: Instead,
    },
    /// Something was heard that was not expected.
    Extra {
        /// What.
        what: What,
        /// When.
        at: f64,
    },
    /// It is heard at another time: all of it later or earlier.
    Moved {
        /// What.
        what: What,
        /// When it was expected.
        expected: f64,
        /// When it was heard.
        heard: f64,
    },
    /// It begins when it should not, but ends when it should.
    Begins {
        /// What.
        what: What,
        /// When it was to begin.
        expected: f64,
        /// When it does.
        heard: f64,
    },
    /// It begins when it should and ends when it should not.
    Ends {
        /// What.
        what: What,
        /// When it began.
        at: f64,
        /// When it was to end.
        expected: f64,
        /// When it does.
        heard: f64,
    },
    /// It is louder than the line can carry: its tops are cut off.
    Clipped {
        /// What.
        what: What,
        /// When it began.
        at: f64,
        /// What that adds to it, in dB below it.
        distortion: f64,
    },
    /// Its level is not what was written down.
    Level {
        /// What.
        what: What,
        /// When it began.
        at: f64,
        /// The level of its sines that was expected, in dBm0.
        expected: f64,
        /// That which is furthest from it.
        heard: f64,
    },
}

/// What is heard where something else was expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Instead {
    /// Nothing.
    Nothing,
    /// Something in which there is neither a key nor a tone.
    Unclear,
    /// Something else.
    Other(What),
    /// It, but with its frequencies off: these in Hz, by so many percent.
    Off(Vec<f64>, f64),
    /// Something that looks like it and does not count.
    Rejected(Reason),
}
