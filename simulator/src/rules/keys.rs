//! Keys that are pressed on one leg come out on the other, in whichever way each of them knows keys: as events (RFC 4733), by
//! messages (INFO), as tones in the sound (ITU-T Q.23).

use super::flow::{Flow, Rtp};
use super::log::Sip;
use super::media::{key, keys_in};
use super::relay::{Passage, Reader, passages};
use super::session::{End, SLACK, Terms};
use super::{Evidence, Findings, Rule};
use pbx::audio::Coding;
use pbx::rtp::event;
use pbx::time::{Duration, Instant};
use pbx::tone::dtmf::Detector;
use pbx::tone::scan::Instruments;
use std::iter::repeat_n;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "R14",
    source: "RFC 4733 sections 2.5.1.4 and 2.6.2",
    sentence: "keys come out of the PBX as they were pressed: in order, each once, whatever was lost of them but all",
    find: keys_pass,
}];

/// A key of which nothing has come until then has been overtaken by what was said after it.
const LATE: Duration = Duration::from_millis(200);
/// Within so long one key that has to be turned into something else is, and the next begins so long after it.
const TURNING: Duration = Duration::from_secs(1);
const NEXT: Duration = Duration::from_millis(300);
/// Longer pauses between two packets sound like this one: 100 ms.
const PAUSE: i32 = 800;

/// A key in the sound is certain 40 ms after it began, or a little later; people hold it for a fifth of a second at most. So many
/// packets before and behind have to have come.
const BEFORE: usize = 5;
const BEHIND: usize = 12;

/// A key that was told, and when it was.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: Instant,
    key: char,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Event,
    Message,
    Tone,
}

fn keys_pass(evidence: &Evidence<'_>, findings: &mut Findings) {
    for passage in passages(evidence) {
        let Some(keys) = Keys::of(evidence, &passage) else { continue };
        let Keys { certain, told, perhaps, .. } = &keys;
        if !is_within(certain, told) || !is_within(told, perhaps) {
            findings.add(keys.begin, format!("{certain:?} became {told:?}"));
        }
    }
}

/// The keys of one direction, in order.
struct Keys {
    begin: Instant,
    /// Those that have to come out.
    certain: String,
    /// Those that came out.
    told: String,
    /// Those that may.
    perhaps: String,
}

