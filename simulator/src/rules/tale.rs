//! Tales of packets that were never sent, to see what rules say of them.

use super::Run;
use crate::network::{Books, Fate, Kind, Packet};
use pbx::rtp::packet::Header;
use pbx::time::{Duration, Instant};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

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
    left_over: Vec<String>,
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
            left_over: Vec::new(),
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
    pub(super) fn but(mut self, old: &str, new: &str) -> Tale {
        if let Some(packet) = self.packets.last_mut() {
            packet.bytes = String::from_utf8_lossy(&packet.bytes).replace(old, new).into_bytes().into();
        }
        self
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

    /// The last message does not arrive.
    pub(super) fn lost(mut self) -> Tale {
        if let Some(packet) = self.packets.last_mut() {
            packet.arrives = None;
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

    pub(super) fn rtp(self, at: u64, from: u8, to: u8, sequence: u16, timestamp: u32) -> Tale {
        let header = Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 7 };
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend([0xff; 160]);
        self.packet(at, (from, 40_000), (to, 20_000), bytes)
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

    fn packet(mut self, at: u64, from: (u8, u16), to: (u8, u16), bytes: Vec<u8>) -> Tale {
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
    let mut records = tale.records.clone();
    if tale.needs_record {
        records.push(json!({ "sip_call_id": "c" }));
    }
    let run = Run {
        packets: &tale.packets,
        pbx: IpAddr::from([10, 0, 0, 1]),
        outages: &[],
        excused: &tale.excused,
        unheard: &BTreeSet::new(),
        records: Some(&records),
        books: tale.books,
        left_over: &tale.left_over,
        end: tale.packets.last().map_or(Instant::START, |packet| packet.at).max(tale.end),
    };
    run.judge().iter().map(|broken| broken.rule.id).collect()
}
