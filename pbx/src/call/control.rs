//! Commands: each finds its call, and what concerns two is done here, where both can be seen.

use super::Context;
use super::call::{Call, Invitation, Origin, Stage, Timer};
use super::calls::Calls;
use super::command::{Answer, Code, Command, Originate, Refusal, Ticket, done, done_with};
use super::controlled::{Controlled, Doing, Peer, Wish};
use super::facts::{Facts, Root};
use super::leg::{Leg, Port};
use crate::boundary::What;
use crate::buggify::buggify;
use crate::cdr::EndedBy;
use crate::config::{App, Unanswered};
use crate::media::RoomId;
use crate::route::{self, Caller, Decision};
use crate::sip::{Path, StatusCode, Transport, Uri, escape_user};
use crate::time::Duration;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The host part of an address that is to be found in the dial plan.
const LOCAL: &str = "local";

/// Calls that are listed at most.
const LISTED: usize = 1_000;

/// The longest name of a call.
const NAME: usize = 64;

impl Calls {
    /// Does what is asked of a call. The answer comes by [`Context::answer`], now or later, and exactly once.
    pub(crate) fn command(&mut self, call_id: &str, command: Command, ticket: Ticket, context: &mut Context) {
        let answer = match self.room_of(call_id) {
            Some(room) => self.obey(room, command, ticket, context),
            None => Some(Err(Refusal::no_call(call_id))),
        };
        if let Some(answer) = answer {
            context.answer(ticket, answer);
        }
        self.fulfil_wishes(context);
    }

    /// Makes a call; the answer is its name. It is under way then: whether somebody answers is told by events.
    pub(crate) fn originate(&mut self, order: Originate, context: &mut Context) -> Answer {
        let call_id = self.new_name(order.call_id.as_deref(), context)?;
        let (number, decision) = self.destination(&order, context)?;
        if decision.is_application() {
            let message = format!("destination: {number:?} is an application, nobody can be rung there");
            return Err(Refusal::new(Code::InvalidParams, message));
        }
        let on_behalf_of = Caller::Extension(order.caller_id.clone().unwrap_or_else(|| "anonymous".into()));
        let order = Originate { call_id: Some(call_id.clone()), ..order };
        self.originate_to(order, number, decision, on_behalf_of, context)?;
        done_with([("call_id", call_id.into())])
    }

    /// Makes a call to where the dial plan leads.
    pub(super) fn originate_to(
        &mut self,
        order: Originate,
        number: String,
        decision: Decision,
        on_behalf_of: Caller,
        context: &mut Context,
    ) -> Result<RoomId, Refusal> {
        if self.len() >= context.config.limits.calls {
            return Err(Refusal::new(Code::RateLimited, "the PBX has as many calls as it may"));
        }
        let call_id = self.new_name(order.call_id.as_deref(), context)?;
        let room = self.new_room();
        context.room = room;
        let caller = order.caller_id.clone().unwrap_or_else(|| "anonymous".into());
        let own_root = || {
            Arc::new(Root {
                session_id: call_id.clone(),
                call_id: call_id.clone(),
                caller: caller.clone(),
                dialled: number.clone(),
                started: context.now,
            })
        };
        let facts = Facts {
            root: order.root.clone().unwrap_or_else(own_root),
            call_id: call_id.clone(),
            sip_call_id: String::new(),
            caller: caller.clone(),
            dialled: number,
            route: None,
            started: context.now,
            ringing: None,
            answered: None,
            end: None,
        };
        let domain = &context.config.sip.domain;
        let invitation = Invitation {
            from: format!("<sip:{}@{domain}>", escape_user(&caller)),
            max_forwards: 70,
            headers: order.headers.clone(),
            has_offer: false,
            caller: on_behalf_of,
        };
        let negotiation = context.new_negotiation(Default::default());
        let nobody = Leg {
            port: Port::Closed,
            ..Leg::new("application".into(), None, nowhere(context), negotiation, Default::default())
        };
        let mut call = Call::new(room, facts, nobody, invitation, Stage::Preparing(decision), room);
        call.origin = Origin::Application(Box::new(order));
        self.add(call);
        self.with(room, context, |call, context| call.begin_to_originate(context));
        Ok(room)
    }

