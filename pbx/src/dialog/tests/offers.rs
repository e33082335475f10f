//! Changing a session: re-INVITE and UPDATE, one offer at a time (RFC 3261 section 14, RFC 3311, RFC 6337 section 4).

use super::*;
use crate::dialog::{Cause, Description};
use crate::sip::Name;

#[test]
fn a_change_is_offered_and_answered() {
    let mut rig = Rig::new();
    let (a, b) = rig.talking();
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    rig.pass_millis(20);
    let Event::Offered { session, offer } = rig.event(BOB) else { panic!("no offer") };
    assert_eq!((session, offer), (b, Some(sdp("a2"))));
    rig.act(BOB, |bob, now| bob.answer(b, sdp("b2"), now));
    rig.pass_millis(50);
    let Event::OfferAnswered { answer, .. } = rig.event(ALICE) else { panic!("no answer") };
    assert_eq!(answer, sdp("b2"));
    assert_eq!((rig.count(ALICE, "INVITE"), rig.count(ALICE, "ACK")), (2, 2));
    assert_eq!(rig.request(ALICE, "ACK").cseq().unwrap().number, 2);
    rig.rest();
    rig.assert_silent();
}

#[test]
fn a_refused_change_leaves_the_session_as_it_was() {
    let mut rig = Rig::new();
    let (a, b) = rig.talking();
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    rig.pass_millis(20);
    rig.event(BOB);
    rig.act(BOB, |bob, now| bob.refuse_offer(b, StatusCode::NOT_ACCEPTABLE_HERE, now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(ALICE), Event::OfferRefused { status: StatusCode::NOT_ACCEPTABLE_HERE, .. }));

    rig.act(BOB, |bob, now| bob.offer(b, Some(sdp("b3")), now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(ALICE), Event::Offered { .. }));
    rig.act(ALICE, |alice, now| alice.answer(a, sdp("a3"), now));
    rig.pass_millis(50);
    assert!(matches!(rig.event(BOB), Event::OfferAnswered { .. }));
    rig.assert_silent();
}

#[test]
fn the_other_side_can_be_asked_for_an_offer() {
    let mut rig = Rig::new();
    let (a, b) = rig.talking();
    rig.act(ALICE, |alice, now| alice.offer(a, None, now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(BOB), Event::Offered { offer: None, .. }));
    rig.act(BOB, |bob, now| bob.answer(b, sdp("b2"), now));
    rig.pass_millis(20);
    let Event::Offered { offer: Some(offer), .. } = rig.event(ALICE) else { panic!("no offer") };
    assert_eq!((offer, rig.count(ALICE, "ACK")), (sdp("b2"), 1));
    rig.act(ALICE, |alice, now| alice.answer(a, sdp("a2"), now));
    rig.pass_millis(20);
    let Event::OfferAnswered { answer, .. } = rig.event(BOB) else { panic!("no answer in ACK") };
    assert_eq!(answer, sdp("a2"));
    rig.assert_silent();
}

#[test]
fn one_offer_is_out_and_one_waits() {
    let mut rig = Rig::new();
    let (a, b) = rig.talking();
    for name in ["a2", "a3", "a4"] {
        rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp(name)), now));
    }
    rig.pass_millis(20);
    assert_eq!(rig.count(ALICE, "INVITE"), 2);
    for (offered, answer) in [("a2", "b2"), ("a4", "b4")] {
        let Event::Offered { offer, .. } = rig.event(BOB) else { panic!("no offer {offered}") };
        assert_eq!(offer, Some(sdp(offered)));
        rig.act(BOB, |bob, now| bob.answer(b, sdp(answer), now));
        rig.pass_millis(50);
        assert!(matches!(rig.event(ALICE), Event::OfferAnswered { .. }));
    }
    rig.assert_silent();
}

/// RFC 3261 section 14.1: alice made the Call-ID, so bob comes back first, and alice's offer is out of date.
#[test]
fn offers_that_cross_are_made_again_one_after_the_other() {
    let mut rig = Rig::new();
    let (a, b) = rig.talking();
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    rig.act(BOB, |bob, now| bob.offer(b, Some(sdp("b2")), now));
    rig.pass_millis(30);
    assert_eq!((rig.count(ALICE, "491"), rig.count(BOB, "491")), (1, 1));
    rig.assert_silent();

    rig.pass_millis(2_030);
    assert!(matches!(rig.event(ALICE), Event::OfferRefused { status: StatusCode::REQUEST_PENDING, .. }));
    let Event::Offered { offer, .. } = rig.event(ALICE) else { panic!("bob did not come back") };
    assert_eq!(offer, Some(sdp("b2")));
    rig.act(ALICE, |alice, now| alice.answer(a, sdp("a3"), now));
    rig.rest();
    assert!(matches!(rig.event(BOB), Event::OfferAnswered { .. }));
    rig.assert_silent();
}

