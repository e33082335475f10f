//! A case: everything that a run depends on, as a value and as a file.

use crate::faults::{self, Plan};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One run of a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What everything else follows from: tags, ports, the dice of the weather.
    pub seed: u64,
    /// Applications that control calls.
    pub clients: Vec<Client>,
    /// Who has a telephone.
    pub people: Vec<Person>,
    /// What the PBX is told beyond that.
    pub office: Vec<Setting>,
    /// What makes life harder for the PBX, by the names in [`pbx::buggify`].
    pub whims: Vec<String>,
    /// What links do to packets, drawn by dice.
    pub weather: Vec<Gust>,
    /// What happens to packets and machines, as a list. Where there is one there are no dice.
    pub faults: Option<Plan>,
    /// Who does what, in the order of time.
    pub actions: Vec<Action>,
}

/// An application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// How it is called: `application`, `second application`.
    pub name: String,
    /// What its token is good for; all where nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

impl Client {
    /// What it shows to be let in.
    pub fn token(&self) -> String {
        format!("the-secret-of-the-{}", self.name.replace(' ', "-"))
    }
}

/// Somebody with a telephone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// How the telephone is called.
    pub name: String,
    /// The extension it registers for; several telephones may have one.
    pub extension: String,
    /// Over TCP, not UDP.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tcp: bool,
    /// Behind a router that does NAT.
    #[serde(default, skip_serializing_if = "is_false")]
    pub router: bool,
    /// Its owner says something while a call is up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub talks: bool,
    /// It calls without an offer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub offers_late: bool,
    /// What it does when it rings.
    #[serde(default)]
    pub answers: Answers,
}

/// What a telephone does when it rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// It rings until somebody answers.
    #[default]
    ByHand,
    /// It is answered after so many milliseconds.
    After(u64),
    /// It refuses with 486.
    Busy,
    /// It says nothing at all.
    Dead,
}

/// What the PBX is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// So many calls at a time.
    Calls(usize),
    /// Ports for so many legs.
    Legs(u16),
    /// Calls to the first go to the second when busy.
    ForwardBusy(String, String),
    /// Calls to the first go to the second when nobody answers.
    ForwardNoAnswer(String, String),
    /// Calls to this number are offered to the applications of a context.
    Offered(String, String),
    /// Calls to this number wait in the queue.
    Queued(String),
    /// A queue with these two agents, who are rung like this.
    Queue(String, String, String),
    /// Registrations and subscriptions may be so short, in seconds.
    Briefly(u64),
    /// Somebody has a mailbox.
    Mailbox(String),
    /// So many seconds applications that are gone may stay away.
    Orphans(u64),
}

/// What the link of one telephone does to packets: shares in percent, times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gust {
    /// Whose link.
    pub who: String,
    /// In which direction.
    pub way: Way,
    /// Lost.
    #[serde(default)]
    pub loss: u8,
    /// Up to so much later.
    #[serde(default)]
    pub jitter: u64,
    /// Delivered twice.
    #[serde(default)]
    pub twice: u8,
    /// Overtaken by others.
    #[serde(default)]
    pub overtaken: u8,
    /// One bit flipped.
    #[serde(default)]
    pub flipped: u8,
    /// All lost, in so many of a hundred tenths of a second.
    #[serde(default)]
    pub bursts: u8,
}

/// A direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// From the telephone to the PBX.
    Up,
    /// From the PBX to the telephone.
    Down,
}

/// Somebody does something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// When, in milliseconds from the start.
    pub at: u64,
    /// Who: a telephone, or the PBX.
    pub who: String,
    /// What.
    pub does: Deed,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Tells the PBX where it is.
    Register,
    /// Tells the PBX to forget it.
    Unregister,
    /// Calls a number.
    Call(String),
    /// Answers what rings.
    Answer,
    /// Refuses what rings.
    Refuse,
    /// Gives up, refuses or hangs up.
    HangUp,
    /// Lets the other side wait.
    Hold,
    /// Talks to it again.
    Resume,
    /// Presses keys, told in RTP.
    Press(String),
    /// Presses keys, told by INFO.
    PressByInfo(String),
    /// Its network is gone.
    LoseNetwork,
    /// Its network is back.
    FindNetwork,
    /// Nothing passes between it and the PBX, or one way only.
    Cut(Way),
    /// Everything passes again.
    Mend,
    /// Its connections break when it has sent so many bytes more over them, in the middle of a message perhaps.
    BreakConnection(usize),
    /// Sends the other side to a number.
    Transfer(String),
    /// Connects the other sides of its two calls.
    JoinLines,
    /// Calls in the place that somebody has in a call.
    TakePlace(String),
    /// Calls in the place that somebody has in a call, if that rings only.
    PickUp(String),
    /// Wants to know of the calls of a number for so many seconds; 0: only how it is now.
    Watch(String, u64),
    /// Wants to know of its own messages for so many seconds.
    WatchMessages(u64),
    /// Wants to know no more.
    Unwatch,
    /// Has forgotten that it wanted to know anything.
    ForgetWatches,
    /// Sends a text as it is, lines ended by CR LF, an empty line at the end.
    Send(String),
    /// An application connects.
    Connect,
    /// It says goodbye.
    Disconnect,
    /// It asks for something.
    Ask(String),
    /// It says something that makes no sense.
    Say(String),
    /// It asks to be told what it has missed.
    Remember,
    /// It reads no longer what it is sent.
    StopReading,
    /// It reads again.
    ReadOn,
    /// The PBX loses its power.
    Crash,
    /// The PBX starts again.
    Start,
    /// The PBX shuts down within so many milliseconds.
    ShutDown(u64),
}

