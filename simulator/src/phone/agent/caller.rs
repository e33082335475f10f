//! We call: early dialogs, forks, the first answer and all others, giving up (RFC 3261 sections 9.1 and 13.2).

use super::call::{Acknowledged, Call, Early, GivingUp, Stage, description};
use super::dialog::{Dialog, is_same_tag, tag_of};
use super::offers::Exchange;
use super::timer::SessionTimer;
use super::transactions::ClientId;
use super::{Agent, Description, Event, Misbehaviour, Pending, Purpose, SessionId, T1};
use pbx::sip::{Method, Name, Request, Response, StatusCode};
use pbx::time::Instant;
use std::net::IpAddr;

impl Agent {
    /// Calls a number of the PBX. Without an offer the other side is to make one; `replaces` is the value of that header
    /// (RFC 3891).
    pub(in crate::phone) fn invite(
        &mut self,
        number: &str,
        offer: Option<&[u8]>,
        replaces: Option<&str>,
        now: Instant,
    ) -> SessionId {
        let mut dialog = self.new_dialog(number);
        let mut request = dialog.request(Method::Invite);
        self.introduce(&mut request, offer);
        SessionTimer::ask(&self.abilities, request.headers_mut());
        if let Some(replaces) = replaces {
            request.headers_mut().push(Name::Require, "replaces");
            request.headers_mut().push(Name::Replaces, replaces);
        }
        let id = self.next_session();
        let client = self.send(request, self.identity.path, Purpose::Invite(id), now);
        let stage = Stage::Calling { client, early: Vec::new(), giving_up: GivingUp::No };
        let mut call = Call::new(id, dialog, stage, true);
        call.gate.exchange = Exchange::Ours;
        self.calls.push(call);
        self.settle(now);
        id
    }

    /// What an INVITE says of us, within a call or at its beginning.
    pub(super) fn introduce(&self, request: &mut Request, offer: Option<&[u8]>) {
        let headers = request.headers_mut();
        headers.push(Name::Contact, self.contact(self.identity.path));
        self.add_abilities(headers);
        match offer {
            Some(offer) => request.set_body("application/sdp", offer),
            None => headers.set(Name::ContentLength, 0),
        }
    }

    /// The request goes out as another one, with a password.
    pub(super) fn replaced(&mut self, old: ClientId, new: ClientId) {
        for call in &mut self.calls {
            if let Stage::Calling { client, .. } = &mut call.stage
                && *client == old
            {
                *client = new;
            }
        }
    }

    pub(super) fn on_invite_response(
        &mut self,
        session: SessionId,
        client: ClientId,
        response: &Response,
        now: Instant,
    ) {
        let status = response.status();
        if status.is_success() {
            self.on_answer(session, client, response, now);
        } else if status.is_final() {
            self.refused(session, status);
        } else {
            self.on_progress(session, client, response, now);
        }
    }

    /// Our call came to nothing.
    pub(super) fn refused(&mut self, session: SessionId, status: StatusCode) {
        self.tell(Event::Refused { session, status });
        self.end(session);
    }

    /// Takes our INVITE back, as soon as that is possible (RFC 3261 section 9.1).
    pub(super) fn cancel(&mut self, session: SessionId, now: Instant) {
        let Some(Call { stage: Stage::Calling { client, giving_up, .. }, .. }) = self.call(session) else {
            return;
        };
        let invite = *client;
        *giving_up = GivingUp::Wanted;
        let Some(client) = self.transactions.cancel(invite, now) else { return };
        self.pending.push(Pending { client, purpose: Purpose::Cancel, is_trusted: false, longer: 0 });
        if let Some(Call { stage: Stage::Calling { giving_up, .. }, .. }) = self.call(session) {
            *giving_up = GivingUp::Cancelled { until: now + T1 * 64 };
        }
    }

