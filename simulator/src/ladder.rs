//! The trace as a ladder: a column an actor, an arrow a message, RTP in one arrow for many packets, faults on the arrow.

use crate::network::{Kind, Packet};
use crate::wire::{self, Form, is_media};
use pbx::rtp::View;
use pbx::sip::{Limits, Message, Method, Name, Uri};
use pbx::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

/// How wide a column is.
const COLUMN: usize = 28;
/// What stands before the first column.
const MARGIN: usize = 11;

/// The ladder of these packets. Those who sent or received nothing have no column.
pub fn draw(packets: &[Packet], names: &BTreeMap<IpAddr, String>) -> String {
    let arrows = arrows(packets);
    let columns = columns(&arrows, names);
    let mut text = " ".repeat(MARGIN);
    for address in &columns {
        let name = names.get(address).cloned().unwrap_or_else(|| address.to_string());
        let _ = write!(text, "{name:<COLUMN$}");
    }
    text.truncate(text.trim_end().len());
    for arrow in &arrows {
        text.push('\n');
        text.push_str(&draw_arrow(arrow, &columns));
    }
    text.push('\n');
    text
}

/// The last `arrows` of the same, under its head.
pub fn last(packets: &[Packet], names: &BTreeMap<IpAddr, String>, arrows: usize) -> String {
    let drawn = draw(packets, names);
    let lines: Vec<&str> = drawn.lines().collect();
    let (head, all) = lines.split_at(lines.len().min(1));
    let left_out = all.len().saturating_sub(arrows);
    let note = format!("      ...  {left_out} lines before");
    let note = (left_out > 0).then_some(note.as_str());
    let shown = head.iter().copied().chain(note).chain(all[left_out..].iter().copied());
    shown.collect::<Vec<_>>().join("\n")
}

/// One line of the ladder.
struct Arrow {
    at: Instant,
    from: IpAddr,
    to: IpAddr,
    label: String,
    lost: bool,
    note: &'static str,
}

/// RTP in one direction since the last message.
struct Stream {
    at: Instant,
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
        columns.insert(columns.len().min(1), pbx);
    }
    columns
}

fn arrows(packets: &[Packet]) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    let mut streams: BTreeMap<(IpAddr, IpAddr), Stream> = BTreeMap::new();
    let mut seen: BTreeSet<(IpAddr, IpAddr, &[u8])> = BTreeSet::new();
    let messages = wire::messages(packets);
    let mut messages = messages.iter().peekable();
    for (at, packet) in packets.iter().enumerate() {
        if let Some(payload_type) = rtp(packet) {
            let key = (packet.from.ip(), packet.to.ip());
            let new = Stream { at: packet.at, payload_type, packets: 0, lost: 0 };
            let stream = streams.entry(key).or_insert(new);
            stream.packets += 1;
            stream.lost += usize::from(packet.arrives.is_none());
            continue;
        }
        let arrow = |label| Arrow {
            at: packet.at,
            from: packet.from.ip(),
            to: packet.to.ip(),
            label,
            lost: packet.arrives.is_none(),
            note: if packet.arrives.is_none() { "lost" } else { "" },
        };
        if let Some(event) = event(packet) {
            flush(&mut streams, &mut arrows);
            arrows.push(arrow(event.into()));
        }
        while let Some(message) = messages.next_if(|message| message.first_packet() == at) {
            flush(&mut streams, &mut arrows);
            let is_again = !seen.insert((packet.from.ip(), packet.to.ip(), &message.bytes));
            let is_lost = match message.form {
                Form::Datagram => packet.arrives.is_none(),
                Form::Framed | Form::Broken | Form::Foreign => message.arrived.is_none(),
            };
            let note = match (is_lost, packet.fate.flip, packet.fate.duplicate) {
                (true, ..) => "lost",
                _ if message.was_late(packets) => "late",
                (_, Some(_), _) => "damaged",
                (_, _, Some(_)) => "arrives twice",
                _ if is_again => "again",
                _ => "",
            };
            arrows.push(Arrow { lost: is_lost, note, ..arrow(label(&message.bytes)) });
        }
    }
    flush(&mut streams, &mut arrows);
    arrows
}

fn flush(streams: &mut BTreeMap<(IpAddr, IpAddr), Stream>, arrows: &mut Vec<Arrow>) {
    let mut collapsed: Vec<_> = std::mem::take(streams).into_iter().collect();
    collapsed.sort_by_key(|(_, stream)| stream.at);
    for ((from, to), Stream { at, payload_type, packets, lost }) in collapsed {
        let codec = match payload_type {
            0 => "PCMU",
            8 => "PCMA",
            _ => "events",
        };
        let lost = if lost > 0 { format!(", {lost} lost") } else { String::new() };
        let label = format!("RTP {codec} x {packets}{lost}");
        arrows.push(Arrow { at, from, to, label, lost: false, note: "" });
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
        Kind::SynAck | Kind::Reset | Kind::Again | Kind::Datagram | Kind::Data => None,
    }
}

