//! Packets of the simulated network as they would stand on a wire: IP, and in it UDP, TCP or ICMP, with right checksums.
//!
//! The network counts segments, not bytes, and sends no acknowledgement of its own. So sequence numbers are counted here
//! as its streams would count them, and each segment acknowledges what has arrived at its sender by then.

use crate::dice::Dice;
use crate::network::{Kind, Packet};
use pbx::time::Instant;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP_V6: u8 = 58;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Makes frames of packets, which have to be given in the order in which they were sent.
#[derive(Default)]
pub(super) struct Frames {
    halves: BTreeMap<(SocketAddr, SocketAddr), Half>,
    packets: u16,
}

/// What one end of a stream has sent.
struct Half {
    /// The sequence number of its SYN.
    first: u32,
    /// How many numbers are used up.
    sent: u64,
    /// What has not arrived, by its place.
    missing: BTreeMap<u64, Vec<u8>>,
    /// What has arrived or will, by its place: where it ends, and when.
    arriving: BTreeMap<u64, (u64, Instant)>,
    /// All before this has arrived.
    arrived: u64,
    fin: Option<u64>,
}

impl Frames {
    /// The IP packet.
    pub(super) fn frame(&mut self, packet: &Packet) -> Vec<u8> {
        self.packets = self.packets.wrapping_add(1);
        let (from, to) = (packet.from, packet.to);
        match packet.kind {
            Kind::Datagram => self.ip(from, to, UDP, udp(from, to, &packet.bytes)),
            Kind::Reset if !self.is_stream(packet) => {
                let (protocol, message) = unreachable(from, to);
                self.ip(from, to, protocol, message)
            }
            _ => {
                let segment = self.segment(packet);
                self.ip(from, to, TCP, segment)
            }
        }
    }

    /// A reset of no stream is the news that nobody listens where a datagram went.
    fn is_stream(&self, packet: &Packet) -> bool {
        [(packet.from, packet.to), (packet.to, packet.from)].iter().any(|key| self.halves.contains_key(key))
    }

    fn segment(&mut self, packet: &Packet) -> Vec<u8> {
        let (key, back) = ((packet.from, packet.to), (packet.to, packet.from));
        if packet.kind == Kind::Syn && self.halves.get(&key).is_none_or(|half| half.sent > 1) {
            // Whatever had these ends before is over.
            self.halves.remove(&back);
            self.halves.insert(key, Half::new(packet));
        }
        let half = self.halves.entry(key).or_insert_with(|| Half::new(packet));
        let (at, flags) = half.place(packet);
        let sequence = half.number(at);
        let acknowledged = self.halves.get_mut(&back).map(|half| {
            half.take(packet.at);
            half.number(half.arrived)
        });
        // What opens a stream has nothing to acknowledge.
        let acknowledged = acknowledged.filter(|_| packet.kind != Kind::Syn);
        let flags = if acknowledged.is_some() { flags | ACK } else { flags };
        tcp(packet, sequence, acknowledged.unwrap_or(0), flags)
    }

    fn ip(&self, from: SocketAddr, to: SocketAddr, protocol: u8, payload: Vec<u8>) -> Vec<u8> {
        let mut packet = Vec::with_capacity(40 + payload.len());
        match (from.ip(), to.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length =
                    u16::try_from(20 + payload.len()).expect("a datagram has less than 65,508 bytes");
                packet.extend([0x45, 0]);
                packet.extend(length.to_be_bytes());
                packet.extend(self.packets.to_be_bytes());
                packet.extend([0x40, 0, 64, protocol, 0, 0]);
                packet.extend(source.octets());
                packet.extend(destination.octets());
                let checksum = checksum(&[&packet]);
                packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            }
            (source, destination) => {
                let length = u16::try_from(payload.len()).expect("a datagram has less than 65,528 bytes");
                packet.extend([0x60, 0, 0, 0]);
                packet.extend(length.to_be_bytes());
                packet.extend([protocol, 64]);
                packet.extend(octets(source));
                packet.extend(octets(destination));
            }
        }
        packet.extend(payload);
        packet
    }
}

