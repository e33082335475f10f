//! The PBX in a world: whole and unchanged, from its sockets up (SIM-01), on a host of the network.
//!
//! What a scenario wants of it is said in [`Plan`], which becomes the same TOML an operator writes.

mod process;

use crate::network::{Holdings, Outage, SimHost, Unplayable};
use crate::phone::SIP_PORT;
use crate::secure;
use pbx::config::Config;
use pbx::media;
use pbx::pbx::{Counters, Event, Input, Output, Pbx, What};
use pbx::shell::driver::Core;
use pbx::shell::host::{Disk, Host};
use pbx::shell::media_host::HostMedia;
use pbx::shell::program::{self, Handle, Running};
use pbx::sip::Transport;
use pbx::time::{Duration, Instant};
use process::{Folder, Process};
use std::fmt::{Display, Write as _};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The domain of the office, a name that its PBX has.
pub const DOMAIN: &str = "pbx.example";

/// Where its pages are.
pub const HTTP_PORT: u16 = 8080;

/// Where it listens for SIP over TLS, over WebSockets, and over WebSockets within TLS.
const TLS_PORT: u16 = 5061;
const WS_PORT: u16 = 5080;
const WSS_PORT: u16 = 5443;

/// The files of its certificate, of the key of that, and of those whom it believes.
const CERTIFICATE: &str = "pbx.pem";
const KEY: &str = "pbx.key";
const AUTHORITIES: &str = "authority.pem";

/// Where call records go on the PBX's disk.
const RECORDS: &str = "calls.jsonl";

/// Media events that wait for the core.
const MEDIA_EVENTS: usize = 4_096;

/// What the configuration says.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who may register; the password is that of [`password`] until the plan says another.
    pub extensions: Vec<Extension>,
    /// Lines of `[behavior]`.
    pub behavior: Vec<(String, String)>,
    /// Lines of `[media]`.
    pub media: Vec<(String, String)>,
    /// Lines of `[limits]`.
    limits: Vec<(String, String)>,
    /// Lines of `[sip]` beside `listen` and `domain`.
    pub sip: Vec<(String, String)>,
    /// Whole tables that follow: trunks, routes, limits.
    pub tables: String,
    /// Which certificate it shows: see [`Plan::shows`].
    certificate: &'static str,
    /// Its key.
    key: &'static str,
    /// All of the configuration, in the place of everything above.
    pub whole: Option<String>,
}

/// An extension of the plan.
#[derive(Clone, Debug)]
pub struct Extension {
    /// What is dialled.
    pub number: String,
    /// More lines of its table.
    pub more: Vec<(String, String)>,
}

impl Plan {
    /// An office without extensions, which answers the tone at 9197 and the echo at 9196 and nothing else.
    pub fn new() -> Plan {
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Plan {
            extensions: Vec::new(),
            behavior: vec![entry("auto_answer", "false")],
            media: vec![entry("rtp_port_range_start", "20000"), entry("rtp_port_range_end", "20999")],
            limits: Vec::new(),
            sip: Vec::new(),
            tables: "[[routes]]\nname = \"tone\"\nto_user = \"9197\"\napp = \"tone\"\n\n\
                     [[routes]]\nname = \"echo\"\nto_user = \"9196\"\napp = \"echo\"\n"
                .to_owned(),
            certificate: secure::PBX,
            key: secure::PBX_KEY,
            whole: None,
        }
    }

    /// The extension of this number; there is one from now on.
    pub fn extension(&mut self, number: &str) -> &mut Extension {
        let known = self.extensions.iter().position(|extension| extension.number == number);
        let at = known.unwrap_or_else(|| {
            let password = ("password".to_owned(), format!("\"{}\"", password(number)));
            self.extensions.push(Extension { number: number.to_owned(), more: vec![password] });
            self.extensions.len() - 1
        });
        &mut self.extensions[at]
    }

    /// The certificate that the PBX shows: one `that is good`, `that has expired`, `of another name`, ...
    pub fn shows(&mut self, what: &str) {
        (self.certificate, self.key) = secure::certificate_of_pbx(what);
    }

    /// Sets a key of `[behavior]`.
    pub fn behave(&mut self, key: &str, value: impl ToString) {
        self.behavior.push((key.to_owned(), value.to_string()));
    }

