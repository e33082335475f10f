//! Messages by the transaction they belong to (RFC 3261 sections 17.1.3 and 17.2.3).

use super::Sip;
use std::collections::BTreeMap;

/// A request, what was sent of it again, and what was answered.
#[derive(Debug, Default)]
pub(in crate::rules) struct Transaction {
    /// The request and its copies, by their places in the log.
    pub(in crate::rules) requests: Vec<usize>,
    /// The responses to it and their copies.
    pub(in crate::rules) responses: Vec<usize>,
    /// What came of any of these that was damaged on its way.
    pub(in crate::rules) ghosts: Vec<usize>,
    /// The ACKs that have its branch, for an INVITE.
    pub(in crate::rules) acks: Vec<usize>,
    /// The transaction of the CANCEL that has its branch, for an INVITE.
    pub(in crate::rules) cancelled_by: Option<usize>,
    /// The transaction of the INVITE that has its branch, for a CANCEL.
    pub(in crate::rules) cancels: Option<usize>,
}

/// Branch, sent-by, method.
type Key = (String, String, String);

/// Sorts messages, which are told their transactions.
pub(super) fn sort(messages: &mut [Sip]) -> Vec<Transaction> {
    let mut transactions: Vec<Transaction> = Vec::new();
    let mut known: BTreeMap<Key, usize> = BTreeMap::new();
    for (place, message) in messages.iter_mut().enumerate() {
        let key = key(message, if message.method == "ACK" { "INVITE" } else { &message.method });
        let at = match known.get(&key) {
            Some(at) => *at,
            // A response to nothing; nobody waits for it.
            None if !message.is_request() => continue,
            None => {
                known.insert(key, transactions.len());
                transactions.push(Transaction::default());
                transactions.len() - 1
            }
        };
        message.transaction = Some(at);
        let transaction = &mut transactions[at];
        match (message.is_request(), message.method.as_str()) {
            _ if message.is_ghost => transaction.ghosts.push(place),
            (true, "ACK") => transaction.acks.push(place),
            (true, _) => transaction.requests.push(place),
            (false, _) => transaction.responses.push(place),
        }
    }
    pair(messages, &known, &mut transactions);
    transactions
}

fn key(message: &Sip, method: &str) -> Key {
    let sent_by = message.via().map(|via| via.sent_by().to_string());
    // The value of a parameter is the same in whatever case it is written (RFC 3261 section 7.3.1).
    (message.branch.to_ascii_lowercase(), sent_by.unwrap_or_default(), method.to_owned())
}

fn pair(messages: &[Sip], known: &BTreeMap<Key, usize>, transactions: &mut [Transaction]) {
    for at in 0..transactions.len() {
        let cancel = transactions[at].requests.first().map(|place| &messages[*place]);
        let Some(cancel) = cancel.filter(|request| request.method == "CANCEL") else { continue };
        if let Some(invite) = known.get(&key(cancel, "INVITE")) {
            transactions[at].cancels = Some(*invite);
            transactions[*invite].cancelled_by = Some(at);
        }
    }
}
