//! A call in somebody's hand: one leg that is answered, and that does what it is told, by an application.
//!
//! What it hears is, first of all, what is played to it or its music while it is on hold; under that, the one it is bridged
//! with, or a mix; under that, silence. What lies on top goes away and what lies beneath is heard again, so nobody has to
//! remember what was before.

use super::Context;
use super::application::Application;
use super::call::{Call, Stage};
use super::collecting::Collecting;
use super::command::{Answer, Play, Refusal, Sound, Ticket, done, done_with};
use super::holding::Hold;
use super::leg::Carries;
use super::sending::Sent;
use super::transfer::Referral;
use crate::audio::Clip;
use crate::boundary::What;
use crate::cdr::EndedBy;
use crate::config;
use crate::media::{Command, MixId, RoomId, Source, StreamId, Tap};
use crate::route::Decision;
use crate::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The level of tones in dBm0.
const TONE_LEVEL: f64 = -10.0;

/// What says that a recording begins, in Hz: what telephone recorders have always said it with.
const BEEP: f64 = 1_400.0;
/// How long.
const BEEP_LENGTH: Duration = Duration::from_millis(200);

/// What a call in somebody's hand does.
#[derive(Debug, Default)]
pub(super) struct Controlled {
    pub(super) doing: Doing,
    pub(super) playing: Option<Playing>,
    pub(super) hold: Option<Hold>,
    /// It is taken off hold as soon as it is on.
    pub(super) is_to_be_released: bool,
    pub(super) collecting: Option<Collecting>,
    pub(super) sent: Sent,
    pub(super) referral: Option<Referral>,
    /// It waits in a queue.
    pub(super) waits: Option<Waits>,
    /// An application of the dial plan that takes the call over as soon as its file is read.
    pub(super) heads_for: Option<config::Announcement>,
    /// What the media engine was told last.
    heard: Heard,
    /// How many times something was played that applications are told of, and how many times anything was.
    tracks: u64,
    turns: u64,
}

/// What is heard, as the media engine was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Heard {
    /// It was told nothing, or what it was told is over.
    #[default]
    Nothing,
    /// What is played, which turn it was.
    Track(u64),
    Music,
    Silence,
    Bridged(RoomId),
    Mixed(MixId),
}

/// Who is heard beneath all that is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nobody.
    #[default]
    Parked,
    /// This other call.
    Bridged(RoomId),
    /// All who are in a mix.
    Mixed(MixId),
}

/// What a call has to do with the queue it waits in.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    pub(super) queue: String,
    /// What it hears again after everything else; our own where there is none.
    pub(super) music: Option<PathBuf>,
}

/// Something that is played, or will be as soon as its file is read.
#[derive(Debug)]
pub(super) struct Playing {
    /// Which it is of all that was played.
    turn: u64,
    /// What applications call it; `None`: they are not told of it.
    track: Option<String>,
    play: Play,
    state: Progress,
}

#[derive(Debug)]
enum Progress {
    /// Its file is being read; this one is to be told that it begins.
    Reading(Option<Ticket>),
    /// It is heard.
    Heard(Source),
}

/// What one call has to say to others when it has done its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// What this one and those who hear it hear is to be settled anew.
    Tune(RoomId),
    /// The one it was bridged with is gone.
    Part { left: RoomId, gone: RoomId, name: String },
    /// It is to hear that it is recorded.
    Beep(RoomId),
    /// This one is in that mix no longer.
    LeaveMix(MixId, RoomId),
    /// It waits in a queue from now on.
    Enqueue(RoomId, String),
    /// It has waited there as long as it may.
    Waited(RoomId),
    /// An agent may be free for it.
    Look(RoomId),
    /// It is told how long it may take.
    Announce(RoomId),
    /// What was ordered was answered, or is over: who waits for it goes on.
    Changed(RoomId),
}

/// Notes that are kept with a call, and how long they may be.
#[derive(Debug, Default)]
pub(super) struct Notes(BTreeMap<String, String>);

impl Notes {
    const MOST: usize = 64;
    const LONGEST: usize = 4_096;

