//! Who may send what, to whom, when: each RTP packet is held against what its sender had agreed on by then.

use super::flow::{Flow, Rtp};
use super::session::{Session, Terms, in_force};
use super::{Evidence, Findings, Rule};
use pbx::time::Instant;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R1",
        source: "RFC 3550 section 5.1, RFC 3264 section 7",
        sentence: "RTP has a payload type that its receiver has listed and its sender knows",
        find: |evidence, findings| wrong("R1", evidence, findings),
    },
    Rule {
        id: "R9",
        source: "RFC 3261 section 15, RFC 3264 section 6",
        sentence: "there is no RTP before its sender has agreed on it and none after the end",
        find: |evidence, findings| wrong("R9", evidence, findings),
    },
    Rule {
        id: "R10",
        source: "RFC 3264 sections 6.1 and 8.4",
        sentence: "who does not want RTP gets none, and who said that he sends none sends none",
        find: |evidence, findings| wrong("R10", evidence, findings),
    },
    Rule {
        id: "S10",
        source: "RFC 3261 section 14.1, RFC 6337 section 3.4",
        sentence: "after an offer was refused everything is as it was before",
        find: |evidence, findings| wrong("S10", evidence, findings),
    },
    Rule {
        id: "S12",
        source: "RFC 3264 section 8.4, RFC 6337 section 5.4",
        sentence: "who says 0.0.0.0 or port 0 gets no RTP",
        find: |evidence, findings| wrong("S12", evidence, findings),
    },
    Rule {
        id: "S13",
        source: "RFC 4733 sections 2.4.1 and 2.5.1.1",
        sentence: "keys are sent as events only to who listed them, with the number that he gave them",
        find: |evidence, findings| wrong("S13", evidence, findings),
    },
];

/// What was wrong with a packet.
pub(super) struct Wrong {
    rule: &'static str,
    at: Instant,
    what: String,
}

fn wrong(rule: &str, evidence: &Evidence<'_>, findings: &mut Findings) {
    for wrong in evidence.wrongs().iter().filter(|wrong| wrong.rule == rule) {
        findings.add(wrong.at, &wrong.what);
    }
}

/// The first wrong of each kind in each flow.
pub(super) fn look(evidence: &Evidence<'_>) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    for flow in evidence.judged() {
        let Some(end) = flow.end else { continue };
        let (terms, session) = (evidence.sessions.terms(end), &evidence.sessions.all[end.session]);
        let mut found: Vec<&'static str> = Vec::new();
        for packet in &flow.packets {
            let holds = in_force(terms, packet.at);
            // Almost every packet.
            if holds.iter().any(|terms| permits(terms, packet)) {
                continue;
            }
            let Some((rule, what)) = judge(flow, packet, holds) else { continue };
            let refused = ["R1", "R10", "S13"].contains(&rule) && was_refused(session, packet);
            for rule in [Some(rule), refused.then_some("S10")].into_iter().flatten() {
                if !found.contains(&rule) {
                    found.push(rule);
                    wrongs.push(Wrong { rule, at: packet.at, what: what.clone() });
                }
            }
        }
    }
    wrongs
}

fn permits(terms: &Terms, packet: &Rtp<'_>) -> bool {
    !terms.forbid() && fits(terms, packet.header.payload_type)
}

/// Whether the receiver listed it, and the sender has said that it knows it.
fn fits(terms: &Terms, payload_type: u8) -> bool {
    let listed = terms.format(payload_type);
    listed.is_some_and(|format| terms.own.iter().any(|own| own.is_same_codec(format)))
}

fn judge(flow: &Flow<'_>, packet: &Rtp<'_>, holds: &[Terms]) -> Option<(&'static str, String)> {
    let (from, number) = (flow.from, packet.header.payload_type);
    let Some(terms) = holds.last() else {
        return Some(("R9", format!("{from} sends and has agreed on nothing")));
    };
    if terms.over {
        return Some(("R9", format!("{from} sends and it was over at {}", terms.since)));
    }
    if terms.to.is_none() {
        return Some(("S12", format!("{from} sends to {}", flow.to)));
    }
    if !terms.sends {
        return Some(("R10", format!("{from} sends since {} what it may not", terms.since)));
    }
    let is_key =
        terms.own.iter().any(|own| own.is_event() && own.payload_type == number) || packet.payload.len() == 4;
    let listed: Vec<u8> = terms.formats.iter().map(|format| format.payload_type).collect();
    let rule = if is_key { "S13" } else { "R1" };
    (!fits(terms, number)).then(|| (rule, format!("{from} sends {number}, and listed are {listed:?}")))
}

