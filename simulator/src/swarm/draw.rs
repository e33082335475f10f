//! From a seed to a case.
//!
//! First it is drawn which behaviours and faults there are at all in this case, each with even odds. A thousand cases that
//! have a bit of everything are much alike; a thousand that each lack something else are not, and what is on meets what it
//! would hardly ever meet in a crowd.

use super::case::{Action, Answers, Case, Deed, Gust, PBX, Person, Setting, Way};
use super::{clients, handovers};
use crate::dice::Dice;
use pbx::buggify::HARDSHIPS;

/// What a swarm wants beside what it draws.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Hardships are drawn for the PBX as well.
    pub buggify: bool,
    /// Routers are drawn, and connections that break in the middle of a message: not every rule knows them yet.
    pub rough: bool,
    /// Applications are drawn, which control calls.
    pub applications: bool,
    /// These bugs are planted in every case.
    pub bugs: Vec<String>,
}

/// The case of a seed.
pub fn draw(seed: u64, wishes: &Wishes) -> Case {
    let mut draws = Draws::new(Dice::new(seed).named("case"));
    let traits = Traits::draw(&mut draws, wishes.rough);
    let people = draw_people(&traits, &mut draws);
    let office = draw_office(&traits, &people, &mut draws);
    let weather = draw_weather(&traits, &people, &mut draws);
    let mut actions = Vec::new();
    for person in &people {
        if draws.is(85) {
            actions.push(act(draws.below(40), &person.name, Deed::Register));
        }
    }
    let stories = 1 + draws.below(3);
    for _ in 0..stories {
        let begins = 100 + draws.below(if traits.overlaps { 1_500 } else { 12_000 });
        draw_call(begins, &traits, &people, &mut draws, &mut actions);
    }
    draw_trouble(&traits, &people, &mut draws, &mut actions);
    actions.sort_by_key(|action| action.at);
    without_network(&mut actions);
    let hardships =
        HARDSHIPS.iter().filter(|_| wishes.buggify && draws.is(30)).map(|name| (*name).to_owned());
    let whims = hardships.chain(wishes.bugs.iter().cloned()).collect();
    let mut case = Case { seed, clients: Vec::new(), people, office, whims, weather, faults: None, actions };
    handovers::join(&mut case);
    if wishes.applications {
        clients::join(&mut case);
    }
    case
}

/// What there is in a case at all.
struct Traits {
    tcp: bool,
    shared: bool,
    by_hand: bool,
    unwilling: bool,
    offers_late: bool,
    talks: bool,
    applications: bool,
    wrong_numbers: bool,
    keys: bool,
    info: bool,
    hold: bool,
    races: bool,
    overlaps: bool,
    limits: bool,
    forwards: bool,
    leaves: bool,
    noise: bool,
    loss: bool,
    jitter: bool,
    twice: bool,
    overtaken: bool,
    flipped: bool,
    bursts: bool,
    lost_networks: bool,
    routers: bool,
    transfers: bool,
    cuts: bool,
    broken_streams: bool,
    power_cuts: bool,
    shut_downs: bool,
}

impl Traits {
    fn draw(draws: &mut Draws, rough: bool) -> Traits {
        let mut even = || draws.is(50);
        Traits {
            tcp: even(),
            shared: even(),
            by_hand: even(),
            unwilling: even(),
            offers_late: even(),
            keys: even(),
            info: even(),
            hold: even(),
            races: even(),
            overlaps: even(),
            limits: even() && even(),
            forwards: even() && even(),
            wrong_numbers: even() && even(),
            leaves: even() && even(),
            noise: even() && even(),
            loss: even(),
            jitter: even(),
            twice: even() && even(),
            overtaken: even() && even(),
            flipped: even() && even(),
            bursts: even() && even(),
            lost_networks: even() && even(),
            power_cuts: even() && even() && even(),
            shut_downs: even() && even() && even(),
            routers: even() && even() && rough,
            transfers: even() && even(),
            cuts: even() && even(),
            broken_streams: even() && rough,
            // Sound costs a hundred times what signalling does.
            applications: even() && even() && even(),
            talks: even() && even() && even() && even() && even(),
        }
    }
}

