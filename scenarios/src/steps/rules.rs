//! Rules that a scenario lets be broken.

use crate::scene::Scene;
use crate::words::Reason;
use cucumber::given;
use simulator::stage::Stage;

#[given(expr = "rule {word} is waived: {reason}")]
async fn is_waived(scene: &mut Scene, rule: String, reason: Reason) {
    let waived = scene.world.with(move |stage: &mut Stage| stage.waive(&rule, &reason.0)).await;
    waived.unwrap_or_else(|why| panic!("{why}"));
}
