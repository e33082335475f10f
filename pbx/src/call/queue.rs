//! Queues: callers wait with music, by priority and then by arrival, until an agent takes them.
//!
//! A caller who waits is a call in hand that hears music. An agent is rung by a call of its own; the first who answers gets
//! the caller, and whoever else rings is let go. An agent who has not answered, or has just talked, rests for a while.

use super::Context;
use super::call::Timer;
use super::calls::Calls;
use super::command::{Answer, Code, Originate, Refusal, done, done_with};
use super::controlled::Wish;
use super::playing::Waits;
use crate::boundary::What;
use crate::buggify::buggify;
use crate::cdr::EndedBy;
use crate::config::{self, Strategy};
use crate::media::RoomId;
use crate::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How long an agent is not rung again who has not answered.
const REST: Duration = Duration::from_secs(5);
/// How often somebody looks for an agent who has become free.
const LOOK: Duration = Duration::from_secs(1);
/// Who waits in all queues together.
const WAITING: usize = 100_000;

/// All who wait, and how agents are.
#[derive(Default)]
pub(super) struct Queues {
    waiting: BTreeMap<RoomId, Waiting>,
    agents: BTreeMap<String, Agent>,
    arrivals: u64,
    /// When a queue was looked at last: one look is enough for all who wait in it.
    looked: BTreeMap<String, Instant>,
}

/// Who waits.
struct Waiting {
    queue: String,
    priority: u8,
    /// Which in the order of arrival.
    arrival: u64,
    since: Instant,
    /// It keeps its place and is given to nobody.
    held: bool,
    /// The position that was told last.
    told: usize,
    /// The agents that are rung for it, by their calls.
    rung: BTreeMap<RoomId, String>,
}

/// How an agent is.
#[derive(Default)]
struct Agent {
    /// Not rung before.
    rests_until: Option<Instant>,
    /// When it was last free after a talk.
    free_since: Option<Instant>,
    /// The call it talks in.
    talks: Option<RoomId>,
    /// Whether it is being rung by a queue.
    is_rung: bool,
}

impl Queues {
    pub(super) fn are_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Those who wait in a queue, who is first in front.
    fn line(&self, queue: &str) -> Vec<RoomId> {
        let mut line: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.queue == queue)
            .map(|(room, waiting)| (Reverse(waiting.priority), waiting.arrival, *room))
            .collect();
        line.sort_unstable();
        if buggify!("a queue serves who came last") {
            line.reverse();
        }
        line.into_iter().map(|(_, _, room)| room).collect()
    }
}

impl Calls {
    /// A call waits in a queue from now on.
    pub(crate) fn enqueue(
        &mut self,
        call_id: &str,
        queue: &str,
        priority: u8,
        longest: Option<Duration>,
        context: &mut Context,
    ) -> Answer {
        let room = self.room_of(call_id).ok_or_else(|| Refusal::no_call(call_id))?;
        self.call(room).ok_or_else(|| Refusal::no_call(call_id))?.in_hand()?;
        let of_config = queue_of(queue, context)?;
        if self.queues.waiting.contains_key(&room) {
            return Err(Refusal::state("the call waits in a queue already"));
        }
        if self.queues.waiting.len() >= WAITING {
            return Err(Refusal::new(Code::RateLimited, format!("{WAITING} calls wait")));
        }
        self.part(room, None, context);
        self.queues.arrivals += 1;
        let waiting = Waiting {
            queue: queue.to_owned(),
            priority,
            arrival: self.queues.arrivals,
            since: context.now,
            held: false,
            told: 0,
            rung: BTreeMap::new(),
        };
        self.queues.waiting.insert(room, waiting);
        let longest = longest.or(of_config.max_wait);
        self.with(room, context, |call, context| {
            call.stop_playing(context);
            let waits = Waits { queue: queue.to_owned(), music: of_config.music.clone() };
            call.play_waiting_music(waits, context);
            call.set_timer(Timer::Look, LOOK, context);
            if let Some(longest) = longest {
                call.set_timer(Timer::Wait, longest, context);
            }
            if let Some(every) = of_config.announce_every {
                call.set_timer(Timer::Announce, every, context);
            }
        });
        let position = self.queues.line(queue).iter().position(|other| *other == room).unwrap_or(0) + 1;
        context.tell(call_id, What::QueueJoined { queue: queue.to_owned(), position });
        if let Some(waiting) = self.queues.waiting.get_mut(&room) {
            waiting.told = position;
        }
        self.tell_positions(queue, context);
        self.serve_queue(queue, context);
        done_with([("position", position.into())])
    }

