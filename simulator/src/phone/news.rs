//! What a telephone is told of messages and of the calls of others, and what its lamps show of it.

use pbx::sip::StatusCode;
use std::collections::BTreeMap;

/// What it was told.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The final answers to what it wanted to know.
    pub answers: Vec<StatusCode>,
    /// Subscription-State of each NOTIFY, in order; `unsolicited` for one that it had not asked for.
    pub states: Vec<String>,
    /// Messages that its owner has not heard, and those that he has.
    pub messages: Option<(u32, u32)>,
    /// The calls of whom it watches, by their ids.
    pub dialogs: BTreeMap<String, Watched>,
    /// The number of the last document of calls.
    version: Option<u32>,
    /// Whether a document came that did not follow on the one before (RFC 4235 section 4.1).
    pub has_missed: bool,
}

/// A call of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// `trying`, `early`, `confirmed`.
    pub state: String,
    /// The other side.
    pub with: String,
    /// Its name, as Replaces wants it, where it was told.
    pub replaces: Option<String>,
}

impl News {
    pub(super) fn hear(&mut self, event: &str, state: String, body: String) {
        self.states.push(state);
        match event.split(';').next().unwrap_or_default().trim() {
            "message-summary" => self.messages = messages(&body).or(self.messages),
            "dialog" => self.watch(&body),
            _ => {}
        }
    }

    fn watch(&mut self, body: &str) {
        let Some((_, body)) = body.split_once("<dialog-info") else { return };
        let Some(version) = attribute(body, "version").and_then(|version| version.parse().ok()) else {
            return;
        };
        let is_full = attribute(body, "state").as_deref() == Some("full");
        if is_full {
            self.dialogs.clear();
        } else if self.version.is_none_or(|last| version != last + 1) {
            self.has_missed = true;
        }
        self.version = Some(version);
        for dialog in body.split("<dialog ").skip(1) {
            let Some(id) = attribute(dialog, "id") else { continue };
            let state = within(dialog, "<state>").unwrap_or_default().to_owned();
            if state == "terminated" {
                self.dialogs.remove(&id);
                continue;
            }
            let remote = dialog.split("<remote>").nth(1).unwrap_or_default();
            let with = within(remote, "<identity>sip:").unwrap_or_default();
            let with = with.split('@').next().unwrap_or_default().to_owned();
            let name = |name| attribute(dialog, name);
            let replaces = name("call-id").zip(name("local-tag")).zip(name("remote-tag"));
            let replaces = replaces.map(|((call_id, local), remote)| {
                format!("{call_id};to-tag={local};from-tag={remote};early-only")
            });
            self.dialogs.insert(id, Watched { state, with, replaces });
        }
    }
}

fn messages(body: &str) -> Option<(u32, u32)> {
    let line = body.lines().find_map(|line| line.strip_prefix("Voice-Message:"))?;
    let (new, old) = line.trim().split(' ').next()?.split_once('/')?;
    Some((new.parse().ok()?, old.parse().ok()?))
}

/// What stands in quotes behind this name; the first one.
fn attribute(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("{name}=\""))?;
    Some(rest.split('"').next()?.to_owned())
}

fn within<'a>(text: &'a str, after: &str) -> Option<&'a str> {
    text.split_once(after)?.1.split('<').next()
}
