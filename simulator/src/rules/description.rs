//! Offers and answers, each by itself (RFC 3264).

use super::log::Sip;
use super::sdp::{Description, Format, Stream};
use super::session::{Exchange, Session};
use super::{Evidence, Findings, Rule};
use crate::network::is_box;
use crate::phone::SIP_PORT;
use pbx::sdp::Direction;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "S1",
        source: "RFC 3264 section 6",
        sentence: "an answer has the streams of its offer, in their order",
        find: answers_have_the_streams,
    },
    Rule {
        id: "S2",
        source: "RFC 3264 sections 8 and 8.2",
        sentence: "a stream that a session has had stays in its place in every later offer",
        find: streams_stay,
    },
    Rule {
        id: "S3",
        source: "RFC 3264 section 8",
        sentence: "the o= line of one side stays the same but for its version, which goes up by one when something changed",
        find: origins_are_constant,
    },
    Rule {
        id: "S4",
        source: "RFC 3264 sections 6 and 6.1",
        sentence: "an answer takes of each stream some of what was offered and nothing else, or refuses it",
        find: answers_take_what_was_offered,
    },
    Rule {
        id: "S5",
        source: "RFC 3264 section 6.1",
        sentence: "an answer wants no more direction than its offer allows",
        find: directions_fit,
    },
    Rule {
        id: "S6",
        source: "RFC 3264 section 8.3.2",
        sentence: "a dynamic payload type of one side means the same codec for as long as the session lasts",
        find: numbers_keep_their_meaning,
    },
    Rule {
        id: "S14",
        source: "a promise of the PBX",
        sentence: "who says where it receives has a socket there",
        find: ends_are_open,
    },
];

fn answers_have_the_streams(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (session, exchange) in exchanges(evidence) {
        let (offered, answered) = (kinds(&exchange.offer), kinds(&exchange.answer));
        if offered != answered {
            let carrier = &exchange.carrier;
            findings.blame(
                answerer(session, exchange),
                exchange.at,
                format!("{carrier} has {answered:?} for {offered:?}"),
            );
        }
    }
}

fn streams_stay(evidence: &Evidence<'_>, findings: &mut Findings) {
    for session in &evidence.sessions.all {
        let mut had: Vec<&str> = Vec::new();
        for exchange in &session.exchanges {
            let has = kinds(&exchange.offer);
            if has.len() < had.len() || has[..had.len()] != had[..] {
                let carrier = &exchange.carrier;
                findings.blame(
                    host(session, exchange.offered_by),
                    exchange.at,
                    format!("{carrier} answers an offer of {has:?} where there were {had:?}"),
                );
            }
            had = has;
        }
    }
}

fn answers_take_what_was_offered(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (session, exchange) in exchanges(evidence) {
        let streams = exchange.offer.streams.iter().zip(&exchange.answer.streams);
        for (offered, answered) in streams.filter(|(_, answered)| answered.port != 0) {
            let is_offered =
                |format: &&Format| offered.formats.iter().any(|other| other.is_same_codec(format));
            let strange = answered.formats.iter().find(|format| !is_offered(format));
            let carrier = &exchange.carrier;
            if offered.port == 0 {
                findings.blame(
                    answerer(session, exchange),
                    exchange.at,
                    format!("{carrier} takes a stream that was over"),
                );
            } else if let Some(Format { payload_type, name, .. }) = strange {
                findings.blame(
                    answerer(session, exchange),
                    exchange.at,
                    format!("{carrier} has {payload_type} {name}, which was not offered"),
                );
            } else if answered.formats.is_empty() {
                findings.blame(
                    answerer(session, exchange),
                    exchange.at,
                    format!("{carrier} takes a stream and no format of it"),
                );
            }
        }
    }
}

fn directions_fit(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (session, exchange) in exchanges(evidence) {
        let streams = exchange.offer.streams.iter().zip(&exchange.answer.streams);
        let fits = |offered: &Stream, answered: &Stream| {
            answered.port == 0 || answered.direction == answered.direction.limited_by(offered.direction)
        };
        for (offered, answered) in streams.filter(|(offered, answered)| !fits(offered, answered)) {
            let [offered, answered] =
                [offered, answered].map(|stream| Direction::attribute(stream.direction));
            findings.blame(
                answerer(session, exchange),
                exchange.at,
                format!("{offered} was answered {answered}"),
            );
        }
    }
}

