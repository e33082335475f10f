//! `capture.pcapng`: all packets as Wireshark reads them, at the moment they were sent, those that were lost too.
//!
//! The blocks are those of the PCAP Next Generation format (draft-ietf-opsawg-pcapng): one section, one interface that
//! carries IP and counts nanoseconds, the names of the hosts, the packets, each fault as a comment on its packet.

use super::Snapshot;
use super::fault::fault_of;
use super::frame::Frames;
use crate::network::Kind;
use std::collections::BTreeMap;
use std::net::IpAddr;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const NAMES: u32 = 4;
const PACKET: u32 = 6;
const SECRETS: u32 = 10;

/// The lines of a key log.
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// Packets begin with their IP header.
const RAW_IP: u16 = 101;

/// Options: a text for people; the program that wrote a section; the name and clock of an interface.
const COMMENT: u16 = 1;
const PROGRAM: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const RESOLUTION: u16 = 9;

/// The capture of those packets of a run that are at `places`; `about` stands in it for those who find it without anything
/// beside it.
pub(super) fn capture(snapshot: &Snapshot, places: &[usize], about: &str) -> Vec<u8> {
    let mut file = section(about);
    file.extend(interface());
    file.extend(names(&snapshot.names));
    let epoch = snapshot.clock.epoch_micros.wrapping_mul(1_000);
    let mut frames = Frames::default();
    for packet in places.iter().map(|place| &snapshot.packets[*place]) {
        if packet.kind == Kind::Secret {
            file.extend(secrets(&packet.bytes));
            continue;
        }
        let at = epoch.wrapping_add(packet.at.as_nanos());
        let comment = fault_of(packet).map(|fault| fault.to_string());
        file.extend(packet_block(at, &frames.frame(packet), comment.as_deref()));
    }
    file
}

fn section(about: &str) -> Vec<u8> {
    let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    body.extend([1, 0, 0, 0]);
    // How long the section is stands nowhere: it ends with the file.
    body.extend((-1_i64).to_le_bytes());
    body.extend(options(&[(COMMENT, about.as_bytes()), (PROGRAM, b"Tandem")]));
    block(SECTION, &body)
}

fn interface() -> Vec<u8> {
    let mut body = RAW_IP.to_le_bytes().to_vec();
    body.extend([0; 6]);
    body.extend(options(&[(INTERFACE_NAME, b"simulated network"), (RESOLUTION, &[9])]));
    block(INTERFACE, &body)
}

fn names(names: &BTreeMap<IpAddr, String>) -> Vec<u8> {
    let mut body = Vec::new();
    for (address, name) in names {
        let (kind, mut value) = match address {
            IpAddr::V4(address) => (1_u16, address.octets().to_vec()),
            IpAddr::V6(address) => (2, address.octets().to_vec()),
        };
        value.extend(name.replace(char::is_whitespace, "-").bytes());
        value.push(0);
        body.extend(field(kind, &value));
    }
    body.extend([0; 4]);
    block(NAMES, &body)
}

/// With these Wireshark reads what TLS has sealed.
fn secrets(lines: &[u8]) -> Vec<u8> {
    let length = u32::try_from(lines.len()).expect("a key log has a few lines");
    let mut body = [TLS_KEY_LOG.to_le_bytes(), length.to_le_bytes()].concat();
    body.extend(lines);
    pad(&mut body);
    block(SECRETS, &body)
}

fn packet_block(at: u64, frame: &[u8], comment: Option<&str>) -> Vec<u8> {
    let length = u32::try_from(frame.len()).expect("a packet has less than 65,536 bytes").to_le_bytes();
    let mut body = vec![0; 4];
    body.extend(((at >> 32) as u32).to_le_bytes());
    body.extend((at as u32).to_le_bytes());
    body.extend(length);
    body.extend(length);
    body.extend(frame);
    pad(&mut body);
    if let Some(comment) = comment {
        body.extend(options(&[(COMMENT, comment.as_bytes())]));
    }
    block(PACKET, &body)
}

/// A block of whole words, with its length at both ends.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 12).expect("a block has less than 70,000 bytes").to_le_bytes();
    [&kind.to_le_bytes(), &length, body, &length].concat()
}

fn options(options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes: Vec<u8> = options.iter().flat_map(|(code, value)| field(*code, value)).collect();
    bytes.extend([0; 4]);
    bytes
}

fn field(code: u16, value: &[u8]) -> Vec<u8> {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let mut bytes = [code.to_le_bytes(), length.to_le_bytes()].concat();
    bytes.extend(value);
    pad(&mut bytes);
    bytes
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
