//! Reading the other side's description: as much of it as offers and answers look at.
//!
//! Who writes SDP makes mistakes in lines that nobody here reads (`o=` with a version of thirty digits, `s=` in Latin-1,
//! `b=` without a number). Those lines are left out before the parser sees them, so that they cost no call.

use super::crypto::Security;
use super::{Codec, Crypto, Direction, NegotiationError, RemoteAudio, Sealing};
use sdp_types::{Attribute, Connection, Media, Session};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The largest description that is read, bytes.
const BYTES: usize = 32_768;

/// The most m-lines of one description.
const STREAMS: usize = 32;

/// The most formats of one m-line that are looked at.
const FORMATS: usize = 64;

/// Why bytes are not a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Not SDP; what the parser says.
    Syntax(String),
    /// More bytes or more m-lines than are read.
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
#[derive(Clone, Debug)]
pub(super) struct Description {
    /// One for each m-line.
    pub(super) streams: Vec<Stream>,
}

/// An m-line.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// `audio`, `video`, ...
    pub(super) kind: String,
    /// 0 when it is refused or over.
    pub(super) port: u16,
    /// `RTP/AVP`, ...
    pub(super) profile: String,
    /// The first of its formats: what an answer that refuses it repeats.
    pub(super) format: String,
    /// What it says, when it is audio of a kind that we understand.
    pub(super) audio: Result<RemoteAudio, NegotiationError>,
}

impl Description {
    pub(super) fn parse(bytes: &[u8]) -> Result<Description, ParseError> {
        if bytes.len() > BYTES {
            return Err(ParseError::TooLong);
        }
        let session = Session::parse(lines_read_here(bytes).as_bytes())
            .map_err(|error| ParseError::Syntax(error.to_string()))?;
        if session.medias.len() > STREAMS {
            return Err(ParseError::TooLong);
        }
        let streams = session.medias.iter().map(|media| Stream {
            kind: media.media.clone(),
            port: media.port,
            profile: media.proto.clone(),
            format: media.fmt.split_ascii_whitespace().next().unwrap_or("0").to_owned(),
            audio: audio(&session, media),
        });
        Ok(Description { streams: streams.collect() })
    }

    /// The audio stream to talk over: the one in use so far if it still can be, else the first that can. One of port 0
    /// only where there is no other.
    pub(super) fn audio(
        &self,
        in_use: usize,
        security: &Security,
    ) -> Result<(usize, &RemoteAudio), NegotiationError> {
        let readable = |index: usize| Some((index, self.streams.get(index)?.audio.as_ref().ok()?));
        let usable = |index: usize| readable(index).filter(|(_, audio)| security.admits(audio).is_ok());
        let is_live = |(index, _): &(usize, &RemoteAudio)| self.streams[*index].port != 0;
        let all = || (0..self.streams.len()).filter_map(usable);
        let best = usable(in_use).filter(is_live).or_else(|| all().find(is_live));
        best.or_else(|| usable(in_use)).or_else(|| all().next()).ok_or_else(|| self.why_no_audio(security))
    }

    /// The error that is closest to success.
    fn why_no_audio(&self, security: &Security) -> NegotiationError {
        let audio = self.streams.iter().filter_map(|stream| stream.audio.as_ref().ok());
        if let Some(refused) = audio.filter_map(|audio| security.admits(audio).err()).next() {
            return refused;
        }
        let errors = || self.streams.iter().filter_map(|stream| stream.audio.as_ref().err());
        let address = errors().find(|error| matches!(error, NegotiationError::NoAddress));
        let profile = errors().find(|error| matches!(error, NegotiationError::Profile(_)));
        address.or(profile).cloned().unwrap_or(NegotiationError::NoAudio)
    }
}

/// `v= c= m= a=`, as UTF-8.
fn lines_read_here(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let lines = bytes.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| matches!(line, [b'v' | b'c' | b'm' | b'a', b'=', ..])) {
        text.push_str(String::from_utf8_lossy(line.trim_ascii_end()).as_ref());
        text.push_str("\r\n");
    }
    text
}

