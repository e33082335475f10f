//! What goes into the PBX on one leg comes out on the other: payloads, voices. Of keys see `keys.rs`.

use super::flow::Rtp;
use super::interpreted;
use super::keys::{self, Turned};
use super::media::key;
use super::sdp::Format;
use super::session::{End, SLACK, Session, Terms, in_force};
use super::{Evidence, Findings, Rule, Run};
use crate::ear;
use pbx::audio::resample::Halfband;
use pbx::audio::{Coding, Decoder, Law, NARROWBAND};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R21",
        source: "a promise of the PBX",
        sentence: "what is passed on is the same, byte for byte or, in another codec, as a sound, and all of it is passed on",
        find: payloads_pass,
    },
    Rule {
        id: "R22",
        source: "a promise of the PBX",
        sentence: "what one says is what the other hears",
        find: voices_pass,
    },
];

/// How long a packet stays in a relay.
const STAY: Duration = Duration::from_millis(3);
/// Packets of one look at a voice, and how many go by between two looks.
const LOOK: usize = 10;
const BETWEEN: usize = 100;
/// The share of the time in which a voice is there that is heard.
const MOSTLY: f64 = 0.5;
/// What is said so shortly before the two are parted may come too late.
const PARTING: Duration = Duration::from_millis(500);

/// Which session of the PBX is joined with which, worked out from when they were answered: the PBX answers a caller in the
/// moment in which it is answered itself.
pub(super) fn partners(sessions: &[Session], pbx: IpAddr) -> Vec<Option<usize>> {
    let mut partners = vec![None; sessions.len()];
    let mut claims: Vec<Vec<usize>> = vec![Vec::new(); sessions.len()];
    let mut answered: Vec<(Instant, usize)> = (0..sessions.len())
        .filter(|at| sessions[*at].hosts[0] == pbx)
        .flat_map(|at| {
            let accepted = sessions[at].accepted.and_then(|(_, came)| came);
            accepted.into_iter().chain(sessions[at].accepted_damaged).map(move |came| (came, at))
        })
        .collect();
    answered.sort_unstable();
    for (at, session) in sessions.iter().enumerate().filter(|(_, session)| session.hosts[1] == pbx) {
        let Some((accepted, _)) = session.accepted else { continue };
        let last = answered.partition_point(|(when, _)| *when <= accepted);
        let moment = answered[..last].iter().rev().take_while(|(when, _)| *when + SLACK >= accepted);
        let of_caller = |(_, other): &&(Instant, usize)| {
            sessions[*other].caller == session.caller && sessions[*other].invited_at >= session.invited_at
        };
        let mut found = moment.filter(of_caller);
        // Two calls of one caller that are answered at once cannot be told from each other.
        if let (Some((_, other)), None) = (found.next(), found.next()) {
            partners[at] = Some(*other);
            claims[*other].push(at);
        }
    }
    // Nor can it be told for which of two it was called.
    for (other, claims) in claims.into_iter().enumerate() {
        match *claims {
            [at] => partners[other] = Some(at),
            ref many => many.iter().for_each(|at| partners[*at] = None),
        }
    }
    partners
}

/// Who was called by the PBX and has a record of its own was called by order of an application, or came into its hands: whom
/// it hears is for the application to say, and not to be read from who was answered when.
///
/// Those who were joined by the dial plan before are told apart: until when, by session.
pub(super) fn part(
    partners: &mut [Option<usize>],
    sessions: &[Session],
    run: &Run<'_>,
) -> BTreeMap<usize, (usize, Instant)> {
    let records = run.records.unwrap_or_default();
    let named = |record: &'_ serde_json::Value| record["sip_call_id"].as_str().map(str::to_owned);
    let own: BTreeMap<String, &serde_json::Value> =
        records.iter().filter_map(|record| Some((named(record)?, record))).collect();
    let mut split = BTreeMap::new();
    for (at, session) in sessions.iter().enumerate() {
        if session.hosts[0] == run.pbx
            && let Some(record) = own.get(&session.call_id)
            && let Some(other) = partners[at].take()
        {
            partners[other] = None;
            // Its record begins when it became a call of its own.
            let begins = run.moment(&record["started_at"]);
            let accepted = session.accepted.and_then(|(_, accepted)| accepted);
            if let Some((begins, _)) = begins.zip(accepted).filter(|(begins, accepted)| begins > accepted) {
                split.insert(at, (other, begins));
                split.insert(other, (at, begins));
            }
        }
    }
    split
}

