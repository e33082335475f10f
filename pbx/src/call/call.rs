//! One call, from INVITE to record.

use super::Context;
use super::application::Application;
use super::command::Originate;
use super::controlled::{Controlled, Notes, Wish};
use super::dial::{Dial, LINE_IS_FREE_IN, trunk_name};
use super::facts::{End, Facts};
use super::leg::{Leg, Port};
use super::passage::Passages;
use super::recording::OrderedRecording;
use super::reoffer::Reoffer;
use crate::boundary::{Output, What};
use crate::buggify::buggify;
use crate::cdr::{EndedBy, Why};
use crate::config::Announcement;
use crate::dialog::{Cause, Event, ExtraHeaders, Reply, SessionId};
use crate::media::{self, RecordingId, RoomId, StreamId};
use crate::route::{Caller, Decision};
use crate::sdp::{Agreement, LocalAudio};
use crate::sip::{StatusCode, reason_phrase};
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// How long the media engine may take to give ports back before the call is closed without its figures.
const CLOSING: Duration = Duration::from_secs(2);

/// How much of a call's time is lost at most when the PBX is killed.
const JOURNAL_EVERY: Duration = Duration::from_secs(60);

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// An application answers.
    Answer,
    /// Nobody answers.
    Ring,
    /// No application answers, or nobody answers what an application has ordered.
    Patience,
    /// It has waited in a queue as long as it may.
    Wait,
    /// Somebody looks whether an agent is free.
    Look,
    /// It is said how long it may take.
    Announce,
    /// No more keys come.
    Collect,
    /// A recording is as long as it may be.
    Recording,
    /// Its telephone has had time to leave by itself.
    Leave,
    /// A message is as long as it may be, or no key comes.
    Visit,
    /// The call has lasted as long as any may.
    Limit,
    /// What would be left behind if the PBX were killed is written down anew.
    Journal,
    /// The media engine owes us closed ports.
    Closing,
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    /// To know it by.
    pub(super) room: RoomId,
    pub(super) origin: Origin,
    /// What its applications call the group it belongs to.
    pub(super) of_context: String,
    /// Its one leg is that of somebody who was called.
    pub(super) is_callee: bool,
    pub(super) facts: Facts,
    pub(super) caller: Leg,
    /// What the caller's INVITE says that callees are told.
    pub(super) invitation: Invitation,
    /// The description the caller was answered with; repeated in the 2xx when it was sent in a provisional response.
    pub(super) answer: Option<Vec<u8>>,
    pub(super) stage: Stage,
    pub(super) reoffer: Option<Reoffer>,
    /// The room its media are in: its own, or that of the conference it goes to.
    pub(super) media_room: RoomId,
    /// What is recorded of it.
    pub(super) recording: Option<RecordingId>,
    /// What is recorded of it by command.
    pub(super) ordered_recording: Option<OrderedRecording>,
    pub(super) notes: Notes,
    pub(super) passages: Passages,
    /// That it is over, as long as something else of it is to be told first.
    farewell: Option<What>,
    timers: BTreeMap<Timer, Instant>,
    /// Extensions that this call keeps busy.
    pub(super) occupied: Vec<String>,
    /// Legs that are over but whose figures belong into the record or whose ports are not yet closed.
    pub(super) leaving: Vec<Leg>,
}

/// How a call came about.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// Somebody has called.
    Caller,
    /// An application has ordered it: until somebody answers, there is no caller's leg.
    Application(Box<Originate>),
}

/// What the caller's INVITE says that callees are told.
#[derive(Clone, Debug)]
pub(super) struct Invitation {
    /// The value of From for callees, without tag.
    pub(super) from: String,
    /// Max-Forwards for callees.
    pub(super) max_forwards: u8,
    /// Header lines that pass through.
    pub(super) headers: ExtraHeaders,
    /// Whether the caller made the offer; else its answer comes in ACK.
    pub(super) has_offer: bool,
    /// What decides who may be reached by forwarding.
    pub(super) caller: crate::route::Caller,
}

