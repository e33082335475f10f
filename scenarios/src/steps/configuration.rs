//! What an operator writes into the configuration, in the operator's own words: TOML.

use crate::scene::Scene;
use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use pbx::config::Config;
use simulator::stage::Stage;

/// The name of the file in what is said of it.
const FILE: &str = "office.toml";

#[given(expr = "the configuration also says")]
#[when(expr = "the configuration also says")]
async fn also_says(scene: &mut Scene, step: &Step) {
    let tables = format!("\n{}\n", text_of(step));
    let add = async move |stage: &mut Stage| stage.replan(|plan| plan.tables.push_str(&tables)).await;
    scene.world.play(add).await;
}

#[given(expr = "the configuration is")]
async fn is(scene: &mut Scene, step: &Step) {
    let text = text_of(step);
    scene
        .world
        .play(async move |stage: &mut Stage| {
            stage.replan(|plan| plan.whole = Some(text)).await;
            stage.open_office().await;
        })
        .await;
}

#[when(expr = "the operator checks the configuration")]
async fn checks(scene: &mut Scene, step: &Step) {
    scene.refusal = Config::parse(&text_of(step), FILE).err().map(|error| error.to_string());
}

#[then(expr = "the configuration is refused")]
async fn is_refused(scene: &mut Scene, step: &Step) {
    let refusal = scene.refusal.as_deref().expect("it is accepted");
    assert_eq!(refusal.trim_end(), text_of(step).trim_end(), "it is refused in other words");
}

#[then(expr = "the configuration is accepted")]
async fn is_accepted(scene: &mut Scene) {
    assert_eq!(scene.refusal, None);
}

/// The text that stands below the sentence.
fn text_of(step: &Step) -> String {
    step.docstring.as_deref().unwrap_or_default().trim_start_matches('\n').to_owned()
}
