//! What is lent to the four machines for one step: the time, the timer table, and where output goes.

use super::streamless::Streamless;
use super::timers::{Repetition, Table, Timer};
use super::{Event, Output};
use crate::sip::{Path, Transport};
use crate::time::Instant;
use std::collections::VecDeque;

/// Lent for one step.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) table: &'a Table,
    pub(super) streamless: &'a mut Streamless,
    pub(super) out: &'a mut VecDeque<Output>,
}

impl Context<'_> {
    /// Sends a message.
    pub(super) fn transmit(&mut self, path: Path, bytes: Vec<u8>) {
        self.out.push_back(Output::Transmit { path, bytes });
    }

    /// Tells the TU.
    pub(super) fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// When a timer fires that is set now.
    pub(super) fn deadline(&self, timer: Timer, transport: Transport) -> Instant {
        self.now + self.table.first(timer, transport)
    }

    /// When a transaction that only absorbs copies ends; `None`: nothing is copied on this transport, it ends now.
    pub(super) fn lingering(&self, timer: Timer, transport: Transport) -> Option<Instant> {
        let duration = self.table.first(timer, transport);
        (!duration.is_zero()).then(|| self.now + duration)
    }

    /// When a message that is sent now is sent again; `None`: never, on a reliable transport.
    pub(super) fn repetition(&self, timer: Timer, transport: Transport) -> Option<Repetition> {
        Repetition::start(timer, self.table, transport, self.now)
    }
}