    /// A call is over because nobody looks after it.
    pub(crate) fn let_go(&mut self, call_id: &str, why: &str, context: &mut Context) {
        let Some(room) = self.room_of(call_id) else { return };
        self.with(room, context, |call, context| {
            call.end(EndedBy::Pbx, why, Some(StatusCode::TEMPORARILY_UNAVAILABLE), context);
        });
        self.fulfil_wishes(context);
    }

    /// No application looks after a call: what its context says becomes of it.
    pub(crate) fn settle(&mut self, call_id: &str, of_context: &str, why: &str, context: &mut Context) {
        let settings = context.config.rwi.context(of_context);
        match settings.no_answer.clone() {
            Unanswered::Transfer(number) => {
                let patience = settings.no_answer_timeout;
                if self.transfer_blind(call_id, &number, patience, context).is_err() {
                    self.let_go(call_id, why, context);
                }
            }
            Unanswered::Tone { frequency, duration } => self.play_out(call_id, frequency, duration, context),
            Unanswered::HangUp => self.let_go(call_id, why, context),
        }
    }

    /// A call hears a tone for a while, and is over then.
    fn play_out(&mut self, call_id: &str, frequency: f64, duration: Duration, context: &mut Context) {
        let Some(room) = self.room_of(call_id) else { return };
        let is_in_hand = self.call(room).is_some_and(|call| call.controlled().is_some());
        if !is_in_hand {
            return self.let_go(call_id, "its application is gone", context);
        }
        self.part(room, None, context);
        let decision = Decision::Tone { frequency, duration, answer_delay: Duration::ZERO };
        self.with(room, context, |call, context| call.be_served(decision, context));
        self.fulfil_wishes(context);
    }

    /// All calls that are not over, for who asks.
    pub(crate) fn list(&self, context: &Context) -> Vec<Value> {
        let mut list = Vec::new();
        for call in self.all().filter(|call| !call.has_ended()).take(LISTED) {
            let with = match call.doing() {
                Some(Doing::Bridged(peer)) => self.name_of(peer),
                Some(Doing::Parked | Doing::Mixed(_)) | None => None,
            };
            list.push(json!({
                "call_id": call.facts.call_id,
                "caller": call.facts.caller,
                "dialled": call.facts.dialled,
                "state": call.survey().stage,
                "bridged_with": with,
                "started_at": context.clock.rfc3339(call.facts.started),
                "answered_at": call.facts.answered.as_ref().map(|(at, _)| context.clock.rfc3339(*at)),
            }));
        }
        list
    }

    /// Two extensions that talk become two calls, each of which does what it is told; the answer is the name of the other
    /// one. `None`: the call is one already.
    pub(crate) fn split(&mut self, call_id: &str, context: &mut Context) -> Result<Option<String>, Refusal> {
        let room = self.room_of(call_id).ok_or_else(|| Refusal::no_call(call_id))?;
        self.part_talk(room, false, context)
    }

    /// Two who talk become two calls in hand, if they are not yet; applications hear that there is another one.
    pub(super) fn take_apart(&mut self, room: RoomId, context: &mut Context) -> Result<(), Refusal> {
        self.part_talk(room, true, context).map(drop)
    }

    fn part_talk(
        &mut self,
        room: RoomId,
        is_told: bool,
        context: &mut Context,
    ) -> Result<Option<String>, Refusal> {
        let other = self.new_room();
        let name = format!("c_{}", context.rng.token(12));
        let half = self.with(room, context, |call, context| call.split(other, name.clone(), context));
        let Some(half) = half.transpose()?.flatten() else { return Ok(None) };
        if is_told {
            let (caller, dialled) = (half.facts.caller.clone(), half.facts.dialled.clone());
            let (of_context, by) = (half.of_context.clone(), half.caller.name.clone());
            context.tell(&name, What::CallCreated { caller, dialled, context: of_context });
            context.tell(&name, What::CallAnswered { by });
        }
        self.add(half);
        for room in [room, other] {
            self.with(room, context, |call, context| {
                call.set_timer(Timer::Limit, context.config.limits.call_duration, context);
                call.stand_alone(context);
            });
        }
        // If the PBX is killed, the next start finds both.
        self.with(other, context, |call, context| call.write_journal(context));
        self.tell_of_both(room, other, |leg_a, leg_b| What::CallBridged { leg_a, leg_b }, context);
        Ok(Some(name))
    }

