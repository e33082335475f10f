//! An INVITE we sent that is not answered finally: provisional responses, branches, the first 2xx, challenges, PRACK (RFC 3261
//! sections 8.1.3 and 13.2.2, RFC 3262 section 4).

use super::acks::FORKS;
use super::dialog::{Branches, Dialog, Origin};
use super::established::Established;
use super::leaving::{Cancelling, Leaving};
use super::offer::{Gate, Owed, Turn, Wanted};
use super::peer::Peer;
use super::session_timer::SessionTimer;
use super::shared::{Credentials, Cx, Outcome, Purpose};
use super::stage::Stage;
use super::{Cause, Description, Event, Invite, compose, inspect, prack, target};
use crate::sip::{Method, Name, Request, Response, StatusCode, Uri};
use crate::time::Instant;
use crate::transaction::ClientId;

/// An INVITE that waits for its final response.
#[derive(Debug)]
pub(super) struct Calling {
    client: ClientId,
    /// As it was sent, to be sent again with credentials or a longer session interval.
    request: Request,
    origin: Origin,
    offer: Option<Vec<u8>>,
    /// Early dialogs, one for each To tag.
    branches: Vec<Branch>,
    /// The branch whose description was told last.
    described: Option<String>,
    /// No response at all until then counts as 408.
    try_until: Option<Instant>,
    /// How often it was sent again.
    attempts: u8,
    /// What the 422s have asked for.
    timer: SessionTimer,
    wanted: Option<Wanted>,
}

#[derive(Debug)]
struct Branch {
    peer: Peer,
    /// The last reliable provisional response.
    rseq: Option<u32>,
    /// The first description in a provisional response that was not reliable.
    preview: Option<Vec<u8>>,
}

/// An INVITE may be sent this often: once, with credentials, with another interval.
const ATTEMPTS: u8 = 4;

impl Calling {
    /// Sends the INVITE.
    pub(super) fn start(invite: Invite, cx: &mut Cx<'_>) -> Calling {
        let call_id = cx.ua.rng.token(22);
        let uri = compose::clean_uri(&invite.uri);
        let origin = Origin {
            call_id,
            from: format!("{};tag={}", invite.from, cx.tag),
            to: invite.to.clone(),
            cseq: 1,
            uri: uri.clone(),
            path: invite.path,
        };
        let timer = SessionTimer::new(&cx.ua.settings);
        let request = compose_invite(&invite, &origin, &timer, cx);
        let client = cx.ua.send_first(request.clone(), invite.path, cx.session, cx.now);
        Calling {
            client,
            request,
            origin,
            offer: invite.offer,
            branches: Vec::new(),
            described: None,
            try_until: invite.try_timeout.map(|timeout| cx.now + timeout),
            attempts: 1,
            timer,
            wanted: None,
        }
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let wanted = self.wanted.as_ref().and_then(|wanted| wanted.not_before).filter(|_| self.may_update());
        [self.try_until, wanted].into_iter().flatten().min()
    }

    /// The earliest deadline has come.
    pub(super) fn handle_timeout(mut self: Box<Self>, cx: &mut Cx<'_>) -> Stage {
        if self.try_until.is_some_and(|at| at <= cx.now) {
            let status = StatusCode::REQUEST_TIMEOUT;
            cx.emit(Event::Refused { session: cx.session, status, response: None });
            return self.cancel(None, cx);
        }
        self.go_on(cx);
        Stage::Calling(self)
    }

    /// The early dialog a request of the other side belongs to.
    pub(super) fn peer_mut(&mut self, request: &Request) -> Option<&mut Peer> {
        self.branches.iter_mut().map(|branch| &mut branch.peer).find(|peer| peer.dialog.matches(request))
    }

    /// The early dialogs, the last one heard of at the end.
    pub(super) fn dialogs(&self) -> impl Iterator<Item = &Dialog> {
        self.branches.iter().map(|branch| &branch.peer.dialog)
    }

    /// The early dialog that requests of ours go to: that of the last branch heard of.
    pub(super) fn last_peer(&mut self) -> Option<&mut Peer> {
        self.branches.last_mut().map(|branch| &mut branch.peer)
    }

