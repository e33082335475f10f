//! Everything that was sent in a world, in order, byte for byte.

use crate::digest::Digest;
use crate::network::{Network, Packet};
use crate::wire;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The packets of a network from the moment it is watched; clones are the same trace.
#[derive(Clone, Default)]
pub struct Trace {
    packets: Arc<Mutex<Vec<Packet>>>,
}

/// For so many packets there is room from the beginning: what is not used costs nothing.
const ROOM: usize = 1 << 14;

impl Trace {
    /// Watches a network.
    pub fn of(network: &Network) -> Trace {
        let trace = Trace::default();
        trace.lock().reserve(ROOM);
        let kept = trace.clone();
        network.watch(move |packet| kept.lock().push(packet));
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

    /// A number that is the same for equal runs, and for no two others that anybody will see.
    pub fn hash(&self) -> u64 {
        let mut digest = Digest::default();
        self.lock().iter().for_each(|packet| packet.hash(&mut digest));
        digest.finish()
    }

    /// How many SIP messages begin like this (`INVITE`, `SIP/2.0 200`), copies included.
    pub fn count(&self, beginning: &str) -> usize {
        let packets = self.lock();
        let messages = wire::messages(&packets);
        messages.iter().filter(|message| message.bytes.starts_with(beginning.as_bytes())).count()
    }

    /// How many different ones: what had to be sent again counts once.
    pub fn count_different(&self, beginning: &str) -> usize {
        let packets = self.lock();
        let messages = wire::messages(&packets);
        let begins = messages.iter().filter(|message| message.bytes.starts_with(beginning.as_bytes()));
        begins.map(|message| &*message.bytes).collect::<BTreeSet<&[u8]>>().len()
    }

    /// The texts of the SIP messages that were sent to a host, copies included.
    pub fn messages_to(&self, host: IpAddr) -> Vec<String> {
        let packets = self.lock();
        let to_it = wire::messages(&packets).into_iter().filter(|message| message.to.ip() == host);
        to_it.map(|message| String::from_utf8_lossy(&message.bytes).into_owned()).collect()
    }

    /// One line a packet with all that is known of it; equal texts are equal runs.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for packet in self.lock().iter() {
            write_line(&mut text, packet);
            text.push('\n');
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Packet>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without its end.
fn write_line(text: &mut String, packet: &Packet) {
    let Packet { at, from, to, kind, bytes, number, fate, arrives } = packet;
    let _ = write!(text, "{} {from} {to} {kind:?} #{number} {fate:?} ", at.as_nanos());
    let _ = match arrives {
        Some(arrives) => write!(text, "{} ", arrives.as_nanos()),
        None => write!(text, "never "),
    };
    match std::str::from_utf8(bytes) {
        Ok(payload) => text.extend(payload.escape_debug()),
        Err(_) => text.extend(bytes.iter().map(|byte| HEX[usize::from(*byte)])),
    }
}

/// Two digits a byte. Most of a trace is media, so this is most of what it takes to write one.
const HEX: [&str; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    const PAIRS: [[u8; 2]; 256] = {
        let mut pairs = [[0; 2]; 256];
        let mut byte = 0;
        while byte < 256 {
            pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
            byte += 1;
        }
        pairs
    };
    let mut texts = [""; 256];
    let mut byte = 0;
    while byte < 256 {
        texts[byte] = match std::str::from_utf8(&PAIRS[byte]) {
            Ok(text) => text,
            Err(_) => panic!("digits are text"),
        };
        byte += 1;
    }
    texts
};
