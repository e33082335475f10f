//! What stands in braces in a sentence.

use cucumber::Parameter;
use pbx::sip::{StatusCode, Transport};
use pbx::time::Duration;
use simulator::agents::http::Fault;
use simulator::agents::{exchange, recorder, trunk};
use simulator::phone;
use std::str::FromStr;

/// A person or machine by name: `alice`.
#[derive(Clone, Debug, PartialEq, Eq, Parameter)]
#[param(name = "actor", regex = "[a-z]+")]
pub struct Actor(pub String);

impl FromStr for Actor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Actor, &'static str> {
        Ok(Actor(text.to_owned()))
    }
}

/// A program that controls calls, by name: `the application`, `the second application`.
#[derive(Clone, Debug, PartialEq, Eq, Parameter)]
#[param(name = "application", regex = r"the (?:[a-z]+ )?application")]
pub struct Program(pub String);

impl FromStr for Program {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Program, &'static str> {
        Ok(Program(text.strip_prefix("the ").unwrap_or(text).to_owned()))
    }
}

/// What carries the messages of a telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Parameter)]
#[param(name = "carrier", regex = "TCP|TLS|WebSocket|secure WebSocket")]
pub struct Carrier(pub Transport);

impl FromStr for Carrier {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Carrier, &'static str> {
        match text {
            "TCP" => Ok(Carrier(Transport::Tcp)),
            "TLS" => Ok(Carrier(Transport::Tls)),
            "WebSocket" => Ok(Carrier(Transport::Ws)),
            "secure WebSocket" => Ok(Carrier(Transport::Wss)),
            _ => Err("telephones speak TCP, TLS, WebSocket and secure WebSocket"),
        }
    }
}

/// What a certificate is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Parameter)]
#[param(
    name = "certificate",
    regex = "that is good|that has expired|that expires in an hour|of another name|of another key|of a stranger"
)]
pub struct Certificate(pub &'static str);

impl FromStr for Certificate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Certificate, &'static str> {
        let known = [
            "that is good",
            "that has expired",
            "that expires in an hour",
            "of another name",
            "of another key",
            "of a stranger",
        ];
        known.into_iter().find(|known| *known == text).map(Certificate).ok_or("no certificate is like this")
    }
}

/// A minute of a day, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Parameter)]
#[param(name = "moment", regex = r"\d{4}-\d\d-\d\d \d\d:\d\d")]
pub struct Moment(pub u64);

impl FromStr for Moment {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Moment, std::num::ParseIntError> {
        let number = |from: usize, to: usize| text.get(from..to).unwrap_or_default().parse::<u64>();
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute) = (number(11, 13)?, number(14, 16)?);
        // Days since 1 March of year 0, in which a leap day is the last of its year.
        let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
        let days = days - 719_468;
        Ok(Moment(((days * 24 + hour) * 60 + minute) * 60_000_000))
    }
}

/// A time with its unit: `2 seconds`, `500 ms`, `1 hour`.
#[derive(Clone, Copy, Debug, PartialEq, Parameter)]
#[param(name = "span", regex = r"\d+(?:\.\d+)? (?:ms|s|seconds?|minutes?|hours?)")]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Span, &'static str> {
        let (number, unit) = text.split_once(' ').ok_or("a time has a number and a unit")?;
        let number: f64 = number.parse().map_err(|_| "a time begins with a number")?;
        let seconds = match unit.trim_end_matches('s') {
            "m" => 0.001,
            "" | "second" => 1.0,
            "minute" => 60.0,
            "hour" => 3_600.0,
            _ => return Err("a time is in ms, seconds, minutes or hours"),
        };
        Ok(Span(Duration::from_secs_f64(number * seconds)))
    }
}

/// A tone: `440 Hz`.
#[derive(Clone, Copy, Debug, PartialEq, Parameter)]
#[param(name = "tone", regex = r"\d+(?:\.\d+)? Hz")]
pub struct Tone(pub f64);

impl FromStr for Tone {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Tone, &'static str> {
        let number = text.strip_suffix(" Hz").and_then(|number| number.parse().ok());
        number.map(Tone).ok_or("a tone is a number of Hz")
    }
}

/// What somebody is told, with the number that says it: `busy (486)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Parameter)]
#[param(name = "status", regex = r"[a-z][a-z ]* \(\d{3}\)")]
pub struct Status(pub StatusCode);

