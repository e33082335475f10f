//! Machines as a library, where a sentence would say less than a test.

use pbx::sip::Transport;
use pbx::time::Duration;
use serde_json::json;
use simulator::agents::application::State;
use simulator::agents::http::{Fault, Reply, Script, Server};
use simulator::phone::{Habits, Line, Phone};
use simulator::web::{self, Question};
use simulator::world::play;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_script_answers_in_its_order_and_its_last_line_stays() {
    let answers = play(7, async |stage| {
        let busy = Reply::status(503).with("retry-after", 1);
        let script =
            Script::new().on("GET", "/page", busy).on("GET", "/page", Reply::json(&json!({ "is": "there" })));
        let server = Server::start(stage.host("server"), 80, script);
        let operator = stage.operator();
        let mut answers = Vec::new();
        for path in ["/page", "/page?again", "/page", "/other"] {
            let page = web::get(&operator, server.address(), path).await.expect("an answer");
            answers.push((page.status, page.text()));
        }
        answers
    });
    let there = (200, r#"{"is":"there"}"#.to_owned());
    assert_eq!(answers, [(503, String::new()), there.clone(), there, (404, String::new())]);
}

#[test]
fn an_answer_in_slow_pieces_takes_its_time_and_is_whole() {
    play(7, async |stage| {
        let provider = stage.provider("provider");
        provider.misbehave(Fault::IsSlow, None);
        let began = stage.now();
        let end = Question::new("POST", "/ivr/step/end").json(&json!({ "reason": "normal" }));
        let page = stage.ask(provider.address(), end).await.expect("an answer");
        assert_eq!(page.text(), r#"{"status":"ok"}"#);
        assert!(stage.now().since(began) >= Duration::from_millis(1_400), "{:?}", stage.now());
    });
}

#[test]
fn the_date_of_an_answer_is_that_of_the_world() {
    play(7, async |stage| {
        let sink = stage.sink("sink");
        stage.pass(4 * SECOND).await;
        let page = stage.ask(sink.address(), Question::new("POST", "/")).await.expect("an answer");
        assert_eq!(page.header("date"), Some("Thu, 01 Jan 2026 00:00:04 GMT"));
    });
}

#[test]
fn one_seed_gives_one_key_and_one_mask() {
    let bytes = |seed| {
        play(seed, async |stage| {
            let (exchange, application) = (stage.exchange("exchange"), stage.application("application"));
            application.connect(exchange.address(), None);
            stage.pass(SECOND).await;
            assert_eq!(application.state(), State::Connected);
            application.command("call.answer", &json!({ "call_id": "a" }));
            stage.pass(SECOND).await;
            stage.trace().packets().iter().flat_map(|packet| packet.bytes.to_vec()).collect::<Vec<u8>>()
        })
    };
    let (one, same, other) = (bytes(1), bytes(1), bytes(2));
    assert!(!one.is_empty());
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn a_trunk_knows_who_has_registered_with_its_password() {
    play(7, async |stage| {
        let trunk = stage.trunk("north");
        let known = ("office".to_owned(), "secret".to_owned());
        trunk.habits(|habits| habits.credentials = Some(known));
        let line = Line {
            user: "office".to_owned(),
            password: "guess".to_owned(),
            domain: "trunk.example".to_owned(),
            pbx: trunk.address(),
            transport: Transport::Udp,
            expires: Duration::from_secs(600),
        };
        let office = Phone::new(stage.host("office"), line, Habits::default());
        office.register();
        stage.pass(SECOND).await;
        assert!(!office.is_registered() && trunk.registrations().is_empty());
        office.register_with("secret");
        stage.pass(SECOND).await;
        assert!(office.is_registered());
        assert_eq!(trunk.registrations().last().map(|(who, _)| who.as_str()), Some("office"));
        assert_eq!(trunk.complaints(), [""; 0]);
    });
}

#[test]
fn a_crash_ends_what_a_machine_does() {
    play(7, async |stage| {
        let (exchange, application) = (stage.exchange("exchange"), stage.application("application"));
        exchange.script(|script| script.says = vec![(5 * SECOND, json!({ "event": "late" }))]);
        application.connect(exchange.address(), None);
        stage.pass(SECOND).await;
        stage.network.crash(exchange.address().ip());
        stage.pass(10 * SECOND).await;
        // Nobody is told: the application waits in vain.
        assert_eq!(application.state(), State::Connected);
        assert_eq!(application.events(), []);
    });
}
