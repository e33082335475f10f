//! Session descriptions and the offer/answer model (RFC 8866, RFC 3264, RFC 6337). Text and values, no time.
//!
//! A [`Negotiation`] is one side of one session: it remembers what was offered and agreed, writes our offers and answers
//! (constant `o=` line, version up by one when something changed) and reads the other side's.

mod agree;
mod codec;
mod crypto;
mod direction;
mod error;
mod negotiation;
mod numbers;
mod read;
mod write;

#[cfg(test)]
mod properties;

pub use codec::offerable;
pub use crypto::{Crypto, Protection, Sealing, Srtp};
pub use error::NegotiationError;
pub use negotiation::Negotiation;
pub use read::ParseError;

use std::net::SocketAddr;

/// A codec as an `m=` line lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// The encoding name as in `a=rtpmap`, e.g. `PCMU`; compared without case.
    pub name: String,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Channels, 1 when the rtpmap does not say.
    pub channels: u8,
    /// The value of `a=fmtp` for this payload type.
    pub fmtp: Option<String>,
}

/// Who sends (RFC 3264 section 5.1), seen from the one who writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// The writer sends.
    SendOnly,
    /// The writer receives.
    RecvOnly,
    /// Nobody.
    Inactive,
}

/// What we put into an offer or an answer: one audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAudio {
    /// Our RTP address; RTCP is at the next port.
    pub address: SocketAddr,
    /// In order of preference; `telephone-event` is one of them.
    pub codecs: Vec<Codec>,
    /// Who sends, seen from us.
    pub direction: Direction,
    /// Packet time in milliseconds.
    pub ptime: Option<u8>,
}

/// What the other side put into its offer or answer: its first usable audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAudio {
    /// Where it wants RTP; `None` for `c=0.0.0.0` (hold of RFC 2543) or port 0. Then it does not receive, whatever its
    /// attribute says, and `direction` says so too.
    pub rtp: Option<SocketAddr>,
    /// Where it wants RTCP: `a=rtcp` (RFC 3605) or the next port.
    pub rtcp: Option<SocketAddr>,
    /// As listed, in its order.
    pub codecs: Vec<Codec>,
    /// Who sends, seen from it.
    pub direction: Direction,
    /// `a=ptime`, milliseconds.
    pub ptime: Option<u8>,
    /// `a=maxptime`, milliseconds.
    pub maxptime: Option<u8>,
    /// `RTP/SAVP` and `a=crypto`.
    pub sealing: Sealing,
}

/// What both sides have agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The other side's end of it.
    pub remote: RemoteAudio,
    /// The codecs both listed, with the other side's payload types (what we send with), best first; without
    /// `telephone-event`.
    pub codecs: Vec<Codec>,
    /// `telephone-event`, when both listed it, with the other side's payload type.
    pub telephone_event: Option<Codec>,
    /// What of it we had offered under another number: the other side sends with ours (RFC 3264 section 6.1), though some
    /// send with theirs.
    pub renumbered: Vec<Codec>,
    /// Who sends, seen from us.
    pub direction: Direction,
    /// Packet time in milliseconds that we send with.
    pub ptime: u8,
    /// What packets are sealed with; `None` where they go in the clear.
    pub protection: Option<Protection>,
}
