//! The media engine: a port pair per stream; relay, tone, echo, DTMF, RTCP. Sans-IO.
//!
//! The core tells an engine what to do with [`Command`]s and is told what happened with [`Event`]s. For real there are
//! several engines, each on a thread of its own ([`crate::shell`]); all streams of one room live in one engine.
//!
//! An [`Engine`] opens no socket: it asks for ports ([`Output::Bind`]), is given datagrams with the [`Port`] they came
//! at ([`Engine::receive`]) and says what to send. It is the end of both RTP sessions of a bridge: what it passes on has
//! the numbers and the SSRC of the stream it goes out at, and RTCP is its own on either side. `latch.rs` says from whom
//! RTP is taken.

mod agreed;
mod engine;
mod exchange;
mod hearing;
mod homes;
mod incoming;
mod interpreter;
mod latch;
mod mix;
mod moving;
mod outbox;
mod outgoing;
mod pacing;
mod player;
mod playout;
mod quality;
mod recorder;
mod reporting;
mod seal;
mod speaker;
#[cfg(test)]
mod stories;
mod stream;
mod timers;

pub use engine::Engine;
pub use homes::{Homes, Placement};
pub use moving::Household;

use crate::audio::{Clip, Gain};
use crate::sdp::Agreement;
use crate::time::{Duration, WallClock};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

/// What holds for all streams of an engine.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What o'clock it is, for sender reports.
    pub clock: WallClock,
    /// From whom RTP is taken.
    pub latching: Latching,
}

/// How far symmetric RTP goes; the rules are in `latch.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latching {
    /// Whether RTP is taken from another address than the SDP's, where that may be a NAT.
    pub behind_nat: bool,
    /// Consecutive packets that such an address must send first.
    pub probation: u8,
    /// How long the latched address must be silent before another one may follow it.
    pub silence: Duration,
}

impl Default for Latching {
    fn default() -> Latching {
        Latching { behind_nat: true, probation: 3, silence: Duration::from_secs(3) }
    }
}

/// One socket of a stream, as the engine named it in [`Output::Bind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    stream: StreamId,
    channel: Channel,
    slot: u32,
}

impl Port {
    /// The stream.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// RTP or RTCP.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// A small number that no two ports bound at a time have in common; for a table of sockets.
    pub fn index(&self) -> usize {
        self.slot as usize * 2 + self.channel as usize
    }
}

/// The two ports of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// The even port.
    Rtp = 0,
    /// The odd port above it.
    Rtcp = 1,
}

/// A datagram that goes on its way, rewritten in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where it goes out.
    pub port: Port,
    /// Where it goes to.
    pub to: SocketAddr,
    /// The part of the datagram that is to be sent.
    pub range: Range<usize>,
}

/// What an engine wants from the world.
#[derive(Debug)]
pub enum Output<'a> {
    /// Open a UDP socket; answered with [`Engine::bound`].
    Bind {
        /// To know it by.
        port: Port,
        /// Where.
        address: SocketAddr,
    },
    /// Close it, if it was opened.
    Unbind(Port),
    /// Send a datagram; it is not kept.
    Send {
        /// Where it goes out.
        port: Port,
        /// Where it goes to.
        to: SocketAddr,
        /// All of it.
        bytes: &'a [u8],
    },
    /// For the core.
    Event(Event),
}

/// One RTP/RTCP port pair: the media of one leg. Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// Streams that may be joined live in one room, and a room in one engine. A call is a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub u64);

/// Many who hear each other. Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MixId(pub u64);

/// What is being recorded. Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(pub u64);

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tap {
    /// What this side says.
    Leg(StreamId),
    /// What all members of this mix say.
    Mix(MixId),
}

