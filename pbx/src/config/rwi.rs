//! `[rwi]`: applications that control calls over a WebSocket.

use super::parse::{DAY, HOUR};
use super::raw::{self, S};
use super::reader::{Reader, Result};
use crate::time::Duration;
use std::fmt;
use std::path::PathBuf;

/// `[rwi]`
#[derive(Clone, Debug)]
pub struct Rwi {
    /// Who may connect; nobody without one.
    pub tokens: Vec<Token>,
    /// What becomes of calls that no application answers.
    pub contexts: Vec<RwiContext>,
    /// Clients at a time.
    pub max_connections: usize,
    /// Calls that one client may hold.
    pub max_calls_per_connection: usize,
    /// Calls that one client may originate in a second.
    pub originate_rate_limit: usize,
    /// How long calls of a client that has gone wait for it.
    pub orphan_hold: Duration,
    /// Where sound files are that applications name.
    pub sounds: PathBuf,
    /// What who is on hold hears; music of our own where there is none.
    pub hold_music: Option<PathBuf>,
    /// Where events are sent besides.
    pub webhook: Option<Webhook>,
}

/// `[[rwi.tokens]]`: who may connect, and what for.
#[derive(Clone)]
pub struct Token {
    /// What it shows.
    pub token: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// How it is spoken to.
    pub dialect: Dialect,
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Calls.
    Call,
    /// Queues.
    Queue,
    /// Recordings.
    Record,
    /// Taking part in the talks of others.
    Supervisor,
    /// Media over the WebSocket.
    Media,
    /// Requests within a session.
    Message,
    /// Conferences.
    Conference,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 7] = [
        Scope::Call,
        Scope::Queue,
        Scope::Record,
        Scope::Supervisor,
        Scope::Media,
        Scope::Message,
        Scope::Conference,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Call => "call.control",
            Scope::Queue => "queue.control",
            Scope::Record => "record.control",
            Scope::Supervisor => "supervisor.control",
            Scope::Media => "media.stream",
            Scope::Message => "sip.message",
            Scope::Conference => "conference.control",
        }
    }
}

/// How a client is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As docs/rwi.md says.
    #[default]
    Tandem,
    /// As clients of RustPBX are used to it.
    RustPbx,
}

/// `[[rwi.contexts]]`: what becomes of calls that no application answers.
#[derive(Clone, Debug, PartialEq)]
pub struct RwiContext {
    /// Its name.
    pub name: String,
    /// How long a caller waits.
    pub no_answer_timeout: Duration,
    /// What becomes of it then.
    pub no_answer: Unanswered,
}

/// What becomes of a caller whom no application answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Unanswered {
    /// It is refused: 480.
    HangUp,
    /// It goes on to this number.
    Transfer(String),
    /// It is answered by a tone.
    Tone {
        /// Hz.
        frequency: f64,
        /// How long.
        duration: Duration,
    },
}

/// `[rwi.webhook]`: where events are sent besides.
#[derive(Clone)]
pub struct Webhook {
    /// `http://HOST[:PORT]/PATH` or `https://...`
    pub url: String,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Header lines that go with it.
    pub headers: Vec<(String, String)>,
    /// The names of events; none: all.
    pub events: Vec<String>,
    /// The words in which they are told.
    pub dialect: Dialect,
}

impl Default for Rwi {
    fn default() -> Rwi {
        Rwi {
            tokens: Vec::new(),
            contexts: Vec::new(),
            max_connections: 2_000,
            max_calls_per_connection: 200,
            originate_rate_limit: 10,
            orphan_hold: Duration::from_secs(30),
            sounds: PathBuf::from("."),
            hold_music: None,
            webhook: None,
        }
    }
}

impl Rwi {
    /// What holds for a context; the defaults where nothing is said of it.
    pub fn context(&self, name: &str) -> RwiContext {
        let known = self.contexts.iter().find(|context| context.name == name);
        known.cloned().unwrap_or_else(|| RwiContext {
            name: name.to_owned(),
            no_answer_timeout: Duration::from_secs(60),
            no_answer: Unanswered::HangUp,
        })
    }
}

