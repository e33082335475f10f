//! Messages by the dialog they belong to (RFC 3261 section 12).

use super::{Sip, Transaction};
use std::collections::BTreeMap;

/// Two sides and what they said to each other.
#[derive(Debug)]
pub(in crate::rules) struct Dialog {
    /// The transaction of the INVITE that began it; `None` when that was not seen.
    pub(in crate::rules) begun_by: Option<usize>,
    /// The tag of the one who began it, and of the other.
    pub(in crate::rules) tags: [String; 2],
    /// All with both tags, by their places in the log; the request that began it has one.
    pub(in crate::rules) messages: Vec<usize>,
}

impl Dialog {
    /// Whether a message with both tags comes from the one who began the dialog.
    pub(in crate::rules) fn is_from_caller(&self, message: &Sip) -> bool {
        (message.from_tag == self.tags[0]) == message.is_request()
    }
}

/// Sorts messages, which are told their dialogs.
pub(super) fn sort(messages: &mut [Sip], transactions: &[Transaction]) -> Vec<Dialog> {
    let mut dialogs: Vec<Dialog> = Vec::new();
    let mut known: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for place in 0..messages.len() {
        let message = &messages[place];
        if message.is_ghost || message.from_tag.is_empty() || message.to_tag.is_empty() || !is_within(message)
        {
            continue;
        }
        let key = (message.call_id.clone(), message.from_tag.clone(), message.to_tag.clone());
        let at = match known.get(&key) {
            Some(at) => *at,
            None if !makes_one(message) => continue,
            None => {
                let begun_by = message.transaction.filter(|at| begins(&transactions[*at], messages));
                let (call_id, one, other) = key;
                known.insert((call_id.clone(), one.clone(), other.clone()), dialogs.len());
                known.insert((call_id, other.clone(), one.clone()), dialogs.len());
                dialogs.push(Dialog { begun_by, tags: [one, other], messages: Vec::new() });
                dialogs.len() - 1
            }
        };
        dialogs[at].messages.push(place);
        messages[place].dialog = Some(at);
    }
    dialogs
}

/// Whether it is said within a dialog. What is registered or asked about has none.
fn is_within(message: &Sip) -> bool {
    !["REGISTER", "OPTIONS", "MESSAGE", "PUBLISH"].contains(&message.method.as_str()) || message.is_request()
}

/// Whether it makes a dialog that nobody had seen: a refusal has a tag as well and makes none, nor does its ACK.
fn makes_one(message: &Sip) -> bool {
    message.status.map_or(message.method != "ACK", |status| (101..300).contains(&status))
}

fn begins(transaction: &Transaction, messages: &[Sip]) -> bool {
    let request = transaction.requests.first().map(|place| &messages[*place]);
    request.is_some_and(|request| request.method == "INVITE" && request.to_tag.is_empty())
}