    fn obey(
        &mut self,
        room: RoomId,
        command: Command,
        ticket: Ticket,
        context: &mut Context,
    ) -> Option<Answer> {
        match command {
            Command::Bridge { with } => Some(self.bridge_by_name(room, &with, context)),
            Command::Unbridge => Some(self.unbridge(room, context)),
            command => self.with(room, context, |call, context| call.obey(command, ticket, context))?,
        }
    }

    fn bridge_by_name(&mut self, room: RoomId, with: &str, context: &mut Context) -> Answer {
        let other = self.room_of(with).ok_or_else(|| Refusal::no_call(with))?;
        self.bridge(room, other, context)
    }

    /// Two calls hear each other from now on; whoever they were with before is parked.
    pub(super) fn bridge(&mut self, one: RoomId, other: RoomId, context: &mut Context) -> Answer {
        if one == other {
            return Err(Refusal::new(Code::InvalidParams, "a call cannot be bridged with itself"));
        }
        for room in [one, other] {
            self.call(room).ok_or_else(|| Refusal::state("the call is over"))?.in_hand()?;
        }
        for (room, peer) in [(one, other), (other, one)] {
            self.part(room, Some(peer), context);
            self.with(room, context, |call, context| {
                call.stop_playing(context);
                if let Some(controlled) = call.controlled() {
                    controlled.doing = Doing::Bridged(peer);
                }
            });
        }
        self.tune(one, context);
        self.tell_of_both(one, other, |leg_a, leg_b| What::CallBridged { leg_a, leg_b }, context);
        done()
    }

    /// It and the one it talks to are parked.
    fn unbridge(&mut self, room: RoomId, context: &mut Context) -> Answer {
        match self.call(room).ok_or_else(|| Refusal::state("the call is over"))?.in_hand()?.doing {
            Doing::Bridged(_) => {
                self.part(room, None, context);
                if !buggify!("calls that are parked go on hearing each other") {
                    self.tune(room, context);
                }
                done()
            }
            Doing::Parked | Doing::Mixed(_) => Err(Refusal::state("the call is not bridged")),
        }
    }

    /// Takes a call away from whomever it hears, but for `but`, and out of its queue. Both are parked then.
    pub(super) fn part(&mut self, room: RoomId, but: Option<RoomId>, context: &mut Context) {
        self.leave_queue(room, "dequeued", context);
        let Some(doing) = self.call(room).and_then(|call| call.doing()) else { return };
        match doing {
            Doing::Bridged(peer) if Some(peer) == but => {}
            Doing::Bridged(peer) => {
                for room in [room, peer] {
                    self.park(room);
                }
                self.tell_of_both(room, peer, |leg_a, leg_b| What::CallUnbridged { leg_a, leg_b }, context);
                if buggify!("calls that are parked go on hearing each other") {
                    return;
                }
                self.tune(peer, context);
            }
            Doing::Mixed(mix) => self.leave_mix(mix, room, context),
            Doing::Parked => {}
        }
    }

    pub(super) fn park(&mut self, room: RoomId) {
        if let Some(controlled) = self.call(room).and_then(Call::controlled) {
            controlled.doing = Doing::Parked;
        }
    }

