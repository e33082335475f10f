//! Ringing: the contacts of an extension all at once, the targets of trunks one after the other.

use super::Context;
use super::call::{Call, Origin, Stage, Timer};
use super::dial::{Attempt, Branch, Dial, LINE_IS_FREE_IN, Refused, Target, trunk_name, trunk_uri};
use super::forward::DEFLECTION;
use super::join::without_media;
use super::leg::{Leg, Port};
use super::mapping::{headers_of_answer, headers_of_refusal};
use crate::boundary::What;
use crate::dialog::{Description, SessionId};
use crate::media::StreamId;
use crate::route::{self, Callee, Group, Outcome};
use crate::sdp::Direction;
use crate::sip::{Name, Path, Response, StatusCode};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// What those are told who rang, when somebody else has answered (RFC 3326).
pub(super) const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// How many addresses of one trunk target are tried.
const ADDRESSES: usize = 8;

impl Call {
    /// Rings all contacts of an extension.
    pub(super) fn dial_extension(&mut self, number: &str, context: &mut Context) {
        let mut dial = self.take_dial(Attempt::Extension { number: number.to_owned() });
        dial.tried.push(number.to_owned());
        self.stage = Stage::Dialling(dial);
        let Some(extension) = context.config.extensions.iter().find(|e| e.number == number) else {
            return self.give_up_attempt(Outcome::Answered(StatusCode::NOT_FOUND), context);
        };
        let (ring_timeout, max_calls) = (extension.ring_timeout, extension.max_calls);
        if max_calls.is_some_and(|max| context.busy_with(number) >= max) {
            return self.give_up_attempt(Outcome::Answered(StatusCode::BUSY_HERE), context);
        }
        let targets = context.contacts_of(number);
        if targets.is_empty() {
            return self.give_up_attempt(Outcome::Answered(StatusCode::TEMPORARILY_UNAVAILABLE), context);
        }
        self.occupy(number.to_owned(), context);
        self.set_timer(Timer::Ring, ring_timeout, context);
        let mut opened = 0;
        for target in targets {
            opened += usize::from(self.open_branch(number.to_owned(), target, context));
        }
        if opened == 0 {
            self.give_up_attempt(Outcome::Answered(StatusCode::SERVICE_UNAVAILABLE), context);
        }
    }

    /// Rings some extensions at once, and the next ones when none of them answers.
    pub(super) fn dial_group(&mut self, mut group: Group, context: &mut Context) {
        if group.rounds.is_empty() {
            return self.refuse_with(StatusCode::TEMPORARILY_UNAVAILABLE, Vec::new(), context);
        }
        let (numbers, rings) = (group.rounds.remove(0), group.rings);
        let mut dial = self.take_dial(Attempt::Group { numbers: numbers.clone(), next: group });
        dial.tried.extend(numbers.iter().cloned());
        self.stage = Stage::Dialling(dial);
        let mut opened = 0;
        for number in numbers {
            let Some(extension) = context.config.extensions.iter().find(|e| e.number == number) else {
                continue;
            };
            let is_busy = extension.max_calls.is_some_and(|max| context.busy_with(&number) >= max);
            self.occupy(number.clone(), context);
            let targets = if is_busy { Vec::new() } else { context.contacts_of(&number) };
            if let Some(dial) = self.dial().filter(|_| is_busy) {
                let outcome = Outcome::Answered(StatusCode::BUSY_HERE);
                dial.refusals.push(Refused::new(outcome, Callee::Extension, Vec::new()));
            }
            for target in targets {
                opened += usize::from(self.open_branch(number.clone(), target, context));
            }
        }
        self.set_timer(Timer::Ring, rings, context);
        if opened == 0 {
            self.give_up_attempt(Outcome::Answered(StatusCode::TEMPORARILY_UNAVAILABLE), context);
        }
    }

    /// Those of a group who did not answer are free again.
    pub(super) fn vacate_group(&mut self, attempt: &Attempt, winner: Option<&str>, context: &mut Context) {
        if let Attempt::Group { numbers, .. } = attempt {
            for number in numbers.iter().filter(|number| winner != Some(number.as_str())) {
                self.vacate(number, context);
            }
        }
    }

