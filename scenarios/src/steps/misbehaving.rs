//! Telephones that do not keep to the rules, or say more than others.

use crate::scene::Scene;
use crate::words::{Actor, Span, Way};
use cucumber::{given, when};

#[given(expr = "{actor}'s telephone {way}")]
#[when(expr = "{actor}'s telephone {way}")]
async fn misbehaves(scene: &mut Scene, actor: Actor, way: Way) {
    scene.phone(actor, move |phone| phone.misbehaves(way.0)).await;
}

#[given(expr = "{actor}'s telephone says {string} in its {word}")]
#[when(expr = "{actor}'s telephone says {string} in its {word}")]
async fn says_besides(scene: &mut Scene, actor: Actor, line: String, kind: String) {
    scene.phone(actor, move |phone| phone.habits(|habits| habits.lines.push((kind, line)))).await;
}

#[when(expr = "{actor} asks {int} times at once whether {actor} is there")]
async fn floods(scene: &mut Scene, actor: Actor, times: u32, other: Actor) {
    scene.phone(actor, move |phone| phone.ask(&other.0, times)).await;
}

#[when(expr = "{actor} sends a message over TCP, a byte every {span}")]
async fn dribbles(scene: &mut Scene, actor: Actor, pause: Span) {
    let bytes = b"OPTIONS sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.9;branch=z9hG4bKslow\r\n";
    scene.phone(actor, move |phone| phone.dribbles(bytes, pause.0)).await;
}