fn numbers_keep_their_meaning(evidence: &Evidence<'_>, findings: &mut Findings) {
    for session in &evidence.sessions.all {
        let mut meanings: BTreeMap<(usize, usize, u8), &Format> = BTreeMap::new();
        for (side, said, exchange) in said(session) {
            for (place, stream) in said.streams.iter().enumerate() {
                for format in stream.formats.iter().filter(|format| format.payload_type >= 96) {
                    let before = meanings.insert((side, place, format.payload_type), format);
                    if let Some(before) = before.filter(|before| !before.is_same_codec(format)) {
                        let (number, was, is) = (format.payload_type, &before.name, &format.name);
                        findings.blame(
                            host(session, side),
                            exchange.at,
                            format!("{number} was {was} and became {is}"),
                        );
                    }
                }
            }
        }
    }
}

/// What each side said in each exchange, with who said it.
fn said(session: &Session) -> impl Iterator<Item = (usize, &Description, &Exchange)> {
    session.exchanges.iter().flat_map(|exchange| {
        let by = exchange.offered_by;
        [(by, &exchange.offer, exchange), (1 - by, &exchange.answer, exchange)]
    })
}

fn origins_are_constant(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut last: BTreeMap<_, (&str, &str)> = BTreeMap::new();
    let mut sent = BTreeSet::new();
    // A copy goes out as it was.
    let is_new = |message: &&Sip| sent.insert((message.from, message.bytes.clone()));
    for message in evidence.log.sent().filter(|message| message.sdp.is_some()).filter(is_new) {
        let Some((sdp, origin)) = message.sdp.as_deref().and_then(|sdp| Some((sdp, origin(sdp)?))) else {
            continue;
        };
        // Each telephone that one INVITE rings has an o= line of its own.
        let (own, other) = match message.is_request() {
            true => (message.from_tag.as_str(), message.to_tag.as_str()),
            false => (message.to_tag.as_str(), message.from_tag.as_str()),
        };
        let key = |other| (message.from.ip(), message.call_id.as_str(), own, other);
        // Of one offer several dialogs may come, and each goes on from it.
        let begun = last.get(&key("")).copied().filter(|_| !last.contains_key(&key(other)));
        let Some((before, origin_before)) = begun.or(last.insert(key(other), (sdp, origin))) else {
            continue;
        };
        let (then, version_then) = split(origin_before);
        let (now, version) = split(origin);
        let expected = version_then + u64::from(rest(before) != rest(sdp));
        if then != now {
            findings.blame(
                message.from,
                message.at,
                format!("{} has o={origin} after {origin_before}", message.name()),
            );
        } else if version != expected {
            findings.blame(
                message.from,
                message.at,
                format!("{} has version {version}, not {expected}", message.name()),
            );
        }
    }
}

fn ends_are_open(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut sent = BTreeSet::new();
    for message in evidence.log.sent() {
        let Some(sdp) = &message.sdp else { continue };
        // A copy goes out as it was, and so does a request with a password, also when its sender waits for nothing any more.
        // Over another connection it comes from another port.
        if !sent.insert((message.from.ip(), &message.call_id, sdp)) {
            continue;
        }
        for stream in Description::read(sdp).streams.iter().filter(|stream| stream.target().is_some()) {
            let claimed = (message.from.ip(), stream.port).into();
            // What is behind a box has its sockets there. With its network a host has lost them, and does not know yet.
            let is_elsewhere =
                is_box(message.from.ip()) || !evidence.ran(message.from, message.at, message.at);
            // What waits for a connection says what was so when it was written.
            let since = evidence.log.attempts(message).into_iter().min().unwrap_or(message.meant);
            if !is_elsewhere && !evidence.run.was_bound(claimed, since, message.at) {
                findings.blame(
                    message.from,
                    message.at,
                    format!("{} has {claimed}, where nobody listens", message.name()),
                );
            }
        }
    }
}

fn exchanges<'a>(evidence: &'a Evidence<'_>) -> impl Iterator<Item = (&'a Session, &'a Exchange)> {
    let all = evidence.sessions.all.iter();
    let all = all.flat_map(|session| session.exchanges.iter().map(move |it| (session, it)));
    all.filter(|(_, exchange)| !exchange.is_blurred)
}

/// Who answered.
fn answerer(session: &Session, exchange: &Exchange) -> SocketAddr {
    host(session, 1 - exchange.offered_by)
}

