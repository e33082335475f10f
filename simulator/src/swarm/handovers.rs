//! Transfers, places that others take, and who watches whom in a swarm.
//!
//! They are drawn from dice of their own, so that a seed without them is the same case as ever.

use super::case::{Action, Answers, Case, Deed, Person, Setting};
use super::draw::{Draws, act, without_network};
use crate::dice::Dice;

/// Calls are handed over in some cases, places are taken in some, and in some telephones watch others.
pub(super) fn join(case: &mut Case) {
    let mut draws = Draws::new(Dice::new(case.seed).named("handovers"));
    let habits = Habits::draw(&mut draws);
    let mut actions = Vec::new();
    if habits.watches {
        draw_watches(&habits, case, &mut draws, &mut actions);
    }
    for _ in 0..if habits.hands_over { 1 + draws.below(2) } else { 0 } {
        draw_handover(&habits, &case.people, &mut draws, &mut actions);
    }
    if habits.takes_places {
        draw_place(&habits, &case.people, &mut draws, &mut actions);
    }
    case.actions.extend(actions);
    case.actions.sort_by_key(|action| action.at);
    without_network(&mut case.actions);
}

struct Habits {
    hands_over: bool,
    takes_places: bool,
    watches: bool,
    messages: bool,
    briefly: bool,
    forgets: bool,
    races: bool,
}

impl Habits {
    fn draw(draws: &mut Draws) -> Habits {
        let mut even = || draws.is(50);
        Habits {
            hands_over: even() && even(),
            takes_places: even() && even() && even(),
            watches: even() && even(),
            messages: even() && even(),
            briefly: even(),
            forgets: even() && even(),
            races: even(),
        }
    }
}

/// Telephones want to know of the calls of others, and of messages.
fn draw_watches(habits: &Habits, case: &mut Case, draws: &mut Draws, actions: &mut Vec<Action>) {
    if habits.briefly {
        case.office.push(Setting::Briefly(1 + draws.below(5)));
    }
    if habits.messages {
        let owner = draws.one(&case.people).clone();
        case.office.push(Setting::Mailbox(owner.extension.clone()));
        let at = draws.below(3_000);
        actions.push(act(at, &owner.name, Deed::WatchMessages(seconds(habits, draws))));
        if draws.is(50) {
            let (who, at) = (draws.one(&case.people).name.clone(), draws.below(6_000));
            actions.push(act(at, &who, Deed::Call(format!("*{}", owner.extension))));
            actions.push(act(at + 1_000 + draws.below(2_000), &who, Deed::HangUp));
        }
    }
    for _ in 0..1 + draws.below(3) {
        let (who, whom) = (draws.one(&case.people).name.clone(), draws.one(&case.people).extension.clone());
        let at = draws.below(5_000);
        actions.push(act(at, &who, Deed::Watch(whom, seconds(habits, draws))));
        let later = at + draws.moment(habits.races);
        match draws.below(4) {
            0 | 1 => actions.push(act(later, &who, Deed::Unwatch)),
            2 if habits.forgets => actions.push(act(later, &who, Deed::ForgetWatches)),
            _ => {}
        }
    }
}

/// For how long: now only, for a moment that has to be asked for again, or for the whole case. What nobody ends is to end by
/// itself before everything has to be at rest.
fn seconds(habits: &Habits, draws: &mut Draws) -> u64 {
    match draws.below(5) {
        0 => 0,
        1..4 if habits.briefly => 1 + draws.below(12),
        _ => 60,
    }
}

