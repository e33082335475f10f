//! The packets as rules see them: read once, each with what it says, and sorted by what belongs together.

mod dialog;
mod message;
mod noise;
mod transaction;

pub(super) use dialog::Dialog;
pub(super) use message::Sip;
pub(super) use noise::{Fault, Noise};
pub(super) use transaction::Transaction;

use super::acknowledgement::AT_ONCE;
use crate::network::{Kind, Packet};
use crate::wire;
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Longer than that nothing is on its way, unless something is in it.
const PROMPT: Duration = Duration::from_millis(3);

/// All that was sent and can be read.
pub(super) struct Log {
    pub(super) messages: Vec<Sip>,
    pub(super) transactions: Vec<Transaction>,
    pub(super) dialogs: Vec<Dialog>,
    /// Messages by their Call-ID, by their places.
    pub(super) by_call_id: BTreeMap<String, Vec<usize>>,
    /// What should have been a message and is none, or not quite.
    pub(super) noise: Vec<Noise>,
    /// When a stream was opened from one host to another.
    pub(super) opened: BTreeMap<(IpAddr, IpAddr), Vec<Instant>>,
    /// Whether every packet arrived once, whole and in its turn.
    pub(super) is_calm: bool,
    /// Datagrams that were to arrive, copies made by the network included.
    pub(super) datagrams: u64,
    /// When the last packet was sent.
    pub(super) end: Instant,
}

impl Log {
    pub(super) fn of(packets: &[Packet]) -> Log {
        let arrivals = |packet: &Packet| match (packet.arrives, packet.fate.duplicate) {
            (Some(_), Some(_)) => 2,
            (Some(_), None) => 1,
            (None, _) => 0,
        };
        let datagrams = || packets.iter().filter(|packet| packet.kind == Kind::Datagram);
        let written = wire::messages(packets);
        let noise = written.iter().filter_map(Noise::of).collect();
        let mut messages: Vec<Sip> = written.iter().flat_map(Sip::read).flatten().collect();
        let transactions = transaction::sort(&mut messages);
        let dialogs = dialog::sort(&mut messages, &transactions);
        let mut by_call_id: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, message) in messages.iter().enumerate() {
            by_call_id.entry(message.call_id.clone()).or_default().push(place);
        }
        Log {
            messages,
            noise,
            opened: opened(packets),
            transactions,
            dialogs,
            by_call_id,
            is_calm: packets.iter().all(|packet| {
                let fate = packet.fate;
                let is_prompt = packet.arrives.is_some_and(|at| at <= packet.at + PROMPT);
                is_prompt && !fate.is_fault() && fate.delay.is_zero()
            }),
            datagrams: datagrams().map(arrivals).sum(),
            end: packets.last().map_or(Instant::START, |packet| packet.at),
        }
    }

    /// The messages at these places.
    pub(super) fn at<'a>(&'a self, places: &'a [usize]) -> impl DoubleEndedIterator<Item = &'a Sip> + Clone {
        places.iter().map(|place| &self.messages[*place])
    }

    /// The transactions of requests with this method, each with its first request.
    pub(super) fn transactions_of(&self, method: &str) -> impl Iterator<Item = (&Transaction, &Sip)> {
        self.asked().filter(move |(_, request)| request.method == method)
    }

    /// The transactions that have a request, each with the first of it; those that have not are of an ACK to a 2xx.
    pub(super) fn asked(&self) -> impl Iterator<Item = (&Transaction, &Sip)> {
        self.transactions.iter().filter_map(|transaction| {
            let first = transaction.requests.first()?;
            Some((transaction, &self.messages[*first]))
        })
    }

    /// The transaction of a message.
    pub(super) fn transaction(&self, message: &Sip) -> Option<&Transaction> {
        self.transactions.get(message.transaction?)
    }

    /// The dialog of a message.
    pub(super) fn dialog(&self, message: &Sip) -> Option<&Dialog> {
        self.dialogs.get(message.dialog?)
    }

    /// Whether this host has sent what cannot be read.
    pub(super) fn is_noisy(&self, host: SocketAddr) -> bool {
        self.noise.iter().any(|noise| noise.from.ip() == host.ip())
    }

    /// Whether a response answers a damaged copy of its request, which is another request for who has received it.
    pub(super) fn is_to_damaged(&self, response: &Sip) -> bool {
        let Some(transaction) = self.transaction(response) else { return false };
        let damaged = self.at(&transaction.requests).filter_map(|request| request.damaged);
        let ghosts = self.at(&transaction.ghosts).filter(|ghost| ghost.is_request());
        let mut came = damaged.chain(ghosts.filter_map(|ghost| ghost.arrived));
        came.any(|came| (came..came + AT_ONCE).contains(&response.at))
    }

    /// Whether a response may repeat what a damaged copy of its request said.
    pub(super) fn may_copy_damage(&self, response: &Sip) -> bool {
        let Some(transaction) = self.transaction(response) else { return false };
        let damaged = self.at(&transaction.requests).filter_map(|request| request.damaged);
        let ghosts = self.at(&transaction.ghosts).filter(|ghost| ghost.is_request());
        damaged.chain(ghosts.filter_map(|ghost| ghost.arrived)).any(|came| came <= response.at)
    }

    /// All that were sent.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Sip> {
        self.messages.iter().filter(|message| !message.is_ghost)
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = &Sip> {
        self.sent().filter(|message| message.is_request())
    }

    pub(super) fn responses(&self) -> impl Iterator<Item = (&Sip, u16)> {
        self.sent().filter_map(|message| Some((message, message.status?)))
    }
}

fn opened(packets: &[Packet]) -> BTreeMap<(IpAddr, IpAddr), Vec<Instant>> {
    let mut opened: BTreeMap<_, Vec<Instant>> = BTreeMap::new();
    for packet in packets.iter().filter(|packet| packet.kind == Kind::Syn) {
        opened.entry((packet.from.ip(), packet.to.ip())).or_default().push(packet.at);
    }
    opened
}