fn host(session: &Session, side: usize) -> SocketAddr {
    (session.hosts[side], SIP_PORT).into()
}

fn kinds(description: &Description) -> Vec<&str> {
    description.streams.iter().map(|stream| stream.kind.as_str()).collect()
}

fn origin(sdp: &str) -> Option<&str> {
    sdp.lines().find_map(|line| line.strip_prefix("o="))
}

/// The o= line without its version, and the version.
fn split(origin: &str) -> (String, u64) {
    let mut words: Vec<&str> = origin.split(' ').collect();
    let version = if words.len() > 2 { words.remove(2).parse().unwrap_or(0) } else { 0 };
    (words.join(" "), version)
}

/// Everything but the o= line.
fn rest(sdp: &str) -> Vec<&str> {
    sdp.lines().filter(|line| !line.starts_with("o=")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken, description};

    const OFFER: &str = "v=0\r\no=a 1 1 IN IP4 h\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

    #[test]
    fn an_answer_without_the_stream_breaks_s1() {
        assert_eq!(broken(&exchange("v=0\r\no=b 1 1 IN IP4 h\r\na=recvonly\r\n")), ["S1"]);
    }

    #[test]
    fn a_wrong_direction_breaks_s5() {
        let answer = "v=0\r\no=b 1 1 IN IP4 h\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n";
        assert_eq!(broken(&exchange(answer)), ["S5"]);
    }

    #[test]
    fn a_change_without_a_new_version_breaks_s3() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(OFFER)
            .response(5, 1, 2, 488, "INVITE", "b1", 1)
            .request(9_000, 2, 1, "INVITE", "b2", 2)
            .describes(&OFFER.replace("4000", "4002"));
        assert_eq!(broken(&tale), ["S3"]);
    }

    #[test]
    fn what_fits_breaks_nothing() {
        let answer = "v=0\r\no=b 1 1 IN IP4 h\r\nm=audio 4000 RTP/AVP 0\r\na=recvonly\r\n";
        assert_eq!(broken(&exchange(answer)), [""; 0]);
    }

    #[test]
    fn a_stream_that_vanishes_breaks_s2() {
        let video = "m=video 0 RTP/AVP 31\r\n";
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(&(description(2, 1, "sendrecv") + video))
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .describes(&(description(1, 1, "sendrecv") + video))
            .request(1_000, 2, 1, "INVITE", "b3", 2)
            .within()
            .describes(&description(2, 2, "sendrecv"))
            .response(1_005, 1, 2, 200, "INVITE", "b3", 2)
            .describes(&description(1, 2, "sendrecv"));
        assert_eq!(broken(&tale), ["S2"]);
    }

    #[test]
    fn a_codec_that_was_not_offered_breaks_s4() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(&description(2, 1, "sendrecv"))
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .describes(&description(1, 1, "sendrecv").replace("AVP 0", "AVP 0 18"));
        assert_eq!(broken(&tale), ["S4"]);
    }

    #[test]
    fn a_number_with_another_meaning_breaks_s6() {
        let speex = |text: String| text.replace("telephone-event", "speex");
        let tale = Tale::talk()
            .request(1_000, 2, 1, "INVITE", "b3", 2)
            .within()
            .describes(&speex(description(2, 2, "sendrecv")))
            .response(1_005, 1, 2, 200, "INVITE", "b3", 2)
            .describes(
                &description(1, 1, "sendrecv")
                    .replace(" 101\r\na=rtpmap:101 telephone-event/8000", "")
                    .replace("- 1 1", "- 1 2"),
            );
        assert_eq!(broken(&tale), ["S6"]);
    }

    #[test]
    fn a_port_on_which_nobody_listens_breaks_s14() {
        let tale = Tale::talk().bound(Vec::new());
        assert_eq!(broken(&tale), ["S14"]);
    }

    #[test]
    fn who_has_lost_its_network_has_no_ports_and_breaks_nothing() {
        let gone = |from, to| Tale::talk().bound(Vec::new()).off(2, from, to).off(1, from, to);
        assert_eq!(broken(&gone(0, 10)), [""; 0]);
        assert_eq!(broken(&gone(6, 10)), ["S14"]);
    }

    fn exchange(answer: &str) -> Tale {
        Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(OFFER)
            .response(5, 1, 2, 200, "INVITE", "b1", 1)
            .describes(answer)
    }
}
