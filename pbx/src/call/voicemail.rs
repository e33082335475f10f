//! Somebody has reached a mailbox: to leave a message after the beep, or, as its owner, to listen to those that were left.

use super::Context;
use super::application::Application;
use super::call::{Call, Stage, Timer};
use crate::audio::Clip;
use crate::boundary::What;
use crate::cdr::EndedBy;
use crate::media::{Command, RecordingId, Source};
use crate::route::{Caller, Decision};
use crate::sip::StatusCode;
use crate::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is heard where no file says it better: Hz, and how long.
type Signal = (f64, u64);
/// In the place of a greeting.
const GREETING: Signal = (520.0, 800);
/// From now on it is recorded; a message is over; a key was taken.
const BEEP: Signal = (1_000.0, 400);
/// Keys are wanted: whose mailbox it is, the PIN.
const PROMPT: Signal = (800.0, 300);
/// There is no message, or no other one.
const NOTHING: Signal = (300.0, 800);
/// That was wrong, or there is no room.
const SORRY: Signal = (425.0, 1_500);

/// The level of these in dBm0.
const LEVEL: f64 = -10.0;

/// How long the next key may take.
const KEY: Duration = Duration::from_secs(15);
/// Keys of a number or a PIN.
const KEYS: usize = 20;
/// How often a PIN may be wrong.
const TRIES: u8 = 3;

/// How far somebody is who has reached a mailbox.
#[derive(Clone, Debug)]
pub(super) enum Visit {
    /// It hears the greeting of this mailbox.
    Greeted { owner: String },
    /// It hears the beep.
    Beeped { owner: String },
    /// What it says is recorded.
    Speaking { recording: RecordingId },
    /// It is asked whose mailbox it wants to hear, and presses the number.
    AskedWhose { keys: String },
    /// It is asked for the PIN.
    AskedPin { owner: String, keys: String, tries: u8 },
    /// It hears a message of this list, or a signal before it.
    Hears { owner: String, names: Vec<String>, at: usize },
    /// It has heard it, and may press a key.
    Chooses { owner: String, names: Vec<String>, at: usize },
    /// It hears why it is hung up.
    Leaves,
}

impl Call {
    /// What comes of a call to the mailboxes: in which one a message is left, or who listens to his own.
    pub(super) fn visit(&self, mailbox: Option<String>, context: &Context) -> Result<Visit, StatusCode> {
        let has_one = |owner: &str| context.config.voicemail.mailbox(owner).is_some();
        match mailbox.or_else(|| self.forwarded_by()) {
            Some(owner) if has_one(&owner) => return Ok(Visit::Greeted { owner }),
            Some(_) => return Err(StatusCode::TEMPORARILY_UNAVAILABLE),
            None => {}
        }
        match &self.invitation.caller {
            Caller::Extension(number) if has_one(number) => Ok(Visit::listens_to(number, context)),
            _ => Ok(Visit::AskedWhose { keys: String::new() }),
        }
    }

    /// A call that leads to the mailboxes, and that somebody has forwarded there, leads to his.
    pub(super) fn to_its_mailbox(&self, decision: Decision) -> Decision {
        match decision {
            Decision::Voicemail { mailbox: None } => Decision::Voicemail { mailbox: self.forwarded_by() },
            other => other,
        }
    }

    /// The caller listens: now it begins.
    pub(super) fn start_visit(&mut self, context: &mut Context) {
        match self.visiting() {
            Some(Visit::Greeted { owner }) => {
                let owner = owner.clone();
                match context.room_for_message(&owner) {
                    Some(_) => self.greet(&owner, context),
                    None => self.say_goodbye(SORRY, context),
                }
            }
            Some(Visit::AskedWhose { .. }) => self.prompt(context),
            Some(Visit::Hears { .. }) => self.play_message(context),
            _ => {}
        }
    }

    /// A file that is to be heard was read, or cannot be.
    pub(super) fn on_sound_for_visit(
        &mut self,
        file: &Path,
        sound: &Result<Arc<Clip>, String>,
        context: &mut Context,
    ) {
        let Some(stream) = self.caller.stream() else { return };
        match (self.visiting(), sound) {
            (Some(Visit::Greeted { .. } | Visit::Hears { .. }), Ok(clip)) => {
                context.play(stream, clip.clone(), Some(1), false);
                self.note_as_heard(context);
            }
            (Some(visit), Err(reason)) => {
                let is_greeting = matches!(visit, Visit::Greeted { .. });
                let what = What::NotPlayed { file: file.to_owned(), reason: reason.clone() };
                context.tell(&self.facts.call_id, what);
                match is_greeting {
                    true => self.signal(GREETING, context),
                    false => self.on_visit_played(context),
                }
            }
            (Some(_) | None, _) => {}
        }
    }

