//! The program from outside (CORE-12, CORE-13): arguments, what it prints, signals, exit codes. No fixed ports, no waiting by the clock:
//! a test waits for a line or for the end of the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn help_names_every_argument() {
    let output = pbx(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for argument in
        ["--config", "--check", "--print-default", "--log", "--log-format", "--grace", "--help", "--version"]
    {
        assert!(help.contains(argument), "no {argument} in\n{help}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = pbx(&["--version"]);
    assert_eq!(text(&output.stdout), format!("pbx {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_unknown_argument_is_refused() {
    let output = pbx(&["--confg", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--confg"), "{}", text(&output.stderr));
}

#[test]
fn the_default_configuration_is_one() {
    let printed = pbx(&["--print-default"]);
    assert_eq!(printed.status.code(), Some(0));
    let directory = Directory::new("default");
    let file = directory.write("pbx.toml", &text(&printed.stdout));

    let checked = pbx(&["--check", "--config", &file]);

    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert_eq!(text(&checked.stdout), format!("{file}: ok\n"));
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_column() {
    let directory = Directory::new("misspelt");
    let file = directory.write("pbx.toml", "[sip]\nprot = 5060\n");

    let checked = pbx(&["--check", "--config", &file]);

    assert_eq!(checked.status.code(), Some(2));
    let error = text(&checked.stderr);
    for part in [&format!("{file}:2:1: "), "prot", "port"] {
        assert!(error.contains(part), "no {part:?} in\n{error}");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let output = pbx(&["--config", "/nowhere/pbx.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("/nowhere/pbx.toml"), "{error}");
}

#[test]
fn a_nonsense_log_level_is_refused() {
    let output = pbx(&["--log", "pbx=loud"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--log pbx=loud"), "{}", text(&output.stderr));
}

#[test]
fn it_says_what_it_listens_on_and_who_may_register() {
    let mut program = Program::start("start", CONFIG, &[]);
    assert!(program.udp.port() != 0 && program.tcp.port() != 0 && program.http.port() != 0);
    assert_eq!(program.accounts, "accounts 1001 1002");
    let health = http(program.http, "GET /health");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    assert!(health.contains("\"status\":\"ok\""), "{health}");

    program.signal(libc::SIGTERM);

    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn passwords_of_ones_own_configuration_are_not_shown() {
    let mut program = Program::start("secret", CONFIG, &[]);
    program.signal(libc::SIGINT);
    assert_eq!(program.exit_code(), Some(0));
    assert!(!program.printed.contains("hush"), "{}", program.printed);
}

#[test]
fn a_taken_sip_port_is_named_with_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let directory = Directory::new("taken-sip");
    let file =
        directory.write("pbx.toml", &CONFIG.replace("udp:127.0.0.1:0", &format!("udp:127.0.0.1:{port}")));

    let output = pbx(&["--config", &file]);

    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    for part in [&format!("UDP port {port} on 127.0.0.1"), "taken", "ss -lunp", "[sip]"] {
        assert!(error.contains(part), "no {part:?} in\n{error}");
    }
}

#[test]
fn a_taken_http_port_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let directory = Directory::new("taken-http");
    let file = directory
        .write("pbx.toml", &CONFIG.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{address}\"")));

    let output = pbx(&["--config", &file]);

    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    for part in [&format!("TCP port {}", address.port()), "HTTP", "ss -ltnp", "[http]"] {
        assert!(error.contains(part), "no {part:?} in\n{error}");
    }
}

#[test]
fn call_records_that_cannot_be_written_are_named() {
    let directory = Directory::new("records");
    let file = directory.write("pbx.toml", &format!("{CONFIG}\n[cdr]\nfile = \"/nowhere/calls.json\"\n"));
    let output = pbx(&["--config", &file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/nowhere/calls.json"), "{}", text(&output.stderr));
}

#[test]
fn a_new_configuration_is_taken_and_a_wrong_one_is_not() {
    let mut program = Program::start("reload", CONFIG, &[]);

    program.directory.write("pbx.toml", "[sip]\nprot = 5060\n");
    program.signal(libc::SIGHUP);
    let refused = program.logged("the old configuration stays");
    assert!(refused.contains("pbx.toml:2:1: "), "{refused}");

    program
        .directory
        .write("pbx.toml", &format!("{CONFIG}\n[[extensions]]\nnumber = \"1003\"\npassword = \"x\"\n"));
    program.signal(libc::SIGHUP);
    program.logged("configuration reloaded");

    let answer = http(program.http, "POST /reload");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    program.signal(libc::SIGTERM);
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn log_lines_can_be_json() {
    let mut program = Program::start("json", CONFIG, &["--log-format", "json"]);
    program.signal(libc::SIGTERM);
    let line = program.logged("no new calls");
    let value: serde_json::Value = serde_json::from_str(&line).expect("the line is JSON");
    assert_eq!(value["level"], "INFO");
    assert_eq!(value["grace_secs"], 5);
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn systemd_hears_of_the_start_and_of_the_end() {
    let directory = Directory::new("notify");
    let socket = directory.path("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket in a directory of our own");
    manager.set_read_timeout(Some(PATIENCE)).expect("any time will do");
    let hear = || {
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).expect("systemd hears something");
        text(&buffer[..length])
    };

    let mut program = Program::start_with("notify-pbx", CONFIG, &[], &[("NOTIFY_SOCKET", &socket)]);
    assert_eq!(hear(), "READY=1");
    program.signal(libc::SIGTERM);
    assert_eq!(hear(), "STOPPING=1");
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn at_the_end_running_calls_hear_bye_and_are_recorded() {
    let directory = Directory::new("drain-records");
    let mut program = Program::start("drain", &with_records(&directory), &["--grace", "0"]);
    let phone = Phone::new(program.udp);
    phone.calls("9197");

    program.signal(libc::SIGTERM);

    phone.answers("BYE");
    assert_eq!(program.exit_code(), Some(0));
    let records = records(&directory);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["disposition"], "answered");
    assert_eq!(records[0]["ended_by"], "pbx");
}

#[test]
fn while_it_ends_new_calls_are_refused() {
    let mut program = Program::start("refuse", CONFIG, &["--grace", "60"]);
    let phone = Phone::new(program.udp);
    phone.calls("9197");
    program.signal(libc::SIGTERM);
    program.logged("no new calls");

    let other = Phone::new(program.udp);
    other.invites("9197");
    let refusal =
        other.hears(|message| message.starts_with("SIP/2.0 ") && !message.starts_with("SIP/2.0 100"));

    assert!(refusal.starts_with("SIP/2.0 503 "), "{refusal}");
    assert!(refusal.contains("\r\nRetry-After: "), "{refusal}");
    program.signal(libc::SIGTERM);
    assert_eq!(program.exit_code(), Some(0), "the second signal waits for nobody");
}

#[test]
fn a_call_that_was_up_when_it_was_killed_is_recorded_by_the_next_start() {
    let directory = Directory::new("killed-records");
    let config = with_records(&directory);
    let mut program = Program::start("killed", &config, &[]);
    let phone = Phone::new(program.udp);
    phone.calls("9197");
    wait_for(|| directory.read("calls.json.journal").contains("\"up\""));

    program.signal(libc::SIGKILL);
    assert_eq!(program.exit_code(), None);
    assert_eq!(directory.read("calls.json"), "");
    let mut again = Program::start("killed-again", &config, &[]);
    again.logged("the last run was cut off");

    let found = records(&directory);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["disposition"], "interrupted");
    assert_eq!(found[0]["dialled"], "9197");
    again.signal(libc::SIGTERM);
    assert_eq!(again.exit_code(), Some(0));
    assert_eq!(records(&directory).len(), 1);
}

/// A person at a terminal asks for calls, and is told of them (RWI-15, RWI-31, RWI-40).
#[test]
fn a_person_controls_calls_from_a_terminal() {
    let config = format!("{CONFIG}\n[[rwi.tokens]]\ntoken = \"open-sesame\"\n");
    let mut program = Program::start("rwi", &config, &[]);

    let listed = rwi(&program, "open-sesame", &["session.list_calls"]);
    assert_eq!(text(&listed.stdout), "done: session.list_calls calls=[]\n", "{}", text(&listed.stderr));
    assert_eq!(listed.status.code(), Some(0));
    let refused = rwi(&program, "open-sesame", &["call.hangup", "call_id=leg_x"]);
    assert_eq!(
        text(&refused.stdout),
        "refused: call.hangup leg_x: there is no call \"leg_x\" (call_not_found)\n"
    );
    assert_eq!(refused.status.code(), Some(1));
    let stranger = rwi(&program, "open-barley", &["session.list_calls"]);
    assert_eq!(text(&stranger.stderr), "rwi: the PBX does not let us in: it does not know the token\n");
    assert_eq!(stranger.status.code(), Some(2));

    let mut terminal = rwi_command(&program, "open-sesame")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let mut typed = terminal.stdin.take().expect("piped");
    let mut lines = BufReader::new(terminal.stdout.take().expect("piped")).lines().map_while(Result::ok);
    writeln!(typed, "session.subscribe contexts=default").expect("it reads");
    assert!(lines.next().is_some_and(|line| line.starts_with("done: session.subscribe")));
    Phone::new(program.udp).calls("9197");
    let told: Vec<String> = lines.by_ref().take(3).collect();
    assert!(told[0].contains("  call.incoming c_"), "{told:?}");
    assert!(told[2].contains("  call.answered c_") && told[2].ends_with("by=tone"), "{told:?}");
    drop(typed);
    assert!(terminal.wait().is_ok_and(|status| status.success()), "what is typed has ended, and so has it");
    program.signal(libc::SIGTERM);
    assert_eq!(program.exit_code(), Some(0));
}

/// Runs the program `rwi` to its end.
fn rwi(program: &Program, token: &str, command: &[&str]) -> Output {
    rwi_command(program, token).args(command).output().expect("the program was built")
}

fn rwi_command(program: &Program, token: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rwi"));
    command.args(["--pbx", &program.http.to_string(), "--token", token]);
    command
}

/// Any ports, two accounts.
const CONFIG: &str = r#"
[sip]
listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]
[behavior]
auto_answer = true
auto_answer_delay_ms = 0
[http]
listen = "127.0.0.1:0"
[[extensions]]
number = "1001"
password = "hush"
[[extensions]]
number = "1002"
password = "hush"
"#;

/// [`CONFIG`] with call records in `directory`.
fn with_records(directory: &Directory) -> String {
    format!("{CONFIG}\n[cdr]\nfile = \"{}\"\n", directory.path("calls.json"))
}

fn records(directory: &Directory) -> Vec<serde_json::Value> {
    let text = directory.read("calls.json");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Asks until it is so.
fn wait_for(is_so: impl Fn() -> bool) {
    let begun = begin();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came to be");
        std::thread::yield_now();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test that waits for ever says nothing")]
fn begin() -> std::time::Instant {
    std::time::Instant::now()
}

/// A telephone that calls and does what it is told.
struct Phone {
    socket: UdpSocket,
    pbx: SocketAddr,
}

impl Phone {
    fn new(pbx: SocketAddr) -> Phone {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(PATIENCE)).expect("any time will do");
        Phone { socket, pbx }
    }

    /// Calls `number`, is answered, and says that it has heard it.
    fn calls(&self, number: &str) {
        self.invites(number);
        let answer = self.hears(|message| message.starts_with("SIP/2.0 200 "));
        let (here, to) = (self.address(), header(&answer, "To"));
        self.says(&format!(
            "ACK sip:{number}@{pbx} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {here};branch=z9hG4bKack{port}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:tester@{here}>;tag=a{port}\r\n\
             To: {to}\r\n\
             Call-ID: {port}@test\r\n\
             CSeq: 1 ACK\r\n\
             Content-Length: 0\r\n\r\n",
            pbx = self.pbx,
            port = here.port(),
        ));
    }

    fn invites(&self, number: &str) {
        let here = self.address();
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";
        self.says(&format!(
            "INVITE sip:{number}@{pbx} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {here};branch=z9hG4bKinvite{port}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:tester@{here}>;tag=a{port}\r\n\
             To: <sip:{number}@{pbx}>\r\n\
             Call-ID: {port}@test\r\n\
             CSeq: 1 INVITE\r\n\
             Contact: <sip:tester@{here}>\r\n\
             Content-Type: application/sdp\r\n\
             Content-Length: {length}\r\n\r\n{sdp}",
            pbx = self.pbx,
            port = here.port(),
            length = sdp.len(),
        ));
    }

    /// Waits for this request and answers 200.
    fn answers(&self, method: &str) {
        let request = self.hears(|message| message.starts_with(&format!("{method} ")));
        let mut answer = String::from("SIP/2.0 200 OK\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            answer.push_str(&format!("{name}: {}\r\n", header(&request, name)));
        }
        self.says(&format!("{answer}Content-Length: 0\r\n\r\n"));
    }

    /// The next message that is meant.
    fn hears(&self, is_meant: impl Fn(&str) -> bool) -> String {
        let mut buffer = [0; 4096];
        let mut before = String::new();
        loop {
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else {
                panic!("nothing came after\n{before}")
            };
            let message = text(&buffer[..length]);
            if is_meant(&message) {
                return message;
            }
            before.push_str(&message);
        }
    }

    fn says(&self, message: &str) {
        self.socket.send_to(message.as_bytes(), self.pbx).expect("loopback takes it");
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }
}

/// The value of a header that stands there once, in its long form.
fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let mut lines = message.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
}

/// Runs the program to its end.
fn pbx(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pbx")).args(arguments).output().expect("the program was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program that listens; killed when the test ends.
struct Program {
    child: Child,
    directory: Directory,
    udp: SocketAddr,
    tcp: SocketAddr,
    http: SocketAddr,
    accounts: String,
    /// What it has printed up to its accounts.
    printed: String,
    log: Receiver<String>,
}

impl Program {
    fn start(name: &str, config: &str, arguments: &[&str]) -> Program {
        Program::start_with(name, config, arguments, &[])
    }

    fn start_with(name: &str, config: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        let directory = Directory::new(name);
        let file = directory.write("pbx.toml", config);
        let mut child = Command::new(env!("CARGO_BIN_EXE_pbx"))
            .args(["--config", &file])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let printed = lines(child.stdout.take().expect("piped"));
        let log = lines(child.stderr.take().expect("piped"));
        let mut program = Program {
            child,
            directory,
            udp: SocketAddr::from(([0, 0, 0, 0], 0)),
            tcp: SocketAddr::from(([0, 0, 0, 0], 0)),
            http: SocketAddr::from(([0, 0, 0, 0], 0)),
            accounts: String::new(),
            printed: String::new(),
            log,
        };
        program.read_welcome(&printed);
        program
    }

    fn read_welcome(&mut self, printed: &Receiver<String>) {
        while self.accounts.is_empty() {
            let line = printed.recv_timeout(PATIENCE).expect("the program says what it listens on");
            self.printed.push_str(&line);
            self.printed.push('\n');
            match line.split(' ').collect::<Vec<&str>>()[..] {
                ["listening", what, address] => {
                    let address = address.parse().expect("an address");
                    match what {
                        "udp" => self.udp = address,
                        "tcp" => self.tcp = address,
                        "http" => self.http = address,
                        other => panic!("it listens on {other}"),
                    }
                }
                ["accounts", ..] => self.accounts = line,
                _ => {}
            }
        }
    }

    /// The next log line with this in it.
    fn logged(&self, part: &str) -> String {
        let mut before = String::new();
        loop {
            let Ok(line) = self.log.recv_timeout(PATIENCE) else {
                panic!("no {part:?} was logged:\n{before}")
            };
            if line.contains(part) {
                return line;
            }
            before.push_str(&line);
            before.push('\n');
        }
    }

    fn signal(&self, signal: libc::c_int) {
        let id = libc::pid_t::try_from(self.child.id()).expect("ids of processes are small");
        // SAFETY: kill has no memory to get wrong, and the child has not been waited for, so the id is its own.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0, "the program runs");
    }

    /// Waits for the end: the log ends with the program.
    fn exit_code(&mut self) -> Option<i32> {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the program does not end"),
            }
        }
        self.child.wait().expect("it was ours").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, as they come.
#[expect(
    clippy::disallowed_methods,
    reason = "a pipe is read by a thread, so that a test can give up waiting"
)]
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            // Read on when nobody listens any longer, so that the program never waits for us.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn http(address: SocketAddr, what: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("HTTP listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("any time will do");
    write!(stream, "{what} HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// A directory of the test's own, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the target directory can be written");
        Directory(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("paths of the build are text").to_owned()
    }

    /// Nothing where there is no such file.
    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the directory is ours");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
