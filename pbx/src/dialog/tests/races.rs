//! What is lost, late or crosses (RFC 3261 sections 9, 13.3.1.4, 15; RFC 5407).

use super::offers::{answered_by_hand, from_bob};
use super::*;
use crate::dialog::Cause;
use crate::sip::Method;

#[test]
fn a_lost_ack_is_sent_again_for_the_repeated_2xx() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.lose(ALICE, "ACK", 3);
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.pass_millis(20_000);
    let answered = rig.times(BOB, "200")[0];
    let pauses: Vec<u64> = rig.times(BOB, "200").iter().map(|at| at - answered).collect();
    assert_eq!(pauses, [0, 500, 1_500, 3_500], "T1 doubled, until the fourth ACK arrives");
    assert_eq!(rig.count(ALICE, "ACK"), 4);
    assert!(matches!(rig.event(BOB), Event::Confirmed { .. }));
    assert!(matches!(rig.event(ALICE), Event::Answered { .. }));
    rig.assert_silent();
}

#[test]
fn a_2xx_that_nobody_acknowledges_is_followed_by_bye() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.lose(ALICE, "ACK", 100);
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.pass_millis(31_900);
    assert_eq!(rig.count(BOB, "200"), 11, "T1 doubled up to T2");
    assert_eq!(rig.count(BOB, "BYE"), 0);
    rig.pass_millis(200);
    assert!(matches!(rig.event(BOB), Event::Ended { cause: Cause::NoAck, .. }));
    rig.event(ALICE);
    assert!(matches!(rig.event(ALICE), Event::Ended { cause: Cause::Bye { .. }, .. }));
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn a_lost_2xx_is_repeated() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.lose(BOB, "200", 2);
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.pass_millis(5_000);
    assert!(matches!(rig.event(ALICE), Event::Answered { .. }));
    assert!(matches!(rig.event(BOB), Event::Confirmed { .. }));
    assert_eq!((rig.count(BOB, "200"), rig.count(ALICE, "ACK")), (3, 1));
    rig.assert_silent();
}

/// The caller has heard of no dialog yet, as nothing but our 2xx would tell of it: that is still repeated, and then there is a
/// BYE (RFC 3261 section 13.3.1.4).
#[test]
fn a_481_before_the_ack_does_not_take_the_2xx_away() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.lose(BOB, "200", 2);
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.act(BOB, |bob, now| bob.request_within(b, Method::Info, Vec::new(), None, now));
    rig.pass_millis(1_000);
    rig.event(BOB);
    assert!(matches!(rig.event(BOB), Event::Ended { cause: Cause::Lost, .. }));
    rig.pass_millis(1_000);
    assert!(matches!(rig.event(ALICE), Event::Answered { .. }));
    assert!(matches!(rig.event(ALICE), Event::Ended { cause: Cause::Bye { .. }, .. }));
    assert_eq!((rig.count(BOB, "200"), rig.count(BOB, "BYE")), (3, 1));
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn byes_that_cross_end_both_sides() {
    let mut rig = Rig::new();
    let (a, b) = rig.talking();
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.act(BOB, |bob, now| bob.hang_up(b, None, now));
    rig.rest();
    assert_eq!((rig.count(ALICE, "200"), rig.count(BOB, "200")), (1, 2), "each BYE is answered 200");
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut rig = Rig::new();
    let a = rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.act(BOB, |bob, now| bob.ring(b, StatusCode::RINGING, None, false, Vec::new(), now));
    rig.pass_millis(20);
    rig.event(ALICE);
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.rest();
    assert_eq!((rig.count(ALICE, "CANCEL"), rig.count(ALICE, "ACK"), rig.count(ALICE, "BYE")), (1, 1, 1));
    assert!(matches!(rig.event(BOB), Event::Confirmed { .. }));
    assert!(matches!(rig.event(BOB), Event::Ended { cause: Cause::Bye { .. }, .. }));
    rig.assert_silent();
    rig.assert_idle();
}

/// RFC 3261 section 15: the callee says BYE only after the ACK to its 2xx.
#[test]
fn the_callee_waits_for_the_ack_before_it_says_bye() {
    let mut rig = Rig::new();
    rig.calls(Some(sdp("a")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.lose(ALICE, "ACK", 1);
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b"), Vec::new(), now));
    rig.act(BOB, |bob, now| bob.hang_up(b, None, now));
    rig.pass_millis(400);
    assert_eq!(rig.count(BOB, "BYE"), 0);
    rig.pass_millis(400);
    assert_eq!(rig.count(BOB, "BYE"), 1);
    rig.rest();
    assert_eq!(rig.events[BOB].len(), 0, "bob hung up and hears nothing more");
    rig.assert_idle();
}

/// The same rule when it is not us who end it.
#[test]
fn a_session_that_is_lost_before_the_ack_is_not_ended_by_bye_at_once() {
    let mut rig = Rig::alone();
    rig.bob_sends(
        &incoming("x").replace(
            "Content-Length: 0\r\n\r\n",
            "Content-Type: application/sdp\r\nContent-Length: 1\r\n\r\nb",
        ),
    );
    let Event::Incoming { session, .. } = rig.event(ALICE) else { panic!("no call") };
    rig.act(ALICE, |alice, now| alice.accept(session, sdp("a"), Vec::new(), now));
    rig.act(ALICE, |alice, now| {
        alice.request_within(session, crate::sip::Method::Info, Vec::new(), None, now)
    });
    let info = rig.request(ALICE, "INFO");
    rig.bob_answers(&info, 408, "", "", b"");
    rig.event(ALICE);
    assert!(matches!(rig.event(ALICE), Event::Ended { cause: Cause::Lost, .. }));
    rig.pass_millis(31_900);
    assert_eq!(rig.count(ALICE, "BYE"), 0);
    rig.pass_millis(200);
    assert_eq!(rig.count(ALICE, "BYE"), 1);
}

/// RFC 5407 section 3.1.4.
#[test]
fn a_change_tells_that_the_2xx_arrived_though_its_ack_was_lost() {
    let mut rig = Rig::new();
    let a = rig.calls(Some(sdp("a1")));
    rig.pass_millis(20);
    let b = rig.incoming();
    rig.lose(ALICE, "ACK", 1);
    rig.act(BOB, |bob, now| bob.accept(b, sdp("b1"), Vec::new(), now));
    rig.pass_millis(20);
    rig.event(ALICE);
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(BOB), Event::Confirmed { answer: None, .. }));
    assert!(matches!(rig.event(BOB), Event::Offered { .. }));
    rig.act(BOB, |bob, now| bob.answer(b, sdp("b2"), now));
    rig.pass_millis(5_000);
    assert!(matches!(rig.event(ALICE), Event::OfferAnswered { .. }));
    rig.assert_silent();
}

