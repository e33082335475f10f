//! The header lines of a message, in their order.

use smallvec::SmallVec;
use std::fmt::{self, Write as _};

/// A stretch of the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// One header line: the whole of it as it is written (without its CRLF), and where its value lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) name: Name,
    pub(super) name_length: u16,
    pub(super) whole: Span,
    pub(super) value: Span,
}

/// The header lines of a message, in their order; each is written as it came unless it was changed.
///
/// Values are raw: trimmed, but a folded value still holds its line break, which the typed values take as white space.
#[derive(Clone, Default)]
pub struct Headers {
    pub(super) arena: Vec<u8>,
    pub(super) lines: SmallVec<[Line; 20]>,
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
    pub fn get_named(&self, name: &str) -> Option<&str> {
        match Name::of(name) {
            Name::Other => self
                .lines
                .iter()
                .find(|line| line.name == Name::Other && self.name_text(line).eq_ignore_ascii_case(name))
                .map(|line| self.text(line.value)),
            known => self.get(known),
        }
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
        let line = self.compose(name, name.as_str(), value);
        self.lines.push(line);
    }

    /// Adds a line of any name after all others.
    pub fn push_named(&mut self, name: &str, value: impl fmt::Display) {
        let line = self.compose(Name::of(name), name, value);
        self.lines.push(line);
    }

    /// Adds a line before all others.
    pub fn push_front(&mut self, name: Name, value: impl fmt::Display) {
        let line = self.compose(name, name.as_str(), value);
        self.lines.insert(0, line);
    }

    /// Replaces the first line of this name and removes its other lines; adds a line when there is none.
    pub fn set(&mut self, name: Name, value: impl fmt::Display) {
        let line = self.compose(name, name.as_str(), value);
        match self.lines.iter().position(|line| line.name == name) {
            Some(first) => {
                self.remove_after(name, first + 1);
                self.lines[first] = line;
            }
            None => self.lines.push(line),
        }
    }

    /// Replaces the first line of this name and leaves its other lines alone.
    pub fn set_first(&mut self, name: Name, value: impl fmt::Display) {
        match self.lines.iter().position(|line| line.name == name) {
            Some(first) => self.lines[first] = self.compose(name, name.as_str(), value),
            None => self.push(name, value),
        }
    }

    /// Removes all lines of this name.
    pub fn remove(&mut self, name: Name) {
        self.remove_after(name, 0);
    }

    /// Removes the first line of this name.
    pub fn remove_first(&mut self, name: Name) {
        if let Some(first) = self.lines.iter().position(|line| line.name == name) {
            self.lines.remove(first);
        }
    }

    pub(super) fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span))
            .expect("the head of a message is checked to be UTF-8 when it is read")
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        &self.arena[span.start as usize..span.end as usize]
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Span {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        Span { start, end: self.arena.len() as u32 }
    }

    pub(super) fn append_text(&mut self, text: fmt::Arguments<'_>) -> Span {
        let start = self.arena.len() as u32;
        Arena(&mut self.arena).write_fmt(text).expect("writing to memory does not fail");
        Span { start, end: self.arena.len() as u32 }
    }

    fn name_text(&self, line: &Line) -> &str {
        self.text(Span { start: line.whole.start, end: line.whole.start + u32::from(line.name_length) })
    }

    /// A value must not break out of its line: line breaks in it become spaces.
    fn compose(&mut self, name: Name, written: &str, value: impl fmt::Display) -> Line {
        let whole = self.append_text(format_args!("{written}: {value}"));
        for byte in &mut self.arena[whole.start as usize..whole.end as usize] {
            if matches!(byte, b'\r' | b'\n' | 0) {
                *byte = b' ';
            }
        }
        let value = Span { start: whole.start + written.len() as u32 + 2, end: whole.end };
        Line { name, name_length: written.len() as u16, whole, value }
    }

    fn remove_after(&mut self, name: Name, from: usize) {
        let mut index = 0;
        self.lines.retain(|line| {
            index += 1;
            index <= from || line.name != name
        });
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

struct Arena<'a>(&'a mut Vec<u8>);

impl fmt::Write for Arena<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?,)*) => {
        /// A header name that this PBX knows; all others are [`Name::Other`] and found by their text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// A name that is not listed here.
            Other,
        }

        impl Name {
            /// The name of a text, long or compact (RFC 3261 section 7.3.3), without case.
            pub fn of(text: &str) -> Name {
                $(if text.eq_ignore_ascii_case($text) $(|| text.eq_ignore_ascii_case($compact))? {
                    return Name::$variant;
                })*
                Name::Other
            }

            /// The long form as it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Name::$variant => $text,)*
                    Name::Other => "",
                }
            }
        }
    };
}

names! {
    Via "Via" "v",
    From "From" "f",
    To "To" "t",
    CallId "Call-ID" "i",
    CSeq "CSeq",
    Contact "Contact" "m",
    MaxForwards "Max-Forwards",
    ContentLength "Content-Length" "l",
    ContentType "Content-Type" "c",
    ContentEncoding "Content-Encoding" "e",
    ContentDisposition "Content-Disposition",
    ContentLanguage "Content-Language",
    Route "Route",
    RecordRoute "Record-Route",
    Expires "Expires",
    MinExpires "Min-Expires",
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    Allow "Allow",
    AllowEvents "Allow-Events" "u",
    Authorization "Authorization",
    AuthenticationInfo "Authentication-Info",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    WwwAuthenticate "WWW-Authenticate",
    Date "Date",
    Event "Event" "o",
    SubscriptionState "Subscription-State",
    MimeVersion "MIME-Version",
    Path "Path",
    Rack "RAck",
    Rseq "RSeq",
    Reason "Reason",
    ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b",
    Replaces "Replaces",
    Require "Require",
    RetryAfter "Retry-After",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" "x",
    MinSe "Min-SE",
    Subject "Subject" "s",
    Supported "Supported" "k",
    Timestamp "Timestamp",
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    Warning "Warning",
    Diversion "Diversion",
    HistoryInfo "History-Info",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Privacy "Privacy",
    SipIfMatch "SIP-If-Match",
    SipEtag "SIP-ETag",
}
