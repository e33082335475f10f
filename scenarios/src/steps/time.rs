//! Time passes.

use crate::scene::Scene;
use crate::words::Span;
use cucumber::{given, when};

#[given(expr = "{span} pass(es)")]
#[when(expr = "{span} pass(es)")]
async fn passes(scene: &mut Scene, time: Span) {
    scene.world.pass(time.0).await;
}