#[test]
fn a_491_alone_is_tried_again_by_the_owner_of_the_call_id_after_2_to_4_seconds() {
    let mut rig = Rig::alone();
    let (a, _) = answered_by_hand(&mut rig);
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    let invite = rig.request(ALICE, "INVITE");
    rig.bob_answers(&invite, 491, "", "", b"");
    let refused = rig.now;
    rig.pass_millis(2_090);
    assert_eq!(rig.count(ALICE, "INVITE"), 2);
    rig.pass_millis(1_920);
    let times = rig.times(ALICE, "INVITE");
    let pause = times[2] - refused.as_nanos() / 1_000_000;
    assert!((2_100..=4_000).contains(&pause) && pause.is_multiple_of(10), "waited {pause} ms");
    assert_eq!(rig.request(ALICE, "INVITE").body(), sdp("a2"));
    rig.assert_silent();
}

#[test]
fn a_second_invite_of_the_same_side_is_told_to_come_later() {
    let mut rig = Rig::alone();
    let (_, request) = answered_by_hand(&mut rig);
    rig.bob_sends(&from_bob(&request, "INVITE", 1, &sdp("b2")));
    assert!(matches!(rig.event(ALICE), Event::Offered { .. }));
    rig.bob_sends(&from_bob(&request, "INVITE", 2, &sdp("b3")));
    let refusal = rig.response(ALICE, 500, "INVITE");
    let seconds: u64 = refusal.headers().get(Name::RetryAfter).unwrap().parse().unwrap();
    assert!(seconds <= 10);
    rig.assert_silent();
}

#[test]
fn an_update_with_an_offer_is_refused_while_ours_is_out() {
    let mut rig = Rig::alone();
    let (a, request) = answered_by_hand(&mut rig);
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    rig.bob_sends(&from_bob(&request, "UPDATE", 1, &sdp("b2")));
    rig.response(ALICE, 491, "UPDATE");
    rig.bob_sends(&from_bob(&request, "UPDATE", 2, b""));
    rig.response(ALICE, 200, "UPDATE");
    rig.assert_silent();
}

#[test]
fn a_cancelled_change_is_not_made() {
    let mut rig = Rig::alone();
    let (a, request) = answered_by_hand(&mut rig);
    let invite = from_bob(&request, "INVITE", 1, &sdp("b2"));
    rig.bob_sends(&invite);
    assert!(matches!(rig.event(ALICE), Event::Offered { .. }));
    rig.bob_sends(&from_bob(&request, "CANCEL", 1, b"").replace("-CANCEL", "-INVITE"));
    rig.response(ALICE, 487, "INVITE");
    rig.act(ALICE, |alice, now| alice.answer(a, sdp("a2"), now));
    assert_eq!(rig.count(ALICE, "200"), 1, "only the CANCEL is answered 200");
}

#[test]
fn silence_to_a_change_ends_the_session() {
    let mut rig = Rig::alone();
    let (a, _) = answered_by_hand(&mut rig);
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    rig.pass_millis(32_100);
    assert!(matches!(rig.event(ALICE), Event::OfferRefused { status: StatusCode::REQUEST_TIMEOUT, .. }));
    assert!(matches!(rig.event(ALICE), Event::Ended { cause: Cause::Lost, .. }));
    assert_eq!(rig.count(ALICE, "BYE"), 1);
    rig.rest();
    rig.assert_silent();
    rig.assert_idle();
}

#[test]
fn a_connection_that_breaks_under_a_change_ends_no_session() {
    let mut rig = Rig::alone();
    let (a, _) = answered_by_hand(&mut rig);
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    rig.request(ALICE, "INVITE");
    let way = *rig.paths.last().unwrap();
    rig.act(ALICE, |alice, now| alice.path_failed(way, now));
    assert!(matches!(rig.event(ALICE), Event::OfferRefused { status: StatusCode::SERVICE_UNAVAILABLE, .. }));
    rig.assert_silent();
    assert_eq!(rig.count(ALICE, "BYE"), 0);
}

/// RFC 3261 section 12.2.1.2.
#[test]
fn a_481_to_a_change_ends_the_session() {
    let mut rig = Rig::alone();
    let (a, _) = answered_by_hand(&mut rig);
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    let invite = rig.request(ALICE, "INVITE");
    rig.bob_answers(&invite, 481, "", "", b"");
    assert!(matches!(rig.event(ALICE), Event::OfferRefused { .. }));
    assert!(matches!(rig.event(ALICE), Event::Ended { cause: Cause::Lost, .. }));
    let bye = rig.request(ALICE, "BYE");
    rig.bob_answers(&bye, 481, "", "", b"");
    rig.rest();
    assert_eq!(rig.count(ALICE, "BYE"), 1);
    rig.assert_idle();
}

