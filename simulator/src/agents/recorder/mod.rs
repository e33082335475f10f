//! A recorder (SRS of RFC 7866): takes recording sessions, keeps each of their streams by its label, and holds what it is
//! sent against the RFCs. And its client (SRC), which records two voices for as long as no PBX does.
//!
//! | file | what is in it |
//! |---|---|
//! | `machine.rs` | the recorder as a machine |
//! | `client.rs` | who asks it to record |
//! | `envelope.rs` | a description and metadata in one body |
//! | `description.rs` | streams with labels |
//! | `metadata.rs` | who takes part, who sends what |

mod client;
mod description;
mod envelope;
mod machine;
mod metadata;

pub use client::Client;
pub use metadata::{Metadata, Participant, Stream};

use super::sip::Desk;
use crate::network::SimHost;
use crate::phone::{Hearing, SIP_PORT};
use machine::Machine;
use pbx::rng::Rng;
use pbx::shell::host::Host;
use pbx::sip::StatusCode;
use pbx::time::{Duration, Instant};
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

/// What a recorder does when it is to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reaction {
    /// It records.
    #[default]
    Records,
    /// After so long.
    RecordsAfter(Duration),
    /// It refuses.
    Refuses(StatusCode),
    /// It takes the INVITE and answers no more than 100.
    NeverAnswers,
    /// It says nothing at all.
    IsDead,
    /// It answers that it is not ready: `a=inactive`.
    IsNotReady,
    /// It takes the first stream only.
    TakesOneStream,
    /// It answers 200 and takes no stream.
    TakesNoStream,
    /// Its 200 has no description.
    LeavesOutTheDescription,
    /// Its answer has a stream less than the offer.
    LeavesOutAStream,
    /// It answers 200 and reacts to nothing that follows.
    FallsSilent,
}

impl FromStr for Reaction {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Reaction, &'static str> {
        let number = |text: &str| text.split(' ').next().and_then(|word| word.parse().ok());
        if let Some(time) = text.strip_prefix("records after ").and_then(number) {
            return Ok(Reaction::RecordsAfter(Duration::from_secs_f64(time)));
        }
        if let Some(status) = text.strip_prefix("answers ").and_then(|status| status.parse().ok()) {
            return StatusCode::new(status).map(Reaction::Refuses).ok_or("a status is from 100 to 699");
        }
        match text {
            "records" => Ok(Reaction::Records),
            "never answers" => Ok(Reaction::NeverAnswers),
            "is dead" => Ok(Reaction::IsDead),
            "is not ready" => Ok(Reaction::IsNotReady),
            "takes one stream" => Ok(Reaction::TakesOneStream),
            "takes no stream" => Ok(Reaction::TakesNoStream),
            "leaves out the description" => Ok(Reaction::LeavesOutTheDescription),
            "leaves out a stream" => Ok(Reaction::LeavesOutAStream),
            "falls silent" => Ok(Reaction::FallsSilent),
            _ => Err("no reaction of a recorder has this name"),
        }
    }
}

/// A recording session, from the INVITE to what is left of it.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// When it was asked for.
    pub began_at: Instant,
    /// When it was accepted.
    pub answered_at: Option<Instant>,
    /// When it was over.
    pub ended_at: Option<Instant>,
    /// What was said of it, in order.
    pub metadata: Vec<Metadata>,
    /// Its streams in the order of the description.
    pub tracks: Vec<Track>,
}

/// What was recorded of one stream.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// What the description calls it.
    pub label: String,
    /// The sound.
    pub hearing: Hearing,
    /// Whether it is to be sent now.
    pub is_on: bool,
    /// Packets that came although they should not.
    pub stray: u64,
}

impl Recording {
    /// Whether it goes on.
    pub fn is_on(&self) -> bool {
        self.answered_at.is_some() && self.ended_at.is_none()
    }

    /// The track of a label.
    pub fn track(&self, label: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.label == label)
    }
}

/// A recorder; clones are the same recorder.
#[derive(Clone)]
pub struct Recorder {
    desk: Arc<Desk<Machine>>,
}

impl Recorder {
    /// A recorder on a host of its own.
    pub fn start(host: SimHost, name: &str) -> Recorder {
        let local = SocketAddr::new(host.address(), SIP_PORT);
        let machine = Machine::new(name, local, Rng::new(host.seed()));
        Recorder { desk: Desk::start(host, local, machine) }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.desk.host.address(), SIP_PORT)
    }

    /// What it does from now on when it is to record.
    pub fn react(&self, reaction: Reaction) {
        self.desk.act(|machine, _| machine.reaction = reaction);
    }

    /// It ends what it records.
    pub fn hang_up(&self) {
        self.desk.act(Machine::hang_up);
    }

    /// Its machine loses its power, and with it every session; what was recorded stays.
    pub fn crash(&self) {
        self.desk.crash();
        self.desk.look(Machine::forget);
    }

    /// Its machine is on again.
    pub fn restart(&self) {
        self.desk.restart();
    }

    /// All its sessions, oldest first.
    pub fn recordings(&self) -> Vec<Recording> {
        self.desk.look(|machine, _| machine.recordings())
    }

    /// What was against the RFCs.
    pub fn complaints(&self) -> Vec<String> {
        self.desk.look(|machine, _| machine.complaints.clone())
    }

    /// Whether it was told to do what no recorder should.
    pub fn misbehaves(&self) -> bool {
        self.desk.look(|machine, _| match machine.reaction {
            Reaction::Records
            | Reaction::RecordsAfter(_)
            | Reaction::Refuses(_)
            | Reaction::IsNotReady
            | Reaction::TakesOneStream
            | Reaction::TakesNoStream => false,
            Reaction::NeverAnswers
            | Reaction::IsDead
            | Reaction::LeavesOutTheDescription
            | Reaction::LeavesOutAStream
            | Reaction::FallsSilent => true,
        })
    }

    /// Whether no session and no transaction is left.
    pub fn is_idle(&self) -> bool {
        self.desk.look(|machine, _| machine.is_idle())
    }
}