/// One direction of a call of two: what a telephone sends to the PBX, and what the PBX sends to the other telephone.
pub(super) struct Passage {
    /// The telephone that speaks.
    pub(super) speaker: End,
    /// The end of the PBX that speaks to the one who listens.
    pub(super) relay: End,
    /// From then on each is for itself.
    pub(super) until: Instant,
}

pub(super) fn passages<'a>(evidence: &'a Evidence<'_>) -> impl Iterator<Item = Passage> + 'a {
    // What was held back came later than anybody has written down.
    let sessions = if evidence.run.stood_still { 0 } else { evidence.sessions.all.len() };
    (0..sessions).filter_map(|session| {
        let joined = evidence.partner_of(session).map(|partner| (partner, Instant::from_nanos(u64::MAX)));
        let joined = joined.or_else(|| evidence.split.get(&session).copied());
        let (partner, until) =
            joined.filter(|(partner, _)| !evidence.is_misled(session) && !evidence.is_misled(*partner))?;
        // Whoever is sent on hears somebody else from then on.
        let until = until.min(evidence.parted_at(&evidence.sessions.all[session].call_id).unwrap_or(until));
        let telephone = |session: usize| usize::from(evidence.sessions.all[session].hosts[0] == evidence.pbx);
        let speaker = End { session, side: telephone(session), stream: 0 };
        let relay = End { session: partner, side: 1 - telephone(partner), stream: 0 };
        Some(Passage { speaker, relay, until })
    })
}

/// The packets that came to the PBX, copies too, in the order in which they came. What came in the moment in which it lost its
/// power may have been passed on.
fn arrivals<'a>(evidence: &'a Evidence<'_>, speaker: End) -> Vec<(Instant, &'a Rtp<'a>)> {
    let packets = evidence.flows.from(speaker).flat_map(|flow| &flow.packets);
    let arrivals = packets.flat_map(|packet| packet.arrivals().map(move |at| (at, packet)));
    let just_before = |at: Instant| at - Duration::from_nanos(1);
    let has_kept = |at: Instant| evidence.has_kept(speaker.session, just_before(at));
    let mut arrivals: Vec<_> = arrivals.filter(|(at, _)| has_kept(*at)).collect();
    arrivals.sort_by_key(|(at, _)| *at);
    arrivals
}

fn payloads_pass(evidence: &Evidence<'_>, findings: &mut Findings) {
    for passage in passages(evidence) {
        let Passage { speaker, relay, until } = passage;
        let damaged =
            evidence.flows.from(speaker).flat_map(|flow| &flow.packets).any(|packet| packet.damaged);
        // While the PBX presses keys, or hushes them, nothing else passes.
        let Some(turned) = keys::turned(evidence, &passage).filter(|_| !damaged) else { continue };
        if !is_one_codec(evidence, &passage) {
            interpreted::sounds_pass(evidence, &passage, &turned, findings);
            continue;
        }
        let came = arrivals(evidence, speaker);
        let accepted = evidence.sessions.all[relay.session].accepted.map_or(Instant::START, |(at, _)| at);
        let mut next = 0;
        for packet in evidence.flows.from(relay).flat_map(|flow| &flow.packets) {
            // Before they were joined others were heard: early media, a tone, up to that moment.
            if packet.at <= accepted {
                continue;
            }
            if packet.at + SLACK >= until {
                break;
            }
            if turned.covers(packet.at) || (turned.hushes && is_hushed(packet.payload)) {
                continue;
            }
            while came.get(next).is_some_and(|(at, _)| *at + STAY < packet.at) {
                next += 1;
            }
            let lately = came[next..].iter().take_while(|(at, _)| *at <= packet.at);
            // A key that was pressed before the other side had said what it knows is told when it has, and so is the next
            // one, if the first is still being told: R14 counts them.
            let is_before = |(at, source): &&(Instant, &Rtp<'_>)| {
                *at <= packet.at && key(source).map(|key| key.event) == key(packet).map(|key| key.event)
            };
            let is_told_later = key(packet).is_some() && came.iter().any(|it| is_before(&it));
            if !is_told_later
                && !lately.into_iter().any(|(_, source)| is_same(source.payload, packet.payload))
            {
                findings.add(packet.at, "what came out had not come in".to_owned());
                break;
            }
        }
        if evidence.is_calm(speaker.session) {
            let must_pass = |at: Instant| at + SLACK + STAY < until && evidence.has_kept(speaker.session, at);
            let came: Vec<_> = came.into_iter().filter(|(at, _)| must_pass(*at)).collect();
            all_pass(evidence, &came, relay, &turned, findings);
        }
    }
}

