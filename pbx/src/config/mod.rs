//! The configuration: one TOML text that becomes a value or is refused with its line.

mod accounts;
mod calendar;
mod error;
mod parse;
mod queues;
mod raw;
mod reader;
mod router;
mod routes;
mod rwi;
mod tls;
mod values;
mod voicemail;
mod warnings;
mod zone;

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod properties;

pub use calendar::{Calendar, Dates, When};
pub use error::ConfigError;
pub use queues::{Queue, Strategy};
pub use router::Router;
pub use rwi::{Dialect, Rwi, RwiContext, Scope, Token, Unanswered, Webhook};
pub use tls::{Clients, Identity, Tls};
pub use values::Pattern;
pub use voicemail::{Mailbox, Voicemail};
pub use zone::Zone;

use crate::audio::Gain;
use crate::sdp::Srtp;
use crate::sip::Transport;
use crate::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// All of it, checked; after this nobody checks again.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[sip]`
    pub sip: Sip,
    /// `[tls]`
    pub tls: Tls,
    /// `[behavior]`: the tone server.
    pub behavior: Behavior,
    /// `[media]`
    pub media: Media,
    /// `[auth]`
    pub auth: Auth,
    /// `[limits]`
    pub limits: Limits,
    /// `[http]`; nothing listens without it.
    pub http: Option<Http>,
    /// `[cdr]`
    pub cdr: Cdr,
    /// `[recording]`
    pub recording: Recording,
    /// `[rwi]`
    pub rwi: Rwi,
    /// `[router]`; nobody is asked without it.
    pub router: Option<Router>,
    /// `[calendar]`
    pub calendar: Calendar,
    /// `[voicemail]` and `[[mailboxes]]`
    pub voicemail: Voicemail,
    /// `[[extensions]]`
    pub extensions: Vec<Extension>,
    /// `[[queues]]`
    pub queues: Vec<Queue>,
    /// `[[trunks]]`
    pub trunks: Vec<Trunk>,
    /// `[[routes]]`, first match wins.
    pub routes: Vec<Route>,
}

/// What a call belongs to where nothing else is said.
pub const DEFAULT_CONTEXT: &str = "default";

impl Config {
    /// The text of the configuration that holds when none is given.
    pub const DEFAULT: &str = include_str!("default.toml");
}

impl Default for Config {
    fn default() -> Config {
        Config::parse(Config::DEFAULT, "the embedded configuration")
            .expect("a test parses the embedded configuration")
    }
}

/// `[sip]`
#[derive(Clone, Debug)]
pub struct Sip {
    /// What to listen on: from `bind_address`, `port`, `transport` or from `listen = ["udp:127.0.0.1:5060", ...]`.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// The domain of our addresses-of-record and the digest realm where `[auth]` names none. All our own addresses count too.
    pub domain: String,
    /// What stands in Contact and SDP where the socket's own address would be wrong (behind NAT, bound to 0.0.0.0).
    pub external_address: Option<IpAddr>,
    /// `Server` and `User-Agent`.
    pub user_agent: String,
    /// RFC 3261 T1.
    pub t1: Duration,
    /// Session-Expires we ask for; `None`: no session timer of ours.
    pub session_expires: Option<Duration>,
    /// Min-SE (RFC 4028), at least 90 s.
    pub min_se: Duration,
}

/// `[behavior]`: the auto-answer tone server.
#[derive(Clone, Debug)]
pub struct Behavior {
    /// Whether numbers that nothing else routes are answered by the tone.
    pub auto_answer: bool,
    /// From INVITE to 200.
    pub auto_answer_delay: Duration,
    /// How long the tone plays before BYE.
    pub tone_duration: Duration,
    /// Hz.
    pub tone_frequency: f64,
    /// Over so many calls at a time new ones are answered 503.
    pub max_concurrent_calls: usize,
}

/// `[media]`
#[derive(Clone, Debug)]
pub struct Media {
    /// First RTP port; even.
    pub rtp_port_start: u16,
    /// Last port of the range, inclusive.
    pub rtp_port_end: u16,
    /// Encoding names in order of preference, PCMU or PCMA among them: what the PBX itself speaks. Others are relayed where
    /// both sides know them.
    pub preferred_codecs: Vec<String>,
    /// Whether `telephone-event` is offered and DTMF detected.
    pub enable_dtmf: bool,
    /// No RTP for so long ends the call.
    pub rtp_timeout: Duration,
    /// Media threads.
    pub workers: usize,
}

/// `[auth]`
#[derive(Clone, Debug)]
pub struct Auth {
    /// The digest realm.
    pub realm: String,
    /// The hashes a telephone may choose from, the one we like best first; not empty. MD5 alone where nothing is said: many
    /// telephones give up when they see another one (docs/decisions/0005).
    pub algorithms: Vec<crate::sip::digest::Algorithm>,
    /// How long a nonce is good for.
    pub nonce_lifetime: Duration,
    /// So many failures of one source within `block_window` block it.
    pub max_failures: u32,
    /// Failures older than this are forgotten.
    pub block_window: Duration,
    /// How long a source is blocked.
    pub block_duration: Duration,
    /// Networks that are never blocked.
    pub allow: Vec<Network>,
}

/// An address with a prefix length: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address; its host bits are zero.
    pub address: IpAddr,
    /// Bits that count.
    pub prefix: u8,
}

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls at a time in the whole PBX.
    pub calls: usize,
    /// Registered contacts per address-of-record.
    pub contacts_per_aor: usize,
    /// Bytes of one SIP message.
    pub message_bytes: usize,
    /// Open SIP connections.
    pub connections: usize,
    /// Shortest registration accepted (423 below it).
    pub min_expires: Duration,
    /// Longest registration granted.
    pub max_expires: Duration,
    /// A call ends after this at the latest.
    pub call_duration: Duration,
    /// Subscriptions at a time, of all telephones together.
    pub subscriptions: usize,
}

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// Where /health and /metrics are served.
    pub listen: SocketAddr,
}