/// What the core wants.
#[derive(Clone, Debug)]
pub enum Command {
    /// Bind RTP at `local` and RTCP at the next port; answered by [`Event::Opened`] or [`Event::OpenFailed`].
    Open {
        /// The new stream.
        stream: StreamId,
        /// Where RTP is received and sent from; an even port.
        local: SocketAddr,
        /// SSRC and the first sequence number and timestamp of what we send follow from it.
        seed: u64,
        /// CNAME of our RTCP (RFC 3550 section 6.5.1).
        cname: String,
    },
    /// What was negotiated, now or anew; until then a stream sends nothing and relays nothing.
    Agree {
        /// The stream.
        stream: StreamId,
        /// What both sides agreed on.
        agreement: Box<Agreement>,
        /// No RTP for so long is [`Event::TimedOut`]; `None` while no RTP is expected (hold, early media).
        timeout: Option<Duration>,
        /// Whether the engine listens for in-band DTMF.
        detect_dtmf: bool,
    },
    /// What arrives at one goes out at the other, both ways; replaces what either did before.
    Bridge(StreamId, StreamId),
    /// Sends what `source` makes; answered by [`Event::Finished`] when it ends by itself.
    Play {
        /// The stream.
        stream: StreamId,
        /// What is heard.
        source: Source,
    },
    /// What is played now ends at the next key that is heard; told by [`Event::Interrupted`].
    StopAtKey(StreamId),
    /// Presses a key behind those that wait, as telephone event (RFC 4733) where the other side listed these, else as tone in
    /// the audio. Nothing else is sent meanwhile.
    Press {
        /// The stream.
        stream: StreamId,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
        /// How long it is held, below 8 s.
        duration: Duration,
    },
    /// The keys for this stream travel by messages: what is pressed at the one it is bridged with is not pressed here.
    KeepKeys(StreamId),
    /// Hears what the others in this mix say, and is heard by them; replaces what it did before. There is a mix as long as
    /// it has a member; who stops or closes is in none.
    Join {
        /// The mix.
        mix: MixId,
        /// The stream, of the same room as all others of the mix.
        stream: StreamId,
        /// How loud it is for those for whom nothing else is said.
        voice: Gain,
    },
    /// How loud one member of a mix is for another one. Nobody ever hears itself.
    Gain {
        /// The mix.
        mix: MixId,
        /// Who is heard.
        from: StreamId,
        /// Who hears.
        to: StreamId,
        /// How loud.
        gain: Gain,
    },
    /// What arrives at `from` goes out at `to` as well, which does nothing else. Until one of the two is closed or `to`
    /// does something else.
    Fork {
        /// Who is listened to.
        from: StreamId,
        /// Where it goes.
        to: StreamId,
    },
    /// Begins a recording at 8000 Hz; its samples are told by [`Event::Recorded`].
    Record {
        /// The new recording.
        recording: RecordingId,
        /// What is in each channel, together.
        channels: Vec<Vec<Tap>>,
    },
    /// What is in each channel from now on, in the place of what was; there are as many channels as before.
    Tap {
        /// The recording.
        recording: RecordingId,
        /// What is in each channel, together.
        channels: Vec<Vec<Tap>>,
    },
    /// Nothing is recorded until [`Command::ResumeRecording`]: no sound and no time.
    PauseRecording(RecordingId),
    /// It goes on.
    ResumeRecording(RecordingId),
    /// As soon as nothing was said in it for so long, that is told by [`Event::FellSilent`], once.
    WatchSilence {
        /// The recording.
        recording: RecordingId,
        /// How long.
        length: Duration,
    },
    /// It ends; answered by [`Event::RecordingEnded`].
    StopRecording(RecordingId),
    /// What arrives goes back.
    Echo(StreamId),
    /// Neither relays, plays nor echoes any longer.
    Stop(StreamId),
    /// Answered by [`Event::Statistics`].
    Report(StreamId),
    /// Sends RTCP BYE, gives the ports back; answered by [`Event::Closed`].
    Close(StreamId),
}

