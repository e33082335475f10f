//! The seal of one stream (RFC 3711): what goes out is sealed with our key, what comes in is opened with the other side's.

use crate::sdp::Protection;
use crate::srtp::{Receiver, Sender};

/// What a stream seals with, and opens with; nothing where it was agreed to go in the clear.
#[derive(Debug, Default)]
pub(super) struct Seal(Option<Box<Sealed>>);

#[derive(Debug)]
struct Sealed {
    agreed: Protection,
    sender: Sender,
    receiver: Receiver,
}

impl Seal {
    /// This was agreed. A key that stays has its counts go on: no number is sealed twice with it (section 9.1).
    pub(super) fn agree(&mut self, agreed: Option<&Protection>) {
        let Some(agreed) = agreed else { return self.0 = None };
        let (suite, before) = (agreed.suite, self.0.take());
        let before = before.filter(|before| before.agreed.suite == suite);
        let (sender, receiver) = match before.map(|before| *before) {
            Some(before) => (
                (before.agreed.ours == agreed.ours).then_some(before.sender),
                (before.agreed.theirs == agreed.theirs).then_some(before.receiver),
            ),
            None => (None, None),
        };
        let sender = sender.unwrap_or_else(|| Sender::new(suite, &agreed.ours));
        let receiver = receiver.unwrap_or_else(|| Receiver::new(suite, &agreed.theirs));
        self.0 = Some(Box::new(Sealed { agreed: agreed.clone(), sender, receiver }));
    }

    /// Whether packets are sealed.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// How much of an RTP packet is left when it is opened in place; `None` for one that is not to be taken.
    pub(super) fn open(&mut self, packet: &mut [u8]) -> Option<usize> {
        match &mut self.0 {
            Some(sealed) => sealed.receiver.open(packet).ok(),
            None => Some(packet.len()),
        }
    }

    /// The same for RTCP.
    pub(super) fn open_report(&mut self, packet: &mut [u8]) -> Option<usize> {
        match &mut self.0 {
            Some(sealed) => sealed.receiver.open_report(packet).ok(),
            None => Some(packet.len()),
        }
    }

    /// Seals the RTP packet that begins at `start` of the buffer.
    pub(super) fn seal(&mut self, buffer: &mut Vec<u8>, start: usize) {
        if let Some(sealed) = &mut self.0 {
            sealed.sender.seal(buffer, start);
        }
    }

    /// The same for RTCP.
    pub(super) fn seal_report(&mut self, buffer: &mut Vec<u8>, start: usize) {
        if let Some(sealed) = &mut self.0 {
            sealed.sender.seal_report(buffer, start);
        }
    }
}