/// `[cdr]`
#[derive(Clone, Debug)]
pub struct Cdr {
    /// JSON lines, one a call; `None`: no records are kept.
    pub file: Option<PathBuf>,
}

/// `[recording]`
#[derive(Clone, Debug)]
pub struct Recording {
    /// Where recordings are put; `None`: nothing is recorded.
    pub directory: Option<PathBuf>,
}

/// `[[extensions]]`: a person or machine that may register.
#[derive(Clone)]
pub struct Extension {
    /// The user part of its address-of-record and its digest user name.
    pub number: String,
    /// The digest password.
    pub password: String,
    /// The display name its calls carry.
    pub name: Option<String>,
    /// Rings so long before it counts as no answer.
    pub ring_timeout: Duration,
    /// Where a call goes when it is busy.
    pub forward_busy: Option<String>,
    /// Where a call goes when nobody answers or nobody is registered.
    pub forward_no_answer: Option<String>,
    /// Calls at a time; over it the extension is busy.
    pub max_calls: Option<usize>,
    /// Whether its calls are recorded.
    pub record: bool,
    /// Whether its calls are encrypted.
    pub srtp: Srtp,
    /// How keys travel to and from it.
    pub dtmf: Dtmf,
}

/// How keys travel on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Dtmf {
    /// As events (RFC 4733) where the other side knows them, else as tones in the audio. INFO passes as it comes.
    #[default]
    Auto,
    /// The same, but what the other leg tells by INFO becomes an event or a tone.
    Events,
    /// By INFO (`application/dtmf-relay`); events are neither offered nor taken.
    Info,
    /// As tones in the audio; events are neither offered nor taken.
    Inband,
}

/// `[[trunks]]`: another SIP system, known by its addresses.
#[derive(Clone)]
pub struct Trunk {
    /// What routes call it.
    pub name: String,
    /// Where calls go.
    pub targets: Vec<TrunkTarget>,
    /// Sources whose calls are accepted without digest.
    pub accept_from: Vec<Network>,
    /// What answers a 401 or 407 of the other system: user name, password.
    pub credentials: Option<(String, String)>,
    /// The next target is tried when this one has not answered at all for so long.
    pub try_timeout: Duration,
    /// Calls at a time.
    pub max_calls: Option<usize>,
    /// Whether its calls are encrypted.
    pub srtp: Srtp,
    /// How keys travel to and from it.
    pub dtmf: Dtmf,
    /// Whether who calls from it may transfer calls out over trunks, at our expense.
    pub transfers_out: bool,
}

/// One address of a trunk.
#[derive(Clone, Debug)]
pub struct TrunkTarget {
    /// A name or an address.
    pub host: String,
    /// The port; the transport's default when `None`.
    pub port: Option<u16>,
    /// What carries it.
    pub transport: Transport,
    /// Lower goes first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
}

/// `[[routes]]`: who is meant.
#[derive(Clone, Debug)]
pub struct Route {
    /// For logs and call records.
    pub name: String,
    /// What is dialled.
    pub to_user: Pattern,
    /// Only calls from this network.
    pub from_network: Option<Network>,
    /// Only then.
    pub when: Option<When>,
    /// What answers.
    pub app: App,
}

/// An announcement: a WAV file that is played to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its file, as the disk knows it.
    pub file: PathBuf,
    /// How often it is played; `None`: until the caller hangs up.
    pub times: Option<u32>,
    /// The number that is rung when it is over; `None`: the caller is hung up.
    pub then: Option<String>,
    /// Whether a key of the caller ends it.
    pub until_key: bool,
}

/// A room in which all hear each other, and how somebody comes in by this route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conference {
    /// Routes with one name lead into one room.
    pub name: String,
    /// Who hears the one who comes in; `None`: all. It hears all in any case.
    pub heard_by: Option<Vec<String>>,
    /// How loud they hear it, of how it came.
    pub volume: Gain,
    /// Whether it is recorded from this one on.
    pub record: bool,
}

/// What a route leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum App {
    /// The extension of the dialled number, or of this one.
    Extension(Option<String>),
    /// Out over the first of these trunks that takes it; `strip` digits off the front, then `prefix` before it.
    Trunk {
        /// Names.
        trunks: Vec<String>,
        /// Digits taken off the front.
        strip: usize,
        /// Put before what is left.
        prefix: String,
    },
    /// Plays a tone; what is `None` comes from `[behavior]`.
    Tone {
        /// Hz.
        frequency: Option<f64>,
        /// How long.
        duration: Option<Duration>,
        /// From INVITE to 200.
        answer_delay: Option<Duration>,
    },
    /// Plays what is in a file.
    Announcement(Announcement),
    /// A room in which all hear each other.
    Conference(Conference),
    /// Applications that have subscribed to this context are told, and one of them answers.
    Application {
        /// The context.
        context: String,
    },
    /// The caller waits in this queue for an agent.
    Queue {
        /// Its name.
        queue: String,
    },
    /// A web service says where the call goes.
    Router {
        /// The number that is rung where it says nothing.
        fallback: Option<String>,
    },
    /// Messages: somebody leaves one in this mailbox, or, where none is named, its owner listens to his.
    Voicemail {
        /// Whose mailbox.
        mailbox: Option<String>,
    },
    /// What the caller says comes back.
    Echo,
    /// Refused with this status.
    Reject {
        /// 400 to 699.
        status: u16,
        /// The reason phrase.
        reason: Option<String>,
    },
}
