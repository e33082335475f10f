//! The recorder as a machine.

use super::super::sip::{self, CallId, Event, Listener, Output, Station};
use super::description::{self, Line};
use super::envelope::{self, Envelope};
use super::{Metadata, Reaction, Recording, Track};
use pbx::rng::Rng;
use pbx::sdp::Direction;
use pbx::sip::{Method, Name, Path, Request, StatusCode};
use pbx::time::{Duration, Instant};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The first RTP port; each stream has the next pair.
const FIRST_PORT: u16 = 30_000;

/// What was on its way when a stream was switched off is not held against anybody.
const GRACE: Duration = Duration::from_millis(200);

const ACCEPT: &str = "application/sdp, application/rs-metadata+xml, application/rs-metadata";

pub(super) struct Machine {
    pub(super) reaction: Reaction,
    pub(super) complaints: Vec<String>,
    station: Station,
    sessions: Vec<Session>,
    local: SocketAddr,
    next_port: u16,
    out: VecDeque<Output>,
}

struct Session {
    call: CallId,
    facts: Recording,
    lines: Vec<Line>,
    /// For each line where it is received; it keeps its place when the stream is off.
    ports: Vec<Port>,
    answer_at: Option<Instant>,
    /// How often our description has changed.
    version: u64,
    /// It reacts to nothing any more.
    is_silent: bool,
}

struct Port {
    address: SocketAddr,
    listener: Listener,
    /// From when on nothing is to come.
    off_since: Option<Instant>,
    stray: u64,
}

impl Machine {
    pub(super) fn new(name: &str, local: SocketAddr, rng: Rng) -> Machine {
        Machine {
            reaction: Reaction::default(),
            complaints: Vec::new(),
            station: Station::new(name, ";+sip.srs", local, rng),
            sessions: Vec::new(),
            local,
            next_port: FIRST_PORT,
            out: VecDeque::new(),
        }
    }

    pub(super) fn hang_up(&mut self, now: Instant) {
        for at in 0..self.sessions.len() {
            if self.sessions[at].facts.ended_at.is_none() {
                self.station.hang_up(self.sessions[at].call, now);
                self.end(at, now);
            }
        }
        self.settle(now);
    }

    /// The power is gone, and what was only in memory.
    pub(super) fn forget(&mut self, now: Instant) {
        for session in &mut self.sessions {
            session.facts.ended_at.get_or_insert(now);
            session.answer_at = None;
        }
        self.station.forget();
        self.out.clear();
    }

    pub(super) fn recordings(&self) -> Vec<Recording> {
        self.sessions.iter().map(Session::recording).collect()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.station.is_idle()
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
            Event::Incoming { call, invite } => self.on_invite(call, &invite, now),
            Event::Changing { call, request } => self.on_change(call, &request, now),
            Event::Request { server, request, .. } => {
                let (status, accept) = match request.method() {
                    Method::Options => (StatusCode::OK, Some((Name::Accept, ACCEPT.to_owned()))),
                    Method::Info | Method::Message => (StatusCode::OK, None),
                    _ => (StatusCode::METHOD_NOT_ALLOWED, None),
                };
                self.station.reply(server, &request, status, accept.as_slice(), now);
            }
            Event::Ended { call, .. } => {
                if let Some(at) = self.find(call) {
                    self.end(at, now);
                }
            }
            Event::Response { .. } | Event::Silence { .. } => {}
        }
    }

    fn on_invite(&mut self, call: CallId, invite: &Request, now: Instant) {
        if let Reaction::Refuses(status) = self.reaction {
            return self.station.respond(call, status, &[], None, now);
        }
        let (lines, metadata) = match read(invite) {
            Ok(read) => read,
            Err((status, wrong)) => return self.complain(call, status, wrong, now),
        };
        let Some(metadata) = metadata.filter(|metadata| metadata.mode == "complete") else {
            let wrong = "the first metadata is not there or not complete".to_owned();
            return self.complain(call, StatusCode::BAD_REQUEST, wrong, now);
        };
        let ports = lines.iter().map(|_| self.open_port()).collect();
        let answer_at = match self.reaction {
            Reaction::NeverAnswers => None,
            Reaction::RecordsAfter(time) => Some(now + time),
            _ => Some(now),
        };
        let facts = Recording { began_at: now, metadata: vec![metadata], ..Recording::default() };
        let session = Session { call, facts, lines, ports, answer_at, version: 0, is_silent: false };
        self.sessions.push(session);
        self.answer_due(now);
    }

    fn on_change(&mut self, call: CallId, request: &Request, now: Instant) {
        let Some(at) = self.find(call) else { return };
        if self.sessions[at].is_silent {
            return;
        }
        if request.body().is_empty() {
            return self.station.respond(call, StatusCode::OK, &[], None, now);
        }
        match read(request) {
            Ok((lines, metadata)) => {
                while self.sessions[at].ports.len() < lines.len() {
                    let port = self.open_port();
                    self.sessions[at].ports.push(port);
                }
                let session = &mut self.sessions[at];
                session.facts.metadata.extend(metadata);
                session.lines = lines;
                session.answer_at = Some(now);
                self.answer_due(now);
            }
            Err((status, wrong)) => self.complain(call, status, wrong, now),
        }
    }

    /// Answers those whose time has come.
    fn answer_due(&mut self, now: Instant) {
        for session in &mut self.sessions {
            if session.answer_at.is_none_or(|at| at > now) {
                continue;
            }
            session.answer_at = None;
            let body = session.answer(self.local, self.reaction, now);
            let body = body.map(|body| ("application/sdp".to_owned(), body));
            self.station.respond(session.call, StatusCode::OK, &[], body, now);
            session.facts.answered_at.get_or_insert(now);
            session.is_silent = self.reaction == Reaction::FallsSilent;
        }
    }

    fn complain(&mut self, call: CallId, status: StatusCode, wrong: String, now: Instant) {
        let warning = [(Name::Warning, format!("399 recorder \"{}\"", wrong.replace('"', "'")))];
        self.complaints.push(wrong);
        self.station.respond(call, status, &warning, None, now);
    }

    fn open_port(&mut self) -> Port {
        let address = SocketAddr::new(self.local.ip(), self.next_port);
        self.next_port += 2;
        self.out.push_back(Output::Open(address));
        Port { address, listener: Listener::default(), off_since: Some(Instant::START), stray: 0 }
    }

    fn end(&mut self, at: usize, now: Instant) {
        let session = &mut self.sessions[at];
        session.facts.ended_at.get_or_insert(now);
        session.answer_at = None;
        for port in &session.ports {
            self.out.push_back(Output::Close(port.address));
        }
    }

    fn find(&self, call: CallId) -> Option<usize> {
        self.sessions.iter().position(|session| session.call == call)
    }
}