impl Reader<'_> {
    pub(super) fn rwi(&self, raw: raw::Rwi) -> Result<Rwi> {
        let default = Rwi::default();
        let mut tokens: Vec<Token> = Vec::with_capacity(raw.tokens.len());
        for raw in raw.tokens {
            let span = raw.token.span();
            let token = self.token(raw)?;
            if tokens.iter().any(|other| other.token == token.token) {
                return Err(self.wrong(span, "this token stands twice"));
            }
            tokens.push(token);
        }
        let mut contexts: Vec<RwiContext> = Vec::with_capacity(raw.contexts.len());
        for raw in raw.contexts {
            let span = raw.name.span();
            let context = self.rwi_context(raw)?;
            if contexts.iter().any(|other| other.name == context.name) {
                return Err(self.wrong(span, format!("the context `{}` stands twice", context.name)));
            }
            contexts.push(context);
        }
        Ok(Rwi {
            tokens,
            contexts,
            max_connections: self.count(raw.max_connections, default.max_connections, 100_000)?,
            max_calls_per_connection: self.count(
                raw.max_calls_per_connection,
                default.max_calls_per_connection,
                100_000,
            )?,
            originate_rate_limit: self.count(
                raw.originate_rate_limit,
                default.originate_rate_limit,
                100_000,
            )?,
            orphan_hold: self.seconds(raw.orphan_hold_secs, default.orphan_hold.as_secs(), 0..=DAY)?,
            sounds: raw.sounds.map(|text| self.file(text)).transpose()?.unwrap_or(default.sounds),
            hold_music: raw.hold_music.map(|text| self.file(text)).transpose()?,
            webhook: raw.webhook.map(|raw| self.webhook(raw)).transpose()?,
        })
    }

    fn token(&self, raw: raw::RwiToken) -> Result<Token> {
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        if raw.token.as_ref().len() < 8 || !raw.token.as_ref().chars().all(is_plain) {
            return Err(
                self.wrong(raw.token.span(), "expected at least 8 letters, digits or signs without quotes")
            );
        }
        let names = || Scope::ALL.iter().map(|scope| scope.name());
        let scope = |text: &S<String>| {
            Scope::ALL.into_iter().find(|scope| scope.name() == text.as_ref()).ok_or_else(|| {
                let known: Vec<_> = names().collect();
                let message =
                    format!("unknown scope `{}`, expected one of `{}`", text.as_ref(), known.join("`, `"));
                self.wrong(text.span(), message).did_you_mean(text.as_ref(), names())
            })
        };
        let scopes = match &raw.scopes {
            Some(list) => list.iter().map(scope).collect::<Result<Vec<_>>>()?,
            None => Scope::ALL.to_vec(),
        };
        let dialect = self.dialect(raw.dialect)?;
        Ok(Token { token: raw.token.into_inner(), scopes, dialect })
    }

    fn dialect(&self, raw: Option<S<String>>) -> Result<Dialect> {
        match raw {
            None => Ok(Dialect::Tandem),
            Some(text) if text.as_ref() == "tandem" => Ok(Dialect::Tandem),
            Some(text) if text.as_ref() == "rustpbx" => Ok(Dialect::RustPbx),
            Some(text) => Err(self.wrong(text.span(), "expected `tandem` or `rustpbx`")),
        }
    }

    fn rwi_context(&self, raw: raw::RwiContext) -> Result<RwiContext> {
        let target_span = raw.no_answer_target.as_ref().map(S::span);
        let target = raw.no_answer_target.map(|number| self.user(&number)).transpose()?;
        let tone = self.frequency(raw.no_answer_frequency)?.unwrap_or(425.0);
        let action = raw.no_answer_action.as_ref().map(|text| text.as_ref().as_str());
        let no_answer = match (action, target) {
            (None | Some("hangup"), None) => Unanswered::HangUp,
            (Some("play_tone"), None) => {
                Unanswered::Tone { frequency: tone, duration: Duration::from_secs(10) }
            }
            (Some("transfer"), Some(number)) => Unanswered::Transfer(number),
            (Some("transfer"), None) => {
                let span = raw.no_answer_action.map(|text| text.span()).unwrap_or(0..0);
                return Err(
                    self.wrong(span, "expected `no_answer_target` with the number it is transferred to")
                );
            }
            (None | Some("hangup" | "play_tone"), Some(_)) => {
                let message = "`no_answer_target` belongs to `no_answer_action = \"transfer\"`";
                return Err(self.wrong(target_span.unwrap_or(0..0), message));
            }
            (Some(_), _) => {
                let span = raw.no_answer_action.map(|text| text.span()).unwrap_or(0..0);
                return Err(self.wrong(span, "expected `hangup`, `transfer` or `play_tone`"));
            }
        };
        Ok(RwiContext {
            name: self.user(&raw.name)?,
            no_answer_timeout: self.seconds(raw.no_answer_timeout_secs, 60, 1..=HOUR)?,
            no_answer,
        })
    }

    fn webhook(&self, raw: raw::Webhook) -> Result<Webhook> {
        Ok(Webhook {
            url: self.web_address(&raw.url)?,
            timeout: self.millis(raw.timeout_ms, 5_000, 10..=60_000)?,
            headers: self.header_lines(raw.headers)?,
            events: raw
                .events
                .iter()
                .map(|name| self.text(name, "the name of an event"))
                .collect::<Result<_>>()?,
            dialect: self.dialect(raw.dialect)?,
        })
    }
}

/// Without what it shows.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("scopes", &self.scopes)
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

/// Without its headers, which may hold a secret.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("url", &self.url)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