/// Somebody calls somebody, and one of them hands the other on to a third.
fn draw_handover(habits: &Habits, people: &[Person], draws: &mut Draws, actions: &mut Vec<Action>) {
    let (caller, callee, target) = (draws.one(people), draws.one(people), draws.one(people));
    let answered = draw_call(100 + draws.below(8_000), caller, callee, draws, actions);
    let keeper = *draws.one(&[caller, callee]);
    let who = keeper.name.as_str();
    let at = answered + 1 + draws.moment(habits.races);
    let mut done = at;
    if draws.is(50) {
        let number = match draws.below(10) {
            0 => "nobody".to_owned(),
            1 => "9197".to_owned(),
            _ => target.extension.clone(),
        };
        actions.push(act(at, who, Deed::Transfer(number)));
    } else {
        if draws.is(60) {
            actions.push(act(at, who, Deed::Hold));
        }
        let reached = draw_call(at + draws.below(60), keeper, target, draws, actions);
        done = reached + if habits.races { draws.below(6) } else { draws.below(2_000) };
        actions.push(act(done, who, Deed::JoinLines));
    }
    // Somebody leaves in that moment, or everybody some time later.
    if draws.is(25) {
        let leaves = *draws.one(&[caller, callee, target]);
        actions.push(act(done + draws.below(8), &leaves.name, Deed::HangUp));
    }
    for person in [caller, callee, target] {
        if draws.is(60) {
            actions.push(act(done + 100 + draws.moment(false), &person.name, Deed::HangUp));
        }
    }
}

/// Somebody wants the place of another in a call, or what rings at another.
fn draw_place(habits: &Habits, people: &[Person], draws: &mut Draws, actions: &mut Vec<Action>) {
    let (caller, callee, third) = (draws.one(people), draws.one(people), draws.one(people));
    let begins = 100 + draws.below(8_000);
    let answered = draw_call(begins, caller, callee, draws, actions);
    let replaced = draws.one(&[caller, callee]).name.clone();
    let (at, does) = if draws.is(50) {
        (begins + 1 + draws.below(1 + answered - begins), Deed::PickUp(callee.name.clone()))
    } else {
        (answered + draws.moment(habits.races), Deed::TakePlace(replaced))
    };
    actions.push(act(at, &third.name, does));
    let later = at + 100 + draws.moment(false);
    for person in [caller, callee, third] {
        if draws.is(60) {
            actions.push(act(later + draws.below(4), &person.name, Deed::HangUp));
        }
    }
}

/// Somebody calls somebody; when that may be answered.
fn draw_call(
    begins: u64,
    caller: &Person,
    callee: &Person,
    draws: &mut Draws,
    actions: &mut Vec<Action>,
) -> u64 {
    actions.push(act(begins, &caller.name, Deed::Call(callee.extension.clone())));
    match callee.answers {
        Answers::ByHand => {
            let at = begins + 20 + draws.moment(false);
            actions.push(act(at, &callee.name, Deed::Answer));
            at
        }
        Answers::After(patience) => begins + patience,
        Answers::Busy | Answers::Dead => begins,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Wishes, draw};
    use super::*;

    #[test]
    fn every_handover_and_every_watch_is_drawn_some_time() {
        let text: String = (0..400).map(|seed| draw(seed, &Wishes::default()).write()).collect();
        let deeds = ["transfer", "join_lines", "take_place", "pick_up", "watch", "watch_messages"];
        for deed in deeds.into_iter().chain(["unwatch", "forget_watches"]) {
            let [plain, with] = [format!("does = \"{deed}\""), format!("\n{deed} = ")];
            assert!(text.contains(&plain) || text.contains(&with), "nobody does {deed}");
        }
        for setting in ["briefly", "mailbox"] {
            assert!(text.contains(&format!("{setting} = ")), "no PBX is told {setting}");
        }
    }

    #[test]
    fn a_case_without_them_is_what_it_was() {
        let plain = (0..400).map(|seed| draw(seed, &Wishes::default())).filter(|case| {
            let is_new = |action: &Action| {
                matches!(
                    action.does,
                    Deed::JoinLines | Deed::TakePlace(_) | Deed::PickUp(_) | Deed::Watch(..)
                )
            };
            !case.actions.iter().any(is_new)
        });
        assert!(plain.count() > 100);
    }
}
