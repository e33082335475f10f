//! What moves a network: one task, which sleeps until the next thing is due. A world with a call wakes it some hundred times a
//! second, so to wake costs a poll and the setting of one timer.

use super::Network;
use super::timetable::Turn;
use pbx::shell::timer::Timer;
use pbx::time::{Duration, Instant};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Poll, Waker, ready};

/// Until when the task sleeps. It is kept with what it moves, behind the same lock.
#[derive(Default)]
pub(super) struct Sleeper {
    /// `None`: until somebody wakes it.
    until: Option<Instant>,
    task: Option<Waker>,
}

/// Somebody is to be called: whose turn it is, by its number in the timetable, or who reads what has come.
pub(super) struct Call {
    pub(super) number: Option<usize>,
    pub(super) turn: Turn,
}

impl Sleeper {
    /// Something is due then, if anything: the task is woken when it sleeps for longer.
    pub(super) fn bring_forward(&mut self, due: Option<Instant>) {
        let Some(due) = due.filter(|due| self.until.is_none_or(|until| *due < until)) else { return };
        self.until = Some(due);
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// The task sleeps until this is due.
    fn sleep(&mut self, until: Option<Instant>, task: &Waker) {
        self.until = until;
        if self.task.as_ref().is_none_or(|known| !known.will_wake(task)) {
            self.task = Some(task.clone());
        }
    }
}

impl Network {
    /// Moves what is under way, for as long as the network is used. Runs beside whatever uses the network.
    pub async fn drive(&self) {
        let mut calls = Vec::new();
        let mut sleep = Timer::new(Duration::ZERO);
        poll_fn(|context| {
            loop {
                let now = self.elapsed();
                let Some(due) = self.take_turn(now, &mut calls, context.waker()) else {
                    return Poll::Pending;
                };
                if due <= now {
                    // What sends to its own host in no time does so again and again: the others come first.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                sleep.reset(due.since(now));
                ready!(Pin::new(&mut sleep).poll(context));
            }
        })
        .await
    }

    /// Everything that is due by now happens. Who is to be called for it is called afterwards, when the state is free. Returns
    /// when something is due again.
    fn take_turn(&self, now: Instant, calls: &mut Vec<Call>, task: &Waker) -> Option<Instant> {
        let mut state = self.state();
        // Whatever is sent meanwhile wakes nobody.
        state.sleeper.sleep(Some(Instant::START), task);
        state.run_until(now, calls);
        if !calls.is_empty() {
            drop(state);
            for Call { number, turn } in calls.drain(..) {
                let due = turn(now);
                if let Some(number) = number {
                    self.state().set_turn(number, due);
                }
            }
            state = self.state();
        }
        let next = state.next_due();
        state.sleeper.sleep(next, task);
        next
    }
}
