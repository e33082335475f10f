//! What the PBX writes down.

mod order;

use super::acknowledgement::AT_ONCE;
use super::log::Sip;
use super::session::SLACK;
use super::transfer::replaces;
use super::{Evidence, Findings, Rule};
use pbx::sip::Name;
use pbx::time::{Duration, Instant};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "A1",
        source: "a promise of the PBX",
        sentence: "a call has one call record",
        find: one_record_a_call,
    },
    Rule {
        id: "A2",
        source: "a promise of the PBX",
        sentence: "a call record says what happened when it happened",
        find: records_tell_what_happened,
    },
];

/// How long the PBX, which ends, tells those whom it can tell that it does.
pub(super) const LEAVES: Duration = Duration::from_secs(2);

fn one_record_a_call(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut records: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ordered: BTreeMap<[&str; 2], usize> = BTreeMap::new();
    for record in evidence.records {
        let text = |key: &str| record[key].as_str().unwrap_or_default();
        match text("sip_call_id") {
            // A call that was ordered and that nobody has answered is known by its own name alone, which another one may
            // have had before it.
            // What leads nowhere is over at once, and may be ordered again in the same moment.
            "" if record["started_at"] == record["ended_at"] => {}
            "" => *ordered.entry([text("call_id"), text("started_at")]).or_default() += 1,
            call_id => *records.entry(call_id).or_default() += 1,
        }
    }
    let end = evidence.log.end;
    let named = ordered.iter().map(|([call_id, _], count)| (*call_id, *count));
    for (call_id, count) in records.iter().map(|(call_id, count)| (*call_id, *count)).chain(named) {
        if count > 1 {
            findings.add(end, format!("the call {call_id} has {count}"));
        }
    }
    // A PBX that lost its power may have lost what it was about to write.
    let answered = evidence.log.responses().filter(|(response, status)| {
        evidence.is_whole
            && response.from.ip() == evidence.pbx
            && response.method == "INVITE"
            && *status == 200
    });
    for (response, _) in answered {
        // A call the PBX made itself, and a change of a running call, were not begun by this INVITE.
        let transaction = evidence.log.transaction(response);
        let first = transaction.and_then(|transaction| evidence.log.at(&transaction.requests).next());
        let begins = first.is_some_and(|request| request.to_tag.is_empty());
        // What a disk does not take is said, and may never be written.
        let is_refused =
            evidence.run.complaints.iter().any(|(at, what)| *at >= response.at && is_of_disk(what));
        if begins && !is_refused && !records.contains_key(response.call_id.as_str()) {
            findings.add(response.at, format!("the call {} was answered and has none", response.call_id));
        }
    }
}

/// Whether a complaint is about a disk that was told to refuse.
pub(super) fn is_of_disk(complaint: &str) -> bool {
    complaint.ends_with("error=the disk refuses")
}

fn records_tell_what_happened(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut calls = Calls::new();
    for message in evidence.log.sent() {
        // An answer is of the call that was asked in, even where it names another one because it was asked so.
        let asked = evidence.log.transaction(message).filter(|_| !message.is_request());
        let asked = asked.and_then(|asked| evidence.log.at(&asked.requests).next());
        calls.entry(&asked.unwrap_or(message).call_id).or_default().push(message);
    }
    // A PBX that lost its power knows the times of its journal only.
    let is_told =
        |record: &&Value| record["started_at"].is_string() && record["disposition"] != "interrupted";
    for record in evidence.records.iter().filter(is_told) {
        // An ordered call that nobody has answered has none, as have answers to what came without one.
        let call_id = record["sip_call_id"].as_str().unwrap_or_default();
        if call_id.is_empty() || !calls.contains_key(call_id) {
            continue;
        }
        let session = evidence.session_of(record);
        if session.is_some_and(|session| evidence.is_misled(session)) {
            continue;
        }
        if was_another(evidence, call_id) {
            continue;
        }
        let seen = Seen::of(evidence, &calls, (call_id, record), session);
        let messages = calls.get(call_id).map_or(&[][..], Vec::as_slice);
        let nobody_has_called = seen.invited.is_empty() && is_ordered(&calls, call_id, evidence.pbx);
        // The PBX has called, by order of an application; or has, and somebody else has picked that up.
        if nobody_has_called || picks_up_ordered(messages, evidence.run.moment(&record["started_at"])) {
            for what in order::differences(evidence, record, messages) {
                findings.add(evidence.run.moment(&record["ended_at"]).unwrap_or(evidence.log.end), what);
            }
            continue;
        }
        for what in seen.differences(evidence, record) {
            findings.add(evidence.run.moment(&record["ended_at"]).unwrap_or(evidence.log.end), what);
        }
    }
}