    /// A call leaves its queue and is parked; with an agent, that one is rung for it alone.
    pub(crate) fn dequeue(&mut self, call_id: &str, agent: Option<&str>, context: &mut Context) -> Answer {
        let room = self.waiting_room(call_id)?;
        match agent {
            Some(agent) => self.ring_agent(room, agent, context)?,
            None => {
                self.leave_queue(room, "dequeued", context);
                self.with(room, context, |call, context| call.stop_playing(context));
            }
        }
        done()
    }

    /// A call keeps its place in the queue and is given to nobody, or is again.
    pub(crate) fn hold_in_queue(&mut self, call_id: &str, held: bool, context: &mut Context) -> Answer {
        let room = self.waiting_room(call_id)?;
        let Some(waiting) = self.queues.waiting.get_mut(&room) else { return Err(not_waiting(call_id)) };
        if waiting.held == held {
            let message = if held { "the call is held already" } else { "the call is not held" };
            return Err(Refusal::state(message));
        }
        waiting.held = held;
        let queue = waiting.queue.clone();
        context.tell(call_id, What::QueueHeld { queue: queue.clone(), held });
        if held {
            self.stop_ringing(room, context);
        }
        self.serve_queue(&queue, context);
        done()
    }

    /// A call has another priority.
    pub(crate) fn set_priority(&mut self, call_id: &str, priority: u8, context: &mut Context) -> Answer {
        let room = self.waiting_room(call_id)?;
        let Some(waiting) = self.queues.waiting.get_mut(&room) else { return Err(not_waiting(call_id)) };
        waiting.priority = priority;
        let queue = waiting.queue.clone();
        self.tell_positions(&queue, context);
        done()
    }

    /// An agent is rung for a call, whoever else is.
    pub(crate) fn assign_agent(&mut self, call_id: &str, agent: &str, context: &mut Context) -> Answer {
        let room = self.waiting_room(call_id)?;
        self.ring_agent(room, agent, context)?;
        done()
    }

    /// A call waits in another queue, or in the same one behind the others.
    pub(crate) fn requeue(
        &mut self,
        call_id: &str,
        queue: &str,
        priority: Option<u8>,
        context: &mut Context,
    ) -> Answer {
        let room = self.waiting_room(call_id)?;
        queue_of(queue, context)?;
        let before = self.queues.waiting.get(&room).map_or(0, |waiting| waiting.priority);
        self.leave_queue(room, "requeued", context);
        self.enqueue(call_id, queue, priority.unwrap_or(before), None, context)
    }

    /// A call has waited as long as it may.
    pub(super) fn on_waited(&mut self, room: RoomId, context: &mut Context) {
        let Some(waiting) = self.queues.waiting.get(&room) else { return };
        let queue = waiting.queue.clone();
        let Some(name) = self.name_of(room) else { return };
        context.tell(&name, What::QueueWaitTimeout { queue: queue.clone() });
        self.leave_queue(room, "timeout", context);
        self.with(room, context, |call, context| call.stop_playing(context));
        let then = queue_of(&queue, context).ok().and_then(|queue| queue.then);
        if let Some(number) = then
            && self.transfer_blind(&name, &number, REST * 6, context).is_err()
        {
            self.let_go(&name, "nobody is left to take the call", context);
        }
    }

    /// Somebody looks whether an agent has become free.
    pub(super) fn look_for_agents(&mut self, room: RoomId, context: &mut Context) {
        let Some(queue) = self.queues.waiting.get(&room).map(|waiting| waiting.queue.clone()) else { return };
        self.with(room, context, |call, context| call.set_timer(Timer::Look, LOOK, context));
        let last = self.queues.looked.get(&queue);
        if last.is_none_or(|last| context.now.since(*last) >= LOOK) {
            self.serve_queue(&queue, context);
            self.queues.looked.insert(queue, context.now);
        }
    }

    /// It is said how long it may take.
    pub(super) fn announce_position(&mut self, room: RoomId, context: &mut Context) {
        let Some(waiting) = self.queues.waiting.get(&room) else { return };
        let Ok(queue) = queue_of(&waiting.queue, context) else { return };
        if let (Some(file), Some(every)) = (queue.announcement, queue.announce_every) {
            self.with(room, context, |call, context| {
                call.play_over_music(file, context);
                call.set_timer(Timer::Announce, every, context);
            });
        }
    }