/// Whether it would have been right if an offer had been taken that was refused.
fn was_refused(session: &Session, packet: &Rtp<'_>) -> bool {
    session.refused.iter().filter(|(at, ..)| *at <= packet.at).any(|(.., offer)| {
        let formats = offer.streams.iter().flat_map(|stream| &stream.formats);
        formats.into_iter().any(|format| format.payload_type == packet.header.payload_type)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, breaks, broken, description};

    #[test]
    fn what_was_agreed_breaks_nothing() {
        assert_eq!(broken(&Tale::talk().speech(10).key(220, 10, 1_600, PRESS)), [""; 0]);
    }

    #[test]
    fn a_payload_type_that_nobody_listed_breaks_r1() {
        let gsm = |packet: &[u8]| [&packet[..1], &[0x83], &packet[2..]].concat();
        assert_eq!(broken(&Tale::talk().rtp(20, 2, 1, 0, 0).forge(gsm)), ["R1"]);
    }

    #[test]
    fn rtp_before_anything_was_agreed_breaks_r9() {
        let tale = Tale::new()
            .request(0, 2, 1, "INVITE", "b1", 1)
            .describes(&description(2, 1, "sendrecv"))
            .rtp(20, 2, 1, 0, 0);
        assert_eq!(broken(&tale), ["R9"]);
    }

    #[test]
    fn an_answer_that_came_damaged_where_it_does_not_matter_is_one() {
        let answered = |words: &str| {
            let tale = Tale::new()
                .request(0, 2, 1, "INVITE", "b1", 1)
                .describes(&description(2, 1, "sendrecv"))
                .response(5, 1, 2, 200, "INVITE", "b1", 1)
                .with("Subject: hello")
                .describes(&description(1, 1, "sendrecv"))
                .damaged(words);
            breaks("R9", &tale.rtp(20, 2, 1, 0, 0))
        };
        assert!(!answered("hello"));
        assert!(answered("CSeq: 1 INVITE"), "what cannot be read is no answer");
    }

    #[test]
    fn rtp_after_the_end_breaks_r9() {
        let tale = Tale::talk().request(1_000, 2, 1, "BYE", "b3", 2).within().rtp(1_020, 2, 1, 0, 0);
        assert_eq!(broken(&tale), ["R9"]);
    }

    #[test]
    fn rtp_to_who_waits_breaks_r10() {
        assert_eq!(broken(&held("sendonly", "recvonly").rtp(1_100, 1, 2, 0, 0)), ["R10"]);
    }

    #[test]
    fn rtp_to_nowhere_breaks_s12() {
        let tale = held("sendonly", "recvonly");
        assert_eq!(broken(&tale.rtp(1_100, 2, 1, 0, 0)), [""; 0], "who holds may send");
        let nowhere = Tale::talk()
            .request(1_000, 2, 1, "INVITE", "b3", 2)
            .within()
            .describes(&description(2, 2, "sendonly").replace("c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0"))
            .response(1_005, 1, 2, 200, "INVITE", "b3", 2)
            .describes(&description(1, 2, "recvonly"));
        assert_eq!(broken(&nowhere.rtp(1_100, 1, 2, 0, 0)), ["S12"]);
    }

    #[test]
    fn what_was_refused_and_is_done_nevertheless_breaks_s10() {
        let gsm = |packet: &[u8]| [&packet[..1], &[0x83], &packet[2..]].concat();
        let tale = Tale::talk()
            .request(1_000, 2, 1, "INVITE", "b3", 2)
            .within()
            .describes(&description(2, 2, "sendrecv").replace("AVP 0 101", "AVP 3"))
            .response(1_005, 1, 2, 488, "INVITE", "b3", 2)
            .rtp(1_100, 2, 1, 0, 0)
            .forge(gsm);
        assert_eq!(broken(&tale), ["R1", "S10"]);
    }

    #[test]
    fn keys_with_a_number_of_ones_own_break_s13() {
        let other = |packet: &[u8]| [&packet[..1], &[0x80 | 96], &packet[2..]].concat();
        assert_eq!(broken(&Tale::talk().key(20, 0, 0, &[(160, false)]).forge(other)), ["S13"]);
    }

    const PRESS: &[(u16, bool)] = &[(160, false), (320, false), (320, true), (320, true), (320, true)];

    fn held(offered: &str, answered: &str) -> Tale {
        Tale::talk()
            .request(1_000, 2, 1, "INVITE", "b3", 2)
            .within()
            .describes(&description(2, 2, offered))
            .response(1_005, 1, 2, 200, "INVITE", "b3", 2)
            .describes(&description(1, 2, answered))
            .request(1_007, 2, 1, "ACK", "b4", 2)
            .within()
    }
}
