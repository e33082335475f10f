//! Announcements: what is in a file is played to the caller, who is then hung up, or rung on to somebody.
//!
//! Before it rings on, the caller hears the announcement as early media: the call is not answered yet, and costs nothing.

use super::Context;
use super::application::Application;
use super::call::{Call, Stage};
use super::leg::Carries;
use crate::audio::Clip;
use crate::boundary::What;
use crate::cdr::EndedBy;
use crate::config::Announcement;
use crate::dialog::Reply;
use crate::media::{Command, Source, StreamId};
use crate::route::{self, Access, Decision};
use crate::sdp::Direction;
use crate::sip::StatusCode;
use std::path::Path;
use std::sync::Arc;

impl Call {
    /// Plays what is in the file as soon as it is read.
    pub(super) fn announce(&mut self, announcement: Announcement, context: &mut Context) {
        let clip = context.want_sound(&announcement.file);
        self.stage = Stage::Preparing(Decision::Announcement(announcement));
        if let Some(clip) = clip {
            self.on_announcement(&Ok(clip), context);
        }
    }

    /// A file was read, or cannot be.
    pub(super) fn on_sound(&mut self, file: &Path, sound: &Result<Arc<Clip>, String>, context: &mut Context) {
        match &self.stage {
            Stage::Controlled(_) => self.on_sound_in_hand(file, sound, context),
            Stage::Served(Application::Voicemail(_)) => self.on_sound_for_visit(file, sound, context),
            _ => self.on_announcement(sound, context),
        }
    }

    fn on_announcement(&mut self, sound: &Result<Arc<Clip>, String>, context: &mut Context) {
        let Stage::Preparing(Decision::Announcement(announcement)) = &self.stage else {
            return;
        };
        let announcement = announcement.clone();
        match (sound, &announcement.then) {
            (Ok(clip), None) => {
                let (clip, times) = (clip.clone(), announcement.times);
                let until_key = announcement.until_key;
                self.alert(Application::Announcement { clip, times, until_key }, context);
            }
            (Ok(clip), Some(_)) => self.announce_early(clip.clone(), announcement, context),
            (Err(reason), then) => {
                self.was_not_played(&announcement.file, reason, context);
                match then {
                    Some(number) => self.ring_on(number, context),
                    None => self.refuse(
                        EndedBy::Pbx,
                        Reply::new(StatusCode::SERVICE_UNAVAILABLE),
                        "the announcement cannot be played",
                        context,
                    ),
                }
            }
        }
    }

    /// A key was heard that the engine knows nothing of: it ends what a key ends.
    pub(super) fn on_key_by_info(&mut self, key: char, context: &mut Context) {
        if self.controlled().is_some() {
            self.on_key_in_hand(context);
            return self.collect_key(key, context);
        }
        self.on_visit_key(key, context);
        let until_key = match &self.stage {
            Stage::Served(Application::Announcement { until_key, .. }) => *until_key,
            Stage::Announcing(announcement) => announcement.until_key,
            _ => false,
        };
        let Some(stream) = self.caller.stream().filter(|_| until_key) else {
            return;
        };
        context.media(Command::Stop(stream));
        self.on_played(true, context);
    }

    /// What was played is over, or a key has ended it.
    pub(super) fn on_played(&mut self, interrupted: bool, context: &mut Context) {
        match &self.stage {
            Stage::Controlled(_) => self.on_played_in_hand(interrupted, context),
            Stage::Served(Application::Voicemail(_)) => self.on_visit_played(context),
            Stage::Served(application) => {
                let why = format!("the {} has ended", application.name());
                self.end(EndedBy::Pbx, why, None, context);
            }
            Stage::Announcing(announcement) => {
                let number = announcement.then.clone().unwrap_or_default();
                self.ring_on(&number, context);
            }
            _ => {}
        }
    }

    /// The announcement goes out before the call is answered.
    fn announce_early(&mut self, clip: Arc<Clip>, announcement: Announcement, context: &mut Context) {
        let number = announcement.then.clone().unwrap_or_default();
        let (Some(session), Some(stream)) = (self.caller.session, self.caller.stream()) else {
            return;
        };
        // Who has made no offer, or was answered before, hears nothing that is not agreed on.
        if !self.invitation.has_offer || self.answer.is_some() {
            return self.ring_on(&number, context);
        }
        let local = self.caller.local_audio(context.own_codecs(), Direction::SendRecv, context.advertised());
        let Some((description, agreement)) = self.answer_or_refuse(&local, context) else { return };
        self.caller.agree(&agreement, Carries::Tone, context);
        self.answer = Some(description);
        let status = StatusCode::SESSION_PROGRESS;
        context.agent.ring(session, status, self.answer.clone(), true, Vec::new(), context.now);
        self.is_ringing(context);
        context.play(stream, clip, announcement.times, announcement.until_key);
        self.stage = Stage::Announcing(announcement);
    }

    /// Rings somebody, while the caller hears the ringing tone if it already hears us.
    fn ring_on(&mut self, number: &str, context: &mut Context) {
        let (caller, source) = (self.invitation.caller.clone(), self.caller.path.remote.ip());
        let routed = context.route(number, &caller, source);
        let leads_out = matches!(routed.decision, Decision::Trunk { .. });
        if leads_out && route::access(&routed, &caller) != Access::Open {
            let reply = Reply::new(StatusCode::FORBIDDEN);
            return self.refuse(EndedBy::Pbx, reply, "the caller may not call where this leads", context);
        }
        if let (Some(stream), Some(_)) = (self.caller.stream(), &self.answer) {
            context.play(stream, Clip::ringback(), None, false);
        }
        // An announcement that leads to an announcement might never end.
        match routed.decision {
            Decision::Announcement(_) => {
                let reply = Reply::new(StatusCode::LOOP_DETECTED);
                self.refuse(EndedBy::Pbx, reply, "an announcement leads to an announcement", context);
            }
            decision => self.proceed(decision, context),
        }
    }

    /// Says that something could not be played.
    fn was_not_played(&mut self, file: &Path, reason: &str, context: &mut Context) {
        let what = What::NotPlayed { file: file.to_owned(), reason: reason.to_owned() };
        context.tell(&self.facts.call_id, what);
    }
}

impl Context {
    /// Plays a sound on a stream of this call.
    pub(super) fn play(&mut self, stream: StreamId, clip: Arc<Clip>, times: Option<u32>, until_key: bool) {
        self.media(Command::Play { stream, source: Source::Clip { clip, times } });
        if until_key {
            self.media(Command::StopAtKey(stream));
        }
    }
}
