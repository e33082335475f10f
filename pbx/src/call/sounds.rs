//! Sounds from files, as long as somebody plays them: who asks while a file is read or played shares it.

use super::Context;
use super::command::{Code, Refusal};
use crate::audio::Clip;
use crate::boundary::Output;
use crate::media::RoomId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Sounds that are being read or played, by file. What nobody plays any longer is read anew, so a changed file is heard.
#[derive(Default)]
pub(super) struct Sounds {
    known: BTreeMap<PathBuf, Sound>,
}

enum Sound {
    /// The calls that wait for it.
    Reading(Vec<RoomId>),
    Read(Weak<Clip>),
}

impl Sounds {
    /// Those that waited for this file, and that are to be told now what became of it.
    pub(super) fn on_read(&mut self, file: &Path, sound: Option<&Arc<Clip>>) -> Vec<RoomId> {
        let waiting = match self.known.remove(file) {
            Some(Sound::Reading(waiting)) => waiting,
            Some(Sound::Read(_)) | None => Vec::new(),
        };
        self.known.retain(|_, sound| match sound {
            Sound::Reading(_) => true,
            Sound::Read(clip) => clip.strong_count() > 0,
        });
        if let Some(clip) = sound {
            self.known.insert(file.to_owned(), Sound::Read(Arc::downgrade(clip)));
        }
        waiting
    }
}

impl Context {
    /// The sound of a file, if somebody plays it; else it is read, and this call is told.
    pub(super) fn want_sound(&mut self, file: &Path) -> Option<Arc<Clip>> {
        match self.sounds.known.get_mut(file) {
            Some(Sound::Reading(waiting)) => {
                waiting.push(self.room);
                return None;
            }
            Some(Sound::Read(clip)) => {
                if let Some(clip) = clip.upgrade() {
                    return Some(clip);
                }
            }
            None => {}
        }
        self.sounds.known.insert(file.to_owned(), Sound::Reading(vec![self.room]));
        self.out.push_back(Output::ReadSound { file: file.to_owned() });
        None
    }
}

/// Why a command that needs a file is not done.
pub(super) fn not_playable(file: &Path, reason: &str) -> Refusal {
    Refusal::new(Code::NotPlayable, format!("{}: it cannot be played because {reason}", file.display()))
}
