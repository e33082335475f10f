//! What applications are told, and what comes of what they command.

use crate::Mutant;
use crate::plant::forge_rtp;
use crate::scene::Scene;
use simulator::network::Outgoing;
use simulator::stage::{PBX, Stage};

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "A3",
        wrong: "a call that rings is told as one that was made",
        scene: Scene::Ordered,
        plant: |stage| retell(stage, "\"call.ringing\"", "\"call.created\""),
    },
    Mutant {
        rule: "A3",
        wrong: "a call is over and goes on",
        scene: Scene::Ordered,
        plant: |stage| retell(stage, "\"call.bridged\"", "\"call.hangup\" "),
    },
    Mutant {
        rule: "A4",
        wrong: "a reply is to another question",
        scene: Scene::Ordered,
        plant: |stage| retell(stage, "\"command-3\"", "\"command-9\""),
    },
    Mutant {
        rule: "A4",
        wrong: "nothing is answered",
        scene: Scene::Ordered,
        plant: |stage| bug(stage, "an answer is forgotten"),
    },
    Mutant {
        rule: "A4",
        wrong: "what was refused is done a moment later",
        scene: Scene::Ordered,
        plant: |stage| stage.network.forge(PBX, |sent| vec![refuse_and_do_later(sent)]),
    },
    Mutant { rule: "A5", wrong: "what the PBX sends is silence", scene: Scene::Ordered, plant: silence },
    Mutant {
        rule: "A5",
        wrong: "two who are parked hear each other",
        scene: Scene::Ordered,
        plant: |stage| bug(stage, "calls that are parked go on hearing each other"),
    },
    Mutant {
        rule: "A6",
        wrong: "a number is left out",
        scene: Scene::Ordered,
        plant: |stage| retell(stage, "\"seq\":3,", "\"seq\":4,"),
    },
    Mutant {
        rule: "A6",
        wrong: "what was missed is not told",
        scene: Scene::Resumed,
        plant: |stage| {
            stage.network.forge(PBX, |sent| if sent.says("call.dtmf") { Vec::new() } else { vec![sent] });
        },
    },
    Mutant {
        rule: "A22",
        wrong: "who came last is served first",
        scene: Scene::Queued,
        plant: |stage| bug(stage, "a queue serves who came last"),
    },
    Mutant {
        rule: "A23",
        wrong: "a supervisor who only listens is heard",
        scene: Scene::Supervised,
        plant: |stage| bug(stage, "a supervisor who listens is heard"),
    },
];

/// Applications are told something else, of the same length.
fn retell(stage: &mut Stage, old: &'static str, new: &'static str) {
    stage.network.forge(PBX, move |mut sent| {
        if sent.is_stream {
            replace(&mut sent, old, new);
        }
        vec![sent]
    });
}

/// Frames are no text.
fn replace(sent: &mut Outgoing, old: &str, new: &str) {
    assert_eq!(old.len(), new.len(), "the length of a frame stands before it");
    let mut at = 0;
    while let Some(place) = sent.bytes[at..].windows(old.len()).position(|window| window == old.as_bytes()) {
        sent.bytes[at + place..at + place + old.len()].copy_from_slice(new.as_bytes());
        at += place + old.len();
    }
}

/// An application is told that its calls are not bridged, and 200 ms later that they are.
fn refuse_and_do_later(mut sent: Outgoing) -> Outgoing {
    let bytes = &mut sent.bytes;
    let find = |bytes: &[u8], text: &str| bytes.windows(text.len()).position(|at| at == text.as_bytes());
    if find(bytes, "\"call.bridge\"").is_some()
        && let Some(at) = find(bytes, "\"success\"")
    {
        bytes[at..at + 9].copy_from_slice(b"\"error\"  ");
    }
    let time = "\"timestamp\":\"2026-01-01T00:00:";
    if let Some(event) = find(bytes, "\"call.bridged\"")
        && let Some(at) = find(&bytes[event..], time)
    {
        // Behind the seconds and a point stand tenths.
        let tenths = event + at + time.len() + 3;
        bytes[tenths] = (bytes[tenths] + 2).min(b'9');
    }
    sent
}

fn silence(stage: &mut Stage) {
    forge_rtp(stage, PBX, |_, mut sent| {
        // What a server says over a WebSocket begins like RTP.
        if !sent.is_stream {
            sent.bytes[12..].fill(0xff);
        }
        vec![sent]
    });
}

fn bug(stage: &mut Stage, name: &str) {
    stage.buggify(name).expect("a bug that is known");
}
