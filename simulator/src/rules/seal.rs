//! Sealed RTP: opened with the keys that were written down, so that all other rules see what is in it, and what was not
//! sealed as agreed (RFC 3711).

use super::session::{End, Sessions, in_force};
use super::{Evidence, Findings, Rule};
use crate::ladder::is_rtcp;
use crate::network::Packet;
use crate::wire::is_media;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use pbx::srtp::{MasterKey, Receiver, Suite};
use pbx::time::Instant;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "R25",
    source: "RFC 3711 sections 3.3 and 9.1",
    sentence: "where both sides have a key every packet is sealed with it, and no number twice",
    find: packets_are_sealed,
}];

/// The packets of a run as they were before they were sealed.
pub(super) struct Opened<'a> {
    pub(super) packets: Cow<'a, [Packet]>,
    /// What could not be opened: when, from where, why.
    unsealed: Vec<(Instant, SocketAddr, String)>,
}

/// Opens what is sealed; mostly nothing is.
pub(super) fn open<'a>(packets: &'a [Packet], sessions: &Sessions) -> Opened<'a> {
    let mut opened = Opened { packets: Cow::Borrowed(packets), unsealed: Vec::new() };
    if !sessions.are_sealed() {
        return opened;
    }
    let mut receivers: BTreeMap<(End, String), Receiver> = BTreeMap::new();
    for packet in opened.packets.to_mut().iter_mut().filter(|packet| is_media(packet)) {
        let report = is_rtcp(&packet.bytes);
        let mut from = packet.from;
        from.set_port(from.port() - u16::from(report && from.port() % 2 == 1));
        let Some(end) = sessions.end_at(from, packet.at) else { continue };
        let keys: Vec<&String> = in_force(sessions.terms(end), packet.at)
            .iter()
            .filter_map(|terms| terms.key.as_ref().filter(|_| !terms.over))
            .collect();
        let Some(key) = keys.last() else { continue };
        let receiver = receivers.entry((end, (*key).clone())).or_insert_with_key(|(_, key)| receiver(key));
        let mut bytes = packet.bytes.to_vec();
        let length = if report { receiver.open_report(&mut bytes) } else { receiver.open(&mut bytes) };
        match length {
            Ok(length) => {
                bytes.truncate(length);
                packet.bytes = bytes.into();
            }
            Err(why) => opened.unsealed.push((packet.at, packet.from, why.to_string())),
        }
    }
    opened
}

impl Opened<'_> {
    fn unsealed(&self) -> &[(Instant, SocketAddr, String)] {
        &self.unsealed
    }
}

fn packets_are_sealed(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (at, from, why) in evidence.opened.unsealed() {
        findings.blame(*from, *at, format!("{from} sent what cannot be opened: {why}"));
    }
}

/// What opens with the key of a line: `AES_CM_128_HMAC_SHA1_80 inline:...`
fn receiver(line: &str) -> Receiver {
    let (suite, key) = line.split_once(' ').unwrap_or((line, ""));
    let key = key.trim_start_matches("inline:").split('|').next().unwrap_or_default();
    let bytes = STANDARD_NO_PAD.decode(key).ok().and_then(|bytes| bytes.try_into().ok());
    let key = MasterKey::from_bytes(bytes.unwrap_or([0; MasterKey::LENGTH]));
    Receiver::new(Suite::named(suite).unwrap_or(Suite::Tag80), &key)
}
