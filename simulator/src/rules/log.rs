//! The packets as rules see them: read once, each with what it says.

use crate::ladder::is_rtcp;
use crate::network::{Kind, Packet};
use crate::wire::{self, Form};
use pbx::rtp::View;
use pbx::rtp::packet::Header;
use pbx::sip::{Limits, Message, Name};
use pbx::time::Instant;
use std::net::SocketAddr;
use std::sync::Arc;

/// All that was sent and can be read.
pub(super) struct Log {
    pub(super) messages: Vec<Sip>,
    pub(super) rtp: Vec<Rtp>,
    /// Whether every packet arrived once, whole and in its turn.
    pub(super) is_calm: bool,
    /// Datagrams that were to arrive, copies made by the network included.
    pub(super) datagrams: u64,
    /// When the last packet was sent.
    pub(super) end: Instant,
}

/// A SIP message that was sent.
#[derive(Clone, Debug)]
pub(super) struct Sip {
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// When it arrived as it was sent.
    pub(super) arrived: Option<Instant>,
    pub(super) over_udp: bool,
    pub(super) bytes: Arc<[u8]>,
    /// `None` for a request.
    pub(super) status: Option<u16>,
    /// The method of the request, or of the one that is answered.
    pub(super) method: String,
    pub(super) branch: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) from_tag: String,
    pub(super) to_tag: String,
    /// The description it carries.
    pub(super) sdp: Option<String>,
}

/// An RTP packet that was sent.
#[derive(Clone, Debug)]
pub(super) struct Rtp {
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) header: Header,
    pub(super) length: usize,
}

impl Sip {
    pub(super) fn is_request(&self) -> bool {
        self.status.is_none()
    }

    /// How people call it.
    pub(super) fn name(&self) -> String {
        match self.status {
            Some(status) => format!("the {status} to {}", self.method),
            None => self.method.clone(),
        }
    }
}

impl Log {
    pub(super) fn of(packets: &[Packet]) -> Log {
        let arrivals = |packet: &Packet| match (packet.arrives, packet.fate.duplicate) {
            (Some(_), Some(_)) => 2,
            (Some(_), None) => 1,
            (None, _) => 0,
        };
        let datagrams = || packets.iter().filter(|packet| packet.kind == Kind::Datagram);
        let messages = wire::messages(packets).iter().filter_map(message).collect();
        Log {
            messages,
            rtp: datagrams().filter_map(rtp).collect(),
            is_calm: packets.iter().all(|packet| {
                let fate = packet.fate;
                packet.arrives.is_some() && !fate.is_fault() && fate.delay.is_zero()
            }),
            datagrams: datagrams().map(arrivals).sum(),
            end: packets.last().map_or(Instant::START, |packet| packet.at),
        }
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = &Sip> {
        self.messages.iter().filter(|message| message.is_request())
    }

    pub(super) fn responses(&self) -> impl Iterator<Item = (&Sip, u16)> {
        self.messages.iter().filter_map(|message| Some((message, message.status?)))
    }
}

fn message(written: &wire::Message<'_>) -> Option<Sip> {
    let message = Message::parse(&written.bytes, &Limits::default()).ok()?;
    let (status, cseq, via, from, to) = match &message {
        Message::Request(request) => {
            (None, request.cseq(), request.via(), request.from(), request.to_header())
        }
        Message::Response(response) => {
            let status = Some(response.status().code());
            (status, response.cseq(), response.via(), response.from(), response.to_header())
        }
    };
    let cseq = cseq.ok()?;
    let tag = |address: Option<&str>| address.unwrap_or_default().to_owned();
    let body = String::from_utf8_lossy(message.body()).into_owned();
    Some(Sip {
        at: written.sent,
        from: written.from,
        to: written.to,
        arrived: written.arrived,
        over_udp: written.form == Form::Datagram,
        bytes: written.bytes.as_ref().into(),
        status,
        method: cseq.method().to_string(),
        branch: via.ok()?.branch().unwrap_or_default().to_owned(),
        call_id: message.headers().get(Name::CallId).unwrap_or_default().to_owned(),
        cseq: cseq.number,
        from_tag: tag(from.ok()?.tag()),
        to_tag: tag(to.ok()?.tag()),
        sdp: Some(body).filter(|body| body.starts_with("v=0")),
    })
}

fn rtp(packet: &Packet) -> Option<Rtp> {
    let is_rtp = packet.bytes.first().is_some_and(|first| first >> 6 == 2) && !is_rtcp(&packet.bytes);
    let view = View::of(&packet.bytes).ok().filter(|_| is_rtp)?;
    let Packet { at, from, to, .. } = *packet;
    Some(Rtp { at, from, to, header: view.header, length: view.payload.len() })
}
