//! What the PBX writes down.

use crate::Mutant;
use crate::scene::Scene;
use pbx::shell::host::{Disk, Host};
use pbx::time::Duration;
use simulator::stage::Stage;
use std::path::Path;

pub(crate) const MUTANTS: &[Mutant] = &[Mutant {
    rule: "A1",
    wrong: "a disk writes every record twice",
    scene: Scene::Call,
    plant: write_records_twice,
}];

fn write_records_twice(stage: &mut Stage) {
    let host = stage.office.host().clone();
    let task = host.clone();
    host.spawn(async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let (disk, path) = (task.disk(), Path::new("calls.jsonl"));
        if let Ok(bytes) = disk.read(path, 0).await {
            let _ = disk.append(path, bytes).await;
        }
    });
}
