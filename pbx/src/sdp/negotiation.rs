//! One side of one session: who offered what, and what was agreed (RFC 3264, RFC 6337).

use super::read::{self, Described, DescribedMedia};
use super::write::{self, Line};
use super::{Agreement, Codec, Direction, LocalAudio, ParseError, RemoteAudio};
use crate::sip::StatusCode;
use std::fmt;
use std::net::IpAddr;

/// Packet time where nobody says another, milliseconds (RFC 3551 section 4.2).
const PTIME: u8 = 20;

/// The offers and answers of one session, seen from us.
#[derive(Clone, Debug)]
pub struct Negotiation {
    user: String,
    session_id: u64,
    version: u64,
    /// The address of o=, which never changes, and the rest of what we sent last.
    sent: Option<(IpAddr, String)>,
    /// Our m-lines, and which of them is our audio.
    lines: Vec<Line>,
    audio: usize,
    /// Payload types that mean something for the rest of the session (RFC 3264 section 8.3.2).
    bound: Vec<Codec>,
    state: State,
    agreed: Option<Agreement>,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing is open.
    Stable,
    /// We wait for an answer; what held before.
    WeOffered { before: (Vec<Line>, usize) },
    /// We owe an answer.
    TheyOffered { offer: Described, remote: Box<RemoteAudio> },
}

/// Why an offer or an answer is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NegotiationError {
    /// Not a description.
    Unreadable(ParseError),
    /// There is no audio stream of a kind that we understand.
    NoAudio,
    /// The audio stream has no codec in common.
    NoCommonCodec,
    /// The audio stream's address is a name or missing.
    NoAddress,
    /// The answer does not have the m-lines of the offer (RFC 3264 section 6).
    OtherStreams,
    /// The answer refuses the audio stream.
    Refused,
    /// An offer while another one is open, or an answer to nothing.
    OutOfOrder,
}

impl NegotiationError {
    /// What a request with this description is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            NegotiationError::Unreadable(_) => StatusCode::BAD_REQUEST,
            NegotiationError::OutOfOrder => StatusCode::REQUEST_PENDING,
            NegotiationError::NoAudio
            | NegotiationError::NoCommonCodec
            | NegotiationError::NoAddress
            | NegotiationError::OtherStreams
            | NegotiationError::Refused => StatusCode::NOT_ACCEPTABLE_HERE,
        }
    }
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NegotiationError::Unreadable(error) => error.fmt(f),
            NegotiationError::NoAudio => f.write_str("there is no audio stream over RTP"),
            NegotiationError::NoCommonCodec => f.write_str("there is no common codec"),
            NegotiationError::NoAddress => f.write_str("the audio stream has no address"),
            NegotiationError::OtherStreams => f.write_str("the answer has other streams than the offer"),
            NegotiationError::Refused => f.write_str("the answer refuses the audio stream"),
            NegotiationError::OutOfOrder => f.write_str("another offer is open"),
        }
    }
}

impl std::error::Error for NegotiationError {}

impl Negotiation {
    /// A session in which nothing was offered. `session_id` and `user` are those of the o= line.
    pub fn new(session_id: u64, user: &str) -> Negotiation {
        Negotiation {
            user: user.to_owned(),
            session_id,
            version: 0,
            sent: None,
            lines: Vec::new(),
            audio: 0,
            bound: Vec::new(),
            state: State::Stable,
            agreed: None,
        }
    }

    /// Our offer: `local` in the place our audio has had so far, everything else with port 0.
    pub fn offer(&mut self, local: &LocalAudio) -> Vec<u8> {
        let before = (self.lines.clone(), self.audio);
        let local = LocalAudio { codecs: self.numbered(&local.codecs), ..local.clone() };
        match self.lines.get_mut(self.audio) {
            Some(line) => *line = Line::Audio(local),
            None => {
                self.audio = self.lines.len();
                self.lines.push(Line::Audio(local));
            }
        }
        self.state = State::WeOffered { before };
        self.describe()
    }

