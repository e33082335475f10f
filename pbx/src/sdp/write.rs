//! Writing our descriptions.

use super::read::DescribedMedia;
use super::{Codec, Direction, LocalAudio};
use std::fmt::Write as _;
use std::net::IpAddr;

/// An m-line of ours.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// Our audio stream.
    Audio(LocalAudio),
    /// A stream that we do not take, or that is over: port 0 (RFC 3264 section 6).
    Refused(DescribedMedia),
}

/// What follows the o= line: all that the version speaks for.
pub(super) fn body(address: IpAddr, lines: &[Line]) -> String {
    let family = family(address);
    let mut text = format!("s=-\r\nc=IN {family} {address}\r\nt=0 0\r\n");
    for line in lines {
        match line {
            Line::Audio(audio) => write_audio(&mut text, audio, address),
            Line::Refused(media) => {
                let _ = write!(text, "m={} 0 {} {}\r\n", media.kind, media.proto, media.formats);
            }
        }
    }
    text
}

/// `v=` and `o=`.
pub(super) fn head(user: &str, session_id: u64, version: u64, address: IpAddr) -> String {
    format!("v=0\r\no={user} {session_id} {version} IN {} {address}\r\n", family(address))
}

pub(super) const fn attribute(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

fn write_audio(text: &mut String, audio: &LocalAudio, session_address: IpAddr) {
    let _ = write!(text, "m=audio {} RTP/AVP", audio.address.port());
    for codec in &audio.codecs {
        let _ = write!(text, " {}", codec.payload_type);
    }
    text.push_str("\r\n");
    if audio.address.ip() != session_address {
        let _ = write!(text, "c=IN {} {}\r\n", family(audio.address.ip()), audio.address.ip());
    }
    audio.codecs.iter().for_each(|codec| write_codec(text, codec));
    if let Some(ptime) = audio.ptime {
        let _ = write!(text, "a=ptime:{ptime}\r\n");
    }
    let _ = write!(text, "a={}\r\n", attribute(audio.direction));
}

fn write_codec(text: &mut String, codec: &Codec) {
    let Codec { payload_type, name, clock_rate, channels, fmtp } = codec;
    let _ = write!(text, "a=rtpmap:{payload_type} {name}/{clock_rate}");
    if *channels > 1 {
        let _ = write!(text, "/{channels}");
    }
    text.push_str("\r\n");
    if let Some(fmtp) = fmtp {
        let _ = write!(text, "a=fmtp:{payload_type} {fmtp}\r\n");
    }
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}
