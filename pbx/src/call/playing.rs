//! What is played to a call in somebody's hand: prompts and tones for an application, the music and announcements of a queue,
//! the beep of a recording. There is one at a time; whatever begins ends what was before.

use super::Context;
use super::call::Call;
use super::command::{Answer, Play, Refusal, Sound, Ticket, done_with};
use super::controlled::{Heard, Wish};
use crate::audio::Clip;
use crate::boundary::What;
use crate::media::Source;
use crate::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The level of tones in dBm0.
const TONE_LEVEL: f64 = -10.0;

/// What says that a recording begins, in Hz: what telephone recorders have always said it with.
const BEEP: f64 = 1_400.0;

/// How long.
const BEEP_LENGTH: Duration = Duration::from_millis(200);

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

impl Call {
    /// Lets it hear something; the answer comes when it begins.
    pub(super) fn play(&mut self, play: Play, ticket: Ticket, context: &mut Context) -> Option<Answer> {
        if let Err(refusal) = self.in_hand() {
            return Some(Err(refusal));
        }
        self.begin_to_play(play, Some(ticket), true, context);
        None
    }

    /// Lets it hear something that nobody else is told of.
    pub(super) fn play_for_us(&mut self, play: Play, context: &mut Context) {
        self.begin_to_play(play, None, false, context);
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
        self.on_music_while_away(file, sound, context);
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
}

impl Playing {
    fn is_being_read(&self) -> bool {
        matches!(self.state, Progress::Reading(_))
    }

    fn waits_for(&self, wanted: &Path) -> bool {
        self.is_being_read() && matches!(&self.play.sound, Sound::File(file) if file == wanted)
    }

    /// What is heard, and which turn it is; `None` while its file is being read.
    pub(super) fn heard(&self) -> Option<(u64, &Source)> {
        match &self.state {
            Progress::Heard(source) => Some((self.turn, source)),
            Progress::Reading(_) => None,
        }
    }

    /// Whether a key ends it.
    pub(super) fn ends_with_key(&self) -> bool {
        self.play.until_key
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
            Sound::Ringback => Clip::ringback(),
            Sound::Music => Clip::music(),
            Sound::Silence(duration) => return Some(Source::Silence { duration: length(duration) }),
            Sound::Tone { frequency, duration } => {
                let (frequency, level, duration) = (*frequency, TONE_LEVEL, length(duration));
                return Some(Source::Tone { frequency, level, duration });
            }
        };
        Some(Source::Clip { clip, times })
    }
}
