//! SIP messages: parse, look at, change, write (RFC 3261 sections 7, 19, 20 and 25). No time, no state.
//!
//! A message is lossless: what was not touched is written as it came, byte for byte. [`Request`] and [`Response`]
//! hold one buffer and a table of header lines; typed values ([`Uri`], [`Via`], [`NameAddr`], ...) borrow from it and
//! are made when somebody asks.
//!
//! The way of what comes in: [`Framer`] cuts a stream into messages, [`Message::parse`] reads one, and
//! [`Request::validate`] says whether it is worth to be looked at. What cannot be read, [`salvage()`] makes answerable.

mod address;
pub mod digest;
mod equivalence;
mod error;
mod escape;
mod fields;
mod frame;
mod headers;
mod host;
mod line;
mod message;
mod method;
mod name;
mod params;
mod parse;
mod path;
#[cfg(test)]
mod properties;
mod salvage;
mod scan;
mod status;
mod uri;
mod validate;
mod values;
mod via;

pub use address::{Contacts, NameAddr};
pub use error::{ParseError, Refusal};
pub use escape::{escape_user, quote, unescape, unquote};
pub use frame::{Frame, FrameError, Framer, PONG};
pub use headers::Headers;
pub use host::Host;
pub use message::{Message, Request, Response};
pub use method::Method;
pub use name::Name;
pub use params::Params;
pub use parse::Limits;
pub use path::{ConnectionId, Path, Transport};
pub use salvage::salvage;
pub use scan::quoted_list;
pub use status::{StatusCode, reason_phrase};
pub use uri::Uri;
pub use values::{
    CSeq, Item, RAck, Reason, Refresher, Replaces, RetryAfter, SessionExpires, Warning, seconds,
};
pub use via::{SentBy, Via};
