//! A call as the agent knows it: how far it is, and what is open in it.

use super::again::Again;
use super::dialog::Dialog;
use super::offers::Gate;
use super::reliable::Provisionals;
use super::timer::SessionTimer;
use super::transactions::{ClientId, ServerId};
use super::transfer::Referral;
use super::{Agent, SessionId};
use pbx::sip::{Headers, Name, Path, Request};
use pbx::time::Instant;

/// A call, with one dialog once it is answered.
pub(super) struct Call {
    pub(super) id: SessionId,
    pub(super) dialog: Dialog,
    pub(super) stage: Stage,
    /// Whether we have called; then the Call-ID is ours.
    pub(super) is_ours: bool,
    pub(super) gate: Gate,
    pub(super) timer: SessionTimer,
    /// Whether the other side takes UPDATE.
    pub(super) takes_update: bool,
    /// Somebody has asked us here to call somebody else.
    pub(super) referral: Option<Referral>,
}

/// How far it is.
pub(super) enum Stage {
    /// We have called.
    Calling { client: ClientId, early: Vec<Early>, giving_up: GivingUp },
    /// It rings here.
    Ringing { server: ServerId, provisionals: Provisionals },
    /// It is answered. `hangs_up`: as soon as our 2xx is acknowledged (RFC 3261 section 15).
    Up { hangs_up: bool },
    /// BYE is out.
    Leaving,
    /// There is nothing left to do.
    Over,
}

/// Whether we still want what we called for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum GivingUp {
    No,
    /// As soon as somebody works on it, it is cancelled.
    Wanted,
    /// CANCEL is out; if nothing comes of it the INVITE is given up too (RFC 3261 section 9.1).
    Cancelled {
        until: Instant,
    },
}

/// One of several dialogs that an INVITE may have made and none of which is answered.
#[derive(Clone)]
pub(super) struct Early {
    pub(super) dialog: Dialog,
    /// The number of the last response that had to be acknowledged.
    pub(super) rseq: Option<u32>,
    /// Whether its answer came, in a response that cannot get lost.
    pub(super) is_answered: bool,
}

/// A 2xx that we have acknowledged.
pub(super) struct Acknowledged {
    pub(super) client: ClientId,
    pub(super) tag: Option<String>,
    pub(super) path: Path,
    pub(super) bytes: Vec<u8>,
}

/// A 2xx of ours that is sent until its ACK comes, over any transport (RFC 3261 section 13.3.1.4).
pub(super) struct Accepted {
    pub(super) session: SessionId,
    /// The INVITE's.
    pub(super) number: u32,
    pub(super) path: Path,
    pub(super) bytes: Vec<u8>,
    pub(super) again: Again,
    pub(super) until: Instant,
    /// Whether its ACK brings the answer.
    pub(super) has_offer: bool,
}

impl Accepted {
    pub(super) fn poll_timeout(&self) -> Instant {
        self.again.at.min(self.until)
    }
}

impl Call {
    pub(super) fn new(id: SessionId, dialog: Dialog, stage: Stage, is_ours: bool) -> Call {
        Call {
            id,
            dialog,
            stage,
            is_ours,
            gate: Gate::default(),
            timer: SessionTimer::default(),
            takes_update: false,
            referral: None,
        }
    }

    /// The dialog that it is now: while we wait for an answer, the last one that was heard of.
    pub(super) fn latest_dialog(&self) -> Option<&Dialog> {
        match &self.stage {
            Stage::Calling { early, .. } => early.last().map(|early| &early.dialog),
            Stage::Ringing { .. } | Stage::Up { .. } => Some(&self.dialog),
            Stage::Leaving | Stage::Over => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up { .. })
    }

    /// What the other side says it can.
    pub(super) fn learn(&mut self, headers: &Headers) {
        if headers.has(Name::Allow) {
            self.takes_update = headers.list(Name::Allow).any(|method| method == "UPDATE");
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Calling { giving_up: GivingUp::Cancelled { until }, .. } => Some(*until),
            Stage::Ringing { provisionals, .. } => provisionals.poll_timeout(),
            Stage::Calling { .. } | Stage::Up { .. } | Stage::Leaving | Stage::Over => None,
        };
        // Who is about to hang up and waits for the ACK with it changes nothing any more.
        let changes = matches!(self.stage, Stage::Up { hangs_up: false });
        let gate = self.gate.poll_timeout().filter(|_| changes);
        let timer = self.timer.poll_timeout().filter(|_| self.is_up());
        gate.into_iter().chain(timer).chain(stage).min()
    }
}

impl Agent {
    /// The call is gone, without another word.
    pub(super) fn end(&mut self, session: SessionId) {
        if let Some(call) = self.call(session) {
            call.stage = Stage::Over;
        }
        self.accepted.retain(|accepted| accepted.session != session);
    }
}

/// Whether a request carries what we do not look into, and what it is not said that we need not (RFC 3261 section 8.2.3).
pub(super) fn is_foreign(request: &Request) -> bool {
    let headers = request.headers();
    let may_be_left =
        headers.get(Name::ContentDisposition).is_some_and(|it| it.contains("handling=optional"));
    !request.body().is_empty() && description(headers, request.body()).is_none() && !may_be_left
}

/// The description that a message carries.
pub(super) fn description(headers: &Headers, body: &[u8]) -> Option<Vec<u8>> {
    let is_one =
        headers.get(Name::ContentType).is_some_and(|kind| kind.trim().starts_with("application/sdp"));
    (is_one && !body.is_empty()).then(|| body.to_vec())
}
