//! Hold by the telephone of a call in hand: it has said that it does not listen (RFC 3264 section 8.4). Whom it talks to is not
//! told by SIP, as its session is with us alone, and hears music.

use super::Context;
use super::call::Call;
use super::controlled::Wish;
use crate::audio::Clip;
use crate::boundary::What;
use crate::sdp::Direction;
use std::path::Path;
use std::sync::Arc;

/// Who says in events that a call is on hold.
pub(super) const BY: &str = "telephone";

/// A telephone that does not listen.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// What the other one hears; `None` while its file is being read.
    pub(super) music: Option<Arc<Clip>>,
}

impl Call {
    /// Something was agreed on that the telephone had a say in: it listens or it does not.
    pub(super) fn follow_telephone(&mut self, context: &mut Context) {
        let Some(agreed) = self.caller.negotiation.agreed() else { return };
        let listens = !matches!(agreed.remote.direction, Direction::SendOnly | Direction::Inactive);
        let Some(was_away) = self.controlled().map(|controlled| controlled.away.is_some()) else { return };
        if listens != was_away {
            return;
        }
        let what = match listens {
            true => {
                self.controlled().map(|controlled| controlled.away.take());
                What::HoldStopped { by: BY }
            }
            false => {
                self.be_away(context);
                What::HoldStarted { by: BY }
            }
        };
        context.tell(&self.facts.call_id, what);
        context.wish(Wish::Tune(self.room));
    }

    fn be_away(&mut self, context: &mut Context) {
        let music = match context.config.rwi.hold_music.clone() {
            Some(file) => context.want_sound(&file),
            None => Some(Clip::music()),
        };
        if let Some(controlled) = self.controlled() {
            controlled.away = Some(Away { music });
        }
    }

    /// A file was read, or cannot be: then our own music is heard.
    pub(super) fn on_music_while_away(
        &mut self,
        read: &Path,
        sound: &Result<Arc<Clip>, String>,
        context: &mut Context,
    ) {
        if context.config.rwi.hold_music.as_deref() != Some(read) {
            return;
        }
        let music = sound.as_ref().map_or_else(|_| Clip::music(), Arc::clone);
        let room = self.room;
        let Some(controlled) = self.controlled() else { return };
        if let Some(away) = controlled.away.as_mut().filter(|away| away.music.is_none()) {
            away.music = Some(music);
            context.wish(Wish::Tune(room));
        }
    }
}
