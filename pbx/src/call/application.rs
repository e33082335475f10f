//! Applications that answer a call themselves: tone, echo, announcement.

use super::Context;
use super::call::{Call, Stage, Timer};
use super::leg::Carries;
use super::voicemail::Visit;
use crate::audio::Clip;
use crate::config;
use crate::media::{Command, Source};
use crate::sdp::Direction;
use crate::sip::StatusCode;
use crate::time::Duration;
use std::sync::Arc;

/// The level of our tones in dBm0: loud and clear, without clipping.
const TONE_LEVEL: f64 = -10.0;

/// What answers.
#[derive(Clone, Debug)]
pub(super) enum Application {
    /// A sine, then BYE.
    Tone {
        /// Hz.
        frequency: f64,
        /// Until BYE.
        duration: Duration,
        /// From INVITE to 200.
        answer_delay: Duration,
    },
    /// What is in a file, then BYE.
    Announcement {
        /// The sound.
        clip: Arc<Clip>,
        /// How often; `None`: until BYE.
        times: Option<u32>,
        /// Whether a key ends it.
        until_key: bool,
    },
    /// Many who hear each other.
    Conference(config::Conference),
    /// A message is left, or listened to.
    Voicemail(Visit),
    /// What the caller says comes back.
    Echo,
}

impl Application {
    /// For the record and for events.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Application::Tone { .. } => "tone",
            Application::Announcement { .. } => "announcement",
            Application::Conference(_) => "conference",
            Application::Voicemail(_) => "voicemail",
            Application::Echo => "echo",
        }
    }

    /// What its media are for.
    pub(super) fn carries(&self) -> Carries {
        match self {
            // Whoever leaves a message or listens to one may be silent for long.
            Application::Tone { .. } | Application::Announcement { .. } | Application::Voicemail(_) => {
                Carries::Tone
            }
            Application::Conference(_) => Carries::Talk,
            Application::Echo => Carries::Echo,
        }
    }

    fn answer_delay(&self) -> Duration {
        match self {
            Application::Tone { answer_delay, .. } => *answer_delay,
            Application::Announcement { .. }
            | Application::Conference(_)
            | Application::Voicemail(_)
            | Application::Echo => Duration::ZERO,
        }
    }
}

impl Call {
    /// Rings the caller until the application answers.
    pub(super) fn alert(&mut self, application: Application, context: &mut Context) {
        let Some(session) = self.caller.session else {
            return;
        };
        let delay = application.answer_delay();
        context.agent.ring(session, StatusCode::RINGING, None, false, Vec::new(), context.now);
        self.is_ringing(context);
        self.stage = Stage::Alerting(application);
        if delay.is_zero() {
            return self.answer_by_application(context);
        }
        self.set_timer(Timer::Answer, delay, context);
    }

    /// The delay is over: 200 with our answer, or with our offer when the caller made none.
    pub(super) fn answer_by_application(&mut self, context: &mut Context) {
        let Stage::Alerting(application) = &self.stage else {
            return;
        };
        let application = application.clone();
        let Some(session) = self.caller.session else {
            return;
        };
        let codecs = context.own_codecs();
        let local = self.caller.local_audio(codecs, Direction::SendRecv, context.advertised());
        let description =
            if let (Some(answer), Some(agreement)) = (&self.answer, self.caller.negotiation.agreed()) {
                // Somebody who was rung before has been heard already.
                self.caller.agree(agreement, application.carries(), context);
                answer.clone()
            } else if self.invitation.has_offer {
                let Some((description, agreement)) = self.answer_or_refuse(&local, context) else { return };
                self.caller.agree(&agreement, application.carries(), context);
                description
            } else {
                self.caller.negotiation.offer(&local)
            };
        context.agent.accept(session, description, Vec::new(), context.now);
        let by = application.name().to_owned();
        self.stage = Stage::Served(application);
        self.was_answered(by, context);
    }

    /// The caller has acknowledged and listens: now it begins, so that nothing of the first sound is lost.
    pub(super) fn start_application(&mut self, context: &mut Context) {
        let (Stage::Served(application), Some(stream)) = (&self.stage, self.caller.stream()) else {
            return;
        };
        match application {
            Application::Tone { frequency, duration, .. } => {
                let (frequency, duration) = (*frequency, Some(*duration));
                let source = Source::Tone { frequency, level: TONE_LEVEL, duration };
                context.media(Command::Play { stream, source });
            }
            Application::Announcement { clip, times, until_key } => {
                context.play(stream, clip.clone(), *times, *until_key);
            }
            Application::Conference(conference) => {
                let conference = conference.clone();
                self.enter_conference(&conference, context);
            }
            Application::Voicemail(_) => self.start_visit(context),
            Application::Echo => context.media(Command::Echo(stream)),
        }
    }
}
