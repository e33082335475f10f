//! Machines that are told the time when something of theirs is due: telephones, stations. On our network they are entries of
//! its queue, and their turn is a call; on others each is a task.
//!
//! A world with a call has some hundred turns a second, and nothing else may cost as much as a turn itself.

use super::state::{Due, State};
use super::{Network, SimHost};
use pbx::shell::host::Host as _;
use pbx::shell::timer;
use pbx::time::Instant;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// What is called when it is somebody's turn: does what is due and says when something is due again.
pub(super) type Turn = Arc<dyn Fn(Instant) -> Option<Instant> + Send + Sync>;

/// Who wants to be told the time, by number. A number is given once.
#[derive(Default)]
pub(super) struct Timetable {
    entries: Vec<Option<Entry>>,
}

struct Entry {
    host: IpAddr,
    /// When its next turn is.
    due: Option<Instant>,
    turn: Turn,
}

impl Timetable {
    /// Whose turn it is at a time that was noted for the entry of this number; nobody's, when it has another by now.
    pub(super) fn take_turn(&mut self, number: usize, at: Instant) -> Option<(IpAddr, &Turn)> {
        let entry = self.entries.get_mut(number)?.as_mut().filter(|entry| entry.due == Some(at))?;
        entry.due = None;
        Some((entry.host, &entry.turn))
    }

    /// The machine has lost its power.
    pub(super) fn drop_host(&mut self, host: IpAddr) {
        self.entries.iter_mut().filter_map(|entry| entry.take_if(|entry| entry.host == host)).for_each(drop);
    }

    fn add(&mut self, host: IpAddr, turn: Turn) -> usize {
        self.entries.push(Some(Entry { host, due: None, turn }));
        self.entries.len() - 1
    }
}

impl State {
    /// The entry of this number has its next turn then, and no earlier one.
    pub(super) fn set_turn(&mut self, number: usize, due: Option<Instant>) {
        let Some(Some(entry)) = self.timetable.entries.get_mut(number) else { return };
        if entry.due != due {
            entry.due = due;
            if let Some(due) = due {
                self.schedule(due, Due::Turn(number));
            }
        }
    }

    /// It has one then, if it has none before.
    fn bring_turn_forward(&mut self, number: usize, due: Instant) {
        let Some(Some(entry)) = self.timetable.entries.get(number) else { return };
        if entry.due.is_none_or(|known| due < known) {
            self.set_turn(number, Some(due));
        }
    }
}

/// By this a machine says that something is due earlier than it has said before. It has no turns any more when this is
/// dropped.
pub(crate) struct Alarm(Kind);

enum Kind {
    Own(Network, usize),
    Far(Arc<Far>),
}

/// Until when the task of a machine sleeps.
#[derive(Default)]
struct Far {
    due: Mutex<Option<Instant>>,
    sooner: Notify,
}

