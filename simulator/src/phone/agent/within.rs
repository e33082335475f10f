//! Everything else within a dialog, and its end (RFC 3261 sections 12.2 and 15).

use super::call::{Call, Early, Stage};
use super::dialog::Dialog;
use super::transactions::ServerId;
use super::{Agent, Event, Misbehaviour, Pending, Purpose, Said, SessionId};
use pbx::sip::{Method, Request, StatusCode};
use pbx::time::Instant;

impl Agent {
    /// Ends a call whatever its state: gives up, refuses, hangs up.
    pub(in crate::phone) fn hang_up(&mut self, session: SessionId, now: Instant) {
        let is_early_leaver = self.ways.has(Misbehaviour::HangsUpEarly);
        let Some(call) = self.call(session) else { return };
        match &mut call.stage {
            Stage::Calling { .. } => self.cancel(session, now),
            Stage::Ringing { .. } if is_early_leaver => self.bye(session, now),
            Stage::Ringing { .. } => self.reject(session, StatusCode::DECLINE, now),
            // Who was called waits for the ACK before saying BYE (section 15).
            Stage::Up { hangs_up } => {
                *hangs_up = true;
                if !self.accepted.iter().any(|accepted| accepted.session == session) {
                    self.bye(session, now);
                }
            }
            Stage::Leaving | Stage::Over => {}
        }
        self.settle(now);
    }

    /// Sends INFO, MESSAGE, OPTIONS, NOTIFY within a call.
    pub(in crate::phone) fn send_within(
        &mut self,
        session: SessionId,
        method: Method,
        header: Option<(&str, &str)>,
        body: Option<(&str, &[u8])>,
        now: Instant,
    ) {
        let said = Said {
            session,
            method,
            header: header.map(|(name, value)| (name.to_owned(), value.to_owned())),
            body: body.map(|(kind, body)| (kind.to_owned(), body.to_vec())),
        };
        // One after the other: what is overtaken is refused (RFC 3261 section 12.2.2).
        let is_out = |pending: &Pending| pending.purpose == Purpose::Within(session);
        let is_ordered = matches!(said.method, Method::Info | Method::Message);
        if is_ordered && self.pending.iter().any(is_out) {
            self.said.push_back(said);
        } else {
            self.say(said, now);
        }
        self.settle(now);
    }

    /// What waited for the one before it, which has ended, goes out, if there is anybody to hear it.
    pub(super) fn say_next(&mut self, session: SessionId, told: StatusCode, now: Instant) {
        let is_next = |said: &Said| said.session == session;
        let next = self.said.iter().position(is_next).and_then(|at| self.said.remove(at));
        let goes_on =
            self.call(session).is_some_and(|call| matches!(call.stage, Stage::Up { hangs_up: false }));
        if let Some(next) = next.filter(|_| goes_on && !is_gone(told)) {
            self.say(next, now);
        }
    }

    fn say(&mut self, said: Said, now: Instant) {
        let Said { session, method, header, body } = said;
        let Some(call) = self.call(session).filter(|call| call.is_up()) else { return };
        let mut request = call.dialog.request(method);
        let path = call.dialog.path();
        if let Some((name, value)) = header {
            request.headers_mut().push_named(&name, &value);
        }
        if let Some((kind, body)) = body {
            request.set_body(&kind, &body);
        }
        self.send(request, path, Purpose::Within(session), now);
    }

    /// BYE goes out.
    pub(super) fn bye(&mut self, session: SessionId, now: Instant) {
        let Some(call) = self.call(session) else { return };
        // Nobody who is still asked says BYE, except one that misbehaves; what was asked has no other answer then.
        if let Stage::Ringing { server, .. } = std::mem::replace(&mut call.stage, Stage::Leaving) {
            self.transactions.ignore(server);
        }
        let Some(call) = self.call(session) else { return };
        // What the other side has asked meanwhile ends with the call (RFC 3261 section 15.1.2).
        let open = match &call.gate.exchange {
            super::offers::Exchange::Theirs { server } => Some(*server),
            _ => None,
        };
        if let Some(open) = open {
            self.respond(open, StatusCode::REQUEST_TERMINATED, now);
        }
        let Some(call) = self.call(session) else { return };
        let bye = call.dialog.request(Method::Bye);
        let path = call.dialog.path();
        self.send(bye, path, Purpose::Bye(session), now);
    }