    /// The other side's offer, which is then to be answered or rolled back.
    pub fn receive_offer(&mut self, sdp: &[u8]) -> Result<RemoteAudio, NegotiationError> {
        if !matches!(self.state, State::Stable) {
            return Err(NegotiationError::OutOfOrder);
        }
        let offer = read::read(sdp).map_err(NegotiationError::Unreadable)?;
        let (index, remote) = offer.audio().ok_or(NegotiationError::NoAudio)?;
        let (remote, port) = (remote.clone(), offer.medias[index].port);
        if remote.rtp.is_none() && port != 0 && remote.direction == Direction::SendRecv {
            return Err(NegotiationError::NoAddress);
        }
        self.state = State::TheyOffered { offer, remote: Box::new(remote.clone()) };
        Ok(remote)
    }

    /// Our answer: of `local.codecs` those that were offered, in our order, with the numbers of the offer.
    /// `local.direction` is what we want; the answer is what of it the offer allows.
    pub fn answer(&mut self, local: &LocalAudio) -> Result<(Vec<u8>, Agreement), NegotiationError> {
        let State::TheyOffered { offer, remote } = &self.state else {
            return Err(NegotiationError::OutOfOrder);
        };
        let (index, _) = offer.audio().ok_or(NegotiationError::NoAudio)?;
        let codecs = common(&local.codecs, &remote.codecs);
        if !codecs.iter().any(|codec| codec.is_audio()) {
            return Err(NegotiationError::NoCommonCodec);
        }
        let direction = allowed(local.direction, remote.direction);
        let ended = offer.medias[index].port == 0;
        let lines: Vec<_> = offer
            .medias
            .iter()
            .enumerate()
            .map(|(i, media)| {
                if i == index && !ended {
                    Line::Audio(LocalAudio { codecs: codecs.clone(), direction, ..local.clone() })
                } else {
                    Line::Refused(media.clone())
                }
            })
            .collect();
        let agreement = agreement(&codecs, remote, if ended { Direction::Inactive } else { direction });
        self.lines = lines;
        self.audio = index;
        self.bind(&codecs);
        self.state = State::Stable;
        self.agreed = Some(agreement.clone());
        Ok((self.describe(), agreement))
    }

    /// The answer to our offer.
    pub fn receive_answer(&mut self, sdp: &[u8]) -> Result<Agreement, NegotiationError> {
        let agreement = self.preview_answer(sdp)?;
        self.state = State::Stable;
        self.agreed = Some(agreement.clone());
        Ok(agreement)
    }

    /// What the answer to our offer would mean; the offer stays open (early media in a response that may be lost).
    pub fn preview_answer(&self, sdp: &[u8]) -> Result<Agreement, NegotiationError> {
        let (State::WeOffered { .. }, Some(Line::Audio(local))) = (&self.state, self.lines.get(self.audio))
        else {
            return Err(NegotiationError::OutOfOrder);
        };
        let answer = read::read(sdp).map_err(NegotiationError::Unreadable)?;
        if answer.medias.len() != self.lines.len() || !self.lines.iter().zip(&answer.medias).all(is_same_kind)
        {
            return Err(NegotiationError::OtherStreams);
        }
        let media = &answer.medias[self.audio];
        let remote = media.audio.as_ref().ok_or(NegotiationError::NoAudio)?;
        if media.port == 0 {
            return Err(NegotiationError::Refused);
        }
        let codecs = common(&remote.codecs, &local.codecs);
        if !codecs.iter().any(|codec| codec.is_audio()) {
            return Err(NegotiationError::NoCommonCodec);
        }
        // What we send with are the numbers of the answer (RFC 3264 section 6.1).
        let codecs: Vec<_> =
            remote.codecs.iter().filter(|c| codecs.iter().any(|common| common.matches(c))).cloned().collect();
        Ok(agreement(&codecs, remote, allowed(local.direction, remote.direction)))
    }

    /// The open offer, whoever made it, was refused: everything is as before.
    pub fn rollback(&mut self) {
        if let State::WeOffered { before } = std::mem::replace(&mut self.state, State::Stable) {
            (self.lines, self.audio) = before;
        }
    }

    /// What holds.
    pub fn agreed(&self) -> Option<&Agreement> {
        self.agreed.as_ref()
    }

