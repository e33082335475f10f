//! A second opinion: what others read in the same bytes (SIM-19). `rsip` reads SIP, `rtp-rs` reads RTP; neither shares a line with
//! the PBX.

use super::log::Sip;
use super::transaction::copies_damage;
use super::{Evidence, Findings, Rule};
use crate::wire::{end_of_head, is_media};
use pbx::rtp::{NotRtp, View};
use rsip::SipMessage;
use rsip::headers::{Header, ToTypedHeader, UntypedHeader};
use rsip::message::{HasHeaders, HeadersExt};
use rtp_rs::RtpReader;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "O1",
        source: "a promise of the simulator",
        sentence: "a SIP message says to others what it says to us",
        find: others_read_sip_alike,
    },
    Rule {
        id: "O2",
        source: "a promise of the simulator",
        sentence: "an RTP packet says to others what it says to us",
        find: others_read_rtp_alike,
    },
];

/// What the other reader is known not to read, although RFC 3261 allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// A header line that goes on in the next (section 7.3.1).
    Folding,
    /// `f:` for `From:` (section 7.3.3).
    CompactForm,
    /// `[2001:db8::1]` (section 25.1).
    Ipv6Host,
    /// A parameter in quotes in a header that it takes apart.
    QuotedParameter,
    /// `tel:` (RFC 3966).
    TelUri,
    /// A body that is no text.
    BinaryBody,
    /// A method of nobody's (section 7.1).
    OtherMethod,
}

fn others_read_sip_alike(evidence: &Evidence<'_>, findings: &mut Findings) {
    // What was read once is not read again when it is sent again.
    let mut known = BTreeSet::new();
    for message in evidence.log.sent() {
        // What is answered to a damaged request has parts of it.
        let is_noise = evidence.run.noise.iter().any(|noise| noise[..] == *message.bytes);
        // And so has what is answered to a request that repeats such a part.
        let asked = evidence.log.transaction(message).and_then(|it| evidence.log.at(&it.requests).next());
        let copies = copies_tag(evidence, message) || asked.is_some_and(|asked| copies_tag(evidence, asked));
        if is_noise || copies || copies_damage(evidence, message) || !known.insert(&message.bytes[..]) {
            continue;
        }
        match Read::of(&message.bytes) {
            Ok(theirs) => {
                if let Some(what) = theirs.differs(message) {
                    findings.blame(
                        message.from,
                        message.at,
                        format!("of {} they read {what}", message.name()),
                    );
                }
            }
            Err(why) if Unread::of(&message.bytes).is_none() => {
                findings.blame(
                    message.from,
                    message.at,
                    format!("{} is none to them: {why}", message.name()),
                );
            }
            Err(_) => {}
        }
    }
}

/// Whether a request has a tag that nobody gave, but that came damaged so before.
fn copies_tag(evidence: &Evidence<'_>, request: &Sip) -> bool {
    let within = evidence.log.by_call_id.get(&request.call_id).map_or(&[][..], Vec::as_slice);
    let came =
        |ghost: &Sip| ghost.to.ip() == request.from.ip() && ghost.arrived.is_some_and(|at| at <= request.at);
    let has =
        |message: &Sip, tag: &str| [&message.from_tag, &message.to_tag].into_iter().any(|own| own == tag);
    let is_given = |tag: &str| {
        // What they say to it repeats what it says.
        let theirs = |message: &&Sip| {
            !message.is_ghost && message.from.ip() == request.to.ip() && message.at < request.at
        };
        evidence.log.at(within).filter(theirs).any(|message| has(message, tag))
    };
    let tag = request.to_tag.as_str();
    request.is_request()
        && !is_given(tag)
        && evidence.log.at(within).any(|ghost| ghost.is_ghost && came(ghost) && has(ghost, tag))
}

