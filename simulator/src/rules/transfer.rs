//! Transfers (RFC 3515), and who takes another's place (RFC 3891).

use super::log::{Log, Sip, Transaction};
use super::repeat::T1;
use super::{Evidence, Findings, Rule};
use pbx::sip::{Name, NameAddr, Replaces, Uri, unescape};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "D16",
        source: "RFC 3515 sections 2.4.4 and 2.4.7",
        sentence: "who accepts a REFER tells at once how it comes along, in a fragment of SIP, and nothing after the last word",
        find: transfers_are_told,
    },
    Rule {
        id: "D17",
        source: "RFC 3891 section 3",
        sentence: "an INVITE takes the place only of a dialog that there is, of one that is answered not where it rings only was wanted, and that dialog ends",
        find: places_are_taken,
    },
];

/// How long the first word, or the end of what was replaced, may take.
const SOON: Duration = T1;

/// What transfers and replacements there were.
#[derive(Default)]
pub(super) struct Transfers {
    /// The calls whose sides were parted, by Call-ID, and since when: one of them was sent on, or somebody has taken its place.
    parted: BTreeMap<String, Instant>,
    /// Those of them in which somebody has taken a place, who ends them with that.
    taken: BTreeMap<String, Instant>,
    /// Who was sent on, by the user part of the address, from when until when it was told how that ended.
    sent_on: Vec<(String, Instant, Instant)>,
}

impl Transfers {
    pub(super) fn of(log: &Log) -> Transfers {
        let mut transfers = Transfers::default();
        for (transaction, refer) in log.transactions_of("REFER") {
            let Some(answer) = accepted(log, transaction) else { continue };
            part(&mut transfers.parted, refer.call_id.clone(), answer.at);
            let to = refer.headers().get(Name::ReferTo).unwrap_or_default();
            let replaces = to.split(['?', '&']).find_map(|part| part.strip_prefix("Replaces="));
            let replaced = replaces.and_then(|value| named(&unescape(value)));
            for call_id in replaced.into_iter().flat_map(|replaced| [replaced, refer.call_id.clone()]) {
                part(&mut transfers.parted, call_id.clone(), answer.at);
                part(&mut transfers.taken, call_id, answer.at);
            }
            let is_last = |notify: &&Sip| notify.asks("NOTIFY") && is_last(notify);
            let places = log.by_call_id.get(&refer.call_id).map_or(&[][..], Vec::as_slice);
            let mut told = log.at(places).filter(|it| it.from.ip() == answer.from.ip() && it.at >= answer.at);
            let until = told.find(is_last).map_or(Instant::from_nanos(u64::MAX), |last| last.at);
            transfers.sent_on.push((user(refer, Name::To), answer.at, until));
        }
        for (transaction, invite) in log.transactions_of("INVITE") {
            if let (Some(answer), Some(replaces)) = (accepted(log, transaction), replaces(invite))
                && let Some(call_id) = named(replaces)
            {
                part(&mut transfers.parted, call_id.clone(), answer.at);
                part(&mut transfers.taken, call_id, answer.at);
            }
        }
        transfers
    }

    /// Since when the sides of a call are parted.
    pub(super) fn parted_at(&self, call_id: &str) -> Option<Instant> {
        self.parted.get(call_id).copied()
    }

    /// Since when somebody has the place of another in a call.
    pub(super) fn taken_at(&self, call_id: &str) -> Option<Instant> {
        self.taken.get(call_id).copied()
    }

    /// Whether anybody was being sent on then.
    pub(super) fn are_under_way(&self, at: Instant) -> bool {
        self.sent_on.iter().any(|(_, from, until)| *from <= at && at <= *until)
    }

    /// Whether an INVITE may be on behalf of somebody who was sent on just then, or while it waited for its stream.
    pub(super) fn may_ask_for(&self, invite: &Sip) -> bool {
        let user = user(invite, Name::From);
        let is_its = |(who, from, until): &(String, Instant, Instant)| {
            *who == user && *from <= invite.at && invite.meant <= *until
        };
        self.sent_on.iter().any(is_its)
    }
}

fn part(parted: &mut BTreeMap<String, Instant>, call_id: String, at: Instant) {
    let since = parted.entry(call_id).or_insert(at);
    *since = at.min(*since);
}

/// The user part of an address.
fn user(message: &Sip, name: Name) -> String {
    let address = message.headers().get(name).and_then(|value| NameAddr::parse(value).ok());
    let uri = address.as_ref().and_then(|address| Uri::parse(address.uri).ok());
    uri.and_then(|uri| uri.user.map(str::to_owned)).unwrap_or_default()
}

/// Whether an INVITE is to take somebody's place.
pub(super) fn replaces(invite: &Sip) -> Option<&str> {
    invite.headers().get(Name::Replaces)
}

fn named(replaces: &str) -> Option<String> {
    Replaces::parse(replaces).ok().map(|replaces| replaces.call_id.to_owned())
}

/// The 2xx to a request.
fn accepted<'a>(log: &'a Log, transaction: &'a Transaction) -> Option<&'a Sip> {
    let mut answers = log.at(&transaction.responses);
    answers.find(|answer| answer.status.is_some_and(|status| (200..300).contains(&status)))
}

