//! A PBX core, telephones and a wire between them, in virtual time; no socket, no thread.

use pbx::audio::Clip;
use pbx::cdr::Record;
use pbx::config::Config;
use pbx::dialog::{Description, Event, Invite, Outgoing, Reply, Settings, UserAgent};
use pbx::media::{self, Command};
use pbx::pbx::{Input, Output, Pbx, What};
use pbx::rng::Rng;
use pbx::sip::{Limits, Message, Method, Path, StatusCode, Transport};
use pbx::time::{Duration, Instant, WallClock};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// One millisecond from anywhere to anywhere.
const LATENCY: Duration = Duration::from_millis(1);

pub(crate) const PBX: &str = "127.0.0.1:5060";

/// Everything there is.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) pbx: Pbx,
    phones: BTreeMap<SocketAddr, Phone>,
    wire: BTreeMap<(Instant, u64), Parcel>,
    sent: u64,
    pub(crate) ladder: String,
    pub(crate) records: Vec<Record>,
    pub(crate) events: Vec<What>,
    pub(crate) commands: Vec<Command>,
    /// Ports that somebody else on this machine holds.
    pub(crate) taken: BTreeSet<u16>,
    pub(crate) drained: bool,
    names: BTreeMap<String, Vec<SocketAddr>>,
    /// The files of recordings.
    pub(crate) recordings: Vec<PathBuf>,
    /// What is in files.
    pub(crate) sounds: BTreeMap<PathBuf, Arc<Clip>>,
}

enum Parcel {
    Message { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    Media(media::Event),
    Resolved { query: u64, addresses: Vec<SocketAddr> },
    SoundRead { file: PathBuf, sound: Result<Arc<Clip>, String> },
}

/// A telephone: the PBX's own user agent with a person at it.
pub(crate) struct Phone {
    pub(crate) agent: UserAgent,
    pub(crate) address: SocketAddr,
    pub(crate) habit: Habit,
    pub(crate) session: Option<pbx::dialog::SessionId>,
    /// What the person has seen and heard, in words.
    pub(crate) seen: Vec<String>,
    /// The last description the other side sent.
    pub(crate) remote: Option<String>,
}

/// What the person does when it rings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Habit {
    Answers,
    Rings,
    Rejects(u16),
    DeflectsTo(&'static str),
}

impl World {
    pub(crate) fn new(config: &str) -> World {
        let config = Config::parse(config, "test.toml").unwrap_or_else(|error| panic!("{error}"));
        let clock = WallClock { epoch_micros: 1_795_247_106_000_000 };
        World {
            now: Instant::START,
            pbx: Pbx::new(config, [7; 32], clock),
            phones: BTreeMap::new(),
            wire: BTreeMap::new(),
            sent: 0,
            ladder: String::new(),
            records: Vec::new(),
            events: Vec::new(),
            commands: Vec::new(),
            taken: BTreeSet::new(),
            drained: false,
            names: BTreeMap::new(),
            recordings: Vec::new(),
            sounds: BTreeMap::new(),
        }
    }

    pub(crate) fn telephone(&mut self, address: &str, habit: Habit) -> SocketAddr {
        let address: SocketAddr = address.parse().expect("an address");
        let settings = Settings {
            user_agent: "test telephone".into(),
            t1: Duration::from_millis(500),
            session_expires: None,
            min_se: Duration::from_secs(90),
            external_address: None,
            max_transactions: 1_000,
        };
        let agent = UserAgent::new(settings, Rng::from_number(u64::from(address.port())));
        let phone = Phone { agent, address, habit, session: None, seen: Vec::new(), remote: None };
        self.phones.insert(address, phone);
        address
    }

    /// A telephone that has registered as `number`.
    pub(crate) fn extension(&mut self, number: &str, address: &str, habit: Habit) -> SocketAddr {
        let address = self.telephone(address, habit);
        self.register(address, number, number, 600);
        self.pass(Duration::from_millis(100));
        address
    }

    pub(crate) fn name(&mut self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|a| a.parse().expect("an address")).collect();
        self.names.insert(name.to_owned(), addresses);
    }