    /// Applications that show this token may control calls; `more` are further lines of its table.
    pub fn let_in(&mut self, token: &str, more: &str) {
        if !self.tables.contains(&format!("token = \"{token}\"")) {
            let _ = write!(self.tables, "\n[[rwi.tokens]]\ntoken = \"{token}\"\n{more}");
        }
    }

    /// A queue of this name: its agents, how they are rung, and how long they rest after a talk.
    pub fn queue(&mut self, name: &str, agents: &[impl Display], strategy: &str, rest: Duration) {
        for agent in agents {
            self.extension(&agent.to_string());
        }
        let agents: Vec<String> = agents.iter().map(|agent| format!("\"{agent}\"")).collect();
        let _ = write!(
            self.tables,
            "\n[[queues]]\nname = \"{name}\"\nagents = [{}]\nstrategy = \"{strategy}\"\n\
             ring_timeout_seconds = 10\nwrap_up_seconds = {}\nmusic = \"waiting.wav\"\n",
            agents.join(", "),
            rest.as_secs()
        );
    }

    /// So long the PBX waits for an application that is gone.
    pub fn wait_for_applications(&mut self, patience: Duration) {
        let _ = write!(self.tables, "\n[rwi]\norphan_hold_secs = {}\n", patience.as_secs());
    }

    /// Whether there are any that may.
    pub fn lets_applications_in(&self) -> bool {
        self.tables.contains("[[rwi.tokens]]")
    }

    /// Calls and conferences may be recorded.
    pub fn keep_recordings(&mut self) {
        if !self.tables.contains("[recording]") {
            self.tables.push_str("\n[recording]\ndirectory = \".\"\n");
        }
    }

    /// Sets a key of `[media]`.
    pub fn talk(&mut self, key: &str, value: impl ToString) {
        self.media.push((key.to_owned(), value.to_string()));
    }

    /// Sets a key of `[limits]`.
    pub fn limit(&mut self, key: &str, value: impl ToString) {
        self.limits.push((key.to_owned(), value.to_string()));
    }

    /// An extension has a mailbox, with these further lines of its table: it is dialled as `*` and the number, and all dial
    /// `voicemail` for their own.
    pub fn mailbox(&mut self, owner: &str, more: &str) {
        self.keep_messages();
        self.extension(owner);
        let _ = write!(self.tables, "\n[[mailboxes]]\nextension = \"{owner}\"\n{more}");
        // A star that is one, as TOML writes it.
        self.route(&format!("\\\\*{owner}"), "voicemail", &format!("mailbox = \"{owner}\""));
    }

    /// Messages may be left.
    pub fn keep_messages(&mut self) {
        if !self.tables.contains("[voicemail]") {
            self.tables.push_str("\n[voicemail]\ndirectory = \".\"\n");
            self.route("voicemail", "voicemail", "");
        }
    }

    /// Sets a text of an extension.
    pub fn extend(&mut self, number: &str, key: &str, text: &str) {
        self.extension(number).more.push((key.to_owned(), format!("\"{text}\"")));
    }

    /// What a number leads to, with the parameters of the application as TOML writes them.
    pub fn route(&mut self, number: &str, app: &str, params: &str) {
        let _ = write!(
            self.tables,
            "\n[[routes]]\nname = \"{app} {number}\"\nto_user = \"{number}\"\napp = \"{app}\"\n\
             app_params = {{ {params} }}\n"
        );
    }

    /// Numbers of this pattern go out over these systems, one after the other.
    pub fn trunk(&mut self, pattern: &str, targets: &[impl Display]) {
        let target = |(priority, host)| format!("{{ host = \"{host}\", priority = {priority} }}");
        let targets: Vec<String> = (1..).zip(targets).map(target).collect();
        let _ = write!(
            self.tables,
            "\n[[trunks]]\nname = \"city\"\ntargets = [{}]\ntry_timeout_ms = 1000\n\n\
             [[routes]]\nname = \"out\"\nto_user = \"{pattern}\"\napp = \"trunk\"\n\
             app_params = {{ trunks = [\"city\"] }}\n",
            targets.join(", ")
        );
    }

    /// Whether the PBX writes call records down.
    pub fn keeps_records(&self) -> bool {
        self.whole.as_ref().is_none_or(|whole| whole.contains("[cdr]"))
    }