impl Session {
    /// Our answer to the lines as they are; `None`: it misbehaves.
    fn answer(&mut self, local: SocketAddr, reaction: Reaction, now: Instant) -> Option<Vec<u8>> {
        self.version += 1;
        let mut answers = Vec::new();
        for (at, (line, port)) in self.lines.iter().zip(&mut self.ports).enumerate() {
            let is_taken = match reaction {
                Reaction::TakesNoStream => false,
                Reaction::TakesOneStream => at == 0,
                _ => true,
            };
            let may_come = matches!(line.direction, Direction::SendOnly | Direction::SendRecv);
            let direction = match reaction {
                Reaction::IsNotReady => Direction::Inactive,
                _ if may_come => Direction::RecvOnly,
                _ => Direction::Inactive,
            };
            if let Some((payload_type, law)) = line.codec {
                port.listener.listen(payload_type, law);
            }
            let is_on = is_taken && direction == Direction::RecvOnly && line.rtp.is_some();
            port.off_since = if is_on { None } else { port.off_since.or(Some(now)) };
            let taken = (is_taken && line.rtp.is_some()).then_some(port.address.port());
            answers.push((line.clone(), taken, direction));
        }
        if reaction == Reaction::LeavesOutAStream {
            answers.pop();
        }
        let description = description::answer(local.ip(), self.version, &answers);
        (reaction != Reaction::LeavesOutTheDescription).then_some(description)
    }

    fn recording(&self) -> Recording {
        let track = |(line, port): (&Line, &Port)| Track {
            label: line.label.clone().unwrap_or_default(),
            hearing: port.listener.listening.hearing(),
            is_on: port.off_since.is_none() && self.facts.is_on(),
            stray: port.stray,
        };
        Recording { tracks: self.lines.iter().zip(&self.ports).map(track).collect(), ..self.facts.clone() }
    }
}

impl sip::Machine for Machine {
    fn receive(&mut self, bytes: &[u8], path: Path, now: Instant) {
        let is_silent = self.sessions.last().is_some_and(|session| session.is_silent);
        if self.reaction == Reaction::IsDead || is_silent && !bytes.starts_with(b"ACK ") {
            return;
        }
        self.station.receive(bytes, path, now);
        self.settle(now);
    }

    fn receive_media(&mut self, local: SocketAddr, bytes: &[u8], now: Instant) {
        let mut ports = self.sessions.iter_mut().flat_map(|session| &mut session.ports);
        if let Some(port) = ports.find(|port| port.address == local) {
            if port.off_since.is_some_and(|since| since + GRACE < now) {
                port.stray += 1;
            }
            port.listener.receive(bytes, now);
        }
    }

