//! Who holds which call, and what becomes of one that nobody holds.

use super::desk::{Desk, Held, Name};
use crate::call::{Answer, Calls, Code, Context, Refusal};
use serde_json::{Value, json};

impl Desk {
    /// Takes a call, or is told of it. Two extensions that talk become two calls that can be told apart.
    pub(super) fn attach(
        &mut self,
        name: &Name,
        call_id: &str,
        watches: bool,
        calls: &mut Calls,
        context: &mut Context,
    ) -> Result<Value, Refusal> {
        let held = self.calls.get_mut(call_id).ok_or_else(|| Refusal::no_call(call_id))?;
        if watches {
            held.watchers.insert(name.clone());
            return Ok(json!({ "call_id": call_id }));
        }
        let owner = held.owner.clone();
        if let Some(owner) = owner.filter(|owner| owner != name) {
            // Who has shown the same token may take what the one that is gone has left.
            let is_orphaned = match (self.sessions.get(&owner), self.sessions.get(name)) {
                (Some(before), Some(now)) => before.client.is_none() && before.is_of(now),
                (None, _) => true,
                (_, None) => false,
            };
            if !is_orphaned {
                return Err(Refusal::new(Code::AlreadyOwned, format!("another client holds {call_id:?}")));
            }
        }
        let mut data = json!({ "call_id": call_id });
        if let Some(other) = calls.split(call_id, context)? {
            data["peer_call_id"] = other.as_str().into();
            self.is_there_too(call_id, other, calls);
        }
        self.give_to(call_id, Some(name));
        Ok(data)
    }

    /// A call has become two: the other one is in the same context, and held by nobody.
    pub(super) fn is_there_too(&mut self, call_id: &str, other: String, calls: &mut Calls) {
        let context = self.calls.get(call_id).map(|held| held.context.clone()).unwrap_or_default();
        let profile = calls.profile(&other);
        self.calls.insert(other, Held { context, profile, ..Held::default() });
    }

    /// What came of a command is held by who has asked for it.
    pub(super) fn hold_what_came(&mut self, name: &Name, answer: &Answer, key: &str, of_context: &str) {
        if let Ok(data) = answer
            && let Some(call_id) = data.get(key).and_then(Value::as_str)
        {
            let held = self.calls.entry(call_id.to_owned()).or_default();
            of_context.clone_into(&mut held.context);
            self.give_to(call_id, Some(name));
        }
    }

    /// A call is held by this session from now on, or by none.
    pub(super) fn give_to(&mut self, call_id: &str, name: Option<&Name>) {
        let Some(held) = self.calls.get_mut(call_id) else { return };
        let before = std::mem::replace(&mut held.owner, name.cloned());
        if let Some(session) = before.and_then(|name| self.sessions.get_mut(&name)) {
            session.held -= 1;
        }
        if let Some(session) = name.and_then(|name| self.sessions.get_mut(name)) {
            session.held += 1;
        }
    }

    /// A session is told of a call without holding it.
    pub(super) fn watch(&mut self, call_id: &str, name: &Name) {
        if let Some(held) = self.calls.get_mut(call_id) {
            held.watchers.insert(name.clone());
        }
    }

    /// Whether there is such a call, which applications may have.
    pub(super) fn holds(&self, call_id: &str) -> bool {
        self.calls.contains_key(call_id)
    }

    /// Whether this session holds it.
    pub(super) fn is_held_by(&self, call_id: &str, name: &Name) -> bool {
        self.calls.get(call_id).is_some_and(|held| held.owner.as_ref() == Some(name))
    }

    /// A call that hears nobody any longer and that nobody holds is over: there is nobody who would do anything with it.
    pub(super) fn look_after(&mut self, call_id: &str, calls: &mut Calls, context: &mut Context) {
        if self.calls.get(call_id).is_some_and(|held| held.owner.is_none()) && calls.is_left_alone(call_id) {
            calls.let_go(call_id, "the other side has hung up", context);
        }
    }

    /// Its client has not come back: what the context says becomes of it.
    pub(super) fn follow_policy(&mut self, call_id: &str, calls: &mut Calls, context: &mut Context) {
        let of_context = self.calls.get(call_id).map(|held| held.context.clone()).unwrap_or_default();
        calls.settle(call_id, &of_context, "its application is gone", context);
    }
}