    /// Tries the targets of trunks one after the other.
    pub(super) fn dial_trunk(&mut self, number: String, targets: Vec<route::Target>, context: &mut Context) {
        let targets = targets.into();
        let mut dial =
            self.take_dial(Attempt::Trunk { number, targets, waiting: None, addresses: VecDeque::new() });
        dial.tried.push(self.facts.dialled.clone());
        self.stage = Stage::Dialling(dial);
        self.dial_first_target(context);
    }

    /// The addresses of a trunk target are known; none when there is no such name.
    pub(super) fn on_resolved(&mut self, query: u64, found: Vec<SocketAddr>, context: &mut Context) {
        let Some(Dial { attempt: Attempt::Trunk { waiting, addresses, .. }, .. }) = self.dial() else {
            return;
        };
        if *waiting != Some(query) {
            return;
        }
        *waiting = None;
        *addresses = found.into_iter().take(ADDRESSES).collect();
        self.dial_next_address(context);
    }

    /// A branch has its port: the INVITE goes out.
    pub(super) fn on_branch_opened(&mut self, stream: StreamId, context: &mut Context) {
        let codecs = match self.caller.negotiation.remote() {
            Some(remote) if self.invitation.has_offer => context.codecs_offered(remote),
            _ => context.own_codecs(),
        };
        let invitation = self.invitation.clone();
        let direction =
            self.caller.negotiation.remote().map_or(Direction::SendRecv, |remote| remote.direction);
        let Some(dial) = self.dial() else {
            return;
        };
        let diversions = dial.diversions.clone();
        let Some(branch) = dial.branches.iter_mut().find(|branch| branch.leg.has_stream(stream)) else {
            return;
        };
        let local = branch.leg.local_audio(codecs, direction, context.advertised());
        let offer = branch.leg.negotiation.offer(&local);
        let invite = branch.target.invite(&invitation, &diversions, offer);
        let session = context.agent.invite(invite, context.now);
        context.own_session(session);
        branch.leg.session = Some(session);
    }

    /// A branch cannot be rung at all.
    pub(super) fn on_branch_failed(&mut self, stream: StreamId, status: StatusCode, context: &mut Context) {
        let Some(dial) = self.dial() else {
            return;
        };
        if let Some(index) =
            dial.branches.iter().position(|b| b.leg.port == Port::Closed || b.leg.has_stream(stream))
        {
            self.drop_branch(index, Outcome::Answered(status), None, context);
        }
    }

    /// 180, 183, ...: the caller is told, and hears early media of the first who sends any.
    pub(super) fn on_provisional(
        &mut self,
        session: SessionId,
        response: &Response,
        description: Option<Description>,
        context: &mut Context,
    ) {
        self.is_ringing(context);
        if description.is_some() && matches!(self.origin, Origin::Application(_)) {
            context.tell(&self.facts.call_id, What::CallEarlyMedia);
        }
        // One in a reliable response is the answer, one in a response that may be lost only says what it will be.
        let reliable = response.lists(Name::Require, "100rel");
        let early = description
            .and_then(|description| self.hear_early_media(session, &description, reliable, context));
        let Some(caller) = self.caller.session else {
            return;
        };
        let status = if early.is_some() { response.status() } else { without_media(response.status()) };
        let reliably = early.is_some();
        let headers = headers_of_answer(response);
        context.agent.ring(caller, status, early, reliably, headers, context.now);
    }