    /// A request of ours has ended, or has a provisional response.
    pub(super) fn on_outcome(
        mut self: Box<Self>,
        client: ClientId,
        purpose: Purpose,
        outcome: Outcome,
        cx: &mut Cx<'_>,
    ) -> Stage {
        match purpose {
            Purpose::Invite if client == self.client => self.on_invite_outcome(outcome, cx),
            Purpose::Update => {
                let updating = |branch: &&mut Branch| {
                    branch.peer.updating.is_some_and(|updating| updating.client == client)
                };
                if let Some(branch) = self.branches.iter_mut().find(updating) {
                    // Whatever is wrong with it, the INVITE is still to be answered.
                    branch.peer.on_update_outcome(&outcome, cx);
                    self.wanted = branch.peer.wanted.take().or(self.wanted.take());
                }
                self.go_on(cx);
                Stage::Calling(self)
            }
            // A PRACK that fails is for the callee to notice: it refuses the INVITE (RFC 3262 section 3).
            Purpose::Invite | Purpose::Reinvite | Purpose::Prack | Purpose::Bye | Purpose::Within(_) => {
                Stage::Calling(self)
            }
        }
    }

    /// We offer a change while it rings.
    pub(super) fn offer(&mut self, description: Option<Vec<u8>>, cx: &mut Cx<'_>) {
        self.wanted = Some(Wanted { description, not_before: None, attempts: 0 });
        self.go_on(cx);
    }

    /// We answer an offer that came in a reliable provisional response or UPDATE: the oldest.
    pub(super) fn answer(&mut self, description: Vec<u8>, cx: &mut Cx<'_>) {
        let owes = |branch: &&mut Branch| matches!(branch.peer.gate.turn(), Turn::Owed { .. });
        if let Some(branch) = self.branches.iter_mut().find(owes) {
            branch.peer.give(description, cx);
        }
        self.go_on(cx);
    }

    /// We refuse an offer; one in a provisional response can only be refused by ending it all (RFC 6337 section 2.3).
    pub(super) fn refuse_offer(mut self: Box<Self>, status: StatusCode, cx: &mut Cx<'_>) -> Stage {
        let owes = |branch: &&mut Branch| matches!(branch.peer.gate.turn(), Turn::Owed { .. });
        let is_refused = self.branches.iter_mut().find(owes).map(|branch| branch.peer.refuse(status, cx));
        if is_refused == Some(false) { self.cancel(None, cx) } else { Stage::Calling(self) }
    }

    /// We do not want it any more.
    pub(super) fn hang_up(self: Box<Self>, reason: Option<String>, cx: &mut Cx<'_>) -> Stage {
        self.cancel(reason, cx)
    }

    fn on_invite_outcome(mut self: Box<Self>, outcome: Outcome, cx: &mut Cx<'_>) -> Stage {
        self.try_until = None;
        match outcome {
            Ok(response) if response.status() == StatusCode::TRYING => Stage::Calling(self),
            Ok(response) if response.status().is_provisional() => {
                self.on_provisional(response, cx);
                self.go_on(cx);
                Stage::Calling(self)
            }
            Ok(response) if response.status().is_success() => self.on_success(response, cx),
            Ok(response) if self.is_retried(&response, cx) => Stage::Calling(self),
            Ok(response) => self.refused(response.status(), Some(response), cx),
            Err(status) => self.refused(status, None, cx),
        }
    }

    fn refused(
        mut self: Box<Self>,
        status: StatusCode,
        response: Option<Response>,
        cx: &mut Cx<'_>,
    ) -> Stage {
        self.abandon(cx);
        cx.emit(Event::Refused { session: cx.session, status, response });
        Stage::Over
    }

    /// A provisional response makes an early dialog (RFC 3261 section 12.1) and, when it is reliable, is acknowledged.
    fn on_provisional(&mut self, response: Response, cx: &mut Cx<'_>) {
        let session = cx.session;
        let rseq = prack::rseq(&response);
        let Some(index) = self.branch_of(&response, cx) else {
            if rseq.is_none() {
                cx.emit(Event::Provisional { session, response, description: None });
            }
            return;
        };
        let branch = &mut self.branches[index];
        branch.peer.note(response.headers());
        if let Some(rseq) = rseq {
            if !prack::is_next(branch.rseq, rseq) {
                return;
            }
            branch.rseq = Some(rseq);
        }
        let description = describe(&mut branch.peer, &response, rseq, self.origin.cseq, cx);
        if let (None, Some(Description::Answer(answer))) = (rseq, &description) {
            branch.preview.get_or_insert_with(|| answer.clone());
        }
        if description.is_some() {
            self.described = Some(branch.peer.dialog.remote_tag().to_owned());
        }
        cx.emit(Event::Provisional { session, response, description });
    }

