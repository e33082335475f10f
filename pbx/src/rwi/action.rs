//! What a client can ask for: from the name of an action and its parameters to a value that holds.

use super::params::{Params, wrong};
use crate::call::{Code, Collect, Command, Originate, Part, Play, Record, Refusal, Request, Sound};
use crate::cdr::Why;
use crate::config::{Config, DEFAULT_CONTEXT, Scope};
use crate::sip::{StatusCode, escape_user};
use crate::time::Duration;
use serde_json::{Map, Value};
use std::path::Path;

/// Something that is asked.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Of one call.
    Call(String, Command),
    /// A new call.
    Originate(Originate),
    /// That a call goes to somebody else.
    Transfer(Transfer),
    /// That a supervisor takes part.
    Supervise { supervisor: String, target: String, what: Supervise },
    /// Of a conference.
    Conference(Conference),
    /// Of one who waits, or is to wait.
    Queue(String, Queue),
    /// Of the session itself.
    Session(Session),
}

#[derive(Debug, PartialEq)]
pub(super) enum Queue {
    Enter { queue: String, priority: u8, longest: Option<Duration> },
    Leave { agent: Option<String> },
    Hold(bool),
    Priority(u8),
    Assign { agent: String },
    Again { queue: String, priority: Option<u8> },
}

