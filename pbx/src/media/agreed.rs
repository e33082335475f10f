//! An [`Agreement`] as the packets need it: who may send, and what a payload type means.

use crate::audio::{Coding, Law};
use crate::sdp::{Agreement, Codec, Direction, Protection};
use smallvec::SmallVec;
use std::net::SocketAddr;
use std::time::Duration;

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Sound that we can make and hear.
    Sound(Coding),
    /// Keys (RFC 4733).
    Event,
    /// The noise of a pause (RFC 3389).
    Noise,
    /// A codec we only pass on; equal when name, clock rate and channels are.
    Other(u64),
}

/// A payload type that was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) payload_type: u8,
    pub(super) clock_rate: u32,
    pub(super) meaning: Meaning,
}

/// How a packet of one side becomes one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Translation {
    pub(super) payload_type: u8,
    /// The law the payload is in, when the other side wants the other one.
    pub(super) convert: Option<Law>,
}

#[derive(Clone, Debug)]
pub(super) struct Agreed {
    /// Where the other side wants RTP.
    pub(super) rtp: Option<SocketAddr>,
    /// Where it wants RTCP.
    pub(super) rtcp: Option<SocketAddr>,
    /// Whether we may send RTP: it said where, and that it listens (RFC 3264 sections 5.1 and 8.4).
    pub(super) sends: bool,
    /// Whether it may send.
    pub(super) receives: bool,
    pub(super) packet_time: Duration,
    /// The longest packets it takes.
    pub(super) longest: Option<Duration>,
    /// What packets are sealed with.
    pub(super) protection: Option<Protection>,
    /// Its codecs, best first, then telephone-event.
    formats: SmallVec<[Format; 4]>,
    /// What it may send besides: ours, where we had given them other numbers.
    renumbered: SmallVec<[Format; 2]>,
}

impl Agreed {
    pub(super) fn of(agreement: &Agreement) -> Agreed {
        let direction = agreement.direction;
        let codecs = agreement.codecs.iter().map(Format::of_codec);
        let event = agreement.telephone_event.iter().map(Format::of_codec);
        let mut agreed = Agreed {
            rtp: agreement.remote.rtp,
            rtcp: agreement.remote.rtcp,
            sends: agreement.remote.rtp.is_some()
                && matches!(direction, Direction::SendRecv | Direction::SendOnly),
            receives: matches!(direction, Direction::SendRecv | Direction::RecvOnly),
            // G.711 has a sample in 125 µs; 1 to 200 ms keep a packet below any MTU.
            packet_time: Duration::from_millis(u64::from(agreement.ptime).clamp(1, 200)),
            longest: agreement.remote.maxptime.map(|most| Duration::from_millis(most.into())),
            protection: agreement.protection.clone(),
            formats: codecs.chain(event).collect(),
            renumbered: agreement.renumbered.iter().map(Format::of_codec).collect(),
        };
        if let Some((_, coding)) = agreed.voice() {
            agreed.packet_time = coding.packet_time(agreed.packet_time);
        }
        agreed
    }

    /// What a payload type in a packet of the other side means: a number it listed, or one we had offered (RFC 3264
    /// section 6.1 wants ours, not all telephones do).
    pub(super) fn format(&self, payload_type: u8) -> Option<Format> {
        // Its own numbers go first: 96 of its answer is not the 96 of our offer.
        self.formats
            .iter()
            .chain(&self.renumbered)
            .copied()
            .find(|format| format.payload_type == payload_type)
    }

    /// What we make audio in: the best codec we can make.
    pub(super) fn voice(&self) -> Option<(Format, Coding)> {
        self.formats.iter().find_map(|format| match format.meaning {
            Meaning::Sound(coding) => Some((*format, coding)),
            Meaning::Event | Meaning::Noise | Meaning::Other(_) => None,
        })
    }

    /// From which codec into which something of `format` is turned for this side; `None` where nobody here understands it.
    pub(super) fn interprets(&self, format: Format) -> Option<(Coding, Coding)> {
        let Meaning::Sound(from) = format.meaning else { return None };
        Some((from, self.voice()?.1))
    }

    /// Whether a packet of so many bytes is longer than this side takes. All that is made here has eight in a millisecond.
    pub(super) fn is_too_long(&self, octets: usize) -> bool {
        self.longest.is_some_and(|most| Duration::from_micros(octets as u64 * 125) > most)
    }

    /// What we send keys with; never anything the other side did not list (RFC 4733 section 2.5.1.1).
    pub(super) fn event(&self) -> Option<Format> {
        self.formats.iter().copied().find(|format| format.meaning == Meaning::Event)
    }

    /// How something of `format` is sent to this side; `None` when it cannot take it.
    pub(super) fn translate(&self, format: Format) -> Option<Translation> {
        let alike = |ours: &&Format| ours.meaning == format.meaning && ours.clock_rate == format.clock_rate;
        if let Some(same) = self.formats.iter().find(alike) {
            return Some(Translation { payload_type: same.payload_type, convert: None });
        }
        let Meaning::Sound(Coding::G711(law)) = format.meaning else { return None };
        // The other law is a table away.
        let other = Meaning::Sound(Coding::G711(law.other()));
        let other = self.formats.iter().find(|format| format.meaning == other)?;
        Some(Translation { payload_type: other.payload_type, convert: Some(law) })
    }
}

impl Format {
    fn of_codec(codec: &Codec) -> Format {
        let meaning = match Coding::named(&codec.name, codec.clock_rate, codec.channels) {
            Some(coding) => Meaning::Sound(coding),
            None if codec.is_telephone_event() => Meaning::Event,
            None if codec.is_comfort_noise() => Meaning::Noise,
            None => Meaning::Other(fingerprint(codec)),
        };
        Format { payload_type: codec.payload_type, clock_rate: codec.clock_rate.max(1), meaning }
    }
}

/// FNV-1a over what makes two codecs the same. The codecs are those of our own list, a handful.
fn fingerprint(codec: &Codec) -> u64 {
    let name = codec.name.bytes().map(|byte| byte.to_ascii_lowercase());
    let rest = codec.clock_rate.to_be_bytes().into_iter().chain([codec.channels]);
    name.chain(rest)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