/// Whether a response is what a call record tells of.
fn is_recorded(evidence: &Evidence<'_>, record: &Value, response: &Sip) -> bool {
    let key = match response.status {
        Some(..200) => "ringing_at",
        Some(200..300) => "answered_at",
        Some(_) | None => "ended_at",
    };
    let said = evidence.run.moment(&record[key]);
    let is_then =
        said.is_some_and(|said| said.since(response.meant).max(response.meant.since(said)) <= SLACK);
    is_then && (response.is_provisional() || record["status"] == response.status.unwrap_or_default())
}

/// Whether an INVITE to the PBX came with another branch, tag or number than it was sent with: what was said to it is of a
/// transaction that its caller does not know.
fn was_another(evidence: &Evidence<'_>, call_id: &str) -> bool {
    let places = evidence.log.by_call_id.get(call_id).map_or(&[][..], Vec::as_slice);
    let invites = || evidence.log.at(places).filter(|it| it.asks("INVITE") && evidence.is_pbx(it.to));
    let is_alike = |sent: &Sip, ghost: &Sip| {
        let says = |it: &Sip| (it.branch.clone(), it.from_tag.clone(), it.cseq);
        !sent.is_ghost && says(sent) == says(ghost)
    };
    invites().any(|ghost| ghost.is_ghost && !invites().any(|sent| is_alike(sent, ghost)))
}

/// Whether the PBX has begun this call itself.
fn is_ordered(calls: &Calls<'_>, call_id: &str, pbx: IpAddr) -> bool {
    let first =
        calls.get(call_id).and_then(|messages| messages.iter().find(|message| message.asks("INVITE")));
    first.is_some_and(|invite| invite.from.ip() == pbx)
}

/// Whether this is how somebody has taken a call that had begun before, and that nobody had placed (RFC 3891).
fn picks_up_ordered(messages: &[&Sip], started: Option<Instant>) -> bool {
    let invite = messages.iter().find(|message| message.asks("INVITE") && message.to_tag.is_empty());
    let takes_a_place = invite.filter(|invite| invite.headers().get(Name::Replaces).is_some());
    takes_a_place.zip(started).is_some_and(|(invite, started)| started + SLACK < invite.at)
}

/// Whether somebody was told that there is nothing of the kind.
fn is_denied(evidence: &Evidence<'_>, request: &Sip) -> bool {
    let transaction = evidence.log.transaction(request);
    transaction.is_some_and(|asked| evidence.log.at(&asked.responses).any(|it| it.status == Some(481)))
}

/// All messages by Call-ID.
type Calls<'a> = BTreeMap<&'a str, Vec<&'a Sip>>;