    fn path_failed(&mut self, path: Path, now: Instant) {
        self.station.path_failed(path, now);
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.station.handle_timeout(now);
        self.answer_due(now);
        self.settle(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let answers = self.sessions.iter().filter_map(|session| session.answer_at);
        answers.chain(self.station.poll_timeout()).min()
    }

    fn poll_output(&mut self, now: Instant) -> Option<Output> {
        self.settle(now);
        self.out.pop_front()
    }
}

/// What a request to record says, or how it is refused and why.
fn read(request: &Request) -> Result<(Vec<Line>, Option<Metadata>), (StatusCode, String)> {
    let bad = |wrong: &str| (StatusCode::BAD_REQUEST, wrong.to_owned());
    if *request.method() == Method::Invite {
        let is_new = request.to_header().is_ok_and(|to| to.tag().is_none());
        if is_new && !request.lists(Name::Require, "siprec") {
            return Err((StatusCode::FORBIDDEN, "siprec is not required".to_owned()));
        }
        let contact = request.contact().map_err(|_| bad("there is no Contact"))?;
        if !contact.params.has("+sip.src") {
            return Err(bad("the Contact does not say +sip.src"));
        }
    }
    let kind = request.headers().get(Name::ContentType).unwrap_or_default();
    let Envelope { description, metadata } =
        envelope::open(kind, request.body()).map_err(|wrong| bad(&wrong))?;
    let description = description.ok_or_else(|| bad("there is no session description"))?;
    let lines = description::read(&description).map_err(|wrong| bad(&wrong))?;
    let metadata = metadata.map(|text| Metadata::parse(&text)).transpose().map_err(|wrong| bad(&wrong))?;
    for line in &lines {
        let Some(label) = &line.label else { return Err(bad("a stream has no label")) };
        if !matches!(line.direction, Direction::SendOnly | Direction::Inactive) {
            return Err(bad(&format!("the stream {label} is neither sendonly nor inactive")));
        }
    }
    let is_described = |label: &String| lines.iter().any(|line| line.label.as_ref() == Some(label));
    let labels =
        metadata.iter().flat_map(|metadata| &metadata.streams).filter_map(|stream| stream.label.as_ref());
    if let Some(label) = labels.into_iter().find(|label| !is_described(label)) {
        return Err(bad(&format!("the metadata speaks of {label}, which is not in the description")));
    }
    Ok((lines, metadata))
}

#[cfg(test)]
mod tests {
    use super::sip::Machine as _;
    use super::*;
    use pbx::sip::Transport;

    const GOOD: &str = "INVITE sip:recorder@10.0.0.2 SIP/2.0\n\
        Via: SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKa\n\
        Max-Forwards: 70\n\
        From: <sip:tap@10.0.0.3>;tag=a\n\
        To: <sip:recorder@10.0.0.2>\n\
        Call-ID: a\n\
        CSeq: 1 INVITE\n\
        Contact: <sip:tap@10.0.0.3>;+sip.src\n\
        Require: siprec\n\
        Content-Type: multipart/mixed;boundary=b\n\
        \n\
        --b\n\
        Content-Type: application/sdp\n\
        \n\
        v=0\no=- 1 1 IN IP4 10.0.0.3\ns=-\nc=IN IP4 10.0.0.3\nt=0 0\n\
        m=audio 4000 RTP/AVP 0\na=sendonly\na=label:1\n\
        \n\
        --b\n\
        Content-Type: application/rs-metadata+xml\n\
        Content-Disposition: recording-session\n\
        \n\
        <recording xmlns=\"urn:ietf:params:xml:ns:recording:1\"><datamode>complete</datamode>\
        <stream stream_id=\"UAAMm5GRQKSCMVvLyl4rFw==\"><label>1</label></stream></recording>\n\
        --b--\n";

    #[test]
    fn what_is_right_is_recorded() {
        assert_eq!(complaints(GOOD), [""; 0]);
    }

    #[test]
    fn what_is_against_the_rfc_is_complained_of() {
        for (good, bad, wrong) in [
            ("Require: siprec\n", "", "siprec is not required"),
            (";+sip.src", "", "the Contact does not say +sip.src"),
            ("a=label:1\n", "", "a stream has no label"),
            ("a=sendonly\n", "", "the stream 1 is neither sendonly nor inactive"),
            ("a=label:1", "a=label:2", "the metadata speaks of 1, which is not in the description"),
            ("recording-session", "session", "the disposition of the metadata is \"session\""),
            (">complete<", ">partial<", "the first metadata is not there or not complete"),
            ("application/sdp", "text/plain", "there is no session description"),
        ] {
            assert_eq!(complaints(&GOOD.replace(good, bad)), [wrong]);
        }
    }

    fn complaints(invite: &str) -> Vec<String> {
        let local = SocketAddr::from(([10, 0, 0, 2], 5_060));
        let remote = SocketAddr::from(([10, 0, 0, 3], 5_060));
        let path = Path { transport: Transport::Udp, local, remote, connection: None };
        let mut machine = Machine::new("recorder", local, Rng::from_number(1));
        machine.receive(invite.replace('\n', "\r\n").as_bytes(), path, Instant::START);
        machine.complaints
    }
}
