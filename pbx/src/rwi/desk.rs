//! Everything that applications see: who is connected, who holds which call, who is told what.

use super::action::{Action, Conference, Queue, Session as Ask, Supervise, Transfer};
use super::flat::{self, About};
use super::frame::{self, Asked, Question};
use super::lately::Lately;
use super::session::Session;
use super::story::Told;
use crate::boundary::{self, ClientId, Event, FromClient, ToClient, What};
use crate::buggify::buggify;
use crate::call::{Answer, Calls, Code, Command, Context, Profile, Refusal, Ticket};
use crate::config::{Dialect, Rwi, Scope};
use crate::time::Instant;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The longest frame.
const FRAME: usize = 64 << 10;

/// Contexts that one client may subscribe to.
const CONTEXTS: usize = 1_000;

/// Questions that wait for their answers, of all clients together.
const WAITING: usize = 100_000;

/// A session's name.
pub(super) type Name = Arc<str>;

/// Everything that applications see.
#[derive(Default)]
pub(crate) struct Desk {
    pub(super) sessions: BTreeMap<Name, Session>,
    /// The session of a connection.
    clients: BTreeMap<ClientId, Name>,
    /// Who has subscribed to a context.
    subscribers: BTreeMap<String, BTreeSet<Name>>,
    /// When sessions without a connection are given up.
    expiries: BTreeSet<(Instant, Name)>,
    pub(super) calls: BTreeMap<String, Held>,
    waiting: BTreeMap<Ticket, (ClientId, Question, Kind)>,
    last_ticket: u64,
    /// Events that were sent to the webhook.
    posted: u64,
    pub(super) lately: Lately,
}

/// What is known of a call here.
#[derive(Default)]
pub(super) struct Held {
    pub(super) context: String,
    /// The session that holds it.
    pub(super) owner: Option<Name>,
    /// Sessions that are told of it without holding it.
    pub(super) watchers: BTreeSet<Name>,
    /// What it is, where clients of the other dialect may be told.
    pub(super) profile: Option<Profile>,
    /// The status with which nobody has answered it, where it was ordered.
    pub(super) unanswered: Option<u16>,
}

/// What the answer to a question means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Who has asked holds the call from now on, if it is done.
    Claims,
}

impl Desk {
    /// A client has come, said something, gone.
    pub(crate) fn receive(&mut self, input: FromClient, calls: &mut Calls, context: &mut Context) {
        match input {
            FromClient::Knock { client, token } => self.knock(client, token.as_deref(), context),
            FromClient::Frame { client, text } => self.hear(client, &text, calls, context),
            FromClient::Gone(client) => self.leave(client, context),
        }
    }

    /// Something has happened: whoever is concerned is told.
    pub(crate) fn on_event(&mut self, event: &Event, calls: &mut Calls, context: &mut Context) {
        self.take_note(event, calls, context);
        let concerned = self.concerned(event);
        let wants_all = context.config.rwi.webhook.is_some();
        if !concerned.is_empty() || wants_all {
            let held = event.call_id.as_deref().and_then(|call_id| self.calls.get(call_id));
            let of_context = held.map(|held| held.context.as_str());
            if let Some(told) = Told::new(event, of_context, &context.clock) {
                let about = About {
                    context: of_context,
                    profile: held.and_then(|held| held.profile.as_ref()),
                    unanswered: held.and_then(|held| held.unanswered),
                    domain: &context.config.sip.domain,
                    clock: &context.clock,
                };
                let told = if speaks_flat(&context.config.rwi) { told.and_flat(event, &about) } else { told };
                self.tell_webhook(&told, context);
                let told = Arc::new(told);
                let sessions = concerned.iter().filter_map(|name| self.sessions.get(name));
                self.lately.keep(&told, sessions, context.now);
                for name in concerned {
                    let frame = self.sessions.get_mut(&name).and_then(|session| session.tell(&told));
                    if let Some((client, text)) = frame {
                        send(client, text, context);
                    }
                }
            }
        }
        match (&event.what, &event.call_id) {
            (What::CallEnded { .. }, Some(call_id)) => {
                self.give_to(call_id, None);
                self.calls.remove(call_id);
                self.forget_names(call_id);
            }
            (What::CallUnbridged { leg_a, .. }, _) => self.look_after(&leg_a.clone(), calls, context),
            _ => {}
        }
    }