    /// Lets a call, and the one it is bridged with, hear what they are to hear now.
    pub(super) fn tune(&mut self, room: RoomId, context: &mut Context) {
        let peer = match self.call(room).and_then(|call| call.doing()) {
            Some(Doing::Bridged(peer)) => Some(peer),
            Some(Doing::Parked | Doing::Mixed(_)) => None,
            None => return,
        };
        for (own, other) in [(Some(room), peer), (peer, Some(room))] {
            let Some(own) = own else { continue };
            let other = other.and_then(|other| self.call(other));
            let other = other.map_or_else(Peer::default, |call| call.as_peer());
            self.with(own, context, |call, context| call.tune(other, context));
        }
    }

    /// What calls had to say to others.
    pub(crate) fn fulfil_wishes(&mut self, context: &mut Context) {
        while let Some(wish) = context.wishes.pop_front() {
            match wish {
                Wish::Tune(room) => self.tune(room, context),
                Wish::Part { left, gone, name } => {
                    // Somebody may have taken it away in between.
                    if self.call(left).and_then(|call| call.doing()) == Some(Doing::Bridged(gone)) {
                        self.park(left);
                        let leg_a = self.name_of(left).unwrap_or_default();
                        context.tell(&leg_a.clone(), What::CallUnbridged { leg_a, leg_b: name });
                        self.tune(left, context);
                    }
                }
                Wish::Beep(room) => {
                    self.with(room, context, |call, context| call.beep(context));
                }
                Wish::LeaveMix(mix, room) => self.leave_mix(mix, room, context),
                Wish::Rings(room) => self.on_rings(room, context),
                Wish::Changed(room) => {
                    self.on_changed(room, None, context);
                    self.on_queue_changed(room, context);
                }
                Wish::Over(room, status) => {
                    self.on_changed(room, Some(status), context);
                    self.on_queue_changed(room, context);
                }
                Wish::LedElsewhere(room, decision) => self.on_led_elsewhere(room, decision, context),
                Wish::Refer(refer) => self.refer(&refer, context),
                Wish::TakePlace(room, session) => self.take_place(room, session, context),
                Wish::Waited(room) => self.on_waited(room, context),
                Wish::Look(room) => self.look_for_agents(room, context),
                Wish::Announce(room) => self.announce_position(room, context),
                Wish::Enqueue(room, queue) => self.enqueue_caller(room, &queue, context),
                Wish::Settle(room, name) => {
                    if let Some(call_id) = self.live_name(room) {
                        self.settle(&call_id, &name, "no application has answered", context);
                    }
                }
            }
        }
    }

    fn tell_of_both(
        &self,
        one: RoomId,
        other: RoomId,
        what: impl FnOnce(String, String) -> What,
        context: &mut Context,
    ) {
        if let (Some(one), Some(other)) = (self.name_of(one), self.name_of(other)) {
            context.tell(&one.clone(), what(one, other));
        }
    }

    /// The name of a new call, if it can have that.
    fn new_name(&self, wanted: Option<&str>, context: &mut Context) -> Result<String, Refusal> {
        let Some(name) = wanted else { return Ok(format!("c_{}", context.rng.token(12))) };
        let is_one = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/');
        if name.is_empty() || name.len() > NAME || !name.chars().all(is_one) {
            let message =
                format!("call_id: expected 1 to {NAME} letters, digits or signs, without quotes and slashes");
            return Err(Refusal::new(Code::InvalidParams, message));
        }
        match self.room_of(name) {
            Some(_) => {
                Err(Refusal::new(Code::InvalidParams, format!("call_id: there is a call {name:?} already")))
            }
            None => Ok(name.to_owned()),
        }
    }

