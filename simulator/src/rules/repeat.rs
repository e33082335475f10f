//! When requests and responses are repeated (RFC 3261 section 17).

use super::log::{Sip, Transaction};
use super::{Evidence, Findings, Rule};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "T8",
        source: "RFC 3261 section 17.1.1.2",
        sentence: "an INVITE over UDP is repeated after T1, 2 T1, 4 T1, ..., at most 7 times sent, until anything comes",
        find: invites_are_repeated,
    },
    Rule {
        id: "T9",
        source: "RFC 3261 section 17.1.2.2",
        sentence: "a request other than INVITE over UDP is repeated at doubling intervals up to T2 until a final response comes",
        find: requests_are_repeated,
    },
    Rule {
        id: "T10",
        source: "RFC 3261 sections 17.1.1.2 and 17.2.1",
        sentence: "on a stream neither a request nor a refusal of an INVITE is repeated",
        find: streams_repeat_nothing,
    },
    Rule {
        id: "T11",
        source: "RFC 3261 section 17.2.1",
        sentence: "a refusal of an INVITE over UDP is repeated at doubling intervals up to T2 until its ACK comes or 64 T1 are over",
        find: refusals_are_repeated,
    },
    Rule {
        id: "T12",
        source: "RFC 3261 section 13.3.1.4",
        sentence: "a 2xx to INVITE is repeated at doubling intervals up to T2 until its ACK comes, and after 64 T1 without it there is a BYE",
        find: answers_are_repeated,
    },
    Rule {
        id: "T13",
        source: "RFC 3261 sections 17.1.1.2 and 17.2.1",
        sentence: "what is repeated is the same, byte for byte",
        find: copies_are_alike,
    },
];

pub(super) const T1: Duration = Duration::from_millis(500);
pub(super) const T2: Duration = Duration::from_secs(4);
/// 64 * T1: after this nobody waits for anything any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(32);

/// Who is asked at the moment a timer goes off may answer first, and an answer takes a moment to come.
pub(super) const SLACK: Duration = Duration::from_millis(3);

/// At this many copies, T1 to T2 apart, 64 * T1 are nearly over.
const NEARLY_ALL: usize = 9;

fn invites_are_repeated(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, _) in evidence.log.transactions_of("INVITE") {
        let sends = over_udp(evidence, transaction);
        let heard = first_arrival(evidence, transaction, |_| true);
        check_gaps(evidence, &sends, Duration::MAX, None, findings);
        check_end(&sends, 7, heard, findings);
    }
}

fn requests_are_repeated(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, request) in evidence.log.asked().filter(|(_, request)| request.method != "INVITE") {
        debug_assert!(request.method != "ACK", "an ACK is no request of a transaction");
        let sends = over_udp(evidence, transaction);
        let heard = first_arrival(evidence, transaction, Sip::is_final);
        check_gaps(evidence, &sends, T2, first_arrival(evidence, transaction, |_| true), findings);
        check_end(&sends, 11, heard, findings);
    }
}

fn streams_repeat_nothing(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, request) in evidence.log.asked() {
        let mut sends = evidence.log.at(&transaction.requests).filter(|request| !request.over_udp);
        if let Some(again) = sends.nth(1) {
            findings.blame(again.from, again.at, format!("{} was", again.name()));
        }
        let asked = evidence.log.at(&transaction.requests).count();
        let refusals = evidence.log.at(&transaction.responses);
        let mut refusals =
            refusals.filter(|response| !response.over_udp && response.answers("INVITE", |s| s >= 300));
        if let Some(again) = refusals.nth(asked.max(1)).filter(|_| request.method == "INVITE") {
            findings.blame(again.from, again.at, format!("{} was", again.name()));
        }
    }
}

fn refusals_are_repeated(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, _) in evidence.log.transactions_of("INVITE") {
        let refusals = evidence.log.at(&transaction.responses);
        let refusals: Vec<&Sip> = refusals
            .filter(|response| response.over_udp && response.answers("INVITE", |s| s >= 300))
            .filter(|response| !has_no_timer(response) || !evidence.log.is_to_damaged(response))
            .collect();
        // A PBX that was off in between has forgotten that it refused before; a telephone may have lost its network only. One
        // that was said to a damaged copy may have been the first.
        let said = evidence.log.at(&transaction.responses).filter(|it| it.answers("INVITE", |s| s >= 300));
        let said = said.enumerate().filter(|(at, refusal)| *at == 0 || evidence.log.is_to_damaged(refusal));
        let said: Vec<Instant> = said.map(|(_, refusal)| refusal.at).collect();
        for refusals in refusals.chunk_by(|one, next| evidence.ran(one.from, one.at, next.at)) {
            check_refusal(evidence, transaction, (refusals, &said), findings);
        }
    }
}