#[test]
fn the_target_moves_with_a_change_that_is_accepted() {
    let mut rig = Rig::alone();
    let (a, request) = answered_by_hand(&mut rig);
    let moved =
        from_bob(&request, "INVITE", 1, &sdp("b2")).replace("<sip:bob@10.0.0.2>", "<sip:new@10.0.0.2>");
    rig.bob_sends(&moved);
    rig.act(ALICE, |alice, now| alice.refuse_offer(a, StatusCode::NOT_ACCEPTABLE_HERE, now));
    rig.act(ALICE, |alice, now| {
        alice.request_within(a, crate::sip::Method::Info, Vec::new(), None, now);
    });
    let info = rig.request(ALICE, "INFO");
    assert_eq!(info.uri(), "sip:bob@10.0.0.2");
    rig.bob_answers(&info, 200, "b", "", b"");

    rig.bob_sends(&moved.replace("CSeq: 1 ", "CSeq: 2 ").replace("b-1-", "b-2-"));
    rig.act(ALICE, |alice, now| alice.answer(a, sdp("a2"), now));
    rig.act(ALICE, |alice, now| {
        alice.request_within(a, crate::sip::Method::Info, Vec::new(), None, now);
    });
    assert_eq!(rig.request(ALICE, "INFO").uri(), "sip:new@10.0.0.2");
}

#[test]
fn both_sides_change_an_early_session_by_update() {
    let mut rig = Rig::new();
    let a = rig.calls(Some(sdp("a1")));
    rig.pass_millis(20);
    let b = rig.incoming();
    let answer = Some(sdp("b1"));
    rig.act(BOB, |bob, now| bob.ring(b, StatusCode::SESSION_PROGRESS, answer, true, Vec::new(), now));
    rig.pass_millis(50);
    rig.event(ALICE);

    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(BOB), Event::Offered { .. }));
    rig.act(BOB, |bob, now| bob.answer(b, sdp("b2"), now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(ALICE), Event::OfferAnswered { .. }));

    rig.act(BOB, |bob, now| bob.offer(b, Some(sdp("b3")), now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(ALICE), Event::Offered { .. }));
    rig.act(ALICE, |alice, now| alice.answer(a, sdp("a3"), now));
    rig.pass_millis(20);
    assert!(matches!(rig.event(BOB), Event::OfferAnswered { .. }));

    rig.act(BOB, |bob, now| bob.accept(b, sdp("b3"), Vec::new(), now));
    rig.pass_millis(50);
    assert!(matches!(rig.event(ALICE), Event::Answered { description: None, .. }));
    assert_eq!((rig.count(ALICE, "UPDATE"), rig.count(BOB, "UPDATE"), rig.count(ALICE, "INVITE")), (1, 1, 1));
}

#[test]
fn an_early_change_waits_for_the_answer_when_the_other_side_knows_no_update() {
    let mut rig = Rig::alone();
    let a = rig.calls(Some(sdp("a1")));
    let invite = rig.request(ALICE, "INVITE");
    let lines = "Contact: <sip:bob@10.0.0.2>\nAllow: INVITE, ACK, BYE\nRequire: 100rel\nRSeq: 1";
    rig.bob_answers(&invite, 183, "b", lines, &sdp("b1"));
    assert!(matches!(rig.event(ALICE), Event::Provisional { description: Some(Description::Answer(_)), .. }));
    rig.act(ALICE, |alice, now| alice.offer(a, Some(sdp("a2")), now));
    assert_eq!((rig.count(ALICE, "UPDATE"), rig.count(ALICE, "INVITE")), (0, 1));
    rig.bob_answers(&invite, 200, "b", "Contact: <sip:bob@10.0.0.2>", b"");
    assert_eq!(rig.count(ALICE, "INVITE"), 2);
    assert_eq!(rig.request(ALICE, "INVITE").body(), sdp("a2"));
}

/// Alice has called, and the test has answered for bob. Returns a request of alice's to take the dialog from.
pub(super) fn answered_by_hand(rig: &mut Rig) -> (SessionId, Request) {
    let a = rig.calls(Some(sdp("a1")));
    let invite = rig.request(ALICE, "INVITE");
    rig.bob_answers(&invite, 200, "b", "Contact: <sip:bob@10.0.0.2>", &sdp("b1"));
    assert!(matches!(rig.event(ALICE), Event::Answered { .. }));
    (a, rig.request(ALICE, "ACK"))
}

/// A request of bob's in the dialog of `ack`.
pub(super) fn from_bob(ack: &Request, method: &str, cseq: u32, body: &[u8]) -> String {
    let header = |name| ack.headers().get(name).unwrap();
    let content_type = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb-{cseq}-{method}\r\n\
         Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:bob@10.0.0.2>\r\n{content_type}Content-Length: {}\r\n\r\n{}",
        header(Name::To),
        header(Name::From),
        header(Name::CallId),
        body.len(),
        String::from_utf8_lossy(body),
    )
}