    /// The first 2xx: this one talks to the caller, the others stop ringing.
    pub(super) fn on_answered(
        &mut self,
        session: SessionId,
        response: &Response,
        description: Option<Description>,
        context: &mut Context,
    ) {
        let Some(index) = self.branch_of(session) else {
            return;
        };
        if let Err(status) = self.take_answer(index, description) {
            tracing::info!(call_id = %self.facts.call_id, %status, "an answer could not be used");
            return self.drop_branch(index, Outcome::Answered(status), None, context);
        }
        let Stage::Dialling(mut dial) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        let mut winner = dial.branches.remove(index);
        // The dialog has the Call-ID of our INVITE, whatever the answer says (RFC 3261 section 12.1.2).
        if let Some([call_id, ..]) = context.agent.names(session) {
            call_id.clone_into(&mut winner.leg.call_id);
        }
        self.cancel_timer(Timer::Ring, context);
        if let Some(target) = &winner.target.trunk {
            context.router.target_works(target);
        }
        for branch in dial.branches {
            branch.leave(Some(ELSEWHERE.to_owned()), &mut self.leaving, context);
        }
        if let Some(pick_up) = dial.pick_up.take() {
            pick_up.comes_too_late(&mut self.leaving, context);
        }
        self.vacate_group(&dial.attempt, Some(&winner.leg.name), context);
        tracing::debug!(call_id = %self.facts.call_id, by = %winner.leg.name, status = %response.status(), "answered");
        match &self.origin {
            Origin::Caller => {
                self.stage = Stage::Talking(winner.leg);
                self.answer_caller(headers_of_answer(response), context);
            }
            Origin::Application(_) => self.was_reached(winner.leg, context),
        }
    }

    /// A branch was refused, or came to nothing.
    pub(super) fn on_refused(
        &mut self,
        session: SessionId,
        status: StatusCode,
        response: Option<&Response>,
        context: &mut Context,
    ) {
        context.forget_session(session);
        let Some(index) = self.branch_of(session) else {
            return;
        };
        if let Some(dial) = self.dial() {
            dial.branches[index].leg.session = None;
        }
        // A telephone of ours may send a call elsewhere; what a trunk names is a number of its own.
        let deflects = self.dial().is_some_and(|dial| dial.attempt.callee() == Callee::Extension);
        if let Some(number) = response.filter(|_| deflects).and_then(route::redirected_to) {
            return self.forward(&number, DEFLECTION, context);
        }
        // 408 and 503 without a response are of our own making: nobody said anything.
        let outcome = if response.is_some() { Outcome::Answered(status) } else { Outcome::Silence };
        self.drop_branch(index, outcome, response, context);
    }

    /// The ring time is over.
    pub(super) fn on_nobody_answers(&mut self, context: &mut Context) {
        self.give_up_attempt(Outcome::NoAnswer, context);
    }

    /// The ringing, while there is some.
    pub(super) fn dial(&mut self) -> Option<&mut Dial> {
        match &mut self.stage {
            Stage::Dialling(dial) => Some(dial),
            _ => None,
        }
    }

    /// A new attempt, which remembers what was tried before.
    fn take_dial(&mut self, attempt: Attempt) -> Dial {
        let (tried, diversions, pick_up) = match &mut self.stage {
            Stage::Dialling(dial) => {
                let (tried, diversions) =
                    (std::mem::take(&mut dial.tried), std::mem::take(&mut dial.diversions));
                (tried, diversions, dial.pick_up.take())
            }
            _ => Default::default(),
        };
        Dial { attempt, branches: Vec::new(), refusals: Vec::new(), pick_up, tried, diversions }
    }

    /// Which branch has this session.
    pub(super) fn branch_of(&mut self, session: SessionId) -> Option<usize> {
        self.dial()?.branches.iter().position(|branch| branch.leg.session == Some(session))
    }

    fn open_branch(&mut self, name: String, target: Target, context: &mut Context) -> bool {
        let manners = context.manners_named(&name);
        let negotiation = context.new_negotiation(manners);
        let mut leg = Leg::new(name, None, target.path, negotiation, manners);
        if !leg.open(context, 0) {
            return false;
        }
        if let Some(dial) = self.dial() {
            dial.branches.push(Branch { leg, target, heard: false });
        }
        true
    }