    /// What the other side said last: its open offer, or its part of what holds.
    pub fn remote(&self) -> Option<&RemoteAudio> {
        match &self.state {
            State::TheyOffered { remote, .. } => Some(remote),
            State::Stable | State::WeOffered { .. } => self.agreed.as_ref().map(|agreed| &agreed.remote),
        }
    }

    /// Whether an offer of ours waits for its answer.
    pub fn has_offered(&self) -> bool {
        matches!(self.state, State::WeOffered { .. })
    }

    /// Our lines as text; the version goes up by one when something in it is new (RFC 3264 section 8).
    fn describe(&mut self) -> Vec<u8> {
        let address = match self.lines.get(self.audio) {
            Some(Line::Audio(audio)) => Some(audio.address.ip()),
            _ => None,
        };
        let first = self.sent.as_ref().map(|(address, _)| *address);
        let address = address.or(first).unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        let body = write::body(address, &self.lines);
        if self.sent.as_ref().is_none_or(|(_, sent)| *sent != body) {
            self.version += 1;
        }
        let origin = first.unwrap_or(address);
        let text = write::head(&self.user, self.session_id, self.version, origin) + &body;
        self.sent = Some((origin, body));
        text.into_bytes()
    }

    /// Gives each codec the number it has had in this session; a new one whose number is taken gets a free one.
    fn numbered(&mut self, codecs: &[Codec]) -> Vec<Codec> {
        let mut numbered: Vec<Codec> = Vec::with_capacity(codecs.len());
        for codec in codecs {
            let is_taken = |number: u8, numbered: &[Codec]| {
                let mut others = self.bound.iter().chain(numbered);
                others.any(|other| other.payload_type == number && !other.matches(codec))
            };
            let known = self.bound.iter().find(|bound| bound.matches(codec)).map(|bound| bound.payload_type);
            let number = known.unwrap_or(codec.payload_type);
            let number = if is_taken(number, &numbered) {
                (96..128).find(|n| !is_taken(*n, &numbered))
            } else {
                Some(number)
            };
            if let Some(payload_type) = number {
                numbered.push(Codec { payload_type, ..codec.clone() });
            }
        }
        self.bind(&numbered);
        numbered
    }

    fn bind(&mut self, codecs: &[Codec]) {
        for codec in codecs {
            if !self.bound.iter().any(|bound| bound.payload_type == codec.payload_type) {
                self.bound.push(codec.clone());
            }
        }
    }
}

fn is_same_kind((ours, theirs): (&Line, &DescribedMedia)) -> bool {
    match ours {
        Line::Audio(_) => theirs.kind == "audio",
        Line::Refused(media) => media.kind == theirs.kind,
    }
}

/// Those of `wanted` that `offered` has too, in the order of `wanted`, with the numbers and parameters of `offered`.
fn common(wanted: &[Codec], offered: &[Codec]) -> Vec<Codec> {
    wanted
        .iter()
        .filter_map(|codec| {
            let theirs = offered.iter().find(|theirs| theirs.matches(codec))?;
            Some(Codec {
                payload_type: theirs.payload_type,
                fmtp: codec.fmtp.clone().or(theirs.fmtp.clone()),
                ..codec.clone()
            })
        })
        .collect()
}

fn agreement(codecs: &[Codec], remote: &RemoteAudio, direction: Direction) -> Agreement {
    let ptime = remote.ptime.unwrap_or(PTIME).min(remote.maxptime.unwrap_or(u8::MAX));
    Agreement {
        remote: remote.clone(),
        codecs: codecs.iter().filter(|codec| codec.is_audio()).cloned().collect(),
        telephone_event: codecs.iter().find(|codec| codec.is_telephone_event()).cloned(),
        direction,
        ptime: if matches!(ptime, 10 | 20 | 30 | 40 | 60) { ptime } else { PTIME },
    }
}

/// What we may do of what we want, when the other side does what it says (RFC 3264 section 6.1).
fn allowed(wanted: Direction, theirs: Direction) -> Direction {
    let sends = matches!(wanted, Direction::SendRecv | Direction::SendOnly)
        && matches!(theirs, Direction::SendRecv | Direction::RecvOnly);
    let receives = matches!(wanted, Direction::SendRecv | Direction::RecvOnly)
        && matches!(theirs, Direction::SendRecv | Direction::SendOnly);
    match (sends, receives) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}