    /// Where an order leads: `sip:1001@local` by the dial plan, `sip:0301234@TRUNK` out over that trunk.
    pub(super) fn destination(
        &self,
        order: &Originate,
        context: &mut Context,
    ) -> Result<(String, Decision), Refusal> {
        let wrong = |why: String| Refusal::new(Code::InvalidParams, format!("destination: {why}"));
        let text = order.destination.as_str();
        if let Some(decision) = application_named(text, context) {
            let decision = decision.ok_or_else(|| wrong(format!("there is no {text:?}")))?;
            return Ok((text.to_owned(), decision));
        }
        let (number, host) = match Uri::parse(text) {
            Ok(uri) if text.contains(':') => {
                (route::dialled(text), (!uri.is_tel()).then(|| uri.host.to_string()))
            }
            _ => (text.to_owned(), None),
        };
        if number.is_empty() || number.len() > NAME || number.contains(['@', '<', '>', ' ']) {
            return Err(wrong(format!("{text:?} is no address; expected one like \"sip:1001@local\"")));
        }
        let host = host.unwrap_or_else(|| LOCAL.to_owned());
        let caller = order.caller_id.clone().unwrap_or_default();
        if is_ours(&host, context) {
            let routed = context.route(&number, &Caller::Extension(caller), IpAddr::V4(Ipv4Addr::LOCALHOST));
            return Ok((number, routed.decision));
        }
        let now = context.now;
        match context.router.by_trunk(&context.config, &host, number.clone(), now) {
            Some(decision) => Ok((number, decision)),
            None => {
                let domain = &context.config.sip.domain;
                Err(wrong(format!("{host:?} is neither \"local\", {domain:?} nor a trunk")))
            }
        }
    }
}

impl Call {
    /// The callee's leg as a call of its own; both do what they are told from now on.
    fn split(
        &mut self,
        room: RoomId,
        call_id: String,
        context: &mut Context,
    ) -> Result<Option<Call>, Refusal> {
        if matches!(self.stage, Stage::Controlled(_)) {
            return Ok(None);
        }
        if !matches!(self.stage, Stage::Talking(_)) {
            return Ok(None);
        }
        if self.reoffer.is_some() || !self.passages.is_empty() {
            return Err(Refusal::state("a change of the session is under way: try again in a moment"));
        }
        let in_hand = |peer| Stage::Controlled(Controlled::bridged_before(peer));
        let Stage::Talking(callee) = std::mem::replace(&mut self.stage, in_hand(room)) else {
            return Ok(None);
        };
        let facts = Facts {
            root: self.facts.root.clone(),
            call_id,
            caller: self.facts.caller.clone(),
            dialled: self.facts.dialled.clone(),
            sip_call_id: callee.call_id.clone(),
            route: self.facts.route.clone(),
            started: context.now,
            ringing: None,
            answered: Some((context.now, callee.name.clone())),
            end: None,
        };
        if let Some(session) = callee.session {
            context.books.sessions.insert(session, room);
        }
        if let Some(stream) = callee.stream() {
            context.books.streams.insert(stream, room);
        }
        context.counters.calls_total += 1;
        context.counters.calls_active += 1;
        let mut half =
            Call::new(room, facts, callee, self.invitation.clone(), in_hand(self.room), self.media_room);
        half.is_callee = true;
        half.of_context.clone_from(&self.of_context);
        self.hand_over_occupied(&mut half, context);
        Ok(Some(half))
    }

    /// What was ordered begins.
    fn begin_to_originate(&mut self, context: &mut Context) {
        context.counters.calls_total += 1;
        context.counters.calls_active += 1;
        let Origin::Application(order) = &self.origin else { return };
        let (patience, context_name) = (order.patience, order.context.clone());
        let what = What::CallCreated {
            caller: self.facts.caller.clone(),
            dialled: self.facts.dialled.clone(),
            context: context_name,
        };
        self.of_context = self.context().to_owned();
        context.tell(&self.facts.call_id, what);
        self.set_timer(Timer::Limit, context.config.limits.call_duration, context);
        self.set_timer(Timer::Patience, patience, context);
        if let Stage::Preparing(decision) = &self.stage {
            let decision = decision.clone();
            self.proceed(decision, context);
        }
    }

    /// Somebody has answered what was ordered: its leg is the leg of this call from now on.
    pub(super) fn was_reached(&mut self, leg: Leg, context: &mut Context) {
        self.cancel_timer(Timer::Patience, context);
        let by = leg.name.clone();
        self.facts.sip_call_id.clone_from(&leg.call_id);
        self.caller = leg;
        self.come_in_hand(context);
        self.was_answered(by, context);
        let Origin::Application(order) = &self.origin else { return };
        let (record, music) = (order.record.clone(), order.music.clone());
        if let Some(how) = record
            && let Err(refusal) = self.record_by_command(how, context)
        {
            tracing::warn!(call_id = %self.facts.call_id, %refusal, "it is not recorded");
        }
        if let Some(file) = music {
            self.play_music(file, context);
        }
    }