fn transfers_are_told(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, refer) in evidence.log.transactions_of("REFER") {
        let Some(answer) = accepted(&evidence.log, transaction) else { continue };
        let says_no = answer.headers().named("Refer-Sub").is_some_and(|value| value.trim() == "false");
        let is_of_it = |notify: &&Sip| {
            let event = notify.headers().get(Name::Event).unwrap_or_default();
            let id = event.split_once(";id=").and_then(|(_, id)| id.trim().parse::<u32>().ok());
            notify.call_id == refer.call_id
                && notify.from.ip() == answer.from.ip()
                && event.starts_with("refer")
                && id.is_none_or(|id| id == refer.cseq)
        };
        let told: Vec<&Sip> = evidence
            .log
            .asked()
            .map(|(_, request)| request)
            .filter(|request| request.method == "NOTIFY")
            .filter(is_of_it)
            .collect();
        let ended = |at| {
            let byes = evidence.log.requests().filter(|request| request.asks("BYE"));
            byes.filter(|bye| bye.call_id == refer.call_id).any(|bye| bye.at <= at)
        };
        let due = answer.at + SOON;
        let is_judged = due < evidence.run.end && evidence.ran(answer.from, answer.at, due);
        if !says_no && is_judged && !ended(due) && told.first().is_none_or(|first| first.at > due) {
            findings.blame(answer.from, answer.at, "nothing was told");
        }
        for notify in &told {
            if !notify.body().starts_with(b"SIP/2.0 ") {
                findings.blame(notify.from, notify.at, "it is no fragment of SIP");
            }
        }
        // One that came damaged and was taken is another one, which is told of as well.
        let was_two = evidence.log.at(&transaction.requests).any(|refer| refer.damaged.is_some());
        if let Some(last) = told.iter().find(|notify| is_last(notify)).filter(|_| !was_two)
            && let Some(more) = told.iter().find(|notify| notify.cseq > last.cseq)
        {
            findings.blame(more.from, more.at, "the last word had been said");
        }
    }
}

fn places_are_taken(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, invite) in evidence.log.transactions_of("INVITE") {
        let Some(replaces) = replaces(invite).and_then(|value| Replaces::parse(value).ok()) else { continue };
        let Some(answer) = accepted(&evidence.log, transaction) else { continue };
        let of_it = |message: &&Sip| message.call_id == replaces.call_id;
        let Some(first) = evidence.log.requests().filter(of_it).find(|request| request.asks("INVITE")) else {
            findings.blame(answer.from, answer.at, "there is no such dialog");
            continue;
        };
        let begun = evidence.log.transaction(first);
        let answered = begun.and_then(|begun| accepted(&evidence.log, begun)).filter(|it| it.at < invite.at);
        if replaces.early_only && answered.is_some_and(|it| it.arrived.is_some_and(|came| came < invite.at)) {
            findings.blame(answer.from, answer.at, "it had been answered");
        }
        let due = answer.at + SOON;
        let ends = |message: &Sip| message.asks("BYE") || message.asks("CANCEL") || refuses(message);
        let mut ended = evidence.log.sent().filter(of_it).filter(|message| ends(message));
        let is_judged = due < evidence.run.end && evidence.ran(answer.from, answer.at, due);
        if is_judged && !ended.any(|end| end.at <= due) {
            findings.blame(answer.from, answer.at, "the other one goes on");
        }
    }
}

/// Whether a NOTIFY is the last word.
pub(super) fn is_last(notify: &Sip) -> bool {
    let state = notify.headers().get(Name::SubscriptionState);
    state.is_some_and(|state| state.trim_start().starts_with("terminated"))
}

fn refuses(message: &Sip) -> bool {
    message.answers("INVITE", |status| status >= 300)
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_transfer_that_nobody_hears_of_breaks_d16() {
        let referred = || {
            Tale::new()
                .request(0, 2, 1, "REFER", "r", 2)
                .within()
                .with("Refer-To: <sip:c@x>")
                .response(1, 1, 2, 202, "REFER", "r", 2)
        };
        assert!(breaks("D16", &referred().ends(5_000)));
        assert!(!breaks("D16", &referred().with("Refer-Sub: false").ends(5_000)));
        let told = |tale: Tale, at, cseq, state: &str| {
            tale.request(at, 1, 2, "NOTIFY", &format!("n{cseq}"), cseq)
                .with("Event: refer")
                .with(&format!("Subscription-State: {state}"))
                .describes("SIP/2.0 100 Trying\r\n")
        };
        let one = || told(referred(), 2, 1, "active;expires=60");
        assert!(!breaks("D16", &one().ends(5_000)));
        let last = || told(one(), 10, 2, "terminated;reason=noresource");
        assert!(!breaks("D16", &last().ends(5_000)));
        assert!(breaks("D16", &told(last(), 20, 3, "active;expires=60").ends(5_000)));
    }

    #[test]
    fn a_place_that_is_not_given_up_breaks_d17() {
        let talk = || {
            Tale::new()
                .request(0, 1, 3, "INVITE", "a", 1)
                .but("Call-ID: c", "Call-ID: old")
                .response(5, 3, 1, 200, "INVITE", "a", 1)
                .but("Call-ID: c", "Call-ID: old")
        };
        let taken = |tale: Tale, replaces: &str| {
            tale.request(50, 4, 1, "INVITE", "b", 1)
                .but("Call-ID: c", "Call-ID: new")
                .with(&format!("Replaces: {replaces};to-tag=t;from-tag=f"))
                .response(51, 1, 4, 200, "INVITE", "b", 1)
                .but("Call-ID: c", "Call-ID: new")
        };
        let bye =
            |tale: Tale| tale.request(52, 1, 3, "BYE", "d", 2).but("Call-ID: c", "Call-ID: old").ends(5_000);
        assert!(!breaks("D17", &bye(taken(talk(), "old"))));
        assert!(breaks("D17", &taken(talk(), "old").ends(5_000)));
        assert!(breaks("D17", &bye(taken(talk(), "unknown"))));
    }
}
