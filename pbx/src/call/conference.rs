//! Conferences: who dials one hears all who are in it, and is heard by all, or by those the route names. And those that an
//! application opens and fills by command.

use super::Context;
use super::application::Application;
use super::call::{Call, Stage};
use super::calls::Calls;
use super::command::{Answer, Code, Refusal, done, done_with};
use super::mixes::Rule;
use crate::audio::Gain;
use crate::boundary::What;
use crate::config;
use crate::media::{Command, MixId, RecordingId, RoomId, StreamId, Tap};
use crate::route::{Caller, Decision};
use std::collections::BTreeMap;

/// Conferences by command at a time.
const CONFERENCES: usize = 1_000;

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
    /// How loud.
    volume: Gain,
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
        let volume = wanted.volume;
        let voice = if heard_by.is_some() { Gain::NOTHING } else { volume };
        let mut commands = vec![Command::Join { mix, stream, voice }];
        let mut hears = |from: StreamId, to: StreamId, gain: Gain| {
            commands.push(Command::Gain { mix, from, to, gain });
        };
        for other in &conference.members {
            if heard_by.as_ref().is_some_and(|heard_by| heard_by.contains(&other.number)) {
                hears(stream, other.stream, volume);
            }
            if other.heard_by.as_ref().is_some_and(|heard_by| heard_by.contains(&number)) {
                hears(other.stream, stream, other.volume);
            }
        }
        conference.members.push(Member { stream, number, heard_by, volume });
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

impl Calls {
    /// A conference that nobody is in yet.
    pub(crate) fn create_conference(
        &mut self,
        name: Option<String>,
        most: usize,
        context: &mut Context,
    ) -> Answer {
        let name = name.unwrap_or_else(|| format!("conf_{}", context.rng.token(8)));
        if context.mixes.conference(&name).is_some() {
            return Err(Refusal::new(Code::InvalidParams, format!("there is a conference {name:?} already")));
        }
        if context.mixes.conferences() >= CONFERENCES {
            return Err(Refusal::new(Code::RateLimited, format!("there are {CONFERENCES} conferences")));
        }
        context.new_mix(Rule::Conference { name: name.clone(), most, members: BTreeMap::new() });
        context.tell_all(What::ConferenceCreated { conference: name.clone() });
        done_with([("conf_id", name.into())])
    }

    /// A call comes into a conference.
    pub(crate) fn add_to_conference(&mut self, name: &str, call_id: &str, context: &mut Context) -> Answer {
        let (mix, room) = self.conference_and_call(name, call_id, context)?;
        self.call(room).ok_or_else(|| Refusal::no_call(call_id))?.in_hand()?;
        match context.mixes.rule(mix) {
            Some(Rule::Conference { members, .. }) if members.contains_key(&room) => {
                return Err(Refusal::state(format!("{call_id:?} is in the conference already")));
            }
            Some(Rule::Conference { members, most, .. }) if members.len() >= *most => {
                return Err(Refusal::new(
                    Code::RateLimited,
                    format!("the conference has {most} members, as it may"),
                ));
            }
            _ => {}
        }
        self.part(room, None, context);
        self.with(room, context, |call, context| call.stop_playing(context));
        if let Some(Rule::Conference { members, .. }) = context.mixes.rule(mix) {
            members.insert(room, false);
        }
        self.mix_in(mix, room);
        self.tune(room, context);
        context.tell(call_id, What::ConferenceJoined { conference: name.to_owned() });
        done()
    }

    /// A call leaves a conference; it is parked.
    pub(crate) fn remove_from_conference(
        &mut self,
        name: &str,
        call_id: &str,
        context: &mut Context,
    ) -> Answer {
        let (mix, room) = self.conference_and_call(name, call_id, context)?;
        self.member(mix, room, context)?;
        self.leave_mix(mix, room, context);
        done()
    }

    /// A member of a conference is heard no longer, or again.
    pub(crate) fn mute_in_conference(
        &mut self,
        name: &str,
        call_id: &str,
        muted: bool,
        context: &mut Context,
    ) -> Answer {
        let (mix, room) = self.conference_and_call(name, call_id, context)?;
        self.member(mix, room, context)?;
        if let Some(Rule::Conference { members, .. }) = context.mixes.rule(mix) {
            members.insert(room, muted);
        }
        if let Some(call) = self.call(room) {
            context.media_room = call.media_room;
        }
        context.set_gains(mix);
        context.tell(call_id, What::ConferenceMuted { conference: name.to_owned(), muted });
        done()
    }

    /// A conference is over; all who are in it are parked.
    pub(crate) fn destroy_conference(&mut self, name: &str, context: &mut Context) -> Answer {
        let mix = context.mixes.conference(name).ok_or_else(|| no_conference(name))?;
        let members = context.mixes.rule(mix).map(|rule| rule.members()).unwrap_or_default();
        members.into_iter().for_each(|room| self.leave_mix(mix, room, context));
        context.mixes.remove(mix);
        context.tell_all(What::ConferenceDestroyed { conference: name.to_owned() });
        done()
    }

    fn conference_and_call(
        &mut self,
        name: &str,
        call_id: &str,
        context: &Context,
    ) -> Result<(MixId, RoomId), Refusal> {
        let mix = context.mixes.conference(name).ok_or_else(|| no_conference(name))?;
        let room = self.room_of(call_id).ok_or_else(|| Refusal::no_call(call_id))?;
        Ok((mix, room))
    }

    fn member(&self, mix: MixId, room: RoomId, context: &mut Context) -> Result<(), Refusal> {
        match context.mixes.rule(mix) {
            Some(Rule::Conference { members, .. }) if members.contains_key(&room) => Ok(()),
            _ => Err(Refusal::state("the call is not in the conference")),
        }
    }
}

fn no_conference(name: &str) -> Refusal {
    Refusal::new(Code::InvalidParams, format!("conf_id: there is no conference {name:?}"))
}
