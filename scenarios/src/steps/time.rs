//! Time passes.

use crate::scene::Scene;
use crate::words::{Moment, Span};
use cucumber::{given, when};
use pbx::shell::host::Host;
use pbx::time::Duration;
use simulator::stage::Stage;

#[given(expr = "{span} pass(es)")]
#[when(expr = "{span} pass(es)")]
async fn passes(scene: &mut Scene, time: Span) {
    scene.world.pass(time.0).await;
}

#[given(expr = "it is {moment} UTC")]
#[when(expr = "it is {moment} UTC")]
async fn it_is(scene: &mut Scene, moment: Moment) {
    let now = scene.world.with(|stage: &mut Stage| {
        let host = stage.office.host();
        host.clock().micros(host.now())
    });
    let until = moment.0.checked_sub(now.await).unwrap_or_else(|| panic!("that is over"));
    scene.world.pass(Duration::from_micros(until)).await;
}