/// What was seen of a call on the wire, by the PBX.
#[derive(Default)]
struct Seen {
    /// Each time it came, if perhaps not as it was sent: the first that was understood counts.
    invited: Vec<Instant>,
    rang: Option<Instant>,
    /// The first final response but a challenge.
    answered: Option<(Instant, u16)>,
    /// When BYE or CANCEL of the caller came, when BYE of the callee came.
    left: [Option<Instant>; 2],
    /// When CANCEL of the caller came.
    gave_up: Option<Instant>,
    /// When the PBX hung up on either.
    hung_up: Option<Instant>,
    /// From when until when a BYE of the PBX may have been waiting for an ACK.
    held_back: Vec<[Instant; 2]>,
    /// When it hung up on the caller, and on the callee.
    crossed: [Option<Instant>; 2],
    /// Whether the caller has come in somebody's place: whom it talks to has a call of its own.
    takes_place: bool,
    /// Whether it is known whom the PBX has joined with the caller.
    is_joined: bool,
    /// When those hung up who came later in the place of one of the two.
    heirs: Vec<Instant>,
    /// When somebody took the place of one of the two.
    taken: Option<Instant>,
}

impl Seen {
    fn of(
        evidence: &Evidence<'_>,
        calls: &Calls<'_>,
        (call_id, record): (&str, &Value),
        session: Option<usize>,
    ) -> Seen {
        let messages = calls.get(call_id).map_or(&[][..], Vec::as_slice);
        let mut seen = Seen::default();
        let pbx = evidence.pbx;
        let mut branch = "";
        let came_damaged = |it: &&Sip| it.asks("INVITE") && it.damaged.is_some();
        let said = |key: &str| evidence.run.moment(&record[key]);
        let [rang, answered, ended] = ["ringing_at", "answered_at", "ended_at"].map(said);
        for message in messages {
            let is_begin = message.method == "INVITE" && message.to_tag.is_empty() && message.to.ip() == pbx;
            match message.status {
                None if is_begin && message.branch != branch => {
                    branch = &message.branch;
                    let takes_place = replaces(message).is_some();
                    seen = Seen { invited: message.perhaps().collect(), takes_place, ..Seen::default() };
                }
                None if is_begin => seen.invited.extend(message.perhaps()),
                // Whose INVITE came damaged may cancel what the PBX does not have.
                None if message.to.ip() == pbx
                    && message.asks("CANCEL")
                    && is_denied(evidence, message)
                    && messages.iter().any(came_damaged) => {}
                None if message.to.ip() == pbx && message.asks("CANCEL") => {
                    seen.gave_up = seen.gave_up.or(message.arrived);
                }
                None if message.to.ip() == pbx && message.asks("BYE") => {
                    seen.see_held_back(evidence, message);
                    seen.left[0] = earliest(seen.left[0], evidence.log.understood(message));
                }
                // Who is told that there is no such call has nobody to hang up on (RFC 3261 section 12.2.1.2).
                Some(408 | 481) if message.to.ip() == pbx && !is_of_its_own(message) => {
                    seen.left[0] = earliest(seen.left[0], message.arrived);
                }
                None if message.from.ip() == pbx && message.method == "BYE" => {
                    let at = evidence.log.decided(message, ended);
                    seen.hang_up(at);
                    seen.see_held_back(evidence, message);
                    seen.crossed[0].get_or_insert(at);
                }
                Some(status) if message.from.ip() == pbx && message.branch == branch => {
                    // What was said to a damaged copy counts if that was understood.
                    if evidence.log.is_to_damaged(message) && !is_recorded(evidence, record, message) {
                        continue;
                    }
                    // The next copy is another request for who has one that came damaged, and is in a loop (section 8.2.2.2).
                    if status == 482 && messages.iter().any(came_damaged) {
                        continue;
                    }
                    // 181 and 182 say that it does not ring yet.
                    if matches!(status, 180 | 183..200) {
                        seen.rang.get_or_insert_with(|| evidence.log.decided(message, rang));
                    } else if status >= 200 && message.method == "INVITE" {
                        let said = if status < 300 { answered } else { ended };
                        seen.answered.get_or_insert_with(|| (evidence.log.decided(message, said), status));
                    }
                }
                _ => {}
            }
        }
        // A CANCEL of what is answered changes nothing.
        let counts =
            |came: &Instant| seen.answered.is_none_or(|(told, status)| *came < told || status >= 300);
        seen.left[0] = seen.gave_up.filter(counts).or(seen.left[0]);
        let callee = session.and_then(|session| evidence.partner_of(session));
        let callee = callee.and_then(|callee| calls.get(evidence.sessions.all[callee].call_id.as_str()));
        seen.is_joined = callee.is_some();
        seen.see_callee(evidence, callee.map_or(&[], Vec::as_slice), ended);
        seen.heirs = heirs_end(evidence, calls, call_id);
        seen.taken = evidence.taken_at(call_id);
        seen
    }

