//! Whatever two sides say to each other, and whatever a stranger says to us: the rules of RFC 3264 hold.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A description as text, read by other code than the one under test.
#[derive(Clone, Debug)]
struct Seen {
    origin: String,
    version: u64,
    /// All but the version.
    rest: String,
    medias: Vec<SeenMedia>,
}

#[derive(Clone, Debug)]
struct SeenMedia {
    kind: String,
    port: u16,
    formats: Vec<String>,
    maps: BTreeMap<String, String>,
    direction: String,
}

impl Seen {
    fn of(sdp: &[u8]) -> Seen {
        let text = std::str::from_utf8(sdp).expect("what we write is UTF-8");
        assert!(text.ends_with("\r\n") && !text.contains("\r\n\r\n"), "{text}");
        let origin: Vec<&str> =
            text.lines().find_map(|line| line.strip_prefix("o=")).expect("an o= line").split(' ').collect();
        let medias = text.split("\r\nm=").skip(1).map(SeenMedia::of).collect();
        let version = origin[2].parse().expect("a version");
        let constant = [&origin[..2], &origin[3..]].concat().join(" ");
        let rest = text.lines().filter(|line| !line.starts_with("o=")).collect();
        Seen { origin: constant, version, rest, medias }
    }
}

impl SeenMedia {
    fn of(text: &str) -> SeenMedia {
        let mut lines = text.lines();
        let words: Vec<_> = lines.next().expect("an m= line").split(' ').map(str::to_owned).collect();
        let attributes: Vec<_> = lines.filter_map(|line| line.strip_prefix("a=")).collect();
        let maps = attributes.iter().filter_map(|a| a.strip_prefix("rtpmap:")?.split_once(' '));
        let direction = attributes.iter().find(|a| Direction::of_attribute(a).is_some());
        SeenMedia {
            kind: words[0].clone(),
            port: words[1].split('/').next().expect("a port").parse().expect("a port"),
            formats: words[3..].to_vec(),
            maps: maps.map(|(number, name)| (number.to_owned(), name.to_lowercase())).collect(),
            direction: (*direction.unwrap_or(&"sendrecv")).to_owned(),
        }
    }
}

/// S1, S4, S5: an answer fits its offer.
fn check_answer(offer: &Seen, answer: &Seen) {
    assert_eq!(offer.medias.len(), answer.medias.len(), "the answer has as many m-lines as the offer");
    for (offered, answered) in offer.medias.iter().zip(&answer.medias) {
        assert_eq!(offered.kind, answered.kind, "media types stay where they are");
        assert!(!answered.formats.is_empty());
        if offered.port == 0 {
            assert_eq!(answered.port, 0, "what is over stays over");
        }
        if answered.port == 0 {
            continue;
        }
        for format in &answered.formats {
            assert!(offered.formats.contains(format), "{format} was not offered");
            if let Some(map) = offered.maps.get(format) {
                assert_eq!(Some(map), answered.maps.get(format), "the number means what the offer says");
            }
        }
        let allowed: &[&str] = match offered.direction.as_str() {
            "sendonly" => &["recvonly", "inactive"],
            "recvonly" => &["sendonly", "inactive"],
            "inactive" => &["inactive"],
            _ => &["sendrecv", "sendonly", "recvonly", "inactive"],
        };
        assert!(allowed.contains(&answered.direction.as_str()), "{offered:?} {answered:?}");
    }
}

/// What is watched over the whole session.
#[derive(Default)]
struct Watch {
    last: [Option<Seen>; 2],
    bound: BTreeMap<String, String>,
    streams: usize,
}

impl Watch {
    /// S2, S3, S6: what a side says fits what it said before.
    fn check(&mut self, side: usize, sdp: &[u8]) -> Seen {
        let seen = Seen::of(sdp);
        if let Some(last) = &self.last[side] {
            assert_eq!(last.origin, seen.origin, "o= is constant but for the version");
            let step = u64::from(last.rest != seen.rest);
            assert_eq!(last.version + step, seen.version, "one up when something changed, else the same");
        }
        assert!(self.streams <= seen.medias.len(), "m-lines do not vanish");
        self.streams = seen.medias.len();
        for (number, name) in seen.medias.iter().flat_map(|media| &media.maps) {
            let bound = self.bound.entry(number.clone()).or_insert_with(|| name.clone());
            assert_eq!(bound, name, "payload type {number} keeps its meaning");
        }
        self.last[side] = Some(seen.clone());
        seen
    }
}

#[derive(Clone, Debug)]
enum Reply {
    Answer(LocalAudio),
    /// An unreliable 183 first.
    AnswerTwice(LocalAudio),
    Refuse,
}

