//! Where a session stands, and what a request within its dialog means there (RFC 3261 section 12.2.2).

use super::dialog::Dialog;
use super::established::Established;
use super::inspect;
use super::leaving::{Cancelling, Leaving};
use super::peer::Peer;
use super::shared::Cx;
use super::uac::Calling;
use super::uas::Ringing;
use crate::sip::{Name, Path, Request, StatusCode};
use crate::transaction::ServerId;

/// Where a session stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// We call.
    Calling(Box<Calling>),
    /// We are called.
    Ringing(Box<Ringing>),
    /// It is answered.
    Established(Box<Established>),
    /// Our INVITE is cancelled.
    Cancelling(Box<Cancelling>),
    /// It ends by BYE.
    Leaving(Box<Leaving>),
    /// Nothing is left.
    Over,
}

impl Stage {
    /// Whether nobody above has anything to do with it any more.
    pub(super) fn is_leaving(&self) -> bool {
        match self {
            Stage::Calling(_) | Stage::Ringing(_) | Stage::Established(_) => false,
            Stage::Cancelling(_) | Stage::Leaving(_) | Stage::Over => true,
        }
    }

    /// The other end that a request comes from.
    pub(super) fn peer_mut(&mut self, request: &Request) -> Option<&mut Peer> {
        let peer = match self {
            Stage::Calling(calling) => return calling.peer_mut(request),
            Stage::Ringing(ringing) => &mut ringing.peer,
            Stage::Established(established) => &mut established.peer,
            Stage::Leaving(leaving) => &mut leaving.peer,
            Stage::Cancelling(_) | Stage::Over => return None,
        };
        peer.dialog.matches(request).then_some(peer)
    }

    /// The other end that requests of ours go to.
    pub(super) fn speaking_peer(&mut self) -> Option<&mut Peer> {
        match self {
            Stage::Calling(calling) => calling.last_peer(),
            Stage::Ringing(ringing) => Some(&mut ringing.peer),
            Stage::Established(established) => Some(&mut established.peer),
            Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over => None,
        }
    }

    /// The dialog whose requests may be challenged.
    pub(super) fn dialog(&mut self) -> Option<&mut Dialog> {
        match self {
            Stage::Established(established) => Some(&mut established.peer.dialog),
            Stage::Leaving(leaving) => Some(&mut leaving.peer.dialog),
            Stage::Calling(_) | Stage::Ringing(_) | Stage::Cancelling(_) | Stage::Over => None,
        }
    }

    /// Whether a request belongs here, is in order and can be taken at all; if not, it has been answered.
    pub(super) fn admits(
        &mut self,
        server: ServerId,
        request: &Request,
        path: Path,
        cx: &mut Cx<'_>,
    ) -> bool {
        let Some(peer) = self.peer_mut(request) else {
            cx.refuse(server, request, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            return false;
        };
        if peer.dialog.count(request).is_err() {
            // RFC 3261 section 12.2.2. No Retry-After: it would come out of order again.
            let response = cx.response(request, StatusCode::SERVER_INTERNAL_ERROR);
            cx.respond(server, response);
            return false;
        }
        peer.dialog.follow(path);
        peer.note(request.headers());
        if let Err(refusal) = inspect::within(request) {
            let response = refusal.response(request, cx.tag, &cx.ua.settings.user_agent);
            cx.respond(server, response);
            return false;
        }
        true
    }

    pub(super) fn on_invite(self, server: ServerId, request: Request, cx: &mut Cx<'_>) -> Stage {
        match self {
            Stage::Established(established) => established.on_invite(server, request, cx),
            // Our INVITE is not answered yet, and theirs neither (RFC 3261 section 14.2).
            stage @ Stage::Calling(_) => {
                cx.refuse(server, &request, StatusCode::REQUEST_PENDING);
                stage
            }
            stage @ Stage::Ringing(_) => {
                cx.refuse(server, &request, StatusCode::SERVER_INTERNAL_ERROR);
                stage
            }
            stage @ (Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over) => {
                stage.on_farewell(server, request, cx)
            }
        }
    }

    pub(super) fn on_update(mut self, server: ServerId, request: Request, cx: &mut Cx<'_>) -> Stage {
        if self.is_leaving() {
            return self.on_farewell(server, request, cx);
        }
        if let Some(peer) = self.peer_mut(&request) {
            peer.on_update(server, request, cx);
        }
        self
    }

    pub(super) fn on_prack(self, server: ServerId, request: Request, cx: &mut Cx<'_>) -> Stage {
        match self {
            Stage::Ringing(ringing) => ringing.on_prack(server, request, cx),
            Stage::Established(mut established) => {
                established.on_prack(server, &request, cx);
                Stage::Established(established)
            }
            stage @ (Stage::Calling(_) | Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over) => {
                stage.on_farewell(server, request, cx)
            }
        }
    }

    pub(super) fn on_bye(self, server: ServerId, request: Request, cx: &mut Cx<'_>) -> Stage {
        let reason = request.headers().get(Name::Reason).map(str::to_owned);
        match self {
            Stage::Ringing(ringing) => {
                cx.refuse(server, &request, StatusCode::OK);
                ringing.on_bye(reason, cx)
            }
            Stage::Established(established) => {
                cx.refuse(server, &request, StatusCode::OK);
                established.on_bye(reason, cx)
            }
            // A callee may not end an early dialog by BYE (RFC 3261 section 15).
            stage @ (Stage::Calling(_) | Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over) => {
                stage.on_farewell(server, request, cx)
            }
        }
    }

    /// A request that comes when there is nothing for it any more, or not yet.
    pub(super) fn on_farewell(self, server: ServerId, request: Request, cx: &mut Cx<'_>) -> Stage {
        match self {
            Stage::Leaving(leaving) => leaving.on_request(server, &request, cx),
            stage @ (Stage::Calling(_)
            | Stage::Ringing(_)
            | Stage::Established(_)
            | Stage::Cancelling(_)
            | Stage::Over) => {
                cx.refuse(server, &request, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                stage
            }
        }
    }
}