#[derive(Debug, PartialEq)]
pub(super) enum Transfer {
    Blind { call_id: String, target: String, patience: Duration },
    Attended { call_id: String, target: String, patience: Duration },
    Complete { call_id: String, consultation: String },
    Cancel { consultation: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supervise {
    Takes(Part),
    TakesOver,
    Stops,
}

#[derive(Debug, PartialEq)]
pub(super) enum Conference {
    Create { name: Option<String>, most: usize },
    Add { name: String, call_id: String },
    Remove { name: String, call_id: String },
    Mute { name: String, call_id: String, muted: bool },
    Destroy { name: String },
}

#[derive(Debug, PartialEq)]
pub(super) enum Session {
    Subscribe { contexts: Vec<String>, events: Option<Vec<String>> },
    Unsubscribe { contexts: Vec<String> },
    ListCalls,
    Attach { call_id: String, watches: bool },
    Detach { call_id: String },
    Resume { session: Option<String>, last_seq: u64 },
}

impl Action {
    /// What is asked by this name.
    pub(super) fn read(
        name: &str,
        params: Map<String, Value>,
        config: &Config,
        forgiving: bool,
    ) -> Result<Action, Refusal> {
        let mut params = Params::new(params, forgiving);
        let action = Action::of(name, &mut params, config)?;
        params.finish()?;
        Ok(action)
    }

    pub(super) fn of(name: &str, params: &mut Params, config: &Config) -> Result<Action, Refusal> {
        let sounds = config.rwi.sounds.as_path();
        let p = params;
        let call = |p: &mut Params, command| Ok(Action::Call(p.text("call_id")?, command));
        match name {
            "call.originate" => Ok(Action::Originate(originate(p, sounds)?)),
            "call.answer" => call(p, Command::Answer),
            "call.reject" => {
                let status = match refusal_status(p.maybe_text("reason")?.as_deref()) {
                    Err(_) if p.are_forgiving() => StatusCode::DECLINE,
                    status => status?,
                };
                call(p, Command::Reject(status))
            }
            "call.ring" => call(p, Command::Ring),
            "call.hangup" => {
                let why = p.maybe_line("reason")?.map_or(Why::Application, Why::Said);
                let status = p.maybe_number("code", 400..=699)?.and_then(|code| StatusCode::new(code as u16));
                call(p, Command::HangUp { why, status })
            }
            "call.bridge" => {
                let with = p.text("leg_b")?;
                Ok(Action::Call(p.text("leg_a")?, Command::Bridge { with }))
            }
            "call.unbridge" => call(p, Command::Unbridge),
            "call.transfer" => transfer(p),
            "call.transfer.attended" => Ok(Action::Transfer(Transfer::Attended {
                call_id: p.text("call_id")?,
                target: p.text("target")?,
                patience: p.seconds("timeout_secs", 30, 1..=3_600)?,
            })),
            "call.transfer.complete" => Ok(Action::Transfer(Transfer::Complete {
                call_id: p.text("call_id")?,
                consultation: p.text("consultation_call_id")?,
            })),
            "call.transfer.cancel" => {
                Ok(Action::Transfer(Transfer::Cancel { consultation: p.text("consultation_call_id")? }))
            }
            "call.hold" => {
                let music = p.maybe_file("music", sounds)?;
                call(p, Command::Hold { music })
            }
            "call.unhold" => call(p, Command::Unhold),
            "call.send_dtmf" => {
                let keys = p.text("digits")?.to_ascii_uppercase();
                let is_keys = (1..=64).contains(&keys.len()) && keys.chars().all(|key| KEYS.contains(key));
                match is_keys {
                    true => call(p, Command::SendKeys(keys)),
                    false => Err(wrong("digits", format!("expected 1 to 64 of `{KEYS}`"))),
                }
            }
            "call.set_var" => {
                let (key, value) = (p.text("key")?, p.text("value")?);
                call(p, Command::SetNote { key, value })
            }
            "call.get_var" => {
                let key = p.text("key")?;
                call(p, Command::Note { key })
            }
            "dtmf.collect" => {
                let how = collect(p)?;
                call(p, Command::Collect(how))
            }
            "media.play" => {
                let play = play(p, sounds)?;
                call(p, Command::Play(play))
            }
            "media.stop" => call(p, Command::StopPlaying),
            "record.start" => {
                let how = record(p)?;
                call(p, Command::Record(how))
            }
            "record.pause" => call(p, Command::PauseRecording),
            "record.resume" => call(p, Command::ResumeRecording),
            "record.stop" => call(p, Command::StopRecording),
            "supervisor.listen" => supervise(p, Supervise::Takes(Part::Listens)),
            "supervisor.whisper" => supervise(p, Supervise::Takes(Part::Whispers)),
            "supervisor.barge" => supervise(p, Supervise::Takes(Part::Joins)),
            "supervisor.takeover" => supervise(p, Supervise::TakesOver),
            "supervisor.stop" => supervise(p, Supervise::Stops),
            "sip.message" => {
                let content_type = p.maybe_line("content_type")?.unwrap_or_else(|| "text/plain".into());
                let body = p.text("body")?;
                call(p, Command::Send(Request::Message { content_type, body }))
            }
            "sip.notify" => {
                let event = p.maybe_line("event")?.ok_or_else(|| wrong("event", "it is missing"))?;
                let content_type = p.maybe_line("content_type")?.unwrap_or_else(|| "application/json".into());
                let body = p.maybe_text("body")?.unwrap_or_default();
                call(p, Command::Send(Request::Notify { event, content_type, body }))
            }
            "sip.options_ping" => call(p, Command::Send(Request::Options)),
            "conference.create" => Ok(Action::Conference(Conference::Create {
                name: conference_name(p)?,
                most: p.number("max_members", 1_000, 1..=10_000)? as usize,
            })),
            "conference.add" => conference(p, |name, call_id| Conference::Add { name, call_id }),
            "conference.remove" => conference(p, |name, call_id| Conference::Remove { name, call_id }),
            "conference.mute" => {
                conference(p, |name, call_id| Conference::Mute { name, call_id, muted: true })
            }
            "conference.unmute" => {
                conference(p, |name, call_id| Conference::Mute { name, call_id, muted: false })
            }
            "conference.destroy" => {
                let name = conference_name(p)?.ok_or_else(|| wrong("conf_id", "it is missing"))?;
                Ok(Action::Conference(Conference::Destroy { name }))
            }
            "queue.enqueue" => {
                let queue = p.text("queue_id")?;
                let priority = p.number("priority", 0, 0..=255)? as u8;
                let longest = p.maybe_seconds("max_wait_secs", 1..=86_400)?;
                in_queue(p, Queue::Enter { queue, priority, longest })
            }
            "queue.dequeue" => {
                let agent = p.maybe_text("agent_id")?;
                in_queue(p, Queue::Leave { agent })
            }
            "queue.hold" => in_queue(p, Queue::Hold(true)),
            "queue.unhold" => in_queue(p, Queue::Hold(false)),
            "queue.set_priority" => {
                let priority =
                    p.maybe_number("priority", 0..=255)?.ok_or_else(|| wrong("priority", "it is missing"))?;
                in_queue(p, Queue::Priority(priority as u8))
            }
            "queue.assign_agent" => {
                let agent = p.text("agent_id")?;
                in_queue(p, Queue::Assign { agent })
            }
            "queue.requeue" => {
                let queue = p.text("queue_id")?;
                let priority = p.maybe_number("priority", 0..=255)?.map(|priority| priority as u8);
                in_queue(p, Queue::Again { queue, priority })
            }
            "session.subscribe" => {
                let events = p.texts("events", 100)?;
                Ok(Action::Session(Session::Subscribe {
                    contexts: p.texts("contexts", 100)?,
                    events: (!events.is_empty()).then_some(events),
                }))
            }
            "session.unsubscribe" => {
                Ok(Action::Session(Session::Unsubscribe { contexts: p.texts("contexts", 100)? }))
            }
            "session.list_calls" => Ok(Action::Session(Session::ListCalls)),
            "session.attach_call" => {
                let mode = p.maybe_text("mode")?;
                let watches = match mode.as_deref() {
                    None | Some("control") => false,
                    Some("listen" | "whisper" | "barge") => true,
                    Some(_) if p.are_forgiving() => false,
                    Some(_) => {
                        return Err(wrong("mode", "expected `control`, `listen`, `whisper` or `barge`"));
                    }
                };
                Ok(Action::Session(Session::Attach { call_id: p.text("call_id")?, watches }))
            }
            "session.detach_call" => Ok(Action::Session(Session::Detach { call_id: p.text("call_id")? })),
            "session.resume" => Ok(Action::Session(Session::Resume {
                session: p.maybe_text("session_id")?,
                last_seq: p.number("last_seq", 0, 0..=u64::MAX)?,
            })),
            _ => Err(Refusal::new(Code::UnknownAction, format!("there is no action {name:?}"))),
        }
    }

    /// What a token must be allowed for it.
    pub(super) fn scope(&self) -> Option<Scope> {
        match self {
            Action::Call(_, command) => Some(match command {
                Command::Record(_)
                | Command::PauseRecording
                | Command::ResumeRecording
                | Command::StopRecording => Scope::Record,
                Command::Send(_) => Scope::Message,
                _ => Scope::Call,
            }),
            Action::Originate(_) | Action::Transfer(_) => Some(Scope::Call),
            Action::Supervise { .. } => Some(Scope::Supervisor),
            Action::Conference(_) => Some(Scope::Conference),
            Action::Queue(..) => Some(Scope::Queue),
            Action::Session(Session::Attach { watches, .. }) => {
                Some(if *watches { Scope::Supervisor } else { Scope::Call })
            }
            Action::Session(Session::Detach { .. } | Session::ListCalls) => Some(Scope::Call),
            Action::Session(_) => None,
        }
    }

    /// The calls that nobody else may hold.
    pub(super) fn calls(&self) -> Vec<&str> {
        match self {
            Action::Call(call_id, Command::Bridge { with }) => vec![call_id, with],
            Action::Call(call_id, _) | Action::Queue(call_id, _) => vec![call_id],
            Action::Transfer(Transfer::Blind { call_id, .. } | Transfer::Attended { call_id, .. }) => {
                vec![call_id]
            }
            Action::Transfer(Transfer::Complete { call_id, consultation }) => vec![call_id, consultation],
            Action::Transfer(Transfer::Cancel { consultation }) => vec![consultation],
            // Whose talk it is need not be asked: that is what the scope is for.
            Action::Supervise { supervisor, .. } => vec![supervisor],
            Action::Conference(
                Conference::Add { call_id, .. }
                | Conference::Remove { call_id, .. }
                | Conference::Mute { call_id, .. },
            ) => vec![call_id],
            Action::Conference(_) | Action::Originate(_) | Action::Session(_) => Vec::new(),
        }
    }

    /// The call that the reply names.
    pub(super) fn about(&self) -> Option<String> {
        match self {
            Action::Supervise { target, .. } => Some(target.clone()),
            Action::Session(Session::Attach { call_id, .. } | Session::Detach { call_id }) => {
                Some(call_id.clone())
            }
            action => action.calls().first().map(|call_id| (*call_id).to_owned()),
        }
    }
}

const KEYS: &str = "0123456789*#ABCD";

fn originate(p: &mut Params, sounds: &Path) -> Result<Originate, Refusal> {
    let record = match p.maybe_within("record")? {
        Some(mut within) => {
            let how = record(&mut within)?;
            within.finish()?;
            Some(how)
        }
        None => None,
    };
    let destination = p.text("destination")?;
    // Clients of the other dialect say beside it over which trunk it goes.
    let trunk = if p.are_forgiving() { p.maybe_text("trunk")? } else { None };
    let destination = match trunk.filter(|trunk| !trunk.is_empty()) {
        Some(trunk) => format!("sip:{}@{trunk}", escape_user(&number_of(&destination))),
        None => destination,
    };
    Ok(Originate {
        call_id: p.maybe_text("call_id")?.filter(|name| !(name.is_empty() && p.are_forgiving())),
        destination,
        caller_id: match p.maybe_text("caller_id")?.as_deref() {
            Some("") if p.are_forgiving() => None,
            Some(line) if line.is_empty() || line.chars().any(char::is_control) => {
                return Err(wrong("caller_id", "expected one line of text"));
            }
            line => line.map(number_of),
        },
        patience: p.seconds("timeout_secs", 60, 1..=3_600)?,
        context: p.maybe_text("context")?.unwrap_or_else(|| DEFAULT_CONTEXT.to_owned()),
        headers: p.headers("extra_headers")?,
        record,
        music: p.maybe_file("hold_music", sounds)?,
        root: None,
    })
}

/// `sip:2000@pbx.example` and `2000` are the same number.
fn number_of(text: &str) -> String {
    let rest = text.strip_prefix("sip:").unwrap_or(text);
    rest.split(['@', ';']).next().unwrap_or_default().to_owned()
}

fn transfer(p: &mut Params) -> Result<Action, Refusal> {
    let (call_id, target) = (p.text("call_id")?, p.text("target")?);
    let patience = p.seconds("timeout_secs", 30, 1..=3_600)?;
    match p.maybe_text("method")?.as_deref() {
        None | Some("bridge") => Ok(Action::Transfer(Transfer::Blind { call_id, target, patience })),
        Some("refer") if target.starts_with("sip:") && !target.contains(['<', '>', ' ', '\r', '\n']) => {
            Ok(Action::Call(call_id, Command::Refer { target }))
        }
        Some("refer") => Err(wrong("target", "expected an address like `sip:1001@local`")),
        Some(_) => Err(wrong("method", "expected `bridge` or `refer`")),
    }
}

fn collect(p: &mut Params) -> Result<Collect, Refusal> {
    let least = p.number("min_digits", 1, 0..=64)? as usize;
    let most = p.number("max_digits", 16, 1..=64)? as usize;
    if most < least {
        return Err(wrong("max_digits", format!("expected at least min_digits: {least}")));
    }
    let terminator = p.maybe_text("terminator")?;
    let terminator = match terminator.as_deref().map(|text| text.chars().collect::<Vec<_>>()) {
        None => None,
        Some(one) if one.len() == 1 && KEYS.contains(one[0]) => Some(one[0]),
        Some(_) => return Err(wrong("terminator", format!("expected one of `{KEYS}`"))),
    };
    let patience = p.maybe_millis("timeout_ms", 1..=600_000)?.unwrap_or(Duration::from_secs(10));
    Ok(Collect { least, most, patience, terminator })
}

fn play(p: &mut Params, sounds: &Path) -> Result<Play, Refusal> {
    let mut source = p.maybe_within("source")?.ok_or_else(|| wrong("source", "it is missing"))?;
    let kind = source.text("type")?;
    let day = 1..=86_400_000;
    let sound = match kind.as_str() {
        "file" => {
            let file = source.maybe_file("uri", sounds)?;
            Sound::File(file.ok_or_else(|| wrong("uri", "it is missing"))?)
        }
        "silence" => Sound::Silence(source.maybe_millis("duration_ms", day)?),
        "ringback" => Sound::Ringback,
        "tone" => {
            let frequency = source.maybe_real("frequency")?.unwrap_or(425.0);
            if !(20.0..=3_900.0).contains(&frequency) {
                return Err(wrong("frequency", "expected 20 to 3900 Hz"));
            }
            Sound::Tone { frequency, duration: source.maybe_millis("duration_ms", day)? }
        }
        _ => return Err(wrong("type", "expected `file`, `silence`, `ringback` or `tone`")),
    };
    let loops_by_source = source.flag("looped")?;
    source.finish()?;
    Ok(Play { sound, repeats: p.flag("loop")? || loops_by_source, until_key: p.flag("interrupt_on_dtmf")? })
}

fn record(p: &mut Params) -> Result<Record, Refusal> {
    let separate = match p.maybe_text("mode")?.as_deref() {
        None | Some("mixed") => false,
        Some("separate_legs") => true,
        Some(_) => return Err(wrong("mode", "expected `mixed` or `separate_legs`")),
    };
    let file = match p.maybe_within("storage")? {
        Some(mut storage) => {
            let file = storage.maybe_file("path", Path::new("."))?;
            storage.finish()?;
            file
        }
        None => None,
    };
    let longest = p.maybe_seconds("max_duration_secs", 1..=86_400)?;
    Ok(Record { separate, beep: p.flag("beep")?, longest, file })
}

fn supervise(p: &mut Params, what: Supervise) -> Result<Action, Refusal> {
    // Whom a supervisor stands behind is the target; clients of the other dialect name it once more.
    let _ = p.maybe_text("agent_leg")?;
    Ok(Action::Supervise {
        supervisor: p.text("supervisor_call_id")?,
        target: p.text("target_call_id")?,
        what,
    })
}

fn in_queue(p: &mut Params, what: Queue) -> Result<Action, Refusal> {
    Ok(Action::Queue(p.text("call_id")?, what))
}

fn conference(p: &mut Params, make: impl FnOnce(String, String) -> Conference) -> Result<Action, Refusal> {
    let name = conference_name(p)?.ok_or_else(|| wrong("conf_id", "it is missing"))?;
    Ok(Action::Conference(make(name, p.text("call_id")?)))
}

fn conference_name(p: &mut Params) -> Result<Option<String>, Refusal> {
    match p.maybe_line("conf_id")? {
        Some(name) => Ok(Some(name)),
        None => p.maybe_line("conference_id"),
    }
}

/// The status for a caller who is rejected with this reason.
fn refusal_status(reason: Option<&str>) -> Result<StatusCode, Refusal> {
    match reason {
        Some("busy" | "486") => Ok(StatusCode::BUSY_HERE),
        Some("forbidden" | "reject" | "403") => Ok(StatusCode::FORBIDDEN),
        Some("not_found" | "404") => Ok(StatusCode::NOT_FOUND),
        Some("unavailable" | "480") => Ok(StatusCode::TEMPORARILY_UNAVAILABLE),
        None | Some("decline" | "603") => Ok(StatusCode::DECLINE),
        Some(_) => {
            Err(wrong("reason", "expected `busy`, `forbidden`, `not_found`, `unavailable` or `decline`"))
        }
    }
}
