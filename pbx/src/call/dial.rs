//! Ringing: the contacts of an extension all at once, the targets of a trunk one after the other; the first to answer is
//! bridged to the caller, the others stop ringing. Who is busy or does not answer may forward.

use super::Context;
use super::call::{Call, Invitation, Stage, Timer};
use super::facts::End;
use super::leg::{Leg, Port};
use crate::cdr::EndedBy;
use crate::dialog::{Description, Invite, Reply, SessionId};
use crate::media::{Command, StreamId};
use crate::route::{self, Callee, Decision, Outcome};
use crate::sdp::{Direction, Negotiation};
use crate::sip::{Name, Path, Response, StatusCode, Transport, escape_user};
use crate::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// How often a call may be forwarded.
const FORWARDS: usize = 5;

/// How many addresses of one trunk target are tried.
const ADDRESSES: usize = 8;

/// The ringing of one call.
#[derive(Debug)]
pub(super) struct Dial {
    attempt: Attempt,
    branches: Vec<Branch>,
    /// What the caller would be told for those who are no longer rung.
    refusals: Vec<StatusCode>,
    /// The numbers that were dialled on behalf of the caller, the first one first.
    tried: Vec<String>,
    /// Diversion lines (RFC 5806), the latest first.
    diversions: Vec<String>,
}

/// Who is rung.
#[derive(Debug)]
enum Attempt {
    /// An extension at all its contacts.
    Extension { number: String },
    /// The targets of trunks, in order.
    Trunk {
        number: String,
        /// Those to come; the first one is being tried.
        targets: VecDeque<route::Target>,
        /// The name that is being resolved.
        waiting: Option<u64>,
        /// Of the first target, still to be tried.
        addresses: VecDeque<SocketAddr>,
    },
}

/// One INVITE that is or will be out.
#[derive(Debug)]
struct Branch {
    leg: Leg,
    target: Target,
    /// Whether its early media is heard by the caller.
    heard: bool,
}

/// Where an INVITE goes.
#[derive(Clone, Debug)]
struct Target {
    uri: String,
    to: String,
    path: Path,
    route: Vec<String>,
    credentials: Option<(String, String)>,
    try_timeout: Option<Duration>,
    /// When it is one of a trunk.
    trunk: Option<route::Target>,
}

impl Dial {
    pub(super) fn leg_of_stream(&mut self, stream: StreamId) -> Option<&mut Leg> {
        self.branches.iter_mut().map(|branch| &mut branch.leg).find(|leg| leg.has_stream(stream))
    }

    pub(super) fn leg_of_session(&mut self, session: SessionId) -> Option<&mut Leg> {
        self.branches.iter_mut().map(|branch| &mut branch.leg).find(|leg| leg.session == Some(session))
    }

    /// The call is over: nobody rings any longer.
    pub(super) fn give_up(self, end: &End, leaving: &mut Vec<Leg>, context: &mut Context) {
        let reason = (end.by == EndedBy::Caller).then(|| format!("SIP;cause={}", end.status));
        for branch in self.branches {
            branch.leave(reason.clone(), leaving, context);
        }
    }
}