/// What can be played.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A sine.
    Tone {
        /// Hz, above 0 and below half the sample rate.
        frequency: f64,
        /// dBm0; a full-scale sine has +3.14.
        level: f64,
        /// How long; `None`: until stopped.
        duration: Option<Duration>,
    },
    /// Silence.
    Silence {
        /// How long; `None`: until stopped.
        duration: Option<Duration>,
    },
    /// What was recorded, from the first sample to the last.
    Clip {
        /// Shared by all who play it.
        clip: Arc<Clip>,
        /// How often, one right after the other; `None`: until stopped.
        times: Option<u32>,
    },
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The ports are bound.
    Opened(StreamId),
    /// The ports could not be bound.
    OpenFailed {
        /// The stream, which is gone.
        stream: StreamId,
        /// The port that could not be had.
        port: u16,
        /// Why, as the OS says it.
        reason: String,
    },
    /// The first RTP packet of this stream has arrived.
    FirstPacket(StreamId),
    /// The source of RTP is another than before and was accepted (symmetric RTP).
    SourceChanged {
        /// The stream.
        stream: StreamId,
        /// Where RTP comes from and goes to from now on.
        source: SocketAddr,
    },
    /// A key was pressed (told once, when it is known which).
    Dtmf {
        /// The stream it came from.
        stream: StreamId,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
        /// How long it was held, as far as is known.
        duration: Duration,
        /// Whether it came as RFC 4733 event; else in-band.
        as_event: bool,
    },
    /// What was played has ended: its last packet has been sent.
    Finished(StreamId),
    /// What was played has ended before its time, because a key was heard ([`Command::StopAtKey`]).
    Interrupted {
        /// The stream.
        stream: StreamId,
        /// How much of it was sent.
        played: Duration,
    },
    /// More of a recording.
    Recorded {
        /// The recording.
        recording: RecordingId,
        /// Samples of 16 bits, the lower byte first, one of each channel after the other.
        samples: Vec<u8>,
    },
    /// Nothing was said in a recording for as long as was asked for ([`Command::WatchSilence`]).
    FellSilent(RecordingId),
    /// A recording has ended; nothing more comes of it.
    RecordingEnded {
        /// The recording.
        recording: RecordingId,
        /// How long it is.
        length: Duration,
    },
    /// No RTP for the agreed time; told once until RTP arrives again.
    TimedOut(StreamId),
    /// What was counted so far.
    Statistics(StreamId, Statistics),
    /// The ports are closed; what was counted.
    Closed(StreamId, Statistics),
}

impl Event {
    /// The stream it is about; `None` when it is about a recording.
    pub fn stream(&self) -> Option<StreamId> {
        match self {
            Event::Opened(stream)
            | Event::OpenFailed { stream, .. }
            | Event::FirstPacket(stream)
            | Event::SourceChanged { stream, .. }
            | Event::Dtmf { stream, .. }
            | Event::Interrupted { stream, .. }
            | Event::Finished(stream)
            | Event::TimedOut(stream)
            | Event::Statistics(stream, _)
            | Event::Closed(stream, _) => Some(*stream),
            Event::Recorded { .. } | Event::FellSilent(_) | Event::RecordingEnded { .. } => None,
        }
    }
}

/// What a stream has counted (RFC 3550 section 6.4.1 and appendix A).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP payload bytes sent.
    pub bytes_sent: u64,
    /// RTP packets received and accepted.
    pub packets_received: u64,
    /// RTP payload bytes received.
    pub bytes_received: u64,
    /// Expected by sequence number less received.
    pub packets_lost: i64,
    /// Not RTP, from a wrong source, of a payload type not agreed on.
    pub packets_refused: u64,
    /// Interarrival jitter.
    pub jitter: Duration,
    /// From RTCP, when the other side reports.
    pub round_trip: Option<Duration>,
    /// Share of packets that the other side lost of ours, 0.0 to 1.0, from its last report.
    pub remote_loss: Option<f64>,
    /// Mean opinion score by the E-model (G.107), 1.0 to 4.5; `None` before anything was received.
    pub mos: Option<f64>,
    /// How that score came about.
    pub quality: Option<Quality>,
}

/// What a listener would say, and why: the E-model (ITU-T G.107), its inputs first, then what it makes of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The share of packets that were lost, 0.0 to 1.0 (Ppl is a hundred times that).
    pub loss: f64,
    /// From mouth to ear (Ta): half the round trip, the wait that smooths the jitter, what both ends take.
    pub delay: Duration,
    /// What the delay takes off the rating (Id).
    pub delay_impairment: f64,
    /// What codec and loss take off it (Ie,eff).
    pub loss_impairment: f64,
    /// The transmission rating (R), 0 to 93.2.
    pub rating: f64,
    /// The mean opinion score of that rating, 1.0 to 4.5.
    pub mos: f64,
}
