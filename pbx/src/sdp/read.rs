//! Reading the other side's description.

use super::{Codec, Direction, RemoteAudio};
use sdp_types::{Attribute, Media, Session};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The largest description that is read, bytes.
const LIMIT: usize = 32_768;

/// The most m-lines, and formats of one, that are read.
const MEDIAS: usize = 32;
const FORMATS: usize = 64;

/// Why bytes are not a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Not SDP; what the parser says.
    Syntax(String),
    /// Longer than we read.
    TooLong,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Syntax(what) => write!(f, "not a session description: {what}"),
            ParseError::TooLong => f.write_str("the session description is longer than allowed"),
        }
    }
}

impl std::error::Error for ParseError {}

/// A description as far as the offer/answer model looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// One for each m-line.
    pub(super) medias: Vec<DescribedMedia>,
}

impl Described {
    /// The first audio stream that can be used; one of port 0 only when there is no other.
    pub(super) fn audio(&self) -> Option<(usize, &RemoteAudio)> {
        let streams = || {
            self.medias.iter().enumerate().filter_map(|(i, media)| Some((i, media, media.audio.as_ref()?)))
        };
        let live = streams().find(|(_, media, _)| media.port != 0);
        live.or_else(|| streams().next()).map(|(index, _, audio)| (index, audio))
    }
}

/// An m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DescribedMedia {
    pub(super) kind: String,
    pub(super) port: u16,
    pub(super) proto: String,
    pub(super) formats: String,
    /// What it says, when it is audio of a kind that we understand.
    pub(super) audio: Option<RemoteAudio>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Described, ParseError> {
    if bytes.len() > LIMIT {
        return Err(ParseError::TooLong);
    }
    let session = Session::parse(bytes).map_err(|error| ParseError::Syntax(error.to_string()))?;
    if session.medias.len() > MEDIAS {
        return Err(ParseError::TooLong);
    }
    let medias = session.medias.iter().map(|media| DescribedMedia {
        kind: media.media.clone(),
        port: media.port,
        proto: media.proto.clone(),
        formats: media.fmt.clone(),
        audio: is_usable(media).then(|| audio(&session, media)),
    });
    Ok(Described { medias: medias.collect() })
}

fn is_usable(media: &Media) -> bool {
    media.media == "audio" && matches!(media.proto.as_str(), "RTP/AVP" | "RTP/AVPF")
}

fn audio(session: &Session, media: &Media) -> RemoteAudio {
    let connection = media.connections.first().or(session.connection.as_ref());
    let address = connection.and_then(|connection| {
        connection.connection_address.split('/').next().unwrap_or_default().parse::<IpAddr>().ok()
    });
    let rtp = address
        .filter(|ip| !ip.is_unspecified() && media.port != 0)
        .map(|ip| SocketAddr::new(ip, media.port));
    let rtcp = rtp.and_then(|rtp| match value(&media.attributes, "rtcp") {
        Some(text) => rtcp(text, rtp),
        None => rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port)),
    });
    // Held by c=0.0.0.0 is the form of RFC 2543: it wants to receive nothing (RFC 3264 section 8.4).
    let held = address.is_some_and(|ip| ip.is_unspecified()) && media.port != 0;
    let direction =
        direction(&media.attributes).or_else(|| direction(&session.attributes)).unwrap_or_default();
    RemoteAudio {
        rtp,
        rtcp,
        codecs: codecs(media),
        direction: if held { without_receiving(direction) } else { direction },
        ptime: number(media, "ptime"),
        maxptime: number(media, "maxptime"),
    }
}

fn codecs(media: &Media) -> Vec<Codec> {
    let mut codecs: Vec<Codec> = Vec::new();
    for text in media.fmt.split_ascii_whitespace().take(FORMATS) {
        let Some(payload_type) = text.parse::<u8>().ok().filter(|number| *number < 128) else {
            continue;
        };
        let mapped =
            media.attributes.iter().filter(|a| a.attribute == "rtpmap").find_map(|a| rtpmap(a, payload_type));
        if let Some(mut codec) = mapped.or_else(|| Codec::of_static(payload_type)) {
            codec.fmtp = fmtp(media, payload_type);
            codecs.push(codec);
        }
    }
    codecs
}

/// `96 opus/48000/2`
fn rtpmap(attribute: &Attribute, payload_type: u8) -> Option<Codec> {
    let (number, encoding) = attribute.value.as_deref()?.trim().split_once(' ')?;
    if number.parse::<u8>().ok()? != payload_type {
        return None;
    }
    let mut parts = encoding.trim().split('/');
    let (name, clock_rate) = (parts.next()?.to_owned(), parts.next()?.trim().parse().ok()?);
    let channels = parts.next().and_then(|text| text.trim().parse().ok()).unwrap_or(1);
    (clock_rate > 0 && !name.is_empty()).then_some(Codec {
        payload_type,
        name,
        clock_rate,
        channels,
        fmtp: None,
    })
}

fn fmtp(media: &Media, payload_type: u8) -> Option<String> {
    media.attributes.iter().filter(|a| a.attribute == "fmtp").find_map(|attribute| {
        let (number, text) = attribute.value.as_deref()?.trim().split_once(' ')?;
        (number.parse::<u8>().ok()? == payload_type).then(|| text.trim().to_owned())
    })
}

/// `53020` or `53020 IN IP4 126.16.64.4` (RFC 3605).
fn rtcp(text: &str, rtp: SocketAddr) -> Option<SocketAddr> {
    let mut words = text.split_ascii_whitespace();
    let port = words.next()?.parse::<u16>().ok().filter(|port| *port != 0)?;
    let ip = words.nth(2).and_then(|ip| ip.parse().ok()).unwrap_or(rtp.ip());
    Some(SocketAddr::new(ip, port))
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|attribute| match attribute.attribute.as_str() {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    })
}

fn without_receiving(direction: Direction) -> Direction {
    match direction {
        Direction::SendRecv | Direction::SendOnly => Direction::SendOnly,
        Direction::RecvOnly | Direction::Inactive => Direction::Inactive,
    }
}

fn number(media: &Media, name: &str) -> Option<u8> {
    value(&media.attributes, name)?.trim().parse().ok().filter(|number| *number > 0)
}

fn value<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.attribute == name)?.value.as_deref()
}