/// What stands on the arrow of a message.
fn label(bytes: &[u8]) -> String {
    match Message::parse(bytes, &Limits::default()) {
        Ok(Message::Request(request)) => {
            let user = Uri::parse(request.uri()).ok().and_then(|uri| uri.user.map(str::to_owned));
            match user.filter(|_| *request.method() == Method::Invite) {
                Some(user) => format!("INVITE {user}{}", description(request.body())),
                None => format!("{}{}", request.method(), description(request.body())),
            }
        }
        Ok(Message::Response(response)) => {
            let status = response.status();
            let method = response.headers().get(Name::CSeq).and_then(|cseq| cseq.split_whitespace().nth(1));
            let method = method.filter(|method| *method != "INVITE").map(|method| format!(" ({method})"));
            let body = description(response.body());
            format!("{status} {}{}{body}", response.reason(), method.unwrap_or_default())
        }
        Err(_) if bytes.iter().all(u8::is_ascii_whitespace) => "keepalive".into(),
        Err(_) => format!("{} bytes", bytes.len()),
    }
}

/// What a description wants, when that is not the usual.
fn description(body: &[u8]) -> &'static str {
    let body = String::from_utf8_lossy(body);
    if !body.starts_with("v=0") {
        return "";
    }
    match ["a=sendonly", "a=recvonly", "a=inactive"].iter().find(|line| body.contains(**line)) {
        Some(&"a=sendonly") => " sendonly",
        Some(&"a=recvonly") => " recvonly",
        Some(_) => " inactive",
        None => "",
    }
}

fn draw_arrow(arrow: &Arrow, columns: &[IpAddr]) -> String {
    let at = |address| columns.iter().position(|column| *column == address).unwrap_or(0);
    let (from, to) = (at(arrow.from), at(arrow.to));
    let (left, right) = (from.min(to), from.max(to));
    let seconds = format!("{:.3}s", arrow.at.as_nanos() as f64 / 1e9);
    let mut line = format!("{seconds:>9}  ");
    for column in 0..columns.len() {
        if column == left && left != right {
            line.push('|');
            line.push_str(&shaft(arrow, (right - left) * COLUMN - 1, from < to));
        } else if !(left + 1..right).contains(&column) {
            line.push('|');
            if column + 1 < columns.len() {
                line.push_str(&" ".repeat(COLUMN - 1));
            }
        }
    }
    if !arrow.note.is_empty() {
        let _ = write!(line, "  {}", arrow.note);
    }
    line
}

/// `-- INVITE bob ----->`, or turned round; one that is lost ends before it is there.
fn shaft(arrow: &Arrow, width: usize, rightwards: bool) -> String {
    let room = width.saturating_sub(6);
    let label: String = arrow.label.chars().take(room).collect();
    let rest = width - label.chars().count() - 5;
    match (rightwards, arrow.lost) {
        (true, false) => format!("-- {label} {}>", "-".repeat(rest)),
        (true, true) => format!("-- {label} {}x", "-".repeat(rest)),
        (false, false) => format!("<{} {label} --", "-".repeat(rest)),
        (false, true) => format!("x{} {label} --", "-".repeat(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Fate;

    #[test]
    fn a_column_an_actor_and_an_arrow_a_message() {
        let invite = packet(1_000, 2, 1, "INVITE sip:bob@pbx SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n", true);
        let trying = packet(1_001, 1, 2, "SIP/2.0 100 Trying\r\nCSeq: 1 INVITE\r\n\r\n", true);
        let onward = packet(1_001, 1, 3, "INVITE sip:bob@10.0.0.3 SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n", false);
        let names = [(1, "PBX"), (2, "alice"), (3, "bob")].map(|(n, name)| (ip(n), name.to_owned()));
        let drawn = draw(&[invite, trying, onward], &BTreeMap::from(names));
        let expected = "
           alice                       PBX                         bob
   1.000s  |-- INVITE bob ------------>|                           |
   1.001s  |<------------ 100 Trying --|                           |
   1.001s  |                           |-- INVITE bob ------------x|  lost
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
           10.0.0.2                    10.0.0.1
   1.000s  |-- BYE ------------------->|  late
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
            bytes: text.as_bytes().into(),
            number: 0,
            fate: Fate::default(),
            arrives: arrives.then_some(at),
        }
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }
}