fn check_refusal(
    evidence: &Evidence<'_>,
    transaction: &Transaction,
    (refusals, said): (&[&Sip], &[Instant]),
    findings: &mut Findings,
) {
    let first = refusals[0];
    // A copy of the INVITE, damaged ones too, brings another copy of the refusal; the others are the timer's.
    let asked: Vec<Instant> =
        evidence.log.at(&transaction.requests).flat_map(|request| request.perhaps()).collect();
    let is_asked_for = |refusal: &Sip| {
        asked.iter().any(|arrived| *arrived > first.at && (*arrived..*arrived + SLACK).contains(&refusal.at))
    };
    let timed: Vec<&Sip> = refusals.iter().copied().filter(|refusal| !is_asked_for(refusal)).collect();
    // A copy that was asked for may have come in the moment of the timer, so gaps are no measure.
    let is_due = |send: &Sip| {
        let mut begun = said.iter().copied().chain([first.at]);
        begun.any(|begun| begun <= send.at && is_on_schedule(send.at.since(begun)))
    };
    for send in timed.iter().filter(|send| !is_due(send)) {
        let what = format!("{} was repeated {:?} after the first", send.name(), send.at.since(first.at));
        findings.blame(send.from, send.at, what);
    }
    let acks = || evidence.log.at(&transaction.acks).chain(ghosts(evidence, transaction, "ACK"));
    // An ACK to one that came damaged has what that said, and may be none for its server.
    let is_spoilt = |ack: &&Sip| {
        let mut told = evidence.log.at(&transaction.responses).filter_map(|refusal| refusal.damaged);
        told.any(|came| came <= ack.at)
    };
    let heard = evidence.log.at(&transaction.acks).filter(|ack| !is_spoilt(ack)).flat_map(Sip::arrivals);
    let heard = heard.filter(|at| *at >= first.at).min();
    check_end(&timed, 11, heard, findings);
    let end = first.at + PATIENCE;
    // Whose network was away went on with what it had begun.
    let goes_back = said.iter().any(|said| *said < first.at && first.at < *said + PATIENCE);
    let goes_on = end + SLACK <= evidence.run.end && evidence.ran(first.from, first.at, end) && !goes_back;
    let is_heard = acks().flat_map(Sip::perhaps).any(|heard| heard >= first.at && heard < end);
    // Without state there is no timer: what comes again is refused again (section 8.2.7).
    let is_stateless = matches!(first.status, Some(400 | 503))
        || matches!(first.status, Some(416 | 505)) && evidence.log.is_to_damaged(first);
    if goes_on && !is_stateless && !is_heard && refusals.len() < NEARLY_ALL {
        let what = format!("{} was sent {} times and no ACK came", first.name(), refusals.len());
        findings.blame(first.from, end, what);
    }
}

/// Whether a refusal may be of what was no INVITE any more, when it came damaged.
fn has_no_timer(refusal: &Sip) -> bool {
    matches!(refusal.status, Some(400 | 405 | 501))
}

/// Whether timer G goes off so long after a refusal was sent first.
fn is_on_schedule(after: Duration) -> bool {
    schedule().any(|due| (due..due + SLACK).contains(&after))
}

fn answers_are_repeated(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (transaction, _) in evidence.log.transactions_of("INVITE") {
        let mut answers: BTreeMap<&str, Vec<&Sip>> = BTreeMap::new();
        for answer in evidence.log.at(&transaction.responses) {
            if answer.answers("INVITE", |status| (200..300).contains(&status)) {
                answers.entry(&answer.to_tag).or_default().push(answer);
            }
        }
        for sends in answers.values() {
            check_answer(evidence, transaction, sends, findings);
        }
    }
}