fn audio(session: &Session, media: &Media) -> Result<RemoteAudio, NegotiationError> {
    if !media.media.eq_ignore_ascii_case("audio") {
        return Err(NegotiationError::NoAudio);
    }
    // An F is permission to send RTCP earlier (RFC 4585); nobody has to use it.
    let demanded = match media.proto.to_ascii_uppercase().as_str() {
        "RTP/AVP" | "RTP/AVPF" => false,
        "RTP/SAVP" | "RTP/SAVPF" => true,
        _ => return Err(NegotiationError::Profile(media.proto.clone())),
    };
    let keys = values(&media.attributes, "crypto").take(FORMATS).filter_map(Crypto::parse).collect();
    let connection = media.connections.first().or(session.connection.as_ref());
    let address = match connection.and_then(address) {
        Some(address) => address,
        // A stream that is over needs no address (RFC 3264 section 8.2).
        None if media.port == 0 => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        None => return Err(NegotiationError::NoAddress),
    };
    let rtp = (!address.is_unspecified() && media.port != 0).then_some(SocketAddr::new(address, media.port));
    let written = direction(&media.attributes).or_else(|| direction(&session.attributes)).unwrap_or_default();
    let direction = match rtp {
        Some(_) => written,
        None if media.port == 0 => Direction::Inactive,
        // c=0.0.0.0 is how RFC 2543 held a call: nothing is to be sent there (RFC 3264 section 8.4).
        None => Direction::of(written.sends(), false),
    };
    Ok(RemoteAudio {
        rtp,
        rtcp: rtp.and_then(|rtp| rtcp(media, rtp)),
        codecs: codecs(media),
        direction,
        ptime: milliseconds(media, "ptime"),
        maxptime: milliseconds(media, "maxptime"),
        sealing: Sealing { demanded, keys },
    })
}

/// The address, unless it is a name or a multicast group.
fn address(connection: &Connection) -> Option<IpAddr> {
    let text = connection.connection_address.split('/').next()?;
    text.parse::<IpAddr>().ok().filter(|address| !address.is_multicast())
}

fn codecs(media: &Media) -> Vec<Codec> {
    let maps: Vec<_> = values(&media.attributes, "rtpmap").filter_map(rtpmap).collect();
    let parameters: Vec<_> = values(&media.attributes, "fmtp").filter_map(of_payload_type).collect();
    let numbers = media.fmt.split_ascii_whitespace().take(FORMATS).filter_map(payload_type);
    let mut codecs: Vec<Codec> = Vec::new();
    for number in numbers {
        let mapped = maps.iter().find(|codec| codec.payload_type == number).cloned();
        // A dynamic number without rtpmap means nothing.
        let Some(codec) = mapped.or_else(|| Codec::of_static(number)) else { continue };
        let fmtp = parameters.iter().find(|(of, _)| *of == number).map(|(_, text)| (*text).to_owned());
        if codecs.iter().all(|other| other.payload_type != number) {
            codecs.push(Codec { fmtp, ..codec });
        }
    }
    codecs
}

/// `96 opus/48000/2`
fn rtpmap(value: &str) -> Option<Codec> {
    let (payload_type, encoding) = of_payload_type(value)?;
    let mut parts = encoding.split('/').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
    let clock_rate = parts.next()?.parse().ok().filter(|rate| *rate > 0)?;
    let channels = parts.next().and_then(|text| text.parse().ok()).filter(|channels| *channels > 0);
    Some(Codec { payload_type, name, clock_rate, channels: channels.unwrap_or(1), fmtp: None })
}

/// `96 ...`: the number and the rest.
fn of_payload_type(value: &str) -> Option<(u8, &str)> {
    let (number, rest) = value.trim().split_once(' ')?;
    Some((payload_type(number)?, rest.trim()))
}

fn payload_type(text: &str) -> Option<u8> {
    text.parse().ok().filter(|number| *number < 128)
}

/// `53020` or `53020 IN IP4 126.16.64.4` (RFC 3605); else the port above that of RTP (RFC 3550 section 11).
fn rtcp(media: &Media, rtp: SocketAddr) -> Option<SocketAddr> {
    let Some(value) = values(&media.attributes, "rtcp").next() else {
        return rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port));
    };
    let mut words = value.split_ascii_whitespace();
    let port = words.next()?.parse().ok().filter(|port| *port != 0)?;
    let ip = match words.nth(2) {
        Some(text) => text.parse::<IpAddr>().ok()?,
        None => rtp.ip(),
    };
    (!ip.is_unspecified() && !ip.is_multicast()).then_some(SocketAddr::new(ip, port))
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|attribute| Direction::of_attribute(&attribute.attribute))
}

fn milliseconds(media: &Media, name: &str) -> Option<u8> {
    values(&media.attributes, name).next()?.trim().parse().ok().filter(|number| *number > 0)
}

fn values<'a>(attributes: &'a [Attribute], name: &str) -> impl Iterator<Item = &'a str> {
    attributes
        .iter()
        .filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name))
        .filter_map(|attribute| attribute.value.as_deref())
}