    /// Answers have come.
    pub(crate) fn on_answer(&mut self, ticket: Ticket, answer: Answer, context: &mut Context) {
        let Some((client, question, kind)) = self.waiting.remove(&ticket) else { return };
        let Some(name) = self.clients.get(&client).cloned() else { return };
        if let (Kind::Claims, Ok(_), Some(call_id)) = (kind, &answer, &question.call_id) {
            self.give_to(&call_id.clone(), Some(&name));
        }
        self.answer(client, question, answer, context);
    }

    /// Sessions that nobody has come back to are given up.
    pub(crate) fn handle_timeout(&mut self, calls: &mut Calls, context: &mut Context) {
        while let Some((at, name)) = self.expiries.first().cloned() {
            if at > context.now {
                return;
            }
            let is_held = |held: &Held| held.owner.as_ref() == Some(&name);
            let orphans: Vec<String> = self
                .calls
                .iter()
                .filter(|(_, held)| is_held(held))
                .map(|(call_id, _)| call_id.clone())
                .collect();
            self.forget(&name);
            for call_id in orphans {
                self.give_to(&call_id, None);
                self.follow_policy(&call_id, calls, context);
            }
        }
    }

    /// The earliest deadline.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Whether nothing is left over but clients that are connected.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.waiting.is_empty()
    }

    /// A client shows its token. All are compared, and each to the end, so that nobody learns how near a guess came.
    fn knock(&mut self, client: ClientId, shown: Option<&str>, context: &mut Context) {
        let rwi = &context.config.rwi;
        let mut known = None;
        for token in &rwi.tokens {
            if bool::from(token.token.as_bytes().ct_eq(shown.unwrap_or_default().as_bytes())) {
                known = Some(token);
            }
        }
        let refusal = match known {
            None => Some(401),
            Some(_) if self.clients.len() >= rwi.max_connections => Some(503),
            Some(_) => None,
        };
        let output = match (refusal, known) {
            (None, Some(token)) => {
                let session = Session::new(token, client);
                let name: Name = format!("s_{}", context.rng.token(16)).into();
                self.clients.insert(client, name.clone());
                self.sessions.insert(name.clone(), session);
                ToClient::Admitted { client, session: name.to_string() }
            }
            (status, _) => ToClient::Refused { client, status: status.unwrap_or(401) },
        };
        context.out.push_back(boundary::Output::Rwi(output));
    }

    /// Its connection is over: what it holds waits for it.
    fn leave(&mut self, client: ClientId, context: &Context) {
        let Some(name) = self.clients.remove(&client) else { return };
        self.waiting.retain(|_, (of, _, _)| *of != client);
        if let Some(session) = self.sessions.get_mut(&name) {
            let expires = context.now + context.config.rwi.orphan_hold;
            session.client = None;
            session.expires = Some(expires);
            self.expiries.insert((expires, name));
        }
    }

    /// Nobody comes back to a session.
    fn forget(&mut self, name: &Name) {
        let Some(session) = self.sessions.remove(name) else { return };
        if let Some(at) = session.expires {
            self.expiries.remove(&(at, name.clone()));
        }
        for context in &session.contexts {
            self.unsubscribe(name, context);
        }
        for held in self.calls.values_mut() {
            held.watchers.remove(name);
        }
    }

    fn unsubscribe(&mut self, name: &Name, context: &str) {
        if let Some(subscribers) = self.subscribers.get_mut(context) {
            subscribers.remove(name);
            if subscribers.is_empty() {
                self.subscribers.remove(context);
            }
        }
    }

    fn hear(&mut self, client: ClientId, text: &str, calls: &mut Calls, context: &mut Context) {
        let Some(name) = self.clients.get(&client).cloned() else { return };
        let Some(dialect) = self.sessions.get(&name).map(|session| session.dialect) else { return };
        if text.len() > FRAME {
            let refusal = Refusal::new(Code::InvalidJson, format!("a frame has at most {FRAME} bytes"));
            return self.answer(client, Question::default(), Err(refusal), context);
        }
        let Asked { action, action_id, mut params } = match frame::read(text, dialect) {
            Ok(asked) => asked,
            Err(wrong) => {
                let (question, refusal) = *wrong;
                return self.answer(client, question, Err(refusal), context);
            }
        };
        if dialect == Dialect::RustPbx
            && let Some(Value::String(id)) = &action_id
            && let Some(session) = self.sessions.get_mut(&name)
            && session.has_answered(id, context.now)
        {
            // Such clients rely on it that a command that they repeat is done once.
            return;
        }
        // What it is about is said in the answer even where something else is wrong with it.
        let named = params.get("call_id").and_then(Value::as_str).map(str::to_owned);
        let mut question = Question { action: Some(action.clone()), action_id, call_id: named };
        let forgiving = dialect == Dialect::RustPbx;
        if forgiving && matches!(action.as_str(), "session.resume" | "call.resume") {
            let of_call = question.call_id.clone().filter(|_| action == "call.resume");
            let token = self.sessions.get(&name).map(Session::token).unwrap_or_default();
            let answer = Ok(self.lately.again(token, of_call.as_deref(), context.now));
            return self.answer(client, question, answer, context);
        }
        if let Some(session) = self.sessions.get(&name) {
            session.names.ours(&mut params);
        }
        let read = Action::read(&action, params, &context.config, forgiving);
        let asked = read.and_then(|action| self.may(&name, &action, context).map(|()| action));
        match asked {
            Ok(action) => {
                if let Some(about) = action.about() {
                    question.call_id = Some(about);
                }
                if forgiving {
                    self.take_apart(&action, calls, context);
                }
                self.act(client, &name, action, question, calls, context);
            }
            Err(refusal) => self.answer(client, question, Err(refusal), context),
        }
    }

    /// Whether this session may ask for this.
    fn may(&mut self, name: &str, action: &Action, context: &Context) -> Result<(), Refusal> {
        let rwi: &Rwi = &context.config.rwi;
        let Some(session) = self.sessions.get_mut(name) else {
            return Err(Refusal::new(Code::Forbidden, "the session is over"));
        };
        let held = session.held;
        if let Some(scope) = action.scope().filter(|scope| !session.may(*scope)) {
            return Err(Refusal::new(Code::Forbidden, format!("scope required: {}", scope.name())));
        }
        let takes_one = matches!(
            action,
            Action::Originate(_) | Action::Transfer(_) | Action::Session(Ask::Attach { watches: false, .. })
        ) || matches!(action, Action::Call(_, Command::Answer));
        if takes_one && held >= rwi.max_calls_per_connection {
            let message = format!("a client holds at most {held} calls (`max_calls_per_connection`)");
            return Err(Refusal::new(Code::RateLimited, message));
        }
        if matches!(action, Action::Originate(_))
            && !session.may_originate(rwi.originate_rate_limit, context.now)
        {
            let message =
                format!("at most {} calls a second (`originate_rate_limit`)", rwi.originate_rate_limit);
            return Err(Refusal::new(Code::RateLimited, message));
        }
        for call_id in action.calls() {
            let owner = self.calls.get(call_id).and_then(|held| held.owner.as_deref());
            if owner.is_some_and(|owner| *owner != *name) {
                return Err(Refusal::new(Code::AlreadyOwned, format!("another client holds {call_id:?}")));
            }
        }
        Ok(())
    }

    fn act(
        &mut self,
        client: ClientId,
        name: &Name,
        action: Action,
        question: Question,
        calls: &mut Calls,
        context: &mut Context,
    ) {
        let answer = match action {
            Action::Call(call_id, command) => {
                let kind = if command == Command::Answer { Kind::Claims } else { Kind::Plain };
                if self.waiting.len() >= WAITING {
                    let refusal = Refusal::new(Code::RateLimited, "too many commands wait for their answers");
                    return self.answer(client, question, Err(refusal), context);
                }
                self.last_ticket += 1;
                let ticket = Ticket(self.last_ticket);
                self.waiting.insert(ticket, (client, question, kind));
                return calls.command(&call_id, command, ticket, context);
            }
            Action::Originate(order) => {
                if let Some((call_id, frames)) = self.rung_already(name, &order, calls, context) {
                    let data = Map::from_iter([("call_id".to_owned(), call_id.into())]);
                    self.answer(client, question, Ok(data), context);
                    return frames.into_iter().for_each(|text| send(client, text, context));
                }
                let of_context = order.context.clone();
                let answer = calls.originate(order, context);
                self.hold_what_came(name, &answer, "call_id", &of_context);
                answer
            }
            Action::Transfer(transfer) => self.transfer(name, transfer, calls, context),
            Action::Supervise { supervisor, target, what } => match what {
                Supervise::Takes(part) => calls.supervise(&supervisor, &target, part, context),
                Supervise::TakesOver => calls.take_over(&supervisor, &target, context),
                Supervise::Stops => calls.stop_supervising(&supervisor, &target, context),
            },
            Action::Conference(ask) => match ask {
                Conference::Create { name, most } => calls.create_conference(name, most, context),
                Conference::Add { name, call_id } => calls.add_to_conference(&name, &call_id, context),
                Conference::Remove { name, call_id } => {
                    calls.remove_from_conference(&name, &call_id, context)
                }
                Conference::Mute { name, call_id, muted } => {
                    calls.mute_in_conference(&name, &call_id, muted, context)
                }
                Conference::Destroy { name } => calls.destroy_conference(&name, context),
            },
            Action::Queue(call_id, ask) => match ask {
                Queue::Enter { queue, priority, longest } => {
                    calls.enqueue(&call_id, &queue, priority, longest, context)
                }
                Queue::Leave { agent } => calls.dequeue(&call_id, agent.as_deref(), context),
                Queue::Hold(held) => calls.hold_in_queue(&call_id, held, context),
                Queue::Priority(priority) => calls.set_priority(&call_id, priority, context),
                Queue::Assign { agent } => calls.assign_agent(&call_id, &agent, context),
                Queue::Again { queue, priority } => calls.requeue(&call_id, &queue, priority, context),
            },
            Action::Session(ask) => return self.session(client, name, ask, question, calls, context),
        };
        self.answer(client, question, answer, context);
    }

    fn transfer(
        &mut self,
        name: &Name,
        transfer: Transfer,
        calls: &mut Calls,
        context: &mut Context,
    ) -> Answer {
        let of_context = |desk: &Desk, call_id: &str| {
            desk.calls.get(call_id).map(|held| held.context.clone()).unwrap_or_default()
        };
        match transfer {
            Transfer::Blind { call_id, target, patience } => {
                let answer = calls.transfer_blind(&call_id, &target, patience, context);
                let of_context = of_context(self, &call_id);
                self.hold_what_came(name, &answer, "transfer_call_id", &of_context);
                let new = answer.as_ref().ok().and_then(|data| data.get("transfer_call_id")?.as_str());
                if let Some(new) = new {
                    self.let_it_end(new, name);
                }
                answer
            }
            Transfer::Attended { call_id, target, patience } => {
                let answer = calls.transfer_attended(&call_id, &target, patience, context);
                let of_context = of_context(self, &call_id);
                self.hold_what_came(name, &answer, "consultation_call_id", &of_context);
                answer
            }
            Transfer::Complete { call_id, consultation } => {
                let answer = calls.complete_transfer(&call_id, &consultation, context);
                if answer.is_ok() {
                    self.let_it_end(&consultation, name);
                }
                answer
            }
            Transfer::Cancel { consultation } => calls.cancel_transfer(&consultation, context),
        }
    }

    fn session(
        &mut self,
        client: ClientId,
        name: &Name,
        ask: Ask,
        question: Question,
        calls: &mut Calls,
        context: &mut Context,
    ) {
        let mut missed = Vec::new();
        let answer = match ask {
            Ask::Subscribe { contexts, .. }
                if self.sessions.get(name).map_or(0, |session| session.contexts.len()) + contexts.len()
                    > CONTEXTS =>
            {
                Err(Refusal::new(
                    Code::RateLimited,
                    format!("a client subscribes to at most {CONTEXTS} contexts"),
                ))
            }
            Ask::Subscribe { contexts, events } => {
                for of_context in &contexts {
                    self.subscribers.entry(of_context.clone()).or_default().insert(name.clone());
                }
                self.with(name, |session| {
                    session.contexts.extend(contexts);
                    session.wanted = events.map(|events| events.into_iter().collect());
                    json!({ "session_id": &**name, "contexts": session.contexts, "last_seq": session.seq() })
                })
            }
            Ask::Unsubscribe { contexts } => {
                contexts.iter().for_each(|of_context| self.unsubscribe(name, of_context));
                self.with(name, |session| {
                    session.contexts.retain(|known| !contexts.contains(known));
                    json!({ "contexts": session.contexts })
                })
            }
            Ask::ListCalls if self.speaks_flat(name) => {
                let profile = |call: &Value| {
                    self.calls.get(call["call_id"].as_str().unwrap_or_default())?.profile.as_ref()
                };
                let list = calls.list(context).into_iter().map(|call| {
                    let profile = profile(&call);
                    (call, profile)
                });
                Ok(json!({ "calls": flat::listed(list.collect(), &context.config.sip.domain) }))
            }
            Ask::ListCalls => {
                let list: Vec<Value> =
                    calls.list(context).into_iter().map(|call| self.listed(name, call)).collect();
                Ok(json!({ "calls": list }))
            }
            Ask::Attach { call_id, watches } => self.attach(name, &call_id, watches, calls, context),
            Ask::Detach { call_id } => match self.calls.get_mut(&call_id) {
                Some(held) if held.owner.as_ref() == Some(name) => {
                    self.give_to(&call_id, None);
                    Ok(json!({}))
                }
                Some(held) => match held.watchers.remove(name) {
                    true => Ok(json!({})),
                    false => Err(Refusal::new(Code::InvalidState, format!("{call_id:?} is not attached"))),
                },
                None => Err(Refusal::no_call(&call_id)),
            },
            Ask::Resume { session, last_seq } => {
                let resumed = self.resume(client, name, session, last_seq);
                resumed.map(|(data, frames)| {
                    missed = frames;
                    data
                })
            }
        };
        let answer = answer.map(|data| match data {
            Value::Object(map) => map,
            _ => Map::new(),
        });
        self.answer(client, question, answer, context);
        missed.into_iter().for_each(|text| send(client, text, context));
    }

    fn with(&mut self, name: &str, act: impl FnOnce(&mut Session) -> Value) -> Result<Value, Refusal> {
        match self.sessions.get_mut(name) {
            Some(session) => Ok(act(session)),
            None => Err(Refusal::new(Code::Forbidden, "the session is over")),
        }
    }

    /// A new connection takes the place of one that was lost.
    fn resume(
        &mut self,
        client: ClientId,
        name: &Name,
        wanted: Option<String>,
        last_seq: u64,
    ) -> Result<(Value, Vec<String>), Refusal> {
        let wanted: Name = wanted.map_or_else(|| name.clone(), Name::from);
        if wanted != *name {
            let is_free = match (self.sessions.get(&wanted), self.sessions.get(name)) {
                (Some(old), Some(new)) => old.client.is_none() && old.is_of(new),
                _ => false,
            };
            if !is_free {
                let message = format!("session_id: there is no session {wanted:?} to be resumed");
                return Err(Refusal::new(Code::InvalidParams, message));
            }
            let is_held = |held: &Held| held.owner.as_ref() == Some(name);
            let held: Vec<String> = self
                .calls
                .iter()
                .filter(|(_, held)| is_held(held))
                .map(|(call_id, _)| call_id.clone())
                .collect();
            held.iter().for_each(|call_id| self.give_to(call_id, Some(&wanted)));
            self.forget(name);
            self.clients.insert(client, wanted.clone());
        }
        let session = self.sessions.get_mut(&wanted).ok_or_else(|| Refusal::no_session(&wanted))?;
        session.client = Some(client);
        if let Some(at) = session.expires.take() {
            self.expiries.remove(&(at, wanted.clone()));
        }
        let frames = session.after(last_seq);
        let is_complete = last_seq + 1 >= session.oldest();
        let data = json!({
            "session_id": &*wanted,
            "replayed_count": frames.len(),
            "complete": is_complete,
            "oldest_seq": session.oldest(),
            "last_seq": session.seq(),
        });
        Ok((data, frames))
    }

    fn listed(&self, name: &Name, mut call: Value) -> Value {
        let held = call["call_id"].as_str().and_then(|call_id| self.calls.get(call_id));
        let (context, owner) = match held {
            Some(held) => (held.context.as_str(), held.owner.as_ref()),
            None => ("", None),
        };
        let whose = match owner {
            Some(owner) if *owner == *name => "own",
            Some(_) => "other",
            None => "none",
        };
        call["context"] = context.into();
        call["owner"] = whose.into();
        call
    }

    /// The webhook is told as a client of its dialect would be, with numbers of its own.
    fn tell_webhook(&mut self, told: &Told, context: &mut Context) {
        let Some(webhook) = &context.config.rwi.webhook else { return };
        let name = told.name(webhook.dialect);
        let is_wanted = webhook.events.is_empty() || webhook.events.iter().any(|wanted| wanted == name);
        if is_wanted && told.is_told_in(webhook.dialect) {
            self.posted += 1;
            let text = told.posted(self.posted, webhook.dialect);
            let to = Box::new(webhook.clone());
            context.out.push_back(boundary::Output::Webhook { to, text });
        }
    }

    fn take_note(&mut self, event: &Event, calls: &Calls, context: &Context) {
        let Some(call_id) = &event.call_id else { return };
        if matches!(event.what, What::CallIncoming { .. }) {
            // It is offered, perhaps anew: whoever answers it holds it.
            self.give_to(call_id, None);
        }
        match &event.what {
            What::CallIncoming { context: of_context, .. }
            | What::CallCreated { context: of_context, .. } => {
                let held = self.calls.entry(call_id.clone()).or_default();
                held.context.clone_from(of_context);
                if speaks_flat(&context.config.rwi) {
                    held.profile = calls.profile(call_id).or_else(|| held.profile.take());
                }
            }
            What::CallUnanswered { status } => {
                if let Some(held) = self.calls.get_mut(call_id) {
                    held.unanswered = Some(*status);
                }
            }
            _ => {}
        }
    }

    pub(super) fn speaks_flat(&self, name: &Name) -> bool {
        self.sessions.get(name).is_some_and(|session| session.dialect == Dialect::RustPbx)
    }

    /// The sessions that are to be told.
    fn concerned(&self, event: &Event) -> BTreeSet<Name> {
        let mut concerned = BTreeSet::new();
        let of_calls = match &event.what {
            What::CallBridged { leg_a, leg_b } | What::CallUnbridged { leg_a, leg_b } => vec![leg_a, leg_b],
            What::SupervisionStarted { supervisor, target, .. }
            | What::SupervisionStopped { supervisor, target }
            | What::SupervisorTookOver { supervisor, target } => vec![supervisor, target],
            _ => event.call_id.iter().collect(),
        };
        for held in of_calls.into_iter().filter_map(|call_id| self.calls.get(call_id)) {
            concerned.extend(held.owner.iter().cloned());
            concerned.extend(held.watchers.iter().cloned());
            concerned.extend(self.subscribers.get(&held.context).into_iter().flatten().cloned());
        }
        if matches!(event.what, What::ConferenceCreated { .. } | What::ConferenceDestroyed { .. }) {
            let may = self.sessions.iter().filter(|(_, session)| session.may(Scope::Conference));
            concerned.extend(may.map(|(name, _)| name.clone()));
        }
        concerned
    }

    fn answer(
        &mut self,
        client: ClientId,
        mut question: Question,
        mut answer: Answer,
        context: &mut Context,
    ) {
        let name = self.clients.get(&client);
        if let Some(session) = name.and_then(|name| self.sessions.get_mut(name))
            && !buggify!("an answer is forgotten")
        {
            if session.dialect == Dialect::RustPbx {
                if let Some(Value::String(id)) = &question.action_id {
                    session.note_answered(id, context.now);
                }
                question.call_id = question.call_id.map(|call_id| session.names.of(&call_id).to_owned());
                if let Ok(data) = &mut answer {
                    session.names.theirs(data);
                }
            }
            send(client, frame::written(&question, answer, session.dialect), context);
        }
    }
}

/// Whether anybody may come who speaks the other dialect.
fn speaks_flat(rwi: &Rwi) -> bool {
    let webhook = rwi.webhook.iter().map(|webhook| webhook.dialect);
    rwi.tokens.iter().map(|token| token.dialect).chain(webhook).any(|dialect| dialect == Dialect::RustPbx)
}

fn send(client: ClientId, text: String, context: &mut Context) {
    context.out.push_back(boundary::Output::Rwi(ToClient::Frame { client, text }));
}
