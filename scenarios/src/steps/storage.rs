//! The operator stores things in a bucket, and asks a STUN server where it is.

use crate::scene::Scene;
use crate::words::{Misbehaviour, Span};
use cucumber::{given, then, when};
use pbx::shell::host::Host;
use pbx::time::Duration;
use simulator::agents::bucket::{Bucket, Credentials, NAME, sign};
use simulator::agents::http::Server;
use simulator::agents::stun::{self, Manner};
use simulator::stage::Stage;
use simulator::web::{Page, Question};

/// How large a part of an upload is.
const PART: usize = 1 << 20;

#[given(expr = "the bucket {fault}")]
#[when(expr = "the bucket {fault}")]
async fn misbehaves(scene: &mut Scene, what: Misbehaviour) {
    with(scene, move |bucket| bucket.misbehave(what.fault, what.times)).await;
}

#[when(expr = "the operator stores {string} as {string}")]
async fn stores(scene: &mut Scene, text: String, key: String) {
    ask(scene, Question::new("PUT", &format!("/{NAME}/{key}")).body(text), Key::default()).await;
}

#[when(expr = "the operator stores {string} as {string} with a wrong secret")]
async fn stores_with_a_wrong_secret(scene: &mut Scene, text: String, key: String) {
    let wrong = Key { secret: Some("guessed".to_owned()), ..Key::default() };
    ask(scene, Question::new("PUT", &format!("/{NAME}/{key}")).body(text), wrong).await;
}

#[when(expr = "the operator, whose clock is {span} fast, stores {string} as {string}")]
async fn stores_by_a_wrong_clock(scene: &mut Scene, fast: Span, text: String, key: String) {
    let wrong = Key { fast: fast.0, ..Key::default() };
    ask(scene, Question::new("PUT", &format!("/{NAME}/{key}")).body(text), wrong).await;
}

#[when(expr = "the operator stores {int} MB in parts as {string}")]
async fn stores_in_parts(scene: &mut Scene, size: usize, key: String) {
    let path = format!("/{NAME}/{key}");
    let begun = ask(scene, Question::new("POST", &format!("{path}?uploads=")), Key::default()).await;
    let id = between(&begun.text(), "<UploadId>", "</UploadId>");
    let mut parts = String::new();
    for number in 1..=size {
        let part = Question::new("PUT", &format!("{path}?partNumber={number}&uploadId={id}"));
        let taken = ask(scene, part.body(vec![number as u8; PART]), Key::default()).await;
        let tag = taken.header("etag").unwrap_or_default();
        parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
    }
    let whole = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    ask(scene, Question::new("POST", &format!("{path}?uploadId={id}")).body(whole), Key::default()).await;
}

#[when(expr = "the operator reads {string}")]
async fn reads(scene: &mut Scene, key: String) {
    ask(scene, Question::new("GET", &format!("/{NAME}/{key}")), Key::default()).await;
}

#[when(expr = "the operator lists {string}")]
async fn lists(scene: &mut Scene, prefix: String) {
    let target = format!("/{NAME}?list-type=2&prefix={}", prefix.replace('/', "%2F"));
    ask(scene, Question::new("GET", &target), Key::default()).await;
}

#[then(expr = "the answer says {string}")]
async fn says(scene: &mut Scene, text: String) {
    let page = super::sinks::answer(scene).await;
    assert!(page.text().contains(&text), "it says {}", page.text());
}

#[then(expr = "the bucket holds {int} bytes as {string}")]
async fn holds(scene: &mut Scene, size: usize, key: String) {
    let objects = with(scene, |bucket| bucket.with(|bucket| bucket.objects().clone())).await;
    assert_eq!(objects.get(&key).map(|object| object.bytes.len()), Some(size));
}

#[then(expr = "the bucket is empty")]
async fn is_empty(scene: &mut Scene) {
    let keys = with(scene, |bucket| bucket.with(|bucket| bucket.objects().len())).await;
    assert_eq!(keys, 0);
}

#[given(expr = "the STUN server never answers")]
async fn never_answers(scene: &mut Scene) {
    scene.world.play(async |stage: &mut Stage| stage.stun().answer(Manner::Never)).await;
}

#[given(expr = "the STUN server answers somebody else")]
async fn answers_somebody_else(scene: &mut Scene) {
    scene.world.play(async |stage: &mut Stage| stage.stun().answer(Manner::ForSomebodyElse)).await;
}

#[then(expr = "the STUN server sees the operator where it is")]
async fn sees(scene: &mut Scene) {
    let (seen, at) = look(scene).await;
    assert_eq!(seen, Ok(at));
}

#[then(expr = "the STUN server tells the operator nothing")]
async fn tells_nothing(scene: &mut Scene) {
    let (seen, _) = look(scene).await;
    assert!(seen.is_err(), "it says {seen:?}");
}

/// Where the operator is seen, and where it is.
async fn look(scene: &mut Scene) -> (Result<std::net::IpAddr, String>, std::net::IpAddr) {
    let ask = async |stage: &mut Stage| {
        let (server, operator) = (stage.stun().address(), stage.operator());
        let seen = stun::ask(&operator, server).await;
        (seen.map(|seen| seen.ip()).map_err(|error| error.to_string()), operator.address())
    };
    scene.world.play(ask).await
}

/// What the operator signs with, where it is not the right thing.
#[derive(Default)]
struct Key {
    secret: Option<String>,
    fast: Duration,
}

async fn ask(scene: &mut Scene, question: Question, key: Key) -> Page {
    let ask = async move |stage: &mut Stage| {
        let bucket = stage.bucket("bucket");
        let known = bucket.with(|bucket| bucket.credentials().clone());
        let credentials = Credentials { secret: key.secret.unwrap_or(known.secret), ..known };
        let (server, clock) = (bucket.address(), bucket.host().clock());
        let question = sign(question, server, &credentials, &clock, stage.now() + key.fast);
        stage.ask(server, question).await
    };
    let page = scene.world.play(ask).await;
    page.unwrap_or_else(|error| panic!("the bucket does not answer: {error}"))
}

fn between(text: &str, before: &str, after: &str) -> String {
    let (_, rest) = text.split_once(before).unwrap_or_default();
    rest.split(after).next().unwrap_or_default().to_owned()
}

async fn with<T: Send + 'static>(
    scene: &mut Scene,
    act: impl FnOnce(&Server<Bucket>) -> T + Send + 'static,
) -> T {
    scene.world.play(async move |stage: &mut Stage| act(&stage.bucket("bucket"))).await
}
