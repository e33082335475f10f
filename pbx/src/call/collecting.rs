//! Keys that are gathered for somebody: from now until there are enough, until the last key, until it takes too long.

use super::Context;
use super::call::{Call, Timer};
use super::command::{Answer, Collect, done};
use crate::boundary::What;

/// Keys that are being gathered.
#[derive(Debug)]
pub(super) struct Collecting {
    how: Collect,
    keys: String,
}

impl Call {
    /// Begins to gather keys, in the place of what was gathered before.
    pub(super) fn collect(&mut self, how: Collect, context: &mut Context) -> Answer {
        let patience = how.patience;
        let controlled = self.in_hand()?;
        controlled.collecting = Some(Collecting { how, keys: String::new() });
        self.set_timer(Timer::Collect, patience, context);
        done()
    }

    /// A key was pressed.
    pub(super) fn collect_key(&mut self, key: char, context: &mut Context) {
        let Some(collecting) = self.controlled().and_then(|controlled| controlled.collecting.as_mut()) else {
            return;
        };
        let is_last = collecting.how.terminator == Some(key);
        if !is_last {
            collecting.keys.push(key);
        }
        if is_last || collecting.keys.len() >= collecting.how.most {
            self.finish_collecting(context);
        }
    }

    /// It has taken as long as it may, or the last key was pressed: enough keys are told, too few are a timeout.
    pub(super) fn finish_collecting(&mut self, context: &mut Context) {
        self.cancel_timer(Timer::Collect, context);
        let Some(collecting) = self.controlled().and_then(|controlled| controlled.collecting.take()) else {
            return;
        };
        let Collecting { how, keys } = collecting;
        let what = match keys.len() >= how.least {
            true => What::KeysCollected { keys },
            false => What::KeysMissing { keys },
        };
        context.tell(&self.facts.call_id, what);
    }

    /// The call is over: what was gathered is told.
    pub(super) fn stop_collecting(&mut self, context: &mut Context) {
        self.finish_collecting(context);
    }
}
