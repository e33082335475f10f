//! Who asks a recorder to record (SRC of RFC 7866): two voices, alice's and bob's, of a call that it makes up.

use super::super::sip::{self, CallId, Desk, Event, Invitation, Output, Station, Talker};
use super::description;
use super::envelope;
use crate::network::SimHost;
use crate::phone::SIP_PORT;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pbx::rng::Rng;
use pbx::sdp::Direction;
use pbx::shell::host::Host;
use pbx::sip::{Method, Name, Path, StatusCode, Transport};
use pbx::time::Instant;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// The first RTP port; each stream has the next pair.
const FIRST_PORT: u16 = 40_000;

/// Who talks, how the stream is called and what is to be heard in it, in Hz.
const VOICES: [(&str, &str, f64); 2] = [("alice", "1", 500.0), ("bob", "2", 600.0)];

/// A client; clones are the same.
#[derive(Clone)]
pub struct Client {
    desk: Arc<Desk<Machine>>,
}

impl Client {
    /// A client on a host of its own.
    pub fn start(host: SimHost) -> Client {
        let local = SocketAddr::new(host.address(), SIP_PORT);
        let machine = Machine::new(local, Rng::new(host.seed()));
        Client { desk: Desk::start(host, local, machine) }
    }

    /// Asks a recorder to record.
    pub fn record(&self, recorder: SocketAddr, transport: Transport) {
        self.desk.act(|machine, now| machine.record(recorder, transport, now));
    }

    /// Sends nothing for a while, and says so.
    pub fn pause(&self) {
        self.desk.act(|machine, now| machine.change(Direction::Inactive, now));
    }

    /// Sends again.
    pub fn resume(&self) {
        self.desk.act(|machine, now| machine.change(Direction::SendOnly, now));
    }

    /// Ends it.
    pub fn stop(&self) {
        self.desk.act(Machine::stop);
    }

    /// The final answers to what it asked for.
    pub fn told(&self) -> Vec<StatusCode> {
        self.desk.look(|machine, _| machine.told.clone())
    }

    /// Whether the recorder takes what is said.
    pub fn is_recording(&self) -> bool {
        self.desk.look(|machine, _| machine.call.is_some() && machine.is_answered)
    }

    /// The label of somebody's stream and what is to be heard in it, in Hz.
    pub fn voice_of(&self, name: &str) -> Option<(&'static str, f64)> {
        VOICES.iter().find(|(who, ..)| *who == name).map(|(_, label, frequency)| (*label, *frequency))
    }

    /// Whether no call and no transaction is left.
    pub fn is_idle(&self) -> bool {
        self.desk.look(|machine, _| machine.station.is_idle())
    }
}

struct Machine {
    station: Station,
    local: SocketAddr,
    rng: Rng,
    call: Option<CallId>,
    is_answered: bool,
    told: Vec<StatusCode>,
    voices: Vec<(SocketAddr, Talker)>,
    ids: Vec<String>,
    version: u64,
    out: VecDeque<Output>,
}

impl Machine {
    fn new(local: SocketAddr, mut rng: Rng) -> Machine {
        let voices = (FIRST_PORT..).step_by(2).zip(VOICES).map(|(port, (_, _, frequency))| {
            (SocketAddr::new(local.ip(), port), Talker::new(frequency, &mut rng))
        });
        let voices: Vec<_> = voices.collect();
        let out = voices.iter().map(|(address, _)| Output::Open(*address)).collect();
        Machine {
            station: Station::new("tap", ";+sip.src", local, rng.fork()),
            local,
            rng,
            call: None,
            is_answered: false,
            told: Vec::new(),
            voices,
            ids: Vec::new(),
            version: 0,
            out,
        }
    }

    fn record(&mut self, recorder: SocketAddr, transport: Transport, now: Instant) {
        // A session, two participants, two streams.
        self.ids = (0..5).map(|_| self.id()).collect();
        let parameter = if transport.is_reliable() { ";transport=tcp" } else { "" };
        let invitation = Invitation {
            uri: format!("sip:recorder@{recorder}{parameter}"),
            from: format!("<sip:tap@{}>", self.local),
            path: Path { transport, local: self.local, remote: recorder, connection: None },
            headers: vec![
                (Name::Require, "siprec".to_owned()),
                (Name::Accept, "application/sdp, application/rs-metadata+xml".to_owned()),
            ],
            body: self.body(Direction::SendOnly),
        };
        self.is_answered = false;
        self.call = Some(self.station.invite(invitation, now));
    }

    fn change(&mut self, direction: Direction, now: Instant) {
        let Some(call) = self.call else { return };
        if direction == Direction::Inactive {
            self.voices.iter_mut().for_each(|(_, talker)| talker.stop());
        }
        let body = self.body(direction);
        self.station.request(call, Method::Invite, &[], Some(body), now);
    }

    fn stop(&mut self, now: Instant) {
        if let Some(call) = self.call.take() {
            self.voices.iter_mut().for_each(|(_, talker)| talker.stop());
            self.station.hang_up(call, now);
        }
    }

