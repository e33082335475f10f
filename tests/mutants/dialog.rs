//! Requests within a dialog.

use crate::Mutant;
use crate::plant::{another, forge, ms, rewrite, turned_round};
use crate::scene::{ALICE, BOB, Scene};
use simulator::stage::PBX;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "D1",
        wrong: "a telephone leaves out a number",
        scene: Scene::Call,
        plant: |stage| rewrite(stage, ALICE, "BYE ", "CSeq: 3", "CSeq: 4"),
    },
    Mutant {
        rule: "D2",
        wrong: "the PBX takes a request of an old number",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, ALICE, "ACK ", |sent| {
                let info = |cseq, delay| another(&sent, "INFO", cseq, ms(delay));
                if sent.says("CSeq: 2") { vec![sent.clone(), info(3, 20), info(1, 40)] } else { vec![sent] }
            });
            rewrite(stage, PBX, "SIP/2.0 500", "SIP/2.0 500", "SIP/2.0 200");
        },
    },
    Mutant {
        rule: "D3",
        wrong: "a telephone sends BYE to somewhere else",
        scene: Scene::Call,
        plant: |stage| rewrite(stage, ALICE, "BYE ", "BYE sip:10.0.0.1", "BYE sip:10.0.0.9"),
    },
    Mutant {
        rule: "D4",
        wrong: "the PBX ends a call that does not exist",
        scene: Scene::Call,
        plant: |stage| {
            rewrite(stage, ALICE, "BYE ", "Call-ID: ", "Call-ID: x");
            rewrite(stage, PBX, "SIP/2.0 481", "SIP/2.0 481", "SIP/2.0 200");
        },
    },
    Mutant {
        rule: "D5",
        wrong: "a telephone hangs up while it rings",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, BOB, "SIP/2.0 180", |sent| {
                let bye = turned_round(&sent, "BYE", "sip:10.0.0.1:5060");
                vec![sent, bye]
            });
        },
    },
    Mutant {
        rule: "D6",
        wrong: "a telephone has something to say after BYE",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, ALICE, "BYE ", |sent| {
                let info = another(&sent, "INFO", 4, ms(10));
                vec![sent, info]
            });
        },
    },
    Mutant {
        rule: "D7",
        wrong: "the PBX does not take a BYE that crosses its own",
        scene: Scene::Glare,
        plant: |stage| {
            forge(stage, PBX, "SIP/2.0 200", |mut sent| {
                if sent.says(" BYE\r\n") {
                    sent.replace("SIP/2.0 200 OK", "SIP/2.0 500 Internal Error");
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "D8",
        wrong: "a telephone goes on in a dialog that is gone",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, ALICE, "ACK ", |sent| {
                let info = |cseq, delay| another(&sent, "INFO", cseq, ms(delay));
                if sent.says("CSeq: 2") { vec![sent.clone(), info(3, 20), info(4, 90)] } else { vec![sent] }
            });
            forge(stage, PBX, "SIP/2.0 ", |mut sent| {
                if sent.says(" INFO\r\n") {
                    sent.replace("SIP/2.0 200 OK", "SIP/2.0 481 Gone");
                    sent.replace("SIP/2.0 415", "SIP/2.0 481");
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "D12",
        wrong: "a telephone wants to be reached in two places",
        scene: Scene::Call,
        plant: |stage| {
            let both = "Contact: <sip:alice@10.0.0.2:5060>, <sip:alice@10.0.0.2:5062>";
            rewrite(stage, ALICE, "INVITE ", "Contact: <sip:alice@10.0.0.2:5060>", both);
        },
    },
    Mutant {
        rule: "D16",
        wrong: "the PBX takes a transfer and says nothing of it",
        scene: Scene::Transfer,
        plant: |stage| forge(stage, PBX, "NOTIFY ", |_| Vec::new()),
    },
    Mutant {
        rule: "D17",
        wrong: "the PBX puts somebody in the place of another one and leaves that one there",
        scene: Scene::Replaced,
        plant: |stage| forge(stage, PBX, "BYE ", |_| Vec::new()),
    },
    Mutant {
        rule: "D14",
        wrong: "nobody hangs up",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, ALICE, "BYE ", |_| Vec::new());
            forge(stage, BOB, "BYE ", |_| Vec::new());
        },
    },
];
