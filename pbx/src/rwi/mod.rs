//! RWI: applications control calls by JSON over a WebSocket. Sans-IO: frames come in, frames go out.
//!
//! A client is a connection; a session is what a client may come back to when its connection is lost: its events with
//! their numbers, what it has subscribed to, the calls it holds. What is asked of calls is done by [`crate::call`]; here it is
//! only decided who may ask, what the frames say, and who is told what.
//!
//! | file | what is in it |
//! |---|---|
//! | `desk.rs` | everything: clients, sessions, what they ask for and are told |
//! | `holding.rs` | who holds which call |
//! | `session.rs` | one session: numbers, buffer, subscriptions |
//! | `action.rs`, `params.rs` | what can be asked: from JSON to a value |
//! | `catalogue.rs` | every action with its parameters, for people who read about it |
//! | `story.rs` | what happened, as an event is written |
//! | `frame.rs` | frames in either dialect |
//! | `flat.rs`, `lately.rs` | events in the dialect of RustPBX, and those that may be told again |
//! | `custom.rs` | what clients of that PBX do otherwise than others |

mod action;
mod catalogue;
mod custom;
mod desk;
mod flat;
mod frame;
mod holding;
mod lately;
mod params;
mod session;
mod story;

pub use catalogue::document;
pub(crate) use desk::Desk;
