//! baresip: a telephone that somebody else has written, with its hands tied to a socket.
//!
//! It is told what to do, and tells what happens, as JSON in netstrings over TCP (its module `ctrl_tcp`). What it
//! hears it writes into a file (`sndfile`), what it says it reads from one (`aufile`).

use crate::network::{OFFICE, OFFICE_6};
use crate::process::Process;
use crate::stage::Stage;
use crate::tone::Recording;
use crate::{PATIENCE, becomes, now};
use serde_json::{Value, json};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

/// What one telephone is like; [`Settings::start`] switches it on.
pub(crate) struct Settings<'a> {
    stage: &'a Stage,
    number: &'a str,
    password: String,
    transport: &'a str,
    /// Its own address, as an URI has it.
    address: String,
    /// Where it registers.
    registrar: String,
    says: u32,
    plays: Option<&'a str>,
    answers: bool,
    encrypts: bool,
    codec: &'a str,
}

/// A telephone of the office that says a tone and answers when it is called.
pub(crate) fn telephone<'a>(stage: &'a Stage, number: &'a str) -> Settings<'a> {
    let password = format!("secret{number}");
    Settings {
        stage,
        number,
        password,
        transport: "udp",
        address: OFFICE.into(),
        registrar: OFFICE.into(),
        says: 1000,
        plays: None,
        answers: true,
        encrypts: false,
        codec: "PCMU/8000/1",
    }
}

impl<'a> Settings<'a> {
    /// The tone it sends, in hertz.
    pub(crate) fn says(self, says: u32) -> Settings<'a> {
        Settings { says, ..self }
    }

    /// It plays these keys, as tones that others hear.
    pub(crate) fn plays_keys(self, keys: &'a str) -> Settings<'a> {
        Settings { plays: Some(keys), ..self }
    }

    pub(crate) fn over(self, transport: &'a str) -> Settings<'a> {
        Settings { transport, ..self }
    }

    pub(crate) fn over_ipv6(self) -> Settings<'a> {
        let address = format!("[{OFFICE_6}]");
        Settings { registrar: address.clone(), address, ..self }
    }

    /// Its settings are those of the README: it has an address in the office, and the PBX is where nobody else reaches it.
    pub(crate) fn following_the_readme(self) -> Settings<'a> {
        Settings { registrar: "127.0.0.1".into(), password: self.number.to_owned(), ..self }
    }

    /// Somebody sits before it and has not lifted it yet.
    pub(crate) fn answered_by_hand(self) -> Settings<'a> {
        Settings { answers: false, ..self }
    }

    /// It knows nothing but this codec.
    #[cfg(any(feature = "g722", feature = "opus"))]
    pub(crate) fn knowing_only(self, codec: &'a str) -> Settings<'a> {
        Settings { codec, ..self }
    }

    /// It offers nothing but packets that are sealed (RFC 3711), with keys in the description (RFC 4568).
    pub(crate) fn encrypting(self) -> Settings<'a> {
        Settings { encrypts: true, ..self }
    }

    pub(crate) fn with_password(self, password: &str) -> Settings<'a> {
        Settings { password: password.to_owned(), ..self }
    }

    /// Switches it on and waits until it is registered.
    pub(crate) fn start(self) -> Telephone {
        let telephone = self.start_unregistered();
        telephone
            .process
            .prints("that it is registered", |line| line.contains("200 OK") && line.contains("binding"));
        telephone
    }

    /// Switches it on, whatever comes of its registration.
    pub(crate) fn start_unregistered(self) -> Telephone {
        let folder = self.write_folder();
        // Without it what is printed into a pipe is kept until there is a lot of it.
        let mut command = self.stage.command("stdbuf");
        let family = if self.address == OFFICE { "-4" } else { "-6" };
        let process = Process::start(
            &format!("baresip {}", self.number),
            command.args(["-oL", "baresip", family, "-f"]).arg(self.number),
        );
        let (socket, news) = Telephone::connect(self.control_port());
        Telephone {
            number: self.number.to_owned(),
            process,
            socket,
            news,
            heard: Vec::new(),
            changes: 0,
            folder,
        }
    }

    /// Each telephone has ports of its own, far from those of the others.
    fn index(&self) -> u16 {
        self.number.parse::<u16>().expect("our numbers are digits") - 1000
    }

    fn is_secure(&self) -> bool {
        self.transport == "tls"
    }

    fn control_port(&self) -> u16 {
        4000 + self.index()
    }

    fn write_folder(&self) -> PathBuf {
        let number = self.number;
        let (stage, index) = (self.stage, self.index());
        let folder = stage.path(number);
        let sound = match self.plays {
            Some(keys) => stage.keys(number, keys),
            None => stage.tone(self.says),
        };
        let answer = if self.answers { "auto" } else { "manual" };
        // baresip cuts the names of its recordings after 127 bytes: they are given from where it is started.
        let config = format!(
            "sip_listen {host}:{sip}\nnet_interface {bare}\nrtp_ports {rtp}-{last}\n\
             audio_source aufile,{sound}\naudio_player aufile,{number}/played.wav\naudio_alert aufile,/dev/null\n\
             ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nsnd_path {number}\n\
             module_path {modules}\nmodule g711.so\nmodule aufile.so\nmodule sndfile.so\nmodule srtp.so\n{more}\
             module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
             ctrl_tcp_listen {OFFICE}:{control}\n{trust}",
            host = self.address,
            bare = self.address.trim_matches(['[', ']']),
            sip = 5060 + 10 * index,
            rtp = 20000 + 100 * index,
            last = 20098 + 100 * index,
            more = match self.codec.split('/').next() {
                Some("opus") => "module opus.so\n",
                Some("G722") => "module g722.so\n",
                _ => "",
            },
            modules = "/usr/lib/baresip/modules",
            control = self.control_port(),
            trust = if self.is_secure() { "sip_cafile authority.pem\nsip_verify_server yes\n" } else { "" },
        );
        let codec = self.codec;
        let encryption = if self.encrypts { ";mediaenc=srtp-mand" } else { "" };
        let account = format!(
            "<sip:{number}@{}:{};transport={}>;auth_user={number};auth_pass={};regint=60;\
             answermode={answer};audio_codecs={codec}{encryption}\n",
            self.registrar,
            if self.is_secure() { 5061 } else { 5060 },
            self.transport,
            self.password
        );
        stage.write(&format!("{number}/config"), &config);
        stage.write(&format!("{number}/accounts"), &account);
        stage.write(&format!("{number}/contacts"), "");
        folder
    }
}

