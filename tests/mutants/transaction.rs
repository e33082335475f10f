//! Requests, the responses to them, ACK and CANCEL.

use crate::Mutant;
use crate::plant::{branch, echo, forge, ms, rewrite};
use crate::scene::{ALICE, BOB, Scene};
use simulator::stage::PBX;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "T1",
        wrong: "the PBX refuses once as busy and once as gone",
        scene: Scene::Refused,
        plant: |stage| echo(stage, PBX, "SIP/2.0 486", ms(5), "486 Busy Here", "410 Gone"),
    },
    Mutant {
        rule: "T3",
        wrong: "bob's telephone rings after it has refused",
        scene: Scene::Refused,
        plant: |stage| echo(stage, BOB, "SIP/2.0 486", ms(5), "486 Busy Here", "180 Ringing"),
    },
    Mutant {
        rule: "T4",
        wrong: "the PBX takes the branch of its INVITE for its BYE",
        scene: Scene::Call,
        plant: |stage| {
            let mut invite = String::new();
            stage.network.forge(PBX, move |mut sent| {
                if sent.begins("INVITE ") {
                    invite = branch(&sent);
                } else if sent.begins("BYE ") {
                    sent.replace(&branch(&sent), &invite);
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "T5",
        wrong: "a telephone acknowledges a refusal under another number",
        scene: Scene::Refused,
        plant: |stage| rewrite(stage, ALICE, "ACK ", "CSeq: 2", "CSeq: 7"),
    },
    Mutant {
        rule: "T6",
        wrong: "the PBX says in its 180 that somebody else calls",
        scene: Scene::Cancelled,
        plant: |stage| rewrite(stage, PBX, "SIP/2.0 180", "From: <sip:alice@", "From: <sip:eve@"),
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
            );
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
        rule: "T15",
        wrong: "a telephone acknowledges an answer under another number",
        scene: Scene::Call,
        plant: |stage| rewrite(stage, ALICE, "ACK ", "CSeq: 2", "CSeq: 9"),
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
    Mutant {
        rule: "T17",
        wrong: "the PBX says busy to a caller who gave up",
        scene: Scene::Cancelled,
        plant: |stage| rewrite(stage, PBX, "SIP/2.0 487", "487 Request Terminated", "486 Busy Here"),
    },
    Mutant {
        rule: "T18",
        wrong: "a telephone forgets a call that was answered as it gave up",
        scene: Scene::Crossing,
        plant: |stage| forge(stage, ALICE, "BYE ", |_| Vec::new()),
    },
];