    /// Nobody is there any more: the dialog ends here, and with BYE for whom may hear it.
    pub(super) fn is_lost(&mut self, session: SessionId, now: Instant) {
        let waits = self.accepted.iter().any(|accepted| accepted.session == session && accepted.until > now);
        let Some(call) = self.call(session).filter(|call| call.is_up()) else { return };
        // Nor does anybody wait to hear of a transfer (RFC 6665 section 4.2.2).
        call.referral = None;
        // Who was called waits for the ACK before it says BYE, or for as long as its 2xx is repeated (section 15).
        if waits {
            call.stage = Stage::Up { hangs_up: true };
            self.tell(Event::Ended { session });
        } else {
            self.accepted.retain(|accepted| accepted.session != session);
            self.tell(Event::Ended { session });
            self.bye(session, now);
        }
    }

    /// 408 or 481 to anything within a dialog ends it (section 12.2.1.2).
    pub(super) fn is_still_there(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        if is_gone(status) {
            self.is_lost(session, now);
        }
    }

    /// A request within a dialog.
    pub(super) fn on_request_within(&mut self, server: ServerId, request: &Request, now: Instant) {
        if *request.method() == Method::Notify && self.on_news(server, request, now) {
            return;
        }
        let Some(call) = self.calls.iter_mut().find(|call| call.has(request)) else {
            return self.respond(server, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, now);
        };
        let session = call.id;
        let number = request.cseq().ok().map(|cseq| cseq.number);
        let dialog = call.dialog_of(request);
        // What comes late has been overtaken (section 12.2.2).
        if number < dialog.remote_cseq {
            return self.respond(server, StatusCode::SERVER_INTERNAL_ERROR, now);
        }
        dialog.remote_cseq = number;
        let is_leaving = matches!(call.stage, Stage::Leaving);
        match request.method() {
            Method::Bye => self.on_bye(session, server, now),
            _ if is_leaving => self.respond(server, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, now),
            Method::Invite | Method::Update => self.take_change(session, server, request, now),
            Method::Prack => self.on_prack(session, server, request, now),
            Method::Info => {
                let body = String::from_utf8_lossy(request.body());
                let key = body.lines().find_map(|line| line.strip_prefix("Signal=")?.chars().next());
                key.into_iter().for_each(|key| self.tell(Event::Key(key)));
                self.respond(server, StatusCode::OK, now);
            }
            Method::Message => {
                self.tell(Event::Text(request.body().to_vec()));
                self.respond(server, StatusCode::OK, now);
            }
            Method::Options => self.on_options(server, now),
            Method::Refer => self.on_refer(session, server, request, now),
            Method::Notify => self.on_notify(session, server, request, now),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Publish
            | Method::Other(_) => self.disallow(server, now),
        }
    }

    fn on_bye(&mut self, session: SessionId, server: ServerId, now: Instant) {
        self.respond(server, StatusCode::OK, now);
        let Some(call) = self.call(session) else { return };
        // What else of theirs is open ends with it (section 15.1.2).
        let open = match (&call.stage, &call.gate.exchange) {
            (Stage::Ringing { server, .. }, _) => Some(*server),
            (_, super::offers::Exchange::Theirs { server }) => Some(*server),
            _ => None,
        };
        let was_up = !matches!(call.stage, Stage::Leaving);
        if let Some(open) = open {
            self.respond(open, StatusCode::REQUEST_TERMINATED, now);
        }
        if was_up {
            self.tell(Event::Ended { session });
            self.end(session);
        }
    }
}

impl Call {
    /// The dialog of a request that belongs to it: before the answer there may be several.
    fn dialog_of(&mut self, request: &Request) -> &mut Dialog {
        match &mut self.stage {
            Stage::Calling { early, .. } => {
                let known = early.iter_mut().find(|early| early.dialog.has(request));
                known.map_or(&mut self.dialog, |early| &mut early.dialog)
            }
            _ => &mut self.dialog,
        }
    }

    /// Whether a request of the other side belongs to it.
    pub(super) fn has(&self, request: &Request) -> bool {
        let is_early = |early: &Early| early.dialog.has(request);
        match &self.stage {
            Stage::Calling { early, .. } => early.iter().any(is_early),
            Stage::Ringing { .. } | Stage::Up { .. } | Stage::Leaving => self.dialog.has(request),
            Stage::Over => false,
        }
    }
}

/// Whether who says so knows nothing of the call (RFC 3261 section 12.2.1.2).
fn is_gone(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST)
}
