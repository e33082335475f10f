//! A description as rules read it: line by line, with eyes of their own, so that a mistake of the PBX's reader is seen.

use pbx::sdp::Direction;
use std::net::{IpAddr, SocketAddr};

/// What one side says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Description {
    /// One for each m-line, in their order.
    pub(super) streams: Vec<Stream>,
}

/// An m-line and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    /// `audio`, `video`, ...
    pub(super) kind: String,
    /// 0: refused, or over.
    pub(super) port: u16,
    /// `c=` of its own, else of the session.
    pub(super) address: Option<IpAddr>,
    /// As listed, best first.
    pub(super) formats: Vec<Format>,
    pub(super) direction: Direction,
    /// Milliseconds.
    pub(super) ptime: Option<u32>,
    /// Milliseconds.
    pub(super) maxptime: Option<u32>,
    /// What its writer seals with (RFC 4568): the tag, and the rest of the line.
    keys: Vec<(String, String)>,
}

/// A payload type and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) payload_type: u8,
    /// In lower case; empty where nobody says.
    pub(super) name: String,
    pub(super) rate: u32,
}

impl Description {
    pub(super) fn read(text: &str) -> Description {
        let mut address = None;
        let mut direction = None;
        let mut streams: Vec<Stream> = Vec::new();
        for line in text.lines() {
            let Some((kind, value)) = line.trim_end().split_once('=') else { continue };
            match (kind, streams.last_mut()) {
                ("m", _) => streams.extend(Stream::begin(value, address, direction)),
                ("c", Some(stream)) => stream.address = connection(value),
                ("c", None) => address = connection(value),
                ("a", Some(stream)) => stream.take(value),
                ("a", None) => direction = Direction::of_attribute(value).or(direction),
                _ => {}
            }
        }
        Description { streams }
    }
}

impl Stream {
    /// `audio 4000 RTP/AVP 0 8`
    fn begin(value: &str, address: Option<IpAddr>, direction: Option<Direction>) -> Option<Stream> {
        let mut words = value.split_ascii_whitespace();
        let kind = words.next()?.to_owned();
        let port = words.next()?.split('/').next()?.parse().ok()?;
        let numbers = words.skip(1).filter_map(|word| word.parse().ok());
        let direction = direction.unwrap_or_default();
        let formats = numbers.map(Format::of_static).collect();
        Some(Stream {
            kind,
            port,
            address,
            formats,
            direction,
            ptime: None,
            maxptime: None,
            keys: Vec::new(),
        })
    }

    fn take(&mut self, attribute: &str) {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match name {
            "rtpmap" => self.map(value),
            "crypto" => {
                self.keys.extend(value.split_once(' ').map(|(tag, key)| (tag.to_owned(), key.to_owned())))
            }
            "ptime" => self.ptime = value.trim().parse().ok(),
            "maxptime" => self.maxptime = value.trim().parse().ok(),
            _ => self.direction = Direction::of_attribute(name).unwrap_or(self.direction),
        }
    }

    /// `101 telephone-event/8000`
    fn map(&mut self, value: &str) {
        let Some((number, encoding)) = value.trim().split_once(' ') else { return };
        let mut parts = encoding.trim().split('/');
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let rate = parts.next().and_then(|rate| rate.trim().parse().ok()).unwrap_or(0);
        let of_number = |format: &&mut Format| Ok(format.payload_type) == number.parse();
        if let Some(format) = self.formats.iter_mut().find(of_number) {
            *format = Format { name, rate, ..*format };
        }
    }

    /// Where its writer wants RTP; `None` where it wants none: port 0, or `c=0.0.0.0` (RFC 3264 section 8.4).
    pub(super) fn target(&self) -> Option<SocketAddr> {
        let address = self.address.filter(|address| !address.is_unspecified() && self.port != 0)?;
        Some(SocketAddr::new(address, self.port))
    }

    /// What its writer seals with, when the other side has taken one of its keys by the tag.
    pub(super) fn keys_with(&self, other: &Stream) -> Option<String> {
        let is_common = |(tag, _): &&(String, String)| other.keys.iter().any(|(theirs, _)| theirs == tag);
        self.keys.iter().find(is_common).map(|(_, key)| key.clone())
    }

    /// The first codec that carries sound.
    pub(super) fn voice(&self) -> Option<&Format> {
        self.formats.iter().find(|format| format.is_voice())
    }
}

impl Format {
    /// What a payload type means without an rtpmap (RFC 3551 section 6).
    fn of_static(payload_type: u8) -> Format {
        let (name, rate) = match payload_type {
            0 => ("pcmu", 8_000),
            8 => ("pcma", 8_000),
            9 => ("g722", 8_000),
            13 => ("cn", 8_000),
            18 => ("g729", 8_000),
            _ => ("", 0),
        };
        Format { payload_type, name: name.to_owned(), rate }
    }

    pub(super) fn is_event(&self) -> bool {
        self.name == "telephone-event"
    }

    /// G.711, a byte a sample.
    pub(super) fn is_g711(&self) -> bool {
        self.name == "pcmu" || self.name == "pcma"
    }

    fn is_voice(&self) -> bool {
        !self.is_event() && self.name != "cn"
    }

    pub(super) fn is_same_codec(&self, other: &Format) -> bool {
        self.name == other.name
            && self.rate == other.rate
            && (!self.name.is_empty() || self.payload_type == other.payload_type)
    }
}

/// `IN IP4 10.0.0.1`
fn connection(value: &str) -> Option<IpAddr> {
    value.split_ascii_whitespace().nth(2)?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_has_what_it_says_or_what_the_session_says() {
        let text = "v=0\r\nc=IN IP4 10.0.0.2\r\na=sendonly\r\nm=audio 4000 RTP/AVP 0 101\r\n\
                    a=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n\
                    m=video 0 RTP/AVP 31\r\nc=IN IP4 10.0.0.3\r\na=inactive\r\n";
        let Description { streams } = Description::read(text);
        assert_eq!(streams[0].target(), Some(([10, 0, 0, 2], 4_000).into()));
        assert_eq!((streams[0].direction, streams[0].ptime), (Direction::SendOnly, Some(30)));
        assert!(streams[0].formats[1].is_event());
        assert_eq!(streams[0].voice().map(|format| format.name.as_str()), Some("pcmu"));
        assert_eq!((streams[1].target(), streams[1].direction), (None, Direction::Inactive));
    }

    #[test]
    fn a_hold_of_old_times_wants_nothing() {
        let text = "v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n";
        assert_eq!(Description::read(text).streams[0].target(), None);
    }
}