/// A telephone that is switched on.
pub(crate) struct Telephone {
    number: String,
    process: Process,
    socket: TcpStream,
    news: Receiver<Value>,
    /// What has happened and nobody has asked for yet.
    heard: Vec<Value>,
    /// Changes of its session that were asked for.
    changes: usize,
    folder: PathBuf,
}

impl Telephone {
    pub(crate) fn calls(&mut self, number: &str) {
        self.is_told("dial", number);
    }

    pub(crate) fn answers(&mut self) {
        self.is_told("accept", "");
    }

    /// Ends a call, gives up one that rings there, or refuses one that rings here.
    pub(crate) fn hangs_up(&mut self) {
        self.is_told("hangup", "");
    }

    pub(crate) fn holds(&mut self) {
        self.is_told("hold", "");
    }

    pub(crate) fn resumes(&mut self) {
        self.is_told("resume", "");
    }

    /// One key of its pad.
    pub(crate) fn presses(&mut self, key: char) {
        self.is_told("sndcode", &key.to_string());
    }

    pub(crate) fn rings(&mut self) {
        self.tells("CALL_INCOMING");
    }

    pub(crate) fn hears_ringing(&mut self) {
        self.tells("CALL_RINGING");
    }

    pub(crate) fn is_connected(&mut self) {
        self.tells("CALL_ESTABLISHED");
    }

    /// Its call is over, and this is why.
    pub(crate) fn is_disconnected(&mut self) -> String {
        text(&self.tells("CALL_CLOSED"), "param")
    }

    /// The other side wants the session changed.
    pub(crate) fn is_offered_a_change(&mut self) {
        let before = self.changes;
        let is_offered = becomes(|| self.process.count("got re-INVITE") > before);
        assert!(is_offered, "{} was not sent a re-INVITE", self.number);
        self.changes = before + 1;
    }