    pub(crate) fn register(&mut self, phone: SocketAddr, number: &str, password: &str, expires: u32) {
        let outgoing = Outgoing {
            method: Method::Register,
            uri: "sip:127.0.0.1".into(),
            to: format!("<sip:{number}@127.0.0.1>"),
            from: format!("<sip:{number}@127.0.0.1>"),
            path: path(phone),
            headers: vec![
                ("Contact".into(), format!("<sip:{number}@{phone}>")),
                ("Expires".into(), expires.to_string()),
            ],
            body: None,
            credentials: Some((number.into(), password.into())),
        };
        self.act(phone, |phone, now| {
            phone.agent.request(outgoing, now);
        });
    }

    pub(crate) fn call(&mut self, phone: SocketAddr, from: &str, number: &str) {
        self.call_with(phone, from, from, number, Some(sdp(phone.port() + 1000, "0 8 101", "sendrecv")));
    }

    pub(crate) fn call_with(
        &mut self,
        phone: SocketAddr,
        from: &str,
        password: &str,
        number: &str,
        offer: Option<String>,
    ) {
        let invite = Invite {
            uri: format!("sip:{number}@127.0.0.1"),
            to: format!("<sip:{number}@127.0.0.1>"),
            from: format!("<sip:{from}@127.0.0.1>"),
            path: path(phone),
            route: Vec::new(),
            max_forwards: 70,
            headers: Vec::new(),
            offer: offer.map(String::into_bytes),
            credentials: Some((from.into(), password.into())),
            try_timeout: None,
        };
        self.act(phone, |phone, now| phone.session = Some(phone.agent.invite(invite, now)));
    }

    pub(crate) fn answer(&mut self, phone: SocketAddr) {
        self.act(phone, |phone, now| phone.answer(now));
    }

    pub(crate) fn hang_up(&mut self, phone: SocketAddr) {
        self.act(phone, |phone, now| {
            if let Some(session) = phone.session.take() {
                phone.agent.hang_up(session, None, now);
            }
        });
    }

    pub(crate) fn offer(&mut self, phone: SocketAddr, direction: &str) {
        let port = phone.port() + 1000;
        self.act(phone, |phone, now| {
            let session = phone.session.expect("the telephone is in a call");
            phone.agent.offer(session, Some(sdp(port, "0 8 101", direction).into_bytes()), now);
        });
    }

    pub(crate) fn act(&mut self, phone: SocketAddr, act: impl FnOnce(&mut Phone, Instant)) {
        let now = self.now;
        let phone = self.phones.get_mut(&phone).expect("a telephone");
        act(phone, now);
        self.drain();
    }

    pub(crate) fn phone(&self, phone: SocketAddr) -> &Phone {
        &self.phones[&phone]
    }

    pub(crate) fn seen(&self, phone: SocketAddr) -> String {
        self.phones[&phone].seen.join(", ")
    }

    /// A telephone that loses its network, or a target that does not exist.
    pub(crate) fn unplug(&mut self, phone: SocketAddr) {
        self.phones.remove(&phone);
    }

    pub(crate) fn media(&mut self, event: media::Event) {
        self.give(Input::Media(event));
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.pbx.receive(input, self.now);
        self.drain();
    }

    /// Raw bytes from an address where nobody listens for the answer but the ladder.
    pub(crate) fn send_raw(&mut self, from: &str, text: &str) {
        let bytes = text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
        self.post(Parcel::Message { from: from.parse().expect("an address"), to: pbx_address(), bytes });
    }

    /// Time passes; everything that is due happens.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let wire = self.wire.keys().next().map(|(at, _)| *at);
            let phones = self.phones.values().filter_map(|phone| phone.agent.poll_timeout()).min();
            let next = [wire, phones, self.pbx.poll_timeout()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = until;
    }

    /// Until nothing is due any more; within an hour.
    pub(crate) fn rest(&mut self) {
        self.pass(Duration::from_secs(3600));
        assert!(self.pbx.is_idle(), "something is left over in the PBX\n{}", self.ladder);
    }

    pub(crate) fn sent(&self, what: &str) -> usize {
        self.ladder.lines().filter(|line| line.contains(what)).count()
    }