    pub(super) fn set(&mut self, key: String, value: String) -> Answer {
        if key.len() > Notes::LONGEST || value.len() > Notes::LONGEST {
            return Err(Refusal::state(format!("a note has at most {} bytes", Notes::LONGEST)));
        }
        if self.0.len() >= Notes::MOST && !self.0.contains_key(&key) {
            return Err(Refusal::state(format!("a call has at most {} notes", Notes::MOST)));
        }
        self.0.insert(key, value);
        done()
    }

    pub(super) fn answer(&self, key: &str) -> Answer {
        done_with([("key", key.into()), ("value", self.0.get(key).cloned().into())])
    }
}

impl Call {
    /// What it does, when it is in somebody's hand.
    pub(super) fn controlled(&mut self) -> Option<&mut Controlled> {
        match &mut self.stage {
            Stage::Controlled(controlled) => Some(controlled),
            _ => None,
        }
    }

    /// Who is heard beneath all that is played.
    pub(super) fn doing(&self) -> Option<Doing> {
        match &self.stage {
            Stage::Controlled(controlled) => Some(controlled.doing),
            _ => None,
        }
    }

    /// The same, or why the call cannot do what is asked of it.
    pub(super) fn in_hand(&mut self) -> Result<&mut Controlled, Refusal> {
        Err(Refusal::state(match &mut self.stage {
            Stage::Controlled(controlled) => return Ok(controlled),
            Stage::Waiting(_)
            | Stage::Preparing(_)
            | Stage::Alerting(_)
            | Stage::Announcing(_)
            | Stage::Dialling(_) => "the call is not answered yet",
            Stage::Served(_) => "the call is in an application of the dial plan",
            Stage::Talking(_) => "two extensions talk: attach to the call first",
            Stage::Over => "the call is over",
        }))
    }

    /// From now on the call does what it is told.
    pub(super) fn come_in_hand(&mut self, context: &mut Context) {
        self.stage = Stage::Controlled(Controlled::default());
        self.agree_in_hand(context);
        context.wish(Wish::Tune(self.room));
    }

    /// What was agreed holds for its media.
    pub(super) fn agree_in_hand(&self, context: &mut Context) {
        if let Some(agreement) = self.caller.negotiation.agreed() {
            self.caller.agree(agreement, Carries::Talk, context);
        }
    }

    /// Whether it hears something that lies on top of whom it talks to.
    pub(super) fn hears_a_sound(&self) -> bool {
        match &self.stage {
            Stage::Controlled(controlled) => {
                controlled.track().is_some() || controlled.hold.as_ref().is_some_and(Hold::is_on)
            }
            _ => false,
        }
    }

    /// Lets it hear something; the answer comes when it begins.
    pub(super) fn play(&mut self, play: Play, ticket: Ticket, context: &mut Context) -> Option<Answer> {
        if let Err(refusal) = self.in_hand() {
            return Some(Err(refusal));
        }
        self.begin_to_play(play, Some(ticket), true, context);
        None
    }

    /// Something is heard as soon as it is known what. Events tell only of what an application has asked for.
    fn begin_to_play(&mut self, play: Play, asked: Option<Ticket>, is_told: bool, context: &mut Context) {
        self.stop_playing(context);
        let source = context.source_of(&play);
        let Some(controlled) = self.controlled() else { return };
        controlled.tracks += u64::from(is_told);
        controlled.turns += 1;
        let track = is_told.then(|| format!("t_{}", controlled.tracks));
        let (turn, state) = (controlled.turns, Progress::Reading(asked));
        controlled.playing = Some(Playing { turn, track, play, state });
        if let Some(source) = source {
            self.start_playing(source, context);
        }
    }

    /// A file was read, or cannot be.
    pub(super) fn on_sound_in_hand(
        &mut self,
        file: &Path,
        sound: &Result<Arc<Clip>, String>,
        context: &mut Context,
    ) {
        self.on_music(file, sound, context);
        let Some(controlled) = self.controlled() else { return };
        if let Some(announcement) = controlled.heads_for.take_if(|announcement| announcement.file == file) {
            return self.on_announcement_for(announcement, sound, context);
        }
        let Some(playing) = controlled.playing.take_if(|playing| playing.waits_for(file)) else { return };
        match (sound, &playing.state) {
            (Ok(clip), _) => {
                let times = times(&playing.play);
                controlled.playing = Some(playing);
                self.start_playing(Source::Clip { clip: clip.clone(), times }, context);
            }
            (Err(reason), Progress::Reading(Some(ticket))) => {
                context.answer(*ticket, Err(super::sounds::not_playable(file, reason)));
            }
            (Err(reason), _) => {
                let (waits, was_music) = (controlled.waits.clone(), playing.play.repeats);
                let what = What::NotPlayed { file: file.to_owned(), reason: reason.clone() };
                context.tell(&self.facts.call_id, what);
                match waits {
                    Some(_) if was_music => {
                        let play = Play { sound: Sound::Music, repeats: true, until_key: false };
                        self.begin_to_play(play, None, false, context);
                    }
                    Some(waits) => self.play_waiting_music(waits, context),
                    None => {}
                }
            }
        }
    }

