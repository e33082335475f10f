//! The dialogs of an extension as XML (RFC 4235): all of them, or what has changed since the last time.
//!
//! Only while it rings at the extension a dialog is named by its Call-ID and tags: that is what somebody needs who picks the
//! call up (RFC 3891), and nobody needs to take one away that is answered.

use super::address_of;
use crate::call::{Context, DialogNow, DialogState};
use crate::dialog::Body;
use std::fmt::Write as _;

/// What one watcher knows.
#[derive(Default)]
pub(super) struct Dialogs {
    /// Of the next document.
    version: u32,
    known: Vec<DialogNow>,
}

impl Dialogs {
    /// All of them.
    pub(super) fn all(&mut self, number: &str, now: Vec<DialogNow>, context: &Context) -> Body {
        let domain = &context.config.sip.domain;
        let dialogs: String = now.iter().map(|dialog| written(dialog, number, domain)).collect();
        self.known = now;
        self.document(number, "full", &dialogs, context)
    }

    /// What has changed; `None`: nothing has.
    pub(super) fn news(&mut self, number: &str, now: Vec<DialogNow>, context: &Context) -> Option<Body> {
        let domain = &context.config.sip.domain;
        let changed = now.iter().filter(|dialog| !self.known.contains(dialog));
        let mut dialogs: String = changed.map(|dialog| written(dialog, number, domain)).collect();
        let is_gone = |dialog: &&DialogNow| now.iter().all(|other| other.id != dialog.id);
        for gone in self.known.iter().filter(is_gone) {
            let _ = writeln!(dialogs, "<dialog id=\"{}\"><state>terminated</state></dialog>", gone.id);
        }
        self.known = now;
        (!dialogs.is_empty()).then(|| self.document(number, "partial", &dialogs, context))
    }

    fn document(&mut self, number: &str, state: &str, dialogs: &str, context: &Context) -> Body {
        let entity = escaped(&address_of(number, context));
        let text = format!(
            "<?xml version=\"1.0\"?>\n\
             <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{}\" state=\"{state}\" \
             entity=\"{entity}\">\n{dialogs}</dialog-info>\n",
            self.version
        );
        self.version += 1;
        Body { content_type: "application/dialog-info+xml".into(), bytes: text.into_bytes() }
    }
}

fn written(dialog: &DialogNow, number: &str, domain: &str) -> String {
    let DialogNow { id, state, is_caller, with, names } = dialog;
    let state = match state {
        DialogState::Trying => "trying",
        DialogState::Early => "early",
        DialogState::Confirmed => "confirmed",
    };
    let direction = if *is_caller { "initiator" } else { "recipient" };
    let names = names.as_ref().map_or_else(String::new, |[call_id, local, remote]| {
        let [call_id, local, remote] = [call_id, local, remote].map(|name| escaped(name));
        format!(" call-id=\"{call_id}\" local-tag=\"{local}\" remote-tag=\"{remote}\"")
    });
    let address = |number: &str| escaped(&format!("sip:{}@{domain}", crate::sip::escape_user(number)));
    format!(
        "<dialog id=\"{id}\"{names} direction=\"{direction}\"><state>{state}</state>\
         <local><identity>{}</identity></local><remote><identity>{}</identity></remote></dialog>\n",
        address(number),
        address(with)
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let dialog = DialogNow {
            id: "d1".into(),
            state: DialogState::Early,
            is_caller: false,
            with: "a\"<&>".into(),
            names: Some(["x<1>".into(), "t&1".into(), "u".into()]),
        };
        let text = written(&dialog, "1001", "office.example");
        assert!(text.contains("call-id=\"x&lt;1&gt;\" local-tag=\"t&amp;1\" remote-tag=\"u\""), "{text}");
        assert!(!text.contains("a\"<"), "{text}");
    }
}
