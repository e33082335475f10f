//! Why an offer or an answer comes to nothing.

use super::ParseError;
use crate::sip::StatusCode;
use std::fmt;

/// Why an offer or an answer is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NegotiationError {
    /// Not a description.
    Unreadable(ParseError),
    /// There is no audio stream.
    NoAudio,
    /// There is audio, but not over plain RTP: this profile.
    Profile(String),
    /// There is audio over secure RTP, but no key in it that we can use.
    NoKey,
    /// There is audio over plain RTP only, where it has to be sealed.
    Unsealed,
    /// There is audio, but at a name, a multicast group or nowhere.
    NoAddress,
    /// There is audio, but no codec in common.
    NoCommonCodec,
    /// An offer has come while ours waits for its answer (RFC 3261 section 14.2).
    Glare,
    /// A second offer has come before we answered the first.
    OfferPending,
    /// An answer to nothing, or nothing to be answered.
    NothingOffered,
    /// The answer does not have the m-lines of the offer (RFC 3264 section 6).
    OtherStreams,
    /// The answer refuses the audio stream.
    Refused,
}

impl NegotiationError {
    /// What a request that made this offer is answered. 500 wants Retry-After (RFC 3261 section 14.2, RFC 3311
    /// section 5.2).
    pub fn status(&self) -> StatusCode {
        match self {
            NegotiationError::Unreadable(_) => StatusCode::BAD_REQUEST,
            NegotiationError::Glare => StatusCode::REQUEST_PENDING,
            NegotiationError::OfferPending => StatusCode::SERVER_INTERNAL_ERROR,
            NegotiationError::NoAudio
            | NegotiationError::Profile(_)
            | NegotiationError::NoKey
            | NegotiationError::Unsealed
            | NegotiationError::NoAddress
            | NegotiationError::NoCommonCodec
            | NegotiationError::NothingOffered
            | NegotiationError::OtherStreams
            | NegotiationError::Refused => StatusCode::NOT_ACCEPTABLE_HERE,
        }
    }
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NegotiationError::Unreadable(error) => error.fmt(f),
            NegotiationError::NoAudio => f.write_str("there is no audio stream"),
            NegotiationError::Profile(profile) => write!(f, "the audio stream is {profile}, not RTP/AVP"),
            NegotiationError::NoKey => f.write_str("the audio stream has no key that can be used"),
            NegotiationError::Unsealed => f.write_str("the audio stream is not encrypted, and has to be"),
            NegotiationError::NoAddress => f.write_str("the audio stream has no address that can be used"),
            NegotiationError::NoCommonCodec => f.write_str("there is no common codec"),
            NegotiationError::Glare => f.write_str("our own offer waits for its answer"),
            NegotiationError::OfferPending => f.write_str("an earlier offer waits for our answer"),
            NegotiationError::NothingOffered => f.write_str("no offer waits for an answer"),
            NegotiationError::OtherStreams => f.write_str("the answer has other streams than the offer"),
            NegotiationError::Refused => f.write_str("the answer refuses the audio stream"),
        }
    }
}

impl std::error::Error for NegotiationError {}
