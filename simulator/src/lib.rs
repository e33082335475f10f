//! A deterministic world around the PBX: a network, the time, telephones, faults.
//!
//! Everything in a world follows from one seed. Virtual time jumps from event to event, so an idle hour costs nothing;
//! what happens to each packet is drawn from its link and its number alone, so taking one fault away shifts no other.
//!
//! ```
//! use pbx::time::Duration;
//!
//! simulator::world::play(7, async |stage| {
//!     let (alice, bob) = (stage.phone("alice").await, stage.phone("bob").await);
//!     alice.register();
//!     bob.register();
//!     stage.pass(Duration::from_secs(1)).await;
//!     alice.call("bob");
//!     assert!(stage.until(Duration::from_secs(1), |_| bob.is_ringing()).await);
//! });
//! ```
//!
//! Time passes while the scene awaits [`stage::Stage::pass`] and its like; a program of its own takes the timers of
//! [`pbx::shell::timer`], as tokio's run on the clock of the machine.
//!
//! When the scene is over, everything comes to rest and every rule of [`rules`] is asked; a failure tells what was broken, by
//! what, and shows the ladder. A test that wants to look at its world from outside, step by step, has a [`world::World`]:
//!
//! ```
//! use futures::executor::block_on;
//! use pbx::time::Duration;
//! use simulator::{stage::Stage, world::World};
//!
//! let world = World::new(7);
//! block_on(world.play(async |stage: &mut Stage| stage.phone("alice").await.register()));
//! block_on(world.pass(Duration::from_secs(1)));
//! let is_known = block_on(world.with(|stage: &mut Stage| stage.phones()["alice"].is_registered()));
//! assert!(is_known);
//! block_on(world.conclude());
//! ```
//!
//! | room | what is in it |
//! |---|---|
//! | [`dice`] | draws that depend on what they are for, not on what was drawn before |
//! | [`guards`] | what no program of a world may touch: the machine |
//! | [`network`] | hosts, links with faults, datagrams and streams: the seam of the PBX, simulated |
//! | [`disk`] | files that survive a crash as on a real disk |
//! | [`ear`], [`tape`] | what is in a recording: tones, silence; recordings to be played |
//! | [`phone`] | telephones: good citizens that can be told to misbehave |
//! | [`web`] | somebody who looks at pages |
//! | `secure` | TLS with the dice and the date of a world, and what was said by it |
//! | [`agents`] | machines that others have: providers, recorders, applications, trunks, sinks |
//! | [`office`] | the PBX, whole and unchanged, on a host of the network |
//! | [`trace`], [`wire`], [`ladder`] | everything that was sent, in order; as messages; how people read it |
//! | [`faults`] | what went wrong in a run, as a list that can be replayed and edited |
//! | [`logbook`] | what is logged, with the virtual time |
//! | [`rules`] | what holds in every run |
//! | [`stage`], [`world`] | all of it together, on a thread of its own |
//! | [`swarm`] | calls that nobody thought of, by the thousand; the smallest that still goes wrong |
//! | [`artefacts`] | what is left of a run for people and their tools: a page, a capture, sound |

pub mod dice;
mod digest;
pub mod disk;
pub mod guards;
pub mod network;

pub mod agents;
pub mod ear;
pub mod phone;
pub(crate) mod secure;
pub mod tape;
pub mod web;

pub mod ladder;
pub mod logbook;
pub mod office;
pub mod trace;
pub mod wire;

pub mod faults;
pub mod rules;
pub mod stage;

mod engine;
pub mod world;

pub mod artefacts;
pub mod swarm;
