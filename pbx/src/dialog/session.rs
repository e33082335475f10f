//! One session: which of its stages it is in, and what a message, a wish or a deadline means there.

use super::dialog::Dialog;
use super::inspect;
use super::offer::Gate;
use super::peer::{Fate, Peer};
use super::prack::Provisional;
use super::session_timer::SessionTimer;
use super::shared::{Asked, Credentials, Cx, Inbound, Outcome, Owner, Purpose, Shared};
use super::stage::Stage;
use super::uac::Calling;
use super::uas::Ringing;
use super::{Body, Event, ExtraHeaders, Invite, Reply, RequestId, SessionId, Standing, challenge, compose};
use crate::sip::{ConnectionId, Method, Name, Path, Replaces, Request, Response, StatusCode};
use crate::time::Instant;
use crate::transaction::{ClientId, ServerId};
use std::collections::VecDeque;

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    /// Our tag, the same in all its dialogs.
    tag: String,
    credentials: Option<Credentials>,
    stage: Stage,
    /// Requests within it that somebody above has not answered yet.
    unanswered: Vec<RequestId>,
    said: Said,
}

/// What is said within a session by INFO and MESSAGE, one after the other: over UDP the next may overtake the one before, and
/// whoever has seen the higher number refuses the lower (RFC 3261 section 12.2.2). That would be a key less.
#[derive(Debug, Default)]
struct Said {
    /// The one that is out.
    out: Option<RequestId>,
    waiting: VecDeque<Saying>,
}

/// One that waits.
#[derive(Debug)]
struct Saying {
    id: RequestId,
    method: Method,
    headers: ExtraHeaders,
    body: Option<Body>,
}

/// How many may wait; more is not said.
const WAITING: usize = 32;

impl Session {
    /// Sends an INVITE.
    pub(super) fn call(id: SessionId, mut invite: Invite, ua: &mut Shared, now: Instant) -> Session {
        let credentials = invite.credentials.take();
        let tag = ua.rng.token(12);
        let mut session = Session {
            id,
            tag,
            credentials,
            stage: Stage::Over,
            unanswered: Vec::new(),
            said: Said::default(),
        };
        session.act(ua, now, |_, cx| Stage::Calling(Box::new(Calling::start(invite, cx))));
        session
    }

    /// Takes an INVITE; `None`: it was refused, for its Contact or its session interval.
    pub(super) fn incoming(
        id: SessionId,
        server: ServerId,
        invite: Request,
        path: Path,
        ua: &mut Shared,
        now: Instant,
    ) -> Option<Session> {
        let tag = ua.rng.token(12);
        let mut session = Session {
            id,
            tag,
            credentials: None,
            stage: Stage::Over,
            unanswered: Vec::new(),
            said: Said::default(),
        };
        session.act(ua, now, |_, cx| begin_ringing(server, invite, path, cx));
        (!session.is_over()).then_some(session)
    }

    /// Our tag.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// Whether nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// How the dialog stands that Replaces means, if it is one of this session.
    pub(super) fn standing(&self, replaces: &Replaces<'_>) -> Option<Standing> {
        let is_it = |dialog: &Dialog| dialog.is_named_by(replaces);
        let (is_it, standing) = match &self.stage {
            Stage::Calling(calling) => (calling.dialogs().any(is_it), Standing::EarlyByUs),
            Stage::Ringing(ringing) => (is_it(&ringing.peer.dialog), Standing::EarlyByThem),
            Stage::Established(established) => (is_it(&established.peer.dialog), Standing::Confirmed),
            Stage::Leaving(leaving) => (is_it(&leaving.peer.dialog), Standing::Over),
            Stage::Cancelling(_) | Stage::Over => (false, Standing::Over),
        };
        is_it.then_some(standing)
    }