impl FromStr for Status {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Status, &'static str> {
        let number = text.rsplit_once('(').and_then(|(_, number)| number.trim_end_matches(')').parse().ok());
        number.and_then(StatusCode::new).map(Status).ok_or("a status is a number from 100 to 699")
    }
}

/// What a telephone does wrong, in the words of the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way(pub phone::Misbehaviour);

impl Parameter for Way {
    const REGEX: &'static str = phone::Misbehaviour::SENTENCES;
    const NAME: &'static str = "way";
}

impl FromStr for Way {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Way, &'static str> {
        text.parse().map(Way)
    }
}

/// What is wrong with a server, and how often: `answers 503 twice`.
#[derive(Clone, Debug, PartialEq, Eq, Parameter)]
#[param(
    name = "fault",
    regex = r"(?:never answers|hangs up|breaks off|speaks no JSON|is slow|answers after [\d.]+ seconds?|answers \d{3}|says \d+ MB|redirects to \S+)(?: once| twice| \d+ times)?"
)]
pub struct Misbehaviour {
    /// What.
    pub fault: Fault,
    /// `None`: always.
    pub times: Option<u32>,
}

impl FromStr for Misbehaviour {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Misbehaviour, &'static str> {
        let (words, times) = match text.strip_suffix(" times").and_then(|text| text.rsplit_once(' ')) {
            Some((words, times)) => (words, times.parse().ok()),
            None => match (text.strip_suffix(" once"), text.strip_suffix(" twice")) {
                (Some(words), _) => (words, Some(1)),
                (_, Some(words)) => (words, Some(2)),
                (None, None) => (text, None),
            },
        };
        Ok(Misbehaviour { fault: words.parse()?, times })
    }
}

/// How an exchange speaks: `mumbles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Parameter)]
#[param(name = "manner", regex = "masks its words|speaks in pieces|mumbles|breaks off")]
pub struct Manner(pub exchange::Fault);

impl FromStr for Manner {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Manner, &'static str> {
        text.parse().map(Manner)
    }
}

/// Why something is so: the rest of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Parameter)]
#[param(name = "reason", regex = ".+")]
pub struct Reason(pub String);

impl FromStr for Reason {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Reason, &'static str> {
        Ok(Reason(text.to_owned()))
    }
}

/// What a recorder does when it is to record: `answers 503`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Parameter)]
#[param(
    name = "recorder_reaction",
    regex = r"records(?: after [\d.]+ seconds?)?|answers \d{3}|never answers|is dead|is not ready|takes one stream|takes no stream|leaves out the description|leaves out a stream|falls silent"
)]
pub struct RecorderReaction(pub recorder::Reaction);

impl FromStr for RecorderReaction {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<RecorderReaction, &'static str> {
        text.parse().map(RecorderReaction)
    }
}

/// What a trunk does with a call: `refuses with 503 for 10 seconds`.
#[derive(Clone, Debug, PartialEq, Eq, Parameter)]
#[param(
    name = "trunk_reaction",
    regex = r"answers(?: after [\d.]+ seconds?)?|refuses with \d{3}(?: for \d+ seconds?)?|moves to \S+|never answers|is dead"
)]
pub struct TrunkReaction(pub trunk::Reaction);

impl FromStr for TrunkReaction {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<TrunkReaction, &'static str> {
        text.parse().map(TrunkReaction)
    }
}

/// Who sends or receives: a person, the router of one, or the PBX.
#[derive(Clone, Debug, PartialEq, Eq, Parameter)]
#[param(name = "party", regex = "(?:the PBX|[a-z]+(?:'s router)?)")]
pub struct Party(pub String);

impl FromStr for Party {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Party, &'static str> {
        Ok(Party(text.strip_prefix("the ").unwrap_or(text).to_owned()))
    }
}

/// The how-manieth: `1st`, `2nd`, `3rd`, `4th`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Parameter)]
#[param(name = "ordinal", regex = r"\d+(?:st|nd|rd|th)")]
pub struct Ordinal(pub u64);

impl FromStr for Ordinal {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Ordinal, &'static str> {
        let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).parse().ok();
        number.filter(|number| *number > 0).map(Ordinal).ok_or("counting begins with the 1st")
    }
}
