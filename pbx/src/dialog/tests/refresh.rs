//! Session timers (RFC 4028) between two user agents.

use super::offers::{answered_by_hand, from_bob};
use super::*;
use crate::dialog::Cause;
use crate::sip::Name;

fn wishing(seconds: u64) -> Settings {
    Settings { session_expires: Some(Duration::from_secs(seconds)), ..settings() }
}

#[test]
fn the_caller_who_wished_for_it_refreshes_at_half_time_by_update() {
    let mut rig = Rig::with(wishing(200), settings());
    let (a, _) = rig.talking();
    assert_eq!(
        rig.response(BOB, 200, "INVITE").headers().get(Name::SessionExpires),
        Some("200;refresher=uac")
    );
    rig.pass(Duration::from_secs(350));
    assert_eq!(rig.times(ALICE, "UPDATE"), [100_030, 200_050, 300_070]);
    let update = rig.request(ALICE, "UPDATE");
    assert!(update.body().is_empty());
    assert_eq!(update.headers().get(Name::SessionExpires), Some("200;refresher=uac"));
    rig.assert_silent();
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.rest();
    rig.assert_idle();
}

#[test]
fn the_callee_who_wishes_for_it_refreshes_itself() {
    let mut rig = Rig::with(settings(), wishing(200));
    rig.talking();
    rig.pass(Duration::from_secs(250));
    assert_eq!((rig.count(BOB, "UPDATE"), rig.count(ALICE, "UPDATE")), (2, 0));
    rig.assert_silent();
}

#[test]
fn without_update_the_description_is_repeated_in_a_reinvite_and_nobody_above_is_asked() {
    let mut rig = Rig::alone();
    rig.agents[ALICE] = UserAgent::new(wishing(200), Rng::from_number(1));
    let (_, _) = answered_by_hand(&mut rig);
    rig.pass(Duration::from_secs(101));
    let invite = rig.request(ALICE, "INVITE");
    assert_eq!(
        (rig.count(ALICE, "INVITE") - 1, invite.body()),
        (2, &sdp("a1")[..]),
        "sent and repeated once"
    );
    rig.bob_answers(&invite, 200, "", "Contact: <sip:bob@10.0.0.2>", &sdp("b1"));
    assert_eq!(rig.count(ALICE, "ACK"), 2);
    rig.assert_silent();
}

#[test]
fn a_session_that_nobody_refreshes_is_ended_before_it_expires() {
    let mut rig = Rig::with(wishing(180), settings());
    rig.talking();
    rig.bob_is_played = true;
    rig.pass(Duration::from_secs(147));
    // Alice's refresh is lost for 32 s: she gives up the session.
    assert!(matches!(rig.event(ALICE), Event::Ended { cause: Cause::Lost, .. }));
    rig.assert_silent();
    rig.pass(Duration::from_secs(2));
    assert!(matches!(rig.event(BOB), Event::Ended { cause: Cause::SessionExpired, .. }));
    assert_eq!(rig.times(BOB, "BYE")[0], 148_020, "180 s less 32 s after the answer");
}

#[test]
fn an_interval_that_is_too_small_is_refused_and_asked_for_again() {
    let strict = Settings { min_se: Duration::from_secs(600), ..settings() };
    let mut rig = Rig::with(wishing(100), strict);
    rig.calls(Some(sdp("a")));
    rig.pass_millis(50);
    assert_eq!((rig.count(BOB, "422"), rig.count(ALICE, "INVITE")), (1, 2));
    let again = rig.request(ALICE, "INVITE");
    assert_eq!(again.headers().get(Name::SessionExpires), Some("600"));
    assert_eq!(again.headers().get(Name::MinSe), Some("600"));
    assert_eq!(again.cseq().unwrap().number, 2);
    assert!(matches!(rig.event(BOB), Event::Incoming { .. }));
    rig.assert_silent();
}

#[test]
fn an_update_that_refreshes_is_answered_inside() {
    let mut rig = Rig::alone();
    let (_, ack) = answered_by_hand(&mut rig);
    let update = from_bob(&ack, "UPDATE", 1, b"")
        .replace("Max-Forwards", "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\nMax-Forwards");
    rig.bob_sends(&update);
    let response = rig.response(ALICE, 200, "UPDATE");
    assert_eq!(response.headers().get(Name::SessionExpires), Some("120;refresher=uac"));
    assert!(response.lists(Name::Require, "timer"));
    rig.pass(Duration::from_secs(87));
    rig.assert_silent();
    rig.pass(Duration::from_secs(2));
    assert!(matches!(rig.event(ALICE), Event::Ended { cause: Cause::SessionExpired, .. }));
}
