//! Everything that was sent in a world, in order, byte for byte.

use crate::network::{Network, Packet};
use crate::wire;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The packets of a network from the moment it is watched; clones are the same trace.
#[derive(Clone, Default)]
pub struct Trace {
    packets: Arc<Mutex<Vec<Packet>>>,
}

impl Trace {
    /// Watches a network.
    pub fn of(network: &Network) -> Trace {
        let trace = Trace::default();
        let kept = trace.clone();
        network.watch(move |packet| kept.lock().push(packet.clone()));
        trace
    }

    /// Looks at all packets so far, without a copy.
    pub fn look<T>(&self, look: impl FnOnce(&[Packet]) -> T) -> T {
        look(&self.lock())
    }

    /// All packets so far.
    pub fn packets(&self) -> Vec<Packet> {
        self.lock().clone()
    }

    /// How many SIP messages begin like this (`INVITE`, `SIP/2.0 200`), copies included.
    pub fn count(&self, beginning: &str) -> usize {
        let packets = self.lock();
        let messages = wire::messages(&packets);
        messages.iter().filter(|message| message.bytes.starts_with(beginning.as_bytes())).count()
    }

    /// One line a packet with all that is known of it; equal texts are equal runs.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for packet in self.lock().iter() {
            text.push_str(&line(packet));
            text.push('\n');
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Packet>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(packet: &Packet) -> String {
    let Packet { at, from, to, kind, bytes, number, fate, arrives } = packet;
    let mut line = format!("{} {from} {to} {kind:?} #{number} {fate:?} ", at.as_nanos());
    let _ = match arrives {
        Some(arrives) => write!(line, "{} ", arrives.as_nanos()),
        None => write!(line, "never "),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => line.extend(text.escape_debug()),
        Err(_) => bytes.iter().for_each(|byte| {
            let _ = write!(line, "{byte:02x}");
        }),
    }
    line
}