    fn see_callee(&mut self, evidence: &Evidence<'_>, messages: &[&Sip], ended: Option<Instant>) {
        let is_gone = |told: &&&Sip| matches!(told.status, Some(408 | 481)) && evidence.is_pbx(told.to);
        for told in messages.iter().filter(is_gone).filter(|told| !is_of_its_own(told)) {
            self.left[1] = earliest(self.left[1], told.arrived);
        }
        for bye in messages.iter().filter(|message| message.is_request() && message.method == "BYE") {
            self.see_held_back(evidence, bye);
            if evidence.is_pbx(bye.from) {
                let at = evidence.log.decided(bye, ended);
                self.hang_up(at);
                self.crossed[1].get_or_insert(at);
            } else {
                self.left[1] = earliest(self.left[1], evidence.log.understood(bye));
            }
        }
    }

    fn see_held_back(&mut self, evidence: &Evidence<'_>, bye: &Sip) {
        let since = evidence.log.held_back(bye, evidence.pbx);
        let until = bye.perhaps().chain([bye.meant]).max().unwrap_or(bye.meant);
        self.held_back.extend(since.map(|since| [since, until]));
    }

    fn hang_up(&mut self, at: Instant) {
        self.hung_up = Some(self.hung_up.map_or(at, |before| before.min(at)));
    }

    fn differences(&self, evidence: &Evidence<'_>, record: &Value) -> Vec<String> {
        let mut all = Vec::new();
        let moment = |key: &str| evidence.run.moment(&record[key]);
        let [started, rang, answered, ended] =
            ["started_at", "ringing_at", "answered_at", "ended_at"].map(moment);
        let mut compare = |key: &str, said: Option<Instant>, seen: Option<Instant>| {
            let is_near = |(a, b): (Instant, Instant)| a.since(b).max(b.since(a)) <= SLACK;
            if said.is_some() != seen.is_some() || said.zip(seen).is_some_and(|pair| !is_near(pair)) {
                all.push(format!("it says {key} {said:?} and it was {seen:?}"));
            }
        };
        let (accepted, refused) = match self.answered {
            Some((at, status)) if status < 300 => (Some(at), None),
            other => (None, other),
        };
        let understood = self.invited.iter().copied();
        let invited =
            understood.min_by_key(|at| started.map(|started| started.since(*at).max(at.since(started))));
        compare("started_at", started, invited);
        compare("answered_at", answered, accepted);
        // An answer that follows at once leaves no time to say that it rings.
        if self.rang.is_some() || accepted.is_none() {
            compare("ringing_at", rang, self.rang);
        }
        match refused {
            Some((at, status)) => {
                compare("ended_at", ended, Some(at));
                if record["status"] != status {
                    all.push(format!("it says {} and the caller was told {status}", record["status"]));
                }
            }
            None => {
                let mut gone = self.left.into_iter().flatten();
                // The PBX was opening a stream just then, as if for its BYE: that may have been for something else.
                let is_first =
                    |at: &Instant| self.hung_up.is_some_and(|own| own < *at && *at < own + AT_ONCE);
                let is_said = |at: &Instant| Some(*at) == ended && is_first(at);
                let ends = gone.find(is_said).or(self.left.into_iter().chain([self.hung_up]).flatten().min());
                // Who has no time left to wait for the ACK goes without BYE.
                let is_next = |at: Instant| ended.is_some_and(|ended| ended <= at && at < ended + LEAVES);
                let mut off = evidence.outages.iter().filter(|outage| outage.host == evidence.pbx);
                let left = ended.filter(|_| off.any(|outage| is_next(outage.from)));
                let heir = self
                    .heirs
                    .iter()
                    .copied()
                    .find(|at| ended.is_some_and(|ended| ended.since(*at).max(at.since(ended)) <= SLACK));
                // What made it hang up is to be seen only where one of the two whom it has joined did so.
                let held = ended.filter(|at| {
                    let nobody_left = self.left.iter().flatten().all(|left| left > at);
                    nobody_left && self.held_back.iter().any(|[from, to]| from <= at && at <= to)
                });
                compare("ended_at", ended, heir.or(held).or(ends).or(left));
            }
        }
        all.extend(self.who(evidence, record, ended));
        all.extend(sums(record, started, answered, ended));
        all
    }