#[test]
fn a_bye_ends_a_change_that_is_not_answered_yet() {
    let mut rig = Rig::new();
    let (a, _) = rig.talking();
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(BOB), Event::Offered { .. }));
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(BOB), Event::Ended { cause: Cause::Bye { .. }, .. }));
    rig.response(BOB, 487, "INVITE");
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn a_caller_may_end_a_ringing_call_by_bye() {
    let mut rig = Rig::alone();
    rig.bob_sends(&incoming("x"));
    let Event::Incoming { session, .. } = rig.event(ALICE) else { panic!("no call") };
    rig.act(ALICE, |alice, now| alice.ring(session, StatusCode::RINGING, None, false, Vec::new(), now));
    let ringing = rig.response(ALICE, 180, "INVITE");
    let to = ringing.headers().get(crate::sip::Name::To).unwrap();
    let bye = incoming("x")
        .replace("INVITE", "BYE")
        .replace("CSeq: 1", "CSeq: 2")
        .replace("To: <sip:alice@10.0.0.1>", &format!("To: {to}"))
        .replace("z9hG4bKx", "z9hG4bKbye");
    rig.bob_sends(&bye);
    rig.response(ALICE, 200, "BYE");
    rig.response(ALICE, 487, "INVITE");
    assert!(matches!(rig.event(ALICE), Event::Ended { cause: Cause::Bye { .. }, .. }));
}

#[test]
fn after_bye_there_is_no_dialog() {
    let mut rig = Rig::alone();
    let (a, ack) = answered_by_hand(&mut rig);
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.bob_sends(&from_bob(&ack, "INFO", 1, b""));
    rig.response(ALICE, 481, "INFO");
    rig.bob_sends(&from_bob(&ack, "INVITE", 2, &sdp("b2")));
    rig.response(ALICE, 481, "INVITE");
    rig.assert_silent();
}

#[test]
fn a_request_with_a_lower_number_is_out_of_order() {
    let mut rig = Rig::alone();
    let (_, ack) = answered_by_hand(&mut rig);
    rig.bob_sends(&from_bob(&ack, "INFO", 5, b""));
    assert!(matches!(rig.event(ALICE), Event::Request { .. }));
    rig.bob_sends(&from_bob(&ack, "INFO", 4, b""));
    rig.response(ALICE, 500, "INFO");
    rig.assert_silent();
}

#[test]
fn a_request_of_a_dialog_nobody_knows_is_answered_481_and_an_ack_is_dropped() {
    let mut rig = Rig::alone();
    let (_, ack) = answered_by_hand(&mut rig);
    for (tag, method, cseq) in [("tag=x", "INFO", 1), ("tag=x", "BYE", 2), ("tag=x", "ACK", 3)] {
        let from = ack.headers().get(crate::sip::Name::To).unwrap();
        let text = from_bob(&ack, method, cseq, b"");
        // As from another fork: our tag, but not theirs.
        rig.bob_sends(&text.replace(&format!("From: {from}"), &format!("From: <sip:bob@10.0.0.2>;{tag}")));
    }
    rig.response(ALICE, 481, "INFO");
    rig.response(ALICE, 481, "BYE");
    assert_eq!(rig.count(ALICE, "481"), 2);
    rig.assert_silent();
}

#[test]
fn an_invite_is_answered_once_however_often_it_comes() {
    let mut rig = Rig::alone();
    for _ in 0..3 {
        rig.bob_sends(&incoming("x"));
    }
    assert!(matches!(rig.event(ALICE), Event::Incoming { .. }));
    rig.assert_silent();
}

/// An INVITE of bob's, written by hand.
pub(super) fn incoming(branch: &str) -> String {
    format!(
        "INVITE sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@10.0.0.2>;tag=bt\r\nTo: <sip:alice@10.0.0.1>\r\n\
         Call-ID: {branch}\r\nCSeq: 1 INVITE\r\nContact: <sip:bob@10.0.0.2>\r\nContent-Length: 0\r\n\r\n"
    )
}
