//! What moves a network: nobody is woken for it. When nothing else has anything to do, whoever moves the time on asks when the
//! next thing is due, and lets it happen ([`crate::engine`]). A world with a call has some hundred such moments a second.

use super::datagram::Reader;
use super::timetable::Turn;
use super::{Network, Shared};
use bytes::Bytes;
use pbx::time::Instant;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

/// Somebody is to be called.
pub(super) enum Call {
    /// Whose turn it is, by its number in the timetable.
    Turn { number: usize, turn: Turn },
    /// Who reads what has come.
    Read { reader: Reader, bytes: Bytes, from: SocketAddr },
}

/// A network, for whoever moves it. It is not kept by it: a network knows tasks, and they know who moves them.
pub(crate) struct Driven(Weak<Shared>);

impl Driven {
    /// Nothing moves any more once the network is gone.
    pub(crate) fn network(&self) -> Option<Network> {
        self.0.upgrade().map(|shared| Network { shared })
    }
}

impl Network {
    pub(crate) fn driven(&self) -> Driven {
        Driven(Arc::downgrade(&self.shared))
    }

    /// When the first of what is under way is due; it may have passed.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.state().next_due()
    }

    /// Everything that is due by now happens. Who is to be called for it is called afterwards, when the state is free.
    pub(crate) fn take_turn(&self) {
        let now = self.elapsed();
        let mut state = self.state();
        let mut calls = std::mem::take(&mut state.calls);
        state.run_until(now, &mut calls);
        if calls.is_empty() {
            state.calls = calls;
            return;
        }
        drop(state);
        for call in calls.drain(..) {
            match call {
                Call::Turn { number, turn } => {
                    let due = turn(now);
                    self.state().set_turn(number, due);
                }
                Call::Read { reader, bytes, from } => reader(&bytes, from),
            }
        }
        self.state().calls = calls;
    }
}
