//! Reliable provisional responses (RFC 3262).

use super::*;
use crate::dialog::{Cause, Description};
use crate::sip::{Method, Name};

fn ring(rig: &mut Rig, b: SessionId, code: u16, description: Option<Vec<u8>>) {
    rig.act(BOB, |bob, now| bob.ring(b, status(code), description, true, Vec::new(), now));
}

#[test]
fn an_answer_in_183_is_acknowledged_and_left_out_of_the_200() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    ring(&mut rig, b, 183, Some(sdp("b")));
    rig.pass_millis(50);
    let Event::Provisional { description, .. } = rig.event(ALICE) else { panic!("no 183") };
    assert_eq!(description, Some(Description::Answer(sdp("b"))));
    assert_eq!((rig.count(ALICE, "PRACK"), rig.count(BOB, "183")), (1, 1));
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.pass_millis(50);
    assert!(matches!(rig.event(ALICE), Event::Answered { description: None, .. }));
    assert!(rig.response(BOB, 200, "INVITE").body().is_empty());
}

#[test]
fn the_200_waits_for_the_prack_of_a_description() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.lose(ALICE, "PRACK", 1);
    ring(&mut rig, b, 183, Some(sdp("b")));
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.pass_millis(400);
    assert_eq!(rig.count(BOB, "200"), 0);
    rig.pass_millis(400);
    assert_eq!(rig.count(BOB, "200"), 2, "one to PRACK, one to INVITE");
    rig.rest();
    assert!(matches!(rig.event(BOB), Event::Confirmed { .. }));
}

#[test]
fn a_second_one_waits_for_the_prack_of_the_first() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    ring(&mut rig, b, 180, None);
    ring(&mut rig, b, 182, None);
    assert_eq!((rig.count(BOB, "180"), rig.count(BOB, "182")), (1, 0));
    rig.pass_millis(50);
    assert_eq!(rig.count(BOB, "182"), 1);
    let rseq = |code| -> u32 {
        let response = rig.response(BOB, code, "INVITE");
        response.headers().get(Name::Rseq).unwrap().parse().unwrap()
    };
    assert_eq!(rseq(182), rseq(180) + 1);
    let rack = rig.request(ALICE, "PRACK").headers().get(Name::Rack).unwrap().to_owned();
    assert_eq!(rack, format!("{} 1 INVITE", rseq(182)));
}

#[test]
fn without_prack_the_call_is_given_up() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.lose(ALICE, "PRACK", 100);
    ring(&mut rig, b, 180, None);
    rig.pass_millis(33_000);
    assert_eq!(rig.count(BOB, "180"), 7, "T1 doubled without bound");
    assert!(matches!(rig.event(BOB), Event::Ended { cause: Cause::NoPrack, .. }));
    rig.event(ALICE);
    assert!(matches!(rig.event(ALICE), Event::Refused { status: StatusCode::SERVER_TIME_OUT, .. }));
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn an_offer_in_183_is_answered_in_prack() {
    let mut rig = Rig::new();
    let a = rig.calls(None);
    rig.pass_millis(20);
    let b = rig.incoming();
    ring(&mut rig, b, 183, Some(sdp("b")));
    rig.pass_millis(20);
    let Event::Provisional { description, .. } = rig.event(ALICE) else { panic!("no 183") };
    assert_eq!((description, rig.count(ALICE, "PRACK")), (Some(Description::Offer(sdp("b"))), 0));
    rig.act(ALICE, |alice, now| alice.answer(a, sdp("a"), now));
    rig.pass_millis(50);
    let Event::OfferAnswered { answer, .. } = rig.event(BOB) else { panic!("no answer in PRACK") };
    assert_eq!(answer, sdp("a"));
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.pass_millis(50);
    assert!(matches!(rig.event(ALICE), Event::Answered { description: None, .. }));
    assert!(matches!(rig.event(BOB), Event::Confirmed { answer: None, .. }));
}

#[test]
fn a_caller_that_knows_no_prack_gets_plain_responses() {
    let mut rig = Rig::alone();
    rig.bob_sends(&super::races::incoming("x"));
    let Event::Incoming { session, .. } = rig.event(ALICE) else { panic!("no call") };
    rig.act(ALICE, |alice, now| alice.ring(session, StatusCode::RINGING, None, true, Vec::new(), now));
    assert!(!rig.response(ALICE, 180, "INVITE").headers().has(Name::Rseq));
}

#[test]
fn a_copy_is_acknowledged_once_and_one_that_runs_ahead_not_at_all() {
    let mut rig = Rig::alone();
    rig.calls(Some(sdp("a")));
    let invite = rig.request(ALICE, "INVITE");
    let lines = |rseq| format!("Contact: <sip:bob@10.0.0.2>\nRequire: 100rel\nRSeq: {rseq}");
    for rseq in [7, 7, 9] {
        rig.bob_answers(&invite, 180, "b", &lines(rseq), b"");
    }
    assert_eq!(rig.count(ALICE, "PRACK"), 1);
    rig.event(ALICE);
    rig.assert_silent();
    rig.bob_answers(&invite, 180, "b", &lines(8), b"");
    assert_eq!(rig.count(ALICE, "PRACK"), 2);
    let prack = rig.request(ALICE, "PRACK");
    assert_eq!(prack.headers().get(Name::Rack), Some("8 1 INVITE"));
    assert_eq!((prack.uri(), prack.cseq().unwrap().number), ("sip:bob@10.0.0.2", 3));
}

#[test]
fn a_prack_that_matches_nothing_is_answered_481() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.bob_is_played = true;
    ring(&mut rig, b, 180, None);
    rig.pass_millis(20);
    let mut prack = rig.request(ALICE, "PRACK");
    rig.bob_is_played = false;
    prack.headers_mut().set(Name::Rack, "1 1 INVITE");
    let (message, now) = (Message::Request(prack), rig.now);
    rig.agents[BOB].receive(message, path("10.0.0.2:5060", "10.0.0.1:5060"), now);
    rig.act(BOB, |_, _| ());
    rig.response(BOB, 481, "PRACK");
}

/// RFC 3262 section 5: the first reliable response to an INVITE without offer makes one, so a plain 180 is not reliable.
#[test]
fn a_180_without_the_offer_it_owes_goes_unreliably() {
    let mut rig = Rig::new();
    rig.calls(None);
    rig.pass_millis(20);
    let b = rig.incoming();
    ring(&mut rig, b, 180, None);
    assert!(!rig.response(BOB, 180, "INVITE").headers().has(Name::Require));
}

#[test]
fn proxies_are_reminded_once_a_minute() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.act(BOB, |bob, now| bob.ring(b, StatusCode::RINGING, None, false, Vec::new(), now));
    rig.pass(Duration::from_secs(125));
    assert_eq!(rig.times(BOB, "180"), [20, 60_020, 120_020]);
}

#[test]
fn an_invite_may_expire() {
    let mut rig = Rig::new();
    let headers = vec![("Expires".to_owned(), "10".to_owned())];
    rig.act(ALICE, |alice, now| alice.invite(Invite { headers, ..invite() }, now));
    rig.pass_millis(9_000);
    rig.incoming();
    rig.pass_millis(1_100);
    assert!(matches!(rig.event(BOB), Event::Ended { cause: Cause::Cancel { reason: None }, .. }));
    assert!(matches!(rig.event(ALICE), Event::Refused { status: StatusCode::REQUEST_TERMINATED, .. }));
    assert_eq!(*rig.request(ALICE, "INVITE").method(), Method::Invite);
}
