//! Recordings: of the calls of an extension, a channel a leg; of a conference, all in one; of a call in somebody's hand, by
//! command.

use super::Context;
use super::call::{Call, Stage, Timer};
use super::command::{Answer, Record, Refusal, done_with};
use super::controlled::{Doing, Wish};
use crate::boundary::{Output, What};
use crate::media::{Command, RecordingId, RoomId, StreamId, Tap};
use crate::route::Caller;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Recordings that are made.
#[derive(Default)]
pub(super) struct Recordings {
    made: BTreeMap<RecordingId, Made>,
    last: u64,
}

/// What is recorded of a call by command: what it says, and who it talks to, whoever that is.
#[derive(Debug)]
pub(super) struct OrderedRecording {
    id: RecordingId,
    separate: bool,
    channels: Vec<Vec<Tap>>,
    /// How much of it may still come; `None`: any.
    left: Option<Duration>,
    /// Since when it runs; `None`: it pauses.
    runs_since: Option<Instant>,
}

struct Made {
    file: PathBuf,
    call_id: String,
    /// Where its media are.
    room: RoomId,
    /// The call that has begun it, or goes on with it.
    of: RoomId,
    /// What is in each channel.
    channels: Vec<Vec<Tap>>,
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
        Some(self.record_into(file, channels, call_id))
    }

    /// Records this into a file.
    pub(super) fn record_into(
        &mut self,
        file: PathBuf,
        channels: Vec<Vec<Tap>>,
        call_id: &str,
    ) -> RecordingId {
        self.recordings.last += 1;
        let recording = RecordingId(self.recordings.last);
        let (room, call_id) = (self.media_room, call_id.to_owned());
        self.tell(&call_id, What::RecordingStarted { recording: name_of(recording), file: file.clone() });
        let count = channels.len() as u16;
        self.out.push_back(Output::OpenRecording { recording, file: file.clone(), channels: count });
        self.media(Command::Record { recording, channels: channels.clone() });
        self.recordings.made.insert(recording, Made { file, call_id, room, of: self.room, channels });
        recording
    }

    /// This call goes on with it, and whoever it talks to now is in the channel of the one it talked to before.
    pub(super) fn adopt_recording(
        &mut self,
        recording: RecordingId,
        call_id: &str,
        own: StreamId,
        other: StreamId,
    ) {
        let Some(made) = self.recordings.made.get_mut(&recording) else { return };
        made.of = self.room;
        call_id.clone_into(&mut made.call_id);
        for tap in made.channels.iter_mut().flatten().filter(|tap| **tap != Tap::Leg(own)) {
            *tap = Tap::Leg(other);
        }
        let channels = made.channels.clone();
        self.media(Command::Tap { recording, channels });
    }

    /// The call that has begun it.
    pub(super) fn room_of_recording(&self, recording: RecordingId) -> Option<RoomId> {
        self.recordings.made.get(&recording).map(|made| made.of)
    }

    /// The media engine has handed over the last of it.
    pub(crate) fn on_recording_ended(&mut self, recording: RecordingId, length: Duration) -> Option<RoomId> {
        let Made { file, call_id, of, .. } = self.recordings.made.remove(&recording)?;
        self.tell(&call_id, What::RecordingEnded { recording: name_of(recording), file, length });
        Some(of)
    }

    /// The disk does not take it: the call goes on without.
    pub(crate) fn on_recording_failed(&mut self, recording: RecordingId, reason: String) {
        self.lose_message(recording);
        if let Some(Made { file, call_id, room, .. }) = self.recordings.made.remove(&recording) {
            self.out.push_back(Output::Media { room, command: Command::StopRecording(recording) });
            self.tell(&call_id, What::RecordingFailed { recording: name_of(recording), file, reason });
        }
    }
}