    /// What was played is over.
    pub(super) fn on_visit_played(&mut self, context: &mut Context) {
        match self.visiting().cloned() {
            Some(Visit::Greeted { owner }) => {
                self.go_on_visiting(Visit::Beeped { owner });
                self.signal(BEEP, context);
            }
            Some(Visit::Beeped { owner }) => self.record_message(&owner, context),
            Some(Visit::Hears { owner, names, at }) => {
                self.go_on_visiting(Visit::Chooses { owner, names, at });
                self.set_timer(Timer::Visit, KEY, context);
                self.signal(BEEP, context);
            }
            Some(Visit::Leaves) => self.end(EndedBy::Pbx, "the mailbox has said goodbye", None, context),
            Some(
                Visit::Speaking { .. }
                | Visit::AskedWhose { .. }
                | Visit::AskedPin { .. }
                | Visit::Chooses { .. },
            )
            | None => {}
        }
    }

    /// A key was pressed.
    pub(super) fn on_visit_key(&mut self, key: char, context: &mut Context) {
        match (self.visiting().cloned(), key) {
            (Some(Visit::Greeted { owner }), '#') => {
                self.go_on_visiting(Visit::Beeped { owner });
                self.signal(BEEP, context);
            }
            (Some(Visit::Greeted { owner } | Visit::Beeped { owner }), '*') => {
                self.go_on_visiting(Visit::AskedPin { owner, keys: String::new(), tries: 0 });
                self.prompt(context);
            }
            (Some(Visit::Speaking { .. }), '#') => self.finish_message(context),
            (Some(Visit::AskedWhose { keys }), '#') => {
                self.go_on_visiting(Visit::AskedPin { owner: keys, keys: String::new(), tries: 0 });
                self.prompt(context);
            }
            (Some(Visit::AskedPin { owner, keys, tries }), '#') => {
                self.check_pin(&owner, &keys, tries, context);
            }
            (Some(Visit::AskedWhose { keys } | Visit::AskedPin { keys, .. }), _) if keys.len() >= KEYS => {
                self.say_goodbye(SORRY, context);
            }
            (Some(Visit::AskedWhose { .. } | Visit::AskedPin { .. }), _) => {
                if let Some(Visit::AskedWhose { keys } | Visit::AskedPin { keys, .. }) = self.visiting_mut() {
                    keys.push(key);
                }
                self.set_timer(Timer::Visit, KEY, context);
            }
            (Some(Visit::Hears { owner, names, at } | Visit::Chooses { owner, names, at }), '1' | '2') => {
                let at = if key == '2' { at + 1 } else { at };
                self.go_on_visiting(Visit::Hears { owner, names, at });
                self.play_message(context);
            }
            (Some(Visit::Hears { owner, mut names, at } | Visit::Chooses { owner, mut names, at }), '3') => {
                if at < names.len() {
                    context.delete_message(&owner, &names.remove(at));
                }
                self.go_on_visiting(Visit::Hears { owner, names, at });
                self.play_message(context);
            }
            (Some(Visit::Hears { .. } | Visit::Chooses { .. }), '*') => self.say_goodbye(BEEP, context),
            (Some(_) | None, _) => {}
        }
    }

    /// It has taken as long as it may.
    pub(super) fn on_visit_timeout(&mut self, context: &mut Context) {
        match self.visiting() {
            Some(Visit::Speaking { .. }) => self.finish_message(context),
            Some(Visit::Chooses { .. }) => self.say_goodbye(BEEP, context),
            Some(_) => self.say_goodbye(SORRY, context),
            None => {}
        }
    }

    /// Nobody has said anything for a while.
    pub(super) fn on_silence(&mut self, context: &mut Context) {
        if let Some(Visit::Speaking { .. }) = self.visiting() {
            self.finish_message(context);
        }
    }

    /// The call is over: what was said until now is the message.
    pub(super) fn leave_mailbox(&mut self, context: &mut Context) {
        if let Some(Visit::Speaking { recording }) = self.visiting() {
            context.media(Command::StopRecording(*recording));
        }
    }

    /// Who has forwarded the call last.
    fn forwarded_by(&self) -> Option<String> {
        match &self.stage {
            Stage::Dialling(dial) => dial.tried.last().cloned(),
            _ => None,
        }
    }

