//! Who is heard by whom in a moment: the tone that one says, looked for in what the PBX sends to another.

use super::talk::Talks;
use super::view::{Told, events, views};
use crate::ear;
use crate::rules::Evidence;
use crate::rules::flow::Rtp;
use crate::rules::relay::{decode, tone_of};
use crate::rules::session::{End, in_force};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How long one listens.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// How long the PBX may take until it is so.
pub(super) const SETTLES: Duration = Duration::from_millis(300);

/// What was done shortly before may still be heard.
const LATELY: Duration = Duration::from_secs(1);

/// Keys that are pressed by command may take so long.
const KEYS: Duration = Duration::from_secs(20);

/// The share of the power of a voice that is there, and of one that is not.
const IS_THERE: f64 = 0.12;
const IS_NOT: f64 = 0.02;

/// The fewest packets in which something can be heard.
const PACKETS: usize = 8;

/// What is known of all calls.
pub(super) struct Scene<'a, 'b> {
    evidence: &'a Evidence<'b>,
    pub(super) events: Vec<Told<'a>>,
    /// By call: from when until when it was, its session, and which side the telephone is.
    ends: BTreeMap<&'a str, Vec<(Instant, Instant, End)>>,
    /// By call: when something was done to it, and by what.
    touches: BTreeMap<&'a str, Vec<(Instant, &'a str)>>,
}

impl<'a, 'b> Scene<'a, 'b> {
    pub(super) fn of(evidence: &'a Evidence<'b>) -> Scene<'a, 'b> {
        let events = events(&views(evidence));
        let mut scene = Scene { evidence, events, ends: ends(evidence), touches: BTreeMap::new() };
        if scene.events.is_empty() {
            return scene;
        }
        let mut touches: Vec<(&str, Instant, &str)> = Vec::new();
        for told in &scene.events {
            touches.extend(told.calls().map(|call| (call, told.at, told.name)));
        }
        for talk in Talks::with_pbx(evidence) {
            for said in talk.said.iter().filter(|said| !said.by_server) {
                let params = said.what["params"].as_object().into_iter().flatten();
                // What it is called there does not matter.
                let named = params.filter_map(|(_, value)| value.as_str());
                let at = said.arrived.unwrap_or(said.at);
                touches.extend(named.map(|call| (call, at, said.action())));
            }
        }
        for (call, (_, _, end)) in
            scene.ends.iter().flat_map(|(call, ends)| ends.iter().map(move |end| (call, end)))
        {
            let call_id = &evidence.sessions.all[end.session].call_id;
            let places = evidence.log.by_call_id.get(call_id).map_or(&[][..], Vec::as_slice);
            let changes = evidence.log.at(places).filter(|message| message.method != "OPTIONS");
            touches.extend(
                changes
                    .flat_map(|message| message.arrivals().chain([message.at]).map(|at| (*call, at, "SIP"))),
            );
        }
        for (call, at, what) in touches {
            scene.touches.entry(call).or_default().push((at, what));
        }
        scene.touches.values_mut().for_each(|touches| touches.sort_unstable());
        scene
    }

    /// When one looks at what has begun at `since` between these calls: soon after it, and shortly before something else
    /// is done to one of them. None where something may still go on from before.
    pub(super) fn looks(&self, since: Instant, calls: &[&str]) -> Vec<Instant> {
        let touches = || calls.iter().filter_map(|call| self.touches.get(call)).flatten();
        let plays = |what: &str| matches!(what, "record.started" | "media.play.finished");
        let is_late = |(at, what): &&(Instant, &str)| {
            (plays(what) && *at <= since && since.since(*at) < LATELY)
                || (*what == "call.send_dtmf" && *at <= since && since.since(*at) < KEYS)
        };
        if touches().any(|touch| is_late(&touch)) || calls.iter().any(|call| self.plays(call, since)) {
            return Vec::new();
        }
        // What is told in the same moment belongs to it.
        let next = touches().map(|(at, _)| *at).filter(|at| *at > since + Duration::from_millis(1)).min();
        let next = next.unwrap_or(self.evidence.log.end).min(self.evidence.run.end);
        let (first, last) = (
            since + SETTLES,
            Instant::from_nanos(next.as_nanos().saturating_sub(LOOK.as_nanos() as u64 * 3 / 2)),
        );
        [first, last].into_iter().filter(|at| *at >= first && *at <= last).collect()
    }

