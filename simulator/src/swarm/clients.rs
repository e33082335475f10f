//! Applications in a swarm: who they are, what they ask for, and when they are gone.
//!
//! They are drawn from dice of their own, so that a seed without them is the same case as ever.

use super::case::{Action, Answers, Case, Client, Deed, PBX, Person, Setting};
use super::draw::{Draws, act, without_network};
use crate::agents::application::Application;
use crate::dice::Dice;
use crate::office::HTTP_PORT;
use crate::stage::Stage;
use std::net::SocketAddr;

/// The queue of the office.
pub(super) const QUEUE: &str = "support";

const NAMES: [&str; 3] = ["application", "second application", "third application"];

const SCOPES: [&str; 7] = [
    "call.control",
    "queue.control",
    "record.control",
    "supervisor.control",
    "media.stream",
    "sip.message",
    "conference.control",
];

/// Each application has names of its own for what it orders, and hears of others.
const OWN: [[&str; 4]; 3] = [["a1", "a2", "a3", "a4"], ["b1", "b2", "b3", "b4"], ["c1", "c2", "c3", "c4"]];
const HEARD_OF: [&str; 4] = ["$incoming", "$peer_call_id", "$consultation_call_id", "$transfer_call_id"];

/// What applications say that is no command.
const NONSENSE: [&str; 5] = ["good morning", "[1, 2]", "{", "{}", "null"];

/// The number whose calls are offered to applications, and the one whose callers wait in the queue.
const OFFERED: &str = "100";
const QUEUED: &str = "200";

/// Applications join a case: what they are, what the PBX is told of them, what they and people do because of them.
pub(super) fn join(case: &mut Case) {
    let mut draws = Draws::new(Dice::new(case.seed).named("applications"));
    let habits = Habits::draw(&mut draws);
    let count = 1 + draws.below(3) as usize;
    for name in &NAMES[..count] {
        let scopes =
            SCOPES.iter().filter(|_| habits.limited && draws.is(70)).map(|scope| (*scope).to_owned());
        let scopes = scopes.collect();
        case.clients.push(Client { name: (*name).to_owned(), scopes });
    }
    case.office.push(Setting::Orphans(1 + draws.below(4)));
    case.office.push(Setting::Offered(OFFERED.to_owned(), "sales".to_owned()));
    let agents = [draws.one(&case.people).extension.clone(), draws.one(&case.people).extension.clone()];
    let strategy = *draws.one(&["all", "in_turn", "longest_idle"]);
    let [one, other] = agents;
    if one != other {
        case.office.push(Setting::Queue(one, other, strategy.to_owned()));
        case.office.push(Setting::Queued(QUEUED.to_owned()));
    }
    if habits.sound {
        case.people.iter_mut().for_each(|person| person.talks = true);
    }
    // Most are there and answer soon, so that there are calls to do something with.
    let mut actions = Vec::new();
    for person in &mut case.people {
        if draws.is(70) {
            person.answers = Answers::After(draws.below(400));
            actions.push(act(draws.below(40), &person.name, Deed::Register));
        }
    }
    for (number, client) in case.clients.clone().iter().enumerate() {
        let names = Names { own: &OWN[number] };
        draw_client((client, names), &habits, &case.people, &mut draws, &mut actions);
    }
    for _ in 0..draws.below(3) {
        let who = draws.one(&case.people).name.clone();
        let number = if draws.is(60) { OFFERED } else { QUEUED };
        actions.push(act(500 + draws.below(8_000), &who, Deed::Call(number.to_owned())));
    }
    answer_and_hang_up(&case.people, &mut draws, &mut actions);
    case.actions.extend(actions);
    case.actions.sort_by_key(|action| action.at);
    without_power(&mut case.actions);
    without_network(&mut case.actions);
}

/// What applications of a case do at all.
struct Habits {
    limited: bool,
    transfers: bool,
    conferences: bool,
    queues: bool,
    supervisors: bool,
    recordings: bool,
    sounds: bool,
    messages: bool,
    nonsense: bool,
    goes_away: bool,
    races: bool,
    sound: bool,
}