    /// A call was answered, or is over: an agent has taken a caller or not, a caller has given up, a talk has ended.
    pub(super) fn on_queue_changed(&mut self, room: RoomId, context: &mut Context) {
        let is_up = self.call(room).is_some_and(|call| call.controlled().is_some());
        let rung_for = self.queues.waiting.iter().find(|(_, waiting)| waiting.rung.contains_key(&room));
        if let Some(caller) = rung_for.map(|(caller, _)| *caller) {
            return match is_up {
                true => self.connect(caller, room, context),
                false => self.on_agent_declined(caller, room, context),
            };
        }
        if is_up {
            return;
        }
        if self.queues.waiting.contains_key(&room) {
            self.leave_queue(room, "abandoned", context);
        }
        let talked = self.queues.agents.iter().find(|(_, agent)| agent.talks == Some(room));
        if let Some(name) = talked.map(|(name, _)| name.clone()) {
            let wrap_up = context.config.queues.iter().filter(|queue| queue.agents.contains(&name));
            let wrap_up = wrap_up.map(|queue| queue.wrap_up).max().unwrap_or_default();
            if let Some(agent) = self.queues.agents.get_mut(&name) {
                agent.talks = None;
                agent.free_since = Some(context.now);
                agent.rests_until = Some(context.now + wrap_up);
            }
        }
    }

    /// Rings agents for who is first, and for who is next while there are agents.
    fn serve_queue(&mut self, name: &str, context: &mut Context) {
        let Ok(queue) = queue_of(name, context) else { return };
        for room in self.queues.line(name) {
            let is_served =
                self.queues.waiting.get(&room).is_none_or(|waiting| waiting.held || !waiting.rung.is_empty());
            if is_served {
                continue;
            }
            let mut free: Vec<&String> =
                queue.agents.iter().filter(|agent| self.is_free(agent, context)).collect();
            if free.is_empty() {
                return;
            }
            if queue.strategy == Strategy::LongestIdle {
                // Who has never talked has been idle since the beginning.
                free.sort_by_key(|agent| self.queues.agents.get(*agent).and_then(|agent| agent.free_since));
            }
            let count = if queue.strategy == Strategy::All { free.len() } else { 1 };
            let chosen: Vec<String> = free.into_iter().take(count).cloned().collect();
            for agent in chosen {
                if let Err(refusal) = self.ring_agent(room, &agent, context) {
                    tracing::debug!(agent, %refusal, "an agent cannot be rung");
                    self.queues.agents.entry(agent).or_default().rests_until = Some(context.now + REST);
                }
            }
        }
    }

    fn is_free(&self, name: &str, context: &Context) -> bool {
        let rests = self.queues.agents.get(name).is_some_and(|agent| {
            agent.is_rung
                || agent.talks.is_some()
                || agent.rests_until.is_some_and(|until| until > context.now)
        });
        !rests && context.busy_with(name) == 0 && !context.contacts_of(name).is_empty()
    }

    fn ring_agent(&mut self, caller: RoomId, agent: &str, context: &mut Context) -> Result<(), Refusal> {
        let (of_context, caller_id, call_id, root) = match self.call(caller) {
            Some(call) => {
                let facts = &call.facts;
                let (caller, call_id) = (facts.caller.clone(), facts.call_id.clone());
                (call.context().to_owned(), caller, call_id, facts.root.clone())
            }
            None => return Err(Refusal::state("the call is over")),
        };
        let Some(queue) = self.queues.waiting.get(&caller).map(|waiting| waiting.queue.clone()) else {
            return Err(not_waiting(&call_id));
        };
        let patience = queue_of(&queue, context)?.ring_timeout;
        let order = Originate {
            call_id: Some(format!("agent-{agent}-{}", context.rng.token(6))),
            destination: agent.to_owned(),
            caller_id: Some(caller_id),
            patience,
            context: of_context,
            headers: Vec::new(),
            record: None,
            music: None,
            root: Some(root),
        };
        let name = order.call_id.clone().unwrap_or_default();
        self.originate(order, context)?;
        let Some(room) = self.room_of(&name) else { return Err(Refusal::state("the agent cannot be rung")) };
        if let Some(waiting) = self.queues.waiting.get_mut(&caller) {
            waiting.rung.insert(room, agent.to_owned());
        }
        self.queues.agents.entry(agent.to_owned()).or_default().is_rung = true;
        context.tell(&call_id, What::QueueAgentOffered { queue, agent: agent.to_owned() });
        Ok(())
    }

    /// An agent has answered: it gets the caller.
    fn connect(&mut self, caller: RoomId, agent_call: RoomId, context: &mut Context) {
        let Some(waiting) = self.queues.waiting.get_mut(&caller) else { return };
        let Some(rung) = waiting.rung.remove(&agent_call) else { return };
        let queue = waiting.queue.clone();
        let waited = context.now.since(waiting.since);
        if let Some(agent) = self.queues.agents.get_mut(&rung) {
            agent.is_rung = false;
        }
        // Somebody else may have picked it up.
        let name = self.call(agent_call).map_or(rung, |call| call.number());
        self.queues.agents.entry(name.clone()).or_default().talks = Some(agent_call);
        self.leave_queue(caller, "connected", context);
        let call_id = self.name_of(caller).unwrap_or_default();
        match self.bridge(caller, agent_call, context) {
            Ok(_) => {
                let what = What::QueueAgentConnected { queue, agent: name, waited };
                context.tell(&call_id, what);
            }
            Err(refusal) => {
                tracing::warn!(call_id, %refusal, "an agent cannot be given its caller");
                self.with(agent_call, context, |call, context| {
                    call.end(EndedBy::Pbx, "the caller is gone", None, context);
                });
            }
        }
    }

