//! What a response means.

use crate::Mutant;
use crate::plant::{echo, forge, ms, rewrite};
use crate::scene::{ALICE, BOB, Scene};
use simulator::stage::PBX;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "T3",
        wrong: "bob's telephone rings after it has refused",
        scene: Scene::Refused,
        plant: |stage| echo(stage, BOB, "SIP/2.0 486", ms(5), "486 Busy Here", "180 Ringing"),
    },
    Mutant {
        rule: "T7",
        wrong: "the PBX tells a caller that it rings without a tag",
        scene: Scene::Cancelled,
        plant: |stage| {
            rewrite(
                stage,
                PBX,
                "SIP/2.0 180",
                "To: <sip:bob@pbx.example>;tag=",
                "To: <sip:bob@pbx.example>;x=",
            )
        },
    },
    Mutant {
        rule: "T14",
        wrong: "a telephone acknowledges an answer once, however often it comes",
        scene: Scene::Call,
        plant: |stage| {
            // The answer comes again, as its ACK has gone astray.
            let mut acks = 0;
            forge(stage, ALICE, "ACK ", move |mut sent| {
                acks += usize::from(sent.says("CSeq: 2 ACK"));
                match acks {
                    1 => {
                        sent.to.set_port(5059);
                        vec![sent]
                    }
                    2 => vec![],
                    _ => vec![sent],
                }
            });
        },
    },
    Mutant {
        rule: "T16",
        wrong: "the PBX cancels before anything has come",
        scene: Scene::Dead,
        plant: |stage| {
            forge(stage, PBX, "INVITE ", |sent| {
                let mut cancel = sent.clone();
                cancel.replace("INVITE", "CANCEL");
                vec![sent, cancel]
            });
        },
    },
];
