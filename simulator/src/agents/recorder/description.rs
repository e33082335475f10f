//! Descriptions of a recording session: several streams of one direction, each with a label (RFC 7866 section 7.1).

use pbx::audio::Law;
use pbx::sdp::Direction;
use sdp_types::{Media, Session};
use std::net::{IpAddr, SocketAddr};

/// One stream of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// `a=label`.
    pub(super) label: Option<String>,
    /// Where its writer wants RTP; `None` when the port is 0.
    pub(super) rtp: Option<SocketAddr>,
    /// Who sends, seen from its writer.
    pub(super) direction: Direction,
    /// The codec, of those that we understand the first one.
    pub(super) codec: Option<(u8, Law)>,
    /// As written, for an answer that refuses it.
    kind: String,
    profile: String,
    format: String,
}

/// The streams of a description.
pub(super) fn read(description: &[u8]) -> Result<Vec<Line>, String> {
    let session = Session::parse(description).map_err(|error| format!("no session description: {error}"))?;
    Ok(session.medias.iter().map(|media| line(&session, media)).collect())
}

/// An answer that takes every stream at the port given for it, or refuses it.
pub(super) fn answer(host: IpAddr, version: u64, lines: &[(Line, Option<u16>, Direction)]) -> Vec<u8> {
    let mut text = head(host, version);
    for (line, port, direction) in lines {
        let Line { kind, profile, format, label, .. } = line;
        match (port, line.codec) {
            (Some(port), Some((payload_type, law))) => {
                let name = law_name(law);
                text += &format!(
                    "m={kind} {port} {profile} {payload_type}\r\na=rtpmap:{payload_type} {name}/8000\r\n\
                     a={}\r\n",
                    attribute(*direction)
                );
            }
            _ => text += &format!("m={kind} 0 {profile} {format}\r\n"),
        }
        if let Some(label) = label {
            text += &format!("a=label:{label}\r\n");
        }
    }
    text.into_bytes()
}

/// An offer of one stream for each label and port.
pub(super) fn offer(host: IpAddr, version: u64, streams: &[(&str, u16)], direction: Direction) -> Vec<u8> {
    let mut text = head(host, version);
    for (label, port) in streams {
        text += &format!(
            "m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na={}\r\na=label:{label}\r\n",
            attribute(direction)
        );
    }
    text.into_bytes()
}

fn head(host: IpAddr, version: u64) -> String {
    format!("v=0\r\no=- 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n")
}

fn line(session: &Session, media: &Media) -> Line {
    let value = |name: &str| {
        let mut found = media.attributes.iter().filter(|attribute| attribute.attribute == name);
        found.next().and_then(|attribute| attribute.value.clone())
    };
    let connection = media.connections.first().or(session.connection.as_ref());
    let host: Option<IpAddr> = connection.and_then(|connection| connection.connection_address.parse().ok());
    let direction = media
        .attributes
        .iter()
        .chain(&session.attributes)
        .find_map(|attribute| Direction::of_attribute(&attribute.attribute));
    let rtp = host.filter(|host| media.port != 0 && !host.is_unspecified());
    let mut formats = media.fmt.split_ascii_whitespace();
    Line {
        label: value("label"),
        rtp: rtp.map(|host| SocketAddr::new(host, media.port)),
        direction: direction.unwrap_or_default(),
        codec: formats.clone().find_map(|format| codec(media, format)),
        kind: media.media.clone(),
        profile: media.proto.clone(),
        format: formats.next().unwrap_or("0").to_owned(),
    }
}

fn codec(media: &Media, format: &str) -> Option<(u8, Law)> {
    let payload_type = format.parse().ok()?;
    let mut maps = media.attributes.iter().filter(|attribute| attribute.attribute == "rtpmap");
    let name = maps.find_map(|map| {
        let (number, rest) = map.value.as_deref()?.split_once(' ')?;
        (number == format).then(|| rest.split('/').next().unwrap_or_default().to_owned())
    });
    let name = name.or_else(|| match payload_type {
        0 => Some("PCMU".to_owned()),
        8 => Some("PCMA".to_owned()),
        _ => None,
    })?;
    Some((payload_type, Law::named(&name)?))
}

fn law_name(law: Law) -> &'static str {
    if Law::named("PCMU") == Some(law) { "PCMU" } else { "PCMA" }
}

fn attribute(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_read_as_it_was_written() {
        let host = IpAddr::from([10, 0, 0, 9]);
        let offer = offer(host, 1, &[("1", 4_000), ("2", 4_002)], Direction::SendOnly);
        let lines = read(&offer).expect("a description");
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].label.as_deref(), Some("2"));
        assert_eq!(lines[1].rtp, Some(SocketAddr::new(host, 4_002)));
        assert_eq!(lines[1].direction, Direction::SendOnly);
        assert_eq!(lines[1].codec, Some((0, Law::named("PCMU").expect("a law"))));
    }

    #[test]
    fn a_stream_that_is_refused_has_port_0_in_the_answer() {
        let host = IpAddr::from([10, 0, 0, 9]);
        let offer = offer(host, 1, &[("1", 4_000), ("2", 4_002)], Direction::SendOnly);
        let lines = read(&offer).expect("a description");
        let taken = [Some(5_000), None];
        let lines: Vec<_> =
            lines.into_iter().zip(taken).map(|(line, port)| (line, port, Direction::RecvOnly)).collect();
        let answer = read(&answer(host, 1, &lines)).expect("a description");
        assert_eq!(answer[0].direction, Direction::RecvOnly);
        assert_eq!((answer[0].rtp.is_some(), answer[1].rtp), (true, None));
    }
}
