//! Conferences: who dials one hears all who are in it, and is heard by all, or by those the route names.

use super::Context;
use super::application::Application;
use super::call::{Call, Stage};
use crate::audio::Gain;
use crate::config;
use crate::media::{Command, MixId, RecordingId, RoomId, StreamId, Tap};
use crate::route::{Caller, Decision};
use std::collections::BTreeMap;

/// Conferences that are held, by name.
#[derive(Default)]
pub(super) struct Conferences {
    held: BTreeMap<String, Conference>,
    last_mix: u64,
}

/// One that is held.
struct Conference {
    mix: MixId,
    /// The room of its first member: all media of a conference are in one engine.
    room: RoomId,
    members: Vec<Member>,
    recording: Option<RecordingId>,
}

struct Member {
    stream: StreamId,
    /// Who it is: the number of an extension, or what From says.
    number: String,
    /// Who hears it; `None`: all.
    heard_by: Option<Vec<String>>,
}

impl Conferences {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn new_mix(&mut self) -> MixId {
        self.last_mix += 1;
        MixId(self.last_mix)
    }
}

impl Context {
    /// The room in which the media of a call are that begins with this decision; `own` where it is free to choose.
    pub(super) fn media_room_of(&self, decision: &Decision, own: RoomId) -> RoomId {
        match decision {
            Decision::Conference(conference) => {
                self.conferences.held.get(&conference.name).map_or(own, |held| held.room)
            }
            _ => own,
        }
    }

    fn join_conference(
        &mut self,
        wanted: &config::Conference,
        stream: StreamId,
        number: String,
        call_id: &str,
    ) {
        let room = self.media_room;
        let conferences = &mut self.conferences;
        let conference = conferences.held.entry(wanted.name.clone()).or_insert_with(|| {
            conferences.last_mix += 1;
            Conference { mix: MixId(conferences.last_mix), room, members: Vec::new(), recording: None }
        });
        if conference.members.iter().any(|member| member.stream == stream) {
            return;
        }
        let mix = conference.mix;
        let heard_by = wanted.heard_by.clone();
        let voice = if heard_by.is_some() { Gain::NOTHING } else { Gain::UNITY };
        let mut commands = vec![Command::Join { mix, stream, voice }];
        let mut hears = |from: StreamId, to: StreamId| {
            commands.push(Command::Gain { mix, from, to, gain: Gain::UNITY });
        };
        for other in &conference.members {
            if heard_by.as_ref().is_some_and(|heard_by| heard_by.contains(&other.number)) {
                hears(stream, other.stream);
            }
            if other.heard_by.as_ref().is_some_and(|heard_by| heard_by.contains(&number)) {
                hears(other.stream, stream);
            }
        }
        conference.members.push(Member { stream, number, heard_by });
        let records = wanted.record && conference.recording.is_none();
        commands.into_iter().for_each(|command| self.media(command));
        if records {
            let recording =
                self.record(&format!("{}-{call_id}", wanted.name), vec![vec![Tap::Mix(mix)]], call_id);
            if let Some(conference) = self.conferences.held.get_mut(&wanted.name) {
                conference.recording = recording;
            }
        }
    }

    fn leave_conference(&mut self, name: &str, stream: StreamId) {
        let Some(conference) = self.conferences.held.get_mut(name) else { return };
        conference.members.retain(|member| member.stream != stream);
        if !conference.members.is_empty() {
            return;
        }
        let recording = conference.recording.take();
        self.conferences.held.remove(name);
        if let Some(recording) = recording {
            self.media(Command::StopRecording(recording));
        }
    }
}

impl Call {
    /// The caller is answered: it hears the others, and they hear it.
    pub(super) fn enter_conference(&mut self, conference: &config::Conference, context: &mut Context) {
        let Some(stream) = self.caller.stream() else { return };
        let number = match &self.invitation.caller {
            Caller::Extension(number) => number.clone(),
            Caller::Trunk(_) | Caller::Anonymous => self.facts.caller.clone(),
        };
        context.join_conference(conference, stream, number, &self.facts.call_id);
    }

    /// The call is over: if it was in a conference, it is so no longer.
    pub(super) fn quit_conference(&mut self, context: &mut Context) {
        if let (Stage::Served(Application::Conference(conference)), Some(stream)) =
            (&self.stage, self.caller.stream())
        {
            context.leave_conference(&conference.name, stream);
        }
    }
}