fn check_answer(evidence: &Evidence<'_>, transaction: &Transaction, sends: &[&Sip], findings: &mut Findings) {
    let first = sends[0];
    let within = evidence.log.dialog(first).map(|dialog| dialog.messages.as_slice()).unwrap_or_default();
    let is_its_ack =
        |ack: &&Sip| ack.asks("ACK") && ack.cseq == first.cseq && ack.from.ip() != first.from.ip();
    // One to a place that was damaged on its way is none (section 8.2.2).
    let is_its_ack = |ack: &&Sip| is_its_ack(ack) && ack.is_sound();
    let acks = || evidence.log.at(within).filter(is_its_ack);
    // One that came before was of something else that the other side took for a refusal.
    let acked = acks().flat_map(Sip::arrivals).filter(|at| *at >= first.at).min();
    // Who hangs up, or is hung up, waits no longer. Whose INVITE came damaged says so in a dialog of its own, which has its tag.
    let same_call = evidence.log.by_call_id.get(&first.call_id).map_or(&[][..], Vec::as_slice);
    let is_of_it = |bye: &&Sip| !bye.is_ghost && [&bye.from_tag, &bye.to_tag].contains(&&first.to_tag);
    let byes = evidence.log.at(same_call).filter(|message| message.asks("BYE")).filter(is_of_it);
    let over = byes
        .filter_map(|bye| match bye.from.ip() == first.from.ip() {
            true => Some(bye.at),
            false => evidence.log.understood(bye),
        })
        .filter(|over| *over >= first.at)
        .min();
    // While a stream was to be opened in vain, which is tried again every T2 at least, the first may have been meant at any
    // moment from which the last is on time.
    let vain = evidence.log.vain(first);
    let is_vain = |since: &Instant| vain.iter().any(|(from, until)| from <= since && *since <= *until + T2);
    let last = sends.last().map(|last| last.at.since(Instant::START));
    let since = last.into_iter().flat_map(|at| schedule().filter_map(move |due| at.checked_sub(due)));
    let waited = since.map(|since| Instant::START + since).filter(is_vain);
    let since = evidence.log.attempts(first).into_iter().chain(waited);
    let wrongs = since.map(|since| off_schedule(evidence, sends, since));
    let wrong = wrongs.min_by_key(Option::is_some).flatten();
    if let Some((send, what)) = wrong {
        findings.blame(send.from, send.at, what);
    }
    // One that came with another branch is another request, which is answered and acknowledged as well.
    let was_two = evidence.log.at(&transaction.requests).any(|request| request.damaged.is_some());
    if !was_two {
        check_end(sends, 11, acked, findings);
    }
    let end = first.at + PATIENCE;
    let goes_on = end + SLACK < evidence.run.end && evidence.ran(first.from, first.at, end) && first.over_udp;
    // A change by the other side tells that the 2xx has come, too (RFC 5407 section 3.1.4).
    let changes = evidence.log.at(within).filter(|message| {
        message.asks("INVITE") && message.from.ip() != first.from.ip() && message.at > first.at
    });
    let is_heard = over.is_some_and(|over| over < end)
        || acks().chain(changes).flat_map(Sip::perhaps).any(|heard| heard < end)
        || ghosts(evidence, transaction, "ACK").next().is_some();
    if !goes_on || is_heard {
        return;
    }
    if sends.len() < NEARLY_ALL {
        let what = format!("{} was sent {} times and no ACK came", first.name(), sends.len());
        findings.blame(first.from, end, what);
    } else if over.is_none_or(|over| over > end + T1) {
        findings.blame(first.from, end, "there was none");
    }
}

/// The first copy that does not go out at its time, counted from when the first was to: over a stream, which may break or
/// have to be opened, it goes out later, or never.
fn off_schedule<'a>(evidence: &Evidence<'_>, sends: &[&'a Sip], since: Instant) -> Option<(&'a Sip, String)> {
    let first = sends[0];
    let until = if since == first.meant { first.at } else { since };
    let fits = |send: &Sip, due: Duration| {
        since + due <= send.at + evidence.run.grain && send.meant < until + due + SLACK
    };
    // What was to go out while no stream came about did not; what waited for the one that did may have.
    let (gone, waited) = (first.meant.since(until), first.at.since(until));
    let mut left = schedule().skip(1).skip_while(|due| *due <= gone).peekable();
    for pair in sends.windows(2) {
        let (before, send) = (pair[0], pair[1]);
        let expected = left.peek().copied().unwrap_or(PATIENCE);
        let is_its = |due: &Duration| fits(send, *due);
        let is_on_time = schedule().any(|due| is_its(&due));
        let mut left_out = 0;
        while let Some(due) = left.next_if(|due| is_on_time && !is_its(due)) {
            left_out += usize::from(due > waited);
        }
        // While a host is off a timer goes off late, and the next when it would have gone off anyway.
        let was_off = !evidence.ran(send.from, before.at, send.at)
            || !send.over_udp && !evidence.ran(send.from, first.at, send.at);
        let was_broken = before.over.is_some_and(|over| over <= send.at);
        let is_next = is_on_time && left.next().is_some();
        if !was_off && !(is_next && (left_out == 0 || was_broken)) {
            let gap = send.at.since(first.at);
            let what = format!("{} was repeated {gap:?} after the first and not {expected:?}", send.name());
            return Some((send, what));
        }
    }
    None
}

