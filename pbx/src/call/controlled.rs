//! A call in somebody's hand: one leg that is answered, and that does what it is told, by an application.
//!
//! What it hears is, first of all, what is played to it or its music while it is on hold; under that, the one it is bridged
//! with, or a mix; under that, silence. What lies on top goes away and what lies beneath is heard again, so nobody has to
//! remember what was before.

use super::Context;
use super::application::Application;
use super::away::Away;
use super::call::{Call, Stage, Timer};
use super::collecting::Collecting;
use super::command::{Answer, Refusal, Ticket, done, done_with};
use super::holding::Hold;
use super::leg::Carries;
use super::playing::{Playing, Waits};
use super::referral::{Promise, Refer};
use super::sending::Sent;
use super::transfer::Referral;
use crate::audio::Clip;
use crate::boundary::What;
use crate::cdr::EndedBy;
use crate::config;
use crate::dialog::SessionId;
use crate::media::{Command, MixId, RoomId, Source, StreamId, Tap};
use crate::route::Decision;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a call in somebody's hand does.
#[derive(Debug, Default)]
pub(super) struct Controlled {
    pub(super) doing: Doing,
    pub(super) playing: Option<Playing>,
    pub(super) hold: Option<Hold>,
    /// Its telephone has put whom it talks to on hold.
    pub(super) away: Option<Away>,
    /// It is taken off hold as soon as it is on.
    pub(super) is_to_be_released: bool,
    pub(super) collecting: Option<Collecting>,
    pub(super) sent: Sent,
    pub(super) referral: Option<Referral>,
    /// Its telephone has asked for a transfer and waits to hear what becomes of it.
    pub(super) promise: Option<Promise>,
    /// It waits in a queue.
    pub(super) waits: Option<Waits>,
    /// It is offered to the applications of this context, until one answers.
    pub(super) offered: Option<String>,
    /// An application of the dial plan that takes the call over as soon as its file is read.
    pub(super) heads_for: Option<config::Announcement>,
    /// What the media engine was told last.
    pub(super) heard: Heard,
    /// How many times something was played that applications are told of, and how many times anything was.
    pub(super) tracks: u64,
    pub(super) turns: u64,
}

/// What is heard, as the media engine was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was told nothing, or what it was told is over.
    #[default]
    Nothing,
    /// What is played, which turn it was.
    Track(u64),
    Music,
    Silence,
    Bridged(RoomId),
    /// This one, which hears something else itself.
    Overheard(RoomId),
    /// The music of this one, whose telephone does not listen.
    MusicOf(RoomId),
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

/// Somebody for the one it is bridged with.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) stream: Option<StreamId>,
    manner: Manner,
}

/// How it takes part in the talk.
#[derive(Debug, Default)]
enum Manner {
    /// It listens and speaks.
    Talks,
    /// It hears something else, and is heard.
    Speaks,
    /// Its telephone does not listen; this is heard in its place.
    Away(Arc<Clip>),
    /// It is on hold, or is nobody.
    #[default]
    Silent,
}