    /// The branch of a response, new when its To tag is.
    fn branch_of(&mut self, response: &Response, cx: &Cx<'_>) -> Option<usize> {
        let tag = response.to_header().ok()?.tag()?;
        if let Some(index) =
            self.branches.iter().position(|branch| branch.peer.dialog.remote_tag().eq_ignore_ascii_case(tag))
        {
            return Some(index);
        }
        if self.branches.len() >= FORKS {
            return None;
        }
        let peer = self.new_peer(response, cx)?;
        self.branches.push(Branch { peer, rseq: None, preview: None });
        Some(self.branches.len() - 1)
    }

    fn new_peer(&self, response: &Response, cx: &Cx<'_>) -> Option<Peer> {
        let dialog = Dialog::of_response(&self.origin, response)?;
        let mut peer = Peer::new(dialog, Gate::of_sent(self.offer.clone()), response.headers(), cx);
        peer.timer = self.timer.clone();
        Some(peer)
    }

    /// The first 2xx decides which branch it is (RFC 3261 section 13.2.2.4).
    fn on_success(mut self: Box<Self>, response: Response, cx: &mut Cx<'_>) -> Stage {
        let tag = response.to_header().ok().and_then(|to| to.tag()).unwrap_or_default();
        let known =
            self.branches.iter().position(|branch| branch.peer.dialog.remote_tag().eq_ignore_ascii_case(tag));
        let (peer, preview) = match known.map(|index| self.branches.swap_remove(index)) {
            Some(Branch { peer, preview, .. }) => (Some(peer), preview),
            None => (self.new_peer(&response, cx), None),
        };
        // Every response has a To, or the transaction would not have taken it.
        let Some(mut peer) = peer else { return self.refused(StatusCode::BAD_REQUEST, Some(response), cx) };
        self.abandon(cx);
        let others = self.branches();
        cx.ua.acks.expect_branches(self.client, others);
        peer.note(response.headers());
        peer.dialog.refresh_target(response.contact().ok());
        peer.timer.decided(&response, cx.now);
        peer.wanted = peer.wanted.take().or(self.wanted.take());
        self.establish(peer, response, preview, cx)
    }

    fn establish(
        self: Box<Self>,
        mut peer: Peer,
        response: Response,
        preview: Option<Vec<u8>>,
        cx: &mut Cx<'_>,
    ) -> Stage {
        let (session, client, cseq) = (cx.session, self.client, self.origin.cseq);
        let is_updating = peer.updating.is_some_and(|updating| updating.is_offer);
        // The answer belongs into the 2xx, but a UAC treats the first description as the answer (RFC 3261 section 13.2.1), and
        // some gateways rely on that.
        let described = inspect::description(response.headers(), response.body()).or(preview);
        let description = match (peer.gate.turn(), described) {
            (Turn::Offered(_), Some(answer)) if !is_updating => {
                peer.gate.answered(answer.clone());
                Some(Description::Answer(answer))
            }
            (Turn::Asking, Some(offer)) => {
                peer.gate.owe(Owed::Ack { client, cseq }, Some(offer.clone()));
                cx.ua.acks.keep(client, peer.dialog.remote_tag(), None, None);
                cx.emit(Event::Answered { session, response, description: Some(Description::Offer(offer)) });
                return Stage::Established(Box::new(Established::answered(peer)));
            }
            (Turn::Offered(_) | Turn::Asking, None) if !is_updating => {
                cx.ua.acknowledge(client, &peer.dialog, cseq, None);
                let cause = Cause::PeerMisbehaved("the 2xx to INVITE has no description");
                cx.emit(Event::Ended { session, cause });
                return Leaving::now(peer, None, true, None, cx);
            }
            // Agreed in a reliable provisional response: told again when another branch was heard of since.
            (Turn::Settled, _) if self.described.as_deref() != Some(peer.dialog.remote_tag()) => {
                peer.gate.remote().map(|remote| Description::Answer(remote.to_vec()))
            }
            (Turn::Settled | Turn::Offered(_) | Turn::Asking | Turn::Owed { .. }, _) => None,
        };
        cx.ua.acknowledge(client, &peer.dialog, cseq, None);
        cx.emit(Event::Answered { session, response, description });
        Box::new(Established::answered(peer)).start(cx)
    }