/// How long after the first each copy is due, where the gaps double up to T2.
fn schedule() -> impl Iterator<Item = Duration> {
    let gaps = std::iter::successors(Some(T1), |gap| Some((*gap * 2).min(T2)));
    let dues = gaps.scan(Duration::ZERO, |due, gap| Some(std::mem::replace(due, *due + gap)));
    dues.take_while(|due| *due < PATIENCE)
}

fn copies_are_alike(evidence: &Evidence<'_>, findings: &mut Findings) {
    for transaction in &evidence.log.transactions {
        let places = [&transaction.requests, &transaction.acks, &transaction.responses];
        // What goes over UDP after a stream has failed says so in its Via.
        let mut first: BTreeMap<_, &Sip> = BTreeMap::new();
        // Provisional responses of one status may say different things.
        for message in places.into_iter().flat_map(|places| evidence.log.at(places)) {
            if message.is_provisional() {
                continue;
            }
            let key = (&message.method, message.status, &message.to_tag, message.over_udp);
            let first = first.entry(key).or_insert(message);
            if first.bytes != message.bytes && evidence.ran(message.from, first.at, message.at) {
                findings.blame(
                    message.from,
                    message.at,
                    format!("{} was sent again in other words", message.name()),
                );
            }
        }
    }
}

/// A request over UDP with its copies.
fn over_udp<'a>(evidence: &'a Evidence<'_>, transaction: &'a Transaction) -> Vec<&'a Sip> {
    let sends: Vec<&Sip> =
        evidence.log.at(&transaction.requests).filter(|request| request.over_udp).collect();
    match (sends.first(), sends.last()) {
        // While its host is off a timer goes off late.
        (Some(first), Some(last)) if evidence.ran(first.from, first.at, last.at) => sends,
        _ => Vec::new(),
    }
}

/// When the sender first had such a response.
fn first_arrival(
    evidence: &Evidence<'_>,
    transaction: &Transaction,
    counts: impl Fn(&Sip) -> bool,
) -> Option<Instant> {
    // What answers a damaged copy may lack what that had lost, and is dropped.
    let sound = evidence.log.at(&transaction.responses).filter(|response| response.is_sound());
    let responses = sound.filter(|response| counts(response));
    responses.flat_map(Sip::arrivals).min()
}

/// What came, damaged, of requests with this method.
fn ghosts<'a>(
    evidence: &'a Evidence<'_>,
    transaction: &'a Transaction,
    method: &'static str,
) -> impl Iterator<Item = &'a Sip> {
    evidence.log.at(&transaction.ghosts).filter(move |ghost| ghost.asks(method))
}

fn check_gaps(
    evidence: &Evidence<'_>,
    sends: &[&Sip],
    longest: Duration,
    rang: Option<Instant>,
    findings: &mut Findings,
) {
    let mut expected = T1;
    for pair in sends.windows(2) {
        let (from, start, end) = (pair[1].from, sends[0].at, pair[1].at);
        // While a host is off a timer goes off late, and the next when it would have gone off anyway.
        let was_off = !evidence.ran(from, start, end);
        let is_late = !evidence.ran(from, pair[0].at, end) || was_off && is_on_schedule(end.since(start));
        if is_late {
            expected = (expected * 2).min(longest);
            continue;
        }
        let gap = pair[1].at.since(pair[0].at);
        let gap_and_grain = pair[1].at.since(pair[0].meant) + evidence.run.grain;
        let gap_or_less = pair[1].meant.since(pair[0].at);
        let fits = |expected: Duration| expected <= gap_and_grain && gap_or_less < expected + SLACK;
        // After a provisional response every gap is the longest.
        let is_long = fits(longest.min(T2)) && rang.is_some_and(|rang| rang <= pair[1].at);
        if !fits(expected) && !is_long {
            let what = format!("{} was repeated after {gap:?} and not {expected:?}", pair[1].name());
            findings.blame(pair[1].from, pair[1].at, what);
        }
        expected = (expected * 2).min(longest);
    }
}

