//! RTP and RTCP as values: headers, reception statistics, reports, telephone events. No socket, no time of its own.
//!
//! [`packet`] reads and writes the twelve bytes, [`receiver`] is RFC 3550 appendices A.1, A.3 and A.8 to the letter,
//! [`report`] is RTCP, [`interval`] says when it is due, [`event`] is RFC 4733 in both directions. Who may send to
//! whom, and what is done with a payload, is decided in [`crate::media`].

pub mod event;
pub mod interval;
pub mod jitter;
pub mod packet;
pub mod receiver;
pub mod report;

pub use packet::{Header, NotRtp, View};
pub use receiver::{Arrival, Receiver};

/// A duration in the units of an RTP clock, rounded down; wraps as RTP timestamps do.
pub fn units(duration: std::time::Duration, clock_rate: u32) -> u32 {
    (duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u32
}
