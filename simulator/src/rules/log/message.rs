//! A SIP message that was sent, with what it says.

use crate::network::Outage;
use crate::wire::{self, Form};
use pbx::sip::{Headers, Limits, Message, Name, Via};
use pbx::time::Instant;
use std::net::SocketAddr;
use std::sync::Arc;

/// A SIP message that was sent.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Sip {
    pub(in crate::rules) at: Instant,
    /// When its sender may have wanted to send it: a stream has to be opened first.
    pub(in crate::rules) meant: Instant,
    pub(in crate::rules) from: SocketAddr,
    pub(in crate::rules) to: SocketAddr,
    /// When it arrived as it was sent.
    pub(in crate::rules) arrived: Option<Instant>,
    /// When a copy arrived that the network made.
    pub(in crate::rules) again: Option<Instant>,
    /// When a copy of one that was damaged arrived.
    pub(in crate::rules) damaged_again: Option<Instant>,
    /// When it arrived damaged: its ghost came then.
    pub(in crate::rules) damaged: Option<Instant>,
    pub(in crate::rules) over_udp: bool,
    /// When the stream that carried it was closed or broken.
    pub(in crate::rules) over: Option<Instant>,
    pub(in crate::rules) bytes: Arc<[u8]>,
    /// `None` for a request.
    pub(in crate::rules) status: Option<u16>,
    /// The method of the request, or of the one that is answered.
    pub(in crate::rules) method: String,
    pub(in crate::rules) branch: String,
    pub(in crate::rules) call_id: String,
    pub(in crate::rules) cseq: u32,
    pub(in crate::rules) from_tag: String,
    pub(in crate::rules) to_tag: String,
    /// The description it carries.
    pub(in crate::rules) sdp: Option<String>,
    /// The transaction it belongs to, by its place in the log; `None` for a response to nothing.
    pub(in crate::rules) transaction: Option<usize>,
    /// It was never sent: it is what came of a message that was damaged on its way.
    pub(in crate::rules) is_ghost: bool,
    /// The dialog it belongs to, by its place in the log; `None` for one outside of any.
    pub(in crate::rules) dialog: Option<usize>,
    said: Message,
}

impl Sip {
    /// What was sent and, where that was damaged on its way, what came of it.
    pub(super) fn read(written: &wire::Message<'_>) -> [Option<Sip>; 2] {
        let ghost = written.damaged.as_ref().and_then(|(arrived, bytes)| {
            let ghost = Sip::of(written, bytes)?;
            Some(Sip { arrived: Some(*arrived), again: None, damaged: None, is_ghost: true, ..ghost })
        });
        [Sip::of(written, &written.bytes), ghost]
    }

    fn of(written: &wire::Message<'_>, bytes: &[u8]) -> Option<Sip> {
        let message = Message::parse(bytes, &Limits::default()).ok()?;
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
        // Parameters are the same in whatever case (RFC 3261 section 7.3.1).
        let tag = |address: Option<&str>| address.unwrap_or_default().to_ascii_lowercase();
        let body = String::from_utf8_lossy(message.body()).into_owned();
        Some(Sip {
            at: written.sent,
            meant: written.meant,
            from: written.from,
            to: written.to,
            arrived: written.arrived,
            again: written.again,
            damaged_again: written.damaged_again,
            damaged: written.damaged.as_ref().map(|(at, _)| *at),
            over_udp: written.form == Form::Datagram,
            over: written.over,
            bytes: bytes.into(),
            status,
            method: cseq.method().to_string(),
            branch: via.ok()?.branch().unwrap_or_default().to_owned(),
            call_id: message.headers().get(Name::CallId).unwrap_or_default().to_owned(),
            cseq: cseq.number,
            from_tag: tag(from.ok()?.tag()),
            to_tag: tag(to.ok()?.tag()),
            sdp: description(&body).map(str::to_owned),
            transaction: None,
            is_ghost: false,
            dialog: None,
            said: message,
        })
    }

    /// Its receiver was off when it came.
    pub(super) fn miss(&mut self, outages: &[Outage]) {
        let host = self.to.ip();
        let is_off = |at: &Instant| {
            let covers = |outage: &Outage| outage.from <= *at && outage.to.is_none_or(|to| *at < to);
            outages.iter().any(|outage| outage.host == host && covers(outage))
        };
        for arrival in [&mut self.arrived, &mut self.again, &mut self.damaged, &mut self.damaged_again] {
            *arrival = arrival.filter(|at| !is_off(at));
        }
    }

    pub(in crate::rules) fn is_request(&self) -> bool {
        self.status.is_none()
    }

    /// Whether it is a request with this method.
    pub(in crate::rules) fn asks(&self, method: &str) -> bool {
        self.is_request() && self.method == method
    }

    /// Whether it is a response of this kind to this method.
    pub(in crate::rules) fn answers(&self, method: &str, mut with: impl FnMut(u16) -> bool) -> bool {
        self.method == method && self.status.is_some_and(&mut with)
    }

    /// Whether it says what every message of its kind says (RFC 3261 sections 8.1.1 and 8.1.3.3): what does not is dropped.
    pub(in crate::rules) fn is_sound(&self) -> bool {
        match &self.said {
            Message::Request(request) => request.validate().is_ok(),
            Message::Response(response) => response.validate().is_ok(),
        }
    }

    pub(in crate::rules) fn is_final(&self) -> bool {
        self.status.is_some_and(|status| status >= 200)
    }

    pub(in crate::rules) fn is_provisional(&self) -> bool {
        self.status.is_some_and(|status| status < 200)
    }

    /// Each time it arrived as it was sent.
    pub(in crate::rules) fn arrivals(&self) -> impl Iterator<Item = Instant> {
        self.arrived.into_iter().chain(self.again)
    }

    /// Each time it arrived, if perhaps not as it was sent: its receiver may have understood it or not.
    pub(in crate::rules) fn perhaps(&self) -> impl Iterator<Item = Instant> {
        self.arrivals().chain(self.damaged).chain(self.damaged_again)
    }

    /// How people call it.
    pub(in crate::rules) fn name(&self) -> String {
        match self.status {
            Some(status) => format!("the {status} to {}", self.method),
            None => self.method.clone(),
        }
    }

    /// The header lines.
    pub(in crate::rules) fn headers(&self) -> &Headers {
        self.said.headers()
    }

    /// The body.
    pub(in crate::rules) fn body(&self) -> &[u8] {
        self.said.body()
    }

    /// The Request-URI; empty for a response.
    pub(in crate::rules) fn uri(&self) -> &str {
        match &self.said {
            Message::Request(request) => request.uri(),
            Message::Response(_) => "",
        }
    }

    /// The first Via.
    pub(in crate::rules) fn via(&self) -> Option<Via<'_>> {
        self.headers().list(Name::Via).next().and_then(|via| Via::parse(via).ok())
    }

    /// The values of a header that may be a list, comma or line apart.
    pub(in crate::rules) fn list(&self, name: Name) -> Vec<&str> {
        self.headers().list(name).collect()
    }
}

/// The description in a body: all of it, or one of its parts.
fn description(body: &str) -> Option<&str> {
    if body.starts_with("v=0") {
        return Some(body);
    }
    let boundary = body.lines().next().filter(|line| line.starts_with("--"))?;
    let parts = body.split(boundary).filter_map(|part| Some(part.split_once("\r\n\r\n")?.1));
    // The line break before a boundary is the boundary's.
    parts.map(|part| part.strip_suffix("\r\n").unwrap_or(part)).find(|part| part.starts_with("v=0"))
}
