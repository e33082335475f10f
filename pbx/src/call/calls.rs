//! All calls, and which session, stream and request belongs to which.

use super::Context;
use super::asking::facts_of;
use super::call::{Call, Invitation, Stage, Timer};
use super::facts::Facts;
use super::leg::Leg;
use super::mapping::{from_for_callees, from_user, max_forwards, passing_headers};
use super::queue::Queues;
use super::transfer::Transfers;
use crate::audio::Clip;
use crate::boundary::CallNow;
use crate::dialog::{Event, RequestId, SessionId};
use crate::media::{self, RoomId};
use crate::route::{Ask, Caller, Decision, Routed};
use crate::sip::{Path, Request};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path;
use std::sync::Arc;

/// All calls of the PBX.
#[derive(Default)]
pub(crate) struct Calls {
    calls: BTreeMap<RoomId, Box<Call>>,
    /// The call that has a name now; one that is over may have had it before.
    names: BTreeMap<String, RoomId>,
    last_room: u64,
    pub(super) transfers: Transfers,
    pub(super) queues: Queues,
}

/// An INVITE that was let in.
pub(crate) struct Incoming {
    pub(crate) session: SessionId,
    pub(crate) invite: Request,
    pub(crate) path: Path,
    pub(crate) offer: Option<Vec<u8>>,
    pub(crate) caller: Caller,
    pub(crate) dialled: String,
    pub(crate) routed: Routed,
}

impl Calls {
    /// Calls that are up or being closed.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// What they do now.
    pub(crate) fn survey(&self) -> Vec<CallNow> {
        self.calls.values().map(|call| call.survey()).collect()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.transfers.is_empty() && self.queues.are_empty()
    }

    /// A new call begins.
    pub(crate) fn begin(&mut self, incoming: Incoming, context: &mut Context) {
        let stage = Stage::Preparing(incoming.routed.decision.clone());
        self.begin_with(incoming, stage, context);
    }

    /// A new call begins, with what it is to do when its port is open.
    pub(super) fn begin_with(&mut self, incoming: Incoming, stage: Stage, context: &mut Context) {
        let room = self.new_room();
        context.room = room;
        context.own_session(incoming.session);
        let manners = context.manners_of(&incoming.caller);
        let mut negotiation = context.new_negotiation(manners);
        let understood = match &incoming.offer {
            Some(offer) => negotiation.receive_offer(offer).map(drop),
            None => Ok(()),
        };
        let stage = match (understood, stage) {
            (Ok(()), Stage::Preparing(Decision::Ask(ask))) => {
                Stage::Preparing(Decision::Ask(Ask { facts: Some(facts_of(&incoming.invite)), ..ask }))
            }
            (Ok(()), stage) => stage,
            (Err(error), _) => Stage::Preparing(Decision::Reject { status: error.status(), reason: None }),
        };
        let facts = Facts {
            call_id: format!("c_{}", context.rng.token(12)),
            sip_call_id: incoming.invite.call_id().to_owned(),
            caller: from_user(&incoming.invite),
            dialled: incoming.dialled,
            route: incoming.routed.route,
            started: context.now,
            ringing: None,
            answered: None,
            end: None,
        };
        let caller = Leg::new("caller".into(), Some(incoming.session), incoming.path, negotiation, manners);
        let invitation = Invitation {
            from: from_for_callees(&incoming.invite, &incoming.caller, context),
            max_forwards: max_forwards(&incoming.invite).saturating_sub(1),
            headers: passing_headers(&incoming.invite, &incoming.caller),
            has_offer: incoming.offer.is_some(),
            caller: incoming.caller,
        };
        let media_room = match &stage {
            Stage::Preparing(decision) => context.media_room_of(decision, room),
            _ => room,
        };
        self.add(Call::new(room, facts, caller, invitation, stage, media_room));
        self.within(room, context, |call, context| call.begin(context));
    }

    /// An event of a session; `false` when it belongs to no call.
    pub(crate) fn on_session(&mut self, session: SessionId, event: Event, context: &mut Context) -> bool {
        let Some(&room) = context.books.sessions.get(&session) else {
            return false;
        };
        self.within(room, context, |call, context| call.on_session(session, event, context));
        true
    }

    /// The response to a request that a call has sent; `false` when no call has.
    pub(crate) fn on_response(&mut self, id: RequestId, event: Event, context: &mut Context) -> bool {
        let Some(&room) = context.books.requests.get(&id) else {
            return false;
        };
        // A response belongs to the request, whatever has become of the session.
        self.within(room, context, |call, context| call.on_session(SessionId(0), event, context));
        true
    }

