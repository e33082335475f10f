//! The offer/answer gate of one dialog (RFC 3264 section 4, RFC 6337): whose turn it is, and where an answer is owed.
//!
//! One offer at a time, in whichever direction and message. The gate keeps the two descriptions in force, so that a refused
//! offer leaves everything as it was, and a refresh can repeat ours. It does not look into them.

use crate::sip::{Method, Request};
use crate::time::Instant;
use crate::transaction::{ClientId, ServerId};

/// The gate: what is in force, and what is under way.
#[derive(Debug)]
pub(super) struct Gate {
    turn: Turn,
    local: Option<Vec<u8>>,
    remote: Option<Vec<u8>>,
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) enum Turn {
    /// Nothing is under way: either side may offer.
    Settled,
    /// Our INVITE has no description: the other side is to offer in its first reliable response.
    Asking,
    /// Our offer is out.
    Offered(Vec<u8>),
    /// The next word is ours.
    Owed {
        /// Where it goes.
        to: Owed,
        /// What is to be answered; `None`: we are asked to make the offer.
        offer: Option<Vec<u8>>,
    },
}

/// The message that carries what we owe.
#[derive(Debug)]
pub(super) enum Owed {
    /// The first reliable response to the INVITE that made the dialog.
    Invite,
    /// The 2xx to a re-INVITE, UPDATE or PRACK.
    Response {
        /// To answer it.
        server: ServerId,
        /// The request.
        request: Box<Request>,
    },
    /// The PRACK to a reliable provisional response.
    Prack {
        /// The value of RAck.
        rack: String,
    },
    /// The ACK to a 2xx.
    Ack {
        /// The INVITE.
        client: ClientId,
        /// Its CSeq.
        cseq: u32,
    },
}

/// Why an offer of the other side cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// Ours is out: 491.
    Glare,
    /// The last one is not answered yet: 500 with Retry-After.
    Unanswered,
}

/// An offer of ours that waits for its turn, or is made again after a 491. There is at most one.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The offer; `None`: the other side is to make one.
    pub(super) description: Option<Vec<u8>>,
    /// Not before this.
    pub(super) not_before: Option<Instant>,
    /// How often it was made.
    pub(super) attempts: u8,
}

impl Gate {
    /// The gate of an INVITE we send.
    pub(super) fn of_sent(offer: Option<Vec<u8>>) -> Gate {
        let turn = offer.map_or(Turn::Asking, Turn::Offered);
        Gate { turn, local: None, remote: None }
    }

    /// The gate of an INVITE we received.
    pub(super) fn of_received(offer: Option<Vec<u8>>) -> Gate {
        Gate { turn: Turn::Owed { to: Owed::Invite, offer }, local: None, remote: None }
    }

    /// Whose turn it is.
    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Whether we may offer.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.turn, Turn::Settled)
    }

    /// Our description in force.
    pub(super) fn local(&self) -> Option<&[u8]> {
        self.local.as_deref()
    }

    /// The other side's description in force.
    pub(super) fn remote(&self) -> Option<&[u8]> {
        self.remote.as_deref()
    }

    /// Whether an offer of the other side may be taken (RFC 3311 section 5.2, RFC 6337 section 4).
    pub(super) fn admits(&self) -> Result<(), Conflict> {
        match self.turn {
            Turn::Settled => Ok(()),
            Turn::Asking | Turn::Offered(_) => Err(Conflict::Glare),
            Turn::Owed { .. } => Err(Conflict::Unanswered),
        }
    }

    /// We send an offer, or with `None` an INVITE that asks for one.
    pub(super) fn send(&mut self, offer: Option<Vec<u8>>) {
        self.turn = offer.map_or(Turn::Asking, Turn::Offered);
    }

    /// The other side has offered, or with `None` asked for an offer.
    pub(super) fn owe(&mut self, to: Owed, offer: Option<Vec<u8>>) {
        self.turn = Turn::Owed { to, offer };
    }

    /// Our offer is answered.
    pub(super) fn answered(&mut self, answer: Vec<u8>) {
        if let Turn::Offered(offer) = std::mem::replace(&mut self.turn, Turn::Settled) {
            self.local = Some(offer);
            self.remote = Some(answer);
        }
    }

    /// We give what we owe: the answer, or the offer we are asked for, whose answer is then awaited. Returns the message
    /// that carries it; `None` when nothing is owed.
    pub(super) fn give(&mut self, description: Vec<u8>) -> Option<Owed> {
        match std::mem::replace(&mut self.turn, Turn::Settled) {
            Turn::Owed { to, offer: Some(offer) } => {
                self.local = Some(description);
                self.remote = Some(offer);
                Some(to)
            }
            Turn::Owed { to, offer: None } => {
                self.turn = Turn::Offered(description);
                Some(to)
            }
            other => {
                self.turn = other;
                None
            }
        }
    }

    /// What was under way came to nothing: what was in force stays in force (RFC 3261 section 14.1). Returns our offer.
    pub(super) fn withdraw(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.turn, Turn::Settled) {
            Turn::Offered(offer) => Some(offer),
            Turn::Settled | Turn::Asking | Turn::Owed { .. } => None,
        }
    }

    /// The re-INVITE that waits for our decision.
    pub(super) fn open_invite(&self) -> Option<ServerId> {
        match &self.turn {
            Turn::Owed { to: Owed::Response { server, request }, .. }
                if *request.method() == Method::Invite =>
            {
                Some(*server)
            }
            Turn::Owed { .. } | Turn::Settled | Turn::Asking | Turn::Offered(_) => None,
        }
    }

    /// The request whose 2xx owes a description: it is to be refused, and what was in force stays in force.
    pub(super) fn refuse(&mut self) -> Option<(ServerId, Box<Request>)> {
        match std::mem::replace(&mut self.turn, Turn::Settled) {
            Turn::Owed { to: Owed::Response { server, request }, .. } => Some((server, request)),
            other => {
                self.turn = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_offer_leaves_what_was_agreed() {
        let mut gate = Gate::of_sent(Some(b"a".to_vec()));
        assert_eq!(gate.admits(), Err(Conflict::Glare));
        gate.answered(b"b".to_vec());
        gate.send(Some(b"c".to_vec()));
        gate.withdraw();
        assert_eq!((gate.local(), gate.remote()), (Some(&b"a"[..]), Some(&b"b"[..])));
        assert_eq!(gate.admits(), Ok(()));
    }

    #[test]
    fn who_is_asked_for_an_offer_waits_for_its_answer() {
        let mut gate = Gate::of_received(None);
        assert_eq!(gate.admits(), Err(Conflict::Unanswered));
        gate.give(b"offer".to_vec());
        assert_eq!(gate.admits(), Err(Conflict::Glare));
        gate.answered(b"answer".to_vec());
        assert_eq!((gate.local(), gate.remote()), (Some(&b"offer"[..]), Some(&b"answer"[..])));
    }
}
