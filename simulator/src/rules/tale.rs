//! Tales of packets that were never sent, to see what rules say of them.

use super::Run;
use crate::agents::websocket::{Frame, Opcode};
use crate::network::{Binding, Books, Fate, Kind, Outage, Packet};
use pbx::rtp::packet::Header;
use pbx::time::{Duration, Instant, WallClock};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What o'clock it is when a tale begins: 2026-01-01.
const EPOCH: u64 = 1_767_225_600_000_000;

/// Packets between 10.0.0.1, the PBX, and others.
#[derive(Clone)]
pub(super) struct Tale {
    /// When it ends, if later than its last packet.
    end: Instant,
    packets: Vec<Packet>,
    records: Vec<Value>,
    /// Tales that are about something else have a record of their call.
    needs_record: bool,
    books: Option<Books>,
    excused: BTreeSet<IpAddr>,
    outages: Vec<Outage>,
    left_over: Vec<String>,
    bindings: Option<Vec<Binding>>,
    complaints: Vec<(Instant, String)>,
    rtp_timeout: Option<Duration>,
}

impl Tale {
    pub(super) fn new() -> Tale {
        Tale {
            end: Instant::START,
            packets: Vec::new(),
            records: Vec::new(),
            needs_record: true,
            books: None,
            excused: BTreeSet::new(),
            outages: Vec::new(),
            left_over: Vec::new(),
            bindings: None,
            complaints: Vec::new(),
            rtp_timeout: None,
        }
    }

    pub(super) fn request(self, at: u64, from: u8, to: u8, method: &str, branch: &str, cseq: u32) -> Tale {
        let start = format!("{method} sip:x@10.0.0.{to} SIP/2.0");
        self.message(at, from, to, &start, method, branch, cseq, "")
    }

    #[expect(clippy::too_many_arguments, reason = "a line of a table")]
    pub(super) fn response(
        self,
        at: u64,
        from: u8,
        to: u8,
        status: u16,
        method: &str,
        branch: &str,
        cseq: u32,
    ) -> Tale {
        self.message(at, from, to, &format!("SIP/2.0 {status} x"), method, branch, cseq, ";tag=b")
    }

    /// The last message carries this description.
    pub(super) fn describes(mut self, sdp: &str) -> Tale {
        if let Some(packet) = self.packets.last_mut() {
            packet.bytes = [&packet.bytes, sdp.as_bytes()].concat().into();
        }
        self
    }

    /// In the last message these words stand instead.
    pub(super) fn but(self, old: &str, new: &str) -> Tale {
        self.forge(|bytes| String::from_utf8_lossy(bytes).replace(old, new).into_bytes())
    }

    /// The last message has this header line as well.
    pub(super) fn with(self, line: &str) -> Tale {
        self.but("CSeq: ", &format!("{line}\r\nCSeq: "))
    }

    /// The last message is a request within the dialog, by the one who began it.
    pub(super) fn within(self) -> Tale {
        self.but("To: <sip:b@x>", "To: <sip:b@x>;tag=b")
    }

    /// The last message is a request within the dialog, by the other side.
    pub(super) fn within_by_callee(self) -> Tale {
        self.but("From: <sip:a@x>;tag=a", "From: <sip:b@x>;tag=b")
            .but("To: <sip:b@x>\r", "To: <sip:a@x>;tag=a\r")
    }

    /// The last message goes over a stream.
    pub(super) fn over_tcp(mut self) -> Tale {
        self = self.but("/UDP ", "/TCP ").with("Content-Length: 0");
        if let Some(packet) = self.packets.last_mut() {
            packet.kind = Kind::Data;
        }
        self
    }

