//! The sentences, a file a subject. Each is one line of meaning over the simulator.

mod application;
mod calling;
mod configuration;
mod crowd;
mod dispatcher;
mod faults;
mod media;
mod misbehaving;
mod network;
mod office;
mod pauses;
mod provider;
mod recorder;
mod registering;
mod router;
mod rules;
mod secure;
mod sinks;
mod storage;
mod stranger;
mod swarm;
mod talking;
mod telephones;
mod time;
mod tones;
mod transfer;
mod trunk;
mod voicemail;
mod watching;

/// The text of every file of sentences, for the dictionary.
pub(crate) const SOURCES: &[&str] = &[
    include_str!("application.rs"),
    include_str!("calling.rs"),
    include_str!("configuration.rs"),
    include_str!("crowd.rs"),
    include_str!("dispatcher.rs"),
    include_str!("faults.rs"),
    include_str!("media.rs"),
    include_str!("misbehaving.rs"),
    include_str!("network.rs"),
    include_str!("office.rs"),
    include_str!("pauses.rs"),
    include_str!("provider.rs"),
    include_str!("recorder.rs"),
    include_str!("registering.rs"),
    include_str!("router.rs"),
    include_str!("rules.rs"),
    include_str!("secure.rs"),
    include_str!("sinks.rs"),
    include_str!("storage.rs"),
    include_str!("stranger.rs"),
    include_str!("swarm.rs"),
    include_str!("talking.rs"),
    include_str!("telephones.rs"),
    include_str!("time.rs"),
    include_str!("tones.rs"),
    include_str!("transfer.rs"),
    include_str!("trunk.rs"),
    include_str!("voicemail.rs"),
    include_str!("watching.rs"),
];