impl Keys {
    /// `None` where nobody can tell.
    fn of(evidence: &Evidence<'_>, passage: &Passage) -> Option<Keys> {
        let Passage { speaker, relay, until } = *passage;
        let holds = evidence.sessions.terms(relay).iter().filter(|terms| terms.since < until);
        let is_free = holds.into_iter().all(|terms| terms.over || !terms.forbid());
        let (tells, listens) =
            (knows_events(evidence, speaker, until)?, knows_events(evidence, relay, until)?);
        let is_damaged =
            evidence.flows.from(speaker).any(|flow| flow.packets.iter().any(|packet| packet.damaged));
        let by_tones = !tells || !listens;
        // Where an answer never came nobody knows where to pass anything on.
        let own = End { side: 1 - speaker.side, ..speaker };
        let is_agreed = [own, relay].iter().all(|end| !evidence.sessions.terms(*end).is_empty());
        if !is_agreed || !is_free || is_damaged {
            return None;
        }
        let messages = messages(evidence, speaker.session, false)?;
        let passed = self::messages(evidence, relay.session, true)?;
        // Where both know events nobody listens to the sound.
        let tones = |end: End, until: Instant| match by_tones {
            true => toned(evidence, end, until),
            false => Some(Vec::new()),
        };
        let (toned, heard) = (tones(speaker, until)?, tones(relay, until)?);

        let joined = evidence.sessions.all[relay.session].accepted.map_or(Instant::START, |(at, _)| at);
        // With one leg the other is over, even where BYE has to wait for an ACK.
        let ends = [own, relay].map(|end| evidence.sessions.all[end.session].over[end.side]);
        let over = ends.into_iter().flatten().chain([until]).min().unwrap_or(until);
        // An answer that comes in the ACK may come late.
        let agreed =
            [own, relay].into_iter().filter_map(|end| Some(evidence.sessions.terms(end).first()?.since));
        let agreed = agreed.chain([joined]).max().unwrap_or(joined);
        // What is turned into something else takes its time, one key after the other.
        let is_turned = by_tones || !messages.is_empty() || !passed.is_empty();
        // So does what has waited until they agreed.
        let mut pressed_before = evidence.flows.from(speaker).flat_map(|flow| &flow.packets);
        let waited = pressed_before.any(|packet| packet.at <= agreed && key(packet).is_some());
        let count = toned.len()
            + messages.len()
            + evidence.flows.from(speaker).map(|flow| keys_in(flow).len()).sum::<usize>();
        let delay = if is_turned || waited { TURNING + NEXT * count as u32 } else { SLACK };
        let during = |at: &Instant| {
            *at > agreed + SLACK && *at + delay < over && evidence.has_kept(speaker.session, *at)
        };
        // A key at the very beginning or end, and one that the next has overtaken, may pass or not.
        let is_certain = |told: &Told| during(&told.at) && told.at > agreed + LATE;
        let mut certain = pressed(evidence.flows.from(speaker), during);
        // Of messages those that were taken: one that was overtaken by the next is refused (RFC 3261 section 12.2.2).
        let taken = messages.iter().filter(|(message, _)| is_taken(evidence, message));
        let arrived = |(message, told): &(&Sip, Told)| Some(Told { at: message.arrived?, ..*told });
        let whole = toned.iter().filter(|tone| tone.is_whole).map(|tone| tone.told);
        certain.extend(taken.filter_map(arrived).chain(whole).filter(is_certain));
        let mut perhaps = events(evidence.flows.from(speaker), |packet| packet.arrivals().next().is_some());
        perhaps.extend(messages.iter().filter_map(arrived));
        // A tone with a hole in it may be heard as two.
        perhaps.extend(toned.iter().flat_map(|tone| repeat_n(tone.told, if tone.is_whole { 1 } else { 2 })));
        let mut told = events(evidence.flows.from(relay), |packet| packet.at < until);
        told.extend(heard.iter().map(|tone| tone.told).chain(passed.iter().map(|(_, told)| *told)));
        // Of two ways one may be the faster.
        let is_mixed = perhaps.iter().any(|told| told.way != perhaps[0].way);
        let [certain, told, perhaps] = [certain, told, perhaps].map(|keys| text(keys, is_mixed));
        let begin = evidence.flows.from(speaker).map(|flow| flow.packets[0].at).min().unwrap_or(joined);
        Some(Keys { begin, certain, told, perhaps })
    }
}

/// When the PBX presses keys for the one who listens, or keeps their tones from being heard: what passes then is no evidence.
pub(super) struct Turned {
    /// Whether what sounds like a key for a moment may be hushed at any time.
    pub(super) hushes: bool,
    times: Vec<[Instant; 2]>,
}

impl Turned {
    pub(super) fn covers(&self, at: Instant) -> bool {
        self.touches(at, at)
    }

    /// Whether any of it is within this time.
    pub(super) fn touches(&self, begin: Instant, end: Instant) -> bool {
        self.times.iter().any(|[from, to]| *from <= end && begin <= *to)
    }
}

/// When keys are turned into something else on their way; `None` where nobody can tell.
pub(super) fn turned(evidence: &Evidence<'_>, passage: &Passage) -> Option<Turned> {
    let Passage { speaker, relay, until } = *passage;
    let (tells, listens) = (knows_events(evidence, speaker, until)?, knows_events(evidence, relay, until)?);
    let messages = messages(evidence, speaker.session, false)?;
    let is_told_by_message = !self::messages(evidence, relay.session, true)?.is_empty();
    let mut keys: Vec<Told> = messages
        .iter()
        .map(|(message, told)| Told { at: message.arrived.unwrap_or(told.at), ..*told })
        .collect();
    if tells && (!listens || is_told_by_message) {
        keys.extend(events(evidence.flows.from(speaker), |_| true));
    }
    let hushes = !tells && (listens || is_told_by_message);
    if hushes {
        if !evidence.is_calm(speaker.session) {
            return None;
        }
        keys.extend(toned(evidence, speaker, until)?.into_iter().map(|tone| tone.told));
    }
    let last = TURNING + NEXT * keys.len() as u32;
    let begin = |at: Instant| Instant::from_nanos(at.as_nanos().saturating_sub(LATE.as_nanos() as u64));
    let times = keys.iter().map(|told| [begin(told.at), told.at + last]).collect();
    Some(Turned { hushes, times })
}

