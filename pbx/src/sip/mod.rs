//! SIP messages: parse, look at, change, write (RFC 3261 sections 7, 19, 20 and 25). No time, no state.
//!
//! A message is lossless: what was not touched is written as it came, byte for byte. [`Request`] and [`Response`]
//! hold one buffer and a table of header lines; typed values ([`Uri`], [`Via`], [`NameAddr`], ...) borrow from it and
//! are made when somebody asks.

pub mod digest;
mod headers;
mod message;
mod method;
mod parse;
mod path;
mod status;
mod uri;
mod values;

pub use headers::{Headers, Name};
pub use message::{Message, Request, Response};
pub use method::Method;
pub use parse::{Limits, ParseError};
pub use path::{ConnectionId, Path, Transport};
pub use status::{StatusCode, reason_phrase};
pub use uri::{Host, Params, Uri};
pub use values::{CSeq, NameAddr, Via, quoted_list};
