//! What is asked of calls from outside. There is one list of it, whoever asks: an application that holds a WebSocket open,
//! a page, a menu.
//!
//! A command is answered once: when the thing is done or surely under way, or with a [`Refusal`] that says why it is not.
//! What happens after that is told by events, which come of the change itself.

use super::facts::Root;
use crate::audio::Gain;
use crate::buggify::buggify;
use crate::cdr::Why;
use crate::dialog::ExtraHeaders;
use crate::sip::StatusCode;
use crate::time::Duration;
use serde_json::{Map, Value};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// To know the answer to a command by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// What becomes of a command: what there is to say beside that it is done, or why it is not.
pub(crate) type Answer = Result<Map<String, Value>, Refusal>;

/// What is asked of one call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Who waits is answered.
    Answer,
    /// Who waits is refused.
    Reject(StatusCode),
    /// Who waits hears that it rings.
    Ring,
    /// It ends, whatever it does.
    HangUp {
        /// For the record, and for who is hung up.
        why: Why,
        /// What a caller is told who was not answered.
        status: Option<StatusCode>,
    },
    /// It and this other call hear each other.
    Bridge {
        /// The other one.
        with: String,
    },
    /// It and whom it is bridged with no longer hear each other; both stay up.
    Unbridge,
    /// It hears this.
    Play(Play),
    /// What is played to it is over.
    StopPlaying,
    /// It is put on hold, and hears music.
    Hold {
        /// What it hears in the place of our own music.
        music: Option<PathBuf>,
    },
    /// It is on hold no longer.
    Unhold,
    /// These keys are pressed for it, one after the other.
    SendKeys(String),
    /// The keys that it presses are gathered.
    Collect(Collect),
    /// What is said on it is recorded.
    Record(Record),
    /// Nothing is recorded for a while: no sound and no time.
    PauseRecording,
    /// It is recorded again.
    ResumeRecording,
    /// The recording is complete.
    StopRecording,
    /// Its telephone is asked to go there itself.
    Refer {
        /// Where.
        target: String,
    },
    /// A request goes out on its leg, and what it is answered is the answer.
    Send(Request),
    /// A note is kept with it.
    SetNote {
        /// Its name.
        key: String,
        /// What it says.
        value: String,
    },
    /// What a note says.
    Note {
        /// Its name.
        key: String,
    },
}

/// A call that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Originate {
    /// What it is called; a name of our own where nobody says.
    pub(crate) call_id: Option<String>,
    /// `sip:1001@local`, `sip:0301234@TRUNK`, `1001`.
    pub(crate) destination: String,
    /// The number it comes from.
    pub(crate) caller_id: Option<String>,
    /// Given up when nobody has answered in this time.
    pub(crate) patience: Duration,
    /// What it belongs to.
    pub(crate) context: String,
    /// Header lines of its INVITE.
    pub(crate) headers: ExtraHeaders,
    /// Recorded from its answer on.
    pub(crate) record: Option<Record>,
    /// What it hears when it is answered.
    pub(crate) music: Option<PathBuf>,
    /// The call with which it all began, where that is another one.
    pub(crate) root: Option<Arc<Root>>,
}

/// Something to be heard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Play {
    pub(crate) sound: Sound,
    /// Again and again.
    pub(crate) repeats: bool,
    /// Whether a key ends it.
    pub(crate) until_key: bool,
}

/// What can be heard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sound {
    File(PathBuf),
    Silence(Option<Duration>),
    Tone {
        frequency: f64,
        duration: Option<Duration>,
    },
    Ringback,
    /// What who is on hold hears where nobody has chosen other music.
    Music,
}

/// How keys are gathered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Collect {
    pub(crate) least: usize,
    pub(crate) most: usize,
    /// From now to the last key.
    pub(crate) patience: Duration,
    /// This key ends it and does not count.
    pub(crate) terminator: Option<char>,
}

/// How something is recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// A channel for who is named, one for who it talks to; else both in one.
    pub(crate) separate: bool,
    /// Both hear that it begins.
    pub(crate) beep: bool,
    /// It ends by itself when it is so long.
    pub(crate) longest: Option<Duration>,
    /// Where it is put, as the directory of recordings knows it; after the call where nobody says.
    pub(crate) file: Option<PathBuf>,
}

