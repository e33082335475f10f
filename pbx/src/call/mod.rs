//! Calls: the only room that knows that two legs belong together.
//!
//! A `Call` begins with an INVITE that was let in, and ends with one record. What it does in between is its
//! stage: an application answers it, or telephones and trunks are dialled and the first to answer is bridged to the
//! caller. Commands from outside and messages of either leg change the stage; every change tells an event.
//!
//! | file | what is in it |
//! |---|---|
//! | `calls.rs` | all calls, and which session, stream, request belongs to which |
//! | `call.rs` | one call: its stages from INVITE to record |
//! | `dial.rs`, `ring.rs` | who is rung, and the ringing: extensions, trunk targets |
//! | `forward.rs` | what becomes of a call that nobody answered |
//! | `join.rs` | the one who answered and the caller hear each other |
//! | `application.rs`, `announcement.rs` | tone, echo, what is in a file |
//! | `conference.rs` | many who hear each other |
//! | `recording.rs` | what is recorded, and where |
//! | `voicemail.rs`, `mailboxes.rs` | messages that are left and listened to |
//! | `sounds.rs` | files that are read or played |
//! | `codecs.rs` | what a leg is offered in view of the other one |
//! | `reoffer.rs` | changes of a session in mid-call: hold, codec, address |
//! | `mapping.rs` | what of a message on one side is told on the other |
//! | `passage.rs` | requests that pass from leg to leg: INFO, MESSAGE |
//! | `leg.rs`, `ports.rs` | a leg with its media; RTP port pairs |
//! | `context.rs` | what calls act upon |
//! | `command.rs` | what is asked of calls from outside |
//! | `control.rs` | commands: each finds its call; what concerns two |
//! | `waiting.rs` | a call that waits for an application |
//! | `controlled.rs`, `playing.rs`, `holding.rs` | a call in somebody's hand: what it hears, what is played to it, hold |
//! | `away.rs` | its telephone puts the one it talks to on hold |
//! | `collecting.rs`, `sending.rs` | keys that are gathered or pressed, requests by command |
//! | `transfer.rs` | a call goes to somebody else, blindly or after a talk |
//! | `referral.rs`, `replacing.rs` | a telephone asks for a transfer (REFER), or takes the place of another one (Replaces) |
//! | `queue.rs` | callers who wait for agents |
//! | `mixes.rs`, `supervision.rs` | who hears whom where more than two do |
//! | `survey.rs`, `profile.rs`, `watched.rs` | calls as people and programs see them who look; the dialogs of an extension for who watches it |

mod announcement;
mod application;
mod asking;
mod away;
mod call;
mod calls;
mod codecs;
mod collecting;
mod command;
mod conference;
mod context;
mod control;
mod controlled;
mod dial;
mod facts;
mod forward;
mod holding;
mod join;
mod leg;
mod mailboxes;
mod mapping;
mod mixes;
mod passage;
mod playing;
mod ports;
mod profile;
mod queue;
mod recording;
mod referral;
mod reoffer;
mod replacing;
mod ring;
mod sending;
mod sounds;
mod supervision;
mod survey;
mod transfer;
mod voicemail;
mod waiting;
mod watched;

pub(crate) use calls::{Calls, Incoming};
pub(crate) use command::{
    Answer, Code, Collect, Command, Originate, Part, Play, Record, Refusal, Request, Sound, Ticket,
};
pub(crate) use context::Context;
pub(crate) use facts::Root;
pub(crate) use mapping::{from_user, not_allowed_reply, options_reply, passed_back, passed_on};
pub(crate) use ports::Ports;
pub(crate) use profile::Profile;
pub(crate) use watched::{DialogNow, DialogState};