impl Habits {
    fn draw(draws: &mut Draws) -> Habits {
        let mut even = || draws.is(50);
        Habits {
            limited: even() && even(),
            transfers: even(),
            conferences: even(),
            queues: even(),
            supervisors: even(),
            recordings: even(),
            sounds: even(),
            messages: even(),
            nonsense: even() && even(),
            goes_away: even(),
            races: even(),
            // It costs a hundred times what signalling does.
            sound: even() && even() && even(),
        }
    }
}

/// What an application calls calls.
#[derive(Clone, Copy)]
struct Names {
    own: &'static [&'static str; 4],
}

impl Names {
    /// One of them: mostly one of its own, and of these mostly one of the first three.
    fn one(self, draws: &mut Draws) -> String {
        let name = match draws.below(20) {
            0 => *draws.one(&HEARD_OF),
            1 | 2 => {
                let others = &OWN[draws.below(3) as usize];
                *draws.one(others)
            }
            3 => self.own[3],
            _ => *draws.one(&self.own[..3]),
        };
        name.to_owned()
    }
}

fn draw_client(
    (client, names): (&Client, Names),
    habits: &Habits,
    people: &[Person],
    draws: &mut Draws,
    actions: &mut Vec<Action>,
) {
    let who = client.name.as_str();
    let mut at = draws.below(400);
    actions.push(act(at, who, Deed::Connect));
    if draws.is(80) {
        at += 1 + draws.below(200);
        actions.push(act(at, who, Deed::Ask("session.subscribe contexts=default,sales".to_owned())));
    }
    if draws.is(85) {
        at = begin(who, names, habits, people, draws, actions);
    }
    for _ in 0..4 + draws.below(20) {
        at += if habits.races && draws.is(50) { draws.below(5) } else { draws.below(1_200) };
        let command = command(names, habits, people, draws);
        let does = if habits.nonsense && draws.is(10) {
            Deed::Say((*draws.one(&NONSENSE)).to_owned())
        } else {
            Deed::Ask(command)
        };
        actions.push(act(at, who, does));
        if habits.goes_away && draws.is(8) {
            at = goes_away(who, at, draws, actions);
        }
    }
}

/// It calls two or three people and lets the first two talk; the time after that.
fn begin(
    who: &str,
    names: Names,
    habits: &Habits,
    people: &[Person],
    draws: &mut Draws,
    actions: &mut Vec<Action>,
) -> u64 {
    let first = draws.below(people.len() as u64) as usize;
    let count = 2 + draws.below(2) as usize;
    let mut at = 300 + draws.below(300);
    for (number, name) in names.own[..count].iter().enumerate() {
        let person = &people[(first + number) % people.len()].extension;
        let text = format!("call.originate call_id={name} destination=sip:{person}@local");
        actions.push(act(at, who, Deed::Ask(text)));
        at += draws.below(20);
    }
    at += 600 + draws.below(400);
    let [one, other, third, _] = names.own;
    if draws.is(70) {
        actions.push(act(at, who, Deed::Ask(format!("call.bridge leg_a={one} leg_b={other}"))));
        at += 1 + draws.below(900);
        if habits.supervisors && count > 2 {
            let part = *draws.one(&["listen", "whisper", "barge"]);
            let text = format!("supervisor.{part} supervisor_call_id={third} target_call_id={other}");
            actions.push(act(at, who, Deed::Ask(text)));
            at += 1 + draws.below(900);
        }
    } else if habits.queues {
        let text = format!("queue.enqueue call_id={one} queue_id={QUEUE}");
        actions.push(act(at, who, Deed::Ask(text)));
    }
    at
}

/// It is gone for a while, and back; the time after that.
fn goes_away(who: &str, at: u64, draws: &mut Draws, actions: &mut Vec<Action>) -> u64 {
    let back = at + 1 + draws.below(4_000);
    match draws.below(3) {
        0 => actions.push(act(at, who, Deed::Disconnect)),
        1 => {
            actions.push(act(at, who, Deed::LoseNetwork));
            actions.push(act(back, who, Deed::FindNetwork));
        }
        _ => {
            actions.push(act(at, who, Deed::StopReading));
            actions.push(act(back, who, Deed::ReadOn));
            return back;
        }
    }
    if draws.is(75) {
        actions.push(act(back, who, Deed::Connect));
        if draws.is(75) {
            actions.push(act(back + 100, who, Deed::Remember));
        }
    }
    back + 100
}