    /// Numbers of this pattern go out over this system, which may call too. It is shown a name and a password if it asks.
    pub fn carrier(&mut self, name: &str, pattern: &str, host: IpAddr, credentials: Option<(&str, &str)>) {
        let credentials =
            credentials.map(|(user, password)| format!("username = \"{user}\"\npassword = \"{password}\"\n"));
        let _ = write!(
            self.tables,
            "\n[[trunks]]\nname = \"{name}\"\ntargets = [{{ host = \"{host}\" }}]\n\
             accept_from = [\"{host}\"]\n{}\n\
             [[routes]]\nname = \"{name}\"\nto_user = \"{pattern}\"\napp = \"trunk\"\n\
             app_params = {{ trunks = [\"{name}\"] }}\n",
            credentials.unwrap_or_default()
        );
    }

    /// Numbers of this pattern go out over TLS to the system of this name, which may call from there too.
    pub fn secure_carrier(&mut self, name: &str, pattern: &str, host: &str, address: IpAddr) {
        let _ = write!(
            self.tables,
            "\n[[trunks]]\nname = \"{name}\"\ntargets = [{{ host = \"{host}\", transport = \"tls\" }}]\n\
             accept_from = [\"{address}\"]\n\n\
             [[routes]]\nname = \"{name}\"\nto_user = \"{pattern}\"\napp = \"trunk\"\n\
             app_params = {{ trunks = [\"{name}\"] }}\n"
        );
    }

    /// The configuration as an operator would write it, for a PBX at `host`.
    pub fn toml(&self, host: &SimHost) -> String {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let address = host.address();
        let mut text = format!(
            "[sip]\nlisten = [\"udp:{address}:5060\", \"tcp:{address}:5060\", \"tls:{address}:{TLS_PORT}\", \
             \"ws:{address}:{WS_PORT}\", \"wss:{address}:{WSS_PORT}\"]\ndomain = \"{DOMAIN}\"\n"
        );
        write_entries(&mut text, &self.sip);
        let _ = write!(
            text,
            "\n[tls]\ncertificate = \"{CERTIFICATE}\"\nkey = \"{KEY}\"\nauthorities = \"{AUTHORITIES}\"\n"
        );
        text.push_str("\n[behavior]\n");
        write_entries(&mut text, &self.behavior);
        text.push_str("\n[media]\n");
        write_entries(&mut text, &self.media);
        if !self.limits.is_empty() {
            text.push_str("\n[limits]\n");
            write_entries(&mut text, &self.limits);
        }
        let _ = writeln!(text, "\n[http]\nlisten = \"{address}:{HTTP_PORT}\"");
        let _ = writeln!(text, "\n[cdr]\nfile = \"{RECORDS}\"\n");
        for Extension { number, more } in &self.extensions {
            let _ = writeln!(text, "[[extensions]]\nnumber = \"{number}\"");
            write_entries(&mut text, more);
            text.push('\n');
        }
        text.push_str(&self.tables);
        text
    }
}

impl Default for Plan {
    fn default() -> Plan {
        Plan::new()
    }
}