    /// What is played is over, if there is something; whoever waits that it begins is told that it does not.
    pub(super) fn stop_playing(&mut self, context: &mut Context) {
        let Some(playing) = self.controlled().and_then(|controlled| controlled.playing.take()) else {
            return;
        };
        match playing.state {
            Progress::Reading(Some(ticket)) => {
                context.answer(ticket, Err(Refusal::state("it was stopped before it began")));
            }
            Progress::Reading(None) => {}
            Progress::Heard(_) => self.tell_that_it_ended(playing.track, true, context),
        }
        context.wish(Wish::Tune(self.room));
    }

    /// The engine has played the last of it, or a key has ended it.
    pub(super) fn on_played_in_hand(&mut self, interrupted: bool, context: &mut Context) {
        let Some(controlled) = self.controlled() else { return };
        controlled.heard = Heard::Nothing;
        if let Some(playing) = controlled.playing.take_if(|playing| !playing.is_being_read()) {
            self.tell_that_it_ended(playing.track, interrupted, context);
        }
        if let Some(waits) = self.controlled().and_then(|controlled| controlled.waits.clone()) {
            return self.play_waiting_music(waits, context);
        }
        context.wish(Wish::Tune(self.room));
    }

    /// A key was heard that the engine knows nothing of: it ends what a key ends.
    pub(super) fn on_key_in_hand(&mut self, context: &mut Context) {
        let Some(controlled) = self.controlled() else { return };
        let ends = |playing: &Playing| playing.play.until_key && !playing.is_being_read();
        if controlled.playing.as_ref().is_some_and(ends) {
            self.on_played_in_hand(true, context);
        }
    }

    /// Lets it hear music until something else is played; nobody waits for that.
    pub(super) fn play_music(&mut self, file: PathBuf, context: &mut Context) {
        let play = Play { sound: Sound::File(file), repeats: true, until_key: false };
        self.begin_to_play(play, None, true, context);
    }

    /// Lets it hear the music of a queue.
    pub(super) fn play_waiting_music(&mut self, waits: Waits, context: &mut Context) {
        let file = waits.music.clone().or_else(|| context.config.rwi.hold_music.clone());
        let Some(controlled) = self.controlled() else { return };
        controlled.waits = Some(waits);
        let sound = file.map_or(Sound::Music, Sound::File);
        self.begin_to_play(Play { sound, repeats: true, until_key: false }, None, false, context);
    }

    /// Lets who waits in a queue hear a file once; after it the music goes on.
    pub(super) fn play_over_music(&mut self, file: PathBuf, context: &mut Context) {
        let play = Play { sound: Sound::File(file), repeats: false, until_key: false };
        self.begin_to_play(play, None, false, context);
    }

    /// A short tone says that it is recorded.
    pub(super) fn beep(&mut self, context: &mut Context) {
        if self.controlled().is_some_and(|controlled| controlled.playing.is_none()) {
            let sound = Sound::Tone { frequency: BEEP, duration: Some(BEEP_LENGTH) };
            self.begin_to_play(Play { sound, repeats: false, until_key: false }, None, false, context);
        }
    }

