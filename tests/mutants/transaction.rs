//! Requests, responses and when they are repeated.

use crate::Mutant;
use crate::plant::{echo, forge, ms, repeat};
use crate::scene::{ALICE, Scene};
use simulator::network::Outgoing;
use simulator::stage::PBX;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "T1",
        wrong: "the PBX refuses once as busy and once as gone",
        scene: Scene::Refused,
        plant: |stage| echo(stage, PBX, "SIP/2.0 486", ms(5), "486 Busy Here", "410 Gone"),
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

/// The branch of the first Via.
fn branch(sent: &Outgoing) -> String {
    let text = String::from_utf8_lossy(&sent.bytes);
    let branch = text.split("branch=").nth(1).and_then(|rest| rest.split([';', '\r']).next());
    branch.unwrap_or_default().to_owned()
}