    /// News of a media engine.
    pub(crate) fn on_media(&mut self, event: media::Event, context: &mut Context) {
        if let media::Event::FellSilent(recording) = event {
            if let Some(room) = context.room_of_recording(recording) {
                self.within(room, context, |call, context| call.on_silence(context));
            }
            return;
        }
        if let media::Event::RecordingEnded { recording, length } = event {
            context.file_message(recording, length);
            if let Some(room) = context.on_recording_ended(recording, length) {
                self.within(room, context, |call, context| call.on_recorded(context));
            }
            return;
        }
        let Some(stream) = event.stream() else { return };
        let Some(&room) = context.books.streams.get(&stream) else {
            return;
        };
        if matches!(event, media::Event::Closed(..) | media::Event::OpenFailed { .. }) {
            context.books.streams.remove(&stream);
        }
        self.within(room, context, |call, context| call.on_media(event, context));
    }

    /// The addresses of a name that a call has asked for.
    pub(crate) fn on_resolved(&mut self, query: u64, addresses: Vec<SocketAddr>, context: &mut Context) {
        if let Some(room) = context.books.queries.remove(&query) {
            self.within(room, context, |call, context| call.on_resolved(query, addresses, context));
        }
    }

    /// The web service has answered what a call has asked.
    pub(crate) fn on_routed(&mut self, query: u64, answer: Result<String, String>, context: &mut Context) {
        if let Some(room) = context.books.queries.remove(&query) {
            self.within(room, context, |call, context| call.on_answer_of_router(answer, context));
        }
    }

    /// A file that calls have asked for was read, or cannot be.
    pub(crate) fn on_sound(
        &mut self,
        file: &path::Path,
        sound: &Result<Arc<Clip>, String>,
        context: &mut Context,
    ) {
        for room in context.sounds.on_read(file, sound.as_ref().ok()) {
            self.within(room, context, |call, context| call.on_sound(file, sound, context));
        }
    }

    /// Deadlines have come.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context) {
        while let Some((room, timer)) = next_timer(context) {
            self.within(room, context, |call, context| call.on_timer(timer, context));
        }
    }

    /// The earliest deadline.
    pub(crate) fn poll_timeout(&self, context: &Context) -> Option<Instant> {
        context.books.timers.first().map(|(at, ..)| *at)
    }

    /// Ends all calls.
    pub(crate) fn hang_up_all(&mut self, why: &str, context: &mut Context) {
        let rooms: Vec<_> = self.calls.keys().copied().collect();
        for room in rooms {
            self.within(room, context, |call, context| call.hang_up(why, context));
        }
    }

    /// All of them, those that are over among them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Call> {
        self.calls.values().map(Box::as_ref)
    }

    /// Those in these rooms, in the order in which they began.
    pub(super) fn in_rooms(&self, rooms: &[RoomId]) -> impl Iterator<Item = &Call> {
        let rooms: BTreeSet<RoomId> = rooms.iter().copied().collect();
        rooms.into_iter().filter_map(|room| self.calls.get(&room).map(Box::as_ref))
    }

    pub(super) fn new_room(&mut self) -> RoomId {
        self.last_room += 1;
        RoomId(self.last_room)
    }

    pub(super) fn add(&mut self, call: Call) {
        self.names.insert(call.facts.call_id.clone(), call.room);
        self.calls.insert(call.room, Box::new(call));
    }

    pub(super) fn call(&mut self, room: RoomId) -> Option<&mut Call> {
        self.calls.get_mut(&room).map(Box::as_mut)
    }

    /// The call of this name, unless it is over.
    pub(super) fn room_of(&self, name: &str) -> Option<RoomId> {
        let room = *self.names.get(name)?;
        self.calls.get(&room).filter(|call| !call.has_ended()).map(|call| call.room)
    }

    /// What a call is called that is not over.
    pub(super) fn live_name(&self, room: RoomId) -> Option<String> {
        self.name_of(room).filter(|name| self.room_of(name) == Some(room))
    }

    /// What a call is called, also when it has just ended.
    pub(super) fn name_of(&self, room: RoomId) -> Option<String> {
        self.calls.get(&room).map(|call| call.facts.call_id.clone())
    }

    /// Something happens to a call, and then to others what it wishes of them.
    fn within(&mut self, room: RoomId, context: &mut Context, act: impl FnOnce(&mut Call, &mut Context)) {
        self.with(room, context, act);
        self.fulfil_wishes(context);
    }

    pub(super) fn with<T>(
        &mut self,
        room: RoomId,
        context: &mut Context,
        act: impl FnOnce(&mut Call, &mut Context) -> T,
    ) -> Option<T> {
        let call = self.calls.get_mut(&room)?;
        context.room = room;
        context.media_room = call.media_room;
        context.stir(&call.occupied);
        let done = act(call, context);
        context.stir(&call.occupied);
        if call.is_over()
            && let Some(call) = self.calls.remove(&room)
        {
            if self.names.get(&call.facts.call_id) == Some(&room) {
                self.names.remove(&call.facts.call_id);
            }
            call.finish(context);
        }
        context.counters.ports_in_use = context.ports.in_use() as u64;
        Some(done)
    }
}

fn next_timer(context: &mut Context) -> Option<(RoomId, Timer)> {
    let &(at, room, timer) = context.books.timers.first()?;
    if at > context.now {
        return None;
    }
    context.books.timers.pop_first();
    Some((room, timer))
}
