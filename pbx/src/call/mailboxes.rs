//! Mailboxes: the messages that were left, each a WAV file with a JSON file of the same name beside it.
//!
//! The JSON file is written when a message begins and again when it is complete. So whenever the program is killed there are
//! both, and at the next start what the WAV file holds by then is the message.

use super::Context;
use crate::audio::recording::HEADER;
use crate::boundary::{Output, StoredMessage, What};
use crate::media::{Command, RecordingId, StreamId, Tap};
use crate::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Bytes of a second of a message.
const SECOND: f64 = 16_000.0;

/// What was left, for whom.
#[derive(Default)]
pub(super) struct Mailboxes {
    /// By the extension whose they are, oldest first.
    messages: BTreeMap<String, Vec<Message>>,
    /// Those that are being left.
    drafts: BTreeMap<RecordingId, Message>,
    /// Mailboxes in which something has changed that nobody was told of.
    changed: BTreeSet<String>,
}

/// A message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Of its files, without what follows the dot.
    pub(super) name: String,
    about: About,
}

/// What stands in the JSON file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    /// The extension it is for.
    mailbox: String,
    /// The number it comes from.
    caller: String,
    /// When it began.
    received_at: String,
    /// The call it was left in.
    call_id: String,
    duration_secs: f64,
    heard: bool,
    /// It was not cut off in the middle; else the WAV file alone knows how long it is.
    complete: bool,
}

impl Mailboxes {
    fn of(&self, owner: &str) -> &[Message] {
        self.messages.get(owner).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, message: Message) {
        let owner = message.about.mailbox.clone();
        let messages = self.messages.entry(owner.clone()).or_default();
        let at = messages.partition_point(|other| other.about.received_at <= message.about.received_at);
        messages.insert(at, message);
        self.changed.insert(owner);
    }

    fn change(&mut self, owner: &str, name: &str) -> Option<&mut Message> {
        self.messages.get_mut(owner)?.iter_mut().find(|message| message.name == name)
    }
}

impl Context {
    /// Asks the disk what was left before.
    pub(crate) fn list_messages(&mut self) {
        if let Some(directory) = self.config.voicemail.directory.clone() {
            self.out.push_back(Output::ListMessages { directory });
        }
    }

    /// What was left before; what the PBX was killed in is as long as its file.
    pub(crate) fn on_messages_listed(&mut self, stored: Vec<StoredMessage>) {
        for StoredMessage { name, about, wav_bytes } in stored {
            let Ok(mut about) = serde_json::from_str::<About>(&about) else {
                tracing::warn!(name, "what is known of a message cannot be read");
                continue;
            };
            let is_known = self.mailboxes.of(&about.mailbox).iter().any(|known| known.name == name);
            let is_draft = self.mailboxes.drafts.values().any(|draft| draft.name == name);
            if is_known || is_draft {
                continue;
            }
            let was_cut_off = !about.complete;
            if was_cut_off {
                about.duration_secs = wav_bytes.saturating_sub(HEADER as u64) as f64 / SECOND;
                about.complete = true;
            }
            let message = Message { name, about };
            if was_cut_off && message.about.duration_secs < self.config.voicemail.shortest.as_secs_f64() {
                self.remove_files(&message);
                continue;
            }
            if was_cut_off {
                self.save(&message);
            }
            self.mailboxes.add(message);
        }
    }

    /// How many messages an extension has not heard, and how many it has.
    pub(crate) fn messages_of(&self, owner: &str) -> (usize, usize) {
        let messages = self.mailboxes.of(owner);
        let new = messages.iter().filter(|message| !message.about.heard).count();
        (new, messages.len() - new)
    }