    /// Some never end what was cancelled; after 64 * T1 nobody waits for them (RFC 3261 section 9.1).
    pub(super) fn give_up_cancelled(&mut self, now: Instant) {
        let is_due = |call: &Call| match call.stage {
            Stage::Calling { client, giving_up: GivingUp::Cancelled { until }, .. } if until <= now => {
                Some((call.id, client))
            }
            Stage::Calling { .. }
            | Stage::Ringing { .. }
            | Stage::Up { .. }
            | Stage::Leaving
            | Stage::Over => None,
        };
        while let Some((session, client)) = self.calls.iter().find_map(is_due) {
            self.transactions.forget(client);
            self.pending.retain(|pending| pending.client != client);
            self.refused(session, StatusCode::REQUEST_TERMINATED);
        }
    }

    fn on_progress(&mut self, session: SessionId, client: ClientId, response: &Response, now: Instant) {
        let Some(call) = self.call(session) else { return };
        let Stage::Calling { early, giving_up, .. } = &mut call.stage else { return };
        let wants_out = *giving_up == GivingUp::Wanted;
        let status = response.status();
        if let (true, Some(tag)) = (status != StatusCode::TRYING, tag_of(response.to_header().ok())) {
            let known = early.iter().position(|early| early.dialog.remote_tag.as_ref() == Some(&tag));
            let at = known.unwrap_or_else(|| {
                let dialog = call.dialog.established(response);
                early.push(Early { dialog, rseq: None, is_answered: false });
                early.len() - 1
            });
            call.learn(response.headers());
            self.on_early(session, client, at, response, now);
        }
        if wants_out {
            self.cancel(session, now);
        }
    }

    /// A response of early dialog number `at`.
    fn on_early(
        &mut self,
        session: SessionId,
        client: ClientId,
        at: usize,
        response: &Response,
        now: Instant,
    ) {
        let sdp = description(response.headers(), response.body());
        let has_offered = self.has_offered(client);
        let status = response.status();
        let is_reliable = response.lists(Name::Require, "100rel");
        if is_reliable && !self.is_next_reliable(session, at, response) {
            return;
        }
        let Some(Call { stage: Stage::Calling { early, .. }, .. }) = self.call(session) else { return };
        let early = &mut early[at];
        let description = match sdp {
            Some(_) if early.is_answered => None,
            Some(sdp) if !is_reliable => has_offered.then_some(Description::Preview(sdp)),
            Some(sdp) => {
                early.is_answered = true;
                Some(if has_offered { Description::Answer(sdp) } else { Description::Offer(sdp) })
            }
            None => None,
        };
        if is_reliable {
            let owes_answer = matches!(description, Some(Description::Offer(_)));
            self.acknowledge_reliable(session, at, response, owes_answer, now);
        }
        self.tell(Event::Provisional { session, status, description });
    }

    /// The first 2xx.
    fn on_answer(&mut self, session: SessionId, client: ClientId, response: &Response, now: Instant) {
        let has_offered = self.has_offered(client);
        let number = self.number_of(client);
        let Some(call) = self.calls.iter_mut().find(|call| call.id == session) else { return };
        let Stage::Calling { early, giving_up, .. } = &mut call.stage else { return };
        let gave_up = *giving_up != GivingUp::No;
        let tag = tag_of(response.to_header().ok());
        let known =
            early.iter().position(|early| is_same_tag(early.dialog.remote_tag.as_deref(), tag.as_deref()));
        let known = known.map(|at| early.swap_remove(at));
        let is_answered = known.as_ref().is_some_and(|early| early.is_answered);
        call.dialog = match known {
            Some(Early { mut dialog, .. }) => {
                dialog.retarget(response.contact().ok());
                dialog.cseq = dialog.cseq.max(call.dialog.cseq);
                dialog
            }
            None => call.dialog.established(response),
        };
        call.learn(response.headers());
        call.timer.decided(&self.abilities, response, now);
        call.stage = Stage::Up { hangs_up: false };
        let sdp = description(response.headers(), response.body()).filter(|_| !is_answered);
        let description = match (sdp, has_offered) {
            (Some(sdp), true) => Some(Description::Answer(sdp)),
            (Some(sdp), false) => Some(Description::Offer(sdp)),
            (None, _) => None,
        };
        if let (Some(Description::Offer(_)), false) = (&description, gave_up) {
            call.gate.exchange = Exchange::OwesAck { client, number };
        } else {
            call.gate.exchange = Exchange::Free;
            let dialog = call.dialog.clone();
            let refusal = match &description {
                Some(Description::Offer(offer)) => Some(refusing(offer, self.identity.path.local.ip())),
                Some(Description::Answer(_) | Description::Preview(_)) | None => None,
            };
            self.acknowledge(&dialog, client, number, refusal.as_deref());
        }
        if gave_up {
            self.bye(session, now);
        } else {
            self.tell(Event::Answered { session, status: response.status(), description });
        }
    }

