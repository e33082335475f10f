//! A plan as a file that people read and edit: one line a fault, and what it meant as a comment behind it.
//!
//! ```toml
//! packets = [
//!     { from = "PBX", to = "bob", number = 3, lost = true }, # 1.014s  ACK
//!     { from = "bob", to = "PBX", number = 7, late = "12.5 ms" }, # 2.000s  200 OK (BYE)
//! ]
//! events = [
//!     { at = "2 s", off = "bob" },
//! ]
//! ```

use super::{Event, PacketFault, Plan, What, span};
use crate::network::Fate;
use pbx::time::Duration;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

/// Why a text is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// It is no TOML, or has other keys.
    Toml(String),
    /// One of its faults makes no sense: which, and why.
    Fault(String, &'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Toml(why) => f.write_str(why.trim_end()),
            ParseError::Fault(which, why) => write!(f, "{which}: {why}"),
        }
    }
}

impl std::error::Error for ParseError {}

impl Plan {
    /// Reads a plan.
    pub fn parse(text: &str) -> Result<Plan, ParseError> {
        let raw: Raw = toml::from_str(text).map_err(|error| ParseError::Toml(error.to_string()))?;
        Plan::from_raw(raw)
    }

    pub(crate) fn from_raw(raw: Raw) -> Result<Plan, ParseError> {
        let packets = raw.packets.into_iter().map(RawPacket::read).collect::<Result<Vec<_>, _>>()?;
        let mut seen = BTreeSet::new();
        for fault in &packets {
            if !seen.insert((&fault.from, &fault.to, fault.number)) {
                return Err(ParseError::Fault(place(fault), "this packet stands here twice"));
            }
        }
        let events = raw.events.into_iter().map(RawEvent::read).collect::<Result<Vec<_>, _>>()?;
        if let Some(pair) = events.windows(2).find(|pair| pair[0].at > pair[1].at) {
            let which = format!("the event at {}", span::write(pair[1].at));
            return Err(ParseError::Fault(which, "events stand in the order of time"));
        }
        Ok(Plan { packets, events })
    }

    /// The plan as a file.
    pub fn write(&self) -> String {
        let mut text = String::new();
        text.push_str("packets = [\n");
        for fault in &self.packets {
            let _ = writeln!(text, "    {{ {} }}, # {}", entry(fault), one_line(&fault.note));
        }
        text.push_str("]\nevents = [\n");
        for Event { at, what } in &self.events {
            let what = match what {
                What::Off(host) => format!("off = {}", quoted(host)),
                What::Restart(host) => format!("restart = {}", quoted(host)),
                What::Cut(from, to) => format!("cut = [{}, {}]", quoted(from), quoted(to)),
                What::Mend(from, to) => format!("mend = [{}, {}]", quoted(from), quoted(to)),
            };
            let _ = writeln!(text, "    {{ at = \"{}\", {what} }},", span::write(*at));
        }
        text.push_str("]\n");
        text
    }
}

/// A plan as it stands in a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    #[serde(default)]
    packets: Vec<RawPacket>,
    #[serde(default)]
    events: Vec<RawEvent>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPacket {
    from: String,
    to: String,
    number: u64,
    #[serde(default)]
    lost: bool,
    late: Option<String>,
    again: Option<String>,
    flip: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    at: String,
    off: Option<String>,
    restart: Option<String>,
    cut: Option<(String, String)>,
    mend: Option<(String, String)>,
}

impl RawPacket {
    fn read(self) -> Result<PacketFault, ParseError> {
        let RawPacket { from, to, number, lost, late, again, flip } = self;
        let mut fault = PacketFault { from, to, number, fate: Fate::default(), note: String::new() };
        let wrong = |why| ParseError::Fault(place(&fault), why);
        if number == 0 {
            return Err(wrong("the first packet is number 1"));
        }
        let time = |text: Option<String>| match text {
            Some(text) => span::read(&text).map(Some).ok_or_else(|| wrong("a time is like \"12.5 ms\"")),
            None => Ok(None),
        };
        let delay = time(late)?.unwrap_or(Duration::ZERO);
        let fate = Fate { lost, delay, duplicate: time(again)?, flip };
        if fate == Fate::default() {
            return Err(wrong("nothing happens to it: lost = true, late, again or flip"));
        }
        fault.fate = fate;
        Ok(fault)
    }
}