fn command(names: Names, habits: &Habits, people: &[Person], draws: &mut Draws) -> String {
    let call = |draws: &mut Draws| names.one(draws);
    let person = |draws: &mut Draws| draws.one(people).extension.clone();
    let one = call(draws);
    match draws.below(16) {
        0..2 => originate(&one, people, draws),
        2 => format!("call.unbridge call_id={one}"),
        3 | 4 => match draws.below(3) {
            0 => "call.answer call_id=$incoming".to_owned(),
            1 => "call.ring call_id=$incoming".to_owned(),
            _ => format!("call.reject call_id=$incoming reason={}", draws.one(&["busy", "decline"])),
        },
        5 if draws.is(40) => format!("call.hangup call_id={one}"),
        5..8 => format!("call.bridge leg_a={one} leg_b={}", call(draws)),
        8 => match draws.below(5) {
            0 => "session.list_calls".to_owned(),
            1 => format!("session.detach_call call_id={one}"),
            2 => format!("session.attach_call call_id={one} mode={}", draws.one(&["control", "listen"])),
            3 => "session.attach_call call_id=$incoming".to_owned(),
            _ => "session.unsubscribe contexts=sales,".to_owned(),
        },
        9 => format!("call.{} call_id={one}", draws.one(&["unbridge", "hold", "unhold", "hold"])),
        10 if habits.transfers => transfer(&one, &person(draws), draws),
        11 if habits.conferences => conference(&one, draws),
        12 if habits.queues => queue(&one, &person(draws), draws),
        13 if habits.supervisors => {
            let part = *draws.one(&["listen", "whisper", "barge", "takeover", "stop"]);
            format!("supervisor.{part} supervisor_call_id={one} target_call_id={}", call(draws))
        }
        14 if habits.recordings => {
            let what = *draws.one(&["start", "start", "pause", "resume", "stop"]);
            let beep = if what == "start" && draws.is(50) { " beep=true" } else { "" };
            format!("record.{what} call_id={one}{beep}")
        }
        15 if habits.sounds => sound(&one, draws),
        _ if habits.messages => message(&one, draws),
        _ => originate(&one, people, draws),
    }
}

fn originate(call: &str, people: &[Person], draws: &mut Draws) -> String {
    let destination = match draws.below(20) {
        0 => "sip:nobody@local".to_owned(),
        1 => "sip:9197@local".to_owned(),
        2 => "sip:bob@nowhere".to_owned(),
        _ => format!("sip:{}@local", draws.one(people).extension),
    };
    let call = if call.starts_with('$') { "d1" } else { call };
    let more = match draws.below(8) {
        0 => " timeout_secs=1",
        1 => " timeout_secs=30 caller_id=boss",
        2 => " context=sales",
        3 => " hold_music=missing.wav",
        _ => "",
    };
    format!("call.originate call_id={call} destination={destination}{more}")
}

fn transfer(call: &str, person: &str, draws: &mut Draws) -> String {
    let target = match draws.below(8) {
        0 => "sip:nobody@local".to_owned(),
        1 => "sip:9197@local".to_owned(),
        2 => format!("sip:{QUEUED}@local"),
        _ => format!("sip:{person}@local"),
    };
    let consultation = "consultation_call_id=$consultation_call_id";
    match draws.below(6) {
        0 => format!("call.transfer call_id={call} target={target}"),
        1 => format!("call.transfer call_id={call} target={target} method=refer"),
        2 | 3 => format!("call.transfer.attended call_id={call} target={target}"),
        4 => format!("call.transfer.complete call_id={call} {consultation}"),
        _ => format!("call.transfer.cancel {consultation}"),
    }
}

fn conference(call: &str, draws: &mut Draws) -> String {
    let room = *draws.one(&["k1", "k2"]);
    match draws.below(7) {
        0 => format!("conference.create conf_id={room} max_members=2"),
        1 => format!("conference.create conf_id={room}"),
        2 => format!("conference.destroy conf_id={room}"),
        3 => format!("conference.remove conf_id={room} call_id={call}"),
        4 => format!("conference.{} conf_id={room} call_id={call}", draws.one(&["mute", "unmute"])),
        _ => format!("conference.add conf_id={room} call_id={call}"),
    }
}

