//! Plain calls: ring, answer, refuse, cancel, hang up.

use super::*;
use crate::dialog::{Cause, Description, Reply};
use crate::sip::Name;

#[test]
fn a_call_is_rung_answered_and_ended_by_the_callee() {
    let mut rig = Rig::new();
    let a = rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let Event::Incoming { session: b, offer, .. } = rig.event(BOB) else { panic!("no call") };
    assert_eq!(offer, Some(sdp("a")));

    rig.act(BOB, |bob, now| bob.ring(b, StatusCode::RINGING, None, false, Vec::new(), now));
    rig.pass_millis(20);
    let Event::Provisional { response, description: None, .. } = rig.event(ALICE) else { panic!("no 180") };
    assert_eq!(response.status(), StatusCode::RINGING);
    assert!(response.to_header().unwrap().tag().is_some());

    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.pass_millis(50);
    let Event::Answered { session, response, description } = rig.event(ALICE) else { panic!("no answer") };
    assert_eq!((session, description), (a, Some(Description::Answer(sdp("b")))));
    assert_eq!(response.headers().count(Name::Contact), 1);
    assert!(matches!(rig.event(BOB), Event::Confirmed { answer: None, .. }));
    assert_eq!(rig.count(ALICE, "ACK"), 1);

    rig.act(BOB, |bob, now| bob.hang_up(b, Some("Q.850;cause=16".into()), now));
    rig.pass_millis(50);
    let Event::Ended { cause: Cause::Bye { reason }, .. } = rig.event(ALICE) else { panic!("no BYE") };
    assert_eq!(reason.as_deref(), Some("Q.850;cause=16"));
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn the_caller_hangs_up() {
    let mut rig = Rig::new();
    let (a, _) = rig.talking();
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.pass_millis(50);
    assert!(matches!(rig.event(BOB), Event::Ended { cause: Cause::Bye { reason: None }, .. }));
    let bye = rig.request(ALICE, "BYE");
    assert_eq!(bye.cseq().unwrap().number, rig.request(ALICE, "INVITE").cseq().unwrap().number + 1);
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn a_refusal_is_handed_up() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    let reply = Reply { reason: Some("Not today".into()), ..Reply::new(StatusCode::BUSY_HERE) };
    rig.act(BOB, |bob, now| bob.reject(b, reply, now));
    rig.pass_millis(20);
    let Event::Refused { status, response: Some(response), .. } = rig.event(ALICE) else {
        panic!("not refused")
    };
    assert_eq!((status, response.reason()), (StatusCode::BUSY_HERE, "Not today"));
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn a_cancelled_call_stops_ringing() {
    let mut rig = Rig::new();
    let a = rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.act(BOB, |bob, now| bob.ring(b, StatusCode::RINGING, None, false, Vec::new(), now));
    rig.pass_millis(20);
    rig.event(ALICE);
    rig.act(ALICE, |alice, now| alice.hang_up(a, Some("SIP;cause=200".into()), now));
    rig.pass_millis(50);
    let Event::Ended { cause: Cause::Cancel { reason }, .. } = rig.event(BOB) else {
        panic!("not cancelled")
    };
    assert_eq!(reason.as_deref(), Some("SIP;cause=200"));
    assert_eq!((rig.count(BOB, "487"), rig.count(ALICE, "CANCEL"), rig.count(ALICE, "BYE")), (1, 1, 0));
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut rig = Rig::alone();
    let a = rig.calls(Some(sdp("a")));
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.pass_millis(600);
    assert_eq!(rig.count(ALICE, "CANCEL"), 0);
    let invite = rig.request(ALICE, "INVITE");
    rig.bob_answers(&invite, 100, "", "", b"");
    assert_eq!(rig.count(ALICE, "CANCEL"), 1);
    let cancel = rig.request(ALICE, "CANCEL");
    rig.bob_answers(&cancel, 200, "b", "", b"");
    rig.bob_answers(&invite, 487, "b", "", b"");
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn what_is_not_answered_is_refused_when_we_hang_up() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.act(BOB, |bob, now| bob.hang_up(b, None, now));
    rig.pass_millis(20);
    assert!(
        matches!(rig.event(ALICE), Event::Refused { status: StatusCode::TEMPORARILY_UNAVAILABLE, .. }),
        "bob hangs up before he answers"
    );
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn nobody_answers_at_all() {
    let mut rig = Rig::alone();
    rig.calls(Some(sdp("a")));
    rig.rest();
    assert_eq!(rig.count(ALICE, "INVITE"), 7);
    assert!(matches!(
        rig.event(ALICE),
        Event::Refused { status: StatusCode::REQUEST_TIMEOUT, response: None, .. }
    ));
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn a_try_is_given_up_when_nothing_comes_in_its_time() {
    let mut rig = Rig::alone();
    let try_timeout = Some(Duration::from_secs(3));
    rig.act(ALICE, |alice, now| alice.invite(Invite { try_timeout, ..invite() }, now));
    rig.pass_millis(2_990);
    rig.assert_silent();
    rig.pass_millis(20);
    assert!(matches!(
        rig.event(ALICE),
        Event::Refused { status: StatusCode::REQUEST_TIMEOUT, response: None, .. }
    ));
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn the_offer_may_come_in_the_2xx_and_the_answer_in_ack() {
    let mut rig = Rig::new();
    let a = rig.calls(None);
    rig.pass_millis(20);
    let Event::Incoming { session: b, offer: None, .. } = rig.event(BOB) else { panic!("no call") };
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.pass_millis(20);
    let Event::Answered { description: Some(Description::Offer(offer)), .. } = rig.event(ALICE) else {
        panic!("no offer")
    };
    assert_eq!((offer, rig.count(ALICE, "ACK")), (sdp("b"), 0));
    rig.act(ALICE, |alice, now| alice.answer(a, sdp("a"), now));
    rig.pass_millis(20);
    let Event::Confirmed { answer, .. } = rig.event(BOB) else { panic!("no ACK") };
    assert_eq!(answer, Some(sdp("a")));
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.rest();
    rig.assert_idle();
}

#[test]
fn an_offer_in_the_2xx_that_nobody_wants_is_acknowledged_and_ended() {
    let mut rig = Rig::new();
    let a = rig.calls(None);
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.pass_millis(20);
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.pass_millis(20);
    assert_eq!((rig.count(ALICE, "ACK"), rig.count(ALICE, "BYE")), (1, 1));
    rig.rest();
    rig.assert_idle();
}

#[test]
fn a_2xx_without_an_answer_ends_the_call() {
    let mut rig = Rig::alone();
    rig.calls(Some(sdp("a")));
    let invite = rig.request(ALICE, "INVITE");
    rig.bob_answers(&invite, 200, "b", "Contact: <sip:bob@10.0.0.2>", b"");
    assert!(matches!(rig.event(ALICE), Event::Ended { cause: Cause::PeerMisbehaved(_), .. }));
    assert_eq!((rig.count(ALICE, "ACK"), rig.count(ALICE, "BYE")), (1, 1));
    rig.rest();
    rig.assert_idle();
}

#[test]
fn an_answer_that_came_in_183_alone_is_taken() {
    let mut rig = Rig::alone();
    rig.calls(Some(sdp("a")));
    let invite = rig.request(ALICE, "INVITE");
    rig.bob_answers(&invite, 183, "b", "Contact: <sip:bob@10.0.0.2>", &sdp("b"));
    rig.event(ALICE);
    rig.bob_answers(&invite, 200, "b", "Contact: <sip:bob@10.0.0.2>", b"");
    let Event::Answered { description, .. } = rig.event(ALICE) else { panic!("not answered") };
    assert_eq!(description, Some(Description::Answer(sdp("b"))));
}

#[test]
fn a_challenge_is_answered_once() {
    let mut rig = Rig::alone();
    let credentials = Some(("alice".to_owned(), "secret".to_owned()));
    rig.act(ALICE, |alice, now| alice.invite(Invite { credentials, offer: Some(sdp("a")), ..invite() }, now));
    let first = rig.request(ALICE, "INVITE");
    let challenge = "WWW-Authenticate: Digest realm=\"bob\", nonce=\"n1\", qop=\"auth\"";
    rig.bob_answers(&first, 401, "b", challenge, b"");
    let second = rig.request(ALICE, "INVITE");
    assert!(
        second.headers().get(Name::Authorization).is_some_and(|line| line.contains("username=\"alice\""))
    );
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    assert_eq!(second.body(), first.body());
    rig.bob_answers(&second, 200, "b", "Contact: <sip:bob@10.0.0.2>", &sdp("b"));
    assert!(matches!(rig.event(ALICE), Event::Answered { .. }));
    assert!(rig.request(ALICE, "ACK").headers().has(Name::Authorization), "ACK carries the credentials too");
}

#[test]
fn a_wrong_password_is_not_told_twice() {
    let mut rig = Rig::alone();
    let credentials = Some(("alice".to_owned(), "wrong".to_owned()));
    rig.act(ALICE, |alice, now| alice.invite(Invite { credentials, ..invite() }, now));
    for _ in 0..2 {
        let invite = rig.request(ALICE, "INVITE");
        rig.bob_answers(&invite, 401, "b", "WWW-Authenticate: Digest realm=\"bob\", nonce=\"n1\"", b"");
    }
    assert_eq!(rig.count(ALICE, "INVITE"), 2);
    assert!(matches!(rig.event(ALICE), Event::Refused { status: StatusCode::UNAUTHORIZED, .. }));
    rig.rest();
    rig.assert_idle();
}