impl RawEvent {
    fn read(self) -> Result<Event, ParseError> {
        let RawEvent { at, off, restart, cut, mend } = self;
        let wrong = |why| ParseError::Fault(format!("the event at {at:?}"), why);
        let time = span::read(&at).ok_or_else(|| wrong("a time is like \"12.5 ms\""))?;
        let all = [
            off.map(What::Off),
            restart.map(What::Restart),
            cut.map(|(from, to)| What::Cut(from, to)),
            mend.map(|(from, to)| What::Mend(from, to)),
        ];
        let mut all = all.into_iter().flatten();
        match (all.next(), all.next()) {
            (Some(what), None) => Ok(Event { at: time, what }),
            (None, _) => Err(wrong("nothing happens: off, restart, cut or mend")),
            (Some(_), Some(_)) => Err(wrong("two things happen; make it two events")),
        }
    }
}

fn entry(fault: &PacketFault) -> String {
    let Fate { lost, delay, duplicate, flip } = fault.fate;
    let mut text =
        format!("from = {}, to = {}, number = {}", quoted(&fault.from), quoted(&fault.to), fault.number);
    if lost {
        text.push_str(", lost = true");
    }
    if !delay.is_zero() {
        let _ = write!(text, ", late = \"{}\"", span::write(delay));
    }
    if let Some(later) = duplicate {
        let _ = write!(text, ", again = \"{}\"", span::write(later));
    }
    if let Some(bit) = flip {
        let _ = write!(text, ", flip = {bit}");
    }
    text
}

fn place(fault: &PacketFault) -> String {
    format!("packet {} from {} to {}", fault.number, fault.from, fault.to)
}

fn quoted(name: &str) -> String {
    toml::Value::from(name).to_string()
}

fn one_line(note: &str) -> String {
    note.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut plan = everything();
        let text = plan.write();
        plan.packets.iter_mut().for_each(|fault| fault.note.clear());
        assert_eq!(Plan::parse(&text), Ok(plan), "{text}");
    }

    #[test]
    fn a_line_reads_like_a_sentence() {
        let text = everything().write();
        let line = "    { from = \"PBX\", to = \"bob\", number = 3, lost = true }, # 1.014s  ACK\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        let refused = |text: &str| Plan::parse(text).expect_err(text).to_string();
        let packet = |rest: &str| refused(&format!("packets = [{{ from = 'a', to = 'b', {rest} }}]"));
        assert!(packet("number = 0, lost = true").contains("the first packet is number 1"));
        assert!(packet("number = 1").contains("packet 1 from a to b: nothing happens to it"));
        assert!(packet("number = 1, late = '5'").contains("12.5 ms"));
        assert!(packet("number = 1, lots = true").contains("unknown field `lots`"));
        assert!(refused("events = [{ at = '1 s' }]").contains("nothing happens"));
        assert!(refused("events = [{ at = '1 s', off = 'a', restart = 'a' }]").contains("two things"));
        assert!(refused("packets = 3").contains("line 1"));
        let twice = "packets = [{ from = 'a', to = 'b', number = 1, lost = true }, \
                     { from = 'a', to = 'b', number = 1, late = '1 s' }]";
        assert!(refused(twice).contains("twice"));
    }

    /// Every kind of fault and event once.
    fn everything() -> Plan {
        let fault = |from: &str, to: &str, number, fate, note: &str| PacketFault {
            from: from.into(),
            to: to.into(),
            number,
            fate,
            note: note.into(),
        };
        let name = |name: &str| name.to_owned();
        let lost = Fate { lost: true, ..Fate::default() };
        let odd = Fate {
            lost: false,
            delay: Duration::from_nanos(1_234_567),
            duplicate: Some(Duration::ZERO),
            flip: Some(77),
        };
        let event = |millis, what| Event { at: Duration::from_millis(millis), what };
        Plan {
            packets: vec![fault("PBX", "bob", 3, lost, "1.014s  ACK"), fault("bob", "PBX", 1, odd, "")],
            events: vec![
                event(1, What::Off(name("bob"))),
                event(2, What::Restart(name("bob"))),
                event(2, What::Cut(name("bob"), name("PBX"))),
                event(3_000, What::Mend(name("bob"), name("PBX"))),
            ],
        }
    }
}