fn check_end(sends: &[&Sip], most: usize, heard: Option<Instant>, findings: &mut Findings) {
    if let Some(send) = sends.get(most) {
        findings.blame(send.from, send.at, format!("{} was sent {} times", send.name(), sends.len()));
    }
    let late = |send: &&&Sip| heard.is_some_and(|heard| send.meant > heard + SLACK);
    if let Some(send) = sends.iter().skip(1).find(late) {
        findings.blame(send.from, send.at, format!("{} was repeated although that had come", send.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks};

    #[test]
    fn an_invite_that_is_repeated_too_soon_breaks_t8() {
        assert!(breaks("T8", &repeated("INVITE", &[0, 500, 1_000])));
        assert!(!breaks("T8", &repeated("INVITE", &[0, 500, 1_500, 3_500, 7_500, 15_500, 31_500])));
    }

    #[test]
    fn an_invite_that_is_repeated_although_it_rings_breaks_t8() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .response(100, 1, 2, 180, "INVITE", "b1", 1)
            .request(500, 2, 1, "INVITE", "b1", 1);
        assert!(breaks("T8", &tale));
    }

    #[test]
    fn a_bye_that_is_repeated_after_its_answer_breaks_t9() {
        let tale = Tale::new()
            .request(0, 2, 1, "BYE", "b1", 1)
            .response(100, 1, 2, 200, "BYE", "b1", 1)
            .request(500, 2, 1, "BYE", "b1", 1);
        assert!(breaks("T9", &tale));
        assert!(!breaks("T9", &repeated("REGISTER", &[0, 500, 1_500, 3_500, 7_500, 11_500])));
    }

    #[test]
    fn a_request_that_is_repeated_on_a_stream_breaks_t10() {
        let over_tcp = |at| Tale::new().request(at, 2, 1, "OPTIONS", "b1", 1).over_tcp();
        assert!(breaks("T10", &over_tcp(0).then(over_tcp(500))));
        assert!(!breaks("T10", &over_tcp(0)));
    }

    #[test]
    fn a_refusal_that_is_not_repeated_breaks_t11() {
        let refused = |times: &[u64]| {
            let asked = Tale::new().request(0, 2, 1, "INVITE", "b1", 1);
            times.iter().fold(asked, |tale, at| tale.response(5 + at, 1, 2, 486, "INVITE", "b1", 1))
        };
        let all = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert!(breaks("T11", &refused(&all[..4]).ends(40_000)));
        assert!(breaks("T11", &refused(&[0, 700]).ends(5_000)));
        assert!(!breaks("T11", &refused(&all).ends(40_000)));
    }

    #[test]
    fn what_was_no_invite_any_more_is_refused_once() {
        let refused = |status| {
            let asked = Tale::new().request(0, 2, 1, "INVITE", "b1", 1).damaged("INVITE sip");
            asked.response(1, 1, 2, status, "INVITE", "b1", 1).ends(40_000)
        };
        assert!(!breaks("T11", &refused(501)));
        assert!(breaks("T11", &refused(404)), "it was understood");
    }

    #[test]
    fn who_was_called_under_another_name_hangs_up_in_a_dialog_of_its_own() {
        let dues = [100, 600, 1_600, 3_600, 7_600, 11_600, 15_600, 19_600, 23_600, 27_600, 31_600];
        let rings = Tale::new().request(0, 2, 1, "INVITE", "b1", 1);
        let answered = dues.iter().fold(rings, |tale, due| tale.response(*due, 1, 2, 200, "INVITE", "b1", 1));
        assert!(breaks("T12", &answered.clone().ends(40_000)), "there is no BYE");
        let bye = answered.request(32_100, 1, 2, "BYE", "b2", 1).within_by_callee();
        assert!(!breaks("T12", &bye.but("To: <sip:a@x>;tag=a", "To: <sip:a@x>;tag=A").ends(40_000)));
    }

    #[test]
    fn an_answer_that_is_repeated_after_its_ack_breaks_t12() {
        let answered = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .response(100, 1, 2, 200, "INVITE", "b1", 1)
            .request(200, 2, 1, "ACK", "b2", 1)
            .within();
        assert!(!breaks("T12", &answered.clone()));
        assert!(breaks("T12", &answered.response(600, 1, 2, 200, "INVITE", "b1", 1)));
    }

    #[test]
    fn a_copy_with_another_body_breaks_t13() {
        let said = |at, words| Tale::new().request(at, 2, 1, "MESSAGE", "b1", 1).describes(words);
        assert!(breaks("T13", &said(0, "hello").then(said(500, "hallo"))));
        assert!(!breaks("T13", &said(0, "hello").then(said(500, "hello"))));
    }

    fn repeated(method: &str, times: &[u64]) -> Tale {
        times.iter().fold(Tale::new(), |tale, at| tale.request(*at, 2, 1, method, "b1", 1))
    }
}
