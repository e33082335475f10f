//! A deterministic world around the PBX: a network, the time, faults.
//!
//! Everything in a world follows from one seed. Virtual time jumps from event to event, so an idle hour costs nothing;
//! what happens to each packet is drawn from its link and its number alone, so taking one fault away shifts no other.
//!
//! | room | what is in it |
//! |---|---|
//! | [`dice`] | draws that depend on what they are for, not on what was drawn before |
//! | [`network`] | hosts, links with faults, datagrams and streams: the seam of the PBX, simulated |
//! | [`disk`] | files that survive a crash as on a real disk |

pub mod dice;
pub mod disk;
pub mod network;
