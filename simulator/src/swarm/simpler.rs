//! What is smaller than a case: the same without some of its parts, or with simpler ones.

use super::case::{Action, Answers, Case, Deed, PBX, Person};
use super::play::Run;
use crate::faults::Plan;
use crate::network::Fate;
use pbx::time::Duration;

/// Times that people like, in milliseconds.
const ROUND: [u64; 5] = [1_000, 500, 100, 50, 10];

/// A way to make a case smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Without some of the applications, and what they ask for.
    Clients,
    /// Without some of the people, and what they do.
    People,
    /// Without some of what is done.
    Actions,
    /// Without some of the weather.
    Weather,
    /// Without some of what the PBX is told.
    Office,
    /// Without some of what makes life harder for the PBX.
    Whims,
    /// Without some of what happens to packets.
    Packets,
    /// Without some of what happens to machines and lines.
    Events,
    /// With simpler things happening to packets.
    Fates,
    /// With simpler people.
    Manners,
    /// With everything from one action on earlier, or at a rounder time.
    Times,
}

impl Cut {
    /// All, the ones that take most away first.
    pub(super) const ALL: [Cut; 11] = [
        Cut::Packets,
        Cut::Events,
        Cut::Clients,
        Cut::People,
        Cut::Actions,
        Cut::Weather,
        Cut::Office,
        Cut::Whims,
        Cut::Fates,
        Cut::Manners,
        Cut::Times,
    ];

    /// Whether parts go, and not only become simpler.
    pub(super) fn removes(self) -> bool {
        !matches!(self, Cut::Fates | Cut::Manners | Cut::Times)
    }

    /// How many parts there are to cut.
    pub(super) fn parts(self, case: &Case) -> usize {
        let plan = |count: fn(&Plan) -> usize| case.faults.as_ref().map_or(0, count);
        match self {
            Cut::Clients => case.clients.len(),
            Cut::People | Cut::Manners => case.people.len(),
            Cut::Actions | Cut::Times => case.actions.len(),
            Cut::Weather => case.weather.len(),
            Cut::Office => case.office.len(),
            Cut::Whims => case.whims.len(),
            Cut::Packets | Cut::Fates => plan(|plan| plan.packets.len()),
            Cut::Events => plan(|plan| plan.events.len()),
        }
    }

    /// The case without the parts `from..from + size`, in the ways worth a try, the best first.
    pub(super) fn without(self, case: &Case, from: usize, size: usize) -> Vec<Case> {
        let end = (from + size).min(self.parts(case));
        let mut smaller = case.clone();
        match self {
            Cut::Clients => without_clients(&mut smaller, from, end),
            Cut::People => without_people(&mut smaller, from, end),
            Cut::Actions => drop(smaller.actions.drain(from..end)),
            Cut::Weather => drop(smaller.weather.drain(from..end)),
            Cut::Office => drop(smaller.office.drain(from..end)),
            Cut::Whims => drop(smaller.whims.drain(from..end)),
            Cut::Packets => drop(smaller.faults.as_mut().map(|plan| drop(plan.packets.drain(from..end)))),
            Cut::Events => drop(smaller.faults.as_mut().map(|plan| drop(plan.events.drain(from..end)))),
            Cut::Fates => return simpler_fates(case, from),
            Cut::Manners => return simpler_manners(case, from),
            Cut::Times => return simpler_times(case, from),
        }
        // Without something that was sent, packets behind it have smaller numbers.
        let shifted = if matches!(self, Cut::Actions | Cut::Clients | Cut::People) {
            shifted(&smaller)
        } else {
            Vec::new()
        };
        std::iter::once(smaller).chain(shifted).collect()
    }
}

/// The same run, with what the weather did written down; `None` when there is no weather.
pub(super) fn without_weather(case: &Case, run: &Run) -> Option<Case> {
    if case.faults.is_some() {
        return None;
    }
    // What people and the PBX do to machines stands in the case already.
    let plan = Plan { packets: run.faults.packets.clone(), events: Vec::new() };
    Some(Case { weather: Vec::new(), faults: Some(plan), ..case.clone() })
}

/// Without these applications, and what happens on their links.
fn without_clients(case: &mut Case, from: usize, end: usize) {
    let gone: Vec<String> = case.clients.drain(from..end).map(|client| client.name).collect();
    let is_gone = |name: &str| gone.iter().any(|gone| gone == name);
    case.actions.retain(|action| !is_gone(&action.who));
    if let Some(plan) = &mut case.faults {
        plan.packets.retain(|fault| !is_gone(&fault.from) && !is_gone(&fault.to));
        plan.events.retain(|event| !event.what.names().any(is_gone));
    }
}

/// Without these people, whatever they do, and whatever happens on their links.
fn without_people(case: &mut Case, from: usize, end: usize) {
    let gone: Vec<Person> = case.people.drain(from..end).collect();
    let is_gone = |name: &str| gone.iter().any(|person| person.is_at(name));
    let names_gone = |deed: &Deed| match deed {
        Deed::TakePlace(name) | Deed::PickUp(name) => is_gone(name),
        _ => false,
    };
    case.actions.retain(|action| !is_gone(&action.who) && !names_gone(&action.does));
    case.weather.retain(|gust| !is_gone(&gust.who));
    if let Some(plan) = &mut case.faults {
        plan.packets.retain(|fault| !is_gone(&fault.from) && !is_gone(&fault.to));
        plan.events.retain(|event| !event.what.names().any(is_gone));
    }
}