    fn body(&mut self, direction: Direction) -> sip::Body {
        self.version += 1;
        let streams: Vec<_> =
            VOICES.iter().zip(&self.voices).map(|((_, label, _), (at, _))| (*label, at.port())).collect();
        let offer = description::offer(self.local.ip(), self.version, &streams, direction);
        let boundary = self.rng.token(16);
        envelope::close(&offer, &self.metadata(), &boundary)
    }

    fn metadata(&self) -> String {
        let [session, participants @ .., one, other] = self.ids.as_slice() else { return String::new() };
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
             <recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n\
             <datamode>complete</datamode>\r\n<session session_id=\"{session}\"/>\r\n"
        );
        for (id, (name, ..)) in participants.iter().zip(VOICES) {
            text += &format!(
                "<participant participant_id=\"{id}\"><nameID aor=\"sip:{name}@pbx.example\"/></participant>\r\n"
            );
        }
        for (id, (_, label, _)) in [one, other].into_iter().zip(VOICES) {
            text += &format!(
                "<stream stream_id=\"{id}\" session_id=\"{session}\"><label>{label}</label></stream>\r\n"
            );
        }
        text += &format!("<sessionrecordingassoc session_id=\"{session}\"/>\r\n");
        for id in participants {
            text +=
                &format!("<participantsessionassoc participant_id=\"{id}\" session_id=\"{session}\"/>\r\n");
        }
        for (id, (sent, heard)) in participants.iter().zip([(one, other), (other, one)]) {
            text += &format!(
                "<participantstreamassoc participant_id=\"{id}\"><send>{sent}</send><recv>{heard}</recv>\
                 </participantstreamassoc>\r\n"
            );
        }
        text + "</recording>\r\n"
    }

    /// A UUID drawn by dice (RFC 4122 section 4.4), in base64 (RFC 7865 section 6.10).
    fn id(&mut self) -> String {
        let mut bytes = [0; 16];
        self.rng.fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        STANDARD.encode(bytes)
    }

    fn settle(&mut self, now: Instant) {
        loop {
            while let Some((path, bytes)) = self.station.poll_transmit(now) {
                self.out.push_back(Output::Message { path, bytes });
            }
            let Some(event) = self.station.poll_event() else { return };
            self.on(event, now);
        }
    }

    fn on(&mut self, event: Event, now: Instant) {
        match event {
            Event::Response { method: Method::Invite, response, .. } if response.status().is_final() => {
                self.told.push(response.status());
                if response.status().is_success() {
                    self.is_answered = true;
                    self.on_answer(response.body(), now);
                } else if !self.is_answered {
                    self.call = None;
                }
            }
            Event::Silence { method: Method::Invite, .. } => {
                self.told.push(StatusCode::REQUEST_TIMEOUT);
                if !self.is_answered {
                    self.call = None;
                }
            }
            Event::Ended { .. } => {
                self.call = None;
                self.voices.iter_mut().for_each(|(_, talker)| talker.stop());
            }
            Event::Changing { call, .. } | Event::Incoming { call, .. } => {
                self.station.respond(call, StatusCode::NOT_ACCEPTABLE_HERE, &[], None, now);
            }
            Event::Request { server, request, .. } => {
                self.station.reply(server, &request, StatusCode::OK, &[], now);
            }
            Event::Response { .. } | Event::Silence { .. } => {}
        }
    }

    /// An answer that cannot be lived with ends the session (RFC 3261 section 13.2.2.4).
    fn on_answer(&mut self, answer: &[u8], now: Instant) {
        let lines = description::read(answer).ok().filter(|lines| lines.len() == self.voices.len());
        let Some(lines) = lines.filter(|lines| lines.iter().any(|line| line.rtp.is_some())) else {
            return self.stop(now);
        };
        for ((_, talker), line) in self.voices.iter_mut().zip(lines) {
            match (line.rtp, line.codec) {
                (Some(to), Some((payload_type, law))) if line.direction == Direction::RecvOnly => {
                    talker.send_to(to, payload_type, law, now);
                }
                _ => talker.stop(),
            }
        }
    }
}

impl sip::Machine for Machine {
    fn receive(&mut self, bytes: &[u8], path: Path, now: Instant) {
        self.station.receive(bytes, path, now);
        self.settle(now);
    }

    fn receive_media(&mut self, _: SocketAddr, _: &[u8], _: Instant) {}

    fn path_failed(&mut self, path: Path, now: Instant) {
        self.station.path_failed(path, now);
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.station.handle_timeout(now);
        for (local, talker) in &mut self.voices {
            if let Some((remote, bytes)) = talker.handle_timeout(now) {
                self.out.push_back(Output::Media { local: *local, remote, bytes });
            }
        }
        self.settle(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let voices = self.voices.iter().filter_map(|(_, talker)| talker.poll_timeout());
        voices.chain(self.station.poll_timeout()).min()
    }

    fn poll_output(&mut self, now: Instant) -> Option<Output> {
        self.settle(now);
        self.out.pop_front()
    }
}
