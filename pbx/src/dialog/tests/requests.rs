//! Requests that are neither INVITE nor its relatives, within sessions and outside, and what is refused before anybody asks.

use super::offers::{answered_by_hand, from_bob};
use super::*;
use crate::dialog::{Body, Outgoing, Reply};
use crate::sip::{ConnectionId, Method, Name};

fn outgoing(method: Method) -> Outgoing {
    Outgoing {
        method,
        uri: "sip:bob@10.0.0.2".into(),
        to: "<sip:bob@10.0.0.2>".into(),
        from: "<sip:alice@10.0.0.1>".into(),
        path: path("10.0.0.1:5060", "10.0.0.2:5060"),
        headers: Vec::new(),
        body: None,
        credentials: None,
    }
}

#[test]
fn a_request_outside_sessions_is_answered() {
    let mut rig = Rig::new();
    let asked = rig.act(ALICE, |alice, now| alice.request(outgoing(Method::Options), now));
    rig.pass_millis(20);
    let Event::Request { id, session: None, request, .. } = rig.event(BOB) else { panic!("no request") };
    assert_eq!(*request.method(), Method::Options);
    rig.act(BOB, |bob, now| bob.reply(id, Reply::new(StatusCode::OK), now));
    rig.pass_millis(20);
    let Event::Response { id, session: None, response: Ok(response) } = rig.event(ALICE) else {
        panic!("no response")
    };
    assert_eq!(id, asked);
    assert!(response.lists(Name::Allow, "INVITE") && response.headers().has(Name::Accept));
    assert!(response.to_header().unwrap().tag().is_some());
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn a_request_that_nobody_answers_is_a_408_of_our_own() {
    let mut rig = Rig::alone();
    rig.act(ALICE, |alice, now| alice.request(outgoing(Method::Message), now));
    rig.rest();
    assert!(matches!(rig.event(ALICE), Event::Response { response: Err(StatusCode::REQUEST_TIMEOUT), .. }));
    rig.assert_idle();
}

#[test]
fn a_challenged_request_is_sent_again_with_credentials() {
    let mut rig = Rig::alone();
    let credentials = Some(("alice".to_owned(), "secret".to_owned()));
    rig.act(ALICE, |alice, now| {
        alice.request(Outgoing { credentials, ..outgoing(Method::Message) }, now);
    });
    let first = rig.request(ALICE, "MESSAGE");
    rig.bob_answers(&first, 407, "b", "Proxy-Authenticate: Digest realm=\"bob\", nonce=\"1\"", b"");
    let second = rig.request(ALICE, "MESSAGE");
    assert!(second.headers().has(Name::ProxyAuthorization));
    assert_eq!((second.cseq().unwrap().number, second.call_id()), (2, first.call_id()));
    rig.bob_answers(&second, 407, "b", "Proxy-Authenticate: Digest realm=\"bob\", nonce=\"2\"", b"");
    assert!(matches!(rig.event(ALICE), Event::Response { .. }));
}

#[test]
fn what_is_said_within_a_session_goes_out_one_after_the_other() {
    let mut rig = Rig::alone();
    let (session, _) = answered_by_hand(&mut rig);
    let keys = ["1", "2", "3"].map(|key| Body { content_type: "application/dtmf".into(), bytes: key.into() });
    rig.act(ALICE, |alice, now| {
        keys.map(|key| alice.request_within(session, Method::Info, Vec::new(), Some(key), now))
    });
    for key in ["1", "2", "3"] {
        let info = rig.request(ALICE, "INFO");
        assert_eq!(info.body(), key.as_bytes());
        rig.bob_answers(&info, 200, "b", "", b"");
    }
    assert_eq!(rig.count(ALICE, "INFO"), 3);
}

#[test]
fn a_register_that_refreshes_counts_on() {
    let mut rig = Rig::alone();
    let headers = vec![
        ("Call-ID".to_owned(), "mine".to_owned()),
        ("CSeq".to_owned(), "8".to_owned()),
        ("Contact".to_owned(), "<sip:trunk@10.0.0.1>".to_owned()),
    ];
    rig.act(ALICE, |alice, now| alice.request(Outgoing { headers, ..outgoing(Method::Register) }, now));
    let register = rig.request(ALICE, "REGISTER");
    assert_eq!((register.call_id(), register.cseq().unwrap().number), ("mine", 8));
    assert_eq!(register.headers().get(Name::Contact), Some("<sip:trunk@10.0.0.1>"));
    assert_eq!((register.headers().count(Name::CallId), register.headers().count(Name::CSeq)), (1, 1));
}

#[test]
fn info_travels_within_a_session() {
    let mut rig = Rig::new();
    let (a, b) = rig.talking();
    let body = Body { content_type: "application/dtmf-relay".into(), bytes: b"Signal=1".to_vec() };
    let asked =
        rig.act(ALICE, |alice, now| alice.request_within(a, Method::Info, Vec::new(), Some(body), now));
    rig.pass_millis(20);
    let Event::Request { id, session, request, .. } = rig.event(BOB) else { panic!("no INFO") };
    assert_eq!((session, request.body()), (Some(b), &b"Signal=1"[..]));
    rig.act(BOB, |bob, now| bob.reply(id, Reply::new(StatusCode::OK), now));
    rig.pass_millis(20);
    let Event::Response { id, session, response: Ok(_) } = rig.event(ALICE) else { panic!("no response") };
    assert_eq!((id, session), (asked, Some(a)));
}

#[test]
fn a_request_without_a_dialog_is_a_481_of_our_own() {
    let mut rig = Rig::alone();
    let a = rig.calls(None);
    rig.act(ALICE, |alice, now| alice.request_within(a, Method::Info, Vec::new(), None, now));
    assert!(matches!(
        rig.event(ALICE),
        Event::Response { response: Err(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST), .. }
    ));
}

#[test]
fn a_request_that_is_not_answered_when_the_session_ends_gets_487() {
    let mut rig = Rig::alone();
    let (_, ack) = answered_by_hand(&mut rig);
    rig.bob_sends(&from_bob(&ack, "INFO", 1, b""));
    let Event::Request { id, .. } = rig.event(ALICE) else { panic!("no INFO") };
    rig.bob_sends(&from_bob(&ack, "BYE", 2, b""));
    rig.response(ALICE, 487, "INFO");
    rig.act(ALICE, |alice, now| alice.reply(id, Reply::new(StatusCode::OK), now));
    assert_eq!(rig.count(ALICE, "200"), 1, "only BYE is answered 200");
}

#[test]
fn what_we_do_not_speak_is_refused() {
    let mut rig = Rig::alone();
    let incoming = super::races::incoming;
    rig.bob_sends(&incoming("m").replace("INVITE", "DANCE"));
    assert!(rig.response(ALICE, 501, "DANCE").headers().has(Name::Allow));
    rig.bob_sends(&incoming("r").replace("Max-Forwards", "Require: outbound, 100rel\r\nMax-Forwards"));
    assert_eq!(rig.response(ALICE, 420, "INVITE").headers().get(Name::Unsupported), Some("outbound"));
    rig.bob_sends(&incoming("h").replace("Max-Forwards: 70", "Max-Forwards: 0"));
    rig.response(ALICE, 483, "INVITE");
    rig.bob_sends(&incoming("u").replace("INVITE sip:alice@10.0.0.1", "INVITE http://10.0.0.1/"));
    rig.response(ALICE, 416, "INVITE");
    rig.bob_sends(
        &incoming("b")
            .replace("Content-Length: 0\r\n\r\n", "Content-Type: text/html\r\nContent-Length: 1\r\n\r\nx"),
    );
    assert_eq!(rig.response(ALICE, 415, "INVITE").headers().get(Name::Accept), Some("application/sdp"));
    for method in ["INFO", "BYE", "UPDATE", "PRACK"] {
        rig.bob_sends(&incoming(method).replace("INVITE", method));
        rig.response(ALICE, 481, method);
    }
    rig.assert_silent();
}

#[test]
fn more_sessions_than_we_bear_are_refused() {
    let mut rig = Rig::with(Settings { max_transactions: 3, ..settings() }, settings());
    rig.bob_is_played = true;
    for number in 0..10 {
        rig.bob_sends(&super::races::incoming(&number.to_string()));
    }
    assert_eq!(rig.events[ALICE].len(), 3);
    assert_eq!(rig.count(ALICE, "503"), 7);
}

#[test]
fn a_telephone_behind_a_nat_is_answered_where_it_is() {
    let mut rig = Rig::alone();
    let invite = super::races::incoming("n")
        .replace("<sip:bob@10.0.0.2>\r\nContent", "<sip:bob@192.168.1.7>\r\nContent");
    rig.bob_sends(&invite);
    let Event::Incoming { session, .. } = rig.event(ALICE) else { panic!("no call") };
    rig.act(ALICE, |alice, now| alice.accept(session, sdp("a"), Vec::new(), now));
    let ok = rig.response(ALICE, 200, "INVITE");
    let to = ok.headers().get(Name::To).unwrap();
    let ack = invite
        .replace("INVITE", "ACK")
        .replace("To: <sip:alice@10.0.0.1>", &format!("To: {to}"))
        .replace("z9hG4bKn", "z9hG4bKack")
        .replace("Content-Length: 0\r\n\r\n", "Content-Type: application/sdp\r\nContent-Length: 1\r\n\r\nb");
    rig.bob_sends(&ack);
    assert!(matches!(rig.event(ALICE), Event::Confirmed { answer: Some(_), .. }));
    rig.act(ALICE, |alice, now| alice.hang_up(session, None, now));
    assert_eq!(rig.request(ALICE, "BYE").uri(), "sip:bob@192.168.1.7");
    assert_eq!(rig.paths.last().unwrap().remote.to_string(), "10.0.0.2:5060");
}

/// Somebody has called by a connection and was answered.
fn answered_over_stream() -> (Rig, SessionId, Path) {
    let mut rig = Rig::alone();
    let mut stream = path("10.0.0.1:5060", "10.0.0.2:40000");
    stream.transport = Transport::Tcp;
    stream.connection = Some(ConnectionId(7));
    let invite = super::races::incoming("t")
        .replace("/UDP", "/TCP")
        .replace("<sip:bob@10.0.0.2>\r\nContent", "<sip:bob@10.0.0.2;transport=tcp>\r\nContent");
    let now = rig.now;
    rig.agents[ALICE].receive(Message::Request(parse_request(&invite)), stream, now);
    rig.act(ALICE, |_, _| ());
    let Event::Incoming { session, .. } = rig.event(ALICE) else { panic!("no call") };
    rig.act(ALICE, |alice, now| alice.accept(session, sdp("a"), Vec::new(), now));
    assert_eq!(rig.paths.last().unwrap().connection, Some(ConnectionId(7)));
    (rig, session, stream)
}

#[test]
fn a_bye_takes_another_way_when_the_stream_of_a_call_is_gone() {
    let (mut rig, session, stream) = answered_over_stream();
    rig.act(ALICE, |alice, now| alice.path_failed(stream, now));
    rig.act(ALICE, |alice, now| alice.hang_up(session, None, now));
    rig.pass_millis(33_000);
    assert!(rig.count(ALICE, "BYE") > 0);
    let last = rig.paths.last().unwrap();
    assert_eq!((last.remote.to_string(), last.connection), ("10.0.0.2:5060".to_owned(), None));
}

#[test]
fn a_bye_whose_connection_breaks_goes_out_by_another_once() {
    let (mut rig, session, stream) = answered_over_stream();
    rig.act(ALICE, |alice, now| alice.hang_up(session, None, now));
    rig.pass_millis(32_100);
    assert_eq!((rig.count(ALICE, "BYE"), rig.paths.last().unwrap().connection), (1, Some(ConnectionId(7))));
    rig.act(ALICE, |alice, now| alice.path_failed(stream, now));
    let another = *rig.paths.last().unwrap();
    assert_eq!((rig.count(ALICE, "BYE"), another.connection), (2, None));
    rig.act(ALICE, |alice, now| alice.path_failed(another, now));
    assert_eq!(rig.count(ALICE, "BYE"), 2);
    rig.assert_idle();
}