fn queue(call: &str, person: &str, draws: &mut Draws) -> String {
    match draws.below(9) {
        0..3 => {
            let more = *draws.one(&["", " priority=5", " max_wait_secs=3", " priority=9 max_wait_secs=1"]);
            format!("queue.enqueue call_id={call} queue_id={QUEUE}{more}")
        }
        3 => format!("queue.dequeue call_id={call}"),
        4 => format!("queue.dequeue call_id={call} agent_id={person}"),
        5 => format!("queue.{} call_id={call}", draws.one(&["hold", "unhold"])),
        6 => format!("queue.set_priority call_id={call} priority={}", draws.below(10)),
        7 => format!("queue.assign_agent call_id={call} agent_id={person}"),
        _ => format!("queue.requeue call_id={call} queue_id={}", draws.one(&[QUEUE, "nowhere"])),
    }
}

fn sound(call: &str, draws: &mut Draws) -> String {
    match draws.below(7) {
        0 => format!("media.stop call_id={call}"),
        1 => format!("media.play call_id={call} source.type=file source.uri=missing.wav"),
        2 => format!("media.play call_id={call} source.type=ringback"),
        3 => format!(
            "media.play call_id={call} source.type=silence source.duration_ms={}",
            draws.below(900) + 1
        ),
        4 => format!("call.send_dtmf call_id={call} digits=42#"),
        5 => format!("dtmf.collect call_id={call} min_digits=1 max_digits=3 timeout_ms=2000"),
        _ => {
            let until_key = if draws.is(50) { " interrupt_on_dtmf=true" } else { "" };
            let source = "source.type=tone source.frequency=1700";
            format!(
                "media.play call_id={call} {source} source.duration_ms={}{until_key}",
                draws.below(2_000) + 1
            )
        }
    }
}

fn message(call: &str, draws: &mut Draws) -> String {
    match draws.below(6) {
        0 => format!("sip.message call_id={call} body=hello"),
        1 => format!("sip.notify call_id={call} event=talk body=1"),
        2 => format!("sip.options_ping call_id={call}"),
        3 => format!("call.set_var call_id={call} key=name value=7"),
        4 => format!("call.get_var call_id={call} key=name"),
        _ => "call.dance".to_owned(),
    }
}

/// Who answers by hand does so now and then, and everybody hangs up now and then.
fn answer_and_hang_up(people: &[Person], draws: &mut Draws, actions: &mut Vec<Action>) {
    for person in people {
        let by_hand = person.answers == Answers::ByHand;
        for _ in 0..if by_hand { 5 } else { draws.below(2) } {
            let does = if by_hand && draws.is(80) { Deed::Answer } else { Deed::HangUp };
            let at = if by_hand { 500 + draws.below(8_000) } else { 4_000 + draws.below(12_000) };
            actions.push(act(at, &person.name, does));
        }
    }
}

/// While the PBX is off nobody can connect to it.
fn without_power(actions: &mut Vec<Action>) {
    let mut is_off = false;
    actions.retain(|action| {
        match action.does {
            Deed::Crash | Deed::ShutDown(_) if action.who == PBX => is_off = true,
            Deed::Start if action.who == PBX => is_off = false,
            _ => {}
        }
        !is_off || action.does != Deed::Connect
    });
}

impl Client {
    /// Its rights, as the configuration says them.
    pub fn rights(&self) -> String {
        if self.scopes.is_empty() {
            return String::new();
        }
        let scopes: Vec<String> = self.scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
        format!("scopes = [{}]\n", scopes.join(", "))
    }
}

/// An application does something.
pub(super) fn perform(stage: &Stage, client: &Application, action: &Action) {
    match &action.does {
        Deed::Connect => {
            let name = action.who.clone();
            let token = Client { name, scopes: Vec::new() }.token();
            client.connect(SocketAddr::new(stage.pbx(), HTTP_PORT), Some(&token));
        }
        Deed::Disconnect => client.disconnect(),
        // What is drawn can be read.
        Deed::Ask(text) => drop(client.ask(text)),
        Deed::Say(text) => client.say(text),
        Deed::Remember => drop(client.catch_up()),
        Deed::StopReading => client.stop_reading(),
        Deed::ReadOn => client.read_on(),
        Deed::LoseNetwork => client.crash(),
        Deed::FindNetwork => client.restart(),
        _ => {}
    }
}

/// They are gone, all of them, and nobody comes back.
pub(super) fn stop(stage: &Stage) {
    for client in stage.applications().values() {
        client.read_on();
        client.disconnect();
    }
}
