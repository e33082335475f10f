//! Writing our descriptions.

use super::read::Stream;
use super::{Codec, Crypto, LocalAudio};
use std::fmt::{self, Write as _};
use std::net::IpAddr;

/// An m-line of ours.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// Our audio stream.
    Audio {
        /// `RTP/AVP`, or as the other side has it.
        profile: String,
        /// What we seal with.
        keys: Vec<Crypto>,
        /// What it says.
        local: LocalAudio,
    },
    /// A stream that we do not take, or that is over: port 0 (RFC 3264 sections 6 and 8.2).
    Refused {
        /// `video`, ...
        kind: String,
        /// `RTP/AVP`, ...
        profile: String,
        /// One format; there has to be one.
        format: String,
    },
}

impl Line {
    /// What we say to a stream of an offer that we do not take.
    pub(super) fn refusing(stream: &Stream) -> Line {
        Line::Refused {
            kind: stream.kind.clone(),
            profile: stream.profile.clone(),
            format: stream.format.clone(),
        }
    }

    pub(super) fn profile(&self) -> &str {
        match self {
            Line::Audio { profile, .. } | Line::Refused { profile, .. } => profile,
        }
    }

    pub(super) fn kind(&self) -> &str {
        match self {
            Line::Audio { .. } => "audio",
            Line::Refused { kind, .. } => kind,
        }
    }
}

/// The `o=` line of one session: constant but for the version, which goes up by one when something below it is new
/// (RFC 3264 section 8).
#[derive(Clone)]
pub(super) struct Origin {
    user: String,
    session_id: u64,
    version: u64,
    /// The address of the first description and what followed `o=` in the last one.
    written: Option<(IpAddr, String)>,
}

// What was written may hold keys, which no log is to show.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { session_id, version, .. } = self;
        f.debug_struct("Origin")
            .field("session_id", session_id)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

impl Origin {
    pub(super) fn new(session_id: u64, user: &str) -> Origin {
        // No white space within the field (RFC 8866 section 5.2).
        let user: String = user.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        let user = if user.is_empty() { "-".to_owned() } else { user };
        Origin { user, session_id, version: 0, written: None }
    }

    /// A whole description whose streams are at `address`.
    pub(super) fn describe(&mut self, address: IpAddr, lines: &[Line]) -> Vec<u8> {
        let body = body(address, lines);
        let origin = match self.written.take() {
            Some((origin, last)) => {
                self.version += u64::from(last != body);
                origin
            }
            None => {
                self.version = 1;
                address
            }
        };
        let Origin { user, session_id, version, .. } = &*self;
        let text = format!("v=0\r\no={user} {session_id} {version} IN {} {origin}\r\n{body}", family(origin));
        self.written = Some((origin, body));
        text.into_bytes()
    }
}

fn body(address: IpAddr, lines: &[Line]) -> String {
    let mut text = format!("s=-\r\nc=IN {} {address}\r\nt=0 0\r\n", family(address));
    for line in lines {
        match line {
            Line::Audio { profile, keys, local } => write_audio(&mut text, profile, keys, local),
            Line::Refused { kind, profile, format } => {
                line_of(&mut text, format_args!("m={kind} 0 {profile} {format}"));
            }
        }
    }
    text
}

fn write_audio(text: &mut String, profile: &str, keys: &[Crypto], local: &LocalAudio) {
    let formats: String = local.codecs.iter().map(|codec| format!(" {}", codec.payload_type)).collect();
    line_of(text, format_args!("m=audio {} {profile}{formats}", local.address.port()));
    for codec in &local.codecs {
        write_codec(text, codec);
    }
    if let Some(ptime) = local.ptime {
        line_of(text, format_args!("a=ptime:{ptime}"));
    }
    for key in keys {
        line_of(text, format_args!("a=crypto:{}", key.value()));
    }
    line_of(text, format_args!("a={}", local.direction.attribute()));
}

fn write_codec(text: &mut String, codec: &Codec) {
    let Codec { payload_type, name, clock_rate, channels, fmtp } = codec;
    match channels {
        0 | 1 => line_of(text, format_args!("a=rtpmap:{payload_type} {name}/{clock_rate}")),
        _ => line_of(text, format_args!("a=rtpmap:{payload_type} {name}/{clock_rate}/{channels}")),
    }
    if let Some(fmtp) = fmtp {
        line_of(text, format_args!("a=fmtp:{payload_type} {fmtp}"));
    }
}

fn line_of(text: &mut String, line: fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = write!(text, "{line}\r\n");
}

const fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}
