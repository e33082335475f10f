//! What clients of RustPBX are used to: they ask of talks that they have not attached to; they ring whom they consult
//! themselves, by a name of their own; and who was put through is hung up with the call that it was put through to.

use super::action::Action;
use super::desk::{Desk, Name};
use super::session::Session;
use crate::call::{Calls, Command, Context, Originate};
use crate::config::Dialect;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Names that one client may have given.
const NAMES: usize = 1_000;

/// Where names of calls stand in what is asked and told.
const WHERE: [&str; 8] = [
    "call_id",
    "leg_a",
    "leg_b",
    "consultation_call_id",
    "transfer_call_id",
    "supervisor_call_id",
    "target_call_id",
    "agent_leg",
];

/// What a client calls calls that had a name before, by that name.
#[derive(Debug, Default)]
pub(super) struct OwnNames(BTreeMap<String, String>);

impl OwnNames {
    /// A call has another name for this client from now on; what it is called is returned.
    fn give(&mut self, ours: &str, theirs: Option<&str>) -> String {
        let theirs = theirs.filter(|theirs| *theirs != ours && self.0.len() < NAMES);
        if let Some(theirs) = theirs {
            self.0.insert(ours.to_owned(), theirs.to_owned());
        }
        theirs.unwrap_or(ours).to_owned()
    }

    /// The call is over.
    pub(super) fn forget(&mut self, ours: &str) {
        self.0.remove(ours);
    }

    /// What the client has asked for, by our names.
    pub(super) fn ours(&self, asked: &mut Map<String, Value>) {
        self.replace(asked, |(ours, theirs)| (theirs, ours));
    }

    /// What the client is told, by its names.
    pub(super) fn theirs(&self, told: &mut Map<String, Value>) {
        self.replace(told, |(ours, theirs)| (ours, theirs));
    }

    /// What the client calls a call.
    pub(super) fn of<'a>(&'a self, ours: &'a str) -> &'a str {
        self.0.get(ours).map_or(ours, String::as_str)
    }

    fn replace<'a>(
        &'a self,
        facts: &mut Map<String, Value>,
        by: impl Fn((&'a String, &'a String)) -> (&'a String, &'a String),
    ) {
        if self.0.is_empty() {
            return;
        }
        for name in WHERE {
            let Some(Value::String(text)) = facts.get_mut(name) else { continue };
            if let Some((_, new)) = self.0.iter().map(&by).find(|(old, _)| *old == text) {
                new.clone_into(text);
            }
        }
    }
}

impl Desk {
    /// Two extensions that talk become two calls that nobody holds, where a client asks what only such calls can do.
    pub(super) fn take_apart(&mut self, action: &Action, calls: &mut Calls, context: &mut Context) {
        let can_be_done_at_once = match action {
            Action::Call(_, command) => matches!(
                command,
                Command::Answer
                    | Command::Reject(_)
                    | Command::Ring
                    | Command::HangUp { .. }
                    | Command::SetNote { .. }
                    | Command::Note { .. }
                    | Command::Send(_)
            ),
            _ => false,
        };
        if can_be_done_at_once {
            return;
        }
        for call_id in action.calls() {
            // What cannot be taken apart now says so itself when it is asked.
            if self.holds(call_id)
                && let Ok(Some(other)) = calls.split(call_id, context)
            {
                self.is_there_too(call_id, other, calls);
            }
        }
    }

    /// The consultation that a client wants to ring itself, as it rings already. It calls it by a name of its own, and has
    /// been told nothing yet by that: that is told again.
    pub(super) fn rung_already(
        &mut self,
        name: &Name,
        order: &Originate,
        calls: &Calls,
        context: &mut Context,
    ) -> Option<(String, Vec<String>)> {
        let session = self.sessions.get(name).filter(|session| session.dialect == Dialect::RustPbx)?;
        let wanted = order.call_id.as_deref();
        if let Some(call_id) = wanted.filter(|call_id| self.holds_consultation(name, call_id, calls)) {
            return Some((call_id.to_owned(), Vec::new()));
        }
        let is_free = |call_id: &String| {
            session.names.of(call_id) == call_id && self.holds_consultation(name, call_id, calls)
        };
        let call_id = calls.consultations_with(order, context).into_iter().find(is_free)?;
        let session = self.sessions.get_mut(name)?;
        let theirs = session.names.give(&call_id, wanted);
        let told = self.lately.flats(session.token(), Some(&call_id), context.now);
        let frames = told.map(|flat| flat.frame(&session.names)).collect();
        Some((theirs, frames))
    }

    /// What came of a transfer ends with the call that was put through to it: such clients would not hang it up. They are
    /// told of it all the same.
    pub(super) fn let_it_end(&mut self, call_id: &str, name: &Name) {
        if self.speaks_flat(name) {
            self.give_to(call_id, None);
            self.watch(call_id, name);
        }
    }

    /// Whether this session holds it, and it is a consultation.
    fn holds_consultation(&self, name: &Name, call_id: &str, calls: &Calls) -> bool {
        self.is_held_by(call_id, name) && calls.is_consultation(call_id)
    }

    /// The call is over: its name may be given to another.
    pub(super) fn forget_names(&mut self, call_id: &str) {
        self.sessions.values_mut().for_each(|session: &mut Session| session.names.forget(call_id));
    }
}