/// Why a text is no case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseError {
    /// It is no TOML, or has other keys.
    Toml(String),
    /// Its faults make no sense.
    Faults(faults::ParseError),
    /// It names somebody who has no telephone and is no application.
    Stranger(String),
    /// Actions are not in the order of time.
    Order(u64),
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaseError::Toml(why) => f.write_str(why.trim_end()),
            CaseError::Faults(why) => why.fmt(f),
            CaseError::Stranger(name) => write!(f, "there is no {name}"),
            CaseError::Order(at) => write!(f, "the action at {at} stands behind a later one"),
        }
    }
}

impl std::error::Error for CaseError {}

impl Person {
    /// Whether the person's telephone, or the router before it, is called so.
    pub(super) fn is_at(&self, name: &str) -> bool {
        let router = name.strip_suffix("'s router").filter(|_| self.router);
        router.unwrap_or(name) == self.name
    }
}

/// Who is not a telephone.
pub(super) const PBX: &str = "PBX";

impl Case {
    /// Reads a case.
    pub fn parse(text: &str) -> Result<Case, CaseError> {
        let raw: Raw = toml::from_str(text).map_err(|error| CaseError::Toml(error.to_string()))?;
        let Raw { seed, whims, office, clients, people, weather, actions, faults } = raw;
        let faults = faults.map(Plan::from_raw).transpose().map_err(CaseError::Faults)?;
        let case = Case { seed, clients, people, office, whims, weather, faults, actions };
        case.check()?;
        Ok(case)
    }

    /// The case as a file.
    pub fn write(&self) -> String {
        let Case { seed, clients, people, office, whims, weather, actions, .. } = self.clone();
        let raw = Written { seed, whims, office, clients, people, weather, actions };
        let mut text = toml::to_string(&raw).expect("a case is made of what TOML can say");
        if let Some(plan) = &self.faults {
            text.push_str("\n[faults]\n");
            text.push_str(&plan.write());
        }
        text
    }

    /// How large it is, for those who want it smaller.
    pub fn size(&self) -> usize {
        let faults = self.faults.as_ref().map_or(0, |plan| plan.packets.len() + plan.events.len());
        self.people.len()
            + self.clients.len()
            + self.office.len()
            + self.whims.len()
            + self.weather.len()
            + self.actions.len()
            + faults
    }

    fn check(&self) -> Result<(), CaseError> {
        let is_client = |name: &str| self.clients.iter().any(|client| client.name == name);
        let is_known = |name: &str| {
            name == PBX || is_client(name) || self.people.iter().any(|person| person.is_at(name))
        };
        let actors = self.actions.iter().map(|action| action.who.as_str());
        let links = self.weather.iter().map(|gust| gust.who.as_str());
        let faults = self.faults.iter().flat_map(Plan::names);
        if let Some(name) = actors.chain(links).chain(faults).find(|name| !is_known(name)) {
            return Err(CaseError::Stranger(name.to_owned()));
        }
        match self.actions.windows(2).find(|pair| pair[0].at > pair[1].at) {
            Some(pair) => Err(CaseError::Order(pair[1].at)),
            None => Ok(()),
        }
    }
}

/// A case as it stands in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    seed: u64,
    #[serde(default)]
    whims: Vec<String>,
    #[serde(default)]
    office: Vec<Setting>,
    #[serde(default)]
    clients: Vec<Client>,
    #[serde(default)]
    people: Vec<Person>,
    #[serde(default)]
    weather: Vec<Gust>,
    #[serde(default)]
    actions: Vec<Action>,
    faults: Option<faults::Raw>,
}

#[derive(Serialize)]
struct Written {
    seed: u64,
    whims: Vec<String>,
    office: Vec<Setting>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    clients: Vec<Client>,
    people: Vec<Person>,
    weather: Vec<Gust>,
    actions: Vec<Action>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::super::{Wishes, draw};
    use super::*;

    #[test]
    fn every_case_is_read_as_it_was_written() {
        for seed in 0..200 {
            let mut case = draw(seed, &Wishes::default());
            assert_eq!(Case::parse(&case.write()), Ok(case.clone()), "{}", case.write());
            case.faults = Some(Plan::default());
            assert_eq!(Case::parse(&case.write()), Ok(case.clone()), "{}", case.write());
            let case = draw(seed, &Wishes { applications: true, ..Wishes::default() });
            assert_eq!(Case::parse(&case.write()), Ok(case.clone()), "{}", case.write());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = |text: &str| Case::parse(text).expect_err(text).to_string();
        assert!(refused("seed = 1\nactions = [{ at = 0, who = 'zoe', does = 'answer' }]").contains("zoe"));
        assert!(refused("seed = 1\nseeds = 2").contains("unknown field `seeds`"));
        let early = "seed = 1\nactions = [{ at = 5, who = 'PBX', does = 'crash' }, { at = 1, who = 'PBX', does = 'start' }]";
        assert!(refused(early).contains("the action at 1"));
    }
}
