//! What the PBX writes down, what it leaves behind, what others read.

use crate::Mutant;
use crate::media::{keep_a_port, rewrite_records};
use crate::plant::{forge, rewrite};
use crate::scene::{ALICE, Scene};
use pbx::shell::host::{Disk, Host};
use pbx::time::Duration;
use simulator::stage::{PBX, Stage};
use std::path::Path;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        rule: "A1",
        wrong: "a disk writes every record twice",
        scene: Scene::Call,
        plant: write_records_twice,
    },
    Mutant {
        rule: "A2",
        wrong: "a record says that the other side hung up",
        scene: Scene::Call,
        plant: |stage| rewrite_records(stage, "\"ended_by\":\"caller\"", "\"ended_by\":\"callee\""),
    },
    Mutant { rule: "A24", wrong: "the PBX forgets to close a port", scene: Scene::Call, plant: keep_a_port },
    Mutant {
        rule: "A25",
        wrong: "the PBX calls something an error",
        scene: Scene::Call,
        plant: |stage| {
            stage.office.host().clone().spawn(async {
                pbx::shell::timer::sleep(Duration::from_secs(1)).await;
                tracing::error!("what must not happen has happened");
            });
        },
    },
    Mutant {
        rule: "A27",
        wrong: "who hangs up is never answered",
        scene: Scene::Call,
        plant: |stage| {
            forge(
                stage,
                PBX,
                "SIP/2.0 200",
                |sent| if sent.says(" BYE\r\n") { Vec::new() } else { vec![sent] },
            );
        },
    },
    Mutant {
        rule: "A28",
        wrong: "the PBX lives in another year",
        scene: Scene::Registration,
        plant: |stage| rewrite(stage, PBX, "SIP/2.0 200", "Jan 2026", "Jan 2027"),
    },
    Mutant {
        rule: "O1",
        wrong: "a telephone writes a Via that only we can read",
        scene: Scene::Call,
        plant: |stage| rewrite(stage, ALICE, "BYE", "Via: SIP/2.0/UDP ", "Via: SIP / 2.0 / UDP "),
    },
];

fn write_records_twice(stage: &mut Stage) {
    let host = stage.office.host().clone();
    let task = host.clone();
    host.spawn(async move {
        pbx::shell::timer::sleep(Duration::from_secs(20)).await;
        let (disk, path) = (task.disk(), Path::new("calls.jsonl"));
        if let Ok(bytes) = disk.read(path, 0).await {
            let _ = disk.append(path, bytes).await;
        }
    });
}