/// Where the network takes nothing away, nothing is missing.
fn all_pass(
    evidence: &Evidence<'_>,
    came: &[(Instant, &Rtp<'_>)],
    relay: End,
    turned: &Turned,
    findings: &mut Findings,
) {
    let terms = evidence.sessions.terms(relay);
    let sent: Vec<Instant> =
        evidence.flows.from(relay).flat_map(|flow| &flow.packets).map(|packet| packet.at).collect();
    let joined = evidence.sessions.all[relay.session].accepted.map_or(Instant::START, |(at, _)| at);
    // What is left of a key that began before they were joined, or before a hold, would be another key.
    let is_rest = |at: Instant, packet: &Rtp<'_>| {
        let is_same = |(_, other): &&(Instant, &Rtp<'_>)| {
            key(other).is_some() && other.header.timestamp == packet.header.timestamp
        };
        let first = key(packet).and_then(|_| came.iter().find(is_same));
        first.is_some_and(|(began, _)| {
            let is_held = |terms: &Terms| terms.forbid() && *began <= terms.since && terms.since <= at;
            *began <= joined + SLACK || terms.iter().any(is_held)
        })
    };
    let counts = |(at, packet): &&(Instant, &Rtp<'_>)| {
        *at > joined + SLACK && !turned.covers(*at) && !is_rest(*at, packet)
    };
    for (at, packet) in came.iter().filter(counts) {
        let number = packet.header.payload_type;
        // Whoever may send in this moment, may have been told so in this moment.
        let (holds, held) = (in_force(terms, *at), in_force(terms, *at + SLACK));
        let takes = |terms: &Terms| terms.format(number).is_some() || has_a_law(terms, number);
        let may =
            |terms: &[Terms]| terms.iter().all(|terms| !terms.forbid() && takes(terms)) && !terms.is_empty();
        if may(holds) && may(held) {
            let first = sent.partition_point(|sent| sent < at);
            if sent.get(first).is_none_or(|sent| *sent > *at + STAY) {
                return findings.add(*at, format!("what came from {number} was not passed on"));
            }
        }
    }
}

/// Whether nothing is heard in a payload: each of its bytes says the same.
fn is_hushed(payload: &[u8]) -> bool {
    payload.windows(2).all(|pair| pair[0] == pair[1])
}

/// Whether one payload is another one, or the same sound in the other law of G.711.
fn is_same(source: &[u8], other: &[u8]) -> bool {
    let converted = |law: Law| {
        let mut codes = source.to_vec();
        law.convert_to_other(&mut codes);
        codes == other
    };
    source == other || (source.len() == other.len() && (converted(Law::Mu) || converted(Law::A)))
}

/// Whether a packet with this payload type is in a law of G.711, and the listener knows one.
fn has_a_law(terms: &Terms, payload_type: u8) -> bool {
    let knows = |format: &Format| Law::named(&format.name).is_some();
    matches!(payload_type, 0 | 8) && terms.formats.iter().any(knows)
}

/// Whether both legs use one codec under one number, or both laws of G.711, so that it is known what a payload becomes.
fn is_one_codec(evidence: &Evidence<'_>, passage: &Passage) -> bool {
    let Passage { speaker, relay, until } = *passage;
    // Who once went on in another codec was told in another one from then on.
    let epochs = |end: End| {
        evidence.sessions.terms(end).iter().filter(move |terms| !terms.over && terms.since < until)
    };
    let voice = |terms: &Terms| {
        terms.formats.iter().find(|format| !format.is_event()).map(|format| format.payload_type)
    };
    let voices: Vec<_> = epochs(speaker).chain(epochs(relay)).map(voice).collect();
    if voices.iter().any(|other| *other != voices[0])
        && has_changed(&epochs(relay).map(voice).collect::<Vec<_>>())
    {
        return false;
    }
    let names = |end: End| {
        let terms = epochs(end).flat_map(|terms| &terms.formats);
        terms.map(|format| (format.payload_type, format.name.clone())).collect::<Vec<_>>()
    };
    let (out, into) = (names(relay), names(speaker));
    into.iter().all(|format| {
        let is_law = |format: &(u8, String)| Law::named(&format.1).is_some();
        let converts = is_law(format) && out.iter().any(is_law);
        out.contains(format) || format.1 == "telephone-event" || converts
    })
}

fn has_changed(voices: &[Option<u8>]) -> bool {
    voices.iter().any(|voice| *voice != voices[0])
}

fn voices_pass(evidence: &Evidence<'_>, findings: &mut Findings) {
    for Passage { speaker, relay, until } in passages(evidence) {
        if is_interpreted(evidence, speaker, relay) && !evidence.is_calm(speaker.session) {
            // Packets wait there until their order is sure.
            continue;
        }
        let heard = evidence.flows.from(relay).flat_map(|flow| &flow.packets);
        let heard: Vec<&Rtp<'_>> = heard.filter(|packet| packet.arrived.is_some()).collect();
        for flow in evidence.flows.from(speaker) {
            let is_over = |said: &&[Rtp<'_>]| said.last().is_none_or(|last| last.at + PARTING >= until);
            let looks = flow.packets.chunks(LOOK).step_by(BETWEEN / LOOK);
            for said in looks.take_while(|said| !is_over(said)) {
                look(evidence, said, &heard, (speaker, relay), findings);
            }
        }
    }
}

/// Whether the tone that was said for a moment was heard in the next.
fn look(
    evidence: &Evidence<'_>,
    said: &[Rtp<'_>],
    heard: &[&Rtp<'_>],
    (speaker, relay): (End, End),
    findings: &mut Findings,
) {
    let (Some(first), Some(last)) = (said.first(), said.last()) else { return };
    let (Some(begin), Some(end)) = (first.arrived, last.arrived) else { return };
    // Who has answered, and whose answer is still on its way, is not listened to yet.
    let accepted = evidence.sessions.all[speaker.session].accepted;
    if accepted.is_some_and(|(sent, came)| begin >= sent && came.is_none_or(|came| begin < came)) {
        return;
    }
    let whole =
        said.len() == LOOK && said.iter().all(|packet| packet.arrived.is_some() && key(packet).is_none());
    let Some(samples) = decode(evidence, speaker, said.iter()).filter(|_| whole) else { return };
    let Some(tone) = tone_of(&samples) else { return };
    let from = heard.partition_point(|packet| packet.at < begin);
    let until = heard.partition_point(|packet| packet.at <= end + STAY);
    let heard = &heard[from..until.max(from)];
    // Half of them lost, or the other side waits: nothing to be heard.
    if heard.len() < LOOK - LOOK / 4 {
        return;
    }
    let Some(samples) = decode(evidence, relay, heard.iter().copied()) else { return };
    let presence = ear::presence(&samples, tone);
    if presence < MOSTLY {
        findings.add(end, format!("a tone of {tone:.0} Hz was there for {presence:.2} of the time"));
    }
}

/// Whether what one says is in another codec than what the other hears, which is more than another law.
fn is_interpreted(evidence: &Evidence<'_>, speaker: End, relay: End) -> bool {
    let wide = |end: End| {
        let formats = evidence.sessions.terms(end).iter().flat_map(|terms| &terms.formats);
        let voices = formats.filter(|format| !format.is_event() && !format.is_g711() && format.name != "cn");
        voices.map(|format| format.name.as_str()).collect::<Vec<_>>()
    };
    wide(speaker) != wide(relay)
}

pub(super) fn decode<'a>(
    evidence: &Evidence<'_>,
    end: End,
    packets: impl Iterator<Item = &'a Rtp<'a>>,
) -> Option<Vec<i16>> {
    let (mut samples, mut reader) = (Vec::with_capacity(LOOK * 160), None);
    for packet in packets.filter(|packet| key(packet).is_none()) {
        let holds = in_force(evidence.sessions.terms(end), packet.at);
        let format = holds.iter().rev().find_map(|terms| terms.format(packet.header.payload_type))?;
        let coding = Coding::named(&format.name, format.rate, 1)?;
        Reader::of(coding, &mut reader)?.read(packet.payload, &mut samples);
    }
    if reader.is_some_and(|reader| reader.coding.law().is_none()) {
        // What a codec makes of its first packets depends on what came before them.
        samples.drain(..SETTLING.min(samples.len()));
    }
    Some(samples)
}

/// Samples until a codec that remembers has forgotten that it did not hear the beginning.
const SETTLING: usize = 2 * 160;

/// What makes narrowband sound of payloads of one codec.
pub(super) struct Reader {
    coding: Coding,
    decoder: Decoder,
    fitting: Halfband,
    sound: Vec<i16>,
}

impl Reader {
    /// The one there is, when it is for this codec, else a new one; `None` where its sound does not fit.
    pub(super) fn of(coding: Coding, known: &mut Option<Reader>) -> Option<&mut Reader> {
        if known.as_ref().is_none_or(|reader| reader.coding != coding) {
            let fitting = Halfband::new(coding.rate(), NARROWBAND)?;
            *known = Some(Reader { coding, decoder: Decoder::new(coding), fitting, sound: Vec::new() });
        }
        known.as_mut()
    }

    /// Appends the samples of a payload.
    pub(super) fn read(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        self.sound.clear();
        self.decoder.decode(payload, &mut self.sound);
        self.fitting.resample(&self.sound, samples);
    }
}

/// The frequency of a sine, counted by how often it goes through zero; `None` when it is none.
pub(super) fn tone_of(samples: &[i16]) -> Option<f64> {
    let rises: Vec<usize> =
        (1..samples.len()).filter(|at| samples[at - 1] < 0 && samples[*at] >= 0).collect();
    let (first, last) = (rises.first()?, rises.last()?);
    let frequency = (rises.len() - 1) as f64 * 8_000.0 / (last - first).max(1) as f64;
    (ear::presence(samples, frequency) > 0.9).then_some(frequency)
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};

    #[test]
    fn what_is_passed_on_breaks_nothing() {
        assert_eq!(broken(&Tale::talk_of_two().passed_on(20, &[], |at| at as u8)), [""; 0]);
    }

    #[test]
    fn a_sample_that_is_changed_breaks_r21() {
        let tale = Tale::talk_of_two().passed_on(20, &[], |at| at as u8);
        let changed = tale.forge(|packet| [&packet[..20], &[packet[20] ^ 1], &packet[21..]].concat());
        assert_eq!(broken(&changed), ["R21"]);
    }

    #[test]
    fn a_packet_that_is_kept_breaks_r21() {
        assert_eq!(broken(&Tale::talk_of_two().passed_on(20, &[19], |at| at as u8)), ["R21"]);
    }

    #[test]
    fn a_voice_that_is_not_heard_breaks_r22() {
        // 500 Hz: 16 samples a turn.
        let turn = |at: u16| if at % 16 < 8 { 0x9f } else { 0x1f };
        let tale = (0..10u16).fold(Tale::talk_of_two(), |tale, n| {
            let (at, timestamp) = (20 + 20 * u64::from(n), 160 * u32::from(n));
            let samples: Vec<u8> = (0..160).map(turn).collect();
            let tale = tale.rtp(at, 2, 1, n, timestamp).forge(|packet| [&packet[..12], &samples].concat());
            tale.rtp(at + 1, 1, 3, n, timestamp).sent_from(20_002)
        });
        assert!(broken(&tale).contains(&"R22"), "{:?}", broken(&tale));
    }
}