/// What one call has to say to others when it has done its own.
#[derive(Clone, Debug, PartialEq)]
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
    /// No application of this context has answered it.
    Settle(RoomId, String),
    /// It has waited there as long as it may.
    Waited(RoomId),
    /// An agent may be free for it.
    Look(RoomId),
    /// It is told how long it may take.
    Announce(RoomId),
    /// What was ordered rings.
    Rings(RoomId),
    /// What was ordered was answered: who waits for it goes on.
    Changed(RoomId),
    /// It is over, and how: 200 where it had been answered.
    Over(RoomId, u16),
    /// What was ordered leads to an application of the dial plan.
    LedElsewhere(RoomId, Decision),
    /// Its telephone has asked for a transfer.
    Refer(Box<Refer>),
    /// It takes the place of this session.
    TakePlace(RoomId, SessionId),
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
            | Stage::Replacing(_)
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

    /// What it is for the one it is bridged with.
    pub(super) fn as_peer(&self) -> Peer {
        let Stage::Controlled(controlled) = &self.stage else { return Peer::default() };
        let manner = match (&controlled.hold, &controlled.away) {
            (Some(hold), _) if hold.is_on() => Manner::Silent,
            (_, Some(Away { music: Some(music) })) => Manner::Away(music.clone()),
            (_, Some(Away { music: None })) => Manner::Silent,
            (_, None) if controlled.track().is_some() => Manner::Speaks,
            (_, None) => Manner::Talks,
        };
        Peer { stream: self.caller.stream(), manner }
    }

    /// An application of the dial plan takes the call over.
    pub(super) fn be_served(&mut self, decision: Decision, context: &mut Context) {
        // It was recorded that two people talk.
        self.stop_recording(context);
        self.cancel_timer(Timer::Patience, context);
        let application = match decision {
            Decision::Tone { frequency, duration, answer_delay } => {
                Application::Tone { frequency, duration, answer_delay }
            }
            Decision::Voicemail { mailbox } => match self.visit(mailbox, context) {
                Ok(visit) => Application::Voicemail(visit),
                Err(_) => return self.end(EndedBy::Pbx, "there is no such mailbox", None, context),
            },
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
                self.set_timer(Timer::Patience, context.config.rwi.context(&name).no_answer_timeout, context);
                if let Some(controlled) = self.controlled() {
                    controlled.offered = Some(name.clone());
                }
                let (caller, dialled) = (self.facts.caller.clone(), name.clone());
                return context
                    .tell(&self.facts.call_id, What::CallIncoming { caller, dialled, context: name });
            }
            Decision::Ask(_)
            | Decision::Group(_)
            | Decision::Extension { .. }
            | Decision::Trunk { .. }
            | Decision::NotFound
            | Decision::Reject { .. } => {
                return self.end(EndedBy::Pbx, "the transfer leads nowhere", None, context);
            }
        };
        self.go_over_to(application, context);
    }

    pub(super) fn on_announcement_for(
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

    /// Lets the media engine do what is to be heard now, where that is something else than before.
    pub(super) fn tune(&mut self, peer: Peer, context: &mut Context) {
        let Peer { stream: peer, manner } = peer;
        let Some(stream) = self.caller.stream() else { return };
        let Some(controlled) = self.controlled() else { return };
        let wanted = match (controlled.track(), &controlled.hold, controlled.doing) {
            (Some((turn, _)), ..) => Heard::Track(turn),
            (None, Some(hold), _) if hold.is_on() => Heard::Music,
            (None, _, Doing::Bridged(other)) if peer.is_some() => match manner {
                Manner::Talks => Heard::Bridged(other),
                Manner::Speaks => Heard::Overheard(other),
                Manner::Away(_) => Heard::MusicOf(other),
                Manner::Silent => Heard::Silence,
            },
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
                let until_key = controlled.playing.as_ref().is_some_and(Playing::ends_with_key);
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
            (Heard::Overheard(_), Some(peer)) => context.media(Command::Fork { from: peer, to: stream }),
            (Heard::MusicOf(_), _) => {
                if let Manner::Away(clip) = manner {
                    let source = Source::Clip { clip, times: None };
                    context.media(Command::Play { stream, source });
                }
            }
            (Heard::Mixed(mix), _) => context.enter_mix(*mix, self.room, stream),
            (Heard::Bridged(_) | Heard::Overheard(_) | Heard::Silence | Heard::Nothing, _) => {
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
        self.break_promise(context);
        let room = self.room;
        let Some(controlled) = self.controlled() else { return };
        let doing = std::mem::take(&mut controlled.doing);
        std::mem::take(&mut controlled.sent).close(context);
        match doing {
            Doing::Parked => {}
            Doing::Bridged(left) => {
                context.wish(Wish::Part { left, gone: room, name: self.facts.call_id.clone() });
            }
            Doing::Mixed(mix) => {
                context.say_farewell(mix, room, &self.facts.call_id);
                context.wish(Wish::LeaveMix(mix, room));
            }
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
        self.playing.as_ref()?.heard()
    }
}

impl Context {
    /// Something that is to be done with other calls, as soon as this one is done.
    pub(super) fn wish(&mut self, wish: Wish) {
        self.wishes.push_back(wish);
    }

    /// The answer to a command.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push_back((ticket, answer));
    }
}
