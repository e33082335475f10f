//! `trace.jsonl`: an object a packet, in the order in which they were sent. It can be read back.

use super::fault::fault_of;
use crate::agents::websocket::Opcode;
use crate::ladder::Ladder;
use crate::network::{Fate, Kind, Packet};
use crate::wire::{self, Form};
use pbx::time::{Duration, Instant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    /// Which packet of the run, from 0.
    packet: usize,
    /// When it was sent, in nanoseconds since the start.
    at_ns: u64,
    /// When it arrives; `null`: never.
    arrives_ns: Option<u64>,
    from: SocketAddr,
    to: SocketAddr,
    from_name: String,
    to_name: String,
    /// `datagram`, `syn`, `syn-ack`, `data`, `again`, `fin`, `reset`.
    kind: String,
    /// Its number on its link, by which a fault plan knows it.
    number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duplicate_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flip: Option<u64>,
    /// What the network did to it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// What people call the message that begins in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    /// What it carries, if that is text; else as hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What the frames of a WebSocket say that begin in it, without their masks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    says: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

/// The lines of these packets, which are those of the run that `places` tells.
pub(super) fn write(
    packets: &[Packet],
    places: impl Iterator<Item = usize>,
    ladder: &Ladder,
    names: &BTreeMap<IpAddr, String>,
) -> String {
    let labels: BTreeMap<usize, &str> =
        ladder.arrows.iter().map(|arrow| (arrow.first_packet, arrow.label.as_str())).collect();
    let mut said: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for message in wire::messages(packets) {
        if let (Form::Frame(Opcode::Text), Ok(text)) = (message.form, std::str::from_utf8(&message.bytes)) {
            said.entry(message.first_packet()).or_default().push(text.to_owned());
        }
    }
    let mut text = String::new();
    for place in places {
        let says = said.remove(&place).unwrap_or_default();
        let line = Line { says, ..line(place, &packets[place], labels.get(&place).copied(), names) };
        text.push_str(&serde_json::to_string(&line).expect("a line is text and numbers"));
        text.push('\n');
    }
    text
}

/// What stands in such a file: the packets, and who is where.
pub fn read(text: &str) -> Result<(Vec<Packet>, BTreeMap<IpAddr, String>), String> {
    let (mut packets, mut names) = (Vec::new(), BTreeMap::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| format!("line {}: {why}", number + 1);
        let line: Line = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        names.insert(line.from.ip(), line.from_name.clone());
        names.insert(line.to.ip(), line.to_name.clone());
        packets.push(line.packet().map_err(wrong)?);
    }
    Ok((packets, names))
}

fn line(place: usize, packet: &Packet, what: Option<&str>, names: &BTreeMap<IpAddr, String>) -> Line {
    let name = |address: IpAddr| names.get(&address).cloned().unwrap_or_else(|| address.to_string());
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let is_text = |bytes: &&[u8]| !bytes.iter().any(|byte| *byte < 32 && !b"\r\n\t".contains(byte));
    let text = Some(&*packet.bytes).filter(is_text).and_then(|bytes| std::str::from_utf8(bytes).ok());
    Line {
        packet: place,
        at_ns: packet.at.as_nanos(),
        arrives_ns: packet.arrives.map(Instant::as_nanos),
        from: packet.from,
        to: packet.to,
        from_name: name(packet.from.ip()),
        to_name: name(packet.to.ip()),
        kind: KINDS.iter().find(|(kind, _)| *kind == packet.kind).map_or("data", |(_, name)| name).to_owned(),
        number: packet.number,
        lost: packet.fate.lost.then_some(true),
        delay_ns: Some(nanos(packet.fate.delay)).filter(|delay| *delay > 0),
        duplicate_ns: packet.fate.duplicate.map(nanos),
        flip: packet.fate.flip,
        fault: fault_of(packet).map(|fault| fault.to_string()),
        what: what.map(str::to_owned),
        text: text.map(str::to_owned),
        says: Vec::new(),
        hex: text.is_none().then(|| hex(&packet.bytes)),
    }
}

impl Line {
    fn packet(self) -> Result<Packet, String> {
        let kind = KINDS.iter().find(|(_, name)| *name == self.kind).map(|(kind, _)| *kind);
        let bytes = match (self.text, self.hex) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(hex)) => unhex(&hex).ok_or_else(|| format!("these are no bytes: {hex}"))?,
            (None, None) => Vec::new(),
        };
        Ok(Packet {
            at: Instant::from_nanos(self.at_ns),
            from: self.from,
            to: self.to,
            kind: kind.ok_or_else(|| format!("no packet is called {}", self.kind))?,
            bytes: bytes.into(),
            number: self.number,
            fate: Fate {
                lost: self.lost.unwrap_or(false),
                delay: Duration::from_nanos(self.delay_ns.unwrap_or(0)),
                duplicate: self.duplicate_ns.map(Duration::from_nanos),
                flip: self.flip,
            },
            arrives: self.arrives_ns.map(Instant::from_nanos),
        })
    }
}

const KINDS: [(Kind, &str); 8] = [
    (Kind::Datagram, "datagram"),
    (Kind::Syn, "syn"),
    (Kind::SynAck, "syn-ack"),
    (Kind::Data, "data"),
    (Kind::Again, "again"),
    (Kind::Fin, "fin"),
    (Kind::Reset, "reset"),
    (Kind::Secret, "secret"),
];

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    (0..text.len()).step_by(2).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let fate = Fate {
            lost: true,
            delay: Duration::from_micros(7),
            duplicate: Some(Duration::ZERO),
            flip: Some(u64::MAX),
        };
        let packets = [
            packet(Kind::Datagram, b"BYE sip:a SIP/2.0\r\n\r\n", fate),
            packet(Kind::Again, &[0x80, 0, 0xff], Fate::default()),
            packet(Kind::Syn, b"", Fate::default()),
        ];
        let names = BTreeMap::from([(packets[0].from.ip(), "alice".to_owned())]);
        let text = write(&packets, 0..3, &Ladder::of(&packets, &names), &names);
        let (read, known) = read(&text).expect("what was written");
        assert_eq!(read, packets);
        assert_eq!(known.values().collect::<Vec<_>>(), ["10.0.0.1", "alice"]);
        assert!(text.contains(r#""what":"BYE""#), "{text}");
    }

    #[test]
    fn what_is_no_trace_is_refused_with_its_line() {
        assert!(read("{}").expect_err("no packet").starts_with("line 1: missing field"));
    }

    fn packet(kind: Kind, bytes: &[u8], fate: Fate) -> Packet {
        Packet {
            at: Instant::from_nanos(1_000_000_001),
            from: ([10, 0, 0, 2], 5060).into(),
            to: ([10, 0, 0, 1], 5060).into(),
            kind,
            bytes: bytes.to_vec().into(),
            number: 3,
            fate,
            arrives: None,
        }
    }
}