/// Whether keys are told to the other end as events, in all that was agreed on until then; `None` where now and then.
fn knows_events(evidence: &Evidence<'_>, end: End, until: Instant) -> Option<bool> {
    let terms = evidence.sessions.terms(end).iter().filter(|terms| terms.since < until && !terms.over);
    let mut knows = terms.map(|terms: &Terms| terms.formats.iter().any(|format| format.is_event()));
    let first = knows.next()?;
    knows.all(|other| other == first).then_some(first)
}

/// The keys that came to the PBX by message in a session, or that it told by message; `None` where one came damaged.
fn messages<'a>(evidence: &'a Evidence<'_>, session: usize, by_pbx: bool) -> Option<Vec<(&'a Sip, Told)>> {
    let call_id = &evidence.sessions.all[session].call_id;
    let infos = evidence.log.requests().filter(|request| {
        request.method == "INFO" && request.call_id == *call_id && evidence.is_pbx(request.from) == by_pbx
    });
    let mut told: Vec<(&Sip, Told)> = Vec::new();
    for message in infos {
        if message.damaged.is_some() {
            return None;
        }
        // The same again, which may be the first that comes.
        let again = told.iter_mut().find(|(known, _)| known.branch == message.branch);
        match (again, key_of(message.body())) {
            (Some((known, _)), _) if known.arrived.is_none() => *known = message,
            (Some(_), _) | (None, None) => {}
            (None, Some(key)) => told.push((message, Told { at: message.at, key, way: Way::Message })),
        }
    }
    Some(told)
}

/// Whether a request was answered with 2xx.
fn is_taken(evidence: &Evidence<'_>, request: &Sip) -> bool {
    let transaction = request.transaction.map(|at| &evidence.log.transactions[at]);
    let mut answers = transaction.into_iter().flat_map(|known| evidence.log.at(&known.responses));
    answers.any(|answer| answer.status.is_some_and(|status| (200..300).contains(&status)))
}

/// The key in `Signal=5`, or in a body that is no more than the key.
fn key_of(body: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(body).ok()?;
    let signal = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case("signal").then_some(value)
    });
    let mut letters = signal.unwrap_or(text).trim().chars();
    let key = letters.next().filter(|key| "0123456789*#ABCD".contains(*key))?;
    letters.next().is_none().then_some(key)
}

/// A key in the sound.
struct Toned {
    told: Told,
    /// Whether the network has brought all of it, in order.
    is_whole: bool,
}

/// The keys in the sound that was sent from one end, each when it is certain; `None` where it is in a codec that nobody reads.
fn toned(evidence: &Evidence<'_>, end: End, until: Instant) -> Option<Vec<Toned>> {
    let terms = evidence.sessions.terms(end);
    let mut found = Vec::new();
    for flow in evidence.flows.from(end) {
        let (mut detector, mut instruments) = (Detector::default(), Instruments::default());
        let (mut samples, mut reader, mut next) = (Vec::new(), None, None::<u32>);
        let mut last = flow.packets.first()?.at;
        let sound: Vec<&Rtp<'_>> =
            flow.packets.iter().filter(|packet| key(packet).is_none() && packet.at < until).collect();
        for (place, packet) in sound.iter().enumerate() {
            let number = packet.header.payload_type;
            let format = terms.iter().rev().find_map(|terms| terms.format(number))?;
            if format.name == "cn" {
                continue;
            }
            let coding = Coding::named(&format.name, format.rate, 1)?;
            samples.clear();
            let pause = next.map_or(0, |next| packet.header.timestamp.wrapping_sub(next).cast_signed());
            samples.resize(pause.clamp(0, PAUSE) as usize, 0);
            let before = samples.len();
            Reader::of(coding, &mut reader)?.read(packet.payload, &mut samples);
            next = Some(packet.header.timestamp.wrapping_add((samples.len() - before) as u32));
            last = packet.at;
            let told = |key| Told { at: packet.at, key, way: Way::Tone };
            detector.receive(samples.iter().copied(), &mut instruments, |key| {
                let around = place.saturating_sub(BEFORE)..(place + BEHIND).min(sound.len());
                found.push(Toned { told: told(key), is_whole: came_in_order(&sound[around]) });
            });
        }
        detector.receive([0; PAUSE as usize], &mut instruments, |key| {
            let around = &sound[sound.len().saturating_sub(BEFORE + BEHIND)..];
            let told = Told { at: last, key, way: Way::Tone };
            found.push(Toned { told, is_whole: came_in_order(around) });
        });
    }
    Some(found)
}