    fn dial_first_target(&mut self, context: &mut Context) {
        let Some(Dial { attempt: Attempt::Trunk { targets, waiting, addresses, .. }, .. }) = self.dial()
        else {
            return;
        };
        let Some(target) = targets.front() else {
            let (status, headers) = self.best_refusal();
            return self.refuse_with(status, headers, context);
        };
        let port = target.port.unwrap_or(target.transport.default_port());
        match crate::sip::Host(&target.host).ip() {
            Some(ip) => {
                *addresses = VecDeque::from([SocketAddr::new(ip, port)]);
                self.dial_next_address(context);
            }
            None => *waiting = Some(context.resolve(&target.host, port)),
        }
    }

    pub(super) fn dial_next_address(&mut self, context: &mut Context) {
        let Some(Dial { attempt: Attempt::Trunk { number, targets, addresses, .. }, .. }) = self.dial()
        else {
            return;
        };
        let Some(remote) = addresses.pop_front() else {
            targets.pop_front();
            return self.dial_first_target(context);
        };
        let Some(target) = targets.front().cloned() else {
            return;
        };
        let uri = trunk_uri(number, &target);
        let Some(local) = context.local_for(target.transport, remote) else {
            return self.dial_next_address(context);
        };
        if context.trunk_is_full(&target.trunk) {
            if let Some(dial) = self.dial() {
                dial.refusals.push(no_line_is_free());
            }
            return self.dial_next_address(context);
        }
        let name = trunk_name(&target.trunk);
        let trunk = context.config.trunks.iter().find(|trunk| trunk.name == target.trunk);
        let target = Target {
            to: format!("<{uri}>"),
            uri,
            path: Path { transport: target.transport, local, remote, connection: None },
            route: Vec::new(),
            credentials: trunk.and_then(|trunk| trunk.credentials.clone()),
            try_timeout: trunk.map(|trunk| trunk.try_timeout),
            trunk: Some(target),
        };
        self.occupy(name.clone(), context);
        if !self.open_branch(name, target, context) {
            self.refuse_for_lack_of_ports(context);
        }
    }

    /// One less rings; when it was the last, something else is tried.
    fn drop_branch(
        &mut self,
        index: usize,
        outcome: Outcome,
        response: Option<&Response>,
        context: &mut Context,
    ) {
        let Some(dial) = self.dial() else {
            return;
        };
        let branch = dial.branches.remove(index);
        let callee = dial.attempt.callee();
        let headers = response.map(headers_of_refusal).unwrap_or_default();
        dial.refusals.push(Refused::new(outcome, callee, headers));
        // A 6xx speaks for all contacts of whoever sends it (RFC 3261 section 16.7, step 5).
        let is_of_all = matches!(outcome, Outcome::Answered(status) if status.code() >= 600);
        let mut others = Vec::new();
        if is_of_all {
            let is_its = |other: &mut Branch| other.leg.name == branch.leg.name;
            others = dial.branches.extract_if(.., is_its).collect();
        }
        let is_last = dial.branches.is_empty();
        let tries_next = callee == Callee::Trunk && route::tries_next(outcome);
        if let Some(target) = branch.target.trunk.as_ref().filter(|_| tries_next) {
            context.router.target_failed(target, context.now);
        }
        let name = branch.leg.name.clone();
        for branch in others.into_iter().chain([branch]) {
            branch.leave(None, &mut self.leaving, context);
        }
        if callee == Callee::Trunk {
            self.vacate(&name, context);
        }
        self.let_go_of_the_closed();
        match (is_last, tries_next) {
            (true, true) => self.dial_next_address(context),
            (true, false) => self.give_up_attempt(outcome, context),
            (false, _) => {}
        }
    }

    /// Legs that rang and whose ports are closed are of no more interest.
    fn let_go_of_the_closed(&mut self) {
        self.leaving.retain(Leg::holds_port);
    }
}

/// All lines of a trunk are taken: that is our own 503.
fn no_line_is_free() -> Refused {
    let headers = vec![("Retry-After".to_owned(), LINE_IS_FREE_IN.to_string())];
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Refused { told: status, outcome: Outcome::Answered(status), headers }
}
