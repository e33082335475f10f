//! Metadata of a recording session (RFC 7865): what a recorder reads of it, and what it holds against it.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use std::collections::BTreeSet;

const NAMESPACE: &[u8] = b"urn:ietf:params:xml:ns:recording:1";

/// The children of the root in the order of the schema.
const ORDER: [&str; 8] = [
    "datamode",
    "group",
    "session",
    "participant",
    "stream",
    "sessionrecordingassoc",
    "participantsessionassoc",
    "participantstreamassoc",
];

/// One document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `complete` or `partial`.
    pub mode: String,
    /// The ids of the communication sessions.
    pub sessions: Vec<String>,
    /// Who takes part.
    pub participants: Vec<Participant>,
    /// The streams that are recorded.
    pub streams: Vec<Stream>,
    /// Participant and stream: who sends what.
    pub sends: Vec<(String, String)>,
    /// The same: who hears what.
    pub receives: Vec<(String, String)>,
}

/// Somebody in a communication session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    /// The id.
    pub id: String,
    /// The address of record.
    pub aor: String,
    /// The name, when there is one.
    pub name: Option<String>,
}

/// A stream of a communication session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The id.
    pub id: String,
    /// The label in the session description.
    pub label: Option<String>,
}

impl Metadata {
    /// Reads a document. An `Err` says what it breaks.
    pub fn parse(text: &str) -> Result<Metadata, String> {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().trim_text(true);
        let mut reading = Reading::default();
        loop {
            let (namespace, event) = reader.read_resolved_event().map_err(|error| error.to_string())?;
            let is_ours = namespace == ResolveResult::Bound(quick_xml::name::Namespace(NAMESPACE));
            match event {
                Event::Start(start) => reading.open(&start, is_ours)?,
                Event::Empty(start) => {
                    reading.open(&start, is_ours)?;
                    reading.end();
                }
                Event::End(_) => reading.end(),
                Event::Text(words) => {
                    reading.text(words.decode().map_err(|error| error.to_string())?.trim());
                }
                Event::Eof => break,
                Event::CData(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::DocType(_) | Event::GeneralRef(_) => {}
            }
        }
        if !reading.path.is_empty() || !reading.has_root {
            return Err("the document ends too early".to_owned());
        }
        let mut metadata = reading.metadata;
        if metadata.mode.is_empty() {
            metadata.mode = "complete".to_owned();
        }
        metadata.check(&reading.references)?;
        Ok(metadata)
    }

    /// The name or the address of who sends a stream.
    pub fn sender_of(&self, label: &str) -> Option<&Participant> {
        let stream = self.streams.iter().find(|stream| stream.label.as_deref() == Some(label))?;
        let (participant, _) = self.sends.iter().find(|(_, sent)| *sent == stream.id)?;
        self.participants.iter().find(|known| known.id == *participant)
    }

    fn check(&self, references: &BTreeSet<(&'static str, String)>) -> Result<(), String> {
        let ids = [
            ("session_id", self.sessions.iter().collect::<Vec<_>>()),
            ("participant_id", self.participants.iter().map(|participant| &participant.id).collect()),
            ("stream_id", self.streams.iter().map(|stream| &stream.id).collect()),
        ];
        let mut seen = BTreeSet::new();
        for id in ids.iter().flat_map(|(_, ids)| ids) {
            if !is_id(id) {
                return Err(format!("{id:?} is no base64 of 16 bytes"));
            }
            if !seen.insert(*id) {
                return Err(format!("{id:?} stands for two things"));
            }
        }
        // What a partial document refers to may stand in the one before.
        if self.mode == "partial" {
            return Ok(());
        }
        for (kind, id) in references {
            let known = ids.iter().find(|(known, _)| known == kind).map(|(_, ids)| ids);
            if known.is_none_or(|ids| !ids.contains(&id)) {
                return Err(format!("{kind} {id:?} leads nowhere"));
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Reading {
    metadata: Metadata,
    has_root: bool,
    /// The elements we are in, outermost first.
    path: Vec<String>,
    /// How far the order of the schema is.
    rank: usize,
    /// Of which participant an association speaks.
    about: String,
    references: BTreeSet<(&'static str, String)>,
}

impl Reading {
    fn open(&mut self, start: &BytesStart<'_>, is_ours: bool) -> Result<(), String> {
        let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
        let depth = self.path.len();
        if depth == 0 && (name != "recording" || !is_ours) {
            return Err(format!("the root is {name:?}, and not recording of RFC 7865"));
        }
        self.has_root = true;
        if !is_ours {
            // Extensions have a namespace of their own, and nobody here knows them.
            self.path.push(String::new());
            return Ok(());
        }
        if depth == 1 {
            let rank = ORDER.iter().position(|known| *known == name);
            let rank = rank.ok_or_else(|| format!("{name:?} does not belong into recording"))?;
            if rank < self.rank {
                return Err(format!("{name:?} comes too late"));
            }
            self.rank = rank;
        }
        self.path.push(name.clone());
        self.element(&name, start)
    }

    fn element(&mut self, name: &str, start: &BytesStart<'_>) -> Result<(), String> {
        let required =
            |key: &str| attribute(start, key).ok_or_else(|| format!("{name:?} has no attribute {key}"));
        match name {
            "session" => self.metadata.sessions.push(required("session_id")?),
            "participant" => self
                .metadata
                .participants
                .push(Participant { id: required("participant_id")?, ..Participant::default() }),
            "nameID" => {
                let aor = required("aor")?;
                if let Some(participant) = self.metadata.participants.last_mut() {
                    participant.aor = aor;
                }
            }
            "stream" => {
                self.metadata.streams.push(Stream { id: required("stream_id")?, label: None });
                if let Some(session) = attribute(start, "session_id") {
                    self.references.insert(("session_id", session));
                }
            }
            "sessionrecordingassoc" => {
                self.references.insert(("session_id", required("session_id")?));
            }
            "participantsessionassoc" => {
                self.references.insert(("participant_id", required("participant_id")?));
                self.references.insert(("session_id", required("session_id")?));
            }
            "participantstreamassoc" => {
                self.about = required("participant_id")?;
                self.references.insert(("participant_id", self.about.clone()));
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, words: &str) {
        let words = words.to_owned();
        match self.path.last().map(String::as_str) {
            Some("datamode") => self.metadata.mode = words,
            Some("name") => {
                if let Some(participant) = self.metadata.participants.last_mut() {
                    participant.name = Some(words);
                }
            }
            Some("label") => {
                if let Some(stream) = self.metadata.streams.last_mut() {
                    stream.label = Some(words);
                }
            }
            Some("send") => {
                self.references.insert(("stream_id", words.clone()));
                self.metadata.sends.push((self.about.clone(), words));
            }
            Some("recv") => {
                self.references.insert(("stream_id", words.clone()));
                self.metadata.receives.push((self.about.clone(), words));
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        self.path.pop();
    }
}

fn attribute(start: &BytesStart<'_>, key: &str) -> Option<String> {
    let mut attributes = start.attributes().flatten();
    let found = attributes.find(|attribute| attribute.key.as_ref() == key.as_bytes())?;
    Some(String::from_utf8_lossy(&found.value).into_owned())
}

/// Base64 of 16 bytes: 22 letters and two signs of equality.
fn is_id(text: &str) -> bool {
    let letters = text.strip_suffix("==").unwrap_or_default();
    letters.len() == 22 && letters.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "hVpd7YQgRW2nD22h7q60JQ==";
    const ALICE: &str = "srfBElmCRp2QB23b7Mpk0w==";
    const STREAM: &str = "UAAMm5GRQKSCMVvLyl4rFw==";

    #[test]
    fn a_document_says_who_sends_what() {
        let metadata = Metadata::parse(&document()).expect("a document");
        assert_eq!(metadata.mode, "complete");
        let sender = metadata.sender_of("96").expect("somebody sends it");
        assert_eq!((sender.aor.as_str(), sender.name.as_deref()), ("sip:alice@example.com", Some("Alice")));
    }

    #[test]
    fn what_is_against_the_rfc_is_said() {
        for (good, bad, wrong) in [
            ("ns:recording:1", "ns:recording", "the root is \"recording\", and not recording of RFC 7865"),
            (SESSION, "1", "\"1\" is no base64 of 16 bytes"),
            ("<send>UAAM", "<send>XAAM", "stream_id \"XAAMm5GRQKSCMVvLyl4rFw==\" leads nowhere"),
            ("participant_id=", "id=", "\"participant\" has no attribute participant_id"),
            ("<datamode>complete</datamode>", "<song/>", "\"song\" does not belong into recording"),
        ] {
            assert_eq!(Metadata::parse(&document().replace(good, bad)), Err(wrong.to_owned()));
        }
        let cut = document().replace("</recording>", "");
        assert_eq!(Metadata::parse(&cut), Err("the document ends too early".to_owned()));
    }

    fn document() -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <recording xmlns=\"urn:ietf:params:xml:ns:recording:1\"><datamode>complete</datamode>\
             <session session_id=\"{SESSION}\"/>\
             <participant participant_id=\"{ALICE}\"><nameID aor=\"sip:alice@example.com\">\
             <name xml:lang=\"en\">Alice</name></nameID></participant>\
             <stream stream_id=\"{STREAM}\" session_id=\"{SESSION}\"><label>96</label></stream>\
             <participantstreamassoc participant_id=\"{ALICE}\"><send>{STREAM}</send>\
             </participantstreamassoc></recording>"
        )
    }
}
