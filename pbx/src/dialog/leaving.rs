//! A session that is over for everybody above and still has something to say: BYE, the ACK that BYE waits for, a CANCEL and
//! the 2xx that may cross it (RFC 3261 sections 9.1 and 15, RFC 5407).

use super::dialog::Branches;
use super::established::Accepted;
use super::offer::Gate;
use super::peer::Peer;
use super::shared::{Cx, Outcome, Purpose};
use super::stage::Stage;
use crate::buggify::buggify;
use crate::sip::{Method, Name, Request, Response, StatusCode};
use crate::time::Instant;
use crate::transaction::{ClientId, ServerId};

/// A BYE of ours.
#[derive(Debug)]
struct Bye {
    client: ClientId,
    reason: Option<String>,
    /// Whether it goes out again, by another connection, where the one it takes breaks.
    may_go_again: bool,
}

/// A dialog that ends.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) peer: Peer,
    /// Our 2xx and the Reason of the BYE that waits for its ACK.
    unacknowledged: Option<(Box<Accepted>, Option<String>)>,
    bye: Option<Bye>,
    /// A re-INVITE that has no final response yet. The other side refuses it (487) when it hears BYE; should that be lost, or
    /// a 2xx that crossed BYE, CANCEL makes an end of it.
    reinvite: Option<ClientId>,
}

impl Leaving {
    /// BYE goes when the ACK to our 2xx has come, or 64*T1 are over.
    pub(super) fn after_ack(peer: Peer, accepted: Box<Accepted>, reason: Option<String>) -> Leaving {
        Leaving { peer, unacknowledged: Some((accepted, reason)), bye: None, reinvite: None }
    }

    /// BYE goes now, unless nobody is there to hear it.
    pub(super) fn now(
        peer: Peer,
        reinvite: Option<ClientId>,
        say_bye: bool,
        reason: Option<String>,
        cx: &mut Cx<'_>,
    ) -> Stage {
        let mut leaving = Leaving { peer, unacknowledged: None, bye: None, reinvite };
        if say_bye {
            leaving.say_bye(reason, true, cx);
        } else {
            leaving.cancel_reinvite(cx);
        }
        Box::new(leaving).rest()
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.unacknowledged.as_ref().map(|(accepted, _)| accepted.deadline())
    }

    /// The earliest deadline has come.
    pub(super) fn handle_timeout(mut self: Box<Self>, cx: &mut Cx<'_>) -> Stage {
        if let Some((accepted, _)) = &mut self.unacknowledged
            && accepted.handle_timeout(cx)
        {
            self.bye_at_last(cx);
        }
        self.rest()
    }

    /// The ACK that BYE waits for.
    pub(super) fn on_ack(mut self: Box<Self>, ack: &Request, cx: &mut Cx<'_>) -> Stage {
        if self.unacknowledged.as_ref().is_some_and(|(accepted, _)| accepted.is_acknowledged_by(ack)) {
            self.bye_at_last(cx);
        }
        self.rest()
    }