impl Half {
    fn new(packet: &Packet) -> Half {
        let ends = format!("{} {} {}", packet.from, packet.to, packet.number);
        let first = Dice::new(0).named(&ends).bits() as u32;
        let (missing, arriving) = (BTreeMap::new(), BTreeMap::new());
        Half { first, sent: 0, missing, arriving, arrived: 0, fin: None }
    }

    fn number(&self, place: u64) -> u32 {
        self.first.wrapping_add(place as u32)
    }

    /// Where a packet stands in the stream, and its flags.
    fn place(&mut self, packet: &Packet) -> (u64, u8) {
        let (at, length, flags) = match packet.kind {
            Kind::Syn => (0, 1, SYN),
            Kind::SynAck => (0, 1, SYN | ACK),
            Kind::Fin => (*self.fin.get_or_insert(self.sent), 1, FIN),
            Kind::Reset => return (self.sent, RST),
            Kind::Again => (self.missed(&packet.bytes), packet.bytes.len() as u64, PSH),
            _ => (self.sent, packet.bytes.len() as u64, PSH),
        };
        self.sent = self.sent.max(at + length);
        // A flipped bit fails the checksum, and the segment is thrown away.
        match packet.arrives.filter(|_| packet.fate.flip.is_none()) {
            Some(arrives) => {
                self.missing.remove(&at);
                self.arriving.insert(at, (at + length, arrives));
            }
            None => {
                self.missing.insert(at, packet.bytes.to_vec());
            }
        }
        (at, flags)
    }

    /// The place of what is sent again.
    fn missed(&self, bytes: &[u8]) -> u64 {
        let missed = self.missing.iter().find(|(_, missed)| missed.as_slice() == bytes);
        missed.map_or(self.sent, |(at, _)| *at)
    }

    /// What has arrived by `now` without a gap.
    fn take(&mut self, now: Instant) {
        while let Some((end, _)) = self.arriving.get(&self.arrived).filter(|(_, at)| *at <= now) {
            let end = *end;
            self.arriving.remove(&self.arrived);
            if end == self.arrived {
                return;
            }
            self.arrived = end;
        }
    }
}

fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("a datagram has less than 65,508 bytes");
    let mut datagram = Vec::with_capacity(usize::from(length));
    datagram.extend(from.port().to_be_bytes());
    datagram.extend(to.port().to_be_bytes());
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let checksum = match checksum(&[&pseudo_header(from, to, UDP, datagram.len()), &datagram]) {
        // 0 says that there is none (RFC 768).
        0 => u16::MAX,
        checksum => checksum,
    };
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
    datagram
}