/// A few faults left, one of them a few packets earlier.
fn shifted(case: &Case) -> Vec<Case> {
    const FEW: usize = 3;
    const EARLIER: u64 = 4;
    let Some(plan) = case.faults.as_ref().filter(|plan| plan.packets.len() <= FEW) else { return Vec::new() };
    let mut cases = Vec::new();
    for (at, fault) in plan.packets.iter().enumerate() {
        for number in (fault.number.saturating_sub(EARLIER).max(1)..fault.number).rev() {
            let mut shifted = plan.clone();
            shifted.packets[at].number = number;
            cases.push(Case { faults: Some(shifted), ..case.clone() });
        }
    }
    cases
}

/// One thing happens to the packet instead of several; times are round.
fn simpler_fates(case: &Case, at: usize) -> Vec<Case> {
    let Some(plan) = &case.faults else { return Vec::new() };
    let fate = plan.packets[at].fate;
    let lost = Fate { lost: true, ..Fate::default() };
    let flipped = Fate { flip: fate.flip, ..Fate::default() };
    let again = Fate { duplicate: fate.duplicate.map(|_| Duration::from_millis(1)), ..Fate::default() };
    let rounder = ROUND.iter().rev().map(|round| {
        let nanos = u128::from(*round) * 1_000_000;
        let delay = Duration::from_millis((fate.delay.as_nanos().div_ceil(nanos) as u64) * round);
        Fate { delay: if fate.delay.is_zero() { fate.delay } else { delay }, ..fate }
    });
    let rounder = rounder.collect::<Vec<_>>().into_iter().rev();
    let simpler = [lost, again, flipped].into_iter().chain(rounder);
    let is_simpler = |simple: &Fate| *simple != Fate::default() && weight(simple) < weight(&fate);
    let with = |simple: Fate| {
        let mut plan = plan.clone();
        plan.packets[at].fate = simple;
        Case { faults: Some(plan), ..case.clone() }
    };
    simpler.filter(is_simpler).map(with).collect()
}

/// How hard a fate is to grasp.
fn weight(fate: &Fate) -> u32 {
    let digits = |span: Duration| {
        let text = span.as_nanos().to_string();
        text.trim_end_matches('0').len() as u32
    };
    u32::from(fate.lost)
        + 20 * u32::from(!fate.delay.is_zero())
        + digits(fate.delay)
        + fate.duplicate.map_or(0, |later| 30 + digits(later))
        + fate.flip.map_or(0, |_| 40)
}

/// The person as people usually are, one trait after the other.
fn simpler_manners(case: &Case, at: usize) -> Vec<Case> {
    let person = &case.people[at];
    let mut simpler = vec![
        Person { tcp: false, ..person.clone() },
        Person { router: false, ..person.clone() },
        Person { talks: false, ..person.clone() },
        Person { offers_late: false, ..person.clone() },
    ];
    if person.answers != Answers::ByHand {
        simpler.push(Person { answers: Answers::ByHand, ..person.clone() });
    }
    if let Answers::After(patience) = person.answers {
        let round =
            |to: &u64| Person { answers: Answers::After(patience.div_ceil(*to) * to), ..person.clone() };
        simpler.extend(
            ROUND.iter().map(round).filter(|person| person.answers != Answers::After(patience)).take(2),
        );
    }
    let with = |simple: Person| {
        let mut people = case.people.clone();
        people[at] = simple;
        let mut simpler = Case { people, ..case.clone() };
        if person.router && !simpler.people[at].router {
            rename(&mut simpler, &format!("{}'s router", person.name), &person.name);
        }
        simpler
    };
    simpler.into_iter().filter(|simple| simple != person).map(with).collect()
}

/// What happened to the packets of one happens to those of another.
fn rename(case: &mut Case, old: &str, new: &str) {
    for fault in case.faults.iter_mut().flat_map(|plan| &mut plan.packets) {
        for name in [&mut fault.from, &mut fault.to].into_iter().filter(|name| *name == old) {
            new.clone_into(name);
        }
    }
}

/// Everything from this action on happens earlier or at a rounder time; a number becomes that of a person.
fn simpler_times(case: &Case, at: usize) -> Vec<Case> {
    let (before, time) = (at.checked_sub(1).map_or(0, |before| case.actions[before].at), case.actions[at].at);
    let gap = time - before;
    let rounder = ROUND.iter().map(|round| gap.div_ceil(*round) * round).chain([0, 1_000, 100]);
    let is_simpler = |new: &u64| digits(*new) < digits(gap) || (digits(*new) == digits(gap) && *new < gap);
    let mut gaps: Vec<u64> = rounder.filter(is_simpler).collect();
    gaps.sort_by_key(|gap| (digits(*gap), *gap));
    gaps.dedup();
    let moved = |gap: u64| {
        let mut actions = case.actions.clone();
        actions[at..].iter_mut().for_each(|action| action.at = action.at - time + before + gap);
        Case { actions, ..case.clone() }
    };
    let mut cases: Vec<Case> = gaps.into_iter().map(moved).collect();
    if let Action { does: Deed::Press(keys) | Deed::PressByInfo(keys), who, .. } = &case.actions[at]
        && keys != "1"
        && who != PBX
    {
        let mut simple = case.clone();
        if let Deed::Press(keys) | Deed::PressByInfo(keys) = &mut simple.actions[at].does {
            *keys = "1".to_owned();
        }
        cases.push(simple);
    }
    cases
}

/// How many digits of a number people have to read.
fn digits(number: u64) -> usize {
    number.to_string().trim_end_matches('0').len()
}
