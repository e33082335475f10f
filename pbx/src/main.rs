//! The program `pbx`: arguments, signals, and what it tells the one who started it. All work is in the library.

use clap::Parser;
use pbx::config::Config;
use pbx::media;
use pbx::pbx::Pbx;
use pbx::shell::host::Host;
use pbx::shell::log::{self, Format};
use pbx::shell::media_loop::{self, Media};
use pbx::shell::notify::{State, notify};
use pbx::shell::program::{self, Bound, Listen, Running};
use pbx::shell::real::RealHost;
use pbx::shell::timer::{Deadline, sleep_until};
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// A configuration, an argument or a port is wrong.
const WRONG: u8 = 2;
/// Something broke that must not.
const BROKEN: u8 = 1;
/// Media events that wait for the core.
const MEDIA_EVENTS: usize = 4096;
/// How long calls may take to end after the grace time: an unanswered BYE is given up after 32 s (64 * T1).
const LAST_BYE: Duration = Duration::from_secs(35);

/// A SIP PBX: registers telephones, connects calls, plays tones.
#[derive(Parser)]
#[command(name = "pbx", version, about)]
struct Arguments {
    /// Take this configuration instead of the embedded one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only say whether the configuration is right
    #[arg(long)]
    check: bool,
    /// Print the embedded configuration, to begin one's own with
    #[arg(long)]
    print_default: bool,
    /// What is logged: error, warn, info, debug, trace, or filters such as pbx::sip=trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// After SIGTERM, how long running calls may go on before they are ended
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    grace: u64,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pbx: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

/// Why the program ends, and with which code.
struct Failure {
    code: u8,
    why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

fn wrong(why: impl ToString) -> Failure {
    Failure { code: WRONG, why: why.to_string() }
}

fn broken(why: impl ToString) -> Failure {
    Failure { code: BROKEN, why: why.to_string() }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.print_default {
        say(Config::DEFAULT);
        return Ok(());
    }
    let config = read_config(arguments)?;
    for warning in config.warnings() {
        eprintln!("pbx: {}: {warning}", name_of(arguments));
    }
    if arguments.check {
        check(&config)?;
        say(&format!("{}: ok\n", name_of(arguments)));
        return Ok(());
    }
    let format = match arguments.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let _log =
        log::start(&arguments.log, format).map_err(|why| wrong(format!("--log {}: {why}", arguments.log)))?;
    // The core and everything that is not media share one thread: it waits for nothing but the world.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    let result = runtime.block_on(serve(arguments, config));
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    result
}

/// The files that the configuration names.
fn check(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    runtime.block_on(async {
        let host = RealHost::new().map_err(broken)?;
        program::check(&host, config).await.map_err(wrong)
    })
}

/// To standard output; that nobody listens there is no reason not to work.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn read_config(arguments: &Arguments) -> Result<Config, Failure> {
    let name = name_of(arguments);
    let text = match &arguments.config {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| wrong(format!("{name}: cannot be read: {error}")))?,
        None => Config::DEFAULT.to_owned(),
    };
    Config::parse(&text, &name).map_err(wrong)
}

fn name_of(arguments: &Arguments) -> String {
    arguments.config.as_ref().map_or("the embedded configuration".into(), |file| file.display().to_string())
}

async fn serve(arguments: &Arguments, config: Config) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(broken)?;
    let host = RealHost::new().map_err(broken)?;
    let bound = program::bind(host.clone(), config, arguments.config.clone()).await.map_err(wrong)?;
    say(&welcome(&bound, arguments.config.is_none()));
    let (events_sender, events) = mpsc::channel(MEDIA_EVENTS);
    let media = start_media(&host, bound.config(), events_sender).map_err(broken)?;
    let mut running = bound.start(Pbx::new, media, events);
    tell_manager(State::Ready);
    let ended = until_the_end(&mut running, &mut signals, Duration::from_secs(arguments.grace)).await;
    if ended { Ok(()) } else { Err(broken("the PBX has stopped by an error of its own")) }
}

/// Media has threads of its own, which tell the core what happens; what finds no room is offered again.
fn start_media(host: &RealHost, config: &Config, events: mpsc::Sender<media::Event>) -> io::Result<Media> {
    let settings = media::Settings { clock: host.clock(), latching: media::Latching::default() };
    let clock = {
        let host = host.clone();
        move || host.now()
    };
    let tell = move |event| {
        match events.try_send(event) {
            Err(mpsc::error::TrySendError::Full(event)) => Some(event),
            // When the core is gone, so is everybody who would want to know.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
        }
    };
    media_loop::spawn(config.media.workers, settings, clock, tell)
}

/// Reacts to signals until the PBX has ended; false when it crashed.
async fn until_the_end(running: &mut Running<RealHost>, signals: &mut Signals, grace: Duration) -> bool {
    let handle = running.handle.clone();
    let mut stop_at = None;
    loop {
        tokio::select! {
            biased;
            ended = running.ended() => return ended,
            asked = signals.next() => match (asked, stop_at) {
                (Asked::Reload, _) => match handle.reload().await {
                    Ok(notes) => tracing::info!(?notes, "configuration reloaded"),
                    Err(error) => tracing::error!(%error, "the old configuration stays"),
                },
                (Asked::End, None) => {
                    tell_manager(State::Stopping);
                    stop_at = Some(Deadline::now() + grace + LAST_BYE);
                    handle.drain(grace).await;
                }
                (Asked::End, Some(_)) => handle.stop().await,
            },
            () = sleep_until(stop_at) => {
                tracing::warn!("some calls did not end in time");
                handle.stop().await;
                stop_at = None;
            }
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for; a second end means at once.
enum Asked {
    End,
    Reload,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "systemd names its socket in the environment and nowhere else")]
fn tell_manager(state: State) {
    if let Ok(socket) = std::env::var("NOTIFY_SOCKET")
        && let Err(error) = notify(&socket, state)
    {
        tracing::warn!(%error, "the service manager was not told");
    }
}

/// What is told at the start: what listens where, one line each for programs to read, and what people do next.
fn welcome(bound: &Bound<RealHost>, is_default: bool) -> String {
    let config = bound.config();
    let mut text = format!("Tandem PBX {}\n", env!("CARGO_PKG_VERSION"));
    for (listen, address) in bound.listening() {
        let _ = writeln!(text, "listening {listen} {address}");
    }
    let numbers: Vec<&str> = config.extensions.iter().map(|extension| extension.number.as_str()).collect();
    let _ = writeln!(text, "accounts {}", if numbers.is_empty() { "none".into() } else { numbers.join(" ") });
    if is_default {
        text.push_str("These are the accounts of the embedded configuration: each password is the number.\n");
    }
    if let Some(server) = first_sip(bound) {
        text.push('\n');
        text.push_str(&first_call(server, numbers.first().copied(), is_default));
    }
    text
}

fn first_sip(bound: &Bound<RealHost>) -> Option<SocketAddr> {
    bound.listening().find(|(listen, _)| *listen != Listen::Http).map(|(_, address)| address)
}

fn first_call(server: SocketAddr, number: Option<&str>, is_default: bool) -> String {
    let mut text = String::from("The first call:\n");
    if let Some(number) = number {
        let password = if is_default { format!(", password {number}") } else { String::new() };
        let _ = writeln!(text, "  a softphone: account {number}{password}, server {server}");
    }
    if is_default {
        text.push_str("  then dial 9197 for a 440 Hz tone, 9196 for an echo, or another account's number\n");
        let _ = writeln!(text, "  or without a telephone: sipp -sn uac {server} -m 1");
    }
    text
}
