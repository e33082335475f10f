//! The trace as a ladder: a column an actor, an arrow a message, RTP in one arrow for many packets, faults on the arrow.
//!
//! | file | what is in it |
//! |---|---|
//! | `name.rs` | what people call a message: `re-INVITE hold` |
//! | `socket.rs` | what people call what goes over a WebSocket: `call.hangup c1` |
//! | `draw.rs` | the ladder in a terminal |

mod draw;
mod name;
mod socket;

pub use draw::Style;
pub(crate) use name::Namer;

use crate::network::{Kind, Packet, box_of, is_box};
use crate::wire::{self, Form, is_media};
use pbx::rtp::View;
use pbx::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;

/// All that is drawn.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// Those who sent or received something, the PBX between the first two who talk to it.
    pub columns: Vec<Column>,
    /// In the order of time.
    pub arrows: Vec<Arrow>,
}

/// An actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Where.
    pub address: IpAddr,
    /// What it is called.
    pub name: String,
}

/// One line of the ladder.
#[derive(Clone, Debug)]
pub struct Arrow {
    /// When it was sent, or the first of it.
    pub at: Instant,
    /// Who sent it.
    pub from: IpAddr,
    /// Whom it is for.
    pub to: IpAddr,
    /// What people call it.
    pub label: String,
    /// Whether it got nowhere.
    pub is_lost: bool,
    /// What the network did to it, in a word or two.
    pub note: &'static str,
    /// What it stands for.
    pub carries: Carries,
    /// The first packet of it, by its place in the trace.
    pub first_packet: usize,
}

/// What an arrow stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A message, as it was written.
    Message(Vec<u8>),
    /// So many packets of RTP.
    Media(usize),
    /// What happens to a stream, or that nobody listens.
    Event,
}

/// The ladder of these packets, all of it.
pub fn draw(packets: &[Packet], names: &BTreeMap<IpAddr, String>) -> String {
    let ladder = Ladder::of(packets, names);
    ladder.draw(0..ladder.arrows.len(), None, Style::default())
}

impl Ladder {
    /// The ladder of these packets.
    pub fn of(packets: &[Packet], names: &BTreeMap<IpAddr, String>) -> Ladder {
        let arrows = arrows(packets);
        let named = |address| {
            let name = names.get(&address).cloned().unwrap_or_else(|| address.to_string());
            Column { address, name }
        };
        Ladder { columns: columns(&arrows, names).into_iter().map(named).collect(), arrows }
    }

    /// So many arrows with those of a moment in the middle, fewer where there are no more.
    pub fn around(&self, moment: Instant, count: usize) -> Range<usize> {
        let middle = self.arrows.partition_point(|arrow| arrow.at < moment);
        let from = middle.saturating_sub(count / 2).min(self.arrows.len().saturating_sub(count));
        from..(from + count).min(self.arrows.len())
    }
}

/// RTP in one direction since the last message.
struct Stream {
    at: Instant,
    first_packet: usize,
    payload_type: u8,
    packets: usize,
    lost: usize,
}

/// The PBX is first who is asked, so it stands between the first two who talk to it.
fn columns(arrows: &[Arrow], names: &BTreeMap<IpAddr, String>) -> Vec<IpAddr> {
    let mut columns: Vec<IpAddr> = Vec::new();
    for address in arrows.iter().flat_map(|arrow| [arrow.from, arrow.to]) {
        if !columns.contains(&address) {
            columns.push(address);
        }
    }
    let is_pbx = |address: &IpAddr| names.get(address).is_some_and(|name| name == "PBX");
    if let Some(at) = columns.iter().position(is_pbx) {
        let pbx = columns.remove(at);
        // A router stands between its telephone and the PBX.
        let first = if columns.get(1).is_some_and(|second| is_box(*second)) { 2 } else { 1 };
        columns.insert(columns.len().min(first), pbx);
    }
    columns
}