    /// The mailboxes in which something has changed since it was asked last.
    pub(crate) fn changed_mailboxes(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.mailboxes.changed)
    }

    /// Its messages by name, those first that it has not heard.
    pub(super) fn playlist(&self, owner: &str) -> Vec<String> {
        let messages = self.mailboxes.of(owner);
        let (heard, new): (Vec<_>, Vec<_>) = messages.iter().partition(|message| message.about.heard);
        new.into_iter().chain(heard).map(|message| message.name.clone()).collect()
    }

    /// The file of a message.
    pub(super) fn file_of_message(&self, name: &str) -> PathBuf {
        let directory = self.config.voicemail.directory.clone().unwrap_or_default();
        directory.join(format!("{name}.wav"))
    }

    /// How long another message may be; `None`: there is no room for one.
    pub(super) fn room_for_message(&self, owner: &str) -> Option<Duration> {
        let voicemail = &self.config.voicemail;
        let of_owner = self.mailboxes.drafts.values().filter(|draft| draft.about.mailbox == owner);
        let messages = self.mailboxes.of(owner).len() + of_owner.count();
        let seconds: f64 = self.mailboxes.of(owner).iter().map(|message| message.about.duration_secs).sum();
        let left = voicemail.total.as_secs_f64() - seconds;
        let has_room = messages < voicemail.messages && left >= voicemail.shortest.as_secs_f64();
        has_room.then(|| voicemail.longest.min(Duration::from_secs_f64(left)))
    }

    /// A message begins: what is said on this stream from now on.
    pub(super) fn begin_message(
        &mut self,
        owner: &str,
        caller: &str,
        call_id: &str,
        stream: StreamId,
    ) -> RecordingId {
        let name = format!("{owner}-{}", self.rng.token(10));
        let about = About {
            mailbox: owner.to_owned(),
            caller: caller.to_owned(),
            received_at: self.clock.rfc3339(self.now),
            call_id: call_id.to_owned(),
            duration_secs: 0.0,
            heard: false,
            complete: false,
        };
        let message = Message { name, about };
        self.save(&message);
        let file = self.file_of_message(&message.name);
        let recording = self.record_into(file, vec![vec![Tap::Leg(stream)]], call_id);
        if let Some(length) = self.config.voicemail.silence {
            self.media(Command::WatchSilence { recording, length });
        }
        self.mailboxes.drafts.insert(recording, message);
        recording
    }

    /// What was recorded is complete: a message, or too little for one.
    pub(super) fn file_message(&mut self, recording: RecordingId, length: Duration) {
        let Some(mut message) = self.mailboxes.drafts.remove(&recording) else { return };
        if length < self.config.voicemail.shortest {
            return self.remove_files(&message);
        }
        message.about.duration_secs = length.as_secs_f64();
        message.about.complete = true;
        self.save(&message);
        let About { mailbox, caller, call_id, .. } = message.about.clone();
        let file = self.file_of_message(&message.name);
        self.tell(&call_id, What::MessageLeft { mailbox, caller, file, length });
        self.mailboxes.add(message);
    }

    /// The disk has not taken all of it; the next start finds what it has.
    pub(super) fn lose_message(&mut self, recording: RecordingId) {
        self.mailboxes.drafts.remove(&recording);
    }

    /// Its owner has heard it.
    pub(super) fn message_was_heard(&mut self, owner: &str, name: &str) {
        let Some(message) = self.mailboxes.change(owner, name).filter(|message| !message.about.heard) else {
            return;
        };
        message.about.heard = true;
        let message = message.clone();
        self.save(&message);
        self.mailboxes.changed.insert(owner.to_owned());
    }

    /// Its owner does not want it any longer.
    pub(super) fn delete_message(&mut self, owner: &str, name: &str) {
        let Some(messages) = self.mailboxes.messages.get_mut(owner) else { return };
        let Some(at) = messages.iter().position(|message| message.name == name) else { return };
        let message = messages.remove(at);
        self.remove_files(&message);
        self.mailboxes.changed.insert(owner.to_owned());
    }

    fn save(&mut self, message: &Message) {
        let file = self.file_of_message(&message.name).with_extension("json");
        let text = serde_json::to_string_pretty(&message.about).unwrap_or_default();
        self.out.push_back(Output::SaveFile { file, bytes: (text + "\n").into_bytes() });
    }

    /// The sound goes first: what is known of nothing is thrown away at the next start.
    fn remove_files(&mut self, message: &Message) {
        let wav = self.file_of_message(&message.name);
        let json = wav.with_extension("json");
        self.out.push_back(Output::RemoveFiles(vec![wav, json]));
    }
}