    /// A 2xx that is not the first: a copy is acknowledged by a copy, another telephone's is acknowledged and hung up
    /// (RFC 3261 section 13.2.2.4).
    pub(super) fn on_another_answer(&mut self, client: ClientId, response: &Response, now: Instant) {
        let Some(invite) = self.transactions.client(client).filter(|client| client.is_invite()) else {
            return;
        };
        let tag = tag_of(response.to_header().ok());
        if let Some(ack) = self
            .acknowledged
            .iter()
            .find(|ack| ack.client == client && is_same_tag(ack.tag.as_deref(), tag.as_deref()))
        {
            if !self.ways.has(Misbehaviour::AcknowledgesOnce) {
                self.transactions.transmit(ack.path, ack.bytes.clone());
            }
            return;
        }
        // Its owner still thinks about the answer.
        let is_owed = |call: &Call| {
            matches!(call.gate.exchange, Exchange::OwesAck { client: owed, .. } if owed == client)
                && is_same_tag(call.dialog.remote_tag.as_deref(), tag.as_deref())
        };
        let number = invite.request.cseq().map_or(0, |cseq| cseq.number);
        if self.calls.iter().any(is_owed) {
            return;
        }
        let mut dialog = Dialog::of_invite(&invite.request, invite.path).established(response);
        let offer = description(response.headers(), response.body()).filter(|_| !self.has_offered(client));
        let refusal = offer.map(|offer| refusing(&offer, self.identity.path.local.ip()));
        self.acknowledge(&dialog, client, number, refusal.as_deref());
        let bye = dialog.request(Method::Bye);
        self.send(bye, dialog.path(), Purpose::Outside, now);
    }

    /// ACK to a 2xx, with the credentials of its INVITE (RFC 3261 section 13.2.2.4).
    pub(super) fn acknowledge(
        &mut self,
        dialog: &Dialog,
        client: ClientId,
        number: u32,
        answer: Option<&[u8]>,
    ) {
        let mut ack = dialog.ack(number);
        if let Some(invite) = self.transactions.client(client) {
            for name in [Name::Authorization, Name::ProxyAuthorization] {
                for credentials in invite.request.headers().all(name) {
                    ack.headers_mut().push(name, credentials);
                }
            }
        }
        if let Some(answer) = answer {
            ack.set_body("application/sdp", answer);
        }
        let path = dialog.path();
        let bytes = self.transactions.acknowledge(ack, path);
        self.acknowledged.push(Acknowledged { client, tag: dialog.remote_tag.clone(), path, bytes });
    }

    /// The number of what we have asked.
    fn number_of(&self, client: ClientId) -> u32 {
        let cseq = self.transactions.client(client).and_then(|client| client.request.cseq().ok());
        cseq.map_or(0, |cseq| cseq.number)
    }

    fn has_offered(&self, client: ClientId) -> bool {
        self.transactions.client(client).is_some_and(|client| !client.request.body().is_empty())
    }
}

/// What is said to an offer that came in a 2xx and that nobody wants any more: an answer without a stream, as there has to be
/// one (RFC 3261 section 13.2.2.4, RFC 3264 section 6).
fn refusing(offer: &[u8], host: IpAddr) -> Vec<u8> {
    let mut answer = format!("v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n");
    for stream in String::from_utf8_lossy(offer).lines().filter_map(|line| line.strip_prefix("m=")) {
        let mut words = stream.split_whitespace();
        if let (Some(kind), Some(_)) = (words.next(), words.next()) {
            let rest: Vec<&str> = words.collect();
            answer.push_str(&format!("m={kind} 0 {}\r\n", rest.join(" ")));
        }
    }
    answer.into_bytes()
}