fn codec() -> impl Strategy<Value = Codec> {
    let dynamic = (96u8..102, prop_oneof![Just("opus"), Just("EVS"), Just("speex")]).prop_map(
        |(payload_type, name)| Codec {
            payload_type,
            name: name.to_owned(),
            clock_rate: if name == "opus" { 48_000 } else { 16_000 },
            channels: if name == "opus" { 2 } else { 1 },
            fmtp: (name == "opus").then(|| "useinbandfec=1".to_owned()),
        },
    );
    prop_oneof![
        3 => Just(Codec::pcmu()),
        3 => Just(Codec::pcma()),
        1 => Just(Codec::of_static(9).expect("G722")),
        1 => Just(Codec::of_static(13).expect("CN")),
        2 => (96u8..102).prop_map(Codec::telephone_event),
        2 => dynamic,
    ]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![
        3 => Just(Direction::SendRecv),
        1 => Just(Direction::SendOnly),
        1 => Just(Direction::RecvOnly),
        1 => Just(Direction::Inactive),
    ]
}

prop_compose! {
    fn local()(
        codecs in prop::collection::vec(codec(), 1..6),
        direction in direction(),
        port in 1_000u16..1_003,
        host in 1u8..3,
        ptime in prop::option::of(prop_oneof![Just(20u8), Just(30)]),
    ) -> LocalAudio {
        LocalAudio { address: SocketAddr::from(([192, 0, 2, host], port * 2)), codecs, direction, ptime }
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        4 => local().prop_map(Reply::Answer),
        1 => local().prop_map(Reply::AnswerTwice),
        1 => Just(Reply::Refuse),
    ]
}

proptest! {
    #[test]
    fn two_sides_keep_the_rules(
        rounds in prop::collection::vec((0usize..2, local(), reply()), 1..12)
    ) {
        let mut sides = [Negotiation::new(1, "alice"), Negotiation::new(u64::MAX, "a b")];
        let mut watch = Watch::default();
        for (from, offered, reply) in rounds {
            play(&mut sides, &mut watch, from, &offered, reply);
        }
    }
}

fn play(sides: &mut [Negotiation; 2], watch: &mut Watch, from: usize, offered: &LocalAudio, reply: Reply) {
    let to = 1 - from;
    let before = [sides[0].agreed().cloned(), sides[1].agreed().cloned()];
    let offer = sides[from].offer(offered);
    let seen = watch.check(from, &offer);
    // S7: neither side can be asked twice.
    assert_eq!(sides[from].receive_offer(&offer), Err(NegotiationError::Glare));
    let remote = sides[to].receive_offer(&offer);
    assert_eq!(sides[to].receive_offer(&offer), Err(NegotiationError::OfferPending));
    assert_eq!(remote.expect("what we write we understand").rtp, Some(offered.address));
    let answer = match &reply {
        Reply::Answer(local) | Reply::AnswerTwice(local) => sides[to].answer(local),
        Reply::Refuse => Err(NegotiationError::NoCommonCodec),
    };
    let Ok((answer, theirs)) = answer else {
        // S10: a refused offer changes nothing.
        sides.iter_mut().for_each(Negotiation::rollback);
        assert_eq!(before, [sides[0].agreed().cloned(), sides[1].agreed().cloned()]);
        return;
    };
    check_answer(&seen, &watch.check(to, &answer));
    if let Reply::AnswerTwice(_) = reply {
        let preview = sides[from].preview_answer(&answer).expect("an answer of ours is of use");
        assert!(sides[from].has_offered(), "the offer is still open");
        assert_eq!(sides[from].clone().receive_answer(&answer), Ok(preview));
    }
    let ours = sides[from].receive_answer(&answer).expect("an answer of ours is of use");
    assert_eq!(ours.direction, theirs.direction.reversed(), "both sides mean the same");
    assert_eq!(ours.codecs.len(), theirs.codecs.len());
    for (a, b) in ours.codecs.iter().zip(&theirs.codecs) {
        assert!(a.matches(b) && a.payload_type == b.payload_type, "{a:?} {b:?}");
    }
    assert_eq!(
        ours.telephone_event.map(|codec| codec.payload_type),
        theirs.telephone_event.map(|codec| codec.payload_type)
    );
    assert_eq!(sides[from].receive_answer(&answer), Err(NegotiationError::NothingOffered));
}

proptest! {
    /// S11: each side always wants the same; hold and resume come from either.
    #[test]
    fn hold_and_resume_change_no_codec_and_no_number(
        wishes in [local(), local()],
        holds in prop::collection::vec((0usize..2, direction(), direction()), 1..8),
    ) {
        let mut sides = [Negotiation::new(1, "alice"), Negotiation::new(2, "bob")];
        let with = |side: usize, direction| LocalAudio { direction, ..wishes[side].clone() };
        let offer = sides[0].offer(&with(0, Direction::SendRecv));
        sides[1].receive_offer(&offer).expect("readable");
        let Ok((answer, first)) = sides[1].answer(&with(1, Direction::SendRecv)) else {
            return Ok(());
        };
        sides[0].receive_answer(&answer).expect("readable");

        let resume = (0, Direction::SendRecv, Direction::SendRecv);
        let mut last = None;
        for (from, offered, answered) in holds.into_iter().chain([resume]) {
            let offer = sides[from].offer(&with(from, offered));
            sides[1 - from].receive_offer(&offer).expect("readable");
            let (answer, agreement) = sides[1 - from].answer(&with(1 - from, answered)).expect("as before");
            sides[from].receive_answer(&answer).expect("readable");
            prop_assert_eq!(
                numbers(&agreement.codecs), numbers(&first.codecs), "the same codecs, the same numbers");
            prop_assert_eq!(
                agreement.telephone_event.as_ref().map(|event| event.payload_type),
                first.telephone_event.as_ref().map(|event| event.payload_type)
            );
            last = Some(agreement.direction);
        }
        prop_assert_eq!(last, Some(Direction::SendRecv));
    }
}