impl Branch {
    /// Stops ringing and gives its port back.
    fn leave(mut self, reason: Option<String>, leaving: &mut Vec<Leg>, context: &mut Context) {
        self.leg.hang_up(reason, context);
        self.leg.close_port(context);
        leaving.push(self.leg);
    }
}

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
        let dtmf = context.config.media.enable_dtmf;
        let preferred = context.config.media.preferred_codecs.clone();
        let codecs = match self.caller.negotiation.remote() {
            Some(remote) if self.invitation.has_offer => crate::sdp::offerable(remote, &preferred, dtmf),
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
            self.drop_branch(index, Outcome::Answered(status), context);
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
        // One in a reliable response is the answer, one in a response that may be lost only says what it will be.
        let reliable = response.lists(Name::Require, "100rel");
        let early = description
            .and_then(|description| self.hear_early_media(session, &description, reliable, context));
        let Some(caller) = self.caller.session else {
            return;
        };
        let status = if early.is_some() { response.status() } else { without_media(response.status()) };
        let reliably = early.is_some();
        context.agent.ring(caller, status, early, reliably, Vec::new(), context.now);
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
            return self.drop_branch(index, Outcome::Answered(status), context);
        }
        let Stage::Dialling(mut dial) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        let winner = dial.branches.remove(index);
        self.cancel_timer(Timer::Ring, context);
        if let Some(target) = &winner.target.trunk {
            context.router.target_works(target);
        }
        for branch in dial.branches {
            let reason = "SIP;cause=200;text=\"Call completed elsewhere\"".to_owned();
            branch.leave(Some(reason), &mut self.leaving, context);
        }
        tracing::debug!(call_id = %self.facts.call_id, by = %winner.leg.name, status = %response.status(), "answered");
        self.stage = Stage::Talking(winner.leg);
        self.answer_caller(context);
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
        if let Some(number) = response.and_then(route::redirected_to) {
            return self.forward(&number, "deflection", context);
        }
        // 408 and 503 without a response are of our own making: nobody said anything.
        let outcome = if response.is_some() { Outcome::Answered(status) } else { Outcome::Silence };
        self.drop_branch(index, outcome, context);
    }

    /// The ring time is over.
    pub(super) fn on_nobody_answers(&mut self, context: &mut Context) {
        self.give_up_attempt(Outcome::NoAnswer, context);
    }

    fn dial(&mut self) -> Option<&mut Dial> {
        match &mut self.stage {
            Stage::Dialling(dial) => Some(dial),
            _ => None,
        }
    }

    /// A new attempt, which remembers what was tried before.
    fn take_dial(&mut self, attempt: Attempt) -> Dial {
        let (tried, diversions) = match &mut self.stage {
            Stage::Dialling(dial) => (std::mem::take(&mut dial.tried), std::mem::take(&mut dial.diversions)),
            _ => (Vec::new(), Vec::new()),
        };
        Dial { attempt, branches: Vec::new(), refusals: Vec::new(), tried, diversions }
    }

    fn branch_of(&mut self, session: SessionId) -> Option<usize> {
        self.dial()?.branches.iter().position(|branch| branch.leg.session == Some(session))
    }

    fn open_branch(&mut self, name: String, target: Target, context: &mut Context) -> bool {
        let negotiation = Negotiation::new(context.rng.u64() >> 2, "-");
        let mut leg = Leg::new(name, None, target.path, negotiation);
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
            let status = self.best_refusal();
            return self.refuse_with(status, context);
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

    fn dial_next_address(&mut self, context: &mut Context) {
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
        let Some(local) = context.local_for(target.transport, remote) else {
            return self.dial_next_address(context);
        };
        let trunk = context.config.trunks.iter().find(|trunk| trunk.name == target.trunk);
        let uri = trunk_uri(number, &target);
        let target = Target {
            to: format!("<{uri}>"),
            uri,
            path: Path { transport: target.transport, local, remote, connection: None },
            route: Vec::new(),
            credentials: trunk.and_then(|trunk| trunk.credentials.clone()),
            try_timeout: trunk.map(|trunk| trunk.try_timeout),
            trunk: Some(target),
        };
        let name = target.trunk.as_ref().map(|trunk| format!("trunk:{}", trunk.trunk)).unwrap_or_default();
        if !self.open_branch(name, target, context) {
            self.refuse_for_lack_of_ports(context);
        }
    }

    /// One less rings; when it was the last, something else is tried.
    fn drop_branch(&mut self, index: usize, outcome: Outcome, context: &mut Context) {
        let Some(dial) = self.dial() else {
            return;
        };
        let branch = dial.branches.remove(index);
        let (callee, is_last) = (dial.attempt.callee(), dial.branches.is_empty());
        dial.refusals.push(route::map_refusal(outcome, callee));
        let tries_next = callee == Callee::Trunk && route::tries_next(outcome);
        if let Some(target) = branch.target.trunk.as_ref().filter(|_| tries_next) {
            context.router.target_failed(target, context.now);
        }
        branch.leave(None, &mut self.leaving, context);
        self.let_go_of_the_closed();
        match (is_last, tries_next) {
            (true, true) => self.dial_next_address(context),
            (true, false) => self.give_up_attempt(outcome, context),
            // A 6xx speaks for all contacts (RFC 3261 section 16.7, step 5).
            (false, _) if matches!(outcome, Outcome::Answered(status) if status.code() >= 600) => {
                self.give_up_attempt(outcome, context);
            }
            (false, _) => {}
        }
    }

    /// Nobody of this attempt is going to answer: forwards, or refuses the caller.
    fn give_up_attempt(&mut self, outcome: Outcome, context: &mut Context) {
        let Some(dial) = self.dial() else {
            return;
        };
        let branches = std::mem::take(&mut dial.branches);
        if dial.refusals.is_empty() {
            dial.refusals.push(route::map_refusal(outcome, dial.attempt.callee()));
        }
        let forward = match &dial.attempt {
            Attempt::Extension { number } => context.forward_of(number, outcome),
            Attempt::Trunk { .. } => None,
        };
        for branch in branches {
            branch.leave(None, &mut self.leaving, context);
        }
        self.cancel_timer(Timer::Ring, context);
        match forward {
            Some((number, why)) => self.forward(&number, why, context),
            None => {
                let status = self.best_refusal();
                self.refuse_with(status, context);
            }
        }
    }

    /// Dials another number on behalf of the one who was dialled.
    fn forward(&mut self, number: &str, why: &str, context: &mut Context) {
        let domain = context.config.sip.domain.clone();
        let Some(dial) = self.dial() else {
            return;
        };
        let branches = std::mem::take(&mut dial.branches);
        let is_loop = dial.tried.iter().any(|tried| tried == number) || dial.tried.len() > FORWARDS;
        if let Some(from) = dial.tried.last() {
            dial.diversions.insert(0, format!("<sip:{from}@{domain}>;reason={why}"));
        }
        let last = dial.tried.last().cloned().unwrap_or_default();
        for branch in branches {
            branch.leave(None, &mut self.leaving, context);
        }
        self.vacate(&last, context);
        self.cancel_timer(Timer::Ring, context);
        if is_loop {
            return self.refuse_with(StatusCode::LOOP_DETECTED, context);
        }
        if let Some(session) = self.caller.session {
            let status = StatusCode::CALL_IS_BEING_FORWARDED;
            context.agent.ring(session, status, None, false, Vec::new(), context.now);
        }
        let source = self.caller.path.remote.ip();
        let routed = context.route(number, &self.invitation.caller, source);
        // Who was let in to reach an extension may be led out only if it may go there itself: nobody is to be called at the
        // expense of somebody who forwards.
        let leads_out = matches!(routed.decision, Decision::Trunk { .. });
        if leads_out && route::access(&routed, &self.invitation.caller) != route::Access::Open {
            return self.refuse_with(StatusCode::FORBIDDEN, context);
        }
        self.proceed(routed.decision, context);
    }

    fn refuse_with(&mut self, status: StatusCode, context: &mut Context) {
        self.refuse(EndedBy::Callee, Reply::new(status), status.reason(), context);
    }

    fn best_refusal(&mut self) -> StatusCode {
        route::best(self.dial().map_or(&[], |dial| &dial.refusals))
    }

    /// Legs that rang and whose ports are closed are of no more interest.
    fn let_go_of_the_closed(&mut self) {
        self.leaving.retain(Leg::holds_port);
    }

    fn take_answer(&mut self, index: usize, description: Option<Description>) -> Result<(), StatusCode> {
        let Some(dial) = self.dial() else {
            return Err(StatusCode::SERVER_INTERNAL_ERROR);
        };
        let negotiation = &mut dial.branches[index].leg.negotiation;
        match description {
            Some(Description::Answer(answer)) => {
                negotiation.receive_answer(&answer).map(drop).map_err(|error| error.status())
            }
            // It was in a reliable provisional response.
            None if negotiation.agreed().is_some() => Ok(()),
            Some(Description::Offer(_)) | None => Err(StatusCode::NOT_ACCEPTABLE_HERE),
        }
    }

    /// Early media: the caller is answered in the provisional response, and both are joined.
    fn hear_early_media(
        &mut self,
        session: SessionId,
        description: &Description,
        reliable: bool,
        context: &mut Context,
    ) -> Option<Vec<u8>> {
        let index = self.branch_of(session)?;
        let Description::Answer(answer) = description else {
            return None;
        };
        let (has_offer, answered) = (self.invitation.has_offer, self.answer.clone());
        let branch = &mut self.dial()?.branches[index];
        let agreement = match reliable {
            true => branch.leg.negotiation.receive_answer(answer).ok()?,
            false => branch.leg.negotiation.preview_answer(answer).ok()?,
        };
        if !has_offer || (answered.is_some() && !branch.heard) {
            return None;
        }
        branch.heard = true;
        branch.leg.agree(&agreement, false, context);
        let callee = branch.leg.stream()?;
        if answered.is_none() {
            let mut codecs = agreement.codecs.clone();
            codecs.extend(agreement.telephone_event.clone());
            let local = self.caller.local_audio(codecs, agreement.remote.direction, context.advertised());
            let (description, own) = self.caller.negotiation.answer(&local).ok()?;
            self.caller.agree(&own, false, context);
            self.answer = Some(description);
        }
        let caller = self.caller.stream()?;
        context.media(Command::Bridge(caller, callee));
        self.answer.clone()
    }

    /// The callee has answered: 200 to the caller, and both are joined.
    fn answer_caller(&mut self, context: &mut Context) {
        let Stage::Talking(callee) = &self.stage else {
            return;
        };
        let Some(agreement) = callee.negotiation.agreed().cloned() else {
            return;
        };
        let name = callee.name.clone();
        let mut codecs = agreement.codecs.clone();
        codecs.extend(agreement.telephone_event.clone());
        let local = self.caller.local_audio(codecs, agreement.remote.direction, context.advertised());
        let description = match (&self.answer, self.invitation.has_offer) {
            (Some(answer), _) => answer.clone(),
            (None, false) => self.caller.negotiation.offer(&local),
            (None, true) => match self.caller.negotiation.answer(&local) {
                Ok((description, _)) => description,
                Err(error) => {
                    return self.refuse(
                        EndedBy::Pbx,
                        Reply::new(error.status()),
                        &error.to_string(),
                        context,
                    );
                }
            },
        };
        let Some(session) = self.caller.session else {
            return;
        };
        context.agent.accept(session, description, Vec::new(), context.now);
        self.was_answered(name, context);
        self.join(context);
    }

    /// What was agreed on both legs holds for their media, and they are joined.
    pub(super) fn join(&mut self, context: &mut Context) {
        let Stage::Talking(callee) = &self.stage else {
            return;
        };
        for leg in [&self.caller, callee] {
            if let Some(agreement) = leg.negotiation.agreed() {
                leg.agree(agreement, true, context);
            }
        }
        if let (Some(caller), Some(callee)) = (self.caller.stream(), callee.stream()) {
            context.media(Command::Bridge(caller, callee));
        }
    }
}