/// One draw after the other.
pub(super) struct Draws {
    dice: Dice,
    count: u64,
}

impl Draws {
    pub(super) fn new(dice: Dice) -> Draws {
        Draws { dice, count: 0 }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.count += 1;
        self.dice.at(self.count).below(bound)
    }

    /// True in so many of a hundred draws.
    pub(super) fn is(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// A time as times are: some at once, some in a moment, some after a while.
    pub(super) fn moment(&mut self, races: bool) -> u64 {
        match self.below(if races { 6 } else { 4 }) {
            0 => self.below(300),
            1 | 2 => self.below(2_000),
            3 => self.below(6_000),
            _ => self.below(6),
        }
    }
}

fn draw_people(traits: &Traits, draws: &mut Draws) -> Vec<Person> {
    const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
    let count = 2 + draws.below(3) as usize;
    let mut people: Vec<Person> = Vec::new();
    for name in &NAMES[..count] {
        let shares = traits.shared && people.len() >= 2 && draws.is(60);
        let extension = if shares { people[1].extension.clone() } else { (*name).to_owned() };
        let answers = match draws.below(10) {
            0..4 if traits.by_hand => Answers::ByHand,
            4 if traits.unwilling => Answers::Busy,
            5 if traits.unwilling => Answers::Dead,
            _ => Answers::After(draws.moment(traits.races)),
        };
        // Another telephone of somebody speaks UDP and is in the office.
        let tcp = traits.tcp && !shares && draws.is(40);
        let router = traits.routers && !shares && draws.is(50);
        people.push(Person {
            name: (*name).to_owned(),
            extension,
            tcp,
            router,
            talks: traits.talks && draws.is(50),
            offers_late: traits.offers_late && draws.is(30),
            answers,
        });
    }
    people
}

fn draw_office(traits: &Traits, people: &[Person], draws: &mut Draws) -> Vec<Setting> {
    let mut office = Vec::new();
    if traits.limits {
        office.push(match draws.below(2) {
            0 => Setting::Calls(1 + draws.below(2) as usize),
            _ => Setting::Legs(1 + draws.below(4) as u16),
        });
    }
    if traits.forwards {
        let (one, other) = (draws.one(people).extension.clone(), draws.one(people).extension.clone());
        if one != other {
            office.push(match draws.below(2) {
                0 => Setting::ForwardBusy(one, other),
                _ => Setting::ForwardNoAnswer(one, other),
            });
        }
    }
    office
}

fn draw_weather(traits: &Traits, people: &[Person], draws: &mut Draws) -> Vec<Gust> {
    let mut weather = Vec::new();
    for person in people {
        if draws.is(40) {
            continue;
        }
        let mut share =
            |on: bool, most: u64| if on && draws.is(70) { 1 + draws.below(most) as u8 } else { 0 };
        let mut gust = Gust {
            who: person.name.clone(),
            loss: share(traits.loss, 30),
            twice: share(traits.twice, 20),
            overtaken: share(traits.overtaken, 20),
            flipped: share(traits.flipped, 4),
            bursts: share(traits.bursts, 10),
            ..Gust::default()
        };
        if traits.jitter && draws.is(70) {
            gust.jitter = 1 + draws.moment(true).min(400);
        }
        gust.way = *draws.one(&[Way::Both, Way::Both, Way::Up, Way::Down]);
        if gust != (Gust { who: gust.who.clone(), way: gust.way, ..Gust::default() }) {
            weather.push(gust);
        }
    }
    weather
}

/// One call, from the first digit to the end, as its people mean it to be.
fn draw_call(begins: u64, traits: &Traits, people: &[Person], draws: &mut Draws, actions: &mut Vec<Action>) {
    let caller = draws.one(people);
    let callee = draws.one(people);
    let number = match draws.below(10) {
        0 if traits.wrong_numbers => "nobody".to_owned(),
        1 | 2 if traits.applications => "9197".to_owned(),
        3 if traits.applications => "9196".to_owned(),
        _ => callee.extension.clone(),
    };
    let is_short = number.starts_with("91");
    actions.push(act(begins, &caller.name, Deed::Call(number)));
    let answered = match callee.answers {
        Answers::ByHand => {
            let at = begins + 20 + draws.moment(false);
            let does = if traits.unwilling && draws.is(20) { Deed::Refuse } else { Deed::Answer };
            actions.push(act(at, &callee.name, does));
            at
        }
        Answers::After(patience) => begins + patience,
        Answers::Busy | Answers::Dead => begins,
    };
    if traits.races && draws.is(40) {
        // The caller gives up as the other side answers, or somewhere about that.
        actions.push(act((answered + draws.below(12)).saturating_sub(6), &caller.name, Deed::HangUp));
        return;
    }
    let lasts = 200 + if is_short { draws.below(600) } else { draws.moment(false) };
    for _ in 0..draws.below(4) {
        draw_change(answered + draws.below(lasts), traits, ([caller, callee], people), draws, actions);
    }
    let ends = answered + lasts;
    match draws.below(if traits.races { 4 } else { 3 }) {
        0 => actions.push(act(ends, &caller.name, Deed::HangUp)),
        1 => actions.push(act(ends, &callee.name, Deed::HangUp)),
        2 if !is_short => {}
        _ => {
            actions.push(act(ends, &caller.name, Deed::HangUp));
            actions.push(act(ends + draws.below(4), &callee.name, Deed::HangUp));
        }
    }
}

/// Something happens in a call.
fn draw_change(
    at: u64,
    traits: &Traits,
    (ends, people): ([&Person; 2], &[Person]),
    draws: &mut Draws,
    actions: &mut Vec<Action>,
) {
    const KEYS: [&str; 4] = ["1", "42", "*9", "0#5"];
    let who = &draws.one(&ends).name;
    if traits.transfers && draws.is(25) {
        let number = if draws.is(80) { draws.one(people).extension.clone() } else { "nobody".to_owned() };
        return actions.push(act(at, who, Deed::Transfer(number)));
    }
    match draws.below(4) {
        0 | 1 if traits.hold => {
            actions.push(act(at, who, Deed::Hold));
            if traits.races && draws.is(40) {
                actions.push(act(at + draws.below(3), &ends[1].name, Deed::Hold));
            }
            if draws.is(70) {
                actions.push(act(at + draws.moment(traits.races), who, Deed::Resume));
            }
        }
        2 if traits.keys => actions.push(act(at, who, Deed::Press((*draws.one(&KEYS)).to_owned()))),
        3 if traits.info => actions.push(act(at, who, Deed::PressByInfo((*draws.one(&KEYS)).to_owned()))),
        _ => {}
    }
}

/// What has nothing to do with any one call.
fn draw_trouble(traits: &Traits, people: &[Person], draws: &mut Draws, actions: &mut Vec<Action>) {
    let person = |draws: &mut Draws| draws.one(people).name.clone();
    if traits.lost_networks {
        let (who, at) = (person(draws), draws.below(6_000));
        actions.push(act(at, &who, Deed::LoseNetwork));
        if draws.is(70) {
            actions.push(act(at + 1 + draws.moment(false), &who, Deed::FindNetwork));
        }
    }
    if traits.cuts {
        let (who, at) = (person(draws), draws.below(6_000));
        let way = *draws.one(&[Way::Both, Way::Up, Way::Down]);
        actions.push(act(at, &who, Deed::Cut(way)));
        if draws.is(70) {
            actions.push(act(at + 1 + draws.moment(false), &who, Deed::Mend));
        }
    }
    let connected: Vec<&Person> = people.iter().filter(|person| person.tcp).collect();
    if traits.broken_streams && !connected.is_empty() {
        let (who, at) = (draws.one(&connected).name.clone(), draws.below(6_000));
        actions.push(act(at, &who, Deed::BreakConnection(draws.below(1_500) as usize)));
    }
    if traits.leaves {
        let (who, at) = (person(draws), draws.below(6_000));
        actions.push(act(at, &who, Deed::Unregister));
        if draws.is(50) {
            actions.push(act(at + 1 + draws.moment(traits.races), &who, Deed::Register));
        }
    }
    if traits.noise {
        for number in 0..1 + draws.below(3) {
            let who = person(draws);
            let text = noise(draws.below(6), number);
            actions.push(act(draws.below(6_000), &who, Deed::Send(text)));
        }
    }
    if traits.power_cuts {
        let at = draws.below(6_000);
        actions.push(act(at, PBX, Deed::Crash));
        actions.push(act(at + 1 + draws.moment(false), PBX, Deed::Start));
    } else if traits.shut_downs {
        actions.push(act(500 + draws.below(6_000), PBX, Deed::ShutDown(draws.moment(traits.races))));
    }
}

/// Who has no network notices, and waits until it is back.
pub(super) fn without_network(actions: &mut Vec<Action>) {
    let mut gone: Vec<String> = Vec::new();
    actions.retain(|Action { who, does, .. }| match does {
        Deed::LoseNetwork => {
            gone.push(who.clone());
            true
        }
        Deed::FindNetwork => {
            gone.retain(|name| name != who);
            true
        }
        _ => !gone.contains(who),
    });
}

/// What somebody may send who has not read the RFC, or not all of it.
fn noise(which: u64, number: u64) -> String {
    let request = |method: &str, to_tag: &str| {
        format!(
            "{method} sip:pbx.example SIP/2.0\nVia: SIP/2.0/UDP noise.invalid;rport;branch=z9hG4bKnoise{number}\n\
             Max-Forwards: 70\nFrom: <sip:noise@noise.invalid>;tag=noise{number}\nTo: <sip:pbx.example>{to_tag}\n\
             Call-ID: noise{number}@noise.invalid\nCSeq: 1 {method}"
        )
    };
    match which {
        0 => request("OPTIONS", ""),
        1 => request("BYE", ";tag=gone"),
        2 => request("UNHEARD", ""),
        3 => "hello".to_owned(),
        4 => format!(
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKnone{number}\nCSeq: 1 INVITE"
        ),
        _ => "INVITE sip:bob@pbx.example SIP/2.0\nVia: neither here nor there\nCSeq: many INVITE".to_owned(),
    }
}

pub(super) fn act(at: u64, who: &str, does: Deed) -> Action {
    Action { at, who: who.to_owned(), does }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_case_and_another_is_another() {
        let case = |seed| draw(seed, &Wishes::default());
        assert_eq!(case(7), case(7));
        assert_ne!(Case { seed: 7, ..case(8) }, case(7));
    }

    #[test]
    fn every_deed_and_every_fault_is_drawn_some_time() {
        let wishes = Wishes { rough: true, ..Wishes::default() };
        let cases: Vec<Case> = (0..400).map(|seed| draw(seed, &wishes)).collect();
        let text: String = cases.iter().map(Case::write).collect();
        for deed in [
            "register",
            "unregister",
            "call",
            "answer",
            "refuse",
            "hang_up",
            "hold",
            "resume",
            "press",
            "press_by_info",
            "lose_network",
            "find_network",
            "send",
            "cut",
            "mend",
            "break_connection",
            "transfer",
            "crash",
            "start",
            "shut_down",
        ] {
            let [plain, with] = [format!("does = \"{deed}\""), format!("\n{deed} = ")];
            assert!(text.contains(&plain) || text.contains(&with), "nobody does {deed}");
        }
        for gust in ["loss", "jitter", "twice", "overtaken", "flipped", "bursts"] {
            assert!(text.lines().any(|line| line.starts_with(gust) && !line.ends_with("= 0")), "{gust}");
        }
    }
}
