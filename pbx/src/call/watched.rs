//! The dialogs of an extension, for who watches it (RFC 4235).

use super::Context;
use super::call::{Call, Origin, Stage};
use super::calls::Calls;
use super::leg::Leg;
use crate::route::Caller;

/// A dialog of a telephone, as the telephone sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DialogNow {
    /// The same as long as it lasts.
    pub(crate) id: String,
    pub(crate) state: DialogState,
    /// Whether the telephone has called.
    pub(crate) is_caller: bool,
    /// The number of the other side.
    pub(crate) with: String,
    /// Call-ID, the telephone's tag and ours, while it rings there: what picks the call up (RFC 3891).
    pub(crate) names: Option<[String; 3]>,
}

/// How far it is (RFC 4235 section 3.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DialogState {
    Trying,
    Early,
    Confirmed,
}

impl Calls {
    /// The dialogs of an extension now.
    pub(crate) fn dialogs_of(&self, number: &str, context: &Context) -> Vec<DialogNow> {
        let calls = self.in_rooms(context.books.calls_of(number)).filter(|call| !call.has_ended());
        calls.flat_map(|call| call.dialogs_of(number, context)).collect()
    }
}

impl Call {
    fn dialogs_of(&self, number: &str, context: &Context) -> Vec<DialogNow> {
        let was_called = self.is_callee || matches!(self.origin, Origin::Application(_));
        let own =
            (!was_called && self.invitation.caller == Caller::Extension(number.to_owned())).then(|| {
                let state = match (&self.facts.answered, &self.facts.ringing) {
                    (Some(_), _) => DialogState::Confirmed,
                    (None, Some(_)) => DialogState::Early,
                    (None, None) => DialogState::Trying,
                };
                dialog(&self.caller, state, Some(&self.facts.dialled))
            });
        let is_it = |leg: &&Leg| leg.name == number;
        let caller = &self.facts.caller;
        let called: Vec<Option<DialogNow>> = match &self.stage {
            Stage::Dialling(dial) => dial
                .branches
                .iter()
                .map(|branch| &branch.leg)
                .filter(is_it)
                .map(|leg| {
                    let rings = leg.session.and_then(|session| context.agent.names(session)).is_some();
                    let state = if rings { DialogState::Early } else { DialogState::Trying };
                    called(leg, state, caller, context)
                })
                .collect(),
            Stage::Talking(callee) => Some(callee)
                .filter(|leg| is_it(&&**leg))
                .map(|leg| called(leg, DialogState::Confirmed, caller, context))
                .into_iter()
                .collect(),
            Stage::Controlled(_) | Stage::Served(_) if was_called && is_it(&&self.caller) => {
                vec![called(&self.caller, DialogState::Confirmed, caller, context)]
            }
            _ => Vec::new(),
        };
        own.into_iter().chain(called).flatten().collect()
    }
}

fn called(leg: &Leg, state: DialogState, caller: &str, context: &Context) -> Option<DialogNow> {
    let mut now = dialog(leg, state, None)?;
    caller.clone_into(&mut now.with);
    if state == DialogState::Early {
        let names = leg.session.and_then(|session| context.agent.names(session));
        now.names = names.map(|[call_id, ours, theirs]| [call_id, theirs, ours].map(str::to_owned));
    }
    Some(now)
}

fn dialog(leg: &Leg, state: DialogState, dialled: Option<&str>) -> Option<DialogNow> {
    Some(DialogNow {
        id: format!("d{}", leg.session?.0),
        state,
        is_caller: dialled.is_some(),
        with: dialled.unwrap_or_default().to_owned(),
        names: None,
    })
}
