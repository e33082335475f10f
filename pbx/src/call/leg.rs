//! A leg: one session seen from a call, with its media.

use super::Context;
use super::codecs::{Manners, is_made_here};
use crate::buggify::buggify;
use crate::cdr::{MediaRecord, QualityRecord};
use crate::config::Dtmf;
use crate::dialog::SessionId;
use crate::media::{Command, Statistics, StreamId};
use crate::sdp::{Agreement, Codec, Direction, LocalAudio, Negotiation};
use crate::sip::Path;
use std::net::{IpAddr, SocketAddr};

/// A leg of a call.
#[derive(Debug)]
pub(super) struct Leg {
    /// Who it is: `caller`, an extension, `trunk:name`.
    pub(super) name: String,
    /// Its SIP side; `None` before an INVITE was sent and after the session is over.
    pub(super) session: Option<SessionId>,
    /// The session that we have ended, in which the other side may still answer and send to our port.
    pub(super) ended: Option<SessionId>,
    /// Call-ID of its dialog, where we have called and were answered.
    pub(super) call_id: String,
    /// Between which addresses its signalling goes; media uses the same network.
    pub(super) path: Path,
    /// Who offered what to whom.
    pub(super) negotiation: Negotiation,
    /// What was configured for its media.
    pub(super) manners: Manners,
    /// Its RTP.
    pub(super) port: Port,
    /// What was counted when its port was closed, or reported last.
    pub(super) statistics: Statistics,
}

/// The RTP port pair of a leg.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Port {
    /// None yet.
    Unbound,
    /// The media engine was asked to bind it.
    Opening { stream: StreamId, port: u16, attempts: u8 },
    /// Bound: offers and answers may name it.
    Open { stream: StreamId, port: u16 },
    /// The media engine was asked to close it.
    Closing { stream: StreamId, port: u16 },
    /// Given back, or never had.
    Closed,
}

/// What the media of a leg are for: what is to be watched and listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// Early media: nobody has to send yet.
    Early,
    /// Two people talk: who falls silent for long is gone.
    Talk,
    /// The caller talks to itself.
    Echo,
    /// The caller listens and need not send.
    Tone,
}

impl Leg {
    /// A leg without a port.
    pub(super) fn new(
        name: String,
        session: Option<SessionId>,
        path: Path,
        negotiation: Negotiation,
        manners: Manners,
    ) -> Leg {
        let statistics = Statistics::default();
        Leg {
            name,
            session,
            ended: None,
            call_id: String::new(),
            path,
            negotiation,
            manners,
            port: Port::Unbound,
            statistics,
        }
    }

    /// The stream, while it is open or being opened.
    pub(super) fn stream(&self) -> Option<StreamId> {
        match self.port {
            Port::Opening { stream, .. } | Port::Open { stream, .. } => Some(stream),
            Port::Unbound | Port::Closing { .. } | Port::Closed => None,
        }
    }

    /// Whether this is the stream of the leg, in whatever state.
    pub(super) fn has_stream(&self, wanted: StreamId) -> bool {
        match self.port {
            Port::Opening { stream, .. } | Port::Open { stream, .. } | Port::Closing { stream, .. } => {
                stream == wanted
            }
            Port::Unbound | Port::Closed => false,
        }
    }

    /// Whether the media engine still owes us the end of it.
    pub(super) fn holds_port(&self) -> bool {
        matches!(self.port, Port::Opening { .. } | Port::Open { .. } | Port::Closing { .. })
    }

    /// Asks for a port pair. `false`: there is none.
    #[must_use]
    pub(super) fn open(&mut self, context: &mut Context, attempts: u8) -> bool {
        let agent = &context.agent;
        let Some(port) = context.ports.take(context.now, |session| agent.has(session)) else {
            return false;
        };
        let stream = context.new_stream();
        self.port = Port::Opening { stream, port, attempts };
        let local = SocketAddr::new(self.path.local.ip(), port);
        let (seed, cname) = (context.rng.u64(), context.cname.to_owned());
        context.media(Command::Open { stream, local, seed, cname });
        true
    }

    /// The port is bound.
    pub(super) fn opened(&mut self) {
        if let Port::Opening { stream, port, .. } = self.port {
            self.port = Port::Open { stream, port };
        }
    }

    /// Another program holds the port: tries the next one, a bounded number of times. `false`: given up.
    #[must_use]
    pub(super) fn open_failed(&mut self, context: &mut Context) -> bool {
        const ATTEMPTS: u8 = 8;
        let Port::Opening { stream, port, attempts } = self.port else {
            return false;
        };
        context.ports.taken_by_others(port, context.now);
        self.port = Port::Closed;
        // Nobody needs to know any longer where it was.
        context.media(Command::Close(stream));
        attempts + 1 < ATTEMPTS && self.open(context, attempts + 1)
    }

