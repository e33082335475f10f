//! The header lines of a message, in their order, and the text they are kept in.

use super::Name;
use super::line::is_token;
use smallvec::SmallVec;
use std::fmt::{self, Write};

/// The header lines of a message, in their order; each is written as it came unless it was changed.
///
/// Values are raw: trimmed, but a folded value still holds its line break, which the typed values take as white space.
#[derive(Clone, Default)]
pub struct Headers {
    pub(super) arena: String,
    pub(super) lines: Lines,
}

/// As many as most messages have, without an allocation.
pub(super) type Lines = SmallVec<[Line; 24]>;

/// One header line: the whole of it as it is written (without its CRLF), and where its value lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) name: Name,
    pub(super) name_length: u16,
    pub(super) whole: Span,
    pub(super) value: Span,
}

/// A stretch of the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Headers {
    /// The value of the first line of this name.
    pub fn get(&self, name: Name) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all lines of this name, first to last. A line may hold several values, separated by commas.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |line| line.name == name).map(|line| self.text(line.value))
    }

    /// The value of the first line of a name that [`Name`] does not list; names are compared without case.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.lines_named(name).next().map(|line| self.text(line.value))
    }

    /// The values of all lines of a name that [`Name`] may not list, first to last.
    pub fn all_named(&self, name: &str) -> impl Iterator<Item = &str> {
        self.lines_named(name).map(|line| self.text(line.value))
    }

    /// Whether there is a line of this name.
    pub fn has(&self, name: Name) -> bool {
        self.lines.iter().any(|line| line.name == name)
    }

    /// How many lines have this name.
    pub fn count(&self, name: Name) -> usize {
        self.lines.iter().filter(|line| line.name == name).count()
    }

    /// All lines: the name as it was written and the raw value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|line| (self.name_text(line), self.text(line.value)))
    }

    /// Adds a line after all others.
    pub fn push(&mut self, name: Name, value: impl fmt::Display) {
        self.push_named(name.as_str(), value);
    }

    /// Adds a line of any name after all others. A name that is no token would be read as something else, so nothing is
    /// added.
    pub fn push_named(&mut self, name: &str, value: impl fmt::Display) {
        if let Some(line) = self.compose(name, value) {
            self.lines.push(line);
        }
    }

    /// Adds a line before all others.
    pub fn push_front(&mut self, name: Name, value: impl fmt::Display) {
        if let Some(line) = self.compose(name.as_str(), value) {
            self.lines.insert(0, line);
        }
    }

    /// Replaces the first line of this name and removes its other lines; adds a line when there is none.
    pub fn set(&mut self, name: Name, value: impl fmt::Display) {
        self.set_first(name, value);
        let mut found = false;
        self.lines.retain(|line| line.name != name || !std::mem::replace(&mut found, true));
    }

    /// Replaces the first line of this name and leaves its other lines alone; adds a line when there is none.
    pub fn set_first(&mut self, name: Name, value: impl fmt::Display) {
        let Some(new) = self.compose(name.as_str(), value) else { return };
        match self.lines.iter_mut().find(|line| line.name == name) {
            Some(first) => *first = new,
            None => self.lines.push(new),
        }
    }

    /// Removes all lines of this name.
    pub fn remove(&mut self, name: Name) {
        self.lines.retain(|line| line.name != name);
    }

    /// Removes the first line of this name.
    pub fn remove_first(&mut self, name: Name) {
        if let Some(first) = self.lines.iter().position(|line| line.name == name) {
            self.lines.remove(first);
        }
    }

    /// No lines, and room for a usual message.
    pub(super) fn new() -> Headers {
        Headers { arena: String::with_capacity(1024), lines: Lines::new() }
    }

    /// A stretch of the arena. Lines that were put in the place of those of another message may lack it: then it is empty.
    pub(super) fn text(&self, span: Span) -> &str {
        self.arena.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Adds text to the arena, by itself no line; line breaks in it become spaces.
    pub(super) fn append(&mut self, text: impl fmt::Display) -> Span {
        let start = self.arena.len() as u32;
        // Memory does not refuse; a text that fails to say itself leaves what it said.
        let _ = write!(OneLine(&mut self.arena), "{text}");
        Span { start, end: self.arena.len() as u32 }
    }

    fn lines_named(&self, name: &str) -> impl Iterator<Item = &Line> {
        let known = Name::of(name);
        self.lines.iter().filter(move |line| {
            line.name == known && (known != Name::Other || self.name_text(line).eq_ignore_ascii_case(name))
        })
    }

    fn name_text(&self, line: &Line) -> &str {
        self.text(Span { start: line.whole.start, end: line.whole.start + u32::from(line.name_length) })
    }

    fn compose(&mut self, written: &str, value: impl fmt::Display) -> Option<Line> {
        let name_length = u16::try_from(written.len()).ok().filter(|&length| length > 0)?;
        if !written.bytes().all(is_token) {
            return None;
        }
        let start = self.arena.len() as u32;
        self.arena.push_str(written);
        self.arena.push_str(": ");
        let value = self.append(value);
        let whole = Span { start, end: value.end };
        Some(Line { name: Name::of(written), name_length, whole, value })
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Keeps what is written on one line: whoever chose the value must not choose the lines after it.
struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = memchr::memchr3(b'\r', b'\n', 0, rest.as_bytes()) {
            self.0.push_str(&rest[..at]);
            self.0.push(' ');
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_on_its_line() {
        let mut headers = Headers::new();
        headers.push(Name::Subject, "lunch\r\nContact: <sip:mallory@evil>\0");
        assert_eq!(lines(&headers), ["Subject: lunch  Contact: <sip:mallory@evil> "]);
    }

    #[test]
    fn a_name_that_is_no_token_is_not_written() {
        let mut headers = Headers::new();
        for name in ["", "X\r\nContact", "X:", "X Y", "Ä"] {
            headers.push_named(name, "1");
        }
        headers.push(Name::Other, "1");
        assert_eq!(lines(&headers), [""; 0]);
    }

    #[test]
    fn setting_a_name_leaves_one_line_in_the_place_of_the_first() {
        let mut headers = Headers::new();
        headers.push(Name::Via, "1");
        headers.push(Name::Route, "a");
        headers.push(Name::To, "2");
        headers.push(Name::Route, "b");
        headers.set(Name::Route, "c");
        headers.set(Name::From, "3");
        assert_eq!(lines(&headers), ["Via: 1", "Route: c", "To: 2", "From: 3"]);
    }

    #[test]
    fn replacing_the_first_leaves_the_others() {
        let mut headers = Headers::new();
        headers.push(Name::Via, "b");
        headers.push(Name::Via, "c");
        headers.push_front(Name::Via, "a");
        headers.set_first(Name::Via, "A");
        headers.remove_first(Name::Route);
        assert_eq!(headers.all(Name::Via).collect::<Vec<_>>(), ["A", "b", "c"]);
    }

    #[test]
    fn an_unknown_name_is_found_without_case() {
        let mut headers = Headers::new();
        headers.push_named("X-Room", "1");
        headers.push_named("x-room", "2");
        headers.push_named("t", "sip:a@b");
        assert_eq!(headers.all_named("X-ROOM").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(headers.named("to"), Some("sip:a@b"));
        assert_eq!(headers.named("X-Floor"), None);
    }

    fn lines(headers: &Headers) -> Vec<&str> {
        headers.lines.iter().map(|line| headers.text(line.whole)).collect()
    }
}