    /// Whether a refusal is answered by another INVITE: with credentials (RFC 3261 section 22.2), with a longer session
    /// interval (RFC 4028 section 7.3).
    fn is_retried(&mut self, refusal: &Response, cx: &mut Cx<'_>) -> bool {
        if self.attempts >= ATTEMPTS {
            return false;
        }
        let changed = match refusal.status() {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let credentials: Option<&Credentials> = cx.credentials;
                credentials.is_some_and(|credentials| {
                    super::challenge::answer(&mut self.request, refusal, credentials, &mut cx.ua.rng)
                })
            }
            StatusCode::SESSION_INTERVAL_TOO_SMALL => self.timer.on_422(refusal),
            _ => false,
        };
        if changed {
            self.send_again(cx);
        }
        changed
    }

    fn send_again(&mut self, cx: &mut Cx<'_>) {
        self.attempts += 1;
        self.origin.cseq += 1;
        self.abandon(cx);
        self.branches.clear();
        let headers = self.request.headers_mut();
        headers.set(Name::CSeq, format_args!("{} INVITE", self.origin.cseq));
        headers.remove(Name::SessionExpires);
        headers.remove(Name::MinSe);
        self.timer.ask(headers);
        self.client = cx.ua.send_first(self.request.clone(), self.origin.path, cx.session, cx.now);
    }

    /// Sends the waiting offer, when it is clear to whom and the first exchange is over (RFC 3311 section 5.1).
    fn go_on(&mut self, cx: &mut Cx<'_>) {
        let is_due =
            self.wanted.as_ref().is_some_and(|wanted| wanted.not_before.is_none_or(|at| at <= cx.now));
        if !is_due || !self.may_update() {
            return;
        }
        if let Some(branch) = self.branches.first_mut() {
            branch.peer.wanted = self.wanted.take();
            branch.peer.send_wanted_by_update(cx);
        }
    }

    fn may_update(&self) -> bool {
        let [branch] = self.branches.as_slice() else { return false };
        branch.peer.allows_update
            && branch.peer.gate.is_settled()
            && branch.peer.updating.is_none()
            && self.wanted.as_ref().is_some_and(|wanted| wanted.description.is_some())
    }

    fn cancel(mut self: Box<Self>, reason: Option<String>, cx: &mut Cx<'_>) -> Stage {
        self.abandon(cx);
        let branches = self.branches();
        Stage::Cancelling(Box::new(Cancelling::new(self.client, branches, reason, cx)))
    }

    /// What becomes of the branches that nobody follows any more.
    fn branches(&mut self) -> Branches {
        let early = self.branches.drain(..).map(|branch| branch.peer.dialog).collect();
        Branches { origin: self.origin.clone(), early }
    }

    fn abandon(&mut self, cx: &mut Cx<'_>) {
        for branch in &mut self.branches {
            branch.peer.abandon(cx);
        }
    }
}

/// What the description of a provisional response is, and the PRACK to a reliable one (RFC 3262 section 5).
fn describe(
    peer: &mut Peer,
    response: &Response,
    rseq: Option<u32>,
    cseq: u32,
    cx: &mut Cx<'_>,
) -> Option<Description> {
    let described = inspect::description(response.headers(), response.body());
    let Some(rseq) = rseq else {
        let is_preview = matches!(peer.gate.turn(), Turn::Offered(_)) && peer.updating.is_none();
        return described.filter(|_| is_preview).map(Description::Answer);
    };
    let rack = format!("{rseq} {cseq} INVITE");
    match (peer.gate.turn(), described) {
        (Turn::Asking, Some(offer)) => {
            peer.gate.owe(Owed::Prack { rack }, Some(offer.clone()));
            Some(Description::Offer(offer))
        }
        (Turn::Offered(_), Some(answer)) if peer.updating.is_none() => {
            peer.gate.answered(answer.clone());
            peer.send_prack(&rack, None, cx);
            Some(Description::Answer(answer))
        }
        (Turn::Asking | Turn::Offered(_) | Turn::Settled | Turn::Owed { .. }, _) => {
            peer.send_prack(&rack, None, cx);
            None
        }
    }
}

fn compose_invite(invite: &Invite, origin: &Origin, timer: &SessionTimer, cx: &Cx<'_>) -> Request {
    let mut request = Request::new(Method::Invite, &origin.uri);
    let is_secure = Uri::parse(&origin.uri).is_ok_and(|uri| uri.is_sips());
    let headers = request.headers_mut();
    for route in &invite.route {
        headers.push(Name::Route, route);
    }
    headers.push(Name::MaxForwards, invite.max_forwards);
    headers.push(Name::From, &origin.from);
    headers.push(Name::To, &invite.to);
    headers.push(Name::CallId, &origin.call_id);
    headers.push(Name::CSeq, format_args!("{} INVITE", origin.cseq));
    headers.push(Name::Contact, target::contact(&invite.path, cx.ua.settings.external_address, is_secure));
    headers.push(Name::UserAgent, &cx.ua.settings.user_agent);
    compose::add_abilities(headers);
    headers.push(Name::Accept, compose::SDP);
    timer.ask(headers);
    compose::add_extra(headers, &invite.headers, false);
    compose::describe_request(&mut request, invite.offer.as_deref());
    request
}
