//! A case of a swarm, retold in sentences.

use pbx::time::Duration;
use simulator::faults::write_span;
use simulator::swarm::{Action, Answers, Case, Client, Deed, Person, Setting, Way};
use std::fmt::Write as _;

/// A feature with this one scenario.
pub fn feature(case: &Case, rule: &str, name: &str) -> String {
    let mut text = format!(
        "Feature: Found by the swarm, {name}\n  Played with seed {}, this breaks {rule}.\n\n  Scenario: {name}\n",
        case.seed
    );
    for sentence in sentences(case, rule) {
        let mut lines = sentence.lines();
        let _ = writeln!(text, "    {}", lines.next().unwrap_or_default());
        lines.for_each(|line| {
            let _ = writeln!(text, "      {line}");
        });
    }
    text
}

/// The sentences, each with its keyword; the lines of a text that is sent stand below its sentence.
pub fn sentences(case: &Case, rule: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut say = |keyword: &str, text: String| sentences.push(format!("{keyword} {text}"));
    for whim in &case.whims {
        say("Given", format!("a PBX with {whim:?}"));
    }
    for client in &case.clients {
        let scopes = client.scopes.join(", ");
        say("Given", format!("the {} may control calls, for {scopes:?}", client.name));
    }
    for setting in &case.office {
        say("Given", told(setting));
    }
    for person in &case.people {
        manners(person).into_iter().for_each(|text| say("Given", text));
    }
    for fault in case.faults.iter().flat_map(|plan| &plan.packets) {
        let packet = format!(
            "the {} packet from {} to {}",
            ordinal(fault.number),
            party(&fault.from),
            party(&fault.to)
        );
        fault.words().iter().for_each(|words| say("Given", format!("{packet} {words}")));
    }
    let mut now = 0;
    for action in &case.actions {
        if action.at > now {
            say("When", format!("{} pass", span(action.at - now)));
            now = action.at;
        }
        say("When", deed(action));
    }
    say("When", "1 second passes".to_owned());
    say("When", "the faults stop".to_owned());
    if !case.clients.is_empty() {
        say("When", "all applications are gone".to_owned());
    }
    say("When", "40 seconds pass".to_owned());
    // It ends the scenario when it is not so: who looks for another rule wants to see the rest.
    if rule == "A27" {
        say("Then", "nobody is left alone on the line".to_owned());
    }
    sentences
}