    fn obey(&mut self, command: Command, ticket: Ticket, context: &mut Context) -> Option<Answer> {
        match command {
            Command::Answer => Some(self.answer_by_command(context)),
            Command::Reject(status) => Some(self.reject_by_command(status, context)),
            Command::Ring => Some(self.ring_by_command(context)),
            Command::HangUp { why, status } => {
                if matches!(self.stage, Stage::Over) {
                    return Some(Err(Refusal::state("the call is over")));
                }
                self.end(EndedBy::Pbx, why, status, context);
                Some(done())
            }
            Command::Play(play) => self.play(play, ticket, context),
            Command::StopPlaying if matches!(&self.stage, Stage::Controlled(controlled) if controlled.waits.is_some()) => {
                Some(Err(Refusal::state("the call waits in a queue, and hears its music")))
            }
            Command::StopPlaying => {
                let answer = self.in_hand().map(|_| Default::default());
                self.stop_playing(context);
                Some(answer)
            }
            Command::Hold { music } => self.hold(music, Some(ticket), context),
            Command::Unhold => self.unhold(Some(ticket), context),
            Command::SendKeys(keys) => Some(self.send_keys(&keys, context)),
            Command::Collect(how) => Some(self.collect(how, context)),
            Command::Record(how) => Some(self.record_by_command(how, context)),
            Command::PauseRecording => Some(self.pause_by_command(true, context)),
            Command::ResumeRecording => Some(self.pause_by_command(false, context)),
            Command::StopRecording => Some(self.stop_by_command(context)),
            Command::Refer { target } => self.refer(&target, ticket, context),
            Command::Send(request) => self.send(request, ticket, context),
            Command::SetNote { key, value } => Some(self.notes.set(key, value)),
            Command::Note { key } => Some(self.notes.answer(&key)),
            Command::Bridge { .. } | Command::Unbridge => None,
        }
    }
}

/// An application of the dial plan that needs no number: `queue:support`, `voicemail:100`, `conference:8000`. `None` within: there
/// is no such one.
fn application_named(text: &str, context: &Context) -> Option<Option<Decision>> {
    let (kind, rest) = text.split_once(':')?;
    let name = rest.split('?').next().unwrap_or_default();
    let config = &context.config;
    let decision = match kind.to_ascii_lowercase().as_str() {
        "queue" => {
            let is_one = config.queues.iter().any(|queue| queue.name == name);
            is_one.then(|| Decision::Queue { queue: name.to_owned() })
        }
        "voicemail" => {
            let mailbox = config.voicemail.mailbox(name);
            mailbox.map(|_| Decision::Voicemail { mailbox: Some(name.to_owned()) })
        }
        "conference" if !name.is_empty() && name.len() <= NAME => {
            let of_plan = config.routes.iter().find_map(|route| match &route.app {
                App::Conference(conference) if conference.name == name => Some(conference.clone()),
                _ => None,
            });
            of_plan.map(Decision::Conference)
        }
        "conference" => None,
        _ => return None,
    };
    Some(decision)
}

/// Whether an address with this host is one of our own.
fn is_ours(host: &str, context: &Context) -> bool {
    let sip = &context.config.sip;
    let ip = crate::sip::Host(host).ip();
    host.eq_ignore_ascii_case(LOCAL)
        || host.eq_ignore_ascii_case(&sip.domain)
        || ip.is_some_and(|ip| {
            sip.external_address == Some(ip) || sip.listen.iter().any(|(_, address)| address.ip() == ip)
        })
}

/// The way to a leg that is none.
fn nowhere(context: &Context) -> Path {
    let somewhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let (transport, local) =
        context.config.sip.listen.first().copied().unwrap_or((Transport::Udp, somewhere));
    Path { transport, local, remote: local, connection: None }
}
