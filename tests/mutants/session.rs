//! Changes of a session, extensions, registrations, the two sides of a call.

use crate::Mutant;
use crate::plant::{another, forge, ms, rewrite};
use crate::scene::{ALICE, BOB, Scene};
use simulator::stage::{PBX, Stage};

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "T22",
        wrong: "the PBX rings a telephone twice for one INVITE",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, PBX, "INVITE ", |sent| {
                let mut second = another(&sent, "INVITE", 1, ms(100));
                second.replace("Call-ID: ", "Call-ID: second-");
                vec![sent, second]
            });
        },
    },
    Mutant {
        rule: "D9",
        wrong: "a telephone holds twice in one breath",
        scene: Scene::Hold,
        plant: |stage| {
            forge(stage, ALICE, "INVITE ", |sent| {
                let second = another(&sent, "INVITE", 4, ms(0));
                if sent.says("CSeq: 3") { vec![sent, second] } else { vec![sent] }
            });
        },
    },
    Mutant {
        rule: "D10",
        wrong: "a telephone is told to wait and does not",
        scene: Scene::BothHold,
        plant: |stage| {
            refuse(stage, "491 Request Pending");
            forge(stage, ALICE, "ACK ", |sent| {
                let again = another(&sent, "INVITE", 4, ms(100));
                if sent.says("CSeq: 3") { vec![sent, again] } else { vec![sent] }
            });
        },
    },
    Mutant {
        rule: "D11",
        wrong: "the PBX goes to a Contact that it has refused",
        scene: Scene::Hold,
        plant: |stage| {
            refuse(stage, "488 Not Acceptable Here");
            forge(stage, ALICE, "INVITE ", |mut sent| {
                if !sent.says("CSeq: 1") && !sent.says("CSeq: 2") {
                    sent.replace("Contact: <sip:alice@10.0.0.2:5060", "Contact: <sip:alice@10.0.0.2:5070");
                }
                vec![sent]
            });
            forge(stage, ALICE, "BYE ", |_| Vec::new());
        },
    },
    Mutant {
        rule: "D13",
        wrong: "the PBX lets the other telephone of somebody ring on",
        scene: Scene::Fork,
        plant: |stage| forge(stage, PBX, "CANCEL ", |_| Vec::new()),
    },
    Mutant {
        rule: "D19",
        wrong: "the PBX takes a SUBSCRIBE and tells nothing",
        scene: Scene::Watched,
        plant: |stage| forge(stage, PBX, "NOTIFY ", |_| Vec::new()),
    },
    Mutant {
        rule: "D19",
        wrong: "a subscription lasts the longer the later it is",
        scene: Scene::Watched,
        plant: |stage| rewrite(stage, PBX, "NOTIFY ", "active;expires=5", "active;expires=15"),
    },
    Mutant {
        rule: "D19",
        wrong: "who wants to know no more is told so, and not that it is the last time",
        scene: Scene::Watched,
        plant: |stage| rewrite(stage, PBX, "NOTIFY ", "terminated;reason=timeout", "active;expires=0"),
    },
    Mutant {
        rule: "D15",
        wrong: "a telephone says two things reliably at once",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, BOB, "SIP/2.0 180", |sent| {
                let reliable = |number: u32| {
                    let mut reliable = sent.clone();
                    reliable
                        .replace("Ringing\r\n", &format!("Ringing\r\nRequire: 100rel\r\nRSeq: {number}\r\n"));
                    reliable
                };
                vec![reliable(5), reliable(6)]
            });
        },
    },
    Mutant {
        rule: "D18",
        wrong: "nobody refreshes a session",
        scene: Scene::LongCall,
        plant: |stage| {
            rewrite(stage, BOB, "SIP/2.0 200", "Session-Expires: 1800", "Session-Expires: 90");
            forge(stage, PBX, "UPDATE ", |_| Vec::new());
            forge(
                stage,
                PBX,
                "INVITE ",
                |sent| if sent.says("CSeq: 1 INVITE") { vec![sent] } else { vec![] },
            );
            forge(stage, PBX, "BYE ", |_| Vec::new());
            forge(stage, BOB, "BYE ", |_| Vec::new());
        },
    },
    Mutant {
        rule: "D20",
        wrong: "the PBX tells a telephone of somebody else's binding",
        scene: Scene::Registration,
        plant: |stage| {
            rewrite(stage, PBX, "SIP/2.0 200", "Contact: <sip:alice@10.0.0.2", "Contact: <sip:alice@10.0.0.7")
        },
    },
    Mutant {
        rule: "D21",
        wrong: "a telephone counts no uses of a nonce",
        scene: Scene::Registration,
        plant: |stage| rewrite(stage, ALICE, "REGISTER ", "nc=00000002", "nc=00000001"),
    },
    Mutant {
        rule: "D22",
        wrong: "the PBX does not say what is allowed",
        scene: Scene::Noise,
        plant: |stage| rewrite(stage, PBX, "SIP/2.0 200", "Allow: ", "X-Allow: "),
    },
    Mutant {
        rule: "D23",
        wrong: "the PBX answers while it rings",
        scene: Scene::Cancelled,
        plant: |stage| rewrite(stage, PBX, "SIP/2.0 180", "180 Ringing", "200 OK"),
    },
    Mutant {
        rule: "D24",
        wrong: "the PBX calls under the Call-ID of its caller",
        scene: Scene::Call,
        plant: |stage| {
            let mut caller = String::new();
            stage.network.forge(PBX, move |mut sent| {
                let text = String::from_utf8_lossy(&sent.bytes).into_owned();
                let call_id = text.split("Call-ID: ").nth(1).and_then(|rest| rest.split('\r').next());
                let call_id = call_id.unwrap_or_default();
                if sent.begins("SIP/2.0 407") {
                    call_id.clone_into(&mut caller);
                } else if sent.begins("INVITE ") {
                    sent.replace(call_id, &caller);
                }
                vec![sent]
            });
        },
    },
];

/// The PBX refuses each change of alice's session.
fn refuse(stage: &mut Stage, with: &'static str) {
    forge(stage, PBX, "SIP/2.0 200", move |mut sent| {
        if sent.says("CSeq: 3 INVITE") || sent.says("CSeq: 4 INVITE") {
            sent.replace("200 OK", with);
        }
        vec![sent]
    });
}
