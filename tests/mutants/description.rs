//! Offers and answers.

use crate::Mutant;
use crate::plant::{forge, forge_rtp, ms, redescribe, with_body};
use crate::scene::{ALICE, BOB, Scene};
use simulator::network::Outgoing;
use simulator::stage::{PBX, Stage};
use std::net::SocketAddr;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "S1",
        wrong: "bob's telephone answers an offer of sound with video",
        scene: Scene::Call,
        plant: |stage| redescribe(stage, BOB, "SIP/2.0 200", "m=audio", "m=video"),
    },
    Mutant {
        rule: "S2",
        wrong: "a telephone forgets with its hold that there was video once",
        scene: Scene::Hold,
        plant: |stage| {
            redescribe(
                stage,
                ALICE,
                "INVITE sip:bob",
                "a=sendrecv\r\n",
                "a=sendrecv\r\nm=video 0 RTP/AVP 31\r\n",
            );
            // The telephone itself has offered sound alone.
            redescribe(stage, PBX, "SIP/2.0 200", "m=video 0 RTP/AVP 31\r\n", "");
        },
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
        rule: "S4",
        wrong: "a telephone answers with a codec that nobody offered",
        scene: Scene::Call,
        plant: |stage| redescribe(stage, BOB, "SIP/2.0 200", "RTP/AVP 0 8 101", "RTP/AVP 0 8 101 18"),
    },
    Mutant {
        rule: "S5",
        wrong: "a telephone that is put on hold wants to send",
        scene: Scene::Hold,
        plant: |stage| redescribe(stage, BOB, "SIP/2.0 200", "a=recvonly", "a=sendrecv"),
    },
    Mutant {
        rule: "S6",
        wrong: "the number of keys is that of a codec after the hold",
        scene: Scene::Hold,
        plant: |stage| redescribe(stage, ALICE, "INVITE sip:10", "telephone-event/8000", "speex/8000"),
    },
    Mutant {
        rule: "S7",
        wrong: "a telephone that waits for the answer to its hold makes another offer",
        scene: Scene::Hold,
        plant: |stage| {
            forge(stage, ALICE, "INVITE sip:10", |sent| {
                let mut other = sent.after(ms(1));
                other.replace("INVITE", "UPDATE");
                other.replace("z9hG4bK", "z9hG4bKu");
                vec![sent, other]
            });
        },
    },
    Mutant {
        rule: "S8",
        wrong: "the PBX takes a call and does not answer the offer",
        scene: Scene::Call,
        plant: |stage| leave_out_body(stage, "SIP/2.0 200"),
    },
    Mutant {
        rule: "S9",
        wrong: "a telephone acknowledges an offer and does not answer it",
        scene: Scene::LateOffer,
        plant: |stage| {
            forge(stage, ALICE, "ACK", |mut sent| {
                with_body(&mut sent, |_| String::new());
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "S10",
        wrong: "a telephone whose other codec was refused talks in it nevertheless",
        scene: Scene::Hold,
        plant: |stage| {
            redescribe(stage, ALICE, "INVITE sip:10", "RTP/AVP 0 8 101", "RTP/AVP 18");
            forge_rtp(stage, ALICE, |number, mut sent| {
                // 50 packets a second: after the refusal.
                if number > 75 {
                    sent.bytes[1] = 18;
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "S11",
        wrong: "who ends a hold is answered as if it went on",
        scene: Scene::Hold,
        plant: |stage| {
            forge(stage, PBX, "SIP/2.0 200", |mut sent| {
                if sent.says("CSeq: 4 INVITE") {
                    with_body(&mut sent, |body| body.replace("a=sendrecv", "a=recvonly"));
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "S12",
        wrong: "the PBX sends to who has put it on hold with 0.0.0.0",
        scene: Scene::Hold,
        plant: |stage| {
            redescribe(stage, ALICE, "INVITE sip:10", "c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0");
            let alice = SocketAddr::from((ALICE, 40_000));
            let mut heard_from = None;
            forge_rtp(stage, PBX, move |_, sent| {
                if sent.to == alice {
                    heard_from = Some(sent.from);
                }
                let own = heard_from.filter(|from| *from != sent.from);
                let to_alice = own.map(|from| Outgoing { from, to: alice, ..sent.clone() });
                std::iter::once(sent).chain(to_alice).collect()
            });
        },
    },
    Mutant {
        rule: "S13",
        wrong: "a telephone sends keys with a number that nobody gave it",
        scene: Scene::Keys,
        plant: |stage| {
            forge_rtp(stage, ALICE, |_, mut sent| {
                if sent.bytes.len() == 16 {
                    sent.bytes[1] = sent.bytes[1] & 0x80 | 96;
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "S14",
        wrong: "a telephone says a port on which it does not listen",
        scene: Scene::Call,
        plant: |stage| redescribe(stage, ALICE, "INVITE", "m=audio 40000", "m=audio 47000"),
    },
    Mutant {
        rule: "S15",
        wrong: "the clock of a telephone goes at double speed",
        scene: Scene::Hold,
        plant: |stage| {
            forge_rtp(stage, ALICE, |_, mut sent| {
                let clock = u32::from_be_bytes([sent.bytes[4], sent.bytes[5], sent.bytes[6], sent.bytes[7]]);
                sent.bytes[4..8].copy_from_slice(&clock.wrapping_mul(2).to_be_bytes());
                vec![sent]
            });
        },
    },
];

/// What the PBX sends to alice and begins like this has no body.
fn leave_out_body(stage: &mut Stage, begins: &'static str) {
    forge(stage, PBX, begins, |mut sent| {
        if sent.to.ip() == ALICE {
            with_body(&mut sent, |_| String::new());
        }
        vec![sent]
    });
}