fn tcp(packet: &Packet, sequence: u32, acknowledged: u32, flags: u8) -> Vec<u8> {
    // What opens a stream says how long its segments may be: 1460 bytes.
    let options: &[u8] = if flags & SYN == 0 { &[] } else { &[2, 4, 0x05, 0xb4] };
    let mut segment = Vec::with_capacity(24 + packet.bytes.len());
    segment.extend(packet.from.port().to_be_bytes());
    segment.extend(packet.to.port().to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledged.to_be_bytes());
    segment.push(u8::try_from((20 + options.len()) / 4).expect("a header has a few words") << 4);
    segment.push(flags);
    segment.extend(u16::MAX.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(options);
    segment.extend(&*packet.bytes);
    let checksum = checksum(&[&pseudo_header(packet.from, packet.to, TCP, segment.len()), &segment]);
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    segment
}

/// Port unreachable (RFC 792, RFC 4443 section 3.1), about an empty datagram the other way.
fn unreachable(from: SocketAddr, to: SocketAddr) -> (u8, Vec<u8>) {
    let about = Frames::default().ip(to, from, UDP, udp(to, from, &[]));
    let (protocol, kind): (u8, [u8; 2]) = match from.ip() {
        IpAddr::V4(_) => (ICMP, [3, 3]),
        IpAddr::V6(_) => (ICMP_V6, [1, 4]),
    };
    let mut message = [&kind[..], &[0; 6], &about].concat();
    let pseudo = pseudo_header(from, to, protocol, message.len());
    let checksum = match from.ip() {
        IpAddr::V4(_) => checksum(&[&message]),
        IpAddr::V6(_) => checksum(&[&pseudo, &message]),
    };
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    (protocol, message)
}

/// What is summed up with the packet (RFC 9293 section 3.1, RFC 8200 section 8.1).
fn pseudo_header(from: SocketAddr, to: SocketAddr, protocol: u8, length: usize) -> Vec<u8> {
    let length = u32::try_from(length).expect("a packet has less than 65,536 bytes");
    let [zero, more, high, low] = length.to_be_bytes();
    let mut header = octets(from.ip());
    header.extend(octets(to.ip()));
    match from.ip() {
        IpAddr::V4(_) => header.extend([0, protocol, high, low]),
        IpAddr::V6(_) => header.extend([zero, more, high, low, 0, 0, 0, protocol]),
    }
    header
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The Internet checksum (RFC 1071) of parts each of which but the last has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u32 =
        words.map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |byte| u32::from(*byte))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Fate;

    #[test]
    fn a_checksum_is_that_of_rfc_1071() {
        // The example of its section 3.
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
    }

    #[test]
    fn a_stream_counts_its_bytes_and_acknowledges_what_has_come() {
        let mut frames = Frames::default();
        let mut numbers = |packet: &Packet| {
            let frame = frames.frame(packet);
            let word = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().expect("four bytes"));
            (word(24), word(28), frame[33])
        };
        let (first, _, flags) = numbers(&packet(0, true, Kind::Syn, "", true));
        assert_eq!(flags, SYN);
        let (other, acknowledged, flags) = numbers(&packet(1, false, Kind::SynAck, "", true));
        assert_eq!((acknowledged, flags), (first.wrapping_add(1), SYN | ACK));
        let at = |place: u32| first.wrapping_add(place);
        let back = |place: u32| other.wrapping_add(place);
        assert_eq!(numbers(&packet(2, true, Kind::Data, "abc", false)), (at(1), back(1), PSH | ACK));
        assert_eq!(numbers(&packet(2, true, Kind::Data, "de", true)), (at(4), back(1), PSH | ACK));
        // Nothing is acknowledged beyond the gap, all of it once that is filled.
        assert_eq!(numbers(&packet(9, false, Kind::Data, "x", true)).1, at(1));
        assert_eq!(numbers(&packet(202, true, Kind::Again, "abc", true)), (at(1), back(2), PSH | ACK));
        assert_eq!(numbers(&packet(210, false, Kind::Fin, "", true)), (back(2), at(6), FIN | ACK));
        assert_eq!(numbers(&packet(220, true, Kind::Reset, "", true)), (at(6), back(3), RST | ACK));
    }

    #[test]
    fn a_reset_of_no_stream_is_icmp() {
        let frame = Frames::default().frame(&packet(0, true, Kind::Reset, "", true));
        assert_eq!((frame[9], &frame[20..22]), (ICMP, &[3, 3][..]));
    }

    fn packet(millis: u64, forth: bool, kind: Kind, text: &str, arrives: bool) -> Packet {
        let ends: [SocketAddr; 2] = [([10, 0, 0, 2], 50_000).into(), ([10, 0, 0, 1], 5060).into()];
        let [from, to] = if forth { ends } else { [ends[1], ends[0]] };
        let at = Instant::from_millis(millis);
        let arrives = arrives.then_some(at + pbx::time::Duration::from_millis(1));
        let bytes = text.as_bytes().to_vec().into();
        Packet { at, from, to, kind, bytes, number: 0, fate: Fate::default(), arrives }
    }
}
