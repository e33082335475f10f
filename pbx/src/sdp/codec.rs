//! Codecs by name and number (RFC 3551 section 6).

use super::{Codec, RemoteAudio};

/// Payload types that need no rtpmap.
const STATIC: [(u8, &str, u32); 8] = [
    (0, "PCMU", 8_000),
    (3, "GSM", 8_000),
    (4, "G723", 8_000),
    (8, "PCMA", 8_000),
    (9, "G722", 8_000),
    (13, "CN", 8_000),
    (15, "G728", 8_000),
    (18, "G729", 8_000),
];

impl Codec {
    /// G.711 u-law.
    pub fn pcmu() -> Codec {
        Codec { payload_type: 0, name: "PCMU".into(), clock_rate: 8_000, channels: 1, fmtp: None }
    }

    /// G.711 A-law.
    pub fn pcma() -> Codec {
        Codec { payload_type: 8, name: "PCMA".into(), clock_rate: 8_000, channels: 1, fmtp: None }
    }

    /// Keys as events (RFC 4733), the sixteen of a telephone.
    pub fn telephone_event(payload_type: u8) -> Codec {
        let fmtp = Some("0-15".into());
        Codec { payload_type, name: "telephone-event".into(), clock_rate: 8_000, channels: 1, fmtp }
    }

    /// The codec of a payload type that needs no rtpmap.
    pub fn of_static(payload_type: u8) -> Option<Codec> {
        let (_, name, clock_rate) = STATIC.into_iter().find(|(number, ..)| *number == payload_type)?;
        Some(Codec { payload_type, name: name.into(), clock_rate, channels: 1, fmtp: None })
    }

    /// Whether both are the same encoding, whatever their numbers (RFC 3264 section 6.1).
    pub fn matches(&self, other: &Codec) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && self.channels == other.channels
    }

    /// Whether this is `telephone-event`.
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// Whether it carries sound by itself: neither keys nor comfort noise.
    pub fn is_audio(&self) -> bool {
        !self.is_telephone_event()
            && !self.name.eq_ignore_ascii_case("CN")
            && !self.name.eq_ignore_ascii_case("red")
    }
}

/// What another leg is offered so that its answer needs no transcoding: what `remote` has listed, with its numbers, those
/// we prefer first.
pub fn offerable(remote: &RemoteAudio, preferred: &[String], dtmf: bool) -> Vec<Codec> {
    let rank = |codec: &Codec| {
        preferred.iter().position(|name| name.eq_ignore_ascii_case(&codec.name)).unwrap_or(usize::MAX)
    };
    let mut codecs: Vec<_> = remote.codecs.iter().filter(|codec| codec.is_audio()).cloned().collect();
    codecs.sort_by_key(rank);
    if dtmf {
        codecs.extend(remote.codecs.iter().find(|codec| codec.is_telephone_event()).cloned());
    }
    codecs
}