/// Whether all of these came, each once and behind the one before.
fn came_in_order(packets: &[&Rtp<'_>]) -> bool {
    let arrivals: Option<Vec<Instant>> = packets.iter().map(|packet| packet.arrived).collect();
    arrivals.is_some_and(|arrivals| arrivals.is_sorted())
}

/// The keys that were told as events of which `counts` says that a packet counts.
fn events<'a>(flows: impl Iterator<Item = &'a Flow<'a>>, counts: impl Fn(&Rtp<'_>) -> bool) -> Vec<Told> {
    let mut told = Vec::new();
    for flow in flows {
        let mut keys = keys_in(flow);
        // What comes late is told late, and is heard in its place by its number.
        if let Some((first, ..)) = keys.first().cloned() {
            keys.sort_by_key(|(timestamp, ..)| timestamp.wrapping_sub(first).cast_signed());
        }
        let counted =
            keys.into_iter().filter(|(.., packets)| packets.iter().any(|at| counts(&flow.packets[*at])));
        told.extend(counted.filter_map(|(_, number, packets)| {
            let at = flow.packets[*packets.first()?].at;
            Some(Told { at, key: event::key(number)?, way: Way::Event })
        }));
    }
    told
}

/// Those that came in this time, each before the next.
fn pressed<'a>(flows: impl Iterator<Item = &'a Flow<'a>>, during: impl Fn(&Instant) -> bool) -> Vec<Told> {
    let mut told = Vec::new();
    for flow in flows {
        let keys = keys_in(flow);
        // What is overtaken by so much is told no more.
        let came = |packets: &[usize]| {
            let packets = packets.iter().map(|at| &flow.packets[*at]);
            let arrivals = packets.flat_map(|it| it.arrivals().filter(|came| *came < it.at + LATE));
            arrivals.collect::<Vec<_>>()
        };
        let begins: Vec<Option<Instant>> =
            keys.iter().map(|(.., packets)| came(packets).into_iter().min()).collect();
        for (place, (_, number, packets)) in keys.iter().enumerate() {
            let next = begins[place + 1..].iter().flatten().min();
            let counts = |at: &Instant| next.is_none_or(|next| at < next);
            // What is left of a key that began before is no key of its own.
            if let Some(at) = begins[place].filter(&during)
                && came(packets).iter().any(counts)
                && let Some(key) = event::key(*number)
            {
                told.push(Told { at, key, way: Way::Event });
            }
        }
    }
    told
}

/// Keys in the order of time; where nobody can know it, in that of letters.
fn text(mut keys: Vec<Told>, is_mixed: bool) -> String {
    let ways = keys.iter().any(|told| told.way != keys[0].way);
    if ways {
        keys.sort_by_key(|told| told.at);
    }
    if is_mixed {
        keys.sort_by_key(|told| told.key);
    }
    keys.iter().map(|told| told.key).collect()
}

/// Whether the letters of one text stand in another, in their order.
fn is_within(part: &str, whole: &str) -> bool {
    let mut letters = whole.chars();
    part.chars().all(|letter| letters.any(|other| other == letter))
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};
    use super::key_of;

    #[test]
    fn a_key_that_is_kept_breaks_r14() {
        let told = [(160, false), (320, true), (320, true), (320, true)];
        assert!(broken(&Tale::talk_of_two().key(20, 0, 0, &told)).contains(&"R14"));
    }

    #[test]
    fn a_key_is_read_in_each_of_its_forms() {
        for (body, key) in [
            (&b"Signal=5\r\nDuration=160\r\n"[..], Some('5')),
            (b"Signal= *\r\n", Some('*')),
            (b"#", Some('#')),
            (b"", None),
            (b"56", None),
            (b"<media_control/>", None),
        ] {
            assert_eq!(key_of(body), key, "{:?}", String::from_utf8_lossy(body));
        }
    }
}