fn arrows(packets: &[Packet]) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    let mut streams: BTreeMap<(IpAddr, IpAddr), Stream> = BTreeMap::new();
    let mut seen: BTreeSet<(IpAddr, IpAddr, &[u8])> = BTreeSet::new();
    let mut namer = Namer::default();
    let messages = wire::messages(packets);
    let mut messages = messages.iter().peekable();
    for (at, packet) in packets.iter().enumerate() {
        let (from, to) = hop(packet);
        if let Some(payload_type) = rtp(packet) {
            let key = (from, to);
            let new = Stream { at: packet.at, first_packet: at, payload_type, packets: 0, lost: 0 };
            let stream = streams.entry(key).or_insert(new);
            stream.packets += 1;
            stream.lost += usize::from(packet.arrives.is_none());
            continue;
        }
        let arrow = |label| Arrow {
            at: packet.at,
            from,
            to,
            label,
            is_lost: packet.arrives.is_none(),
            note: if packet.arrives.is_none() { "lost" } else { "" },
            carries: Carries::Event,
            first_packet: at,
        };
        if let Some(event) = event(packet) {
            flush(&mut streams, &mut arrows);
            arrows.push(arrow(event.into()));
        }
        while let Some(message) = messages.next_if(|message| message.first_packet() == at) {
            flush(&mut streams, &mut arrows);
            let is_again = !seen.insert((from, to, &message.bytes));
            let is_lost = match message.form {
                Form::Datagram => packet.arrives.is_none(),
                Form::Framed | Form::Broken | Form::Foreign | Form::Frame(_) => message.arrived.is_none(),
            };
            let note = match (is_lost, packet.fate.flip, packet.fate.duplicate) {
                (true, ..) => "lost",
                _ if message.was_late(packets) => "late",
                (_, Some(_), _) => "damaged",
                (_, _, Some(_)) => "arrives twice",
                _ if is_again => "again",
                _ => "",
            };
            let label = match message.form {
                Form::Frame(opcode) => socket::name(opcode, &message.bytes),
                _ => namer.name(packet.from.ip(), &message.bytes),
            };
            let carries = Carries::Message(message.bytes.to_vec());
            arrows.push(Arrow { is_lost, note, carries, ..arrow(label) });
        }
    }
    flush(&mut streams, &mut arrows);
    arrows
}

/// Between whom a packet is drawn: inside of a router its way ends or begins at the router.
fn hop(packet: &Packet) -> (IpAddr, IpAddr) {
    let (from, to) = (packet.from.ip(), packet.to.ip());
    match (box_of(from), box_of(to)) {
        (Some(router), _) => (from, router),
        (_, Some(router)) if packet.arrives.is_some() => (router, to),
        _ => (from, to),
    }
}

fn flush(streams: &mut BTreeMap<(IpAddr, IpAddr), Stream>, arrows: &mut Vec<Arrow>) {
    let mut collapsed: Vec<_> = std::mem::take(streams).into_iter().collect();
    collapsed.sort_by_key(|(_, stream)| stream.at);
    for ((from, to), Stream { at, first_packet, payload_type, packets, lost }) in collapsed {
        let codec = match payload_type {
            0 => "PCMU",
            8 => "PCMA",
            9 => "G722",
            13 => "noise",
            _ => "events",
        };
        let all_are_lost = lost == packets;
        let lost = if lost > 0 { format!(", {lost} lost") } else { String::new() };
        let label = format!("RTP {codec} x {packets}{lost}");
        let carries = Carries::Media(packets);
        arrows.push(Arrow { at, from, to, label, is_lost: all_are_lost, note: "", carries, first_packet });
    }
}

/// The payload type of RTP; `None` for RTCP, which shares its ports' neighbours, and everything else.
fn rtp(packet: &Packet) -> Option<u8> {
    let view = View::of(&packet.bytes).ok().filter(|_| is_media(packet))?;
    Some(view.header.payload_type).filter(|_| !is_rtcp(&packet.bytes))
}

/// RFC 5761 section 4: packet types 192 to 223 are RTCP.
pub(crate) fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first >> 6 == 2)
        && bytes.get(1).is_some_and(|kind| (192..224).contains(kind))
}

/// What happens to a flow, or where nobody listens; `None` for what carries bytes or is not drawn.
fn event(packet: &Packet) -> Option<&'static str> {
    match packet.kind {
        Kind::Syn => Some("TCP opens"),
        Kind::Fin => Some("TCP ends"),
        Kind::Reset if packet.bytes.is_empty() && packet.number > 0 => Some("nobody is there"),
        Kind::SynAck | Kind::Reset | Kind::Again | Kind::Datagram | Kind::Data | Kind::Secret => None,
    }
}

