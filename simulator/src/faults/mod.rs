//! What went wrong in a run, as a list: what happened to packets, and what happened to machines and lines.
//!
//! A run's [`Plan`] is read off its trace, written to a file, edited, and replayed with the dice switched off
//! ([`Stage::follow`](crate::stage::Stage::follow)): the same run comes again, without the faults that were taken away.
//!
//! Packets are named by their link and their number on it, from 1. The number of a packet depends only on what was sent on
//! its link before, so a fault that is taken away moves those on other links little, and those before it not at all.

mod span;
mod text;

pub use span::write as write_span;
pub use text::ParseError;
pub(crate) use text::Raw;

use crate::ladder;
use crate::network::{Fate, Happening, Packet};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// All that went wrong in a run, or is to go wrong in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What happens to packets.
    pub packets: Vec<PacketFault>,
    /// What happens to machines and lines, in order.
    pub events: Vec<Event>,
}

/// What happens to one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketFault {
    /// Who sends it, by name.
    pub from: String,
    /// Whom it is for, by name.
    pub to: String,
    /// The how-manieth it is on this link, from 1.
    pub number: u64,
    /// What happens.
    pub fate: Fate,
    /// What the packet is, for people.
    pub note: String,
}

/// What happens to a machine or a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What can happen to machines and lines, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The machine is gone without a word.
    Off(String),
    /// The machine is on; if it was on, it was off for a moment.
    Restart(String),
    /// Nothing passes from the first to the second.
    Cut(String, String),
    /// Packets pass from the first to the second again.
    Mend(String, String),
}

impl Plan {
    /// What went wrong in a run.
    pub fn of(
        packets: &[Packet],
        happenings: &[(Instant, Happening)],
        names: &BTreeMap<IpAddr, String>,
    ) -> Plan {
        let name = |address: IpAddr| names.get(&address).cloned().unwrap_or_else(|| address.to_string());
        let has_fault = |packet: &&Packet| packet.fate != Fate::default();
        let fault = |packet: &Packet| PacketFault {
            from: name(packet.from.ip()),
            to: name(packet.to.ip()),
            number: packet.number + 1,
            fate: packet.fate,
            note: format!("{}  {}", seconds(packet.at), ladder::name(packet)),
        };
        let event = |(at, happening): &(Instant, Happening)| Event {
            at: at.since(Instant::START),
            what: match *happening {
                Happening::Off(host) => What::Off(name(host)),
                Happening::Restart(host) => What::Restart(name(host)),
                Happening::Cut(from, to) => What::Cut(name(from), name(to)),
                Happening::Mend(from, to) => What::Mend(name(from), name(to)),
            },
        };
        Plan {
            packets: packets.iter().filter(has_fault).map(fault).collect(),
            events: happenings.iter().map(event).collect(),
        }
    }

    /// Whether nothing goes wrong.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty() && self.events.is_empty()
    }

    /// Everybody whom it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let packets = self.packets.iter().flat_map(|fault| [fault.from.as_str(), &fault.to]);
        packets.chain(self.events.iter().flat_map(|event| event.what.names()))
    }
}

impl What {
    /// Whom it concerns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (one, other) = match self {
            What::Off(host) | What::Restart(host) => (host, None),
            What::Cut(from, to) | What::Mend(from, to) => (from, Some(to)),
        };
        std::iter::once(one).chain(other).map(String::as_str)
    }
}

impl PacketFault {
    /// What happens, each in words: `is lost`, `comes 30 ms late`.
    pub fn words(&self) -> Vec<String> {
        let Fate { lost, delay, duplicate, flip } = self.fate;
        let words = [
            lost.then(|| "is lost".to_owned()),
            (!delay.is_zero()).then(|| format!("comes {} late", write_span(delay))),
            duplicate.map(|later| format!("comes again {} later", write_span(later))),
            flip.map(|bit| format!("arrives with bit {bit} flipped")),
        ];
        words.into_iter().flatten().collect()
    }
}

fn seconds(at: Instant) -> String {
    format!("{:.3}s", at.as_nanos() as f64 / 1e9)
}
