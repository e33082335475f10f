//! Machines that are told the time when something of theirs is due: the network itself, telephones, stations.
//!
//! A world with a call wakes them some hundred times a second, so a turn costs a poll and, when the deadline has moved, the
//! setting of one timer.

use super::{Network, clock};
use pbx::time::{Duration, Instant};
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker, ready};

/// Until when the task of a machine sleeps. It is kept with the machine, behind the same lock.
#[derive(Default)]
pub(crate) struct Alarm {
    /// `None`: until somebody wakes it.
    until: Option<Instant>,
    task: Option<Waker>,
}

impl Alarm {
    /// Something is due then, if anything: the task is woken when it sleeps for longer.
    pub(crate) fn bring_forward(&mut self, due: Option<Instant>) {
        let Some(due) = due.filter(|due| self.until.is_none_or(|until| *due < until)) else { return };
        self.until = Some(due);
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// The task sleeps until this is due.
    pub(crate) fn set(&mut self, due: Option<Instant>, task: &Waker) {
        self.until = due;
        if self.task.as_ref().is_none_or(|known| !known.will_wake(task)) {
            self.task = Some(task.clone());
        }
    }
}

/// Takes a turn now, at each deadline and whenever an alarm is brought forward that the turn has set.
///
/// A turn does what is due, sets the alarm for the task it is given, and returns the next deadline. When that has come
/// already the others have their turn first.
pub(crate) async fn keep_time(network: &Network, mut turn: impl FnMut(Instant, &Waker) -> Option<Instant>) {
    let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
    poll_fn(|context| {
        loop {
            let now = network.elapsed();
            let Some(due) = turn(now, context.waker()) else { return Poll::Pending };
            if due <= now {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            sleep.as_mut().reset(clock::now() + due.since(now));
            ready!(sleep.as_mut().poll(context));
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbx::shell::host::Host as _;
    use std::sync::{Arc, Mutex};

    /// What is due at these moments, and the moments at which turns were taken, in milliseconds.
    #[derive(Default)]
    struct Machine {
        due: Vec<Instant>,
        turns: Vec<u64>,
        alarm: Alarm,
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_brought_forward_is_kept_and_the_later_one_too() {
        let host = super::super::Builder::new().build().host("any", [10, 0, 0, 1].into());
        let at = Instant::from_millis;
        let machine = Arc::new(Mutex::new(Machine { due: vec![at(50)], ..Machine::default() }));
        let (network, kept) = (host.network().clone(), machine.clone());
        host.spawn(async move {
            keep_time(&network, |now, task| {
                let Machine { due, turns, alarm } = &mut *kept.lock().expect("nobody panics");
                turns.push(now.as_nanos() / 1_000_000);
                due.retain(|due| *due > now);
                let next = due.iter().min().copied();
                alarm.set(next, task);
                next
            })
            .await;
        });
        let bring_forward = |due| {
            let mut machine = machine.lock().expect("nobody panics");
            machine.due.push(due);
            machine.alarm.bring_forward(Some(due));
        };
        tokio::time::sleep(Duration::from_millis(10)).await;
        // Nobody is woken for what is due later than what it sleeps for.
        bring_forward(at(70));
        tokio::time::sleep(Duration::from_millis(10)).await;
        bring_forward(at(30));
        tokio::time::sleep(Duration::from_millis(80)).await;
        bring_forward(at(110));
        tokio::time::sleep(Duration::from_millis(80)).await;
        let turns = machine.lock().expect("nobody panics").turns.clone();
        assert_eq!(turns, [0, 20, 30, 50, 70, 100, 110]);
    }
}