    /// The next key that arrives.
    pub(crate) fn receives_key(&mut self) -> String {
        text(&self.tells("CALL_DTMF_START"), "param")
    }

    /// Keys that arrived and nobody has asked for.
    pub(crate) fn other_keys(&self) -> usize {
        self.heard.iter().filter(|news| news["type"] == "CALL_DTMF_START").count()
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.process.count("200 OK") > 0
    }

    /// What it has heard in its only call, which is over.
    pub(crate) fn recording(&self) -> Recording {
        let mut recordings = self.recordings();
        assert_eq!(recordings.len(), 1, "{} has one recording", self.number);
        recordings.remove(0)
    }

    /// What it has heard in its only call, which is over, a channel each.
    #[cfg(any(feature = "g722", feature = "opus"))]
    pub(crate) fn recording_of_several_channels(&self) -> Vec<Recording> {
        let files = self.files();
        assert_eq!(files.len(), 1, "{} has one recording", self.number);
        Recording::channels(&files[0])
    }

    /// What it has heard in its calls, which are over.
    pub(crate) fn recordings(&self) -> Vec<Recording> {
        self.files().iter().map(|file| Recording::read(file)).collect()
    }

    /// The files in which it has written down what it has heard.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(&self.folder).expect("it is our folder");
        let is_heard = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        files.map(|file| file.expect("it is our folder").path()).filter(is_heard).collect()
    }

    fn connect(port: u16) -> (TcpStream, Receiver<Value>) {
        let mut socket = None;
        let connected = becomes(|| {
            socket = TcpStream::connect((OFFICE, port)).ok();
            socket.is_some()
        });
        assert!(connected, "baresip does not listen on port {port}");
        let socket = socket.expect("connected");
        let reader = socket.try_clone().expect("a socket can be shared");
        (socket, listen(reader))
    }

    fn is_told(&mut self, command: &str, params: &str) {
        let text = json!({ "command": command, "params": params, "token": "x" }).to_string();
        write!(self.socket, "{}:{text},", text.len()).expect("baresip runs");
        let answer = self.next("an answer to a command", |news| news.get("response").is_some());
        assert_eq!(answer["ok"], true, "{} cannot {command} {params}: {answer}", self.number);
    }

    fn tells(&mut self, kind: &str) -> Value {
        self.next(kind, |news| news["type"] == kind)
    }

    /// The first piece of news like this which nobody has had; what came before it stays.
    fn next(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let begun = now();
        loop {
            if let Some(at) = self.heard.iter().position(&is_it) {
                return self.heard.remove(at);
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.news.recv_timeout(left) {
                Ok(news) => self.heard.push(news),
                Err(_) => panic!("{} did not tell {what}, only {:?}", self.number, self.heard),
            }
        }
    }
}

fn text(news: &Value, key: &str) -> String {
    news[key].as_str().unwrap_or_default().to_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a socket is read by a thread, so that a test can give up waiting"
)]
fn listen(socket: TcpStream) -> Receiver<Value> {
    let (sender, receiver) = channel();
    let mut reader = BufReader::new(socket);
    std::thread::spawn(move || {
        while let Some(news) = netstring(&mut reader) {
            if sender.send(news).is_err() {
                return;
            }
        }
    });
    receiver
}

/// `12:hello world!,`
fn netstring(reader: &mut impl Read) -> Option<Value> {
    let mut length = 0;
    loop {
        match byte(reader)? {
            b':' => break,
            digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
            _ => return None,
        }
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).ok()?;
    (byte(reader)? == b',').then(|| serde_json::from_slice(&text).ok())?
}

fn byte(reader: &mut impl Read) -> Option<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte).ok()?;
    Some(byte[0])
}

#[test]
fn netstrings_are_read_one_after_another() {
    let mut bytes: &[u8] = b"9:{\"a\": 1},\n"; // Nobody sends the newline; it ends the reading.

    assert_eq!(netstring(&mut bytes), None, "eight characters are not nine");

    let mut bytes: &[u8] = b"8:{\"a\": 1},2:[],";
    assert_eq!(netstring(&mut bytes), Some(json!({"a": 1})));
    assert_eq!(netstring(&mut bytes), Some(json!([])));
    assert_eq!(netstring(&mut bytes), None);
}