/// How people call a packet: `INVITE bob`, `200 OK (BYE)`, `172 bytes`.
pub(crate) fn name(packet: &Packet) -> String {
    match event(packet) {
        Some(event) => event.to_owned(),
        None => Namer::default().name(packet.from.ip(), &packet.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Fate;

    #[test]
    fn a_column_an_actor_and_an_arrow_a_message() {
        let invite = packet(1_000, 2, 1, "INVITE sip:bob@pbx SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0", true);
        let trying = packet(1_001, 1, 2, "SIP/2.0 100 Trying\r\nCSeq: 1 INVITE\r\n\r\n", true);
        let onward =
            packet(1_001, 1, 3, "INVITE sip:bob@10.0.0.3 SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0", false);
        let names = [(1, "PBX"), (2, "alice"), (3, "bob")].map(|(n, name)| (ip(n), name.to_owned()));
        let drawn = draw(&[invite, trying, onward], &BTreeMap::from(names));
        let expected = "
           alice                               PBX                                 bob
   1.000s  |-- INVITE bob -------------------->|                                   |
   1.001s  |<-------------------- 100 Trying --|                                   |
   1.001s  |                                   |-- INVITE bob -x lost              |
";
        assert_eq!(drawn, expected.strip_prefix('\n').unwrap_or(expected));
    }

    #[test]
    fn what_the_network_did_stands_on_the_arrow() {
        let twice = Fate { duplicate: Some(pbx::time::Duration::ZERO), ..Fate::default() };
        let ok = "SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\n\r\n";
        let packets = [
            Packet { fate: twice, ..packet(5, 1, 2, ok, true) },
            packet(9, 1, 2, ok, false),
            packet(12_345, 1, 2, ok, true),
        ];
        let drawn = draw(&packets, &BTreeMap::new());
        let expected = "
           10.0.0.1                            10.0.0.2
   0.005s  |-- 200 OK (BYE) -- arrives twice ->|
   0.009s  |-- 200 OK (BYE) -x lost            |
  12.345s  |-- 200 OK (BYE) ---------- again ->|
";
        assert_eq!(drawn, expected.strip_prefix('\n').unwrap_or(expected));
    }

    #[test]
    fn a_part_has_its_own_columns_and_a_pointer() {
        let register = "REGISTER sip:x SIP/2.0\r\nCSeq: 1 REGISTER\r\n\r\n";
        let packets: Vec<Packet> =
            (0..9).map(|at| packet(at * 10, if at < 2 { 3 } else { 2 }, 1, register, true)).collect();
        let ladder = Ladder::of(&packets, &BTreeMap::new());
        let moment = Instant::from_millis(60);
        let around = ladder.around(moment, 4);
        assert_eq!(around, 4..8);
        assert_eq!(ladder.around(Instant::from_millis(1_000), 4), 5..9);
        let style = Style { has_lines: true, ..Style::default() };
        let drawn = ladder.draw(5..7, Some(moment), style);
        let expected = "
           10.0.0.1                            10.0.0.2
   0.050s  │◀─ again ────────────── REGISTER ──│
>  0.060s  │◀─ again ────────────── REGISTER ──│
";
        assert_eq!(drawn, expected.strip_prefix('\n').unwrap_or(expected));
    }

    #[test]
    fn a_message_in_three_segments_is_one_arrow() {
        let bye = "BYE sip:bob@pbx SIP/2.0\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n";
        let segment = |at, text| Packet { kind: Kind::Data, ..packet(at, 2, 1, text, at != 1_000) };
        let again = Packet { kind: Kind::Again, ..packet(1_200, 2, 1, &bye[..9], true) };
        let packets =
            [segment(1_000, &bye[..9]), segment(1_001, &bye[9..40]), segment(1_001, &bye[40..]), again];
        let drawn = draw(&packets, &BTreeMap::new());
        let expected = "
           10.0.0.2                            10.0.0.1
   1.000s  |-- BYE -------------------- late ->|
";
        assert_eq!(drawn, expected.strip_prefix('\n').unwrap_or(expected));
    }

    fn packet(millis: u64, from: u8, to: u8, text: &str, arrives: bool) -> Packet {
        let at = Instant::from_millis(millis);
        Packet {
            at,
            from: (ip(from), 5060).into(),
            to: (ip(to), 5060).into(),
            kind: Kind::Datagram,
            bytes: text.to_owned().into(),
            number: 0,
            fate: Fate::default(),
            arrives: arrives.then_some(at),
        }
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }
}
