//! What a server owes, and how messages travel.

use crate::Mutant;
use crate::plant::{branch, echo, forge, ms, rewrite};
use crate::scene::{ALICE, BOB, Scene};
use pbx::shell::host::{Host, Udp};
use simulator::stage::{PBX, Stage};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "T2",
        wrong: "bob's telephone does not answer BYE",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, BOB, "SIP/2.0 200", |sent| if sent.says(" BYE\r\n") { vec![] } else { vec![sent] });
        },
    },
    Mutant {
        rule: "T19",
        wrong: "bob's telephone answers BYE with 408",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, BOB, "SIP/2.0 200", |mut sent| {
                if sent.says(" BYE\r\n") {
                    sent.replace("SIP/2.0 200 OK", "SIP/2.0 408 Request Timeout");
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "T20",
        wrong: "the PBX keeps quiet until it is answered",
        scene: Scene::Call,
        plant: |stage| forge(stage, PBX, "SIP/2.0 1", |_| Vec::new()),
    },
    Mutant {
        rule: "T21",
        wrong: "the PBX says 100 after 180",
        scene: Scene::Cancelled,
        plant: |stage| echo(stage, PBX, "SIP/2.0 180", ms(5), "180 Ringing", "100 Trying"),
    },
    Mutant {
        rule: "T23",
        wrong: "the PBX says busy to a call that comes by two ways",
        scene: Scene::Cancelled,
        plant: |stage| {
            forge(stage, ALICE, "INVITE ", |sent| {
                let mut other = sent.after(ms(5));
                other.replace(&branch(&sent), "z9hG4bKother");
                if sent.says("CSeq: 2") { vec![sent, other] } else { vec![sent] }
            });
            rewrite(stage, PBX, "SIP/2.0 482", "482 Loop Detected", "486 Busy Here");
        },
    },
    Mutant {
        rule: "T24",
        wrong: "a telephone does not say how far its call may go",
        scene: Scene::Call,
        plant: |stage| rewrite(stage, ALICE, "INVITE ", "Max-Forwards: 70\r\n", ""),
    },
    Mutant {
        rule: "T25",
        wrong: "the PBX says that a request came from somewhere else",
        scene: Scene::Registration,
        plant: |stage| rewrite(stage, PBX, "SIP/2.0 200", "received=10.0.0.2", "received=10.0.0.9"),
    },
    Mutant {
        rule: "T26",
        wrong: "a telephone announces a body that it does not send",
        scene: Scene::Call,
        plant: |stage| rewrite(stage, ALICE, "BYE ", "Content-Length: 0", "Content-Length: 7"),
    },
    Mutant {
        rule: "T26",
        wrong: "a telephone announces less than it writes to a stream",
        scene: Scene::TcpCall,
        plant: |stage| {
            forge(stage, ALICE, "BYE ", |mut sent| {
                sent.bytes.extend(b"and something more");
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "T27",
        wrong: "the PBX sends a huge INVITE over UDP",
        scene: Scene::Call,
        plant: |stage| {
            forge(stage, PBX, "INVITE ", |mut sent| {
                sent.replace(
                    "Max-Forwards: ",
                    &format!("X-Padding: {}\r\nMax-Forwards: ", "x".repeat(1_300)),
                );
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "T28",
        wrong: "the PBX does not say which extension it has not",
        scene: Scene::Noise,
        plant: |stage| rewrite(stage, PBX, "SIP/2.0 420", "Unsupported: telepathy\r\n", ""),
    },
    Mutant {
        rule: "T28",
        wrong: "the PBX takes an extension that it has not",
        scene: Scene::Noise,
        plant: |stage| rewrite(stage, PBX, "SIP/2.0 420", "420 Bad Extension", "200 OK"),
    },
    Mutant {
        rule: "T29",
        wrong: "the PBX takes a call that cannot be read",
        scene: Scene::Noise,
        plant: |stage| rewrite(stage, PBX, "SIP/2.0 400", "SIP/2.0 400", "SIP/2.0 200"),
    },
    Mutant {
        rule: "T30",
        wrong: "somebody never leaves the PBX alone",
        scene: Scene::Registration,
        plant: ask_for_ever,
    },
    Mutant {
        rule: "T31",
        wrong: "the PBX cannot stop saying that it rings",
        scene: Scene::Cancelled,
        plant: |stage| forge(stage, PBX, "SIP/2.0 180", |sent| vec![sent; 70]),
    },
];

fn ask_for_ever(stage: &mut Stage) {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99));
    let host = stage.network.host("stranger", address);
    let task = host.clone();
    host.spawn(async move {
        let Ok(socket) = task.udp(SocketAddr::new(address, 5060)).await else { return };
        for number in 1.. {
            let _ = socket.try_send_to(question(number).as_bytes(), SocketAddr::new(PBX, 5060));
            pbx::shell::timer::sleep(ms(5_000)).await;
        }
    });
}

fn question(number: u32) -> String {
    format!(
        "OPTIONS sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.99:5060;branch=z9hG4bK{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:x@pbx.example>;tag=1\r\nTo: <sip:pbx.example>\r\nCall-ID: x\r\n\
         CSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}