    /// An application of the dial plan takes the call over.
    pub(super) fn be_served(&mut self, decision: Decision, context: &mut Context) {
        let application = match decision {
            Decision::Tone { frequency, duration, answer_delay } => {
                Application::Tone { frequency, duration, answer_delay }
            }
            Decision::Echo => Application::Echo,
            Decision::Conference(conference) => Application::Conference(conference),
            Decision::Announcement(announcement) => {
                let clip = context.want_sound(&announcement.file);
                match clip {
                    Some(clip) => return self.on_announcement_for(announcement, &Ok(clip), context),
                    None => {
                        if let Some(controlled) = self.controlled() {
                            controlled.heads_for = Some(announcement);
                        }
                        return;
                    }
                }
            }
            Decision::Queue { queue } => return context.wish(Wish::Enqueue(self.room, queue)),
            Decision::Application { context: name } => {
                self.of_context.clone_from(&name);
                let (caller, dialled) = (self.facts.caller.clone(), name.clone());
                return context
                    .tell(&self.facts.call_id, What::CallIncoming { caller, dialled, context: name });
            }
            Decision::Extension { .. }
            | Decision::Trunk { .. }
            | Decision::NotFound
            | Decision::Reject { .. } => {
                return self.end(EndedBy::Pbx, "the transfer leads nowhere", None, context);
            }
        };
        self.go_over_to(application, context);
    }

    fn on_announcement_for(
        &mut self,
        announcement: config::Announcement,
        sound: &Result<Arc<Clip>, String>,
        context: &mut Context,
    ) {
        match sound {
            Ok(clip) => {
                let (clip, times, until_key) = (clip.clone(), announcement.times, announcement.until_key);
                self.go_over_to(Application::Announcement { clip, times, until_key }, context);
            }
            Err(reason) => {
                let what = What::NotPlayed { file: announcement.file, reason: reason.clone() };
                context.tell(&self.facts.call_id, what);
                self.end(EndedBy::Pbx, "the announcement cannot be played", None, context);
            }
        }
    }

    fn go_over_to(&mut self, application: Application, context: &mut Context) {
        self.leave_hand(context);
        if let Some(agreement) = self.caller.negotiation.agreed() {
            self.caller.agree(agreement, application.carries(), context);
        }
        self.stage = Stage::Served(application);
        self.start_application(context);
    }

    fn start_playing(&mut self, source: Source, context: &mut Context) {
        let room = self.room;
        let Some(playing) = self.controlled().and_then(|controlled| controlled.playing.as_mut()) else {
            return;
        };
        let track = playing.track.clone();
        let before = std::mem::replace(&mut playing.state, Progress::Heard(source));
        if let Some(track) = track {
            if let Progress::Reading(Some(ticket)) = before {
                context.answer(ticket, done_with([("track_id", track.clone().into())]));
            }
            context.tell(&self.facts.call_id, What::PlayStarted { track });
        }
        context.wish(Wish::Tune(room));
    }

    fn tell_that_it_ended(&self, track: Option<String>, interrupted: bool, context: &mut Context) {
        if let Some(track) = track {
            context.tell(&self.facts.call_id, What::PlayFinished { track, interrupted });
        }
    }

    /// Lets the media engine do what is to be heard now, where that is something else than before. `peer_listens`: the one it
    /// is bridged with hears nothing that lies on top; `peer` is the stream of that one.
    pub(super) fn tune(&mut self, peer: Option<StreamId>, peer_listens: bool, context: &mut Context) {
        let Some(stream) = self.caller.stream() else { return };
        let Some(controlled) = self.controlled() else { return };
        let wanted = match (controlled.track(), &controlled.hold, controlled.doing) {
            (Some((turn, _)), ..) => Heard::Track(turn),
            (None, Some(hold), _) if hold.is_on() => Heard::Music,
            (None, _, Doing::Bridged(other)) if peer_listens && peer.is_some() => Heard::Bridged(other),
            (None, _, Doing::Mixed(mix)) => Heard::Mixed(mix),
            (None, _, Doing::Bridged(_) | Doing::Parked) => Heard::Silence,
        };
        let doing = controlled.doing;
        let is_heard = wanted == controlled.heard;
        let talks_to = match doing {
            Doing::Bridged(_) => peer.map(Tap::Leg),
            Doing::Mixed(mix) => Some(Tap::Mix(mix)),
            Doing::Parked => None,
        };
        if is_heard {
            return self.follow_with_recording(talks_to, context);
        }
        let Some(controlled) = self.controlled() else { return };
        match (&wanted, peer) {
            (Heard::Track(_), _) => {
                let until_key = controlled.playing.as_ref().is_some_and(|playing| playing.play.until_key);
                if let Some((_, source)) = controlled.track() {
                    context.media(Command::Play { stream, source: source.clone() });
                }
                if until_key {
                    context.media(Command::StopAtKey(stream));
                }
            }
            (Heard::Music, _) => {
                if let Some(clip) = controlled.hold.as_ref().and_then(Hold::music) {
                    let source = Source::Clip { clip: clip.clone(), times: None };
                    context.media(Command::Play { stream, source });
                }
            }
            (Heard::Bridged(_), Some(peer)) => context.media(Command::Bridge(stream, peer)),
            (Heard::Mixed(mix), _) => context.enter_mix(*mix, self.room, stream),
            (Heard::Bridged(_) | Heard::Silence | Heard::Nothing, _) => {
                context.media(Command::Play { stream, source: Source::Silence { duration: None } });
            }
        }
        if let Some(controlled) = self.controlled() {
            controlled.heard = wanted;
        }
        self.follow_with_recording(talks_to, context);
    }

