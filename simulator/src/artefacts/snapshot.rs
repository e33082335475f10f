//! What is known of a world at a moment, as values that outlive it.

use crate::logbook::Line;
use crate::network::Packet;
use crate::phone::Sound;
use crate::stage::{PBX, Stage};
use pbx::time::{Instant, WallClock};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A world at a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which.
    pub at: Instant,
    /// What everything followed from.
    pub seed: u64,
    /// What o'clock it was at the start.
    pub clock: WallClock,
    /// All that was sent.
    pub packets: Vec<Packet>,
    /// Who is at which address.
    pub names: BTreeMap<IpAddr, String>,
    /// The tone by which each person is known.
    pub voices: BTreeMap<String, f64>,
    /// The call records on the PBX's disk.
    pub records: Vec<Value>,
    /// What was logged.
    pub log: Vec<Line>,
    /// How the PBX and the telephones are.
    pub state: Value,
}

impl Snapshot {
    /// The world of this stage, now.
    pub fn of(stage: &Stage) -> Snapshot {
        Snapshot {
            at: stage.now(),
            seed: stage.seed(),
            clock: stage.network.clock(),
            packets: stage.trace().packets(),
            names: stage.names().clone(),
            voices: voices(stage),
            records: stage.office.records(),
            log: stage.logbook().lines(),
            state: state(stage),
        }
    }

    /// What somebody is called.
    pub(super) fn name(&self, address: IpAddr) -> String {
        self.names.get(&address).cloned().unwrap_or_else(|| address.to_string())
    }
}

fn voices(stage: &Stage) -> BTreeMap<String, f64> {
    let voice = |(name, phone): (&String, &crate::phone::Phone)| match phone.voice() {
        Sound::Tone(frequency) => Some((name.clone(), frequency)),
        _ => None,
    };
    stage.phones().iter().filter_map(voice).collect()
}

/// `state.json`: what the PBX and the telephones say of themselves.
fn state(stage: &Stage) -> Value {
    let phones: BTreeMap<&str, Value> =
        stage.phones().iter().map(|(name, phone)| (name.as_str(), phone.state())).collect();
    json!({
        "seed": stage.seed(),
        "virtual_secs": seconds(stage.now()),
        "now": stage.network.clock().rfc3339(stage.now()),
        "pbx": stage.office.state(stage.now()),
        "telephones": phones,
        "hosts": stage.names().iter().map(|(address, name)| {
            json!({ "name": name, "address": address, "is_pbx": *address == PBX,
                    "is_up": stage.network.is_up(*address) })
        }).collect::<Vec<_>>(),
        "datagrams": {
            "delivered": stage.network.books().delivered,
            "undeliverable": stage.network.books().undeliverable,
            "under_way": stage.network.books().under_way,
        },
    })
}

fn seconds(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e9
}
