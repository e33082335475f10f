//! What a call is from its beginning on, for who is told of it.

use super::call::{Call, Origin, Stage};
use super::calls::Calls;
use super::dial::{Attempt, trunk_of};
use super::facts::Root;
use crate::dialog::ExtraHeaders;
use crate::route::{Caller, Decision};
use std::sync::Arc;

/// What does not change of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) caller: String,
    pub(crate) dialled: String,
    pub(crate) direction: Direction,
    /// The trunk that it comes from, or goes out over at first.
    pub(crate) trunk: Option<String>,
    /// Header lines of its INVITE that pass from leg to leg.
    pub(crate) headers: ExtraHeaders,
    pub(crate) root: Arc<Root>,
}

/// Where a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From outside.
    Inbound,
    /// From us.
    Outbound,
    /// From an extension.
    Internal,
}

impl Calls {
    /// What is known of a call that is not over.
    pub(crate) fn profile(&self, call_id: &str) -> Option<Profile> {
        let room = self.room_of(call_id)?;
        self.in_rooms(&[room]).next().map(Call::profile)
    }
}

impl Call {
    fn profile(&self) -> Profile {
        let was_called = self.is_callee || matches!(self.origin, Origin::Application(_));
        let direction = match &self.invitation.caller {
            _ if was_called => Direction::Outbound,
            Caller::Extension(_) => Direction::Internal,
            Caller::Trunk(_) | Caller::Anonymous => Direction::Inbound,
        };
        let trunk = match (&self.invitation.caller, &self.stage) {
            (Caller::Trunk(name), _) if !was_called => Some(name.clone()),
            (_, Stage::Preparing(Decision::Trunk { targets, .. })) if was_called => {
                targets.first().map(|target| target.trunk.clone())
            }
            (_, Stage::Dialling(dial)) if was_called => match &dial.attempt {
                Attempt::Trunk { targets, .. } => targets.front().map(|target| target.trunk.clone()),
                Attempt::Extension { .. } | Attempt::Group { .. } => None,
            },
            _ => trunk_of(&self.caller.name).map(str::to_owned),
        };
        Profile {
            caller: self.facts.caller.clone(),
            dialled: self.facts.dialled.clone(),
            direction,
            trunk,
            headers: self.invitation.headers.clone(),
            root: self.facts.root.clone(),
        }
    }
}

impl Direction {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
            Direction::Internal => "internal",
        }
    }
}