    /// Whether something was being played to it then.
    fn plays(&self, call: &str, at: Instant) -> bool {
        let (mut started, mut ended) = (0, 0);
        for told in self.events.iter().take_while(|told| told.at <= at).filter(|told| told.call == call) {
            match told.name {
                "media.play.started" | "queue.joined" => started += 1,
                "media.play.finished" | "queue.left" => ended += 1,
                _ => {}
            }
        }
        started > ended
    }

    /// Whether one hears what another says; `None` where that cannot be judged.
    pub(super) fn hears(&self, listener: &str, speaker: &str, from: Instant) -> Option<Heard> {
        let (speaker, listener) = (self.end(speaker, from)?, self.end(listener, from)?);
        let relay = End { side: 1 - listener.side, ..listener };
        let until = from + LOOK;
        let may = |end: End| {
            let terms = self.evidence.sessions.terms(end);
            [from, until].iter().all(|at| {
                let terms = in_force(terms, *at);
                !terms.is_empty() && terms.iter().all(|terms| !terms.forbid())
            })
        };
        // Who is on hold hears music, and says nothing.
        if !may(speaker) || !may(relay) || !may(listener) || !self.is_calm([speaker, listener], from, until) {
            return None;
        }
        let within = |at: &Instant| (from..until).contains(at);
        let said = self.evidence.flows.from(speaker).flat_map(|flow| &flow.packets);
        let mut said: Vec<&Rtp<'_>> =
            said.filter(|packet| packet.arrived.as_ref().is_some_and(within)).collect();
        said.sort_by_key(|packet| packet.arrived);
        let heard = self.evidence.flows.from(relay).flat_map(|flow| &flow.packets);
        let mut heard: Vec<&Rtp<'_>> = heard.filter(|packet| within(&packet.at)).collect();
        heard.sort_by_key(|packet| packet.at);
        if said.len() < PACKETS {
            return None;
        }
        let tone = tone_of(&decode(self.evidence, speaker, said.into_iter())?)?;
        let samples = decode(self.evidence, relay, heard.into_iter())?;
        let share = if samples.is_empty() { 0.0 } else { ear::share(&samples, tone) };
        Some(Heard { tone, share })
    }

    /// The telephone of the call that had this name then.
    fn end(&self, call: &str, at: Instant) -> Option<End> {
        let mut ends = self.ends.get(call)?.iter().filter(|(since, until, _)| *since <= at && at < *until);
        ends.next().map(|(_, _, end)| *end).filter(|_| ends.next().is_none())
    }

    /// Whether nothing went wrong around both in this time.
    fn is_calm(&self, ends: [End; 2], from: Instant, until: Instant) -> bool {
        let evidence = self.evidence;
        let near = |at: &Instant| *at + LATELY >= from && *at <= until + LATELY;
        let calm =
            |host: IpAddr| !evidence.log.faults.get(&host).is_some_and(|faults| faults.iter().any(near));
        let hosts = ends.iter().flat_map(|end| evidence.sessions.all[end.session].hosts);
        let was_off = evidence
            .outages
            .iter()
            .any(|outage| outage.from <= until + LATELY && outage.to.is_none_or(|to| to + LATELY >= from));
        let is_misled = ends.iter().any(|end| evidence.is_misled(end.session));
        !evidence.run.stood_still
            && !was_off
            && !is_misled
            && hosts.filter(|host| *host != evidence.pbx).all(calm)
    }
}

/// How much of a voice is heard.
pub(super) struct Heard {
    pub(super) tone: f64,
    share: f64,
}

impl Heard {
    pub(super) fn is_there(&self) -> bool {
        self.share > IS_THERE
    }

    pub(super) fn is_not_there(&self) -> bool {
        self.share < IS_NOT
    }
}

/// The telephones of calls, by the records of the PBX. Several may have had a name, one after the other.
fn ends<'a>(evidence: &'a Evidence<'_>) -> BTreeMap<&'a str, Vec<(Instant, Instant, End)>> {
    let mut ends: BTreeMap<&str, Vec<(Instant, Instant, End)>> = BTreeMap::new();
    for record in evidence.records {
        let Some(name) = record["call_id"].as_str() else { continue };
        let Some(session) = evidence.session_of(record) else { continue };
        let is_callee = evidence.sessions.all[session].hosts[0] == evidence.pbx;
        let end = End { session, side: usize::from(is_callee), stream: 0 };
        let moment = |key: &str| evidence.run.moment(&record[key]);
        let times = (moment("started_at").unwrap_or(Instant::START), moment("ended_at"));
        ends.entry(name).or_default().push((times.0, times.1.unwrap_or(evidence.run.end), end));
    }
    ends
}
