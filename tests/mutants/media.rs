//! RTP and RTCP.

use crate::Mutant;
use crate::plant::{forge_rtcp, forge_rtp, ms};
use crate::scene::{ALICE, BOB, Scene};
use pbx::audio::{Coding, Encoder};
use pbx::shell::host::{Disk, Host};
use pbx::time::Duration;
use simulator::network::Outgoing;
use simulator::stage::{PBX, Stage};
use std::f64::consts::TAU;
use std::path::Path;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "R1",
        wrong: "a telephone talks in a codec that nobody listed",
        scene: Scene::Call,
        plant: |stage| change_rtp(stage, |_, packet| packet[1] = 3),
    },
    Mutant {
        rule: "R2",
        wrong: "a telephone counts two packets as one",
        scene: Scene::Call,
        plant: |stage| {
            change_rtp(stage, |number, packet| {
                if number == 20 {
                    packet[3] ^= 1;
                }
            });
        },
    },
    Mutant {
        rule: "R3",
        wrong: "the clock of a telephone stands still",
        scene: Scene::Call,
        plant: |stage| change_rtp(stage, |_, packet| packet[4..8].fill(0)),
    },
    Mutant {
        rule: "R4",
        wrong: "a telephone becomes another source in the middle of a call",
        scene: Scene::Call,
        plant: |stage| {
            change_rtp(stage, |number, packet| {
                if number > 20 {
                    packet[8..12].copy_from_slice(b"else");
                }
            });
        },
    },
    Mutant {
        rule: "R5",
        wrong: "a telephone and the PBX are one source to each other",
        scene: Scene::Hold,
        plant: |stage| {
            for host in [ALICE, PBX] {
                forge_rtp(stage, host, |_, mut sent| {
                    if [sent.from.ip(), sent.to.ip()].contains(&ALICE) {
                        sent.bytes[8..12].copy_from_slice(b"same");
                    }
                    vec![sent]
                });
            }
        },
    },
    Mutant {
        rule: "R6",
        wrong: "a packet of a telephone is cut off",
        scene: Scene::Call,
        plant: |stage| {
            forge_rtp(stage, ALICE, |number, mut sent| {
                if number == 20 {
                    sent.bytes.truncate(100);
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R7",
        wrong: "a telephone is late with a packet",
        scene: Scene::Call,
        plant: |stage| {
            forge_rtp(stage, ALICE, |number, sent| vec![sent.after(ms(if number == 20 { 12 } else { 0 }))]);
        },
    },
    Mutant {
        rule: "R8",
        wrong: "a telephone marks every packet",
        scene: Scene::Call,
        plant: |stage| change_rtp(stage, |_, packet| packet[1] |= 0x80),
    },
    Mutant {
        rule: "R9",
        wrong: "a packet of a telephone is sent after it has hung up",
        scene: Scene::Call,
        plant: |stage| {
            forge_rtp(stage, ALICE, |number, sent| {
                if number == 30 { vec![sent.clone(), sent.after(ms(1_500))] } else { vec![sent] }
            });
        },
    },
    Mutant {
        rule: "R10",
        wrong: "a telephone that is put on hold talks on",
        scene: Scene::Hold,
        plant: |stage| forge_rtp(stage, BOB, |_, sent| vec![sent.after(ms(400))]),
    },
    Mutant {
        rule: "R11",
        wrong: "what is meant for bob is sent to alice",
        scene: Scene::Call,
        plant: |stage| {
            forge_rtp(stage, PBX, |_, mut sent| {
                sent.to = (ALICE, 40_000).into();
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R12",
        wrong: "RTP goes to a port from which none has come",
        scene: Scene::Call,
        plant: |stage| {
            forge_rtp(stage, PBX, |_, mut sent| {
                sent.to.set_port(47_000);
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R13",
        wrong: "a telephone says the end of a key once",
        scene: Scene::Keys,
        plant: |stage| {
            let mut ends = 0;
            forge_rtp(stage, ALICE, move |_, sent| {
                let is_end = is_key(&sent) && sent.bytes[13] & 0x80 != 0;
                ends += u32::from(is_end);
                if is_end && ends % 3 != 1 { Vec::new() } else { vec![sent] }
            });
        },
    },
    Mutant {
        rule: "R14",
        wrong: "the PBX keeps keys for itself",
        scene: Scene::Keys,
        plant: |stage| {
            forge_rtp(stage, PBX, |_, sent| if is_key(&sent) { Vec::new() } else { vec![sent] });
        },
    },
    Mutant {
        rule: "R14",
        wrong: "the PBX keeps keys for itself that came by message",
        scene: Scene::MessageKeys,
        plant: |stage| {
            forge_rtp(stage, PBX, |_, sent| if is_key(&sent) { Vec::new() } else { vec![sent] });
        },
    },
    Mutant {
        rule: "R14",
        wrong: "the PBX lets bob hear a key in the sound that it does not tell him",
        scene: Scene::ToneKeys,
        plant: |stage| {
            let mut nine = sound_of_a_key();
            forge_rtp(stage, PBX, move |number, mut sent| {
                if number > 60 && sent.to.ip() == BOB && !is_key(&sent) {
                    nine.by_ref().take(160).zip(&mut sent.bytes[12..]).for_each(|(code, byte)| *byte = code);
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R14",
        wrong: "the PBX keeps keys for itself that came as tones, each whole, over a network that loses packets",
        scene: Scene::LossyToneKeys,
        plant: |stage| {
            forge_rtp(stage, PBX, |_, sent| if is_key(&sent) { Vec::new() } else { vec![sent] });
        },
    },
    Mutant {
        rule: "R15",
        wrong: "a telephone lets a key be heard while it tells it",
        scene: Scene::Keys,
        plant: |stage| {
            let mut keys = 0;
            forge_rtp(stage, ALICE, move |_, mut sent| {
                keys += u32::from(is_key(&sent));
                if is_key(&sent) && keys == 3 {
                    sent.bytes.truncate(12);
                    sent.bytes[1] = 0;
                    sent.bytes.resize(172, 0x20);
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R16",
        wrong: "the PBX reports more packets than it has sent",
        scene: Scene::Call,
        plant: |stage| change_rtcp(stage, 23, 5),
    },
    Mutant {
        rule: "R17",
        wrong: "the PBX reports packets as lost that have come",
        scene: Scene::Call,
        plant: |stage| change_rtcp(stage, 28 + 7, 3),
    },
    Mutant {
        rule: "R17",
        wrong: "the PBX does not report what was lost",
        scene: Scene::LossyCall,
        plant: |stage| {
            forge_rtcp(stage, PBX, |sent| {
                if has_block(sent) {
                    sent.bytes[28 + 4..28 + 8].fill(0);
                }
            });
        },
    },
    Mutant {
        rule: "R18",
        wrong: "the PBX reports jitter where there is none",
        scene: Scene::Call,
        plant: |stage| change_rtcp(stage, 28 + 15, 100),
    },
    Mutant {
        rule: "R19",
        wrong: "the PBX has two names",
        scene: Scene::Call,
        plant: |stage| {
            forge_rtcp(stage, PBX, |sent| {
                if sent.to.ip() == BOB && has_block(sent) {
                    sent.bytes[28 + 24 + 12] ^= 1;
                }
            });
        },
    },
    Mutant {
        rule: "R21",
        wrong: "the PBX changes a sample",
        scene: Scene::Call,
        plant: |stage| {
            forge_rtp(stage, PBX, |number, mut sent| {
                if number == 20 {
                    sent.bytes[40] ^= 1;
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R21",
        wrong: "the PBX does not pass on a packet",
        scene: Scene::Call,
        plant: |stage| {
            forge_rtp(stage, PBX, |number, sent| if number == 20 { Vec::new() } else { vec![sent] })
        },
    },
    Mutant {
        rule: "R21",
        wrong: "the PBX changes a sample of G.722, before a key that it hushes",
        scene: Scene::ToneKeys,
        plant: change_a_sample,
    },
    Mutant {
        rule: "R21",
        wrong: "the PBX does not pass on a packet, long after a key that came by message",
        scene: Scene::MessageKeys,
        plant: |stage| {
            forge_rtp(
                stage,
                PBX,
                |number, sent| {
                    if (300..302).contains(&number) { Vec::new() } else { vec![sent] }
                },
            );
        },
    },
    Mutant {
        rule: "R21",
        wrong: "the PBX changes a sample that it turns into the other law",
        scene: Scene::TwoLaws,
        plant: change_a_sample,
    },
    Mutant {
        rule: "R21",
        wrong: "the PBX turns three packets of a sound upside down that it makes in another codec",
        scene: Scene::Interpreted,
        plant: |stage| {
            forge_rtp(stage, PBX, |number, mut sent| {
                if (200..206).contains(&number) && sent.to.ip() == BOB {
                    sent.bytes[12..].iter_mut().for_each(|code| *code ^= 0x80);
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R21",
        wrong: "the PBX is silent for a moment in a sound that it makes in another codec",
        scene: Scene::Interpreted,
        plant: |stage| {
            forge_rtp(stage, PBX, |number, mut sent| {
                if (200..206).contains(&number) && sent.to.ip() == BOB {
                    sent.bytes[12..].fill(0xff);
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R22",
        wrong: "bob hears noise",
        scene: Scene::Call,
        plant: |stage| {
            forge_rtp(stage, PBX, |number, mut sent| {
                let mut bits = number;
                for sample in &mut sent.bytes[12..] {
                    bits = bits.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                    *sample = (bits >> 16) as u8;
                }
                vec![sent]
            });
        },
    },
    Mutant {
        rule: "R25",
        wrong: "the PBX sends a packet twice that it has sealed",
        scene: Scene::Sealed,
        plant: |stage| {
            forge_rtp(stage, PBX, |number, sent| {
                // Of two packets one is to bob.
                let again = (20..22).contains(&number) && sent.to.ip() == BOB;
                if again { vec![sent.clone(), sent] } else { vec![sent] }
            });
        },
    },
    Mutant {
        rule: "R25",
        wrong: "the PBX sends a packet that nobody can open",
        scene: Scene::Sealed,
        plant: |stage| {
            forge_rtp(stage, PBX, |number, mut sent| {
                sent.bytes[40] ^= u8::from((20..22).contains(&number) && sent.to.ip() == BOB);
                vec![sent]
            });
        },
    },
    Mutant { rule: "R23", wrong: "the PBX forgets to close a port", scene: Scene::Call, plant: keep_a_port },
    Mutant {
        rule: "R24",
        wrong: "a call that somebody hung up is said to have ended for lack of RTP",
        scene: Scene::Call,
        plant: |stage| {
            rewrite_records(stage, "\"reason\":\"hung up\"", "\"reason\":\"no RTP came any more\"");
        },
    },
];

/// Changes the RTP of alice; told how many packets went before.
fn change_rtp(stage: &mut Stage, mut change: impl FnMut(u32, &mut [u8]) + Send + 'static) {
    forge_rtp(stage, ALICE, move |number, mut sent| {
        change(number, &mut sent.bytes);
        vec![sent]
    });
}

/// Adds to a byte of the PBX's sender reports that report of somebody.
fn change_rtcp(stage: &mut Stage, at: usize, more: u8) {
    forge_rtcp(stage, PBX, move |sent| {
        if has_block(sent) {
            sent.bytes[at] = sent.bytes[at].wrapping_add(more);
        }
    });
}

/// A sender report with one block.
fn has_block(sent: &Outgoing) -> bool {
    sent.bytes[..2] == [0x81, 200]
}

/// A tenth of a second of the key 9, in G.722.
fn sound_of_a_key() -> impl Iterator<Item = u8> {
    let sine = |n: usize, frequency: f64| 5_000.0 * (n as f64 * frequency / 16_000.0 * TAU).sin();
    let samples: Vec<i16> = (0..1_600).map(|n| (sine(n, 852.0) + sine(n, 1_477.0)) as i16).collect();
    let mut codes = Vec::new();
    Encoder::new(Coding::G722).encode(&samples, &mut codes);
    codes.into_iter()
}

fn is_key(sent: &Outgoing) -> bool {
    sent.bytes.len() == 16
}

/// The PBX opens a port while it runs, and never closes it.
pub(crate) fn keep_a_port(stage: &mut Stage) {
    let host = stage.office.host().clone();
    let task = host.clone();
    host.spawn(async move {
        pbx::shell::timer::sleep(Duration::from_millis(500)).await;
        let port = task.bind((PBX, 20_900).into());
        std::future::pending::<()>().await;
        drop(port);
    });
}

/// In the records on the PBX's disk these words become others when the call is over.
pub(crate) fn rewrite_records(stage: &mut Stage, old: &'static str, new: &'static str) {
    let host = stage.office.host().clone();
    let task = host.clone();
    host.spawn(async move {
        pbx::shell::timer::sleep(Duration::from_secs(20)).await;
        let (disk, path) = (task.disk(), Path::new("calls.jsonl"));
        if let Ok(bytes) = disk.read(path, 0).await {
            let text = String::from_utf8_lossy(&bytes).replace(old, new);
            let _ = disk.replace(path, text.into_bytes()).await;
        }
    });
}

/// One bit of two packets of sound that the PBX sends.
fn change_a_sample(stage: &mut Stage) {
    forge_rtp(stage, PBX, |number, mut sent| {
        if (20..22).contains(&number) {
            sent.bytes[40] ^= 1;
        }
        vec![sent]
    });
}