    fn visiting(&self) -> Option<&Visit> {
        match &self.stage {
            Stage::Served(Application::Voicemail(visit)) => Some(visit),
            _ => None,
        }
    }

    fn visiting_mut(&mut self) -> Option<&mut Visit> {
        match &mut self.stage {
            Stage::Served(Application::Voicemail(visit)) => Some(visit),
            _ => None,
        }
    }

    fn go_on_visiting(&mut self, next: Visit) {
        if let Some(visit) = self.visiting_mut() {
            *visit = next;
        }
    }

    fn greet(&mut self, owner: &str, context: &mut Context) {
        let voicemail = &context.config.voicemail;
        let own = voicemail.mailbox(owner).and_then(|mailbox| mailbox.greeting.clone());
        match own.or_else(|| voicemail.greeting.clone()) {
            Some(file) => self.play_file(file, context),
            None => self.signal(GREETING, context),
        }
    }

    fn record_message(&mut self, owner: &str, context: &mut Context) {
        let (Some(stream), Some(longest)) = (self.caller.stream(), context.room_for_message(owner)) else {
            return self.say_goodbye(SORRY, context);
        };
        context.media(Command::Play { stream, source: Source::Silence { duration: None } });
        let recording = context.begin_message(owner, &self.facts.caller, &self.facts.call_id, stream);
        self.go_on_visiting(Visit::Speaking { recording });
        self.set_timer(Timer::Visit, longest, context);
    }

    fn finish_message(&mut self, context: &mut Context) {
        self.leave_mailbox(context);
        self.say_goodbye(BEEP, context);
    }

    fn check_pin(&mut self, owner: &str, pin: &str, tries: u8, context: &mut Context) {
        let known = context.config.voicemail.mailbox(owner).and_then(|mailbox| mailbox.pin.clone());
        if known.is_some_and(|known| known == pin) {
            self.cancel_timer(Timer::Visit, context);
            let visit = Visit::listens_to(owner, context);
            self.go_on_visiting(visit);
            return self.play_message(context);
        }
        if tries + 1 >= TRIES {
            return self.say_goodbye(SORRY, context);
        }
        let (owner, keys) = (owner.to_owned(), String::new());
        self.go_on_visiting(Visit::AskedPin { owner, keys, tries: tries + 1 });
        self.prompt(context);
    }

    fn play_message(&mut self, context: &mut Context) {
        self.cancel_timer(Timer::Visit, context);
        let Some(Visit::Hears { names, at, .. }) = self.visiting() else { return };
        match names.get(*at) {
            Some(name) => {
                let file = context.file_of_message(name);
                self.play_file(file, context);
            }
            None => self.say_goodbye(NOTHING, context),
        }
    }

    fn play_file(&mut self, file: PathBuf, context: &mut Context) {
        let Some(stream) = self.caller.stream() else { return };
        match context.want_sound(&file) {
            Some(clip) => {
                context.play(stream, clip, Some(1), false);
                self.note_as_heard(context);
            }
            None => context.media(Command::Play { stream, source: Source::Silence { duration: None } }),
        }
    }

    fn note_as_heard(&self, context: &mut Context) {
        if let Some(Visit::Hears { owner, names, at }) = self.visiting()
            && let Some(name) = names.get(*at)
        {
            context.message_was_heard(owner, name);
        }
    }

    fn prompt(&mut self, context: &mut Context) {
        self.set_timer(Timer::Visit, KEY, context);
        self.signal(PROMPT, context);
    }

    fn say_goodbye(&mut self, signal: Signal, context: &mut Context) {
        self.cancel_timer(Timer::Visit, context);
        self.go_on_visiting(Visit::Leaves);
        self.signal(signal, context);
    }

    fn signal(&self, (frequency, millis): Signal, context: &mut Context) {
        let Some(stream) = self.caller.stream() else { return };
        let duration = Some(Duration::from_millis(millis));
        context.media(Command::Play { stream, source: Source::Tone { frequency, level: LEVEL, duration } });
    }
}

impl Visit {
    fn listens_to(owner: &str, context: &Context) -> Visit {
        Visit::Hears { owner: owner.to_owned(), names: context.playlist(owner), at: 0 }
    }
}

impl Context {
    /// A call that is put through to the mailboxes by somebody who has one leads to that.
    pub(super) fn to_mailbox_of(&self, owner: &str, decision: Decision) -> Decision {
        match decision {
            Decision::Voicemail { mailbox: None } if self.config.voicemail.mailbox(owner).is_some() => {
                Decision::Voicemail { mailbox: Some(owner.to_owned()) }
            }
            other => other,
        }
    }
}