    /// An agent has not answered, or has refused: it rests, and somebody else is rung.
    fn on_agent_declined(&mut self, caller: RoomId, agent_call: RoomId, context: &mut Context) {
        let Some(waiting) = self.queues.waiting.get_mut(&caller) else { return };
        let Some(name) = waiting.rung.remove(&agent_call) else { return };
        let queue = waiting.queue.clone();
        if let Some(agent) = self.queues.agents.get_mut(&name) {
            agent.is_rung = false;
            agent.rests_until = Some(context.now + REST);
            // Who did not answer goes behind those who might.
            agent.free_since = Some(context.now);
        }
        if let Some(call_id) = self.name_of(caller) {
            context.tell(&call_id, What::QueueAgentDeclined { queue: queue.clone(), agent: name });
        }
        self.serve_queue(&queue, context);
    }

    /// A call waits no longer; whoever is rung for it is let go.
    pub(super) fn leave_queue(&mut self, room: RoomId, reason: &'static str, context: &mut Context) {
        self.stop_ringing(room, context);
        let Some(waiting) = self.queues.waiting.remove(&room) else { return };
        self.with(room, context, |call, context| {
            for timer in [Timer::Wait, Timer::Look, Timer::Announce] {
                call.cancel_timer(timer, context);
            }
            if let Some(controlled) = call.controlled() {
                controlled.waits = None;
            }
        });
        // Who has hung up has said so itself, before its end.
        if let Some(call_id) = self.live_name(room) {
            context.tell(&call_id, What::QueueLeft { queue: waiting.queue.clone(), reason });
        }
        self.tell_positions(&waiting.queue, context);
    }

    fn stop_ringing(&mut self, room: RoomId, context: &mut Context) {
        let Some(waiting) = self.queues.waiting.get_mut(&room) else { return };
        let rung = std::mem::take(&mut waiting.rung);
        for (agent_call, name) in rung {
            if let Some(agent) = self.queues.agents.get_mut(&name) {
                agent.is_rung = false;
            }
            self.with(agent_call, context, |call, context| {
                if !call.has_ended() {
                    call.end(EndedBy::Caller, "somebody else has taken the call", None, context);
                }
            });
        }
    }

    /// Who has moved up is told so.
    fn tell_positions(&mut self, queue: &str, context: &mut Context) {
        for (index, room) in self.queues.line(queue).into_iter().enumerate() {
            let position = index + 1;
            let name = self.name_of(room);
            if let (Some(waiting), Some(name)) = (self.queues.waiting.get_mut(&room), name)
                && waiting.told != position
            {
                waiting.told = position;
                context.tell(&name, What::QueuePosition { queue: queue.to_owned(), position });
            }
        }
    }

    fn waiting_room(&self, call_id: &str) -> Result<RoomId, Refusal> {
        let room = self.room_of(call_id).ok_or_else(|| Refusal::no_call(call_id))?;
        match self.queues.waiting.contains_key(&room) {
            true => Ok(room),
            false => Err(not_waiting(call_id)),
        }
    }

    /// A caller of the dial plan, who is answered, goes into a queue.
    pub(super) fn enqueue_caller(&mut self, room: RoomId, queue: &str, context: &mut Context) {
        let Some(call_id) = self.name_of(room) else { return };
        if let Err(refusal) = self.enqueue(&call_id, queue, 0, None, context) {
            tracing::warn!(call_id, %refusal, "a caller cannot wait");
            self.let_go(&call_id, "the queue takes nobody", context);
        }
    }
}

impl super::call::Call {
    /// Something the queue has to do for it.
    pub(super) fn on_queue_timer(&mut self, timer: Timer, context: &mut Context) {
        let room = self.room;
        context.wish(match timer {
            Timer::Wait => Wish::Waited(room),
            Timer::Announce => Wish::Announce(room),
            _ => Wish::Look(room),
        });
    }
}

fn queue_of(name: &str, context: &Context) -> Result<config::Queue, Refusal> {
    let known = context.config.queues.iter().find(|queue| queue.name == name);
    known
        .cloned()
        .ok_or_else(|| Refusal::new(Code::InvalidParams, format!("queue_id: there is no queue {name:?}")))
}

fn not_waiting(call_id: &str) -> Refusal {
    Refusal::state(format!("{call_id:?} waits in no queue"))
}