impl Attempt {
    fn callee(&self) -> Callee {
        match self {
            Attempt::Extension { .. } => Callee::Extension,
            Attempt::Trunk { .. } => Callee::Trunk,
        }
    }
}

impl Target {
    fn invite(&self, invitation: &Invitation, diversions: &[String], offer: Vec<u8>) -> Invite {
        let mut headers: Vec<_> =
            diversions.iter().map(|value| ("Diversion".to_owned(), value.clone())).collect();
        headers.extend(invitation.headers.iter().cloned());
        Invite {
            uri: self.uri.clone(),
            to: self.to.clone(),
            from: invitation.from.clone(),
            path: self.path,
            route: self.route.clone(),
            max_forwards: invitation.max_forwards,
            headers,
            offer: Some(offer),
            credentials: self.credentials.clone(),
            try_timeout: self.try_timeout,
        }
    }
}

impl Context {
    fn contacts_of(&self, number: &str) -> Vec<Target> {
        let to = format!("<sip:{number}@{}>", self.config.sip.domain);
        self.registrar
            .contacts(number, self.now)
            .into_iter()
            .map(|binding| Target {
                uri: binding.uri.clone(),
                to: to.clone(),
                path: binding.target,
                route: binding.route.clone(),
                credentials: None,
                try_timeout: None,
                trunk: None,
            })
            .collect()
    }