/// A request within a session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    Message { content_type: String, body: String },
    Notify { event: String, content_type: String, body: String },
    Options,
}

/// How a supervisor takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It hears both and is heard by none.
    Listens,
    /// It hears both and is heard by the one it stands behind.
    Whispers,
    /// All hear each other.
    Joins,
}

impl Part {
    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Listens => "listen",
            Part::Whispers => "whisper",
            Part::Joins => "barge",
        }
    }

    /// How loud it is for the one it stands behind, and for the other one.
    pub(super) fn voice(self) -> (Gain, Gain) {
        match self {
            Part::Listens if buggify!("a supervisor who listens is heard") => (Gain::UNITY, Gain::UNITY),
            Part::Listens => (Gain::NOTHING, Gain::NOTHING),
            Part::Whispers => (Gain::UNITY, Gain::NOTHING),
            Part::Joins => (Gain::UNITY, Gain::UNITY),
        }
    }
}

/// Why something is not done: a fact with a name, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// What it names and is not there, where that is why.
    pub(crate) missing: Option<String>,
}

/// The names of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidJson,
    UnknownAction,
    InvalidParams,
    Forbidden,
    RateLimited,
    CallNotFound,
    AlreadyOwned,
    InvalidState,
    NotPlayable,
    Rejected,
    TimedOut,
}

impl Code {
    pub(crate) const ALL: [Code; 11] = [
        Code::InvalidJson,
        Code::UnknownAction,
        Code::InvalidParams,
        Code::Forbidden,
        Code::RateLimited,
        Code::CallNotFound,
        Code::AlreadyOwned,
        Code::InvalidState,
        Code::NotPlayable,
        Code::Rejected,
        Code::TimedOut,
    ];

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Code::InvalidJson => "invalid_json",
            Code::UnknownAction => "unknown_action",
            Code::InvalidParams => "invalid_params",
            Code::Forbidden => "forbidden",
            Code::RateLimited => "rate_limited",
            Code::CallNotFound => "call_not_found",
            Code::AlreadyOwned => "already_owned",
            Code::InvalidState => "invalid_state",
            Code::NotPlayable => "not_playable",
            Code::Rejected => "rejected",
            Code::TimedOut => "timed_out",
        }
    }

    /// When it is said.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Code::InvalidJson => "the frame is no JSON object",
            Code::UnknownAction => "there is no such action",
            Code::InvalidParams => "a parameter is missing, unknown or makes no sense",
            Code::Forbidden => "the token has not the scope that the action needs",
            Code::RateLimited => "a limit of the configuration is reached",
            Code::CallNotFound => "there is no such call, or it is over",
            Code::AlreadyOwned => "another client holds the call",
            Code::InvalidState => "the call cannot do that now",
            Code::NotPlayable => "the file is not there, or is no sound",
            Code::Rejected => "the telephone has refused",
            Code::TimedOut => "the telephone has not answered in time",
        }
    }
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), missing: None }
    }

    pub(crate) fn no_call(call_id: &str) -> Refusal {
        Refusal::not_there("call", call_id)
    }

    pub(super) fn no_consultation(call_id: &str) -> Refusal {
        Refusal::not_there("consultation", call_id)
    }

    pub(crate) fn no_session(name: &str) -> Refusal {
        Refusal::not_there("session", name)
    }

    fn not_there(what: &str, name: &str) -> Refusal {
        let refusal = Refusal::new(Code::CallNotFound, format!("there is no {what} {name:?}"));
        Refusal { missing: Some(name.to_owned()), ..refusal }
    }

    pub(super) fn state(message: impl Into<String>) -> Refusal {
        Refusal::new(Code::InvalidState, message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

/// Done, and there is nothing more to say.
pub(super) fn done() -> Answer {
    Ok(Map::new())
}

/// Done, and this is worth knowing.
pub(super) fn done_with<const N: usize>(facts: [(&str, Value); N]) -> Answer {
    Ok(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