    /// Who ended it, where one alone did so first.
    fn who(&self, evidence: &Evidence<'_>, record: &Value, ended: Option<Instant>) -> Option<String> {
        let ended = ended?;
        let is_then =
            |at: Option<Instant>| at.is_some_and(|at| ended.since(at).max(at.since(ended)) <= SLACK);
        let [caller, callee] = self.left.map(is_then);
        let was_answered = self.answered.is_some_and(|(_, status)| status < 300);
        // Where the PBX hangs up on who hangs up in that moment either was first; of a callee whom nobody knows nobody knows
        // what it did.
        // So it may have been where the PBX waited for an ACK with its BYE.
        let waited = self.held_back.iter().any(|[from, to]| *from <= ended && ended <= *to);
        let crosses = caller && is_then(self.crossed[0]) || callee && is_then(self.crossed[1]);
        // Who hung up elsewhere in that moment may have been joined with the one for whose ACK the PBX waited.
        let others = || evidence.log.requests().filter(|it| it.asks("BYE") && evidence.is_pbx(it.to));
        let others = || others().filter(|bye| record["sip_call_id"] != bye.call_id.as_str());
        let crosses = crosses || (waited && self.takes_place);
        let crosses = crosses || (waited && others().any(|bye| bye.arrivals().any(|at| is_then(Some(at)))));
        let crosses = crosses || self.heirs.iter().any(|heir| is_then(Some(*heir)));
        if crosses || is_then(self.taken) || (was_answered && !self.is_joined && !caller) {
            return None;
        }
        let expected = match (caller, callee) {
            (true, false) => "caller",
            (false, true) => "callee",
            _ => return None,
        };
        // A caller who gives up as he is refused has been refused.
        let is_hang_up = self.answered.is_some_and(|(_, status)| status < 300 || status == 487);
        (is_hang_up && record["ended_by"] != expected)
            .then(|| format!("it says that {} ended it and it was the {expected}", record["ended_by"]))
    }
}

/// When the PBX heard, in a call whose sides were parted, that somebody who came in the place of one of them is gone.
fn heirs_end(evidence: &Evidence<'_>, calls: &Calls<'_>, call_id: &str) -> Vec<Instant> {
    let Some(parted) = evidence.parted_at(call_id) else { return Vec::new() };
    let begins = |messages: &&Vec<&Sip>| {
        let first = messages.iter().find(|it| it.asks("INVITE"));
        let is_heir = |invite: &&&Sip| {
            replaces(invite).is_some() || evidence.is_pbx(invite.from) && evidence.may_be_transfer(invite)
        };
        // The other one of the two, too, has a record of its own from then on.
        let is_split = |invite: &&&Sip| {
            let split = evidence.calls.get(call_id).and_then(|session| evidence.split.get(session));
            split.is_some_and(|(other, _)| evidence.sessions.all[*other].call_id == invite.call_id)
        };
        first.is_some_and(|invite| is_heir(&invite) || is_split(&invite))
    };
    let taken = evidence.taken_at(call_id);
    let heard = |message: &&Sip| match message.status {
        None if message.method == "BYE" && evidence.is_pbx(message.to) => evidence.log.understood(message),
        Some(408 | 481) if evidence.is_pbx(message.to) => message.arrived,
        Some(_) | None => None,
    };
    let heirs = calls.values().filter(begins).flatten();
    heirs.filter_map(heard).filter(|at| *at >= parted).chain(taken).collect()
}