    fn turn(&mut self) {
        let now = self.now;
        if let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Parcel::Message { from, to, bytes } => self.deliver(from, to, bytes),
                Parcel::Media(event) => self.pbx.receive(Input::Media(event), now),
                Parcel::Resolved { query, addresses } => {
                    self.pbx.receive(Input::Resolved { query, addresses }, now)
                }
                Parcel::SoundRead { file, sound } => self.pbx.receive(Input::SoundRead { file, sound }, now),
            }
        }
        for phone in self.phones.values_mut() {
            if phone.agent.poll_timeout().is_some_and(|at| at <= now) {
                phone.agent.handle_timeout(now);
            }
        }
        if self.pbx.poll_timeout().is_some_and(|at| at <= now) {
            self.pbx.handle_timeout(now);
        }
        self.drain();
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if to == pbx_address() {
            let path = Path { transport: Transport::Udp, local: to, remote: from, connection: None };
            self.pbx.receive(Input::Received { path, bytes }, self.now);
        } else if let Some(phone) = self.phones.get_mut(&to) {
            let path = Path { transport: Transport::Udp, local: to, remote: from, connection: None };
            let message = Message::parse(&bytes, &Limits::default()).expect("the PBX sends messages");
            phone.agent.receive(message, path, self.now);
        }
    }

    fn drain(&mut self) {
        let (mut busy, now) = (true, self.now);
        while busy {
            busy = false;
            while let Some(output) = self.pbx.poll_output() {
                busy = true;
                self.on_output(output);
            }
            let mut parcels = Vec::new();
            for phone in self.phones.values_mut() {
                while let Some(output) = phone.agent.poll_output() {
                    busy = true;
                    match output {
                        pbx::dialog::Output::Transmit { path, bytes } => {
                            parcels.push(Parcel::Message { from: phone.address, to: path.remote, bytes });
                        }
                        pbx::dialog::Output::Event(event) => phone.on_event(event, now),
                    }
                }
            }
            parcels.into_iter().for_each(|parcel| self.post(parcel));
        }
    }

    fn on_output(&mut self, output: Output) {
        match output {
            Output::Transmit { path, bytes } => {
                self.post(Parcel::Message { from: pbx_address(), to: path.remote, bytes });
            }
            Output::Media { command, .. } => {
                match &command {
                    Command::Open { stream, local, .. } if self.taken.contains(&local.port()) => {
                        let (stream, port) = (*stream, local.port());
                        self.post(Parcel::Media(media::Event::OpenFailed {
                            stream,
                            port,
                            reason: "taken".into(),
                        }));
                    }
                    Command::Open { stream, .. } => self.post(Parcel::Media(media::Event::Opened(*stream))),
                    Command::Close(stream) => {
                        let statistics = media::Statistics { packets_sent: 50, ..Default::default() };
                        self.post(Parcel::Media(media::Event::Closed(*stream, statistics)));
                    }
                    _ => {}
                }
                self.commands.push(command);
            }
            Output::Resolve { query, host, port } => {
                let found = self.names.get(&host).cloned().unwrap_or_default();
                let addresses = found.into_iter().map(|a| SocketAddr::new(a.ip(), port)).collect();
                self.post(Parcel::Resolved { query, addresses });
            }
            Output::ReadSound { file } => {
                let sound = self.sounds.get(&file).cloned().ok_or("there is no such file".to_owned());
                self.post(Parcel::SoundRead { file, sound });
            }
            Output::OpenRecording { file, .. } => self.recordings.push(file),
            Output::Record(record) => self.records.push(*record),
            Output::Journal(_)
            | Output::SaveFile { .. }
            | Output::RemoveFiles(_)
            | Output::ListMessages { .. } => {}
            Output::Event(event) => self.events.push(event.what),
            // No web service is there.
            Output::Ask { .. } => {}
            // No application is connected.
            Output::Rwi(_) | Output::Webhook { .. } => {}
            Output::Drained => self.drained = true,
        }
    }

    fn post(&mut self, parcel: Parcel) {
        if let Parcel::Message { from, to, bytes } = &parcel {
            let line = String::from_utf8_lossy(bytes);
            let line = line.lines().next().unwrap_or_default();
            let _ = writeln!(self.ladder, "{}  {from} --> {to}  {line}", self.now);
        }
        self.sent += 1;
        self.wire.insert((self.now + LATENCY, self.sent), parcel);
    }
}