    /// An application at 10.0.0.`client` has opened a WebSocket to the PBX.
    pub(super) fn connects(self, at: u64, client: u8, session: &str) -> Tale {
        let asks = "GET /rwi/v1 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let agrees = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nx-rwi-session: {session}\r\n\r\n"
        );
        self.segment(at, client, 1, asks.as_bytes()).segment(at, 1, client, agrees.as_bytes())
    }

    /// A text goes over it.
    pub(super) fn frame(self, at: u64, from: u8, to: u8, what: &Value) -> Tale {
        let mask = (from != 1).then_some([1, 2, 3, 4]);
        self.segment(at, from, to, &Frame::whole(Opcode::Text, what.to_string(), mask).to_bytes())
    }

    /// An event with its number.
    pub(super) fn event(self, at: u64, to: u8, seq: u64, name: &str, call: &str, data: Value) -> Tale {
        let what = json!({ "event": name, "call_id": call, "seq": seq, "data": data });
        self.frame(at, 1, to, &what)
    }

    fn segment(mut self, at: u64, from: u8, to: u8, bytes: &[u8]) -> Tale {
        let port = |host: u8| if host == 1 { 8080 } else { 40_000 };
        let address = |host: u8| (IpAddr::from([10, 0, 0, host]), port(host)).into();
        let at = Instant::from_millis(at);
        self.packets.push(Packet {
            at,
            from: address(from),
            to: address(to),
            kind: Kind::Data,
            bytes: bytes.to_vec().into(),
            number: 0,
            fate: Fate::default(),
            arrives: Some(at),
        });
        self
    }

    /// What happens after it.
    pub(super) fn then(mut self, other: Tale) -> Tale {
        self.packets.extend(other.packets);
        self
    }

    /// Time passes until this moment.
    pub(super) fn ends(mut self, at: u64) -> Tale {
        self.end = Instant::from_millis(at);
        self
    }

    /// This was left over.
    pub(super) fn leaves(mut self, what: &str) -> Tale {
        self.left_over.push(what.to_owned());
        self
    }

    /// Whoever has this address was told to do wrong.
    pub(super) fn excuses(mut self, last: u8) -> Tale {
        self.excused.insert(IpAddr::from([10, 0, 0, last]));
        self
    }

    /// Whoever has this address is off for this time.
    pub(super) fn off(mut self, last: u8, from: u64, to: u64) -> Tale {
        let (from, to) = (Instant::from_millis(from), Some(Instant::from_millis(to)));
        self.outages.push(Outage { host: IpAddr::from([10, 0, 0, last]), from, to });
        self
    }

    /// The last message does not arrive.
    pub(super) fn lost(mut self) -> Tale {
        if let Some(packet) = self.packets.last_mut() {
            packet.arrives = None;
        }
        self
    }

    /// The last message arrives with one bit of these words flipped.
    pub(super) fn damaged(mut self, words: &str) -> Tale {
        if let Some(packet) = self.packets.last_mut() {
            let place = packet.bytes.windows(words.len()).position(|window| window == words.as_bytes());
            packet.fate.flip = place.map(|place| place as u64 * 8);
        }
        self
    }

    /// The last message has no tag in To.
    pub(super) fn without_tag(mut self) -> Tale {
        if let Some(packet) = self.packets.last_mut() {
            packet.bytes = String::from_utf8_lossy(&packet.bytes).replace(";tag=b", "").into_bytes().into();
        }
        self
    }

    /// alice calls the PBX, which answers; they talk from 10 ms on.
    pub(super) fn talk() -> Tale {
        Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(&description(2, 1, "sendrecv"))
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .describes(&description(1, 1, "sendrecv"))
            .request(7, 2, 1, "ACK", "b2", 1)
            .within()
    }

    /// The last packet is what `forge` makes of it.
    pub(super) fn forge(mut self, forge: impl FnOnce(&[u8]) -> Vec<u8>) -> Tale {
        if let Some(packet) = self.packets.last_mut() {
            packet.bytes = forge(&packet.bytes).into();
        }
        self
    }

    /// 20 ms of silence in PCMU, from the RTP port of one to that of the other. The first is marked.
    pub(super) fn rtp(self, at: u64, from: u8, to: u8, sequence: u16, timestamp: u32) -> Tale {
        let own = IpAddr::from([10, 0, 0, from]);
        let is_first = !self.packets.iter().any(|packet| packet.bytes[0] == 0x80 && packet.from.ip() == own);
        let header =
            Header { marker: is_first, payload_type: 0, sequence, timestamp, ssrc: 6 + u32::from(from) };
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend([0xff; 160]);
        self.packet(at, (from, port(from)), (to, port(to)), bytes)
    }

    /// alice says something for so many packets, beginning at 20 ms.
    pub(super) fn speech(self, packets: u16) -> Tale {
        (0..packets).fold(self, |tale, n| tale.rtp(20 + 20 * u64::from(n), 2, 1, n, 160 * u32::from(n)))
    }

    /// The last packet is sent from this port.
    pub(super) fn sent_from(mut self, port: u16) -> Tale {
        if let Some(packet) = self.packets.last_mut() {
            packet.from.set_port(port);
        }
        self
    }

    /// alice and bob talk through the PBX, which hears her at 20000 and talks to him from 20002.
    pub(super) fn talk_of_two() -> Tale {
        Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(&description(2, 1, "sendrecv"))
            .request(1, 1, 3, "INVITE", "c1", 1)
            .but("Call-ID: c", "Call-ID: d")
            .describes(&description(1, 1, "sendrecv").replace("20000", "20002"))
            .response(4, 3, 1, 200, "INVITE", "c1", 1)
            .but("Call-ID: c", "Call-ID: d")
            .describes(&description(3, 1, "sendrecv"))
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .describes(&description(1, 1, "sendrecv"))
    }

    /// What alice says in so many packets, each passed on to bob but these.
    pub(super) fn passed_on(self, packets: u16, but: &[u16], sample: impl Fn(u16) -> u8) -> Tale {
        let samples: Vec<u8> = (0..160).map(sample).collect();
        (0..packets).fold(self, |tale, n| {
            let (at, timestamp) = (20 + 20 * u64::from(n), 160 * u32::from(n));
            let sound = |packet: &[u8]| [&packet[..12], &samples].concat();
            let tale = tale.rtp(at, 2, 1, n, timestamp).forge(sound);
            if but.contains(&n) {
                return tale;
            }
            tale.rtp(at + 1, 1, 3, n, timestamp).forge(sound).sent_from(20_002)
        })
    }

    /// alice presses 5, told in so many packets with these durations and ends.
    pub(super) fn key(mut self, at: u64, sequence: u16, timestamp: u32, told: &[(u16, bool)]) -> Tale {
        for (n, (duration, end)) in (0u16..).zip(told) {
            let sequence = sequence + n;
            let header = Header { marker: n == 0, payload_type: 101, sequence, timestamp, ssrc: 8 };
            let [high, low] = duration.to_be_bytes();
            let mut bytes = header.to_bytes().to_vec();
            bytes.extend([5, u8::from(*end) << 7 | 10, high, low]);
            self = self.packet(at + 20 * u64::from(n), (2, port(2)), (1, port(1)), bytes);
        }
        self
    }

    /// These sockets were open.
    pub(super) fn bound(mut self, bindings: Vec<Binding>) -> Tale {
        self.bindings = Some(bindings);
        self
    }

    /// A program called this an error.
    pub(super) fn complains(mut self, complaint: (Instant, String)) -> Tale {
        self.complaints.push(complaint);
        self
    }

    /// The PBX waits so long for RTP.
    pub(super) fn waits_for_rtp(mut self, patience: Duration) -> Tale {
        self.rtp_timeout = Some(patience);
        self
    }

    /// What is judged.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Run<'_>) -> T) -> T {
        let mut records = self.records.clone();
        if self.needs_record {
            records.push(json!({ "sip_call_id": "c" }));
        }
        look(&Run {
            grain: Duration::ZERO,
            packets: &self.packets,
            pbx: IpAddr::from([10, 0, 0, 1]),
            outages: &self.outages,
            excused: &self.excused,
            unheard: &BTreeSet::new(),
            records: Some(&records),
            books: self.books,
            left_over: &self.left_over,
            end: self.packets.last().map_or(Instant::START, |packet| packet.at).max(self.end),
            clock: WallClock { epoch_micros: EPOCH },
            bindings: self.bindings.as_deref(),
            complaints: &self.complaints,
            rtp_timeout: self.rtp_timeout,
            stood_still: false,
            noise: &[],
        })
    }

    /// The record of the call.
    pub(super) fn with_record(mut self, record: Value) -> Tale {
        self.needs_record = false;
        self.records.push(record);
        self
    }

    pub(super) fn recorded(mut self) -> Tale {
        self.records.push(json!({ "sip_call_id": "c" }));
        self
    }

    /// The network says that so many datagrams were delivered.
    pub(super) fn delivered(mut self, delivered: u64) -> Tale {
        self.books = Some(Books { delivered, ..Books::default() });
        self
    }

    pub(super) fn unrecorded(mut self) -> Tale {
        self.needs_record = false;
        self
    }

    #[expect(clippy::too_many_arguments, reason = "a line of a table")]
    fn message(
        self,
        at: u64,
        from: u8,
        to: u8,
        start: &str,
        method: &str,
        branch: &str,
        cseq: u32,
        to_tag: &str,
    ) -> Tale {
        let client = if start.starts_with("SIP/2.0") { to } else { from };
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP 10.0.0.{client};branch=z9hG4bK{branch}\r\nFrom: <sip:a@x>;tag=a\r\n\
             To: <sip:b@x>{to_tag}\r\nCall-ID: c\r\nCSeq: {cseq} {method}\r\n\r\n"
        );
        self.packet(at, (from, 5060), (to, 5060), text.into_bytes())
    }

    pub(super) fn packet(mut self, at: u64, from: (u8, u16), to: (u8, u16), bytes: Vec<u8>) -> Tale {
        let address = |(last, port): (u8, u16)| (IpAddr::from([10, 0, 0, last]), port).into();
        let at = Instant::from_millis(at);
        self.packets.push(Packet {
            at,
            from: address(from),
            to: address(to),
            kind: Kind::Datagram,
            bytes: bytes.into(),
            number: 0,
            fate: Fate::default(),
            arrives: Some(at + Duration::from_millis(1)),
        });
        self
    }
}