/// 1st, 2nd, 3rd, 4th, ..., 11th, ...
pub fn ordinal(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (1, 11) | (2, 12) | (3, 13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn told(setting: &Setting) -> String {
    match setting {
        Setting::Calls(calls) => format!("the PBX takes {calls} calls at a time"),
        Setting::Legs(legs) => format!("the PBX has ports for {legs} legs"),
        Setting::ForwardBusy(of, to) => format!("calls to {of} go to {to} when busy"),
        Setting::ForwardNoAnswer(of, to) => format!("calls to {of} that are not answered go to {to}"),
        Setting::Offered(number, context) => {
            format!("calls to {number:?} are offered to applications of {context}")
        }
        Setting::Queued(number) => format!("calls to {number:?} wait in the queue \"support\""),
        Setting::Queue(one, other, strategy) => {
            format!("a queue \"support\" with the agents {one} and {other}, who are rung {strategy:?}")
        }
        Setting::Briefly(seconds) => {
            format!("registrations and subscriptions may be as short as {}", span(seconds * 1_000))
        }
        Setting::Mailbox(owner) => format!("{owner} has a mailbox"),
        Setting::Orphans(seconds) => {
            format!("the PBX waits {} for an application that is gone", span(seconds * 1_000))
        }
    }
}

fn manners(person: &Person) -> Vec<String> {
    let Person { name, extension, tcp, router, talks, offers_late, answers } = person;
    let behind = if *router { " behind a router" } else { "" };
    let mut texts = vec![match (name == extension, tcp) {
        (true, false) => format!("{name} has a telephone{behind}"),
        (true, true) => format!("{name} has a telephone that speaks TCP{behind}"),
        (false, _) => format!("{name} is another telephone of {extension}"),
    }];
    texts.extend((!talks).then(|| format!("{name}'s microphone is off")));
    texts.extend(offers_late.then(|| format!("{name} calls without an offer")));
    texts.extend(match answers {
        Answers::ByHand => None,
        Answers::After(patience) => Some(format!("{name}'s telephone answers after {}", span(*patience))),
        Answers::Busy => Some(format!("{name}'s telephone refuses with busy (486)")),
        Answers::Dead => Some(format!("{name}'s telephone does not react")),
    });
    texts
}

fn deed(action: &Action) -> String {
    let who = &action.who;
    let is_client = who.ends_with("application");
    match &action.does {
        Deed::LoseNetwork if is_client => format!("the {who} loses its power"),
        Deed::FindNetwork if is_client => format!("the {who} starts again"),
        Deed::Register => format!("{who} registers"),
        Deed::Unregister => format!("{who} unregisters"),
        Deed::Call(number) if number == "9197" => format!("{who} calls the tone"),
        Deed::Call(number) if number == "9196" => format!("{who} calls the echo"),
        Deed::Call(number) => format!("{who} calls {number:?}"),
        Deed::Answer => format!("{who} answers"),
        Deed::Refuse => format!("{who} refuses the call"),
        Deed::HangUp => format!("{who} hangs up"),
        Deed::Hold => format!("{who} puts the other side on hold"),
        Deed::Resume => format!("{who} takes the other side off hold"),
        Deed::Press(keys) => format!("{who} presses {keys:?}"),
        Deed::PressByInfo(keys) => format!("{who} presses {keys:?} by INFO"),
        Deed::LoseNetwork => format!("{who}'s network is gone"),
        Deed::FindNetwork => format!("{who}'s network is back"),
        Deed::Cut(Way::Both) => format!("{who} is cut off from the PBX"),
        Deed::Cut(Way::Up) => format!("nothing that {who} sends reaches the PBX"),
        Deed::Cut(Way::Down) => format!("nothing that the PBX sends reaches {who}"),
        Deed::Mend => format!("{who} is no longer cut off"),
        Deed::BreakConnection(bytes) => format!("{who}'s connection breaks after {bytes} more bytes"),
        Deed::Transfer(number) => format!("{who} sends the other side to {number:?}"),
        Deed::JoinLines => format!("{who} connects her two calls"),
        Deed::TakePlace(name) => format!("{who} calls in the place of {name}, who may have none"),
        Deed::PickUp(name) => format!("{who} calls for what rings at {name}, if anything does"),
        Deed::Watch(number, seconds) => format!("{who} watches {number:?} for {}", span(seconds * 1_000)),
        Deed::WatchMessages(seconds) => {
            format!("{who}'s telephone wants to know of messages for {}", span(seconds * 1_000))
        }
        Deed::Unwatch => format!("{who}'s telephone does not want to be told any longer"),
        Deed::ForgetWatches => format!("{who}'s telephone forgets what it wanted to know"),
        Deed::Send(text) => format!("{who} sends\n\"\"\"\n{text}\n\"\"\""),
        Deed::Connect => {
            let token = Client { name: who.clone(), scopes: Vec::new() }.token();
            format!("the {who} connects with the token {token:?}")
        }
        Deed::Disconnect => format!("the {who} disconnects"),
        Deed::Ask(text) => format!("the {who} asks for {text:?}"),
        Deed::Say(text) => format!("the {who} says {text:?}"),
        Deed::Remember => format!("the {who} asks for what it has missed"),
        Deed::StopReading => format!("the {who} stops reading"),
        Deed::ReadOn => format!("the {who} reads on"),
        Deed::Crash => "the PBX loses its power".to_owned(),
        Deed::Start => "the PBX starts again".to_owned(),
        Deed::ShutDown(grace) => format!("the PBX shuts down within {}", span(*grace)),
    }
}

/// As sentences write it.
fn span(millis: u64) -> String {
    match write_span(Duration::from_millis(millis)) {
        text if text == "1 s" => "1 second".to_owned(),
        text => match text.strip_suffix(" s") {
            Some(seconds) => format!("{seconds} seconds"),
            None => text,
        },
    }
}

fn party(name: &str) -> String {
    if name == "PBX" { "the PBX".to_owned() } else { name.to_owned() }
}