/// A message as the other reader has it.
struct Read {
    method: String,
    status: Option<u16>,
    call_id: String,
    cseq: u32,
    branch: String,
    from_tag: String,
    to_tag: String,
    length: Option<usize>,
    body: Vec<u8>,
}

impl Read {
    fn of(bytes: &[u8]) -> Result<Read, String> {
        let error = |error: rsip::Error| error.to_string();
        let message = SipMessage::try_from(bytes).map_err(error)?;
        let (method, status) = match &message {
            SipMessage::Request(request) => (Some(request.method().to_string()), None),
            SipMessage::Response(response) => (None, Some(response.status_code().code())),
        };
        let cseq = message.cseq_header().and_then(|cseq| cseq.typed()).map_err(error)?;
        let via = message.via_header().and_then(|via| via.typed()).map_err(error)?;
        let from = message.from_header().and_then(|from| from.typed()).map_err(error)?;
        let to = message.to_header().and_then(|to| to.typed()).map_err(error)?;
        let tag = |tag: Option<&rsip::param::Tag>| {
            tag.map(|tag| tag.value().to_ascii_lowercase()).unwrap_or_default()
        };
        let length = message.headers().iter().find_map(|header| match header {
            Header::ContentLength(length) => length.value().trim().parse().ok(),
            _ => None,
        });
        Ok(Read {
            method: method.unwrap_or_else(|| cseq.method.to_string()),
            status,
            // The answer to a request without one has none either.
            call_id: message.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default(),
            cseq: cseq.seq,
            branch: via.branch().map(|branch| branch.value().to_owned()).unwrap_or_default(),
            from_tag: tag(from.tag()),
            to_tag: tag(to.tag()),
            length,
            body: message.body().clone(),
        })
    }

    /// What it reads otherwise than we do.
    fn differs(&self, ours: &Sip) -> Option<String> {
        fn other(what: &str, theirs: impl fmt::Debug, ours: impl fmt::Debug) -> Option<String> {
            Some(format!("{what} {theirs:?}, and we {ours:?}"))
        }
        let body = body_of(&ours.bytes);
        match self {
            _ if self.status != ours.status => other("status", self.status, ours.status),
            _ if self.method != ours.method => other("method", &self.method, &ours.method),
            _ if self.call_id != ours.call_id => other("Call-ID", &self.call_id, &ours.call_id),
            _ if self.cseq != ours.cseq => other("CSeq", self.cseq, ours.cseq),
            _ if self.branch != ours.branch => other("branch", &self.branch, &ours.branch),
            _ if self.from_tag != ours.from_tag => other("tag of From", &self.from_tag, &ours.from_tag),
            _ if self.to_tag != ours.to_tag => other("tag of To", &self.to_tag, &ours.to_tag),
            _ if self.length.is_some_and(|length| length != body.len()) => {
                other("Content-Length", self.length, body.len())
            }
            _ if self.body != body && Unread::of(&ours.bytes).is_none() => {
                other("a body of so many bytes:", self.body.len(), body.len())
            }
            _ => None,
        }
    }
}

impl Unread {
    fn of(bytes: &[u8]) -> Option<Unread> {
        let head = &bytes[..bytes.len() - body_of(bytes).len()];
        let head = String::from_utf8_lossy(head);
        let mut names = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let addresses = || {
            let taken_apart = ["from", "to", "via", "contact"];
            let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            lines.filter(move |(name, _)| taken_apart.contains(&name.trim().to_ascii_lowercase().as_str()))
        };
        if head.lines().any(|line| line.starts_with([' ', '\t'])) {
            Some(Unread::Folding)
        } else if names.any(|(name, _)| name.trim().len() == 1) {
            Some(Unread::CompactForm)
        } else if head.contains('[') {
            Some(Unread::Ipv6Host)
        } else if head.contains("tel:") {
            Some(Unread::TelUri)
        } else if addresses().any(|(_, value)| value.contains("=\"")) {
            Some(Unread::QuotedParameter)
        } else if std::str::from_utf8(body_of(bytes)).is_err() {
            Some(Unread::BinaryBody)
        } else if method_of(&head).is_some_and(|method| rsip::Method::from_str(method).is_err()) {
            Some(Unread::OtherMethod)
        } else {
            None
        }
    }
}