/// What a call does.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a call lies in a box, and what most calls do is the large one"
)]
pub(super) enum Stage {
    /// The caller's port is being opened.
    Preparing(Decision),
    /// An application answers in a moment.
    Alerting(Application),
    /// The caller hears something before it rings on.
    Announcing(Announcement),
    /// Somebody rings.
    Dialling(Dial),
    /// An application has answered.
    Served(Application),
    /// The caller's port is being opened; then it takes the place of this session.
    Replacing(SessionId),
    /// Applications of this context have been told, and none has answered yet.
    Waiting(String),
    /// It does what it is told.
    Controlled(Controlled),
    /// Two people talk.
    Talking(Leg),
    /// Ports are being closed; then the record is written.
    Over,
}

/// One of the two who talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
}

impl Call {
    pub(super) fn new(
        room: RoomId,
        facts: Facts,
        caller: Leg,
        invitation: Invitation,
        stage: Stage,
        media_room: RoomId,
    ) -> Call {
        Call {
            room,
            origin: Origin::Caller,
            is_callee: false,
            of_context: crate::config::DEFAULT_CONTEXT.to_owned(),
            facts,
            caller,
            invitation,
            answer: None,
            stage,
            reoffer: None,
            media_room,
            recording: None,
            ordered_recording: None,
            notes: Notes::default(),
            passages: Passages::default(),
            farewell: None,
            timers: BTreeMap::new(),
            occupied: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// The call was let in: opens the caller's port, or refuses where nothing else is to be done.
    pub(super) fn begin(&mut self, context: &mut Context) {
        context.counters.calls_total += 1;
        context.counters.calls_active += 1;
        let (caller, dialled) = (self.facts.caller.clone(), self.facts.dialled.clone());
        let of_context = match &self.stage {
            Stage::Preparing(Decision::Application { context }) => context.clone(),
            _ => self.of_context.clone(),
        };
        self.of_context.clone_from(&of_context);
        context.tell(&self.facts.call_id, What::CallIncoming { caller, dialled, context: of_context });
        self.set_timer(Timer::Limit, context.config.limits.call_duration, context);
        match self.invitation.caller.clone() {
            Caller::Extension(number) => self.occupy(number, context),
            Caller::Trunk(name) if context.trunk_is_full(&name) => {
                let mut reply = Reply::new(StatusCode::SERVICE_UNAVAILABLE);
                reply.headers.push(("Retry-After".into(), LINE_IS_FREE_IN.to_string()));
                return self.refuse(EndedBy::Pbx, reply, "the trunk has as many calls as it may", context);
            }
            Caller::Trunk(name) => self.occupy(trunk_name(&name), context),
            Caller::Anonymous => {}
        }
        match &self.stage {
            Stage::Preparing(Decision::Reject { status, reason }) => {
                let (status, reason) = (*status, reason.clone());
                let said = reason.clone().unwrap_or_else(|| reason_phrase(status.code()).to_owned());
                self.refuse(EndedBy::Pbx, Reply { reason, ..Reply::new(status) }, said, context);
            }
            Stage::Preparing(Decision::NotFound) => self.proceed(Decision::NotFound, context),
            Stage::Preparing(_) | Stage::Replacing(_) if !self.caller.open(context, 0) => {
                self.refuse_for_lack_of_ports(context);
            }
            _ => {}
        }
    }

    /// Nobody talks any longer; its ports may still be open.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
            && !self.caller.holds_port()
            && !self.leaving.iter().any(Leg::holds_port)
    }

    /// A message or a deadline of one of its sessions.
    pub(super) fn on_session(&mut self, session: SessionId, event: Event, context: &mut Context) {
        match event {
            Event::Ended { cause, .. } => self.on_ended(session, &cause, context),
            Event::Provisional { response, description, .. } => {
                self.on_provisional(session, &response, description, context);
            }
            Event::Answered { response, description, .. } => {
                self.on_answered(session, &response, description, context)
            }
            Event::Refused { status, response, .. } => {
                self.on_refused(session, status, response.as_ref(), context)
            }
            Event::Confirmed { answer, .. } => self.on_confirmed(answer, context),
            Event::Offered { offer, .. } => self.on_offered(session, offer, context),
            Event::OfferAnswered { answer, .. } => self.on_offer_answered(session, &answer, context),
            Event::OfferRefused { status, was_sent, .. } => {
                self.on_offer_refused(session, (status, was_sent), context);
            }
            Event::Request { id, request, .. } => self.on_request(session, id, &request, context),
            Event::Response { id, response, .. } => self.on_response(id, response, context),
            Event::Incoming { .. }
            | Event::Renewal { .. }
            | Event::SubscriptionExpired { .. }
            | Event::SubscriptionEnded { .. } => {}
        }
    }

    /// News of the media engine.
    pub(super) fn on_media(&mut self, event: media::Event, context: &mut Context) {
        match event {
            media::Event::Opened(stream) => self.on_opened(stream, context),
            media::Event::OpenFailed { stream, port, reason } => {
                self.on_open_failed(stream, port, &reason, context)
            }
            media::Event::Closed(stream, statistics) => {
                if let Some(leg) = self.leg_of_stream(stream) {
                    leg.closed(statistics, context);
                }
            }
            media::Event::Statistics(stream, statistics) => {
                if let Some(leg) = self.leg_of_stream(stream) {
                    leg.statistics = statistics;
                }
            }
            media::Event::Finished(stream) if self.caller.has_stream(stream) => {
                self.on_played(false, context);
            }
            media::Event::Interrupted { stream, .. } if self.caller.has_stream(stream) => {
                self.on_played(true, context);
            }
            media::Event::TimedOut(stream) => self.on_media_timeout(stream, context),
            media::Event::Dtmf { stream, digit, as_event, .. } => {
                self.tell_key_by_info(stream, digit, context);
                let by = if as_event { "rfc4733" } else { "inband" };
                context.tell(&self.facts.call_id, What::Dtmf { digit, by });
                self.collect_key(digit, context);
                self.on_visit_key(digit, context);
            }
            media::Event::Finished(_)
            | media::Event::Recorded { .. }
            | media::Event::FellSilent(_)
            | media::Event::RecordingEnded { .. }
            | media::Event::Interrupted { .. }
            | media::Event::FirstPacket(_)
            | media::Event::SourceChanged { .. } => {}
        }
    }

    /// One of its deadlines has come.
    pub(super) fn on_timer(&mut self, timer: Timer, context: &mut Context) {
        self.timers.remove(&timer);
        match timer {
            Timer::Answer => self.answer_by_application(context),
            Timer::Ring => self.on_nobody_answers(context),
            Timer::Patience => self.on_patience_over(context),
            Timer::Wait | Timer::Look | Timer::Announce => self.on_queue_timer(timer, context),
            Timer::Collect => self.finish_collecting(context),
            Timer::Recording => self.on_recording_long_enough(context),
            Timer::Leave => self.on_leave(context),
            Timer::Visit => self.on_visit_timeout(context),
            Timer::Limit => self.end(EndedBy::Pbx, "the call has lasted as long as any may", None, context),
            Timer::Journal => self.write_journal(context),
            Timer::Closing => self.give_up_ports(context),
        }
    }

    /// Ends the call from outside the two who talk.
    pub(super) fn hang_up(&mut self, why: &str, context: &mut Context) {
        self.end(EndedBy::Pbx, why, Some(StatusCode::SERVICE_UNAVAILABLE), context);
    }

    /// Refuses the caller and ends the call; what has been dialled is given up.
    pub(super) fn refuse(&mut self, by: EndedBy, reply: Reply, why: impl Into<Why>, context: &mut Context) {
        let status = reply.status.code();
        if let Some(session) = self.caller.session.take() {
            context.forget_session(session);
            context.agent.reject(session, reply, context.now);
        }
        self.close(End { at: context.now, by, status, why: why.into(), passed: None }, context);
    }

    /// Ends the call: BYE to whoever talks, a refusal (`status`) to a caller who was not yet answered.
    pub(super) fn end(
        &mut self,
        by: EndedBy,
        why: impl Into<Why>,
        status: Option<StatusCode>,
        context: &mut Context,
    ) {
        if self.facts.answered.is_none() {
            let status = status.unwrap_or(StatusCode::TEMPORARILY_UNAVAILABLE);
            return self.refuse(by, Reply::new(status), why, context);
        }
        self.close(End { at: context.now, by, status: 200, why: why.into(), passed: None }, context);
    }

    /// The answer to what the caller has offered, and what is agreed by it; `None`: there is none, and the caller is refused.
    pub(super) fn answer_or_refuse(
        &mut self,
        local: &LocalAudio,
        context: &mut Context,
    ) -> Option<(Vec<u8>, Agreement)> {
        match self.caller.negotiation.answer(local) {
            Ok(answered) => Some(answered),
            Err(error) => {
                self.refuse(EndedBy::Pbx, Reply::new(error.status()), error.to_string(), context);
                None
            }
        }
    }

    pub(super) fn refuse_for_lack_of_ports(&mut self, context: &mut Context) {
        let mut reply = Reply::new(StatusCode::SERVICE_UNAVAILABLE);
        reply.headers.push(("Retry-After".into(), "5".into()));
        self.refuse(EndedBy::Pbx, reply, "no RTP port is free", context);
    }

    /// The call was answered, by whom.
    pub(super) fn was_answered(&mut self, by: String, context: &mut Context) {
        self.facts.answered = Some((context.now, by.clone()));
        context.counters.calls_answered += 1;
        context.tell(&self.facts.call_id, What::CallAnswered { by });
        if matches!(self.origin, Origin::Application(_)) {
            context.wish(Wish::Changed(self.room));
        }
        self.write_journal(context);
    }

    /// The record as it would be if the call were cut off now; again every minute, so that a killed PBX loses no more of it.
    pub(super) fn write_journal(&mut self, context: &mut Context) {
        let record = self.facts.record(std::iter::once(&self.caller), &context.clock, context.now);
        context.out.push_back(Output::Journal(Box::new(record)));
        self.set_timer(Timer::Journal, JOURNAL_EVERY, context);
    }

    /// The caller hears that it rings, told once.
    pub(super) fn is_ringing(&mut self, context: &mut Context) {
        if self.facts.ringing.is_none() {
            self.facts.ringing = Some(context.now);
            context.tell(&self.facts.call_id, What::CallRinging);
            if matches!(self.origin, Origin::Application(_)) {
                context.wish(Wish::Rings(self.room));
            }
        }
    }

    pub(super) fn set_timer(&mut self, timer: Timer, after: Duration, context: &mut Context) {
        self.cancel_timer(timer, context);
        let at = context.now + after;
        self.timers.insert(timer, at);
        context.set_timer(timer, at);
    }

    pub(super) fn cancel_timer(&mut self, timer: Timer, context: &mut Context) {
        if let Some(at) = self.timers.remove(&timer) {
            context.cancel_timer(timer, at);
        }
    }

    /// Whether it has only been given time to leave by itself.
    pub(super) fn is_about_to_leave(&self) -> bool {
        self.timers.contains_key(&Timer::Leave)
    }

    /// Whether a change of its session is under way.
    pub(super) fn is_changing(&self) -> bool {
        self.reoffer.is_some() || !self.passages.is_empty() || !self.caller.negotiation.is_stable()
    }

    /// Which of the two who talk has this session.
    pub(super) fn side_of(&self, session: SessionId) -> Option<Side> {
        if self.caller.session == Some(session) {
            return Some(Side::Caller);
        }
        match &self.stage {
            Stage::Talking(callee) if callee.session == Some(session) => Some(Side::Callee),
            _ => None,
        }
    }

    /// The leg of a side; there is no callee before two people talk.
    pub(super) fn leg(&mut self, side: Side) -> Option<&mut Leg> {
        match (side, &mut self.stage) {
            (Side::Caller, _) => Some(&mut self.caller),
            (Side::Callee, Stage::Talking(callee)) => Some(callee),
            (Side::Callee, _) => None,
        }
    }

    /// This extension is busy with this call.
    pub(super) fn occupy(&mut self, number: String, context: &mut Context) {
        context.books.occupy(&number, self.room);
        self.occupied.push(number);
    }

    /// This extension is no longer busy with this call.
    pub(super) fn vacate(&mut self, number: &str, context: &mut Context) {
        if let Some(index) = self.occupied.iter().rposition(|occupied| occupied == number) {
            context.books.vacate(&self.occupied.remove(index), self.room);
        }
    }

    /// The extension of the callee is busy with the other half from now on.
    pub(super) fn hand_over_occupied(&mut self, half: &mut Call, context: &mut Context) {
        let number = half.caller.name.clone();
        if let Some(index) = self.occupied.iter().rposition(|occupied| *occupied == number) {
            context.books.vacate(&number, self.room);
            context.books.occupy(&number, half.room);
            half.occupied.push(self.occupied.remove(index));
        }
    }

    fn leg_of_stream(&mut self, stream: StreamId) -> Option<&mut Leg> {
        if self.caller.has_stream(stream) {
            return Some(&mut self.caller);
        }
        if let Some(index) = self.leaving.iter().position(|leg| leg.has_stream(stream)) {
            return Some(&mut self.leaving[index]);
        }
        match &mut self.stage {
            Stage::Talking(callee) if callee.has_stream(stream) => Some(callee),
            Stage::Dialling(dial) => dial.leg_of_stream(stream),
            _ => None,
        }
    }

    fn on_opened(&mut self, stream: StreamId, context: &mut Context) {
        let Some(leg) = self.leg_of_stream(stream) else {
            return;
        };
        leg.opened();
        if self.dial().is_some_and(|dial| dial.is_picked_up_at(stream)) {
            return self.be_answered_by_pick_up(context);
        }
        if !self.caller.has_stream(stream) {
            return self.on_branch_opened(stream, context);
        }
        match &self.stage {
            Stage::Preparing(decision) => {
                let decision = decision.clone();
                self.proceed(decision, context);
            }
            Stage::Replacing(session) => context.wish(Wish::TakePlace(self.room, *session)),
            _ => {}
        }
    }

    /// The caller's port is open: now for what was decided.
    pub(super) fn proceed(&mut self, decision: Decision, context: &mut Context) {
        let is_ordered = matches!(self.origin, Origin::Application(_));
        if is_ordered && decision.is_application() {
            let decision = self.to_its_mailbox(decision);
            return context.wish(Wish::LedElsewhere(self.room, decision));
        }
        match decision {
            Decision::Tone { frequency, duration, answer_delay } => {
                self.alert(Application::Tone { frequency, duration, answer_delay }, context);
            }
            Decision::Voicemail { mailbox } => match self.visit(mailbox, context) {
                Ok(visit) => self.alert(Application::Voicemail(visit), context),
                Err(status) => self.refuse_with(status, Vec::new(), context),
            },
            Decision::Echo => self.alert(Application::Echo, context),
            Decision::Queue { queue } => self.answer_into_queue(&queue, context),
            Decision::Application { context: name } => self.wait_for_application(&name, context),
            Decision::Conference(conference) => {
                self.alert(Application::Conference(conference), context);
            }
            Decision::Announcement(announcement) => self.announce(announcement, context),
            Decision::Ask(ask) => self.ask(ask, context),
            Decision::Group(group) => self.dial_group(group, context),
            Decision::Extension { number } => self.dial_extension(&number, context),
            Decision::Trunk { number, targets } => self.dial_trunk(number, targets, context),
            Decision::NotFound => self.refuse(
                EndedBy::Pbx,
                Reply::new(StatusCode::NOT_FOUND),
                "there is no such number",
                context,
            ),
            Decision::Reject { status, reason } => {
                let said = reason.clone().unwrap_or_else(|| reason_phrase(status.code()).to_owned());
                self.refuse(EndedBy::Pbx, Reply { reason, ..Reply::new(status) }, said, context);
            }
        }
    }

    fn on_open_failed(&mut self, stream: StreamId, port: u16, reason: &str, context: &mut Context) {
        tracing::warn!(call_id = %self.facts.call_id, port, reason, "an RTP port could not be opened");
        let Some(leg) = self.leg_of_stream(stream) else {
            return;
        };
        if !matches!(leg.port, Port::Opening { .. }) {
            return leg.forget_port(context);
        }
        if leg.open_failed(context) {
            return;
        }
        match &self.stage {
            Stage::Preparing(_) | Stage::Replacing(_) => self.refuse_for_lack_of_ports(context),
            Stage::Dialling(dial) if dial.is_picked_up_at_nowhere() => self.drop_pick_up(context),
            _ => self.on_branch_failed(stream, StatusCode::SERVICE_UNAVAILABLE, context),
        }
    }

    fn on_media_timeout(&mut self, stream: StreamId, context: &mut Context) {
        let is_live = match &self.stage {
            Stage::Served(_) | Stage::Controlled(_) => self.caller.has_stream(stream),
            Stage::Talking(callee) => self.caller.has_stream(stream) || callee.has_stream(stream),
            _ => false,
        };
        if is_live {
            self.end(EndedBy::Pbx, Why::NoRtp, None, context);
        }
    }

    /// A session is over and not by our doing.
    fn on_ended(&mut self, session: SessionId, cause: &Cause, context: &mut Context) {
        let passed = match cause {
            Cause::Bye { reason } | Cause::Cancel { reason } => reason.clone(),
            _ => None,
        };
        let (why, status) = match cause {
            Cause::Bye { .. } => (Why::HungUp, None),
            Cause::Cancel { .. } => (Why::Cancelled, Some(487)),
            Cause::NoAck => ("the answer was never acknowledged".into(), None),
            Cause::NoPrack => ("a provisional response was never acknowledged".into(), Some(504)),
            Cause::SessionExpired => ("nobody refreshed the session".into(), None),
            Cause::Lost => ("the other side has lost the session".into(), None),
            Cause::PeerMisbehaved(what) => ((*what).into(), None),
        };
        if self.caller.session == Some(session) {
            self.caller.session_over(context);
            let status = if self.facts.answered.is_some() { 200 } else { status.unwrap_or(487) };
            let by = match self.origin {
                Origin::Caller if !self.is_callee => EndedBy::Caller,
                Origin::Caller | Origin::Application(_) => EndedBy::Callee,
            };
            return self.close(End { at: context.now, by, status, why, passed }, context);
        }
        match &mut self.stage {
            Stage::Talking(callee) if callee.session == Some(session) => {
                callee.session_over(context);
                let (at, by) = (context.now, EndedBy::Callee);
                self.close(End { at, by, status: 200, why, passed }, context);
            }
            Stage::Dialling(dial) if dial.is_picked_up_by(session) => {
                if let Some(pick_up) = &mut dial.pick_up {
                    pick_up.leg.session_over(context);
                }
                self.drop_pick_up(context);
            }
            Stage::Dialling(_) => self.on_refused(session, StatusCode::SERVER_INTERNAL_ERROR, None, context),
            _ => context.forget_session(session),
        }
    }

    /// Everything that is still up is ended; what is left is to close the ports.
    fn close(&mut self, end: End, context: &mut Context) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        let own = || format!("SIP;cause=200;text=\"{}\"", end.why.to_string().replace('"', "'"));
        let reason = end.passed.clone().or_else(|| (end.by == EndedBy::Pbx).then(own));
        self.passages.close(context);
        self.quit_conference(context);
        self.leave_mailbox(context);
        self.leave_hand(context);
        self.caller.hang_up(reason.clone(), context);
        self.caller.close_port(context);
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Talking(mut callee) => {
                callee.hang_up(reason, context);
                callee.close_port(context);
                self.leaving.insert(0, callee);
            }
            Stage::Dialling(dial) => dial.give_up(&end, &mut self.leaving, context),
            Stage::Preparing(_)
            | Stage::Alerting(_)
            | Stage::Announcing(_)
            | Stage::Served(_)
            | Stage::Replacing(_)
            | Stage::Waiting(_)
            | Stage::Controlled(_)
            | Stage::Over => {}
        }
        for timer in std::mem::take(&mut self.timers) {
            context.cancel_timer(timer.0, timer.1);
        }
        let is_ordered = matches!(self.origin, Origin::Application(_));
        if is_ordered && self.facts.answered.is_none() && end.by != EndedBy::Pbx {
            context.tell(&self.facts.call_id, What::CallUnanswered { status: end.status });
        }
        let seen = if self.facts.answered.is_some() { 200 } else { end.status };
        context.wish(Wish::Over(self.room, seen));
        let (by, status, why) = (end.by, end.status, end.why.clone());
        let is_recorded = self.recording.is_some() || self.ordered_recording.is_some();
        self.stop_recording(context);
        self.stop_ordered_recording(context);
        self.facts.end = Some(end);
        self.count_end(context);
        for number in std::mem::take(&mut self.occupied) {
            context.books.vacate(&number, self.room);
        }
        self.farewell = Some(What::CallEnded { by, status, why });
        if !is_recorded {
            self.say_farewell(context);
        }
        self.set_timer(Timer::Closing, CLOSING, context);
    }

    /// Everything else that is to be told of it has been told.
    pub(super) fn say_farewell(&mut self, context: &mut Context) {
        if let Some(what) = self.farewell.take() {
            context.tell(&self.facts.call_id, what);
        }
    }

    fn count_end(&self, context: &mut Context) {
        let counters = &mut context.counters;
        counters.calls_active = counters.calls_active.saturating_sub(1);
        match &self.facts.answered {
            Some((at, _)) => counters.talk_seconds += context.now.since(*at).as_secs_f64(),
            None => counters.calls_failed += 1,
        }
    }

    fn give_up_ports(&mut self, context: &mut Context) {
        tracing::warn!(call_id = %self.facts.call_id, "the media engine did not close the ports in time");
        self.caller.forget_port(context);
        for leg in &mut self.leaving {
            leg.forget_port(context);
        }
    }

    /// The call is over and its ports are closed: its record.
    pub(super) fn finish(mut self, context: &mut Context) {
        self.cancel_timer(Timer::Closing, context);
        self.say_farewell(context);
        // Of those who rang only the one who answered carried anything worth a record.
        let answered = self.facts.answered.is_some();
        let callee = self.leaving.iter().filter(|leg| answered && leg.negotiation.agreed().is_some()).take(1);
        let has_caller = answered || matches!(self.origin, Origin::Caller);
        let caller = std::iter::once(&self.caller).filter(|_| has_caller);
        let record = self.facts.record(caller.chain(callee), &context.clock, context.now);
        if buggify!("a call is recorded twice") {
            context.out.push_back(Output::Record(Box::new(record.clone())));
        }
        context.out.push_back(Output::Record(Box::new(record)));
    }
}
