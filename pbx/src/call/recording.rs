//! Recordings: of the calls of an extension, a channel a leg; of a conference, all in one.

use super::Context;
use super::call::{Call, Stage};
use crate::boundary::{Output, What};
use crate::media::{Command, RecordingId, RoomId, Tap};
use crate::route::Caller;
use crate::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Recordings that are made.
#[derive(Default)]
pub(super) struct Recordings {
    made: BTreeMap<RecordingId, Made>,
    last: u64,
}

struct Made {
    file: PathBuf,
    call_id: String,
    /// Where its media are.
    room: RoomId,
}

impl Context {
    /// Records this, a channel for each of `channels`; `None` where the configuration names no directory.
    pub(super) fn record(
        &mut self,
        name: &str,
        channels: Vec<Vec<Tap>>,
        call_id: &str,
    ) -> Option<RecordingId> {
        let file = self.config.recording.directory.as_ref()?.join(format!("{name}.wav"));
        self.recordings.last += 1;
        let recording = RecordingId(self.recordings.last);
        let (room, call_id) = (self.media_room, call_id.to_owned());
        self.tell(&call_id, What::RecordingStarted { file: file.clone() });
        let count = channels.len() as u16;
        self.out.push_back(Output::OpenRecording { recording, file: file.clone(), channels: count });
        self.media(Command::Record { recording, channels });
        self.recordings.made.insert(recording, Made { file, call_id, room });
        Some(recording)
    }

    /// The media engine has handed over the last of it.
    pub(crate) fn on_recording_ended(&mut self, recording: RecordingId, length: Duration) {
        if let Some(Made { file, call_id, .. }) = self.recordings.made.remove(&recording) {
            self.tell(&call_id, What::RecordingEnded { file, length });
        }
    }

    /// The disk does not take it: the call goes on without.
    pub(crate) fn on_recording_failed(&mut self, recording: RecordingId, reason: String) {
        if let Some(Made { file, call_id, room }) = self.recordings.made.remove(&recording) {
            self.out.push_back(Output::Media { room, command: Command::StopRecording(recording) });
            self.tell(&call_id, What::RecordingFailed { file, reason });
        }
    }
}

impl Call {
    /// Two people talk: records them if the configuration wants that for one of them.
    pub(super) fn start_recording(&mut self, context: &mut Context) {
        let Stage::Talking(callee) = &self.stage else { return };
        let caller = match &self.invitation.caller {
            Caller::Extension(number) => Some(number.as_str()),
            Caller::Trunk(_) | Caller::Anonymous => None,
        };
        let is_recorded = |number: &str| {
            context.config.extensions.iter().any(|extension| extension.number == number && extension.record)
        };
        let wanted = caller.is_some_and(is_recorded) || is_recorded(&callee.name);
        let (Some(one), Some(other)) = (self.caller.stream(), callee.stream()) else { return };
        if wanted && self.recording.is_none() {
            self.recording = context.record(
                &self.facts.call_id,
                vec![vec![Tap::Leg(one)], vec![Tap::Leg(other)]],
                &self.facts.call_id,
            );
        }
    }

    /// One of the two wants the recording to pause, or to go on; `false` where there is none.
    pub(super) fn set_recording(&mut self, runs: bool, context: &mut Context) -> bool {
        let Some(recording) = self.recording else { return false };
        context.media(match runs {
            true => Command::ResumeRecording(recording),
            false => Command::PauseRecording(recording),
        });
        true
    }

    /// The talk is over.
    pub(super) fn stop_recording(&mut self, context: &mut Context) {
        if let Some(recording) = self.recording.take() {
            context.media(Command::StopRecording(recording));
        }
    }
}