    /// Requests find no dialog any more, but BYEs that cross end both (RFC 5407 section 3.2.1).
    pub(super) fn on_request(
        mut self: Box<Self>,
        server: ServerId,
        request: &Request,
        cx: &mut Cx<'_>,
    ) -> Stage {
        if *request.method() == Method::Bye && buggify!("a second BYE gets no answer") {
            return self.rest();
        }
        if *request.method() == Method::Bye {
            self.unacknowledged = None;
            cx.refuse(server, request, StatusCode::OK);
        } else {
            cx.refuse(server, request, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        }
        if *request.method() == Method::Invite {
            // Whoever wants to change the session has our 2xx, though its ACK was lost.
            self.bye_at_last(cx);
        }
        self.rest()
    }

    /// A request of ours has ended; a 2xx to a re-INVITE is acknowledged even now.
    pub(super) fn on_outcome(
        mut self: Box<Self>,
        client: ClientId,
        purpose: Purpose,
        outcome: &Outcome,
        cx: &mut Cx<'_>,
    ) -> Stage {
        match outcome {
            Ok(response) if purpose == Purpose::Reinvite && response.status().is_success() => {
                let cseq = response.cseq().map_or(0, |cseq| cseq.number);
                cx.ua.acknowledge(client, &self.peer.dialog, cseq, None);
            }
            Ok(_) | Err(_) => {}
        }
        if self.reinvite == Some(client) {
            self.reinvite = None;
        }
        if let Some(bye) = self.bye.take_if(|bye| bye.client == client) {
            // Whoever has changed its network would go on talking to nobody.
            match outcome {
                Err(StatusCode::SERVICE_UNAVAILABLE) if bye.may_go_again => {
                    self.say_bye(bye.reason, false, cx)
                }
                Ok(_) | Err(_) => self.cancel_reinvite(cx),
            }
        }
        self.rest()
    }

    /// The request went out again under another id.
    pub(super) fn renamed(&mut self, old: ClientId, new: ClientId) {
        let bye = self.bye.as_mut().map(|bye| &mut bye.client);
        for client in bye.into_iter().chain(&mut self.reinvite).filter(|client| **client == old) {
            *client = new;
        }
    }

    fn bye_at_last(&mut self, cx: &mut Cx<'_>) {
        if let Some((_, reason)) = self.unacknowledged.take() {
            self.say_bye(reason, true, cx);
        }
    }

    fn say_bye(&mut self, reason: Option<String>, may_go_again: bool, cx: &mut Cx<'_>) {
        let mut bye = self.peer.dialog.request(Method::Bye);
        if let Some(reason) = &reason {
            bye.headers_mut().push(Name::Reason, reason);
        }
        let may_go_again = may_go_again && self.peer.dialog.goes_over_stream();
        let client = cx.send(&self.peer.dialog, bye, Purpose::Bye);
        self.bye = Some(Bye { client, reason, may_go_again });
    }

    fn cancel_reinvite(&mut self, cx: &mut Cx<'_>) {
        if let Some(reinvite) = self.reinvite {
            cx.ua.transactions.cancel(reinvite, &[], cx.now);
        }
    }

    fn rest(self: Box<Self>) -> Stage {
        let is_over = self.unacknowledged.is_none() && self.bye.is_none() && self.reinvite.is_none();
        if is_over { Stage::Over } else { Stage::Leaving(self) }
    }
}

/// An INVITE of ours that nobody wants answered any more: it is cancelled as soon as it may be.
#[derive(Debug)]
pub(super) struct Cancelling {
    client: ClientId,
    branches: Branches,
    reason: Option<String>,
}

impl Cancelling {
    /// Cancels; the transaction waits for a provisional response by itself.
    pub(super) fn new(
        client: ClientId,
        branches: Branches,
        reason: Option<String>,
        cx: &mut Cx<'_>,
    ) -> Cancelling {
        let headers: Vec<(String, String)> =
            reason.iter().map(|reason| ("Reason".to_owned(), reason.clone())).collect();
        cx.ua.transactions.cancel(client, &headers, cx.now);
        Cancelling { client, branches, reason }
    }

    /// The INVITE has ended: by a 2xx that crossed the CANCEL, which is acknowledged and followed by BYE, or as it should.
    pub(super) fn on_outcome(self: Box<Self>, client: ClientId, outcome: &Outcome, cx: &mut Cx<'_>) -> Stage {
        if client != self.client {
            return Stage::Cancelling(self);
        }
        match outcome {
            Ok(response) if response.status().is_provisional() => Stage::Cancelling(self),
            Ok(response) if response.status().is_success() => self.on_success(response, cx),
            Ok(_) | Err(_) => Stage::Over,
        }
    }

    fn on_success(self: Box<Self>, response: &Response, cx: &mut Cx<'_>) -> Stage {
        let Cancelling { client, branches, reason } = *self;
        let dialog = branches.dialog(response);
        let cseq = branches.origin.cseq;
        cx.ua.acks.expect_branches(client, branches);
        let Some(dialog) = dialog else { return Stage::Over };
        cx.ua.acknowledge(client, &dialog, cseq, None);
        let peer = Peer::new(dialog, Gate::of_sent(None), response.headers(), cx);
        let says_bye = !buggify!("a 200 that crosses CANCEL leaves the call up");
        Leaving::now(peer, None, says_bye, reason, cx)
    }
}