/// Who is at 10.0.0.1 receives at 20000, everybody else at 40000.
fn port(host: u8) -> u16 {
    if host == 1 { 20_000 } else { 40_000 }
}

/// What one of them says.
pub(super) fn description(host: u8, version: u8, direction: &str) -> String {
    let port = port(host);
    format!(
        "v=0\r\no=- {host} {version} IN IP4 10.0.0.{host}\r\ns=-\r\nc=IN IP4 10.0.0.{host}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    )
}

/// Whether the tale breaks this rule.
pub(super) fn breaks(id: &str, tale: &Tale) -> bool {
    all(tale).contains(&id)
}

/// The ids of the rules on descriptions, media and what the PBX does that the tale breaks. Of the others half a tale
/// breaks many: they are asked one by one.
pub(super) fn broken(tale: &Tale) -> Vec<&'static str> {
    let is_asked = |id: &&str| !id.starts_with(['T', 'D']);
    all(tale).into_iter().filter(is_asked).collect()
}

fn all(tale: &Tale) -> Vec<&'static str> {
    // Tales that are about something else carry no descriptions.
    let describes = tale.packets.iter().any(|packet| packet.bytes.windows(4).any(|four| four == b"v=0\r"));
    let ids: Vec<&str> = tale.look(|run| run.judge().iter().map(|broken| broken.rule.id).collect());
    ids.into_iter().filter(|id| describes || !["S8", "S9"].contains(id)).collect()
}
