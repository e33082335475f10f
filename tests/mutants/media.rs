//! RTP.

use crate::Mutant;
use crate::scene::{ALICE, Scene};
use simulator::network::Outgoing;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "R2",
        wrong: "a telephone counts two packets as one",
        scene: Scene::Call,
        plant: |stage| {
            let mut packets = 0_u8;
            stage.network.forge(ALICE, move |mut sent| {
                packets = packets.wrapping_add(u8::from(is_rtp(&sent)));
                if is_rtp(&sent) && packets == 20 {
                    sent.bytes[3] ^= 1;
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R3",
        wrong: "the clock of a telephone stands still",
        scene: Scene::Call,
        plant: |stage| {
            stage.network.forge(ALICE, |mut sent| {
                if is_rtp(&sent) {
                    sent.bytes[4..8].fill(0);
                }
                vec![sent]
            });
        },
    },
];

fn is_rtp(sent: &Outgoing) -> bool {
    sent.bytes.first().is_some_and(|first| first >> 6 == 2)
        && sent.bytes.get(1).is_some_and(|kind| !(192..224).contains(kind))
}