impl Alarm {
    /// Something is due then, if anything.
    pub(crate) fn bring_forward(&self, due: Option<Instant>) {
        let Some(due) = due else { return };
        match &self.0 {
            Kind::Own(network, number) => {
                network.with(|state, _| state.bring_turn_forward(*number, due));
            }
            Kind::Far(far) => {
                if far.due().is_none_or(|known| due < known) {
                    far.sooner.notify_one();
                }
            }
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        match &self.0 {
            Kind::Own(network, number) => {
                let entry = network.state().timetable.entries.get_mut(*number).and_then(Option::take);
                drop(entry);
            }
            Kind::Far(far) => far.sooner.notify_one(),
        }
    }
}

impl Far {
    fn due(&self) -> Option<Instant> {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimHost {
    /// A turn now, and from then on whenever the one before has said, or something was brought forward; until the host crashes.
    ///
    /// A turn does what is due and says when something is due again. Whoever keeps the alarm must not be kept by the turn.
    pub(crate) fn keep_time(
        &self,
        turn: impl Fn(Instant) -> Option<Instant> + Send + Sync + 'static,
    ) -> Alarm {
        if self.network().shared.far.is_some() {
            return self.keep_time_by_task(turn);
        }
        let network = self.network().clone();
        let turn = network.turn_of(self.address(), turn);
        let number = network.with(|state, now| {
            let number = state.timetable.add(self.address(), turn);
            state.set_turn(number, Some(now));
            number
        });
        Alarm(Kind::Own(network, number))
    }

    fn keep_time_by_task(&self, turn: impl Fn(Instant) -> Option<Instant> + Send + Sync + 'static) -> Alarm {
        let far = Arc::new(Far::default());
        let (host, kept) = (self.clone(), Arc::downgrade(&far));
        self.spawn(async move {
            while let Some(far) = kept.upgrade() {
                let now = host.now();
                let due = turn(now);
                *far.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
                let sleep = async {
                    match due {
                        Some(due) => timer::sleep(due.since(now)).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    () = far.sooner.notified() => {}
                    () = sleep => {}
                }
            }
        });
        Alarm(Kind::Far(far))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Builder;
    use super::*;
    use crate::world::on_network;
    use pbx::time::Duration;

    /// What is due at these moments, and the moments at which turns were taken, in milliseconds.
    #[derive(Default)]
    struct Machine {
        due: Vec<Instant>,
        turns: Vec<u64>,
    }

    struct World {
        host: SimHost,
        machine: Arc<Mutex<Machine>>,
        alarm: Alarm,
    }

    /// In a world of a machine that has something due then.
    fn play(due: u64, scene: impl AsyncFnOnce(World)) {
        on_network(Builder::new(), async |network| {
            let host = network.host("any", [10, 0, 0, 1].into());
            let machine = Machine { due: vec![Instant::from_millis(due)], ..Machine::default() };
            let machine = Arc::new(Mutex::new(machine));
            let kept = Arc::downgrade(&machine);
            let alarm = host.keep_time(move |now| {
                let machine = kept.upgrade()?;
                let Machine { due, turns } = &mut *machine.lock().expect("nobody panics");
                turns.push(now.as_nanos() / 1_000_000);
                due.retain(|due| *due > now);
                due.iter().min().copied()
            });
            scene(World { host, machine, alarm }).await;
        });
    }

    impl World {
        async fn pass(&self, millis: u64) {
            timer::sleep(Duration::from_millis(millis)).await;
        }

        fn bring_forward(&self, due: u64) {
            let due = Instant::from_millis(due);
            self.machine.lock().expect("nobody panics").due.push(due);
            self.alarm.bring_forward(Some(due));
        }

        fn turns(&self) -> Vec<u64> {
            self.machine.lock().expect("nobody panics").turns.clone()
        }
    }

    #[test]
    fn a_deadline_that_is_brought_forward_is_kept_and_the_later_one_too() {
        play(50, async |world| {
            world.pass(10).await;
            // Nobody has a turn for what is due later than the next one.
            world.bring_forward(70);
            world.pass(10).await;
            world.bring_forward(30);
            world.pass(80).await;
            world.bring_forward(110);
            world.pass(80).await;
            assert_eq!(world.turns(), [0, 30, 50, 70, 110]);
        });
    }

    #[test]
    fn who_stands_still_has_its_turn_when_it_goes_on() {
        play(50, async |world| {
            let (network, address) = (world.host.network(), world.host.address());
            world.pass(10).await;
            network.pause(address);
            world.pass(100).await;
            network.resume(address);
            world.pass(10).await;
            assert_eq!(world.turns(), [0, 110]);
        });
    }

    #[test]
    fn whose_host_has_crashed_has_no_turn_any_more() {
        play(50, async |world| {
            world.pass(10).await;
            world.host.network().crash(world.host.address());
            world.bring_forward(70);
            world.pass(100).await;
            assert_eq!(world.turns(), [0]);
        });
    }
}
