//! Subscriptions: who wants to know, and what it is told (RFC 6665).

use super::log::{CONNECTS, Sip, Transaction};
use super::repeat::{PATIENCE, T1};
use super::transfer::is_last;
use super::{Evidence, Findings, Rule};
use pbx::sip::Name;
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "D19",
    source: "RFC 6665 sections 3.1.1, 4.2.1.2 and 4.2.2",
    sentence: "who accepts a SUBSCRIBE tells at once how things are and for how long still, at the end that it is the end, and nothing after that",
    find: subscribers_are_told,
}];

/// How long a NOTIFY may take that is due.
const SOON: Duration = T1;

/// Times are told in whole seconds.
const TICK: Duration = Duration::from_secs(1);

/// A subscription, as its notifier sees it.
struct Subscription<'a> {
    /// When it was accepted or renewed and for how long, in the order of time, each with the 2xx that says so.
    grants: Vec<Grant<'a>>,
    /// What was told, each with its transaction.
    told: Vec<(&'a Transaction, &'a Sip)>,
}

struct Grant<'a> {
    asked: &'a Sip,
    answer: &'a Sip,
    /// `None`: it does not say.
    holds: Option<Duration>,
}

fn subscribers_are_told(evidence: &Evidence<'_>, findings: &mut Findings) {
    for subscription in subscriptions(evidence) {
        for (at, grant) in subscription.grants.iter().enumerate() {
            let next = subscription.grants.get(at + 1).map(|next| next.answer.meant);
            check_grant(evidence, &subscription, (grant, next), findings);
        }
        for (_, notify) in &subscription.told {
            check_state(evidence, &subscription, notify, findings);
        }
        let last = subscription.told.iter().find(|(_, notify)| is_last(notify));
        if let Some((_, last)) = last
            && let Some((_, more)) = subscription.told.iter().find(|(_, notify)| notify.cseq > last.cseq)
        {
            findings.blame(more.from, more.at, "the last word had been said");
        }
    }
}