/// What people call a recording.
fn name_of(recording: RecordingId) -> String {
    format!("rec_{}", recording.0)
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

    /// Records the call from now on; the answer is the name of the recording.
    pub(super) fn record_by_command(&mut self, how: Record, context: &mut Context) -> Answer {
        self.in_hand()?;
        if self.ordered_recording.is_some() {
            return Err(Refusal::state("the call is recorded already"));
        }
        let stream = self.caller.stream().ok_or_else(|| Refusal::state("the call has no media"))?;
        let name = match &how.file {
            Some(file) => file.with_extension("").display().to_string(),
            None => format!("{}-{}", self.facts.call_id, context.recordings.last + 1),
        };
        let channels = channels(how.separate, stream, None);
        let id = context.record(&name, channels.clone(), &self.facts.call_id).ok_or_else(|| {
            Refusal::state("there is no place for recordings (`directory` in `[recording]`)")
        })?;
        let recording = OrderedRecording {
            id,
            separate: how.separate,
            channels,
            left: how.longest,
            runs_since: Some(context.now),
        };
        self.ordered_recording = Some(recording);
        if let Some(longest) = how.longest {
            self.set_timer(Timer::Recording, longest, context);
        }
        if how.beep {
            self.beep(context);
            if let Some(Doing::Bridged(other)) = self.doing() {
                context.wish(Wish::Beep(other));
            }
        }
        context.wish(Wish::Tune(self.room));
        done_with([("recording_id", name_of(id).into())])
    }

    /// It pauses, or goes on.
    pub(super) fn pause_by_command(&mut self, pauses: bool, context: &mut Context) -> Answer {
        let Some(recording) = &mut self.ordered_recording else {
            return Err(Refusal::state("the call is not recorded"));
        };
        let id = recording.id;
        match (pauses, recording.runs_since.take()) {
            (true, None) => return Err(Refusal::state("the recording pauses already")),
            (false, Some(since)) => {
                recording.runs_since = Some(since);
                return Err(Refusal::state("the recording does not pause"));
            }
            (true, Some(since)) => {
                recording.left = recording.left.map(|left| left.saturating_sub(context.now.since(since)));
                self.cancel_timer(Timer::Recording, context);
                context.media(Command::PauseRecording(id));
                context.tell(&self.facts.call_id, What::RecordingPaused { recording: name_of(id) });
            }
            (false, None) => {
                recording.runs_since = Some(context.now);
                if let Some(left) = recording.left {
                    self.set_timer(Timer::Recording, left, context);
                }
                context.media(Command::ResumeRecording(id));
                context.tell(&self.facts.call_id, What::RecordingResumed { recording: name_of(id) });
            }
        }
        done_with([("recording_id", name_of(id).into())])
    }

    /// It is complete.
    pub(super) fn stop_by_command(&mut self, context: &mut Context) -> Answer {
        match &self.ordered_recording {
            Some(recording) => {
                let name = name_of(recording.id);
                self.stop_ordered_recording(context);
                done_with([("recording_id", name.into())])
            }
            None => Err(Refusal::state("the call is not recorded")),
        }
    }

    /// The last of a recording is on its way to the disk: when the call is over, there is no more to be told.
    pub(super) fn on_recorded(&mut self, context: &mut Context) {
        if self.has_ended() {
            self.say_farewell(context);
        }
    }

    /// It is as long as it may be.
    pub(super) fn on_recording_long_enough(&mut self, context: &mut Context) {
        self.stop_ordered_recording(context);
    }

    pub(super) fn stop_ordered_recording(&mut self, context: &mut Context) {
        if let Some(recording) = self.ordered_recording.take() {
            self.cancel_timer(Timer::Recording, context);
            context.media(Command::StopRecording(recording.id));
        }
    }

    /// It talks to somebody else now, who is recorded with it from here on.
    pub(super) fn follow_with_recording(&mut self, peer: Option<Tap>, context: &mut Context) {
        let Some(stream) = self.caller.stream() else { return };
        let Some(recording) = &mut self.ordered_recording else { return };
        let channels = channels(recording.separate, stream, peer);
        if channels != recording.channels {
            recording.channels.clone_from(&channels);
            context.media(Command::Tap { recording: recording.id, channels });
        }
    }
}

/// What is in each channel. Who talks to many is one of those many.
fn channels(separate: bool, stream: StreamId, peer: Option<Tap>) -> Vec<Vec<Tap>> {
    let own = Tap::Leg(stream);
    let peer: Vec<Tap> = peer.into_iter().collect();
    match (separate, peer.first()) {
        (true, _) => vec![vec![own], peer],
        (false, Some(Tap::Mix(_))) => vec![peer],
        (false, _) => vec![[vec![own], peer].concat()],
    }
}
