//! A SIP PBX whose core does no I/O.
//!
//! [`Pbx`](pbx::Pbx) is a state machine: messages, media events and the time go in; messages, media commands
//! and the next deadline come out. It opens no socket, reads no clock and draws no random number of its own,
//! so the same inputs always give the same outputs. The [`shell`] moves bytes and time between it and the world.
//!
//! The rooms, each of which uses only those above it:
//!
//! | room | what is in it |
//! |---|---|
//! | [`time`], [`rng`] | the time as a value, seeded dice |
//! | [`buggify`] | where a simulated world may make life harder; nothing in a program that is for real |
//! | [`sip`], [`srtp`], [`sdp`], [`rtp`], [`audio`], [`tone`] | values and text: no time, no state between calls |
//! | [`transaction`] | RFC 3261 section 17 with RFC 6026: four machines, one timer table |
//! | [`dialog`] | RFC 3261 sections 12 to 15, PRACK, UPDATE, session timers |
//! | [`config`], [`registrar`], [`auth`], [`route`] | what was wished, who is where, who may, who is meant |
//! | [`media`] | a port pair per leg: relay, play, collect DTMF |
//! | [`cdr`], [`boundary`] | the call record; what comes into the core and goes out of it |
//! | [`call`] | leg, bridge, call: the only room that knows two legs |
//! | [`watch`] | who wants to know of messages and of others' calls |
//! | [`rwi`] | applications that control calls by JSON |
//! | [`pbx`] | all of it as one state machine |
//! | [`shell`] | the seam to the world: sockets, HTTP, files, threads |

pub mod time;

pub mod rng;

pub mod buggify;

pub mod audio;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod srtp;
pub mod tone;

pub mod transaction;

pub mod dialog;

pub mod auth;
pub mod config;
pub mod registrar;
pub mod route;

pub mod media;

pub mod boundary;
pub mod cdr;

pub mod call;

pub mod watch;

pub mod rwi;

pub mod pbx;

pub mod shell;