    /// Where a refused call of an extension goes, and why, as Diversion says it (RFC 5806).
    fn forward_of(&self, number: &str, outcome: Outcome) -> Option<(String, &'static str)> {
        let extension = self.config.extensions.iter().find(|extension| extension.number == number)?;
        match outcome {
            Outcome::Answered(status) if matches!(status.code(), 486 | 600) => {
                Some((extension.forward_busy.clone()?, "user-busy"))
            }
            Outcome::Answered(status) if !matches!(status.code(), 408 | 480) => None,
            Outcome::Answered(_) | Outcome::NoAnswer | Outcome::Silence => {
                Some((extension.forward_no_answer.clone()?, "no-answer"))
            }
        }
    }

    /// The socket from which this transport reaches this address.
    pub(super) fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let fits = |local: &SocketAddr| local.is_ipv4() == remote.is_ipv4();
        let of_transport =
            self.config.sip.listen.iter().filter(|(t, _)| *t == transport).map(|(_, local)| *local);
        of_transport.into_iter().find(fits)
    }
}

/// The Request-URI of a call to a trunk target.
fn trunk_uri(number: &str, target: &route::Target) -> String {
    let user = escape_user(number);
    let port = target.port.map(|port| format!(":{port}")).unwrap_or_default();
    let host = match target.host.parse::<std::net::Ipv6Addr>() {
        Ok(v6) => format!("[{v6}]"),
        Err(_) => target.host.clone(),
    };
    match target.transport {
        Transport::Udp => format!("sip:{user}@{host}{port}"),
        other => format!("sip:{user}@{host}{port};transport={other}"),
    }
}

/// A provisional response that carries no description promises no media.
fn without_media(status: StatusCode) -> StatusCode {
    if status == StatusCode::SESSION_PROGRESS { StatusCode::RINGING } else { status }
}