fn numbers(codecs: &[Codec]) -> Vec<(u8, String)> {
    codecs.iter().map(|codec| (codec.payload_type, codec.name.to_lowercase())).collect()
}

fn stranger() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("a=sendonly".to_owned()),
        Just("a=inactive".to_owned()),
        Just("a=recvonly".to_owned()),
        Just("c=IN IP4 0.0.0.0".to_owned()),
        Just("c=IN IP6 2001:db8::1".to_owned()),
        Just("c=IN IP4 phone.example.com".to_owned()),
        Just("a=rtcp:0".to_owned()),
        Just("a=ptime:0".to_owned()),
        Just("a=maxptime:5".to_owned()),
        Just("b=AS:".to_owned()),
        (90u8..130, "[A-Za-z0-9-]{0,9}", 0u32..3)
            .prop_map(|(number, name, rate)| format!("a=rtpmap:{number} {name}/{}", rate * 8_000)),
    ];
    let media = (
        prop_oneof![4 => Just("audio"), 1 => Just("video"), 1 => Just("application")],
        prop_oneof![3 => 1u16..=u16::MAX, 1 => Just(0)],
        prop_oneof![
            4 => Just("RTP/AVP"),
            1 => Just("RTP/AVPF"),
            1 => Just("RTP/SAVP"),
            1 => Just("UDP/TLS/RTP/SAVPF"),
        ],
        prop::collection::vec(0u8..=130, 1..5),
        prop::collection::vec(line.clone(), 0..5),
    )
        .prop_map(|(kind, port, profile, formats, lines)| {
            let formats: Vec<_> = formats.iter().map(u8::to_string).collect();
            let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            format!("m={kind} {port} {profile} {}\r\n{lines}", formats.join(" "))
        });
    (prop::collection::vec(line, 0..2), prop::collection::vec(media, 0..4)).prop_map(|(session, medias)| {
        let session: String = session.iter().map(|line| format!("{line}\r\n")).collect();
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{session}{}",
            medias.concat()
        )
    })
}

proptest! {
    #[test]
    fn a_strangers_offer_is_answered_by_the_rules_or_refused(offer in stranger(), local in local()) {
        let mut side = Negotiation::new(1, "-");
        let Ok(remote) = side.receive_offer(offer.as_bytes()) else { return Ok(()) };
        prop_assert!(remote.rtp.is_some() || !remote.direction.receives());
        let Ok((answer, agreement)) = side.answer(&local) else { return Ok(()) };
        check_answer(&Seen::of(offer.as_bytes()), &Seen::of(&answer));
        prop_assert!(agreement.codecs[0].is_audio());
        // S12, S13, S15.
        prop_assert!(agreement.remote.rtp.is_some() || !agreement.direction.sends());
        if let Some(event) = &agreement.telephone_event {
            prop_assert!(remote.codecs.contains(event));
            prop_assert_eq!(event.clock_rate, agreement.codecs[0].clock_rate);
        }
        prop_assert!(agreement.ptime > 0 && agreement.ptime <= remote.maxptime.unwrap_or(u8::MAX));
    }

    #[test]
    fn a_strangers_answer_is_of_use_or_refused(offered in local(), answer in stranger()) {
        let mut side = Negotiation::new(1, "-");
        side.offer(&offered);
        match side.receive_answer(answer.as_bytes()) {
            Ok(agreement) => {
                prop_assert!(offered.direction.sends() || !agreement.direction.sends());
                prop_assert!(offered.direction.receives() || !agreement.direction.receives());
                prop_assert!(agreement.codecs.iter().all(|codec| offered.codecs.iter().any(|o| o.matches(codec))));
            }
            Err(_) => prop_assert!(side.has_offered() && side.agreed().is_none()),
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), local in local()) {
        feed(&bytes, &local);
    }

    #[test]
    fn no_broken_description_panics(
        offer in stranger(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        local in local(),
    ) {
        let mut bytes = offer.into_bytes();
        for (at, byte) in breaks {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        feed(&bytes, &local);
    }
}

fn feed(bytes: &[u8], local: &LocalAudio) {
    let mut side = Negotiation::new(1, "-");
    if side.receive_offer(bytes).is_ok() {
        let _ = side.answer(local);
        side.rollback();
    }
    side.offer(local);
    let _ = side.receive_answer(bytes);
}
