//! What passes, for those who watch.

use super::Fate;
use bytes::Bytes;
use pbx::time::Instant;
use std::net::{IpAddr, SocketAddr};

/// Counts the packets of one link, from 0.
pub type PacketNumber = u64;

/// A packet at the moment it was sent, with what was drawn for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// When it was sent.
    pub at: Instant,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it is for.
    pub to: SocketAddr,
    /// What it is.
    pub kind: Kind,
    /// Its payload as it was sent, shared by all who keep it.
    pub bytes: Bytes,
    /// Its number on its link.
    pub number: PacketNumber,
    /// What happens to it.
    pub fate: Fate,
    /// When it arrives; `None` when it does not.
    pub arrives: Option<Instant>,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A UDP datagram.
    Datagram,
    /// Opens a stream.
    Syn,
    /// Accepts a stream.
    SynAck,
    /// Bytes of a stream.
    Data,
    /// Bytes of a stream that did not get through the last time.
    Again,
    /// No more bytes of this side.
    Fin,
    /// The stream is broken.
    Reset,
    /// Not sent at all: the line of a key log with which bytes of a stream from the one to the other can be read.
    Secret,
}

/// What happens to a machine or a line, beside what happens to packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A host is gone without a word.
    Off(IpAddr),
    /// A host is on, with nothing bound; if it was on, it was off for a moment.
    Restart(IpAddr),
    /// Nothing passes from the first to the second.
    Cut(IpAddr, IpAddr),
    /// Packets pass from the first to the second again.
    Mend(IpAddr, IpAddr),
}