    /// The call is over: who waits for something of it is told, and who hears it no longer does.
    pub(super) fn leave_hand(&mut self, context: &mut Context) {
        if let Some(Waits { queue, .. }) = self.controlled().and_then(|controlled| controlled.waits.take()) {
            context.tell(&self.facts.call_id, What::QueueLeft { queue, reason: "abandoned" });
        }
        self.stop_playing(context);
        self.stop_holding(context);
        self.stop_collecting(context);
        let room = self.room;
        let Some(controlled) = self.controlled() else { return };
        let doing = std::mem::take(&mut controlled.doing);
        std::mem::take(&mut controlled.sent).close(context);
        match doing {
            Doing::Parked => {}
            Doing::Bridged(left) => {
                context.wish(Wish::Part { left, gone: room, name: self.facts.call_id.clone() });
            }
            Doing::Mixed(mix) => context.wish(Wish::LeaveMix(mix, room)),
        }
    }
}

impl Controlled {
    /// One that has heard this other one before it came in hand, and goes on doing so.
    pub(super) fn bridged_before(peer: RoomId) -> Controlled {
        Controlled { doing: Doing::Bridged(peer), heard: Heard::Bridged(peer), ..Controlled::default() }
    }

    /// For people who look.
    pub(super) fn name(&self) -> &'static str {
        match (&self.hold, self.doing) {
            (Some(_), _) => "held",
            (None, Doing::Parked) => "parked",
            (None, Doing::Bridged(_)) => "bridged",
            (None, Doing::Mixed(_)) => "mixed",
        }
    }

    /// What is played, while it is heard.
    fn track(&self) -> Option<(u64, &Source)> {
        match &self.playing {
            Some(Playing { turn, state: Progress::Heard(source), .. }) => Some((*turn, source)),
            Some(_) | None => None,
        }
    }
}

impl Playing {
    fn is_being_read(&self) -> bool {
        matches!(self.state, Progress::Reading(_))
    }

    fn waits_for(&self, wanted: &Path) -> bool {
        self.is_being_read() && matches!(&self.play.sound, Sound::File(file) if file == wanted)
    }
}

/// How often it is played; `None`: until it is stopped.
fn times(play: &Play) -> Option<u32> {
    (!play.repeats && !matches!(play.sound, Sound::Ringback | Sound::Music)).then_some(1)
}

impl Context {
    /// What a sound is made of; `None` while its file is being read.
    fn source_of(&mut self, play: &Play) -> Option<Source> {
        let times = times(play);
        let length = |duration: &Option<Duration>| duration.filter(|_| times.is_some());
        let clip = match &play.sound {
            Sound::File(file) => self.want_sound(file)?,
            Sound::Ringback => self.ringback(),
            Sound::Music => self.music(),
            Sound::Silence(duration) => return Some(Source::Silence { duration: length(duration) }),
            Sound::Tone { frequency, duration } => {
                let (frequency, level, duration) = (*frequency, TONE_LEVEL, length(duration));
                return Some(Source::Tone { frequency, level, duration });
            }
        };
        Some(Source::Clip { clip, times })
    }

    /// Something that is to be done with other calls, as soon as this one is done.
    pub(super) fn wish(&mut self, wish: Wish) {
        self.wishes.push_back(wish);
    }

    /// The answer to a command.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push_back((ticket, answer));
    }
}
