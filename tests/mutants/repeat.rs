//! When requests and responses are repeated.

use crate::Mutant;
use crate::plant::{forge, ms, repeat};
use crate::scene::{ALICE, Scene};
use simulator::stage::PBX;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "T8",
        wrong: "the PBX repeats its INVITE although it rings",
        scene: Scene::Call,
        plant: |stage| repeat(stage, PBX, "INVITE ", ms(500)),
    },
    Mutant {
        rule: "T9",
        wrong: "a telephone repeats BYE although it was answered",
        scene: Scene::Call,
        plant: |stage| repeat(stage, ALICE, "BYE ", ms(500)),
    },
    Mutant {
        rule: "T10",
        wrong: "a telephone says BYE twice on a stream",
        scene: Scene::TcpCall,
        plant: |stage| forge(stage, ALICE, "BYE ", |sent| vec![sent.clone(), sent]),
    },
    Mutant {
        rule: "T11",
        wrong: "the PBX says that somebody is busy once, whether that came or not",
        scene: Scene::Refused,
        plant: |stage| {
            forge(stage, ALICE, "ACK ", |sent| if sent.says("CSeq: 2") { vec![] } else { vec![sent] });
            let mut copies = 0;
            forge(stage, PBX, "SIP/2.0 486", move |sent| {
                copies += 1;
                if copies == 1 { vec![sent] } else { vec![] }
            });
        },
    },
    Mutant {
        rule: "T12",
        wrong: "the PBX repeats its answer although it was acknowledged",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, PBX, "SIP/2.0 200", |sent| {
                if sent.says("CSeq: 2 INVITE") { vec![sent.clone(), sent.after(ms(500))] } else { vec![sent] }
            });
        },
    },
    Mutant {
        rule: "T13",
        wrong: "the PBX repeats INVITE with another name",
        scene: Scene::Dead,
        plant: |stage| {
            let mut copies = 0;
            forge(stage, PBX, "INVITE ", move |mut sent| {
                copies += 1;
                sent.replace("Max-Forwards: ", &format!("X-Copy: {copies}\r\nMax-Forwards: "));
                vec![sent]
            });
        },
    },
];