/// The last value of a key holds.
fn write_entries(text: &mut String, entries: &[(String, String)]) {
    for (at, (key, value)) in entries.iter().enumerate() {
        if entries[at + 1..].iter().all(|(later, _)| later != key) {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
}

/// Where it listens for SIP over this.
pub fn port_of(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => SIP_PORT,
        Transport::Tls => TLS_PORT,
        Transport::Ws => WS_PORT,
        Transport::Wss => WSS_PORT,
    }
}

/// The password of an extension.
pub fn password(number: &str) -> String {
    format!("the secret of {number}")
}

/// The PBX on its host.
pub struct Office {
    host: SimHost,
    /// Where a PBX that is a process has its files.
    folder: Option<Folder>,
    at_work: Option<AtWork>,
    events: Arc<Mutex<Vec<Event>>>,
    /// When it lost its power, each time until it was started again.
    outages: Vec<Outage>,
    /// What it held of its machine when it had just been started.
    at_first: Holdings,
    /// How long the PBX waits for RTP, as it was configured last.
    rtp_timeout: Option<Duration>,
}

/// A PBX that runs.
enum AtWork {
    /// In the world, on a host of its network.
    Inside(Inside),
    /// Outside, as a process.
    Process(Mutex<Process>),
}

struct Inside {
    handle: Handle<SimHost>,
    ended: Arc<AtomicBool>,
    core: Watched,
}

impl Office {
    /// A host with no PBX on it yet.
    pub fn new(host: SimHost) -> Office {
        Office {
            host,
            folder: None,
            at_work: None,
            events: Arc::default(),
            outages: Vec::new(),
            at_first: Holdings::default(),
            rtp_timeout: None,
        }
    }

    /// The machine.
    pub fn host(&self) -> &SimHost {
        &self.host
    }

    /// Whether the PBX was started and has neither ended nor crashed.
    pub fn is_open(&self) -> bool {
        self.at_work.is_some()
    }

    /// Starts the PBX.
    pub async fn open(&mut self, plan: &Plan) {
        // It may have been switched off twice, by a plan and by a sentence.
        for outage in &mut self.outages {
            outage.to.get_or_insert(self.host.now());
        }
        self.put_certificates(plan).await;
        let text = plan.toml(&self.host);
        if let Some(program) = self.host.network().program() {
            return self.start(&program, &text);
        }
        let config = Config::parse(&text, "office.toml").unwrap_or_else(|error| panic!("{error}"));
        self.rtp_timeout = Some(config.media.rtp_timeout);
        let bound = self.host.within(program::bind(self.host.clone(), config, None)).await;
        let bound = bound.unwrap_or_else(|error| panic!("the PBX does not start: {error}"));
        let (events, media_events) = mpsc::channel(MEDIA_EVENTS);
        let settings = media::Settings { clock: self.host.clock(), latching: media::Latching::default() };
        let plane = HostMedia::new(self.host.clone(), settings, events);
        let mut core = None;
        let told = self.events.clone();
        let running = bound.start(
            |config, seed, clock| {
                let watched = Watched { pbx: Arc::new(Mutex::new(Pbx::new(config, seed, clock))), told };
                core = Some(watched.clone());
                watched
            },
            plane,
            media_events,
        );
        let core = core.expect("a PBX that starts has a core");
        let ended = Arc::new(AtomicBool::new(false));
        let inside = Inside { handle: running.handle.clone(), ended: ended.clone(), core };
        self.at_work = Some(AtWork::Inside(inside));
        self.host.spawn(wait_for_the_end(running, ended));
        self.at_first = self.host.network().holdings(self.host.address());
    }

    async fn put_certificates(&mut self, plan: &Plan) {
        if plan.whole.is_none() {
            let files = [(CERTIFICATE, plan.certificate), (KEY, plan.key), (AUTHORITIES, secure::AUTHORITY)];
            for (name, text) in files {
                self.put(name, text.as_bytes().to_vec()).await;
            }
        }
    }

    /// Another configuration is to hold from now on; says why it does not, where it is refused.
    pub async fn try_reconfigure(&mut self, plan: &Plan) -> Result<(), String> {
        self.put_certificates(plan).await;
        let config =
            Config::parse(&plan.toml(&self.host), "office.toml").map_err(|error| error.to_string())?;
        let Some(AtWork::Inside(inside)) = &self.at_work else {
            Unplayable::throw("a PBX that is a process says in its log why it keeps its configuration")
        };
        let rtp_timeout = config.media.rtp_timeout;
        inside.handle.reconfigure(config).await.map_err(|error| error.to_string())?;
        self.rtp_timeout = Some(rtp_timeout);
        Ok(())
    }

    /// Another configuration holds from now on, as after a reload.
    pub async fn reconfigure(&mut self, plan: &Plan) {
        self.put_certificates(plan).await;
        let config = Config::parse(&plan.toml(&self.host), "office.toml");
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        self.rtp_timeout = Some(config.media.rtp_timeout);
        match &self.at_work {
            Some(AtWork::Inside(inside)) => {
                let changed = inside.handle.reconfigure(config).await;
                changed.unwrap_or_else(|error| panic!("the PBX does not take its configuration: {error}"));
            }
            Some(AtWork::Process(process)) => {
                if let Some(folder) = &self.folder {
                    locked(process).reconfigure(folder, &plan.toml(&self.host));
                }
            }
            None => {}
        }
    }

    /// Tells the PBX to end: no new calls, the running ones end after `grace`.
    pub async fn drain(&mut self, grace: Duration) {
        match &self.at_work {
            Some(AtWork::Inside(inside)) => inside.handle.drain(grace).await,
            Some(AtWork::Process(process)) => locked(process).drain(grace),
            None => {}
        }
    }

    /// The machine loses its power and is on again, with no PBX running. Of a process it is only the process that goes.
    pub fn crash(&mut self) {
        match self.at_work.take() {
            Some(AtWork::Process(process)) => locked(&process).kill(),
            Some(AtWork::Inside(_)) | None => self.host.network().bounce(self.host.address()),
        }
        self.outages.push(Outage { host: self.host.address(), from: self.host.now(), to: None });
    }

    /// When it lost its power, each time until it was started again; its machine was on again at once.
    pub fn outages(&self) -> &[Outage] {
        &self.outages
    }

    /// Whether the PBX has ended by itself.
    pub fn has_ended(&self) -> bool {
        match &self.at_work {
            Some(AtWork::Inside(inside)) => inside.ended.load(Ordering::Relaxed),
            Some(AtWork::Process(process)) => locked(process).has_ended(),
            None => false,
        }
    }

    /// Whether nothing is left over in it: no call, dialog, transaction, port.
    pub fn is_idle(&self) -> bool {
        self.left_over().is_empty()
    }

    /// What is left over in it, in words. A process is asked for its calls and ports; what else it has, it does not say.
    pub fn left_over(&self) -> Vec<String> {
        // With the program ends whatever it had.
        let Some(at_work) = self.at_work.as_ref().filter(|_| !self.has_ended()) else { return Vec::new() };
        let (calls, ports, is_idle) = match at_work {
            AtWork::Inside(inside) => {
                let pbx = inside.core.pbx();
                let Counters { calls_active, ports_in_use, .. } = pbx.counters();
                (calls_active, ports_in_use, pbx.is_idle())
            }
            AtWork::Process(process) => {
                let figure = |name| locked(process).figure(name);
                match (figure("tandem_calls_active"), figure("tandem_rtp_ports_in_use")) {
                    (Some(calls), Some(ports)) => (calls, ports, true),
                    _ => return vec!["the PBX does not say what it has left".to_owned()],
                }
            }
        };
        let left = [
            (calls > 0, format!("the PBX has {calls} calls")),
            (ports > 0, format!("the PBX has {ports} ports in use")),
            (!is_idle, "the PBX has calls, dialogs or transactions left".to_owned()),
        ];
        left.into_iter().filter_map(|(is_left, what)| is_left.then_some(what)).collect()
    }

    /// What it holds of its machine beyond what it held when nothing had happened yet, in words.
    pub fn resources_left(&self) -> Vec<String> {
        if !self.is_open() || self.has_ended() {
            return Vec::new();
        }
        let holds = self.host.network().holdings(self.host.address());
        // A connection that its other end holds too may live on; two tasks carry it.
        let tasks = holds.tasks.saturating_sub(2 * holds.streams);
        let pairs = [
            (holds.sockets, self.at_first.sockets, "UDP sockets"),
            (holds.deserted, 0, "connections that their other end has closed"),
            (tasks, self.at_first.tasks, "tasks"),
        ];
        let more = pairs.into_iter().filter(|(now, first, _)| now > first);
        more.map(|(now, first, what)| format!("the PBX has {now} {what} and had {first}")).collect()
    }

    /// How long the PBX waits for RTP; where none of ours has begun, one of this plan.
    pub fn rtp_timeout(&self, plan: &Plan) -> Option<Duration> {
        let of_plan = || Config::parse(&plan.toml(&self.host), "office.toml").ok();
        self.rtp_timeout.or_else(|| of_plan().map(|config| config.media.rtp_timeout))
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        match &self.at_work {
            Some(AtWork::Inside(inside)) => inside.core.pbx().counters(),
            Some(AtWork::Process(_)) => {
                Unplayable::throw("a PBX that is a process has no window to its counters")
            }
            None => Counters::default(),
        }
    }

    /// What it says of itself: whether it runs, its calls, contacts and figures, what is left over.
    pub fn state(&self, now: Instant) -> serde_json::Value {
        let survey = match &self.at_work {
            Some(AtWork::Inside(inside)) => inside.core.pbx().survey(now),
            // A process has no window.
            Some(AtWork::Process(_)) => return serde_json::json!({ "is_running": self.is_open() }),
            None => pbx::boundary::Survey::default(),
        };
        let counters = self.counters();
        serde_json::json!({
            "is_running": self.is_open() && !self.has_ended(),
            "has_crashed": !self.outages.is_empty(),
            "calls": survey.calls,
            "contacts": survey.contacts,
            "left_over": self.left_over(),
            "counters": {
                "calls_total": counters.calls_total,
                "calls_active": counters.calls_active,
                "calls_answered": counters.calls_answered,
                "calls_failed": counters.calls_failed,
                "calls_turned_away": counters.calls_turned_away,
                "talk_seconds": counters.talk_seconds,
                "registrations": counters.registrations,
                "messages_received": counters.messages_received,
                "messages_sent": counters.messages_sent,
                "messages_malformed": counters.messages_malformed,
                "authentication_failures": counters.authentication_failures,
                "ports_in_use": counters.ports_in_use,
                "ports_total": counters.ports_total,
            },
        })
    }

    /// What it has told of itself.
    pub fn events(&self) -> Vec<Event> {
        if self.folder.is_some() {
            Unplayable::throw("a PBX that is a process does not tell its events");
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is in a file on its disk; nothing where there is none.
    pub fn file(&self, name: &str) -> Vec<u8> {
        match &self.folder {
            Some(folder) => folder.read(name),
            None => self.host.disk().contents(Path::new(name)).unwrap_or_default(),
        }
    }

    /// The recordings on its disk, oldest first.
    pub fn recordings(&self) -> Vec<Vec<u8>> {
        if let Some(folder) = &self.folder {
            return folder.recordings();
        }
        let files = self.events().into_iter().filter_map(|event| match event.what {
            What::RecordingStarted { file, .. } => Some(file),
            _ => None,
        });
        files.map(|file| self.file(&file.to_string_lossy())).collect()
    }

    /// What the JSON files beside recordings say, oldest first: the messages that were left.
    pub fn messages(&self) -> Vec<serde_json::Value> {
        let files = self.events().into_iter().filter_map(|event| match event.what {
            What::RecordingStarted { file, .. } => Some(file.with_extension("json")),
            _ => None,
        });
        let about = files.map(|file| self.file(&file.to_string_lossy()));
        about.filter_map(|bytes| serde_json::from_slice(&bytes).ok()).collect()
    }

    /// Puts a file on its disk.
    pub async fn put(&mut self, name: &str, bytes: Vec<u8>) {
        let written = match self.host.network().program() {
            Some(_) => self.folder().and_then(|folder| folder.write(name, &bytes)),
            None => self.host.disk().replace(Path::new(name), bytes).await,
        };
        written.unwrap_or_else(|error| panic!("{name} cannot be written: {error}"));
    }

    /// The call records on its disk, oldest first.
    pub fn records(&self) -> Vec<serde_json::Value> {
        let bytes = self.file(RECORDS);
        String::from_utf8_lossy(&bytes).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Office {
    /// Starts the program that is the PBX.
    fn start(&mut self, program: &Path, configuration: &str) {
        let pages = SocketAddr::new(self.host.address(), HTTP_PORT);
        let folder = self.folder().unwrap_or_else(|error| panic!("the PBX has no folder: {error}"));
        let process = Process::start(program, folder, configuration, pages);
        self.at_work = Some(AtWork::Process(Mutex::new(process)));
    }

    /// The folder of a PBX that is a process.
    fn folder(&mut self) -> io::Result<&Folder> {
        match &mut self.folder {
            Some(folder) => Ok(folder),
            none => Ok(none.insert(Folder::new()?)),
        }
    }
}

fn locked(process: &Mutex<Process>) -> MutexGuard<'_, Process> {
    process.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn wait_for_the_end(mut running: Running<SimHost>, ended: Arc<AtomicBool>) {
    ended.store(running.ended().await, Ordering::Relaxed);
}

/// The core, with a window in it: it acts as it always does, and others may look.
#[derive(Clone)]
struct Watched {
    pbx: Arc<Mutex<Pbx>>,
    told: Arc<Mutex<Vec<Event>>>,
}

impl Watched {
    fn pbx(&self) -> MutexGuard<'_, Pbx> {
        self.pbx.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core for Watched {
    fn receive(&mut self, input: Input, now: Instant) {
        self.pbx().receive(input, now);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.pbx().handle_timeout(now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.pbx().poll_timeout()
    }
    fn poll_output(&mut self) -> Option<Output> {
        let output = self.pbx().poll_output();
        if let Some(Output::Event(event)) = &output {
            self.told.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        }
        output
    }
    fn counters(&self) -> Counters {
        self.pbx().counters()
    }
}
