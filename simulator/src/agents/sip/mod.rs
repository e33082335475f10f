//! SIP for machines that take calls or make them: recorders and their clients, trunks. A [`Station`] keeps dialogs by RFC
//! 3261 sections 12 to 15 and decides nothing; [`Desk`] moves its bytes and its time. Telephones have more to them and an
//! agent of their own.
//!
//! | file | what is in it |
//! |---|---|
//! | `station.rs` | calls: INVITE both ways, what happens within them, their end |
//! | `dialog.rs` | one dialog: who the two ends are, the next request |
//! | `talk.rs` | RTP: a tone out, a recording in |
//! | `wire.rs` | sockets and time |

mod dialog;
mod station;
mod talk;
mod wire;

pub(super) use station::{Body, CallId, Event, Invitation, Station, user_of};
pub(super) use talk::{Listener, Talker};
pub(super) use wire::{Desk, Machine, Output};