/// A PRACK may miss its response, a CANCEL its INVITE: no dialog ends with that.
fn is_of_its_own(response: &Sip) -> bool {
    ["PRACK", "CANCEL"].contains(&response.method.as_str())
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// What follows from the other entries.
fn sums(
    record: &Value,
    started: Option<Instant>,
    answered: Option<Instant>,
    ended: Option<Instant>,
) -> Option<String> {
    let (started, ended) = (started?, ended?);
    let is = |key: &str, time: Duration| {
        let said = record[key].as_f64().unwrap_or(-1.0);
        (said - time.as_secs_f64()).abs() < 0.001
    };
    let billed = answered.map_or(Duration::ZERO, |answered| ended.since(answered));
    let wrong = match (is("duration_secs", ended.since(started)), is("billed_secs", billed)) {
        (false, _) => "duration_secs",
        (_, false) => "billed_secs",
        (true, true) => return disposition(record),
    };
    Some(format!("its {wrong} {} does not follow from its times", record[wrong]))
}

/// What it is called, by the final status the caller saw.
fn disposition(record: &Value) -> Option<String> {
    let expected = match (record["answered_at"].is_null(), record["status"].as_u64()) {
        (false, _) => "answered",
        (true, Some(487)) => "cancelled",
        (true, Some(486 | 600)) => "busy",
        (true, Some(408 | 480)) => "no_answer",
        (true, _) => "failed",
    };
    let said = &record["disposition"];
    (said != expected).then(|| format!("it says {said} and is {expected}"))
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks, broken};
    use serde_json::json;

    #[test]
    fn an_answered_call_without_a_record_breaks_a1() {
        assert_eq!(broken(&answered_call()), ["A1"]);
    }

    #[test]
    fn two_records_of_one_call_break_a1() {
        assert_eq!(broken(&answered_call().recorded().recorded()), ["A1"]);
    }

    #[test]
    fn a_record_for_a_call_breaks_nothing() {
        assert_eq!(broken(&answered_call().recorded()), [""; 0]);
    }

    #[test]
    fn who_comes_in_the_place_of_another_ends_the_call() {
        let record = |ended: &str| {
            json!({
                "sip_call_id": "c",
                "started_at": "2026-01-01T00:00:00.001000Z",
                "answered_at": "2026-01-01T00:00:00.005000Z",
                "ended_at": ended,
                "duration_secs": 1.0,
                "billed_secs": 0.996,
                "disposition": "answered",
                "status": 200,
                "ended_by": "callee",
            })
        };
        let sent_on = |refer: u16| {
            answered_call()
                .request(500, 2, 1, "REFER", "r", 2)
                .within()
                .response(501, 1, 2, refer, "REFER", "r", 2)
                .request(502, 1, 3, "INVITE", "d1", 1)
                .but("From: <sip:a@x>", "From: <sip:b@x>")
                .but("Call-ID: c", "Call-ID: d")
                .response(510, 3, 1, 200, "INVITE", "d1", 1)
                .but("Call-ID: c", "Call-ID: d")
                .request(1_000, 3, 1, "BYE", "d2", 1)
                .within_by_callee()
                .but("Call-ID: c", "Call-ID: d")
                .request(1_200, 1, 2, "BYE", "b3", 2)
                .within_by_callee()
        };
        let told = |tale: Tale| breaks("A2", &tale.with_record(record("2026-01-01T00:00:01.001000Z")));
        assert!(!told(sent_on(202)));
        assert!(told(sent_on(603)), "nobody was sent on");
    }

    #[test]
    fn an_order_that_led_nowhere_is_not_what_came_without_a_name() {
        let record = json!({
            "sip_call_id": "",
            "call_id": "d1",
            "started_at": "2026-01-01T00:00:00.001000Z",
            "ended_at": "2026-01-01T00:00:00.001000Z",
            "disposition": "failed",
            "status": 404,
        });
        let refused = Tale::new().response(5, 1, 2, 400, "CANCEL", "b1", 1).but("Call-ID: c", "Subject: c");
        assert!(!breaks("A2", &refused.with_record(record)));
    }

    #[test]
    fn a_bye_that_waits_for_an_ack_is_later_than_the_end() {
        let record = json!({
            "sip_call_id": "c",
            "started_at": "2026-01-01T00:00:00.001000Z",
            "answered_at": "2026-01-01T00:00:00.005000Z",
            "ended_at": "2026-01-01T00:00:00.500000Z",
            "duration_secs": 0.499,
            "billed_secs": 0.495,
            "disposition": "answered",
            "status": 200,
            "ended_by": "pbx",
        });
        let ended = |acked: u64| {
            let tale = answered_call().request(acked, 2, 1, "ACK", "b2", 1).within();
            tale.request(900, 1, 2, "BYE", "b3", 1).within_by_callee().with_record(record.clone())
        };
        assert!(!breaks("A2", &ended(899)));
        assert!(breaks("A2", &ended(7)), "it had been acknowledged, and nothing was to be waited for");
    }

    #[test]
    fn what_was_said_to_an_invite_that_came_damaged_counts_if_it_is_recorded() {
        let record = |answered: &str| {
            json!({
                "sip_call_id": "c",
                "started_at": "2026-01-01T00:00:00.001000Z",
                "answered_at": answered,
                "ended_at": "2026-01-01T00:00:01.001000Z",
                "duration_secs": 1.0,
                "billed_secs": 0.999,
                "disposition": "answered",
                "status": 200,
                "ended_by": "caller",
            })
        };
        let tale = |answered: &str| {
            Tale::new()
                .request(0, 2, 1, "INVITE", "b1", 1)
                .with("Subject: hello")
                .damaged("hello")
                .response(2, 1, 2, 200, "INVITE", "b1", 1)
                .request(1_000, 2, 1, "BYE", "b3", 2)
                .within()
                .with_record(record(answered))
        };
        assert!(!breaks("A2", &tale("2026-01-01T00:00:00.002000Z")));
        assert!(breaks("A2", &tale("2026-01-01T00:00:00.202000Z")));
    }

    #[test]
    fn a_record_that_says_who_did_not_hang_up_breaks_a2() {
        let hung_up = |by: &str| {
            let record = json!({
                "sip_call_id": "c",
                "started_at": "2026-01-01T00:00:00.001000Z",
                "answered_at": "2026-01-01T00:00:00.005000Z",
                "ended_at": "2026-01-01T00:00:01.001000Z",
                "duration_secs": 1.0,
                "billed_secs": 0.996,
                "disposition": "answered",
                "status": 200,
                "ended_by": by,
            });
            answered_call().request(1_000, 2, 1, "BYE", "b3", 2).within().with_record(record)
        };
        assert_eq!(broken(&hung_up("caller")), [""; 0]);
        assert_eq!(broken(&hung_up("callee")), ["A2"]);
    }

    fn answered_call() -> Tale {
        Tale::new().request(0, 2, 1, "INVITE", "b1", 1).response(5, 1, 2, 200, "INVITE", "b1", 1).unrecorded()
    }
}
