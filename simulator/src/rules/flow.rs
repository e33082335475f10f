//! RTP and RTCP sorted by who sent it: a flow is what one source sent from one socket to another.

use super::session::{End, Sessions};
use crate::ladder::is_rtcp;
use crate::network::{Packet, is_box};
use crate::wire::is_media;
use pbx::rtp::View;
use pbx::rtp::packet::Header;
use pbx::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// All media of a run.
#[derive(Default)]
pub(super) struct Flows<'a> {
    pub(super) all: Vec<Flow<'a>>,
    pub(super) rtcp: Vec<Rtcp<'a>>,
    /// By end of a stream: the flows that came from it, in the order of their first packets.
    pub(super) by_end: BTreeMap<End, Vec<usize>>,
}

/// What one source sent.
pub(super) struct Flow<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) ssrc: u32,
    /// Whose it is; `None` when nobody had said that he sends from there.
    pub(super) end: Option<End>,
    /// In the order in which they were sent.
    pub(super) packets: Vec<Rtp<'a>>,
}

/// A packet of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rtp<'a> {
    pub(super) at: Instant,
    /// When it came as it was sent, and when a copy came that the network made.
    pub(super) arrived: Option<Instant>,
    pub(super) again: Option<Instant>,
    /// It came, and not as it was sent.
    pub(super) damaged: bool,
    pub(super) header: Header,
    pub(super) payload: &'a [u8],
}

/// A compound RTCP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rtcp<'a> {
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) bytes: &'a [u8],
}

impl<'a> Flows<'a> {
    pub(super) fn of(packets: &'a [Packet], sessions: &Sessions) -> Flows<'a> {
        let mut sorting = Sorting::new();
        let mut rtcp = Vec::new();
        for packet in packets.iter().filter(|packet| is_media(packet)) {
            if is_rtcp(&packet.bytes) {
                rtcp.push(Rtcp::of(packet));
            } else if let Ok(view) = View::of(&packet.bytes) {
                sorting.take(packet, &view);
            }
        }
        let mut all = sorting.flows;
        let mut by_end: BTreeMap<End, Vec<usize>> = BTreeMap::new();
        for (at, flow) in all.iter_mut().enumerate() {
            flow.end = flow.packets.first().and_then(|first| end_of(sessions, flow, first.at));
            if let Some(end) = flow.end {
                by_end.entry(end).or_default().push(at);
            }
        }
        Flows { all, rtcp, by_end }
    }

    /// What came from one end of a stream.
    pub(super) fn from(&self, end: End) -> impl Iterator<Item = &Flow<'a>> {
        self.by_end.get(&end).into_iter().flatten().map(|at| &self.all[*at])
    }

    /// What was sent to one end of a stream by the other.
    pub(super) fn to(&self, end: End) -> impl Iterator<Item = &Flow<'a>> {
        self.from(End { side: 1 - end.side, ..end })
    }
}

impl Rtp<'_> {
    /// How often and when it came, as it was sent.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = Instant> {
        self.arrived.into_iter().chain(self.again)
    }
}

impl<'a> Rtcp<'a> {
    fn of(packet: &'a Packet) -> Rtcp<'a> {
        Rtcp { at: packet.at, from: packet.from, bytes: &packet.bytes }
    }
}

/// Whose a flow is. Behind a box nobody knows where he sends from: there it is told by whom he sends to.
fn end_of(sessions: &Sessions, flow: &Flow<'_>, at: Instant) -> Option<End> {
    if is_box(flow.from.ip()) {
        return sessions.end_at(flow.to, at).map(|other| End { side: 1 - other.side, ..other });
    }
    sessions.end_at(flow.from, at)
}

/// Flows in the making. A million packets belong to a few hundred flows, so where a flow is, is remembered by a hash of
/// its ports before it is looked for.
struct Sorting<'a> {
    flows: Vec<Flow<'a>>,
    known: BTreeMap<(SocketAddr, SocketAddr, u32), usize>,
    lately: Vec<usize>,
}

/// How many are remembered.
const REMEMBERED: usize = 4_096;

impl<'a> Sorting<'a> {
    fn new() -> Sorting<'a> {
        Sorting { flows: Vec::new(), known: BTreeMap::new(), lately: vec![usize::MAX; REMEMBERED] }
    }

    fn take(&mut self, packet: &'a Packet, view: &View) {
        let (from, to, ssrc) = (packet.from, packet.to, view.header.ssrc);
        let place =
            usize::from(from.port()).wrapping_mul(31).wrapping_add(usize::from(to.port())) ^ ssrc as usize;
        let place = place % REMEMBERED;
        let is_it = |flow: &Flow<'_>| (flow.ssrc, flow.from, flow.to) == (ssrc, from, to);
        if !self.flows.get(self.lately[place]).is_some_and(is_it) {
            let next = self.flows.len();
            let at = *self.known.entry((from, to, ssrc)).or_insert(next);
            if at == next {
                self.flows.push(Flow { from, to, ssrc, end: None, packets: Vec::new() });
            }
            self.lately[place] = at;
        }
        let undamaged = packet.arrives.filter(|_| packet.fate.flip.is_none());
        self.flows[self.lately[place]].packets.push(Rtp {
            at: packet.at,
            arrived: undamaged,
            again: undamaged.zip(packet.fate.duplicate).map(|(at, later)| at + later),
            damaged: packet.arrives.is_some() && packet.fate.flip.is_some(),
            header: view.header,
            payload: &packet.bytes[view.payload.clone()],
        });
    }
}