/// A 2xx says for how long, not longer than was asked for; NOTIFY follows at once, and one when the time is over.
fn check_grant(
    evidence: &Evidence<'_>,
    subscription: &Subscription<'_>,
    (grant, next): (&Grant<'_>, Option<Instant>),
    findings: &mut Findings,
) {
    let Grant { asked, answer, holds } = grant;
    let Some(holds) = *holds else {
        return findings.blame(answer.from, answer.at, format!("{} has no Expires", answer.name()));
    };
    // What came damaged may have asked for more.
    let is_more = seconds(asked).is_some_and(|wanted| holds > wanted);
    if is_more && !evidence.log.may_copy_damage(answer) {
        findings.blame(answer.from, answer.at, format!("{} gives more than was asked for", answer.name()));
    }
    let is_told = |since: Instant, by: Instant, counts: &dyn Fn(&Sip) -> bool| {
        let mut told = subscription.told.iter();
        told.any(|(_, notify)| notify.at >= since && notify.meant <= by && counts(notify))
    };
    // Who wants to know no more is told for the last time.
    let ends_now = holds.is_zero();
    let counts = |notify: &Sip| !ends_now || is_last(notify);
    if let Some(due) = due(evidence, subscription, answer, answer.meant)
        && !is_told(answer.meant, due, &counts)
    {
        let what = if ends_now { "the last word was not said" } else { "nothing was told" };
        findings.blame(answer.from, due, what);
    }
    let end = answer.meant + holds;
    let is_renewed = next.is_some_and(|next| next <= end) || {
        // What was asked damaged may have renewed it, and was answered to somebody whom nobody knows.
        let asked = damaged_wishes(evidence, &answer.call_id);
        asked.into_iter().any(|came| answer.meant <= came && came <= end)
    };
    let was_ended = || subscription.told.iter().any(|(_, notify)| notify.at < end && is_last(notify));
    if !ends_now
        && !is_renewed
        && !was_ended()
        && let Some(due) = due(evidence, subscription, answer, end)
        && !is_told(answer.meant, due, &|notify| is_last(notify))
    {
        findings.blame(answer.from, due, format!("its {} s are over, and it was not told", holds.as_secs()));
    }
}

/// Until when a subscriber is to be told what there is to tell from a moment on: one NOTIFY at a time, so the one that is out
/// has to be answered first. `None`: nobody is there any more who wants to know, or could tell, or the run ends before.
fn due(
    evidence: &Evidence<'_>,
    subscription: &Subscription<'_>,
    answer: &Sip,
    since: Instant,
) -> Option<Instant> {
    let mut due = since + SOON;
    for (transaction, notify) in subscription.told.iter().filter(|(_, notify)| notify.meant <= since) {
        let answered = evidence.log.at(&transaction.responses).filter(|response| response.is_final());
        let answered = answered.flat_map(|response| {
            let came = response.perhaps().min();
            came.map(|came| (came, response.status < Some(300) && response.damaged.is_none()))
        });
        let Some((came, is_heard)) = answered.min_by_key(|(came, _)| *came) else {
            // A NOTIFY that nobody answers ends it (section 4.2.2); it was just sent, or is waited for still.
            return None;
        };
        if !is_heard || came > notify.meant + PATIENCE {
            return None;
        }
        due = due.max(came + SOON);
    }
    // Without a connection there is no way to a subscriber that has none to be found at.
    let has_way = answer.over_udp || answer.over.is_none_or(|over| over > due);
    // What is too long for UDP goes over a stream (RFC 3261 section 18.1.1), which has to be opened first.
    let mut opened = evidence.log.opened.get(&(answer.from.ip(), answer.to.ip())).into_iter().flatten();
    // Nor was anything told since that began.
    let is_waiting = |at: Instant| {
        let is_told = |notify: &Sip| at <= notify.meant && notify.meant <= since;
        since <= at + CONNECTS && !subscription.told.iter().any(|(_, notify)| is_told(notify))
    };
    let has_way = has_way && !opened.any(|at| *at <= due && (since <= *at || is_waiting(*at)));
    let is_judged = due < evidence.run.end && evidence.ran(answer.from, answer.at, due) && has_way;
    is_judged.then_some(due)
}

/// When somebody asked to be told, with a Call-ID, in words that came damaged.
fn damaged_wishes(evidence: &Evidence<'_>, call_id: &str) -> Vec<Instant> {
    let all = evidence.log.by_call_id.get(call_id).map_or(&[][..], Vec::as_slice);
    evidence.log.at(all).filter(|message| message.asks("SUBSCRIBE")).filter_map(|it| it.damaged).collect()
}

/// NOTIFY says whether it holds, and for how long still.
fn check_state(
    evidence: &Evidence<'_>,
    subscription: &Subscription<'_>,
    notify: &Sip,
    findings: &mut Findings,
) {
    let Some(state) = notify.headers().get(Name::SubscriptionState) else {
        return findings.blame(notify.from, notify.at, "it says nothing of its state");
    };
    if is_last(notify) {
        return;
    }
    let said = state.split(';').find_map(|part| part.trim().strip_prefix("expires="));
    let Some(said) = said.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs) else {
        return findings.blame(notify.from, notify.at, format!("it says {state:?} and not for how long"));
    };
    // One that waits for another to be answered is written when it goes out; of one that waits for its stream nobody knows.
    let since = evidence.log.wanted_stream(notify).unwrap_or(notify.meant);
    let fits = |grant: &Grant<'_>| {
        let end = grant.answer.meant + grant.holds.unwrap_or_default();
        let left = |at: Instant| end.since(at);
        said <= left(since.max(grant.answer.meant)) + TICK && said + TICK >= left(notify.at)
    };
    let before = subscription.grants.iter().rev().filter(|grant| grant.answer.meant <= notify.at);
    // What was asked damaged was granted to somebody whom nobody knows.
    let mut asked = damaged_wishes(evidence, &notify.call_id).into_iter();
    let is_none = before.clone().next().is_none();
    if asked.any(|came| is_none || (came..came + SOON).contains(&notify.meant)) {
        return;
    }
    // The one before counts still for what was written before this one.
    if !before.take(2).any(fits) {
        findings.blame(notify.from, notify.at, format!("it says {state:?}"));
    }
}