    /// Gives the port pair back, if there is one.
    pub(super) fn close_port(&mut self, context: &mut Context) {
        match self.port {
            Port::Opening { stream, port, .. } | Port::Open { stream, port } => {
                self.port = Port::Closing { stream, port };
                context.media(Command::Close(stream));
            }
            Port::Unbound => self.port = Port::Closed,
            Port::Closing { .. } | Port::Closed => {}
        }
    }

    /// The media engine has closed the port pair.
    pub(super) fn closed(&mut self, statistics: Statistics, context: &mut Context) {
        self.statistics = statistics;
        self.forget_port(context);
    }

    /// The port pair is not used any more.
    pub(super) fn forget_port(&mut self, context: &mut Context) {
        if let Port::Opening { port, .. } | Port::Open { port, .. } | Port::Closing { port, .. } = self.port
            && !buggify!("a port is not given back")
        {
            context.ports.give_back(port, self.ended, context.now);
        }
        self.port = Port::Closed;
    }

    /// What we offer or answer on this leg with these codecs.
    pub(super) fn local_audio(
        &self,
        codecs: Vec<Codec>,
        direction: Direction,
        advertised: Option<IpAddr>,
    ) -> LocalAudio {
        let port = match self.port {
            Port::Opening { port, .. } | Port::Open { port, .. } => port,
            Port::Unbound | Port::Closing { .. } | Port::Closed => 0,
        };
        let takes_events = matches!(self.manners.dtmf, Dtmf::Auto | Dtmf::Events);
        let is_taken = |codec: &Codec| takes_events || !codec.is_telephone_event();
        let mut codecs: Vec<Codec> = codecs.into_iter().filter(is_taken).collect();
        // What is mixed and recorded here has the noise of pauses in it, whether anybody else understands it or not.
        let listed = self.negotiation.remote().into_iter().flat_map(|remote| &remote.codecs);
        if codecs.iter().any(is_made_here) && !codecs.iter().any(Codec::is_comfort_noise) {
            codecs.extend(listed.filter(|codec| codec.is_comfort_noise()).take(1).cloned());
        }
        // An address of the other family would be of no use to the other side.
        let local = self.path.local.ip();
        let ip = advertised.filter(|ip| ip.is_ipv4() == local.is_ipv4()).unwrap_or(local);
        LocalAudio { address: SocketAddr::new(ip, port), codecs, direction, ptime: None }
    }

    /// What was agreed, as codecs for another leg to be offered.
    pub(super) fn agreed_codecs(&self) -> Option<Vec<Codec>> {
        let agreement = self.negotiation.agreed()?;
        Some(agreement.codecs.iter().chain(&agreement.telephone_event).cloned().collect())
    }

    /// Tells the media engine what was agreed.
    pub(super) fn agree(&self, agreement: &Agreement, carries: Carries, context: &mut Context) {
        let Some(stream) = self.stream() else {
            return;
        };
        let receives = matches!(agreement.direction, Direction::SendRecv | Direction::RecvOnly);
        let is_watched = matches!(carries, Carries::Talk | Carries::Echo);
        let timeout = (is_watched && receives).then_some(context.config.media.rtp_timeout);
        // Keys within the audio are listened for where an application may want them, or the other leg may know only events.
        let by_info = self.manners.dtmf == Dtmf::Info;
        let is_listened_to = carries != Carries::Early && !by_info;
        let can_send_events = agreement.telephone_event.is_some();
        let detect_dtmf = context.config.media.enable_dtmf && is_listened_to && !can_send_events;
        context.media(Command::Agree {
            stream,
            agreement: Box::new(agreement.clone()),
            timeout,
            detect_dtmf,
        });
        if by_info {
            context.media(Command::KeepKeys(stream));
        }
    }

    /// Ends the SIP side, whatever its state.
    pub(super) fn hang_up(&mut self, reason: Option<String>, context: &mut Context) {
        if let Some(session) = self.session.take() {
            context.forget_session(session);
            context.agent.hang_up(session, reason, context.now);
            self.ended = Some(session);
        }
    }

    /// The other side ended it, or it came to nothing.
    pub(super) fn session_over(&mut self, context: &mut Context) {
        if let Some(session) = self.session.take() {
            context.forget_session(session);
        }
    }

    /// For the call record.
    pub(super) fn record(&self) -> MediaRecord {
        MediaRecord {
            leg: self.name.clone(),
            codec: self
                .negotiation
                .agreed()
                .and_then(|agreed| agreed.codecs.first())
                .map(|codec| codec.name.clone()),
            packets_sent: self.statistics.packets_sent,
            packets_received: self.statistics.packets_received,
            packets_lost: self.statistics.packets_lost,
            jitter_ms: self.statistics.jitter.as_secs_f64() * 1_000.0,
            mos: self.statistics.mos,
            quality: self.statistics.quality.map(|quality| QualityRecord {
                loss_percent: quality.loss * 100.0,
                delay_ms: quality.delay.as_secs_f64() * 1_000.0,
                delay_impairment: quality.delay_impairment,
                loss_impairment: quality.loss_impairment,
                rating: quality.rating,
            }),
        }
    }
}