/// The method that CSeq names.
fn method_of(head: &str) -> Option<&str> {
    let line = head.lines().find_map(|line| line.strip_prefix("CSeq:"))?;
    line.split_whitespace().nth(1)
}

fn body_of(bytes: &[u8]) -> &[u8] {
    end_of_head(bytes).map_or(&[], |end| &bytes[end + 4..])
}

fn others_read_rtp_alike(evidence: &Evidence<'_>, findings: &mut Findings) {
    for packet in evidence.packets.iter().filter(|packet| is_media(packet)) {
        let bytes = &packet.bytes;
        if crate::ladder::is_rtcp(bytes) {
            continue;
        }
        if !is_alike(bytes, View::of(bytes)) {
            findings.blame(
                packet.from,
                packet.at,
                format!("{} sent {} bytes that are read in two ways", packet.from, bytes.len()),
            );
        }
    }
}

/// Whether the other reader finds in these bytes what we have found.
fn is_alike(bytes: &[u8], ours: Result<View, NotRtp>) -> bool {
    match (ours, RtpReader::new(bytes)) {
        (Ok(View { header, payload }), Ok(theirs)) => {
            (header.marker, header.payload_type, header.timestamp, header.ssrc)
                == (theirs.mark(), theirs.payload_type(), theirs.timestamp(), theirs.ssrc())
                && header.sequence == u16::from(theirs.sequence_number())
                && is_one(&bytes[payload], theirs.payload())
        }
        (Err(_), Err(_)) => true,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

/// Whether both are the same: mostly they are the same place in the same packet, and nothing has to be compared.
fn is_one(ours: &[u8], theirs: &[u8]) -> bool {
    std::ptr::eq(ours, theirs) || ours == theirs
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, broken};
    use super::{Unread, is_alike};
    use pbx::rtp::View;

    #[test]
    fn what_others_cannot_read_breaks_o1() {
        let tale = Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1).but("SIP/2.0/UDP", "SIP / 2.0 / UDP");
        assert_eq!(broken(&tale), ["O1"]);
    }

    #[test]
    fn what_others_are_known_not_to_read_breaks_nothing() {
        let tale = || Tale::new().request(0, 2, 1, "OPTIONS", "b1", 1);
        for (old, new) in
            [("From:", "f:"), ("Call-ID: c", "Subject: a\r\n b\r\nCall-ID: c"), ("<sip:b@x>", "<tel:123>")]
        {
            assert_eq!(broken(&tale().but(old, new)), [""; 0], "{new}");
        }
        assert_eq!(Unread::of(b"OPTIONS sip:a SIP/2.0\r\n\r\n\xff"), Some(Unread::BinaryBody));
        assert_eq!(Unread::of(b"OPTIONS sip:a SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n"), None);
        assert_eq!(Unread::of(b"SIP/2.0 501 x\r\nCSeq: 1 UNHEARD\r\n\r\n"), Some(Unread::OtherMethod));
        assert_eq!(Unread::of(b"SIP/2.0 501 x\r\nCSeq: 1 REFER\r\n\r\n"), None);
    }

    #[test]
    fn a_header_that_is_read_in_two_ways_is_noticed() {
        let bytes = [[0x80, 0, 0, 7].as_slice(), &[1; 8], &[0xff; 160]].concat();
        let ours = View::of(&bytes).expect("it is RTP");
        assert!(is_alike(&bytes, Ok(ours.clone())));
        let mut other = ours.clone();
        other.header.sequence = 8;
        assert!(!is_alike(&bytes, Ok(other)));
        assert!(!is_alike(&bytes, Ok(View { payload: 13..ours.payload.end, ..ours })));
    }
}