/// All that were accepted, each with what was told within it.
fn subscriptions<'a>(evidence: &'a Evidence<'_>) -> Vec<Subscription<'a>> {
    let mut all: BTreeMap<(&str, &str), Subscription<'a>> = BTreeMap::new();
    for (transaction, asked) in evidence.log.transactions_of("SUBSCRIBE") {
        let is_accepted = |answer: &&Sip| answer.status.is_some_and(|status| (200..300).contains(&status));
        let Some(answer) = evidence.log.at(&transaction.responses).find(is_accepted) else { continue };
        let holds = seconds(answer);
        let key = (answer.call_id.as_str(), answer.to_tag.as_str());
        let known = all.entry(key).or_insert_with(|| Subscription { grants: Vec::new(), told: Vec::new() });
        known.grants.push(Grant { asked, answer, holds });
    }
    for (transaction, notify) in evidence.log.transactions_of("NOTIFY") {
        let is_transfer = notify.headers().get(Name::Event).is_some_and(|event| event.starts_with("refer"));
        let its = all.get_mut(&(notify.call_id.as_str(), notify.from_tag.as_str()));
        if let Some(subscription) = its.filter(|_| !is_transfer) {
            subscription.told.push((transaction, notify));
        }
    }
    all.into_values().collect()
}

fn seconds(message: &Sip) -> Option<Duration> {
    message.headers().get(Name::Expires)?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn a_subscriber_who_is_told_nothing_breaks_d19() {
        assert!(breaks("D19", &asked(60).ends(5_000)));
        assert!(!breaks("D19", &told(asked(60), 2, 1, "active;expires=60").ends(5_000)));
        assert!(breaks("D19", &told(asked(60), 900, 1, "active;expires=59").ends(5_000)));
    }

    #[test]
    fn times_that_do_not_count_down_break_d19() {
        let one = || told(asked(60), 2, 1, "active;expires=60");
        let then = |state: &str| told(one(), 10_000, 2, state).ends(15_000);
        assert!(!breaks("D19", &then("active;expires=50")));
        assert!(breaks("D19", &then("active;expires=60")));
        assert!(breaks("D19", &then("active;expires=30")));
        assert!(breaks("D19", &then("active")));
        assert!(breaks("D19", &asked(60).but("Expires: 60\r\n", "").ends(200)));
        assert!(breaks("D19", &asked(60).but("Expires: 60", "Expires: 90").ends(200)));
    }

    #[test]
    fn an_end_that_is_not_told_breaks_d19() {
        let one = || told(asked(60), 2, 1, "active;expires=60");
        assert!(breaks("D19", &one().ends(70_000)));
        let last = || told(one(), 60_001, 2, "terminated;reason=timeout");
        assert!(!breaks("D19", &last().ends(70_000)));
        assert!(breaks("D19", &told(last(), 60_010, 3, "active;expires=1").ends(70_000)));
        let no_more = || subscribe(one(), 1_000, 0, "s2");
        assert!(breaks("D19", &told(no_more(), 1_002, 2, "active;expires=0").ends(5_000)));
        assert!(!breaks("D19", &told(no_more(), 1_002, 2, "terminated;reason=timeout").ends(5_000)));
    }

    #[test]
    fn who_does_not_answer_is_told_no_more() {
        assert!(!breaks("D19", &notify(asked(60), 2, 1, "active;expires=60").ends(70_000)));
        let gone = notify(asked(60), 2, 1, "active;expires=60").response(4, 2, 1, 481, "NOTIFY", "n1", 1);
        assert!(!breaks("D19", &gone.ends(70_000)));
    }

    /// Somebody at 10.0.0.2 wants to know, and the PBX agrees.
    fn asked(seconds: u32) -> Tale {
        subscribe(Tale::new(), 0, seconds, "s1")
    }

    fn subscribe(tale: Tale, at: u64, seconds: u32, branch: &str) -> Tale {
        tale.request(at, 2, 1, "SUBSCRIBE", branch, 1)
            .with("Event: dialog")
            .with(&format!("Expires: {seconds}"))
            .response(at + 1, 1, 2, 200, "SUBSCRIBE", branch, 1)
            .with(&format!("Expires: {seconds}"))
    }

    /// It is told, and says that it has heard.
    fn told(tale: Tale, at: u64, cseq: u32, state: &str) -> Tale {
        notify(tale, at, cseq, state).response(at + 2, 2, 1, 200, "NOTIFY", &format!("n{cseq}"), cseq)
    }

    fn notify(tale: Tale, at: u64, cseq: u32, state: &str) -> Tale {
        tale.request(at, 1, 2, "NOTIFY", &format!("n{cseq}"), cseq)
            .within_by_callee()
            .with("Event: dialog")
            .with(&format!("Subscription-State: {state}"))
    }
}