    /// Call-ID, our tag and theirs, of the dialog that is the session now.
    pub(super) fn names(&self) -> Option<[&str; 3]> {
        let dialog = match &self.stage {
            Stage::Calling(calling) => calling.dialogs().last()?,
            Stage::Ringing(ringing) => &ringing.peer.dialog,
            Stage::Established(established) => &established.peer.dialog,
            Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over => return None,
        };
        let (call_id, theirs) = dialog.names();
        Some([call_id, &self.tag, theirs])
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Calling(calling) => calling.deadline(),
            Stage::Ringing(ringing) => ringing.deadline(),
            Stage::Established(established) => established.deadline(),
            Stage::Leaving(leaving) => leaving.deadline(),
            Stage::Cancelling(_) | Stage::Over => None,
        }
    }

    /// The INVITE that a CANCEL may come for.
    pub(super) fn open_invite(&self) -> Option<ServerId> {
        match &self.stage {
            Stage::Ringing(ringing) => Some(ringing.server()),
            Stage::Established(established) => established.open_invite(),
            Stage::Calling(_) | Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over => None,
        }
    }

    /// The stream that requests of this session go over, when the peer opened one.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        match &self.stage {
            Stage::Ringing(ringing) => ringing.peer.dialog.connection(),
            Stage::Established(established) => established.peer.dialog.connection(),
            Stage::Leaving(leaving) => leaving.peer.dialog.connection(),
            // We opened it ourselves: the shell knows how to do so again.
            Stage::Calling(_) | Stage::Cancelling(_) | Stage::Over => None,
        }
    }

    /// That stream is gone.
    pub(super) fn forget_connection(&mut self) {
        match &mut self.stage {
            Stage::Ringing(ringing) => ringing.peer.dialog.forget_connection(),
            Stage::Established(established) => established.peer.dialog.forget_connection(),
            Stage::Leaving(leaving) => leaving.peer.dialog.forget_connection(),
            Stage::Calling(_) | Stage::Cancelling(_) | Stage::Over => {}
        }
    }

    /// The earliest deadline has come.
    pub(super) fn handle_timeout(&mut self, ua: &mut Shared, now: Instant) {
        self.act(ua, now, |stage, cx| match stage {
            Stage::Calling(calling) => calling.handle_timeout(cx),
            Stage::Ringing(ringing) => ringing.handle_timeout(cx),
            Stage::Established(established) => established.handle_timeout(cx),
            Stage::Leaving(leaving) => leaving.handle_timeout(cx),
            stage @ (Stage::Cancelling(_) | Stage::Over) => stage,
        });
    }

    /// A request within the dialog has come (RFC 3261 section 12.2.2).
    pub(super) fn on_request(
        &mut self,
        server: ServerId,
        request: Request,
        path: Path,
        ua: &mut Shared,
        now: Instant,
    ) {
        let mut passed_on = None;
        self.act(ua, now, |mut stage, cx| {
            if !stage.admits(server, &request, path, cx) {
                return stage;
            }
            match request.method() {
                Method::Invite => stage.on_invite(server, request, cx),
                Method::Update => stage.on_update(server, request, cx),
                Method::Prack => stage.on_prack(server, request, cx),
                Method::Bye => stage.on_bye(server, request, cx),
                _ if stage.is_leaving() => stage.on_farewell(server, request, cx),
                _ => {
                    passed_on = Some(request);
                    stage
                }
            }
        });
        if let Some(request) = passed_on {
            let id = ua.next_request();
            let event = Event::Request { id, session: Some(self.id), request: request.clone(), path };
            let inbound = Inbound { server, request, session: Some(self.id), tag: self.tag.clone() };
            ua.inbound.insert(id, inbound);
            self.unanswered.push(id);
            ua.emit(event);
        }
    }

    /// An ACK has come; one that belongs to nothing is dropped.
    pub(super) fn on_ack(&mut self, ack: &Request, path: Path, ua: &mut Shared, now: Instant) {
        self.act(ua, now, |mut stage, cx| {
            match stage.peer_mut(ack) {
                Some(peer) => peer.dialog.follow(path),
                None => return stage,
            }
            match stage {
                Stage::Established(established) => established.on_ack(ack, cx),
                Stage::Leaving(leaving) => leaving.on_ack(ack, cx),
                stage @ (Stage::Calling(_) | Stage::Ringing(_) | Stage::Cancelling(_) | Stage::Over) => stage,
            }
        });
    }

    /// The INVITE that waited for our answer was cancelled.
    pub(super) fn on_cancel(&mut self, cancel: &Request, ua: &mut Shared, now: Instant) {
        let reason = cancel.headers().get(Name::Reason).map(str::to_owned);
        self.act(ua, now, |stage, cx| match stage {
            Stage::Ringing(ringing) => ringing.on_cancel(reason, cx),
            Stage::Established(established) => established.on_cancel(cx),
            stage @ (Stage::Calling(_) | Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over) => stage,
        });
    }

    /// A request of ours has a response, or will have none.
    pub(super) fn on_outcome(
        &mut self,
        client: ClientId,
        purpose: Purpose,
        outcome: Outcome,
        asked: Option<Asked>,
        ua: &mut Shared,
        now: Instant,
    ) {
        if let (Ok(refusal), Some(asked)) = (&outcome, asked)
            && self.answers_challenge(client, purpose, refusal, asked, ua, now)
        {
            return;
        }
        let is_final = outcome.as_ref().map_or(true, |response| response.status().is_final());
        if let (Purpose::Within(id), true, false) = (purpose, is_final, self.stage.is_leaving()) {
            ua.emit(Event::Response { id, session: Some(self.id), response: outcome.clone() });
        }
        if !is_final && purpose != Purpose::Invite {
            return;
        }
        let is_heard = !matches!(Fate::of(&outcome), Fate::Lost);
        self.act(ua, now, |stage, cx| match stage {
            Stage::Calling(calling) => calling.on_outcome(client, purpose, outcome, cx),
            Stage::Ringing(ringing) => ringing.on_outcome(purpose, &outcome, cx),
            Stage::Established(established) => established.on_outcome(client, purpose, &outcome, cx),
            Stage::Leaving(leaving) => leaving.on_outcome(client, purpose, &outcome, cx),
            Stage::Cancelling(cancelling) => cancelling.on_outcome(client, &outcome, cx),
            Stage::Over => Stage::Over,
        });
        if let Purpose::Within(id) = purpose
            && self.said.out == Some(id)
        {
            self.said.out = None;
            self.say_next(is_heard, ua, now);
        }
    }

    /// The next one that waits goes out, if there is anybody to hear it.
    fn say_next(&mut self, is_heard: bool, ua: &mut Shared, now: Instant) {
        while self.said.out.is_none()
            && let Some(Saying { id, method, headers, body }) = self.said.waiting.pop_front()
        {
            if !is_heard || !self.request(id, method, &headers, body.as_ref(), ua, now) {
                let response = Err(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                ua.emit(Event::Response { id, session: Some(self.id), response });
            }
        }
    }

    /// See [`UserAgent::ring`](super::UserAgent::ring).
    pub(super) fn ring(&mut self, provisional: Provisional, reliably: bool, ua: &mut Shared, now: Instant) {
        self.act(ua, now, |mut stage, cx| {
            if let Stage::Ringing(ringing) = &mut stage {
                ringing.ring(provisional, reliably, cx);
            }
            stage
        });
    }

    /// See [`UserAgent::accept`](super::UserAgent::accept).
    pub(super) fn accept(
        &mut self,
        description: Vec<u8>,
        headers: ExtraHeaders,
        ua: &mut Shared,
        now: Instant,
    ) {
        self.act(ua, now, |stage, cx| match stage {
            Stage::Ringing(ringing) => ringing.accept(description, headers, cx),
            other => other,
        });
    }

    /// See [`UserAgent::reject`](super::UserAgent::reject).
    pub(super) fn reject(&mut self, reply: &Reply, ua: &mut Shared, now: Instant) {
        self.act(ua, now, |stage, cx| match stage {
            Stage::Ringing(ringing) if reply.status.is_final() && !reply.status.is_success() => {
                ringing.reject(reply, cx)
            }
            other => other,
        });
    }

    /// See [`UserAgent::offer`](super::UserAgent::offer).
    pub(super) fn offer(&mut self, description: Option<Vec<u8>>, ua: &mut Shared, now: Instant) {
        self.act(ua, now, |stage, cx| match stage {
            Stage::Calling(mut calling) => {
                calling.offer(description, cx);
                Stage::Calling(calling)
            }
            Stage::Ringing(ringing) => ringing.offer(description, cx),
            Stage::Established(established) => established.offer(description, cx),
            stage @ (Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over) => stage,
        });
    }

    /// See [`UserAgent::answer`](super::UserAgent::answer).
    pub(super) fn answer(&mut self, description: Vec<u8>, ua: &mut Shared, now: Instant) {
        self.act(ua, now, |stage, cx| match stage {
            Stage::Calling(mut calling) => {
                calling.answer(description, cx);
                Stage::Calling(calling)
            }
            Stage::Ringing(ringing) => ringing.answer(description, cx),
            Stage::Established(established) => established.answer(description, cx),
            stage @ (Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over) => stage,
        });
    }

    /// See [`UserAgent::refuse_offer`](super::UserAgent::refuse_offer).
    pub(super) fn refuse_offer(&mut self, status: StatusCode, ua: &mut Shared, now: Instant) {
        self.act(ua, now, |stage, cx| match stage {
            Stage::Calling(calling) => calling.refuse_offer(status, cx),
            Stage::Ringing(ringing) => ringing.refuse_offer(status, cx),
            Stage::Established(established) => established.refuse_offer(status, cx),
            stage @ (Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over) => stage,
        });
    }

    /// See [`UserAgent::hang_up`](super::UserAgent::hang_up).
    pub(super) fn hang_up(&mut self, reason: Option<String>, ua: &mut Shared, now: Instant) {
        self.act(ua, now, |stage, cx| match stage {
            Stage::Calling(calling) => calling.hang_up(reason, cx),
            Stage::Ringing(ringing) => ringing.hang_up(reason, cx),
            Stage::Established(established) => established.hang_up(reason, cx),
            stage @ (Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over) => stage,
        });
    }

    /// See [`UserAgent::request_within`](super::UserAgent::request_within). False when there is no dialog (yet).
    pub(super) fn request(
        &mut self,
        id: RequestId,
        method: Method,
        headers: &ExtraHeaders,
        body: Option<&Body>,
        ua: &mut Shared,
        now: Instant,
    ) -> bool {
        let is_said = matches!(method, Method::Info | Method::Message);
        if is_said && self.said.out.is_some() {
            let has_room = self.said.waiting.len() < WAITING;
            if has_room {
                let (headers, body) = (headers.clone(), body.cloned());
                self.said.waiting.push_back(Saying { id, method, headers, body });
            }
            return has_room;
        }
        let mut is_sent = false;
        self.act(ua, now, |mut stage, cx| {
            if let Some(peer) = stage.speaking_peer() {
                let mut request = peer.dialog.request(method);
                request.headers_mut().push(Name::Contact, cx.contact(&peer.dialog));
                compose::add_abilities(request.headers_mut());
                compose::add_extra(request.headers_mut(), headers, false);
                compose::set_body(&mut request, body);
                cx.send(&peer.dialog, request, Purpose::Within(id));
                is_sent = true;
            }
            stage
        });
        if is_sent && is_said {
            self.said.out = Some(id);
        }
        is_sent
    }

    /// A request is answered by whoever is above.
    pub(super) fn answered(&mut self, id: RequestId) {
        self.unanswered.retain(|unanswered| *unanswered != id);
    }

    fn act(&mut self, ua: &mut Shared, now: Instant, step: impl FnOnce(Stage, &mut Cx<'_>) -> Stage) {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let credentials = self.credentials.as_ref();
        let mut cx = Cx { ua, session: self.id, tag: &self.tag, credentials, now };
        self.stage = step(stage, &mut cx);
        if self.stage.is_leaving() {
            self.said.waiting.clear();
            self.give_up_unanswered(ua, now);
        }
    }

    /// What nobody will answer any more gets 487 (RFC 3261 section 15.1.2).
    fn give_up_unanswered(&mut self, ua: &mut Shared, now: Instant) {
        for id in std::mem::take(&mut self.unanswered) {
            if let Some(Inbound { server, request, tag, .. }) = ua.inbound.remove(&id) {
                let server_name = &ua.settings.user_agent;
                let response = compose::response(&request, StatusCode::REQUEST_TERMINATED, &tag, server_name);
                ua.transactions.respond(server, response, now);
            }
        }
    }

    /// Whether a 401 or 407 to a request within the dialog was answered by sending it again.
    fn answers_challenge(
        &mut self,
        client: ClientId,
        purpose: Purpose,
        refusal: &Response,
        asked: Asked,
        ua: &mut Shared,
        now: Instant,
    ) -> bool {
        let is_challenge =
            matches!(refusal.status(), StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let Some(mut retry) = asked.retry.filter(|_| is_challenge) else { return false };
        let Some(dialog) = self.stage.dialog() else { return false };
        if !challenge::answer(&mut retry.request, refusal, &retry.credentials, &mut ua.rng) {
            return false;
        }
        dialog.renumber(&mut retry.request);
        let renamed = ua.resend(retry.request, retry.path, Owner::Session(self.id, purpose), now);
        match &mut self.stage {
            Stage::Established(established) => established.renamed(client, renamed),
            Stage::Leaving(leaving) => leaving.renamed(client, renamed),
            Stage::Calling(_) | Stage::Ringing(_) | Stage::Cancelling(_) | Stage::Over => {}
        }
        true
    }
}

fn begin_ringing(server: ServerId, invite: Request, path: Path, cx: &mut Cx<'_>) -> Stage {
    if let Some(min_se) = SessionTimer::too_small(&cx.ua.settings, &invite) {
        super::peer::refuse_interval(server, &invite, min_se.as_secs(), cx);
        return Stage::Over;
    }
    let Some(dialog) = Dialog::of_request(&invite, cx.tag, path) else {
        let refusal = inspect::Refusal::Malformed("the Contact of an INVITE is a SIP URI");
        let response = refusal.response(&invite, cx.tag, &cx.ua.settings.user_agent);
        cx.respond(server, response);
        return Stage::Over;
    };
    let offer = inspect::description(invite.headers(), invite.body());
    let peer = Peer::new(dialog, Gate::of_received(offer.clone()), invite.headers(), cx);
    cx.emit(Event::Incoming { session: cx.session, invite: invite.clone(), path, offer });
    Stage::Ringing(Box::new(Ringing::new(server, invite, peer, cx)))
}
