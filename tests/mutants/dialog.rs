//! Numbers within a dialog.

use crate::Mutant;
use crate::plant::rewrite;
use crate::scene::{ALICE, Scene};

pub(crate) const MUTANTS: &[Mutant] = &[Mutant {
    rule: "D1",
    wrong: "a telephone leaves out a number",
    scene: Scene::Call,
    plant: |stage| rewrite(stage, ALICE, "BYE ", "CSeq: 3", "CSeq: 4"),
}];
