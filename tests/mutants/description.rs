//! Offers and answers.

use crate::Mutant;
use crate::plant::rewrite;
use crate::scene::{BOB, Scene};
use simulator::stage::PBX;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "S1",
        wrong: "bob's telephone answers an offer of sound with video",
        scene: Scene::Call,
        plant: |stage| rewrite(stage, BOB, "SIP/2.0 200", "m=audio", "m=video"),
    },
    Mutant {
        rule: "S3",
        wrong: "the PBX holds with the version it had before",
        scene: Scene::Hold,
        plant: |stage| {
            stage.network.forge(PBX, |mut sent| {
                let text = String::from_utf8_lossy(&sent.bytes).into_owned();
                if let Some(origin) = text.lines().find(|line| line.starts_with("o=")) {
                    let mut words: Vec<&str> = origin.split(' ').collect();
                    words[2] = "1";
                    sent.replace(origin, &words.join(" "));
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "S5",
        wrong: "a telephone that is put on hold wants to send",
        scene: Scene::Hold,
        plant: |stage| rewrite(stage, BOB, "SIP/2.0 200", "a=recvonly", "a=sendrecv"),
    },
];