impl Phone {
    fn answer(&mut self, now: Instant) {
        if let Some(session) = self.session {
            let port = self.address.port() + 1000;
            let direction = match &self.remote {
                Some(remote) if remote.contains("a=sendonly") => "recvonly",
                Some(remote) if remote.contains("a=inactive") => "inactive",
                _ => "sendrecv",
            };
            self.agent.accept(session, sdp(port, "0 101", direction).into_bytes(), Vec::new(), now);
        }
    }

    fn on_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Incoming { session, invite, offer, .. } => {
                self.session = Some(session);
                self.seen.push(format!(
                    "call from {}",
                    invite.from().map(|from| from.uri.to_owned()).unwrap_or_default()
                ));
                self.remote = offer.and_then(|offer| String::from_utf8(offer).ok());
                match self.habit {
                    Habit::Answers => {
                        self.agent.ring(session, StatusCode::RINGING, None, false, Vec::new(), now);
                        self.answer(now);
                    }
                    Habit::Rings => {
                        self.agent.ring(session, StatusCode::RINGING, None, false, Vec::new(), now)
                    }
                    Habit::Rejects(status) => {
                        let status = StatusCode::new(status).expect("a status");
                        self.agent.reject(session, Reply::new(status), now);
                    }
                    Habit::DeflectsTo(number) => {
                        let mut reply = Reply::new(StatusCode::MOVED_TEMPORARILY);
                        reply.headers.push(("Contact".into(), format!("<sip:{number}@127.0.0.1>")));
                        self.agent.reject(session, reply, now);
                    }
                }
            }
            Event::Renewal { .. } | Event::SubscriptionExpired { .. } | Event::SubscriptionEnded { .. } => {}
            Event::Provisional { response, .. } => self.seen.push(response.status().to_string()),
            Event::Answered { response, description, .. } => {
                self.seen.push(response.status().to_string());
                if let Some(Description::Answer(answer)) = &description {
                    self.remote = String::from_utf8(answer.clone()).ok();
                }
                if let (Some(Description::Offer(_)), Some(session)) = (description, self.session) {
                    let answer = sdp(self.address.port() + 1000, "0 101", "sendrecv");
                    self.agent.answer(session, answer.into_bytes(), now);
                }
            }
            Event::Refused { status, .. } => self.seen.push(status.to_string()),
            Event::Confirmed { .. } => self.seen.push("ACK".into()),
            Event::Offered { session, offer } => {
                let offer = offer.and_then(|offer| String::from_utf8(offer).ok()).unwrap_or_default();
                let direction =
                    match offer.lines().find(|line| line.starts_with("a=") && line.ends_with("ly")) {
                        Some("a=sendonly") => "recvonly",
                        Some("a=recvonly") => "sendonly",
                        _ if offer.contains("a=inactive") => "inactive",
                        _ => "sendrecv",
                    };
                self.seen.push(format!("asked, answers {direction}"));
                let answer = sdp(self.address.port() + 1000, "0 101", direction);
                self.agent.answer(session, answer.into_bytes(), now);
            }
            Event::OfferAnswered { answer, .. } => {
                self.remote = String::from_utf8(answer).ok();
                self.seen.push("offer answered".into());
            }
            Event::OfferRefused { status, .. } => self.seen.push(format!("offer refused {status}")),
            Event::Request { id, request, .. } => {
                self.seen.push(format!("{}", request.method()));
                self.agent.reply(id, Reply::new(StatusCode::OK), now);
            }
            Event::Response { response, .. } => {
                self.seen.push(
                    response
                        .map_or_else(|status| status.to_string(), |response| response.status().to_string()),
                );
            }
            Event::Ended { .. } => {
                self.session = None;
                self.seen.push("ended".into());
            }
        }
    }
}

/// A description of one audio stream.
pub(crate) fn sdp(port: u16, formats: &str, direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n\
         a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    )
}

fn path(phone: SocketAddr) -> Path {
    Path { transport: Transport::Udp, local: phone, remote: pbx_address(), connection: None }
}

fn pbx_address() -> SocketAddr {
    PBX.parse().expect("an address")
}
